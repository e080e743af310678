//! The Model Context Protocol over the method table: both generations, served by the same methods.

mod call;
pub mod changes;
mod completion;
pub mod era;
pub mod exchange;
pub mod extension;
mod greet;
pub(crate) mod listen;
mod openrpc;
mod prompts;
mod records;
mod resources;
pub mod sealed;
pub mod session;
pub mod tasks;

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bureau_kit::error::{Code, Error, Result};
use bureau_kit::gate::Bureau;
use bureau_kit::registry::Registry;
use bureau_kit::rights::Principal;
use bureau_kit::secret::SECRET_BYTES;
use bytes::Bytes;
use jsonrpsee::core::server::Methods;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::cursor::Fingerprint;
use crate::feed::{Feed, News};
use crate::listing::{self, Lists};
use crate::rpc::{self, Caller, INTERNAL_ERROR, INVALID_PARAMS, Message, MethodFuture, error};

use extension::Extension;
use session::{Session, Sessions};

/// The stateless revision.
pub const STATELESS: &str = "2026-07-28";
/// The handshake revisions, newest first.
pub const HANDSHAKE: &[&str] = &["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// No credential, on plain JSON-RPC. Codes from -32000 down are the protocol's; ours lie outside.
const UNAUTHENTICATED: i32 = 401;

/// What every model that connects is told, in under 2,000 characters.
const INSTRUCTIONS: &str = "\
Bureau is a company's back office: people, companies, contracts, payments, tasks, projects, users, rights.\n\
Find: the tools you see may be a small part of all there are. Before you say that something cannot be done, call tool_search \
with what you want to do, in English, Polish or Ukrainian; its hits carry input schemas. Call a hit by its own name or, if \
your client knows only listed tools, through the executor in its call_with.\n\
Look: never invent an id. Find records with the _list tools (q searches). Every record has a UUID `id` and a number `num`; \
arguments take either. Lists answer {items,total,page,page_size,total_pages}; ask for the rest with page. Amounts are decimal \
strings, times are UTC. A record can also be read as the resource bureau://{kind}/{id}; prompts hold common workflows.\n\
Try: with dry_run true a write answers what it would change and changes nothing. Do this first for whatever deletes, merges, \
pays or touches many records, and let the user see the result.\n\
Write: set idempotency_key, any text of yours, so that a repeated call is done once: after a timeout repeat it with the same \
key. Set expected_version to the version you read, so that you never overwrite someone else's change. batch_call makes several \
calls one, all or nothing, with one undo.\n\
Undo: every write that can be taken back answers an undo_token; keep it. action_undo takes the write back, action_redo brings \
it again, action_log_list shows what happened and finds older tokens. Undo instead of writing the old values back.\n\
An error's text says what to do next; follow it rather than repeat the call. After forbidden, permission_explain tells why. \
Several users through one connection: give _sessionToken (from session_create) in the arguments of each call; it can be \
narrower than the connection, never wider.";

/// When destructive tools ask the person behind the client before their changes are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Confirm {
    /// Whenever the client can ask one.
    #[default]
    Destructive,
    /// Never: the client's own approval is enough.
    Never,
}

/// What all methods share.
#[derive(Debug)]
pub struct Service {
    /// The tools and the database.
    pub bureau: Arc<Bureau>,
    /// Sessions of handshake-era clients over HTTP.
    pub sessions: Sessions,
    /// What happens, for those who listen.
    pub feed: Feed,
    confirm: Confirm,
    extension: Option<Arc<dyn Extension>>,
    lists: Lists,
    tasks: tasks::Tasks,
    sealing_key: OnceCell<[u8; SECRET_BYTES]>,
}

impl Service {
    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        self.bureau.clock.now().micros() / 1_000_000
    }

    /// Tells clients that listen what the journal does not know, such as that the tools of an [`Extension`] changed.
    pub fn announce(&self, news: News) {
        self.feed.announce(news);
    }

    /// What a caller's lists of tools, prompts and resources show, in short: other lists have other fingerprints.
    pub(crate) fn fingerprints(&self, principal: &Principal, caller: &Caller) -> [Fingerprint; 3] {
        [
            self.lists.fingerprint(&self.bureau, principal, caller),
            Fingerprint::of("prompts", prompts::names_for(self, principal, caller)),
            Fingerprint::of("resources", resources::fixed(&self.bureau, principal, caller)),
        ]
    }

    /// The key of everything that clients carry for the server. All processes on one database share it.
    async fn sealing_key(&self) -> Result<[u8; SECRET_BYTES]> {
        self.sealing_key.get_or_try_init(|| self.bureau.secret("request_state")).await.copied()
    }
}

/// How a server is to behave.
#[derive(Debug, Default)]
pub struct Options {
    /// When destructive tools ask first.
    pub confirm: Confirm,
    /// What a program built on this library adds.
    pub extension: Option<Arc<dyn Extension>>,
    /// Tools on one page of `tools/list` at most; [`listing::PAGE`] when left out.
    pub page: Option<NonZeroUsize>,
}

/// The server: what its methods share, and its method tables.
#[derive(Debug)]
pub struct Server {
    /// The tools and the database.
    pub bureau: Arc<Bureau>,
    /// What its methods share.
    pub service: Arc<Service>,
    /// Methods of MCP.
    mcp: Methods,
    /// Methods of plain JSON-RPC: those of MCP, every tool by its own name, and the description of them all.
    plain: Methods,
}

/// Which method table a message goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// `/mcp` and stdio.
    Mcp,
    /// `/rpc`.
    Plain,
}

/// A method's function.
type Method = fn(Arc<Service>, Params<'static>, Arc<Caller>) -> MethodFuture;

/// The methods of MCP. `list` and `call` apart, each file beside this one holds those of its name.
const METHODS: &[(&str, Method)] = &[
    ("initialize", |service, params, caller| Box::pin(greet::initialize(service, params, caller))),
    ("ping", |service, _, caller| Box::pin(greet::ping(service, caller))),
    ("server/discover", |service, _, caller| Box::pin(greet::discover(service, caller))),
    ("logging/setLevel", |service, params, caller| Box::pin(greet::set_log_level(service, params, caller))),
    ("tools/list", |service, params, caller| Box::pin(list(service, params, caller))),
    ("tools/call", |service, params, caller| Box::pin(call::call_tool(service, params, caller))),
    ("tasks/get", |service, params, caller| Box::pin(tasks::get(service, params, caller))),
    ("tasks/update", |service, params, caller| Box::pin(tasks::update(service, params, caller))),
    ("tasks/cancel", |service, params, caller| Box::pin(tasks::cancel(service, params, caller))),
    ("resources/list", |service, params, caller| Box::pin(resources::list(service, params, caller))),
    ("resources/templates/list", |service, params, caller| Box::pin(resources::templates(service, params, caller))),
    ("resources/read", |service, params, caller| Box::pin(resources::read(service, params, caller))),
    ("prompts/list", |service, params, caller| Box::pin(prompts::list(service, params, caller))),
    ("prompts/get", |service, params, caller| Box::pin(prompts::get(service, params, caller))),
    ("resources/subscribe", |service, params, caller| Box::pin(listen::subscribe(service, params, caller))),
    ("resources/unsubscribe", |service, params, caller| Box::pin(listen::unsubscribe(service, params, caller))),
    ("subscriptions/listen", |service, params, caller| Box::pin(listen::listen(service, params, caller))),
    ("completion/complete", |service, params, caller| Box::pin(completion::complete(service, params, caller))),
];

/// The methods of plain JSON-RPC that are no tools.
const PLAIN_METHODS: &[(&str, Method)] = &[
    (changes::SUBSCRIBE, |service, params, caller| Box::pin(changes::subscribe(service, params, caller))),
    (changes::UNSUBSCRIBE, |service, params, caller| Box::pin(changes::unsubscribe(service, params, caller))),
];

impl Server {
    /// A server with the usual options.
    pub fn new(bureau: Arc<Bureau>) -> std::result::Result<Arc<Self>, String> {
        Self::with(bureau, Options::default())
    }

    /// Fills the method tables.
    pub fn with(bureau: Arc<Bureau>, options: Options) -> std::result::Result<Arc<Self>, String> {
        let added = options.extension.as_ref().map(|extension| extension.tools()).unwrap_or_default();
        let service = Arc::new(Service {
            bureau: bureau.clone(),
            sessions: Sessions::default(),
            feed: Feed::new(bureau.clone()),
            confirm: options.confirm,
            extension: options.extension,
            lists: Lists::new(options.page.unwrap_or(listing::PAGE), added),
            tasks: tasks::Tasks::default(),
            sealing_key: OnceCell::new(),
        });
        // A name of two would go to one of them past the rights of the other.
        let added = service.extension.iter().flat_map(|extension| extension.tools());
        for name in added.filter_map(|tool| Some(tool.get("name")?.as_str()?.to_owned())) {
            if bureau.registry.find(&name).is_some() {
                return Err(format!("the extension's tool {name} has the name of one of Bureau's own"));
            }
        }
        let mut mcp = Methods::new();
        for (name, method) in METHODS {
            let service = service.clone();
            rpc::register(&mut mcp, name, move |params, caller| method(service.clone(), params, caller))?;
        }
        let mut plain = mcp.clone();
        for entry in bureau.registry.entries() {
            let (service, name) = (service.clone(), entry.tool.name);
            rpc::register(&mut plain, name, move |params, caller| {
                Box::pin(call::call_method(service.clone(), name, params, caller))
            })?;
        }
        for (name, method) in PLAIN_METHODS {
            let service = service.clone();
            rpc::register(&mut plain, name, move |params, caller| method(service.clone(), params, caller))?;
        }
        let described = service.clone();
        rpc::register(&mut plain, "rpc.discover", move |_, caller| {
            Box::pin(openrpc::describe(described.clone(), caller))
        })?;
        Ok(Arc::new(Self { bureau, service, mcp, plain }))
    }

    /// What a message says beside method and parameters, checked against its headers where the transport has such.
    pub fn envelope(
        &self,
        message: &Message<'_>,
        header: Option<&era::Headers<'_>>,
    ) -> std::result::Result<era::Envelope, ErrorObjectOwned> {
        let envelope = era::Envelope::of(message, header)?;
        if let (Some(extension), Some(header), rpc::Era::Stateless) = (&self.service.extension, header, envelope.era) {
            extension::check_parameter_headers(&**extension, message, header)?;
        }
        Ok(envelope)
    }

    /// Runs a request and wraps its outcome for the wire. The future outlives the message.
    pub fn answer(
        &self,
        face: Face,
        message: &Message<'_>,
        caller: Arc<Caller>,
    ) -> impl Future<Output = rpc::Response> + Send + use<> {
        let methods = if face == Face::Mcp { &self.mcp } else { &self.plain };
        let outcome = rpc::dispatch(methods, message, caller);
        let id = message.id().to_owned();
        async move { rpc::Response::new(&id, outcome.await) }
    }

    /// Has a session told of what changes, as far as its caller may know.
    pub async fn follow(&self, session: &Arc<Session>, caller: &Arc<Caller>) -> Result<()> {
        listen::follow(&self.service, session, caller).await
    }

    /// A session for the client whose `initialize` was just answered.
    pub async fn open_session(&self, message: &Message<'_>, caller: &Caller) -> Result<Arc<Session>> {
        greet::open_session(&self.service, message, caller).await
    }
}

/// The credential a call carries in its own arguments, for transports that must decide before they run it.
pub fn carries_session_token(message: &Message<'_>) -> bool {
    message.params_text().contains("\"_sessionToken\"")
}

/// Whether a message calls a tool that needs no credential.
pub fn calls_public_tool(registry: &Registry, face: Face, message: &Message<'_>) -> bool {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    match message.method.as_deref() {
        Some("tools/call") => serde_json::from_str::<Named<'_>>(message.params_text())
            .is_ok_and(|called| registry.is_public(&called.name)),
        Some(method) => face == Face::Plain && registry.is_public(method),
        None => false,
    }
}

/// Everything but `tools/call` checks the credential here; calls do so in the gate.
async fn principal(
    bureau: &Bureau,
    caller: &Caller,
) -> std::result::Result<Arc<bureau_kit::rights::Principal>, ErrorObjectOwned> {
    let shown =
        caller.shown.as_ref().ok_or_else(|| error(UNAUTHENTICATED, "No credential came with the connection"))?;
    bureau.principal_at(shown, caller.origin.address).await.map_err(|cause| protocol_error(&cause))
}

/// An error of the gate that no tool result can carry.
fn protocol_error(cause: &Error) -> ErrorObjectOwned {
    let code = if cause.code() == Code::Unauthenticated { UNAUTHENTICATED } else { INTERNAL_ERROR };
    ErrorObjectOwned::owned(code, cause.message().to_owned(), Some(Value::Object(cause.to_json())))
}

/// Whether an error means that nobody was recognised.
pub fn is_unauthenticated(code: i32) -> bool {
    code == UNAUTHENTICATED
}

/// The parameters of a method, which are given by name.
fn named<T: DeserializeOwned>(params: &Params<'_>, method: &str) -> std::result::Result<T, ErrorObjectOwned> {
    let text = params.as_str().unwrap_or("{}");
    if !text.starts_with('{') {
        return Err(error(INVALID_PARAMS, format!("`params` of {method} are given by name, in an object")));
    }
    serde_json::from_str(text).map_err(|cause| error(INVALID_PARAMS, format!("`params` of {method}: {cause}")))
}

async fn list(
    service: Arc<Service>,
    params: Params<'static>,
    caller: Arc<Caller>,
) -> std::result::Result<Bytes, ErrorObjectOwned> {
    #[derive(Deserialize)]
    struct Page {
        cursor: Option<Value>,
    }
    let page: Page = named(&params, "tools/list")?;
    let principal = principal(&service.bureau, &caller).await?;
    service.lists.result(&service.bureau, &principal, &caller, page.cursor.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_fit_what_clients_keep() {
        assert!(INSTRUCTIONS.len() < 2_000, "{} bytes", INSTRUCTIONS.len());
    }
}
