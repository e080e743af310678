//! What was done and looked at is known, one record's history can be told, and a session's work can be taken back.

use bureau_kit::gate::{Call, Origin, Outcome};
use bureau_kit::sql::Sql;
use serde_json::{Value, json};

use crate::support::{Tester, difference};
use crate::world::World;

/// Somebody with a session of its own, and the id of that session.
async fn session(of: &Tester, arguments: Value) -> (Tester, Value) {
    let minted = of.ok("session_create", arguments).await;
    (of.with_token(minted["session_token"].as_str().unwrap()), minted["session"]["id"].clone())
}

fn column(answer: &Value, path: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    answer["items"].as_array().unwrap().iter().map(|item| text(item.pointer(path).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looked_at_a_record_is_known() {
    let owner = Tester::new().await;
    let task = owner.ok("task_create", json!({"title": "Pomiar"})).await;
    let (agent, session) = session(&owner, json!({"label": "agent"})).await;
    let Value::Object(arguments) = json!({"id": task["id"]}) else { panic!() };
    let origin = Origin { transport: "http", client: Some("claude".into()), ..Origin::default() };
    let call = Call {
        tool: "task_show".into(),
        arguments,
        shown: Some(agent.shown.clone()),
        selection: agent.selection.clone(),
        origin,
        dialogue: bureau_kit::dialogue::Dialogue::default(),
    };
    assert!(matches!(owner.bureau.call(call).await, Outcome::Done { is_error: false, .. }));
    // Neither a list nor a look that found nothing, nor a write is a look at a record.
    agent.ok("task_list", json!({})).await;
    agent.err("task_show", json!({"id": 999})).await;
    agent.ok("task_update", json!({"id": task["id"], "title": "Pomiar kuchni"})).await;

    let log = owner.ok("access_log_list", json!({})).await;
    let me = owner.ok("user_list", json!({})).await["items"][0].clone();
    let tenant = &log["items"][0]["tenant_name"];
    assert_eq!(tenant, "My company");
    let mut entry = log["items"][0].clone();
    let fields = entry["fields"].take();
    assert!(fields.as_array().unwrap().contains(&json!("title")), "{fields}");
    entry["id"].take();
    assert_eq!(
        entry,
        json!({
            "id": null, "resource_kind": "task", "resource_id": task["id"], "access_type": "read",
            "actor_user_id": me["id"], "actor_user_name": log["items"][0]["actor_user_name"],
            "tenant_id": owner.tenant_id, "tenant_name": "My company", "organization_id": task["organization_id"],
            "organization_name": log["items"][0]["organization_name"], "fields": null,
            "context": {"tool": "task_show", "session_id": session, "transport": "http", "client": "claude"},
            "created_at": "2026-11-21T10:00:00Z"
        })
    );
    assert_eq!((&log["total"], &log["can_view_tenant"]), (&json!(1), &json!(true)), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_is_filtered_and_shows_others_by_right_only() {
    let owner = Tester::new().await;
    let task = owner.ok("task_create", json!({"title": "Pomiar"})).await["id"].clone();
    let project = owner.ok("project_create", json!({"name": "Kuchnie"})).await["id"].clone();
    let user = owner.as_role("user").await;
    user.ok("task_show", json!({"id": task})).await;
    owner.bureau.clock.advance_seconds(60);
    owner.ok("project_show", json!({"id": project})).await;
    // A batch is one call, and still its reads are looks.
    let calls =
        json!([{"tool": "task_show", "arguments": {"id": task}}, {"tool": "task_show", "arguments": {"id": 77}}]);
    owner.ok("batch_call", json!({"mode": "each", "calls": calls})).await;

    let tools = |filter: Value| {
        let owner = owner.clone();
        async move { column(&owner.ok("access_log_list", filter).await, "/resource_kind") }
    };
    assert_eq!(tools(json!({"access_type": "read"})).await.len(), 3);
    assert_eq!(tools(json!({"access_type": "export"})).await, [""; 0]);
    assert_eq!(tools(json!({"resource_kind": "task"})).await, ["task", "task"]);
    assert_eq!(tools(json!({"resource_id": project})).await, ["project"]);
    assert_eq!(tools(json!({"tool": "project_show"})).await, ["project"]);
    assert_eq!(tools(json!({"before": "2026-11-21T10:00:30Z"})).await, ["task"]);
    assert_eq!(tools(json!({"after": "2026-11-21T10:00:30Z"})).await.len(), 2);
    assert_eq!(tools(json!({"transport": "stdio"})).await, [""; 0]);
    assert_eq!(tools(json!({"page_size": 1, "page": 3})).await, ["task"]);

    let own = user.ok("access_log_list", json!({})).await;
    assert_eq!((column(&own, "/context/tool"), &own["can_view_tenant"]), (vec!["task_show".to_owned()], &json!(false)));
    // Somebody else's name is ignored, not answered.
    let owner_id =
        owner.ok("access_log_list", json!({"tool": "project_show"})).await["items"][0]["actor_user_id"].clone();
    assert_eq!(user.ok("access_log_list", json!({"actor_user_id": owner_id})).await["items"], own["items"]);
    assert_eq!(owner.other_tenant().await.ok("access_log_list", json!({})).await["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_that_shows_a_record_is_seen_looking() {
    let world = World::new().await;
    let owner = &world.owner;
    let mut seen = 0;
    for entry in owner.bureau.registry.entries().iter().filter(|entry| !entry.tool.writes()) {
        let required = entry.tool.input_schema()["required"].clone();
        if !entry.tool.name.ends_with("_show") || required != json!(["id"]) {
            continue;
        }
        for arguments in world.samples(entry) {
            let id = owner.ok(entry.tool.name, arguments.clone()).await["id"].clone();
            let log = owner.ok("access_log_list", json!({"tool": entry.tool.name})).await;
            let looked = column(&log, "/resource_id");
            assert!(!looked.is_empty(), "{} {arguments} left no trace", entry.tool.name);
            assert!(id.is_null() || looked.contains(&id.as_str().unwrap().to_owned()), "{}: {log}", entry.tool.name);
            seen += 1;
        }
    }
    assert!(seen >= 12, "only {seen} tools looked");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_forgotten_after_ninety_days_and_not_kept_at_all_when_switched_off() {
    let owner = Tester::new().await;
    let task = owner.ok("task_create", json!({"title": "Pomiar"})).await["id"].clone();
    owner.ok("task_show", json!({"id": task})).await;
    owner.bureau.log_reads(false);
    owner.ok("task_show", json!({"id": task})).await;
    owner.bureau.log_reads(true);
    owner.bureau.flush_accesses().await.unwrap();
    owner.bureau.clock.advance_seconds(89 * 86_400);
    owner.ok("task_show", json!({"id": task})).await;
    owner.bureau.flush_accesses().await.unwrap();
    assert_eq!(owner.ok("access_log_list", json!({})).await["total"], 2);
    owner.bureau.clock.advance_seconds(2 * 86_400);
    owner.bureau.flush_accesses().await.unwrap();
    assert_eq!(column(&owner.ok("access_log_list", json!({})).await, "/created_at"), ["2027-02-18T10:00:00Z"]);
}

/// What a running server does by itself: within a second, without anybody asking for it.
#[tokio::test(flavor = "multi_thread")]
async fn reads_are_written_by_themselves() {
    let owner = Tester::new().await;
    let task = owner.ok("task_create", json!({"title": "Pomiar"})).await["id"].clone();
    owner.bureau.keep_access_log();
    owner.ok("task_show", json!({"id": task})).await;
    let stored = || {
        owner.bureau.as_system(owner.tenant_id, None, "look", |ctx| {
            Box::pin(async move {
                let mut sql = Sql::new("SELECT tool FROM access_logs WHERE tenant_id = ");
                sql.bind(ctx.tenant_id());
                Ok(ctx.rows(&sql).await?.len())
            })
        })
    };
    let written = async {
        while stored().await.unwrap() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), written).await.expect("the read is written");
    assert_eq!(stored().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_action_log_is_filtered_by_where_and_how() {
    let owner = Tester::new().await;
    let project = owner.ok("project_create", json!({"name": "Kuchnie"})).await["id"].clone();
    let (agent, session) = session(&owner, json!({"label": "agent"})).await;
    let task = agent.ok("task_create", json!({"title": "Pomiar", "project_id": project})).await["id"].clone();
    let comment = json!({"content": "Kiedy?", "commentable_id": task, "commentable_type": "Organize::Task"});
    let comment = agent.ok("task_comment_create", comment).await;
    let renamed = owner.ok("task_update", json!({"id": task, "title": "Montaż"})).await;
    owner.ok("action_undo", json!({"undo_token": renamed["undo_token"]})).await;
    owner.ok("task_comment_delete", json!({"id": comment["id"]})).await;

    let tools = |filter: Value| {
        let owner = owner.clone();
        async move {
            let mut tools = column(&owner.ok("action_log_list", filter).await, "/tool");
            tools.sort();
            tools
        }
    };
    assert_eq!(tools(json!({"session_id": session})).await, ["task_comment_create", "task_create"]);
    assert_eq!(tools(json!({"state": "undone"})).await, ["task_update"]);
    assert_eq!(tools(json!({"tool": "task_create", "transport": "test"})).await, ["task_create"]);
    assert_eq!(tools(json!({"tool": "task_create", "transport": "http"})).await, [""; 0]);
    assert_eq!(tools(json!({"client": "nobody"})).await, [""; 0]);
    let own = ["action_undo", "task_create", "task_update"];
    assert_eq!(tools(json!({"resource_kind": "task", "resource_id": task})).await, own);
    // Also its comments, the deleted one too.
    let related = json!({"resource_kind": "task", "resource_id": task, "include_related": true});
    let expected = ["action_undo", "task_comment_create", "task_comment_delete", "task_create", "task_update"];
    assert_eq!(tools(related).await, expected);
    // Of the project: the task that stands in it, whatever happened to it.
    let related = json!({"resource_kind": "project", "resource_id": project, "include_related": true});
    assert!(tools(related).await.contains(&"task_update".to_owned()));
    let error = owner.err("action_log_list", json!({"include_related": true})).await;
    assert_eq!(error["message"], "/include_related: needs resource_id: the record that the others are related to");
    let error = owner.err("action_log_list", json!({"state": "failed"})).await;
    assert_eq!(error["code"], "validation");

    let snapshots = json!({"tool": "task_update", "include_snapshots": true});
    let change = owner.ok("action_log_list", snapshots).await["items"][0]["changes"][0].clone();
    assert_eq!((&change["before"]["title"], &change["after"]["title"]), (&json!("Pomiar"), &json!("Montaż")));
    let deleted = owner.ok("action_log_list", json!({"tool": "task_comment_delete"})).await["items"][0].clone();
    assert_eq!(deleted["parent_resource_id"], task, "{deleted}");
    assert!(deleted["changes"][0].get("before").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_sessions_work_is_taken_back_and_can_be_redone() {
    let owner = Tester::new().await;
    let kept = owner.ok("task_create", json!({"title": "Zostaje"})).await;
    let (agent, session_id) = session(&owner, json!({"label": "agent"})).await;
    let before = owner.dump().await;
    let task = agent.ok("task_create", json!({"title": "Pomiar"})).await;
    agent.ok("task_update", json!({"id": task["id"], "title": "Pomiar kuchni"})).await;
    agent.ok("task_update", json!({"id": kept["id"], "title": "Zmienione"})).await;
    agent.ok("task_close", json!({"id": task["id"]})).await;
    let after = owner.dump().await;

    let tried = owner.ok("session_undo", json!({"session_id": session_id, "dry_run": true})).await;
    assert_eq!(tried["undone"].as_array().unwrap().len(), 4);
    assert_eq!(difference(&after, &owner.dump().await), "", "a dry run took something back");

    let first = owner.ok("session_undo", json!({"session": session_id, "limit": 1})).await;
    assert_eq!((&first["ok"], &first["remaining"], &first["stopped_at"]), (&json!(true), &json!(3), &json!(null)));
    assert_eq!(first["undone"][0]["tool"], "task_close");
    let rest = owner.ok("session_undo", json!({"session_id": session_id})).await;
    let tools: Vec<&Value> = rest["undone"].as_array().unwrap().iter().map(|done| &done["tool"]).collect();
    assert_eq!(tools, ["task_update", "task_update", "task_create"]);
    assert_eq!((&rest["remaining"], &rest["skipped"], &rest["skipped_count"]), (&json!(0), &json!([]), &json!(0)));
    assert_eq!(difference(&before, &owner.dump().await), "", "taking back left something behind");
    let nothing = owner.ok("session_undo", json!({"session_id": session_id})).await;
    assert_eq!((&nothing["undone"], &nothing["remaining"]), (&json!([]), &json!(0)));

    for done in rest["undone"].as_array().unwrap().iter().rev().chain(first["undone"].as_array().unwrap()) {
        owner.ok("action_redo", json!({"log_id": done["log_id"]})).await;
    }
    assert_eq!(difference(&after, &owner.dump().await), "", "redoing came out differently");
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_back_stops_at_what_changed_since_and_names_what_cannot_be_undone() {
    let owner = Tester::new().await;
    let (agent, session_id) = session(&owner, json!({"label": "agent"})).await;
    let one = agent.ok("task_create", json!({"title": "Jeden"})).await;
    let (child, _) = session(&agent, json!({"label": "sub-agent"})).await;
    let two = agent.ok("task_create", json!({"title": "Dwa"})).await;
    let three = child.ok("task_create", json!({"title": "Trzy"})).await;
    owner.ok("task_update", json!({"id": two["id"], "title": "Dwa, ale moje"})).await;

    let mut answer = owner.ok("session_undo", json!({"session_id": session_id})).await;
    let undone: Vec<&Value> = answer["undone"].as_array().unwrap().iter().map(|done| &done["log_id"]).collect();
    assert_eq!(undone, [&three["undo_token"]], "the work of the session minted from it is the newest");
    assert_eq!((&answer["ok"], &answer["remaining"]), (&json!(false), &json!(2)));
    let version = answer["stopped_at"]["conflicts"][0]["fields"].take();
    assert_eq!(version["title"], json!({"before": "Dwa", "after": "Dwa, ale moje"}));
    assert_eq!(
        answer["stopped_at"],
        json!({
            "log_id": two["undo_token"], "tool": "task_create", "label": answer["stopped_at"]["label"],
            "reason": "This cannot be replayed: 1 record(s) changed since. Look at details.conflicts, and take back the later \
                       changes first.",
            "conflicts": [{"record": "task", "id": two["id"], "reason": "changed since", "fields": null}]
        })
    );
    assert_eq!(answer["skipped_count"], 1);
    assert_eq!(answer["skipped"][0]["tool"], "session_create");
    assert_eq!(answer["skipped"][0]["reason"], "a token that was handed out is ended by session_revoke");
    owner.err("task_show", json!({"id": three["id"]})).await;
    owner.ok("task_show", json!({"id": one["id"]})).await;
    // What stands in the way was taken back: it goes on.
    owner.ok("task_update", json!({"id": two["id"], "title": "Dwa"})).await;
    let log = owner.ok("action_log_list", json!({"tool": "task_update", "undoable_only": true})).await;
    for item in log["items"].as_array().unwrap() {
        owner.call("action_undo", json!({"undo_token": item["undo_token"]})).await;
    }
    let log = owner.ok("action_log_list", json!({"tool": "task_update", "undoable_only": true})).await;
    for item in log["items"].as_array().unwrap() {
        owner.ok("action_undo", json!({"undo_token": item["undo_token"]})).await;
    }
    let rest = owner.ok("session_undo", json!({"session_id": session_id})).await;
    assert_eq!((rest["undone"].as_array().unwrap().len(), &rest["ok"]), (2, &json!(true)), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_sub_agents_is_left_alone_on_request_and_that_of_others_needs_a_right() {
    let owner = Tester::new().await;
    let (agent, session_id) = session(&owner, json!({"label": "agent"})).await;
    let narrow = json!({"label": "sub-agent", "features": ["organize.*", "audit_logs.undo_self"]});
    let (child, child_id) = session(&agent, narrow).await;
    agent.ok("task_create", json!({"title": "Jeden"})).await;
    child.ok("task_create", json!({"title": "Dwa"})).await;
    // A session minted from another reaches itself and what was minted from it, not its maker.
    let refused = child.err("session_undo", json!({"session_id": session_id})).await;
    let nobody = json!({"session_id": "019a0000-0000-7000-8000-000000000000"});
    let unknown = child.err("session_undo", nobody).await;
    assert_eq!((&refused["code"], &unknown["code"]), (&json!("not_found"), &json!("not_found")));
    assert_eq!(
        refused["message"].as_str().unwrap().replace(session_id.as_str().unwrap(), "ID"),
        unknown["message"].as_str().unwrap().replace("019a0000-0000-7000-8000-000000000000", "ID")
    );
    let alone = owner.ok("session_undo", json!({"session_id": session_id, "include_descendants": false})).await;
    assert_eq!((alone["undone"].as_array().unwrap().len(), &alone["remaining"]), (1, &json!(0)));
    let rest = owner.ok("session_undo", json!({"session_id": child_id})).await;
    assert_eq!(rest["undone"].as_array().unwrap().len(), 1);

    let user = owner.as_role("user").await;
    let (worker, of_user) = session(&user, json!({"label": "worker"})).await;
    worker.ok("task_create", json!({"title": "Trzy"})).await;
    let other = owner.as_role("team_admin").await;
    assert_eq!(other.err("session_undo", json!({"session_id": of_user})).await["code"], "not_found");
    let admin = owner.as_role("admin").await;
    let undone = admin.ok("session_undo", json!({"session_id": of_user})).await;
    assert_eq!(undone["undone"].as_array().unwrap().len(), 1, "{undone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_records_history_is_told_also_when_it_is_gone() {
    let owner = Tester::new().await;
    let task = owner.ok("task_create", json!({"title": "Pomiar"})).await;
    let (agent, session_id) = session(&owner, json!({"label": "agent"})).await;
    agent.ok("task_update", json!({"id": task["id"], "title": "Montaż"})).await;
    let history = owner.ok("record_history", json!({"kind": "task", "id": task["num"]})).await;
    assert_eq!(column(&history, "/event"), ["create", "update"]);
    assert_eq!(column(&history, "/tool"), ["task_create", "task_update"]);
    assert_eq!(history["items"][1]["fields"]["title"], json!({"before": "Pomiar", "after": "Montaż"}));
    assert_eq!((&history["items"][1]["session_id"], &history["items"][1]["version"]), (&session_id, &json!(2)));
    assert_eq!(
        (&history["exists"], &history["id"], &history["total"], &history["kind"]),
        (&json!(true), &task["id"], &json!(2), &json!("task"))
    );
    let first = json!({"kind": "task", "id": task["id"], "order": "desc", "page_size": 1});
    assert_eq!(column(&owner.ok("record_history", first).await, "/event"), ["update"]);

    let deleted = owner.ok("task_delete", json!({"id": task["id"]})).await;
    let gone = owner.ok("record_history", json!({"kind": "task", "id": task["id"]})).await;
    assert_eq!(
        (column(&gone, "/event"), &gone["exists"]),
        (vec!["create", "update", "delete"].into_iter().map(str::to_owned).collect(), &json!(false))
    );
    owner.ok("action_undo", json!({"undo_token": deleted["undo_token"]})).await;
    let back = owner.ok("record_history", json!({"kind": "task", "id": task["id"]})).await;
    assert_eq!(column(&back, "/event"), ["create", "update", "delete", "create"]);
    assert_eq!(column(&back, "/state"), ["done", "done", "undone", "done"]);

    // A secret is in no history.
    let user =
        json!({"email": "anna@example.com", "first_name": "Anna", "last_name": "Nowak", "password": "Kuchnia1!"});
    let user = owner.ok("user_create", user).await;
    let history = owner.ok("record_history", json!({"kind": "user", "id": user["id"]})).await.to_string();
    assert!(history.contains("anna@example.com") && !history.contains("hash") && !history.contains("credential"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_needs_the_right_to_see_the_record() {
    let owner = Tester::new().await;
    let company = owner.ok("company_create", json!({"name": "Meble Żółć"})).await["id"].clone();
    let person = owner.ok("person_create", json!({"name": "Anna Nowak"})).await["id"].clone();
    owner.ok("company_update", json!({"id": company, "name": "Meble"})).await;
    assert_eq!(owner.ok("record_history", json!({"kind": "company", "id": company})).await["total"], 2);
    assert_eq!(owner.ok("record_history", json!({"kind": "party", "id": company})).await["total"], 2);
    assert_eq!(
        owner.err("record_history", json!({"kind": "person", "id": company})).await["message"],
        format!("There is no person {}. Use person_list to find the right id.", company.as_str().unwrap())
    );
    let features = json!({"features": ["customers.people.view", "audit_logs.*"]});
    let (narrow, _) = session(&owner, features).await;
    assert_eq!(narrow.ok("record_history", json!({"kind": "person", "id": person})).await["total"], 1);
    for kind in ["company", "party", "person"] {
        let error = narrow.err("record_history", json!({"kind": kind, "id": company})).await;
        assert!(error["code"] == "forbidden" || error["code"] == "not_found", "{kind}: {error}");
    }
    owner.ok("company_delete", json!({"id": company})).await;
    assert_eq!(owner.ok("record_history", json!({"kind": "company", "id": company})).await["total"], 3);
    // Nothing tells any more whether it was a person or a company: both rights are needed.
    let error = narrow.err("record_history", json!({"kind": "person", "id": company})).await;
    assert_eq!(error["details"]["missing"], "customers.companies.view");

    let user = owner.as_role("user").await;
    let own = user.ok("task_create", json!({"title": "Moje"})).await["id"].clone();
    owner.ok("task_update", json!({"id": own, "title": "Nasze"})).await;
    let seen = user.ok("record_history", json!({"kind": "task", "id": own})).await;
    assert_eq!(
        (&seen["total"], &seen["can_view_tenant"]),
        (&json!(1), &json!(false)),
        "without the right, one's own changes"
    );
    let rows = user.err("record_history", json!({"kind": "user_role", "id": own})).await;
    assert!(rows["code"] == "forbidden" || rows["code"] == "validation", "{rows}");
    assert_eq!(
        owner.err("record_history", json!({"kind": "tsak", "id": own})).await["message"],
        "/kind: there is no kind of record called tsak; did you mean task?"
    );
    let foreign = owner.other_tenant().await.ok("task_create", json!({"title": "Obce"})).await["id"].clone();
    assert_eq!(
        owner.err("record_history", json!({"kind": "task", "id": foreign})).await["message"],
        format!("There is no task {}. Use task_list to find the right id.", foreign.as_str().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_databases_themselves_refuse_to_change_the_journal() {
    let owner = Tester::new().await;
    let task = owner.ok("task_create", json!({"title": "Pomiar"})).await["id"].clone();
    owner.ok("task_show", json!({"id": task})).await;
    owner.bureau.flush_accesses().await.unwrap();
    for statement in [
        "DELETE FROM action_changes",
        "DELETE FROM action_logs",
        "UPDATE action_changes SET after = '{}'",
        "UPDATE action_logs SET actor_label = 'somebody else'",
        "UPDATE action_logs SET created_at = created_at, state = 'undone'",
        "UPDATE access_logs SET actor_label = 'somebody else'",
    ] {
        let refused = owner.bureau.as_system(owner.tenant_id, None, "erase", |ctx| {
            Box::pin(async move { ctx.rows(&Sql::new(statement)).await.map(drop) })
        });
        let error = refused.await.expect_err(statement).to_string();
        assert!(error.contains("the journal is only added to"), "{statement}: {error}");
    }
    assert_eq!(owner.ok("record_history", json!({"kind": "task", "id": task})).await["total"], 1);
}

/// In all the code there are these statements that change a log, and no other.
#[test]
fn no_code_erases_the_logs() {
    let mut found = Vec::new();
    let mut directories = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tools")];
    directories.push(std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src"));
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for log in ["action_logs", "action_changes", "access_logs"] {
                    for verb in ["DELETE FROM", "UPDATE", "TRUNCATE", "DROP TABLE", "REPLACE INTO"] {
                        let statement = format!("{verb} {log}");
                        let file = path.file_name().unwrap().to_string_lossy().into_owned();
                        found.extend(text.matches(&statement).map(|_| format!("{file}: {statement}")));
                    }
                }
            }
        }
    }
    found.sort();
    assert_eq!(found, ["accesses.rs: DELETE FROM access_logs", "journal.rs: UPDATE action_logs"]);
    // Nor is a log a record that a family of tools, or a cascade, could reach.
    let logs: Vec<&str> = bureau::catalog::tables().iter().map(|table| table.name).collect();
    assert!(!logs.iter().any(|name| ["action_logs", "action_changes", "access_logs"].contains(name)));
}
