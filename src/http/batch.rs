//! Several messages in one body.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use super::fairness::Permit;
use super::head::text_header;
use super::{Incoming, refused, unauthenticated};
use crate::limits;
use crate::mcp::{Face, Server};
use crate::rpc::{Caller, INVALID_REQUEST, Kind, Message, PARSE_ERROR, Response, error, id_in};

impl Incoming<'_> {
    /// Batches are plain JSON-RPC, and MCP of 2025-03-26, which has no version header.
    pub(super) async fn run_batch(&self, text: &str) -> HttpResponse {
        let version = text_header(&self.headers, "mcp-protocol-version");
        if let Err(cause) = serde_json::from_str::<&RawValue>(text) {
            return *refused(StatusCode::BAD_REQUEST, error(PARSE_ERROR, format!("This is no JSON: {cause}")));
        }
        if self.face == Face::Mcp && version.is_some_and(|version| version != "2025-03-26") {
            let cause =
                error(INVALID_REQUEST, "this protocol revision has no batches; batch_call makes several calls one");
            return *refused(StatusCode::BAD_REQUEST, cause);
        }
        let entries = match entries(text) {
            Ok(entries) => entries,
            Err(cause) if self.face == Face::Plain && cause.code() == INVALID_REQUEST => {
                return *refused(StatusCode::OK, cause);
            }
            Err(cause) => return *refused(StatusCode::BAD_REQUEST, cause),
        };
        if self.caller.shown.is_none() {
            return unauthenticated("null", "A batch needs `Authorization: Bearer <token>`.");
        }
        let permit = match self.admit(None, entries.len()).await {
            Ok(permit) => permit,
            Err(refusal) => return *refusal,
        };
        match answers(&self.app.server, self.face, Arc::new(self.caller.clone()), permit, entries).await {
            Some(body) => (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
            None => StatusCode::ACCEPTED.into_response(),
        }
    }
}

/// The messages of a batch; or the error that answers all of it.
pub(super) fn entries(text: &str) -> Result<Vec<&RawValue>, ErrorObjectOwned> {
    let entries: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|cause| error(PARSE_ERROR, format!("This is no JSON: {cause}")))?;
    if entries.is_empty() || entries.len() > limits::BATCH_ENTRIES {
        return Err(error(INVALID_REQUEST, format!("a batch holds 1 to {} messages", limits::BATCH_ENTRIES)));
    }
    Ok(entries)
}

/// How many calls a text is: more than one for a batch.
pub(super) fn size(text: &str) -> u32 {
    let calls = if text.trim_start().starts_with('[') { entries(text).map_or(1, |entries| entries.len()) } else { 1 };
    u32::try_from(calls).unwrap_or(u32::MAX)
}

/// Runs the messages of a batch, as many at once as they may; their answers in one list, in the order of the messages.
/// Nothing when none of them wants an answer.
pub(super) async fn answers(
    server: &Arc<Server>,
    face: Face,
    caller: Arc<Caller>,
    permit: Permit,
    entries: Vec<&RawValue>,
) -> Option<Vec<u8>> {
    // Held by the calls themselves: they go on when the client hangs up.
    let (turns, permit) = (Arc::new(Semaphore::new(permit.at_once)), Arc::new(permit));
    let tasks: Vec<_> = entries
        .into_iter()
        .map(|entry| {
            let (server, caller, text) = (server.clone(), caller.clone(), entry.get().to_owned());
            let (turns, permit) = (turns.clone(), permit.clone());
            tokio::spawn(async move {
                let _permit = permit;
                let _turn = turns.acquire().await;
                let message = match Message::read(&text) {
                    Ok(message) => message,
                    Err(cause) => return Some(Response::new(&id_in(&text), Err(cause))),
                };
                match message.kind(face == Face::Plain) {
                    Ok(Kind::Request) if face == Face::Mcp && message.method.as_deref() == Some("initialize") => {
                        let cause = error(INVALID_REQUEST, "`initialize` cannot be part of a batch");
                        Some(Response::new(message.id(), Err(cause)))
                    }
                    Ok(Kind::Request) => Some(server.answer(face, &message, caller).await),
                    Ok(Kind::Notification) if face == Face::Plain => {
                        // Carried out, and not answered.
                        drop(server.answer(face, &message, caller).await);
                        None
                    }
                    Ok(_) => None,
                    Err(cause) => Some(Response::new(message.id(), Err(cause))),
                }
            })
        })
        .collect();
    let mut body = Vec::from(*b"[");
    for task in tasks {
        if let Ok(Some(response)) = task.await {
            if body.len() > 1 {
                body.push(b',');
            }
            body.extend_from_slice(&response.joined());
        }
    }
    if body.len() == 1 {
        return None;
    }
    body.push(b']');
    Some(body)
}
