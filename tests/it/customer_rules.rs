//! Rules of what hangs on customers that hold across tools: one main address, sight by the customer, values from above.

use serde_json::{Value, json};

use crate::races::{at_once, rounds, sorted};
use crate::support::Tester;

async fn mains(t: &Tester, party: &Value) -> usize {
    let listed = t.ok("customer_address_list", json!({"entity_id": party})).await;
    listed["items"].as_array().unwrap().iter().filter(|address| address["is_primary"] == true).count()
}

async fn with_main(t: &Tester, name: &str) -> (Value, Value) {
    let party = t.ok("person_create", json!({"name": name})).await["id"].clone();
    let address = json!({"entity_id": party, "address_line1": "Szeroka 1", "is_primary": true});
    let address = t.ok("customer_address_create", address).await;
    (party, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_keeps_one_main_address() {
    let t = Tester::new().await;
    let (stays, _) = with_main(&t, "Ewa Król").await;
    let (goes, _) = with_main(&t, "Ewa Krol").await;
    t.ok("person_merge", json!({"primary_id": stays, "duplicate_ids": [goes]})).await;
    assert_eq!(mains(&t, &stays).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undone_deletion_brings_no_second_main_address() {
    let t = Tester::new().await;
    let (party, first) = with_main(&t, "Ewa Król").await;
    let gone = t.ok("customer_address_delete", json!({"id": first["id"]})).await;
    t.ok("customer_address_create", json!({"entity_id": party, "address_line1": "Długa 2", "is_primary": true})).await;
    let refused = t.err("action_undo", json!({"undo_token": gone["undo_token"]})).await;
    // The two databases say it in words of their own.
    assert_eq!(refused["code"], "conflict");
    assert_eq!(mains(&t, &party).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_on_a_customer_moves_with_it_to_another_organization() {
    let t = Tester::new().await;
    let here = t.ok("organization_create", json!({"name": "Gdańsk"})).await["id"].clone();
    let there = t.ok("organization_create", json!({"name": "Kraków"})).await["id"].clone();
    let ewa = t.ok("person_create", json!({"name": "Ewa Król", "organization_id": here})).await["id"].clone();
    t.ok("customer_comment_create", json!({"entity_id": ewa, "body": "Dzwonić."})).await;
    t.ok("customer_address_create", json!({"entity_id": ewa, "address_line1": "Szeroka 1"})).await;
    let session = t.ok("session_create", json!({"label": "k", "organization_id": there})).await;
    let limited = t.with_token(session["session_token"].as_str().unwrap());
    t.ok("person_update", json!({"id": ewa, "organization_id": there})).await;
    limited.ok("person_show", json!({"id": ewa})).await;
    let mut seen = Vec::new();
    for tool in ["customer_comment_list", "client_note_list", "customer_address_list"] {
        seen.push((tool, limited.ok(tool, json!({})).await["total"].clone()));
    }
    assert!(seen.iter().all(|(_, total)| *total == 1), "{seen:?}");
    let shown = limited.ok("person_show", json!({"id": ewa, "include": ["comments", "addresses"]})).await;
    assert!(shown.to_string().contains("Dzwonić.") && shown.to_string().contains("Szeroka 1"), "{shown}");
    let comment = limited.ok("customer_comment_list", json!({"entity_id": ewa})).await["items"][0]["id"].clone();
    limited.ok("customer_comment_update", json!({"id": comment, "body": "Pisać."})).await;
}

async fn limited(t: &Tester) -> Tester {
    let here = t.ok("organization_create", json!({"name": "Gdańsk"})).await["id"].clone();
    let session = t.ok("session_create", json!({"label": "g", "organization_id": here})).await;
    t.with_token(session["session_token"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_from_above_are_read_and_not_changed() {
    let t = Tester::new().await;
    let limited = limited(&t).await;
    let listed = limited.ok("customer_dictionary_entry_list", json!({"kind": "status"})).await;
    let entry = listed["items"][0].clone();
    assert_eq!(entry["is_inherited"], true);
    let forbidden = json!({
        "code": "forbidden",
        "message": "The value active comes from above your organization and cannot be changed here. Add the same value for your \
                    own organization instead: it stands before this one.",
        "details": {"missing": "organization"}
    });
    for (tool, change) in [
        ("customer_dictionary_entry_update", json!({"id": entry["id"], "label": "Zmienione"})),
        ("dictionary_entry_update", json!({"id": entry["id"], "label": "Zmienione"})),
        ("customer_dictionary_entry_delete", json!({"id": entry["id"]})),
        ("dictionary_entry_delete", json!({"id": entry["id"]})),
    ] {
        assert_eq!(limited.err(tool, change).await, forbidden, "{tool}");
    }
    // Whoever is let into the whole tenant may.
    t.ok("dictionary_entry_update", json!({"id": entry["id"], "label": "Zmienione"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nearest_organization_says_what_a_value_is() {
    let t = Tester::new().await;
    let limited = limited(&t).await;
    let own = json!({"kind": "status", "value": "ACTIVE", "label": "Nasz aktywny"});
    limited.ok("customer_dictionary_entry_create", own).await;
    let listed = limited.ok("customer_dictionary_entry_list", json!({"kind": "status"})).await;
    let labels: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|entry| &entry["label"]).collect();
    assert_eq!(json!(labels), json!(["Nasz aktywny", "Inactive"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_of_noteable_alone_narrows_the_list() {
    let t = Tester::new().await;
    let ewa = t.ok("person_create", json!({"name": "Ewa Król"})).await["id"].clone();
    t.ok("client_note_create", json!({"client_id": ewa, "content": "Ma psa."})).await;
    for (kind, total) in [("Crm::Deal", 0), ("Crm::Client", 1), ("Crm::Contact", 1)] {
        let listed = t.ok("client_note_list", json!({"noteable_type": kind})).await;
        assert_eq!(listed["total"], total, "{kind}");
    }
    assert_eq!(
        t.err("client_note_list", json!({"noteable_type": "Organize::Task"})).await["message"],
        "/noteable_type: expected Crm::Client, Crm::Contact or Crm::Deal"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn icons_of_customer_values_are_short() {
    let t = Tester::new().await;
    let entry = json!({"kind": "source", "value": "Targi", "icon": "i".repeat(49)});
    let refused = t.err("customer_dictionary_entry_create", entry).await;
    assert_eq!(refused["message"], "/icon: is longer than 48 characters");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_addresses_made_main_at_once_one_stays() {
    let (rounds, _) = rounds("main addresses by update");
    let t = Tester::new().await;
    for round in 0..rounds {
        let (party, first) = with_main(&t, &format!("Klient {round}")).await;
        let mut ids = vec![first["id"].clone()];
        for number in 0..7 {
            let address = json!({"entity_id": party, "address_line1": format!("Ulica {number}")});
            ids.push(t.ok("customer_address_create", address).await["id"].clone());
        }
        let calls = ids.iter().map(|id| ("customer_address_update", json!({"id": id, "is_primary": true})));
        let outcomes = at_once(&t, calls.collect::<Vec<_>>()).await;
        assert_eq!(sorted(&outcomes).1.len(), 0, "{outcomes:?}");
        assert_eq!(mains(&t, &party).await, 1);
    }
}
