//! Checklists: the small points of a task.

use bureau_kit::prelude::*;

use crate::given::Given;
use crate::tasks::{MANAGE, Task, TaskInput, VIEW};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("task_todo_list", VIEW, list)
            .title("List a task's checklist")
            .about("List the points of a task's checklist in order, each done or not. task_todo_set changes them.")
            .synonyms("checklist subtasks lista kontrolna punkty zadania чекліст пункти завдання"),
        Tool::update("task_todo_set", MANAGE, set)
            .on(Task::TABLE)
            .destructive()
            .title("Set a task's checklist")
            .about(
                "Set the checklist of a task to exactly these points, in this order, each done or not. Points left out \
                 are removed; read them first with task_todo_list.",
            )
            .synonyms("checklist tick off done points odhacz punkt lista kontrolna ustaw відмітити пункт чекліст"),
    ]
}

/// Points on a checklist at most.
const MOST: usize = 200;

pub(crate) static TASK_TODOS: Table = Table::new(
    "task_todos",
    "task_todo",
    "A point of a task's checklist.",
    &[
        Column::reference("task_id", "tasks", OnDelete::Cascade, "Task.").required().fixed(),
        Column::text("title", "What is to be done.").required(),
        Column::flag("done", "Whether it is done."),
        Column::count("position", 1, 1_000_000, "Place on the checklist, from 1.").required(),
    ],
)
.unnumbered()
.tenant_wide();

#[derive(Debug, Serialize, JsonSchema)]
struct Checklist {
    /// The points, in order.
    items: Vec<Point>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Point {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// What is to be done.
    title: String,
    /// Whether it is done.
    done: bool,
    /// Place on the checklist, from 1.
    position: i64,
}

impl Checklist {
    fn of(rows: &[Record]) -> Result<Self> {
        let point = |row: &Record| {
            Ok(Point { id: row.id, title: row.get("title")?, done: row.flag("done"), position: row.get("position")? })
        };
        Ok(Self { items: rows.iter().map(point).collect::<Result<_>>()? })
    }
}

async fn rows(ctx: &mut Ctx, task: Uuid) -> Result<Vec<Record>> {
    let mut sql = ctx.from(&TASK_TODOS);
    sql.and_eq("task_id", task).push(" ORDER BY position, id");
    ctx.records(&TASK_TODOS, &sql).await
}

async fn list(ctx: &mut Ctx, input: TaskInput) -> Result<Checklist> {
    let task = ctx.fetch(input.id).await?;
    Checklist::of(&rows(ctx, task.id).await?)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewPoint {
    /// What is to be done.
    #[schemars(length(max = 255))]
    title: String,
    /// Whether it is done; false when left out.
    done: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SetInput {
    /// Task.
    id: Id<Task>,
    /// All points of the checklist, in order; an empty list removes it.
    todos: Vec<NewPoint>,
}

async fn set(ctx: &mut Ctx, input: SetInput) -> Result<Checklist> {
    let task = ctx.fetch(input.id).await?;
    let points = input.todos.into_iter().map(|point| (point.title, point.done.unwrap_or_default()));
    write(ctx, &task, points.collect()).await
}

/// The checklist of a new task.
pub(crate) async fn start(ctx: &mut Ctx, task: &Record, titles: Vec<String>) -> Result<()> {
    write(ctx, task, titles.into_iter().map(|title| (title, false)).collect()).await?;
    Ok(())
}

/// Writes over the points there are, place by place, so that what stays keeps its id.
async fn write(ctx: &mut Ctx, task: &Record, points: Vec<(String, bool)>) -> Result<Checklist> {
    if points.len() > MOST {
        return Err(Error::invalid("/todos", format!("a checklist has at most {MOST} points")));
    }
    let mut stored = rows(ctx, task.id).await?.into_iter();
    let mut written = Vec::with_capacity(points.len());
    for ((title, done), position) in points.into_iter().zip(1_i64..) {
        let mut given = Given::new(&TASK_TODOS);
        given.put("title", Some(title))?.put("done", Some(done))?.put("position", Some(position))?;
        let mut values = given.values().map_err(|error| {
            let index = position.saturating_sub(1);
            let why = error.fields().first().map_or_else(|| error.message(), |field| &field.message);
            Error::invalid(format!("/todos/{index}/title"), why)
        })?;
        written.push(match stored.next() {
            Some(row) => ctx.update(&row, values).await?,
            None => {
                values.set("task_id", task.id);
                ctx.insert(&TASK_TODOS, values).await?
            }
        });
    }
    for row in stored {
        ctx.delete(&row).await?;
    }
    Checklist::of(&written)
}
