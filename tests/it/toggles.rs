//! Feature toggles: one value for all companies, another for some, and what a company is told when it asks.

use serde_json::{Value, json};

use crate::support::Tester;

async fn with_toggles() -> Tester {
    let root = Tester::new().await;
    for (identifier, kind, value) in [
        ("new_kitchen", "boolean", json!(false)),
        ("greeting", "string", json!("Dzień dobry")),
        ("discount", "number", json!(0.5)),
        ("layout", "json", json!({"columns": 3})),
    ] {
        let name = identifier.replace('_', " ");
        root.ok(
            "feature_toggle_create",
            json!({"identifier": identifier, "name": name, "type": kind, "defaultValue": value}),
        )
        .await;
    }
    root
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_is_told_its_own_value_or_the_default() {
    let root = with_toggles().await;
    let other = root.other_tenant().await;
    let user = other.as_role("guest").await;
    let toggle = root.ok("feature_toggle_show", json!({"id": "new_kitchen"})).await;
    let told = |value: bool, source: &str, tester: &Tester| {
        json!({
            "value_type": "boolean", "value": value, "enabled": value, "source": source, "toggle_id": toggle["id"],
            "identifier": "new_kitchen", "tenant_id": tester.tenant_id
        })
    };
    let ask = json!({"identifier": "new_kitchen"});
    assert_eq!(user.ok("feature_toggle_boolean_check", ask.clone()).await, told(false, "default", &other));
    let set =
        json!({"toggleId": toggle["id"], "isOverride": true, "overrideValue": true, "tenant_id": other.tenant_id});
    let answer = root.ok("feature_toggle_override_update", set).await;
    assert_eq!((&answer["toggle"]["override_state"], &answer["undo_token"]), (&json!("enabled"), &Value::Null));
    assert_eq!(user.ok("feature_toggle_boolean_check", ask.clone()).await, told(true, "override", &other));
    // Of another company's value the first one sees nothing, and who runs the installation is told what everyone is.
    assert_eq!(root.ok("feature_toggle_boolean_check", ask.clone()).await, told(false, "default", &root));
    root.ok("feature_toggle_update", json!({"id": "new_kitchen", "default_value": true})).await;
    assert_eq!(root.ok("feature_toggle_boolean_check", ask.clone()).await, told(true, "default", &root));
    let off = json!({"toggle_id": "new_kitchen", "is_override": true, "override_value": false});
    let own = root.ok("feature_toggle_override_update", off).await;
    assert_eq!(root.ok("feature_toggle_boolean_check", ask.clone()).await, told(false, "override", &root));
    root.ok("action_undo", json!({"undo_token": own["undo_token"]})).await;
    assert_eq!(root.ok("feature_toggle_boolean_check", ask.clone()).await, told(true, "default", &root));
    let back = json!({"toggle_id": "new_kitchen", "is_override": false, "tenant_id": other.tenant_id});
    assert_eq!(root.ok("feature_toggle_override_update", back).await["toggle"]["override_state"], "inherit");
    assert_eq!(user.ok("feature_toggle_boolean_check", ask).await, told(true, "default", &other));
    for (tool, identifier, value) in [
        ("feature_toggle_string_check", "greeting", json!("Dzień dobry")),
        ("feature_toggle_number_check", "discount", json!(0.5)),
        ("feature_toggle_json_check", "layout", json!({"columns": 3})),
    ] {
        let told = user.ok(tool, json!({"identifier": identifier})).await;
        assert_eq!(
            (&told["value"], &told["enabled"], &told["source"]),
            (&value, &Value::Null, &json!("default")),
            "{tool}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_nothing_or_for_another_kind_is_told_so() {
    let root = with_toggles().await;
    let missing = root.err("feature_toggle_boolean_check", json!({"identifier": "no_such"})).await;
    let text =
        "There is no feature toggle `no_such`. Check the spelling, or ask whoever runs the installation to create it.";
    assert_eq!(missing, json!({"code": "not_found", "message": text, "details": {"reason": "MISSING_TOGGLE"}}));
    let mismatch = root.err("feature_toggle_boolean_check", json!({"identifier": "greeting"})).await;
    let text = "greeting is a toggle of the kind string, not boolean. Ask with feature_toggle_string_check.";
    assert_eq!(mismatch, json!({"code": "validation", "message": text, "details": {"reason": "TYPE_MISMATCH"}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_fit_their_toggle_and_toggles_are_for_who_runs_the_installation() {
    let root = with_toggles().await;
    for (toggle, value, expected) in [
        ("new_kitchen", json!("yes"), "boolean: expected true or false"),
        ("greeting", json!(1), "string: expected text of at most 10000 characters"),
        ("discount", json!("1"), "number: expected a number"),
        ("layout", Value::Null, ""),
    ] {
        let set = json!({"toggle_id": toggle, "is_override": true, "override_value": value});
        let refused = root.err("feature_toggle_override_update", set).await;
        let message = match expected {
            "" => "/override_value: is required with is_override true".to_owned(),
            kind => format!("/override_value: does not fit a toggle of the kind {kind}"),
        };
        assert_eq!(refused["message"], message);
    }
    let refused = root.err("feature_toggle_update", json!({"id": "discount", "default_value": true})).await;
    assert_eq!(refused["message"], "/default_value: does not fit a toggle of the kind number: expected a number");
    let refused = root.err("feature_toggle_update", json!({"id": "discount", "type": "json"})).await;
    assert_eq!(
        refused["message"],
        "/type: is number for good, since companies may have set values of it; make another toggle"
    );
    let twice = json!({"identifier": "discount", "name": "X", "type": "number"});
    let refused = root.err("feature_toggle_create", twice).await;
    assert_eq!(refused["message"], "There is a feature toggle discount already. Change it with feature_toggle_update.");
    for bad in ["Discount", "1st", "a-b", "ą"] {
        let refused =
            root.err("feature_toggle_create", json!({"identifier": bad, "name": "X", "type": "number"})).await;
        assert_eq!(
            refused["message"],
            "/identifier: expected at most 100 small Latin letters, digits and underscores, beginning with a letter"
        );
    }
    let owner = root.as_role("owner").await;
    for tool in ["feature_toggle_list", "feature_toggle_override_list"] {
        assert_eq!(owner.err(tool, json!({})).await["details"]["missing"], "feature_toggles.manage", "{tool}");
    }
    let missing = root.err("feature_toggle_show", json!({"id": "no_such"})).await;
    assert_eq!(missing["message"], "There is no feature_toggle no_such. Use feature_toggle_list to find the right id.");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_toggle_was_before_is_kept_and_goes_with_it_only_by_name() {
    let root = with_toggles().await;
    let other = root.other_tenant().await;
    root.bureau.clock.advance_seconds(1);
    root.ok("feature_toggle_update", json!({"id": "greeting", "default_value": "Cześć", "category": "texts"})).await;
    root.bureau.clock.advance_seconds(1);
    let unchanged = root.ok("feature_toggle_update", json!({"id": "greeting", "default_value": "Cześć"})).await;
    let set =
        json!({"toggle_id": "greeting", "is_override": true, "override_value": "Hej", "tenant_id": other.tenant_id});
    root.ok("feature_toggle_override_update", set).await;
    let shown = root.ok("feature_toggle_show", json!({"id": unchanged["id"]})).await;
    let changes = shown["changes"].as_array().unwrap();
    let events: Vec<&str> = changes.iter().map(|change| change["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["override", "update", "create"]);
    assert_eq!((&changes[0]["tenant_id"], &changes[0]["after"]), (&json!(other.tenant_id), &json!("Hej")));
    assert_eq!(changes[1]["before"]["default_value"], "Dzień dobry");
    assert_eq!((&changes[1]["actor"], &changes[2]["before"]), (&json!("Owner"), &Value::Null));
    let listed =
        root.ok("feature_toggle_override_list", json!({"tenant_id": other.tenant_id, "category": "texts"})).await;
    assert_eq!(listed["total"], 1);
    assert_eq!((&listed["items"][0]["value"], &listed["items"][0]["override_state"]), (&json!("Hej"), &json!("set")));

    root.ok("feature_toggle_delete", json!({"id": "greeting"})).await;
    let gone = other.err("feature_toggle_string_check", json!({"identifier": "greeting"})).await;
    assert_eq!(gone["details"]["reason"], "MISSING_TOGGLE");
    // Another one of the same name begins anew.
    root.ok("feature_toggle_create", json!({"identifier": "greeting", "name": "G", "type": "string"})).await;
    let told = other.ok("feature_toggle_string_check", json!({"identifier": "greeting"})).await;
    assert_eq!((&told["value"], &told["source"]), (&json!(""), &json!("default")));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_make_one_toggle_and_one_override() {
    let root = Tester::new().await;
    let wish = json!({"identifier": "race", "name": "Race", "type": "number"});
    let calls: Vec<_> = (0..6).map(|_| tokio::spawn(root.call_raw("feature_toggle_create", wish.clone()))).collect();
    let mut made = 0;
    for call in calls {
        let (answer, is_error) = call.await.unwrap();
        made += usize::from(!is_error);
        assert!(!is_error || answer["code"] == "conflict", "{answer}");
    }
    assert_eq!(made, 1);
    let set = |value: i64| json!({"toggle_id": "race", "is_override": true, "override_value": value});
    let calls: Vec<_> =
        (0..6).map(|value| tokio::spawn(root.call_raw("feature_toggle_override_update", set(value)))).collect();
    for call in calls {
        let (answer, is_error) = call.await.unwrap();
        assert!(!is_error, "{answer}");
    }
    let shown = root.ok("feature_toggle_override_show", json!({"id": "race"})).await;
    assert_eq!(shown["is_override"], true);
}
