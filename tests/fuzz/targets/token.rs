//! Tokens: recognised only whole.
#![no_main]

use bureau_kit::token;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if token::kind_of(text).is_some() {
        assert_eq!(text.len(), 40);
        assert!(text.is_ascii());
    }
    let _ = token::hash(text);
    let _ = token::shown_prefix(text);
});
