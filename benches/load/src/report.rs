//! What is printed: one table a scenario, and the goal it is held to.

use std::fmt::Display;

use crate::drive::Figures;

/// A line of a table.
pub(crate) struct Row {
    pub(crate) label: &'static str,
    pub(crate) figures: Figures,
}

impl Row {
    /// CPU time per request as a multiple of another row's.
    pub(crate) fn cpu_ratio(&self, base: &Self) -> f64 {
        self.figures.cpu / base.figures.cpu
    }
}

/// Prints the rows, each with its CPU time as a multiple of each base's.
pub(crate) fn table(rows: &[Row], bases: &[&Row]) {
    print!("{:<24}{:>12}{:>10}{:>10}{:>10}{:>10}", "", "CPU µs/req", "req/s", "p50 ms", "p99 ms", "bytes");
    for base in bases {
        print!("{:>14}", format!("CPU ÷ {}", first_word(base.label)));
    }
    println!();
    for row in rows {
        let Figures { cpu, rate, p50, p99, bytes } = row.figures;
        print!("{:<24}{cpu:>12.1}{rate:>10.0}{p50:>10.3}{p99:>10.3}{bytes:>10.0}", row.label);
        for base in bases {
            print!("{:>14.2}", row.cpu_ratio(base));
        }
        println!();
    }
}

fn first_word(label: &str) -> &str {
    label.split(' ').next().unwrap_or(label)
}

/// Prints what was wanted, what came out, and whether that is enough.
pub(crate) fn goal(wanted: impl Display, measured: impl Display, met: bool) {
    let verdict = if met { "met" } else { "MISSED" };
    println!("goal: {wanted}  measured: {measured}  {verdict}");
}
