//! The way to a receiver: one request, one answer, within bounds, and to no address that must not be dialled.

use std::error::Error as StdError;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bureau_kit::egress::Guard;
use bureau_kit::tool::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, Url};

/// For connecting, and for everything until the head of the answer is there.
const CONNECT_LIMIT: Duration = Duration::from_secs(8);
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// For what is read of the answer's body: so many bytes, so long.
const BODY_BYTES: usize = 1024;
const BODY_LIMIT: Duration = Duration::from_secs(2);
/// The longest pause that a receiver may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// Finds the addresses of a name.
pub trait Resolver: std::fmt::Debug + Send + Sync {
    /// All of them.
    fn lookup<'a>(&'a self, name: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>>;
}

/// Asks the operating system.
#[derive(Debug)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn lookup<'a>(&'a self, name: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

/// Resolves names for connections, and hands over only what may be dialled: what was checked is what is dialled.
#[derive(Debug, Clone)]
struct Guarded {
    guard: Guard,
    resolver: Arc<dyn Resolver>,
}

/// A name leads nowhere that may be dialled.
#[derive(Debug)]
struct Forbidden;

impl std::fmt::Display for Forbidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(NOT_ALLOWED)
    }
}

impl StdError for Forbidden {}

const NOT_ALLOWED: &str = "the receiver's address is not one that webhooks may go to";

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guarded = self.clone();
        Box::pin(async move {
            let found = guarded.resolver.lookup(name.as_str()).await?;
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| guarded.guard.allows(*address))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if allowed.is_empty() { Err(Forbidden.into()) } else { Ok(Box::new(allowed.into_iter()) as Addrs) }
        })
    }
}

/// What goes out.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) timestamp: i64,
    pub(crate) signature: String,
    pub(crate) api_token: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: Option<u16>,
    /// Why there is none, without a word on what stands at the address.
    pub(crate) error: Option<&'static str>,
    /// How the answer began.
    pub(crate) body: Option<String>,
    pub(crate) pause: Option<Duration>,
    pub(crate) took: Duration,
}

/// Goes to receivers.
#[derive(Debug)]
pub struct Receivers {
    client: Client,
    guard: Guard,
}

impl Receivers {
    /// Goes where this guard lets it, by addresses of this resolver.
    pub fn new(guard: Guard, resolver: Arc<dyn Resolver>) -> Result<Self, String> {
        // reqwest leaves the choice of the cryptography to the program.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would resolve names itself, behind the guard's back.
            .no_proxy()
            .dns_resolver(Arc::new(Guarded { guard: guard.clone(), resolver }))
            .connect_timeout(CONNECT_LIMIT)
            .pool_max_idle_per_host(0)
            .http1_only()
            .user_agent(concat!("Bureau-Webhooks/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("The client for webhooks cannot be made: {error}"))?;
        Ok(Self { client, guard })
    }

    pub(crate) async fn post(&self, url: &str, message: Message) -> Answer {
        let started = Instant::now();
        let mut answer = Answer { status: None, error: None, body: None, pause: None, took: Duration::ZERO };
        // Addresses that are written out are resolved by nobody, so they are checked here.
        match self.guard.checked(url) {
            Err(_) => answer.error = Some(NOT_ALLOWED),
            Ok(url) => match tokio::time::timeout(ANSWER_LIMIT, self.send(url, message)).await {
                Err(_) => answer.error = Some("the receiver did not answer within 20 seconds"),
                Ok(Err(error)) => answer.error = Some(error),
                Ok(Ok(response)) => {
                    answer.status = Some(response.status().as_u16());
                    answer.pause = pause(response.headers());
                    answer.body = Some(beginning(response).await);
                }
            },
        }
        answer.took = started.elapsed();
        answer
    }

    async fn send(&self, url: Url, message: Message) -> Result<Response, &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut set = |name: &'static str, value: String| {
            HeaderValue::try_from(value)
                .map(|value| drop(headers.insert(name, value)))
                .map_err(|_| "a header is not text")
        };
        set("webhook-id", message.id)?;
        set("webhook-timestamp", message.timestamp.to_string())?;
        set("webhook-signature", message.signature)?;
        if let Some(token) = message.api_token {
            let mut value =
                HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| "the api_token is not text")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let sent = self.client.post(url).headers(headers).body(message.body).send().await;
        sent.map_err(|error| told(&error))
    }
}

/// What may be said of a failure: a port scan would learn more from the cause.
fn told(error: &reqwest::Error) -> &'static str {
    let mut source = StdError::source(error);
    while let Some(cause) = source {
        if cause.is::<Forbidden>() {
            return NOT_ALLOWED;
        }
        source = cause.source();
    }
    if error.is_connect() || error.is_timeout() {
        "the receiver could not be reached"
    } else {
        "the receiver hung up before it had answered"
    }
}

/// Only what is whole seconds; a date is left to the usual schedule.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

/// How an answer begins. One that is endless, or comes in drops, is read no further.
async fn beginning(mut response: Response) -> String {
    let mut bytes: Vec<u8> = Vec::new();
    let read = async {
        while let (true, Ok(Some(chunk))) = (bytes.len() < BODY_BYTES, response.chunk().await) {
            bytes.extend_from_slice(&chunk);
        }
    };
    let _ = tokio::time::timeout(BODY_LIMIT, read).await;
    bytes.truncate(BODY_BYTES);
    // PostgreSQL keeps no NUL in text.
    String::from_utf8_lossy(&bytes).replace('\0', "")
}
