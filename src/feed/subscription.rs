//! One listener: what it is told, as long as its credential is good.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bureau_kit::error::{Code, Error, Result};
use bureau_kit::gate::Bureau;
use bureau_kit::news::Change;
use bureau_kit::rights::Principal;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Event, Feed, Kind, Signals};
use crate::cursor::Fingerprint;
use crate::mcp::Service;
use crate::rpc::Caller;

/// Between two looks at the rights of a listener that nothing is to be told to: rights may change at every moment, and
/// there may be thousands of listeners.
const LOOKS: Duration = Duration::from_secs(1);
/// How long a credential is taken as good before it is looked at again, whatever its end.
const LONGEST_LOOK: Duration = Duration::from_secs(24 * 60 * 60);

/// Lists of which something may have changed, or is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lists {
    /// `tools/list`.
    pub tools: bool,
    /// `prompts/list`.
    pub prompts: bool,
    /// `resources/list`.
    pub resources: bool,
}

impl Lists {
    fn any(self) -> bool {
        self.tools || self.prompts || self.resources
    }

    fn and(self, other: Self) -> Self {
        Self {
            tools: self.tools && other.tools,
            prompts: self.prompts && other.prompts,
            resources: self.resources && other.resources,
        }
    }
}

/// What a listener is told.
#[derive(Debug, Clone)]
pub enum Item {
    /// Something happened to a record or resource. Whether the listener may know is asked with
    /// [`Subscription::may_know`].
    Event(Arc<Event>),
    /// Some of the wanted lists are others than before.
    Lists(Lists),
    /// Rights changed, and with them what this caller may use.
    Rights,
    /// More happened than could be kept: whatever is of interest is to be read again.
    Missed,
}

/// What a caller's lists show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shown {
    tools: Fingerprint,
    prompts: Fingerprint,
    resources: Fingerprint,
}

/// One listener.
#[derive(Debug)]
pub struct Subscription {
    service: Arc<Service>,
    caller: Arc<Caller>,
    principal: Arc<Principal>,
    lists: Lists,
    shown: Shown,
    signals: watch::Receiver<Signals>,
    heard: Signals,
    events: Option<broadcast::Receiver<Arc<Event>>>,
    /// Rights changed since the principal was looked up.
    stale: bool,
    looked_at: Instant,
    /// Found out, and not told yet.
    waiting: Vec<Item>,
}

impl Feed {
    /// Listens for a caller: to the wanted lists and, if so, to changes.
    pub async fn subscribe(
        &self,
        service: &Arc<Service>,
        caller: &Arc<Caller>,
        lists: Lists,
        changes: bool,
    ) -> Result<Subscription> {
        let (mut signals, events) = self.join(changes).await?;
        let heard = *signals.borrow_and_update();
        let principal = principal(&service.bureau, caller).await?;
        let shown = shown(service, caller, &principal);
        Ok(Subscription {
            service: service.clone(),
            caller: caller.clone(),
            principal,
            lists,
            shown,
            signals,
            heard,
            events,
            stale: false,
            looked_at: Instant::now(),
            waiting: Vec::new(),
        })
    }
}

async fn principal(bureau: &Bureau, caller: &Caller) -> Result<Arc<Principal>> {
    let missing = || Error::unauthenticated("No credential came with the connection");
    bureau.principal_at(caller.shown.as_ref().ok_or_else(missing)?, caller.origin.address).await
}

fn shown(service: &Service, caller: &Caller, principal: &Principal) -> Shown {
    let [tools, prompts, resources] = service.fingerprints(principal, caller);
    Shown { tools, prompts, resources }
}

impl Subscription {
    /// Who listens, as last looked up.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What comes next. Nothing once the credential is good no more, or the server has gone.
    pub async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.waiting.pop() {
                return Some(item);
            }
            let look = self.next_look();
            tokio::select! {
                biased;
                changed = self.signals.changed() => {
                    changed.ok()?;
                    self.hear();
                }
                () = tokio::time::sleep_until(look) => self.look().await?,
                event = received(&mut self.events) => {
                    // Rights come before the changes that were made after them.
                    if self.signals.has_changed().ok()? {
                        self.hear();
                    }
                    while self.stale {
                        self.look().await?;
                    }
                    self.waiting.insert(0, match event {
                        Ok(event) => Item::Event(event),
                        Err(RecvError::Lagged(_)) => Item::Missed,
                        Err(RecvError::Closed) => return None,
                    });
                }
            }
        }
    }

    /// Whether the listener may know of a change: the record is within its reach, and it may use the tool that shows it.
    pub fn may_know(&self, change: &Change, kind: Kind) -> bool {
        let (bureau, selection) = (&self.service.bureau, &self.caller.selection);
        change.is_within(&self.principal)
            && kind.entry(&bureau.registry).is_some_and(|entry| bureau.admits(&self.principal, selection, entry))
    }

    fn hear(&mut self) {
        let now = *self.signals.borrow_and_update();
        self.stale |= now.rights != self.heard.rights;
        let lists = Lists {
            tools: now.tools != self.heard.tools,
            prompts: now.prompts != self.heard.prompts,
            resources: now.resources != self.heard.resources,
        };
        self.heard = now;
        self.tell(lists);
    }

    fn tell(&mut self, lists: Lists) {
        let lists = lists.and(self.lists);
        if lists.any() {
            self.waiting.insert(0, Item::Lists(lists));
        }
    }

    /// When the credential is to be looked at again, if nothing happens before.
    fn next_look(&self) -> Instant {
        let wait = match (self.stale, self.principal.expires_at) {
            (true, _) => LOOKS,
            (false, Some(end)) => {
                let left = end.micros().saturating_sub(self.service.bureau.clock.now().micros());
                Duration::from_micros(u64::try_from(left).unwrap_or_default()).clamp(LOOKS, LONGEST_LOOK)
            }
            (false, None) => LONGEST_LOOK,
        };
        self.looked_at.checked_add(wait).unwrap_or(self.looked_at)
    }

    /// Looks the caller up again; nothing when it is nobody any more.
    async fn look(&mut self) -> Option<()> {
        let found = principal(&self.service.bureau, &self.caller).await;
        self.looked_at = Instant::now();
        match found {
            Ok(principal) => self.principal = principal,
            Err(cause) if cause.code() == Code::Unauthenticated => return None,
            Err(cause) => {
                // Told nothing before it is known who listens.
                tracing::warn!(%cause, "a listener could not be looked up; it is tried again");
                self.stale = true;
                tokio::time::sleep(LOOKS).await;
                return Some(());
            }
        }
        if std::mem::take(&mut self.stale) {
            let shown = shown(&self.service, &self.caller, &self.principal);
            let lists = Lists {
                tools: shown.tools != self.shown.tools,
                prompts: shown.prompts != self.shown.prompts,
                resources: shown.resources != self.shown.resources,
            };
            self.shown = shown;
            if lists.any() {
                self.waiting.insert(0, Item::Rights);
            }
            self.tell(lists);
        }
        Some(())
    }
}

async fn received(events: &mut Option<broadcast::Receiver<Arc<Event>>>) -> std::result::Result<Arc<Event>, RecvError> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

/// A resource that somebody wants to hear of, and what changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// The record behind it: table and id.
    pub record: Option<(&'static str, Uuid)>,
    /// Its kind, which decides who may know.
    pub kind: Option<Kind>,
    /// Whether it tells what its reader may use.
    pub follows_rights: bool,
}

/// Resources by address.
pub type Topics = HashMap<String, Topic>;
