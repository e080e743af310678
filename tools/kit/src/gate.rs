//! The gate: every call, from every transport, takes the same nine steps.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::access::{Principals, Shown};
use crate::ctx::Ctx;
use crate::db::{CALL_LIMIT_SECONDS, Db, Tx};
use crate::error::{Code, Error, Result};
use crate::id::Ids;
use crate::journal;
use crate::registry::{Entry, Registry};
use crate::rights::{Credential, Narrowing, Principal};
use crate::sql::Sql;
use crate::time::Clock;
use crate::tool::{BoxFuture, Danger, Tool};
use crate::value::Val;

/// How often a call runs again when the database says that it lost a race.
const RETRIES: usize = 5;
/// How long the answer to an idempotency key is kept.
const KEY_HOURS: i64 = 24;

/// Everything a running server shares.
#[derive(Debug)]
pub struct Bureau {
    /// All tools and tables.
    pub registry: Registry,
    /// The database.
    pub db: Db,
    /// Where time comes from.
    pub clock: Clock,
    /// Where ids come from.
    pub ids: Ids,
    pub(crate) principals: Principals,
}

/// Which tools may be used at all, whatever the caller's rights. Several selections add up to the strictest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these toolsets; none means all.
    pub toolsets: Option<Vec<String>>,
    /// Only tools that change nothing.
    pub read_only: bool,
}

impl Selection {
    /// What both allow.
    pub fn and(&self, other: &Self) -> Self {
        let toolsets = match (&self.toolsets, &other.toolsets) {
            (Some(one), Some(two)) => Some(one.iter().filter(|name| two.contains(name)).cloned().collect()),
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        };
        Self { toolsets, read_only: self.read_only || other.read_only }
    }

    /// Why an entry is outside, or nothing.
    fn refusal(&self, entry: &Entry) -> Option<String> {
        if self.read_only && entry.tool.writes() {
            return Some("this server or address is read-only".into());
        }
        // The discovery tools are how one finds what there is: they belong to every selection.
        let toolsets = self.toolsets.as_ref().filter(|_| entry.toolset != DISCOVERY)?;
        (!toolsets.iter().any(|name| name == entry.toolset)).then(|| {
            format!(
                "only the toolsets {} are switched on here, and this is one of {}",
                toolsets.join(", "),
                entry.toolset
            )
        })
    }
}

/// The toolset of search, executors and batches, part of every selection.
pub const DISCOVERY: &str = "discovery";

/// How a call reached us: for the journal and the log, never for a decision.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// `stdio`, `http`, `rpc`, `cli`.
    pub transport: &'static str,
    /// What the client calls itself.
    pub client: Option<String>,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    /// Name or alias of the tool.
    pub tool: String,
    /// Its arguments, reserved ones included.
    pub arguments: Map<String, Value>,
    /// The credential that came with the connection.
    pub shown: Option<Shown>,
    /// What is switched on where the call came in.
    pub selection: Selection,
    /// How it came in.
    pub origin: Origin,
}

/// What a call came to.
#[derive(Debug)]
pub enum Outcome {
    /// A finished answer: a JSON object, as bytes.
    Done {
        /// The object.
        body: Vec<u8>,
        /// Whether it describes an error.
        is_error: bool,
    },
    /// The caller is nobody: a transport with a status for that uses it.
    Unauthenticated(Error),
    /// There is no such tool; holds what to say.
    UnknownTool(String),
}

/// Arguments that belong to the gate.
#[derive(Debug, Clone, Default)]
struct Reserved {
    dry_run: bool,
    idempotency_key: Option<String>,
    expected_version: Option<i64>,
}

impl Bureau {
    /// A server over an open database.
    pub fn new(registry: Registry, db: Db, clock: Clock, ids: Ids) -> Arc<Self> {
        Arc::new(Self { registry, db, clock, ids, principals: Principals::default() })
    }

    /// Who shows this credential, right now.
    pub async fn principal(&self, shown: &Shown) -> Result<Arc<Principal>> {
        let mut tx = self.db.read().await?;
        let principal = self.principals.find(&mut tx, shown, self.clock.now()).await;
        tx.commit().await?;
        principal
    }

    /// Whether a caller may use a tool under a selection: what `tools/list` shows.
    pub fn admits(&self, principal: &Principal, selection: &Selection, entry: &Entry) -> bool {
        admit(principal, selection, entry).is_ok()
    }

    /// Carries out one call: who, tool, input, repeat, transaction, handler, journal, commit, answer.
    pub async fn call(self: &Arc<Self>, call: Call) -> Outcome {
        let name = call.tool.clone();
        match self.run(call).await {
            Ok(body) => Outcome::Done { body, is_error: false },
            Err(Refusal::UnknownTool(text)) => Outcome::UnknownTool(text),
            Err(Refusal::Error(error, _)) if error.code() == Code::Unauthenticated => Outcome::Unauthenticated(error),
            Err(Refusal::Error(error, shape)) => {
                let error = error.reported(&name, self.ids.next(self.clock.now()));
                let mut body = error.to_json();
                if let Some(shape) = shape {
                    body.extend(shape(&error));
                }
                Outcome::Done { body: Value::Object(body).to_string().into_bytes(), is_error: true }
            }
        }
    }

    async fn run(self: &Arc<Self>, mut call: Call) -> Result<Vec<u8>, Refusal> {
        let mut tx = self.db.read().await?;
        let (entry, principal, reserved) = match self.checked(&mut tx, &mut call).await {
            Ok(checked) => checked,
            Err(refusal) => {
                tx.rollback().await?;
                return Err(refusal);
            }
        };
        let tool = &entry.tool;
        let outcome = if tool.writes() {
            tx.commit().await?;
            self.write(tool.clone(), call, principal, reserved).await
        } else {
            self.read(tool, call, principal, tx).await
        };
        outcome.map_err(|error| Refusal::Error(error, tool.error_shape))
    }

    /// Steps one to three: who calls, which tool, and the gate's own part of the input.
    async fn checked(&self, tx: &mut Tx, call: &mut Call) -> Result<(&Entry, Arc<Principal>, Reserved), Refusal> {
        let principal = self.who(tx, call).await?;
        let entry = self.entry_for(call)?;
        let refuse = |error| Refusal::Error(error, entry.tool.error_shape);
        admit(&principal, &call.selection, entry).map_err(refuse)?;
        let reserved = take_reserved(&entry.tool, &mut call.arguments).map_err(refuse)?;
        Ok((entry, principal, reserved))
    }

    /// The principal behind the connection's credential and the `_sessionToken` argument, which must agree.
    async fn who(&self, tx: &mut Tx, call: &mut Call) -> Result<Arc<Principal>> {
        let now = self.clock.now();
        let argument = match call.arguments.shift_remove("_sessionToken") {
            None | Some(Value::Null) => None,
            Some(Value::String(token)) => Some(Shown::Token(token)),
            Some(_) => return Err(Error::invalid("/_sessionToken", "must be text")),
        };
        let Some(argument) = argument else {
            let shown = call.shown.as_ref().ok_or_else(|| {
                Error::unauthenticated(
                    "No credential came with the call. Send `Authorization: Bearer <token>`, or `_sessionToken`.",
                )
            })?;
            return self.principals.find(tx, shown, now).await;
        };
        let named = self.principals.find(tx, &argument, now).await?;
        if let Some(shown) = &call.shown {
            let connected = self.principals.find(tx, shown, now).await?;
            if !may_act_as(&connected, &named) {
                return Err(Error::unauthenticated(
                    "_sessionToken belongs to someone else than the connection's own credential. Use one of the two.",
                ));
            }
            // Back to the tenant of the token that counts.
            tx.enter(named.tenant_id).await?;
        }
        Ok(named)
    }

    /// The tool a call means. For an executor, that is the tool it carries out, with that tool's own arguments.
    fn entry_for(&self, call: &mut Call) -> Result<&Entry, Refusal> {
        let mut entry = self.find(&call.tool)?;
        if let Some(danger) = entry.tool.executes {
            let executor = entry.tool.name;
            let (name, arguments) = executed(&mut call.arguments)?;
            entry = self.registry.find(&name).ok_or_else(|| Error::invalid("/name", self.unknown(&name)))?;
            if entry.tool.executes.is_some() {
                return Err(
                    Error::invalid("/name", "an executor cannot carry out an executor; name the tool itself").into()
                );
            }
            if entry.tool.danger() != danger {
                return Err(Error::invalid(
                    "/name",
                    format!(
                        "{} cannot be carried out by {executor}; use {}",
                        entry.tool.name,
                        executor_for(entry.tool.danger())
                    ),
                )
                .into());
            }
            call.tool = entry.tool.name.to_owned();
            call.arguments = arguments;
        }
        Ok(entry)
    }

    fn find(&self, name: &str) -> Result<&Entry, Refusal> {
        self.registry.find(name).ok_or_else(|| Refusal::UnknownTool(self.unknown(name)))
    }

    fn unknown(&self, name: &str) -> String {
        match self.registry.nearest(name) {
            Some(near) => {
                format!("There is no tool `{name}`. Did you mean `{near}`? tool_search finds tools by what they do.")
            }
            None => format!("There is no tool `{name}`. tool_search finds tools by what they do."),
        }
    }

    /// Does what is no caller's call: founding a tenant, filling a demonstration, making a token on the command line.
    ///
    /// It passes no right and leaves no action log, since it is no one's action and nothing takes it back. All cached
    /// rights are void afterwards. It cannot send anything out.
    pub async fn as_system<T>(
        self: &Arc<Self>,
        tenant_id: Uuid,
        organization: Option<Uuid>,
        label: &str,
        work: impl for<'a> FnOnce(&'a mut Ctx) -> BoxFuture<'a, Result<T>> + Send,
    ) -> Result<T> {
        let mut tx = self.db.write().await?;
        tx.enter(tenant_id).await?;
        let principal = Arc::new(Principal {
            tenant_id,
            user_id: None,
            label: label.to_owned(),
            credential: Credential::LocalOwner,
            ancestry: Vec::new(),
            features: vec!["*".to_owned()],
            narrowing: Narrowing::default(),
            organizations: None,
            organization_id: organization,
            has_write_budget: false,
            expires_at: None,
            epoch: 0,
            cached: std::sync::OnceLock::new(),
        });
        let mut ctx = Ctx {
            bureau: self.clone(),
            principal,
            selection: Selection::default(),
            origin: Origin { transport: "system", client: None },
            now: self.clock.now(),
            tx,
            writes: true,
            target: None,
            expected_version: None,
            redoes: None,
            changes: Vec::new(),
            effects: Vec::new(),
        };
        let outcome = match work(&mut ctx).await {
            Ok(_) if !ctx.effects.is_empty() => Err(Error::internal("work of the system tried to send something out")),
            outcome => outcome,
        };
        match outcome {
            Ok(done) => {
                crate::access::bump_epoch(&mut ctx.tx).await?;
                ctx.tx.commit().await?;
                Ok(done)
            }
            Err(error) => {
                ctx.tx.rollback().await?;
                Err(error)
            }
        }
    }

    fn ctx(self: &Arc<Self>, tool: &Tool, call: &Call, principal: Arc<Principal>, tx: Tx, reserved: &Reserved) -> Ctx {
        Ctx {
            bureau: self.clone(),
            principal,
            selection: call.selection.clone(),
            origin: call.origin.clone(),
            now: self.clock.now(),
            tx,
            writes: tool.writes(),
            target: tool.target,
            expected_version: reserved.expected_version,
            redoes: None,
            changes: Vec::new(),
            effects: Vec::new(),
        }
    }

    async fn read(self: &Arc<Self>, tool: &Tool, mut call: Call, principal: Arc<Principal>, tx: Tx) -> Result<Vec<u8>> {
        let prepared = match (tool.prepare)(std::mem::take(&mut call.arguments)) {
            Ok(prepared) => prepared,
            Err(error) => {
                tx.rollback().await?;
                return Err(error);
            }
        };
        let mut ctx = self.ctx(tool, &call, principal, tx, &Reserved::default());
        let outcome = guarded(tool, prepared, &mut ctx).await;
        ctx.tx.commit().await?;
        outcome
    }

    /// Runs on a task of its own: a client that hangs up cannot part a commit from its answer.
    async fn write(
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
                        tracing::debug!(tool = tool.name, attempt, %error, "running a call again");
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
        prepared: crate::tool::Prepared,
    ) -> Result<Vec<u8>> {
        // 5. transaction
        let mut tx = self.db.write().await?;
        tx.enter(principal.tenant_id).await?;
        let mut ctx = self.ctx(tool, call, principal, tx, reserved);
        match carry_out(&mut ctx, tool, call, reserved, prepared).await {
            // 8. commit, or roll back
            Ok(Finished { body, keep: true }) => {
                ctx.tx.commit().await?;
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
    prepared: crate::tool::Prepared,
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
    if reserved.dry_run {
        let effects: Vec<Value> = ctx
            .effects
            .iter()
            .map(|effect| json!({"kind": effect.kind, "undoable": false, "payload": effect.payload}))
            .collect();
        let preview = json!({"dry_run": true, "changes": ctx.preview(), "outside_effects": effects}).to_string();
        let members = preview.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        return Ok(Finished { body: spliced(body, members), keep: false });
    }
    // 7. journal
    let undoable = !ctx.changes.is_empty() && tool.irreversible.is_none() && ctx.effects.is_empty();
    let action = journal::write(ctx, tool, undoable).await?;
    // 9. answer
    let body = if undoable { spliced(body, &format!("\"undo_token\":\"{action}\"")) } else { body };
    if let (Some(key), Some(digest)) = (&reserved.idempotency_key, &digest) {
        store_answer(ctx, key, digest, &storable(tool, &body)?).await?;
    }
    tracing::debug!(tool = tool.name, tenant = %ctx.principal.tenant_id, actor = ctx.principal.label, %action, "done");
    Ok(Finished { body, keep: true })
}

impl Ctx {
    /// Carries out another tool inside this call, in a savepoint of its own: its failure takes back only itself.
    /// For batches. The tool passes the same checks as a direct call.
    pub async fn nested(&mut self, name: &str, mut arguments: Map<String, Value>) -> Result<Value> {
        let bureau = self.bureau.clone();
        let mut call = Call {
            tool: name.to_owned(),
            arguments: std::mem::take(&mut arguments),
            shown: None,
            selection: self.selection.clone(),
            origin: self.origin.clone(),
        };
        let entry = bureau.entry_for(&mut call).map_err(|refusal| match refusal {
            Refusal::UnknownTool(text) => Error::invalid("/tool", text),
            Refusal::Error(error, _) => error,
        })?;
        let tool = &entry.tool;
        if tool.name == crate::batch::NAME {
            return Err(Error::invalid("/tool", "a batch cannot hold a batch"));
        }
        admit(&self.principal, &self.selection, entry)?;
        let reserved = take_reserved(tool, &mut call.arguments)?;
        if reserved.dry_run || reserved.idempotency_key.is_some() {
            return Err(Error::validation(
                "dry_run and idempotency_key belong to the batch as a whole, not to a call in it.",
            ));
        }
        if let Some(why) = tool.irreversible.filter(|_| self.writes) {
            return Err(Error::impossible_state(format!(
                "{} cannot be part of a batch, since a batch can be undone: {why}.",
                tool.name
            )));
        }
        let prepared = (tool.prepare)(call.arguments)?;
        let (target, expected) = (self.target, self.expected_version);
        (self.target, self.expected_version) = (tool.target, reserved.expected_version);
        let (changes, effects) = (self.changes.len(), self.effects.len());
        self.tx.script("SAVEPOINT bureau_step").await?;
        let outcome = guarded(tool, prepared, self).await;
        (self.target, self.expected_version) = (target, expected);
        match outcome {
            Ok(body) => {
                self.tx.script("RELEASE SAVEPOINT bureau_step").await?;
                serde_json::from_slice(&body).map_err(Error::internal)
            }
            Err(error) => {
                self.tx.script("ROLLBACK TO SAVEPOINT bureau_step").await?;
                self.changes.truncate(changes);
                self.effects.truncate(effects);
                Err(error)
            }
        }
    }
}

/// Why a call was not carried out.
enum Refusal {
    UnknownTool(String),
    Error(Error, Option<crate::tool::ErrorShape>),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error, None)
    }
}

/// Whether the credential of the connection may be replaced by this session for one call: the same person or key, or
/// a session minted from it.
fn may_act_as(connected: &Principal, named: &Principal) -> bool {
    if connected.tenant_id != named.tenant_id {
        return false;
    }
    let minted = match &connected.credential {
        Credential::Session(id) | Credential::ApiKey(id) => {
            named.credential == connected.credential || named.ancestry.contains(id)
        }
        Credential::LocalOwner => true,
    };
    // The same user with another token would be a way around what the connection's token was narrowed to.
    minted
        || (connected.narrowing == crate::rights::Narrowing::default()
            && connected.user_id.is_some()
            && connected.user_id == named.user_id)
}

fn admit(principal: &Principal, selection: &Selection, entry: &Entry) -> Result<()> {
    let tool = &entry.tool;
    if let Some(why) = selection.refusal(entry) {
        return Err(Error::forbidden(format!("{} cannot be used: {why}.", tool.name)));
    }
    if !principal.may(&tool.rights) {
        let rights = tool.rights.join(" or ");
        let held = tool.rights.iter().any(|right| principal.holds(right));
        let why = if held { "your token was narrowed below it" } else { "you do not hold it" };
        return Err(Error::forbidden(format!(
            "{} needs the right {rights}, and {why}. Ask an administrator, or see permission_explain.",
            tool.name
        ))
        .with("missing", rights));
    }
    if principal.narrowing.read_only && tool.writes() {
        return Err(
            Error::forbidden(format!("{} writes, and your token is read-only.", tool.name)).with("missing", "write")
        );
    }
    if entry.toolset != DISCOVERY && !principal.may_use_toolset(entry.toolset) {
        return Err(Error::forbidden(format!(
            "{} is of the toolset {}, which your token leaves out.",
            tool.name, entry.toolset
        ))
        .with("missing", format!("toolset {}", entry.toolset)));
    }
    Ok(())
}

/// The executor that may carry out a tool of this danger.
pub(crate) fn executor_for(danger: Danger) -> &'static str {
    match danger {
        Danger::Read => "tool_call_read",
        Danger::Write => "tool_call_write",
        Danger::Destructive => "tool_call_destructive",
    }
}

/// `name` and `arguments` out of an executor's own arguments.
fn executed(arguments: &mut Map<String, Value>) -> Result<(String, Map<String, Value>)> {
    let Some(Value::String(name)) = arguments.shift_remove("name") else {
        return Err(Error::invalid("/name", "is required: the tool to carry out, as tool_search names it"));
    };
    let inner = match arguments.shift_remove("arguments") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(inner)) => inner,
        // Some clients send nested objects as text.
        Some(Value::String(text)) => serde_json::from_str(&text)
            .map_err(|_| Error::invalid("/arguments", "expected an object with the tool's arguments"))?,
        Some(_) => return Err(Error::invalid("/arguments", "expected an object with the tool's arguments")),
    };
    if let Some(extra) = arguments.keys().next() {
        return Err(Error::invalid(
            format!("/{extra}"),
            "unknown argument; put the tool's own arguments into `arguments`",
        ));
    }
    Ok((name, inner))
}

/// Takes the gate's own arguments off, and refuses those that mean nothing to this tool.
fn take_reserved(tool: &Tool, arguments: &mut Map<String, Value>) -> Result<Reserved> {
    let mut reserved = Reserved::default();
    for (name, applies) in
        [("dry_run", tool.writes()), ("idempotency_key", tool.writes()), ("expected_version", tool.takes_version())]
    {
        let Some(value) = arguments.shift_remove(name) else { continue };
        if value.is_null() {
            continue;
        }
        if !applies {
            let why = if tool.writes() { "this tool acts on no single record" } else { "this tool changes nothing" };
            return Err(Error::invalid(format!("/{name}"), format!("does not apply: {why}")));
        }
        let wrong = |expected: &str| Error::invalid(format!("/{name}"), format!("expected {expected}"));
        match (name, &value) {
            ("dry_run", Value::Bool(flag)) => reserved.dry_run = *flag,
            ("dry_run", Value::String(flag)) if flag == "true" || flag == "false" => reserved.dry_run = flag == "true",
            ("dry_run", _) => return Err(wrong("true or false")),
            ("idempotency_key", Value::String(key)) if !key.is_empty() && key.chars().count() <= 255 => {
                reserved.idempotency_key = Some(key.clone());
            }
            ("idempotency_key", _) => return Err(wrong("text of 1 to 255 characters")),
            (_, version) => {
                let number = version.as_i64().or_else(|| version.as_str().and_then(|text| text.parse().ok()));
                reserved.expected_version = Some(
                    number.filter(|number| *number > 0).ok_or_else(|| wrong("the record's version, a whole number"))?,
                );
            }
        }
    }
    Ok(reserved)
}

/// Runs a handler so that a panic in it becomes an error, and it ends at the call's time limit.
async fn guarded(tool: &Tool, prepared: crate::tool::Prepared, ctx: &mut Ctx) -> Result<Vec<u8>> {
    // Inside the future already: a handler that is no async function may panic before it answers one.
    let future = async { prepared(ctx).await };
    let limited = tokio::time::timeout(Duration::from_secs(CALL_LIMIT_SECONDS), CatchPanic(Box::pin(future)));
    match limited.await {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Err(Error::internal(format!("the handler of {} panicked", tool.name))),
        Err(_) => Err(Error::rate_limited(format!(
            "The call took longer than {CALL_LIMIT_SECONDS} seconds and was stopped. Nothing was changed; ask for less at once."
        ))),
    }
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
pub(crate) fn spliced(mut body: Vec<u8>, members: &str) -> Vec<u8> {
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
async fn spend_write(ctx: &mut Ctx) -> Result<()> {
    let Credential::Session(session) = ctx.principal.credential else { return Ok(()) };
    if !ctx.principal.has_write_budget {
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

fn digest(tool: &str, arguments: &Map<String, Value>, reserved: &Reserved) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut part = |text: Cow<'_, str>| {
        hasher.update(text.as_bytes());
        hasher.update([0]);
    };
    part(tool.into());
    part(canonical(&Value::Object(arguments.clone())).to_string().into());
    part(format!("{} {:?}", reserved.dry_run, reserved.expected_version).into());
    hasher.finalize().into()
}

/// The same value with all keys sorted: the order in which a client writes them has no meaning.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            Value::Object(members.into_iter().map(|(key, value)| (key.clone(), canonical(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        other => other.clone(),
    }
}

async fn stored_answer(ctx: &mut Ctx, key: &str, digest: &[u8; 32]) -> Result<Option<String>> {
    let sql = Sql::with(
        "SELECT digest, answer FROM idempotency_keys WHERE tenant_id = $1 AND actor_id = $2 AND key = $3 AND created_at > $4",
        [
            ctx.principal.tenant_id.into(),
            ctx.principal.actor_id().into(),
            key.into(),
            ctx.now.plus_minutes(KEY_HOURS.saturating_mul(-60)).into(),
        ],
    );
    let rows = ctx.tx.query(&sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    if row.get::<Vec<u8>>(0)? != digest {
        return Err(Error::conflict(
            "This idempotency_key was used with another input. Use a new key for a new call; repeat a call with exactly its first input.",
        ));
    }
    row.get(1).map(Some)
}

/// What a repeated call is told in place of a secret.
pub const SHOWN_ONCE: &str = "(shown once, to the first call)";

/// An answer as it may be stored: without the secret it holds.
fn storable<'a>(tool: &Tool, body: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    let Some(field) = tool.shown_once else { return Ok(Cow::Borrowed(body)) };
    let mut answer: Map<String, Value> = serde_json::from_slice(body).map_err(Error::internal)?;
    answer.insert(field.to_owned(), Value::String(SHOWN_ONCE.to_owned()));
    serde_json::to_vec(&answer).map(Cow::Owned).map_err(Error::internal)
}

async fn store_answer(ctx: &mut Ctx, key: &str, digest: &[u8; 32], body: &[u8]) -> Result<()> {
    let (tenant, actor): (Uuid, Uuid) = (ctx.principal.tenant_id, ctx.principal.actor_id());
    let expired = Sql::with(
        "DELETE FROM idempotency_keys WHERE created_at <= $1",
        [ctx.now.plus_minutes(KEY_HOURS.saturating_mul(-60)).into()],
    );
    ctx.tx.execute(&expired).await?;
    let sql = Sql::with(
        "INSERT INTO idempotency_keys (tenant_id, actor_id, key, digest, answer, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        [
            tenant.into(),
            actor.into(),
            key.into(),
            Val::Bytes(digest.to_vec()),
            Val::Text(String::from_utf8_lossy(body).into_owned()),
            ctx.now.into(),
        ],
    );
    // Someone stored the same key since we looked: the next attempt finds their answer.
    ctx.tx.execute(&sql).await.map(drop).map_err(|error| match error.code() {
        Code::Conflict => Error::retryable(error),
        _ => error,
    })
}
