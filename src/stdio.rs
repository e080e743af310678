//! MCP over standard input and output: one message a line, and nothing else on standard output.

use std::sync::Arc;
use std::time::Duration;

use bureau_kit::access::Shown;
use bureau_kit::db::CALL_LIMIT_SECONDS;
use bureau_kit::gate::{Origin, Selection};
use bytes::Bytes;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use crate::limits;
use crate::mcp::Server;
use crate::pipe::{Pipe, QUEUE};
use crate::rpc::{Caller, INVALID_REQUEST, error};

/// How long running calls may take to be answered after the end of the input: as long as a call may take.
const DRAIN_AFTER_END: Duration = Duration::from_secs(CALL_LIMIT_SECONDS.saturating_add(5));
/// How long after the signal to stop.
const DRAIN_AFTER_SIGNAL: Duration = Duration::from_secs(10);

/// How a stdio server is to behave.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who the calls come from.
    pub shown: Shown,
    /// What is switched on.
    pub selection: Selection,
    /// Whether everything selected is listed.
    pub list_all: bool,
}

/// Serves until the input ends, nobody reads the output any more, or `stop` resolves; then finishes what is running.
pub async fn serve<I, O>(
    server: Arc<Server>,
    options: Options,
    input: I,
    output: O,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()>
where
    I: AsyncBufRead + Unpin,
    O: AsyncWrite + Unpin + Send + 'static,
{
    let (answers, queue) = mpsc::channel(QUEUE);
    let writer = tokio::spawn(write_all(output, queue));
    let mut caller =
        Caller::new(Some(options.shown), options.selection, Origin { transport: "stdio", ..Origin::default() });
    caller.list_all = options.list_all;
    let pipe = Pipe::new(server, caller, answers.clone());
    let (read, patience) = tokio::select! {
        read = read_lines(&pipe, input) => (read, DRAIN_AFTER_END),
        () = answers.closed() => (Ok(()), DRAIN_AFTER_END),
        () = stop => (Ok(()), DRAIN_AFTER_SIGNAL),
    };
    drop(answers);
    let drained = tokio::time::timeout(patience, async {
        pipe.drain().await;
        writer.await.unwrap_or_else(|cause| Err(std::io::Error::other(cause)))
    });
    match drained.await {
        // A client that closed its end has gone: that is an end like any other.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => read,
        Ok(written) => read.and(written),
        Err(_) => {
            tracing::warn!("some answers were not taken in time and are lost");
            read
        }
    }
}

async fn write_all<O: AsyncWrite + Unpin>(mut output: O, mut queue: mpsc::Receiver<Bytes>) -> std::io::Result<()> {
    while let Some(line) = queue.recv().await {
        output.write_all(&line).await?;
        output.write_all(b"\n").await?;
        if queue.is_empty() {
            output.flush().await?;
        }
    }
    output.flush().await
}

async fn read_lines<I: AsyncBufRead + Unpin>(pipe: &Pipe, mut input: I) -> std::io::Result<()> {
    let mut line = Vec::new();
    while let Some(read) = next_line(&mut input, &mut line).await? {
        if !read {
            let text = format!("a message may have {} bytes at most", limits::MESSAGE_BYTES);
            pipe.refuse(error(INVALID_REQUEST, text)).await;
        } else if !line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            pipe.take(std::mem::take(&mut line)).await;
        }
    }
    Ok(())
}

/// Reads a line into `line`. `Some(false)` is a line longer than a message may be, read past and dropped; `None` the end.
async fn next_line<I: AsyncBufRead + Unpin>(input: &mut I, line: &mut Vec<u8>) -> std::io::Result<Option<bool>> {
    line.clear();
    let mut fits = true;
    let mut seen = false;
    loop {
        let chunk = input.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(seen.then_some(fits));
        }
        seen = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = end.and_then(|end| chunk.get(..end)).unwrap_or(chunk);
        if fits && line.len().saturating_add(part.len()) <= limits::MESSAGE_BYTES {
            line.extend_from_slice(part);
        } else {
            fits = false;
            line.clear();
        }
        let used = end.map_or(chunk.len(), |end| end.saturating_add(1));
        input.consume(used);
        if end.is_some() {
            return Ok(Some(fits));
        }
    }
}
