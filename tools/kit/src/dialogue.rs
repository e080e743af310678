//! What a running call tells and asks whoever made it, whatever protocol lies between.
//!
//! Asking never waits inside a transaction. A handler that has no reply yet ends with the question; everything it did is
//! rolled back, the server obtains the reply, and the call runs again from its start with the reply at hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::ctx::Ctx;
use crate::deferred::Deferral;
use crate::error::{Error, Result};

/// How grave a log message is, in the order of RFC 5424, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For who develops.
    Debug,
    /// Course of things.
    Info,
    /// Normal, but worth a look.
    Notice,
    /// Something that may become a fault.
    Warning,
    /// A fault.
    Error,
    /// A part does not work.
    Critical,
    /// Someone must act now.
    Alert,
    /// Nothing works.
    Emergency,
}

impl LogLevel {
    /// All levels with their names on the wire.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Debug, "debug"),
        (Self::Info, "info"),
        (Self::Notice, "notice"),
        (Self::Warning, "warning"),
        (Self::Error, "error"),
        (Self::Critical, "critical"),
        (Self::Alert, "alert"),
        (Self::Emergency, "emergency"),
    ];

    /// The level of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(level, _)| *level)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(level, _)| *level == self).map_or("info", |(_, name)| *name)
    }
}

/// Whoever listens to a call while it runs.
pub trait Listener: Send + Sync + std::fmt::Debug {
    /// So much of so much is done. Messages may be dropped when the listener is slow.
    fn progress(&self, done: u64, total: Option<u64>, message: &str);
    /// Something worth telling.
    fn log(&self, level: LogLevel, data: Value);
}

/// What a person answered to a [`Question`].
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Yes, with the fields filled in.
    Accepted(Map<String, Value>),
    /// No.
    Declined,
    /// The question was closed without an answer.
    Cancelled,
}

/// A question to the person behind the client: yes or no, or a few fields to fill in.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Under which name the reply comes back; one call may ask several questions, each with a key of its own.
    pub key: String,
    /// What is asked, for a person to read.
    pub message: String,
    /// The fields: name, flat JSON Schema of a primitive, whether it must be filled in.
    pub fields: Vec<(&'static str, Value, bool)>,
}

impl Question {
    /// A question without fields: accepting it is the answer.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into(), fields: Vec::new() }
    }

    /// A text to fill in.
    pub fn text(self, name: &'static str, title: &str) -> Self {
        self.field(name, json!({"type": "string", "title": title}), true)
    }

    /// One of several values, each with what a person reads.
    pub fn choice(self, name: &'static str, title: &str, options: &[(String, String)]) -> Self {
        let options: Vec<Value> =
            options.iter().map(|(value, shown)| json!({"const": value, "title": shown})).collect();
        self.field(name, json!({"type": "string", "title": title, "oneOf": options}), true)
    }

    /// A field of any flat kind that clients can show.
    pub fn field(mut self, name: &'static str, schema: Value, required: bool) -> Self {
        self.fields.push((name, schema, required));
        self
    }

    /// The fields as a JSON Schema.
    pub fn schema(&self) -> Value {
        let properties: Map<String, Value> =
            self.fields.iter().map(|(name, schema, _)| ((*name).to_owned(), schema.clone())).collect();
        let required: Vec<&str> =
            self.fields.iter().filter(|(_, _, required)| *required).map(|(name, _, _)| *name).collect();
        json!({"type": "object", "properties": properties, "required": required})
    }
}

/// What the one who calls can be told and asked. The default is somebody who neither listens nor answers.
#[derive(Debug, Clone, Default)]
pub struct Dialogue {
    /// Who hears of progress and of log messages.
    pub listener: Option<Arc<dyn Listener>>,
    /// Replies so far, by the key of their question; none when nobody can be asked.
    pub replies: Option<BTreeMap<String, Reply>>,
    /// Whether destructive tools ask before their changes are kept, when somebody can be asked.
    pub confirms_destructive: bool,
    /// Where the answer is kept for a caller who fetches it later.
    pub deferral: Option<Deferral>,
}

impl Dialogue {
    /// The reply to a question: none when nobody can be asked, and the question itself as an error when it is still
    /// to be asked.
    pub(crate) fn ask(&self, question: Question) -> Result<Option<&Reply>> {
        match &self.replies {
            None => Ok(None),
            Some(replies) => {
                replies.get(&question.key).map_or_else(|| Err(Error::asks(question)), |reply| Ok(Some(reply)))
            }
        }
    }
}

impl Ctx {
    /// Tells how far a long call has come. `done` must grow from one call of this to the next.
    pub fn progress(&self, done: u64, total: Option<u64>, message: &str) {
        if let Some(listener) = &self.dialogue.listener {
            listener.progress(done, total, message);
        }
    }

    /// Tells the client something about the call while it runs. Never a secret, never another tenant's data.
    pub fn log(&self, level: LogLevel, data: impl Into<Value>) {
        if let Some(listener) = &self.dialogue.listener {
            listener.log(level, data.into());
        }
    }

    /// Asks the person behind the client. `None` when nobody can be asked: decide without, or refuse and say which
    /// argument answers the question.
    ///
    /// Call it with `?` and before lengthy work: as long as there is no reply the call ends here, is rolled back, and
    /// runs again once there is one.
    pub fn ask(&self, question: Question) -> Result<Option<Reply>> {
        Ok(self.dialogue.ask(question)?.cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_to_ask_an_open_question_and_a_reply_are_three_things() {
        let question = || Question::new("size", "Which size?").choice("size", "Size", &[("s".into(), "Small".into())]);
        assert_eq!(Dialogue::default().ask(question()).unwrap(), None);
        let mut dialogue = Dialogue { replies: Some(BTreeMap::new()), ..Dialogue::default() };
        let asked = dialogue.ask(question()).unwrap_err();
        assert_eq!(asked.question(), Some(&question()));
        dialogue.replies = Some(BTreeMap::from([("size".to_owned(), Reply::Declined)]));
        assert_eq!(dialogue.ask(question()).unwrap(), Some(&Reply::Declined));
    }

    #[test]
    fn a_question_is_a_flat_schema() {
        let question = Question::new("k", "m").text("name", "Name").field("age", json!({"type": "integer"}), false);
        assert_eq!(
            question.schema(),
            json!({"type": "object", "properties": {"name": {"type": "string", "title": "Name"}, "age": {"type": "integer"}}, "required": ["name"]})
        );
    }
}
