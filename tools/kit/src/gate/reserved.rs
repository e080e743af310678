//! Arguments that belong to the gate, not to the tool.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::tool::Tool;

/// What the gate's own arguments say.
#[derive(Debug, Clone, Default)]
pub(super) struct Reserved {
    pub(super) dry_run: bool,
    pub(super) idempotency_key: Option<String>,
    pub(super) expected_version: Option<i64>,
}

impl Reserved {
    /// Takes the gate's own arguments off, and refuses those that mean nothing to this tool.
    pub(super) fn take(tool: &Tool, arguments: &mut Map<String, Value>) -> Result<Self> {
        let mut reserved = Self::default();
        for (name, applies) in [
            ("dry_run", tool.writes()),
            ("idempotency_key", tool.takes_key()),
            ("expected_version", tool.takes_version()),
        ] {
            let Some(value) = arguments.shift_remove(name) else { continue };
            if value.is_null() {
                continue;
            }
            if !applies {
                let why = match (tool.writes(), name) {
                    (false, _) => "this tool changes nothing",
                    (true, "idempotency_key") => "this tool needs no credential, so nobody's calls can be told apart",
                    (true, _) => "this tool acts on no single record",
                };
                return Err(Error::invalid(format!("/{name}"), format!("does not apply: {why}")));
            }
            let wrong = |expected: &str| Error::invalid(format!("/{name}"), format!("expected {expected}"));
            match (name, &value) {
                ("dry_run", Value::Bool(flag)) => reserved.dry_run = *flag,
                ("dry_run", Value::String(flag)) if flag == "true" || flag == "false" => {
                    reserved.dry_run = flag == "true"
                }
                ("dry_run", _) => return Err(wrong("true or false")),
                ("idempotency_key", Value::String(key)) if !key.is_empty() && key.chars().count() <= 255 => {
                    reserved.idempotency_key = Some(key.clone());
                }
                ("idempotency_key", _) => return Err(wrong("text of 1 to 255 characters")),
                (_, version) => {
                    let number = version.as_i64().or_else(|| version.as_str().and_then(|text| text.parse().ok()));
                    reserved.expected_version = Some(
                        number
                            .filter(|number| *number > 0)
                            .ok_or_else(|| wrong("the record's version, a whole number"))?,
                    );
                }
            }
        }
        Ok(reserved)
    }
}
