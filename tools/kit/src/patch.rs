//! A field of a partial update: absent, null and value are three different things.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

/// What an update says of one field. Put `#[serde(default)]` on the field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Not mentioned: stays as it is.
    #[default]
    Absent,
    /// `null`: cleared.
    Clear,
    /// A new value.
    Set(T),
}

impl<T> Patch<T> {
    /// The change to make: none when absent, `Some(None)` to clear, `Some(Some(value))` to set.
    pub fn change(self) -> Option<Option<T>> {
        match self {
            Self::Absent => None,
            Self::Clear => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

impl<T: JsonSchema> JsonSchema for Patch<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Patch_{}", T::schema_name()).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = generator.subschema_for::<T>();
        // Unlike an optional field, null has a meaning here and stays in the published schema.
        schema.insert("x-clearable".into(), true.into());
        schema
    }
    fn _schemars_private_is_option() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Update {
        #[serde(default)]
        note: Patch<String>,
    }

    #[test]
    fn absent_null_and_value_differ() {
        let read = |text: &str| serde_json::from_str::<Update>(text).unwrap().note;
        assert_eq!(read("{}").change(), None);
        assert_eq!(read(r#"{"note":null}"#).change(), Some(None));
        assert_eq!(read(r#"{"note":"x"}"#).change(), Some(Some("x".to_owned())));
    }
}
