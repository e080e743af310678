//! Every answer reaches who asked: clients that all use the same ids, each with a word of its own in every question.
//!
//! `benches/load --only routing` asks a million times.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::dice::{Dice, seed};
use crate::process::{Connection, Serving, call_message};
use crate::stdio::Assistant;
use crate::support::TestDatabase;

const CLIENTS: usize = 64;
/// Questions of each client over HTTP.
const EACH: usize = 1_250;
/// Questions of each client on stdio.
const EACH_ON_STDIO: usize = 5_000;
const STDIO_CLIENTS: usize = 4;

/// How a client speaks.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// MCP of 2025-11-25 after a handshake, with the session's id where the server gives one.
    Session,
    /// The same version without a handshake.
    Bare,
    /// MCP of 2026-07-28.
    Stateless,
    /// Plain JSON-RPC, one by one.
    Plain,
    /// Plain JSON-RPC in batches, whose entries run at once.
    Batches,
}

const MANNERS: [Manner; 5] = [Manner::Session, Manner::Bare, Manner::Stateless, Manner::Plain, Manner::Batches];

/// A question that brings its word back. Most ask for a method there is not, which costs little; some go all the way to a
/// tool that reads.
fn question(manner: Manner, id: usize, word: &str) -> (String, &'static str) {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let through_a_tool = id.is_multiple_of(50);
    let plain = matches!(manner, Manner::Plain | Manner::Batches);
    let (method, params) = match (through_a_tool, plain) {
        (true, true) => ("tool_search", format!(r#""query":"x","toolset":"{word}""#)),
        (true, false) => {
            ("tools/call", format!(r#""name":"tool_search","arguments":{{"query":"x","toolset":"{word}"}}"#))
        }
        (false, _) => (word, String::new()),
    };
    let params = match (manner, params.as_str()) {
        (Manner::Stateless, "") => meta.to_owned(),
        (Manner::Stateless, params) => format!("{params},{meta}"),
        (_, params) => params.to_owned(),
    };
    let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#);
    (text, if through_a_tool { "tool_search" } else { "" })
}

/// Whether an answer has the id and the word that it was asked with.
fn is_answer(text: &str, id: usize, word: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Response<'a> {
        id: usize,
        #[serde(borrow)]
        result: Option<&'a RawValue>,
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    let Ok(response) = serde_json::from_str::<Response<'_>>(text) else { return false };
    response.id == id
        && response.result.or(response.error).is_some_and(|said| said.get().contains(&format!("`{word}`")))
}

/// One client over HTTP. How many of its answers were its own.
async fn over_http(mut connection: Connection, token: String, manner: Manner, client: usize, mut dice: Dice) -> usize {
    let mut session = String::new();
    if let Manner::Session = manner {
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "routing", "version": "1"}}});
        let answer = connection.post("/mcp", &token, &hello.to_string()).await.unwrap();
        assert_eq!(answer.json()["result"]["protocolVersion"], "2025-11-25", "{answer:?}");
        session = answer.header("mcp-session-id").map_or_else(String::new, |id| format!("Mcp-Session-Id: {id}\r\n"));
    }
    let (mut right, mut next) = (0, 0);
    while next < EACH {
        // A few questions ahead of their answers, now and then after a pause.
        let some = (1 + usize::try_from(dice.below(8)).unwrap()).min(EACH - next);
        if dice.below(20) == 0 {
            tokio::time::sleep(Duration::from_micros(dice.below(3_000))).await;
        }
        let asked: Vec<(usize, String)> =
            (next..next + some).map(|id| (id, format!("c{client}i{id}w{:x}", dice.below(1 << 40)))).collect();
        next += some;
        let mut sent = String::new();
        let mut post = |body: &str, lines: &str, path: &str| {
            sent += &format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Accept: application/json, text/event-stream\r\nAuthorization: Bearer {token}\r\n{lines}Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
        };
        if let Manner::Batches = manner {
            let entries: Vec<String> = asked.iter().map(|(id, word)| question(manner, *id, word).0).collect();
            post(&format!("[{}]", entries.join(",")), "", "/rpc");
            connection.send(sent).await.unwrap();
            let answer = connection.answer().await.unwrap();
            let answers: Vec<&RawValue> =
                serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
            assert_eq!(answers.len(), asked.len(), "{answer:?}");
            right += answers.iter().zip(&asked).filter(|(said, (id, word))| is_answer(said.get(), *id, word)).count();
            continue;
        }
        for (id, word) in &asked {
            let (body, name) = question(manner, *id, word);
            let lines = match manner {
                Manner::Stateless if name.is_empty() => {
                    format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {word}\r\n")
                }
                Manner::Stateless => {
                    format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {name}\r\n")
                }
                Manner::Session => format!("MCP-Protocol-Version: 2025-11-25\r\n{session}"),
                _ => String::new(),
            };
            post(&body, &lines, if let Manner::Plain = manner { "/rpc" } else { "/mcp" });
        }
        connection.send(sent).await.unwrap();
        for (id, word) in &asked {
            let answer = connection.answer().await.unwrap();
            if is_answer(&answer.body, *id, word) {
                right += 1;
            } else {
                println!("misrouted? {manner:?} client {client} asked {id} {word}: {} {}", answer.status, answer.body);
            }
        }
    }
    right
}

/// One client on stdio, with all that the server takes in flight; answers come in any order.
async fn on_stdio(mut assistant: Assistant, client: usize, mut dice: Dice) -> usize {
    let mut words: HashMap<usize, String> = HashMap::new();
    let mut lines = String::new();
    for id in 0..EACH_ON_STDIO {
        let word = format!("s{client}i{id}w{:x}", dice.below(1 << 40));
        lines += &question(Manner::Bare, id, &word).0;
        lines.push('\n');
        words.insert(id, word);
    }
    let mut input = assistant.input.take().unwrap();
    let writer = tokio::spawn(async move {
        let mut rest = lines.as_bytes();
        // In pieces of any length: where a line ends is not where a read ends.
        while !rest.is_empty() {
            let some = usize::try_from(1 + dice.below(4_000)).unwrap().min(rest.len());
            input.write_all(&rest[..some]).await.unwrap();
            rest = &rest[some..];
        }
        input
    });
    let mut right = 0;
    for _ in 0..EACH_ON_STDIO {
        let line = assistant.line().await;
        let id = serde_json::from_str::<Value>(&line).unwrap()["id"].as_u64().and_then(|id| usize::try_from(id).ok());
        // Taken out: a second answer to one question is as wrong as another's.
        let word = id.and_then(|id| words.remove(&id)).unwrap_or_else(|| panic!("nobody asked for {line}"));
        right += usize::from(is_answer(&line, id.unwrap(), &word));
    }
    drop(writer.await.unwrap());
    assert_eq!(assistant.rest().await, Vec::<Value>::new());
    right
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_thousand_answers_reach_who_asked() {
    let seed = seed();
    println!("BUREAU_SEED={seed}");
    let start = Instant::now();
    let (database, other) = (TestDatabase::new().await, TestDatabase::new().await);
    let serving = Serving::on_new(&database).await;
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let dice = Dice::new(seed.wrapping_add(u64::try_from(client).unwrap()));
        let connection = serving.connect().await;
        clients.spawn(over_http(connection, serving.token.clone(), MANNERS[client % MANNERS.len()], client, dice));
    }
    // The company of the second database is founded by whoever comes first.
    let mut first = Assistant::start(&other);
    let me = call_message(json!(0), "me", json!({})).to_string();
    assert_eq!(first.told(me).await["result"]["isError"], false);
    let mut assistants = vec![first];
    assistants.resize_with(STDIO_CLIENTS, || Assistant::start(&other));
    for (client, assistant) in assistants.into_iter().enumerate() {
        clients.spawn(on_stdio(
            assistant,
            client,
            Dice::new(seed.wrapping_mul(31).wrapping_add(u64::try_from(client).unwrap())),
        ));
    }
    let right: usize = clients.join_all().await.into_iter().sum();
    let asked = CLIENTS * EACH + STDIO_CLIENTS * EACH_ON_STDIO;
    println!(
        "{asked} questions of {CLIENTS} clients over HTTP and {STDIO_CLIENTS} on stdio in {:?}, {} misrouted",
        start.elapsed(),
        asked - right
    );
    assert_eq!((asked, right), (100_000, 100_000));
}
