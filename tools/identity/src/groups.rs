//! Departments, user groups and positions. CCRM gives each user at most one group of a type.

use bureau_kit::prelude::*;

/// What kinds of groups there are.
pub(crate) const KINDS: &[&str] = &["department", "user_group", "position"];

/// The kind of departments.
pub(crate) const DEPARTMENT: &str = "department";

/// A department, user group or position.
#[derive(Debug)]
pub struct Group;
impl Kind for Group {
    const TABLE: &'static Table = &GROUPS;
}

pub(crate) static GROUPS: Table = Table::new(
    "groups",
    "group",
    "A department, user group or position.",
    &[
        Column::choice("kind", KINDS, "What it is.").required().fixed(),
        Column::text("name", "Name of the group.").max(200).required().search(),
        Column::text("description", "What it is for.").max(2000),
        Column::text("phone", "Telephone number."),
        Column::email("email", "E-mail address."),
        Column::flag("is_main", "The main one of its kind."),
        Column::flag("active", "Whether it is in use.").default("true"),
        Column::text("used_for", "What a user group is used for, such as mail (Intum's kind).").max(60),
        Column::json("fields", "Additional values of a department."),
        // Compared instead of the name itself; never shown, since it says nothing new.
        Column::text("name_key", "Name in lower case.").hidden(),
    ],
)
.rule(rule);

pub(crate) static GROUP_MEMBERS: Table = Table::new(
    "group_members",
    "group_member",
    "A user's place in a group.",
    &[
        Column::reference("group_id", "groups", OnDelete::Cascade, "The group.").required().fixed(),
        Column::reference("user_id", "users", OnDelete::Cascade, "The member.").required().fixed(),
    ],
)
.unnumbered()
.tenant_wide();

/// Names are unique among the groups of a kind, in the whole tenant and whatever their case.
fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let Some(name) = draft.values.text("name") else { return Ok(()) };
        let key = name.trim().to_lowercase();
        let kind = match (draft.values.text("kind"), draft.before) {
            (Some(kind), _) => kind.to_owned(),
            (None, Some(before)) => before.text("kind").to_owned(),
            (None, None) => return Err(Error::internal("a group of no kind")),
        };
        // Whatever the caller's organizations: a name that is taken elsewhere is taken.
        let sql = Sql::with(
            "SELECT id, name FROM groups WHERE tenant_id = $1 AND kind = $2 AND folded = $3",
            [ctx.tenant_id().into(), kind.as_str().into(), fold(name).into()],
        );
        for row in ctx.rows(&sql).await? {
            let (id, present): (Uuid, String) = (row.get(0)?, row.get(1)?);
            if present.trim().to_lowercase() == key && draft.before.is_none_or(|before| before.id != id) {
                let kind = kind.replace('_', " ");
                return Err(Error::conflict(format!(
                    "There is a {kind} called {present} already. Choose another name."
                ))
                .with("columns", "name"));
            }
        }
        draft.values.set("name_key", key);
        Ok(())
    })
}

/// Stores a new group by its rule. Another call may take the name meanwhile: then this one runs again, and is told so.
pub(crate) async fn add(ctx: &mut Ctx, mut values: Values) -> Result<Record> {
    rule(ctx, Draft { event: Event::Create, before: None, values: &mut values }).await?;
    ctx.insert(&GROUPS, values).await.map_err(Error::lost_race)
}

/// Changes a group in the same way.
pub(crate) async fn change(ctx: &mut Ctx, before: &Record, mut values: Values) -> Result<Record> {
    rule(ctx, Draft { event: Event::Update, before: Some(before), values: &mut values }).await?;
    ctx.update(before, values).await.map_err(Error::lost_race)
}

/// The group of a kind with this name, whatever the case and outer spaces.
pub(crate) async fn named(ctx: &mut Ctx, kind: &'static str, name: &str) -> Result<Option<Record>> {
    let mut sql = ctx.from(&GROUPS);
    sql.and_eq("kind", kind).and_eq("folded", fold(name)).push(" ORDER BY num");
    let wanted = name.trim().to_lowercase();
    let found = ctx.records(&GROUPS, &sql).await?;
    Ok(found.into_iter().find(|group| group.text("name").trim().to_lowercase() == wanted))
}
