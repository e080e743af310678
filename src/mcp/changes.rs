//! `changes_subscribe` and `changes_unsubscribe`: the change feed on a connection that lasts, a WebSocket at `/rpc`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bureau_kit::news::Change;
use bytes::Bytes;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

use super::{Service, named, principal, protocol_error};
use crate::feed::{Event, Item, Kind, Lists, Subscription};
use crate::rpc::{Caller, INVALID_PARAMS, INVALID_REQUEST, error};

/// The method that begins one.
pub(super) const SUBSCRIBE: &str = "changes_subscribe";
/// The method that ends one.
pub(super) const UNSUBSCRIBE: &str = "changes_unsubscribe";
/// Subscriptions of one connection.
const SUBSCRIPTIONS: usize = 32;
/// The right to know who did what, beside oneself: that of the action log.
const SEES_ACTORS: &str = "audit_logs.view_tenant";
/// What a subscriber is told in place of what it missed.
const MISSED: &str = "More changed than could be kept for this connection. Read again what you hold.";

/// The subscriptions of one connection.
#[derive(Debug)]
pub struct Desk {
    news: mpsc::Sender<Bytes>,
    open: Mutex<Open>,
    /// Rings when the credential of a subscriber is good no more.
    pub revoked: Notify,
}

#[derive(Debug, Default)]
struct Open {
    given: u64,
    tasks: HashMap<String, Option<AbortHandle>>,
}

impl Desk {
    /// None yet; what they bring goes to `news`.
    pub fn new(news: mpsc::Sender<Bytes>) -> Arc<Self> {
        Arc::new(Self { news, open: Mutex::default(), revoked: Notify::new() })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.open().tasks.len()
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new id, where one more subscription fits.
    fn give(&self) -> Option<String> {
        let mut open = self.open();
        if open.tasks.len() >= SUBSCRIPTIONS {
            return None;
        }
        open.given = open.given.saturating_add(1);
        let id = open.given.to_string();
        open.tasks.insert(id.clone(), None);
        Some(id)
    }

    fn end(&self, id: &str) -> bool {
        let found = self.open().tasks.remove(id);
        if let Some(Some(task)) = &found {
            task.abort();
        }
        found.is_some()
    }

    /// Ends them all: the connection has gone.
    pub fn close(&self) {
        for (_, task) in self.open().tasks.drain() {
            if let Some(task) = task {
                task.abort();
            }
        }
    }
}

/// What one request of a connection subscribes to. It begins once the request is answered, so that no news of a
/// subscription comes before its id.
#[derive(Debug)]
pub struct Channel {
    desk: Arc<Desk>,
    made: Mutex<Vec<Made>>,
}

#[derive(Debug)]
struct Made {
    id: String,
    kinds: Option<Vec<&'static str>>,
    subscription: Subscription,
}

impl Channel {
    /// For one request of a connection.
    pub fn new(desk: &Arc<Desk>) -> Arc<Self> {
        Arc::new(Self { desk: desk.clone(), made: Mutex::default() })
    }

    /// The answer is on its way: what was subscribed to begins.
    pub fn begin(&self) {
        for made in self.made.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let mut open = self.desk.open();
            // Ended already, where its place has gone.
            if let Some(place) = open.tasks.get_mut(&made.id) {
                *place = Some(tokio::spawn(made.run(self.desk.clone())).abort_handle());
            }
        }
    }
}

impl Drop for Channel {
    /// A request that was never answered leaves nothing behind.
    fn drop(&mut self) {
        for made in self.made.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            self.desk.end(&made.id);
        }
    }
}

impl Made {
    async fn run(mut self, desk: Arc<Desk>) {
        while let Some(item) = self.subscription.next().await {
            let params = match &item {
                Item::Missed => json!({"subscription": self.id, "missed": true, "message": MISSED}),
                Item::Event(event) => match &**event {
                    Event::Changed(change, Some(kind)) if self.wants(change, *kind) => self.told(change, *kind),
                    _ => continue,
                },
                Item::Lists(_) | Item::Rights => continue,
            };
            let message = json!({"jsonrpc": "2.0", "method": "changes_event", "params": params});
            if desk.news.send(Bytes::from(message.to_string())).await.is_err() {
                return;
            }
        }
        desk.revoked.notify_one();
    }

    fn wants(&self, change: &Change, kind: Kind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind.name)) && self.subscription.may_know(change, kind)
    }

    fn told(&self, change: &Change, kind: Kind) -> Value {
        let principal = self.subscription.principal();
        let knows_actor = principal.actor_id() == change.actor_id || principal.may(&[SEES_ACTORS]);
        json!({
            "subscription": self.id,
            "kind": kind.name,
            "id": change.id,
            "num": change.num,
            "operation": change.operation.name(),
            "version": change.version,
            "at": change.at,
            "tool": change.tool,
            "action_id": change.action_id,
            "actor": knows_actor.then_some(change.actor.as_str()),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscribeParams {
    #[serde(default)]
    kinds: Option<Vec<String>>,
}

/// `changes_subscribe`: from the answer on, `changes_event` for every change that the caller may know of.
pub(super) async fn subscribe(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    principal(&service.bureau, &caller).await?;
    let channel = channel(&caller)?;
    let wanted = named::<SubscribeParams>(&params, SUBSCRIBE)?.kinds;
    let known = service.feed.kinds();
    let kinds = wanted.map(|wanted| wanted.iter().map(|name| kind(&known, name)).collect::<Result<Vec<_>, _>>());
    let kinds = kinds.transpose()?;
    let subscription = service.feed.subscribe(&service, &caller, Lists::default(), true).await;
    let subscription = subscription.map_err(|cause| protocol_error(&cause))?;
    let id = channel.desk.give().ok_or_else(|| {
        let text = format!("a connection has at most {SUBSCRIPTIONS} subscriptions; end one with changes_unsubscribe");
        error(INVALID_PARAMS, text)
    })?;
    let result = json!({"subscription": id, "kinds": kinds.as_ref().unwrap_or(&known)}).to_string();
    let made = Made { id, kinds, subscription };
    channel.made.lock().unwrap_or_else(PoisonError::into_inner).push(made);
    Ok(Bytes::from(result))
}

fn kind(known: &[&'static str], name: &str) -> Result<&'static str, ErrorObjectOwned> {
    known.iter().find(|kind| **kind == name).copied().ok_or_else(|| {
        error(
            INVALID_PARAMS,
            format!("there is no kind `{name}` whose changes are told; there are: {}", known.join(", ")),
        )
    })
}

/// `changes_unsubscribe`: ends one.
pub(super) async fn unsubscribe(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct UnsubscribeParams {
        subscription: String,
    }
    principal(&service.bureau, &caller).await?;
    let channel = channel(&caller)?;
    let UnsubscribeParams { subscription } = named(&params, UNSUBSCRIBE)?;
    if channel.desk.end(&subscription) {
        return Ok(Bytes::from_static(b"{\"ok\":true}"));
    }
    Err(error(INVALID_PARAMS, format!("this connection has no subscription `{subscription}`")))
}

fn channel(caller: &Caller) -> Result<&Arc<Channel>, ErrorObjectOwned> {
    let missing = || error(INVALID_REQUEST, "changes are told on a connection that lasts: open a WebSocket at /rpc");
    caller.channel.as_ref().ok_or_else(missing)
}
