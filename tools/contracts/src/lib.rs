//! Contracts of a furniture company: what was agreed, what it costs, what was paid, and the settlement.
//!
//! The rules come from Open Mercato's private module as far as its source document tells them
//! (reference/mercato.md, "Contracts"; peers.md §1.24). What had to be decided is marked "Inferred".

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]
#![cfg_attr(test, expect(clippy::arithmetic_side_effects, reason = "a test that overflows should fail"))]

mod appliances;
mod below;
mod books;
mod calendar;
mod configuration;
mod contracts;
mod documents;
mod finance;
mod given;
mod installation;
mod issue;
mod measurements;
mod messages;
mod payments;
mod planned_payments;
mod print;
mod purchase_orders;
mod texts;
mod valuations;
mod warehouse;
mod words;
mod worker_profiles;

use bureau_kit::prelude::*;

pub use contracts::Contract;
pub use documents::ContractDocument;
pub use payments::PaymentMethod;
pub use valuations::Valuation;
pub use words::slownie;

/// Every table of this crate.
pub const TABLES: &[&Table] = &[
    &contracts::CONTRACTS,
    &valuations::VALUATIONS,
    &payments::PAYMENT_METHODS,
    &configuration::FURNITURE,
    &configuration::FRONTS,
    &configuration::HANDLES,
    &configuration::VITRINES,
    &appliances::APPLIANCES,
    &installation::ASSEMBLY_NOTES,
    &installation::WORK_RATINGS,
    &installation::WORKER_ASSIGNMENTS,
    &installation::INSTALLATION_DATES,
    &planned_payments::PLANNED_PAYMENTS,
    &texts::TEXT_TEMPLATES,
    &texts::TEXT_ATTACHMENTS,
    &purchase_orders::PURCHASE_ORDERS,
    &worker_profiles::WORKER_PROFILES,
    &documents::CONTRACT_DOCUMENTS,
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
            about: "Contracts with customers: what is built and by whom, valuation, payments, balance and settlement.",
            tools: [
                contracts::tools(),
                valuations::tools(),
                payments::tools(),
                books::tools(),
                configuration::tools(),
                appliances::tools(),
                installation::tools(),
                planned_payments::tools(),
                texts::tools(),
                purchase_orders::tools(),
                worker_profiles::tools(),
                documents::tools(),
            ]
            .concat(),
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
