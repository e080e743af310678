//! Many connections at once: those that only hold what they have, and those that each call now and then.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::{JoinSet, LocalSet},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    bench::{Bench, Server},
    drive::{milliseconds, percentile},
    http::{Connection, Endpoint, Request},
    machine::{cpu_time, resident_megabytes},
    report::goal,
};

/// Connections that ask nothing, or never to the end, or do not read.
const HELD: usize = 5_000;

/// What is still held after this is held for ever.
const HELD_LIMIT: Duration = Duration::from_secs(60);

/// Connections with a token of their own, open all the time.
const SESSIONS: usize = 10_000;

/// Calls a second of them all together.
const TRICKLE: u32 = 500;

/// How long the trickle lasts at least; `--seconds` may make it longer.
const TRICKLE_SECONDS: f64 = 30.0;

/// People to whom the sessions belong.
const USERS: usize = 100;

/// How a connection is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// Nothing is ever sent.
    Silent,
    /// A head that does not end, with a letter of it now and then or without.
    Head { drips: bool },
    /// A body that does not end.
    Body { drips: bool },
    /// Long answers are asked for and not read.
    Unread,
}

const HOLDS: [Hold; 5] = [
    Hold::Silent,
    Hold::Head { drips: false },
    Hold::Head { drips: true },
    Hold::Body { drips: false },
    Hold::Body { drips: true },
];

/// One connection in so many does not read: the system itself keeps megabytes for each of these.
const UNREAD: usize = 50;

/// Thousands of connections are held in every way there is, while others are served beside them.
pub(crate) async fn held(bench: &Bench<'_>) -> Result<()> {
    LocalSet::new().run_until(held_here(bench)).await
}

async fn held_here(bench: &Bench<'_>) -> Result<()> {
    let server = bench.demo().await?;
    let call = Request::call(&server.endpoint, "task_show", &json!({"id": 1}));
    let mut old = Connection::open(server.endpoint.address).await?;
    old.exchange(&call).await?;
    let before = resident_megabytes(server.process)?;
    let begin = Instant::now();
    let mut holding = JoinSet::new();
    let (mut probes, mut peak) = (Vec::new(), before);
    for number in 0..HELD {
        // Others are let in between: connections are taken in turn, so no queue of the system overflows.
        if number % 50 == 0 {
            probes.push(probe(&server, &mut old, &call).await?);
        }
        let kind = HOLDS.get(number % HOLDS.len()).copied().filter(|_| number % UNREAD != 0).unwrap_or(Hold::Unread);
        let stream = TcpStream::connect(server.endpoint.address).await?;
        holding.spawn_local(hold(stream, server.endpoint.clone(), kind));
    }
    let opened = begin.elapsed();
    let mut closed: Vec<(Hold, Duration)> = Vec::new();
    let mut beat = interval(Duration::from_millis(20));
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !holding.is_empty() {
        tokio::select! {
            Some(ended) = holding.join_next() => closed.push(ended?),
            _ = beat.tick() => {
                let took = probe(&server, &mut old, &call).await;
                probes.push(took.with_context(|| format!("after {:?}", begin.elapsed()))?);
                peak = peak.max(resident_megabytes(server.process)?);
            }
        }
        if begin.elapsed() > HELD_LIMIT {
            break;
        }
    }
    probes.sort_unstable();
    println!("{HELD} connections opened in {:.1} s", opened.as_secs_f64());
    let last = |of: &dyn Fn(Hold) -> bool| {
        let after = closed.iter().filter(|(kind, _)| of(*kind)).map(|(_, after)| *after).max();
        after.unwrap_or_default().as_secs_f64()
    };
    for kind in HOLDS.into_iter().chain([Hold::Unread]) {
        let count = closed.iter().filter(|(other, _)| *other == kind).count();
        println!("{:<24}{count} closed, the last after {:.1} s", format!("{kind:?}"), last(&|other| other == kind));
    }
    let p99 = milliseconds(percentile(&probes, 0.99));
    let per_connection = (peak - before) * 1e3 / HELD as f64;
    println!(
        "{} probes beside them, p50 {:.2} ms, p99 {p99:.2} ms",
        probes.len(),
        milliseconds(percentile(&probes, 0.50))
    );
    println!("memory {before:.1} MB before, {peak:.1} MB at most: {per_connection:.1} kB a connection");
    if !holding.is_empty() {
        println!("{} connections were still held after {} s", holding.len(), HELD_LIMIT.as_secs());
    }
    goal("connections held for ever 0", holding.len(), holding.is_empty());
    let heads = last(&|kind| matches!(kind, Hold::Silent | Hold::Head { .. }));
    let others = last(&|kind| matches!(kind, Hold::Body { .. } | Hold::Unread));
    goal("unfinished heads closed <= 16 s", format_args!("{heads:.1} s"), heads <= 16.0);
    goal("unfinished bodies and unread answers <= 35 s", format_args!("{others:.1} s"), others <= 35.0);
    goal("probe p99 < 100 ms", format_args!("{p99:.2} ms"), p99 < 100.0);
    Ok(())
}

/// One call on a connection that is kept, and a look at the health on a new one. How long both took together.
async fn probe(server: &Server, old: &mut Connection, call: &Request) -> Result<Duration> {
    let asked = Instant::now();
    let answer = old.exchange(call).await.context("a call on an old connection")?;
    ensure!(answer.is_success(), "a call on an old connection: {}", answer.excerpt());
    let mut new = Connection::open(server.endpoint.address).await?;
    let answer = new.exchange(&Request::get(&server.endpoint, "/healthz")).await.context("a new connection")?;
    ensure!(answer.status == 200, "a new connection: {}", answer.excerpt());
    Ok(asked.elapsed())
}

/// Holds one connection until the server has had enough of it. How long that took.
async fn hold(stream: TcpStream, endpoint: Endpoint, kind: Hold) -> (Hold, Duration) {
    let begin = Instant::now();
    let (mut reading, mut writing) = stream.into_split();
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let authorization = format!("Authorization: Bearer {}\r\n", endpoint.token.as_deref().unwrap_or_default());
    let (start, drips) = match kind {
        Hold::Silent => (String::new(), false),
        Hold::Head { drips } => (format!("{head}X-Slow: "), drips),
        Hold::Body { drips } => (format!("{head}{authorization}Content-Length: 1000\r\n\r\n{{"), drips),
        Hold::Unread => {
            let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
            let one = format!("{head}{authorization}Content-Length: {}\r\n\r\n{body}", body.len());
            (one.replacen("/mcp ", "/mcp?toolsets=all ", 1).repeat(100), false)
        }
    };
    let asking = async {
        let mut going = writing.write_all(start.as_bytes()).await.is_ok();
        while going {
            sleep(Duration::from_millis(700)).await;
            // Who does not read notices the end only by writing.
            going = match kind {
                Hold::Unread => writing.write_all(start.as_bytes()).await.is_ok(),
                _ => !drips || writing.write_all(b"x").await.is_ok(),
            };
        }
    };
    let closed = async {
        let mut rest = [0; 1024];
        while kind != Hold::Unread && reading.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        if kind == Hold::Unread {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! { () = asking => {}, () = closed => {} }
    (kind, begin.elapsed())
}

/// One user with a connection and a token of its own.
struct Session {
    connection: Connection,
    call: Request,
}

/// Thousands of people are connected, a few hundred of them call in any second.
pub(crate) async fn sessions(bench: &Bench<'_>) -> Result<()> {
    LocalSet::new().run_until(sessions_here(bench)).await
}

async fn sessions_here(bench: &Bench<'_>) -> Result<()> {
    let server = bench.demo().await?;
    let begin = Instant::now();
    let tokens = mint(&server, SESSIONS).await?;
    println!("{} tokens made in {:.1} s", tokens.len(), begin.elapsed().as_secs_f64());
    let before = resident_megabytes(server.process)?;

    let begin = Instant::now();
    let mut open = Vec::with_capacity(tokens.len());
    for (number, token) in tokens.into_iter().enumerate() {
        let endpoint = Endpoint { address: server.endpoint.address, token: Some(token) };
        open.push(Rc::new(RefCell::new(Some(join(&endpoint, number % 2 == 0).await?))));
    }
    // Streams of half of them (GET of the handshake era, subscriptions/listen of the stateless one) are to be opened here:
    // each on a second connection of its session, so that the driver stays under 20,000 descriptors.
    println!("{} sessions opened in {:.1} s", open.len(), begin.elapsed().as_secs_f64());
    let after = resident_megabytes(server.process)?;
    let per_session = (after - before) * 1e3 / SESSIONS as f64;

    let cpu_before = cpu_time(server.process)?;
    let seconds = bench.arguments.seconds.max(TRICKLE_SECONDS);
    let calls = (seconds * f64::from(TRICKLE)) as usize;
    let mut beat = interval(Duration::from_secs(1) / TRICKLE);
    let begin = Instant::now();
    let mut calling: JoinSet<Result<Duration>> = JoinSet::new();
    let (mut latencies, mut errors) = (Vec::with_capacity(calls), Vec::new());
    for number in 0..calls {
        // Timed from when the call was due, so that a driver that falls behind is not taken for a fast server.
        let due = beat.tick().await;
        // Far apart from one call to the next: every session's turn comes, in no order that a cache could like.
        let session = open.get(number.wrapping_mul(7_919) % open.len()).cloned().context("there are sessions")?;
        calling.spawn_local(async move {
            let mut own = session.borrow_mut().take().context("a session's last call takes longer than its turn")?;
            let answer = own.connection.exchange(&own.call).await?;
            ensure!(answer.is_success(), "{}", answer.excerpt());
            let took = due.elapsed();
            session.borrow_mut().replace(own);
            Ok(took)
        });
        while let Some(done) = calling.try_join_next() {
            note(done?, &mut latencies, &mut errors);
        }
    }
    let elapsed = begin.elapsed();
    while let Some(done) = timeout(Duration::from_secs(30), calling.join_next()).await.context("no answer in 30 s")? {
        note(done?, &mut latencies, &mut errors);
    }
    let cpu = cpu_time(server.process)?.saturating_sub(cpu_before);
    latencies.sort_unstable();
    let in_the_end = resident_megabytes(server.process)?;
    let p99 = milliseconds(percentile(&latencies, 0.99));
    println!(
        "{} calls in {:.1} s beside {SESSIONS} open sessions: p50 {:.2} ms, p99 {p99:.2} ms, longest {:.2} ms, {:.0} CPU µs each",
        latencies.len(),
        elapsed.as_secs_f64(),
        milliseconds(percentile(&latencies, 0.50)),
        milliseconds(percentile(&latencies, 1.0)),
        cpu.as_secs_f64() * 1e6 / calls as f64
    );
    println!("memory {before:.1} MB without sessions, {after:.1} MB with them, {in_the_end:.1} MB after the calls");
    if let Some(first) = errors.first() {
        println!("the first error: {first:#}");
    }
    goal("errors 0", errors.len(), errors.is_empty());
    goal("p99 < 250 ms", format_args!("{p99:.2} ms"), p99 < 250.0);
    goal("memory <= 30 kB a session", format_args!("{per_session:.1} kB"), per_session <= 30.0);
    goal("memory <= 400 MB", format_args!("{in_the_end:.1} MB"), in_the_end <= 400.0);
    Ok(())
}

fn note(done: Result<Duration>, latencies: &mut Vec<Duration>, errors: &mut Vec<anyhow::Error>) {
    match done {
        Ok(took) => latencies.push(took),
        Err(error) => errors.push(error),
    }
}

/// Opens a session's connection and makes its first call: after a handshake, or without one in the stateless era.
async fn join(endpoint: &Endpoint, handshake: bool) -> Result<Session> {
    let mut connection = Connection::open(endpoint.address).await?;
    let arguments = json!({"id": 1});
    let call = if handshake {
        let session = connection.initialize(endpoint).await?;
        Request::call_in_session(endpoint, session.as_deref(), 1, "task_show", &arguments)
    } else {
        Request::call(endpoint, "task_show", &arguments)
    };
    let answer = connection.exchange(&call).await?;
    if !answer.is_success() {
        bail!("the first call of a session failed: {}", answer.excerpt());
    }
    Ok(Session { connection, call })
}

/// Makes session tokens for many people, each of its own. One person may have so many MCP sessions and no more.
async fn mint(server: &Server, count: usize) -> Result<Vec<String>> {
    let mut minting = JoinSet::new();
    for user in 0..USERS {
        let share = count / USERS + usize::from(user < count % USERS);
        let endpoint = person(&server.endpoint, user).await?;
        minting.spawn_local(async move {
            let arguments = json!({"label": "load", "ttl_minutes": 600});
            let mut connection = Connection::open(endpoint.address).await?;
            let mut tokens = Vec::with_capacity(share);
            for _ in 0..share {
                let created = called(&mut connection, &endpoint, "session_create", &arguments).await?;
                tokens.push(text_in(&created, "session_token")?);
            }
            Ok::<_, anyhow::Error>(tokens)
        });
    }
    let mut tokens = Vec::with_capacity(count);
    while let Some(minted) = minting.join_next().await {
        tokens.extend(minted??);
    }
    Ok(tokens)
}

/// A new person with an API key.
async fn person(owner: &Endpoint, number: usize) -> Result<Endpoint> {
    let mut connection = Connection::open(owner.address).await?;
    let name = format!("load{number}");
    let user = json!({
        "email": format!("{name}@load.example.com"), "first_name": "Load", "last_name": name, "role": "admin",
    });
    let user = called(&mut connection, owner, "user_create", &user).await?;
    let key = json!({"name": name, "user_id": user.get("id")});
    let key = called(&mut connection, owner, "api_key_create", &key).await?;
    Ok(Endpoint { address: owner.address, token: Some(text_in(&key, "secret")?) })
}

/// What a tool answers, which must be a success.
async fn called(connection: &mut Connection, endpoint: &Endpoint, tool: &str, arguments: &Value) -> Result<Value> {
    let answer = connection.exchange(&Request::call(endpoint, tool, arguments)).await?;
    ensure!(answer.is_success(), "{tool} failed: {}", answer.excerpt());
    let mut message: Value = serde_json::from_slice(answer.body)?;
    let result = message.pointer_mut("/result/structuredContent").map(Value::take);
    result.with_context(|| format!("{tool} answered no object"))
}

fn text_in(object: &Value, key: &str) -> Result<String> {
    let text = object.get(key).and_then(Value::as_str);
    Ok(text.with_context(|| format!("no {key} in an answer"))?.to_owned())
}
