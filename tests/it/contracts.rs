//! Contracts: numbers, money, the settlement and its races.

use bureau_crm::Address;
use bureau_kit::prelude::Values;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{START, Tester};

async fn customer(t: &Tester, name: &str) -> Value {
    t.ok("person_create", json!({"name": name})).await["id"].clone()
}

async fn contract(t: &Tester, numer: &str) -> Value {
    let customer = customer(t, "Łukasz Wójcik").await;
    t.ok("contract_create", json!({"numer": numer, "typ": "kuchnia", "customer_id": customer})).await["id"].clone()
}

async fn valued(t: &Tester, numer: &str, meble: &str) -> Value {
    let id = contract(t, numer).await;
    t.ok("contract_valuation_create", json!({"contract_id": id, "meble": meble})).await;
    id
}

fn payment(contract: &Value, cena: &str) -> Value {
    json!({"contract_id": contract, "typ": "Zadatek", "rodzaj": "gotowka", "cena": cena, "potwierdzona": true})
}

async fn pay(t: &Tester, contract: &Value, cena: &str) -> Value {
    t.ok("contract_payment_method_create", payment(contract, cena)).await
}

async fn balance(t: &Tester, id: &Value) -> Value {
    t.ok("contract_balance_show", json!({"id": id})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_is_valued_paid_and_settled_to_the_grosz() {
    let t = Tester::new().await;
    let id = contract(&t, "K/12").await;
    assert_eq!(
        t.err("contract_settle", json!({"id": id})).await,
        json!({
            "code": "impossible_state",
            "message": "Contract K/12 cannot be settled: it has no valuation, so nothing says what it costs. Store one \
                        with contract_valuation_create, then settle again.",
            "details": {"suma": "0.00", "zaplacono": "0.00", "doZaplaty": "0.00"},
        })
    );
    let parts = json!({"contract_id": id, "meble": "1000.10", "dodatki": 2000.2, "sprzet": "999.70"});
    t.ok("contract_valuation_create", parts).await;
    pay(&t, &id, "2500").await;
    let expected = json!({"contract_id": id, "typ": "Rata", "rodzaj": "przelew", "cena": "1500", "data": "2026-12-01"});
    let expected = t.ok("contract_payment_method_create", expected).await;
    assert_eq!(expected["potwierdzona"], false);
    let owed = json!({
        "id": id, "numer": "K/12", "suma": "4000.00", "zaplacono": "2500.00", "doZaplaty": "1500.00",
        "rozliczona": false,
    });
    assert_eq!(balance(&t, &id).await, owed);
    assert_eq!(
        t.err("contract_settle", json!({"id": id})).await,
        json!({
            "code": "impossible_state",
            "message": "Contract K/12 cannot be settled: 1500.00 of 4000.00 is still to pay. Record the payment with \
                        contract_payment_method_create (potwierdzona: true), then settle again.",
            "details": {"suma": "4000.00", "zaplacono": "2500.00", "doZaplaty": "1500.00"},
        })
    );
    t.ok("contract_payment_method_update", json!({"id": expected["id"], "potwierdzona": true, "cena": "1500.01"}))
        .await;
    assert_eq!(
        t.err("contract_settle", json!({"id": id})).await["message"],
        "Contract K/12 cannot be settled: 4000.01 was paid, but it costs 4000.00. Correct the payments with \
         contract_payment_method_update, or the valuation with contract_valuation_update, then settle again."
    );
    t.ok("contract_payment_method_update", json!({"id": expected["id"], "cena": "1500"})).await;
    assert_eq!(
        t.ok("contract_valuation_summary", json!({"id": id})).await,
        json!({
            "id": id, "numer": "K/12", "wyceniona": true, "meble": "1000.10", "dodatki": "2000.20", "sprzet": "999.70",
            "suma": "4000.00", "slownie": "cztery tysiące złotych zero groszy",
        })
    );
    let mut settled = t.ok("contract_settle", json!({"id": id})).await;
    let token = settled.as_object_mut().unwrap().remove("undo_token").unwrap();
    assert_eq!(settled, json!({"ok": true, "id": id, "rozliczona": true, "rozliczona_at": START}));
    assert_eq!(
        t.err("contract_settle", json!({"id": id})).await,
        json!({
            "code": "impossible_state",
            "message": "Contract K/12 is settled already, since 2026-11-21T10:00:00Z. Nothing was changed.",
            "details": {"rozliczona_at": START},
        })
    );
    t.ok("action_undo", json!({"undo_token": token})).await;
    let reopened = t.ok("contract_show", json!({"id": id})).await;
    assert_eq!((&reopened["rozliczona"], &reopened["rozliczona_at"]), (&json!(false), &Value::Null));
    assert_eq!((&reopened["suma"], &reopened["zaplacono"]), (&json!("4000.00"), &json!("4000.00")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settled_contract_is_closed_but_for_its_notes() {
    let t = Tester::new().await;
    let id = valued(&t, "K/1", "100").await;
    let paid = pay(&t, &id, "100").await;
    t.ok("contract_settle", json!({"id": id})).await;
    let valuation = t.ok("contract_valuation_list", json!({"contract_id": id})).await["items"][0]["id"].clone();
    let closed = "Contract K/1 is settled and closed to change, except its uwagi. To reopen it take the settlement back: \
                  give the undo_token of contract_settle (action_log_list shows it) to action_undo.";
    for (tool, arguments) in [
        ("contract_update", json!({"id": id, "opis": "inny"})),
        ("contract_update", json!({"id": id, "zakonczona": true})),
        ("contract_valuation_update", json!({"id": valuation, "meble": "200"})),
        ("contract_valuation_delete", json!({"id": valuation})),
        ("contract_payment_method_create", payment(&id, "1")),
        ("contract_payment_method_update", json!({"id": paid["id"], "cena": "1"})),
        ("contract_payment_method_delete", json!({"id": paid["id"]})),
    ] {
        let error = t.err(tool, arguments).await;
        assert_eq!((&error["code"], &error["message"]), (&json!("impossible_state"), &json!(closed)), "{tool}");
    }
    t.ok("contract_update", json!({"id": id, "uwagi": "klient zadowolony", "opis": null})).await;
    assert_eq!(
        t.err("contract_delete", json!({"id": id})).await,
        json!({
            "code": "conflict",
            "message": "Contract K/1 is settled and cannot be deleted. Take the settlement back with action_undo first.",
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_settlement_rests_on_cannot_be_undone_below_it() {
    let t = Tester::new().await;
    let id = valued(&t, "K/1", "100").await;
    let mistaken = pay(&t, &id, "50").await;
    let undone = t.ok("action_undo", json!({"undo_token": mistaken["undo_token"]})).await;
    assert_eq!(undone["ok"], true);
    let paid = pay(&t, &id, "100").await;
    t.ok("contract_settle", json!({"id": id})).await;
    assert_eq!(t.err("action_undo", json!({"undo_token": paid["undo_token"]})).await["code"], "conflict");
    assert_eq!(t.err("action_redo", json!({"log_id": mistaken["undo_token"]})).await["code"], "conflict");
    assert_eq!(balance(&t, &id).await["doZaplaty"], "0.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_given_once_in_an_organization() {
    let t = Tester::new().await;
    let branch = t.ok("organization_create", json!({"name": "Oddział Kraków"})).await["id"].clone();
    let customer = customer(&t, "Ewa Król").await;
    let new = |numer: &str, organization: &Value| json!({"numer": numer, "typ": "szafa", "customer_id": customer, "organization_id": organization});
    t.ok("contract_create", new("K/1", &branch)).await;
    let taken = json!({
        "code": "conflict",
        "message": "The organization has a contract K/1 already. Choose another numer, or find that contract with \
                    contract_list (q: \"K/1\") and change it.",
        "details": {"numer": "K/1"},
    });
    assert_eq!(t.err("contract_create", new("K/1", &branch)).await, taken);
    let other = t.ok("organization_create", json!({"name": "Oddział Łódź"})).await["id"].clone();
    let moved = t.ok("contract_create", new(" K/1 ", &other)).await;
    assert_eq!(t.err("contract_update", json!({"id": moved["id"], "organization_id": branch})).await, taken);
    for fixed in [json!({"numer": "K/9"}), json!({"typ": "kuchnia"}), json!({"customer_id": customer})] {
        let mut arguments = fixed.clone();
        arguments["id"] = moved["id"].clone();
        assert_eq!(t.err("contract_update", arguments).await["code"], "validation", "{fixed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_below_a_contract_is_in_its_organization() {
    let t = Tester::new().await;
    let branch = t.ok("organization_create", json!({"name": "Oddział Kraków"})).await["id"].clone();
    let id = valued(&t, "K/1", "100").await;
    let paid = pay(&t, &id, "40").await;
    let elsewhere = json!({"contract_id": id, "typ": "Rata", "rodzaj": "karta", "cena": 1, "organization_id": branch});
    assert_eq!(
        t.err("contract_payment_method_create", elsewhere).await["message"],
        "/organization_id: is always the one of the contract; leave it out"
    );
    t.ok("contract_update", json!({"id": id, "organization_id": branch})).await;
    let found = t.ok("contract_payment_method_list", json!({"contract_id": id})).await;
    assert_eq!(found["items"][0]["id"], paid["id"]);
    assert_eq!(found["items"][0]["organization_id"], branch);
    let found = t.ok("contract_valuation_list", json!({"contract_id": id})).await;
    assert_eq!(found["items"][0]["organization_id"], branch);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_those_of_the_customer() {
    let t = Tester::new().await;
    let (ewa, jan) = (customer(&t, "Ewa Król").await, customer(&t, "Jan Hurt").await);
    let mut ids = Vec::new();
    for owner in [&ewa, &jan] {
        let owner: Uuid = owner.as_str().unwrap().parse().unwrap();
        let made = t.bureau.as_system(t.tenant_id, None, "test", |ctx| {
            Box::pin(async move {
                let values = Values::new()
                    .with("subject_type", "party")
                    .with("subject_id", owner)
                    .with("address_line1", "Długa 1");
                Ok(ctx.insert(<Address as bureau_kit::id::Kind>::TABLE, values).await?.id)
            })
        });
        ids.push(made.await.unwrap());
    }
    let new =
        |address: Uuid| json!({"numer": "K/1", "typ": "kuchnia", "customer_id": ewa, "adres_montazu_id": address});
    assert_eq!(
        t.err("contract_create", new(ids[1])).await["message"],
        "/adres_montazu_id: is not an address of the contract's customer; customer_address_list shows those, \
         customer_address_create adds one"
    );
    let made = t.ok("contract_create", new(ids[0])).await;
    assert_eq!(made["adres_montazu_id"], json!(ids[0]));
    let wrong = json!({"id": made["id"], "adresFakturyId": ids[1]});
    assert_eq!(t.err("contract_update", wrong).await["code"], "validation");
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_was_paid_keeps_its_contract() {
    let t = Tester::new().await;
    let id = valued(&t, "K/1", "100").await;
    assert_eq!(
        t.err("contract_valuation_create", json!({"contract_id": id})).await,
        json!({
            "code": "conflict",
            "message": "Contract K/1 has a valuation already. Find it with contract_valuation_list (contract_id), and \
                        change it with contract_valuation_update.",
        })
    );
    assert_eq!(
        t.err("contract_payment_method_create", payment(&id, "0")).await["message"],
        "/cena: must be more than 0"
    );
    let paid = pay(&t, &id, "40").await;
    assert_eq!(
        t.err("contract_delete", json!({"id": id})).await,
        json!({
            "code": "conflict",
            "message": "Contract K/1 has 1 confirmed payment(s) and cannot be deleted. Delete those first with \
                        contract_payment_method_delete, or withdraw them with contract_payment_method_update \
                        (potwierdzona: false).",
            "details": {"confirmed_payments": 1},
        })
    );
    t.ok("contract_payment_method_update", json!({"id": paid["id"], "potwierdzona": false})).await;
    let deleted = t.ok("contract_delete", json!({"id": id})).await;
    assert_eq!(t.ok("contract_payment_method_list", json!({})).await["total"], 0);
    t.ok("action_undo", json!({"undo_token": deleted["undo_token"]})).await;
    assert_eq!(t.ok("contract_payment_method_list", json!({})).await["total"], 1);
    assert_eq!(balance(&t, &id).await["suma"], "100.00");
    let largest =
        json!({"contract_id": id, "typ": "Rata", "rodzaj": "raty", "cena": "922337203685477.58", "potwierdzona": true});
    t.ok("contract_payment_method_create", largest.clone()).await;
    assert_eq!(
        t.err("contract_payment_method_create", largest).await["message"],
        "The amounts of this contract add up to more than can be stored. Nothing was changed; check them."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn contracts_are_listed_and_counted_by_state() {
    let t = Tester::new().await;
    let (done, settled, open) = (contract(&t, "K/1").await, valued(&t, "K/2", "10").await, contract(&t, "K/3").await);
    t.ok("contract_update", json!({"id": done, "zakonczona": true, "opis": "Żółta kuchnia"})).await;
    pay(&t, &settled, "10").await;
    t.ok("contract_settle", json!({"id": settled})).await;
    assert_eq!(
        t.ok("contract_stats_show", json!({})).await,
        json!({"total": 3, "active": 1, "completed": 1, "settled": 1})
    );
    for (filter, expected) in [
        (json!({"zakonczona": true}), vec![&done]),
        (json!({"rozliczona": "true"}), vec![&settled]),
        (json!({"rozliczona": false}), vec![&open, &done]),
        (json!({"q": "zolta"}), vec![&done]),
        (json!({"q": "k/3"}), vec![&open]),
        (json!({"typ": "szafa"}), vec![]),
        (json!({"sort": "numer"}), vec![&done, &settled, &open]),
        (json!({"sortField": "numer", "sortDir": "desc", "pageSize": 1, "page": 2}), vec![&settled]),
    ] {
        let found = t.ok("contract_list", filter.clone()).await;
        let ids: Vec<&Value> = found["items"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
        assert_eq!(ids, expected, "{filter}");
    }
    let other = t.other_tenant().await;
    assert_eq!(
        other.ok("contract_stats_show", json!({})).await,
        json!({"total": 0, "active": 0, "completed": 0, "settled": 0})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_settlements_at_once_one_wins() {
    let t = Tester::new().await;
    let id = valued(&t, "K/1", "100").await;
    pay(&t, &id, "100").await;
    let mut calls = JoinSet::new();
    for _ in 0..32 {
        calls.spawn(t.call_raw("contract_settle", json!({"id": id})));
    }
    let answers = calls.join_all().await;
    let won = answers.iter().filter(|(_, is_error)| !is_error).count();
    assert_eq!(won, 1);
    for (answer, _) in answers.iter().filter(|(_, is_error)| *is_error) {
        assert_eq!(
            answer["message"],
            "Contract K/1 is settled already, since 2026-11-21T10:00:00Z. Nothing was changed."
        );
    }
    let log = t.ok("action_log_list", json!({})).await;
    let settled = log["items"].as_array().unwrap().iter().filter(|row| row["tool"] == "contract_settle").count();
    assert_eq!(settled, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_and_a_settlement_at_once_leave_exact_books() {
    let t = Tester::new().await;
    let id = valued(&t, "K/1", "16").await;
    for _ in 0..15 {
        pay(&t, &id, "1").await;
    }
    let mut calls = JoinSet::new();
    for round in 0..8 {
        calls.spawn(t.call_raw("contract_payment_method_create", payment(&id, "1")));
        calls.spawn(t.call_raw("contract_settle", json!({"id": id})));
        if round % 4 == 0 {
            calls.spawn(t.call_raw("contract_valuation_create", json!({"contract_id": id, "meble": "1"})));
        }
    }
    let answers = calls.join_all().await;
    for (answer, is_error) in &answers {
        let code = answer["code"].as_str().unwrap_or_default();
        assert!(!is_error || ["impossible_state", "conflict"].contains(&code), "{answer}");
    }
    let balance = balance(&t, &id).await;
    let shown = t.ok("contract_show", json!({"id": id})).await;
    assert_eq!((&shown["suma"], &shown["zaplacono"]), (&balance["suma"], &balance["zaplacono"]));
    if balance["rozliczona"] == true {
        assert_eq!(balance["doZaplaty"], "0.00");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_contracts_with_one_number_one_is_made() {
    let t = Tester::new().await;
    let customer = customer(&t, "Ewa Król").await;
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let new = json!({"numer": "K/1", "typ": "kuchnia", "customer_id": customer});
        calls.spawn(t.call_raw("contract_create", new));
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.iter().filter(|(_, is_error)| !is_error).count(), 1);
    assert!(answers.iter().all(|(answer, is_error)| !is_error || answer["code"] == "conflict"), "{answers:?}");
}
