//! Request states: nothing that was not sealed here opens, and what was sealed opens unchanged.
#![no_main]

use bureau::mcp::sealed::{self, Opened, Subject};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use uuid::Uuid;

const KEY: [u8; 32] = [3; 32];

fuzz_target!(|input: (&str, &str, i64)| {
    let (state, params, now) = input;
    let params: Value = serde_json::from_str(params).unwrap_or(json!({}));
    let subject = Subject::new((Uuid::nil(), Uuid::nil()), "tools/call", &params);
    assert_eq!(sealed::open(&KEY, &subject, state, now), None);
    let opened = Opened { answers: params.as_object().cloned().unwrap_or_default(), round: 0 };
    let sealed = sealed::seal(&KEY, &subject, &opened, now).expect("sealed");
    match sealed::open(&KEY, &subject, &sealed, now) {
        Some(again) => assert_eq!(again.answers, opened.answers),
        None => assert!(sealed.len() > 64 * 1024, "a state of {} bytes", sealed.len()),
    }
});
