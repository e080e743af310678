//! When, how often and from where each credential is used. Counted in memory on the way of every call, stored in batches.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use uuid::Uuid;

use crate::error::Result;
use crate::gate::{Bureau, Origin};
use crate::rights::{Credential, Principal};
use crate::sql::Sql;
use crate::time::Instant;

/// Between two times at which counts are stored.
const PERIOD: Duration = Duration::from_secs(15);
/// Credentials stored in one transaction: few enough that nobody waits for the writer.
const BATCH: usize = 200;
/// Counts that are stored are forgotten after so long without a use.
const REMEMBERED_MINUTES: i64 = 24 * 60;
/// Longest name of a client that is kept.
const CLIENT_CHARACTERS: usize = 255;

/// Uses of one credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The session or key; of somebody without either, an id of their own.
    pub credential_id: Uuid,
    /// `session`, `api_key`, `oauth` or `local`.
    pub kind: &'static str,
    /// The user behind it.
    pub user_id: Option<Uuid>,
    /// Who it was, as calls are logged.
    pub label: String,
    /// The first use that is known.
    pub first_used_at: Instant,
    /// The last one.
    pub last_used_at: Instant,
    /// How many calls were made.
    pub count: i64,
    /// How the last call came.
    pub transport: String,
    /// What its client called itself.
    pub client: Option<String>,
    /// Where it came from, over the network.
    pub address: Option<String>,
}

/// The counts of this process.
#[derive(Debug, Default)]
pub struct Uses(Mutex<HashMap<(Uuid, Uuid), Counted>>);

#[derive(Debug)]
struct Counted {
    kind: &'static str,
    user_id: Option<Uuid>,
    label: String,
    first: Instant,
    last: Instant,
    transport: &'static str,
    client: Option<String>,
    address: Option<IpAddr>,
    /// Calls that are not stored yet.
    waiting: i64,
    /// Calls that are being stored.
    leaving: i64,
    /// All calls up to the last time at which they were stored, those of other processes included.
    stored: Option<i64>,
}

impl Uses {
    /// Counts one call.
    pub(crate) fn count(&self, principal: &Principal, origin: &Origin, now: Instant) {
        let Some((kind, id)) = credential(principal) else { return };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.entry((principal.tenant_id, id)).or_insert_with(|| Counted {
            kind,
            user_id: principal.user_id,
            label: String::new(),
            first: now,
            last: now,
            transport: origin.transport,
            client: None,
            address: None,
            waiting: 0,
            leaving: 0,
            stored: None,
        });
        found.waiting = found.waiting.saturating_add(1);
        found.last = found.last.max(now);
        found.transport = origin.transport;
        found.address = origin.address;
        // Most calls of a credential come from one client: nothing is copied for them.
        if found.client.as_deref() != origin.client.as_deref() {
            found.client = origin.client.as_ref().map(|client| client.chars().take(CLIENT_CHARACTERS).collect());
        }
        if found.label != principal.label {
            found.label.clone_from(&principal.label);
        }
    }

    /// What this process knows of a tenant's credentials, with the calls to be added to what is stored: all of them where
    /// nothing was stored by this process yet.
    fn known(&self, tenant: Uuid) -> Vec<(Use, Option<i64>)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_tenant = all.iter().filter(|((of, _), _)| *of == tenant);
        of_tenant.map(|((_, id), counted)| (counted.shown(*id), counted.stored)).collect()
    }

    /// Takes some of the counts that are not stored yet.
    fn take(&self) -> Vec<(Uuid, Use)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = all.iter_mut().filter(|(_, counted)| counted.waiting > 0).take(BATCH);
        waiting
            .map(|((tenant, id), counted)| {
                let shown = Use { count: counted.waiting, ..counted.shown(*id) };
                counted.leaving = std::mem::take(&mut counted.waiting);
                (*tenant, shown)
            })
            .collect()
    }

    /// What became of counts that were taken: how many calls are stored by now, or nothing when they were not.
    fn settle(&self, taken: &[(Uuid, Use)], stored: Option<&[i64]>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, (tenant, of)) in taken.iter().enumerate() {
            let Some(counted) = all.get_mut(&(*tenant, of.credential_id)) else { continue };
            match stored.and_then(|stored| stored.get(index)) {
                Some(total) => counted.stored = Some(*total),
                None => counted.waiting = counted.waiting.saturating_add(counted.leaving),
            }
            counted.leaving = 0;
        }
    }

    fn forget(&self, before: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, counted| counted.last >= before || counted.waiting > 0 || counted.leaving > 0);
    }
}

impl Counted {
    fn shown(&self, id: Uuid) -> Use {
        Use {
            credential_id: id,
            kind: self.kind,
            user_id: self.user_id,
            label: self.label.clone(),
            first_used_at: self.first,
            last_used_at: self.last,
            count: self.waiting.saturating_add(self.leaving),
            transport: self.transport.to_owned(),
            client: self.client.clone(),
            address: self.address.map(|address| address.to_canonical().to_string()),
        }
    }
}

/// Under what the uses of a caller are counted.
fn credential(principal: &Principal) -> Option<(&'static str, Uuid)> {
    Some(match &principal.credential {
        Credential::Session(id) => ("session", *id),
        Credential::ApiKey(id) => ("api_key", *id),
        Credential::OAuth(id) => ("oauth", *id),
        Credential::LocalOwner => ("local", principal.user_id?),
        Credential::Nobody => return None,
    })
}

/// The name of a kind as it is stored.
fn kind(text: &str) -> &'static str {
    ["session", "api_key", "oauth"].into_iter().find(|known| *known == text).unwrap_or("local")
}

impl Bureau {
    /// Stores what was counted. Costs nothing when nothing was.
    pub async fn store_uses(&self) -> Result<()> {
        loop {
            let taken = self.uses.take();
            if taken.is_empty() {
                self.uses.forget(self.clock.now().plus_minutes(-REMEMBERED_MINUTES));
                return Ok(());
            }
            let stored = self.store_batch(&taken).await;
            self.uses.settle(&taken, stored.as_deref().ok());
            stored?;
        }
    }

    async fn store_batch(&self, taken: &[(Uuid, Use)]) -> Result<Vec<i64>> {
        let mut tx = self.db.write().await?;
        let mut outcome = tx.enter_all().await;
        // In one order everywhere, so that two processes cannot wait for each other.
        let mut order: Vec<usize> = (0..taken.len()).collect();
        order.sort_by_key(|index| taken.get(*index).map(|(tenant, of)| (*tenant, of.credential_id)));
        let mut totals = vec![0; taken.len()];
        for index in order {
            let Some((tenant, of)) = taken.get(index).filter(|_| outcome.is_ok()) else { break };
            match tx.query(&storing(*tenant, of)).await {
                Ok(rows) => {
                    if let (Some(place), Some(Ok(total))) = (totals.get_mut(index), rows.first().map(|row| row.get(0)))
                    {
                        *place = total;
                    }
                }
                Err(error) => outcome = Err(error),
            }
        }
        match outcome {
            Ok(()) => tx.commit().await?,
            Err(error) => {
                tx.rollback().await?;
                return Err(error);
            }
        }
        Ok(totals)
    }

    /// Stores counts every now and then, for as long as the server is there.
    pub fn keep_uses(self: &Arc<Self>) {
        let weak: Weak<Self> = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PERIOD).await;
                let Some(bureau) = weak.upgrade() else { return };
                if let Err(error) = bureau.store_uses().await {
                    tracing::warn!(%error, "uses of credentials could not be stored; they are kept for the next time");
                }
            }
        });
    }
}

/// Adds to the row of a credential, whichever process was there first; answers how many calls there are by now.
fn storing(tenant: Uuid, of: &Use) -> Sql {
    Sql::with(
        "INSERT INTO credential_uses (tenant_id, credential_id, kind, user_id, label, first_used_at, last_used_at, use_count, \
         transport, client, address) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         ON CONFLICT (tenant_id, credential_id) DO UPDATE SET \
         use_count = credential_uses.use_count + excluded.use_count, label = excluded.label, \
         transport = CASE WHEN excluded.last_used_at >= credential_uses.last_used_at THEN excluded.transport ELSE credential_uses.transport END, \
         client = CASE WHEN excluded.last_used_at >= credential_uses.last_used_at THEN excluded.client ELSE credential_uses.client END, \
         address = CASE WHEN excluded.last_used_at >= credential_uses.last_used_at THEN excluded.address ELSE credential_uses.address END, \
         first_used_at = CASE WHEN excluded.first_used_at < credential_uses.first_used_at THEN excluded.first_used_at ELSE credential_uses.first_used_at END, \
         last_used_at = CASE WHEN excluded.last_used_at >= credential_uses.last_used_at THEN excluded.last_used_at ELSE credential_uses.last_used_at END \
         RETURNING use_count",
        [
            tenant.into(),
            of.credential_id.into(),
            of.kind.into(),
            of.user_id.into(),
            of.label.as_str().into(),
            of.first_used_at.into(),
            of.last_used_at.into(),
            of.count.into(),
            of.transport.as_str().into(),
            of.client.clone().into(),
            of.address.clone().into(),
        ],
    )
}

impl crate::ctx::Ctx {
    /// Uses of the tenant's credentials, as stored and as counted since: of those named by `ids`, of those of `users`, or of
    /// all that were used at `since` or later. Exact in one process; what others counted comes when they store it.
    pub async fn uses(&mut self, wanted: UsesOf<'_>) -> Result<Vec<Use>> {
        let tenant = self.tenant_id();
        let mut sql = Sql::new(
            "SELECT credential_id, kind, user_id, label, first_used_at, last_used_at, use_count, transport, client, address \
             FROM credential_uses WHERE tenant_id = ",
        );
        sql.bind(tenant);
        match wanted {
            UsesOf::Credentials(ids) => sql.and_in("credential_id", ids.iter().copied()),
            UsesOf::Users(users) => sql.and_in("user_id", users.iter().copied()),
            UsesOf::Since(since) => sql.push(" AND last_used_at >= ").bind(since),
        };
        let mut found: HashMap<Uuid, Use> = HashMap::new();
        for row in self.rows(&sql).await? {
            let stored = Use {
                credential_id: row.get(0)?,
                kind: kind(&row.get::<String>(1)?),
                user_id: row.get(2)?,
                label: row.get(3)?,
                first_used_at: row.get(4)?,
                last_used_at: row.get(5)?,
                count: row.get(6)?,
                transport: row.get(7)?,
                client: row.get(8)?,
                address: row.get(9)?,
            };
            found.insert(stored.credential_id, stored);
        }
        let bureau = self.bureau().clone();
        for (mut here, total) in bureau.uses.known(tenant) {
            let is_wanted = match wanted {
                UsesOf::Credentials(ids) => ids.contains(&here.credential_id),
                UsesOf::Users(users) => here.user_id.is_some_and(|user| users.contains(&user)),
                UsesOf::Since(since) => here.last_used_at >= since,
            };
            if !is_wanted {
                continue;
            }
            let stored = found.get(&here.credential_id);
            // What this process has stored is known for certain, whatever the snapshot of the call shows.
            let base = total.or_else(|| stored.map(|stored| stored.count)).unwrap_or(0);
            here.count = here.count.saturating_add(base);
            if let Some(stored) = stored {
                here.first_used_at = here.first_used_at.min(stored.first_used_at);
                if stored.last_used_at > here.last_used_at {
                    here = Use { count: here.count.max(stored.count), ..stored.clone() };
                }
            }
            found.insert(here.credential_id, here);
        }
        let mut all: Vec<Use> = found.into_values().collect();
        all.sort_by_key(|of| (std::cmp::Reverse(of.last_used_at), of.credential_id));
        Ok(all)
    }
}

/// Whose uses.
#[derive(Debug, Clone, Copy)]
pub enum UsesOf<'a> {
    /// Of these sessions and keys.
    Credentials(&'a [Uuid]),
    /// Of these users, by whatever they showed.
    Users(&'a [Uuid]),
    /// Of all that were used at this moment or later.
    Since(Instant),
}
