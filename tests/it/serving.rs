//! Serving: how long a peer may take, addresses, TLS, what is counted, fair shares, and the end.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bureau::http::{self, Limits, Options, Timeouts, Tls};
use bureau::mcp::Server;
use bureau_kit::access::Shown;
use bureau_kit::db::{Location, Tx};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, crypto};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::process::{Answer, Connection, Serving, bureau, call_message, ended, hold_writers, soon};
use crate::support::{TestDatabase, Tester};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
/// Longer than any test.
const EVER: Duration = Duration::from_secs(3_600);
/// So short that a test can wait for it.
const SOON: Duration = Duration::from_millis(400);

/// A server in this process, whose options a test chooses.
struct Here {
    tester: Tester,
    token: String,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl Here {
    async fn with(options: Options) -> Self {
        let tester = Tester::new().await;
        let Shown::Token(token) = tester.shown.clone() else { panic!("the owner has a token") };
        let server = Server::new(tester.bureau.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let served = tokio::spawn(http::serve(server, options, vec![listener.into()], stopped));
        Self { tester, token, address, stop: Some(stop), served }
    }

    async fn connect(&self) -> Connection {
        Connection::to(self.address).await.unwrap()
    }

    /// A number on the metrics page; 0 when it is not there yet.
    async fn metric(&self, name: &str) -> u64 {
        metric(&self.connect().await.get("/metrics").await.unwrap(), name)
    }

    /// Waits until a metric has the value.
    async fn until_metric(&self, name: &str, value: u64) {
        let waited = async {
            while self.metric(name).await != value {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon(name, waited).await;
    }

    async fn hold_writers(&self) -> Tx {
        hold_writers(&self.tester.database).await
    }

    /// Calls a tool on a connection of its own.
    fn spawn_call(&self, token: &str, tool: &str) -> impl Future<Output = Answer> + Send + 'static {
        let (address, token) = (self.address, token.to_owned());
        let body = call_message(json!(1), tool, json!({"title": "x"})).to_string();
        async move { Connection::to(address).await.unwrap().post("/mcp", &token, &body).await.unwrap() }
    }
}

fn metric(page: &Answer, name: &str) -> u64 {
    assert_eq!(page.status, 200, "{page:?}");
    let found = page.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.map_or(0, |value| value.parse().expect(name))
}

fn timed_out(reason: &str) -> String {
    format!("bureau_connections_timed_out_total{{reason=\"{reason}\"}}")
}

/// Status, message and seconds to wait of a refusal by a limit.
fn limited(answer: &Answer) -> (u16, String, u64) {
    let body = answer.json();
    let (error, wait) = (&body["error"], answer.head.lines().find_map(|line| line.strip_prefix("retry-after: ")));
    let wait: u64 = wait.expect("a limit tells when to come back").parse().unwrap();
    assert_eq!(
        error["data"],
        json!({"code": "rate_limited", "message": error["message"], "details": {"retry_after_seconds": wait}})
    );
    assert_eq!(error["code"], 429);
    (answer.status, error["message"].as_str().unwrap().to_owned(), wait)
}

/// As many as the pool of a process has.
const CONNECTIONS: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_looked_up_for_want_of_a_connection_is_told_to_come_again() {
    let here = Here::with(Options::default()).await;
    if !matches!(here.tester.database.location, Location::Postgres(_)) {
        eprintln!("only PostgreSQL has a pool of connections that can be used up");
        return;
    }
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        held.push(here.tester.bureau.db.read().await.unwrap());
    }
    let ask = r#"{"jsonrpc":"2.0","id":1,"method":"me"}"#;
    let answer = here.connect().await.post("/rpc", &here.token, ask).await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
    let why = "Every database connection is in use. Nothing was changed; try again in a moment.";
    assert_eq!(answer.json()["error"], json!({"code": 503, "message": why}));
    for tx in held {
        tx.rollback().await.unwrap();
    }
    assert_eq!(here.connect().await.post("/rpc", &here.token, ask).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_may_idle_but_not_dawdle_over_a_head() {
    let timeouts = Timeouts { head: SOON, first_request: EVER, idle: EVER, ..Timeouts::default() };
    let here = Here::with(Options { timeouts, ..Options::default() }).await;
    let mut idle = here.connect().await;
    let mut unused = here.connect().await;
    assert_eq!(idle.get("/healthz").await.unwrap().body, "ok\n");
    let mut later = here.connect().await;
    assert_eq!(later.get("/healthz").await.unwrap().body, "ok\n");

    // A head in drops is timed from its first byte, on a new connection and on one that was used.
    let mut fresh = here.connect().await;
    let start = Instant::now();
    let drop_by_drop = async |connection: &mut Connection| {
        connection.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
        while connection.send("x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the end of slow heads", async { tokio::join!(drop_by_drop(&mut fresh), drop_by_drop(&mut later)) }).await;
    assert!(start.elapsed() >= SOON, "closed after {:?}", start.elapsed());
    here.until_metric(&timed_out("head"), 2).await;
    // Longer idle than a head may take, and still served.
    assert_eq!(idle.get("/healthz").await.unwrap().body, "ok\n");
    assert_eq!(unused.get("/healthz").await.unwrap().body, "ok\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_are_closed_before_and_after_their_first_request() {
    let timeouts = Timeouts { first_request: SOON, idle: 2 * SOON, ..Timeouts::default() };
    let here = Here::with(Options { timeouts, ..Options::default() }).await;
    let start = Instant::now();
    let mut silent = here.connect().await;
    let mut idle = here.connect().await;
    assert_eq!(idle.get("/healthz").await.unwrap().body, "ok\n");
    assert_eq!(soon("the end of a silent connection", silent.rest()).await.unwrap(), "");
    assert!(start.elapsed() >= SOON);
    assert_eq!(soon("the end of an idle connection", idle.rest()).await.unwrap(), "");
    assert!(start.elapsed() >= 2 * SOON);
    here.until_metric(&timed_out("first_request"), 1).await;
    here.until_metric(&timed_out("idle"), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_take_longer_than_every_timeout_of_its_connection() {
    let timeouts = Timeouts { head: SOON, first_request: SOON, idle: SOON, stalled_write: SOON, ..Timeouts::default() };
    let here = Here::with(Options { timeouts, ..Options::default() }).await;
    let held = here.hold_writers().await;
    let call = tokio::spawn(here.spawn_call(&here.token, "task_create"));
    tokio::time::sleep(3 * SOON).await;
    assert!(!call.is_finished());
    held.rollback().await.unwrap();
    let answer = soon("the answer", call).await.unwrap();
    assert_eq!((answer.status, &answer.json()["result"]["isError"]), (200, &json!(false)), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_is_left() {
    let timeouts = Timeouts { stalled_write: SOON, ..Timeouts::default() };
    let here = Here::with(Options { timeouts, ..Options::default() }).await;
    let mut deaf = here.connect().await;
    let asking =
        async { while deaf.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100)).await.is_ok() {} };
    soon("the end of a connection that is not read", asking).await;
    here.until_metric(&timed_out("stalled_write"), 1).await;
    assert_eq!(here.connect().await.get("/readyz").await.unwrap().body, "ready\n");
}

/// A certificate for localhost and its key, written to their files.
fn write_certificate(certificate: &Path, key: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(key, made.signing_key.serialize_pem()).unwrap();
    std::fs::write(certificate, made.cert.pem()).unwrap();
    made.cert.der().clone()
}

/// A TLS connection, and the certificate that the server showed. Any certificate is believed that is `trusted`.
async fn secured(
    address: SocketAddr,
    trusted: &[&CertificateDer<'static>],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> (Connection<TlsStream<TcpStream>>, CertificateDer<'static>) {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add((*certificate).clone()).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let (_, session) = stream.get_ref();
    assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    let shown = session.peer_certificates().unwrap()[0].clone().into_owned();
    (Connection::over(stream, "localhost"), shown)
}

const ALL: &[&rustls::SupportedProtocolVersion] = rustls::ALL_VERSIONS;

/// Waits until new connections are shown this certificate.
async fn until_shown(address: SocketAddr, old: &CertificateDer<'static>, new: &CertificateDer<'static>) {
    let shown = async { while secured(address, &[old, new], ALL).await.1 != *new {} };
    soon("the new certificate", shown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_its_certificate_renewed_without_losing_a_connection() {
    let database = TestDatabase::new().await;
    let directory = tempfile::tempdir().unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| directory.path().join(name));
    let words = ["serve", "--listen", "127.0.0.1:0", "--tls-cert"];
    let mut command = bureau(&database, &words);
    command.arg(&certificate).arg("--tls-key").arg(&key);
    let missing = ended(command).await;
    let why = format!("bureau: The TLS certificate {} cannot be used: ", certificate.display());
    assert!(missing.status == 3 && missing.complaint().starts_with(&why), "{missing:?}");
    let alone = ended(bureau(&database, &["serve", "--tls-cert", "x"])).await;
    assert!(alone.status == 2 && alone.stderr.contains("--tls-key"), "{alone:?}");

    let first = write_certificate(&certificate, &key);
    let mut command = bureau(&database, &words);
    command.arg(&certificate).arg("--tls-key").arg(&key);
    let serving = Serving::start(command, None).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (mut connection, shown) = secured(serving.address, &[&first], &[version]).await;
        assert_eq!(shown, first);
        let answer = connection.post("/mcp", &serving.token, PING).await.unwrap();
        assert_eq!(answer.body, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    }
    let mut plain = serving.connect().await;
    assert!(plain.get("/healthz").await.is_err(), "plain HTTP was answered");

    let (mut kept, _) = secured(serving.address, &[&first], ALL).await;
    assert_eq!(kept.get("/healthz").await.unwrap().body, "ok\n");
    let second = write_certificate(&certificate, &key);
    serving.hang_up();
    until_shown(serving.address, &first, &second).await;
    assert_eq!(kept.get("/healthz").await.unwrap().body, "ok\n");

    // The key of another certificate: the good pair stays.
    let elsewhere = directory.path().join("elsewhere.pem");
    write_certificate(&elsewhere, &key);
    serving.hang_up();
    let complaint = "the TLS certificate was not renewed, the old one stays in use: The TLS certificate";
    let complained = async {
        while !serving.log().contains(complaint) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("the complaint about the key", complained).await;
    assert_eq!(secured(serving.address, &[&first, &second], ALL).await.1, second);
    assert_eq!(kept.get("/healthz").await.unwrap().body, "ok\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_certificate_is_noticed_and_a_silent_handshake_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| directory.path().join(name));
    let first = write_certificate(&certificate, &key);
    let tls = Some(Tls::load(certificate.clone(), key.clone()).unwrap());
    let timeouts = Timeouts { certificate_check: Duration::from_millis(20), handshake: SOON, ..Timeouts::default() };
    let here = Here::with(Options { tls, timeouts, ..Options::default() }).await;
    assert_eq!(secured(here.address, &[&first], ALL).await.1, first);
    let mut silent = here.connect().await;
    let second = write_certificate(&certificate, &key);
    until_shown(here.address, &first, &second).await;
    assert_eq!(soon("the end of a silent handshake", silent.rest()).await.unwrap(), "");
    let (mut connection, _) = secured(here.address, &[&second], ALL).await;
    let page = connection.get("/metrics").await.unwrap();
    assert_eq!(metric(&page, &timed_out("handshake")), 1, "{page:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_addresses_and_a_unix_socket_are_served() {
    let database = TestDatabase::new().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bureau.sock");
    let listen = format!("127.0.0.1:0,unix:{}", path.display());
    let serve = || bureau(&database, &["serve", "--listen", &listen]);
    let over = async |path: &PathBuf, host: &str| Connection::over(UnixStream::connect(path).await.unwrap(), host);

    let mut serving = Serving::start(serve(), None).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let told = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let answer = over(&path, "localhost").await.post("/mcp", &serving.token, PING).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, told));
    assert_eq!(serving.connect().await.post("/rpc", &serving.token, PING).await.unwrap().body, told);
    assert_eq!(over(&path, "evil.example").await.post("/mcp", &serving.token, PING).await.unwrap().status, 403);
    assert_eq!(over(&path, "localhost").await.post("/mcp", "nobody", PING).await.unwrap().status, 401);
    assert_eq!(over(&path, "localhost").await.get("/metrics").await.unwrap().status, 200);

    let second = ended(serve()).await;
    let why = format!(
        "bureau: unix:{} cannot be listened on: another program answers there. Choose another address with --listen.",
        path.display()
    );
    assert_eq!((second.status, second.complaint()), (3, why.as_str()));

    // What a killed server leaves is replaced; what is there at the end is removed.
    serving.kill().await;
    assert!(path.exists());
    let mut again = Serving::start(serve(), Some(&serving.token)).await;
    assert_eq!(over(&path, "localhost").await.get("/healthz").await.unwrap().body, "ok\n");
    again.terminate();
    assert_eq!(again.status().await, Some(0), "{}", again.log());
    assert!(!path.exists(), "the socket is still there");

    std::fs::write(&path, "a letter").unwrap();
    let letter = ended(serve()).await;
    let why = format!(
        "bureau: unix:{} cannot be listened on: a file that is no socket is there. Choose another address with --listen.",
        path.display()
    );
    assert_eq!((letter.status, letter.complaint()), (3, why.as_str()));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a letter");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_counted_and_names_nobody() {
    let here = Here::with(Options::default()).await;
    let mut connection = here.connect().await;
    for (tool, arguments) in [
        ("task_list", json!({})),
        ("task_list", json!({})),
        ("task_create", json!({"title": "Zażółć"})),
        ("task_show", json!({"id": 999})),
        ("task_create", json!({"titel": "x"})),
    ] {
        connection.call(&here.token, tool, arguments).await.unwrap();
    }
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"task_list"},{"jsonrpc":"2.0","id":2,"method":"nope"}]"#;
    assert_eq!(connection.post("/rpc", &here.token, batch).await.unwrap().status, 200);
    assert_eq!(connection.post("/mcp", "nobody", PING).await.unwrap().status, 401);

    let page = connection.get("/metrics").await.unwrap();
    assert!(page.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{page:?}");
    for (name, value) in [
        (r#"bureau_calls_total{tool="task_list",outcome="ok"}"#, 3),
        (r#"bureau_calls_total{tool="task_create",outcome="ok"}"#, 1),
        (r#"bureau_calls_total{tool="task_create",outcome="validation"}"#, 1),
        (r#"bureau_calls_total{tool="task_show",outcome="not_found"}"#, 1),
        ("bureau_call_duration_seconds_count", 6),
        (r#"bureau_requests_total{face="mcp",status="200"}"#, 5),
        (r#"bureau_requests_total{face="mcp",status="401"}"#, 1),
        (r#"bureau_requests_total{face="rpc",status="200"}"#, 1),
        ("bureau_failed_authentications_total", 1),
        ("bureau_connections_total", 1),
        ("bureau_connections_open", 1),
        ("bureau_streams_open", 0),
        ("bureau_sessions_open", 0),
    ] {
        assert!(page.body.contains(&format!("{name} ")), "{name} is missing: {}", page.body);
        assert_eq!(metric(&page, name), value, "{name}");
    }
    assert!(page.body.ends_with("# EOF\n"));
    for secret in [&here.token, &here.tester.tenant_id.to_string(), "127.0.0.1", "example.com"] {
        assert!(!page.body.contains(secret), "{secret} is on the page");
    }

    for header in
        ["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "Host: evil.example", "Origin: https://evil.example"]
    {
        let host = if header.starts_with("Host") { "" } else { "Host: localhost\r\n" };
        connection.send(format!("GET /metrics HTTP/1.1\r\n{host}{header}\r\n\r\n")).await.unwrap();
        assert_eq!(connection.answer().await.unwrap().status, 403, "{header}");
    }
    let open = Here::with(Options { metrics_open: true, ..Options::default() }).await;
    let mut connection = open.connect().await;
    connection.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n").await.unwrap();
    assert_eq!(connection.answer().await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_floods_the_server_takes_nothing_from_another() {
    let limits = Limits { running_per_tenant: 2, waiting_per_tenant: 3, ..Limits::default() };
    let here = Here::with(Options { limits, ..Options::default() }).await;
    let Shown::Token(other) = here.tester.other_tenant().await.shown else { panic!("an owner has a token") };
    let held = here.hold_writers().await;
    let mut calls = JoinSet::new();
    for _ in 0..9 {
        calls.spawn(here.spawn_call(&here.token, "task_create"));
    }
    let why = "This tenant has 2 calls running and 3 requests waiting, as many as it may. Send fewer at once.";
    for _ in 0..4 {
        let refused = soon("a refusal", calls.join_next()).await.unwrap().unwrap();
        assert_eq!(limited(&refused), (429, why.to_owned(), 1));
    }
    // All places are taken, and the neighbour reads as ever: one by one, and in a batch larger than its share.
    let mut neighbour = here.connect().await;
    let list = call_message(json!(1), "task_list", json!({})).to_string();
    for _ in 0..20 {
        assert_eq!(neighbour.post("/mcp", &other, &list).await.unwrap().status, 200);
    }
    let entry = |id: usize| json!({"jsonrpc": "2.0", "id": id, "method": "task_list"});
    let batch = Value::Array((0..50).map(entry).collect()).to_string();
    let answers = neighbour.post("/rpc", &other, &batch).await.unwrap().json();
    let done = answers.as_array().unwrap().iter().filter(|answer| answer["result"]["total"] == 0).count();
    assert_eq!(done, 50, "{answers}");
    assert_eq!(limited(&here.connect().await.post("/mcp", &here.token, &list).await.unwrap()).0, 429);

    held.rollback().await.unwrap();
    let mut done = 0;
    while let Some(answer) = soon("the rest", calls.join_next()).await {
        assert_eq!(answer.unwrap().json()["result"]["isError"], false);
        done += 1;
    }
    assert_eq!(done, 5);
    assert_eq!(here.metric(r#"bureau_requests_limited_total{reason="tenant"}"#).await, 5);
    assert_eq!(here.connect().await.post("/mcp", &here.token, &list).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_so_many_requests_and_a_tenant_so_many_calls_a_second() {
    let limits = Limits { per_principal: 2, calls_per_second: 4, ..Limits::default() };
    let here = Here::with(Options { limits, ..Options::default() }).await;
    let Shown::Token(colleague) = here.tester.as_role("admin").await.shown else { panic!("a key is a token") };
    let Shown::Token(other) = here.tester.other_tenant().await.shown else { panic!("an owner has a token") };
    let held = here.hold_writers().await;
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        calls.spawn(here.spawn_call(&here.token, "task_create"));
    }
    let refused = soon("a refusal", calls.join_next()).await.unwrap().unwrap();
    let why = "This token has 2 requests running, as many as it may. Wait for an answer before sending the next.";
    assert_eq!(limited(&refused), (429, why.to_owned(), 1));
    // Another token of the tenant has requests of its own, and shares the tenant's eight calls: the batch wants all.
    let mut connection = here.connect().await;
    assert_eq!(connection.post("/mcp", &colleague, PING).await.unwrap().status, 200);
    let batch = format!("[{}]", [PING; 8].join(","));
    let why = "This tenant makes more than 4 calls a second. Send fewer; a batch_call counts as one call.";
    let (status, told, wait) = limited(&connection.post("/rpc", &colleague, &batch).await.unwrap());
    assert_eq!((status, told.as_str()), (429, why));
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(connection.post("/rpc", &other, &batch).await.unwrap().status, 200);
    held.rollback().await.unwrap();
    while let Some(answer) = soon("the rest", calls.join_next()).await {
        assert_eq!(answer.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_tries_tokens_is_made_to_wait_and_known_tokens_are_not() {
    let here = Here::with(Options::default()).await;
    let mut connection = here.connect().await;
    assert_eq!(connection.post("/mcp", &here.token, PING).await.unwrap().status, 200);
    let guess = || bureau_kit::token::mint(bureau_kit::token::TokenKind::Session);
    let in_arguments = |token: String| call_message(json!(7), "me", json!({"_sessionToken": token})).to_string();
    for number in 0..20 {
        let answer = match number % 3 {
            0 => connection.post("/mcp", &guess(), PING).await.unwrap(),
            1 => connection.post("/rpc", "nonsense", PING).await.unwrap(),
            _ => connection.post("/mcp", &here.token, &in_arguments(guess())).await.unwrap(),
        };
        assert_eq!(answer.status, 401, "{number}: {answer:?}");
    }
    let why = "Too many credentials from your address were not accepted. Check the token, wait, and try again.";
    for (path, body) in [("/mcp", PING), ("/rpc", PING), ("/rpc", "[]"), ("/mcp/tasks", "{")] {
        let refused = here.connect().await.post(path, &guess(), body).await.unwrap();
        let (status, told, wait) = limited(&refused);
        assert_eq!((status, told.as_str()), (429, why), "{path} {body}");
        assert!((30..=60).contains(&wait), "{wait}");
    }
    // Known before, and welcome as ever.
    for _ in 0..5 {
        assert_eq!(connection.post("/mcp", &here.token, PING).await.unwrap().status, 200);
    }
    // None of the refused ones was looked up.
    assert_eq!(here.metric("bureau_failed_authentications_total").await, 20);
    assert_eq!(here.metric(r#"bureau_requests_limited_total{reason="failures"}"#).await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_revoked_is_forgotten() {
    let here = Here::with(Options { limits: Limits { failures: 1, ..Limits::default() }, ..Options::default() }).await;
    let made = here.tester.ok("session_create", json!({})).await;
    let token = made["session_token"].as_str().expect("a session has a token").to_owned();
    let mut connection = here.connect().await;
    assert_eq!(connection.post("/mcp", &token, PING).await.unwrap().status, 200);
    here.tester.ok("session_revoke", json!({"id": made["session"]["id"]})).await;
    assert_eq!(connection.post("/mcp", &token, PING).await.unwrap().status, 401);
    assert_eq!(limited(&connection.post("/mcp", &token, PING).await.unwrap()).0, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_waits_for_running_requests_and_not_for_ever() {
    let timeouts = Timeouts { drain: SOON, ..Timeouts::default() };
    let mut here = Here::with(Options { timeouts, ..Options::default() }).await;
    let mut idle = here.connect().await;
    assert_eq!(idle.get("/healthz").await.unwrap().status, 200);
    let mut half = here.connect().await;
    half.send("GET /healthz HTTP/1.1\r\nHost: ").await.unwrap();
    let held = here.hold_writers().await;
    let (token, mut connection) = (here.token.clone(), here.connect().await);
    let body = call_message(json!(1), "task_create", json!({"title": "x"})).to_string();
    let call = tokio::spawn(async move { connection.post("/mcp", &token, &body).await });
    here.until_metric("bureau_connections_open", 4).await;
    let start = Instant::now();
    here.stop.take().unwrap().send(()).unwrap();
    for connection in [&mut idle, &mut half] {
        let _ = soon("the end of a connection without a request", connection.rest()).await;
    }
    assert!(!here.served.is_finished() && start.elapsed() < SOON, "idle connections ended after {:?}", start.elapsed());
    soon("the end of the server", &mut here.served).await.unwrap();
    assert!(start.elapsed() >= SOON);
    assert!(soon("the end of the call", call).await.unwrap().is_err(), "the call was answered");
    held.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_server_at_once() {
    let database = TestDatabase::new().await;
    let mut serving = Serving::on_new(&database).await;
    let held = hold_writers(&database).await;
    let (token, mut connection) = (serving.token.clone(), serving.connect().await);
    let body = call_message(json!(1), "task_create", json!({"title": "x"})).to_string();
    let call = tokio::spawn(async move { connection.post("/mcp", &token, &body).await });
    let running = async {
        while metric(&serving.connect().await.get("/metrics").await.unwrap(), "bureau_connections_total") < 2 {}
    };
    soon("the call's connection", running).await;
    tokio::time::sleep(SOON).await;
    let start = Instant::now();
    serving.terminate();
    let refused = async { while Connection::to(serving.address).await.is_ok() {} };
    soon("the end of accepting", refused).await;
    assert!(!call.is_finished(), "the call was given up at the first signal");
    serving.terminate();
    assert_eq!(serving.status().await, Some(0), "{}", serving.log());
    assert!(start.elapsed() < Duration::from_secs(5), "the end took {:?}", start.elapsed());
    assert!(serving.log().contains("asked to stop a second time"), "{}", serving.log());
    assert!(soon("the end of the call", call).await.unwrap().is_err(), "the call was answered");
    held.rollback().await.unwrap();
}
