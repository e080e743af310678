//! What one message may be, whatever transport it came by.

use bureau_kit::args::{DEPTH_LIMIT, VALUE_LIMIT};

/// Most bytes of one message.
pub const MESSAGE_BYTES: usize = 1024 * 1024;
/// Most entries of one batch.
pub const BATCH_ENTRIES: usize = 50;
/// Levels that the envelope adds around the arguments of a call.
const ENVELOPE_DEPTH: usize = 4;

/// Why a message is refused before it is even read as JSON; nothing when it may pass.
///
/// One pass over the bytes, before any value is built: a body within the byte limit can still nest a hundred thousand
/// levels or hold a million values.
pub fn refusal(body: &[u8]) -> Option<String> {
    let (mut depth, mut values) = (0_usize, 1_usize);
    let (mut in_text, mut escaped) = (false, false);
    for byte in body {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => {
                depth = depth.saturating_add(1);
                values = values.saturating_add(1);
                if depth > DEPTH_LIMIT.saturating_add(ENVELOPE_DEPTH) {
                    return Some(format!("nested deeper than {DEPTH_LIMIT} levels"));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => {
                values = values.saturating_add(1);
                if values > VALUE_LIMIT {
                    return Some(format!("more than {VALUE_LIMIT} values in one message"));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_and_wide_messages_are_refused_and_text_is_not_counted() {
        assert_eq!(refusal(br#"{"a":[1,2,{"b":"[[[[{{{{,,,,\"["}]}"#), None);
        assert_eq!(refusal("[".repeat(100_000).as_bytes()).unwrap(), "nested deeper than 64 levels");
        let wide = format!("[{}0]", "0,".repeat(30_000));
        assert_eq!(refusal(wide.as_bytes()).unwrap(), "more than 20000 values in one message");
        let text = format!("[\"{}\"]", "[,".repeat(30_000));
        assert_eq!(refusal(text.as_bytes()), None);
    }
}
