//! Wrong passwords and the like are counted, so that nobody tries many.
//!
//! The counts are this process's own: they slow down whoever guesses, and decide nothing else. They follow the server's
//! clock, and hold no address and no name, only a hash of them.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::guards::{Guard, stands};
use crate::time::Instant;

/// How long attempts are remembered.
const MINUTES: i64 = 15;
/// Beyond this many, those that are over are forgotten; then all.
const REMEMBERED: usize = 100_000;

/// Attempts of the last quarter of an hour, by what they were at.
#[derive(Debug, Default)]
pub struct Attempts {
    keys: RandomState,
    counted: Mutex<HashMap<u64, Counted>>,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    since: Instant,
    count: u32,
}

impl Attempts {
    /// Refuses when there were `limit` attempts at this already; says when to come back.
    pub fn check(&self, at: impl Hash, limit: u32, now: Instant) -> Result<()> {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(found) =
            counted.get(&self.keys.hash_one(at)).filter(|found| found.is_recent(now) && stands(Guard::LoginAttempts))
        else {
            return Ok(());
        };
        if found.count < limit {
            return Ok(());
        }
        let wait = found.since.plus_minutes(MINUTES).micros().saturating_sub(now.micros()).div_euclid(1_000_000).max(1);
        Err(Error::rate_limited(format!("Too many attempts. Wait {wait} seconds before the next one."))
            .with("retry_after_seconds", wait))
    }

    /// Counts one more.
    pub fn count(&self, at: impl Hash, now: Instant) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= REMEMBERED {
            counted.retain(|_, found| found.is_recent(now));
            if counted.len() >= REMEMBERED {
                counted.clear();
            }
        }
        let found = counted.entry(self.keys.hash_one(at)).or_insert(Counted { since: now, count: 0 });
        if !found.is_recent(now) {
            *found = Counted { since: now, count: 0 };
        }
        found.count = found.count.saturating_add(1);
    }

    /// Forgets them: the right password was given.
    pub fn clear(&self, at: impl Hash) {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.keys.hash_one(at));
    }
}

impl Counted {
    fn is_recent(&self, now: Instant) -> bool {
        now < self.since.plus_minutes(MINUTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_for_a_quarter_of_an_hour_and_for_one_key() {
        let attempts = Attempts::default();
        let start = Instant::parse("2026-11-27T10:00:00Z").unwrap();
        for _ in 0..3 {
            attempts.check("anna", 3, start).unwrap();
            attempts.count("anna", start);
        }
        let error = attempts.check("anna", 3, start.plus_minutes(5)).unwrap_err();
        assert_eq!(error.message(), "Too many attempts. Wait 600 seconds before the next one.");
        attempts.check("piotr", 3, start).unwrap();
        attempts.check("anna", 3, start.plus_minutes(15)).unwrap();
        attempts.clear("anna");
        attempts.check("anna", 3, start).unwrap();
    }
}
