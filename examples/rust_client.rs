//! A Rust program that works with Bureau over MCP.
//!
//! `BUREAU_TOKEN=… cargo run --example rust_client`, with `BUREAU_URL` for another server than the local one.

#![expect(clippy::print_stdout, reason = "the program talks to the person who runs it")]

use rmcp::model::{CallToolRequestParams, ClientConfig};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleClient, ServiceExt as _, service::RunningService};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let base = std::env::var("BUREAU_URL").unwrap_or_else(|_| "http://127.0.0.1:8650".into());
    let token =
        std::env::var("BUREAU_TOKEN").map_err(|_| "set BUREAU_TOKEN to the token that `bureau serve` printed")?;
    // reqwest, built without a default, leaves the choice of the cryptography to the program.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = StreamableHttpClientTransportConfig::with_uri(format!("{base}/mcp")).auth_header(token);
    let client = ClientConfig::default().serve(StreamableHttpClientTransport::from_config(config)).await?;

    let tools = client.list_all_tools().await?;
    println!("{} tools are listed; the others are found by tool_search", tools.len());
    let found = call(&client, "tool_search", json!({"query": "settle a contract"})).await?;
    println!("to settle a contract: {}", found.pointer("/items/0/name").unwrap_or(&Value::Null));

    let preview = call(&client, "task_create", json!({"title": "Order the worktop", "dry_run": true})).await?;
    println!(
        "a dry run would change {} record(s)",
        preview.get("changes").and_then(Value::as_array).map_or(0, Vec::len)
    );
    let task = call(&client, "task_create", json!({"title": "Order the worktop"})).await?;
    println!("task {} made", task.get("num").unwrap_or(&Value::Null));
    let undone = call(&client, "action_undo", json!({"undo_token": task.get("undo_token")})).await?;
    println!("and taken back: {}", undone.get("ok").unwrap_or(&Value::Null));
    client.cancel().await?;
    Ok(())
}

/// Calls a tool and answers its JSON; a refusal is an error with the text that says what to do.
async fn call(
    client: &RunningService<RoleClient, ClientConfig>,
    tool: &'static str,
    arguments: Value,
) -> Result<Value, Failure> {
    let mut params = CallToolRequestParams::new(tool);
    params.arguments = arguments.as_object().cloned();
    let result = client.call_tool(params).await?;
    let text =
        result.content.first().and_then(|content| content.as_text()).map(|text| text.text.clone()).unwrap_or_default();
    if result.is_error == Some(true) {
        return Err(text.into());
    }
    Ok(serde_json::from_str(&text)?)
}
