//! HTTP: `/mcp`, `/rpc` and the health pages, on an accept loop with limits of its own.

mod head;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::{any, get};
use bureau_kit::gate::{Origin, Selection};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::limits;
use crate::mcp::{Face, Server, carries_session_token, era_of, is_unauthenticated};
use crate::rpc::{
    Caller, Era, INVALID_PARAMS, INVALID_REQUEST, Kind, METHOD_NOT_FOUND, Message, PARSE_ERROR, Response, error,
};

use head::{bearer, check_media_types, check_origin, selection, text_header};

/// Connections held at most.
const CONNECTIONS: usize = 10_000;
/// From the first byte waited for to the end of the request's head: bounds slow and idle connections alike.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// For the body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of all headers together.
const HEAD_BYTES: usize = 32 * 1024;
/// How long running calls may take to finish after the signal to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// Responses up to here are sent in one piece; longer ones without copying.
const JOINED_BYTES: usize = 16 * 1024;

/// How the HTTP server is to behave.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is switched on for everyone.
    pub selection: Selection,
    /// Whether everything selected is listed by default.
    pub list_all: bool,
    /// Host names that requests may be addressed to, beside the loopback ones. A browser elsewhere cannot forge them.
    pub allowed_hosts: Vec<String>,
}

#[derive(Clone)]
struct App {
    server: Arc<Server>,
    options: Arc<Options>,
    stopping: Arc<AtomicBool>,
}

/// Serves until `stop` resolves, then lets running calls finish.
pub async fn serve(
    server: Arc<Server>,
    options: Options,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let stopping = Arc::new(AtomicBool::new(false));
    let app = App { server, options: Arc::new(options), stopping: stopping.clone() };
    let router = Router::new()
        .route("/mcp", any(mcp_root))
        .route("/mcp/{toolsets}", any(mcp_toolsets))
        .route("/rpc", any(rpc))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(app);
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let (stopped, _) = tokio::sync::watch::channel(false);
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            let permit = permits.clone().acquire_owned().await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>((listener.accept().await, permit))
        };
        let (stream, permit) = tokio::select! {
            next = next => match next? {
                (Ok((stream, _)), permit) => (stream, permit),
                (Err(cause), _) => {
                    // Out of descriptors, or a client gone before it was taken: neither may end the server.
                    tracing::warn!(%cause, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let mut stopped = stopped.subscribe();
        tokio::spawn(async move {
            let _permit = permit;
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES);
            let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                _ = stopped.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(cause) = ended {
                tracing::debug!(%cause, "a connection ended early");
            }
        });
    }
    stopping.store(true, Ordering::Relaxed);
    drop(listener);
    let _ = stopped.send(true);
    let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
    if tokio::time::timeout(DRAIN, permits.acquire_many(all)).await.is_err() {
        tracing::warn!("some connections did not end in time and are closed");
    }
    Ok(())
}

async fn ready(State(app): State<App>) -> HttpResponse {
    if app.stopping.load(Ordering::Relaxed) {
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
    serve_request(app, Face::Plain, None, request).await
}

async fn serve_request(app: App, face: Face, path_toolsets: Option<String>, request: Request) -> HttpResponse {
    match Exchange::begin(&app, face, path_toolsets, request).await {
        Ok(exchange) => exchange.run().await,
        Err(refusal) => *refusal,
    }
}

/// A refusal before any message was read. Boxed: it is large, and rare.
type Refused = Box<HttpResponse>;

fn refused(status: StatusCode, cause: ErrorObjectOwned) -> Refused {
    let body = Response::new("null", Err(cause)).joined();
    Box::new((status, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// One request whose head has been checked and whose body has been read.
struct Exchange<'a> {
    app: &'a App,
    face: Face,
    headers: HeaderMap,
    body: Bytes,
    caller: Caller,
}

impl<'a> Exchange<'a> {
    async fn begin(app: &'a App, face: Face, path_toolsets: Option<String>, request: Request) -> Result<Self, Refused> {
        let (head, body) = request.into_parts();
        check_origin(&app.options, &head.headers)?;
        if head.method != axum::http::Method::POST {
            let cause = error(INVALID_REQUEST, "send messages by POST");
            let mut response = refused(StatusCode::METHOD_NOT_ALLOWED, cause);
            response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
            return Err(response);
        }
        check_media_types(face, &head.headers)?;
        let query = head.uri.query().unwrap_or_default();
        let wanted = selection(app, path_toolsets.as_deref(), query)?;
        let shown = bearer(&head.headers)?;
        let body = read_body(body).await?;
        let caller = Caller {
            shown,
            list_all: app.options.list_all || wanted.list_all,
            output_schemas: wanted.output_schemas,
            selection: app.options.selection.and(&wanted.selection),
            origin: Origin {
                transport: if face == Face::Mcp { "http" } else { "rpc" },
                client: text_header(&head.headers, header::USER_AGENT.as_str()),
            },
            era: Era::Handshake,
        };
        Ok(Self { app, face, headers: head.headers, body, caller })
    }

    async fn run(&self) -> HttpResponse {
        let Ok(text) = std::str::from_utf8(&self.body) else {
            return *refused(StatusCode::BAD_REQUEST, error(PARSE_ERROR, "a message must be UTF-8"));
        };
        if let Some(why) = limits::refusal(self.body.as_ref()) {
            return *refused(StatusCode::BAD_REQUEST, error(INVALID_REQUEST, why));
        }
        if text.trim_start().starts_with('[') {
            return self.run_batch(text).await;
        }
        let message = match Message::read(text) {
            Ok(message) => message,
            Err(cause) => return self.refuse_message("null", cause, false),
        };
        if self.caller.shown.is_none() && !carries_session_token(&message) {
            return unauthenticated(
                message.id(),
                "No token came with the request. Send `Authorization: Bearer <token>`.",
            );
        }
        let kind = match message.kind(self.face == Face::Plain) {
            Ok(kind) => kind,
            Err(cause) => return self.refuse_message(message.id(), cause, false),
        };
        let mut caller = self.caller.clone();
        if self.face == Face::Mcp {
            let headers = |name: &str| text_header(&self.headers, name);
            match era_of(&message, Some(&headers)) {
                Ok((era, client)) => {
                    caller.era = era;
                    caller.origin.client = client.or(caller.origin.client);
                }
                Err(cause) => return self.refuse_message(message.id(), cause, true),
            }
        }
        if kind != Kind::Request {
            return StatusCode::ACCEPTED.into_response();
        }
        let era = caller.era;
        let response = self.app.server.answer(self.face, &message, Arc::new(caller)).await;
        let status = match response.error_code {
            Some(code) if is_unauthenticated(code) => {
                return unauthenticated(
                    message.id(),
                    "The token is unknown, revoked or expired. Ask its owner for a new one.",
                );
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
            return unauthenticated(id, "No token came with the request. Send `Authorization: Bearer <token>`.");
        }
        // Plain JSON-RPC answers in the body; a body that is no JSON is a bad request there too.
        let status = match (self.face, cause.code()) {
            (Face::Plain, INVALID_PARAMS | METHOD_NOT_FOUND | INVALID_REQUEST) => StatusCode::OK,
            _ => StatusCode::BAD_REQUEST,
        };
        answered(status, Response::new(id, Err(cause)))
    }

    /// Batches are plain JSON-RPC, and MCP of 2025-03-26, which has no version header.
    async fn run_batch(&self, text: &str) -> HttpResponse {
        let version = text_header(&self.headers, "mcp-protocol-version");
        if self.face == Face::Mcp && version.as_deref().is_some_and(|version| version != "2025-03-26") {
            let cause =
                error(INVALID_REQUEST, "this protocol revision has no batches; batch_call makes several calls one");
            return *refused(StatusCode::BAD_REQUEST, cause);
        }
        let entries: Vec<&RawValue> = match serde_json::from_str(text) {
            Ok(entries) => entries,
            Err(cause) => {
                return *refused(StatusCode::BAD_REQUEST, error(PARSE_ERROR, format!("This is no JSON: {cause}")));
            }
        };
        if entries.is_empty() || entries.len() > limits::BATCH_ENTRIES {
            let cause = error(INVALID_REQUEST, format!("a batch holds 1 to {} messages", limits::BATCH_ENTRIES));
            return *refused(if self.face == Face::Plain { StatusCode::OK } else { StatusCode::BAD_REQUEST }, cause);
        }
        if self.caller.shown.is_none() {
            return unauthenticated("null", "A batch needs `Authorization: Bearer <token>`.");
        }
        let caller = Arc::new(self.caller.clone());
        let tasks: Vec<_> = entries
            .into_iter()
            .map(|entry| {
                let (server, caller, face, text) =
                    (self.app.server.clone(), caller.clone(), self.face, entry.get().to_owned());
                tokio::spawn(async move {
                    let message = match Message::read(&text) {
                        Ok(message) => message,
                        Err(cause) => return Some(Response::new("null", Err(cause))),
                    };
                    match message.kind(face == Face::Plain) {
                        Ok(Kind::Request) => Some(server.answer(face, &message, caller).await),
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
            return StatusCode::ACCEPTED.into_response();
        }
        body.push(b']');
        (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

fn answered(status: StatusCode, response: Response) -> HttpResponse {
    let body = if response.length() <= JOINED_BYTES {
        Body::from(response.joined())
    } else {
        Body::new(Frames(VecDeque::from(response.frames)))
    };
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn unauthenticated(id: &str, why: &str) -> HttpResponse {
    let response = Response::new(id, Err(error(401, why)));
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::WWW_AUTHENTICATE, "Bearer realm=\"bureau\"")];
    (StatusCode::UNAUTHORIZED, headers, response.joined()).into_response()
}

async fn read_body(body: Body) -> Result<Bytes, Refused> {
    let too_long = || {
        let text = format!("a message may have {} bytes at most", limits::MESSAGE_BYTES);
        refused(StatusCode::PAYLOAD_TOO_LARGE, error(INVALID_REQUEST, text))
    };
    // By what the head announces already: nobody has to send it all to be told.
    if http_body::Body::size_hint(&body).lower() > u64::try_from(limits::MESSAGE_BYTES).unwrap_or(u64::MAX) {
        return Err(too_long());
    }
    let limited = Limited::new(body, limits::MESSAGE_BYTES);
    match tokio::time::timeout(BODY_TIMEOUT, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(cause)) if cause.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(cause)) => {
            Err(refused(StatusCode::BAD_REQUEST, error(INVALID_REQUEST, format!("the body broke off: {cause}"))))
        }
        Err(_) => Err(refused(StatusCode::REQUEST_TIMEOUT, error(INVALID_REQUEST, "the body did not come in time"))),
    }
}

/// A body of pieces that are shared with other responses.
struct Frames(VecDeque<Bytes>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        while let Some(frame) = self.0.pop_front() {
            if !frame.is_empty() {
                return Poll::Ready(Some(Ok(http_body::Frame::data(frame))));
            }
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        let length = self.0.iter().map(Bytes::len).sum::<usize>();
        http_body::SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}
