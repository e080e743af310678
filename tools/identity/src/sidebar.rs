//! The menu: what stands in it for a caller, and how a person or everyone of a role has arranged it.

use std::collections::BTreeMap;

use bureau_kit::gate::DISCOVERY;
use bureau_kit::prelude::*;

use crate::profile::locale_of;
use crate::roles::{ROLES, Role};
use crate::users::USERS;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("navigation_show", "", navigation)
            .title("Show the menu")
            .about(
                "Show the menu of what you may open: the lists and overviews of each toolset, arranged as in your sidebar \
                 preferences. Change them with sidebar_preference_update.",
            )
            .synonyms("menu sidebar nawigacja co mogę otworzyć меню навігація"),
        Tool::read("sidebar_preference_show", "", show)
            .title("Show how the menu is arranged")
            .about(
                "Show how your menu is arranged in a language: your own way, or that of your roles. With auth.sidebar.manage \
                 also which roles have one.",
            )
            .synonyms("menu order hidden labels ułożenie menu ukryte розташування меню"),
        Tool::update("sidebar_preference_update", "", update)
            .title("Arrange the menu")
            .about(
                "Arrange your menu in a language: order of groups, other names, hidden items. With applyToRoles, which needs \
                 auth.sidebar.manage, also for everyone of these roles who has no own arrangement.",
            )
            .synonyms("menu order hide rename ułóż menu ukryj впорядкувати меню сховати"),
    ]
}

/// The right to arrange the menu of roles.
const MANAGE: &str = "auth.sidebar.manage";

pub(crate) static SIDEBAR_PREFERENCES: Table = Table::new(
    "sidebar_preferences",
    "sidebar_preference",
    "How a person, or everyone of a role, sees the menu in a language.",
    &[
        Column::reference("user_id", "users", OnDelete::Cascade, "Whose it is.").fixed(),
        Column::reference("role_id", "roles", OnDelete::Cascade, "Role whose it is.").fixed(),
        Column::text("locale", "Language.").required().fixed(),
        Column::json("settings", "The arrangement.").required(),
    ],
)
.unnumbered()
.tenant_wide();

/// How a menu is arranged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Settings {
    /// Version of the arrangement's form, counted by the client.
    version: i64,
    /// Ids of groups in their order; the others follow.
    group_order: Vec<String>,
    /// Other names of groups, by id.
    group_labels: BTreeMap<String, String>,
    /// Other names of items, by href.
    item_labels: BTreeMap<String, String>,
    /// Items that are not shown, by href.
    hidden_items: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: 1,
            group_order: Vec::new(),
            group_labels: BTreeMap::new(),
            item_labels: BTreeMap::new(),
            hidden_items: Vec::new(),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowInput {
    /// Language of the menu; that of your user, or en, when left out.
    locale: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Shown {
    /// Language of the menu.
    locale: &'static str,
    /// How it is arranged.
    settings: Settings,
    /// Whether you may arrange it for roles.
    #[serde(rename = "canApplyToRoles")]
    can_apply_to_roles: bool,
    /// The roles, for who may arrange it for them.
    roles: Vec<RoleRow>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RoleRow {
    /// UUID of the role.
    id: String,
    /// Name of the role.
    name: String,
    /// Whether an arrangement is stored for it.
    #[serde(rename = "hasPreference")]
    has_preference: bool,
}

/// The language that a caller means.
async fn locale(ctx: &mut Ctx, wanted: Option<&str>) -> Result<&'static str> {
    if let Some(wanted) = wanted.map(str::trim).filter(|wanted| !wanted.is_empty()) {
        return locale_of("/locale", wanted);
    }
    let Some(user) = ctx.principal().user_id else { return Ok("en") };
    let mut sql = ctx.from_tenant(&USERS);
    sql.and_eq("id", user);
    let user = ctx.records(&USERS, &sql).await?.pop();
    Ok(user.and_then(|user| locale_of("/locale", user.text("locale")).ok()).unwrap_or("en"))
}

async fn stored(ctx: &mut Ctx, column: &'static str, id: Uuid, locale: &str) -> Result<Option<Record>> {
    let mut sql = ctx.from(&SIDEBAR_PREFERENCES);
    sql.and_eq(column, id).and_eq("locale", locale);
    ctx.first(&SIDEBAR_PREFERENCES, sql).await
}

fn settings_of(record: &Record) -> Result<Settings> {
    let value: Value = record.get("settings")?;
    serde_json::from_value(value).map_err(Error::internal)
}

/// How the caller's menu is arranged: their own way, else that of the first of their roles that has one.
async fn arranged(ctx: &mut Ctx, locale: &str) -> Result<Settings> {
    let Some(user) = ctx.principal().user_id else { return Ok(Settings::default()) };
    if let Some(own) = stored(ctx, "user_id", user, locale).await? {
        return settings_of(&own);
    }
    let mut sql = ctx.from(&SIDEBAR_PREFERENCES);
    let tenant = ctx.tenant_id();
    sql.and_eq("locale", locale);
    sql.push(" AND role_id IN (SELECT id FROM roles WHERE tenant_id = ").bind(tenant);
    sql.push(" AND (code IN (SELECT role FROM users WHERE tenant_id = ").bind(tenant).push(" AND id = ").bind(user);
    sql.push(") OR id IN (SELECT role_id FROM user_roles WHERE tenant_id = ").bind(tenant).push(" AND user_id = ");
    sql.bind(user).push("))) ORDER BY (SELECT num FROM roles WHERE roles.id = sidebar_preferences.role_id)");
    match ctx.records(&SIDEBAR_PREFERENCES, &sql).await?.first() {
        Some(of_role) => settings_of(of_role),
        None => Ok(Settings::default()),
    }
}

async fn show(ctx: &mut Ctx, input: ShowInput) -> Result<Shown> {
    let locale = locale(ctx, input.locale.as_deref()).await?;
    shown(ctx, locale).await
}

async fn shown(ctx: &mut Ctx, locale: &'static str) -> Result<Shown> {
    let settings = arranged(ctx, locale).await?;
    let can_apply_to_roles = ctx.principal().may(&[MANAGE]);
    let mut rows = Vec::new();
    if can_apply_to_roles {
        let mut sql = ctx.from(&ROLES);
        sql.push(" ORDER BY num");
        for role in ctx.records(&ROLES, &sql).await? {
            let has_preference = stored(ctx, "role_id", role.id, locale).await?.is_some();
            rows.push(RoleRow { id: role.id.to_string(), name: role.text("name").to_owned(), has_preference });
        }
    }
    Ok(Shown { locale, settings, can_apply_to_roles, roles: rows })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// Language of the menu; that of your user, or en, when left out.
    locale: Option<String>,
    /// Version of the arrangement's form, counted by the client.
    #[schemars(range(min = 1))]
    version: Option<i64>,
    /// Ids of groups in their order; the others follow.
    #[serde(alias = "groupOrder")]
    #[schemars(length(max = 200))]
    group_order: Option<Vec<String>>,
    /// Other names of groups, by id, each of at most 120 characters.
    #[serde(alias = "groupLabels")]
    group_labels: Option<BTreeMap<String, String>>,
    /// Other names of items, by href, each of at most 120 characters.
    #[serde(alias = "itemLabels")]
    item_labels: Option<BTreeMap<String, String>>,
    /// Items that are not shown, by href.
    #[serde(alias = "hiddenItems")]
    #[schemars(length(max = 500))]
    hidden_items: Option<Vec<String>>,
    /// Roles that get the same arrangement; needs auth.sidebar.manage.
    #[serde(alias = "applyToRoles")]
    apply_to_roles: Option<Vec<Id<Role>>>,
    /// Roles whose arrangement is taken away; needs auth.sidebar.manage.
    #[serde(alias = "clearRoleIds")]
    clear_role_ids: Option<Vec<Id<Role>>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Updated {
    /// What stands now.
    #[serde(flatten)]
    shown: Shown,
    /// Roles that got the arrangement.
    #[serde(rename = "appliedRoles")]
    applied_roles: Vec<String>,
    /// Roles whose arrangement was taken away.
    #[serde(rename = "clearedRoles")]
    cleared_roles: Vec<String>,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<Updated> {
    let user = ctx.user_id()?;
    let locale = locale(ctx, input.locale.as_deref()).await?;
    let (apply, clear) = (input.apply_to_roles.unwrap_or_default(), input.clear_role_ids.unwrap_or_default());
    let for_roles = !apply.is_empty() || !clear.is_empty();
    if for_roles && !ctx.principal().may(&[MANAGE]) {
        return Err(Error::forbidden(
            "Arranging the menu for roles needs the right auth.sidebar.manage. Leave applyToRoles and clearRoleIds out to \
             arrange your own.",
        )
        .with("missing", MANAGE));
    }
    let mut settings = arranged(ctx, locale).await?;
    if let Some(version) = input.version {
        if version < 1 {
            return Err(Error::invalid("/version", "expected a whole number from 1"));
        }
        settings.version = version;
    }
    if let Some(order) = input.group_order {
        settings.group_order = ids("/group_order", order, 200)?;
    }
    if let Some(hidden) = input.hidden_items {
        settings.hidden_items = ids("/hidden_items", hidden, 500)?;
    }
    if let Some(names) = input.group_labels {
        settings.group_labels = labels("/group_labels", names)?;
    }
    if let Some(names) = input.item_labels {
        settings.item_labels = labels("/item_labels", names)?;
    }
    store(ctx, "user_id", user, locale, &settings).await?;
    let (mut applied_roles, mut cleared_roles) = (Vec::new(), Vec::new());
    for (index, id) in apply.into_iter().enumerate() {
        let role = ctx.reference(&format!("apply_to_roles/{index}"), id).await?;
        store(ctx, "role_id", role, locale, &settings).await?;
        applied_roles.push(role.to_string());
    }
    for (index, id) in clear.into_iter().enumerate() {
        let role = ctx.reference(&format!("clear_role_ids/{index}"), id).await?;
        if let Some(preference) = stored(ctx, "role_id", role, locale).await? {
            ctx.delete(&preference).await?;
            cleared_roles.push(role.to_string());
        }
    }
    Ok(Updated { shown: shown(ctx, locale).await?, applied_roles, cleared_roles })
}

async fn store(ctx: &mut Ctx, column: &'static str, id: Uuid, locale: &str, settings: &Settings) -> Result<()> {
    match stored(ctx, column, id, locale).await? {
        Some(present) => ctx.update(&present, Values::new().with("settings", json!(settings))).await?,
        None => {
            let values = Values::new().with(column, id).with("locale", locale).with("settings", json!(settings));
            ctx.insert(&SIDEBAR_PREFERENCES, values).await?
        }
    };
    Ok(())
}

/// Ids of the menu: short texts, each once.
fn ids(path: &str, given: Vec<String>, most: usize) -> Result<Vec<String>> {
    if given.len() > most {
        return Err(Error::invalid(path, format!("expected at most {most} texts")));
    }
    let mut found: Vec<String> = Vec::with_capacity(given.len());
    for (index, id) in given.into_iter().enumerate() {
        if !(1..=200).contains(&id.chars().count()) {
            return Err(Error::invalid(format!("{path}/{index}"), "expected text of 1 to 200 characters"));
        }
        if !found.contains(&id) {
            found.push(id);
        }
    }
    Ok(found)
}

/// Names by id; a blank one takes the name away.
fn labels(path: &str, given: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    if given.len() > 500 {
        return Err(Error::invalid(path, "expected at most 500 names"));
    }
    let mut found = BTreeMap::new();
    for (id, name) in given {
        let name = name.trim().to_owned();
        if name.chars().count() > 120 || id.chars().count() > 200 {
            return Err(Error::invalid(format!("{path}/{id}"), "is longer than 120 characters"));
        }
        if !name.is_empty() {
            found.insert(id, name);
        }
    }
    Ok(found)
}

#[derive(Debug, Serialize, JsonSchema)]
struct Navigation {
    /// The groups, in the order in which they are shown.
    groups: Vec<Group>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Group {
    /// The toolset.
    id: String,
    /// Name as it is shown.
    name: String,
    /// Name when nobody gave it another.
    default_name: String,
    /// Its items.
    items: Vec<Item>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Item {
    /// Where it leads.
    href: String,
    /// Tool behind it.
    tool: &'static str,
    /// Title as it is shown.
    title: String,
    /// Title when nobody gave it another.
    default_title: String,
    /// Whether it is shown: false for hidden items.
    enabled: bool,
}

async fn navigation(ctx: &mut Ctx, input: ShowInput) -> Result<Navigation> {
    let locale = locale(ctx, input.locale.as_deref()).await?;
    let settings = arranged(ctx, locale).await?;
    let bureau = ctx.bureau().clone();
    let principal = ctx.principal().clone();
    let mut groups: Vec<Group> = Vec::new();
    for entry in bureau.registry.entries() {
        let tool = &entry.tool;
        // What can be opened with no argument: lists and overviews. Worksection's names repeat the lists of others.
        let opens = !tool.writes()
            && entry.toolset != DISCOVERY
            && entry.toolset != "worksection"
            && tool.input_schema().get("required").is_none_or(|required| required.as_array().is_none_or(Vec::is_empty))
            && tool.name.ends_with("_list");
        if !opens || !bureau.admits(&principal, ctx.selection(), entry) {
            continue;
        }
        let href = format!("/console#/tools/{}", tool.name);
        let item = Item {
            title: settings.item_labels.get(&href).cloned().unwrap_or_else(|| tool.title.to_owned()),
            default_title: tool.title.to_owned(),
            enabled: !settings.hidden_items.contains(&href),
            tool: tool.name,
            href,
        };
        match groups.iter_mut().find(|group| group.id == entry.toolset) {
            Some(group) => group.items.push(item),
            None => {
                let default_name = sentence(entry.toolset);
                let name = settings.group_labels.get(entry.toolset).cloned().unwrap_or_else(|| default_name.clone());
                groups.push(Group { id: entry.toolset.to_owned(), name, default_name, items: vec![item] });
            }
        }
    }
    let place = |group: &Group| settings.group_order.iter().position(|id| *id == group.id).unwrap_or(usize::MAX);
    groups.sort_by_key(place);
    Ok(Navigation { groups })
}

fn sentence(text: &str) -> String {
    let text = text.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
