//! One ordered stream of migrations for both databases.
//!
//! A migration is portable SQL in which column types, and what else the databases write differently, are neutral words in
//! braces; `;` at the end of a line ends a statement.

use super::{Db, Dialect, Tx};
use crate::error::{Error, Result};
use crate::sql::Sql;
use crate::value::Val;

/// One step of the stream. Once landed it is never edited.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Place in the stream, from 1 without gaps.
    pub number: i64,
    /// What it is about.
    pub name: &'static str,
    /// Its text.
    pub sql: &'static str,
}

/// Neutral words and what they mean on SQLite and on PostgreSQL.
const WORDS: &[(&str, &str, &str)] = &[
    ("{id}", "BLOB", "UUID"),
    ("{text}", "TEXT", "TEXT"),
    ("{flag}", "INTEGER", "BOOLEAN"),
    ("{count}", "INTEGER", "BIGINT"),
    ("{money}", "INTEGER", "BIGINT"),
    ("{instant}", "INTEGER", "TIMESTAMPTZ"),
    ("{date}", "TEXT", "DATE"),
    ("{json}", "TEXT", "JSONB"),
    ("{blob}", "BLOB", "BYTEA"),
    ("{true}", "1", "TRUE"),
    ("{false}", "0", "FALSE"),
    ("{table_end}", ") STRICT", ")"),
    // The end of a trigger that refuses what it stands before, and the function that PostgreSQL wants for it.
    (
        "{refuse}",
        "BEGIN SELECT RAISE(ABORT, 'the journal is only added to'); END;",
        "EXECUTE FUNCTION bureau_refuse();",
    ),
    (
        "{keeper}",
        "",
        "CREATE FUNCTION bureau_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN RAISE EXCEPTION 'the journal is only added to'; END $$;",
    ),
];

pub(super) fn translated(sql: &str, dialect: Dialect) -> String {
    WORDS.iter().fold(sql.to_owned(), |text, (word, sqlite, postgres)| {
        text.replace(word, if dialect == Dialect::Sqlite { sqlite } else { postgres })
    })
}

/// FNV-1a: enough to notice that a landed migration was edited.
fn checksum(sql: &str) -> i64 {
    let hash = sql
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    i64::from_ne_bytes(hash.to_ne_bytes())
}

pub(super) async fn pending(db: &Db, migrations: &[Migration]) -> Result<Vec<&'static str>> {
    let mut tx = db.write().await?;
    let done = applied(&mut tx, db.dialect(), migrations).await?;
    tx.rollback().await?;
    Ok(migrations.iter().filter(|migration| migration.number > done).map(|migration| migration.name).collect())
}

pub(super) async fn run(db: &Db, migrations: &[Migration]) -> Result<()> {
    if db.dialect() == Dialect::Sqlite && is_current(db, migrations).await {
        return Ok(());
    }
    let mut tx = db.write().await?;
    // A migration may have to move rows of all tenants.
    tx.enter_all().await?;
    let done = applied(&mut tx, db.dialect(), migrations).await?;
    // A migration may change rows of all tenants.
    tx.enter_all().await?;
    for migration in migrations.iter().filter(|migration| migration.number > done) {
        tx.script(&translated(migration.sql, db.dialect())).await?;
        tx.execute(&Sql::with(
            "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)",
            [Val::Int(migration.number), migration.name.into(), Val::Int(checksum(migration.sql))],
        ))
        .await?;
        tracing::info!(number = migration.number, name = migration.name, "migrated");
    }
    if db.dialect() == Dialect::Postgres {
        secure_rows(&mut tx).await?;
    }
    tx.commit().await
}

/// A quick look without taking the writer, for the usual start on a database that has everything.
async fn is_current(db: &Db, migrations: &[Migration]) -> bool {
    let Ok(mut tx) = db.read().await else { return false };
    let rows =
        tx.query(&Sql::new("SELECT number, checksum FROM schema_migrations ORDER BY number")).await.unwrap_or_default();
    rows.len() == migrations.len()
        && rows.iter().zip(migrations).all(|(row, migration)| {
            row.get::<i64>(0).ok() == Some(migration.number) && row.get::<i64>(1).ok() == Some(checksum(migration.sql))
        })
}

/// The number of the newest migration in the database, after checking that the ones before it are ours.
async fn applied(tx: &mut Tx, dialect: Dialect, migrations: &[Migration]) -> Result<i64> {
    if dialect == Dialect::Postgres {
        // Two servers may start at once on one database.
        tx.query(&Sql::new("SELECT 1 FROM pg_advisory_xact_lock(7166021)")).await?;
    }
    tx.script(&translated(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number {count} PRIMARY KEY, name {text} NOT NULL, checksum {count} NOT NULL {table_end}",
        dialect,
    ))
    .await?;
    let mut newest = 0;
    for row in tx.query(&Sql::new("SELECT number, checksum, name FROM schema_migrations ORDER BY number")).await? {
        let (number, found, name): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        match migrations.iter().find(|migration| migration.number == number) {
            None => {
                return Err(Error::impossible_state(format!(
                    "The database is newer than this program: it has migration {number} ({name}), which this version does not \
                     know. Nothing was changed. Install the version that made it, or a later one."
                )));
            }
            Some(migration) if checksum(migration.sql) != found => {
                return Err(Error::impossible_state(format!(
                    "Migration {number} ({name}) was another text when this database was made. Nothing was changed. Use the \
                     program version that made the database."
                )));
            }
            Some(_) => newest = number,
        }
    }
    Ok(newest)
}

/// Row-level security on every table that has tenants: rows of the session's tenant only, both to see and to write. Tenants
/// themselves are looked up before anyone is in one.
async fn secure_rows(tx: &mut Tx) -> Result<()> {
    let tables = tx
        .query(&Sql::new(
            "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' \
             WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND NOT c.relrowsecurity \
             AND c.relname <> 'tenants'",
        ))
        .await?;
    for row in tables {
        let table: String = row.get(0)?;
        tx.script(&format!(
            "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY; \
             CREATE POLICY tenant ON {table} USING ({VISIBLE}) WITH CHECK ({VISIBLE})"
        ))
        .await?;
    }
    Ok(())
}

/// A setting that was ever set on a connection reads as '' afterwards, not NULL: hence `nullif`.
const VISIBLE: &str = "tenant_id = nullif(current_setting('bureau.tenant', true), '')::uuid \
                       OR current_setting('bureau.all_tenants', true) = 'on'";
