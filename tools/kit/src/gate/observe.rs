//! Who is told of every call's end, for counting.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Bureau, Refusal};
use crate::error::Code;

/// Is told of every call that named a tool. Must be quick: it is asked on the way to the answer.
pub trait Observer: std::fmt::Debug + Send + Sync {
    /// A call of `tool` (its own name, never an alias) ended; `error` is the code of what it answered.
    fn called(&self, tool: &'static str, error: Option<&'static str>, took: Duration);
}

impl Bureau {
    /// Has every call told to `observer` from now on. There is one: a second is not heard.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        let _ = self.observer.set(observer);
    }

    /// Rings at every write that this process commits: whoever follows the journal need not wait for their next look.
    pub fn commits(&self) -> watch::Receiver<()> {
        self.committed.subscribe()
    }

    pub(super) fn tell(&self, tool: &str, outcome: &Result<Vec<u8>, Refusal>, took: Duration) {
        let Some((observer, entry)) = self.observer.get().zip(self.registry.find(tool)) else { return };
        let error = match outcome {
            Ok(_) => None,
            Err(Refusal::UnknownTool(_)) => return,
            Err(Refusal::Error(error, _)) if error.question().is_some() => Some("asks"),
            Err(Refusal::Error(error, _)) => Some(name(error.code())),
        };
        observer.called(entry.tool.name, error, took);
    }
}

/// The code as callers see it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Validation => "validation",
        Code::Unauthenticated => "unauthenticated",
        Code::Forbidden => "forbidden",
        Code::NotFound => "not_found",
        Code::Conflict => "conflict",
        Code::ImpossibleState => "impossible_state",
        Code::RateLimited => "rate_limited",
        Code::ProviderUnavailable => "provider_unavailable",
        Code::Internal => "internal",
    }
}
