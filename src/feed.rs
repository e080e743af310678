//! News: what was committed, by whichever process, told to those who listen and may know.
//!
//! A task of its own follows the journal as long as somebody listens. It wakes when this process commits a write, and
//! looks every second for what other processes did. Changes go out through a ring of bounded size: a listener that lags
//! is told that it missed some. What may have become of rights and lists is a set of counters, which nobody can miss.

mod subscription;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bureau_kit::error::Result;
use bureau_kit::gate::Bureau;
use bureau_kit::news::{Change, Reader, Told};
use bureau_kit::registry::{Entry, Registry};
use serde_json::Value;
use tokio::sync::{Mutex, broadcast, watch};
use tokio::task::JoinHandle;

pub use subscription::{Item, Lists, Subscription, Topic, Topics};

/// Changes kept for listeners that lag.
const KEPT: usize = 1_024;
/// How often the journal is looked at for what other processes did.
const EVERY: Duration = Duration::from_secs(1);
/// Between two looks at least: many writes in a moment are found at one look.
const PAUSE: Duration = Duration::from_millis(10);

/// What a program built on this library can have told, beside what the journal tells by itself.
///
/// A tool of an [`Extension`](crate::mcp::extension::Extension) does so with
/// `exchange.service().announce(News::ToolsChanged)`; it reaches every client that listens for it, in both generations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// `notifications/tools/list_changed`.
    ToolsChanged,
    /// `notifications/prompts/list_changed`.
    PromptsChanged,
    /// `notifications/resources/list_changed`.
    ResourcesChanged,
    /// `notifications/resources/updated` for this address, to those who subscribed to it.
    ResourceUpdated(String),
}

/// How often each of these has happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Signals {
    rights: u64,
    tools: u64,
    prompts: u64,
    resources: u64,
}

/// One thing that happened to one record or resource.
#[derive(Debug, Clone)]
pub enum Event {
    /// A record changed; with its kind, if it is of one that can be read.
    Changed(Box<Change>, Option<Kind>),
    /// A resource of an extension changed.
    Updated(String),
}

/// A kind of record that can be read: `task`, of which `task_show` shows one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its name, as in `bureau://task/7`.
    pub name: &'static str,
    /// Where its tool is among all.
    entry: usize,
}

impl Kind {
    /// The tool that shows one.
    fn entry(self, registry: &Registry) -> Option<&Entry> {
        registry.entries().get(self.entry)
    }
}

/// The news of a server.
#[derive(Debug, Clone)]
pub struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bureau: Arc<Bureau>,
    /// By the name of their table.
    kinds: HashMap<&'static str, Vec<Kind>>,
    signals: watch::Sender<Signals>,
    events: broadcast::Sender<Arc<Event>>,
    follower: Mutex<Option<JoinHandle<()>>>,
}

impl Feed {
    /// Nobody listens yet.
    pub fn new(bureau: Arc<Bureau>) -> Self {
        Self(Arc::new(Shared {
            kinds: kinds(&bureau.registry),
            bureau,
            signals: watch::Sender::default(),
            events: broadcast::Sender::new(KEPT),
            follower: Mutex::default(),
        }))
    }

    /// Tells what the journal does not know.
    pub fn announce(&self, news: News) {
        let signal = |count: fn(&mut Signals) -> &mut u64| {
            self.0.signals.send_modify(|signals| {
                let count = count(signals);
                *count = count.wrapping_add(1);
            });
        };
        match news {
            News::ToolsChanged => signal(|signals| &mut signals.tools),
            News::PromptsChanged => signal(|signals| &mut signals.prompts),
            News::ResourcesChanged => signal(|signals| &mut signals.resources),
            // Nobody listens: nobody is to be told.
            News::ResourceUpdated(uri) => drop(self.0.events.send(Arc::new(Event::Updated(uri)))),
        }
    }

    /// The names of all kinds whose changes are told.
    pub fn kinds(&self) -> Vec<&'static str> {
        let mut names: Vec<&str> = self.0.kinds.values().flatten().map(|kind| kind.name).collect();
        names.sort_unstable();
        names
    }

    /// The kind of this name, and the table that its records are in.
    pub fn kind(&self, name: &str) -> Option<(&'static str, Kind)> {
        let named = |kinds: &Vec<Kind>| kinds.iter().find(|kind| kind.name == name).copied();
        self.0.kinds.iter().find_map(|(table, kinds)| Some((*table, named(kinds)?)))
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.0.signals.receiver_count()
    }

    /// Everything that is committed after this has returned comes out of these.
    async fn join(&self, changes: bool) -> Result<(watch::Receiver<Signals>, Option<broadcast::Receiver<Arc<Event>>>)> {
        // Before the look at the follower: one that is about to stop for want of listeners sees this one.
        let signals = self.0.signals.subscribe();
        let events = changes.then(|| self.0.events.subscribe());
        let mut follower = self.0.follower.lock().await;
        if follower.as_ref().is_none_or(JoinHandle::is_finished) {
            let reader = Reader::start(self.0.bureau.clone()).await?;
            *follower = Some(tokio::spawn(follow(self.0.clone(), reader)));
        }
        drop(follower);
        Ok((signals, events))
    }
}

/// Follows the journal until nobody listens any more.
async fn follow(shared: Arc<Shared>, mut reader: Reader) {
    let mut commits = shared.bureau.commits();
    loop {
        {
            let mut follower = shared.follower.lock().await;
            if shared.signals.receiver_count() == 0 {
                *follower = None;
                return;
            }
        }
        commits.mark_unchanged();
        if let Err(cause) = reader.read(|told| shared.tell(told)).await {
            tracing::warn!(%cause, "the journal could not be read for news; it is tried again");
        }
        tokio::time::sleep(PAUSE).await;
        let _ = tokio::time::timeout(EVERY, commits.changed()).await;
    }
}

impl Shared {
    fn tell(&self, told: Told) {
        match told {
            Told::Rights => self.signals.send_modify(|signals| signals.rights = signals.rights.wrapping_add(1)),
            Told::Changed(change) => {
                let kind = self.kind_of(&change);
                drop(self.events.send(Arc::new(Event::Changed(change, kind))));
            }
        }
    }

    /// What kind a changed record is of. A table may hold several: people and companies, comments on tasks and on others.
    fn kind_of(&self, change: &Change) -> Option<Kind> {
        let kinds = self.kinds.get(change.table.name)?;
        let named = |wanted: &str| kinds.iter().find(|kind| kind.name == wanted).copied();
        let about = |subject: &str| {
            kinds.iter().find(|kind| kind.name.strip_prefix(subject).is_some_and(|rest| rest.starts_with('_'))).copied()
        };
        named(change.table.noun)
            .or_else(|| change.kind.as_deref().and_then(named))
            .or_else(|| change.subject_type.as_deref().and_then(about))
    }
}

/// The kinds of which a tool shows one by its id, by the tables that those ids are of.
fn kinds(registry: &Registry) -> HashMap<&'static str, Vec<Kind>> {
    let mut kinds: HashMap<&'static str, Vec<Kind>> = HashMap::new();
    for (place, entry) in registry.entries().iter().enumerate() {
        let Some(name) = entry.tool.name.strip_suffix("_show").filter(|_| !entry.tool.writes()) else { continue };
        if let Some(table) = table_of(registry, entry) {
            kinds.entry(table).or_default().push(Kind { name, entry: place });
        }
    }
    kinds
}

/// The table whose ids a tool takes as its `id`.
fn table_of(registry: &Registry, entry: &Entry) -> Option<&'static str> {
    let described = |schema: &Value| schema.pointer("/properties/id/x-record")?.as_str().map(str::to_owned);
    let table = registry.table(&described(&entry.tool.input_schema())?)?;
    Some(table.name)
}
