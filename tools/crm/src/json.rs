//! JSON that is kept as it came: metadata, addresses, lists of e-mails and numbers.

use std::borrow::Cow;

use bureau_kit::prelude::*;
use schemars::{Schema, SchemaGenerator, json_schema};

/// Any JSON. Published as an object, which is what callers should send.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct AnyJson(pub(crate) Value);

impl JsonSchema for AnyJson {
    fn schema_name() -> Cow<'static, str> {
        "AnyJson".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // An answer may hold whatever was once stored, so its type is not promised.
        if generator.contract().is_serialize() {
            return json_schema!({});
        }
        json_schema!({"type": "object", "additionalProperties": true})
    }
}

/// A list of any JSON values, kept verbatim: the systems agree that it is a list, and on nothing more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct JsonList(pub(crate) Vec<Value>);

impl JsonSchema for JsonList {
    fn schema_name() -> Cow<'static, str> {
        "JsonList".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        if generator.contract().is_serialize() {
            return json_schema!({"type": "array", "items": {}});
        }
        json_schema!({"type": "array", "items": {"type": ["string", "object"]}})
    }
}
