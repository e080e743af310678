//! Comments on tasks, and questions: a comment with a responsible waits for an answer until it is solved.
//!
//! They are rows of the notes that all systems share (unified-model.md, 22).

use bureau_crm::Note;
use bureau_identity::User;
use bureau_kit::prelude::*;

use crate::given::Given;
use crate::tasks::{TASKS, Task};

const VIEW: &str = "organize.comments.view";
const MANAGE: &str = "organize.comments.manage";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("task_comment_list", VIEW, list)
            .title("List task comments")
            .about(
                "List comments on tasks, newest first. Give commentable_id for those of one task; solved: false with \
                 responsible_id for a person's unanswered questions.",
            )
            .synonyms("discussion questions komentarze zadania pytania dyskusja коментарі завдання питання"),
        Tool::read("task_comment_show", VIEW, show)
            .title("Show a task comment")
            .about("Show one comment on a task, with its author and whether it is a solved question.")
            .synonyms("comment komentarz zadania pokaż коментар завдання показати"),
        Tool::create("task_comment_create", MANAGE, create)
            .title("Comment on a task")
            .about(
                "Write a comment on a task. With responsible_id it is a question to that user, open until \
                 task_comment_solve.",
            )
            .synonyms("reply ask answer note skomentuj zadanie dodaj komentarz zapytaj прокоментувати завдання додати коментар запитати"),
        Tool::update("task_comment_update", MANAGE, update)
            .on(Note::TABLE)
            .title("Change a task comment")
            .about("Change the text of a comment on a task, or whom it asks. Null as responsible_id makes it a plain comment.")
            .synonyms("edit comment zmień komentarz popraw змінити коментар"),
        Tool::delete("task_comment_delete", MANAGE, delete)
            .on(Note::TABLE)
            .title("Delete a task comment")
            .about("Delete a comment on a task.")
            .synonyms("remove comment usuń komentarz видалити коментар"),
        Tool::action("task_comment_solve", MANAGE, solve)
            .on(Note::TABLE)
            .idempotent()
            .title("Solve a task question")
            .about("Mark a comment on a task as solved: the question is answered. A solved one stays as it is.")
            .synonyms("answered resolve rozwiąż pytanie odpowiedziane вирішити питання відповідь"),
    ]
}

/// How Intum names the kind of record; the only one these tools comment on.
const TASK_TYPE: &str = "Organize::Task";

fn check_type(given: Option<&str>) -> Result<()> {
    match given {
        None | Some(TASK_TYPE | "Task" | "task") => Ok(()),
        Some(_) => {
            Err(Error::invalid("/commentable_type", format!("expected {TASK_TYPE}, the only kind there is here")))
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct Comment {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// Text, in Markdown.
    content: String,
    /// Always Organize::Task.
    commentable_type: String,
    /// UUID of the task.
    #[schemars(with = "String")]
    commentable_id: Uuid,
    /// UUID of the user who wrote it; null when an API key of its own did.
    #[schemars(with = "Option<String>")]
    author_id: Option<Uuid>,
    /// UUID of the user it asks; null for a plain comment.
    #[schemars(with = "Option<String>")]
    responsible_id: Option<Uuid>,
    /// Whether it was solved.
    solved: bool,
    /// When it was solved.
    solved_at: Option<Instant>,
    /// Grows with every change; see expected_version.
    version: i64,
    /// When it was written.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

impl Comment {
    fn of(note: &Record) -> Result<Self> {
        let solved_at: Option<Instant> = note.get("solved_at")?;
        Ok(Self {
            id: note.id,
            num: note.num,
            content: note.get("body")?,
            commentable_type: TASK_TYPE.into(),
            commentable_id: note.get("subject_id")?,
            author_id: note.id_of("author_id"),
            responsible_id: note.id_of("responsible_id"),
            solved: solved_at.is_some(),
            solved_at,
            version: note.version,
            created_at: note.created_at,
            updated_at: note.updated_at,
        })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Task they are on; all tasks when left out.
    commentable_id: Option<Id<Task>>,
    /// Kind of record, Organize::Task; may be left out.
    commentable_type: Option<String>,
    /// User they ask.
    responsible_id: Option<Id<User>>,
    /// True: only solved ones. False: only those that are not.
    solved: Option<bool>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 when left out.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Comments {
    /// The comments of this page, newest first.
    items: Vec<Comment>,
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
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Comments> {
    check_type(input.commentable_type.as_deref())?;
    let (page, page_size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    let task = match input.commentable_id {
        Some(id) => Some(ctx.fetch(id).await?.id),
        None => None,
    };
    let responsible = match input.responsible_id {
        Some(id) => Some(ctx.resolve(User::TABLE, id.key()).await?.unwrap_or_default()),
        None => None,
    };
    let filter = |sql: &mut Sql| {
        sql.and_eq("subject_type", TASKS.noun);
        if let Some(task) = task {
            sql.and_eq("subject_id", task);
        }
        if let Some(user) = responsible {
            sql.and_eq("responsible_id", user);
        }
        match input.solved {
            Some(true) => _ = sql.push(" AND solved_at IS NOT NULL"),
            Some(false) => _ = sql.push(" AND solved_at IS NULL"),
            None => {}
        }
    };
    let mut counted = ctx.select("1", Note::TABLE);
    filter(&mut counted);
    let mut sql = ctx.from(Note::TABLE);
    filter(&mut sql);
    sql.push(" ORDER BY num DESC");
    let found = page::fetch(ctx, Note::TABLE, page::Query { rows: sql, counted, page, page_size }).await?;
    Ok(Comments {
        items: found.items.iter().map(Comment::of).collect::<Result<_>>()?,
        total: found.total,
        total_is_exact: found.total_is_exact,
        page: found.page,
        page_size: found.page_size,
        total_pages: found.total_pages,
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CommentInput {
    /// Comment.
    id: Id<Note>,
}

/// A note that is a comment on a task the caller sees. Other notes are other tools' business.
async fn fetch(ctx: &mut Ctx, id: Id<Note>) -> Result<Record> {
    let missing = || Error::not_found("task_comment", id.key());
    let note = match ctx.fetch(id).await {
        Err(error) if error.code() == Code::NotFound => return Err(missing()),
        found => found?,
    };
    if note.text("subject_type") != TASKS.noun {
        return Err(missing());
    }
    let mut sql = ctx.select("1", &TASKS);
    sql.and_eq("id", note.get::<Uuid>("subject_id")?);
    if ctx.exists(sql).await? { Ok(note) } else { Err(missing()) }
}

async fn show(ctx: &mut Ctx, input: CommentInput) -> Result<Comment> {
    Comment::of(&fetch(ctx, input.id).await?)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// Task to comment on.
    commentable_id: Id<Task>,
    /// Kind of record, Organize::Task; may be left out.
    commentable_type: Option<String>,
    /// Text, in Markdown.
    #[schemars(length(max = 65535))]
    content: String,
    /// User whom it asks: makes it a question.
    responsible_id: Option<Id<User>>,
}

/// The error of a column in the words of these tools, which call the text `content`.
fn in_own_words(error: Error) -> Error {
    let fields = error.fields().iter().cloned().map(|mut field| {
        if field.path == "/body" {
            field.path = "/content".into();
        }
        field
    });
    Error::invalid_fields(fields.collect())
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Comment> {
    check_type(input.commentable_type.as_deref())?;
    let task = ctx.fetch(input.commentable_id).await?;
    let mut given = Given::new(Note::TABLE);
    given.put("body", Some(input.content))?.refer(ctx, "responsible_id", input.responsible_id).await?;
    let mut values = given.values().map_err(in_own_words)?;
    let kind = if values.has("responsible_id") { "question" } else { "comment" };
    values
        .set("subject_type", TASKS.noun)
        .set("subject_id", task.id)
        .set("kind", kind)
        .set("author_id", ctx.principal().user_id)
        // Seen by whoever sees the task.
        .set("organization_id", task.organization_id);
    Comment::of(&family::save_new(ctx, Note::TABLE, values).await?)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// Comment to change.
    id: Id<Note>,
    /// Text, in Markdown.
    #[schemars(length(max = 65535))]
    content: Option<String>,
    /// User whom it asks. Null makes it a plain comment.
    #[serde(default)]
    responsible_id: Patch<Id<User>>,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<Comment> {
    let note = fetch(ctx, input.id).await?;
    let mut given = Given::new(Note::TABLE);
    given.put("body", input.content)?.refer(ctx, "responsible_id", input.responsible_id).await?;
    let mut values = given.values().map_err(in_own_words)?;
    if values.get("responsible_id").is_some() {
        values.set("kind", if values.has("responsible_id") { "question" } else { "comment" });
    }
    Comment::of(&family::save(ctx, &note, values).await?)
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    /// Always true.
    ok: bool,
    /// UUID of what was deleted.
    #[schemars(with = "String")]
    id: Uuid,
}

async fn delete(ctx: &mut Ctx, input: CommentInput) -> Result<Deleted> {
    let note = fetch(ctx, input.id).await?;
    family::remove(ctx, &note).await?;
    Ok(Deleted { ok: true, id: note.id })
}

async fn solve(ctx: &mut Ctx, input: CommentInput) -> Result<Comment> {
    let note = fetch(ctx, input.id).await?;
    if note.get::<Option<Instant>>("solved_at")?.is_some() {
        return Comment::of(&note);
    }
    let values = Values::new().with("solved_at", ctx.now()).with("solved_by_id", ctx.principal().user_id);
    Comment::of(&ctx.update(&note, values).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tasks_are_commented_on_here() {
        for given in [None, Some("Organize::Task"), Some("task")] {
            assert!(check_type(given).is_ok());
        }
        assert_eq!(
            check_type(Some("Crm::Deal")).unwrap_err().message(),
            "/commentable_type: expected Organize::Task, the only kind there is here"
        );
    }
}
