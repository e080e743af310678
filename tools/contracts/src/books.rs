//! The numbers of a contract: what it costs, what was paid, what is left, and the settlement.

use bureau_kit::prelude::*;

use crate::below::below;
use crate::contracts::{CONTRACTS, Contract};
use crate::payments::PAYMENT_METHODS;
use crate::valuations::VALUATIONS;
use crate::words::slownie;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("contract_balance_show", "contracts.view", balance)
            .title("Show the balance of a contract")
            .about(
                "Show what a contract costs (suma), what was paid in confirmed payments (zaplacono) and what is still to \
                 pay (doZaplaty, below zero when overpaid). contract_settle needs exactly zero.",
            )
            .synonyms("amount due owed outstanding debt saldo umowy ile do zapłaty zapłacono należność баланс договору скільки сплатити борг"),
        Tool::read("contract_valuation_summary", "contracts.view", summary)
            .title("Sum up the valuation of a contract")
            .about(
                "Sum up the valuation of a contract: furniture (meble), extras (dodatki), appliances (sprzet), their sum, \
                 and the sum in Polish words (slownie) for documents.",
            )
            .synonyms("price total amount in words wycena umowy kwota słownie podsumowanie оцінка вартість договору сума прописом"),
        Tool::action("contract_settle", "contracts.rozlicz_umowa", settle)
            .on(&CONTRACTS)
            .idempotent()
            .title("Settle a contract")
            .about(
                "Settle a contract: close its books. Its balance must be exactly zero; see contract_balance_show. \
                 Afterwards only its notes can change. action_undo takes it back.",
            )
            .synonyms("close books clear pay off rozlicz umowę rozliczenie zamknij umowę розрахувати договір закрити розрахунок"),
        Tool::read("contract_stats_show", "contracts.view", stats)
            .title("Count contracts")
            .about(
                "Count contracts by state: all (total), under way (active), completed (zakonczona) and settled \
                 (rozliczona). For the contracts themselves call contract_list.",
            )
            .synonyms("statistics how many statystyki umów ile umów liczba статистика договорів скільки"),
    ]
}

/// The documented 400 for a sum that no amount can hold.
fn too_large() -> Error {
    Error::validation(
        "The amounts of this contract add up to more than can be stored. Nothing was changed; check them.",
    )
}

/// Adds amounts up, exactly.
pub(crate) fn sum(amounts: impl IntoIterator<Item = Money>) -> Result<Money> {
    amounts.into_iter().try_fold(Money::ZERO, |sum, amount| sum.checked_add(amount)).ok_or_else(too_large)
}

/// What a contract costs and what was paid, added up from its rows.
pub(crate) struct Books {
    /// Furniture, extras, appliances; none while nothing was valued.
    pub(crate) parts: Option<[Money; 3]>,
    pub(crate) suma: Money,
    zaplacono: Money,
    do_zaplaty: Money,
}

impl Books {
    pub(crate) async fn of(ctx: &mut Ctx, contract: &Record) -> Result<Self> {
        let valuation = below(ctx, &VALUATIONS, contract.id).await?.into_iter().next();
        let parts = valuation
            .map(|row| Ok::<_, Error>([row.get("meble")?, row.get("dodatki")?, row.get("sprzet")?]))
            .transpose()?;
        let suma = sum(parts.into_iter().flatten())?;
        let payments = below(ctx, &PAYMENT_METHODS, contract.id).await?;
        let confirmed = payments.iter().filter(|payment| payment.flag("potwierdzona"));
        let zaplacono = sum(confirmed.map(|payment| payment.get("cena")).collect::<Result<Vec<_>>>()?)?;
        let do_zaplaty = suma.checked_sub(zaplacono).ok_or_else(too_large)?;
        Ok(Self { parts, suma, zaplacono, do_zaplaty })
    }

    /// Why these books cannot be closed, or nothing.
    fn refusal(&self, numer: &str) -> Option<Error> {
        let text = if self.parts.is_none() {
            // Inferred: zero of nothing is not a settlement.
            format!(
                "Contract {numer} cannot be settled: it has no valuation, so nothing says what it costs. Store one with \
                 contract_valuation_create, then settle again."
            )
        } else if self.do_zaplaty > Money::ZERO {
            format!(
                "Contract {numer} cannot be settled: {} of {} is still to pay. Record the payment with \
                 contract_payment_method_create (potwierdzona: true), then settle again.",
                self.do_zaplaty, self.suma
            )
        } else if self.do_zaplaty < Money::ZERO {
            format!(
                "Contract {numer} cannot be settled: {} was paid, but it costs {}. Correct the payments with \
                 contract_payment_method_update, or the valuation with contract_valuation_update, then settle again.",
                self.zaplacono, self.suma
            )
        } else {
            return None;
        };
        Some(
            Error::impossible_state(text)
                .with("suma", self.suma.to_string())
                .with("zaplacono", self.zaplacono.to_string())
                .with("doZaplaty", self.do_zaplaty.to_string()),
        )
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ContractInput {
    /// Contract: its UUID or number in the tenant (num, not numer).
    id: Id<Contract>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Balance {
    /// UUID of the contract.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number of the contract.
    numer: String,
    /// What it costs: the sum of its valuation.
    suma: Money,
    /// What was paid: the sum of its confirmed payments.
    zaplacono: Money,
    /// What is still to pay; below zero when more was paid than it costs.
    #[serde(rename = "doZaplaty")]
    do_zaplaty: Money,
    /// Whether it is settled.
    rozliczona: bool,
}

async fn balance(ctx: &mut Ctx, input: ContractInput) -> Result<Balance> {
    let contract = ctx.fetch(input.id).await?;
    let books = Books::of(ctx, &contract).await?;
    Ok(Balance {
        id: contract.id,
        numer: contract.get("numer")?,
        suma: books.suma,
        zaplacono: books.zaplacono,
        do_zaplaty: books.do_zaplaty,
        rozliczona: contract.flag("rozliczona"),
    })
}

#[derive(Debug, Serialize, JsonSchema)]
struct Summary {
    /// UUID of the contract.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number of the contract.
    numer: String,
    /// Whether it has a valuation; without one all amounts are zero.
    wyceniona: bool,
    /// Furniture.
    meble: Money,
    /// Extras.
    dodatki: Money,
    /// Appliances.
    sprzet: Money,
    /// All three together.
    suma: Money,
    /// The sum in Polish words.
    slownie: String,
}

async fn summary(ctx: &mut Ctx, input: ContractInput) -> Result<Summary> {
    let contract = ctx.fetch(input.id).await?;
    let books = Books::of(ctx, &contract).await?;
    let [meble, dodatki, sprzet] = books.parts.unwrap_or_default();
    Ok(Summary {
        id: contract.id,
        numer: contract.get("numer")?,
        wyceniona: books.parts.is_some(),
        meble,
        dodatki,
        sprzet,
        suma: books.suma,
        slownie: slownie(books.suma),
    })
}

#[derive(Debug, Serialize, JsonSchema)]
struct Settled {
    /// Always true.
    ok: bool,
    /// UUID of the contract.
    #[schemars(with = "String")]
    id: Uuid,
    /// Always true.
    rozliczona: bool,
    /// When it was settled.
    rozliczona_at: Instant,
}

/// Two settlements at once: the second waits for the lock that `fetch` takes, and finds the contract settled. A payment
/// at the same time waits as well, since its rule locks the contract too.
async fn settle(ctx: &mut Ctx, input: ContractInput) -> Result<Settled> {
    let contract = ctx.fetch(input.id).await?;
    let numer = contract.text("numer");
    if let (true, Some(at)) = (contract.flag("rozliczona"), contract.get::<Option<Instant>>("rozliczona_at")?) {
        return Err(Error::impossible_state(format!(
            "Contract {numer} is settled already, since {at}. Nothing was changed."
        ))
        .with("rozliczona_at", at.to_string()));
    }
    let books = Books::of(ctx, &contract).await?;
    if let Some(refusal) = books.refusal(numer) {
        return Err(refusal);
    }
    let now = ctx.now();
    let values = Values::new()
        .with("rozliczona", true)
        .with("rozliczona_at", now)
        .with("suma", books.suma)
        .with("zaplacono", books.zaplacono);
    ctx.update(&contract, values).await?;
    Ok(Settled { ok: true, id: contract.id, rozliczona: true, rozliczona_at: now })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StatsInput {}

#[derive(Debug, Serialize, JsonSchema)]
struct Stats {
    /// All contracts.
    total: i64,
    /// Neither completed nor settled.
    active: i64,
    /// Completed (zakonczona), settled or not.
    completed: i64,
    /// Settled (rozliczona).
    settled: i64,
}

async fn stats(ctx: &mut Ctx, _: StatsInput) -> Result<Stats> {
    let sql = ctx.select(
        "COUNT(*), COUNT(CASE WHEN NOT zakonczona AND NOT rozliczona THEN 1 END), \
         COUNT(CASE WHEN zakonczona THEN 1 END), COUNT(CASE WHEN rozliczona THEN 1 END)",
        &CONTRACTS,
    );
    let rows = ctx.rows(&sql).await?;
    let row = rows.first().ok_or_else(|| Error::internal("a count gave no row"))?;
    Ok(Stats { total: row.get(0)?, active: row.get(1)?, completed: row.get(2)?, settled: row.get(3)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books(suma: i64, zaplacono: i64) -> Books {
        let [suma, zaplacono] = [suma, zaplacono].map(|zlote| Money::from_units(zlote * 10_000));
        let do_zaplaty = suma.checked_sub(zaplacono).unwrap();
        Books { parts: Some([suma, Money::ZERO, Money::ZERO]), suma, zaplacono, do_zaplaty }
    }

    #[test]
    fn only_exact_books_close() {
        assert!(books(4000, 4000).refusal("K/12").is_none());
        let error = books(4000, 2500).refusal("K/12").unwrap();
        assert_eq!(
            Value::Object(error.to_json()),
            json!({
                "code": "impossible_state",
                "message": "Contract K/12 cannot be settled: 1500.00 of 4000.00 is still to pay. Record the payment with \
                            contract_payment_method_create (potwierdzona: true), then settle again.",
                "details": {"suma": "4000.00", "zaplacono": "2500.00", "doZaplaty": "1500.00"},
            })
        );
        let error = books(4000, 4001).refusal("K/12").unwrap();
        assert_eq!(
            error.message(),
            "Contract K/12 cannot be settled: 4001.00 was paid, but it costs 4000.00. Correct the payments with \
             contract_payment_method_update, or the valuation with contract_valuation_update, then settle again."
        );
        let error = Books { parts: None, ..books(0, 0) }.refusal("K/12").unwrap();
        assert_eq!(
            error.message(),
            "Contract K/12 cannot be settled: it has no valuation, so nothing says what it costs. Store one with \
             contract_valuation_create, then settle again."
        );
    }

    #[test]
    fn sums_are_exact_or_refused() {
        let units = |units| Money::from_units(units);
        assert_eq!(sum([units(1_000), units(2_000)]).unwrap(), units(3_000));
        assert_eq!(sum([]).unwrap(), Money::ZERO);
        assert_eq!(
            sum([units(i64::MAX), units(1)]).unwrap_err().message(),
            "The amounts of this contract add up to more than can be stored. Nothing was changed; check them."
        );
    }
}
