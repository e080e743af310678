//! What a client carries for the server between two rounds of one request, sealed so that only the server can have made it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bureau_kit::secret::SECRET_BYTES;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// How long a request may wait for its answers.
const LIFE_SECONDS: i64 = 15 * 60;
/// A sealed state larger than this was not made here.
const MOST_BYTES: usize = 64 * 1024;

/// The request that a state belongs to: whoever makes it, and what exactly it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Tenant and user or key.
    pub principal: (Uuid, Uuid),
    /// The method.
    pub method: String,
    /// Its parameters without what changes from round to round.
    pub digest: [u8; 32],
}

impl Subject {
    /// The subject of a request.
    pub fn new(principal: (Uuid, Uuid), method: &str, params: &Value) -> Self {
        let mut hasher = Sha256::new();
        match params {
            Value::Object(members) => {
                let kept: Map<String, Value> = members
                    .iter()
                    .filter(|(name, _)| !matches!(name.as_str(), "_meta" | "inputResponses" | "requestState"))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                hash(&Value::Object(kept), &mut hasher);
            }
            other => hash(other, &mut hasher),
        }
        Self { principal, method: method.to_owned(), digest: hasher.finalize().into() }
    }

    fn mac(&self, key: &[u8; SECRET_BYTES], payload: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        mac.update(self.principal.0.as_bytes());
        mac.update(self.principal.1.as_bytes());
        mac.update(self.method.as_bytes());
        mac.update(&[0]);
        mac.update(&self.digest);
        mac.update(payload);
        Some(mac)
    }
}

/// Hashes a value whatever the order of its members: a client may write them down anew.
fn hash(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(members) => {
            hasher.update(b"{");
            for (name, value) in members.iter().collect::<BTreeMap<_, _>>() {
                hasher.update(Value::String(name.clone()).to_string());
                hasher.update(b":");
                hash(value, hasher);
                hasher.update(b",");
            }
            hasher.update(b"}");
        }
        Value::Array(entries) => {
            hasher.update(b"[");
            for entry in entries {
                hash(entry, hasher);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        other => hasher.update(other.to_string()),
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    /// Seconds since 1970 after which it is void.
    until: i64,
    /// Counts rounds, so that no two states of one request are alike.
    round: u32,
    answers: Map<String, Value>,
}

/// Answers given so far, and how many rounds it took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Opened {
    /// By the key of their question.
    pub answers: Map<String, Value>,
    /// How often the client was asked.
    pub round: u32,
}

/// Seals the answers of a request.
pub fn seal(key: &[u8; SECRET_BYTES], subject: &Subject, opened: &Opened, now: i64) -> Option<String> {
    let state = State {
        until: now.saturating_add(LIFE_SECONDS),
        round: opened.round.saturating_add(1),
        answers: opened.answers.clone(),
    };
    let mut bytes = serde_json::to_vec(&state).ok()?;
    let mac = subject.mac(key, &bytes)?.finalize().into_bytes();
    bytes.extend_from_slice(&mac);
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// Opens what was sealed for the same request; nothing when it was altered, is of another request or principal, or too old.
pub fn open(key: &[u8; SECRET_BYTES], subject: &Subject, sealed: &str, now: i64) -> Option<Opened> {
    if sealed.len() > MOST_BYTES {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (payload, mac) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
    subject.mac(key, payload)?.verify_slice(mac).ok()?;
    let state: State = serde_json::from_slice(payload).ok()?;
    (state.until >= now).then_some(Opened { answers: state.answers, round: state.round })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEY: [u8; SECRET_BYTES] = [7; SECRET_BYTES];

    fn subject(tenant: u128, params: Value) -> Subject {
        Subject::new((Uuid::from_u128(tenant), Uuid::from_u128(2)), "tools/call", &params)
    }

    fn opened() -> Opened {
        Opened { answers: Map::from_iter([("name".to_owned(), json!({"action": "accept"}))]), round: 1 }
    }

    #[test]
    fn a_state_opens_for_the_same_request_only() {
        let params = json!({"name": "x", "arguments": {"a": 1, "b": [1, 2]}});
        let sealed = seal(&KEY, &subject(1, params.clone()), &opened(), 100).unwrap();
        let again = json!({"arguments": {"b": [1, 2], "a": 1}, "name": "x", "requestState": sealed, "inputResponses": {}, "_meta": {}});
        let open = |subject: &Subject, now| open(&KEY, subject, &sealed, now);
        assert_eq!(open(&subject(1, again), 100 + LIFE_SECONDS), Some(Opened { round: 2, ..opened() }));
        assert_eq!(open(&subject(1, params.clone()), 101 + LIFE_SECONDS), None, "too old");
        assert_eq!(open(&subject(3, params.clone()), 100), None, "another tenant");
        assert_eq!(
            open(&subject(1, json!({"name": "x", "arguments": {"a": 2, "b": [1, 2]}})), 100),
            None,
            "other arguments"
        );
        let other = Subject { method: "prompts/get".to_owned(), ..subject(1, params.clone()) };
        assert_eq!(open(&other, 100), None, "another method");
        assert_eq!(super::open(&[8; SECRET_BYTES], &subject(1, params), &sealed, 100), None, "another key");
    }

    #[test]
    fn no_altered_state_opens() {
        let subject = subject(1, json!({}));
        let sealed = seal(&KEY, &subject, &opened(), 100).unwrap();
        for index in 0..sealed.len() {
            let mut altered = sealed.clone().into_bytes();
            altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(open(&KEY, &subject, &altered, 100), None, "letter {index}");
        }
        for cut in 0..sealed.len() {
            assert_eq!(open(&KEY, &subject, &sealed[..cut], 100), None, "cut at {cut}");
        }
        assert_eq!(open(&KEY, &subject, &"A".repeat(1_000_000), 100), None);
    }
}
