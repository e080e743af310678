//! Schemas of inputs and answers, made from the table.

use serde_json::{Map, Value, json};

use super::list::sorts;
use crate::page;
use crate::schema::allow_null;
use crate::table::{Event, Table, Type};
use crate::tool::Tool;

fn table_of(tool: &Tool) -> &'static Table {
    // Only family tools have these functions as their schemas, and they all have a table.
    static NONE: Table = Table::new("", "", "", &[]);
    tool.table.unwrap_or(&NONE)
}

fn object(properties: Map<String, Value>, required: Vec<&str>) -> Value {
    let mut schema = json!({"type": "object", "properties": properties});
    if let Some(object) = schema.as_object_mut() {
        if !required.is_empty() {
            object.insert("required".into(), json!(required));
        }
        object.insert("additionalProperties".into(), json!(false));
    }
    schema
}

fn id_schema(table: &Table) -> Value {
    json!({"type": "string", "description": format!("UUID or number of the {}.", table.noun), "x-record": table.name})
}

pub(super) fn id_input(tool: &Tool) -> Value {
    let mut properties = Map::new();
    properties.insert("id".into(), id_schema(table_of(tool)));
    object(properties, vec!["id"])
}

pub(super) fn list_input(tool: &Tool) -> Value {
    let table = table_of(tool);
    let mut properties = Map::new();
    if table.searchable() {
        let searched: Vec<&str> =
            table.columns.iter().filter(|column| column.search).map(|column| column.name).collect();
        let about = format!("Words to find anywhere in {}, whatever the case and diacritics.", searched.join(", "));
        properties.insert("q".into(), json!({"type": "string", "maxLength": 1024, "description": about}));
    }
    for column in table.columns.iter().filter(|column| column.filter) {
        let mut schema = column.schema();
        schema.insert("description".into(), json!(format!("Only with this value. {}", column.about)));
        properties.insert(column.name.into(), Value::Object(schema));
    }
    for column in table.columns.iter().filter(|column| column.range) {
        for (suffix, words) in [("from", "From this value on"), ("to", "Up to this value")] {
            let mut schema = column.schema();
            schema.insert("description".into(), json!(format!("{words}, inclusive. {}", column.about)));
            properties.insert(format!("{}_{suffix}", column.name), Value::Object(schema));
        }
    }
    for (name, about) in [
        ("created_at_from", "Made since."),
        ("created_at_to", "Made until."),
        ("updated_at_from", "Changed since."),
        ("updated_at_to", "Changed until."),
    ] {
        properties.insert(name.into(), json!({"type": "string", "format": "date-time", "description": about}));
    }
    properties.insert("sort".into(), json!({"type": "string", "enum": sorts(table), "description": "Column to sort by; newest first when left out."}));
    properties.extend(page::input_properties());
    object(properties, Vec::new())
}

fn write_properties(table: &Table, event: Event) -> Map<String, Value> {
    let mut properties = Map::new();
    for column in table.columns {
        let accepted = if event == Event::Create { column.on_create } else { column.on_update };
        if !accepted {
            continue;
        }
        let mut schema = column.schema();
        if event == Event::Update && column.nullable() {
            allow_null(&mut schema);
            schema.insert("description".into(), json!(format!("{} Null clears it.", column.about)));
        }
        if let (Event::Create, Some(default)) = (event, column.default)
            && let Ok(default) = serde_json::from_str::<Value>(default)
        {
            schema.insert("default".into(), default);
        }
        properties.insert(column.name.into(), Value::Object(schema));
    }
    if table.in_organization {
        properties.insert(
            "organization_id".into(),
            json!({"type": "string", "description": "Its organization; yours when left out.", "x-record": "organizations"}),
        );
    }
    properties
}

pub(super) fn create_input(tool: &Tool) -> Value {
    let table = table_of(tool);
    let required =
        table.columns.iter().filter(|column| column.on_create && column.required && column.default.is_none());
    object(write_properties(table, Event::Create), required.map(|column| column.name).collect())
}

pub(super) fn update_input(tool: &Tool) -> Value {
    let table = table_of(tool);
    let mut properties = Map::new();
    properties.insert("id".into(), id_schema(table));
    properties.extend(write_properties(table, Event::Update));
    object(properties, vec!["id"])
}

/// The schema of a record as tools answer it.
pub fn record_schema(table: &Table) -> Value {
    let mut properties = Map::new();
    let mut required = vec!["id"];
    properties.insert("id".into(), json!({"type": "string", "description": "UUID."}));
    if table.numbered {
        properties.insert("num".into(), json!({"type": "integer", "description": "Number in the tenant."}));
        required.push("num");
    }
    for column in table.shown() {
        let mut schema = column.schema();
        // Answers may hold what an older, stricter or looser rule let in: only the type is promised.
        for limit in ["maxLength", "minimum", "maximum", "pattern", "format"] {
            schema.shift_remove(limit);
        }
        if column.kind == Type::Json {
            schema.shift_remove("type");
            schema.shift_remove("additionalProperties");
        }
        if column.nullable() {
            allow_null(&mut schema);
        }
        properties.insert(column.name.into(), Value::Object(schema));
        required.push(column.name);
    }
    if table.in_organization {
        properties.insert(
            "organization_id".into(),
            json!({"type": ["string", "null"], "description": "Organization it belongs to; null is the whole tenant."}),
        );
        required.push("organization_id");
    }
    properties.insert(
        "version".into(),
        json!({"type": "integer", "description": "Grows with every change; see expected_version."}),
    );
    properties.insert("created_at".into(), json!({"type": "string", "description": "When it was made."}));
    properties.insert("updated_at".into(), json!({"type": "string", "description": "When it last changed."}));
    required.extend(["version", "created_at", "updated_at"]);
    object(properties, required)
}

pub(super) fn record_output(tool: &Tool) -> Value {
    record_schema(table_of(tool))
}

pub(super) fn list_output(tool: &Tool) -> Value {
    page::output_schema(record_schema(table_of(tool)))
}

pub(super) fn deleted_output(_: &Tool) -> Value {
    json!({"type": "object", "properties": {
        "ok": {"type": "boolean", "description": "Always true."},
        "id": {"type": "string", "description": "UUID of what was deleted."}
    }, "required": ["ok", "id"]})
}
