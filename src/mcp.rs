//! The Model Context Protocol over the method table: both generations, served by the same methods.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use bureau_kit::args;
use bureau_kit::error::{Code, Error};
use bureau_kit::gate::{Bureau, Call, Outcome};
use bytes::Bytes;
use jsonrpsee::core::server::Methods;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::escape::escape_json;
use crate::listing::Lists;
use crate::rpc::{self, Caller, Era, INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, Message, MethodFuture, error};

/// The stateless revision.
pub const STATELESS: &str = "2026-07-28";
/// The handshake revisions, newest first.
pub const HANDSHAKE: &[&str] = &["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// The protocol's code for headers that disagree with the body.
pub const HEADER_MISMATCH: i32 = -32020;
/// The protocol's code for a revision that is not spoken here.
pub const UNSUPPORTED_VERSION: i32 = -32022;
/// No credential, on plain JSON-RPC. Codes from -32000 down are the protocol's; ours lie outside.
const UNAUTHENTICATED: i32 = 401;

const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const META_CLIENT: &str = "io.modelcontextprotocol/clientInfo";
const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
const LOG_LEVELS: &[&str] = &["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// What every model that connects is told, in under 2,000 characters.
const INSTRUCTIONS: &str = "Bureau is a company's back office: people, companies, contracts, payments, tasks, projects, users. \
This list is a small core. For anything else call tool_search with what you want to do (English, Polish or Ukrainian); its \
hits carry input schemas. Call a hit by its own name, or through tool_call_read, tool_call_write or tool_call_destructive.\n\
Ids: every record has a UUID `id` and a number `num`; arguments take either. Lists answer {items,total,page,page_size,total_pages}; \
ask for the next page with page. Amounts are decimal strings, times are UTC.\n\
Safe writes: set dry_run true to see what a write would change. Set idempotency_key to any text of yours before a write you \
might repeat: the same key does it once. Set expected_version to the version you read, so that you never overwrite someone \
else's change. Every write answers an undo_token; action_undo takes it back, action_redo brings it again, action_log_list \
shows what happened. batch_call makes several calls one, all or nothing, with one undo.\n\
An error says what to do next. forbidden: permission_explain tells why. Several users through one connection: give \
_sessionToken (from session_create) in the arguments of each call; it can be narrower than the connection, never wider.";

/// The server: its tools, and its method tables.
#[derive(Debug)]
pub struct Server {
    /// The tools and the database.
    pub bureau: Arc<Bureau>,
    /// Methods of MCP.
    mcp: Methods,
    /// Methods of plain JSON-RPC: those of MCP, every tool by its own name, and the description of them all.
    plain: Methods,
}

/// Which method table a message goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// `/mcp` and stdio.
    Mcp,
    /// `/rpc`.
    Plain,
}

/// Parameters of `tools/call`. What else a client sends there is the protocol's business.
#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct MetaParams<'a> {
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
}

impl Server {
    /// Fills the method tables.
    pub fn new(bureau: Arc<Bureau>) -> Result<Arc<Self>, String> {
        let lists = Arc::new(Lists::default());
        let mut mcp = Methods::new();
        for name in ["initialize", "ping", "server/discover"] {
            let bureau = bureau.clone();
            rpc::register(&mut mcp, name, move |params, caller| Box::pin(greet(bureau.clone(), name, params, caller)))?;
        }
        let (list_bureau, list_lists) = (bureau.clone(), lists);
        rpc::register(&mut mcp, "tools/list", move |params, caller| {
            Box::pin(list(list_bureau.clone(), list_lists.clone(), params, caller))
        })?;
        let call_bureau = bureau.clone();
        rpc::register(&mut mcp, "tools/call", move |params, caller| -> MethodFuture {
            Box::pin(call_tool(call_bureau.clone(), params, caller))
        })?;
        let mut plain = mcp.clone();
        for entry in bureau.registry.entries() {
            let (bureau, name) = (bureau.clone(), entry.tool.name);
            rpc::register(&mut plain, name, move |params, caller| {
                Box::pin(call_method(bureau.clone(), name, params, caller))
            })?;
        }
        let described = bureau.clone();
        rpc::register(&mut plain, "rpc.discover", move |_, caller| Box::pin(describe(described.clone(), caller)))?;
        Ok(Arc::new(Self { bureau, mcp, plain }))
    }

    /// Runs a request and wraps its outcome for the wire.
    pub async fn answer(&self, face: Face, message: &Message<'_>, caller: Arc<Caller>) -> rpc::Response {
        let methods = if face == Face::Mcp { &self.mcp } else { &self.plain };
        rpc::Response::new(message.id(), rpc::dispatch(methods, message, caller).await)
    }
}

/// The value of a header by name; none when it is absent, or there twice.
pub type Headers<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The generation of a message, after checking its `_meta` and, over HTTP, its headers against it.
///
/// No `header` stands for a transport without headers. Also answers what the client calls itself.
pub fn era_of(message: &Message<'_>, header: Option<&Headers<'_>>) -> Result<(Era, Option<String>), ErrorObjectOwned> {
    let params: MetaParams<'_> = match message.params_text() {
        object if object.starts_with('{') => {
            serde_json::from_str(object).map_err(|cause| error(INVALID_PARAMS, format!("`params`: {cause}")))?
        }
        _ => MetaParams { meta: None, name: None },
    };
    let meta: Map<String, Value> = match params.meta.map(RawValue::get) {
        Some(object) if object.starts_with('{') && object.contains(META_VERSION) => {
            serde_json::from_str(object).map_err(|cause| error(INVALID_PARAMS, format!("`_meta`: {cause}")))?
        }
        _ => Map::new(),
    };
    let stated = meta.get(META_VERSION).and_then(Value::as_str);
    let declared = header.and_then(|header| header("mcp-protocol-version"));
    let method = message.method.as_deref().unwrap_or_default();
    let Some(stated) = stated else {
        return match declared.as_deref() {
            // Only requests must tell their version in the body too.
            Some(STATELESS) if message.is_notification() => Ok((Era::Stateless, None)),
            Some(STATELESS) => Err(error(INVALID_PARAMS, format!("`_meta` must hold `{META_VERSION}`"))),
            Some(version) if !HANDSHAKE.contains(&version) && method != "initialize" => Err(unsupported(version)),
            _ => Ok((Era::Handshake, None)),
        };
    };
    if header.is_some() {
        match declared.as_deref() {
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
    if !meta.get(META_CAPABILITIES).is_some_and(Value::is_object) {
        return Err(error(INVALID_PARAMS, format!("`_meta` must hold `{META_CAPABILITIES}`, an object")));
    }
    if meta.get(META_LOG_LEVEL).is_some_and(|level| !level.as_str().is_some_and(|level| LOG_LEVELS.contains(&level))) {
        return Err(error(INVALID_PARAMS, format!("`{META_LOG_LEVEL}` must be one of {}", LOG_LEVELS.join(", "))));
    }
    if let Some(header) = header {
        let named = header("mcp-method");
        if named.as_deref() != Some(method) {
            return Err(error(HEADER_MISMATCH, "the header Mcp-Method must name the method of the body"));
        }
        if method == "tools/call" {
            let named = header("mcp-name").map(|name| plain_header(&name)).transpose()?;
            if named.as_deref() != params.name.as_deref() {
                return Err(error(HEADER_MISMATCH, "the header Mcp-Name must name the tool of the body"));
            }
        }
    }
    if stated != STATELESS {
        return Err(unsupported(stated));
    }
    let client = meta.get(META_CLIENT).and_then(|client| client.get("name")).and_then(Value::as_str).map(str::to_owned);
    Ok((Era::Stateless, client))
}

/// A header value out of its Base64 wrapping, where it has one.
fn plain_header(value: &str) -> Result<String, ErrorObjectOwned> {
    let Some(wrapped) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(value.to_owned());
    };
    let unreadable = || error(HEADER_MISMATCH, "the header Mcp-Name is not valid Base64");
    let bytes = base64::engine::general_purpose::STANDARD.decode(wrapped).map_err(|_| unreadable())?;
    String::from_utf8(bytes).map_err(|_| unreadable())
}

fn unsupported(version: &str) -> ErrorObjectOwned {
    let supported: Vec<&str> = std::iter::once(STATELESS).chain(HANDSHAKE.iter().copied()).collect();
    ErrorObjectOwned::owned(
        UNSUPPORTED_VERSION,
        format!("The protocol revision {version} is not spoken here"),
        Some(json!({"supported": supported, "requested": version})),
    )
}

/// The credential a call carries in its own arguments, for transports that must decide before they run it.
pub fn carries_session_token(message: &Message<'_>) -> bool {
    message.params_text().contains("\"_sessionToken\"")
}

/// Everything but `tools/call` checks the credential here; calls do so in the gate.
async fn principal(bureau: &Bureau, caller: &Caller) -> Result<Arc<bureau_kit::rights::Principal>, ErrorObjectOwned> {
    let shown =
        caller.shown.as_ref().ok_or_else(|| error(UNAUTHENTICATED, "No credential came with the connection"))?;
    bureau.principal(shown).await.map_err(|cause| protocol_error(&cause))
}

/// An error of the gate that no tool result can carry.
fn protocol_error(cause: &Error) -> ErrorObjectOwned {
    let code = if cause.code() == Code::Unauthenticated { UNAUTHENTICATED } else { INTERNAL_ERROR };
    ErrorObjectOwned::owned(code, cause.message().to_owned(), Some(Value::Object(cause.to_json())))
}

/// Whether an error means that nobody was recognised.
pub fn is_unauthenticated(code: i32) -> bool {
    code == UNAUTHENTICATED
}

/// `initialize`, `ping` and `server/discover`: each belongs to one generation only.
async fn greet(
    bureau: Arc<Bureau>,
    name: &'static str,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    if (name == "server/discover") != (caller.era == Era::Stateless) {
        return Err(error(METHOD_NOT_FOUND, format!("`{name}` is not a method of this protocol revision")));
    }
    principal(&bureau, &caller).await?;
    let info = json!({"name": "bureau", "title": "Bureau", "version": env!("CARGO_PKG_VERSION")});
    let capabilities = json!({"tools": {"listChanged": false}});
    let result = match name {
        "ping" => json!({}),
        "initialize" => {
            let wanted: Value = params.parse().unwrap_or_default();
            let wanted = wanted.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
            let version = HANDSHAKE.iter().find(|version| **version == wanted).or_else(|| HANDSHAKE.first());
            json!({"protocolVersion": version, "capabilities": capabilities, "serverInfo": info, "instructions": INSTRUCTIONS})
        }
        _ => {
            let versions: Vec<&str> = std::iter::once(STATELESS).chain(HANDSHAKE.iter().copied()).collect();
            json!({
                "resultType": "complete", "supportedVersions": versions, "capabilities": capabilities,
                "instructions": INSTRUCTIONS, "ttlMs": 3_600_000, "cacheScope": "public",
                "_meta": {"io.modelcontextprotocol/serverInfo": info},
            })
        }
    };
    Ok(Bytes::from(result.to_string()))
}

async fn list(
    bureau: Arc<Bureau>,
    lists: Arc<Lists>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    #[derive(Default, Deserialize)]
    struct Page {
        cursor: Option<Value>,
    }
    let page: Page = params.parse().unwrap_or_default();
    if page.cursor.is_some_and(|cursor| !cursor.is_null()) {
        return Err(error(INVALID_PARAMS, "There is no such cursor: the list has one page. Ask without a cursor."));
    }
    let principal = principal(&bureau, &caller).await?;
    Ok(lists.result(&bureau, &principal, &caller))
}

async fn call_tool(
    bureau: Arc<Bureau>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    let text = params.as_str().unwrap_or("{}");
    if !text.starts_with('{') {
        return Err(error(INVALID_PARAMS, "`params` of tools/call are given by name, in an object"));
    }
    let call: CallParams<'_> = serde_json::from_str(text)
        .map_err(|cause| error(INVALID_PARAMS, format!("`params` of tools/call: {cause}")))?;
    let arguments = arguments(call.arguments.map_or("{}", RawValue::get))?;
    let stateless = caller.era == Era::Stateless;
    match run(&bureau, &call.name, arguments, &caller).await {
        Outcome::Done { body, is_error } => Ok(tool_result(&body, is_error, stateless)),
        Outcome::UnknownTool(message) => Err(error(INVALID_PARAMS, message)),
        Outcome::Unauthenticated(cause) => Err(protocol_error(&cause)),
    }
}

/// A tool as a JSON-RPC method of its own name: the bare answer, and refusals as JSON-RPC errors.
async fn call_method(
    bureau: Arc<Bureau>,
    name: &'static str,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    let arguments = arguments(params.as_str().unwrap_or("{}"))?;
    match run(&bureau, name, arguments, &caller).await {
        Outcome::Done { body, is_error: false } => Ok(Bytes::from(body)),
        Outcome::Done { body, is_error: true } => {
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            Err(ErrorObjectOwned::owned(method_error_code(&text("code")), text("message"), Some(body)))
        }
        Outcome::UnknownTool(message) => Err(error(METHOD_NOT_FOUND, message)),
        Outcome::Unauthenticated(cause) => Err(protocol_error(&cause)),
    }
}

/// Error codes of tools on plain JSON-RPC: those of HTTP, which lie outside the protocol's own range.
fn method_error_code(code: &str) -> i32 {
    match code {
        "validation" => INVALID_PARAMS,
        "forbidden" => 403,
        "not_found" => 404,
        "conflict" => 409,
        "impossible_state" => 422,
        "rate_limited" => 429,
        "provider_unavailable" => 503,
        _ => INTERNAL_ERROR,
    }
}

fn arguments(text: &str) -> Result<Map<String, Value>, ErrorObjectOwned> {
    match args::parse(text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(error(INVALID_PARAMS, "arguments are given by name, in an object")),
        Err(cause) => Err(error(INVALID_PARAMS, format!("the arguments cannot be read: {cause}"))),
    }
}

async fn run(bureau: &Arc<Bureau>, tool: &str, arguments: Map<String, Value>, caller: &Caller) -> Outcome {
    let call = Call {
        tool: tool.to_owned(),
        arguments,
        shown: caller.shown.clone(),
        selection: caller.selection.clone(),
        origin: caller.origin.clone(),
    };
    bureau.call(call).await
}

/// The result of `tools/call` around a tool's finished JSON: the same object as text and as structured content.
fn tool_result(body: &[u8], is_error: bool, stateless: bool) -> Bytes {
    let mut result =
        Vec::with_capacity(body.len().saturating_mul(5).checked_div(2).unwrap_or_default().saturating_add(128));
    result.extend_from_slice(b"{\"content\":[{\"type\":\"text\",\"text\":\"");
    escape_json(body, &mut result);
    result.extend_from_slice(b"\"}]");
    // Handshake clients check structured content against the output schema even of errors, and then hide the error's
    // text from the model: there, errors are text only.
    if stateless || !is_error {
        result.extend_from_slice(b",\"structuredContent\":");
        result.extend_from_slice(body);
    }
    result.extend_from_slice(if is_error { b",\"isError\":true" } else { b",\"isError\":false" });
    if stateless {
        result.extend_from_slice(b",\"resultType\":\"complete\"");
    }
    result.push(b'}');
    Bytes::from(result)
}

/// `rpc.discover`: the methods the caller may use, as an OpenRPC document.
async fn describe(bureau: Arc<Bureau>, caller: Arc<Caller>) -> Result<Bytes, ErrorObjectOwned> {
    let principal = principal(&bureau, &caller).await?;
    let admitted = bureau.registry.entries().iter().filter(|entry| bureau.admits(&principal, &caller.selection, entry));
    let methods: Vec<Value> = admitted
        .map(|entry| {
            let tool = &entry.tool;
            let input = bureau_kit::schema::published(&tool.input_schema());
            let required = input.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
            let properties = input.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
            let params: Vec<Value> = properties
                .into_iter()
                .map(|(name, schema)| {
                    let needed = required.iter().any(|required| *required == name);
                    json!({"name": name, "required": needed, "schema": schema})
                })
                .collect();
            json!({
                "name": tool.name, "summary": tool.title, "description": tool.about, "paramStructure": "by-name",
                "tags": [{"name": entry.toolset}], "params": params,
                "result": {"name": "result", "schema": bureau_kit::schema::published(&tool.output_schema())},
            })
        })
        .collect();
    let document = json!({
        "openrpc": "1.3.2",
        "info": {"title": "Bureau", "version": env!("CARGO_PKG_VERSION"), "description": "The back office that AI agents run."},
        "methods": methods,
    });
    Ok(Bytes::from(document.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn era(body: &str, headers: &[(&str, &str)]) -> Result<Era, i32> {
        let message = Message::read(body).unwrap();
        let header = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        era_of(&message, Some(&header)).map(|(era, _)| era).map_err(|error| error.code())
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
        assert_eq!(era(&told, &[version]), Ok(Era::Stateless));
        let loud = call.replace(r#""_meta":{"#, r#""_meta":{"io.modelcontextprotocol/logLevel":"loud","#);
        assert_eq!(era(&loud, &[version, method, name]), Err(INVALID_PARAMS));
        assert_eq!(era(&loud.replace("loud", "debug"), &[version, method, name]), Ok(Era::Stateless));
    }

    #[test]
    fn results_hold_the_same_object_twice() {
        let body = r#"{"name":"a \"b\" \\ c"}"#;
        let result: Value = serde_json::from_slice(&tool_result(body.as_bytes(), false, true)).unwrap();
        assert_eq!(result["content"][0]["text"], body);
        assert_eq!(result["structuredContent"], serde_json::from_str::<Value>(body).unwrap());
        assert_eq!((&result["isError"], &result["resultType"]), (&json!(false), &json!("complete")));
        let error: Value = serde_json::from_slice(&tool_result(body.as_bytes(), true, false)).unwrap();
        assert_eq!(error, json!({"content": [{"type": "text", "text": body}], "isError": true}));
    }

    #[test]
    fn instructions_fit_what_clients_keep() {
        assert!(INSTRUCTIONS.len() < 2_000, "{} bytes", INSTRUCTIONS.len());
    }
}
