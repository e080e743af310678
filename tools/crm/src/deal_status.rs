//! Intum's statuses of deals: the stages of the default pipeline, under Intum's names.

use bureau_kit::prelude::*;

use crate::PipelineStage;
use crate::form::{Form, Mode};
use crate::pipeline::{MANAGE, PIPELINES, VIEW};
use crate::pipeline_stage::{PIPELINE_STAGES, meant, of_pipeline, page_of, store};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("deal_status_list", VIEW, list)
            .title("List deal statuses")
            .about("List the statuses of deals in order: the stages of the default pipeline. Those with closed: true close deals.")
            .synonyms("sales stages board columns statusy szans sprzedaży etapy lista статуси угод етапи список"),
        Tool::read("deal_status_show", VIEW, show)
            .title("Show a deal status")
            .about("Show one status of deals, a stage of the default pipeline.")
            .synonyms("sales stage status szansy pokaż статус угоди показати"),
        Tool::create("deal_status_create", MANAGE, create)
            .title("Add a deal status")
            .about("Add a status of deals: a stage of the default pipeline, last unless priority says otherwise.")
            .synonyms("new sales stage dodaj status szans sprzedaży додати статус угод"),
        Tool::update("deal_status_update", MANAGE, update)
            .on(&PIPELINE_STAGES)
            .title("Change a deal status")
            .about("Change a status of deals. Whether it closes deals can change only while none has it.")
            .synonyms("rename sales stage zmień status szans змінити статус угод"),
        Tool::delete("deal_status_delete", MANAGE, delete)
            .on(&PIPELINE_STAGES)
            .title("Delete a deal status")
            .about("Delete a status of deals. Refused while deals have it: move them with deal_stage_move first.")
            .synonyms("remove sales stage usuń status szans видалити статус угод"),
        Tool::action("deal_status_move_up", MANAGE, move_up)
            .on(&PIPELINE_STAGES)
            .title("Move a deal status up")
            .about("Move a status of deals one place up: it changes places with the one before it. The first one stays.")
            .synonyms("earlier order przesuń status szansy w górę kolejność перемістити статус угоди вгору"),
        Tool::action("deal_status_move_down", MANAGE, move_down)
            .on(&PIPELINE_STAGES)
            .title("Move a deal status down")
            .about("Move a status of deals one place down: it changes places with the one after it. The last one stays.")
            .synonyms("later order przesuń status szansy w dół kolejność перемістити статус угоди вниз"),
    ]
}

#[derive(Debug, Serialize, JsonSchema)]
struct Status {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// Name.
    name: String,
    /// What it means.
    description: Option<String>,
    /// Whether it is offered.
    active: bool,
    /// Whether a deal that gets it is closed.
    closed: bool,
    /// win or lost where it decides the deal, else blank.
    outcome: &'static str,
    /// Colour on the board.
    color: String,
    /// Place, lowest first.
    priority: i64,
    /// Grows with every change; see expected_version.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

impl Status {
    fn of(stage: &Record) -> Result<Self> {
        Ok(Self {
            id: stage.id,
            num: stage.num,
            name: stage.get("name")?,
            description: stage.get("description")?,
            active: stage.flag("active"),
            closed: stage.flag("closed"),
            outcome: match (stage.flag("is_won"), stage.flag("is_lost")) {
                (true, _) => "win",
                (_, true) => "lost",
                _ => "",
            },
            color: stage.get("color")?,
            priority: stage.get("sort_order")?,
            version: stage.version,
            created_at: stage.created_at,
            updated_at: stage.updated_at,
        })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 unless given.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<Status>> {
    let pipeline = meant(ctx, None).await?;
    let wanted = page::Wanted { page: input.page, page_size: input.page_size };
    page_of(ctx, pipeline, wanted).await?.try_map(|stage| Status::of(&stage))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StatusInput {
    /// The deal status.
    #[schemars(extend("x-record" = "pipeline_stages"))]
    id: Id<PipelineStage>,
}

/// A stage of the default pipeline; those of others are no statuses here.
async fn fetch(ctx: &mut Ctx, id: Id<PipelineStage>) -> Result<Record> {
    let missing = || Error::not_found("deal_status", id.key());
    let stage = match ctx.fetch(id).await {
        Err(error) if error.code() == Code::NotFound => return Err(missing()),
        found => found?,
    };
    if stage.id_of("pipeline_id") == Some(meant(ctx, None).await?) { Ok(stage) } else { Err(missing()) }
}

async fn show(ctx: &mut Ctx, input: StatusInput) -> Result<Status> {
    Status::of(&fetch(ctx, input.id).await?)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// Name.
    #[schemars(length(max = 255))]
    name: String,
    /// What it means.
    #[serde(default)]
    #[schemars(length(max = 2000))]
    description: Patch<String>,
    /// Whether it is offered.
    #[serde(default)]
    active: Patch<bool>,
    /// Whether a deal that gets it is closed.
    #[serde(default)]
    closed: Patch<bool>,
    /// Colour on the board as #rrggbb.
    #[serde(default)]
    color: Patch<String>,
    /// Place, lowest first; last unless given.
    #[serde(default)]
    priority: Patch<i64>,
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Status> {
    let pipeline = meant(ctx, None).await?;
    // New stages of a pipeline come one after the other, so that each finds its place.
    ctx.hold(&PIPELINES, pipeline).await?;
    let CreateInput { name, description, active, closed, color, priority } = input;
    let values = values(Mode::Create, Patch::Set(name), description, active, closed, color, priority)?;
    Status::of(&store(ctx, pipeline, values).await?)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChangeInput {
    /// Deal status to change.
    #[schemars(extend("x-record" = "pipeline_stages"))]
    id: Id<PipelineStage>,
    /// Name.
    #[serde(default)]
    #[schemars(length(max = 255))]
    name: Patch<String>,
    /// What it means.
    #[serde(default)]
    #[schemars(length(max = 2000))]
    description: Patch<String>,
    /// Whether it is offered.
    #[serde(default)]
    active: Patch<bool>,
    /// Whether a deal that gets it is closed.
    #[serde(default)]
    closed: Patch<bool>,
    /// Colour on the board as #rrggbb.
    #[serde(default)]
    color: Patch<String>,
    /// Place, lowest first.
    #[serde(default)]
    priority: Patch<i64>,
}

fn values(
    mode: Mode,
    name: Patch<String>,
    description: Patch<String>,
    active: Patch<bool>,
    closed: Patch<bool>,
    color: Patch<String>,
    priority: Patch<i64>,
) -> Result<Values> {
    let mut form = Form::new(&PIPELINE_STAGES, mode);
    form.put("name", "name", name)?;
    form.put("description", "description", description)?;
    form.put("active", "active", active)?;
    form.put("closed", "closed", closed)?;
    form.put("color", "color", color)?;
    form.put("priority", "sort_order", priority)?;
    form.finish()
}

async fn update(ctx: &mut Ctx, input: ChangeInput) -> Result<Status> {
    let stage = fetch(ctx, input.id).await?;
    let ChangeInput { name, description, active, closed, color, priority, .. } = input;
    let values = values(Mode::Update, name, description, active, closed, color, priority)?;
    Status::of(&family::save(ctx, &stage, values).await?)
}

async fn delete(ctx: &mut Ctx, input: StatusInput) -> Result<family::Deleted> {
    let stage = fetch(ctx, input.id).await?;
    family::remove(ctx, &stage).await?;
    Ok(family::Deleted::of(&stage))
}

#[derive(Debug, Serialize, JsonSchema)]
struct Moved {
    /// Always true.
    ok: bool,
    /// UUID of the deal status.
    #[schemars(with = "String")]
    id: Uuid,
    /// Its place now, from 1.
    priority: i64,
}

async fn move_up(ctx: &mut Ctx, input: StatusInput) -> Result<Moved> {
    swap(ctx, input, |place| place.checked_sub(1)).await
}

async fn move_down(ctx: &mut Ctx, input: StatusInput) -> Result<Moved> {
    swap(ctx, input, |place| place.checked_add(1)).await
}

/// Changes places with a neighbour; nothing happens at the edge (inferred, intum.md).
async fn swap(ctx: &mut Ctx, input: StatusInput, neighbour: fn(usize) -> Option<usize>) -> Result<Moved> {
    let stage = fetch(ctx, input.id).await?;
    let pipeline = stage.get("pipeline_id")?;
    // Held, so that two moves at once come one after the other.
    ctx.hold(&PIPELINES, pipeline).await?;
    let mut board = of_pipeline(ctx, pipeline).await?;
    let place = board.iter().position(|row| row.id == stage.id);
    let other = place.and_then(neighbour).filter(|other| *other < board.len());
    if let (Some(place), Some(other)) = (place, other) {
        board.swap(place, other);
    }
    let mut priority = 0;
    for (row, place) in board.iter().zip(1_i64..) {
        if row.id == stage.id {
            priority = place;
        }
        ctx.update(row, Values::new().with("sort_order", place)).await?;
    }
    Ok(Moved { ok: true, id: stage.id, priority })
}
