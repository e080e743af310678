//! Lists of deals: what they are filtered and sorted by.

use bureau_identity::User;
use bureau_kit::prelude::*;

use crate::deal::DEALS;
use crate::deal_view::{self, DealView};
use crate::list::{Order, key_of};
use crate::party::PARTIES;
use crate::{Deal, LeadSource, Party, Pipeline, PipelineStage};

/// What a list of deals is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    #[serde(alias = "name")]
    Title,
    #[serde(alias = "value_amount", alias = "lead_value", alias = "total_amount_net")]
    ValueNet,
    #[serde(alias = "expected_close_date", alias = "expectedCloseAt", alias = "expected_close_at")]
    ExpectedClose,
    MainDate,
    #[serde(alias = "createdAt")]
    CreatedAt,
    #[serde(alias = "updatedAt")]
    UpdatedAt,
    Num,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListInput {
    /// Words to find in title and numbers.
    #[serde(alias = "search")]
    #[schemars(length(max = 1024))]
    q: Option<String>,
    /// Only with this status: open, won, lost, …
    status: Option<String>,
    /// Only in this pipeline.
    #[serde(alias = "pipeline_id")]
    pipeline: Option<Id<Pipeline>>,
    /// Only in this stage.
    #[serde(alias = "stage_id", alias = "status_id")]
    stage: Option<Id<PipelineStage>>,
    /// Only in stages with this code.
    #[serde(alias = "pipelineStage", alias = "stage_code")]
    pipeline_stage: Option<String>,
    /// Only those of this user in charge.
    #[serde(alias = "owner_id", alias = "responsible_id")]
    owner: Option<Id<User>>,
    /// Only with this person.
    #[serde(alias = "personEntityId", alias = "person_id", alias = "contact_id")]
    person: Option<Id<Party>>,
    /// Only with this company.
    #[serde(alias = "companyEntityId", alias = "company_id", alias = "company")]
    organization: Option<Id<Party>>,
    /// Only with this client, person or company.
    client_id: Option<Id<Party>>,
    /// Only from this lead source.
    source_id: Option<Id<LeadSource>>,
    /// Only from this source, in words.
    source: Option<String>,
    /// Only of this department.
    #[schemars(with = "Option<String>", extend("x-record" = "groups"))]
    department_id: Option<Key>,
    /// Only of this project.
    #[schemars(with = "Option<String>", extend("x-record" = "projects"))]
    project_id: Option<Key>,
    /// Net value from this amount.
    value_from: Option<Money>,
    /// Net value up to this amount.
    value_to: Option<Money>,
    /// Gross value from this amount.
    total_amount_gross_from: Option<Money>,
    /// Gross value up to this amount.
    total_amount_gross_to: Option<Money>,
    /// Expected to be closed on or after this day.
    #[serde(alias = "expected_close_date__gte")]
    expected_close_from: Option<Date>,
    /// Expected to be closed on or before this day.
    #[serde(alias = "expected_close_date__lte")]
    expected_close_to: Option<Date>,
    /// Date on or after this day.
    main_date_from: Option<Date>,
    /// Date on or before this day.
    main_date_to: Option<Date>,
    /// Only with at least one of these tags.
    #[serde(alias = "tag_ids")]
    tags: Option<Vec<Id<crate::Tag>>>,
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

pub(crate) async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<DealView>> {
    let (page, page_size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    let named = |name: &'static str| {
        move |ctx: &Ctx| ctx.bureau().registry.table(name).ok_or_else(|| Error::internal(format!("no table {name}")))
    };
    let (departments, projects) = (named("groups")(ctx)?, named("projects")(ctx)?);
    let references = [
        ("pipeline_id", Pipeline::TABLE, input.pipeline.map(Id::key)),
        ("stage_id", PipelineStage::TABLE, input.stage.map(Id::key)),
        ("owner_id", User::TABLE, input.owner.map(Id::key)),
        ("source_id", LeadSource::TABLE, input.source_id.map(Id::key)),
        ("department_id", departments, input.department_id),
        ("project_id", projects, input.project_id),
    ];
    let mut ids = Vec::new();
    for (column, table, key) in references {
        if let Some(id) = key_of(ctx, table, key).await? {
            ids.push((column, id));
        }
    }
    let mut parties = Vec::new();
    for (role, key) in [(Some("person"), input.person), (Some("company"), input.organization), (None, input.client_id)]
    {
        if let Some(id) = key_of(ctx, &PARTIES, key.map(Id::key)).await? {
            parties.push((role, id));
        }
    }
    let tenant = ctx.tenant_id();
    let filter = |sql: &mut Sql| {
        for (column, id) in &ids {
            sql.and_eq(column, *id);
        }
        let texts = [("status", &input.status), ("pipeline_stage", &input.pipeline_stage), ("source", &input.source)];
        for (column, text) in texts {
            if let Some(text) = text {
                sql.and_eq(column, text.as_str());
            }
        }
        for (role, id) in &parties {
            sql.push(" AND id IN (SELECT deal_id FROM deal_parties WHERE tenant_id = ").bind(tenant);
            sql.and_eq("party_id", *id);
            if let Some(role) = role {
                sql.and_eq("role", *role);
            }
            sql.push(")");
        }
        let bounds: [(&'static str, Option<Val>); 8] = [
            (" AND value_net >= ", input.value_from.map(Val::from)),
            (" AND value_net <= ", input.value_to.map(Val::from)),
            (" AND value_gross >= ", input.total_amount_gross_from.map(Val::from)),
            (" AND value_gross <= ", input.total_amount_gross_to.map(Val::from)),
            (" AND expected_close >= ", input.expected_close_from.map(Val::from)),
            (" AND expected_close <= ", input.expected_close_to.map(Val::from)),
            (" AND main_date >= ", input.main_date_from.map(Val::from)),
            (" AND main_date <= ", input.main_date_to.map(Val::from)),
        ];
        for (condition, bound) in bounds {
            if let Some(bound) = bound {
                sql.push(condition).bind(bound);
            }
        }
        if let Some(words) = &input.q {
            sql.and_contains(words);
        }
        crate::list::and_tagged(sql, tenant, DEALS.noun, input.tags.as_deref());
    };
    let mut counted = ctx.select("1", &DEALS);
    filter(&mut counted);
    let mut rows = ctx.from(&DEALS);
    filter(&mut rows);
    let sort = input.sort.unwrap_or(Sort::Num);
    let (column, nullable) = match sort {
        Sort::Title => ("title", false),
        Sort::ValueNet => ("value_net", true),
        Sort::ExpectedClose => ("expected_close", true),
        Sort::MainDate => ("main_date", true),
        Sort::CreatedAt => ("created_at", false),
        Sort::UpdatedAt => ("updated_at", false),
        Sort::Num => ("num", false),
    };
    // Newest first by default; by title or day, ascending is what people expect.
    let usual = !matches!(sort, Sort::Title | Sort::ExpectedClose | Sort::MainDate);
    page::order(&mut rows, column, nullable, input.order.map_or(usual, |order| order == Order::Desc));
    let Page { items, total, total_is_exact, page, page_size, total_pages } =
        page::fetch(ctx, &DEALS, page::Query { rows, counted, page, page_size }).await?;
    let items = deal_view::many(ctx, &items).await?;
    Ok(Page { items, total, total_is_exact, page, page_size, total_pages })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowInput {
    /// UUID or number of the deal.
    id: Id<Deal>,
}

pub(crate) async fn show(ctx: &mut Ctx, input: ShowInput) -> Result<DealView> {
    let deal = ctx.fetch(input.id).await?;
    deal_view::one(ctx, deal).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExternalInput {
    /// Id in the other system.
    external_id: String,
    /// Code of the other system; blank unless given.
    #[serde(default)]
    app_code: String,
}

pub(crate) async fn find_external(ctx: &mut Ctx, input: ExternalInput) -> Result<DealView> {
    let mut sql = ctx.select("id", &DEALS);
    sql.and_eq("app_code", input.app_code.trim()).and_eq("external_id", input.external_id.trim());
    let found = ctx.rows(&sql).await?.first().map(|row| row.get::<Uuid>(0)).transpose()?.ok_or_else(|| {
        Error::missing(format!(
            "There is no deal with the external id {}{}. deal_list shows all deals.",
            input.external_id.trim(),
            if input.app_code.is_empty() { String::new() } else { format!(" of {}", input.app_code.trim()) }
        ))
    })?;
    let deal = ctx.fetch_from(&DEALS, found).await?;
    deal_view::one(ctx, deal).await
}
