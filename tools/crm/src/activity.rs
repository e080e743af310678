//! Activities: calls, meetings and other events with customers, past and planned.
//!
//! One table serves the timeline of Open Mercato (occurred_at) and the plan of iblai (schedule_from, is_done), by one set of tools
//! (unified-model.md, conflict 21). The kind is a value of the dictionary activity_type: unlike in Open Mercato an unknown one is
//! refused, since no dictionary is to grow by accident.

use std::collections::HashMap;

use bureau_identity::User;
use bureau_kit::prelude::*;

use crate::built_in_dictionary::known_value;
use crate::customer;
use crate::deal::DEALS;
use crate::form::{Form, Mode};
use crate::list::{Order, key_of};
use crate::party::{self, PARTIES};
use crate::{Activity, Deal, Party};

const VIEW: &str = "customers.activities.view";
const MANAGE: &str = "customers.activities.manage";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("activity_list", VIEW, list)
            .title("List activities")
            .about(
                "List calls, meetings and other events with customers, newest first. Filter by person or company (entity_id), deal, \
                 kind, user, time, or whether they are done.",
            )
            .synonyms("calls meetings timeline history agenda aktywności telefony spotkania z klientem historia активності дзвінки зустрічі"),
        Tool::read("activity_show", VIEW, show)
            .title("Show an activity")
            .about("Show one call, meeting or other event with a customer.")
            .synonyms("call meeting details aktywność pokaż активність показати"),
        Tool::create("activity_create", MANAGE, create)
            .title("Record or plan an activity")
            .about(
                "Record a call, meeting or other event with a customer or about a deal, or plan one: with schedule_from it is planned, \
                 without it has happened now or at occurred_at.",
            )
            .synonyms("call meeting plan log follow up zaplanuj telefon spotkanie z klientem zapisz aktywność запланувати дзвінок зустріч клієнту"),
        Tool::update("activity_update", MANAGE, update)
            .on(&ACTIVITIES)
            .title("Change an activity")
            .about("Change the given fields of a call, meeting or other event and leave the rest; null clears a field.")
            .synonyms("reschedule call meeting przełóż spotkanie zmień aktywność перенести зустріч змінити активність"),
        Tool::update("activity_replace", MANAGE, replace)
            .on(&ACTIVITIES)
            .destructive()
            .title("Replace an activity's data")
            .about("Replace the data of a call, meeting or other event as a whole: what is left out goes back to its default.")
            .synonyms("overwrite put call meeting zastąp aktywność замінити активність"),
        Tool::delete("activity_delete", MANAGE, delete)
            .on(&ACTIVITIES)
            .title("Delete an activity")
            .about("Delete a call, meeting or other event with a customer.")
            .synonyms("remove cancel call meeting usuń aktywność odwołaj spotkanie видалити активність скасувати зустріч"),
        Tool::action("activity_complete", MANAGE, complete)
            .on(&ACTIVITIES)
            .idempotent()
            .title("Complete an activity")
            .about("Mark a planned call, meeting or other event as done. One that is done already stays as it is.")
            .synonyms("done took place tick off odhacz spotkanie jako wykonane zrobione відмітити зустріч як виконану зроблено"),
    ]
}

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

/// An activity.
#[derive(Debug, Serialize, JsonSchema)]
struct ActivityView {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// UUID of the person or company.
    #[schemars(with = "Option<String>")]
    entity_id: Option<Uuid>,
    /// UUID of the deal.
    #[schemars(with = "Option<String>")]
    deal: Option<Uuid>,
    /// Title of the deal.
    deal_title: Option<String>,
    /// Kind, such as call or meeting.
    activity_type: String,
    /// What it is about.
    title: Option<String>,
    /// Text.
    body: Option<String>,
    /// UUID of the user who recorded it.
    #[schemars(with = "Option<String>")]
    author_id: Option<Uuid>,
    /// Name of that user.
    author_name: Option<String>,
    /// UUID of the user who is to do it.
    #[schemars(with = "Option<String>")]
    owner: Option<Uuid>,
    /// When it happened.
    occurred_at: Option<Instant>,
    /// When it is planned to begin.
    schedule_from: Option<Instant>,
    /// When it is planned to end.
    schedule_to: Option<Instant>,
    /// When to remind of it.
    reminder_at: Option<Instant>,
    /// Whether it is done.
    is_done: bool,
    /// When it was done.
    done_at: Option<Instant>,
    /// Icon.
    icon: Option<String>,
    /// Colour.
    color: Option<String>,
    /// Organization of your own tenant; null is the whole tenant.
    #[schemars(with = "Option<String>")]
    organization_id: Option<Uuid>,
    /// Grows with every change; see expected_version.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

async fn views(ctx: &mut Ctx, activities: &[Record]) -> Result<Vec<ActivityView>> {
    let deal_of = |activity: &Record| {
        let subject = activity.id_of("subject_id").filter(|_| activity.text("subject_type") == DEALS.noun);
        activity.id_of("deal_id").or(subject)
    };
    let deals = names(ctx, "id, title", &DEALS, activities.iter().filter_map(deal_of).collect()).await?;
    let authors = activities.iter().filter_map(|activity| activity.id_of("author_id")).collect();
    let authors = names(ctx, "id, name", User::TABLE, authors).await?;
    let view = |activity: &Record| {
        let deal = deal_of(activity);
        let author_id = activity.id_of("author_id");
        Ok(ActivityView {
            id: activity.id,
            num: activity.num,
            entity_id: activity.id_of("subject_id").filter(|_| activity.text("subject_type") == PARTIES.noun),
            deal,
            deal_title: deal.and_then(|deal| deals.get(&deal).cloned()),
            activity_type: activity.get("activity_type")?,
            title: activity.get("title")?,
            body: activity.get("body")?,
            author_id,
            author_name: author_id.and_then(|author| authors.get(&author).cloned()),
            owner: activity.id_of("owner_id"),
            occurred_at: activity.get("occurred_at")?,
            schedule_from: activity.get("schedule_from")?,
            schedule_to: activity.get("schedule_to")?,
            reminder_at: activity.get("reminder_at")?,
            is_done: activity.flag("is_done"),
            done_at: activity.get("done_at")?,
            icon: activity.get("icon")?,
            color: activity.get("color")?,
            organization_id: activity.organization_id,
            version: activity.version,
            created_at: activity.created_at,
            updated_at: activity.updated_at,
        })
    };
    activities.iter().map(view).collect()
}

async fn one(ctx: &mut Ctx, activity: Record) -> Result<ActivityView> {
    views(ctx, &[activity]).await?.pop().ok_or_else(|| Error::internal("an activity was not shown"))
}

/// A name for each of some records that the caller sees.
async fn names(
    ctx: &mut Ctx,
    list: &'static str,
    table: &'static Table,
    ids: Vec<Uuid>,
) -> Result<HashMap<Uuid, String>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = ctx.select(list, table);
    sql.and_in("id", ids);
    ctx.rows(&sql).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// What a list of activities is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    #[serde(alias = "occurredAt")]
    OccurredAt,
    ScheduleFrom,
    #[serde(alias = "createdAt")]
    CreatedAt,
    Num,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Only with this person or company.
    #[serde(alias = "entityId", alias = "person")]
    entity_id: Option<Id<Party>>,
    /// Only about this deal.
    #[serde(alias = "deal_id", alias = "dealId")]
    deal: Option<Id<Deal>>,
    /// Only of this kind, such as call.
    #[serde(alias = "activityType", alias = "type")]
    activity_type: Option<String>,
    /// Only those that this user is to do.
    #[serde(alias = "owner_id")]
    owner: Option<Id<User>>,
    /// Only done, or only open ones.
    is_done: Option<bool>,
    /// Words to find in the title.
    #[serde(alias = "search")]
    #[schemars(length(max = 1024))]
    q: Option<String>,
    /// Happened at or after this instant.
    occurred_from: Option<Instant>,
    /// Happened at or before this instant.
    occurred_to: Option<Instant>,
    /// Planned to begin at or after this instant.
    schedule_from_from: Option<Instant>,
    /// Planned to begin at or before this instant.
    schedule_from_to: Option<Instant>,
    /// What to sort by; newest first when left out.
    #[serde(alias = "sort_field", alias = "sortField")]
    sort: Option<Sort>,
    /// Direction of the sort.
    #[serde(alias = "sort_dir", alias = "sortDir")]
    order: Option<Order>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 unless given.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<ActivityView>> {
    let (page, page_size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    let entity = key_of(ctx, &PARTIES, input.entity_id.map(Id::key)).await?;
    let deal = key_of(ctx, &DEALS, input.deal.map(Id::key)).await?;
    let owner = key_of(ctx, User::TABLE, input.owner.map(Id::key)).await?;
    let principal = ctx.principal().clone();
    let filter = |sql: &mut Sql| {
        sql.push(" AND subject_type IN ('party', 'deal')");
        for (column, id) in [("subject_id", entity), ("owner_id", owner)] {
            if let Some(id) = id {
                sql.and_eq(column, id);
            }
        }
        if let Some(deal) = deal {
            sql.push(" AND (deal_id = ").bind(deal).push(" OR subject_id = ").bind(deal).push(")");
        }
        if let Some(kind) = &input.activity_type {
            sql.and_eq("activity_type", kind.trim());
        }
        if let Some(done) = input.is_done {
            sql.and_eq("is_done", done);
        }
        for (condition, bound) in [
            (" AND occurred_at >= ", input.occurred_from),
            (" AND occurred_at <= ", input.occurred_to),
            (" AND schedule_from >= ", input.schedule_from_from),
            (" AND schedule_from <= ", input.schedule_from_to),
        ] {
            if let Some(bound) = bound {
                sql.push(condition).bind(bound);
            }
        }
        if let Some(words) = &input.q {
            sql.and_contains(words);
        }
        customer::and_seen(&principal, sql);
    };
    // Said by hand: whoever sees the subject sees the activity, whatever organization it was written in.
    let mut counted = Sql::new("SELECT 1 FROM activities WHERE tenant_id = ");
    counted.bind(ctx.tenant_id());
    filter(&mut counted);
    let mut rows = ctx.from_tenant(&ACTIVITIES);
    filter(&mut rows);
    let sort = input.sort.unwrap_or(Sort::Num);
    let (column, nullable) = match sort {
        Sort::OccurredAt => ("occurred_at", true),
        Sort::ScheduleFrom => ("schedule_from", true),
        Sort::CreatedAt => ("created_at", false),
        Sort::Num => ("num", false),
    };
    // What is planned is read forwards, what happened backwards.
    let descending = input.order.map_or(sort != Sort::ScheduleFrom, |order| order == Order::Desc);
    page::order(&mut rows, column, nullable, descending);
    let Page { items, total, total_is_exact, page, page_size, total_pages } =
        page::fetch(ctx, &ACTIVITIES, page::Query { rows, counted, page, page_size }).await?;
    let items = views(ctx, &items).await?;
    Ok(Page { items, total, total_is_exact, page, page_size, total_pages })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ActivityInput {
    /// The activity.
    id: Id<Activity>,
}

/// An activity with a customer or about a deal that the caller sees.
async fn fetch(ctx: &mut Ctx, id: Id<Activity>) -> Result<Record> {
    let found = customer::fetch(ctx, &ACTIVITIES, id.key()).await?;
    found.ok_or_else(|| Error::not_found(ACTIVITIES.noun, id.key()))
}

async fn show(ctx: &mut Ctx, input: ActivityInput) -> Result<ActivityView> {
    let activity = fetch(ctx, input.id).await?;
    one(ctx, activity).await
}

/// An input of an activity: its own field and those of every activity.
macro_rules! activity_input {
    (struct $name:ident { $(#[$type_meta:meta])* activity_type, $($(#[$meta:meta])* $own:ident: $type:ty,)* }) => {
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $($(#[$meta])* $own: $type,)*
            $(#[$type_meta])*
            #[serde(alias = "activityType", alias = "type")]
            activity_type: Patch<String>,
            /// Person or company it is with. Give this or deal.
            #[serde(default, alias = "entityId", alias = "person")]
            entity_id: Patch<Id<Party>>,
            /// Deal it is about.
            #[serde(default, alias = "deal_id", alias = "dealId")]
            deal: Patch<Id<Deal>>,
            /// What it is about.
            #[serde(default, alias = "subject")]
            #[schemars(length(max = 255))]
            title: Patch<String>,
            /// Text.
            #[serde(default)]
            #[schemars(length(max = 8000))]
            body: Patch<String>,
            /// When it happened; now unless given, for what is not planned.
            #[serde(default, alias = "occurredAt")]
            occurred_at: Patch<Instant>,
            /// When it is planned to begin.
            #[serde(default)]
            schedule_from: Patch<Instant>,
            /// When it is planned to end.
            #[serde(default)]
            schedule_to: Patch<Instant>,
            /// When to remind of it.
            #[serde(default)]
            reminder_at: Patch<Instant>,
            /// Whether it is done.
            #[serde(default)]
            is_done: Patch<bool>,
            /// User who is to do it.
            #[serde(default, alias = "owner_id")]
            owner: Patch<Id<User>>,
            /// Icon.
            #[serde(default, alias = "appearanceIcon")]
            icon: Patch<String>,
            /// Colour as #rrggbb.
            #[serde(default, alias = "appearanceColor")]
            color: Patch<String>,
        }

        impl $name {
            async fn values(self, ctx: &mut Ctx, mode: Mode, before: Option<&Record>) -> Result<Values> {
                let mut form = Form::new(&ACTIVITIES, mode);
                let kind = match self.activity_type {
                    Patch::Set(kind) if !kind.trim().is_empty() => {
                        Patch::Set(known_value(ctx, "activity_type", "activity_type", &kind).await?)
                    }
                    kind => kind,
                };
                form.put("activity_type", "activity_type", kind)?;
                form.put("title", "title", self.title)?;
                form.put("body", "body", self.body)?;
                form.put("occurred_at", "occurred_at", self.occurred_at)?;
                form.put("schedule_from", "schedule_from", self.schedule_from)?;
                form.put("schedule_to", "schedule_to", self.schedule_to)?;
                form.put("reminder_at", "reminder_at", self.reminder_at)?;
                form.put("is_done", "is_done", self.is_done)?;
                form.put("icon", "icon", self.icon)?;
                form.put("color", "color", self.color)?;
                party::put_owner(ctx, &mut form, self.owner).await?;
                let entity = given(ctx, &mut form, "entity_id", &PARTIES, self.entity_id.change().map(|id| id.map(Id::key))).await?;
                let deal = given(ctx, &mut form, "deal", &DEALS, self.deal.change().map(|id| id.map(Id::key))).await?;
                let mut values = form.finish()?;
                hang(ctx, before, &mut values, entity, deal).await?;
                settle(ctx, before, &mut values)?;
                Ok(values)
            }
        }
    };
}

activity_input! {
    struct CreateInput {
        /// Kind, such as call, meeting, email, note or task; see customer_dictionary_entry_list (activity_type).
        #[schemars(with = "String", length(max = 100))]
        activity_type,
    }
}

activity_input! {
    struct ChangeInput {
        /// Kind, such as call, meeting, email, note or task.
        #[serde(default)]
        #[schemars(length(max = 100))]
        activity_type,
        /// Activity to change.
        id: Id<Activity>,
    }
}

/// What an argument says of a record: nothing, none, or this one.
async fn given(
    ctx: &mut Ctx,
    form: &mut Form,
    argument: &str,
    table: &'static Table,
    key: Option<Option<Key>>,
) -> Result<Option<Option<Uuid>>> {
    Ok(match key {
        None => None,
        Some(None) => Some(None),
        Some(Some(key)) => match ctx.resolve(table, key).await? {
            Some(id) => Some(Some(id)),
            None => {
                let lists = if argument == "deal" { "deal_list" } else { "customer_list" };
                form.refuse(argument, format!("there is no {} {key}; use {lists} to find it", table.noun));
                None
            }
        },
    })
}

/// Hangs an activity on its customer, or else on its deal. Both together must belong to each other (iblai).
async fn hang(
    ctx: &mut Ctx,
    before: Option<&Record>,
    values: &mut Values,
    entity: Option<Option<Uuid>>,
    deal: Option<Option<Uuid>>,
) -> Result<()> {
    if before.is_some() && entity.is_none() && deal.is_none() {
        return Ok(());
    }
    let on = |noun: &str| before.filter(|row| row.text("subject_type") == noun).and_then(|row| row.id_of("subject_id"));
    let entity = entity.unwrap_or_else(|| on(PARTIES.noun));
    let deal = deal.unwrap_or_else(|| before.and_then(|row| row.id_of("deal_id")).or_else(|| on(DEALS.noun)));
    let (table, subject) = match (entity, deal) {
        (Some(entity), Some(deal)) => {
            let mut sql = Sql::new("SELECT 1 FROM deal_parties WHERE tenant_id = ");
            sql.bind(ctx.tenant_id()).and_eq("deal_id", deal).and_eq("party_id", entity);
            if ctx.rows(&sql).await?.is_empty() {
                return Err(Error::invalid(
                    "/deal",
                    "the person or company takes no part in this deal; leave one of the two out, or add it with deal_update (people, companies)",
                ));
            }
            (&PARTIES, entity)
        }
        (Some(entity), None) => (&PARTIES, entity),
        (None, Some(deal)) => (&DEALS, deal),
        (None, None) => {
            return Err(Error::invalid("/entity_id", "give the person or company (entity_id), or the deal, or both"));
        }
    };
    let mut sql = ctx.select("organization_id", table);
    sql.and_eq("id", subject);
    let organization: Option<Uuid> = ctx.rows(&sql).await?.first().map_or(Ok(None), |row| row.get(0))?;
    values
        .set("subject_type", table.noun)
        .set("subject_id", subject)
        .set("deal_id", deal)
        // Seen by whoever sees what it hangs on.
        .set("organization_id", organization);
    Ok(())
}

/// Brings times and doneness into step.
fn settle(ctx: &Ctx, before: Option<&Record>, values: &mut Values) -> Result<()> {
    let time = |values: &Values, name: &str| match values.get(name) {
        Some(Val::Instant(at)) => Some(*at),
        Some(_) => None,
        None => before.and_then(|row| row.get::<Option<Instant>>(name).ok().flatten()),
    };
    let (from, to) = (time(values, "schedule_from"), time(values, "schedule_to"));
    if let Some(to) = to
        && from.is_none_or(|from| to < from)
    {
        let message =
            from.map_or("needs schedule_from".to_owned(), |from| format!("must not be before schedule_from, {from}"));
        return Err(Error::invalid("/schedule_to", message));
    }
    // What is not planned has happened.
    if from.is_none() && time(values, "occurred_at").is_none() {
        values.set("occurred_at", ctx.now());
    }
    let was = before.is_some_and(|row| row.flag("is_done"));
    match values.get("is_done") {
        Some(Val::Bool(true)) if !was => _ = values.set("done_at", ctx.now()),
        Some(Val::Bool(false)) => _ = values.set("done_at", Val::Null),
        _ => {}
    }
    Ok(())
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<ActivityView> {
    let mut values = input.values(ctx, Mode::Create, None).await?;
    values.set("author_id", ctx.principal().user_id);
    let activity = family::save_new(ctx, &ACTIVITIES, values).await?;
    one(ctx, activity).await
}

async fn update(ctx: &mut Ctx, input: ChangeInput) -> Result<ActivityView> {
    change(ctx, Mode::Update, input).await
}

async fn replace(ctx: &mut Ctx, input: ChangeInput) -> Result<ActivityView> {
    change(ctx, Mode::Replace, input).await
}

async fn change(ctx: &mut Ctx, mode: Mode, input: ChangeInput) -> Result<ActivityView> {
    let before = fetch(ctx, input.id).await?;
    let values = input.values(ctx, mode, Some(&before)).await?;
    let activity = family::save(ctx, &before, values).await?;
    one(ctx, activity).await
}

async fn delete(ctx: &mut Ctx, input: ActivityInput) -> Result<family::Deleted> {
    let activity = fetch(ctx, input.id).await?;
    family::remove(ctx, &activity).await?;
    Ok(family::Deleted::of(&activity))
}

async fn complete(ctx: &mut Ctx, input: ActivityInput) -> Result<ActivityView> {
    let activity = fetch(ctx, input.id).await?;
    if activity.flag("is_done") {
        return one(ctx, activity).await;
    }
    let done = Values::new().with("is_done", true).with("done_at", ctx.now());
    let activity = ctx.update(&activity, done).await?;
    one(ctx, activity).await
}
