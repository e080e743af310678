//! Moving deals from stage to stage, winning and losing them.

use bureau_kit::prelude::*;

use crate::activity::ACTIVITIES;
use crate::deal::{DEALS, status_of, unknown_stage};
use crate::deal_view::{self, DealView};
use crate::deal_write::save;
use crate::pipeline_stage::{self, PIPELINE_STAGES};
use crate::{Deal, PipelineStage};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveInput {
    /// UUID or number of the deal.
    id: Id<Deal>,
    /// The stage to move it to, of the deal's pipeline. Or give stage_code.
    #[serde(alias = "stage_id")]
    stage: Option<Id<PipelineStage>>,
    /// Code of the stage to move it to.
    stage_code: Option<String>,
}

pub(crate) async fn move_stage(ctx: &mut Ctx, input: MoveInput) -> Result<DealView> {
    let before = ctx.fetch(input.id).await?;
    let stage = match (input.stage, input.stage_code) {
        (Some(_), Some(_)) => return Err(Error::invalid("/stage_code", "give it or stage, not both")),
        (Some(stage), None) => ctx.reference("stage", stage).await?,
        (None, Some(code)) => {
            let stages = stages(ctx, &before).await?;
            let stage = stages.iter().find(|stage| stage.text("code") == code.trim());
            stage.ok_or_else(|| unknown_stage("stage_code", &code, &stages))?.id
        }
        (None, None) => return Err(Error::invalid("/stage", "is required, or stage_code")),
    };
    let deal = save(ctx, &before, Values::new().with("stage_id", stage)).await?;
    deal_view::one(ctx, deal).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WinInput {
    /// UUID or number of the deal.
    id: Id<Deal>,
    /// Code of the won stage; the first one unless given.
    stage_code: Option<String>,
}

pub(crate) async fn win(ctx: &mut Ctx, input: WinInput) -> Result<DealView> {
    let before = ctx.fetch(input.id).await?;
    let values = match before.id_of("pipeline_id") {
        None => Values::new().with("status", "won"),
        Some(_) => {
            let stages = stages(ctx, &before).await?;
            let stage = match &input.stage_code {
                Some(code) => {
                    let stage = stages.iter().find(|stage| stage.text("code") == code.trim());
                    let stage = stage.ok_or_else(|| unknown_stage("stage_code", code, &stages))?;
                    if status_of(stage) != "won" {
                        return Err(Error::invalid(
                            "/stage_code",
                            "is no stage that wins deals; leave it out, or see pipeline_stage_list",
                        ));
                    }
                    stage
                }
                // One that is won already stays where it is.
                None => outcome_stage(&before, &stages, "won")?,
            };
            Values::new().with("stage_id", stage.id)
        }
    };
    let deal = save(ctx, &before, values).await?;
    deal_view::one(ctx, deal).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoseInput {
    /// UUID or number of the deal.
    id: Id<Deal>,
    /// Reason of the loss.
    #[schemars(length(min = 1, max = 255))]
    lost_reason: String,
}

pub(crate) async fn lose(ctx: &mut Ctx, input: LoseInput) -> Result<DealView> {
    let reason = input.lost_reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > 255 {
        return Err(Error::invalid("/lost_reason", "expected 1 to 255 characters: say why the deal was lost"));
    }
    let before = ctx.fetch(input.id).await?;
    let values = match before.id_of("pipeline_id") {
        None => Values::new().with("status", "lost"),
        Some(_) => {
            let stages = stages(ctx, &before).await?;
            Values::new().with("stage_id", outcome_stage(&before, &stages, "lost")?.id)
        }
    };
    let deal = save(ctx, &before, values.with("lost_reason", reason)).await?;
    deal_view::one(ctx, deal).await
}

/// The stages of the deal's pipeline.
async fn stages(ctx: &mut Ctx, deal: &Record) -> Result<Vec<Record>> {
    match deal.id_of("pipeline_id") {
        Some(pipeline) => pipeline_stage::of_pipeline(ctx, pipeline).await,
        None => Err(Error::impossible_state(
            "The deal is in no pipeline. Put it into one with deal_update (pipeline), or set its status there.",
        )),
    }
}

/// Where a deal goes that is won or lost: it stays where it is if it is that already.
fn outcome_stage<'a>(deal: &Record, stages: &'a [Record], outcome: &str) -> Result<&'a Record> {
    let fits = |stage: &&Record| status_of(stage) == outcome;
    let current = stages.iter().find(|stage| Some(stage.id) == deal.id_of("stage_id")).filter(fits);
    current.or_else(|| stages.iter().find(fits)).ok_or_else(|| {
        Error::impossible_state(format!(
            "The pipeline has no stage for {outcome} deals. Add one with pipeline_stage_create (is_{outcome}: true)."
        ))
    })
}

/// Notes in a deal's history that it moved (iblai).
pub(crate) async fn note_move(ctx: &mut Ctx, before: &Record, after: &Record) -> Result<()> {
    let (from, to) = (before.id_of("stage_id"), after.id_of("stage_id"));
    if from == to {
        return Ok(());
    }
    let name = async |ctx: &mut Ctx, stage: Option<Uuid>| match stage {
        None => Ok::<_, Error>("no stage".to_owned()),
        Some(id) => {
            let mut sql = ctx.select("name", &PIPELINE_STAGES);
            sql.and_eq("id", id);
            ctx.rows(&sql).await?.first().map_or_else(|| Ok(id.to_string()), |row| row.get(0))
        }
    };
    let (from, to) = (name(ctx, from).await?, name(ctx, to).await?);
    let values = Values::new()
        .with("subject_type", DEALS.noun)
        .with("subject_id", after.id)
        .with("deal_id", after.id)
        .with("activity_type", "note")
        .with("title", "Stage changed")
        .with("body", format!("{from} → {to}"))
        .with("author_id", ctx.principal().user_id)
        .with("occurred_at", ctx.now())
        .with("is_done", true)
        .with("done_at", ctx.now())
        .with("organization_id", after.organization_id);
    ctx.insert(&ACTIVITIES, values).await.map(drop)
}
