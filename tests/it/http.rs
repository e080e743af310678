//! HTTP: who is let in, what is too much, and how the server starts and ends.

use std::time::{Duration, Instant};

use bureau::limits;
use bureau_kit::db::{Db, Location};
use bureau_kit::sql::Sql;
use serde_json::{Value, json};

use crate::process::{
    Answer, Connection, Ended, Serving, bureau, bureau_without_database, call_message, ended, hold_writers, soon,
};
use crate::support::TestDatabase;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// A request with exactly these header lines, and the length of its body.
fn request(path: &str, headers: &[String], body: &str) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("POST {path} HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// The headers that a request needs, with one replaced, added or, without a value, left out.
fn headers(token: &str, changed: &str) -> Vec<String> {
    let usual = [
        "Host: localhost".to_owned(),
        "Content-Type: application/json".to_owned(),
        "Accept: application/json, text/event-stream".to_owned(),
        format!("Authorization: Bearer {token}"),
    ];
    let (name, value) = changed.split_once(':').unwrap_or((changed, ""));
    let kept = usual.into_iter().filter(|header| header.split(':').next() != Some(name));
    kept.chain((!value.is_empty()).then(|| changed.to_owned())).collect()
}

/// Sends one request on a connection of its own.
async fn sent(serving: &Serving, text: impl AsRef<[u8]>) -> Answer {
    let mut connection = serving.connect().await;
    // A server that refuses early may close before everything is sent; its answer still counts.
    let _ = connection.send(text).await;
    connection.answer().await.unwrap()
}

/// Status, JSON-RPC code and message of a refusal.
fn refusal(answer: &Answer) -> (u16, i64, String) {
    let body = answer.json();
    assert_eq!(body["jsonrpc"], "2.0", "{answer:?}");
    (
        answer.status,
        body["error"]["code"].as_i64().expect(&answer.body),
        body["error"]["message"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn only_requests_addressed_to_this_server_from_its_own_pages_are_answered() {
    let database = TestDatabase::new().await;
    let mut command = bureau(&database, &["serve", "--listen", "127.0.0.1:0", "--allowed-host", "bureau.example.com"]);
    command.env("RUST_BACKTRACE", "0");
    let serving = Serving::start(command, None).await;
    let own = format!("Host: {}", serving.address);
    let here = "Host: localhost";
    let allowed: &[&[&str]] = &[
        &[&own],
        &["Host: 127.0.0.1"],
        &["Host: localhost"],
        &["Host: LOCALHOST:80"],
        &["Host: [::1]"],
        &["Host: [::1]:8650"],
        &["Host: bureau.example.com"],
        &["Host: Bureau.Example.COM:443"],
        &[here, "Origin: http://localhost"],
        &[here, "Origin: http://localhost:3000"],
        &[here, "Origin: https://127.0.0.1:8443"],
        &[here, "Origin: http://[::1]:5173"],
        &[here, "Origin: https://bureau.example.com"],
        &["Host: bureau.example.com", "Origin: http://localhost:6274"],
    ];
    let foreign_hosts: &[&[&str]] = &[
        &[],
        &["Host:"],
        &["Host: evil.example"],
        &["Host: evil.example:8650"],
        &["Host: 127.0.0.1.evil.example"],
        &["Host: localhost.evil.example"],
        &["Host: notlocalhost"],
        &["Host: bureau.example.com.evil.example"],
        &["Host: evil-bureau.example.com"],
        &["Host: localhost."],
        &["Host: 0.0.0.0"],
        &["Host: 127.0.0.2"],
        &["Host: 127.1"],
        &["Host: 2130706433"],
        &["Host: 192.168.1.10"],
        &["Host: ::1"],
        &["Host: [::1"],
        &["Host: [::1]x"],
        &["Host: [::2]"],
        &["Host: localhost:"],
        &["Host: localhost:http"],
        &["Host: localhost:99999"],
        &["Host: localhost:80:80"],
        &["Host: user@localhost"],
        &["Host: localhost/"],
        &["Host: localhost, evil.example"],
        &["Host: localhost", "Host: localhost"],
        &["Host: localhost", "Host: evil.example"],
        &["Host: evil.example", "Origin: http://evil.example"],
        &["Host: evil.example", "Origin: http://localhost"],
    ];
    let foreign_origins: &[&[&str]] = &[
        &[here, "Origin: null"],
        &[here, "Origin:"],
        &[here, "Origin: https://evil.example"],
        &[here, "Origin: http://localhost.evil.example"],
        &[here, "Origin: http://127.0.0.1.evil.example:80"],
        &[here, "Origin: http://localhost@evil.example"],
        &[here, "Origin: http://localhost:80@evil.example"],
        &[here, "Origin: http://localhost/evil"],
        &[here, "Origin: http://evil.example/http://localhost"],
        &[here, "Origin: http://localhost http://evil.example"],
        &[here, "Origin: http://"],
        &[here, "Origin: localhost"],
        &[here, "Origin: //localhost"],
        &[here, "Origin: file://"],
        &[here, "Origin: ftp://localhost"],
        &[here, "Origin: chrome-extension://abcdefgh"],
        &[here, "Origin: http://localhost", "Origin: https://evil.example"],
        &[&own, "Origin: https://evil.example"],
    ];
    let mut combinations = 0;
    for path in ["/mcp", "/mcp/tasks", "/rpc"] {
        let groups = [(allowed, None), (foreign_hosts, Some("this Host")), (foreign_origins, Some("this Origin"))];
        for (lines, refused) in groups {
            for lines in lines {
                let named =
                    headers(&serving.token, "Host").into_iter().chain(lines.iter().map(|line| (*line).to_owned()));
                let answer = sent(&serving, request(path, &named.collect::<Vec<_>>(), PING)).await;
                match refused {
                    None => assert_eq!(
                        (answer.status, answer.body.as_str()),
                        (200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
                        "{path} {lines:?}"
                    ),
                    Some(what) => {
                        let why =
                            format!("{what} is not allowed here; start the server with --allowed-host to add a name");
                        assert_eq!(refusal(&answer), (403, -32600, why), "{path} {lines:?}");
                    }
                }
                combinations += 1;
            }
        }
    }
    println!("{combinations} combinations of path, Host and Origin");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_or_of_the_wrong_kind_is_refused() {
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let token = serving.token.as_str();
    let too_long = (413, -32600, format!("a message may have {} bytes at most", limits::MESSAGE_BYTES));
    let long = |length: usize| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":"{}"}}}}"#, "x".repeat(length))
    };
    let with_arguments = |arguments: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"me","arguments":{arguments}}}}}"#)
    };
    let usual = headers(token, "X");

    for path in ["/mcp", "/rpc"] {
        // As long as a message may be, and longer.
        let most = limits::MESSAGE_BYTES - long(0).len();
        assert_eq!(sent(&serving, request(path, &usual, &long(most))).await.status, 200);
        assert_eq!(refusal(&sent(&serving, request(path, &usual, &long(most + 1))).await), too_long);
        assert_eq!(refusal(&sent(&serving, request(path, &usual, &long(2 * limits::MESSAGE_BYTES))).await), too_long);
        // Refused by its announced length, before anything of it has come.
        let announced = format!("POST {path} HTTP/1.1\r\n{}\r\nContent-Length: 2000000\r\n\r\n", usual.join("\r\n"));
        assert_eq!(refusal(&sent(&serving, announced).await), too_long);
        // In chunks of unannounced number.
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        let chunked = format!(
            "POST {path} HTTP/1.1\r\n{}\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            usual.join("\r\n"),
            chunk.repeat(32)
        );
        assert_eq!(refusal(&sent(&serving, chunked).await), too_long);
        let chunked = format!(
            "POST {path} HTTP/1.1\r\n{}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{PING}\r\n0\r\n\r\n",
            usual.join("\r\n"),
            PING.len()
        );
        assert_eq!(sent(&serving, chunked).await.body, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);

        let of_kind = |changed: &str| request(path, &headers(token, changed), PING);
        for encoding in ["gzip", "br", "gzip, identity"] {
            let answer = sent(&serving, of_kind(&format!("Content-Encoding: {encoding}"))).await;
            assert_eq!(refusal(&answer), (415, -32600, "send the body uncompressed".to_owned()));
        }
        assert_eq!(sent(&serving, of_kind("Content-Encoding: identity")).await.status, 200);
        for kind in [
            "Content-Type",
            "Content-Type: text/plain",
            "Content-Type: application/x-www-form-urlencoded",
            "Content-Type: multipart/form-data",
        ] {
            assert_eq!(
                refusal(&sent(&serving, of_kind(kind)).await),
                (415, -32600, "Content-Type must be application/json".to_owned())
            );
        }
        for kind in [
            "Content-Type: application/json; charset=utf-8",
            "Content-Type: Application/JSON",
            "Accept",
            "Accept: */*",
            "Accept: text/html, application/*;q=0.5",
        ] {
            assert_eq!(sent(&serving, of_kind(kind)).await.status, 200, "{kind}");
        }
        let only_pages = sent(&serving, of_kind("Accept: text/html")).await;
        assert_eq!(only_pages.status, if path == "/mcp" { 406 } else { 200 });

        assert_eq!(sent(&serving, of_kind(&format!("X-Large: {}", "x".repeat(64 * 1024)))).await.status, 431);
        let many: String = (0..200).map(|number| format!("X-{number}: x\r\n")).collect();
        assert_eq!(sent(&serving, of_kind(&format!("X-Many: x\r\n{}", many.trim_end()))).await.status, 431);

        for depth in [100, 100_000] {
            let deep = with_arguments(&format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth)));
            assert_eq!(
                refusal(&sent(&serving, request(path, &usual, &deep)).await),
                (400, -32600, "nested deeper than 64 levels".to_owned())
            );
        }
        let wide = with_arguments(&format!(r#"{{"a":[{}0]}}"#, "0,".repeat(30_000)));
        assert_eq!(
            refusal(&sent(&serving, request(path, &usual, &wide)).await),
            (400, -32600, "more than 20000 values in one message".to_owned())
        );

        for (body, message) in [
            ("", "This is no JSON: EOF while parsing a value at line 1 column 0"),
            ("{", "This is no JSON: EOF while parsing an object at line 1 column 1"),
            ("[", "This is no JSON: EOF while parsing a list at line 1 column 1"),
        ] {
            assert_eq!(refusal(&sent(&serving, request(path, &usual, body)).await), (400, -32700, message.to_owned()));
        }
        let head = format!("POST {path} HTTP/1.1\r\n{}\r\nContent-Length: 2\r\n\r\n", usual.join("\r\n"));
        let not_text = [head.as_bytes(), b"\xff\xfe"].concat();
        assert_eq!(refusal(&sent(&serving, not_text).await), (400, -32700, "a message must be UTF-8".to_owned()));

        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = sent(&serving, request(path, &usual, "").replacen("POST", method, 1)).await;
            assert_eq!(refusal(&answer), (405, -32600, "send messages by POST".to_owned()), "{method}");
            assert!(answer.head.contains("\r\nallow: post\r\n"), "{answer:?}");
        }
    }

    for (changed, message) in [
        ("Authorization", "No token came with the request. Send `Authorization: Bearer <token>`."),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization must be `Bearer <token>`."),
        ("Authorization: Bearer nonsense", "The token is unknown, revoked or expired. Ask its owner for a new one."),
    ] {
        let answer = sent(&serving, request("/mcp", &headers(token, changed), PING)).await;
        assert_eq!(refusal(&answer), (401, 401, message.to_owned()), "{changed}");
        assert!(answer.head.contains("\r\nwww-authenticate: bearer realm=\"bureau\"\r\n"), "{answer:?}");
    }
    for broken in ["Authorization: Bearer", "Authorization: Bearer a b", "Authorization: Bearer żółć"] {
        let answer = sent(&serving, request("/mcp", &headers(token, broken), PING)).await;
        assert_eq!(refusal(&answer), (400, -32600, "Authorization must be `Bearer <token>`.".to_owned()), "{broken}");
        let challenge = "\r\nwww-authenticate: bearer realm=\"bureau\", error=\"invalid_request\"\r\n";
        assert!(answer.head.contains(challenge), "{answer:?}");
    }
    let twice = [headers(token, "X"), vec![format!("Authorization: Bearer {token}")]].concat();
    assert_eq!(sent(&serving, request("/mcp", &twice, PING)).await.status, 400);

    let asked = async |path: &str| {
        sent(&serving, request(path, &headers(token, "X"), r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#)).await
    };
    assert_eq!(asked("/mcp/nope").await.status, 404);
    assert_eq!(asked("/mcp?toolsets=tasks,nope").await.status, 404);
    assert_eq!(asked("/mcp?nope=1").await.status, 400);
    assert_eq!(asked("/nope").await.status, 404);
    let reading = asked("/mcp/tasks?read_only=1").await.json();
    let reading = reading["result"]["tools"].as_array().unwrap();
    assert!(reading.iter().any(|tool| tool["name"] == "task_list"));
    assert!(reading.iter().all(|tool| tool["annotations"]["readOnlyHint"] == true));
    let refused = sent(
        &serving,
        request(
            "/mcp/tasks?read_only=1",
            &headers(token, "X"),
            &call_message(json!(1), "task_create", json!({"title": "x"})).to_string(),
        ),
    )
    .await;
    let refused = refused.json()["result"]["content"][0]["text"].to_string();
    assert!(refused.contains("task_create cannot be used: this server or address is read-only."), "{refused}");
    // After all of this the server is well.
    assert_eq!(serving.connect().await.get("/readyz").await.unwrap().body, "ready\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent_connections_are_closed() {
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let start = Instant::now();
    let silent = async {
        let mut connection = serving.connect().await;
        let _ = connection.rest().await;
    };
    let slow = async {
        let mut connection = serving.connect().await;
        connection.send("POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
        // A letter now and then, until the server has had enough of it.
        while connection.send("x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    soon("the end of slow connections", async { tokio::join!(silent, slow) }).await;
    assert!(start.elapsed() < Duration::from_secs(25), "they were closed after {:?}", start.elapsed());
    assert_eq!(serving.connect().await.get("/readyz").await.unwrap().body, "ready\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_running_calls_finish_and_takes_no_new_ones() {
    let database = TestDatabase::new().await;
    let mut serving = Serving::on_new(&database).await;
    // Neither an idle connection nor one that was never used may delay the end.
    let mut idle = serving.connect().await;
    assert_eq!(idle.get("/healthz").await.unwrap().status, 200);
    let _unused = serving.connect().await;

    let held = hold_writers(&database).await;
    let (token, mut connection) = (serving.token.clone(), serving.connect().await);
    let call = tokio::spawn(async move { connection.call(&token, "task_create", json!({"title": "in flight"})).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    serving.terminate();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!call.is_finished(), "the call was given up");
    assert!(Connection::to(serving.address).await.is_err(), "a new connection was taken");
    held.rollback().await.unwrap();
    let start = Instant::now();
    let (answer, is_error) = soon("the answer", call).await.unwrap().unwrap();
    assert_eq!((&answer["title"], is_error), (&json!("in flight"), false), "{answer}");
    assert_eq!(serving.status().await, Some(0), "{}", serving.log());
    assert!(start.elapsed() < Duration::from_secs(5), "the end took {:?}", start.elapsed());

    let again = Serving::again(&database, &serving.token).await;
    assert_eq!(again.ok("task_show", json!({"id": answer["id"]})).await["title"], "in flight");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_pages_answer_without_a_token() {
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let mut connection = serving.connect().await;
    for (path, body) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let answer = connection.get(path).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, body));
    }
}

/// Another process that writes to the file for long must not freeze the server, not even one with a single thread.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_database_file_does_not_keep_the_server_from_answering() {
    let database = TestDatabase::new().await;
    if matches!(database.location, Location::Postgres(_)) {
        eprintln!("only SQLite has a file that another process can keep busy");
        return;
    }
    let mut command = bureau(&database, &["serve", "--listen", "127.0.0.1:0"]);
    command.env("TOKIO_WORKER_THREADS", "1");
    let serving = Serving::start(command, None).await;
    let held = hold_writers(&database).await;
    let (token, mut connection) = (serving.token.clone(), serving.connect().await);
    let call = tokio::spawn(async move { connection.call(&token, "task_create", json!({"title": "waits"})).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let start = Instant::now();
    assert_eq!(serving.connect().await.get("/healthz").await.unwrap().status, 200);
    assert_eq!(serving.ok("task_list", json!({})).await["total"], 0);
    let waited = start.elapsed();
    held.rollback().await.unwrap();
    let (answer, is_error) = soon("the answer", call).await.unwrap().unwrap();
    assert!(waited < Duration::from_secs(4), "reads waited {waited:?} for another process's write");
    assert!(!is_error, "{answer}");
}

/// The status and the complaint of a program that could not start, and that it printed nothing.
fn failure(ended: &Ended) -> (i32, &str) {
    assert_eq!(ended.stdout, "", "{ended:?}");
    (ended.status, ended.complaint())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_start_says_why() {
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;

    let address = serving.address.to_string();
    let taken = ended(bureau(&database, &["serve", "--listen", &address])).await;
    let why = format!(
        "bureau: {address} cannot be listened on: Address already in use (os error 98). Choose another address with --listen."
    );
    assert_eq!(failure(&taken), (3, why.as_str()));

    for words in [&["serve", "--listen", "127.0.0.1:0"][..], &["stdio"], &["migrate"], &["call", "me"]] {
        let mut command = bureau_without_database(words);
        command.env("BUREAU_DATABASE", "sqlite:/dev/null/none/bureau.db");
        let why = "bureau: The database /dev/null/none/bureau.db cannot be opened: Not a directory (os error 20). Check that the \
                   directory exists and may be written, or name another file with --database sqlite:PATH.";
        assert_eq!(failure(&ended(command).await), (3, why), "{words:?}");
    }

    let nothing = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(nothing.path(), "This is a letter, not a database. ".repeat(100)).unwrap();
    let mut command = bureau_without_database(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("BUREAU_DATABASE", format!("sqlite:{}", nothing.path().display()));
    let letter = ended(command).await;
    let (status, why) = failure(&letter);
    assert!(status == 3 && why.contains("cannot be opened: file is not a database"), "{letter:?}");

    let mut command = bureau_without_database(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("BUREAU_DATABASE", "mysql://localhost/bureau");
    let why =
        "bureau: `mysql://localhost/bureau` is not a database; write sqlite:PATH or postgres://user:password@host/name";
    assert_eq!(failure(&ended(command).await), (2, why));

    // A server that nobody is at: the password shows nowhere.
    let mut command = bureau_without_database(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("BUREAU_DATABASE", "postgres://bureau:geheim@127.0.0.1:1/bureau");
    let nobody = ended(command).await;
    assert_eq!(failure(&nobody).0, 3, "{nobody:?}");
    assert!(!nobody.stderr.contains("geheim"), "{nobody:?}");

    for words in [&["serve", "--toolsets", "tasks,nope"][..], &["stdio", "--toolsets", "nope"]] {
        let unknown = ended(bureau(&database, words)).await;
        let (status, why) = failure(&unknown);
        assert_eq!(status, 2, "{unknown:?}");
        assert!(why.starts_with("bureau: There is no toolset `nope`. There are: all, discovery,"), "{why}");
    }
    for words in [&["serve", "--nope"][..], &["serve", "--listen", "nowhere"], &["nope"], &[]] {
        let wrong = ended(bureau(&database, words)).await;
        assert_eq!(failure(&wrong).0, 2, "{wrong:?}");
        assert!(wrong.stderr.contains("Usage:") || wrong.stderr.contains("--help"), "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_version_is_left_alone() {
    let database = TestDatabase::new().await;
    let made = ended(bureau(&database, &["migrate"])).await;
    assert_eq!(made.status, 0, "{made:?}");
    let db = Db::connect(&database.location).await.unwrap();
    let mut tx = db.write().await.unwrap();
    let future = "INSERT INTO schema_migrations (number, name, checksum) VALUES (999, 'future', 1)";
    tx.query(&Sql::new(future)).await.unwrap();
    tx.commit().await.unwrap();
    db.close().await;

    let why = "The database is newer than this program: it has migration 999 (future), which this version does not know. \
               Nothing was changed. Install the version that made it, or a later one.";
    for words in [&["serve", "--listen", "127.0.0.1:0"][..], &["stdio"], &["migrate"], &["call", "me"]] {
        let refused = ended(bureau(&database, words)).await;
        assert_eq!(failure(&refused), (3, format!("bureau: {why}").as_str()), "{words:?}");
    }
    let doctor = ended(bureau(&database, &["doctor", "--json"])).await;
    let found = doctor.json();
    assert_eq!((doctor.status, &found["ok"]), (1, &json!(false)), "{doctor:?}");
    let problems: Vec<&Value> = found["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| &check["problem"])
        .filter(|problem| !problem.is_null())
        .collect();
    assert_eq!(problems, [why]);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_from_the_command_line_end_with_a_status_that_tells() {
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let base = serving.url("");
    let here = |words: &[&str]| bureau(&database, words);
    let there = |words: &[&str]| {
        let mut command = bureau_without_database(words);
        command.env("BUREAU_URL", &base).env("BUREAU_TOKEN", &serving.token);
        command
    };
    let nobody = json!({"id": "019a0000-0000-7000-8000-000000000000"}).to_string();
    for call in [&here as &dyn Fn(&[&str]) -> tokio::process::Command, &there] {
        let done = ended(call(&["call", "task_create", "--args", r#"{"title": "Pomiar"}"#])).await;
        assert_eq!((done.status, &done.json()["title"]), (0, &json!("Pomiar")), "{done:?}");
        assert!(done.stdout.lines().count() > 5, "the answer is laid out for people: {done:?}");
        let line = ended(call(&["call", "task_list", "--json"])).await;
        assert_eq!((line.status, line.stdout.lines().count()), (0, 1), "{line:?}");

        let refused = ended(call(&["call", "task_show", "--args", &nobody])).await;
        assert_eq!((refused.status, &refused.json()["code"]), (1, &json!("not_found")), "{refused:?}");

        let unknown = ended(call(&["call", "task_crate"])).await;
        let why = "bureau: There is no tool `task_crate`. Did you mean `task_create`? tool_search finds tools by what they do.";
        assert_eq!(failure(&unknown), (2, why));
        let broken = ended(call(&["call", "me", "--args", "{"])).await;
        let why =
            "bureau: --args is not JSON: EOF while parsing an object at line 1 column 1. Write --args '{\"id\": 1}'.";
        assert_eq!(failure(&broken), (2, why));
        let list = ended(call(&["call", "me", "--args", "[]"])).await;
        assert_eq!(failure(&list), (2, "bureau: --args must be a JSON object, such as --args '{\"id\": 1}'."));

        let mut stranger = call(&["call", "me"]);
        stranger.env("BUREAU_TOKEN", bureau_kit::token::mint(bureau_kit::token::TokenKind::ApiKey));
        assert_eq!(failure(&ended(stranger).await).0, 3);
    }

    let mut without_token = there(&["call", "me"]);
    without_token.env_remove("BUREAU_TOKEN");
    assert_eq!(failure(&ended(without_token).await).0, 2);
    let gone = TestDatabase::new().await;
    let mut stopped = Serving::on_new(&gone).await;
    stopped.kill().await;
    let mut unreachable = there(&["call", "me"]);
    unreachable.env("BUREAU_URL", stopped.url(""));
    let unreachable = ended(unreachable).await;
    let (status, why) = failure(&unreachable);
    assert_eq!(status, 3);
    assert!(why.starts_with(&format!("bureau: {} cannot be reached: ", stopped.url("/rpc"))), "{why}");
    // A database that a file or variable names does not stand in the way of a server that is named too.
    assert_eq!(ended(there(&["call", "me", "--database", "sqlite:/nonexistent/x.db"])).await.status, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_and_the_health_can_be_read_by_machines() {
    let tools = ended(bureau_without_database(&["tools", "--json"])).await;
    let registry = bureau::catalog::registry().unwrap();
    let told = tools.json();
    let names: Vec<&Value> = told.as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    let known: Vec<&str> = registry.entries().iter().map(|entry| entry.tool.name).collect();
    assert_eq!(names, known);
    let unknown = ended(bureau_without_database(&["tools", "--toolset", "nope"])).await;
    assert_eq!(failure(&unknown).0, 2);
    let shown = ended(bureau_without_database(&["tools", "--toolset", "tasks"])).await;
    assert!(shown.status == 0 && shown.stdout.contains("task_create"), "{shown:?}");

    let database = TestDatabase::new().await;
    if let Location::Sqlite(path) = &database.location {
        let nothing = ended(bureau(&database, &["doctor", "--json"])).await;
        let problem = &nothing.json()["checks"][1]["problem"];
        assert_eq!(
            (nothing.status, problem),
            (1, &json!(format!("{} does not exist; `bureau serve` makes it", path.display())))
        );
        assert!(!path.exists(), "doctor made a database");
    }
    let serving = Serving::on_new(&database).await;
    let doctor = ended(bureau(&database, &["doctor", "--json"])).await;
    let checks = doctor.json()["checks"].clone();
    assert_eq!((doctor.status, &doctor.json()["ok"]), (0, &json!(true)), "{doctor:?}");
    assert!(
        checks.as_array().unwrap().iter().all(|check| check["ok"] == true && check["problem"].is_null()),
        "{doctor:?}"
    );
    let people = ended(bureau(&database, &["doctor"])).await;
    assert!(
        people.status == 0 && people.stdout.contains("  ok       the database engine finds no fault"),
        "{people:?}"
    );
    drop(serving);
}

/// Where an answer belongs: every connection uses the same ids, and every call has a word of its own that comes back.
fn asked(word: &str, number: usize) -> (&'static str, Value) {
    if number.is_multiple_of(20) {
        ("task_create", json!({"title": word, "dry_run": true}))
    } else {
        ("tool_search", json!({"query": "x", "toolset": word}))
    }
}

/// Whether an answer says the word it was asked with.
fn says(word: &str, number: usize, answer: &Value) -> bool {
    if number.is_multiple_of(20) {
        answer["title"] == word
    } else {
        answer["message"]
            .as_str()
            .is_some_and(|text| text.starts_with(&format!("/toolset: there is no toolset `{word}`;")))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_thousand_answers_reach_who_asked() {
    const PAIRS: usize = 16;
    const EACH: usize = 625;
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let mut clients = Vec::new();
    for pair in 0..PAIRS {
        // Over MCP, a few requests ahead of the answers.
        let (token, mut connection) = (serving.token.clone(), serving.connect().await);
        clients.push(tokio::spawn(async move {
            let mut right = 0;
            for first in (0..EACH).step_by(5) {
                let mut text = String::new();
                for number in first..first + 5 {
                    let (tool, arguments) = asked(&format!("m{pair}x{number}"), number);
                    text += &request(
                        "/mcp",
                        &headers(&token, "X"),
                        &call_message(json!(number), tool, arguments).to_string(),
                    );
                }
                connection.send(text).await.unwrap();
                for number in first..first + 5 {
                    let answer = connection.answer().await.unwrap().json();
                    let told: Value =
                        serde_json::from_str(answer["result"]["content"][0]["text"].as_str().unwrap()).unwrap();
                    assert!(
                        answer["id"] == number && says(&format!("m{pair}x{number}"), number, &told),
                        "{pair} {number}: {answer}"
                    );
                    right += 1;
                }
            }
            right
        }));
        // Plain JSON-RPC, in batches whose calls run at once.
        let (token, mut connection) = (serving.token.clone(), serving.connect().await);
        clients.push(tokio::spawn(async move {
            let mut right = 0;
            for first in (0..EACH).step_by(25) {
                let batch = (first..first + 25).map(|number| {
                    let (tool, arguments) = asked(&format!("r{pair}x{number}"), number);
                    json!({"jsonrpc": "2.0", "id": number, "method": tool, "params": arguments})
                });
                let answer =
                    connection.post("/rpc", &token, &Value::Array(batch.collect()).to_string()).await.unwrap().json();
                for (number, answer) in (first..first + 25).zip(answer.as_array().unwrap()) {
                    let told = answer.get("result").or_else(|| answer.get("error")).unwrap();
                    assert!(
                        answer["id"] == number && says(&format!("r{pair}x{number}"), number, told),
                        "{pair} {number}: {answer}"
                    );
                    right += 1;
                }
            }
            right
        }));
    }
    let mut right = 0;
    for client in clients {
        right += client.await.unwrap();
    }
    assert_eq!(right, 20_000);
    println!("{right} answers on {} connections, none misrouted", 2 * PAIRS);
}
