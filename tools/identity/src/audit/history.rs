//! The history of one record.

use bureau_kit::args::nearest;
use bureau_kit::prelude::*;
use bureau_kit::registry::{Entry, Registry};
use bureau_kit::value::Row;

use super::changes::Change;
use super::{VIEW_ALL, VIEW_OWN};

pub(super) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("record_history", VIEW_OWN, history)
            .title("Show a record's history")
            .about(
                "Show every change of one record, the first one first: who, when, by which tool and session, which fields, from \
                 what to what. Also of a record that is deleted. Needs the right to show such a record. Your own changes; with \
                 audit_logs.view_tenant everyone's.",
            )
            .synonyms(
                "audit changes versions who changed timeline historia rekordu zmiany wersje kto zmienił історія запису зміни \
                 версії хто змінив",
            ),
    ]
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// The first change first.
    #[default]
    Asc,
    /// The last change first.
    Desc,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HistoryInput {
    /// Kind of the record, such as task, contract, person or user.
    #[serde(alias = "resource_kind")]
    kind: String,
    /// UUID of the record; of one that still exists, also its number.
    #[serde(alias = "resource_id")]
    #[schemars(with = "String")]
    id: Key,
    /// asc for the first change first, as when left out; desc for the last one first.
    order: Option<Order>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 when left out.
    #[serde(alias = "limit")]
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct HistoryRow {
    /// UUID of the action that made the change; action_log_list shows the whole of it.
    log_id: String,
    /// The tool that was called.
    tool: String,
    /// What it does, in words.
    label: String,
    /// create, update or delete.
    event: String,
    /// Fields with their values before and after.
    fields: Map<String, Value>,
    /// Version of the record after the change; of a deleted one its last.
    version: i64,
    /// UUID of the user or key who did it.
    actor_id: String,
    /// Who did it.
    actor: String,
    /// Session it was done in.
    session_id: Option<String>,
    /// How the call came in: stdio, http, rpc, cli.
    transport: String,
    /// What the client called itself.
    client: Option<String>,
    /// done, undone or redone: how the action stands now.
    state: String,
    /// When it was done.
    created_at: Instant,
}

#[derive(Debug, Serialize, JsonSchema)]
struct HistoryPage {
    /// The changes of this page.
    items: Vec<HistoryRow>,
    /// How many there are in all; see total_is_exact.
    total: i64,
    /// False when there are more than the 10000 that are counted.
    total_is_exact: bool,
    /// This page, from 1.
    page: i64,
    /// Rows on a page.
    page_size: i64,
    /// How many pages the total makes.
    total_pages: i64,
    /// Kind of the record.
    kind: String,
    /// UUID of the record.
    id: String,
    /// Whether the record exists now.
    exists: bool,
    /// Whether you see everyone's changes or your own only.
    can_view_tenant: bool,
}

async fn history(ctx: &mut Ctx, input: HistoryInput) -> Result<HistoryPage> {
    let (page, size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    let kind = RecordKind::named(&ctx.bureau().registry, &input.kind)?;
    let table = kind.table;
    let stored = ctx.find_in(table, input.id).await?;
    let id = match (&stored, input.id) {
        (Some(record), _) => {
            kind.refuse_living(ctx, record.id).await?;
            record.id
        }
        (None, Key::Uuid(id)) if was_in_reach(ctx, table, id).await? => {
            kind.refuse_deleted(ctx)?;
            id
        }
        _ => {
            kind.refuse_deleted(ctx)?;
            return Err(Error::not_found(table.noun, input.id));
        }
    };
    let can_view_tenant = ctx.principal().may(&[VIEW_ALL]);
    let condition = |ctx: &Ctx, sql: &mut Sql| {
        sql.bind(ctx.tenant_id()).and_eq("action_changes.row_id", id).and_eq("action_changes.table_name", table.name);
        if !can_view_tenant {
            sql.and_eq("action_logs.actor_id", ctx.principal().actor_id());
        }
    };
    let mut counted = Sql::new(
        "SELECT 1 FROM action_changes JOIN action_logs ON action_logs.id = action_changes.action_id AND \
         action_logs.tenant_id = action_changes.tenant_id WHERE action_changes.tenant_id = ",
    );
    condition(ctx, &mut counted);
    let total = ctx.count_up_to(page::COUNT_LIMIT.saturating_add(1), counted).await?;
    let mut sql = Sql::new(
        "SELECT action_changes.table_name, action_changes.before, action_changes.after, action_changes.version_after, \
         action_logs.id, action_logs.tool, action_logs.label, action_logs.actor_id, action_logs.actor_label, \
         action_logs.session_id, action_logs.transport, action_logs.client, action_logs.state, action_logs.created_at \
         FROM action_changes JOIN action_logs ON action_logs.id = action_changes.action_id AND \
         action_logs.tenant_id = action_changes.tenant_id WHERE action_changes.tenant_id = ",
    );
    condition(ctx, &mut sql);
    // By the place in the journal: undo gives a row an earlier version again, and two writes may be of one moment.
    sql.push(match input.order.unwrap_or_default() {
        Order::Asc => {
            " ORDER BY action_logs.position ASC NULLS FIRST, action_logs.created_at ASC, action_changes.sequence ASC"
        }
        Order::Desc => {
            " ORDER BY action_logs.position DESC NULLS LAST, action_logs.created_at DESC, action_changes.sequence DESC"
        }
    });
    sql.push(" LIMIT ").bind(size).push(" OFFSET ").bind(page.saturating_sub(1).saturating_mul(size));
    let rows = ctx.rows(&sql).await?;
    let items = rows.iter().map(|row| history_row(ctx, row)).collect::<Result<Vec<_>>>()?;
    if let Some(record) = &stored {
        ctx.note_read(record);
    }
    let Page { items, total, total_is_exact, page, page_size, total_pages } = Page::new(items, total, page, size);
    Ok(HistoryPage {
        items,
        total,
        total_is_exact,
        page,
        page_size,
        total_pages,
        kind: table.noun.to_owned(),
        id: id.to_string(),
        exists: stored.is_some(),
        can_view_tenant,
    })
}

/// What a caller may mean by a kind: a noun, or the first half of a `_show` tool, since `person` is kept in a table of several
/// kinds.
struct RecordKind {
    table: &'static Table,
    /// The tools by which such a record is shown.
    shows: Vec<&'static str>,
    /// The tools by which any record of the table is shown.
    all: Vec<&'static str>,
}

impl RecordKind {
    fn named(registry: &Registry, kind: &str) -> Result<Self> {
        let kind = kind.trim();
        let own = registry.find(&format!("{kind}_show"));
        let of_own = own.and_then(|entry| Some((entry.tool.name, table_shown(registry, entry)?)));
        let Some(table) = of_own.map(|(_, table)| table).or_else(|| registry.table_of(kind)) else {
            let nouns = registry.tables().iter().map(|table| table.noun);
            let near = nearest(kind, nouns).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return Err(Error::invalid("/kind", format!("there is no kind of record called {kind}{near}")));
        };
        let is_of_table = |entry: &&Entry| table_shown(registry, entry).is_some_and(|shown| std::ptr::eq(shown, table));
        let all: Vec<_> = registry.entries().iter().filter(is_of_table).map(|entry| entry.tool.name).collect();
        Ok(Self { table, shows: of_own.map_or_else(|| all.clone(), |(name, _)| vec![name]), all })
    }

    /// A record that exists: whoever is shown it may see how it came to be so.
    async fn refuse_living(&self, ctx: &mut Ctx, id: Uuid) -> Result<()> {
        let mut refusal = None;
        for show in &self.shows {
            match ctx.nested(show, Map::from_iter([("id".to_owned(), json!(id))])).await {
                Ok(_) => return Ok(()),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        refusal.map_or_else(|| self.refuse_without_tool(ctx), Err)
    }

    /// A record that is gone, or that never was: nothing tells any more which of the tools would show it.
    fn refuse_deleted(&self, ctx: &Ctx) -> Result<()> {
        let bureau = ctx.bureau();
        for entry in self.all.iter().filter_map(|name| bureau.registry.find(name)) {
            bureau.admission(ctx.principal(), ctx.selection(), entry)?;
        }
        if self.all.is_empty() { self.refuse_without_tool(ctx) } else { Ok(()) }
    }

    /// Records that no tool shows by themselves are for those who see everything that was done.
    fn refuse_without_tool(&self, ctx: &Ctx) -> Result<()> {
        if ctx.principal().may(&[VIEW_ALL]) {
            return Ok(());
        }
        let noun = self.table.noun;
        Err(Error::forbidden(format!("No tool shows a {noun} by itself, so its history needs the right {VIEW_ALL}."))
            .with("missing", VIEW_ALL))
    }
}

/// The table whose records a tool shows by nothing but their id.
fn table_shown(registry: &Registry, entry: &Entry) -> Option<&'static Table> {
    if entry.tool.writes() || !entry.tool.name.ends_with("_show") {
        return None;
    }
    let schema = entry.tool.input_schema();
    let by_id = schema.get("required").is_some_and(|required| *required == json!(["id"]));
    let table = schema.pointer("/properties/id/x-record").and_then(Value::as_str).filter(|_| by_id)?;
    registry.table(table)
}

/// Whether a record once was in the caller's reach that is no more, for anybody.
async fn was_in_reach(ctx: &mut Ctx, table: &'static Table, id: Uuid) -> Result<bool> {
    let mut living = Sql::new("SELECT 1 FROM ");
    living.push(table.name).push(" WHERE tenant_id = ").bind(ctx.tenant_id()).and_eq("id", id);
    if !ctx.rows(&living).await?.is_empty() {
        return Ok(false);
    }
    let last = Sql::with(
        "SELECT COALESCE(before, after) FROM action_changes WHERE tenant_id = $1 AND row_id = $2 AND table_name = $3 \
         ORDER BY version_after DESC LIMIT 1",
        [ctx.tenant_id().into(), id.into(), table.name.into()],
    );
    let rows = ctx.rows(&last).await?;
    let Some(row) = rows.first() else { return Ok(false) };
    let Some(organizations) = ctx.principal().organizations.clone().filter(|_| table.in_organization) else {
        return Ok(true);
    };
    let snapshot: Map<String, Value> = serde_json::from_str(&row.get::<String>(0)?).map_err(Error::internal)?;
    let owner = snapshot.get("organization_id").and_then(Value::as_str).and_then(|text| Uuid::try_parse(text).ok());
    Ok(owner.is_none_or(|owner| organizations.contains(&owner)))
}

fn history_row(ctx: &Ctx, row: &Row) -> Result<HistoryRow> {
    let change = Change::of(ctx, row, 0, 1, 2)?;
    Ok(HistoryRow {
        log_id: row.get::<Uuid>(4)?.to_string(),
        tool: row.get(5)?,
        label: row.get(6)?,
        event: change.event().to_owned(),
        fields: change.fields(),
        version: row.get(3)?,
        actor_id: row.get::<Uuid>(7)?.to_string(),
        actor: row.get(8)?,
        session_id: row.get::<Option<Uuid>>(9)?.map(|id| id.to_string()),
        transport: row.get(10)?,
        client: row.get(11)?,
        state: row.get(12)?,
        created_at: row.get(13)?,
    })
}
