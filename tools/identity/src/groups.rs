//! Departments, user groups and positions. CCRM gives each user at most one group of a type.

use bureau_kit::prelude::*;

/// What kinds of groups there are.
pub(crate) const KINDS: &[&str] = &["department", "user_group", "position"];

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
    ],
);

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

/// The group of a kind with this name, whatever the case and outer spaces.
pub(crate) async fn named(ctx: &mut Ctx, kind: &'static str, name: &str) -> Result<Option<Record>> {
    let mut sql = ctx.from(&GROUPS);
    sql.and_eq("kind", kind).and_eq("folded", fold(name)).push(" ORDER BY num");
    let wanted = name.trim().to_lowercase();
    let found = ctx.records(&GROUPS, &sql).await?;
    Ok(found.into_iter().find(|group| group.text("name").trim().to_lowercase() == wanted))
}
