//! What a handshake-era client and the server keep of each other between requests, and the streams between them.
//!
//! A session is no credential: every request still shows its token, and a session answers only to the user or key that
//! opened it. Everything in it is bounded, and an unused session ends.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bureau_kit::access::Shown;
use bureau_kit::dialogue::LogLevel;
use bureau_kit::gate::Bureau;
use bureau_kit::rights::Principal;
use bureau_kit::token::{TokenKind, hash, mint};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::era::Capabilities;
use crate::feed::Topics;

/// Sessions of all clients together; beyond it the one unused for longest ends.
const SESSIONS: usize = 20_000;
/// Sessions of one user or key; a client that never says goodbye must not push out others.
const SESSIONS_OF_ONE: usize = 256;
/// A session without a request and without an open stream ends after this.
const IDLE_SECONDS: i64 = 60 * 60;
/// Events a stream holds for a reader that lags or has gone for a moment.
const EVENTS: usize = 256;
/// Streams of ended requests that a session keeps for readers that lost their connection.
const ENDED_STREAMS: usize = 16;
/// The first handshake revision in which a server may close a stream early: its clients know an event without data, which
/// gives them an id to come back with before there is anything to say.
const POLLING_SINCE: &str = "2025-11-25";
/// How long a person may take to answer a question.
pub const ANSWER_TIME: Duration = Duration::from_secs(600);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where messages beside the answer go while a request runs.
#[derive(Debug, Clone)]
pub enum Outlet {
    /// Straight to a writer: standard output, or the one response of a stateless request.
    Queue(mpsc::Sender<Bytes>),
    /// Into a stream that its client may lose and take up again.
    Stream(Arc<Stream>),
}

impl Outlet {
    /// Sends what may be lost when nobody reads: progress, log messages, news.
    pub fn tell(&self, message: &Value) {
        let message = Bytes::from(message.to_string());
        match self {
            Self::Queue(queue) => drop(queue.try_send(message)),
            Self::Stream(stream) => stream.push(message, true),
        }
    }

    /// Whether nobody reads any more, and nobody will.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Queue(queue) => queue.is_closed(),
            Self::Stream(stream) => lock(&stream.state).ended,
        }
    }

    /// Sends what must arrive.
    pub async fn send(&self, message: &Value) {
        let message = Bytes::from(message.to_string());
        match self {
            Self::Queue(queue) => drop(queue.send(message).await),
            Self::Stream(stream) => stream.push(message, false),
        }
    }
}

/// Events in order, each with a number, until the last one. Written by a request, read by whoever holds the connection.
#[derive(Debug)]
pub struct Stream {
    /// Its number in the session; 0 is the standing one.
    pub id: u64,
    state: Mutex<StreamState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct StreamState {
    events: VecDeque<(u64, Bytes)>,
    last: u64,
    ended: bool,
    /// Counts readers: a new one, or a wish to have the connection closed, ends the reader before.
    reader: u64,
}

/// What a reader finds.
#[derive(Debug)]
pub struct Found {
    /// Events after the one it had, with their numbers.
    pub events: Vec<(u64, Bytes)>,
    /// Whether nothing follows.
    pub ended: bool,
    /// Whether this reader is to go.
    pub displaced: bool,
}

impl Stream {
    fn new(id: u64) -> Arc<Self> {
        Arc::new(Self { id, state: Mutex::default(), changed: Notify::new() })
    }

    fn push(&self, message: Bytes, may_be_lost: bool) {
        let mut state = lock(&self.state);
        if state.events.len() >= EVENTS {
            if may_be_lost && self.id != 0 {
                return;
            }
            // On the standing stream the newest news count.
            state.events.pop_front();
        }
        state.last = state.last.saturating_add(1);
        let number = state.last;
        state.events.push_back((number, message));
        drop(state);
        self.changed.notify_waiters();
    }

    /// The answer: nothing comes after it.
    pub fn finish(&self, answer: Bytes) {
        self.push(answer, false);
        self.end();
    }

    /// Nothing comes any more.
    pub fn end(&self) {
        lock(&self.state).ended = true;
        self.changed.notify_waiters();
    }

    /// The number of its latest event.
    pub fn last(&self) -> u64 {
        lock(&self.state).last
    }

    /// Asks the present reader to close its connection; the client comes back for the rest.
    pub fn displace_reader(&self) -> u64 {
        let mut state = lock(&self.state);
        state.reader = state.reader.saturating_add(1);
        let reader = state.reader;
        drop(state);
        self.changed.notify_waiters();
        reader
    }

    fn find(&self, after: u64, reader: Option<u64>) -> Found {
        let state = lock(&self.state);
        let events = state.events.iter().filter(|(number, _)| *number > after).cloned().collect();
        Found { events, ended: state.ended, displaced: reader.is_some_and(|reader| reader != state.reader) }
    }

    /// Waits until there is something after an event, or a reader is to go.
    pub async fn next(&self, after: u64, reader: Option<u64>) -> Found {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that nothing falls between.
            changed.as_mut().enable();
            let found = self.find(after, reader);
            if !found.events.is_empty() || found.ended || found.displaced {
                return found;
            }
            changed.await;
        }
    }
}

/// One client's session.
#[derive(Debug)]
pub struct Session {
    /// Its id: unguessable, and still no credential.
    pub id: String,
    owner: (Uuid, Uuid),
    /// The hash of a token that was found to be the owner's; another one is looked up again.
    known: Mutex<Option<[u8; 32]>>,
    /// What the client calls itself.
    pub client: Option<String>,
    /// The protocol revision agreed on.
    pub revision: &'static str,
    /// What the client can do.
    pub capabilities: Capabilities,
    log_level: Mutex<LogLevel>,
    next_id: AtomicU64,
    asked: Mutex<HashMap<u64, oneshot::Sender<Result<Value, Value>>>>,
    running: Mutex<HashMap<String, AbortHandle>>,
    streams: Mutex<VecDeque<Arc<Stream>>>,
    /// For news that belong to no request.
    pub standing: Arc<Stream>,
    /// Resources whose changes the client wants to hear of.
    pub subscriptions: Mutex<Topics>,
    /// The tasks that tell it of lists and of changes.
    told: Mutex<[Option<AbortHandle>; 2]>,
    used_at: AtomicI64,
    readers: AtomicI64,
}

/// A reader of a stream: as long as one lives, its session is in use.
#[derive(Debug)]
pub struct Reading(Arc<Session>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Session {
    /// A session for a client that said hello.
    pub fn new(
        owner: &Principal,
        client: Option<String>,
        revision: &'static str,
        capabilities: Capabilities,
        now: i64,
    ) -> Arc<Self> {
        Arc::new(Self {
            id: mint(TokenKind::Session).replacen("bus_", "mcp-", 1),
            owner: (owner.tenant_id, owner.actor_id()),
            known: Mutex::default(),
            client,
            revision,
            capabilities,
            log_level: Mutex::new(LogLevel::Info),
            next_id: AtomicU64::new(1),
            asked: Mutex::default(),
            running: Mutex::default(),
            streams: Mutex::default(),
            standing: Stream::new(0),
            subscriptions: Mutex::default(),
            told: Mutex::default(),
            used_at: AtomicI64::new(now),
            readers: AtomicI64::new(0),
        })
    }

    /// Whether a credential is of the user or key that opened the session.
    pub async fn belongs_to(&self, bureau: &Bureau, shown: Option<&Shown>) -> bool {
        let Some(shown) = shown else { return false };
        let fingerprint = match shown {
            Shown::Token(token) => Some(hash(token)),
            _ => None,
        };
        if fingerprint.is_some() && *lock(&self.known) == fingerprint {
            return true;
        }
        match bureau.principal(shown).await {
            Ok(principal) if (principal.tenant_id, principal.actor_id()) == self.owner => {
                *lock(&self.known) = fingerprint;
                true
            }
            _ => false,
        }
    }

    /// Whether the client comes back for the rest when a stream is closed before its answer.
    pub fn polls(&self) -> bool {
        self.revision >= POLLING_SINCE
    }

    /// From which gravity on the client wants log messages.
    pub fn log_level(&self) -> LogLevel {
        *lock(&self.log_level)
    }

    /// Sets it.
    pub fn set_log_level(&self, level: LogLevel) {
        *lock(&self.log_level) = level;
    }

    /// Sends the client a request and waits for its answer.
    pub async fn request(&self, outlet: &Outlet, method: &str, params: Value) -> Result<Value, String> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        lock(&self.asked).insert(id, sender);
        // Forgotten also when the caller is.
        let _forget = Forget(self, id);
        outlet.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        match tokio::time::timeout(ANSWER_TIME, answer).await {
            Ok(Ok(Ok(result))) => Ok(result),
            Ok(Ok(Err(error))) => {
                Err(error.get("message").and_then(Value::as_str).unwrap_or("the client refused").to_owned())
            }
            Ok(Err(_)) => Err("the client has gone".to_owned()),
            Err(_) => Err("the client did not answer in time".to_owned()),
        }
    }

    /// Takes a client's answer to a request of ours. One that was not asked for is dropped.
    pub fn answered(&self, id: &str, answer: Result<Value, Value>) {
        if let Some(waiting) = id.parse().ok().and_then(|id: u64| lock(&self.asked).remove(&id)) {
            let _ = waiting.send(answer);
        }
    }

    /// A new stream for the answer of one request.
    pub fn open_stream(&self) -> Arc<Stream> {
        let stream = Stream::new(self.next_id.fetch_add(1, Ordering::Relaxed));
        let mut streams = lock(&self.streams);
        let ended = streams.iter().filter(|stream| lock(&stream.state).ended).count();
        if ended >= ENDED_STREAMS
            && let Some(oldest) = streams.iter().position(|stream| lock(&stream.state).ended)
        {
            streams.remove(oldest);
        }
        streams.push_back(stream.clone());
        stream
    }

    /// Forgets a stream whose answer went out in one piece.
    pub fn drop_stream(&self, id: u64) {
        lock(&self.streams).retain(|stream| stream.id != id);
    }

    /// The stream that an event id names, and the event's number in it.
    pub fn stream_of(&self, event_id: &str) -> Option<(Arc<Stream>, u64)> {
        let (stream, event) = event_id.split_once('-')?;
        let (stream, event): (u64, u64) = (stream.parse().ok()?, event.parse().ok()?);
        if stream == 0 {
            return Some((self.standing.clone(), event));
        }
        lock(&self.streams).iter().find(|known| known.id == stream).map(|known| (known.clone(), event))
    }

    /// Remembers a running request, so that it can be cancelled.
    pub fn started(&self, id: &str, task: AbortHandle) {
        lock(&self.running).insert(id.to_owned(), task);
    }

    /// Forgets it.
    pub fn ended(&self, id: &str) {
        lock(&self.running).remove(id);
    }

    /// Ends a running request. A write that has begun still runs to its end: it is done or not, never half.
    pub fn cancel(&self, id: &str) {
        if let Some(task) = lock(&self.running).remove(id) {
            task.abort();
        }
    }

    /// Counts a reader of one of its streams.
    pub fn reading(self: &Arc<Self>) -> Reading {
        self.readers.fetch_add(1, Ordering::Relaxed);
        Reading(self.clone())
    }

    /// Nobody answers any more: what waits for an answer ends.
    pub fn hang_up(&self) {
        lock(&self.asked).clear();
        for task in lock(&self.told).iter_mut().filter_map(Option::take) {
            task.abort();
        }
    }

    /// Whether a task tells it of lists, or of changes.
    pub(super) fn is_told(&self, changes: bool) -> bool {
        let told = lock(&self.told);
        let [lists, others] = &*told;
        let task = if changes { others } else { lists };
        task.as_ref().is_some_and(|task| !task.is_finished())
    }

    /// Remembers the task that does from now on, in place of the one that did.
    pub(super) fn tell_with(&self, changes: bool, task: AbortHandle) {
        let mut told = lock(&self.told);
        let [lists, others] = &mut *told;
        let place = if changes { others } else { lists };
        if let Some(before) = place.replace(task) {
            before.abort();
        }
    }

    fn close(&self) {
        for (_, task) in lock(&self.running).drain() {
            task.abort();
        }
        self.hang_up();
        for stream in lock(&self.streams).drain(..) {
            stream.end();
        }
        self.standing.end();
    }
}

struct Forget<'a>(&'a Session, u64);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.0.asked).remove(&self.1);
    }
}

/// All sessions of a server, by id.
#[derive(Debug, Default)]
pub struct Sessions {
    open: Mutex<HashMap<String, Arc<Session>>>,
    swept_at: AtomicI64,
}

impl Sessions {
    /// Adds a session, making room where there is none.
    pub fn add(&self, session: Arc<Session>, now: i64) {
        let mut open = lock(&self.open);
        if now.saturating_sub(self.swept_at.load(Ordering::Relaxed)) > 60 {
            self.swept_at.store(now, Ordering::Relaxed);
            let stale = |session: &Session| {
                session.readers.load(Ordering::Relaxed) == 0
                    && now.saturating_sub(session.used_at.load(Ordering::Relaxed)) > IDLE_SECONDS
            };
            open.retain(|_, session| {
                let ends = stale(session);
                if ends {
                    session.close();
                }
                !ends
            });
        }
        let of_one = open.values().filter(|known| known.owner == session.owner).count();
        let crowded = open.len() >= SESSIONS || of_one >= SESSIONS_OF_ONE;
        if crowded {
            let candidates = open.values().filter(|known| of_one < SESSIONS_OF_ONE || known.owner == session.owner);
            let oldest =
                candidates.min_by_key(|known| known.used_at.load(Ordering::Relaxed)).map(|known| known.id.clone());
            if let Some(oldest) = oldest.and_then(|id| open.remove(&id)) {
                oldest.close();
            }
        }
        open.insert(session.id.clone(), session);
    }

    /// The session of an id, as in use now.
    pub fn find(&self, id: &str, now: i64) -> Option<Arc<Session>> {
        let session = lock(&self.open).get(id).cloned()?;
        if session.readers.load(Ordering::Relaxed) == 0
            && now.saturating_sub(session.used_at.load(Ordering::Relaxed)) > IDLE_SECONDS
        {
            self.end(id);
            return None;
        }
        session.used_at.store(now, Ordering::Relaxed);
        Some(session)
    }

    /// Ends a session with everything that runs in it.
    pub fn end(&self, id: &str) {
        if let Some(session) = lock(&self.open).remove(id) {
            session.close();
        }
    }

    /// Every open session.
    pub fn all(&self) -> Vec<Arc<Session>> {
        lock(&self.open).values().cloned().collect()
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        lock(&self.open).len()
    }
}
