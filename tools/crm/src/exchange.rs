//! People and companies from files and into files.
//!
//! A row of a file is put through `person_create`, `company_create` and their updates, so that every rule of those holds
//! for it. An import is made of parts, each one call and one action; its row joins them, and `contact_import_undo` takes
//! them back together.

mod cells;
mod export;
mod fields;
mod run;
mod sheet;
mod undo;

use bureau_kit::prelude::*;

pub(crate) static CONTACT_IMPORTS: Table = Table::new(
    "contact_imports",
    "contact_import",
    "An import of people or companies from a file.",
    &[
        Column::text("file_name", "Name of the file.").max(255).default("\"\"").search(),
        Column::text("fingerprint", "By what an import that was cut is found again.").max(128).default("\"\""),
        Column::choice("resource", &["person", "company"], "What the rows are.").required().filter(),
        Column::choice("format", &["csv", "jsonl"], "How the file is written.").required(),
        Column::json("column_map", "Field of each column; null for one that is left out.").default("{}"),
        Column::choice("status", &["running", "finished", "undone"], "How far it is. In CCRM: finish, rollbackFinish.")
            .default("\"running\"")
            .filter(),
        Column::text("source", "Where the rows came from.").max(150),
        Column::count("part_count", 0, i64::MAX, "Parts that are in.").default("0"),
        Column::count("row_count", 0, i64::MAX, "Rows read.").default("0"),
        Column::count("created_count", 0, i64::MAX, "Records made.").default("0"),
        Column::count("updated_count", 0, i64::MAX, "Records changed.").default("0"),
        Column::count("skipped_count", 0, i64::MAX, "Rows left out, since there was such a record.").default("0"),
        Column::count("failed_count", 0, i64::MAX, "Rows with an error.").default("0"),
        Column::json("first_errors", "The first errors, by their lines.").default("{}"),
        Column::instant("ended_at", "When the last part was in."),
    ],
);

pub(crate) const VIEW: &str = "customers.people.view";
pub(crate) const MANAGE: &str = "customers.people.manage";

/// Names the table of imports to ids.
#[derive(Debug)]
pub struct ContactImport;

impl Kind for ContactImport {
    const TABLE: &'static Table = &CONTACT_IMPORTS;
}

pub(crate) fn tools() -> Vec<Tool> {
    let mut tools = vec![
        family::list("contact_import_list", VIEW, &CONTACT_IMPORTS)
            .title("List imports of contacts")
            .about("List the imports of people and companies: file, status, how many rows came in and how many failed.")
            .synonyms("csv files uploads importy kontaktów lista імпорти контактів список"),
        family::show("contact_import_show", VIEW, &CONTACT_IMPORTS)
            .title("Show an import of contacts")
            .about("Show one import of people or companies with its columns, counts and first errors.")
            .synonyms("csv file upload errors import kontaktów błędy імпорт контактів помилки"),
    ];
    tools.extend(run::tools());
    tools.extend(undo::tools());
    tools.extend(export::tools());
    tools
}
