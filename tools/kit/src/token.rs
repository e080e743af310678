//! Tokens: made, recognised, and stored as hashes only.

use sha2::{Digest, Sha256};

use crate::id::fill_random;

/// What a token is for; shows in its first letters, so that people and secret scanners recognise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A session token, `bus_…`.
    Session,
    /// An API key, `buk_…`.
    ApiKey,
    /// An invitation, `bui_…`.
    Invitation,
    /// A new password to be set, `bup_…`.
    PasswordReset,
    /// An account to be opened, `buo_…`.
    Onboarding,
}

impl TokenKind {
    const ALL: [Self; 5] = [Self::Session, Self::ApiKey, Self::Invitation, Self::PasswordReset, Self::Onboarding];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "bus_",
            Self::ApiKey => "buk_",
            Self::Invitation => "bui_",
            Self::PasswordReset => "bup_",
            Self::Onboarding => "buo_",
        }
    }
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 30 letters of 62 hold 178 random bits.
const RANDOM_LETTERS: usize = 30;
const CHECKSUM_LETTERS: usize = 6;

fn letter(index: u32) -> char {
    ALPHABET.get(usize::try_from(index).unwrap_or_default()).copied().map_or('0', char::from)
}

/// A new secret. Shown to its owner once; the database keeps [`hash`] of it.
pub fn mint(kind: TokenKind) -> String {
    let mut token = kind.prefix().to_owned();
    let mut letters = 0;
    while letters < RANDOM_LETTERS {
        let mut bytes = [0_u8; 32];
        fill_random(&mut bytes);
        // 248 is the largest multiple of 62 in a byte: beyond it letters would not be equally likely.
        for byte in bytes.into_iter().filter(|byte| *byte < 248).take(RANDOM_LETTERS.saturating_sub(letters)) {
            token.push(letter(u32::from(byte).checked_rem(62).unwrap_or_default()));
            letters = letters.saturating_add(1);
        }
    }
    let checksum = checksum(&token);
    token.push_str(&checksum);
    token
}

fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut letters = String::with_capacity(CHECKSUM_LETTERS);
    for _ in 0..CHECKSUM_LETTERS {
        letters.push(letter(rest.checked_rem(62).unwrap_or_default()));
        rest = rest.checked_div(62).unwrap_or_default();
    }
    letters
}

/// The kind of a well-formed token; none when the prefix, length or checksum is wrong, without asking the database.
pub fn kind_of(token: &str) -> Option<TokenKind> {
    let kind = TokenKind::ALL.into_iter().find(|kind| token.starts_with(kind.prefix()))?;
    let split = token.len().checked_sub(CHECKSUM_LETTERS)?;
    let (body, check) = token.split_at_checked(split)?;
    let whole = kind.prefix().len().saturating_add(RANDOM_LETTERS);
    (body.len() == whole && checksum(body) == check).then_some(kind)
}

/// What the database keeps of a token. A plain hash is enough: nobody guesses 178 random bits.
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The first letters, by which a person tells keys apart in a list.
pub fn shown_prefix(token: &str) -> &str {
    token.get(..10).unwrap_or(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_recognised_and_damaged_ones_refused() {
        for kind in TokenKind::ALL {
            let token = mint(kind);
            assert_eq!(token.len(), 40);
            assert_eq!(kind_of(&token), Some(kind));
            for index in 0..token.len() {
                let mut damaged = token.clone().into_bytes();
                damaged[index] = if damaged[index] == b'A' { b'B' } else { b'A' };
                assert_eq!(kind_of(&String::from_utf8(damaged).unwrap()), None, "letter {index} of {token}");
            }
        }
        assert_eq!(kind_of(""), None);
        assert_eq!(kind_of("bus_żółć"), None);
    }

    #[test]
    fn no_two_tokens_are_alike() {
        let tokens: std::collections::HashSet<_> = (0..1000).map(|_| mint(TokenKind::Session)).collect();
        assert_eq!(tokens.len(), 1000);
    }
}
