//! Of which protocol generation a message is, and what else its envelope says.

use std::borrow::Cow;

use base64::Engine as _;
use bureau_kit::args;
use bureau_kit::dialogue::LogLevel;
use jsonrpsee::types::ErrorObjectOwned;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{HANDSHAKE, STATELESS};
use crate::rpc::{Era, INVALID_PARAMS, INVALID_REQUEST, Message, error, present};

/// The protocol's code for headers that disagree with the body.
pub const HEADER_MISMATCH: i32 = -32020;
/// The protocol's code for a request that needs something the client did not declare.
pub const MISSING_CAPABILITY: i32 = -32021;
/// The protocol's code for a revision that is not spoken here.
pub const UNSUPPORTED_VERSION: i32 = -32022;
/// The extension for long operations.
pub const TASKS: &str = "io.modelcontextprotocol/tasks";

const NOT_THE_METHOD: &str = "the header Mcp-Method must name the method of the body";
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// What a client can do beside taking answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Show a person a form.
    pub elicitation: bool,
    /// Ask its model.
    pub sampling: bool,
    /// Tell its roots.
    pub roots: bool,
    /// Take a task in place of an answer.
    pub tasks: bool,
}

impl Capabilities {
    /// As declared in `initialize` or in `_meta`.
    pub fn of(declared: &Value) -> Self {
        let has = |name: &str| declared.get(name).is_some_and(Value::is_object);
        let elicitation = declared.get("elicitation").and_then(Value::as_object);
        Self {
            // Empty means forms, as before there were other modes.
            elicitation: elicitation.is_some_and(|modes| modes.is_empty() || modes.contains_key("form")),
            sampling: has("sampling"),
            roots: has("roots"),
            tasks: declared.get("extensions").is_some_and(|extensions| extensions.get(TASKS).is_some()),
        }
    }

    /// Whether anything can be asked of the client.
    pub fn can_be_asked(self) -> bool {
        self.elicitation || self.sampling || self.roots
    }
}

/// What a message says beside method and parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The generation.
    pub era: Era,
    /// What the client calls itself.
    pub client: Option<String>,
    /// What the client can do; stateless requests say it each time.
    pub capabilities: Capabilities,
    /// From which gravity on log messages are wanted.
    pub log_level: Option<LogLevel>,
    /// Under which token progress is wanted, as JSON text.
    pub progress_token: Option<String>,
    /// The id of a request to listen, which all that is told names.
    pub request: Option<String>,
}

impl Envelope {
    fn handshake() -> Self {
        Self {
            era: Era::Handshake,
            client: None,
            capabilities: Capabilities::default(),
            log_level: None,
            progress_token: None,
            request: None,
        }
    }
}

/// The value of a header by name; none when it is absent, or there twice.
pub type Headers<'a> = dyn Fn(&str) -> Option<&'a str> + 'a;

#[derive(Default, Deserialize)]
struct MetaParams<'a> {
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    uri: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "taskId")]
    task_id: Option<Cow<'a, str>>,
}

/// What is looked at of `_meta`, each as sent.
#[derive(Default, Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default, rename = "io.modelcontextprotocol/protocolVersion", deserialize_with = "present")]
    version: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/clientCapabilities", deserialize_with = "present")]
    capabilities: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/clientInfo", deserialize_with = "present")]
    client: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/logLevel", deserialize_with = "present")]
    log_level: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "progressToken", deserialize_with = "present")]
    progress_token: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ClientInfo<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

impl MetaParams<'_> {
    /// What the header `Mcp-Name` must repeat, for the methods that have it.
    fn named(&self, method: &str) -> Option<Option<&str>> {
        match method {
            "tools/call" | "prompts/get" => Some(self.name.as_deref()),
            "resources/read" => Some(self.uri.as_deref()),
            "tasks/get" | "tasks/update" | "tasks/cancel" => Some(self.task_id.as_deref()),
            _ => None,
        }
    }
}

impl Envelope {
    /// Reads it, checking `_meta` and, over HTTP, the headers against it.
    ///
    /// No `header` stands for a transport without headers.
    pub fn of(message: &Message<'_>, header: Option<&Headers<'_>>) -> Result<Self, ErrorObjectOwned> {
        let params: MetaParams<'_> = match message.params_text() {
            object if object.starts_with('{') => {
                serde_json::from_str(object).map_err(|cause| error(INVALID_PARAMS, format!("`params`: {cause}")))?
            }
            _ => MetaParams::default(),
        };
        let meta: Meta<'_> = match params.meta.map(RawValue::get) {
            Some(object) if object.starts_with('{') => {
                serde_json::from_str(object).map_err(|cause| error(INVALID_PARAMS, format!("`_meta`: {cause}")))?
            }
            _ => Meta::default(),
        };
        let progress_token = match meta.progress_token.map(RawValue::get) {
            None => None,
            Some(token) if token.starts_with(|first: char| matches!(first, '"' | '-') || first.is_ascii_digit()) => {
                Some(token.to_owned())
            }
            Some(_) => return Err(error(INVALID_PARAMS, "`progressToken` must be text or a number")),
        };
        let stated = match meta.version.map(|version| serde_json::from_str::<Cow<'_, str>>(version.get())) {
            None => None,
            Some(Ok(stated)) => Some(stated),
            Some(Err(_)) => return Err(error(INVALID_PARAMS, format!("`{META_VERSION}` must be text"))),
        };
        let stated = stated.as_deref();
        let declared = header.and_then(|header| header("mcp-protocol-version"));
        if message.method.is_none() {
            return match declared {
                Some(STATELESS) => Err(error(INVALID_REQUEST, "in this protocol revision clients answer nothing")),
                _ => Ok(Self::handshake()),
            };
        }
        let method = message.method.as_deref().unwrap_or_default();
        let Some(stated) = stated else {
            return match declared {
                // Only requests must tell their version in the body too.
                Some(STATELESS) if message.is_notification() => {
                    if header.and_then(|header| header("mcp-method")) != Some(method) {
                        return Err(error(HEADER_MISMATCH, NOT_THE_METHOD));
                    }
                    Ok(Self { era: Era::Stateless, ..Self::handshake() })
                }
                Some(STATELESS) => Err(error(INVALID_PARAMS, format!("`_meta` must hold `{META_VERSION}`"))),
                Some(version) if !HANDSHAKE.contains(&version) && method != "initialize" => Err(unsupported(version)),
                _ => Ok(Self { progress_token, ..Self::handshake() }),
            };
        };
        if header.is_some() {
            match declared {
                None => return Err(error(HEADER_MISMATCH, "the header MCP-Protocol-Version is missing")),
                Some(version) if version != stated => {
                    return Err(error(
                        HEADER_MISMATCH,
                        format!("the header MCP-Protocol-Version says {version}, the body {stated}"),
                    ));
                }
                Some(_) => {}
            }
        }
        let capabilities = match meta.capabilities.map(RawValue::get) {
            Some("{}") => Capabilities::default(),
            Some(object) if object.starts_with('{') => match args::parse(object) {
                Ok(declared) => Capabilities::of(&declared),
                Err(cause) => return Err(error(INVALID_PARAMS, format!("`{META_CAPABILITIES}`: {cause}"))),
            },
            _ => return Err(error(INVALID_PARAMS, format!("`_meta` must hold `{META_CAPABILITIES}`, an object"))),
        };
        let log_level = match meta.log_level.map(|level| serde_json::from_str(level.get()).unwrap_or_default()) {
            None => None,
            Some(level) => Some(
                log_level(&level)
                    .map_err(|expected| error(INVALID_PARAMS, format!("`{META_LOG_LEVEL}` must be {expected}")))?,
            ),
        };
        if let Some(header) = header {
            if header("mcp-method") != Some(method) {
                return Err(error(HEADER_MISMATCH, NOT_THE_METHOD));
            }
            if let Some(name) = params.named(method) {
                let repeated = header("mcp-name").map(|name| plain_header("Mcp-Name", name)).transpose()?;
                if repeated.as_deref() != name {
                    return Err(error(HEADER_MISMATCH, "the header Mcp-Name must repeat the name in the body"));
                }
            }
        }
        if stated != STATELESS {
            return Err(unsupported(stated));
        }
        // What a client calls itself decides nothing, so that an odd name is no name.
        let client = meta.client.and_then(|client| serde_json::from_str::<ClientInfo<'_>>(client.get()).ok());
        Ok(Self {
            era: Era::Stateless,
            client: client.map(|client| client.name.into_owned()),
            capabilities,
            log_level,
            progress_token,
            request: (method == "subscriptions/listen").then(|| message.id().to_owned()),
        })
    }
}

/// Whether a message means the stateless generation, also when its envelope is wrong.
pub fn is_meant_stateless(message: &Message<'_>, header: &Headers<'_>) -> bool {
    header("mcp-protocol-version") == Some(STATELESS) || message.params_text().contains(META_VERSION)
}

/// A log level on the wire; else what was expected.
pub(super) fn log_level(level: &Value) -> Result<LogLevel, String> {
    level.as_str().and_then(LogLevel::named).ok_or_else(|| {
        let names: Vec<&str> = LogLevel::ALL.iter().map(|(_, name)| *name).collect();
        format!("one of {}", names.join(", "))
    })
}

/// A header value out of its Base64 wrapping, where it has one.
pub(super) fn plain_header<'a>(name: &str, value: &'a str) -> Result<Cow<'a, str>, ErrorObjectOwned> {
    let Some(wrapped) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(Cow::Borrowed(value));
    };
    let unreadable = || error(HEADER_MISMATCH, format!("the header {name} is not valid Base64"));
    let bytes = base64::engine::general_purpose::STANDARD.decode(wrapped).map_err(|_| unreadable())?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| unreadable())
}

fn unsupported(version: &str) -> ErrorObjectOwned {
    let supported: Vec<&str> = std::iter::once(STATELESS).chain(HANDSHAKE.iter().copied()).collect();
    ErrorObjectOwned::owned(
        UNSUPPORTED_VERSION,
        format!("The protocol revision {version} is not spoken here"),
        Some(json!({"supported": supported, "requested": version})),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn era(body: &str, headers: &[(&str, &str)]) -> Result<Era, i32> {
        let message = Message::read(body).unwrap();
        let header = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        Envelope::of(&message, Some(&header)).map(|envelope| envelope.era).map_err(|error| error.code())
    }

    #[test]
    fn generations_are_told_apart_and_headers_checked_in_order() {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"me","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let (version, method, name) =
            (("mcp-protocol-version", STATELESS), ("mcp-method", "tools/call"), ("mcp-name", "me"));
        assert_eq!(era(call, &[version, method, name]), Ok(Era::Stateless));
        assert_eq!(era(call, &[version, method, ("mcp-name", "=?base64?bWU=?=")]), Ok(Era::Stateless));
        assert_eq!(era(call, &[version, method, ("mcp-name", "=?base64?bW?=")]), Err(HEADER_MISMATCH));
        assert_eq!(era(call, &[method, name]), Err(HEADER_MISMATCH));
        assert_eq!(era(call, &[("mcp-protocol-version", "2025-11-25"), method, name]), Err(HEADER_MISMATCH));
        assert_eq!(era(call, &[version, name]), Err(HEADER_MISMATCH));
        assert_eq!(era(call, &[version, method]), Err(HEADER_MISMATCH));
        let future = call.replace(STATELESS, "2099-01-01");
        assert_eq!(era(&future, &[("mcp-protocol-version", "2099-01-01"), method, name]), Err(UNSUPPORTED_VERSION));
        let bare = call.replace(r#","io.modelcontextprotocol/clientCapabilities":{}"#, "");
        assert_eq!(era(&bare, &[version, method, name]), Err(INVALID_PARAMS));
        let old = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        assert_eq!(era(old, &[]), Ok(Era::Handshake));
        assert_eq!(era(old, &[("mcp-protocol-version", "2025-06-18")]), Ok(Era::Handshake));
        assert_eq!(era(old, &[("mcp-protocol-version", "1999-01-01")]), Err(UNSUPPORTED_VERSION));
        assert_eq!(era(old, &[version]), Err(INVALID_PARAMS));
        let told = old.replace(r#""id":1,"#, "").replace("tools/list", "notifications/cancelled");
        assert_eq!(era(&told, &[version, ("mcp-method", "notifications/cancelled")]), Ok(Era::Stateless));
        assert_eq!(era(&told, &[version]), Err(HEADER_MISMATCH));
        let loud = call.replace(r#""_meta":{"#, r#""_meta":{"io.modelcontextprotocol/logLevel":"loud","#);
        assert_eq!(era(&loud, &[version, method, name]), Err(INVALID_PARAMS));
        assert_eq!(era(&loud.replace("loud", "debug"), &[version, method, name]), Ok(Era::Stateless));
    }
}
