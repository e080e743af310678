//! A client of the chat completions that OpenAI and many others speak.

use std::time::Duration;

use bureau_kit::prelude::*;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};

use super::provider::{About, ChatProvider, Completion, Message, Offered, Request, Role, ToolCall, Usage};

/// Where OpenAI's own service is.
const OPENAI: &str = "https://api.openai.com/v1";
/// How long a provider may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long it may take to say whether it is there.
const CHECK_LIMIT: Duration = Duration::from_secs(5);
/// Largest answer.
const ANSWER_BYTES: usize = 2 * 1024 * 1024;
/// Tools one message may ask for.
const MOST_CALLS: usize = 64;
/// Letters of a provider's own error that are passed on.
const ERROR_CHARS: usize = 300;

/// Which provider, which model, and the key to it.
#[derive(Clone, Default)]
pub struct OpenAiOptions {
    /// Base of the service's addresses, such as `http://127.0.0.1:11434/v1`; OpenAI's own when left out.
    pub url: Option<String>,
    /// The model.
    pub model: String,
    /// The key; local services need none.
    pub key: Option<String>,
    /// How long one completion may take.
    pub limit: Duration,
}

impl std::fmt::Debug for OpenAiOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenAiOptions").field("url", &self.url).field("model", &self.model).finish_non_exhaustive()
    }
}

/// A provider that speaks OpenAI's chat completions.
pub struct OpenAi {
    client: Client,
    base: String,
    host: String,
    model: String,
    key: Option<String>,
    limit: Duration,
}

impl std::fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenAi").field("base", &self.base).field("model", &self.model).finish_non_exhaustive()
    }
}

impl OpenAi {
    /// A client, or what is wrong with the options.
    pub fn new(options: OpenAiOptions) -> Result<Self, String> {
        let text = options.url.as_deref().unwrap_or(OPENAI).trim_end_matches('/');
        let url = Url::parse(text).map_err(|error| format!("`{text}` is not an address: {error}"))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        if !matches!(url.scheme(), "http" | "https") || host.is_empty() || !url.username().is_empty() {
            return Err(format!("`{host}` cannot be asked: write https://HOST/PATH, without a name or password in it"));
        }
        let key = options.key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        let here = host == "localhost"
            || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if url.scheme() == "http" && key.is_some() && !here {
            return Err(format!(
                "the key would go to {host} where others can read it: use https, or a provider without a key"
            ));
        }
        if key.is_none() && options.url.is_none() {
            return Err("OpenAI's service needs a key: put it into BUREAU_AI_KEY, or name another provider".to_owned());
        }
        if options.model.trim().is_empty() {
            return Err("the model has no name".to_owned());
        }
        // reqwest leaves the choice of the cryptography to the program.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A redirect would take the key elsewhere.
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).connect_timeout(CONNECT_LIMIT);
        let client = client.build().map_err(|error| format!("a client cannot be made: {error}"))?;
        Ok(Self { client, base: text.to_owned(), host, model: options.model, key, limit: options.limit })
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends a request and reads the whole answer, in time and within bounds.
    async fn exchange(&self, request: RequestBuilder, limit: Duration) -> Result<Vec<u8>> {
        let host = &self.host;
        let exchange = async {
            let response = self.authorized(request).send().await.map_err(|error| self.unreachable(&error))?;
            let status = response.status();
            let retry_after =
                response.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
            let body = self.body(response).await?;
            if status.is_success() { Ok(body) } else { Err(self.refusal(status, retry_after, &body)) }
        };
        tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| {
            Err(Error::provider_unavailable(format!(
                "The model provider {host} did not answer in {} seconds. Try again later, or ask for less at once.",
                limit.as_secs()
            )))
        })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len().saturating_add(piece.len()) > ANSWER_BYTES {
                return Err(Error::provider_unavailable(format!(
                    "The model provider {} answered more than {ANSWER_BYTES} bytes, so its answer was not taken. Ask for less.",
                    self.host
                )));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        tracing::warn!(host = self.host, error = %without_address(error), "the model provider cannot be reached");
        Error::provider_unavailable(format!(
            "The model provider {} cannot be reached. Try again later; if it stays, tell the person who runs the server.",
            self.host
        ))
    }

    /// What a provider's refusal means here. Its own words are passed on only where they are about the conversation: those
    /// about the key may hold a part of it.
    fn refusal(&self, status: StatusCode, retry_after: Option<String>, body: &[u8]) -> Error {
        let host = &self.host;
        tracing::warn!(host, status = status.as_u16(), "the model provider refused a request");
        match status.as_u16() {
            429 => {
                let mut error = Error::rate_limited(format!(
                    "The model provider {host} takes no more requests for now. Wait a minute and try again."
                ));
                if let Some(seconds) = retry_after.and_then(|text| text.trim().parse::<u64>().ok()) {
                    error = error.with("retry_after", seconds);
                }
                error
            }
            401 | 403 => Error::provider_unavailable(format!(
                "The model provider {host} does not accept the server's key. Whoever runs the server sets BUREAU_AI_KEY."
            )),
            404 => Error::provider_unavailable(format!(
                "The model provider {host} does not know the model {} or the address. Whoever runs the server checks --ai-model \
                 and --ai-url.",
                self.model
            )),
            status @ (400 | 413 | 422) => Error::provider_unavailable(format!(
                "The model provider {host} refused the conversation ({status}): {}",
                self.own_words(body)
            )),
            status => {
                Error::provider_unavailable(format!("The model provider {host} failed ({status}). Try again later."))
            }
        }
    }

    fn own_words(&self, body: &[u8]) -> String {
        let told: Value = serde_json::from_slice(body).unwrap_or_default();
        let message = told.pointer("/error/message").or_else(|| told.get("message")).and_then(Value::as_str);
        let words: String = message
            .unwrap_or("it does not say why")
            .chars()
            .filter(|letter| !letter.is_control())
            .take(ERROR_CHARS)
            .collect();
        match &self.key {
            Some(key) => words.replace(key, "…"),
            None => words,
        }
    }

    fn misunderstood(&self, why: &str) -> Error {
        tracing::warn!(host = self.host, why, "the model provider's answer cannot be read");
        Error::provider_unavailable(format!(
            "The model provider {} answered what is no chat completion. Try again; if it stays, whoever runs the server checks \
             --ai-url.",
            self.host
        ))
    }
}

impl ChatProvider for OpenAi {
    fn about(&self) -> About {
        let id = if self.base == OPENAI { "openai" } else { "openai-compatible" };
        About { id: id.to_owned(), name: self.host.clone(), model: self.model.clone() }
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Completion>> {
        Box::pin(async move {
            let body = body_of(&self.model, &request).to_string();
            let post = self.client.post(format!("{}/chat/completions", self.base));
            let post = post.header("content-type", "application/json").body(body);
            let answer = self.exchange(post, self.limit).await?;
            let answer: Answer =
                serde_json::from_slice(&answer).map_err(|error| self.misunderstood(&error.to_string()))?;
            let usage = answer.usage.unwrap_or_default();
            let choice = answer.choices.into_iter().next().ok_or_else(|| self.misunderstood("it holds no choice"))?;
            let tool_calls: Vec<ToolCall> =
                choice.message.tool_calls.unwrap_or_default().into_iter().map(Called::call).collect();
            if tool_calls.len() > MOST_CALLS {
                return Err(self.misunderstood("it asks for too many tools at once"));
            }
            let content = choice.message.content.filter(|content| !content.is_empty());
            if content.is_none() && tool_calls.is_empty() {
                return Err(self.misunderstood("it says nothing"));
            }
            let (prompt_tokens, completion_tokens) = (usage.prompt_tokens, usage.completion_tokens);
            Ok(Completion { content, tool_calls, usage: Usage { prompt_tokens, completion_tokens } })
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.exchange(self.client.get(format!("{}/models", self.base)), CHECK_LIMIT.min(self.limit)).await.map(drop)
        })
    }
}

/// The innermost cause: the outer ones name the address, and one of them may hold more than its host.
fn without_address(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn body_of(model: &str, request: &Request) -> Value {
    let message = |message: &Message| {
        let mut object = Map::new();
        object.insert("role".into(), json!(message.role));
        object.insert("content".into(), json!(message.content));
        if !message.tool_calls.is_empty() {
            let calls = message.tool_calls.iter().map(|call| {
                json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
            });
            object.insert("tool_calls".into(), calls.collect());
        }
        if let (Role::Tool, Some(id)) = (message.role, &message.answers) {
            object.insert("tool_call_id".into(), json!(id));
        }
        Value::Object(object)
    };
    let mut body = json!({"model": model, "messages": request.messages.iter().map(message).collect::<Vec<_>>()});
    let tool = |tool: &Offered| {
        let function = json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters});
        json!({"type": "function", "function": function})
    };
    if let (false, Some(object)) = (request.tools.is_empty(), body.as_object_mut()) {
        object.insert("tools".into(), request.tools.iter().map(tool).collect());
    }
    body
}

#[derive(Deserialize)]
struct Answer {
    choices: Vec<Choice>,
    usage: Option<Counted>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
    tool_calls: Option<Vec<Called>>,
}

#[derive(Deserialize)]
struct Called {
    id: Option<String>,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: String,
}

impl Called {
    fn call(self) -> ToolCall {
        // Some local servers leave the id out; the name tells the answers apart well enough for them.
        let id = self.id.unwrap_or_else(|| self.function.name.clone());
        ToolCall { id, name: self.function.name, arguments: self.function.arguments }
    }
}

#[derive(Default, Deserialize)]
struct Counted {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(url: Option<&str>, key: Option<&str>) -> Result<OpenAi, String> {
        OpenAi::new(OpenAiOptions {
            url: url.map(str::to_owned),
            model: "m".into(),
            key: key.map(str::to_owned),
            limit: Duration::from_secs(1),
        })
    }

    #[test]
    fn a_key_goes_nowhere_where_others_could_read_it() {
        for (url, key, fits) in [
            (None, Some("sk-1"), true),
            (None, None, false),
            (None, Some("  "), false),
            (Some("https://models.example.com/v1/"), Some("sk-1"), true),
            (Some("http://models.example.com/v1"), Some("sk-1"), false),
            (Some("http://models.example.com/v1"), None, true),
            (Some("http://127.0.0.1:11434/v1"), Some("sk-1"), true),
            (Some("http://[::1]:11434/v1"), Some("sk-1"), true),
            (Some("https://name:password@models.example.com/v1"), None, false),
            (Some("file:///etc/passwd"), None, false),
            (Some("models"), None, false),
        ] {
            assert_eq!(with(url, key).is_ok(), fits, "{url:?} {key:?}");
        }
        let shown = format!("{:?}", with(None, Some("sk-secret")).unwrap());
        assert!(!shown.contains("sk-secret"), "{shown}");
    }

    #[test]
    fn a_conversation_is_written_as_providers_read_it() {
        let call = ToolCall { id: "c1".into(), name: "task_list".into(), arguments: "{}".into() };
        let asked = Message { tool_calls: vec![call], ..Message::of(Role::Assistant, "") };
        let answered = Message { answers: Some("c1".into()), ..Message::of(Role::Tool, "[]") };
        let offered =
            Offered { name: "task_list".into(), description: "List".into(), parameters: json!({"type": "object"}) };
        let request = Request { messages: vec![Message::of(Role::User, "hi"), asked, answered], tools: vec![offered] };
        assert_eq!(
            body_of("m", &request),
            json!({
                "model": "m",
                "messages": [
                    {"role": "user", "content": "hi"},
                    {"role": "assistant", "content": "", "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "task_list", "arguments": "{}"}}
                    ]},
                    {"role": "tool", "content": "[]", "tool_call_id": "c1"}
                ],
                "tools": [{"type": "function", "function": {
                    "name": "task_list", "description": "List", "parameters": {"type": "object"}
                }}]
            })
        );
        assert!(body_of("m", &Request { messages: Vec::new(), tools: Vec::new() }).get("tools").is_none());
    }
}
