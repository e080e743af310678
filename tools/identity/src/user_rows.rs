//! A user as tools answer it: with names of roles, team and groups, and never with a secret.

use std::collections::HashMap;

use bureau_kit::prelude::*;
use bureau_kit::uses::UsesOf;

use crate::user_fields::CallPresentation;
use crate::users::USERS;

/// A record that a user is connected with.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Named {
    /// UUID.
    pub(crate) id: String,
    /// Name.
    pub(crate) name: String,
}

/// A role of a user.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct RoleName {
    /// UUID of the role.
    pub(crate) id: String,
    /// Name of the role.
    pub(crate) name: String,
    /// Code, when it is a built-in one.
    pub(crate) code: Option<String>,
}

/// A group of a user.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct GroupName {
    /// UUID of the group.
    pub(crate) id: String,
    /// Name of the group.
    pub(crate) name: String,
    /// Its kind: department, user_group or position.
    pub(crate) kind: String,
    /// Whether it is the main one of its kind.
    pub(crate) is_main: bool,
}

/// A user.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UserRow {
    /// UUID of the user.
    id: String,
    /// Number in the tenant.
    num: Option<i64>,
    /// E-mail address.
    email: String,
    /// First name.
    first_name: Option<String>,
    /// Last name.
    last_name: Option<String>,
    /// Name as it is shown.
    name: String,
    /// Job title.
    title: Option<String>,
    /// Picture.
    avatar: Option<String>,
    /// Telephone number.
    phone: Option<String>,
    /// Second telephone number.
    phone2: Option<String>,
    /// Third telephone number.
    phone3: Option<String>,
    /// Fourth telephone number.
    phone4: Option<String>,
    /// Address.
    address: Option<String>,
    /// Second address.
    address2: Option<String>,
    /// Price of an hour of work.
    rate: Option<Money>,
    /// Language of the interface.
    locale: Option<String>,
    /// Code of the main role.
    role: String,
    /// All roles: the main one first.
    roles: Vec<RoleName>,
    /// Permission group (CCRM).
    permission: Option<Named>,
    /// Main team.
    team: Option<Named>,
    /// All teams.
    teams: Vec<Named>,
    /// Department.
    department: Option<Named>,
    /// All groups: departments, user groups, positions.
    groups: Vec<GroupName>,
    /// Whether the user may act.
    active: bool,
    /// Whether the user administers the installation, all tenants included.
    is_super_admin: bool,
    /// Whether the user can never be blocked or deleted.
    is_permanent: bool,
    /// Identifier in another system.
    external_id: Option<String>,
    /// SIP account.
    extension_id: Option<i64>,
    /// Whether the SIP account is picked at log-in.
    dynamic_extension: bool,
    /// SIP accounts to pick from.
    dynamic_extension_ids: Option<Vec<i64>>,
    /// Telephone number at work.
    work_number: Option<String>,
    /// Sender names or numbers for text messages.
    sms_presentation: Option<Vec<String>>,
    /// Numbers that may be shown to the called party.
    call_presentation: Option<Vec<CallPresentation>>,
    /// Organization the user belongs to; null is the whole tenant.
    organization_id: Option<String>,
    /// When the user was last seen.
    last_seen_at: Option<Instant>,
    /// Grows with every change; see expected_version.
    version: i64,
    /// When the user was added.
    created_at: Instant,
    /// When the user last changed.
    updated_at: Instant,
}

impl UserRow {
    /// One user.
    pub(crate) async fn of(ctx: &mut Ctx, user: &Record) -> Result<Self> {
        let row = rows(ctx, std::slice::from_ref(user)).await?.pop();
        row.ok_or_else(|| Error::internal("a user has no row"))
    }
}

/// Users with everything they are connected with, in a handful of statements however many they are.
pub(crate) async fn rows(ctx: &mut Ctx, users: &[Record]) -> Result<Vec<UserRow>> {
    let connections = Connections::of(ctx, users).await?;
    users.iter().map(|user| row(user, &connections)).collect()
}

fn row(user: &Record, connections: &Connections) -> Result<UserRow> {
    let text = |column: &str| user.get::<Option<String>>(column);
    let name_of = |column: &str, names: &HashMap<Uuid, String>| {
        let id = user.id_of(column)?;
        Some(Named { id: id.to_string(), name: names.get(&id).cloned().unwrap_or_default() })
    };
    let main = connections.main_roles.get(user.text("role")).cloned();
    let additional = connections.roles.get(&user.id).cloned().unwrap_or_default();
    Ok(UserRow {
        id: user.id.to_string(),
        num: user.num,
        email: user.text("email").to_owned(),
        first_name: text("first_name")?,
        last_name: text("last_name")?,
        name: user.text("name").to_owned(),
        title: text("title")?,
        avatar: text("avatar")?,
        phone: text("phone")?,
        phone2: text("phone2")?,
        phone3: text("phone3")?,
        phone4: text("phone4")?,
        address: text("address")?,
        address2: text("address2")?,
        rate: user.get("rate")?,
        locale: text("locale")?,
        role: user.text("role").to_owned(),
        roles: main.into_iter().chain(additional).collect(),
        permission: name_of("permission_id", &connections.permissions),
        team: name_of("team_id", &connections.team_names),
        teams: connections.teams.get(&user.id).cloned().unwrap_or_default(),
        department: name_of("department_id", &connections.department_names),
        groups: connections.groups.get(&user.id).cloned().unwrap_or_default(),
        active: user.flag("active"),
        is_super_admin: user.flag("is_super_admin"),
        is_permanent: user.flag("is_permanent"),
        external_id: text("external_id")?,
        extension_id: user.get("extension_id")?,
        dynamic_extension: user.flag("dynamic_extension"),
        dynamic_extension_ids: json_of(user, "dynamic_extension_ids")?,
        work_number: text("work_number")?,
        sms_presentation: json_of(user, "sms_presentation")?,
        call_presentation: json_of(user, "call_presentation")?,
        organization_id: user.organization_id.map(|id| id.to_string()),
        last_seen_at: connections.seen.get(&user.id).copied().or(user.get("last_seen_at")?),
        version: user.version,
        created_at: user.created_at,
        updated_at: user.updated_at,
    })
}

fn json_of<T: serde::de::DeserializeOwned>(user: &Record, column: &str) -> Result<Option<T>> {
    let value: Option<Value> = user.get(column)?;
    value.map(|value| serde_json::from_value(value).map_err(Error::internal)).transpose()
}

/// What the users of a page are connected with.
#[derive(Debug, Default)]
struct Connections {
    main_roles: HashMap<String, RoleName>,
    roles: HashMap<Uuid, Vec<RoleName>>,
    permissions: HashMap<Uuid, String>,
    team_names: HashMap<Uuid, String>,
    teams: HashMap<Uuid, Vec<Named>>,
    department_names: HashMap<Uuid, String>,
    groups: HashMap<Uuid, Vec<GroupName>>,
    seen: HashMap<Uuid, Instant>,
}

impl Connections {
    async fn of(ctx: &mut Ctx, users: &[Record]) -> Result<Self> {
        let mut connections = Self::default();
        if users.is_empty() {
            return Ok(connections);
        }
        debug_assert!(users.iter().all(|user| std::ptr::eq(user.table, &USERS)));
        let (tenant, ids) = (ctx.tenant_id(), users.iter().map(|user| user.id).collect::<Vec<_>>());

        for used in ctx.uses(UsesOf::Users(&ids)).await? {
            // The latest use comes first.
            if let Some(user) = used.user_id {
                connections.seen.entry(user).or_insert(used.last_used_at);
            }
        }

        let mut sql = Sql::new("SELECT code, id, name FROM roles WHERE tenant_id = ");
        sql.bind(tenant).and_in("code", users.iter().map(|user| user.text("role")));
        for row in ctx.rows(&sql).await? {
            let (code, id, name): (String, Uuid, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            connections.main_roles.insert(code.clone(), RoleName { id: id.to_string(), name, code: Some(code) });
        }

        let mut sql = Sql::new(
            "SELECT user_roles.user_id, roles.id, roles.name, roles.code FROM user_roles JOIN roles \
             ON roles.id = user_roles.role_id WHERE user_roles.tenant_id = ",
        );
        sql.bind(tenant).and_in("user_roles.user_id", ids.iter().copied()).push(" ORDER BY roles.num");
        for row in ctx.rows(&sql).await? {
            let (user, id, name): (Uuid, Uuid, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            connections.permissions.insert(id, name.clone());
            let role = RoleName { id: id.to_string(), name, code: row.get(3)? };
            connections.roles.entry(user).or_default().push(role);
        }
        // A permission group that became the main role has no row of its own among the additional ones.
        let mut sql = Sql::new("SELECT id, name FROM roles WHERE tenant_id = ");
        sql.bind(tenant).and_in("id", users.iter().filter_map(|user| user.id_of("permission_id")));
        for row in ctx.rows(&sql).await? {
            connections.permissions.insert(row.get(0)?, row.get(1)?);
        }

        let mut sql = Sql::new(
            "SELECT team_members.user_id, teams.id, teams.name FROM team_members JOIN teams \
             ON teams.id = team_members.team_id WHERE team_members.tenant_id = ",
        );
        sql.bind(tenant).and_in("team_members.user_id", ids.iter().copied()).push(" ORDER BY teams.name, teams.id");
        for row in ctx.rows(&sql).await? {
            let (user, id, name): (Uuid, Uuid, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            connections.team_names.insert(id, name.clone());
            connections.teams.entry(user).or_default().push(Named { id: id.to_string(), name });
        }

        let mut sql = Sql::new(
            "SELECT group_members.user_id, groups.id, groups.name, groups.kind, groups.is_main FROM group_members \
             JOIN groups ON groups.id = group_members.group_id WHERE group_members.tenant_id = ",
        );
        sql.bind(tenant).and_in("group_members.user_id", ids.iter().copied()).push(" ORDER BY groups.kind, groups.num");
        for row in ctx.rows(&sql).await? {
            let (user, id, name): (Uuid, Uuid, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            connections.department_names.insert(id, name.clone());
            let group = GroupName { id: id.to_string(), name, kind: row.get(3)?, is_main: row.get(4)? };
            connections.groups.entry(user).or_default().push(group);
        }
        Ok(connections)
    }
}
