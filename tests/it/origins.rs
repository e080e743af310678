//! Whom a request may be addressed to and where it may come from: DNS rebinding and foreign pages stay outside.
//!
//! Every combination of Host and Origin, on a server with its defaults and on one that also answers to another name, by
//! POST, GET and DELETE, at every way in.

use crate::process::{Answer, Serving, bureau};
use crate::support::TestDatabase;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const PONG: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
/// The name that the second server answers to.
const NAME: &str = "bureau.example.com";

/// Who lets a request in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LetIn {
    /// Every server.
    Always,
    /// The one that was told the name.
    Configured,
    /// No server, because of this.
    Never(&'static str),
}
use LetIn::{Always, Configured, Never};

const HOST: LetIn = Never("this Host");
const ORIGIN: LetIn = Never("this Origin");

/// Header lines that say whom a request is for and where it comes from. `$OWN` is the server's address.
const COMBINATIONS: &[(LetIn, &[&str])] = &[
    // Host alone.
    (Always, &["Host: $OWN"]),
    (Always, &["Host: 127.0.0.1"]),
    (Always, &["Host: 127.0.0.1:1"]),
    (Always, &["Host: localhost"]),
    (Always, &["Host: localhost:8650"]),
    (Always, &["Host: LOCALHOST"]),
    (Always, &["Host: LocalHost:80"]),
    (Always, &["Host: [::1]"]),
    (Always, &["Host: [::1]:8650"]),
    (Always, &["host:localhost"]),
    (Configured, &["Host: bureau.example.com"]),
    (Configured, &["Host: bureau.example.com:443"]),
    (Configured, &["Host: Bureau.Example.COM"]),
    (HOST, &[]),
    (HOST, &["Host:"]),
    (HOST, &["Host: null"]),
    (HOST, &["Host: *"]),
    (HOST, &["Host: evil.example"]),
    (HOST, &["Host: evil.example:8650"]),
    (HOST, &["Host: localhost.evil"]),
    (HOST, &["Host: localhost.evil.example"]),
    (HOST, &["Host: 127.0.0.1.evil.example"]),
    (HOST, &["Host: evil.localhost"]),
    (HOST, &["Host: notlocalhost"]),
    (HOST, &["Host: localhostevil"]),
    (HOST, &["Host: localhost."]),
    (HOST, &["Host: .localhost"]),
    (HOST, &["Host: localhost:"]),
    (HOST, &["Host: localhost:http"]),
    (HOST, &["Host: localhost:-1"]),
    (HOST, &["Host: localhost:+80"]),
    (HOST, &["Host: localhost:65536"]),
    (HOST, &["Host: localhost:80:80"]),
    (HOST, &["Host: localhost:80@evil.example"]),
    (HOST, &["Host: user@localhost"]),
    (HOST, &["Host: localhost@evil.example"]),
    (HOST, &["Host: localhost/"]),
    (HOST, &["Host: localhost/evil.example"]),
    (HOST, &["Host: localhost#evil.example"]),
    (HOST, &["Host: localhost\\evil.example"]),
    (HOST, &["Host: localhost, evil.example"]),
    (HOST, &["Host: localhost evil.example"]),
    (HOST, &["Host: http://localhost"]),
    (HOST, &["Host: localhost\u{e9}"]),
    (HOST, &["Host: ｌocalhost"]),
    (HOST, &["Host: 0.0.0.0"]),
    (HOST, &["Host: 127.0.0.2"]),
    (HOST, &["Host: 127.1"]),
    (HOST, &["Host: 127.0.0.1."]),
    (HOST, &["Host: 0x7f000001"]),
    (HOST, &["Host: 2130706433"]),
    (HOST, &["Host: 0177.0.0.1"]),
    (HOST, &["Host: 192.168.1.10"]),
    (HOST, &["Host: ::1"]),
    (HOST, &["Host: [::1"]),
    (HOST, &["Host: ::1]"]),
    (HOST, &["Host: [::1]x"]),
    (HOST, &["Host: [::1].evil.example"]),
    (HOST, &["Host: [::1%lo]"]),
    (HOST, &["Host: [::]"]),
    (HOST, &["Host: [::2]"]),
    (HOST, &["Host: [::ffff:127.0.0.1]"]),
    (HOST, &["Host: [localhost]x"]),
    (HOST, &["Host: bureau.example.com.evil.example"]),
    (HOST, &["Host: evil-bureau.example.com"]),
    (HOST, &["Host: sub.bureau.example.com"]),
    (HOST, &["Host: example.com"]),
    (HOST, &["Host: bureau.example.com."]),
    (HOST, &["Host: localhost", "Host: localhost"]),
    (HOST, &["Host: localhost", "Host: evil.example"]),
    (HOST, &["Host: evil.example", "Host: localhost"]),
    (HOST, &["X-Forwarded-Host: localhost"]),
    (HOST, &["Host: evil.example", "X-Forwarded-Host: localhost"]),
    (HOST, &["Host: evil.example", "Forwarded: host=localhost"]),
    // Origin, with a good Host.
    (Always, &["Host: localhost", "Origin: http://localhost"]),
    (Always, &["Host: localhost", "Origin: http://localhost:3000"]),
    (Always, &["Host: localhost", "Origin: https://localhost"]),
    (Always, &["Host: localhost", "Origin: http://LOCALHOST:3000"]),
    (Always, &["Host: localhost", "Origin: https://127.0.0.1:8443"]),
    (Always, &["Host: localhost", "Origin: http://[::1]:5173"]),
    (Always, &["Host: 127.0.0.1", "Origin: http://localhost:6274"]),
    (Always, &["Host: localhost", "X-Forwarded-Host: evil.example"]),
    (Always, &["Host: localhost", "Referer: https://evil.example/page"]),
    (Configured, &["Host: localhost", "Origin: https://bureau.example.com"]),
    (Configured, &["Host: bureau.example.com", "Origin: https://bureau.example.com"]),
    (Configured, &["Host: bureau.example.com", "Origin: http://localhost:6274"]),
    (Configured, &["Host: localhost", "Origin: https://BUREAU.example.com:8443"]),
    (ORIGIN, &["Host: localhost", "Origin:"]),
    (ORIGIN, &["Host: localhost", "Origin: null"]),
    (ORIGIN, &["Host: localhost", "Origin: *"]),
    (ORIGIN, &["Host: localhost", "Origin: localhost"]),
    (ORIGIN, &["Host: localhost", "Origin: localhost:3000"]),
    (ORIGIN, &["Host: localhost", "Origin: //localhost"]),
    (ORIGIN, &["Host: localhost", "Origin: http://"]),
    (ORIGIN, &["Host: localhost", "Origin: http:localhost"]),
    (ORIGIN, &["Host: localhost", "Origin: http:///localhost"]),
    (ORIGIN, &["Host: localhost", "Origin: https://evil.example"]),
    (ORIGIN, &["Host: $OWN", "Origin: https://evil.example"]),
    (ORIGIN, &["Host: localhost", "Origin: http://localhost.evil"]),
    (ORIGIN, &["Host: localhost", "Origin: http://localhost.evil.example"]),
    (ORIGIN, &["Host: localhost", "Origin: http://127.0.0.1.evil.example:80"]),
    (ORIGIN, &["Host: localhost", "Origin: http://evil.localhost"]),
    (ORIGIN, &["Host: localhost", "Origin: http://localhost."]),
    (ORIGIN, &["Host: localhost", "Origin: http://localhost/"]),
    (ORIGIN, &["Host: localhost", "Origin: http://localhost/evil"]),
    (ORIGIN, &["Host: localhost", "Origin: http://localhost:"]),
    (ORIGIN, &["Host: localhost", "Origin: http://localhost:99999"]),
    (ORIGIN, &["Host: localhost", "Origin: http://user@localhost"]),
    (ORIGIN, &["Host: localhost", "Origin: http://localhost@evil.example"]),
    (ORIGIN, &["Host: localhost", "Origin: http://localhost:80@evil.example"]),
    (ORIGIN, &["Host: localhost", "Origin: http://evil.example/http://localhost"]),
    (ORIGIN, &["Host: localhost", "Origin: http://localhost http://evil.example"]),
    (ORIGIN, &["Host: localhost", "Origin: http://localhost, http://evil.example"]),
    (ORIGIN, &["Host: localhost", "Origin: http://[::2]"]),
    (ORIGIN, &["Host: localhost", "Origin: http://::1"]),
    (ORIGIN, &["Host: localhost", "Origin: file://"]),
    (ORIGIN, &["Host: localhost", "Origin: ftp://localhost"]),
    (ORIGIN, &["Host: localhost", "Origin: ws://localhost"]),
    (ORIGIN, &["Host: localhost", "Origin: chrome-extension://abcdefgh"]),
    (ORIGIN, &["Host: localhost", "Origin: vscode-webview://abcdefgh"]),
    (ORIGIN, &["Host: localhost", "Origin: http://localhost", "Origin: https://evil.example"]),
    (ORIGIN, &["Host: localhost", "Origin: https://evil.example", "Origin: http://localhost"]),
    (Never("this "), &["Host: bureau.example.com", "Origin: https://evil.example"]),
    // Both wrong: a rebound name shows itself in both.
    (HOST, &["Host: evil.example", "Origin: http://evil.example"]),
    (HOST, &["Host: evil.example", "Origin: http://localhost"]),
];

/// Request targets that name a host themselves, which then counts (RFC 9112, 3.2.2), and the Host beside them.
const TARGETS: &[(LetIn, &str, &str)] = &[
    (Always, "http://localhost", "Host: localhost"),
    (Always, "http://127.0.0.1:8650", "Host: localhost"),
    (Always, "http://[::1]", "Host: localhost"),
    (Configured, "http://bureau.example.com", "Host: bureau.example.com"),
    (HOST, "http://evil.example", "Host: localhost"),
    (HOST, "http://localhost.evil.example", "Host: localhost"),
    (HOST, "http://user@localhost", "Host: localhost"),
    (HOST, "http://evil.example", "Host: evil.example"),
    (HOST, "http://localhost", "Host: evil.example"),
];

async fn sent(serving: &Serving, method: &str, target: &str, lines: &[String]) -> Answer {
    let body = if method == "POST" { PING } else { "" };
    let head = format!(
        "{method} {target} HTTP/1.1\r\n{}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Authorization: Bearer {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        lines.join("\r\n"),
        serving.token,
        body.len()
    );
    // Without any line of its own the head must not begin with an empty one.
    let head = head.replacen("HTTP/1.1\r\n\r\n", "HTTP/1.1\r\n", 1);
    let mut connection = serving.connect().await;
    connection.send(head).await.unwrap();
    connection.answer().await.unwrap()
}

/// What is wrong with an answer, if anything.
fn fault(let_in: LetIn, configured: bool, method: &str, target: &str, answer: &Answer) -> Option<String> {
    let refused = match let_in {
        Always => None,
        Configured if configured => None,
        // Which of the two is told does not matter where both are the unknown name.
        Configured => Some(""),
        Never(what) => Some(what),
    };
    let fits = match refused {
        // The page for people is only read.
        None if method == "POST" && target.ends_with("/console") => answer.status == 405,
        None if method == "POST" => (answer.status, answer.body.as_str()) == (200, PONG),
        // Whether there is a stream or a session to end is another matter; it is no question of whence.
        None => answer.status != 403 && answer.status < 500,
        Some(what) => {
            let why = ["this Host", "this Origin"]
                .map(|what| format!("{what} is not allowed here; start the server with --allowed-host to add a name"));
            let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
            let told = body["error"]["message"].as_str().unwrap_or_default();
            // Some are refused before they are understood at all.
            let unreadable = answer.status == 400 && answer.body.is_empty();
            unreadable
                || (answer.status == 403
                    && body["error"]["code"] == -32600
                    && body["id"].is_null()
                    && told.starts_with(what)
                    && why.iter().any(|why| why == told))
        }
    };
    (!fits).then(|| format!("{} {}", answer.status, answer.body.chars().take(120).collect::<String>()))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_requests_to_this_server_from_its_own_pages_are_let_in() {
    let (database, other) = (TestDatabase::new().await, TestDatabase::new().await);
    let default = Serving::on_new(&database).await;
    let words = ["serve", "--listen", "127.0.0.1:0", "--allowed-host", NAME];
    let configured = Serving::start(bureau(&other, &words), None).await;
    let (mut cases, mut wrong) = (0, Vec::new());
    for (serving, is_configured) in [(&default, false), (&configured, true)] {
        for path in ["/mcp", "/mcp/tasks", "/rpc", "/console"] {
            for method in ["POST", "GET", "DELETE"] {
                let own = serving.address.to_string();
                let combinations = COMBINATIONS.iter().map(|(let_in, lines)| {
                    (*let_in, path.to_owned(), lines.iter().map(|line| line.replace("$OWN", &own)).collect::<Vec<_>>())
                });
                let targets = TARGETS
                    .iter()
                    .map(|(let_in, base, host)| (*let_in, format!("{base}{path}"), vec![(*host).to_owned()]));
                for (let_in, target, lines) in combinations.chain(targets) {
                    let answer = sent(serving, method, &target, &lines).await;
                    cases += 1;
                    if let Some(got) = fault(let_in, is_configured, method, &target, &answer) {
                        let mode = if is_configured { "configured" } else { "default" };
                        wrong.push(format!("{mode} {method} {target} {lines:?}: wanted {let_in:?}, got {got}"));
                    }
                }
            }
        }
    }
    println!("{} combinations and {} targets in {cases} requests", COMBINATIONS.len(), TARGETS.len());
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
}
