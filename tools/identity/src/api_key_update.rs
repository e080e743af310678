//! Changing an API key: never to more than it was, and never by a token that it bounds itself.

use bureau_kit::prelude::*;
use bureau_kit::rights::{Credential, covers};

use crate::api_key_rows::ApiKeyRow;
use crate::api_keys::{self, API_KEYS, ApiKey};
use crate::grants;
use crate::sessions::{ancestry_of, list_of};
use crate::users::USERS;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateInput {
    /// UUID or number of the key.
    id: Id<ApiKey>,
    /// What it is for.
    #[schemars(length(min = 1, max = 120))]
    name: Option<String>,
    /// More about what it is for.
    #[serde(default)]
    description: Patch<String>,
    /// Whether it may be used; false switches off what was made from it too, true switches it on again.
    active: Option<bool>,
    /// Only these features from now on, each of them among the present ones.
    #[serde(alias = "privileges")]
    #[schemars(length(max = 500))]
    features: Option<Vec<String>>,
    /// When it ends; null means never.
    #[serde(default)]
    expires_at: Patch<Instant>,
    /// Addresses and ranges from which it, and all that is made from it, may be used; null means all.
    #[serde(default, alias = "allowed_ips")]
    #[schemars(length(max = 100))]
    allowed_addresses: Patch<Vec<String>>,
}

pub(crate) async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<ApiKeyRow> {
    let key = ctx.fetch(input.id).await?;
    refuse_own_bound(ctx, &key)?;
    refuse_above(ctx, &key).await?;
    let now = ctx.now();
    let ends: Option<Instant> = key.get("expires_at")?;
    if ends.is_some_and(|end| end <= now) {
        return Err(Error::impossible_state("This key has ended. Make another with api_key_create."));
    }
    let mut values = Values::new();
    if let Some(name) = &input.name {
        let name = name.trim();
        if !(1..=120).contains(&name.chars().count()) {
            return Err(Error::invalid("/name", "expected text of 1 to 120 characters"));
        }
        values.set("name", name);
    }
    if let Some(text) = input.description.change() {
        let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if text.as_ref().is_some_and(|text| text.chars().count() > 1000) {
            return Err(Error::invalid("/description", "is longer than 1000 characters"));
        }
        values.set("description", text);
    }
    if let Some(active) = input.active {
        values.set("active", active);
    }
    if let Some(wanted) = input.features {
        values.set("features", narrowed(ctx, &key, wanted).await?);
    }
    if let Some(end) = input.expires_at.change() {
        check_end(&key, ends, end, now)?;
        values.set("expires_at", end);
    }
    if let Some(given) = input.allowed_addresses.change() {
        let ranges = api_keys::ranges(&given.unwrap_or_default())?;
        values.set("allowed_addresses", ranges.map(|ranges| json!(ranges)));
    }
    let key = ctx.update(&key, values).await?;
    ApiKeyRow::one(ctx, &key).await
}

/// Inferred: a token does not change the key it comes from. Whoever found it could else lift what bounds them.
fn refuse_own_bound(ctx: &Ctx, key: &Record) -> Result<()> {
    let principal = ctx.principal();
    if principal.credential == Credential::ApiKey(key.id) || principal.ancestry.contains(&key.id) {
        return Err(Error::forbidden(
            "Your own token comes from this key, so it cannot change it. Sign in, or use another key.",
        )
        .with("missing", "another credential"));
    }
    Ok(())
}

/// Whoever changes the key of another must hold what that person holds, as for making one; and for a key that stands for
/// itself, what the key holds.
async fn refuse_above(ctx: &mut Ctx, key: &Record) -> Result<()> {
    match key.id_of("user_id") {
        Some(user) if ctx.principal().user_id == Some(user) => Ok(()),
        Some(user) => {
            let user = whole_user(ctx, user).await?;
            grants::refuse_above(ctx, &user).await
        }
        None => {
            let held = list_of(key, "features")?.unwrap_or_default();
            grants::refuse_beyond_own(ctx, &held, "This key")
        }
    }
}

/// Narrower than before only: a key made by a narrow token holds its bound in nothing but its features.
async fn narrowed(ctx: &mut Ctx, key: &Record, wanted: Vec<String>) -> Result<Value> {
    let wanted = api_keys::wanted_features(ctx, Some(wanted), None).await?.unwrap_or_default();
    if let Some(present) = list_of(key, "features")? {
        let beyond: Vec<&str> = wanted
            .iter()
            .map(String::as_str)
            .filter(|feature| !present.iter().any(|grant| covers(grant, feature)))
            .collect();
        if !beyond.is_empty() {
            let beyond = beyond.join(", ");
            return Err(Error::forbidden(format!(
                "The key does not have {beyond}, and a key is only narrowed. Make another with api_key_create."
            ))
            .with("missing", beyond));
        }
    }
    Ok(json!(wanted))
}

fn check_end(key: &Record, present: Option<Instant>, wanted: Option<Instant>, now: Instant) -> Result<()> {
    if wanted.is_some_and(|end| end <= now) {
        return Err(Error::invalid("/expires_at", "has passed already; to stop the key use active or api_key_delete"));
    }
    // What made it bounds its life.
    let later = match (present, wanted) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(present), Some(wanted)) => wanted > present,
    };
    if later && !ancestry_of(key)?.is_empty() {
        return Err(Error::invalid(
            "/expires_at",
            "is later than the key's present end, which is that of the token it was made by",
        ));
    }
    debug_assert!(std::ptr::eq(key.table, &API_KEYS));
    Ok(())
}

/// The user, whatever organizations the caller is limited to: the check that follows decides.
async fn whole_user(ctx: &mut Ctx, id: Uuid) -> Result<Record> {
    let mut sql = ctx.from_tenant(&USERS);
    sql.and_eq("id", id);
    ctx.first(&USERS, sql).await?.ok_or_else(|| Error::not_found("user", id))
}
