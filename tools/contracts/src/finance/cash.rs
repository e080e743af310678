//! Cash in hand: one row for each person, and one for the company, in each organization.
//!
//! Every booked transaction in cash passes its row here, in the same transaction. So cash cannot fall below zero, also
//! not by two calls at once; and what a later movement rests on cannot be undone below it, since the row has changed.

use std::collections::BTreeMap;

use bureau_kit::prelude::*;

use super::{CASH, INCOME, too_large};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("cash_account_list", "finance.view", &CASH_ACCOUNTS)
            .title("List cash balances")
            .about(
                "List how much cash each person holds, and the company itself (uzytkownik_id null). Bank and card balances \
                 are in finance_stats_show (registers).",
            )
            .synonyms("cash register till balance who has money kasa stan kasy gotówka ile w kasie saldo каса готівка залишок скільки грошей у касі"),
    ]
}

pub(crate) static CASH_ACCOUNTS: Table = Table::new(
    "cash_accounts",
    "cash_account",
    "Cash of a person or of the company.",
    &[
        // Organization and person in one text, so that one unique index covers rows without either.
        Column::text("klucz", "Whose cash it is, as a key.").hidden(),
        Column::reference("uzytkownik_id", "users", OnDelete::Refuse, "Who holds it; null is the company.")
            .computed()
            .filter(),
        Column::money("saldo", "How much there is.").default("\"0\"").computed().sort(),
    ],
);

/// Whose cash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holder {
    pub(super) organization: Option<Uuid>,
    pub(super) user: Option<Uuid>,
}

impl Holder {
    fn key(self) -> String {
        let part = |id: Option<Uuid>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        format!("{}/{}", part(self.organization), part(self.user))
    }
}

/// What cash goes where in one call. All of it, or nothing.
#[derive(Debug, Default)]
pub(super) struct Movements(BTreeMap<Holder, Money>);

impl Movements {
    /// Counts what a booked transaction does to cash.
    pub(super) fn add(&mut self, holder: Holder, typ: &str, rodzaj: &str, amount: Money) -> Result<()> {
        if rodzaj != CASH {
            return Ok(());
        }
        let before = self.0.get(&holder).copied().unwrap_or_default();
        let after = if typ == INCOME { before.checked_add(amount) } else { before.checked_sub(amount) };
        self.0.insert(holder, after.ok_or_else(too_large)?);
        Ok(())
    }

    /// Counts the opposite: what taking a booked transaction back does.
    pub(super) fn take_back(&mut self, holder: Holder, typ: &str, rodzaj: &str, amount: Money) -> Result<()> {
        let opposite = Money::ZERO.checked_sub(amount).ok_or_else(too_large)?;
        self.add(holder, typ, rodzaj, opposite)
    }

    /// Moves it. Rows are locked in one order by everybody, so that two calls never wait for each other.
    pub(super) async fn carry_out(self, ctx: &mut Ctx) -> Result<()> {
        for (holder, delta) in self.0 {
            if delta == Money::ZERO {
                continue;
            }
            let account = find(ctx, holder).await?;
            let held = account.as_ref().map_or(Ok(Money::ZERO), |account| account.get("saldo"))?;
            let saldo = held.checked_add(delta).ok_or_else(too_large)?;
            if saldo < Money::ZERO {
                return Err(short(ctx, holder, held, delta).await?);
            }
            match account {
                Some(account) => ctx.update(&account, Values::new().with("saldo", saldo)).await?,
                None => {
                    let values = Values::new()
                        .with("klucz", holder.key())
                        .with("uzytkownik_id", holder.user)
                        .with("organization_id", holder.organization)
                        .with("saldo", saldo);
                    ctx.insert(&CASH_ACCOUNTS, values).await.map_err(Error::lost_race)?
                }
            };
        }
        Ok(())
    }
}

async fn find(ctx: &mut Ctx, holder: Holder) -> Result<Option<Record>> {
    let mut sql = ctx.from(&CASH_ACCOUNTS);
    sql.and_eq("klucz", holder.key());
    ctx.first(&CASH_ACCOUNTS, sql).await
}

/// How much cash somebody holds.
pub(super) async fn held(ctx: &mut Ctx, holder: Holder) -> Result<Money> {
    find(ctx, holder).await?.map_or(Ok(Money::ZERO), |account| account.get("saldo"))
}

/// The error for cash that is not there.
async fn short(ctx: &mut Ctx, holder: Holder, held: Money, delta: Money) -> Result<Error> {
    let wanted = Money::ZERO.checked_sub(delta).ok_or_else(too_large)?;
    let whose = match holder.user {
        Some(id) if ctx.principal().user_id == Some(id) => "You hold".to_owned(),
        Some(id) => format!("{} holds", name_of(ctx, id).await?),
        None => "The company's register holds".to_owned(),
    };
    Ok(Error::impossible_state(format!(
        "{whose} {held} in cash, and this would take {wanted} out: cash cannot fall below zero. Nothing was changed. \
         cash_account_list shows what there is; record the missing income first, or choose another rodzaj."
    ))
    .with("saldo", held.to_string())
    .with("kwota", wanted.to_string()))
}

/// The name of a user, for a text.
pub(super) async fn name_of(ctx: &mut Ctx, user: Uuid) -> Result<String> {
    let mut sql = ctx.select("name", <bureau_identity::User as Kind>::TABLE);
    sql.and_eq("id", user);
    ctx.rows(&sql).await?.first().map_or_else(|| Ok(format!("User {user}")), |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::super::EXPENSE;
    use super::*;

    #[test]
    fn what_goes_out_and_comes_in_adds_up_and_only_cash_counts() {
        let holder = |user: u128| Holder { organization: None, user: Some(Uuid::from_u128(user)) };
        let units = Money::from_units;
        let mut movements = Movements::default();
        movements.add(holder(1), EXPENSE, CASH, units(500)).unwrap();
        movements.add(holder(2), INCOME, CASH, units(500)).unwrap();
        movements.add(holder(2), INCOME, "przelew", units(900)).unwrap();
        movements.take_back(holder(1), INCOME, CASH, units(20)).unwrap();
        assert_eq!(movements.0, BTreeMap::from([(holder(1), units(-520)), (holder(2), units(500))]));
        movements.add(holder(3), INCOME, CASH, units(i64::MAX)).unwrap();
        assert_eq!(
            movements.add(holder(3), INCOME, CASH, units(1)).unwrap_err().message(),
            "The amounts add up to more than can be stored. Nothing was changed; check them."
        );
    }
}
