//! PostgreSQL through sqlx: a pool, a transaction a call, row-level security as a second wall.

use std::sync::Arc;
use std::time::Duration;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow, PgTypeInfo, PgValueFormat,
};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, ConnectOptions as _, Encode, Executor as _, PgConnection, Postgres,
    Row as _, Type, TypeInfo as _, ValueRef as _,
};
use uuid::Uuid;

use super::CALL_LIMIT_SECONDS;
use crate::error::{Error, Result};
use crate::time::{Date, Instant};
use crate::value::{Row, Val};

/// Connections kept at most.
const CONNECTIONS: u32 = 16;
/// Microseconds from 1970 to 2000, where PostgreSQL's clock starts.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

#[derive(Debug, Clone)]
pub(super) struct Store {
    pool: PgPool,
    /// A connection beside the pool whose session holds this process's claims, once there are any. When the process ends,
    /// PostgreSQL ends the session, and its advisory locks with it.
    claims: Arc<tokio::sync::Mutex<Option<PgConnection>>>,
}

impl Store {
    pub(super) async fn open(url: &str) -> Result<Self> {
        let options: PgConnectOptions = url.parse().map_err(|error| {
            Error::missing(format!(
                "The PostgreSQL URL cannot be read: {error}. Write postgres://user:password@host/name."
            ))
        })?;
        let limit = CALL_LIMIT_SECONDS.saturating_mul(1000).to_string();
        let options = options.application_name("bureau").statement_cache_capacity(512).options([
            ("statement_timeout", limit.as_str()),
            ("idle_in_transaction_session_timeout", "60000"),
            ("timezone", "UTC"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options)
            .await
            .map_err(|error| {
                Error::missing(format!(
                    "PostgreSQL cannot be reached: {error}. Check --database, the server and the password."
                ))
            })?;
        Ok(Self { pool, claims: Arc::default() })
    }

    pub(super) async fn begin(&self, read_only: bool) -> Result<Session> {
        let connection = self.pool.acquire().await.map_err(failed)?;
        let mut session = Session { connection: Some(connection), read_only };
        session.script(if read_only { "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY" } else { "BEGIN" }).await?;
        Ok(session)
    }

    pub(super) async fn claim(&self, work: Uuid) -> Result<()> {
        let mut claims = self.claims.lock().await;
        let lock = || sqlx::query("SELECT pg_advisory_lock($1)").bind(claim_key(work));
        if let Some(connection) = claims.as_mut()
            && connection.execute(lock()).await.is_ok()
        {
            return Ok(());
        }
        // The first claim, or the session is gone, and all its claims with it.
        let mut connection = self.pool.connect_options().connect().await.map_err(failed)?;
        connection.execute(lock()).await.map_err(failed)?;
        *claims = Some(connection);
        Ok(())
    }

    pub(super) async fn release(&self, work: Uuid) {
        if let Some(connection) = self.claims.lock().await.as_mut() {
            // A session that is gone holds nothing.
            let _ = connection.execute(sqlx::query("SELECT pg_advisory_unlock($1)").bind(claim_key(work))).await;
        }
    }

    pub(super) async fn is_claimed(&self, work: Uuid) -> Result<bool> {
        let mut session = self.begin(true).await?;
        let rows = session.query("SELECT pg_try_advisory_xact_lock($1)", &[Val::Int(claim_key(work))]).await?;
        session.rollback().await?;
        let free: bool = rows.first().ok_or_else(|| Error::internal("a lock gave no answer"))?.get(0)?;
        Ok(!free)
    }

    pub(super) async fn check(&self) -> Result<Vec<String>> {
        let mut session = self.begin(true).await?;
        let mut problems = Vec::new();
        let rows = session
            .query("SELECT rolsuper OR rolbypassrls, current_setting('fsync') = 'on' FROM pg_roles WHERE rolname = current_user", &[])
            .await?;
        for row in rows {
            if row.get::<bool>(0)? {
                problems.push(
                    "the database role is a superuser or bypasses row-level security: give Bureau a plain role, so that \
                     PostgreSQL itself keeps tenants apart"
                        .into(),
                );
            }
            if !row.get::<bool>(1)? {
                problems.push("fsync is off: a power cut loses acknowledged writes".into());
            }
        }
        session.rollback().await?;
        Ok(problems)
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// One transaction on one pooled connection.
#[derive(Debug)]
pub(super) struct Session {
    connection: Option<PoolConnection<Postgres>>,
    read_only: bool,
}

impl Session {
    fn connection(&mut self) -> Result<&mut PoolConnection<Postgres>> {
        self.connection.as_mut().ok_or_else(|| Error::internal("the session has ended"))
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    pub(super) async fn query(&mut self, text: &str, values: &[Val]) -> Result<Vec<Row>> {
        let statement = sqlx::query_with(AssertSqlSafe(text.to_owned()), arguments(values)?);
        let rows = self.connection()?.fetch_all(statement).await.map_err(failed)?;
        rows.iter().map(decode).collect()
    }

    pub(super) async fn execute(&mut self, text: &str, values: &[Val]) -> Result<u64> {
        let statement = sqlx::query_with(AssertSqlSafe(text.to_owned()), arguments(values)?);
        Ok(self.connection()?.execute(statement).await.map_err(failed)?.rows_affected())
    }

    pub(super) async fn script(&mut self, text: &str) -> Result<()> {
        let statement = sqlx::raw_sql(AssertSqlSafe(text.to_owned()));
        self.connection()?.execute(statement).await.map_err(failed)?;
        Ok(())
    }

    pub(super) async fn allow(&mut self, limit: Duration) -> Result<()> {
        let millis = limit.as_millis().to_string();
        self.query(
            "SELECT set_config('statement_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $1, true)",
            &[Val::Text(millis)],
        )
        .await?;
        Ok(())
    }

    /// `None` shows all tenants.
    pub(super) async fn enter(&mut self, tenant: Option<Uuid>) -> Result<()> {
        let (tenant, all) = tenant.map_or((String::new(), "on"), |tenant| (tenant.to_string(), ""));
        self.query(
            "SELECT set_config('bureau.tenant', $1, true), set_config('bureau.all_tenants', $2, true)",
            &[Val::Text(tenant), Val::Text(all.to_owned())],
        )
        .await?;
        Ok(())
    }

    pub(super) async fn commit(mut self) -> Result<()> {
        self.script("COMMIT").await?;
        self.release();
        Ok(())
    }

    pub(super) async fn rollback(mut self) -> Result<()> {
        self.script("ROLLBACK").await?;
        self.release();
        Ok(())
    }

    fn release(&mut self) {
        self.connection = None;
    }
}

impl Drop for Session {
    /// A session that did not end by itself may sit inside a transaction: its connection is never used again.
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            connection.close_on_drop();
        }
    }
}

/// The number by which PostgreSQL knows a claim. Ids of work are random, so their first half tells them apart.
fn claim_key(work: Uuid) -> i64 {
    i64::from_ne_bytes(work.as_u64_pair().0.to_ne_bytes())
}

fn arguments(values: &[Val]) -> Result<PgArguments> {
    let mut arguments = PgArguments::default();
    for value in values {
        arguments.add(Bound(value)).map_err(Error::internal)?;
    }
    Ok(arguments)
}

/// A neutral value in PostgreSQL's own binary form.
struct Bound<'a>(&'a Val);

const BOOL: u32 = 16;
const BYTEA: u32 = 17;
const INT8: u32 = 20;
const INT4: u32 = 23;
const INT2: u32 = 21;
const TEXT: u32 = 25;
const FLOAT8: u32 = 701;
const DATE: u32 = 1082;
const TIMESTAMPTZ: u32 = 1184;
const UUID: u32 = 2950;
const JSONB: u32 = 3802;

fn type_of(oid: u32) -> PgTypeInfo {
    PgTypeInfo::with_oid(Oid(oid))
}

impl Type<Postgres> for Bound<'_> {
    fn type_info() -> PgTypeInfo {
        // Never asked: every value produces its own type. Zero lets the server infer.
        type_of(0)
    }
}

impl<'q> Encode<'q, Postgres> for Bound<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match self.0 {
            Val::Null => return Ok(IsNull::Yes),
            Val::Bool(flag) => buffer.push(u8::from(*flag)),
            Val::Int(number) => buffer.extend_from_slice(&number.to_be_bytes()),
            Val::Float(number) => buffer.extend_from_slice(&number.to_be_bytes()),
            Val::Text(text) => buffer.extend_from_slice(text.as_bytes()),
            Val::Id(id) => buffer.extend_from_slice(id.as_bytes()),
            Val::Instant(at) => {
                buffer.extend_from_slice(&at.micros().saturating_sub(POSTGRES_EPOCH_MICROS).to_be_bytes())
            }
            Val::Date(date) => buffer.extend_from_slice(&date.postgres_days().to_be_bytes()),
            Val::Json(json) => {
                buffer.push(1);
                buffer.extend_from_slice(json.as_bytes());
            }
            Val::Bytes(bytes) => buffer.extend_from_slice(bytes),
        }
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(type_of(match self.0 {
            Val::Null => 0,
            Val::Bool(_) => BOOL,
            Val::Int(_) => INT8,
            Val::Float(_) => FLOAT8,
            Val::Text(_) => TEXT,
            Val::Id(_) => UUID,
            Val::Instant(_) => TIMESTAMPTZ,
            Val::Date(_) => DATE,
            Val::Json(_) => JSONB,
            Val::Bytes(_) => BYTEA,
        }))
    }
}

fn decode(row: &PgRow) -> Result<Row> {
    let mut cells = Vec::with_capacity(row.len());
    for column in row.columns() {
        let raw = row.try_get_raw(column.ordinal()).map_err(Error::internal)?;
        if raw.is_null() {
            cells.push(Val::Null);
            continue;
        }
        let unreadable =
            || Error::internal(format!("column {} is of type {}", column.name(), column.type_info().name()));
        let bytes = raw.as_bytes().map_err(Error::internal)?;
        if raw.format() != PgValueFormat::Binary {
            return Err(unreadable());
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(Error::internal);
        let number = |bytes: &[u8]| bytes.try_into().map(i64::from_be_bytes).map_err(|_| unreadable());
        cells.push(match column.type_info().oid().map(|oid| oid.0) {
            Some(BOOL) => Val::Bool(bytes == [1]),
            Some(INT8) => Val::Int(number(bytes)?),
            Some(INT4) => Val::Int(bytes.try_into().map(i32::from_be_bytes).map_err(|_| unreadable())?.into()),
            Some(INT2) => Val::Int(bytes.try_into().map(i16::from_be_bytes).map_err(|_| unreadable())?.into()),
            Some(FLOAT8) => Val::Float(bytes.try_into().map(f64::from_be_bytes).map_err(|_| unreadable())?),
            Some(UUID) => Val::Id(Uuid::from_slice(bytes).map_err(Error::internal)?),
            Some(TIMESTAMPTZ) => {
                Val::Instant(Instant::from_micros(number(bytes)?.saturating_add(POSTGRES_EPOCH_MICROS)))
            }
            Some(DATE) => {
                let days = bytes.try_into().map(i32::from_be_bytes).map_err(|_| unreadable())?;
                Val::Date(Date::from_postgres_days(days).ok_or_else(unreadable)?)
            }
            Some(JSONB) => Val::Json(text(bytes.get(1..).unwrap_or_default())?),
            Some(BYTEA) => Val::Bytes(bytes.to_vec()),
            _ => Val::Text(text(bytes)?),
        });
    }
    Ok(Row(cells))
}

fn failed(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(database) => match database.code().as_deref() {
            Some("23505") => {
                // "Key (tenant_id, name)=(…, Kuchnie) already exists." The values may be private: only names are used.
                let detail =
                    database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().and_then(|error| error.detail());
                let columns = detail
                    .and_then(|detail| detail.strip_prefix("Key (")?.split_once(")="))
                    .map_or("", |(names, _)| names);
                super::already_taken(columns.split(", ").filter(|name| !name.is_empty()).map(|name| ("", name)))
            }
            Some("23503") => super::still_referred_to(),
            Some("40001" | "40P01") => Error::retryable(error),
            Some("57014") => super::took_too_long(),
            _ => Error::internal(error),
        },
        sqlx::Error::PoolTimedOut => {
            Error::rate_limited("Every database connection is in use. Nothing was changed; try again in a moment.")
        }
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed => Error::conflict(
            "The database does not answer. Whether a change was stored is not known: repeat the call with the same \
             idempotency_key to find out.",
        ),
        _ => Error::internal(error),
    }
}
