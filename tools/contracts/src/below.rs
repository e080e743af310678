//! What lies below a contract: rows of many kinds that share their contract's organization, and close with it.

use bureau_kit::prelude::*;

use crate::contracts::{CONTRACTS, closed};
use crate::{appliances, configuration, installation, payments, planned_payments, purchase_orders, texts, valuations};

/// Every table of rows below a contract.
pub(crate) const BELOW: &[&Table] = &[
    &configuration::FURNITURE,
    &configuration::FRONTS,
    &configuration::HANDLES,
    &configuration::VITRINES,
    &appliances::APPLIANCES,
    &valuations::VALUATIONS,
    &payments::PAYMENT_METHODS,
    &installation::ASSEMBLY_NOTES,
    &installation::WORK_RATINGS,
    &installation::WORKER_ASSIGNMENTS,
    &installation::INSTALLATION_DATES,
    &planned_payments::PLANNED_PAYMENTS,
    &texts::TEXT_ATTACHMENTS,
    &purchase_orders::PURCHASE_ORDERS,
];

/// The column by which such a row names its contract.
pub(crate) const fn contract_id(about: &'static str) -> Column {
    Column::reference("contract_id", "contracts", OnDelete::Cascade, about).required().fixed().filter()
}

/// The rows of a table below a contract. The caller holds the contract's lock, so they stay as they are.
pub(crate) async fn below(ctx: &mut Ctx, table: &'static Table, contract: Uuid) -> Result<Vec<Record>> {
    let mut sql = ctx.from(table);
    sql.and_eq("contract_id", contract).push(" ORDER BY num");
    ctx.records(table, &sql).await
}

/// The contract that a draft row lies below: locked until the end of the call, and open to change.
///
/// A new row takes over the contract's organization, so that both are seen by the same people.
pub(crate) async fn of_draft(ctx: &mut Ctx, before: Option<&Record>, values: &mut Values) -> Result<Record> {
    let id = before.and_then(|row| row.id_of("contract_id")).or_else(|| values.id_of("contract_id"));
    let id = id.ok_or_else(|| Error::invalid("/contract_id", "is required"))?;
    let contract = ctx.hold(&CONTRACTS, id).await?;
    // Said here already, so that nobody is told first what else is wrong with a change that cannot be.
    if contract.flag("rozliczona") {
        return Err(closed(&contract));
    }
    let organization = Val::from(contract.organization_id);
    if values.get("organization_id").is_some_and(|given| *given != organization) {
        return Err(Error::invalid("/organization_id", "is always the one of the contract; leave it out"));
    }
    values.set("organization_id", organization);
    Ok(contract)
}

/// The rule of rows that have no other.
pub(crate) fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move { of_draft(ctx, draft.before, draft.values).await.map(drop) })
}

/// Closes the rows below a settled contract to every change: also to deletions along a reference, to undo and to redo.
pub(crate) fn guard<'a>(ctx: &'a mut Ctx, change: RowWrite<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let Some(id) = change.before.or(change.after).and_then(|row| row.id_of("contract_id")) else { return Ok(()) };
        match ctx.hold_anywhere(&CONTRACTS, id).await? {
            Some(contract) if contract.flag("rozliczona") => Err(closed(&contract)),
            _ => Ok(()),
        }
    })
}

/// A cell as it will be once a draft is stored.
pub(crate) fn cell<'a>(before: Option<&'a Record>, values: &'a Values, column: &str) -> Option<&'a Val> {
    values.get(column).or_else(|| before.map(|before| before.cell(column)))
}

/// Refuses a second row of a kind that there is one of. Asked under the lock of what the row lies below, so that two at once
/// cannot both pass; the unique index would refuse the second as well, in worse words.
pub(crate) async fn refuse_second(
    ctx: &mut Ctx,
    table: &'static Table,
    before: Option<&Record>,
    same: &[(&'static str, Uuid)],
    message: impl FnOnce() -> String,
) -> Result<()> {
    let mut sql = ctx.select("1", table);
    for (column, id) in same {
        sql.and_eq(column, *id);
    }
    if let Some(before) = before {
        sql.push(" AND id <> ").bind(before.id);
    }
    if ctx.exists(sql).await? { Err(Error::conflict(message())) } else { Ok(()) }
}
