//! Signatures by which a receiver knows that a message is ours and was not changed (Standard Webhooks).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// The value of `webhook-signature`: one signature for each secret that is good now.
pub(crate) fn header(keys: &[Vec<u8>], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let sign = |key: &Vec<u8>| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &signed);
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    };
    keys.iter().map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook_secrets::key_of;

    /// The vector of the Standard Webhooks libraries.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let one = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let (id, at, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(header(std::slice::from_ref(&key), id, at, body), one);
        let both = header(&[key, b"other".to_vec()], id, at, body);
        assert!(both.starts_with(&format!("{one} v1,")) && both.len() == one.len() * 2 + 1, "{both}");
    }
}
