//! `token`: make, list and revoke tokens, as the owner of the database.

use bureau_kit::gate::{Bureau, Call, Origin, Outcome, Selection};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::{DatabaseArgs, Failure, TOOL_ERROR, local_credential, say};
use crate::open;

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
    database: DatabaseArgs,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    database: DatabaseArgs,
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
    database: DatabaseArgs,
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
    let bureau = open::open(&args.database.location()?).await?.bureau;
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
        (call(&bureau, "session_create", arguments).await?, "session_token")
    } else {
        arguments.insert("name".into(), json!(args.name));
        if let Some(user) = args.user {
            arguments.insert("user_id".into(), json!(user));
        }
        (call(&bureau, "api_key_create", arguments).await?, "secret")
    };
    if args.json {
        say(format_args!("{answer:#}"));
    } else {
        say(answer.get(secret).and_then(Value::as_str).unwrap_or_default());
    }
    Ok(())
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let bureau = open::open(&args.database.location()?).await?.bureau;
    let keys = all(&bureau, "api_key_list").await?;
    let sessions = all(&bureau, "session_list").await?;
    if args.json {
        say(json!({"keys": keys, "sessions": sessions}));
        return Ok(());
    }
    let text = |row: &Value, name: &str| {
        row.get(name).map(|value| value.as_str().map_or(value.to_string(), str::to_owned)).unwrap_or_default()
    };
    say(format_args!("{:8} {:>5}  {:12} {:24} {}", "kind", "num", "begins with", "ends", "name"));
    for (kind, rows, name) in [("key", &keys, "name"), ("session", &sessions, "label")] {
        for row in rows {
            let ends = match text(row, "revoked_at").as_str() {
                // To the second: nobody waits for the microsecond.
                "null" | "" => {
                    text(row, "expires_at").replace("null", "never").split('.').next().unwrap_or_default().to_owned()
                }
                _ => "revoked".to_owned(),
            };
            say(format_args!(
                "{kind:8} {:>5}  {:12} {ends:24} {}",
                text(row, "num"),
                text(row, "prefix"),
                text(row, name).replace("null", "")
            ));
        }
    }
    Ok(())
}

async fn revoke(args: RevokeArgs) -> Result<(), Failure> {
    let bureau = open::open(&args.database.location()?).await?.bureau;
    let tool = match args.kind {
        TokenKind::Key => "api_key_delete",
        TokenKind::Session => "session_revoke",
    };
    let mut arguments = Map::new();
    arguments.insert("id".into(), json!(args.id));
    call(&bureau, tool, arguments).await?;
    say("revoked");
    Ok(())
}

/// Every row of a list, page by page.
async fn all(bureau: &Arc<Bureau>, tool: &str) -> Result<Vec<Value>, Failure> {
    let mut rows = Vec::new();
    for page in 1.. {
        let mut arguments = Map::new();
        arguments.insert("page".into(), json!(page));
        arguments.insert("page_size".into(), json!(100));
        let answer = call(bureau, tool, arguments).await?;
        rows.extend(answer.get("items").and_then(Value::as_array).into_iter().flatten().cloned());
        if answer.get("total_pages").and_then(Value::as_i64).is_none_or(|pages| pages <= page) {
            break;
        }
    }
    Ok(rows)
}

async fn call(bureau: &Arc<Bureau>, tool: &str, arguments: Map<String, Value>) -> Result<Value, Failure> {
    let call = Call {
        tool: tool.to_owned(),
        arguments,
        shown: Some(local_credential()),
        selection: Selection::default(),
        origin: Origin { transport: "cli", ..Origin::default() },
        dialogue: bureau_kit::dialogue::Dialogue::default(),
    };
    match bureau.call(call).await {
        Outcome::Done { body, is_error } => {
            let body: Value = serde_json::from_slice(&body).map_err(|error| Failure::start(error.to_string()))?;
            if !is_error {
                return Ok(body);
            }
            let message = body.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
            Err(Failure { status: TOOL_ERROR, message })
        }
        Outcome::UnknownTool(message) => Err(Failure::usage(message)),
        Outcome::Asks(question) => Err(Failure::usage(question.message)),
        Outcome::Unauthenticated(error) => Err(error.into()),
    }
}
