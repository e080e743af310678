//! `token`: make, list and revoke tokens, as the owner of the database.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::table::{self, Column, field, instant};
use super::target::{HereArgs, Target};
use super::{Failure, SelectionArgs, say};

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token. It is shown this once.
    Create(CreateArgs),
    /// List API keys and sessions.
    List(ListArgs),
    /// Revoke a token, and with it every token minted from it.
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// What it is for, as lists show it.
    name: String,
    /// Whom it acts as: a user's id or number; the owner when left out.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Only these features, such as organize.*,contracts.view.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    features: Vec<String>,
    /// Make a session token that ends after so many minutes, instead of an API key.
    #[arg(long, value_name = "MINUTES", conflicts_with = "user")]
    minutes: Option<i64>,
    /// Session only: tools of these toolsets.
    #[arg(long, value_delimiter = ',', requires = "minutes", value_name = "NAMES")]
    toolsets: Vec<String>,
    /// Session only: no writes.
    #[arg(long, requires = "minutes")]
    read_only: bool,
    /// Session only: so many writes at most.
    #[arg(long, requires = "minutes", value_name = "N")]
    write_budget: Option<i64>,
    #[command(flatten)]
    here: HereArgs,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    here: HereArgs,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RevokeArgs {
    /// Which kind of token.
    kind: TokenKind,
    /// Its number or id, as `bureau token list` shows it.
    id: String,
    #[command(flatten)]
    here: HereArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TokenKind {
    Key,
    Session,
}

pub(super) async fn token(args: TokenArgs) -> Result<(), Failure> {
    match args.command {
        TokenCommand::Create(args) => create(args).await,
        TokenCommand::List(args) => list(args).await,
        TokenCommand::Revoke(args) => revoke(args).await,
    }
}

async fn create(args: CreateArgs) -> Result<(), Failure> {
    let target = Target::here(&args.here, &SelectionArgs::default()).await?;
    let mut arguments = Map::new();
    if !args.features.is_empty() {
        arguments.insert("features".into(), json!(args.features));
    }
    let (answer, secret) = if let Some(minutes) = args.minutes {
        arguments.insert("label".into(), json!(args.name));
        arguments.insert("ttl_minutes".into(), json!(minutes));
        arguments.insert("read_only".into(), json!(args.read_only));
        if !args.toolsets.is_empty() {
            arguments.insert("toolsets".into(), json!(args.toolsets));
        }
        if let Some(budget) = args.write_budget {
            arguments.insert("write_budget".into(), json!(budget));
        }
        (target.ask("session_create", Value::Object(arguments)).await?, "session_token")
    } else {
        arguments.insert("name".into(), json!(args.name));
        if let Some(user) = args.user {
            arguments.insert("user_id".into(), json!(user));
        }
        (target.ask("api_key_create", Value::Object(arguments)).await?, "secret")
    };
    if args.json {
        say(format_args!("{answer:#}"));
    } else {
        say(answer.get(secret).and_then(Value::as_str).unwrap_or_default());
    }
    Ok(())
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let target = Target::here(&args.here, &SelectionArgs::default()).await?;
    let keys = target.all("api_key_list", &Map::new()).await?;
    let sessions = target.all("session_list", &Map::new()).await?;
    if args.json {
        say(json!({"keys": keys, "sessions": sessions}));
        return Ok(());
    }
    let of_kind = |kind: &'static str, rows: Vec<Value>| {
        rows.into_iter().map(move |mut row| {
            if let Some(row) = row.as_object_mut() {
                row.insert("kind".into(), json!(kind));
            }
            row
        })
    };
    let rows: Vec<Value> = of_kind("key", keys).chain(of_kind("session", sessions)).collect();
    say(table::rows(COLUMNS, &rows));
    Ok(())
}

const COLUMNS: &[Column] = &[
    ("kind", |row| field(row, "kind")),
    ("num", |row| field(row, "num")),
    ("begins with", |row| field(row, "prefix")),
    ("ends (UTC)", |row| match (field(row, "revoked_at").as_str(), instant(row, "expires_at")) {
        ("", never) if never.is_empty() => "never".to_owned(),
        ("", end) => end,
        _ => "revoked".to_owned(),
    }),
    ("name", |row| field(row, if field(row, "kind") == "key" { "name" } else { "label" })),
];

async fn revoke(args: RevokeArgs) -> Result<(), Failure> {
    let target = Target::here(&args.here, &SelectionArgs::default()).await?;
    let tool = match args.kind {
        TokenKind::Key => "api_key_delete",
        TokenKind::Session => "session_revoke",
    };
    target.ask(tool, json!({"id": args.id})).await?;
    say("revoked");
    Ok(())
}
