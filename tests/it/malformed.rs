//! What is no JSON, no JSON-RPC and no MCP: every row of the tables in `tests/corpus`, over HTTP and stdio.
//!
//! After each of them an ordinary request is answered on the same connection, and nothing but answers ever comes out.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::corpus::{bytes, rows};
use crate::process::{Answer, Connection, Serving};
use crate::stdio::Assistant;
use crate::support::TestDatabase;

const JSON: &str = include_str!("../corpus/json.txt");
const JSON_RPC: &str = include_str!("../corpus/json_rpc.txt");

const PROBE: &str = r#"{"jsonrpc":"2.0","id":"the next call","method":"ping"}"#;
const PROBED: &str = r#"result "the next call""#;

const VERSION: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
const CAPABILITIES: &str = r#""io.modelcontextprotocol/clientCapabilities":{}"#;

/// What a JSON-RPC response says, in the words of the tables; anything else as it is, cut short.
fn told(text: &str) -> String {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Response<'a> {
        jsonrpc: String,
        #[serde(borrow)]
        id: &'a RawValue,
        #[serde(borrow)]
        result: Option<&'a RawValue>,
        error: Option<Fault>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fault {
        code: i64,
        message: String,
        #[serde(rename = "data")]
        _data: Option<serde::de::IgnoredAny>,
    }
    if text.is_empty() {
        return "nothing".to_owned();
    }
    if text.starts_with('[')
        && let Ok(responses) = serde_json::from_str::<Vec<&RawValue>>(text)
    {
        return format!("[{}]", responses.iter().map(|one| told(one.get())).collect::<Vec<_>>().join(" & "));
    }
    match serde_json::from_str::<Response<'_>>(text) {
        Ok(Response { jsonrpc, id, result: Some(result), error: None }) if jsonrpc == "2.0" => {
            let kind = if result.get().contains(r#""isError":true"#) { "tool_error" } else { "result" };
            format!("{kind} {}", id.get())
        }
        Ok(Response { jsonrpc, id, result: None, error: Some(fault) })
            if jsonrpc == "2.0" && !fault.message.is_empty() =>
        {
            format!("{} {}", fault.code, id.get())
        }
        _ => format!("no JSON-RPC: {}", shortened(text)),
    }
}

/// Whether an answer is the wanted one; `*` stands for whichever id.
fn fits(wanted: &str, told: &str) -> bool {
    match wanted.strip_suffix(" *") {
        Some(code) => told.split(' ').next() == Some(code),
        None => wanted == "refused" || wanted == told,
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= 160 { text.to_owned() } else { format!("{}…", text.chars().take(160).collect::<String>()) }
}

/// Everything that was not as it should be, told at once.
#[derive(Default)]
struct Findings {
    cases: usize,
    wrong: Vec<String>,
}

impl Findings {
    fn note(&mut self, way: &str, name: &str, wanted: &str, got: &str, fits: bool) {
        self.cases += 1;
        if !fits {
            self.wrong.push(format!("{way:7} {name}: wanted {}, got {}", shortened(wanted), shortened(got)));
        }
    }

    fn conclude(self, what: &str) {
        println!("{what}: {} cases, {} not as expected", self.cases, self.wrong.len());
        assert!(
            self.wrong.is_empty(),
            "{what}: {} of {} cases:\n{}",
            self.wrong.len(),
            self.cases,
            self.wrong.join("\n")
        );
    }
}

/// A connection that messages of any kind are sent on.
struct Http {
    serving: Serving,
    connection: Connection,
}

impl Http {
    async fn new(database: &TestDatabase) -> Self {
        let serving = Serving::on_new(database).await;
        let connection = serving.connect().await;
        Self { serving, connection }
    }

    /// Sends a body to one of the ways in, and then an ordinary call on the same connection. A connection that was closed
    /// is opened anew, and that is told.
    async fn send(&mut self, way: &str, changes: &str, body: &[u8]) -> Result<Answer, String> {
        let head = self.head(way, changes, body.len());
        let sent = self.connection.send([head, body.to_vec()].concat()).await;
        let answer = self.connection.answer().await.map_err(|error| format!("no answer: {error} (sent: {sent:?})"));
        let probed = match &answer {
            Ok(_) => self.connection.post("/mcp", &self.serving.token, PROBE).await.map(|answer| told(&answer.body)),
            Err(text) => Err(std::io::Error::other(text.clone())),
        };
        match probed {
            Ok(probed) if probed == PROBED => answer,
            other => {
                self.connection = self.serving.connect().await;
                Err(format!("after {:?}: {other:?} to the next call", answer.map(|answer| told(&answer.body))))
            }
        }
    }

    fn head(&self, way: &str, changes: &str, length: usize) -> Vec<u8> {
        let token = self.serving.token.as_str();
        let path = if way == "rpc" { "/rpc" } else { "/mcp" };
        let version = match way {
            "mcp" => Some("2025-11-25"),
            "modern" => Some("2026-07-28"),
            _ => None,
        };
        let mut headers = vec![
            "Host: localhost".to_owned(),
            "Content-Type: application/json".to_owned(),
            "Accept: application/json, text/event-stream".to_owned(),
            format!("Authorization: Bearer {token}"),
        ];
        headers.extend(version.map(|version| format!("MCP-Protocol-Version: {version}")));
        let mut query = String::new();
        for change in changes.split("; ").filter(|change| !change.is_empty()) {
            let change = change.replace("$TOKEN", token);
            let name_of = |header: &str| header.split(':').next().unwrap_or_default().to_ascii_lowercase();
            if let Some(routing) = change.strip_prefix('@') {
                let (method, name) = routing.split_once(' ').unwrap_or((routing, ""));
                if way == "modern" {
                    headers.push(format!("Mcp-Method: {method}"));
                    headers.extend((!name.is_empty()).then(|| format!("Mcp-Name: {name}")));
                }
            } else if change.starts_with('?') {
                query = change;
            } else if let Some(name) = change.strip_prefix('-') {
                headers.retain(|header| name_of(header) != name_of(name));
            } else if let Some(added) = change.strip_prefix('+') {
                headers.push(added.to_owned());
            } else {
                headers.retain(|header| name_of(header) != name_of(&change));
                headers.push(change);
            }
        }
        let lines: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        bytes(&format!("POST {path}{query} HTTP/1.1\r\n{lines}Content-Length: {length}\r\n\r\n"))
    }
}

/// Sends a line, takes what comes for it, and makes sure that the next call is answered.
async fn on_stdio(assistant: &mut Assistant, line: &[u8], answers: usize) -> String {
    assistant.send(line).await;
    assistant.send(PROBE).await;
    let (mut lines, mut probed) = (Vec::new(), false);
    // A result comes when it is ready, so the probe may overtake it.
    while !probed || lines.len() < answers {
        let Ok(line) = tokio::time::timeout(Duration::from_secs(10), assistant.line()).await else { break };
        match told(&line) {
            told if told == PROBED => probed = true,
            told => lines.push(told),
        }
    }
    if !probed {
        return format!("no answer to the next call after {lines:?}");
    }
    lines.sort();
    if lines.is_empty() { "nothing".to_owned() } else { lines.join(" & ") }
}

/// A line that holds only what JSON takes for space is passed over.
fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| b" \t\r".contains(byte))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_no_json_is_told_apart_from_what_is_no_message() {
    let (database, other) = (TestDatabase::new().await, TestDatabase::new().await);
    let mut http = Http::new(&database).await;
    let mut assistant = Assistant::start(&other);
    let mut findings = Findings::default();
    for row in rows(JSON) {
        let (name, rest) = row.split_once(' ').expect(row);
        let (code, text) = rest.trim_start().split_once(' ').expect(row);
        let body = bytes(text);
        assert!(
            match name.split('_').next() {
                Some("y") => code == "-32600",
                Some("n") => code == "-32700" || name.starts_with("n_limit_"),
                _ => name.starts_with("i_"),
            },
            "{name} says {code}"
        );
        let wanted = format!("{code} null");

        let status = |answer: &Answer| format!("{} {}", answer.status, told(&answer.body));
        let got = http.send("mcp", "", &body).await.map_or_else(|text| text, |answer| status(&answer));
        let wanted_here = format!("400 {wanted}");
        findings.note("/mcp", name, &wanted_here, &got, got == wanted_here);

        // Plain JSON-RPC has batches: of such an array every entry is refused, unless there are none or too many.
        let entries: Option<Vec<&RawValue>> = serde_json::from_slice(&body).ok();
        let got = http.send("rpc", "", &body).await.map_or_else(|text| text, |answer| status(&answer));
        let batch =
            entries.filter(|entries| (1..=50).contains(&entries.len()) && code == "-32600" && body.len() < 60_000);
        let wanted_here = match batch {
            Some(entries) => format!("200 [{}]", vec![wanted.as_str(); entries.len()].join(" & ")),
            None if code == "-32600" => wanted.clone(),
            None => format!("400 {wanted}"),
        };
        // What is JSON but no message: 200 by JSON-RPC over HTTP, 400 where a limit says no.
        let fits = got == wanted_here
            || (code == "-32600" && [200, 400].iter().any(|status| got == format!("{status} {wanted_here}")));
        findings.note("/rpc", name, &wanted_here, &got, fits);

        // What is JSON is also an argument that is refused, if at all, by whom it is for.
        if name.starts_with("y_") && body.len() < 100_000 && !name.contains("_depth_") {
            let call = [
                br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"me","arguments":{"nope":"#
                    .as_slice(),
                &body,
                b"}}}",
            ]
            .concat();
            let got = http.send("mcp", "", &call).await.map_or_else(|text| text, |answer| status(&answer));
            let wanted = "200 tool_error 7 or 200 -32602 7";
            findings.note("inside", name, wanted, &got, ["200 tool_error 7", "200 -32602 7"].contains(&got.as_str()));
        }

        if !body.contains(&b'\n') {
            let wanted = if is_blank(&body) { "nothing" } else { wanted.as_str() };
            let got = on_stdio(&mut assistant, &body, usize::from(wanted != "nothing")).await;
            findings.note("stdio", name, wanted, &got, got == wanted);
        }
    }
    assistant.leave().await;
    findings.conclude("JSON");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_and_odd_messages_get_what_the_protocol_says() {
    let (database, other) = (TestDatabase::new().await, TestDatabase::new().await);
    let mut http = Http::new(&database).await;
    let mut assistant = Assistant::start(&other);
    let mut findings = Findings::default();
    let mut names = std::collections::BTreeSet::new();
    for row in rows(JSON_RPC) {
        let [name, ways, changes, wanted, body] = row.splitn(5, '|').collect::<Vec<_>>().try_into().expect(row);
        let (name, changes) = (name.trim(), changes.trim());
        assert!(names.insert(name), "{name} is there twice");
        let wanted = String::from_utf8(bytes(wanted.trim())).expect(row);
        let body = body.strip_prefix(' ').expect(row).replace("$META", r#""_meta":{$V,$C}"#);
        let body = bytes(&body.replace("$V", VERSION).replace("$C", CAPABILITIES));
        for way in ways.split_whitespace() {
            let Some((way, statuses)) = way.split_once('=') else {
                assert_eq!(way, "stdio", "{row}");
                let mut wanted: Vec<&str> = wanted.split(" & ").filter(|answer| *answer != "nothing").collect();
                wanted.sort_unstable();
                let got = on_stdio(&mut assistant, &body, wanted.len()).await;
                let wanted = if wanted.is_empty() { "nothing".to_owned() } else { wanted.join(" & ") };
                findings.note(way, name, &wanted, &got, fits(&wanted, &got));
                continue;
            };
            assert!(["mcp", "bare", "modern", "rpc"].contains(&way), "{row}");
            let (got, fits) = match http.send(way, changes, &body).await {
                Ok(answer) => {
                    let (status, told) = (answer.status.to_string(), told(&answer.body));
                    let fits = statuses.split('/').any(|one| one == status) && fits(&wanted, &told);
                    (format!("{status} {told}"), fits)
                }
                Err(text) => (text, false),
            };
            findings.note(way, name, &format!("{statuses} {wanted}"), &got, fits);
        }
    }
    assistant.leave().await;
    println!("{} rows", names.len());
    findings.conclude("JSON-RPC");
}
