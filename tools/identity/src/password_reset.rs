//! A new password by mail, for somebody who cannot sign in. Nobody learns from it whether there is an account.

use bureau_kit::db::Tx;
use bureau_kit::mail::{Draft, Letter, Request};
use bureau_kit::prelude::*;
use bureau_kit::token::{self, TokenKind};

use crate::users::USERS;
use crate::{passwords, user_end};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::action("password_reset_request", "", request)
            .public()
            .silent()
            .open_world()
            .irreversible("a mail that was sent cannot be called back; its link ends by itself after 60 minutes")
            .title("Ask for a new password")
            .about(
                "Have a link to set a new password sent to an e-mail address. Needs no token. Answers the same whether or not \
                 there is an account; the link is good once, for 60 minutes. Go on with password_reset_confirm.",
            )
            .synonyms("forgot password lost mail link zapomniane hasło odzyskaj resetuj забув пароль відновити скинути"),
        Tool::action("password_reset_confirm", "", confirm)
            .public()
            .irreversible("a password is changed again with profile_update or password_reset_request")
            .title("Set a new password")
            .about(
                "Set a new password with the token from the mail of password_reset_request. Needs no other token. Ends all \
                 sessions of the user; sign in with session_login afterwards.",
            )
            .synonyms("reset token new password ustaw nowe hasło potwierdź встановити новий пароль підтвердити"),
    ]
}

/// Life of the link, from the moment at which the mail is sent.
const MINUTES: i64 = 60;
/// How long after it was asked for a mail may still be sent.
const WAITING_MINUTES: i64 = 24 * 60;
/// Mails to one address in a quarter of an hour.
const MAILS_TO_ADDRESS: u32 = 3;
/// Requests from one network address in a quarter of an hour: an office may sit behind one.
const REQUESTS_FROM_NETWORK: u32 = 30;
/// Wrong tokens from one network address in a quarter of an hour.
const WRONG_TOKENS: u32 = 20;
/// Name of the mail's template.
const TEMPLATE: &str = "password_reset";

pub(crate) static PASSWORD_RESETS: Table = Table::new(
    "password_resets",
    "password_reset",
    "A link to set a new password.",
    &[
        // Cleared, not deleted with the user: a row with a secret could not come back when the deletion is undone.
        Column::reference("user_id", "users", OnDelete::Clear, "Whose password.").computed(),
        Column::email("email", "Address the mail goes to.").required().computed(),
        Column::text("token_hash", "Hash of the token in the mail that was sent last.").secret(),
        // Set beside the journal, when the mail is sent.
        Column::instant("expires_at", "When the token ends; null before the mail is sent.").hidden(),
        Column::instant("used_at", "When it was used, or another one was.").computed(),
    ],
)
.unnumbered()
.tenant_wide();

/// The mail with the link to a new password.
#[derive(Debug)]
pub(crate) struct PasswordResetLetter;

impl Letter for PasswordResetLetter {
    fn template(&self) -> &'static str {
        TEMPLATE
    }

    /// Not wanted any more when the link was used, the user is blocked or gone, or too much time went by.
    fn write<'a>(&'a self, tx: &'a mut Tx, request: &'a Request<'a>) -> BoxFuture<'a, Result<Option<Draft>>> {
        Box::pin(async move {
            let token = token::mint(TokenKind::PasswordReset);
            let sql = Sql::with(
                "UPDATE password_resets SET token_hash = $1, expires_at = $2 WHERE tenant_id = $3 AND id = $4 AND used_at IS NULL \
                 AND created_at > $5 AND user_id IN (SELECT id FROM users WHERE tenant_id = $3 AND active) RETURNING email",
                [
                    Val::Bytes(token::hash(&token).to_vec()),
                    request.now.plus_minutes(MINUTES).into(),
                    request.tenant_id.into(),
                    request.subject_id.into(),
                    request.now.plus_minutes(-WAITING_MINUTES).into(),
                ],
            );
            let rows = tx.query(&sql).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let to: String = row.get(0)?;
            let tenant = Sql::with("SELECT name FROM tenants WHERE id = $1", [request.tenant_id.into()]);
            let rows = tx.query(&tenant).await?;
            let tenant: String = rows.first().ok_or_else(|| Error::internal("the tenant has no row"))?.get(0)?;
            Ok(Some(Draft {
                to,
                locale: request.payload.get("locale").and_then(Value::as_str).map(str::to_owned),
                link: Some(format!("/console#reset={token}")),
                values: vec![("tenant", tenant), ("minutes", MINUTES.to_string())],
            }))
        })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RequestInput {
    /// E-mail address of the user.
    #[schemars(length(max = 254))]
    email: String,
    /// UUID or short name of the tenant, when the address has users in several; else the oldest of them is meant.
    #[serde(alias = "tenant")]
    tenant_id: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Requested {
    /// Always true, whether or not there is an account.
    ok: bool,
}

async fn request(ctx: &mut Ctx, input: RequestInput) -> Result<Requested> {
    let address = input.email.trim().to_lowercase();
    let (attempts, now, network) = (&ctx.bureau().attempts, ctx.now(), ctx.origin().address);
    // Counted for unknown addresses too: being refused must tell nothing.
    attempts.check(("reset", &address), MAILS_TO_ADDRESS, now)?;
    attempts.check(("reset network", network), REQUESTS_FROM_NETWORK, now)?;
    attempts.count(("reset", &address), now);
    attempts.count(("reset network", network), now);
    match account(ctx, &address, input.tenant_id.as_deref()).await? {
        Some((tenant, user, email, locale)) => {
            ctx.act_in(tenant, Some(user), &email).await?;
            let values = Values::new().with("user_id", user).with("email", email.as_str());
            let reset = ctx.insert(&PASSWORD_RESETS, values).await?;
            let beside = Map::from_iter([("to".to_owned(), json!(email)), ("locale".to_owned(), json!(locale))]);
            ctx.send_mail(TEMPLATE, reset.id, beside);
        }
        None => write_as_long(ctx).await?,
    }
    Ok(Requested { ok: true })
}

/// The oldest active user with this address, with or without a password.
async fn account(
    ctx: &mut Ctx,
    address: &str,
    tenant: Option<&str>,
) -> Result<Option<(Uuid, Uuid, String, Option<String>)>> {
    let mut sql = Sql::new(
        "SELECT users.tenant_id, users.id, users.email, users.locale FROM users \
         JOIN tenants ON tenants.id = users.tenant_id AND tenants.is_active WHERE users.active AND users.email_folded = ",
    );
    sql.bind(address);
    if let Some(tenant) = tenant.map(str::trim).filter(|tenant| !tenant.is_empty()) {
        match Uuid::try_parse(tenant) {
            Ok(id) => sql.and_eq("tenants.id", id),
            Err(_) => sql.and_eq("tenants.slug", tenant),
        };
    }
    sql.push(" ORDER BY users.created_at, users.id LIMIT 1");
    let rows = ctx.rows_of_all_tenants(&sql).await?;
    rows.first().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).transpose()
}

/// Something is written for an unknown address too, so that the time of the answer does not tell it from a known one: most
/// of that time is the commit.
async fn write_as_long(ctx: &mut Ctx) -> Result<()> {
    let sql = Sql::with(
        "INSERT INTO server_secrets (name, secret, created_at) VALUES ('no account', $1, $2) \
         ON CONFLICT (name) DO UPDATE SET created_at = excluded.created_at",
        [Val::Bytes(Vec::new()), ctx.now().into()],
    );
    ctx.write_secret(&sql).await.map(drop)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ConfirmInput {
    /// The token from the mail.
    #[schemars(length(max = 100))]
    token: String,
    /// The new password: at least 6 characters, a digit, a capital letter and a special character.
    #[schemars(length(max = 256))]
    password: String,
    /// The same password again, checked when given.
    password_confirmation: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Confirmed {
    /// Always true.
    ok: bool,
    /// Where to go on: signing in.
    redirect: &'static str,
    /// How many sessions of the user ended.
    revoked: usize,
}

async fn confirm(ctx: &mut Ctx, input: ConfirmInput) -> Result<Confirmed> {
    passwords::check_new("/password", &input.password)?;
    if input.password_confirmation.as_ref().is_some_and(|again| *again != input.password) {
        return Err(Error::invalid("/password_confirmation", "is not the same as password"));
    }
    let (attempts, now, network) = (&ctx.bureau().attempts, ctx.now(), ctx.origin().address);
    attempts.check(("reset token", network), WRONG_TOKENS, now)?;
    let Some((tenant, reset)) = found(ctx, input.token.trim()).await? else { return Err(unusable(ctx)) };
    let hash = passwords::hashed(ctx, input.password).await?;
    ctx.act_in(tenant, None, "password reset").await?;
    // Hashing took its time: what counts is what is there now. The row is locked, so that of two at once one is late.
    let reset = ctx.find_in(&PASSWORD_RESETS, Key::Uuid(reset)).await?.filter(|reset| is_usable(reset, now));
    let Some(reset) = reset else { return Err(unusable(ctx)) };
    let user = match reset.id_of("user_id") {
        Some(user) => ctx.find_in(&USERS, Key::Uuid(user)).await?.filter(|user| user.flag("active")),
        None => None,
    };
    let Some(user) = user else { return Err(unusable(ctx)) };
    ctx.act_in(tenant, Some(user.id), user.text("name")).await?;
    let mut values = Values::new();
    passwords::store(ctx, hash, &mut values).await?;
    ctx.update(&user, values).await?;
    let mut open = ctx.from(&PASSWORD_RESETS);
    open.and_eq("user_id", user.id).push(" AND used_at IS NULL ORDER BY id");
    for reset in ctx.records(&PASSWORD_RESETS, &open).await? {
        ctx.update(&reset, Values::new().with("used_at", now)).await?;
    }
    let revoked = user_end::end_sessions(ctx, user.id).await?;
    ctx.bureau().attempts.clear(("account", user.text("email_folded")));
    Ok(Confirmed { ok: true, redirect: "/console", revoked })
}

/// The tenant and the reset that a token belongs to. The database compares hashes: how near a guess came shows nowhere.
async fn found(ctx: &mut Ctx, token: &str) -> Result<Option<(Uuid, Uuid)>> {
    if token::kind_of(token) != Some(TokenKind::PasswordReset) {
        return Ok(None);
    }
    let sql = Sql::with(
        "SELECT password_resets.tenant_id, password_resets.id FROM password_resets \
         JOIN tenants ON tenants.id = password_resets.tenant_id AND tenants.is_active \
         WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2",
        [Val::Bytes(token::hash(token).to_vec()), ctx.now().into()],
    );
    let rows = ctx.rows_of_all_tenants(&sql).await?;
    rows.first().map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
}

fn is_usable(reset: &Record, now: Instant) -> bool {
    matches!(reset.cell("used_at"), Val::Null)
        && reset.get::<Option<Instant>>("expires_at").is_ok_and(|end| end.is_some_and(|end| end > now))
}

fn unusable(ctx: &Ctx) -> Error {
    ctx.bureau().attempts.count(("reset token", ctx.origin().address), ctx.now());
    Error::invalid(
        "/token",
        "is not valid: it is unknown, used already, or older than 60 minutes. Ask for another with password_reset_request",
    )
}
