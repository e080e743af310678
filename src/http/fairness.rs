//! Fair shares: what one token, one tenant and one address may ask of the server at a time.
//!
//! A tenant is known by the token that was shown before: a token belongs to one tenant for as long as it lives, so it is
//! looked up once, and a request costs one look into a table. Nothing here decides a right; the gate does, at every call.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bureau_kit::access::Shown;
use bureau_kit::error::{Code, Error};
use bureau_kit::gate::Bureau;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::accept::network;
use super::connection::Peer;
use super::metrics::Metrics;

/// Requests of one token at once: an agent sends a handful, a program with a pool a few dozen.
const PER_PRINCIPAL: u32 = 64;
/// Calls of one tenant that run at once: more than a database works on at the same time, so that waiting costs nothing.
const RUNNING_PER_TENANT: u32 = 32;
/// Requests of one tenant that wait for their turn: some tenths of a second of work.
const WAITING_PER_TENANT: u32 = 256;
/// Calls a second of one tenant, over any time; twice as many at a stroke.
pub const CALLS_PER_SECOND: u32 = 2_000;
/// Credentials from one address that may be refused in a minute before it is asked to wait.
const FAILURES: u32 = 20;
/// How long failures count.
const FAILURE_WINDOW: Duration = Duration::from_secs(60);
/// The most of a tenant's share that one batch takes.
const BATCH_SHARE: u32 = 8;
/// Tokens and addresses remembered at most; beyond, those that nothing depends on are forgotten.
const REMEMBERED: usize = 20_000;

/// What may be asked at a time.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests of one token at once.
    pub per_principal: u32,
    /// Calls of one tenant that run at once.
    pub running_per_tenant: u32,
    /// Requests of one tenant that wait.
    pub waiting_per_tenant: u32,
    /// Calls a second of one tenant; 0 for any number.
    pub calls_per_second: u32,
    /// Refused credentials a minute from one address.
    pub failures: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_principal: PER_PRINCIPAL,
            running_per_tenant: RUNNING_PER_TENANT,
            waiting_per_tenant: WAITING_PER_TENANT,
            calls_per_second: CALLS_PER_SECOND,
            failures: FAILURES,
        }
    }
}

/// Why a request was not let in.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A limit was reached.
    Limited(Limited),
    /// The credential is nobody's.
    Unauthenticated,
    /// The look-up failed.
    Failed(Error),
}

/// A limit that was reached.
#[derive(Debug)]
pub(crate) struct Limited {
    /// What the caller is told: which limit, and what to do.
    pub(crate) message: String,
    /// In how many seconds it may try again.
    pub(crate) retry_after: u64,
}

/// Who shares what with whom.
#[derive(Debug)]
pub(crate) struct Fairness {
    limits: Limits,
    metrics: Arc<Metrics>,
    keys: RandomState,
    accounts: Mutex<HashMap<u64, Arc<Account>>>,
    shares: Mutex<HashMap<Uuid, Arc<Share>>>,
    failures: Mutex<HashMap<Option<IpAddr>, Failures>>,
}

/// One token.
#[derive(Debug)]
pub(crate) struct Account {
    share: Arc<Share>,
    running: AtomicU32,
}

/// What one tenant has of the server.
#[derive(Debug)]
struct Share {
    slots: Arc<Semaphore>,
    waiting: AtomicU32,
    bucket: Mutex<Bucket>,
}

/// Calls that may be made now; filled as time goes by.
#[derive(Debug)]
struct Bucket {
    calls: f64,
    filled: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    since: Instant,
    count: u32,
}

/// Leave to run a request; given back when dropped. Something that only waits, such as an open stream, should not keep it.
#[derive(Debug)]
pub(crate) struct Permit {
    /// How many calls of the request may run at once.
    pub(crate) at_once: usize,
    request: Counted,
    _slots: OwnedSemaphorePermit,
}

impl Permit {
    /// Gives the tenant's share back, and keeps the request counted.
    pub(crate) fn into_request(self) -> Counted {
        self.request
    }
}

/// One in a counter, taken back when dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    account: Arc<Account>,
    of: fn(&Account) -> &AtomicU32,
}

impl Counted {
    /// One more, unless there are `limit` already.
    fn new(account: &Arc<Account>, of: fn(&Account) -> &AtomicU32, limit: u32) -> Option<Self> {
        let one = Self { account: account.clone(), of };
        (of(account).fetch_add(1, Ordering::Relaxed) < limit).then_some(one)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.of)(&self.account).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Fairness {
    /// Nobody has asked for anything yet.
    pub(crate) fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        Self {
            limits,
            metrics,
            keys: RandomState::new(),
            accounts: Mutex::default(),
            shares: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// Lets a request of `calls` calls in, as soon as its tenant's share allows it.
    pub(crate) async fn admit(
        &self,
        bureau: &Bureau,
        shown: &Shown,
        peer: Peer,
        calls: usize,
    ) -> Result<Permit, Refusal> {
        let account = match self.known(shown, peer).map_err(Refusal::Limited)? {
            Some(account) => account,
            None => {
                let principal = bureau.principal(shown).await.map_err(|cause| {
                    if cause.code() == Code::Unauthenticated {
                        self.failed(peer);
                        Refusal::Unauthenticated
                    } else {
                        Refusal::Failed(cause)
                    }
                })?;
                self.account(self.key(shown), principal.tenant_id)
            }
        };
        self.enter(account, calls).await.map_err(Refusal::Limited)
    }

    /// Lets a request in that needs no credential. It counts for its address, and all of them share as one tenant does.
    pub(crate) async fn admit_nobody(&self, peer: Peer, calls: usize) -> Result<Permit, Refusal> {
        self.check_failures(peer).map_err(Refusal::Limited)?;
        let account = self.account(self.keys.hash_one(("nobody", peer.0)), Uuid::nil());
        self.enter(account, calls).await.map_err(Refusal::Limited)
    }

    /// Who showed this before, and was somebody. An unknown credential from an address with too many failures is refused:
    /// nobody shall try tokens at the speed of the database.
    pub(crate) fn known(&self, shown: &Shown, peer: Peer) -> Result<Option<Arc<Account>>, Limited> {
        let known = self.accounts.lock().unwrap_or_else(PoisonError::into_inner).get(&self.key(shown)).cloned();
        if known.is_none() {
            self.check_failures(peer)?;
        }
        Ok(known)
    }

    /// Short and not to be guessed; the token itself is not kept.
    fn key(&self, shown: &Shown) -> u64 {
        match shown {
            Shown::Token(token) => self.keys.hash_one(token),
            Shown::Verified(verified) => self.keys.hash_one((&verified.issuer, &verified.subject, &verified.tenant)),
            Shown::LocalOwner => 0,
        }
    }

    fn account(&self, key: u64, tenant: Uuid) -> Arc<Account> {
        let share = {
            let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
            shares.entry(tenant).or_insert_with(|| Arc::new(Share::new(&self.limits))).clone()
        };
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= REMEMBERED {
            accounts.retain(|_, account| account.running.load(Ordering::Relaxed) > 0);
        }
        accounts.entry(key).or_insert_with(|| Arc::new(Account { share, running: AtomicU32::new(0) })).clone()
    }

    /// Lets a request of somebody known in.
    pub(crate) async fn enter(&self, account: Arc<Account>, calls: usize) -> Result<Permit, Limited> {
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        let Limits { per_principal, running_per_tenant, waiting_per_tenant, calls_per_second, .. } = self.limits;
        let Some(running) = Counted::new(&account, |account| &account.running, per_principal) else {
            let message = format!(
                "This token has {per_principal} requests running, as many as it may. Wait for an answer before sending the next."
            );
            return Err(self.limited("principal", message, Duration::ZERO));
        };
        if let Err(wait) = account.share.draw(calls, calls_per_second) {
            let message = format!(
                "This tenant makes more than {calls_per_second} calls a second. Send fewer; a batch_call counts as one call."
            );
            return Err(self.limited("rate", message, wait));
        }
        let weight = calls.clamp(1, BATCH_SHARE.min(running_per_tenant));
        let slots = match account.share.slots.clone().try_acquire_many_owned(weight) {
            Ok(slots) => slots,
            Err(_) => {
                let waits = Counted::new(&account, |account| &account.share.waiting, waiting_per_tenant);
                let Some(_waits) = waits else {
                    let message = format!(
                        "This tenant has {running_per_tenant} calls running and {waiting_per_tenant} requests waiting, as many as it \
                         may. Send fewer at once."
                    );
                    return Err(self.limited("tenant", message, Duration::ZERO));
                };
                let slots = account.share.slots.clone().acquire_many_owned(weight).await;
                // Nobody closes it; were it so, nobody could be let in.
                slots.map_err(|cause| self.limited("tenant", cause.to_string(), Duration::ZERO))?
            }
        };
        Ok(Permit { at_once: usize::try_from(weight).unwrap_or(1), request: running, _slots: slots })
    }

    fn limited(&self, reason: &'static str, message: String, wait: Duration) -> Limited {
        self.metrics.limited(reason);
        Limited { message, retry_after: wait.as_secs().saturating_add(1) }
    }

    /// A credential was not accepted.
    pub(crate) fn failed(&self, peer: Peer) {
        self.metrics.failed_authentications.inc();
        let now = Instant::now();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= REMEMBERED {
            failures.retain(|_, failures| failures.left(now).is_some());
            if failures.len() >= REMEMBERED {
                failures.clear();
            }
        }
        let entry = failures.entry(peer.0.map(network)).or_insert(Failures { since: now, count: 0 });
        if entry.left(now).is_none() {
            *entry = Failures { since: now, count: 0 };
        }
        entry.count = entry.count.saturating_add(1);
    }

    /// Refuses an address from which too many credentials were not accepted, before another one is looked at.
    fn check_failures(&self, peer: Peer) -> Result<(), Limited> {
        let failures = {
            let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.get(&peer.0.map(network)).copied()
        };
        let Some(failures) = failures.filter(|failures| failures.count >= self.limits.failures) else { return Ok(()) };
        let Some(left) = failures.left(Instant::now()) else { return Ok(()) };
        let message = "Too many credentials from your address were not accepted. Check the token, wait, and try again.";
        Err(self.limited("failures", message.into(), left))
    }

    /// A credential that was good is so no more: the next request with it is looked up again.
    pub(crate) fn forget(&self, shown: &Shown) {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key(shown));
    }
}

impl Failures {
    /// How long they still count.
    fn left(&self, now: Instant) -> Option<Duration> {
        FAILURE_WINDOW.checked_sub(now.saturating_duration_since(self.since)).filter(|left| !left.is_zero())
    }
}

impl Share {
    fn new(limits: &Limits) -> Self {
        let slots = usize::try_from(limits.running_per_tenant).unwrap_or(usize::MAX);
        Self {
            slots: Arc::new(Semaphore::new(slots)),
            waiting: AtomicU32::new(0),
            bucket: Mutex::new(Bucket { calls: f64::from(limits.calls_per_second) * 2.0, filled: Instant::now() }),
        }
    }

    /// Takes calls out of the bucket; when there are too few, how long it takes until there are enough.
    fn draw(&self, calls: u32, per_second: u32) -> Result<(), Duration> {
        if per_second == 0 {
            return Ok(());
        }
        let rate = f64::from(per_second);
        let most = rate * 2.0;
        let wanted = f64::from(calls).min(most);
        let now = Instant::now();
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(bucket.filled).as_secs_f64() * rate;
        bucket.calls = (bucket.calls + gained).min(most);
        bucket.filled = now;
        if bucket.calls < wanted {
            return Err(Duration::from_secs_f64((wanted - bucket.calls) / rate));
        }
        bucket.calls -= wanted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fairness(limits: Limits) -> Fairness {
        Fairness::new(limits, Arc::new(Metrics::new(std::iter::empty())))
    }

    fn tenant(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[tokio::test]
    async fn a_token_and_a_tenant_have_their_share_and_no_more() {
        let limits = Limits { per_principal: 3, running_per_tenant: 4, waiting_per_tenant: 1, ..Limits::default() };
        let fairness = fairness(limits);
        let [first, second, other] =
            [(1, 1), (2, 1), (3, 2)].map(|(key, number)| fairness.account(key, tenant(number)));
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(fairness.enter(first.clone(), 1).await.unwrap());
        }
        let refused = fairness.enter(first.clone(), 1).await.unwrap_err();
        assert_eq!(
            (refused.message.as_str(), refused.retry_after),
            ("This token has 3 requests running, as many as it may. Wait for an answer before sending the next.", 1)
        );
        held.push(fairness.enter(second.clone(), 1).await.unwrap());
        // The tenant's share is used up: one waits, the next is refused, and another tenant notices nothing.
        let mut waiting = std::pin::pin!(fairness.enter(second.clone(), 1));
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(waiting.as_mut().poll(context).is_pending())).await
        );
        let refused = fairness.enter(second.clone(), 1).await.unwrap_err();
        assert_eq!(
            refused.message,
            "This tenant has 4 calls running and 1 requests waiting, as many as it may. Send fewer at once."
        );
        assert_eq!(fairness.enter(other.clone(), 50).await.unwrap().at_once, 4);
        held.remove(0);
        held.push(waiting.await.unwrap());
        drop(held);
        assert_eq!(first.share.slots.available_permits(), 4);
        let counts = [&first.running, &second.running, &other.running, &first.share.waiting];
        assert_eq!(counts.map(|count| count.load(Ordering::Relaxed)), [0; 4]);
    }

    #[tokio::test]
    async fn calls_beyond_the_rate_are_told_to_wait() {
        let fairness = fairness(Limits { calls_per_second: 1, ..Limits::default() });
        let account = fairness.account(1, tenant(1));
        drop(fairness.enter(account.clone(), 2).await.unwrap());
        let refused = fairness.enter(account.clone(), 2).await.unwrap_err();
        assert_eq!(
            (refused.message.as_str(), refused.retry_after),
            ("This tenant makes more than 1 calls a second. Send fewer; a batch_call counts as one call.", 2)
        );
        assert!(fairness.enter(fairness.account(2, tenant(2)), 50).await.is_ok(), "a batch larger than the bucket");
        let unlimited = self::fairness(Limits { calls_per_second: 0, ..Limits::default() });
        let account = unlimited.account(1, tenant(1));
        for _ in 0..10_000 {
            drop(unlimited.enter(account.clone(), 50).await.unwrap());
        }
    }

    #[test]
    fn failures_of_one_address_are_counted_and_end() {
        let fairness = fairness(Limits { failures: 2, ..Limits::default() });
        let peer = |address: &str| Peer(Some(address.parse().unwrap()));
        let (bad, good) = (peer("2001:db8::1"), peer("2001:db8:1::1"));
        fairness.failed(bad);
        assert!(fairness.check_failures(bad).is_ok());
        fairness.failed(peer("2001:db8::2"));
        let refused = fairness.check_failures(bad).unwrap_err();
        assert_eq!(
            refused.message,
            "Too many credentials from your address were not accepted. Check the token, wait, and try again."
        );
        assert!((59..=60).contains(&refused.retry_after), "{refused:?}");
        assert!(fairness.check_failures(good).is_ok() && fairness.check_failures(Peer(None)).is_ok());
        let over = Failures { since: Instant::now(), count: 2 };
        assert_eq!(over.left(over.since + FAILURE_WINDOW), None);
    }
}
