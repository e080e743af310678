//! Contracts of a furniture company: what was agreed, what it costs, what was paid, and the settlement.
//!
//! The rules come from Open Mercato's private module as far as its source document tells them
//! (reference/mercato.md, "Contracts"; peers.md §1.24). What had to be decided is marked "Inferred".

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]
#![cfg_attr(test, expect(clippy::arithmetic_side_effects, reason = "a test that overflows should fail"))]

mod books;
mod calendar;
mod contracts;
mod finance;
mod given;
mod measurements;
mod messages;
mod payments;
mod valuations;
mod warehouse;
mod words;

use bureau_kit::prelude::*;

pub use contracts::Contract;
pub use payments::PaymentMethod;
pub use valuations::Valuation;
pub use words::slownie;

/// Every table of this crate.
pub const TABLES: &[&Table] = &[
    &contracts::CONTRACTS,
    &valuations::VALUATIONS,
    &payments::PAYMENT_METHODS,
    &finance::CASH_ACCOUNTS,
    &finance::TRANSFERS,
    &finance::TRANSACTIONS,
    &finance::APPROVALS,
    &warehouse::LOCATIONS,
    &warehouse::MATERIALS,
    &warehouse::GOODS_ISSUES,
    &warehouse::GOODS_ISSUE_LINES,
    &warehouse::STOCK_MOVES,
    &calendar::CALENDAR_EVENTS,
    &calendar::BLOCKED_DAYS,
    &calendar::RESCHEDULES,
    &measurements::MEASUREMENTS,
    &messages::MESSAGES,
];

/// The tools, toolset by toolset.
pub fn toolsets() -> Vec<Toolset> {
    vec![
        Toolset {
            name: "contracts",
            about: "Contracts with customers: valuation, payments, balance and settlement.",
            tools: [contracts::tools(), valuations::tools(), payments::tools(), books::tools()].concat(),
        },
        Toolset {
            name: "finance",
            about: "Income and expenses, their approval, cash in hand, transfers and sums by period.",
            tools: finance::tools(),
        },
        Toolset {
            name: "warehouse",
            about: "Materials in stock, receipts, stocktakes, and goods issued to contracts.",
            tools: warehouse::tools(),
        },
        Toolset {
            name: "calendar",
            about: "Events of workers, blocked days, what was moved, and iCalendar files.",
            tools: calendar::tools(),
        },
        Toolset {
            name: "measurements",
            about: "Measurements at customers, and their approval into finance.",
            tools: measurements::tools(),
        },
        Toolset { name: "messages", about: "Messages between users of the company.", tools: messages::tools() },
    ]
}
