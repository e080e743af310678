//! The floor: an axum handler that reads its request and answers a constant.
//!
//! What any server on axum spends above this is its own doing.

use std::{future::ready, net::SocketAddr};

use anyhow::Result;
use axum::{
    Router,
    http::header::CONTENT_TYPE,
    routing::{get, post},
    serve::ListenerExt as _,
};
use bytes::Bytes;
use clap::Parser;
use tokio::net::TcpListener;

/// As long as a small tool's answer, and accepted by the driver as one.
const ANSWER: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[{"type":"text","text":"{\"sum\":3}"}],"#,
    r#""structuredContent":{"sum":3},"isError":false}}"#
);

/// Answer constants over HTTP.
#[derive(Parser)]
struct Arguments {
    /// Address to listen on
    #[arg(long)]
    listen: SocketAddr,
    /// Size of the answer to `POST /list`
    #[arg(long, default_value_t = 1024)]
    list_bytes: usize,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let list = list_of(arguments.list_bytes);
    let router = Router::new()
        .route("/readyz", get(|| ready(())))
        .route("/mcp", constant(Bytes::from_static(ANSWER.as_bytes())))
        .route("/list", constant(list));
    let listener = TcpListener::bind(arguments.listen).await?.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router).await?;
    Ok(())
}

/// A route that takes the whole request body, as every real server must, and answers `body`.
fn constant(body: Bytes) -> axum::routing::MethodRouter {
    post(move |_request: Bytes| ready(([(CONTENT_TYPE, "application/json")], body)))
}

/// A JSON-RPC answer of exactly `size` bytes, or of its own few when `size` is less.
fn list_of(size: usize) -> Bytes {
    let (head, tail) = (r#"{"jsonrpc":"2.0","id":1,"result":""#, r#""}"#);
    let padding = size.saturating_sub(head.len().saturating_add(tail.len()));
    Bytes::from([head, &"x".repeat(padding), tail].concat())
}
