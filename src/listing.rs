//! `tools/list`: rendered once for each set of visible tools, and served as bytes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bureau_kit::gate::{Bureau, DISCOVERY};
use bureau_kit::rights::Principal;
use bytes::Bytes;
use serde_json::Value;

use crate::catalog::CORE;
use crate::rpc::{Caller, Era};

/// How long a client may keep a list. Rights may change any time, but only calls decide by them.
const LIST_LIFE_MILLIS: u32 = 300_000;
/// Different lists kept; there are about as many as there are role sets.
const KEPT: usize = 256;

/// What decides the bytes of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    visible: Vec<bool>,
    stateless: bool,
    output_schemas: bool,
}

/// Lists already rendered.
#[derive(Debug, Default)]
pub struct Lists {
    tools: std::sync::OnceLock<[Vec<String>; 2]>,
    rendered: Mutex<HashMap<Key, Bytes>>,
}

/// What a principal keeps of its own lists: the same token asks for the same list again and again.
type Kept = Mutex<Vec<(bureau_kit::gate::Selection, bool, bool, bool, Bytes)>>;

impl Lists {
    /// The result of `tools/list` for a caller.
    pub fn result(&self, bureau: &Bureau, principal: &Principal, caller: &Caller) -> Bytes {
        let stateless = caller.era == Era::Stateless;
        let kept = principal.cached.get_or_init(|| Box::new(Kept::default()));
        let kept = kept.downcast_ref::<Kept>().map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(mut kept) = kept else { return self.render(bureau, principal, caller, stateless) };
        let known = kept.iter().find(|(selection, all, schemas, era, _)| {
            *selection == caller.selection
                && *all == caller.list_all
                && *schemas == caller.output_schemas
                && *era == stateless
        });
        if let Some((.., bytes)) = known {
            return bytes.clone();
        }
        let bytes = self.render(bureau, principal, caller, stateless);
        if kept.len() < 16 {
            kept.push((caller.selection.clone(), caller.list_all, caller.output_schemas, stateless, bytes.clone()));
        }
        bytes
    }

    fn render(&self, bureau: &Bureau, principal: &Principal, caller: &Caller, stateless: bool) -> Bytes {
        let entries = bureau.registry.entries();
        let visible = entries.iter().map(|entry| {
            let listed = caller.list_all || entry.toolset == DISCOVERY || CORE.contains(&entry.tool.name);
            listed && bureau.admits(principal, &caller.selection, entry)
        });
        let key = Key { visible: visible.collect(), stateless, output_schemas: caller.output_schemas };
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = rendered.get(&key) {
            return bytes.clone();
        }
        let [bare, full] = self.tools.get_or_init(|| {
            let text = |full| entries.iter().map(|entry| Value::Object(entry.listing(full)).to_string()).collect();
            [text(false), text(true)]
        });
        let texts = if key.output_schemas { full } else { bare };
        let shown: Vec<&str> =
            texts.iter().zip(&key.visible).filter(|(_, visible)| **visible).map(|(text, _)| text.as_str()).collect();
        let mut list = format!("{{\"tools\":[{}]", shown.join(","));
        if stateless {
            // Lists differ by rights, so nobody else's cache may serve them.
            list.push_str(&format!(
                ",\"resultType\":\"complete\",\"ttlMs\":{LIST_LIFE_MILLIS},\"cacheScope\":\"private\""
            ));
        }
        list.push('}');
        let bytes = Bytes::from(list);
        if rendered.len() >= KEPT {
            rendered.clear();
        }
        rendered.insert(key, bytes.clone());
        bytes
    }
}
