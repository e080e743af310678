//! Who follows a task: Worksection's subscriptions.

use bureau_identity::{User, worksection_error};
use bureau_kit::prelude::*;

use crate::tasks::{MANAGE, Task};

/// The tools in Worksection's words; part of the toolset that all its actions share.
pub fn tools() -> Vec<Tool> {
    vec![
        Tool::action("subscribe", MANAGE, subscribe)
            .idempotent()
            .error_shape(worksection_error)
            .title("Subscribe a user to a task")
            .about("Subscribe a user, named by e-mail, to a task (Worksection). Already subscribed stays subscribed.")
            .synonyms("follow watch notify obserwuj zadanie subskrybuj powiadamiaj підписати на завдання стежити"),
        Tool::action("unsubscribe", MANAGE, unsubscribe)
            .idempotent()
            .error_shape(worksection_error)
            .title("Unsubscribe a user from a task")
            .about("End a user's subscription to a task, the user named by e-mail (Worksection). Not subscribed is fine too.")
            .synonyms("unfollow stop watching przestań obserwować odsubskrybuj відписати від завдання"),
    ]
}

pub(crate) static TASK_SUBSCRIBERS: Table = Table::new(
    "task_subscribers",
    "task_subscriber",
    "A user who follows a task.",
    &[
        Column::reference("task_id", "tasks", OnDelete::Cascade, "Task.").required().fixed(),
        Column::reference("user_id", "users", OnDelete::Cascade, "User who follows it.").required().fixed(),
    ],
)
.unnumbered()
.tenant_wide();

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SubscriptionInput {
    /// Task.
    id_task: Id<Task>,
    /// E-mail address of the user.
    #[schemars(length(max = 254))]
    email_user: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Status {
    /// Always ok.
    status: String,
}

impl Status {
    fn ok() -> Self {
        Self { status: "ok".into() }
    }
}

/// The task, locked so that two subscriptions at once are one after the other, and the user.
async fn named(ctx: &mut Ctx, input: SubscriptionInput) -> Result<(Uuid, Uuid)> {
    let task = ctx.fetch(input.id_task).await?;
    let unknown = |message| Error::invalid("/email_user", message);
    let email = Email::parse(&input.email_user).map_err(unknown)?;
    let mut sql = ctx.select("id", User::TABLE);
    sql.and_eq("email_folded", email.folded());
    match ctx.rows(&sql).await?.first() {
        Some(user) => Ok((task.id, user.get(0)?)),
        None => Err(unknown(format!("there is no user {email}; get_users shows who there is"))),
    }
}

async fn subscription(ctx: &mut Ctx, task: Uuid, user: Uuid) -> Result<Option<Record>> {
    let mut sql = ctx.from(&TASK_SUBSCRIBERS);
    sql.and_eq("task_id", task).and_eq("user_id", user);
    ctx.first(&TASK_SUBSCRIBERS, sql).await
}

async fn subscribe(ctx: &mut Ctx, input: SubscriptionInput) -> Result<Status> {
    let (task, user) = named(ctx, input).await?;
    if subscription(ctx, task, user).await?.is_none() {
        ctx.insert(&TASK_SUBSCRIBERS, Values::new().with("task_id", task).with("user_id", user)).await?;
    }
    Ok(Status::ok())
}

async fn unsubscribe(ctx: &mut Ctx, input: SubscriptionInput) -> Result<Status> {
    let (task, user) = named(ctx, input).await?;
    if let Some(row) = subscription(ctx, task, user).await? {
        ctx.delete(&row).await?;
    }
    Ok(Status::ok())
}
