//! Step 6 of the sales form, second half: how and when a contract is paid.

use bureau_kit::prelude::*;
use bureau_kit::value::FromVal as _;

use crate::below::{self, below, cell, contract_id, of_draft};
use crate::books::sum;
use crate::documents::CONTRACT_DOCUMENTS;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("contract_payment_method_list", "contracts.view", &PAYMENT_METHODS)
            .title("List contract payments")
            .about(
                "List the payments of contracts, confirmed or still expected. Filter by contract_id; for the sum call \
                 contract_balance_show.",
            )
            .synonyms("deposits instalments płatności wpłaty zaliczki umowy lista платежі оплати договору список"),
        family::create("contract_payment_method_create", "contracts.change_krok6", &PAYMENT_METHODS)
            .title("Record a contract payment")
            .about(
                "Record a payment of a contract: typ such as Zadatek (deposit), rodzaj such as gotowka (cash), cena (the \
                 amount). Only with potwierdzona: true it counts as paid. Then see contract_balance_show.",
            )
            .synonyms("pay deposit cash transfer zapłata wpłata zadatek zaliczka przelew gotówka dodaj płatność оплата платіж завдаток готівка переказ"),
        family::update("contract_payment_method_update", "contracts.change_krok6", &PAYMENT_METHODS)
            .title("Change a contract payment")
            .about(
                "Change a payment of a contract, or confirm it with potwierdzona: true, so that it counts as paid. \
                 Refused once the contract is settled.",
            )
            .synonyms("confirm payment received potwierdź wpłatę zmień płatność zapłacono підтвердити оплату змінити платіж"),
        family::delete("contract_payment_method_delete", "contracts.change_krok6", &PAYMENT_METHODS)
            .title("Delete a contract payment")
            .about("Delete a payment of a contract, confirmed or not. Refused once the contract is settled.")
            .synonyms("remove payment usuń płatność wpłatę видалити платіж оплату"),
    ]
}

/// Names the table of payments to ids.
#[derive(Debug)]
pub struct PaymentMethod;

impl Kind for PaymentMethod {
    const TABLE: &'static Table = &PAYMENT_METHODS;
}

// The source shows the first value only of typ and of rodzaj: both stay open.
pub(crate) static PAYMENT_METHODS: Table = Table::new(
    "contract_payment_methods",
    "contract_payment_method",
    "A payment of a contract, received or expected.",
    &[
        contract_id("Contract it pays."),
        Column::text("typ", "What the payment is: Zadatek (deposit), Rata (instalment), Doplata (rest), … Any word.")
            .required()
            .filter(),
        Column::text("rodzaj", "How it is paid: gotowka (cash), przelew (transfer), karta (card), raty (credit), …")
            .required()
            .filter(),
        Column::money("cena", "Amount, more than 0.").required().sort(),
        Column::date("data", "Day of the payment, or on which it is expected.").range().sort(),
        // Inferred: the source counts "confirmed" payments without naming the flag (mercato.md).
        Column::flag("potwierdzona", "Whether the money was received; only then it counts as paid.").filter(),
    ],
)
.rule(rule)
.guard(guard);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let contract = of_draft(ctx, draft.before, draft.values).await?;
        let cell = |name| cell(draft.before, draft.values, name);
        let cena = cell("cena").and_then(Money::from_val).unwrap_or_default();
        let potwierdzona = cell("potwierdzona").and_then(bool::from_val).unwrap_or_default();
        if draft.event != Event::Delete && cena <= Money::ZERO {
            return Err(Error::invalid("/cena", "must be more than 0"));
        }
        let others = below(ctx, &PAYMENT_METHODS, contract.id).await?;
        let own = draft.before.map(|before| before.id);
        let mut paid = others
            .iter()
            .filter(|payment| Some(payment.id) != own && payment.flag("potwierdzona"))
            .map(|payment| payment.get("cena"))
            .collect::<Result<Vec<Money>>>()?;
        if draft.event != Event::Delete && potwierdzona {
            paid.push(cena);
        }
        ctx.update(&contract, Values::new().with("zaplacono", sum(paid)?)).await?;
        Ok(())
    })
}

/// Closes a payment below a settled contract, and one for which a receipt was given: somebody holds a paper that says so.
fn guard<'a>(ctx: &'a mut Ctx, change: RowWrite<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        below::guard(ctx, change).await?;
        let Some(before) = change.before else { return Ok(()) };
        let same = |after: &Record| before.cells().all(|(column, cell)| cell == after.cell(column.name));
        // Moving along with its contract to another organization changes nothing of it.
        if change.after.is_some_and(same) {
            return Ok(());
        }
        let mut sql = ctx.from_tenant(&CONTRACT_DOCUMENTS);
        sql.and_eq("payment_id", before.id);
        match ctx.records(&CONTRACT_DOCUMENTS, &sql).await?.first() {
            Some(receipt) => Err(Error::impossible_state(format!(
                "Receipt {} was given for this payment, so it is closed to change. A refund is recorded for itself.",
                receipt.text("numer")
            ))
            .with("document_id", receipt.id.to_string())),
            None => Ok(()),
        }
    })
}
