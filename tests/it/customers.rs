//! What hangs on customers: dictionaries, addresses, comments and notes, the next contact, widgets.

use serde_json::{Value, json};

use crate::races::{at_once, rounds, sorted};
use crate::support::Tester;

async fn person(t: &Tester, name: &str) -> Value {
    t.ok("person_create", json!({"name": name})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dictionary_is_made_renamed_and_taken_out_of_use() {
    let t = Tester::new().await;
    let made = t.ok("dictionary_create", json!({"key": "Dostawa", "name": "Sposoby dostawy"})).await;
    assert_eq!(
        (&made["key"], &made["is_system"], &made["is_active"]),
        (&json!("dostawa"), &json!(false), &json!(true))
    );
    assert_eq!(
        t.err("dictionary_create", json!({"key": "dostawa", "name": "X"})).await,
        json!({"code": "conflict", "message": "There is a dictionary dostawa already, perhaps out of use. dictionary_list with include_inactive shows it.", "details": {"key": "dostawa"}})
    );
    for key in ["-a", "ą", "a b", "_x"] {
        let refused = t.err("dictionary_create", json!({"key": key, "name": "X"})).await;
        assert_eq!(
            refused["message"],
            "/key: must begin with a letter or digit and have only a to z, 0 to 9, - and _, such as delivery_type"
        );
    }
    assert_eq!(
        t.err("dictionary_update", json!({"id": made["id"]})).await["message"],
        "Give what is to change: key, name, description, is_active or manager_visibility."
    );
    t.ok("dictionary_delete", json!({"id": made["id"]})).await;
    assert_eq!(t.ok("dictionary_list", json!({"q": "dostaw"})).await["total"], 0);
    assert_eq!(t.ok("dictionary_list", json!({"q": "dostaw", "includeInactive": true})).await["total"], 1);
    assert_eq!(
        t.err("dictionary_entry_create", json!({"dictionary_id": made["id"], "value": "kurier"})).await["message"],
        "The dictionary dostawa is out of use. Bring it back with dictionary_update (is_active: true) first."
    );
    t.ok("dictionary_update", json!({"id": made["id"], "is_active": true})).await;
    let currency = t.ok("dictionary_list", json!({"q": "currency"})).await["items"][0].clone();
    let stays = "The dictionary currency is built in and stays in use. Change its values with dictionary_entry_update and \
                 dictionary_entry_delete.";
    assert_eq!(t.err("dictionary_delete", json!({"id": currency["id"]})).await["message"], stays);
    assert_eq!(
        t.err("dictionary_update", json!({"id": currency["id"], "key": "money"})).await["message"],
        "/key: is built in and stays; change the name instead"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_there_once_and_in_order() {
    let t = Tester::new().await;
    let dictionary = t.ok("dictionary_create", json!({"key": "kolor", "name": "Kolory"})).await["id"].clone();
    for value in ["zielony", "Biały", "czarny"] {
        t.ok("dictionary_entry_create", json!({"dictionaryId": dictionary, "value": value})).await;
    }
    let listed = t.ok("dictionary_entry_list", json!({"dictionary_id": dictionary})).await;
    let shown: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|entry| &entry["label"]).collect();
    assert_eq!(json!(shown), json!(["Biały", "czarny", "zielony"]));
    let again = t.err("dictionary_entry_create", json!({"dictionary_id": dictionary, "value": "BIAŁY"})).await;
    assert_eq!(
        (&again["code"], &again["message"]),
        (
            &json!("conflict"),
            &json!("The dictionary has the value Biały already. Change that entry, or choose another value.")
        )
    );
    let first = &listed["items"][0]["id"];
    let same = t.err("dictionary_entry_update", json!({"id": first, "value": "czarny"})).await;
    assert_eq!(same["code"], "conflict");
    assert_eq!(
        t.err("dictionary_entry_update", json!({"id": first})).await["message"],
        "Give what is to change: value, label, color or icon."
    );
    assert_eq!(
        t.err("dictionary_entry_update", json!({"id": first, "value": null})).await["message"],
        "/value: cannot be cleared"
    );
    t.ok("dictionary_entry_update", json!({"id": first, "value": "Biały mat", "color": "#ffffff"})).await;
    t.ok("dictionary_entry_delete", json!({"id": first})).await;
    assert_eq!(t.ok("dictionary_entry_list", json!({"dictionary_id": dictionary})).await["total"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn customer_values_are_added_or_changed_by_name() {
    let t = Tester::new().await;
    let stages = t.ok("customer_dictionary_entry_list", json!({"kind": "lifecycle-stages"})).await;
    assert_eq!(stages["total"], 5);
    let made = t.ok("customer_dictionary_entry_create", json!({"kind": "sources", "value": "Targi"})).await;
    assert_eq!((&made["created"], &made["entry"]["label"]), (&json!(true), &json!("Targi")));
    let again = t
        .ok("customer_dictionary_entry_create", json!({"kind": "source", "value": "targi", "label": "Targi 2026"}))
        .await;
    assert_eq!(
        (&again["created"], &again["entry"]["value"], &again["entry"]["label"]),
        (&json!(false), &json!("Targi"), &json!("Targi 2026"))
    );
    assert_eq!(
        t.err("customer_dictionary_entry_list", json!({"kind": "size"})).await["message"],
        "/kind: expected one of status, source, lifecycle_stage, address_type, activity_type, deal_status, pipeline_stage, \
         job_title, industry"
    );
    // A value of another dictionary is not a customer's.
    let currencies = t.ok("currency_dictionary_show", json!({})).await;
    let names: Vec<&Value> = currencies["entries"].as_array().unwrap().iter().map(|entry| &entry["value"]).collect();
    assert_eq!(json!(names), json!(["CHF", "CZK", "EUR", "GBP", "PLN", "UAH", "USD"]));
    let refused = t.err("customer_dictionary_entry_delete", json!({"id": currencies["entries"][0]["id"]})).await;
    assert_eq!(refused["code"], "not_found");
    t.ok("customer_dictionary_entry_delete", json!({"id": made["entry"]["id"]})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_value_at_once_is_one_entry() {
    let (rounds, _) = rounds("equal values");
    let t = Tester::new().await;
    let dictionary = t.ok("dictionary_list", json!({"q": "customer_source"})).await["items"][0]["id"].clone();
    for round in 0..rounds {
        let value = format!("Targi {round}");
        let calls = (0..16).map(|number| {
            let upsert = json!({"kind": "source", "value": value, "label": format!("{value}/{number}")});
            ("customer_dictionary_entry_create", upsert)
        });
        let outcomes = at_once(&t, calls).await;
        let (done, refused) = sorted(&outcomes);
        assert_eq!((done.len(), refused.len()), (16, 0), "{outcomes:?}");
        assert_eq!(done.iter().filter(|answer| answer["created"] == true).count(), 1);
        let plain = json!({"dictionary_id": dictionary, "value": format!("Poczta {round}")});
        let outcomes = at_once(&t, (0..16).map(|_| ("dictionary_entry_create", plain.clone()))).await;
        let (done, refused) = sorted(&outcomes);
        assert_eq!((done.len(), refused.into_iter().collect::<Vec<_>>()), (1, vec!["conflict"]));
    }
    let found = t.ok("dictionary_entry_list", json!({"dictionary_id": dictionary})).await;
    assert_eq!(found["total"], json!(2 * rounds));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_has_one_main_address_at_most() {
    let t = Tester::new().await;
    let ewa = person(&t, "Ewa Król").await["id"].clone();
    let first = t
        .ok(
            "customer_address_create",
            json!({"entityId": ewa, "addressLine1": "Szeroka 1", "isPrimary": true, "latitude": 54.35}),
        )
        .await;
    assert_eq!((&first["latitude"], &first["is_primary"]), (&json!("54.35"), &json!(true)));
    let second = t
        .ok("customer_address_create", json!({"entity_id": ewa, "address_line1": "Długa 2", "is_primary": true}))
        .await;
    let main = async || {
        let listed = t.ok("customer_address_list", json!({"entity_id": ewa})).await;
        let main = listed["items"].as_array().unwrap().iter().filter(|address| address["is_primary"] == true);
        main.map(|address| address["address_line1"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(main().await, ["Długa 2"]);
    t.ok("customer_address_update", json!({"id": first["id"], "is_primary": true})).await;
    assert_eq!(main().await, ["Szeroka 1"]);
    // Taking it back gives the other its place again.
    let undone = t.ok("customer_address_update", json!({"id": second["id"], "is_primary": true})).await;
    t.ok("action_undo", json!({"undo_token": undone["undo_token"]})).await;
    assert_eq!(main().await, ["Szeroka 1"]);
    assert_eq!(
        t.err(
            "customer_address_create",
            json!({"entity_id": ewa, "address_line1": "X", "latitude": "91", "longitude": "east"})
        )
        .await["message"],
        "/latitude: expected decimal degrees from -90 to 90; /longitude: expected decimal degrees from -180 to 180"
    );
    t.ok("customer_address_delete", json!({"id": first["id"]})).await;
    assert!(main().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_main_addresses_made_at_once_one_stays() {
    let (rounds, _) = rounds("main addresses");
    let t = Tester::new().await;
    for round in 0..rounds {
        let party = person(&t, &format!("Klient {round}")).await["id"].clone();
        let calls = (0..16).map(|number| {
            let address = json!({"entity_id": party, "address_line1": format!("Ulica {number}"), "is_primary": true});
            ("customer_address_create", address)
        });
        let outcomes = at_once(&t, calls).await;
        assert_eq!(sorted(&outcomes).0.len(), 16, "{outcomes:?}");
        let listed = t.ok("customer_address_list", json!({"entity_id": party})).await;
        let main = listed["items"].as_array().unwrap().iter().filter(|address| address["is_primary"] == true).count();
        assert_eq!((&listed["total"], main), (&json!(16), 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_and_client_notes_are_one_conversation() {
    let t = Tester::new().await;
    let ewa = person(&t, "Ewa Król").await["id"].clone();
    let comment = t.ok("customer_comment_create", json!({"entityId": ewa, "body": "Dzwonić po 16."})).await;
    t.ok(
        "client_note_create",
        json!({"client_id": ewa, "content": "Ma psa.", "name": "Dom", "note_at": "2026-11-20T08:00:00Z"}),
    )
    .await;
    let comments = t.ok("customer_comment_list", json!({"entity_id": ewa})).await;
    let texts: Vec<&Value> = comments["items"].as_array().unwrap().iter().map(|note| &note["body"]).collect();
    assert_eq!(json!(texts), json!(["Ma psa.", "Dzwonić po 16."]));
    let notes = t.ok("client_note_list", json!({"noteable_type": "Crm::Contact", "noteable_id": ewa})).await;
    assert_eq!((&notes["total"], &notes["items"][0]["name"]), (&json!(2), &json!("Dom")));
    assert_eq!(t.ok("client_note_show", json!({"id": comment["id"]})).await["content"], "Dzwonić po 16.");
    t.ok("client_note_update", json!({"id": comment["id"], "content": "Dzwonić po 17."})).await;
    let long = "x".repeat(8001);
    assert_eq!(
        t.err("customer_comment_update", json!({"id": comment["id"], "body": long})).await["message"],
        "/body: is longer than 8000 characters"
    );
    assert_eq!(
        t.err("client_note_create", json!({"noteable_type": "Organize::Project", "noteable_id": ewa, "content": "x"}))
            .await["message"],
        "/noteable_type: expected Crm::Client, Crm::Contact or Crm::Deal"
    );
    // A comment on a task is no comment on a customer.
    let task = t.ok("task_create", json!({"title": "Pomiar"})).await;
    let on_task = t.ok("task_comment_create", json!({"commentable_id": task["id"], "content": "Kiedy?"})).await;
    assert_eq!(
        t.err("customer_comment_delete", json!({"id": on_task["id"]})).await["message"],
        format!(
            "There is no customer_comment {}. Use customer_comment_list to find the right id.",
            on_task["id"].as_str().unwrap()
        )
    );
    assert_eq!(t.ok("client_note_list", json!({})).await["total"], 2);
    t.ok("customer_comment_delete", json!({"id": comment["id"]})).await;
    assert_eq!(t.ok("client_note_list", json!({"q": "psa"})).await["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_on_a_customer_is_seen_by_whoever_sees_the_customer() {
    let t = Tester::new().await;
    let here = t.ok("organization_create", json!({"name": "Gdańsk"})).await["id"].clone();
    let there = t.ok("organization_create", json!({"name": "Kraków"})).await["id"].clone();
    let ewa = t.ok("person_create", json!({"name": "Ewa Król", "organization_id": here})).await["id"].clone();
    t.ok("customer_comment_create", json!({"entity_id": ewa, "body": "Dzwonić."})).await;
    t.ok("customer_address_create", json!({"entity_id": ewa, "address_line1": "Szeroka 1"})).await;
    t.ok("activity_create", json!({"entity_id": ewa, "activity_type": "call"})).await;
    let session = t.ok("session_create", json!({"label": "gdańsk", "organization_id": here})).await;
    let limited = t.with_token(session["session_token"].as_str().unwrap());
    assert_eq!(limited.ok("customer_comment_list", json!({})).await["total"], 1);
    assert_eq!(limited.ok("customer_address_list", json!({})).await["total"], 1);
    // The customer moves to another organization, and what hangs on it goes along.
    t.ok("person_update", json!({"id": ewa, "organization_id": there})).await;
    for tool in ["customer_comment_list", "client_note_list", "customer_address_list", "activity_list"] {
        assert_eq!(limited.ok(tool, json!({})).await["total"], 0, "{tool}");
    }
    let comment = t.ok("customer_comment_list", json!({})).await["items"][0]["id"].clone();
    let address = t.ok("customer_address_list", json!({})).await["items"][0]["id"].clone();
    assert_eq!(limited.err("customer_comment_update", json!({"id": comment, "body": "x"})).await["code"], "not_found");
    assert_eq!(limited.err("client_note_show", json!({"id": comment})).await["code"], "not_found");
    assert_eq!(limited.err("customer_address_delete", json!({"id": address})).await["code"], "not_found");
    let activity = t.ok("activity_list", json!({})).await["items"][0]["id"].clone();
    assert_eq!(limited.err("activity_complete", json!({"id": activity})).await["code"], "not_found");
    // Back again, all of it is seen again, whatever organization it was written in.
    let elsewhere = t.ok("session_create", json!({"label": "kraków", "organization_id": there})).await;
    let elsewhere = t.with_token(elsewhere["session_token"].as_str().unwrap());
    assert_eq!(elsewhere.ok("activity_list", json!({})).await["total"], 1);
    let shown =
        elsewhere.ok("person_show", json!({"id": ewa, "include": ["activities", "comments", "addresses"]})).await;
    for kind in ["activities", "comments", "addresses"] {
        assert_eq!(shown["related"][kind].as_array().unwrap().len(), 1, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_show_who_is_new_and_whom_to_contact_next() {
    let t = Tester::new().await;
    let ewa = person(&t, "Ewa Król").await;
    t.ok("company_create", json!({"name": "Meble Żółć"})).await;
    let next = json!({"at": "2026-11-23T09:00:00Z", "name": "Oddzwonić", "ref_id": "zadanie 7", "color": "#aa0000"});
    let changed = t.ok("person_update", json!({"id": ewa["id"], "nextInteraction": next})).await;
    assert_eq!(changed["next_interaction"], next);
    let late = json!({"at": "2026-11-20T09:00:00Z", "name": "Wysłać ofertę"});
    t.ok("person_create", json!({"name": "Jan Lis", "next_interaction": late})).await;
    let soon = t.ok("widget_next_interaction_list", json!({})).await;
    assert_eq!((soon["items"].as_array().unwrap().len(), &soon["now"]), (1, &json!("2026-11-21T10:00:00Z")));
    let all = t.ok("widget_next_interaction_list", json!({"includePast": true})).await;
    let names: Vec<&Value> =
        all["items"].as_array().unwrap().iter().map(|item| &item["customer"]["display_name"]).collect();
    assert_eq!(json!(names), json!(["Jan Lis", "Ewa Król"]));
    assert_eq!(t.ok("person_list", json!({"hasNextInteraction": true})).await["total"], 2);
    t.ok("person_update", json!({"id": ewa["id"], "next_interaction": null})).await;
    assert_eq!(t.ok("person_list", json!({"has_next_interaction": false})).await["total"], 1);
    assert_eq!(
        t.err(
            "person_update",
            json!({"id": ewa["id"], "next_interaction": {"at": "2026-11-23T09:00:00Z", "name": " "}})
        )
        .await["message"],
        "/next_interaction/name: must not be blank"
    );
    let newest = t.ok("widget_new_customer_list", json!({"limit": 1})).await;
    assert_eq!(newest["items"][0]["display_name"], "Jan Lis");
    let companies = t.ok("widget_new_customer_list", json!({"kind": "company"})).await;
    assert_eq!(companies["items"][0]["display_name"], "Meble Żółć");
    t.ok("task_create", json!({"title": "Oferta", "client_id": ewa["id"]})).await;
    t.ok("task_create", json!({"title": "Bez klienta"})).await;
    let todos = t.ok("widget_customer_todo_list", json!({})).await;
    assert_eq!((todos["items"].as_array().unwrap().len(), &todos["items"][0]["title"]), (1, &json!("Oferta")));
    assert_eq!(
        t.err("widget_new_customer_list", json!({"limit": 21})).await["message"],
        "/limit: expected a whole number from 1 to 20, got 21"
    );
    let session = t.ok("session_create", json!({"label": "x", "features": ["customers.widgets.new-customers"]})).await;
    let bare = t.with_token(session["session_token"].as_str().unwrap());
    assert_eq!(
        bare.err("widget_new_customer_list", json!({})).await,
        json!({"code": "forbidden", "message": "Dashboards need the right dashboards.view as well. Ask an administrator for it.", "details": {"missing": "dashboards.view"}})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_format_is_the_companys() {
    let t = Tester::new().await;
    assert_eq!(t.ok("address_format_show", json!({})).await, json!({"address_format": "line_first"}));
    let set = t.ok("address_format_update", json!({"addressFormat": "street_first"})).await;
    assert_eq!(t.ok("address_format_show", json!({})).await["address_format"], "street_first");
    t.ok("action_undo", json!({"undo_token": set["undo_token"]})).await;
    assert_eq!(t.ok("address_format_show", json!({})).await["address_format"], "line_first");
    t.err("address_format_update", json!({"address_format": "upside_down"})).await;
}
