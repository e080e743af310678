//! Reading a signed token (RFC 7515, RFC 7519). Nothing in it is believed before its signature is good.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bureau_kit::time::Instant;
use serde::Deserialize;
use serde_json::Value;

use super::keys::{Algorithm, Key};

/// 9999-12-30T00:00:00Z: later moments cannot be written everywhere.
const LAST_SECOND: f64 = 253_402_128_000.0;

/// A token in its three parts, its signature not yet checked.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    /// By which the issuer says it signed; one of those that are accepted.
    pub(super) algorithm: Algorithm,
    /// Which of the issuer's keys.
    pub(super) kid: Option<String>,
    /// Header and claims, as they were signed.
    message: &'a str,
    claims: &'a str,
    signature: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// What the issuer says, as far as it matters here. A claim of another type than its own makes the whole token unreadable.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: Option<String>,
    pub(super) aud: Option<Texts>,
    pub(super) sub: Option<String>,
    pub(super) exp: Option<f64>,
    pub(super) nbf: Option<f64>,
    pub(super) iat: Option<f64>,
    /// Scopes as RFC 9068 has them, and as some issuers call them.
    pub(super) scope: Option<Texts>,
    pub(super) scp: Option<Texts>,
    pub(super) email: Option<String>,
    pub(super) email_verified: Option<Value>,
    pub(super) bureau_tenant: Option<String>,
}

/// One text or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    fn all(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }

    /// Whether one of the texts is exactly this.
    pub(super) fn contains(&self, wanted: &str) -> bool {
        self.all().iter().any(|text| text == wanted)
    }

    /// Whether one of the words is exactly this.
    pub(super) fn names(&self, wanted: &str) -> bool {
        self.all().iter().any(|text| text.split(' ').any(|word| word == wanted))
    }
}

/// Takes a token apart; answers what is wrong with its form.
pub(super) fn read(token: &str) -> Result<Signed<'_>, &'static str> {
    const NO_TOKEN: &str = "The token is neither one of Bureau nor a signed token of the issuer";
    let (message, signature) = token.rsplit_once('.').ok_or(NO_TOKEN)?;
    let (header, claims) = message.split_once('.').ok_or(NO_TOKEN)?;
    let header: Header =
        URL_SAFE_NO_PAD.decode(header).ok().and_then(|header| serde_json::from_slice(&header).ok()).ok_or(NO_TOKEN)?;
    let algorithm = Algorithm::named(&header.alg).ok_or("The token is not signed with RS256, PS256, ES256 or EdDSA")?;
    if header.crit.is_some() {
        return Err("The token wants extensions (crit) that are not known here");
    }
    let kind = header.typ.unwrap_or_default().to_ascii_lowercase();
    if !matches!(kind.as_str(), "" | "jwt" | "at+jwt" | "application/at+jwt") {
        return Err("The token is not an access token (typ)");
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| NO_TOKEN)?;
    Ok(Signed { algorithm, kid: header.kid, message, claims, signature })
}

impl Signed<'_> {
    /// What the issuer says, if it was the issuer who signed it.
    pub(super) fn claims(&self, key: &Key) -> Result<Claims, &'static str> {
        if !key.verifies(self.algorithm, self.message.as_bytes(), &self.signature) {
            return Err("The signature of the token is wrong");
        }
        let claims = URL_SAFE_NO_PAD.decode(self.claims).ok();
        claims.and_then(|claims| serde_json::from_slice(&claims).ok()).ok_or("The claims of the token cannot be read")
    }
}

/// Seconds since 1970, perhaps with a fraction, as a moment.
#[expect(
    clippy::cast_possible_truncation,
    reason = "bounded to the years of four digits; a fraction of a µs is dropped"
)]
pub(super) fn instant(seconds: f64) -> Instant {
    Instant::from_micros((seconds.clamp(0.0, LAST_SECOND) * 1_000_000.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header))
    }

    #[test]
    fn only_signed_access_tokens_are_read() {
        let good = token(r#"{"alg":"RS256","kid":"a","typ":"at+JWT"}"#);
        let signed = read(&good).unwrap();
        assert_eq!((signed.algorithm, signed.kid.as_deref(), signed.signature), (Algorithm::Rs256, Some("a"), vec![0]));
        let unsigned = "The token is not signed with RS256, PS256, ES256 or EdDSA";
        let foreign = "The token is neither one of Bureau nor a signed token of the issuer";
        for (header, why) in [
            (r#"{"alg":"none"}"#, unsigned),
            (r#"{"alg":"HS256"}"#, unsigned),
            (r#"{"alg":"rs256"}"#, unsigned),
            (r#"{"alg":"RS512"}"#, unsigned),
            (r#"{"alg":"RS256","alg":"none"}"#, foreign),
            (r#"{"typ":"JWT"}"#, foreign),
            ("[]", foreign),
            (
                r#"{"alg":"RS256","crit":["b64"],"b64":false}"#,
                "The token wants extensions (crit) that are not known here",
            ),
            (r#"{"alg":"RS256","typ":"logout+jwt"}"#, "The token is not an access token (typ)"),
        ] {
            assert_eq!(read(&token(header)).unwrap_err(), why, "{header}");
        }
        for text in ["", ".", "..", "a.b", "a.b.c", "e30.e30", &format!("{good}=")] {
            assert_eq!(read(text).unwrap_err(), foreign, "{text}");
        }
    }

    #[test]
    fn times_stay_within_what_can_be_written() {
        assert_eq!(instant(1.5).micros(), 1_500_000);
        assert_eq!(instant(-1.0).micros(), 0);
        assert_eq!(instant(f64::MAX).to_string(), "9999-12-30T00:00:00Z");
    }
}
