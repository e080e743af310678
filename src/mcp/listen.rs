//! Hearing of changes: `subscriptions/listen` of the stateless generation, and what a session of the handshake one is told
//! without asking for more than `resources/subscribe`.

use std::sync::{Arc, PoisonError};

use bureau_kit::id::Key;
use bytes::Bytes;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::greet::only_in;
use super::records::{Kind, SCHEME};
use super::session::{Outlet, Session};
use super::{Service, named, principal, protocol_error, resources};
use crate::feed::{Event, Item, Lists, Subscription, Topic, Topics};
use crate::rpc::{Caller, Era, INVALID_PARAMS, INVALID_REQUEST, error};

/// Resources that one client may subscribe to in one session or request.
const SUBSCRIPTIONS: usize = 1_000;
/// Under which key a message says which request it belongs to.
const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
const UPDATED: &str = "notifications/resources/updated";

#[derive(Deserialize)]
struct ListenParams {
    notifications: Wanted,
}

/// What a client wants to hear of. Kinds that are not known here are left out of what is acknowledged.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    #[serde(default)]
    tools_list_changed: bool,
    #[serde(default)]
    prompts_list_changed: bool,
    #[serde(default)]
    resources_list_changed: bool,
    #[serde(default)]
    resource_subscriptions: Vec<String>,
}

/// `subscriptions/listen`: goes on until its client or the server stops, or the credential is good no more.
pub(super) async fn listen(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    only_in(Era::Stateless, &caller, "subscriptions/listen")?;
    principal(&service.bureau, &caller).await?;
    let wanted = named::<ListenParams>(&params, "subscriptions/listen")?.notifications;
    if wanted.resource_subscriptions.len() > SUBSCRIPTIONS {
        return Err(too_many());
    }
    let (Some(outlet), Some(id)) = (&caller.outlet, &caller.request) else {
        let text = "subscriptions/listen answers with a stream of events: send it alone, and let Accept allow text/event-stream";
        return Err(error(INVALID_REQUEST, text));
    };
    let lists = Lists {
        tools: wanted.tools_list_changed,
        prompts: wanted.prompts_list_changed,
        resources: wanted.resources_list_changed,
    };
    let changes = !wanted.resource_subscriptions.is_empty();
    // Before the resources are looked at, so that no change falls between.
    let subscription = service.feed.subscribe(&service, &caller, lists, changes).await;
    let mut subscription = subscription.map_err(|cause| protocol_error(&cause))?;
    let mut topics = Topics::new();
    let mut accepted = Vec::new();
    for uri in wanted.resource_subscriptions {
        if let Ok(topic) = topic(&service, &uri, &caller).await {
            accepted.push(uri.clone());
            topics.insert(uri, topic);
        }
    }
    let id: Value = serde_json::from_str(id).unwrap_or_default();
    let meta = json!({SUBSCRIPTION_ID: id});
    let mut acknowledged = Map::new();
    for (wanted, name) in [
        (lists.tools, "toolsListChanged"),
        (lists.prompts, "promptsListChanged"),
        (lists.resources, "resourcesListChanged"),
    ] {
        if wanted {
            acknowledged.insert(name.into(), Value::Bool(true));
        }
    }
    if !accepted.is_empty() {
        acknowledged.insert("resourceSubscriptions".into(), json!(accepted));
    }
    let params = json!({"notifications": acknowledged, "_meta": meta});
    outlet.send(&notification("notifications/subscriptions/acknowledged", params)).await;
    let mut stopping = caller.stopping.clone();
    loop {
        let item = tokio::select! {
            item = subscription.next() => item,
            () = stopped(&mut stopping) => None,
        };
        let Some(item) = item else { break };
        for (method, mut params) in messages(&item, &subscription, &topics) {
            params.insert("_meta".into(), meta.clone());
            outlet.send(&notification(method, Value::Object(params))).await;
        }
    }
    Ok(Bytes::from(json!({"resultType": "complete", "_meta": meta}).to_string()))
}

/// Waits for the server to stop; for ever where nobody would say so.
async fn stopped(stopping: &mut Option<tokio::sync::watch::Receiver<bool>>) {
    match stopping {
        Some(stopping) => drop(stopping.wait_for(|stop| *stop).await),
        None => std::future::pending().await,
    }
}

fn notification(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

fn too_many() -> ErrorObjectOwned {
    let text = format!("at most {SUBSCRIPTIONS} resources can be subscribed to; unsubscribe from some first");
    error(INVALID_PARAMS, text)
}

/// What a client is to be told of an item.
fn messages(item: &Item, subscription: &Subscription, topics: &Topics) -> Vec<(&'static str, Map<String, Value>)> {
    let updated = |uri: &str| (UPDATED, Map::from_iter([("uri".to_owned(), json!(uri))]));
    let those = |wanted: &dyn Fn(&Topic) -> bool| {
        topics.iter().filter(|(_, topic)| wanted(topic)).map(|(uri, _)| updated(uri)).collect()
    };
    match item {
        Item::Event(event) => match &**event {
            Event::Changed(change, _) => {
                let record = Some((change.table.name, change.id));
                those(&|topic| {
                    topic.record == record && topic.kind.is_some_and(|kind| subscription.may_know(change, kind))
                })
            }
            Event::Updated(uri) => topics.get(uri).map(|_| updated(uri)).into_iter().collect(),
        },
        Item::Rights => those(&|topic| topic.follows_rights),
        // All of them may be other than they were read.
        Item::Missed => those(&|_| true),
        Item::Lists(lists) => {
            let lists = [
                (lists.tools, "notifications/tools/list_changed"),
                (lists.prompts, "notifications/prompts/list_changed"),
                (lists.resources, "notifications/resources/list_changed"),
            ];
            lists.into_iter().filter(|(changed, _)| *changed).map(|(_, method)| (method, Map::new())).collect()
        }
    }
}

/// What changes a resource, once the caller was found to be allowed to read it.
async fn topic(service: &Arc<Service>, uri: &str, caller: &Arc<Caller>) -> Result<Topic, ErrorObjectOwned> {
    let record = uri.strip_prefix(SCHEME).and_then(|path| path.split_once('/'));
    if let Some((name, id)) = record
        && let Some(kind) = Kind::named(&service.bureau.registry, name)
        && let Some((table, known)) = service.feed.kind(name)
        && let Ok(key) = Key::parse(id)
    {
        let shown = kind.read(&service.bureau, key, caller).await?;
        let id = match key {
            Key::Uuid(id) => Some(id),
            Key::Num(_) => id_of(&shown),
        };
        let id = id.ok_or_else(|| error(INVALID_PARAMS, "give the UUID of the record, which does not change"))?;
        return Ok(Topic { record: Some((table, id)), kind: Some(known), follows_rights: false });
    }
    let listed = service.extension.iter().flat_map(|extension| extension.resources());
    if !listed.into_iter().any(|resource| resource.get("uri").and_then(Value::as_str) == Some(uri)) {
        let params = json!({"uri": uri}).to_string();
        resources::read(service.clone(), Params::new(Some(&params)).into_owned(), caller.clone()).await?;
    }
    Ok(Topic { record: None, kind: None, follows_rights: uri.starts_with(SCHEME) })
}

fn id_of(shown: &[u8]) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct Shown {
        id: Uuid,
    }
    serde_json::from_slice(shown).ok().map(|shown: Shown| shown.id)
}

#[derive(Deserialize)]
struct ResourceParams {
    uri: String,
}

/// `resources/subscribe`, in a session.
pub(super) async fn subscribe(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    only_in(Era::Handshake, &caller, "resources/subscribe")?;
    principal(&service.bureau, &caller).await?;
    let ResourceParams { uri } = named(&params, "resources/subscribe")?;
    let session = session_of(&caller)?;
    let is_full = |session: &Session| {
        let topics = session.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        topics.len() >= SUBSCRIPTIONS && !topics.contains_key(&uri)
    };
    if is_full(session) {
        return Err(too_many());
    }
    let topic = topic(&service, &uri, &caller).await?;
    session.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).insert(uri, topic);
    follow(&service, session, &caller).await.map_err(|cause| protocol_error(&cause))?;
    Ok(Bytes::from_static(b"{}"))
}

/// `resources/unsubscribe`, in a session.
pub(super) async fn unsubscribe(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    only_in(Era::Handshake, &caller, "resources/unsubscribe")?;
    principal(&service.bureau, &caller).await?;
    let ResourceParams { uri } = named(&params, "resources/unsubscribe")?;
    session_of(&caller)?.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).remove(&uri);
    Ok(Bytes::from_static(b"{}"))
}

fn session_of(caller: &Caller) -> Result<&Arc<Session>, ErrorObjectOwned> {
    let missing = || error(INVALID_REQUEST, "subscriptions need a session: send `initialize`, and name the session");
    caller.session.as_ref().ok_or_else(missing)
}

/// Has a session told what changes, from now on for as long as its caller's credential is good. Where that happens
/// already, nothing changes.
pub(crate) async fn follow(
    service: &Arc<Service>,
    session: &Arc<Session>,
    caller: &Arc<Caller>,
) -> bureau_kit::error::Result<()> {
    let subscribed = !session.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
    // Apart, so that the many sessions that want no changes are not woken by each.
    for changes in [false, true] {
        if (changes && !subscribed) || session.is_told(changes) {
            continue;
        }
        let lists = Lists { tools: !changes, prompts: !changes, resources: !changes };
        let mut subscription = service.feed.subscribe(service, caller, lists, changes).await?;
        let outlet = match &caller.outlet {
            Some(Outlet::Queue(queue)) => Outlet::Queue(queue.clone()),
            _ => Outlet::Stream(session.standing.clone()),
        };
        let told = session.clone();
        let task = tokio::spawn(async move {
            while let Some(item) = subscription.next().await {
                // Told by the one that hears of changes.
                if !changes && !matches!(item, Item::Lists(_)) {
                    continue;
                }
                let messages = {
                    let topics = told.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
                    messages(&item, &subscription, &topics)
                };
                for (method, params) in messages {
                    let params = if params.is_empty() { None } else { Some(params) };
                    let mut message = json!({"jsonrpc": "2.0", "method": method});
                    if let (Some(params), Some(members)) = (params, message.as_object_mut()) {
                        members.insert("params".into(), Value::Object(params));
                    }
                    outlet.send(&message).await;
                }
                if outlet.is_closed() {
                    break;
                }
            }
        });
        session.tell_with(changes, task.abort_handle());
    }
    Ok(())
}
