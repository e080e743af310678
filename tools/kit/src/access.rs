//! From a token to a principal: rights are read live, and kept only while nothing about rights has changed.

mod oauth;
mod web_token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::address::AddressRange;
use crate::caches::Cached;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::guards::{Guard, stands};
use crate::rights::{Credential, Narrowing, Principal, covers};
use crate::sql::Sql;
use crate::time::Instant;
use crate::token::{self, TokenKind};
use crate::value::Val;
use crate::vault::Vault;

pub use oauth::Verified;
pub use web_token::{is_signed, slot as web_token_slot};

/// What a caller shows.
#[derive(Debug, Clone)]
pub enum Shown {
    /// A session token, an API key, or a JWT that is signed with a web token.
    Token(String),
    /// An access token of the OAuth issuer whose signature, audience and time were found good.
    Verified(Arc<Verified>),
    /// The person at the machine, who holds the database itself.
    LocalOwner,
}

/// Principals already computed, each good for one state of all rights.
#[derive(Debug, Default)]
pub(crate) struct Principals(Mutex<HashMap<[u8; 32], Arc<Principal>>>);

/// Beyond this many the cache starts anew rather than grow.
const CACHED_LIMIT: usize = 20_000;

const UNKNOWN_TOKEN: &str =
    "This token is not valid: it is unknown, revoked or expired. Ask its owner for a new one (session_create).";

impl Principals {
    /// Who shows this, and what they may do now. The rights epoch is read in the same snapshot, so that a right that
    /// was taken away is gone at the next call, in every process that shares the database.
    pub(crate) async fn find(&self, tx: &mut Tx, vault: &Vault, shown: &Shown, now: Instant) -> Result<Arc<Principal>> {
        let hash = match shown {
            Shown::LocalOwner => [0; 32],
            Shown::Token(token) => {
                let is_ours = matches!(token::kind_of(token), Some(TokenKind::Session | TokenKind::ApiKey));
                if !is_ours && !web_token::is_jwt(token) {
                    return Err(Error::unauthenticated(
                        "This is not a Bureau token: tokens begin with bus_ or buk_ and are 40 characters long.",
                    ));
                }
                token::hash(token)
            }
            Shown::Verified(verified) => verified.token_hash,
        };
        tx.enter_all().await?;
        let epoch = rights_epoch(tx).await?;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        let principal = match known {
            Some(principal) if principal.epoch == epoch || !stands(Guard::RightsEpoch) => principal,
            _ => {
                let loaded = load(tx, vault, shown, &hash, now, epoch).await;
                let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let principal = match loaded {
                    Ok(principal) => Arc::new(principal),
                    Err(error) => {
                        cache.remove(&hash);
                        return Err(error);
                    }
                };
                if cache.len() >= CACHED_LIMIT {
                    cache.clear();
                }
                cache.insert(hash, principal.clone());
                principal
            }
        };
        if stands(Guard::TokenEnd) && principal.expires_at.is_some_and(|end| end <= now) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash);
            return Err(Error::unauthenticated(UNKNOWN_TOKEN).with("reason", "session_expired"));
        }
        tx.enter(principal.tenant_id).await?;
        Ok(principal)
    }

    /// How many are kept that are good for this state of all rights.
    pub(crate) fn counted(&self, epoch: i64) -> Cached {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cached = Cached::default();
        for principal in cache.values().filter(|principal| principal.epoch == epoch) {
            cached.rights = cached.rights.saturating_add(1);
            cached.tool_lists = cached.tool_lists.saturating_add(usize::from(principal.cached.get().is_some()));
        }
        cached
    }

    /// Whether a token was good when it was last seen.
    fn remembers(&self, hash: &[u8; 32]) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(hash)
    }
}

pub(crate) async fn rights_epoch(tx: &mut Tx) -> Result<i64> {
    let rows = tx.query(&Sql::new("SELECT value FROM rights_epoch WHERE id = 1")).await?;
    rows.first().map_or(Ok(0), |row| row.get(0))
}

/// Declares every cached right void, from the commit of this transaction on.
pub(crate) async fn bump_epoch(tx: &mut Tx) -> Result<()> {
    tx.execute(&Sql::new("UPDATE rights_epoch SET value = value + 1 WHERE id = 1")).await?;
    Ok(())
}

async fn load(
    tx: &mut Tx,
    vault: &Vault,
    shown: &Shown,
    hash: &[u8; 32],
    now: Instant,
    epoch: i64,
) -> Result<Principal> {
    let found = match shown {
        Shown::LocalOwner => return local_owner(tx, epoch).await,
        Shown::Verified(verified) => return oauth::principal(tx, verified, epoch).await,
        Shown::Token(token) => match token::kind_of(token) {
            Some(TokenKind::ApiKey) => api_key(tx, By::Hash(hash), epoch).await?,
            Some(_) => session(tx, By::Hash(hash), epoch).await?,
            None => web_token::principal(tx, vault, token, now, epoch).await?,
        },
    };
    found.ok_or_else(|| Error::unauthenticated(UNKNOWN_TOKEN))
}

/// The kind of keys that are good through a signed token only.
pub const WEB_TOKEN: &str = "web_token";

impl crate::ctx::Ctx {
    /// What a session or key of the caller's tenant may do right now, with what it was narrowed to; none when it has been
    /// revoked or switched off. Says nothing of its end.
    pub async fn principal_of(&mut self, credential: &Credential) -> Result<Option<Principal>> {
        self.tx.enter_all().await?;
        let found = match credential {
            Credential::Session(id) => session(&mut self.tx, By::Id(*id), 0).await,
            Credential::ApiKey(id) => api_key(&mut self.tx, By::Id(*id), 0).await,
            Credential::OAuth(_) | Credential::Nobody | Credential::LocalOwner => Ok(None),
        };
        let tenant = self.tenant_id();
        self.tx.enter(tenant).await?;
        Ok(found?.filter(|principal| principal.tenant_id == tenant))
    }
}

/// A JSON list of texts in a cell; none when NULL.
fn texts(cell: Option<String>) -> Result<Option<Vec<String>>> {
    cell.map(|text| serde_json::from_str(&text).map_err(Error::internal)).transpose()
}

/// By what a session or key is found.
enum By<'a> {
    Hash(&'a [u8; 32]),
    Id(Uuid),
}

impl By<'_> {
    fn append(&self, sql: &mut Sql, hash_column: &'static str) {
        match self {
            Self::Hash(hash) => sql.and_eq(hash_column, Val::Bytes(hash.to_vec())),
            Self::Id(id) => sql.and_eq("id", *id),
        };
    }
}

async fn session(tx: &mut Tx, by: By<'_>, epoch: i64) -> Result<Option<Principal>> {
    let mut sql = Sql::new(
        "SELECT id, tenant_id, user_id, api_key_id, features, toolsets, organization_scope_id, read_only, \
         writes_left, expires_at, ancestry FROM sessions WHERE TRUE",
    );
    if stands(Guard::SessionRevoked) {
        sql.push(" AND revoked_at IS NULL");
    }
    by.append(&mut sql, "token_hash");
    let rows = tx.query(&sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (id, tenant_id): (Uuid, Uuid) = (row.get(0)?, row.get(1)?);
    let (user_id, api_key_id): (Option<Uuid>, Option<Uuid>) = (row.get(2)?, row.get(3)?);
    let holder = match (user_id, api_key_id) {
        (Some(user), _) => user_holder(tx, tenant_id, user).await?,
        (None, Some(key)) => key_holder(tx, key).await?,
        (None, None) => None,
    };
    let Some(holder) = holder else { return Ok(None) };
    let narrowing = Narrowing { features: texts(row.get(4)?)?, toolsets: texts(row.get(5)?)?, read_only: row.get(7)? };
    let scope: Option<Uuid> = row.get(6)?;
    let mut principal = holder.principal(tx, tenant_id, scope, epoch).await?;
    principal.user_id = user_id;
    principal.credential = Credential::Session(id);
    principal.ancestry = ids(row.get(10)?)?;
    if scope.is_some() {
        stay_within_ancestors(tx, &mut principal).await?;
    }
    let Some(allowed) = addresses(tx, tenant_id, principal.ancestry.iter().copied().chain(api_key_id)).await? else {
        return Ok(None);
    };
    principal.allowed_addresses = allowed;
    principal.has_write_budget = row.get::<Option<i64>>(8)?.is_some();
    principal.expires_at = row.get(9)?;
    principal.narrowing = narrowing;
    Ok(Some(principal))
}

/// Takes away what lies outside of an organization that an ancestor is limited to: the one of this session may have been
/// moved in the tree since it was minted.
async fn stay_within_ancestors(tx: &mut Tx, principal: &mut Principal) -> Result<()> {
    let Some(mut organizations) = principal.organizations.take() else { return Ok(()) };
    let mut sql = Sql::new(
        "SELECT DISTINCT organization_scope_id FROM sessions WHERE organization_scope_id IS NOT NULL AND tenant_id = ",
    );
    sql.bind(principal.tenant_id).and_in("id", principal.ancestry.iter().copied());
    for row in tx.query(&sql).await?.iter().filter(|_| stands(Guard::ScopeWithinAncestors)) {
        let reach = with_descendants(tx, principal.tenant_id, vec![row.get(0)?]).await?;
        organizations.retain(|id| reach.contains(id));
    }
    principal.organization_id = principal.organization_id.filter(|id| organizations.contains(id));
    principal.organization_id = principal.organization_id.or(organizations.first().copied());
    principal.organizations = Some(organizations);
    Ok(())
}

/// The ids in a JSON list.
fn ids(cell: Option<String>) -> Result<Vec<Uuid>> {
    Ok(texts(cell)?.unwrap_or_default().iter().filter_map(|id| Uuid::try_parse(id).ok()).collect())
}

/// From where the keys among these may be used, a list for each that is tied to addresses; none at all when one of them is
/// switched off.
async fn addresses(
    tx: &mut Tx,
    tenant: Uuid,
    keys: impl Iterator<Item = Uuid>,
) -> Result<Option<Vec<Vec<AddressRange>>>> {
    let mut sql = Sql::new("SELECT active, allowed_addresses FROM api_keys WHERE tenant_id = ");
    sql.bind(tenant).and_in("id", keys);
    let mut allowed = Vec::new();
    for row in tx.query(&sql).await? {
        if !row.get::<bool>(0)? {
            return Ok(None);
        }
        if let Some(ranges) = texts(row.get(1)?)? {
            // What cannot be read admits nobody.
            allowed.push(ranges.iter().filter_map(|range| AddressRange::parse(range).ok()).collect());
        }
    }
    Ok(Some(allowed))
}

async fn api_key(tx: &mut Tx, by: By<'_>, epoch: i64) -> Result<Option<Principal>> {
    let mut sql = Sql::new(
        "SELECT id, tenant_id, user_id, features, expires_at, organization_id, ancestry, kind FROM api_keys WHERE TRUE",
    );
    by.append(&mut sql, "secret_hash");
    let rows = tx.query(&sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    if matches!(by, By::Hash(_)) && row.get::<String>(7)? == WEB_TOKEN {
        return Err(Error::unauthenticated(
            "This key is a web token: it is never shown itself. Sign a JWT of at most 24 hours with it (HS256) and send that.",
        ));
    }
    let (id, tenant_id): (Uuid, Uuid) = (row.get(0)?, row.get(1)?);
    let user_id: Option<Uuid> = row.get(2)?;
    let narrowed = texts(row.get(3)?)?;
    let holder = match user_id {
        Some(user) => user_holder(tx, tenant_id, user).await?,
        None => key_holder(tx, id).await?,
    };
    let Some(holder) = holder else { return Ok(None) };
    let mut principal = holder.principal(tx, tenant_id, None, epoch).await?;
    principal.user_id = user_id;
    principal.credential = Credential::ApiKey(id);
    principal.ancestry = ids(row.get(6)?)?;
    let behind = principal.ancestry.iter().copied().chain([id]);
    let Some(allowed) = addresses(tx, tenant_id, behind).await? else { return Ok(None) };
    principal.allowed_addresses = allowed;
    principal.expires_at = row.get(4)?;
    // For the key of a user its features are a limit; for a key of its own they are what it holds.
    principal.narrowing.features = user_id.and(narrowed);
    Ok(Some(principal))
}

async fn local_owner(tx: &mut Tx, epoch: i64) -> Result<Principal> {
    let rows = tx
        .query(&Sql::new(
            "SELECT users.id, users.tenant_id FROM users JOIN tenants ON tenants.id = users.tenant_id AND tenants.is_active \
             WHERE users.role = 'owner' AND users.active ORDER BY users.created_at, users.id LIMIT 1",
        ))
        .await?;
    let Some(row) = rows.first() else {
        return Err(Error::unauthenticated("The database has no active owner. Start `bureau serve` once on it."));
    };
    let (user, tenant): (Uuid, Uuid) = (row.get(0)?, row.get(1)?);
    let holder = user_holder(tx, tenant, user).await?;
    let holder = holder.ok_or_else(|| Error::unauthenticated("The tenant of the local owner is not active."))?;
    let mut principal = holder.principal(tx, tenant, None, epoch).await?;
    principal.user_id = Some(user);
    Ok(principal)
}

/// A user or key with everything it holds, before any narrowing.
struct Holder {
    label: String,
    features: Vec<String>,
    is_super_admin: bool,
    /// Organizations it is limited to, without descendants; none means all.
    organizations: Option<Vec<Uuid>>,
    home: Option<Uuid>,
}

impl Holder {
    async fn principal(self, tx: &mut Tx, tenant_id: Uuid, scope: Option<Uuid>, epoch: i64) -> Result<Principal> {
        let held = match self.organizations {
            Some(organizations) => Some(with_descendants(tx, tenant_id, organizations).await?),
            None => None,
        };
        // A token for one organization sees that one and what lies below it, as far as its holder may.
        let organizations = match (scope, held) {
            (None, held) => held,
            (Some(scope), held) => {
                let mut scoped = with_descendants(tx, tenant_id, vec![scope]).await?;
                scoped
                    .retain(|id| held.as_ref().is_none_or(|held| held.contains(id)) || !stands(Guard::ScopeWithinHeld));
                Some(scoped)
            }
        };
        let home = scope.or(self.home).filter(|home| organizations.as_ref().is_none_or(|list| list.contains(home)));
        let organization_id = home.or_else(|| organizations.as_ref().and_then(|list| list.first().copied()));
        Ok(Principal {
            features: self.features,
            is_super_admin: self.is_super_admin,
            organizations,
            organization_id,
            epoch,
            ..Principal::plain(tenant_id, None, &self.label, Credential::LocalOwner)
        })
    }
}

async fn with_descendants(tx: &mut Tx, tenant_id: Uuid, roots: Vec<Uuid>) -> Result<Vec<Uuid>> {
    let mut sql = Sql::new("WITH RECURSIVE tree (id) AS (SELECT id FROM organizations WHERE tenant_id = ");
    sql.bind(tenant_id).and_in("id", roots);
    sql.push(
        " UNION SELECT organizations.id FROM organizations JOIN tree ON organizations.parent_id = tree.id) SELECT id FROM tree",
    );
    tx.query(&sql).await?.iter().map(|row| row.get(0)).collect()
}

async fn user_holder(tx: &mut Tx, tenant_id: Uuid, user_id: Uuid) -> Result<Option<Holder>> {
    let rows = tx
        .query(&Sql::with(
            "SELECT users.name, users.email, users.role, users.organization_id, users.is_super_admin, users.active, \
             tenants.is_active FROM users JOIN tenants ON tenants.id = users.tenant_id \
             WHERE users.tenant_id = $1 AND users.id = $2",
            [tenant_id.into(), user_id.into()],
        ))
        .await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (name, email, role): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let home = row.get(3)?;
    let (is_super_admin, active, open): (bool, bool, bool) = (row.get(4)?, row.get(5)?, row.get(6)?);
    if (!active && stands(Guard::UserActive)) || (!open && stands(Guard::TenantActive)) {
        return Ok(None);
    }
    // Grants given to the person replace what the roles give (Open Mercato's user ACL).
    let mut grants = tx
        .query(&Sql::with(
            "SELECT features, organization_ids FROM user_grants WHERE tenant_id = $1 AND user_id = $2",
            [tenant_id.into(), user_id.into()],
        ))
        .await?;
    if grants.is_empty() || !stands(Guard::PersonalGrant) {
        grants = tx
            .query(&Sql::with(
                "SELECT features, organization_ids FROM roles WHERE tenant_id = $1 AND (code = $2 OR id IN \
                 (SELECT role_id FROM user_roles WHERE tenant_id = $1 AND user_id = $3))",
                [tenant_id.into(), role.into(), user_id.into()],
            ))
            .await?;
    }
    let (features, organizations) = union(&grants)?;
    let label = if name.is_empty() { email } else { name };
    // A super administrator is limited to no organization.
    let organizations = organizations.filter(|_| !is_super_admin);
    Ok(Some(Holder { label, features, is_super_admin, organizations, home }))
}

async fn key_holder(tx: &mut Tx, key: Uuid) -> Result<Option<Holder>> {
    let rows = tx
        .query(&Sql::with(
            "SELECT api_keys.name, api_keys.features, api_keys.organization_id, tenants.is_active FROM api_keys \
             JOIN tenants ON tenants.id = api_keys.tenant_id WHERE api_keys.id = $1",
            [key.into()],
        ))
        .await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let home: Option<Uuid> = row.get(2)?;
    if !row.get::<bool>(3)? && stands(Guard::TenantActive) {
        return Ok(None);
    }
    Ok(Some(Holder {
        label: row.get(0)?,
        features: texts(row.get(1)?)?.unwrap_or_default(),
        is_super_admin: false,
        organizations: home.map(|home| vec![home]),
        home,
    }))
}

/// All features of several grants; organizations likewise, where one grant without a limit means all.
fn union(grants: &[crate::value::Row]) -> Result<(Vec<String>, Option<Vec<Uuid>>)> {
    let mut features: Vec<String> = Vec::new();
    let mut organizations = Some(Vec::new());
    for grant in grants {
        for feature in texts(grant.get(0)?)?.unwrap_or_default() {
            // What a wider grant covers need not be asked again at every call.
            if !features.iter().any(|held| covers(held, &feature)) {
                features.push(feature);
            }
        }
        match (texts(grant.get(1)?)?, organizations.as_mut()) {
            (None, _) => organizations = None,
            (Some(ids), Some(all)) => all.extend(ids.iter().filter_map(|id| Uuid::try_parse(id).ok())),
            (Some(_), None) => {}
        }
    }
    Ok((features, organizations.filter(|_| !grants.is_empty())))
}
