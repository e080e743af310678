//! The gate: every call, from every transport, takes the same nine steps.

mod admit;
mod meant;
mod nested;
mod observe;
mod outside;
mod repeat;
mod reserved;
mod run;
mod selection;
mod system;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::access::{Principals, Shown};
use crate::accesses::Accesses;
use crate::attempts::Attempts;
use crate::db::{Db, Tx};
use crate::dialogue::{Dialogue, Question};
use crate::egress::Guard;
use crate::error::{Code, Error, Result};
use crate::events::Subscribers;
use crate::id::Ids;
use crate::installation::Installation;
use crate::outbox::Outbox;
use crate::registry::Registry;
use crate::rights::Principal;
use crate::services::Services;
use crate::time::Clock;
use crate::tool::ErrorShape;
use crate::uses::Uses;
use crate::vault::Vault;

use admit::admit;
use meant::Meant;
use reserved::Reserved;

pub(crate) use meant::executor_for;
pub use observe::Observer;
pub use outside::Outside;
pub use repeat::SHOWN_ONCE;
pub(crate) use run::spend_write;
pub use selection::{DISCOVERY, Selection};

/// Everything a running server shares.
#[derive(Debug)]
pub struct Bureau {
    /// All tools and tables.
    pub registry: Registry,
    /// The database.
    pub db: Db,
    /// Where time comes from.
    pub clock: Clock,
    /// Where ids come from.
    pub ids: Ids,
    pub(crate) principals: Principals,
    /// Wrong passwords and the like, so that nobody tries many.
    pub attempts: Attempts,
    pub(crate) accesses: Accesses,
    pub(crate) uses: Uses,
    /// What whoever runs the server has decided for all tenants.
    pub installation: Installation,
    pub(crate) services: Services,
    observer: OnceLock<Arc<dyn Observer>>,
    committed: watch::Sender<()>,
    /// What leaves the database, as far as this process carries it.
    pub outbox: Outbox,
    /// The secrets that have to be read again.
    pub vault: Vault,
    /// Where it may go on behalf of its users. Public addresses only, unless this says more.
    pub egress: OnceLock<Guard>,
    pub(crate) subscribers: Subscribers,
}

/// How a call reached us: for the journal and the log. Only the address decides anything: which keys are good there, and how
/// many wrong passwords it may try.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// `stdio`, `http`, `rpc`, `cli`.
    pub transport: &'static str,
    /// What the client calls itself.
    pub client: Option<String>,
    /// Where its connection comes from, over the network.
    pub address: Option<IpAddr>,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    /// Name or alias of the tool.
    pub tool: String,
    /// Its arguments, reserved ones included.
    pub arguments: Map<String, Value>,
    /// The credential that came with the connection.
    pub shown: Option<Shown>,
    /// What is switched on where the call came in.
    pub selection: Selection,
    /// How it came in.
    pub origin: Origin,
    /// What its caller can be told and asked meanwhile.
    pub dialogue: Dialogue,
}

/// What a call came to.
#[derive(Debug)]
pub enum Outcome {
    /// A finished answer: a JSON object, as bytes.
    Done {
        /// The object.
        body: Vec<u8>,
        /// Whether it describes an error.
        is_error: bool,
    },
    /// Nothing was done yet: the call is to be made again with a reply to this in its dialogue.
    Asks(Question),
    /// The caller is nobody: a transport with a status for that uses it.
    Unauthenticated(Error),
    /// There is no such tool; holds what to say.
    UnknownTool(String),
}

/// Why a call was not carried out.
enum Refusal {
    UnknownTool(String),
    Error(Error, Option<ErrorShape>),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error, None)
    }
}

impl Bureau {
    /// A server over an open database.
    pub fn new(registry: Registry, db: Db, clock: Clock, ids: Ids) -> Arc<Self> {
        let installation = Installation::new(clock.now());
        Arc::new(Self {
            registry,
            db,
            clock,
            ids,
            principals: Principals::default(),
            attempts: Attempts::default(),
            accesses: Accesses::default(),
            uses: Uses::default(),
            installation,
            services: Services::default(),
            observer: OnceLock::new(),
            committed: watch::Sender::default(),
            outbox: Outbox::default(),
            vault: Vault::default(),
            egress: OnceLock::new(),
            subscribers: Subscribers::default(),
        })
    }

    /// What may be dialled on behalf of users.
    pub fn egress(&self) -> &Guard {
        self.egress.get_or_init(Guard::default)
    }

    /// Stores what is only in memory yet, and closes the database.
    pub async fn close(&self) {
        self.store().await;
        self.db.close().await;
    }

    /// Stores what is only in memory yet: looks at records, uses of credentials. Costs nothing when there is nothing.
    pub async fn store(&self) {
        if let Err(error) = self.flush_accesses().await {
            tracing::warn!(%error, "the newest reads are missing in the access log");
        }
        if let Err(error) = self.store_uses().await {
            tracing::warn!(%error, "the last uses of credentials could not be stored");
        }
    }

    /// The same as [`Bureau::principal`] for somebody who comes from a network address: a key may be tied to some.
    pub async fn principal_at(&self, shown: &Shown, address: Option<IpAddr>) -> Result<Arc<Principal>> {
        let principal = self.principal(shown).await?;
        principal.check_address(address)?;
        Ok(principal)
    }

    /// Whose credential this is, right now, wherever it is shown; see [`Bureau::principal_at`].
    pub async fn principal(&self, shown: &Shown) -> Result<Arc<Principal>> {
        // Boxed: it is large, seldom runs, and would be part of every future in which somebody might be looked up.
        let found = Box::pin(async {
            let mut tx = self.db.read().await?;
            let principal = self.principals.find(&mut tx, &self.vault, shown, self.clock.now()).await;
            tx.commit().await?;
            principal
        });
        found.await
    }

    /// Carries out one call: who, tool, input, repeat, transaction, handler, journal, commit, answer.
    pub async fn call(self: &Arc<Self>, call: Call) -> Outcome {
        let name = call.tool.clone();
        let started = std::time::Instant::now();
        let outcome = self.run(call).await;
        self.tell(&name, &outcome, started.elapsed());
        match outcome {
            Ok(body) => Outcome::Done { body, is_error: false },
            Err(Refusal::UnknownTool(text)) => Outcome::UnknownTool(text),
            Err(Refusal::Error(error, _)) if error.code() == Code::Unauthenticated => Outcome::Unauthenticated(error),
            Err(Refusal::Error(error, shape)) => {
                if let Some(question) = error.question() {
                    return Outcome::Asks(question.clone());
                }
                let error = error.reported(&name, self.ids.next(self.clock.now()));
                let mut body = error.to_json();
                if let Some(shape) = shape {
                    body.extend(shape(&error));
                }
                Outcome::Done { body: Value::Object(body).to_string().into_bytes(), is_error: true }
            }
        }
    }

    async fn run(self: &Arc<Self>, mut call: Call) -> Result<Vec<u8>, Refusal> {
        let mut tx = self.db.read().await?;
        let (meant, principal, reserved) = match self.checked(&mut tx, &mut call).await {
            Ok(checked) => checked,
            Err(refusal) => {
                tx.rollback().await?;
                return Err(refusal);
            }
        };
        let tool = &meant.entry.tool;
        let outcome = if let Some(prepare) = &tool.outside {
            tx.commit().await?;
            self.outside(tool, prepare, call, principal, reserved).await
        } else if tool.writes() {
            tx.commit().await?;
            self.write(tool.clone(), call, principal, reserved).await
        } else {
            self.read(tool, call, principal, tx).await
        };
        let answer = outcome.and_then(|body| meant.answer(body));
        answer.map_err(|error| Refusal::Error(error, tool.error_shape))
    }

    /// Steps one to three: who calls, which tool, and the gate's own part of the input.
    async fn checked(&self, tx: &mut Tx, call: &mut Call) -> Result<(Meant<'_>, Arc<Principal>, Reserved), Refusal> {
        let principal = self.who(tx, call).await?;
        self.uses.count(&principal, &call.origin, self.clock.now());
        let meant = self.meant(&principal, call)?;
        let entry = meant.entry;
        let refuse = |error| Refusal::Error(error, entry.tool.error_shape);
        admit(&principal, &call.selection, entry).map_err(refuse)?;
        let reserved = Reserved::take(&entry.tool, &mut call.arguments).map_err(refuse)?;
        Ok((meant, principal, reserved))
    }
}
