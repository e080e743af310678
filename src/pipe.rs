//! Messages of one client over one connection that lasts: standard input and output, or the oldest HTTP transport.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use jsonrpsee::types::ErrorObjectOwned;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::AbortHandle;

use crate::limits;
use crate::mcp::session::{Outlet, Session};
use crate::mcp::{Face, Server};
use crate::rpc::{Caller, INVALID_REQUEST, Kind, Message, PARSE_ERROR, Response, error, id_in};

/// Answers that may wait for a client that does not read; then its calls wait too.
pub const QUEUE: usize = 64;
/// Requests that run at a time; the next one waits for its turn.
const TURNS: usize = 64;
/// What a unit of room is, in bytes: about what the smallest request costs while it waits.
const ROOM_UNIT: usize = 8 * 1024;
/// Units of room for requests without an answer yet: 16 MiB.
const ROOM: usize = 2 * 1024;

/// One client's messages over one connection, whatever carries them.
#[derive(Debug)]
pub struct Pipe {
    server: Arc<Server>,
    caller: Caller,
    answers: mpsc::Sender<Bytes>,
    /// Tells those that listen to come to an end.
    stopping: watch::Sender<bool>,
    /// Requests that run.
    turns: Arc<Semaphore>,
    /// Requests that run or wait for their turn, by their size: what bounds memory. Reading goes on until then, since
    /// a client's answer may stand behind a request that has to wait.
    room: Arc<Semaphore>,
    /// What the client said of itself when it said hello.
    session: Arc<Mutex<Option<Arc<Session>>>>,
    /// Requests without an answer yet, by id as sent.
    running: Arc<Mutex<HashMap<String, AbortHandle>>>,
}

impl Pipe {
    /// A connection whose answers go to `answers`, with everything that is known of its client so far.
    pub fn new(server: Arc<Server>, mut caller: Caller, answers: mpsc::Sender<Bytes>) -> Self {
        let (stopping, stopped) = watch::channel(false);
        caller.outlet = Some(Outlet::Queue(answers.clone()));
        caller.stopping = Some(stopped);
        Self {
            server,
            caller,
            answers,
            stopping,
            turns: Arc::new(Semaphore::new(TURNS)),
            room: Arc::new(Semaphore::new(ROOM)),
            session: Arc::default(),
            running: Arc::default(),
        }
    }

    /// The client has gone: what waits for an answer of it ends.
    pub fn hang_up(&self) {
        if let Some(session) = self.session.lock().unwrap_or_else(PoisonError::into_inner).take() {
            session.hang_up();
        }
        self.stopping.send_replace(true);
    }

    /// Waits until everything taken is answered; nobody is asked anything any more.
    pub async fn drain(self) {
        self.hang_up();
        let all = u32::try_from(ROOM).unwrap_or(u32::MAX);
        let _ = self.room.acquire_many(all).await;
        // A client may hang up right behind its `initialize`: the session came only now.
        self.hang_up();
    }

    /// An error about a message that could not be read.
    pub async fn refuse(&self, cause: ErrorObjectOwned) {
        let _ = self.answers.send(Response::new("null", Err(cause)).joined()).await;
    }

    /// Takes a message. Waits while there is no room for its request.
    pub async fn take(&self, line: Vec<u8>) {
        let Ok(text) = String::from_utf8(line) else {
            return self.refuse(error(PARSE_ERROR, "a message must be UTF-8")).await;
        };
        if let Some(why) = limits::refusal(text.as_bytes()) {
            return self.refuse(error(INVALID_REQUEST, why)).await;
        }
        let (request, listens) = match Message::read(&text).map(|message| (message.kind(false), message)) {
            Err(cause) => {
                let _ = self.answers.send(Response::new(&id_in(&text), Err(cause)).joined()).await;
                return;
            }
            Ok((Err(cause), message)) => {
                let _ = self.answers.send(Response::new(message.id(), Err(cause)).joined()).await;
                return;
            }
            Ok((Ok(Kind::Notification), message)) => return self.notice(&message),
            Ok((Ok(Kind::Response), message)) => return self.answered(&message),
            Ok((Ok(Kind::Request), message)) => {
                (message.id().to_owned(), message.method.as_deref() == Some("subscriptions/listen"))
            }
        };
        let size = text.len().div_ceil(ROOM_UNIT).clamp(1, ROOM);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let Ok(room) = self.room.clone().acquire_many_owned(size).await else { return };
        let (server, answers, caller) = (self.server.clone(), self.answers.clone(), self.caller.clone());
        // Listening may go on for ever, and costs nothing meanwhile.
        let turns = (!listens).then(|| self.turns.clone());
        let (session, running, id) = (self.session.clone(), self.running.clone(), request.clone());
        // Held until the task is on the list, so that it cannot end before.
        let mut listed = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let task = tokio::spawn(async move {
            let _room = room;
            let _turn = match turns {
                Some(turns) => turns.acquire_owned().await.ok(),
                None => None,
            };
            let response = handle(&server, &text, caller, &session).await;
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
        match message.method.as_deref() {
            Some("notifications/initialized") => return self.follow(),
            Some("notifications/cancelled") => {}
            _ => return,
        }
        let Ok(cancelled) = serde_json::from_str::<Cancelled<'_>>(message.params_text()) else { return };
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = running.remove(cancelled.request.get()) {
            task.abort();
        }
    }

    /// The client is ready to be told what changes.
    fn follow(&self) {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(session) = session else { return };
        let (server, mut caller) = (self.server.clone(), self.caller.clone());
        caller.session = Some(session.clone());
        tokio::spawn(async move {
            if let Err(cause) = server.follow(&session, &Arc::new(caller)).await {
                tracing::debug!(%cause, "a client is not told what changes");
            }
        });
    }

    /// An answer to what was asked of the client.
    fn answered(&self, message: &Message<'_>) {
        if let Some(session) = self.session.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            session.answered(message.id(), message.outcome());
        }
    }
}

/// One request to its answer.
async fn handle(server: &Server, text: &str, mut caller: Caller, session: &Mutex<Option<Arc<Session>>>) -> Response {
    let message = match Message::read(text) {
        Ok(message) => message,
        Err(cause) => return Response::new("null", Err(cause)),
    };
    caller.session = session.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match server.envelope(&message, None) {
        Ok(envelope) => caller.take(envelope),
        Err(cause) => return Response::new(message.id(), Err(cause)),
    }
    let caller = Arc::new(caller);
    let response = server.answer(Face::Mcp, &message, caller.clone()).await;
    if message.method.as_deref() == Some("initialize")
        && response.error_code.is_none()
        && let Ok(opened) = server.open_session(&message, &caller).await
    {
        *session.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
    }
    response
}
