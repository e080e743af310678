//! Opening an account without knowing anybody: who may, what the mail's token is good for, and what stands in the way.

use bureau_identity::onboarding::mint;
use bureau_kit::installation::SelfService;
use bureau_kit::sql::Sql;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Tester, as_nobody};

const PASSWORD: &str = "Kuchnia1!";
const BAD_TOKEN: &str = "This link is not good any more: it was used, it is older than a day, or another mail came after it. \
                         Sign in with session_login if the account is open already, or begin anew with onboarding_start.";

fn wish(email: &str) -> Value {
    json!({
        "email": email, "firstName": "Nowa", "lastName": "Osoba", "organizationName": "Nowa Firma", "password": PASSWORD,
        "confirmPassword": PASSWORD, "termsAccepted": true, "locale": "pl"
    })
}

/// Asks for an account, and reads the token that its mail would have: made as the mail carrier makes it.
pub async fn asked(tester: &Tester, email: &str) -> String {
    as_nobody(tester, "onboarding_start", wish(email)).await.unwrap();
    minted(tester, email).await.unwrap()
}

async fn minted(tester: &Tester, email: &str) -> Option<String> {
    let mut tx = tester.bureau.db.write().await.unwrap();
    let sql = Sql::with(
        "SELECT id FROM onboardings WHERE email = $1 ORDER BY created_at DESC, id DESC LIMIT 1",
        [email.into()],
    );
    let id: Uuid = tx.query(&sql).await.unwrap().first()?.get(0).unwrap();
    let made = mint(&mut tx, id, tester.bureau.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    made.map(|made| made.token)
}

async fn on(how: SelfService) -> Tester {
    let tester = Tester::new().await;
    tester.bureau.installation.allow_self_service(how);
    tester
}

async fn rows(tester: &Tester, sql: &'static str) -> Vec<String> {
    let nobody = tester.bureau.as_system(Uuid::nil(), None, "test", move |ctx| {
        Box::pin(async move { Ok(ctx.rows(&Sql::new(sql)).await?.iter().map(|row| format!("{row:?}")).collect()) })
    });
    nobody.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_allowed_it_there_is_no_self_service() {
    let tester = Tester::new().await;
    let account = json!({"account": {"name": "X"}, "user": {"email": "x@example.org", "password": PASSWORD}});
    for (tool, arguments) in [
        ("onboarding_start", wish("x@example.org")),
        ("onboarding_verify", json!({"token": "x"})),
        ("account_create", account),
    ] {
        let refused = as_nobody(&tester, tool, arguments).await.unwrap_err();
        let expected = json!({
            "code": "not_found",
            "message": "Self-service is switched off on this installation. Ask whoever runs it for an account.",
            "details": {"reason": "self_service_off"}
        });
        assert_eq!(refused, expected, "{tool}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_address_owns_a_company_of_its_own() {
    let tester = on(SelfService::Verified).await;
    let started = as_nobody(&tester, "onboarding_start", wish("nowa@example.org")).await.unwrap();
    assert_eq!(started, json!({"ok": true, "email": "nowa@example.org"}));
    // The mail waits, and nothing that is stored opens anything.
    let mails = rows(&tester, "SELECT kind, payload FROM outbox").await;
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("onboarding_verification") && !mails[0].contains("buo_"), "{mails:?}");
    let token = minted(&tester, "nowa@example.org").await.unwrap();
    let stored = rows(&tester, "SELECT email, account, password_hash, state FROM onboardings").await.join("");
    assert!(stored.contains("$argon2id$") && !stored.contains(PASSWORD) && !stored.contains(&token), "{stored}");

    let opened = as_nobody(&tester, "onboarding_verify", json!({"token": token})).await.unwrap();
    assert_eq!((&opened["account"]["name"], &opened["account"]["locale"]), (&json!("Nowa Firma"), &json!("pl")));
    assert_eq!(opened["account"]["prefix"], "nowa-firma");
    let owner = tester.with_token(opened["token"].as_str().unwrap());
    let me = owner.ok("user_show", json!({"id": opened["user_id"]})).await;
    assert_eq!(
        (&me["role"], &me["name"], &me["email"]),
        (&json!("owner"), &json!("Nowa Osoba"), &json!("nowa@example.org"))
    );
    // It has what every company begins with, sees nobody else's, and does not run the installation.
    assert_eq!(owner.ok("user_list", json!({})).await["total"], 1);
    assert_eq!(owner.ok("organization_list", json!({})).await["items"][0]["name"], "Nowa Firma");
    assert!(owner.ok("role_list", json!({})).await["total"].as_i64().unwrap() > 10);
    owner.ok("task_create", json!({"title": "Pierwsze"})).await;
    assert_eq!(owner.err("tenant_list", json!({})).await["code"], "forbidden");
    let log = owner.ok("action_log_list", json!({})).await;
    let tools: Vec<&str> = log["items"].as_array().unwrap().iter().map(|item| item["tool"].as_str().unwrap()).collect();
    assert_eq!(tools, ["task_create", "onboarding_verify"]);
    let login = json!({"email": "nowa@example.org", "password": PASSWORD});
    as_nobody(&tester, "session_login", login).await.unwrap();
    // Nothing is left that could be used again.
    let left = rows(&tester, "SELECT state, password_hash, token_hash FROM onboardings").await.join("");
    assert!(left.contains("done") && !left.contains("argon2"), "{left}");
    let again = as_nobody(&tester, "onboarding_verify", json!({"token": token})).await.unwrap_err();
    assert_eq!(again, json!({"code": "not_found", "message": BAD_TOKEN, "details": {"reason": "bad_token"}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_mail_counts_and_only_for_a_day() {
    let tester = on(SelfService::Verified).await;
    let first = asked(&tester, "nowa@example.org").await;
    let refused = as_nobody(&tester, "onboarding_start", wish("Nowa@Example.org")).await.unwrap_err();
    let text =
        "A mail was sent to Nowa@Example.org less than 10 minutes ago. Follow its link, or wait before you ask again.";
    assert_eq!(refused, json!({"code": "conflict", "message": text, "details": {"reason": "request_pending"}}));
    // Sent once more by the carrier: the link of the first mail is void.
    let second = minted(&tester, "nowa@example.org").await.unwrap();
    tester.bureau.clock.advance_seconds(601);
    let third = asked(&tester, "nowa@example.org").await;
    for token in [first.as_str(), second.as_str(), "", "buo_x", &third.replace("buo_", "bus_")] {
        let refused = as_nobody(&tester, "onboarding_verify", json!({"token": token})).await.unwrap_err();
        assert_eq!(refused["message"], BAD_TOKEN, "{token}");
    }
    tester.bureau.clock.advance_seconds(24 * 3600);
    let late = as_nobody(&tester, "onboarding_verify", json!({"token": third})).await.unwrap_err();
    assert_eq!(late["message"], BAD_TOKEN);
    // What nobody answered is forgotten with the next request, and its mail is not sent any more.
    tester.bureau.clock.advance_seconds(2 * 24 * 3600);
    asked(&tester, "inna@example.org").await;
    assert_eq!(rows(&tester, "SELECT email FROM onboardings").await.len(), 1);
    assert_eq!(minted(&tester, "nowa@example.org").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_known_opens_no_second_account() {
    let tester = on(SelfService::Verified).await;
    let token = asked(&tester, "anna@example.org").await;
    tester.ok("user_create", json!({"email": "Anna@example.org"})).await;
    let text = |email: &str| {
        format!(
            "{email} belongs to an account already. Sign in with session_login, or ask for a new password with \
             password_reset_request."
        )
    };
    let refused = as_nobody(&tester, "onboarding_verify", json!({"token": token})).await.unwrap_err();
    assert_eq!((&refused["code"], &refused["message"]), (&json!("conflict"), &json!(text("anna@example.org"))));
    let refused = as_nobody(&tester, "onboarding_start", wish("ANNA@example.org")).await.unwrap_err();
    assert_eq!(refused["message"], text("ANNA@example.org"));
    assert_eq!(refused["details"], json!({"reason": "account_exists"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_told() {
    let tester = on(SelfService::Verified).await;
    let with = |name: &str, value: Value| {
        let mut wish = wish("nowa@example.org");
        wish[name] = value;
        wish
    };
    for (arguments, message) in [
        (
            with("termsAccepted", json!(false)),
            "/terms_accepted: must be true: an account needs the terms to be accepted",
        ),
        (with("confirmPassword", json!("Kuchnia2!")), "/confirm_password: is not the same as password"),
        (with("firstName", json!(" ")), "/first_name: must not be blank"),
        (with("organizationName", json!(" ")), "/organization_name: expected text of 1 to 200 characters"),
        (with("locale", json!("ru")), "/locale: expected one of pl, en, fr, cs, sk, de, es, uk"),
        (with("email", json!("nowa")), "/email: `nowa` is not an e-mail address; write it like anna@example.com"),
    ] {
        let refused = as_nobody(&tester, "onboarding_start", arguments).await.unwrap_err();
        assert_eq!(refused["message"], message);
    }
    let weak = json!({"account": {"name": "", "prefix": "-", "timezone": "Mars"}, "user": {"email": "x", "password": "kuchnia"}});
    let refused = as_nobody(&tester, "account_create", weak).await.unwrap_err();
    let paths: Vec<&str> =
        refused["fields"].as_array().unwrap().iter().map(|field| field["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/user/email", "/user/password", "/account/name", "/account/timezone"]);
    assert_eq!(rows(&tester, "SELECT email FROM onboardings").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_asks_for_very_many() {
    let tester = on(SelfService::Verified).await;
    for number in 0..20 {
        as_nobody(&tester, "onboarding_start", wish(&format!("n{number}@example.org"))).await.unwrap();
    }
    let refused = as_nobody(&tester, "onboarding_start", wish("one-more@example.org")).await.unwrap_err();
    assert_eq!(refused["message"], "Too many attempts. Wait 900 seconds before the next one.");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_there_at_once_only_where_that_is_allowed() {
    let wish = json!({
        "account": {"name": "Druga Firma", "prefix": "druga", "description": "Blaty", "domain": "Druga.example.org", "timezone": "Europe/Kyiv", "locale": "uk"},
        "user": {"email": "druga@example.org", "login": "druga", "password": PASSWORD}
    });
    let asking = on(SelfService::Verified).await;
    let answer = as_nobody(&asking, "account_create", wish.clone()).await.unwrap();
    let expected = json!({"ok": true, "email": "druga@example.org", "verification_required": true, "account": null, "api_token": null});
    assert_eq!(answer, expected);
    let token = minted(&asking, "druga@example.org").await.unwrap();
    let verified = as_nobody(&asking, "onboarding_verify", json!({"token": token})).await.unwrap();

    let founding = on(SelfService::Unverified).await;
    let founded = as_nobody(&founding, "account_create", wish.clone()).await.unwrap();
    assert_eq!(founded["verification_required"], false);
    for (tester, account, key) in [
        (asking, &verified["account"], &verified["token"]),
        (founding.clone(), &founded["account"], &founded["api_token"]),
    ] {
        let told =
            [&account["name"], &account["prefix"], &account["description"], &account["timezone"], &account["locale"]];
        assert_eq!(told, ["Druga Firma", "druga", "Blaty", "Europe/Kyiv", "uk"]);
        let owner = tester.with_token(key.as_str().unwrap());
        assert_eq!(owner.ok("user_list", json!({})).await["items"][0]["name"], "druga");
        let domain = owner.ok("domain_list", json!({})).await["items"][0].clone();
        assert_eq!((&domain["domain"], &domain["verified_at"]), (&json!("druga.example.org"), &Value::Null));
        assert_eq!(owner.ok("account_show", json!({})).await["domain"], Value::Null, "a claim is no primary domain");
    }
    let mut other = wish;
    other["user"]["email"] = json!("trzecia@example.org");
    let taken = as_nobody(&founding, "account_create", other).await.unwrap_err();
    assert_eq!(taken["message"], "The short name druga is taken. Choose another.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_founds_one_company_however_often_it_is_sent_at_once() {
    let tester = on(SelfService::Verified).await;
    let token = asked(&tester, "nowa@example.org").await;
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let (tester, arguments) = (tester.clone(), json!({"token": token}));
            tokio::spawn(async move { as_nobody(&tester, "onboarding_verify", arguments).await })
        })
        .collect();
    let mut opened = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => opened += 1,
            Err(refused) => assert_eq!(refused["message"], BAD_TOKEN),
        }
    }
    assert_eq!(opened, 1);
    assert_eq!(rows(&tester, "SELECT id FROM tenants").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_for_one_address_at_once_are_one() {
    let tester = on(SelfService::Verified).await;
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let tester = tester.clone();
            tokio::spawn(async move { as_nobody(&tester, "onboarding_start", wish("nowa@example.org")).await })
        })
        .collect();
    let mut kept = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => kept += 1,
            Err(refused) => assert_eq!(refused["details"]["reason"], "request_pending", "{refused}"),
        }
    }
    assert_eq!(kept, 1);
    assert_eq!(rows(&tester, "SELECT id FROM outbox").await.len(), 1);
}
