//! The one error type of every tool.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::dialogue::Question;

/// What a tool answers: a value, or an [`Error`] that tells the caller the next step.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Stable, machine-readable kind of an error. Names never change once released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The arguments are wrong; correct them and call again.
    Validation,
    /// No valid credential came with the call.
    Unauthenticated,
    /// The caller lacks a right, or its token was narrowed below it.
    Forbidden,
    /// No such record in the caller's tenant. A record of another tenant answers exactly the same.
    NotFound,
    /// The record exists in a state that clashes with the call (duplicate, changed since, in use).
    Conflict,
    /// The call makes no sense in the record's present state.
    ImpossibleState,
    /// A limit was reached; wait or ask for a larger one.
    RateLimited,
    /// The outside service this needs is not configured or does not answer.
    ProviderUnavailable,
    /// A fault of Bureau. The log holds the reason under the reference in the message.
    Internal,
}

/// One wrong argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer into the arguments, such as `/lines/0/amount`.
    pub path: String,
    /// What is wrong with the value.
    pub message: String,
    /// What would have been accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
}

impl FieldError {
    /// Something wrong with the argument `name`.
    pub fn of(name: &str, message: impl Into<String>) -> Self {
        Self { path: format!("/{name}"), message: message.into(), expected: None }
    }

    /// Adds what would have been accepted.
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }
}

/// Why a call failed, in words that name the next step.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: Code,
    message: String,
    fields: Vec<FieldError>,
    details: Map<String, Value>,
    /// Never shown to the caller: goes to the log.
    cause: Option<String>,
    /// The database asks to run the whole call again.
    retry: bool,
    /// Not a failure: the call cannot go on before this is answered.
    question: Option<Question>,
}

impl Error {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            fields: Vec::new(),
            details: Map::new(),
            cause: None,
            retry: false,
            question: None,
        }))
    }

    /// Wrong arguments as a whole; see [`Error::invalid`] for one argument.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(Code::Validation, message)
    }

    /// One wrong argument, named by JSON pointer.
    pub fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError { path: path.into(), message: message.into(), expected: None }])
    }

    /// Several wrong arguments at once.
    pub fn invalid_fields(fields: Vec<FieldError>) -> Self {
        let message =
            fields.iter().map(|field| format!("{}: {}", field.path, field.message)).collect::<Vec<_>>().join("; ");
        let mut error = Self::new(Code::Validation, message);
        error.0.fields = fields;
        error
    }

    /// No valid credential.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(Code::Unauthenticated, message)
    }

    /// A right is missing.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, message)
    }

    /// No such record. Must not depend on whether another tenant has it.
    pub fn not_found(noun: &str, key: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("There is no {noun} {key}. Use {noun}_list to find the right id."))
    }

    /// No such thing, in own words.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// A clash with what is stored.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Code::Conflict, message)
    }

    /// The record's state forbids it.
    pub fn impossible_state(message: impl Into<String>) -> Self {
        Self::new(Code::ImpossibleState, message)
    }

    /// A limit was reached.
    pub fn rate_limited(message: impl Into<String>) -> Self {
        Self::new(Code::RateLimited, message)
    }

    /// An outside service is missing.
    pub fn provider_unavailable(message: impl Into<String>) -> Self {
        Self::new(Code::ProviderUnavailable, message)
    }

    /// A fault of ours: the cause is logged, the caller sees a reference.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let mut error = Self::new(Code::Internal, "");
        error.0.cause = Some(cause.to_string());
        error
    }

    /// A database conflict that goes away when the whole call runs again.
    pub fn retryable(cause: impl std::fmt::Display) -> Self {
        let mut error = Self::internal(cause);
        error.0.retry = true;
        error
    }

    /// The call ends here until the question is answered, and then runs again.
    pub(crate) fn asks(question: Question) -> Self {
        let mut error = Self::new(Code::Validation, question.message.clone());
        error.0.question = Some(question);
        error
    }

    /// The question that stands in the way, if that is what it is.
    pub fn question(&self) -> Option<&Question> {
        self.0.question.as_ref()
    }

    /// A conflict that only means that another call stored the same first: the call runs again, and finds it.
    pub fn lost_race(self) -> Self {
        match self.code() {
            Code::Conflict => Self::retryable(self),
            _ => self,
        }
    }

    /// Adds a machine-readable detail beside the message.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.details.insert(key.to_owned(), value.into());
        self
    }

    /// The kind.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The text for the caller; empty for an internal error that was not yet [reported](Error::reported).
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The wrong arguments, where the error is about arguments.
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// Whether the gate should run the call again.
    pub fn is_retryable(&self) -> bool {
        self.0.retry
    }

    /// Logs an internal cause once and puts its reference in the text for the caller.
    pub fn reported(mut self, tool: &str, reference: impl std::fmt::Display) -> Self {
        if let Some(cause) = self.0.cause.take() {
            tracing::error!(tool, %reference, cause, "a call failed inside Bureau");
            self.0.message = format!(
                "Bureau could not complete this call (reference {reference}). Nothing was changed. \
                 Try again; if it stays, give the reference to the person who runs the server."
            );
        }
        self
    }

    /// The body of a failed tool call.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("code".into(), json!(self.0.code));
        body.insert("message".into(), Value::String(self.0.message.clone()));
        if !self.0.fields.is_empty() {
            body.insert("fields".into(), json!(self.0.fields));
        }
        if !self.0.details.is_empty() {
            body.insert("details".into(), Value::Object(self.0.details.clone()));
        }
        body
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0.cause {
            Some(cause) => write!(f, "internal: {cause}"),
            None => f.write_str(&self.0.message),
        }
    }
}

impl std::error::Error for Error {}
