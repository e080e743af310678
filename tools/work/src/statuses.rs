//! Task statuses: the columns of a board, in the order of `priority`.

use bureau_kit::prelude::*;

use crate::tasks::TASKS;

const VIEW: &str = "organize.statuses.view";
const MANAGE: &str = "organize.statuses.manage";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("task_status_list", VIEW, &TASK_STATUSES)
            .title("List task statuses")
            .about(
                "List the statuses a task can have. Sort by priority for the order of a board. Those with closed: true \
                 close a task that gets them.",
            )
            .synonyms("board columns states statusy zadań kolumny tablicy etapy статуси завдань стани"),
        family::show("task_status_show", VIEW, &TASK_STATUSES)
            .title("Show a task status")
            .about("Show one task status: its category, colour, place on the board, and whether it closes tasks.")
            .synonyms("state status zadania pokaż статус завдання показати"),
        family::create("task_status_create", MANAGE, &TASK_STATUSES)
            .title("Create a task status")
            .about(
                "Create a status for tasks. Its name is unique. With closed: true it closes the tasks that get it. It \
                 comes last on the board unless priority says otherwise.",
            )
            .synonyms("new state board column nowy status zadań dodaj створити статус завдань"),
        family::update("task_status_update", MANAGE, &TASK_STATUSES)
            .title("Change a task status")
            .about("Change a task status: name, colour, category, place. Whether it closes tasks can change only while no task has it.")
            .synonyms("rename state zmień status zadań kolor змінити статус завдань"),
        Tool::delete("task_status_delete", MANAGE, delete)
            .on(&TASK_STATUSES)
            .title("Delete a task status")
            .about(
                "Delete a task status. When tasks or task lists have it, give replacement_status_id: they get that one, \
                 and are closed or opened as it says.",
            )
            .synonyms("remove state usuń status zadań zastąp видалити статус завдань"),
        Tool::action("task_status_move_up", MANAGE, move_up)
            .on(&TASK_STATUSES)
            .title("Move a task status up")
            .about("Move a task status one place up on the board: it changes places with the one before it. The first one stays.")
            .synonyms("order earlier left przesuń status w górę kolejność перемістити статус вгору"),
        Tool::action("task_status_move_down", MANAGE, move_down)
            .on(&TASK_STATUSES)
            .title("Move a task status down")
            .about("Move a task status one place down on the board: it changes places with the one after it. The last one stays.")
            .synonyms("order later right przesuń status w dół kolejność перемістити статус вниз"),
    ]
}

/// Names the table of task statuses to ids.
#[derive(Debug)]
pub struct TaskStatus;

impl Kind for TaskStatus {
    const TABLE: &'static Table = &TASK_STATUSES;
}

pub(crate) static TASK_STATUSES: Table = Table::new(
    "task_statuses",
    "task_status",
    "A state that tasks pass through.",
    &[
        Column::text("name", "Name, unique.").required().search().sort(),
        Column::text("description", "What it means.").max(2_000),
        Column::choice("category", &["todo", "in_progress", "ready", "done"], "What stage of work it stands for.")
            .default("\"todo\"")
            .filter(),
        Column::color("color", "Colour on the board.").default("\"#3730A3\""),
        Column::count("priority", 0, 1_000_000, "Place on the board, lowest first; last when left out.").sort(),
        Column::flag("closed", "Whether a task that gets it is closed.").filter(),
        Column::flag("active", "Whether it is offered.").default("true").filter(),
    ],
)
.tenant_wide()
.rule(rule);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let placed = draft.values.get("priority");
        let unplaced = match draft.event {
            Event::Create => placed.is_none_or(Val::is_null),
            Event::Update => placed.is_some_and(Val::is_null),
            Event::Delete => false,
        };
        if unplaced {
            let sql = ctx.select("COALESCE(MAX(priority), 0)", &TASK_STATUSES);
            let last: i64 = ctx.rows(&sql).await?.first().map_or(Ok(0), |row| row.get(0))?;
            draft.values.set("priority", last.saturating_add(1));
        }
        let (Some(before), Some(closed)) = (draft.before, draft.values.get("closed")) else { return Ok(()) };
        if draft.event != Event::Update || closed == before.cell("closed") {
            return Ok(());
        }
        // Inferred: otherwise tasks would close or open behind the back of those who work on them.
        let mut sql = ctx.select("1", &TASKS);
        sql.and_eq("status_id", before.id);
        if ctx.exists(sql).await? {
            return Err(Error::impossible_state(format!(
                "Tasks have the status {}, so whether it closes them cannot change. Make another status with \
                 task_status_create, then replace this one with task_status_delete (replacement_status_id).",
                before.text("name")
            )));
        }
        Ok(())
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteInput {
    /// Task status to delete.
    id: Id<TaskStatus>,
    /// Status that everything with the deleted one gets. Needed only when it is in use.
    replacement_status_id: Option<Id<TaskStatus>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    /// Always true.
    ok: bool,
    /// UUID of what was deleted.
    #[schemars(with = "String")]
    id: Uuid,
    /// How many tasks and task lists got the replacement.
    replaced: usize,
}

async fn delete(ctx: &mut Ctx, input: DeleteInput) -> Result<Deleted> {
    let status = ctx.fetch(input.id).await?;
    let replacement = match input.replacement_status_id {
        Some(id) => Some(ctx.reference("replacement_status_id", id).await?),
        None => None,
    };
    if replacement == Some(status.id) {
        return Err(Error::invalid("/replacement_status_id", "is the status to delete; choose another"));
    }
    let bureau = ctx.bureau().clone();
    let mut replaced = 0_usize;
    for reference in bureau.registry.references_to(&TASK_STATUSES) {
        // What hangs on the status goes or is refused by the kit's own rules; what has it gets the replacement.
        if reference.on_delete != OnDelete::Refuse {
            continue;
        }
        let users = ctx.referring(reference, &status).await?;
        let Some(replacement) = replacement else {
            if users.is_empty() {
                continue;
            }
            return Err(Error::conflict(format!(
                "The status {} is in use: {} × {}. Give replacement_status_id, the status they are to get instead; \
                 task_status_list shows them.",
                status.text("name"),
                users.len(),
                reference.table.noun
            ))
            .with("used_by", reference.table.noun)
            .with("count", users.len()));
        };
        for row in &users {
            family::save(ctx, row, Values::new().with(reference.column, replacement)).await?;
        }
        replaced = replaced.saturating_add(users.len());
    }
    family::remove(ctx, &status).await?;
    Ok(Deleted { ok: true, id: status.id, replaced })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MoveInput {
    /// Task status to move.
    id: Id<TaskStatus>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Moved {
    /// Always true.
    ok: bool,
    /// UUID of the status.
    #[schemars(with = "String")]
    id: Uuid,
    /// Its place on the board now.
    priority: i64,
}

async fn move_up(ctx: &mut Ctx, input: MoveInput) -> Result<Moved> {
    swap(ctx, input, |place| place.checked_sub(1)).await
}

async fn move_down(ctx: &mut Ctx, input: MoveInput) -> Result<Moved> {
    swap(ctx, input, |place| place.checked_add(1)).await
}

/// Changes places with a neighbour; nothing happens at the edge (inferred, intum.md).
async fn swap(ctx: &mut Ctx, input: MoveInput, neighbour: fn(usize) -> Option<usize>) -> Result<Moved> {
    let status = ctx.fetch(input.id).await?;
    let mut board = board(ctx).await?;
    let places = places(board.iter().map(|row| row.get("priority")).collect::<Result<_>>()?);
    let place = board.iter().position(|row| row.id == status.id);
    let other = place.and_then(neighbour).filter(|other| *other < board.len());
    if let (Some(place), Some(other)) = (place, other) {
        board.swap(place, other);
    }
    let mut priority = 0;
    for (row, place) in board.iter().zip(places) {
        if row.id == status.id {
            priority = place;
        }
        ctx.update(row, Values::new().with("priority", place)).await?;
    }
    Ok(Moved { ok: true, id: status.id, priority })
}

/// The places on the board: as they are, or counted from 1 where two statuses share one or lack one.
fn places(stored: Vec<Option<i64>>) -> Vec<i64> {
    let apart = stored.iter().zip(stored.iter().skip(1)).all(|(one, next)| one.is_some() && one < next);
    let known: Vec<i64> = stored.iter().copied().flatten().collect();
    if apart && known.len() == stored.len() { known } else { (1_i64..).take(stored.len()).collect() }
}

/// All statuses in the order of the board.
async fn board(ctx: &mut Ctx) -> Result<Vec<Record>> {
    let mut sql = ctx.from(&TASK_STATUSES);
    sql.push(" ORDER BY priority NULLS LAST, num");
    ctx.records(&TASK_STATUSES, &sql).await
}

/// The first status in use that closes tasks, or that does not.
pub(crate) async fn first(ctx: &mut Ctx, closing: bool) -> Result<Option<Uuid>> {
    let mut sql = ctx.select("id", &TASK_STATUSES);
    sql.and_eq("closed", closing).push(" AND active ORDER BY priority NULLS LAST, num LIMIT 1");
    match ctx.rows(&sql).await?.first() {
        // Looked up once more, so that it cannot go or change before this call has ended.
        Some(row) => ctx.resolve(&TASK_STATUSES, Key::Uuid(row.get(0)?)).await,
        None => Ok(None),
    }
}

/// Whether a status closes tasks.
pub(crate) async fn closes(ctx: &mut Ctx, status: Uuid) -> Result<bool> {
    let mut sql = ctx.select("closed", &TASK_STATUSES);
    sql.and_eq("id", status);
    ctx.rows(&sql).await?.first().map_or(Ok(false), |row| row.get(0))
}

/// Name, category, colour, whether it closes.
const SEEDED: [(&str, &str, &str, bool); 4] = [
    ("To do", "todo", "#64748B", false),
    ("In progress", "in_progress", "#3730A3", false),
    ("Ready", "ready", "#B45309", false),
    ("Done", "done", "#15803D", true),
];

/// Gives a new tenant its first statuses. Those that are there already stay as they are.
pub async fn seed(ctx: &mut Ctx) -> Result<()> {
    for (name, category, color, closed) in SEEDED {
        let mut sql = ctx.select("1", &TASK_STATUSES);
        sql.and_eq("name", name);
        if ctx.exists(sql).await? {
            continue;
        }
        let values =
            Values::new().with("name", name).with("category", category).with("color", color).with("closed", closed);
        family::save_new(ctx, &TASK_STATUSES, values).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_unless_they_clash() {
        assert_eq!(places(vec![Some(1), Some(5), Some(9)]), [1, 5, 9]);
        assert_eq!(places(vec![Some(1), Some(1), Some(9)]), [1, 2, 3]);
        assert_eq!(places(vec![Some(4), None]), [1, 2]);
        assert_eq!(places(vec![None]), [1]);
        assert!(places(Vec::new()).is_empty());
    }
}
