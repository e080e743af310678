//! What the operating system decides and knows: the cores a process runs on, its CPU time and
//! memory, the speed of its disk.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::{self, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// Where the processes of a scenario run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// The server alone on core 0 with one runtime thread, the driver alone on core 1: neither
    /// takes time from the other, and figures of different servers are those of one core each.
    Pinned,
    /// Anywhere and with default threads, as a user would run it.
    Free,
}

/// The machine of this run, and whether it lets processes be pinned.
pub(crate) struct Machine {
    /// Cores this program was given at its start, as `taskset` lists them; nothing where it cannot pin.
    cores: Option<String>,
}

impl Machine {
    /// Finds out whether pinning works here, and says so when it does not.
    pub(crate) fn inspect() -> Result<Self> {
        let cores = status_field(process::id(), "Cpus_allowed_list")?;
        let machine = Self { cores: Some(cores) };
        Ok(match machine.move_driver(Placement::Pinned) {
            Ok(()) => machine,
            Err(error) => {
                eprintln!("not pinning, so expect noise: {error:#}");
                Self { cores: None }
            }
        })
    }

    /// Moves this process to its cores. What it starts inherits them.
    pub(crate) fn move_driver(&self, placement: Placement) -> Result<()> {
        let Some(cores) = &self.cores else {
            return Ok(());
        };
        let cores = match placement {
            Placement::Pinned => "1",
            Placement::Free => cores,
        };
        let output = process::Command::new("taskset")
            .args(["-acp", cores, &process::id().to_string()])
            .stdin(Stdio::null())
            .output()
            .context("taskset cannot be started")?;
        ensure!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }

    /// The command that starts a server on its cores.
    pub(crate) fn command(&self, placement: Placement, program: &Path) -> Command {
        let mut command = match (placement, &self.cores) {
            // taskset becomes the program, so that the process id is the server's own.
            (Placement::Pinned, Some(_)) => {
                let mut command = Command::new("taskset");
                command.args(["-c", "0"]).arg(program);
                command
            }
            _ => Command::new(program),
        };
        if placement == Placement::Pinned {
            command.env("TOKIO_WORKER_THREADS", "1");
        }
        command
    }
}

/// CPU time that a process has used so far, all its threads together.
pub(crate) fn cpu_time(process: u32) -> Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = cpu_ticks(&stat).with_context(|| format!("{path} has an unknown form"))?;
    Ok(Duration::from_millis(ticks.saturating_mul(10)))
}

/// User and system time in a `stat` line, in ticks: a hundredth of a second, whatever the kernel's own.
fn cpu_ticks(stat: &str) -> Option<u64> {
    // The second field is the program's name in brackets and may hold spaces and brackets itself.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut times = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    user.checked_add(system)
}

/// Memory of a process that is in RAM now, in megabytes.
pub(crate) fn resident_megabytes(process: u32) -> Result<f64> {
    let field = status_field(process, "VmRSS")?;
    let kibibytes: f64 = field.trim_end_matches(" kB").parse().with_context(|| format!("VmRSS is {field:?}"))?;
    Ok(kibibytes * 1024.0 / 1e6)
}

/// One field of `/proc/PID/status`.
fn status_field(process: u32, name: &str) -> Result<String> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    status
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(field, _)| *field == name)
        .map(|(_, value)| value.trim().to_owned())
        .with_context(|| format!("{path} has no {name}"))
}

/// How often a second one thread can append 4 KiB to a file and have it on the disk: what a
/// database that syncs each commit by itself cannot exceed.
pub(crate) fn synced_appends(directory: &Path, seconds: f64) -> Result<f64> {
    let mut file = File::create(directory.join("appended"))?;
    let begin = Instant::now();
    let mut appends = 0.0;
    // Nothing else runs in this process meanwhile, so that blocking it is no harm.
    while begin.elapsed().as_secs_f64() < seconds {
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        appends += 1.0;
    }
    Ok(appends / begin.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_ticks_are_found_behind_any_program_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 900 0 0 0 130 25 9 9 20 0 3 0 100 0 0";
        assert_eq!(cpu_ticks(stat), Some(155));
        assert_eq!(cpu_ticks("7 (short) S 1"), None);
    }

    #[test]
    fn this_process_has_cpu_time_and_memory() -> Result<()> {
        cpu_time(process::id())?;
        assert!(resident_megabytes(process::id())? > 0.1);
        Ok(())
    }
}
