//! The access log: who looked at which record.

use bureau_kit::prelude::*;
use bureau_kit::value::Row;

use super::VIEW_OWN;
use super::filter::{Filter, Wanted};
use crate::organizations::Organization;
use crate::sessions::Session;
use crate::users::User;

pub(super) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("access_log_list", VIEW_OWN, list)
            .title("List who looked at what")
            .about(
                "List the single records that were looked at, newest first: who, by which tool, in which session, through which \
                 client, when. Your own looks; with audit_logs.view_tenant everyone's. Pages of lists are not in it. Kept for 90 \
                 days; action_log_list has what was changed.",
            )
            .synonyms(
                "audit reads viewed seen privacy gdpr who looked at this client customer record dostęp odczyt podgląd kto oglądał rodo доступ перегляд читання \
                 хто дивився",
            ),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Only what this user looked at; others' needs audit_logs.view_tenant.
    actor_user_id: Option<Id<User>>,
    /// Only what was looked at in this session.
    session_id: Option<Id<Session>>,
    /// Only records of this organization.
    organization_id: Option<Id<Organization>>,
    /// Only looks by this tool, such as person_show.
    tool: Option<String>,
    /// Only this kind of record, such as contract.
    resource_kind: Option<String>,
    /// Only this record, by UUID.
    resource_id: Option<String>,
    /// Only this kind of look, such as read.
    access_type: Option<String>,
    /// Only what came in this way: stdio, http, rpc, cli.
    transport: Option<String>,
    /// Only what came from the client that calls itself so.
    client: Option<String>,
    /// Only before this instant.
    before: Option<Instant>,
    /// Only after this instant.
    after: Option<Instant>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 when left out.
    #[serde(alias = "limit")]
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct AccessRow {
    /// UUID of the entry.
    id: String,
    /// Kind of the record.
    resource_kind: String,
    /// UUID of the record.
    resource_id: String,
    /// What was done with it: read.
    access_type: String,
    /// UUID of the user or key who looked.
    actor_user_id: String,
    /// Who looked.
    actor_user_name: String,
    /// UUID of your company.
    tenant_id: String,
    /// Name of your company.
    tenant_name: String,
    /// Organization of the record.
    organization_id: Option<String>,
    /// Name of that organization.
    organization_name: Option<String>,
    /// Fields that a look at such a record shows.
    fields: Vec<String>,
    /// How it was looked at.
    context: Context,
    /// When.
    created_at: Instant,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Context {
    /// The tool that was called.
    tool: String,
    /// Session it was called in.
    session_id: Option<String>,
    /// How the call came in: stdio, http, rpc, cli.
    transport: String,
    /// What the client called itself.
    client: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct AccessPage {
    /// The entries of this page, newest first.
    items: Vec<AccessRow>,
    /// How many there are in all; see total_is_exact.
    total: i64,
    /// False when there are more than the 10000 that are counted.
    total_is_exact: bool,
    /// This page, from 1.
    page: i64,
    /// Rows on a page.
    page_size: i64,
    /// How many pages the total makes.
    total_pages: i64,
    /// Whether you see everyone's looks or your own only.
    can_view_tenant: bool,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<AccessPage> {
    let (page, size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    ctx.catch_up_with_reads().await?;
    let wanted = Wanted {
        actor_user_id: input.actor_user_id,
        session_id: input.session_id,
        organization_id: input.organization_id,
        tool: input.tool,
        resource_kind: input.resource_kind,
        resource_id: input.resource_id,
        transport: input.transport,
        client: input.client,
        before: input.before,
        after: input.after,
    };
    let filter = Filter::of(ctx, wanted).await?;
    let append = |ctx: &Ctx, sql: &mut Sql| {
        filter.append(ctx, sql);
        filter.append_resource(sql);
        if let Some(kind) = &input.access_type {
            sql.and_eq("access_type", kind.as_str());
        }
    };
    let mut counted = Sql::new("SELECT 1 FROM access_logs WHERE tenant_id = ");
    append(ctx, &mut counted);
    let total = ctx.count_up_to(page::COUNT_LIMIT.saturating_add(1), counted).await?;
    let mut sql = Sql::new(
        "SELECT id, resource_kind, resource_id, access_type, actor_id, actor_label, organization_id, tool, session_id, \
         transport, client, created_at, \
         (SELECT name FROM organizations WHERE organizations.id = access_logs.organization_id AND \
         organizations.tenant_id = access_logs.tenant_id) FROM access_logs WHERE tenant_id = ",
    );
    append(ctx, &mut sql);
    sql.push(" ORDER BY created_at DESC, id DESC LIMIT ").bind(size);
    sql.push(" OFFSET ").bind(page.saturating_sub(1).saturating_mul(size));
    let tenant = Sql::with("SELECT name FROM tenants WHERE id = $1", [ctx.tenant_id().into()]);
    let tenant: String = ctx.rows(&tenant).await?.first().map_or(Ok(String::new()), |row| row.get(0))?;
    let rows = ctx.rows(&sql).await?;
    let items = rows.iter().map(|row| access_row(ctx, row, &tenant)).collect::<Result<Vec<_>>>()?;
    let Page { items, total, total_is_exact, page, page_size, total_pages } = Page::new(items, total, page, size);
    let can_view_tenant = filter.can_view_tenant;
    Ok(AccessPage { items, total, total_is_exact, page, page_size, total_pages, can_view_tenant })
}

fn access_row(ctx: &Ctx, row: &Row, tenant: &str) -> Result<AccessRow> {
    let text_id = |index: usize| Ok::<_, Error>(row.get::<Option<Uuid>>(index)?.map(|id| id.to_string()));
    let kind: String = row.get(1)?;
    let table = ctx.bureau().registry.table_of(&kind);
    Ok(AccessRow {
        id: row.get::<Uuid>(0)?.to_string(),
        fields: table.map(|table| table.shown().map(|column| column.name.to_owned()).collect()).unwrap_or_default(),
        resource_kind: kind,
        resource_id: row.get::<Uuid>(2)?.to_string(),
        access_type: row.get(3)?,
        actor_user_id: row.get::<Uuid>(4)?.to_string(),
        actor_user_name: row.get(5)?,
        tenant_id: ctx.tenant_id().to_string(),
        tenant_name: tenant.to_owned(),
        organization_id: text_id(6)?,
        organization_name: row.get(12)?,
        context: Context { tool: row.get(7)?, session_id: text_id(8)?, transport: row.get(9)?, client: row.get(10)? },
        created_at: row.get(11)?,
    })
}
