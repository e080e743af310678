//! Records as resources: which kinds there are, and how one is read, always through the tools that show and list it.

use std::sync::Arc;

use bureau_kit::gate::Bureau;
use bureau_kit::id::Key;
use bureau_kit::registry::{Entry, Registry};
use bytes::Bytes;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::{Map, Value, json};

use super::call::answer_of;
use crate::rpc::Caller;

/// Whatever begins so is Bureau's own.
pub(super) const SCHEME: &str = "bureau://";
/// The only type there is here.
pub(super) const JSON: &str = "application/json";

/// A kind of record that can be read by its id alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind<'a> {
    /// `task` in `task_show` and in `bureau://task/7`.
    pub(super) name: &'a str,
    /// The tool that shows one.
    pub(super) show: &'a Entry,
}

impl<'a> Kind<'a> {
    /// The kind that a tool shows, if it does: `{kind}_show` that needs nothing but `id`.
    fn of(entry: &'a Entry) -> Option<Self> {
        let name = entry.tool.name.strip_suffix("_show").filter(|_| !entry.tool.writes())?;
        let needs_id = entry.tool.input_schema().get("required").is_some_and(|required| *required == json!(["id"]));
        needs_id.then_some(Self { name, show: entry })
    }

    /// All kinds, in the order of their tools.
    pub(super) fn all(registry: &'a Registry) -> impl Iterator<Item = Self> {
        registry.entries().iter().filter_map(Self::of)
    }

    /// The kind of this name.
    pub(super) fn named(registry: &'a Registry, name: &str) -> Option<Self> {
        registry.find(&format!("{name}_show")).and_then(Self::of).filter(|kind| kind.name == name)
    }

    /// The tool that lists such records: that of the kind, or of the table that its ids are of.
    pub(super) fn list(&self, registry: &'a Registry) -> Option<&'a Entry> {
        let schema = self.show.tool.input_schema();
        let table = schema.pointer("/properties/id/x-record").and_then(Value::as_str);
        let noun = table.and_then(|table| registry.table(table)).map(|table| table.noun);
        let mut names = std::iter::once(self.name).chain(noun);
        names.find_map(|name| registry.find(&format!("{name}_list")))
    }

    /// The template of its addresses.
    pub(super) fn template(&self) -> String {
        format!("{SCHEME}{}/{{id}}", self.name)
    }

    /// What one is called: the title of its tool without the verb and the article.
    pub(super) fn title(&self) -> String {
        let title = self.show.tool.title;
        let noun = title.strip_prefix("Show ").unwrap_or(title);
        let noun = ["a ", "an ", "the "].iter().find_map(|article| noun.strip_prefix(article)).unwrap_or(noun);
        let mut letters = noun.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    }

    /// Reads one. The same call as anybody's of the tool: same rights, same refusals.
    pub(super) async fn read(
        &self,
        bureau: &Arc<Bureau>,
        key: Key,
        caller: &Caller,
    ) -> Result<Bytes, ErrorObjectOwned> {
        let arguments = Map::from_iter([("id".to_owned(), json!(key))]);
        answer_of(bureau, self.show.tool.name, arguments, caller).await
    }
}

/// What `resources/read` and embedded resources hold: an address, and the JSON behind it.
pub(super) fn contents(uri: &str, json: &[u8]) -> Value {
    json!({"uri": uri, "mimeType": JSON, "text": String::from_utf8_lossy(json)})
}
