//! Step 6 of the sales form, first half: what a contract costs.

use bureau_kit::prelude::*;
use bureau_kit::value::FromVal as _;

use crate::appliances::worth;
use crate::below::{cell, contract_id, guard, of_draft, refuse_second};
use crate::books::sum;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("contract_valuation_list", "contracts.view", &VALUATIONS)
            .title("List contract valuations")
            .about("List the valuations of contracts. Filter by contract_id for the one of a contract.")
            .synonyms("prices wyceny umów lista wycen оцінки договорів ціни"),
        family::create("contract_valuation_create", "contracts.change_krok6", &VALUATIONS)
            .title("Value a contract")
            .about(
                "Store what a contract costs: furniture (meble), extras (dodatki), appliances (sprzet). Left out, sprzet is \
                 what the contract's appliances cost after discounts, the others are 0. A contract has one valuation; change \
                 it with contract_valuation_update.",
            )
            .synonyms("price cost quote wycena dodaj wycenę wyceń umowę cena meble оцінити договір вартість ціна"),
        family::update("contract_valuation_update", "contracts.change_krok6", &VALUATIONS)
            .title("Change a contract valuation")
            .about("Change the amounts of a contract's valuation. Refused once the contract is settled.")
            .synonyms("edit price zmień wycenę popraw cenę змінити оцінку ціну"),
        family::delete("contract_valuation_delete", "contracts.change_krok6", &VALUATIONS)
            .title("Delete a contract valuation")
            .about("Delete the valuation of a contract, which then costs nothing. Refused once the contract is settled.")
            .synonyms("remove price usuń wycenę видалити оцінку"),
    ]
}

/// Names the table of valuations to ids.
#[derive(Debug)]
pub struct Valuation;

impl Kind for Valuation {
    const TABLE: &'static Table = &VALUATIONS;
}

pub(crate) static VALUATIONS: Table = Table::new(
    "contract_valuations",
    "contract_valuation",
    "What a contract costs.",
    &[
        contract_id("Contract it values."),
        Column::money("meble", "Furniture.").default("\"0\""),
        Column::money("dodatki", "Extras.").default("\"0\""),
        Column::money("sprzet", "Appliances.").default("\"0\""),
    ],
)
.rule(rule)
.guard(guard);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let contract = of_draft(ctx, draft.before, draft.values).await?;
        if draft.event == Event::Create {
            // Inferred: one valuation a contract (mercato.md).
            refuse_second(ctx, &VALUATIONS, None, &[("contract_id", contract.id)], || {
                format!(
                    "Contract {} has a valuation already. Find it with contract_valuation_list (contract_id), and change \
                     it with contract_valuation_update.",
                    contract.text("numer")
                )
            })
            .await?;
            // Inferred: appliances feed the valuation when it is made (mercato.md); from then on it is an amount agreed upon.
            if !draft.values.has("sprzet") {
                let worth = worth(ctx, contract.id).await?;
                draft.values.set("sprzet", worth);
            }
        }
        let suma = match draft.event {
            Event::Delete => Money::ZERO,
            _ => sum(["meble", "dodatki", "sprzet"]
                .map(|part| cell(draft.before, draft.values, part).and_then(Money::from_val).unwrap_or_default()))?,
        };
        ctx.update(&contract, Values::new().with("suma", suma)).await?;
        Ok(())
    })
}
