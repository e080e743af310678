//! The AI assistant (Open Mercato): tools for a model elsewhere, and a conversation with the model that this server was given.

mod bridge;
mod chat;
mod offer;
mod openai;
mod provider;
mod route;
mod status;

use bureau_kit::prelude::*;

pub use openai::{OpenAi, OpenAiOptions};
pub use provider::{About, ChatProvider, Completion, Message, Offered, Request, Role, SharedProvider, ToolCall, Usage};

/// The right to use the assistant.
const USE: &str = "ai_assistant.view";

pub(crate) fn toolset() -> Toolset {
    Toolset {
        name: "ai_assistant",
        about: "The tools as an AI assistant lists and carries them out, and a conversation with the server's model.",
        tools: [bridge::tools(), chat::tools(), route::tools(), status::tools()].concat(),
    }
}

/// The provider, or what to do so that there is one.
fn configured(bureau: &bureau_kit::gate::Bureau) -> Result<SharedProvider> {
    bureau.service::<SharedProvider>().ok_or_else(|| {
        Error::provider_unavailable(
            "This server was given no model provider. Whoever runs it names a model with --ai-model (BUREAU_AI_MODEL), puts the \
             key into BUREAU_AI_KEY, and another provider than OpenAI's into --ai-url. Everything else works without: tool_search \
             finds tools by words.",
        )
    })
}
