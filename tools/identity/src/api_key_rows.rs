//! API keys as tools answer them, with their last use and never with the key itself.

use std::collections::HashMap;

use bureau_kit::prelude::*;
use bureau_kit::uses::{Use, UsesOf};

use crate::api_keys::{API_KEYS, ApiKey};
use crate::sessions::{SESSIONS, ancestry_of, list_of};
use crate::users::User;

/// The last use of a session or key.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct LastUse {
    /// First time it was used, as far as is known; null before.
    first_used_at: Option<Instant>,
    /// Last time it was used.
    last_used_at: Option<Instant>,
    /// Calls made with it.
    use_count: i64,
    /// How the last call came: http, rpc, stdio or cli.
    last_transport: Option<String>,
    /// What the last client called itself.
    last_client: Option<String>,
    /// Network address of the last call.
    last_address: Option<String>,
}

impl LastUse {
    pub(crate) fn of(used: Option<&Use>) -> Self {
        Self {
            first_used_at: used.map(|used| used.first_used_at),
            last_used_at: used.map(|used| used.last_used_at),
            use_count: used.map_or(0, |used| used.count),
            last_transport: used.map(|used| used.transport.clone()),
            last_client: used.and_then(|used| used.client.clone()),
            last_address: used.and_then(|used| used.address.clone()),
        }
    }
}

/// The uses of some sessions or keys, by their ids.
pub(crate) async fn uses_of(ctx: &mut Ctx, records: &[Record]) -> Result<HashMap<Uuid, Use>> {
    let ids: Vec<Uuid> = records.iter().map(|record| record.id).collect();
    Ok(ctx.uses(UsesOf::Credentials(&ids)).await?.into_iter().map(|used| (used.credential_id, used)).collect())
}

/// An API key.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct ApiKeyRow {
    /// UUID of the key.
    id: String,
    /// Number in the tenant.
    num: Option<i64>,
    /// What it is for.
    name: String,
    /// More about what it is for.
    description: Option<String>,
    /// First letters of the key, by which one is told from another.
    prefix: String,
    /// How it is shown: as it is (api_token), or only by a token signed with it (web_token).
    kind: String,
    /// Whether it may be used; false switches off what was made from it too.
    active: bool,
    /// User it acts for; null stands for itself.
    user_id: Option<String>,
    /// Organization a key that stands for itself is limited to.
    organization_id: Option<String>,
    /// Session or key it was made by, which ends it when it ends.
    made_by: Option<String>,
    /// Features it is limited to; null means all of the user's.
    features: Option<Vec<String>>,
    /// Addresses and ranges from which it may be used; null means all.
    allowed_addresses: Option<Vec<String>>,
    /// When it ends; null means never.
    expires_at: Option<Instant>,
    /// Its last use.
    #[serde(flatten)]
    last_use: LastUse,
    /// Grows with every change; see expected_version.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

impl ApiKeyRow {
    fn of(key: &Record, used: Option<&Use>) -> Result<Self> {
        let id = |column: &str| key.id_of(column).map(|id| id.to_string());
        Ok(Self {
            id: key.id.to_string(),
            num: key.num,
            name: key.text("name").to_owned(),
            description: key.get("description")?,
            prefix: key.text("prefix").to_owned(),
            kind: key.text("kind").to_owned(),
            active: key.flag("active"),
            user_id: id("user_id"),
            organization_id: id("organization_id"),
            made_by: ancestry_of(key)?.first().map(Uuid::to_string),
            features: list_of(key, "features")?,
            allowed_addresses: list_of(key, "allowed_addresses")?,
            expires_at: key.get("expires_at")?,
            last_use: LastUse::of(used),
            version: key.version,
            created_at: key.created_at,
            updated_at: key.updated_at,
        })
    }

    /// One key.
    pub(crate) async fn one(ctx: &mut Ctx, key: &Record) -> Result<Self> {
        let uses = uses_of(ctx, std::slice::from_ref(key)).await?;
        Self::of(key, uses.get(&key.id))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListInput {
    /// Words to find in the name, whatever the case and diacritics.
    #[serde(alias = "search")]
    q: Option<String>,
    /// Only those of this user.
    user_id: Option<Id<User>>,
    /// Only those that may be used, or only those that are switched off.
    active: Option<bool>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 when left out.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

pub(crate) async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<ApiKeyRow>> {
    let (page, size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    let user = match input.user_id {
        Some(id) => Some(ctx.reference("user_id", id).await?),
        None => None,
    };
    let filter = |sql: &mut Sql| {
        if let Some(words) = input.q.as_deref().filter(|words| !words.trim().is_empty()) {
            sql.and_contains(words);
        }
        if let Some(user) = user {
            sql.and_eq("user_id", user);
        }
        if let Some(active) = input.active {
            sql.and_eq("active", active);
        }
    };
    let mut counted = ctx.select("1", &API_KEYS);
    filter(&mut counted);
    let mut rows = ctx.from(&API_KEYS);
    filter(&mut rows);
    page::order(&mut rows, "num", false, true);
    let found = page::fetch(ctx, &API_KEYS, page::Query { rows, counted, page, page_size: size }).await?;
    let uses = uses_of(ctx, &found.items).await?;
    let items = found.items.iter().map(|key| ApiKeyRow::of(key, uses.get(&key.id))).collect::<Result<_>>()?;
    let Page { total, total_is_exact, page, page_size, total_pages, .. } = found;
    Ok(Page { items, total, total_is_exact, page, page_size, total_pages })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowInput {
    /// UUID or number of the key.
    id: Id<ApiKey>,
}

/// A key alone, with what was made from it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ApiKeyDetail {
    /// The key.
    #[serde(flatten)]
    key: ApiKeyRow,
    /// Sessions made from it, however far down, that are open.
    open_sessions: i64,
}

pub(crate) async fn show(ctx: &mut Ctx, input: ShowInput) -> Result<ApiKeyDetail> {
    let key = ctx.fetch(input.id).await?;
    let now = ctx.now();
    let mut open = ctx.select("1", &SESSIONS);
    open.push(" AND revoked_at IS NULL AND expires_at > ").bind(now);
    open.push(" AND CAST(ancestry AS TEXT) LIKE ").bind(format!("%{}%", key.id));
    let open_sessions = ctx.count_up_to(10_000, open).await?;
    Ok(ApiKeyDetail { key: ApiKeyRow::one(ctx, &key).await?, open_sessions })
}
