//! `tools/list`: rendered once for each set of visible tools, cut into pages, and served as bytes.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use bureau_kit::gate::{Bureau, DISCOVERY, Selection};
use bureau_kit::rights::Principal;
use bytes::Bytes;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::Value;

use crate::catalog::CORE;
use crate::cursor::{self, Cursor, Fingerprint};
use crate::rpc::{Caller, Era};

/// How long a client may keep a list. Rights may change any time, but only calls decide by them.
pub(crate) const LIST_LIFE_MILLIS: u32 = 300_000;
/// Bytes of all lists kept. There are about as many lists as role sets, unless somebody asks for ever other selections.
const KEPT_BYTES: usize = 32 * 1024 * 1024;
/// Lists that one principal finds again at once.
const FOUND_BY_PRINCIPAL: usize = 16;
/// Tools on one page at most. Many clients read the first page only, so it is far larger than the core.
pub const PAGE: NonZeroUsize = match NonZeroUsize::new(250) {
    Some(page) => page,
    None => NonZeroUsize::MIN,
};

/// What decides the bytes of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    visible: Vec<bool>,
    stateless: bool,
    output_schemas: bool,
}

/// A finished list: the results of `tools/list`, page by page.
#[derive(Debug)]
struct Pages {
    list: Fingerprint,
    page: NonZeroUsize,
    results: Vec<Bytes>,
}

impl Pages {
    fn at(&self, cursor: Option<&Value>) -> Result<Bytes, ErrorObjectOwned> {
        let offset = Cursor::offset_in(&self.list, cursor)?;
        let page = offset.is_multiple_of(self.page.get()).then(|| offset.checked_div(self.page.get())).flatten();
        page.and_then(|page| self.results.get(page)).cloned().ok_or_else(cursor::refused)
    }
}

/// Lists already rendered.
#[derive(Debug)]
pub struct Lists {
    page: NonZeroUsize,
    /// Tools of an extension: nobody's rights decide about them, so they follow Bureau's own in every list.
    added: Vec<String>,
    tools: OnceLock<[Vec<String>; 2]>,
    rendered: Mutex<Rendered>,
}

#[derive(Debug, Default)]
struct Rendered {
    lists: HashMap<Key, Arc<Pages>>,
    bytes: usize,
}

/// Where a principal finds its own lists: the same token asks for the same list again and again.
type Found = Mutex<Vec<(Selection, bool, bool, bool, Weak<Pages>)>>;

impl Lists {
    /// No list yet; pages will have `page` tools at most, and the `added` ones come last.
    pub fn new(page: NonZeroUsize, added: Vec<Value>) -> Self {
        let added = added.iter().map(Value::to_string).collect();
        Self { page, added, tools: OnceLock::new(), rendered: Mutex::default() }
    }

    /// The result of `tools/list` for a caller: the page that the `cursor` of its parameters asks for.
    pub fn result(
        &self,
        bureau: &Bureau,
        principal: &Principal,
        caller: &Caller,
        cursor: Option<&Value>,
    ) -> Result<Bytes, ErrorObjectOwned> {
        self.pages(bureau, principal, caller).at(cursor)
    }

    /// What the list of a caller holds, in short.
    pub(crate) fn fingerprint(&self, bureau: &Bureau, principal: &Principal, caller: &Caller) -> Fingerprint {
        self.pages(bureau, principal, caller).list
    }

    fn pages(&self, bureau: &Bureau, principal: &Principal, caller: &Caller) -> Arc<Pages> {
        let stateless = caller.era == Era::Stateless;
        let found = principal.cached.get_or_init(|| Box::new(Found::default()));
        let found = found.downcast_ref::<Found>().map(|found| found.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(mut found) = found else { return self.render(bureau, principal, caller, stateless) };
        let known = found.iter().find(|(selection, all, schemas, era, _)| {
            *selection == caller.selection
                && *all == caller.list_all
                && *schemas == caller.output_schemas
                && *era == stateless
        });
        if let Some(pages) = known.and_then(|(.., pages)| pages.upgrade()) {
            return pages;
        }
        let pages = self.render(bureau, principal, caller, stateless);
        // Those that are kept no longer make room first.
        found.retain(|(.., pages)| pages.strong_count() > 0);
        if found.len() < FOUND_BY_PRINCIPAL {
            let (all, schemas) = (caller.list_all, caller.output_schemas);
            found.push((caller.selection.clone(), all, schemas, stateless, Arc::downgrade(&pages)));
        }
        pages
    }

    fn render(&self, bureau: &Bureau, principal: &Principal, caller: &Caller, stateless: bool) -> Arc<Pages> {
        let entries = bureau.registry.entries();
        let visible = entries.iter().map(|entry| {
            let listed = caller.list_all || entry.toolset == DISCOVERY || CORE.contains(&entry.tool.name);
            listed && bureau.admits(principal, &caller.selection, entry)
        });
        let key = Key { visible: visible.collect(), stateless, output_schemas: caller.output_schemas };
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pages) = rendered.lists.get(&key) {
            return pages.clone();
        }
        let [bare, full] = self.tools.get_or_init(|| {
            let text = |full| entries.iter().map(|entry| Value::Object(entry.listing(full)).to_string()).collect();
            [text(false), text(true)]
        });
        let texts = if key.output_schemas { full } else { bare };
        let own = texts.iter().zip(&key.visible).filter(|(_, visible)| **visible).map(|(text, _)| text);
        let shown: Vec<&str> = own.chain(&self.added).map(String::as_str).collect();
        let pages = Arc::new(pages(&shown, self.page, stateless));
        let bytes = pages.results.iter().map(Bytes::len).sum();
        rendered.bytes = rendered.bytes.saturating_add(bytes);
        if rendered.bytes > KEPT_BYTES {
            *rendered = Rendered { lists: HashMap::new(), bytes };
        }
        rendered.lists.insert(key, pages.clone());
        pages
    }
}

/// Cuts the texts of a list's tools into pages, in their order. A list without tools has one page too.
fn pages(tools: &[&str], page: NonZeroUsize, stateless: bool) -> Pages {
    let list = Fingerprint::of("tools", tools.iter().copied());
    let mut results = Vec::new();
    let mut rest = tools;
    let mut offset = 0_usize;
    loop {
        let (shown, more) = rest.split_at_checked(page.get()).unwrap_or((rest, &[]));
        offset = offset.saturating_add(shown.len());
        let mut result = format!("{{\"tools\":[{}]", shown.join(","));
        if stateless {
            // Lists differ by rights, so nobody else's cache may serve them.
            result.push_str(&format!(
                ",\"resultType\":\"complete\",\"ttlMs\":{LIST_LIFE_MILLIS},\"cacheScope\":\"private\""
            ));
        }
        if !more.is_empty() {
            let next = Cursor { list, offset: u32::try_from(offset).unwrap_or(u32::MAX) };
            result.push_str(&format!(",\"nextCursor\":\"{}\"", next.encode()));
        }
        result.push('}');
        results.push(Bytes::from(result));
        if more.is_empty() {
            return Pages { list, page, results };
        }
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_every_tool_once_in_order_whatever_their_size() {
        for count in [0_usize, 1, 6, 7, 8, 14, 15, 100] {
            let texts: Vec<String> = (0..count).map(|number| format!("{{\"name\":\"tool_{number}\"}}")).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            for size in [1, 7, 100, 250] {
                let pages = pages(&texts, NonZeroUsize::new(size).unwrap(), count % 2 == 0);
                let (mut found, mut cursor) = (Vec::new(), None);
                for number in 1.. {
                    let result: Value = serde_json::from_slice(&pages.at(cursor.as_ref()).unwrap()).unwrap();
                    let tools = result["tools"].as_array().unwrap();
                    found.extend(tools.iter().map(Value::to_string));
                    assert_eq!(result["cacheScope"] == "private", count % 2 == 0);
                    cursor = result.get("nextCursor").cloned();
                    if cursor.is_none() {
                        assert_eq!(number, count.div_ceil(size).max(1));
                        break;
                    }
                    assert_eq!(tools.len(), size);
                }
                assert_eq!(found, texts);
            }
        }
    }

    #[test]
    fn places_that_no_page_begins_at_are_refused() {
        let pages = pages(&["1", "2", "3", "4", "5"], NonZeroUsize::new(2).unwrap(), false);
        let at = |offset| pages.at(Some(&Value::String(Cursor { list: pages.list, offset }.encode())));
        let fine: Vec<u32> = (0..10).chain([u32::MAX]).filter(|offset| at(*offset).is_ok()).collect();
        assert_eq!(fine, [0, 2, 4]);
        assert_eq!(at(5).unwrap_err().message(), cursor::refused().message());
    }
}
