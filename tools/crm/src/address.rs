//! Addresses of people, companies and other records. Their tools belong to a later issue; merges and
//! deletions know them already.

use bureau_kit::prelude::*;

pub(crate) static ADDRESSES: Table = Table::new(
    "addresses",
    "address",
    "An address of a person, a company or another record.",
    &[
        Column::subject_type("subject_type", "Kind of the record whose address it is.").fixed(),
        Column::subject_id("subject_id", OnDelete::Cascade, "The record whose address it is.").fixed().filter(),
        Column::text("name", "What it is called, such as Office."),
        Column::text("purpose", "What it is for, such as billing or delivery."),
        Column::text("company_name", "Company at the address."),
        Column::text("address_line1", "First line: usually street and number.").max(300).required(),
        Column::text("address_line2", "Second line.").max(300),
        Column::text("building_number", "Number of the building.").max(50),
        Column::text("flat_number", "Number of the flat.").max(50),
        Column::text("postal_code", "Post code.").max(30),
        Column::text("city", "Town."),
        Column::text("region", "Region."),
        Column::text("country", "Country."),
        // Decimal text: Bureau has no inexact numbers, and nothing is computed from coordinates.
        Column::text("latitude", "Latitude in decimal degrees, as text.").max(32),
        Column::text("longitude", "Longitude in decimal degrees, as text.").max(32),
        Column::flag("is_primary", "Whether it is the main address of the record."),
    ],
);
