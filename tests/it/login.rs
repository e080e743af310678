//! Signing in: who gets in, what everyone else is told, and how often one may guess.

use bureau_kit::access::Shown;
use serde_json::{Value, json};

use crate::process::{Serving, call_message, soon};
use crate::support::{TestDatabase, Tester, as_nobody};

const PASSWORD: &str = "Kuchnia1!";
const WRONG: &str =
    "The e-mail or the password is wrong. Check both, or ask for a new password with password_reset_request.";

async fn with_anna() -> (Tester, Value) {
    let owner = Tester::new().await;
    let anna = json!({"email": "Anna@Example.com", "first_name": "Anna", "last_name": "Nowak", "password": PASSWORD});
    let user = owner.ok("user_create", anna).await;
    (owner, user)
}

async fn login(tester: &Tester, email: &str, password: &str) -> Result<Value, Value> {
    as_nobody(tester, "session_login", json!({"email": email, "password": password})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_opens_a_session_with_the_users_own_rights() {
    let (owner, user) = with_anna().await;
    let opened = login(&owner, " ANNA@example.com ", PASSWORD).await.unwrap();
    assert_eq!(opened["user"]["id"], user["id"]);
    assert_eq!((&opened["ok"], &opened["expires_at"]), (&json!(true), &json!("2026-11-21T18:00:00Z")));
    let anna = owner.with_token(opened["token"].as_str().unwrap());
    assert_eq!(anna.ok("me", json!({})).await["data"][0]["email"], "Anna@Example.com");
    assert_eq!(anna.err("contract_settle", json!({"id": "1"})).await["code"], "forbidden");
    // Signed in, one may sign in again, and out of the one session only.
    let again = anna.ok("session_login", json!({"email": "anna@example.com", "password": PASSWORD})).await;
    let second = owner.with_token(again["token"].as_str().unwrap());
    assert_eq!(second.ok("session_logout", json!({})).await["revoked"], 1);
    assert_eq!(second.err("me", json!({})).await["code"], "unauthenticated");
    anna.ok("me", json!({})).await;
    let log = owner.ok("action_log_list", json!({"actor_user_id": user["id"]})).await;
    let mut tools: Vec<&str> =
        log["items"].as_array().unwrap().iter().map(|item| item["tool"].as_str().unwrap()).collect();
    // All at one moment of the fixed clock.
    tools.sort();
    assert_eq!(tools, ["session_login", "session_login", "session_logout"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_whether_an_account_exists() {
    let (owner, user) = with_anna().await;
    owner.ok("user_create", json!({"email": "nopassword@example.com"})).await;
    owner.ok("user_create", json!({"email": "blocked@example.com", "password": PASSWORD})).await;
    let blocked = owner.ok("user_list", json!({"q": "blocked@example.com"})).await["items"][0]["id"].clone();
    owner.ok("user_block", json!({"id": blocked})).await;
    for (email, password) in [
        ("anna@example.com", "Kuchnia2!"),
        ("anna@example.com", ""),
        ("nobody@example.com", PASSWORD),
        ("nopassword@example.com", PASSWORD),
        ("blocked@example.com", PASSWORD),
        ("no address", PASSWORD),
    ] {
        let refused = login(&owner, email, password).await.unwrap_err();
        let expected = json!({"code": "forbidden", "message": WRONG, "details": {"reason": "bad_credentials"}});
        assert_eq!(refused, expected, "{email}");
    }
    // Nor from how long the answer takes: a password is hashed for whoever it is, and next to that all else is short.
    let mut micros: [Vec<u128>; 3] = Default::default();
    for _ in 0..5 {
        let emails = ["anna@example.com", "nobody@example.com", "nopassword@example.com"];
        for (email, micros) in emails.iter().zip(&mut micros) {
            let start = std::time::Instant::now();
            login(&owner, email, "Kuchnia2!").await.unwrap_err();
            micros.push(start.elapsed().as_micros());
        }
    }
    let [anna, nobody, passwordless] = micros.map(|mut all| {
        all.sort_unstable();
        all[2]
    });
    println!(
        "median of a refused login: {anna} µs, without an account {nobody} µs, without a password {passwordless} µs"
    );
    assert!(nobody * 3 > anna && anna * 3 > nobody && passwordless * 3 > anna && anna * 3 > passwordless);
    // A new password ends the old one at once.
    owner.ok("user_update", json!({"id": user["id"], "password": "Inne-has1o"})).await;
    assert_eq!(login(&owner, "anna@example.com", PASSWORD).await.unwrap_err()["message"], WRONG);
    login(&owner, "anna@example.com", "Inne-has1o").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_wrong_passwords_close_the_account_to_guessing_for_a_while() {
    let (owner, _) = with_anna().await;
    for _ in 0..10 {
        login(&owner, "anna@example.com", "wrong").await.unwrap_err();
    }
    let refused = login(&owner, "anna@example.com", PASSWORD).await.unwrap_err();
    assert_eq!(refused["code"], "rate_limited");
    assert_eq!(refused["message"], "Too many attempts. Wait 900 seconds before the next one.");
    assert_eq!(login(&owner, "other@example.com", PASSWORD).await.unwrap_err()["message"], WRONG);
}

#[tokio::test(flavor = "multi_thread")]
async fn someone_known_in_two_tenants_says_which() {
    let (owner, _) = with_anna().await;
    let other = owner.other_tenant().await;
    other.ok("user_create", json!({"email": "anna@example.com", "password": PASSWORD})).await;
    let refused = login(&owner, "anna@example.com", PASSWORD).await.unwrap_err();
    assert_eq!(refused["message"], "/tenant_id: is required: this address has users in several tenants, see details");
    let tenants = refused["details"]["tenants"].as_array().unwrap();
    assert_eq!(tenants.len(), 2, "{refused}");
    for tenant in tenants {
        for name in ["id", "slug"] {
            let arguments = json!({"email": "anna@example.com", "password": PASSWORD, "tenant_id": tenant[name]});
            let opened = as_nobody(&owner, "session_login", arguments).await.unwrap();
            assert_eq!(opened["tenant"], *tenant);
        }
    }
    let role = |role: &str| json!({"email": "anna@example.com", "password": PASSWORD, "tenant_id": owner.tenant_id, "require_role": role});
    as_nobody(&owner, "session_login", role("user")).await.unwrap();
    let refused = as_nobody(&owner, "session_login", role("admin")).await.unwrap_err();
    assert_eq!(refused["message"], "Anna Nowak does not have the role admin.");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reaches_public_tools_only() {
    let (owner, _) = with_anna().await;
    for entry in owner.bureau.registry.entries() {
        let answer = as_nobody(&owner, entry.tool.name, json!({"no_such_argument": 1})).await.unwrap_err();
        let expected = if entry.tool.public { "validation" } else { "unauthenticated" };
        assert_eq!(answer["code"], expected, "{}: {answer}", entry.tool.name);
        let Shown::Token(token) = &owner.shown else { panic!("the owner has a token") };
        let damaged = owner.with_token(&token.replace("buk_", "buk_x"));
        assert_eq!(damaged.err(entry.tool.name, json!({})).await["code"], "unauthenticated", "{}", entry.tool.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_signing_in_needs_no_token_and_everything_else_does() {
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let created = json!({"email": "anna@example.com", "password": PASSWORD});
    serving.ok("user_create", created.clone()).await;
    let mut connection = serving.connect().await;
    let mut post = async |path: &str, body: Value| {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, \
             text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.send(head).await.unwrap();
        connection.answer().await.unwrap()
    };
    let opened = post("/rpc", json!({"jsonrpc": "2.0", "id": 1, "method": "session_login", "params": created})).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    assert!(opened.json()["result"]["token"].as_str().unwrap().starts_with("bus_"), "{opened:?}");
    let opened = post("/mcp", call_message(json!(1), "session_login", created.clone())).await;
    assert_eq!(opened.json()["result"]["structuredContent"]["ok"], true, "{opened:?}");
    for body in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "me"}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "rpc.discover"}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
        json!([{"jsonrpc": "2.0", "id": 1, "method": "session_login", "params": created}]),
        call_message(json!(1), "tool_call_write", json!({"name": "session_login", "arguments": created})),
        call_message(json!(1), "user_list", json!({})),
    ] {
        let refused = post("/rpc", body.clone()).await;
        assert_eq!(refused.status, 401, "{body}: {refused:?}");
    }
}

/// Comparing a password, a call gives its place at the database up: those that wait for one must not wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn more_people_sign_in_at_once_than_there_are_connections() {
    let (owner, _) = with_anna().await;
    let calls = (0..48).map(|_| {
        let owner = owner.clone();
        tokio::spawn(async move { login(&owner, "anna@example.com", PASSWORD).await })
    });
    for call in calls.collect::<Vec<_>>() {
        let opened = soon("a login among many", call).await.unwrap();
        assert!(opened.is_ok(), "{opened:?}");
    }
}
