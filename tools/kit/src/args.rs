//! Arguments of a call: JSON read strictly and within limits.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Deepest nesting of arrays and objects.
pub const DEPTH_LIMIT: usize = 64;
/// Most values in one message: a body within the byte limit can still hold a million tiny ones.
pub const VALUE_LIMIT: usize = 20_000;

/// Reads JSON; refuses duplicate keys, NUL characters, and more depth or values than the limits.
pub fn parse(text: &str) -> Result<Value, serde_json::Error> {
    let left = Cell::new(VALUE_LIMIT);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict { left: &left, depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    left: &'a Cell<usize>,
    depth: usize,
}

impl Strict<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_LIMIT {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_LIMIT} levels")));
        }
        Ok(Self { depth: self.depth.saturating_add(1), ..self })
    }

    fn count<E: de::Error>(self) -> Result<(), E> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| E::custom(format_args!("more than {VALUE_LIMIT} values in one message")))?);
        Ok(())
    }

    fn text<E: de::Error>(self, text: &str) -> Result<String, E> {
        self.count()?;
        if text.contains('\0') {
            return Err(E::custom("text must not contain the NUL character"));
        }
        Ok(text.to_owned())
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.count()?;
        Ok(Value::Bool(value))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.count()?;
        Ok(value.into())
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.count()?;
        Ok(value.into())
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.count()?;
        Ok(value.into())
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.text(value).map(Value::String)
    }
    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.count()?;
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.count()?;
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.count()?;
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<std::borrow::Cow<'de, str>>()? {
            let key = self.text(&key)?;
            let value = entries.next_value_seed(inner)?;
            if object.contains_key(&key) {
                return Err(de::Error::custom(format_args!("`{key}` is given twice")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// `firstName` as `first_name`: sources write arguments both ways, and both are accepted.
pub(crate) fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len().saturating_add(4));
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
            snake.push(letter.to_ascii_lowercase());
        } else {
            snake.push(letter);
        }
    }
    snake
}

/// Longest name that is compared with known ones: twice what any of them has. The comparison takes time with the product
/// of both lengths, and a megabyte beside every tool's name would be seconds.
const COMPARED_BYTES: usize = 100;

/// The name in `known` nearest to `given`, when it is near enough to be meant.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if given.len() > COMPARED_BYTES {
        return None;
    }
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_out_as_they_went_in() {
        // The first was found by the fuzz target `request_state`.
        for text in ["3.7888888888888883", "0.1", "-7", "123456789012345678", "1e+300"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn limits_and_duplicates_are_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(DEPTH_LIMIT)).is_ok());
        assert!(parse(&nested(DEPTH_LIMIT + 1)).unwrap_err().to_string().starts_with("nested deeper than 64 levels"));
        assert!(parse(&nested(1_000_000)).is_err());
        let many = format!("[{}0]", "0,".repeat(VALUE_LIMIT));
        assert!(parse(&many).unwrap_err().to_string().starts_with("more than 20000 values"));
        assert!(parse(r#"{"a":1,"a":2}"#).unwrap_err().to_string().starts_with("`a` is given twice"));
        assert!(parse(r#"{"a":{"b":1,"b":2}}"#).is_err());
        assert!(parse("\"\\u0000\"").unwrap_err().to_string().starts_with("text must not contain the NUL character"));
        assert!(parse("{} {}").is_err());
        assert_eq!(parse(r#"{"b":[1,-2.5,"x",null,true]}"#).unwrap().to_string(), r#"{"b":[1,-2.5,"x",null,true]}"#);
    }

    #[test]
    fn names_are_brought_together() {
        assert_eq!(snake_case("dataPodpisania"), "data_podpisania");
        assert_eq!(nearest("titel", ["title", "status"]), Some("title"));
        assert_eq!(nearest("zzz", ["title", "status"]), None);
        assert_eq!(nearest(&"title".repeat(100), ["title", "status"]), None);
    }
}
