//! OAuth: an issuer of our own on loopback, and what the server makes of its tokens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bureau::http;
use bureau::mcp::Server;
use bureau::oauth::{OAuth, Options};
use bureau_kit::time::Instant;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::process::{Serving, bureau, ended};
use crate::support::{TestDatabase, Tester};

/// By what clients know the server, whatever address a test gives it.
const PUBLIC: &str = "https://bureau.example.com";
const AUDIENCE: &str = "https://bureau.example.com/mcp";
const METADATA_PARAMETER: &str =
    "resource_metadata=\"https://bureau.example.com/.well-known/oauth-protected-resource/mcp\"";

/// A key of the issuer.
enum Signer {
    Rsa(RsaKeyPair, &'static dyn signature::RsaEncoding, &'static str),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    fn rsa(algorithm: &'static str) -> Self {
        let pem = include_str!("keys/rsa.pem");
        let body = pem.split("-----").nth(2).unwrap().split_whitespace().collect::<String>();
        let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
        let encoding: &dyn signature::RsaEncoding =
            if algorithm == "PS256" { &signature::RSA_PSS_SHA256 } else { &signature::RSA_PKCS1_SHA256 };
        Self::Rsa(pair, encoding, algorithm)
    }

    fn ec() -> Self {
        let (random, algorithm) = (SystemRandom::new(), &signature::ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::Ec(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap())
    }

    fn ed() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_, _, algorithm) => algorithm,
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair, encoding, _) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// As the issuer publishes it.
    fn published(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(pair, _, algorithm) => {
                let parts = signature::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": algorithm, "n": text(&parts.n), "e": text(&parts.e)})
            }
            Self::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": text(x), "y": text(y)})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": text(pair.public_key().as_ref())})
            }
        }
    }

    fn token(&self, kid: &str, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "typ": "at+jwt", "kid": kid});
        self.token_with(&header, claims)
    }

    fn token_with(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.sign(message.as_bytes())))
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// What the issuer answers, and how often it was asked.
#[derive(Default)]
struct Desk {
    documents: BTreeMap<String, Value>,
    is_down: bool,
    cache_control: Option<&'static str>,
    asked: BTreeMap<String, usize>,
}

/// An issuer that listens on this machine.
struct Issuer {
    url: String,
    desk: Arc<Mutex<Desk>>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/realm", listener.local_addr().unwrap());
        let desk = Arc::new(Mutex::new(Desk::default()));
        let router = Router::new().fallback(answer).with_state(desk.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        let issuer = Self { url, desk };
        let metadata = json!({"issuer": issuer.url, "jwks_uri": issuer.root("/keys")});
        issuer.publish("/.well-known/oauth-authorization-server/realm", metadata);
        issuer
    }

    fn root(&self, path: &str) -> String {
        format!("{}{path}", self.url.trim_end_matches("/realm"))
    }

    fn publish(&self, path: &str, document: Value) {
        self.desk.lock().unwrap().documents.insert(path.to_owned(), document);
    }

    fn publish_keys(&self, keys: &[Value]) {
        self.publish("/keys", json!({"keys": keys}));
    }

    fn asked_for_keys(&self) -> usize {
        self.desk.lock().unwrap().asked.get("/keys").copied().unwrap_or_default()
    }
}

async fn answer(State(desk): State<Arc<Mutex<Desk>>>, request: Request) -> Response {
    let mut desk = desk.lock().unwrap();
    let path = request.uri().path().to_owned();
    *desk.asked.entry(path.clone()).or_default() += 1;
    if desk.is_down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match desk.documents.get(&path) {
        Some(document) => {
            let cache_control = desk.cache_control.unwrap_or("public");
            ([("cache-control", cache_control)], document.to_string()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A server that trusts an issuer, both in this process, with one key.
struct Scene {
    owner: Tester,
    issuer: Issuer,
    signer: Signer,
    address: String,
}

/// What came back.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    challenge: Option<String>,
    body: Value,
}

impl Answer {
    fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_else(|| panic!("{self:?}"))
    }
}

impl Scene {
    async fn new() -> Self {
        Self::with(Signer::ed()).await
    }

    async fn with(signer: Signer) -> Self {
        let issuer = Issuer::start().await;
        issuer.publish_keys(&[signer.published("one")]);
        let options = Options::new(&issuer.url, None, PUBLIC, None).unwrap();
        Self::serve(issuer, signer, Some(OAuth::new(options).unwrap())).await
    }

    async fn serve(issuer: Issuer, signer: Signer, oauth: Option<OAuth>) -> Self {
        let owner = Tester::new().await;
        let listener = http::Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = format!("http://{}", listener.tcp_address().unwrap());
        let limits = http::Limits { failures: 200, ..http::Limits::default() };
        let options = http::Options { oauth: oauth.map(Arc::new), limits, ..http::Options::default() };
        let server = Server::new(owner.bureau.clone()).unwrap();
        tokio::spawn(http::serve(server, options, vec![listener], std::future::pending()));
        Self { owner, issuer, signer, address }
    }

    fn now(&self) -> i64 {
        self.owner.bureau.clock.now().micros() / 1_000_000
    }

    /// What a good token says of somebody.
    fn claims(&self, subject: &str, email: &str) -> Value {
        json!({
            "iss": self.issuer.url, "aud": AUDIENCE, "sub": subject, "email": email, "email_verified": true,
            "scope": "openid bureau:read bureau:write", "iat": self.now(), "exp": self.now() + 3600,
        })
    }

    fn token(&self, claims: &Value) -> String {
        self.signer.token("one", claims)
    }

    fn owner_token(&self) -> String {
        self.token(&self.claims("owner-at-issuer", "owner@example.com"))
    }

    /// A call of the stateless protocol, as `/mcp` or `/rpc` gets it.
    async fn call_at(&self, path: &str, token: Option<&str>, tool: &str, arguments: Value) -> Answer {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
        self.send(path, token, tool, json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})).await
    }

    async fn send(&self, path: &str, token: Option<&str>, name: &str, message: Value) -> Answer {
        let mut request = reqwest::Client::new()
            .post(format!("{}{path}", self.address))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", name)
            .body(message.to_string());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        let challenge = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status} {text}: {error}"));
        Answer { status, challenge, body }
    }

    async fn call(&self, token: &str, tool: &str, arguments: Value) -> Answer {
        self.call_at("/mcp", Some(token), tool, arguments).await
    }

    /// The e-mail address of the user that a token acts as.
    async fn who(&self, token: &str) -> String {
        let answer = self.call(token, "me", json!({})).await;
        assert_eq!((answer.status, answer.challenge.as_deref()), (200, None), "{answer:?}");
        let found = &answer.body["result"]["structuredContent"];
        found["data"][0]["email"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }

    async fn new_user(&self, email: &str, role: &str) -> Value {
        self.owner.ok("user_create", json!({"email": email, "first_name": "A", "last_name": "B", "role": role})).await
    }

    fn later(&self, seconds: i64) {
        self.owner.bureau.clock.advance_seconds(seconds);
    }
}

fn invalid(why: &str) -> String {
    format!(
        "Bearer realm=\"bureau\", error=\"invalid_token\", error_description=\"{why}\", {METADATA_PARAMETER}, \
         scope=\"bureau:read bureau:write\""
    )
}

fn without(claims: &Value, name: &str) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().shift_remove(name);
    claims
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_every_accepted_algorithm_act_as_their_user() {
    let scene = Scene::new().await;
    let signers = [("a", Signer::rsa("RS256")), ("b", Signer::rsa("PS256")), ("c", Signer::ec()), ("d", Signer::ed())];
    scene.issuer.publish_keys(&signers.iter().map(|(kid, signer)| signer.published(kid)).collect::<Vec<_>>());
    let claims = scene.claims("owner-at-issuer", "OWNER@example.com");
    for (kid, signer) in &signers {
        assert_eq!(scene.who(&signer.token(kid, &claims)).await, "owner@example.com", "{}", signer.algorithm());
    }
    // Spellings that issuers use: a list of audiences, scopes as a list, no kind, a key that needs no name.
    let several = with(&claims, "aud", json!(["https://other.example", AUDIENCE]));
    assert_eq!(scene.who(&signers[3].1.token("d", &several)).await, "owner@example.com");
    let listed = with(&without(&claims, "scope"), "scp", json!(["bureau:write"]));
    assert_eq!(scene.who(&signers[2].1.token("c", &listed)).await, "owner@example.com");
    let nameless = signers[3].1.token_with(&json!({"alg": "EdDSA"}), &claims);
    assert_eq!(scene.who(&nameless).await, "owner@example.com");
    // Plain JSON-RPC takes them too, and what is done is done by the user.
    let token = signers[0].1.token("a", &claims);
    let made = scene.call_at("/rpc", Some(&token), "task_create", json!({"title": "by OAuth"})).await;
    assert_eq!(made.status, 200, "{made:?}");
    let log = scene.owner.ok("action_log_list", json!({"page_size": 1})).await;
    let owner = scene.owner.ok("user_list", json!({"q": "owner@example.com"})).await["items"][0]["id"].clone();
    let entry = &log["items"][0];
    assert_eq!((&entry["tool"], &entry["actor_id"]), (&json!("task_create"), &owner), "{log}");
    // Bureau's own tokens go on working beside.
    let bureau_kit::access::Shown::Token(own) = &scene.owner.shown else { panic!("the owner has a token") };
    assert_eq!(scene.who(own).await, "owner@example.com");
    assert_eq!(scene.issuer.asked_for_keys(), 1, "nothing is asked twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_not_good_here_are_refused_and_say_why() {
    let scene = Scene::with(Signer::rsa("RS256")).await;
    let now = scene.now();
    let good = scene.claims("owner-at-issuer", "owner@example.com");
    let signer = &scene.signer;
    let header = |alg: &str| json!({"alg": alg, "typ": "JWT", "kid": "one"});
    // The classic confusion: the public key, which everybody has, taken for a shared secret.
    let Signer::Rsa(pair, ..) = signer else { panic!("an RSA key") };
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, pair.public().as_ref());
    let message = unsigned(&header("HS256"), &good);
    let confused = format!("{message}.{}", URL_SAFE_NO_PAD.encode(ring::hmac::sign(&secret, message.as_bytes())));
    let honest = signer.token("one", &good);
    let (claimed, signature) = honest.rsplit_once('.').unwrap();
    let more = with(&good, "sub", json!("someone-else"));
    let swapped = format!("{}.{signature}", unsigned(&json!({"alg": "RS256", "typ": "at+jwt", "kid": "one"}), &more));
    let unsupported = "The token is not signed with RS256, PS256, ES256 or EdDSA";
    let other_server = "The token was made for another server";
    let unknown_key = "The token is signed with a key that the issuer does not have";
    let unreadable = "The claims of the token cannot be read";
    let not_yet = "The token is not valid yet";
    let foreign = "The token is neither one of Bureau nor a signed token of the issuer";
    let cases = [
        (
            "another audience",
            signer.token("one", &with(&good, "aud", json!("https://other.example/mcp"))),
            other_server,
        ),
        ("a slash behind", signer.token("one", &with(&good, "aud", json!(format!("{AUDIENCE}/")))), other_server),
        ("the server's root", signer.token("one", &with(&good, "aud", json!(PUBLIC))), other_server),
        ("upper case", signer.token("one", &with(&good, "aud", json!(AUDIENCE.to_uppercase()))), other_server),
        ("audience within", signer.token("one", &with(&good, "aud", json!(format!("{AUDIENCE} x")))), other_server),
        ("no audience", signer.token("one", &without(&good, "aud")), other_server),
        (
            "another issuer",
            signer.token("one", &with(&good, "iss", json!("https://evil.example"))),
            "The token is of another issuer",
        ),
        (
            "a slash behind the issuer",
            signer.token("one", &with(&good, "iss", json!(format!("{}/", scene.issuer.url)))),
            "The token is of another issuer",
        ),
        ("no issuer", signer.token("one", &without(&good, "iss")), "The token is of another issuer"),
        ("none", format!("{}.", unsigned(&header("none"), &good)), unsupported),
        ("none, signed", signer.token_with(&header("none"), &good), unsupported),
        ("HS256 with the public key", confused, unsupported),
        ("RS512", signer.token_with(&header("RS512"), &good), unsupported),
        ("a key of another algorithm", signer.token_with(&header("PS256"), &good), unknown_key),
        ("an unknown key", signer.token("two", &good), unknown_key),
        ("another's claims", swapped, "The signature of the token is wrong"),
        (
            "another key of that name",
            Signer::rsa("PS256").token_with(&header("RS256"), &good),
            "The signature of the token is wrong",
        ),
        ("no signature", format!("{claimed}."), "The signature of the token is wrong"),
        ("expired", signer.token("one", &with(&good, "exp", json!(now))), "The token has expired"),
        ("no end", signer.token("one", &without(&good, "exp")), "The token has no end (exp)"),
        ("an end that is text", signer.token("one", &with(&good, "exp", json!("9999999999"))), unreadable),
        ("nbf ahead", signer.token("one", &with(&good, "nbf", json!(now + 61))), not_yet),
        ("nbf as text", signer.token("one", &with(&good, "nbf", json!("0"))), unreadable),
        ("issued ahead", signer.token("one", &with(&good, "iat", json!(now + 61))), not_yet),
        (
            "no subject",
            signer.token("one", &without(&good, "sub")),
            "The token has no subject (sub) of 1 to 255 characters",
        ),
        (
            "an empty subject",
            signer.token("one", &with(&good, "sub", json!(""))),
            "The token has no subject (sub) of 1 to 255 characters",
        ),
        (
            "too long",
            signer.token("one", &with(&good, "pad", json!("x".repeat(8192)))),
            "The token is longer than 8 KiB",
        ),
        (
            "an extension",
            signer.token_with(&with(&header("RS256"), "crit", json!(["exp"])), &good),
            "The token wants extensions (crit) that are not known here",
        ),
        ("no token at all", "nonsense".to_owned(), foreign),
        ("an encrypted token", "a.b.c.d.e".to_owned(), foreign),
    ];
    for (name, token, why) in cases {
        let answer = scene.call(&token, "me", json!({})).await;
        let text = format!("{why}. Get a new access token from the authorization server.");
        let expected = Answer {
            status: 401,
            challenge: Some(invalid(why)),
            body: json!({"jsonrpc": "2.0", "id": null, "error": {"code": 401, "message": text}}),
        };
        assert_eq!(answer, expected, "{name}");
    }
    // The same key, just within what is allowed.
    for good in [
        with(&good, "nbf", json!(now + 60)),
        with(&good, "exp", json!(now + 1)),
        with(&good, "exp", json!(now as f64 + 0.5)),
    ] {
        assert_eq!(scene.who(&signer.token("one", &good)).await, "owner@example.com");
    }
    // A token ends while its principal is still remembered.
    let token = signer.token("one", &with(&good, "exp", json!(now + 10)));
    assert_eq!(scene.who(&token).await, "owner@example.com");
    scene.later(10);
    assert_eq!(scene.call(&token, "me", json!({})).await.challenge, Some(invalid("The token has expired")));
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_and_metadata_say_where_tokens_come_from() {
    let scene = Scene::new().await;
    let plain = format!("Bearer realm=\"bureau\", {METADATA_PARAMETER}, scope=\"bureau:read bureau:write\"");
    for path in ["/mcp", "/mcp/tasks", "/rpc"] {
        let answer = scene.call_at(path, None, "me", json!({})).await;
        assert_eq!((answer.status, answer.challenge.as_deref()), (401, Some(plain.as_str())), "{path}");
    }
    // One of Bureau's own tokens that is no good.
    let own = format!("bus_{}", "0".repeat(36));
    let answer = scene.call(&own, "me", json!({})).await;
    assert_eq!(answer.challenge, Some(invalid("The token is unknown, revoked or expired")));
    assert_eq!(answer.status, 401);

    let document = json!({
        "resource": AUDIENCE,
        "authorization_servers": [scene.issuer.url],
        "scopes_supported": ["bureau:read", "bureau:write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Bureau",
    });
    let client = reqwest::Client::new();
    let at = |path: &str| format!("{}/.well-known/oauth-protected-resource{path}", scene.address);
    for path in ["", "/mcp", "/mcp/tasks", "/rpc"] {
        let response = client.get(at(path)).header("origin", "https://app.example").send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.text().await.unwrap(), document.to_string(), "{path}");
    }
    let asked = client.request(reqwest::Method::OPTIONS, at("/mcp")).header("origin", "https://app.example");
    let asked = asked.send().await.unwrap();
    assert_eq!(
        (asked.status().as_u16(), &asked.headers()["access-control-allow-methods"]),
        (204, &"GET".parse().unwrap())
    );
    assert_eq!(client.post(at("/mcp")).send().await.unwrap().status(), 405);
    assert_eq!(client.get(at("/elsewhere")).send().await.unwrap().status(), 404);
    assert_eq!(client.get(at("/mcp")).header("host", "evil.example").send().await.unwrap().status(), 403);
    // The open door is this document's only.
    let elsewhere = client.get(format!("{}/healthz", scene.address)).send().await.unwrap();
    assert_eq!(elsewhere.headers().get("access-control-allow-origin"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_issuer_nothing_speaks_of_oauth() {
    let scene = Scene::serve(Issuer::start().await, Signer::ed(), None).await;
    let answer = scene.call(&scene.owner_token(), "me", json!({})).await;
    assert_eq!((answer.status, answer.challenge.as_deref()), (401, Some("Bearer realm=\"bureau\"")));
    let url = format!("{}/.well-known/oauth-protected-resource/mcp", scene.address);
    assert_eq!(reqwest::get(url).await.unwrap().status(), 404);
    assert_eq!(scene.issuer.asked_for_keys(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_narrow_what_the_user_may_do() {
    let scene = Scene::new().await;
    let claims = scene.claims("owner-at-issuer", "owner@example.com");
    let challenge = format!(
        "Bearer realm=\"bureau\", error=\"insufficient_scope\", scope=\"bureau:read bureau:write\", {METADATA_PARAMETER}"
    );
    let reader = scene.token(&with(&claims, "scope", json!("bureau:read")));
    assert_eq!(scene.who(&reader).await, "owner@example.com");
    for (tool, arguments) in [
        ("task_create", json!({"title": "no"})),
        ("tool_call_write", json!({"name": "task_create", "arguments": {"title": "no"}})),
        ("tool_call_destructive", json!({"name": "task_delete", "arguments": {"id": 1}})),
    ] {
        let text =
            format!("{tool} changes data, and the access token has no scope bureau:write. Ask the person for it.");
        let expected = Answer {
            status: 403,
            challenge: Some(challenge.clone()),
            body: json!({"jsonrpc": "2.0", "id": 7, "error": {"code": 403, "message": text}}),
        };
        assert_eq!(scene.call(&reader, tool, arguments).await, expected);
    }
    let read = json!({"name": "task_list", "arguments": {}});
    assert_eq!(scene.call(&reader, "tool_call_read", read).await.status, 200);
    // Elsewhere the gate itself refuses.
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": "task_create", "params": {"title": "no"}});
    let answer = scene.send("/rpc", Some(&reader), "", message.clone()).await;
    assert_eq!(answer.message(), "task_create writes, and your token is read-only.");
    let answer = scene.send("/rpc", Some(&reader), "", json!([message])).await;
    assert_eq!(answer.body[0]["error"]["message"], "task_create writes, and your token is read-only.");
    assert_eq!(scene.owner.ok("task_list", json!({})).await["total"], 0);

    for scope in ["", "openid profile", "bureau:readable", "bureau", "*"] {
        let answer = scene.call(&scene.token(&with(&claims, "scope", json!(scope))), "me", json!({})).await;
        let text = "The access token has none of the scopes bureau:read and bureau:write. Ask for one that has.";
        let expected = Answer {
            status: 403,
            challenge: Some(challenge.clone()),
            body: json!({"jsonrpc": "2.0", "id": null, "error": {"code": 403, "message": text}}),
        };
        assert_eq!(answer, expected, "{scope}");
    }
    // The wider scope holds the narrower one.
    let writer = scene.token(&with(&claims, "scope", json!("bureau:write")));
    assert_eq!(scene.who(&writer).await, "owner@example.com");
    assert_eq!(scene.call(&writer, "task_create", json!({"title": "yes"})).await.status, 200);
    // A scope gives no right that the user does not hold.
    scene.new_user("guest@example.com", "guest").await;
    let guest = scene.token(&scene.claims("guest-at-issuer", "guest@example.com"));
    let answer = scene.call(&guest, "user_create", json!({"email": "x@example.com"})).await;
    assert_eq!(answer.body["result"]["structuredContent"]["code"], "forbidden", "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_renewed_and_asked_for_with_restraint() {
    let scene = Scene::new().await;
    let two = Signer::ed();
    let one = scene.owner_token();
    assert_eq!(scene.who(&one).await, "owner@example.com");
    let new = || two.token("two", &scene.claims("owner-at-issuer", "owner@example.com"));
    // The issuer takes a new key; the first token that names it makes us ask, though not at once again.
    scene.issuer.publish_keys(&[scene.signer.published("one"), two.published("two")]);
    assert_eq!(scene.call(&new(), "me", json!({})).await.status, 401);
    assert_eq!(scene.issuer.asked_for_keys(), 1);
    scene.later(30);
    let all = futures(20, || async { scene.who(&new()).await }).await;
    assert!(all.iter().all(|email| email == "owner@example.com"), "{all:?}");
    assert_eq!(scene.issuer.asked_for_keys(), 2, "twenty at once ask once");
    assert_eq!(scene.who(&one).await, "owner@example.com");
    for attempt in 0..20 {
        let claims = scene.claims("owner-at-issuer", "owner@example.com");
        assert_eq!(scene.call(&two.token(&format!("invented {attempt}"), &claims), "me", json!({})).await.status, 401);
    }
    assert_eq!(scene.issuer.asked_for_keys(), 2, "invented names are asked for at most every half minute");
    // The old key is withdrawn: within ten minutes nothing signed with it is good.
    scene.issuer.publish_keys(&[two.published("two")]);
    scene.later(599);
    assert_eq!(scene.who(&one).await, "owner@example.com");
    scene.later(1);
    let gone = scene.call(&one, "me", json!({})).await;
    assert_eq!(gone.challenge, Some(invalid("The token is signed with a key that the issuer does not have")));
    assert_eq!(scene.issuer.asked_for_keys(), 3);
    // A shorter life, where the issuer says so.
    scene.issuer.desk.lock().unwrap().cache_control = Some("max-age=90");
    scene.later(600);
    assert_eq!(scene.who(&new()).await, "owner@example.com");
    scene.later(89);
    assert_eq!(scene.who(&new()).await, "owner@example.com");
    assert_eq!(scene.issuer.asked_for_keys(), 4);
    scene.later(1);
    assert_eq!(scene.who(&new()).await, "owner@example.com");
    assert_eq!(scene.issuer.asked_for_keys(), 5);
}

async fn futures<T, F: Future<Output = T>>(count: usize, make: impl Fn() -> F) -> Vec<T> {
    let mut running: Vec<_> = (0..count).map(|_| Box::pin(make())).collect();
    let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in running.iter_mut().zip(&mut done) {
            if done.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *done = Some(value),
                    std::task::Poll::Pending => {}
                }
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_down_stops_nobody_for_a_day() {
    let scene = Scene::new().await;
    let down = |is_down: bool| scene.issuer.desk.lock().unwrap().is_down = is_down;
    let text = "The keys of the authorization server cannot be fetched, so the token cannot be checked. Try again in half a \
                minute; the log of this server says what is wrong.";
    down(true);
    let answer = scene.call(&scene.owner_token(), "me", json!({})).await;
    let expected = Answer {
        status: 503,
        challenge: None,
        body: json!({"jsonrpc": "2.0", "id": null, "error": {"code": 503, "message": text}}),
    };
    assert_eq!(answer, expected, "no key was ever seen");
    down(false);
    assert_eq!(scene.call(&scene.owner_token(), "me", json!({})).await.status, 503, "asked a moment ago");
    scene.later(30);
    assert_eq!(scene.who(&scene.owner_token()).await, "owner@example.com");
    down(true);
    for hours in [1, 12, 10] {
        scene.later(hours * 3600);
        assert_eq!(scene.who(&scene.owner_token()).await, "owner@example.com");
    }
    scene.later(3600);
    assert_eq!(scene.call(&scene.owner_token(), "me", json!({})).await, expected, "after a day");
    down(false);
    scene.later(30);
    assert_eq!(scene.who(&scene.owner_token()).await, "owner@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_found_by_either_metadata_and_by_address_and_never_through_strangers() {
    let signer = Signer::ed();
    let open = "/realm/.well-known/openid-configuration";
    let ours = "/.well-known/oauth-authorization-server/realm";
    for (name, changes, jwks, status) in [
        ("OpenID", vec![(ours, Value::Null), (open, json!({"jwks_uri": "/keys"}))], None, 200),
        ("an address given", vec![(ours, Value::Null)], Some("/keys"), 200),
        (
            "another issuer's document",
            vec![(ours, json!({"issuer": "https://evil.example", "jwks_uri": "/keys"}))],
            None,
            503,
        ),
        ("keys over http", vec![(ours, json!({"jwks_uri": "http://evil.example/keys"}))], None, 503),
        ("no document", vec![(ours, Value::Null)], None, 503),
        (
            "keys too long",
            vec![("/keys", json!({"keys": [signer.published("one")], "pad": "x".repeat(256 * 1024)}))],
            None,
            503,
        ),
        ("no keys", vec![("/keys", json!({"keys": []}))], None, 503),
        (
            "keys among foreign ones",
            vec![("/keys", json!({"keys": [1, {"kty": "oct", "k": "AQAB"}, signer.published("one")]}))],
            None,
            200,
        ),
    ] {
        let issuer = Issuer::start().await;
        issuer.publish_keys(&[signer.published("one")]);
        for (path, document) in changes {
            let mut document = document;
            if document.is_null() {
                issuer.desk.lock().unwrap().documents.remove(path);
                continue;
            }
            if document["jwks_uri"] == "/keys" {
                document["jwks_uri"] = json!(issuer.root("/keys"));
            }
            if path != "/keys" && document["issuer"].is_null() {
                document["issuer"] = json!(issuer.url);
            }
            issuer.publish(path, document);
        }
        let jwks = jwks.map(|path| issuer.root(path));
        let oauth = OAuth::new(Options::new(&issuer.url, None, PUBLIC, jwks).unwrap()).unwrap();
        let scene = Scene::serve(issuer, Signer::ed(), Some(oauth)).await;
        let token = signer.token("one", &scene.claims("owner-at-issuer", "owner@example.com"));
        assert_eq!(scene.call(&token, "me", json!({})).await.status, status, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_found_by_its_verified_address_once_and_stays_who_it_is() {
    let scene = Scene::new().await;
    scene.new_user("mallory@example.com", "user").await;
    let stranger = |text: &str| Answer {
        status: 403,
        challenge: None,
        body: json!({"jsonrpc": "2.0", "id": null, "error": {"code": 403, "message": text}}),
    };
    let unverified = "The token names no verified e-mail address, by which your user could be found. Have the issuer verify the \
                      address and put `email` and `email_verified` into access tokens.";
    let claims = scene.claims("mallory-at-issuer", "mallory@example.com");
    for claims in [
        with(&claims, "email_verified", json!(false)),
        with(&claims, "email_verified", json!("true")),
        without(&claims, "email_verified"),
        without(&claims, "email"),
        with(&claims, "email", json!("no address")),
    ] {
        assert_eq!(scene.call(&scene.token(&claims), "me", json!({})).await, stranger(unverified), "{claims}");
    }
    let nobody = scene.token(&with(&claims, "email", json!("nobody@example.com")));
    let text = "No user of this server has the e-mail address nobody@example.com. Ask an administrator to invite nobody@example.com.";
    assert_eq!(scene.call(&nobody, "me", json!({})).await, stranger(text));
    assert_eq!(scene.owner.ok("oauth_subject_list", json!({})).await["total"], 0);

    // Found, and linked.
    assert_eq!(scene.who(&scene.token(&claims)).await, "mallory@example.com");
    let links = scene.owner.ok("oauth_subject_list", json!({})).await;
    assert_eq!((&links["total"], &links["items"][0]["subject"]), (&json!(1), &json!("mallory-at-issuer")), "{links}");
    // Mallory takes the owner's address at the issuer, verified or not: Mallory stays Mallory.
    for (address, is_verified) in
        [("owner@example.com", true), ("owner@example.com", false), ("nobody@example.com", true)]
    {
        let changed = with(&with(&claims, "email", json!(address)), "email_verified", json!(is_verified));
        assert_eq!(scene.who(&scene.token(&changed)).await, "mallory@example.com", "{address} {is_verified}");
    }
    // The owner comes, and then a second account with the owner's address.
    assert_eq!(scene.who(&scene.owner_token()).await, "owner@example.com");
    let second = scene.token(&scene.claims("second-account", "owner@example.com"));
    let taken = "The user with the e-mail address owner@example.com belongs to another account at the issuer. If you are the same \
                 person with a new account, ask an administrator to delete the old link (oauth_subject_delete).";
    assert_eq!(scene.call(&second, "me", json!({})).await, stranger(taken));
    let links = scene.owner.ok("oauth_subject_list", json!({})).await;
    let link = links["items"].as_array().unwrap().iter().find(|link| link["subject"] == "owner-at-issuer").unwrap();
    scene.owner.ok("oauth_subject_delete", json!({"id": link["id"]})).await;
    assert_eq!(scene.who(&second).await, "owner@example.com");
    // The old account's token was good a moment ago, and is looked at anew.
    assert_eq!(scene.call(&scene.owner_token(), "me", json!({})).await.status, 401);
    assert_eq!(scene.call(&scene.owner_token(), "me", json!({})).await, stranger(taken));
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_first_calls_at_once_make_one_link() {
    let scene = Scene::new().await;
    let tokens = (0..20).map(|number| {
        let claims = with(&scene.claims("owner-at-issuer", "owner@example.com"), "jti", json!(number));
        scene.token(&claims)
    });
    let tokens = Mutex::new(tokens.collect::<Vec<_>>());
    let all = futures(20, || {
        let token = tokens.lock().unwrap().pop().unwrap();
        let scene = &scene;
        async move { scene.who(&token).await }
    });
    assert_eq!(all.await, vec!["owner@example.com".to_owned(); 20]);
    assert_eq!(scene.owner.ok("oauth_subject_list", json!({})).await["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_or_deleted_user_is_out_at_the_next_call() {
    let scene = Scene::new().await;
    let user = scene.new_user("anna@example.com", "user").await;
    let token = scene.token(&scene.claims("anna-at-issuer", "anna@example.com"));
    assert_eq!(scene.who(&token).await, "anna@example.com");
    let blocked = scene.owner.ok("user_block", json!({"id": user["id"]})).await;
    let answer = scene.call(&token, "me", json!({})).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(answer.challenge, Some(invalid("The token is unknown, revoked or expired")));
    // Nor does another token help, and the link does not make room for somebody else.
    let other = scene.token(&with(&scene.claims("anna-at-issuer", "owner@example.com"), "jti", json!(1)));
    assert_eq!(scene.call(&other, "me", json!({})).await.status, 401);
    scene.owner.ok("action_undo", json!({"undo_token": blocked["undo_token"]})).await;
    assert_eq!(scene.who(&token).await, "anna@example.com");
    // The link goes with the user, and comes back with the user.
    let deleted = scene.owner.ok("user_delete", json!({"id": user["id"]})).await;
    assert_eq!(scene.owner.ok("oauth_subject_list", json!({})).await["total"], 0);
    assert_eq!(scene.call(&token, "me", json!({})).await.status, 401);
    let answer = scene.call(&token, "me", json!({})).await;
    assert_eq!(
        (answer.status, answer.message()),
        (
            403,
            "No user of this server has the e-mail address anna@example.com. Ask an administrator to invite anna@example.com."
        )
    );
    scene.owner.ok("action_undo", json!({"undo_token": deleted["undo_token"]})).await;
    assert_eq!(scene.owner.ok("oauth_subject_list", json!({})).await["total"], 1);
    assert_eq!(scene.who(&token).await, "anna@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_companies_the_token_names_one() {
    let scene = Scene::new().await;
    let other = scene.owner.other_tenant().await;
    scene.new_user("both@example.com", "user").await;
    let person = json!({"email": "both@example.com", "first_name": "Bo", "last_name": "Th", "role": "guest"});
    other.ok("user_create", person).await;
    let claims = scene.claims("both-at-issuer", "both@example.com");
    let unclear = "You are a user of several companies on this server, and the token does not say which of them is meant. Have the \
                   issuer put the claim `bureau_tenant`, the company's id or code, into it.";
    let answer = scene.call(&scene.token(&claims), "me", json!({})).await;
    assert_eq!((answer.status, answer.message()), (403, unclear));
    let role = |answer: Answer| answer.body["result"]["structuredContent"]["data"][0]["role"].clone();
    let code = scene.owner.bureau.as_system(other.tenant_id, None, "code", |ctx| {
        Box::pin(async move {
            let sql = bureau_kit::sql::Sql::with("SELECT slug FROM tenants WHERE id = $1", [ctx.tenant_id().into()]);
            ctx.rows(&sql).await?[0].get::<String>(0)
        })
    });
    let code = code.await.unwrap();
    let first = scene.token(&with(&claims, "bureau_tenant", json!(scene.owner.tenant_id.to_string())));
    let second = scene.token(&with(&claims, "bureau_tenant", json!(code)));
    let (in_first, in_second) =
        (role(scene.call(&first, "me", json!({})).await), role(scene.call(&second, "me", json!({})).await));
    // One account, linked in both: without the claim it is as unclear as before.
    assert_eq!(scene.owner.ok("oauth_subject_list", json!({})).await["total"], 1);
    assert_eq!(other.ok("oauth_subject_list", json!({})).await["total"], 1);
    assert_eq!((in_first.as_str(), in_second.as_str()), (Some("user"), Some("guest")));
    let answer = scene.call(&scene.token(&claims), "me", json!({})).await;
    assert_eq!((answer.status, answer.message()), (403, unclear));
    // A company in which the account has no user.
    let third = scene.owner.other_tenant().await;
    let elsewhere = scene.token(&with(&claims, "bureau_tenant", json!(third.tenant_id.to_string())));
    let answer = scene.call(&elsewhere, "me", json!({})).await;
    let text = "No user of this server has the e-mail address both@example.com. Ask an administrator to invite both@example.com.";
    assert_eq!((answer.status, answer.message()), (403, text));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_with_an_access_token_ends_with_it() {
    let scene = Scene::new().await;
    let token = scene.owner_token();
    let ends = Instant::from_micros((scene.now() + 3600) * 1_000_000).to_string();
    let made = |answer: Answer| {
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["result"]["structuredContent"].clone()
    };
    let session = made(scene.call(&token, "session_create", json!({"ttl_minutes": 600})).await);
    assert_eq!(session["expires_at"], ends, "{session}");
    let key = made(scene.call(&token, "api_key_create", json!({"name": "key", "features": ["organize.*"]})).await);
    assert_eq!(key["expires_at"], ends, "{key}");
    let secret = session["session_token"].as_str().unwrap();
    assert_eq!(scene.who(secret).await, "owner@example.com");
    // The session may stand in for the token it was made from; from a token for reading, nobody else's may.
    let named = json!({"title": "x", "_sessionToken": secret});
    assert_eq!(scene.call(&token, "task_create", named.clone()).await.status, 200);
    let claims = with(&scene.claims("owner-at-issuer", "owner@example.com"), "scope", json!("bureau:read"));
    let reader = scene.token(&claims);
    assert_eq!(scene.call(&reader, "task_create", named).await.status, 403);
    let named = json!({"_sessionToken": secret});
    assert_eq!(scene.call(&reader, "me", named).await.status, 401, "a wider token of the same user");
    scene.later(3600);
    assert_eq!(scene.call(secret, "me", json!({})).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_shows_many_bad_tokens_is_asked_to_wait() {
    let scene = Scene::new().await;
    let good = scene.owner_token();
    assert_eq!(scene.who(&good).await, "owner@example.com");
    let expired = scene.token(&with(&scene.claims("owner-at-issuer", "owner@example.com"), "exp", json!(1)));
    for _ in 0..200 {
        assert_eq!(scene.call(&expired, "me", json!({})).await.status, 401);
    }
    let limited = scene.call(&expired, "me", json!({})).await;
    assert_eq!((limited.status, limited.challenge), (429, None));
    assert_eq!(scene.who(&good).await, "owner@example.com", "whoever was known before is let in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_address_is_refused_without_being_repeated() {
    let scene = Scene::new().await;
    let token = scene.owner_token();
    for name in ["access_token", "token", "api_key"] {
        for shown in [None, Some(token.as_str())] {
            let answer = scene.call_at(&format!("/mcp?{name}={token}"), shown, "me", json!({})).await;
            let text = "A token never goes into the address, which logs and histories keep. Send it as the header \
                        `Authorization: Bearer <token>`, and make a new one in place of this one.";
            let body = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": text}});
            assert_eq!(answer, Answer { status: 400, challenge: None, body }, "{name}");
        }
    }
    assert_eq!(scene.issuer.asked_for_keys(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_makes_a_resource_server_and_refuses_addresses_that_are_not_safe() {
    // The client of this test needs one too, whichever tests ran before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let database = TestDatabase::new().await;
    let issuer = Issuer::start().await;
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--oauth-issuer", &issuer.url];
    let serving = Serving::start(bureau(&database, &arguments), None).await;
    let base = format!("http://{}", serving.address);
    let document = reqwest::get(format!("{base}/.well-known/oauth-protected-resource")).await.unwrap();
    let document: Value = serde_json::from_str(&document.text().await.unwrap()).unwrap();
    assert_eq!(document["resource"], format!("{base}/mcp"));
    let arguments = [&arguments[..], &["--public-url", PUBLIC]].concat();
    let named = Serving::start(bureau(&database, &arguments), Some(&serving.token)).await;
    let url = format!("http://{}/.well-known/oauth-protected-resource", named.address);
    let document = reqwest::Client::new().get(url).header("host", "bureau.example.com").send().await.unwrap();
    assert_eq!(document.status(), 200, "the public name is answered");
    let document: Value = serde_json::from_str(&document.text().await.unwrap()).unwrap();
    assert_eq!(document["resource"], AUDIENCE);

    let unsafe_issuer =
        "bureau: --oauth-issuer http://login.example.com: it must be https; http is for this machine only\n";
    let stray = "error: the following required arguments were not provided:\n  --oauth-issuer <URL>";
    for (arguments, message) in
        [(["--oauth-issuer", "http://login.example.com"], unsafe_issuer), (["--oauth-audience", "x"], stray)]
    {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], &arguments[..]].concat();
        let ended = ended(bureau(&database, &arguments)).await;
        assert_eq!(ended.status, 2, "{ended:?}");
        assert!(ended.stderr.starts_with(message), "{ended:?}");
    }
}
