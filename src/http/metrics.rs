//! What is counted, and the page that Prometheus reads.
//!
//! Labels name tools, faces, statuses and reasons, never a tenant, a person or an address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use bureau_kit::gate::Observer;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::App;
use super::connection::{Held, Peer};
use super::head::check_origin;
use crate::mcp::Face;

/// Bounds of the call durations in seconds: a cached read, a list, a synced write, a wait, the time limit.
const BUCKETS: [f64; 7] = [0.000_1, 0.001, 0.005, 0.025, 0.1, 1.0, 10.0];

/// The media type of streams.
pub(super) const EVENTS: &str = "text/event-stream";
/// What a call that succeeded counts as.
const OK: &str = "ok";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    face: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    tool: &'static str,
    outcome: &'static str,
}

/// The counters of a running server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// Connections taken.
    pub(crate) connections: Counter,
    /// Connections that are open, upgraded ones included.
    pub(crate) connections_open: Gauge,
    /// Event streams and WebSockets that are open.
    pub(crate) streams_open: Gauge,
    /// Sessions of the handshake era that are known.
    pub(crate) sessions_open: Gauge,
    /// Credentials that were not accepted.
    pub(crate) failed_authentications: Counter,
    refused: Family<Reason, Counter>,
    timed_out: Family<Reason, Counter>,
    limited: Family<Reason, Counter>,
    requests: Family<Answer, Counter>,
    calls: Family<Called, Counter>,
    /// The successes of every tool, looked up once and for all.
    successes: HashMap<&'static str, Counter>,
    durations: Histogram,
}

impl Metrics {
    /// Everything at zero.
    pub(crate) fn new(tools: impl Iterator<Item = &'static str>) -> Self {
        let mut registry = Registry::with_prefix("bureau");
        let mut new = Self {
            connections: Counter::default(),
            connections_open: Gauge::default(),
            streams_open: Gauge::default(),
            sessions_open: Gauge::default(),
            failed_authentications: Counter::default(),
            refused: Family::default(),
            timed_out: Family::default(),
            limited: Family::default(),
            requests: Family::default(),
            calls: Family::default(),
            successes: HashMap::new(),
            durations: Histogram::new(BUCKETS),
            registry: Registry::default(),
        };
        new.successes =
            tools.map(|tool| (tool, new.calls.get_or_create_owned(&Called { tool, outcome: OK }))).collect();
        registry.register("connections", "Connections taken", new.connections.clone());
        registry.register("connections_open", "Connections open now", new.connections_open.clone());
        registry.register("connections_refused", "Connections closed at once, by reason", new.refused.clone());
        registry.register(
            "connections_timed_out",
            "Connections closed because the peer took too long, by what it took too long for",
            new.timed_out.clone(),
        );
        registry.register("requests", "Requests answered, by face and HTTP status", new.requests.clone());
        registry.register("requests_limited", "Requests refused by a limit, by reason", new.limited.clone());
        registry.register("calls", "Tool calls, by tool and outcome", new.calls.clone());
        registry.register_with_unit("call_duration", "Time of tool calls", Unit::Seconds, new.durations.clone());
        registry.register("streams_open", "Event streams and WebSockets open now", new.streams_open.clone());
        registry.register("sessions_open", "Sessions of the handshake era known now", new.sessions_open.clone());
        registry.register(
            "failed_authentications",
            "Credentials that were not accepted",
            new.failed_authentications.clone(),
        );
        new.registry = registry;
        new
    }

    /// A connection was closed at once.
    pub(crate) fn connection_refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    /// A connection was closed because its peer took too long.
    pub(crate) fn connection_timed_out(&self, reason: &'static str) {
        self.timed_out.get_or_create(&Reason { reason }).inc();
    }

    /// A request was refused by a limit.
    pub(crate) fn limited(&self, reason: &'static str) {
        self.limited.get_or_create(&Reason { reason }).inc();
    }

    /// A request is answered: counted, and its stream, if it is one, for as long as that is open.
    pub(super) fn answered(&self, face: Face, response: HttpResponse) -> HttpResponse {
        let face = if face == Face::Mcp { "mcp" } else { "rpc" };
        self.requests.get_or_create(&Answer { face, status: response.status().as_u16() }).inc();
        if response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind != EVENTS) {
            return response;
        }
        let open = Open::new(&self.streams_open);
        response.map(|body| Body::new(Held::new(body, open)))
    }

    /// The page.
    pub(crate) fn text(&self) -> String {
        let mut page = String::new();
        // Writing to a text cannot fail.
        let _ = text::encode(&mut page, &self.registry);
        page
    }
}

/// One in a gauge for as long as it lives.
#[derive(Debug)]
pub(crate) struct Open(Gauge);

impl Open {
    /// One more.
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Observer for Metrics {
    fn called(&self, tool: &'static str, error: Option<&'static str>, took: Duration) {
        match (error, self.successes.get(tool)) {
            (None, Some(counter)) => drop(counter.inc()),
            (error, _) => drop(self.calls.get_or_create(&Called { tool, outcome: error.unwrap_or(OK) }).inc()),
        }
        self.durations.observe(took.as_secs_f64());
    }
}

/// `/metrics`. Without `--metrics-open` only for programs on this machine that ask directly: what comes through a proxy
/// comes from anywhere.
pub(super) async fn page(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    target: Uri,
    headers: HeaderMap,
) -> HttpResponse {
    if let Err(refusal) = check_origin(&app.options, &target, &headers) {
        return *refusal;
    }
    let here = peer.0.is_none_or(|address: IpAddr| address.is_loopback());
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name));
    if !app.options.metrics_open && (!here || forwarded) {
        let why =
            "metrics are for programs on the same machine; start the server with --metrics-open to show them to all\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let sessions = app.server.service.sessions.count();
    app.metrics.sessions_open.set(i64::try_from(sessions).unwrap_or(i64::MAX));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.text()).into_response()
}
