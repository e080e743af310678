//! `load` measures bureau beside a plain HTTP handler and an rmcp server, in one run on one machine.
//!
//! Absolute figures move with the machine and the hour; the ratios between servers measured in
//! turn do not, and the goals are set on them. Server CPU time per request is the figure to trust:
//! it hardly moves when other work shares the machine. A missed goal is a result, not a failure;
//! what could not be measured at all is.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing figures is what this program is for")]

mod bench;
mod crowd;
mod drive;
mod http;
mod machine;
mod report;
mod routing;
mod scenario;
mod stdio;

use std::{
    num::NonZero,
    path::PathBuf,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum as _};
use tokio::signal::unix::{SignalKind, signal};

use crate::{bench::Bench, machine::Machine, scenario::Scenario};

/// Measure bureau under load, beside a plain HTTP handler and an rmcp server.
#[derive(Parser)]
struct Arguments {
    /// The bureau to measure: a release build
    #[arg(long, default_value = "target/release/bureau")]
    bureau: PathBuf,
    /// How long each measurement of one server lasts
    #[arg(long, default_value_t = 3.0, value_parser = positive_seconds)]
    seconds: f64,
    /// How often each server is measured; the figures are medians
    #[arg(long, default_value = "3")]
    rounds: NonZero<usize>,
    /// Tasks in the larger database of the `million` scenario
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Makes words and pauses of `routing` fall the same way again
    #[arg(long)]
    seed: Option<u64>,
    /// Run only this scenario (may be repeated)
    #[arg(long, value_name = "NAME")]
    only: Vec<Scenario>,
}

impl Arguments {
    /// The seed that was given, or one of this moment.
    fn seed(&self) -> u64 {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.subsec_nanos().into());
        self.seed.unwrap_or_else(now)
    }
}

/// One thread drives the load: the driver has one core, as the server has.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match measure_until_signal(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Leaving by a signal drops the running scenario, and with it its servers and databases.
async fn measure_until_signal(arguments: &Arguments) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = measure(arguments) => result,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

/// Runs the chosen scenarios, each to its end whatever became of those before it.
async fn measure(arguments: &Arguments) -> Result<()> {
    let machine = Machine::inspect()?;
    let chosen = if arguments.only.is_empty() { Scenario::value_variants() } else { &arguments.only };
    let mut failed = Vec::new();
    for scenario in chosen {
        println!("\n== {}", scenario.heading());
        let outcome = match Bench::prepare(arguments, &machine, scenario.placement()) {
            Ok(bench) => scenario.run(&bench).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            eprintln!("{scenario} could not be measured: {error:#}");
            failed.push(scenario.to_string());
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("not measured: {}", failed.join(", "))
}

/// CPU time is counted in hundredths of a second, so a shorter measurement says nothing.
fn positive_seconds(text: &str) -> Result<f64> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => bail!("expected a number of seconds from 0.1 to 3600"),
    }
}
