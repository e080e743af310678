//! The load: connections that each send the next request once the last is answered.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tokio::{
    task::{JoinSet, LocalSet},
    time::{sleep, timeout},
};

use crate::{
    bench::Server,
    http::{Connection, Request},
    machine::cpu_time,
};

/// Before counting: connections are open, caches are warm, the core has its clock rate.
const WARM_UP: Duration = Duration::from_millis(300);

/// How long the last requests may take once the load ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one server is asked, and by how many at once.
pub(crate) struct Target<'a> {
    /// Name in the table.
    pub(crate) label: &'static str,
    pub(crate) server: &'a Server,
    pub(crate) request: Request,
    pub(crate) connections: usize,
}

/// What was measured of one target.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Server CPU time per request, in microseconds.
    pub(crate) cpu: f64,
    /// Requests answered a second.
    pub(crate) rate: f64,
    /// Median latency in milliseconds.
    pub(crate) p50: f64,
    /// 99th percentile of the latency in milliseconds.
    pub(crate) p99: f64,
    /// Length of one answer's body.
    pub(crate) bytes: f64,
}

impl Figures {
    /// Each figure's own median over several rounds.
    pub(crate) fn median(rounds: &[Self]) -> Self {
        let median_of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        Self {
            cpu: median_of(|round| round.cpu),
            rate: median_of(|round| round.rate),
            p50: median_of(|round| round.p50),
            p99: median_of(|round| round.p99),
            bytes: median_of(|round| round.bytes),
        }
    }
}

/// The phases of a load, told to its clients.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Counting,
    Over,
}

/// What one client saw.
#[derive(Default)]
struct Tally {
    /// Latencies of the requests answered while counting.
    latencies: Vec<Duration>,
    /// Length of the last answer.
    bytes: usize,
    answers: usize,
    failures: usize,
    /// The first answer that was not a success.
    failure: Option<String>,
}

/// Puts a target under load for some seconds. Any answer that is not a success fails the run: a
/// server that refuses fast would look good.
pub(crate) async fn drive(target: &Target<'_>, seconds: f64) -> Result<Figures> {
    // All clients share this thread, so that between two awaits the phase, the clock and the
    // server's CPU time are read as one.
    LocalSet::new().run_until(drive_here(target, seconds)).await
}

async fn drive_here(target: &Target<'_>, seconds: f64) -> Result<Figures> {
    let process = target.server.process;
    let phase = Rc::new(Cell::new(Phase::WarmUp));
    let mut clients = JoinSet::new();
    for _ in 0..target.connections {
        let connection = Connection::open(target.server.endpoint.address).await?;
        clients.spawn_local(client(connection, target.request.clone(), Rc::clone(&phase)));
    }
    sleep(WARM_UP).await;

    phase.set(Phase::Counting);
    let (begin, cpu_before) = (Instant::now(), cpu_time(process)?);
    sleep(Duration::from_secs_f64(seconds)).await;
    phase.set(Phase::Over);
    let elapsed = begin.elapsed();
    let cpu = cpu_time(process)?.saturating_sub(cpu_before);

    let tallies =
        timeout(PATIENCE, clients.join_all()).await.with_context(|| format!("no answer within {PATIENCE:?}"))?;
    let mut total = Tally::default();
    for tally in tallies {
        total.add(tally?);
    }
    total.figures(elapsed, cpu)
}

/// One client: the next request as soon as the last is answered.
async fn client(mut connection: Connection, request: Request, phase: Rc<Cell<Phase>>) -> Result<Tally> {
    let mut tally = Tally::default();
    while phase.get() != Phase::Over {
        let sent = Instant::now();
        let answer = connection.exchange(&request).await?;
        if phase.get() == Phase::Counting {
            tally.latencies.push(sent.elapsed());
        }
        tally.bytes = answer.body.len();
        tally.answers = tally.answers.saturating_add(1);
        if !answer.is_success() {
            tally.failures = tally.failures.saturating_add(1);
            tally.failure.get_or_insert_with(|| answer.excerpt());
        }
    }
    Ok(tally)
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.bytes = other.bytes;
        self.answers = self.answers.saturating_add(other.answers);
        self.failures = self.failures.saturating_add(other.failures);
        self.failure = self.failure.take().or(other.failure);
    }

    fn figures(mut self, elapsed: Duration, cpu: Duration) -> Result<Figures> {
        ensure!(
            self.failures == 0,
            "{} of {} answers were errors, the first: {}",
            self.failures,
            self.answers,
            self.failure.unwrap_or_default()
        );
        ensure!(!self.latencies.is_empty(), "no request was answered in {elapsed:?}; give it more --seconds");
        self.latencies.sort_unstable();
        let requests = self.latencies.len() as f64;
        Ok(Figures {
            cpu: cpu.as_secs_f64() * 1e6 / requests,
            rate: requests / elapsed.as_secs_f64(),
            p50: milliseconds(percentile(&self.latencies, 0.50)),
            p99: milliseconds(percentile(&self.latencies, 0.99)),
            bytes: self.bytes as f64,
        })
    }
}

/// A duration as the tables print it.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The smallest value that at least `share` of the sorted values do not exceed.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The middle value, or the mean of the middle two; not a number when there is none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let upper = values.len() / 2;
    let lower = values.len().saturating_sub(1) / 2;
    match (values.get(lower), values.get(upper)) {
        (Some(lower), Some(upper)) => lower.midpoint(*upper),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_take_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 8.0]), 3.0);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn percentiles_take_the_nearest_rank() {
        let values: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 0.50), Duration::from_millis(100));
        assert_eq!(percentile(&values, 0.99), Duration::from_millis(198));
        assert_eq!(percentile(&[Duration::from_millis(7)], 0.99), Duration::from_millis(7));
        assert_eq!(percentile(&[], 0.50), Duration::ZERO);
    }
}
