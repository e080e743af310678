//! Webhooks: whom outside to tell of what (Intum's webhooks, with signatures as Standard Webhooks has them).

use bureau_identity::Organization;
use bureau_kit::prelude::*;

use crate::{event_names, webhook_secrets};

pub(crate) const VIEW: &str = "webhooks.view";
pub(crate) const MANAGE: &str = "webhooks.manage";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("webhook_list", VIEW, &WEBHOOKS)
            .title("List webhooks")
            .about(
                "List the addresses that are told what happens, with their events. webhook_show tells how deliveries go, \
                 webhook_delivery_list what became of each.",
            )
            .synonyms("callbacks subscriptions integrations webhooki powiadomienia вебхуки сповіщення"),
        Tool::read("webhook_show", VIEW, show)
            .on(&WEBHOOKS)
            .title("Show a webhook")
            .about(
                "Show one webhook with its events and how deliveries to it go: since when they fail, and when and why it was \
                 switched off. Its secrets are never shown.",
            )
            .synonyms("callback subscription status webhook stan вебхук стан"),
        Tool::create("webhook_create", MANAGE, create)
            .on(&WEBHOOKS)
            .shown_once("secret")
            .title("Create a webhook")
            .about(
                "Have an address outside told when records change: a signed POST for each (Standard Webhooks). Give events such as \
                 task.create, or source_type and kind; webhook_event_list has them, and you can subscribe to what you may see. The \
                 address must be public. The signing secret is shown once: store it at the receiver, then call webhook_test.",
            )
            .synonyms("callback subscribe integration utwórz dodaj webhook powiadamiaj створити вебхук підписатися"),
        Tool::update("webhook_update", MANAGE, update)
            .on(&WEBHOOKS)
            .title("Change a webhook")
            .about(
                "Change a webhook's address, events, token or activity. Setting active to true also switches one on again that was \
                 switched off after lasting failure; what happened meanwhile is not told.",
            )
            .synonyms("enable disable callback zmień włącz wyłącz webhook змінити увімкнути вимкнути вебхук"),
        Tool::delete("webhook_delete", MANAGE, delete)
            .on(&WEBHOOKS)
            .title("Delete a webhook")
            .about("Delete a webhook: it is told nothing any more. To stop it for a while set active to false (webhook_update).")
            .synonyms("remove callback unsubscribe usuń webhook видалити вебхук"),
        Tool::update("webhook_secret_rotate", MANAGE, rotate)
            .on(&WEBHOOKS)
            .shown_once("secret")
            .title("Change a webhook's secret")
            .about(
                "Make a new signing secret for a webhook, shown once. For 24 hours messages are signed with the old one too, so that \
                 the receiver can be changed without losing any.",
            )
            .synonyms("rotate signing key renew wymień sekret klucz webhooka змінити секрет ключ вебхука"),
    ]
}

/// A webhook.
#[derive(Debug)]
pub struct Webhook;
impl Kind for Webhook {
    const TABLE: &'static Table = &WEBHOOKS;
}

const FORMATS: &[&str] = &["event", "record"];

pub(crate) static WEBHOOKS: Table = Table::new(
    "webhooks",
    "webhook",
    "An address outside that is told what happens.",
    &[
        Column::text("url", "Address that is told.").max(2000).required().computed().search(),
        Column::text("source_type", "Kind of record it is told of; null for several.").computed().filter(),
        Column::text("kind", "What happens to it: create, update or destroy; * for all, null for several events.")
            .computed(),
        Column::json("events", "Events it is told of, such as task.create.").required().computed(),
        Column::choice(
            "format",
            FORMATS,
            "Whether the record is sent with what happened to it around it (event), or alone (record), as Intum does.",
        )
        .required()
        .computed(),
        Column::text("description", "What it is for.").max(1000).computed().search(),
        // Secrets are rows written once and beside the journal, which keeps these pointers to them.
        Column::text("secret_id", "The secret that signs.").required().hidden(),
        Column::text("previous_secret_id", "The secret before it.").hidden(),
        Column::instant("rotated_at", "When its secret was last changed.").computed(),
        Column::text("api_token_id", "The token it is called with.").hidden(),
        Column::reference(
            "creator_id",
            "users",
            OnDelete::Clear,
            "User who made it, and is told when it is switched off.",
        )
        .computed(),
        Column::flag("active", "Whether it is told anything.").default("true").computed().filter(),
    ],
)
// Who is told of what is remembered for as long as rights are.
.deciding_rights();

/// A webhook, and how deliveries to it go.
#[derive(Debug, Serialize, JsonSchema)]
struct WebhookRow {
    /// UUID of the webhook.
    id: String,
    /// Number in the tenant.
    num: Option<i64>,
    /// Address that is told.
    url: String,
    /// Kind of record it is told of; null for several.
    source_type: Option<String>,
    /// What happens to it: create, update or destroy; * for all, null for several events.
    kind: Option<String>,
    /// Events it is told of.
    events: Vec<String>,
    /// event or record.
    format: String,
    /// What it is for.
    description: Option<String>,
    /// Whether it is called with a token.
    has_api_token: bool,
    /// Whether it is told anything.
    active: bool,
    /// Organization whose records it is told of; null for all of them.
    organization_id: Option<String>,
    /// User who made it, and is told when it is switched off.
    creator_id: Option<String>,
    /// When its secret was last changed.
    rotated_at: Option<Instant>,
    /// Since when nothing could be delivered; null when all is well.
    failing_since: Option<Instant>,
    /// When something was last delivered.
    last_success_at: Option<Instant>,
    /// When it was switched off after lasting failure. webhook_update with active true switches it on again.
    disabled_at: Option<Instant>,
    /// Why.
    disabled_reason: Option<String>,
    /// The secret that signs, told this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Version of the record.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

async fn shown(ctx: &mut Ctx, webhook: &Record, secret: Option<String>) -> Result<WebhookRow> {
    let sql = Sql::with(
        "SELECT failing_since, last_success_at, disabled_at, disabled_reason FROM webhook_states WHERE tenant_id = $1 \
         AND webhook_id = $2",
        [ctx.tenant_id().into(), webhook.id.into()],
    );
    let rows = ctx.rows(&sql).await?;
    let row = rows.first();
    let at = |index: usize| row.map_or(Ok(None), |row| row.get::<Option<Instant>>(index));
    Ok(WebhookRow {
        id: webhook.id.to_string(),
        num: webhook.num,
        url: webhook.get("url")?,
        source_type: webhook.get("source_type")?,
        kind: webhook.get("kind")?,
        events: events_of(webhook)?,
        format: webhook.get("format")?,
        description: webhook.get("description")?,
        has_api_token: !webhook.text("api_token_id").is_empty(),
        active: webhook.flag("active"),
        organization_id: webhook.organization_id.map(|id| id.to_string()),
        creator_id: webhook.id_of("creator_id").map(|id| id.to_string()),
        rotated_at: webhook.get("rotated_at")?,
        failing_since: at(0)?,
        last_success_at: at(1)?,
        disabled_at: at(2)?,
        disabled_reason: row.map_or(Ok(None), |row| row.get(3))?,
        secret,
        version: webhook.version,
        created_at: webhook.created_at,
        updated_at: webhook.updated_at,
    })
}

fn events_of(webhook: &Record) -> Result<Vec<String>> {
    serde_json::from_value(webhook.get("events")?).map_err(Error::internal)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowInput {
    /// UUID or number of the webhook.
    id: Id<Webhook>,
}

async fn show(ctx: &mut Ctx, input: ShowInput) -> Result<WebhookRow> {
    let webhook = ctx.fetch(input.id).await?;
    shown(ctx, &webhook, None).await
}

/// A webhook that the caller may change. One that is told of all organizations is not for somebody who sees some of them.
pub(crate) async fn own(ctx: &mut Ctx, id: Id<Webhook>) -> Result<Record> {
    let webhook = ctx.fetch(id).await?;
    if webhook.organization_id.is_none() && ctx.principal().organizations.is_some() {
        return Err(Error::forbidden(
            "This webhook is told of all organizations, and you are limited to some. Make one for yours (webhook_create).",
        )
        .with("missing", "organizations"));
    }
    Ok(webhook)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// Public address to tell, https or http.
    #[schemars(length(min = 1, max = 2000))]
    url: String,
    /// Kind of record to tell of, such as task or Organize::Task; with kind, in place of events.
    source_type: Option<String>,
    /// What must happen to it: create, update, destroy, or * for all.
    kind: Option<String>,
    /// Events to tell of, such as task.create or contract.*.
    #[schemars(length(min = 1, max = 100))]
    events: Option<Vec<String>>,
    /// Token to call the address with, as `Authorization: Bearer`. Never shown again.
    #[schemars(length(max = 2000))]
    api_token: Option<String>,
    /// Whether to begin at once; true when left out.
    active: Option<bool>,
    /// What it is for.
    #[schemars(length(max = 1000))]
    description: Option<String>,
    /// event, when left out, or record.
    format: Option<Format>,
    /// Only what belongs to this organization; everything you may see when left out.
    organization_id: Option<Id<Organization>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// The record, with what happened to it around it.
    Event,
    /// The record alone, as Intum sends it.
    Record,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Record => "record",
        }
    }
}

/// What a webhook is told of, out of the two ways to say it.
fn events(ctx: &Ctx, source_type: Option<&str>, kind: Option<&str>, list: Option<&[String]>) -> Result<Vec<String>> {
    let mut events = match (source_type, kind, list) {
        (Some(source), Some(kind), None) => {
            vec![event_names::pair(ctx, "/source_type", source, "/kind", kind)?]
        }
        (None, None, Some(list)) => {
            let named = list.iter().enumerate();
            named
                .map(|(index, text)| event_names::subscription(ctx, &format!("/events/{index}"), text))
                .collect::<Result<Vec<_>>>()?
        }
        (None, None, None) => {
            return Err(Error::invalid("/events", "is required, or source_type and kind in its place"));
        }
        (Some(_), None, None) => return Err(Error::invalid("/kind", "is required beside source_type")),
        (None, Some(_), None) => return Err(Error::invalid("/source_type", "is required beside kind")),
        (_, _, Some(_)) => {
            return Err(Error::invalid("/events", "cannot stand beside source_type and kind: give one of the two"));
        }
    };
    events.sort();
    events.dedup();
    if events.is_empty() { Err(Error::invalid("/events", "names no event")) } else { Ok(events) }
}

/// The columns that say what a webhook is told of.
fn set_events(values: &mut Values, events: &[String]) {
    let single = match events {
        [one] => one.split_once('.'),
        _ => None,
    };
    values.set("events", json!(events));
    values.set("source_type", single.map(|(source, _)| source.to_owned()));
    values.set("kind", single.map(|(_, kind)| kind.to_owned()));
}

fn checked_url(ctx: &Ctx, url: &str) -> Result<String> {
    let url = ctx.bureau().egress().checked(url).map_err(|message| Error::invalid("/url", message))?;
    if url.as_str().chars().count() > 2000 {
        Err(Error::invalid("/url", "is longer than 2000 characters"))
    } else {
        Ok(url.into())
    }
}

async fn kept_token(ctx: &mut Ctx, token: &str) -> Result<Option<String>> {
    let token = token.trim();
    if !token.chars().all(|letter| letter.is_ascii_graphic()) {
        return Err(Error::invalid("/api_token", "may hold visible ASCII characters only"));
    }
    if token.is_empty() { Ok(None) } else { webhook_secrets::keep(ctx, token).await.map(|id| Some(id.to_string())) }
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<WebhookRow> {
    let url = checked_url(ctx, &input.url)?;
    let events = events(ctx, input.source_type.as_deref(), input.kind.as_deref(), input.events.as_deref())?;
    let organization_id = match input.organization_id {
        Some(id) => Some(ctx.reference("organization_id", id).await?),
        // Whoever is limited to some organizations makes webhooks for one of them.
        None => ctx.principal().organizations.as_ref().and(ctx.principal().organization_id),
    };
    if organization_id.is_none() && ctx.principal().organizations.is_some() {
        return Err(Error::invalid("/organization_id", "is required: you are limited to some organizations"));
    }
    let secret = webhook_secrets::mint()?;
    let secret_id = webhook_secrets::keep(ctx, &secret).await?;
    let token_id = match &input.api_token {
        Some(token) => kept_token(ctx, token).await?,
        None => None,
    };
    let mut values = Values::new()
        .with("url", url)
        .with("format", input.format.unwrap_or(Format::Event).name())
        .with("description", input.description.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
        .with("secret_id", secret_id.to_string())
        .with("api_token_id", token_id)
        .with("creator_id", ctx.principal().user_id)
        .with("active", input.active.unwrap_or(true))
        .with("organization_id", organization_id);
    set_events(&mut values, &events);
    let webhook = ctx.insert(&WEBHOOKS, values).await?;
    shown(ctx, &webhook, Some(secret)).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// UUID or number of the webhook.
    id: Id<Webhook>,
    /// Public address to tell, https or http.
    #[schemars(length(min = 1, max = 2000))]
    url: Option<String>,
    /// Kind of record to tell of, such as task or Organize::Task.
    source_type: Option<String>,
    /// What must happen to it: create, update, destroy, or * for all.
    kind: Option<String>,
    /// Events to tell of, such as task.create or contract.*, in place of all it had.
    #[schemars(length(min = 1, max = 100))]
    events: Option<Vec<String>>,
    /// Token to call the address with; null takes it away.
    #[serde(default)]
    #[schemars(length(max = 2000))]
    api_token: Patch<String>,
    /// Whether it is told anything. True also switches it on again after lasting failure.
    active: Option<bool>,
    /// What it is for.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    description: Patch<String>,
    /// event or record.
    format: Option<Format>,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<WebhookRow> {
    let webhook = own(ctx, input.id).await?;
    let mut values = Values::new();
    if let Some(url) = &input.url {
        values.set("url", checked_url(ctx, url)?);
    }
    let events = match (&input.source_type, &input.kind, &input.events) {
        // Whoever changes where it goes gets what it tells, so they must be allowed to see that.
        (None, None, None) => events(ctx, None, None, Some(&events_of(&webhook)?))?,
        (source, kind, list) => {
            let of = |given: &Option<String>, column: &str| {
                let stored = Some(webhook.text(column).to_owned()).filter(|text| !text.is_empty() && list.is_none());
                given.clone().or(stored)
            };
            let (source, kind) = (of(source, "source_type"), of(kind, "kind"));
            events(ctx, source.as_deref(), kind.as_deref(), list.as_deref())?
        }
    };
    set_events(&mut values, &events);
    match input.api_token.change() {
        Some(Some(token)) => {
            values.set("api_token_id", kept_token(ctx, &token).await?);
        }
        Some(None) => {
            values.set("api_token_id", Val::Null);
        }
        None => {}
    }
    if let Some(description) = input.description.change() {
        values.set("description", description.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()));
    }
    if let Some(format) = input.format {
        values.set("format", format.name());
    }
    if let Some(active) = input.active {
        values.set("active", active);
        if active {
            switch_on(ctx, webhook.id).await?;
        }
    }
    let webhook = ctx.update(&webhook, values).await?;
    shown(ctx, &webhook, None).await
}

/// Forgets that deliveries failed.
async fn switch_on(ctx: &mut Ctx, webhook: Uuid) -> Result<()> {
    let sql = Sql::with(
        "UPDATE webhook_states SET disabled_at = NULL, disabled_reason = NULL, failing_since = NULL WHERE tenant_id = $1 \
         AND webhook_id = $2 AND disabled_at IS NOT NULL",
        [ctx.tenant_id().into(), webhook.into()],
    );
    if ctx.write_secret(&sql).await? > 0 {
        ctx.subscribers_changed().await?;
    }
    Ok(())
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    /// Always true.
    ok: bool,
    /// UUID of the webhook that was deleted.
    id: String,
}

async fn delete(ctx: &mut Ctx, input: ShowInput) -> Result<Deleted> {
    let webhook = own(ctx, input.id).await?;
    ctx.delete(&webhook).await?;
    Ok(Deleted { ok: true, id: webhook.id.to_string() })
}

async fn rotate(ctx: &mut Ctx, input: ShowInput) -> Result<WebhookRow> {
    let webhook = own(ctx, input.id).await?;
    let secret = webhook_secrets::mint()?;
    let id = webhook_secrets::keep(ctx, &secret).await?;
    let values = Values::new()
        .with("previous_secret_id", webhook.text("secret_id"))
        .with("secret_id", id.to_string())
        .with("rotated_at", ctx.now());
    let webhook = ctx.update(&webhook, values).await?;
    shown(ctx, &webhook, Some(secret)).await
}
