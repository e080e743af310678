//! Who looked at which record: noted on the way to the answer, written a moment later.
//!
//! A read must not wait for the writer, so its entry goes to a bounded queue and a task writes what has gathered. When the
//! database cannot keep up, the newest entries are dropped, counted and told in the log; no call ever waits.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::gate::{Bureau, Origin};
use crate::record::Record;
use crate::rights::{Credential, Principal};
use crate::sql::Sql;
use crate::table::Table;
use crate::time::Instant;
use crate::tool::Tool;
use crate::value::Val;

/// How long entries are kept.
pub const KEPT_DAYS: i64 = 90;
/// Entries that wait at most. At ten thousand reads a second this is six seconds without a writer.
const QUEUE: usize = 65_536;
/// How long entries gather before they are written.
const GATHER: Duration = Duration::from_millis(500);
/// Rows of one transaction: few enough that no call waits long for the writer.
const BATCH: usize = 2_000;
/// Rows of one statement.
const ROWS: usize = 50;
/// How often old entries are looked for, and how many go at once.
const PRUNE_MINUTES: i64 = 60;
const PRUNED_AT_ONCE: i64 = 5_000;
/// How long a look into the log waits for what is queued.
const CATCH_UP: Duration = Duration::from_secs(2);

/// The record that a running read is about.
#[derive(Debug)]
pub(crate) struct Reading {
    tool: &'static str,
    target: Option<&'static Table>,
    seen: Option<Seen>,
}

#[derive(Debug)]
struct Seen {
    table: &'static Table,
    id: Uuid,
    organization_id: Option<Uuid>,
}

impl Reading {
    /// The first record of the tool's own table counts, else the first of any.
    pub(crate) fn see(&mut self, record: &Record) {
        let is_target = |table| self.target.is_some_and(|target| std::ptr::eq(target, table));
        if self.seen.as_ref().is_none_or(|seen| is_target(record.table) && !is_target(seen.table)) {
            let (table, id, organization_id) = (record.table, record.id, record.organization_id);
            self.seen = Some(Seen { table, id, organization_id });
        }
    }
}

/// One look at a record.
#[derive(Debug)]
struct Access {
    principal: Arc<Principal>,
    origin: Origin,
    tool: &'static str,
    seen: Seen,
    at: Instant,
}

/// What was looked at and is not written yet.
#[derive(Debug, Default)]
pub(crate) struct Accesses {
    off: AtomicBool,
    queue: Mutex<Vec<Access>>,
    lost: AtomicU64,
    /// Rings when the first entry comes into the empty queue.
    rings: Notify,
    /// Held while entries are written; holds when old ones were last looked for.
    writing: tokio::sync::Mutex<Option<Instant>>,
}

impl Accesses {
    /// To be filled while a tool runs; none for tools that write, and when nothing is logged.
    pub(crate) fn reading(&self, tool: &Tool) -> Option<Reading> {
        let logged = !tool.writes() && !tool.public && !self.off.load(Ordering::Relaxed);
        logged.then_some(Reading { tool: tool.name, target: tool.target, seen: None })
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Vec<Access>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a read that was answered.
    pub(crate) fn note(&self, ctx: &Ctx, reading: Option<Reading>) {
        let Some(Reading { tool, seen: Some(seen), .. }) = reading else { return };
        let access = Access { principal: ctx.principal.clone(), origin: ctx.origin.clone(), tool, seen, at: ctx.now };
        let mut queue = self.queue();
        if queue.len() >= QUEUE {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.push(access);
        if queue.len() == 1 {
            self.rings.notify_one();
        }
    }

    /// What was not written waits in front of what came since, as far as there is room.
    fn put_back(&self, mut batch: Vec<Access>) {
        let mut queue = self.queue();
        batch.append(&mut queue);
        let lost = batch.len().saturating_sub(QUEUE);
        batch.truncate(QUEUE);
        self.lost.fetch_add(u64::try_from(lost).unwrap_or(u64::MAX), Ordering::Relaxed);
        *queue = batch;
        self.rings.notify_one();
    }
}

impl Ctx {
    /// Notes that a read is about a record which did not come by [`Ctx::fetch`].
    pub fn note_read(&mut self, record: &Record) {
        if let Some(reading) = &mut self.reading {
            reading.see(record);
        }
    }

    /// Shows this read everything that was looked at before it, in this process. Does nothing inside a write.
    pub async fn catch_up_with_reads(&mut self) -> Result<()> {
        if self.writes {
            return Ok(());
        }
        let bureau = self.bureau.clone();
        // On a task of its own: entries that are being written must not be lost when this call ends meanwhile.
        let flush = tokio::spawn(async move { bureau.flush_accesses().await });
        if !matches!(tokio::time::timeout(CATCH_UP, flush).await, Ok(Ok(Ok(())))) {
            tracing::warn!("the newest reads are not in the access log yet: the database is busy");
        }
        let mut newer = self.bureau.db.read().await?;
        newer.enter(self.principal.tenant_id).await?;
        std::mem::replace(&mut self.tx, newer).commit().await
    }
}

impl Bureau {
    /// Whether reads are logged from now on. They are, when nobody says.
    pub fn log_reads(&self, on: bool) {
        self.accesses.off.store(!on, Ordering::Relaxed);
    }

    /// Writes the log of reads from now on, until the server is dropped.
    pub fn keep_access_log(self: &Arc<Self>) {
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                let Some(bureau) = weak.upgrade() else { return };
                let rang = tokio::time::timeout(Duration::from_secs(1), bureau.accesses.rings.notified()).await;
                drop(bureau);
                if rang.is_err() {
                    continue;
                }
                tokio::time::sleep(GATHER).await;
                let Some(bureau) = weak.upgrade() else { return };
                if let Err(error) = bureau.flush_accesses().await {
                    tracing::warn!(%error, "the access log cannot be written; its entries wait");
                }
            }
        });
    }

    /// Writes what was looked at so far. On an error the entries wait for the next time.
    pub async fn flush_accesses(&self) -> Result<()> {
        let mut pruned = self.accesses.writing.lock().await;
        let mut waiting = std::mem::take(&mut *self.accesses.queue());
        let lost = self.accesses.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "reads came faster than they could be written; these are not in the access log");
        }
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(BATCH));
            if let Err(error) = self.write_accesses(&mut waiting).await {
                waiting.extend(rest);
                self.accesses.put_back(waiting);
                return Err(error);
            }
            waiting = rest;
        }
        let now = self.clock.now();
        if pruned.is_none_or(|last| last.plus_minutes(PRUNE_MINUTES) <= now) {
            *pruned = Some(now);
            self.prune_accesses(now).await?;
        }
        Ok(())
    }

    async fn write_accesses(&self, batch: &mut [Access]) -> Result<()> {
        batch.sort_by_key(|access| access.principal.tenant_id);
        let mut tx = self.db.write().await?;
        let outcome = async {
            for of_tenant in batch.chunk_by(|one, two| one.principal.tenant_id == two.principal.tenant_id) {
                let tenant = of_tenant.first().map(|access| access.principal.tenant_id).unwrap_or_default();
                tx.enter(tenant).await?;
                for rows in of_tenant.chunks(ROWS) {
                    tx.execute(&self.access_rows(rows)).await?;
                }
            }
            Ok::<_, Error>(())
        };
        match outcome.await {
            Ok(()) => tx.commit().await,
            Err(error) => {
                tx.rollback().await?;
                Err(error)
            }
        }
    }

    fn access_rows(&self, rows: &[Access]) -> Sql {
        let mut sql = Sql::new(
            "INSERT INTO access_logs (id, tenant_id, organization_id, actor_id, actor_label, session_id, tool, access_type, \
             resource_kind, resource_id, transport, client, created_at) VALUES ",
        );
        for (index, access) in rows.iter().enumerate() {
            let Access { principal, origin, tool, seen, at } = access;
            let session = match principal.credential {
                Credential::Session(session) => Val::Id(session),
                _ => Val::Null,
            };
            sql.push(if index == 0 { "(" } else { ", (" }).bind(self.ids.next(*at));
            let cells: [Val; 12] = [
                principal.tenant_id.into(),
                seen.organization_id.into(),
                principal.actor_id().into(),
                principal.label.as_str().into(),
                session,
                (*tool).into(),
                "read".into(),
                seen.table.noun.into(),
                seen.id.into(),
                origin.transport.into(),
                origin.client.clone().into(),
                (*at).into(),
            ];
            for cell in cells {
                sql.push(", ").bind(cell);
            }
            sql.push(")");
        }
        sql
    }

    /// Forgets entries that are too old, of all tenants.
    async fn prune_accesses(&self, now: Instant) -> Result<()> {
        // Ids begin with the time at which they were made: the key finds the old ones without another index.
        let millis = now.plus_minutes(KEPT_DAYS.saturating_mul(-24 * 60)).micros().div_euclid(1_000);
        let bound = uuid::Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or_default(), &[0; 10]);
        let sql = Sql::with(
            "DELETE FROM access_logs WHERE id IN (SELECT id FROM access_logs WHERE id < $1 ORDER BY id LIMIT $2)",
            [bound.into_uuid().into(), PRUNED_AT_ONCE.into()],
        );
        loop {
            let mut tx = self.db.write().await?;
            tx.enter_all().await?;
            let gone = tx.execute(&sql).await;
            match gone {
                Ok(gone) => {
                    tx.commit().await?;
                    if gone < u64::try_from(PRUNED_AT_ONCE).unwrap_or_default() {
                        return Ok(());
                    }
                }
                Err(error) => {
                    tx.rollback().await?;
                    return Err(error);
                }
            }
        }
    }
}
