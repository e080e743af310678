//! Definitions of additional fields (Intum): settings under `<module>.<model>.additional_fields.<name>`, checked by their shape.
//!
//! A definition says what a field of customers, contacts or tasks is. Values of such fields are the business of the entities
//! themselves.

use bureau_kit::args::nearest;
use bureau_kit::prelude::*;

/// Records that may have additional fields, with the table whose own fields they must not hide.
const MODELS: &[(&str, &str)] = &[("crm.client", "parties"), ("crm.contact", "parties"), ("organize.task", "tasks")];
/// Definitions of one model at most.
pub(crate) const MOST: i64 = 100;

/// The kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FieldKind {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// A day.
    Date,
    /// A moment.
    Datetime,
    /// True or false.
    Boolean,
    /// One of the options, or several of them.
    Select,
}

/// What an additional field is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    #[serde(rename = "type")]
    kind: FieldKind,
    label: String,
    #[serde(default)]
    required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Value>,
    #[serde(default)]
    on_list: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    options: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    multiple: Option<bool>,
}

/// A key that names an additional field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place<'k> {
    pub(crate) model: &'static str,
    table: &'static str,
    name: &'k str,
}

const MIDDLE: &str = ".additional_fields.";

/// Reads a key; none when it is not about additional fields.
pub(crate) fn place(key: &str) -> Result<Option<Place<'_>>> {
    let Some((model, name)) = key.split_once(MIDDLE) else { return Ok(None) };
    let Some((model, table)) = MODELS.iter().find(|(known, _)| *known == model).copied() else {
        let names: Vec<&str> = MODELS.iter().map(|(name, _)| *name).collect();
        let hint =
            nearest(model, names.iter().copied()).map_or_else(String::new, |near| format!("; did you mean {near}?"));
        return Err(Error::invalid(
            "/key",
            format!("{model} has no additional fields; expected one of {}{hint}", names.join(", ")),
        ));
    };
    let fits = name.len() <= 40
        && name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.bytes().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_');
    if !fits {
        return Err(Error::invalid(
            "/key",
            "the name of an additional field has 1 to 40 small Latin letters, digits and underscores, and begins with a letter",
        ));
    }
    Ok(Some(Place { model, table, name }))
}

/// A definition in the form in which it is stored, with what was left out filled in.
pub(crate) fn checked(ctx: &Ctx, place: &Place<'_>, value: &Value) -> Result<Value> {
    let own = ctx.bureau().registry.table(place.table);
    if matches!(place.name, "id" | "num" | "version" | "created_at" | "updated_at" | "organization_id")
        || own.is_some_and(|table| table.column(place.name).is_some())
    {
        return Err(Error::invalid(
            "/key",
            format!("{} has a field {} of its own; choose another name", place.model, place.name),
        ));
    }
    let definition = Definition::deserialize(value).map_err(|error| {
        Error::invalid(
            "/value",
            format!(
                "{error}; expected an object with type, label and, as needed, required, default, on_list, options and \
                 multiple"
            ),
        )
    })?;
    definition.check()?;
    serde_json::to_value(definition).map_err(Error::internal)
}

impl Definition {
    fn check(&self) -> Result<()> {
        let wrong = |field: &str, message: &str| Err(Error::invalid(format!("/value/{field}"), message));
        if self.label.trim().is_empty() || self.label.chars().count() > 100 {
            return wrong("label", "expected text of 1 to 100 characters");
        }
        match (self.kind, &self.options) {
            (FieldKind::Select, None) => return wrong("options", "is required with the type select"),
            (FieldKind::Select, Some(options)) => {
                let different = options.iter().collect::<std::collections::HashSet<_>>().len() == options.len();
                let fit = options.iter().all(|option| (1..=100).contains(&option.trim().chars().count()));
                if options.is_empty() || options.len() > 200 || !different || !fit {
                    return wrong("options", "expected 1 to 200 different texts of 1 to 100 characters");
                }
            }
            (_, Some(_)) => return wrong("options", "is for the type select only"),
            (_, None) if self.multiple.is_some() => return wrong("multiple", "is for the type select only"),
            (_, None) => {}
        }
        match &self.default {
            Some(default) if !self.admits(default) => wrong("default", &format!("expected {}", self.expected())),
            _ => Ok(()),
        }
    }

    fn expected(&self) -> &'static str {
        match self.kind {
            FieldKind::String => "text of at most 1000 characters",
            FieldKind::Integer => "a whole number",
            FieldKind::Float => "a number",
            FieldKind::Date => "a date such as 2026-11-21",
            FieldKind::Datetime => "an instant such as 2026-11-21T10:00:00Z",
            FieldKind::Boolean => "true or false",
            FieldKind::Select if self.multiple == Some(true) => "a list of different options",
            FieldKind::Select => "one of the options",
        }
    }

    fn admits(&self, value: &Value) -> bool {
        let is_option = |value: &Value| {
            value.as_str().is_some_and(|text| self.options.iter().flatten().any(|option| option == text))
        };
        match (self.kind, value) {
            (FieldKind::String, Value::String(text)) => text.chars().count() <= 1000,
            (FieldKind::Integer, Value::Number(number)) => number.is_i64(),
            (FieldKind::Float, Value::Number(_)) | (FieldKind::Boolean, Value::Bool(_)) => true,
            (FieldKind::Date, Value::String(text)) => Date::parse(text).is_ok(),
            (FieldKind::Datetime, Value::String(text)) => Instant::parse(text).is_ok(),
            (FieldKind::Select, Value::Array(chosen)) if self.multiple == Some(true) => {
                chosen.iter().all(is_option)
                    && chosen
                        .iter()
                        .enumerate()
                        .all(|(index, one)| !chosen.iter().take(index).any(|other| other == one))
            }
            (FieldKind::Select, one) if self.multiple != Some(true) => is_option(one),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(value: Value) -> Option<String> {
        let definition: Definition = match serde_json::from_value(value) {
            Ok(definition) => definition,
            Err(error) => return Some(error.to_string()),
        };
        definition.check().err().map(|error| error.message().to_owned())
    }

    #[test]
    fn keys_name_a_model_and_a_field() {
        assert_eq!(place("mail.inbox.per_page").unwrap(), None);
        let found = place("crm.client.additional_fields.segment").unwrap().unwrap();
        assert_eq!((found.model, found.name), ("crm.client", "segment"));
        assert_eq!(
            place("crm.clients.additional_fields.x").unwrap_err().message(),
            "/key: crm.clients has no additional fields; expected one of crm.client, crm.contact, organize.task; did you \
             mean crm.client?"
        );
        for name in ["", "Segment", "1st", "a-b", &"a".repeat(41)] {
            assert!(place(&format!("crm.client.additional_fields.{name}")).is_err(), "{name}");
        }
    }

    #[test]
    fn definitions_are_checked_by_their_shape() {
        for good in [
            json!({"type": "string", "label": "Segment", "required": true, "default": "A", "on_list": true}),
            json!({"type": "select", "label": "Kolor", "options": ["biały", "czarny"], "default": "biały"}),
            json!({"type": "select", "label": "Kolory", "options": ["a", "b"], "multiple": true, "default": ["b"]}),
            json!({"type": "date", "label": "Od", "default": "2026-11-21"}),
            json!({"type": "float", "label": "Marża", "default": 1}),
        ] {
            assert_eq!(refused(good), None);
        }
        for (bad, message) in [
            (json!({"type": "string", "label": " "}), "/value/label: expected text of 1 to 100 characters"),
            (json!({"type": "select", "label": "x"}), "/value/options: is required with the type select"),
            (
                json!({"type": "select", "label": "x", "options": ["a", "a"]}),
                "/value/options: expected 1 to 200 different texts of 1 to 100 characters",
            ),
            (json!({"type": "date", "label": "x", "options": ["a"]}), "/value/options: is for the type select only"),
            (json!({"type": "date", "label": "x", "multiple": true}), "/value/multiple: is for the type select only"),
            (
                json!({"type": "date", "label": "x", "default": "wczoraj"}),
                "/value/default: expected a date such as 2026-11-21",
            ),
            (json!({"type": "integer", "label": "x", "default": 1.5}), "/value/default: expected a whole number"),
            (
                json!({"type": "select", "label": "x", "options": ["a"], "default": "b"}),
                "/value/default: expected one of the options",
            ),
            (
                json!({"type": "select", "label": "x", "options": ["a"], "multiple": true, "default": "a"}),
                "/value/default: expected a list of different options",
            ),
        ] {
            assert_eq!(refused(bad).unwrap(), message);
        }
        assert!(refused(json!({"type": "colour", "label": "x"})).unwrap().contains("unknown variant"));
        assert!(refused(json!({"type": "date", "label": "x", "size": 3})).unwrap().contains("unknown field"));
    }
}
