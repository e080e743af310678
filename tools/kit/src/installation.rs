//! What whoever runs the server has decided for all tenants, and what the server knows of itself.
//!
//! The server's options set these once at its start; tools read them. Nothing here is a secret, and nothing may become one:
//! [`Fact`]s are shown as they are.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;

use crate::ctx::Ctx;
use crate::dns::DnsResolver;
use crate::error::Result;
use crate::time::Instant;
use crate::tool::BoxFuture;

/// Stores what the groups of tools want every tenant to begin with.
pub type Seed = for<'a> fn(&'a mut Ctx) -> BoxFuture<'a, Result<()>>;

/// Whether people may open accounts by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SelfService {
    /// They may not.
    #[default]
    Off,
    /// They may, and prove their address by a mail first.
    Verified,
    /// Programs may also open one at once, whatever address they give.
    Unverified,
}

/// Something that `system_status_show` tells.
#[derive(Debug, Clone)]
pub struct Fact {
    /// What it is about, such as `limits`.
    pub category: &'static str,
    /// Its name.
    pub key: &'static str,
    /// What is in force; null when it is not set.
    pub value: Value,
    /// What is in force when nobody says.
    pub default: Value,
}

/// The running server, as its options made it.
#[derive(Debug)]
pub struct Installation {
    started_at: Instant,
    self_service: OnceLock<SelfService>,
    resolver: OnceLock<Arc<dyn DnsResolver>>,
    seed: OnceLock<Seed>,
    facts: Mutex<Vec<Fact>>,
}

impl Installation {
    pub(crate) fn new(started_at: Instant) -> Self {
        Self {
            started_at,
            self_service: OnceLock::new(),
            resolver: OnceLock::new(),
            seed: OnceLock::new(),
            facts: Mutex::default(),
        }
    }

    /// When this process began to serve.
    pub fn started_at(&self) -> Instant {
        self.started_at
    }

    /// Decides whether people may open accounts by themselves; what was decided first stands.
    pub fn allow_self_service(&self, wanted: SelfService) {
        self.self_service.get_or_init(|| wanted);
    }

    /// Whether people may open accounts by themselves.
    pub fn self_service(&self) -> SelfService {
        self.self_service.get().copied().unwrap_or_default()
    }

    /// Names who answers questions to the domain name system.
    pub fn resolve_by(&self, resolver: Arc<dyn DnsResolver>) {
        self.resolver.get_or_init(|| resolver);
    }

    /// Who answers questions to the domain name system; none when this process asks nobody.
    pub fn resolver(&self) -> Option<Arc<dyn DnsResolver>> {
        self.resolver.get().cloned()
    }

    /// Names what every new tenant begins with.
    pub fn seed_by(&self, seed: Seed) {
        self.seed.get_or_init(|| seed);
    }

    /// What every new tenant begins with.
    pub fn seed(&self) -> Option<Seed> {
        self.seed.get().copied()
    }

    /// Adds to what `system_status_show` tells.
    pub fn tell(&self, facts: impl IntoIterator<Item = Fact>) {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).extend(facts);
    }

    /// What `system_status_show` tells beside what it sees by itself.
    pub fn facts(&self) -> Vec<Fact> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
