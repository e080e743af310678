//! Values as the source systems send them: flags as 0 and 1, texts as numbers.

use std::borrow::Cow;

use bureau_kit::prelude::*;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserializer, de};

/// True or false, also sent as 1 or 0 (CCRM, Worksection).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flag(pub(crate) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(flag) => Ok(Self(flag)),
            Value::Number(number) if number.as_i64() == Some(0) => Ok(Self(false)),
            Value::Number(number) if number.as_i64() == Some(1) => Ok(Self(true)),
            Value::String(text) if matches!(text.as_str(), "0" | "false") => Ok(Self(false)),
            Value::String(text) if matches!(text.as_str(), "1" | "true") => Ok(Self(true)),
            other => Err(de::Error::custom(format_args!("expected true or false, got {other}"))),
        }
    }
}

impl JsonSchema for Flag {
    fn schema_name() -> Cow<'static, str> {
        "Flag".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "boolean"})
    }
}

/// A text that may be sent as a number: telephone numbers, sender names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Label(pub(crate) String);

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text.trim().to_owned())),
            Value::Number(number) => Ok(Self(number.to_string())),
            other => Err(de::Error::custom(format_args!("expected text or a number, got {other}"))),
        }
    }
}

impl JsonSchema for Label {
    fn schema_name() -> Cow<'static, str> {
        "Label".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 255})
    }
}

/// Whole numbers; CCRM's samples also send `{}` for none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbers(pub(crate) Vec<i64>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.as_object().is_some_and(Map::is_empty) {
            return Ok(Self(Vec::new()));
        }
        let wrong = || de::Error::custom("expected a list of whole numbers");
        let numbers = value.as_array().ok_or_else(wrong)?.iter();
        numbers
            .map(|number| number.as_i64().filter(|number| *number > 0).ok_or_else(wrong))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl JsonSchema for Numbers {
    fn schema_name() -> Cow<'static, str> {
        "Numbers".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "array", "items": {"type": "integer", "minimum": 1}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_texts_and_numbers_are_read_as_the_sources_send_them() {
        let flag = |text: &str| serde_json::from_str::<Flag>(text).map(|flag| flag.0).ok();
        assert_eq!(
            ["0", "1", "true", "false", "\"1\"", "2", "null"].map(flag),
            [Some(false), Some(true), Some(true), Some(false), Some(true), None, None]
        );
        assert_eq!(serde_json::from_str::<Label>("48777").unwrap(), Label("48777".into()));
        assert_eq!(serde_json::from_str::<Numbers>("{}").unwrap(), Numbers(Vec::new()));
        assert_eq!(serde_json::from_str::<Numbers>("[3, 4]").unwrap(), Numbers(vec![3, 4]));
        assert!(serde_json::from_str::<Numbers>("[\"x\"]").is_err());
    }
}
