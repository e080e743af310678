//! What is ordered from suppliers for a contract.

use bureau_kit::prelude::*;
use bureau_kit::value::FromVal as _;

use crate::below::{cell, contract_id, guard, of_draft};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("contract_purchase_order_list", "contracts.view", &PURCHASE_ORDERS)
            .title("List purchase orders")
            .about(
                "List what was ordered from suppliers for contracts. Filter by contract_id or supplier (dostawca), or by day \
                 sent or received; q searches name, supplier and invoice number.",
            )
            .synonyms("supplies deliveries zamówienia u dostawców do umowy materiały lista замовлення у постачальників до договору список"),
        family::create("contract_purchase_order_create", "contracts.purchase_orders.manage", &PURCHASE_ORDERS)
            .title("Create a purchase order")
            .about(
                "Store an order to a supplier for a contract: nazwa (what) and ilosc (how much), with unit, supplier, days \
                 sent and received, invoice number.",
            )
            .synonyms("order supplies from supplier zamów materiał u dostawcy do umowy nowe zamówienie замовити у постачальника до договору"),
        family::update("contract_purchase_order_update", "contracts.purchase_orders.manage", &PURCHASE_ORDERS)
            .title("Change a purchase order")
            .about(
                "Change an order to a supplier, such as the day it was received (data_odbioru) or the invoice number \
                 (nr_faktury). Refused once the contract is settled.",
            )
            .synonyms("delivery received invoice zmień zamówienie u dostawcy odebrano dostawę змінити замовлення у постачальника отримано"),
        family::delete("contract_purchase_order_delete", "contracts.purchase_orders.manage", &PURCHASE_ORDERS)
            .title("Delete a purchase order")
            .about("Delete an order to a supplier from a contract. Refused once the contract is settled.")
            .synonyms("cancel supplies usuń zamówienie u dostawcy видалити замовлення у постачальника"),
    ]
}

pub(crate) static PURCHASE_ORDERS: Table = Table::new(
    "contract_purchase_orders",
    "contract_purchase_order",
    "An order to a supplier for a contract.",
    &[
        contract_id("Contract it is for."),
        Column::text("nazwa", "What is ordered.").required().search().sort(),
        // Board is ordered in parts of a square metre: a quantity is as exact a decimal as an amount of money, and kept as one.
        Column::money("ilosc", "How much, more than 0, with at most two decimals.").required(),
        Column::text("jednostka", "Unit, such as szt. (pieces) or m2."),
        Column::text("dostawca", "Supplier.").search().filter(),
        Column::date("data_wyslania", "Day the order was sent.").range().sort(),
        Column::date("data_odbioru", "Day the goods were received, not before the order was sent.").range().sort(),
        Column::text("nr_faktury", "Number of the supplier's invoice.").search(),
        Column::text("komentarz", "Comment.").max(10_000),
    ],
)
.rule(rule)
.guard(guard);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        of_draft(ctx, draft.before, draft.values).await?;
        if draft.event == Event::Delete {
            return Ok(());
        }
        let ilosc = cell(draft.before, draft.values, "ilosc").and_then(Money::from_val).unwrap_or_default();
        if ilosc <= Money::ZERO {
            return Err(Error::invalid("/ilosc", "must be more than 0"));
        }
        let day = |name| cell(draft.before, draft.values, name).and_then(Date::from_val);
        // Inferred: nothing is received before it was ordered (mercato.md).
        match (day("data_wyslania"), day("data_odbioru")) {
            (Some(sent), Some(received)) if received < sent => Err(Error::invalid(
                "/data_odbioru",
                format!("the goods cannot be received on {received}, before the order was sent on {sent}"),
            )),
            _ => Ok(()),
        }
    })
}
