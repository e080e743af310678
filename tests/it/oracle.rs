//! Who may use what, worked out a second time and in another way: from what `schemas/` publishes of the tools and from the
//! features that roles publish. Nothing here asks the gate.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// What `schemas/` says of a tool, as far as it decides who may use it.
#[derive(Debug, Clone)]
pub struct Published {
    pub toolset: String,
    pub writes: bool,
    pub destructive: bool,
    /// Needs no credential.
    pub public: bool,
    /// Any of these is enough.
    pub rights: Vec<String>,
}

/// Tools that carry out another one, which passes the checks as well.
pub const EXECUTORS: &[&str] = &["tool_call_read", "tool_call_write", "tool_call_destructive", "ai_tool_execute"];

/// Every published tool by name.
pub fn published() -> BTreeMap<String, Published> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let directories = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = directories.flat_map(|directory| std::fs::read_dir(directory).unwrap());
    files
        .map(|file| {
            let tool: Value = serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
            let published = Published {
                toolset: tool["toolset"].as_str().unwrap().to_owned(),
                writes: tool["effect"] != "read",
                destructive: tool["annotations"]["destructiveHint"] == true,
                public: tool["public"] == true,
                rights: names(&tool["rights"]),
            };
            (tool["name"].as_str().unwrap().to_owned(), published)
        })
        .collect()
}

/// The texts of a JSON list.
pub fn names(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Whether a grant gives a right: name by name between the dots, where a last `*` stands for all that follows.
pub fn gives(grant: &str, right: &str) -> bool {
    let (grant, right): (Vec<&str>, Vec<&str>) = (grant.split('.').collect(), right.split('.').collect());
    match grant.split_last() {
        Some((&"*", prefix)) => right.starts_with(prefix),
        _ => grant == right,
    }
}

/// Above what concerns the whole installation; only its administrators hold what lies below.
const INSTALLATION: &[&str] = &["configs", "directory.tenants", "feature_toggles"];

/// Whether only administrators of the installation hold it.
pub fn is_of_installation(right: &str) -> bool {
    INSTALLATION.iter().any(|place| right == *place || right.starts_with(&format!("{place}.")))
}

/// What the person or key behind a token holds.
#[derive(Debug, Clone, Default)]
pub struct Held {
    pub features: Vec<String>,
    /// Administers the installation.
    pub super_admin: bool,
}

impl Held {
    pub fn of(features: &[String]) -> Self {
        Self { features: features.to_vec(), super_admin: false }
    }

    /// Whether the right is held, whatever the token.
    pub fn gives(&self, right: &str) -> bool {
        let below = |place: &&str| right == *place || right.starts_with(&format!("{place}."));
        let reserved = INSTALLATION.iter().any(below);
        self.super_admin || (!reserved && self.features.iter().any(|grant| gives(grant, right)))
    }
}

/// What a token was narrowed to.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    pub features: Option<Vec<String>>,
    pub toolsets: Option<Vec<String>>,
    pub read_only: bool,
}

/// Why a tool may not be used: what the refusal must say is missing.
pub fn missing(held: &Held, limits: &Limits, tool: &Published) -> Option<String> {
    let left =
        |right: &String| limits.features.as_ref().is_none_or(|list| list.iter().any(|grant| gives(grant, right)));
    let usable = |right: &String| held.gives(right) && left(right);
    if !tool.rights.is_empty() && !tool.rights.iter().any(usable) {
        return Some(tool.rights.join(" or "));
    }
    if tool.writes && limits.read_only {
        return Some("write".to_owned());
    }
    // Tools that find and carry out others belong to every token.
    let switched_on = |list: &Vec<String>| tool.toolset == "discovery" || list.contains(&tool.toolset);
    if limits.toolsets.as_ref().is_some_and(|list| !switched_on(list)) {
        return Some(format!("toolset {}", tool.toolset));
    }
    None
}

/// The oracle itself is held to a table.
#[test]
fn grants_give_what_the_table_says() {
    for (grant, right, expected) in [
        ("*", "contracts.view", true),
        ("contracts.*", "contracts.view", true),
        ("contracts.*", "contracts", true),
        ("contracts.*", "contracts.steps.one", true),
        ("contracts.view", "contracts.view", true),
        ("contracts.view", "contracts.view.all", false),
        ("contracts", "contracts.view", false),
        ("contracts.*", "contractsx.view", false),
        ("contract*", "contracts.view", false),
        ("*.view", "contracts.view", false),
        ("", "contracts.view", false),
    ] {
        assert_eq!(gives(grant, right), expected, "{grant} over {right}");
    }
}
