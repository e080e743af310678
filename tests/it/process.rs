//! The real program, started as its users start it, and an HTTP client that sends exactly what it is told.

use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use bureau_kit::db::{Db, Dialect, Location, Tx};
use bureau_kit::sql::Sql;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::support::TestDatabase;

/// Far more than anything here takes, on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that must happen.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// `bureau` with these words. No option of the surrounding environment reaches it.
pub fn bureau_without_database(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bureau"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BUREAU_")) {
        command.env_remove(name);
    }
    // Tests ask faster than any tenant should.
    command.env("BUREAU_RATE_LIMIT", "0");
    command.args(words).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// `bureau` with these words, on this database.
pub fn bureau(database: &TestDatabase, words: &[&str]) -> Command {
    let mut command = bureau_without_database(words);
    command.env("BUREAU_DATABASE", url(database));
    command
}

/// The database as `--database` takes it.
pub fn url(database: &TestDatabase) -> String {
    match &database.location {
        Location::Sqlite(path) => format!("sqlite:{}", path.display()),
        Location::Postgres(url) => url.clone(),
    }
}

/// What a program that ran to its end left behind.
#[derive(Debug)]
pub struct Ended {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What the program says of its failure: the last line of standard error.
    pub fn complaint(&self) -> &str {
        self.stderr.lines().last().unwrap_or_default()
    }
}

/// Runs a program to its end.
pub async fn ended(mut command: Command) -> Ended {
    let output = soon("a program that ends", command.output()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    let status = output.status.code().expect("no signal ended the program");
    Ended { status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Asks a process to end.
pub fn terminate(child: &Child) {
    signal(child, "-TERM");
}

fn signal(child: &Child, name: &str) {
    let id = child.id().expect("the process still runs");
    let sent = std::process::Command::new("kill").args([name, &id.to_string()]).status().unwrap();
    assert!(sent.success(), "{name} could not be sent to {id}");
}

/// Bytes of a process that are in memory now.
pub fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect(&status);
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// A file that takes the log of a process, so that no full pipe can ever stop it.
pub fn log_file() -> (tempfile::NamedTempFile, Stdio) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let end = Stdio::from(file.reopen().unwrap());
    (file, end)
}

/// Keeps every writer of tasks waiting for as long as the transaction is open.
pub async fn hold_writers(database: &TestDatabase) -> Tx {
    let db = Db::connect(&database.location).await.unwrap();
    let mut tx = db.write().await.unwrap();
    if db.dialect() == Dialect::Postgres {
        tx.query(&Sql::new("LOCK TABLE tasks IN EXCLUSIVE MODE")).await.unwrap();
    }
    tx
}

/// A running `bureau serve`. It is killed when dropped.
pub struct Serving {
    child: Child,
    log: tempfile::NamedTempFile,
    pub address: SocketAddr,
    pub token: String,
}

impl Serving {
    /// Serves a new database; the token is the owner's, as printed.
    pub async fn on_new(database: &TestDatabase) -> Self {
        Self::start(bureau(database, &["serve", "--listen", "127.0.0.1:0"]), None).await
    }

    /// Serves a database that has its company already.
    pub async fn again(database: &TestDatabase, token: &str) -> Self {
        Self::start(bureau(database, &["serve", "--listen", "127.0.0.1:0"]), Some(token)).await
    }

    /// Starts a command that serves. Without a token, it is to print one.
    pub async fn start(mut command: Command, token: Option<&str>) -> Self {
        let (log, end) = log_file();
        let mut child = command.stdout(Stdio::piped()).stderr(end).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = soon("the address of the server", lines.next_line()).await.unwrap();
        let first = first.unwrap_or_else(|| panic!("the server did not start: {}", told(&log)));
        let address =
            first.strip_prefix("Bureau serves http").and_then(|rest| rest.split_once("/mcp and ")).expect(&first).0;
        let address = address.trim_start_matches("s").trim_start_matches("://").parse().expect(&first);
        let mut token = token.map(str::to_owned);
        while token.is_none() {
            let line = soon("the token of the owner", lines.next_line()).await.unwrap().expect("a token is printed");
            let line = line.trim();
            token = bureau_kit::token::kind_of(line).map(|_| line.to_owned());
        }
        // Read to the end, so that the server never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, log, address, token: token.unwrap() }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What the server wrote to its log so far.
    pub fn log(&self) -> String {
        told(&self.log)
    }

    /// Ends it as a power cut would.
    pub async fn kill(&mut self) {
        soon("the end of a killed server", self.child.kill()).await.unwrap();
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("the server still runs")
    }

    pub fn terminate(&self) {
        terminate(&self.child);
    }

    /// Asks it to read its files again.
    pub fn hang_up(&self) {
        signal(&self.child, "-HUP");
    }

    /// Its exit status, once it has ended.
    pub async fn status(&mut self) -> Option<i32> {
        soon("the end of the server", self.child.wait()).await.unwrap().code()
    }

    pub async fn connect(&self) -> Connection {
        Connection::to(self.address).await.unwrap()
    }

    /// The answer of one call on a connection of its own, which must succeed.
    pub async fn ok(&self, tool: &str, arguments: Value) -> Value {
        let (answer, is_error) = self.connect().await.call(&self.token, tool, arguments.clone()).await.unwrap();
        assert!(!is_error, "{tool} {arguments} must succeed: {answer}");
        answer
    }
}

fn told(log: &tempfile::NamedTempFile) -> String {
    std::fs::read_to_string(log.path()).unwrap()
}

/// One connection to a server, kept open from request to request.
pub struct Connection<S = TcpStream> {
    stream: BufReader<S>,
    host: String,
}

/// An HTTP response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    head_as_sent: String,
    pub body: String,
}

impl Answer {
    /// A header's value as it was sent, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let at = self.head.find(&format!("\r\n{name}: "))?;
        self.head_as_sent.get(at..)?.lines().nth(1)?.split_once(": ").map(|(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Connection {
    pub async fn to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream, address.to_string()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Over a stream that is open, to be addressed as `host`.
    pub fn over(stream: S, host: impl Into<String>) -> Self {
        Self { stream: BufReader::new(stream), host: host.into() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref()).await
    }

    /// The next response.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        tokio::time::timeout(PATIENCE, self.read_answer()).await.map_err(io::Error::other)?
    }

    async fn read_answer(&mut self) -> io::Result<Answer> {
        let mut head = String::new();
        loop {
            let start = head.len();
            if self.stream.read_line(&mut head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if &head[start..] == "\r\n" {
                break;
            }
        }
        let head_as_sent = head.clone();
        head.make_ascii_lowercase();
        let status =
            head.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(|| io::Error::other(head.clone()))?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(Answer { status, head, head_as_sent, body: String::from_utf8(body).expect("the server answers UTF-8") })
    }

    /// What comes until the server closes the connection.
    pub async fn rest(&mut self) -> io::Result<String> {
        let mut text = String::new();
        self.stream.read_to_string(&mut text).await?;
        Ok(text)
    }

    /// Sends a body with the usual headers and reads the response.
    pub async fn post(&mut self, path: &str, token: &str, body: &str) -> io::Result<Answer> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             Authorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        self.send(head + body).await?;
        self.answer().await
    }

    pub async fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host)).await?;
        self.answer().await
    }

    /// Calls a tool over MCP: what it answers, and whether that is an error.
    pub async fn call(&mut self, token: &str, tool: &str, arguments: Value) -> io::Result<(Value, bool)> {
        let answer = self.post("/mcp", token, &call_message(json!(1), tool, arguments).to_string()).await?;
        let result = &answer.json()["result"];
        assert_eq!(answer.status, 200, "{tool}: {answer:?}");
        let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().expect(&answer.body)).unwrap();
        Ok((text, result["isError"].as_bool().unwrap()))
    }
}

/// A call as a message of the handshake era.
pub fn call_message(id: Value, tool: &str, arguments: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
}
