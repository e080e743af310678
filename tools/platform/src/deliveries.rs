//! What became of each message to a webhook: the item of the outbox that it is, and the attempts to carry it.

use std::collections::HashMap;

use bureau_kit::events::{self, TEST};
use bureau_kit::prelude::*;

use crate::webhooks::{self, MANAGE, VIEW, WEBHOOKS, Webhook};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("webhook_delivery_list", VIEW, list)
            .title("List a webhook's deliveries")
            .about(
                "List what a webhook was told, newest first, with each attempt: status, time taken and how the receiver's answer \
                 began. Kept for 30 days. webhook_delivery_replay sends one again.",
            )
            .synonyms("log attempts failures dziennik dostarczeń webhooka журнал доставок вебхука"),
        Tool::action("webhook_delivery_replay", MANAGE, replay)
            .open_world()
            .idempotent()
            .irreversible("what was sent to the receiver cannot be taken back")
            .title("Send a delivery again")
            .about(
                "Send a webhook's delivery again, at once and under its id, by which the receiver knows it; also one that waits for \
                 its next attempt. See webhook_delivery_list for the ids and for what became of it.",
            )
            .synonyms("resend retry redeliver wyślij ponownie powtórz webhook надіслати знову повторити вебхук"),
        Tool::action("webhook_test", MANAGE, test)
            .open_world()
            .irreversible("what was sent to the receiver cannot be taken back")
            .title("Test a webhook")
            .about(
                "Send a test message (webhook.test) to a webhook, also to one that is switched off. It goes out after this call: look \
                 at the delivery with webhook_delivery_list a moment later.",
            )
            .synonyms("ping try check wypróbuj sprawdź webhook перевірити спробувати вебхук"),
    ]
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    /// To be sent, for the first time or again.
    Waiting,
    /// Delivered.
    Done,
    /// Given up.
    Failed,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// UUID or number of the webhook.
    webhook_id: Id<Webhook>,
    /// Only those in this state.
    state: Option<State>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 when left out.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Delivery {
    /// UUID of the delivery: what the receiver sees as webhook-id.
    id: String,
    /// What it was told, such as task.update.
    event: String,
    /// UUID of the record it is about.
    record_id: Option<String>,
    /// UUID of the action that it follows from.
    action_id: String,
    /// waiting, done or failed.
    state: String,
    /// How often it was tried.
    attempts: i64,
    /// When it is tried next; null when it has ended.
    next_at: Option<Instant>,
    /// Why it is not delivered.
    last_error: Option<String>,
    /// When it ended.
    done_at: Option<Instant>,
    /// When it was asked for.
    created_at: Instant,
    /// The attempts, oldest first.
    log: Vec<Attempt>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Attempt {
    /// Which attempt it was, from 1 after each replay.
    attempt: i64,
    /// When it was made.
    at: Instant,
    /// What the receiver answered; null when it did not.
    status_code: Option<i64>,
    /// Why it did not.
    error: Option<String>,
    /// How long it took, in milliseconds.
    duration_ms: i64,
    /// How the answer began, up to 1 KB.
    answer: Option<String>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<Delivery>> {
    let (page, size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    let webhook = ctx.fetch(input.webhook_id).await?;
    let tenant = ctx.tenant_id();
    let narrowed = |sql: &mut Sql| {
        sql.bind(tenant).and_eq("lane", webhook.id).and_eq("kind", events::KIND);
        if let Some(state) = input.state {
            sql.and_eq("state", state.name());
        }
    };
    let mut counted = Sql::new("SELECT 1 FROM outbox WHERE tenant_id = ");
    narrowed(&mut counted);
    let total = ctx.count_up_to(page::COUNT_LIMIT.saturating_add(1), counted).await?;
    let mut sql = Sql::new(
        "SELECT id, payload, subject_id, action_id, state, attempts, next_at, last_error, done_at, created_at FROM outbox \
         WHERE tenant_id = ",
    );
    narrowed(&mut sql);
    sql.push(" ORDER BY created_at DESC, id DESC LIMIT ").bind(size);
    sql.push(" OFFSET ").bind(page.saturating_sub(1).saturating_mul(size));
    let rows = ctx.rows(&sql).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect::<Result<_>>()?;
    let mut attempts = attempts(ctx, &ids).await?;
    let delivery = |row: &bureau_kit::value::Row| {
        let (id, payload, state): (Uuid, Value, String) = (row.get(0)?, row.get(1)?, row.get(4)?);
        let next_at: Option<Instant> = row.get(6)?;
        Ok(Delivery {
            id: id.to_string(),
            event: payload.get("event").and_then(Value::as_str).unwrap_or_default().to_owned(),
            record_id: row.get::<Option<Uuid>>(2)?.map(|id| id.to_string()),
            action_id: row.get::<Uuid>(3)?.to_string(),
            attempts: row.get(5)?,
            next_at: next_at.filter(|_| state == State::Waiting.name()),
            last_error: row.get(7)?,
            done_at: row.get(8)?,
            created_at: row.get(9)?,
            log: attempts.remove(&id).unwrap_or_default(),
            state,
        })
    };
    Ok(Page::new(rows.iter().map(delivery).collect::<Result<_>>()?, total, page, size))
}

async fn attempts(ctx: &mut Ctx, deliveries: &[Uuid]) -> Result<HashMap<Uuid, Vec<Attempt>>> {
    let mut sql = Sql::new(
        "SELECT delivery_id, attempt, created_at, status_code, error, duration_ms, answer FROM webhook_attempts WHERE tenant_id = ",
    );
    sql.bind(ctx.tenant_id()).and_in("delivery_id", deliveries.iter().copied()).push(" ORDER BY created_at, id");
    let mut found: HashMap<Uuid, Vec<Attempt>> = HashMap::new();
    for row in ctx.rows(&sql).await? {
        found.entry(row.get(0)?).or_default().push(Attempt {
            attempt: row.get(1)?,
            at: row.get(2)?,
            status_code: row.get(3)?,
            error: row.get(4)?,
            duration_ms: row.get(5)?,
            answer: row.get(6)?,
        });
    }
    Ok(found)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReplayInput {
    /// UUID of the delivery, from webhook_delivery_list.
    id: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Replayed {
    /// UUID of the delivery.
    id: String,
    /// UUID of the webhook it goes to.
    webhook_id: String,
    /// What it tells.
    event: String,
}

async fn replay(ctx: &mut Ctx, input: ReplayInput) -> Result<Replayed> {
    let id = Uuid::try_parse(input.id.trim())
        .map_err(|_| Error::invalid("/id", "is no UUID; webhook_delivery_list has those of deliveries"))?;
    let missing = || Error::not_found("webhook_delivery", id);
    let sql = Sql::with(
        "SELECT lane, payload FROM outbox WHERE tenant_id = $1 AND id = $2 AND kind = $3",
        [ctx.tenant_id().into(), id.into(), events::KIND.into()],
    );
    let rows = ctx.rows(&sql).await?;
    let row = rows.first().ok_or_else(missing)?;
    let (webhook, payload): (Uuid, Value) = (row.get(0)?, row.get(1)?);
    // Deleted, or of an organization that the caller does not see.
    ctx.find_in(&WEBHOOKS, Key::Uuid(webhook)).await?.ok_or_else(missing)?;
    webhooks::own(ctx, Id::from(webhook)).await?;
    if !ctx.send_again(events::KIND, id).await? {
        return Err(Error::conflict(
            "This delivery is under way right now. Look at webhook_delivery_list in a moment, and replay it then if it failed.",
        ));
    }
    let event = payload.get("event").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Replayed { id: id.to_string(), webhook_id: webhook.to_string(), event })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TestInput {
    /// UUID or number of the webhook.
    id: Id<Webhook>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Tested {
    /// UUID of the webhook.
    webhook_id: String,
    /// Address that the test goes to.
    url: String,
}

async fn test(ctx: &mut Ctx, input: TestInput) -> Result<Tested> {
    let webhook = webhooks::own(ctx, input.id).await?;
    ctx.send_out(events::KIND, Some(webhook.id), Some(webhook.id), json!({"event": TEST}));
    Ok(Tested { webhook_id: webhook.id.to_string(), url: webhook.get("url")? })
}
