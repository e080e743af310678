//! What was moved: from which event to which. An event that was moved books nobody any more.

use bureau_kit::prelude::*;

use super::events::{self, CALENDAR_EVENTS, Slot};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("calendar_reschedule_list", "calendar.view", &RESCHEDULES)
            .title("List rescheduled events")
            .about(
                "List which event was moved to which, newest first. to_event_id shows the history of an event, from_event_id \
                 what became of one.",
            )
            .synonyms("postponed history moved appointments przełożenia historia terminów przesunięcia перенесення історія"),
        family::create("calendar_reschedule_create", "calendar.reschedules.manage", &RESCHEDULES)
            .title("Record that an event was moved")
            .about(
                "Record that one event took the place of another: the first books nobody any more. To move an event in one \
                 step, change its data with calendar_event_update instead.",
            )
            .synonyms("link postponed replaced move appointment przełóż termin zapisz przełożenie terminu зафіксувати перенесення"),
        family::delete("calendar_reschedule_delete", "calendar.reschedules.manage", &RESCHEDULES)
            .title("Take back that an event was moved")
            .about(
                "Take the record away that an event was moved: the earlier event counts again. Refused when its worker is \
                 booked then, or the day is blocked.",
            )
            .synonyms("restore postponed usuń przełożenie przywróć termin видалити перенесення"),
    ]
}

pub(crate) static RESCHEDULES: Table = Table::new(
    "calendar_reschedules",
    "calendar_reschedule",
    "An event that was moved.",
    &[
        Column::reference("from_event_id", "calendar_events", OnDelete::Cascade, "The earlier event.")
            .required()
            .fixed()
            .filter(),
        Column::reference("to_event_id", "calendar_events", OnDelete::Cascade, "The event it was moved to.")
            .required()
            .fixed()
            .filter(),
        Column::reference("autor_id", "users", OnDelete::Clear, "Who moved it.").computed(),
    ],
)
.rule(rule);

/// Keeps the slot of an event that is about to move, as an event of its own that books nobody. The event itself keeps
/// its id, so that calendars which import it see it move instead of seeing another one.
pub(super) async fn keep_slot(ctx: &mut Ctx, event: &Record) -> Result<()> {
    let mut values = Values::new().with("organization_id", event.organization_id);
    for (column, cell) in event.cells() {
        values.set(column.name, cell.clone());
    }
    values.set("przelozone", true);
    let earlier = ctx.insert(&CALENDAR_EVENTS, values).await?;
    let values = Values::new()
        .with("from_event_id", earlier.id)
        .with("to_event_id", event.id)
        .with("autor_id", ctx.principal().user_id)
        .with("organization_id", event.organization_id);
    ctx.insert(&RESCHEDULES, values).await?;
    Ok(())
}

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if let (Event::Delete, Some(step)) = (draft.event, draft.before) {
            return revive(ctx, step.get("from_event_id")?).await;
        }
        let (Some(from), Some(to)) = (draft.values.id_of("from_event_id"), draft.values.id_of("to_event_id")) else {
            return Ok(());
        };
        if from == to {
            return Err(Error::invalid("/to_event_id", "is the same event; an event is moved to another one"));
        }
        // In one order by everybody, so that two calls never wait for each other.
        let (first, second) = (from.min(to), from.max(to));
        let (first, second) = (ctx.hold(&CALENDAR_EVENTS, first).await?, ctx.hold(&CALENDAR_EVENTS, second).await?);
        let (earlier, later) = if first.id == from { (first, second) } else { (second, first) };
        for (event, argument) in [(&earlier, "/from_event_id"), (&later, "/to_event_id")] {
            if event.flag("przelozone") {
                return Err(Error::invalid(
                    argument,
                    format!(
                        "names event {}, which was moved already; calendar_reschedule_list (from_event_id) shows what it \
                         was moved to",
                        event.num.unwrap_or_default()
                    ),
                ));
            }
        }
        draft.values.set("autor_id", ctx.principal().user_id).set("organization_id", later.organization_id);
        ctx.update(&earlier, Values::new().with("przelozone", true)).await?;
        Ok(())
    })
}

/// The earlier event books its worker again, if it can.
async fn revive(ctx: &mut Ctx, id: Uuid) -> Result<()> {
    let event = ctx.hold(&CALENDAR_EVENTS, id).await?;
    events::book(ctx, &Slot::of(&event)?, event.organization_id, Some(event.id)).await?;
    ctx.update(&event, Values::new().with("przelozone", false)).await?;
    Ok(())
}
