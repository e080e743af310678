//! Contracts of a furniture company: what was agreed, what it costs, what was paid, and the settlement.
//!
//! The rules come from Open Mercato's private module as far as its source document tells them
//! (reference/mercato.md, "Contracts"; peers.md §1.24). What had to be decided is marked "Inferred".

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]
#![cfg_attr(test, expect(clippy::arithmetic_side_effects, reason = "a test that overflows should fail"))]

mod books;
mod contracts;
mod payments;
mod valuations;
mod words;

use bureau_kit::prelude::*;

pub use contracts::Contract;
pub use payments::PaymentMethod;
pub use valuations::Valuation;
pub use words::slownie;

/// Every table of this crate.
pub const TABLES: &[&Table] = &[&contracts::CONTRACTS, &valuations::VALUATIONS, &payments::PAYMENT_METHODS];

/// The tools, toolset by toolset.
pub fn toolsets() -> Vec<Toolset> {
    vec![Toolset {
        name: "contracts",
        about: "Contracts with customers: valuation, payments, balance and settlement.",
        tools: [contracts::tools(), valuations::tools(), payments::tools(), books::tools()].concat(),
    }]
}
