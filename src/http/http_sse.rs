//! HTTP+SSE, the transport of revision 2024-11-05: one stream for all answers, and an address to send messages to.
//!
//! Clients that know Streamable HTTP use `/mcp`. This is a pipe like standard input and output, so it needs little.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response as HttpResponse};
use bureau_kit::token::{TokenKind, mint};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::body::read_body;
use super::head::{check_media_types, check_origin};
use super::streams::{accepts_events, event, sse};
use super::{App, Incoming, NO_TOKEN, Refused, refused, unauthenticated};
use crate::mcp::Face;
use crate::pipe::{Pipe, QUEUE};
use crate::rpc::{Caller, INVALID_REQUEST, error};

/// Where messages are sent to; the connection they belong to stands in the query. It is no credential.
pub(super) const MESSAGES: &str = "/messages";
/// Connections of this transport at a time.
const MOST: usize = 1_000;

/// A tenant, and a user or key of it.
type Owner = (Uuid, Uuid);

/// Open connections by their id, each with whom it belongs to.
#[derive(Debug, Default)]
pub(super) struct Pipes(Mutex<HashMap<String, (Owner, Arc<Pipe>)>>);

impl Pipes {
    fn add(&self, owner: Owner, pipe: Arc<Pipe>) -> Option<String> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = mint(TokenKind::Session).replacen("bus_", "sse-", 1);
        (open.len() < MOST).then(|| {
            open.insert(id.clone(), (owner, pipe));
            id
        })
    }

    fn find(&self, id: &str, owner: Owner) -> Option<Arc<Pipe>> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(id).filter(|(known, _)| *known == owner).map(|(_, pipe)| pipe.clone())
    }

    fn remove(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// GET `/sse`: the stream, whose first event names the address for messages.
pub(super) async fn open(State(app): State<App>, request: Request) -> HttpResponse {
    let (head, _) = request.into_parts();
    let headers = head.headers.clone();
    let opened = async {
        check_origin(&app.options, &head.uri, &headers)?;
        if !accepts_events(&headers) {
            let cause = error(INVALID_REQUEST, "Accept must allow text/event-stream");
            return Err(refused(StatusCode::NOT_ACCEPTABLE, cause));
        }
        let (caller, _, _) = Incoming::caller(&app, Face::Mcp, None, &head).await?;
        let owner = owner(&app, &caller).await?;
        stream(&app, caller, owner)
    };
    finished(&app, &headers, opened.await)
}

fn stream(app: &App, caller: Caller, owner: Owner) -> Result<HttpResponse, Refused> {
    let (answers, mut queue) = mpsc::channel(QUEUE);
    let pipe = Arc::new(Pipe::new(app.server.clone(), caller, answers));
    let id = app.pipes.add(owner, pipe.clone()).ok_or_else(|| {
        let text = "there are too many connections of this old transport; use /mcp, or try again later";
        refused(StatusCode::SERVICE_UNAVAILABLE, error(INVALID_REQUEST, text))
    })?;
    let (frames, body) = mpsc::channel(1);
    let (pipes, mut stopping) = (app.pipes.clone(), app.stopping.clone());
    tokio::spawn(async move {
        let address = Event::default().event("endpoint").data(format!("{MESSAGES}?session_id={id}"));
        let mut next = Some(address);
        while let Some(frame) = next {
            if frames.send(Ok(frame)).await.is_err() {
                break;
            }
            next = tokio::select! {
                message = queue.recv() => message.map(|message| event(&message, None)),
                () = frames.closed() => None,
                _ = stopping.wait_for(|stopping| *stopping) => None,
            };
        }
        pipes.remove(&id);
        pipe.hang_up();
    });
    Ok(sse(body))
}

/// POST `/messages`: one message. Its answer comes on the stream.
pub(super) async fn take(State(app): State<App>, request: Request) -> HttpResponse {
    let (mut head, body) = request.into_parts();
    let headers = head.headers.clone();
    let taken = async {
        check_origin(&app.options, &head.uri, &headers)?;
        check_media_types(Face::Plain, &headers)?;
        let query = head.uri.query().unwrap_or_default();
        let id = query.strip_prefix("session_id=").unwrap_or_default().to_owned();
        // What is switched on was said when the stream was opened.
        head.uri = axum::http::Uri::from_static(MESSAGES);
        let (caller, _, _) = Incoming::caller(&app, Face::Mcp, None, &head).await?;
        let owner = owner(&app, &caller).await?;
        let pipe = app.pipes.find(&id, owner).ok_or_else(|| {
            let cause = error(INVALID_REQUEST, "there is no such connection, or it is over; open /sse anew");
            refused(StatusCode::NOT_FOUND, cause)
        })?;
        let body = read_body(body).await?;
        pipe.take(body.to_vec()).await;
        Ok(StatusCode::ACCEPTED.into_response())
    };
    finished(&app, &headers, taken.await)
}

/// Whose connection it is: its messages must come from the same user or key.
async fn owner(app: &App, caller: &Caller) -> Result<Owner, Refused> {
    let Some(shown) = &caller.shown else { return Err(Box::new(unauthenticated("null", NO_TOKEN))) };
    match app.server.bureau.principal_at(shown, caller.origin.address).await {
        Ok(principal) => Ok((principal.tenant_id, principal.actor_id())),
        Err(cause) => Err(Box::new(unauthenticated("null", cause.message()))),
    }
}

fn finished(app: &App, headers: &HeaderMap, outcome: Result<HttpResponse, Refused>) -> HttpResponse {
    let response = outcome.unwrap_or_else(|refusal| *refusal);
    let token_came = headers.contains_key(header::AUTHORIZATION);
    app.metrics.answered(Face::Mcp, super::oauth::with_challenge(app, token_came, response))
}
