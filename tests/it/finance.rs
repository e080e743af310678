//! Finance: what counts, who approves, what moves between people and registers, and that cash never falls below zero.

use std::collections::BTreeMap;

use bureau_kit::money::Money;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::races::{CROWD, all_at_once, at_once, rounds, sorted};
use crate::support::{START, Tester};

/// A user who calls with a key of their own, and their id.
pub async fn person(owner: &Tester, name: &str, role: &str) -> (Tester, Value) {
    let email = format!("{}@finance.example.com", name.to_lowercase());
    let user = json!({"email": email, "first_name": name, "last_name": "Test", "role": role});
    let id = owner.ok("user_create", user).await["id"].clone();
    let key = owner.ok("api_key_create", json!({"name": name, "user_id": id})).await;
    (owner.with_token(key["secret"].as_str().unwrap()), id)
}

/// The owner's id.
pub async fn own_id(owner: &Tester) -> Value {
    owner.ok("user_list", json!({"role": "owner"})).await["items"][0]["id"].clone()
}

fn income(kwota: &str, user: &Value) -> Value {
    json!({"nazwa": "Wpłata", "kwota": kwota, "typ": "przychod", "rodzaj": "gotowka", "data": START, "uzytkownik_id": user})
}

fn expense(kwota: &str, user: &Value) -> Value {
    json!({"nazwa": "Zakup", "kwota": kwota, "typ": "rozchod", "rodzaj": "gotowka", "data": START, "uzytkownik_id": user})
}

/// What somebody, or the company, holds in cash.
async fn cash(owner: &Tester, user: &Value) -> String {
    let accounts = every(owner, "cash_account_list", json!({})).await;
    let account = accounts.iter().find(|account| account["uzytkownik_id"] == *user);
    account.map_or_else(|| "0.00".to_owned(), |account| account["saldo"].as_str().unwrap().to_owned())
}

/// All rows of a list.
async fn every(tester: &Tester, list: &str, filter: Value) -> Vec<Value> {
    let mut rows = Vec::new();
    for page in 1.. {
        let mut arguments = filter.clone();
        arguments["page"] = json!(page);
        arguments["page_size"] = json!(100);
        let found = tester.ok(list, arguments).await;
        rows.extend(found["items"].as_array().unwrap().clone());
        if page >= found["total_pages"].as_i64().unwrap() {
            break;
        }
    }
    rows
}

fn units(amount: &Value) -> i128 {
    i128::from(Money::parse(amount.as_str().unwrap()).unwrap().units())
}

/// Adds everything up anew: cash is what the transactions say and never below zero, transfers have both sides or none,
/// and the statistics are exact.
async fn check_books(owner: &Tester) {
    let transactions = every(owner, "transaction_list", json!({})).await;
    let mut held: BTreeMap<String, i128> = BTreeMap::new();
    let mut sides: BTreeMap<String, Vec<(String, i128)>> = BTreeMap::new();
    let mut registers: BTreeMap<String, i128> = BTreeMap::new();
    let (mut income, mut spent, mut waiting) = (0, 0, 0);
    for transaction in &transactions {
        let (amount, is_income) = (units(&transaction["kwota"]), transaction["typ"] == "przychod");
        if let Some(transfer) = transaction["transfer_id"].as_str() {
            let typ = transaction["typ"].as_str().unwrap().to_owned();
            sides.entry(transfer.to_owned()).or_default().push((typ, amount));
        }
        if transaction["oczekuje"] == true {
            waiting += 1;
            continue;
        }
        let signed = if is_income { amount } else { -amount };
        *registers.entry(transaction["rodzaj"].as_str().unwrap().to_owned()).or_default() += signed;
        if transaction["rodzaj"] == "gotowka" {
            *held.entry(transaction["uzytkownik_id"].to_string()).or_default() += signed;
        }
        if transaction["transfer_id"].is_null() {
            *(if is_income { &mut income } else { &mut spent }) += amount;
        }
    }
    let accounts = every(owner, "cash_account_list", json!({})).await;
    for account in &accounts {
        let saldo = units(&account["saldo"]);
        assert!(saldo >= 0, "{account}");
        let summed = held.remove(&account["uzytkownik_id"].to_string()).unwrap_or_default();
        assert_eq!(saldo, summed, "{account} is not what its transactions add up to");
    }
    assert!(held.values().all(|summed| *summed == 0), "cash without an account: {held:?}");
    let transfers = every(owner, "transfer_list", json!({})).await;
    for transfer in &transfers {
        let mut found = sides.remove(transfer["id"].as_str().unwrap()).unwrap_or_default();
        found.sort();
        let kwota = units(&transfer["kwota"]);
        let both = vec![("przychod".to_owned(), kwota), ("rozchod".to_owned(), kwota)];
        let expected = if transfer["status"] == "accepted" { both } else { Vec::new() };
        assert_eq!(found, expected, "{transfer}");
    }
    assert!(sides.is_empty(), "sides of no transfer: {sides:?}");
    for by in ["day", "month", "year"] {
        let stats = owner.ok("finance_stats_show", json!({"by": by})).await;
        assert_eq!((units(&stats["income"]), units(&stats["expense"])), (income, spent), "{stats}");
        assert_eq!(units(&stats["balance"]), income - spent, "{stats}");
        assert_eq!(stats["pendingApprovals"], waiting, "{stats}");
        let periods = stats["periods"].as_array().unwrap();
        let sum = |what: &str| periods.iter().map(|period| units(&period[what])).sum::<i128>();
        assert_eq!((sum("income"), sum("expense"), sum("balance")), (income, spent, income - spent), "{stats}");
        for register in stats["registers"].as_array().unwrap() {
            let summed = registers.get(register["rodzaj"].as_str().unwrap()).copied().unwrap_or_default();
            assert_eq!(units(&register["saldo"]), summed, "{stats}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_approval_counts_once_somebody_else_approves_it() {
    let owner = Tester::new().await;
    let (anna, _) = person(&owner, "Anna", "admin").await;
    let (zofia, zofia_id) = person(&owner, "Zofia", "admin").await;
    let mut waiting = income("100.10", &Value::Null);
    waiting["oczekuje"] = json!(true);
    let made = anna.ok("transaction_create", waiting).await;
    let id = made["id"].clone();
    assert_eq!(
        owner.ok("finance_stats_show", json!({})).await,
        json!({
            "income": "0.00", "expense": "0.00", "balance": "0.00", "pendingApprovals": 1, "periods": [],
            "registers": [
                {"rodzaj": "gotowka", "saldo": "0.00"}, {"rodzaj": "przelew", "saldo": "0.00"}, {"rodzaj": "karta", "saldo": "0.00"},
            ],
        })
    );
    assert_eq!(
        anna.err("transaction_approve", json!({"id": id})).await,
        json!({
            "code": "forbidden",
            "message": "Nobody approves their own transaction: transaction 1 was recorded by this person. Ask someone else with \
                        finance.approve; approval_create puts it into their queue.",
        })
    );
    assert_eq!(
        anna.err("transaction_update", json!({"id": id, "oczekuje": false})).await,
        json!({
            "code": "impossible_state",
            "message": "Transaction 1 waits for approval. It counts once somebody else approves it with transaction_approve; \
                        to give it up, delete it with transaction_delete.",
        })
    );
    // Whoever changes it has a hand in it, too.
    zofia.ok("transaction_update", json!({"id": id, "kwota": "100.20"})).await;
    assert_eq!(
        zofia.err("transaction_approve", json!({"id": id})).await["message"],
        "Nobody approves their own transaction: transaction 1 was last changed by this person. Ask someone else with \
         finance.approve; approval_create puts it into their queue."
    );
    let mut approved = owner.ok("transaction_approve", json!({"id": id, "komentarz": " zgoda "})).await;
    let undo = approved.as_object_mut().unwrap().shift_remove("undo_token").unwrap();
    let me = own_id(&owner).await;
    assert_eq!(approved, json!({"ok": true, "id": id, "zatwierdzona_at": START, "zatwierdzil_id": me}));
    assert_eq!(cash(&owner, &Value::Null).await, "100.20");
    let closed = json!({
        "code": "impossible_state",
        "message": format!(
            "Transaction 1 was approved on {START} by Owner and is closed. Nothing was changed. Record a correction with \
             transaction_create, or take the approval back: give the undo_token of transaction_approve (action_log_list shows \
             it) to action_undo."
        ),
        "details": {"zatwierdzona_at": START},
    });
    for (tool, arguments) in [
        ("transaction_approve", json!({"id": id})),
        ("transaction_update", json!({"id": id, "komentarz": "po czasie"})),
        ("transaction_delete", json!({"id": id})),
        ("approval_create", json!({"transaction_id": id, "reviewer_id": me})),
    ] {
        assert_eq!(owner.err(tool, arguments).await, closed, "{tool}");
    }
    let approvals = owner.ok("approval_list", json!({"transaction_id": id})).await;
    let approval = &approvals["items"][0];
    assert_eq!(
        (&approvals["total"], &approval["reviewer_id"], &approval["komentarz"], &approval["zatwierdzona_at"]),
        (&json!(1), &me, &json!("zgoda"), &json!(START))
    );
    assert_eq!(owner.err("approval_delete", json!({"id": approval["id"]})).await["code"], "impossible_state");
    owner.ok("action_undo", json!({"undo_token": undo})).await;
    assert_eq!(cash(&owner, &Value::Null).await, "0.00");
    assert_eq!(owner.ok("approval_list", json!({})).await["total"], 0);
    owner.ok("action_redo", json!({"log_id": undo})).await;
    assert_eq!(cash(&owner, &Value::Null).await, "100.20");
    check_books(&owner).await;
    // On somebody's own name, whoever recorded it.
    let own = owner.ok("transaction_create", income("5", &zofia_id)).await;
    assert_eq!(
        zofia.err("transaction_approve", json!({"id": own["id"]})).await["message"],
        "Nobody approves their own transaction: transaction 2 is on this person's own name. Ask someone else with \
         finance.approve; approval_create puts it into their queue."
    );
    anna.ok("transaction_approve", json!({"id": own["id"]})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_approval_stops_a_transaction_until_it_is_approved() {
    let owner = Tester::new().await;
    let (anna, anna_id) = person(&owner, "Anna", "admin").await;
    let (_, zofia_id) = person(&owner, "Zofia", "admin").await;
    let me = own_id(&owner).await;
    let id = owner.ok("transaction_create", income("70", &Value::Null)).await["id"].clone();
    assert_eq!(
        owner.err("approval_create", json!({"transaction_id": id, "reviewer_id": me})).await["code"],
        "forbidden"
    );
    let asked = owner.ok("approval_create", json!({"transaction_id": id, "reviewer_id": anna_id})).await;
    assert_eq!(cash(&owner, &Value::Null).await, "0.00");
    assert_eq!(owner.ok("transaction_list", json!({"oczekuje": "true"})).await["items"][0]["id"], id);
    assert_eq!(
        owner.err("approval_create", json!({"transaction_id": id, "reviewer_id": anna_id})).await,
        json!({
            "code": "conflict",
            "message": "This reviewer was asked about this transaction already. Change that request with approval_update.",
            "details": {"approval_id": asked["id"]},
        })
    );
    owner.ok("approval_update", json!({"id": asked["id"], "komentarz": "pilne"})).await;
    // Taking a request back lets nothing go.
    let second = owner.ok("approval_create", json!({"transaction_id": id, "reviewer_id": zofia_id})).await;
    owner.ok("approval_delete", json!({"id": second["id"]})).await;
    assert_eq!(owner.ok("transaction_show", json!({"id": id})).await["oczekuje"], true);
    anna.ok("transaction_approve", json!({"id": id})).await;
    let decided = owner.ok("approval_list", json!({})).await;
    assert_eq!((&decided["total"], &decided["items"][0]["id"]), (&json!(1), &asked["id"]));
    assert_eq!(decided["items"][0]["komentarz"], "pilne");
    // What was spent meanwhile cannot be stopped again.
    let other = owner.ok("transaction_create", income("10", &Value::Null)).await["id"].clone();
    owner.ok("transaction_create", expense("80", &Value::Null)).await;
    let stopped = json!({"transaction_id": other, "reviewer_id": anna_id});
    assert_eq!(
        owner.err("approval_create", stopped).await,
        json!({
            "code": "impossible_state",
            "message": "The company's register holds 0.00 in cash, and this would take 10.00 out: cash cannot fall below zero. \
                        Nothing was changed. cash_account_list shows what there is; record the missing income first, or \
                        choose another rodzaj.",
            "details": {"saldo": "0.00", "kwota": "10.00"},
        })
    );
    check_books(&owner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cash_cannot_fall_below_zero_by_any_way() {
    let owner = Tester::new().await;
    let (anna, anna_id) = person(&owner, "Anna", "admin").await;
    let first = owner.ok("transaction_create", income("50", &anna_id)).await;
    let short = "Anna Test holds 50.00 in cash, and this would take 50.01 out: cash cannot fall below zero. Nothing was changed. \
                 cash_account_list shows what there is; record the missing income first, or choose another rodzaj.";
    assert_eq!(owner.err("transaction_create", expense("50.01", &anna_id)).await["message"], short);
    assert_eq!(
        anna.err("transaction_create", expense("50.01", &anna_id)).await["message"],
        short.replace("Anna Test holds", "You hold")
    );
    // A bank account can be overdrawn.
    let mut transfer = expense("5000", &anna_id);
    transfer["rodzaj"] = json!("przelew");
    owner.ok("transaction_create", transfer).await;
    let spent = owner.ok("transaction_create", expense("40", &anna_id)).await;
    for (tool, arguments) in [
        ("transaction_delete", json!({"id": first["id"]})),
        ("transaction_update", json!({"id": first["id"], "kwota": "39.99"})),
        ("transaction_update", json!({"id": first["id"], "rodzaj": "karta"})),
        ("transaction_update", json!({"id": first["id"], "typ": "rozchod"})),
        ("transaction_update", json!({"id": first["id"], "uzytkownik_id": null})),
        ("transaction_update", json!({"id": first["id"], "oczekuje": true})),
        ("transaction_update", json!({"id": spent["id"], "kwota": "50.01"})),
    ] {
        assert_eq!(owner.err(tool, arguments.clone()).await["code"], "impossible_state", "{tool} {arguments}");
    }
    // The journal cannot do what the rule forbids.
    assert_eq!(owner.err("action_undo", json!({"undo_token": first["undo_token"]})).await["code"], "conflict");
    owner.ok("transaction_update", json!({"id": first["id"], "kwota": "40.00"})).await;
    assert_eq!(cash(&owner, &anna_id).await, "0.00");
    for (kwota, wrong) in [("0", "0"), ("1000000000", "too much"), ("0.001", "too fine")] {
        let error = owner.err("transaction_create", income(kwota, &anna_id)).await;
        assert_eq!(error["code"], "validation", "{wrong}: {error}");
    }
    assert_eq!(
        owner.err("transaction_create", income("1000000000", &anna_id)).await["message"],
        "/kwota: must be more than 0 and at most 999999999.99, with at most two decimals"
    );
    check_books(&owner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_handed_over_once_the_other_accepts_it() {
    let owner = Tester::new().await;
    let (anna, anna_id) = person(&owner, "Anna", "user").await;
    let (piotr, piotr_id) = person(&owner, "Piotr", "user").await;
    let (ewa, _) = person(&owner, "Ewa", "user").await;
    owner.ok("transaction_create", income("100", &anna_id)).await;
    assert_eq!(
        anna.err("transfer_create", json!({"toUserId": piotr_id, "kwota": "100.01"})).await,
        json!({
            "code": "impossible_state",
            "message": "You hold 100.00 in cash, so you cannot hand 100.01 over. Record the money you received with \
                        transaction_create (uzytkownik_id: you) first.",
            "details": {"saldo": "100.00"},
        })
    );
    assert_eq!(anna.err("transfer_create", json!({"toUserId": anna_id, "kwota": 1})).await["code"], "validation");
    let handed =
        anna.ok("transfer_create", json!({"recipientUserId": piotr_id, "kwota": "60", "komentarz": "paliwo"})).await;
    assert_eq!((&handed["sender_id"], &handed["status"]), (&anna_id, &json!("pending")));
    assert_eq!(cash(&owner, &anna_id).await, "100.00");
    let id = handed["id"].clone();
    for tool in ["transfer_accept", "transfer_reject"] {
        let what = tool.strip_prefix("transfer_").unwrap();
        let message =
            format!("Only the person whom the money is handed to can {what} transfer 1. Nothing was changed.");
        for other in [&anna, &owner] {
            assert_eq!(other.err(tool, json!({"id": id})).await, json!({"code": "forbidden", "message": message}));
        }
        // To those it does not concern there is no such transfer, as there is none of a number nobody has.
        let nothing = ewa.err(tool, json!({"id": 99})).await.to_string().replace("99", "1");
        assert_eq!(ewa.err(tool, json!({"id": 1})).await.to_string(), nothing);
    }
    assert_eq!(ewa.ok("transfer_list", json!({})).await["total"], 0);
    assert_eq!(piotr.ok("transfer_list", json!({"status": "pending"})).await["items"][0]["id"], id);
    assert_eq!(owner.ok("transfer_list", json!({"recipient_id": piotr_id})).await["total"], 1);
    let accepted = piotr.ok("transfer_accept", json!({"id": id})).await;
    assert_eq!((&accepted["status"], &accepted["decided_at"]), (&json!("accepted"), &json!(START)));
    assert_eq!((cash(&owner, &anna_id).await, cash(&owner, &piotr_id).await), ("40.00".into(), "60.00".into()));
    for tool in ["transfer_accept", "transfer_reject"] {
        assert_eq!(
            piotr.err(tool, json!({"id": id})).await,
            json!({
                "code": "impossible_state",
                "message": format!("Transfer 1 was accepted already, on {START}. Nothing was changed."),
                "details": {"status": "accepted"},
            })
        );
    }
    // The two sides stay alike, and neither of the two approves them.
    let sides = owner.ok("transaction_list", json!({"zrodlo": "transfer"})).await;
    assert_eq!(sides["total"], 2);
    let side = sides["items"][0]["id"].clone();
    assert_eq!(
        owner.err("transaction_update", json!({"id": side, "kwota": "1"})).await,
        json!({
            "code": "impossible_state",
            "message": "Transaction 3 came from a transfer between people: only its nazwa, komentarz and kategoria can change. \
                        To move the money back, make a transfer the other way with transfer_create.",
            "details": {"field": "kwota"},
        })
    );
    assert_eq!(
        owner.err("transaction_delete", json!({"id": side})).await["message"],
        "Transaction 3 came from a transfer between people and cannot be deleted alone. To move the money back, make a transfer \
         the other way with transfer_create."
    );
    owner.ok("transaction_update", json!({"id": side, "kategoria": "zaliczki"})).await;
    // Between asking and accepting the money can be gone.
    let late = anna.ok("transfer_create", json!({"recipient_user_id": piotr_id, "kwota": "40"})).await;
    owner.ok("transaction_create", expense("0.01", &anna_id)).await;
    assert_eq!(
        piotr.err("transfer_accept", json!({"id": late["id"]})).await["message"],
        "Anna Test holds 39.99 in cash, and this would take 40.00 out: cash cannot fall below zero. Nothing was changed. \
         cash_account_list shows what there is; record the missing income first, or choose another rodzaj."
    );
    piotr.ok("transfer_reject", json!({"id": late["id"]})).await;
    // What waits is taken back by its undo.
    let back = anna.ok("transfer_create", json!({"recipient_user_id": piotr_id, "kwota": "5"})).await;
    anna.ok("action_undo", json!({"undo_token": back["undo_token"]})).await;
    assert_eq!(piotr.err("transfer_accept", json!({"id": back["id"]})).await["code"], "not_found");
    let stats = owner.ok("finance_stats_show", json!({})).await;
    assert_eq!((&stats["income"], &stats["expense"]), (&json!("100.00"), &json!("0.01")));
    check_books(&owner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_moves_between_cash_and_bank() {
    let owner = Tester::new().await;
    let me = own_id(&owner).await;
    owner.ok("transaction_create", income("300", &Value::Null)).await;
    owner
        .ok("inter_cash_transfer_create", json!({"fromCash": "gotowka", "toCash": "przelew", "kwota": "250.50"}))
        .await;
    let out = json!({"from_rodzaj": "przelew", "to_rodzaj": "gotowka", "kwota": 20, "own": true});
    owner.ok("inter_cash_transfer_create", out).await;
    assert_eq!((cash(&owner, &Value::Null).await, cash(&owner, &me).await), ("49.50".into(), "20.00".into()));
    let error = owner
        .err("inter_cash_transfer_create", json!({"from_rodzaj": "gotowka", "to_rodzaj": "karta", "kwota": "49.51"}))
        .await;
    assert_eq!((&error["code"], &error["details"]["saldo"]), (&json!("impossible_state"), &json!("49.50")));
    assert_eq!(
        owner
            .err("inter_cash_transfer_create", json!({"from_rodzaj": "karta", "to_rodzaj": "karta", "kwota": "1"}))
            .await["message"],
        "/to_rodzaj: is the register it leaves; choose another one"
    );
    let stats = owner.ok("finance_stats_show", json!({})).await;
    assert_eq!(
        (&stats["income"], &stats["expense"], &stats["registers"]),
        (
            &json!("300.00"),
            &json!("0.00"),
            &json!([
                {"rodzaj": "gotowka", "saldo": "69.50"}, {"rodzaj": "przelew", "saldo": "230.50"}, {"rodzaj": "karta", "saldo": "0.00"},
            ])
        )
    );
    check_books(&owner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_exact_in_each_period() {
    let owner = Tester::new().await;
    let new = |kwota: &str, typ: &str, data: &str, kategoria: &str| json!({"nazwa": "x", "kwota": kwota, "typ": typ, "rodzaj": "przelew", "data": data, "kategoria": kategoria});
    for (kwota, typ, data, kategoria) in [
        ("0.10", "przychod", "2026-10-31T23:59:59.999999Z", "a"),
        ("0.20", "przychod", "2026-11-01T00:00:00Z", "a"),
        ("999999999.99", "przychod", "2026-11-30T23:59:59Z", "b"),
        ("0.30", "rozchod", "2026-12-01", "b"),
        ("7", "rozchod", "2026-11-15T10:00:00+02:00", "a"),
    ] {
        owner.ok("transaction_create", new(kwota, typ, data, kategoria)).await;
    }
    let november = json!({"dateFrom": "2026-11-01", "dateTo": "2026-11-30", "by": "month"});
    let stats = owner.ok("finance_stats_show", november).await;
    assert_eq!(
        stats["periods"],
        json!([{"period": "2026-11", "income": "1000000000.19", "expense": "7.00", "balance": "999999993.19"}])
    );
    assert_eq!(stats["registers"][1]["saldo"], "999999993.29");
    let stats = owner.ok("finance_stats_show", json!({"by": "month"})).await;
    let months: Vec<_> = stats["periods"].as_array().unwrap().iter().map(|period| &period["period"]).collect();
    assert_eq!(months, ["2026-10", "2026-11", "2026-12"]);
    assert_eq!(stats["balance"], "999999992.99");
    assert_eq!(owner.ok("finance_stats_show", json!({"kategoria": "a"})).await["balance"], "-6.70");
    assert_eq!(owner.other_tenant().await.ok("finance_stats_show", json!({})).await["income"], "0.00");
    for (filter, expected) in [
        (json!({"dateFrom": "2026-11-01", "dateTo": "2026-11-15", "sort": "data"}), vec![2, 5]),
        (json!({"typ": "rozchod"}), vec![5, 4]),
        (json!({"kategoria": "b", "sort": "kwota"}), vec![4, 3]),
        (json!({"q": "X", "rodzaj": "karta"}), vec![]),
    ] {
        let found = owner.ok("transaction_list", filter.clone()).await;
        let nums: Vec<i64> =
            found["items"].as_array().unwrap().iter().map(|row| row["num"].as_i64().unwrap()).collect();
        assert_eq!(nums, expected, "{filter}");
    }
}

/// Whatever is done in whatever order, with undo and redo between: the books are right after every step.
#[tokio::test(flavor = "multi_thread")]
async fn the_books_are_right_whatever_is_done() {
    let (rounds, mut dice) = rounds("books");
    let owner = Tester::new().await;
    let mut people = Vec::new();
    for name in ["Anna", "Piotr", "Zofia"] {
        people.push(person(&owner, name, "admin").await);
    }
    let mut tokens: Vec<Value> = Vec::new();
    let mut done = 0;
    for _ in 0..rounds * 8 {
        let (tool, arguments, who) = random_step(&owner, &people, &tokens, &mut dice).await;
        let (answer, is_error) = who.call(tool, arguments.clone()).await;
        if is_error {
            let code = answer["code"].as_str().unwrap();
            assert!(["impossible_state", "conflict", "forbidden"].contains(&code), "{tool} {arguments}: {answer}");
        } else {
            done += 1;
            tokens.extend(answer.get("undo_token").cloned());
        }
        if dice.below(4) == 0 {
            check_books(&owner).await;
        }
    }
    check_books(&owner).await;
    assert!(done * 3 > rounds * 8, "most steps were refused: {done} of {}", rounds * 8);
}

async fn random_step(
    owner: &Tester,
    people: &[(Tester, Value)],
    tokens: &[Value],
    dice: &mut Dice,
) -> (&'static str, Value, Tester) {
    let pick = |dice: &mut Dice, length: usize| usize::try_from(dice.below(u64::try_from(length).unwrap())).unwrap();
    let (who, id) = people[pick(dice, people.len())].clone();
    let other = people[pick(dice, people.len())].1.clone();
    let amount = format!("{}.{:02}", dice.below(90), 1 + dice.below(99));
    let rodzaj = ["gotowka", "przelew", "karta"][pick(dice, 3)];
    let typ = ["przychod", "przychod", "rozchod"][pick(dice, 3)];
    let name = [id.clone(), other.clone(), Value::Null][pick(dice, 3)].clone();
    let transactions = owner.ok("transaction_list", json!({"page_size": 20})).await["items"].clone();
    let some = |dice: &mut Dice, rows: &Value| {
        let rows = rows.as_array().unwrap();
        (!rows.is_empty()).then(|| rows[pick(dice, rows.len())]["id"].clone())
    };
    let transaction = some(dice, &transactions);
    let step = match (dice.below(11), transaction) {
        (1, Some(id)) => ("transaction_update", json!({"id": id, "kwota": amount})),
        (2, Some(id)) => ("transaction_update", json!({"id": id, "rodzaj": rodzaj, "typ": typ, "uzytkownik_id": name})),
        (3, Some(id)) => ("transaction_delete", json!({"id": id})),
        (4, Some(id)) => ("transaction_approve", json!({"id": id})),
        (5, Some(id)) => ("approval_create", json!({"transaction_id": id, "reviewer_id": other})),
        (6, _) if id != other => {
            ("transfer_create", json!({"recipient_user_id": other, "kwota": amount, "rodzaj": rodzaj}))
        }
        (7, _) => {
            let waiting =
                owner.ok("transfer_list", json!({"status": "pending", "recipient_id": id})).await["items"].clone();
            match some(dice, &waiting) {
                Some(id) => {
                    (["transfer_accept", "transfer_accept", "transfer_reject"][pick(dice, 3)], json!({"id": id}))
                }
                None => ("transaction_create", income(&amount, &id)),
            }
        }
        (8, _) => {
            let to = if rodzaj == "gotowka" { "przelew" } else { "gotowka" };
            let own = dice.below(2) == 0;
            ("inter_cash_transfer_create", json!({"from_rodzaj": rodzaj, "to_rodzaj": to, "kwota": amount, "own": own}))
        }
        (9, _) if !tokens.is_empty() => {
            return ("action_undo", json!({"undo_token": tokens[pick(dice, tokens.len())]}), owner.clone());
        }
        (10, _) if !tokens.is_empty() => {
            let last = tokens.len() - 1 - pick(dice, tokens.len().min(3));
            return ("action_undo", json!({"undo_token": tokens[last]}), owner.clone());
        }
        _ => {
            let mut new = income(&amount, &name);
            new["typ"] = json!(typ);
            new["rodzaj"] = json!(rodzaj);
            new["oczekuje"] = json!(dice.below(4) == 0);
            ("transaction_create", new)
        }
    };
    (step.0, step.1, who)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_transaction_is_approved_once() {
    let (rounds, mut dice) = rounds("approve");
    let owner = Tester::new().await;
    let mut people = Vec::new();
    for name in ["Anna", "Piotr", "Zofia"] {
        people.push(person(&owner, name, "admin").await);
    }
    for round in 1..=rounds {
        let mut waiting = income("10", &Value::Null);
        waiting["oczekuje"] = json!(true);
        let id = owner.ok("transaction_create", waiting).await["id"].clone();
        // The owner recorded it, and tries as well.
        let calls = (0..CROWD).map(|_| {
            let who = usize::try_from(dice.below(4)).unwrap();
            (people.get(who).map_or(&owner, |(tester, _)| tester).clone(), "transaction_approve", json!({"id": id}))
        });
        let outcomes = all_at_once(calls.collect::<Vec<_>>()).await;
        let (done, refused) = sorted(&outcomes);
        assert_eq!(done.len(), 1, "{outcomes:?}");
        assert!(refused.iter().all(|code| ["impossible_state", "forbidden"].contains(code)), "{outcomes:?}");
        assert_eq!(cash(&owner, &Value::Null).await, format!("{}.00", 10 * round));
        assert_eq!(owner.ok("approval_list", json!({"transaction_id": id})).await["total"], 1);
    }
    check_books(&owner).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_transfer_is_decided_once() {
    let (rounds, mut dice) = rounds("accept and reject");
    let owner = Tester::new().await;
    let (anna, anna_id) = person(&owner, "Anna", "user").await;
    let (piotr, piotr_id) = person(&owner, "Piotr", "user").await;
    owner.ok("transaction_create", income("1000", &anna_id)).await;
    let mut moved = 0;
    for _ in 0..rounds {
        let id = anna.ok("transfer_create", json!({"recipient_user_id": piotr_id, "kwota": "7"})).await["id"].clone();
        let calls = (0..CROWD).map(|_| {
            let who = if dice.below(4) == 0 { &anna } else { &piotr };
            let tool = if dice.below(2) == 0 { "transfer_accept" } else { "transfer_reject" };
            (who.clone(), tool, json!({"id": id}))
        });
        let outcomes = all_at_once(calls.collect::<Vec<_>>()).await;
        let (done, _) = sorted(&outcomes);
        assert_eq!(done.len(), 1, "{outcomes:?}");
        moved += if done[0]["status"] == "accepted" { 7 } else { 0 };
        assert_eq!(cash(&owner, &piotr_id).await, format!("{moved}.00"));
    }
    check_books(&owner).await;
}

/// Both give to each other at once, spend meanwhile, and more than they have: nothing is lost, nothing is made, nothing
/// falls below zero, and nobody waits for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn transfers_both_ways_at_once_keep_every_grosz() {
    let (rounds, mut dice) = rounds("transfers both ways");
    let owner = Tester::new().await;
    let (anna, anna_id) = person(&owner, "Anna", "admin").await;
    let (piotr, piotr_id) = person(&owner, "Piotr", "admin").await;
    for id in [&anna_id, &piotr_id] {
        owner.ok("transaction_create", income("50", id)).await;
    }
    for _ in 0..rounds {
        let mut calls = Vec::new();
        for _ in 0..CROWD / 2 {
            let kwota = format!("{}.{:02}", dice.below(40), 1 + dice.below(99));
            let (from, to, to_id) =
                if dice.below(2) == 0 { (&anna, &piotr, &piotr_id) } else { (&piotr, &anna, &anna_id) };
            let new = json!({"recipient_user_id": to_id, "kwota": kwota});
            let (made, is_error) = from.call("transfer_create", new).await;
            if !is_error {
                calls.push((to.clone(), "transfer_accept", json!({"id": made["id"]})));
            }
        }
        for (tester, id) in [(&anna, &anna_id), (&piotr, &piotr_id)] {
            calls.push((tester.clone(), "transaction_create", expense("3.33", id)));
            calls.push((tester.clone(), "transaction_create", income("4.44", id)));
            let bank = json!({"from_rodzaj": "gotowka", "to_rodzaj": "przelew", "kwota": "1.11", "own": true});
            calls.push((tester.clone(), "inter_cash_transfer_create", bank));
        }
        let outcomes = all_at_once(calls).await;
        let (_, refused) = sorted(&outcomes);
        assert!(refused.iter().all(|code| *code == "impossible_state"), "{outcomes:?}");
        check_books(&owner).await;
    }
}

/// 32 clients spend the same cash: as much as there is, and not a grosz more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_cash_is_spent_once() {
    let (rounds, _) = rounds("spend");
    let owner = Tester::new().await;
    for _ in 0..rounds {
        let received = owner.ok("transaction_create", income("100", &Value::Null)).await;
        let mut calls: Vec<_> = (0..CROWD).map(|_| ("transaction_create", expense("15", &Value::Null))).collect();
        calls.push(("action_undo", json!({"undo_token": received["undo_token"]})));
        let outcomes = at_once(&owner, calls).await;
        let (_, refused) = sorted(&outcomes);
        assert!(refused.iter().all(|code| ["impossible_state", "conflict"].contains(code)), "{outcomes:?}");
        let spent = outcomes[..CROWD].iter().filter(|(_, is_error)| !is_error).count();
        let undone = !outcomes[CROWD].1;
        assert!(if undone { spent == 0 } else { spent == 6 }, "{spent} spent, undone: {undone}");
        check_books(&owner).await;
        let left = cash(&owner, &Value::Null).await;
        if left != "0.00" {
            owner.ok("transaction_create", expense(&left, &Value::Null)).await;
        }
    }
}

/// The first cash of somebody, by 32 clients at once: one account comes of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_first_cash_makes_one_account() {
    let (rounds, _) = rounds("first cash");
    let owner = Tester::new().await;
    for round in 0..rounds.min(5) {
        let (_, id) = person(&owner, &format!("Nowa{round}"), "user").await;
        let outcomes = at_once(&owner, (0..CROWD).map(|_| ("transaction_create", income("1.01", &id)))).await;
        assert_eq!(sorted(&outcomes).0.len(), CROWD, "{outcomes:?}");
        assert_eq!(cash(&owner, &id).await, "32.32");
    }
    check_books(&owner).await;
}
