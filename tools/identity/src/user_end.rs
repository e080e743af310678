//! Blocking and deleting users, and who is protected from it.

use bureau_kit::guards::{Guard, stands};
use bureau_kit::prelude::*;
use bureau_kit::rights::Credential;
use bureau_kit::table::RowChange;

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

/// A tenant always has an owner who may act, and the installation an administrator: whatever the call was, a batch, an
/// undo or a redo included. The one who remains is locked, so that two cannot resign at the same moment.
pub(crate) async fn keep_owners(ctx: &mut Ctx, rows: &[RowChange]) -> Result<()> {
    if let Some(name) = rows.iter().find_map(|row| lost(row, |user| user.get("role") == Some(&json!("owner")))) {
        let mut sql = ctx.from_tenant(&USERS);
        sql.and_eq("role", "owner").push(" AND active ORDER BY id");
        if stands(Guard::LastOwner) && ctx.first(&USERS, sql).await?.is_none() {
            return Err(Error::conflict(format!(
                "{name} is the last owner. Make someone else owner first (user_update with role owner)."
            )));
        }
    }
    let administers = |user: &Map<String, Value>| user.get("is_super_admin") == Some(&json!(true));
    if let Some(name) = rows.iter().find_map(|row| lost(row, administers)) {
        let sql = Sql::new("SELECT id FROM users WHERE is_super_admin AND active ORDER BY id LIMIT 1");
        if ctx.held_rows_of_all_tenants(sql).await?.is_empty() {
            return Err(Error::conflict(format!(
                "{name} is the last who administers the installation. Make someone else super admin first (user_acl_update)."
            )));
        }
    }
    Ok(())
}

/// The name of a user who could act as something before a call, and cannot any more.
fn lost(row: &RowChange, is: impl Fn(&Map<String, Value>) -> bool) -> Option<String> {
    let acts = |user: &&Map<String, Value>| user.get("active") == Some(&json!(true)) && is(user);
    let before = row.before.as_ref().filter(acts)?;
    if row.after.as_ref().filter(acts).is_some() {
        return None;
    }
    Some(before.get("name").and_then(Value::as_str).unwrap_or("This user").to_owned())
}

/// Ends every session of a user at once.
pub(crate) async fn end_sessions(ctx: &mut Ctx, user: Uuid) -> Result<usize> {
    let mut sql = ctx.from_tenant(&sessions::SESSIONS);
    sql.and_eq("user_id", user).push(" AND revoked_at IS NULL ORDER BY id");
    sessions::end_all(ctx, &sql).await
}

/// Ends the sessions of a user but the one of this call, and what that was minted from: whoever knew the old password may
/// have one of the others.
pub(crate) async fn end_other_sessions(ctx: &mut Ctx, user: Uuid) -> Result<usize> {
    let principal = ctx.principal().clone();
    let mut kept = principal.ancestry.clone();
    if let Credential::Session(own) = principal.credential {
        kept.push(own);
    }
    let mut sql = ctx.from_tenant(&sessions::SESSIONS);
    sql.and_eq("user_id", user).push(" AND revoked_at IS NULL");
    for own in kept {
        sql.push(" AND id <> ").bind(own);
    }
    sql.push(" ORDER BY id");
    sessions::end_all(ctx, &sql).await
}
