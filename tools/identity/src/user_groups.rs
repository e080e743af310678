//! User groups (Intum): people that something is meant for together, such as a shared mailbox.

use bureau_kit::prelude::*;

use crate::group_members::{self, ById, Deleted, Found, Search, Wanted, checked_name, checked_text};
use crate::groups::{self, GROUPS, Group};
use crate::users::User;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("group_list", VIEW, list)
            .or_right(MANAGE)
            .title("List user groups")
            .about(
                "List the groups of users with their members. Departments are department_list, teams that work is assigned to are \
                 team_list.",
            )
            .synonyms("user groups mailing grupy użytkowników групи користувачів"),
        Tool::read("group_show", VIEW, show)
            .or_right(MANAGE)
            .title("Show a user group")
            .about("Show one group of users with its members.")
            .synonyms("members grupa użytkowników członkowie група учасники"),
        Tool::create("group_create", MANAGE, create)
            .on(&GROUPS)
            .title("Create a user group")
            .about("Add a group of users. Needs a name that no other group has, and at least one user.")
            .synonyms("new group dodaj grupę użytkowników створити групу"),
        Tool::update("group_update", MANAGE, update)
            .on(&GROUPS)
            .title("Change a user group")
            .about("Change a group's name, description, use, activity or members; user_ids is the whole list, and one must stay.")
            .synonyms("members rename zmień grupę członków змінити групу"),
        Tool::delete("group_delete", MANAGE, delete)
            .on(&GROUPS)
            .title("Delete a user group")
            .about("Delete a group of users with its memberships; the people stay.")
            .synonyms("remove usuń grupę видалити групу"),
        Tool::read("group_search", VIEW, search)
            .or_right(MANAGE)
            .title("Find a user group")
            .about("Find groups in use by a part of the name; answers at most 20 with id and name only.")
            .synonyms("lookup znajdź grupę знайти групу"),
    ]
}

const VIEW: &str = "groups.view";
const MANAGE: &str = "groups.manage";
const KIND: &str = "user_group";
const NOUN: &str = "group";

#[derive(Debug, Serialize, JsonSchema)]
struct GroupRow {
    /// UUID of the group.
    id: String,
    /// Number in the tenant.
    num: Option<i64>,
    /// Name.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// What it is used for, such as mail.
    kind: String,
    /// Whether it is in use.
    active: bool,
    /// UUIDs of its members.
    user_ids: Vec<String>,
    /// UUID of the organization it belongs to; null for the whole tenant.
    organization_id: Option<String>,
    /// Grows with every change of the group itself.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

impl GroupRow {
    fn new(group: &Record, user_ids: Vec<String>) -> Result<Self> {
        Ok(Self {
            id: group.id.to_string(),
            num: group.num,
            name: group.text("name").to_owned(),
            description: group.get("description")?,
            kind: group.get::<Option<String>>("used_for")?.unwrap_or_else(|| USUAL.to_owned()),
            active: group.flag("active"),
            user_ids,
            organization_id: group.organization_id.map(|id| id.to_string()),
            version: group.version,
            created_at: group.created_at,
            updated_at: group.updated_at,
        })
    }

    async fn of(ctx: &mut Ctx, group: Record) -> Result<Self> {
        let members = group_members::of(ctx, std::slice::from_ref(&group)).await?.remove(&group.id);
        Self::new(&group, members.unwrap_or_default())
    }
}

/// The one use that Intum documents.
const USUAL: &str = "mail";

async fn list(ctx: &mut Ctx, input: Wanted) -> Result<Page<GroupRow>> {
    let found = group_members::page(ctx, KIND, &input).await?;
    let mut members = group_members::of(ctx, &found.items).await?;
    found.try_map(|group| GroupRow::new(&group, members.remove(&group.id).unwrap_or_default()))
}

async fn show(ctx: &mut Ctx, input: ById) -> Result<GroupRow> {
    let group = group_members::fetch(ctx, KIND, NOUN, input.id).await?;
    GroupRow::of(ctx, group).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// Name, unique among the groups.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// What it is for.
    #[schemars(length(max = 2000))]
    description: Option<String>,
    /// What it is used for; mail when left out.
    #[schemars(length(max = 60))]
    kind: Option<String>,
    /// Whether it is in use; true when left out.
    active: Option<bool>,
    /// Its members, at least one.
    #[schemars(length(min = 1, max = 1000))]
    user_ids: Vec<Id<User>>,
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<GroupRow> {
    let users = members(ctx, &input.user_ids).await?;
    let values = Values::new()
        .with("kind", KIND)
        .with("name", checked_name(&input.name)?)
        .with("description", checked_text("description", input.description, 2000)?)
        .with("used_for", checked_text("kind", input.kind, 60)?.unwrap_or_else(|| USUAL.to_owned()))
        .with("active", input.active.unwrap_or(true));
    let group = groups::add(ctx, values).await?;
    group_members::set(ctx, &group, &users).await?;
    GroupRow::of(ctx, group).await
}

async fn members(ctx: &mut Ctx, ids: &[Id<User>]) -> Result<Vec<Uuid>> {
    if ids.is_empty() || ids.len() > 1000 {
        return Err(Error::invalid("/user_ids", "expected 1 to 1000 users: a group has at least one"));
    }
    group_members::named(ctx, "user_ids", ids).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// UUID or number of the group.
    id: Id<Group>,
    /// New name, unique among the groups.
    #[schemars(length(min = 1, max = 200))]
    name: Option<String>,
    /// What it is for; null clears it.
    #[serde(default)]
    description: Patch<String>,
    /// What it is used for.
    #[schemars(length(max = 60))]
    kind: Option<String>,
    /// Whether it is in use.
    active: Option<bool>,
    /// All its members, at least one.
    #[schemars(length(min = 1, max = 1000))]
    user_ids: Option<Vec<Id<User>>>,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<GroupRow> {
    let before = group_members::fetch(ctx, KIND, NOUN, input.id).await?;
    let mut values = Values::new();
    if let Some(name) = &input.name {
        values.set("name", checked_name(name)?);
    }
    if let Some(description) = input.description.change() {
        values.set("description", checked_text("description", description, 2000)?);
    }
    if let Some(kind) = checked_text("kind", input.kind, 60)? {
        values.set("used_for", kind);
    }
    if let Some(active) = input.active {
        values.set("active", active);
    }
    let users = match &input.user_ids {
        Some(ids) => Some(members(ctx, ids).await?),
        None => None,
    };
    let group = groups::change(ctx, &before, values).await?;
    if let Some(users) = users {
        group_members::set(ctx, &group, &users).await?;
    }
    GroupRow::of(ctx, group).await
}

async fn delete(ctx: &mut Ctx, input: ById) -> Result<Deleted> {
    let group = group_members::fetch(ctx, KIND, NOUN, input.id).await?;
    family::remove(ctx, &group).await?;
    Ok(Deleted { ok: true, id: group.id.to_string() })
}

async fn search(ctx: &mut Ctx, input: Search) -> Result<Found> {
    group_members::search(ctx, KIND, input).await
}
