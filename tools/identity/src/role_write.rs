//! Making, changing and deleting roles. Nobody makes a role that gives more than they hold, and none above them changes.

use bureau_kit::prelude::*;

use crate::grants;
use crate::roles::{self, ROLES, Role};
use crate::{acl, builtin, features};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::create("role_create", "auth.roles.manage", create)
            .on(&ROLES)
            .title("Create a role")
            .about(
                "Create a role: a name and the features it gives, of which you must hold each. With based_on it begins with \
                 those of another role. See feature_list for features; give the role with user_update (roles).",
            )
            .synonyms("permission group privileges new dodaj rolę uprawnienia створити роль права"),
        Tool::update("role_update", "auth.roles.manage", update)
            .on(&ROLES)
            .title("Change a role")
            .about(
                "Rename a role that nobody has, or give it another list of features. Needs to hold all that the role gives, \
                 before and after. Built-in roles keep their names. Organizations are role_acl_update.",
            )
            .synonyms("edit permission group privileges rename zmień rolę uprawnienia змінити роль права"),
        Tool::delete("role_delete", "auth.roles.manage", delete)
            .on(&ROLES)
            .title("Delete a role")
            .about(
                "Delete a role that nobody has. Built-in roles stay. Take it from people first with user_update (roles).",
            )
            .synonyms("remove permission group usuń rolę видалити роль"),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// Name of the role, unique in the tenant.
    #[schemars(length(min = 2, max = 100))]
    name: String,
    /// Features it gives, such as contracts.view or customers.*; codes of the source systems are read too.
    #[serde(alias = "privileges")]
    #[schemars(length(max = 500))]
    features: Option<Vec<String>>,
    /// Role whose features it begins with, by name, code or id.
    based_on: Option<String>,
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Shown<Role>> {
    let name = free_name(ctx, &input.name, None).await?;
    let mut wanted = features::read(&ctx.bureau().registry, "/features", &input.features.unwrap_or_default())?;
    // A role made by somebody who is limited is limited alike.
    let mut organizations = acl::own_limits(ctx);
    if let Some(text) = input.based_on.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        let base = roles::named(ctx, "/based_on", text).await?;
        grants::refuse_role(ctx, &base)?;
        let inherited: Option<Value> = base.get("features")?;
        wanted.extend(grants::texts(inherited.as_ref()));
        organizations = base.cell("organization_ids").clone();
    }
    wanted.sort();
    wanted.dedup();
    grants::refuse_beyond_own(ctx, &wanted, &format!("The role {name}"))?;
    let values =
        Values::new().with("name", name).with("features", json!(wanted)).with("organization_ids", organizations);
    ctx.insert(&ROLES, values).await.map(Shown::from)
}

/// A name that no other role has, in whatever case, and that is no built-in role's code: those are understood as names too.
async fn free_name(ctx: &mut Ctx, name: &str, own: Option<Uuid>) -> Result<String> {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if !(2..=100).contains(&name.chars().count()) {
        return Err(Error::invalid("/name", "expected text of 2 to 100 characters"));
    }
    if Key::parse(&name).is_ok() {
        return Err(Error::invalid("/name", "must not be a number or UUID: those name roles by their id"));
    }
    let mut sql = ctx.from(&ROLES);
    sql.and_eq("folded", fold(&name));
    let alike = |role: &Record| role.text("name").to_lowercase() == name.to_lowercase();
    let mut taken = ctx.records(&ROLES, &sql).await?.into_iter().find(alike);
    if taken.is_none() {
        taken = roles::coded(ctx, &roles::code_of(&name)).await?;
    }
    match taken.filter(|role| Some(role.id) != own) {
        None => Ok(name),
        Some(role) => Err(Error::conflict(format!(
            "There is a role {} already. Change it with role_update, or choose another name.",
            role.text("name")
        ))
        .with("columns", "name")
        .with("role_id", role.id.to_string())),
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// UUID or number of the role.
    id: Id<Role>,
    /// New name, for a role that nobody has.
    #[schemars(length(min = 2, max = 100))]
    name: Option<String>,
    /// All features it gives from now on.
    #[serde(alias = "privileges")]
    #[schemars(length(max = 500))]
    features: Option<Vec<String>>,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<Shown<Role>> {
    let role = ctx.fetch(input.id).await?;
    grants::refuse_role(ctx, &role)?;
    let mut values = Values::new();
    if let Some(name) = &input.name {
        let name = free_name(ctx, name, Some(role.id)).await?;
        if name != role.text("name") {
            refuse_built_in(&role, "renamed")?;
            let holders = holders(ctx, &role).await?;
            if holders > 0 {
                return Err(in_use(&role, holders, "renamed"));
            }
            values.set("name", name);
        }
    }
    if let Some(wanted) = &input.features {
        let wanted = features::read(&ctx.bureau().registry, "/features", wanted)?;
        refuse_owner(&role)?;
        grants::refuse_beyond_own(ctx, &wanted, &format!("The role {}", role.text("name")))?;
        values.set("features", json!(wanted));
    }
    ctx.update(&role, values).await.map(Shown::from)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteInput {
    /// UUID or number of the role.
    id: Id<Role>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    /// Always true.
    ok: bool,
    /// UUID of the role that was deleted.
    id: String,
}

async fn delete(ctx: &mut Ctx, input: DeleteInput) -> Result<Deleted> {
    let role = ctx.fetch(input.id).await?;
    refuse_built_in(&role, "deleted")?;
    grants::refuse_role(ctx, &role)?;
    let holders = holders(ctx, &role).await?;
    if holders > 0 {
        return Err(in_use(&role, holders, "deleted"));
    }
    ctx.delete(&role).await?;
    Ok(Deleted { ok: true, id: role.id.to_string() })
}

/// How many users have the role, as the main one, beside it, or as their permission group; those outside of the caller's
/// organizations count too.
pub(crate) async fn holders(ctx: &mut Ctx, role: &Record) -> Result<i64> {
    let tenant = ctx.tenant_id();
    let mut sql = Sql::with(
        "SELECT COUNT(*) FROM users WHERE tenant_id = $1 AND (permission_id = $2 OR id IN \
         (SELECT user_id FROM user_roles WHERE tenant_id = $1 AND role_id = $2)",
        [tenant.into(), role.id.into()],
    );
    if builtin::MAIN.contains(&role.text("code")) {
        sql.push(" OR role = ").bind(role.text("code"));
    }
    sql.push(")");
    ctx.rows(&sql).await?.first().map_or(Ok(0), |row| row.get(0))
}

fn in_use(role: &Record, holders: i64, what: &str) -> Error {
    Error::conflict(format!(
        "{holders} user(s) have the role {}, so it cannot be {what}. Take it from them first with user_update (user_list with \
         role_ids finds them).",
        role.text("name")
    ))
    .with("used_by", "user")
    .with("count", holders)
}

fn refuse_built_in(role: &Record, what: &str) -> Result<()> {
    if role.flag("is_system") {
        return Err(Error::conflict(format!(
            "{} is a built-in role and cannot be {what}. Make one of your own with role_create (based_on).",
            role.text("name")
        )));
    }
    Ok(())
}

/// Whoever owns a tenant holds everything in it: nobody could give it back otherwise.
pub(crate) fn refuse_owner(role: &Record) -> Result<()> {
    if role.text("code") == "owner" && role.flag("is_system") {
        return Err(Error::conflict(
            "The role Owner gives everything, always. Make a role of your own with role_create.",
        ));
    }
    Ok(())
}
