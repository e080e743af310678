//! Tools that wait for a service outside: no transaction is open meanwhile.
//!
//! What such a tool does to records it does by calls of other tools, as the same caller, through the same gate; each is whole,
//! and in the journal, for itself. An idempotency key is taken before the work begins and gets its answer at the end, so that of
//! two calls with one key one works; a key whose call was cut short says so, since nobody knows how far it came.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

use super::repeat::{digest, keep_answer, release_key, storable, store_answer, stored_answer};
use super::reserved::Reserved;
use super::run::{RETRIES, caught, preview, spend_write, spliced, too_long};
use super::{Bureau, Call, Origin, Outcome, Selection};
use crate::access::Shown;
use crate::ctx::{Ctx, OutsideEffect};
use crate::dialogue::Dialogue;
use crate::error::{Error, Result};
use crate::journal;
use crate::registry::Entry;
use crate::rights::Principal;
use crate::time::Instant;
use crate::tool::{BoxFuture, Danger, PrepareOutside, Tool};

/// What the handler of such a tool works with.
#[derive(Debug, Clone)]
pub struct Outside(Arc<Around>);

#[derive(Debug)]
struct Around {
    bureau: Arc<Bureau>,
    tool: &'static str,
    principal: Arc<Principal>,
    shown: Option<Shown>,
    selection: Selection,
    origin: Origin,
    dialogue: Dialogue,
    is_trial: bool,
    effects: Mutex<Vec<OutsideEffect>>,
    has_written: AtomicBool,
}

/// Longest name of a client in the journal.
const CLIENT_CHARS: usize = 200;

impl Outside {
    fn new(bureau: &Arc<Bureau>, tool: &Tool, call: &Call, principal: &Arc<Principal>, is_trial: bool) -> Self {
        let client = call.origin.client.as_deref().unwrap_or(call.origin.transport);
        let client: String = client.chars().take(CLIENT_CHARS).collect();
        let origin = Origin { client: Some(format!("{} for {client}", tool.name)), ..call.origin.clone() };
        Self(Arc::new(Around {
            bureau: bureau.clone(),
            tool: tool.name,
            principal: principal.clone(),
            shown: call.shown.clone(),
            selection: call.selection.clone(),
            origin,
            dialogue: call.dialogue.clone(),
            is_trial,
            effects: Mutex::default(),
            has_written: AtomicBool::new(false),
        }))
    }

    /// The server's tools and tables.
    pub fn bureau(&self) -> &Arc<Bureau> {
        &self.0.bureau
    }

    /// Who calls.
    pub fn principal(&self) -> &Principal {
        &self.0.principal
    }

    /// Whether the caller may use a tool.
    pub fn admits(&self, entry: &Entry) -> bool {
        self.0.bureau.admits(&self.0.principal, &self.0.selection, entry)
    }

    /// The present moment.
    pub fn now(&self) -> Instant {
        self.0.bureau.clock.now()
    }

    /// Whether the call only tries: then nothing may be sent, but [told](Self::would_send).
    pub fn is_trial(&self) -> bool {
        self.0.is_trial
    }

    /// Tells what a call that only tries would send out.
    pub fn would_send(&self, kind: &'static str, payload: Value) {
        self.0.effects.lock().unwrap_or_else(PoisonError::into_inner).push(OutsideEffect {
            kind,
            subject_id: None,
            lane: None,
            payload,
        });
    }

    /// Tells how far the call has come.
    pub fn progress(&self, done: u64, total: Option<u64>, message: &str) {
        if let Some(listener) = &self.0.dialogue.listener {
            listener.progress(done, total, message);
        }
    }

    /// Why a tool must not be carried out on the word of somebody outside, to whom its answer goes; none when it may.
    ///
    /// Whatever its rights, the caller alone removes things, hands out secrets and signs in.
    pub fn obstacle(&self, entry: &Entry, may_write: bool) -> Option<&'static str> {
        let tool = &entry.tool;
        if tool.outside.is_some() || tool.executes.is_some() || tool.name == crate::batch::NAME {
            Some("it carries out other tools")
        } else if tool.public {
            Some("it signs somebody in")
        } else if tool.shown_once.is_some() {
            Some("its answer is a secret")
        } else if tool.danger() == Danger::Destructive {
            Some("it removes or replaces records")
        } else if tool.writes() && !may_write {
            Some("it writes, and this call allows reading only")
        } else {
            None
        }
    }

    /// Calls a tool as the caller, through the whole gate. An error of the tool is `Err` with its body.
    pub async fn call(&self, tool: &str, arguments: Map<String, Value>) -> Result<Value, Value> {
        let around = &self.0;
        let entry = around.bureau.registry.find(tool);
        let refused = |error: Error| Err(Value::Object(error.to_json()));
        if around.is_trial || entry.is_some_and(|entry| entry.tool.outside.is_some()) {
            return refused(Error::impossible_state(format!("{tool} cannot be called by {}.", around.tool)));
        }
        if arguments.contains_key("_sessionToken") {
            return refused(Error::invalid("/_sessionToken", "whoever called decides as whom this runs"));
        }
        let call = Call {
            tool: tool.to_owned(),
            arguments,
            shown: around.shown.clone(),
            selection: around.selection.clone(),
            origin: around.origin.clone(),
            dialogue: Dialogue::default(),
        };
        match around.bureau.call(call).await {
            Outcome::Done { body, is_error } => {
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                if is_error {
                    return Err(body);
                }
                if entry.is_some_and(|entry| entry.tool.writes()) {
                    around.has_written.store(true, Ordering::Relaxed);
                }
                Ok(body)
            }
            Outcome::UnknownTool(text) => refused(Error::missing(text)),
            Outcome::Unauthenticated(error) => refused(error),
            Outcome::Asks(question) => refused(Error::impossible_state(question.message)),
        }
    }
}

impl Bureau {
    /// Carries out a tool that waits outside. One that may write runs on a task of its own, as every write does: who hangs up
    /// must not leave a key taken and the work half told.
    pub(super) async fn outside(
        self: &Arc<Self>,
        tool: &Tool,
        prepare: &PrepareOutside,
        call: Call,
        principal: Arc<Principal>,
        reserved: Reserved,
    ) -> Result<Vec<u8>> {
        let work = prepare(call.arguments.clone())?;
        let outside = Outside::new(self, tool, &call, &principal, reserved.dry_run);
        if !tool.writes() {
            return limited(tool, work(outside)).await;
        }
        if reserved.dry_run {
            let body = limited(tool, work(outside.clone())).await?;
            let effects = outside.0.effects.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(spliced(body, &preview(&[], &effects)));
        }
        let (bureau, tool) = (self.clone(), tool.clone());
        let task = tokio::spawn(async move {
            let stage = Stage { bureau, tool, call, principal, reserved };
            if let Some(answer) = stage.begin().await? {
                return Ok(spliced(answer.into_bytes(), "\"replayed\":true"));
            }
            match limited(&stage.tool, work(outside.clone())).await {
                Ok(body) => {
                    stage.finish(&body).await?;
                    Ok(body)
                }
                Err(error) => {
                    // Nothing was done: the same key may try again. Otherwise it stays taken, and says so.
                    if !outside.0.has_written.load(Ordering::Relaxed) {
                        stage.release().await?;
                    }
                    Err(error)
                }
            }
        });
        task.await.map_err(|error| Error::internal(format!("the task of a call ended: {error}")))?
    }
}

async fn limited(tool: &Tool, work: BoxFuture<'static, Result<Vec<u8>>>) -> Result<Vec<u8>> {
    match tokio::time::timeout(tool.limit(), caught(work)).await {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Err(Error::internal(format!("the handler of {} panicked", tool.name))),
        Err(_) => Err(too_long(tool)),
    }
}

/// The two transactions around the work.
struct Stage {
    bureau: Arc<Bureau>,
    tool: Tool,
    call: Call,
    principal: Arc<Principal>,
    reserved: Reserved,
}

impl Stage {
    /// Takes the key and one of the token's writes; answers what an earlier call with the key was answered.
    async fn begin(&self) -> Result<Option<String>> {
        if self.reserved.idempotency_key.is_none() && !self.principal.has_write_budget {
            return Ok(None);
        }
        self.transaction(Step::Begin).await
    }

    /// Writes the call into the journal, and its answer under the key.
    async fn finish(&self, body: &[u8]) -> Result<()> {
        self.transaction(Step::Finish(body)).await.map(drop)
    }

    /// Gives the key back.
    async fn release(&self) -> Result<()> {
        self.transaction(Step::Release).await.map(drop)
    }

    async fn transaction(&self, step: Step<'_>) -> Result<Option<String>> {
        let mut attempt = 0_usize;
        loop {
            let mut tx = self.bureau.db.write().await?;
            tx.enter(self.principal.tenant_id).await?;
            let mut ctx = self.bureau.ctx(&self.tool, &self.call, self.principal.clone(), tx, &self.reserved);
            let outcome = match self.carry_out(&mut ctx, step).await {
                Ok(done) => ctx.tx.commit().await.map(|()| done),
                Err(error) => ctx.tx.rollback().await.and(Err(error)),
            };
            match outcome {
                Err(error) if error.is_retryable() && attempt < RETRIES => {
                    attempt = attempt.saturating_add(1);
                    tokio::time::sleep(Duration::from_millis(5_u64.saturating_mul(1 << attempt))).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn carry_out(&self, ctx: &mut Ctx, step: Step<'_>) -> Result<Option<String>> {
        let key = self.reserved.idempotency_key.as_deref();
        match (step, key) {
            (Step::Begin, _) => {
                if let Some(key) = key {
                    let digest = digest(self.tool.name, &self.call.arguments, &self.reserved);
                    match stored_answer(ctx, key, &digest).await? {
                        Some(answer) if answer.is_empty() => {
                            return Err(Error::conflict(
                                "A call with this idempotency_key has begun and not told its end: it still runs, or was cut \
                                 short. See action_log_list for what it did, and use a new key for a new call.",
                            ));
                        }
                        Some(answer) => return Ok(Some(answer)),
                        None => store_answer(ctx, key, &digest, b"").await?,
                    }
                }
                spend_write(ctx).await?;
            }
            (Step::Finish(body), _) => {
                journal::write(ctx, &self.tool, false).await?;
                if let Some(key) = key {
                    keep_answer(ctx, key, &storable(&self.tool, body)?).await?;
                }
            }
            (Step::Release, Some(key)) => release_key(ctx, key).await?,
            (Step::Release, None) => {}
        }
        Ok(None)
    }
}

/// What one transaction is for.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Begin,
    Finish(&'a [u8]),
    Release,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_would_be_sent_is_told_as_a_dry_run_tells_it() {
        let effects = [OutsideEffect { kind: "chat", subject_id: None, lane: None, payload: json!({"messages": 1}) }];
        let told = spliced(b"{\"message\":null}".to_vec(), &preview(&[], &effects));
        assert_eq!(
            serde_json::from_slice::<Value>(&told).unwrap(),
            json!({
                "message": null, "dry_run": true, "changes": [],
                "outside_effects": [{"kind": "chat", "undoable": false, "payload": {"messages": 1}}]
            })
        );
    }
}
