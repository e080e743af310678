//! Where a command's calls are carried out: in the database, or at a running server.

use std::sync::Arc;

use bureau_kit::gate::{Bureau, Call, Origin, Outcome};
use clap::Args;
use serde_json::{Map, Value, json};

use super::ai::{self, AiArgs};
use super::outside::TrustArgs;
use super::{AuditArgs, DatabaseArgs, Failure, SelectionArgs, TOOL_ERROR, local_credential};
use crate::open;
use crate::rpc::INVALID_PARAMS;

/// The database, and what calls on it need to know.
#[derive(Debug, Args)]
pub(super) struct HereArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    audit: AuditArgs,
    #[command(flatten)]
    ai: AiArgs,
}

#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    #[command(flatten)]
    here: HereArgs,
    /// Call a running server, such as http://127.0.0.1:8650, instead of opening the database, also when one is named.
    #[arg(long, env = "BUREAU_URL", value_name = "URL")]
    url: Option<String>,
}

impl TargetArgs {
    /// Opens the database, or makes ready to ask the server.
    pub(super) async fn open(&self, selection: &SelectionArgs) -> Result<Target, Failure> {
        match &self.url {
            Some(url) => Server::at(url, selection).map(Target::There),
            None => Target::here(&self.here, selection).await,
        }
    }
}

/// Who carries out calls.
pub(super) enum Target {
    Here { bureau: Arc<Bureau>, selection: bureau_kit::gate::Selection },
    There(Server),
}

/// A running server.
pub(super) struct Server {
    client: reqwest::Client,
    address: String,
    token: String,
    headers: Vec<(&'static str, String)>,
}

impl Target {
    /// The database, whoever `local_credential` says acting on it.
    pub(super) async fn here(here: &HereArgs, selection: &SelectionArgs) -> Result<Self, Failure> {
        let (selection, _) = selection.selection()?;
        let provider = here.ai.provider()?;
        let bureau = open::open(&here.database.location()?).await?.bureau;
        here.trust.configure(&bureau);
        bureau.log_reads(here.audit.access_log);
        ai::provide(&bureau, provider);
        Ok(Self::Here { bureau, selection })
    }

    /// What a tool answers, and whether that is an error.
    pub(super) async fn call(&self, tool: &str, arguments: Map<String, Value>) -> Result<(Value, bool), Failure> {
        let (bureau, selection) = match self {
            Self::Here { bureau, selection } => (bureau, selection.clone()),
            Self::There(server) => return server.call(tool, arguments).await,
        };
        let call = Call {
            tool: tool.to_owned(),
            arguments,
            shown: Some(local_credential()),
            selection,
            origin: Origin { transport: "cli", ..Origin::default() },
            dialogue: bureau_kit::dialogue::Dialogue::default(),
        };
        let outcome = bureau.call(call).await;
        // The program may end with any call.
        bureau.flush().await;
        match outcome {
            Outcome::Done { body, is_error } => {
                let body = serde_json::from_slice(&body).map_err(|error| Failure::start(error.to_string()))?;
                Ok((body, is_error))
            }
            Outcome::UnknownTool(message) => Err(Failure::usage(message)),
            Outcome::Asks(question) => Err(Failure::usage(question.message)),
            Outcome::Unauthenticated(error) => Err(error.into()),
        }
    }

    /// What a tool answers; its refusal ends the command, in the tool's own words.
    pub(super) async fn ask(&self, tool: &str, arguments: Value) -> Result<Value, Failure> {
        let Value::Object(arguments) = arguments else { return Err(Failure::usage("arguments must be an object")) };
        match self.call(tool, arguments).await? {
            (answer, false) => Ok(answer),
            (refusal, true) => {
                let message = refusal.get("message").and_then(Value::as_str).unwrap_or("the tool refused the call");
                Err(Failure { status: TOOL_ERROR, message: message.to_owned() })
            }
        }
    }

    /// Every row of a list, page by page.
    pub(super) async fn all(&self, tool: &str, filter: &Map<String, Value>) -> Result<Vec<Value>, Failure> {
        let mut rows = Vec::new();
        for page in 1.. {
            let mut arguments = filter.clone();
            arguments.insert("page".into(), json!(page));
            arguments.insert("page_size".into(), json!(100));
            let answer = self.ask(tool, Value::Object(arguments)).await?;
            let items = answer.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            rows.extend(items.iter().cloned());
            // Not by total_pages: beyond what a list counts exactly there are more.
            if items.len() < 100 {
                break;
            }
        }
        Ok(rows)
    }
}

impl Server {
    fn at(url: &str, selection: &SelectionArgs) -> Result<Self, Failure> {
        // reqwest leaves the choice of the cryptography to the program; ring builds in seconds.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = url.trim_end_matches('/').trim_end_matches("/mcp").trim_end_matches("/rpc");
        let token = std::env::var("BUREAU_TOKEN").unwrap_or_default();
        if token.is_empty() {
            return Err(Failure::usage(
                "A call to a server needs a token: set BUREAU_TOKEN. It never goes on the command line, where others could read it.",
            ));
        }
        let (client, headers) = (reqwest::Client::new(), selection.headers());
        Ok(Self { client, address: format!("{base}/rpc"), token, headers })
    }

    /// The same call at a running server, as JSON-RPC.
    async fn call(&self, tool: &str, arguments: Map<String, Value>) -> Result<(Value, bool), Failure> {
        let Self { client, address, token, headers } = self;
        let params = json!({"name": tool, "arguments": arguments});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let unreachable = |error: reqwest::Error| {
            Failure::start(format!("{address} cannot be reached: {error}. Is the server running?"))
        };
        let mut request = client.post(address).bearer_auth(token).header("content-type", "application/json");
        for (header, value) in headers {
            request = request.header(*header, value);
        }
        let response = request.body(message.to_string()).send().await.map_err(unreachable)?;
        let status = response.status();
        let text = response.text().await.map_err(unreachable)?;
        let answer: Value = serde_json::from_str(&text).map_err(|_| {
            Failure::start(format!("{address} answered {status}, which is not a Bureau server's answer."))
        })?;
        if let Some(error) = answer.get("error") {
            let message =
                error.get("message").and_then(Value::as_str).unwrap_or("the server refused the call").to_owned();
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
}
