//! The fixtures of the conformance suite, in both generations of the protocol, over stdio: the suite itself speaks HTTP only,
//! and passes some of its scenarios on servers that do not have the tool.

#[path = "../../examples/conformance/fixtures/mod.rs"]
mod fixtures;

use std::collections::BTreeSet;
use std::sync::Arc;

use bureau::mcp::extension::Extension;
use bureau::mcp::{self, Server};
use bureau::open;
use serde_json::{Map, Value, json};

use crate::dialogue::Wire;
use crate::support::TestDatabase;
use fixtures::Fixtures;

/// What a client declares that can do everything.
fn everything() -> Value {
    let tasks = json!({"io.modelcontextprotocol/tasks": {}});
    json!({"elicitation": {}, "sampling": {}, "roots": {}, "extensions": tasks})
}

/// A client of one generation, which answers whatever it is asked.
struct Client {
    wire: Wire,
    stateless: bool,
    capabilities: Value,
}

/// What happened while one request was answered.
#[derive(Debug, Default)]
struct Course {
    /// Notifications.
    told: Vec<Value>,
    /// What the client was asked for, one line each.
    asked: Vec<String>,
    /// The result or error.
    answer: Value,
}

impl Client {
    async fn new(stateless: bool, capabilities: Value) -> Self {
        let database = TestDatabase::new().await;
        let bureau = open::open(&database.location).await.unwrap().bureau;
        let extension = Some(Arc::new(Fixtures) as Arc<dyn Extension>);
        let server = Server::with(bureau, mcp::Options { extension, ..mcp::Options::default() }).unwrap();
        let mut wire = Wire::to(server, database);
        if !stateless {
            wire.shakes_hands(capabilities.clone()).await;
        }
        Self { wire, stateless, capabilities }
    }

    /// Makes a request, giving everything that is asked for.
    async fn course(&mut self, method: &str, mut params: Value) -> Course {
        let mut course = Course::default();
        if self.stateless {
            let mut meta = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": self.capabilities,
            });
            for (name, value) in params["_meta"].as_object().into_iter().flatten() {
                meta[name] = value.clone();
            }
            params["_meta"] = meta;
        }
        loop {
            let id = self.wire.request(method, params.clone()).await;
            course.answer = loop {
                let message = self.wire.hear().await;
                match (message.get("method"), message.get("id")) {
                    (Some(_), Some(asked)) => {
                        assert!(!self.stateless, "a stateless client must not get requests: {message}");
                        course.asked.push(question(&message));
                        let reply = json!({"jsonrpc": "2.0", "id": asked, "result": reply(&message)});
                        self.wire.say(reply).await;
                    }
                    (Some(_), None) => course.told.push(message),
                    (None, _) => {
                        assert_eq!(message["id"], id, "{message}");
                        break message;
                    }
                }
            };
            let result = &course.answer["result"];
            if result["resultType"] != "input_required" {
                return course;
            }
            let state = &result["requestState"];
            assert!(
                state.is_string() && *state != params["requestState"],
                "every round has a state of its own: {result}"
            );
            let requests = result["inputRequests"].as_object().unwrap();
            course.asked.extend(requests.values().map(question));
            params["inputResponses"] = requests.iter().map(|(key, request)| (key.clone(), reply(request))).collect();
            params["requestState"] = state.clone();
        }
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Course {
        self.course("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// A result as this generation writes it.
    fn result(&self, mut result: Value) -> Value {
        if self.stateless {
            result["resultType"] = json!("complete");
        }
        result
    }
}

/// A request to a client in one line.
fn question(request: &Value) -> String {
    let params = &request["params"];
    match request["method"].as_str().unwrap() {
        "elicitation/create" => {
            assert_eq!(params["mode"], "form");
            let fields: Vec<&String> = params["requestedSchema"]["properties"].as_object().unwrap().keys().collect();
            format!("form {fields:?}: {}", params["message"].as_str().unwrap())
        }
        "sampling/createMessage" => {
            assert_eq!(params["messages"].as_array().unwrap().len(), 1);
            let text = params["messages"][0]["content"]["text"].as_str().unwrap();
            format!("model, {} tokens: {text}", params["maxTokens"])
        }
        "roots/list" => "roots".to_owned(),
        other => panic!("{other} cannot be asked of a client"),
    }
}

/// What the person and the model at the client answer.
fn reply(request: &Value) -> Value {
    let known = json!({
        "name": "Alice", "color": "blue", "ok": true, "confirm": true, "context": "a test", "username": "alice",
        "email": "alice@example.com", "age": 25, "score": 88.5, "status": "inactive", "verified": false,
        "untitledSingle": "option1", "titledSingle": "value1", "legacyEnum": "opt1", "untitledMulti": ["option1"],
        "titledMulti": ["value1", "value2"],
    });
    match request["method"].as_str().unwrap() {
        "elicitation/create" => {
            let fields = request["params"]["requestedSchema"]["properties"].as_object().unwrap().keys();
            let content: Map<String, Value> = fields.map(|field| (field.clone(), known[field].clone())).collect();
            json!({"action": "accept", "content": content})
        }
        "sampling/createMessage" => {
            json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "Paris"}})
        }
        _ => json!({"roots": [{"uri": "file:///test/root"}]}),
    }
}

fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

/// Tools that ask for nothing: arguments and result.
fn plain() -> Vec<(&'static str, Value, Value)> {
    let image = json!({"type": "image", "data": PNG, "mimeType": "image/png"});
    let wav = "UklGRiwAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQgAAACAgICAgICAgA==";
    let none = || json!({});
    let mut error = text("This tool intentionally returns an error for testing");
    error["isError"] = json!(true);
    vec![
        ("test_simple_text", none(), text("This is a simple text response for testing.")),
        ("test_image_content", none(), json!({"content": [image]})),
        ("test_audio_content", none(), json!({"content": [{"type": "audio", "data": wav, "mimeType": "audio/wav"}]})),
        (
            "test_embedded_resource",
            none(),
            json!({"content": [{"type": "resource", "resource": {
                "uri": "test://embedded-resource", "mimeType": "text/plain",
                "text": "This is an embedded resource content."
            }}]}),
        ),
        (
            "test_multiple_content_types",
            none(),
            json!({"content": [
                {"type": "text", "text": "Multiple content types test:"},
                image,
                {"type": "resource", "resource": {
                    "uri": "test://mixed-content-resource", "mimeType": "application/json",
                    "text": "{\"test\":\"data\",\"value\":123}"
                }}
            ]}),
        ),
        ("test_error_handling", none(), error),
        ("test_tool_with_progress", none(), text("Progress was told")),
        ("test_tool_with_logging", none(), text("Log messages were told")),
        ("test_logging_tool", none(), text("A log message was told to who asked for such")),
        ("test_trigger_tool_change", none(), text("The list of tools is another")),
        ("test_trigger_prompt_change", none(), text("The list of prompts is another")),
        ("test_reconnection", none(), text("The stream was closed, and its client has come back")),
        ("test_custom_header", json!({"value": "Hello"}), text("Value: Hello")),
        ("json_schema_2020_12_tool", none(), text("The schema counts, not the answer")),
        ("greet", json!({"name": "World"}), text("Hello, World!")),
    ]
}

/// Tools that ask: arguments, what they ask for, and the text they answer then.
fn asking() -> Vec<(&'static str, Value, Vec<&'static str>, &'static str)> {
    let none = || json!({});
    let name = r#"form ["name"]: What is your name?"#;
    let capital = "model, 100 tokens: What is the capital of France?";
    vec![
        ("test_sampling", json!({"prompt": "Where?"}), vec!["model, 100 tokens: Where?"], "LLM response: Paris"),
        (
            "test_elicitation",
            json!({"message": "Who?"}),
            vec![r#"form ["username", "email"]: Who?"#],
            r#"User response: action=accept, content={"username":"alice","email":"alice@example.com"}"#,
        ),
        (
            "test_elicitation_sep1034_defaults",
            none(),
            vec![r#"form ["name", "age", "score", "status", "verified"]: Please look through these values"#],
            r#"Elicitation completed: action=accept, content={"name":"Alice","age":25,"score":88.5,"status":"inactive","verified":false}"#,
        ),
        (
            "test_elicitation_sep1330_enums",
            none(),
            vec![
                r#"form ["untitledSingle", "titledSingle", "legacyEnum", "untitledMulti", "titledMulti"]: Please choose"#,
            ],
            r#"Elicitation completed: action=accept, content={"untitledSingle":"option1","titledSingle":"value1","legacyEnum":"opt1","untitledMulti":["option1"],"titledMulti":["value1","value2"]}"#,
        ),
        ("test_missing_capability", none(), vec![capital], "Paris"),
        ("test_streaming_elicitation", none(), vec![name], "Hello, Alice!"),
        ("test_input_required_result_elicitation", none(), vec![name], "Hello, Alice!"),
        ("test_input_required_result_sampling", none(), vec![capital], "Paris"),
        ("test_input_required_result_list_roots", none(), vec!["roots"], "Roots: file:///test/root"),
        (
            "test_input_required_result_request_state",
            none(),
            vec![r#"form ["ok"]: Please confirm"#],
            r#"state-ok: action=accept, content={"ok":true}"#,
        ),
        (
            "test_input_required_result_multiple_inputs",
            none(),
            vec![name, "model, 50 tokens: Generate a greeting", "roots"],
            "Hello, Alice! Paris Roots: file:///test/root",
        ),
        (
            "test_input_required_result_multi_round",
            none(),
            vec![
                r#"form ["name"]: Step 1: What is your name?"#,
                r#"form ["color"]: Step 2: What is your favorite color?"#,
            ],
            "Alice likes blue",
        ),
        (
            "test_input_required_result_tampered_state",
            none(),
            vec![r#"form ["ok"]: Please confirm"#],
            r#"The state is as it was sent: action=accept, content={"ok":true}"#,
        ),
        (
            "test_input_required_result_capabilities",
            none(),
            vec![name, capital, "roots"],
            "The client was asked for: user_name, capital_question, client_roots",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn fixtures_answer_what_the_suite_prescribes_in_both_generations() {
    for stateless in [false, true] {
        let mut client = Client::new(stateless, everything()).await;
        for (tool, arguments, result) in plain() {
            let course = client.call(tool, arguments).await;
            assert_eq!(course.answer["result"], client.result(result), "{tool} {course:?}");
            assert!(course.asked.is_empty(), "{tool} {course:?}");
        }
        for (tool, arguments, asked, said) in asking() {
            let course = client.call(tool, arguments).await;
            assert_eq!(course.answer["result"], client.result(text(said)), "{tool} {course:?}");
            assert_eq!(course.asked, asked, "{tool}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_and_log_messages_come_to_who_asked_for_them() {
    for stateless in [false, true] {
        let mut client = Client::new(stateless, json!({})).await;
        let meta = |key: &str, value: &str| if stateless { json!({key: value}) } else { json!({}) };
        let level = |level: &str| meta("io.modelcontextprotocol/logLevel", level);
        let course = client
            .course("tools/call", json!({"name": "test_tool_with_progress", "_meta": {"progressToken": "p"}}))
            .await;
        let progress = [0, 50, 100].map(|done| {
            let params = json!({"progressToken": "p", "progress": done, "total": 100});
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
        });
        assert_eq!(course.told, progress);
        let log = |data: &str| {
            let params = json!({"level": "info", "logger": "bureau", "data": data});
            json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params})
        };
        let course =
            client.course("tools/call", json!({"name": "test_tool_with_logging", "_meta": level("debug")})).await;
        let told = ["Tool execution started", "Tool processing data", "Tool execution completed"].map(log);
        assert_eq!(course.told, told);
        if !stateless {
            let set = client.course("logging/setLevel", json!({"level": "warning"})).await;
            assert_eq!(set.answer["result"], json!({}));
        }
        let course = client.course("tools/call", json!({"name": "test_logging_tool", "_meta": level("warning")})).await;
        assert_eq!(course.told, Vec::<Value>::new());
    }
    let mut quiet = Client::new(true, json!({})).await;
    assert_eq!(quiet.call("test_logging_tool", json!({})).await.told, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_did_not_declare_is_not_asked_of_it() {
    for stateless in [false, true] {
        let mut client = Client::new(stateless, json!({"elicitation": {}})).await;
        let refused = client.call("test_missing_capability", json!({})).await.answer["error"].clone();
        let text = "This needs the client capability `sampling`, which the client did not declare";
        assert_eq!(
            refused,
            json!({"code": -32021, "message": text, "data": {"requiredCapabilities": {"sampling": {}}}})
        );
        let course = client.call("test_input_required_result_capabilities", json!({})).await;
        assert_eq!(course.asked, [r#"form ["name"]: What is your name?"#]);
        assert_eq!(course.answer["result"]["content"][0]["text"], "The client was asked for: user_name");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_answers_that_were_asked_for_count_where_something_hangs_on_them() {
    let mut client = Client::new(true, everything()).await;
    let given = json!({"confirm": {"action": "accept", "content": {"ok": true}}});
    let params = json!({"name": "test_input_required_result_request_state", "inputResponses": given});
    assert_eq!(client.course("tools/call", params).await.asked, [r#"form ["ok"]: Please confirm"#]);
    let given = json!({"user_name": {"action": "accept", "content": {"name": "Bob"}}, "other": 1});
    let params = json!({"name": "test_input_required_result_elicitation", "inputResponses": given});
    let course = client.course("tools/call", params).await;
    assert_eq!((course.asked.len(), &course.answer["result"]), (0, &client.result(text("Hello, Bob!"))));
    let params =
        json!({"name": "test_input_required_result_tampered_state", "inputResponses": {}, "requestState": "x"});
    let refused = &client.course("tools/call", params).await.answer["error"];
    let text = "`requestState` is not one that this request got from here, or it is too old. Make the request anew, without it.";
    assert_eq!(*refused, json!({"code": -32602, "message": text}));
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_and_every_other_fixture_are_listed_as_they_were_written() {
    let expected = Fixtures.tools();
    let mut client = Client::new(true, everything()).await;
    let listed = client.course("tools/list", json!({})).await.answer["result"]["tools"].clone();
    let listed = listed.as_array().unwrap();
    let (own, added) = listed.split_at(listed.len() - expected.len());
    let names =
        |tools: &[Value]| tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>();
    // As text: not one member may change its place.
    assert_eq!(Value::from(added).to_string(), Value::from(expected.clone()).to_string());
    assert!(names(own).contains("tool_search"));
    assert_eq!(names(own).intersection(&names(added)).count(), 0);
    // No fixture that nothing here calls.
    let tested = plain().into_iter().map(|(name, ..)| name).chain(asking().into_iter().map(|(name, ..)| name));
    let tested = tested.chain(tasks().into_iter().map(|(name, ..)| name));
    let tested: BTreeSet<String> = tested.map(str::to_owned).collect();
    assert_eq!(names(added), tested);
}

/// Fixtures that may become tasks: arguments, what they ask for, and the members of `tasks/get` that tell how they ended.
fn tasks() -> Vec<(&'static str, Value, Vec<&'static str>, Value)> {
    let done = |said: &str| json!({"status": "completed", "result": text(said)});
    let mut failed = done("The job failed, as it always does");
    failed["result"]["isError"] = json!(true);
    let broken = json!({"code": -32603, "message": "The job broke down, as it always does"});
    vec![
        ("slow_compute", json!({"seconds": 0, "label": "it"}), vec![], done("Computed it")),
        ("failing_job", json!({}), vec![], failed),
        ("protocol_error_job", json!({}), vec![], json!({"status": "failed", "error": broken})),
        (
            "confirm_delete",
            json!({"filename": "a.txt"}),
            vec![r#"form ["confirm"]: Delete a.txt?"#],
            done("a.txt was deleted"),
        ),
        (
            "multi_input",
            json!({}),
            vec![r#"form ["name"]: First name?"#, r#"form ["name"]: Second name?"#],
            done("Alice and Alice"),
        ),
        ("test_tool_with_task", json!({}), vec![r#"form ["name"]: What is your name?"#], done("Hello, Alice!")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn long_fixtures_become_tasks_where_the_client_takes_such_and_only_there() {
    let mut client = Client::new(true, everything()).await;
    for (tool, arguments, asked, end) in tasks() {
        let mut course = client.call(tool, arguments).await;
        let task = course.answer["result"].clone();
        assert_eq!((&task["resultType"], &task["status"]), (&json!("task"), &json!("working")), "{tool}");
        let ended = loop {
            let now = client.course("tasks/get", json!({"taskId": task["taskId"]})).await.answer["result"].clone();
            assert_eq!((&now["resultType"], &now["taskId"]), (&json!("complete"), &task["taskId"]), "{now}");
            match now["status"].as_str().unwrap() {
                "working" => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                "input_required" => {
                    let requests = now["inputRequests"].as_object().unwrap();
                    course.asked.extend(requests.values().map(question));
                    let replies: Map<_, _> = requests.iter().map(|(key, ask)| (key.clone(), reply(ask))).collect();
                    let update = json!({"taskId": task["taskId"], "inputResponses": replies});
                    let taken = client.course("tasks/update", update).await;
                    assert_eq!(taken.answer["result"], json!({"resultType": "complete"}));
                }
                _ => break now,
            }
        };
        let told: Map<String, Value> =
            end.as_object().unwrap().keys().map(|name| (name.clone(), ended[name].clone())).collect();
        assert_eq!((Value::Object(told), course.asked.iter().map(String::as_str).collect()), (end, asked), "{tool}");
    }
    for stateless in [false, true] {
        let mut client = Client::new(stateless, json!({"elicitation": {}})).await;
        for (tool, arguments, asked, end) in tasks() {
            let course = client.call(tool, arguments).await;
            if matches!(tool, "failing_job" | "protocol_error_job" | "test_tool_with_task") {
                let error = &course.answer["error"];
                let required = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
                assert_eq!(
                    (&error["code"], &error["data"]),
                    (&json!(-32021), &json!({"requiredCapabilities": required}))
                );
                continue;
            }
            assert_eq!(course.answer["result"], client.result(end["result"].clone()), "{tool}");
            assert_eq!(course.asked, asked, "{tool}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_and_resources_are_what_the_suite_prescribes() {
    let said = |text: &str| json!({"role": "user", "content": {"type": "text", "text": text}});
    for stateless in [false, true] {
        let mut client = Client::new(stateless, everything()).await;
        let resource =
            json!({"uri": "test://a", "mimeType": "text/plain", "text": "Embedded resource content for testing."});
        let prompts = [
            ("test_simple_prompt", json!({}), vec![said("This is a simple prompt for testing.")]),
            (
                "test_prompt_with_arguments",
                json!({"arg1": "hello", "arg2": "world"}),
                vec![said("Prompt with arguments: arg1='hello', arg2='world'")],
            ),
            (
                "test_prompt_with_embedded_resource",
                json!({"resourceUri": "test://a"}),
                vec![
                    json!({"role": "user", "content": {"type": "resource", "resource": resource}}),
                    said("Please process the embedded resource above."),
                ],
            ),
            (
                "test_prompt_with_image",
                json!({}),
                vec![
                    json!({"role": "user", "content": {"type": "image", "data": PNG, "mimeType": "image/png"}}),
                    said("Please analyze the image above."),
                ],
            ),
            ("test_input_required_result_prompt", json!({}), vec![said("Use this context: a test")]),
        ];
        for (name, arguments, messages) in prompts {
            let course = client.course("prompts/get", json!({"name": name, "arguments": arguments})).await;
            assert_eq!(course.answer["result"], client.result(json!({"messages": messages})), "{name}");
            let asked: &[&str] = match name {
                "test_input_required_result_prompt" => &[r#"form ["context"]: What context should the prompt use?"#],
                _ => &[],
            };
            assert_eq!(course.asked, asked, "{name}");
        }
        for (uri, kind, member, content) in [
            ("test://static-text", "text/plain", "text", "This is the content of the static text resource."),
            ("test://static-binary", "image/png", "blob", PNG),
            ("test://watched-resource", "text/plain", "text", "This is the content of the watched resource."),
            (
                "test://template/123/data",
                "application/json",
                "text",
                r#"{"id":"123","templateTest":true,"data":"Data for ID: 123"}"#,
            ),
        ] {
            let course = client.course("resources/read", json!({"uri": uri})).await;
            let contents = json!([{"uri": uri, "mimeType": kind, member: content}]);
            assert_eq!(course.answer["result"]["contents"], contents, "{course:?}");
        }
        for (method, member, expected) in [
            ("prompts/list", "prompts", Fixtures.prompts()),
            ("resources/list", "resources", Fixtures.resources()),
            ("resources/templates/list", "resourceTemplates", Fixtures.templates()),
        ] {
            let listed = client.course(method, json!({})).await.answer["result"][member].clone();
            let listed = listed.as_array().unwrap();
            assert!(listed.len() > expected.len(), "Bureau's own are there too");
            assert_eq!(listed[listed.len() - expected.len()..], expected, "{method}");
        }
    }
}
