//! Measurements: approved into one transaction, once.

use serde_json::{Value, json};

use crate::finance::person;
use crate::races::{CROWD, at_once, rounds, sorted};
use crate::support::{START, Tester};

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_measurement_is_one_transaction() {
    let owner = Tester::new().await;
    let (anna, anna_id) = person(&owner, "Anna", "admin").await;
    let customer = owner.ok("person_create", json!({"name": "Ewa Król"})).await["id"].clone();
    let new = json!({"customerId": customer, "kwota": 150.5, "uzytkownikId": anna_id});
    let id = owner.ok("measurement_create", new).await["id"].clone();
    assert_eq!(
        owner.err("measurement_create", json!({"customer_id": customer, "kwota": 0})).await["message"],
        "/kwota: must be more than 0"
    );
    owner.ok("measurement_update", json!({"id": id, "kwota": "160"})).await;
    let approved = owner.ok("measurement_approve", json!({"id": id})).await;
    let transaction = owner.ok("transaction_show", json!({"id": approved["transactionId"]})).await;
    let told = ["nazwa", "kwota", "typ", "rodzaj", "uzytkownik_id", "linked_entity_type", "linked_entity_id", "zrodlo"];
    assert_eq!(
        json!(told.map(|name| transaction[name].clone())),
        json!(["Pomiar 1", "160.00", "przychod", "gotowka", anna_id, "measurement", id, "pomiar"])
    );
    assert_eq!(owner.ok("cash_account_list", json!({"uzytkownik_id": anna_id})).await["items"][0]["saldo"], "160.00");
    assert_eq!(
        owner.err("measurement_approve", json!({"id": id})).await,
        json!({
            "code": "conflict",
            "message": format!("Measurement 1 was approved already, on {START}, and has its transaction. Nothing was changed."),
            "details": {"transactionId": transaction["id"]},
        })
    );
    assert_eq!(
        owner.err("measurement_update", json!({"id": id, "kwota": "1"})).await,
        json!({
            "code": "impossible_state",
            "message": "Measurement 1 is approved: only its adres_id and uwagi can change. To change more, take the approval back: \
                        give the undo_token of measurement_approve (action_log_list shows it) to action_undo.",
            "details": {"field": "kwota"},
        })
    );
    owner.ok("measurement_update", json!({"id": id, "uwagi": "brama od podwórza"})).await;
    assert_eq!(
        owner.err("measurement_delete", json!({"id": id})).await,
        json!({
            "code": "conflict",
            "message": "Measurement 1 is approved and cannot be deleted, since its transaction is on record. Take the approval back \
                        first: give the undo_token of measurement_approve (action_log_list shows it) to action_undo.",
        })
    );
    let error = owner.err("transaction_delete", json!({"id": transaction["id"]})).await;
    assert_eq!(
        error["message"],
        "Transaction 1 came from a measurement and cannot be deleted alone. To move the money back, take the approval of the \
         measurement back with action_undo, or record a correction."
    );
    // Neither who measured nor who approved the measurement approves the money.
    for who in [&owner, &anna] {
        assert_eq!(who.err("transaction_approve", json!({"id": transaction["id"]})).await["code"], "forbidden");
    }
    // Changed since (the notes), the approval is taken back after them.
    assert_eq!(owner.err("action_undo", json!({"undo_token": approved["undo_token"]})).await["code"], "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_an_approval_back_takes_the_transaction_along() {
    let owner = Tester::new().await;
    let customer = owner.ok("person_create", json!({"name": "Ewa Król"})).await["id"].clone();
    let id = owner.ok("measurement_create", json!({"customer_id": customer, "kwota": 99})).await["id"].clone();
    let approved = owner.ok("measurement_approve", json!({"id": id, "rodzaj": "przelew"})).await;
    owner.ok("action_undo", json!({"undo_token": approved["undo_token"]})).await;
    assert_eq!(owner.ok("transaction_list", json!({})).await["total"], 0);
    let shown = owner.ok("measurement_show", json!({"id": id})).await;
    assert_eq!((&shown["approved_at"], &shown["transaction_id"]), (&Value::Null, &Value::Null));
    owner.ok("measurement_approve", json!({"id": id})).await;
    assert_eq!(owner.ok("finance_stats_show", json!({})).await["income"], "99.00");
    // Redoing the first approval would make a second transaction.
    assert_eq!(owner.err("action_redo", json!({"log_id": approved["undo_token"]})).await["code"], "conflict");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_measurement_is_approved_once() {
    let (rounds, _) = rounds("approve measurements");
    let owner = Tester::new().await;
    let customer = owner.ok("person_create", json!({"name": "Ewa Król"})).await["id"].clone();
    for round in 1..=rounds {
        let id = owner.ok("measurement_create", json!({"customer_id": customer, "kwota": 10})).await["id"].clone();
        let outcomes = at_once(&owner, (0..CROWD).map(|_| ("measurement_approve", json!({"id": id})))).await;
        let (done, refused) = sorted(&outcomes);
        assert_eq!(done.len(), 1, "{outcomes:?}");
        assert!(refused.iter().all(|code| *code == "conflict"), "{outcomes:?}");
        let made = owner.ok("transaction_list", json!({"zrodlo": "pomiar"})).await;
        assert_eq!(made["total"], round);
        assert_eq!(owner.ok("finance_stats_show", json!({})).await["income"], format!("{}.00", 10 * round));
    }
}
