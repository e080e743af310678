//! Linking customers with users who have the same e-mail address (the iblai CRM's rule, for users of every origin).

use bureau_kit::prelude::*;

/// Links the active, unlinked persons whose primary address is this one, whatever its case: they get the user and stop
/// being active. The table belongs to a higher group and is found by name, so that nothing here depends on it.
pub(crate) async fn link(ctx: &mut Ctx, user: Uuid, email: &Email) -> Result<()> {
    let bureau = ctx.bureau().clone();
    let Some(parties) = bureau.registry.table("parties") else { return Ok(()) };
    let mut sql = ctx.from(parties);
    sql.and_eq("kind", "person").and_eq("primary_email_folded", email.folded());
    sql.push(" AND active AND platform_user_id IS NULL ORDER BY id");
    for person in ctx.records(parties, &sql).await? {
        ctx.update(&person, Values::new().with("platform_user_id", user).with("active", false)).await?;
    }
    Ok(())
}
