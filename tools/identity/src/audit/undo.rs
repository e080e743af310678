//! Taking one action back, and carrying it out again.

use bureau_kit::journal::{self, Direction};
use bureau_kit::prelude::*;

use super::{UNDO_ALL, UNDO_OWN};

pub(super) fn tools() -> Vec<Tool> {
    vec![
        Tool::action("action_undo", UNDO_OWN, undo)
            .irreversible("use action_redo")
            .destructive()
            .title("Undo an action")
            .about(
                "Take back one write exactly: same ids, same values. Needs the undo_token of its answer or of action_log_list. \
                 Refused with the records in the way when something changed since. action_redo brings it back; session_undo \
                 takes back all that was done in a session.",
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
    replay(ctx, action, Direction::Back, UNDO_ALL).await
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
