//! Text that people search, and e-mail addresses.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The form in which text is compared and searched: lower case, without diacritics, single spaces.
///
/// Stored beside the text, so that "lukasz" finds "Łukasz" on both databases alike.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut space = false;
    for letter in text.nfkd().flat_map(char::to_lowercase) {
        if letter.is_whitespace() {
            space = !folded.is_empty();
            continue;
        }
        // й and ї decompose to a letter and a mark; dropping the mark folds them onto и and і, as people type them.
        if is_combining_mark(letter) || letter.is_control() {
            continue;
        }
        if space {
            folded.push(' ');
            space = false;
        }
        match letter {
            'ł' => folded.push('l'),
            'đ' => folded.push('d'),
            'ø' => folded.push('o'),
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ґ' => folded.push('г'),
            other => folded.push(other),
        }
    }
    folded
}

/// A `LIKE` pattern that finds `needle` literally anywhere in folded text; escape character `\`.
pub fn contains_pattern(needle: &str) -> String {
    format!("%{}%", literal_pattern(&fold(needle)))
}

/// The part of a `LIKE` pattern that finds a text as it is written; escape character `\`.
pub fn literal_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

/// An e-mail address, trimmed, at most 254 characters. Compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// Checks the shape that mail servers agree on: one `@`, a dotted domain, no spaces or control characters.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let refused = || format!("`{text}` is not an e-mail address; write it like anna@example.com");
        let (local, domain) = text.rsplit_once('@').ok_or_else(refused)?;
        let fits = !local.is_empty()
            && text.len() <= 254
            && !local.contains('@')
            && !text
                .contains(|letter: char| letter.is_whitespace() || letter.is_control() || "<>,;:\"()".contains(letter))
            && domain.contains('.')
            && domain.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
        if fits { Ok(Self(text.to_owned())) } else { Err(refused()) }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which addresses are compared.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for Email {
    fn schema_name() -> Cow<'static, str> {
        "Email".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 254})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_makes_polish_and_ukrainian_names_findable() {
        for (text, folded) in [
            ("Łukasz Żółć", "lukasz zolc"),
            ("ŁÓDKA", "lodka"),
            ("Їжак Ґанок", "іжак ганок"),
            ("Straße  Ærø\t!", "strasse aero !"),
            ("  ", ""),
        ] {
            assert_eq!(fold(text), folded);
            assert_eq!(fold(&fold(text)), folded, "folding twice changes nothing");
        }
        assert_eq!(contains_pattern("50%_a\\"), "%50\\%\\_a\\\\%");
    }

    #[test]
    fn addresses_are_checked() {
        assert_eq!(Email::parse(" Anna.Nowak@Example.com ").unwrap().folded(), "anna.nowak@example.com");
        for bad in ["", "anna", "@example.com", "a@b", "a b@example.com", "a@b@example.com", "a@.com", "a@-x.com"] {
            assert!(Email::parse(bad).is_err(), "{bad} must be refused");
        }
    }
}
