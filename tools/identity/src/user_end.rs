//! Blocking and deleting users, and who is protected from it.

use bureau_kit::guards::{Guard, stands};
use bureau_kit::prelude::*;

use crate::user_rows::UserRow;
use crate::users::{USERS, User};
use crate::{api_keys, grants, sessions};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserInput {
    /// UUID or number of the user.
    #[serde(alias = "uuid")]
    id: Id<User>,
}

pub(crate) async fn block(ctx: &mut Ctx, input: UserInput) -> Result<UserRow> {
    let user = ctx.fetch(input.id).await?;
    refuse_protected(ctx, &user, "blocked")?;
    grants::refuse_above(ctx, &user).await?;
    let blocked = ctx.update(&user, Values::new().with("active", false)).await?;
    end_sessions(ctx, user.id).await?;
    UserRow::of(ctx, &blocked).await
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Deleted {
    /// Always true.
    ok: bool,
    /// UUID of the user who was deleted.
    id: String,
}

pub(crate) async fn delete(ctx: &mut Ctx, input: UserInput) -> Result<Deleted> {
    let user = ctx.fetch(input.id).await?;
    refuse_protected(ctx, &user, "deleted")?;
    grants::refuse_above(ctx, &user).await?;
    // Tokens end but stay as rows without a user, so that undo brings the user back whole: a deleted row with a secret
    // could not come back.
    end_sessions(ctx, user.id).await?;
    api_keys::end_of_user(ctx, user.id).await?;
    ctx.delete(&user).await?;
    Ok(Deleted { ok: true, id: user.id.to_string() })
}

/// Owners, permanent users and the caller stay (unified-model.md, conflict 3).
pub(crate) fn refuse_protected(ctx: &Ctx, user: &Record, what: &str) -> Result<()> {
    if !stands(Guard::ProtectedUser) {
        return Ok(());
    }
    let name = user.text("name");
    if user.flag("is_permanent") {
        return Err(Error::conflict(format!("{name} is a permanent user and cannot be {what}.")));
    }
    if user.text("role") == "owner" {
        return Err(Error::conflict(format!(
            "{name} is an owner and cannot be {what}. Give the person another role first (user_update), while someone else is owner."
        )));
    }
    if ctx.principal().user_id == Some(user.id) {
        return Err(Error::conflict(format!("You cannot be {what} by yourself. Ask another administrator.")));
    }
    Ok(())
}

/// A tenant always has an owner who may act.
pub(crate) async fn refuse_last_owner(ctx: &mut Ctx, user: &Record) -> Result<()> {
    // Locked, so that two owners cannot resign at the same moment.
    let mut sql = ctx.from(&USERS);
    sql.and_eq("role", "owner").push(" AND active AND id <> ").bind(user.id).push(" ORDER BY id");
    match ctx.first(&USERS, sql).await? {
        Some(_) => Ok(()),
        None if !stands(Guard::LastOwner) => Ok(()),
        None => Err(Error::conflict(format!(
            "{} is the last owner. Make someone else owner first (user_update with role owner).",
            user.text("name")
        ))),
    }
}

/// Ends every session of a user at once, and what was made from them.
pub(crate) async fn end_sessions(ctx: &mut Ctx, user: Uuid) -> Result<()> {
    let mut sql = ctx.from(&sessions::SESSIONS);
    sql.and_eq("user_id", user).push(" AND revoked_at IS NULL ORDER BY id");
    sessions::end_all(ctx, &sql).await
}
