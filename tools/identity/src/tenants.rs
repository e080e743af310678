//! Tenants: the companies that share an installation. Seen and made by super administrators only; what a company says of
//! itself is in `account`.

use bureau_kit::installation::Seed;
use bureau_kit::prelude::*;
use bureau_kit::text::contains_pattern;

use crate::account::LOCALES;
use crate::founding::{self, NewOwner, NewTenant, Raised};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("tenant_list", VIEW, list)
            .title("List tenants")
            .about(
                "List the companies of this installation, switched-off ones included. For administrators of the installation. \
                 What the own company says of itself is account_show.",
            )
            .synonyms("companies accounts installation dzierżawcy firmy konta орендарі компанії"),
        Tool::create("tenant_create", MANAGE, create)
            .irreversible("a tenant stands above any journal; tenant_delete switches it off again")
            .shown_once("owner_token")
            .title("Create a tenant")
            .about(
                "Found another company on this installation, with its first organization, the built-in roles and, when \
                 owner_email is given, its owner. The answer shows a key of the owner once: pass it on.",
            )
            .synonyms("new company found account załóż firmę dzierżawcę створити компанію"),
        Tool::update("tenant_update", MANAGE, update)
            .on(&TENANTS)
            .irreversible("a tenant stands above any journal; call it again with what was there before")
            .title("Change a tenant")
            .about(
                "Rename a company, change its short name, or switch it off and on by is_active. Switched off, all its users are \
                 out at their next call, and nothing of it is lost. Your own cannot be switched off.",
            )
            .synonyms("rename company activate zmień firmę włącz змінити компанію увімкнути"),
        Tool::delete("tenant_delete", MANAGE, delete)
            .on(&TENANTS)
            .irreversible("all users of the tenant are out at once; tenant_update with is_active true lets them in again")
            .title("Delete a tenant")
            .about(
                "Switch a company off: its users are out at their next call, its records stay. Refused for your own. \
                 tenant_update with is_active true brings it back.",
            )
            .synonyms("remove company deactivate usuń firmę wyłącz видалити компанію вимкнути"),
        Tool::read("tenant_lookup", "", lookup)
            .public()
            .title("Look up a tenant")
            .about(
                "Answer the name of the company with this UUID, for a sign-in page. Needs no token, and finds nothing by name. \
                 Next is session_login.",
            )
            .synonyms("company name sign-in znajdź firmę logowanie знайти компанію"),
    ]
}

const VIEW: &str = "directory.tenants.view";
const MANAGE: &str = "directory.tenants.manage";

/// A tenant.
#[derive(Debug)]
pub struct Tenant;
impl Kind for Tenant {
    const TABLE: &'static Table = &TENANTS;
}

/// A row's tenant is the row itself. Every change voids cached rights, since a tenant that is off lets nobody in.
pub(crate) static TENANTS: Table = Table::new(
    "tenants",
    "tenant",
    "A company on this installation.",
    &[
        Column::text("name", "Name of the company.").max(200).required(),
        // Searched instead of the name; never shown, since it says nothing new.
        Column::text("name_folded", "Name without case and diacritics.").required().hidden(),
        Column::text("slug", "Short name, unique in the installation.").max(63).required(),
        Column::text("description", "What the company does.").max(2000),
        Column::text("timezone", "Time zone, such as Europe/Warsaw.").max(64).default("\"UTC\""),
        Column::choice("locale", LOCALES, "Language.").default("\"en\""),
        Column::flag("is_active", "Whether its users may act.").default("true"),
    ],
)
.unnumbered()
.tenant_wide()
.deciding_rights();

/// A tenant as tools of the installation show it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TenantRow {
    /// UUID of the tenant.
    id: String,
    /// Name.
    name: String,
    /// Short name, unique in the installation.
    slug: String,
    /// Whether its users may act.
    is_active: bool,
    /// Grows with every change.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

impl TenantRow {
    fn of(tenant: &Record) -> Self {
        Self {
            id: tenant.id.to_string(),
            name: tenant.text("name").to_owned(),
            slug: tenant.text("slug").to_owned(),
            is_active: tenant.flag("is_active"),
            version: tenant.version,
            created_at: tenant.created_at,
            updated_at: tenant.updated_at,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    /// By name.
    #[default]
    Name,
    /// By the time of founding.
    #[serde(alias = "createdAt")]
    CreatedAt,
    /// By the time of the last change.
    #[serde(alias = "updatedAt")]
    UpdatedAt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// Smallest or oldest first.
    #[default]
    Asc,
    /// Largest or newest first.
    Desc,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Only the tenant with this UUID.
    id: Option<Id<Tenant>>,
    /// Words to find in the name, whatever the case and diacritics.
    #[serde(alias = "search")]
    q: Option<String>,
    /// Only tenants that are switched on, or only those that are off.
    #[serde(alias = "isActive")]
    is_active: Option<bool>,
    /// What to sort by; name when left out.
    #[serde(default, alias = "sortField", alias = "sort_field")]
    sort: Sort,
    /// Direction of the sort; asc when left out.
    #[serde(default, alias = "sortDir", alias = "sort_dir")]
    order: Order,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 when left out.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<TenantRow>> {
    let (page, size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    let filtered = |mut sql: Sql| {
        match input.id.map(Id::key) {
            None => {}
            Some(Key::Uuid(id)) => drop(sql.and_eq("id", id)),
            // Tenants are not counted.
            Some(Key::Num(_)) => drop(sql.push(" AND FALSE")),
        }
        if let Some(is_active) = input.is_active {
            sql.and_eq("is_active", is_active);
        }
        if let Some(words) = input.q.as_deref().filter(|words| !words.trim().is_empty()) {
            sql.push(" AND name_folded LIKE ").bind(contains_pattern(words)).push(" ESCAPE '\\'");
        }
        sql
    };
    let counted = filtered(Sql::new("SELECT 1 FROM tenants WHERE TRUE"));
    let mut sql =
        filtered(Sql::new("SELECT id, name, slug, is_active, version, created_at, updated_at FROM tenants WHERE TRUE"));
    let column = match input.sort {
        Sort::Name => "name",
        Sort::CreatedAt => "created_at",
        Sort::UpdatedAt => "updated_at",
    };
    page::order(&mut sql, column, false, input.order == Order::Desc);
    sql.push(" LIMIT ").bind(size).push(" OFFSET ").bind(page.saturating_sub(1).saturating_mul(size));
    let mut items = Vec::new();
    for row in ctx.rows(&sql).await? {
        items.push(TenantRow {
            id: row.get::<Uuid>(0)?.to_string(),
            name: row.get(1)?,
            slug: row.get(2)?,
            is_active: row.get(3)?,
            version: row.get(4)?,
            created_at: row.get(5)?,
            updated_at: row.get(6)?,
        });
    }
    let total = ctx.count_up_to(page::COUNT_LIMIT.saturating_add(1), counted).await?;
    Ok(Page::new(items, total, page, size))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// Name of the company, also of its first organization.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// Short name of small Latin letters, digits and hyphens; made from the name when left out.
    #[serde(alias = "prefix")]
    slug: Option<String>,
    /// Whether its users may act; true when left out.
    #[serde(alias = "isActive")]
    is_active: Option<bool>,
    /// E-mail address of its owner; no user is made without it.
    #[serde(alias = "ownerEmail")]
    owner_email: Option<Email>,
    /// Name of its owner.
    #[serde(alias = "ownerName")]
    #[schemars(length(max = 200))]
    owner_name: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Created {
    #[serde(flatten)]
    tenant: TenantRow,
    /// UUID of the owner; null when none was asked for.
    owner_id: Option<String>,
    /// A key of the owner, shown this once: pass it on. Null when no owner was asked for.
    owner_token: Option<String>,
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Created> {
    let name = founding::tenant_name("/name", &input.name)?;
    if input.owner_name.is_some() && input.owner_email.is_none() {
        return Err(Error::invalid("/owner_email", "is required with owner_name"));
    }
    let slug = match input.slug.as_deref() {
        Some(slug) => Some(free_slug(ctx, "/slug", slug, None).await?),
        None => None,
    };
    let owner =
        input.owner_email.map(|email| NewOwner { name: input.owner_name.unwrap_or_default(), ..NewOwner::of(email) });
    let wanted = NewTenant { slug, is_active: input.is_active.unwrap_or(true), owner, ..NewTenant::called(name) };
    let (Raised { tenant, owner }, owner_token) = found(ctx, wanted, true).await?;
    Ok(Created { tenant: TenantRow::of(&tenant), owner_id: owner.map(|owner| owner.id.to_string()), owner_token })
}

/// Founds a tenant inside the present call, with a key for its owner when that is wanted.
pub(crate) async fn found(ctx: &mut Ctx, wanted: NewTenant, with_key: bool) -> Result<(Raised, Option<String>)> {
    let seed: Option<Seed> = ctx.bureau().installation.seed();
    let id = ctx.new_id();
    let founded = ctx.in_tenant(id, move |ctx| {
        Box::pin(async move {
            let raised = founding::raise(ctx, wanted, seed).await?;
            let key = match &raised.owner {
                Some(owner) if with_key => Some(founding::owners_key(ctx, owner.id).await?),
                _ => None,
            };
            Ok((raised, key))
        })
    });
    // Only the short name can clash in a tenant that is new: another one took it meanwhile, and the next look finds it.
    founded.await.map_err(Error::lost_race)
}

/// A short name as a caller gives it, when it can be had.
pub(crate) async fn free_slug(ctx: &mut Ctx, path: &str, text: &str, own: Option<Uuid>) -> Result<String> {
    let slug = text.trim().to_lowercase();
    let fits = (2..=63).contains(&slug.len())
        && slug.bytes().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-')
        && !slug.starts_with('-')
        && !slug.ends_with('-');
    if !fits {
        return Err(Error::invalid(
            path,
            "expected 2 to 63 small Latin letters, digits and hyphens, without a hyphen at either end",
        ));
    }
    let sql = Sql::with("SELECT id FROM tenants WHERE slug = $1", [slug.as_str().into()]);
    let taken: Option<Uuid> = ctx.rows(&sql).await?.first().map(|row| row.get(0)).transpose()?;
    match taken {
        Some(taken) if Some(taken) != own => {
            Err(Error::conflict(format!("The short name {slug} is taken. Choose another.")).with("columns", "slug"))
        }
        _ => Ok(slug),
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// UUID of the tenant.
    id: Id<Tenant>,
    /// New name.
    #[schemars(length(min = 1, max = 200))]
    name: Option<String>,
    /// New short name of small Latin letters, digits and hyphens.
    #[serde(alias = "prefix")]
    slug: Option<String>,
    /// Whether its users may act.
    #[serde(alias = "isActive")]
    is_active: Option<bool>,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<TenantRow> {
    let mut values = Values::new();
    if let Some(name) = &input.name {
        let name = founding::tenant_name("/name", name)?;
        values.set("name_folded", fold(&name)).set("name", name);
    }
    if let Some(slug) = &input.slug {
        let own = match input.id.key() {
            Key::Uuid(id) => Some(id),
            Key::Num(_) => None,
        };
        values.set("slug", free_slug(ctx, "/slug", slug, own).await?);
    }
    if let Some(is_active) = input.is_active {
        values.set("is_active", is_active);
    }
    Ok(TenantRow::of(&change(ctx, input.id, values).await?))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteInput {
    /// UUID of the tenant.
    id: Id<Tenant>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    /// Always true.
    ok: bool,
    /// The tenant, switched off.
    tenant: TenantRow,
}

async fn delete(ctx: &mut Ctx, input: DeleteInput) -> Result<Deleted> {
    let tenant = change(ctx, input.id, Values::new().with("is_active", false)).await?;
    Ok(Deleted { ok: true, tenant: TenantRow::of(&tenant) })
}

/// Changes a tenant from the place of the caller, which stays switched on: else nobody might be left to switch it on again.
async fn change(ctx: &mut Ctx, id: Id<Tenant>, values: Values) -> Result<Record> {
    let (own, key) = (ctx.tenant_id(), id.key());
    let Key::Uuid(tenant) = key else { return Err(Error::not_found(TENANTS.noun, key)) };
    if values.get("is_active") == Some(&Val::Bool(false)) {
        if tenant == own {
            return Err(Error::impossible_state(
                "This is your own tenant, and nobody could switch it on again from here. Have an administrator in another \
                 tenant do it.",
            ));
        }
        // Held until the end: two administrators of two tenants cannot switch each other off.
        if !ctx.hold(&TENANTS, own).await?.flag("is_active") {
            return Err(Error::forbidden("Your own tenant was switched off meanwhile."));
        }
    }
    ctx.in_tenant(tenant, move |ctx| {
        Box::pin(async move {
            let before = ctx.fetch(id).await?;
            ctx.update(&before, values).await
        })
    })
    .await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LookupInput {
    /// UUID of the tenant.
    #[serde(alias = "tenant", alias = "tenantId")]
    tenant_id: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Lookup {
    /// Always true.
    ok: bool,
    /// The tenant.
    tenant: TenantName,
}

/// What everyone may know of a tenant, and a switcher shows.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TenantName {
    /// UUID of the tenant.
    pub(crate) id: String,
    /// Name.
    pub(crate) name: String,
}

async fn lookup(ctx: &mut Ctx, input: LookupInput) -> Result<Lookup> {
    let id = Uuid::try_parse(input.tenant_id.trim())
        .map_err(|_| Error::invalid("/tenant_id", "expected the UUID of a tenant"))?;
    let sql = Sql::with("SELECT name FROM tenants WHERE id = $1 AND is_active", [id.into()]);
    let found = ctx.rows(&sql).await?;
    let row = found.first().ok_or_else(|| {
        Error::missing("There is no such tenant, or it is switched off. Check the UUID with whoever gave it to you.")
    })?;
    Ok(Lookup { ok: true, tenant: TenantName { id: id.to_string(), name: row.get(0)? } })
}

/// Names of all tenants that are switched on, for those who administer the installation.
pub(crate) async fn names(ctx: &mut Ctx) -> Result<Vec<TenantName>> {
    let sql = Sql::new("SELECT id, name FROM tenants WHERE is_active ORDER BY name, id LIMIT 1000");
    let rows = ctx.rows(&sql).await?;
    rows.iter().map(|row| Ok(TenantName { id: row.get::<Uuid>(0)?.to_string(), name: row.get(1)? })).collect()
}

/// The UUID and name of the tenant that a tool of the installation acts for: the caller's, unless another is named.
pub(crate) async fn meant(ctx: &mut Ctx, wanted: Option<Id<Tenant>>) -> Result<(Uuid, String)> {
    let id = match wanted.map(Id::key) {
        None => ctx.tenant_id(),
        Some(Key::Uuid(id)) => id,
        Some(Key::Num(num)) => return Err(Error::invalid("/tenant_id", TENANTS.missing(Key::Num(num)))),
    };
    let sql = Sql::with("SELECT name FROM tenants WHERE id = $1", [id.into()]);
    let found = ctx.rows(&sql).await?;
    let row = found.first().ok_or_else(|| Error::invalid("/tenant_id", TENANTS.missing(Key::Uuid(id))))?;
    Ok((id, row.get(0)?))
}
