//! The action log: what was done, by whom, through which client; and taking it back.

use bureau_kit::ctx::differences;
use bureau_kit::guards::{Guard, stands};
use bureau_kit::journal::{self, Direction};
use bureau_kit::prelude::*;
use bureau_kit::value::Row;

use crate::users::User;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("action_log_list", "audit_logs.view_self", list)
            .title("List what was done")
            .about(
                "List the writes that were made, newest first: who, by which tool, what changed, and the undo_token of those \
                 that can be taken back with action_undo. Your own; with audit_logs.view_tenant everyone's.",
            )
            .synonyms("history audit journal log changes who historia zmian dziennik kto zmienił журнал історія змін хто"),
        Tool::action("action_undo", "audit_logs.undo_self", undo)
            .irreversible("use action_redo")
            .destructive()
            .title("Undo an action")
            .about(
                "Take back one write exactly: same ids, same values. Needs the undo_token of its answer or of action_log_list. \
                 Refused with the records in the way when something changed since. action_redo brings it back.",
            )
            .synonyms("revert take back rollback cofnij wycofaj anuluj скасувати відмінити повернути"),
        // A redo is a write like any other: its own undo_token takes it back again.
        Tool::action("action_redo", "audit_logs.redo_self", redo)
            .destructive()
            .title("Redo an action")
            .about(
                "Carry out again what action_undo took back, exactly: same ids, same values. Needs the log_id of the undone \
                 action. Refused when something changed since.",
            )
            .synonyms("repeat again restore ponów przywróć повторити відновити"),
    ]
}

/// The right to see what others did.
const VIEW_ALL: &str = "audit_logs.view_tenant";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Only what this user did; others' needs audit_logs.view_tenant.
    actor_user_id: Option<Id<User>>,
    /// Only what was done to this kind of record, such as contract.
    resource_kind: Option<String>,
    /// Only what was done to this record, by UUID.
    resource_id: Option<String>,
    /// Only what can be taken back now.
    undoable_only: Option<bool>,
    /// Only before this instant.
    before: Option<Instant>,
    /// Only after this instant.
    after: Option<Instant>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 when left out.
    #[serde(alias = "limit")]
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LogRow {
    /// UUID of the action; action_redo takes it as log_id.
    id: String,
    /// The tool that was called.
    tool: String,
    /// What it does, in words.
    label: String,
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
    /// Kind of the record it was done to.
    resource_kind: Option<String>,
    /// UUID of that record.
    resource_id: Option<String>,
    /// done, undone or redone.
    state: String,
    /// Give it to action_undo to take this back; null when it cannot be.
    undo_token: Option<String>,
    /// What changed, record by record.
    changes: Vec<ChangeRow>,
    /// How many records changed in all; changes shows the first 20.
    change_count: i64,
    /// When it was done.
    created_at: Instant,
    /// When it was last undone or redone.
    updated_at: Instant,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ChangeRow {
    /// Kind of the record.
    record: String,
    /// UUID of the record.
    id: String,
    /// create, update or delete.
    event: String,
    /// Fields with their values before and after.
    fields: Map<String, Value>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LogPage {
    /// The actions of this page, newest first.
    items: Vec<LogRow>,
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
    /// Whether you see everyone's actions or your own only.
    can_view_tenant: bool,
}

/// Changes shown of one action; a merge may have thousands.
const SHOWN_CHANGES: i64 = 20;

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<LogPage> {
    let (page, size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    let can_view_tenant = ctx.principal().may(&[VIEW_ALL]) || !stands(Guard::LogOfOthers);
    let filter = Filter::of(ctx, &input, can_view_tenant).await?;
    let mut counted = Sql::new("SELECT 1 FROM action_logs WHERE tenant_id = ");
    filter.append(ctx, &mut counted);
    let total = ctx.count_up_to(page::COUNT_LIMIT.saturating_add(1), counted).await?;
    let mut sql = Sql::new(
        "SELECT id, tool, label, actor_id, actor_label, session_id, transport, client, resource_kind, resource_id, state, \
         undoable, change_count, created_at, updated_at FROM action_logs WHERE tenant_id = ",
    );
    filter.append(ctx, &mut sql);
    sql.push(" ORDER BY created_at DESC, id DESC LIMIT ").bind(size);
    sql.push(" OFFSET ").bind(page.saturating_sub(1).saturating_mul(size));
    let mut items = Vec::new();
    for row in ctx.rows(&sql).await? {
        items.push(log_row(ctx, &row).await?);
    }
    let Page { items, total, total_is_exact, page, page_size, total_pages } = Page::new(items, total, page, size);
    Ok(LogPage { items, total, total_is_exact, page, page_size, total_pages, can_view_tenant })
}

struct Filter {
    actor: Option<Uuid>,
    resource_kind: Option<String>,
    resource_id: Option<Uuid>,
    undoable_only: bool,
    before: Option<Instant>,
    after: Option<Instant>,
}

impl Filter {
    async fn of(ctx: &mut Ctx, input: &ListInput, can_view_tenant: bool) -> Result<Self> {
        let wanted = match input.actor_user_id {
            Some(id) => Some(ctx.reference("actor_user_id", id).await?),
            None => None,
        };
        // As in Open Mercato, someone else's name is ignored without the right to see others.
        let actor = if can_view_tenant { wanted } else { Some(ctx.principal().actor_id()) };
        let resource_id = match input.resource_id.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => Some(Uuid::try_parse(text).map_err(|_| Error::invalid("/resource_id", "is not a UUID"))?),
            None => None,
        };
        Ok(Self {
            actor,
            resource_kind: input.resource_kind.clone(),
            resource_id,
            undoable_only: input.undoable_only.unwrap_or_default(),
            before: input.before,
            after: input.after,
        })
    }

    fn append(&self, ctx: &Ctx, sql: &mut Sql) {
        sql.bind(ctx.tenant_id());
        if let Some(organizations) = &ctx.principal().organizations {
            sql.push(" AND (organization_id IS NULL OR (TRUE");
            sql.and_in("organization_id", organizations.iter().copied()).push("))");
        }
        if let Some(actor) = self.actor {
            sql.and_eq("actor_id", actor);
        }
        if let Some(kind) = &self.resource_kind {
            sql.and_eq("resource_kind", kind.as_str());
        }
        if let Some(id) = self.resource_id {
            sql.and_eq("resource_id", id);
        }
        if self.undoable_only {
            sql.push(" AND undoable AND state = 'done'");
        }
        if let Some(before) = self.before {
            sql.push(" AND created_at < ").bind(before);
        }
        if let Some(after) = self.after {
            sql.push(" AND created_at > ").bind(after);
        }
    }
}

async fn log_row(ctx: &mut Ctx, row: &Row) -> Result<LogRow> {
    let id: Uuid = row.get(0)?;
    let (state, undoable): (String, bool) = (row.get(10)?, row.get(11)?);
    let text_id = |index: usize| Ok::<_, Error>(row.get::<Option<Uuid>>(index)?.map(|id| id.to_string()));
    Ok(LogRow {
        id: id.to_string(),
        tool: row.get(1)?,
        label: row.get(2)?,
        actor_id: row.get::<Uuid>(3)?.to_string(),
        actor: row.get(4)?,
        session_id: text_id(5)?,
        transport: row.get(6)?,
        client: row.get(7)?,
        resource_kind: row.get(8)?,
        resource_id: text_id(9)?,
        undo_token: (undoable && state == "done").then(|| id.to_string()),
        state,
        changes: changes_of(ctx, id).await?,
        change_count: row.get(12)?,
        created_at: row.get(13)?,
        updated_at: row.get(14)?,
    })
}

async fn changes_of(ctx: &mut Ctx, action: Uuid) -> Result<Vec<ChangeRow>> {
    let sql = Sql::with(
        "SELECT table_name, row_id, before, after FROM action_changes WHERE action_id = $1 AND tenant_id = $2 \
         ORDER BY sequence LIMIT $3",
        [action.into(), ctx.tenant_id().into(), SHOWN_CHANGES.into()],
    );
    let bureau = ctx.bureau().clone();
    let rows = ctx.rows(&sql).await?;
    let change = |row: &Row| {
        let name: String = row.get(0)?;
        let id: Uuid = row.get(1)?;
        let (before, after) = (snapshot(row.get(2)?)?, snapshot(row.get(3)?)?);
        let event = match (&before, &after) {
            (None, _) => "create",
            (_, None) => "delete",
            _ => "update",
        };
        let table = bureau.registry.table(&name);
        let mut fields = match differences(before.as_ref(), after.as_ref()) {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        // Columns that the record's own tools do not show are no one's business here either.
        fields.retain(|name, _| {
            table.and_then(|table| table.column(name)).is_none_or(|column| !column.hidden || !stands(Guard::LogHidden))
        });
        let record = table.map_or(name, |table| table.noun.to_owned());
        Ok(ChangeRow { record, id: id.to_string(), event: event.to_owned(), fields })
    };
    rows.iter().map(change).collect()
}

fn snapshot(cell: Option<String>) -> Result<Option<Map<String, Value>>> {
    cell.map(|text| serde_json::from_str(&text).map_err(Error::internal)).transpose()
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UndoInput {
    /// The undo_token that the write answered, or that action_log_list shows.
    undo_token: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RedoInput {
    /// The id of the undone action, as action_undo answered it or action_log_list shows it.
    log_id: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Replayed {
    /// Always true.
    ok: bool,
    /// UUID of the action.
    log_id: String,
    /// What the action was.
    label: String,
    /// How many records were put back.
    changed_rows: usize,
}

async fn undo(ctx: &mut Ctx, input: UndoInput) -> Result<Replayed> {
    let action = action_id("/undo_token", &input.undo_token)?;
    replay(ctx, action, Direction::Back, "audit_logs.undo_tenant").await
}

async fn redo(ctx: &mut Ctx, input: RedoInput) -> Result<Replayed> {
    let action = action_id("/log_id", &input.log_id)?;
    replay(ctx, action, Direction::Forth, "audit_logs.redo_tenant").await
}

fn action_id(path: &str, text: &str) -> Result<Uuid> {
    Uuid::try_parse(text.trim()).map_err(|_| {
        Error::invalid(path, "is not the UUID that a write answered as undo_token; action_log_list shows it")
    })
}

async fn replay(ctx: &mut Ctx, action: Uuid, direction: Direction, others_right: &str) -> Result<Replayed> {
    let done = journal::replay(ctx, action, direction, others_right).await?;
    Ok(Replayed { ok: true, log_id: done.action_id.to_string(), label: done.label, changed_rows: done.changed_rows })
}
