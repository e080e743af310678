//! Events as an iCalendar file, for calendars on telephones and desks.

use std::collections::HashMap;

use bureau_crm::Party;
use bureau_identity::User;
use bureau_kit::prelude::*;

use super::events::CALENDAR_EVENTS;
use super::icalendar::{Calendar, Entry};

/// Most events in one file.
const MOST_EVENTS: usize = 1_000;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("calendar_export", "calendar.view", export)
            .title("Export the calendar")
            .about(
                "Export events as an iCalendar file (.ics) that Google, Outlook and Apple calendars import: of one worker, or of \
                 all, between date_from and date_to. Moved events keep their identity; at most 1000 at once.",
            )
            .synonyms("ics ical icalendar google outlook eksport kalendarza pobierz terminy експорт календаря"),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExportInput {
    /// Only events of this worker.
    #[serde(alias = "pracownikId")]
    pracownik_id: Option<Id<User>>,
    /// Only events that begin at or after this instant.
    #[serde(alias = "dateFrom")]
    date_from: Option<Instant>,
    /// Only events that begin at or before this instant; a plain date means all of that day.
    #[serde(alias = "dateTo")]
    #[schemars(with = "Option<Instant>")]
    date_to: Option<String>,
    /// Only events of this kind.
    typ: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Exported {
    /// How many events there are in it.
    events: usize,
    /// What to call the file.
    file_name: &'static str,
    /// Its media type.
    mime_type: &'static str,
    /// The file itself, as iCalendar text.
    ics: String,
}

async fn export(ctx: &mut Ctx, input: ExportInput) -> Result<Exported> {
    let mut sql = ctx.from(&CALENDAR_EVENTS);
    sql.push(" AND NOT przelozone");
    if let Some(worker) = input.pracownik_id {
        let worker = ctx.reference("pracownik_id", worker).await?;
        sql.and_eq("pracownik_id", worker);
    }
    if let Some(from) = input.date_from {
        sql.push(" AND data >= ").bind(from);
    }
    if let Some(to) = input.date_to.filter(|to| !to.is_empty()) {
        let to = Instant::parse_end(&to).map_err(|wrong| Error::invalid("/date_to", wrong))?;
        sql.push(" AND data <= ").bind(to);
    }
    if let Some(typ) = input.typ.filter(|typ| !typ.is_empty()) {
        sql.and_eq("typ", typ);
    }
    sql.push(" ORDER BY data, id LIMIT ").bind(i64::try_from(MOST_EVENTS.saturating_add(1)).unwrap_or(i64::MAX));
    let events = ctx.records(&CALENDAR_EVENTS, &sql).await?;
    if events.len() > MOST_EVENTS {
        return Err(Error::validation(format!(
            "There are more than {MOST_EVENTS} such events. Export less at once, with date_from and date_to, or one worker's."
        )));
    }
    let customers = names(ctx, &events).await?;
    let mut calendar = Calendar::new();
    for event in &events {
        let typ = event.text("typ");
        let customer = event.id_of("customer_id").and_then(|id| customers.get(&id));
        calendar.add(&Entry {
            id: event.id,
            sequence: event.version.saturating_sub(1),
            from: event.get("data")?,
            to: event.get("koniec")?,
            created: event.created_at,
            changed: event.updated_at,
            summary: customer.map_or_else(|| typ.to_owned(), |name| format!("{typ}: {name}")),
            description: event.text("opis").to_owned(),
            kind: typ.to_owned(),
        });
    }
    Ok(Exported {
        events: events.len(),
        file_name: "calendar.ics",
        mime_type: "text/calendar; charset=utf-8",
        ics: calendar.finished(),
    })
}

/// The names of the customers, for those who may see them.
async fn names(ctx: &mut Ctx, events: &[Record]) -> Result<HashMap<Uuid, String>> {
    let kinds: Vec<&str> = [("person", "customers.people.view"), ("company", "customers.companies.view")]
        .into_iter()
        .filter(|(_, right)| ctx.principal().may(&[right]))
        .map(|(kind, _)| kind)
        .collect();
    let mut sql = ctx.select("id, display_name", Party::TABLE);
    sql.and_in("kind", kinds).and_in("id", events.iter().filter_map(|event| event.id_of("customer_id")));
    ctx.rows(&sql).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}
