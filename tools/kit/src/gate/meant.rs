//! Which tool a call means.

use serde_json::{Map, Value};

use super::{Bureau, Call, Refusal};
use crate::error::{Error, Result};
use crate::guards::{Guard, stands};
use crate::registry::Entry;
use crate::tool::Danger;

impl Bureau {
    /// The tool a call means. For an executor, that is the tool it carries out, with that tool's own arguments.
    pub(super) fn entry_for(&self, call: &mut Call) -> Result<&Entry, Refusal> {
        let mut entry = self.find(&call.tool)?;
        if let Some(danger) = entry.tool.executes {
            // What is switched off here must not open what lies behind it.
            call.selection.check(entry)?;
            let executor = entry.tool.name;
            let (name, arguments) = executed(&mut call.arguments)?;
            entry = self.registry.find(&name).ok_or_else(|| Error::invalid("/name", self.unknown(&name)))?;
            if entry.tool.executes.is_some() {
                return Err(
                    Error::invalid("/name", "an executor cannot carry out an executor; name the tool itself").into()
                );
            }
            if stands(Guard::ExecutorDanger) && entry.tool.danger() != danger {
                return Err(Error::invalid(
                    "/name",
                    format!(
                        "{} cannot be carried out by {executor}; use {}",
                        entry.tool.name,
                        executor_for(entry.tool.danger())
                    ),
                )
                .into());
            }
            call.tool = entry.tool.name.to_owned();
            call.arguments = arguments;
        }
        Ok(entry)
    }

    /// The tool that a call means, when it may take long: callers who can fetch the answer later are better off so.
    pub fn long_tool(&self, tool: &str, arguments: &Map<String, Value>) -> Option<&Entry> {
        let mut entry = self.registry.find(tool)?;
        if entry.tool.executes.is_some() {
            entry = self.registry.find(arguments.get("name")?.as_str()?)?;
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

/// The executor that may carry out a tool of this danger.
pub(crate) fn executor_for(danger: Danger) -> &'static str {
    match danger {
        Danger::Read => "tool_call_read",
        Danger::Write => "tool_call_write",
        Danger::Destructive => "tool_call_destructive",
    }
}

/// `name` and `arguments` out of an executor's own arguments.
fn executed(arguments: &mut Map<String, Value>) -> Result<(String, Map<String, Value>)> {
    let Some(Value::String(name)) = arguments.shift_remove("name") else {
        return Err(Error::invalid("/name", "is required: the tool to carry out, as tool_search names it"));
    };
    let inner = match arguments.shift_remove("arguments") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(inner)) => inner,
        // Some clients send nested objects as text.
        Some(Value::String(text)) => serde_json::from_str(&text)
            .map_err(|_| Error::invalid("/arguments", "expected an object with the tool's arguments"))?,
        Some(_) => return Err(Error::invalid("/arguments", "expected an object with the tool's arguments")),
    };
    if let Some(extra) = arguments.keys().next() {
        return Err(Error::invalid(
            format!("/{extra}"),
            "unknown argument; put the tool's own arguments into `arguments`",
        ));
    }
    Ok((name, inner))
}
