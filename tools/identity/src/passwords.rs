//! Passwords as they are stored, and asking for the present one before something important.

use bureau_kit::password;
use bureau_kit::prelude::*;

use crate::login;

/// Stores a password's hash: a row of its own that the journal does not see. Undo puts back the pointer to the one before.
pub(crate) async fn store(ctx: &mut Ctx, hash: String, values: &mut Values) -> Result<()> {
    let id = ctx.new_id();
    let sql = Sql::with(
        "INSERT INTO credentials (id, tenant_id, password_hash, created_at) VALUES ($1, $2, $3, $4)",
        [id.into(), ctx.tenant_id().into(), hash.into(), ctx.now().into()],
    );
    ctx.write_secret(&sql).await?;
    values.set("credential_id", id.to_string());
    Ok(())
}

/// Checks a new password against the rule, as the argument it came in.
pub(crate) fn check_new(path: &str, password: &str) -> Result<()> {
    password::check(password).map_err(|message| Error::invalid(path, message))
}

/// The hash of a new password, worked out while others may write. Comes before the first change of a call.
pub(crate) async fn hashed(ctx: &mut Ctx, password: String) -> Result<String> {
    ctx.aside(move || password::hash(&password)).await?
}

/// Refuses unless this is the user's present password. Guesses count as those of signing in do.
pub(crate) async fn check_current(ctx: &mut Ctx, user: &Record, password: String) -> Result<()> {
    let address = user.text("email_folded").to_owned();
    login::refuse_guessing(ctx, &address)?;
    let Ok(id) = Uuid::try_parse(user.text("credential_id")) else {
        return Err(Error::conflict(
            "You have no password yet. Have a link to set one sent to your address with password_reset_request.",
        ));
    };
    let sql = Sql::with(
        "SELECT password_hash FROM credentials WHERE tenant_id = $1 AND id = $2",
        [ctx.tenant_id().into(), id.into()],
    );
    let rows = ctx.rows(&sql).await?;
    let hash: String = rows.first().ok_or_else(|| Error::internal("a password has no row"))?.get(0)?;
    if ctx.aside(move || password::verify(&password, &hash)).await? {
        ctx.bureau().attempts.clear(("account", &address));
        return Ok(());
    }
    login::count_guess(ctx, &address);
    Err(Error::invalid("/current_password", "is not your present password"))
}
