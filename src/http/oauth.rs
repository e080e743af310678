//! OAuth over HTTP: access tokens recognised, challenges, and the document that says where tokens come from.

use std::borrow::Cow;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use bureau_kit::access::Shown;
use serde::Deserialize;

use super::admission::{known, not_checked};
use super::connection::Peer;
use super::head::check_origin;
use super::{App, Refused, refused};
use crate::oauth::{Denied, OAuth, WRITE};
use crate::rpc::{INVALID_REQUEST, Message, Response, error};

/// The document of the whole server; those of its paths stand below.
pub(super) const METADATA: &str = "/.well-known/oauth-protected-resource";

/// Why a token was turned away, beside a 401, for its challenge.
#[derive(Clone, Copy)]
struct Why(&'static str);

/// The credential of a request, with an access token of the issuer checked. Without an issuer it stays as it is.
pub(super) async fn recognised(app: &App, shown: Option<Shown>, peer: Peer) -> Result<Option<Shown>, Refused> {
    let Some((oauth, credential)) = app.options.oauth.as_ref().zip(shown.clone()) else { return Ok(shown) };
    let denied = match Box::pin(oauth.recognise(&app.server.bureau, credential)).await {
        Ok(shown) => return Ok(Some(shown)),
        Err(denied) => denied,
    };
    if matches!(denied, Denied::Token(_) | Denied::Stranger(_)) {
        // An address that shows many such tokens is asked to wait, as with Bureau's own.
        known(app, shown.as_ref(), peer)?;
        app.fairness.failed(peer);
    }
    Err(match denied {
        Denied::Token(why) => {
            let text = format!("{why}. Get a new access token from the authorization server.");
            let mut response = refused(StatusCode::UNAUTHORIZED, error(401, text));
            response.extensions_mut().insert(Why(why));
            response
        }
        Denied::Scope => {
            let text = "The access token has none of the scopes bureau:read and bureau:write. Ask for one that has.";
            let mut response = refused(StatusCode::FORBIDDEN, error(403, text));
            challenge(&mut response, &oauth.scope_challenge());
            response
        }
        // Another token of the same account would be of no use, so nothing asks for one.
        Denied::Stranger(text) => refused(StatusCode::FORBIDDEN, error(403, text)),
        Denied::IssuerDown => {
            let text = "The keys of the authorization server cannot be fetched, so the token cannot be checked. Try again \
                        in half a minute; the log of this server says what is wrong.";
            let mut response = refused(StatusCode::SERVICE_UNAVAILABLE, error(503, text));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
            response
        }
        Denied::Internal(cause) => not_checked(app, cause, "oauth"),
    })
}

/// Every 401 tells clients where tokens come from, and what was wrong with the one that came.
pub(super) fn with_challenge(app: &App, token_came: bool, mut response: HttpResponse) -> HttpResponse {
    if let Some(oauth) = app.options.oauth.as_ref().filter(|_| response.status() == StatusCode::UNAUTHORIZED) {
        let why = response.extensions().get::<Why>().map(|why| why.0);
        let why = why.or(token_came.then_some("The token is unknown, revoked or expired"));
        challenge(&mut response, &oauth.challenge(why));
    }
    response
}

fn challenge(response: &mut HttpResponse, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
}

/// A call that changes something, with an access token whose scopes are for reading only: told by the status, so that the
/// client asks the person for more.
pub(super) fn lacks_scope(app: &App, shown: Option<&Shown>, message: &Message<'_>) -> Option<HttpResponse> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    let (Some(oauth), Some(Shown::Verified(verified))) = (&app.options.oauth, shown) else { return None };
    if verified.may_write || message.method.as_deref() != Some("tools/call") {
        return None;
    }
    let Named { name } = serde_json::from_str(message.params_text()).ok()?;
    if !app.server.bureau.writes(&name) {
        return None;
    }
    let text = format!("{name} changes data, and the access token has no scope {WRITE}. Ask the person for it.");
    let body = Response::new(message.id(), Err(error(403, text))).joined();
    let mut response = (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    challenge(&mut response, &oauth.scope_challenge());
    Some(response)
}

/// `/.well-known/oauth-protected-resource`, and the same with the path of an endpoint behind. Public: any page may read it.
pub(super) async fn metadata(State(app): State<App>, request: Request) -> HttpResponse {
    let mut headers = request.headers().clone();
    headers.remove(header::ORIGIN);
    if let Err(refusal) = check_origin(&app.options, request.uri(), &headers) {
        return *refusal;
    }
    let path = request.uri().path().strip_prefix(METADATA).unwrap_or_default();
    let is_endpoint = path.is_empty() || path.split('/').any(|part| matches!(part, "mcp" | "rpc"));
    let Some(oauth) = app.options.oauth.as_ref().filter(|_| is_endpoint) else {
        let text = if is_endpoint { "no OAuth issuer is configured here" } else { "there is no such endpoint" };
        return *refused(StatusCode::NOT_FOUND, error(INVALID_REQUEST, text));
    };
    let mut response = match *request.method() {
        Method::GET | Method::HEAD => document(oauth),
        Method::OPTIONS => {
            let allowed = [
                (header::ACCESS_CONTROL_ALLOW_METHODS, "GET"),
                (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
                (header::ACCESS_CONTROL_MAX_AGE, "3600"),
            ];
            (StatusCode::NO_CONTENT, allowed).into_response()
        }
        _ => {
            let mut response = refused(StatusCode::METHOD_NOT_ALLOWED, error(INVALID_REQUEST, "read this by GET"));
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
            *response
        }
    };
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

fn document(oauth: &OAuth) -> HttpResponse {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, oauth.metadata().to_string()).into_response()
}
