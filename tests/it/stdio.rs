//! MCP over standard input and output: whatever comes in, only answers go out, and every end is a clean one.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bureau::mcp::Server;
use bureau::{catalog, limits, open, stdio};
use bureau_kit::access::Shown;
use bureau_kit::ctx::Ctx;
use bureau_kit::db::{Db, Dialect};
use bureau_kit::error::Result;
use bureau_kit::gate::{Bureau, Selection};
use bureau_kit::id::Ids;
use bureau_kit::registry::{Registry, Toolset};
use bureau_kit::sql::Sql;
use bureau_kit::time::Clock;
use bureau_kit::tool::Tool;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::process::{bureau, call_message, hold_writers, log_file, soon, terminate};
use crate::support::TestDatabase;

/// How soon an assistant may expect a server to be gone. Some kill it after two seconds.
const PROMPT: Duration = Duration::from_secs(2);

/// A running `bureau stdio`, as an assistant holds it.
pub struct Assistant {
    pub child: Child,
    pub input: Option<ChildStdin>,
    pub output: Option<Lines<BufReader<ChildStdout>>>,
    log: tempfile::NamedTempFile,
}

impl Assistant {
    pub fn start(database: &TestDatabase) -> Self {
        let (log, end) = log_file();
        let mut command = bureau(database, &["stdio", "--log", "trace"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(end).spawn().unwrap();
        let input = child.stdin.take();
        let output = child.stdout.take().map(|output| BufReader::new(output).lines());
        Self { child, input, output, log }
    }

    pub async fn send(&mut self, line: impl AsRef<[u8]>) {
        let line = [line.as_ref(), b"\n"].concat();
        self.input.as_mut().unwrap().write_all(&line).await.unwrap();
    }

    /// The next line of output.
    pub async fn line(&mut self) -> String {
        let line = soon("a line", self.output.as_mut().unwrap().next_line()).await.unwrap();
        line.unwrap_or_else(|| panic!("the output ended: {}", self.log()))
    }

    /// The next line of output, which must be an answer.
    pub async fn answer(&mut self) -> Value {
        answer_in(&self.line().await)
    }

    /// Hangs up; the process must end in peace, without another word.
    pub async fn leave(mut self) {
        let start = Instant::now();
        drop(self.input.take());
        assert_eq!(self.rest().await, Vec::<Value>::new());
        self.ends_promptly(start).await;
    }

    /// The answer to one line.
    pub async fn told(&mut self, line: impl AsRef<[u8]>) -> Value {
        self.send(line).await;
        self.answer().await
    }

    /// The result of one request.
    async fn asked(&mut self, method: &str, params: Value) -> Value {
        let answer =
            self.told(json!({"jsonrpc": "2.0", "id": method, "method": method, "params": params}).to_string()).await;
        assert_eq!(answer["id"], method, "{answer}");
        answer["result"].clone()
    }

    /// What a tool answers, which must be a success.
    pub async fn ok(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.told(call_message(json!(tool), tool, arguments).to_string()).await;
        assert_eq!(answer["result"]["isError"], false, "{tool}: {answer}");
        answer["result"]["structuredContent"].clone()
    }

    /// Every answer until the output ends.
    pub async fn rest(&mut self) -> Vec<Value> {
        let mut answers = Vec::new();
        let mut output = self.output.take().unwrap();
        while let Some(line) = soon("the end of the output", output.next_line()).await.unwrap() {
            answers.push(answer_in(&line));
        }
        answers
    }

    /// Ends within [`PROMPT`] of `start`, in peace.
    async fn ends_promptly(&mut self, start: Instant) {
        let status = soon("the end of the process", self.child.wait()).await.unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.log());
        assert!(start.elapsed() < PROMPT, "the end took {:?}", start.elapsed());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }
}

/// A line of output as a JSON-RPC response, which every line must be.
fn answer_in(line: &str) -> Value {
    let answer: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in the line {line}"));
    assert_eq!(answer["jsonrpc"], "2.0", "{line}");
    assert!(answer.get("id").is_some(), "{line}");
    assert!(answer.get("result").is_some() != answer.get("error").is_some(), "{line}");
    answer
}

/// What an error answer says: id, code, message.
fn error_in(answer: &Value) -> (&Value, i64, &str) {
    let error = &answer["error"];
    (&answer["id"], error["code"].as_i64().expect("an error"), error["message"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_an_error_or_silence_and_the_next_line_is_served() {
    let database = TestDatabase::new().await;
    let mut assistant = Assistant::start(&database);
    let bomb = |entries: usize| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"me","arguments":{{"a":[{}0]}}}}}}"#,
            "0,".repeat(entries)
        )
    };
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"me","arguments":{{"a":{open}{close}}}}}}}"#
        )
    };
    let long = |length: usize| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"me","arguments":{{"a":"{}"}}}}}}"#,
            "x".repeat(length)
        )
    };
    let too_long = format!("a message may have {} bytes at most", limits::MESSAGE_BYTES);
    let no_batch = "This is no JSON-RPC message: a message is an object";
    let bad_id = "`id` must be text or a number, and not null";
    let cases: Vec<(Vec<u8>, Value, i64, &str)> = vec![
        (b"{".to_vec(), Value::Null, -32700, "This is no JSON: EOF while parsing an object at line 1 column 1"),
        (b"hello".to_vec(), Value::Null, -32700, "This is no JSON: expected value at line 1 column 1"),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"ping"}}"#.to_vec(),
            Value::Null,
            -32700,
            "This is no JSON: trailing characters at line 1 column 41",
        ),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}".to_vec(),
            Value::Null,
            -32700,
            "a message must be UTF-8",
        ),
        (b"\x00".to_vec(), Value::Null, -32700, "This is no JSON: expected value at line 1 column 1"),
        ("x".repeat(2 * 1024 * 1024).into(), Value::Null, -32600, &too_long),
        (long(2 * 1024 * 1024).into(), Value::Null, -32600, &too_long),
        ("[".repeat(100_000).into(), Value::Null, -32600, "nested deeper than 64 levels"),
        (nested(100_000).into(), Value::Null, -32600, "nested deeper than 64 levels"),
        (bomb(30_000).into(), Value::Null, -32600, "more than 20000 values in one message"),
        (br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#.to_vec(), Value::Null, -32600, no_batch),
        (br#"["2.0",1,"ping"]"#.to_vec(), Value::Null, -32600, no_batch),
        (b"[]".to_vec(), Value::Null, -32600, no_batch),
        (b"7".to_vec(), Value::Null, -32600, no_batch),
        (b"null".to_vec(), Value::Null, -32600, no_batch),
        (br#"{"id":1,"method":"ping"}"#.to_vec(), json!(1), -32600, "`jsonrpc` must be \"2.0\""),
        (br#"{"jsonrpc":"2.0","id":1}"#.to_vec(), json!(1), -32600, "`method` is missing"),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#.to_vec(),
            json!(1),
            -32600,
            "`params` must be an object",
        ),
        (br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#.to_vec(), Value::Null, -32600, bad_id),
        (br#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#.to_vec(), Value::Null, -32600, bad_id),
        (br#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#.to_vec(), Value::Null, -32600, bad_id),
        (br#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#.to_vec(), Value::Null, -32600, bad_id),
        (
            br#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#.to_vec(),
            json!(1.5),
            -32600,
            "`id` must be text or a whole number",
        ),
        (br#"{"jsonrpc":"2.0","id":3,"method":"nope"}"#.to_vec(), json!(3), -32601, "There is no method `nope`"),
        (
            br#"{"jsonrpc":"2.0","id":3,"method":"task_list"}"#.to_vec(),
            json!(3),
            -32601,
            "There is no method `task_list`",
        ),
        (
            br#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":["me"]}"#.to_vec(),
            json!(3),
            -32602,
            "`params` of tools/call are given by name, in an object",
        ),
        (
            br#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"me","arguments":[]}}"#.to_vec(),
            json!(3),
            -32602,
            "arguments are given by name, in an object",
        ),
        (
            br#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"me","arguments":{"a":1,"a":2}}}"#
                .to_vec(),
            json!(3),
            -32602,
            "the arguments cannot be read: `a` is given twice at line 1 column 13",
        ),
    ];
    for (line, id, code, message) in &cases {
        let answer = assistant.told(line).await;
        let start = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        assert_eq!(error_in(&answer), (id, *code, *message), "{start}");
    }
    let silent: Vec<&[u8]> = vec![
        b"",
        b"   \t ",
        b"\r",
        br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
        br#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"task_create","arguments":{"title":"a notification"}}}"#,
        br#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        br#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}"#,
    ];
    for line in &silent {
        assistant.send(line).await;
        assert_eq!(assistant.asked("ping", json!({})).await, json!({}), "{}", String::from_utf8_lossy(line));
    }
    assert_eq!(assistant.ok("task_list", json!({"status": "all"})).await["total"], 0, "a notification must do nothing");

    // Just within the limits it is the tool that answers.
    for line in [nested(60), bomb(19_900), long(1_000_000)] {
        let answer = assistant.told(&line).await;
        assert_eq!(answer["result"]["isError"], true, "{}", &line[..80]);
    }
    println!("{} lines refused, {} passed over", cases.len(), silent.len());
    assistant.ok("task_create", json!({"title": "all is well"})).await;
    let start = Instant::now();
    drop(assistant.input.take());
    assert_eq!(assistant.rest().await, Vec::<Value>::new());
    assistant.ends_promptly(start).await;
    assert!(
        assistant.log().contains("DEBUG bureau_kit::gate: done tool=\"task_create\""),
        "the log was not on: {}",
        assistant.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_every_form_come_back_as_sent() {
    let database = TestDatabase::new().await;
    let mut assistant = Assistant::start(&database);
    for id in
        ["0", "-7", "9007199254740993", "123456789012345678901234567890", r#""""#, r#""a""#, r#""ą\n\"""#, r#""1""#]
    {
        assistant.send(format!(r#"{{"method":"ping","id":{id},"jsonrpc":"2.0"}}"#)).await;
        let line = soon("an answer", assistant.output.as_mut().unwrap().next_line()).await.unwrap().unwrap();
        assert_eq!(line, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_generations_share_one_connection() {
    let database = TestDatabase::new().await;
    let mut assistant = Assistant::start(&database);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    });

    let discovered = assistant.asked("server/discover", json!({"_meta": meta})).await;
    assert_eq!(discovered["resultType"], "complete");
    assert_eq!(
        discovered["supportedVersions"],
        json!(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"])
    );

    let me = json!({"name": "me", "arguments": {}});
    let with_meta = json!({"name": "me", "arguments": {}, "_meta": meta});
    let stateless = assistant.asked("tools/call", with_meta.clone()).await;
    assert_eq!((&stateless["isError"], &stateless["resultType"]), (&json!(false), &json!("complete")));

    let hello =
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}});
    let greeted = assistant.asked("initialize", hello).await;
    assert_eq!((&greeted["protocolVersion"], &greeted["serverInfo"]["name"]), (&json!("2025-06-18"), &json!("bureau")));
    let old = assistant.asked("tools/call", me).await;
    assert_eq!((&old["isError"], old.get("resultType")), (&json!(false), None));
    assert_eq!(old["structuredContent"], stateless["structuredContent"]);
    let again = assistant.asked("tools/call", with_meta).await;
    assert_eq!(again, stateless);

    let lists =
        (assistant.asked("tools/list", json!({})).await, assistant.asked("tools/list", json!({"_meta": meta})).await);
    assert_eq!(lists.0["tools"], lists.1["tools"]);
    assert_eq!((lists.0.get("ttlMs"), &lists.1["cacheScope"]), (None, &json!("private")));

    // A method of one generation is none of the other.
    for (method, params) in
        [("server/discover", json!({})), ("ping", json!({"_meta": meta})), ("initialize", json!({"_meta": meta}))]
    {
        let answer =
            assistant.told(json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()).await;
        assert_eq!(
            error_in(&answer),
            (&json!(1), -32601, format!("`{method}` is not a method of this protocol revision").as_str())
        );
    }
    let mut future = meta;
    future["io.modelcontextprotocol/protocolVersion"] = json!("2099-01-01");
    let answer = assistant
        .told(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": future}}).to_string())
        .await;
    assert_eq!(error_in(&answer), (&json!(1), -32022, "The protocol revision 2099-01-01 is not spoken here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_of_the_input_everything_asked_is_answered() {
    let database = TestDatabase::new().await;
    let mut assistant = Assistant::start(&database);
    assistant.asked("ping", json!({})).await;
    let mut lines = String::new();
    for number in 0..100 {
        let (tool, arguments) = if number % 2 == 0 {
            ("task_create", json!({"title": format!("task {number}")}))
        } else {
            ("me", json!({}))
        };
        lines.push_str(&call_message(json!(number), tool, arguments).to_string());
        lines.push('\n');
    }
    assistant.send(lines.trim_end()).await;
    // The last line without its end counts too.
    assistant.input.as_mut().unwrap().write_all(br#"{"jsonrpc":"2.0","id":100,"method":"ping"}"#).await.unwrap();
    drop(assistant.input.take());
    let mut answers = assistant.rest().await;
    answers.sort_by_key(|answer| answer["id"].as_i64());
    let ids: Vec<i64> = answers.iter().map(|answer| answer["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (0..=100).collect::<Vec<_>>());
    for answer in &answers[..100] {
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }
    assistant.ends_promptly(Instant::now()).await;
    assert_eq!(Assistant::start(&database).ok("task_list", json!({})).await["total"], 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_a_running_call_finish() {
    let database = TestDatabase::new().await;
    let mut assistant = Assistant::start(&database);
    assistant.asked("ping", json!({})).await;
    let held = hold_writers(&database).await;
    assistant.send(call_message(json!(1), "task_create", json!({"title": "in flight"})).to_string()).await;
    // Behind the call, so that it is surely under way when this is answered.
    assistant.asked("ping", json!({})).await;
    terminate(&assistant.child);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(assistant.child.try_wait().unwrap(), None, "the call was given up");
    held.rollback().await.unwrap();
    let start = Instant::now();
    let answers = assistant.rest().await;
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0]["result"]["structuredContent"]["title"], "in flight", "{answers:?}");
    assistant.ends_promptly(start).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_an_idle_process_at_once() {
    let database = TestDatabase::new().await;
    let mut assistant = Assistant::start(&database);
    assistant.asked("ping", json!({})).await;
    let start = Instant::now();
    terminate(&assistant.child);
    assert_eq!(assistant.rest().await, Vec::<Value>::new());
    assistant.ends_promptly(start).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_right_after_its_hello_keeps_nobody_waiting() {
    let database = TestDatabase::new().await;
    open::open(&database.location).await.unwrap().bureau.db.close().await;
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}, "clientInfo": {"name": "t", "version": "1"},
    }});
    for wait in [false, true] {
        let mut assistant = Assistant::start(&database);
        assistant.send(hello.to_string()).await;
        if wait {
            assert_eq!(assistant.answer().await["id"], 1);
        }
        let start = Instant::now();
        drop(assistant.input.take());
        let rest = assistant.rest().await;
        assert_eq!(rest.len(), usize::from(!wait), "{rest:?}");
        assistant.ends_promptly(start).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_to_read_the_log() {
    let database = TestDatabase::new().await;
    let mut command = bureau(&database, &["stdio", "--log", "trace"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    for id in 0..3 {
        input.write_all(format!("{}\n", call_message(json!(id), "me", json!({}))).as_bytes()).await.unwrap();
        let line = soon("an answer", output.next_line()).await.unwrap().expect("the process goes on");
        assert_eq!(answer_in(&line)["id"], id);
    }
    drop(input);
    assert_eq!(soon("the end", child.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_output_ends_the_process() {
    let database = TestDatabase::new().await;
    let mut assistant = Assistant::start(&database);
    assistant.asked("ping", json!({})).await;
    drop(assistant.output.take());
    let start = Instant::now();
    assistant.send(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await;
    // The input stays open.
    assistant.ends_promptly(start).await;
    assert!(assistant.input.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_cannot_keep_the_process_alive() {
    let database = TestDatabase::new().await;
    let mut assistant = Assistant::start(&database);
    assistant.asked("ping", json!({})).await;
    let lists = format!("{}\n", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).repeat(2_000);
    let mut input = assistant.input.take().unwrap();
    let writer = tokio::spawn(async move { input.write_all(lists.as_bytes()).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    terminate(&assistant.child);
    let status = soon("the end of the process", assistant.child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", assistant.log());
    let _ = writer.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_write_to_one_database_at_once() {
    let database = TestDatabase::new().await;
    let mut assistants = [Assistant::start(&database), Assistant::start(&database)];
    for assistant in &mut assistants {
        assistant.asked("ping", json!({})).await;
    }
    let [mut one, mut two] = assistants;
    let write = async |assistant: &mut Assistant, name: &str| {
        for number in 0..40 {
            assistant.ok("task_create", json!({"title": format!("{name} {number}")})).await;
        }
    };
    tokio::join!(write(&mut one, "one"), write(&mut two, "two"));
    for assistant in [&mut one, &mut two] {
        for name in ["one", "two"] {
            assert_eq!(assistant.ok("task_list", json!({"q": name})).await["total"], 40);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_at_once_on_nothing_found_one_company() {
    for _ in 0..4 {
        let database = TestDatabase::new().await;
        let mut assistants: Vec<Assistant> = (0..4).map(|_| Assistant::start(&database)).collect();
        for (number, assistant) in assistants.iter_mut().enumerate() {
            let task = assistant.ok("task_create", json!({"title": format!("task {number}")})).await;
            assert!(task["status_id"].is_string(), "a process served before the company was complete: {task}");
        }
        for assistant in &mut assistants {
            assert_eq!(assistant.ok("task_list", json!({})).await["total"], 4);
        }
        assert_eq!(count(&database, "SELECT count(*) FROM tenants").await, 1);
    }
}

async fn count(database: &TestDatabase, sql: &'static str) -> i64 {
    let db = Db::connect(&database.location).await.unwrap();
    let mut tx = db.read().await.unwrap();
    if db.dialect() == Dialect::Postgres {
        tx.query(&Sql::new("SELECT set_config('bureau.all_tenants', 'on', true)")).await.unwrap();
    }
    let count = tx.query(&Sql::new(sql)).await.unwrap()[0].get(0).unwrap();
    tx.commit().await.unwrap();
    db.close().await;
    count
}

async fn panic_reading(_: &mut Ctx, _: Map<String, Value>) -> Result<Map<String, Value>> {
    tokio::task::yield_now().await;
    panic!("the secret of the reader")
}

/// Panics before there is a future that could.
fn panic_at_once(_: &mut Ctx, _: Map<String, Value>) -> std::future::Ready<Result<Map<String, Value>>> {
    panic!("the secret of the impatient")
}

async fn panic_writing(ctx: &mut Ctx, _: Map<String, Value>) -> Result<Map<String, Value>> {
    let title = Map::from_iter([("title".to_owned(), json!("written by half"))]);
    ctx.nested("task_create", title).await?;
    panic!("the secret of the writer")
}

/// Serves a line-by-line conversation in this process; answers the lines that came out.
async fn conversation(bureau: Arc<Bureau>, lines: &[String]) -> Vec<Value> {
    let server = Server::new(bureau).unwrap();
    let (mut client, inward) = tokio::io::duplex(64 * 1024);
    let (outward, mut heard) = tokio::io::duplex(64 * 1024);
    let options = stdio::Options { shown: Shown::LocalOwner, selection: Selection::default(), list_all: false };
    let serving = tokio::spawn(stdio::serve(server, options, BufReader::new(inward), outward, std::future::pending()));
    let input = lines.join("\n");
    tokio::spawn(async move { client.write_all(input.as_bytes()).await.unwrap() });
    let mut text = String::new();
    soon("the end of the conversation", heard.read_to_string(&mut text)).await.unwrap();
    soon("the end of the server", serving).await.unwrap().unwrap();
    let mut answers: Vec<Value> = text.lines().map(answer_in).collect();
    answers.sort_by_key(|answer| answer["id"].as_i64());
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_only_the_call_it_is_in() {
    let database = TestDatabase::new().await;
    let db = Db::open(&database.location, bureau_kit::MIGRATIONS).await.unwrap();
    let mut toolsets = catalog::toolsets();
    toolsets.push(Toolset {
        name: "panics",
        about: "Tools that panic.",
        tools: vec![
            Tool::read("panic_read", "", panic_reading).title("Panic").about("Panic."),
            Tool::read("panic_at_once", "", panic_at_once).title("Panic").about("Panic."),
            Tool::action("panic_write", "", panic_writing).title("Panic").about("Panic."),
        ],
    });
    let registry = Registry::new(toolsets, &catalog::tables(), "{}").unwrap();
    let bureau = Bureau::new(registry, db, Clock::System, Ids::system());
    open::found(&bureau, "Company", "owner@example.com", "Owner").await.unwrap();

    let batch = json!({"calls": [
        {"tool": "task_create", "arguments": {"title": "before the panic"}},
        {"tool": "panic_write", "arguments": {}},
    ]});
    let calls = [
        ("panic_read", json!({})),
        ("panic_write", json!({})),
        ("tool_call_write", json!({"name": "panic_write"})),
        ("batch_call", batch),
        ("panic_at_once", json!({})),
    ];
    let mut lines = Vec::new();
    for number in 0..40 {
        let (tool, arguments) = calls[number % calls.len()].clone();
        lines.push(call_message(json!(number), tool, arguments).to_string());
    }
    lines.push(call_message(json!(40), "task_create", json!({"title": "after the panics"})).to_string());
    let answers = conversation(bureau.clone(), &lines).await;
    assert_eq!(answers.len(), 41);
    for (number, answer) in answers[..40].iter().enumerate() {
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        let told: Value = serde_json::from_str(answer["result"]["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(told["code"], if number % calls.len() == 3 { "conflict" } else { "internal" }, "{answer}");
        assert!(!answer.to_string().contains("secret"), "{answer}");
    }
    assert_eq!(answers[40]["result"]["isError"], false, "{}", answers[40]);

    let list = call_message(json!(1), "task_list", json!({"status": "all"})).to_string();
    let answers = conversation(bureau, &[list]).await;
    let tasks = &answers[0]["result"]["structuredContent"]["items"];
    let titles: Vec<&Value> = tasks.as_array().unwrap().iter().map(|task| &task["title"]).collect();
    assert_eq!(titles, ["after the panics"]);
}

async fn sleep(_: &mut Ctx, _: Map<String, Value>) -> Result<Map<String, Value>> {
    tokio::time::sleep(Duration::from_secs(20)).await;
    Ok(Map::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_call_is_not_answered_and_keeps_nobody_waiting() {
    let database = TestDatabase::new().await;
    let db = Db::open(&database.location, bureau_kit::MIGRATIONS).await.unwrap();
    let mut toolsets = catalog::toolsets();
    let slow = Tool::read("sleep", "", sleep).title("Sleep").about("Sleep.");
    toolsets.push(Toolset { name: "slow", about: "Tools that take their time.", tools: vec![slow] });
    let registry = Registry::new(toolsets, &catalog::tables(), "{}").unwrap();
    let bureau = Bureau::new(registry, db, Clock::System, Ids::system());
    open::found(&bureau, "Company", "owner@example.com", "Owner").await.unwrap();
    let cancelled = |id: Value| {
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}).to_string()
    };
    let lines = [
        call_message(json!("slow"), "sleep", json!({})).to_string(),
        call_message(json!(7), "sleep", json!({})).to_string(),
        cancelled(json!("slow")),
        cancelled(json!(7)),
        cancelled(json!(7)),
        cancelled(json!("unknown")),
        call_message(json!(8), "me", json!({})).to_string(),
    ];
    let started = std::time::Instant::now();
    let answers = conversation(bureau, &lines).await;
    assert_eq!(answers.iter().map(|answer| &answer["id"]).collect::<Vec<_>>(), [&json!(8)]);
    assert!(started.elapsed() < Duration::from_secs(15), "the end waited for cancelled calls");
}
