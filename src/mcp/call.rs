//! `tools/call`, and every tool as a method of plain JSON-RPC.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bureau_kit::args;
use bureau_kit::dialogue::{Dialogue, Listener};
use bureau_kit::gate::{Bureau, Call, Outcome};
use bytes::Bytes;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::exchange::{Exchange, Pause};
use super::extension::{Answer, Extension, names};
use super::{Confirm, Service, principal, protocol_error, tasks};
use crate::escape::escape_json;
use crate::rpc::{Caller, Era, INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, error};

/// Parameters of `tools/call`. What else a client sends there is the protocol's business.
#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    /// Read so that it is refused when given twice; what it says was looked at before.
    #[serde(borrow, default, rename = "_meta")]
    _meta: Option<&'a RawValue>,
}

/// Questions one call may ask before it is refused: a handler that never stops asking is a fault.
const MOST_QUESTIONS: usize = 16;

pub(super) async fn call_tool(
    service: Arc<Service>,
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
    let exchange = Exchange::begin(&service, &caller, "tools/call", text).await?;
    let (tool, era) = (call.name.into_owned(), caller.era);
    let added = service.extension.clone().filter(|extension| names(&extension.tools(), &tool));
    let long = service.bureau.long_tool(&tool, &arguments).filter(|_| added.is_none());
    if (added.is_some() || long.is_some()) && Exchange::takes_tasks(&caller) && caller.shown.is_some() {
        // A session token among the arguments is the call's alone: the task belongs to whoever is connected.
        let principal = principal(&service.bureau, &caller).await?;
        // What is refused is refused at once.
        if long.is_none_or(|entry| service.bureau.admits(&principal, &caller.selection, entry)) {
            let name = long.map_or_else(|| tool.clone(), |entry| entry.tool.name.to_owned());
            let work = answer(service.clone(), added, tool, arguments, exchange.clone(), long.is_some());
            return tasks::run(service.clone(), principal, &exchange, name, work).await;
        }
    }
    if added.is_some() {
        principal(&service.bureau, &caller).await?;
    }
    let is_long = long.is_some();
    match answer(service.clone(), added, tool, arguments, exchange, is_long).await {
        Ok(answered) => Ok(answered.rendered(era)),
        Err(pause) => finished(Err(pause), era),
    }
}

/// What a tool answered.
#[derive(Debug)]
pub(super) enum Answered {
    /// The bare object of one of Bureau's own.
    Tool {
        /// The object.
        body: Vec<u8>,
        /// Whether it describes an error.
        is_error: bool,
    },
    /// A result of the protocol, of a tool of an extension.
    Protocol(Value),
}

impl Answered {
    /// As a result for the wire of a generation.
    pub(super) fn rendered(self, era: Era) -> Bytes {
        match self {
            Self::Tool { body, is_error } => tool_result(&body, is_error, era == Era::Stateless),
            Self::Protocol(result) => completed(result, era),
        }
    }
}

/// Carries out a call; one that may take long as a task, where its client takes one.
async fn answer(
    service: Arc<Service>,
    added: Option<Arc<dyn Extension>>,
    tool: String,
    arguments: Map<String, Value>,
    exchange: Arc<Exchange>,
    is_long: bool,
) -> Result<Answered, Pause> {
    if let Some(extension) = added {
        return extension.call(&tool, arguments, &exchange).await.map(Answered::Protocol);
    }
    if is_long {
        exchange.defer().await?;
    }
    call_own(&service, &tool, arguments, &exchange, is_long).await
}

/// A call of one of Bureau's tools, made again with each reply that it needs.
async fn call_own(
    service: &Service,
    tool: &str,
    mut arguments: Map<String, Value>,
    exchange: &Arc<Exchange>,
    is_long: bool,
) -> Result<Answered, Pause> {
    let caller = exchange.caller();
    let mut replies = exchange.can_elicit().then(BTreeMap::new);
    for _ in 0..MOST_QUESTIONS {
        let listener = exchange.is_heard().then(|| -> Arc<dyn Listener> { exchange.clone() });
        let dialogue = Dialogue {
            listener,
            replies: replies.clone(),
            confirms_destructive: service.confirm == Confirm::Destructive,
            deferral: exchange.deferral(),
        };
        // Not held while a person is asked.
        let turn = if is_long { service.tasks.turn().await } else { None };
        let again = if replies.is_some() { arguments.clone() } else { Map::new() };
        let outcome = run(&service.bureau, tool, arguments, caller, dialogue).await;
        drop(turn);
        match outcome {
            Outcome::Done { body, is_error } => return Ok(Answered::Tool { body, is_error }),
            Outcome::UnknownTool(message) => return Err(error(INVALID_PARAMS, message).into()),
            Outcome::Unauthenticated(cause) => return Err(protocol_error(&cause).into()),
            Outcome::Asks(question) => {
                let reply = exchange.put(&question).await?;
                if let Some(replies) = &mut replies {
                    replies.insert(question.key, reply);
                }
                arguments = again;
            }
        }
    }
    Err(error(INTERNAL_ERROR, "the call asked too many questions").into())
}

/// A result of the protocol's own shape for the wire of a generation.
pub(super) fn finished(answer: Answer, era: Era) -> Result<Bytes, ErrorObjectOwned> {
    match answer {
        Ok(result) | Err(Pause::InputRequired(result)) => Ok(completed(result, era)),
        Err(Pause::Refused(cause)) => Err(cause),
    }
}

fn completed(mut result: Value, era: Era) -> Bytes {
    if let (Era::Stateless, Some(members)) = (era, result.as_object_mut()) {
        members.entry("resultType").or_insert_with(|| Value::String("complete".into()));
    }
    Bytes::from(result.to_string())
}

/// A tool as a JSON-RPC method of its own name: the bare answer, and refusals as JSON-RPC errors.
pub(super) async fn call_method(
    service: Arc<Service>,
    name: &'static str,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    let arguments = arguments(params.as_str().unwrap_or("{}"))?;
    answer_of(&service.bureau, name, arguments, &caller).await
}

/// The bare answer of a call, with refusals as JSON-RPC errors.
pub(super) async fn answer_of(
    bureau: &Arc<Bureau>,
    tool: &str,
    arguments: Map<String, Value>,
    caller: &Caller,
) -> Result<Bytes, ErrorObjectOwned> {
    match run(bureau, tool, arguments, caller, Dialogue::default()).await {
        Outcome::Done { body, is_error: false } => Ok(Bytes::from(body)),
        Outcome::Done { body, is_error: true } => Err(refusal(serde_json::from_slice(&body).unwrap_or_default())),
        Outcome::UnknownTool(message) => Err(error(METHOD_NOT_FOUND, message)),
        Outcome::Asks(question) => Err(error(INTERNAL_ERROR, question.message)),
        Outcome::Unauthenticated(cause) => Err(protocol_error(&cause)),
    }
}

/// A refusal of the gate as a JSON-RPC error.
pub(super) fn refusal(body: Value) -> ErrorObjectOwned {
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    ErrorObjectOwned::owned(method_error_code(&text("code")), text("message"), Some(body))
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

async fn run(
    bureau: &Arc<Bureau>,
    tool: &str,
    arguments: Map<String, Value>,
    caller: &Caller,
    dialogue: Dialogue,
) -> Outcome {
    let call = Call {
        tool: tool.to_owned(),
        arguments,
        shown: caller.shown.clone(),
        selection: caller.selection.clone(),
        origin: caller.origin.clone(),
        dialogue,
    };
    bureau.call(call).await
}

/// The result of `tools/call` around a tool's finished JSON: the same object as text and as structured content.
pub(super) fn tool_result(body: &[u8], is_error: bool, stateless: bool) -> Bytes {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
}
