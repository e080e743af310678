//! Web tokens (Intum): keys that are never shown themselves. Whoever has one signs a JWT of at most 24 hours with it (HS256),
//! and gives that to a browser. The key is named by the header's `kid` or the claim `iss`: its id.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{By, UNKNOWN_TOKEN, WEB_TOKEN, api_key};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::rights::{Principal, features_of, intersection};
use crate::sql::Sql;
use crate::time::Instant;
use crate::vault::{Slot, Vault};

/// The only way to sign that is accepted.
const ALGORITHM: &str = "HS256";
/// Longest life of a signed token.
const LONGEST_SECONDS: f64 = 86_400.0;
/// Clocks of two machines differ.
const LEEWAY_SECONDS: f64 = 60.0;
/// Longer than any that is made with care.
const MOST_BYTES: usize = 8 * 1024;

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: Option<String>,
    iat: Option<f64>,
    nbf: Option<f64>,
    exp: Option<f64>,
    /// Narrows the key's features again.
    privileges: Option<Vec<String>>,
}

/// Where the secret of a web token is sealed.
pub fn slot(key: Uuid) -> Slot {
    Slot { table: "api_keys", row: key, column: "sealed_secret" }
}

fn header(token: &str) -> Option<Header> {
    let (header, _) = token.split_once('.').filter(|_| token.len() <= MOST_BYTES)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
}

/// Whether this has the form of a JWT, whoever it is of.
pub(super) fn is_jwt(token: &str) -> bool {
    header(token).is_some()
}

/// What was signed, what it says, and the signature. Nothing of it is believed before the signature is good.
fn parts(token: &str) -> Option<(&str, Claims, Vec<u8>)> {
    let (message, signature) = token.rsplit_once('.')?;
    let claims = URL_SAFE_NO_PAD.decode(message.split_once('.')?.1).ok()?;
    Some((message, serde_json::from_slice(&claims).ok()?, URL_SAFE_NO_PAD.decode(signature).ok()?))
}

/// The web token that it says it is signed with.
fn key_of(header: &Header, claims: &Claims) -> Option<Uuid> {
    header.kid.as_deref().or(claims.iss.as_deref()).and_then(|id| Uuid::try_parse(id).ok())
}

/// Whether this says of itself that it is signed with a web token: no access token of an OAuth issuer does.
pub fn is_signed(token: &str) -> bool {
    let header = header(token).filter(|header| header.alg == ALGORITHM);
    header.zip(parts(token)).is_some_and(|(header, (_, claims, _))| key_of(&header, &claims).is_some())
}

/// Who shows a signed token: the key's holder, narrowed by the key and by the token.
pub(super) async fn principal(
    tx: &mut Tx,
    vault: &Vault,
    token: &str,
    now: Instant,
    epoch: i64,
) -> Result<Option<Principal>> {
    let refused = |why: &str| {
        Error::unauthenticated(format!(
            "This signed token is not valid: {why}. Sign another with the web token it is of (HS256; kid, iat, exp)."
        ))
    };
    let header = header(token).ok_or_else(|| refused("its header cannot be read"))?;
    if header.alg != ALGORITHM {
        return Err(refused("its alg is not HS256"));
    }
    let is_jwt = header.typ.as_deref().is_none_or(|kind| kind.eq_ignore_ascii_case("jwt"));
    if header.crit.is_some() || !is_jwt {
        return Err(refused("it wants something that is not known here (typ, crit)"));
    }
    let (message, claims, signature) = parts(token).ok_or_else(|| refused("its parts cannot be read"))?;
    let key = key_of(&header, &claims).ok_or_else(|| refused("neither kid nor iss is the id of a web token"))?;
    let sql = Sql::with(
        "SELECT sealed_secret FROM api_keys WHERE id = $1 AND kind = $2 AND sealed_secret IS NOT NULL",
        [key.into(), WEB_TOKEN.into()],
    );
    let rows = tx.query(&sql).await?;
    // An unknown key and a wrong signature answer the same.
    let Some(row) = rows.first() else { return Err(Error::unauthenticated(UNKNOWN_TOKEN)) };
    let secret = vault.open(slot(key), &row.get::<Vec<u8>>(0)?)?;
    // Compared in a time that does not tell how near it came.
    if hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes(), &signature).is_err() {
        return Err(Error::unauthenticated(UNKNOWN_TOKEN));
    }
    let (Some(from), Some(end)) = (claims.iat, claims.exp) else { return Err(refused("it needs iat and exp")) };
    let present = seconds(now);
    if end - from > LONGEST_SECONDS {
        return Err(refused("it lives longer than 24 hours"));
    }
    if end <= present {
        return Err(refused("it has expired").with("reason", "session_expired"));
    }
    if from.max(claims.nbf.unwrap_or(from)) > present + LEEWAY_SECONDS {
        return Err(refused("it is not valid yet"));
    }
    let Some(mut principal) = api_key(tx, By::Id(key), epoch).await? else { return Ok(None) };
    if let Some(privileges) = claims.privileges {
        let wanted: Vec<String> = privileges.iter().flat_map(|code| features_of(code.trim())).collect();
        // A key that stands for itself has its bound in what it holds; another one in its limit.
        let bound = match (&principal.narrowing.features, principal.user_id) {
            (None, None) => Some(&principal.features),
            (limit, _) => limit.as_ref(),
        };
        principal.narrowing.features = Some(bound.map_or_else(|| wanted.clone(), |bound| intersection(bound, &wanted)));
    }
    let end = instant(end);
    principal.expires_at = Some(principal.expires_at.map_or(end, |own| own.min(end)));
    Ok(Some(principal))
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of our time fit")]
fn seconds(at: Instant) -> f64 {
    at.micros() as f64 / 1_000_000.0
}

#[expect(clippy::cast_possible_truncation, reason = "at most a day from now")]
fn instant(seconds: f64) -> Instant {
    Instant::from_micros((seconds * 1_000_000.0) as i64)
}
