//! What a user belongs to: roles, teams and groups, each as rows that are added and taken away one by one.

use bureau_kit::prelude::*;

use crate::grants;
use crate::groups::{self, DEPARTMENT, GROUP_MEMBERS, GROUPS, Group};
use crate::roles::{self, ROLES, Role, USER_ROLES};
use crate::teams::{TEAM_MEMBERS, TEAMS};
use crate::user_fields::{Fields, Groups};
use crate::{builtin, users};

/// Roles as a call leaves them.
#[derive(Debug)]
pub(crate) struct WantedRoles {
    /// Code of the main role.
    pub(crate) main: &'static str,
    /// The other roles.
    additional: Vec<Uuid>,
    /// The permission group among the roles: none when the call does not mention it.
    pub(crate) permission: Option<Option<Uuid>>,
}

/// Reads `role`, `roles` and `permission` against what the user has, and refuses what the caller may not give.
pub(crate) async fn wanted_roles(ctx: &mut Ctx, before: Option<&Record>, fields: &Fields) -> Result<WantedRoles> {
    let held = match before {
        Some(user) => additional_roles(ctx, user.id).await?,
        None => Vec::new(),
    };
    let had = before.map_or("", |user| user.text("role"));
    let mut named: Vec<Record> = Vec::new();
    for (index, text) in fields.roles.iter().flatten().enumerate() {
        named.push(roles::named(ctx, &format!("/roles/{index}"), text).await?);
    }
    let main = match (&fields.role, &fields.roles) {
        (Some(role), _) => users::main_role("/role", role)?,
        // Inferred: roles are the whole set, so a set without a built-in role leaves the least of them.
        (None, Some(_)) => first_main(&named).unwrap_or("guest"),
        (None, None) => builtin::MAIN.iter().find(|code| **code == had).copied().unwrap_or(builtin::USUAL),
    };
    let main_role = roles::coded(ctx, main).await?;
    let main_role = main_role.ok_or_else(|| Error::internal(format!("the tenant has no role {main}")))?;
    if main != had {
        grants::refuse_role(ctx, &main_role)?;
    }

    let mut additional: Vec<Uuid> =
        if fields.roles.is_some() { named.iter().map(|role| role.id).collect() } else { held.clone() };
    let permission = match fields.permission.clone().change() {
        None => None,
        Some(None) => Some(None),
        Some(Some(id)) => Some(Some(ctx.reference::<Role>("permission", id).await?)),
    };
    if permission.is_some() {
        // The old permission group goes, unless it is listed as a role as well.
        if let (Some(old), None) = (before.and_then(|user| user.id_of("permission_id")), &fields.roles) {
            additional.retain(|id| *id != old);
        }
        additional.extend(permission.flatten());
    }
    additional.retain(|id| *id != main_role.id);
    additional.sort();
    additional.dedup();
    for id in additional.iter().filter(|id| !held.contains(id)) {
        let role = ctx.find_in(&ROLES, Key::Uuid(*id)).await?;
        grants::refuse_role(ctx, &role.ok_or_else(|| Error::internal("a role is gone"))?)?;
    }
    Ok(WantedRoles { main, additional, permission })
}

fn first_main(named: &[Record]) -> Option<&'static str> {
    named.iter().find_map(|role| builtin::MAIN.iter().find(|code| **code == role.text("code")).copied())
}

async fn additional_roles(ctx: &mut Ctx, user: Uuid) -> Result<Vec<Uuid>> {
    let sql = Sql::with(
        "SELECT role_id FROM user_roles WHERE tenant_id = $1 AND user_id = $2",
        [ctx.tenant_id().into(), user.into()],
    );
    ctx.rows(&sql).await?.iter().map(|row| row.get(0)).collect()
}

/// Gives and takes additional roles until they are as wanted.
pub(crate) async fn set_roles(ctx: &mut Ctx, user: Uuid, wanted: &WantedRoles) -> Result<()> {
    replace(ctx, &USER_ROLES, "role_id", user, &wanted.additional).await
}

/// Adds and takes away the rows that join a user with others until they are as wanted.
async fn replace(
    ctx: &mut Ctx,
    table: &'static Table,
    column: &'static str,
    user: Uuid,
    wanted: &[Uuid],
) -> Result<()> {
    let mut sql = ctx.from(table);
    sql.and_eq("user_id", user).push(" ORDER BY created_at, id");
    let present = ctx.records(table, &sql).await?;
    for row in &present {
        if !row.id_of(column).is_some_and(|id| wanted.contains(&id)) {
            ctx.delete(row).await?;
        }
    }
    for id in wanted {
        if !present.iter().any(|row| row.id_of(column) == Some(*id)) {
            ctx.insert(table, Values::new().with("user_id", user).with(column, *id)).await?;
        }
    }
    Ok(())
}

/// Teams and groups as a call leaves them; none where it does not mention them.
#[derive(Debug, Default)]
pub(crate) struct WantedGroups {
    teams: Option<Vec<Uuid>>,
    groups: Option<Vec<Uuid>>,
}

/// Reads teams, department and groups, and sets the columns of the user that follow from them.
pub(crate) async fn wanted_groups(
    ctx: &mut Ctx,
    before: Option<&Record>,
    fields: &Fields,
    values: &mut Values,
) -> Result<WantedGroups> {
    let teams = wanted_teams(ctx, before, fields, values).await?;
    let department = match fields.department_id.clone().change() {
        None => None,
        Some(None) => Some(None),
        Some(Some(id)) => Some(Some(department(ctx, id).await?)),
    };
    if fields.groups.is_none() && department.is_none() {
        return Ok(WantedGroups { teams, groups: None });
    }
    let mut joined = match (&fields.groups, before) {
        (Some(Groups::List(_)), _) | (_, None) => Vec::new(),
        (_, Some(user)) => groups_of(ctx, user.id).await?,
    };
    match &fields.groups {
        Some(Groups::List(keys)) => {
            for (index, key) in keys.iter().enumerate() {
                let path = format!("/groups/{index}");
                let group = group(ctx, &path, *key).await?;
                if let Some((_, kind)) = joined.iter().find(|(id, kind)| *kind == group.1 && *id != group.0) {
                    return Err(Error::invalid(
                        path,
                        format!("is the second group of the kind {kind}; give at most one of a kind"),
                    ));
                }
                joined.push(group);
            }
        }
        Some(Groups::Map(pairs)) => {
            for (kind, key) in pairs {
                let path = format!("/groups/{kind}");
                if !groups::KINDS.contains(&kind.as_str()) {
                    return Err(Error::invalid(path, format!("expected one of {}", groups::KINDS.join(", "))));
                }
                joined.retain(|(_, present)| present != kind);
                if let Some(key) = key {
                    let group = group(ctx, &path, *key).await?;
                    if group.1 != *kind {
                        return Err(Error::invalid(path, format!("is a {}, not a {kind}", group.1)));
                    }
                    joined.push(group);
                }
            }
        }
        None => {}
    }
    if let Some(wanted) = department {
        joined.retain(|(_, kind)| kind != DEPARTMENT);
        joined.extend(wanted.map(|id| (id, DEPARTMENT.to_owned())));
    }
    let department = joined.iter().find(|(_, kind)| kind == DEPARTMENT).map(|(id, _)| *id);
    values.set("department_id", department);
    let mut joined: Vec<Uuid> = joined.into_iter().map(|(id, _)| id).collect();
    joined.dedup();
    Ok(WantedGroups { teams, groups: Some(joined) })
}

async fn wanted_teams(
    ctx: &mut Ctx,
    before: Option<&Record>,
    fields: &Fields,
    values: &mut Values,
) -> Result<Option<Vec<Uuid>>> {
    let main = match fields.team_id.clone().change() {
        None => None,
        Some(None) => Some(None),
        Some(Some(id)) => Some(Some(ctx.reference("team_id", id).await?)),
    };
    let listed = match &fields.team_ids {
        None => None,
        Some(ids) => {
            let mut teams = Vec::with_capacity(ids.len());
            for (index, id) in ids.iter().enumerate() {
                teams.push(ctx.reference(&format!("team_ids/{index}"), *id).await?);
            }
            Some(teams)
        }
    };
    if main.is_none() && listed.is_none() {
        return Ok(None);
    }
    let old = before.and_then(|user| user.id_of("team_id"));
    let mut teams = match (listed, before) {
        (Some(teams), _) => teams,
        (None, None) => Vec::new(),
        // A new main team takes the place of the old one; the others stay.
        (None, Some(user)) => teams_of(ctx, user.id).await?.into_iter().filter(|id| Some(*id) != old).collect(),
    };
    let main = match main {
        Some(main) => main,
        None => old.filter(|team| teams.contains(team)).or_else(|| teams.first().copied()),
    };
    teams.extend(main.filter(|main| !teams.contains(main)));
    teams.sort();
    teams.dedup();
    values.set("team_id", main);
    Ok(Some(teams))
}

async fn teams_of(ctx: &mut Ctx, user: Uuid) -> Result<Vec<Uuid>> {
    let mut sql = ctx.from(&TEAM_MEMBERS);
    sql.and_eq("user_id", user);
    Ok(ctx.records(&TEAM_MEMBERS, &sql).await?.iter().filter_map(|row| row.id_of("team_id")).collect())
}

async fn groups_of(ctx: &mut Ctx, user: Uuid) -> Result<Vec<(Uuid, String)>> {
    let sql = Sql::with(
        "SELECT groups.id, groups.kind FROM group_members JOIN groups ON groups.id = group_members.group_id \
         WHERE group_members.tenant_id = $1 AND group_members.user_id = $2 ORDER BY groups.num",
        [ctx.tenant_id().into(), user.into()],
    );
    ctx.rows(&sql).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

async fn group(ctx: &mut Ctx, path: &str, key: Key) -> Result<(Uuid, String)> {
    let found = ctx.find_in(&GROUPS, key).await?;
    let group = found.ok_or_else(|| Error::invalid(path, format!("there is no group {key}")))?;
    Ok((group.id, group.text("kind").to_owned()))
}

async fn department(ctx: &mut Ctx, id: Id<Group>) -> Result<Uuid> {
    let (id, kind) = group(ctx, "/department_id", id.key()).await?;
    if kind == DEPARTMENT {
        Ok(id)
    } else {
        Err(Error::invalid("/department_id", format!("is a {kind}, not a department")))
    }
}

/// Puts a user into teams and groups and out of others, as wanted.
pub(crate) async fn set_groups(ctx: &mut Ctx, user: Uuid, wanted: &WantedGroups) -> Result<()> {
    if let Some(teams) = &wanted.teams {
        replace(ctx, &TEAM_MEMBERS, "team_id", user, teams).await?;
    }
    if let Some(groups) = &wanted.groups {
        replace(ctx, &GROUP_MEMBERS, "group_id", user, groups).await?;
    }
    Ok(())
}

/// The team of this name, made when there is none (Worksection).
pub(crate) async fn team_named(ctx: &mut Ctx, name: &str, is_client: bool) -> Result<Record> {
    match crate::teams::named(ctx, name).await? {
        Some(team) => Ok(team),
        None => {
            let values = Values::new().with("name", name.trim()).with("is_client", is_client);
            family::save_new(ctx, &TEAMS, values).await
        }
    }
}

/// The department of this name, made when there is none (Worksection).
pub(crate) async fn department_named(ctx: &mut Ctx, name: &str) -> Result<Record> {
    match groups::named(ctx, DEPARTMENT, name).await? {
        Some(group) => Ok(group),
        None => {
            let values = Values::new().with("kind", DEPARTMENT).with("name", name.trim());
            groups::add(ctx, values).await
        }
    }
}
