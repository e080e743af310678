//! `resources/list`, `resources/templates/list` and `resources/read`: records, and what there is to know of the tools.

use std::collections::BTreeMap;
use std::sync::Arc;

use bureau_kit::gate::Bureau;
use bureau_kit::id::Key;
use bureau_kit::registry::{Entry, Registry};
use bureau_kit::rights::Principal;
use bytes::Bytes;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::call::{answer_of, finished, refusal};
use super::exchange::{Exchange, Pause};
use super::records::{JSON, Kind, SCHEME, contents};
use super::{Service, named, principal};
use crate::catalog;
use crate::cursor;
use crate::listing::LIST_LIFE_MILLIS;
use crate::rpc::{Caller, Era, INVALID_PARAMS};

/// The handshake generation's code for what is not there. The stateless one forbids it and uses invalid parameters.
const RESOURCE_NOT_FOUND: i32 = -32002;
/// A call that found nothing, as the gate's refusals are numbered.
const NOT_FOUND: i32 = 404;

const PERMISSIONS: &str = "permissions";
const TOOLS: &str = "tools";
const ME: &str = "me";
/// The template of what is to know of one tool.
pub(super) const TOOL_TEMPLATE: &str = "bureau://tools/{name}";

/// Parameters of lists: they have one page each, so every cursor is a wrong one.
#[derive(Deserialize)]
struct Page {
    cursor: Option<Value>,
}

/// Refuses cursors of lists that have one page.
pub(super) fn only_page(params: &Params<'_>, method: &str) -> Result<(), ErrorObjectOwned> {
    match named::<Page>(params, method)?.cursor {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(cursor::refused()),
    }
}

/// Adds what the stateless generation wants to know of a result that may be kept. Nothing here is the same for all.
pub(super) fn kept(mut result: Value, life_millis: u32, era: Era) -> Value {
    if let (Era::Stateless, Some(members)) = (era, result.as_object_mut()) {
        members.entry("ttlMs").or_insert(json!(life_millis));
        members.entry("cacheScope").or_insert(json!("private"));
    }
    result
}

pub(super) async fn list(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    only_page(&params, "resources/list")?;
    let principal = principal(&service.bureau, &caller).await?;
    let mut resources: Vec<Value> = fixed(&service.bureau, &principal, &caller).into_iter().map(listing).collect();
    resources.extend(service.extension.iter().flat_map(|extension| extension.resources()));
    finished(Ok(kept(json!({"resources": resources}), LIST_LIFE_MILLIS, caller.era)), caller.era)
}

/// The addresses of Bureau's own resources that a caller is listed, which depend on rights.
pub(super) fn fixed(bureau: &Bureau, principal: &Principal, caller: &Caller) -> Vec<&'static str> {
    let me = bureau.registry.find(ME).is_some_and(|me| bureau.admits(principal, &caller.selection, me));
    me.then_some(ME).into_iter().chain([PERMISSIONS, TOOLS]).collect()
}

/// One of Bureau's own resources as the list shows it.
fn listing(path: &str) -> Value {
    let (title, about) = match path {
        ME => ("Myself", "The user who calls."),
        PERMISSIONS => {
            ("Permissions", "Every feature that can be granted, the tools it opens, and whether you hold it.")
        }
        _ => ("Tools", "Every tool you may use here: name, title, toolset, effect and what it does."),
    };
    json!({"uri": format!("{SCHEME}{path}"), "name": path, "title": title, "description": about, "mimeType": JSON})
}

pub(super) async fn templates(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    only_page(&params, "resources/templates/list")?;
    let (bureau, principal) = (&service.bureau, principal(&service.bureau, &caller).await?);
    let mut templates = vec![json!({
        "uriTemplate": TOOL_TEMPLATE, "name": "tool", "title": "Tool",
        "description": "All there is to know of one tool: input and output schema, rights, effect.", "mimeType": JSON,
    })];
    let admitted = Kind::all(&bureau.registry).filter(|kind| bureau.admits(&principal, &caller.selection, kind.show));
    templates.extend(admitted.map(|kind| {
        let about = format!("{} The id is the UUID or the number.", first_sentence(&kind.show.tool.about));
        json!({"uriTemplate": kind.template(), "name": kind.name, "title": kind.title(), "description": about, "mimeType": JSON})
    }));
    templates.extend(service.extension.iter().flat_map(|extension| extension.templates()));
    finished(Ok(kept(json!({"resourceTemplates": templates}), LIST_LIFE_MILLIS, caller.era)), caller.era)
}

pub(super) async fn read(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    #[derive(Deserialize)]
    struct Wanted {
        uri: String,
    }
    let wanted: Wanted = named(&params, "resources/read")?;
    let principal = principal(&service.bureau, &caller).await?;
    let answer = match (wanted.uri.strip_prefix(SCHEME), &service.extension) {
        (Some(path), _) => own(&service, &principal, path, &caller).await?.map(|json| {
            // Records change any time: what was read is told from what is by reading again.
            Ok(json!({"contents": [contents(&wanted.uri, &json)]}))
        }),
        (None, Some(extension)) => {
            let text = params.as_str().unwrap_or("{}");
            let exchange = Exchange::begin(&service, &caller, "resources/read", text).await?;
            extension.read(&wanted.uri, &exchange).await
        }
        (None, None) => None,
    };
    let answer = answer.unwrap_or_else(|| Err(Pause::Refused(not_found(&wanted.uri, caller.era))));
    finished(answer.map(|result| kept(result, 0, caller.era)), caller.era)
}

fn not_found(uri: &str, era: Era) -> ErrorObjectOwned {
    let code = if era == Era::Stateless { INVALID_PARAMS } else { RESOURCE_NOT_FOUND };
    ErrorObjectOwned::owned(
        code,
        "There is no such resource, or none that you may see. resources/templates/list shows how addresses are made; \
         the _list tools answer the ids.",
        Some(json!({"uri": uri})),
    )
}

/// The JSON behind one of Bureau's own addresses; nothing when there is none that the caller may see.
async fn own(
    service: &Service,
    principal: &Principal,
    path: &str,
    caller: &Caller,
) -> Result<Option<Bytes>, ErrorObjectOwned> {
    let (bureau, registry) = (&service.bureau, &service.bureau.registry);
    let admitted = |entry: &&Entry| bureau.admits(principal, &caller.selection, entry);
    let answer = match path.split_once('/') {
        None if path == PERMISSIONS => Ok(written(&permissions(registry, principal))),
        None if path == TOOLS => Ok(written(&index(registry.entries().iter().filter(admitted)))),
        None if path == ME => answer_of(bureau, ME, Map::new(), caller).await,
        Some((TOOLS, name)) => match registry.find(name).filter(|entry| entry.tool.name == name) {
            Some(entry) => match bureau.admission(principal, &caller.selection, entry) {
                Ok(()) => Ok(written(&Value::Object(catalog::described(entry)))),
                Err(cause) => Err(refusal(Value::Object(cause.to_json()))),
            },
            None => return Ok(None),
        },
        Some((kind, id)) => match (Kind::named(registry, kind), Key::parse(id)) {
            (Some(kind), Ok(key)) => kind.read(bureau, key, caller).await,
            _ => return Ok(None),
        },
        None => return Ok(None),
    };
    match answer {
        Ok(json) => Ok(Some(json)),
        Err(cause) if cause.code() == NOT_FOUND => Ok(None),
        Err(cause) => Err(cause),
    }
}

fn written(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

/// Every feature that a tool asks for, with the tools it opens, and what the caller has of it.
fn permissions(registry: &Registry, principal: &Principal) -> Value {
    let mut tools: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for entry in registry.entries() {
        for right in &entry.tool.rights {
            tools.entry(right).or_default().push(entry.tool.name);
        }
    }
    let features: Vec<Value> = tools
        .into_iter()
        .map(|(feature, tools)| {
            json!({"feature": feature, "held": principal.holds(feature), "usable": principal.may(&[feature]), "tools": tools})
        })
        .collect();
    json!({
        "about": "held: a role or grant of yours gives the feature; usable: your token leaves it too.",
        "features": features,
    })
}

/// What each tool is, in one sentence.
fn index<'a>(entries: impl Iterator<Item = &'a Entry>) -> Value {
    let tools: Vec<Value> = entries
        .map(|entry| {
            let tool = &entry.tool;
            json!({
                "name": tool.name, "title": tool.title, "toolset": entry.toolset, "effect": tool.effect,
                "about": first_sentence(&tool.about),
            })
        })
        .collect();
    json!({"tools": tools})
}

/// Descriptions begin with what a tool does.
fn first_sentence(text: &str) -> &str {
    let end = text.find(". ").map_or(text.len(), |end| end.saturating_add(1));
    text.get(..end).unwrap_or(text)
}
