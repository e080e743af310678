//! Server-sent events: answers with messages before them, a session's standing stream, and what is taken up again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response as HttpResponse};
use bytes::Bytes;
use jsonrpsee::types::ErrorObjectOwned;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::head::{accepts, text_header};
use super::{Incoming, Refused, refused};
use crate::mcp::session::{Outlet, Session, Stream};
use crate::rpc::{Caller, Era, INVALID_REQUEST, Kind, Message, error};

/// The header that names a session.
pub(super) const SESSION_ID: &str = "mcp-session-id";
/// Comments that keep proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// When a client that lost its stream should come back.
const RETRY_MILLIS: u32 = 1_000;
/// Messages of a stateless request that may wait for its reader.
const QUEUE: usize = 64;

pub(super) type Frames = mpsc::Sender<Result<Event, Infallible>>;

/// Whether a request that is no POST means a handshake session: GET takes up a stream, DELETE ends the session.
pub(super) fn is_session_request(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::DELETE)
        && headers.contains_key(SESSION_ID)
        && text_header(headers, "mcp-protocol-version") != Some(crate::mcp::STATELESS)
}

/// Whether messages may come before the answer to a request, and its client takes a stream.
pub(super) fn may_stream(message: &Message<'_>, caller: &Caller, headers: &HeaderMap) -> bool {
    let method = message.method.as_deref().unwrap_or_default();
    let talks = match method {
        "tools/call" | "prompts/get" | "resources/read" => caller.session.is_some() || caller.listens(),
        "subscriptions/listen" => true,
        _ => false,
    };
    talks && accepts_events(headers)
}

pub(super) fn accepts_events(headers: &HeaderMap) -> bool {
    accepts(headers, &["text/event-stream", "text/*", "*/*"])
}

/// Takes what wants no answer: a notification, or the client's answer to a request of ours.
pub(super) fn notice(message: &Message<'_>, caller: &Caller) -> Result<(), ErrorObjectOwned> {
    #[derive(Deserialize)]
    struct Cancelled<'a> {
        #[serde(borrow, rename = "requestId")]
        request: &'a RawValue,
    }
    match (message.kind(false)?, &caller.session) {
        (Kind::Response, Some(session)) => {
            session.answered(message.id(), message.outcome());
            Ok(())
        }
        (Kind::Response, None) => {
            Err(error(INVALID_REQUEST, "an answer must name the session in which it was asked for (Mcp-Session-Id)"))
        }
        (_, Some(session)) if message.method.as_deref() == Some("notifications/cancelled") => {
            if let Ok(cancelled) = serde_json::from_str::<Cancelled<'_>>(message.params_text()) {
                session.cancel(cancelled.request.get());
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

impl Incoming<'_> {
    /// The session that the request names. One that is unknown, over or somebody else's is answered alike.
    pub(super) async fn session(&self) -> Result<Option<Arc<Session>>, Refused> {
        let service = &self.app.server.service;
        let Some(id) = text_header(&self.headers, SESSION_ID) else { return Ok(None) };
        if let Some(session) = service.sessions.find(id, service.now())
            && session.belongs_to(&service.bureau, self.caller.shown.as_ref()).await
        {
            return Ok(Some(session));
        }
        let cause =
            error(INVALID_REQUEST, "there is no such session, or it is over; send `initialize` to open a new one");
        Err(refused(StatusCode::NOT_FOUND, cause))
    }

    /// GET: the session's standing stream, or one that broke off, from where its client left it.
    pub(super) async fn open_stream(&self) -> HttpResponse {
        let session = match self.known_session().await {
            Ok(session) => session,
            Err(refusal) => return *refusal,
        };
        if !accepts_events(&self.headers) {
            return *refused(StatusCode::NOT_ACCEPTABLE, error(INVALID_REQUEST, "Accept must allow text/event-stream"));
        }
        let (stream, after) = match text_header(&self.headers, "last-event-id") {
            None => (session.standing.clone(), session.standing.last()),
            Some(event) => match session.stream_of(event) {
                Some(found) => found,
                None => {
                    let cause =
                        error(INVALID_REQUEST, "this event is not kept any more; open a stream without Last-Event-ID");
                    return *refused(StatusCode::BAD_REQUEST, cause);
                }
            },
        };
        let reader = stream.displace_reader();
        if stream.id == session.standing.id
            && let Err(cause) = self.app.server.follow(&session, &Arc::new(self.caller.clone())).await
        {
            tracing::debug!(%cause, "a session is not told what changes");
        }
        follow(&session, stream, after, reader, self.app.stopping.clone())
    }

    /// DELETE: the session and everything that runs in it end.
    pub(super) async fn end_session(&self) -> HttpResponse {
        match self.known_session().await {
            Ok(session) => {
                self.app.server.service.sessions.end(&session.id);
                StatusCode::NO_CONTENT.into_response()
            }
            Err(refusal) => *refusal,
        }
    }

    /// A session whose caller is still somebody.
    async fn known_session(&self) -> Result<Arc<Session>, Refused> {
        if let Some(shown) = &self.caller.shown
            && let Err(cause) = self.app.server.bureau.principal_at(shown, self.caller.origin.address).await
        {
            return Err(Box::new(super::unauthenticated("null", cause.message())));
        }
        let missing = || refused(StatusCode::BAD_REQUEST, error(INVALID_REQUEST, "Mcp-Session-Id is missing"));
        self.session().await?.ok_or_else(missing)
    }

    /// Answers a request before whose answer other messages may come. Where none does, the answer goes out in one piece.
    pub(super) async fn converse(&self, message: &Message<'_>, mut caller: Caller) -> HttpResponse {
        match caller.session.clone() {
            Some(session) => self.converse_in(session, message, caller).await,
            None => {
                let (sender, inbox) = mpsc::channel(QUEUE);
                caller.outlet = Some(Outlet::Queue(sender));
                caller.stopping = Some(self.app.stopping.clone());
                self.converse_once(message, caller, inbox).await
            }
        }
    }

    /// Without a session: a client that closes the connection cancels its request.
    async fn converse_once(
        &self,
        message: &Message<'_>,
        caller: Caller,
        mut inbox: mpsc::Receiver<Bytes>,
    ) -> HttpResponse {
        let era = caller.era;
        let mut answer = Box::pin(self.app.server.answer(self.face, message, Arc::new(caller)));
        let (first, response) = tokio::select! {
            biased;
            response = &mut answer => match inbox.try_recv() {
                Ok(first) => (first, Some(response)),
                Err(_) => return self.answered(message.id(), era, response),
            },
            Some(first) = inbox.recv() => (first, None),
        };
        let (frames, body) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut ended = response.map(|response| response.joined());
            let mut next = Some(first);
            loop {
                if let Some(message) = next.take().or_else(|| inbox.try_recv().ok()) {
                    if frames.send(Ok(event(&message, None))).await.is_err() {
                        return;
                    }
                    continue;
                }
                if let Some(answer) = ended.take() {
                    let _ = frames.send(Ok(event(&answer, None))).await;
                    return;
                }
                tokio::select! {
                    biased;
                    message = inbox.recv() => next = message,
                    response = &mut answer => ended = Some(response.joined()),
                    () = frames.closed() => return,
                }
            }
        });
        sse(body)
    }

    /// In a session: the request goes on when its connection breaks, and the client may come back for the answer.
    async fn converse_in(&self, session: Arc<Session>, message: &Message<'_>, mut caller: Caller) -> HttpResponse {
        let stream = session.open_stream();
        let reader = stream.displace_reader();
        caller.outlet = Some(Outlet::Stream(stream.clone()));
        let answer = self.app.server.answer(self.face, message, Arc::new(caller));
        let (writer, owner, id) = (stream.clone(), session.clone(), message.id().to_owned());
        let (failed, failure) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let _ended = Ended { session: &owner, request: &id, stream: &writer };
            let response = answer.await;
            let _ = failed.send(response.error_code);
            writer.finish(response.joined());
        });
        session.started(message.id(), task.abort_handle());
        let found = stream.next(0, Some(reader)).await;
        if let ([(_, only)], true) = (found.events.as_slice(), found.ended) {
            session.drop_stream(stream.id);
            let error_code = failure.await.ok().flatten();
            let response = crate::rpc::Response::finished(only.clone(), error_code);
            return self.answered(message.id(), Era::Handshake, response);
        }
        follow(&session, stream, 0, reader, self.app.stopping.clone())
    }
}

/// A running request of a session, until it has ended in whatever way: then it can be cancelled no more, and its stream
/// brings nothing more.
struct Ended<'a> {
    session: &'a Session,
    request: &'a str,
    stream: &'a Stream,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.session.ended(self.request);
        self.stream.end();
    }
}

/// The rest of a stream, from after an event on, to whoever asks last. A reader that was displaced meanwhile still
/// gets the id to come back with. The standing stream ends when the server stops.
fn follow(
    session: &Arc<Session>,
    stream: Arc<Stream>,
    after: u64,
    reader: u64,
    mut stopping: watch::Receiver<bool>,
) -> HttpResponse {
    let (frames, body) = mpsc::channel(1);
    let (reading, id) = (session.reading(), stream.id);
    let primes = session.polls() && after == 0;
    let stands = id == session.standing.id;
    tokio::spawn(async move {
        let _reading = reading;
        tokio::select! {
            _ = read(&stream, after, reader, &frames) => {}
            _ = stopping.wait_for(|stop| *stop), if stands => {}
        }
    });
    let response = sse(body);
    if !primes {
        return response;
    }
    // An id to come back with, before there is anything to say. Written here, since axum leaves out a data field without
    // data, and then clients see no event.
    let first = Bytes::from(format!("id: {id}-{after}\nretry: {RETRY_MILLIS}\ndata: \n\n"));
    response.map(|rest| Body::from_stream(tokio_stream::once(Ok(first)).chain(rest.into_data_stream())))
}

async fn read(stream: &Stream, mut after: u64, reader: u64, frames: &Frames) -> Option<()> {
    loop {
        let found = tokio::select! {
            found = stream.next(after, Some(reader)) => found,
            () = frames.closed() => return None,
        };
        if found.displaced {
            return None;
        }
        for (number, message) in found.events {
            frames.send(Ok(event(&message, Some(format!("{}-{number}", stream.id))))).await.ok()?;
            after = number;
        }
        if found.ended {
            return Some(());
        }
    }
}

pub(super) fn event(message: &[u8], id: Option<String>) -> Event {
    let event = Event::default().event("message").data(String::from_utf8_lossy(message));
    match id {
        Some(id) => event.id(id),
        None => event,
    }
}

pub(super) fn sse(body: mpsc::Receiver<Result<Event, Infallible>>) -> HttpResponse {
    let stream = Sse::new(ReceiverStream::new(body)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    ([("x-accel-buffering", "no")], stream).into_response()
}
