//! WebSocket at `/rpc`: who may open one, what it answers, the change feed, and its limits.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bureau::http::{Limits, Options, Timeouts};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::news::{Site, token};
use crate::process::{Connection, Serving, soon};
use crate::support::TestDatabase;

/// A client.
struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opens one with these headers, or answers the status and body of the refusal.
    async fn open(address: SocketAddr, headers: &[(&'static str, &str)]) -> Result<Self, (u16, String)> {
        let mut request = format!("ws://{address}/rpc").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        match soon("the upgrade", tokio_tungstenite::client_async(request, stream)).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8(body).unwrap()))
            }
            Err(cause) => panic!("{cause}"),
        }
    }

    async fn of(address: SocketAddr, token: &str) -> Self {
        Self::open(address, &[("authorization", &format!("Bearer {token}"))]).await.unwrap()
    }

    async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message; pings are answered on the way.
    async fn hear(&mut self) -> Value {
        loop {
            match soon("a message", self.0.next()).await.expect("the connection ended").unwrap() {
                Message::Text(text) => return serde_json::from_str(text.as_str()).unwrap(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn ask(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        let answer = self.hear().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// Code and reason with which the server closes, after whatever came before.
    async fn closed(&mut self) -> (CloseCode, String) {
        loop {
            match soon("the end", self.0.next()).await {
                Some(Ok(Message::Close(Some(frame)))) => return (frame.code, frame.reason.to_string()),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_known_callers_from_here_may_open_one() {
    let site = Site::new().await;
    let bearer = format!("Bearer {}", token(&site.tester));
    for (headers, status) in [
        (vec![], 401),
        (vec![("authorization", "Bearer bus_0000000000000000000000000000000000000000")], 401),
        (vec![("authorization", bearer.as_str()), ("origin", "https://evil.example.com")], 403),
        (vec![("authorization", bearer.as_str()), ("host", "evil.example.com")], 403),
    ] {
        let (found, body) = Socket::open(site.address, &headers).await.map(|_| ()).unwrap_err();
        assert_eq!(found, status, "{headers:?}: {body}");
    }
    let own = [("authorization", bearer.as_str()), ("origin", "http://localhost:3000")];
    let mut socket = Socket::open(site.address, &own).await.unwrap();
    let me = socket.ask(1, "me", json!({})).await;
    assert!(me["result"]["id"].is_string() || me["result"].is_object(), "{me}");
    // Who does not want one is told what to send.
    let mut plain = Connection::to(site.address).await.unwrap();
    plain.send(format!("GET /rpc HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer}\r\n\r\n")).await.unwrap();
    assert_eq!(plain.answer().await.unwrap().status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_batches_are_answered_as_over_post() {
    let site = Site::new().await;
    let mut socket = Socket::of(site.address, &token(&site.tester)).await;
    let made = socket.ask(1, "task_create", json!({"title": "Over a socket"})).await;
    assert_eq!(made["result"]["title"], "Over a socket", "{made}");
    let missing = socket.ask(2, "task_show", json!({"id": "999"})).await;
    assert_eq!(missing["error"]["code"], 404, "{missing}");
    assert_eq!(socket.ask(3, "no_such", json!({})).await["error"]["code"], -32601);
    let batch = json!([
        {"jsonrpc": "2.0", "id": "a", "method": "task_list"}, {"jsonrpc": "2.0", "method": "ping"}, 7,
        {"jsonrpc": "2.0", "id": 1.5, "method": "me"},
    ]);
    socket.say(&batch).await;
    let answers = socket.hear().await;
    let ids: Vec<&Value> = answers.as_array().unwrap().iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [&json!("a"), &Value::Null, &json!(1.5)]);
    for (text, code, message) in [
        ("[]", -32600, "a batch holds 1 to 50 messages"),
        ("{", -32700, ""),
        ("7", -32600, "This is no JSON-RPC message: a message is an object"),
    ] {
        socket.0.send(Message::text(text)).await.unwrap();
        let answer = socket.hear().await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(message), "{answer}");
    }
    // Many at once on one connection, each answered once; notifications are not.
    for id in 0..500 {
        socket.say(&json!({"jsonrpc": "2.0", "method": "me"})).await;
        socket.say(&json!({"jsonrpc": "2.0", "id": id, "method": "ping"})).await;
    }
    let mut heard = BTreeMap::new();
    for _ in 0..500 {
        let answer = socket.hear().await;
        assert_eq!(answer["result"], json!({}), "{answer}");
        assert!(heard.insert(answer["id"].as_u64().unwrap(), ()).is_none());
    }
    assert_eq!(heard.keys().copied().collect::<Vec<_>>(), (0..500).collect::<Vec<_>>());
    // Subscriptions need a connection that lasts.
    let mut plain = Connection::to(site.address).await.unwrap();
    let ask = r#"{"jsonrpc":"2.0","id":1,"method":"changes_subscribe"}"#;
    let refused = plain.post("/rpc", &token(&site.tester), ask).await.unwrap().json();
    assert_eq!(
        refused["error"],
        json!({"code": -32600, "message": "changes are told on a connection that lasts: open a WebSocket at /rpc"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_ends_the_connection_with_a_reason() {
    let site = Site::new().await;
    let token = token(&site.tester);
    let close = async |message: Message| {
        let mut socket = Socket::of(site.address, &token).await;
        // The server may hang up before it has taken all of a message that is too long: what it says counts.
        let _ = socket.0.send(message).await;
        socket.closed().await
    };
    assert_eq!(close(Message::binary(b"{}".to_vec())).await, (CloseCode::Unsupported, "Messages are text.".to_owned()));
    let long = " ".repeat(bureau::limits::MESSAGE_BYTES + 1);
    let refused = close(Message::text(long)).await;
    assert_eq!(refused, (CloseCode::Size, "A message may have 1 MiB at most.".to_owned()));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut socket = Socket::of(site.address, &token).await;
    socket.0.send(Message::text(deep)).await.unwrap();
    let refused = socket.hear().await;
    assert_eq!(refused["error"]["code"], -32600, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_to_those_who_may_read_them_and_to_nobody_else() {
    let site = Site::new().await;
    let owner = &site.tester;
    let stranger = owner.other_tenant().await;
    let session = owner.ok("session_create", json!({"features": ["organize.*"]})).await;
    let mut all = Socket::of(site.address, &token(owner)).await;
    let mut narrow = Socket::of(site.address, session["session_token"].as_str().unwrap()).await;
    let mut other = Socket::of(site.address, &token(&stranger)).await;
    let unknown = all.ask(1, "changes_subscribe", json!({"kinds": ["task", "taks"]})).await;
    let message = unknown["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("there is no kind `taks` whose changes are told; there are: activity, api_key, ")
            && message.contains(", task, task_comment, "),
        "{message}"
    );
    let subscribed = all.ask(2, "changes_subscribe", json!({"kinds": ["task", "person"]})).await;
    assert_eq!(subscribed["result"], json!({"subscription": "1", "kinds": ["task", "person"]}));
    for socket in [&mut narrow, &mut other] {
        let subscribed = socket.ask(2, "changes_subscribe", json!({})).await;
        assert_eq!(subscribed["result"]["subscription"], "1", "{subscribed}");
    }

    let company = owner.ok("company_create", json!({"name": "Not wanted"})).await;
    let person = owner.ok("person_create", json!({"name": "Łucja"})).await;
    let task = owner.ok("task_create", json!({"title": "Canary"})).await;
    owner.ok("task_delete", json!({"id": task["id"]})).await;
    let own = stranger.ok("task_create", json!({"title": "Their own"})).await;
    let event = |kind: &str, record: &Value, operation: &str, tool: &str, actor: Value, heard: &Value| {
        let action = heard["params"]["action_id"].clone();
        assert!(action.is_string(), "{heard}");
        json!({"jsonrpc": "2.0", "method": "changes_event", "params": {
            "subscription": "1", "kind": kind, "id": record["id"], "num": record["num"], "operation": operation,
            "version": record["version"], "at": crate::support::START, "tool": tool, "action_id": action, "actor": actor,
        }})
    };
    let name = json!("Owner");
    let heard = all.hear().await;
    let actor = heard["params"]["actor"].clone();
    assert!(actor.is_string(), "{heard} {name}");
    assert_eq!(heard, event("person", &person, "create", "person_create", actor.clone(), &heard));
    let heard = all.hear().await;
    assert_eq!(heard, event("task", &task, "create", "task_create", actor.clone(), &heard));
    assert_eq!(heard["params"]["action_id"], task["undo_token"]);
    let heard = all.hear().await;
    assert_eq!(heard, event("task", &task, "delete", "task_delete", actor.clone(), &heard));
    // Without the rights to people and companies, neither is heard of.
    for operation in ["create", "delete"] {
        let heard = narrow.hear().await;
        assert_eq!(
            (&heard["params"]["kind"], &heard["params"]["operation"]),
            (&json!("task"), &json!(operation)),
            "{heard}"
        );
    }
    // Of the first company nothing reaches the second.
    let heard = other.hear().await;
    assert_eq!(heard["params"]["id"], own["id"], "{heard} {company}");

    // Nothing comes after the end of a subscription.
    assert_eq!(all.ask(3, "changes_unsubscribe", json!({"subscription": "1"})).await["result"], json!({"ok": true}));
    let again = all.ask(4, "changes_unsubscribe", json!({"subscription": "1"})).await;
    let text = "this connection has no subscription `1`";
    assert_eq!(again["error"], json!({"code": -32602, "message": text}));
    owner.ok("task_create", json!({"title": "Unheard"})).await;
    let heard = narrow.hear().await;
    assert_eq!(heard["params"]["tool"], "task_create");
    assert_eq!(all.ask(5, "ping", json!({})).await["result"], json!({}));

    // A token that is revoked ends its connection.
    owner.ok("session_revoke", json!({"id": session["session"]["id"]})).await;
    let end = (CloseCode::Policy, "The token is not good any more. Connect with another one.".to_owned());
    assert_eq!(narrow.closed().await, end);
    assert_eq!(site.server.service.feed.listeners(), 1, "only the stranger still listens");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_one_organization_hears_of_no_other() {
    let site = Site::new().await;
    let owner = &site.tester;
    let mut sessions = Vec::new();
    for name in ["North", "South"] {
        let organization = owner.ok("organization_create", json!({"name": name})).await;
        let session = owner.ok("session_create", json!({"organization_id": organization["id"]})).await;
        sessions.push(session["session_token"].as_str().unwrap().to_owned());
    }
    let mut north = Socket::of(site.address, &sessions[0]).await;
    north.ask(1, "changes_subscribe", json!({"kinds": ["task"]})).await;
    owner.with_token(&sessions[1]).ok("task_create", json!({"title": "South"})).await;
    let task = owner.with_token(&sessions[0]).ok("task_create", json!({"title": "North"})).await;
    let heard = north.hear().await;
    assert_eq!(heard["params"]["id"], task["id"], "{heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_told_so_at_its_next_request() {
    let site = Site::new().await;
    let session = site.tester.ok("session_create", json!({})).await;
    let mut socket = Socket::of(site.address, session["session_token"].as_str().unwrap()).await;
    site.tester.ok("session_revoke", json!({"id": session["session"]["id"]})).await;
    assert_eq!(socket.ask(1, "me", json!({})).await["error"]["code"], 401);
    assert_eq!(socket.closed().await.0, CloseCode::Policy);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_and_connections_are_bounded() {
    let limits = Limits { per_principal: 3, ..Limits::default() };
    let site = Site::with(Options { limits, ..Options::default() }).await;
    let token = token(&site.tester);
    let mut first = Socket::of(site.address, &token).await;
    for id in 1..=32 {
        assert_eq!(first.ask(id, "changes_subscribe", json!({})).await["result"]["subscription"], id.to_string());
    }
    let text = "a connection has at most 32 subscriptions; end one with changes_unsubscribe";
    assert_eq!(first.ask(33, "changes_subscribe", json!({})).await["error"], json!({"code": -32602, "message": text}));
    let _second = Socket::of(site.address, &token).await;
    let _third = Socket::of(site.address, &token).await;
    let header = format!("Bearer {token}");
    let (status, _) = Socket::open(site.address, &[("authorization", &header)]).await.map(|_| ()).unwrap_err();
    assert_eq!(status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_silent_the_idle_and_the_deaf_are_let_go() {
    let quick = Duration::from_millis(50);
    let timeouts = Timeouts { ping: quick, websocket_idle: quick, stalled_write: quick * 20, ..Timeouts::default() };
    let site = Site::with(Options { timeouts, ..Options::default() }).await;
    let token = token(&site.tester);
    // Answers pings, asks nothing.
    let mut idle = Socket::of(site.address, &token).await;
    assert_eq!(idle.closed().await, (CloseCode::Normal, "Nothing was asked for a long time.".to_owned()));
    // Has a subscription, and answers no ping, since it does not read.
    let mut silent = Socket::of(site.address, &token).await;
    silent.ask(1, "changes_subscribe", json!({})).await;
    soon("the end of a silent listener", async {
        while site.server.service.feed.listeners() > 0 {
            tokio::time::sleep(quick).await;
        }
    })
    .await;
    // Asks for more and more, and reads nothing of it: it can send no more once it is not read either.
    let mut deaf = Socket::of(site.address, &token).await;
    let asks = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let sent = soon("the end of a deaf client", async {
        for sent in 0_u32.. {
            if deaf.0.send(Message::text(asks.clone())).await.is_err() {
                return sent;
            }
        }
        0
    })
    .await;
    assert!(sent > 60, "{sent} requests went through");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_finishes_what_was_asked_and_says_goodbye() {
    let database = TestDatabase::new().await;
    let mut serving = Serving::on_new(&database).await;
    let mut socket = Socket::of(serving.address, &serving.token).await;
    assert_eq!(socket.ask(1, "changes_subscribe", json!({})).await["result"]["subscription"], "1");
    for id in 2..40 {
        socket.say(&json!({"jsonrpc": "2.0", "id": id, "method": "task_list", "params": {"page_size": 1}})).await;
    }
    // The first answer tells that the server works on them.
    assert!(socket.hear().await["result"].is_object());
    serving.terminate();
    assert_eq!(socket.closed().await, (CloseCode::Away, "The server stops.".to_owned()));
    assert_eq!(serving.status().await, Some(0), "{}", serving.log());
}
