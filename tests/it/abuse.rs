//! Whoever sends too much, too deep, too slowly, or does not read: a clear refusal, bounded memory, and nobody else waits.
//!
//! All against the real program, since memory is measured from outside. `benches/load --only held` is the large form of
//! what is held open here.

use std::time::{Duration, Instant};

use bureau::limits::MESSAGE_BYTES;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::dice::{Dice, seed};
use crate::process::{Connection, Serving, call_message, resident, soon};
use crate::stdio::Assistant;
use crate::support::TestDatabase;

/// How much memory any of this may cost.
const GROWTH: u64 = 32 << 20;
/// No refusal may take longer, on a machine that is busy with other tests.
const PROMPT: Duration = Duration::from_secs(5);

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const PONG: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

/// The head of a request, with these lines beside the usual ones, and the empty line after it.
fn head(serving: &Serving, path: &str, lines: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Authorization: Bearer {}\r\n{lines}\r\n\r\n",
        serving.token
    )
}

/// Sends a head and then pieces of a body for as long as the server takes them. Status and body of what it says.
async fn flooded(serving: &Serving, head: &str, piece: &[u8], pieces: usize) -> (u16, String) {
    let (mut reading, mut writing) = TcpStream::connect(serving.address).await.unwrap().into_split();
    let (head, piece) = (head.as_bytes().to_vec(), piece.to_vec());
    let writer = tokio::spawn(async move {
        // A server that refuses need not read all of it, not even of the head.
        for bytes in std::iter::once(&head).chain(std::iter::repeat_n(&piece, pieces)) {
            if writing.write_all(bytes).await.is_err() {
                return;
            }
        }
        // Not dropped before the answer has come.
        std::future::pending::<()>().await;
    });
    let mut answer = Vec::new();
    // The end of it may be a reset: the server closes without reading what nobody wants.
    soon("a refusal", async {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = reading.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..read]);
            if whole(&answer) {
                break;
            }
        }
    })
    .await;
    writer.abort();
    let text = String::from_utf8(answer).unwrap();
    let status =
        text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no answer: {text:?}"));
    (status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// Whether an answer has come to its announced end.
fn whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    length.and_then(|length| length.parse().ok()).is_some_and(|length: usize| body.len() >= length)
}

/// Code and message of a refusal.
fn refusal(body: &str) -> (i64, String) {
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    (body["error"]["code"].as_i64().unwrap(), body["error"]["message"].as_str().unwrap().to_owned())
}

/// What memory was at the beginning, after everything had been used once.
struct Memory {
    process: u32,
    before: u64,
}

impl Memory {
    async fn of(serving: &Serving) -> Self {
        let mut connection = serving.connect().await;
        for path in ["/mcp", "/rpc"] {
            assert_eq!(connection.post(path, &serving.token, PING).await.unwrap().body, PONG);
            let full = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":"{}"}}}}"#,
                "x".repeat(MESSAGE_BYTES / 2)
            );
            assert_eq!(connection.post(path, &serving.token, &full).await.unwrap().body, PONG);
        }
        Self { process: serving.id(), before: resident(serving.id()) }
    }

    fn check(&self, what: &str) {
        let growth = resident(self.process).saturating_sub(self.before);
        println!("{what}: {} KiB at first, {} KiB more", self.before >> 10, growth >> 10);
        assert!(growth <= GROWTH, "{what} cost {} MiB", growth >> 20);
    }
}

async fn is_well(serving: &Serving) {
    let answer = serving.connect().await.post("/mcp", &serving.token, PING).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, PONG));
}

#[tokio::test(flavor = "multi_thread")]
async fn oversize_bodies_heads_and_bombs_are_refused_and_cost_no_memory() {
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let memory = Memory::of(&serving).await;
    let too_long = (-32600, format!("a message may have {MESSAGE_BYTES} bytes at most"));
    let hundredth = MESSAGE_BYTES / 100;
    let padded = |length: usize| format!("{PING}{}", " ".repeat(length - PING.len()));
    let mut cases = 0;
    for path in ["/mcp", "/rpc"] {
        // Announced: as long as may be, a little longer, and a hundred times as long.
        let announced = |length: usize| head(&serving, path, &format!("Content-Length: {length}"));
        let just = padded(MESSAGE_BYTES);
        assert_eq!(flooded(&serving, &announced(just.len()), just.as_bytes(), 1).await, (200, PONG.to_owned()));
        let over = padded(MESSAGE_BYTES + hundredth);
        let (status, body) = flooded(&serving, &announced(over.len()), over.as_bytes(), 1).await;
        assert_eq!((status, refusal(&body)), (413, too_long.clone()));
        let (status, body) = flooded(&serving, &announced(100 * MESSAGE_BYTES), &vec![b' '; MESSAGE_BYTES], 100).await;
        assert_eq!((status, refusal(&body)), (413, too_long.clone()));
        for absurd in ["99999999999999", "18446744073709551614"] {
            let start = Instant::now();
            let (status, _) =
                flooded(&serving, &head(&serving, path, &format!("Content-Length: {absurd}")), b"", 0).await;
            assert!([400, 413, 431].contains(&status), "Content-Length {absurd}: {status}");
            assert!(start.elapsed() < PROMPT, "Content-Length {absurd} took {:?}", start.elapsed());
        }
        // Unannounced, in chunks.
        let chunked = head(&serving, path, "Transfer-Encoding: chunked");
        let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        let just = [chunk(padded(MESSAGE_BYTES).as_bytes()), b"0\r\n\r\n".to_vec()].concat();
        assert_eq!(flooded(&serving, &chunked, &just, 1).await, (200, PONG.to_owned()));
        let over = [chunk(padded(MESSAGE_BYTES + hundredth).as_bytes()), b"0\r\n\r\n".to_vec()].concat();
        let (status, body) = flooded(&serving, &chunked, &over, 1).await;
        assert_eq!((status, refusal(&body)), (413, too_long.clone()));
        let (status, body) = flooded(&serving, &chunked, &chunk(&vec![b' '; MESSAGE_BYTES]), 100).await;
        assert_eq!((status, refusal(&body)), (413, too_long.clone()));
        // A chunk that says it has all the bytes there are; chunks of one byte; an endless extension of a chunk.
        let (status, body) =
            flooded(&serving, &format!("{chunked}7fffffffffffffff\r\n"), &vec![b' '; MESSAGE_BYTES], 100).await;
        assert_eq!((status, refusal(&body)), (413, too_long.clone()));
        let (status, body) = flooded(&serving, &chunked, &b"1\r\n \r\n".repeat(10_000), 200).await;
        assert_eq!((status, refusal(&body)), (413, too_long.clone()));
        let (status, _) = flooded(&serving, &format!("{chunked}1;"), &vec![b'x'; MESSAGE_BYTES], 100).await;
        assert_eq!(status, 400, "an endless chunk extension");
        // Compressed: refused for what the head says, so that nothing is ever unpacked.
        for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x-unknown"] {
            let bomb = [&b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"[..], &[0; 4096]].concat();
            let lines = format!("Content-Encoding: {encoding}\r\nContent-Length: {}", bomb.len());
            let (status, body) = flooded(&serving, &head(&serving, path, &lines), &bomb, 1).await;
            assert_eq!(
                (status, refusal(&body)),
                (415, (-32600, "send the body uncompressed".to_owned())),
                "{encoding}"
            );
            cases += 1;
        }
        let (status, _) =
            flooded(&serving, &head(&serving, path, "Transfer-Encoding: gzip, chunked"), b"0\r\n\r\n", 1).await;
        assert!((400..=501).contains(&status), "Transfer-Encoding: gzip, chunked: {status}");
        // Heads: one long line, many lines, one endless line, an endless request line.
        let long = head(&serving, path, &format!("X-Long: {}", "x".repeat(1 << 20)));
        assert_eq!(flooded(&serving, &long, b"", 0).await.0, 431);
        let many: String = (0..10_000).map(|number| format!("X-{number}: x\r\n")).collect();
        assert_eq!(flooded(&serving, &head(&serving, path, many.trim_end()), b"", 0).await.0, 431);
        assert_eq!(
            flooded(&serving, &format!("POST {path} HTTP/1.1\r\nX-Long: "), &vec![b'x'; MESSAGE_BYTES], 100).await.0,
            431
        );
        let (status, _) = flooded(&serving, &format!("POST {path}?"), &vec![b'x'; MESSAGE_BYTES], 100).await;
        assert!(status == 414 || status == 431, "an endless request line: {status}");
        cases += 17;
    }
    is_well(&serving).await;
    println!("{cases} floods");
    memory.check("floods");
}

/// What a message is that holds something at one of three places, and how its answer may begin.
fn holding(place: &str, value: &str) -> String {
    match place {
        "arguments" => format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"me","arguments":{{"a":{value}}}}}}}"#
        ),
        "params" => format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{value}}}}}"#),
        _ => value.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nesting_and_element_bombs_are_refused_and_cost_no_memory() {
    let (database, other) = (TestDatabase::new().await, TestDatabase::new().await);
    let serving = Serving::on_new(&database).await;
    let memory = Memory::of(&serving).await;
    let mut assistant = Assistant::start(&other);
    assert_eq!(assistant.told(PING).await["result"], json!({}));
    let process = assistant.child.id().unwrap();
    let stdio_memory = Memory { process, before: resident(process) };

    let arrays = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let objects = |levels: usize| format!("{}1{}", r#"{"k":"#.repeat(levels), "}".repeat(levels));
    let open = |levels: usize| "[".repeat(levels);
    let open_objects = |levels: usize| r#"{"":"#.repeat(levels);
    let both = |pairs: usize| format!("{}1{}", r#"[{"k":"#.repeat(pairs), "}]".repeat(pairs));
    let numbers = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
    let empties = |count: usize| format!("[{}{{}}]", "{},".repeat(count - 1));
    let keys = |count: usize| {
        let keys: Vec<String> = (0..count).map(|number| format!("\"{number}\":0")).collect();
        format!("{{{}}}", keys.join(","))
    };
    let digits = |count: usize| "7".repeat(count);

    let (deep, wide, long) = ("nested deeper than 64 levels", "more than 20000 values in one message", "too long");
    // Where, what, and which limit it meets; none where it is up to the tool or the method.
    let bombs: Vec<(&str, &str, String, Option<&str>)> = vec![
        ("arguments", "63 arrays", arrays(63), None),
        ("arguments", "63 objects", objects(63), None),
        ("arguments", "64 arrays", arrays(64), Some(deep)),
        ("arguments", "64 objects", objects(64), Some(deep)),
        ("arguments", "128 arrays", arrays(128), Some(deep)),
        ("arguments", "128 objects", objects(128), Some(deep)),
        ("arguments", "50 arrays of objects", both(50), Some(deep)),
        ("arguments", "100,000 arrays", arrays(100_000), Some(deep)),
        ("arguments", "100,000 objects", objects(100_000), Some(deep)),
        ("params", "128 arrays", arrays(128), Some(deep)),
        ("params", "100,000 arrays", arrays(100_000), Some(deep)),
        ("params", "100,000 objects", objects(100_000), Some(deep)),
        ("root", "100,000 arrays", arrays(100_000), Some(deep)),
        ("root", "1,000,000 arrays, never closed", open(1_000_000), Some(deep)),
        ("root", "200,000 objects, never closed", open_objects(200_000), Some(deep)),
        ("root", "1,000,000 arrays", arrays(1_000_000), Some(long)),
        ("root", "1,000,000 objects, never closed", open_objects(1_000_000), Some(long)),
        ("arguments", "19,000 numbers", numbers(19_000), None),
        ("arguments", "100,000 numbers", numbers(100_000), Some(wide)),
        ("arguments", "500,000 numbers", numbers(500_000), Some(wide)),
        ("arguments", "1,000,000 numbers", numbers(1_000_000), Some(long)),
        ("arguments", "100,000 empty objects", empties(100_000), Some(wide)),
        ("arguments", "100,000 keys", keys(90_000), Some(wide)),
        ("params", "100,000 numbers", numbers(100_000), Some(wide)),
        ("root", "500,000 numbers", numbers(500_000), Some(wide)),
        ("root", "1,000,000 numbers", numbers(1_000_000), Some(long)),
        ("arguments", "a number of 1,000,000 digits", digits(1_000_000), None),
        ("arguments", "a fraction of 1,000,000 digits", format!("0.{}", digits(1_000_000)), None),
        ("params", "a number of 1,000,000 digits", digits(1_000_000), None),
        ("arguments", "a text of 1,000,000 letters", format!("\"{}\"", "x".repeat(1_000_000)), None),
        ("arguments", "a text of 170,000 escapes", format!("\"{}\"", "\\u0041".repeat(170_000)), None),
    ];
    for (place, what, value, limit) in &bombs {
        let message = holding(place, value);
        let fits = |status: Option<u16>, body: &Value| {
            let code = body["error"]["code"].as_i64();
            let text = body["error"]["message"].as_str().unwrap_or_default();
            match *limit {
                // Judged by whom it is for: a result, a tool's error, or arguments that cannot be read.
                None => {
                    status.is_none_or(|status| status == 200)
                        && (code.is_none() || code == Some(-32602))
                        && body["id"] == 1
                }
                Some("too long") => {
                    status.is_none_or(|status| status == 413)
                        && code == Some(-32600)
                        && text == format!("a message may have {MESSAGE_BYTES} bytes at most")
                }
                Some(limit) => {
                    text.contains(limit) && (code == Some(-32600) || (code == Some(-32602) && body["id"] == 1))
                }
            }
        };
        for path in ["/mcp", "/rpc"] {
            let start = Instant::now();
            let head = head(&serving, path, &format!("Content-Length: {}", message.len()));
            let (status, body) = flooded(&serving, &head, message.as_bytes(), 1).await;
            let body: Value =
                serde_json::from_str(&body).unwrap_or_else(|error| panic!("{place} {what}: {error}: {body}"));
            assert!(fits(Some(status), &body), "{path} {place} {what}: {status} {:.200}", body.to_string());
            assert!(start.elapsed() < PROMPT, "{path} {place} {what} took {:?}", start.elapsed());
        }
        let start = Instant::now();
        let answer = assistant.told(&message).await;
        assert!(fits(None, &answer), "stdio {place} {what}: {:.200}", answer.to_string());
        assert!(start.elapsed() < PROMPT, "stdio {place} {what} took {:?}", start.elapsed());
    }
    is_well(&serving).await;
    assert_eq!(assistant.told(PING).await["result"], json!({}));
    println!("{} bombs, three ways each", bombs.len());
    memory.check("bombs over HTTP");
    stdio_memory.check("bombs over stdio");
    assistant.leave().await;
}

/// Names are compared with known ones to guess what was meant: that must not take longer with longer names.
#[tokio::test(flavor = "multi_thread")]
async fn long_names_are_refused_as_fast_as_short_ones() {
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let long = "task_list".repeat(100_000);
    let mut connection = serving.connect().await;
    let messages = [
        ("tool", call_message(json!(1), &long, json!({}))),
        ("argument", call_message(json!(1), "task_list", json!({long.as_str(): 1}))),
        ("method", json!({"jsonrpc": "2.0", "id": 1, "method": long})),
        ("value of a choice", call_message(json!(1), "task_list", json!({"status": long}))),
        ("field of an order", call_message(json!(1), "task_list", json!({"sort": long}))),
        ("toolset", call_message(json!(1), "tool_search", json!({"query": "x", "toolset": long}))),
        ("search", call_message(json!(1), "tool_search", json!({"query": long}))),
        ("words to search", call_message(json!(1), "tool_search", json!({"query": "task list ".repeat(90_000)}))),
        ("tool to call", call_message(json!(1), "tool_call_read", json!({"name": long}))),
        ("tool to explain", call_message(json!(1), "permission_explain", json!({"tool": long}))),
        ("record", call_message(json!(1), "task_show", json!({"id": long}))),
        ("text to find", call_message(json!(1), "task_list", json!({"q": long}))),
    ];
    let mut slow = Vec::new();
    for (what, message) in messages {
        for path in ["/mcp", "/rpc"] {
            let start = Instant::now();
            let answer = connection.post(path, &serving.token, &message.to_string()).await.unwrap();
            let took = start.elapsed();
            assert_eq!(answer.status, 200, "{path} {what}: {:.200}", answer.body);
            println!("{path} {what}: {took:?}");
            if took > Duration::from_secs(2) {
                slow.push(format!("{path}, {what} of {} bytes: {took:?}", long.len()));
            }
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_100_megabytes_is_read_past_and_costs_no_memory() {
    let database = TestDatabase::new().await;
    let mut assistant = Assistant::start(&database);
    assert_eq!(assistant.told(PING).await["result"], json!({}));
    let process = assistant.child.id().unwrap();
    let memory = Memory { process, before: resident(process) };
    let mut highest = 0;
    for start in [r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":""#, "["] {
        let input = assistant.input.as_mut().unwrap();
        input.write_all(start.as_bytes()).await.unwrap();
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..100 {
            input.write_all(&piece).await.unwrap();
            highest = highest.max(resident(process));
        }
        let answer = assistant.told("").await;
        let why = format!("a message may have {MESSAGE_BYTES} bytes at most");
        assert_eq!(
            (&answer["id"], &answer["error"]["code"], &answer["error"]["message"]),
            (&Value::Null, &json!(-32600), &json!(why))
        );
        assert_eq!(assistant.told(PING).await["result"], json!({}));
    }
    println!("highest: {} KiB above the beginning", highest.saturating_sub(memory.before) >> 10);
    assert!(highest.saturating_sub(memory.before) <= GROWTH, "{highest} from {}", memory.before);
    memory.check("two lines of 100 MB");
    // Without its end the last line counts too.
    assistant.input.as_mut().unwrap().write_all(&vec![b'x'; 4 << 20]).await.unwrap();
    drop(assistant.input.take());
    let rest = assistant.rest().await;
    assert_eq!(rest.iter().map(|answer| &answer["error"]["code"]).collect::<Vec<_>>(), [&json!(-32600)]);
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_are_bounded_on_stdio() {
    let database = TestDatabase::new().await;
    let mut assistant = Assistant::start(&database);
    let length = assistant.told(LIST).await.to_string().len();
    let process = assistant.child.id().unwrap();
    let memory = Memory { process, before: resident(process) };
    let mut input = assistant.input.take().unwrap();
    let asked = LIST.len() + 1;
    let piece = format!("{LIST}\n").repeat(100);
    // Until the server takes no more: it must not read on while its answers are not taken.
    let mut sent = 0;
    let stopped = async {
        while tokio::time::timeout(Duration::from_secs(3), input.write_all(piece.as_bytes()))
            .await
            .is_ok_and(|sent| sent.is_ok())
        {
            sent += piece.len();
            assert!(sent / asked * length < 1 << 30, "the server reads on while nobody reads it");
        }
    };
    stopped.await;
    println!("{} lists of {length} bytes asked until the server stopped reading", sent / asked);
    memory.check("unread answers on stdio");
    // Reading again frees it: every request that was sent whole is answered.
    let answers = async {
        for _ in 0..sent / asked {
            assert!(assistant.answer().await["result"]["tools"].is_array());
        }
    };
    soon("the answers", answers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_are_bounded_over_http() {
    const CLIENTS: usize = 50;
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let memory = Memory::of(&serving).await;
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;
    let length = serving.connect().await.post("/mcp?toolsets=all", &serving.token, list).await.unwrap().body.len();
    let one = head(&serving, "/mcp?toolsets=all", &format!("Content-Length: {}", list.len())) + list;
    let piece = one.repeat(20);
    let mut held = Vec::new();
    let mut asked = 0;
    for _ in 0..CLIENTS {
        let mut stream = TcpStream::connect(serving.address).await.unwrap();
        let mut sent = 0;
        // The system takes some megabytes for a server that does not read on.
        while tokio::time::timeout(Duration::from_millis(200), stream.write_all(piece.as_bytes()))
            .await
            .is_ok_and(|sent| sent.is_ok())
        {
            sent += piece.len();
            assert!(sent < 64 << 20, "the server reads on while nobody reads it");
        }
        asked += sent / one.len();
        held.push(stream);
    }
    println!("{CLIENTS} clients asked {asked} lists of {length} bytes and read none");
    memory.check("unread answers over HTTP");
    is_well(&serving).await;
    drop(held);
    is_well(&serving).await;
}

/// The ways to hold a connection without asking anything.
const WAYS_TO_HOLD: [&str; 6] = [
    "",
    "P",
    "POST /mcp HTTP/1.1\r\n",
    "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n",
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea",
];

#[tokio::test(flavor = "multi_thread")]
async fn held_connections_are_closed_in_time_and_keep_nobody_waiting() {
    const HELD: usize = 200;
    let seed = seed();
    println!("BUREAU_SEED={seed}");
    let mut dice = Dice::new(seed);
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let memory = Memory::of(&serving).await;
    let start = Instant::now();
    let mut held = tokio::task::JoinSet::new();
    for number in 0..HELD {
        let mut stream = TcpStream::connect(serving.address).await.unwrap();
        stream.write_all(WAYS_TO_HOLD[number % WAYS_TO_HOLD.len()].as_bytes()).await.unwrap();
        let drips = number % 2 == 1;
        let pause = Duration::from_millis(200 + dice.below(600));
        held.spawn(async move {
            let (mut reading, mut writing) = stream.into_split();
            let dripping = async {
                // A letter now and then: what comes in drops must not count as progress.
                while drips && writing.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(pause).await;
                }
                std::future::pending::<()>().await;
            };
            let closed = async {
                let mut text = Vec::new();
                let _ = reading.read_to_end(&mut text).await;
            };
            tokio::select! { () = dripping => {}, () = closed => {} }
            start.elapsed()
        });
    }
    // Beside them everybody else is served, on an old connection and on new ones.
    let mut probes = Vec::new();
    let mut old = serving.connect().await;
    let mut closed = Vec::new();
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    while !held.is_empty() {
        tokio::select! {
            Some(after) = held.join_next() => closed.push(after.unwrap()),
            _ = beat.tick() => {
                let asked = Instant::now();
                assert_eq!(old.post("/mcp", &serving.token, PING).await.unwrap().body, PONG);
                let mut new = Connection::to(serving.address).await.unwrap();
                assert_eq!(new.get("/healthz").await.unwrap().body, "ok\n");
                probes.push(asked.elapsed());
            }
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{} connections are still held", held.len());
    }
    probes.sort_unstable();
    let p99 = probes[probes.len() * 99 / 100];
    let last = closed.iter().max().unwrap();
    println!(
        "{HELD} held connections, the last closed after {last:?}; {} probes beside them, p99 {p99:?}",
        probes.len()
    );
    assert!(*last < Duration::from_secs(20), "the last was closed after {last:?}");
    assert!(p99 < Duration::from_secs(1), "a probe took {p99:?}");
    memory.check("held connections");
}
