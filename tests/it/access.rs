//! Who may do what, explained; many users at once; what CCRM reads beside its users; and the menu.

use serde_json::{Value, json};

use crate::support::Tester;

async fn user_named(owner: &Tester, email: &str) -> Value {
    owner.ok("user_list", json!({"q": email})).await["items"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_users_are_created_each_for_itself_and_taken_back_as_one() {
    let owner = Tester::new().await;
    let made = owner
        .ok(
            "user_bulk_create",
            json!({"users": [
                {"id": 7, "email": "ewa@example.com", "role": "guest"},
                {"id": "8", "email": "not an address"},
                {"email": "EWA@example.com"},
                {"email": "jan@example.com", "role": "nobody"},
                {"email": "ola@example.com"},
            ]}),
        )
        .await;
    let done: Vec<(u64, &str, &str)> = made["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["index"].as_u64().unwrap(), row["status"].as_str().unwrap(), row["action"].as_str().unwrap()))
        .collect();
    assert_eq!(done, [(0, "created", "create"), (4, "created", "create")]);
    let failed: Vec<(u64, &str)> = made["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["index"].as_u64().unwrap(), row["error"]["code"].as_str().unwrap()))
        .collect();
    assert_eq!(failed, [(1, "validation"), (2, "conflict"), (3, "validation")]);
    let ewa = user_named(&owner, "ewa@example.com").await;
    assert_eq!((&ewa["external_id"], &ewa["role"]), (&json!("7"), &json!("guest")));
    owner.ok("action_undo", json!({"undo_token": made["undo_token"]})).await;
    assert_eq!(owner.ok("user_list", json!({})).await["total"], 1);
    let most: Vec<Value> = (0..101).map(|number| json!({"email": format!("u{number}@example.com")})).collect();
    assert_eq!(
        owner.err("user_bulk_create", json!({"users": most})).await["message"],
        "/users: expected 1 to 100 users, got 101"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_brought_in_line_with_another_system() {
    let owner = Tester::new().await;
    owner.ok("user_create", json!({"email": "jan@example.com", "role": "user"})).await;
    owner.ok("user_create", json!({"email": "inny@example.com", "external_id": "x1"})).await;
    let people = json!({"users": [
        {"external_id": 1, "email": "ewa@example.com", "role": "guest"},
        {"external_id": "2", "email": "JAN@example.com", "role": "admin"},
        {"external_id": "3", "email": "inny@example.com"},
        {"external_id": " ", "email": "pusty@example.com"},
    ]});
    let status = |answer: &Value| -> Vec<String> {
        answer["results"].as_array().unwrap().iter().map(|row| row["status"].as_str().unwrap().to_owned()).collect()
    };
    let synced = owner.ok("user_sync", people.clone()).await;
    assert_eq!(status(&synced), ["created", "updated"]);
    let told: Vec<&str> =
        synced["errors"].as_array().unwrap().iter().map(|row| row["error"]["message"].as_str().unwrap()).collect();
    assert_eq!(
        told,
        [
            "The user with the e-mail inny@example.com has the identifier x1 already. Correct one of the two.",
            "/external_id: must not be blank"
        ]
    );
    assert_eq!(status(&owner.ok("user_sync", people).await), ["unchanged", "unchanged"]);
    let moved = json!({"users": [{"external_id": "1", "email": "ewa.nowa@example.com"}]});
    assert_eq!(status(&owner.ok("user_sync", moved).await), ["updated"]);
    let ewa = user_named(&owner, "ewa.nowa@example.com").await;
    assert_eq!((&ewa["external_id"], &ewa["role"]), (&json!("1"), &json!("guest")));
    // The last owner stays also here, and nothing of the call is kept then.
    let first = owner.ok("user_list", json!({"role": "owner"})).await["items"][0].clone();
    let demoted = json!({"users": [{"external_id": "0", "email": first["email"], "role": "guest"}]});
    assert_eq!(owner.err("user_sync", demoted).await["code"], "conflict");
    // An administrator makes nobody an owner.
    let admin = owner.as_role("admin").await;
    let raised = json!({"users": [{"external_id": "1", "email": "ewa.nowa@example.com", "role": "owner"}]});
    assert_eq!(admin.ok("user_sync", raised).await["errors"][0]["error"]["code"], "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn ccrm_reads_what_its_users_hold() {
    let owner = Tester::new().await;
    let roles = owner.ok("permission_group_list", json!({})).await;
    assert_eq!((&roles["success"], &roles["message"]), (&json!(true), &json!("OK")));
    assert_eq!(roles["otherData"]["totalCount"].as_u64().unwrap(), roles["data"].as_array().unwrap().len() as u64);
    let guest = roles["data"].as_array().unwrap().iter().find(|role| role["name"] == "Guest").unwrap();
    assert_eq!(guest["permanent"], 1);
    let made =
        owner.ok("user_group_type_create", json!({"name": "Zmiana", "main": 1, "groups": ["Ranna", "Nocna"]})).await;
    let (shift, groups) = (&made["data"]["uuid"], &made["data"]["userGroup"]);
    for name in ["zmiana", "Department"] {
        assert_eq!(owner.err("user_group_type_create", json!({"name": name})).await["code"], "conflict", "{name}");
    }
    let anna = json!({
        "email": "anna@example.com", "permission": guest["uuid"], "dynamicExtension": 0, "extensionId": 12,
        "groups": {shift.as_str().unwrap(): groups[0]["uuid"]},
        "callPresentation": [{"presentation": 48777888999_i64, "name": "Biuro", "intlFormat": 1}],
        "smsPresentation": ["Meble", 500],
    });
    let anna = owner.ok("user_create", anna).await;
    let jan = json!({
        "email": "jan@example.com", "permission": guest["uuid"], "dynamicExtension": 1, "dynamicExtensionIds": [12, 13],
        "groups": [groups[1]["uuid"]], "smsPresentation": ["Meble"],
        "callPresentation": [{"presentation": "48777888999", "name": "Biuro", "intlFormat": 1}, {"presentation": "anonymous"}],
    });
    owner.ok("user_create", jan).await;
    let both = json!({"id": anna["id"], "groups": [groups[0]["uuid"], groups[1]["uuid"]]});
    assert_eq!(owner.err("user_update", both).await["code"], "validation", "one group of a type");
    let types = owner.ok("user_group_type_list", json!({})).await;
    let own = types["data"].as_array().unwrap().iter().find(|kind| kind["uuid"] == *shift).unwrap();
    assert_eq!(
        (&own["name"], &own["main"], &own["groupCount"], &own["userCount"], &own["userGroup"][0]["users"]),
        (&json!("Zmiana"), &json!(1), &json!(2), &json!(2), &json!(1))
    );
    // A built-in type goes by its id too: none takes the user out.
    let position = types["data"].as_array().unwrap().iter().find(|kind| kind["name"] == "position").unwrap();
    owner.ok("user_update", json!({"id": anna["id"], "groups": {position["uuid"].as_str().unwrap(): ""}})).await;
    assert_eq!(
        owner.ok("sip_account_list", json!({})).await["data"],
        json!([
            {"extensionId": 12, "assigned": anna["id"], "name": anna["name"], "pickedBy": 1},
            {"extensionId": 13, "assigned": null, "name": null, "pickedBy": 1},
        ])
    );
    assert_eq!(
        owner.ok("call_presentation_list", json!({})).await["data"],
        json!([{"presentation": "48777888999", "name": "Biuro", "intl_format": true}, {"presentation": "anonymous"}])
    );
    assert_eq!(
        owner.ok("sms_presentation_list", json!({})).await["data"],
        json!([{"presentation": "500"}, {"presentation": "Meble"}])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_menu_is_arranged_for_oneself_and_for_roles() {
    let owner = Tester::new().await;
    let user = owner.as_role("user").await;
    let menu = async |tester: &Tester| tester.ok("navigation_show", json!({"locale": "pl"})).await["groups"].clone();
    let ids = |groups: &Value| -> Vec<String> {
        groups.as_array().unwrap().iter().map(|group| group["id"].as_str().unwrap().to_owned()).collect()
    };
    let of_user = ids(&menu(&user).await);
    assert!(of_user.contains(&"tasks".to_owned()) && !of_user.contains(&"search".to_owned()), "{of_user:?}");
    let role = owner.ok("role_list", json!({"page_size": 100})).await["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|role| role["code"] == "user")
        .unwrap()["id"]
        .clone();
    let tasks = "/console#/tools/task_list";
    let arranged = json!({
        "locale": "pl", "groupOrder": ["tasks"], "groupLabels": {"tasks": "Praca"}, "itemLabels": {tasks: "Zadania"},
        "hiddenItems": ["/console#/tools/project_list"],
    });
    let mut for_role = arranged.clone();
    for_role["applyToRoles"] = json!([role]);
    assert_eq!(
        user.err("sidebar_preference_update", for_role.clone()).await["message"],
        "Arranging the menu for roles needs the right auth.sidebar.manage. Leave applyToRoles and clearRoleIds out to arrange \
         your own."
    );
    let applied = owner.ok("sidebar_preference_update", for_role).await;
    assert_eq!((&applied["appliedRoles"], &applied["clearedRoles"]), (&json!([role]), &json!([])));
    let groups = menu(&user).await;
    assert_eq!(
        (&groups[0]["id"], &groups[0]["name"], &groups[0]["defaultName"]),
        (&json!("tasks"), &json!("Praca"), &json!("Tasks"))
    );
    let items = groups[0]["items"].as_array().unwrap();
    let item = |tool: &str| items.iter().find(|item| item["tool"] == tool).unwrap();
    assert_eq!((&item("task_list")["title"], &item("task_list")["href"]), (&json!("Zadania"), &json!(tasks)));
    assert_eq!(item("project_list")["enabled"], false);
    // One's own arrangement counts before that of the role, in its language only.
    user.ok("sidebar_preference_update", json!({"locale": "pl", "groupOrder": [], "groupLabels": {}})).await;
    assert_eq!(ids(&menu(&user).await), of_user);
    let english = user.ok("sidebar_preference_show", json!({"locale": "en"})).await;
    assert_eq!(
        english,
        json!({
            "locale": "en", "canApplyToRoles": false, "roles": [],
            "settings": {"version": 1, "groupOrder": [], "groupLabels": {}, "itemLabels": {}, "hiddenItems": []},
        })
    );
    let cleared = owner.ok("sidebar_preference_update", json!({"locale": "pl", "clearRoleIds": [role]})).await;
    assert_eq!(cleared["clearedRoles"], json!([role]));
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_are_explained_for_roles_keys_and_sessions() {
    let owner = Tester::new().await;
    let user = owner.as_role("user").await;
    let explain = async |tester: &Tester, arguments: Value| tester.ok("permission_explain", arguments).await;
    let role = owner.ok("role_list", json!({"q": "Guest"})).await["items"][0]["id"].clone();
    let told = explain(&owner, json!({"tool": "task_list", "role_id": role})).await;
    assert_eq!(
        (&told["allowed"], &told["who"], &told["granted_by"][0]["by"]),
        (&json!(true), &json!("the role Guest"), &json!("role"))
    );
    assert_eq!(explain(&owner, json!({"tool": "contract_list", "role_id": role})).await["allowed"], false);
    // A session of one's own, narrowed twice.
    let made = owner
        .ok(
            "api_key_create",
            json!({"name": "raport", "features": ["organize.*"], "allowed_addresses": ["127.0.0.0/8"]}),
        )
        .await;
    let report = owner.with_token(made["secret"].as_str().unwrap());
    let minted = report.ok("session_create", json!({"features": ["organize.tasks.view"], "read_only": true})).await;
    let session = &minted["session"]["id"];
    let told = explain(&owner, json!({"tool": "task_create", "session_id": session})).await;
    assert_eq!(
        (&told["allowed"], &told["taken_away_by"]),
        (
            &json!(false),
            &json!(["the session was narrowed to the features organize.tasks.view", "the session is read-only"])
        )
    );
    assert_eq!(told["granted_by"][0]["by"], "role");
    assert_eq!(told["limits"], json!(["only from 127.0.0.0/8", "until 2026-11-21T12:00:00Z"]));
    assert_eq!(explain(&owner, json!({"tool": "task_list", "session_id": session})).await["allowed"], true);
    let told = explain(&owner, json!({"feature": "contracts.view", "api_key_id": made["id"]})).await;
    assert_eq!(told["taken_away_by"], json!(["the key was narrowed to the features organize.*"]));
    owner.ok("api_key_update", json!({"id": made["id"], "active": false})).await;
    for arguments in [json!({"api_key_id": made["id"]}), json!({"session_id": session})] {
        let mut arguments = arguments;
        arguments["tool"] = json!("task_list");
        let told = explain(&owner, arguments).await;
        let ended = told["taken_away_by"][0].as_str().unwrap();
        assert!(
            told["allowed"] == false && ended.ends_with("was revoked or switched off, or its user is blocked"),
            "{told}"
        );
    }
    // Those of others are for who manages rights.
    for arguments in [json!({"api_key_id": made["id"]}), json!({"session_id": session}), json!({"role_id": role})] {
        let mut arguments = arguments;
        arguments["tool"] = json!("task_list");
        assert_eq!(user.err("permission_explain", arguments).await["code"], "forbidden");
    }
    // What reaches beyond the tenant comes by being a super administrator, not by the owner's role.
    let told = explain(&owner, json!({"feature": "directory.tenants.view"})).await;
    assert_eq!((&told["allowed"], &told["granted_by"][0]["by"]), (&json!(true), &json!("super_admin")));
    let other = owner.other_tenant().await;
    let told = explain(&other, json!({"feature": "directory.tenants.view"})).await;
    assert_eq!(
        (&told["allowed"], &told["granted_by"], &told["next_step"]),
        (
            &json!(false),
            &json!([]),
            &json!(
                "directory.tenants.view reaches beyond one tenant: only super administrators hold it, whatever roles and grants say."
            )
        )
    );
    assert_eq!(
        owner.err("permission_explain", json!({"tool": "me", "role_id": role, "session_id": session})).await["message"],
        "Give at most one of user_id, role_id, api_key_id and session_id."
    );
}
