//! What a company says of itself: account, settings, domains, user groups and departments.

use serde_json::{Value, json};

use crate::support::Tester;

#[tokio::test(flavor = "multi_thread")]
async fn a_company_changes_its_account_and_takes_it_back() {
    let owner = Tester::new().await;
    let before = owner.ok("account_show", json!({})).await;
    assert_eq!(
        (&before["name"], &before["timezone"], &before["locale"]),
        (&json!("My company"), &json!("UTC"), &json!("en"))
    );
    let change = json!({
        "name": "Kuchnie Żółć", "description": "Na wymiar", "timezone": "europe/warsaw", "locale": "pl", "prefix": "Kuchnie-1"
    });
    let admin = owner.as_role("admin").await;
    let after = admin.ok("account_update", change).await;
    let told = [&after["name"], &after["description"], &after["timezone"], &after["locale"], &after["prefix"]];
    assert_eq!(told, ["Kuchnie Żółć", "Na wymiar", "Europe/Warsaw", "pl", "kuchnie-1"]);
    assert_eq!(owner.ok("tenant_list", json!({"q": "zolc"})).await["items"][0]["slug"], "kuchnie-1");
    admin.ok("action_undo", json!({"undo_token": after["undo_token"]})).await;
    assert_eq!(owner.ok("account_show", json!({})).await, before);

    let other = owner.other_tenant().await;
    let prefix = other.ok("account_show", json!({})).await["prefix"].clone();
    let taken = owner.err("account_update", json!({"prefix": prefix})).await;
    assert_eq!(taken["message"], format!("The short name {} is taken. Choose another.", prefix.as_str().unwrap()));
    let unknown = owner.err("account_update", json!({"timezone": "Europe/Krakow"})).await;
    assert!(
        unknown["message"].as_str().unwrap().starts_with("/timezone: there is no time zone `Europe/Krakow`"),
        "{unknown}"
    );
    let claimed = owner.err("account_update", json!({"domain": "shop.example.com"})).await;
    assert_eq!(
        claimed["message"],
        "/domain: shop.example.com is no domain of yours; add it with domain_create and prove it with domain_verify"
    );
    let user = owner.as_role("user").await;
    user.ok("account_show", json!({})).await;
    assert_eq!(user.err("account_update", json!({"name": "X"})).await["details"]["missing"], "account.manage");
    assert_eq!(owner.as_role("guest").await.err("account_show", json!({})).await["code"], "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_holds_for_the_company_until_someone_has_their_own() {
    let owner = Tester::new().await;
    let user = owner.as_role("user").await;
    let key = "mail.inbox.per_page";
    let show = json!({"key": key, "target": "user_setting"});
    let told = |setting: &Value| (setting["value"].clone(), setting["source"].clone());
    assert_eq!(told(&user.ok("setting_show", show.clone()).await), (json!(50), json!("default")));
    owner.ok("setting_set", json!({"key": key, "value": 20})).await;
    assert_eq!(told(&user.ok("setting_show", show.clone()).await), (json!(20), json!("account")));
    let own = user.ok("setting_set", json!({"key": key, "value": 75, "target": "mail_setting"})).await;
    assert_eq!(told(&own), (json!(75), json!("user")));
    assert_eq!(told(&user.ok("setting_show", show.clone()).await), (json!(75), json!("user")));
    assert_eq!(
        told(&owner.ok("setting_show", show.clone()).await),
        (json!(20), json!("account")),
        "everyone has their own"
    );
    user.ok("action_undo", json!({"undo_token": own["undo_token"]})).await;
    assert_eq!(told(&user.ok("setting_show", show.clone()).await), (json!(20), json!("account")));
    owner.ok("setting_set", json!({"key": key, "value": null})).await;
    assert_eq!(told(&user.ok("setting_show", show).await), (json!(50), json!("default")));

    let add =
        |value: Value| json!({"key": "ui.favorites", "value": value, "target": "user_setting", "action_type": "add"});
    user.ok("setting_set", add(json!(["task_list", "person_list"]))).await;
    let twice = user.ok("setting_set", add(json!("task_list"))).await;
    assert_eq!(twice["value"], json!(["person_list", "task_list"]));
    let remove =
        json!({"key": "ui.favorites", "value": "person_list", "target": "user_setting", "actionType": "remove"});
    assert_eq!(user.ok("setting_set", remove).await["value"], json!(["task_list"]));
    let listed = user.ok("setting_list", json!({"prefix": "ui.", "target": "user_setting"})).await;
    let keys: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["ui.favorites", "ui.theme"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_setting_is_refused_with_the_next_step() {
    let owner = Tester::new().await;
    let user = owner.as_role("user").await;
    let refused = user.err("setting_set", json!({"key": "ui.theme", "value": "dark"})).await;
    assert_eq!(
        refused["message"],
        "Settings of the company need the right account.manage. Set your own with target user_setting, or ask an administrator."
    );
    for (arguments, message) in [
        (
            json!({"key": "mail.inbox.perpage", "value": 5}),
            "/key: there is no setting `mail.inbox.perpage`; did you mean `mail.inbox.per_page`?",
        ),
        (json!({"key": "mail.inbox.per_page", "value": 500}), "/value: expected a whole number from 5 to 100, got 500"),
        (json!({"key": "mail.inbox.per_page"}), "/value: is required; null goes back to the default"),
        (
            json!({"key": "mail.inbox.per_page", "value": 5, "field": "config"}),
            "/field: this key holds a value, and has the field fields; config is for additional fields",
        ),
        (
            json!({"key": "mail.inbox.per_page", "value": 5, "action_type": "add"}),
            "/action_type: mail.inbox.per_page is no list; leave action_type out to set it",
        ),
        (
            json!({"key": "account.currency", "value": "EUR", "target": "user_setting"}),
            "/target: account.currency is the company's alone: expected account",
        ),
        (
            json!({"key": "ui.theme", "value": "dark", "target": "mail_setting"}),
            "/target: ui.theme is no setting of mail: expected account or user_setting",
        ),
        (
            json!({"key": "account.working_days", "value": "someday", "action_type": "add"}),
            "/value: expected a list of different ones of monday, tuesday, wednesday, thursday, friday, saturday, sunday, got [\"monday\",\"tuesday\",\"wednesday\",\"thursday\",\"friday\",\"someday…",
        ),
        (
            json!({"key": "upgrade.version", "value": 9}),
            "/key: there is no setting `upgrade.version`; setting_list has all of them",
        ),
        (
            json!({"key": "crm.client.additional_fields.display_name", "value": {"type": "string", "label": "X"}}),
            "/key: crm.client has a field display_name of its own; choose another name",
        ),
    ] {
        assert_eq!(owner.err("setting_set", arguments).await["message"], message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn additional_fields_are_defined_shown_and_taken_away() {
    let owner = Tester::new().await;
    let key = "organize.task.additional_fields.floor";
    let definition = json!({"type": "select", "label": "Piętro", "options": ["parter", "1"], "required": true});
    let set = owner.ok("setting_set", json!({"key": key, "value": definition, "field": "config"})).await;
    let stored =
        json!({"type": "select", "label": "Piętro", "required": true, "on_list": false, "options": ["parter", "1"]});
    assert_eq!((&set["value"], &set["kind"]), (&stored, &json!("additional_field")));
    assert_eq!(owner.ok("setting_show", json!({"key": key})).await["value"], stored);
    let listed = owner.ok("setting_list", json!({"prefix": "organize.task."})).await;
    assert_eq!(listed["items"][0]["key"], key);
    assert_eq!(
        owner.other_tenant().await.ok("setting_list", json!({"prefix": "organize.task."})).await["items"],
        json!([])
    );
    let wrong = json!({"key": key, "value": {"type": "select", "label": "Piętro"}});
    assert_eq!(owner.err("setting_set", wrong).await["message"], "/value/options: is required with the type select");
    let gone = owner.ok("setting_set", json!({"key": key, "action_type": "remove"})).await;
    assert_eq!(gone["value"], Value::Null);
    assert_eq!(
        owner.err("setting_show", json!({"key": key})).await["message"],
        format!("There is no additional field {key}. setting_list with a prefix shows those there are.")
    );
    owner.ok("action_undo", json!({"undo_token": gone["undo_token"]})).await;
    assert_eq!(owner.ok("setting_show", json!({"key": key})).await["value"], stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_is_proven_before_it_is_anything() {
    let owner = Tester::new().await;
    let domain = owner.ok("domain_create", json!({"domain": "Shop.Example.com."})).await;
    let (id, proof) = (domain["id"].clone(), domain["verification"].as_str().unwrap().to_owned());
    assert_eq!(domain["domain"], "shop.example.com");
    assert!(proof.starts_with("bureau-verify=") && proof.len() == 46, "{proof}");
    let early = owner.err("domain_primary_set", json!({"id": id})).await;
    assert_eq!(early["message"], "shop.example.com is not verified. Call domain_verify first.");
    assert_eq!(early["code"], "impossible_state");

    owner.zone.says("shop.example.com", &["v=spf1 -all"]);
    let unproven = owner.err("domain_verify", json!({"id": id})).await;
    let text = format!(
        "Neither shop.example.com nor _bureau.shop.example.com has the text that proves it. Add a TXT record `{proof}` to one \
         of them, wait until it is known, and call domain_verify again."
    );
    assert_eq!(unproven, json!({"code": "impossible_state", "message": text, "details": {"found": 1}}));
    owner.zone.fails("shop.example.com", "no name server answered");
    let silent = owner.err("domain_verify", json!({"id": id})).await;
    let text = "The domain name system did not answer for shop.example.com: no name server answered. Try again later.";
    assert_eq!(silent, json!({"code": "provider_unavailable", "message": text}));
    owner.zone.says("shop.example.com", &[]);
    owner.zone.says("_bureau.shop.example.com", &[&format!(" {proof} ")]);
    let verified = owner.ok("domain_verify", json!({"id": id})).await;
    assert_eq!(verified["verified_at"], "2026-11-21T10:00:00Z");

    let second = owner.ok("domain_create", json!({"domain": "www.example.com"})).await;
    owner.zone.says("www.example.com", &[second["verification"].as_str().unwrap()]);
    owner.ok("domain_verify", json!({"id": second["id"]})).await;
    owner.ok("domain_primary_set", json!({"id": id})).await;
    assert_eq!(owner.ok("account_show", json!({})).await["domain"], "shop.example.com");
    let moved = owner.ok("domain_primary_set", json!({"id": second["id"]})).await;
    assert_eq!(owner.ok("domain_show", json!({"id": id})).await["is_primary"], false);
    assert_eq!(owner.ok("account_show", json!({})).await["domain"], "www.example.com");
    owner.ok("action_undo", json!({"undo_token": moved["undo_token"]})).await;
    assert_eq!(owner.ok("account_show", json!({})).await["domain"], "shop.example.com");
    assert_eq!(owner.ok("account_update", json!({"domain": "www.example.com"})).await["domain"], "www.example.com");
    owner.ok("domain_update", json!({"id": second["id"], "active": false})).await;
    assert_eq!(owner.ok("account_show", json!({})).await["domain"], Value::Null);
    let off = owner.err("domain_primary_set", json!({"id": second["id"]})).await;
    assert_eq!(off["message"], "www.example.com is switched off. Switch it on with domain_update first.");
    let twice = owner.err("domain_create", json!({"domain": "shop.example.com"})).await;
    assert_eq!(twice["message"], "The domain shop.example.com is there already. Find it with domain_list.");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_proves_a_domain_first_has_it() {
    let owner = Tester::new().await;
    let other = owner.other_tenant().await;
    let mut claims = Vec::new();
    for tester in [&owner, &other] {
        claims.push(tester.ok("domain_create", json!({"domain": "shop.example.com"})).await);
    }
    let proofs: Vec<&str> = claims.iter().map(|claim| claim["verification"].as_str().unwrap()).collect();
    assert_ne!(proofs[0], proofs[1], "what one company put there proves nothing for another");
    owner.zone.says("shop.example.com", &proofs);
    let calls = [
        tokio::spawn(owner.call_raw("domain_verify", json!({"id": claims[0]["id"]}))),
        tokio::spawn(other.call_raw("domain_verify", json!({"id": claims[1]["id"]}))),
    ];
    let mut proven = 0;
    for call in calls {
        let (answer, is_error) = call.await.unwrap();
        proven += usize::from(!is_error);
        if is_error {
            let text = "shop.example.com was proven by another company of this installation. Whoever runs it can settle whose it is.";
            assert_eq!(answer, json!({"code": "conflict", "message": text}));
        }
    }
    assert_eq!(proven, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_domains_made_primary_at_once_leave_one() {
    let owner = Tester::new().await;
    let mut ids = Vec::new();
    for name in ["a.example.com", "b.example.com", "c.example.com"] {
        let domain = owner.ok("domain_create", json!({"domain": name})).await;
        owner.zone.says(name, &[domain["verification"].as_str().unwrap()]);
        owner.ok("domain_verify", json!({"id": domain["id"]})).await;
        ids.push(domain["id"].clone());
    }
    let calls: Vec<_> = ids
        .iter()
        .cycle()
        .take(9)
        .map(|id| tokio::spawn(owner.call_raw("domain_primary_set", json!({"id": id}))))
        .collect();
    for call in calls {
        let (answer, is_error) = call.await.unwrap();
        assert!(!is_error, "{answer}");
    }
    let domains = owner.ok("domain_list", json!({})).await;
    assert_eq!(domains["items"].as_array().unwrap().iter().filter(|domain| domain["is_primary"] == true).count(), 1);
}

async fn people(owner: &Tester) -> Vec<Value> {
    let mut ids = Vec::new();
    for name in ["anna", "piotr", "ewa"] {
        ids.push(owner.ok("user_create", json!({"email": format!("{name}@example.com")})).await["id"].clone());
    }
    ids
}

/// The members of a group. Added at one instant they have no order.
fn members(group: &Value) -> std::collections::BTreeSet<&str> {
    group["user_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_has_a_name_of_its_own_and_somebody_in_it() {
    let owner = Tester::new().await;
    let ids = people(&owner).await;
    let group = owner.ok("group_create", json!({"name": "Łoś", "user_ids": [ids[0], ids[1], ids[0]]})).await;
    assert_eq!((&group["kind"], &group["active"]), (&json!("mail"), &json!(true)));
    assert_eq!(members(&group), members(&json!({"user_ids": [ids[0], ids[1]]})));
    // Case makes no other name; diacritics do; a department may be called the same.
    let twice = owner.err("group_create", json!({"name": " łoś ", "user_ids": [ids[0]]})).await;
    let text = "There is a user group called Łoś already. Choose another name.";
    assert_eq!(twice, json!({"code": "conflict", "message": text, "details": {"columns": "name"}}));
    let plain = owner.ok("group_create", json!({"name": "Los", "user_ids": [ids[2]]})).await;
    owner.ok("department_create", json!({"name": "Łoś"})).await;
    assert_eq!(owner.err("group_update", json!({"id": plain["id"], "name": "ŁOŚ"})).await["message"], text);
    owner.ok("group_update", json!({"id": group["id"], "name": "ŁOŚ"})).await;
    for arguments in [json!({"name": "Pusta", "user_ids": []}), json!({"name": "Pusta"})] {
        assert_eq!(owner.err("group_create", arguments).await["code"], "validation");
    }
    let emptied = owner.err("group_update", json!({"id": group["id"], "user_ids": []})).await;
    assert_eq!(emptied["message"], "/user_ids: expected 1 to 1000 users: a group has at least one");
    let changed = owner
        .ok("group_update", json!({"id": group["id"], "user_ids": [ids[2], ids[0]], "description": "Poczta"}))
        .await;
    assert_eq!(changed["user_ids"].as_array().unwrap().len(), 2);
    assert_eq!(owner.ok("user_list", json!({"group_id": group["id"]})).await["total"], 2);
    owner.ok("action_undo", json!({"undo_token": changed["undo_token"]})).await;
    let shown = owner.ok("group_show", json!({"id": group["id"]})).await;
    assert_eq!(members(&shown), members(&group));
    assert_eq!(owner.ok("group_list", json!({"q": "los"})).await["total"], 2);
    assert_eq!(owner.ok("group_search", json!({"q": "los"})).await["items"].as_array().unwrap().len(), 2);
    // A department is no group, and says so as if it were not there.
    let department = owner.ok("department_list", json!({})).await["items"][0]["id"].clone();
    let refused = owner.err("group_show", json!({"id": department})).await;
    assert_eq!(
        refused["message"],
        format!("There is no group {}. Use group_list to find the right id.", department.as_str().unwrap())
    );
    let user = owner.as_role("user").await;
    user.ok("group_list", json!({})).await;
    assert_eq!(user.err("group_delete", json!({"id": group["id"]})).await["details"]["missing"], "groups.manage");
    owner.as_role("admin").await.ok("group_delete", json!({"id": group["id"]})).await;
    assert_eq!(owner.ok("user_list", json!({"q": "anna"})).await["total"], 1, "the people stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_have_a_department_of_those_they_are_in() {
    let owner = Tester::new().await;
    let ids = people(&owner).await;
    let fields = json!({"department_phone": "+48 12 345", "department_email": "biuro@example.org"});
    let office = json!({"name": "Biuro", "user_setting_ids": [ids[0], ids[1]], "department_fields": fields, "fields": {"piętro": 2}});
    let office = owner.ok("department_create", office).await;
    assert_eq!((&office["department_fields"], &office["fields"]), (&fields, &json!({"piętro": 2})));
    let hall = owner.ok("department_create", json!({"name": "Hala", "user_ids": [ids[0]]})).await;
    let department = async |id: &Value| owner.ok("user_show", json!({"id": id})).await["department"]["id"].clone();
    assert_eq!(department(&ids[0]).await, office["id"], "the first one stays");
    assert_eq!(department(&ids[2]).await, Value::Null);
    let left = owner.ok("department_update", json!({"id": office["id"], "user_setting_ids": [ids[1]]})).await;
    assert_eq!(department(&ids[0]).await, hall["id"]);
    owner.ok("action_undo", json!({"undo_token": left["undo_token"]})).await;
    assert_eq!(department(&ids[0]).await, office["id"]);
    let gone = owner.ok("department_delete", json!({"id": office["id"]})).await;
    assert_eq!((department(&ids[0]).await, department(&ids[1]).await), (hall["id"].clone(), Value::Null));
    owner.ok("action_undo", json!({"undo_token": gone["undo_token"]})).await;
    assert_eq!((department(&ids[0]).await, department(&ids[1]).await), (office["id"].clone(), office["id"].clone()));
    let wrong = json!({"id": hall["id"], "department_fields": {"department_email": "hala"}});
    assert_eq!(
        owner.err("department_update", wrong).await["message"],
        "/department_fields/department_email: `hala` is not an e-mail address; write it like anna@example.com"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_groups_of_one_name_at_once_are_one() {
    let owner = Tester::new().await;
    let ids = people(&owner).await;
    let wish = json!({"name": "Zakupy", "user_ids": [ids[0]]});
    let calls: Vec<_> = (0..6).map(|_| tokio::spawn(owner.call_raw("group_create", wish.clone()))).collect();
    let mut made = 0;
    for call in calls {
        let (answer, is_error) = call.await.unwrap();
        made += usize::from(!is_error);
        assert!(!is_error || answer["code"] == "conflict", "{answer}");
    }
    assert_eq!(made, 1);
}
