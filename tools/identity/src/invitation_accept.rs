//! Accepting an invitation: with the token of its mail, somebody becomes a user, or sets the first password of one.

use bureau_kit::prelude::*;
use bureau_kit::token::{self, TokenKind};

use crate::invitations::INVITATIONS;
use crate::user_fields::complete_name;
use crate::users::{USERS, with_email};
use crate::{passwords, person_link};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::action("invitation_accept", "", accept)
            .public()
            .irreversible("a user who should not be there is taken away by user_delete")
            .title("Accept an invitation")
            .about(
                "Accept an invitation with the token from its mail, and set a password. Needs no other token. Makes the user, or \
                 gives one who was added already the first password. Sign in with session_login afterwards.",
            )
            .synonyms("join invite mail token przyjmij zaproszenie dołącz прийняти запрошення приєднатися"),
    ]
}

/// How long an invitation can be accepted (Inferred: no source names an end).
const DAYS: i64 = 30;
/// Wrong tokens from one network address in a quarter of an hour.
const WRONG_TOKENS: u32 = 20;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AcceptInput {
    /// The token from the mail.
    #[schemars(length(max = 100))]
    token: String,
    /// The password to sign in with: at least 6 characters, a digit, a capital letter and a special character.
    #[schemars(length(max = 256))]
    password: String,
    /// First name, of somebody who is no user yet.
    #[schemars(length(max = 100))]
    first_name: Option<String>,
    /// Last name, of somebody who is no user yet.
    #[schemars(length(max = 100))]
    last_name: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Accepted {
    /// Always true.
    ok: bool,
    /// UUID of the user.
    user_id: String,
    /// Address to sign in with.
    email: String,
    /// Where to go on: signing in.
    redirect: String,
}

async fn accept(ctx: &mut Ctx, input: AcceptInput) -> Result<Accepted> {
    passwords::check_new("/password", &input.password)?;
    let (attempts, now, network) = (&ctx.bureau().attempts, ctx.now(), ctx.origin().address);
    attempts.check(("invitation token", network), WRONG_TOKENS, now)?;
    let Some((tenant, invitation)) = found(ctx, input.token.trim()).await? else { return Err(unusable(ctx)) };
    let hash = passwords::hashed(ctx, input.password).await?;
    ctx.act_in(tenant, None, "invitation").await?;
    // Hashing took its time: what counts is what is there now. The row is locked, so that of two at once one is late.
    let invitation = ctx.find_in(&INVITATIONS, Key::Uuid(invitation)).await?.filter(|found| found.flag("active"));
    let Some(invitation) = invitation else { return Err(unusable(ctx)) };
    let email = Email::parse(invitation.text("email")).map_err(Error::internal)?;
    let known = match invitation.id_of("user_id") {
        Some(user) => Some(user),
        None => with_email(ctx, &email).await?,
    };
    let user = match known {
        Some(user) => first_password(ctx, user, hash).await?,
        None => {
            let mut values = Values::new()
                .with("email", email.as_str())
                .with("email_folded", email.folded())
                .with("role", invitation.text("role"))
                .with("active", true);
            for (column, name) in [("first_name", &input.first_name), ("last_name", &input.last_name)] {
                if let Some(name) = name.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
                    values.set(column, name);
                }
            }
            complete_name(None, &email, &mut values);
            passwords::store(ctx, hash, &mut values).await?;
            let user = ctx.insert(&USERS, values).await?;
            person_link::link(ctx, user.id, &email).await?;
            user
        }
    };
    let accepted = Values::new().with("active", false).with("accepted_at", now).with("user_id", user.id);
    ctx.update(&invitation, accepted).await?;
    Ok(Accepted {
        ok: true,
        user_id: user.id.to_string(),
        email: user.text("email").to_owned(),
        redirect: "/console".to_owned(),
    })
}

/// The password of somebody who was added before. One who has a password keeps it: an old mail must not change it.
async fn first_password(ctx: &mut Ctx, user: Uuid, hash: String) -> Result<Record> {
    let user = ctx.find_in(&USERS, Key::Uuid(user)).await?.filter(|user| user.flag("active"));
    let Some(user) = user else { return Err(unusable(ctx)) };
    if !user.text("credential_id").is_empty() {
        return Err(Error::conflict(
            "You have a password already. Sign in with it, or ask for a new one with password_reset_request.",
        ));
    }
    let mut values = Values::new();
    passwords::store(ctx, hash, &mut values).await?;
    ctx.update(&user, values).await
}

/// The tenant and the invitation that a token belongs to. The database compares hashes: how near a guess came shows nowhere.
async fn found(ctx: &mut Ctx, token: &str) -> Result<Option<(Uuid, Uuid)>> {
    if token::kind_of(token) != Some(TokenKind::Invitation) {
        return Ok(None);
    }
    let oldest = ctx.now().plus_minutes(-DAYS * 24 * 60);
    let sql = Sql::with(
        "SELECT invitations.tenant_id, invitations.id FROM invitations \
         JOIN tenants ON tenants.id = invitations.tenant_id AND tenants.is_active \
         WHERE token_hash = $1 AND active AND invitations.created_at > $2",
        [Val::Bytes(token::hash(token).to_vec()), oldest.into()],
    );
    let rows = ctx.rows_of_all_tenants(&sql).await?;
    rows.first().map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
}

fn unusable(ctx: &Ctx) -> Error {
    ctx.bureau().attempts.count(("invitation token", ctx.origin().address), ctx.now());
    Error::invalid(
        "/token",
        "is not valid: it is unknown, used already, or older than 30 days. Ask whoever invited you for another",
    )
}
