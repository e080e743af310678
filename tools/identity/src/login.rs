//! Signing in with e-mail and password, and out again.

use bureau_kit::password;
use bureau_kit::prelude::*;
use bureau_kit::rights::Credential;

use crate::roles;
use crate::session_mint::{self, CreateInput};
use crate::sessions::{self, SESSIONS, SessionRow};
use crate::users::USERS;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::action("session_login", "", login)
            .public()
            .irreversible("a session that was opened is ended by session_logout")
            .shown_once("token")
            .title("Sign in")
            .about(
                "Sign in with e-mail and password, and get a session token of eight hours that may do what the user may. Needs no \
                 token. Send the answer's token as bearer or _sessionToken; end it with session_logout.",
            )
            .synonyms("login log in password sign zaloguj logowanie hasło увійти вхід пароль"),
        Tool::action("session_logout", "", logout)
            .irreversible("an ended token stays ended; sign in again with session_login")
            .idempotent()
            .title("Sign out")
            .about(
                "End the session of this call at once, with every session and key that was made from it. To end another one use \
                 session_revoke.",
            )
            .synonyms("logout log out sign off end wyloguj zakończ вийти вихід"),
    ]
}

/// Life of a session that was opened with a password (Open Mercato: eight hours).
pub(crate) const LOGIN_MINUTES: i64 = 480;
/// Wrong passwords for one address of mail in a quarter of an hour.
const FAILURES_OF_ACCOUNT: u32 = 10;
/// Wrong passwords from one network address in a quarter of an hour: an office may sit behind one.
const FAILURES_OF_ADDRESS: u32 = 100;
/// Tenants in which one address of mail is looked at.
const MOST_ACCOUNTS: i64 = 20;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LoginInput {
    /// E-mail address of the user.
    #[schemars(length(max = 254))]
    email: String,
    /// Their password.
    #[schemars(length(max = 256))]
    password: String,
    /// UUID or short name of the tenant; needed only when the address belongs to users of several.
    #[serde(alias = "tenant", alias = "tenantId")]
    tenant_id: Option<String>,
    /// Refuse unless the user has this role, by code or name.
    #[serde(alias = "requireRole")]
    require_role: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LoggedIn {
    /// Always true.
    ok: bool,
    /// The token, shown this once. Send it as a bearer token, or as _sessionToken.
    token: String,
    /// When it ends.
    expires_at: Instant,
    /// The session.
    session: SessionRow,
    /// Who signed in.
    user: SignedIn,
    /// The tenant they signed in to.
    tenant: Tenant,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SignedIn {
    /// UUID of the user.
    id: String,
    /// Name.
    name: String,
    /// E-mail address.
    email: String,
    /// Code of the main role.
    role: String,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Tenant {
    /// UUID of the tenant.
    id: String,
    /// Name.
    name: String,
    /// Short name.
    slug: String,
}

/// A user that an address and a password may mean.
struct Account {
    user: Uuid,
    tenant_id: Uuid,
    tenant: Tenant,
    credential: String,
    hash: String,
}

async fn login(ctx: &mut Ctx, input: LoginInput) -> Result<LoggedIn> {
    let address = input.email.trim().to_lowercase();
    refuse_guessing(ctx, &address)?;
    let accounts = accounts(ctx, &address, input.tenant_id.as_deref()).await?;
    let (accounts, right) = compared(ctx, accounts, input.password).await?;
    let mut meant: Vec<Account> =
        accounts.into_iter().zip(right).filter(|(_, right)| *right).map(|(account, _)| account).collect();
    if meant.len() > 1 {
        // Told only to somebody who knows the password in each of them.
        let tenants: Vec<Tenant> = meant.into_iter().map(|account| account.tenant).collect();
        return Err(Error::invalid(
            "/tenant_id",
            "is required: this address has users in several tenants, see details",
        )
        .with("tenants", json!(tenants)));
    }
    let Some(account) = meant.pop() else { return Err(refused(ctx, &address)) };
    ctx.act_in(account.tenant_id, Some(account.user), &address).await?;
    // The comparison took its time: what counts is what is there now.
    let user = match ctx.find_in(&USERS, Key::Uuid(account.user)).await? {
        Some(user) if user.flag("active") && user.text("credential_id") == account.credential => user,
        _ => return Err(refused(ctx, &address)),
    };
    ctx.act_in(account.tenant_id, Some(user.id), user.text("name")).await?;
    if let Some(role) = input.require_role.as_deref().map(str::trim).filter(|role| !role.is_empty())
        && !roles::has(ctx, &user, "/require_role", role).await?
    {
        return Err(
            Error::forbidden(format!("{} does not have the role {role}.", user.text("name"))).with("missing", role)
        );
    }
    ctx.bureau().attempts.clear(("account", &address));
    let (session, token) = session_mint::mint(ctx, CreateInput::whole("Sign-in", LOGIN_MINUTES)).await?;
    let session = SessionRow::fresh(ctx, &session)?;
    Ok(LoggedIn {
        ok: true,
        token,
        expires_at: session.expires_at,
        session,
        user: SignedIn {
            id: user.id.to_string(),
            name: user.text("name").to_owned(),
            email: user.text("email").to_owned(),
            role: user.text("role").to_owned(),
        },
        tenant: account.tenant,
    })
}

/// Refuses when too many passwords were tried for this address of mail, or from the caller's network address.
pub(crate) fn refuse_guessing(ctx: &Ctx, address: &str) -> Result<()> {
    let (attempts, now) = (&ctx.bureau().attempts, ctx.now());
    attempts.check(("account", address), FAILURES_OF_ACCOUNT, now)?;
    attempts.check(("network", ctx.origin().address), FAILURES_OF_ADDRESS, now)
}

/// One text for an unknown address, a blocked user, a user without a password and a wrong password.
fn refused(ctx: &Ctx, address: &str) -> Error {
    count_guess(ctx, address);
    Error::forbidden(
        "The e-mail or the password is wrong. Check both, or ask for a new password with password_reset_request.",
    )
    .with("reason", "bad_credentials")
}

/// One more wrong password.
pub(crate) fn count_guess(ctx: &Ctx, address: &str) {
    let (attempts, now) = (&ctx.bureau().attempts, ctx.now());
    attempts.count(("account", address), now);
    attempts.count(("network", ctx.origin().address), now);
}

/// The active users with this address and a password, of all tenants or of the named one.
async fn accounts(ctx: &mut Ctx, address: &str, tenant: Option<&str>) -> Result<Vec<Account>> {
    let mut sql = Sql::new(
        "SELECT users.id, users.tenant_id, users.credential_id, tenants.name, tenants.slug FROM users \
         JOIN tenants ON tenants.id = users.tenant_id AND tenants.is_active \
         WHERE users.active AND users.credential_id IS NOT NULL AND users.email_folded = ",
    );
    sql.bind(address);
    if let Some(tenant) = tenant.map(str::trim).filter(|tenant| !tenant.is_empty()) {
        match Uuid::try_parse(tenant) {
            Ok(id) => sql.and_eq("tenants.id", id),
            Err(_) => sql.and_eq("tenants.slug", tenant),
        };
    }
    sql.push(" ORDER BY users.tenant_id LIMIT ").bind(MOST_ACCOUNTS);
    let mut found = Vec::new();
    for row in ctx.rows_of_all_tenants(&sql).await? {
        let (user, tenant_id, credential): (Uuid, Uuid, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let id = Uuid::try_parse(&credential).map_err(Error::internal)?;
        let hash = Sql::with(
            "SELECT password_hash FROM credentials WHERE tenant_id = $1 AND id = $2",
            [tenant_id.into(), id.into()],
        );
        let Some(hash) = ctx.rows_of_all_tenants(&hash).await?.first().map(|row| row.get(0)).transpose()? else {
            continue;
        };
        let tenant = Tenant { id: tenant_id.to_string(), name: row.get(3)?, slug: row.get(4)? };
        found.push(Account { user, tenant_id, tenant, credential, hash });
    }
    Ok(found)
}

/// Whether the password is that of each account. An unknown address takes as long as a known one.
async fn compared(ctx: &mut Ctx, accounts: Vec<Account>, password: String) -> Result<(Vec<Account>, Vec<bool>)> {
    ctx.aside(move || {
        if accounts.is_empty() {
            password::verify_nothing(&password);
        }
        let right = accounts.iter().map(|account| password::verify(&password, &account.hash)).collect();
        (accounts, right)
    })
    .await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LogoutInput {}

#[derive(Debug, Serialize, JsonSchema)]
struct LoggedOut {
    /// Always true.
    ok: bool,
    /// How many sessions and keys ended; 0 when the call came with a key, or from the machine itself.
    revoked: usize,
}

async fn logout(ctx: &mut Ctx, _: LogoutInput) -> Result<LoggedOut> {
    let Credential::Session(session) = ctx.principal().credential else {
        return Ok(LoggedOut { ok: true, revoked: 0 });
    };
    let session = ctx.fetch_from(&SESSIONS, session).await?;
    Ok(LoggedOut { ok: true, revoked: sessions::end(ctx, &session).await? })
}
