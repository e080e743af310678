//! `completion/complete`: what can stand in a template's or a prompt's argument.

use std::sync::Arc;

use bureau_kit::id::Key;
use bureau_kit::registry::Entry;
use bureau_kit::rights::Principal;
use bureau_kit::text::fold;
use bytes::Bytes;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::call::{answer_of, finished, refusal};
use super::extension::names;
use super::prompts;
use super::records::Kind;
use super::resources::TOOL_TEMPLATE;
use super::{Service, named, principal};
use crate::prompts::{Prompt, Takes};
use crate::rpc::{Caller, INVALID_PARAMS, error};

/// Values in one answer at most, as the protocol says.
const MOST: usize = 100;

#[derive(Deserialize)]
struct Wanted {
    #[serde(rename = "ref")]
    reference: Reference,
    argument: Argument,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Reference {
    #[serde(rename = "ref/resource")]
    Resource { uri: String },
    #[serde(rename = "ref/prompt")]
    Prompt { name: String },
}

/// The argument to be completed, with what was typed so far.
#[derive(Deserialize)]
struct Argument {
    name: String,
    #[serde(default)]
    value: String,
}

/// What was found.
#[derive(Default)]
struct Found {
    values: Vec<String>,
    /// How many there are in all, where that is known.
    total: Option<i64>,
    /// Whether there are more than `values`.
    more: bool,
}

impl Found {
    /// The first of all that fit.
    fn first_of(mut values: Vec<String>) -> Self {
        let total = values.len();
        values.truncate(MOST);
        Self { values, total: i64::try_from(total).ok(), more: total > MOST }
    }
}

pub(super) async fn complete(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    let wanted: Wanted = named(&params, "completion/complete")?;
    let principal = principal(&service.bureau, &caller).await?;
    let asker = Asker { service: &service, principal: &principal, caller: &caller };
    let typed = wanted.argument.value.trim();
    let found = match &wanted.reference {
        Reference::Resource { uri } => asker.template(uri, &wanted.argument.name, typed).await?,
        Reference::Prompt { name } => asker.prompt(name, &wanted.argument.name, typed).await?,
    };
    let mut completion = json!({"values": found.values, "hasMore": found.more});
    if let (Some(total), Some(members)) = (found.total, completion.as_object_mut()) {
        members.insert("total".into(), json!(total));
    }
    finished(Ok(json!({"completion": completion})), caller.era)
}

/// Who asks, of what server.
struct Asker<'a> {
    service: &'a Arc<Service>,
    principal: &'a Principal,
    caller: &'a Caller,
}

impl Asker<'_> {
    async fn template(&self, uri: &str, argument: &str, typed: &str) -> Result<Found, ErrorObjectOwned> {
        let registry = &self.service.bureau.registry;
        if uri == TOOL_TEMPLATE {
            only_argument(uri, argument, "name")?;
            return Ok(self.tools(typed));
        }
        if let Some(kind) = Kind::all(registry).find(|kind| kind.template() == uri) {
            only_argument(uri, argument, "id")?;
            return self.records(&kind, typed).await;
        }
        let foreign = self.service.extension.iter().flat_map(|extension| extension.templates());
        if foreign.into_iter().any(|template| template.get("uriTemplate").and_then(Value::as_str) == Some(uri)) {
            return Ok(Found::default());
        }
        let text = format!("There is no resource template `{uri}`. resources/templates/list shows those there are.");
        Err(error(INVALID_PARAMS, text))
    }

    async fn prompt(&self, name: &str, argument: &str, typed: &str) -> Result<Found, ErrorObjectOwned> {
        let foreign = self.service.extension.as_ref().is_some_and(|extension| names(&extension.prompts(), name));
        if foreign {
            return Ok(Found::default());
        }
        let prompt = Prompt::named(name).ok_or_else(|| prompts::unknown(name))?;
        prompts::offered(self.service, self.principal, self.caller, prompt)?;
        let argument =
            prompt.argument(argument).ok_or_else(|| error(INVALID_PARAMS, prompt.unknown_argument(argument)))?;
        match argument.takes {
            Takes::OneOf(choices) => {
                let fits = |choice: &&&str| fold(choice).starts_with(&fold(typed));
                Ok(Found::first_of(choices.iter().filter(fits).map(|&choice| choice.to_owned()).collect()))
            }
            Takes::Day => {
                let today = self.service.bureau.clock.now().date().to_string();
                Ok(Found::first_of(if today.starts_with(typed) { vec![today] } else { Vec::new() }))
            }
            Takes::Record(kind) => match Kind::named(&self.service.bureau.registry, kind) {
                Some(kind) => self.records(&kind, typed).await,
                None => self.listed(self.service.bureau.registry.find(&format!("{kind}_list")), "num", typed).await,
            },
            Takes::NameOf(kind) => {
                self.listed(self.service.bureau.registry.find(&format!("{kind}_list")), "name", typed).await
            }
            Takes::Text => Ok(Found::default()),
        }
    }

    /// Names of tools that the caller may use: those that begin so, then those that hold it.
    fn tools(&self, typed: &str) -> Found {
        let bureau = &self.service.bureau;
        let typed = fold(typed);
        let admitted = bureau
            .registry
            .entries()
            .iter()
            .filter(|entry| bureau.admits(self.principal, &self.caller.selection, entry));
        let fitting = admitted.map(|entry| entry.tool.name).filter(|name| name.contains(&typed));
        let (mut first, then): (Vec<&str>, Vec<&str>) = fitting.partition(|name| name.starts_with(&typed));
        first.extend(then);
        Found::first_of(first.into_iter().map(str::to_owned).collect())
    }

    /// Numbers of records: the one that was typed, if it is there, and those that hold the words.
    async fn records(&self, kind: &Kind<'_>, typed: &str) -> Result<Found, ErrorObjectOwned> {
        let bureau = &self.service.bureau;
        bureau
            .admission(self.principal, &self.caller.selection, kind.show)
            .map_err(|cause| refusal(Value::Object(cause.to_json())))?;
        let mut found = self.listed(kind.list(&bureau.registry), "num", typed).await?;
        if let Ok(key) = Key::parse(typed)
            && kind.read(bureau, key, self.caller).await.is_ok()
        {
            let exact = key.to_string();
            found.values.retain(|value| *value != exact);
            found.values.insert(0, exact);
            found.values.truncate(MOST);
            found.total = found.total.map(|total| total.max(i64::try_from(found.values.len()).unwrap_or(total)));
        }
        Ok(found)
    }

    /// One member of the records that a list tool finds by what was typed, the newest first.
    async fn listed(&self, list: Option<&Entry>, member: &str, typed: &str) -> Result<Found, ErrorObjectOwned> {
        let Some(list) = list else { return Ok(Found::default()) };
        let searches = list.tool.input_schema().pointer("/properties/q").is_some();
        let mut arguments = Map::from_iter([("page_size".to_owned(), json!(MOST))]);
        if searches && !typed.is_empty() {
            arguments.insert("q".into(), json!(typed));
        }
        let answer = answer_of(&self.service.bureau, list.tool.name, arguments, self.caller).await?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let items = answer.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut values: Vec<String> = items.iter().filter_map(|item| told(item, member)).collect();
        let total = answer.get("total").and_then(Value::as_i64).unwrap_or_default();
        let more = usize::try_from(total).is_ok_and(|total| total > items.len());
        if searches || typed.is_empty() {
            let exact = answer.get("total_is_exact") != Some(&json!(false));
            return Ok(Found { values, total: exact.then_some(total), more });
        }
        // A list without a search: what was typed can only be the beginning of a value on its first page.
        values.retain(|value| fold(value).starts_with(&fold(typed)));
        Ok(Found { values, total: None, more })
    }
}

/// What names a record to people: the wanted member, else its id.
fn told(item: &Value, member: &str) -> Option<String> {
    match item.get(member) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => item.get("id").and_then(Value::as_str).map(str::to_owned),
    }
}

fn only_argument(uri: &str, given: &str, argument: &str) -> Result<(), ErrorObjectOwned> {
    if given == argument {
        return Ok(());
    }
    Err(error(INVALID_PARAMS, format!("`{given}` is no argument of {uri}; it has `{argument}`")))
}
