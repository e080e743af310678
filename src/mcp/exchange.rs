//! One request while it is being answered: telling its client how it goes, and asking it for more.
//!
//! Both protocol generations look the same from here. A handshake client is asked on the open stream and the answer is
//! awaited; a stateless one gets `input_required` as the result, and makes its request again with the answers.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bureau_kit::deferred::Deferral;
use bureau_kit::dialogue::{Listener, LogLevel, Question, Reply};
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::{Map, Value, json};

use super::Service;
use super::era::{Capabilities, MISSING_CAPABILITY};
use super::sealed::{self, Opened, Subject};
use super::session::Outlet;
use super::tasks::{self, Deferrals, Task};
use crate::rpc::{Caller, Era, INTERNAL_ERROR, INVALID_PARAMS, error};

/// Something to be obtained from the client.
#[derive(Debug, Clone, PartialEq)]
pub struct InputRequest {
    /// `elicitation/create`, `sampling/createMessage` or `roots/list`.
    pub method: &'static str,
    /// Its parameters.
    pub params: Value,
}

impl InputRequest {
    /// A form for a person.
    pub fn form(message: &str, schema: Value) -> Self {
        Self {
            method: "elicitation/create",
            params: json!({"mode": "form", "message": message, "requestedSchema": schema}),
        }
    }

    /// A question to the client's model.
    pub fn sampling(prompt: &str, max_tokens: u32) -> Self {
        let message = json!({"role": "user", "content": {"type": "text", "text": prompt}});
        Self { method: "sampling/createMessage", params: json!({"messages": [message], "maxTokens": max_tokens}) }
    }

    /// The client's roots.
    pub fn roots() -> Self {
        Self { method: "roots/list", params: json!({}) }
    }

    /// As clients see it.
    pub(super) fn to_json(&self) -> Value {
        json!({"method": self.method, "params": self.params})
    }

    /// One that was written down.
    pub(super) fn from_json(stored: &Value) -> Option<Self> {
        let method = stored.get("method").and_then(Value::as_str)?;
        let known = ["elicitation/create", "sampling/createMessage", "roots/list"];
        let method = known.into_iter().find(|known| *known == method)?;
        Some(Self { method, params: stored.get("params").cloned().unwrap_or_default() })
    }

    /// The capability a client must have declared for it.
    fn capability(&self) -> &'static str {
        match self.method {
            "elicitation/create" => "elicitation",
            "sampling/createMessage" => "sampling",
            _ => "roots",
        }
    }

    /// Whether the client can be asked this.
    pub fn is_possible(&self, capabilities: Capabilities) -> bool {
        match self.capability() {
            "elicitation" => capabilities.elicitation,
            "sampling" => capabilities.sampling,
            _ => capabilities.roots,
        }
    }

    /// Whether an answer has the shape that was asked for. What has not is asked for again.
    pub(super) fn fits(&self, answer: &Value) -> bool {
        match self.capability() {
            "elicitation" => match answer.get("action").and_then(Value::as_str) {
                Some("decline" | "cancel") => true,
                Some("accept") => self.form_fits(answer.get("content")),
                _ => false,
            },
            "sampling" => answer.get("content").is_some_and(|content| content.is_object() || content.is_array()),
            _ => answer.get("roots").is_some_and(Value::is_array),
        }
    }

    fn form_fits(&self, content: Option<&Value>) -> bool {
        let empty = Map::new();
        let content = match content {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(content)) => content,
            Some(_) => return false,
        };
        let schema = self.params.get("requestedSchema");
        let member = |name: &str| schema.and_then(|schema| schema.get(name));
        let required = member("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        if required.into_iter().any(|name| content.get(name).is_none_or(Value::is_null)) {
            return false;
        }
        let properties = member("properties").and_then(Value::as_object).unwrap_or(&empty);
        content.iter().all(|(name, value)| {
            let kind = properties.get(name).and_then(|property| property.get("type")).and_then(Value::as_str);
            match kind {
                Some("string") => value.is_string(),
                Some("integer") => value.is_i64() || value.is_u64(),
                Some("number") => value.is_number(),
                Some("boolean") => value.is_boolean(),
                Some("array") => value.is_array(),
                // Not asked for: ignored, as clients may add to a form.
                _ => true,
            }
        })
    }
}

/// Why a request is not answered yet, or not at all.
#[derive(Debug, Clone)]
pub enum Pause {
    /// The result that asks a stateless client for more.
    InputRequired(Value),
    /// An error.
    Refused(ErrorObjectOwned),
}

impl From<ErrorObjectOwned> for Pause {
    fn from(cause: ErrorObjectOwned) -> Self {
        Self::Refused(cause)
    }
}

/// One request while it is being answered.
#[derive(Debug)]
pub struct Exchange {
    caller: Arc<Caller>,
    /// Where messages go beside the answer, until it is given.
    outlet: Mutex<Option<Outlet>>,
    service: Arc<Service>,
    method: &'static str,
    /// The parameters as sent; looked at again only when something is to be sealed.
    params: Value,
    opened: Mutex<Opened>,
    /// Answers that came with this very request, not yet matched with what is asked.
    fresh: Map<String, Value>,
    /// Whether they came with a state of ours, so that they were asked for.
    asked: bool,
    told: Mutex<Option<f64>>,
    /// Where to ask for the record of a task, when the request may become one.
    deferrals: OnceLock<Deferrals>,
    /// The task that the request has become.
    task: OnceLock<Arc<Task>>,
}

impl Exchange {
    /// The exchange of a request, with the answers that it brings along.
    pub(super) async fn begin(
        service: &Arc<Service>,
        caller: &Arc<Caller>,
        method: &'static str,
        params: &str,
    ) -> Result<Arc<Self>, ErrorObjectOwned> {
        let (mut caller, outlet) = (caller.clone(), caller.outlet.clone());
        if Self::takes_tasks(&caller) {
            // A task outlives the connection: it must not hold on to it.
            caller = Arc::new(Caller { outlet: None, ..Caller::clone(&caller) });
        }
        let mut exchange = Self {
            caller: caller.clone(),
            outlet: Mutex::new(outlet),
            service: service.clone(),
            method,
            params: Value::Null,
            opened: Mutex::default(),
            fresh: Map::new(),
            asked: false,
            told: Mutex::default(),
            deferrals: OnceLock::new(),
            task: OnceLock::new(),
        };
        if exchange.can_ask() || params.contains("\"requestState\"") {
            exchange.params = serde_json::from_str(params).map_err(|cause| error(INVALID_PARAMS, cause.to_string()))?;
        }
        let state = exchange.params.get("requestState").cloned();
        if let (Era::Stateless, Some(state)) = (caller.era, state) {
            let opened = match state.as_str() {
                Some(state) => {
                    let (key, subject) = exchange.sealing().await?;
                    sealed::open(&key, &subject, state, service.now())
                }
                None => None,
            };
            let opened = opened.ok_or_else(|| {
                error(INVALID_PARAMS, "`requestState` is not one that this request got from here, or it is too old. Make the request anew, without it.")
            })?;
            exchange.opened = Mutex::new(opened);
            exchange.asked = true;
        }
        if let (Era::Stateless, Some(Value::Object(fresh))) = (caller.era, exchange.params.get("inputResponses")) {
            exchange.fresh = fresh.clone();
        }
        Ok(Arc::new(exchange))
    }

    async fn sealing(&self) -> Result<([u8; 32], Subject), ErrorObjectOwned> {
        let internal = |cause: bureau_kit::error::Error| {
            tracing::error!(%cause, "a request state could not be sealed or opened");
            error(INTERNAL_ERROR, "Bureau could not ask for what this request needs. Try again.")
        };
        let principal = match &self.caller.shown {
            Some(shown) => {
                let principal = self
                    .service
                    .bureau
                    .principal_at(shown, self.caller.origin.address)
                    .await
                    .map_err(|cause| super::protocol_error(&cause))?;
                (principal.tenant_id, principal.actor_id())
            }
            None => Default::default(),
        };
        let key = self.service.sealing_key().await.map_err(internal)?;
        Ok((key, Subject::new(principal, self.method, &self.params)))
    }

    /// What all requests share. A tool that changes what lists show says so here, with
    /// `exchange.service().announce(News::ToolsChanged)`.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Who calls.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    fn outlet(&self) -> Option<Outlet> {
        self.outlet.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether anybody hears how the request goes.
    pub(super) fn is_heard(&self) -> bool {
        self.task.get().is_some() || self.outlet().is_some()
    }

    /// Whether a client takes a task in place of an answer.
    pub(super) fn takes_tasks(caller: &Caller) -> bool {
        caller.era == Era::Stateless && caller.capabilities.tasks
    }

    /// Lets the request become a task.
    pub(super) fn may_defer(&self, deferrals: Deferrals) {
        let _ = self.deferrals.set(deferrals);
    }

    /// How the gate keeps the answer, when the request has become a task.
    pub(super) fn deferral(&self) -> Option<Deferral> {
        self.task.get().map(|task| task.deferral())
    }

    /// Refuses clients that take no tasks. For tools that make no sense without; at their beginning.
    pub fn require_tasks(&self) -> Result<(), Pause> {
        if Self::takes_tasks(&self.caller) { Ok(()) } else { Err(tasks::missing_extension().into()) }
    }

    /// Makes the request a task, where its client takes one: it is answered at once, and what the tool answers is fetched
    /// later. Otherwise all stays as it is. See the [tasks extension](super::tasks).
    pub async fn defer(&self) -> Result<(), Pause> {
        let (Some(deferrals), None) = (self.deferrals.get(), self.task.get()) else { return Ok(()) };
        let (wish, task) = tokio::sync::oneshot::channel();
        let _ = deferrals.send(wish).await;
        let task = task.await.map_err(|_| error(INTERNAL_ERROR, "the request has ended"))??;
        *self.outlet.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let _ = self.task.set(task);
        Ok(())
    }

    /// Whether the client can be asked anything at all, here and now.
    fn can_ask(&self) -> bool {
        let capable = self.caller.capabilities.can_be_asked();
        match self.caller.era {
            Era::Stateless => capable,
            Era::Handshake => capable && self.caller.session.is_some() && self.outlet().is_some(),
        }
    }

    /// Whether a person can be shown a form.
    pub fn can_elicit(&self) -> bool {
        self.can_ask() && self.caller.capabilities.elicitation
    }

    /// Tells how far the request has come. Numbers that do not grow are left out: the protocol wants them to.
    pub fn progress(&self, done: f64, total: Option<f64>, message: Option<&str>) {
        if let Some(task) = self.task.get() {
            let message = message.unwrap_or("working");
            return task.tell(match total {
                Some(total) => format!("{message} ({} of {})", number(done), number(total)),
                None => message.to_owned(),
            });
        }
        let (Some(token), Some(outlet)) = (&self.caller.progress_token, self.outlet()) else { return };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|told| done <= told) {
            return;
        }
        *told = Some(done);
        let token: Value = serde_json::from_str(token).unwrap_or_default();
        let mut params = json!({"progressToken": token, "progress": number(done)});
        if let Some(params) = params.as_object_mut() {
            if let Some(total) = total {
                params.insert("total".into(), number(total));
            }
            if let Some(message) = message {
                params.insert("message".into(), json!(message));
            }
        }
        outlet.tell(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}));
    }

    /// Tells the client something, where it wants to hear of things that grave.
    pub fn log(&self, level: LogLevel, data: Value) {
        let wanted = self.caller.log_level.is_some_and(|threshold| level >= threshold);
        if let (true, Some(outlet)) = (wanted, self.outlet()) {
            let params = json!({"level": level.name(), "logger": "bureau", "data": data});
            outlet.tell(&json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params}));
        }
    }

    /// Closes the connection of a resumable stream while the request goes on; its client comes back for the rest.
    pub fn close_stream(&self) {
        let polls = self.caller.session.as_ref().is_some_and(|session| session.polls());
        if let (Some(Outlet::Stream(stream)), true) = (self.outlet(), polls) {
            stream.displace_reader();
        }
    }

    /// An answer that the client gave along without having been asked for it, if it fits. Only for questions on which
    /// nothing hangs: [`Self::ask`] takes none but those it has asked for.
    pub fn volunteered(&self, key: &str, input: &InputRequest) -> Option<Value> {
        self.fresh.get(key).filter(|answer| input.fits(answer)).cloned()
    }

    /// Obtains what is named from the client: the answers by their keys.
    ///
    /// Each is asked once: in a later call of the same request its answer is there already.
    pub async fn ask(&self, wanted: &[(&str, InputRequest)]) -> Result<Map<String, Value>, Pause> {
        for (_, input) in wanted {
            if !input.is_possible(self.caller.capabilities) {
                return Err(missing_capability(input.capability()).into());
            }
        }
        if !self.can_ask() {
            return Err(error(
                INVALID_PARAMS,
                "this needs an answer of the client, and its transport cannot ask for one; open a session first",
            )
            .into());
        }
        let mut known = self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (key, input) in wanted {
            // Only what was asked for counts: answers without a state of ours answer nothing.
            if let Some(answer) = self.volunteered(key, input).filter(|_| self.asked) {
                known.answers.entry(*key).or_insert(answer);
            }
        }
        let open: Vec<_> = wanted.iter().filter(|(key, _)| !known.answers.contains_key(*key)).collect();
        if let (false, Some(task)) = (open.is_empty(), self.task.get()) {
            return task.ask(&self.service, &open).await.map(|answers| {
                known.answers.extend(answers);
                *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = known.clone();
                known.answers
            });
        }
        if !open.is_empty() && self.caller.era == Era::Stateless {
            return Err(self.input_required(&open, &known).await?);
        }
        for (key, input) in open {
            let (Some(session), Some(outlet)) = (&self.caller.session, self.outlet()) else { continue };
            let answer = session.request(&outlet, input.method, input.params.clone()).await;
            let answer =
                answer.map_err(|cause| error(INTERNAL_ERROR, format!("{} came to nothing: {cause}", input.method)))?;
            if !input.fits(&answer) {
                return Err(error(
                    INTERNAL_ERROR,
                    format!("the answer to {} does not fit what was asked", input.method),
                )
                .into());
            }
            known.answers.insert((*key).to_owned(), answer);
        }
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = known.clone();
        Ok(known.answers)
    }

    async fn input_required(&self, open: &[&(&str, InputRequest)], known: &Opened) -> Result<Pause, ErrorObjectOwned> {
        let requests: Map<String, Value> =
            open.iter().map(|(key, input)| ((*key).to_owned(), input.to_json())).collect();
        let (key, subject) = self.sealing().await?;
        let state = sealed::seal(&key, &subject, known, self.service.now())
            .ok_or_else(|| error(INTERNAL_ERROR, "the state of the request could not be written down"))?;
        Ok(Pause::InputRequired(
            json!({"resultType": "input_required", "inputRequests": requests, "requestState": state}),
        ))
    }

    /// Puts a tool's question to the person behind the client.
    pub(super) async fn put(&self, question: &Question) -> Result<Reply, Pause> {
        let form = InputRequest::form(&question.message, question.schema());
        let answers = self.ask(&[(&question.key, form)]).await?;
        let answer = answers.get(&question.key);
        let member = |name: &str| answer.and_then(|answer| answer.get(name));
        Ok(match member("action").and_then(Value::as_str) {
            Some("accept") => {
                Reply::Accepted(member("content").and_then(Value::as_object).cloned().unwrap_or_default())
            }
            Some("decline") => Reply::Declined,
            _ => Reply::Cancelled,
        })
    }
}

impl Listener for Exchange {
    fn progress(&self, done: u64, total: Option<u64>, message: &str) {
        // Whole numbers of this size are exact in a double.
        let exact = |number: u64| u32::try_from(number).map_or(f64::from(u32::MAX), f64::from);
        Exchange::progress(self, exact(done), total.map(exact), Some(message));
    }

    fn log(&self, level: LogLevel, data: Value) {
        Exchange::log(self, level, data);
    }
}

/// Whole numbers without a fraction, as clients show them.
fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "the value was just found to be whole and small")]
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

/// The error for a request that needs what its client did not declare.
fn missing_capability(name: &str) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(
        MISSING_CAPABILITY,
        format!("This needs the client capability `{name}`, which the client did not declare"),
        Some(json!({"requiredCapabilities": {name: {}}})),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_must_fit_what_was_asked() {
        let schema = json!({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["name"]});
        let form = InputRequest::form("Who?", schema);
        for (answer, fits) in [
            (json!({"action": "accept", "content": {"name": "Ada"}}), true),
            (json!({"action": "accept", "content": {"name": "Ada", "age": 3, "more": []}}), true),
            (json!({"action": "decline"}), true),
            (json!({"action": "cancel"}), true),
            (json!({"action": "accept"}), false),
            (json!({"action": "accept", "content": {"name": 1}}), false),
            (json!({"action": "accept", "content": {"name": "Ada", "age": 1.5}}), false),
            (json!({"action": "accept", "content": []}), false),
            (json!({"action": "maybe", "content": {"name": "Ada"}}), false),
            (json!("accept"), false),
            (Value::Null, false),
        ] {
            assert_eq!(form.fits(&answer), fits, "{answer}");
        }
        assert!(
            InputRequest::form("Sure?", json!({"type": "object", "properties": {}})).fits(&json!({"action": "accept"}))
        );
        assert!(InputRequest::roots().fits(&json!({"roots": []})));
        assert!(!InputRequest::roots().fits(&json!({})));
        assert!(
            InputRequest::sampling("?", 1)
                .fits(&json!({"role": "assistant", "content": {"type": "text", "text": "!"}}))
        );
    }
}
