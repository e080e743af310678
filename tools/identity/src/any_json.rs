//! A value of whatever type, as an argument and in answers.

use std::borrow::Cow;

use bureau_kit::prelude::*;
use schemars::{Schema, SchemaGenerator, json_schema};

/// Any JSON value. The schema names all types: one that says nothing makes several clients drop the whole server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct AnyJson(pub(crate) Value);

impl JsonSchema for AnyJson {
    fn schema_name() -> Cow<'static, str> {
        "AnyJson".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number", "boolean", "array", "object", "null"]})
    }
}
