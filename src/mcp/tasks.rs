//! The tasks extension: calls that are answered at once with a task, whose answer is fetched later.
//!
//! A client gets a task only when its own request declares the extension. Bureau's long tools (`Tool::long`) then become
//! tasks by themselves. A tool of an [`Extension`](super::extension::Extension) becomes one by saying so while it runs,
//! with two methods of its [`Exchange`](super::exchange::Exchange):
//!
//! ```text
//! fn call<'a>(&'a self, tool: &'a str, arguments: …, exchange: &'a Exchange) -> BoxFuture<'a, Answer> {
//!     Box::pin(async move {
//!         exchange.require_tasks()?;      // only for a tool that makes no sense otherwise: -32021 without the extension
//!         exchange.ask(&[…]).await?;      // before `defer`: multi-round-trip, as everywhere
//!         exchange.defer().await?;        // from here on a task, if the client takes one; else it goes on as it was
//!         exchange.progress(1.0, None, Some("half done")); // its statusMessage
//!         exchange.ask(&[…]).await?;      // after `defer`: input_required, answered by tasks/update
//!         Ok(json!({"content": […], "isError": true}))     // completed; Err(…) is failed
//!     })
//! }
//! ```
//!
//! `tasks/cancel` drops the future at its next `await`.
//!
//! The record of a task is in the database before its id is told, and it decides (see [`bureau_kit::deferred`]): every
//! process on the database can tell of the task, take its answers and cancel it. What a running task says of its progress
//! is kept beside it in memory and written down from time to time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bureau_kit::deferred::{Deferral, Deferred, End, Status};
use bureau_kit::error::{Code, Error};
use bureau_kit::rights::Principal;
use bytes::Bytes;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::call::{Answered, tool_result};
use super::era::{MISSING_CAPABILITY, TASKS};
use super::exchange::{Exchange, InputRequest, Pause};
use super::greet::only_in;
use super::{Service, principal, protocol_error};
use crate::rpc::{Caller, Era, INTERNAL_ERROR, INVALID_PARAMS, error};

/// How often a client should ask.
const POLL_MILLIS: u32 = 1_000;
/// How often a running task looks at its record, which another process may have changed, and writes down its progress.
const BEAT: Duration = Duration::from_secs(2);
/// How long a task waits for answers of its client.
const ANSWER_TIME: Duration = Duration::from_secs(60 * 60);
/// Long calls that run at once; others wait for their turn. Each may hold a snapshot of the database.
const LONG_CALLS: usize = 4;
/// The code of plain JSON-RPC for too much at once, as for tools.
const RATE_LIMITED: i32 = 429;

/// The tasks of this process that run.
#[derive(Debug)]
pub(super) struct Tasks {
    running: Mutex<HashMap<Uuid, Arc<Task>>>,
    turns: Semaphore,
}

impl Default for Tasks {
    fn default() -> Self {
        Self { running: Mutex::default(), turns: Semaphore::new(LONG_CALLS) }
    }
}

impl Tasks {
    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Arc<Task>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: Uuid) -> Option<Arc<Task>> {
        self.running().get(&id).cloned()
    }

    /// The turn of a long call.
    pub(super) async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }
}

/// A running task, where it runs.
#[derive(Debug)]
pub(super) struct Task {
    record: Deferred,
    cancelled: watch::Sender<bool>,
    /// Wakes whoever waits for the record to change.
    changed: Notify,
    message: Mutex<Option<String>>,
}

impl Task {
    fn new(record: Deferred) -> Arc<Self> {
        Arc::new(Self {
            record,
            cancelled: watch::Sender::new(false),
            changed: Notify::new(),
            message: Mutex::default(),
        })
    }

    /// How the gate keeps the answer of a call that is this task.
    pub(super) fn deferral(&self) -> Deferral {
        Deferral { id: self.record.id, cancelled: self.cancelled.subscribe() }
    }

    /// Says how far it is.
    pub(super) fn tell(&self, message: String) {
        *self.message.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
    }

    fn message(&self) -> Option<String> {
        self.message.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Asks the client and waits for its answers, all of them.
    pub(super) async fn ask(
        &self,
        service: &Service,
        asked: &[&(&str, InputRequest)],
    ) -> Result<Map<String, Value>, Pause> {
        let (bureau, record) = (&service.bureau, &self.record);
        let requests = asked.iter().map(|(key, input)| ((*key).to_owned(), input.to_json())).collect();
        bureau.ask_deferred(record, &requests).await.map_err(|cause| refused(service, cause))?;
        let since = Instant::now();
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that nothing falls between.
            changed.as_mut().enable();
            let now = bureau.deferred_now(record).await.map_err(|cause| refused(service, cause))?;
            match now {
                Some(now) if now.status == Status::Working => return Ok(now.input_responses),
                Some(now) if now.status == Status::InputRequired && since.elapsed() < ANSWER_TIME => {}
                Some(now) if now.status == Status::InputRequired => {
                    return Err(
                        error(INTERNAL_ERROR, "nobody answered what the task asked for; make the call again").into()
                    );
                }
                _ => return Err(error(INTERNAL_ERROR, "the task has ended").into()),
            }
            let _ = tokio::time::timeout(BEAT, changed).await;
        }
    }
}

/// What a call that may become a task comes to.
type Outcome = Result<Answered, Pause>;

/// A call that becomes a task asks for its record here.
pub(super) type Deferrals = mpsc::Sender<oneshot::Sender<Result<Arc<Task>, ErrorObjectOwned>>>;

/// A call that runs by itself until whoever started it lets it go.
struct Work(JoinHandle<Outcome>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a call that may become a task: its answer, or the task. Until it is one, a client that goes away ends it.
pub(super) async fn run(
    service: Arc<Service>,
    principal: Arc<Principal>,
    exchange: &Exchange,
    tool: String,
    work: impl Future<Output = Outcome> + Send + 'static,
) -> Result<Bytes, ErrorObjectOwned> {
    let (deferrals, wishes) = mpsc::channel(1);
    exchange.may_defer(deferrals);
    let (answer, answered) = oneshot::channel();
    tokio::spawn(drive(service, principal, tool, Work(tokio::spawn(work)), wishes, answer));
    answered.await.unwrap_or_else(|_| Err(error(INTERNAL_ERROR, "the call gave no answer")))
}

async fn drive(
    service: Arc<Service>,
    principal: Arc<Principal>,
    tool: String,
    mut work: Work,
    mut wishes: mpsc::Receiver<oneshot::Sender<Result<Arc<Task>, ErrorObjectOwned>>>,
    mut answer: oneshot::Sender<Result<Bytes, ErrorObjectOwned>>,
) {
    loop {
        tokio::select! {
            biased;
            outcome = &mut work.0 => {
                let outcome = outcome.unwrap_or_else(|cause| Err(ended(&cause)));
                let _ = answer.send(outcome.map_or_else(|pause| super::call::finished(Err(pause), Era::Stateless), |answered| {
                    Ok(answered.rendered(Era::Stateless))
                }));
                return;
            }
            Some(wish) = wishes.recv() => match service.bureau.defer(&principal, &tool).await {
                Err(cause) => drop(wish.send(Err(refused(&service, cause)))),
                Ok(record) => {
                    let created = Bytes::from(created(&record).to_string());
                    let task = Task::new(record);
                    service.tasks.running().insert(task.record.id, task.clone());
                    if answer.send(Ok(created)).is_err() {
                        // Its client went away and never heard of it.
                        let _ = service.bureau.end_deferred(&task.record, &End::Cancelled).await;
                    }
                    let _ = wish.send(Ok(task.clone()));
                    return supervise(service, task, work).await;
                }
            },
            () = answer.closed() => return,
        }
    }
}

fn ended(cause: &tokio::task::JoinError) -> Pause {
    tracing::error!(%cause, "a call ended without an outcome");
    error(INTERNAL_ERROR, "Bureau could not complete this call. Try again.").into()
}

/// Stays with a task to its end: writes down its progress, ends it when its record says so, and its record when it ends.
async fn supervise(service: Arc<Service>, task: Arc<Task>, mut work: Work) {
    let (bureau, record) = (&service.bureau, &task.record);
    let mut told = None;
    let outcome = loop {
        let changed = task.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        match bureau.deferred_now(record).await {
            Ok(Some(now)) if now.status.goes_on() => {}
            // The database does not answer: the work may do better.
            Err(cause) => tracing::warn!(%cause, task = %record.id, "the record of a task could not be read"),
            // Cancelled, forgotten, or completed together with its changes.
            Ok(_) => {
                // What has ended by now is not touched; what runs ends at its next step, and keeps nothing.
                let _ = task.cancelled.send(true);
                break None;
            }
        }
        tokio::select! {
            biased;
            outcome = &mut work.0 => break Some(outcome),
            () = changed => {}
            () = tokio::time::sleep(BEAT) => {}
        }
        let message = task.message();
        if let Some(message) = message.as_ref().filter(|_| message != told)
            && let Err(cause) = bureau.tell_deferred(record, message).await
        {
            tracing::warn!(%cause, task = %record.id, "the progress of a task could not be written down");
        }
        told = message;
    };
    if let Some(outcome) = outcome {
        let end = match outcome.unwrap_or_else(|cause| Err(ended(&cause))) {
            // What it says then is only that it was cancelled. Had it been kept, its record would know already.
            _ if *task.cancelled.borrow() => End::Cancelled,
            Ok(Answered::Tool { body, is_error }) => {
                End::Completed { answer: String::from_utf8_lossy(&body).into_owned(), is_error }
            }
            Ok(Answered::Protocol(result)) => End::Completed { answer: result.to_string(), is_error: false },
            Err(Pause::Refused(cause)) => End::Failed(serde_json::to_value(&cause).unwrap_or_default()),
            Err(Pause::InputRequired(_)) => {
                End::Failed(json!({"code": INTERNAL_ERROR, "message": "the task asked in vain"}))
            }
        };
        if let Err(cause) = bureau.end_deferred(record, &end).await {
            tracing::error!(%cause, task = %record.id, "the end of a task could not be written down");
        }
    }
    drop(work);
    service.tasks.running().remove(&record.id);
    bureau.release_deferred(record).await;
}

/// An error of the kit for who asked for a task.
fn refused(service: &Service, cause: Error) -> ErrorObjectOwned {
    let cause = cause.reported("tasks", service.bureau.ids.next(service.bureau.clock.now()));
    let code = match cause.code() {
        Code::RateLimited => RATE_LIMITED,
        Code::Validation => INVALID_PARAMS,
        _ => return protocol_error(&cause),
    };
    let message = match cause.fields() {
        [field] => format!("{}: {}", field.path, field.message),
        _ => cause.message().to_owned(),
    };
    ErrorObjectOwned::owned(code, message, Some(Value::Object(cause.to_json())))
}

/// The error for a request that needs the extension.
pub(super) fn missing_extension() -> ErrorObjectOwned {
    ErrorObjectOwned::owned(
        MISSING_CAPABILITY,
        format!("This needs the extension {TASKS}. Declare it in the capabilities of the request."),
        Some(json!({"requiredCapabilities": {"extensions": {TASKS: {}}}})),
    )
}

/// What every answer about a task begins with.
fn described(record: &Deferred, message: Option<String>) -> Map<String, Value> {
    let mut task = Map::new();
    task.insert("taskId".into(), json!(record.id));
    task.insert("status".into(), json!(record.status.name()));
    if let Some(message) = message {
        task.insert("statusMessage".into(), json!(message));
    }
    task.insert("createdAt".into(), json!(record.created_at));
    task.insert("lastUpdatedAt".into(), json!(record.updated_at));
    let life = record.expires_at.micros().saturating_sub(record.created_at.micros());
    task.insert("ttlMs".into(), json!(life.checked_div(1000)));
    task.insert("pollIntervalMs".into(), json!(POLL_MILLIS));
    task
}

fn created(record: &Deferred) -> Value {
    let mut result = described(record, None);
    result.insert("resultType".into(), json!("task"));
    Value::Object(result)
}

/// Parameters of the methods below. What else a client sends there is ignored.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    task_id: String,
    input_responses: Option<Map<String, Value>>,
}

/// The task that a request names, if it is the caller's. Unknown, somebody else's and expired are answered alike.
async fn named(
    service: &Service,
    params: &Params<'static>,
    caller: &Caller,
    method: &str,
) -> Result<(Deferred, Option<Map<String, Value>>), ErrorObjectOwned> {
    only_in(Era::Stateless, caller, method)?;
    if !caller.capabilities.tasks {
        return Err(missing_extension());
    }
    let principal = principal(&service.bureau, caller).await?;
    let named: Named = serde_json::from_str(params.as_str().unwrap_or("{}"))
        .map_err(|cause| error(INVALID_PARAMS, format!("`params` of {method}: {cause}")))?;
    let found = match Uuid::try_parse(&named.task_id) {
        Ok(id) => service.bureau.deferred(&principal, id).await.map_err(|cause| refused(service, cause))?,
        Err(_) => None,
    };
    let nothing = || {
        let text =
            "There is no such task: the id is wrong, or the task has expired. Make the call again for a new one.";
        error(INVALID_PARAMS, text)
    };
    Ok((found.ok_or_else(nothing)?, named.input_responses))
}

pub(super) async fn get(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    let (record, _) = named(&service, &params, &caller, "tasks/get").await?;
    let live = service.tasks.find(record.id).filter(|_| record.status.goes_on()).and_then(|task| task.message());
    let mut result = described(&record, live.or_else(|| record.status_message.clone()));
    match record.status {
        Status::InputRequired => drop(result.insert("inputRequests".into(), Value::Object(record.input_requests))),
        Status::Failed => drop(result.insert("error".into(), record.error.unwrap_or_default())),
        Status::Completed => {
            let answer = record.answer.unwrap_or_default();
            // Bureau's own tools answer the bare object, others a result of the protocol.
            let own = service.bureau.registry.find(&record.tool).is_some();
            let whole = if own { tool_result(answer.as_bytes(), record.is_error, true) } else { Bytes::from(answer) };
            let whole: Value = serde_json::from_slice(&whole).unwrap_or_default();
            result.insert("result".into(), whole);
        }
        Status::Working | Status::Cancelled => {}
    }
    result.insert("resultType".into(), json!("complete"));
    Ok(Bytes::from(Value::Object(result).to_string()))
}

const ACKNOWLEDGED: &[u8] = b"{\"resultType\":\"complete\"}";

pub(super) async fn update(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    let (record, answers) = named(&service, &params, &caller, "tasks/update").await?;
    let answers =
        answers.ok_or_else(|| error(INVALID_PARAMS, "`params` of tasks/update: `inputResponses` is missing"))?;
    let fits = |asked: &Value, answer: &Value| InputRequest::from_json(asked).is_some_and(|asked| asked.fits(answer));
    service.bureau.answer_deferred(&record, &answers, fits).await.map_err(|cause| refused(&service, cause))?;
    if let Some(task) = service.tasks.find(record.id) {
        task.wake();
    }
    Ok(Bytes::from_static(ACKNOWLEDGED))
}

/// Ends a task whose changes are not kept yet; one that has ended stays as it is.
pub(super) async fn cancel(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> Result<Bytes, ErrorObjectOwned> {
    let (record, _) = named(&service, &params, &caller, "tasks/cancel").await?;
    let task = service.tasks.find(record.id);
    if let Some(task) = &task {
        // First the work: it may hold the writer that the record needs.
        let _ = task.cancelled.send(true);
    }
    service.bureau.end_deferred(&record, &End::Cancelled).await.map_err(|cause| refused(&service, cause))?;
    if let Some(task) = task {
        task.wake();
    }
    Ok(Bytes::from_static(ACKNOWLEDGED))
}
