//! Comments, notes and questions, on records of any kind: one table for the six places where the systems keep them.
//!
//! What hangs on a person, company or deal is one conversation, whichever tool wrote it: a comment of Open Mercato is a note of
//! Intum, and both are seen by whoever sees the person, company or deal.

use bureau_kit::prelude::*;

use crate::customer;

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
        Column::instant("note_at", "When what it tells of happened."),
    ],
);

/// The note a caller names, where it is about a person, company or deal that the caller sees.
pub(crate) async fn of_customer(ctx: &mut Ctx, id: Id<crate::Note>, noun: &str) -> Result<Record> {
    let missing = || Error::not_found(noun, id.key());
    customer::fetch(ctx, &NOTES, id.key()).await?.ok_or_else(missing)
}

/// Notes about people, companies and deals that the caller sees, newest first.
#[derive(Debug, Default)]
pub(crate) struct NoteQuery {
    /// Only about parties, or only about deals.
    pub(crate) subject_type: Option<&'static str>,
    /// Only about this person, company or deal.
    pub(crate) subject: Option<Uuid>,
    /// Only about this deal, be it the subject or beside it.
    pub(crate) deal: Option<Uuid>,
    pub(crate) words: Option<String>,
    pub(crate) page: Option<i64>,
    pub(crate) page_size: Option<i64>,
}

impl NoteQuery {
    pub(crate) async fn run(self, ctx: &mut Ctx) -> Result<Page<Record>> {
        let (page, page_size) = page::Wanted { page: self.page, page_size: self.page_size }.checked()?;
        let principal = ctx.principal().clone();
        let filter = |sql: &mut Sql| {
            match self.subject_type {
                Some(noun) => sql.and_eq("subject_type", noun),
                None => sql.push(" AND subject_type IN ('party', 'deal')"),
            };
            if let Some(subject) = self.subject {
                sql.and_eq("subject_id", subject);
            }
            if let Some(deal) = self.deal {
                sql.push(" AND (deal_id = ").bind(deal).push(" OR subject_id = ").bind(deal).push(")");
            }
            if let Some(words) = &self.words {
                sql.and_contains(words);
            }
            customer::and_seen(&principal, sql);
        };
        // Said by hand: whoever sees the subject sees the note, whatever organization it was written in.
        let mut counted = Sql::new("SELECT 1 FROM notes WHERE tenant_id = ");
        counted.bind(ctx.tenant_id());
        filter(&mut counted);
        let mut rows = ctx.from_tenant(&NOTES);
        filter(&mut rows);
        rows.push(" ORDER BY num DESC");
        page::fetch(ctx, &NOTES, page::Query { rows, counted, page, page_size }).await
    }
}
