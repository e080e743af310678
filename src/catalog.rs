//! The index of the product: every toolset, every table, and what a client sees first.

use std::sync::Arc;

use bureau_kit::discovery;
use bureau_kit::mail::Letter;
use bureau_kit::registry::{Registry, Toolset};
use bureau_kit::table::Table;

/// Every toolset, in the order in which lists show them.
pub fn toolsets() -> Vec<Toolset> {
    let mut toolsets = vec![discovery::toolset()];
    toolsets.extend(bureau_identity::toolsets());
    toolsets.extend(bureau_crm::toolsets());
    toolsets.extend(bureau_contracts::toolsets());
    toolsets.extend(bureau_work::toolsets());
    toolsets.extend(bureau_platform::toolsets());
    // Worksection's eleven actions belong together, though each acts on the tables of its own group.
    let worksection =
        [bureau_identity::worksection_tools(), bureau_crm::worksection_tools(), bureau_work::worksection_tools()];
    toolsets.push(Toolset {
        name: "worksection",
        about: "Worksection's member actions, under their own names and with their own answers.",
        tools: worksection.into_iter().flatten().collect(),
    });
    toolsets
}

/// Every described table.
pub fn tables() -> Vec<&'static Table> {
    [
        bureau_identity::TABLES,
        bureau_crm::TABLES,
        bureau_contracts::TABLES,
        bureau_work::TABLES,
        bureau_platform::TABLES,
    ]
    .concat()
}

/// Every mail that can be sent.
pub fn letters() -> Vec<Arc<dyn Letter>> {
    [bureau_identity::letters(), bureau_platform::letters()].concat()
}

/// The registry of the running server.
pub fn registry() -> Result<Registry, String> {
    Registry::new(toolsets(), &tables(), include_str!("../tools/sources.json"))
}

/// What `tools/list` shows when nobody selects: what an assistant does most. Everything else is found by
/// `tool_search` and called by name or through an executor.
pub const CORE: &[&str] = &[
    "tool_search",
    "tool_call_read",
    "tool_call_write",
    "tool_call_destructive",
    "batch_call",
    "me",
    "task_list",
    "task_show",
    "task_create",
    "task_update",
    "task_close",
    "task_comment_create",
    "project_list",
    "person_list",
    "person_show",
    "person_create",
    "person_update",
    "person_merge",
    "company_list",
    "company_show",
    "contract_list",
    "contract_show",
    "contract_balance_show",
    "contract_payment_method_create",
    "contract_settle",
    "user_list",
    "session_create",
    "session_revoke",
    "permission_explain",
    "action_log_list",
    "action_undo",
];

/// Everything about a tool, as `schemas/`, `bureau tools --json` and the documentation show it.
pub fn described(entry: &bureau_kit::registry::Entry) -> serde_json::Map<String, serde_json::Value> {
    use serde_json::json;
    let mut object = entry.listing(true);
    object.insert("toolset".into(), json!(entry.toolset));
    object.insert("effect".into(), json!(entry.tool.effect));
    object.insert("rights".into(), json!(entry.tool.rights));
    if entry.tool.public {
        object.insert("public".into(), json!(true));
    }
    if !entry.tool.aliases.is_empty() {
        object.insert("aliases".into(), json!(entry.tool.aliases));
    }
    if let Some(why) = entry.tool.irreversible {
        object.insert("irreversible".into(), json!(why));
    }
    object.insert("sources".into(), json!(entry.sources));
    object
}
