//! A tool: one list entry, one input struct, one plain function.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::args::snake_case;
use crate::ctx::Ctx;
use crate::db::CALL_LIMIT_SECONDS;
use crate::error::{Error, FieldError, Result};
use crate::gate::Outside;
use crate::schema;
use crate::table::Table;

/// A boxed future that borrows for `'a`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a call does to the records. Annotations, read-only mode, transaction and journal follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Adds a record.
    Create,
    /// Changes records.
    Update,
    /// Removes records.
    Delete,
    /// Carries out a step of the business.
    Action,
}

/// What kind of call an executor may carry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Danger {
    /// Reads.
    Read,
    /// Writes that take nothing away.
    Write,
    /// Writes that remove or overwrite what cannot be had again except by undo.
    Destructive,
}

/// How an executor is told which tool to carry out, and which it may.
#[derive(Debug, Clone, Copy)]
pub struct Executes {
    /// Tools of these dangers.
    pub dangers: &'static [Danger],
    /// What its argument with the tool's name may be called; the first is in its schema.
    pub name: &'static [&'static str],
    /// The same for the one with the tool's own arguments.
    pub arguments: &'static [&'static str],
    /// Whether reserved arguments may stand beside the tool's own, and the tool's answer stands in `result`.
    pub enveloped: bool,
}

/// An async function over the context and a typed input. Implemented for every such function.
#[diagnostic::on_unimplemented(
    message = "this is not a handler",
    label = "write it as `async fn name(ctx: &mut Ctx, input: Input) -> Result<Output>`"
)]
pub trait Handler<'a, I, O>: Send + Sync {
    /// The future of one call.
    type Future: Future<Output = Result<O>> + Send + 'a;
    /// Starts a call.
    fn handle(&self, ctx: &'a mut Ctx, input: I) -> Self::Future;
}

impl<'a, I, O, F, Fut> Handler<'a, I, O> for F
where
    F: Fn(&'a mut Ctx, I) -> Fut + Send + Sync,
    Fut: Future<Output = Result<O>> + Send + 'a,
{
    type Future = Fut;
    fn handle(&self, ctx: &'a mut Ctx, input: I) -> Fut {
        self(ctx, input)
    }
}

/// A finished answer of the shape `T`.
#[derive(Debug)]
pub struct Body<T> {
    json: Vec<u8>,
    shape: PhantomData<fn() -> T>,
}

impl<T> Body<T> {
    pub(crate) fn new(json: Vec<u8>) -> Self {
        Self { json, shape: PhantomData }
    }
}

/// A call whose input has been decoded: ready to run inside a transaction.
pub(crate) type Prepared = Box<dyn for<'a> FnOnce(&'a mut Ctx) -> BoxFuture<'a, Result<Vec<u8>>> + Send>;
/// Decodes arguments and binds them to the handler.
pub(crate) type Prepare = Arc<dyn Fn(Map<String, Value>) -> Result<Prepared> + Send + Sync>;
/// Work with its input, of a tool that reaches outside while no transaction is open.
pub(crate) type OutsideWork = Box<dyn FnOnce(Outside) -> BoxFuture<'static, Result<Vec<u8>>> + Send>;
/// Decodes arguments and binds them to such work.
pub(crate) type PrepareOutside = Arc<dyn Fn(Map<String, Value>) -> Result<OutsideWork> + Send + Sync>;
/// A source system's own form of an error.
pub(crate) type ErrorShape = fn(&Error) -> Map<String, Value>;

/// How long a call of a tool may run that waits for a service outside.
pub const OUTSIDE_LIMIT: Duration = Duration::from_secs(5 * 60);
/// How long a call of a tool that is [long](Tool::long) may run.
pub const LONG_LIMIT: Duration = Duration::from_secs(60 * 60);

/// Everything the server knows of one operation.
#[derive(Clone)]
pub struct Tool {
    /// Its name: `noun_verb`.
    pub name: &'static str,
    /// Its title for people.
    pub title: &'static str,
    /// Its description for a model that chooses among hundreds.
    pub about: String,
    /// What it does.
    pub effect: Effect,
    /// Any of these rights allows it; none are needed when empty.
    pub rights: Vec<&'static str>,
    /// Names accepted in a call and never listed.
    pub aliases: Vec<&'static str>,
    /// Words by which people look for it, in any language, beside its own texts.
    pub synonyms: &'static str,
    /// The record it acts on: `expected_version` is checked against it, and the action log names it.
    pub target: Option<&'static Table>,
    /// Repeating it changes nothing more.
    pub idempotent: bool,
    /// Reaches outside Bureau.
    pub open_world: bool,
    /// Overwrites or removes.
    pub destructive: bool,
    /// Why undo cannot take it back.
    pub irreversible: Option<&'static str>,
    /// The field of its answer that is a secret, shown to the first caller only: a repeated answer leaves it out.
    pub shown_once: Option<&'static str>,
    /// May run for as long as [`LONG_LIMIT`]: callers may have it answered later.
    pub long: bool,
    /// Needs no credential: signing in, and what comes before it.
    pub public: bool,
    /// Trying it tells nothing of what it would change.
    pub silent: bool,
    /// Carries out another tool instead of doing something itself.
    pub(crate) executes: Option<Executes>,
    /// Works without a transaction: it waits for a service outside, and reaches records by calls of other tools.
    pub(crate) outside: Option<PrepareOutside>,
    pub(crate) error_shape: Option<ErrorShape>,
    pub(crate) input: fn(&Tool) -> Value,
    pub(crate) output: fn(&Tool) -> Value,
    pub(crate) table: Option<&'static Table>,
    pub(crate) prepare: Prepare,
}

impl std::fmt::Debug for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tool")
            .field("name", &self.name)
            .field("effect", &self.effect)
            .field("rights", &self.rights)
            .finish()
    }
}

impl Tool {
    /// A tool that changes nothing.
    pub fn read<I, O, H>(name: &'static str, right: &'static str, handler: H) -> Self
    where
        I: DeserializeOwned + JsonSchema + Send + 'static,
        O: Serialize + JsonSchema + 'static,
        H: for<'a> Handler<'a, I, O> + 'static,
    {
        Self::typed(name, Effect::Read, right, handler)
    }

    /// A tool that changes nothing and has written its answer itself, as long lists do.
    pub fn read_body<I, T, H>(name: &'static str, right: &'static str, handler: H) -> Self
    where
        I: DeserializeOwned + JsonSchema + Send + 'static,
        T: JsonSchema + 'static,
        H: for<'a> Handler<'a, I, Body<T>> + 'static,
    {
        let handler = Arc::new(handler);
        let prepare: Prepare = Arc::new(move |arguments| {
            let input: I = decode(arguments, schema::input_schema_of::<I>)?;
            let handler = handler.clone();
            Ok(Box::new(move |ctx| {
                let future = handler.handle(ctx, input);
                Box::pin(async move { Ok(future.await?.json) })
            }))
        });
        Self::erased(
            name,
            Effect::Read,
            right,
            prepare,
            |_| schema::input_schema_of::<I>(),
            |_| schema::output_schema_of::<T>(),
        )
    }

    /// A tool that adds a record.
    pub fn create<I, O, H>(name: &'static str, right: &'static str, handler: H) -> Self
    where
        I: DeserializeOwned + JsonSchema + Send + 'static,
        O: Serialize + JsonSchema + 'static,
        H: for<'a> Handler<'a, I, O> + 'static,
    {
        Self::typed(name, Effect::Create, right, handler)
    }

    /// A tool that changes records.
    pub fn update<I, O, H>(name: &'static str, right: &'static str, handler: H) -> Self
    where
        I: DeserializeOwned + JsonSchema + Send + 'static,
        O: Serialize + JsonSchema + 'static,
        H: for<'a> Handler<'a, I, O> + 'static,
    {
        Self::typed(name, Effect::Update, right, handler)
    }

    /// A tool that removes records.
    pub fn delete<I, O, H>(name: &'static str, right: &'static str, handler: H) -> Self
    where
        I: DeserializeOwned + JsonSchema + Send + 'static,
        O: Serialize + JsonSchema + 'static,
        H: for<'a> Handler<'a, I, O> + 'static,
    {
        Self::typed(name, Effect::Delete, right, handler)
    }

    /// A tool that carries out a step of the business.
    pub fn action<I, O, H>(name: &'static str, right: &'static str, handler: H) -> Self
    where
        I: DeserializeOwned + JsonSchema + Send + 'static,
        O: Serialize + JsonSchema + 'static,
        H: for<'a> Handler<'a, I, O> + 'static,
    {
        Self::typed(name, Effect::Action, right, handler)
    }

    /// A tool that waits for a service outside Bureau. No transaction is open meanwhile, so that nobody waits for it; what it
    /// does to records it does by calls of other tools, each of which is whole. Undo takes back those.
    pub fn outside<I, O, F, Fut>(name: &'static str, effect: Effect, right: &'static str, handler: F) -> Self
    where
        I: DeserializeOwned + JsonSchema + Send + 'static,
        O: Serialize + JsonSchema + 'static,
        F: Fn(Outside, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O>> + Send + 'static,
    {
        let prepare: Prepare = Arc::new(move |arguments| {
            decode::<I>(arguments, schema::input_schema_of::<I>)?;
            Ok(Box::new(move |_| Box::pin(async move { Err(Error::internal(format!("{name} ran in a transaction"))) })))
        });
        let handler = Arc::new(handler);
        let outside: PrepareOutside = Arc::new(move |arguments| {
            let input: I = decode(arguments, schema::input_schema_of::<I>)?;
            let handler = handler.clone();
            Ok(Box::new(move |outside| {
                let future = handler(outside, input);
                Box::pin(async move { serde_json::to_vec(&future.await?).map_err(Error::internal) })
            }))
        });
        let mut tool = Self::erased(
            name,
            effect,
            right,
            prepare,
            |_| schema::input_schema_of::<I>(),
            |_| schema::output_schema_of::<O>(),
        );
        tool.open_world = true;
        tool.outside = Some(outside);
        tool
    }

    /// A tool that carries out other tools, with the same checks as when they are called themselves.
    pub fn executor(name: &'static str, right: &'static str, executes: Executes) -> Self {
        let reads = executes.dangers == [Danger::Read];
        let prepare: Prepare = Arc::new(|_| Err(Error::internal("the gate runs the tool an executor names")));
        let effect = if reads { Effect::Read } else { Effect::Action };
        let mut tool = Self::erased(name, effect, right, prepare, executor_input, executor_output);
        tool.destructive = executes.dangers.contains(&Danger::Destructive);
        tool.executes = Some(executes);
        tool
    }

    fn typed<I, O, H>(name: &'static str, effect: Effect, right: &'static str, handler: H) -> Self
    where
        I: DeserializeOwned + JsonSchema + Send + 'static,
        O: Serialize + JsonSchema + 'static,
        H: for<'a> Handler<'a, I, O> + 'static,
    {
        let handler = Arc::new(handler);
        let prepare: Prepare = Arc::new(move |arguments| {
            let input: I = decode(arguments, schema::input_schema_of::<I>)?;
            let handler = handler.clone();
            Ok(Box::new(move |ctx| {
                let future = handler.handle(ctx, input);
                Box::pin(async move { serde_json::to_vec(&future.await?).map_err(Error::internal) })
            }))
        });
        Self::erased(
            name,
            effect,
            right,
            prepare,
            |_| schema::input_schema_of::<I>(),
            |_| schema::output_schema_of::<O>(),
        )
    }

    /// For families and the kit's own tools, whose schemas come from data.
    pub(crate) fn erased(
        name: &'static str,
        effect: Effect,
        right: &'static str,
        prepare: Prepare,
        input: fn(&Tool) -> Value,
        output: fn(&Tool) -> Value,
    ) -> Self {
        Self {
            name,
            title: "",
            about: String::new(),
            effect,
            rights: if right.is_empty() { Vec::new() } else { vec![right] },
            aliases: Vec::new(),
            synonyms: "",
            target: None,
            idempotent: matches!(effect, Effect::Read | Effect::Update | Effect::Delete),
            open_world: false,
            destructive: matches!(effect, Effect::Delete),
            irreversible: None,
            shown_once: None,
            long: false,
            public: false,
            silent: false,
            executes: None,
            outside: None,
            error_shape: None,
            input,
            output,
            table: None,
            prepare,
        }
    }

    /// A title for people.
    pub fn title(mut self, title: &'static str) -> Self {
        self.title = title;
        self
    }
    /// First sentence: what it does. Then what it needs, what it changes, what to call next.
    pub fn about(mut self, about: impl Into<String>) -> Self {
        self.about = about.into();
        self
    }
    /// Another right that allows it too, where two systems guard the same operation differently.
    pub fn or_right(mut self, right: &'static str) -> Self {
        self.rights.push(right);
        self
    }
    /// A documented name of a source system, accepted and never listed.
    pub fn alias(mut self, alias: &'static str) -> Self {
        self.aliases.push(alias);
        self
    }
    /// Words by which people look for it, in English, Polish and Ukrainian.
    pub fn synonyms(mut self, words: &'static str) -> Self {
        self.synonyms = words;
        self
    }
    /// The record it acts on.
    pub fn on(mut self, table: &'static Table) -> Self {
        self.target = Some(table);
        self
    }
    /// Repeating it changes nothing more.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Overwrites or removes what only undo brings back.
    pub fn destructive(mut self) -> Self {
        self.destructive = true;
        self
    }
    /// Reaches outside Bureau, through the outbox.
    pub fn open_world(mut self) -> Self {
        self.open_world = true;
        self
    }
    /// Undo cannot take it back, and why.
    pub fn irreversible(mut self, why: &'static str) -> Self {
        self.irreversible = Some(why);
        self
    }
    /// A field of the answer is a secret: it is never stored, also not to repeat the answer.
    pub fn shown_once(mut self, field: &'static str) -> Self {
        self.shown_once = Some(field);
        self
    }
    /// May take long: it tells its progress, and works through [`Ctx::checkpoint`]s where it writes.
    pub fn long(mut self) -> Self {
        self.long = true;
        self
    }

    /// Needs no credential. Who calls without one is nobody, sees no tenant, and enters one by [`Ctx::act_in`] only. Such a
    /// tool takes no idempotency key: there is no caller whose calls could be told from those of others.
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// Answers the same whatever it finds, also when it is only tried: a dry run would else tell strangers whether there is
    /// an account.
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// How long a call of it may run.
    pub fn limit(&self) -> Duration {
        match (self.long, &self.outside) {
            (true, _) => LONG_LIMIT,
            (false, Some(_)) => OUTSIDE_LIMIT,
            (false, None) => Duration::from_secs(CALL_LIMIT_SECONDS),
        }
    }

    /// Adds the source system's own error body to failed answers.
    pub fn error_shape(mut self, shape: fn(&Error) -> Map<String, Value>) -> Self {
        self.error_shape = Some(shape);
        self
    }

    /// Whether arguments can be read as this tool's input: the same decoding as a call's, without carrying it out.
    pub fn check(&self, arguments: Map<String, Value>) -> Result<()> {
        (self.prepare)(arguments).map(drop)
    }

    /// What an executor must be allowed to do in order to run it.
    pub fn danger(&self) -> Danger {
        match self.effect {
            Effect::Read => Danger::Read,
            _ if self.destructive => Danger::Destructive,
            _ => Danger::Write,
        }
    }

    /// Whether it carries out other tools, one at a time, instead of doing something itself.
    pub fn is_executor(&self) -> bool {
        self.executes.is_some()
    }

    /// Whether it writes.
    pub fn writes(&self) -> bool {
        self.effect != Effect::Read
    }

    /// Whether `idempotency_key` means something to it.
    pub fn takes_key(&self) -> bool {
        self.writes() && !self.public
    }

    /// Whether `expected_version` means something to it.
    pub fn takes_version(&self) -> bool {
        self.target.is_some() && matches!(self.effect, Effect::Update | Effect::Delete | Effect::Action)
    }

    /// Input schema with reserved arguments, marked for generated tests.
    pub fn input_schema(&self) -> Value {
        let mut schema = (self.input)(self);
        // An executor passes reserved arguments on: they stand inside the arguments of the tool it runs.
        if self.executes.is_some_and(|executes| !executes.enveloped) || !self.writes() {
            return schema;
        }
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.insert(
                "dry_run".into(),
                json!({"type": "boolean", "description": "Answer what would change, and change nothing."}),
            );
            if self.takes_key() {
                properties.insert(
                    "idempotency_key".into(),
                    json!({"type": "string", "maxLength": 255, "description": "Text of yours: repeated with the same input, it is done once."}),
                );
            }
            if self.takes_version() {
                properties.insert(
                    "expected_version".into(),
                    json!({"type": "integer", "minimum": 1, "description": "Refuse when the record's version is another."}),
                );
            }
        }
        schema
    }

    /// Output schema with what the gate adds to the answers of writes.
    pub fn output_schema(&self) -> Value {
        let mut schema = (self.output)(self);
        if self.executes.is_some_and(|executes| !executes.enveloped) || !self.writes() {
            return schema;
        }
        if let Some(object) = schema.as_object_mut() {
            // Answers of writes carry more than the tool's own fields.
            object.remove("additionalProperties");
            let properties = object.entry("properties").or_insert_with(|| json!({}));
            if let Some(properties) = properties.as_object_mut() {
                properties.insert(
                    "undo_token".into(),
                    json!({"type": "string", "description": "Give it to action_undo to take this back."}),
                );
                properties.insert(
                    "replayed".into(),
                    json!({"type": "boolean", "description": "True when this repeats an earlier answer."}),
                );
                properties.insert(
                    "dry_run".into(),
                    json!({"type": "boolean", "description": "True when nothing was changed."}),
                );
                properties.insert(
                    "changes".into(),
                    json!({"type": "array", "description": "What a dry run would have changed.", "items": {"type": "object", "additionalProperties": true}}),
                );
                properties.insert(
                    "outside_effects".into(),
                    json!({"type": "array", "description": "What would be sent out after the commit, and cannot be undone.", "items": {"type": "object", "additionalProperties": true}}),
                );
            }
        }
        schema
    }
}

fn executor_input(tool: &Tool) -> Value {
    let Some(executes) = tool.executes else { return json!({"type": "object"}) };
    let name = executes.name.first().copied().unwrap_or("name");
    let arguments = executes.arguments.first().copied().unwrap_or("arguments");
    let mut properties = Map::new();
    properties
        .insert(name.into(), json!({"type": "string", "description": "Name of the tool, as tool_search answers it."}));
    properties.insert(
        arguments.into(),
        json!({"type": "object", "description": "The tool's own arguments, by its input schema.", "additionalProperties": true}),
    );
    if executes.enveloped {
        properties.insert(
            "expected_version".into(),
            json!({"type": "integer", "minimum": 1, "description": "Refuse when the record's version is another."}),
        );
    }
    json!({"type": "object", "properties": properties, "required": [name], "additionalProperties": false})
}

fn executor_output(tool: &Tool) -> Value {
    if tool.executes.is_some_and(|executes| executes.enveloped) {
        return json!({"type": "object", "properties": {
            "success": {"type": "boolean", "description": "Always true: a refusal is an error."},
            "result": {"type": "object", "description": "What the tool answered.", "additionalProperties": true}
        }, "required": ["success", "result"]});
    }
    json!({"type": "object", "properties": {}, "additionalProperties": true})
}

/// Arguments into a typed input. When that fails, everything wrong is named at once.
pub(crate) fn decode<I: DeserializeOwned>(arguments: Map<String, Value>, schema: fn() -> Value) -> Result<I> {
    // The usual case pays for nothing but the decoding itself.
    let value = Value::Object(arguments);
    let error = match I::deserialize(&value) {
        Ok(input) => return Ok(input),
        Err(error) => error,
    };
    let schema = schema();
    let Value::Object(arguments) = value else { return Err(Error::internal("arguments are an object")) };
    let value = Value::Object(tidied(arguments, &schema));
    if let Ok(input) = I::deserialize(&value) {
        return Ok(input);
    }
    let mut fields = Vec::new();
    schema::problems(&schema, &value, "", &mut fields);
    if fields.is_empty() {
        let path = named_field(&value, &error.to_string());
        fields.push(FieldError { path, message: error.to_string(), expected: None });
    }
    Err(Error::invalid_fields(fields))
}

/// Takes what models send in good faith: camelCase names, "" for a field left out, numbers and lists as text.
fn tidied(arguments: Map<String, Value>, schema: &Value) -> Map<String, Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let known = |name: &str| properties.and_then(|properties| properties.get(name));
    let required = |name: &str| {
        schema
            .get("required")
            .and_then(Value::as_array)
            .is_some_and(|names| names.iter().any(|required| required == name))
    };
    let mut result = Map::new();
    for (name, value) in arguments {
        let snake = snake_case(&name);
        let name = if known(&name).is_none() && known(&snake).is_some() { snake } else { name };
        let kind = known(&name).and_then(|property| property.get("type"));
        let is = |wanted: &str| {
            kind.is_some_and(|kind| {
                kind == wanted || kind.as_array().is_some_and(|kinds| kinds.iter().any(|k| k == wanted))
            })
        };
        let value = match value {
            Value::String(text) if text.is_empty() && !required(&name) && kind.is_some() && !is("null") => continue,
            Value::String(text)
                if !is("string") && ["integer", "number", "boolean", "array", "object"].iter().any(|name| is(name)) =>
            {
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            }
            Value::Number(number) if is("string") => Value::String(number.to_string()),
            other => other,
        };
        // Given under two spellings, the first one stands and the second is reported as unknown.
        if result.contains_key(&name) {
            result.insert(format!("{name} (given twice)"), value);
        } else {
            result.insert(name, value);
        }
    }
    result
}

/// The argument that a decoder's message is about, as far as it can be told: the one whose value it quotes.
fn named_field(arguments: &Value, message: &str) -> String {
    let quoted =
        |value: &Value| value.as_str().is_some_and(|text| !text.is_empty() && message.contains(&format!("`{text}`")));
    let fields = arguments.as_object().into_iter().flatten();
    fields
        .filter(|(_, value)| quoted(value))
        .map(|(name, _)| format!("/{name}"))
        .next()
        .unwrap_or_else(|| "/".to_owned())
}
