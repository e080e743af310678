//! Step 5 of the sales form: appliances sold with the furniture.

use bureau_kit::prelude::*;
use bureau_kit::value::FromVal as _;

use crate::below::{below, cell, contract_id, guard, of_draft};
use crate::books::sum;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("contract_appliance_list", "contracts.view", &APPLIANCES)
            .title("List contract appliances")
            .about(
                "List the appliances of contracts: kind, make, model, price (cena), discount (rabat). Filter by contract_id; \
                 q searches kind, make and model.",
            )
            .synonyms("oven fridge hob dishwasher sprzęt agd umowy lodówka piekarnik lista побутова техніка договору список"),
        family::create("contract_appliance_create", "contracts.change_krok5", &APPLIANCES)
            .title("Add an appliance to a contract")
            .about(
                "Add an appliance to a contract: kind (rodzaj), make (firma), model, price (cena) and an amount off it \
                 (rabat). A valuation made afterwards counts it in; one that exists is changed with contract_valuation_update.",
            )
            .synonyms("oven fridge hob dishwasher dodaj sprzęt agd do umowy lodówkę piekarnik додати побутову техніку"),
        family::update("contract_appliance_update", "contracts.change_krok5", &APPLIANCES)
            .title("Change a contract appliance")
            .about(
                "Change an appliance of a contract, such as its model or discount. The valuation stays as it is. Refused \
                 once the contract is settled.",
            )
            .synonyms("edit oven fridge discount zmień sprzęt agd umowy rabat model змінити побутову техніку знижка"),
        family::delete("contract_appliance_delete", "contracts.change_krok5", &APPLIANCES)
            .title("Delete a contract appliance")
            .about(
                "Delete an appliance from a contract. The valuation stays as it is. Refused once the contract is settled.",
            )
            .synonyms("remove oven fridge usuń sprzęt agd z umowy видалити побутову техніку"),
    ]
}

pub(crate) static APPLIANCES: Table = Table::new(
    "contract_appliances",
    "contract_appliance",
    "An appliance sold with a contract.",
    &[
        contract_id("Contract it belongs to."),
        Column::text("rodzaj", "What it is, such as piekarnik (oven).").search(),
        Column::text("firma", "Make.").search(),
        Column::text("model", "Model.").search(),
        Column::money("cena", "Price before the discount.").required().sort(),
        // Inferred: an amount, not a percentage; the source does not say (peers.md §1.24).
        Column::money("rabat", "Amount off the price, at most the price."),
    ],
)
.rule(rule)
.guard(guard);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        of_draft(ctx, draft.before, draft.values).await?;
        let amount = |name| cell(draft.before, draft.values, name).and_then(Money::from_val).unwrap_or_default();
        if draft.event != Event::Delete && amount("rabat") > amount("cena") {
            return Err(Error::invalid("/rabat", "is an amount off the price, and cannot be more than cena"));
        }
        Ok(())
    })
}

/// What the appliances of a contract cost together, after their discounts.
pub(crate) async fn worth(ctx: &mut Ctx, contract: Uuid) -> Result<Money> {
    let mut prices = Vec::new();
    for appliance in below(ctx, &APPLIANCES, contract).await? {
        let rabat = appliance.get::<Option<Money>>("rabat")?.unwrap_or_default();
        prices.push(appliance.get::<Money>("cena")?.checked_sub(rabat).unwrap_or_default());
    }
    sum(prices)
}
