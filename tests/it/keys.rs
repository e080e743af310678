//! API keys: from where, for what and how long they are good, and what is known of their use.

use bureau_kit::gate::{Call, Origin, Outcome};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::Tester;

/// A call from a network address, by a client of a name.
async fn from(tester: &Tester, address: Option<&str>, tool: &str, arguments: Value) -> Result<Value, Value> {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    let call = Call {
        tool: tool.to_owned(),
        arguments,
        shown: Some(tester.shown.clone()),
        selection: tester.selection.clone(),
        origin: Origin {
            transport: "http",
            client: Some("raport/1".into()),
            address: address.map(|address| address.parse().unwrap()),
        },
        dialogue: bureau_kit::dialogue::Dialogue::default(),
    };
    match tester.bureau.call(call).await {
        Outcome::Done { body, is_error: false } => Ok(serde_json::from_slice(&body).unwrap()),
        Outcome::Done { body, is_error: true } => Err(serde_json::from_slice(&body).unwrap()),
        Outcome::Unauthenticated(error) => Err(Value::Object(error.to_json())),
        outcome => panic!("{outcome:?}"),
    }
}

async fn key(owner: &Tester, arguments: Value) -> (Tester, Value) {
    let made = owner.ok("api_key_create", arguments).await;
    (owner.with_token(made["secret"].as_str().unwrap()), made["id"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_and_all_that_is_made_from_it_is_good_at_its_addresses_only() {
    let owner = Tester::new().await;
    let tied = json!({"name": "biuro", "allowed_addresses": ["10.1.2.3/8", "2001:db8::/32", "10.0.0.0/8"]});
    let made = owner.ok("api_key_create", tied).await;
    assert_eq!(made["allowed_addresses"], json!(["10.0.0.0/8", "2001:db8::/32"]));
    let office = owner.with_token(made["secret"].as_str().unwrap());
    let minted = from(&office, Some("10.9.9.9"), "session_create", json!({})).await.unwrap();
    let session = owner.with_token(minted["session_token"].as_str().unwrap());
    let made = from(&office, Some("10.9.9.9"), "api_key_create", json!({"name": "child"})).await.unwrap();
    let child = owner.with_token(made["secret"].as_str().unwrap());
    for tester in [&office, &session, &child] {
        for good in ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::7"] {
            from(tester, Some(good), "me", json!({})).await.unwrap();
        }
        for (bad, shown) in
            [(Some("11.0.0.1"), "11.0.0.1"), (Some("2001:db9::7"), "2001:db9::7"), (None, "this machine")]
        {
            let refused = from(tester, bad, "me", json!({})).await.unwrap_err();
            assert_eq!(
                refused,
                json!({
                    "code": "unauthenticated",
                    "message": format!("The key behind this token may not be used from {shown}. Call from one of its allowed addresses, or let its owner change them (api_key_update)."),
                    "details": {"reason": "address_not_allowed"},
                })
            );
        }
    }
    // As an argument it is no better.
    let argument = json!({"_sessionToken": minted["session_token"]});
    assert_eq!(from(&owner, Some("11.0.0.1"), "me", argument).await.unwrap_err()["code"], "unauthenticated");
    // No address is this machine.
    owner.ok("api_key_update", json!({"id": "2", "allowed_addresses": ["127.0.0.1"]})).await;
    for tester in [&office, &session, &child] {
        tester.ok("me", json!({})).await;
        from(tester, Some("10.0.0.1"), "me", json!({})).await.unwrap_err();
    }
    owner.ok("api_key_update", json!({"id": "2", "allowed_addresses": null})).await;
    from(&child, Some("11.0.0.1"), "me", json!({})).await.unwrap();
    let refused = owner.err("api_key_create", json!({"name": "x", "allowed_addresses": ["10.0.0.0/33"]})).await;
    assert_eq!(
        refused["message"],
        "/allowed_addresses/0: `10.0.0.0/33` is neither an address nor a range such as 10.0.0.0/8 or 2001:db8::/32"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_switched_off_takes_along_what_was_made_from_it() {
    let owner = Tester::new().await;
    let (nightly, id) = key(&owner, json!({"name": "nocny"})).await;
    let minted = nightly.ok("session_create", json!({})).await;
    let session = nightly.with_token(minted["session_token"].as_str().unwrap());
    let grandchild =
        session.with_token(session.ok("session_create", json!({})).await["session_token"].as_str().unwrap());
    let off = owner.ok("api_key_update", json!({"id": id, "active": false})).await;
    assert_eq!((&off["active"], &off["version"]), (&json!(false), &json!(2)));
    for tester in [&nightly, &session, &grandchild] {
        assert_eq!(tester.err("me", json!({})).await["code"], "unauthenticated");
    }
    owner.ok("api_key_update", json!({"id": id, "active": true})).await;
    for tester in [&nightly, &session, &grandchild] {
        tester.ok("me", json!({})).await;
    }
    assert_eq!(owner.ok("api_key_show", json!({"id": id})).await["open_sessions"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_only_narrowed_and_never_by_what_it_bounds() {
    let owner = Tester::new().await;
    let (report, id) = key(&owner, json!({"name": "raport", "features": ["organize.*", "api_keys.*"]})).await;
    assert_eq!(
        report.err("api_key_update", json!({"id": id, "name": "x"})).await["message"],
        "Your own token comes from this key, so it cannot change it. Sign in, or use another key."
    );
    let child = report.with_token(report.ok("session_create", json!({})).await["session_token"].as_str().unwrap());
    assert_eq!(child.err("api_key_update", json!({"id": id, "allowed_addresses": []})).await["code"], "forbidden");
    assert_eq!(
        owner.err("api_key_update", json!({"id": id, "features": ["contracts.view"]})).await["message"],
        "The key does not have contracts.view, and a key is only narrowed. Make another with api_key_create."
    );
    let narrowed = owner.ok("api_key_update", json!({"id": id, "privileges": ["tasks_read"]})).await;
    assert_eq!(narrowed["features"], json!(["organize.tasks.view"]));
    report.ok("task_list", json!({})).await;
    assert_eq!(report.err("task_create", json!({"title": "x"})).await["code"], "forbidden");
    // An administrator changes no key of somebody above.
    let admin = owner.as_role("admin").await;
    assert_eq!(admin.err("api_key_update", json!({"id": id, "active": false})).await["code"], "forbidden");
    assert_eq!(
        owner.err("api_key_update", json!({"id": id, "expires_at": "2026-01-01T00:00:00Z"})).await["message"],
        "/expires_at: has passed already; to stop the key use active or api_key_delete"
    );
    owner.ok("api_key_update", json!({"id": id, "expires_at": "2026-11-22T00:00:00Z"})).await;
    owner.bureau.clock.advance_seconds(24 * 3600);
    assert_eq!(report.err("task_list", json!({})).await["code"], "unauthenticated");
    assert_eq!(
        owner.err("api_key_update", json!({"id": id, "expires_at": null})).await["message"],
        "This key has ended. Make another with api_key_create."
    );
}

/// The use of a key as it is shown.
async fn shown(owner: &Tester, id: &Value) -> Value {
    let row = owner.ok("api_key_show", json!({"id": id})).await;
    json!([
        row["use_count"],
        row["first_used_at"],
        row["last_used_at"],
        row["last_transport"],
        row["last_client"],
        row["last_address"]
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_are_counted_to_the_call_before_and_after_they_are_stored() {
    let owner = Tester::new().await;
    let (report, id) = key(&owner, json!({"name": "raport"})).await;
    assert_eq!(shown(&owner, &id).await, json!([0, null, null, null, null, null]));
    let (first, later) = ("2026-11-21T10:00:00Z", "2026-11-21T10:01:00Z");
    for _ in 0..3 {
        from(&report, Some("203.0.113.7"), "me", json!({})).await.unwrap();
    }
    let three = json!([3, first, first, "http", "raport/1", "203.0.113.7"]);
    assert_eq!(shown(&owner, &id).await, three);
    owner.bureau.store_uses().await.unwrap();
    assert_eq!(shown(&owner, &id).await, three, "after storing");
    owner.bureau.clock.advance_seconds(60);
    // A call that is refused was made with the key all the same.
    from(&report, Some("::ffff:203.0.113.8"), "task_show", json!({"id": Uuid::nil()})).await.unwrap_err();
    let four = json!([4, first, later, "http", "raport/1", "203.0.113.8"]);
    assert_eq!(shown(&owner, &id).await, four);
    let listed = owner.ok("api_key_list", json!({"q": "raport"})).await;
    assert_eq!(listed["items"][0]["use_count"], 4);
    owner.bureau.store_uses().await.unwrap();
    // Another process on the same database sees what was stored, and adds its own.
    let clock = bureau_kit::time::Clock::fixed(owner.bureau.clock.now());
    let second =
        bureau::open::open_with(&owner.database.location, clock, bureau_kit::id::Ids::seeded(7)).await.unwrap();
    let elsewhere = Tester { bureau: second.bureau.clone(), ..owner.clone() };
    assert_eq!(shown(&elsewhere, &id).await, four);
    let report_elsewhere = Tester { bureau: second.bureau.clone(), ..report.clone() };
    from(&report_elsewhere, None, "me", json!({})).await.unwrap();
    assert_eq!(shown(&elsewhere, &id).await[0], 5);
    second.bureau.close().await;
    from(&report, Some("203.0.113.8"), "me", json!({})).await.unwrap();
    owner.bureau.store_uses().await.unwrap();
    assert_eq!(shown(&owner, &id).await[0], 6);
    assert!(owner.ok("user_list", json!({})).await["items"][0]["last_seen_at"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_are_all_counted_while_they_are_stored() {
    let owner = Tester::new().await;
    let (report, id) = key(&owner, json!({"name": "raport"})).await;
    let calls: Vec<_> = (0..60).map(|_| tokio::spawn(report.call_raw("me", json!({})))).collect();
    let bureau = owner.bureau.clone();
    let storing = tokio::spawn(async move {
        for _ in 0..10 {
            bureau.store_uses().await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    for call in calls {
        assert!(!call.await.unwrap().1);
    }
    storing.await.unwrap();
    assert_eq!(shown(&owner, &id).await[0], 60);
    owner.bureau.store_uses().await.unwrap();
    assert_eq!(shown(&owner, &id).await[0], 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_connected_is_told_to_whom_it_concerns() {
    let owner = Tester::new().await;
    let user = owner.as_role("user").await;
    from(&user, Some("198.51.100.4"), "me", json!({})).await.unwrap();
    let minted = user.ok("session_create", json!({"label": "agent", "features": ["organize.*"]})).await;
    let agent = user.with_token(minted["session_token"].as_str().unwrap());
    agent.ok("task_list", json!({})).await;
    let seen = |answer: &Value| -> Vec<String> {
        let mut names: Vec<String> =
            answer["items"].as_array().unwrap().iter().map(|item| item["label"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(seen(&owner.ok("connection_list", json!({})).await), ["agent", "owner", "test user"]);
    assert_eq!(seen(&user.ok("connection_list", json!({})).await), ["agent", "test user"]);
    let own = agent.ok("connection_list", json!({})).await;
    assert_eq!(seen(&own), ["agent"], "a narrow token sees itself");
    let row = &own["items"][0];
    assert_eq!(
        (&row["kind"], &row["transport"], &row["calls"], &row["is_current"], &row["id"]),
        (&json!("session"), &json!("test"), &json!(2), &json!(true), &minted["session"]["id"])
    );
    let sessions = user.ok("session_list", json!({})).await;
    assert_eq!(
        (&sessions["items"][0]["use_count"], &sessions["items"][0]["last_transport"]),
        (&json!(2), &json!("test"))
    );
    owner.bureau.store_uses().await.unwrap();
    owner.bureau.clock.advance_seconds(16 * 60);
    assert_eq!(seen(&owner.ok("connection_list", json!({})).await), ["owner"]);
    assert_eq!(seen(&owner.ok("connection_list", json!({"minutes": 60})).await).len(), 3);
    let other = owner.other_tenant().await;
    assert_eq!(seen(&other.ok("connection_list", json!({"minutes": 1440})).await), ["owner"], "of its own tenant only");
}
