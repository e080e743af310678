//! What a program built on this library may add to Bureau's own tools, prompts and resources.

use bureau_kit::tool::BoxFuture;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::{Map, Value};

use super::era::{HEADER_MISMATCH, Headers, plain_header};
use super::exchange::{Exchange, Pause};
use crate::rpc::Message;

/// The result of a method as the protocol describes it, without what the generations add.
pub type Answer = Result<Value, Pause>;

/// Tools, prompts and resources of somebody else, written straight to the protocol. They pass no gate: rights, journal and
/// undo are those of Bureau's own tools only.
///
/// Listed names must not be Bureau's own. Every method has an empty default.
pub trait Extension: Send + Sync + std::fmt::Debug {
    /// Tool objects for `tools/list`.
    fn tools(&self) -> Vec<Value> {
        Vec::new()
    }

    /// Answers a call of one of its tools. One that takes long may become a task: see [`super::tasks`].
    fn call<'a>(
        &'a self,
        tool: &'a str,
        arguments: Map<String, Value>,
        exchange: &'a Exchange,
    ) -> BoxFuture<'a, Answer> {
        let _ = (arguments, exchange);
        Box::pin(async move { Err(unknown("tool", tool).into()) })
    }

    /// Prompt objects for `prompts/list`.
    fn prompts(&self) -> Vec<Value> {
        Vec::new()
    }

    /// Answers `prompts/get` for one of its prompts.
    fn prompt<'a>(
        &'a self,
        name: &'a str,
        arguments: Map<String, Value>,
        exchange: &'a Exchange,
    ) -> BoxFuture<'a, Answer> {
        let _ = (arguments, exchange);
        Box::pin(async move { Err(unknown("prompt", name).into()) })
    }

    /// Resource objects for `resources/list`.
    fn resources(&self) -> Vec<Value> {
        Vec::new()
    }

    /// Template objects for `resources/templates/list`.
    fn templates(&self) -> Vec<Value> {
        Vec::new()
    }

    /// Answers `resources/read`; nothing when the address is none of its own.
    fn read<'a>(&'a self, uri: &'a str, exchange: &'a Exchange) -> BoxFuture<'a, Option<Answer>> {
        let _ = (uri, exchange);
        Box::pin(async { None })
    }
}

fn unknown(what: &str, name: &str) -> ErrorObjectOwned {
    crate::rpc::error(crate::rpc::INVALID_PARAMS, format!("There is no {what} `{name}`"))
}

/// Headers that repeat arguments, for tools whose schema asks for them (`x-mcp-header`). Bureau's own tools ask for none.
pub(super) fn check_parameter_headers(
    extension: &dyn Extension,
    message: &Message<'_>,
    header: &Headers<'_>,
) -> Result<(), ErrorObjectOwned> {
    if message.method.as_deref() != Some("tools/call") {
        return Ok(());
    }
    let params: Value = serde_json::from_str(message.params_text()).unwrap_or_default();
    let tools = extension.tools();
    let tool = tools.iter().find(|tool| tool.get("name") == params.get("name"));
    let properties = tool.and_then(|tool| tool.get("inputSchema")?.get("properties")?.as_object());
    for (name, property) in properties.into_iter().flatten() {
        let Some(suffix) = property.get("x-mcp-header").and_then(Value::as_str) else { continue };
        let named = format!("mcp-param-{}", suffix.to_ascii_lowercase());
        let repeated = header(&named).map(|value| plain_header(&named, value)).transpose()?;
        let given = params.get("arguments").and_then(|arguments| arguments.get(name)).filter(|value| !value.is_null());
        let given = given.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        if repeated.as_deref() != given.as_deref() {
            let text = format!("the header Mcp-Param-{suffix} must repeat the argument `{name}`");
            return Err(crate::rpc::error(HEADER_MISMATCH, text));
        }
    }
    Ok(())
}

/// Whether one of the listed objects has this name.
pub(super) fn names(listed: &[Value], name: &str) -> bool {
    listed.iter().any(|entry| entry.get("name").and_then(Value::as_str) == Some(name))
}
