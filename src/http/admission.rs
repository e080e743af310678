//! From a request to leave to run it: whom it counts for, and what is answered when there is no leave.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use bureau_kit::access::Shown;
use bureau_kit::error::{Code, Error};
use jsonrpsee::types::ErrorObjectOwned;
use serde::Deserialize;
use serde_json::json;

use super::connection::Held;
use super::fairness::{Account, Limited, Permit, Refusal};
use super::metrics::EVENTS;
use super::{Incoming, Refused, UNKNOWN_TOKEN, refused, unauthenticated};
use crate::rpc::{INTERNAL_ERROR, Message, Response, error};

/// HTTP's number for a limit that was reached; as a JSON-RPC code it lies outside the protocol's own range.
const TOO_MANY: i32 = 429;

impl Incoming<'_> {
    /// Runs what answers a request as soon as its caller may have one more.
    pub(super) async fn admitted(
        &self,
        message: Option<&Message<'_>>,
        answer: impl Future<Output = HttpResponse>,
    ) -> HttpResponse {
        let permit = match self.admit(message, 1).await {
            Ok(permit) => permit,
            Err(refusal) => return *refusal,
        };
        let response = answer.await;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.was_not_recognised(message);
        }
        if response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind != EVENTS) {
            return response;
        }
        // An open stream is a request of its token, and takes nothing of its tenant's share.
        let request = permit.into_request();
        response.map(|body| Body::new(Held::new(body, request)))
    }

    /// Leave to run a request of so many calls, or the response that says why there is none.
    pub(super) async fn admit(&self, message: Option<&Message<'_>>, calls: usize) -> Result<Permit, Refused> {
        let id = message.map_or("null", Message::id);
        let fairness = &self.app.fairness;
        let outcome = match &self.account {
            Some(account) => fairness.enter(account.clone(), calls).await.map_err(Refusal::Limited),
            None => match self.caller.shown.clone().or_else(|| session_token(message?)) {
                Some(shown) => fairness.admit(&self.app.server.bureau, &shown, self.peer, calls).await,
                // Only calls of public tools come here without a token.
                None if message.is_some() => fairness.admit_nobody(self.peer, calls).await,
                None => Err(Refusal::Unauthenticated),
            },
        };
        outcome.map_err(|refusal| match refusal {
            Refusal::Limited(limited) => limit_reached(id, &limited),
            Refusal::Unauthenticated => Box::new(unauthenticated(id, UNKNOWN_TOKEN)),
            Refusal::Failed(cause) => not_checked(self.app, cause, "authentication"),
        })
    }

    /// A credential that seemed good was not accepted after all.
    pub(super) fn was_not_recognised(&self, message: Option<&Message<'_>>) {
        self.app.fairness.failed(self.peer);
        // A token in the arguments says nothing about that of the connection.
        if let (Some(shown), false) = (&self.caller.shown, message.is_some_and(crate::mcp::carries_session_token)) {
            self.app.fairness.forget(shown);
        }
    }
}

/// A credential could not be checked: busy or unreachable databases are another try's chance, all else is a fault of ours.
pub(super) fn not_checked(app: &super::App, cause: Error, what: &str) -> Refused {
    let bureau = &app.server.bureau;
    let cause = cause.reported(what, bureau.ids.next(bureau.clock.now()));
    if cause.code() == Code::Internal {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, error(INTERNAL_ERROR, cause.message()));
    }
    let mut response = refused(StatusCode::SERVICE_UNAVAILABLE, error(503, cause.message()));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// The account of a credential that was good before; or, for an address with too many failures, the refusal.
pub(super) fn known(
    app: &super::App,
    shown: Option<&Shown>,
    peer: super::connection::Peer,
) -> Result<Option<Arc<Account>>, Refused> {
    let Some(shown) = shown else { return Ok(None) };
    app.fairness.known(shown, peer).map_err(|limited| limit_reached("null", &limited))
}

/// The credential in the arguments of a call, for connections that have none of their own.
fn session_token(message: &Message<'_>) -> Option<Shown> {
    #[derive(Deserialize)]
    struct Arguments<'a> {
        #[serde(borrow, default, rename = "_sessionToken")]
        token: Option<Cow<'a, str>>,
    }
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow, default)]
        arguments: Option<Arguments<'a>>,
        #[serde(borrow, default, rename = "_sessionToken")]
        token: Option<Cow<'a, str>>,
    }
    if !crate::mcp::carries_session_token(message) {
        return None;
    }
    let params: Params<'_> = serde_json::from_str(message.params_text()).ok()?;
    let token = params.arguments.and_then(|arguments| arguments.token).or(params.token)?;
    Some(Shown::Token(token.into_owned()))
}

/// The error for a limit that was reached.
pub(super) fn limit_error(limited: &Limited) -> ErrorObjectOwned {
    let data = json!({
        "code": "rate_limited", "message": limited.message, "details": {"retry_after_seconds": limited.retry_after},
    });
    ErrorObjectOwned::owned(TOO_MANY, limited.message.clone(), Some(data))
}

fn limit_reached(id: &str, limited: &Limited) -> Refused {
    let body = Response::new(id, Err(limit_error(limited))).joined();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::RETRY_AFTER, HeaderValue::from(limited.retry_after)),
    ];
    Box::new((StatusCode::TOO_MANY_REQUESTS, headers, body).into_response())
}
