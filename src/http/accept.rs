//! The accept loop: connections taken, counted, bounded and drained.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::connection::{self, Peer, Timeouts, Turns, Watched};
use super::listen::{Listener, Stream};
use super::metrics::Metrics;
use super::tls::Tls;

/// Connections held at most: twice the sessions that one server is meant for, at some 20 kB each.
const CONNECTIONS: u32 = 20_000;
/// Connections of one address elsewhere: a proxy or an office needs hundreds, and twenty addresses to fill the server.
/// This machine is exempt: a proxy on it brings everybody.
const CONNECTIONS_PER_PEER: u32 = 1_000;
/// Descriptors kept for the database, files and outgoing connections.
const OTHER_DESCRIPTORS: u32 = 256;
/// Pause after an accept that failed, mostly for want of descriptors: trying at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What every connection is served with.
pub(super) struct Serving {
    pub(super) router: Router,
    pub(super) timeouts: Timeouts,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) metrics: Arc<Metrics>,
}

/// Takes connections until `stop` resolves, then lets running requests finish.
pub(super) async fn run(
    serving: Serving,
    listeners: Vec<Listener>,
    stopping: watch::Sender<bool>,
    stop: impl Future<Output = ()>,
) {
    let limit = connection_limit();
    let slots = Arc::new(Slots::new(limit, CONNECTIONS_PER_PEER, serving.metrics.clone()));
    let serving = Arc::new(serving);
    // Dropping this future drops the tasks, and with them the listeners.
    let mut accepting = JoinSet::new();
    if let Some(tls) = serving.tls.clone() {
        accepting.spawn(tls.keep_fresh(serving.timeouts.certificate_check));
    }
    for listener in listeners {
        accepting.spawn(accept_from(listener, serving.clone(), slots.clone(), stopping.subscribe()));
    }
    stop.await;
    accepting.shutdown().await;
    stopping.send_replace(true);
    if tokio::time::timeout(serving.timeouts.drain, slots.free.acquire_many(limit)).await.is_err() {
        tracing::warn!("some connections did not end in time and are closed");
    }
    // `stopping` goes here: whoever still waits on it is told that the time is over.
}

async fn accept_from(listener: Listener, serving: Arc<Serving>, slots: Arc<Slots>, stopping: watch::Receiver<bool>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some(slot) = Slots::take(&slots, peer) {
                    tokio::spawn(serve_stream(stream, peer, slot, serving.clone(), stopping.clone()));
                }
            }
            Err(cause) => {
                // Out of descriptors, or a client gone before it was taken: neither may end the server.
                tracing::warn!(%cause, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_stream(stream: Stream, peer: Peer, slot: Slot, serving: Arc<Serving>, stopping: watch::Receiver<bool>) {
    match stream {
        Stream::Tcp(stream) => serve_over(stream, serving.tls.clone(), peer, slot, &serving, stopping).await,
        // Who can open the socket is on this machine: there is nobody to hide from on the way.
        #[cfg(unix)]
        Stream::Unix(stream) => serve_over(stream, None, peer, slot, &serving, stopping).await,
    }
}

async fn serve_over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    tls: Option<Arc<Tls>>,
    peer: Peer,
    slot: Slot,
    serving: &Serving,
    mut stopping: watch::Receiver<bool>,
) {
    let turns = Arc::new(Turns::default());
    let router = serving.router.clone();
    let stream = Watched::new(stream, turns.clone(), serving.timeouts, serving.metrics.clone(), slot);
    let Some(tls) = tls else { return connection::serve(stream, turns, router, peer, stopping).await };
    let handshake = tokio::time::timeout(serving.timeouts.handshake, tls.acceptor().accept(stream));
    let outcome = tokio::select! {
        outcome = handshake => outcome,
        _ = stopping.wait_for(|stop| *stop) => return,
    };
    match outcome {
        Ok(Ok(mut stream)) => {
            stream.get_mut().0.await_request();
            connection::serve(stream, turns, router, peer, stopping).await;
        }
        Ok(Err(cause)) => tracing::debug!(%cause, "a TLS handshake failed"),
        Err(_) => serving.metrics.connection_timed_out("handshake"),
    }
}

/// The places for connections.
pub(super) struct Slots {
    free: Arc<Semaphore>,
    per_peer: u32,
    peers: Mutex<HashMap<IpAddr, u32>>,
    metrics: Arc<Metrics>,
}

/// A connection's place; free again when dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    peer: Option<IpAddr>,
    _place: OwnedSemaphorePermit,
}

impl Slots {
    fn new(limit: u32, per_peer: u32, metrics: Arc<Metrics>) -> Self {
        let places = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { free: Arc::new(Semaphore::new(places)), per_peer, peers: Mutex::default(), metrics }
    }

    /// A place, or none when there are too many connections, or too many from this peer.
    fn take(slots: &Arc<Self>, peer: Peer) -> Option<Slot> {
        let peer = peer.0.filter(|address| !address.is_loopback()).map(network);
        let Ok(place) = slots.free.clone().try_acquire_owned() else {
            slots.metrics.connection_refused("too_many");
            return None;
        };
        if let Some(peer) = peer {
            let mut peers = slots.peers.lock().unwrap_or_else(PoisonError::into_inner);
            let held = peers.entry(peer).or_default();
            if *held >= slots.per_peer {
                slots.metrics.connection_refused("too_many_of_peer");
                return None;
            }
            *held = held.saturating_add(1);
        }
        slots.metrics.connections.inc();
        slots.metrics.connections_open.inc();
        Some(Slot { slots: slots.clone(), peer, _place: place })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.metrics.connections_open.dec();
        let Some(peer) = self.peer else { return };
        let mut peers = self.slots.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let left = peers.get(&peer).map_or(0, |held| held.saturating_sub(1));
        if left == 0 {
            peers.remove(&peer);
        } else {
            peers.insert(peer, left);
        }
    }
}

/// Whom an address stands for: one machine, or for IPv6 the network of a customer, who has 2⁶⁴ addresses to choose from.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// As many connections as the process may have descriptors for, after asking for as many as it needs.
#[cfg(unix)]
fn connection_limit() -> u32 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = u64::from(CONNECTIONS.saturating_add(OTHER_DESCRIPTORS));
    let allowed = getrlimit(Resource::Nofile);
    let Some(mut current) = allowed.current else { return CONNECTIONS };
    if current < wanted {
        // Many systems give 1,024 and let a program ask for more.
        let more = allowed.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        if setrlimit(Resource::Nofile, Rlimit { current: Some(more), maximum: allowed.maximum }).is_ok() {
            current = more;
        }
    }
    let limit = u32::try_from(current).unwrap_or(u32::MAX).saturating_sub(OTHER_DESCRIPTORS).clamp(1, CONNECTIONS);
    if limit < CONNECTIONS {
        tracing::debug!(limit, "the limit of open files (ulimit -n) bounds the connections");
    }
    limit
}

#[cfg(not(unix))]
fn connection_limit() -> u32 {
    CONNECTIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer(Some(address.parse().unwrap()))
    }

    #[tokio::test]
    async fn places_are_limited_for_all_and_for_each_peer_elsewhere() {
        let metrics = Arc::new(Metrics::new(std::iter::empty()));
        let slots = Arc::new(Slots::new(5, 2, metrics));
        let take = |address: &str| Slots::take(&slots, peer(address));
        let first = take("192.0.2.1").unwrap();
        let _second = take("192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none(), "a third of one peer");
        let _third = take("2001:db8::1").unwrap();
        let _fourth = take("2001:db8::ffff").unwrap();
        assert!(take("2001:db8::2:3").is_none(), "a third of one network");
        drop(first);
        let again = take("192.0.2.1").unwrap();
        let here = take("127.0.0.1").unwrap();
        assert!(take("127.0.0.1").is_none() && Slots::take(&slots, Peer(None)).is_none(), "a sixth of all");
        drop(again);
        let _here_again = take("127.0.0.1").unwrap();
        drop(here);
        let _and_again = take("::1").unwrap();
        let refused = |reason: &str| format!("bureau_connections_refused_total{{reason=\"{reason}\"}} ");
        let text = slots.metrics.text();
        assert!(text.contains(&(refused("too_many") + "2\n")), "{text}");
        assert!(text.contains(&(refused("too_many_of_peer") + "2\n")), "{text}");
        assert!(text.contains("bureau_connections_open 5\n"), "{text}");
        assert_eq!(slots.peers.lock().unwrap().values().sum::<u32>(), 3);
    }
}
