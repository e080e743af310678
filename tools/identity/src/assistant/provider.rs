//! What a model provider does for Bureau, whoever it is.

use std::fmt::Debug;
use std::sync::Arc;

use bureau_kit::prelude::*;

/// A provider as tools find it: `bureau.provide::<SharedProvider>(…)`.
pub type SharedProvider = Arc<dyn ChatProvider>;

/// A service that completes conversations.
pub trait ChatProvider: Debug + Send + Sync {
    /// Who it is.
    fn about(&self) -> About;
    /// The model's next message. Must end in time by itself, and must not answer more than it was asked to.
    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Completion>>;
    /// Whether it answers at all.
    fn check(&self) -> BoxFuture<'_, Result<()>>;
}

/// Who a provider is.
#[derive(Debug, Clone)]
pub struct About {
    /// Short name, such as `openai`.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// The model that answers.
    pub model: String,
}

/// A conversation to be continued.
#[derive(Debug, Clone)]
pub struct Request {
    /// Everything said so far.
    pub messages: Vec<Message>,
    /// Tools that the model may ask for.
    pub tools: Vec<Offered>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Whoever sets the frame.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool, with its answer.
    Tool,
}

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// Of the model: tools it asks for.
    pub tool_calls: Vec<ToolCall>,
    /// Of a tool: which request this answers.
    pub answers: Option<String>,
}

impl Message {
    /// A message of words only.
    pub fn of(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), tool_calls: Vec::new(), answers: None }
    }
}

/// A tool that the model asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// By which the answer is told.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments, as the model wrote them: JSON, one hopes.
    pub arguments: String,
}

/// A tool as a model sees it.
#[derive(Debug, Clone)]
pub struct Offered {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Schema of its arguments.
    pub parameters: Value,
}

/// The model's next message.
#[derive(Debug, Clone)]
pub struct Completion {
    /// What it says.
    pub content: Option<String>,
    /// Tools it asks for before it goes on.
    pub tool_calls: Vec<ToolCall>,
    /// What it took.
    pub usage: Usage,
}

/// What a completion took, as the provider counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
}
