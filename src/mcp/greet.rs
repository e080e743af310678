//! Saying hello: what each generation of the protocol opens with, and what a session is told later.

use std::sync::Arc;

use bytes::Bytes;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde_json::{Value, json};

use super::era::{Capabilities, TASKS, log_level};
use super::session::Session;
use super::{HANDSHAKE, INSTRUCTIONS, STATELESS, Service, principal};
use crate::rpc::{Caller, Era, INVALID_PARAMS, METHOD_NOT_FOUND, Message, error};

/// How long a client may keep what `server/discover` says: it changes only with the program.
const DISCOVERY_LIFE_MILLIS: u32 = 3_600_000;

fn server_info() -> Value {
    json!({"name": "bureau", "title": "Bureau", "version": env!("CARGO_PKG_VERSION")})
}

fn capabilities() -> Value {
    json!({
        "tools": {"listChanged": true}, "resources": {"subscribe": true, "listChanged": true},
        "prompts": {"listChanged": true},
        "completions": {}, "logging": {},
    })
}

/// Refuses a method that the message's generation does not have.
pub(super) fn only_in(era: Era, caller: &Caller, name: &str) -> Result<(), ErrorObjectOwned> {
    if caller.era == era {
        return Ok(());
    }
    Err(error(METHOD_NOT_FOUND, format!("`{name}` is not a method of this protocol revision")))
}

/// The handshake revision for a client that wants this one: the same when it is spoken here, else the newest.
fn agreed(params: &Value) -> &'static str {
    let wanted = params.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    HANDSHAKE.iter().find(|version| **version == wanted).or(HANDSHAKE.first()).copied().unwrap_or_default()
}

pub(super) async fn initialize(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    only_in(Era::Handshake, &caller, "initialize")?;
    principal(&service.bureau, &caller).await?;
    let params: Value = params.parse().unwrap_or_default();
    if !params.get("protocolVersion").is_some_and(Value::is_string) {
        return Err(error(INVALID_PARAMS, "`protocolVersion` is required, as text: the newest revision you speak"));
    }
    let version = agreed(&params);
    let result = json!({
        "protocolVersion": version, "capabilities": capabilities(), "serverInfo": server_info(),
        "instructions": INSTRUCTIONS,
    });
    Ok(Bytes::from(result.to_string()))
}

pub(super) async fn ping(service: Arc<Service>, caller: Arc<Caller>) -> Result<Bytes, ErrorObjectOwned> {
    only_in(Era::Handshake, &caller, "ping")?;
    principal(&service.bureau, &caller).await?;
    Ok(Bytes::from_static(b"{}"))
}

pub(super) async fn discover(service: Arc<Service>, caller: Arc<Caller>) -> Result<Bytes, ErrorObjectOwned> {
    only_in(Era::Stateless, &caller, "server/discover")?;
    principal(&service.bureau, &caller).await?;
    let versions: Vec<&str> = std::iter::once(STATELESS).chain(HANDSHAKE.iter().copied()).collect();
    let mut capabilities = capabilities();
    if let Some(capabilities) = capabilities.as_object_mut() {
        // Tasks are of this generation only.
        capabilities.insert("extensions".into(), json!({TASKS: {}}));
    }
    let result = json!({
        "resultType": "complete", "supportedVersions": versions, "capabilities": capabilities,
        "instructions": INSTRUCTIONS, "ttlMs": DISCOVERY_LIFE_MILLIS, "cacheScope": "public",
        "_meta": {"io.modelcontextprotocol/serverInfo": server_info()},
    });
    Ok(Bytes::from(result.to_string()))
}

/// From which gravity on a session wants log messages. Without a session there is nobody to remember it for.
pub(super) async fn set_log_level(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    only_in(Era::Handshake, &caller, "logging/setLevel")?;
    principal(&service.bureau, &caller).await?;
    let params: Value = params.parse().unwrap_or_default();
    let level = log_level(params.get("level").unwrap_or(&Value::Null))
        .map_err(|expected| error(INVALID_PARAMS, format!("`level` must be {expected}")))?;
    if let Some(session) = &caller.session {
        session.set_log_level(level);
    }
    Ok(Bytes::from_static(b"{}"))
}

/// What a session keeps of `initialize`.
pub(super) async fn open_session(
    service: &Service,
    message: &Message<'_>,
    caller: &Caller,
) -> bureau_kit::error::Result<Arc<Session>> {
    let shown = caller
        .shown
        .as_ref()
        .ok_or_else(|| bureau_kit::error::Error::unauthenticated("No credential came with the connection"))?;
    let principal = service.bureau.principal_at(shown, caller.origin.address).await?;
    let params: Value = serde_json::from_str(message.params_text()).unwrap_or_default();
    let client = params.get("clientInfo").and_then(|client| client.get("name")).and_then(Value::as_str);
    let capabilities = Capabilities::of(params.get("capabilities").unwrap_or(&Value::Null));
    Ok(Session::new(&principal, client.map(str::to_owned), agreed(&params), capabilities, service.now()))
}
