//! Step 8 of the sales form, first part: the schedule of payments. None of it counts as paid.

use bureau_kit::prelude::*;
use bureau_kit::value::FromVal as _;

use crate::below::{cell, contract_id, guard, of_draft};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("contract_planned_payment_list", "contracts.view", &PLANNED_PAYMENTS)
            .title("List planned payments")
            .about(
                "List the schedule by which contracts are to be paid. Filter by contract_id, or by day with data_from and \
                 data_to. What was paid is in contract_payment_method_list.",
            )
            .synonyms("payment schedule instalments due harmonogram płatności planowane raty umowy terminy графік платежів заплановані договору"),
        family::create("contract_planned_payment_create", "contracts.change_krok8", &PLANNED_PAYMENTS)
            .title("Plan a payment")
            .about(
                "Plan a payment of a contract: typ such as Zadatek (deposit), rodzaj such as przelew (transfer), cena (the \
                 amount), data (the day). It never counts as paid; record money with contract_payment_method_create.",
            )
            .synonyms("schedule instalment due date zaplanuj płatność ratę harmonogram umowy запланувати платіж графік"),
        family::update("contract_planned_payment_update", "contracts.change_krok8", &PLANNED_PAYMENTS)
            .title("Change a planned payment")
            .about("Change the day, amount or kind of a planned payment. Refused once the contract is settled.")
            .synonyms("reschedule instalment zmień planowaną płatność ratę termin harmonogram змінити запланований платіж"),
        family::delete("contract_planned_payment_delete", "contracts.change_krok8", &PLANNED_PAYMENTS)
            .title("Delete a planned payment")
            .about("Delete a planned payment. Refused once the contract is settled.")
            .synonyms("remove instalment usuń planowaną płatność ratę z harmonogramu видалити запланований платіж"),
    ]
}

pub(crate) static PLANNED_PAYMENTS: Table = Table::new(
    "contract_planned_payments",
    "contract_planned_payment",
    "A payment of a contract's schedule.",
    &[
        contract_id("Contract it is to pay."),
        Column::text("typ", "What the payment is: Zadatek (deposit), Rata (instalment), Doplata (rest), … Any word.")
            .required()
            .filter(),
        Column::text("rodzaj", "How it is to be paid: gotowka (cash), przelew (transfer), karta (card), … Any word.")
            .required()
            .filter(),
        Column::money("cena", "Amount, more than 0.").required().sort(),
        Column::date("data", "Day on which it is due.").range().sort(),
    ],
)
.rule(rule)
.guard(guard);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        of_draft(ctx, draft.before, draft.values).await?;
        let cena = cell(draft.before, draft.values, "cena").and_then(Money::from_val).unwrap_or_default();
        if draft.event != Event::Delete && cena <= Money::ZERO {
            return Err(Error::invalid("/cena", "must be more than 0"));
        }
        Ok(())
    })
}
