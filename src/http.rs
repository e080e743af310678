//! HTTP: `/mcp`, `/rpc`, `/console` and the health pages, on an accept loop with limits of its own.

mod accept;
mod admission;
mod batch;
mod body;
mod connection;
mod console;
mod fairness;
mod head;
mod http_sse;
mod listen;
mod metrics;
mod oauth;
mod selection;
mod streams;
mod tls;
mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::{any, get, post};
use bureau_kit::access::Shown;
use bureau_kit::gate::{Origin, Selection};
use bytes::Bytes;
use jsonrpsee::types::ErrorObjectOwned;
use tokio::sync::watch;

use crate::limits;
use crate::mcp::era::is_meant_stateless;
use crate::mcp::{Face, Server, calls_public_tool, carries_session_token, is_unauthenticated};
use crate::oauth::OAuth;
use crate::rpc::{
    Caller, Era, INVALID_PARAMS, INVALID_REQUEST, Kind, METHOD_NOT_FOUND, Message, PARSE_ERROR, Response, error, id_in,
};

use body::{answered, read_body};
use connection::Peer;
use fairness::{Account, Fairness};
use head::{bearer, check_media_types, check_origin, check_single, text_header};
use http_sse::Pipes;
use metrics::Metrics;

pub use connection::Timeouts;
pub use fairness::{CALLS_PER_SECOND, Limits};
pub use listen::{Address, Listener};
pub use tls::Tls;

/// How the HTTP server is to behave.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What is switched on for everyone.
    pub selection: Selection,
    /// Whether everything selected is listed by default.
    pub list_all: bool,
    /// Host names that requests may be addressed to, beside the loopback ones. A browser elsewhere cannot forge them.
    pub allowed_hosts: Vec<String>,
    /// Whose access tokens are accepted beside Bureau's own.
    pub oauth: Option<Arc<OAuth>>,
    /// Who callers without a token are. For programs that serve this machine only; the command line never sets it.
    pub anonymous: Option<Shown>,
    /// The certificate of TCP addresses; without one they speak plain HTTP.
    pub tls: Option<Arc<Tls>>,
    /// Whether `/metrics` is shown to other machines too.
    pub metrics_open: bool,
    /// Whether people find the console at `/console`.
    pub console: bool,
    /// How long the steps of a connection may take.
    pub timeouts: Timeouts,
    /// What one token, tenant and address may ask at a time.
    pub limits: Limits,
}

#[derive(Clone)]
struct App {
    server: Arc<Server>,
    options: Arc<Options>,
    metrics: Arc<Metrics>,
    fairness: Arc<Fairness>,
    /// True once the server is to stop: what could go on for long ends by itself then.
    stopping: watch::Receiver<bool>,
    /// Open connections of the oldest HTTP transport.
    pipes: Arc<Pipes>,
}

/// Serves until `stop` resolves, then lets running calls finish.
pub async fn serve(server: Arc<Server>, options: Options, listeners: Vec<Listener>, stop: impl Future<Output = ()>) {
    let (stopping, stopped) = watch::channel(false);
    let metrics = Arc::new(Metrics::new(server.bureau.registry.entries().iter().map(|entry| entry.tool.name)));
    server.bureau.observe(metrics.clone());
    let app = App {
        server,
        fairness: Arc::new(Fairness::new(options.limits, metrics.clone())),
        metrics: metrics.clone(),
        options: Arc::new(options),
        stopping: stopped,
        pipes: Arc::default(),
    };
    let (timeouts, tls, has_console) = (app.options.timeouts, app.options.tls.clone(), app.options.console);
    let mut router = Router::new()
        .route("/mcp", any(mcp_root))
        .route("/mcp/{toolsets}", any(mcp_toolsets))
        .route("/rpc", any(rpc))
        .route("/sse", get(http_sse::open))
        .route(http_sse::MESSAGES, post(http_sse::take))
        .route(oauth::METADATA, any(oauth::metadata))
        .route(&format!("{}/{{*path}}", oauth::METADATA), any(oauth::metadata))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::page));
    for &(path, toolset) in selection::PATHS {
        let serve = move |State(app): State<App>, request: Request| {
            serve_request(app, Face::Mcp, Some(toolset.to_owned()), request)
        };
        router = router.route(path, any(serve));
    }
    if has_console {
        router = router
            .route(console::PAGE, any(console::page))
            .route(&format!("{}/", console::PAGE), any(console::with_slash))
            .route(&format!("{}/{{*name}}", console::PAGE), any(console::file));
    }
    let router = router.with_state(app);
    accept::run(accept::Serving { router, timeouts, tls, metrics }, listeners, stopping, stop).await;
}

async fn ready(State(app): State<App>) -> HttpResponse {
    if *app.stopping.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    let answers = match app.server.bureau.db.read().await {
        Ok(tx) => tx.commit().await.is_ok(),
        Err(_) => false,
    };
    if answers {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response()
    }
}

async fn mcp_root(State(app): State<App>, request: Request) -> HttpResponse {
    serve_request(app, Face::Mcp, None, request).await
}

async fn mcp_toolsets(State(app): State<App>, Path(toolsets): Path<String>, request: Request) -> HttpResponse {
    serve_request(app, Face::Mcp, Some(toolsets), request).await
}

async fn rpc(State(app): State<App>, request: Request) -> HttpResponse {
    if websocket::is_upgrade(&request) {
        return websocket::open(app, request).await;
    }
    serve_request(app, Face::Plain, None, request).await
}

async fn serve_request(app: App, face: Face, path_toolsets: Option<String>, request: Request) -> HttpResponse {
    let token_came = request.headers().contains_key(header::AUTHORIZATION);
    let response = match Incoming::begin(&app, face, path_toolsets, request).await {
        // Room for the answer only once the request is there: a connection that sends slowly holds little.
        Ok(incoming) => Box::pin(incoming.run()).await,
        Err(refusal) => *refusal,
    };
    app.metrics.answered(face, oauth::with_challenge(&app, token_came, response))
}

/// A refusal before any message was read. Boxed: it is large, and rare.
type Refused = Box<HttpResponse>;

fn refused(status: StatusCode, cause: ErrorObjectOwned) -> Refused {
    let body = Response::new("null", Err(cause)).joined();
    Box::new((status, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// One request whose head has been checked and whose body has been read.
struct Incoming<'a> {
    app: &'a App,
    face: Face,
    headers: HeaderMap,
    body: Bytes,
    caller: Caller,
    peer: Peer,
    /// For whom it counts, when its credential was good before.
    account: Option<Arc<Account>>,
}

impl<'a> Incoming<'a> {
    async fn begin(app: &'a App, face: Face, path_toolsets: Option<String>, request: Request) -> Result<Self, Refused> {
        let (head, body) = request.into_parts();
        check_origin(&app.options, &head.uri, &head.headers)?;
        let is_post = head.method == Method::POST;
        if !is_post {
            check_single(&head.headers).map_err(|cause| refused(StatusCode::BAD_REQUEST, cause))?;
        }
        if !is_post && (face == Face::Plain || !streams::is_session_request(&head.method, &head.headers)) {
            let cause = error(INVALID_REQUEST, "send messages by POST");
            let mut response = refused(StatusCode::METHOD_NOT_ALLOWED, cause);
            response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
            return Err(response);
        }
        if is_post {
            check_media_types(face, &head.headers)?;
        }
        let (caller, peer, account) = Self::caller(app, face, path_toolsets.as_deref(), &head).await?;
        if !is_post && caller.shown.is_none() {
            return Err(Box::new(unauthenticated("null", NO_TOKEN)));
        }
        let body = if is_post { read_body(body).await? } else { Bytes::new() };
        let incoming = Self { app, face, headers: head.headers, body, caller, peer, account };
        match head.method {
            // Boxed, as what is rare and large: every request is moved about with room for all of it.
            Method::GET => Err(Box::new(incoming.admitted(None, Box::pin(incoming.open_stream())).await)),
            Method::DELETE => Err(Box::new(incoming.admitted(None, incoming.end_session()).await)),
            _ => Ok(incoming),
        }
    }

    /// Who calls, and what is switched on for the call.
    async fn caller(
        app: &App,
        face: Face,
        path_toolsets: Option<&str>,
        head: &Parts,
    ) -> Result<(Caller, Peer, Option<Arc<Account>>), Refused> {
        let registry = &app.server.bureau.registry;
        let wanted = selection::wanted(registry, path_toolsets, head.uri.query(), &head.headers)?;
        let shown = bearer(&head.headers)?.or_else(|| app.options.anonymous.clone());
        let peer = head.extensions.get().copied().unwrap_or(Peer(None));
        let shown = oauth::recognised(app, shown, peer).await?;
        let account = admission::known(app, shown.as_ref(), peer)?;
        let origin = Origin {
            transport: if face == Face::Mcp { "http" } else { "rpc" },
            client: text_header(&head.headers, header::USER_AGENT.as_str()).map(str::to_owned),
            address: peer.0,
        };
        let mut caller = Caller::new(shown, app.options.selection.and(&wanted.selection), origin);
        caller.list_all = app.options.list_all || wanted.list_all;
        caller.output_schemas = wanted.output_schemas;
        Ok((caller, peer, account))
    }

    async fn run(&self) -> HttpResponse {
        let Ok(text) = std::str::from_utf8(&self.body) else {
            return *refused(StatusCode::BAD_REQUEST, error(PARSE_ERROR, "a message must be UTF-8"));
        };
        if let Some(why) = limits::refusal(self.body.as_ref()) {
            return *refused(StatusCode::BAD_REQUEST, error(INVALID_REQUEST, why));
        }
        if text.trim_start().starts_with('[') {
            return Box::pin(self.run_batch(text)).await;
        }
        let message = match Message::read(text) {
            Ok(message) => message,
            Err(cause) => return self.refuse_message(&id_in(text), cause, false),
        };
        let needs_token = || !calls_public_tool(&self.app.server.bureau.registry, self.face, &message);
        if self.caller.shown.is_none() && !carries_session_token(&message) && needs_token() {
            return unauthenticated(message.id(), NO_TOKEN);
        }
        let kind = match message.kind(self.face == Face::Plain) {
            Ok(kind) => kind,
            Err(cause) => return self.refuse_message(message.id(), cause, false),
        };
        let mut caller = self.caller.clone();
        if self.face == Face::Mcp {
            if let Err(cause) = check_single(&self.headers) {
                return self.refuse_message(message.id(), cause, true);
            }
            let headers = |name: &str| text_header(&self.headers, name);
            let envelope = match self.app.server.envelope(&message, Some(&headers)) {
                Ok(envelope) => envelope,
                // The handshake generations answer 200 to what they could read.
                Err(cause) if cause.code() == INVALID_PARAMS && !is_meant_stateless(&message, &headers) => {
                    return self.answered(message.id(), Era::Handshake, Response::new(message.id(), Err(cause)));
                }
                Err(cause) => return self.refuse_message(message.id(), cause, true),
            };
            if envelope.era == Era::Handshake && message.method.as_deref() != Some("initialize") {
                match self.session().await {
                    Ok(session) => caller.session = session,
                    Err(refusal) => return *refusal,
                }
            }
            caller.take(envelope);
            if let Some(refusal) = oauth::lacks_scope(self.app, caller.shown.as_ref(), &message) {
                return refusal;
            }
        }
        match kind {
            Kind::Request if self.face == Face::Mcp => {
                self.admitted(Some(&message), self.answer(&message, caller)).await
            }
            Kind::Request => {
                let answer = async {
                    let response = self.app.server.answer(self.face, &message, Arc::new(caller)).await;
                    self.answered(message.id(), Era::Handshake, response)
                };
                self.admitted(Some(&message), answer).await
            }
            // Plain JSON-RPC carries out what wants no answer, and answers nothing.
            Kind::Notification if self.face == Face::Plain => {
                let carried_out = async {
                    let response = self.app.server.answer(self.face, &message, Arc::new(caller)).await;
                    match response.error_code.filter(|code| is_unauthenticated(*code)) {
                        Some(_) => unauthenticated("null", UNKNOWN_TOKEN),
                        None => StatusCode::ACCEPTED.into_response(),
                    }
                };
                self.admitted(Some(&message), carried_out).await
            }
            Kind::Notification | Kind::Response => match streams::notice(&message, &caller) {
                Ok(()) => StatusCode::ACCEPTED.into_response(),
                Err(cause) => self.refuse_message(message.id(), cause, true),
            },
        }
    }

    /// A request of MCP: in one piece where that is all there is to say, else as a stream.
    async fn answer(&self, message: &Message<'_>, caller: Caller) -> HttpResponse {
        let era = caller.era;
        if streams::may_stream(message, &caller, &self.headers) {
            return Box::pin(self.converse(message, caller)).await;
        }
        let caller = Arc::new(caller);
        let response = self.app.server.answer(self.face, message, caller.clone()).await;
        let opens = message.method.as_deref() == Some("initialize") && response.error_code.is_none();
        let mut answered = self.answered(message.id(), era, response);
        if opens && answered.status() == StatusCode::OK {
            // Should there be no session, its client does without: every request can stand alone.
            if let Ok(session) = self.app.server.open_session(message, &caller).await
                && let Ok(id) = HeaderValue::from_str(&session.id)
            {
                let service = &self.app.server.service;
                service.sessions.add(session, service.now());
                answered.headers_mut().insert(streams::SESSION_ID, id);
            }
        }
        answered
    }

    /// A response with the status of its generation.
    fn answered(&self, id: &str, era: Era, response: Response) -> HttpResponse {
        let status = match response.error_code {
            Some(code) if is_unauthenticated(code) => {
                return unauthenticated(id, UNKNOWN_TOKEN);
            }
            // The stateless protocol says it in the status as well; the handshake one answers 200 to what it could read.
            Some(METHOD_NOT_FOUND) if era == Era::Stateless => StatusCode::NOT_FOUND,
            Some(_) if era == Era::Stateless => StatusCode::BAD_REQUEST,
            _ => StatusCode::OK,
        };
        answered(status, response)
    }

    /// An error about the message itself.
    fn refuse_message(&self, id: &str, cause: ErrorObjectOwned, addressed: bool) -> HttpResponse {
        if self.caller.shown.is_none() && !addressed {
            return unauthenticated(id, NO_TOKEN);
        }
        // Plain JSON-RPC answers in the body; a body that is no JSON is a bad request there too.
        let status = match (self.face, cause.code()) {
            (Face::Plain, INVALID_PARAMS | METHOD_NOT_FOUND | INVALID_REQUEST) => StatusCode::OK,
            _ => StatusCode::BAD_REQUEST,
        };
        answered(status, Response::new(id, Err(cause)))
    }
}

const UNKNOWN_TOKEN: &str = "The token is unknown, revoked or expired. Ask its owner for a new one.";
const NO_TOKEN: &str = "No token came with the request. Send `Authorization: Bearer <token>`.";

fn unauthenticated(id: &str, why: &str) -> HttpResponse {
    let response = Response::new(id, Err(error(401, why)));
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::WWW_AUTHENTICATE, "Bearer realm=\"bureau\"")];
    (StatusCode::UNAUTHORIZED, headers, response.joined()).into_response()
}
