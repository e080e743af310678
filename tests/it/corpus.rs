//! The tables in `tests/corpus`: bytes written so that people can read them.

/// The rows of a table: everything but blank lines and comments.
pub fn rows(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The bytes that a text stands for: `\xNN` is a byte, `\*N(text)` is a text N times, the rest stands for itself.
pub fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(hex) = rest.strip_prefix("\\x").and_then(|rest| rest.get(..2))
            && let Ok(byte) = u8::from_str_radix(hex, 16)
        {
            bytes.push(byte);
            rest = &rest[4..];
        } else if let Some((times, after)) = rest.strip_prefix("\\*").and_then(|rest| rest.split_once('('))
            && let Ok(times) = times.parse::<usize>()
        {
            let (repeated, after) = after.split_once(')').expect(text);
            bytes.extend(self::bytes(repeated).repeat(times));
            rest = after;
        } else {
            bytes.extend_from_slice(letter.to_string().as_bytes());
            rest = &rest[letter.len_utf8()..];
        }
    }
    bytes
}

#[test]
fn escapes_stand_for_bytes() {
    assert_eq!(bytes(r#"a\x00\xff\n\u0041"\*3([\x41)ż"#), b"a\x00\xff\\n\\u0041\"[A[A[A\xc5\xbc");
    assert_eq!(bytes(r"\\xc4\x5cx41\*"), b"\\\xc4\\x41\\*");
}
