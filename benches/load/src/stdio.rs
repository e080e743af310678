//! A conversation over stdio, as short as an assistant's first.

use std::{
    fs::{self, File},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
    time::timeout,
};

use crate::bench::Bench;

/// A conversation that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(30);

/// Time from the start of `bureau stdio` to the last byte of its first tools/list answer.
pub(crate) async fn time_to_first_list(bench: &Bench<'_>) -> Result<Duration> {
    let mut command = bench.bureau("stdio", &bench.demo_database())?;
    let log = bench.directory().join("stdio.log");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&log)?);
    let outcome = timeout(LIMIT, converse(command)).await;
    outcome.unwrap_or_else(|_elapsed| bail!("not done within {LIMIT:?}")).map_err(|error| {
        let log = fs::read_to_string(&log).unwrap_or_default();
        anyhow!("bureau stdio: {error:#}; its log:\n{log}")
    })
}

/// Says everything at once, waits for the list, hangs up and waits for the end.
async fn converse(mut command: Command) -> Result<Duration> {
    let hello = hello();
    let begin = Instant::now();
    let mut bureau = command.spawn()?;
    let mut input = bureau.stdin.take().context("its input is a pipe")?;
    let output = bureau.stdout.take().context("its output is a pipe")?;
    input.write_all(hello.as_bytes()).await?;
    let mut lines = BufReader::new(output).lines();
    loop {
        let line = lines.next_line().await?.context("it ended without a tools/list")?;
        let elapsed = begin.elapsed();
        let message: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
        if message.get("id") == Some(&json!(2)) {
            let tools = message.pointer("/result/tools").and_then(Value::as_array);
            ensure!(tools.is_some_and(|tools| !tools.is_empty()), "not a list of tools: {line}");
            // The next start must not share the machine with this end.
            drop(input);
            bureau.wait().await?;
            return Ok(elapsed);
        }
    }
}

/// The handshake and the request for the list, a line each.
fn hello() -> String {
    let messages = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "bureau-load", "version": env!("CARGO_PKG_VERSION")},
        }}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}),
    ];
    messages.map(|message| format!("{message}\n")).concat()
}
