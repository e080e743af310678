//! The tasks extension: calls answered at once with a task, whose answer is fetched later.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bureau::mcp::exchange::{Exchange, InputRequest};
use bureau::mcp::extension::{Answer, Extension};
use bureau::mcp::{Face, Options, Server};
use bureau::rpc::{self, Caller, Message};
use bureau::{catalog, open};
use bureau_kit::access::Shown;
use bureau_kit::ctx::Ctx;
use bureau_kit::db::{Db, Dialect, Location};
use bureau_kit::deferred::RUNNING_OF_ONE;
use bureau_kit::dialogue::{Question, Reply};
use bureau_kit::error::Result;
use bureau_kit::gate::{Bureau, Origin, Selection};
use bureau_kit::id::Ids;
use bureau_kit::record::Values;
use bureau_kit::registry::{Registry, Toolset};
use bureau_kit::sql::Sql;
use bureau_kit::time::{Clock, Instant};
use bureau_kit::tool::{BoxFuture, Tool};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::dialogue::Wire;
use crate::process::{Connection, Serving, soon};
use crate::stdio::Assistant;
use crate::support::{START, TestDatabase, Tester};

const NO_TASK: &str =
    "There is no such task: the id is wrong, or the task has expired. Make the call again for a new one.";

/// What the tools below wait for, by name.
static GATES: LazyLock<Mutex<HashMap<String, Arc<Semaphore>>>> = LazyLock::new(Mutex::default);

fn gate(name: &str) -> Arc<Semaphore> {
    GATES.lock().unwrap().entry(name.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(0))).clone()
}

async fn wait_at(name: &str) {
    gate(name).acquire().await.unwrap().forget();
}

/// Adds a tag and waits at the gate of its name before it is done.
async fn dig(ctx: &mut Ctx, input: Map<String, Value>) -> Result<Map<String, Value>> {
    let name = input["name"].as_str().unwrap().to_owned();
    let table = ctx.bureau().registry.table("tags").unwrap();
    let values = Values::new().with("name", name.as_str()).with("slug", name.as_str()).with("color", "#000000");
    ctx.insert(table, values).await?;
    ctx.progress(1, Some(2), "digging");
    wait_at(&name).await;
    Ok(Map::from_iter([("dug".to_owned(), json!(name))]))
}

/// Waits at the gate of its name without touching anything.
async fn survey(ctx: &mut Ctx, input: Map<String, Value>) -> Result<Map<String, Value>> {
    ctx.progress(1, Some(2), "looking");
    wait_at(input["name"].as_str().unwrap()).await;
    Ok(Map::from_iter([("seen".to_owned(), json!(true))]))
}

/// Asks how deep.
async fn drill(ctx: &mut Ctx, _: Map<String, Value>) -> Result<Map<String, Value>> {
    let question = Question::new("depth", "How deep?").field("metres", json!({"type": "integer"}), true);
    let told = match ctx.ask(question)? {
        Some(Reply::Accepted(fields)) => fields["metres"].clone(),
        other => json!(format!("{other:?}")),
    };
    Ok(Map::from_iter([("metres".to_owned(), told)]))
}

/// Tools that are not Bureau's own.
#[derive(Debug)]
struct Fixture;

fn form(message: &str) -> InputRequest {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    InputRequest::form(message, schema)
}

fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}], "isError": false})
}

impl Extension for Fixture {
    fn tools(&self) -> Vec<Value> {
        let named = |name| json!({"name": name, "description": "A fixture.", "inputSchema": {"type": "object"}});
        ["greet", "only_as_task", "fault", "panic", "two_questions", "first_ask", "wait"].map(named).into()
    }

    fn call<'a>(
        &'a self,
        tool: &'a str,
        arguments: Map<String, Value>,
        exchange: &'a Exchange,
    ) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            match tool {
                "greet" => return Ok(text("Hello")),
                "only_as_task" => exchange.require_tasks()?,
                "first_ask" => drop(exchange.ask(&[("name", form("Who?"))]).await?),
                _ => {}
            }
            exchange.defer().await?;
            match tool {
                "only_as_task" => Ok(json!({"content": [], "isError": true})),
                "fault" => Err(rpc::error(-32603, "broken").into()),
                "panic" => panic!("on purpose"),
                "two_questions" => {
                    let answers = exchange.ask(&[("one", form("One?")), ("two", form("Two?"))]).await?;
                    let name = |key: &str| answers[key]["content"]["name"].as_str().unwrap().to_owned();
                    Ok(text(&format!("{} and {}", name("one"), name("two"))))
                }
                "first_ask" => {
                    let answers = exchange.ask(&[("name", form("Who?"))]).await?;
                    Ok(text(answers["name"]["content"]["name"].as_str().unwrap()))
                }
                _ => {
                    exchange.progress(1.0, None, Some("waiting"));
                    wait_at(arguments["gate"].as_str().unwrap()).await;
                    Ok(text("waited"))
                }
            }
        })
    }
}

/// Somebody who sends stateless requests to a server in this process.
#[derive(Clone)]
struct Client {
    server: Arc<Server>,
    shown: Shown,
    capabilities: Value,
}

fn tasks() -> Value {
    json!({"elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}})
}

impl Client {
    /// The owner of a new company whose server has the tools above.
    async fn new() -> (Self, TestDatabase) {
        let database = TestDatabase::new().await;
        let db = Db::open(&database.location, bureau_kit::MIGRATIONS).await.unwrap();
        let mut toolsets = catalog::toolsets();
        let tools = vec![
            Tool::create("dig", "dig", dig).long().title("Dig").about("Dig."),
            Tool::read("survey", "survey", survey).long().title("Survey").about("Survey."),
            Tool::action("drill", "drill", drill).long().title("Drill").about("Drill."),
        ];
        toolsets.push(Toolset { name: "mine", about: "Tools that take long.", tools });
        let registry = Registry::new(toolsets, &catalog::tables(), "{}").unwrap();
        let clock = Clock::fixed(Instant::parse(START).unwrap());
        let bureau = Bureau::new(registry, db, clock, Ids::seeded(7));
        let owner = open::found(&bureau, "Company", "owner@example.com", "Owner").await.unwrap();
        let options = Options { extension: Some(Arc::new(Fixture)), ..Options::default() };
        let server = Server::with(bureau, options).unwrap();
        (Self { server, shown: Shown::Token(owner.token), capabilities: tasks() }, database)
    }

    fn with_token(&self, token: &Value) -> Self {
        Self { shown: Shown::Token(token.as_str().unwrap().to_owned()), ..self.clone() }
    }

    fn without_tasks(&self) -> Self {
        Self { capabilities: json!({}), ..self.clone() }
    }

    /// The whole response.
    async fn send(&self, method: &str, mut params: Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
        });
        let text = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let message = Message::read(&text).unwrap();
        let origin = Origin { transport: "test", ..Origin::default() };
        let mut caller = Caller::new(Some(self.shown.clone()), Selection::default(), origin);
        caller.take(self.server.envelope(&message, None).unwrap());
        let response = soon(method, self.server.answer(Face::Mcp, &message, Arc::new(caller))).await;
        serde_json::from_slice(&response.joined()).unwrap()
    }

    async fn ok(&self, method: &str, params: Value) -> Value {
        let response = self.send(method, params.clone()).await;
        assert!(response.get("result").is_some(), "{method} {params}: {response}");
        response["result"].clone()
    }

    async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.ok("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// What a tool answers at once.
    async fn tool(&self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        assert_eq!((&result["resultType"], &result["isError"]), (&json!("complete"), &json!(false)), "{result}");
        result["structuredContent"].clone()
    }

    /// The id of the task that a call becomes.
    async fn start(&self, tool: &str, arguments: Value) -> Value {
        let created = self.call(tool, arguments).await;
        assert_eq!(created["resultType"], "task", "{created}");
        created["taskId"].clone()
    }

    async fn get(&self, task: &Value) -> Value {
        self.ok("tasks/get", json!({"taskId": task})).await
    }

    /// The task, once it shows this.
    async fn until(&self, task: &Value, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let shown = self.get(task).await;
                if holds(&shown) {
                    return shown;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon(what, found).await
    }

    async fn until_status(&self, task: &Value, status: &str) -> Value {
        self.until(task, status, |shown| shown["status"] == status).await
    }

    async fn tags(&self) -> Vec<String> {
        let list = self.tool("tag_list", json!({"page_size": 100})).await;
        list["items"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap().to_owned()).collect()
    }
}

const ACKNOWLEDGED: &str = r#"{"resultType":"complete"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_long_call_becomes_a_task_and_its_answer_is_fetched() {
    let (client, _database) = Client::new().await;
    let created = client.call("dig", json!({"name": "well"})).await;
    let id = created["taskId"].clone();
    let beginning = json!({
        "taskId": id, "status": "working", "createdAt": START, "lastUpdatedAt": START, "ttlMs": 86_400_000,
        "pollIntervalMs": 1000,
    });
    let mut expected = beginning.clone();
    expected["resultType"] = json!("task");
    assert_eq!(created, expected);
    let shown = client.until(&id, "its progress", |shown| shown.get("statusMessage").is_some()).await;
    let mut expected = beginning.clone();
    expected["statusMessage"] = json!("digging (1 of 2)");
    expected["resultType"] = json!("complete");
    assert_eq!(shown, expected);
    gate("well").add_permits(1);
    let done = client.until_status(&id, "completed").await;
    let answer = &done["result"]["structuredContent"];
    assert_eq!((&answer["dug"], answer["undo_token"].is_string()), (&json!("well"), true), "{done}");
    let mut expected = beginning;
    expected["status"] = json!("completed");
    expected["resultType"] = json!("complete");
    expected["result"] = json!({
        "content": [{"type": "text", "text": answer.to_string()}], "structuredContent": answer, "isError": false,
        "resultType": "complete",
    });
    assert_eq!(done, expected);
    assert_eq!(client.tags().await, ["well"]);
    // It has ended: cancelling it is answered and changes nothing.
    assert_eq!(client.ok("tasks/cancel", json!({"taskId": id})).await.to_string(), ACKNOWLEDGED);
    assert_eq!(client.get(&id).await, done);
    client.without_tasks().tool("action_undo", json!({"undo_token": answer["undo_token"]})).await;
    assert_eq!(client.tags().await, Vec::<String>::new());
    // Through an executor it is the same call.
    let id = client.start("tool_call_write", json!({"name": "dig", "arguments": {"name": "pit"}})).await;
    gate("pit").add_permits(1);
    assert_eq!(client.until_status(&id, "completed").await["result"]["structuredContent"]["dug"], "pit");
    let id = client.start("dig", json!({"name": "pit"})).await;
    gate("pit").add_permits(1);
    let failed = client.until_status(&id, "completed").await;
    assert_eq!(failed["result"]["isError"], true, "a tool's error is its answer: {failed}");
    assert_eq!(failed["result"]["structuredContent"]["code"], "conflict", "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_extension_nothing_is_a_task() {
    let (client, _database) = Client::new().await;
    let plain = client.without_tasks();
    gate("plain").add_permits(1);
    assert_eq!(plain.tool("survey", json!({"name": "plain"})).await, json!({"seen": true}));
    assert_eq!(plain.call("greet", json!({})).await["content"][0]["text"], "Hello");
    gate("plain fixture").add_permits(1);
    assert_eq!(plain.call("wait", json!({"gate": "plain fixture"})).await["content"][0]["text"], "waited");
    let missing = json!({
        "code": -32021,
        "message": "This needs the extension io.modelcontextprotocol/tasks. Declare it in the capabilities of the request.",
        "data": {"requiredCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}},
    });
    let refused = plain.send("tools/call", json!({"name": "only_as_task"})).await;
    assert_eq!(refused["error"], missing);
    let id = client.start("only_as_task", json!({})).await;
    for (method, more) in
        [("tasks/get", json!({})), ("tasks/update", json!({"inputResponses": {}})), ("tasks/cancel", json!({}))]
    {
        let mut params = more;
        params["taskId"] = id.clone();
        assert_eq!(plain.send(method, params).await["error"], missing, "{method}");
    }
    let done = client.until_status(&id, "completed").await;
    assert_eq!(done["result"], json!({"content": [], "isError": true}));
    // What answers at once is no task, whatever the client takes, and old hints change nothing.
    let greeted = client.ok("tools/call", json!({"name": "greet", "task": {"ttl": 1000}})).await;
    assert_eq!(
        greeted,
        json!({"content": [{"type": "text", "text": "Hello"}], "isError": false, "resultType": "complete"})
    );
    assert!(client.tool("me", json!({})).await.is_object());
    for method in ["tasks/list", "tasks/result"] {
        assert_eq!(client.send(method, json!({"taskId": id})).await["error"]["code"], -32601, "{method}");
    }
    let discovered = client.ok("server/discover", json!({})).await;
    assert_eq!(discovered["capabilities"]["extensions"], json!({"io.modelcontextprotocol/tasks": {}}));
    assert_eq!(discovered["capabilities"].get("tasks"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_task_keeps_nothing() {
    let (client, _database) = Client::new().await;
    for (tool, arguments) in
        [("dig", json!({"name": "shaft"})), ("survey", json!({"name": "never"})), ("wait", json!({"gate": "never"}))]
    {
        let id = client.start(tool, arguments).await;
        client.until(&id, "its progress", |shown| shown.get("statusMessage").is_some()).await;
        assert_eq!(client.ok("tasks/cancel", json!({"taskId": id})).await.to_string(), ACKNOWLEDGED);
        let shown = client.get(&id).await;
        assert_eq!(shown["status"], "cancelled", "at once: {shown}");
        assert_eq!(
            (shown.get("result"), shown.get("error"), shown.get("statusMessage")),
            (None, None, None),
            "{shown}"
        );
        assert_eq!(client.ok("tasks/cancel", json!({"taskId": id})).await.to_string(), ACKNOWLEDGED);
    }
    gate("shaft").add_permits(1);
    assert_eq!(client.tags().await, Vec::<String>::new());
}

/// However close the two come, a call is kept and answered, or cancelled and gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_cancelled_or_kept_never_both() {
    let (client, _database) = Client::new().await;
    let (mut kept, mut cancelled) = (0, 0);
    for round in 0..60_u64 {
        let name = format!("race {round}");
        let id = client.start("dig", json!({"name": name})).await;
        client.until(&id, "its progress", |shown| shown.get("statusMessage").is_some()).await;
        let late = tokio::spawn({
            let (client, id) = (client.clone(), id.clone());
            async move {
                tokio::time::sleep(Duration::from_micros(round * 50)).await;
                client.ok("tasks/cancel", json!({"taskId": id})).await;
            }
        });
        tokio::time::sleep(Duration::from_micros(1_500)).await;
        gate(&name).add_permits(1);
        let ended = client.until(&id, "its end", |shown| shown["status"] != "working").await;
        late.await.unwrap();
        let there = client.tags().await.contains(&name);
        assert_eq!(client.get(&id).await, ended, "an end is for good");
        match ended["status"].as_str().unwrap() {
            "completed" => {
                assert!(there, "{ended}");
                kept += 1;
                client
                    .without_tasks()
                    .tool("action_undo", json!({"undo_token": ended["result"]["structuredContent"]["undo_token"]}))
                    .await;
            }
            "cancelled" => {
                assert!(!there, "{name} was cancelled and is there");
                cancelled += 1;
            }
            other => panic!("{other}: {ended}"),
        }
    }
    println!("{kept} kept, {cancelled} cancelled");
    assert!(kept > 0 && cancelled > 0, "the race was none: {kept} kept, {cancelled} cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_asks_and_goes_on_once_all_is_answered() {
    let (client, _database) = Client::new().await;
    let id = client.start("drill", json!({})).await;
    let asks = client.until_status(&id, "input_required").await;
    let question = json!({
        "method": "elicitation/create",
        "params": {
            "mode": "form", "message": "How deep?",
            "requestedSchema": {"type": "object", "properties": {"metres": {"type": "integer"}}, "required": ["metres"]},
        },
    });
    assert_eq!(asks["inputRequests"], json!({"depth": question}));
    let answer = |answers: Value| json!({"taskId": id, "inputResponses": answers});
    let unknown = client.ok("tasks/update", answer(json!({"height": {"action": "accept"}}))).await;
    assert_eq!(unknown.to_string(), ACKNOWLEDGED);
    let wrong = answer(json!({"depth": {"action": "accept", "content": {"metres": "very"}}}));
    let refused = client.send("tasks/update", wrong).await;
    assert_eq!(refused["error"]["code"], -32602);
    assert_eq!(
        refused["error"]["message"],
        "/inputResponses/depth: does not have the shape that was asked for; tasks/get shows what is still asked"
    );
    assert_eq!(client.send("tasks/update", json!({"taskId": id})).await["error"]["code"], -32602);
    assert_eq!(client.get(&id).await["inputRequests"], json!({"depth": question}), "still asked");
    client.ok("tasks/update", answer(json!({"depth": {"action": "accept", "content": {"metres": 12}}}))).await;
    let done = client.until_status(&id, "completed").await;
    assert_eq!(done["result"]["structuredContent"], json!({"metres": 12}));
    assert_eq!(done.get("inputRequests"), None);
    let late = client.ok("tasks/update", answer(json!({"depth": {"action": "decline"}}))).await;
    assert_eq!(late.to_string(), ACKNOWLEDGED);
    assert_eq!(client.get(&id).await, done);

    let id = client.start("two_questions", json!({})).await;
    let asks = client.until_status(&id, "input_required").await;
    assert_eq!(asks["inputRequests"].as_object().unwrap().len(), 2, "{asks}");
    let named = |name: &str| json!({"action": "accept", "content": {"name": name}});
    client.ok("tasks/update", json!({"taskId": id, "inputResponses": {"one": named("Ada")}})).await;
    let asks = client.get(&id).await;
    assert_eq!(asks["status"], "input_required");
    assert_eq!(asks["inputRequests"].as_object().unwrap().keys().collect::<Vec<_>>(), ["two"]);
    // What was answered stays answered.
    client
        .ok("tasks/update", json!({"taskId": id, "inputResponses": {"one": named("Eve"), "two": named("Bob")}}))
        .await;
    assert_eq!(client.until_status(&id, "completed").await["result"]["content"][0]["text"], "Ada and Bob");

    let id = client.start("two_questions", json!({})).await;
    client.until_status(&id, "input_required").await;
    client.ok("tasks/cancel", json!({"taskId": id})).await;
    let shown = client.get(&id).await;
    assert_eq!((&shown["status"], shown.get("inputRequests")), (&json!("cancelled"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_before_the_task_are_answered_by_the_request_itself() {
    let (client, _database) = Client::new().await;
    let asks = client.call("first_ask", json!({})).await;
    assert_eq!((&asks["resultType"], asks.get("taskId")), (&json!("input_required"), None), "{asks}");
    let created = client
        .ok(
            "tools/call",
            json!({
                "name": "first_ask", "arguments": {}, "requestState": asks["requestState"],
                "inputResponses": {"name": {"action": "accept", "content": {"name": "Alice"}}},
            }),
        )
        .await;
    assert_eq!((&created["resultType"], created.get("requestState")), (&json!("task"), None), "{created}");
    assert_eq!(client.until_status(&created["taskId"], "completed").await["result"]["content"][0]["text"], "Alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_a_failed_task() {
    let (client, _database) = Client::new().await;
    for (tool, message) in [("fault", "broken"), ("panic", "Bureau could not complete this call. Try again.")] {
        let id = client.start(tool, json!({})).await;
        let failed = client.until_status(&id, "failed").await;
        assert_eq!(failed["error"], json!({"code": -32603, "message": message}));
        assert_eq!(failed.get("result"), None, "{failed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_others_do_not_exist_and_expired_ones_neither() {
    let (client, _database) = Client::new().await;
    let id = client.start("survey", json!({"name": "own"})).await;
    let user = client
        .tool(
            "user_create",
            json!({"email": "anna@example.com", "first_name": "Anna", "last_name": "Nowak", "role": "admin"}),
        )
        .await;
    let key = client.tool("api_key_create", json!({"name": "anna", "user_id": user["id"]})).await;
    let other = open::found(&client.server.bureau, "Other", "other@example.net", "Other").await.unwrap();
    let same = client.tool("session_create", json!({"label": "the same person"})).await;
    assert_eq!(client.with_token(&same["session_token"]).get(&id).await["status"], "working");
    // Nor is a call that is refused a task.
    let anna = client.with_token(&key["secret"]);
    assert_eq!(anna.call("survey", json!({"name": "own"})).await["structuredContent"]["code"], "forbidden");
    let none = json!({"code": -32602, "message": NO_TASK});
    for stranger in [anna, client.with_token(&json!(other.token))] {
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let params = json!({"taskId": id, "inputResponses": {}});
            assert_eq!(stranger.send(method, params).await["error"], none, "{method}");
        }
    }
    for unknown in [json!("nothing"), json!(""), json!("019a0000-0000-7000-8000-000000000000")] {
        assert_eq!(client.send("tasks/get", json!({"taskId": unknown})).await["error"], none, "{unknown}");
    }
    assert_eq!(client.send("tasks/get", json!({})).await["error"]["code"], -32602);
    gate("own").add_permits(1);
    client.until_status(&id, "completed").await;

    let clock = &client.server.bureau.clock;
    clock.advance_seconds(24 * 60 * 60 - 1);
    assert_eq!(client.get(&id).await["status"], "completed", "kept for as long as was said");
    clock.advance_seconds(1);
    assert_eq!(client.send("tasks/get", json!({"taskId": id})).await["error"], none);
    // The next one clears away what has expired.
    gate("own").add_permits(1);
    let next = client.start("survey", json!({"name": "own"})).await;
    client.until_status(&next, "completed").await;
    assert_eq!(records(&client.server.bureau.db).await, 1);
}

/// Records of tasks, of all tenants.
async fn records(db: &Db) -> i64 {
    counted(db, "SELECT COUNT(*) FROM deferred_requests").await
}

async fn counted(db: &Db, sql: &'static str) -> i64 {
    let mut tx = db.read().await.unwrap();
    if db.dialect() == Dialect::Postgres {
        tx.query(&Sql::new("SELECT set_config('bureau.all_tenants', 'on', true)")).await.unwrap();
    }
    let rows = tx.query(&Sql::new(sql)).await.unwrap();
    tx.commit().await.unwrap();
    rows[0].get(0).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_starts_more_tasks_than_the_server_bears() {
    let (client, _database) = Client::new().await;
    let mut running = Vec::new();
    for _ in 0..RUNNING_OF_ONE {
        running.push(client.start("wait", json!({"gate": "crowd"})).await);
    }
    let refused = client.send("tools/call", json!({"name": "wait", "arguments": {"gate": "crowd"}})).await;
    assert_eq!(refused["error"]["code"], 429);
    assert_eq!(
        refused["error"]["message"],
        "8 of your calls run as tasks already. Wait until one of them has ended (tasks/get), or cancel one (tasks/cancel), \
         and call again."
    );
    client.ok("tasks/cancel", json!({"taskId": running[0]})).await;
    running.push(client.start("wait", json!({"gate": "crowd"})).await);
    // One more, for the cancelled one may have stood in line for a moment longer.
    gate("crowd").add_permits(RUNNING_OF_ONE + 1);
    for id in &running[1..] {
        client.until_status(id, "completed").await;
    }
}

/// Over stdio a task goes on after the answer, and nothing but answers is on the wire.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_over_stdio() {
    let (client, database) = Client::new().await;
    let local = Client { shown: Shown::LocalOwner, ..client.clone() };
    let mut wire = Wire::to(client.server.clone(), database);
    let request = |params: Value| {
        let mut params = params;
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": tasks(),
            "progressToken": "p",
        });
        params
    };
    let call = json!({"name": "dig", "arguments": {"name": "stdio"}});
    let created = wire.asked("tools/call", request(call)).await;
    let id = created["result"]["taskId"].clone();
    local.until(&id, "its progress", |shown| shown.get("statusMessage").is_some()).await;
    let shown = wire.asked("tasks/get", request(json!({"taskId": id}))).await;
    assert_eq!(shown["result"]["statusMessage"], "digging (1 of 2)", "{shown}");
    gate("stdio").add_permits(1);
    local.until_status(&id, "completed").await;
    let shown = wire.asked("tasks/get", request(json!({"taskId": id}))).await;
    assert_eq!(shown["result"]["result"]["structuredContent"]["dug"], "stdio", "{shown}");
    // Handshake clients know nothing of this.
    assert_eq!(wire.asked("tasks/get", json!({"taskId": id})).await["error"]["code"], -32601);
}

// --- the index, and the real program

/// Adds tags whose search text is stale.
async fn add_stale_tags(database: &TestDatabase, count: usize) {
    let db = Db::connect(&database.location).await.unwrap();
    let mut tx = db.write().await.unwrap();
    let random = match db.dialect() {
        Dialect::Postgres => {
            tx.query(&Sql::new("SELECT set_config('bureau.all_tenants', 'on', true)")).await.unwrap();
            "gen_random_uuid()"
        }
        Dialect::Sqlite => "randomblob(16)",
    };
    let statement: &'static str = Box::leak(
        format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) \
             INSERT INTO tags (id, tenant_id, num, name, slug, color, folded, version, created_at, updated_at) \
             SELECT {random}, tenants.id, n + 1000, 'Łódź ' || n, 'lodz-' || n, '#000000', 'stale', 1, tenants.created_at, \
             tenants.created_at FROM numbers, tenants"
        )
        .into_boxed_str(),
    );
    tx.query(&Sql::new(statement)).await.unwrap();
    tx.commit().await.unwrap();
    db.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reindexing_makes_stale_records_findable_and_touches_nothing_else() {
    let owner = Tester::new().await;
    owner.ok("tag_create", json!({"name": "fresh"})).await;
    let other = owner.other_tenant().await;
    add_stale_tags(&owner.database, 1_200).await;
    let (before, others) = (owner.dump().await, other.dump().await);
    assert_eq!(owner.ok("tag_list", json!({"q": "lodz 77"})).await["total"], 0);
    let tried = owner.ok("fulltext_reindex", json!({"dry_run": true})).await;
    assert_eq!((&tried["rewritten"], &tried["changes"]), (&json!(1_200), &json!([])), "{tried}");
    assert_eq!(owner.dump().await, before, "a trial keeps no step");
    let refused = owner.err("fulltext_reindex", json!({"entity_id": "moon"})).await;
    assert!(
        refused["fields"][0]["message"]
            .as_str()
            .unwrap()
            .starts_with("there are no searchable `moon`; expected one of organization, "),
        "{refused}"
    );
    let other_kind = owner.ok("fulltext_reindex", json!({"entity_id": "task"})).await;
    assert_eq!(other_kind["rewritten"], 0);
    let done = owner.ok("fulltext_reindex", json!({"entity_id": "tag", "idempotency_key": "once"})).await;
    let entities = json!([{"entity_id": "tag", "checked": 1_201, "rewritten": 1_200}]);
    let expected = json!({
        "ok": true, "action": "reindex", "entity_id": "tag", "checked": 1_201, "rewritten": 1_200, "entities": entities,
    });
    assert_eq!(done, expected);
    let again = owner.ok("fulltext_reindex", json!({"entity_id": "tag", "idempotency_key": "once"})).await;
    assert_eq!((&again["replayed"], &again["rewritten"]), (&json!(true), &json!(1_200)));
    assert_eq!(owner.ok("fulltext_reindex", json!({})).await["rewritten"], 0);
    assert_eq!(owner.ok("tag_list", json!({"q": "lodz 77"})).await["total"], 11);
    // But for the folded text itself every row is as it was.
    let after = owner.dump().await;
    let restored: Vec<String> = before
        .lines()
        .zip(after.lines())
        .map(|(before, after)| {
            let folded = after.split("Text(\"lodz ").nth(1).and_then(|rest| rest.split('"').next());
            folded.map_or_else(
                || before.to_owned(),
                |number| before.replace("Text(\"stale\")", &format!("Text(\"lodz {number}\")")),
            )
        })
        .collect();
    assert_eq!(crate::support::difference(&restored.join("\n"), &after), "");
    assert_eq!(other.dump().await, others, "the other company's tags are still stale");
}

/// Spoils the search text of all tags.
async fn make_stale(db: &Db) {
    let mut tx = db.write().await.unwrap();
    if db.dialect() == Dialect::Postgres {
        tx.query(&Sql::new("SELECT set_config('bureau.all_tenants', 'on', true)")).await.unwrap();
    }
    tx.query(&Sql::new("UPDATE tags SET folded = 'stale'")).await.unwrap();
    tx.commit().await.unwrap();
}

/// A stateless request to a server process.
async fn asked(serving: &Serving, method: &str, mut params: Value) -> Value {
    let mut connection: Connection = serving.connect().await;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": tasks(),
    });
    let name = params.get("taskId").or(params.get("name")).and_then(Value::as_str).unwrap_or_default().to_owned();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Authorization: Bearer {}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\nMcp-Name: {name}\r\n\
         Content-Length: {}\r\n\r\n",
        serving.address,
        serving.token,
        body.len()
    );
    connection.send(head + &body).await.unwrap();
    connection.answer().await.unwrap().json()
}

async fn task_at(serving: &Serving, id: &Value, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let found = async {
        loop {
            let shown = asked(serving, "tasks/get", json!({"taskId": id})).await["result"].clone();
            if holds(&shown) {
                return shown;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(what, found).await
}

/// An assistant that hangs up is not kept waiting by its tasks, and its next process knows what became of them.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_do_not_hold_back_the_end_of_a_process() {
    let database = TestDatabase::new().await;
    open::open(&database.location).await.unwrap().bureau.db.close().await;
    add_stale_tags(&database, 40_000).await;
    let request = |method: &str, mut params: Value| {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": tasks(),
            "progressToken": 1,
        });
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
    };
    let mut assistant = Assistant::start(&database);
    let call = request("tools/call", json!({"name": "fulltext_reindex", "arguments": {}}));
    let id = assistant.told(call).await["result"]["taskId"].clone();
    assistant.leave().await;
    let mut assistant = Assistant::start(&database);
    let shown = assistant.told(request("tasks/get", json!({"taskId": id}))).await["result"].clone();
    assert_eq!((&shown["status"], &shown["error"]["code"]), (&json!("failed"), &json!(-32603)), "{shown}");
    assistant.leave().await;
}

/// Two processes on one database; one of them is killed while it works.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_outlives_its_process_as_a_failure_that_says_so() {
    let database = TestDatabase::new().await;
    let mut serving = Serving::on_new(&database).await;
    add_stale_tags(&database, 40_000).await;
    let beside = Serving::again(&database, &serving.token).await;
    let reindex = json!({"name": "fulltext_reindex", "arguments": {"entity_id": "tag"}});
    let id = asked(&serving, "tools/call", reindex.clone()).await["result"]["taskId"].clone();
    let shown = task_at(&serving, &id, "its progress", |shown| shown.get("statusMessage").is_some()).await;
    let message = shown["statusMessage"].as_str().unwrap();
    assert!(message.starts_with("checking tags (") && message.ends_with(" of 40000)"), "{shown}");
    assert_eq!(asked(&beside, "tasks/get", json!({"taskId": id})).await["result"]["status"], "working");
    let db = Db::connect(&database.location).await.unwrap();
    const STALE: &str = "SELECT COUNT(*) FROM tags WHERE folded = 'stale'";
    let begun = async { while counted(&db, STALE).await == 40_000 {} };
    soon("the first step", begun).await;
    serving.kill().await;
    let left = counted(&db, STALE).await;
    assert!(left > 0 && left < 40_000, "it was killed in the middle: {left} left");
    let failed = asked(&beside, "tasks/get", json!({"taskId": id})).await["result"].clone();
    assert_eq!(failed["status"], "failed", "{failed}");
    let why = "The server was stopped before fulltext_reindex had ended. No record was changed; make the call again.";
    assert_eq!(failed["error"], json!({"code": -32603, "message": why}));
    let serving = Serving::again(&database, &beside.token).await;
    assert_eq!(asked(&serving, "tasks/get", json!({"taskId": id})).await["result"], failed);

    // Cancelled by another process than the one it runs in; tried again where it was quicker than that.
    let mut ends = Vec::new();
    while ends.last().is_none_or(|end| end != "cancelled") {
        assert!(ends.len() < 5, "{ends:?}");
        make_stale(&db).await;
        let id = asked(&serving, "tools/call", reindex.clone()).await["result"]["taskId"].clone();
        let acknowledged = asked(&beside, "tasks/cancel", json!({"taskId": id})).await;
        assert_eq!(acknowledged["result"], json!({"resultType": "complete"}));
        ends.push(asked(&serving, "tasks/get", json!({"taskId": id})).await["result"]["status"].clone());
    }

    let id = asked(&serving, "tools/call", reindex).await["result"]["taskId"].clone();
    let done = task_at(&beside, &id, "its end", |shown| shown["status"] == "completed").await;
    let answer = &done["result"]["structuredContent"];
    assert_eq!(answer["checked"], 40_000, "{done}");
    assert_eq!(counted(&db, STALE).await, 0);
    db.close().await;
    if let Location::Sqlite(path) = &database.location {
        let left = std::fs::read_dir(path.parent().unwrap()).unwrap();
        let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(left.filter(|name| name.contains("-claim-")).collect::<Vec<_>>(), Vec::<String>::new());
    }
}
