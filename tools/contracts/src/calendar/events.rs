//! Events: a worker, a time, and what is done then. Nobody is in two places at once.

use bureau_identity::User;
use bureau_kit::prelude::*;
use bureau_kit::value::FromVal as _;

use super::blocked_days::refuse_blocked;
use super::reschedules::{self, RESCHEDULES};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("calendar_event_list", "calendar.view", &CALENDAR_EVENTS)
            .title("List calendar events")
            .about(
                "List calendar events. Filter by worker, kind, contract, customer, and date_from and date_to for a day or a week; \
                 sort: data shows them in order. przelozone: false leaves out what was moved.",
            )
            .synonyms("appointments schedule agenda installations kalendarz terminy montaże wydarzenia plan календар події монтаж розклад"),
        family::show("calendar_event_show", "calendar.view", &CALENDAR_EVENTS)
            .title("Show a calendar event")
            .about("Show one calendar event. calendar_reschedule_list (to_event_id) shows what it was moved from.")
            .synonyms("appointment details termin wydarzenie pokaż подія показати"),
        family::create("calendar_event_create", "calendar.create", &CALENDAR_EVENTS)
            .title("Plan a calendar event")
            .about(
                "Plan an event of a worker: pracownik_id, data and typ; it lasts an hour unless koniec is given. Refused on a \
                 blocked day, and when the worker is booked then: the error names the clash.",
            )
            .synonyms("schedule appointment book installation umów termin zaplanuj montaż dodaj do kalendarza запланувати монтаж подію"),
        family::update("calendar_event_update", "calendar.edit", &CALENDAR_EVENTS)
            .title("Change or move a calendar event")
            .about(
                "Change an event, or move it to another time or worker: the earlier slot stays in the history \
                 (calendar_reschedule_list). Same refusals as for a new one.",
            )
            .synonyms("reschedule postpone move edit przełóż termin zmień montaż przesuń перенести подію змінити"),
        family::delete("calendar_event_delete", "calendar.delete", &CALENDAR_EVENTS)
            .title("Delete a calendar event")
            .about("Delete an event with the slots it was moved from.")
            .synonyms("cancel appointment usuń termin odwołaj montaż видалити подію скасувати"),
    ]
}

/// How long an event lasts when nobody says.
const USUAL_MINUTES: i64 = 60;
/// The longest event. Bounds where a clash can begin.
const LONGEST_MINUTES: i64 = 31 * 24 * 60;

pub(crate) static CALENDAR_EVENTS: Table = Table::new(
    "calendar_events",
    "calendar_event",
    "An event of a worker.",
    &[
        Column::reference("pracownik_id", "users", OnDelete::Refuse, "Worker.").required().filter(),
        Column::instant("data", "When it begins.").required().range_as("date").sort(),
        // Never empty: the rule sets it.
        Column::instant("koniec", "When it ends; an hour after its beginning unless given."),
        // The source shows only the first of its values: the list stays open.
        Column::text("typ", "Kind: montaz_kuchni (installation of a kitchen), pomiar (measurement), … Any word.")
            .required()
            .filter()
            .search(),
        Column::text("opis", "Description.").max(10_000).search(),
        Column::json("opcje", "Anything else."),
        Column::reference("contract_id", "contracts", OnDelete::Clear, "Contract it is for.").filter(),
        Column::reference("customer_id", "parties", OnDelete::Clear, "Customer: a person or company.").filter(),
        Column::flag("przelozone", "Whether it was moved: then it is history, and books nobody.").computed().filter(),
    ],
)
.rule(rule);

/// Who, from when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) worker: Uuid,
    pub(super) from: Instant,
    pub(super) to: Instant,
}

impl Slot {
    pub(super) fn of(event: &Record) -> Result<Self> {
        Ok(Self { worker: event.get("pracownik_id")?, from: event.get("data")?, to: event.get("koniec")? })
    }

    /// The days it touches, first and last. What ends at midnight does not touch the day that begins then.
    pub(super) fn days(&self) -> (Date, Date) {
        (self.from.date(), Instant::from_micros(self.to.micros().saturating_sub(1)).date())
    }
}

/// The slot as a draft leaves it. Moved without a new end, an event lasts as long as before.
fn drafted(before: Option<&Record>, values: &Values) -> Result<Slot> {
    let old = before.map(Slot::of).transpose()?;
    let instant = |name: &str| values.get(name).and_then(Instant::from_val);
    let worker = values.id_of("pracownik_id").or_else(|| old.map(|slot| slot.worker));
    let from = instant("data").or_else(|| old.map(|slot| slot.from));
    let (Some(worker), Some(from)) = (worker, from) else {
        return Err(Error::validation("An event needs pracownik_id and data."));
    };
    let micros = old
        .map_or(USUAL_MINUTES.saturating_mul(60_000_000), |slot| slot.to.micros().saturating_sub(slot.from.micros()));
    let to = instant("koniec").unwrap_or_else(|| Instant::from_micros(from.micros().saturating_add(micros)));
    if to <= from {
        return Err(Error::invalid("/koniec", "must be after data, when it begins"));
    }
    if to > from.plus_minutes(LONGEST_MINUTES) {
        return Err(Error::invalid(
            "/koniec",
            "must be at most 31 days after data; plan longer work as several events",
        ));
    }
    Ok(Slot { worker, from, to })
}

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if let (Event::Delete, Some(event)) = (draft.event, draft.before) {
            return delete_history(ctx, event).await;
        }
        let slot = drafted(draft.before, draft.values)?;
        let old = draft.before.map(Slot::of).transpose()?;
        let organization = match draft.values.get("organization_id") {
            Some(Val::Id(id)) => Some(*id),
            Some(_) => None,
            None => draft.before.map_or(ctx.principal().organization_id, |before| before.organization_id),
        };
        draft.values.set("koniec", slot.to);
        if old == Some(slot) {
            return Ok(());
        }
        if let Some(event) = draft.before.filter(|event| event.flag("przelozone")) {
            return Err(Error::impossible_state(format!(
                "Event {} was moved and is history. Move what it was moved to: calendar_reschedule_list (from_event_id) \
                 shows it.",
                event.num.unwrap_or_default()
            )));
        }
        book(ctx, &slot, organization, draft.before.map(|event| event.id)).await?;
        match draft.before {
            Some(event) => reschedules::keep_slot(ctx, event).await,
            None => Ok(()),
        }
    })
}

/// Refuses a slot that cannot be: a blocked day, or a worker who is booked.
///
/// The worker is locked first, so that of two bookings at once the second waits, and finds the first.
pub(super) async fn book(ctx: &mut Ctx, slot: &Slot, organization: Option<Uuid>, own: Option<Uuid>) -> Result<()> {
    refuse_blocked(ctx, slot.days(), organization).await?;
    let worker = ctx.hold(User::TABLE, slot.worker).await?;
    // Also what the caller's organizations do not show: nobody is in two places at once.
    let mut sql =
        Sql::new("SELECT id, num, data, koniec, typ, organization_id FROM calendar_events WHERE tenant_id = ");
    sql.bind(ctx.tenant_id()).and_eq("pracownik_id", slot.worker).push(" AND NOT przelozone AND data < ").bind(slot.to);
    sql.push(" AND data > ").bind(slot.from.plus_minutes(LONGEST_MINUTES.saturating_neg().saturating_sub(1)));
    sql.push(" AND koniec > ").bind(slot.from);
    if let Some(own) = own {
        sql.push(" AND id <> ").bind(own);
    }
    sql.push(" ORDER BY data LIMIT 1");
    let rows = ctx.rows(&sql).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (id, num, from, to): (Uuid, i64, Instant, Instant) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    let (typ, organization): (String, Option<Uuid>) = (row.get(4)?, row.get(5)?);
    let name = worker.text("name");
    let visible = match (organization, &ctx.principal().organizations) {
        (Some(organization), Some(held)) => held.contains(&organization),
        _ => true,
    };
    if !visible {
        return Err(Error::conflict(format!(
            "{name} is booked from {from} to {to} already, in another organization. Choose another time or worker."
        )));
    }
    Err(Error::conflict(format!(
        "{name} is booked from {from} to {to} already: event {num} ({typ}). Choose another time or worker, or move that \
         event first with calendar_event_update."
    ))
    .with("clash", json!({"id": id, "num": num, "data": from, "koniec": to, "typ": typ})))
}

/// The slots that an event was moved from go with it.
async fn delete_history(ctx: &mut Ctx, event: &Record) -> Result<()> {
    let mut open = vec![event.id];
    let mut earlier = Vec::new();
    while let Some(id) = open.pop() {
        let mut sql = ctx.from(&RESCHEDULES);
        sql.and_eq("to_event_id", id).push(" ORDER BY num");
        for step in ctx.records(&RESCHEDULES, &sql).await? {
            let from = step.get("from_event_id")?;
            open.push(from);
            earlier.push(from);
        }
    }
    for id in earlier {
        let slot = ctx.hold(&CALENDAR_EVENTS, id).await?;
        ctx.delete(&slot).await?;
    }
    Ok(())
}
