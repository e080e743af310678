//! Which tool a call means.

use serde_json::{Map, Value, json};

use super::admit::admit;
use super::{Bureau, Call, Refusal};
use crate::error::{Error, Result};
use crate::registry::Entry;
use crate::rights::Principal;
use crate::tool::{Danger, Executes};

/// The tool that a call means.
pub(super) struct Meant<'a> {
    pub(super) entry: &'a Entry,
    /// Its answer goes into an executor's envelope.
    pub(super) enveloped: bool,
}

impl Bureau {
    /// The tool a call means. For an executor, that is the tool it carries out, with that tool's own arguments.
    pub(super) fn meant(&self, principal: &Principal, call: &mut Call) -> Result<Meant<'_>, Refusal> {
        let executor = self.find(&call.tool)?;
        let Some(executes) = executor.tool.executes else { return Ok(Meant { entry: executor, enveloped: false }) };
        // What is switched off here must not open what lies behind it.
        admit(principal, &call.selection, executor)?;
        let (name, arguments) = executed(&executes, &mut call.arguments)?;
        let argument = format!("/{}", executes.name.first().copied().unwrap_or_default());
        let entry = self.registry.find(&name).ok_or_else(|| Error::invalid(argument.clone(), self.unknown(&name)))?;
        if entry.tool.executes.is_some() {
            let why = "an executor cannot carry out an executor; name the tool itself";
            return Err(Error::invalid(argument, why).into());
        }
        if !executes.dangers.contains(&entry.tool.danger()) {
            let why = format!(
                "{} cannot be carried out by {}; use {}",
                entry.tool.name,
                executor.tool.name,
                executor_for(entry.tool.danger())
            );
            return Err(Error::invalid(argument, why).into());
        }
        call.tool = entry.tool.name.to_owned();
        call.arguments = arguments;
        Ok(Meant { entry, enveloped: executes.enveloped })
    }

    /// The tool that a call means, when it may take long: callers who can fetch the answer later are better off so.
    pub fn long_tool(&self, tool: &str, arguments: &Map<String, Value>) -> Option<&Entry> {
        let mut entry = self.registry.find(tool)?;
        if let Some(executes) = &entry.tool.executes {
            let name = executes.name.iter().find_map(|name| arguments.get(*name))?;
            entry = self.registry.find(name.as_str()?)?;
        }
        entry.tool.long.then_some(entry)
    }

    fn find(&self, name: &str) -> Result<&Entry, Refusal> {
        self.registry.find(name).ok_or_else(|| Refusal::UnknownTool(self.unknown(name)))
    }

    fn unknown(&self, name: &str) -> String {
        match self.registry.nearest(name) {
            Some(near) => {
                format!("There is no tool `{name}`. Did you mean `{near}`? tool_search finds tools by what they do.")
            }
            None => format!("There is no tool `{name}`. tool_search finds tools by what they do."),
        }
    }
}

impl Meant<'_> {
    /// The answer of the tool as its caller gets it.
    pub(super) fn answer(&self, body: Vec<u8>) -> Result<Vec<u8>> {
        if !self.enveloped {
            return Ok(body);
        }
        let mut result: Map<String, Value> = serde_json::from_slice(&body).map_err(Error::internal)?;
        let mut answer = Map::from_iter([("success".to_owned(), json!(true))]);
        // What the gate itself adds to the answer of a write stands where every caller of a write looks for it.
        let added: &[&str] = if self.entry.tool.writes() { OF_THE_GATE } else { &[] };
        let added: Vec<_> = added.iter().filter_map(|name| result.shift_remove_entry(*name)).collect();
        answer.insert("result".into(), Value::Object(result));
        answer.extend(added);
        serde_json::to_vec(&answer).map_err(Error::internal)
    }
}

/// Members that the gate adds to answers of writes.
const OF_THE_GATE: &[&str] = &["undo_token", "replayed", "dry_run", "changes", "outside_effects"];
/// Arguments that are the gate's own.
const RESERVED: &[&str] = &["dry_run", "idempotency_key", "expected_version"];

/// The executor that may carry out a tool of this danger.
pub(crate) fn executor_for(danger: Danger) -> &'static str {
    match danger {
        Danger::Read => "tool_call_read",
        Danger::Write => "tool_call_write",
        Danger::Destructive => "tool_call_destructive",
    }
}

/// The tool's name and its arguments out of an executor's own arguments.
fn executed(executes: &Executes, arguments: &mut Map<String, Value>) -> Result<(String, Map<String, Value>)> {
    let take = |names: &[&'static str], arguments: &mut Map<String, Value>| {
        let given = names.iter().find_map(|name| Some((*name, arguments.shift_remove(*name)?)));
        given.unwrap_or((names.first().copied().unwrap_or_default(), Value::Null))
    };
    let (name_is, name) = take(executes.name, arguments);
    let Value::String(name) = name else {
        let why = "is required: the tool to carry out, as tool_search names it";
        return Err(Error::invalid(format!("/{name_is}"), why));
    };
    let (inner_is, inner) = take(executes.arguments, arguments);
    let wrong = || Error::invalid(format!("/{inner_is}"), "expected an object with the tool's arguments");
    let mut inner = match inner {
        Value::Null => Map::new(),
        Value::Object(inner) => inner,
        // Some clients send nested objects as text.
        Value::String(text) => serde_json::from_str(&text).map_err(|_| wrong())?,
        _ => return Err(wrong()),
    };
    if executes.enveloped {
        for name in RESERVED {
            if let Some(value) = arguments.shift_remove(*name) {
                inner.insert((*name).to_owned(), value);
            }
        }
    }
    if let Some(extra) = arguments.keys().next() {
        let why = format!("unknown argument; put the tool's own arguments into `{inner_is}`");
        return Err(Error::invalid(format!("/{extra}"), why));
    }
    Ok((name, inner))
}
