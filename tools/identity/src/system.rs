//! The running server: what it keeps in memory, and how it is set up. For administrators of the installation.

use bureau_kit::MIGRATIONS;
use bureau_kit::db::{CALL_LIMIT_SECONDS, Dialect};
use bureau_kit::installation::{Fact, SelfService};
use bureau_kit::prelude::*;
use bureau_kit::tool::LONG_LIMIT;

use crate::any_json::AnyJson;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("cache_stats_show", "configs.cache.view", stats)
            .title("Show what is cached")
            .about(
                "Show how much this process keeps in memory that is still good: callers whose rights are known, and lists of \
                 tools made for them. Records are never cached.",
            )
            .synonyms("cache memory statistics pamięć podręczna statystyki кеш статистика"),
        Tool::action("cache_purge", "configs.cache.manage", purge)
            .idempotent()
            .irreversible("what was cached is made anew when it is next needed")
            .title("Purge the cache")
            .about(
                "Have every process on this database forget the rights, and the lists of tools, that it keeps in memory. They are \
                 kept together, so either segment takes both. Never needed for a change of rights to hold: those hold at once.",
            )
            .synonyms("clear flush cache wyczyść pamięć podręczną очистити кеш"),
        Tool::read("system_status_show", "configs.system_status.view", status)
            .title("Show the state of the server")
            .about(
                "Show how the server is set up and doing: version, uptime, database, limits, outbox, self-service and what else \
                 its options decide. Never a secret: only whether one is set.",
            )
            .synonyms("health configuration version uptime stan systemu konfiguracja стан системи"),
        Tool::action("system_cache_clear", "configs.manage", clear)
            .idempotent()
            .irreversible("what was cached is made anew when it is next needed")
            .title("Clear all caches")
            .about("Have every process on this database forget what it keeps in memory. The same as cache_purge of everything.")
            .synonyms("flush caches wyczyść wszystkie pamięci очистити всі кеші"),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoInput {}

#[derive(Debug, Serialize, JsonSchema)]
struct Segments {
    /// Callers whose rights are known.
    rights: usize,
    /// Those of them for whom a list of tools was made.
    tool_lists: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Stats {
    /// Everything that is cached, in this process.
    total: usize,
    /// The same by what it is.
    segments: Segments,
}

async fn counted(ctx: &mut Ctx) -> Result<Stats> {
    let cached = ctx.cached().await?;
    let segments = Segments { rights: cached.rights, tool_lists: cached.tool_lists };
    Ok(Stats { total: cached.rights.saturating_add(cached.tool_lists), segments })
}

async fn stats(ctx: &mut Ctx, _: NoInput) -> Result<Stats> {
    counted(ctx).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum PurgeAction {
    /// Everything.
    #[serde(alias = "purgeAll")]
    PurgeAll,
    /// One segment.
    #[serde(alias = "purgeSegment")]
    PurgeSegment,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Segment {
    /// Rights.
    Rights,
    /// Lists of tools.
    ToolLists,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PurgeInput {
    /// What to purge.
    action: PurgeAction,
    /// Which segment; required with purge_segment.
    segment: Option<Segment>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Purged {
    /// What was purged.
    action: PurgeAction,
    /// The segment that was named.
    segment: Option<Segment>,
    /// How much of it this process had.
    deleted: usize,
    /// What is left in this process.
    stats: Stats,
}

async fn purge(ctx: &mut Ctx, input: PurgeInput) -> Result<Purged> {
    match (input.action, input.segment) {
        (PurgeAction::PurgeSegment, None) => {
            return Err(Error::invalid("/segment", "is required with purge_segment: expected rights or tool_lists"));
        }
        (PurgeAction::PurgeAll, Some(_)) => {
            return Err(Error::invalid("/segment", "has no meaning with purge_all; use purge_segment"));
        }
        _ => {}
    }
    let before = counted(ctx).await?;
    let deleted = match input.segment {
        None => before.total,
        Some(Segment::Rights) => before.segments.rights,
        Some(Segment::ToolLists) => before.segments.tool_lists,
    };
    ctx.void_caches().await?;
    Ok(Purged { action: input.action, segment: input.segment, deleted, stats: counted(ctx).await? })
}

#[derive(Debug, Serialize, JsonSchema)]
struct Cleared {
    /// How much this process had.
    cleared: usize,
}

async fn clear(ctx: &mut Ctx, _: NoInput) -> Result<Cleared> {
    let cleared = counted(ctx).await?.total;
    ctx.void_caches().await?;
    Ok(Cleared { cleared })
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Somebody decided it.
    Set,
    /// Nobody did: the default holds.
    Default,
    /// Nobody did, and there is no default.
    Unset,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Item {
    /// Its name.
    key: &'static str,
    /// Kind of its value: boolean, number or string; null when it is not set.
    kind: Option<&'static str>,
    /// Whether it was decided.
    state: State,
    /// What is in force.
    value: AnyJson,
    /// What is in force when nobody decides.
    default_value: AnyJson,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Category {
    /// What its items are about.
    key: &'static str,
    /// The items.
    items: Vec<Item>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Status {
    /// When this was told.
    generated_at: Instant,
    /// How the program was built: release or debug.
    runtime_mode: &'static str,
    /// What there is to tell.
    categories: Vec<Category>,
}

async fn status(ctx: &mut Ctx, _: NoInput) -> Result<Status> {
    let bureau = ctx.bureau().clone();
    let installation = &bureau.installation;
    let uptime = ctx.now().micros().saturating_sub(installation.started_at().micros()).div_euclid(1_000_000);
    let fact = |category, key, value: Value| Fact { category, key, default: value.clone(), value };
    let dialect = match bureau.db.dialect() {
        Dialect::Sqlite => "sqlite",
        Dialect::Postgres => "postgresql",
    };
    let newest = MIGRATIONS.last().map(|migration| migration.name);
    let mut facts = vec![
        fact("server", "version", json!(env!("CARGO_PKG_VERSION"))),
        fact("server", "started_at", json!(installation.started_at())),
        fact("server", "uptime_seconds", json!(uptime)),
        fact("server", "tools", json!(bureau.registry.entries().len())),
        fact("database", "dialect", json!(dialect)),
        fact("database", "migrations", json!(MIGRATIONS.len())),
        fact("database", "newest_migration", json!(newest)),
        fact("database", "tenants", json!(tenants(ctx).await?)),
        fact("limits", "call_seconds", json!(CALL_LIMIT_SECONDS)),
        fact("limits", "long_call_seconds", json!(LONG_LIMIT.as_secs())),
        fact("limits", "page_size", json!(page::LARGEST_SIZE)),
        fact("outbox", "waiting", json!(waiting(ctx).await?)),
        Fact {
            category: "self_service",
            key: "onboarding",
            value: json!(match installation.self_service() {
                SelfService::Off => "off",
                SelfService::Verified => "verified",
                SelfService::Unverified => "unverified",
            }),
            default: json!("off"),
        },
        Fact {
            category: "self_service",
            key: "domain_name_system",
            value: json!(installation.resolver().is_some()),
            default: json!(true),
        },
    ];
    facts.extend(installation.facts());
    let mut categories: Vec<Category> = Vec::new();
    for fact in facts {
        let item = item(&fact);
        match categories.iter_mut().find(|category| category.key == fact.category) {
            Some(category) => category.items.push(item),
            None => categories.push(Category { key: fact.category, items: vec![item] }),
        }
    }
    let runtime_mode = if cfg!(debug_assertions) { "debug" } else { "release" };
    Ok(Status { generated_at: ctx.now(), runtime_mode, categories })
}

fn item(fact: &Fact) -> Item {
    let kind = match &fact.value {
        Value::Null => None,
        Value::Bool(_) => Some("boolean"),
        Value::Number(_) => Some("number"),
        _ => Some("string"),
    };
    let state = match (&fact.value, fact.value == fact.default) {
        (Value::Null, _) => State::Unset,
        (_, true) => State::Default,
        (_, false) => State::Set,
    };
    Item {
        key: fact.key,
        kind,
        state,
        value: AnyJson(fact.value.clone()),
        default_value: AnyJson(fact.default.clone()),
    }
}

async fn tenants(ctx: &mut Ctx) -> Result<i64> {
    let rows = ctx.rows(&Sql::new("SELECT COUNT(*) FROM tenants WHERE is_active")).await?;
    rows.first().map_or(Ok(0), |row| row.get(0))
}

/// What is to leave the database and has not yet, of all companies: a number tells nobody anything of them.
async fn waiting(ctx: &mut Ctx) -> Result<i64> {
    let rows = ctx.rows_of_all_tenants(&Sql::new("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'")).await?;
    rows.first().map_or(Ok(0), |row| row.get(0))
}
