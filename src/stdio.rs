//! MCP over standard input and output: one message a line, and nothing else on standard output.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bureau_kit::access::Shown;
use bureau_kit::db::CALL_LIMIT_SECONDS;
use bureau_kit::gate::{Origin, Selection};
use bytes::Bytes;
use jsonrpsee::types::ErrorObjectOwned;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use crate::limits;
use crate::mcp::{Face, Server, era_of};
use crate::rpc::{Caller, INVALID_REQUEST, Kind, Message, PARSE_ERROR, Response, error};

/// Calls in flight at most; the next line waits for one of them.
const IN_FLIGHT: usize = 64;
/// Answers that may wait for a client that does not read; then its calls wait too.
const QUEUE: usize = 256;
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
    let connection = Connection {
        server,
        options,
        answers,
        permits: Arc::new(Semaphore::new(IN_FLIGHT)),
        client: Arc::new(Mutex::new(None)),
        running: Arc::default(),
    };
    let (read, patience) = tokio::select! {
        read = connection.read_lines(input) => (read, DRAIN_AFTER_END),
        () = connection.answers.closed() => (Ok(()), DRAIN_AFTER_END),
        () = stop => (Ok(()), DRAIN_AFTER_SIGNAL),
    };
    let drained = tokio::time::timeout(patience, async {
        // Every running call holds a permit: having them all means that all is answered.
        let all = u32::try_from(IN_FLIGHT).unwrap_or(u32::MAX);
        let _ = connection.permits.clone().acquire_many_owned(all).await;
        drop(connection);
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

struct Connection {
    server: Arc<Server>,
    options: Options,
    answers: mpsc::Sender<Bytes>,
    permits: Arc<Semaphore>,
    /// What the client called itself when it said hello.
    client: Arc<Mutex<Option<String>>>,
    /// Requests without an answer yet, by id as sent.
    running: Arc<Mutex<HashMap<String, AbortHandle>>>,
}

impl Connection {
    async fn read_lines<I: AsyncBufRead + Unpin>(&self, mut input: I) -> std::io::Result<()> {
        let mut line = Vec::new();
        while let Some(read) = next_line(&mut input, &mut line).await? {
            if !read {
                self.refuse(error(
                    INVALID_REQUEST,
                    format!("a message may have {} bytes at most", limits::MESSAGE_BYTES),
                ))
                .await;
            } else if !line.trim_ascii().is_empty() {
                self.take(std::mem::take(&mut line)).await;
            }
        }
        Ok(())
    }

    async fn refuse(&self, cause: ErrorObjectOwned) {
        let _ = self.answers.send(Response::new("null", Err(cause)).joined()).await;
    }

    async fn take(&self, line: Vec<u8>) {
        let Ok(text) = String::from_utf8(line) else {
            return self.refuse(error(PARSE_ERROR, "a message must be UTF-8")).await;
        };
        if let Some(why) = limits::refusal(text.as_bytes()) {
            return self.refuse(error(INVALID_REQUEST, why)).await;
        }
        let request = match Message::read(&text).map(|message| (message.kind(false), message)) {
            Err(cause) => return self.refuse(cause).await,
            Ok((Err(cause), message)) => {
                let _ = self.answers.send(Response::new(message.id(), Err(cause)).joined()).await;
                return;
            }
            Ok((Ok(Kind::Notification | Kind::Response), message)) => return self.notice(&message),
            Ok((Ok(Kind::Request), message)) => message.id().to_owned(),
        };
        let Ok(permit) = self.permits.clone().acquire_owned().await else { return };
        let (server, answers, caller) = (self.server.clone(), self.answers.clone(), self.caller());
        let (client, running, id) = (self.client.clone(), self.running.clone(), request.clone());
        // Held until the task is on the list, so that it cannot end before.
        let mut listed = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let task = tokio::spawn(async move {
            let _permit = permit;
            let response = handle(&server, &text, caller, &client).await;
            let _ = answers.send(response.joined()).await;
            running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        });
        listed.insert(request, task.abort_handle());
    }

    /// A request that its client no longer wants is not answered. A write that has begun still runs to its end, on a
    /// task of its own: it is done or not, never half.
    fn notice(&self, message: &Message<'_>) {
        #[derive(Deserialize)]
        struct Cancelled<'a> {
            #[serde(borrow, rename = "requestId")]
            request: &'a RawValue,
        }
        if message.method.as_deref() != Some("notifications/cancelled") {
            return;
        }
        let Ok(cancelled) = serde_json::from_str::<Cancelled<'_>>(message.params_text()) else { return };
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = running.remove(cancelled.request.get()) {
            task.abort();
        }
    }

    fn caller(&self) -> Caller {
        Caller {
            shown: Some(self.options.shown.clone()),
            selection: self.options.selection.clone(),
            list_all: self.options.list_all,
            output_schemas: false,
            origin: Origin { transport: "stdio", client: None },
            era: crate::rpc::Era::Handshake,
        }
    }
}

/// One request to its answer.
async fn handle(server: &Server, text: &str, mut caller: Caller, client: &Mutex<Option<String>>) -> Response {
    let message = match Message::read(text) {
        Ok(message) => message,
        Err(cause) => return Response::new("null", Err(cause)),
    };
    let named = match era_of(&message, None) {
        Ok((era, named)) => {
            caller.era = era;
            named
        }
        Err(cause) => return Response::new(message.id(), Err(cause)),
    };
    {
        let mut remembered = client.lock().unwrap_or_else(PoisonError::into_inner);
        if message.method.as_deref() == Some("initialize") {
            *remembered = client_name(&message);
        }
        caller.origin.client = named.or_else(|| remembered.clone());
    }
    server.answer(Face::Mcp, &message, Arc::new(caller)).await
}

fn client_name(message: &Message<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Hello {
        #[serde(rename = "clientInfo")]
        client: Client,
    }
    #[derive(Deserialize)]
    struct Client {
        name: String,
    }
    serde_json::from_str::<Hello>(message.params_text()).ok().map(|hello| hello.client.name)
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
