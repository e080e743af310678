//! The issuer's keys: fetched, kept and renewed (RFC 7517, RFC 8414).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bureau_kit::time::{Clock, Instant};
use reqwest::header::CACHE_CONTROL;
use reqwest::{Client, Url};
use ring::signature as ring;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Options, secure_url};

/// For one round: finding where the keys are, and the keys.
const FETCH_LIMIT: Duration = Duration::from_secs(5);
/// Of one document of the issuer.
const DOCUMENT_BYTES: usize = 256 * 1024;
/// How long keys are taken for new, where the issuer does not say.
const USUAL_SECONDS: i64 = 600;
/// Whatever the issuer says: neither a question for each call, nor a revoked key for a day.
const SHORTEST_SECONDS: i64 = 60;
const LONGEST_SECONDS: i64 = 3600;
/// Between two questions to the issuer, so that tokens with invented key names cannot make us flood it.
const PAUSE_SECONDS: i64 = 30;
/// How long old keys serve while the issuer does not answer.
const OUTAGE_SECONDS: i64 = 24 * 3600;

/// How a token may be signed. No secret shared with the issuer, and nothing unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    EdDsa,
}

impl Algorithm {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "PS256" => Self::Ps256,
            "ES256" => Self::Es256,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }
}

/// A public key, good for one algorithm.
#[derive(Debug, Clone)]
pub(super) struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    material: Material,
}

#[derive(Debug, Clone)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Point(Vec<u8>),
}

/// A key as issuers publish it.
#[derive(Debug, Deserialize)]
struct Published {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Key {
    /// None for a key that is for something else, or of a kind that is not accepted.
    fn of(key: &Published) -> Option<Self> {
        if key.purpose.as_deref().is_some_and(|purpose| purpose != "sig")
            || key.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(|name| name == "verify"))
        {
            return None;
        }
        let bytes = |text: &Option<String>| text.as_ref().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let stated = match &key.alg {
            Some(name) => Some(Algorithm::named(name)?),
            None => None,
        };
        let curve = key.crv.as_deref().unwrap_or_default();
        let (algorithm, material) = match (key.kty.as_str(), curve, stated) {
            // A key without its algorithm is for the one that every issuer has.
            ("RSA", _, None | Some(Algorithm::Rs256 | Algorithm::Ps256)) => {
                let number = |text| bytes(text).map(|bytes| bytes.into_iter().skip_while(|byte| *byte == 0).collect());
                (stated.unwrap_or(Algorithm::Rs256), Material::Rsa { n: number(&key.n)?, e: number(&key.e)? })
            }
            ("EC", "P-256", None | Some(Algorithm::Es256)) => {
                let (x, y) = (bytes(&key.x)?, bytes(&key.y)?);
                // 4 says that both coordinates follow, of 32 bytes each.
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                (Algorithm::Es256, Material::Point((x.len() == 32 && y.len() == 32).then_some(point)?))
            }
            ("OKP", "Ed25519", None | Some(Algorithm::EdDsa)) => (Algorithm::EdDsa, Material::Point(bytes(&key.x)?)),
            _ => return None,
        };
        Some(Self { kid: key.kid.clone(), algorithm, material })
    }

    /// Whether this key made the signature, by exactly this algorithm.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if algorithm != self.algorithm {
            return false;
        }
        let good = match (algorithm, &self.material) {
            (Algorithm::Rs256, Material::Rsa { n, e }) => {
                ring::RsaPublicKeyComponents { n, e }.verify(&ring::RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            (Algorithm::Ps256, Material::Rsa { n, e }) => {
                ring::RsaPublicKeyComponents { n, e }.verify(&ring::RSA_PSS_2048_8192_SHA256, message, signature)
            }
            (Algorithm::Es256, Material::Point(point)) => {
                ring::UnparsedPublicKey::new(&ring::ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Algorithm::EdDsa, Material::Point(point)) => {
                ring::UnparsedPublicKey::new(&ring::ED25519, point).verify(message, signature)
            }
            (Algorithm::Rs256 | Algorithm::Ps256, Material::Point(_))
            | (Algorithm::Es256 | Algorithm::EdDsa, Material::Rsa { .. }) => return false,
        };
        good.is_ok()
    }
}

/// The keys are not known, and the issuer does not tell them.
#[derive(Debug)]
pub(super) struct Unknown;

/// The issuer's keys, as last heard.
#[derive(Debug, Clone, Default)]
struct Held {
    keys: Arc<Vec<Key>>,
    /// When they came; none before the first time.
    fetched_at: Option<Instant>,
    /// How long they count as new, in seconds.
    lifetime: i64,
    /// When the issuer was last asked, whatever it said.
    asked_at: Option<Instant>,
}

impl Held {
    fn key(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Key> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
        match kid {
            Some(kid) => fitting.find(|key| key.kid.as_deref() == Some(kid)).cloned(),
            // Without a name there must be no choice.
            None => fitting.next().filter(|_| fitting.next().is_none()).cloned(),
        }
    }

    fn is_new(&self, now: Instant) -> bool {
        is_within(self.fetched_at, now, self.lifetime)
    }

    fn serves(&self, now: Instant) -> bool {
        is_within(self.fetched_at, now, OUTAGE_SECONDS)
    }

    fn was_asked(&self, now: Instant) -> bool {
        is_within(self.asked_at, now, PAUSE_SECONDS)
    }
}

/// Whether `moment` lies at most `seconds` back. One that lies ahead, after the clock was set back, does not.
fn is_within(moment: Option<Instant>, now: Instant, seconds: i64) -> bool {
    moment.is_some_and(|moment| {
        let age = now.micros().saturating_sub(moment.micros());
        (0..seconds.saturating_mul(1_000_000)).contains(&age)
    })
}

/// Knows the issuer's keys.
#[derive(Debug)]
pub(super) struct Keyring {
    issuer: String,
    jwks_url: Option<String>,
    client: Client,
    held: Mutex<Held>,
    asking: tokio::sync::Mutex<()>,
}

impl Keyring {
    pub(super) fn new(options: &Options) -> Result<Self, String> {
        // reqwest leaves the choice of the cryptography to the program.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| format!("The client for the issuer's keys cannot be made: {error}"))?;
        Ok(Self {
            issuer: options.issuer.clone(),
            jwks_url: options.jwks_url.clone(),
            client,
            held: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        })
    }

    /// The key of this name and algorithm; none where the issuer has no such key.
    pub(super) async fn find(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
        clock: &Clock,
    ) -> Result<Option<Key>, Unknown> {
        let now = clock.now();
        let held = self.held();
        let key = held.key(kid, algorithm);
        let settled = if self.asking.try_lock().is_ok() {
            (key.is_some() && held.is_new(now)) || held.was_asked(now)
        } else {
            // While somebody else asks, a key that has served so far goes on serving.
            key.is_some() && held.serves(now)
        };
        if settled {
            return if held.serves(now) { Ok(key) } else { Err(Unknown) };
        }
        let ring = self.clone();
        // On a task of its own: a client that hangs up must not leave the question unanswered for the others.
        let asked = tokio::spawn(async move {
            let _turn = ring.asking.lock().await;
            if !ring.held().was_asked(now) {
                ring.ask(now).await;
            }
        });
        let _ = asked.await;
        let held = self.held();
        if held.serves(now) { Ok(held.key(kid, algorithm)) } else { Err(Unknown) }
    }

    fn held(&self) -> Held {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask(&self, now: Instant) {
        let fetched = tokio::time::timeout(FETCH_LIMIT, self.fetch()).await;
        let fetched = fetched.unwrap_or_else(|_| Err("it did not answer in 5 seconds".to_owned()));
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.asked_at = Some(now);
        match fetched {
            Ok((keys, lifetime)) => {
                held.keys = Arc::new(keys);
                held.lifetime = lifetime;
                held.fetched_at = Some(now);
            }
            Err(why) => tracing::warn!(issuer = self.issuer, why, "the keys of the OAuth issuer cannot be fetched"),
        }
    }

    /// The keys, and for how many seconds they are new.
    async fn fetch(&self) -> Result<(Vec<Key>, i64), String> {
        #[derive(Deserialize)]
        struct KeySet {
            keys: Vec<Value>,
        }
        let url = match &self.jwks_url {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        let (set, lifetime): (KeySet, i64) = self.document(&url).await?;
        // A key of a kind that we cannot read is none of ours; the others still are.
        let published = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Published>(key).ok());
        let keys: Vec<Key> = published.filter_map(|key| Key::of(&key)).collect();
        if keys.is_empty() {
            return Err(format!("{url} has no key for RS256, PS256, ES256 or EdDSA"));
        }
        Ok((keys, lifetime))
    }

    /// Where the issuer says that its keys are.
    async fn discover(&self) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
            jwks_uri: String,
        }
        let issuer = Url::parse(&self.issuer).map_err(|error| error.to_string())?;
        let path = issuer.path().trim_end_matches('/');
        let root = issuer.origin().ascii_serialization();
        let mut why = String::new();
        for url in [
            format!("{root}/.well-known/oauth-authorization-server{path}"),
            format!("{root}{path}/.well-known/openid-configuration"),
        ] {
            match self.document::<Metadata>(&url).await {
                // A document that speaks for somebody else could hand us somebody else's keys (RFC 8414 §3.3).
                Ok((metadata, _)) if metadata.issuer != self.issuer => {
                    return Err(format!("{url} is of another issuer, {}", metadata.issuer));
                }
                Ok((metadata, _)) => {
                    return match secure_url(&metadata.jwks_uri) {
                        Ok(keys) if keys.scheme() == "https" || issuer.scheme() == "http" => Ok(metadata.jwks_uri),
                        Ok(_) => Err(format!("{url} has a jwks_uri that is not https")),
                        Err(error) => Err(format!("{url} has a jwks_uri of which {error}")),
                    };
                }
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    /// A JSON document, and for how many seconds it is new.
    async fn document<T: DeserializeOwned>(&self, url: &str) -> Result<(T, i64), String> {
        let failed = |error: reqwest::Error| format!("{url}: {}", error.without_url());
        let mut response = self.client.get(url).header("accept", "application/json").send().await.map_err(failed)?;
        if response.status() != 200 {
            return Err(format!("{url} answered {}", response.status()));
        }
        let said = response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
        let lifetime = lifetime(said.unwrap_or_default());
        let mut text = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if text.len().saturating_add(piece.len()) > DOCUMENT_BYTES {
                return Err(format!("{url} is longer than {DOCUMENT_BYTES} bytes"));
            }
            text.extend_from_slice(&piece);
        }
        let document = serde_json::from_slice(&text).map_err(|error| format!("{url} cannot be read: {error}"))?;
        Ok((document, lifetime))
    }
}

/// How long a document is new, by its Cache-Control.
fn lifetime(cache_control: &str) -> i64 {
    let directives = || cache_control.split(',').map(str::trim);
    let seconds = directives().find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| value.trim_matches('"').parse().ok())?
    });
    let seconds = match seconds {
        _ if directives()
            .any(|name| name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache")) =>
        {
            0
        }
        seconds => seconds.unwrap_or(USUAL_SECONDS),
    };
    seconds.clamp(SHORTEST_SECONDS, LONGEST_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Option<Algorithm> {
        Key::of(&serde_json::from_str(text).unwrap()).map(|key| key.algorithm)
    }

    #[test]
    fn a_key_is_for_one_algorithm_that_fits_its_kind() {
        let thirty_two = URL_SAFE_NO_PAD.encode([7; 32]);
        let rsa = r#""kty":"RSA","n":"AQAB","e":"AQAB""#;
        let ec = format!(r#""kty":"EC","crv":"P-256","x":"{thirty_two}","y":"{thirty_two}""#);
        let okp = format!(r#""kty":"OKP","crv":"Ed25519","x":"{thirty_two}""#);
        for (key_text, expected) in [
            (format!("{{{rsa}}}"), Some(Algorithm::Rs256)),
            (format!(r#"{{{rsa},"alg":"RS256","use":"sig"}}"#), Some(Algorithm::Rs256)),
            (format!(r#"{{{rsa},"alg":"PS256","key_ops":["verify"]}}"#), Some(Algorithm::Ps256)),
            (format!("{{{ec}}}"), Some(Algorithm::Es256)),
            (format!("{{{okp}}}"), Some(Algorithm::EdDsa)),
            (format!(r#"{{{rsa},"use":"enc"}}"#), None),
            (format!(r#"{{{rsa},"key_ops":["encrypt"]}}"#), None),
            (format!(r#"{{{rsa},"alg":"HS256"}}"#), None),
            (format!(r#"{{{rsa},"alg":"RS512"}}"#), None),
            (format!(r#"{{{rsa},"alg":"ES256"}}"#), None),
            (format!(r#"{{{ec},"alg":"EdDSA"}}"#), None),
            (ec.replace("P-256", "P-384").replacen("\"kty", "{\"kty", 1) + "}", None),
            (format!(r#"{{"kty":"EC","crv":"P-256","x":"AQ","y":"{thirty_two}"}}"#), None),
            (r#"{"kty":"RSA","n":"AQAB"}"#.to_owned(), None),
            (r#"{"kty":"oct","k":"AQAB","alg":"HS256"}"#.to_owned(), None),
        ] {
            assert_eq!(key(&key_text), expected, "{key_text}");
        }
    }

    #[test]
    fn lifetimes_stay_within_a_minute_and_an_hour() {
        for (said, seconds) in [
            ("", 600),
            ("public, max-age=900", 900),
            ("MAX-AGE=\"120\"", 120),
            ("max-age=1", 60),
            ("max-age=86400", 3600),
            ("max-age=soon", 600),
            ("s-maxage=90", 600),
            ("no-store, max-age=900", 60),
        ] {
            assert_eq!(lifetime(said), seconds, "{said}");
        }
    }
}
