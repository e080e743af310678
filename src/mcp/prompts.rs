//! `prompts/list` and `prompts/get`: the workflows of [`crate::prompts`], for whoever may use their tools.

use std::sync::Arc;

use bureau_kit::id::Key;
use bureau_kit::rights::Principal;
use bytes::Bytes;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::call::{finished, refusal};
use super::exchange::Exchange;
use super::extension::names;
use super::records::{Kind, SCHEME, contents};
use super::resources::{kept, only_page};
use super::{Service, named, principal};
use crate::listing::LIST_LIFE_MILLIS;
use crate::prompts::{LANGUAGES, PROMPTS, Prompt, Takes, Values};
use crate::rpc::{Caller, INVALID_PARAMS, error};

pub(super) fn unknown(name: &str) -> ErrorObjectOwned {
    error(INVALID_PARAMS, format!("There is no prompt `{name}`. prompts/list shows those there are."))
}

/// Lets a caller at a prompt with these values, or says which of its tools is out of reach.
fn admitted(
    service: &Service,
    principal: &Principal,
    caller: &Caller,
    prompt: &Prompt,
    values: &Values,
) -> Result<(), ErrorObjectOwned> {
    let bureau = &service.bureau;
    for entry in prompt.tools(values, &bureau.registry) {
        bureau
            .admission(principal, &caller.selection, entry)
            .map_err(|cause| refusal(Value::Object(cause.to_json())))?;
    }
    Ok(())
}

/// Lets a caller at a prompt that they can use in at least one of its ways, or says what stands in the way of the first.
pub(super) fn offered(
    service: &Service,
    principal: &Principal,
    caller: &Caller,
    prompt: &Prompt,
) -> Result<(), ErrorObjectOwned> {
    let mut outcomes =
        prompt.variants().into_iter().map(|values| admitted(service, principal, caller, prompt, &values));
    let first = outcomes.next().unwrap_or(Ok(()));
    if first.is_ok() || outcomes.any(|outcome| outcome.is_ok()) { Ok(()) } else { first }
}

/// The names of Bureau's own prompts that a caller is listed.
pub(super) fn names_for(service: &Service, principal: &Principal, caller: &Caller) -> Vec<&'static str> {
    PROMPTS
        .iter()
        .filter(|prompt| offered(service, principal, caller, prompt).is_ok())
        .map(|prompt| prompt.name)
        .collect()
}

pub(super) async fn list(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    only_page(&params, "prompts/list")?;
    let principal = principal(&service.bureau, &caller).await?;
    let shown = PROMPTS.iter().filter(|prompt| offered(&service, &principal, &caller, prompt).is_ok());
    let mut prompts: Vec<Value> = shown.map(listing).collect();
    prompts.extend(service.extension.iter().flat_map(|extension| extension.prompts()));
    finished(Ok(kept(json!({"prompts": prompts}), LIST_LIFE_MILLIS, caller.era)), caller.era)
}

/// A prompt as the list shows it: in English, findable by its titles in the other languages.
fn listing(prompt: &Prompt) -> Value {
    let arguments: Vec<Value> = prompt
        .arguments()
        .map(|argument| json!({"name": argument.name, "description": argument.about, "required": argument.required}))
        .collect();
    let [title, titles @ ..] = prompt.titles;
    let others: Vec<String> =
        LANGUAGES.iter().skip(1).zip(titles).map(|(language, title)| format!("{language}: {title}.")).collect();
    let about = format!("{} ({})", prompt.about, others.join(" "));
    json!({"name": prompt.name, "title": title, "description": about, "arguments": arguments})
}

pub(super) async fn get(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    #[derive(Deserialize)]
    struct Wanted {
        name: String,
        arguments: Option<Map<String, Value>>,
    }
    let wanted: Wanted = named(&params, "prompts/get")?;
    let principal = principal(&service.bureau, &caller).await?;
    let given = wanted.arguments.unwrap_or_default();
    let Some(prompt) = Prompt::named(&wanted.name) else {
        let extension = service.extension.as_ref();
        let extension = extension.filter(|extension| names(&extension.prompts(), &wanted.name));
        let extension = extension.ok_or_else(|| unknown(&wanted.name))?;
        let exchange = Exchange::begin(&service, &caller, "prompts/get", params.as_str().unwrap_or("{}")).await?;
        return finished(extension.prompt(&wanted.name, given, &exchange).await, caller.era);
    };
    offered(&service, &principal, &caller, prompt)?;
    let today = service.bureau.clock.now().date();
    let values = prompt.values(&given, today).map_err(|why| error(INVALID_PARAMS, why))?;
    admitted(&service, &principal, &caller, prompt, &values)?;
    let mut messages = vec![message(json!({"type": "text", "text": prompt.text(&values)}))];
    for argument in prompt.arguments() {
        if let (Takes::Record(kind), Some(value)) = (argument.takes, values.get(argument.name)) {
            messages.extend(record(&service, kind, value, &caller).await);
        }
    }
    finished(Ok(json!({"description": prompt.title(&values), "messages": messages})), caller.era)
}

fn message(content: Value) -> Value {
    json!({"role": "user", "content": content})
}

/// The record that an argument names, if it is one that the caller may read: it spares the assistant the first call.
async fn record(service: &Service, kind: &str, value: &str, caller: &Caller) -> Option<Value> {
    let kind = Kind::named(&service.bureau.registry, kind)?;
    let json = kind.read(&service.bureau, Key::parse(value).ok()?, caller).await.ok()?;
    let uri = format!("{SCHEME}{}/{value}", kind.name);
    Some(message(json!({"type": "resource", "resource": contents(&uri, &json)})))
}
