//! Accounts: new passwords, the own profile, roles and grants, and what no call may leave behind.

use bureau_kit::access::Shown;
use bureau_kit::gate::{Call, Origin, Outcome, Selection};
use bureau_kit::mail::Request;
use bureau_kit::sql::Sql;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::Tester;

const PASSWORD: &str = "Kuchnia1!";
const NEW: &str = "Inne-has1o";
const WRONG_TOKEN: &str = "/token: is not valid: it is unknown, used already, or older than 60 minutes. Ask for another with password_reset_request";

async fn with_anna() -> (Tester, Value) {
    let owner = Tester::new().await;
    let anna = json!({"email": "Anna@Example.com", "first_name": "Anna", "last_name": "Nowak", "password": PASSWORD});
    let user = owner.ok("user_create", anna).await;
    (owner, user)
}

/// A call without any credential.
pub async fn as_nobody(tester: &Tester, tool: &str, arguments: Value) -> Result<Value, Value> {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    let call = Call {
        tool: tool.to_owned(),
        arguments,
        shown: None,
        selection: Selection::default(),
        origin: Origin { transport: "test", ..Origin::default() },
        dialogue: bureau_kit::dialogue::Dialogue::default(),
    };
    match tester.bureau.call(call).await {
        Outcome::Done { body, is_error: false } => Ok(serde_json::from_slice(&body).unwrap()),
        Outcome::Done { body, is_error: true } => Err(serde_json::from_slice(&body).unwrap()),
        Outcome::Unauthenticated(error) => Err(Value::Object(error.to_json())),
        outcome => panic!("{outcome:?}"),
    }
}

async fn login(tester: &Tester, password: &str) -> Result<Value, Value> {
    as_nobody(tester, "session_login", json!({"email": "anna@example.com", "password": password})).await
}

async fn signed_in(tester: &Tester, password: &str) -> Tester {
    tester.with_token(login(tester, password).await.unwrap()["token"].as_str().unwrap())
}

/// The resets of a tenant, oldest first.
pub async fn resets(tester: &Tester) -> Vec<Uuid> {
    let found = tester.bureau.as_system(tester.tenant_id, None, "resets", |ctx| {
        Box::pin(async move {
            let sql = Sql::with(
                "SELECT id FROM password_resets WHERE tenant_id = $1 ORDER BY created_at, id",
                [ctx.tenant_id().into()],
            );
            ctx.rows(&sql).await?.iter().map(|row| row.get(0)).collect()
        })
    });
    found.await.unwrap()
}

/// What the carrier of mails does at the moment of sending: the token that goes into the mail, and its address.
pub async fn mailed_of(tester: &Tester, template: &str, subject_id: Uuid) -> Option<(String, String)> {
    let (tenant_id, now, template) = (tester.tenant_id, tester.bureau.clock.now(), template.to_owned());
    let written = tester.bureau.keep_books(tenant_id, |tx| {
        Box::pin(async move {
            let letters = bureau_identity::letters();
            let letter = letters.iter().find(|letter| letter.template() == template).unwrap();
            letter.write(tx, &Request { tenant_id, subject_id, payload: &json!({}), now }).await
        })
    });
    let draft = written.await.unwrap()?;
    let link = draft.link.unwrap();
    let (_, token) = link.split_once('=').unwrap();
    Some((token.to_owned(), draft.to))
}

/// The same for a new password.
pub async fn mailed(tester: &Tester, reset: Uuid) -> Option<(String, String)> {
    mailed_of(tester, "password_reset", reset).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_replaced_by_mail_once() {
    let (owner, user) = with_anna().await;
    let anna = signed_in(&owner, PASSWORD).await;
    let asked = as_nobody(&owner, "password_reset_request", json!({"email": " ANNA@example.com"})).await.unwrap();
    assert_eq!(asked, json!({"ok": true}));
    let [reset] = resets(&owner).await[..] else { panic!("one reset") };
    let (first, _) = mailed(&owner, reset).await.unwrap();
    // Sent again, the mail has another token, and only that one is good.
    let (token, to) = mailed(&owner, reset).await.unwrap();
    assert_eq!(to, "Anna@Example.com");
    let confirm = async |token: &str, password: &str| {
        as_nobody(&owner, "password_reset_confirm", json!({"token": token, "password": password})).await
    };
    assert_eq!(confirm(&first, NEW).await.unwrap_err()["message"], WRONG_TOKEN);
    let weak = confirm(&token, "weak").await.unwrap_err();
    assert_eq!(
        weak["message"],
        "/password: needs at least 6 characters, among them a digit, a capital letter and a special character"
    );
    anna.ok("me", json!({})).await;
    assert_eq!(confirm(&token, NEW).await.unwrap(), json!({"ok": true, "redirect": "/console", "revoked": 1}));
    assert_eq!(anna.err("me", json!({})).await["code"], "unauthenticated");
    login(&owner, PASSWORD).await.unwrap_err();
    login(&owner, NEW).await.unwrap();
    assert_eq!(confirm(&token, PASSWORD).await.unwrap_err()["message"], WRONG_TOKEN);
    assert_eq!(mailed(&owner, reset).await, None, "a used link is not mailed again");
    let log = owner.ok("action_log_list", json!({"actor_user_id": user["id"]})).await;
    let tools: Vec<&str> = log["items"].as_array().unwrap().iter().map(|item| item["tool"].as_str().unwrap()).collect();
    assert!(tools.contains(&"password_reset_confirm") && tools.contains(&"password_reset_request"), "{tools:?}");
    assert!(!log.to_string().contains(&token), "the token is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_ends_after_an_hour_with_the_user_and_with_another_links_use() {
    let (owner, user) = with_anna().await;
    let ask = async || as_nobody(&owner, "password_reset_request", json!({"email": "anna@example.com"})).await.unwrap();
    let confirm =
        async |token: &str| as_nobody(&owner, "password_reset_confirm", json!({"token": token, "password": NEW})).await;
    ask().await;
    let old = mailed(&owner, resets(&owner).await[0]).await.unwrap().0;
    owner.bureau.clock.advance_seconds(3600);
    assert_eq!(confirm(&old).await.unwrap_err()["message"], WRONG_TOKEN);
    ask().await;
    ask().await;
    let ids = resets(&owner).await;
    let (one, two) = (mailed(&owner, ids[1]).await.unwrap().0, mailed(&owner, ids[2]).await.unwrap().0);
    owner.ok("user_block", json!({"id": user["id"]})).await;
    assert_eq!(confirm(&one).await.unwrap_err()["message"], WRONG_TOKEN);
    assert_eq!(mailed(&owner, ids[1]).await, None, "blocked people get no mail");
    owner.ok("user_update", json!({"id": user["id"], "active": true})).await;
    confirm(&one).await.unwrap();
    assert_eq!(confirm(&two).await.unwrap_err()["message"], WRONG_TOKEN);
    // An old request that was never mailed is not mailed a day later.
    owner.bureau.clock.advance_seconds(16 * 60);
    ask().await;
    let last = resets(&owner).await[3];
    owner.bureau.clock.advance_seconds(24 * 3600 + 1);
    assert_eq!(mailed(&owner, last).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_confirmed_twice_at_once_counts_once() {
    let (owner, _) = with_anna().await;
    as_nobody(&owner, "password_reset_request", json!({"email": "anna@example.com"})).await.unwrap();
    let (token, _) = mailed(&owner, resets(&owner).await[0]).await.unwrap();
    let confirm = |password: &str| {
        let arguments = json!({"token": token, "password": password});
        let owner = owner.clone();
        tokio::spawn(async move { as_nobody(&owner, "password_reset_confirm", arguments).await })
    };
    let (one, two) = (confirm("Pierwsze1!"), confirm("Drugie-1!X"));
    let answers = [one.await.unwrap(), two.await.unwrap()];
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    let late = answers.iter().find_map(|answer| answer.as_ref().err()).unwrap();
    assert_eq!(late["message"], WRONG_TOKEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_a_password_tells_nobody_who_has_an_account() {
    let (owner, _) = with_anna().await;
    owner.ok("user_create", json!({"email": "blocked@example.com"})).await;
    let blocked = owner.ok("user_list", json!({"q": "blocked@example.com"})).await["items"][0]["id"].clone();
    owner.ok("user_block", json!({"id": blocked})).await;
    for dry_run in [true, false] {
        let mut answers = Vec::new();
        for email in ["anna@example.com", "nobody@example.com", "blocked@example.com", "no address"] {
            let arguments = json!({"email": email, "dry_run": dry_run});
            answers.push(as_nobody(&owner, "password_reset_request", arguments).await.unwrap().to_string());
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
    assert_eq!(resets(&owner).await.len(), 1);
    // And the limit is the same: three in a quarter of an hour, two of which were used.
    for email in ["anna@example.com", "nobody@example.com"] {
        as_nobody(&owner, "password_reset_request", json!({"email": email})).await.unwrap();
        let refused = as_nobody(&owner, "password_reset_request", json!({"email": email})).await.unwrap_err();
        assert_eq!(refused["message"], "Too many attempts. Wait 900 seconds before the next one.", "{email}");
    }
    for _ in 0..20 {
        let arguments = json!({"token": "bup_x", "password": NEW});
        assert_eq!(as_nobody(&owner, "password_reset_confirm", arguments).await.unwrap_err()["message"], WRONG_TOKEN);
    }
    let refused = as_nobody(&owner, "password_reset_confirm", json!({"token": "bup_x", "password": NEW})).await;
    assert_eq!(refused.unwrap_err()["code"], "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_own_profile_changes_with_the_present_password_only() {
    let (owner, user) = with_anna().await;
    let anna = signed_in(&owner, PASSWORD).await;
    let other = signed_in(&owner, PASSWORD).await;
    let child = anna.with_token(anna.ok("session_create", json!({})).await["session_token"].as_str().unwrap());
    assert_eq!(anna.ok("profile_show", json!({})).await["id"], user["id"]);
    for (arguments, message) in [
        (json!({"current_password": PASSWORD}), "Give email, password, or both: there is nothing to change."),
        (json!({"password": NEW, "current_password": "Kuchnia2!"}), "/current_password: is not your present password"),
        (
            json!({"password": NEW, "password_confirmation": "x", "current_password": PASSWORD}),
            "/password_confirmation: is not the same as password",
        ),
        (
            json!({"email": "owner@example.com", "current_password": PASSWORD}),
            "Another user has the e-mail owner@example.com already. Use another address.",
        ),
    ] {
        assert_eq!(anna.err("profile_update", arguments).await["message"], message);
    }
    let changed = anna.ok("profile_update", json!({"password": NEW, "currentPassword": PASSWORD})).await;
    assert_eq!(changed, json!({"ok": true, "email": "Anna@Example.com", "revoked": 2}));
    anna.ok("me", json!({})).await;
    for ended in [&other, &child] {
        assert_eq!(ended.err("me", json!({})).await["code"], "unauthenticated");
    }
    login(&owner, PASSWORD).await.unwrap_err();
    let changed = anna.ok("profile_update", json!({"email": "ania@example.com", "current_password": NEW})).await;
    assert_eq!(changed["email"], "ania@example.com");
    for _ in 0..10 {
        anna.err("profile_update", json!({"password": PASSWORD, "current_password": "guess"})).await;
    }
    let refused = anna.err("profile_update", json!({"password": PASSWORD, "current_password": NEW})).await;
    assert_eq!(refused["code"], "rate_limited", "guesses count as those of signing in");
    let keyless = owner.ok("user_create", json!({"email": "bez@example.com"})).await;
    let key = owner.ok("api_key_create", json!({"name": "bez", "user_id": keyless["id"]})).await;
    let keyless = owner.with_token(key["secret"].as_str().unwrap());
    assert_eq!(
        keyless.err("profile_update", json!({"password": NEW, "current_password": "x"})).await["message"],
        "You have no password yet. Have a link to set one sent to your address with password_reset_request."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_set_by_an_administrator_ends_the_users_sessions() {
    let (owner, user) = with_anna().await;
    let anna = signed_in(&owner, PASSWORD).await;
    owner.ok("user_update", json!({"id": user["id"], "password": NEW})).await;
    assert_eq!(anna.err("me", json!({})).await["code"], "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_language_is_kept_for_a_user_and_told_to_everyone_else() {
    let (owner, _) = with_anna().await;
    let anna = signed_in(&owner, PASSWORD).await;
    let told = as_nobody(&owner, "locale_set", json!({"locale": "PL"})).await.unwrap();
    assert_eq!(told, json!({"ok": true, "locale": "pl", "saved": false}));
    assert_eq!(anna.ok("locale_set", json!({"locale": "uk"})).await["saved"], true);
    assert_eq!(anna.ok("profile_show", json!({})).await["locale"], "uk");
    let went = anna.ok("locale_redirect_set", json!({"locale": "en", "redirect": "/console"})).await;
    assert_eq!((&went["locale"], &went["redirect"]), (&json!("en"), &json!("/console")));
    let refused = anna.err("locale_redirect_set", json!({"locale": "en", "redirect": "//example.org"})).await;
    assert_eq!(refused["message"], "/redirect: must be a path on this server, such as /console");
    let refused = as_nobody(&owner, "locale_set", json!({"locale": "tlh"})).await.unwrap_err();
    assert_eq!(refused["message"], "/locale: expected one of pl, en, uk, fr, cs, sk, de, es, got `tlh`");
}

#[tokio::test(flavor = "multi_thread")]
async fn features_are_checked_as_the_token_leaves_them() {
    let (owner, _) = with_anna().await;
    let anna = signed_in(&owner, PASSWORD).await;
    let asked = json!({"features": ["contracts.view", "tasks_write", "contracts.rozlicz_umowa"]});
    let checked = anna.ok("feature_check", asked.clone()).await;
    assert_eq!(
        (&checked["ok"], &checked["granted"], &checked["missing"]),
        (&json!(false), &json!(["contracts.view", "tasks_write"]), &json!(["contracts.rozlicz_umowa"]))
    );
    let minted = anna.ok("session_create", json!({"features": ["organize.*"]})).await;
    let narrow = anna.with_token(minted["session_token"].as_str().unwrap());
    assert_eq!(narrow.ok("feature_check", asked).await["granted"], json!(["tasks_write"]));
    assert_eq!(anna.err("feature_list", json!({})).await["code"], "forbidden");
    let all = owner.ok("feature_list", json!({})).await;
    let needed: std::collections::BTreeSet<&str> =
        owner.bureau.registry.entries().iter().flat_map(|entry| entry.tool.rights.iter().copied()).collect();
    let listed: Vec<&str> = all["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert!(needed.iter().all(|feature| listed.contains(feature)), "{listed:?}");
    let contracts = owner.ok("feature_list", json!({"module": "contracts"})).await;
    assert_eq!(contracts["modules"], json!([{"id": "contracts", "title": "Contracts"}]));
    let settle = contracts["items"].as_array().unwrap().iter().find(|item| item["id"] == "contracts.rozlicz_umowa");
    assert_eq!(settle.unwrap()["tools"], json!(["contract_settle"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_made_within_what_one_holds() {
    let owner = Tester::new().await;
    let admin = owner.as_role("admin").await;
    let made = admin.ok("role_create", json!({"name": "Biuro", "privileges": ["tasks_write", "contracts.view"]})).await;
    assert_eq!(made["features"], json!(["contracts.view", "organize.tasks.manage"]));
    assert_eq!(
        admin.err("role_create", json!({"name": "Za dużo", "features": ["*"]})).await["message"],
        "The role Za dużo would give *, which you do not hold or your token leaves out. Nobody gives more than they hold: \
         leave it out, or ask someone who holds it."
    );
    assert_eq!(
        admin.err("role_create", json!({"name": "Literówka", "features": ["contract.view"]})).await["message"],
        "/features/0: there is no feature `contract.view`; did you mean `contracts.view`?; see feature_list"
    );
    for name in ["biuro", "Administrator", "account admin"] {
        assert_eq!(admin.err("role_create", json!({"name": name})).await["code"], "conflict", "{name}");
    }
    let based =
        admin.ok("role_create", json!({"name": "Gość plus", "features": ["contracts.view"], "based_on": "guest"}));
    assert_eq!(
        based.await["features"],
        json!(["contracts.view", "organize.projects.view", "organize.tasklists.view", "organize.tasks.view"])
    );
    let user = owner.ok("user_create", json!({"email": "ewa@example.com", "roles": ["Biuro"]})).await;
    let id = &made["id"];
    let held = "1 user(s) have the role Biuro, so it cannot be renamed. Take it from them first with user_update (user_list with role_ids finds them).";
    assert_eq!(admin.err("role_update", json!({"id": id, "name": "Kancelaria"})).await["message"], held);
    assert_eq!(
        admin.err("role_delete", json!({"id": id})).await["message"],
        held.replace("renamed", "deleted").as_str()
    );
    // Features change while people have the role, and count at their next call.
    let key = owner.ok("api_key_create", json!({"name": "ewa", "user_id": user["id"]})).await;
    let ewa = owner.with_token(key["secret"].as_str().unwrap());
    ewa.ok("contract_list", json!({})).await;
    admin.ok("role_update", json!({"id": id, "features": ["organize.tasks.view"]})).await;
    assert_eq!(ewa.err("contract_list", json!({})).await["code"], "forbidden");
    owner.ok("user_update", json!({"id": user["id"], "roles": ["guest"]})).await;
    admin.ok("role_update", json!({"id": id, "name": "Kancelaria"})).await;
    admin.ok("role_delete", json!({"id": id})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn built_in_roles_stay_and_the_owners_gives_everything() {
    let owner = Tester::new().await;
    let role = async |code: &str| {
        let roles = owner.ok("role_list", json!({"page_size": 100})).await;
        roles["items"].as_array().unwrap().iter().find(|role| role["code"] == code).unwrap()["id"].clone()
    };
    let guest = role("guest").await;
    for (tool, arguments, what) in [
        ("role_delete", json!({"id": guest}), "deleted"),
        ("role_update", json!({"id": guest, "name": "Goście"}), "renamed"),
    ] {
        assert_eq!(
            owner.err(tool, arguments).await["message"],
            format!("Guest is a built-in role and cannot be {what}. Make one of your own with role_create (based_on).")
        );
    }
    let owners = role("owner").await;
    for (tool, arguments) in [
        ("role_update", json!({"id": owners, "features": ["organize.*"]})),
        ("role_acl_update", json!({"role_id": owners, "features": ["organize.*"]})),
    ] {
        assert_eq!(
            owner.err(tool, arguments).await["message"],
            "The role Owner gives everything, always. Make a role of your own with role_create."
        );
    }
    let admin = owner.as_role("admin").await;
    assert_eq!(admin.err("role_update", json!({"id": owners, "features": ["*"]})).await["code"], "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_features_is_stripped_to_what_one_holds() {
    let owner = Tester::new().await;
    let admin = owner.as_role("admin").await;
    let role = admin.ok("role_create", json!({"name": "Biuro"})).await["id"].clone();
    let wanted = ["contracts.view", "directory.tenants.view", "configs.manage"];
    let changed =
        admin.ok("role_acl_update", json!({"role_id": role, "features": wanted, "is_super_admin": true})).await;
    assert_eq!(
        (&changed["sanitized"], &changed["stripped"], &changed["acl"]["features"]),
        (
            &json!(true),
            &json!(["configs.manage", "directory.tenants.view", "is_super_admin"]),
            &json!(["contracts.view"])
        )
    );
    let user = owner.ok("user_create", json!({"email": "ewa@example.com", "role": "user"})).await["id"].clone();
    let key = owner.ok("api_key_create", json!({"name": "ewa", "user_id": user})).await;
    let ewa = owner.with_token(key["secret"].as_str().unwrap());
    ewa.ok("task_list", json!({})).await;
    let changed =
        admin.ok("user_acl_update", json!({"user_id": user, "features": wanted, "is_super_admin": true})).await;
    assert_eq!(changed["stripped"], json!(["is_super_admin", "configs.manage", "directory.tenants.view"]));
    let grant = json!({"user_id": user, "has_custom_acl": true, "is_super_admin": false, "features": ["contracts.view"], "organizations": null});
    assert_eq!(changed["acl"], grant);
    // The grant replaces what the role gives.
    ewa.ok("contract_list", json!({})).await;
    assert_eq!(ewa.err("task_list", json!({})).await["code"], "forbidden");
    let cleared = admin.ok("user_acl_update", json!({"user_id": user, "features": []})).await;
    assert_eq!(cleared["acl"]["has_custom_acl"], false);
    ewa.ok("task_list", json!({})).await;
    // Of the first owner, who administers the installation, others do too.
    let raised = owner.ok("user_acl_update", json!({"user_id": user, "is_super_admin": true})).await;
    assert_eq!((&raised["sanitized"], &raised["acl"]["is_super_admin"]), (&json!(false), &json!(true)));
    assert_eq!(owner.ok("user_show", json!({"id": user})).await["is_super_admin"], true);
    assert_eq!(
        admin.err("user_acl_update", json!({"user_id": user, "is_super_admin": false})).await["message"],
        "ewa administers the whole installation. Only someone who does so too may do this."
    );
    let owners = owner.ok("user_list", json!({"role": "owner"})).await["items"][0]["id"].clone();
    assert_eq!(
        owner.err("user_acl_update", json!({"user_id": owners, "features": ["contracts.view"]})).await["code"],
        "conflict"
    );
    assert_eq!(admin.err("user_acl_update", json!({"user_id": owners, "features": []})).await["code"], "forbidden");
    owner.ok("user_acl_update", json!({"user_id": owners, "is_super_admin": false})).await;
    ewa.ok("user_acl_update", json!({"user_id": user, "is_super_admin": true})).await;
    assert_eq!(
        ewa.err("user_acl_update", json!({"user_id": user, "is_super_admin": false})).await["message"],
        "ewa is the last who administers the installation. Make someone else super admin first (user_acl_update)."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_are_limited_to_the_givers_organizations() {
    let owner = Tester::new().await;
    let krakow = owner.ok("organization_create", json!({"name": "Kraków"})).await["id"].clone();
    let lodz = owner.ok("organization_create", json!({"name": "Łódź"})).await["id"].clone();
    let chief = owner
        .ok("user_create", json!({"email": "szef@example.com", "organization_id": krakow, "role": "guest"}))
        .await["id"]
        .clone();
    let user = owner
        .ok("user_create", json!({"email": "ewa@example.com", "organization_id": krakow, "role": "guest"}))
        .await["id"]
        .clone();
    let grant = json!({"user_id": chief, "features": ["auth.*", "organize.*"], "organizations": [krakow]});
    owner.ok("user_acl_update", grant).await;
    owner
        .ok("user_acl_update", json!({"user_id": user, "features": ["organize.tasks.view"], "organizations": [krakow]}))
        .await;
    let key = owner.ok("api_key_create", json!({"name": "szef", "user_id": chief})).await;
    let chief = owner.with_token(key["secret"].as_str().unwrap());
    let changed = chief.ok("user_acl_update", json!({"user_id": user, "features": ["organize.*"]})).await;
    assert_eq!(changed["acl"]["organizations"], json!([krakow]));
    for organizations in [json!([lodz]), json!(null)] {
        let refused = chief.err("user_acl_update", json!({"user_id": user, "organizations": organizations})).await;
        assert!(["forbidden", "validation"].contains(&refused["code"].as_str().unwrap()), "{refused}");
    }
    let role = chief.err("role_create", json!({"name": "Wszędzie", "features": ["contracts.view"]})).await;
    assert_eq!(role["code"], "forbidden");
}

/// Owners as they are left.
async fn owners(tester: &Tester) -> usize {
    let found = tester.ok("user_list", json!({"role": "owner", "active": true})).await;
    found["items"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_owner_stays_whatever_the_call() {
    let owner = Tester::new().await;
    let first = owner.ok("user_list", json!({"role": "owner"})).await["items"][0]["id"].clone();
    let last = "Owner is the last owner. Make someone else owner first (user_update with role owner).";
    assert_eq!(owner.err("user_update", json!({"id": first, "role": "admin"})).await["message"], last);
    assert_eq!(owner.err("user_update", json!({"id": first, "role": "admin", "dry_run": true})).await["message"], last);
    for tool in ["user_block", "user_delete"] {
        assert_eq!(owner.err(tool, json!({"id": first})).await["code"], "conflict");
    }
    let batch =
        json!({"mode": "each", "calls": [{"tool": "user_update", "arguments": {"id": first, "role": "admin"}}]});
    assert_eq!(owner.err("batch_call", batch).await["message"], last);
    // Undo of the promotion that made the one who is left.
    let second = owner.ok("user_create", json!({"email": "druga@example.com", "role": "admin"})).await["id"].clone();
    let key = owner.ok("api_key_create", json!({"name": "druga", "user_id": second})).await;
    let second_owner = owner.with_token(key["secret"].as_str().unwrap());
    let promoted = owner.ok("user_update", json!({"id": second, "role": "owner"})).await["undo_token"].clone();
    let swapped = json!({"calls": [{"tool": "user_update", "arguments": {"id": first, "role": "admin"}}]});
    second_owner.err("batch_call", swapped.clone()).await;
    owner.ok("user_update", json!({"id": first, "role": "admin"})).await;
    let undone = second_owner.err("action_undo", json!({"undo_token": promoted})).await;
    assert_eq!(
        undone["message"],
        "druga is the last owner. Make someone else owner first (user_update with role owner)."
    );
    assert_eq!(owners(&second_owner).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_who_resign_at_once_leave_one() {
    for _ in 0..4 {
        let owner = Tester::new().await;
        let mut people = vec![owner.ok("user_list", json!({"role": "owner"})).await["items"][0]["id"].clone()];
        for number in 0..2 {
            let created = json!({"email": format!("o{number}@example.com"), "role": "owner"});
            people.push(owner.ok("user_create", created).await["id"].clone());
        }
        let key = owner.ok("api_key_create", json!({"name": "watch"})).await;
        let watch = owner.with_token(key["secret"].as_str().unwrap());
        let calls: Vec<_> = people
            .iter()
            .map(|id| tokio::spawn(owner.call_raw("user_update", json!({"id": id, "role": "guest"}))))
            .collect();
        let mut refused = Vec::new();
        for call in calls {
            let (answer, is_error) = call.await.unwrap();
            if is_error {
                refused.push(answer);
            }
        }
        // The caller resigns too: whoever is late may have lost the right instead.
        let left = watch.bureau.as_system(watch.tenant_id, None, "count", |ctx| {
            Box::pin(async move {
                let sql = Sql::with(
                    "SELECT COUNT(*) FROM users WHERE tenant_id = $1 AND role = 'owner' AND active",
                    [ctx.tenant_id().into()],
                );
                ctx.rows(&sql).await?[0].get::<i64>(0)
            })
        });
        assert!(left.await.unwrap() >= 1, "{refused:?}");
        assert!(!refused.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocking_ends_sessions_and_keys_at_once() {
    let (owner, user) = with_anna().await;
    let anna = signed_in(&owner, PASSWORD).await;
    let key = owner.ok("api_key_create", json!({"name": "anna", "user_id": user["id"]})).await;
    let by_key = owner.with_token(key["secret"].as_str().unwrap());
    owner.ok("user_block", json!({"id": user["id"]})).await;
    for tester in [&anna, &by_key] {
        assert_eq!(tester.err("me", json!({})).await["code"], "unauthenticated");
    }
    owner.ok("user_update", json!({"id": user["id"], "active": 1})).await;
    assert_eq!(anna.err("me", json!({})).await["code"], "unauthenticated", "sessions stay ended");
    let Shown::Token(_) = &by_key.shown else { panic!("a key") };
    by_key.ok("me", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_makes_a_user_once() {
    let owner = Tester::new().await;
    let person = owner.ok("person_create", json!({"name": "Ewa Lis", "primary_email": "ewa@example.com"})).await;
    let invited = owner.ok("person_invite", json!({"id": person["id"], "redirect_to": "/x"})).await;
    let id = Uuid::try_parse(invited["invitation_id"].as_str().unwrap()).unwrap();
    let (first, _) = mailed_of(&owner, "invitation", id).await.unwrap();
    let (token, to) = mailed_of(&owner, "invitation", id).await.unwrap();
    assert_eq!(to, "ewa@example.com");
    let accept = async |token: &str, password: &str| {
        as_nobody(&owner, "invitation_accept", json!({"token": token, "password": password, "first_name": "Ewa"})).await
    };
    let wrong =
        "/token: is not valid: it is unknown, used already, or older than 30 days. Ask whoever invited you for another";
    assert_eq!(accept(&first, PASSWORD).await.unwrap_err()["message"], wrong, "only the last mail counts");
    let weak = accept(&token, "short").await.unwrap_err();
    assert!(weak["message"].as_str().unwrap().starts_with("/password: "), "{weak}");
    let accepted = accept(&token, PASSWORD).await.unwrap();
    assert_eq!((&accepted["ok"], &accepted["email"]), (&json!(true), &json!("ewa@example.com")));
    assert_eq!(accept(&token, PASSWORD).await.unwrap_err()["message"], wrong, "it is good once");
    let user = owner.ok("user_show", json!({"id": accepted["user_id"]})).await;
    assert_eq!((&user["role"], &user["first_name"]), (&json!("user"), &json!("Ewa")));
    as_nobody(&owner, "session_login", json!({"email": "ewa@example.com", "password": PASSWORD})).await.unwrap();
    let linked = owner.ok("person_show", json!({"id": person["id"]})).await;
    assert_eq!(linked["active"], false, "the customer is linked: {linked}");
}
