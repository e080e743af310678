//! `user`: the people who work here.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::secret::new_password;
use super::table::{self, Column, field, instant};
use super::target::Target;
use super::{Failure, TOOL_ERROR, Ways};

#[derive(Debug, Args)]
pub(super) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// List users, blocked ones included.
    List(ListArgs),
    /// Show one user.
    Show(OneArgs),
    /// Add a user.
    Create(CreateArgs),
    /// Block a user: log-in and all sessions end at once.
    Block(OneArgs),
    /// Lift a block.
    Unblock(OneArgs),
    /// Set a new password. It is asked for, or read from standard input.
    Password(OneArgs),
    /// Give a user these roles, in place of the ones there are.
    Role(RoleArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Words to find in name or e-mail address.
    words: Vec<String>,
    /// Only with this main role, such as admin.
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    #[command(flatten)]
    ways: Ways,
}

#[derive(Debug, Args)]
struct OneArgs {
    /// Number, id or e-mail address of the user.
    user: String,
    #[command(flatten)]
    ways: Ways,
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// E-mail address.
    email: String,
    /// Name as it is shown.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Roles by name, code or number, such as admin; a new user is a user.
    #[arg(long, value_delimiter = ',', value_name = "ROLES")]
    role: Vec<String>,
    /// Set a password, which is asked for or read from standard input.
    #[arg(long, conflicts_with = "invite")]
    password: bool,
    /// Send an invitation by e-mail.
    #[arg(long)]
    invite: bool,
    #[command(flatten)]
    ways: Ways,
}

#[derive(Debug, Args)]
struct RoleArgs {
    /// Number, id or e-mail address of the user.
    user: String,
    /// Roles by name, code or number; the first built-in one is the main one.
    #[arg(required = true)]
    roles: Vec<String>,
    #[command(flatten)]
    ways: Ways,
}

const COLUMNS: &[Column] = &[
    ("num", |user| field(user, "num")),
    ("name", |user| field(user, "name")),
    ("e-mail", |user| field(user, "email")),
    ("role", |user| field(user, "role")),
    ("state", |user| {
        if user.get("active").and_then(Value::as_bool) == Some(false) { "blocked" } else { "active" }.to_owned()
    }),
    ("last seen (UTC)", |user| instant(user, "last_seen_at")),
];

pub(super) async fn user(args: UserArgs) -> Result<(), Failure> {
    match args.command {
        UserCommand::List(args) => list(args).await,
        UserCommand::Show(args) => {
            let (target, id) = args.look_up().await?;
            let user = target.ask("user_show", json!({"id": id})).await?;
            args.ways.show(&user, || table::record(&user));
            Ok(())
        }
        UserCommand::Create(args) => create(args).await,
        UserCommand::Block(args) => {
            let (target, id) = args.look_up().await?;
            change(&target, &args.ways, "user_block", json!({"id": id}), "is blocked").await
        }
        UserCommand::Unblock(args) => {
            let (target, id) = args.look_up().await?;
            change(&target, &args.ways, "user_update", json!({"id": id, "active": true}), "may act again").await
        }
        UserCommand::Password(args) => {
            let (target, id) = args.look_up().await?;
            let password = new_password(&format!("New password of {}", args.user)).await?;
            let input = json!({"id": id, "password": password});
            change(&target, &args.ways, "user_update", input, "has a new password").await
        }
        UserCommand::Role(RoleArgs { user, roles, ways }) => {
            let target = ways.open().await?;
            let (id, done) = (found(&target, &user).await?, format!("is now {}", roles.join(", ")));
            change(&target, &ways, "user_update", json!({"id": id, "roles": roles}), &done).await
        }
    }
}

impl OneArgs {
    async fn look_up(&self) -> Result<(Target, String), Failure> {
        let target = self.ways.open().await?;
        let id = found(&target, &self.user).await?;
        Ok((target, id))
    }
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let mut filter = Map::new();
    if !args.words.is_empty() {
        filter.insert("q".into(), json!(args.words.join(" ")));
    }
    if let Some(role) = &args.role {
        filter.insert("role".into(), json!(role));
    }
    args.ways.list(&args.ways.open().await?, "user_list", &filter, COLUMNS).await
}

async fn create(args: CreateArgs) -> Result<(), Failure> {
    let mut user = Map::from_iter([("email".to_owned(), json!(args.email))]);
    if let Some(name) = &args.name {
        user.insert("name".into(), json!(name));
    }
    if !args.role.is_empty() {
        user.insert("roles".into(), json!(args.role));
    }
    if args.invite {
        user.insert("invite".into(), json!(true));
    }
    let target = args.ways.open().await?;
    if args.password {
        user.insert("password".into(), json!(new_password(&format!("Password of {}", args.email)).await?));
    }
    change(&target, &args.ways, "user_create", Value::Object(user), "is added").await
}

/// One write on one user, and what it did in words.
async fn change(target: &Target, ways: &Ways, tool: &str, input: Value, done: &str) -> Result<(), Failure> {
    let user = target.ask(tool, input).await?;
    ways.show(&user, || told(&user, done));
    Ok(())
}

fn told(user: &Value, done: &str) -> String {
    let (name, num, undo) = (field(user, "name"), field(user, "num"), field(user, "undo_token"));
    let mut text = format!("{name} (user {num}) {done}.");
    if !undo.is_empty() {
        text.push_str(&format!("\nTake it back: bureau call action_undo --args '{{\"undo_token\": \"{undo}\"}}'"));
    }
    text
}

/// The id of a user: an e-mail address is looked up, anything else is one already.
pub(super) async fn found(target: &Target, user: &str) -> Result<String, Failure> {
    if !user.contains('@') {
        return Ok(user.to_owned());
    }
    let email = user.trim();
    let users = target.all("user_list", &Map::from_iter([("q".to_owned(), json!(email))])).await?;
    let same = |row: &&Value| {
        row.get("email").and_then(Value::as_str).is_some_and(|own| own.to_lowercase() == email.to_lowercase())
    };
    match users.iter().find(same) {
        Some(user) => Ok(field(user, "id")),
        None => {
            let message = format!("There is no user {email}. `bureau user list` shows whom there is.");
            Err(Failure { status: TOOL_ERROR, message })
        }
    }
}
