//! Deals, and who takes part in them. Their tools belong to a later issue; merges and deletions know them already.

use bureau_kit::prelude::*;

pub(crate) static DEALS: Table = Table::new(
    "deals",
    "deal",
    "A sales opportunity.",
    &[
        Column::text("title", "What it is about.").max(200).required().search(),
        Column::text("description", "Description.").max(4000),
        Column::text("status", "Status, such as open, won or lost.").max(50).default("\"open\"").filter(),
        Column::text("pipeline_stage", "Stage in the sales pipeline.").max(100).filter(),
        Column::money("value_net", "Net value."),
        Column::money("value_gross", "Gross value."),
        // iblai documents this default.
        Column::text("currency", "Currency of the value, three letters.").max(3).default("\"USD\""),
        Column::count("probability", 0, 100, "Probability of winning it, in per cent."),
        Column::date("expected_close", "When it is expected to be closed.").range().sort(),
        Column::reference("owner_id", "users", OnDelete::Clear, "Who is in charge of it.").filter(),
        Column::text("source", "Where it came from.").max(150),
        Column::text("lost_reason", "Why it was lost."),
        Column::instant("closed_at", "When it was won or lost.").computed(),
        Column::json("metadata", "Anything else.").default("{}"),
    ],
);

/// A row for each person and each company in a deal. It goes with either of them: a deal outlives its people.
pub(crate) static DEAL_PARTIES: Table = Table::new(
    "deal_parties",
    "deal_party",
    "A person or company that takes part in a deal.",
    &[
        Column::reference("deal_id", "deals", OnDelete::Cascade, "The deal.").required(),
        Column::reference("party_id", "parties", OnDelete::Cascade, "The person or company.").required(),
        Column::choice("role", &["person", "company"], "As what it takes part.").required(),
    ],
)
.unnumbered()
.tenant_wide();
