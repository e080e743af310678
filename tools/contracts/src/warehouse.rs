//! The warehouse: materials, where they lie, what was issued to contracts, and every movement of stock.
//!
//! Inferred: the source document names goods issues (WZ) without saying what they hold. Here they may have lines, and
//! then they take from stock. How much there is of a material is the sum of its movements, at any moment, and never
//! below zero.

mod goods_issues;
mod lines;
mod locations;
mod materials;
mod stock;

use bureau_kit::prelude::*;

pub(crate) use goods_issues::GOODS_ISSUES;
pub(crate) use lines::GOODS_ISSUE_LINES;
pub(crate) use locations::LOCATIONS;
pub(crate) use materials::MATERIALS;
pub(crate) use stock::STOCK_MOVES;

pub(crate) fn tools() -> Vec<Tool> {
    [materials::tools(), stock::tools(), goods_issues::tools(), lines::tools(), locations::tools()].concat()
}
