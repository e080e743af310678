//! Whatever bytes come in: a message, or an error with a code of JSON-RPC; the id comes back as sent.
#![no_main]

use bureau::limits;
use bureau::mcp::era::Envelope;
use bureau::rpc::{Kind, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let bounded = limits::refusal(bytes).is_none();
    let message = match Message::read(text) {
        Ok(message) => message,
        Err(error) => {
            assert!(matches!(error.code(), -32700 | -32600), "{error}");
            // What is no JSON here is none for others either.
            let valid = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert!(!valid || error.code() == -32600, "{error}");
            return;
        }
    };
    if !bounded {
        return;
    }
    let strict = message.kind(false);
    let loose = message.kind(true);
    if strict.is_ok() {
        assert_eq!(strict, loose);
    }
    if strict == Ok(Kind::Request) {
        let id: serde_json::Value = serde_json::from_str(message.id()).expect("an id is JSON");
        assert!(id.is_string() || id.is_number());
    }
    if loose.is_err() {
        return;
    }
    for headers in [false, true] {
        let header = |name: &str| (name == "mcp-protocol-version").then_some("2026-07-28");
        let outcome = Envelope::of(&message, headers.then_some(&header));
        if let Err(error) = outcome {
            let response = loose == Ok(Kind::Response) && error.code() == -32600;
            assert!(response || matches!(error.code(), -32602 | -32020 | -32022), "{error}");
        }
    }
    let _ = message.outcome();
});
