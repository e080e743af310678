//! CCRM's reads that complete its users: permission groups, group types, SIP accounts and what is shown to called parties.
//! They answer in CCRM's envelope, and tell only what the users, roles and groups here hold.

use std::collections::{BTreeMap, HashMap};

use bureau_kit::prelude::*;

use crate::groups::{self, GROUP_TYPES, GROUPS, KINDS};
use crate::roles::ROLES;
use crate::user_fields::CallPresentation;
use crate::users::USERS;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("permission_group_list", "auth.users.list", permission_groups)
            .title("List permission groups")
            .about(
                "List the permission groups of CCRM, which are the roles here: what user_create takes as permission. What each \
                 gives is role_list.",
            )
            .synonyms("ccrm roles grupy uprawnień групи прав"),
        Tool::read("user_group_type_list", "auth.users.list", group_types)
            .title("List types of user groups")
            .about(
                "List the types of user groups with their groups and how many users each has. A user is in at most one group of \
                 a type; see groups in user_create.",
            )
            .synonyms("ccrm departments positions typy grup użytkowników типи груп користувачів"),
        Tool::create("user_group_type_create", "auth.users.edit", create_group_type)
            .on(&GROUP_TYPES)
            .title("Create a type of user groups")
            .about("Create a type of user groups beside department, user_group and position, with first groups if you like.")
            .synonyms("ccrm add group type dodaj typ grupy створити тип групи"),
        Tool::read("sip_account_list", "auth.users.list", sip_accounts)
            .or_right("voip.view")
            .title("List SIP accounts")
            .about(
                "List the SIP accounts that users have or may pick at log-in, and to whom each is assigned. Accounts nobody was \
                 given are not known here.",
            )
            .synonyms("ccrm extensions telephones voip konta sip numery wewnętrzne sip акаунти внутрішні номери"),
        Tool::read("call_presentation_list", "auth.users.list", call_presentations)
            .title("List numbers shown to called parties")
            .about("List the numbers that some user may show to a called party, each once. Give them with user_update.")
            .synonyms("ccrm caller id clip prezentacja numeru презентація номера"),
        Tool::read("sms_presentation_list", "auth.users.list", sms_presentations)
            .title("List senders of text messages")
            .about("List the names and numbers that some user may send text messages as, each once. Give them with user_update.")
            .synonyms("ccrm sms sender nadawca sms відправник смс"),
    ]
}

/// CCRM's envelope of a list.
#[derive(Debug, Serialize, JsonSchema)]
struct Envelope<T> {
    /// Always true.
    success: bool,
    /// The rows.
    data: Vec<T>,
    /// How many there are.
    #[serde(rename = "otherData")]
    other_data: Total,
    /// Always OK.
    message: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Total {
    /// How many there are.
    #[serde(rename = "totalCount")]
    total_count: usize,
}

impl<T> Envelope<T> {
    fn of(data: Vec<T>) -> Self {
        Self { success: true, other_data: Total { total_count: data.len() }, data, message: "OK" }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoInput {}

#[derive(Debug, Serialize, JsonSchema)]
struct PermissionGroup {
    /// UUID of the role.
    uuid: String,
    /// Its name.
    name: String,
    /// 1 for a built-in role, which cannot be deleted.
    permanent: u8,
}

async fn permission_groups(ctx: &mut Ctx, _: NoInput) -> Result<Envelope<PermissionGroup>> {
    let mut sql = ctx.from(&ROLES);
    sql.push(" ORDER BY num");
    let roles = ctx.records(&ROLES, &sql).await?;
    let group = |role: &Record| PermissionGroup {
        uuid: role.id.to_string(),
        name: role.text("name").to_owned(),
        permanent: u8::from(role.flag("is_system")),
    };
    Ok(Envelope::of(roles.iter().map(group).collect()))
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GroupTypeRow {
    /// UUID of the type.
    uuid: String,
    /// Name of the type.
    name: String,
    /// 1 for a main type.
    main: u8,
    /// How many groups it has.
    group_count: usize,
    /// How many users are in them.
    user_count: i64,
    /// Its groups.
    user_group: Vec<GroupRow>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct GroupRow {
    /// UUID of the group.
    uuid: String,
    /// Name of the group.
    name: String,
    /// How many users are in it.
    users: i64,
}

async fn group_types(ctx: &mut Ctx, _: NoInput) -> Result<Envelope<GroupTypeRow>> {
    let tenant = ctx.tenant_id();
    let mut groups: BTreeMap<String, Vec<GroupRow>> = BTreeMap::new();
    let counted = Sql::with(
        "SELECT group_id, COUNT(*) FROM group_members WHERE tenant_id = $1 GROUP BY group_id",
        [tenant.into()],
    );
    let mut users: HashMap<Uuid, i64> = HashMap::new();
    for row in ctx.rows(&counted).await? {
        users.insert(row.get(0)?, row.get(1)?);
    }
    let mut sql = ctx.from(&GROUPS);
    sql.push(" ORDER BY num");
    for group in ctx.records(&GROUPS, &sql).await? {
        groups.entry(groups::type_of(&group)).or_default().push(GroupRow {
            uuid: group.id.to_string(),
            name: group.text("name").to_owned(),
            users: users.get(&group.id).copied().unwrap_or(0),
        });
    }
    // CCRM shows the position as the main type of a user.
    let mut types: Vec<(String, Uuid, String, bool)> = KINDS
        .iter()
        .map(|kind| ((*kind).to_owned(), groups::type_id_of(tenant, kind), (*kind).to_owned(), *kind == "position"))
        .collect();
    let mut sql = ctx.from(&GROUP_TYPES);
    sql.push(" ORDER BY num");
    for own in ctx.records(&GROUP_TYPES, &sql).await? {
        types.push((own.id.to_string(), own.id, own.text("name").to_owned(), own.flag("is_main")));
    }
    let rows = types.into_iter().map(|(key, id, name, main)| group_type(id, name, main, groups.remove(&key)));
    Ok(Envelope::of(rows.collect()))
}

fn group_type(id: Uuid, name: String, main: bool, groups: Option<Vec<GroupRow>>) -> GroupTypeRow {
    let user_group = groups.unwrap_or_default();
    GroupTypeRow {
        uuid: id.to_string(),
        name,
        main: u8::from(main),
        group_count: user_group.len(),
        user_count: user_group.iter().fold(0, |sum, group| sum.saturating_add(group.users)),
        user_group,
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// Name of the type.
    #[schemars(length(min = 1, max = 100))]
    name: String,
    /// Whether it is a main type, also as 0 or 1.
    main: Option<crate::flag::Flag>,
    /// Names of groups to create in it.
    #[schemars(length(max = 100))]
    groups: Option<Vec<String>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CreatedType {
    /// Always true.
    success: bool,
    /// The type.
    data: GroupTypeRow,
    /// Always OK.
    message: &'static str,
}

async fn create_group_type(ctx: &mut Ctx, input: CreateInput) -> Result<CreatedType> {
    let name = short("/name", &input.name, 100)?;
    if KINDS.contains(&name.to_lowercase().as_str()) {
        return Err(Error::conflict(format!("{name} is a built-in type. Choose another name.")).with("columns", "name"));
    }
    let mut alike = ctx.from(&GROUP_TYPES);
    alike.and_eq("folded", fold(&name));
    if ctx.first(&GROUP_TYPES, alike).await?.is_some() {
        return Err(Error::conflict(format!("There is a type {name} already; see user_group_type_list."))
            .with("columns", "name"));
    }
    let names = input.groups.unwrap_or_default();
    if names.len() > 100 {
        return Err(Error::invalid("/groups", "expected at most 100 groups"));
    }
    let is_main = input.main.is_some_and(|flag| flag.0);
    let values = Values::new().with("name", name.as_str()).with("is_main", is_main);
    let kind = ctx.insert(&GROUP_TYPES, values).await?;
    let mut groups = Vec::with_capacity(names.len());
    for (index, group) in names.iter().enumerate() {
        let group = short(&format!("/groups/{index}"), group, 200)?;
        let values = Values::new().with("kind", "user_group").with("name", group.as_str()).with("type_id", kind.id);
        let made = family::save_new(ctx, &GROUPS, values).await?;
        groups.push(GroupRow { uuid: made.id.to_string(), name: group, users: 0 });
    }
    Ok(CreatedType { success: true, data: group_type(kind.id, name, is_main, Some(groups)), message: "OK" })
}

fn short(path: &str, text: &str, most: usize) -> Result<String> {
    let text = text.trim().to_owned();
    if (1..=most).contains(&text.chars().count()) {
        return Ok(text);
    }
    Err(Error::invalid(path, format!("expected text of 1 to {most} characters")))
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SipAccount {
    /// Number of the account, as users are given it.
    extension_id: i64,
    /// UUID of the user whose fixed account it is; null for one that is picked at log-in.
    assigned: Option<String>,
    /// Name of that user.
    name: Option<String>,
    /// How many users may pick it at log-in.
    picked_by: i64,
}

/// The users in reach, in the order of their numbers.
async fn users(ctx: &mut Ctx) -> Result<Vec<Record>> {
    let mut sql = ctx.from(&USERS);
    sql.push(
        " AND (extension_id IS NOT NULL OR dynamic_extension_ids IS NOT NULL OR call_presentation IS NOT NULL \
         OR sms_presentation IS NOT NULL) ORDER BY num",
    );
    ctx.records(&USERS, &sql).await
}

async fn sip_accounts(ctx: &mut Ctx, _: NoInput) -> Result<Envelope<SipAccount>> {
    let mut found: BTreeMap<i64, SipAccount> = BTreeMap::new();
    let new = |extension_id| SipAccount { extension_id, assigned: None, name: None, picked_by: 0 };
    for user in users(ctx).await? {
        if let Some(number) = user.get::<Option<i64>>("extension_id")? {
            let account = found.entry(number).or_insert_with(|| new(number));
            account.assigned = Some(user.id.to_string());
            account.name = Some(user.text("name").to_owned());
        }
        let picked: Vec<i64> = list_of(&user, "dynamic_extension_ids")?;
        for number in picked.into_iter().filter(|_| user.flag("dynamic_extension")) {
            let account = found.entry(number).or_insert_with(|| new(number));
            account.picked_by = account.picked_by.saturating_add(1);
        }
    }
    Ok(Envelope::of(found.into_values().collect()))
}

fn list_of<T: serde::de::DeserializeOwned>(user: &Record, column: &str) -> Result<Vec<T>> {
    let value: Option<Value> = user.get(column)?;
    let list = value.filter(|value| !value.is_null()).map(serde_json::from_value).transpose();
    list.map(Option::unwrap_or_default).map_err(Error::internal)
}

async fn call_presentations(ctx: &mut Ctx, _: NoInput) -> Result<Envelope<CallPresentation>> {
    let mut found: BTreeMap<String, CallPresentation> = BTreeMap::new();
    for user in users(ctx).await? {
        for shown in list_of::<CallPresentation>(&user, "call_presentation")? {
            found.entry(json!(shown).to_string()).or_insert(shown);
        }
    }
    Ok(Envelope::of(found.into_values().collect()))
}

#[derive(Debug, Serialize, JsonSchema)]
struct SmsPresentation {
    /// Name or number that text messages are sent as.
    presentation: String,
}

async fn sms_presentations(ctx: &mut Ctx, _: NoInput) -> Result<Envelope<SmsPresentation>> {
    let mut found = std::collections::BTreeSet::new();
    for user in users(ctx).await? {
        found.extend(list_of::<String>(&user, "sms_presentation")?);
    }
    Ok(Envelope::of(found.into_iter().map(|presentation| SmsPresentation { presentation }).collect()))
}
