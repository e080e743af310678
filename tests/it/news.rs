//! News: who hears of which change, in both generations, over both transports, from whichever process.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use bureau::feed::{Event, Item, Lists, News};
use bureau::http;
use bureau::mcp::extension::{Answer, Extension};
use bureau::mcp::{self, Server};
use bureau::rpc::Caller;
use bureau_kit::access::Shown;
use bureau_kit::gate::{Origin, Selection};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::dialogue::Wire;
use crate::process::{Serving, soon};
use crate::support::{TestDatabase, Tester};

const STATELESS: &str = "2026-07-28";
const ID: &str = "io.modelcontextprotocol/subscriptionId";

/// Lists one resource, and says on demand that it changed.
#[derive(Debug)]
struct Added;

impl Extension for Added {
    fn resources(&self) -> Vec<Value> {
        vec![json!({"uri": "test://watched", "name": "watched"})]
    }

    fn tools(&self) -> Vec<Value> {
        vec![json!({"name": "test_change", "description": "Announces.", "inputSchema": {"type": "object"}})]
    }

    fn call<'a>(
        &'a self,
        _: &'a str,
        _: Map<String, Value>,
        exchange: &'a mcp::exchange::Exchange,
    ) -> bureau_kit::tool::BoxFuture<'a, Answer> {
        Box::pin(async move {
            exchange.service().announce(News::ToolsChanged);
            exchange.service().announce(News::PromptsChanged);
            exchange.service().announce(News::ResourceUpdated("test://watched".into()));
            Ok(json!({"content": []}))
        })
    }
}

/// A server over HTTP in this process.
pub struct Site {
    pub tester: Tester,
    pub server: Arc<Server>,
    pub address: SocketAddr,
    pub stop: Option<oneshot::Sender<()>>,
    pub served: JoinHandle<()>,
}

impl Site {
    pub async fn new() -> Self {
        Self::with(http::Options::default()).await
    }

    pub async fn with(options: http::Options) -> Self {
        let tester = Tester::new().await;
        let extension = mcp::Options { extension: Some(Arc::new(Added)), ..mcp::Options::default() };
        let server = Server::with(tester.bureau.clone(), extension).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let served = tokio::spawn(http::serve(server.clone(), options, vec![listener.into()], stopped));
        Self { tester, server, address, stop: Some(stop), served }
    }
}

pub fn token(tester: &Tester) -> String {
    let Shown::Token(token) = tester.shown.clone() else { panic!("no token") };
    token
}

/// A stream of server-sent events.
pub struct Ear {
    response: reqwest::Response,
    text: String,
}

impl Ear {
    fn new(response: reqwest::Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// Opens `subscriptions/listen`; answers what was acknowledged.
    async fn listen(address: SocketAddr, token: &str, id: Value, notifications: Value) -> (Self, Value) {
        let message = stateless(id.clone(), "subscriptions/listen", json!({"notifications": notifications}));
        let mut ear = Self::new(post(address, token, &message).await);
        let first = ear.next().await;
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
        assert_eq!(first["params"]["_meta"], json!({ID: id}), "{first}");
        (ear, first["params"]["notifications"].clone())
    }

    /// The next message; nothing at the end of the stream.
    async fn heard(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.clone().split_once("\n\n") {
                self.text = rest.to_owned();
                let data = event.lines().find_map(|line| line.strip_prefix("data: ")).filter(|data| !data.is_empty());
                match data {
                    Some(data) => return Some(serde_json::from_str(data).unwrap()),
                    None => continue,
                }
            }
            let chunk = soon("a part of the stream", self.response.chunk()).await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn next(&mut self) -> Value {
        self.heard().await.expect("the stream ended")
    }

    /// The stream says that it is complete, and ends.
    async fn ends(&mut self, id: Value) {
        let result = json!({"resultType": "complete", "_meta": {ID: id}});
        assert_eq!(self.next().await, json!({"jsonrpc": "2.0", "id": id, "result": result}));
        assert_eq!(self.heard().await, None);
    }
}

fn stateless(id: Value, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": STATELESS,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn request(method: reqwest::Method, address: SocketAddr, token: &str) -> reqwest::RequestBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
        .request(method, format!("http://{address}/mcp"))
        .bearer_auth(token)
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
}

async fn post(address: SocketAddr, token: &str, message: &Value) -> reqwest::Response {
    let request = request(reqwest::Method::POST, address, token)
        .header("mcp-protocol-version", STATELESS)
        .header("mcp-method", message["method"].as_str().unwrap())
        .header("mcp-name", message["params"]["name"].as_str().unwrap_or_default());
    request.body(message.to_string()).send().await.unwrap()
}

fn updated(uri: &str, id: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri, "_meta": {ID: id}}})
}

async fn task(tester: &Tester, title: &str) -> String {
    tester.ok("task_create", json!({"title": title})).await["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_hears_of_its_records_until_its_token_is_revoked() {
    let site = Site::new().await;
    let owner = &site.tester;
    let (first, other) = (task(owner, "First").await, task(owner, "Other").await);
    let session = owner.ok("session_create", json!({"features": ["organize.*"]})).await;
    let secret = session["session_token"].as_str().unwrap().to_owned();
    let uri = format!("bureau://task/{first}");
    let person = owner.ok("person_create", json!({"name": "Łucja"})).await;
    let elsewhere = owner.other_tenant().await;
    let wanted = [
        uri.clone(),
        "bureau://task/999".into(),
        // Somebody else's.
        format!("bureau://task/{}", task(&elsewhere, "Canary").await),
        "bureau://permissions".into(),
        // Beyond the token's features.
        format!("bureau://person/{}", person["id"].as_str().unwrap()),
        "nonsense".into(),
    ];
    let wanted = json!({"resourceSubscriptions": wanted, "promptsListChanged": true, "unknown": true});
    let (mut ear, accepted) = Ear::listen(site.address, &secret, json!("l-1"), wanted).await;
    let granted = json!({"promptsListChanged": true, "resourceSubscriptions": [uri, "bureau://permissions"]});
    assert_eq!(accepted, granted);

    owner.ok("task_update", json!({"id": other, "title": "Not heard"})).await;
    owner.ok("person_update", json!({"id": person["id"], "name": "Not heard"})).await;
    owner.ok("task_update", json!({"id": first, "title": "Dry", "dry_run": true})).await;
    let changed = owner.ok("task_update", json!({"id": first, "title": "Heard"})).await;
    assert_eq!(ear.next().await, updated(&uri, json!("l-1")));
    owner.ok("action_undo", json!({"undo_token": changed["undo_token"]})).await;
    assert_eq!(ear.next().await, updated(&uri, json!("l-1")));
    let gone = owner.ok("task_delete", json!({"id": first})).await;
    assert_eq!(ear.next().await, updated(&uri, json!("l-1")));
    owner.ok("action_undo", json!({"undo_token": gone["undo_token"]})).await;
    assert_eq!(ear.next().await, updated(&uri, json!("l-1")));

    owner.ok("session_revoke", json!({"id": session["session"]["id"]})).await;
    ear.ends(json!("l-1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_told_of_when_they_change_for_the_listener_and_only_then() {
    let site = Site::new().await;
    let owner = &site.tester;
    let member = owner
        .ok("user_create", json!({"email": "m@example.com", "first_name": "M", "last_name": "M", "role": "user"}))
        .await;
    let key = owner.ok("api_key_create", json!({"name": "m", "user_id": member["id"]})).await;
    let secret = key["secret"].as_str().unwrap();
    let all =
        json!({"toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": ["test://watched"]});
    let (mut tools, _) = Ear::listen(site.address, secret, json!(1), json!({"toolsListChanged": true})).await;
    let (mut resources, accepted) =
        Ear::listen(site.address, secret, json!(2), json!({"resourcesListChanged": true})).await;
    assert_eq!(accepted, json!({"resourcesListChanged": true}));
    let (mut every, accepted) = Ear::listen(site.address, secret, json!(3), all.clone()).await;
    assert_eq!(accepted, all);

    // Rights change, though not those of the listener.
    owner
        .ok("user_create", json!({"email": "n@example.com", "first_name": "N", "last_name": "N", "role": "user"}))
        .await;
    // An extension says so.
    let call = stateless(json!(9), "tools/call", json!({"name": "test_change", "arguments": {}}));
    let answer = post(site.address, secret, &call).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let list_changed = |what: &str, id: u32| json!({"jsonrpc": "2.0", "method": format!("notifications/{what}/list_changed"), "params": {"_meta": {ID: id}}});
    assert_eq!(tools.next().await, list_changed("tools", 1));
    let heard: BTreeSet<String> =
        [every.next().await, every.next().await, every.next().await].iter().map(Value::to_string).collect();
    let wanted = [list_changed("tools", 3), list_changed("prompts", 3), updated("test://watched", json!(3))];
    assert_eq!(heard, wanted.iter().map(Value::to_string).collect());

    // And then those of the listener do.
    owner.ok("user_update", json!({"id": member["id"], "role": "reader"})).await;
    assert_eq!(tools.next().await, list_changed("tools", 1));
    // A client that asked for none of this was told nothing: its stream ends at the stop of the server.
    drop(site.stop);
    resources.ends(json!(2)).await;
    tools.ends(json!(1)).await;
    soon("the end of the server", site.served).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_listened_to_is_refused() {
    let site = Site::new().await;
    let secret = token(&site.tester);
    let ask = async |params: Value, accept: &str| {
        let message = stateless(json!(1), "subscriptions/listen", params);
        let answer = request(reqwest::Method::POST, site.address, &secret)
            .header("mcp-protocol-version", STATELESS)
            .header("mcp-method", "subscriptions/listen")
            .header("accept", accept)
            .body(message.to_string());
        let answer = answer.send().await.unwrap();
        let status = answer.status().as_u16();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        (status, answer["error"]["code"].clone(), answer["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    let (status, code, text) = ask(json!({}), "text/event-stream").await;
    assert_eq!((status, code), (400, json!(-32602)), "{text}");
    assert!(text.starts_with("`params` of subscriptions/listen: missing field `notifications`"), "{text}");
    let many: Vec<String> = (0..1_001).map(|number| format!("bureau://task/{number}")).collect();
    let refused = ask(json!({"notifications": {"resourceSubscriptions": many}}), "text/event-stream").await;
    let text = "at most 1000 resources can be subscribed to; unsubscribe from some first".to_owned();
    assert_eq!(refused, (400, json!(-32602), text));
    // The method is none of the handshake generation's.
    let old = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {"notifications": {}}});
    let answer = request(reqwest::Method::POST, site.address, &secret).body(old.to_string()).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    assert_eq!(site.server.service.feed.listeners(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_hears_on_its_standing_stream_of_what_it_subscribed_to() {
    let site = Site::new().await;
    let owner = &site.tester;
    let (secret, id) = (token(owner), task(owner, "Watched").await);
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"},
    }});
    let answer = request(reqwest::Method::POST, site.address, &secret).body(hello.to_string()).send().await.unwrap();
    let session = answer.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let capabilities = &answer["result"]["capabilities"];
    assert_eq!(capabilities["tools"], json!({"listChanged": true}));
    assert_eq!(capabilities["resources"], json!({"subscribe": true, "listChanged": true}));
    assert_eq!(capabilities["prompts"], json!({"listChanged": true}));
    let in_session = |method| {
        request(method, site.address, &secret)
            .header("mcp-session-id", &session)
            .header("mcp-protocol-version", "2025-11-25")
    };
    let ask = async |id: u32, method: &str, params: Value| -> Value {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let answer = in_session(reqwest::Method::POST).body(message.to_string()).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    };
    let mut ear = Ear::new(in_session(reqwest::Method::GET).send().await.unwrap());
    let uri = format!("bureau://task/{id}");
    assert_eq!(ask(1, "resources/subscribe", json!({"uri": uri})).await["result"], json!({}));
    let refused = ask(2, "resources/subscribe", json!({"uri": "bureau://task/999"})).await;
    assert_eq!(refused["error"]["code"], 404, "{refused}");
    assert_eq!(ask(2, "resources/subscribe", json!({"uri": "test://watched"})).await["result"], json!({}));

    owner.ok("task_update", json!({"id": id, "title": "Heard"})).await;
    let heard = json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}});
    assert_eq!(ear.next().await, heard);
    assert_eq!(ask(3, "resources/unsubscribe", json!({"uri": uri})).await["result"], json!({}));
    owner.ok("task_update", json!({"id": id, "title": "Not heard"})).await;
    site.server.service.announce(News::ResourceUpdated("test://watched".into()));
    let heard =
        json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "test://watched"}});
    assert_eq!(ear.next().await, heard);
    site.server.service.announce(News::ToolsChanged);
    assert_eq!(ear.next().await, json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
    // The standing stream ends with the server.
    drop(site.stop);
    assert_eq!(ear.heard().await, None);
    soon("the end of the server", site.served).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn over_stdio_both_generations_listen_and_stop_listening() {
    let tester = Tester::new().await;
    let server = Server::new(tester.bureau.clone()).unwrap();
    let service = server.service.clone();
    let mut wire = Wire::to(server, TestDatabase::new().await);
    let id = task(&tester, "Watched").await;
    let uri = format!("bureau://task/{id}");
    let wanted = json!({"notifications": {"resourceSubscriptions": [uri]}});
    wire.say(stateless(json!("l"), "subscriptions/listen", wanted)).await;
    assert_eq!(wire.hear().await["method"], "notifications/subscriptions/acknowledged");
    tester.ok("task_update", json!({"id": id, "title": "Heard"})).await;
    assert_eq!(wire.hear().await, updated(&uri, json!("l")));
    wire.say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "l"}})).await;
    soon("the end of listening", async {
        while service.feed.listeners() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The other generation, on the same connection.
    wire.shakes_hands(json!({})).await;
    assert_eq!(wire.asked("resources/subscribe", json!({"uri": uri})).await["result"], json!({}));
    tester.ok("task_update", json!({"id": id, "title": "Heard again"})).await;
    let heard = json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}});
    assert_eq!(wire.hear().await, heard);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_wrote_is_heard_too() {
    let database = TestDatabase::new().await;
    let one = Serving::on_new(&database).await;
    let other = Serving::again(&database, &one.token).await;
    let id = one.ok("task_create", json!({"title": "Shared"})).await["id"].as_str().unwrap().to_owned();
    let uri = format!("bureau://task/{id}");
    let wanted = json!({"resourceSubscriptions": [uri], "toolsListChanged": true});
    let (mut ear, _) = Ear::listen(one.address, &one.token, json!(1), wanted).await;
    for title in ["By the other", "And again"] {
        other.ok("task_update", json!({"id": id, "title": title})).await;
        assert_eq!(ear.next().await, updated(&uri, json!(1)));
    }
    // Asked to stop, the server ends its streams before it goes.
    one.terminate();
    ear.ends(json!(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_lags_is_told_that_it_missed_some() {
    let tester = Tester::new().await;
    let server = Server::new(tester.bureau.clone()).unwrap();
    let service = &server.service;
    let caller = Arc::new(Caller::new(Some(tester.shown.clone()), Selection::default(), Origin::default()));
    let mut listener = service.feed.subscribe(service, &caller, Lists::default(), true).await.unwrap();
    for number in 0..5_000 {
        service.announce(News::ResourceUpdated(number.to_string()));
    }
    assert!(matches!(soon("the gap", listener.next()).await, Some(Item::Missed)));
    // The rest is what is kept, and of bounded length.
    let mut kept = Vec::new();
    while kept.last().is_none_or(|last| last != "4999") {
        match soon("what is kept", listener.next()).await {
            Some(Item::Event(event)) => match &*event {
                Event::Updated(uri) => kept.push(uri.clone()),
                Event::Changed(..) => panic!("nothing was written"),
            },
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(kept, (5_000 - 1_024..5_000).map(|number| number.to_string()).collect::<Vec<_>>());
    // The journal is followed as long as somebody listens.
    assert_eq!(service.feed.listeners(), 1);
    drop(listener);
    assert_eq!(service.feed.listeners(), 0);
}
