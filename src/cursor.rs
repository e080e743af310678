//! Where the next page of a list begins, as text that only this server reads.
//!
//! A client repeats it with its own list, or not at all: a list may have changed between two pages, and a page of
//! another list would silently miss entries or repeat them. So a cursor names the list it is of, by its contents.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::rpc::{INVALID_PARAMS, error};

/// The layout below. A server that lays cursors out differently takes another number.
const VERSION: u8 = 1;
/// Version, list, offset, checksum: a multiple of three, so that the text has no spare bits that could be altered.
const BYTES: usize = 1 + 16 + 4 + 9;

/// What a list holds, in short. Lists with other entries, or the same in another order, have another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The fingerprint of a list by its name, such as `tools`, and the text of each of its entries.
    pub fn of<'a>(list: &'a str, entries: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hasher = Sha256::new();
        for text in std::iter::once(list).chain(entries) {
            // With its length, so that two entries are never taken for one.
            hasher.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(text);
        }
        Self(beginning(&hasher.finalize()))
    }
}

/// The beginning of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The list it is a place in.
    pub list: Fingerprint,
    /// How many entries come before the page.
    pub offset: u32,
}

impl Cursor {
    /// The cursor as text: letters, digits, `-` and `_`.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.list.0);
        bytes.extend_from_slice(&self.offset.to_be_bytes());
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The cursor that a text stands for; none when [`Cursor::encode`] did not make the text.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (said, sum) = bytes.split_last_chunk::<9>()?;
        let (version, said_of) = said.split_first()?;
        let (list, offset) = said_of.split_first_chunk::<16>()?;
        let offset = u32::from_be_bytes(offset.try_into().ok()?);
        (*version == VERSION && *sum == checksum(said)).then_some(Self { list: Fingerprint(*list), offset })
    }

    /// How many entries come before the page that `cursor` in a client's parameters asks for. Absent or null is the
    /// first page; anything else must be a cursor of this very list. An empty text is refused like any other text that
    /// is no cursor: a client that loses one would otherwise walk in circles.
    pub fn offset_in(list: &Fingerprint, given: Option<&Value>) -> Result<usize, ErrorObjectOwned> {
        let text = match given {
            None | Some(Value::Null) => return Ok(0),
            Some(Value::String(text)) => text,
            Some(_) => return Err(refused()),
        };
        let cursor = Self::decode(text).filter(|cursor| cursor.list == *list).ok_or_else(refused)?;
        usize::try_from(cursor.offset).map_err(|_| refused())
    }
}

/// Why a cursor was not taken. Altered, foreign and outdated ones need the same next step.
pub fn refused() -> ErrorObjectOwned {
    error(
        INVALID_PARAMS,
        "This `cursor` is not of the list as you see it now: the list has changed, or the cursor is another list's or was \
         altered. Start again without a cursor.",
    )
}

/// Against mistakes, not against forgers: whoever makes a cursor up reads a page of a list that is theirs anyway.
fn checksum(bytes: &[u8]) -> [u8; 9] {
    beginning(&Sha256::digest(bytes))
}

fn beginning<const N: usize>(digest: &[u8]) -> [u8; N] {
    digest.first_chunk().copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random, from a digest of where they stand.
    fn number(seed: u64) -> u64 {
        u64::from_be_bytes(beginning(&Sha256::digest(seed.to_be_bytes())))
    }

    fn cursor(seed: u64) -> Cursor {
        let entries: Vec<String> = (0..seed % 5).map(|entry| number(seed ^ (entry << 32)).to_string()).collect();
        let offset = u32::try_from(number(seed) >> (32 + seed % 32)).unwrap();
        Cursor { list: Fingerprint::of("tools", entries.iter().map(String::as_str)), offset }
    }

    #[test]
    fn what_is_encoded_is_decoded_and_nothing_that_was_altered() {
        let mut altered = 0;
        for seed in 0..500 {
            let cursor = cursor(seed);
            let text = cursor.encode();
            assert_eq!((text.len(), Cursor::decode(&text)), (40, Some(cursor)));
            for place in 0..text.len() {
                let with = |letter: u8| {
                    let mut bytes = text.clone().into_bytes();
                    bytes[place] = letter;
                    String::from_utf8(bytes).unwrap()
                };
                for step in 1..8 {
                    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
                    let letter = alphabet[usize::try_from(number(seed * 331 + step) % 64).unwrap()];
                    if with(letter) != text {
                        assert_eq!(Cursor::decode(&with(letter)), None, "{text} {place}");
                        altered += 1;
                    }
                }
                assert_eq!(Cursor::decode(&with(b' ')), None);
                assert_eq!(Cursor::decode(&text[..place]), None);
                assert_eq!(
                    Cursor::decode(&format!("{}{}", &text[place..], &text[..place])).filter(|_| place > 0),
                    None
                );
            }
            for text in [format!("{text}A"), format!("{text}="), format!(" {text}"), format!("{text}{text}")] {
                assert_eq!(Cursor::decode(&text), None, "{text}");
            }
        }
        assert!(altered > 100_000, "{altered}");
        // A well-made cursor of another layout.
        let mut bytes = vec![VERSION + 1];
        bytes.extend_from_slice(&[7; 20]);
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        assert_eq!(Cursor::decode(&URL_SAFE_NO_PAD.encode(&bytes)), None);
        bytes.truncate(21);
        bytes[0] = VERSION;
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        assert!(Cursor::decode(&URL_SAFE_NO_PAD.encode(&bytes)).is_some());
    }

    #[test]
    fn lists_that_differ_have_different_fingerprints() {
        let lists: &[(&str, &[&str])] = &[
            ("tools", &[]),
            ("tools", &[""]),
            ("tools", &["", ""]),
            ("tools", &["a", "b"]),
            ("tools", &["b", "a"]),
            ("tools", &["ab"]),
            ("tools", &["a"]),
            ("toolsa", &["b"]),
            ("resources", &["a", "b"]),
        ];
        for (index, (name, entries)) in lists.iter().enumerate() {
            for (other, (other_name, other_entries)) in lists.iter().enumerate() {
                let same = Fingerprint::of(name, entries.iter().copied())
                    == Fingerprint::of(other_name, other_entries.iter().copied());
                assert_eq!(same, index == other, "{name} {entries:?}, {other_name} {other_entries:?}");
            }
        }
    }

    #[test]
    fn a_page_begins_at_a_cursor_of_the_same_list_only() {
        let (list, other) = (Fingerprint::of("tools", ["a"]), Fingerprint::of("tools", ["b"]));
        let asked = |given: Option<Value>| {
            Cursor::offset_in(&list, given.as_ref()).map_err(|error| (error.code(), error.message().to_owned()))
        };
        let text = |list, offset| Some(Value::String(Cursor { list, offset }.encode()));
        assert_eq!(asked(None), Ok(0));
        assert_eq!(asked(Some(Value::Null)), Ok(0));
        assert_eq!(asked(text(list, 250)), Ok(250));
        let refused = "This `cursor` is not of the list as you see it now: the list has changed, or the cursor is another \
                       list's or was altered. Start again without a cursor.";
        let wrong =
            [text(other, 250), Some("".into()), Some("MjUw".into()), Some(250.into()), Some(serde_json::json!({}))];
        for wrong in wrong {
            assert_eq!(asked(wrong.clone()), Err((INVALID_PARAMS, refused.to_owned())), "{wrong:?}");
        }
    }
}
