//! Projects: what tasks belong to.

use bureau_kit::prelude::*;

use crate::find::{FindInput, Found};
use crate::period::refuse_backwards;
use crate::tree::refuse_circle;

const VIEW: &str = "organize.projects.view";
const MANAGE: &str = "organize.projects.manage";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("project_list", VIEW, &PROJECTS)
            .title("List projects")
            .about(
                "List projects, newest first. Filter by team, responsible user, client or parent project; q searches \
                 name, description and code. For the tasks of one call task_list (project_id).",
            )
            .synonyms("projekty lista projektów проєкти проекти список"),
        family::show("project_show", VIEW, &PROJECTS)
            .title("Show a project")
            .about("Show one project with its team, responsible user, client and dates. Its tasks: task_list (project_id).")
            .synonyms("projekt szczegóły pokaż проєкт проект показати"),
        family::create("project_create", MANAGE, &PROJECTS)
            .title("Create a project")
            .about(
                "Create a project that tasks and task lists can belong to. Its name is unique in the organization. Then \
                 call task_create or tasklist_create with project_id.",
            )
            .synonyms("new project start nowy projekt dodaj utwórz створити новий проєкт додати"),
        family::update("project_update", MANAGE, &PROJECTS)
            .title("Change a project")
            .about("Change a project: name, description, team, responsible user, parent, client, dates, or active: false to retire it.")
            .synonyms("edit rename archive projekt zmień edytuj archiwizuj змінити редагувати проєкт архівувати"),
        family::delete("project_delete", MANAGE, &PROJECTS)
            .title("Delete a project")
            .about(
                "Delete a project with its task lists. Refused while it has tasks or projects below it; move or delete \
                 those first, or retire it with project_update (active: false).",
            )
            .synonyms("remove projekt usuń skasuj видалити проєкт"),
        Tool::read("project_find", VIEW, find)
            .title("Find a project")
            .about("Find projects by words in name, description or code, and get their ids. For filters call project_list.")
            .synonyms("search projekt szukaj znajdź знайти пошук проєкт"),
    ]
}

/// Names the table of projects to ids.
#[derive(Debug)]
pub struct Project;

impl Kind for Project {
    const TABLE: &'static Table = &PROJECTS;
}

pub(crate) static PROJECTS: Table = Table::new(
    "projects",
    "project",
    "What tasks belong to.",
    &[
        Column::text("name", "Name, unique in the organization.").required().search().sort(),
        Column::text("description", "What it is about.").max(10_000).search(),
        Column::text("kind", "Kind of project, any word.").filter(),
        Column::text("code", "Short code, such as a prefix of task numbers.").max(32).search(),
        Column::reference("team_id", "teams", OnDelete::Refuse, "Team that works on it.").filter(),
        Column::reference(
            "responsible_id",
            "users",
            OnDelete::Clear,
            "User responsible for it, and for its new tasks.",
        )
        .filter(),
        Column::reference("project_id", "projects", OnDelete::Refuse, "Parent project.").filter(),
        Column::reference("client_id", "parties", OnDelete::Clear, "Client it is done for.").filter(),
        Column::count("priority", 0, 10, "Priority, 10 is the highest.").default("0").sort(),
        Column::date("date_from", "First day.").range().sort(),
        Column::date("date_to", "Last day, not before date_from.").range().sort(),
        Column::color("color", "Colour."),
        Column::flag("active", "Whether work goes on.").default("true").filter(),
    ],
)
.rule(rule);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        refuse_backwards(draft.before, draft.values)?;
        if let (Some(before), Some(parent)) = (draft.before, draft.values.id_of("project_id")) {
            refuse_circle(ctx, &PROJECTS, "project_id", before.id, parent).await?;
        }
        Ok(())
    })
}

async fn find(ctx: &mut Ctx, input: FindInput) -> Result<Found> {
    input.named(ctx, &PROJECTS).await
}
