//! The tools as an assistant elsewhere lists and carries them out.

use bureau_kit::prelude::*;
use bureau_kit::registry::Entry;
use bureau_kit::tool::{Danger, Effect, Executes};

use super::USE;

pub(super) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("ai_tool_list", USE, list)
            .title("List the assistant's tools")
            .about(
                "List the tools you may use, toolset by toolset or, with `query`, the best matches first; with their input \
                 schemas on request. ai_tool_execute carries one out. tool_search is the shorter way for one task.",
            )
            .synonyms("ai catalog functions schemas narzędzia asystenta lista інструменти асистента список"),
        Tool::executor(
            "ai_tool_execute",
            USE,
            Executes {
                dangers: &[Danger::Read, Danger::Write],
                name: &["toolName", "tool_name", "name"],
                arguments: &["args", "arguments"],
                enveloped: true,
            },
        )
        .title("Carry out a tool for the assistant")
        .about(
            "Carry out one tool by its name, with the same checks as when it is called itself, and answer {success, result}. \
             Tools that read or add are carried out; for one that deletes, merges or replaces use tool_call_destructive. \
             dry_run, idempotency_key and expected_version stand beside `args` or in it.",
        )
        .synonyms("ai run call function execute wykonaj narzędzie asystent виконати інструмент асистент"),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// What you want to do, in words; the best matches come first.
    query: Option<String>,
    /// Only tools of this toolset.
    #[serde(alias = "toolset")]
    module: Option<String>,
    /// Whether each tool comes with the schema of its arguments.
    #[serde(alias = "include_schemas")]
    with_schemas: Option<bool>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Tools on a page, 50 when left out.
    #[serde(alias = "limit")]
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ToolRow {
    /// Name of the tool.
    name: String,
    /// What it does.
    description: String,
    /// Schema of its arguments, when asked for.
    #[serde(rename = "inputSchema", skip_serializing_if = "Option::is_none")]
    input_schema: Option<Map<String, Value>>,
    /// Its toolset.
    module: String,
    /// What it does to records: read, create, update, delete or action.
    #[schemars(with = "String")]
    effect: Effect,
    /// Whether ai_tool_execute carries it out; tool_call_destructive does the others.
    executable: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ToolPage {
    /// The tools of this page.
    tools: Vec<ToolRow>,
    /// How many there are in all.
    total: usize,
    /// This page, from 1.
    page: i64,
    /// Tools on a page.
    page_size: i64,
    /// How many pages the total makes.
    total_pages: usize,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<ToolPage> {
    let (page, page_size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    let bureau = ctx.bureau().clone();
    let registry = &bureau.registry;
    if let Some(module) = &input.module
        && !registry.toolsets().iter().any(|(name, _)| name == module)
    {
        let names: Vec<&str> = registry.toolsets().iter().map(|(name, _)| *name).collect();
        let why = format!("there is no toolset `{module}`; expected one of {}", names.join(", "));
        return Err(Error::invalid("/module", why));
    }
    let entries: Vec<&Entry> = match input.query.as_deref().map(str::trim).filter(|query| !query.is_empty()) {
        Some(query) => registry.ranked(query).collect(),
        None => registry.entries().iter().collect(),
    };
    let wanted = |entry: &&Entry| {
        input.module.as_ref().is_none_or(|module| module == entry.toolset)
            && bureau.admits(ctx.principal(), ctx.selection(), entry)
    };
    let entries: Vec<&Entry> = entries.into_iter().filter(wanted).collect();
    let size = usize::try_from(page_size).unwrap_or(usize::MAX).max(1);
    let skipped = usize::try_from(page.saturating_sub(1)).unwrap_or(usize::MAX).saturating_mul(size);
    let with_schemas = input.with_schemas.unwrap_or_default();
    let row = |entry: &&Entry| ToolRow {
        name: entry.tool.name.to_owned(),
        description: entry.tool.about.clone(),
        input_schema: with_schemas.then(|| match bureau_kit::schema::published(&entry.tool.input_schema()) {
            Value::Object(schema) => schema,
            _ => Map::new(),
        }),
        module: entry.toolset.to_owned(),
        effect: entry.tool.effect,
        executable: entry.tool.danger() != Danger::Destructive && !entry.tool.is_executor(),
    };
    let tools = entries.iter().skip(skipped).take(size).map(row).collect();
    Ok(ToolPage { tools, total: entries.len(), page, page_size, total_pages: entries.len().div_ceil(size) })
}
