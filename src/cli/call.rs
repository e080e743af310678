//! `call` and `tools`.

use std::io::Read as _;

use bureau_kit::gate::{Call, Origin, Outcome};
use bureau_kit::registry::Entry;
use clap::Args;
use serde_json::{Map, Value, json};

use super::ai::{self, AiArgs};
use super::outside::TrustArgs;
use super::{AuditArgs, DatabaseArgs, Failure, SelectionArgs, TOOL_ERROR, local_credential, say};
use crate::catalog;
use crate::open;
use crate::rpc::INVALID_PARAMS;

#[derive(Debug, Args)]
pub(super) struct CallArgs {
    /// Name of the tool.
    tool: String,
    /// Its arguments as a JSON object; `-` reads them from standard input, `@FILE` from a file.
    #[arg(long, default_value = "{}", value_name = "JSON")]
    args: String,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    audit: AuditArgs,
    #[command(flatten)]
    ai: AiArgs,
    /// Call a running server, such as http://127.0.0.1:8650, instead of opening the database, also when one is named.
    #[arg(long, env = "BUREAU_URL", value_name = "URL")]
    url: Option<String>,
    /// Answer on one line, as sent.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ToolsArgs {
    /// Everything about every tool, as JSON.
    #[arg(long)]
    json: bool,
    /// Only this toolset, without the tools that find and carry out others.
    #[arg(long, value_name = "NAME")]
    toolset: Option<String>,
    #[command(flatten)]
    selection: SelectionArgs,
}

pub(super) async fn call(args: CallArgs) -> Result<(), Failure> {
    let arguments = read_arguments(&args.args)?;
    let (body, is_error) = match &args.url {
        Some(url) => call_server(url, &args, arguments).await?,
        None => call_here(&args, arguments).await?,
    };
    say(if args.json { body.to_string() } else { format!("{body:#}") });
    if is_error {
        // The answer itself says why.
        return Err(Failure { status: TOOL_ERROR, message: String::new() });
    }
    Ok(())
}

fn read_arguments(given: &str) -> Result<Map<String, Value>, Failure> {
    let text = match given.strip_prefix('@') {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{path} cannot be read: {error}")))?
        }
        None if given == "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
        None => given.to_owned(),
    };
    match bureau_kit::args::parse(&text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err(Failure::usage("--args must be a JSON object, such as --args '{\"id\": 1}'.")),
        Err(error) => Err(Failure::usage(format!("--args is not JSON: {error}. Write --args '{{\"id\": 1}}'."))),
    }
}

async fn call_here(args: &CallArgs, arguments: Map<String, Value>) -> Result<(Value, bool), Failure> {
    let (selection, _) = args.selection.selection()?;
    let provider = args.ai.provider()?;
    let opened = open::open(&args.database.location()?).await?;
    args.trust.configure(&opened.bureau);
    let call = Call {
        tool: args.tool.clone(),
        arguments,
        shown: Some(local_credential()),
        selection,
        origin: Origin { transport: "cli", ..Origin::default() },
        dialogue: bureau_kit::dialogue::Dialogue::default(),
    };
    opened.bureau.log_reads(args.audit.access_log);
    ai::provide(&opened.bureau, provider);
    let outcome = opened.bureau.call(call).await;
    opened.bureau.close().await;
    match outcome {
        Outcome::Done { body, is_error } => {
            let body = serde_json::from_slice(&body).map_err(|error| Failure::start(error.to_string()))?;
            Ok((body, is_error))
        }
        Outcome::UnknownTool(message) => Err(Failure::usage(message)),
        Outcome::Asks(question) => Err(Failure::usage(question.message)),
        Outcome::Unauthenticated(error) => Err(Failure::start(error.to_string())),
    }
}

/// The same call at a running server, as JSON-RPC.
async fn call_server(url: &str, args: &CallArgs, arguments: Map<String, Value>) -> Result<(Value, bool), Failure> {
    // reqwest leaves the choice of the cryptography to the program; ring builds in seconds.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let base = url.trim_end_matches('/').trim_end_matches("/mcp").trim_end_matches("/rpc");
    let address = format!("{base}/rpc");
    let token = std::env::var("BUREAU_TOKEN").unwrap_or_default();
    if token.is_empty() {
        return Err(Failure::usage(
            "A call to a server needs a token: set BUREAU_TOKEN. It never goes on the command line, where others could read it.",
        ));
    }
    let params = json!({"name": args.tool, "arguments": arguments});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let unreachable =
        |error: reqwest::Error| Failure::start(format!("{address} cannot be reached: {error}. Is the server running?"));
    let mut request =
        reqwest::Client::new().post(&address).bearer_auth(token).header("content-type", "application/json");
    for (header, value) in args.selection.headers() {
        request = request.header(header, value);
    }
    let response = request.body(message.to_string()).send().await.map_err(unreachable)?;
    let status = response.status();
    let text = response.text().await.map_err(unreachable)?;
    let answer: Value = serde_json::from_str(&text)
        .map_err(|_| Failure::start(format!("{address} answered {status}, which is not a Bureau server's answer.")))?;
    if let Some(error) = answer.get("error") {
        let message = error.get("message").and_then(Value::as_str).unwrap_or("the server refused the call").to_owned();
        // Wrong parameters can only mean that there is no such tool, and a bad request that the selection names what
        // does not exist: either is the command line's fault.
        let unknown = error.get("code").and_then(Value::as_i64) == Some(INVALID_PARAMS.into());
        let wrong = unknown || status == reqwest::StatusCode::BAD_REQUEST;
        return Err(if wrong { Failure::usage(message) } else { Failure::start(message) });
    }
    let result = answer.get("result").cloned().unwrap_or_default();
    let is_error = result.get("isError").and_then(Value::as_bool).unwrap_or_default();
    let content = result.pointer("/content/0/text").and_then(Value::as_str).unwrap_or_default();
    Ok((serde_json::from_str(content).unwrap_or(result), is_error))
}

pub(super) fn tools(args: ToolsArgs) -> Result<(), Failure> {
    let registry = catalog::registry().map_err(Failure::start)?;
    let wanted = |toolset: &str| args.toolset.as_deref().is_none_or(|name| name == toolset);
    if !registry.toolsets().iter().any(|(name, _)| wanted(name)) {
        let names: Vec<&str> = registry.toolsets().iter().map(|(name, _)| *name).collect();
        return Err(Failure::usage(format!("There is no such toolset. There are: {}.", names.join(", "))));
    }
    let (selection, _) = args.selection.selection()?;
    let switched_on = |entry: &&Entry| selection.obstacles(entry).is_empty();
    let entries = registry.entries().iter().filter(|entry| wanted(entry.toolset)).filter(switched_on);
    if args.json {
        let tools: Vec<Value> = entries.map(|entry| Value::Object(catalog::described(entry))).collect();
        say(format_args!("{:#}", Value::Array(tools)));
        return Ok(());
    }
    let mut toolset = "";
    for entry in entries {
        if entry.toolset != toolset {
            toolset = entry.toolset;
            let about = registry.toolsets().iter().find(|(name, _)| *name == toolset).map_or("", |(_, about)| about);
            say(format_args!("\n{toolset}: {about}"));
        }
        let effect = serde_json::to_value(entry.tool.effect).unwrap_or_default();
        let effect = effect.as_str().unwrap_or_default().to_owned();
        say(format_args!("  {:34} {:7} {}", entry.tool.name, effect, entry.tool.title));
    }
    Ok(())
}
