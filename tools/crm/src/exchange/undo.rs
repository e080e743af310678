//! Taking an import back as a whole.

use bureau_kit::journal;
use bureau_kit::prelude::*;

use super::{CONTACT_IMPORTS, ContactImport, MANAGE};

pub(super) fn tools() -> Vec<Tool> {
    vec![
        Tool::action("contact_import_undo", MANAGE, undo)
            .on(&CONTACT_IMPORTS)
            .irreversible("import the file again")
            .destructive()
            .long()
            .title("Undo an import")
            .about(
                "Take back a whole import of people or companies, all its parts, last first, exactly. Refused, with nothing taken \
                 back, when a record of it was changed since: details.conflicts names them. Its row stays, with status undone.",
            )
            .synonyms("revert rollback csv cofnij import kontaktów wycofaj скасувати імпорт контактів"),
    ]
}

/// Open Mercato's right to take back what others did.
const UNDO_ALL: &str = "audit_logs.undo_tenant";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UndoInput {
    /// UUID or number of the import; see contact_import_list.
    id: Id<ContactImport>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct TakenBack {
    /// Always true.
    ok: bool,
    /// UUID of the import.
    id: String,
    /// Always undone.
    status: &'static str,
    /// How many parts were taken back.
    parts: i64,
    /// How many records were put back.
    changed_rows: usize,
}

async fn undo(ctx: &mut Ctx, input: UndoInput) -> Result<TakenBack> {
    ctx.checkpoint().await?;
    let import = ctx.fetch(input.id).await?;
    if import.text("status") == "undone" {
        return Err(Error::impossible_state(
            "This import is taken back already. Import the file again if you want it.",
        ));
    }
    let mut sql = Sql::new(
        "SELECT id FROM action_logs WHERE undoable AND state = 'done' AND tool = 'contact_import_run' AND tenant_id = ",
    );
    sql.bind(ctx.tenant_id());
    sql.push(" AND id IN (SELECT action_id FROM action_changes WHERE tenant_id = ").bind(ctx.tenant_id());
    sql.and_eq("row_id", import.id).push(") ORDER BY position DESC NULLS LAST, created_at DESC, id DESC");
    let actions = ctx.rows(&sql).await?.iter().map(|row| row.get(0)).collect::<Result<Vec<Uuid>>>()?;
    let (mut parts, mut changed_rows) = (0_i64, 0_usize);
    let total = u64::try_from(actions.len()).ok();
    for action in actions {
        // The first part that cannot be taken back ends the call, and with it everything before.
        let taken = journal::take_back_but(ctx, action, UNDO_ALL, &CONTACT_IMPORTS).await?;
        parts = parts.saturating_add(1);
        changed_rows = changed_rows.saturating_add(taken.changed_rows);
        ctx.progress(u64::try_from(parts).unwrap_or_default(), total, "taking back");
    }
    ctx.update(&import, Values::new().with("status", "undone").with("ended_at", ctx.now())).await?;
    Ok(TakenBack { ok: true, id: import.id.to_string(), status: "undone", parts, changed_rows })
}
