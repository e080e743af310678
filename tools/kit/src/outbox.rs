//! What leaves the database: mails, deliveries. An item is written in the transaction of the call that asks for it, and
//! carried after the commit, at least once, always under the same id.
//!
//! Any process on the database may carry. Whoever takes an item sets its next time ahead in the same statement: if the
//! process dies, the item comes up again then, and nobody else takes it before. Each receiver has a lane, and lanes and
//! tenants have a limited number of items under way, so that nobody's slow receiver delays another's.

mod dispatcher;

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::ctx::OutsideEffect;
use crate::db::Tx;
use crate::error::Result;
use crate::gate::Bureau;
use crate::sql::Sql;
use crate::time::Instant;
use crate::tool::BoxFuture;
use crate::value::Val;

pub use dispatcher::{CARRY_LIMIT, Dispatcher, LEASE};

/// One thing to be done outside.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its id, the same at every attempt.
    pub id: Uuid,
    /// Whose it is.
    pub tenant_id: Uuid,
    /// The action it follows from.
    pub action_id: Uuid,
    /// What shares its turn: its receiver, or the tenant.
    pub lane: Uuid,
    /// What it is about.
    pub subject_id: Option<Uuid>,
    /// What the carrier needs to know; never a secret.
    pub payload: Value,
    /// Which attempt this is, from one.
    pub attempt: i64,
    /// When it was asked for.
    pub created_at: Instant,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// It is done.
    Delivered,
    /// Not this time: it is tried again, after this pause at least where the receiver asks for one.
    Again {
        /// Why, without any secret.
        reason: String,
        /// What the receiver asks for.
        pause: Option<Duration>,
    },
    /// It will never be done.
    GiveUp {
        /// Why, without any secret.
        reason: String,
    },
}

impl Carried {
    /// Not this time.
    pub fn again(reason: impl Into<String>) -> Self {
        Self::Again { reason: reason.into(), pause: None }
    }

    /// Never.
    pub fn give_up(reason: impl Into<String>) -> Self {
        Self::GiveUp { reason: reason.into() }
    }
}

/// Carries items of one kind.
pub trait Carrier: Debug + Send + Sync {
    /// The kind, as [`Ctx::send_out`](crate::ctx::Ctx::send_out) names it.
    fn kind(&self) -> &'static str;

    /// Carries one item. It may have been carried before, by a process that died before it could say so. An error is a
    /// fault of ours: it is logged, and the item tried again.
    fn carry<'a>(&'a self, bureau: &'a Arc<Bureau>, item: &'a Item) -> BoxFuture<'a, Result<Carried>>;

    /// The pause after this attempt, from one; none when it was the last. Some of it is left to chance.
    fn pause_after(&self, attempt: i64) -> Option<Duration> {
        // 10 s, 40 s, 2 min 40 s … six hours; about three days in all.
        let exponent = u32::try_from(attempt.saturating_sub(1).clamp(0, 10)).unwrap_or_default();
        let seconds = 10_u64.saturating_mul(4_u64.saturating_pow(exponent)).min(6 * 3600);
        (attempt < 18).then(|| Duration::from_secs(seconds))
    }
}

/// The outbox as one process sees it: what it carries, and when there is something new.
#[derive(Debug, Default)]
pub struct Outbox {
    written: watch::Sender<()>,
    carried: Mutex<HashSet<&'static str>>,
}

impl Outbox {
    /// There is something to carry that no call has put in.
    pub fn wake(&self) {
        self.written.send_replace(());
    }

    /// Whether this process carries items of this kind.
    pub fn carries(&self, kind: &str) -> bool {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner).contains(kind)
    }
}

/// Puts an item in, inside the transaction that asks for it.
pub(crate) async fn put(
    tx: &mut Tx,
    tenant: Uuid,
    item: Uuid,
    action: Uuid,
    effect: &OutsideEffect,
    now: Instant,
) -> Result<()> {
    let sql = Sql::with(
        "INSERT INTO outbox (id, tenant_id, action_id, kind, lane, subject_id, payload, state, attempts, created_at, next_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting', 0, $8, $8)",
        [
            item.into(),
            tenant.into(),
            action.into(),
            effect.kind.into(),
            effect.lane.unwrap_or(tenant).into(),
            effect.subject_id.into(),
            Val::Text(effect.payload.to_string()),
            now.into(),
        ],
    );
    tx.execute(&sql).await.map(drop)
}

/// Takes an item up again that came to its end, or that waits for its next attempt. Not while it is under way.
pub(crate) async fn again(tx: &mut Tx, tenant: Uuid, kind: &'static str, item: Uuid, now: Instant) -> Result<bool> {
    let sql = Sql::with(
        "UPDATE outbox SET state = 'waiting', next_at = $1, attempts = 0, lease = NULL, last_error = NULL, done_at = NULL \
         WHERE id = $2 AND tenant_id = $3 AND kind = $4 AND (lease IS NULL OR next_at <= $1)",
        [now.into(), item.into(), tenant.into(), kind.into()],
    );
    Ok(tx.execute(&sql).await? > 0)
}

/// What the caller is told of what a call sends out: nobody should take a mail for sent that has no way out.
pub(crate) fn told(bureau: &Bureau, kinds: &[&'static str]) -> Option<Value> {
    let told = |kind: &&'static str| {
        if bureau.outbox.carries(kind) {
            return json!({"kind": kind, "undoable": false, "state": "queued"});
        }
        json!({
            "kind": kind,
            "undoable": false,
            "state": "waiting",
            "reason": format!(
                "Nothing here sends a {kind}: it waits in the outbox until a server on this database is started that does."
            ),
        })
    };
    (!kinds.is_empty()).then(|| kinds.iter().map(told).collect())
}

impl Bureau {
    /// Work of the server itself on one tenant's rows, that is no one's call: what a carrier has to write down. It passes no
    /// right and leaves nothing in the journal, so it must not touch described tables beyond their secrets.
    pub async fn keep_books<T>(
        &self,
        tenant: Uuid,
        work: impl for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T>> + Send,
    ) -> Result<T> {
        let mut tx = self.db.write().await?;
        tx.enter(tenant).await?;
        match work(&mut tx).await {
            Ok(done) => {
                tx.commit().await?;
                Ok(done)
            }
            Err(error) => {
                tx.rollback().await?;
                Err(error)
            }
        }
    }

    /// A look at one tenant's rows by the server itself.
    pub async fn look<T>(
        &self,
        tenant: Uuid,
        work: impl for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T>> + Send,
    ) -> Result<T> {
        let mut tx = self.db.read().await?;
        tx.enter(tenant).await?;
        let found = work(&mut tx).await;
        tx.rollback().await?;
        found
    }

    /// How many items of each kind wait, for all tenants: for `doctor` and the log at start.
    pub async fn outbox_waiting(&self) -> Result<Vec<(String, i64)>> {
        let mut tx = self.db.read().await?;
        tx.enter_all().await?;
        let sql = Sql::new("SELECT kind, COUNT(*) FROM outbox WHERE state = 'waiting' GROUP BY kind ORDER BY kind");
        let rows = tx.query(&sql).await;
        tx.rollback().await?;
        rows?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }
}

/// A mail that follows from no call: a notice of the server itself, put in by a carrier. After the commit,
/// [`wake`](Outbox::wake) has it sent at once.
pub async fn notify(
    tx: &mut Tx,
    bureau: &Bureau,
    tenant: Uuid,
    template: &'static str,
    subject_id: Uuid,
) -> Result<()> {
    let now = bureau.clock.now();
    let item = bureau.ids.next(now);
    let effect = OutsideEffect {
        kind: crate::mail::KIND,
        subject_id: Some(subject_id),
        lane: None,
        payload: json!({"template": template}),
    };
    put(tx, tenant, item, item, &effect, now).await
}
