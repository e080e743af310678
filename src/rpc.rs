//! JSON-RPC 2.0 under every transport: messages in, finished bytes out, jsonrpsee's method table between.

use std::borrow::Cow;
use std::sync::Arc;

use bureau_kit::access::Shown;
use bureau_kit::dialogue::LogLevel;
use bureau_kit::gate::{Origin, Selection};
use bytes::Bytes;
use jsonrpsee::Extensions;
use jsonrpsee::core::server::{ConnectionId, MethodCallback, MethodResponse, Methods};
use jsonrpsee::types::{ErrorObjectOwned, Id, Params};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::mcp::changes::Channel;
use crate::mcp::era::{Capabilities, Envelope};
use crate::mcp::session::{Outlet, Session};

/// Broken JSON.
pub const PARSE_ERROR: i32 = -32700;
/// JSON, but not a request.
pub const INVALID_REQUEST: i32 = -32600;
/// No such method.
pub const METHOD_NOT_FOUND: i32 = -32601;
/// Wrong parameters, unknown tool.
pub const INVALID_PARAMS: i32 = -32602;
/// A fault of the server.
pub const INTERNAL_ERROR: i32 = -32603;

/// Who sent a message, and how it is to be answered. Travels to the method in jsonrpsee's extensions.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The credential of the connection.
    pub shown: Option<Shown>,
    /// What is switched on where the message came in.
    pub selection: Selection,
    /// Whether everything selected is listed, or the core only.
    pub list_all: bool,
    /// Whether lists carry output schemas.
    pub output_schemas: bool,
    /// For journal and log.
    pub origin: Origin,
    /// The protocol generation of this message.
    pub era: Era,
    /// What the client can be asked.
    pub capabilities: Capabilities,
    /// From which gravity on the client wants log messages; none at all when absent.
    pub log_level: Option<LogLevel>,
    /// Under which token the client wants to hear of progress, as JSON text.
    pub progress_token: Option<String>,
    /// The client's session, in the handshake era.
    pub session: Option<Arc<Session>>,
    /// Where messages go while the request runs; absent where nothing but the answer can be sent.
    pub outlet: Option<Outlet>,
    /// The id of the request as JSON text, where what is told meanwhile must name it.
    pub request: Option<String>,
    /// Turns true once the server is to stop: what could go on for long ends then.
    pub stopping: Option<watch::Receiver<bool>>,
    /// Where it can subscribe to changes: on a WebSocket.
    pub channel: Option<Arc<Channel>>,
}

impl Caller {
    /// A caller of whom only the connection is known yet.
    pub fn new(shown: Option<Shown>, selection: Selection, origin: Origin) -> Self {
        Self {
            shown,
            selection,
            list_all: false,
            output_schemas: false,
            origin,
            era: Era::Handshake,
            capabilities: Capabilities::default(),
            log_level: None,
            progress_token: None,
            session: None,
            outlet: None,
            request: None,
            stopping: None,
            channel: None,
        }
    }

    /// What a message says of itself, and what its session knows where the message does not say it.
    pub fn take(&mut self, envelope: Envelope) {
        self.era = envelope.era;
        self.progress_token = envelope.progress_token;
        self.request = envelope.request;
        match (envelope.era, &self.session) {
            (Era::Handshake, Some(session)) => {
                self.capabilities = session.capabilities;
                self.log_level = Some(session.log_level());
                self.origin.client = session.client.clone().or(self.origin.client.take());
            }
            _ => {
                self.capabilities = envelope.capabilities;
                self.log_level = envelope.log_level;
                self.origin.client = envelope.client.or(self.origin.client.take());
            }
        }
    }

    /// Whether anything but the answer may have to be sent while the request runs.
    pub fn listens(&self) -> bool {
        self.progress_token.is_some() || self.log_level.is_some() || self.capabilities.can_be_asked()
    }
}

/// The two generations of MCP, told apart message by message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 2024-11-05 to 2025-11-25: `initialize` first.
    Handshake,
    /// 2026-07-28: every request says its version itself.
    Stateless,
}

/// A method's answer, carried past jsonrpsee's serialiser in the response's extensions: it would parse every finished
/// result once more (stack.md §1.2).
#[derive(Debug, Clone)]
struct Answer(Result<Bytes, ErrorObjectOwned>);

/// What a method makes of its parameters.
pub type MethodFuture = std::pin::Pin<Box<dyn Future<Output = Result<Bytes, ErrorObjectOwned>> + Send>>;

/// Adds a method that answers finished bytes. Two of one name are a fault of the program.
pub fn register<F>(methods: &mut Methods, name: &'static str, method: F) -> Result<(), String>
where
    F: Fn(Params<'static>, Arc<Caller>) -> MethodFuture + Send + Sync + 'static,
{
    let callback = MethodCallback::Async(Arc::new(move |_, params, _, _, extensions: Extensions| {
        let future = extensions.get::<Arc<Caller>>().cloned().map(|caller| method(params, caller));
        Box::pin(async move {
            let outcome = match future {
                Some(future) => future.await,
                None => Err(error(INTERNAL_ERROR, "the transport named no caller")),
            };
            let mut extensions = Extensions::new();
            extensions.insert(Answer(outcome));
            MethodResponse::notification().with_extensions(extensions)
        })
    }));
    methods.verify_and_insert(name, callback).map(drop).map_err(|error| error.to_string())
}

/// A JSON-RPC error object.
pub fn error(code: i32, message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(code, message.into(), None::<()>)
}

/// One message, with its id and parameters still as sent: −7, 1.5 and "a" come back exactly so.
#[derive(Debug, Deserialize)]
pub struct Message<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    /// The method; a client's answer to a server's request has none.
    #[serde(borrow, default)]
    pub method: Option<Cow<'a, str>>,
    /// Its parameters.
    #[serde(borrow, default, deserialize_with = "present")]
    pub params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// The id of what is no message, as far as it can be told: what is answered should find its request.
pub fn id_in(text: &str) -> String {
    #[derive(Deserialize)]
    struct Id<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }
    let id = serde_json::from_str::<Id<'_>>(text).map(|found| found.id.get()).unwrap_or_default();
    match id.bytes().next() {
        Some(b'"' | b'-' | b'0'..=b'9') if text.trim_start().starts_with('{') => id.to_owned(),
        _ => "null".to_owned(),
    }
}

/// Absent and `null` are two things.
pub(crate) fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// What a message is.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// Wants an answer.
    Request,
    /// Wants none.
    Notification,
    /// A client's answer to a request of ours.
    Response,
}

impl<'a> Message<'a> {
    /// Reads one message. On failure the error, to be answered with [`id_in`].
    pub fn read(text: &'a str) -> Result<Self, ErrorObjectOwned> {
        let no_json = |cause: serde_json::Error| error(PARSE_ERROR, format!("This is no JSON: {cause}"));
        if !text.trim_start().starts_with('{') {
            // Read as JSON all the same, to tell the two faults apart. An array would do for the struct below.
            serde_json::from_str::<&RawValue>(text).map_err(no_json)?;
            return Err(error(INVALID_REQUEST, "This is no JSON-RPC message: a message is an object"));
        }
        serde_json::from_str(text).map_err(|cause| {
            // Reading stops at the first fault; what follows may still be no JSON.
            match serde_json::from_str::<Value>(text) {
                Ok(_) => error(INVALID_REQUEST, format!("This is no JSON-RPC message: {cause}")),
                Err(cause) => no_json(cause),
            }
        })
    }

    /// What it is, after checking what the protocol demands of every message.
    pub fn kind(&self, any_id: bool) -> Result<Kind, ErrorObjectOwned> {
        if self.jsonrpc.as_deref() != Some("2.0") {
            return Err(error(INVALID_REQUEST, "`jsonrpc` must be \"2.0\""));
        }
        if self.method.is_none() {
            return match (self.result, self.error, self.id) {
                // An error may be about a message whose id could not be read.
                (Some(_), _, Some(_)) | (_, Some(_), _) => Ok(Kind::Response),
                _ => Err(error(INVALID_REQUEST, "`method` is missing")),
            };
        }
        if let Some(params) = self.params.map(RawValue::get)
            && !params.starts_with(['{', '['])
        {
            return Err(error(INVALID_REQUEST, "`params` must be an object"));
        }
        match self.id.map(RawValue::get) {
            None => Ok(Kind::Notification),
            Some(id) if id.starts_with('"') => Ok(Kind::Request),
            // MCP wants strings and integers; plain JSON-RPC any number.
            Some(id) if id.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => {
                if any_id || !id.contains(['.', 'e', 'E']) {
                    Ok(Kind::Request)
                } else {
                    Err(error(INVALID_REQUEST, "`id` must be text or a whole number"))
                }
            }
            Some(_) => Err(error(INVALID_REQUEST, "`id` must be text or a number, and not null")),
        }
    }

    /// Whether it names a method and wants no answer.
    pub fn is_notification(&self) -> bool {
        self.method.is_some() && self.id.is_none()
    }

    /// The id as sent; `null` when it cannot be repeated.
    pub fn id(&self) -> &'a str {
        match self.id.map(RawValue::get) {
            Some(id) if id.starts_with(['"', '-']) || id.starts_with(|first: char| first.is_ascii_digit()) => id,
            _ => "null",
        }
    }

    /// What a response says: the result, or the error.
    pub fn outcome(&self) -> Result<Value, Value> {
        let read = |text: &RawValue| serde_json::from_str(text.get()).unwrap_or_default();
        match (self.result, self.error) {
            (_, Some(error)) => Err(read(error)),
            (result, None) => Ok(result.map(read).unwrap_or_default()),
        }
    }

    /// The parameters as text; an empty object when there are none.
    pub fn params_text(&self) -> &'a str {
        self.params.map_or("{}", RawValue::get)
    }
}

/// Runs a request's method.
///
/// The future holds nothing of the message, so that it can outlive the connection it came by.
pub fn dispatch(
    methods: &Methods,
    message: &Message<'_>,
    caller: Arc<Caller>,
) -> impl Future<Output = Result<Bytes, ErrorObjectOwned>> + Send + use<> {
    let name = message.method.as_deref().unwrap_or_default();
    let started = match methods.method(name) {
        Some(MethodCallback::Async(callback)) => {
            let mut extensions = Extensions::new();
            extensions.insert(caller);
            let params = Params::new(Some(message.params_text())).into_owned();
            Ok(callback(Id::Null, params, ConnectionId(0), usize::MAX, extensions))
        }
        _ => Err(error(METHOD_NOT_FOUND, format!("There is no method `{name}`"))),
    };
    async move {
        let (_, _, mut extensions) = started?.await.into_parts();
        match extensions.remove::<Answer>() {
            Some(Answer(outcome)) => outcome,
            None => Err(error(INTERNAL_ERROR, "the method gave no answer")),
        }
    }
}

/// A finished response: the envelope's head with the id, the shared result, the closing brace. Never copied together
/// when it is large, so that a long list is written from one place for everyone.
#[derive(Debug, Clone)]
pub struct Response {
    /// The pieces, in order.
    pub frames: [Bytes; 3],
    /// The error code, when it is an error.
    pub error_code: Option<i32>,
}

impl Response {
    /// The response to the request with this id.
    pub fn new(id: &str, outcome: Result<Bytes, ErrorObjectOwned>) -> Self {
        match outcome {
            Ok(result) => Self {
                frames: [
                    Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":")),
                    result,
                    Bytes::from_static(b"}"),
                ],
                error_code: None,
            },
            Err(error) => {
                let object = serde_json::to_string(&error).unwrap_or_else(|_| "null".into());
                Self {
                    frames: [
                        Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{object}}}")),
                        Bytes::new(),
                        Bytes::new(),
                    ],
                    error_code: Some(error.code()),
                }
            }
        }
    }

    /// A response that was written down already.
    pub fn finished(whole: Bytes, error_code: Option<i32>) -> Self {
        Self { frames: [whole, Bytes::new(), Bytes::new()], error_code }
    }

    /// How many bytes it has.
    pub fn length(&self) -> usize {
        self.frames.iter().map(Bytes::len).sum()
    }

    /// All of it in one piece.
    pub fn joined(&self) -> Bytes {
        let mut whole = Vec::with_capacity(self.length());
        for frame in &self.frames {
            whole.extend_from_slice(frame);
        }
        Bytes::from(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Result<Kind, (i32, String)> {
        let told = |error: ErrorObjectOwned| (error.code(), error.message().to_owned());
        Message::read(text).map_err(told)?.kind(false).map_err(told)
    }

    #[test]
    fn messages_are_told_apart() {
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#), Ok(Kind::Request));
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":"a","method":"ping","params":{}}"#), Ok(Kind::Request));
        assert_eq!(kind(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#), Ok(Kind::Notification));
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), Ok(Kind::Response));
        for (text, code) in [
            ("{", PARSE_ERROR),
            ("", PARSE_ERROR),
            ("[]", INVALID_REQUEST),
            (r#"["2.0",1,"ping"]"#, INVALID_REQUEST),
            ("1", INVALID_REQUEST),
            (r#"{"id":1,"method":"ping"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, INVALID_REQUEST),
        ] {
            assert_eq!(kind(text).unwrap_err().0, code, "{text}");
        }
    }

    #[test]
    fn ids_come_back_as_sent() {
        for id in ["-7", "1.5", "\"a\\u0041\"", "123456789012345678901234567890"] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            let message = Message::read(&text).unwrap();
            assert_eq!(message.id(), id);
            assert_eq!(message.kind(true), Ok(Kind::Request));
        }
    }
}
