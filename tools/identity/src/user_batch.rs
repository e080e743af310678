//! Many users at once (Intum): each stands or falls for itself, and the whole is one action with one undo.

use bureau_kit::prelude::*;

use crate::users::{USERS, with_email};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::create("user_bulk_create", "auth.users.create", create)
            .title("Create many users")
            .about(
                "Create up to 100 users by e-mail, main role and an identifier of another system. Each stands or falls for \
                 itself: see errors for those that were not made. One undo takes all back. To repeat it safely use user_sync.",
            )
            .synonyms("import users many integration dodaj wielu użytkowników імпорт багато користувачів"),
        Tool::action("user_sync", "auth.users.create", sync)
            .idempotent()
            .title("Synchronise users")
            .about(
                "Bring up to 100 users in line with another system: found by its identifier they are changed, else created. A \
                 user with the same e-mail and no identifier yet gets it. Needs auth.users.edit too where something changes. \
                 Each stands or falls for itself.",
            )
            .synonyms("upsert integration external id synchronizuj użytkowników синхронізувати користувачів"),
    ]
}

/// Most users in one call.
const MOST: usize = 100;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// Identifier in the other system.
    #[serde(alias = "external_id")]
    id: Option<ExternalId>,
    /// E-mail address.
    email: String,
    /// Main role, such as guest, user or admin; user when left out.
    role: Option<String>,
}

/// An identifier of another system: text, or a number taken as text.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum ExternalId {
    /// As it is.
    Text(String),
    /// Taken as text.
    Number(i64),
}

impl ExternalId {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.trim().to_owned(),
            Self::Number(number) => number.to_string(),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// The users.
    #[schemars(length(min = 1, max = 100))]
    users: Vec<NewUser>,
}

/// What became of one user.
#[derive(Debug, Serialize, JsonSchema)]
struct Done {
    /// Place in the call, from 0.
    index: usize,
    /// Identifier in the other system.
    external_id: Option<String>,
    /// UUID of the user.
    id: String,
    /// What became of it: created, updated or unchanged.
    status: &'static str,
    /// What was done: create or update.
    action: &'static str,
}

/// Why one user was left out.
#[derive(Debug, Serialize, JsonSchema)]
struct Failed {
    /// Place in the call, from 0.
    index: usize,
    /// Identifier in the other system.
    external_id: Option<String>,
    /// E-mail address as it was given.
    email: String,
    /// The error, as a call for this user alone would answer it.
    error: Map<String, Value>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Outcome {
    /// Users that were done.
    results: Vec<Done>,
    /// Users that were left out.
    errors: Vec<Failed>,
}

fn check_size(count: usize) -> Result<()> {
    if (1..=MOST).contains(&count) {
        return Ok(());
    }
    Err(Error::invalid("/users", format!("expected 1 to {MOST} users, got {count}")))
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Outcome> {
    check_size(input.users.len())?;
    let mut outcome = Outcome { results: Vec::new(), errors: Vec::new() };
    for (index, user) in input.users.into_iter().enumerate() {
        let external_id = user.id.as_ref().map(ExternalId::text).filter(|id| !id.is_empty());
        let made = added(ctx, &user.email, user.role.as_deref(), external_id.as_deref()).await;
        keep(ctx, &mut outcome, index, external_id, user.email, made)?;
    }
    Ok(outcome)
}

/// Adds what came of one user to the answer. A lost race is not the user's own failure: the whole call runs again.
fn keep(
    ctx: &Ctx,
    outcome: &mut Outcome,
    index: usize,
    external_id: Option<String>,
    email: String,
    done: Result<(String, &'static str)>,
) -> Result<()> {
    match done {
        Ok((id, status)) => {
            let action = if status == "created" { "create" } else { "update" };
            outcome.results.push(Done { index, external_id, id, status, action });
        }
        Err(error) if error.is_retryable() => return Err(error),
        Err(error) => {
            let error = error.reported("user_sync", ctx.new_id()).to_json();
            outcome.errors.push(Failed { index, external_id, email, error });
        }
    }
    Ok(())
}

/// A new user, by the same checks as a call of user_create.
async fn added(
    ctx: &mut Ctx,
    email: &str,
    role: Option<&str>,
    external_id: Option<&str>,
) -> Result<(String, &'static str)> {
    let mut arguments = Map::new();
    arguments.insert("email".into(), json!(email));
    for (name, value) in [("role", role), ("external_id", external_id)] {
        if let Some(value) = value {
            arguments.insert(name.into(), json!(value));
        }
    }
    let user = ctx.nested("user_create", arguments).await?;
    Ok((user.get("id").and_then(Value::as_str).unwrap_or_default().to_owned(), "created"))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SyncUser {
    /// Identifier in the other system.
    external_id: ExternalId,
    /// E-mail address.
    email: String,
    /// Main role, such as guest, user or admin; as it is when left out, and user for a new one.
    role: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SyncInput {
    /// The users.
    #[schemars(length(min = 1, max = 100))]
    users: Vec<SyncUser>,
}

async fn sync(ctx: &mut Ctx, input: SyncInput) -> Result<Outcome> {
    check_size(input.users.len())?;
    let mut outcome = Outcome { results: Vec::new(), errors: Vec::new() };
    for (index, user) in input.users.into_iter().enumerate() {
        let external_id = user.external_id.text();
        let done = synced(ctx, &external_id, &user.email, user.role.as_deref()).await;
        keep(ctx, &mut outcome, index, Some(external_id), user.email, done)?;
    }
    Ok(outcome)
}

async fn synced(ctx: &mut Ctx, external_id: &str, email: &str, role: Option<&str>) -> Result<(String, &'static str)> {
    if external_id.is_empty() {
        return Err(Error::invalid("/external_id", "must not be blank"));
    }
    let address = Email::parse(email).map_err(|message| Error::invalid("/email", message))?;
    let mut sql = ctx.from_tenant(&USERS);
    sql.and_eq("external_id", external_id);
    let mut found = ctx.first(&USERS, sql).await?;
    let mut arguments = Map::new();
    if found.is_none()
        && let Some(id) = with_email(ctx, &address).await?
    {
        let user = ctx.fetch_in_tenant(&USERS, id).await?;
        let other = user.text("external_id");
        if !other.is_empty() {
            return Err(Error::conflict(format!(
                "The user with the e-mail {address} has the identifier {other} already. Correct one of the two."
            ))
            .with("columns", "external_id"));
        }
        arguments.insert("external_id".into(), json!(external_id));
        found = Some(user);
    }
    let Some(user) = found else { return added(ctx, email, role, Some(external_id)).await };
    if user.text("email_folded") != address.folded() {
        arguments.insert("email".into(), json!(email));
    }
    if let Some(role) = role.filter(|role| crate::roles::code_of(role) != user.text("role")) {
        arguments.insert("role".into(), json!(role));
    }
    if arguments.is_empty() {
        return Ok((user.id.to_string(), "unchanged"));
    }
    arguments.insert("id".into(), json!(user.id));
    ctx.nested("user_update", arguments).await?;
    Ok((user.id.to_string(), "updated"))
}
