//! JSON Schemas in the form that real clients accept, and the list of everything wrong with an input.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::args::nearest;
use crate::error::FieldError;
use crate::table::shown;

/// The schema of an input type: optional fields are simply not required, and null is never advertised for them.
pub fn input_schema_of<T: JsonSchema>() -> Value {
    schema_of::<T>(Direction::Input)
}

/// The schema of an output type: a field that may be null says so, since clients check answers against it.
pub fn output_schema_of<T: JsonSchema>() -> Value {
    schema_of::<T>(Direction::Output)
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Input,
    Output,
}

fn schema_of<T: JsonSchema>(direction: Direction) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    if direction == Direction::Output {
        settings = settings.for_serialize();
    }
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    normalise(&mut schema, direction);
    if let Some(object) = schema.as_object_mut() {
        // The type's own doc comment describes the struct to programmers; the tool has its own description.
        object.remove("description");
        object.entry("type").or_insert_with(|| json!("object"));
        object.entry("properties").or_insert_with(|| json!({}));
    }
    schema
}

/// Rewrites what schemars writes into what clients read (mcp-protocol.md §7.4).
fn normalise(schema: &mut Value, direction: Direction) {
    if let Value::Bool(_) = schema {
        // A bare `true` makes several clients drop the whole server.
        *schema = json!({"type": "object", "additionalProperties": true});
        return;
    }
    let Some(object) = schema.as_object_mut() else { return };
    object.remove("$schema");
    object.remove("title");
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if object.get("format").and_then(Value::as_str).is_some_and(|format| !["date", "date-time"].contains(&format)) {
        object.remove("format");
    }
    let mut nullable = false;
    if let Some(Value::Array(arms)) = object.get_mut("anyOf") {
        let before = arms.len();
        arms.retain(|arm| arm.get("type").and_then(Value::as_str) != Some("null"));
        nullable |= arms.len() < before;
        if let [only] = arms.as_mut_slice() {
            let mut only = std::mem::take(only);
            object.remove("anyOf");
            if let Some(arm) = only.as_object_mut() {
                for (key, value) in std::mem::take(arm) {
                    object.entry(key).or_insert(value);
                }
            }
        }
    }
    fold_documented_enum(object);
    if let Some(Value::Array(types)) = object.get_mut("type") {
        let before = types.len();
        types.retain(|name| name != "null");
        nullable |= types.len() < before;
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
        object.entry("type").or_insert_with(|| json!("string"));
    }
    let clearable = object.remove("x-clearable").is_some();
    if (nullable && direction == Direction::Output) || clearable {
        allow_null(object);
    }
    for key in ["properties", "$defs"] {
        if let Some(Value::Object(members)) = object.get_mut(key) {
            members.values_mut().for_each(|member| normalise(member, direction));
        }
    }
    if let Some(items) = object.get_mut("items") {
        normalise(items, direction);
    } else if object.get("type").and_then(Value::as_str) == Some("array") {
        object.insert("items".into(), json!({"type": "object", "additionalProperties": true}));
    }
    // `additionalProperties: false` and `true` are fine as they are; a schema there is normalised like any other.
    if let Some(more @ Value::Object(_)) = object.get_mut("additionalProperties") {
        normalise(more, direction);
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(Value::Array(arms)) = object.get_mut(key) {
            arms.iter_mut().for_each(|arm| normalise(arm, direction));
        }
    }
}

/// An enum with documented variants comes as `oneOf` constants: the values go into `enum`, the texts into the description.
fn fold_documented_enum(object: &mut Map<String, Value>) {
    let Some(Value::Array(arms)) = object.get("oneOf") else { return };
    let mut choices = Vec::new();
    let mut texts = Vec::new();
    for arm in arms {
        match (arm.get("const"), arm.get("enum").and_then(Value::as_array)) {
            (Some(value), _) => {
                if let (Some(name), Some(text)) = (value.as_str(), arm.get("description").and_then(Value::as_str)) {
                    texts.push(format!("{name}: {}", text.trim_end_matches('.')));
                }
                choices.push(value.clone());
            }
            (None, Some(values)) => choices.extend(values.iter().cloned()),
            _ => return,
        }
    }
    object.remove("oneOf");
    object.insert("type".into(), json!("string"));
    object.insert("enum".into(), Value::Array(choices));
    if !texts.is_empty() {
        let own = object.get("description").and_then(Value::as_str).map_or_else(String::new, |text| format!("{text} "));
        object.insert("description".into(), json!(format!("{own}({})", texts.join("; "))));
    }
}

/// Adds null to what a schema allows.
pub(crate) fn allow_null(object: &mut Map<String, Value>) {
    match object.get_mut("type") {
        Some(Value::Array(names)) => names.push(json!("null")),
        Some(Value::String(name)) => {
            let name = name.clone();
            object.insert("type".into(), json!([name, "null"]));
        }
        _ => {}
    }
    if let Some(Value::Array(choices)) = object.get_mut("enum") {
        choices.push(Value::Null);
    }
}

/// A copy without the marks that only generated tests read.
pub fn published(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => Value::Object(
            object
                .iter()
                .filter(|(key, _)| !key.starts_with("x-"))
                .map(|(key, value)| (key.clone(), published(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(published).collect()),
        other => other.clone(),
    }
}

/// Everything wrong with `value` by `schema`, for the words of an error. Runs only after decoding has failed, so it
/// need not be complete: what it does not find, the decoder's own message tells.
pub(crate) fn problems(schema: &Value, value: &Value, path: &str, found: &mut Vec<FieldError>) {
    let mut report = |message: String, expected: Option<String>| {
        let path = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
        found.push(FieldError { path, message, expected });
    };
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|name| is_of_type(value, name, schema)) {
        let expected = expectation(schema, &types);
        report(format!("expected {expected}, got {}", shown(value)), Some(expected));
        return;
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array)
        && !choices.contains(value)
    {
        let expected = format!("one of {}", choices.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
        report(format!("expected {expected}, got {}", shown(value)), Some(expected));
        return;
    }
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    if let Some(number) = value.as_f64()
        && (bound("minimum").is_some_and(|minimum| number < minimum)
            || bound("maximum").is_some_and(|maximum| number > maximum))
    {
        let expected = expectation(schema, &types);
        report(format!("expected {expected}, got {}", shown(value)), Some(expected));
    }
    if let (Some(text), Some(max)) = (value.as_str(), schema.get("maxLength").and_then(Value::as_u64))
        && u64::try_from(text.chars().count()).unwrap_or(u64::MAX) > max
    {
        report(format!("is longer than {max} characters"), Some(format!("at most {max} characters")));
    }
    if let (Value::Object(given), Some(Value::Object(properties))) = (value, schema.get("properties")) {
        for (name, member) in given {
            let inner = format!("{path}/{name}");
            match properties.get(name) {
                // A field that may be left out may also be null.
                Some(_) if member.is_null() && !is_required(schema, name) => {}
                Some(property) => problems(property, member, &inner, found),
                None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => {
                    found.push(unknown_field(&inner, name, properties.keys().map(String::as_str)));
                }
                None => {}
            }
        }
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !given.contains_key(name) {
                let expected = properties.get(name).map(|property| expectation(property, &[]));
                found.push(FieldError { path: format!("{path}/{name}"), message: "is required".into(), expected });
            }
        }
    }
    if let (Value::Array(items), Some(item_schema)) = (value, schema.get("items")) {
        for (index, item) in items.iter().enumerate() {
            problems(item_schema, item, &format!("{path}/{index}"), found);
        }
    }
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|required| required == name))
}

/// The error for an argument that the tool does not have.
pub(crate) fn unknown_field<'a>(path: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> FieldError {
    let message = match nearest(name, known.clone()) {
        Some(near) => format!("unknown argument; did you mean `{near}`?"),
        None => "unknown argument".to_owned(),
    };
    let known: Vec<&str> = known.collect();
    let expected = if known.is_empty() { "no arguments".to_owned() } else { format!("one of {}", known.join(", ")) };
    FieldError { path: path.to_owned(), message, expected: Some(expected) }
}

fn is_of_type(value: &Value, name: &str, schema: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        // Ids may be sent as numbers, amounts as numbers: both say so in their descriptions.
        "string" => value.is_string() || (value.is_number() && (schema.get("x-record").is_some() || is_amount(schema))),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => true,
    }
}

fn is_amount(schema: &Value) -> bool {
    schema.get("pattern").and_then(Value::as_str).is_some_and(|pattern| pattern.contains("\\."))
}

fn expectation(schema: &Value, types: &[&str]) -> String {
    if schema.get("x-record").is_some() {
        return "the UUID or number of a record".into();
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        return format!("one of {}", choices.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
    }
    match (schema.get("minimum"), schema.get("maximum")) {
        (Some(minimum), Some(maximum)) => return format!("a whole number from {minimum} to {maximum}"),
        (Some(minimum), None) => return format!("a number of at least {minimum}"),
        _ => {}
    }
    match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => return "an instant such as 2026-11-21T10:00:00Z".into(),
        Some("date") => return "a date such as 2026-11-21".into(),
        _ => {}
    }
    if is_amount(schema) {
        return "an amount such as \"1234.50\"".into();
    }
    let name = types.first().copied().or_else(|| schema.get("type").and_then(Value::as_str)).unwrap_or("a value");
    match name {
        "string" => "text".into(),
        "integer" => "a whole number".into(),
        "boolean" => "true or false".into(),
        "object" => "an object".into(),
        "array" => "a list".into(),
        other => other.to_owned(),
    }
}
