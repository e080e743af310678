//! Tasks, projects, lists, statuses, comments and subscriptions.

use bureau_crm::Note;
use bureau_kit::prelude::{Kind, Values};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{START, Tester};

async fn made(t: &Tester, tool: &str, arguments: Value) -> Value {
    t.ok(tool, arguments).await["id"].clone()
}

async fn user(t: &Tester, first_name: &str) -> Value {
    let email = format!("{}@example.com", first_name.to_lowercase());
    made(t, "user_create", json!({"email": email, "first_name": first_name, "last_name": "Nowak", "role": "user"}))
        .await
}

/// The statuses of a new company, by name.
async fn status(t: &Tester, name: &str) -> Value {
    let found = t.ok("task_status_list", json!({"q": name})).await;
    found["items"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap()["id"].clone()
}

async fn titles(t: &Tester, filter: Value) -> Vec<String> {
    let found = t.ok("task_list", filter).await;
    found["items"].as_array().unwrap().iter().map(|row| row["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_open_until_its_status_or_someone_closes_it() {
    let t = Tester::new().await;
    let owner = t.ok("user_list", json!({})).await["items"][0]["id"].clone();
    let mut task = t.ok("task_create", json!({"title": "  Pomiar  ", "priority": "7", "deadline": "2026-12-01"})).await;
    task.as_object_mut().unwrap().remove("undo_token").unwrap();
    let (todo, done) = (status(&t, "To do").await, status(&t, "Done").await);
    let id = task["id"].clone();
    assert_eq!(
        task,
        json!({
            "id": id, "num": 1, "title": "Pomiar", "content": null, "status_id": todo, "team_id": null,
            "project_id": null, "tasklist_id": null, "parent_id": null, "client_id": null, "responsible_id": null,
            "responsible_team_id": null, "author_id": owner, "priority": 7, "date_start": null,
            "deadline": "2026-12-01T00:00:00Z", "estimate": null, "closed": false, "closed_at": null,
            "organization_id": task["organization_id"], "version": 1, "created_at": START, "updated_at": START,
        })
    );
    assert_eq!(t.ok("task_show_tool", json!({"id": 1})).await, task);
    let closed = t.ok("task_close", json!({"id": id})).await;
    assert_eq!((&closed["closed"], &closed["closed_at"], &closed["status_id"]), (&json!(true), &json!(START), &done));
    let again = t.ok("task_close", json!({"id": id})).await;
    assert_eq!((&again["version"], again.get("undo_token")), (&closed["version"], None));
    let opened = t.ok("task_update", json!({"id": id, "status_id": todo})).await;
    assert_eq!((&opened["closed"], &opened["closed_at"]), (&json!(false), &Value::Null));
    let closed = t.ok("task_option_change", json!({"id": id, "type": "status_id", "value": done})).await;
    assert_eq!(closed["closed"], true);
    let cleared = t.ok("task_update", json!({"id": id, "status_id": null})).await;
    assert_eq!((&cleared["closed"], &cleared["status_id"]), (&json!(true), &Value::Null));
    assert_eq!(t.err("task_update", json!({"id": id, "closed": false})).await["code"], "validation");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_wrong_with_a_task_is_told_at_once() {
    let t = Tester::new().await;
    let error = t.err("task_create", json!({"title": " ", "priority": 11, "project_id": 99, "team_id": 98})).await;
    let told: Vec<(&str, &str)> = error["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| (field["path"].as_str().unwrap(), field["message"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("/title", "must not be blank"),
            ("/priority", "expected a whole number from 0 to 10, got 11"),
            ("/team_id", "there is no team 98; use team_list to find it"),
            ("/project_id", "there is no project 99; use project_list to find it"),
        ]
    );
    let id = made(&t, "task_create", json!({"title": "Pomiar"})).await;
    for (arguments, message) in [
        (json!({"type": "priority", "value": "11"}), "/value: expected a whole number from 0 to 10, got \"11\""),
        (json!({"type": "priority", "value": null}), "/value: cannot be cleared"),
        (
            json!({"type": "deadline"}),
            "/value: is required: an instant such as 2026-11-21T10:00:00Z, or null to clear it",
        ),
        (json!({"type": "team_id", "value": "5"}), "/value: there is no team 5; use team_list to find it"),
        (
            json!({"type": "tags", "value": "5"}),
            "/type: expected one of status_id, team_id, project_id, responsible_id, responsible_team_id, tasklist_id, \
             priority, deadline, got \"tags\"",
        ),
    ] {
        let mut arguments = arguments;
        arguments["id"] = id.clone();
        assert_eq!(t.err("task_option_change", arguments).await["message"], message);
    }
    assert_eq!(t.ok("task_priority_change", json!({"id": id, "priority": 10})).await["priority"], 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_without_a_responsible_goes_to_the_one_of_its_project_or_team() {
    let t = Tester::new().await;
    let (anna, piotr) = (user(&t, "Anna").await, user(&t, "Piotr").await);
    let project = made(&t, "project_create", json!({"name": "Kuchnie", "responsible_id": anna})).await;
    let team = made(&t, "team_create", json!({"name": "Montaż", "responsible_id": piotr})).await;
    let new = |more: Value| {
        let mut arguments = json!({"title": "x"});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        t.call_raw("task_create", arguments)
    };
    let responsible = |(task, is_error): (Value, bool)| {
        assert!(!is_error, "{task}");
        (task["responsible_id"].clone(), task["responsible_team_id"].clone())
    };
    assert_eq!(responsible(new(json!({"project_id": project, "team_id": team})).await), (anna.clone(), Value::Null));
    assert_eq!(responsible(new(json!({"team_id": team})).await), (piotr.clone(), Value::Null));
    assert_eq!(responsible(new(json!({"project_id": project, "responsible_id": piotr})).await), (piotr, Value::Null));
    let (task, _) = new(json!({"project_id": project, "responsible_team_id": team})).await;
    assert_eq!((&task["responsible_id"], &task["responsible_team_id"]), (&Value::Null, &team));
    let task = t.ok("task_update", json!({"id": task["id"], "responsible_id": anna})).await;
    assert_eq!((&task["responsible_id"], &task["responsible_team_id"]), (&anna, &Value::Null));
    let task = t.ok("task_update", json!({"id": task["id"], "responsible_id": null})).await;
    assert_eq!((&task["responsible_id"], &task["responsible_team_id"]), (&Value::Null, &Value::Null));
    let both = json!({"id": task["id"], "responsible_id": anna, "responsible_team_id": team});
    assert_eq!(
        t.err("task_update", both).await["message"],
        "/responsible_team_id: a task has one responsible, a user or a team; give responsible_id or \
         responsible_team_id, not both"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_and_its_list_agree_on_the_project() {
    let t = Tester::new().await;
    let kitchen = made(&t, "project_create", json!({"name": "Kuchnie"})).await;
    let office = made(&t, "project_create", json!({"name": "Biuro"})).await;
    let sprint = json!({"name": "Listopad", "kind": "sprint", "project_id": kitchen});
    let sprint = made(&t, "tasklist_create", sprint).await;
    let free = made(&t, "tasklist_create", json!({"name": "Kiedyś"})).await;
    let task = t.ok("task_create", json!({"title": "x", "tasklist_id": sprint})).await;
    assert_eq!(task["project_id"], kitchen);
    assert_eq!(
        t.err("task_create", json!({"title": "x", "tasklist_id": sprint, "project_id": office})).await["message"],
        "/tasklist_id: the list Listopad belongs to another project; choose one of the task's project with \
         tasklist_list (project_id), or change project_id too"
    );
    assert_eq!(
        t.err("task_update", json!({"id": task["id"], "project_id": office})).await["message"],
        "/project_id: the task stands on the list Listopad of its present project; give tasklist_id too: a list of \
         the new project, or null"
    );
    let moved = t.ok("task_update", json!({"id": task["id"], "project_id": office, "tasklist_id": free})).await;
    assert_eq!((&moved["project_id"], &moved["tasklist_id"]), (&office, &free));
    t.ok("task_update", json!({"id": task["id"], "tasklist_id": null})).await;
    t.ok("task_update", json!({"id": task["id"], "project_id": kitchen, "tasklist_id": sprint})).await;
    assert_eq!(
        t.err("tasklist_update", json!({"id": sprint, "project_id": office})).await,
        json!({
            "code": "impossible_state",
            "message": "This list has tasks, so it cannot change its project. Take them off with task_update \
                        (tasklist_id: null), or make a new list with tasklist_create.",
        })
    );
    assert_eq!(
        t.err("project_delete", json!({"id": kitchen})).await["message"],
        "This project is still used: 1 × task (project_id). Move or delete those first."
    );
    t.ok("tasklist_delete", json!({"id": sprint})).await;
    assert_eq!(t.ok("task_show", json!({"id": task["id"]})).await["tasklist_id"], Value::Null);
    t.ok("task_delete", json!({"id": task["id"]})).await;
    t.ok("project_delete", json!({"id": kitchen})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_tasks_and_days_do_not_run_in_circles() {
    let t = Tester::new().await;
    let one = made(&t, "project_create", json!({"name": "Jeden"})).await;
    let two = made(&t, "project_create", json!({"name": "Dwa", "project_id": one})).await;
    assert_eq!(
        t.err("project_update", json!({"id": one, "project_id": two})).await["message"],
        "/project_id: is this project itself, or lies below it; choose a project outside"
    );
    assert_eq!(t.err("project_create", json!({"name": "Jeden"})).await["code"], "conflict");
    let backwards = json!({"id": two, "date_from": "2026-12-02", "date_to": "2026-12-01"});
    assert_eq!(
        t.err("project_update", backwards).await["message"],
        "/date_to: 2026-12-01 is before date_from 2026-12-02; give a later day, or change both"
    );
    t.ok("project_update", json!({"id": two, "date_from": "2026-12-02"})).await;
    assert_eq!(t.err("project_update", json!({"id": two, "date_to": "01.12.2026"})).await["code"], "validation");
    let parent = made(&t, "task_create", json!({"title": "Kuchnia"})).await;
    let part = made(&t, "task_create", json!({"title": "Pomiar", "parent_id": parent})).await;
    assert_eq!(t.err("task_update", json!({"id": parent, "parent_id": part})).await["code"], "validation");
    assert_eq!(titles(&t, json!({"parent_id": parent})).await, ["Pomiar"]);
    t.ok("task_delete", json!({"id": parent})).await;
    assert_eq!(t.err("task_show", json!({"id": part})).await["code"], "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checklist_is_written_over_place_by_place() {
    let t = Tester::new().await;
    let id = made(&t, "task_create", json!({"title": "Pomiar", "todos": ["ściany", "okna", "gaz"]})).await;
    let list = t.ok("task_todo_list", json!({"id": id})).await;
    let ids: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|point| &point["id"]).collect();
    let todos = json!([{"title": "ściany", "done": true}, {"title": "gaz"}]);
    let written = t.ok("task_todo_set", json!({"id": id, "todos": todos})).await;
    let expected = json!([
        {"id": ids[0], "title": "ściany", "done": true, "position": 1},
        {"id": ids[1], "title": "gaz", "done": false, "position": 2},
    ]);
    assert_eq!(written["items"], expected);
    assert_eq!(t.ok("task_todo_list", json!({"id": id})).await["items"], expected);
    assert_eq!(
        t.err("task_todo_set", json!({"id": id, "todos": [{"title": "a"}, {"title": " "}]})).await["message"],
        "/todos/1/title: must not be blank"
    );
    t.ok("action_undo", json!({"undo_token": written["undo_token"]})).await;
    assert_eq!(t.ok("task_todo_list", json!({"id": id})).await, list);
    assert_eq!(t.ok("task_attachment_list", json!({"id": id})).await, json!({"items": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_made_once_and_attached_once() {
    let t = Tester::new().await;
    let tag = made(&t, "tag_create", json!({"name": "pilne"})).await;
    let id = made(&t, "task_create", json!({"title": "Pomiar", "tags": "pilne, montaż,pilne"})).await;
    t.ok("task_update", json!({"id": id, "tags": "montaż"})).await;
    made(&t, "task_create", json!({"title": "Wycena"})).await;
    assert_eq!(t.ok("tag_list", json!({})).await["total"], 2);
    assert_eq!(titles(&t, json!({"tag_id": tag})).await, ["Pomiar"]);
    let long = "x".repeat(121);
    assert_eq!(
        t.err("task_update", json!({"id": id, "tags": long})).await["message"],
        "/tags: a name of a tag has at most 120 characters"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_open_tasks_and_take_both_systems_arguments() {
    let t = Tester::new().await;
    let me =
        t.ok("task_create", json!({"title": "A", "priority": 5, "deadline": "2026-12-01"})).await["author_id"].clone();
    t.ok(
        "task_create",
        json!({"title": "B", "responsible_id": me, "date_start": "2026-12-24", "content": "Żółty blat"}),
    )
    .await;
    t.ok("task_create", json!({"title": "C", "priority": 9, "deadline": "2026-11-30", "date_start": "2026-11-21"}))
        .await;
    let closed = made(&t, "task_create", json!({"title": "D", "responsible_id": me})).await;
    t.ok("task_close", json!({"id": closed})).await;
    for (filter, expected) in [
        (json!({}), vec!["C", "B", "A"]),
        (json!({"status": "closed"}), vec!["D"]),
        (json!({"closed": true}), vec!["D"]),
        (json!({"closed": "false", "status": "open"}), vec!["C", "B", "A"]),
        (json!({"status": "all", "limit": 2}), vec!["D", "C"]),
        (json!({"status": "all", "page_size": 3, "page": 2}), vec!["A"]),
        (json!({"responsible": "me"}), vec!["B"]),
        (json!({"responsibleId": me, "status": "all"}), vec!["D", "B"]),
        (json!({"q": "zolty"}), vec!["B"]),
        (json!({"start_time": "future"}), vec!["B"]),
        (json!({"start_time": "current"}), vec!["C", "A"]),
        (json!({"start_time": "all"}), vec!["C", "B", "A"]),
        (json!({"deadline_from": "2026-12-01T00:00:00Z"}), vec!["A"]),
        (json!({"deadline_to": "2026-11-30"}), vec!["C"]),
        (json!({"sort": "deadline"}), vec!["C", "A", "B"]),
        (json!({"order_by": "deadline", "order": "desc"}), vec!["A", "C", "B"]),
        (json!({"sort": "priority"}), vec!["C", "A", "B"]),
        (json!({"sort": "num", "order": "asc"}), vec!["A", "B", "C"]),
        (json!({"project_id": 77}), vec![]),
        (json!({"client_id": Uuid::nil()}), vec![]),
    ] {
        assert_eq!(titles(&t, filter.clone()).await, expected, "{filter}");
    }
    let page = t.ok("task_list_tool", json!({"status": "all", "limit": 3})).await;
    assert_eq!(
        (&page["total"], &page["total_is_exact"], &page["page"], &page["page_size"], &page["total_pages"]),
        (&json!(4), &json!(true), &json!(1), &json!(3), &json!(2))
    );
    for (filter, message) in [
        (
            json!({"closed": true, "status": "open"}),
            "/closed: contradicts status, which means the same; give one of them",
        ),
        (json!({"limit": 101}), "/limit: expected a whole number from 1 to 100"),
        (json!({"page": 0}), "/page: expected a whole number from 1 to 1000000"),
        (json!({"responsible": "Anna"}), "/responsible: expected the UUID or number of a user, or `me`"),
    ] {
        assert_eq!(t.err("task_list", filter).await["message"], message);
    }
    let found = t.ok("task_find", json!({"q": "blat", "limit": 5})).await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert_eq!((&found["items"][0]["title"], &found["items"][0]["closed"]), (&json!("B"), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_keeps_its_order() {
    let t = Tester::new().await;
    let board = || async {
        let found = t.ok("task_status_list", json!({"sort": "priority"})).await;
        let rows = found["items"].as_array().unwrap().clone();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(board().await, ["To do", "In progress", "Ready", "Done"]);
    let waiting = made(&t, "task_status_create", json!({"name": "Waiting"})).await;
    let moved = t.ok("task_status_move_up", json!({"id": waiting})).await;
    assert_eq!((&moved["ok"], &moved["id"], &moved["priority"]), (&json!(true), &waiting, &json!(4)));
    assert_eq!(board().await, ["To do", "In progress", "Ready", "Waiting", "Done"]);
    let todo = status(&t, "To do").await;
    let unmoved = t.ok("task_status_move_up", json!({"id": todo})).await;
    assert_eq!((&unmoved["priority"], unmoved.get("undo_token")), (&json!(1), None));
    t.ok("task_status_update", json!({"id": waiting, "priority": 1})).await;
    t.ok("task_status_move_up", json!({"id": waiting})).await;
    assert_eq!(board().await, ["Waiting", "To do", "In progress", "Ready", "Done"]);
    t.ok("task_status_move_down", json!({"id": waiting})).await;
    t.ok("task_status_update", json!({"id": todo, "priority": null})).await;
    assert_eq!(board().await, ["Waiting", "In progress", "Ready", "Done", "To do"]);
    assert_eq!(t.err("task_status_create", json!({"name": "Waiting"})).await["code"], "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_in_use_is_replaced_not_lost() {
    let t = Tester::new().await;
    let (todo, done) = (status(&t, "To do").await, status(&t, "Done").await);
    let task = made(&t, "task_create", json!({"title": "Pomiar"})).await;
    made(&t, "tasklist_create", json!({"name": "Lista", "status_id": todo})).await;
    assert_eq!(
        t.err("task_status_update", json!({"id": todo, "closed": true})).await["message"],
        "Tasks have the status To do, so whether it closes them cannot change. Make another status with \
         task_status_create, then replace this one with task_status_delete (replacement_status_id)."
    );
    let refused = t.err("task_status_delete", json!({"id": todo})).await;
    assert_eq!(refused["code"], "conflict");
    assert!(refused["message"].as_str().unwrap().starts_with("The status To do is in use: 1 × task"), "{refused}");
    let own = json!({"id": todo, "replacement_status_id": todo});
    assert_eq!(
        t.err("task_status_delete", own).await["message"],
        "/replacement_status_id: is the status to delete; choose another"
    );
    let deleted = t.ok("task_status_delete", json!({"id": todo, "replacement_status_id": done})).await;
    assert_eq!((&deleted["ok"], &deleted["id"], &deleted["replaced"]), (&json!(true), &todo, &json!(2)));
    let task = t.ok("task_show", json!({"id": task})).await;
    assert_eq!((&task["status_id"], &task["closed"], &task["closed_at"]), (&done, &json!(true), &json!(START)));
    t.ok("action_undo", json!({"undo_token": deleted["undo_token"]})).await;
    let task = t.ok("task_show", json!({"id": task["id"]})).await;
    assert_eq!((&task["status_id"], &task["closed"]), (&todo, &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_waits_until_it_is_solved() {
    let t = Tester::new().await;
    let anna = user(&t, "Anna").await;
    let task = made(&t, "task_create", json!({"title": "Pomiar"})).await;
    let new = json!({"commentable_id": task, "commentable_type": "Organize::Task", "content": "Kiedy?", "responsible_id": anna});
    let question = t.ok("task_comment_create", new).await;
    assert_eq!((&question["commentable_id"], &question["solved"]), (&task, &json!(false)));
    let plain = t.ok("task_comment_create", json!({"commentable_id": 1, "content": "Jutro"})).await;
    let open = json!({"commentable_id": task, "responsible_id": anna, "solved": false});
    assert_eq!(t.ok("task_comment_list", open.clone()).await["total"], 1);
    let solved = t.ok("task_comment_solve", json!({"id": question["id"]})).await;
    assert_eq!((&solved["solved"], &solved["solved_at"]), (&json!(true), &json!(START)));
    let again = t.ok("task_comment_solve", json!({"id": question["id"]})).await;
    assert_eq!(again["version"], solved["version"]);
    assert_eq!(t.ok("task_comment_list", open).await["total"], 0);
    let found = t.ok("task_comment_list", json!({"commentable_id": task})).await;
    assert_eq!((&found["items"][0]["id"], &found["items"][1]["id"]), (&plain["id"], &question["id"]));
    let changed = json!({"id": plain["id"], "content": "Pojutrze", "responsible_id": anna, "expected_version": 1});
    let changed = t.ok("task_comment_update", changed).await;
    assert_eq!((&changed["content"], &changed["responsible_id"]), (&json!("Pojutrze"), &anna));
    let stale = json!({"id": plain["id"], "content": "Nigdy", "expected_version": 1});
    assert_eq!(t.err("task_comment_update", stale).await["code"], "conflict");
    assert_eq!(
        t.err("task_comment_update", json!({"id": plain["id"], "content": " "})).await["message"],
        "/content: must not be blank"
    );
    assert_eq!(
        t.err("task_comment_create", json!({"commentable_id": task, "commentable_type": "Crm::Deal", "content": "x"}))
            .await["message"],
        "/commentable_type: expected Organize::Task, the only kind there is here"
    );
    t.ok("task_comment_delete", json!({"id": plain["id"]})).await;
    assert_eq!(
        t.err("task_comment_show", json!({"id": plain["id"]})).await["message"],
        format!(
            "There is no task_comment {}. Use task_comment_list to find the right id.",
            plain["id"].as_str().unwrap()
        )
    );
    t.ok("task_delete", json!({"id": task})).await;
    assert_eq!(t.ok("task_comment_list", json!({})).await["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_on_other_records_are_no_task_comments() {
    let t = Tester::new().await;
    let person: Uuid = made(&t, "person_create", json!({"name": "Ewa Król"})).await.as_str().unwrap().parse().unwrap();
    let note = t.bureau.as_system(t.tenant_id, None, "test", |ctx| {
        Box::pin(async move {
            let values = Values::new().with("subject_type", "party").with("subject_id", person).with("body", "tajne");
            Ok(ctx.insert(Note::TABLE, values).await?.id)
        })
    });
    let note = note.await.unwrap();
    for tool in ["task_comment_show", "task_comment_update", "task_comment_delete", "task_comment_solve"] {
        assert_eq!(t.err(tool, json!({"id": note})).await["code"], "not_found", "{tool}");
    }
    assert_eq!(t.ok("task_comment_list", json!({})).await["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_on_a_task_moves_with_it() {
    let t = Tester::new().await;
    let branch = made(&t, "organization_create", json!({"name": "Oddział Kraków"})).await;
    let task = made(&t, "task_create", json!({"title": "Pomiar"})).await;
    t.ok("task_comment_create", json!({"commentable_id": task, "content": "Jutro"})).await;
    t.ok("task_update", json!({"id": task, "organization_id": branch})).await;
    let minted = t.ok("session_create", json!({"organization_id": branch})).await;
    let inside = t.with_token(minted["session_token"].as_str().unwrap());
    assert_eq!(inside.ok("task_comment_list", json!({"commentable_id": task})).await["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_answer_in_worksections_words() {
    let t = Tester::new().await;
    user(&t, "Anna").await;
    made(&t, "task_create", json!({"title": "Pomiar"})).await;
    for tool in ["unsubscribe", "subscribe", "subscribe", "unsubscribe", "unsubscribe"] {
        let answer = t.ok(tool, json!({"id_task": "1", "email_user": "ANNA@example.com"})).await;
        assert_eq!(answer["status"], "ok", "{tool}");
    }
    for tool in ["subscribe", "unsubscribe"] {
        let error = t.err(tool, json!({"id_task": 2, "email_user": "anna@example.com"})).await;
        assert_eq!((&error["status"], &error["status_code"]), (&json!("error"), &json!(5)), "{error}");
        for email in ["nobody@example.com", "anna"] {
            let error = t.err(tool, json!({"id_task": 1, "email_user": email})).await;
            assert_eq!((&error["status"], &error["status_code"]), (&json!("error"), &json!(11)), "{error}");
            assert_eq!(error["message_details"], "email_user", "{error}");
        }
        let error = t.err(tool, json!({"id_task": 1})).await;
        assert_eq!((&error["status"], &error["status_code"]), (&json!("error"), &json!(10)), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_close_one_task_once_and_subscribe_one_user_once() {
    let t = Tester::new().await;
    user(&t, "Anna").await;
    let id = made(&t, "task_create", json!({"title": "Pomiar"})).await;
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        calls.spawn(t.call_raw("task_close", json!({"id": id})));
        calls.spawn(t.call_raw("subscribe", json!({"id_task": id, "email_user": "anna@example.com"})));
        calls.spawn(t.call_raw("task_comment_create", json!({"commentable_id": id, "content": "x"})));
    }
    for (answer, is_error) in calls.join_all().await {
        assert!(!is_error, "{answer}");
    }
    assert_eq!(t.ok("task_show", json!({"id": id})).await["version"], 2);
    assert_eq!(t.ok("task_comment_list", json!({"commentable_id": id})).await["total"], 16);
    let subscribed = t.dump().await.lines().filter(|line| line.starts_with("task_subscribers ")).count();
    assert_eq!(subscribed, 1);
}
