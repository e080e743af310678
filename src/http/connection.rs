//! One connection: how long its peer may take, and how it is told that the server ends.
//!
//! hyper's own header timeout also runs while a kept-alive connection idles, and it has none for a peer that does not
//! read. So the stream itself keeps the time: it knows when bytes come and go, and [`Turns`] tells it whether a request
//! is being answered. Nothing is timed during an answer: a stream of events may stay open for hours.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};
use tower::Service as _;

use super::accept::Slot;
use super::metrics::Metrics;

/// A whole head fits in one packet or a few; whoever takes longer sends it in drops to hold the connection.
const HEAD: Duration = Duration::from_secs(15);
/// Who connects wants something; clients that connect ahead of need do so by seconds.
const FIRST_REQUEST: Duration = Duration::from_secs(15);
/// Longer than a model thinks between two calls, shorter than most proxies keep an idle connection (so that those close first).
const IDLE: Duration = Duration::from_secs(120);
/// Not one byte taken for this long: the peer does not read, and its answer holds memory.
const STALLED_WRITE: Duration = Duration::from_secs(30);
/// A TLS handshake is two or three round trips.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long running calls may take to finish after the signal to stop: what service managers wait for at least.
const DRAIN: Duration = Duration::from_secs(10);
/// New certificates replace old ones days before those expire; SIGHUP is for the impatient.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(30);
/// Shorter than proxies keep a quiet connection.
const PING: Duration = Duration::from_secs(30);
/// Whoever comes back later connects anew.
const WEBSOCKET_IDLE: Duration = Duration::from_secs(600);
/// Bytes of all headers together.
const HEAD_BYTES: usize = 32 * 1024;

/// How long each step may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From the first byte of a request's head to its end.
    pub head: Duration,
    /// From the start of a connection to the first byte of its first request.
    pub first_request: Duration,
    /// From the last byte of an answer to the first byte of the next request.
    pub idle: Duration,
    /// For the peer to take a byte of what is being written.
    pub stalled_write: Duration,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// For running requests, once the server is to stop.
    pub drain: Duration,
    /// Between two looks at the certificate's files.
    pub certificate_check: Duration,
    /// Between two pings on a WebSocket; two that are not answered end it.
    pub ping: Duration,
    /// For a WebSocket on which nothing is asked and nothing subscribed to.
    pub websocket_idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: HEAD,
            first_request: FIRST_REQUEST,
            idle: IDLE,
            stalled_write: STALLED_WRITE,
            handshake: HANDSHAKE,
            drain: DRAIN,
            certificate_check: CERTIFICATE_CHECK,
            ping: PING,
            websocket_idle: WEBSOCKET_IDLE,
        }
    }
}

/// Who is at the other end: taken from the connection, never from a header. None for a Unix socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) Option<IpAddr>);

/// Whose turn it is on a connection: even, and the peer is to send; odd, and a request is being answered.
#[derive(Debug, Default)]
pub(super) struct Turns {
    count: AtomicU32,
    /// No further request is waited for.
    ended: AtomicBool,
}

impl Turns {
    fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    fn answering(count: u32) -> bool {
        !count.is_multiple_of(2)
    }
}

/// Held while a request is being answered, to the last byte of its body.
struct Turn {
    turns: Arc<Turns>,
    /// The connection now speaks another protocol, which keeps its own time.
    upgraded: bool,
}

impl Turn {
    fn begin(turns: &Arc<Turns>) -> Self {
        turns.count.fetch_add(1, Ordering::Relaxed);
        Self { turns: turns.clone(), upgraded: false }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.upgraded {
            self.turns.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A body, and what is held for as long as it is being sent.
pub(super) struct Held<T> {
    body: Body,
    _held: T,
}

impl<T> Held<T> {
    pub(super) fn new(body: Body, held: T) -> Self {
        Self { body, _held: held }
    }
}

impl<T: Unpin> http_body::Body for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// A stream that gives up on a peer that takes too long. It holds the connection's slot, also once it was upgraded.
pub(super) struct Watched<S> {
    stream: S,
    turns: Arc<Turns>,
    timeouts: Timeouts,
    metrics: Arc<Metrics>,
    /// What was counted when the present wait began.
    seen: u32,
    /// Whether a byte of the awaited request has come.
    heard: bool,
    /// When the peer was first waited for: for its first byte, or for the rest of the head.
    since: Option<Instant>,
    /// Rings at the deadline or earlier, and is then set anew: no request has to set it.
    alarm: Pin<Box<Sleep>>,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    _slot: Slot,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, turns: Arc<Turns>, timeouts: Timeouts, metrics: Arc<Metrics>, slot: Slot) -> Self {
        Self {
            stream,
            turns,
            timeouts,
            metrics,
            seen: 0,
            heard: false,
            since: None,
            alarm: Box::pin(sleep(timeouts.first_request.min(timeouts.idle))),
            stalled: None,
            _slot: slot,
        }
    }

    /// What came so far was a handshake: the first request is awaited from now on.
    pub(super) fn await_request(&mut self) {
        self.heard = false;
        self.since = None;
    }

    /// Notices that an answer has ended since the last look. Whether one is being given now.
    fn is_answering(&mut self) -> bool {
        let count = self.turns.count();
        if count != self.seen {
            self.seen = count;
            self.await_request();
        }
        Turns::answering(count)
    }

    fn hear(&mut self) {
        if !self.is_answering() && !self.heard {
            self.heard = true;
            self.since = None;
        }
    }

    /// Nothing has come: an error once that has lasted too long.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        if self.is_answering() {
            // hyper may not read again before the alarm rings, so it must be set.
            if self.alarm.as_mut().poll(context).is_ready() {
                let later = Instant::now().checked_add(self.timeouts.idle).unwrap_or_else(Instant::now);
                self.alarm.as_mut().reset(later);
                ready!(self.alarm.as_mut().poll(context));
            }
            return Poll::Pending;
        }
        if self.turns.ended.load(Ordering::Relaxed) {
            return Poll::Ready(io::Error::new(io::ErrorKind::ConnectionAborted, "the server stops"));
        }
        let (allowed, what) = match (self.heard, self.seen) {
            (true, _) => (self.timeouts.head, "head"),
            (false, 0) => (self.timeouts.first_request, "first_request"),
            (false, _) => (self.timeouts.idle, "idle"),
        };
        let since = *self.since.get_or_insert_with(Instant::now);
        let deadline = since.checked_add(allowed).unwrap_or(since);
        if deadline < self.alarm.deadline() {
            self.alarm.as_mut().reset(deadline);
        }
        loop {
            ready!(self.alarm.as_mut().poll(context));
            if self.alarm.deadline() >= deadline {
                self.metrics.connection_timed_out(what);
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.alarm.as_mut().reset(deadline);
        }
    }

    /// Watches the outcome of an attempt to write.
    fn poll_progress<T>(&mut self, context: &mut Context<'_>, attempt: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if attempt.is_ready() {
            self.stalled = None;
            // The end of an answer may still be on its way when its turn has ended: idle counts from its last byte.
            if !self.is_answering() && !self.heard {
                self.since = Some(Instant::now());
            }
            return attempt;
        }
        let patience = self.timeouts.stalled_write;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(context));
        self.metrics.connection_timed_out("stalled_write");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(outcome) => {
                if buffer.filled().len() > before {
                    self.hear();
                }
                Poll::Ready(outcome)
            }
            Poll::Pending => self.poll_patience(context).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.poll_progress(context, attempt)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.poll_progress(context, attempt)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Answers the requests of a connection until its peer has gone or the server stops.
pub(super) async fn serve<S>(
    stream: S,
    turns: Arc<Turns>,
    router: Router,
    peer: Peer,
    mut stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let of_requests = turns.clone();
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let mut turn = Turn::begin(&of_requests);
        request.extensions_mut().insert(peer);
        // A router is always ready, and a clone of it shares everything.
        let answer = router.clone().call(request);
        async move {
            let response = answer.await?;
            turn.upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            Ok::<_, Infallible>(response.map(|body| Held::new(body, turn)))
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(HEAD_BYTES);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        told = async { stopping.wait_for(|stop| *stop).await.is_ok() } => {
            if !told {
                return;
            }
            turns.ended.store(true, Ordering::Relaxed);
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                ended = connection.as_mut() => ended,
                // The time for that is over.
                _ = stopping.changed() => return,
            }
        }
    };
    if let Err(cause) = ended {
        tracing::debug!(%cause, "a connection ended early");
    }
}
