//! The action log: what was done.

use bureau_kit::prelude::*;
use bureau_kit::value::Row;

use super::VIEW_OWN;
use super::changes::{Change, ChangeRow};
use super::filter::{Filter, Wanted};
use crate::organizations::Organization;
use crate::sessions::Session;
use crate::users::User;

pub(super) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("action_log_list", VIEW_OWN, list)
            .title("List what was done")
            .about(
                "List the writes that were made, newest first: who, by which tool, what changed, and the undo_token of those \
                 that action_undo can take back. Your own; with audit_logs.view_tenant everyone's. record_history shows one \
                 record.",
            )
            .synonyms("history audit journal log changes who historia zmian dziennik kto zmienił журнал історія змін хто"),
    ]
}

/// How an action stands.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    Done,
    Undone,
    // By an action of its own, which stands now in its place.
    Redone,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Only what this user did; others' needs audit_logs.view_tenant.
    actor_user_id: Option<Id<User>>,
    /// Only in this session.
    session_id: Option<Id<Session>>,
    /// Only in this organization.
    organization_id: Option<Id<Organization>>,
    /// Only by this tool.
    tool: Option<String>,
    /// Only to this kind of record, such as contract.
    resource_kind: Option<String>,
    /// Only to this record, by UUID.
    resource_id: Option<String>,
    /// With resource_id: also to its parts and to what refers to it.
    include_related: Option<bool>,
    /// Only in this state; failed calls are no actions.
    state: Option<State>,
    /// Only over stdio, http, rpc or cli.
    transport: Option<String>,
    /// Only from this client.
    client: Option<String>,
    /// Only what can be taken back now.
    undoable_only: Option<bool>,
    /// Show whole records before and after, too.
    include_snapshots: Option<bool>,
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
    /// Session it was done in; session_undo takes back all of its work.
    session_id: Option<String>,
    /// How the call came in: stdio, http, rpc, cli.
    transport: String,
    /// What the client called itself.
    client: Option<String>,
    /// Organization it was done in.
    organization_id: Option<String>,
    /// Name of that organization.
    organization_name: Option<String>,
    /// Kind of the record it was done to.
    resource_kind: Option<String>,
    /// UUID of that record.
    resource_id: Option<String>,
    /// Kind of the record that this one is a part of.
    parent_resource_kind: Option<String>,
    /// UUID of that record.
    parent_resource_id: Option<String>,
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
    let wanted = Wanted {
        actor_user_id: input.actor_user_id,
        session_id: input.session_id,
        organization_id: input.organization_id,
        tool: input.tool,
        resource_kind: input.resource_kind,
        resource_id: input.resource_id,
        transport: input.transport,
        client: input.client,
        before: input.before,
        after: input.after,
    };
    let filter = Filter::of(ctx, wanted).await?;
    let conditions = Conditions {
        related: input.include_related.unwrap_or_default(),
        state: input.state,
        undoable: input.undoable_only.unwrap_or_default(),
    };
    if conditions.related && filter.resource_id.is_none() {
        return Err(Error::invalid("/include_related", "needs resource_id: the record that the others are related to"));
    }
    let mut counted = Sql::new("SELECT 1 FROM action_logs WHERE tenant_id = ");
    conditions.append(ctx, &filter, &mut counted);
    let total = ctx.count_up_to(page::COUNT_LIMIT.saturating_add(1), counted).await?;
    let mut sql = Sql::new(
        "SELECT id, tool, label, actor_id, actor_label, session_id, transport, client, resource_kind, resource_id, state, \
         undoable, change_count, created_at, updated_at, parent_kind, parent_id, organization_id, \
         (SELECT name FROM organizations WHERE organizations.id = action_logs.organization_id AND \
         organizations.tenant_id = action_logs.tenant_id) FROM action_logs WHERE tenant_id = ",
    );
    conditions.append(ctx, &filter, &mut sql);
    sql.push(" ORDER BY created_at DESC, id DESC LIMIT ").bind(size);
    sql.push(" OFFSET ").bind(page.saturating_sub(1).saturating_mul(size));
    let with_snapshots = input.include_snapshots.unwrap_or_default();
    let mut items = Vec::new();
    for row in ctx.rows(&sql).await? {
        items.push(log_row(ctx, &row, with_snapshots).await?);
    }
    let Page { items, total, total_is_exact, page, page_size, total_pages } = Page::new(items, total, page, size);
    let can_view_tenant = filter.can_view_tenant;
    Ok(LogPage { items, total, total_is_exact, page, page_size, total_pages, can_view_tenant })
}

/// What only this log can be asked for.
struct Conditions {
    related: bool,
    state: Option<State>,
    undoable: bool,
}

impl Conditions {
    fn append(&self, ctx: &Ctx, filter: &Filter, sql: &mut Sql) {
        filter.append(ctx, sql);
        match filter.resource_id.filter(|_| self.related) {
            Some(id) => append_related(ctx, filter, id, sql),
            None => filter.append_resource(sql),
        }
        if let Some(state) = self.state {
            sql.and_eq(
                "state",
                match state {
                    State::Done => "done",
                    State::Undone => "undone",
                    State::Redone => "redone",
                },
            );
        }
        if self.undoable {
            sql.push(" AND undoable AND state = 'done'");
        }
    }
}

/// What was done to a record, to its parts, and to the records that refer to it now. The parts are known by the action itself,
/// so that they are found when they are gone.
fn append_related(ctx: &Ctx, filter: &Filter, id: Uuid, sql: &mut Sql) {
    let registry = &ctx.bureau().registry;
    sql.push(" AND (parent_id = ").bind(id);
    sql.push(" OR id IN (SELECT action_id FROM action_changes WHERE tenant_id = ").bind(ctx.tenant_id());
    sql.push(" AND (row_id = ").bind(id);
    let references =
        filter.resource_kind().and_then(|kind| registry.table_of(kind)).map(|table| registry.references_to(table));
    for reference in references.unwrap_or_default() {
        sql.push(" OR row_id IN (SELECT id FROM ").push(reference.table.name);
        sql.push(" WHERE tenant_id = ").bind(ctx.tenant_id()).and_eq(reference.column, id).push(")");
    }
    sql.push(")))");
}

async fn log_row(ctx: &mut Ctx, row: &Row, with_snapshots: bool) -> Result<LogRow> {
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
        organization_id: text_id(17)?,
        organization_name: row.get(18)?,
        resource_kind: row.get(8)?,
        resource_id: text_id(9)?,
        parent_resource_kind: row.get(15)?,
        parent_resource_id: text_id(16)?,
        undo_token: (undoable && state == "done").then(|| id.to_string()),
        state,
        changes: changes_of(ctx, id, with_snapshots).await?,
        change_count: row.get(12)?,
        created_at: row.get(13)?,
        updated_at: row.get(14)?,
    })
}

async fn changes_of(ctx: &mut Ctx, action: Uuid, with_snapshots: bool) -> Result<Vec<ChangeRow>> {
    let sql = Sql::with(
        "SELECT table_name, row_id, before, after FROM action_changes WHERE action_id = $1 AND tenant_id = $2 \
         ORDER BY sequence LIMIT $3",
        [action.into(), ctx.tenant_id().into(), SHOWN_CHANGES.into()],
    );
    let rows = ctx.rows(&sql).await?;
    rows.iter().map(|row| Ok(Change::of(ctx, row, 0, 2, 3)?.row(row.get(1)?, with_snapshots))).collect()
}
