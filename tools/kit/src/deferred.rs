//! Calls whose answer is fetched later: one row each, there before the caller is told its id.
//!
//! The row decides. A write stores its answer in the transaction that keeps its changes, and only into a row that says it
//! still runs. So a call is cancelled or kept, never both; and a row that still runs although its process has gone means
//! that nothing was kept.

use serde_json::{Map, Value};
use tokio::sync::watch;
use uuid::Uuid;

use crate::ctx::Ctx;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::gate::Bureau;
use crate::id::fill_random;
use crate::rights::Principal;
use crate::sql::Sql;
use crate::time::Instant;
use crate::value::Row;

/// How long a deferred request and its answer are kept, from its beginning.
pub const KEPT_MINUTES: i64 = 24 * 60;
/// Deferred requests of one user or key that may run at once.
pub const RUNNING_OF_ONE: usize = 8;

/// How far a deferred request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It runs.
    Working,
    /// It waits for answers of its caller.
    InputRequired,
    /// It has been answered, by a tool's error too.
    Completed,
    /// There is no answer, for a reason that is no tool's error.
    Failed,
    /// Its caller did not want it any more.
    Cancelled,
}

impl Status {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Working, "working"),
        (Self::InputRequired, "input_required"),
        (Self::Completed, "completed"),
        (Self::Failed, "failed"),
        (Self::Cancelled, "cancelled"),
    ];

    fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(_, known)| *known == name).map(|(status, _)| *status);
        found.ok_or_else(|| Error::internal(format!("a deferred request is {name}")))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(status, _)| *status == self).map_or("failed", |(_, name)| *name)
    }

    /// Whether more may come.
    pub fn goes_on(self) -> bool {
        matches!(self, Self::Working | Self::InputRequired)
    }
}

/// A request whose answer is fetched later.
#[derive(Debug, Clone)]
pub struct Deferred {
    /// Its id: unguessable.
    pub id: Uuid,
    /// Whose row it is.
    pub tenant_id: Uuid,
    /// The tool.
    pub tool: String,
    /// How far it is.
    pub status: Status,
    /// The same in words, where there are any.
    pub status_message: Option<String>,
    /// What the tool answered, as JSON.
    pub answer: Option<String>,
    /// Whether the answer describes an error.
    pub is_error: bool,
    /// Why there is none, as JSON.
    pub error: Option<Value>,
    /// What is asked of the caller, by key.
    pub input_requests: Map<String, Value>,
    /// What the caller answered so far.
    pub input_responses: Map<String, Value>,
    /// When it began.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// When it is forgotten.
    pub expires_at: Instant,
}

/// How a deferred request ends.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// With an answer of its tool.
    Completed {
        /// The answer, as JSON.
        answer: String,
        /// Whether it describes an error.
        is_error: bool,
    },
    /// With an error that no tool made, as JSON.
    Failed(Value),
    /// Because its caller wants it no more.
    Cancelled,
}

/// Under which row the answer of a running call is to be kept.
#[derive(Debug, Clone)]
pub struct Deferral {
    /// The row.
    pub id: Uuid,
    /// True once the caller wants the call no more: it ends where it is, and nothing of it is kept.
    pub cancelled: watch::Receiver<bool>,
}

const COLUMNS: &str = "SELECT id, tenant_id, tool, status, status_message, answer, is_error, error, input_requests, \
                       input_responses, created_at, updated_at, expires_at FROM deferred_requests WHERE tenant_id = ";
const GOES_ON: &str = " AND status IN ('working', 'input_required')";

impl Deferred {
    fn from_row(row: &Row) -> Result<Self> {
        let object = |index| match row.get::<Value>(index)? {
            Value::Object(object) => Ok(object),
            _ => Err(Error::internal("a deferred request holds no object")),
        };
        Ok(Self {
            id: row.get(0)?,
            tenant_id: row.get(1)?,
            tool: row.get(2)?,
            status: Status::named(&row.get::<String>(3)?)?,
            status_message: row.get(4)?,
            answer: row.get(5)?,
            is_error: row.get(6)?,
            error: row.get(7)?,
            input_requests: object(8)?,
            input_responses: object(9)?,
            created_at: row.get(10)?,
            updated_at: row.get(11)?,
            expires_at: row.get(12)?,
        })
    }

    fn select(tenant_id: Uuid) -> Sql {
        let mut sql = Sql::new(COLUMNS);
        sql.bind(tenant_id);
        sql
    }

    /// Changes the row where it still goes on; tells whether it did.
    async fn change(&self, tx: &mut Tx, now: Instant, assign: impl FnOnce(&mut Sql)) -> Result<bool> {
        let mut sql = Sql::new("UPDATE deferred_requests SET updated_at = ");
        sql.bind(now);
        assign(&mut sql);
        sql.push(" WHERE id = ").bind(self.id).and_eq("tenant_id", self.tenant_id).push(GOES_ON);
        Ok(tx.execute(&sql).await? > 0)
    }
}

fn ends(sql: &mut Sql, end: &End) {
    let (status, answer, is_error, error) = match end {
        End::Completed { answer, is_error } => (Status::Completed, Some(answer.as_str()), *is_error, None),
        End::Failed(error) => (Status::Failed, None, false, Some(error.to_string())),
        End::Cancelled => (Status::Cancelled, None, false, None),
    };
    sql.push(", status = ").bind(status.name()).push(", answer = ").bind(answer).push(", is_error = ").bind(is_error);
    sql.push(", error = ").bind(error).push(", status_message = NULL, input_requests = '{}', input_responses = '{}'");
}

/// Keeps the answer of a write together with its changes. Where the request no longer runs, the call is to be rolled back.
pub(crate) async fn keep_answer(ctx: &mut Ctx, deferral: &Deferral, body: &[u8]) -> Result<()> {
    let end = End::Completed { answer: String::from_utf8_lossy(body).into_owned(), is_error: false };
    let mut sql = Sql::new("UPDATE deferred_requests SET updated_at = ");
    sql.bind(ctx.now());
    ends(&mut sql, &end);
    sql.push(" WHERE id = ").bind(deferral.id).and_eq("tenant_id", ctx.tenant_id()).push(GOES_ON);
    match ctx.tx.execute(&sql).await? {
        0 => Err(cancelled()),
        _ => Ok(()),
    }
}

/// What a call ends with that is not wanted any more.
pub(crate) fn cancelled() -> Error {
    Error::conflict("The call was cancelled. Nothing was changed.")
}

impl Deferral {
    /// Resolves once the caller wants the call no more.
    pub(crate) async fn cancelled(mut self) {
        if self.cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
            // Nobody is left who could cancel it.
            std::future::pending::<()>().await;
        }
    }
}

impl Bureau {
    /// Writes down a request that is to be answered later, and claims it for this process.
    pub async fn defer(&self, principal: &Principal, tool: &str) -> Result<Deferred> {
        self.refuse_crowd(principal).await?;
        let now = self.clock.now();
        let mut random = [0_u8; 16];
        // Not one of the ids that count time: whoever holds it may ask for the answer.
        fill_random(&mut random);
        let deferred = Deferred {
            id: uuid::Builder::from_random_bytes(random).into_uuid(),
            tenant_id: principal.tenant_id,
            tool: tool.to_owned(),
            status: Status::Working,
            status_message: None,
            answer: None,
            is_error: false,
            error: None,
            input_requests: Map::new(),
            input_responses: Map::new(),
            created_at: now,
            updated_at: now,
            expires_at: now.plus_minutes(KEPT_MINUTES),
        };
        self.db.claim(deferred.id).await?;
        let stored = self.store_deferred(&deferred, principal.actor_id()).await;
        if stored.is_err() {
            self.db.release(deferred.id).await;
        }
        stored.map(|()| deferred)
    }

    async fn store_deferred(&self, deferred: &Deferred, actor_id: Uuid) -> Result<()> {
        let expired = Sql::with(
            "DELETE FROM deferred_requests WHERE tenant_id = $1 AND expires_at <= $2",
            [deferred.tenant_id.into(), deferred.created_at.into()],
        );
        let insert = Sql::with(
            "INSERT INTO deferred_requests (id, tenant_id, actor_id, tool, status, is_error, input_requests, input_responses, \
             created_at, updated_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, '{}', '{}', $7, $7, $8)",
            [
                deferred.id.into(),
                deferred.tenant_id.into(),
                actor_id.into(),
                deferred.tool.clone().into(),
                deferred.status.name().into(),
                false.into(),
                deferred.created_at.into(),
                deferred.expires_at.into(),
            ],
        );
        let mut tx = self.db.write().await?;
        tx.enter(deferred.tenant_id).await?;
        tx.execute(&expired).await?;
        tx.execute(&insert).await?;
        tx.commit().await
    }

    /// A client that never waits must not fill the server with its work.
    async fn refuse_crowd(&self, principal: &Principal) -> Result<()> {
        let mut sql = Deferred::select(principal.tenant_id);
        sql.and_eq("actor_id", principal.actor_id()).push(GOES_ON);
        let mut running = 0_usize;
        for deferred in self.deferred_rows(principal.tenant_id, &sql).await? {
            // What a process left behind does not count.
            if self.settled(deferred).await?.status.goes_on() {
                running = running.saturating_add(1);
            }
        }
        if running < RUNNING_OF_ONE {
            return Ok(());
        }
        Err(Error::rate_limited(format!(
            "{RUNNING_OF_ONE} of your calls run as tasks already. Wait until one of them has ended (tasks/get), or cancel one \
             (tasks/cancel), and call again."
        )))
    }

    async fn deferred_rows(&self, tenant_id: Uuid, sql: &Sql) -> Result<Vec<Deferred>> {
        let mut tx = self.db.read().await?;
        tx.enter(tenant_id).await?;
        let rows = tx.query(sql).await;
        tx.commit().await?;
        rows?.iter().map(Deferred::from_row).collect()
    }

    /// A request of this user or key that is not forgotten yet. Others' do not exist.
    pub async fn deferred(&self, principal: &Principal, id: Uuid) -> Result<Option<Deferred>> {
        let mut sql = Deferred::select(principal.tenant_id);
        sql.and_eq("id", id).and_eq("actor_id", principal.actor_id());
        sql.push(" AND expires_at > ").bind(self.clock.now());
        match self.deferred_rows(principal.tenant_id, &sql).await?.pop() {
            Some(deferred) => self.settled(deferred).await.map(Some),
            None => Ok(None),
        }
    }

    /// What the row of a running request says now; nothing when it is forgotten.
    pub async fn deferred_now(&self, deferred: &Deferred) -> Result<Option<Deferred>> {
        let mut sql = Deferred::select(deferred.tenant_id);
        sql.and_eq("id", deferred.id).push(" AND expires_at > ").bind(self.clock.now());
        Ok(self.deferred_rows(deferred.tenant_id, &sql).await?.pop())
    }

    /// Ends a request whose process has gone: nobody else would.
    async fn settled(&self, deferred: Deferred) -> Result<Deferred> {
        if !deferred.status.goes_on() || self.db.is_claimed(deferred.id).await? {
            return Ok(deferred);
        }
        let advice = match self.registry.find(&deferred.tool) {
            Some(_) => "No record was changed; make the call again.",
            None => "Make the call again if that does no harm.",
        };
        let message = format!("The server was stopped before {} had ended. {advice}", deferred.tool);
        // -32603 is JSON-RPC's own code for a fault of the server.
        let error = serde_json::json!({"code": -32603, "message": message});
        self.end_deferred(&deferred, &End::Failed(error)).await?;
        // It may have ended between two looks: the row knows.
        Ok(self.deferred_now(&deferred).await?.unwrap_or(deferred))
    }

    async fn change_deferred(&self, deferred: &Deferred, assign: impl FnOnce(&mut Sql) + Send) -> Result<bool> {
        let mut tx = self.db.write().await?;
        tx.enter(deferred.tenant_id).await?;
        let changed = deferred.change(&mut tx, self.clock.now(), assign).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Tells how far a running request is.
    pub async fn tell_deferred(&self, deferred: &Deferred, message: &str) -> Result<bool> {
        self.change_deferred(deferred, |sql| {
            sql.push(", status_message = ").bind(message);
        })
        .await
    }

    /// Asks the caller of a running request for what is named. False when the request has ended.
    pub async fn ask_deferred(&self, deferred: &Deferred, requests: &Map<String, Value>) -> Result<bool> {
        let requests = Value::Object(requests.clone()).to_string();
        self.change_deferred(deferred, |sql| {
            sql.push(", status = 'input_required', input_requests = ").bind(requests);
        })
        .await
    }

    /// Takes answers of the caller: those that `fits` lets through, of what is asked. Answers again are ignored. Once all
    /// are there, the request goes on.
    pub async fn answer_deferred(
        &self,
        deferred: &Deferred,
        answers: &Map<String, Value>,
        fits: impl Fn(&Value, &Value) -> bool + Send,
    ) -> Result<()> {
        let mut tx = self.db.write().await?;
        tx.enter(deferred.tenant_id).await?;
        let mut sql = Deferred::select(deferred.tenant_id);
        // Two answers at once must not overwrite each other.
        sql.and_eq("id", deferred.id).push_built(tx.lock_clause(false));
        let rows = tx.query(&sql).await?;
        if let Some(row) = rows.first() {
            let mut now = Deferred::from_row(row)?;
            for (key, answer) in answers {
                let Some(asked) = now.input_requests.get(key).filter(|_| now.status == Status::InputRequired) else {
                    continue;
                };
                if !fits(asked, answer) {
                    tx.rollback().await?;
                    return Err(Error::invalid(
                        format!("/inputResponses/{key}"),
                        "does not have the shape that was asked for; tasks/get shows what is still asked",
                    ));
                }
                now.input_requests.shift_remove(key);
                now.input_responses.insert(key.clone(), answer.clone());
            }
            if now.status == Status::InputRequired {
                let status = if now.input_requests.is_empty() { Status::Working } else { Status::InputRequired };
                let (open, given) =
                    (Value::Object(now.input_requests.clone()), Value::Object(now.input_responses.clone()));
                let assign = |sql: &mut Sql| {
                    sql.push(", status = ").bind(status.name()).push(", input_requests = ").bind(open.to_string());
                    sql.push(", input_responses = ").bind(given.to_string());
                };
                now.change(&mut tx, self.clock.now(), assign).await?;
            }
        }
        tx.commit().await
    }

    /// Ends a request, unless it has ended already: the first end stands.
    pub async fn end_deferred(&self, deferred: &Deferred, end: &End) -> Result<bool> {
        self.change_deferred(deferred, |sql| ends(sql, end)).await
    }

    /// This process has nothing more to do with the request. Only after its end is stored.
    pub async fn release_deferred(&self, deferred: &Deferred) {
        self.db.release(deferred.id).await;
    }
}
