//! The events that webhooks can be about, by our names and by Intum's.

use bureau_kit::events::OPERATIONS;
use bureau_kit::prelude::*;
use bureau_kit::registry::Registry;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("webhook_event_list", crate::webhooks::VIEW, list)
            .title("List events for webhooks")
            .about(
                "List the kinds of records whose changes a webhook can be told, with what can happen to each and whether you may \
                 subscribe to it. Each pair makes an event such as task.update; webhook_create takes them.",
            )
            .synonyms("source types kinds subscriptions typy zdarzeń webhooka типи подій вебхука"),
    ]
}

/// What Intum calls its models, and our nouns for them.
const INTUM: &[(&str, &str)] = &[
    ("Organize::Task", "task"),
    ("Organize::Project", "project"),
    ("Organize::Tasklist", "tasklist"),
    ("Organize::Todo", "todo"),
    ("Organize::Team", "team"),
    ("Organize::Tag", "tag"),
    ("Crm::Client", "company"),
    ("Crm::Contact", "person"),
    ("Crm::Company", "company"),
    ("Account::User", "user"),
    ("Account::Role", "role"),
    ("Account::Department", "group"),
    ("Account::Group", "group"),
    ("User", "user"),
    ("Comment", "comment"),
];

/// A kind of record in events: a table, or one of the kinds that share it.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) about: &'static str,
    /// Any of these rights shows such records; without one, only all rights do.
    pub(crate) rights: Vec<&'static str>,
}

/// Everything that events can be about, in the order of the catalogue.
pub(crate) fn sources(registry: &Registry) -> Vec<Source> {
    let mut sources = Vec::new();
    for table in registry.tables() {
        let kinds = table.column("kind").map(|column| column.kind);
        let kinds: Vec<&str> = match kinds {
            Some(bureau_kit::table::Type::Choice(kinds)) => {
                kinds.iter().copied().filter(|kind| registry.find(&format!("{kind}_show")).is_some()).collect()
            }
            _ => Vec::new(),
        };
        let names = if kinds.is_empty() { vec![table.noun] } else { kinds };
        for name in names {
            sources.push(Source { name: name.to_owned(), about: table.about, rights: rights(registry, table, name) });
        }
    }
    sources
}

/// The rights of the tools that show such a record.
fn rights(registry: &Registry, table: &'static Table, name: &str) -> Vec<&'static str> {
    let shows = ["show", "list"].iter().find_map(|verb| registry.find(&format!("{name}_{verb}")));
    let shows = shows.or_else(|| {
        registry.entries().iter().find(|entry| {
            let target = entry.tool.target.is_some_and(|target| std::ptr::eq(target, table));
            target && !entry.tool.writes()
        })
    });
    shows.map(|entry| entry.tool.rights.clone()).unwrap_or_default()
}

impl Source {
    /// Whether somebody may be told of such records: who may see them.
    fn is_for(&self, ctx: &Ctx) -> bool {
        if self.rights.is_empty() { ctx.principal().may(&["*"]) } else { ctx.principal().may(&self.rights) }
    }
}

/// A subscription as it is stored, out of a caller's words: `task.update`, `Organize::Task.update`, `task.*`, `*`.
pub(crate) fn subscription(ctx: &Ctx, path: &str, text: &str) -> Result<String> {
    let text = text.trim();
    if text == "*" {
        if ctx.principal().may(&["*"]) {
            return Ok(text.to_owned());
        }
        return Err(Error::forbidden(
            "All events at once need all rights. Name the events that you may see; webhook_event_list has them.",
        )
        .with("missing", "*"));
    }
    let (source, operation) = text.rsplit_once('.').unwrap_or((text, ""));
    pair(ctx, path, source, path, operation)
}

/// The same for a source type and a kind that stand in two arguments.
pub(crate) fn pair(ctx: &Ctx, source_path: &str, source: &str, kind_path: &str, kind: &str) -> Result<String> {
    let kind = match kind.trim() {
        "delete" => "destroy",
        other => other,
    };
    if kind != "*" && !OPERATIONS.contains(&kind) {
        let wrong =
            if kind.is_empty() { "has no kind of event".to_owned() } else { format!("`{kind}` is no kind of event") };
        return Err(Error::invalid(
            kind_path,
            format!("{wrong}: there are create, update, destroy and * for all of them"),
        ));
    }
    let source = noun_of(source.trim());
    let bureau = ctx.bureau().clone();
    let all = sources(&bureau.registry);
    let Some(found) = all.iter().find(|candidate| candidate.name == source) else {
        return Err(Error::invalid(
            source_path,
            format!("there are no events about `{source}`; webhook_event_list has those that there are"),
        ));
    };
    if !found.is_for(ctx) {
        let rights = if found.rights.is_empty() { "*".to_owned() } else { found.rights.join(" or ") };
        return Err(Error::forbidden(format!(
            "To be told of every {source} one must be allowed to see them, which needs the right {rights}. Leave it out, or ask an \
             administrator."
        ))
        .with("missing", rights));
    }
    Ok(format!("{source}.{kind}"))
}

/// Our noun for one of Intum's models; anything else is taken as it is.
fn noun_of(name: &str) -> String {
    INTUM.iter().find(|(intum, _)| *intum == name).map_or(name, |(_, noun)| noun).to_owned()
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {}

#[derive(Debug, Serialize, JsonSchema)]
struct EventRow {
    /// Kind of record, as source_type takes it.
    source_type: String,
    /// Names of other systems that are accepted in its place.
    aliases: Vec<&'static str>,
    /// What such a record is.
    about: &'static str,
    /// What can happen to it: create, update, destroy.
    kinds: Vec<&'static str>,
    /// Whether you may subscribe to it.
    allowed: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct EventRows {
    /// The kinds of records.
    items: Vec<EventRow>,
}

async fn list(ctx: &mut Ctx, _: ListInput) -> Result<EventRows> {
    let bureau = ctx.bureau().clone();
    let row = |source: Source| EventRow {
        aliases: INTUM.iter().filter(|(_, noun)| *noun == source.name).map(|(intum, _)| *intum).collect(),
        about: source.about,
        kinds: OPERATIONS.to_vec(),
        allowed: source.is_for(ctx),
        source_type: source.name,
    };
    Ok(EventRows { items: sources(&bureau.registry).into_iter().map(row).collect() })
}
