//! The first start of an installation, and new tenants: what there must be before anyone can call.

use std::sync::Arc;

use bureau_kit::gate::Bureau;
use bureau_kit::prelude::*;

use crate::api_keys::{NewKey, mint_api_key};
use crate::organizations::ORGANIZATIONS;
use crate::roles::ROLES;
use crate::tenants::TENANTS;
use crate::users::USERS;
use crate::{builtin, passwords, upgrades};

/// A tenant to be founded.
#[derive(Debug, Clone)]
pub struct Founding {
    /// Name of the tenant, also of its first organization.
    pub tenant_name: String,
    /// E-mail address of its owner.
    pub owner_email: String,
    /// Name of its owner.
    pub owner_name: String,
    /// What the groups above want every tenant to begin with, stored together with the tenant or not at all.
    pub seed: Seed,
}

pub use bureau_kit::installation::Seed;

/// A tenant that was founded.
#[derive(Debug, Clone)]
pub struct Founded {
    /// The tenant.
    pub tenant_id: Uuid,
    /// Its owner.
    pub owner_id: Uuid,
    /// The owner's API key, to be shown once. It has no end.
    pub token: String,
}

/// Whether there is no tenant yet.
pub async fn is_empty(bureau: &Arc<Bureau>) -> Result<bool> {
    let mut tx = bureau.db.read().await?;
    let empty = tx.query(&Sql::new("SELECT id FROM tenants LIMIT 1")).await?.is_empty();
    tx.commit().await?;
    Ok(empty)
}

/// The first start: founds the tenant unless there is one already, also when two servers start at once on one file.
pub async fn found(bureau: &Arc<Bureau>, request: Founding) -> Result<Option<Founded>> {
    if !is_empty(bureau).await? {
        return Ok(None);
    }
    match start(bureau, request, true).await {
        // On PostgreSQL two servers can both see no tenant; the unique slug then lets one of them through.
        Err(error) if error.code() == Code::Conflict && !is_empty(bureau).await? => Ok(None),
        outcome => outcome,
    }
}

/// Founds a tenant: its organization, the built-in roles, the owner, and a key for the owner.
pub async fn found_tenant(bureau: &Arc<Bureau>, request: Founding) -> Result<Founded> {
    let founded = start(bureau, request, false).await?;
    founded.ok_or_else(|| Error::internal("founding a tenant gave none"))
}

async fn start(bureau: &Arc<Bureau>, request: Founding, only_first: bool) -> Result<Option<Founded>> {
    let email = Email::parse(&request.owner_email).map_err(|message| Error::invalid("/owner_email", message))?;
    let name = tenant_name("/tenant_name", &request.tenant_name)?;
    // The owner of the first tenant administers the installation too.
    let owner = NewOwner { name: request.owner_name, is_super_admin: only_first, ..NewOwner::of(email) };
    let wanted = NewTenant { owner: Some(owner), ..NewTenant::called(name) };
    let tenant_id = bureau.ids.next(bureau.clock.now());
    bureau
        .as_system(tenant_id, None, "founding", move |ctx| {
            Box::pin(async move {
                if only_first && !ctx.rows(&Sql::new("SELECT id FROM tenants LIMIT 1")).await?.is_empty() {
                    return Ok(None);
                }
                let raised = raise(ctx, wanted, Some(request.seed)).await?;
                let owner = raised.owner.ok_or_else(|| Error::internal("a tenant was founded without its owner"))?;
                let token = owners_key(ctx, owner.id).await?;
                Ok(Some(Founded { tenant_id, owner_id: owner.id, token }))
            })
        })
        .await
}

/// A tenant as it is to be made.
#[derive(Debug)]
pub(crate) struct NewTenant {
    pub(crate) name: String,
    /// Made from the name when nobody says.
    pub(crate) slug: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) timezone: Option<String>,
    pub(crate) locale: Option<String>,
    pub(crate) is_active: bool,
    pub(crate) owner: Option<NewOwner>,
}

impl NewTenant {
    pub(crate) fn called(name: String) -> Self {
        Self { name, slug: None, description: None, timezone: None, locale: None, is_active: true, owner: None }
    }
}

/// Its owner.
#[derive(Debug)]
pub(crate) struct NewOwner {
    pub(crate) email: Email,
    /// Name as it is shown; made from the other two, or from the address, when empty.
    pub(crate) name: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    /// Hash of the password; without one the owner comes in by a key.
    pub(crate) password_hash: Option<String>,
    pub(crate) is_super_admin: bool,
}

impl NewOwner {
    pub(crate) fn of(email: Email) -> Self {
        let (name, first_name, last_name) = (String::new(), String::new(), String::new());
        Self { email, name, first_name, last_name, password_hash: None, is_super_admin: false }
    }
}

/// A tenant that was made.
#[derive(Debug)]
pub(crate) struct Raised {
    pub(crate) tenant: Record,
    pub(crate) owner: Option<Record>,
}

/// The name of a tenant, also of its first organization.
pub(crate) fn tenant_name(path: &str, text: &str) -> Result<String> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > 200 {
        return Err(Error::invalid(path, "expected text of 1 to 200 characters"));
    }
    Ok(name.to_owned())
}

/// Makes the tenant that this context is in already: the tenant itself, its first organization, the built-in roles, the owner,
/// and what the groups above want to be there.
pub(crate) async fn raise(ctx: &mut Ctx, wanted: NewTenant, seed: Option<Seed>) -> Result<Raised> {
    let slug = match wanted.slug {
        Some(slug) => slug,
        None => free_slug(ctx, &wanted.name).await?,
    };
    let mut values = Values::new()
        .with("name", wanted.name.as_str())
        .with("name_folded", fold(&wanted.name))
        .with("slug", slug)
        .with("description", wanted.description)
        .with("is_active", wanted.is_active);
    for (column, value) in [("timezone", wanted.timezone), ("locale", wanted.locale)] {
        if let Some(value) = value {
            values.set(column, value);
        }
    }
    let tenant = ctx.insert_as(&TENANTS, ctx.tenant_id(), values).await?;
    let organization = ctx.insert(&ORGANIZATIONS, Values::new().with("name", wanted.name)).await?;
    add_roles(ctx).await?;
    let owner = match wanted.owner {
        Some(owner) => Some(add_owner(ctx, organization.id, owner).await?),
        None => None,
    };
    upgrades::note_newest(ctx).await?;
    if let Some(seed) = seed {
        seed(ctx).await?;
    }
    Ok(Raised { tenant, owner })
}

/// A key of the owner, to be shown once. It has no end.
pub(crate) async fn owners_key(ctx: &mut Ctx, owner: Uuid) -> Result<String> {
    let key = NewKey { name: "owner".into(), user_id: Some(owner), ..NewKey::default() };
    Ok(mint_api_key(ctx, key).await?.1)
}

async fn free_slug(ctx: &mut Ctx, name: &str) -> Result<String> {
    let base = slug_of(name);
    for number in 1_u32.. {
        let slug = if number == 1 { base.clone() } else { format!("{base}-{number}") };
        let sql = Sql::with("SELECT id FROM tenants WHERE slug = $1", [slug.as_str().into()]);
        if ctx.rows(&sql).await?.is_empty() {
            return Ok(slug);
        }
    }
    Err(Error::internal("no slug is free"))
}

/// Small Latin letters, digits and single hyphens: what can stand in an address.
fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for letter in fold(name).chars() {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "tenant".to_owned() } else { slug.to_owned() }
}

async fn add_roles(ctx: &mut Ctx) -> Result<()> {
    let bureau = ctx.bureau().clone();
    for role in builtin::roles(&bureau.registry) {
        let values = Values::new()
            .with("code", role.code)
            .with("name", role.name)
            .with("is_system", true)
            .with("features", json!(role.features));
        ctx.insert(&ROLES, values).await?;
    }
    Ok(())
}

async fn add_owner(ctx: &mut Ctx, organization: Uuid, owner: NewOwner) -> Result<Record> {
    let mut values = Values::new()
        .with("email", owner.email.as_str())
        .with("email_folded", owner.email.folded())
        .with("role", "owner")
        .with("is_super_admin", owner.is_super_admin)
        .with("active", true)
        .with("organization_id", organization);
    for (column, text) in [("name", owner.name), ("first_name", owner.first_name), ("last_name", owner.last_name)] {
        let text = text.trim();
        if !text.is_empty() {
            values.set(column, text);
        }
    }
    if let Some(hash) = owner.password_hash {
        passwords::store(ctx, hash, &mut values).await?;
    }
    crate::user_fields::complete_name(None, &owner.email, &mut values);
    ctx.insert(&USERS, values).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_can_stand_in_an_address() {
        for (name, slug) in [
            ("Meble Łódź Sp. z o.o.", "meble-lodz-sp-z-o-o"),
            ("  Kuchnie!  ", "kuchnie"),
            ("Кухні", "tenant"),
            ("A--B", "a-b"),
        ] {
            assert_eq!(slug_of(name), slug);
        }
    }
}
