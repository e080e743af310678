//! The first start of an installation, and new tenants: what there must be before anyone can call.

use std::sync::Arc;

use bureau_kit::gate::Bureau;
use bureau_kit::prelude::*;

use crate::api_keys::{NewKey, mint_api_key};
use crate::builtin;
use crate::organizations::ORGANIZATIONS;
use crate::roles::ROLES;
use crate::users::USERS;

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

/// Stores what tools expect to be there.
pub type Seed = for<'a> fn(&'a mut Ctx) -> BoxFuture<'a, Result<()>>;

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
    let name = request.tenant_name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 200 {
        return Err(Error::invalid("/tenant_name", "expected text of 1 to 200 characters"));
    }
    let owner = request.owner_name.trim().to_owned();
    let tenant_id = bureau.ids.next(bureau.clock.now());
    bureau
        .as_system(tenant_id, None, "founding", move |ctx| {
            Box::pin(async move {
                if only_first && !ctx.rows(&Sql::new("SELECT id FROM tenants LIMIT 1")).await?.is_empty() {
                    return Ok(None);
                }
                add_tenant(ctx, &name).await?;
                let organization = ctx.insert(&ORGANIZATIONS, Values::new().with("name", name)).await?;
                add_roles(ctx).await?;
                let owner_id = add_owner(ctx, organization.id, &email, &owner, only_first).await?;
                let key = NewKey { name: "owner".into(), user_id: Some(owner_id), ..NewKey::default() };
                let (_, token) = mint_api_key(ctx, key).await?;
                (request.seed)(ctx).await?;
                Ok(Some(Founded { tenant_id, owner_id, token }))
            })
        })
        .await
}

/// Tenants stand above the journal, which belongs to one of them.
async fn add_tenant(ctx: &mut Ctx, name: &str) -> Result<()> {
    let slug = free_slug(ctx, name).await?;
    let sql = Sql::with(
        "INSERT INTO tenants (id, name, slug, is_active, created_at, updated_at) VALUES ($1, $2, $3, TRUE, $4, $4)",
        [ctx.tenant_id().into(), name.into(), slug.into(), ctx.now().into()],
    );
    ctx.write_secret(&sql).await.map(drop)
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

/// The owner of the first tenant administers the installation too.
async fn add_owner(ctx: &mut Ctx, organization: Uuid, email: &Email, name: &str, is_first: bool) -> Result<Uuid> {
    let mut values = Values::new()
        .with("email", email.as_str())
        .with("email_folded", email.folded())
        .with("role", "owner")
        .with("is_super_admin", is_first)
        .with("active", true)
        .with("organization_id", organization);
    if !name.is_empty() {
        values.set("name", name);
    }
    crate::user_fields::complete_name(None, email, &mut values);
    Ok(ctx.insert(&USERS, values).await?.id)
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
