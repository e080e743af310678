//! Identity: the rules of organizations, users, tokens and the action log, by whole answers and whole error texts.

use bureau_identity::founding::{self, Founding};
use bureau_kit::gate::Outcome;
use serde_json::{Value, json};

use crate::support::{Tester, difference};

fn texts(rows: &Value, name: &str) -> Vec<String> {
    rows["items"].as_array().unwrap().iter().map(|row| row[name].as_str().unwrap_or_default().to_owned()).collect()
}

fn error(code: &str, message: &str) -> Value {
    json!({"code": code, "message": message})
}

/// An error without its details, which other tests look at.
async fn refusal(tester: &Tester, tool: &str, arguments: Value) -> Value {
    let mut error = tester.err(tool, arguments).await;
    error.as_object_mut().unwrap().retain(|name, _| name == "code" || name == "message");
    error
}

async fn session(tester: &Tester, arguments: Value) -> (Tester, Value) {
    let answer = tester.ok("session_create", arguments).await;
    (tester.with_token(answer["session_token"].as_str().unwrap()), answer)
}

/// Whether a token still opens anything.
async fn opens(tester: &Tester) -> bool {
    !matches!(tester.outcome("session_list", json!({})).await, Outcome::Unauthenticated(_))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_begins_with_an_owner_its_roles_and_one_organization() {
    let t = Tester::new().await;
    assert_eq!(texts(&t.ok("organization_list", json!({})).await, "name"), ["My company"]);
    let roles = t.ok("role_list", json!({"order": "asc", "sort": "num"})).await;
    assert_eq!(
        texts(&roles, "code"),
        [
            "owner",
            "admin",
            "account_admin",
            "team_admin",
            "department_admin",
            "user",
            "guest",
            "reader",
            "crm_viewer",
            "crm_user",
            "crm_manager",
            "crm_inviter",
            "sprzedawca"
        ]
    );
    let users = t.ok("user_list", json!({})).await;
    assert_eq!(users["items"][0]["name"], "Owner");
    assert_eq!(users["items"][0]["roles"][0]["code"], "owner");
    assert_eq!(texts(&t.ok("api_key_list", json!({})).await, "name"), ["owner"]);
    // A second first start does nothing.
    let again = Founding {
        tenant_name: "X".into(),
        owner_email: "x@example.com".into(),
        owner_name: String::new(),
        seed: |_| Box::pin(async { Ok(()) }),
    };
    assert!(founding::found(&t.bureau, again).await.unwrap().is_none());
    // Nothing of it is in the log: no one did it.
    assert_eq!(t.ok("action_log_list", json!({})).await["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn organizations_stay_a_tree() {
    let t = Tester::new().await;
    let root = t.ok("organization_list", json!({})).await["items"][0]["id"].clone();
    let north = t.ok("organization_create", json!({"name": "North", "parent_id": root})).await["id"].clone();
    let city = t.ok("organization_create", json!({"name": "City", "parent_id": north})).await["id"].clone();
    assert_eq!(
        refusal(&t, "organization_update", json!({"id": north, "parent_id": north})).await,
        error("validation", "/parent_id: an organization cannot be its own parent")
    );
    assert_eq!(
        refusal(&t, "organization_update", json!({"id": north, "parent_id": city})).await,
        error("validation", "/parent_id: an organization cannot go under its own descendant; move that one first")
    );
    let before = t.dump().await;
    let deleted = t.ok("organization_delete", json!({"id": north})).await;
    assert_eq!(t.ok("organization_show", json!({"id": city})).await["parent_id"], root);
    t.ok("action_undo", json!({"undo_token": deleted["undo_token"]})).await;
    assert_eq!(difference(&before, &t.dump().await), "");
    assert_eq!(
        refusal(&t, "organization_delete", json!({"id": root})).await,
        error(
            "conflict",
            "This organization is still used: 1 × user belong to it. Move them to another organization (or delete them) first."
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_needs_an_email_only() {
    let t = Tester::new().await;
    let user = t.ok("user_create", json!({"email": "Anna.Nowak@Example.com"})).await;
    let shown: Vec<&Value> = ["email", "name", "first_name", "role", "active", "team", "dynamic_extension"]
        .iter()
        .map(|name| &user[*name])
        .collect();
    assert_eq!(json!(shown), json!(["Anna.Nowak@Example.com", "Anna.Nowak", null, "user", true, null, false]));
    assert!(!user.to_string().contains("credential") && !user.to_string().contains("folded"));
    assert_eq!(
        refusal(&t, "user_create", json!({"email": "anna.nowak@example.COM"})).await,
        error(
            "conflict",
            "A user with the e-mail anna.nowak@example.COM exists already. Change them with user_update, or use another address."
        )
    );
    // The same address in another company is another person's place.
    t.other_tenant().await.ok("user_create", json!({"email": "anna.nowak@example.com"})).await;
    assert_eq!(
        refusal(&t, "user_create", json!({"email": "x@example.com", "roles": ["Kierownik"]})).await,
        error("validation", "/roles/0: there is no role `Kierownik`; use role_list to find it")
    );
    assert_eq!(
        refusal(&t, "user_create", json!({"email": "x@example.com", "password": "abc"})).await,
        error(
            "validation",
            "/password: needs at least 6 characters, among them a digit, a capital letter and a special character"
        )
    );
    let split =
        t.ok("user_create", json!({"email": "y@example.com", "name": "Jan Maria Kos", "roles": ["Sprzedawca"]})).await;
    assert_eq!([&split["first_name"], &split["last_name"], &split["role"]], ["Jan Maria", "Kos", "guest"]);
    assert_eq!(split["roles"][1]["name"], "Sprzedawca");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_a_telephone_follows_ccrms_rules() {
    let t = Tester::new().await;
    let base = json!({"email": "a@example.com", "extensionId": 12});
    assert_eq!(
        refusal(&t, "user_create", base).await["message"],
        "/permission: is required with telephony fields; /groups: is required with telephony fields; \
         /dynamic_extension: is required with telephony fields"
    );
    let with = |email: &str, more: Value| {
        let mut arguments = json!({
            "email": email, "permission": 6, "groups": [], "password": "Kuchnia1!", "passwordConfirmation": "Kuchnia1!",
        });
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    assert_eq!(
        refusal(&t, "user_create", with("a@example.com", json!({"dynamicExtension": 0}))).await["message"],
        "/extension_id: is required when dynamic_extension is 0"
    );
    assert_eq!(
        refusal(&t, "user_create", with("a@example.com", json!({"dynamicExtension": 1}))).await["message"],
        "/dynamic_extension_ids: is required when dynamic_extension is 1"
    );
    let anna = t.ok("user_create", with("a@example.com", json!({"dynamicExtension": 0, "extensionId": 12}))).await;
    assert_eq!(anna["permission"]["name"], "User");
    assert_eq!(
        refusal(&t, "user_create", with("b@example.com", json!({"dynamicExtension": 0, "extensionId": 12}))).await["message"],
        "/extension_id: SIP account 12 is assigned to another user (a); choose another, or take it from them first"
    );
    let calls = json!([{"presentation": 48777888999_i64, "name": "Biuro", "clipPrefix": "", "intlFormat": 1}]);
    let more = json!({
        "dynamicExtension": 1, "dynamicExtensionIds": [3, 4], "workNumber": 777888999,
        "smsPresentation": ["Biuro", 48777], "callPresentation": calls,
    });
    let piotr = t.ok("user_create", with("b@example.com", more)).await;
    assert_eq!(piotr["dynamic_extension_ids"], json!([3, 4]));
    assert_eq!(piotr["sms_presentation"], json!(["Biuro", "48777"]));
    assert_eq!(
        piotr["call_presentation"],
        json!([{"presentation": "48777888999", "name": "Biuro", "clip_prefix": "", "intl_format": true}])
    );
    // Over the merged state: the list given before makes the change whole.
    let changed =
        t.ok("user_update", json!({"uuid": anna["id"], "dynamic_extension": 1, "dynamic_extension_ids": {}})).await;
    assert_eq!([&changed["extension_id"], &changed["dynamic_extension_ids"]], [&Value::Null, &json!([])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_come_as_list_or_map_with_one_of_a_kind() {
    let t = Tester::new().await;
    let user =
        t.ok("add_user", json!({"email": "anna.nowak@example.com", "department": "Biuro", "group": "Montaż"})).await;
    let other = t.ok("add_user", json!({"email": "jan@example.com", "department": "Hala"})).await;
    assert_eq!([&user["data"]["department"], &other["data"]["department"]], ["Biuro", "Hala"]);
    let users = t.ok("user_list", json!({"q": "anna"})).await;
    let anna = &users["items"][0];
    assert_eq!([&anna["first_name"], &anna["last_name"]], ["anna", "nowak"]);
    assert_eq!([&anna["department"]["name"], &anna["groups"][0]["kind"]], ["Biuro", "department"]);
    assert_eq!([&anna["team"]["name"], &anna["teams"][0]["name"]], ["Montaż", "Montaż"]);
    let id = &anna["id"];
    assert_eq!(
        refusal(&t, "user_update", json!({"id": id, "groups": [1, 2]})).await["message"],
        "/groups/1: is the second group of the kind department; give at most one of a kind"
    );
    let moved = t.ok("user_update", json!({"id": id, "groups": {"department": 2}})).await;
    assert_eq!([&moved["department"]["name"], &moved["groups"][0]["name"]], ["Hala", "Hala"]);
    let out = t.ok("user_update", json!({"id": id, "groups": {"department": ""}})).await;
    assert_eq!([&out["department"], &out["groups"]], [&Value::Null, &json!([])]);
    assert_eq!(
        refusal(&t, "user_update", json!({"id": id, "groups": {"position": 1}})).await["message"],
        "/groups/position: is a department, not a position"
    );
    assert_eq!(
        t.ok("user_list", json!({"team_id": 1})).await["items"].as_array().unwrap().len(),
        1,
        "members of a team are found by it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_or_takes_charge_of_more_than_they_hold() {
    let t = Tester::new().await;
    let admin = t.as_role("admin").await;
    let team_admin = t.as_role("team_admin").await;
    assert_eq!(
        admin.err("user_create", json!({"email": "x@example.com", "role": "owner"})).await,
        json!({
            "code": "forbidden",
            "message": "The role Owner would give *, which you do not hold or your token leaves out. Nobody gives more than \
                        they hold: leave it out, or ask someone who holds it.",
            "details": {"missing": "*"},
        })
    );
    let owner = t.ok("user_list", json!({"role": "owner"})).await["items"][0]["id"].clone();
    assert_eq!(
        refusal(&admin, "user_update", json!({"id": owner, "password": "Kuchnia1!"})).await,
        error(
            "forbidden",
            "Owner holds * by role Owner, which you do not hold or your token leaves out. Only someone who holds as much may do this."
        )
    );
    assert_eq!(refusal(&admin, "api_key_create", json!({"name": "x", "user_id": owner})).await["code"], "forbidden");
    assert_eq!(
        refusal(&team_admin, "user_create", json!({"email": "x@example.com", "roles": ["admin"]})).await["code"],
        "forbidden"
    );
    team_admin.ok("user_create", json!({"email": "x@example.com"})).await;
    // Nor by a token of one's own that leaves it out.
    let (narrow, _) = session(&t, json!({"features": ["auth.users.create"]})).await;
    assert_eq!(refusal(&narrow, "user_create", json!({"email": "y@example.com"})).await["code"], "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_and_the_caller_are_protected() {
    let t = Tester::new().await;
    let owner = t.ok("user_list", json!({"role": "owner"})).await["items"][0]["id"].clone();
    for (tool, what) in [("user_block", "blocked"), ("user_delete", "deleted")] {
        assert_eq!(
            refusal(&t, tool, json!({"id": owner})).await,
            error(
                "conflict",
                &format!(
                    "Owner is an owner and cannot be {what}. Give the person another role first (user_update), while someone \
                     else is owner."
                )
            )
        );
    }
    assert_eq!(
        refusal(&t, "user_update", json!({"id": owner, "role": "admin"})).await,
        error("conflict", "Owner is the last owner. Make someone else owner first (user_update with role owner).")
    );
    t.ok("user_create", json!({"email": "second@example.com", "role": "owner"})).await;
    t.ok("user_update", json!({"id": owner, "role": "admin"})).await;
    assert_eq!(
        refusal(&t, "user_block", json!({"id": owner})).await,
        error("conflict", "You cannot be blocked by yourself. Ask another administrator.")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_user_is_out_at_once_and_undo_lets_them_in_again() {
    let t = Tester::new().await;
    let anna = t.as_role("user").await;
    let (agent, _) = session(&anna, json!({})).await;
    assert!(opens(&agent).await);
    let id = t.ok("user_list", json!({"role": "user"})).await["items"][0]["id"].clone();
    let before = t.dump().await;
    let blocked = t.ok("user_block", json!({"id": id})).await;
    assert_eq!(blocked["active"], false);
    assert!(!opens(&agent).await && !opens(&anna).await);
    // Again: the same answer, nothing more to do.
    assert_eq!(t.ok("user_block", json!({"id": id})).await["version"], blocked["version"]);
    t.ok("action_undo", json!({"undo_token": blocked["undo_token"]})).await;
    assert_eq!(difference(&before, &t.dump().await), "");
    assert!(opens(&agent).await && opens(&anna).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_comes_back_whole() {
    let t = Tester::new().await;
    let anna = t.as_role("user").await;
    let (agent, _) = session(&anna, json!({})).await;
    let id = t.ok("user_list", json!({"role": "user"})).await["items"][0]["id"].clone();
    t.ok("user_update", json!({"id": id, "roles": ["user", "crm_viewer"], "team_id": t.ok("team_create", json!({"name": "A"})).await["id"]}))
        .await;
    let before = t.dump().await;
    let deleted = t.ok("user_delete", json!({"id": id})).await;
    assert!(!opens(&agent).await && !opens(&anna).await);
    assert_eq!(refusal(&t, "user_show", json!({"id": id})).await["code"], "not_found");
    t.ok("action_undo", json!({"undo_token": deleted["undo_token"]})).await;
    assert_eq!(difference(&before, &t.dump().await), "");
    assert!(opens(&agent).await && opens(&anna).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_never_wider_than_what_it_is_minted_from() {
    let t = Tester::new().await;
    let user = t.as_role("user").await;
    assert_eq!(
        refusal(&user, "session_create", json!({"features": ["organize.tasks.view", "finance.view"]})).await,
        error(
            "forbidden",
            "This session would give finance.view, which you do not hold or your token leaves out. Nobody gives more than they \
             hold: leave it out, or ask someone who holds it."
        )
    );
    let (child, answer) = session(
        &user,
        json!({"label": "agent", "features": ["users_read"], "toolsets": ["access"], "ttl_minutes": 60}),
    )
    .await;
    assert_eq!(answer["features"], json!(["auth.users.list"]));
    assert_eq!(answer["toolsets"], json!(["access"]));
    assert_eq!(answer["expires_at"], "2026-11-21T11:00:00Z");
    assert!(answer["undo_token"].is_null());
    child.ok("user_list", json!({})).await;
    assert_eq!(refusal(&child, "team_list", json!({})).await["code"], "forbidden");
    // What is not asked for is inherited; what is asked for beyond it is refused.
    let (grandchild, inherited) = session(&child, json!({"ttl_minutes": 600})).await;
    assert_eq!([&inherited["features"], &inherited["toolsets"]], [&json!(["auth.users.list"]), &json!(["access"])]);
    assert_eq!(inherited["expires_at"], "2026-11-21T11:00:00Z", "no longer than its parent");
    assert_eq!(refusal(&grandchild, "session_create", json!({"features": ["organize.*"]})).await["code"], "forbidden");
    assert_eq!(
        refusal(&grandchild, "session_create", json!({"toolsets": ["teams"]})).await,
        error("forbidden", "This session would have the toolset teams, which your own token leaves out.")
    );
    let mistake = refusal(&t, "session_create", json!({"toolsets": ["nonsense"]})).await["message"].to_string();
    assert!(
        mistake.contains("/toolsets/0: expected one of") && mistake.contains("access, audit, search, teams"),
        "{mistake}"
    );
    // A role taken away is gone from the token at the next call.
    let id = t.ok("user_list", json!({"role": "user"})).await["items"][0]["id"].clone();
    t.ok("user_update", json!({"id": id, "role": "guest"})).await;
    assert_eq!(refusal(&child, "user_list", json!({})).await["code"], "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_one_organization_and_read_only_stays_so() {
    let t = Tester::new().await;
    let root = t.ok("organization_list", json!({})).await["items"][0]["id"].clone();
    let branch = t.ok("organization_create", json!({"name": "Branch"})).await["id"].clone();
    let (scoped, _) = session(&t, json!({"organization_id": branch})).await;
    assert!(
        texts(&scoped.ok("user_list", json!({})).await, "email").is_empty(),
        "the owner is of the other organization"
    );
    assert_eq!(refusal(&scoped, "session_create", json!({"organization_id": root})).await["code"], "forbidden");
    assert_eq!(refusal(&scoped, "organization_update", json!({"id": root, "name": "X"})).await["code"], "forbidden");
    assert_eq!(refusal(&scoped, "user_create", json!({"email": "x@example.com"})).await["code"], "forbidden");
    assert_eq!(
        refusal(&scoped, "api_key_create", json!({"name": "x"})).await,
        error(
            "forbidden",
            "Your session is limited in its organization, and a key cannot carry that limit. Use session_create instead."
        )
    );
    let (_, inherited) = session(&scoped, json!({})).await;
    assert_eq!(inherited["session"]["organization_id"], branch);
    let (reader, _) = session(&t, json!({"read_only": true})).await;
    assert_eq!(refusal(&reader, "team_create", json!({"name": "x"})).await["code"], "forbidden");
    // Without its organization the token would be limited to nothing: it ends.
    t.ok("organization_delete", json!({"id": branch})).await;
    assert!(!opens(&scoped).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_of_a_limited_session_are_divided() {
    let t = Tester::new().await;
    let (five, answer) = session(&t, json!({"write_budget": 5})).await;
    assert_eq!(answer["write_budget"], 5);
    assert_eq!(
        refusal(&five, "ai_session_key_create", json!({})).await["message"],
        "/write_budget: is required: your own token has 4 writes left; say how many of them the new one gets (session_create)"
    );
    let (two, _) = session(&five, json!({"write_budget": 2})).await;
    let left = five.ok("session_list", json!({})).await;
    let left: Vec<&Value> = left["items"].as_array().unwrap().iter().map(|row| &row["writes_left"]).collect();
    assert_eq!(left, [2, 2], "the parent spent one on minting and gave two away");
    two.ok("team_create", json!({"name": "1"})).await;
    two.ok("team_create", json!({"name": "2"})).await;
    assert_eq!(
        refusal(&two, "team_create", json!({"name": "3"})).await,
        error(
            "rate_limited",
            "This token has used up its writes. Ask its owner for a new one (session_create with a larger write_budget)."
        )
    );
    assert_eq!(refusal(&five, "session_create", json!({"write_budget": 2})).await["code"], "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_ends_everything_below() {
    let t = Tester::new().await;
    let (agent, made) = session(&t, json!({"label": "agent"})).await;
    let (helper, _) = session(&agent, json!({"label": "helper", "features": ["api_keys.create"]})).await;
    let key = helper.ok("api_key_create", json!({"name": "left behind"})).await;
    assert_eq!(key["expires_at"], "2026-11-21T12:00:00Z", "a key made by a minted session ends with it");
    let key = t.with_token(key["secret"].as_str().unwrap());
    let (last, _) = session(&key, json!({"label": "last"})).await;
    assert!(opens(&last).await);
    // A minted session reaches itself and what is below it, nothing beside and nothing above.
    assert_eq!(texts(&helper.ok("session_list", json!({})).await, "label"), ["last", "helper"]);
    let (narrow, _) = session(&t, json!({"features": []})).await;
    assert_eq!(refusal(&narrow, "session_revoke", json!({"id": made["session"]["id"]})).await["code"], "not_found");
    let revoked = t.ok("session_revoke", json!({"id": made["session"]["id"]})).await;
    assert_eq!([&revoked["revoked"], &revoked["session"]["label"]], [&json!(4), &json!("agent")]);
    for token in [&agent, &helper, &key, &last] {
        assert!(!opens(token).await);
    }
    assert_eq!(t.ok("session_revoke", json!({"id": made["session"]["id"]})).await["revoked"], 0);
    assert_eq!(
        refusal(&t, "session_refresh", json!({"id": made["session"]["id"]})).await,
        error("impossible_state", "This session has ended. Mint another with session_create.")
    );
    // Without an id, the calling one.
    narrow.ok("session_revoke", json!({})).await;
    assert!(!opens(&narrow).await);
    assert_eq!(
        refusal(&t, "session_revoke", json!({})).await["message"],
        "/id: is required, since this call came without a session; see session_list"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_refreshed_within_its_parents_life() {
    let t = Tester::new().await;
    let (parent, _) = session(&t, json!({"ttl_minutes": 90})).await;
    let (child, _) = session(&parent, json!({"ttl_minutes": 60})).await;
    t.bureau.clock.advance_seconds(45 * 60);
    assert_eq!(child.ok("session_refresh", json!({})).await["expires_at"], "2026-11-21T11:30:00Z", "its parent's end");
    assert_eq!(parent.ok("session_refresh", json!({})).await["expires_at"], "2026-11-21T12:15:00Z");
    assert_eq!(child.ok("session_refresh", json!({})).await["expires_at"], "2026-11-21T11:45:00Z");
    t.bureau.clock.advance_seconds(61 * 60);
    assert!(!opens(&child).await && opens(&parent).await);
    let (long, made) = session(&t, json!({"ttl_minutes": 43200})).await;
    t.bureau.clock.advance_seconds(24 * 3600);
    assert_eq!(long.ok("session_refresh", json!({})).await["expires_at"], made["expires_at"], "30 days in all");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_assistants_key_is_mercatos() {
    let t = Tester::new().await;
    let user = t.as_role("user").await;
    let key = user.ok("ai_session_key_create", json!({})).await;
    assert_eq!(key.as_object().unwrap().keys().collect::<Vec<_>>(), ["sessionToken", "expiresAt"]);
    assert_eq!(key["expiresAt"], "2026-11-21T12:00:00Z");
    let assistant = t.with_token(key["sessionToken"].as_str().unwrap());
    assistant.ok("user_list", json!({})).await;
    assert_eq!(refusal(&t.as_role("guest").await, "ai_session_key_create", json!({})).await["code"], "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_key_takes_its_sessions_along() {
    let t = Tester::new().await;
    let made = t.ok("api_key_create", json!({"name": "ci", "features": ["organize.*", "auth.users.list"]})).await;
    let key = t.with_token(made["secret"].as_str().unwrap());
    let (agent, _) = session(&key, json!({})).await;
    assert_eq!(
        refusal(&agent, "organization_list", json!({})).await["code"],
        "forbidden",
        "the key's limit goes along"
    );
    let listed = t.ok("api_key_list", json!({"q": "ci"})).await.to_string();
    assert!(!listed.contains(made["secret"].as_str().unwrap()) && !listed.contains("secret"));
    let deleted = t.ok("api_key_delete", json!({"id": made["id"]})).await;
    assert_eq!([&deleted["revoked"], &deleted["undo_token"]], [&json!(1), &Value::Null]);
    assert!(!opens(&key).await && !opens(&agent).await);
    assert_eq!(
        refusal(&t, "api_key_create", json!({"name": "late", "expires_at": "2020-01-01"})).await["message"],
        "/expires_at: has passed already; name a later time"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_is_explained() {
    let t = Tester::new().await;
    let user = t.as_role("user").await;
    let yes = user.ok("permission_explain", json!({"tool": "team_create"})).await;
    assert_eq!(yes["allowed"], true);
    assert_eq!(yes["needed"], json!(["organize.teams.manage", "staff.manage_team"]));
    assert_eq!([&yes["granted_by"][0]["right"], &yes["granted_by"][0]["name"]], ["organize.teams.manage", "User"]);
    assert_eq!([&yes["next_step"], &yes["who"]], ["Call team_create.", "Test user"]);
    let no = user.ok("permission_explain", json!({"tool": "api_key_create"})).await;
    assert_eq!([&no["allowed"], &no["granted_by"]], [&json!(false), &json!([])]);
    assert_eq!(
        no["next_step"],
        "Ask an administrator for a role that gives api_keys.create (role_list shows the roles, user_update gives one)."
    );
    let (narrow, _) = session(&user, json!({"toolsets": ["access"], "read_only": true})).await;
    let taken = narrow.ok("permission_explain", json!({"tool": "team_create"})).await;
    assert_eq!(
        taken["taken_away_by"],
        json!(["your token is read-only", "your token was narrowed to the toolsets access, and this is one of teams"])
    );
    let owner = t.ok("user_list", json!({"role": "owner"})).await["items"][0]["id"].clone();
    assert_eq!(
        refusal(&user, "permission_explain", json!({"feature": "x.y", "user_id": owner})).await["code"],
        "forbidden"
    );
    assert_eq!(t.ok("permission_explain", json!({"feature": "x.y", "user_id": 2})).await["allowed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_shown_as_worksection_shows_them() {
    let t = Tester::new().await;
    let added = t.ok("add_user", json!({"email": "anna.nowak@example.com", "role": "guest", "group": "Montaż"})).await;
    assert_eq!(
        json!([added["status"], added["data"]]),
        json!(["ok", {
            "id": "2", "first_name": "anna", "last_name": "nowak", "name": "anna nowak", "title": "", "avatar": "",
            "group": "Montaż", "department": "", "role": "guest", "email": "anna.nowak@example.com",
        }])
    );
    assert!(added["undo_token"].is_null(), "an invitation was sent");
    let again = t.ok("add_user", json!({"email": "ANNA.nowak@example.com", "first_name": "X"})).await;
    assert_eq!(again["data"], added["data"]);
    assert_eq!(
        t.err("add_user", json!({"email": ""})).await,
        json!({
            "code": "validation", "message": "Field is required", "fields": [{"path": "/email", "message": "is required"}],
            "status": "error", "status_code": 10, "message_details": "email",
        })
    );
    let wrong = t.err("add_user", json!({"email": "anna"})).await;
    assert_eq!([&wrong["status_code"], &wrong["message"]], [&json!(11), &json!("Invalid email")]);
    let group = t.ok("add_user_group", json!({"title": " montaż ", "client": 1})).await;
    assert_eq!(group["data"], json!({"id": "1", "title": "Montaż", "type": "company", "client": 0}));
    let client = t.ok("add_user_group", json!({"title": "Klient", "client": 1})).await;
    assert_eq!(client["data"], json!({"id": "2", "title": "Klient", "type": "company", "client": 1}));
    assert_eq!(t.ok("get_user_groups", json!({})).await["data"].as_array().unwrap().len(), 2);
    let me = t.ok("me", json!({})).await;
    assert_eq!([&me["data"][0]["role"], &me["data"][0]["id"]], ["owner", "1"]);
    t.ok("user_block", json!({"id": 2})).await;
    assert_eq!(t.ok("get_users", json!({})).await["data"].as_array().unwrap().len(), 1);
    assert_eq!(t.ok("get_users", json!({"filter": "all"})).await["data"].as_array().unwrap().len(), 2);
    let denied = t.as_role("guest").await.err("get_users", json!({})).await;
    assert_eq!([&denied["status"], &denied["status_code"]], [&json!("error"), &json!(20)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_shows_what_was_done_and_takes_it_back() {
    let t = Tester::new().await;
    let user = t.as_role("user").await;
    let team = user.ok("team_create", json!({"name": "Montaż"})).await;
    t.ok("team_create", json!({"name": "Biuro"})).await;
    let own = user.ok("action_log_list", json!({})).await;
    assert_eq!([&own["total"], &own["can_view_tenant"]], [&json!(1), &json!(false)]);
    let row = &own["items"][0];
    assert_eq!([&row["tool"], &row["label"], &row["actor"]], ["team_create", "Create a team", "Test user"]);
    assert_eq!(json!([row["resource_kind"], row["resource_id"], row["state"]]), json!(["team", team["id"], "done"]));
    assert_eq!(row["undo_token"], team["undo_token"]);
    assert_eq!(row["changes"][0]["fields"]["name"], json!({"before": null, "after": "Montaż"}));
    let all = t.ok("action_log_list", json!({"resource_kind": "team"})).await;
    assert_eq!([&all["total"], &all["can_view_tenant"]], [&json!(2), &json!(true)]);
    // Someone else's undo needs the right to it, and does not say whether there is anything.
    let mut items = all["items"].as_array().unwrap().iter();
    let biuro = items.find(|row| row["actor"] == "Owner").unwrap()["undo_token"].clone();
    assert_eq!(refusal(&user, "action_undo", json!({"undo_token": biuro})).await["code"], "conflict");
    let before = t.dump().await;
    let undone = t.ok("action_undo", json!({"undo_token": team["undo_token"]})).await;
    assert_eq!(
        [&undone["log_id"], &undone["label"], &undone["changed_rows"]],
        [&team["undo_token"], &json!("Create a team"), &json!(1)]
    );
    assert!(undone["undo_token"].is_null());
    let redone = t.ok("action_redo", json!({"log_id": undone["log_id"]})).await;
    assert_eq!(difference(&before, &t.dump().await), "");
    // A redo is a write like any other, and can be taken back.
    t.ok("action_undo", json!({"undo_token": redone["undo_token"]})).await;
    assert_eq!(refusal(&t, "team_show", json!({"id": team["id"]})).await["code"], "not_found");
    // The clock stands still, so the order says nothing.
    let states: std::collections::BTreeSet<_> =
        t.ok("action_log_list", json!({"resource_kind": "team"})).await["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| format!("{} {}", row["tool"].as_str().unwrap(), row["state"].as_str().unwrap()))
            .collect();
    let expected = ["action_undo done", "team_create done", "team_create redone", "team_create undone"];
    assert_eq!(states.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert_eq!(
        refusal(&t, "action_undo", json!({"undo_token": "x"})).await["message"],
        "/undo_token: is not the UUID that a write answered as undo_token; action_log_list shows it"
    );
    let secrets = t.ok("user_update", json!({"id": 2, "password": "Kuchnia1!"})).await;
    let shown = t.ok("action_log_list", json!({})).await["items"][0].to_string();
    assert!(
        secrets["undo_token"].is_string() && !shown.contains("argon2") && !shown.contains("credential_id"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_team_is_primary() {
    let t = Tester::new().await;
    let first = t.ok("team_create", json!({"name": "A", "is_primary": true})).await;
    let before = t.dump().await;
    let second = t.ok("team_create", json!({"name": "B", "is_primary": true})).await;
    assert_eq!(t.ok("team_show", json!({"id": first["id"]})).await["is_primary"], false);
    t.ok("action_undo", json!({"undo_token": second["undo_token"]})).await;
    assert_eq!(difference(&before, &t.dump().await), "");
    let owner = t.ok("user_list", json!({"role": "owner"})).await["items"][0]["id"].clone();
    t.ok("user_update", json!({"id": owner, "team_id": first["id"]})).await;
    assert_eq!(texts(&t.ok("team_mine_list", json!({})).await, "name"), ["A"]);
    assert_eq!(texts(&t.ok("team_find", json!({"q": "a"})).await, "name"), ["A"]);
    t.ok("team_delete", json!({"id": first["id"]})).await;
    let user = t.ok("user_show", json!({"id": owner})).await;
    assert_eq!([&user["team"], &user["teams"]], [&Value::Null, &json!([])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_company_is_not_there() {
    let t = Tester::new().await;
    let anna = t.ok("user_create", json!({"email": "anna@example.com"})).await;
    let other = t.other_tenant().await;
    let foreign = other.err("user_show", json!({"id": anna["id"]})).await;
    let random = json!("01990000-0000-7000-8000-000000000000");
    let unknown = other.err("user_show", json!({"id": random})).await;
    let same = foreign.to_string().replace(anna["id"].as_str().unwrap(), random.as_str().unwrap());
    assert_eq!(same, unknown.to_string());
    assert_eq!(texts(&other.ok("user_list", json!({})).await, "name"), ["Other owner"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_with_the_same_address_is_linked_with_the_new_user() {
    let t = Tester::new().await;
    let person = t.ok("person_create", json!({"name": "Anna Nowak", "primary_email": "Anna@Example.com"})).await;
    let other = t.ok("person_create", json!({"name": "Jan Kos", "primary_email": "jan@example.com"})).await;
    let before = t.dump().await;
    let user = t.ok("user_create", json!({"email": "anna@example.COM"})).await;
    let linked = t.ok("person_show", json!({"id": person["id"]})).await;
    assert_eq!(linked["active"], false);
    assert!(linked.to_string().contains(user["id"].as_str().unwrap()) || linked["platform_user"].is_i64(), "{linked}");
    assert_eq!(t.ok("person_show", json!({"id": other["id"]})).await["active"], true);
    t.ok("action_undo", json!({"undo_token": user["undo_token"]})).await;
    assert_eq!(difference(&before, &t.dump().await), "");
}
