//! The journal: what each write changed, and taking it back.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::ctx::{Change, Ctx};
use crate::error::{Code, Error, Result};
use crate::guards::{Guard, stands};
use crate::id::Key;
use crate::outbox;
use crate::record::Record;
use crate::sql::Sql;
use crate::table::{OnDelete, Type};
use crate::tool::Tool;
use crate::value::Val;

/// Writes the action and its changes; answers the action's id, which is its undo token.
pub(crate) async fn write(ctx: &mut Ctx, tool: &Tool, undoable: bool) -> Result<Uuid> {
    let id = ctx.new_id();
    if !ctx.principal.tenant_id.is_nil() {
        write_log(ctx, tool, undoable, id).await?;
    } else if !ctx.changes.is_empty() {
        return Err(Error::internal("a call in no tenant changed records"));
    }
    write_outbox(ctx, id).await?;
    Ok(id)
}

async fn write_log(ctx: &mut Ctx, tool: &Tool, undoable: bool, id: Uuid) -> Result<()> {
    let primary = ctx
        .changes
        .iter()
        .find(|change| tool.target.is_some_and(|target| std::ptr::eq(target, change.table)))
        .or_else(|| ctx.changes.first());
    let (kind, resource) =
        primary.map_or((Val::Null, Val::Null), |change| (change.table.noun.into(), change.id.into()));
    let (parent_kind, parent) = primary.and_then(|change| parent_of(ctx, change)).unzip();
    let session = match ctx.principal.credential {
        crate::rights::Credential::Session(session) => Val::Id(session),
        _ => Val::Null,
    };
    let mut sql = Sql::with(
        "INSERT INTO action_logs (id, tenant_id, organization_id, tool, label, actor_id, actor_label, session_id, transport, \
         client, resource_kind, resource_id, state, undoable, change_count, created_at, updated_at, parent_kind, \
         parent_id, position) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'done', $13, $14, $15, $15, $16, $17, ",
        [
            id.into(),
            ctx.principal.tenant_id.into(),
            ctx.principal.organization_id.into(),
            ctx.redoes.as_deref().unwrap_or(tool.name).into(),
            tool.title.into(),
            ctx.principal.actor_id().into(),
            ctx.principal.label.as_str().into(),
            session,
            ctx.origin.transport.into(),
            ctx.origin.client.as_deref().map(str::to_owned).into(),
            kind,
            resource,
            undoable.into(),
            Val::Int(i64::try_from(ctx.changes.len()).unwrap_or(i64::MAX)),
            ctx.now.into(),
            parent_kind.into(),
            parent.into(),
        ],
    );
    sql.push(ctx.tx.position()).push(")");
    ctx.tx.execute(&sql).await?;
    let tenant = ctx.principal.tenant_id;
    for (sequence, change) in (0_i64..).zip(&ctx.changes) {
        let sql = Sql::with(
            "INSERT INTO action_changes (action_id, sequence, tenant_id, table_name, row_id, before, after, version_after) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            [
                id.into(),
                sequence.into(),
                tenant.into(),
                change.table.name.into(),
                change.id.into(),
                change.before.as_ref().map(snapshot_text).into(),
                change.after.as_ref().map(snapshot_text).into(),
                change.version.into(),
            ],
        );
        ctx.tx.execute(&sql).await?;
    }
    if stands(Guard::RightsEpochRaised) && ctx.changes.iter().any(|change| change.table.rights) {
        crate::access::bump_epoch(&mut ctx.tx).await?;
    }
    crate::events::tell(ctx, id).await
}

/// The record that a changed one is a part of: the one it would be deleted with.
fn parent_of(ctx: &Ctx, change: &Change) -> Option<(String, Uuid)> {
    let row = change.after.as_ref().or(change.before.as_ref())?;
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    change.table.columns.iter().find_map(|column| {
        let kind = match column.kind {
            Type::Reference { table, on_delete: OnDelete::Cascade } => ctx.bureau.registry.table(table)?.noun,
            Type::SubjectId { on_delete: OnDelete::Cascade } => {
                let kind = change.table.columns.iter().find(|column| column.kind == Type::SubjectType)?;
                text(kind.name)?
            }
            _ => return None,
        };
        Some((kind.to_owned(), Uuid::try_parse(text(column.name)?).ok()?))
    })
}

/// What is to be done outside. Also of a call in no tenant, such as the mail that opens an account.
async fn write_outbox(ctx: &mut Ctx, action: Uuid) -> Result<()> {
    let tenant = ctx.principal.tenant_id;
    for effect in std::mem::take(&mut ctx.effects) {
        let item = ctx.new_id();
        outbox::put(&mut ctx.tx, tenant, item, action, &effect, ctx.now).await?;
        ctx.resent = true;
    }
    Ok(())
}

fn snapshot_text(snapshot: &Map<String, Value>) -> String {
    serde_json::to_string(snapshot).unwrap_or_default()
}

/// Which way an action is carried out once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Back: undo.
    Back,
    /// Forth again: redo of an undone action.
    Forth,
}

/// What an undo or redo did.
#[derive(Debug)]
pub struct Replayed {
    /// The action that was undone or redone.
    pub action_id: Uuid,
    /// The tool that did it.
    pub tool: String,
    /// What it was called.
    pub label: String,
    /// How many rows were put back.
    pub changed_rows: usize,
}

/// Carries out the changes of an action backwards, or forwards again, exactly: same ids, same versions.
///
/// Refused, with the rows that are in the way, when anything has changed since. Own actions need `own_right`,
/// those of others `others_right` (Open Mercato: `audit_logs.undo_self`, `audit_logs.undo_tenant`), and in any case
/// the right that the action itself needed.
pub async fn replay(ctx: &mut Ctx, action_id: Uuid, direction: Direction, others_right: &str) -> Result<Replayed> {
    replay_but(ctx, action_id, direction, others_right, None).await
}

/// Takes an action back like [`replay`], but leaves the rows of one table as they are: the record of what was done
/// outlives its undoing.
pub async fn take_back_but(
    ctx: &mut Ctx,
    action_id: Uuid,
    others_right: &str,
    kept: &'static crate::table::Table,
) -> Result<Replayed> {
    replay_but(ctx, action_id, Direction::Back, others_right, Some(kept)).await
}

async fn replay_but(
    ctx: &mut Ctx,
    action_id: Uuid,
    direction: Direction,
    others_right: &str,
    kept: Option<&'static crate::table::Table>,
) -> Result<Replayed> {
    let unavailable = || {
        Error::conflict(match direction {
            Direction::Back => {
                "This undo token is not available: it is unknown, already used, or of a call that cannot be undone. See action_log_list."
            }
            Direction::Forth => {
                "This action cannot be redone: only the actions that were undone can. See action_log_list."
            }
        })
    };
    let mut sql = Sql::new("SELECT tool, label, actor_id, state, undoable FROM action_logs WHERE tenant_id = ");
    sql.bind(ctx.principal.tenant_id).and_eq("id", action_id).push(ctx.tx.lock_clause(false));
    let rows = ctx.tx.query(&sql).await?;
    let row = rows.first().ok_or_else(unavailable)?;
    let (tool_name, label, actor, state): (String, String, Uuid, String) =
        (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    let undoable: bool = row.get(4)?;
    if stands(Guard::UndoOfOthers) && actor != ctx.principal.actor_id() && !ctx.principal.may(&[others_right]) {
        return Err(unavailable());
    }
    let bureau = ctx.bureau.clone();
    if let Some(entry) = bureau.registry.find(&tool_name)
        && stands(Guard::UndoToolRight)
        && !ctx.principal.may(&entry.tool.rights)
    {
        return Err(Error::forbidden(format!(
            "Taking back or redoing {tool_name} needs its right: {}.",
            entry.tool.rights.join(" or ")
        )));
    }
    let (wanted, next) = match direction {
        Direction::Back => ("done", "undone"),
        Direction::Forth => ("undone", "redone"),
    };
    if state != wanted || !undoable {
        return Err(unavailable());
    }
    let mut changes = changes_of(ctx, action_id).await?;
    changes.retain(|change| kept.is_none_or(|kept| !std::ptr::eq(change.table, kept)));
    let steps: Vec<Step> = match direction {
        Direction::Back => changes.iter().rev().map(Step::back).collect(),
        Direction::Forth => changes.iter().map(Step::forth).collect(),
    };
    if direction == Direction::Forth {
        ctx.redoes = Some(tool_name.clone());
    }
    if stands(Guard::UndoConflict) {
        refuse_conflicts(ctx, &steps).await?;
    }
    for step in &steps {
        step.carry_out(ctx).await?;
    }
    ctx.tx
        .execute(&Sql::with(
            "UPDATE action_logs SET state = $1, updated_at = $2 WHERE id = $3 AND tenant_id = $4",
            [next.into(), ctx.now.into(), action_id.into(), ctx.principal.tenant_id.into()],
        ))
        .await?;
    Ok(Replayed { action_id, tool: tool_name, label, changed_rows: steps.len() })
}

/// What taking back several actions came to.
#[derive(Debug)]
pub struct TakenBack {
    /// Those that were taken back, in that order.
    pub undone: Vec<Replayed>,
    /// The first that could not be, and why. Nothing after it was tried.
    pub stopped: Option<(Uuid, Error)>,
}

/// Takes back actions one after the other, in the order given, up to the first that cannot be. See [`replay`].
pub async fn take_back(ctx: &mut Ctx, actions: &[Uuid], others_right: &str) -> Result<TakenBack> {
    let mut taken = TakenBack { undone: Vec::new(), stopped: None };
    for &action in actions {
        let changes = ctx.changes.len();
        ctx.tx.script("SAVEPOINT bureau_step").await?;
        match replay(ctx, action, Direction::Back, others_right).await {
            Ok(replayed) => {
                ctx.tx.script("RELEASE SAVEPOINT bureau_step").await?;
                taken.undone.push(replayed);
            }
            Err(error) if error.is_retryable() || error.code() == Code::Internal => return Err(error),
            Err(error) => {
                ctx.tx.script("ROLLBACK TO SAVEPOINT bureau_step").await?;
                ctx.changes.truncate(changes);
                taken.stopped = Some((action, error));
                break;
            }
        }
    }
    Ok(taken)
}

async fn changes_of(ctx: &mut Ctx, action_id: Uuid) -> Result<Vec<Change>> {
    let sql = Sql::with(
        "SELECT table_name, row_id, before, after, version_after FROM action_changes WHERE action_id = $1 AND tenant_id = $2 \
         ORDER BY sequence",
        [action_id.into(), ctx.principal.tenant_id.into()],
    );
    let bureau = ctx.bureau.clone();
    let snapshot =
        |cell: Option<String>| cell.map(|text| serde_json::from_str(&text).map_err(Error::internal)).transpose();
    let mut changes = Vec::new();
    for row in ctx.tx.query(&sql).await? {
        let name: String = row.get(0)?;
        let table = bureau.registry.table(&name);
        let table = table.ok_or_else(|| Error::internal(format!("the journal names the unknown table {name}")))?;
        changes.push(Change {
            table,
            id: row.get(1)?,
            before: snapshot(row.get(2)?)?,
            after: snapshot(row.get(3)?)?,
            version: row.get(4)?,
        });
    }
    Ok(changes)
}

/// One row on its way from one state to another; absent means that there is no row.
struct Step<'a> {
    table: &'static crate::table::Table,
    id: Uuid,
    from: Option<&'a Map<String, Value>>,
    to: Option<&'a Map<String, Value>>,
}

impl<'a> Step<'a> {
    fn back(change: &'a Change) -> Self {
        Self { table: change.table, id: change.id, from: change.after.as_ref(), to: change.before.as_ref() }
    }

    fn forth(change: &'a Change) -> Self {
        Self { table: change.table, id: change.id, from: change.before.as_ref(), to: change.after.as_ref() }
    }

    async fn carry_out(&self, ctx: &mut Ctx) -> Result<()> {
        let current = ctx.find_in(self.table, Key::Uuid(self.id)).await?;
        let gone = || Error::retryable("a row changed while an action was being replayed");
        let version = match (self.to, &current) {
            (Some(to), None) => {
                if self.table.columns.iter().any(|column| column.secret) {
                    return Err(Error::impossible_state(format!(
                        "A {} holds a secret that the journal does not keep, so it cannot be brought back. Make a new one.",
                        self.table.noun
                    )));
                }
                let record = Record::from_snapshot(self.table, to)?;
                ctx.guarded(self.table, None, Some(&record)).await?;
                ctx.insert_row(&record).await?;
                record.version
            }
            (Some(to), Some(current)) => {
                let mut wanted = Record::from_snapshot(self.table, to)?;
                keep_secrets(&mut wanted, current);
                ctx.guarded(self.table, Some(current), Some(&wanted)).await?;
                ctx.restore_row(current, &wanted).await?;
                wanted.version
            }
            (None, Some(current)) => {
                ctx.guarded(self.table, Some(current), None).await?;
                ctx.delete_row(current).await?;
                current.version
            }
            (None, None) => return Err(gone()),
        };
        ctx.note(Change {
            table: self.table,
            id: self.id,
            before: self.from.cloned(),
            after: self.to.cloned(),
            version,
        });
        Ok(())
    }
}

/// Secret columns are not in the journal: what is stored stays.
fn keep_secrets(wanted: &mut Record, current: &Record) {
    for (index, _) in wanted.table.columns.iter().enumerate().filter(|(_, column)| column.secret) {
        if let (Some(cell), Some(stored)) = (wanted.cells.get_mut(index), current.cells.get(index)) {
            *cell = stored.clone();
        }
    }
}

/// Every row must stand exactly as the action left it, and nothing new may hang on rows that would go.
async fn refuse_conflicts(ctx: &mut Ctx, steps: &[Step<'_>]) -> Result<()> {
    let mut conflicts = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for step in steps {
        // Later steps on the same row start from what an earlier step made of it.
        if !seen.insert((step.table.name, step.id)) {
            continue;
        }
        let current = ctx.find_in(step.table, Key::Uuid(step.id)).await?;
        let expected = step.from.and_then(|from| from.get("version")).and_then(Value::as_i64);
        let found = current.as_ref().map(|record| record.version);
        if expected != found {
            conflicts.push(json!({
                "record": step.table.noun,
                "id": step.id,
                "reason": match (expected, found) {
                    (Some(_), None) => "deleted since",
                    (None, Some(_)) => "exists again",
                    _ => "changed since",
                },
                "fields": crate::ctx::shown_differences(step.table, step.from, current.as_ref().map(Record::snapshot).as_ref()),
            }));
        }
    }
    // Rows that end up gone: whatever refers to them must go in the same replay.
    let leaving: std::collections::HashSet<Uuid> =
        steps.iter().filter(|step| step.to.is_none()).map(|step| step.id).collect();
    let touched: std::collections::HashSet<Uuid> = steps.iter().map(|step| step.id).collect();
    let bureau = ctx.bureau.clone();
    for step in steps.iter().filter(|step| leaving.contains(&step.id)) {
        let Some(record) = ctx.find_in(step.table, Key::Uuid(step.id)).await? else { continue };
        for reference in bureau.registry.references_to(step.table) {
            for dependant in ctx.referring(reference, &record).await? {
                if !touched.contains(&dependant.id) {
                    conflicts.push(
                        json!({"record": dependant.table.noun, "id": dependant.id, "reason": "refers to it since"}),
                    );
                }
            }
        }
    }
    if conflicts.is_empty() {
        return Ok(());
    }
    let count = conflicts.len();
    Err(Error::conflict(format!(
        "This cannot be replayed: {count} record(s) changed since. Look at details.conflicts, and take back the later changes first."
    ))
    .with("conflicts", Value::Array(conflicts)))
}
