//! What happens, told to those outside who subscribed: one item of the outbox for each changed record and subscriber, in
//! the transaction of the call. From then on it is a matter of the outbox.
//!
//! An item names the action and the place in it; what the record was and became is in the journal, which nobody can
//! change. So an event is told in the same words at every attempt, and secrets are in it no more than in the journal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::access::bump_epoch;
use crate::ctx::{Ctx, OutsideEffect, differences};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::gate::Bureau;
use crate::news::Operation;
use crate::outbox::{self, Item};
use crate::record::Record;
use crate::registry::Registry;
use crate::sql::Sql;
use crate::table::Table;
use crate::time::Instant;

/// The kind of events in the outbox.
pub const KIND: &str = "webhook";
/// The event by which a receiver is tried out.
pub const TEST: &str = "webhook.test";
/// What can become of a record, as events and Intum name it.
pub const OPERATIONS: &[&str] = &["create", "update", "destroy"];

/// Tenants beyond this many are looked up anew.
const CACHED_LIMIT: usize = 20_000;

/// Who wants to know of what.
#[derive(Debug)]
struct Subscriber {
    webhook_id: Uuid,
    /// Only what belongs to this organization.
    organization_id: Option<Uuid>,
    /// `task.update`, `task.*` or `*`.
    events: Vec<String>,
}

/// The subscribers of each tenant, good for one state of all rights: a change of webhooks counts as one of rights.
#[derive(Debug, Default)]
pub(crate) struct Subscribers(Mutex<HashMap<Uuid, Known>>);

/// The subscribers of one tenant at one state of all rights.
#[derive(Debug, Clone)]
struct Known {
    epoch: i64,
    subscribers: Arc<Vec<Subscriber>>,
}

impl Subscribers {
    async fn find(&self, ctx: &mut Ctx) -> Result<Arc<Vec<Subscriber>>> {
        let (tenant, epoch) = (ctx.principal.tenant_id, ctx.principal.epoch);
        // A call that changes rights itself sees what nobody else does yet, and may be rolled back.
        let is_settled = !ctx.changes.iter().any(|change| change.table.rights);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&tenant).cloned();
        if let Some(known) = known.filter(|known| is_settled && known.epoch == epoch) {
            return Ok(known.subscribers);
        }
        let subscribers = Arc::new(load(&mut ctx.tx, tenant).await?);
        if is_settled {
            let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if cache.len() >= CACHED_LIMIT {
                cache.clear();
            }
            cache.insert(tenant, Known { epoch, subscribers: subscribers.clone() });
        }
        Ok(subscribers)
    }
}

async fn load(tx: &mut Tx, tenant: Uuid) -> Result<Vec<Subscriber>> {
    let sql = Sql::with(
        "SELECT id, organization_id, events FROM webhooks WHERE tenant_id = $1 AND active AND NOT EXISTS (SELECT 1 FROM \
         webhook_states WHERE webhook_states.tenant_id = $1 AND webhook_states.webhook_id = webhooks.id \
         AND webhook_states.disabled_at IS NOT NULL) ORDER BY num",
        [tenant.into()],
    );
    let rows = tx.query(&sql).await?;
    rows.iter()
        .map(|row| {
            let events: Value = row.get(2)?;
            let events = serde_json::from_value(events).map_err(Error::internal)?;
            Ok(Subscriber { webhook_id: row.get(0)?, organization_id: row.get(1)?, events })
        })
        .collect()
}

/// From the commit of this transaction on, subscribers are looked up anew.
pub async fn subscribers_changed(tx: &mut Tx) -> Result<()> {
    bump_epoch(tx).await
}

/// What one action made of one record.
struct Happened<'a> {
    table: &'static Table,
    id: Uuid,
    first: usize,
    last: usize,
    before: Option<&'a Map<String, Value>>,
    after: Option<&'a Map<String, Value>>,
}

impl Happened<'_> {
    fn operation(&self) -> Option<Operation> {
        match (self.before, self.after) {
            (None, Some(_)) => Some(Operation::Create),
            (Some(_), Some(_)) => Some(Operation::Update),
            (Some(_), None) => Some(Operation::Delete),
            (None, None) => None,
        }
    }

    fn is_of(&self, organization: Uuid) -> bool {
        let named = |snapshot: &Option<&Map<String, Value>>| {
            let found = snapshot.and_then(|snapshot| snapshot.get("organization_id")).and_then(Value::as_str);
            found.and_then(|text| Uuid::try_parse(text).ok()) == Some(organization)
        };
        self.table.in_organization && [self.before, self.after].iter().any(named)
    }
}

/// As Intum names it.
fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "create",
        Operation::Update => "update",
        Operation::Delete => "destroy",
    }
}

/// What a record is called in events: of those that share a table, each by its own name.
fn source_type(registry: &Registry, table: &'static Table, snapshot: &Map<String, Value>) -> String {
    let kind = snapshot.get("kind").and_then(Value::as_str);
    let own = kind.filter(|kind| registry.find(&format!("{kind}_show")).is_some());
    own.unwrap_or(table.noun).to_owned()
}

/// Whether a subscription such as `task.*` is about this event.
fn covers(subscribed: &str, source_type: &str, operation: &str) -> bool {
    match subscribed.split_once('.') {
        None => subscribed == "*",
        Some((of, what)) => of == source_type && (what == "*" || what == operation),
    }
}

/// Puts an item into the outbox for each subscriber and each record that this call changed.
pub(crate) async fn tell(ctx: &mut Ctx, action: Uuid) -> Result<()> {
    if ctx.changes.is_empty() {
        return Ok(());
    }
    let bureau = ctx.bureau.clone();
    let subscribers = bureau.subscribers.find(ctx).await?;
    if subscribers.is_empty() {
        return Ok(());
    }
    let mut items = Vec::new();
    for happened in happened(ctx) {
        let Some(operation) = happened.operation().map(operation_name) else { continue };
        let Some(snapshot) = happened.after.or(happened.before) else { continue };
        let source_type = source_type(&bureau.registry, happened.table, snapshot);
        for subscriber in subscribers.iter() {
            let within = subscriber.organization_id.is_none_or(|organization| happened.is_of(organization));
            if !within || !subscriber.events.iter().any(|event| covers(event, &source_type, operation)) {
                continue;
            }
            let payload =
                json!({"event": format!("{source_type}.{operation}"), "first": happened.first, "last": happened.last});
            items.push(OutsideEffect {
                kind: KIND,
                subject_id: Some(happened.id),
                lane: Some(subscriber.webhook_id),
                payload,
            });
        }
    }
    for item in items {
        let id = ctx.new_id();
        outbox::put(&mut ctx.tx, ctx.principal.tenant_id, id, action, &item, ctx.now).await?;
        ctx.resent = true;
    }
    Ok(())
}

/// The records that a call changed, each once, with what became of it in the end.
fn happened(ctx: &Ctx) -> Vec<Happened<'_>> {
    let mut places: HashMap<Uuid, usize> = HashMap::new();
    let mut all: Vec<Happened<'_>> = Vec::new();
    for (sequence, change) in ctx.changes.iter().enumerate() {
        let known = places.get(&change.id).and_then(|place| all.get_mut(*place));
        if let Some(happened) = known {
            happened.last = sequence;
            happened.after = change.after.as_ref();
            continue;
        }
        places.insert(change.id, all.len());
        all.push(Happened {
            table: change.table,
            id: change.id,
            first: sequence,
            last: sequence,
            before: change.before.as_ref(),
            after: change.after.as_ref(),
        });
    }
    all
}

/// An event as it is told.
#[derive(Debug)]
pub struct Told {
    /// With everything around it.
    pub event: Value,
    /// The record alone, as it is now, or was before it was deleted.
    pub record: Value,
}

/// Puts an event together out of the journal. None when the journal does not hold it.
pub async fn told(bureau: &Bureau, tx: &mut Tx, item: &Item) -> Result<Option<Told>> {
    let name = item.payload.get("event").and_then(Value::as_str).unwrap_or_default();
    if name == TEST {
        let record = json!({"message": "This is a test. Nothing happened."});
        let event = json!({
            "id": item.id, "type": name, "timestamp": item.created_at, "tenant_id": item.tenant_id, "data": record,
        });
        return Ok(Some(Told { event, record }));
    }
    let place = |name: &str| item.payload.get(name).and_then(Value::as_i64).unwrap_or_default();
    let sql = Sql::with(
        "SELECT l.tool, l.actor_id, l.actor_label, l.created_at, f.table_name, f.before, n.after FROM action_logs l \
         JOIN action_changes f ON f.action_id = l.id AND f.tenant_id = $1 AND f.sequence = $3 \
         JOIN action_changes n ON n.action_id = l.id AND n.tenant_id = $1 AND n.sequence = $4 \
         WHERE l.tenant_id = $1 AND l.id = $2",
        [item.tenant_id.into(), item.action_id.into(), place("first").into(), place("last").into()],
    );
    let rows = tx.query(&sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let Some(table) = bureau.registry.table(&row.get::<String>(4)?) else { return Ok(None) };
    let (tool, actor_id, actor): (String, Uuid, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let at: Instant = row.get(3)?;
    let (before, after) = (snapshot(table, row.get(5)?)?, snapshot(table, row.get(6)?)?);
    let (source_type, operation) = name.split_once('.').unwrap_or_default();
    let shown = |snapshot: &Option<Map<String, Value>>| -> Result<Value> {
        snapshot
            .as_ref()
            .map_or(Ok(Value::Null), |snapshot| Ok(Value::Object(Record::from_snapshot(table, snapshot)?.to_json())))
    };
    let record = if after.is_some() { shown(&after)? } else { shown(&before)? };
    let mut event = json!({
        "id": item.id,
        "type": name,
        "timestamp": at,
        "tenant_id": item.tenant_id,
        "source_type": source_type,
        "kind": operation,
        "action_id": item.action_id,
        "tool": tool,
        "actor": {"id": actor_id, "name": actor},
        "data": record,
    });
    if let (Some(event), true) = (event.as_object_mut(), before.is_some() && after.is_some()) {
        event.insert("changes".into(), differences(before.as_ref(), after.as_ref()));
    }
    Ok(Some(Told { event, record }))
}

/// A snapshot of the journal without the columns that no tool shows.
fn snapshot(table: &'static Table, text: Option<String>) -> Result<Option<Map<String, Value>>> {
    let Some(text) = text else { return Ok(None) };
    let mut snapshot: Map<String, Value> = serde_json::from_str(&text).map_err(Error::internal)?;
    for column in table.columns.iter().filter(|column| column.hidden || column.secret) {
        snapshot.shift_remove(column.name);
    }
    Ok(Some(snapshot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_about_what_they_name() {
        for (subscribed, expected) in [
            ("*", true),
            ("task.*", true),
            ("task.update", true),
            ("task.create", false),
            ("tas.*", false),
            ("tasklist.update", false),
        ] {
            assert_eq!(covers(subscribed, "task", "update"), expected, "{subscribed}");
        }
    }
}
