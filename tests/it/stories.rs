//! The stories in `examples/stories`, replayed line by line: requests as a client sends them, answers as it gets them.
//!
//! A line holds a JSON-RPC `request`, the `answer` (as much of it as matters), what to `keep` of it by JSON pointer, and
//! whom it is sent `as`: the owner, or a token that an earlier line kept. `${name}` stands for what was kept.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bureau::mcp::{Face, Server};
use bureau::rpc::{Caller, Message};
use bureau_kit::access::Shown;
use bureau_kit::gate::{Origin, Selection};
use serde_json::Value;

use crate::support::Tester;

#[tokio::test(flavor = "multi_thread")]
async fn every_story_goes_as_it_is_told() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/stories");
    let mut stories: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    stories.sort();
    assert!(stories.len() >= 4, "stories are missing");
    for story in stories {
        let name = story.file_name().unwrap().to_string_lossy().into_owned();
        let lines = replay(&name, &std::fs::read_to_string(&story).unwrap()).await;
        println!("{name}: {lines} lines");
    }
}

async fn replay(name: &str, story: &str) -> usize {
    let owner = Tester::new().await;
    let server = Server::new(owner.bureau.clone()).unwrap();
    let mut kept: BTreeMap<String, Value> = BTreeMap::new();
    let mut told = 0;
    for (number, line) in story.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("{name}, line {}", number + 1);
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{place}: {error}"));
        let Some(request) = line.get("request") else {
            assert!(line["story"].is_string(), "{place}: neither a request nor a text");
            continue;
        };
        let shown = match line["as"].as_str() {
            None | Some("owner") => owner.shown.clone(),
            Some(token) => Shown::Token(kept[token].as_str().unwrap().to_owned()),
        };
        let answer = send(&server, shown, &filled(request, &kept)).await;
        let expected = filled(&line["answer"], &kept);
        if let Some(difference) = missing(&expected, &answer, "") {
            panic!("{place}: {difference}\nanswer: {answer:#}");
        }
        for (name, pointer) in line["keep"].as_object().into_iter().flatten() {
            let value = answer.pointer(pointer.as_str().unwrap());
            let value = value.unwrap_or_else(|| panic!("{place}: nothing at {pointer} in {answer:#}"));
            kept.insert(name.clone(), value.clone());
        }
        told += 1;
    }
    told
}

async fn send(server: &Server, shown: Shown, request: &Value) -> Value {
    let text = request.to_string();
    let message = Message::read(&text).unwrap();
    let origin = Origin { transport: "rpc", client: Some("story".into()), ..Origin::default() };
    let caller = Caller::new(Some(shown), Selection::default(), origin);
    let response = server.answer(Face::Plain, &message, Arc::new(caller)).await;
    serde_json::from_slice(&response.joined()).unwrap()
}

fn filled(value: &Value, kept: &BTreeMap<String, Value>) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => kept.get(name).unwrap_or_else(|| panic!("nothing was kept as {name}")).clone(),
            None => value.clone(),
        },
        Value::Array(items) => items.iter().map(|item| filled(item, kept)).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, member)| (key.clone(), filled(member, kept))).collect())
        }
        other => other.clone(),
    }
}

/// Where an answer lacks what is expected: members of objects may be more, everything else must be equal.
fn missing(expected: &Value, found: &Value, path: &str) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected.iter().find_map(|(key, value)| {
            let path = format!("{path}/{key}");
            missing(value, found.get(key).unwrap_or(&Value::Null), &path)
        }),
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => expected
            .iter()
            .zip(found)
            .enumerate()
            .find_map(|(index, (expected, found))| missing(expected, found, &format!("{path}/{index}"))),
        (expected, found) if expected == found => None,
        (expected, found) => Some(format!("{path} is {found}, expected {expected}")),
    }
}
