//! The document that describes every method of plain JSON-RPC.

use std::sync::Arc;

use bureau_kit::registry::Entry;
use bytes::Bytes;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::{Map, Value, json};

use super::changes::{SUBSCRIBE, UNSUBSCRIBE};
use super::{Service, principal};
use crate::rpc::{Caller, INTERNAL_ERROR, INVALID_PARAMS};

/// The version of OpenRPC that the document is written in.
const OPENRPC: &str = "1.3.2";
/// What groups the methods of the change feed, as toolsets group tools.
const CHANGES: &str = "changes";

/// The errors of methods by their names: the code on the wire, and when it is answered.
const ERRORS: &[(&str, i32, &str)] = &[
    ("validation", INVALID_PARAMS, "Wrong parameters; data.details names each of them."),
    ("unauthenticated", 401, "The credential is unknown, revoked or expired."),
    ("forbidden", 403, "A right is missing, or the token was narrowed below it."),
    ("not_found", 404, "There is no such record, or none that you may see."),
    ("conflict", 409, "The record changed since it was read, or another one is in the way."),
    ("impossible_state", 422, "The record is in a state that does not allow it."),
    ("rate_limited", 429, "Too much at once; data.details.retry_after_seconds says when to try again."),
    ("provider_unavailable", 503, "A service that this needs does not answer. Try again later."),
    ("internal", INTERNAL_ERROR, "A fault of the server; it is in its log under the number in the message."),
];

/// `rpc.discover`: the methods the caller may use, as an OpenRPC document.
pub(super) async fn describe(service: Arc<Service>, caller: Arc<Caller>) -> Result<Bytes, ErrorObjectOwned> {
    let bureau = &service.bureau;
    let principal = principal(bureau, &caller).await?;
    let admitted = bureau.registry.entries().iter().filter(|entry| bureau.admits(&principal, &caller.selection, entry));
    let mut methods: Vec<Value> = admitted.map(tool).collect();
    methods.extend(feed(&service.feed.kinds()));
    let tag = |name: &str, about: &str| (name.to_owned(), json!({"name": name, "description": about}));
    let changes = tag(CHANGES, "Changes as they are committed, on a WebSocket.");
    let tags = bureau.registry.toolsets().iter().map(|(name, about)| tag(name, about)).chain([changes]);
    let errors = ERRORS.iter().map(|(name, code, message)| {
        ((*name).to_owned(), json!({"code": code, "message": message, "data": {"code": name}}))
    });
    let document = json!({
        "openrpc": OPENRPC,
        "info": {
            "title": "Bureau",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The back office that AI agents run. Every call needs `Authorization: Bearer <token>`; parameters \
                are given by name; batches hold up to 50 messages.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "servers": [
            {
                "name": "http", "url": "http://127.0.0.1:8650/rpc", "summary": "One request, one answer, by POST.",
                "description": "The address when none is set; in general the one that this document was read from.",
            },
            {
                "name": "websocket", "url": "ws://127.0.0.1:8650/rpc", "summary": "Many requests, and the change feed.",
                "description": "The same address. The token comes in the header of the first request.",
            },
        ],
        "methods": methods,
        "components": {
            "errors": Map::from_iter(errors),
            "tags": Map::from_iter(tags),
            "schemas": {"Change": change()},
        },
    });
    Ok(Bytes::from(document.to_string()))
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// A tool as a method of its name.
fn tool(entry: &Entry) -> Value {
    let tool = &entry.tool;
    let input = bureau_kit::schema::published(&tool.input_schema());
    let required = input.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let properties = input.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let params: Vec<Value> = properties
        .into_iter()
        .map(|(name, schema)| {
            let needed = required.iter().any(|required| *required == name);
            let mut param = json!({"name": name, "required": needed, "schema": schema});
            // Also where tools for reading show it without a look into schemas.
            if let (Some(about), Some(members)) = (param.pointer("/schema/description").cloned(), param.as_object_mut())
            {
                members.insert("description".into(), about);
            }
            param
        })
        .collect();
    let output = bureau_kit::schema::published(&tool.output_schema());
    method(tool.name, tool.title, &tool.about, entry.toolset, params, output)
}

fn method(name: &str, summary: &str, about: &str, tag: &str, params: Vec<Value>, output: Value) -> Value {
    let errors: Vec<Value> = ERRORS.iter().map(|(name, ..)| reference("errors", name)).collect();
    json!({
        "name": name, "summary": summary, "description": about, "paramStructure": "by-name",
        "tags": [reference("tags", tag)], "params": params, "result": {"name": "result", "schema": output}, "errors": errors,
    })
}

/// The methods of the change feed.
fn feed(kinds: &[&str]) -> [Value; 2] {
    let kinds = json!({
        "type": "array", "items": {"type": "string", "enum": kinds}, "description": "Only these kinds; all when left out.",
    });
    let subscription = json!({"type": "string", "description": "The subscription's id, on this connection."});
    [
        method(
            SUBSCRIBE,
            "Hear of changes",
            "On a WebSocket: from the answer on, a notification `changes_event` for every committed change of a record that \
             you may read, with parameters as the schema Change has them. One with `missed` stands for changes that could \
             not be kept for a connection that does not read: read again what you hold.",
            CHANGES,
            vec![json!({"name": "kinds", "required": false, "schema": kinds})],
            json!({
                "type": "object", "required": ["subscription", "kinds"],
                "properties": {"subscription": subscription, "kinds": {"type": "array", "items": {"type": "string"}}},
            }),
        ),
        method(
            UNSUBSCRIBE,
            "Hear of changes no more",
            "Ends a subscription of this connection. Closing the connection ends them all.",
            CHANGES,
            vec![json!({"name": "subscription", "required": true, "schema": subscription})],
            json!({"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean", "const": true}}}),
        ),
    ]
}

/// The parameters of `changes_event`.
fn change() -> Value {
    let text = |about: &str| json!({"type": "string", "description": about});
    json!({
        "type": "object",
        "required": ["subscription"],
        "properties": {
            "subscription": text("The id that changes_subscribe answered."),
            "kind": text("What kind of record, as in bureau://{kind}/{id}."),
            "id": text("Its UUID."),
            "num": {"type": ["integer", "null"], "description": "Its number in the tenant."},
            "operation": {"type": "string", "enum": ["create", "update", "delete"]},
            "version": {"type": "integer", "description": "Its version; of a deleted record the last."},
            "at": text("When, in UTC."),
            "tool": text("The tool that was called."),
            "action_id": text("The action in the log; the undo token of those that can be taken back."),
            "actor": {"type": ["string", "null"], "description": "Who did it, for those who may see what others did."},
            "missed": {"type": "boolean", "description": "In place of all that: some changes could not be kept."},
            "message": text("With missed: what to do."),
        },
    })
}
