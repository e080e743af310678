//! The two databases behind one face. No pool, connection or driver type leaves this module.

mod migrate;
mod postgres;
mod sqlite;
#[cfg(feature = "mutation")]
mod unfiltered;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub use migrate::Migration;

use crate::error::{Error, Result};
use crate::sql::Sql;
use crate::table::Table;
use crate::value::{Row, Val};

/// Longest time one call may spend, in seconds.
pub const CALL_LIMIT_SECONDS: u64 = 30;

/// Where the data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server, as a `postgres://` URL.
    Postgres(String),
}

impl Location {
    /// Reads `sqlite:PATH` or `postgres://…`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err("sqlite: needs a path, such as sqlite:/var/lib/bureau/bureau.db".into());
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err(format!("`{text}` is not a database; write sqlite:PATH or postgres://user:password@host/name"))
    }

    /// For logs and messages: without the password.
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(url) => match (url.find("://"), url.rfind('@')) {
                (Some(scheme), Some(at)) if at > scheme => {
                    format!("{}://…{}", url.get(..scheme).unwrap_or_default(), url.get(at..).unwrap_or_default())
                }
                _ => url.clone(),
            },
        }
    }
}

/// An open database.
#[derive(Debug, Clone)]
pub struct Db(Engine);

#[derive(Debug, Clone)]
enum Engine {
    Sqlite(Arc<sqlite::Store>),
    Postgres(postgres::Store),
}

/// Which of the two engines serves, where that shows: in `doctor`, and for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Db {
    /// Opens a database and brings it to the newest schema.
    pub async fn open(location: &Location, migrations: &[Migration]) -> Result<Self> {
        let db = Self::connect(location).await?;
        migrate::run(&db, migrations).await?;
        Ok(db)
    }

    /// Opens a database as it is.
    pub async fn connect(location: &Location) -> Result<Self> {
        Ok(Self(match location {
            Location::Sqlite(path) => Engine::Sqlite(Arc::new(sqlite::Store::open(path)?)),
            Location::Postgres(url) => Engine::Postgres(postgres::Store::open(url).await?),
        }))
    }

    /// Which engine this is.
    pub fn dialect(&self) -> Dialect {
        match &self.0 {
            Engine::Sqlite(_) => Dialect::Sqlite,
            Engine::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Names of the migrations that the database has not seen yet.
    pub async fn pending(&self, migrations: &[Migration]) -> Result<Vec<&'static str>> {
        migrate::pending(self, migrations).await
    }

    /// A read-only snapshot.
    pub async fn read(&self) -> Result<Tx> {
        Ok(Tx::of(match &self.0 {
            Engine::Sqlite(store) => Session::SqliteRead(store.read().await?),
            Engine::Postgres(store) => Session::Postgres(store.begin(true).await?),
        }))
    }

    /// A writing transaction. On SQLite there is one at a time; the next ones wait.
    pub async fn write(&self) -> Result<Tx> {
        Ok(Tx::of(match &self.0 {
            Engine::Sqlite(store) => Session::SqliteWrite(store.clone().write().await?),
            Engine::Postgres(store) => Session::Postgres(store.begin(false).await?),
        }))
    }

    /// What the engine says of its own health: a list of problems, empty when all is well.
    pub async fn check(&self) -> Result<Vec<String>> {
        match &self.0 {
            Engine::Sqlite(store) => store.check().await,
            Engine::Postgres(store) => store.check().await,
        }
    }

    /// Claims work for this process, until it is [released](Self::release) or the process ends, in whatever way. All
    /// processes on the database see it. The operating system, or PostgreSQL, watches over it: no clock has to.
    pub(crate) async fn claim(&self, work: Uuid) -> Result<()> {
        match &self.0 {
            Engine::Sqlite(store) => store.claim(work),
            Engine::Postgres(store) => store.claim(work).await,
        }
    }

    /// Gives up a claim.
    pub(crate) async fn release(&self, work: Uuid) {
        match &self.0 {
            Engine::Sqlite(store) => store.release(work),
            Engine::Postgres(store) => store.release(work).await,
        }
    }

    /// Whether a living process claims this work.
    pub(crate) async fn is_claimed(&self, work: Uuid) -> Result<bool> {
        match &self.0 {
            Engine::Sqlite(store) => store.is_claimed(work),
            Engine::Postgres(store) => store.is_claimed(work).await,
        }
    }

    /// Waits for open sessions to end and closes the database.
    pub async fn close(&self) {
        if let Engine::Postgres(store) = &self.0 {
            store.close().await;
        }
    }
}

/// One transaction. Dropped without [`Tx::commit`], it is rolled back.
#[derive(Debug)]
pub struct Tx(Session, #[cfg(feature = "mutation")] unfiltered::Bound);

#[derive(Debug)]
enum Session {
    SqliteRead(sqlite::ReadSession),
    SqliteWrite(sqlite::WriteSession),
    Postgres(postgres::Session),
    /// None: between two transactions of one call, which must hold nothing that others wait for.
    Resting,
}

fn resting() -> Error {
    Error::internal("a call used the database while it had given up its place")
}

impl Tx {
    /// Stands for the transaction of a call that has ended one and not begun the next. Holding a connection of the pool
    /// meanwhile, calls that wait for the writer and one that has it would wait for each other.
    pub(crate) fn resting() -> Self {
        Self::of(Session::Resting)
    }

    fn of(session: Session) -> Self {
        Self(
            session,
            #[cfg(feature = "mutation")]
            unfiltered::Bound::default(),
        )
    }

    /// Runs a statement and returns all its rows.
    ///
    /// All of them, always: a statement stopped after its first row can hide a failed write.
    pub async fn query(&mut self, sql: &Sql) -> Result<Vec<Row>> {
        self.query_text(&sql.text, &sql.values).await
    }

    pub(crate) async fn query_text(&mut self, text: &str, values: &[Val]) -> Result<Vec<Row>> {
        #[cfg(feature = "mutation")]
        let text = &*self.1.unfiltered(text);
        match &mut self.0 {
            Session::SqliteRead(session) => session.query(text, values),
            Session::SqliteWrite(session) => session.query(text, values),
            Session::Postgres(session) => session.query(text, values).await,
            Session::Resting => Err(resting()),
        }
    }

    /// Writes rows of a described table as JSON, where the engine can do so without a detour; none where it cannot.
    pub(crate) fn write_records(&mut self, table: &Table, sql: &Sql, json: &mut Vec<u8>) -> Result<Option<i64>> {
        match &mut self.0 {
            Session::SqliteRead(session) => {
                let text = &sql.text;
                #[cfg(feature = "mutation")]
                let text = &*self.1.unfiltered(text);
                session.write_records(table, text, &sql.values, json).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Runs a statement for its effect and returns how many rows it touched.
    pub(crate) async fn execute(&mut self, sql: &Sql) -> Result<u64> {
        let text = &sql.text;
        #[cfg(feature = "mutation")]
        let text = &*self.1.unfiltered(text);
        match &mut self.0 {
            Session::SqliteRead(_) => Err(Error::internal("a read call tried to write")),
            Session::SqliteWrite(session) => session.execute(text, &sql.values),
            Session::Postgres(session) => session.execute(text, &sql.values).await,
            Session::Resting => Err(resting()),
        }
    }

    /// Runs several statements without values: migrations, savepoints.
    pub(crate) async fn script(&mut self, text: &str) -> Result<()> {
        match &mut self.0 {
            Session::SqliteRead(_) => Err(Error::internal("a read call tried to write")),
            Session::SqliteWrite(session) => session.script(text),
            Session::Postgres(session) => session.script(text).await,
            Session::Resting => Err(resting()),
        }
    }

    /// How long this transaction may take from now on, where that is not what a call usually may.
    pub(crate) async fn allow(&mut self, limit: Duration) -> Result<()> {
        match &mut self.0 {
            Session::SqliteRead(session) => session.allow(limit),
            Session::SqliteWrite(session) => session.allow(limit),
            Session::Postgres(session) => session.allow(limit).await,
            Session::Resting => Err(resting()),
        }
    }

    /// Binds the session to a tenant: from here on PostgreSQL's row-level security shows this tenant's rows only.
    pub(crate) async fn enter(&mut self, tenant: Uuid) -> Result<()> {
        #[cfg(feature = "mutation")]
        self.1.set(true);
        match &mut self.0 {
            Session::Postgres(session) => session.enter(Some(tenant)).await,
            _ => Ok(()),
        }
    }

    /// Lifts row-level security for the kit's own look-ups across tenants: tokens, first start, undo of nothing else.
    pub(crate) async fn enter_all(&mut self) -> Result<()> {
        #[cfg(feature = "mutation")]
        self.1.set(false);
        match &mut self.0 {
            Session::Postgres(session) => session.enter(None).await,
            _ => Ok(()),
        }
    }

    /// Appended to a select inside a write, so that the row stays as read until the commit.
    pub(crate) fn lock_clause(&self, shared: bool) -> &'static str {
        match (&self.0, shared) {
            (Session::Postgres(session), _) if session.is_read_only() => "",
            (Session::Postgres(_), false) => " FOR UPDATE",
            (Session::Postgres(_), true) => " FOR KEY SHARE",
            _ => "",
        }
    }

    /// The same, but others may go on referring to the row: it cannot change, though rows that point to it may come.
    pub(crate) fn hold_clause(&self) -> &'static str {
        match &self.0 {
            Session::Postgres(session) if !session.is_read_only() => " FOR NO KEY UPDATE",
            _ => "",
        }
    }

    /// Appended to a select inside a write: rows that somebody else is just taking are passed over.
    pub(crate) fn skip_locked_clause(&self) -> &'static str {
        match &self.0 {
            Session::Postgres(session) if !session.is_read_only() => " FOR UPDATE SKIP LOCKED",
            _ => "",
        }
    }

    /// The place of what this transaction writes among all writes, as SQL; see [`crate::news`].
    pub(crate) fn position(&self) -> &'static str {
        match &self.0 {
            Session::Postgres(_) => "pg_current_xact_id()::text::bigint",
            _ => "(SELECT COALESCE(MAX(position), 0) + 1 FROM action_logs)",
        }
    }

    /// Where writes stand that this snapshot does not see: all of them at the first place or beyond. All that it sees
    /// stand before the second.
    pub(crate) async fn positions(&mut self) -> Result<(i64, i64)> {
        let sql = match &self.0 {
            Session::Postgres(_) => {
                "SELECT pg_snapshot_xmin(snapshot)::text::bigint, pg_snapshot_xmax(snapshot)::text::bigint \
                 FROM pg_current_snapshot() AS snapshot"
            }
            _ => "SELECT COALESCE(MAX(position), 0) + 1, COALESCE(MAX(position), 0) + 1 FROM action_logs",
        };
        let rows = self.query(&Sql::new(sql)).await?;
        let row = rows.first().ok_or_else(|| Error::internal("the database told no position"))?;
        Ok((row.get(0)?, row.get(1)?))
    }

    /// Makes everything durable. Only after `Ok` may the caller be told of success.
    pub async fn commit(self) -> Result<()> {
        match self.0 {
            Session::SqliteRead(session) => session.finish(),
            Session::SqliteWrite(session) => session.commit().await,
            Session::Postgres(session) => session.commit().await,
            Session::Resting => Ok(()),
        }
    }

    /// Forgets everything.
    pub async fn rollback(self) -> Result<()> {
        match self.0 {
            Session::SqliteRead(session) => session.finish(),
            Session::SqliteWrite(session) => session.rollback().await,
            Session::Postgres(session) => session.rollback().await,
            Session::Resting => Ok(()),
        }
    }
}

/// Where the database is when nobody says: a file in the user's data directory.
pub fn default_path(environment: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if let Some(directory) = environment("XDG_DATA_HOME").filter(|directory| Path::new(directory).is_absolute()) {
        return Some(Path::new(&directory).join("bureau/bureau.db"));
    }
    if cfg!(target_os = "macos") {
        return Some(Path::new(&environment("HOME")?).join("Library/Application Support/bureau/bureau.db"));
    }
    if cfg!(windows) {
        return Some(Path::new(&environment("LOCALAPPDATA")?).join("bureau/bureau.db"));
    }
    Some(Path::new(&environment("HOME")?).join(".local/share/bureau/bureau.db"))
}

/// A unique index refused a row: names the columns, without those that every index begins with.
fn already_taken<'a>(columns: impl Iterator<Item = (&'a str, &'a str)>) -> Error {
    let names: Vec<&str> = columns
        .map(|(_, column)| column)
        .filter(|column| !matches!(*column, "tenant_id" | "organization_id"))
        .collect();
    let names = names.join(" and ").replace("_folded", "");
    if names.is_empty() {
        return Error::conflict("Another record already has these values.");
    }
    Error::conflict(format!("Another record already has this {names}. Find it with the list tool, or choose another."))
        .with("columns", names)
}

fn still_referred_to() -> Error {
    Error::conflict("Another record refers to this one, or one that it refers to is gone. Nothing was changed.")
}

fn took_too_long() -> Error {
    Error::rate_limited(
        "The database worked for longer than this call may take and was stopped. Nothing was changed; ask for less at once.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fresh() -> (tempfile::TempDir, Db) {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::connect(&Location::Sqlite(directory.path().join("test.db"))).await.unwrap();
        let mut tx = db.write().await.unwrap();
        tx.script("CREATE TABLE entries (number INTEGER PRIMARY KEY)").await.unwrap();
        tx.commit().await.unwrap();
        (directory, db)
    }

    async fn numbers(db: &Db) -> Vec<i64> {
        let mut tx = db.read().await.unwrap();
        let rows = tx.query(&Sql::new("SELECT number FROM entries ORDER BY number")).await.unwrap();
        rows.iter().map(|row| row.get(0).unwrap()).collect()
    }

    fn insert(number: i64) -> Sql {
        Sql::with("INSERT INTO entries (number) VALUES ($1)", [number.into()])
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn calls_that_share_a_commit_stand_and_fall_each_for_itself() {
        let (_directory, db) = fresh().await;
        let tasks: Vec<_> = (0..200_i64)
            .map(|number| {
                let db = db.clone();
                tokio::spawn(async move {
                    let mut tx = db.write().await.unwrap();
                    tx.execute(&insert(number)).await.unwrap();
                    match number % 4 {
                        0 => tx.rollback().await.unwrap(),
                        // Dropped in the middle, as by a panic.
                        1 => drop(tx),
                        2 => {
                            assert_eq!(
                                tx.execute(&insert(number)).await.unwrap_err().code(),
                                crate::error::Code::Conflict
                            );
                            tx.commit().await.unwrap();
                        }
                        _ => tx.commit().await.unwrap(),
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(numbers(&db).await, (0..200).filter(|number| number % 4 >= 2).collect::<Vec<_>>());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_snapshot_does_not_move_and_a_read_cannot_write() {
        let (_directory, db) = fresh().await;
        let mut snapshot = db.read().await.unwrap();
        assert!(snapshot.query(&Sql::new("SELECT number FROM entries")).await.unwrap().is_empty());
        let mut tx = db.write().await.unwrap();
        tx.execute(&insert(1)).await.unwrap();
        tx.commit().await.unwrap();
        assert!(snapshot.query(&Sql::new("SELECT number FROM entries")).await.unwrap().is_empty());
        assert!(snapshot.execute(&insert(2)).await.is_err());
        snapshot.commit().await.unwrap();
        assert_eq!(numbers(&db).await, [1]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn placeholders_go_by_their_number() {
        let (_directory, db) = fresh().await;
        let mut tx = db.read().await.unwrap();
        let sql = Sql::with("SELECT $2, $1, $2", ["one".into(), "two".into()]);
        let rows = tx.query(&sql).await.unwrap();
        let texts: Vec<String> = (0..3).map(|index| rows[0].get(index).unwrap()).collect();
        assert_eq!(texts, ["two", "one", "two"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_database_that_is_newer_or_was_edited_is_refused_whole() {
        let (directory, db) = fresh().await;
        let location = Location::Sqlite(directory.path().join("test.db"));
        let first = Migration { number: 1, name: "first", sql: "CREATE TABLE one (id {id} PRIMARY KEY {table_end};" };
        let second = Migration { number: 2, name: "second", sql: "CREATE TABLE two (at {instant} {table_end};" };
        drop(db);
        Db::open(&location, &[first, second]).await.unwrap();
        assert!(
            Db::open(&location, &[first, second]).await.unwrap().pending(&[first, second]).await.unwrap().is_empty()
        );
        let newer = Db::open(&location, &[first]).await.unwrap_err().to_string();
        assert!(newer.starts_with("The database is newer than this program: it has migration 2 (second)"), "{newer}");
        let edited = Migration { sql: "CREATE TABLE other (id {id} PRIMARY KEY {table_end};", ..first };
        let refused = Db::open(&location, &[edited, second]).await.unwrap_err().to_string();
        assert!(refused.starts_with("Migration 1 (first) was another text"), "{refused}");
    }

    /// On SQLite, and on the PostgreSQL server that `BUREAU_TEST_POSTGRES` names.
    #[tokio::test(flavor = "multi_thread")]
    async fn every_kind_of_value_survives_the_database() {
        let (_directory, sqlite) = fresh().await;
        let mut databases = vec![sqlite];
        if let Ok(url) = std::env::var("BUREAU_TEST_POSTGRES") {
            databases.push(Db::connect(&Location::Postgres(url)).await.unwrap());
        }
        let id = Uuid::from_u128(0x0123_4567_89ab_7cde_8f01_2345_6789_abcd);
        let at = crate::time::Instant::parse("2026-11-21T10:00:00.123456Z").unwrap();
        let day = crate::time::Date::parse("1999-12-31").unwrap();
        let values: [Val; 9] = [
            id.into(),
            "Żółć '; --".into(),
            true.into(),
            i64::MAX.into(),
            at.into(),
            day.into(),
            Val::Json("{\"a\": [1, null]}".into()),
            Val::Bytes(vec![0, 255, 1]),
            Val::Null,
        ];
        for db in databases {
            let mut tx = db.write().await.unwrap();
            let create = "CREATE TEMPORARY TABLE kinds (a {id}, b {text}, c {flag}, d {count}, e {instant}, f {date}, g {json}, h {blob}, i {text})";
            tx.script(&migrate::translated(create, db.dialect())).await.unwrap();
            // Twice, so that the second run meets a prepared statement that first saw other types.
            for values in [vec![Val::Null; 9], values.to_vec()] {
                let sql = Sql::with("INSERT INTO kinds VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", values);
                assert_eq!(tx.execute(&sql).await.unwrap(), 1);
            }
            let sql = Sql::with(
                "SELECT a, b, c, d, e, f, g, h, i FROM kinds WHERE a = $1 AND e = $2 AND c",
                [id.into(), at.into()],
            );
            let rows = tx.query(&sql).await.unwrap();
            let row = rows.first().unwrap();
            assert_eq!(row.get::<Uuid>(0).unwrap(), id);
            assert_eq!(row.get::<String>(1).unwrap(), "Żółć '; --");
            assert!(row.get::<bool>(2).unwrap());
            assert_eq!(row.get::<i64>(3).unwrap(), i64::MAX);
            assert_eq!(row.get::<crate::time::Instant>(4).unwrap(), at);
            assert_eq!(row.get::<crate::time::Date>(5).unwrap(), day);
            assert_eq!(row.get::<serde_json::Value>(6).unwrap(), serde_json::json!({"a": [1, null]}));
            assert_eq!(row.get::<Vec<u8>>(7).unwrap(), [0, 255, 1]);
            assert_eq!(row.get::<Option<String>>(8).unwrap(), None);
            tx.rollback().await.unwrap();
        }
    }

    #[test]
    fn locations_are_read_and_shown_without_passwords() {
        assert_eq!(Location::parse("sqlite:/tmp/x.db").unwrap(), Location::Sqlite("/tmp/x.db".into()));
        let postgres = Location::parse("postgres://bureau:secret@db.example.com/bureau").unwrap();
        assert_eq!(postgres.shown(), "postgres://…@db.example.com/bureau");
        assert!(Location::parse("mysql://x").unwrap_err().starts_with("`mysql://x` is not a database"));
        assert!(Location::parse("sqlite:").is_err());
    }
}
