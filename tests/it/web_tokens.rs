//! Web tokens (Intum): keys that only sign JWTs. What is signed with one is good for a day at most, and never for more than
//! the key itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bureau::open;
use bureau_identity::{NewKey, mint_api_key};
use bureau_kit::access::Shown;
use bureau_kit::db::Location;
use bureau_kit::gate::{Call, Origin, Outcome};
use bureau_kit::id::Ids;
use bureau_kit::time::Clock;
use ring::hmac;
use serde_json::{Value, json};

use crate::process::{Serving, bureau, call_message};
use crate::support::{TestDatabase, Tester};

const UNKNOWN: &str =
    "This token is not valid: it is unknown, revoked or expired. Ask its owner for a new one (session_create).";

/// A JWT with these parts, signed with the secret.
pub fn signed(secret: &str, header: &Value, claims: &Value) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = format!("{header}.{claims}");
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn refused(why: &str) -> String {
    format!("This signed token is not valid: {why}. Sign another with the web token it is of (HS256; kid, iat, exp).")
}

/// A web token that somebody made.
struct WebToken {
    maker: Tester,
    id: Value,
    secret: String,
}

impl WebToken {
    async fn of(maker: &Tester, mut arguments: Value) -> Self {
        arguments["name"] = json!("strona");
        arguments["kind"] = json!("web_token");
        let made = maker.ok("api_key_create", arguments).await;
        assert_eq!(made["kind"], "web_token");
        let secret = made["secret"].as_str().unwrap().to_owned();
        Self { maker: maker.clone(), id: made["id"].clone(), secret }
    }

    fn now(&self) -> i64 {
        self.maker.bureau.clock.now().micros() / 1_000_000
    }

    fn header(&self) -> Value {
        json!({"alg": "HS256", "typ": "JWT", "kid": self.id})
    }

    /// Good for an hour, with some claims of another value; null leaves one out.
    fn jwt(&self, changes: Value) -> String {
        let mut claims = json!({"iat": self.now(), "exp": self.now() + 3600});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        signed(&self.secret, &self.header(), &claims)
    }

    fn caller(&self, token: &str) -> Tester {
        self.maker.with_token(token)
    }

    /// Why a token is turned away.
    async fn refusal(&self, token: &str) -> String {
        let error = self.caller(token).err("me", json!({})).await;
        assert_eq!(error["code"], "unauthenticated", "{error}");
        error["message"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_web_token_signs_is_good_and_the_web_token_itself_is_not() {
    let owner = Tester::new().await;
    let web = WebToken::of(&owner, json!({})).await;
    let me = owner.ok("me", json!({})).await;
    assert_eq!(me["data"][0]["email"], "owner@example.com");
    let page = web.caller(&web.jwt(json!({})));
    assert_eq!(page.ok("me", json!({})).await["data"], me["data"]);
    page.ok("task_create", json!({"title": "z przeglądarki"})).await;
    // Named by iss as well.
    let claims = json!({"iss": web.id, "iat": web.now(), "exp": web.now() + 60});
    web.caller(&signed(&web.secret, &json!({"alg": "HS256"}), &claims)).ok("me", json!({})).await;
    // As an argument as well.
    owner.ok("me", json!({"_sessionToken": web.jwt(json!({}))})).await;
    assert_eq!(
        web.refusal(&web.secret).await,
        "This key is a web token: it is never shown itself. Sign a JWT of at most 24 hours with it (HS256) and send that."
    );
    assert_eq!(
        owner.err("me", json!({"_sessionToken": web.secret})).await["code"],
        "unauthenticated",
        "nor as an argument"
    );
    let shown = owner.ok("api_key_show", json!({"id": web.id})).await;
    assert_eq!((&shown["kind"], &shown["use_count"]), (&json!("web_token"), &json!(4)));
    // An API token signs nothing.
    let plain = owner.ok("api_key_create", json!({"name": "plain"})).await;
    assert_eq!(plain["kind"], "api_token");
    let claims = json!({"iat": web.now(), "exp": web.now() + 60});
    let header = json!({"alg": "HS256", "kid": plain["id"]});
    assert_eq!(web.refusal(&signed(plain["secret"].as_str().unwrap(), &header, &claims)).await, UNKNOWN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_token_that_is_not_whole_or_not_in_time_is_refused() {
    let owner = Tester::new().await;
    let web = WebToken::of(&owner, json!({})).await;
    let other = WebToken::of(&owner, json!({})).await;
    let abroad = WebToken::of(&owner.other_tenant().await, json!({})).await;
    let (now, good) = (web.now(), web.jwt(json!({})));
    let claims = json!({"iat": now, "exp": now + 3600});
    let with_header = |header: Value| signed(&web.secret, &header, &claims);
    let parts: Vec<&str> = good.split('.').collect();
    let wider = URL_SAFE_NO_PAD.encode(json!({"iat": now, "exp": now + 7200}).to_string());
    let mut damaged = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
    damaged[31] ^= 1;
    let damaged = URL_SAFE_NO_PAD.encode(damaged);
    let unsigned_header = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "kid": web.id}).to_string());
    for (token, why) in [
        // Tampered with.
        (format!("{}.{wider}.{}", parts[0], parts[2]), UNKNOWN.to_owned()),
        (format!("{}.{}.{damaged}", parts[0], parts[1]), UNKNOWN.to_owned()),
        (format!("{}.{}.", parts[0], parts[1]), UNKNOWN.to_owned()),
        (good.get(..good.len() - 3).unwrap().to_owned(), UNKNOWN.to_owned()),
        // Of another key: of the same tenant, of another tenant, of none.
        (signed(&other.secret, &web.header(), &claims), UNKNOWN.to_owned()),
        (signed(&web.secret, &abroad.header(), &claims), UNKNOWN.to_owned()),
        (with_header(json!({"alg": "HS256", "kid": uuid::Uuid::nil()})), UNKNOWN.to_owned()),
        (with_header(json!({"alg": "HS256"})), refused("neither kid nor iss is the id of a web token")),
        (with_header(json!({"alg": "HS256", "kid": "1"})), refused("neither kid nor iss is the id of a web token")),
        // Signed in another way, or not at all.
        (format!("{unsigned_header}.{}.", parts[1]), refused("its alg is not HS256")),
        (format!("{unsigned_header}.{}.{}", parts[1], parts[2]), refused("its alg is not HS256")),
        (with_header(json!({"alg": "HS512", "kid": web.id})), refused("its alg is not HS256")),
        (with_header(json!({"alg": "RS256", "kid": web.id})), refused("its alg is not HS256")),
        (with_header(json!({"alg": "hs256", "kid": web.id})), refused("its alg is not HS256")),
        (
            with_header(json!({"alg": "HS256", "kid": web.id, "crit": ["b64"]})),
            refused("it wants something that is not known here (typ, crit)"),
        ),
        (
            with_header(json!({"alg": "HS256", "kid": web.id, "typ": "JWE"})),
            refused("it wants something that is not known here (typ, crit)"),
        ),
        // Out of time.
        (web.jwt(json!({"exp": now + 86_401})), refused("it lives longer than 24 hours")),
        (web.jwt(json!({"exp": 9.9e200})), refused("it lives longer than 24 hours")),
        (web.jwt(json!({"iat": now + 61})), refused("it is not valid yet")),
        (web.jwt(json!({"nbf": now + 61})), refused("it is not valid yet")),
        (web.jwt(json!({"iat": now - 60, "exp": now})), refused("it has expired")),
        (web.jwt(json!({"iat": null})), refused("it needs iat and exp")),
        (web.jwt(json!({"exp": null})), refused("it needs iat and exp")),
        (web.jwt(json!({"privileges": "organize"})), refused("its parts cannot be read")),
        (format!("{}.e30", parts[0]), refused("its parts cannot be read")),
    ] {
        assert_eq!(web.refusal(&token).await, why, "{token}");
    }
    // The clocks of two machines may differ a little; a day is a day.
    web.caller(&web.jwt(json!({"iat": now + 60, "exp": now + 120}))).ok("me", json!({})).await;
    web.caller(&web.jwt(json!({"exp": now + 86_400}))).ok("me", json!({})).await;
    let foreign = abroad.caller(&abroad.jwt(json!({}))).ok("me", json!({})).await;
    let email = foreign["data"][0]["email"].as_str().unwrap();
    assert!(email.starts_with("other") && email.ends_with("@example.net"), "each in its own tenant: {email}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_token_ends_at_its_time_and_so_does_what_is_made_with_it() {
    let owner = Tester::new().await;
    let web = WebToken::of(&owner, json!({})).await;
    let page = web.caller(&web.jwt(json!({"exp": web.now() + 600})));
    let end = "2026-11-21T10:10:00Z";
    let session = page.ok("session_create", json!({"ttl_minutes": 60})).await;
    assert_eq!(session["expires_at"], end);
    let made = page.ok("api_key_create", json!({"name": "child"})).await;
    assert_eq!(made["expires_at"], end);
    let shown = owner.ok("api_key_show", json!({"id": made["id"]})).await;
    assert_eq!(shown["made_by"], web.id);
    let (child, key) = (
        page.with_token(session["session_token"].as_str().unwrap()),
        page.with_token(made["secret"].as_str().unwrap()),
    );
    let late = json!({"name": "late", "expires_at": "2026-11-21T10:10:01Z"});
    assert_eq!(
        page.err("api_key_create", late).await["message"],
        "/expires_at: is later than the end of your own token, 2026-11-21T10:10:00Z; a key made from it ends with it at the latest"
    );
    owner.bureau.clock.advance_seconds(300);
    // Nothing is had by refreshing, nor by changing what was made.
    assert_eq!(child.ok("session_refresh", json!({})).await["expires_at"], end);
    page.err("api_key_update", json!({"id": made["id"], "expires_at": null})).await;
    owner.bureau.clock.advance_seconds(299);
    for caller in [&page, &child, &key] {
        caller.ok("me", json!({})).await;
    }
    owner.bureau.clock.advance_seconds(1);
    for caller in [&page, &child, &key] {
        // The second time from nowhere but the database.
        for _ in 0..2 {
            let error = caller.err("me", json!({})).await;
            assert_eq!(
                (&error["code"], &error["details"]["reason"]),
                (&json!("unauthenticated"), &json!("session_expired"))
            );
        }
    }
    // A key that ends earlier ends what is signed with it.
    let short = WebToken::of(&owner, json!({"expires_at": "2026-11-21T10:20:00Z"})).await;
    let page = short.caller(&short.jwt(json!({})));
    page.ok("me", json!({})).await;
    owner.bureau.clock.advance_seconds(600);
    assert_eq!(page.err("me", json!({})).await["code"], "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn privileges_narrow_and_never_widen() {
    let owner = Tester::new().await;
    let web = WebToken::of(&owner, json!({"features": ["organize.*", "api_keys.*", "sessions.*"]})).await;
    let narrow = web.caller(&web.jwt(json!({"privileges": ["tasks_read", "customers.*", "contracts.view"]})));
    narrow.ok("task_list", json!({})).await;
    for (tool, arguments) in [("task_create", json!({"title": "x"})), ("contract_list", json!({}))] {
        assert_eq!(narrow.err(tool, arguments).await["code"], "forbidden", "{tool}");
    }
    let session = narrow.ok("session_create", json!({})).await;
    assert_eq!(session["features"], json!(["organize.tasks.view"]));
    assert_eq!(narrow.err("session_create", json!({"features": ["organize.*"]})).await["code"], "forbidden");
    let all = web.caller(&web.jwt(json!({"privileges": ["*"]})));
    all.ok("task_create", json!({"title": "x"})).await;
    assert_eq!(all.err("contract_list", json!({})).await["code"], "forbidden");
    let none = web.caller(&web.jwt(json!({"privileges": []})));
    assert_eq!(none.err("task_list", json!({})).await["code"], "forbidden");
    // The wider token of the same key is no way around the narrower one.
    let wide = web.jwt(json!({}));
    let wide_session = web.caller(&wide).ok("session_create", json!({})).await["session_token"].clone();
    for token in [json!(wide), wide_session] {
        assert_eq!(
            narrow.err("task_list", json!({"_sessionToken": token})).await["message"],
            "_sessionToken belongs to someone else than the connection's own credential. Use one of the two."
        );
    }
    narrow.ok("task_list", json!({"_sessionToken": session["session_token"]})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn privileges_give_a_key_that_stands_for_itself_nothing_to_pass_on() {
    let owner = Tester::new().await;
    let held = ["api_keys.*", "organize.tasks.view", "sessions.*"];
    let robot = owner
        .bureau
        .as_system(owner.tenant_id, None, "test", move |ctx| {
            Box::pin(async move {
                let features = Some(held.map(str::to_owned).to_vec());
                let key = NewKey { name: "robot".into(), features, ..NewKey::default() };
                mint_api_key(ctx, key).await.map(|(_, secret)| secret)
            })
        })
        .await
        .unwrap();
    let web = WebToken::of(&owner.with_token(&robot), json!({})).await;
    let page = web.caller(&web.jwt(json!({"privileges": ["*"]})));
    page.ok("task_list", json!({})).await;
    assert_eq!(page.err("contract_list", json!({})).await["code"], "forbidden");
    let made = page.ok("api_key_create", json!({"name": "child"})).await;
    assert_eq!((&made["user_id"], &made["features"]), (&Value::Null, &json!(held)));
    let child = page.with_token(made["secret"].as_str().unwrap());
    child.ok("task_list", json!({})).await;
    assert_eq!(child.err("contract_list", json!({})).await["code"], "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_or_bounds_the_key_counts_in_the_very_next_call() {
    let owner = Tester::new().await;
    let user = owner.ok("user_create", json!({"email": "ewa@example.com", "first_name": "Ewa", "role": "admin"})).await
        ["id"]
        .clone();
    let web = WebToken::of(&owner, json!({"user_id": user})).await;
    let page = web.caller(&web.jwt(json!({})));
    page.ok("task_list", json!({})).await;
    owner.ok("api_key_update", json!({"id": web.id, "active": false})).await;
    assert_eq!(page.err("task_list", json!({})).await["code"], "unauthenticated");
    owner.ok("api_key_update", json!({"id": web.id, "active": true})).await;
    page.ok("task_list", json!({})).await;
    owner.ok("api_key_update", json!({"id": web.id, "features": ["contracts.view"]})).await;
    assert_eq!(page.err("task_list", json!({})).await["code"], "forbidden");
    page.ok("contract_list", json!({})).await;
    // From its addresses only.
    owner.ok("api_key_update", json!({"id": web.id, "allowed_addresses": ["203.0.113.7"]})).await;
    for (address, is_let_in) in [("203.0.113.7", true), ("203.0.113.8", false)] {
        let call = Call {
            tool: "contract_list".into(),
            arguments: serde_json::Map::new(),
            shown: Some(page.shown.clone()),
            selection: page.selection.clone(),
            origin: Origin { transport: "http", client: None, address: Some(address.parse().unwrap()) },
            dialogue: bureau_kit::dialogue::Dialogue::default(),
        };
        match owner.bureau.call(call).await {
            Outcome::Done { is_error: false, .. } => assert!(is_let_in, "{address}"),
            Outcome::Unauthenticated(error) => {
                assert!(!is_let_in, "{address}");
                assert_eq!(error.to_json()["details"]["reason"], "address_not_allowed");
            }
            outcome => panic!("{outcome:?}"),
        }
    }
    owner.ok("api_key_update", json!({"id": web.id, "allowed_addresses": null})).await;
    page.ok("contract_list", json!({})).await;
    owner.ok("user_update", json!({"id": user, "active": false})).await;
    assert_eq!(page.err("contract_list", json!({})).await["message"], UNKNOWN);
    owner.ok("user_update", json!({"id": user, "active": true})).await;
    let session = page.ok("session_create", json!({})).await;
    let session = page.with_token(session["session_token"].as_str().unwrap());
    session.ok("contract_list", json!({})).await;
    owner.ok("api_key_delete", json!({"id": web.id})).await;
    for caller in [&page, &session] {
        assert_eq!(caller.err("contract_list", json!({})).await["message"], UNKNOWN);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_to_seal_with_none_is_made() {
    let database = TestDatabase::new().await;
    let clock = Clock::fixed(bureau_kit::time::Instant::parse(crate::support::START).unwrap());
    let opened = open::open_with(&database.location, clock, Ids::seeded(42)).await.unwrap();
    let is_sqlite = matches!(database.location, Location::Sqlite(_));
    assert_eq!(opened.bureau.vault.is_configured(), is_sqlite, "beside a SQLite file the key is made by itself");
    if is_sqlite {
        // As unusable as none.
        opened.bureau.vault.configure(bureau_kit::vault::KeySource::Given(String::new()));
    }
    let owner = Tester::on(opened.bureau, database.into()).await;
    let error = owner.err("api_key_create", json!({"name": "strona", "kind": "web_token"})).await;
    assert_eq!(error["code"], "provider_unavailable");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("`openssl rand -base64 32`"), "{message}");
    assert!(is_sqlite || message.contains("BUREAU_SECRET_KEY"), "{message}");
    assert_eq!(owner.ok("api_key_list", json!({"q": "strona"})).await["items"], json!([]), "nothing is left of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_takes_both_forms_of_the_header() {
    let database = TestDatabase::new().await;
    // Beside an issuer of access tokens too, and without asking it.
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--oauth-issuer", "http://127.0.0.1:9"];
    let mut command = bureau(&database, &arguments);
    command.env("BUREAU_SECRET_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let serving = Serving::start(command, None).await;
    let made = serving.ok("api_key_create", json!({"name": "strona", "kind": "web_token"})).await;
    let now = bureau_kit::time::Clock::System.now().micros() / 1_000_000;
    let secret = made["secret"].as_str().unwrap();
    let claims = json!({"iat": now, "exp": now + 3600, "privileges": ["tasks_read"]});
    let jwt = signed(secret, &json!({"alg": "HS256", "kid": made["id"]}), &claims);
    let message = call_message(json!(1), "task_list", json!({})).to_string();
    let mut connection = serving.connect().await;
    for form in [jwt.clone(), format!("token={jwt}, kind=jwt"), format!("token={jwt},kind=jwt")] {
        let answer = connection.post("/mcp", &form, &message).await.unwrap();
        assert_eq!((answer.status, &answer.json()["result"]["isError"]), (200, &json!(false)), "{form}: {answer:?}");
    }
    let (refused, is_error) = connection.call(&jwt, "task_create", json!({"title": "x"})).await.unwrap();
    assert!(is_error && refused["code"] == "forbidden", "{refused}");
    for (form, status) in [
        (secret.to_owned(), 401),
        (format!("token={secret}, kind=jwt"), 401),
        (format!("token={jwt}x, kind=jwt"), 401),
        (format!("token={jwt}"), 401),
        (format!("token={jwt}, kind=other"), 400),
        (format!("token={jwt}, token={jwt}, kind=jwt"), 400),
    ] {
        let answer = serving.connect().await.post("/mcp", &form, &message).await.unwrap();
        assert_eq!(answer.status, status, "{form}: {answer:?}");
    }
    serving.ok("api_key_delete", json!({"id": made["id"]})).await;
    let answer = connection.post("/mcp", &format!("token={jwt}, kind=jwt"), &message).await.unwrap();
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(!serving.log().contains(secret) && !serving.log().contains(&jwt));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_is_in_no_copy_of_the_database() {
    let owner = Tester::new().await;
    let web = WebToken::of(&owner, json!({})).await;
    web.caller(&web.jwt(json!({}))).ok("me", json!({})).await;
    assert!(!owner.dump().await.contains(&web.secret));
    if let Location::Sqlite(path) = &owner.database.location {
        for suffix in ["", "-wal"] {
            let mut file = path.as_os_str().to_owned();
            file.push(suffix);
            let bytes = std::fs::read(file).unwrap_or_default();
            assert!(!bytes.windows(web.secret.len()).any(|part| part == web.secret.as_bytes()), "{suffix}");
        }
    }
    // Another process with the same key file knows it too.
    let clock = Clock::fixed(owner.bureau.clock.now());
    let second = open::open_with(&owner.database.location, clock, Ids::seeded(7)).await.unwrap();
    if let Location::Postgres(_) = owner.database.location {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned();
        second.bureau.vault.configure(bureau_kit::vault::KeySource::Given(key));
    }
    let elsewhere = Tester { bureau: second.bureau.clone(), shown: Shown::Token(web.jwt(json!({}))), ..owner.clone() };
    elsewhere.ok("me", json!({})).await;
    second.bureau.close().await;
}
