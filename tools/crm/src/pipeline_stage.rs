//! The stages of pipelines.

use bureau_kit::prelude::*;

use crate::form::{Form, Mode, slug_of};
use crate::pipeline::{MANAGE, PIPELINES, VIEW, taken};
use crate::{Pipeline, PipelineStage};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("pipeline_stage_list", VIEW, list)
            .title("List pipeline stages")
            .about("List the stages of a sales pipeline in order, of the default one unless named.")
            .synonyms("steps columns sales funnel etapy lejka sprzedaży lista етапи воронки продажів список"),
        Tool::read("pipeline_stage_show", VIEW, show)
            .title("Show a pipeline stage")
            .about("Show one stage of a sales pipeline.")
            .synonyms("step column etap lejka sprzedaży pokaż етап воронки показати"),
        Tool::create("pipeline_stage_create", MANAGE, create)
            .title("Add a pipeline stage")
            .about(
                "Add a stage to a sales pipeline, last unless sort_order says otherwise. A deal that gets to a stage with is_won or \
                 is_lost is closed.",
            )
            .synonyms("new step column sales funnel dodaj etap do lejka sprzedaży додати етап воронки продажів"),
        Tool::update("pipeline_stage_update", MANAGE, update)
            .on(&PIPELINE_STAGES)
            .title("Change a pipeline stage")
            .about("Change the given fields of a stage and leave the rest. Whether it closes deals can change only while none stands in it.")
            .synonyms("rename step probability zmień etap lejka змінити етап воронки"),
        Tool::update("pipeline_stage_replace", MANAGE, replace)
            .on(&PIPELINE_STAGES)
            .destructive()
            .title("Replace a pipeline stage's data")
            .about("Replace the data of a stage as a whole: what is left out goes back to its default, but for pipeline, code and place.")
            .synonyms("overwrite put step zastąp etap lejka замінити етап воронки"),
        family::delete("pipeline_stage_delete", MANAGE, &PIPELINE_STAGES)
            .title("Delete a pipeline stage")
            .about("Delete a stage of a sales pipeline. Refused while deals stand in it: move them with deal_stage_move first.")
            .synonyms("remove step usuń etap lejka sprzedaży видалити етап воронки"),
    ]
}

pub(crate) static PIPELINE_STAGES: Table = Table::new(
    "pipeline_stages",
    "pipeline_stage",
    "A stage of a pipeline.",
    &[
        Column::reference("pipeline_id", "pipelines", OnDelete::Cascade, "Its pipeline.").required().fixed(),
        Column::text("code", "Short name, unique in the pipeline.").max(100).required().search(),
        Column::text("name", "Name.").required().search(),
        Column::text("description", "What it means.").max(2_000),
        Column::color("color", "Colour on the board.").default("\"#3730A3\""),
        Column::count("probability", 0, 100, "Probability of winning a deal that stands here, in per cent.")
            .default("0"),
        Column::count("sort_order", 0, 1_000_000, "Place, lowest first."),
        Column::flag("is_won", "Whether a deal that gets here is won."),
        Column::flag("is_lost", "Whether a deal that gets here is lost."),
        Column::flag("closed", "Whether a deal that gets here is closed."),
        Column::flag("active", "Whether it is offered.").default("true"),
    ],
)
.tenant_wide()
.rule(rule);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if draft.event == Event::Delete {
            return Ok(());
        }
        let pipeline = draft.values.id_of("pipeline_id").or(draft.before.and_then(|row| row.id_of("pipeline_id")));
        let pipeline = pipeline.ok_or_else(|| Error::invalid("/pipeline", "is required"))?;
        if let Some(code) = draft.values.text("code").map(str::to_owned) {
            let own = draft.before.map(|before| before.id);
            if taken(ctx, &PIPELINE_STAGES, &code, own, |sql| _ = sql.and_eq("pipeline_id", pipeline)).await? {
                return Err(Error::invalid(
                    "/code",
                    format!("the pipeline has a stage {code} already; choose another code"),
                ));
            }
        }
        let flag = |name: &str| match draft.values.get(name) {
            Some(value) => *value == Val::Bool(true),
            None => draft.before.is_some_and(|before| before.flag(name)),
        };
        let (won, lost) = (flag("is_won"), flag("is_lost"));
        if won && lost {
            return Err(Error::invalid("/is_lost", "a stage is won or lost, not both"));
        }
        // Won and lost deals are closed; other stages may close them too (Intum).
        let given = draft.values.get("closed").map(|value| *value == Val::Bool(true));
        if given == Some(false) && (won || lost) {
            return Err(Error::invalid(
                "/closed",
                "a stage that wins or loses deals closes them; take is_won or is_lost off too",
            ));
        }
        let ends = |before: &Record| before.flag("is_won") || before.flag("is_lost");
        let closed =
            won || lost || given.unwrap_or_else(|| draft.before.is_some_and(|old| old.flag("closed") && !ends(old)));
        draft.values.set("closed", closed);
        if let Some(before) = draft.before {
            let same = (won, lost, closed) == (before.flag("is_won"), before.flag("is_lost"), before.flag("closed"));
            let mut sql = ctx.from_tenant(&crate::deal::DEALS);
            sql.and_eq("stage_id", before.id).push(" LIMIT 1");
            // Inferred: otherwise deals would close or open behind the back of those who work on them.
            if !same && !ctx.rows(&sql).await?.is_empty() {
                return Err(Error::impossible_state(format!(
                    "Deals stand in the stage {}, so whether it closes them cannot change. Move them with deal_stage_move first.",
                    before.text("code")
                )));
            }
        }
        let unplaced = match draft.event {
            Event::Create => draft.values.get("sort_order").is_none_or(Val::is_null),
            _ => draft.values.get("sort_order").is_some_and(Val::is_null),
        };
        if unplaced {
            let mut sql = ctx.select("COALESCE(MAX(sort_order), 0)", &PIPELINE_STAGES);
            sql.and_eq("pipeline_id", pipeline);
            let last: i64 = ctx.rows(&sql).await?.first().map_or(Ok(0), |row| row.get(0))?;
            draft.values.set("sort_order", last.saturating_add(1));
        }
        Ok(())
    })
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StageView {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// UUID of its pipeline.
    #[schemars(with = "String")]
    pipeline: Uuid,
    /// Short name.
    code: String,
    /// Name.
    name: String,
    /// What it means.
    description: Option<String>,
    /// Colour on the board.
    color: String,
    /// Probability of winning a deal that stands here, in per cent.
    probability: i64,
    /// Place, lowest first.
    sort_order: i64,
    /// Whether a deal that gets here is won.
    is_won: bool,
    /// Whether a deal that gets here is lost.
    is_lost: bool,
    /// Whether a deal that gets here is closed.
    closed: bool,
    /// Whether it is offered.
    active: bool,
    /// Grows with every change; see expected_version.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

impl StageView {
    pub(crate) fn of(stage: &Record) -> Result<Self> {
        Ok(Self {
            id: stage.id,
            num: stage.num,
            pipeline: stage.get("pipeline_id")?,
            code: stage.get("code")?,
            name: stage.get("name")?,
            description: stage.get("description")?,
            color: stage.get("color")?,
            probability: stage.get("probability")?,
            sort_order: stage.get("sort_order")?,
            is_won: stage.flag("is_won"),
            is_lost: stage.flag("is_lost"),
            closed: stage.flag("closed"),
            active: stage.flag("active"),
            version: stage.version,
            created_at: stage.created_at,
            updated_at: stage.updated_at,
        })
    }
}

/// The stages of a pipeline, in order.
pub(crate) async fn of_pipeline(ctx: &mut Ctx, pipeline: Uuid) -> Result<Vec<Record>> {
    let mut sql = ctx.from(&PIPELINE_STAGES);
    sql.and_eq("pipeline_id", pipeline).push(" ORDER BY sort_order, num");
    ctx.records(&PIPELINE_STAGES, &sql).await
}

/// The pipeline that is named, or the default one.
pub(crate) async fn meant(ctx: &mut Ctx, pipeline: Option<Id<Pipeline>>) -> Result<Uuid> {
    if let Some(pipeline) = pipeline {
        return ctx.reference("pipeline", pipeline).await;
    }
    let found = crate::pipeline::default(ctx).await?;
    found.map(|pipeline| pipeline.id).ok_or_else(|| {
        Error::invalid(
            "/pipeline",
            "there is no default pipeline: name one (pipeline_list), or make one with is_default",
        )
    })
}

/// A code for a stage that was given none.
pub(crate) async fn free_code(ctx: &mut Ctx, pipeline: Uuid, name: &str) -> Result<String> {
    let base = slug_of(name, "stage");
    for number in 1_u32..10_000 {
        let code = if number == 1 { base.clone() } else { format!("{base}-{number}") };
        if !taken(ctx, &PIPELINE_STAGES, &code, None, |sql| _ = sql.and_eq("pipeline_id", pipeline)).await? {
            return Ok(code);
        }
    }
    Err(Error::invalid("/code", "give the stage a code of its own"))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Its pipeline; the default one unless given.
    #[serde(alias = "pipeline_id")]
    pipeline: Option<Id<Pipeline>>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 unless given.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<StageView>> {
    let pipeline = match input.pipeline {
        Some(id) => ctx.fetch(id).await?.id,
        None => meant(ctx, None).await?,
    };
    let wanted = page::Wanted { page: input.page, page_size: input.page_size };
    page_of(ctx, pipeline, wanted).await?.try_map(|stage| StageView::of(&stage))
}

/// A page of the stages of a pipeline, in order.
pub(crate) async fn page_of(ctx: &mut Ctx, pipeline: Uuid, wanted: page::Wanted) -> Result<Page<Record>> {
    let (page, page_size) = wanted.checked()?;
    let mut counted = ctx.select("1", &PIPELINE_STAGES);
    counted.and_eq("pipeline_id", pipeline);
    let mut rows = ctx.from(&PIPELINE_STAGES);
    rows.and_eq("pipeline_id", pipeline).push(" ORDER BY sort_order, num");
    page::fetch(ctx, &PIPELINE_STAGES, page::Query { rows, counted, page, page_size }).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowInput {
    /// The stage.
    id: Id<PipelineStage>,
}

async fn show(ctx: &mut Ctx, input: ShowInput) -> Result<StageView> {
    StageView::of(&ctx.fetch(input.id).await?)
}

/// An input of a stage: its own field and those of every stage.
macro_rules! stage_input {
    (struct $name:ident { $(#[$meta:meta])* $own:ident: $type:ty, $(#[$name_meta:meta])* name, }) => {
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $(#[$meta])*
            $own: $type,
            $(#[$name_meta])*
            name: Patch<String>,
            /// Short name, unique in the pipeline; made of the name unless given.
            #[serde(default)]
            #[schemars(length(max = 100))]
            code: Patch<String>,
            /// What it means.
            #[serde(default)]
            #[schemars(length(max = 2000))]
            description: Patch<String>,
            /// Colour on the board as #rrggbb.
            #[serde(default)]
            color: Patch<String>,
            /// Probability of winning a deal that stands here, in per cent.
            #[serde(default)]
            probability: Patch<i64>,
            /// Place, lowest first; last unless given.
            #[serde(default)]
            sort_order: Patch<i64>,
            /// Whether a deal that gets here is won.
            #[serde(default)]
            is_won: Patch<bool>,
            /// Whether a deal that gets here is lost.
            #[serde(default)]
            is_lost: Patch<bool>,
            /// Whether it is offered.
            #[serde(default)]
            active: Patch<bool>,
        }

        impl $name {
            fn values(self, mode: Mode) -> Result<Values> {
                let mut form = Form::new(&PIPELINE_STAGES, mode);
                // What others name it by, and where it stands, stays unless given.
                if self.code != Patch::Absent {
                    form.put("code", "code", self.code)?;
                }
                if self.sort_order != Patch::Absent {
                    form.put("sort_order", "sort_order", self.sort_order)?;
                }
                form.put("name", "name", self.name)?;
                form.put("description", "description", self.description)?;
                form.put("color", "color", self.color)?;
                form.put("probability", "probability", self.probability)?;
                form.put("is_won", "is_won", self.is_won)?;
                form.put("is_lost", "is_lost", self.is_lost)?;
                form.put("active", "active", self.active)?;
                form.finish()
            }
        }
    };
}

stage_input! {
    struct CreateInput {
        /// Its pipeline; the default one unless given.
        #[serde(alias = "pipeline_id")]
        pipeline: Option<Id<Pipeline>>,
        /// Name.
        #[schemars(with = "String", length(max = 255))]
        name,
    }
}

stage_input! {
    struct ChangeInput {
        /// Stage to change.
        id: Id<PipelineStage>,
        /// Name.
        #[serde(default)]
        #[schemars(length(max = 255))]
        name,
    }
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<StageView> {
    let pipeline = meant(ctx, input.pipeline).await?;
    // New stages of a pipeline come one after the other, so that each finds its place.
    ctx.hold(&PIPELINES, pipeline).await?;
    let values = input.values(Mode::Create)?;
    StageView::of(&store(ctx, pipeline, values).await?)
}

/// Stores a stage of a pipeline that the caller holds.
pub(crate) async fn store(ctx: &mut Ctx, pipeline: Uuid, mut values: Values) -> Result<Record> {
    if !values.has("code") {
        let name = values.text("name").unwrap_or_default().to_owned();
        values.set("code", free_code(ctx, pipeline, &name).await?);
    }
    values.set("pipeline_id", pipeline);
    family::save_new(ctx, &PIPELINE_STAGES, values).await
}

async fn update(ctx: &mut Ctx, input: ChangeInput) -> Result<StageView> {
    change(ctx, Mode::Update, input).await
}

async fn replace(ctx: &mut Ctx, input: ChangeInput) -> Result<StageView> {
    change(ctx, Mode::Replace, input).await
}

async fn change(ctx: &mut Ctx, mode: Mode, input: ChangeInput) -> Result<StageView> {
    let before = ctx.fetch(input.id).await?;
    let values = input.values(mode)?;
    StageView::of(&family::save(ctx, &before, values).await?)
}
