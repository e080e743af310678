//! Deals: what they hold, and how stage, status and outcome follow from each other.
//!
//! Where a deal is in a pipeline, its stage is the truth (unified-model.md, conflict 18): status, stage name and time of closing
//! are derived, and a status that says something else is refused. Without a pipeline the status is free text, and win, won
//! and lost close the deal.

use bureau_kit::prelude::*;

use crate::Deal;
use crate::pipeline;
use crate::pipeline_stage::{self, PIPELINE_STAGES};
use crate::{deal_list, deal_move, deal_write};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("deal_list", VIEW, deal_list::list)
            .title("List deals")
            .about(
                "List deals, the sales opportunities, newest first. Filter by words, status, pipeline, stage, owner, person, company, \
                 source, value, day or tags.",
            )
            .synonyms("opportunities sales pipeline negotiation open szanse sprzedaży transakcje lista otwarte угоди список відкриті"),
        Tool::read("deal_show", VIEW, deal_list::show)
            .title("Show a deal")
            .about("Show one deal with its stage, people, companies and tags. activity_list (deal) shows what happened.")
            .synonyms("opportunity details szansa sprzedaży pokaż угода показати"),
        Tool::create("deal_create", MANAGE, deal_write::create)
            .title("Create a deal")
            .about(
                "Create a deal, a sales opportunity, with its people and companies. It goes into the first stage of the default \
                 pipeline unless pipeline, stage or pipeline_stage say otherwise; you are in charge unless owner is given.",
            )
            .synonyms("new open sales opportunity lead nowa szansa sprzedaży załóż dodaj transakcję створити угоду нова"),
        Tool::update("deal_update", MANAGE, deal_write::update)
            .on(&DEALS)
            .title("Change a deal")
            .about(
                "Change the given fields of a deal and leave the rest; null clears a field. Another stage moves it, as deal_stage_move \
                 does. people and companies replace all of them.",
            )
            .synonyms("edit opportunity value zmień szansę sprzedaży wartość змінити угоду"),
        Tool::update("deal_replace", MANAGE, deal_write::replace)
            .on(&DEALS)
            .destructive()
            .title("Replace a deal's data")
            .about(
                "Replace the data of a deal as a whole: what is left out goes back to its default, but for place, people, companies, \
                 tags and organization_id. To change single fields use deal_update.",
            )
            .synonyms("overwrite put opportunity zastąp szansę замінити угоду"),
        Tool::delete("deal_delete", MANAGE, delete)
            .on(&DEALS)
            .title("Delete a deal")
            .about("Delete a deal with its notes, activities and tag links. Its people and companies stay.")
            .synonyms("remove opportunity usuń szansę sprzedaży видалити угоду"),
        Tool::action("deal_stage_move", MANAGE, deal_move::move_stage)
            .on(&DEALS)
            .idempotent()
            .title("Move a deal to a stage")
            .about(
                "Move a deal to another stage of its pipeline (stage, or stage_code such as proposal) and note it in its history. A \
                 won or lost stage closes it, any other opens it again.",
            )
            .synonyms("next step proposal board przesuń szansę do etapu następny etap перевести угоду на етап наступний"),
        Tool::action("deal_win", MANAGE, deal_move::win)
            .on(&DEALS)
            .idempotent()
            .title("Win a deal")
            .about("Mark a deal as won: it goes to the first won stage of its pipeline, or the one of stage_code, and is closed.")
            .synonyms("we won closed sold success wygraliśmy wygrana szansa sprzedane виграли угоду виграна"),
        Tool::action("deal_lose", MANAGE, deal_move::lose)
            .on(&DEALS)
            .idempotent()
            .title("Lose a deal")
            .about("Mark a deal as lost, with the reason: it goes to the lost stage of its pipeline and is closed.")
            .synonyms("customer said no failed opportunity przegrana szansa oznacz jako przegraną програна угода програну"),
        Tool::read("deal_external_find", VIEW, deal_list::find_external)
            .title("Find a deal by external id")
            .about("Find a deal by its id in another system: external_id, and app_code of that system.")
            .synonyms("foreign key integration znajdź szansę po zewnętrznym id знайти угоду за зовнішнім id"),
    ]
}

const VIEW: &str = "customers.deals.view";
const MANAGE: &str = "customers.deals.manage";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteInput {
    /// UUID or number of the deal.
    id: Id<Deal>,
}

async fn delete(ctx: &mut Ctx, input: DeleteInput) -> Result<family::Deleted> {
    let deal = ctx.fetch(input.id).await?;
    family::remove(ctx, &deal).await?;
    Ok(family::Deleted::of(&deal))
}

pub(crate) static DEALS: Table = Table::new(
    "deals",
    "deal",
    "A sales opportunity.",
    &[
        Column::text("title", "What it is about.").max(200).required().search().sort(),
        Column::text("description", "Description.").max(4000),
        Column::reference("pipeline_id", "pipelines", OnDelete::Refuse, "Its pipeline.").filter(),
        Column::reference("stage_id", "pipeline_stages", OnDelete::Refuse, "Its stage in the pipeline.").filter(),
        Column::instant("stage_since", "When it came to its stage.").computed(),
        Column::text("status", "Status, such as open, won or lost.").max(50).default("\"open\"").filter(),
        Column::text("pipeline_stage", "Stage in the sales pipeline.").max(100).filter(),
        Column::money("value_net", "Net value.").sort(),
        Column::money("value_gross", "Gross value."),
        Column::money("tax", "Tax."),
        // iblai documents this default.
        Column::text("currency", "Currency of the value, three letters.").max(3).default("\"USD\""),
        Column::count("probability", 0, 100, "Probability of winning it, in per cent."),
        Column::date("expected_close", "When it is expected to be closed.").range().sort(),
        Column::reference("owner_id", "users", OnDelete::Clear, "Who is in charge of it.").filter(),
        Column::text("source", "Where it came from.").max(150).filter(),
        Column::reference("source_id", "lead_sources", OnDelete::Clear, "Lead source it came from.").filter(),
        Column::text("lost_reason", "Reason of the loss."),
        Column::instant("closed_at", "When it was closed.").computed(),
        Column::text("number", "Number of the business papers.").search(),
        Column::text("invoice_number", "Number of its invoice.").search(),
        Column::text("url", "Address of a page about it.").max(2000),
        Column::text("app_code", "System that external_id is of.").max(64),
        Column::text("external_id", "Id in another system.").max(128),
        Column::date("main_date", "Its date.").range().sort(),
        Column::date("date_from", "When the work begins."),
        Column::date("date_to", "When the work ends."),
        Column::reference("department_id", "groups", OnDelete::Clear, "Department.").filter(),
        Column::reference("project_id", "projects", OnDelete::Clear, "Project.").filter(),
        Column::reference("task_id", "tasks", OnDelete::Clear, "Task.").filter(),
        Column::json("metadata", "Anything else.").default("{}"),
    ],
)
.rule(rule);

/// A row for each person and each company in a deal. It goes with either of them: a deal outlives its people.
pub(crate) static DEAL_PARTIES: Table = Table::new(
    "deal_parties",
    "deal_party",
    "A person or company that takes part in a deal.",
    &[
        Column::reference("deal_id", "deals", OnDelete::Cascade, "The deal.").required(),
        Column::reference("party_id", "parties", OnDelete::Cascade, "The person or company.").required(),
        Column::choice("role", &["person", "company"], "As what it takes part.").required(),
        Column::count("place", 1, 1_000, "In which order it was named.").hidden(),
    ],
)
.unnumbered()
.tenant_wide();

/// Values of a status that close a deal in no pipeline.
const CLOSING: &[&str] = &["win", "won", "lost"];

/// The largest value (Intum): below 10^12.
const VALUE_LIMIT: Money = Money::from_units(1_000_000_000_000 * 10_000);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if draft.event == Event::Delete {
            return Ok(());
        }
        check_values(draft.before, draft.values)?;
        check_external_id(ctx, draft.before, draft.values).await?;
        place(ctx, draft.before, draft.values).await
    })
}

fn check_values(before: Option<&Record>, values: &mut Values) -> Result<()> {
    let amount = |values: &Values, name: &str| match values.get(name) {
        Some(Val::Int(units)) => Some(Money::from_units(*units)),
        Some(_) => None,
        None => before.and_then(|before| before.get::<Option<Money>>(name).ok().flatten()),
    };
    for name in ["value_net", "value_gross", "tax"] {
        if amount(values, name).is_some_and(|amount| amount >= VALUE_LIMIT) {
            return Err(Error::invalid(format!("/{name}"), "must be below 1000000000000"));
        }
    }
    if let (Some(net), Some(gross)) = (amount(values, "value_net"), amount(values, "value_gross"))
        && gross < net
    {
        return Err(Error::invalid("/value_gross", format!("must be at least the net value, {net}")));
    }
    if let Some(currency) = values.text("currency").map(str::to_uppercase) {
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(Error::invalid(
                "/currency",
                "expected three letters, such as PLN; see currency_dictionary_show",
            ));
        }
        values.set("currency", currency);
    }
    let date = |values: &Values, name: &str| match values.get(name) {
        Some(Val::Date(date)) => Some(*date),
        Some(_) => None,
        None => before.and_then(|before| before.get::<Option<Date>>(name).ok().flatten()),
    };
    if let (Some(from), Some(to)) = (date(values, "date_from"), date(values, "date_to"))
        && to < from
    {
        return Err(Error::invalid("/date_to", format!("must not be before date_from, {from}")));
    }
    Ok(())
}

/// An id in another system is of one deal, whatever organization it is in.
async fn check_external_id(ctx: &mut Ctx, before: Option<&Record>, values: &mut Values) -> Result<()> {
    let old = |name: &str| before.map(|before| before.text(name)).unwrap_or_default();
    let id = values.get("external_id").map_or(old("external_id"), |_| values.text("external_id").unwrap_or_default());
    let id = id.to_owned();
    if id.is_empty() {
        if values.get("external_id").is_some() {
            values.set("external_id", Val::Null).set("app_code", Val::Null);
        }
        return Ok(());
    }
    let app =
        values.get("app_code").map_or(old("app_code"), |_| values.text("app_code").unwrap_or_default()).to_owned();
    let mut sql = Sql::new("SELECT num FROM deals WHERE tenant_id = ");
    sql.bind(ctx.tenant_id()).and_eq("app_code", app.as_str()).and_eq("external_id", id.as_str());
    if let Some(before) = before {
        sql.push(" AND id <> ").bind(before.id);
    }
    if !ctx.rows(&sql).await?.is_empty() {
        return Err(Error::invalid(
            "/external_id",
            format!("another deal has the external id {id} already; deal_external_find shows it"),
        ));
    }
    // Blank rather than nothing, so that the unique index compares it.
    values.set("app_code", app);
    Ok(())
}

/// Puts a deal where its values say: into a stage of a pipeline, or beside all pipelines.
async fn place(ctx: &mut Ctx, before: Option<&Record>, values: &mut Values) -> Result<()> {
    let old_stage = before.and_then(|before| before.id_of("stage_id"));
    let old_pipeline = before.and_then(|before| before.id_of("pipeline_id"));
    let given = |values: &Values, name: &str| values.get(name).is_some();
    let status = values.text("status").map(str::to_owned);
    let named = values.text("pipeline_stage").map(str::to_owned);
    let touched = ["pipeline_id", "stage_id", "status", "pipeline_stage"].iter().any(|name| given(values, name));
    if before.is_some() && !touched {
        return refuse_reason_of_open(before, values);
    }
    // The pipeline: as given, as the stage says, as it was; a new deal goes into the default one.
    let stage = match values.id_of("stage_id") {
        Some(id) => {
            // Not held: many deals come to one stage at once, and the reference keeps it from going.
            let mut sql = ctx.from(&PIPELINE_STAGES);
            sql.and_eq("id", id);
            ctx.records(&PIPELINE_STAGES, &sql).await?.into_iter().next()
        }
        None => None,
    };
    let of_stage = stage.as_ref().and_then(|stage| stage.id_of("pipeline_id"));
    let mut pipeline = match values.get("pipeline_id") {
        Some(Val::Id(id)) => Some(*id),
        Some(_) => None,
        None => old_pipeline,
    };
    if let Some(of_stage) = of_stage {
        if pipeline.is_some_and(|pipeline| pipeline != of_stage) {
            return Err(Error::invalid(
                "/stage",
                "is a stage of another pipeline; pipeline_stage_list shows those of the deal's",
            ));
        }
        pipeline = Some(of_stage);
    }
    let free = before.is_none() && !given(values, "pipeline_id") && pipeline.is_none();
    if free && let Some(found) = pipeline::default(ctx).await? {
        pipeline = Some(found.id);
    }
    let Some(pipeline) = pipeline else { return beside(ctx, before, values, status) };
    let stages = pipeline_stage::of_pipeline(ctx, pipeline).await?;
    let known = |word: &str| {
        let word = fold(word);
        stages.iter().find(|stage| stage.text("code") == word || fold(stage.text("name")) == word)
    };
    let wanted = match (&stage, &named, &status) {
        (Some(stage), ..) => Some(stage),
        (None, Some(named), _) => match known(named) {
            Some(stage) => Some(stage),
            // Open Mercato keeps any text: outside of pipelines it may.
            None if free => return beside(ctx, before, values, status),
            None => return Err(unknown_stage("pipeline_stage", named, &stages)),
        },
        (None, None, Some(status)) => match (outcome_of(status), known(status)) {
            (_, Some(stage)) => Some(stage),
            (Some(outcome), None) => {
                let fits = |stage: &&Record| status_of(stage) == outcome;
                let current = stages.iter().find(|stage| Some(stage.id) == old_stage).filter(fits);
                current.or_else(|| stages.iter().find(fits))
            }
            (None, None) if free => return beside(ctx, before, values, Some(status.clone())),
            (None, None) => return Err(unknown_stage("status", status, &stages)),
        },
        (None, None, None) => {
            let stays = stages.iter().find(|stage| Some(stage.id) == old_stage);
            stays.or_else(|| stages.iter().find(|stage| stage.flag("active") && !stage.flag("closed")))
        }
    };
    let wanted = wanted.ok_or_else(|| {
        Error::impossible_state(
            "The pipeline has no such stage. Add one with pipeline_stage_create, or name another stage.",
        )
    })?;
    if let Some(status) = &status
        && outcome_of(status).is_some_and(|outcome| outcome != status_of(wanted))
    {
        return Err(Error::invalid(
            "/status",
            format!(
                "follows from the stage: at {} a deal is {}; leave it out, or name another stage",
                wanted.text("code"),
                status_of(wanted)
            ),
        ));
    }
    let moved = old_stage != Some(wanted.id);
    let status = status_of(wanted);
    values.set("pipeline_id", pipeline).set("stage_id", wanted.id).set("pipeline_stage", wanted.text("code"));
    if moved {
        values.set("stage_since", ctx.now());
        if !given(values, "probability") {
            values.set("probability", wanted.get::<i64>("probability")?);
        }
    }
    close(ctx, before, values, status)
}

/// A deal in no pipeline: its status is what is written.
fn beside(ctx: &mut Ctx, before: Option<&Record>, values: &mut Values, status: Option<String>) -> Result<()> {
    values.set("pipeline_id", Val::Null).set("stage_id", Val::Null);
    if before.is_none() || before.is_some_and(|before| before.id_of("stage_id").is_some()) {
        values.set("stage_since", ctx.now());
    }
    let status = status.or_else(|| before.map(|before| before.text("status").to_owned())).unwrap_or_default();
    let status = if status.trim().is_empty() { "open".to_owned() } else { status };
    close(ctx, before, values, &status)
}

/// Sets the status, and the time of closing where it closes the deal.
fn close(ctx: &mut Ctx, before: Option<&Record>, values: &mut Values, status: &str) -> Result<()> {
    let closes = |status: &str| CLOSING.contains(&status) || status == "closed";
    let was = before.is_some_and(|before| closes(before.text("status")));
    match (was, closes(status)) {
        (false, true) => _ = values.set("closed_at", ctx.now()),
        (true, false) => _ = values.set("closed_at", Val::Null),
        // Won after it was lost: the day of the last word counts.
        (true, true) if before.is_some_and(|before| before.text("status") != status) => {
            values.set("closed_at", ctx.now());
        }
        _ => {}
    }
    values.set("status", status);
    if status != "lost" {
        if values.text("lost_reason").is_some_and(|reason| !reason.is_empty()) {
            return Err(Error::invalid("/lost_reason", "only a lost deal has one; deal_lose loses it"));
        }
        values.set("lost_reason", Val::Null);
    }
    Ok(())
}

fn refuse_reason_of_open(before: Option<&Record>, values: &Values) -> Result<()> {
    let lost = before.is_some_and(|before| before.text("status") == "lost");
    if !lost && values.text("lost_reason").is_some_and(|reason| !reason.is_empty()) {
        return Err(Error::invalid("/lost_reason", "only a lost deal has one; deal_lose loses it"));
    }
    Ok(())
}

/// What a stage makes of a deal.
pub(crate) fn status_of(stage: &Record) -> &'static str {
    match (stage.flag("is_won"), stage.flag("is_lost"), stage.flag("closed")) {
        (true, ..) => "won",
        (_, true, _) => "lost",
        (_, _, true) => "closed",
        _ => "open",
    }
}

/// What a word for a status says of the outcome, if anything.
fn outcome_of(status: &str) -> Option<&'static str> {
    match status.trim().to_lowercase().as_str() {
        "open" | "" => Some("open"),
        "win" | "won" => Some("won"),
        "lost" | "lose" => Some("lost"),
        "closed" => Some("closed"),
        _ => None,
    }
}

pub(crate) fn unknown_stage(argument: &str, given: &str, stages: &[Record]) -> Error {
    let codes: Vec<&str> = stages.iter().map(|stage| stage.text("code")).collect();
    Error::invalid(format!("/{argument}"), format!("the pipeline has no stage {given}; it has {}", codes.join(", ")))
}
