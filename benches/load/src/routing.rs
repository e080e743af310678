//! Whether every answer reaches who asked: clients that all count from zero, each with a word of its own in every question.

use std::{
    collections::HashMap,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use memchr::memmem;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
    task::{JoinSet, LocalSet},
    time::{sleep, timeout},
};

use crate::{
    bench::Bench,
    http::{Connection, Endpoint, Request},
    report::goal,
};

/// Clients over HTTP, and what each asks.
const CLIENTS: usize = 64;
const EACH: usize = 12_500;

/// Clients on stdio, each a process of its own, and what each asks.
const STDIO_CLIENTS: usize = 4;
const EACH_ON_STDIO: usize = 50_000;

/// An answer that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a client speaks: MCP after a handshake, MCP without one, plain JSON-RPC.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Session,
    Stateless,
    Plain,
}

const MANNERS: [Manner; 3] = [Manner::Session, Manner::Stateless, Manner::Plain];

/// SplitMix64: the same seed, the same words and pauses.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Asks a million times and counts whose answers came.
pub(crate) async fn routing(bench: &Bench<'_>) -> Result<()> {
    LocalSet::new().run_until(routing_here(bench)).await
}

async fn routing_here(bench: &Bench<'_>) -> Result<()> {
    let seed = bench.arguments.seed();
    println!("--seed {seed}");
    let server = bench.demo().await?;
    let begin = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let manner = MANNERS.get(client % MANNERS.len()).copied().unwrap_or(Manner::Plain);
        clients.spawn_local(over_http(server.endpoint.clone(), manner, client, Dice(seed ^ client as u64)));
    }
    for client in 0..STDIO_CLIENTS {
        let command = bench.bureau("stdio", &bench.demo_database())?;
        clients.spawn_local(on_stdio(command, client, Dice(seed ^ (client as u64) << 32)));
    }
    let mut misrouted = 0_usize;
    while let Some(client) = clients.join_next().await {
        misrouted = misrouted.saturating_add(client??);
    }
    let asked = CLIENTS * EACH + STDIO_CLIENTS * EACH_ON_STDIO;
    let rate = asked as f64 / begin.elapsed().as_secs_f64();
    println!("{asked} answers, {CLIENTS} clients over HTTP and {STDIO_CLIENTS} on stdio, {rate:.0} a second");
    goal("misrouted answers 0", misrouted, misrouted == 0);
    Ok(())
}

/// The tool and arguments of a question that brings its word back in the answer.
fn question(word: &str) -> (&'static str, Value) {
    ("tool_search", json!({"query": "x", "toolset": word}))
}

/// Whether an answer has the id and the word that were asked with.
fn is_answer(body: &[u8], id: usize, word: &str) -> bool {
    let envelope = body.get(..64).unwrap_or(body);
    memmem::find(envelope, format!("\"id\":{id},").as_bytes()).is_some()
        && memmem::find(body, format!("`{word}`").as_bytes()).is_some()
}

/// One client over HTTP. How many of its answers were not its own.
async fn over_http(endpoint: Endpoint, manner: Manner, client: usize, mut dice: Dice) -> Result<usize> {
    let mut connection = Connection::open(endpoint.address).await?;
    let session = match manner {
        Manner::Session => connection.initialize(&endpoint).await?,
        Manner::Stateless | Manner::Plain => None,
    };
    let mut misrouted = 0_usize;
    for id in 0..EACH {
        let word = format!("c{client}i{id}w{:x}", dice.next());
        if dice.next().is_multiple_of(50) {
            sleep(Duration::from_micros(dice.next() % 2_000)).await;
        }
        let (tool, arguments) = question(&word);
        let request = match manner {
            Manner::Session => Request::call_in_session(&endpoint, session.as_deref(), id, tool, &arguments),
            Manner::Stateless => Request::call_with_id(&endpoint, id, tool, &arguments),
            Manner::Plain => Request::method(&endpoint, id, tool, &arguments),
        };
        let answer = timeout(PATIENCE, connection.exchange(&request)).await.context("an answer was lost")??;
        if !is_answer(answer.body, id, &word) {
            misrouted = misrouted.saturating_add(1);
            eprintln!("misrouted? {manner:?} client {client} asked {id} {word}: {}", answer.excerpt());
        }
    }
    Ok(misrouted)
}

/// One client on stdio, with as much in flight as the server takes. How many answers were not to their question.
async fn on_stdio(mut command: Command, client: usize, mut dice: Dice) -> Result<usize> {
    let mut bureau = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut input = bureau.stdin.take().context("its input is a pipe")?;
    let output = bureau.stdout.take().context("its output is a pipe")?;
    let mut words = HashMap::with_capacity(EACH_ON_STDIO);
    let mut lines = String::new();
    for id in 0..EACH_ON_STDIO {
        let word = format!("s{client}i{id}w{:x}", dice.next());
        let (tool, arguments) = question(&word);
        let params = json!({"name": tool, "arguments": arguments});
        lines.push_str(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string());
        lines.push('\n');
        words.insert(id, word);
    }
    let writer = tokio::task::spawn_local(async move { input.write_all(lines.as_bytes()).await });
    let mut output = BufReader::new(output).lines();
    let mut misrouted = 0_usize;
    for _ in 0..EACH_ON_STDIO {
        let line = timeout(PATIENCE, output.next_line()).await.context("an answer was lost")??;
        let line = line.context("bureau stdio ended early")?;
        let head = line.get(..64).unwrap_or(&line);
        let id = head.split("\"id\":").nth(1).and_then(|rest| rest.split(',').next()?.parse::<usize>().ok());
        // Taken out: a second answer to one question is as wrong as another's.
        match id.and_then(|id| Some((id, words.remove(&id)?))) {
            Some((id, word)) if is_answer(line.as_bytes(), id, &word) => {}
            _ => {
                misrouted = misrouted.saturating_add(1);
                eprintln!("misrouted? client {client} on stdio: {line}");
            }
        }
    }
    if !words.is_empty() {
        bail!("{} questions of client {client} on stdio were never answered", words.len());
    }
    writer.await??;
    bureau.wait().await?;
    Ok(misrouted)
}
