//! The two databases behind one face. No pool, connection or driver type leaves this module.

mod migrate;
mod postgres;
mod sqlite;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

pub use migrate::Migration;

use crate::error::{Error, Result};
use crate::sql::Sql;
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
        Ok(Tx(match &self.0 {
            Engine::Sqlite(store) => Session::SqliteRead(store.read().await?),
            Engine::Postgres(store) => Session::Postgres(store.begin(true).await?),
        }))
    }

    /// A writing transaction. On SQLite there is one at a time; the next ones wait.
    pub async fn write(&self) -> Result<Tx> {
        Ok(Tx(match &self.0 {
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

    /// Waits for open sessions to end and closes the database.
    pub async fn close(&self) {
        if let Engine::Postgres(store) = &self.0 {
            store.close().await;
        }
    }
}

/// One transaction. Dropped without [`Tx::commit`], it is rolled back.
#[derive(Debug)]
pub struct Tx(Session);

#[derive(Debug)]
enum Session {
    SqliteRead(sqlite::ReadSession),
    SqliteWrite(sqlite::WriteSession),
    Postgres(postgres::Session),
}

impl Tx {
    /// Runs a statement and returns all its rows.
    ///
    /// All of them, always: a statement stopped after its first row can hide a failed write.
    pub async fn query(&mut self, sql: &Sql) -> Result<Vec<Row>> {
        self.query_text(&sql.text, &sql.values).await
    }

    pub(crate) async fn query_text(&mut self, text: &str, values: &[Val]) -> Result<Vec<Row>> {
        match &mut self.0 {
            Session::SqliteRead(session) => session.query(text, values),
            Session::SqliteWrite(session) => session.query(text, values),
            Session::Postgres(session) => session.query(text, values).await,
        }
    }

    /// Runs a statement for its effect and returns how many rows it touched.
    pub(crate) async fn execute(&mut self, sql: &Sql) -> Result<u64> {
        match &mut self.0 {
            Session::SqliteRead(_) => Err(Error::internal("a read call tried to write")),
            Session::SqliteWrite(session) => session.execute(&sql.text, &sql.values),
            Session::Postgres(session) => session.execute(&sql.text, &sql.values).await,
        }
    }

    /// Runs several statements without values: migrations, savepoints.
    pub(crate) async fn script(&mut self, text: &str) -> Result<()> {
        match &mut self.0 {
            Session::SqliteRead(_) => Err(Error::internal("a read call tried to write")),
            Session::SqliteWrite(session) => session.script(text),
            Session::Postgres(session) => session.script(text).await,
        }
    }

    /// Binds the session to a tenant: from here on PostgreSQL's row-level security shows this tenant's rows only.
    pub(crate) async fn enter(&mut self, tenant: Uuid) -> Result<()> {
        match &mut self.0 {
            Session::Postgres(session) => session.enter(Some(tenant)).await,
            _ => Ok(()),
        }
    }

    /// Lifts row-level security for the kit's own look-ups across tenants: tokens, first start, undo of nothing else.
    pub(crate) async fn enter_all(&mut self) -> Result<()> {
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

    /// Makes everything durable. Only after `Ok` may the caller be told of success.
    pub async fn commit(self) -> Result<()> {
        match self.0 {
            Session::SqliteRead(session) => session.finish(),
            Session::SqliteWrite(session) => session.commit().await,
            Session::Postgres(session) => session.commit().await,
        }
    }

    /// Forgets everything.
    pub async fn rollback(self) -> Result<()> {
        match self.0 {
            Session::SqliteRead(session) => session.finish(),
            Session::SqliteWrite(session) => session.rollback().await,
            Session::Postgres(session) => session.rollback().await,
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
    Error::rate_limited(format!(
        "The call took longer than {CALL_LIMIT_SECONDS} seconds and was stopped. Nothing was changed; ask for less at once."
    ))
}
