//! Carrying out what passed the checks: the transaction, the handler, the journal and the answer.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::{Value, json};

use super::repeat::{digest, storable, store_answer, stored_answer};
use super::reserved::Reserved;
use super::{Bureau, Call};
use crate::ctx::{Ctx, OutsideEffect};
use crate::db::Tx;
use crate::deferred::{self, Deferral};
use crate::derived::Steps;
use crate::dialogue::{Question, Reply};
use crate::error::{Error, Result};
use crate::guards::{Guard, stands};
use crate::journal;
use crate::outbox;
use crate::rights::{Credential, Principal};
use crate::sql::Sql;
use crate::tool::{Danger, Prepared, Tool};

/// How often a call runs again when the database says that it lost a race.
pub(super) const RETRIES: usize = 5;
/// The name that log filters know the gate by, whatever file a step stands in.
const LOG: &str = "bureau_kit::gate";

impl Bureau {
    pub(super) fn ctx(
        self: &Arc<Self>,
        tool: &Tool,
        call: &Call,
        principal: Arc<Principal>,
        tx: Tx,
        reserved: &Reserved,
    ) -> Ctx {
        Ctx {
            bureau: self.clone(),
            principal,
            selection: call.selection.clone(),
            origin: call.origin.clone(),
            dialogue: call.dialogue.clone(),
            destructive: tool.danger() == Danger::Destructive,
            now: self.clock.now(),
            tx,
            writes: tool.writes(),
            is_public: tool.public,
            target: tool.target,
            expected_version: reserved.expected_version,
            redoes: None,
            changes: Vec::new(),
            effects: Vec::new(),
            resent: false,
            steps: if tool.long { Steps::Kept } else { Steps::Whole },
            reading: self.accesses.reading(tool),
        }
    }

    /// A read: in the transaction in which the caller was looked up.
    pub(super) async fn read(
        self: &Arc<Self>,
        tool: &Tool,
        mut call: Call,
        principal: Arc<Principal>,
        tx: Tx,
    ) -> Result<Vec<u8>> {
        let prepared = match (tool.prepare)(std::mem::take(&mut call.arguments)) {
            Ok(prepared) => prepared,
            Err(error) => {
                tx.rollback().await?;
                return Err(error);
            }
        };
        let mut ctx = self.ctx(tool, &call, principal, tx, &Reserved::default());
        if tool.long {
            ctx.tx.allow(tool.limit()).await?;
        }
        let outcome = guarded(tool, prepared, &mut ctx).await;
        let reading = ctx.reading.take();
        if outcome.is_ok() {
            self.accesses.note(&ctx, reading);
        }
        ctx.tx.commit().await?;
        outcome
    }

    /// Runs on a task of its own: a client that hangs up cannot part a commit from its answer.
    pub(super) async fn write(
        self: &Arc<Self>,
        tool: Tool,
        call: Call,
        principal: Arc<Principal>,
        reserved: Reserved,
    ) -> Result<Vec<u8>> {
        // Decoded once before the writer is asked for, so that wrong input costs nobody's time.
        let prepared = (tool.prepare)(call.arguments.clone())?;
        let bureau = self.clone();
        let task = tokio::spawn(async move {
            let mut prepared = Some(prepared);
            let mut attempt = 0_usize;
            loop {
                let ready = match prepared.take() {
                    Some(ready) => ready,
                    None => (tool.prepare)(call.arguments.clone())?,
                };
                match bureau.write_once(&tool, &call, principal.clone(), &reserved, ready).await {
                    Err(error) if error.is_retryable() && attempt < RETRIES => {
                        attempt = attempt.saturating_add(1);
                        tracing::debug!(target: LOG, tool = tool.name, attempt, %error, "running a call again");
                        tokio::time::sleep(Duration::from_millis(5_u64.saturating_mul(1 << attempt))).await;
                    }
                    outcome => return outcome,
                }
            }
        });
        task.await.map_err(|error| Error::internal(format!("the task of a call ended: {error}")))?
    }

    async fn write_once(
        self: &Arc<Self>,
        tool: &Tool,
        call: &Call,
        principal: Arc<Principal>,
        reserved: &Reserved,
        prepared: Prepared,
    ) -> Result<Vec<u8>> {
        // 5. transaction
        let mut tx = self.db.write().await?;
        tx.enter(principal.tenant_id).await?;
        if tool.long {
            tx.allow(tool.limit()).await?;
        }
        let mut ctx = self.ctx(tool, call, principal, tx, reserved);
        if tool.long && reserved.dry_run {
            ctx.steps = Steps::Dropped;
        }
        let finished = tokio::select! {
            finished = carry_out(&mut ctx, tool, call, reserved, prepared) => finished,
            () = unwanted(call.dialogue.deferral.clone()) => Err(deferred::cancelled()),
        };
        match finished {
            // 8. commit, or roll back
            Ok(Finished { body, keep: true }) => {
                let sends = ctx.resent;
                ctx.tx.commit().await?;
                self.committed.send_replace(());
                if sends {
                    self.outbox.wake();
                }
                Ok(body)
            }
            Ok(Finished { body, keep: false }) => {
                ctx.tx.rollback().await?;
                Ok(body)
            }
            Err(error) => {
                ctx.tx.rollback().await?;
                Err(error)
            }
        }
    }
}

/// Resolves once the caller of a deferred call wants it no more; never for other calls.
async fn unwanted(deferral: Option<Deferral>) {
    match deferral {
        Some(deferral) => deferral.cancelled().await,
        None => std::future::pending().await,
    }
}

/// The answer of a write, and whether what it did is to be kept.
struct Finished {
    body: Vec<u8>,
    keep: bool,
}

/// Steps four, six and seven of a write, inside its transaction.
async fn carry_out(
    ctx: &mut Ctx,
    tool: &Tool,
    call: &Call,
    reserved: &Reserved,
    prepared: Prepared,
) -> Result<Finished> {
    // 4. repeat: looked up inside the transaction, so that two at once cannot both be first.
    let digest = reserved.idempotency_key.as_ref().map(|_| digest(tool.name, &call.arguments, reserved));
    if let (Some(key), Some(digest)) = (&reserved.idempotency_key, &digest)
        && let Some(answer) = stored_answer(ctx, key, digest).await?
    {
        return Ok(Finished { body: spliced(answer.into_bytes(), "\"replayed\":true"), keep: false });
    }
    spend_write(ctx).await?;
    // 6. handler
    let body = guarded(tool, prepared, ctx).await?;
    if reserved.expected_version.is_some() && ctx.expected_version.is_some() {
        let why = "this call touched no single record whose version could be checked";
        return Err(Error::invalid("/expected_version", why));
    }
    ctx.check_kept().await?;
    if reserved.dry_run {
        let (changes, effects) =
            if tool.silent { (Vec::new(), [].as_slice()) } else { (ctx.preview(), ctx.effects.as_slice()) };
        let body = spliced(body, &preview(&changes, effects));
        return Ok(Finished { body, keep: !stands(Guard::DryRun) });
    }
    confirm(ctx, tool)?;
    // 7. journal
    let undoable = !ctx.changes.is_empty() && tool.irreversible.is_none() && ctx.effects.is_empty();
    let sent: Vec<&'static str> = ctx.effects.iter().map(|effect| effect.kind).collect();
    let action = journal::write(ctx, tool, undoable).await?;
    // 9. answer
    let body = match outbox::told(&ctx.bureau, &sent) {
        // Whether something is sent is not for everybody to know: it may tell an account from none.
        Some(_) if tool.public => body,
        Some(told) => spliced(body, &format!("\"outside_effects\":{told}")),
        None => body,
    };
    let body = if undoable { spliced(body, &format!("\"undo_token\":\"{action}\"")) } else { body };
    if let (Some(key), Some(digest)) = (&reserved.idempotency_key, &digest) {
        store_answer(ctx, key, digest, &storable(tool, &body)?).await?;
    }
    if let Some(deferral) = &call.dialogue.deferral {
        deferred::keep_answer(ctx, deferral, &storable(tool, &body)?).await?;
    }
    tracing::debug!(target: LOG, tool = tool.name, tenant = %ctx.principal.tenant_id, actor = ctx.principal.label, %action, "done");
    Ok(Finished { body, keep: true })
}

/// What a call that only tries adds to its answer: members of an object.
pub(super) fn preview(changes: &[Value], effects: &[OutsideEffect]) -> String {
    let shown = |effect: &OutsideEffect| json!({"kind": effect.kind, "undoable": false, "payload": effect.payload});
    let effects: Vec<Value> = effects.iter().map(shown).collect();
    let preview = json!({"dry_run": true, "changes": changes, "outside_effects": effects}).to_string();
    preview.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default().to_owned()
}

/// Lets the person behind the client decide about destructive work that is done, but not yet kept, where the server's
/// policy wants it and the client can ask one.
fn confirm(ctx: &Ctx, tool: &Tool) -> Result<()> {
    if !ctx.destructive || !ctx.dialogue.confirms_destructive {
        return Ok(());
    }
    let question = Question::new("confirm", format!("{}: {}. Go on?", tool.title, ctx.change_summary()));
    match ctx.dialogue.ask(question)? {
        None | Some(Reply::Accepted(_)) => Ok(()),
        Some(Reply::Declined | Reply::Cancelled) => Err(Error::forbidden(
            "The person at the client did not agree to this call, so nothing was changed. Do not repeat it unless they ask for it.",
        )
        .with("reason", "declined")),
    }
}

/// Runs a handler so that a panic in it becomes an error, and it ends at the call's time limit.
pub(super) async fn guarded(tool: &Tool, prepared: Prepared, ctx: &mut Ctx) -> Result<Vec<u8>> {
    // Inside the future already: a handler that is no async function may panic before it answers one.
    let limited = tokio::time::timeout(tool.limit(), caught(async { prepared(ctx).await }));
    match limited.await {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Err(Error::internal(format!("the handler of {} panicked", tool.name))),
        Err(_) => Err(too_long(tool)),
    }
}

/// What a call is answered that does not end in time.
pub(super) fn too_long(tool: &Tool) -> Error {
    let seconds = tool.limit().as_secs();
    let done =
        if tool.outside.is_some() { "See action_log_list for what was done by then" } else { "Nothing was changed" };
    Error::rate_limited(format!(
        "The call took longer than {seconds} seconds and was stopped. {done}; ask for less at once."
    ))
}

/// The outcome of a future; none when it panicked.
pub(super) async fn caught<F: Future>(future: F) -> Option<F::Output> {
    CatchPanic(Box::pin(future)).await
}

struct CatchPanic<F>(Pin<Box<F>>);

impl<F: Future> Future for CatchPanic<F> {
    type Output = Option<F::Output>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // After a panic the future is dropped and its transaction rolled back: nothing half-done is seen again.
        match std::panic::catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(Poll::Ready(outcome)) => Poll::Ready(Some(outcome)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(None),
        }
    }
}

/// Adds members to a finished JSON object without reading it again.
pub(super) fn spliced(mut body: Vec<u8>, members: &str) -> Vec<u8> {
    if body.last() == Some(&b'}') {
        body.pop();
        if body.last() != Some(&b'{') {
            body.push(b',');
        }
        body.extend_from_slice(members.as_bytes());
        body.push(b'}');
    }
    body
}

/// One of the writes a narrowed token has left.
pub(crate) async fn spend_write(ctx: &mut Ctx) -> Result<()> {
    let Credential::Session(session) = ctx.principal.credential else { return Ok(()) };
    if !ctx.principal.has_write_budget || !stands(Guard::TokenBudget) {
        return Ok(());
    }
    let sql = Sql::with(
        "UPDATE sessions SET writes_left = writes_left - 1 WHERE id = $1 AND writes_left > 0",
        [session.into()],
    );
    match ctx.tx.execute(&sql).await? {
        0 => Err(Error::rate_limited(
            "This token has used up its writes. Ask its owner for a new one (session_create with a larger write_budget).",
        )),
        _ => Ok(()),
    }
}
