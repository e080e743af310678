//! `key`: lasting credentials.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::table::{Column, field, instant};
use super::user::found;
use super::{Failure, Ways};

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// List API keys.
    List(ListArgs),
    /// Make an API key. It is shown this once.
    Create(CreateArgs),
    /// Revoke an API key, and with it every session and key that was made from it.
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only those of this user: number, id or e-mail address.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    #[command(flatten)]
    ways: Ways,
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// What it is for, as lists show it.
    name: String,
    /// Whom it acts for: number, id or e-mail address; yourself when left out.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only these features, such as organize.*,contracts.view.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    features: Vec<String>,
    /// Only the features of these roles, as they are now.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    roles: Vec<String>,
    /// When it ends, such as 2027-01-31T00:00:00Z; never when left out.
    #[arg(long, value_name = "INSTANT")]
    expires: Option<String>,
    #[command(flatten)]
    ways: Ways,
}

#[derive(Debug, Args)]
struct RevokeArgs {
    /// Number or id of the key, as `bureau key list` shows it.
    key: String,
    #[command(flatten)]
    ways: Ways,
}

const COLUMNS: &[Column] = &[
    ("num", |key| field(key, "num")),
    ("begins with", |key| field(key, "prefix")),
    ("name", |key| field(key, "name")),
    ("ends (UTC)", |key| match instant(key, "expires_at") {
        never if never.is_empty() => "never".to_owned(),
        end => end,
    }),
    ("features", |key| match field(key, "features") {
        all if all.is_empty() => "all of the user's".to_owned(),
        some => some,
    }),
];

pub(super) async fn key(args: KeyArgs) -> Result<(), Failure> {
    match args.command {
        KeyCommand::List(args) => {
            let (target, mut filter) = (args.ways.open().await?, Map::new());
            if let Some(user) = &args.user {
                filter.insert("user_id".into(), json!(found(&target, user).await?));
            }
            args.ways.list(&target, "api_key_list", &filter, COLUMNS).await
        }
        KeyCommand::Create(args) => create(args).await,
        KeyCommand::Revoke(args) => {
            let target = args.ways.open().await?;
            let ended = target.ask("api_key_delete", json!({"id": args.key})).await?;
            args.ways.show(&ended, || "revoked".to_owned());
            Ok(())
        }
    }
}

async fn create(args: CreateArgs) -> Result<(), Failure> {
    let target = args.ways.open().await?;
    let mut key = Map::from_iter([("name".to_owned(), json!(args.name))]);
    if let Some(user) = &args.user {
        key.insert("user_id".into(), json!(found(&target, user).await?));
    }
    for (name, list) in [("features", &args.features), ("roles", &args.roles)] {
        if !list.is_empty() {
            key.insert(name.into(), json!(list));
        }
    }
    if let Some(end) = &args.expires {
        key.insert("expires_at".into(), json!(end));
    }
    let made = target.ask("api_key_create", Value::Object(key)).await?;
    // The key alone, so that `KEY=$(bureau key create …)` holds it.
    args.ways.show(&made, || field(&made, "secret"));
    Ok(())
}
