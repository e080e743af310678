//! Accounts that people open by themselves, where whoever runs the installation allows it.
//!
//! A request waits for its mail to be answered. It is no record of a tenant, since there is none yet: its row holds the
//! password's hash, and the token's once the mail carrier has made one, and neither for longer than needed. So nothing in the
//! database, in its log or in a backup opens anything.
//!
//! Decided: `account_create` (Intum) does the same, unless the server runs with unverified self-service; then it founds the
//! account at once and answers a key.

use bureau_kit::db::Tx;
use bureau_kit::error::FieldError;
use bureau_kit::installation::SelfService;
use bureau_kit::mail::{self, Draft, Letter};
use bureau_kit::password;
use bureau_kit::prelude::*;
use bureau_kit::token::{self, TokenKind};

use crate::account::{AccountRow, locale_named, timezone_named};
use crate::domains::{self, DOMAINS};
use crate::founding::{NewOwner, NewTenant, tenant_name};
use crate::tenants::{self, free_slug};

/// Name of the mail's template.
const TEMPLATE: &str = "onboarding_verification";
/// A request younger than this stands in the way of another for the same address.
const PENDING_MINUTES: i64 = 10;
/// Life of the token in the mail.
const TOKEN_MINUTES: i64 = 24 * 60;
/// Longest password (Open Mercato).
const LONGEST_PASSWORD: usize = 120;
/// Requests from one network address in a quarter of an hour: each costs a mail, and the hash of a password.
const REQUESTS_OF_ADDRESS: u32 = 20;
/// Requests in all in the same time.
const REQUESTS: u32 = 500;

/// Refuses where people may not open accounts by themselves.
pub(crate) fn refuse_off(ctx: &Ctx) -> Result<SelfService> {
    match ctx.bureau().installation.self_service() {
        SelfService::Off => Err(Error::missing(
            "Self-service is switched off on this installation. Ask whoever runs it for an account.",
        )
        .with("reason", "self_service_off")),
        allowed => Ok(allowed),
    }
}

/// What somebody asks for, as it came.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    pub(crate) email: String,
    pub(crate) password: String,
    /// Name as it is shown, where there are no first and last name.
    pub(crate) login: Option<String>,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) account: AccountWish,
}

/// The account that somebody asks for.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct AccountWish {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) timezone: Option<String>,
    pub(crate) locale: Option<String>,
    pub(crate) prefix: Option<String>,
}

/// Where the arguments of a wish stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paths {
    pub(crate) user: &'static str,
    pub(crate) account: &'static str,
    pub(crate) name: &'static str,
}

/// A wish in which everything is as it may be.
#[derive(Debug)]
pub(crate) struct Request {
    email: Email,
    password: String,
    login: String,
    first_name: String,
    last_name: String,
    account: AccountWish,
}

/// Checks a wish, and tells everything that is wrong with it at once.
pub(crate) async fn checked(ctx: &mut Ctx, wish: Wish, paths: Paths) -> Result<Request> {
    let mut wrong: Vec<FieldError> = Vec::new();
    let mut keep = |error: Error| wrong.extend(error.fields().iter().cloned());
    let (user, account) = (paths.user, paths.account);
    let email =
        Email::parse(&wish.email).map_err(|message| keep(Error::invalid(format!("{user}/email"), message))).ok();
    let length = wish.password.chars().count();
    if let Err(message) = password::check(&wish.password) {
        keep(Error::invalid(format!("{user}/password"), message));
    } else if length > LONGEST_PASSWORD {
        keep(Error::invalid(
            format!("{user}/password"),
            format!("must not be longer than {LONGEST_PASSWORD} characters"),
        ));
    }
    let login = wish.login.unwrap_or_default();
    for (name, text) in [("first_name", &wish.first_name), ("last_name", &wish.last_name), ("login", &login)] {
        if text.chars().count() > 100 {
            keep(Error::invalid(format!("{user}/{name}"), "is longer than 100 characters"));
        }
    }
    let mut asked = wish.account;
    match tenant_name(&format!("{account}/{}", paths.name), &asked.name) {
        Ok(name) => asked.name = name,
        Err(error) => keep(error),
    }
    asked.description = asked.description.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if asked.description.as_ref().is_some_and(|text| text.chars().count() > 2000) {
        keep(Error::invalid(format!("{account}/description"), "is longer than 2000 characters"));
    }
    let mut read = |name: &str, given: &mut Option<String>, check: &dyn Fn(&str, &str) -> Result<String>| {
        *given = given.take().filter(|text| !text.trim().is_empty());
        if let Some(text) = given {
            match check(&format!("{account}/{name}"), text) {
                Ok(text) => *given = Some(text),
                Err(error) => keep(error),
            }
        }
    };
    read("timezone", &mut asked.timezone, &timezone_named);
    read("locale", &mut asked.locale, &|path, text| locale_named(path, text).map(str::to_owned));
    read("domain", &mut asked.domain, &domains::checked_name);
    let prefix = asked.prefix.take().filter(|prefix| !prefix.trim().is_empty());
    let (Some(email), true) = (email, wrong.is_empty()) else { return Err(Error::invalid_fields(wrong)) };
    if let Some(prefix) = prefix {
        asked.prefix = Some(free_slug(ctx, &format!("{account}/prefix"), &prefix, None).await?);
    }
    Ok(Request {
        email,
        password: wish.password,
        login,
        first_name: wish.first_name,
        last_name: wish.last_name,
        account: asked,
    })
}

/// Counts a request, and refuses too many of them.
pub(crate) fn refuse_flood(ctx: &Ctx) -> Result<()> {
    let (attempts, now, address) = (&ctx.bureau().attempts, ctx.now(), ctx.origin().address);
    attempts.check(("onboarding", address), REQUESTS_OF_ADDRESS, now)?;
    attempts.check("onboarding of all", REQUESTS, now)?;
    attempts.count(("onboarding", address), now);
    attempts.count("onboarding of all", now);
    Ok(())
}

/// Hashes the password while others may write.
async fn hashed(ctx: &mut Ctx, password: &str) -> Result<String> {
    let password = password.to_owned();
    ctx.aside(move || password::hash(&password)).await?
}

/// An address that somebody signs in with already opens no second account. That there is one is told: Open Mercato does, and
/// whoever has forgotten is better served by it than by a mail that never comes.
async fn refuse_known(ctx: &mut Ctx, email: &Email) -> Result<()> {
    let sql = Sql::with("SELECT 1 FROM users WHERE email_folded = $1 LIMIT 1", [email.folded().into()]);
    if ctx.rows_of_all_tenants(&sql).await?.is_empty() {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "{email} belongs to an account already. Sign in with session_login, or ask for a new password with \
         password_reset_request."
    ))
    .with("reason", "account_exists"))
}

/// Keeps a request and gives its mail to the outbox.
pub(crate) async fn keep(ctx: &mut Ctx, request: Request) -> Result<()> {
    let hash = hashed(ctx, &request.password).await?;
    refuse_known(ctx, &request.email).await?;
    let (now, email) = (ctx.now(), request.email.folded());
    let sql = Sql::with(
        "SELECT created_at FROM onboardings WHERE email_folded = $1 AND state = 'pending'",
        [email.as_str().into()],
    );
    let earlier: Option<Instant> = ctx.rows(&sql).await?.first().map(|row| row.get(0)).transpose()?;
    if earlier.is_some_and(|earlier| now < earlier.plus_minutes(PENDING_MINUTES)) {
        return Err(Error::conflict(format!(
            "A mail was sent to {} less than {PENDING_MINUTES} minutes ago. Follow its link, or wait before you ask again.",
            request.email
        ))
        .with("reason", "request_pending"));
    }
    // What was asked before is void, and what nobody answered is forgotten.
    for statement in [
        Sql::with(
            "UPDATE onboardings SET state = 'replaced', password_hash = NULL, token_hash = NULL \
             WHERE email_folded = $1 AND state = 'pending'",
            [email.as_str().into()],
        ),
        Sql::with(
            "DELETE FROM onboardings WHERE (state <> 'done' AND created_at < $1) OR created_at < $2",
            [now.plus_minutes(-2 * TOKEN_MINUTES).into(), now.plus_minutes(-30 * TOKEN_MINUTES).into()],
        ),
    ] {
        ctx.write_secret(&statement).await?;
    }
    let id = ctx.new_id();
    let account = serde_json::to_value(&request.account).map_err(Error::internal)?;
    let insert = Sql::with(
        "INSERT INTO onboardings (id, email, email_folded, first_name, last_name, account, password_hash, state, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8)",
        [
            id.into(),
            request.email.as_str().into(),
            email.into(),
            first_or_login(&request).into(),
            request.last_name.as_str().into(),
            account.into(),
            hash.into(),
            now.into(),
        ],
    );
    ctx.write_secret(&insert).await.map_err(Error::lost_race)?;
    ctx.send_mail(TEMPLATE, id, Map::from_iter([("to".to_owned(), json!(request.email.as_str()))]));
    Ok(())
}

fn first_or_login(request: &Request) -> &str {
    let named = [request.first_name.trim(), request.login.trim()].into_iter().find(|name| !name.is_empty());
    named.unwrap_or_default()
}

/// What the mail of a request says. The token is shown to nobody else.
#[derive(Debug)]
pub struct Minted {
    /// The token.
    pub token: String,
    /// Whom the mail goes to.
    pub email: String,
    /// First name of the person, or empty.
    pub first_name: String,
    /// Name of the account.
    pub account: String,
    /// Language of the account, when one was given.
    pub locale: Option<String>,
    /// How many minutes the token is good for.
    pub minutes: i64,
}

/// Makes the token of a request at the moment its mail goes out, and stores its hash: the last one made counts. None when the
/// request is not waited for any more.
pub async fn mint(tx: &mut Tx, onboarding_id: Uuid, now: Instant) -> Result<Option<Minted>> {
    let token = token::mint(TokenKind::Onboarding);
    let expires_at = now.plus_minutes(TOKEN_MINUTES);
    let sql = Sql::with(
        "UPDATE onboardings SET token_hash = $1, expires_at = $2 WHERE id = $3 AND state = 'pending' \
         RETURNING email, first_name, account",
        [Val::Bytes(token::hash(&token).to_vec()), expires_at.into(), onboarding_id.into()],
    );
    let rows = tx.query(&sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let account: AccountWish = serde_json::from_value(row.get(2)?).map_err(Error::internal)?;
    Ok(Some(Minted {
        token,
        email: row.get(0)?,
        first_name: row.get(1)?,
        account: account.name,
        locale: account.locale,
        minutes: TOKEN_MINUTES,
    }))
}

/// The mail with the link that opens the account.
#[derive(Debug)]
pub(crate) struct OnboardingLetter;

impl Letter for OnboardingLetter {
    fn template(&self) -> &'static str {
        TEMPLATE
    }

    fn write<'a>(&'a self, tx: &'a mut Tx, request: &'a mail::Request<'a>) -> BoxFuture<'a, Result<Option<Draft>>> {
        Box::pin(async move {
            let minted = mint(tx, request.subject_id, request.now).await?;
            Ok(minted.map(|minted| Draft {
                to: minted.email,
                locale: minted.locale,
                link: Some(format!("/console#onboarding={}", minted.token)),
                values: vec![("tenant", minted.account), ("minutes", minted.minutes.to_string())],
            }))
        })
    }
}

/// An account that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) tenant: Record,
    pub(crate) owner: Record,
    /// A key of the owner, when one was wanted.
    pub(crate) key: Option<String>,
}

impl Opened {
    pub(crate) fn account(&self) -> Result<AccountRow> {
        AccountRow::of(&self.tenant, None)
    }
}

/// Founds the account of a token, which is good once. From here on the call is its owner's.
pub(crate) async fn confirmed(ctx: &mut Ctx, token: &str) -> Result<Opened> {
    let token = token.trim();
    let hash = match token::kind_of(token) {
        Some(TokenKind::Onboarding) => Val::Bytes(token::hash(token).to_vec()),
        _ => return Err(not_waited_for()),
    };
    let sql = Sql::with(
        "SELECT id, email, first_name, last_name, account, password_hash FROM onboardings \
         WHERE token_hash = $1 AND state = 'pending' AND expires_at > $2",
        [hash.clone(), ctx.now().into()],
    );
    let found = ctx.rows(&sql).await?;
    let row = found.first().ok_or_else(not_waited_for)?;
    let id: Uuid = row.get(0)?;
    let email = Email::parse(&row.get::<String>(1)?).map_err(Error::internal)?;
    let account: AccountWish = serde_json::from_value(row.get(4)?).map_err(Error::internal)?;
    let owner = NewOwner {
        first_name: row.get(2)?,
        last_name: row.get(3)?,
        password_hash: row.get(5)?,
        ..NewOwner::of(email.clone())
    };
    // Whoever changes the row has the token; a second one at the same time finds it used.
    let claim = Sql::with(
        "UPDATE onboardings SET state = 'done', password_hash = NULL, token_hash = NULL, done_at = $1 \
         WHERE id = $2 AND state = 'pending' AND token_hash = $3",
        [ctx.now().into(), id.into(), hash],
    );
    if ctx.write_secret(&claim).await? == 0 {
        return Err(not_waited_for());
    }
    refuse_known(ctx, &email).await?;
    let opened = open(ctx, account, owner, false).await?;
    let note =
        Sql::with("UPDATE onboardings SET founded_tenant = $1 WHERE id = $2", [opened.tenant.id.into(), id.into()]);
    ctx.write_secret(&note).await?;
    Ok(opened)
}

/// One text for a token that is unknown, used, replaced by a later one, or too old.
fn not_waited_for() -> Error {
    Error::missing(
        "This link is not good any more: it was used, it is older than a day, or another mail came after it. Sign in with \
         session_login if the account is open already, or begin anew with onboarding_start.",
    )
    .with("reason", "bad_token")
}

/// Founds the account of a request at once, whoever has the address, with a key for its owner.
pub(crate) async fn opened_at_once(ctx: &mut Ctx, request: Request) -> Result<Opened> {
    let hash = hashed(ctx, &request.password).await?;
    refuse_known(ctx, &request.email).await?;
    let owner = NewOwner {
        first_name: first_or_login(&request).to_owned(),
        last_name: request.last_name,
        password_hash: Some(hash),
        ..NewOwner::of(request.email)
    };
    open(ctx, request.account, owner, true).await
}

async fn open(ctx: &mut Ctx, account: AccountWish, owner: NewOwner, with_key: bool) -> Result<Opened> {
    // It may have been taken since it was asked for; then the account gets one made from its name.
    let slug = match &account.prefix {
        Some(prefix) => free_slug(ctx, "/account/prefix", prefix, None).await.ok(),
        None => None,
    };
    let wanted = NewTenant {
        slug,
        description: account.description,
        timezone: account.timezone,
        locale: account.locale,
        owner: Some(owner),
        ..NewTenant::called(account.name)
    };
    let (raised, key) = tenants::found(ctx, wanted, with_key).await?;
    let owner = raised.owner.ok_or_else(|| Error::internal("an account was opened without its owner"))?;
    ctx.act_in(raised.tenant.id, Some(owner.id), owner.text("name")).await?;
    if let Some(domain) = account.domain {
        // A claim only: domain_verify proves it.
        family::save_new(ctx, &DOMAINS, Values::new().with("domain", domain)).await?;
    }
    Ok(Opened { tenant: raised.tenant, owner, key })
}
