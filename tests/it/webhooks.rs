//! Webhooks: what receivers are told, what they may do to us, and where nothing goes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bureau_kit::db::{Db, Location};
use bureau_kit::egress::Guard;
use bureau_kit::mail::{Mail, MailCarrier, MailTransport, Sent};
use bureau_kit::outbox::{Dispatcher, LEASE};
use bureau_kit::sql::Sql;
use bureau_kit::tool::BoxFuture;
use bureau_platform::{Receivers, Resolver, SystemResolver, WebhookCarrier};
use ring::hmac;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::process::{Serving, bureau, soon};
use crate::support::{TestDatabase, Tester};

/// How a receiver answers.
#[derive(Debug, Clone)]
enum Manner {
    Says(&'static str),
    /// Head and body, then more of the body for ever.
    Endless,
    /// A byte a second.
    Drops,
    Silent,
    HangsUp,
}

/// One message as it came.
#[derive(Debug, Clone)]
struct Received {
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Received {
    fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Which of the signatures this secret made.
    fn signed_by(&self, secret: &str) -> Vec<usize> {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = [format!("{}.{}.", self.id(), self.headers["webhook-timestamp"]).as_bytes(), &self.body].concat();
        let signatures = self.headers["webhook-signature"].split(' ').enumerate();
        let good = |signature: &str| {
            let tag = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
            hmac::verify(&key, &signed, &tag).is_ok()
        };
        signatures.filter(|(_, signature)| good(signature)).map(|(place, _)| place).collect()
    }
}

/// A receiver on loopback.
struct Receiver {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
    manner: Arc<Mutex<Manner>>,
}

const FINE: Manner = Manner::Says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            url: format!("http://{}/hook?from=bureau", listener.local_addr().unwrap()),
            received: Arc::default(),
            connections: Arc::default(),
            manner: Arc::new(Mutex::new(FINE)),
        };
        let (received, manner, connections) =
            (receiver.received.clone(), receiver.manner.clone(), receiver.connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let manner = manner.lock().unwrap().clone();
                tokio::spawn(converse(stream, manner, received.clone()));
            }
        });
        receiver
    }

    fn becomes(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }
}

async fn converse(mut stream: TcpStream, manner: Manner, received: Arc<Mutex<Vec<Received>>>) -> Option<()> {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        let mut chunk = [0_u8; 4096];
        let count = stream.read(&mut chunk).await.ok()?;
        if count == 0 {
            return None;
        }
        bytes.extend_from_slice(&chunk[..count]);
        let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
        let length = length.unwrap_or_default();
        if bytes.len() >= end + 4 + length {
            bytes.drain(..end + 4);
            break (head, length);
        }
    };
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    received.lock().unwrap().push(Received { headers, body: bytes[..length].to_vec() });
    match manner {
        Manner::Says(answer) => stream.write_all(answer.as_bytes()).await.ok()?,
        Manner::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n").await.ok()?;
            loop {
                stream.write_all(&[b'x'; 65536]).await.ok()?;
            }
        }
        Manner::Drops => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await.ok()?;
            loop {
                stream.write_all(b"x").await.ok()?;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
        Manner::Silent => std::future::pending().await,
        Manner::HangsUp => {}
    }
    Some(())
}

/// A company whose webhooks may go to loopback, and what carries them.
async fn company() -> (Tester, Arc<Dispatcher>) {
    let owner = Tester::new().await;
    let guard = Guard::allowing(vec!["127.0.0.0/8".parse().unwrap()]);
    owner.bureau.egress.set(guard).unwrap();
    let dispatcher = dispatcher(&owner, Arc::new(SystemResolver));
    (owner, dispatcher)
}

fn dispatcher(owner: &Tester, resolver: Arc<dyn Resolver>) -> Arc<Dispatcher> {
    let receivers = Receivers::new(owner.bureau.egress().clone(), resolver).unwrap();
    Dispatcher::new(owner.bureau.clone(), vec![Arc::new(WebhookCarrier::new(receivers))])
}

async fn deliveries(owner: &Tester, webhook: &Value) -> Vec<Value> {
    let page = owner.ok("webhook_delivery_list", json!({"webhook_id": webhook["id"]})).await;
    page["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_is_told_what_happened_signed_and_once_for_each_record() {
    let (owner, carrying) = company().await;
    let receiver = Receiver::start().await;
    let arguments =
        json!({"url": receiver.url, "source_type": "Organize::Task", "kind": "*", "api_token": "hush-hush"});
    let webhook = owner.ok("webhook_create", arguments).await;
    assert_eq!(
        (&webhook["source_type"], &webhook["kind"], &webhook["events"], &webhook["has_api_token"], &webhook["active"]),
        (&json!("task"), &json!("*"), &json!(["task.*"]), &json!(true), &json!(true))
    );
    let secret = webhook["secret"].as_str().unwrap();
    let task = owner.ok("task_create", json!({"title": "Pomiar"})).await;
    owner.ok("project_create", json!({"name": "Nobody asked"})).await;
    assert_eq!(carrying.carry_due().await.unwrap(), 1);
    let [created] = receiver.take().try_into().unwrap();
    assert_eq!(created.headers["authorization"], "Bearer hush-hush");
    assert_eq!(created.headers["content-type"], "application/json");
    assert_eq!(created.signed_by(secret), [0]);
    let told = created.json();
    assert_eq!((&told["type"], &told["id"]), (&json!("task.create"), &json!(created.id())));
    assert_eq!(
        told["data"],
        owner
            .ok("task_show", json!({"id": task["id"]}))
            .await
            .as_object()
            .map(|shown| {
                // What the tool adds beyond the record itself is no part of the event.
                let record = told["data"].as_object().unwrap();
                Value::Object(
                    shown
                        .iter()
                        .filter(|(name, _)| record.contains_key(*name))
                        .map(|(n, v)| (n.clone(), v.clone()))
                        .collect(),
                )
            })
            .unwrap()
    );
    assert_eq!(told["actor"]["name"], "Owner");

    // Ids are in the order of time, as far as the clock moves.
    let later = || owner.bureau.clock.advance_seconds(1);
    let changed = owner.ok("task_update", json!({"id": task["id"], "title": "Pomiar 2"})).await;
    later();
    let undone = owner.ok("action_undo", json!({"undo_token": changed["undo_token"]})).await;
    later();
    owner.ok("action_redo", json!({"log_id": changed["undo_token"]})).await;
    later();
    assert_eq!(undone.get("outside_effects"), None);
    owner.ok("task_delete", json!({"id": task["id"]})).await;
    assert_eq!(carrying.carry_due().await.unwrap(), 4);
    let mut told: Vec<Value> = receiver.take().iter().map(Received::json).collect();
    told.sort_by_key(|told| told["id"].to_string());
    let shown: Vec<(Value, Value)> =
        told.iter().map(|told| (told["type"].clone(), told["changes"]["title"].clone())).collect();
    let change = |before: &str, after: &str| json!({"before": before, "after": after});
    assert_eq!(
        shown,
        [
            (json!("task.update"), change("Pomiar", "Pomiar 2")),
            (json!("task.update"), change("Pomiar 2", "Pomiar")),
            (json!("task.update"), change("Pomiar", "Pomiar 2")),
            (json!("task.destroy"), Value::Null),
        ]
    );
    assert_eq!(told[3]["data"]["title"], "Pomiar 2");
    assert_eq!(told[0]["tool"], "task_update");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rolled_back_or_only_tried_is_told_nobody() {
    let (owner, carrying) = company().await;
    let receiver = Receiver::start().await;
    owner.ok("webhook_create", json!({"url": receiver.url, "events": ["*"]})).await;
    carrying.carry_due().await.unwrap();
    receiver.take();
    owner.ok("task_create", json!({"title": "tried", "dry_run": true})).await;
    owner.err("task_create", json!({"title": "bad", "project_id": "019a0000-0000-7000-8000-000000000001"})).await;
    let calls = json!([{"tool": "task_create", "arguments": {"title": "one"}}, {"tool": "task_show", "arguments": {"id": 4711}}]);
    owner.err("batch_call", json!({"calls": calls})).await;
    assert_eq!(carrying.carry_due().await.unwrap(), 0);
    let calls = json!([{"tool": "task_create", "arguments": {"title": "one"}}, {"tool": "task_create", "arguments": {"title": "two"}}]);
    owner.ok("batch_call", json!({"calls": calls})).await;
    assert_eq!(carrying.carry_due().await.unwrap(), 2);
    let mut titles: Vec<Value> =
        receiver.received().iter().map(|received| received.json()["data"]["title"].clone()).collect();
    titles.sort_by_key(Value::to_string);
    assert_eq!(titles, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_is_tried_by_the_schedule_under_one_id_and_then_switched_off() {
    let (owner, carrying) = company().await;
    let receiver = Receiver::start().await;
    let webhook =
        owner.ok("webhook_create", json!({"url": receiver.url, "source_type": "tag", "kind": "create"})).await;
    receiver.becomes(Manner::Says("HTTP/1.1 500 Oh\r\nContent-Length: 5\r\n\r\nbroke"));
    owner.ok("tag_create", json!({"name": "one"})).await;
    assert_eq!(carrying.carry_due().await.unwrap(), 1);
    for (place, pause) in [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400].into_iter().enumerate() {
        owner.bureau.clock.advance_seconds(pause - 1);
        assert_eq!(carrying.carry_due().await.unwrap(), 0, "attempt {place} came too early");
        owner.bureau.clock.advance_seconds(pause / 5 + 2);
        assert_eq!(carrying.carry_due().await.unwrap(), 1, "attempt {place} did not come");
    }
    let received = receiver.take();
    assert_eq!(received.len(), 10);
    assert!(received.iter().all(|message| message.id() == received[0].id() && message.body == received[0].body));
    let [delivery] = deliveries(&owner, &webhook).await.try_into().unwrap();
    assert_eq!(
        (&delivery["state"], &delivery["attempts"], &delivery["last_error"], &delivery["next_at"], &delivery["id"]),
        (&json!("failed"), &json!(10), &json!("the receiver answered 500"), &Value::Null, &json!(received[0].id()))
    );
    let log = delivery["log"].as_array().unwrap();
    assert_eq!(log.len(), 10);
    assert_eq!(
        (&log[0]["status_code"], &log[0]["answer"], &log[0]["error"]),
        (&json!(500), &json!("broke"), &Value::Null)
    );
    let shown = owner.ok("webhook_show", json!({"id": webhook["id"]})).await;
    assert!(shown["failing_since"].is_string() && shown["disabled_at"].is_null(), "{shown}");

    // Five days after the first failure the next one is the last.
    owner.bureau.clock.advance_seconds(2 * 24 * 3600);
    owner.ok("tag_create", json!({"name": "two"})).await;
    assert_eq!(carrying.carry_due().await.unwrap(), 1);
    let shown = owner.ok("webhook_show", json!({"id": webhook["id"]})).await;
    assert_eq!(shown["disabled_reason"], "nothing could be delivered for five days; last, the receiver answered 500");
    // What happens now is told nobody, and what waited is given up.
    owner.ok("tag_create", json!({"name": "three"})).await;
    owner.bureau.clock.advance_seconds(60);
    carrying.carry_due().await.unwrap();
    assert_eq!(receiver.take().len(), 1);
    assert_eq!(deliveries(&owner, &webhook).await.len(), 2);

    // The one who made it is told by mail.
    #[derive(Debug, Default)]
    struct Post(Mutex<Vec<Mail>>);
    impl MailTransport for Post {
        fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Sent> {
            self.0.lock().unwrap().push(mail.clone());
            Box::pin(async { Sent::Accepted })
        }
    }
    let post = Arc::new(Post::default());
    let mails = MailCarrier::new(post.clone(), "https://bureau.example.com", bureau::catalog::letters()).unwrap();
    Dispatcher::new(owner.bureau.clone(), vec![Arc::new(mails)]).carry_due().await.unwrap();
    let [mail] = post.0.lock().unwrap().clone().try_into().unwrap();
    assert_eq!(
        (mail.to.as_str(), mail.subject.as_str()),
        ("owner@example.com", "A webhook of My company is switched off")
    );
    assert!(
        mail.text.contains(&format!("the webhook to {} was switched off: nothing could", receiver.url)),
        "{}",
        mail.text
    );

    // Switched on again, it works, and a failed delivery can be sent again under its id.
    receiver.becomes(FINE);
    let shown = owner.ok("webhook_update", json!({"id": webhook["id"], "active": true})).await;
    assert_eq!((&shown["disabled_at"], &shown["failing_since"]), (&Value::Null, &Value::Null));
    owner.ok("webhook_delivery_replay", json!({"id": delivery["id"]})).await;
    owner.ok("tag_create", json!({"name": "four"})).await;
    assert_eq!(carrying.carry_due().await.unwrap(), 2);
    assert!(receiver.take().iter().any(|message| message.id() == delivery["id"]));
    let shown = owner.ok("webhook_show", json!({"id": webhook["id"]})).await;
    assert!(shown["last_success_at"].is_string() && shown["failing_since"].is_null(), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_receiver_answers_it_costs_little_and_means_what_it_says() {
    let (owner, carrying) = company().await;
    let receiver = Receiver::start().await;
    let canary = Receiver::start().await;
    let redirect: &'static str =
        Box::leak(format!("HTTP/1.1 307 Go\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", canary.url).into_boxed_str());
    let webhook =
        owner.ok("webhook_create", json!({"url": receiver.url, "source_type": "tag", "kind": "create"})).await;
    let mut number = 0;
    for (manner, state, error, body) in [
        (Manner::Endless, "done", Value::Null, Some(1024)),
        (Manner::Drops, "done", Value::Null, None),
        (Manner::Says(redirect), "waiting", json!("the receiver answered 307"), Some(0)),
        (Manner::HangsUp, "waiting", json!("the receiver hung up before it had answered"), None),
        (Manner::Says("garbage\r\n\r\n"), "waiting", json!("the receiver hung up before it had answered"), None),
        (Manner::Says("HTTP/1.1 204 No\r\n\r\n"), "done", Value::Null, Some(0)),
    ] {
        number += 1;
        receiver.becomes(manner.clone());
        owner.ok("tag_create", json!({"name": format!("tag {number}")})).await;
        let started = std::time::Instant::now();
        assert_eq!(carrying.carry_due().await.unwrap(), 1);
        assert!(started.elapsed() < Duration::from_secs(5), "{manner:?} took {:?}", started.elapsed());
        let delivery = deliveries(&owner, &webhook).await.remove(0);
        assert_eq!((&delivery["state"], &delivery["last_error"]), (&json!(state), &error), "{manner:?}");
        if let Some(length) = body {
            assert_eq!(delivery["log"][0]["answer"].as_str().unwrap().len(), length, "{manner:?}");
        }
        owner.bureau.clock.advance_seconds(1);
    }
    assert_eq!(canary.connections.load(Ordering::SeqCst), 0, "a redirect was followed");

    // A receiver may ask for a pause, and say that it is gone for good.
    receiver.becomes(Manner::Says("HTTP/1.1 429 Slow\r\nRetry-After: 900\r\nContent-Length: 0\r\n\r\n"));
    owner.ok("tag_create", json!({"name": "slow"})).await;
    let before = owner.bureau.clock.now();
    carrying.carry_due().await.unwrap();
    let delivery = deliveries(&owner, &webhook).await.remove(0);
    assert_eq!(delivery["next_at"], json!(before.plus_minutes(15)));
    receiver.becomes(Manner::Says("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"));
    owner.ok("tag_create", json!({"name": "gone"})).await;
    carrying.carry_due().await.unwrap();
    let shown = owner.ok("webhook_show", json!({"id": webhook["id"]})).await;
    assert_eq!(shown["disabled_reason"], "the receiver answered 410: it is gone for good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_is_told_later_and_a_silent_one_delays_no_other_tenant() {
    let (owner, carrying) = company().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let webhook = owner.ok("webhook_create", json!({"url": url, "source_type": "tag", "kind": "create"})).await;
    owner.ok("tag_create", json!({"name": "one"})).await;
    carrying.carry_due().await.unwrap();
    let delivery = deliveries(&owner, &webhook).await.remove(0);
    assert_eq!(delivery["log"][0]["error"], "the receiver could not be reached");

    let (silent, quick) = (Receiver::start().await, Receiver::start().await);
    silent.becomes(Manner::Silent);
    let other = owner.other_tenant().await;
    owner.ok("webhook_update", json!({"id": webhook["id"], "url": silent.url})).await;
    other.ok("webhook_create", json!({"url": quick.url, "source_type": "tag", "kind": "create"})).await;
    for number in 0..40 {
        owner.ok("tag_create", json!({"name": format!("silent {number}")})).await;
    }
    for number in 0..10 {
        other.ok("tag_create", json!({"name": format!("quick {number}")})).await;
    }
    let running = tokio::spawn({
        let carrying = carrying.clone();
        async move { carrying.carry_due().await }
    });
    let all = async {
        while quick.received().len() < 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all).await.expect("the other tenant waits for the silent receiver");
    running.abort();
    assert!(silent.received().len() <= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatcher_that_is_killed_again_and_again_loses_nothing() {
    let (owner, _) = company().await;
    let receiver = Receiver::start().await;
    owner.ok("webhook_create", json!({"url": receiver.url, "source_type": "tag", "kind": "create"})).await;
    for number in 0..30 {
        owner.ok("tag_create", json!({"name": format!("tag {number}")})).await;
    }
    let lease = i64::try_from(LEASE.as_secs()).unwrap();
    for round in 0..20_u64 {
        let carrying = dispatcher(&owner, Arc::new(SystemResolver));
        let running = tokio::spawn(async move { carrying.carry_due().await });
        tokio::time::sleep(Duration::from_millis(round * 2)).await;
        running.abort();
        let _ = running.await;
        owner.bureau.clock.advance_seconds(lease);
    }
    dispatcher(&owner, Arc::new(SystemResolver)).carry_due().await.unwrap();
    let mut ids: Vec<String> = receiver.received().iter().map(|message| message.id().to_owned()).collect();
    ids.sort();
    ids.dedup();
    let waiting = owner.bureau.look(owner.tenant_id, |tx| {
        Box::pin(async move { tx.query(&Sql::new("SELECT id FROM outbox WHERE state <> 'done'")).await })
    });
    assert_eq!((ids.len(), waiting.await.unwrap().len()), (30, 0));
}

/// The whole program, ended as by a power cut while it delivers: every committed event arrives, under one id each.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_server_delivers_after_its_restart() {
    let database = TestDatabase::new().await;
    let receiver = Receiver::start().await;
    let command = || {
        let mut command = bureau(&database, &["serve", "--listen", "127.0.0.1:0", "--webhook-allow", "127.0.0.0/8"]);
        if let Location::Postgres(_) = database.location {
            command.env("BUREAU_SECRET_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        }
        command
    };
    let mut serving = Serving::start(command(), None).await;
    let token = serving.token.clone();
    serving.ok("webhook_create", json!({"url": receiver.url, "source_type": "tag", "kind": "create"})).await;
    let mut committed = Vec::new();
    for round in 0..8_u64 {
        let mut connection = serving.connect().await;
        for number in 0..10 {
            let arguments = json!({"name": format!("tag {round}.{number}")});
            let (answer, is_error) = connection.call(&token, "tag_create", arguments).await.unwrap();
            assert!(!is_error, "{answer}");
            committed.push(answer["id"].as_str().unwrap().to_owned());
        }
        tokio::time::sleep(Duration::from_millis(round * 3)).await;
        serving.kill().await;
        serving = Serving::start(command(), Some(&token)).await;
        if let Location::Postgres(_) = database.location {
            // There the lease has to end first.
            let db = Db::connect(&database.location).await.unwrap();
            let mut tx = db.write().await.unwrap();
            tx.query(&Sql::new("SELECT set_config('bureau.all_tenants', 'on', true)")).await.unwrap();
            tx.query(&Sql::new("UPDATE outbox SET next_at = created_at WHERE state = 'waiting'")).await.unwrap();
            tx.commit().await.unwrap();
            db.close().await;
        }
    }
    let all = async {
        loop {
            let received = receiver.received();
            let there = |id: &String| received.iter().any(|message| message.json()["data"]["id"] == **id);
            if committed.iter().all(there) {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let received = soon("every event", all).await;
    let mut ids: HashMap<String, String> = HashMap::new();
    for message in &received {
        let record = message.json()["data"]["id"].as_str().unwrap().to_owned();
        let id = ids.entry(record).or_insert_with(|| message.id().to_owned());
        assert_eq!(id, message.id(), "one event came under two ids");
    }
    println!("{} events, {} messages, 8 kills", committed.len(), received.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_secret_overlaps_with_the_old_one_for_a_day() {
    let (owner, carrying) = company().await;
    let receiver = Receiver::start().await;
    let webhook =
        owner.ok("webhook_create", json!({"url": receiver.url, "source_type": "tag", "kind": "create"})).await;
    let old = webhook["secret"].as_str().unwrap().to_owned();
    let rotated = owner.ok("webhook_secret_rotate", json!({"id": webhook["id"]})).await;
    let new = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    let tell = async |name: &str| {
        owner.ok("webhook_test", json!({"id": webhook["id"]})).await;
        assert_eq!(carrying.carry_due().await.unwrap(), 1, "{name}");
        receiver.take().remove(0)
    };
    let message = tell("both").await;
    assert_eq!((message.signed_by(&new), message.signed_by(&old)), (vec![0], vec![1]));
    assert_eq!(message.json()["type"], "webhook.test");
    owner.bureau.clock.advance_seconds(24 * 3600);
    let message = tell("new only").await;
    assert_eq!((message.signed_by(&new), message.signed_by(&old)), (vec![0], vec![]));
    // Secrets are in no answer but their first, in no journal, and in the database sealed only.
    let log = owner.ok("action_log_list", json!({"page_size": 100})).await.to_string();
    let rest = owner.ok("webhook_list", json!({})).await.to_string() + &owner.dump().await + &log;
    assert!(!rest.contains(&old[6..]) && !rest.contains(&new[6..]));
    let sealed = owner.bureau.look(owner.tenant_id, |tx| {
        Box::pin(async move { tx.query(&Sql::new("SELECT sealed FROM webhook_secrets")).await })
    });
    for row in sealed.await.unwrap() {
        let sealed: Vec<u8> = row.get(0).unwrap();
        assert!(!sealed.windows(8).any(|part| part == &old.as_bytes()[6..14] || part == &new.as_bytes()[6..14]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_and_hidden_columns_are_told_nobody() {
    let (owner, carrying) = company().await;
    let receiver = Receiver::start().await;
    owner
        .ok(
            "webhook_create",
            json!({"url": receiver.url, "events": ["user.*", "api_key.*", "webhook.*", "invitation.*"]}),
        )
        .await;
    owner
        .ok(
            "user_create",
            json!({"email": "a@example.com", "first_name": "A", "last_name": "B", "password": "Kuchnia1!"}),
        )
        .await;
    owner.ok("api_key_create", json!({"name": "ci"})).await;
    let person = owner.ok("person_create", json!({"name": "Ewa", "primary_email": "ewa@example.org"})).await;
    owner.ok("person_invite", json!({"id": person["id"]})).await;
    owner.ok("webhook_create", json!({"url": receiver.url, "events": ["tag.create"], "api_token": "hush-hush"})).await;
    carrying.carry_due().await.unwrap();
    let received = receiver.take();
    assert!(received.len() >= 4, "{}", received.len());
    for message in received {
        let text = String::from_utf8(message.body).unwrap();
        for hidden in
            ["secret_hash", "token_hash", "credential_id", "email_folded", "secret_id", "api_token_id", "hush-hush"]
        {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_subscribes_to_what_one_may_see_and_in_ones_own_organization() {
    let (owner, carrying) = company().await;
    let receiver = Receiver::start().await;
    let admin = owner.as_role("admin").await;
    let refused = admin.err("webhook_create", json!({"url": receiver.url, "events": ["*"]})).await;
    assert_eq!(
        (refused["code"].as_str().unwrap(), refused["message"].as_str().unwrap()),
        (
            "forbidden",
            "All events at once need all rights. Name the events that you may see; webhook_event_list has them."
        )
    );
    let user = owner.as_role("user").await;
    assert_eq!(user.err("webhook_list", json!({})).await["details"]["missing"], "webhooks.view");
    for (arguments, message) in [
        (
            json!({"events": ["task.closed"]}),
            "/events/0: `closed` is no kind of event: there are create, update, destroy and * for all of them",
        ),
        (
            json!({"events": ["nothing.create"]}),
            "/events/0: there are no events about `nothing`; webhook_event_list has those that there are",
        ),
        (json!({"source_type": "task"}), "/kind: is required beside source_type"),
        (json!({}), "/events: is required, or source_type and kind in its place"),
        (
            json!({"events": ["task.*"], "kind": "create"}),
            "/events: cannot stand beside source_type and kind: give one of the two",
        ),
    ] {
        let mut arguments = arguments;
        arguments["url"] = json!(receiver.url);
        assert_eq!(owner.err("webhook_create", arguments).await["message"], message);
    }
    // Somebody who may handle webhooks and nothing else gets nothing by changing where one goes.
    let webhook = owner.ok("webhook_create", json!({"url": receiver.url, "events": ["contract.*"]})).await;
    let key = json!({"name": "hooks", "features": ["webhooks.*", "organize.*"]});
    let key = owner.ok("api_key_create", key).await;
    let hooks = owner.with_token(key["secret"].as_str().unwrap());
    let refused = hooks.err("webhook_update", json!({"id": webhook["id"], "url": "https://evil.example.com/"})).await;
    assert_eq!((&refused["code"], &refused["details"]["missing"]), (&json!("forbidden"), &json!("contracts.view")));
    let rows = hooks.ok("webhook_event_list", json!({})).await;
    let allowed = |name: &str| {
        let row = rows["items"].as_array().unwrap().iter().find(|row| row["source_type"] == name).unwrap();
        (row["allowed"].as_bool().unwrap(), row["aliases"].clone())
    };
    assert_eq!(allowed("task"), (true, json!(["Organize::Task"])));
    assert_eq!(allowed("contract"), (false, json!([])));

    let organization = owner.ok("organization_create", json!({"name": "Oddział"})).await;
    let scoped = json!({"url": receiver.url, "events": ["project.*"], "organization_id": organization["id"]});
    owner.ok("webhook_create", scoped).await;
    let inside = owner.ok("session_create", json!({"organization_id": organization["id"]})).await;
    let inside = owner.with_token(inside["session_token"].as_str().unwrap());
    carrying.carry_due().await.unwrap();
    receiver.take();
    owner.ok("project_create", json!({"name": "outside"})).await;
    inside.ok("project_create", json!({"name": "inside"})).await;
    assert_eq!(carrying.carry_due().await.unwrap(), 1);
    assert_eq!(receiver.take()[0].json()["data"]["name"], "inside");
    // A webhook for everybody is not for somebody who sees one organization only.
    let refused = inside.err("webhook_update", json!({"id": webhook["id"], "active": false})).await;
    assert_eq!(refused["details"]["missing"], "organizations");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_without_webhooks_writes_nothing_into_the_outbox() {
    let (owner, _) = company().await;
    let other = owner.other_tenant().await;
    let receiver = Receiver::start().await;
    other.ok("webhook_create", json!({"url": receiver.url, "events": ["*"]})).await;
    owner.ok("task_create", json!({"title": "alone"})).await;
    let rows = owner.bureau.look(owner.tenant_id, |tx| {
        Box::pin(async move { tx.query(&Sql::new("SELECT DISTINCT tenant_id FROM outbox")).await })
    });
    let tenants: Vec<uuid::Uuid> = rows.await.unwrap().iter().map(|row| row.get(0).unwrap()).collect();
    assert!(!tenants.contains(&owner.tenant_id), "{tenants:?}");
}

// --- where nothing goes

/// Spellings of addresses that lead, or may lead, into the network that the server stands in; PORT is the canary's.
const SPELLINGS: &[&str] = &[
    "http://127.0.0.1:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://127.000.000.001:PORT/",
    "http://2130706433:PORT/",
    "http://017700000001:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0177.0.0.01:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.1:PORT/",
    "http://0x7f.0.0.1:PORT/",
    "http://0X7F.0X0.0X0.0X1:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://127.255.255.254:PORT/",
    "http://0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://0x0:PORT/",
    "http://localhost:PORT/",
    "http://LOCALHOST:PORT/",
    "http://localhost.:PORT/",
    "http://a.localhost:PORT/",
    "http://localhost.localdomain:PORT/",
    "http://ｌｏｃａｌｈｏｓｔ:PORT/",
    "http://１２７.０.０.１:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://127。0。0。1:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://127.0.0.1%2f:PORT/",
    "http:127.0.0.1:PORT/",
    "http:\\\\127.0.0.1:PORT/",
    "http:/127.0.0.1:PORT/",
    "http:////127.0.0.1:PORT/",
    " http://127.0.0.1:PORT/ ",
    "ht\ttp://127.0.0.1:PORT/",
    "http://user@127.0.0.1:PORT/",
    "http://user:pass@127.0.0.1:PORT/",
    "http://example.com@127.0.0.1:PORT/",
    "http://example.com:80@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT#@example.com/",
    "http://127.0.0.1:PORT?@example.com/",
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[0000::0001]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[::FFFF:7F00:0001]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[::7f00:1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[64:ff9b:1::7f00:1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[2001:0:7f00:1::]:PORT/",
    "http://[fe80::1]:PORT/",
    "http://[fc00::1]:PORT/",
    "http://[fd00::1]:PORT/",
    "http://[ff02::1]:PORT/",
    "http://10.0.0.5:PORT/",
    "http://172.16.0.1:PORT/",
    "http://192.168.0.5:PORT/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://2852039166/",
    "http://100.64.0.1:PORT/",
    "http://198.18.0.1:PORT/",
    "http://224.0.0.1:PORT/",
    "http://255.255.255.255:PORT/",
    "http://metadata.google.internal/",
    "http://printer.local:PORT/",
    "http://router.lan/",
    "http://intranet/",
    "https://127.0.0.1:PORT/",
    "ftp://127.0.0.1:PORT/",
    "gopher://127.0.0.1:PORT/",
    "file:///etc/passwd",
    "unix:///run/docker.sock",
    "data:text/plain,x",
    "//127.0.0.1:PORT/",
    "127.0.0.1:PORT",
    "http://example.com:22/",
    "http://example.com:25/",
    "http://example.com:0/",
];

/// Answers what it is told to; the second and later look-ups of a name may differ from the first.
#[derive(Debug, Default)]
struct Liar(Mutex<HashMap<String, Vec<Vec<IpAddr>>>>);

impl Liar {
    fn says(&self, name: &str, answers: &[&[&str]]) {
        let parsed = answers.iter().map(|answer| answer.iter().map(|text| text.parse().unwrap()).collect()).collect();
        self.0.lock().unwrap().insert(name.to_owned(), parsed);
    }
}

impl Resolver for Liar {
    fn lookup<'a>(&'a self, name: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
        let mut names = self.0.lock().unwrap();
        let answers = names.get_mut(name).unwrap_or_else(|| panic!("nobody should look up {name}"));
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async move { Ok(answer) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_an_address_leads_into_the_own_network() {
    let owner = Tester::new().await;
    let canary = Receiver::start().await;
    let port = canary.url.split([':', '/']).nth(4).unwrap().to_owned();
    let six = TcpListener::bind(format!("[::1]:{port}")).await.ok();
    let liar = Arc::new(Liar::default());
    let carrying = dispatcher(&owner, liar.clone());
    let good = owner.ok("webhook_create", json!({"url": "https://hooks.example.com/", "events": ["tag.create"]})).await;
    assert!(SPELLINGS.len() >= 60);
    // At save: refused, with words that say nothing of what stands there.
    for spelling in SPELLINGS {
        let url = spelling.replace("PORT", &port);
        for (tool, arguments) in [
            ("webhook_create", json!({"url": url, "events": ["tag.create"]})),
            ("webhook_update", json!({"id": good["id"], "url": url})),
        ] {
            let (answer, is_error) = owner.call(tool, arguments).await;
            assert!(is_error && answer["code"] == "validation", "{tool} took {url}: {answer}");
            assert_eq!(answer["fields"][0]["path"], "/url", "{url}: {answer}");
        }
    }
    // At dial time: however it came into the database.
    for spelling in SPELLINGS {
        let url = spelling.replace("PORT", &port);
        put_url(&owner, &url).await;
        owner.ok("webhook_test", json!({"id": good["id"]})).await;
        assert_eq!(carrying.carry_due().await.unwrap(), 1, "{url}");
        let delivery = deliveries(&owner, &good).await.remove(0);
        assert_eq!(delivery["log"][0]["error"], "the receiver's address is not one that webhooks may go to", "{url}");
        owner.bureau.clock.advance_seconds(1);
        abandon(&owner).await;
    }
    // Names that are resolved inward, to several addresses, and to another one at the second look.
    for (place, answers) in [
        &[&["127.0.0.1"][..]][..],
        &[&["::1"]],
        &[&["::ffff:127.0.0.1"]],
        &[&["64:ff9b::7f00:1"]],
        &[&["10.0.0.5", "192.168.0.5", "169.254.169.254"]],
        &[&["fd00::1", "fe80::1"]],
    ]
    .iter()
    .enumerate()
    {
        let name = format!("rebinding{place}.example.com");
        liar.says(&name, answers);
        put_url(&owner, &format!("http://{name}:{port}/")).await;
        owner.ok("webhook_test", json!({"id": good["id"]})).await;
        carrying.carry_due().await.unwrap();
        let delivery = deliveries(&owner, &good).await.remove(0);
        assert_eq!(delivery["log"][0]["error"], "the receiver's address is not one that webhooks may go to", "{name}");
        owner.bureau.clock.advance_seconds(1);
        abandon(&owner).await;
    }
    if let Some(six) = six {
        let nobody = tokio::time::timeout(Duration::from_millis(50), six.accept()).await;
        assert!(nobody.is_err(), "somebody came to ::1");
    }
    assert_eq!(canary.connections.load(Ordering::SeqCst), 0);
    println!("{} spellings, no connection", SPELLINGS.len());
}

/// What is looked up is what is dialled: one look for each connection, and of several answers only those that may be.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_changes_its_address_is_dialled_where_it_was_checked() {
    let owner = Tester::new().await;
    // 127.0.0.2 plays the public receiver, 127.0.0.1 what stands in the own network.
    let guard = Guard::allowing(vec!["127.0.0.2".parse().unwrap()]);
    owner.bureau.egress.set(guard).unwrap();
    let canary = Receiver::start().await;
    let port: u16 = canary.url.split([':', '/']).nth(4).unwrap().parse().unwrap();
    let public = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), port)).await.unwrap();
    let came = Arc::new(AtomicUsize::new(0));
    let counted = came.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = public.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(converse(stream, FINE, Arc::default()));
        }
    });
    let liar = Arc::new(Liar::default());
    let carrying = dispatcher(&owner, liar.clone());
    let url = format!("http://rebinding.example.com:{port}/");
    let webhook = owner.ok("webhook_create", json!({"url": url, "events": ["tag.create"]})).await;
    liar.says("rebinding.example.com", &[&["127.0.0.2"], &["127.0.0.1"], &["127.0.0.1", "127.0.0.2"]]);
    for (round, state) in ["done", "waiting", "done"].into_iter().enumerate() {
        owner.ok("webhook_test", json!({"id": webhook["id"]})).await;
        carrying.carry_due().await.unwrap();
        let delivery = deliveries(&owner, &webhook).await.remove(0);
        assert_eq!(delivery["state"], state, "round {round}: {delivery}");
        owner.bureau.clock.advance_seconds(1);
        abandon(&owner).await;
    }
    assert_eq!((came.load(Ordering::SeqCst), canary.connections.load(Ordering::SeqCst)), (2, 0));
}

/// An address that no tool would have taken.
async fn put_url(owner: &Tester, url: &str) {
    let (tenant, url) = (owner.tenant_id, url.to_owned());
    let put = owner.bureau.keep_books(tenant, |tx| {
        Box::pin(async move {
            tx.query(&Sql::with("UPDATE webhooks SET url = $1 WHERE tenant_id = $2", [url.into(), tenant.into()])).await
        })
    });
    put.await.unwrap();
}

/// Lets nothing wait any more.
async fn abandon(owner: &Tester) {
    let tenant = owner.tenant_id;
    let done = owner.bureau.keep_books(tenant, |tx| {
        Box::pin(async move {
            tx.query(&Sql::with(
                "UPDATE outbox SET state = 'failed' WHERE state = 'waiting' AND tenant_id = $1",
                [tenant.into()],
            ))
            .await
        })
    });
    done.await.unwrap();
}
