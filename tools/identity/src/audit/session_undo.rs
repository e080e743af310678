//! Taking back all that was done in a session.

use bureau_kit::journal;
use bureau_kit::prelude::*;
use bureau_kit::value::Row;

use super::{UNDO_ALL, UNDO_OWN};
use crate::sessions::{Session, is_own};

pub(super) fn tools() -> Vec<Tool> {
    vec![
        Tool::action("session_undo", UNDO_OWN, undo)
            .irreversible("use action_redo for each of them, the last in `undone` first")
            .destructive()
            .title("Undo a session's work")
            .about(
                "Take back all that was done in a session and in those minted from it, newest first, each write exactly. Stops \
                 at the first that something changed since, keeps what is taken back by then and says what is in the way. Mail \
                 sent and tokens handed out stay, and are named. Call again while `remaining` is not 0; end a session that still \
                 works with session_revoke first. Others' sessions need audit_logs.undo_tenant.",
            )
            .synonyms(
                "revert rollback agent run all work take back cofnij pracę sesji agenta wycofaj wszystko скасувати роботу сесії \
                 агента відмінити все",
            ),
    ]
}

/// Actions taken back in one call, when nobody says and at most: each is a handful of statements inside one transaction.
const USUAL: i64 = 500;
const MOST: i64 = 1_000;
/// Of the actions that cannot be undone, those that are shown.
const SHOWN_SKIPPED: i64 = 20;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UndoInput {
    /// The session, as session_list and action_log_list name it.
    #[serde(alias = "session")]
    session_id: Id<Session>,
    /// Whether the work of sessions that were minted from it is taken back too; true when left out.
    include_descendants: Option<bool>,
    /// Most actions to take back in this call, 500 when left out.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct TakenBack {
    /// Whether nothing stood in the way.
    ok: bool,
    /// What was taken back, newest first. action_redo brings each back by its log_id, the last of them first.
    undone: Vec<Undone>,
    /// The action at which it stopped; null when none stood in the way.
    stopped_at: Option<Stopped>,
    /// What cannot be undone and was left as it is; the newest 20.
    skipped: Vec<Skipped>,
    /// How many such actions there are, counted up to 10000.
    skipped_count: i64,
    /// How many actions are left that could be taken back, counted up to 10000.
    remaining: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Undone {
    /// UUID of the action.
    log_id: String,
    /// The tool that did it.
    tool: String,
    /// What it was, in words.
    label: String,
    /// How many records were put back.
    changed_rows: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Stopped {
    /// UUID of the action that could not be taken back.
    log_id: String,
    /// The tool that did it.
    tool: String,
    /// What it was, in words.
    label: String,
    /// Why it could not.
    reason: String,
    /// The records in the way: kind, id, reason, and the fields that changed since.
    conflicts: Vec<Map<String, Value>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Skipped {
    /// UUID of the action.
    log_id: String,
    /// The tool that did it.
    tool: String,
    /// What it was, in words.
    label: String,
    /// Why it cannot be undone.
    reason: String,
}

async fn undo(ctx: &mut Ctx, input: UndoInput) -> Result<TakenBack> {
    let limit = input.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(Error::invalid("/limit", format!("expected a whole number from 1 to {MOST}")));
    }
    let session = ctx.fetch(input.session_id).await?;
    if !is_own(ctx, &session)? && !ctx.principal().may(&[UNDO_ALL]) {
        return Err(Error::not_found("session", input.session_id.key()));
    }
    let work = Work { session: session.id, descendants: input.include_descendants.unwrap_or(true) };
    let mut sql = work.actions(ctx, "SELECT id, tool, label FROM action_logs WHERE tenant_id = ");
    sql.push(UNDOABLE).push(NEWEST_FIRST).push(" LIMIT ").bind(limit);
    let found = ctx.rows(&sql).await?;
    let ids = found.iter().map(|row| row.get(0)).collect::<Result<Vec<Uuid>>>()?;
    let taken = journal::take_back(ctx, &ids, UNDO_ALL).await?;
    let stopped_at = match &taken.stopped {
        Some((action, error)) => Some(Stopped::of(&found, *action, error)?),
        None => None,
    };
    let (skipped, skipped_count) = work.skipped(ctx).await?;
    let mut left = work.actions(ctx, "SELECT 1 FROM action_logs WHERE tenant_id = ");
    left.push(UNDOABLE);
    let undone = taken.undone.into_iter().map(|done| Undone {
        log_id: done.action_id.to_string(),
        tool: done.tool,
        label: done.label,
        changed_rows: done.changed_rows,
    });
    Ok(TakenBack {
        ok: stopped_at.is_none(),
        undone: undone.collect(),
        stopped_at,
        skipped,
        skipped_count,
        remaining: ctx.count_up_to(page::COUNT_LIMIT, left).await?,
    })
}

const UNDOABLE: &str = " AND undoable AND state = 'done'";
/// What did something, and cannot be undone. Undoing is itself no work to be taken back: redo does that.
const NOT_UNDOABLE: &str = " AND NOT undoable AND state = 'done' AND tool NOT IN ('action_undo', 'session_undo') AND \
                            (change_count > 0 OR EXISTS (SELECT 1 FROM outbox WHERE outbox.action_id = action_logs.id))";
/// By the place in the journal: two writes may be of one moment.
const NEWEST_FIRST: &str = " ORDER BY position DESC NULLS LAST, created_at DESC, id DESC";

/// Whose work is taken back.
struct Work {
    session: Uuid,
    descendants: bool,
}

impl Work {
    /// Continues a statement that ends with `WHERE tenant_id = `.
    fn actions(&self, ctx: &Ctx, select: &'static str) -> Sql {
        let mut sql = Sql::new(select);
        sql.bind(ctx.tenant_id());
        if self.descendants {
            sql.push(" AND session_id IN (SELECT id FROM sessions WHERE tenant_id = ").bind(ctx.tenant_id());
            sql.push(" AND (id = ").bind(self.session).push(" OR CAST(ancestry AS TEXT) LIKE ");
            sql.bind(format!("%{}%", self.session)).push("))");
        } else {
            sql.and_eq("session_id", self.session);
        }
        sql
    }

    async fn skipped(&self, ctx: &mut Ctx) -> Result<(Vec<Skipped>, i64)> {
        let mut counted = self.actions(ctx, "SELECT 1 FROM action_logs WHERE tenant_id = ");
        counted.push(NOT_UNDOABLE);
        let count = ctx.count_up_to(page::COUNT_LIMIT, counted).await?;
        let mut sql = self.actions(ctx, "SELECT id, tool, label FROM action_logs WHERE tenant_id = ");
        sql.push(NOT_UNDOABLE).push(NEWEST_FIRST).push(" LIMIT ").bind(SHOWN_SKIPPED);
        let rows = ctx.rows(&sql).await?;
        Ok((rows.iter().map(|row| Skipped::of(ctx, row)).collect::<Result<_>>()?, count))
    }
}

impl Skipped {
    fn of(ctx: &Ctx, row: &Row) -> Result<Self> {
        let tool: String = row.get(1)?;
        let why = ctx.bureau().registry.find(&tool).and_then(|entry| entry.tool.irreversible);
        Ok(Self {
            log_id: row.get::<Uuid>(0)?.to_string(),
            label: row.get(2)?,
            reason: why.unwrap_or("it sent something out, which cannot be called back").to_owned(),
            tool,
        })
    }
}

impl Stopped {
    fn of(found: &[Row], action: Uuid, error: &Error) -> Result<Self> {
        let is_it = |row: &&Row| row.get::<Uuid>(0).is_ok_and(|id| id == action);
        let row = found.iter().find(is_it).ok_or_else(|| Error::internal("an action that nobody named was undone"))?;
        let conflicts = match error.to_json().get("details").and_then(|details| details.get("conflicts")) {
            Some(Value::Array(conflicts)) => conflicts.iter().filter_map(|one| one.as_object().cloned()).collect(),
            _ => Vec::new(),
        };
        let reason = error.message().to_owned();
        Ok(Self { log_id: action.to_string(), tool: row.get(1)?, label: row.get(2)?, reason, conflicts })
    }
}
