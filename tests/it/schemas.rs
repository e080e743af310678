//! What clients demand of every tool, and the published snapshots of them all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bureau::catalog;
use bureau_kit::registry::Entry;
use serde_json::Value;

/// Bytes of the default list, over four: about the tokens it costs a model.
const CORE_TOKENS: usize = 12_000;

fn fault(entry: &Entry) -> Vec<String> {
    let tool = &entry.tool;
    let mut faults = Vec::new();
    let mut demand = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("{}: {what}", tool.name));
        }
    };
    let plain = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    demand(plain(tool.name) && tool.name.len() <= 48, "the name must be snake_case of at most 48 letters");
    demand(!tool.title.is_empty() && tool.title.chars().count() <= 60, "a title of at most 60 letters");
    demand(!tool.about.is_empty() && tool.about.ends_with('.'), "a description in whole sentences");
    demand(tool.about.chars().count() <= 420, "a description of at most 420 letters");
    demand(!tool.synonyms.is_empty() || entry.toolset == "discovery", "synonyms to be found by");
    demand(!tool.rights.is_empty() || tool.public || OPEN_TO_ALL.contains(&tool.name), "a right");
    for (which, schema) in [("input", tool.input_schema()), ("output", tool.output_schema())] {
        let schema = bureau_kit::schema::published(&schema);
        demand(
            schema["type"] == "object" && schema["properties"].is_object(),
            &format!("the {which} schema must be an object with properties"),
        );
        for word in ["oneOf", "anyOf", "allOf", "not", "if", "$ref", "enum", "$schema", "title"] {
            demand(schema.get(word).is_none(), &format!("the {which} schema has {word} at its root"));
        }
        let mut wrong = Vec::new();
        inspect(&schema, which, &mut wrong);
        wrong.iter().for_each(|what| demand(false, what));
        demand(jsonschema::validator_for(&schema).is_ok(), &format!("the {which} schema is not a JSON Schema"));
    }
    demand(tool.input_schema()["additionalProperties"] == false, "unknown arguments must be refused");
    faults
}

/// Tools that every authenticated caller may use: they act on the caller itself, or carry out other tools.
const OPEN_TO_ALL: &[&str] = &[
    "tool_search",
    "tool_call_read",
    "tool_call_write",
    "tool_call_destructive",
    "batch_call",
    "permission_explain",
    "session_create",
    "session_list",
    "session_logout",
    "session_refresh",
    "session_revoke",
    "me",
    "organization_switcher_show",
    "feature_toggle_boolean_check",
    "feature_toggle_string_check",
    "feature_toggle_number_check",
    "feature_toggle_json_check",
];

/// Walks a schema and collects what one client or another chokes on (mcp-protocol.md §7.4).
fn inspect(schema: &Value, path: &str, wrong: &mut Vec<String>) {
    let Some(object) = schema.as_object() else {
        wrong.push(format!("{path} is {schema}, not a schema object"));
        return;
    };
    for word in ["$ref", "$defs", "x-record", "prefixItems"] {
        if object.contains_key(word) {
            wrong.push(format!("{path} has {word}"));
        }
    }
    if let Some(format) = object.get("format").and_then(Value::as_str)
        && !["date", "date-time"].contains(&format)
    {
        wrong.push(format!("{path} has the format {format}"));
    }
    if object.get("default").is_some_and(Value::is_null) {
        wrong.push(format!("{path} has a null default"));
    }
    if object.get("type").is_some_and(|kind| kind == "array") && !object.get("items").is_some_and(Value::is_object) {
        wrong.push(format!("{path} is an array without items"));
    }
    for (name, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}.{name}");
        if name.is_empty() || name.len() > 64 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
            wrong.push(format!("{path} is no name that providers take"));
        }
        if property.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
            wrong.push(format!("{path} has no description"));
        }
        inspect(property, &path, wrong);
    }
    if let Some(items) = object.get("items") {
        inspect(items, &format!("{path}[]"), wrong);
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        for arm in object.get(word).and_then(Value::as_array).into_iter().flatten() {
            inspect(arm, &format!("{path}|{word}"), wrong);
        }
    }
}

#[test]
fn every_tool_is_one_that_clients_accept_and_models_understand() {
    let registry = catalog::registry().unwrap();
    let faults: Vec<String> = registry.entries().iter().flat_map(fault).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_core_list_exists_and_fits_a_model() {
    let registry = catalog::registry().unwrap();
    assert!(catalog::CORE.len() <= 40);
    let mut bytes = 0;
    for name in catalog::CORE {
        let entry = registry.find(name).unwrap_or_else(|| panic!("the core names {name}, which does not exist"));
        bytes += Value::Object(entry.listing(false)).to_string().len();
    }
    assert!(bytes / 4 <= CORE_TOKENS, "the core list costs about {} tokens, more than {CORE_TOKENS}", bytes / 4);
}

/// With `UPDATE_SCHEMAS=1` this writes `schemas/` anew instead of comparing.
#[test]
fn published_schemas_are_current() {
    let registry = catalog::registry().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let mut wanted: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut index =
        String::from("# Every tool\n\nMade by `UPDATE_SCHEMAS=1 cargo test published_schemas`; do not edit.\n");
    for (toolset, about) in registry.toolsets() {
        index.push_str(&format!(
            "\n## {toolset}\n\n{about}\n\n| tool | effect | right | what it does |\n| --- | --- | --- | --- |\n"
        ));
        for entry in registry.entries().iter().filter(|entry| entry.toolset == *toolset) {
            let file = PathBuf::from(toolset).join(format!("{}.json", entry.tool.name));
            wanted.insert(file, format!("{:#}\n", Value::Object(catalog::described(entry))));
            let effect = serde_json::to_value(entry.tool.effect).unwrap();
            index.push_str(&format!(
                "| `{}` | {} | {} | {} |\n",
                entry.tool.name,
                effect.as_str().unwrap(),
                entry.tool.rights.join(" or "),
                entry.tool.title
            ));
        }
    }
    wanted.insert(PathBuf::from("CATALOG.md"), index);
    let found = files_below(&root);
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        for file in found.keys().filter(|file| !wanted.contains_key(*file)) {
            std::fs::remove_file(root.join(file)).unwrap();
        }
        for (file, text) in &wanted {
            std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            std::fs::write(root.join(file), text).unwrap();
        }
        return;
    }
    let stale: Vec<String> = wanted
        .keys()
        .chain(found.keys())
        .filter(|file| wanted.get(*file) != found.get(*file))
        .map(|file| file.display().to_string())
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    assert!(
        stale.is_empty(),
        "schemas/ is not current: {}. Run UPDATE_SCHEMAS=1 cargo test published_schemas",
        stale.join(", ")
    );
}

fn files_below(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_owned();
                files.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}
