//! Comments, notes and questions, on records of any kind: one table for the six places where the systems keep them.

use bureau_kit::prelude::*;

pub(crate) static NOTES: Table = Table::new(
    "notes",
    "note",
    "A comment, note or question on a record.",
    &[
        Column::subject_type("subject_type", "Kind of the record it is about, such as task or party.").fixed(),
        Column::subject_id("subject_id", OnDelete::Cascade, "The record it is about.").fixed().filter(),
        Column::reference("deal_id", "deals", OnDelete::Clear, "Deal that it is about as well."),
        Column::choice("kind", &["comment", "note", "question"], "What it is.").default("\"comment\"").filter(),
        Column::text("title", "Title."),
        Column::text("body", "Text, in Markdown.").max(65_535).required().search(),
        Column::reference("author_id", "users", OnDelete::Clear, "Who wrote it.").computed().filter(),
        Column::reference("responsible_id", "users", OnDelete::Clear, "Who is to answer it: makes it a question.")
            .filter(),
        Column::instant("solved_at", "When the question was solved.").computed(),
        Column::reference("solved_by_id", "users", OnDelete::Clear, "Who solved it.").computed(),
        Column::text("icon", "Icon shown beside it."),
        Column::color("color", "Colour shown beside it."),
    ],
);
