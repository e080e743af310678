//! The yardstick: the official Rust SDK's Streamable HTTP server with one trivial typed tool.
//!
//! Stateless and answering plain JSON, its fastest configuration.

use std::{future::ready, net::SocketAddr, sync::Arc};

use anyhow::Result;
use axum::{Router, routing::get, serve::ListenerExt as _};
use clap::Parser;
use rmcp::{
    Json, ServerHandler,
    handler::server::{
        router::tool::{ToolRoute, ToolRouter},
        wrapper::Parameters,
    },
    model::{JsonObject, Tool},
    tool, tool_handler, tool_router,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// Serve one small tool, and any number of idle ones, with rmcp.
#[derive(Parser)]
struct Arguments {
    /// Address to listen on
    #[arg(long)]
    listen: SocketAddr,
    /// Register this many further tools, to lengthen tools/list
    #[arg(long, default_value_t = 0)]
    tools: usize,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let server = Calculator::with_idle_tools(arguments.tools)?;
    let mcp = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(NeverSessionManager::default()),
        StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true),
    );
    let router = Router::new().route("/readyz", get(|| ready(()))).route_service("/mcp", mcp);
    let listener = TcpListener::bind(arguments.listen).await?.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router).await?;
    Ok(())
}

/// The server. rmcp clones it for every request, so the tools are shared: anything else would
/// charge rmcp for copying a table that its users would not copy either.
#[derive(Clone)]
struct Calculator {
    tools: Arc<ToolRouter<Self>>,
}

/// Numbers to add.
#[derive(Deserialize, JsonSchema)]
struct Terms {
    /// First term.
    a: i64,
    /// Second term.
    b: i64,
}

/// The result of an addition.
#[derive(Serialize, JsonSchema)]
struct Sum {
    /// Both terms added.
    sum: i64,
}

#[tool_router]
impl Calculator {
    /// Add two numbers.
    #[tool]
    fn add(&self, Parameters(terms): Parameters<Terms>) -> Json<Sum> {
        Json(Sum { sum: terms.a.wrapping_add(terms.b) })
    }

    /// A server with `count` tools beside `add` that only tools/list ever sees.
    fn with_idle_tools(count: usize) -> Result<Self> {
        let schema = Arc::new(idle_schema()?);
        let mut tools = Self::tool_router();
        for number in 0..count {
            // Names of one width keep every tool, and so the growth of the list, the same size.
            let tool = Tool::new(
                format!("idle_tool_{number:05}"),
                "Return one record of a kind that this server does not keep. It takes the record's id, changes \
                 nothing, and is listed for its length alone; call the list tool first to learn which ids exist.",
                Arc::clone(&schema),
            );
            tools.add_route(ToolRoute::new(tool, || "idle".to_owned()));
        }
        Ok(Self { tools: Arc::new(tools) })
    }
}

#[tool_handler(router = self.tools)]
impl ServerHandler for Calculator {}

/// The input schema of an idle tool: of ordinary shape, so that serialising it costs what it
/// costs for a real tool.
fn idle_schema() -> serde_json::Result<JsonObject> {
    serde_json::from_str(
        r#"{
            "type": "object",
            "properties": {
                "id": {"type": "string", "format": "uuid", "description": "Record to return."},
                "expand": {"type": "array", "items": {"type": "string"}, "description": "Related records to include."},
                "page": {"type": "integer", "minimum": 1, "default": 1, "description": "Page of the history."}
            },
            "required": ["id"],
            "additionalProperties": false
        }"#,
    )
}
