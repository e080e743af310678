//! Carrying an event to a webhook.

use std::sync::Arc;
use std::time::Duration;

use bureau_kit::db::Tx;
use bureau_kit::events::{self, TEST};
use bureau_kit::gate::Bureau;
use bureau_kit::mail::{Draft, Letter, Request};
use bureau_kit::outbox::{self, Carried, Carrier, Item};
use bureau_kit::prelude::*;

use crate::receiver::{Answer, Message, Receivers};
use crate::{signature, webhook_secrets};

/// Name of the mail that tells of a webhook which was switched off.
const NOTICE: &str = "webhook_disabled";
/// Pauses between attempts, in seconds (Standard Webhooks): in all a little more than three days.
const PAUSES: [u64; 9] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// A webhook to which nothing could be delivered for as long is switched off.
const LASTING_MINUTES: i64 = 5 * 24 * 60;
/// How long the secret before the present one signs too.
const OVERLAP_MINUTES: i64 = 24 * 60;

/// Carries events to webhooks.
#[derive(Debug)]
pub struct WebhookCarrier {
    receivers: Receivers,
}

/// A webhook, as a delivery needs it.
struct Target {
    url: String,
    is_on: bool,
    is_plain: bool,
    keys: Vec<Vec<u8>>,
    api_token: Option<String>,
}

impl WebhookCarrier {
    /// Goes to receivers by this way.
    pub fn new(receivers: Receivers) -> Self {
        Self { receivers }
    }

    /// The webhook and the message to it; none when either is gone.
    async fn prepared(bureau: &Bureau, tx: &mut Tx, item: &Item) -> Result<Option<(Target, Message)>> {
        let now = bureau.clock.now();
        let Some(target) = target(bureau, tx, item.tenant_id, item.lane, now).await? else { return Ok(None) };
        let Some(told) = events::told(bureau, tx, item).await? else { return Ok(None) };
        let body = if target.is_plain { told.record } else { told.event };
        let body = serde_json::to_vec(&body).map_err(Error::internal)?;
        let id = item.id.to_string();
        let timestamp = now.micros().div_euclid(1_000_000);
        let signature = signature::header(&target.keys, &id, timestamp, &body);
        let message = Message { id, timestamp, signature, api_token: target.api_token.clone(), body };
        Ok(Some((target, message)))
    }
}

async fn target(bureau: &Bureau, tx: &mut Tx, tenant: Uuid, webhook: Uuid, now: Instant) -> Result<Option<Target>> {
    let sql = Sql::with(
        "SELECT w.url, w.active, w.format, w.secret_id, w.previous_secret_id, w.rotated_at, w.api_token_id, s.disabled_at \
         FROM webhooks w LEFT JOIN webhook_states s ON s.webhook_id = w.id AND s.tenant_id = $1 \
         WHERE w.tenant_id = $1 AND w.id = $2",
        [tenant.into(), webhook.into()],
    );
    let rows = tx.query(&sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let format: String = row.get(2)?;
    let disabled_at: Option<Instant> = row.get(7)?;
    let is_on = row.get::<bool>(1)? && disabled_at.is_none();
    let rotated_at: Option<Instant> = row.get(5)?;
    let overlaps = rotated_at.is_some_and(|at| now < at.plus_minutes(OVERLAP_MINUTES));
    let secrets = [Some(row.get::<String>(3)?), row.get::<Option<String>>(4)?.filter(|_| overlaps)];
    let mut keys = Vec::new();
    for pointer in secrets.iter().flatten() {
        let secret = webhook_secrets::find(bureau, tx, tenant, pointer).await?;
        keys.push(webhook_secrets::key_of(&secret).ok_or_else(|| Error::internal("a webhook's secret is none"))?);
    }
    let api_token = match row.get::<Option<String>>(6)? {
        Some(pointer) => Some(webhook_secrets::find(bureau, tx, tenant, &pointer).await?),
        None => None,
    };
    Ok(Some(Target { url: row.get(0)?, is_on, is_plain: format == "record", keys, api_token }))
}

impl Carrier for WebhookCarrier {
    fn kind(&self) -> &'static str {
        events::KIND
    }

    fn pause_after(&self, attempt: i64) -> Option<Duration> {
        let place = usize::try_from(attempt.saturating_sub(1)).unwrap_or_default();
        PAUSES.get(place).copied().map(Duration::from_secs)
    }

    fn carry<'a>(&'a self, bureau: &'a Arc<Bureau>, item: &'a Item) -> BoxFuture<'a, Result<Carried>> {
        Box::pin(async move {
            let (by, of) = (bureau.clone(), item.clone());
            let prepared =
                bureau.look(item.tenant_id, |tx| Box::pin(async move { Self::prepared(&by, tx, &of).await }));
            let Some((target, message)) = prepared.await? else {
                return Ok(Carried::give_up("the webhook, or what happened, is there no more"));
            };
            let is_test = item.payload.get("event").and_then(Value::as_str) == Some(TEST);
            // A test is there to find out whether to switch it on.
            if !target.is_on && !is_test {
                return Ok(Carried::give_up("the webhook is switched off"));
            }
            let answer = self.receivers.post(&target.url, message).await;
            let carried = judged(&answer);
            let (by, of, came) = (bureau.clone(), item.clone(), carried.clone());
            let written = bureau.keep_books(item.tenant_id, |tx| {
                Box::pin(async move { write_down(&by, tx, &of, &answer, &came, is_test).await })
            });
            let is_off = written.await?;
            if is_off {
                tracing::warn!(tenant = %item.tenant_id, webhook = %item.lane, "a webhook was switched off after lasting failure");
                bureau.outbox.wake();
            }
            Ok(carried)
        })
    }
}

/// Only 2xx is a success; what moved elsewhere is not followed.
fn judged(answer: &Answer) -> Carried {
    match (answer.status, answer.error) {
        (Some(200..=299), _) => Carried::Delivered,
        (Some(410), _) => Carried::give_up("the receiver answered 410: it is gone for good"),
        (Some(status), _) => Carried::Again { reason: format!("the receiver answered {status}"), pause: answer.pause },
        (None, error) => Carried::again(error.unwrap_or("the receiver did not answer")),
    }
}

/// The attempt, and what it means for the webhook. True when that is switched off by it.
async fn write_down(
    bureau: &Bureau,
    tx: &mut Tx,
    item: &Item,
    answer: &Answer,
    carried: &Carried,
    is_test: bool,
) -> Result<bool> {
    let now = bureau.clock.now();
    let (tenant, webhook) = (item.tenant_id, item.lane);
    let attempt = Sql::with(
        "INSERT INTO webhook_attempts (id, tenant_id, delivery_id, attempt, status_code, duration_ms, error, answer, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        [
            bureau.ids.next(now).into(),
            tenant.into(),
            item.id.into(),
            item.attempt.into(),
            answer.status.map(i64::from).into(),
            Val::Int(i64::try_from(answer.took.as_millis()).unwrap_or(i64::MAX)),
            answer.error.map(str::to_owned).into(),
            answer.body.clone().into(),
            now.into(),
        ],
    );
    tx.query(&attempt).await?;
    if is_test {
        return Ok(false);
    }
    if *carried == Carried::Delivered {
        let good = Sql::with(
            "INSERT INTO webhook_states (webhook_id, tenant_id, last_success_at) VALUES ($1, $2, $3) \
             ON CONFLICT (webhook_id) DO UPDATE SET failing_since = NULL, last_success_at = $3",
            [webhook.into(), tenant.into(), now.into()],
        );
        tx.query(&good).await?;
        return Ok(false);
    }
    let bad = Sql::with(
        "INSERT INTO webhook_states (webhook_id, tenant_id, failing_since) VALUES ($1, $2, $3) \
         ON CONFLICT (webhook_id) DO UPDATE SET failing_since = COALESCE(webhook_states.failing_since, $3) \
         RETURNING failing_since, disabled_at",
        [webhook.into(), tenant.into(), now.into()],
    );
    let rows = tx.query(&bad).await?;
    let row = rows.first().ok_or_else(|| Error::internal("a webhook has no state"))?;
    let (since, disabled_at): (Instant, Option<Instant>) = (row.get(0)?, row.get(1)?);
    let lasts = since.plus_minutes(LASTING_MINUTES) <= now;
    let reason = match carried {
        _ if disabled_at.is_some() => return Ok(false),
        Carried::GiveUp { reason } => reason.clone(),
        Carried::Again { reason, .. } if lasts => format!("nothing could be delivered for five days; last, {reason}"),
        _ => return Ok(false),
    };
    let off = Sql::with(
        "UPDATE webhook_states SET disabled_at = $1, disabled_reason = $2 WHERE webhook_id = $3 AND tenant_id = $4",
        [now.into(), reason.into(), webhook.into(), tenant.into()],
    );
    tx.query(&off).await?;
    events::subscribers_changed(tx).await?;
    outbox::notify(tx, bureau, tenant, NOTICE, webhook).await?;
    Ok(true)
}

/// Tells the person who made a webhook that it was switched off.
#[derive(Debug)]
pub(crate) struct WebhookDisabledLetter;

impl Letter for WebhookDisabledLetter {
    fn template(&self) -> &'static str {
        NOTICE
    }

    fn write<'a>(&'a self, tx: &'a mut Tx, request: &'a Request<'a>) -> BoxFuture<'a, Result<Option<Draft>>> {
        Box::pin(async move {
            let sql = Sql::with(
                "SELECT users.email, users.locale, tenants.name, webhooks.url, webhook_states.disabled_reason FROM webhooks \
                 JOIN webhook_states ON webhook_states.webhook_id = webhooks.id AND webhook_states.disabled_at IS NOT NULL \
                 JOIN users ON users.tenant_id = $1 AND users.id = webhooks.creator_id AND users.active \
                 JOIN tenants ON tenants.id = $1 WHERE webhooks.tenant_id = $1 AND webhooks.id = $2",
                [request.tenant_id.into(), request.subject_id.into()],
            );
            let rows = tx.query(&sql).await?;
            // Switched on again, or made by nobody who reads mails.
            let Some(row) = rows.first() else { return Ok(None) };
            let reason: Option<String> = row.get(4)?;
            Ok(Some(Draft {
                to: row.get(0)?,
                locale: row.get(1)?,
                link: None,
                values: vec![("tenant", row.get(2)?), ("url", row.get(3)?), ("reason", reason.unwrap_or_default())],
            }))
        })
    }
}
