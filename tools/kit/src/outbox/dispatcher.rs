//! The task that carries the outbox.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Carried, Carrier, Item};
use crate::db::Dialect;
use crate::error::Result;
use crate::gate::Bureau;
use crate::id::fill_random;
use crate::sql::Sql;
use crate::time::Instant;
use crate::value::Row;

/// How long one attempt may take.
pub const CARRY_LIMIT: Duration = Duration::from_secs(60);
/// How long an item is left to the process that took it. Longer than an attempt may take, by what the clocks of two
/// machines may differ.
pub const LEASE: Duration = Duration::from_secs(180);
/// Items under way at once: in all, of one tenant, to one receiver.
const AT_ONCE: usize = 256;
const OF_TENANT: usize = 16;
const OF_LANE: usize = 4;
/// How often the outbox is looked at for what other processes put in.
const EVERY: Duration = Duration::from_secs(2);
/// Between two looks at least.
const PAUSE: Duration = Duration::from_millis(10);
/// How long what is under way may take to end after the signal to stop. What does not is carried again elsewhere.
const DRAIN: Duration = Duration::from_secs(8);
/// How long what has ended is kept, and how many rows are cleared away at a time.
const KEPT_MINUTES: i64 = 30 * 24 * 60;
const CLEARED: i64 = 500;
const CLEAR_EVERY: Duration = Duration::from_secs(3600);
/// Receivers looked at in one pass. Beyond that the later ones wait for the next.
const LANES: usize = 10_000;

/// Carries the outbox of all tenants, as far as it has carriers for what is in it.
#[derive(Debug)]
pub struct Dispatcher {
    /// Stands in the items that it has taken.
    id: Uuid,
    /// Whether this process claims the id: others see that it lives.
    is_claimed: tokio::sync::Mutex<bool>,
    bureau: Arc<Bureau>,
    carriers: Vec<Arc<dyn Carrier>>,
    under_way: Mutex<UnderWay>,
}

/// What this process carries right now.
#[derive(Debug, Default)]
struct UnderWay {
    all: usize,
    tenants: HashMap<Uuid, usize>,
    lanes: HashMap<(Uuid, Uuid), usize>,
}

impl UnderWay {
    fn of_tenant(&self, tenant: Uuid) -> usize {
        self.tenants.get(&tenant).copied().unwrap_or_default()
    }

    /// How many more may be taken from a lane.
    fn room(&self, lane: &Lane) -> usize {
        let of_lane = self.lanes.get(&(lane.tenant, lane.lane)).copied().unwrap_or_default();
        let of_tenant = OF_TENANT.saturating_sub(self.of_tenant(lane.tenant));
        AT_ONCE.saturating_sub(self.all).min(of_tenant).min(OF_LANE.saturating_sub(of_lane))
    }

    fn begin(&mut self, tenant: Uuid, lane: Uuid) {
        let more = |count: &mut usize| *count = count.saturating_add(1);
        more(&mut self.all);
        more(self.tenants.entry(tenant).or_default());
        more(self.lanes.entry((tenant, lane)).or_default());
    }

    fn end(&mut self, tenant: Uuid, lane: Uuid) {
        let fewer = |count: &mut usize| {
            *count = count.saturating_sub(1);
            *count == 0
        };
        fewer(&mut self.all);
        if self.tenants.get_mut(&tenant).is_some_and(fewer) {
            self.tenants.remove(&tenant);
        }
        if self.lanes.get_mut(&(tenant, lane)).is_some_and(fewer) {
            self.lanes.remove(&(tenant, lane));
        }
    }
}

/// Room for one attempt, given back however it ends.
struct Place {
    dispatcher: Arc<Dispatcher>,
    tenant: Uuid,
    lane: Uuid,
}

impl Place {
    fn take(dispatcher: &Arc<Dispatcher>, item: &Item) -> Self {
        dispatcher.under_way().begin(item.tenant_id, item.lane);
        Self { dispatcher: dispatcher.clone(), tenant: item.tenant_id, lane: item.lane }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.dispatcher.under_way().end(self.tenant, self.lane);
    }
}

/// A receiver with something to carry.
struct Lane {
    carrier: Arc<dyn Carrier>,
    tenant: Uuid,
    lane: Uuid,
    /// When the first of it is.
    due: Instant,
}

/// An item that this process has taken.
struct Taken {
    carrier: Arc<dyn Carrier>,
    item: Item,
    place: Place,
}

/// What a look at the outbox found.
struct Pass {
    taken: Vec<Taken>,
    /// When the next thing is due that is not yet.
    next: Option<Instant>,
    /// Something is due, and has to wait for a place.
    more: bool,
}

impl Dispatcher {
    /// A dispatcher for these kinds of items. From now on callers are told that this process carries them.
    pub fn new(bureau: Arc<Bureau>, carriers: Vec<Arc<dyn Carrier>>) -> Arc<Self> {
        let mut carried = bureau.outbox.carried.lock().unwrap_or_else(PoisonError::into_inner);
        carried.extend(carriers.iter().map(|carrier| carrier.kind()));
        drop(carried);
        // Not of the server's own ids, which tests make repeatable: no two dispatchers may be taken for one.
        let mut random = [0_u8; 16];
        fill_random(&mut random);
        let id = uuid::Builder::from_random_bytes(random).into_uuid();
        Arc::new(Self { id, is_claimed: tokio::sync::Mutex::default(), bureau, carriers, under_way: Mutex::default() })
    }

    async fn claim(&self) -> Result<()> {
        let mut is_claimed = self.is_claimed.lock().await;
        if !*is_claimed {
            self.bureau.db.claim(self.id).await?;
            *is_claimed = true;
        }
        Ok(())
    }

    async fn release(&self) {
        let mut is_claimed = self.is_claimed.lock().await;
        if std::mem::take(&mut *is_claimed) {
            self.bureau.db.release(self.id).await;
        }
    }

    /// Takes up at once what a process on this SQLite file held when it died: the operating system knows that it did. On
    /// PostgreSQL a claim may be lost with a connection while its process lives, so there the lease alone decides.
    async fn inherit(&self) -> Result<()> {
        if self.bureau.db.dialect() == Dialect::Postgres {
            return Ok(());
        }
        let mut tx = self.bureau.db.read().await?;
        let rows = tx.query(&Sql::with("SELECT DISTINCT lease FROM outbox WHERE lease <> $1", [self.id.into()])).await;
        tx.commit().await?;
        for row in &rows? {
            let other: Uuid = row.get(0)?;
            if self.bureau.db.is_claimed(other).await? {
                continue;
            }
            let mut tx = self.bureau.db.write().await?;
            let sql = Sql::with(
                "UPDATE outbox SET lease = NULL, next_at = $1 WHERE lease = $2 AND state = 'waiting'",
                [self.bureau.clock.now().into(), other.into()],
            );
            tx.execute(&sql).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries until `stop` resolves; then what is under way may end.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()> + Send) {
        let mut written = self.bureau.outbox.written.subscribe();
        let mut attempts = JoinSet::new();
        let mut cleared: Option<tokio::time::Instant> = None;
        let mut inherited: Option<tokio::time::Instant> = None;
        tokio::pin!(stop);
        loop {
            written.mark_unchanged();
            if cleared.is_none_or(|at| at.elapsed() >= CLEAR_EVERY) {
                cleared = Some(tokio::time::Instant::now());
                if let Err(error) = self.clear().await {
                    tracing::warn!(%error, "what has left the outbox could not be cleared away");
                }
            }
            if inherited.is_none_or(|at| at.elapsed() >= EVERY) {
                inherited = Some(tokio::time::Instant::now());
                if let Err(error) = self.inherit().await {
                    tracing::warn!(%error, "what dead processes held in the outbox could not be taken up");
                }
            }
            let (mut wait, mut more) = (EVERY, false);
            match self.pass().await {
                Ok(pass) => {
                    more = pass.more;
                    if let Some(next) = pass.next {
                        let micros = next.micros().saturating_sub(self.bureau.clock.now().micros());
                        wait = wait.min(Duration::from_micros(u64::try_from(micros).unwrap_or_default()));
                    }
                    start(&mut attempts, pass.taken);
                }
                Err(error) => tracing::warn!(%error, "the outbox could not be looked at; it is tried again"),
            }
            let freed = async {
                tokio::time::sleep(PAUSE).await;
                loop {
                    match attempts.join_next().await {
                        // An ended attempt matters only where something waits for its place.
                        Some(_) if more => break,
                        Some(_) => {}
                        None => std::future::pending().await,
                    }
                }
            };
            let roused = async {
                tokio::time::sleep(PAUSE).await;
                let _ = written.changed().await;
            };
            tokio::select! {
                () = &mut stop => break,
                () = roused => {}
                () = freed => {}
                () = tokio::time::sleep(wait.max(PAUSE)) => {}
            }
        }
        let ended = tokio::time::timeout(DRAIN, async { while attempts.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!(left = attempts.len(), "deliveries did not end in time; they are carried again later");
            attempts.shutdown().await;
        }
        self.release().await;
    }

    /// Carries everything that is due now and waits for its end; answers how many attempts were made. For tests, and for
    /// programs that carry by a schedule of their own.
    pub async fn carry_due(self: &Arc<Self>) -> Result<usize> {
        let mut attempts = JoinSet::new();
        let mut count = 0_usize;
        loop {
            let pass = self.pass().await?;
            count = count.saturating_add(pass.taken.len());
            start(&mut attempts, pass.taken);
            if attempts.join_next().await.is_none() && !pass.more {
                self.release().await;
                return Ok(count);
            }
        }
    }

    /// Takes what is due and has a place.
    async fn pass(self: &Arc<Self>) -> Result<Pass> {
        let now = self.bureau.clock.now();
        let (mut due, ahead): (Vec<Lane>, Vec<Lane>) =
            self.lanes().await?.into_iter().partition(|lane| lane.due <= now);
        let next = ahead.iter().map(|lane| lane.due).min();
        let mut pass = Pass { taken: Vec::new(), next, more: false };
        {
            // Whoever has least under way comes first; among equals, what has waited longest.
            let under_way = self.under_way();
            due.sort_by_key(|lane| (under_way.of_tenant(lane.tenant), lane.due));
            let waiting = due.len();
            due.retain(|lane| under_way.room(lane) > 0);
            pass.more = due.len() < waiting;
        }
        if due.is_empty() {
            return Ok(pass);
        }
        self.claim().await?;
        let mut tx = self.bureau.db.write().await?;
        tx.enter_all().await?;
        for lane in due {
            let room = self.under_way().room(&lane);
            if room == 0 {
                pass.more = true;
                continue;
            }
            let rows = tx.query(&take(self.id, &lane, room, now, tx.skip_locked_clause())).await?;
            // As many as there was room for: there may be more.
            pass.more |= rows.len() >= room;
            for row in &rows {
                let item = Item::read(row)?;
                let place = Place::take(self, &item);
                pass.taken.push(Taken { carrier: lane.carrier.clone(), item, place });
            }
        }
        tx.commit().await?;
        Ok(pass)
    }

    /// The receivers with something to carry, now or later.
    async fn lanes(&self) -> Result<Vec<Lane>> {
        let mut lanes = Vec::new();
        let mut tx = self.bureau.db.read().await?;
        tx.enter_all().await?;
        for carrier in &self.carriers {
            let mut last: Option<(Uuid, Uuid)> = None;
            while lanes.len() < LANES {
                let rows = tx.query(&next_lane(carrier.kind(), last)).await?;
                let Some(row) = rows.first() else { break };
                let found = Lane { carrier: carrier.clone(), tenant: row.get(0)?, lane: row.get(1)?, due: row.get(2)? };
                last = Some((found.tenant, found.lane));
                lanes.push(found);
            }
        }
        tx.commit().await?;
        Ok(lanes)
    }

    async fn attempt(&self, carrier: &dyn Carrier, item: &Item) -> Result<()> {
        let carried = match tokio::time::timeout(CARRY_LIMIT, carrier.carry(&self.bureau, item)).await {
            Ok(Ok(carried)) => carried,
            Ok(Err(error)) => {
                tracing::error!(%error, item = %item.id, kind = carrier.kind(), "an item of the outbox could not be carried");
                Carried::again("a fault of Bureau, which its log holds")
            }
            Err(_) => Carried::again("it took too long"),
        };
        let now = self.bureau.clock.now();
        let (state, next, reason) = match carried {
            Carried::Delivered => ("done", None, None),
            Carried::GiveUp { reason } => ("failed", None, Some(reason)),
            Carried::Again { reason, pause } => match carrier.pause_after(item.attempt) {
                Some(usual) => {
                    let pause = jittered(usual).max(pause.unwrap_or_default());
                    ("waiting", Some(later(now, pause)), Some(reason))
                }
                None => ("failed", None, Some(reason)),
            },
        };
        let mut sql = Sql::new("UPDATE outbox SET state = ");
        sql.bind(state).push(", lease = NULL, last_error = ").bind(reason);
        match next {
            Some(next) => sql.push(", next_at = ").bind(next),
            None => sql.push(", done_at = ").bind(now),
        };
        // Only while it is ours: after the lease somebody else may have it.
        sql.push(" WHERE id = ").bind(item.id).and_eq("tenant_id", item.tenant_id);
        sql.and_eq("lease", self.id).and_eq("attempts", item.attempt);
        self.bureau.keep_books(item.tenant_id, |tx| Box::pin(async move { tx.execute(&sql).await })).await?;
        Ok(())
    }

    /// Clears away what ended long ago.
    async fn clear(&self) -> Result<()> {
        let until = self.bureau.clock.now().plus_minutes(KEPT_MINUTES.saturating_neg());
        loop {
            let mut tx = self.bureau.db.write().await?;
            tx.enter_all().await?;
            let sql = Sql::with(
                "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE state IN ('done', 'failed') AND done_at < $1 \
                 LIMIT $2)",
                [until.into(), CLEARED.into()],
            );
            let cleared = tx.execute(&sql).await?;
            tx.commit().await?;
            if cleared < u64::try_from(CLEARED).unwrap_or_default() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn start(attempts: &mut JoinSet<()>, taken: Vec<Taken>) {
    for Taken { carrier, item, place } in taken {
        attempts.spawn(async move {
            if let Err(error) = place.dispatcher.attempt(carrier.as_ref(), &item).await {
                // It comes up again when its lease has ended.
                tracing::warn!(%error, item = %item.id, "what became of an item of the outbox could not be written down");
            }
        });
    }
}

/// The first waiting item of the lane behind `last`.
fn next_lane(kind: &'static str, last: Option<(Uuid, Uuid)>) -> Sql {
    let mut sql = Sql::new("SELECT tenant_id, lane, next_at FROM outbox WHERE state = 'waiting'");
    sql.and_eq("kind", kind);
    if let Some((tenant, lane)) = last {
        sql.push(" AND (tenant_id, lane) > (").bind(tenant).push(", ").bind(lane).push(")");
    }
    sql.push(" ORDER BY tenant_id, lane, next_at LIMIT 1");
    sql
}

/// Takes the next items of a lane: they are due again when the lease has ended.
fn take(by: Uuid, lane: &Lane, room: usize, now: Instant, locked: &'static str) -> Sql {
    let mut sql = Sql::new("UPDATE outbox SET lease = ");
    sql.bind(by).push(", attempts = attempts + 1, next_at = ").bind(later(now, LEASE));
    sql.push(" WHERE id IN (SELECT id FROM outbox WHERE state = 'waiting'").and_eq("kind", lane.carrier.kind());
    sql.and_eq("tenant_id", lane.tenant).and_eq("lane", lane.lane);
    sql.push(" AND next_at <= ").bind(now).push(" ORDER BY next_at, id LIMIT ");
    sql.bind(i64::try_from(room).unwrap_or(1)).push(locked);
    sql.push(") RETURNING id, tenant_id, action_id, lane, subject_id, payload, attempts, created_at");
    sql
}

impl Item {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            tenant_id: row.get(1)?,
            action_id: row.get(2)?,
            lane: row.get(3)?,
            subject_id: row.get(4)?,
            payload: row.get(5)?,
            attempt: row.get(6)?,
            created_at: row.get(7)?,
        })
    }
}

fn later(now: Instant, by: Duration) -> Instant {
    Instant::from_micros(now.micros().saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}

/// Up to a fifth more, by chance: what failed together should not come back together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0_u8; 1];
    fill_random(&mut random);
    let [byte] = random;
    pause.mul_f64(1.0 + f64::from(byte) / 255.0 * 0.2)
}
