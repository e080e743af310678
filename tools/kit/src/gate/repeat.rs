//! Repeated calls: the answer to an idempotency key is kept, and given again.

use std::borrow::Cow;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::reserved::Reserved;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::sql::Sql;
use crate::tool::Tool;
use crate::value::Val;

/// How long the answer to an idempotency key is kept.
const KEY_HOURS: i64 = 24;
/// What a repeated call is told in place of a secret.
pub const SHOWN_ONCE: &str = "(shown once, to the first call)";

/// What must be the same for two calls with one key to be the same call.
pub(super) fn digest(tool: &str, arguments: &Map<String, Value>, reserved: &Reserved) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut part = |text: Cow<'_, str>| {
        hasher.update(text.as_bytes());
        hasher.update([0]);
    };
    part(tool.into());
    part(canonical(&Value::Object(arguments.clone())).to_string().into());
    part(format!("{} {:?}", reserved.dry_run, reserved.expected_version).into());
    hasher.finalize().into()
}

/// The same value with all keys sorted: the order in which a client writes them has no meaning.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            Value::Object(members.into_iter().map(|(key, value)| (key.clone(), canonical(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        other => other.clone(),
    }
}

/// The answer that is kept for a key, unless it was used with another input.
pub(super) async fn stored_answer(ctx: &mut Ctx, key: &str, digest: &[u8; 32]) -> Result<Option<String>> {
    let sql = Sql::with(
        "SELECT digest, answer FROM idempotency_keys WHERE tenant_id = $1 AND actor_id = $2 AND key = $3 AND created_at > $4",
        [
            ctx.principal.tenant_id.into(),
            ctx.principal.actor_id().into(),
            key.into(),
            ctx.now.plus_minutes(KEY_HOURS.saturating_mul(-60)).into(),
        ],
    );
    let rows = ctx.tx.query(&sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    if row.get::<Vec<u8>>(0)? != digest {
        return Err(Error::conflict(
            "This idempotency_key was used with another input. Use a new key for a new call; repeat a call with exactly its first input.",
        ));
    }
    row.get(1).map(Some)
}

/// An answer as it may be stored: without the secret it holds.
pub(super) fn storable<'a>(tool: &Tool, body: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    let Some(field) = tool.shown_once else { return Ok(Cow::Borrowed(body)) };
    let mut answer: Map<String, Value> = serde_json::from_slice(body).map_err(Error::internal)?;
    answer.insert(field.to_owned(), Value::String(SHOWN_ONCE.to_owned()));
    serde_json::to_vec(&answer).map(Cow::Owned).map_err(Error::internal)
}

/// Keeps the answer for a key, and forgets those that are too old.
pub(super) async fn store_answer(ctx: &mut Ctx, key: &str, digest: &[u8; 32], body: &[u8]) -> Result<()> {
    let (tenant, actor): (Uuid, Uuid) = (ctx.principal.tenant_id, ctx.principal.actor_id());
    let expired = Sql::with(
        "DELETE FROM idempotency_keys WHERE created_at <= $1",
        [ctx.now.plus_minutes(KEY_HOURS.saturating_mul(-60)).into()],
    );
    ctx.tx.execute(&expired).await?;
    let sql = Sql::with(
        "INSERT INTO idempotency_keys (tenant_id, actor_id, key, digest, answer, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        [
            tenant.into(),
            actor.into(),
            key.into(),
            Val::Bytes(digest.to_vec()),
            Val::Text(String::from_utf8_lossy(body).into_owned()),
            ctx.now.into(),
        ],
    );
    // Someone stored the same key since we looked: the next attempt finds their answer.
    ctx.tx.execute(&sql).await.map(drop).map_err(Error::lost_race)
}

/// Gives a key its answer that was taken before the work began.
pub(super) async fn keep_answer(ctx: &mut Ctx, key: &str, body: &[u8]) -> Result<()> {
    let sql = Sql::with(
        "UPDATE idempotency_keys SET answer = $1 WHERE tenant_id = $2 AND actor_id = $3 AND key = $4 AND answer = ''",
        [
            Val::Text(String::from_utf8_lossy(body).into_owned()),
            ctx.principal.tenant_id.into(),
            ctx.principal.actor_id().into(),
            key.into(),
        ],
    );
    ctx.tx.execute(&sql).await.map(drop)
}

/// Gives a key back whose work came to nothing.
pub(super) async fn release_key(ctx: &mut Ctx, key: &str) -> Result<()> {
    let sql = Sql::with(
        "DELETE FROM idempotency_keys WHERE tenant_id = $1 AND actor_id = $2 AND key = $3 AND answer = ''",
        [ctx.principal.tenant_id.into(), ctx.principal.actor_id().into(), key.into()],
    );
    ctx.tx.execute(&sql).await.map(drop)
}
