//! SQLite: many readers, one writer, and one commit for all calls that arrived while the last one was being synced.
//!
//! The engine is rusqlite rather than sqlx: a point read costs a tenth of the CPU, and a failed commit cannot hide
//! behind the first row of a statement. Calls run on the thread that asks; only the commit, which waits for the disk,
//! steps aside.

mod claims;
mod records;

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, Value as SqliteValue, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, oneshot};

use super::CALL_LIMIT_SECONDS;
use crate::error::{Error, Result};
use crate::table::Table;
use crate::value::{Row, Val};

/// Open read connections. Calls are short and run on the caller's thread, so few are enough.
const READERS: usize = 8;
/// Most calls that share one commit; a bound on how long the first of them waits.
const GROUP_LIMIT: usize = 64;
/// How long to wait for another process that is writing to the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a running statement looks at the clock, in virtual machine steps.
const STEPS_BETWEEN_LOOKS: i32 = 20_000;

#[derive(Debug)]
pub(super) struct Store {
    readers: Arc<Readers>,
    permits: Arc<Semaphore>,
    writer: Arc<tokio::sync::Mutex<Writer>>,
    /// Calls that wait for the writer: while there are any, the one that ends leaves the commit to them.
    waiting: Arc<AtomicUsize>,
    claims: claims::Claims,
}

#[derive(Debug)]
struct Readers(Mutex<Vec<Timed>>);

/// A connection whose statements stop by themselves at the call's deadline.
#[derive(Debug)]
struct Timed {
    connection: Connection,
    /// Milliseconds since the process started counting.
    deadline: Arc<AtomicI64>,
}

#[derive(Debug)]
struct Writer {
    timed: Timed,
    /// Whether a transaction is open that earlier calls have already written to.
    open: bool,
    /// Calls that wait to hear whether that transaction became durable.
    group: Vec<oneshot::Sender<Result<(), String>>>,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let new = !path.exists();
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            std::fs::create_dir_all(directory).map_err(|error| cannot_open(path, &error))?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| cannot_open(path, &error))?;
        if new {
            restrict_to_owner(path).map_err(|error| cannot_open(path, &error))?;
        }
        let prepare = |connection: &Connection| {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            // Plans do not depend on bound values: otherwise every new LIMIT prepares its statement anew.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
            connection.set_prepared_statement_cache_capacity(512);
            connection
                .execute_batch("PRAGMA foreign_keys = ON; PRAGMA mmap_size = 268435456; PRAGMA temp_store = MEMORY;")
        };
        let configure = || {
            prepare(&connection)?;
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))?;
            connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;")
        };
        patiently(configure).map_err(|error| cannot_open(path, &error))?;

        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut readers = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let reader = Connection::open_with_flags(path, flags).map_err(|error| cannot_open(path, &error))?;
            prepare(&reader).map_err(|error| cannot_open(path, &error))?;
            readers.push(Timed::new(reader).map_err(|error| cannot_open(path, &error))?);
        }
        // From here on the writer waits for other processes without holding a thread: see `Store::write`.
        connection.busy_timeout(Duration::ZERO).map_err(|error| cannot_open(path, &error))?;
        let timed = Timed::new(connection).map_err(|error| cannot_open(path, &error))?;
        Ok(Self {
            readers: Arc::new(Readers(Mutex::new(readers))),
            permits: Arc::new(Semaphore::new(READERS)),
            writer: Arc::new(tokio::sync::Mutex::new(Writer { timed, open: false, group: Vec::new() })),
            waiting: Arc::new(AtomicUsize::new(0)),
            claims: claims::Claims::beside(path),
        })
    }

    pub(super) async fn read(&self) -> Result<ReadSession> {
        let permit = self.permits.clone().acquire_owned().await.map_err(Error::internal)?;
        let taken = self.readers.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let timed = taken.ok_or_else(|| Error::internal("a permit to read came without a connection"))?;
        let session = ReadSession { timed: Some(timed), readers: self.readers.clone(), _permit: permit };
        session.begin()?;
        Ok(session)
    }

    pub(super) async fn write(self: Arc<Self>) -> Result<WriteSession> {
        let queued = Queued::new(&self.waiting);
        let mut writer = self.writer.clone().lock_owned().await;
        drop(queued);
        writer.timed.start_clock();
        if !writer.open {
            writer.begin().await?;
        }
        let session = WriteSession { writer: Some(writer), store: self };
        session.connection()?.execute_batch("SAVEPOINT bureau_call").map_err(failed)?;
        Ok(session)
    }

    pub(super) fn claim(&self, work: uuid::Uuid) -> Result<()> {
        self.claims.claim(work)
    }

    pub(super) fn release(&self, work: uuid::Uuid) {
        self.claims.release(work);
    }

    pub(super) fn is_claimed(&self, work: uuid::Uuid) -> Result<bool> {
        self.claims.is_claimed(work)
    }

    pub(super) async fn check(&self) -> Result<Vec<String>> {
        let mut session = self.read().await?;
        let mut problems = Vec::new();
        for row in session.query("PRAGMA integrity_check", &[])? {
            let text: String = row.get(0)?;
            if text != "ok" {
                problems.push(text);
            }
        }
        for row in session.query("PRAGMA foreign_key_check", &[])? {
            problems.push(format!("a row of {} refers to a missing row", row.get::<String>(0)?));
        }
        Ok(problems)
    }
}

/// Tries again while another process that starts at the same moment is changing the file's mode: SQLite refuses at once
/// there, without waiting, wherever waiting could mean a deadlock.
fn patiently(attempt: impl Fn() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    let started = std::time::Instant::now();
    loop {
        match attempt() {
            Err(error) if is_busy(&error) && started.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome,
        }
    }
}

/// Counts a call among the waiting ones for as long as it waits, also when it is given up.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Timed {
    fn new(mut connection: Connection) -> rusqlite::Result<Self> {
        let deadline = Arc::new(AtomicI64::new(i64::MAX));
        let seen = deadline.clone();
        connection
            .progress_handler(STEPS_BETWEEN_LOOKS, Some(move || uptime_millis() > seen.load(Ordering::Relaxed)))?;
        Ok(Self { connection, deadline })
    }

    fn start_clock(&self) {
        self.allow(Duration::from_secs(CALL_LIMIT_SECONDS));
    }

    fn allow(&self, limit: Duration) {
        let limit = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
        self.deadline.store(uptime_millis().saturating_add(limit), Ordering::Relaxed);
    }
}

/// Milliseconds since this was first asked, by a clock that never jumps.
fn uptime_millis() -> i64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    i64::try_from(START.get_or_init(std::time::Instant::now).elapsed().as_millis()).unwrap_or(i64::MAX)
}

impl Writer {
    /// Takes SQLite's write lock. Another process may hold it: then this call waits, and no thread with it.
    async fn begin(&mut self) -> Result<()> {
        let started = std::time::Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            let outcome =
                self.timed.connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.raw_execute());
            match outcome {
                Ok(_) => {
                    self.open = true;
                    return Ok(());
                }
                Err(error) if is_busy(&error) && started.elapsed() < BUSY_TIMEOUT => {
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(Duration::from_millis(20));
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }

    fn run(&self, text: &str) -> Result<()> {
        self.timed.connection.prepare_cached(text).and_then(|mut statement| statement.execute([])).map_err(failed)?;
        Ok(())
    }

    /// Ends the transaction of the whole group and tells everyone in it.
    fn end_group(&mut self, commit: bool) -> Result<()> {
        self.open = false;
        // A full disk makes SQLite roll the transaction back by itself: then there is nothing left to commit.
        let outcome = if self.timed.connection.is_autocommit() {
            Err(Error::internal("SQLite gave up the transaction (disk full or unreadable?)"))
        } else if commit {
            self.timed.deadline.store(i64::MAX, Ordering::Relaxed);
            self.run("COMMIT")
        } else {
            self.run("ROLLBACK")
        };
        if outcome.is_err() && !self.timed.connection.is_autocommit() {
            let _ = self.run("ROLLBACK");
        }
        for member in self.group.drain(..) {
            let _ = member.send(outcome.as_ref().map_err(ToString::to_string).copied());
        }
        outcome
    }
}

/// A snapshot on one read connection, given back when dropped.
#[derive(Debug)]
pub(super) struct ReadSession {
    timed: Option<Timed>,
    readers: Arc<Readers>,
    _permit: OwnedSemaphorePermit,
}

impl ReadSession {
    fn connection(&self) -> Result<&Connection> {
        self.timed.as_ref().map(|timed| &timed.connection).ok_or_else(|| Error::internal("the read session has ended"))
    }

    fn begin(&self) -> Result<()> {
        if let Some(timed) = &self.timed {
            timed.start_clock();
        }
        run_cached(self.connection()?, "BEGIN")
    }

    pub(super) fn query(&mut self, text: &str, values: &[Val]) -> Result<Vec<Row>> {
        query(self.connection()?, text, values)
    }

    pub(super) fn allow(&self, limit: Duration) -> Result<()> {
        let timed = self.timed.as_ref().ok_or_else(|| Error::internal("the read session has ended"))?;
        timed.allow(limit);
        Ok(())
    }

    pub(super) fn write_records(&self, table: &Table, text: &str, values: &[Val], json: &mut Vec<u8>) -> Result<i64> {
        let mut statement = self.connection()?.prepare_cached(text).map_err(failed)?;
        bind(&mut statement, values)?;
        let writer = records::Writer::new(table);
        let mut rows = statement.raw_query();
        let mut written = 0_i64;
        while let Some(row) = rows.next().map_err(failed)? {
            if written > 0 {
                json.push(b',');
            }
            writer.write(row, json)?;
            written = written.saturating_add(1);
        }
        Ok(written)
    }

    pub(super) fn finish(self) -> Result<()> {
        Ok(())
    }
}

impl Drop for ReadSession {
    fn drop(&mut self) {
        if let Some(timed) = self.timed.take() {
            if !timed.connection.is_autocommit() && run_cached(&timed.connection, "COMMIT").is_err() {
                let _ = timed.connection.execute_batch("ROLLBACK");
            }
            self.readers.0.lock().unwrap_or_else(PoisonError::into_inner).push(timed);
        }
    }
}

/// One call's turn at the writer, in a savepoint of its own.
#[derive(Debug)]
pub(super) struct WriteSession {
    writer: Option<OwnedMutexGuard<Writer>>,
    store: Arc<Store>,
}

impl WriteSession {
    fn connection(&self) -> Result<&Connection> {
        self.writer
            .as_ref()
            .map(|writer| &writer.timed.connection)
            .ok_or_else(|| Error::internal("the write session has ended"))
    }

    pub(super) fn query(&mut self, text: &str, values: &[Val]) -> Result<Vec<Row>> {
        query(self.connection()?, text, values)
    }

    pub(super) fn execute(&mut self, text: &str, values: &[Val]) -> Result<u64> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(text).map_err(failed)?;
        bind(&mut statement, values)?;
        let touched = statement.raw_execute().map_err(failed)?;
        Ok(u64::try_from(touched).unwrap_or(u64::MAX))
    }

    pub(super) fn allow(&self, limit: Duration) -> Result<()> {
        let writer = self.writer.as_ref().ok_or_else(|| Error::internal("the write session has ended"))?;
        writer.timed.allow(limit);
        Ok(())
    }

    pub(super) fn script(&mut self, text: &str) -> Result<()> {
        self.connection()?.execute_batch(text).map_err(failed)
    }

    pub(super) async fn commit(mut self) -> Result<()> {
        let Some(mut writer) = self.writer.take() else { return Err(Error::internal("the write session has ended")) };
        let released = run_cached(&writer.timed.connection, "RELEASE bureau_call");
        if released.is_ok() && self.store.waiting.load(Ordering::SeqCst) > 0 && writer.group.len() < GROUP_LIMIT {
            let (told, hears) = oneshot::channel();
            writer.group.push(told);
            drop(writer);
            return match hears.await {
                Ok(outcome) => outcome.map_err(Error::internal),
                Err(_) => Err(Error::internal("the group of this call ended without word")),
            };
        }
        released.and(tokio::task::block_in_place(|| writer.end_group(true)))
    }

    pub(super) async fn rollback(self) -> Result<()> {
        drop(self);
        Ok(())
    }
}

impl Drop for WriteSession {
    /// Takes this call's changes back and, when nobody else waits, commits what the group wrote before.
    fn drop(&mut self) {
        let Some(mut writer) = self.writer.take() else { return };
        if !writer.timed.connection.is_autocommit() {
            let _ = writer.timed.connection.execute_batch("ROLLBACK TO bureau_call; RELEASE bureau_call");
        }
        if writer.group.is_empty() || self.store.waiting.load(Ordering::SeqCst) == 0 {
            let earlier = !writer.group.is_empty();
            // Who is told of a failure here are the members of the group, not this call.
            let _ = tokio::task::block_in_place(|| writer.end_group(earlier));
        }
    }
}

fn run_cached(connection: &Connection, text: &str) -> Result<()> {
    connection.prepare_cached(text).and_then(|mut statement| statement.raw_execute().map(drop)).map_err(failed)
}

fn query(connection: &Connection, text: &str, values: &[Val]) -> Result<Vec<Row>> {
    let mut statement = connection.prepare_cached(text).map_err(failed)?;
    bind(&mut statement, values)?;
    let width = statement.column_count();
    let mut rows = statement.raw_query();
    let mut result = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let mut cells = Vec::with_capacity(width);
        for index in 0..width {
            cells.push(match row.get_ref(index).map_err(failed)? {
                ValueRef::Null => Val::Null,
                ValueRef::Integer(number) => Val::Int(number),
                ValueRef::Real(number) => Val::Float(number),
                ValueRef::Text(text) => Val::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(bytes) => match uuid::Uuid::from_slice(bytes) {
                    Ok(id) => Val::Id(id),
                    Err(_) => Val::Bytes(bytes.to_vec()),
                },
            });
        }
        result.push(Row(cells));
    }
    Ok(result)
}

/// Binds `$1`, `$2`, … by their number: SQLite itself counts such names in the order in which they first appear.
fn bind(statement: &mut Statement<'_>, values: &[Val]) -> Result<()> {
    for index in 1..=statement.parameter_count() {
        let number = statement.parameter_name(index).and_then(|name| name.get(1..)?.parse::<usize>().ok());
        let value = number.and_then(|number| values.get(number.checked_sub(1)?));
        let value =
            value.ok_or_else(|| Error::internal(format!("a statement has no value for placeholder {index}")))?;
        statement.raw_bind_parameter(index, Bound(value)).map_err(failed)?;
    }
    Ok(())
}

struct Bound<'a>(&'a Val);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Val::Null => ToSqlOutput::Owned(SqliteValue::Null),
            Val::Bool(flag) => ToSqlOutput::Owned(SqliteValue::Integer(i64::from(*flag))),
            Val::Int(number) => ToSqlOutput::Owned(SqliteValue::Integer(*number)),
            Val::Float(number) => ToSqlOutput::Owned(SqliteValue::Real(*number)),
            Val::Text(text) | Val::Json(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Val::Id(id) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
            Val::Instant(at) => ToSqlOutput::Owned(SqliteValue::Integer(at.micros())),
            Val::Date(date) => ToSqlOutput::Owned(SqliteValue::Text(date.to_string())),
            Val::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn failed(error: rusqlite::Error) -> Error {
    let rusqlite::Error::SqliteFailure(code, message) = &error else { return Error::internal(error) };
    match (code.code, code.extended_code) {
        (_, rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
            // "UNIQUE constraint failed: projects.tenant_id, projects.name"
            let columns = message.as_deref().and_then(|text| text.rsplit_once(": ")).map_or("", |(_, columns)| columns);
            super::already_taken(columns.split(", ").filter_map(|column| column.split_once('.')))
        }
        (_, rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => super::still_referred_to(),
        (ErrorCode::OperationInterrupted, _) => super::took_too_long(),
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => {
            Error::conflict("Another process keeps the database busy. Nothing was changed; try again.")
        }
        (ErrorCode::DiskFull, _) => {
            Error::conflict("The disk of the server is full. Nothing was changed; free space and try again.")
        }
        (ErrorCode::ReadOnly, _) => Error::conflict("The database file is read-only. Nothing was changed."),
        _ => Error::internal(error),
    }
}

fn cannot_open(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::missing(format!(
        "The database {} cannot be opened: {error}. Check that the directory exists and may be written, or name another \
         file with --database sqlite:PATH.",
        path.display()
    ))
}

/// The file holds everything a business knows: nobody else on the machine may read it.
#[cfg(unix)]
fn restrict_to_owner(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn restrict_to_owner(_: &Path) -> std::io::Result<()> {
    Ok(())
}
