//! What a running call tells and asks its client, in both generations of the protocol and over both transports.

use std::sync::Arc;

use bureau::mcp::{self, Server};
use bureau::{catalog, http, open, stdio};
use bureau_kit::access::Shown;
use bureau_kit::ctx::Ctx;
use bureau_kit::db::Db;
use bureau_kit::dialogue::{LogLevel, Question, Reply};
use bureau_kit::error::Result;
use bureau_kit::gate::{Bureau, Selection};
use bureau_kit::id::Ids;
use bureau_kit::registry::{Registry, Toolset};
use bureau_kit::time::Clock;
use bureau_kit::tool::Tool;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};

use crate::process::{Serving, soon};
use crate::support::TestDatabase;

/// A stdio server in this process, and its client's end.
pub struct Wire {
    input: WriteHalf<DuplexStream>,
    output: Lines<BufReader<ReadHalf<DuplexStream>>>,
    bureau: Arc<Bureau>,
    next: u64,
}

/// Tells how far it is, and asks for a colour.
async fn paint(ctx: &mut Ctx, _: Map<String, Value>) -> Result<Map<String, Value>> {
    ctx.progress(1, Some(2), "mixing");
    ctx.log(LogLevel::Debug, "too quiet to be heard");
    ctx.log(LogLevel::Warning, "wet paint");
    let question = Question::new("colour", "Which colour?").text("colour", "Colour");
    let told = match ctx.ask(question)? {
        None => "grey, as nobody could be asked".to_owned(),
        Some(Reply::Accepted(fields)) => fields["colour"].as_str().unwrap_or_default().to_owned(),
        Some(Reply::Declined) => "nothing".to_owned(),
        Some(Reply::Cancelled) => "later".to_owned(),
    };
    ctx.progress(2, Some(2), "done");
    Ok(Map::from_iter([("painted".to_owned(), json!(told))]))
}

impl Wire {
    async fn new(confirm: mcp::Confirm) -> Self {
        let database = TestDatabase::new().await;
        let db = Db::open(&database.location, bureau_kit::MIGRATIONS).await.unwrap();
        let mut toolsets = catalog::toolsets();
        let paint = Tool::action("paint", "", paint).title("Paint").about("Paint.");
        toolsets.push(Toolset { name: "paint", about: "Tools that paint.", tools: vec![paint] });
        let registry = Registry::new(toolsets, &catalog::tables(), "{}").unwrap();
        let bureau = Bureau::new(registry, db, Clock::System, Ids::system());
        open::found(&bureau, "Company", "owner@example.com", "Owner").await.unwrap();
        let options = mcp::Options { confirm, ..mcp::Options::default() };
        Self::to(Server::with(bureau, options).unwrap(), database)
    }

    /// To a server of the caller's own.
    pub fn to(server: Arc<Server>, database: TestDatabase) -> Self {
        let bureau = server.bureau.clone();
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (reading, writing) = tokio::io::split(theirs);
        tokio::spawn(async move {
            // Lives as long as the server that works on it.
            let _database = database;
            let options = stdio::Options { shown: Shown::LocalOwner, selection: Selection::default(), list_all: false };
            let _ = stdio::serve(server, options, BufReader::new(reading), writing, std::future::pending()).await;
        });
        let (reading, input) = tokio::io::split(ours);
        Self { input, output: BufReader::new(reading).lines(), bureau, next: 0 }
    }

    pub async fn say(&mut self, message: Value) {
        self.input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    pub async fn hear(&mut self) -> Value {
        let line = soon("a line", self.output.next_line()).await.unwrap().expect("the output ended");
        serde_json::from_str(&line).unwrap()
    }

    /// Sends a request; answers its id.
    pub async fn request(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        self.say(json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params})).await;
        self.next
    }

    /// The result or error of a request before whose answer nothing else comes.
    pub async fn asked(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params).await;
        let answer = self.hear().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    pub async fn shakes_hands(&mut self, capabilities: Value) {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "t", "version": "1"}});
        assert_eq!(self.asked("initialize", params).await["result"]["protocolVersion"], "2025-11-25");
        self.say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    }

    /// A record that a destructive tool may take away.
    async fn person(&mut self) -> Value {
        let made = self.asked("tools/call", json!({"name": "person_create", "arguments": {"name": "Łucja"}})).await;
        made["result"]["structuredContent"]["id"].clone()
    }
}

fn stateless(name: &str, arguments: Value, capabilities: Value, more: Value) -> Value {
    let mut params = json!({
        "name": name, "arguments": arguments,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        },
    });
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    params
}

fn text_of(result: &Value) -> Value {
    serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap()
}

const REFUSED: &str = "The person at the client did not agree to this call, so nothing was changed. Do not repeat it unless they ask for it.";

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_client_is_asked_before_something_is_destroyed() {
    let mut wire = Wire::new(mcp::Confirm::Destructive).await;
    wire.shakes_hands(json!({"elicitation": {}})).await;
    let person = wire.person().await;
    for (answer, agreed) in [
        (json!({"action": "decline"}), false),
        (json!({"action": "cancel"}), false),
        (json!({"action": "accept", "content": {}}), true),
    ] {
        let id = wire.request("tools/call", json!({"name": "person_delete", "arguments": {"id": person}})).await;
        let question = wire.hear().await;
        assert_eq!(
            question,
            json!({
                "jsonrpc": "2.0", "id": question["id"], "method": "elicitation/create",
                "params": {
                    "mode": "form",
                    "message": "Delete a person: delete party Łucja. Go on?",
                    "requestedSchema": {"type": "object", "properties": {}, "required": []},
                },
            })
        );
        // Somebody else's answer is none.
        wire.say(json!({"jsonrpc": "2.0", "id": 999_999, "result": {"action": "accept"}})).await;
        wire.say(json!({"jsonrpc": "2.0", "id": question["id"], "result": answer})).await;
        let done = wire.hear().await;
        assert_eq!((&done["id"], &done["result"]["isError"]), (&json!(id), &json!(!agreed)), "{done}");
        if !agreed {
            assert_eq!(
                text_of(&done["result"]),
                json!({"code": "forbidden", "message": REFUSED, "details": {"reason": "declined"}})
            );
        }
        let shown = wire.asked("tools/call", json!({"name": "person_show", "arguments": {"id": person}})).await;
        assert_eq!(shown["result"]["isError"], agreed, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_a_batch_and_a_client_that_cannot_be_asked() {
    let mut wire = Wire::new(mcp::Confirm::Destructive).await;
    let person = wire.person().await;
    // Nobody has said hello: there is nobody to ask.
    let tried = json!({"name": "person_delete", "arguments": {"id": person, "dry_run": true}});
    assert_eq!(wire.asked("tools/call", tried.clone()).await["result"]["isError"], false);
    wire.shakes_hands(json!({"elicitation": {"form": {}}})).await;
    // Trying changes nothing, so nothing is asked.
    assert_eq!(wire.asked("tools/call", tried).await["result"]["structuredContent"]["dry_run"], true);
    let batch = json!({"name": "batch_call", "arguments": {"calls": [
        {"tool": "task_create", "arguments": {"title": "one"}}, {"tool": "person_delete", "arguments": {"id": person}},
    ]}});
    wire.request("tools/call", batch).await;
    let question = wire.hear().await;
    assert_eq!(question["method"], "elicitation/create", "{question}");
    assert!(question["params"]["message"].as_str().unwrap().contains("delete party Łucja"), "{question}");
    wire.say(json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}})).await;
    assert_eq!(wire.hear().await["result"]["isError"], true);
    let tasks = wire.asked("tools/call", json!({"name": "task_list", "arguments": {"q": "one"}})).await;
    assert_eq!(tasks["result"]["structuredContent"]["total"], 0, "the whole batch was taken back: {tasks}");

    wire.shakes_hands(json!({"elicitation": {"url": {}}})).await;
    let done = wire.asked("tools/call", json!({"name": "person_delete", "arguments": {"id": person}})).await;
    assert_eq!(done["result"]["isError"], false, "a client without forms cannot be asked: {done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_where_the_policy_says_never() {
    let mut wire = Wire::new(mcp::Confirm::Never).await;
    wire.shakes_hands(json!({"elicitation": {}})).await;
    let person = wire.person().await;
    let done = wire.asked("tools/call", json!({"name": "person_delete", "arguments": {"id": person}})).await;
    assert_eq!(done["result"]["isError"], false, "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stateless_client_brings_the_answer_with_its_next_request() {
    let mut wire = Wire::new(mcp::Confirm::Destructive).await;
    let person = wire.person().await;
    let other = wire.person().await;
    let forms = json!({"elicitation": {}});
    let call = |person: &Value, more: Value| stateless("person_delete", json!({"id": person}), forms.clone(), more);
    let asked = wire.asked("tools/call", call(&person, json!({}))).await["result"].clone();
    let state = asked["requestState"].clone();
    assert_eq!(
        asked,
        json!({
            "resultType": "input_required", "requestState": state,
            "inputRequests": {"confirm": {"method": "elicitation/create", "params": {
                "mode": "form",
                "message": "Delete a person: delete party Łucja. Go on?",
                "requestedSchema": {"type": "object", "properties": {}, "required": []},
            }}},
        })
    );
    let yes = json!({"confirm": {"action": "accept", "content": {}}, "other": 1});

    // Answers that were not asked for with this very request answer nothing, or are refused.
    let early = wire.asked("tools/call", call(&person, json!({"inputResponses": yes}))).await;
    assert_eq!(early["result"]["resultType"], "input_required");
    let foreign = wire.asked("tools/call", call(&other, json!({"inputResponses": yes, "requestState": state}))).await;
    let refusal = json!({
        "code": -32602,
        "message": "`requestState` is not one that this request got from here, or it is too old. Make the request anew, without it.",
    });
    assert_eq!(foreign["error"], refusal);
    let mut altered = state.as_str().unwrap().to_owned();
    altered.replace_range(5..6, if &altered[5..6] == "A" { "B" } else { "A" });
    let altered =
        wire.asked("tools/call", call(&person, json!({"inputResponses": yes, "requestState": altered}))).await;
    assert_eq!(altered["error"], refusal);
    let odd = json!({"inputResponses": {"confirm": {"action": "maybe"}}, "requestState": state});
    let odd = wire.asked("tools/call", call(&person, odd)).await;
    assert_eq!(odd["result"]["resultType"], "input_required", "{odd}");
    let shown = wire.asked("tools/call", json!({"name": "person_show", "arguments": {"id": person}})).await;
    assert_eq!(shown["result"]["isError"], false, "nothing was deleted so far");

    let no = json!({"inputResponses": {"confirm": {"action": "decline"}}, "requestState": state});
    let declined = wire.asked("tools/call", call(&person, no)).await["result"].clone();
    assert_eq!((&declined["isError"], &text_of(&declined)["message"]), (&json!(true), &json!(REFUSED)));
    let done = wire.asked("tools/call", call(&person, json!({"inputResponses": yes, "requestState": state}))).await;
    assert_eq!(
        (&done["result"]["isError"], &done["result"]["resultType"]),
        (&json!(false), &json!("complete")),
        "{done}"
    );
    let plain = wire.asked("tools/call", stateless("person_delete", json!({"id": other}), json!({}), json!({}))).await;
    assert_eq!(plain["result"]["isError"], false, "a client that cannot be asked is not: {plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_and_log_messages_come_before_the_answer_to_those_who_want_them() {
    let mut wire = Wire::new(mcp::Confirm::Destructive).await;
    let plain = wire.asked("tools/call", json!({"name": "paint"})).await;
    assert_eq!(plain["result"]["structuredContent"]["painted"], "grey, as nobody could be asked");
    wire.shakes_hands(json!({"elicitation": {}})).await;
    let mut params = json!({"name": "paint", "_meta": {"progressToken": "p-1"}});
    wire.request("tools/call", params.clone()).await;
    let progress = |done: u32, message: &str| json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "p-1", "progress": done, "total": 2, "message": message}});
    let log = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "warning", "logger": "bureau", "data": "wet paint"}});
    assert_eq!(wire.hear().await, progress(1, "mixing"));
    assert_eq!(wire.hear().await, log);
    let question = wire.hear().await;
    assert_eq!(question["params"]["requestedSchema"]["required"], json!(["colour"]), "{question}");
    wire.say(
        json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {"colour": "żółty"}}}),
    )
    .await;
    // The call ran again from its start, and progress never goes back.
    assert_eq!(wire.hear().await, log);
    assert_eq!(wire.hear().await, progress(2, "done"));
    assert_eq!(wire.hear().await["result"]["structuredContent"]["painted"], "żółty");

    // Quieter, and without a token.
    assert_eq!(wire.asked("logging/setLevel", json!({"level": "error"})).await["result"], json!({}));
    let wrong = wire.asked("logging/setLevel", json!({"level": "loud"})).await;
    assert_eq!(wrong["error"]["code"], -32602, "{wrong}");
    params.as_object_mut().unwrap().remove("_meta");
    wire.request("tools/call", params).await;
    let question = wire.hear().await;
    assert_eq!(question["method"], "elicitation/create");
    wire.say(json!({"jsonrpc": "2.0", "id": question["id"], "error": {"code": -1, "message": "no forms today"}})).await;
    let failed = wire.hear().await;
    assert_eq!(
        failed["error"],
        json!({"code": -32603, "message": "elicitation/create came to nothing: no forms today"})
    );

    // Stateless: only with a level of its own.
    let meta = json!({"_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/logLevel": "debug", "progressToken": 7,
    }});
    wire.request("tools/call", stateless("paint", json!({}), json!({}), meta)).await;
    let mut heard = Vec::new();
    for _ in 0..5 {
        heard.push(wire.hear().await);
    }
    let kinds: Vec<&Value> = heard.iter().map(|message| &message["method"]).collect();
    assert_eq!(
        kinds,
        [
            &json!("notifications/progress"),
            &json!("notifications/message"),
            &json!("notifications/message"),
            &json!("notifications/progress"),
            &Value::Null,
        ]
    );
    assert_eq!(heard[0]["params"]["progressToken"], 7);
    let _ = &wire.bureau;
}

/// One server-sent event: its id and its message.
type Event = (Option<String>, Option<Value>);

/// A client of the HTTP transport with a session.
struct Client<'a> {
    http: reqwest::Client,
    serving: &'a Serving,
    token: String,
    session: Option<String>,
}

impl<'a> Client<'a> {
    fn new(serving: &'a Serving) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { http: reqwest::Client::new(), serving, token: serving.token.clone(), session: None }
    }

    fn request(&self, method: reqwest::Method, headers: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let mut request = self
            .http
            .request(method, self.serving.url("/mcp"))
            .bearer_auth(&self.token)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25");
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
    }

    async fn post(&self, message: Value) -> reqwest::Response {
        let body = message.to_string();
        self.request(reqwest::Method::POST, &[("content-type", "application/json")]).body(body).send().await.unwrap()
    }
}

/// Reads events until one fits or the stream ends.
async fn events(response: &mut reqwest::Response, until: impl Fn(&Value) -> bool) -> Vec<Event> {
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut found = Vec::new();
    let mut text = String::new();
    while let Some(chunk) = soon("a part of the stream", response.chunk()).await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        while let Some((event, rest)) = text.clone().split_once("\n\n") {
            text = rest.to_owned();
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
            let message =
                field("data: ").filter(|data| !data.is_empty()).map(|data| serde_json::from_str(&data).unwrap());
            if field("id: ").is_none() && message.is_none() {
                continue;
            }
            let last = message.as_ref().is_some_and(&until);
            found.push((field("id: "), message));
            if last {
                return found;
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_session_is_asked_on_the_stream_and_may_lose_and_resume_it() {
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let made = serving.ok("person_create", json!({"name": "Łucja"})).await;
    let mut client = Client::new(&serving);
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}, "clientInfo": {"name": "t", "version": "1"},
    }});
    let response = client.post(hello).await;
    let session = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    assert!(session.len() > 30 && session.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{session}");
    client.session = Some(session.clone());
    let told = client.post(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    assert_eq!(told.status(), 202);

    // Without anything to tell, the answer comes in one piece.
    let me = client.post(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "me"}})).await;
    assert_eq!(me.headers()["content-type"], "application/json");

    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "person_delete", "arguments": {"id": made["id"]}}});
    let mut stream = client.post(call).await;
    let seen = events(&mut stream, |message| message["method"] == "elicitation/create").await;
    let (priming, asked) = (&seen[0], &seen[1]);
    assert_eq!(priming.1, None, "the first event only tells an id");
    let (last, question) = (asked.0.clone().unwrap(), asked.1.clone().unwrap());
    // The connection breaks; the call goes on, and the answer finds it.
    drop(stream);
    let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {}}});
    assert_eq!(client.post(answer.clone()).await.status(), 202);
    let mut again = client.request(reqwest::Method::GET, &[("last-event-id", &last)]).send().await.unwrap();
    let seen = events(&mut again, |message| message["id"] == 2).await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].1.as_ref().unwrap()["result"]["isError"], false, "{seen:?}");
    // What was read can be read again, from its beginning.
    let first = priming.0.clone().unwrap();
    let mut all = client.request(reqwest::Method::GET, &[("last-event-id", &first)]).send().await.unwrap();
    let methods: Vec<_> =
        events(&mut all, |message| message["id"] == 2).await.into_iter().filter_map(|event| event.1).collect();
    assert_eq!(methods.len(), 2, "{methods:?}");

    // A session is of one user, and is no credential.
    let user = json!({"email": "colleague@example.com", "name": "Colleague", "role": "user"});
    let colleague = serving.ok("user_create", user).await;
    let key = serving.ok("api_key_create", json!({"name": "theirs", "user_id": colleague["id"]})).await;
    let stranger = Client {
        token: key["secret"].as_str().unwrap().to_owned(),
        http: client.http.clone(),
        serving: &serving,
        session: Some(session.clone()),
    };
    let unknown = Client {
        session: Some(session.replace("mcp-", "mcq-")),
        http: client.http.clone(),
        serving: &serving,
        token: client.token.clone(),
    };
    let ping = json!({"jsonrpc": "2.0", "id": 3, "method": "ping"});
    let gone = "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":\"there is no such session, or it is over; send `initialize` to open a new one\"}}";
    for other in [&stranger, &unknown] {
        let refused = other.post(ping.clone()).await;
        assert_eq!(refused.status(), 404);
        assert_eq!(refused.text().await.unwrap(), gone);
        assert_eq!(other.post(answer.clone()).await.status(), 404);
        assert_eq!(other.request(reqwest::Method::GET, &[]).send().await.unwrap().status(), 404);
        assert_eq!(other.request(reqwest::Method::DELETE, &[]).send().await.unwrap().status(), 404);
    }
    assert_eq!(client.post(ping.clone()).await.status(), 200);
    assert_eq!(client.request(reqwest::Method::DELETE, &[]).send().await.unwrap().status(), 204);
    assert_eq!(client.post(ping).await.text().await.unwrap(), gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_a_session_can_be_cancelled() {
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let made = serving.ok("person_create", json!({"name": "Łucja"})).await;
    let mut client = Client::new(&serving);
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {"elicitation": {}}, "clientInfo": {"name": "t", "version": "1"},
    }});
    let response = client.post(hello).await;
    client.session = Some(response.headers()["mcp-session-id"].to_str().unwrap().to_owned());
    let call = json!({"jsonrpc": "2.0", "id": "gone", "method": "tools/call", "params": {"name": "person_delete", "arguments": {"id": made["id"]}}});
    let mut stream = client.post(call).await;
    let seen = events(&mut stream, |message| message["method"] == "elicitation/create").await;
    assert_eq!(seen.len(), 1, "no event without data before 2025-11-25: {seen:?}");
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "gone"}});
    assert_eq!(client.post(cancel).await.status(), 202);
    assert!(events(&mut stream, |_| true).await.is_empty(), "a cancelled request is not answered");
    let shown = serving.ok("person_show", json!({"id": made["id"]})).await;
    assert_eq!(shown["name"], "Łucja");
}

/// Where calls of the tool below tell what becomes of them.
static FATES: tokio::sync::Mutex<Vec<tokio::sync::mpsc::UnboundedSender<&str>>> =
    tokio::sync::Mutex::const_new(Vec::new());

/// Says that it has begun, and waits for ever; a minute is for ever here.
async fn linger(ctx: &mut Ctx, _: Map<String, Value>) -> Result<Map<String, Value>> {
    struct Fate(tokio::sync::mpsc::UnboundedSender<&'static str>);
    impl Drop for Fate {
        fn drop(&mut self) {
            let _ = self.0.send("ended");
        }
    }
    let fate = Fate(FATES.lock().await.pop().expect("somebody who wants to know"));
    let _ = fate.0.send("begun");
    ctx.progress(1, None, "begun");
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let _ = fate.0.send("finished");
    Ok(Map::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_cancels_a_stateless_request_and_no_request_of_a_session() {
    let database = TestDatabase::new().await;
    let db = Db::open(&database.location, bureau_kit::MIGRATIONS).await.unwrap();
    let mut toolsets = catalog::toolsets();
    let linger = Tool::read("linger", "", linger).title("Linger").about("Linger.");
    toolsets.push(Toolset { name: "linger", about: "Tools that take their time.", tools: vec![linger] });
    let registry = Registry::new(toolsets, &catalog::tables(), "{}").unwrap();
    let bureau = Bureau::new(registry, db, Clock::System, Ids::system());
    let token = open::found(&bureau, "Company", "owner@example.com", "Owner").await.unwrap().token;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let server = Server::new(bureau).unwrap();
    tokio::spawn(http::serve(server, http::Options::default(), vec![listener.into()], std::future::pending()));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let post = |version: &'static str, body: Value| {
        client
            .post(&url)
            .bearer_auth(&token)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", version)
            .header("mcp-method", body["method"].as_str().unwrap().to_owned())
            .header("mcp-name", "linger")
            .body(body.to_string())
    };
    let call = |meta: Value| json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "linger", "_meta": meta}});

    let (fate, mut fates) = tokio::sync::mpsc::unbounded_channel();
    FATES.lock().await.push(fate);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": 1,
    });
    let mut response = post("2026-07-28", call(meta)).send().await.unwrap();
    let seen = events(&mut response, |message| message["method"] == "notifications/progress").await;
    assert_eq!((seen.len(), seen[0].0.clone()), (1, None), "no event ids in this generation: {seen:?}");
    drop(response);
    assert_eq!(soon("the beginning", fates.recv()).await, Some("begun"));
    assert_eq!(soon("the end", fates.recv()).await, Some("ended"), "it did not finish");

    let (fate, mut fates) = tokio::sync::mpsc::unbounded_channel();
    FATES.lock().await.push(fate);
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"},
    }});
    let opened = post("2025-11-25", hello).send().await.unwrap();
    let session = opened.headers()["mcp-session-id"].clone();
    let request = post("2025-11-25", call(json!({"progressToken": 1}))).header("mcp-session-id", session);
    let mut response = request.send().await.unwrap();
    events(&mut response, |message| message["method"] == "notifications/progress").await;
    drop(response);
    assert_eq!(soon("the beginning", fates.recv()).await, Some("begun"));
    assert_eq!(soon("the work", fates.recv()).await, Some("finished"));
}
