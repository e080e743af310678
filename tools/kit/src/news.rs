//! The reading side of the journal: what was committed since one looked last, by whichever process.
//!
//! Ids and times cannot tell what is new: clocks differ, and on PostgreSQL a transaction may commit long after its rows
//! were written. So every action bears a position. On SQLite, which has one writer at a time, it is a number that grows
//! with every action. On PostgreSQL it is the number of the transaction: whatever was not yet to be seen at one look has
//! at least the number of the oldest transaction that was still running then (`pg_snapshot_xmin`), and that is where the
//! next look begins. What was seen there already is remembered by its id.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant as Moment;
use uuid::Uuid;

use crate::access::rights_epoch;
use crate::db::{CALL_LIMIT_SECONDS, Tx};
use crate::error::Result;
use crate::gate::Bureau;
use crate::guards::{Guard, stands};
use crate::registry::Registry;
use crate::rights::Principal;
use crate::sql::Sql;
use crate::table::Table;
use crate::time::Instant;
use crate::value::Row;

/// Actions read at a time.
const ACTIONS: i64 = 200;
/// No transaction of Bureau lives as long: the database ends it. One of somebody else's does not keep news back.
const LONGEST_TRANSACTION: Duration = Duration::from_secs(CALL_LIMIT_SECONDS.saturating_mul(2).saturating_add(5));
/// Actions older than this are no news, whatever their position says: a PostgreSQL database that was restored into
/// another cluster holds numbers of transactions which that cluster has yet to give out.
const NEWS_MINUTES: i64 = 24 * 60;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It is new, or there again.
    Create,
    /// It is another.
    Update,
    /// It is gone.
    Delete,
}

impl Operation {
    /// As programs see it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One record that one action changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// Whose it is.
    pub tenant_id: Uuid,
    /// The organization it belongs to, and belonged to before; none when it is the whole tenant's.
    pub organizations: [Option<Uuid>; 2],
    /// The action, which is also its undo token.
    pub action_id: Uuid,
    /// The tool that was called.
    pub tool: String,
    /// Where the record is.
    pub table: &'static Table,
    /// Which of the kinds that share the table, where the record says so: `person` in its column `kind`.
    pub kind: Option<String>,
    /// What kind of record it is about, for those that are about another: `task` of a comment.
    pub subject_type: Option<String>,
    /// The record.
    pub id: Uuid,
    /// Its number in the tenant.
    pub num: Option<i64>,
    /// What became of it.
    pub operation: Operation,
    /// Its version; of a deleted one the last.
    pub version: i64,
    /// When.
    pub at: Instant,
    /// Who did it.
    pub actor_id: Uuid,
    /// What they are called.
    pub actor: String,
}

impl Change {
    /// Whether the record is of the caller's tenant and organizations, now or before the change.
    pub fn is_within(&self, principal: &Principal) -> bool {
        let within = |organization: &Option<Uuid>| match (organization, &principal.organizations) {
            (Some(organization), Some(held)) => held.contains(organization),
            _ => true,
        };
        !stands(Guard::NewsWithin)
            || (self.tenant_id == principal.tenant_id
                && (!self.table.in_organization || self.organizations.iter().any(within)))
    }
}

/// Something that was committed.
#[derive(Debug, Clone)]
pub enum Told {
    /// Somebody may do more or less than before.
    Rights,
    /// A record changed.
    Changed(Box<Change>),
}

/// The part of a snapshot that news need.
#[derive(Default, Deserialize)]
struct Glimpse {
    num: Option<i64>,
    organization_id: Option<Uuid>,
    kind: Option<String>,
    subject_type: Option<String>,
}

impl Glimpse {
    fn of(snapshot: Option<&String>) -> Option<Self> {
        snapshot.map(|text| serde_json::from_str(text).unwrap_or_default())
    }
}

/// A place in the journal of all tenants.
#[derive(Debug)]
pub struct Reader {
    bureau: Arc<Bureau>,
    /// What is below was seen or is out of date.
    from: i64,
    /// What was seen above, with its position.
    seen: HashMap<Uuid, i64>,
    epoch: i64,
    /// Positions that lay ahead at two moments, at least the life of a transaction apart.
    marks: [(Moment, i64); 2],
}

/// One action, without its changes.
struct Action {
    id: Uuid,
    position: i64,
    tenant_id: Uuid,
    tool: String,
    actor_id: Uuid,
    actor: String,
    at: Instant,
}

impl Reader {
    /// Begins at the end: what is committed from now on is new.
    pub async fn start(bureau: Arc<Bureau>) -> Result<Self> {
        let now = Moment::now();
        let mut reader = Self { bureau, from: i64::MAX, seen: HashMap::new(), epoch: 0, marks: [(now, 0); 2] };
        let mut tx = reader.bureau.db.read().await?;
        tx.enter_all().await?;
        let window = tx.positions().await?;
        reader.epoch = rights_epoch(&mut tx).await?;
        reader.from = window.0;
        let mut last = None;
        loop {
            let actions = reader.actions(&mut tx, window.1, last).await?;
            let Some(end) = reader.note(&actions) else { break };
            last = Some(end);
        }
        tx.commit().await?;
        reader.marks = [(now, window.0), (now, window.1)];
        Ok(reader)
    }

    /// Tells all that was committed since, once each. Rights come first, so that whoever is told of a change afterwards
    /// can be asked for the rights they have by then.
    pub async fn read(&mut self, mut tell: impl FnMut(Told) + Send) -> Result<()> {
        let mut tx = self.bureau.db.read().await?;
        tx.enter_all().await?;
        let (low, high) = tx.positions().await?;
        let epoch = rights_epoch(&mut tx).await?;
        if epoch != self.epoch {
            self.epoch = epoch;
            tell(Told::Rights);
        }
        let mut last = None;
        loop {
            let actions = self.actions(&mut tx, high, last).await?;
            let fresh: Vec<&Action> = actions.iter().filter(|action| !self.seen.contains_key(&action.id)).collect();
            for change in changes(&mut tx, &self.bureau.registry, &fresh).await? {
                tell(Told::Changed(Box::new(change)));
            }
            let Some(end) = self.note(&actions) else { break };
            last = Some(end);
        }
        tx.commit().await?;
        self.advance(low, high);
        Ok(())
    }

    /// The next actions that are to be looked at, seen ones included.
    async fn actions(&self, tx: &mut Tx, high: i64, last: Option<(i64, Uuid)>) -> Result<Vec<Action>> {
        let oldest = self.bureau.clock.now().plus_minutes(NEWS_MINUTES.saturating_neg());
        let sql = page(self.from, high, last, oldest);
        tx.query(&sql).await?.iter().map(Action::read).collect()
    }

    /// Remembers actions as seen; where the next page begins, if there may be one.
    fn note(&mut self, actions: &[Action]) -> Option<(i64, Uuid)> {
        self.seen.extend(actions.iter().map(|action| (action.id, action.position)));
        let full = i64::try_from(actions.len()).is_ok_and(|count| count >= ACTIONS);
        actions.last().filter(|_| full).map(|action| (action.position, action.id))
    }

    fn advance(&mut self, low: i64, high: i64) {
        let [old, new] = self.marks;
        if new.0.elapsed() >= LONGEST_TRANSACTION {
            self.marks = [new, (Moment::now(), high)];
        }
        // Below what was ahead so long ago nothing of ours can come any more.
        let floor = if old.0.elapsed() >= LONGEST_TRANSACTION { old.1 } else { low };
        self.from = low.max(floor);
        self.seen.retain(|_, position| *position >= self.from);
    }
}

/// The statement for a page of actions, answered from the index `action_logs_by_position` alone as to which they are.
fn page(from: i64, high: i64, last: Option<(i64, Uuid)>, oldest: Instant) -> Sql {
    let mut sql = Sql::new(
        "SELECT id, position, tenant_id, tool, actor_id, actor_label, created_at FROM action_logs WHERE position >= ",
    );
    sql.bind(last.map_or(from, |(position, _)| position)).push(" AND position < ").bind(high);
    sql.push(" AND created_at >= ").bind(oldest);
    if let Some((position, id)) = last {
        sql.push(" AND (position, id) > (").bind(position).push(", ").bind(id).push(")");
    }
    sql.push(" ORDER BY position, id LIMIT ").bind(ACTIONS);
    sql
}

impl Action {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            position: row.get(1)?,
            tenant_id: row.get(2)?,
            tool: row.get(3)?,
            actor_id: row.get(4)?,
            actor: row.get(5)?,
            at: row.get(6)?,
        })
    }
}

/// What actions changed: each record once for each action, with what became of it in the end.
async fn changes(tx: &mut Tx, registry: &Registry, actions: &[&Action]) -> Result<Vec<Change>> {
    if actions.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql =
        Sql::new("SELECT action_id, table_name, row_id, before, after, version_after FROM action_changes WHERE TRUE");
    sql.and_in("action_id", actions.iter().map(|action| action.id)).push(" ORDER BY action_id, sequence");
    let places: HashMap<Uuid, usize> = actions.iter().map(|action| action.id).zip(0..).collect();
    // By action and record: whether it was there before, and whether it is there now.
    let mut found: HashMap<(Uuid, Uuid), usize> = HashMap::new();
    let mut changes: Vec<(usize, bool, bool, Change)> = Vec::new();
    for row in tx.query(&sql).await? {
        let (action_id, id): (Uuid, Uuid) = (row.get(0)?, row.get(2)?);
        let Some(table) = registry.table(&row.get::<String>(1)?) else { continue };
        let Some(place) = places.get(&action_id).copied() else { continue };
        let Some(action) = actions.get(place) else { continue };
        let (before, after): (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
        let (before, after) = (Glimpse::of(before.as_ref()), Glimpse::of(after.as_ref()));
        let version = row.get(5)?;
        let is_there = after.is_some();
        let known = found.get(&(action_id, id)).and_then(|index| changes.get_mut(*index));
        if let Some((_, _, there, change)) = known {
            *there = is_there;
            change.version = version;
            if let Some(after) = after {
                change.num = after.num;
                change.organizations = [after.organization_id, change.organizations[1]];
            }
            continue;
        }
        let was_there = before.is_some();
        let last = after.as_ref().or(before.as_ref());
        let first = before.as_ref().or(after.as_ref());
        found.insert((action_id, id), changes.len());
        changes.push((
            place,
            was_there,
            is_there,
            Change {
                tenant_id: action.tenant_id,
                organizations: [last, first].map(|glimpse| glimpse.and_then(|glimpse| glimpse.organization_id)),
                kind: last.and_then(|glimpse| glimpse.kind.clone()),
                subject_type: last.and_then(|glimpse| glimpse.subject_type.clone()),
                action_id,
                tool: action.tool.clone(),
                table,
                id,
                num: last.and_then(|glimpse| glimpse.num),
                operation: Operation::Update,
                version,
                at: action.at,
                actor_id: action.actor_id,
                actor: action.actor.clone(),
            },
        ));
    }
    // In the order of the actions; within one in that of its steps, which the sort leaves as it is.
    changes.sort_by_key(|(place, ..)| *place);
    let told = changes.into_iter().filter_map(|(_, was_there, is_there, mut change)| {
        change.operation = match (was_there, is_there) {
            (true, true) => Operation::Update,
            (false, true) => Operation::Create,
            (true, false) => Operation::Delete,
            (false, false) => return None,
        };
        Some(change)
    });
    Ok(told.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Db, Dialect, Location};
    use crate::id::Ids;
    use crate::time::Clock;
    use crate::value::Val;

    static THINGS: Table = Table::new("things", "thing", "A thing.", &[]);

    /// A database of its own, on SQLite or on the PostgreSQL server that `BUREAU_TEST_POSTGRES` names.
    async fn fresh(name: &str) -> (Option<tempfile::TempDir>, Arc<Bureau>, Uuid) {
        let (directory, location) = match std::env::var("BUREAU_TEST_POSTGRES") {
            Ok(url) => {
                let schema = format!("news_{name}_{}", std::process::id());
                let db = Db::connect(&Location::Postgres(url.clone())).await.unwrap();
                let mut tx = db.write().await.unwrap();
                tx.script(&format!("CREATE SCHEMA {schema}")).await.unwrap();
                tx.commit().await.unwrap();
                (None, Location::Postgres(format!("{url}?options=-c%20search_path%3D{schema}")))
            }
            Err(_) => {
                let directory = tempfile::tempdir().unwrap();
                let location = Location::Sqlite(directory.path().join("test.db"));
                (Some(directory), location)
            }
        };
        let db = Db::open(&location, crate::MIGRATIONS).await.unwrap();
        let registry = Registry::new(Vec::new(), &[&THINGS], "{}").unwrap();
        let bureau = Bureau::new(registry, db, Clock::System, Ids::system());
        let tenant = bureau.ids.next(bureau.clock.now());
        let now = bureau.clock.now();
        let mut tx = bureau.db.write().await.unwrap();
        tx.enter_all().await.unwrap();
        tx.execute(&Sql::with(
            "INSERT INTO tenants (id, name, slug, is_active, created_at, updated_at) VALUES ($1, 'T', 't', $2, $3, $3)",
            [tenant.into(), true.into(), now.into()],
        ))
        .await
        .unwrap();
        tx.commit().await.unwrap();
        (directory, bureau, tenant)
    }

    /// Writes an action that changes one thing with each pair of snapshots, as the journal does.
    async fn act(tx: &mut Tx, bureau: &Bureau, tenant: Uuid, tool: &str, steps: &[(Uuid, Option<&str>, Option<&str>)]) {
        tx.enter(tenant).await.unwrap();
        let now = bureau.clock.now();
        let id = bureau.ids.next(now);
        let mut sql = Sql::with(
            "INSERT INTO action_logs (id, tenant_id, tool, label, actor_id, actor_label, transport, state, undoable, \
             change_count, created_at, updated_at, position) VALUES ($1, $2, $3, 'x', $2, 'Ada', 'test', 'done', $4, 1, $5, $5, ",
            [id.into(), tenant.into(), tool.into(), true.into(), now.into()],
        );
        sql.push(tx.position()).push(")");
        tx.execute(&sql).await.unwrap();
        for (sequence, (row, before, after)) in (0_i64..).zip(steps) {
            let texts = [before, after].map(|snapshot| Val::from(snapshot.map(str::to_owned)));
            let [before, after] = texts;
            tx.execute(&Sql::with(
                "INSERT INTO action_changes (action_id, sequence, tenant_id, table_name, row_id, before, after, version_after) \
                 VALUES ($1, $2, $3, 'things', $4, $5, $6, $7)",
                [id.into(), sequence.into(), tenant.into(), (*row).into(), before, after, (sequence + 1).into()],
            ))
            .await
            .unwrap();
        }
    }

    async fn heard(reader: &mut Reader) -> Vec<(String, Operation, i64)> {
        let mut heard = Vec::new();
        reader
            .read(|told| {
                if let Told::Changed(change) = told {
                    heard.push((change.tool, change.operation, change.version));
                }
            })
            .await
            .unwrap();
        heard
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_commit_is_told_once_however_late_it_comes() {
        let (_directory, bureau, tenant) = fresh("late").await;
        let thing = bureau.ids.next(bureau.clock.now());
        let is_postgres = bureau.db.dialect() == Dialect::Postgres;
        let new = [(thing, None, Some("{}"))];
        let mut tx = bureau.db.write().await.unwrap();
        act(&mut tx, &bureau, tenant, "before", &new).await;
        tx.commit().await.unwrap();
        // Begun before the reader and before every other, and committed last; SQLite has one writer at a time.
        let mut late = None;
        if is_postgres {
            let mut tx = bureau.db.write().await.unwrap();
            act(&mut tx, &bureau, tenant, "late", &new).await;
            late = Some(tx);
        }
        let mut reader = Reader::start(bureau.clone()).await.unwrap();
        assert_eq!(heard(&mut reader).await, [], "what was before is no news");
        for number in 0..3 {
            let mut tx = bureau.db.write().await.unwrap();
            act(&mut tx, &bureau, tenant, &format!("tool {number}"), &new).await;
            tx.commit().await.unwrap();
            assert_eq!(heard(&mut reader).await, [(format!("tool {number}"), Operation::Create, 1)]);
            assert_eq!(heard(&mut reader).await, []);
        }
        let mut tx = bureau.db.write().await.unwrap();
        act(&mut tx, &bureau, tenant, "taken back", &new).await;
        tx.rollback().await.unwrap();
        assert_eq!(heard(&mut reader).await, []);
        if let Some(tx) = late {
            tx.commit().await.unwrap();
            assert_eq!(heard(&mut reader).await, [("late".to_owned(), Operation::Create, 1)]);
        }
        assert_eq!(heard(&mut reader).await, []);
        // More than one page, and what one action makes of a record in several steps.
        let steps = [(thing, Some("{}"), Some("{}")), (thing, Some("{}"), Some("{\"num\":7}"))];
        let gone = [(thing, None, Some("{}")), (thing, Some("{}"), None)];
        let mut tx = bureau.db.write().await.unwrap();
        for _ in 0..ACTIONS {
            act(&mut tx, &bureau, tenant, "twice", &steps).await;
            act(&mut tx, &bureau, tenant, "never there", &gone).await;
        }
        tx.commit().await.unwrap();
        let all = heard(&mut reader).await;
        assert_eq!(all, vec![("twice".to_owned(), Operation::Update, 2); usize::try_from(ACTIONS).unwrap()]);
        assert_eq!(heard(&mut reader).await, []);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_look_reads_the_new_part_of_the_index_only() {
        let (_directory, bureau, tenant) = fresh("plan").await;
        let (id, numbers, explain) = match bureau.db.dialect() {
            Dialect::Sqlite => (
                "randomblob(16)",
                "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n)",
                "EXPLAIN QUERY PLAN ",
            ),
            Dialect::Postgres => ("gen_random_uuid()", "(SELECT i FROM generate_series(1, 20000) AS i)", "EXPLAIN "),
        };
        let now = bureau.clock.now();
        let mut tx = bureau.db.write().await.unwrap();
        tx.enter(tenant).await.unwrap();
        let mut sql = Sql::built(format!(
            "INSERT INTO action_logs (id, tenant_id, tool, label, actor_id, actor_label, transport, state, undoable, \
             change_count, created_at, updated_at, position) SELECT {id}, $1, 'x', 'x', $1, 'x', 'x', 'done', $2, 0, $3, $3, i FROM {numbers} AS numbers"
        ));
        sql.values = vec![tenant.into(), true.into(), now.into()];
        tx.execute(&sql).await.unwrap();
        tx.script("ANALYZE action_logs").await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = bureau.db.read().await.unwrap();
        tx.enter_all().await.unwrap();
        for last in [None, Some((19_990, tenant))] {
            let page = page(19_980, 20_001, last, now);
            let mut explained = Sql::built(format!("{explain}{}", page.text));
            explained.values = page.values;
            let rows = tx.query(&explained).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
            let plan = plan.join("\n");
            assert!(plan.contains("action_logs_by_position"), "{plan}");
            assert!(
                !plan.contains("SCAN action_logs") && !plan.contains("Seq Scan") && !plan.contains("TEMP B-TREE"),
                "{plan}"
            );
        }
    }
}
