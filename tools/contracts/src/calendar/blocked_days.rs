//! Days on which nothing is planned: holidays, stocktakes, works outings.

use bureau_identity::Organization;
use bureau_kit::prelude::*;

use crate::given;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("blocked_day_list", "calendar.view", &BLOCKED_DAYS)
            .title("List blocked days")
            .about("List the days on which nothing can be planned. Filter with dzien_from and dzien_to.")
            .synonyms("holidays closed days off dni zablokowane święta wolne заблоковані дні вихідні свята"),
        Tool::create("blocked_day_create", "calendar.blocked_days.manage", create)
            .on(&BLOCKED_DAYS)
            .title("Block a day")
            .about(
                "Block a day, so that no event can be planned on it. Events that are there already stay: calendar_event_list \
                 shows them. Without an organization it is blocked for the whole company.",
            )
            .synonyms("holiday close day off zablokuj dzień święto wolne заблокувати день"),
        family::delete("blocked_day_delete", "calendar.blocked_days.manage", &BLOCKED_DAYS)
            .title("Unblock a day")
            .about("Take the block of a day away, so that events can be planned on it again.")
            .synonyms("open day remove holiday odblokuj dzień розблокувати день"),
    ]
}

/// Names the table of blocked days to ids.
#[derive(Debug)]
pub(crate) struct BlockedDay;

impl Kind for BlockedDay {
    const TABLE: &'static Table = &BLOCKED_DAYS;
}

pub(crate) static BLOCKED_DAYS: Table = Table::new(
    "blocked_days",
    "blocked_day",
    "A day on which nothing is planned.",
    &[
        Column::date("dzien", "The day, in UTC.").required().fixed().filter().range().sort(),
        Column::text("powod", "Why, such as the name of the holiday.").fixed(),
    ],
);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// The day, such as 2026-12-24.
    // The source sends an instant: its day in UTC is meant.
    #[schemars(with = "Date")]
    dzien: Instant,
    /// Why, such as the name of the holiday.
    #[schemars(length(max = 255))]
    powod: Option<String>,
    /// Its organization; yours when left out.
    #[serde(alias = "organizationId")]
    organization_id: Option<Id<Organization>>,
}

/// Inferred: a day is blocked once in an organization (mercato.md). The unique index decides between two at once.
async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Shown<BlockedDay>> {
    let dzien = input.dzien.date();
    let organization = match input.organization_id {
        Some(organization) => Some(ctx.reference("organization_id", organization).await?),
        None => ctx.principal().organization_id,
    };
    let mut sql = ctx.select("1", &BLOCKED_DAYS);
    sql.and_eq("dzien", dzien);
    match organization {
        Some(id) => sql.and_eq("organization_id", id),
        None => sql.push(" AND organization_id IS NULL"),
    };
    if ctx.exists(sql).await? {
        return Err(Error::conflict(format!("{dzien} is blocked already. Nothing was changed."))
            .with("dzien", dzien.to_string()));
    }
    let values = Values::new()
        .with("dzien", dzien)
        .with("powod", given::cell(&BLOCKED_DAYS, "powod", input.powod)?)
        .with("organization_id", organization);
    Ok(ctx.insert(&BLOCKED_DAYS, values).await?.into())
}

/// Refuses to plan something on days, both named included, of which one is blocked in the organization or the whole tenant.
pub(crate) async fn refuse_blocked(
    ctx: &mut Ctx,
    (first, last): (Date, Date),
    organization: Option<Uuid>,
) -> Result<()> {
    let mut sql = ctx.select("dzien, powod", &BLOCKED_DAYS);
    sql.push(" AND dzien >= ").bind(first).push(" AND dzien <= ").bind(last);
    match organization {
        Some(id) => sql.push(" AND (organization_id IS NULL OR organization_id = ").bind(id).push(")"),
        None => sql.push(" AND organization_id IS NULL"),
    };
    sql.push(" ORDER BY dzien LIMIT 1");
    let rows = ctx.rows(&sql).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (dzien, powod): (Date, Option<String>) = (row.get(0)?, row.get(1)?);
    let why = powod.map_or_else(String::new, |powod| format!(" ({powod})"));
    Err(Error::conflict(format!(
        "{dzien} is a blocked day{why}: nothing is planned on it. Choose another day, or take the block away with \
         blocked_day_delete (blocked_day_list shows its id)."
    ))
    .with("dzien", dzien.to_string()))
}
