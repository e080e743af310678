//! Pipelines: the ways by which deals are won, each with its stages.

use std::collections::HashMap;

use bureau_identity::Tenant;
use bureau_kit::prelude::*;

use crate::Pipeline;
use crate::form::{Form, Mode, slug_of};
use crate::json::AnyJson;
use crate::pipeline_stage::{self, StageView};

pub(crate) const VIEW: &str = "customers.pipelines.view";
pub(crate) const MANAGE: &str = "customers.pipelines.manage";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("pipeline_list", VIEW, list)
            .title("List pipelines")
            .about("List the sales pipelines with their stages in order. Deals without a pipeline of their own go into the default one.")
            .synonyms("sales funnel boards lejki sprzedaży lejek etapy lista воронки продажів воронка список"),
        Tool::read("pipeline_show", VIEW, show)
            .title("Show a pipeline")
            .about("Show one sales pipeline with its stages in order.")
            .synonyms("sales funnel board lejek sprzedaży pokaż воронка продажів показати"),
        Tool::create("pipeline_create", MANAGE, create)
            .title("Create a pipeline")
            .about("Create a sales pipeline without stages; add them with pipeline_stage_create. is_default takes the place of the former default one.")
            .synonyms("new sales funnel utwórz lejek sprzedaży nowy створити воронку продажів"),
        Tool::update("pipeline_update", MANAGE, update)
            .on(&PIPELINES)
            .title("Change a pipeline")
            .about("Change the given fields of a sales pipeline and leave the rest.")
            .synonyms("rename sales funnel default zmień lejek sprzedaży domyślny змінити воронку продажів"),
        Tool::update("pipeline_replace", MANAGE, replace)
            .on(&PIPELINES)
            .destructive()
            .title("Replace a pipeline's data")
            .about("Replace the data of a sales pipeline as a whole: what is left out goes back to its default. Its stages stay.")
            .synonyms("overwrite put sales funnel zastąp lejek sprzedaży замінити воронку"),
        family::delete("pipeline_delete", MANAGE, &PIPELINES)
            .title("Delete a pipeline")
            .about("Delete a sales pipeline with its stages. Refused while deals are in it.")
            .synonyms("remove sales funnel usuń lejek sprzedaży видалити воронку продажів"),
    ]
}

pub(crate) static PIPELINES: Table = Table::new(
    "pipelines",
    "pipeline",
    "A way by which deals are won.",
    &[
        Column::text("code", "Short name, unique.").max(64).required().search(),
        Column::text("name", "Name.").required().search(),
        Column::flag("is_default", "Whether deals go into it that name no pipeline. One at most."),
        Column::count("rotten_days", 1, 3650, "After how many days without a move a deal counts as rotten.")
            .default("30"),
        Column::json("metadata", "Anything else.").default("{}"),
    ],
)
.tenant_wide()
.rule(rule);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if let Some(code) = draft.values.text("code").map(str::to_owned) {
            let own = draft.before.map(|before| before.id);
            if taken(ctx, &PIPELINES, &code, own, |_| ()).await? {
                return Err(Error::invalid(
                    "/code",
                    format!("there is a pipeline {code} already; choose another code"),
                ));
            }
        }
        let becomes_default = draft.values.get("is_default") == Some(&Val::Bool(true));
        if becomes_default && !draft.before.is_some_and(|before| before.flag("is_default")) {
            // Two that become the default one at once come one after the other, also where there was none.
            ctx.hold(Tenant::TABLE, ctx.tenant_id()).await?;
            let mut sql = ctx.from(&PIPELINES);
            sql.push(" AND is_default");
            if let Some(former) = ctx.first(&PIPELINES, sql).await? {
                ctx.update(&former, Values::new().with("is_default", false)).await?;
            }
        }
        Ok(())
    })
}

/// Whether another row of a table has this code.
pub(crate) async fn taken(
    ctx: &mut Ctx,
    table: &'static Table,
    code: &str,
    own: Option<Uuid>,
    among: impl FnOnce(&mut Sql),
) -> Result<bool> {
    let mut sql = ctx.select("1", table);
    sql.and_eq("code", code);
    among(&mut sql);
    if let Some(own) = own {
        sql.push(" AND id <> ").bind(own);
    }
    ctx.exists(sql).await
}

/// The pipeline of deals that name none.
pub(crate) async fn default(ctx: &mut Ctx) -> Result<Option<Record>> {
    let mut sql = ctx.from(&PIPELINES);
    sql.push(" AND is_default");
    Ok(ctx.records(&PIPELINES, &sql).await?.into_iter().next())
}

/// The usual stages (iblai): code, name, probability.
const SEEDED: &[(&str, &str, i64)] = &[
    ("new", "New", 10),
    ("qualified", "Qualified", 25),
    ("proposal", "Proposal", 50),
    ("negotiation", "Negotiation", 75),
    ("won", "Won", 100),
    ("lost", "Lost", 0),
];

/// Gives a tenant without pipelines its first one.
pub(crate) async fn seed(ctx: &mut Ctx) -> Result<()> {
    let sql = ctx.select("1", &PIPELINES);
    if ctx.exists(sql).await? {
        return Ok(());
    }
    let values = Values::new().with("code", "sales").with("name", "Sales").with("is_default", true);
    let pipeline = family::save_new(ctx, &PIPELINES, values).await?;
    for (code, name, probability) in SEEDED {
        let values = Values::new()
            .with("pipeline_id", pipeline.id)
            .with("code", *code)
            .with("name", *name)
            .with("probability", *probability)
            .with("is_won", *code == "won")
            .with("is_lost", *code == "lost");
        family::save_new(ctx, &pipeline_stage::PIPELINE_STAGES, values).await?;
    }
    Ok(())
}

#[derive(Debug, Serialize, JsonSchema)]
struct PipelineView {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// Short name.
    code: String,
    /// Name.
    name: String,
    /// Whether deals go into it that name no pipeline.
    is_default: bool,
    /// After how many days without a move a deal counts as rotten.
    rotten_days: i64,
    /// Anything else.
    metadata: AnyJson,
    /// Its stages, in order.
    stages: Vec<StageView>,
    /// Grows with every change; see expected_version.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

async fn views(ctx: &mut Ctx, pipelines: &[Record]) -> Result<Vec<PipelineView>> {
    let mut stages: HashMap<Uuid, Vec<StageView>> = HashMap::new();
    if !pipelines.is_empty() {
        let mut sql = ctx.from(&pipeline_stage::PIPELINE_STAGES);
        sql.and_in("pipeline_id", pipelines.iter().map(|pipeline| pipeline.id)).push(" ORDER BY sort_order, num");
        for stage in ctx.records(&pipeline_stage::PIPELINE_STAGES, &sql).await? {
            stages.entry(stage.get("pipeline_id")?).or_default().push(StageView::of(&stage)?);
        }
    }
    let view = |pipeline: &Record| {
        Ok(PipelineView {
            id: pipeline.id,
            num: pipeline.num,
            code: pipeline.get("code")?,
            name: pipeline.get("name")?,
            is_default: pipeline.flag("is_default"),
            rotten_days: pipeline.get("rotten_days")?,
            metadata: AnyJson(pipeline.get("metadata")?),
            stages: stages.remove(&pipeline.id).unwrap_or_default(),
            version: pipeline.version,
            created_at: pipeline.created_at,
            updated_at: pipeline.updated_at,
        })
    };
    pipelines.iter().map(view).collect()
}

async fn one(ctx: &mut Ctx, pipeline: Record) -> Result<PipelineView> {
    views(ctx, &[pipeline]).await?.pop().ok_or_else(|| Error::internal("a pipeline was not shown"))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Words to find in code and name.
    #[serde(alias = "search")]
    #[schemars(length(max = 1024))]
    q: Option<String>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 unless given.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<PipelineView>> {
    let (page, page_size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    let filter = |sql: &mut Sql| {
        if let Some(words) = &input.q {
            sql.and_contains(words);
        }
    };
    let mut counted = ctx.select("1", &PIPELINES);
    filter(&mut counted);
    let mut rows = ctx.from(&PIPELINES);
    filter(&mut rows);
    rows.push(" ORDER BY num");
    let Page { items, total, total_is_exact, page, page_size, total_pages } =
        page::fetch(ctx, &PIPELINES, page::Query { rows, counted, page, page_size }).await?;
    let items = views(ctx, &items).await?;
    Ok(Page { items, total, total_is_exact, page, page_size, total_pages })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowInput {
    /// The pipeline.
    id: Id<Pipeline>,
}

async fn show(ctx: &mut Ctx, input: ShowInput) -> Result<PipelineView> {
    let pipeline = ctx.fetch(input.id).await?;
    one(ctx, pipeline).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// Name.
    #[schemars(length(max = 255))]
    name: String,
    /// Short name, unique; made of the name unless given.
    #[serde(default)]
    #[schemars(length(max = 64))]
    code: Patch<String>,
    /// Whether deals go into it that name no pipeline.
    #[serde(default)]
    is_default: Patch<bool>,
    /// After how many days without a move a deal counts as rotten, 30 unless given.
    #[serde(default)]
    rotten_days: Patch<i64>,
    /// Anything else.
    #[serde(default)]
    metadata: Patch<AnyJson>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChangeInput {
    /// Pipeline to change.
    id: Id<Pipeline>,
    /// Name.
    #[serde(default)]
    #[schemars(length(max = 255))]
    name: Patch<String>,
    /// Short name, unique.
    #[serde(default)]
    #[schemars(length(max = 64))]
    code: Patch<String>,
    /// Whether deals go into it that name no pipeline.
    #[serde(default)]
    is_default: Patch<bool>,
    /// After how many days without a move a deal counts as rotten.
    #[serde(default)]
    rotten_days: Patch<i64>,
    /// Anything else.
    #[serde(default)]
    metadata: Patch<AnyJson>,
}

impl ChangeInput {
    fn values(self, mode: Mode) -> Result<Values> {
        let mut form = Form::new(&PIPELINES, mode);
        // A short name is for good once others use it: a replacement that leaves it out keeps it.
        if self.code != Patch::Absent {
            form.put("code", "code", self.code)?;
        }
        form.put("name", "name", self.name)?;
        form.put("is_default", "is_default", self.is_default)?;
        form.put("rotten_days", "rotten_days", self.rotten_days)?;
        form.put("metadata", "metadata", self.metadata)?;
        form.finish()
    }
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<PipelineView> {
    let mut form = Form::new(&PIPELINES, Mode::Create);
    let code = match input.code {
        Patch::Set(code) => code,
        _ => slug_of(&input.name, "pipeline"),
    };
    form.put("code", "code", Patch::Set(code))?;
    form.put("name", "name", Patch::Set(input.name))?;
    form.put("is_default", "is_default", input.is_default)?;
    form.put("rotten_days", "rotten_days", input.rotten_days)?;
    form.put("metadata", "metadata", input.metadata)?;
    // Two at once want the same code, or to be the default one: the next attempt finds the other.
    let pipeline = family::save_new(ctx, &PIPELINES, form.finish()?).await.map_err(Error::lost_race)?;
    one(ctx, pipeline).await
}

async fn update(ctx: &mut Ctx, input: ChangeInput) -> Result<PipelineView> {
    change(ctx, Mode::Update, input).await
}

async fn replace(ctx: &mut Ctx, input: ChangeInput) -> Result<PipelineView> {
    change(ctx, Mode::Replace, input).await
}

async fn change(ctx: &mut Ctx, mode: Mode, input: ChangeInput) -> Result<PipelineView> {
    let before = ctx.fetch(input.id).await?;
    let values = input.values(mode)?;
    let pipeline = family::save(ctx, &before, values).await.map_err(Error::lost_race)?;
    one(ctx, pipeline).await
}
