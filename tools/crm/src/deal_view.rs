//! Deals as tools answer them.

use std::collections::HashMap;

use bureau_kit::prelude::*;

use crate::deal::DEALS;
use crate::deal_party::{self, Participant, Participants};
use crate::json::AnyJson;
use crate::pipeline::PIPELINES;
use crate::pipeline_stage::PIPELINE_STAGES;
use crate::tag_link::{self, TagRef};

/// A deal.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DealView {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// What it is about.
    title: String,
    /// Description.
    description: Option<String>,
    /// open, won, lost or closed; any text in no pipeline.
    status: String,
    /// UUID of its pipeline.
    #[schemars(with = "Option<String>")]
    pipeline: Option<Uuid>,
    /// UUID of its stage.
    #[schemars(with = "Option<String>")]
    stage: Option<Uuid>,
    /// Code of its stage; any text in no pipeline.
    pipeline_stage: Option<String>,
    /// Name of its stage.
    stage_name: Option<String>,
    /// When it came to its stage.
    stage_since: Option<Instant>,
    /// Whether it is open and has not moved for longer than its pipeline bears.
    is_rotten: bool,
    /// Net value.
    value_net: Option<Money>,
    /// Gross value.
    value_gross: Option<Money>,
    /// Tax.
    tax: Option<Money>,
    /// Currency of the value.
    currency: String,
    /// Probability of winning it, in per cent.
    probability: Option<i64>,
    /// Net value times probability.
    weighted_value: Option<Money>,
    /// When it is expected to be closed.
    expected_close: Option<Date>,
    /// UUID of the user in charge.
    #[schemars(with = "Option<String>")]
    owner: Option<Uuid>,
    /// Where it came from, in words.
    source: Option<String>,
    /// UUID of the lead source it came from.
    #[schemars(with = "Option<String>")]
    source_id: Option<Uuid>,
    /// UUID of its first person.
    #[schemars(with = "Option<String>")]
    person: Option<Uuid>,
    /// UUID of its first company.
    #[schemars(with = "Option<String>")]
    organization: Option<Uuid>,
    /// Its people.
    people: Vec<Participant>,
    /// Its companies.
    companies: Vec<Participant>,
    /// Reason of the loss.
    lost_reason: Option<String>,
    /// When it was closed.
    closed_at: Option<Instant>,
    /// Number of the business papers.
    number: Option<String>,
    /// Number of its invoice.
    invoice_number: Option<String>,
    /// Address of a page about it.
    url: Option<String>,
    /// System that external_id is of.
    app_code: Option<String>,
    /// Id in another system.
    external_id: Option<String>,
    /// Its date.
    main_date: Option<Date>,
    /// When the work begins.
    date_from: Option<Date>,
    /// When the work ends.
    date_to: Option<Date>,
    /// UUID of its department.
    #[schemars(with = "Option<String>")]
    department_id: Option<Uuid>,
    /// UUID of its project.
    #[schemars(with = "Option<String>")]
    project_id: Option<Uuid>,
    /// UUID of its task.
    #[schemars(with = "Option<String>")]
    task_id: Option<Uuid>,
    /// Anything else.
    metadata: AnyJson,
    /// Its tags.
    tags: Vec<TagRef>,
    /// Organization of your own tenant that the record belongs to; null is the whole tenant.
    #[schemars(with = "Option<String>")]
    organization_id: Option<Uuid>,
    /// Grows with every change; see expected_version.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

/// One deal, whole.
pub(crate) async fn one(ctx: &mut Ctx, deal: Record) -> Result<DealView> {
    many(ctx, &[deal]).await?.pop().ok_or_else(|| Error::internal("a deal was not shown"))
}

/// Several deals, whole.
pub(crate) async fn many(ctx: &mut Ctx, deals: &[Record]) -> Result<Vec<DealView>> {
    let ids: Vec<Uuid> = deals.iter().map(|deal| deal.id).collect();
    let mut parties = deal_party::of(ctx, &ids).await?;
    let mut tags = tag_link::of(ctx, DEALS.noun, &ids).await?;
    let stages = names(ctx, deals).await?;
    let patience = patience(ctx, deals).await?;
    let now = ctx.now();
    let view = |deal: &Record| {
        let Participants { people, companies } = parties.remove(&deal.id).unwrap_or_default();
        let stage_since: Option<Instant> = deal.get("stage_since")?;
        let days = deal.id_of("pipeline_id").and_then(|pipeline| patience.get(&pipeline).copied());
        let value_net: Option<Money> = deal.get("value_net")?;
        let probability: Option<i64> = deal.get("probability")?;
        Ok(DealView {
            id: deal.id,
            num: deal.num,
            title: deal.get("title")?,
            description: deal.get("description")?,
            status: deal.get("status")?,
            pipeline: deal.id_of("pipeline_id"),
            stage: deal.id_of("stage_id"),
            pipeline_stage: deal.get("pipeline_stage")?,
            stage_name: deal.id_of("stage_id").and_then(|stage| stages.get(&stage).cloned()),
            stage_since,
            is_rotten: deal.text("status") == "open" && rotten(stage_since, days, now),
            value_net,
            value_gross: deal.get("value_gross")?,
            tax: deal.get("tax")?,
            currency: deal.get("currency")?,
            probability,
            weighted_value: weighted(value_net, probability),
            expected_close: deal.get("expected_close")?,
            owner: deal.id_of("owner_id"),
            source: deal.get("source")?,
            source_id: deal.id_of("source_id"),
            person: people.first().map(|person| person.id),
            organization: companies.first().map(|company| company.id),
            people,
            companies,
            lost_reason: deal.get("lost_reason")?,
            closed_at: deal.get("closed_at")?,
            number: deal.get("number")?,
            invoice_number: deal.get("invoice_number")?,
            url: deal.get("url")?,
            app_code: deal.get::<Option<String>>("app_code")?.filter(|code| !code.is_empty()),
            external_id: deal.get("external_id")?,
            main_date: deal.get("main_date")?,
            date_from: deal.get("date_from")?,
            date_to: deal.get("date_to")?,
            department_id: deal.id_of("department_id"),
            project_id: deal.id_of("project_id"),
            task_id: deal.id_of("task_id"),
            metadata: AnyJson(deal.get("metadata")?),
            tags: tags.remove(&deal.id).unwrap_or_default(),
            organization_id: deal.organization_id,
            version: deal.version,
            created_at: deal.created_at,
            updated_at: deal.updated_at,
        })
    };
    deals.iter().map(view).collect()
}

/// The names of the stages that deals stand in.
async fn names(ctx: &mut Ctx, deals: &[Record]) -> Result<HashMap<Uuid, String>> {
    let ids: Vec<Uuid> = deals.iter().filter_map(|deal| deal.id_of("stage_id")).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = ctx.select("id, name", &PIPELINE_STAGES);
    sql.and_in("id", ids);
    ctx.rows(&sql).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// For how many days each pipeline bears deals that do not move.
async fn patience(ctx: &mut Ctx, deals: &[Record]) -> Result<HashMap<Uuid, i64>> {
    let ids: Vec<Uuid> = deals.iter().filter_map(|deal| deal.id_of("pipeline_id")).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = ctx.select("id, rotten_days", &PIPELINES);
    sql.and_in("id", ids);
    ctx.rows(&sql).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

fn rotten(since: Option<Instant>, days: Option<i64>, now: Instant) -> bool {
    let (Some(since), Some(days)) = (since, days) else { return false };
    since.plus_minutes(days.saturating_mul(24 * 60)) < now
}

/// A value times a probability, to the hundredth, halves up.
fn weighted(value: Option<Money>, probability: Option<i64>) -> Option<Money> {
    let units = i128::from(value?.units()).checked_mul(i128::from(probability?))?;
    let hundredths = units.checked_add(5_000)?.checked_div(10_000)?;
    Some(Money::from_units(i64::try_from(hundredths.checked_mul(100)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_weighted_to_the_hundredth() {
        let weighted = |value: &str, probability| {
            super::weighted(Some(Money::parse(value).unwrap()), Some(probability)).unwrap().to_string()
        };
        assert_eq!(weighted("1000", 25), "250.00");
        assert_eq!(weighted("0.01", 50), "0.01");
        assert_eq!(weighted("0.01", 49), "0.00");
        assert_eq!(weighted("999999999999.99", 100), "999999999999.99");
        assert_eq!(weighted("33.33", 33), "11.00");
        assert!(super::weighted(None, Some(1)).is_none() && super::weighted(Some(Money::ZERO), None).is_none());
    }
}
