//! What a role gives, and what one person holds instead of it (Open Mercato's access lists). What the caller does not hold
//! is left out and reported, so that a list read from elsewhere can be sent back as it is.

use bureau_kit::prelude::*;

use crate::organizations::Organization;
use crate::roles::{Role, USER_GRANTS};
use crate::users::{USERS, User};
use crate::{features, grants, organizations, role_write};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("role_acl_show", "auth.acl.manage", show_role)
            .title("Show what a role gives")
            .about("Show the features a role gives and the organizations it is limited to; null means all.")
            .synonyms("permissions access list role uprawnienia roli lista dostępu права ролі"),
        Tool::update("role_acl_update", "auth.acl.manage", update_role)
            .on(Role::TABLE)
            .title("Change what a role gives")
            .about(
                "Replace the features a role gives, and the organizations it is limited to. Features you do not hold are left \
                 out and named in stripped. Nobody changes a role that gives more than they hold.",
            )
            .synonyms("grant permissions access list role nadaj uprawnienia roli надати права ролі"),
        Tool::read("user_acl_show", "auth.acl.manage", show_user)
            .title("Show a user's own grant")
            .about(
                "Show the features given to one user instead of those of the roles, and the organizations they are limited to. \
                 What the user may do in the end is permission_explain.",
            )
            .synonyms("permissions access list personal uprawnienia użytkownika права користувача"),
        Tool::update("user_acl_update", "auth.acl.manage", update_user)
            .on(&USERS)
            .title("Give a user a grant of their own")
            .about(
                "Give one user features instead of those of all their roles; an empty list takes the grant away, and the roles \
                 count again. Features you do not hold are left out and named in stripped. is_super_admin is for super \
                 administrators only.",
            )
            .synonyms("grant permissions override personal nadaj uprawnienia użytkownikowi надати права користувачу"),
    ]
}

/// Most features in a list.
const MOST: usize = 500;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RoleInput {
    /// UUID or number of the role.
    #[serde(alias = "id")]
    role_id: Id<Role>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RoleAcl {
    /// UUID of the role.
    role_id: String,
    /// Always false: no role makes super administrators, user_acl_update does.
    is_super_admin: bool,
    /// Features it gives.
    features: Vec<String>,
    /// Organizations it is limited to, with all below them; null means all.
    organizations: Option<Vec<String>>,
}

async fn show_role(ctx: &mut Ctx, input: RoleInput) -> Result<RoleAcl> {
    let role = ctx.fetch(input.role_id).await?;
    role_acl(&role)
}

fn role_acl(role: &Record) -> Result<RoleAcl> {
    Ok(RoleAcl {
        role_id: role.id.to_string(),
        is_super_admin: false,
        features: list(role, "features")?.unwrap_or_default(),
        organizations: list(role, "organization_ids")?,
    })
}

/// The texts of a JSON column; none when it is null.
fn list(record: &Record, column: &str) -> Result<Option<Vec<String>>> {
    let list: Option<Value> = record.get(column)?;
    Ok(list.filter(Value::is_array).map(|list| grants::texts(Some(&list))))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RoleUpdate {
    /// UUID or number of the role.
    #[serde(alias = "id")]
    role_id: Id<Role>,
    /// All features it gives from now on; as they are when left out.
    #[schemars(length(max = 500))]
    features: Option<Vec<String>>,
    /// Organizations it is limited to, with all below them; null means all; as they are when left out.
    #[serde(default)]
    organizations: Patch<Vec<Id<Organization>>>,
    /// Accepted and left out: no role makes super administrators.
    is_super_admin: Option<bool>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RoleUpdated {
    /// Always true.
    ok: bool,
    /// Whether something was left out that you cannot give.
    sanitized: bool,
    /// What was left out.
    stripped: Vec<String>,
    /// The list as it is now.
    acl: RoleAcl,
}

async fn update_role(ctx: &mut Ctx, input: RoleUpdate) -> Result<RoleUpdated> {
    let role = ctx.fetch(input.role_id).await?;
    role_write::refuse_owner(&role)?;
    grants::refuse_role(ctx, &role)?;
    let mut values = Values::new();
    let mut stripped = Vec::new();
    if let Some(wanted) = &input.features {
        let (given, left_out) = sifted(ctx, wanted)?;
        values.set("features", json!(given));
        stripped = left_out;
    }
    if input.is_super_admin == Some(true) {
        stripped.push("is_super_admin".to_owned());
    }
    if let Some(organizations) = input.organizations.change() {
        values.set("organization_ids", limits(ctx, organizations).await?);
    }
    let role = ctx.update(&role, values).await?;
    Ok(RoleUpdated { ok: true, sanitized: !stripped.is_empty(), stripped, acl: role_acl(&role)? })
}

/// What of a list the caller can give, and what not.
fn sifted(ctx: &Ctx, wanted: &[String]) -> Result<(Vec<String>, Vec<String>)> {
    if wanted.len() > MOST {
        return Err(Error::invalid("/features", format!("expected at most {MOST} features")));
    }
    let wanted = features::read(&ctx.bureau().registry, "/features", wanted)?;
    let principal = ctx.principal();
    Ok(wanted.into_iter().partition(|feature| grants::commands(principal, feature)))
}

/// The organizations of a limit, each within the caller's reach; whoever is limited cannot lift the limit from others.
async fn limits(ctx: &mut Ctx, wanted: Option<Vec<Id<Organization>>>) -> Result<Val> {
    let Some(wanted) = wanted else {
        organizations::within_reach(ctx, None)?;
        return Ok(Val::Null);
    };
    let mut found: Vec<Uuid> = Vec::with_capacity(wanted.len());
    for (index, id) in wanted.into_iter().enumerate() {
        let organization = ctx.reference(&format!("organizations/{index}"), id).await?;
        organizations::within_reach(ctx, Some(organization))?;
        if !found.contains(&organization) {
            found.push(organization);
        }
    }
    Ok(json!(found).into())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UserInput {
    /// UUID or number of the user.
    #[serde(alias = "id")]
    user_id: Id<User>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct UserAcl {
    /// UUID of the user.
    user_id: String,
    /// Whether the user has a grant of their own; if not, the roles count.
    has_custom_acl: bool,
    /// Whether the user administers the installation, and holds everything.
    is_super_admin: bool,
    /// Features of the grant.
    features: Vec<String>,
    /// Organizations the grant is limited to, with all below them; null means all.
    organizations: Option<Vec<String>>,
}

async fn show_user(ctx: &mut Ctx, input: UserInput) -> Result<UserAcl> {
    let user = ctx.fetch(input.user_id).await?;
    user_acl(ctx, &user).await
}

async fn user_acl(ctx: &mut Ctx, user: &Record) -> Result<UserAcl> {
    let grant = grant_of(ctx, user.id).await?;
    let (features, organizations) = match &grant {
        Some(grant) => (list(grant, "features")?.unwrap_or_default(), list(grant, "organization_ids")?),
        None => (Vec::new(), None),
    };
    Ok(UserAcl {
        user_id: user.id.to_string(),
        has_custom_acl: grant.is_some(),
        is_super_admin: user.flag("is_super_admin"),
        features,
        organizations,
    })
}

async fn grant_of(ctx: &mut Ctx, user: Uuid) -> Result<Option<Record>> {
    let mut sql = ctx.from(&USER_GRANTS);
    sql.and_eq("user_id", user);
    ctx.first(&USER_GRANTS, sql).await
}

/// Takes a user's own grant away, if there is one: the roles count again.
pub(crate) async fn remove_grant(ctx: &mut Ctx, user: Uuid) -> Result<()> {
    match grant_of(ctx, user).await? {
        Some(grant) => ctx.delete(&grant).await,
        None => Ok(()),
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UserUpdate {
    /// UUID or number of the user.
    #[serde(alias = "id")]
    user_id: Id<User>,
    /// All features the user holds from now on, instead of those of the roles; an empty list takes the grant away. As they
    /// are when left out.
    #[schemars(length(max = 500))]
    features: Option<Vec<String>>,
    /// Organizations the grant is limited to, with all below them; null means all; as they are when left out.
    #[serde(default)]
    organizations: Patch<Vec<Id<Organization>>>,
    /// Whether the user administers the installation; only for super administrators to give.
    is_super_admin: Option<bool>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct UserUpdated {
    /// Always true.
    ok: bool,
    /// Whether something was left out that you cannot give.
    sanitized: bool,
    /// What was left out.
    stripped: Vec<String>,
    /// The grant as it is now.
    acl: UserAcl,
}

async fn update_user(ctx: &mut Ctx, input: UserUpdate) -> Result<UserUpdated> {
    let mut user = ctx.fetch(input.user_id).await?;
    grants::refuse_above(ctx, &user).await?;
    let mut stripped = Vec::new();
    if let Some(wanted) = input.is_super_admin.filter(|wanted| *wanted != user.flag("is_super_admin")) {
        if ctx.principal().is_super_admin && ctx.principal().narrowing.features.is_none() {
            user = ctx.update(&user, Values::new().with("is_super_admin", wanted)).await?;
        } else {
            stripped.push("is_super_admin".to_owned());
        }
    }
    let before = grant_of(ctx, user.id).await?;
    let clears = input.features.as_ref().is_some_and(Vec::is_empty);
    if !clears && (input.features.is_some() || !matches!(input.organizations, Patch::Absent)) {
        // Inferred: whoever owns a tenant holds everything in it, so that somebody always can give everything.
        if user.text("role") == "owner" {
            return Err(Error::conflict(format!(
                "{} is an owner and holds everything. Give the person another role first (user_update), while someone else is owner.",
                user.text("name")
            )));
        }
        let mut values = Values::new();
        if let Some(wanted) = &input.features {
            let (given, left_out) = sifted(ctx, wanted)?;
            // A list of which nothing is left must not become the user's: they would hold nothing.
            if given.is_empty() {
                return Err(Error::forbidden(format!(
                    "You hold none of {}, so you cannot give any of it. Ask someone who holds it.",
                    left_out.join(", ")
                ))
                .with("missing", left_out.join(", ")));
            }
            values.set("features", json!(given));
            stripped.extend(left_out);
        } else if before.is_none() {
            return Err(Error::invalid(
                "/features",
                "is required with organizations for a user without a grant of their own: it replaces what the roles give",
            ));
        }
        let organizations = match input.organizations.change() {
            Some(wanted) => Some(limits(ctx, wanted).await?),
            // A new grant of somebody who is limited is limited alike.
            None if before.is_none() => Some(own_limits(ctx)),
            None => None,
        };
        if let Some(organizations) = organizations {
            values.set("organization_ids", organizations);
        }
        match &before {
            Some(grant) => ctx.update(grant, values).await?,
            None => ctx.insert(&USER_GRANTS, values.with("user_id", user.id)).await?,
        };
    } else if clears && let Some(grant) = &before {
        ctx.delete(grant).await?;
    }
    Ok(UserUpdated { ok: true, sanitized: !stripped.is_empty(), stripped, acl: user_acl(ctx, &user).await? })
}

/// The caller's own limit, for what the caller makes.
pub(crate) fn own_limits(ctx: &Ctx) -> Val {
    ctx.principal().organizations.as_ref().map_or(Val::Null, |own| json!(own).into())
}
