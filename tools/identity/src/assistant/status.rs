//! Whether the assistant works, and with what.

use bureau_kit::gate::Outside;
use bureau_kit::prelude::*;
use bureau_kit::tool::Effect;

use super::USE;
use super::provider::SharedProvider;
use crate::api_keys::API_KEYS;

pub(super) fn tools() -> Vec<Tool> {
    vec![
        Tool::outside("ai_health_show", Effect::Read, USE, health)
            .title("Show whether the assistant works")
            .about(
                "Show whether the server has a language model, and how many tools it could use for you. With `check` the provider \
                 is asked whether it answers.",
            )
            .synonyms("ai status ping stan asystenta zdrowie стан асистента здоров'я"),
        Tool::read("ai_settings_show", USE, settings)
            .title("Show the assistant's settings")
            .about(
                "Show which provider and model answer ai_chat_send. They are given to the server when it starts (--ai-model, \
                 --ai-url, BUREAU_AI_KEY), never by a tool: who could change the address would be sent the key.",
            )
            .synonyms("ai configuration model provider ustawienia asystenta налаштування асистента модель"),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HealthInput {
    /// Whether to ask the provider now; it takes a moment.
    check: Option<bool>,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// The provider answered.
    Ok,
    /// There is a provider; it was not asked.
    Configured,
    /// The server was given none.
    Unconfigured,
    /// The provider does not answer, or refuses.
    Unreachable,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Health {
    /// ok, configured, unconfigured or unreachable.
    status: Status,
    /// What is wrong, and what to do; null when nothing is.
    problem: Option<String>,
    /// How many tools you may use.
    tools: usize,
    /// When this was found.
    timestamp: Instant,
}

async fn health(outside: Outside, input: HealthInput) -> Result<Health> {
    let bureau = outside.bureau();
    let (status, problem) = match super::configured(bureau) {
        Err(error) => (Status::Unconfigured, Some(error.message().to_owned())),
        Ok(_) if !input.check.unwrap_or_default() => (Status::Configured, None),
        Ok(provider) => match provider.check().await {
            Ok(()) => (Status::Ok, None),
            Err(error) => (Status::Unreachable, Some(error.message().to_owned())),
        },
    };
    let tools = bureau.registry.entries().iter().filter(|entry| outside.admits(entry)).count();
    Ok(Health { status, problem, tools, timestamp: outside.now() })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SettingsInput {}

#[derive(Debug, Serialize, JsonSchema)]
struct Settings {
    /// The provider that answers.
    provider: Provider,
    /// The providers this server could be given.
    #[serde(rename = "availableProviders")]
    available_providers: Vec<Available>,
    /// Whether your company has an API key by which an assistant elsewhere can reach the tools.
    #[serde(rename = "mcpKeyConfigured")]
    mcp_key_configured: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Provider {
    /// Short name; null when there is none.
    id: Option<String>,
    /// Name for people.
    name: Option<String>,
    /// The model.
    model: Option<String>,
    /// Whether the server was given one.
    configured: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Available {
    /// Short name.
    id: &'static str,
    /// Name for people.
    name: &'static str,
}

async fn settings(ctx: &mut Ctx, _: SettingsInput) -> Result<Settings> {
    let about = ctx.bureau().service::<SharedProvider>().map(|provider| provider.about());
    let configured = about.is_some();
    let (id, name, model) = match about {
        Some(about) => (Some(about.id), Some(about.name), Some(about.model)),
        None => (None, None, None),
    };
    let mut keys = ctx.select("1", &API_KEYS);
    keys.push(" AND (expires_at IS NULL OR expires_at > ").bind(ctx.now()).push(")");
    Ok(Settings {
        provider: Provider { id, name, model, configured },
        available_providers: vec![
            Available { id: "openai", name: "OpenAI" },
            Available { id: "openai-compatible", name: "Any service that speaks OpenAI's chat completions" },
        ],
        mcp_key_configured: ctx.exists(keys).await?,
    })
}
