//! The secrets of webhooks: rows written once and beside the journal, which keeps the pointers to them. So undo and redo of
//! a webhook find its secrets where they were.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bureau_kit::db::Tx;
use bureau_kit::gate::Bureau;
use bureau_kit::prelude::*;
use bureau_kit::vault::Slot;

/// By which people and secret scanners know such a secret (Standard Webhooks).
const PREFIX: &str = "whsec_";

fn slot(row: Uuid) -> Slot {
    Slot { table: "webhook_secrets", row, column: "sealed" }
}

/// A new signing secret.
pub(crate) fn mint() -> Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(Error::internal)?;
    Ok(format!("{PREFIX}{}", STANDARD.encode(bytes)))
}

/// The bytes that sign.
pub(crate) fn key_of(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.strip_prefix(PREFIX).unwrap_or(secret)).ok()
}

/// Stores a secret and answers what points to it.
pub(crate) async fn keep(ctx: &mut Ctx, secret: &str) -> Result<Uuid> {
    let id = ctx.new_id();
    let sealed = ctx.bureau().vault.seal(slot(id), secret.as_bytes())?;
    let sql = Sql::with(
        "INSERT INTO webhook_secrets (id, tenant_id, sealed, created_at) VALUES ($1, $2, $3, $4)",
        [id.into(), ctx.tenant_id().into(), Val::Bytes(sealed), ctx.now().into()],
    );
    ctx.write_secret(&sql).await?;
    Ok(id)
}

/// The secret that a pointer names.
pub(crate) async fn find(bureau: &Bureau, tx: &mut Tx, tenant: Uuid, pointer: &str) -> Result<String> {
    let lost = || Error::internal("a webhook points to no secret");
    let id = Uuid::try_parse(pointer).map_err(|_| lost())?;
    let sql =
        Sql::with("SELECT sealed FROM webhook_secrets WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()]);
    let rows = tx.query(&sql).await?;
    let sealed: Vec<u8> = rows.first().ok_or_else(lost)?.get(0)?;
    String::from_utf8(bureau.vault.open(slot(id), &sealed)?).map_err(|_| lost())
}
