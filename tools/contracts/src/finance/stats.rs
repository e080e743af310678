//! What came in and went out, by period, and what lies in each register.

use std::collections::BTreeMap;

use bureau_identity::User;
use bureau_kit::prelude::*;

use super::transactions::{TRANSACTIONS, day_number};
use super::{REGISTERS, too_large};
use crate::Contract;

/// Most periods in one answer.
const MOST_PERIODS: usize = 400;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("finance_stats_show", "finance.view", stats)
            .title("Sum up the finances")
            .about(
                "Sum up income, expense and balance, all time or from date_from to date_to, by day, month or year, for one \
                 person, category or contract. What waits for approval is counted apart; transfers are neither income nor \
                 expense. registers shows what lies in cash, bank and card.",
            )
            .synonyms("month end profit totals report cash flow bilans zysk podsumowanie finansów zamknięcie miesiąca zestawienie підсумок фінанси прибуток баланс звіт"),
    ]
}

/// How long the periods are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum By {
    Day,
    Month,
    Year,
}

impl By {
    /// What of a day's number names its period.
    fn of(self, day: i64) -> i64 {
        let digits = match self {
            Self::Day => 1,
            Self::Month => 100,
            Self::Year => 10_000,
        };
        day.checked_div(digits).unwrap_or_default()
    }

    /// The period as people write it: 2026, 2026-11, 2026-11-21.
    fn written(self, period: i64) -> String {
        let text = period.to_string();
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        match self {
            Self::Day => format!("{}-{}-{}", part(0, 4), part(4, 6), part(6, 8)),
            Self::Month => format!("{}-{}", part(0, 4), part(4, 6)),
            Self::Year => text,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StatsInput {
    /// First day, in UTC; from the beginning when left out.
    #[serde(alias = "dateFrom")]
    date_from: Option<Date>,
    /// Last day, inclusive, in UTC.
    #[serde(alias = "dateTo")]
    date_to: Option<Date>,
    /// Adds the sums of each day, month or year in which something counted.
    by: Option<By>,
    /// Only what is on this user's name.
    #[serde(alias = "uzytkownikId")]
    uzytkownik_id: Option<Id<User>>,
    /// Only this category.
    kategoria: Option<String>,
    /// Only of this contract.
    #[serde(alias = "contractId")]
    contract_id: Option<Id<Contract>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Stats {
    /// Income that counts.
    income: Money,
    /// Expenses that count.
    expense: Money,
    /// Income less expenses.
    balance: Money,
    /// How many transactions wait for approval; they are in none of the sums.
    #[serde(rename = "pendingApprovals")]
    pending_approvals: i64,
    /// The sums of each period, oldest first; empty unless by is given.
    periods: Vec<Period>,
    /// What lies in each register at the end, transfers included.
    registers: Vec<RegisterBalance>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Period {
    /// The period: 2026, 2026-11 or 2026-11-21.
    period: String,
    /// Income that counts.
    income: Money,
    /// Expenses that count.
    expense: Money,
    /// Income less expenses.
    balance: Money,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RegisterBalance {
    /// gotowka (cash), przelew (bank account) or karta (card).
    rodzaj: &'static str,
    /// What lies there; cash is never below zero, a bank account can be.
    saldo: Money,
}

/// Income and expense, added up exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    income: Money,
    expense: Money,
}

impl Sums {
    fn with(self, other: Self) -> Result<Self> {
        let add = |one: Money, two: Money| one.checked_add(two).ok_or_else(too_large);
        Ok(Self { income: add(self.income, other.income)?, expense: add(self.expense, other.expense)? })
    }

    fn balance(self) -> Result<Money> {
        self.income.checked_sub(self.expense).ok_or_else(too_large)
    }
}

/// Sums of days, brought together into longer periods.
fn periods(days: &[(i64, Sums)], by: By) -> Result<BTreeMap<i64, Sums>> {
    let mut periods: BTreeMap<i64, Sums> = BTreeMap::new();
    for (day, sums) in days {
        let period = periods.entry(by.of(*day)).or_default();
        *period = period.with(*sums)?;
    }
    Ok(periods)
}

/// Which transactions are meant.
struct Wanted {
    from: Option<i64>,
    to: Option<i64>,
    user: Option<Uuid>,
    contract: Option<Uuid>,
    kategoria: Option<String>,
}

impl Wanted {
    /// At the end of the period: nothing is left out before it.
    fn until(&self, sql: &mut Sql) {
        if let Some(to) = self.to {
            sql.push(" AND dzien <= ").bind(to);
        }
        if let Some(user) = self.user {
            sql.and_eq("uzytkownik_id", user);
        }
        if let Some(contract) = self.contract {
            sql.and_eq("contract_id", contract);
        }
        if let Some(kategoria) = &self.kategoria {
            sql.and_eq("kategoria", kategoria.as_str());
        }
    }

    fn within(&self, sql: &mut Sql) {
        if let Some(from) = self.from {
            sql.push(" AND dzien >= ").bind(from);
        }
        self.until(sql);
    }
}

async fn stats(ctx: &mut Ctx, input: StatsInput) -> Result<Stats> {
    let user = match input.uzytkownik_id {
        Some(user) => Some(ctx.reference("uzytkownik_id", user).await?),
        None => None,
    };
    let contract = match input.contract_id {
        Some(contract) => Some(ctx.reference("contract_id", contract).await?),
        None => None,
    };
    let wanted = Wanted {
        from: input.date_from.map(day_number),
        to: input.date_to.map(day_number),
        user,
        contract,
        kategoria: input.kategoria.filter(|kategoria| !kategoria.is_empty()),
    };
    let days = by_day(ctx, &wanted).await?;
    let total = days.iter().try_fold(Sums::default(), |total, (_, sums)| total.with(*sums))?;
    let mut shown = Vec::new();
    if let Some(by) = input.by {
        let periods = periods(&days, by)?;
        if periods.len() > MOST_PERIODS {
            return Err(Error::invalid(
                "/by",
                format!(
                    "makes {} periods, more than {MOST_PERIODS}; ask for longer ones, or for less between date_from and date_to",
                    periods.len()
                ),
            ));
        }
        for (period, sums) in periods {
            let (income, expense) = (sums.income, sums.expense);
            shown.push(Period { period: by.written(period), income, expense, balance: sums.balance()? });
        }
    }
    Ok(Stats {
        income: total.income,
        expense: total.expense,
        balance: total.balance()?,
        pending_approvals: waiting(ctx, &wanted).await?,
        periods: shown,
        registers: registers(ctx, &wanted).await?,
    })
}

/// What counted on each day. What moves within the company is neither income nor expense.
async fn by_day(ctx: &mut Ctx, wanted: &Wanted) -> Result<Vec<(i64, Sums)>> {
    let mut sql = ctx.select(
        "dzien, CAST(SUM(CASE WHEN typ = 'przychod' THEN kwota ELSE 0 END) AS BIGINT), \
         CAST(SUM(CASE WHEN typ = 'rozchod' THEN kwota ELSE 0 END) AS BIGINT)",
        &TRANSACTIONS,
    );
    sql.push(" AND NOT oczekuje AND zrodlo IN ('reczna', 'pomiar')");
    wanted.within(&mut sql);
    sql.push(" GROUP BY dzien ORDER BY dzien");
    let rows = ctx.rows(&sql).await?;
    rows.iter().map(|row| Ok((row.get(0)?, Sums { income: row.get(1)?, expense: row.get(2)? }))).collect()
}

async fn waiting(ctx: &mut Ctx, wanted: &Wanted) -> Result<i64> {
    let mut sql = ctx.select("COUNT(*)", &TRANSACTIONS);
    sql.push(" AND oczekuje");
    wanted.within(&mut sql);
    ctx.rows(&sql).await?.first().map_or(Ok(0), |row| row.get(0))
}

async fn registers(ctx: &mut Ctx, wanted: &Wanted) -> Result<Vec<RegisterBalance>> {
    let mut sql =
        ctx.select("rodzaj, CAST(SUM(CASE WHEN typ = 'przychod' THEN kwota ELSE -kwota END) AS BIGINT)", &TRANSACTIONS);
    sql.push(" AND NOT oczekuje");
    wanted.until(&mut sql);
    sql.push(" GROUP BY rodzaj");
    let mut balances: BTreeMap<String, Money> = BTreeMap::new();
    for row in ctx.rows(&sql).await? {
        balances.insert(row.get(0)?, row.get(1)?);
    }
    let balance =
        |rodzaj: &'static str| RegisterBalance { rodzaj, saldo: balances.get(rodzaj).copied().unwrap_or_default() };
    Ok(REGISTERS.map(balance).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(income: i64, expense: i64) -> Sums {
        Sums { income: Money::from_units(income), expense: Money::from_units(expense) }
    }

    #[test]
    fn periods_are_named_as_people_write_them() {
        assert_eq!(By::Day.written(By::Day.of(20_261_121)), "2026-11-21");
        assert_eq!(By::Month.written(By::Month.of(20_261_121)), "2026-11");
        assert_eq!(By::Year.written(By::Year.of(20_261_121)), "2026");
    }

    /// Whatever falls on whatever days: each way of cutting time up keeps every unit, once.
    #[test]
    fn however_time_is_cut_the_sums_are_the_same() {
        let mut seed: u64 = 7;
        let mut dice = |end: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from((seed >> 33) % end).unwrap()
        };
        for _ in 0..500 {
            let days: Vec<(i64, Sums)> = (0..dice(60))
                .map(|_| {
                    let day = (2024 + dice(3)) * 10_000 + (1 + dice(12)) * 100 + 1 + dice(28);
                    (day, sums(dice(1 << 40), dice(1 << 40)))
                })
                .collect();
            let income: i128 = days.iter().map(|(_, sums)| i128::from(sums.income.units())).sum();
            let expense: i128 = days.iter().map(|(_, sums)| i128::from(sums.expense.units())).sum();
            for by in [By::Day, By::Month, By::Year] {
                let parts = periods(&days, by).unwrap();
                let total = parts.values().try_fold(Sums::default(), |total, part| total.with(*part)).unwrap();
                assert_eq!(i128::from(total.income.units()), income);
                assert_eq!(i128::from(total.expense.units()), expense);
                assert_eq!(i128::from(total.balance().unwrap().units()), income - expense);
                for (period, part) in parts {
                    let inside = days.iter().filter(|(day, _)| by.of(*day) == period);
                    let expected = inside.fold(0, |sum, (_, sums)| sum + sums.income.units());
                    assert_eq!(part.income.units(), expected);
                }
            }
        }
    }

    #[test]
    fn sums_that_do_not_fit_are_refused() {
        let error = sums(i64::MAX, 0).with(sums(1, 0)).unwrap_err();
        assert_eq!(error.message(), "The amounts add up to more than can be stored. Nothing was changed; check them.");
        assert!(sums(0, i64::MAX).balance().is_ok());
    }
}
