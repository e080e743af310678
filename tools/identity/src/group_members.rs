//! Who is in a group: rows that are added and taken away one by one.

use std::collections::HashMap;

use bureau_kit::prelude::*;

use crate::groups::{DEPARTMENT, GROUP_MEMBERS, GROUPS, Group};
use crate::users::{USERS, User};

/// The users that a caller names for a group, each once.
pub(crate) async fn named(ctx: &mut Ctx, argument: &str, ids: &[Id<User>]) -> Result<Vec<Uuid>> {
    let mut users = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        let user = ctx.reference(&format!("{argument}/{index}"), *id).await?;
        if !users.contains(&user) {
            users.push(user);
        }
    }
    Ok(users)
}

/// Puts users in and takes others out until a group has exactly these. Inferred: unlike CCRM's groups, Intum's let a person be
/// in several of a kind.
pub(crate) async fn set(ctx: &mut Ctx, group: &Record, wanted: &[Uuid]) -> Result<()> {
    let mut sql = ctx.from(&GROUP_MEMBERS);
    sql.and_eq("group_id", group.id).push(" ORDER BY created_at, id");
    let present = ctx.records(&GROUP_MEMBERS, &sql).await?;
    let mut changed = Vec::new();
    for row in &present {
        if let Some(user) = row.id_of("user_id").filter(|user| !wanted.contains(user)) {
            ctx.delete(row).await?;
            changed.push(user);
        }
    }
    for user in wanted {
        if !present.iter().any(|row| row.id_of("user_id") == Some(*user)) {
            ctx.insert(&GROUP_MEMBERS, Values::new().with("group_id", group.id).with("user_id", *user)).await?;
            changed.push(*user);
        }
    }
    if group.text("kind") == DEPARTMENT {
        for user in changed {
            follow_department(ctx, user).await?;
        }
    }
    Ok(())
}

/// The department that a user's row names is one that the user is in: the first, unless the present one still is.
async fn follow_department(ctx: &mut Ctx, user: Uuid) -> Result<()> {
    let sql = Sql::with(
        "SELECT groups.id FROM group_members JOIN groups ON groups.id = group_members.group_id AND groups.kind = 'department' \
         WHERE group_members.tenant_id = $1 AND group_members.user_id = $2 ORDER BY groups.num",
        [ctx.tenant_id().into(), user.into()],
    );
    let joined: Vec<Uuid> = ctx.rows(&sql).await?.iter().map(|row| row.get(0)).collect::<Result<_>>()?;
    let Some(user) = ctx.find_in(&USERS, Key::Uuid(user)).await? else { return Ok(()) };
    let present = user.id_of("department_id").filter(|id| joined.contains(id));
    let department = present.or(joined.first().copied());
    ctx.update(&user, Values::new().with("department_id", department)).await.map(drop)
}

/// The members of several groups, by group.
pub(crate) async fn of(ctx: &mut Ctx, groups: &[Record]) -> Result<HashMap<Uuid, Vec<String>>> {
    let mut sql = ctx.from(&GROUP_MEMBERS);
    sql.and_in("group_id", groups.iter().map(|group| group.id)).push(" ORDER BY created_at, id");
    let mut members: HashMap<Uuid, Vec<String>> = HashMap::new();
    for row in ctx.records(&GROUP_MEMBERS, &sql).await? {
        if let (Some(group), Some(user)) = (row.id_of("group_id"), row.id_of("user_id")) {
            members.entry(group).or_default().push(user.to_string());
        }
    }
    Ok(members)
}

/// A group of one kind; of another kind it is not there.
pub(crate) async fn fetch(ctx: &mut Ctx, kind: &'static str, noun: &str, id: Id<Group>) -> Result<Record> {
    match ctx.find_in(&GROUPS, id.key()).await? {
        Some(group) if group.text("kind") == kind => ctx.fetch(id).await,
        _ => Err(Error::not_found(noun, id.key())),
    }
}

/// A page of the groups of one kind.
pub(crate) async fn page(ctx: &mut Ctx, kind: &'static str, wanted: &Wanted) -> Result<Page<Record>> {
    let (page, page_size) = page::Wanted { page: wanted.page, page_size: wanted.page_size }.checked()?;
    let filtered = |mut sql: Sql| {
        sql.and_eq("kind", kind);
        if let Some(active) = wanted.active {
            sql.and_eq("active", active);
        }
        if let Some(words) = wanted.q.as_deref().filter(|words| !words.trim().is_empty()) {
            sql.and_contains(words);
        }
        sql
    };
    let counted = filtered(ctx.select("1", &GROUPS));
    let mut rows = filtered(ctx.from(&GROUPS));
    page::order(&mut rows, "folded", false, false);
    page::fetch(ctx, &GROUPS, page::Query { rows, counted, page, page_size }).await
}

/// Which groups a list shows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Words to find in the name, whatever the case and diacritics.
    q: Option<String>,
    /// Only those in use, or only those that are not.
    active: Option<bool>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 when left out.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

/// Which groups a search finds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    /// Part of the name, whatever the case and diacritics; all when left out.
    q: Option<String>,
}

/// What a search finds.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Found {
    /// At most 20, by name.
    items: Vec<FoundRow>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FoundRow {
    /// UUID.
    id: String,
    /// Number in the tenant.
    num: Option<i64>,
    /// Name.
    name: String,
}

/// The first groups in use whose name has the words.
pub(crate) async fn search(ctx: &mut Ctx, kind: &'static str, input: Search) -> Result<Found> {
    let mut sql = ctx.from(&GROUPS);
    sql.and_eq("kind", kind).push(" AND active");
    if let Some(words) = input.q.filter(|words| !words.trim().is_empty()) {
        sql.and_contains(&words);
    }
    sql.push(" ORDER BY folded, id LIMIT 20");
    let row =
        |group: Record| FoundRow { id: group.id.to_string(), num: group.num, name: group.text("name").to_owned() };
    Ok(Found { items: ctx.records(&GROUPS, &sql).await?.into_iter().map(row).collect() })
}

/// Which group.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ById {
    /// UUID or number.
    pub(crate) id: Id<Group>,
}

/// What a deletion answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Deleted {
    /// Always true.
    pub(crate) ok: bool,
    /// UUID of what is gone.
    pub(crate) id: String,
}

/// A name that may be given.
pub(crate) fn checked_name(name: &str) -> Result<String> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 200 {
        return Err(Error::invalid("/name", "expected text of 1 to 200 characters"));
    }
    Ok(name.to_owned())
}

/// A text that may be given; blank text is none.
pub(crate) fn checked_text(name: &str, text: Option<String>, max: usize) -> Result<Option<String>> {
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    match text {
        Some(text) if text.chars().count() > max => {
            Err(Error::invalid(format!("/{name}"), format!("is longer than {max} characters")))
        }
        text => Ok(text),
    }
}
