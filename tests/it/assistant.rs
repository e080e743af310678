//! The assistant: tools for a model elsewhere, and conversations through a provider that is a real HTTP server.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use bureau_identity::assistant::{OpenAi, OpenAiOptions, SharedProvider};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{Tester, difference};

/// What the provider does with a request.
enum Reply {
    Says(u16, String),
    RetryAfter(&'static str),
    /// Answers once it is let go.
    Waits(Arc<Notify>, String),
    Never,
    Endless,
    Redirects,
}

#[derive(Default)]
struct Script {
    replies: Mutex<VecDeque<Reply>>,
    requests: Mutex<Vec<(String, HeaderMap, Value)>>,
    asked: Notify,
}

/// A provider on loopback.
#[derive(Clone)]
struct Provider {
    script: Arc<Script>,
    url: String,
}

async fn answer(State(script): State<Arc<Script>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let asked = serde_json::from_slice(&body).unwrap_or_default();
    script.requests.lock().unwrap().push((uri.path().to_owned(), headers, asked));
    script.asked.notify_one();
    let reply = script.replies.lock().unwrap().pop_front().expect("the script has another reply");
    let response = Response::builder().header("content-type", "application/json");
    match reply {
        Reply::Says(status, text) => response.status(status).body(text.into()),
        Reply::RetryAfter(seconds) => response.status(429).header("retry-after", seconds).body("{}".into()),
        Reply::Waits(go, text) => {
            go.notified().await;
            response.body(text.into())
        }
        Reply::Never => std::future::pending().await,
        Reply::Endless => {
            let piece = Bytes::from(vec![b' '; 64 * 1024]);
            let pieces = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()));
            response.body(Body::from_stream(pieces))
        }
        Reply::Redirects => response.status(302).header("location", "http://127.0.0.1:1/stolen").body(Body::empty()),
    }
    .unwrap()
}

impl Provider {
    async fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let script = Arc::new(Script { replies: Mutex::new(replies.into_iter().collect()), ..Script::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(script.clone());
        tokio::spawn(serve(listener, router));
        Self { script, url }
    }

    /// An owner whose server was given this provider.
    async fn owner(&self) -> Tester {
        let owner = Tester::new().await;
        self.serves(&owner);
        owner
    }

    fn serves(&self, tester: &Tester) {
        let options = OpenAiOptions {
            url: Some(self.url.clone()),
            model: "small-1".into(),
            key: Some("sk-very-secret".into()),
            limit: Duration::from_secs(2),
        };
        tester.bureau.provide::<SharedProvider>(Arc::new(OpenAi::new(options).unwrap()));
    }

    fn requests(&self) -> Vec<Value> {
        self.script.requests.lock().unwrap().iter().map(|(_, _, body)| body.clone()).collect()
    }
}

/// One connection after the other over hyper: axum's own server is not among the features that Bureau uses.
async fn serve(listener: tokio::net::TcpListener, router: Router) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        let io = hyper_util::rt::TokioIo::new(stream);
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
    }
}

fn says(content: &str) -> Reply {
    Reply::Says(200, said(content))
}

fn said(content: &str) -> String {
    let message = json!({"role": "assistant", "content": content});
    json!({"choices": [{"message": message}], "usage": {"prompt_tokens": 10, "completion_tokens": 3}}).to_string()
}

fn calls(calls: &[(&str, Value)]) -> Reply {
    let call = |(index, (name, arguments)): (usize, &(&str, Value))| json!({"id": format!("c{index}"), "type": "function", "function": {"name": name, "arguments": arguments.to_string()}});
    let calls: Vec<Value> = calls.iter().enumerate().map(call).collect();
    let message = json!({"role": "assistant", "content": null, "tool_calls": calls});
    Reply::Says(
        200,
        json!({"choices": [{"message": message}], "usage": {"prompt_tokens": 20, "completion_tokens": 5}}).to_string(),
    )
}

fn chat(question: &str) -> Value {
    json!({"messages": [{"role": "user", "content": question}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_provider_nothing_is_pretended() {
    let owner = Tester::new().await;
    for (tool, arguments) in [("ai_chat_send", chat("Hej")), ("ai_query_route", json!({"query": "hej"}))] {
        let error = owner.err(tool, arguments).await;
        assert_eq!(error["code"], "provider_unavailable", "{tool}");
        assert!(error["message"].as_str().unwrap().contains("--ai-model"), "{error}");
    }
    let health = owner.ok("ai_health_show", json!({"check": true})).await;
    assert_eq!(health["status"], "unconfigured");
    assert_eq!(health["timestamp"], "2026-11-21T10:00:00Z");
    let settings = owner.ok("ai_settings_show", json!({})).await;
    assert_eq!(settings["provider"], json!({"id": null, "name": null, "model": null, "configured": false}));
    // The key that the company was founded with.
    assert_eq!(settings["mcpKeyConfigured"], json!(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_looks_things_up_as_the_caller_and_answers() {
    let provider = Provider::new([
        calls(&[("task_list", json!({})), ("contract_list", json!({}))]),
        says("Masz jedno zadanie: Pomiar."),
    ])
    .await;
    let owner = provider.owner().await;
    owner.ok("task_create", json!({"title": "Pomiar"})).await;
    let user = owner.as_role("guest").await;
    assert_eq!(user.err("ai_chat_send", chat("Co mam zrobić?")).await["code"], "forbidden");
    let minted = owner
        .ok("session_create", json!({"features": ["ai_assistant.view", "organize.*", "audit_logs.view_self"]}))
        .await;
    let caller = owner.with_token(minted["session_token"].as_str().unwrap());

    let answer = caller.ok("ai_chat_send", chat("Jakie mam zadania?")).await;
    let refused = answer["steps"][1]["error"].as_str().unwrap();
    assert!(
        refused.starts_with("contract_list needs the right contracts.view, and your token was narrowed"),
        "{refused}"
    );
    assert_eq!(
        answer,
        json!({
            "message": {"role": "assistant", "content": "Masz jedno zadanie: Pomiar."}, "finished": true,
            "steps": [
                {"tool": "task_list", "arguments": {}, "ok": true, "undo_token": null, "error": null},
                {"tool": "contract_list", "arguments": {}, "ok": false, "undo_token": null, "error": refused}
            ],
            "session_id": null, "model": "small-1", "prompt_tokens": 30, "completion_tokens": 8
        })
    );
    let requests = provider.requests();
    let offered: Vec<&str> = requests[0]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["function"]["name"].as_str().unwrap())
        .collect();
    assert!(offered.contains(&"tool_search") && offered.contains(&"task_list"), "{offered:?}");
    assert!(!offered.iter().any(|name| name.starts_with("contract_") || *name == "task_create"), "{offered:?}");
    let told = &requests[1]["messages"];
    assert_eq!(told[2]["tool_calls"][0]["function"]["name"], "task_list");
    assert_eq!((&told[3]["role"], &told[3]["tool_call_id"]), (&json!("tool"), &json!("c0")));
    assert!(told[3]["content"].as_str().unwrap().contains("Pomiar"));
    let (path, headers, _) = provider.script.requests.lock().unwrap()[0].clone();
    assert_eq!(
        (path.as_str(), headers["authorization"].to_str().unwrap()),
        ("/v1/chat/completions", "Bearer sk-very-secret")
    );
    // The conversation is an action of its own, which changed nothing.
    let log = owner.ok("action_log_list", json!({"tool": "ai_chat_send"})).await;
    assert_eq!((&log["total"], &log["items"][0]["change_count"]), (&json!(1), &json!(0)));
    assert!(!owner.ok("ai_settings_show", json!({})).await.to_string().contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_writes_only_when_it_may_and_never_removes_or_hands_out_secrets() {
    let wishes = || {
        calls(&[
            ("task_create", json!({"title": "Zadzwonić"})),
            ("task_delete", json!({"id": 1})),
            ("session_create", json!({})),
            ("task_list", json!({"_sessionToken": "bur_other"})),
            ("batch_call", json!({"calls": []})),
            ("no_such_tool", json!({})),
        ])
    };
    let provider = Provider::new([wishes(), says("Nie mogę."), wishes(), says("Gotowe.")]).await;
    let owner = provider.owner().await;
    owner.ok("task_create", json!({"title": "Pomiar"})).await;
    let before = owner.dump().await;
    let answer = owner.ok("ai_chat_send", chat("Dodaj zadanie")).await;
    let errors: Vec<&str> =
        answer["steps"].as_array().unwrap().iter().map(|step| step["error"].as_str().unwrap()).collect();
    assert_eq!(
        errors,
        [
            "The assistant may not use task_create: it writes, and this call allows reading only. The user can.",
            "The assistant may not use task_delete: it removes or replaces records. The user can.",
            "The assistant may not use session_create: its answer is a secret. The user can.",
            "/_sessionToken: whoever called decides as whom this runs",
            "The assistant may not use batch_call: it carries out other tools. The user can.",
            "There is no tool `no_such_tool`. tool_search finds tools by what they do.",
        ]
    );
    assert_eq!(difference(&before, &owner.dump().await), "");

    let mut request = chat("Dodaj zadanie");
    request["allow_writes"] = json!(true);
    let answer = owner.ok("ai_chat_send", request).await;
    let done: Vec<bool> =
        answer["steps"].as_array().unwrap().iter().map(|step| step["ok"].as_bool().unwrap()).collect();
    assert_eq!(done, [true, false, false, false, false, false]);
    let log = owner.ok("action_log_list", json!({"tool": "task_create", "client": "ai_chat_send for test"})).await;
    assert_eq!(log["items"][0]["undo_token"], answer["steps"][0]["undo_token"]);
    owner.ok("action_undo", json!({"undo_token": answer["steps"][0]["undo_token"]})).await;
    assert_eq!(difference(&before, &owner.dump().await), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_while_the_model_thinks() {
    let go = Arc::new(Notify::new());
    let provider = Provider::new([Reply::Waits(go.clone(), said("Już."))]).await;
    let owner = provider.owner().await;
    let mut request = chat("Pomyśl");
    request["idempotency_key"] = json!("one");
    let thinking = tokio::spawn(owner.call_raw("ai_chat_send", request.clone()));
    provider.script.asked.notified().await;
    // SQLite has one writer, and it is free.
    owner.ok("task_create", json!({"title": "W międzyczasie"})).await;
    let error = owner.err("ai_chat_send", request.clone()).await;
    assert_eq!(error["code"], "conflict");
    assert!(error["message"].as_str().unwrap().starts_with("A call with this idempotency_key has begun"), "{error}");
    go.notify_one();
    let (answer, is_error) = thinking.await.unwrap();
    assert!(!is_error, "{answer}");
    let again = owner.ok("ai_chat_send", request).await;
    assert_eq!((&again["replayed"], &again["message"]), (&json!(true), &answer["message"]));
    assert_eq!(provider.requests().len(), 1, "the model was asked once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_is_told_apart_and_leaves_the_key_free() {
    let refused = |status, text: &str| Reply::Says(status, text.to_owned());
    let cases = [
        (Reply::Never, "provider_unavailable", "did not answer in 2 seconds"),
        (Reply::RetryAfter("7"), "rate_limited", "takes no more requests for now"),
        (refused(500, "oops"), "provider_unavailable", "failed (500)"),
        (refused(401, r#"{"error": {"message": "bad key sk-very-secret"}}"#), "provider_unavailable", "BUREAU_AI_KEY"),
        (refused(404, "{}"), "provider_unavailable", "does not know the model small-1"),
        (
            refused(400, r#"{"error": {"message": "too long for sk-very-secret"}}"#),
            "provider_unavailable",
            "refused the conversation (400): too long for …",
        ),
        (Reply::Redirects, "provider_unavailable", "failed (302)"),
        (refused(200, "{\"choices\": ["), "provider_unavailable", "is no chat completion"),
        (refused(200, "{\"choices\": []}"), "provider_unavailable", "is no chat completion"),
        (
            refused(200, r#"{"choices": [{"message": {"content": ""}}]}"#),
            "provider_unavailable",
            "is no chat completion",
        ),
        (Reply::Endless, "provider_unavailable", "answered more than 2097152 bytes"),
    ];
    let provider = Provider::new([]).await;
    let owner = provider.owner().await;
    let mut request = chat("Hej");
    request["idempotency_key"] = json!("the same each time");
    for (reply, code, text) in cases {
        provider.script.replies.lock().unwrap().push_back(reply);
        let error = owner.err("ai_chat_send", request.clone()).await;
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().unwrap().contains(text), "{error} does not say: {text}");
        assert!(!error.to_string().contains("sk-very-secret"), "{error}");
        if code == "rate_limited" {
            assert_eq!(error["details"]["retry_after"], 7);
        }
    }
    provider.script.replies.lock().unwrap().push_back(says("Hej!"));
    let answer = owner.ok("ai_chat_send", request).await;
    assert_eq!((&answer["message"]["content"], answer.get("replayed")), (&json!("Hej!"), None));

    provider.script.replies.lock().unwrap().extend([refused(200, "{\"data\": []}"), refused(503, "")]);
    assert_eq!(owner.ok("ai_health_show", json!({"check": true})).await["status"], "ok");
    assert_eq!(owner.ok("ai_health_show", json!({"check": true})).await["status"], "unreachable");
    assert_eq!(owner.ok("ai_health_show", json!({})).await["status"], "configured");
    // Nobody there at all.
    let options = OpenAiOptions {
        url: Some("http://127.0.0.1:1/v1".into()),
        model: "m".into(),
        key: None,
        limit: Duration::from_secs(2),
    };
    owner.bureau.provide::<SharedProvider>(Arc::new(OpenAi::new(options).unwrap()));
    let error = owner.err("ai_chat_send", chat("Hej")).await;
    assert_eq!(
        error["message"],
        "The model provider 127.0.0.1 cannot be reached. Try again later; if it stays, tell the person who runs the server."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_has_its_bounds() {
    let more = || calls(&[("task_list", json!({}))]);
    let provider = Provider::new([more(), more(), more(), more(), says("Dość.")]).await;
    let owner = provider.owner().await;
    let mut request = chat("Bez końca");
    request["max_steps"] = json!(2);
    let answer = owner.ok("ai_chat_send", request.clone()).await;
    assert_eq!((&answer["finished"], &answer["message"]), (&json!(false), &json!(null)));
    assert_eq!(answer["steps"].as_array().unwrap().len(), 1, "what is asked for after the last step is not done");
    assert!(provider.requests()[1].get("tools").is_none());
    request["max_steps"] = json!(3);
    assert_eq!(owner.ok("ai_chat_send", request.clone()).await["message"]["content"], "Dość.");

    request["dry_run"] = json!(true);
    let tried = owner.ok("ai_chat_send", request).await;
    assert_eq!(
        tried["outside_effects"],
        json!([{"kind": "chat_completion", "undoable": false,
                "payload": {"provider": "127.0.0.1", "model": "small-1", "messages": 1}}])
    );
    assert_eq!(provider.requests().len(), 5, "a dry run asks nobody");
    for (wrong, text) in [
        (json!({"messages": []}), "/messages: expected 1 to 100 messages"),
        (
            json!({"messages": [{"role": "assistant", "content": "x"}]}),
            "/messages: the last message is the user's, and says something",
        ),
        (
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            "/messages/0/role: expected user, assistant or system",
        ),
        (
            json!({"messages": [{"role": "user", "content": "x".repeat(200_001)}]}),
            "/messages: the conversation has 200001 characters; 200000 are the most. Leave its beginning out.",
        ),
    ] {
        let message = owner.err("ai_chat_send", wrong).await["message"].clone();
        assert!(
            message.as_str().unwrap().contains(text) || message.as_str().unwrap().contains("/messages/0/role"),
            "{message}"
        );
    }
    let error = owner.err("batch_call", json!({"calls": [{"tool": "ai_chat_send", "arguments": chat("x")}]})).await;
    assert!(error.to_string().contains("it waits for a service outside"), "{error}");
    let minted = owner.ok("session_create", json!({"write_budget": 1})).await;
    let limited = owner.with_token(minted["session_token"].as_str().unwrap());
    provider.script.replies.lock().unwrap().push_back(says("Raz."));
    limited.ok("ai_chat_send", chat("Raz")).await;
    assert_eq!(limited.err("ai_chat_send", chat("Dwa")).await["code"], "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_while_the_model_thinks_is_gone() {
    let go = Arc::new(Notify::new());
    let Reply::Says(_, wish) = calls(&[("task_list", json!({}))]) else { panic!() };
    let provider = Provider::new([Reply::Waits(go.clone(), wish), says("Nic nie widzę.")]).await;
    let owner = provider.owner().await;
    let minted = owner.ok("session_create", json!({})).await;
    // As an argument of the call, as Open Mercato's clients send it.
    let mut request = chat("Zadania?");
    request["_sessionToken"] = minted["session_token"].clone();
    let thinking = tokio::spawn(owner.call_raw("ai_chat_send", request));
    provider.script.asked.notified().await;
    owner.ok("session_revoke", json!({"id": minted["session"]["id"]})).await;
    go.notify_one();
    let (answer, _) = thinking.await.unwrap();
    assert_eq!(answer["steps"][0]["ok"], false, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_routed_to_a_tool_that_was_offered() {
    let provider = Provider::new([
        says("```json\n{\"intent\": \"tool\", \"toolName\": \"task_list\", \"confidence\": 1.7, \"reasoning\": \"tasks\"}\n```"),
        says("{\"intent\": \"general_chat\", \"tool_name\": \"task_list\", \"confidence\": 0.4, \"reasoning\": \"talk\"}"),
        says("{\"intent\": \"tool\", \"tool_name\": \"user_delete\", \"confidence\": 1, \"reasoning\": \"\"}"),
        says("{\"intent\": \"tool\", \"confidence\": 1}"),
        says("I would use task_list."),
    ])
    .await;
    let owner = provider.owner().await;
    let query = json!({"query": "pokaż zadania", "available_tools": [{"name": "task_list"}, {"name": "weather", "description": "Weather"}]});
    assert_eq!(
        owner.ok("ai_query_route", query.clone()).await,
        json!({"intent": "tool", "toolName": "task_list", "confidence": 1.0, "reasoning": "tasks"})
    );
    let asked: Value =
        serde_json::from_str(provider.requests()[0]["messages"][1]["content"].as_str().unwrap()).unwrap();
    assert_eq!(asked["tools"][1], json!({"name": "weather", "description": "Weather"}));
    assert!(asked["tools"][0]["description"].as_str().unwrap().contains("task"), "{asked}");
    assert_eq!(
        owner.ok("ai_query_route", json!({"query": "cześć"})).await,
        json!({"intent": "general_chat", "toolName": null, "confidence": 0.4, "reasoning": "talk"})
    );
    for why in
        ["it names a tool that it was not offered", "it names no tool", "it is not the JSON object it was asked for"]
    {
        let error = owner.err("ai_query_route", query.clone()).await;
        assert_eq!(error["code"], "provider_unavailable");
        assert_eq!(
            error["message"],
            format!("The model's choice cannot be used: {why}. Try again, or use tool_search.")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assistant_elsewhere_lists_and_carries_out_tools() {
    let owner = Tester::new().await;
    let task = owner.ok("task_create", json!({"title": "Pomiar"})).await;
    let found = owner.ok("ai_tool_list", json!({"query": "show a task", "with_schemas": true, "page_size": 3})).await;
    assert_eq!(found["tools"].as_array().unwrap().len(), 3);
    assert!(found["tools"][0]["inputSchema"]["properties"].is_object(), "{found}");
    let all = owner.ok("ai_tool_list", json!({})).await;
    assert!(all["total"].as_u64().unwrap() > 100 && all["tools"][0].get("inputSchema").is_none());
    let guest = owner.as_role("user").await;
    assert!(guest.ok("ai_tool_list", json!({})).await["total"].as_u64() < all["total"].as_u64());

    let shown = owner.ok("ai_tool_execute", json!({"toolName": "task_show", "args": {"id": task["id"]}})).await;
    assert_eq!(shown, json!({"success": true, "result": owner.ok("task_show", json!({"id": task["id"]})).await}));
    let tried = owner
        .ok("ai_tool_execute", json!({"tool_name": "task_create", "arguments": {"title": "Próba"}, "dry_run": true}))
        .await;
    assert_eq!((&tried["dry_run"], &tried["result"]["title"]), (&json!(true), &json!("Próba")));
    let made = owner.ok("ai_tool_execute", json!({"toolName": "task_create", "args": {"title": "Nowe"}})).await;
    owner.ok("action_undo", json!({"undo_token": made["undo_token"]})).await;
    let stale = json!({"toolName": "task_update", "args": {"id": task["id"], "title": "X"}, "expected_version": 9});
    assert_eq!(owner.err("ai_tool_execute", stale).await["code"], "conflict");
    assert_eq!(
        owner.err("ai_tool_execute", json!({"toolName": "task_delete", "args": {"id": task["id"]}})).await["message"],
        "/toolName: task_delete cannot be carried out by ai_tool_execute; use tool_call_destructive"
    );
    assert_eq!(
        owner.err("ai_tool_execute", json!({"args": {}})).await["message"],
        "/toolName: is required: the tool to carry out, as tool_search names it"
    );
    // The right to the tool does not stand for the right to the assistant, nor the other way round.
    let narrow = |features: Value| {
        let owner = owner.clone();
        async move {
            let minted = owner.ok("session_create", json!({"features": features})).await;
            owner.with_token(minted["session_token"].as_str().unwrap())
        }
    };
    let call = json!({"toolName": "task_show", "args": {"id": task["id"]}});
    let error = narrow(json!(["organize.*"])).await.err("ai_tool_execute", call.clone()).await;
    assert_eq!(error["details"]["missing"], "ai_assistant.view");
    let error = narrow(json!(["ai_assistant.view"])).await.err("ai_tool_execute", call).await;
    assert_eq!(error["details"]["missing"], "organize.tasks.view");
}
