//! Files on records. Their tools belong to a later issue; merges and deletions know them already.
//!
//! The bytes are in `attachment_contents`, by their SHA-256: the journal keeps the hash and never the bytes, and undo of
//! a deletion finds them where they were.

use bureau_kit::prelude::*;

pub(crate) static ATTACHMENTS: Table = Table::new(
    "attachments",
    "attachment",
    "A file on a record.",
    &[
        Column::subject_type("subject_type", "Kind of the record it is attached to.").fixed(),
        Column::subject_id("subject_id", OnDelete::Cascade, "The record it is attached to.").fixed().filter(),
        Column::text("file_name", "Name of the file.").required().search(),
        Column::text("mime", "Media type, such as application/pdf.").required(),
        Column::count("size", 0, 1_000_000_000_000, "Size in bytes.").required().computed(),
        Column::text("sha256", "SHA-256 of the bytes, in hexadecimal.").max(64).required().computed(),
        Column::reference("author_id", "users", OnDelete::Clear, "Who attached it.").computed(),
    ],
);
