//! Activities: calls, meetings and other events, past and planned. Their tools belong to a later issue; merges and
//! deletions know them already.

use bureau_kit::prelude::*;

pub(crate) static ACTIVITIES: Table = Table::new(
    "activities",
    "activity",
    "A call, meeting or other event with a customer.",
    &[
        Column::subject_type("subject_type", "Kind of the record it belongs to: party or deal."),
        Column::subject_id("subject_id", OnDelete::Cascade, "The record it belongs to.").filter(),
        Column::reference("deal_id", "deals", OnDelete::Clear, "Deal that it belongs to as well.").filter(),
        Column::text("activity_type", "What it is, such as call, meeting, email or note.").max(100).required().filter(),
        Column::text("title", "Title.").search(),
        Column::text("body", "Text.").max(8000),
        Column::reference("author_id", "users", OnDelete::Clear, "Who recorded it.").computed(),
        Column::reference("owner_id", "users", OnDelete::Clear, "Who is to do it.").filter(),
        Column::instant("occurred_at", "When it happened.").range().sort(),
        Column::instant("schedule_from", "When it is planned to begin.").range().sort(),
        Column::instant("schedule_to", "When it is planned to end."),
        Column::instant("reminder_at", "When to remind of it."),
        Column::flag("is_done", "Whether it is done."),
        Column::instant("done_at", "When it was done.").computed(),
        Column::text("icon", "Icon shown beside it."),
        Column::color("color", "Colour shown beside it."),
    ],
);

/// Keeps the activities of a party that is about to go, where they belong to a deal as well: they hang on the deal from
/// then on. Inferred: the source does not say; the history of a deal is not the person's alone.
pub(crate) async fn leave_to_deals(ctx: &mut Ctx, party: &Record) -> Result<()> {
    let bureau = ctx.bureau().clone();
    let references = bureau.registry.references_to(party.table).iter();
    for reference in references.filter(|reference| std::ptr::eq(reference.table, &ACTIVITIES)) {
        for activity in ctx.referring(reference, party).await? {
            if let Some(deal) = activity.id_of("deal_id") {
                ctx.update(&activity, Values::new().with("subject_type", "deal").with("subject_id", deal)).await?;
            }
        }
    }
    Ok(())
}
