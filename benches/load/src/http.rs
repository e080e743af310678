//! The client's side of HTTP/1.1, as little of it as a load driver needs: requests written once as
//! bytes, and a kept-alive connection that sends them and reads answers of announced length.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use memchr::memmem;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const PROTOCOL: &str = "2026-07-28";
const HANDSHAKE_PROTOCOL: &str = "2025-11-25";

/// Where requests go, and on whose behalf.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// Address of the server.
    pub(crate) address: SocketAddr,
    /// Bearer token, where the server wants one.
    pub(crate) token: Option<String>,
}

/// A whole HTTP request, the same bytes for every repetition.
#[derive(Clone, Debug)]
pub(crate) struct Request(Arc<[u8]>);

impl Request {
    /// `GET path`.
    pub(crate) fn get(endpoint: &Endpoint, path: &str) -> Self {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", endpoint.address);
        Self(head.into_bytes().into())
    }

    /// `tools/call` of one tool at `/mcp`.
    pub(crate) fn call(endpoint: &Endpoint, tool: &str, arguments: &Value) -> Self {
        Self::call_with_id(endpoint, 1, tool, arguments)
    }

    /// The same with an id of the caller's.
    pub(crate) fn call_with_id(endpoint: &Endpoint, id: usize, tool: &str, arguments: &Value) -> Self {
        let params = json!({"name": tool, "arguments": arguments, "_meta": meta()});
        Self::mcp(endpoint, "/mcp", id, "tools/call", Some(tool), &params)
    }

    /// `tools/call` in the handshake era, within a session where the server keeps one.
    pub(crate) fn call_in_session(
        endpoint: &Endpoint,
        session: Option<&str>,
        id: usize,
        tool: &str,
        arguments: &Value,
    ) -> Self {
        let params = json!({"name": tool, "arguments": arguments});
        let session = session.map_or_else(String::new, |session| format!("Mcp-Session-Id: {session}\r\n"));
        let lines = format!("MCP-Protocol-Version: {HANDSHAKE_PROTOCOL}\r\n{session}");
        Self::post(endpoint, "/mcp", &lines, &message(id, "tools/call", &params))
    }

    /// A tool as a method of plain JSON-RPC.
    pub(crate) fn method(endpoint: &Endpoint, id: usize, tool: &str, arguments: &Value) -> Self {
        Self::post(endpoint, "/rpc", "", &message(id, tool, arguments))
    }

    /// `tools/list` at `path`.
    pub(crate) fn list(endpoint: &Endpoint, path: &str) -> Self {
        let params = json!({"_meta": meta()});
        Self::mcp(endpoint, path, 1, "tools/list", None, &params)
    }

    fn mcp(endpoint: &Endpoint, path: &str, id: usize, method: &str, name: Option<&str>, params: &Value) -> Self {
        let mut lines = format!("MCP-Protocol-Version: {PROTOCOL}\r\nMcp-Method: {method}\r\n");
        if let Some(name) = name {
            lines.push_str(&format!("Mcp-Name: {name}\r\n"));
        }
        Self::post(endpoint, path, &lines, &message(id, method, params))
    }

    /// A body with the headers that all of them have, and these lines.
    fn post(endpoint: &Endpoint, path: &str, lines: &str, body: &str) -> Self {
        let mut head = format!(
            "POST {path} HTTP/1.1\r\n\
             Host: {}\r\n\
             Content-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n\
             {lines}",
            endpoint.address
        );
        if let Some(token) = &endpoint.token {
            head.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        Self(head.into_bytes().into())
    }
}

fn message(id: usize, method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

/// What protocol 2026-07-28 wants in every request.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": PROTOCOL,
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// A kept-alive connection with one request in flight at most.
pub(crate) struct Connection {
    stream: TcpStream,
    /// The answer being read; its room serves every answer after it.
    received: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its whole answer.
    pub(crate) async fn exchange(&mut self, request: &Request) -> Result<Answer<'_>> {
        self.received.clear();
        self.stream.write_all(&request.0).await?;
        let head_length = loop {
            let known = self.received.len();
            self.read_more().await?;
            // The end of the head may lie across two reads.
            let from = known.saturating_sub(HEAD_END.len());
            if let Some(found) = self.received.get(from..).and_then(|new| memmem::find(new, HEAD_END)) {
                break from.saturating_add(found);
            }
        };
        let head = self.received.get(..head_length).unwrap_or_default();
        let (status, body_length) = parse_head(head)?;
        let body_start = head_length.saturating_add(HEAD_END.len());
        let end = body_start.saturating_add(body_length);
        self.received.reserve(end.saturating_sub(self.received.len()));
        while self.received.len() < end {
            self.read_more().await?;
        }
        ensure!(self.received.len() == end, "the server sent more than it announced");
        let body = self.received.get(body_start..).unwrap_or_default();
        Ok(Answer { status, body })
    }

    /// Greets the server as clients of the handshake era do: the session's id, where it gives one.
    pub(crate) async fn initialize(&mut self, endpoint: &Endpoint) -> Result<Option<String>> {
        let params = json!({
            "protocolVersion": HANDSHAKE_PROTOCOL,
            "capabilities": {},
            "clientInfo": {"name": "bureau-load", "version": env!("CARGO_PKG_VERSION")},
        });
        let greeting = Request::post(endpoint, "/mcp", "", &message(0, "initialize", &params));
        let answer = self.exchange(&greeting).await?;
        ensure!(answer.is_success(), "initialize failed: {}", answer.excerpt());
        let head_length = memmem::find(&self.received, HEAD_END).unwrap_or_default();
        let head = str::from_utf8(self.received.get(..head_length).unwrap_or_default())?;
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(": "));
        Ok(lines.find(|(name, _)| name.eq_ignore_ascii_case("mcp-session-id")).map(|(_, id)| id.to_owned()))
    }

    async fn read_more(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.received).await?;
        ensure!(read > 0, "the server closed the connection before its answer was complete");
        Ok(())
    }
}

const HEAD_END: &[u8] = b"\r\n\r\n";

/// Status and `Content-Length` of an answer's head.
fn parse_head(head: &[u8]) -> Result<(u16, usize)> {
    let head = str::from_utf8(head)?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .with_context(|| format!("not an HTTP answer: {head}"))?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .with_context(|| format!("an answer without Content-Length: {head}"))?;
    Ok((status, length))
}

/// One answer, in the connection's own buffer.
pub(crate) struct Answer<'a> {
    /// HTTP status.
    pub(crate) status: u16,
    /// The whole body.
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// Whether this is a JSON-RPC result that is not a tool's error.
    pub(crate) fn is_success(&self) -> bool {
        // The envelope comes first in every server measured, so that long bodies need no parsing.
        // Within them, the text of another document has its quotes escaped and is not mistaken.
        let envelope = self.body.get(..64).unwrap_or(self.body);
        self.status == 200
            && memmem::find(envelope, br#""result":"#).is_some()
            && memmem::find(self.body, br#""isError":true"#).is_none()
    }

    /// The answer for a human, cut to a few lines.
    pub(crate) fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(self.body);
        let start: String = text.chars().take(400).collect();
        format!("HTTP {} {start}", self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_whatever_their_case() -> Result<()> {
        let head = b"HTTP/1.1 200 OK\r\nDate: now\r\ncontent-LENGTH: 154";
        assert_eq!(parse_head(head)?, (200, 154));
        assert!(parse_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked").is_err());
        assert!(parse_head(b"+OK").is_err());
        Ok(())
    }

    #[test]
    fn only_results_without_a_tool_error_are_successes() {
        let success = |status, body: &str| {
            let body = body.as_bytes();
            Answer { status, body }.is_success()
        };
        let result = r#"{"jsonrpc":"2.0","id":1,"result":{"isError":false,"text":"{\"isError\":true}"}}"#;
        assert!(success(200, result));
        assert!(!success(500, result));
        assert!(!success(200, r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}"#));
        assert!(!success(200, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}"#));
    }
}
