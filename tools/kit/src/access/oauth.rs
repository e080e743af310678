//! From an account at the OAuth issuer to a user: found by e-mail address once, by the stored link from then on.

use uuid::Uuid;

use crate::db::Tx;
use crate::error::{Error, Result};
use crate::gate::Bureau;
use crate::guards::{Guard, stands};
use crate::rights::{Credential, Principal};
use crate::sql::Sql;
use crate::text::Email;
use crate::time::Instant;
use crate::token;
use crate::value::Val;

/// How often a link is tried again when another server stores one at the same moment.
const RETRIES: usize = 5;

/// What an access token says, once its signature, issuer, audience and time were found good.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The issuer, exactly as configured.
    pub issuer: String,
    /// The account at the issuer. Never given to another person, unlike an e-mail address.
    pub subject: String,
    /// The account's address, where the issuer says that it was verified.
    pub email: Option<String>,
    /// Id or code of the tenant, for people who are users of several.
    pub tenant: Option<String>,
    /// Whether the scopes allow changes.
    pub may_write: bool,
    /// When the token ends.
    pub expires_at: Instant,
    /// By which the principal is remembered.
    pub(crate) token_hash: [u8; 32],
}

impl Verified {
    /// What was read from `token`, with no address, no tenant and no right to write.
    pub fn new(token: &str, issuer: &str, subject: &str, expires_at: Instant) -> Self {
        Self {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            email: None,
            tenant: None,
            may_write: false,
            expires_at,
            token_hash: token::hash(token),
        }
    }

    /// Half of the hash: enough to tell tokens apart, and no way back to the token.
    fn token_id(&self) -> Uuid {
        self.token_hash.first_chunk().map_or(Uuid::nil(), |half| Uuid::from_bytes(*half))
    }
}

/// A user, and the tenant that the row is of.
#[derive(Debug, Clone, Copy)]
struct Place {
    tenant_id: Uuid,
    user_id: Uuid,
}

impl Bureau {
    /// Sees to it that the account behind a token belongs to a user. To be called before a call is made with it.
    ///
    /// The first time, the one active user with the account's verified address is looked for, and the link is stored.
    /// Costs nothing for a token that has been used already.
    pub async fn link(&self, verified: &Verified) -> Result<()> {
        if self.principals.remembers(&verified.token_hash) {
            return Ok(());
        }
        let mut tx = self.db.read().await?;
        // Looked for here as well, so that strangers never make the writer busy.
        let place = to_link(&mut tx, verified).await;
        tx.commit().await?;
        if place?.is_none() {
            return Ok(());
        }
        let mut attempt = 0_usize;
        loop {
            let mut tx = self.db.write().await?;
            match self.store_link(&mut tx, verified).await {
                Ok(()) => return tx.commit().await,
                Err(error) => {
                    tx.rollback().await?;
                    attempt = attempt.saturating_add(1);
                    // A second server may have stored the same link meanwhile: the next look finds it.
                    let error = error.lost_race();
                    if !error.is_retryable() || attempt > RETRIES {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn store_link(&self, tx: &mut Tx, verified: &Verified) -> Result<()> {
        let Some(place) = to_link(tx, verified).await? else { return Ok(()) };
        let now = self.clock.now();
        tx.enter(place.tenant_id).await?;
        let sql = Sql::with(
            "INSERT INTO oauth_subjects (id, tenant_id, user_id, issuer, subject, version, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, 1, $6, $6)",
            [
                self.ids.next(now).into(),
                place.tenant_id.into(),
                place.user_id.into(),
                verified.issuer.as_str().into(),
                verified.subject.as_str().into(),
                now.into(),
            ],
        );
        tx.execute(&sql).await?;
        tracing::info!(
            issuer = verified.issuer,
            subject = verified.subject,
            tenant = %place.tenant_id,
            user = %place.user_id,
            "an account at the OAuth issuer was linked to a user"
        );
        Ok(())
    }

    /// Whether a call of this tool can change something, for a transport that must know before it makes the call. No
    /// such tool is no.
    pub fn writes(&self, tool: &str) -> bool {
        let tool = self.registry.find(tool).map(|entry| &entry.tool);
        tool.is_some_and(crate::tool::Tool::writes)
    }
}

/// The user whom an account is yet to be linked to; none when the account has a link.
async fn to_link(tx: &mut Tx, verified: &Verified) -> Result<Option<Place>> {
    tx.enter_all().await?;
    match linked(tx, verified).await? {
        Some(_) => Ok(None),
        None => matched(tx, verified).await,
    }
}

/// The stored link of an account. The tenant that the token names decides among several.
async fn linked(tx: &mut Tx, verified: &Verified) -> Result<Option<Place>> {
    let mut sql = Sql::with(
        "SELECT oauth_subjects.tenant_id, oauth_subjects.user_id FROM oauth_subjects \
         JOIN tenants ON tenants.id = oauth_subjects.tenant_id \
         WHERE oauth_subjects.issuer = $1 AND oauth_subjects.subject = $2",
        [Val::Text(verified.issuer.clone()), Val::Text(verified.subject.clone())],
    );
    and_tenant(&mut sql, verified);
    one_place(tx, &sql).await
}

/// The one active user with the account's verified address; none when the link was stored since it was looked for.
async fn matched(tx: &mut Tx, verified: &Verified) -> Result<Option<Place>> {
    let email = verified.email.as_deref().and_then(|email| Email::parse(email).ok()).ok_or_else(|| {
        Error::unauthenticated(
            "The token names no verified e-mail address, by which your user could be found. Have the issuer verify the \
             address and put `email` and `email_verified` into access tokens.",
        )
    })?;
    let mut sql = Sql::with(
        "SELECT users.tenant_id, users.id FROM users \
         JOIN tenants ON tenants.id = users.tenant_id AND tenants.is_active \
         WHERE users.email_folded = $1 AND users.active",
        [Val::Text(email.folded())],
    );
    and_tenant(&mut sql, verified);
    let place = one_place(tx, &sql).await?.ok_or_else(|| {
        Error::unauthenticated(format!(
            "No user of this server has the e-mail address {email}. Ask an administrator to invite {email}."
        ))
    })?;
    let taken = Sql::with(
        "SELECT subject FROM oauth_subjects WHERE tenant_id = $1 AND user_id = $2 AND issuer = $3",
        [place.tenant_id.into(), place.user_id.into(), Val::Text(verified.issuer.clone())],
    );
    let Some(link) = tx.query(&taken).await?.into_iter().next() else { return Ok(Some(place)) };
    // On PostgreSQL each statement of a write sees what others have committed just now.
    if link.get::<String>(0)? == verified.subject {
        return Ok(None);
    }
    Err(Error::unauthenticated(format!(
        "The user with the e-mail address {email} belongs to another account at the issuer. If you are the same person with a \
         new account, ask an administrator to delete the old link (oauth_subject_delete)."
    )))
}

fn and_tenant(sql: &mut Sql, verified: &Verified) {
    let Some(tenant) = &verified.tenant else { return };
    match Uuid::try_parse(tenant) {
        Ok(id) => sql.and_eq("tenants.id", id),
        Err(_) => sql.and_eq("tenants.slug", tenant.as_str()),
    };
}

async fn one_place(tx: &mut Tx, sql: &Sql) -> Result<Option<Place>> {
    let rows = tx.query(sql).await?;
    match rows.as_slice() {
        [] => Ok(None),
        [row] => Ok(Some(Place { tenant_id: row.get(0)?, user_id: row.get(1)? })),
        _ => Err(Error::unauthenticated(
            "You are a user of several companies on this server, and the token does not say which of them is meant. Have the \
             issuer put the claim `bureau_tenant`, the company's id or code, into it.",
        )),
    }
}

/// The user that the account is linked to, with its present rights, narrowed by the token's scopes.
pub(super) async fn principal(tx: &mut Tx, verified: &Verified, epoch: i64) -> Result<Principal> {
    let gone = || {
        Error::unauthenticated("Your user on this server is blocked or gone. Ask an administrator, then sign in again.")
    };
    let place = linked(tx, verified).await?.ok_or_else(gone)?;
    let holder = super::user_holder(tx, place.tenant_id, place.user_id).await?.ok_or_else(gone)?;
    let mut principal = holder.principal(tx, place.tenant_id, None, epoch).await?;
    principal.user_id = Some(place.user_id);
    principal.credential = Credential::OAuth(verified.token_id());
    principal.narrowing.read_only = !verified.may_write && stands(Guard::OauthScope);
    principal.expires_at = Some(verified.expires_at);
    Ok(principal)
}
