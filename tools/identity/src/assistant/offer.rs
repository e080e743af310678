//! Which tools a model is offered.

use bureau_kit::gate::Outside;
use bureau_kit::prelude::*;
use bureau_kit::registry::Entry;

use super::provider::Offered;

/// Tools offered at most: with more, models choose worse and requests grow.
pub(super) const MOST: usize = 24;
/// Letters of a question by which tools are looked for.
const QUERY_CHARS: usize = 1_000;
/// By which the model finds what it was not offered.
const SEARCH: &str = "tool_search";

/// The offer, and how it grows by what the model finds.
#[derive(Debug)]
pub(super) struct Offer {
    may_write: bool,
    names: Vec<&'static str>,
}

impl Offer {
    /// Search, and the tools that fit the words.
    pub(super) async fn fitting(outside: &Outside, words: &str, may_write: bool) -> Self {
        let mut offer = Self { may_write, names: vec![SEARCH] };
        let words: String = words.chars().take(QUERY_CHARS).collect();
        let arguments = Map::from_iter([("query".to_owned(), json!(words)), ("limit".to_owned(), json!(16))]);
        if let Ok(found) = outside.call(SEARCH, arguments).await {
            offer.grow(outside, &found);
        }
        offer
    }

    /// Adds what a search found, as far as it may be offered.
    pub(super) fn grow(&mut self, outside: &Outside, found: &Value) {
        let items = found.get("items").and_then(Value::as_array).into_iter().flatten();
        for name in items.filter_map(|item| item.get("name")?.as_str()) {
            let Some(entry) = outside.bureau().registry.find(name) else { continue };
            let known = self.names.contains(&entry.tool.name);
            if !known && self.names.len() < MOST && outside.obstacle(entry, self.may_write).is_none() {
                self.names.push(entry.tool.name);
            }
        }
    }

    /// Whether a tool is the one that finds others.
    pub(super) fn is_search(name: &str) -> bool {
        name == SEARCH
    }

    /// As the model sees it.
    pub(super) fn tools(&self, outside: &Outside) -> Vec<Offered> {
        let registry = &outside.bureau().registry;
        let shown = |entry: &Entry| Offered {
            name: entry.tool.name.to_owned(),
            description: entry.tool.about.clone(),
            parameters: bureau_kit::schema::published(&entry.tool.input_schema()),
        };
        self.names.iter().filter_map(|name| registry.find(name)).map(shown).collect()
    }
}
