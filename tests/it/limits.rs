//! What keeps one caller from another's doings, a limit at a time, where the matrices do not reach.

use bureau_kit::access::Shown;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::callers::{grant, own_key, user, with_key_of};
use crate::oracle::EXECUTORS;
use crate::support::Tester;
use crate::world::World;

async fn session(tester: &Tester, arguments: Value) -> (Tester, String) {
    let minted = tester.ok("session_create", arguments).await;
    let token = minted["session_token"].as_str().unwrap().to_owned();
    (tester.with_token(&token), token)
}

/// A branch of its own beside the first organization.
async fn branch(owner: &Tester, name: &str) -> Uuid {
    let made = owner.ok("organization_create", json!({"name": name})).await;
    Uuid::try_parse(made["id"].as_str().unwrap()).unwrap()
}

async fn code(tester: &Tester, tool: &str, arguments: Value) -> Value {
    tester.err(tool, arguments).await["code"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_token_in_the_arguments_is_of_whoever_holds_the_connection() {
    let owner = Tester::new().await;
    let (anna, piotr) = (owner.as_role("user").await, owner.as_role("guest").await);
    let (child, of_anna) = session(&anna, json!({})).await;
    let (narrow, _) = session(&anna, json!({"features": ["organize.*"]})).await;
    let (_, of_child) = session(&child, json!({})).await;
    let local = Tester { shown: Shown::LocalOwner, ..owner.clone() };
    // The local owner is the oldest one.
    owner.bureau.clock.advance_seconds(1);
    let other = owner.other_tenant().await;
    for (who, connection, token, accepted) in [
        ("Anna's key, Anna's session", &anna, &of_anna, true),
        ("Anna's key, a session below", &anna, &of_child, true),
        ("Anna's session, a session below", &child, &of_child, true),
        ("the person at the machine", &local, &of_anna, true),
        ("someone else", &piotr, &of_anna, false),
        ("the owner's key, by which Anna's was made", &owner, &of_anna, true),
        ("another company", &other, &of_anna, false),
        ("a narrower session of the same user", &narrow, &of_anna, false),
    ] {
        let (answer, is_error) = connection.call("session_list", json!({"_sessionToken": token})).await;
        assert_eq!(!is_error, accepted, "{who}: {answer}");
        if is_error {
            let why = "_sessionToken belongs to someone else than the connection's own credential. Use one of the two.";
            assert_eq!((&answer["code"], &answer["message"]), (&json!("unauthenticated"), &json!(why)), "{who}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_its_callers_own_and_of_one_input() {
    let owner = Tester::new().await;
    let anna = owner.as_role("user").await;
    let other = owner.other_tenant().await;
    let task = json!({"title": "One", "idempotency_key": "k"});
    let first = owner.ok("task_create", task.clone()).await;
    for tester in [&anna, &other] {
        let made = tester.ok("task_create", task.clone()).await;
        assert_eq!(made["replayed"], Value::Null, "somebody else's answer was given");
        assert_ne!(made["id"], first["id"]);
    }
    assert_eq!(owner.ok("task_create", task).await["id"], first["id"]);
    assert_eq!(code(&owner, "task_create", json!({"title": "Two", "idempotency_key": "k"})).await, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_takes_the_right_of_the_tool_and_for_others_work_a_right_of_its_own() {
    let owner = Tester::new().await;
    let id = user(&owner, "undoer", json!(["user"])).await;
    let undoer = with_key_of(&owner, &id).await;
    let own = undoer.ok("team_create", json!({"name": "Own"})).await["undo_token"].clone();
    let theirs = owner.ok("team_create", json!({"name": "Theirs"})).await["undo_token"].clone();
    assert_eq!(code(&undoer, "action_undo", json!({"undo_token": theirs})).await, "conflict", "others' work");
    grant(&owner, &id, &["audit_logs.*", "organize.tasks.*"], None).await;
    assert_eq!(
        undoer.err("action_undo", json!({"undo_token": own})).await["message"],
        "Taking back or redoing team_create needs its right: organize.teams.manage or staff.manage_team."
    );
    let changer = with_key_of(&owner, &user(&owner, "changer", json!(["admin"])).await).await;
    changer.ok("action_undo", json!({"undo_token": theirs})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_carries_out_tools_of_its_own_danger_only() {
    let owner = Tester::new().await;
    let mut cells = 0;
    for entry in owner
        .bureau
        .registry
        .entries()
        .iter()
        .filter(|entry| entry.toolset != "discovery" && !EXECUTORS.contains(&entry.tool.name))
    {
        let right = match (entry.tool.writes(), entry.tool.destructive) {
            (false, _) => "tool_call_read",
            (true, false) => "tool_call_write",
            (true, true) => "tool_call_destructive",
        };
        for executor in ["tool_call_read", "tool_call_write", "tool_call_destructive"] {
            let name = entry.tool.name;
            let call = json!({"name": name, "arguments": {"no_such_argument": 1}});
            let refused = owner.err(executor, call).await["message"].as_str().unwrap().to_owned();
            let wrong = format!("/name: {name} cannot be carried out by {executor}; use {right}");
            assert_eq!(refused == wrong, executor != right, "{refused}");
            cells += 1;
        }
    }
    println!("{cells} cells of tool × executor");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reaches_beyond_a_tenant_is_held_by_super_administrators_only() {
    let owner = Tester::new().await;
    let second = owner.other_tenant().await;
    let admin = owner.as_role("admin").await;
    let robot = own_key(&owner, &["*", "directory.tenants.*", "configs.manage"], None).await;
    for feature in ["directory.tenants.manage", "configs.manage", "feature_toggles.view"] {
        for (who, tester, held) in
            [("first", &owner, true), ("second", &second, false), ("admin", &admin, false), ("robot", &robot, false)]
        {
            let minted = tester.call("session_create", json!({"features": [feature]})).await;
            assert_eq!(!minted.1, held, "{who} {feature}: {}", minted.0);
        }
    }
    // Nobody else takes charge of them, whatever they hold in the tenant.
    let id = user(&owner, "owner too", json!(["owner"])).await;
    let too = with_key_of(&owner, &id).await;
    let first = owner.ok("user_list", json!({"role": "owner", "sort": "num", "order": "asc"})).await;
    let first = first["items"].as_array().unwrap().iter().find(|user| user["name"] == "Owner").unwrap()["id"].clone();
    let refused = too.err("api_key_create", json!({"name": "x", "user_id": first})).await;
    assert_eq!(refused["details"]["missing"], "is_super_admin", "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_limited_to_organizations_gives_nothing_beyond_them() {
    let owner = Tester::new().await;
    let north = branch(&owner, "North").await;
    let id = user(&owner, "north", json!(["user"])).await;
    grant(&owner, &id, &["*"], Some(&[north])).await;
    let limited = with_key_of(&owner, &id).await;
    let refused = limited.err("user_create", json!({"email": "x@example.com", "organization_id": north})).await;
    assert_eq!(refused["details"]["missing"], "all organizations", "{refused}");
    // A person within reach whose rights are not.
    let wide = json!({"email": "wide@example.com", "role": "user", "organization_id": north});
    let wide = owner.ok("user_create", wide).await["id"].clone();
    for (tool, arguments) in [
        ("user_update", json!({"id": wide, "password": "Kuchnia1!"})),
        ("user_block", json!({"id": wide})),
        ("user_delete", json!({"id": wide})),
        ("api_key_create", json!({"name": "x", "user_id": wide})),
    ] {
        let refused = limited.err(tool, arguments).await;
        assert_eq!(refused["details"]["missing"], "all organizations", "{tool}: {refused}");
    }
    let alike = json!({"email": "alike@example.com", "role": "user", "organization_id": north});
    let alike = owner.ok("user_create", alike).await["id"].clone();
    grant(&owner, &alike, &["organize.*"], Some(&[north])).await;
    limited.ok("api_key_create", json!({"name": "x", "user_id": alike})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_an_organization_sees_only_what_its_holder_still_may() {
    let owner = Tester::new().await;
    let (north, south) = (branch(&owner, "North").await, branch(&owner, "South").await);
    for (name, organization) in [("n", north), ("s", south)] {
        let (scoped, _) = session(&owner, json!({"organization_id": organization})).await;
        scoped.ok("task_create", json!({"title": name})).await;
    }
    let id = user(&owner, "both", json!(["guest"])).await;
    grant(&owner, &id, &["organize.*"], Some(&[north, south])).await;
    let both = with_key_of(&owner, &id).await;
    let (scoped, _) = session(&both, json!({"organization_id": south})).await;
    let titles = async |tester: &Tester| -> Vec<String> {
        let tasks = tester.ok("task_list", json!({"sort": "title", "order": "asc"})).await;
        let titles = tasks["items"].as_array().unwrap().iter();
        titles.map(|task| task["title"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((titles(&both).await, titles(&scoped).await), (vec!["n".into(), "s".into()], vec!["s".into()]));
    let changed = owner.bureau.as_system(owner.tenant_id, None, "limit", |ctx| {
        Box::pin(async move {
            let table = ctx.bureau().registry.table("user_grants").unwrap();
            let sql = ctx.from(table);
            let given = ctx.first(table, sql).await?.unwrap();
            let values = bureau_kit::record::Values::new().with("organization_ids", json!([north]));
            ctx.update(&given, values).await.map(drop)
        })
    });
    changed.await.unwrap();
    assert_eq!((titles(&both).await, titles(&scoped).await), (vec!["n".into()], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_shows_no_column_that_the_records_own_tools_hide() {
    let world = World::new().await;
    let registry = &world.owner.bureau.registry;
    let (mut fields, mut hidden) = (0, 0);
    for page in 1..=3 {
        let log = world.owner.ok("action_log_list", json!({"page": page, "page_size": 100})).await;
        for change in log["items"].as_array().unwrap().iter().flat_map(|item| item["changes"].as_array().unwrap()) {
            let table = registry.table_of(change["record"].as_str().unwrap()).unwrap();
            hidden += table.columns.iter().filter(|column| column.hidden).count();
            for name in change["fields"].as_object().unwrap().keys() {
                assert!(table.column(name).is_none_or(|column| !column.hidden), "{} {name}: {change}", table.name);
                fields += 1;
            }
        }
    }
    assert!(fields > 100 && hidden > 20, "{fields} fields, {hidden} hidden columns");
}

/// Whoever was blocked and is let in again begins anew: what a session made does not outlive it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_from_a_session_ends_however_the_session_ends() {
    let owner = Tester::new().await;
    let north = branch(&owner, "North").await;
    let city = json!({"name": "City", "parent_id": north});
    let city = owner.ok("organization_create", city).await["id"].clone();
    let id = user(&owner, "anna", json!(["admin"])).await;
    let anna = with_key_of(&owner, &id).await;
    let (agent, _) = session(&anna, json!({})).await;
    let key = agent.ok("api_key_create", json!({"name": "left behind"})).await;
    let key = owner.with_token(key["secret"].as_str().unwrap());
    let (below, _) = session(&key, json!({})).await;
    owner.ok("user_block", json!({"id": id})).await;
    owner.ok("user_update", json!({"id": id, "active": true})).await;
    anna.ok("session_list", json!({})).await;
    for token in [&agent, &key, &below] {
        assert_eq!(code(token, "session_list", json!({})).await, "unauthenticated");
    }
    let (scoped, _) = session(&owner, json!({"organization_id": north})).await;
    let (narrower, _) = session(&scoped, json!({"organization_id": city})).await;
    narrower.ok("session_list", json!({})).await;
    owner.ok("organization_delete", json!({"id": north})).await;
    assert_eq!(code(&narrower, "session_list", json!({})).await, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_stays_within_its_parents_organization_when_the_tree_changes() {
    let owner = Tester::new().await;
    let (north, south) = (branch(&owner, "North").await, branch(&owner, "South").await);
    let city = owner.ok("organization_create", json!({"name": "City", "parent_id": north})).await["id"].clone();
    let (parent, _) = session(&owner, json!({"organization_id": north})).await;
    let (child, _) = session(&parent, json!({"organization_id": city})).await;
    child.ok("task_create", json!({"title": "In the city"})).await;
    let count = async |tester: &Tester| tester.ok("task_list", json!({})).await["total"].clone();
    assert_eq!((count(&parent).await, count(&child).await), (json!(1), json!(1)));
    owner.ok("organization_update", json!({"id": city, "parent_id": south})).await;
    assert_eq!((count(&parent).await, count(&child).await), (json!(0), json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_limited_to_organizations_puts_records_into_no_other() {
    let owner = Tester::new().await;
    let (north, south) = (branch(&owner, "North").await, branch(&owner, "South").await);
    let (limited, _) = session(&owner, json!({"organization_id": north})).await;
    let own = limited.ok("task_create", json!({"title": "Own", "organization_id": north})).await["id"].clone();
    let outside = json!({
        "code": "forbidden",
        "message": "The record would belong to an organization that you are not let into. Name one of yours as \
                    organization_id, or leave it out.",
        "details": {"missing": "organization"},
    });
    assert_eq!(limited.err("task_create", json!({"title": "Theirs", "organization_id": south})).await, outside);
    assert_eq!(limited.err("task_update", json!({"id": own, "organization_id": south})).await, outside);
    let open = json!({
        "code": "forbidden",
        "message": "The record would be open to every organization, and you are not let into all of them. Name one of yours \
                    as organization_id, or leave it out.",
        "details": {"missing": "organization"},
    });
    assert_eq!(limited.err("task_update", json!({"id": own, "organization_id": null})).await, open);
    for unnamed in [json!({"title": "Left out"}), json!({"title": "Null is left out", "organization_id": null})] {
        assert_eq!(limited.ok("task_create", unnamed).await["organization_id"], json!(north));
    }
    owner.ok("task_update", json!({"id": own, "organization_id": south})).await;
    assert_eq!(code(&limited, "task_show", json!({"id": own})).await, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_people_elsewhere_do_not_exist_for_who_is_limited() {
    let owner = Tester::new().await;
    let (north, south) = (branch(&owner, "North").await, branch(&owner, "South").await);
    let person = async |email: &str, home: Uuid| {
        owner.ok("user_create", json!({"email": email, "role": "user", "organization_id": home})).await["id"].clone()
    };
    let admin = person("admin@example.com", north).await;
    grant(&owner, &admin, &["*"], Some(&[north])).await;
    let admin = with_key_of(&owner, &admin).await;
    for (email, home, seen) in [("near@example.com", north, true), ("far@example.com", south, false)] {
        let user = person(email, home).await;
        grant(&owner, &user, &["organize.*"], Some(&[home])).await;
        let key = owner.ok("api_key_create", json!({"name": "theirs", "user_id": user})).await;
        let (below, _) = session(&owner.with_token(key["secret"].as_str().unwrap()), json!({})).await;
        let session_id = owner.ok("session_list", json!({"user_id": user})).await["items"][0]["id"].clone();
        for list in ["api_key_list", "session_list", "connection_list"] {
            let listed = admin.ok(list, json!({})).await;
            let named = listed["items"].as_array().unwrap().iter().any(|item| item["user_id"] == user);
            assert_eq!(named, seen, "{list} for {email}: {listed}");
        }
        for (tool, arguments) in [
            ("api_key_show", json!({"id": key["id"]})),
            ("api_key_update", json!({"id": key["id"], "description": "x", "dry_run": true})),
            ("api_key_delete", json!({"id": key["id"], "dry_run": true})),
            ("session_revoke", json!({"id": session_id, "dry_run": true})),
        ] {
            let (answer, is_error) = admin.call(tool, arguments).await;
            assert_eq!(is_error, !seen, "{tool} of {email}: {answer}");
            assert!(seen || answer["code"] == "not_found", "{tool} of {email}: {answer}");
        }
        // Whoever may end a key ends all that came of it.
        let able = if seen { &admin } else { &owner };
        able.ok("api_key_delete", json!({"id": key["id"]})).await;
        assert_eq!(code(&below, "session_list", json!({})).await, "unauthenticated", "{email}");
    }
}
