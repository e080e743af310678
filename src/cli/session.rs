//! `session`: who is let in, and for how long.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::table::{Column, field, instant};
use super::user::found;
use super::{Failure, Ways};

#[derive(Debug, Args)]
pub(super) struct SessionArgs {
    #[command(subcommand)]
    command: SessionCommand,
}

#[derive(Debug, Subcommand)]
enum SessionCommand {
    /// List sessions that have not ended.
    List(ListArgs),
    /// End a session at once, and with it every session and key that was made from it.
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Also those that have ended.
    #[arg(long)]
    all: bool,
    /// Only those of this user: number, id or e-mail address.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    #[command(flatten)]
    ways: Ways,
}

#[derive(Debug, Args)]
struct RevokeArgs {
    /// Number or id of the session, as `bureau session list` shows it.
    session: String,
    #[command(flatten)]
    ways: Ways,
}

const COLUMNS: &[Column] = &[
    ("num", |session| field(session, "num")),
    ("begins with", |session| field(session, "prefix")),
    ("label", |session| field(session, "label")),
    ("ends (UTC)", |session| match instant(session, "revoked_at") {
        open if open.is_empty() => instant(session, "expires_at"),
        _ => "revoked".to_owned(),
    }),
    ("limits", limits),
];

/// What a session is narrowed to, in words.
fn limits(session: &Value) -> String {
    let mut limits = Vec::new();
    if session.get("read_only").and_then(Value::as_bool) == Some(true) {
        limits.push("read-only".to_owned());
    }
    if let (Some(left), Some(of)) = (session.get("writes_left"), session.get("write_budget").filter(|of| !of.is_null()))
    {
        limits.push(format!("{left} of {of} writes left"));
    }
    for name in ["toolsets", "features"] {
        let list = field(session, name);
        if !list.is_empty() {
            limits.push(format!("{name} {list}"));
        }
    }
    if !field(session, "organization_id").is_empty() {
        limits.push("one organization".to_owned());
    }
    limits.join("; ")
}

pub(super) async fn session(args: SessionArgs) -> Result<(), Failure> {
    match args.command {
        SessionCommand::List(args) => {
            let (target, mut filter) = (args.ways.open().await?, Map::new());
            if args.all {
                filter.insert("include_ended".into(), json!(true));
            }
            if let Some(user) = &args.user {
                filter.insert("user_id".into(), json!(found(&target, user).await?));
            }
            args.ways.list(&target, "session_list", &filter, COLUMNS).await
        }
        SessionCommand::Revoke(args) => {
            let target = args.ways.open().await?;
            let ended = target.ask("session_revoke", json!({"id": args.session})).await?;
            args.ways.show(&ended, || "revoked".to_owned());
            Ok(())
        }
    }
}
