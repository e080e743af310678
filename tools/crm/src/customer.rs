//! Who sees what hangs on people, companies and deals: whoever sees those.

use bureau_kit::prelude::*;
use bureau_kit::rights::Principal;

use crate::deal::DEALS;
use crate::party::PARTIES;

/// The row of a table that a key names, if its subject is a person, company or deal that the caller sees. The organization
/// written on the row itself does not count: the subject may have moved to another since, or been merged into one of another.
pub(crate) async fn fetch(ctx: &mut Ctx, table: &'static Table, key: Key) -> Result<Option<Record>> {
    let mut sql = ctx.from_tenant(table);
    match key {
        Key::Uuid(id) => sql.and_eq("id", id),
        Key::Num(num) => sql.and_eq("num", num),
    };
    let Some(found) = ctx.records(table, &sql).await?.into_iter().next() else { return Ok(None) };
    if !sees_subject(ctx, &found).await? {
        return Ok(None);
    }
    match ctx.fetch_in_tenant(table, found.id).await {
        Err(error) if error.code() == Code::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// Appends the condition that the subject of a row is a person, company or deal that the caller sees.
pub(crate) fn and_seen(principal: &Principal, sql: &mut Sql) {
    let Some(reach) = &principal.organizations else { return };
    sql.push(" AND (subject_id IN (SELECT id FROM parties WHERE tenant_id = ").bind(principal.tenant_id);
    sql.and_within("organization_id", reach.iter().copied());
    sql.push(") OR subject_id IN (SELECT id FROM deals WHERE tenant_id = ").bind(principal.tenant_id);
    sql.and_within("organization_id", reach.iter().copied());
    sql.push("))");
}

/// Whether the caller sees the person, company or deal that a row hangs on. What hangs on anything else is not seen here.
pub(crate) async fn sees_subject(ctx: &mut Ctx, row: &Record) -> Result<bool> {
    let table = match row.text("subject_type") {
        noun if noun == PARTIES.noun => &PARTIES,
        noun if noun == DEALS.noun => &DEALS,
        _ => return Ok(false),
    };
    let mut sql = ctx.select("1", table);
    sql.and_eq("id", row.get::<Uuid>("subject_id")?);
    ctx.exists(sql).await
}
