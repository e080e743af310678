//! Task lists: sprints, milestones, cycles and plain lists of tasks.

use bureau_kit::prelude::*;

use crate::find::{FindInput, Found};
use crate::period::refuse_backwards;
use crate::tasks::TASKS;

const VIEW: &str = "organize.tasklists.view";
const MANAGE: &str = "organize.tasklists.manage";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("tasklist_list", VIEW, &TASKLISTS)
            .title("List task lists")
            .about(
                "List task lists (sprints, milestones, cycles, plain lists), newest first. Filter by project, team or \
                 kind. For the tasks on one call task_list (tasklist_id).",
            )
            .synonyms("sprints milestones listy zadań sprinty kamienie milowe списки завдань спринти"),
        family::show("tasklist_show", VIEW, &TASKLISTS)
            .title("Show a task list")
            .about("Show one task list with its kind, project and dates. Its tasks: task_list (tasklist_id).")
            .synonyms("sprint milestone lista zadań pokaż список завдань показати"),
        family::create("tasklist_create", MANAGE, &TASKLISTS)
            .title("Create a task list")
            .about(
                "Create a task list: a sprint, milestone, cycle or plain list, of a project or on its own. Then put tasks \
                 on it with task_create or task_update (tasklist_id).",
            )
            .synonyms("new task list project sprint milestone nowa lista zadań dodaj створити список завдань спринт"),
        family::update("tasklist_update", MANAGE, &TASKLISTS)
            .title("Change a task list")
            .about("Change a task list: name, kind, team, status, dates, or closed. Its project can change while no tasks are on it.")
            .synonyms("edit sprint zmień listę zadań zamknij sprint змінити список завдань"),
        family::delete("tasklist_delete", MANAGE, &TASKLISTS)
            .title("Delete a task list")
            .about("Delete a task list. Its tasks stay, and are on no list afterwards.")
            .synonyms("remove sprint usuń listę zadań видалити список завдань"),
        Tool::read("tasklist_find", VIEW, find)
            .title("Find a task list")
            .about("Find task lists by words in name or description, and get their ids. For filters call tasklist_list.")
            .synonyms("search sprint szukaj listy zadań znajdź знайти список завдань"),
    ]
}

/// Names the table of task lists to ids.
#[derive(Debug)]
pub struct Tasklist;

impl Kind for Tasklist {
    const TABLE: &'static Table = &TASKLISTS;
}

pub(crate) static TASKLISTS: Table = Table::new(
    "tasklists",
    "tasklist",
    "A list that tasks stand on.",
    &[
        Column::text("name", "Name.").required().search().sort(),
        Column::text("description", "What it is about.").max(10_000).search(),
        Column::choice("kind", &["sprint", "milestone", "list", "cycle"], "Kind of list.").default("\"list\"").filter(),
        Column::reference("team_id", "teams", OnDelete::Refuse, "Team that works on it.").filter(),
        Column::reference("project_id", "projects", OnDelete::Cascade, "Project it belongs to.").filter(),
        Column::reference("status_id", "task_statuses", OnDelete::Refuse, "Status of the list as a whole.").filter(),
        Column::date("date_from", "First day.").range().sort(),
        Column::date("date_to", "Last day, not before date_from.").range().sort(),
        Column::flag("closed", "Whether it is over.").filter(),
    ],
)
.rule(rule);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        refuse_backwards(draft.before, draft.values)?;
        let (Some(before), Some(project)) = (draft.before, draft.values.get("project_id")) else { return Ok(()) };
        // Inferred: a task stands on a list of its own project, or of none. So a list in use keeps its project.
        if project == before.cell("project_id") {
            return Ok(());
        }
        let mut sql = ctx.select("1", &TASKS);
        sql.and_eq("tasklist_id", before.id);
        if ctx.exists(sql).await? {
            return Err(Error::impossible_state(
                "This list has tasks, so it cannot change its project. Take them off with task_update (tasklist_id: null), \
                 or make a new list with tasklist_create.",
            ));
        }
        Ok(())
    })
}

async fn find(ctx: &mut Ctx, input: FindInput) -> Result<Found> {
    input.named(ctx, &TASKLISTS).await
}
