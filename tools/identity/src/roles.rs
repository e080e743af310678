//! Roles: named sets of features. Built-in ones are made with the tenant.

use bureau_kit::prelude::*;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("role_list", "auth.roles.list", &ROLES)
            .title("List roles")
            .about(
                "List the roles of the tenant with the features each gives. Give one to a person with user_create or \
                 user_update (role, roles).",
            )
            .synonyms("permissions rights groups privileges role uprawnienia ролі права"),
        family::show("role_show", "auth.roles.list", &ROLES)
            .title("Show a role")
            .about(
                "Show one role with the features it gives. permission_explain tells what a person may do in the end.",
            )
            .synonyms("permission rights rola uprawnienia роль права"),
    ]
}

/// A role; CCRM calls it a permission group.
#[derive(Debug)]
pub struct Role;
impl Kind for Role {
    const TABLE: &'static Table = &ROLES;
}

pub(crate) static ROLES: Table = Table::new(
    "roles",
    "role",
    "A named set of features.",
    &[
        Column::text("code", "Stable name of a built-in role; none for the tenant's own.").max(60).computed(),
        Column::text("name", "Name of the role.").max(100).required().sort().search(),
        Column::flag("is_system", "Whether it is built in.").computed(),
        Column::json("features", "List of the features it gives, such as contracts.view or customers.*.").default("[]"),
        Column::json("organization_ids", "Organizations it is limited to, with all below them; null means all.")
            .computed(),
    ],
)
.tenant_wide()
.deciding_rights();

pub(crate) static USER_ROLES: Table = Table::new(
    "user_roles",
    "user_role",
    "A role that a user has beside the main one.",
    &[
        Column::reference("user_id", "users", OnDelete::Cascade, "The user.").required().fixed(),
        Column::reference("role_id", "roles", OnDelete::Refuse, "The role.").required().fixed(),
    ],
)
.unnumbered()
.tenant_wide()
.deciding_rights();

/// Grants to one person replace what the roles give (Open Mercato's user ACL).
pub(crate) static USER_GRANTS: Table = Table::new(
    "user_grants",
    "user_grant",
    "Features given to one user instead of those of the roles.",
    &[
        Column::reference("user_id", "users", OnDelete::Cascade, "The user.").required().fixed(),
        Column::json("features", "List of the features.").default("[]"),
        Column::json("organization_ids", "Organizations they are limited to; null means all."),
    ],
)
.unnumbered()
.tenant_wide()
.deciding_rights();

/// The role with this code; every tenant is made with the built-in ones.
pub(crate) async fn coded(ctx: &mut Ctx, code: &str) -> Result<Option<Record>> {
    let mut sql = ctx.from(&ROLES);
    sql.and_eq("code", code);
    ctx.first(&ROLES, sql).await
}

/// The role that a caller names by id, number, code or name. Never made on the fly: a slip of the pen must not become
/// a role (peers.md §1.7).
pub(crate) async fn named(ctx: &mut Ctx, path: &str, text: &str) -> Result<Record> {
    let mut found = match Key::parse(text.trim()) {
        Ok(key) => ctx.find_in(&ROLES, key).await?,
        Err(_) => coded(ctx, &code_of(text)).await?,
    };
    if found.is_none() {
        let mut sql = ctx.from(&ROLES);
        sql.and_eq("folded", fold(text));
        let wanted = text.trim().to_lowercase();
        found = ctx.records(&ROLES, &sql).await?.into_iter().find(|role| role.text("name").to_lowercase() == wanted);
    }
    found.ok_or_else(|| Error::invalid(path, format!("there is no role `{text}`; use role_list to find it")))
}

/// Whether a user has the role that a caller names, as the main one or beside it.
pub(crate) async fn has(ctx: &mut Ctx, user: &Record, path: &str, text: &str) -> Result<bool> {
    let role = named(ctx, path, text).await?;
    if !role.text("code").is_empty() && role.text("code") == user.text("role") {
        return Ok(true);
    }
    let mut sql = ctx.select("1", &USER_ROLES);
    sql.and_eq("user_id", user.id).and_eq("role_id", role.id);
    ctx.exists(sql).await
}

/// A code as people write it: `account admin` is `account_admin`.
pub(crate) fn code_of(text: &str) -> String {
    text.trim().to_lowercase().replace([' ', '-'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_worksection_prints_them() {
        assert_eq!(code_of(" Account admin "), "account_admin");
        assert_eq!(code_of("owner"), "owner");
    }
}
