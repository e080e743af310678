//! The place a scenario is measured in: a directory of its own, and the servers it starts there.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::sleep,
};

use crate::{
    Arguments,
    http::{Connection, Endpoint, Request},
    machine::{Machine, Placement},
};

/// How long a server may take until it is ready; a demo database is made in that time.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What a scenario has at hand. Its databases and logs are gone when it is dropped.
pub(crate) struct Bench<'a> {
    pub(crate) arguments: &'a Arguments,
    machine: &'a Machine,
    placement: Placement,
    directory: TempDir,
}

impl<'a> Bench<'a> {
    /// Moves the driver to its cores and makes the directory.
    pub(crate) fn prepare(arguments: &'a Arguments, machine: &'a Machine, placement: Placement) -> Result<Self> {
        machine.move_driver(placement)?;
        Ok(Self { arguments, machine, placement, directory: TempDir::with_prefix("bureau-load-")? })
    }

    /// Where the databases are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The constant answers of the `plain` program, `/list` being of the given size.
    pub(crate) async fn plain(&self, list_bytes: usize) -> Result<Server> {
        let mut command = self.command(&sibling("plain")?)?;
        command.arg("--list-bytes").arg(list_bytes.to_string());
        self.start("plain", command).await
    }

    /// The rmcp server with `add` and some idle tools.
    pub(crate) async fn rmcp(&self, idle_tools: usize) -> Result<Server> {
        let mut command = self.command(&sibling("rmcp-server")?)?;
        command.arg("--tools").arg(idle_tools.to_string());
        self.start("rmcp", command).await
    }

    /// A bureau on a new demo database.
    pub(crate) async fn demo(&self) -> Result<Server> {
        let mut command = self.bureau("serve", &self.demo_database())?;
        command.arg("--demo");
        let mut server = self.start("bureau", command).await?;
        server.endpoint.token = Some(server.printed_token().await?);
        Ok(server)
    }

    /// The database of [`demo`](Self::demo).
    pub(crate) fn demo_database(&self) -> PathBuf {
        self.directory().join("demo.db")
    }

    /// A bureau on a new database of that many tasks.
    pub(crate) async fn filled(&self, name: &str, tasks: u64) -> Result<Server> {
        let database = self.directory().join(format!("{name}.db"));
        let mut fill = self.bureau("fill", &database)?;
        fill.arg("--tasks").arg(tasks.to_string());
        let output = fill.output().await?;
        let printed = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&printed);
        ensure!(output.status.success(), "bureau fill: {}: {}", output.status, tail(&text));
        let token = find_token(&text).with_context(|| format!("bureau fill printed no token: {}", tail(&text)))?;
        let mut server = self.start("bureau", self.bureau("serve", &database)?).await?;
        server.endpoint.token = Some(token.to_owned());
        Ok(server)
    }

    /// A bureau command on a database.
    pub(crate) fn bureau(&self, subcommand: &str, database: &Path) -> Result<Command> {
        let mut command = self.command(&self.arguments.bureau)?;
        command.arg(subcommand).arg("--database").arg(format!("sqlite:{}", database.display()));
        Ok(command)
    }

    /// A command on the cores of this scenario; the program dies with the value that stands for it.
    fn command(&self, program: &Path) -> Result<Command> {
        let path =
            program.canonicalize().with_context(|| format!("no program at {}: build it first", program.display()))?;
        let mut command = self.machine.command(self.placement, &path);
        command.stdin(Stdio::null()).kill_on_drop(true);
        // What the user has set for a bureau of their own is not part of the measurement.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("BUREAU_") {
                command.env_remove(name);
            }
        }
        // One tenant makes all the calls here, more than a fair share of them.
        command.env("BUREAU_RATE_LIMIT", "0");
        Ok(command)
    }

    /// Starts a server on a free port and waits until it is ready.
    async fn start(&self, name: &str, mut command: Command) -> Result<Server> {
        let address = free_address()?;
        let log = self.directory().join(format!("{name}-{}.log", address.port()));
        let output = fs::File::create(&log)?;
        let child = command
            .arg("--listen")
            .arg(address.to_string())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let mut server = Server {
            process: child.id().context("a started program has a process id")?,
            endpoint: Endpoint { address, token: None },
            child,
            log,
        };
        match server.wait_until_ready().await {
            Ok(()) => Ok(server),
            Err(error) => bail!("{name} did not start: {error:#}; its log ends:\n{}", server.log_tail()),
        }
    }
}

/// A running server, killed when dropped.
pub(crate) struct Server {
    /// Its process id.
    pub(crate) process: u32,
    pub(crate) endpoint: Endpoint,
    child: Child,
    /// Its standard output and standard error.
    log: PathBuf,
}

impl Server {
    /// Waits until `GET /readyz` is answered with 200.
    async fn wait_until_ready(&mut self) -> Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < START_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            if self.readiness().await.is_ok_and(|status| status == 200) {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
        bail!("not ready after {START_LIMIT:?}")
    }

    async fn readiness(&self) -> Result<u16> {
        let mut connection = Connection::open(self.endpoint.address).await?;
        let probe = Request::get(&self.endpoint, "/readyz");
        Ok(connection.exchange(&probe).await?.status)
    }

    /// The token that the server has printed, or prints within a moment of being ready.
    async fn printed_token(&self) -> Result<String> {
        for _ in 0..100 {
            if let Some(token) = find_token(&self.log()) {
                return Ok(token.to_owned());
            }
            sleep(Duration::from_millis(20)).await;
        }
        bail!("the server printed no token: {}", self.log_tail())
    }

    /// Kills the server and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// The last lines of what the server has printed, for an error message.
    pub(crate) fn log_tail(&self) -> String {
        tail(&self.log())
    }

    /// What the server has printed so far.
    fn log(&self) -> String {
        fs::read(&self.log).map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A program built beside this one.
fn sibling(name: &str) -> Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name(name))
}

/// An address that was free a moment ago; nothing else takes ports from the system that fast.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The first session token or API key in a text: `bus_` or `buk_` and at least 30 letters or digits.
fn find_token(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').find(|word| {
        word.strip_prefix("bus_")
            .or_else(|| word.strip_prefix("buk_"))
            .is_some_and(|rest| rest.len() >= 30 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    })
}

/// The last lines of a text, for an error message.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().rev().take(12).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_in_running_text() {
        let token = format!("bus_{}", "aB3".repeat(12));
        let text = format!("short bus_1 and xbus_{0}\nToken: \"{token}\".", "a".repeat(40));
        assert_eq!(find_token(&text), Some(token.as_str()));
        assert_eq!(find_token("nothing here"), None);
    }

    #[test]
    fn tails_keep_the_order_of_lines() {
        let text: String = (1..=20).map(|line| format!("{line}\n")).collect();
        assert!(tail(&text).starts_with("9\n10\n") && tail(&text).ends_with("20"));
    }
}
