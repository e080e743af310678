//! Finished JSON as the inside of a JSON string: every result of MCP holds its object a second time as text.

/// Seven low bits of each byte.
const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
const QUOTES: u64 = 0x2222_2222_2222_2222;
const BACKSLASHES: u64 = 0x5c5c_5c5c_5c5c_5c5c;

/// The high bit of each byte of `word` that is zero, and no other bit.
const fn zero_bytes(word: u64) -> u64 {
    !((word & LOW_BITS).wrapping_add(LOW_BITS) | word | LOW_BITS)
}

/// Appends `json` to `out` with quotes and backslashes escaped. Valid JSON holds no control characters to escape.
///
/// Eight bytes at a time, always stored whole: in JSON a quote stands every few bytes, so that looking at one byte after
/// another costs three times as much, and searching for the next quote hardly less.
pub(crate) fn escape_json(json: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    // Room for every byte to be escaped, and for one whole store past the end.
    out.resize(start.saturating_add(json.len().saturating_mul(2)).saturating_add(16), 0);
    let mut place = start;
    let (chunks, rest) = json.as_chunks::<8>();
    for chunk in chunks {
        store(out, place, chunk);
        let word = u64::from_le_bytes(*chunk);
        let mut specials = zero_bytes(word ^ QUOTES) | zero_bytes(word ^ BACKSLASHES);
        while specials != 0 {
            // Push the special byte and all after it on by one, and put a backslash where it stood.
            let bits = specials.trailing_zeros() & !7;
            let index = usize::try_from(bits / 8).unwrap_or_default();
            let at = place.saturating_add(index);
            store(out, at, b"\\");
            store(out, at.saturating_add(1), &(word >> bits).to_le_bytes());
            place = place.saturating_add(1);
            specials &= specials.wrapping_sub(1);
        }
        place = place.saturating_add(8);
    }
    out.truncate(place);
    for &byte in rest {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

fn store<const N: usize>(out: &mut [u8], at: usize, bytes: &[u8; N]) {
    if let Some(slot) = out.get_mut(at..at.saturating_add(N)) {
        slot.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way in which quotes, backslashes and other bytes can stand in two words, at every offset.
    #[test]
    fn escaping_is_what_the_slow_way_makes_of_it() {
        for pattern in 0_u32..(1 << 13) {
            let json: String = (0..13)
                .map(|bit| match (pattern >> bit & 1, bit % 4) {
                    (0, 3) => 'ł',
                    (0, _) => '!',
                    (_, 1) => '\\',
                    (_, _) => '"',
                })
                .collect();
            let mut out = b"before".to_vec();
            escape_json(json.as_bytes(), &mut out);
            let expected = format!("before{}", json.replace('\\', "\\\\").replace('"', "\\\""));
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
