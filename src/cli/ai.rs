//! The model provider of the assistant.

use std::sync::Arc;
use std::time::Duration;

use bureau_identity::assistant::{OpenAi, OpenAiOptions, SharedProvider};
use bureau_kit::gate::Bureau;
use clap::Args;

use super::Failure;

#[derive(Clone, Args)]
pub(super) struct AiArgs {
    /// The language model that answers ai_chat_send. Without it there is no assistant.
    #[arg(long, env = "BUREAU_AI_MODEL", value_name = "NAME")]
    ai_model: Option<String>,
    /// Where a provider is that speaks OpenAI's chat completions, such as http://127.0.0.1:11434/v1; OpenAI itself when left
    /// out. Its key goes into BUREAU_AI_KEY, never on the command line, where others could read it.
    #[arg(long, env = "BUREAU_AI_URL", value_name = "URL")]
    ai_url: Option<String>,
    // For the configuration file: what that says is taken as if it stood on the command line.
    #[arg(long, env = "BUREAU_AI_KEY", hide = true, hide_env_values = true)]
    ai_key: Option<String>,
    /// Seconds that the model may take for one answer.
    #[arg(long, env = "BUREAU_AI_TIMEOUT", default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=240))]
    ai_timeout: u64,
}

impl std::fmt::Debug for AiArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AiArgs").field("ai_model", &self.ai_model).field("ai_url", &self.ai_url).finish_non_exhaustive()
    }
}

impl AiArgs {
    /// The provider that the options name; none when they name none.
    pub(super) fn provider(&self) -> Result<Option<SharedProvider>, Failure> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let (url, key) = (given(&self.ai_url), given(&self.ai_key));
        let Some(model) = given(&self.ai_model) else {
            if url.is_some() || key.is_some() {
                return Err(Failure::usage("A model provider is given, and no model: name one with --ai-model."));
            }
            return Ok(None);
        };
        let options = OpenAiOptions { url, model, key, limit: Duration::from_secs(self.ai_timeout) };
        let provider =
            OpenAi::new(options).map_err(|why| Failure::usage(format!("The model provider cannot be used: {why}.")))?;
        Ok(Some(Arc::new(provider)))
    }
}

/// Gives the tools their provider.
pub(super) fn provide(bureau: &Bureau, provider: Option<SharedProvider>) {
    if let Some(provider) = provider {
        bureau.provide::<SharedProvider>(provider);
    }
}
