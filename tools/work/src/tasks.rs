//! Tasks: what is to be done, by whom and until when.

use bureau_crm::{Attachment, Party};
use bureau_identity::{Organization, Team, User};
use bureau_kit::prelude::*;
use bureau_kit::table::Input;

use crate::find::FindInput;
use crate::given::Given;
use crate::projects::Project;
use crate::statuses::{self, TaskStatus};
use crate::tasklists::Tasklist;
use crate::{tags, task_list, task_rules, todos};

pub(crate) const VIEW: &str = "organize.tasks.view";
pub(crate) const MANAGE: &str = "organize.tasks.manage";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read_body("task_list", VIEW, task_list::list)
            .alias("task_list_tool")
            .title("List tasks")
            .about(
                "List tasks, newest first: open ones unless status says closed or all. Filter by responsible (`me` for \
                 your own), project, list, team, status, client or deadline; q searches title and content.",
            )
            .synonyms("to do todos my work issues tickets zadania lista zadań moje zadania do zrobienia завдання список мої задачі справи"),
        family::show("task_show", VIEW, &TASKS)
            .alias("task_show_tool")
            .title("Show a task")
            .about(
                "Show one task: title, content, status, responsible, deadline, priority. Its checklist is in \
                 task_todo_list, its comments in task_comment_list.",
            )
            .synonyms("task details open zadanie szczegóły pokaż zadanie завдання деталі показати задачу"),
        Tool::create("task_create", MANAGE, create)
            .title("Create a task")
            .about(
                "Create a task. Needs only a title. Without a responsible it goes to the one of its project or team. \
                 todos makes a checklist, tags attaches tags. Then task_comment_create or task_close.",
            )
            .synonyms("new task add to do assign nowe zadanie dodaj zadanie zleć przypisz utwórz нове завдання створити задачу доручити"),
        Tool::update("task_update", MANAGE, update)
            .on(&TASKS)
            .title("Change a task")
            .about(
                "Change a task: what is given changes, null clears. A status that closes closes it, another one opens it \
                 again. Naming a user as responsible takes it from a team, and the other way round.",
            )
            .synonyms("edit reassign reopen move deadline zmień zadanie edytuj przypisz przełóż otwórz змінити завдання перепризначити відкрити"),
        family::delete("task_delete", MANAGE, &TASKS)
            .title("Delete a task")
            .about("Delete a task with its subtasks, checklist, comments and attachments. To finish it instead call task_close.")
            .synonyms("remove task usuń zadanie skasuj видалити завдання задачу"),
        Tool::action("task_close", MANAGE, close)
            .on(&TASKS)
            .idempotent()
            .title("Close a task")
            .about(
                "Close a task: it is done, and gets the first closing status. A closed one stays as it is. To open it \
                 again give task_update a status that does not close.",
            )
            .synonyms("finish complete done resolve zamknij zadanie zakończ zrobione wykonane закрити завдання завершити готово виконано"),
        Tool::update("task_priority_change", MANAGE, change_priority)
            .on(&TASKS)
            .title("Change a task's priority")
            .about("Set the priority of a task, from 0 to 10, where 10 is the most urgent.")
            .synonyms("urgent important priorytet zadania pilne ważne zmień пріоритет завдання терміново важливо"),
        Tool::update("task_option_change", MANAGE, change_option)
            .on(&TASKS)
            .title("Change one property of a task")
            .about(
                "Set one property of a task by name: status, team, project, list, responsible, priority or deadline. \
                 Null clears it. For several at once call task_update.",
            )
            .synonyms("set field quick edit zmień opcję zadania status termin ustaw властивість завдання змінити"),
        Tool::read("task_attachment_list", VIEW, attachments)
            .title("List a task's attachments")
            .about("List the files attached to a task, newest first: name, type and size.")
            .synonyms("files documents załączniki zadania pliki вкладення завдання файли"),
        Tool::read("task_find", VIEW, find)
            .title("Find a task")
            .about("Find tasks by words in title or content, open and closed, and get their ids. For filters call task_list.")
            .synonyms("search task szukaj zadania znajdź знайти завдання пошук"),
    ]
}

/// Names the table of tasks to ids.
#[derive(Debug)]
pub struct Task;

impl Kind for Task {
    const TABLE: &'static Table = &TASKS;
}

// Inferred: Intum's responsible is a user, a team or a group; here it is one of two columns, a user or a team. That
// keeps both under foreign keys, and "my tasks" on one index.
pub(crate) static TASKS: Table = Table::new(
    "tasks",
    "task",
    "Something to be done.",
    &[
        Column::text("title", "What is to be done.").required().search().sort(),
        Column::text("content", "Everything else about it, in Markdown.").max(65_535).search(),
        Column::reference("status_id", "task_statuses", OnDelete::Refuse, "Status.").filter(),
        Column::reference("team_id", "teams", OnDelete::Refuse, "Team it belongs to.").filter(),
        Column::reference("project_id", "projects", OnDelete::Refuse, "Project it belongs to.").filter(),
        Column::reference("tasklist_id", "tasklists", OnDelete::Clear, "Task list it stands on.").filter(),
        Column::reference("parent_id", "tasks", OnDelete::Cascade, "Task of which it is a part.").filter(),
        Column::reference("client_id", "parties", OnDelete::Clear, "Client it is done for.").filter(),
        Column::reference("responsible_id", "users", OnDelete::Clear, "User responsible for it.").filter(),
        Column::reference(
            "responsible_team_id",
            "teams",
            OnDelete::Clear,
            "Team responsible for it, instead of a user.",
        )
        .filter(),
        Column::reference("author_id", "users", OnDelete::Clear, "Who made it.").computed().filter(),
        Column::count("priority", 0, 10, "Priority, 10 is the most urgent.").default("0").sort(),
        Column::date("date_start", "Day from which it can be worked on.").range().sort(),
        Column::instant("deadline", "When it must be done.").range().sort(),
        Column::count("estimate", 0, 10_000_000, "Estimated work in minutes."),
        Column::flag("closed", "Whether it is done; its status and task_close decide.").computed().filter(),
        Column::instant("closed_at", "When it was closed.").computed(),
    ],
)
.rule(task_rules::rule);

/// A task as tools answer it.
pub(crate) type TaskRow = Shown<Task>;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// What is to be done.
    #[schemars(length(max = 255))]
    title: String,
    /// Everything else about it, in Markdown.
    #[schemars(length(max = 65535))]
    content: Option<String>,
    /// Status; the first one that does not close when left out. See task_status_list.
    status_id: Option<Id<TaskStatus>>,
    /// Team it belongs to.
    team_id: Option<Id<Team>>,
    /// Project it belongs to.
    project_id: Option<Id<Project>>,
    /// Task list it stands on; of the same project.
    tasklist_id: Option<Id<Tasklist>>,
    /// Task of which it is a part.
    parent_id: Option<Id<Task>>,
    /// Client it is done for.
    client_id: Option<Id<Party>>,
    /// User responsible for it. Without one: who answers for the project or the team.
    responsible_id: Option<Id<User>>,
    /// Team responsible for it, instead of a user.
    responsible_team_id: Option<Id<Team>>,
    /// Priority; 10 is the most urgent.
    #[schemars(range(min = 0, max = 10))]
    priority: Option<i64>,
    /// Day from which it can be worked on.
    date_start: Option<Date>,
    /// When it must be done.
    deadline: Option<Instant>,
    /// Estimated work in minutes.
    #[schemars(range(min = 0, max = 10_000_000))]
    estimate: Option<i64>,
    /// Names of tags to attach, separated by commas; missing tags are made.
    #[schemars(length(max = 2000))]
    tags: Option<String>,
    /// Titles of the points of its checklist, in order.
    todos: Option<Vec<String>>,
    /// Organization it belongs to; your own when left out.
    organization_id: Option<Id<Organization>>,
}

/// Puts the columns that a new task and a changed one take alike, out of the input of either.
macro_rules! put_shared {
    ($given:ident, $ctx:ident, $input:ident) => {
        $given.put("content", $input.content)?.put("priority", $input.priority)?;
        $given
            .put("date_start", $input.date_start)?
            .put("deadline", $input.deadline)?
            .put("estimate", $input.estimate)?;
        $given.refer($ctx, "status_id", $input.status_id).await?.refer($ctx, "team_id", $input.team_id).await?;
        $given
            .refer($ctx, "project_id", $input.project_id)
            .await?
            .refer($ctx, "tasklist_id", $input.tasklist_id)
            .await?;
        $given.refer($ctx, "parent_id", $input.parent_id).await?.refer($ctx, "client_id", $input.client_id).await?;
        $given.refer($ctx, "responsible_id", $input.responsible_id).await?;
        $given.refer($ctx, "responsible_team_id", $input.responsible_team_id).await?;
        $given.refer($ctx, "organization_id", $input.organization_id).await?;
    };
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<TaskRow> {
    let mut given = Given::new(&TASKS);
    given.put("title", Some(input.title))?;
    put_shared!(given, ctx, input);
    let task = family::save_new(ctx, &TASKS, given.values()?).await?;
    if let Some(names) = input.tags {
        tags::attach(ctx, &task, &names).await?;
    }
    if let Some(titles) = input.todos {
        todos::start(ctx, &task, titles).await?;
    }
    Ok(task.into())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// Task to change.
    id: Id<Task>,
    /// What is to be done.
    #[schemars(length(max = 255))]
    title: Option<String>,
    /// Everything else about it, in Markdown. Null clears it.
    #[serde(default)]
    #[schemars(length(max = 65535))]
    content: Patch<String>,
    /// Status; one that closes closes the task, another one opens it. Null clears it, and changes neither.
    #[serde(default)]
    status_id: Patch<Id<TaskStatus>>,
    /// Team it belongs to. Null clears it.
    #[serde(default)]
    team_id: Patch<Id<Team>>,
    /// Project it belongs to. Null clears it.
    #[serde(default)]
    project_id: Patch<Id<Project>>,
    /// Task list it stands on; of the same project. Null clears it.
    #[serde(default)]
    tasklist_id: Patch<Id<Tasklist>>,
    /// Task of which it is a part. Null clears it.
    #[serde(default)]
    parent_id: Patch<Id<Task>>,
    /// Client it is done for. Null clears it.
    #[serde(default)]
    client_id: Patch<Id<Party>>,
    /// User responsible for it. Null clears it.
    #[serde(default)]
    responsible_id: Patch<Id<User>>,
    /// Team responsible for it, instead of a user. Null clears it.
    #[serde(default)]
    responsible_team_id: Patch<Id<Team>>,
    /// Priority; 10 is the most urgent.
    #[schemars(range(min = 0, max = 10))]
    priority: Option<i64>,
    /// Day from which it can be worked on. Null clears it.
    #[serde(default)]
    date_start: Patch<Date>,
    /// When it must be done. Null clears it.
    #[serde(default)]
    deadline: Patch<Instant>,
    /// Estimated work in minutes. Null clears it.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10_000_000))]
    estimate: Patch<i64>,
    /// Names of tags to attach beside those it has, separated by commas; missing tags are made. tag_unassign takes one off.
    #[schemars(length(max = 2000))]
    tags: Option<String>,
    /// Organization it belongs to. Null makes it the whole tenant's.
    #[serde(default)]
    organization_id: Patch<Id<Organization>>,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<TaskRow> {
    let task = ctx.fetch(input.id).await?;
    let mut given = Given::new(&TASKS);
    given.put("title", input.title)?;
    put_shared!(given, ctx, input);
    let task = family::save(ctx, &task, given.values()?).await?;
    if let Some(names) = input.tags {
        tags::attach(ctx, &task, &names).await?;
    }
    Ok(task.into())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskInput {
    /// Task.
    pub(crate) id: Id<Task>,
}

async fn close(ctx: &mut Ctx, input: TaskInput) -> Result<TaskRow> {
    let task = ctx.fetch(input.id).await?;
    if task.flag("closed") {
        return Ok(task.into());
    }
    let mut values = Values::new().with("closed", true).with("closed_at", ctx.now());
    if let Some(status) = statuses::first(ctx, true).await? {
        values.set("status_id", status);
    }
    Ok(ctx.update(&task, values).await?.into())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PriorityInput {
    /// Task.
    id: Id<Task>,
    /// New priority; 10 is the most urgent.
    #[schemars(range(min = 0, max = 10))]
    priority: i64,
}

async fn change_priority(ctx: &mut Ctx, input: PriorityInput) -> Result<TaskRow> {
    let task = ctx.fetch(input.id).await?;
    let mut given = Given::new(&TASKS);
    given.put("priority", Some(input.priority))?;
    Ok(family::save(ctx, &task, given.values()?).await?.into())
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum TaskOption {
    StatusId,
    TeamId,
    ProjectId,
    ResponsibleId,
    ResponsibleTeamId,
    TasklistId,
    Priority,
    Deadline,
}

impl TaskOption {
    fn column(self) -> &'static str {
        match self {
            Self::StatusId => "status_id",
            Self::TeamId => "team_id",
            Self::ProjectId => "project_id",
            Self::ResponsibleId => "responsible_id",
            Self::ResponsibleTeamId => "responsible_team_id",
            Self::TasklistId => "tasklist_id",
            Self::Priority => "priority",
            Self::Deadline => "deadline",
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OptionInput {
    /// Task.
    id: Id<Task>,
    /// Which property to set.
    #[serde(rename = "type")]
    option: TaskOption,
    /// Its new value as text: the UUID or number of a record, a priority from 0 to 10, or an instant. Null clears it.
    #[serde(default)]
    value: Patch<String>,
}

async fn change_option(ctx: &mut Ctx, input: OptionInput) -> Result<TaskRow> {
    let task = ctx.fetch(input.id).await?;
    let name = input.option.column();
    let column = TASKS.column(name).ok_or_else(|| Error::internal(format!("no column {name}")))?;
    let wrong = |message: String| Error::invalid("/value", message);
    let value = match input.value {
        Patch::Absent => return Err(wrong(format!("is required: {}, or null to clear it", column.expected()))),
        Patch::Clear if column.nullable() => Val::Null,
        Patch::Clear => return Err(wrong("cannot be cleared".into())),
        Patch::Set(text) => match (column.parse(&Value::String(text)).map_err(wrong)?, column.kind) {
            (Input::Val(value), _) => value,
            (Input::Key(key), bureau_kit::table::Type::Reference { table, .. }) => {
                let bureau = ctx.bureau().clone();
                let table = bureau.registry.table(table).ok_or_else(|| Error::internal("a reference has no table"))?;
                Val::Id(ctx.reference_in("value", table, key).await?)
            }
            (Input::Key(_), _) => return Err(Error::internal(format!("{name} is no reference"))),
        },
    };
    Ok(family::save(ctx, &task, Values::new().with(name, value)).await?.into())
}

#[derive(Debug, Serialize, JsonSchema)]
struct Attachments {
    /// The files, newest first.
    items: Vec<AttachmentRow>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct AttachmentRow {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// Name of the file.
    file_name: String,
    /// Media type.
    mime: String,
    /// Size in bytes.
    size: i64,
    /// When it was attached.
    created_at: Instant,
}

async fn attachments(ctx: &mut Ctx, input: TaskInput) -> Result<Attachments> {
    let task = ctx.fetch(input.id).await?;
    let mut sql = ctx.from(Attachment::TABLE);
    sql.and_eq("subject_id", task.id).and_eq("subject_type", TASKS.noun).push(" ORDER BY num DESC");
    let rows = ctx.records(Attachment::TABLE, &sql).await?;
    let items = rows.iter().map(|row| {
        Ok(AttachmentRow {
            id: row.id,
            num: row.num,
            file_name: row.get("file_name")?,
            mime: row.get("mime")?,
            size: row.get("size")?,
            created_at: row.created_at,
        })
    });
    Ok(Attachments { items: items.collect::<Result<_>>()? })
}

#[derive(Debug, Serialize, JsonSchema)]
struct FoundTasks {
    /// What was found, newest first.
    items: Vec<FoundTask>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FoundTask {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: i64,
    /// What is to be done.
    title: String,
    /// Whether it is done.
    closed: bool,
}

async fn find(ctx: &mut Ctx, input: FindInput) -> Result<FoundTasks> {
    let rows = input.rows(ctx, &TASKS).await?;
    let items = rows.iter().map(|row| FoundTask {
        id: row.id,
        num: row.num.unwrap_or_default(),
        title: row.text("title").into(),
        closed: row.flag("closed"),
    });
    Ok(FoundTasks { items: items.collect() })
}
