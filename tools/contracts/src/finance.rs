//! Money of the company: transactions, their approval, transfers, and what comes of them.
//!
//! Amounts are above zero; `typ` says which way they go. A transaction counts once it is booked, that is, unless it
//! waits for approval. Money moves between people and between registers as two transactions of one transfer.

mod approvals;
mod cash;
mod stats;
mod transactions;
mod transfers;

use bureau_kit::prelude::*;

pub(crate) use approvals::APPROVALS;
pub(crate) use cash::CASH_ACCOUNTS;
pub(crate) use transactions::{Booking, Source, TRANSACTIONS, book};
pub(crate) use transfers::TRANSFERS;

pub(crate) fn tools() -> Vec<Tool> {
    [transactions::tools(), approvals::tools(), transfers::tools(), cash::tools(), stats::tools()].concat()
}

/// Money comes in.
pub(crate) const INCOME: &str = "przychod";
/// Money goes out.
pub(crate) const EXPENSE: &str = "rozchod";

// The source shows the first value of each only. Inferred: the list of kinds is closed, since a misspelt `Gotówka` would
// be a register of its own, and would escape the rule that cash never falls below zero.
/// Which way a transaction goes.
const TYPES: [&str; 2] = [INCOME, EXPENSE];
/// Cash, which cannot fall below zero.
pub(crate) const CASH: &str = "gotowka";
/// Registers that money lies in: cash, the bank account, and what card terminals owe.
const REGISTERS: [&str; 3] = [CASH, "przelew", "karta"];

/// The largest amount of one transaction: sums over a million of them still fit.
const LARGEST: Money = Money::from_units(9_999_999_999_900);

/// Refuses amounts that no transaction can have.
fn check_amount(path: &str, amount: Money) -> Result<()> {
    if amount <= Money::ZERO || amount > LARGEST || amount.hundredths().is_none() {
        return Err(Error::invalid(
            path,
            format!("must be more than 0 and at most {LARGEST}, with at most two decimals"),
        ));
    }
    Ok(())
}

/// For sums that no amount can hold.
fn too_large() -> Error {
    Error::validation("The amounts add up to more than can be stored. Nothing was changed; check them.")
}
