//! Printed documents: numbered once and without gaps, the same again and again, and what they close.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::races::{at_once, rounds, sorted};
use crate::support::{Tester, difference};

async fn contract(t: &Tester, numer: &str) -> Value {
    let customer =
        t.ok("person_create", json!({"name": "Łukasz Wójcik", "address": {"street": "Długa 1", "city": "Kraków"}}));
    let customer = customer.await["id"].clone();
    let new = json!({"numer": numer, "typ": "kuchnia", "customer_id": customer, "dataPodpisania": "2026-09-03"});
    t.ok("contract_create", new).await["id"].clone()
}

async fn valued(t: &Tester, numer: &str) -> Value {
    let id = contract(t, numer).await;
    t.ok("contract_valuation_create", json!({"contract_id": id, "meble": "1000", "sprzet": "234.50"})).await;
    id
}

async fn pay(t: &Tester, contract: &Value, rodzaj: &str, cena: &str, potwierdzona: bool) -> Value {
    let payment = json!({"contract_id": contract, "typ": "Zadatek", "rodzaj": rodzaj, "cena": cena, "potwierdzona": potwierdzona});
    t.ok("contract_payment_method_create", payment).await["id"].clone()
}

fn without(answer: &Value, names: &[&str]) -> Value {
    let mut answer = answer.clone();
    names.iter().for_each(|name| drop(answer.as_object_mut().unwrap().shift_remove(*name)));
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_numbered_when_it_is_printed_and_stays_as_it_is() {
    let t = Tester::new().await;
    let id = contract(&t, "K/12").await;
    assert_eq!(
        t.err("contract_invoice_print", json!({"id": id})).await,
        json!({
            "code": "impossible_state",
            "message": "Contract K/12 costs nothing, so there is nothing to invoice. Value it with \
                        contract_valuation_create or contract_valuation_update, then print again.",
        })
    );
    let valuation = json!({"contract_id": id, "meble": "1000", "sprzet": "234.50"});
    let valuation = t.ok("contract_valuation_create", valuation).await["id"].clone();
    // Tried, it is seen and nothing is numbered.
    let before = t.dump().await;
    let tried = t.ok("contract_invoice_print", json!({"id": id, "dry_run": true})).await;
    assert_eq!((&tried["numer"], &tried["dry_run"]), (&json!("FV/1/2026"), &json!(true)));
    assert_eq!(difference(&before, &t.dump().await), "");

    for (key, value) in [
        ("account.seller_name", "Meble Żółć sp. z o.o."),
        ("account.seller_address", "Gęsia 7\n31-535 Kraków"),
        ("account.tax_number", "677-245-88-11"),
    ] {
        t.ok("setting_set", json!({"key": key, "value": value})).await;
    }
    let first = t.ok("contract_invoice_print", json!({"id": id, "vat": "8"})).await;
    let html = first["html"].as_str().unwrap();
    for text in [
        "<strong>Meble Żółć sp. z o.o.</strong><br>Gęsia 7<br>31-535 Kraków<br>NIP: 677-245-88-11",
        "nr FV/1/2026",
        "Data sprzedaży</dt><dd>21.11.2026",
        "K/12 z 03.09.2026",
        "<strong>Łukasz Wójcik</strong><br>Długa 1<br>Kraków",
        "Meble (kuchnia) – umowa nr K/12",
        "Sprzęt AGD – umowa nr K/12",
        "1&nbsp;234,50&nbsp;zł",
        "jeden tysiąc dwieście trzydzieści cztery złote pięćdziesiąt groszy",
    ] {
        assert!(html.contains(text), "no {text:?} in {html}");
    }
    assert!(!html.contains("Dodatki"), "{html}");
    let pdf = first["pdf_base64"].as_str().unwrap();
    assert!(pdf.starts_with("JVBERi0xLjc"), "{pdf:.20}");
    let document = first["id"].clone();
    assert_eq!(
        without(&first, &["html", "pdf_base64"]),
        json!({
            "id": document, "contract_id": id, "payment_id": null, "rodzaj": "faktura", "numer": "FV/1/2026",
            "data_wystawienia": "2026-11-21", "kwota": "1234.50", "issued_now": true, "outdated": false,
            "uri": format!("bureau://contract_document/{}", document.as_str().unwrap()),
            "file_name": "FV-1-2026.pdf", "pages": 1,
        })
    );

    // Again: the same to the byte. What is paid meanwhile is no other invoice.
    pay(&t, &id, "przelew", "1234.50", true).await;
    let again = t.ok("contract_invoice_print", json!({"id": id})).await;
    assert_eq!(without(&again, &["issued_now"]), without(&first, &["issued_now"]));
    assert_eq!(again["issued_now"], false);
    assert_eq!(
        t.err("contract_invoice_print", json!({"id": id, "vat": "23"})).await,
        json!({
            "code": "conflict",
            "message": "FV/1/2026 was issued with other particulars. Leave them out to get it as it is, or correct it with \
                        a correcting document of your accounting.",
            "details": {
                "numer": "FV/1/2026",
                "issued_with": {"vat": "8", "data_sprzedazy": "2026-11-21", "data_wydania": null, "miesiace": null},
            },
        })
    );
    // Another price is another matter: the invoice says so, and stays.
    t.ok("contract_valuation_update", json!({"id": valuation, "meble": "1"})).await;
    let outdated = t.ok("contract_invoice_print", json!({"id": id, "form": "html"})).await;
    assert_eq!((&outdated["outdated"], &outdated["html"]), (&json!(true), &first["html"]));
    assert!(outdated.get("pdf_base64").is_none());
    let shown = t.ok("contract_document_show", json!({"id": document})).await;
    assert_eq!((&shown["outdated"], &shown["pdf_base64"]), (&json!(true), &first["pdf_base64"]));
    t.ok("contract_payment_method_list", json!({"contract_id": id})).await;
    let other = valued(&t, "K/13").await;
    assert_eq!(t.ok("contract_invoice_print", json!({"id": other})).await["numer"], "FV/2/2026");
    assert_eq!(t.ok("contract_document_list", json!({"rodzaj": "faktura"})).await["total"], 2);
    let company = t.other_tenant().await;
    let theirs = valued(&company, "K/1").await;
    assert_eq!(company.ok("contract_invoice_print", json!({"id": theirs})).await["numer"], "FV/1/2026");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_with_an_invoice_stays() {
    let t = Tester::new().await;
    let id = valued(&t, "K/1").await;
    let printed = t.ok("contract_proforma_print", json!({"id": id})).await;
    assert_eq!((&printed["numer"], &printed["kwota"]), (&json!("PRO/1/2026"), &json!("1234.50")));
    let deleted = t.ok("contract_delete", json!({"id": id})).await;
    t.ok("action_undo", json!({"undo_token": deleted["undo_token"]})).await;
    let invoice = t.ok("contract_invoice_print", json!({"id": id})).await;
    assert!(invoice.get("undo_token").is_none(), "{invoice}");
    assert_eq!(
        t.err("contract_delete", json!({"id": id})).await,
        json!({
            "code": "conflict",
            "message": "Contract K/1 cannot be deleted: FV/1/2026 was issued for it, and stays on record.",
            "details": {"document_id": invoice["id"]},
        })
    );
    // A settled contract can be invoiced still.
    pay(&t, &id, "przelew", "1234.50", true).await;
    t.ok("contract_settle", json!({"id": id})).await;
    assert_eq!(t.ok("contract_warranty_print", json!({"id": id})).await["numer"], "GW/1/2026");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proforma_is_issued_anew_when_it_is_outdated_only() {
    let t = Tester::new().await;
    let id = valued(&t, "K/1").await;
    let plan = json!({"contract_id": id, "typ": "Zadatek", "rodzaj": "przelew", "cena": "500", "data": "2026-12-01"});
    t.ok("contract_planned_payment_create", plan.clone()).await;
    let first = t.ok("contract_proforma_print", json!({"id": id})).await;
    let html = first["html"].as_str().unwrap();
    assert!(html.contains("Harmonogram płatności") && html.contains("01.12.2026"), "{html}");
    let same = t.ok("contract_proforma_print", json!({"id": id, "anew": true})).await;
    assert_eq!((&same["id"], &same["issued_now"]), (&first["id"], &json!(false)));
    t.ok("contract_planned_payment_create", plan).await;
    assert_eq!(t.ok("contract_proforma_print", json!({"id": id})).await["outdated"], true);
    let second = t.ok("contract_proforma_print", json!({"id": id, "anew": true})).await;
    assert_eq!((&second["numer"], &second["outdated"]), (&json!("PRO/2/2026"), &json!(false)));
    let third = t.ok("contract_proforma_print", json!({"id": id, "anew": true, "vat": "zw"})).await;
    assert_eq!(third["numer"], "PRO/3/2026");
    assert!(third["html"].as_str().unwrap().contains("art. 113"), "{third}");
    assert_eq!(t.ok("contract_document_show", json!({"id": first["id"]})).await["html"], first["html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_for_one_payment_in_cash_and_closes_it() {
    let t = Tester::new().await;
    let id = valued(&t, "K/1").await;
    assert_eq!(
        t.err("contract_kp_print", json!({"id": id})).await["message"],
        "Contract K/1 has no confirmed cash payment to give a receipt for. Record one with \
         contract_payment_method_create (rodzaj: gotowka, potwierdzona: true)."
    );
    let transfer = pay(&t, &id, "przelew", "5", true).await;
    let expected = pay(&t, &id, "gotowka", "6", false).await;
    for payment in [&transfer, &expected] {
        assert_eq!(
            t.err("contract_kp_print", json!({"id": id, "payment_id": payment})).await["message"],
            "A receipt is given for cash that was received: this payment is not confirmed (potwierdzona), or not in cash \
             (rodzaj gotowka)."
        );
    }
    let cash = pay(&t, &id, "Gotówka", "2001.10", true).await;
    let receipt = t.ok("contract_kp_print", json!({"id": id})).await;
    assert_eq!((&receipt["numer"], &receipt["payment_id"]), (&json!("KP/1/2026"), &cash));
    assert!(receipt["html"].as_str().unwrap().contains("dwa tysiące jeden złotych dziesięć groszy"), "{receipt}");
    let other = pay(&t, &id, "gotowka", "1", true).await;
    let error = t.err("contract_kp_print", json!({"id": id})).await;
    assert_eq!(
        error,
        json!({
            "code": "conflict",
            "message": "Contract K/1 has 2 confirmed cash payments. Say with payment_id which one the receipt is for.",
            "details": {"payment_ids": [cash, other]},
        })
    );
    let again = t.ok("contract_kp_print", json!({"id": id, "payment_id": cash})).await;
    assert_eq!(again["id"], receipt["id"]);
    assert_eq!(t.ok("contract_kp_print", json!({"id": id, "payment_id": other})).await["numer"], "KP/2/2026");
    let closed = json!({
        "code": "impossible_state",
        "message": "Receipt KP/1/2026 was given for this payment, so it is closed to change. A refund is recorded for itself.",
        "details": {"document_id": receipt["id"]},
    });
    for (tool, arguments) in [
        ("contract_payment_method_update", json!({"id": cash, "cena": "1"})),
        ("contract_payment_method_update", json!({"id": cash, "potwierdzona": false})),
        ("contract_payment_method_delete", json!({"id": cash})),
    ] {
        assert_eq!(t.err(tool, arguments).await, closed, "{tool}");
    }
    let elsewhere = valued(&t, "K/2").await;
    assert_eq!(
        t.err("contract_kp_print", json!({"id": elsewhere, "payment_id": cash})).await["message"],
        "/payment_id: is no payment of contract K/2; see contract_payment_method_list"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warranty_names_what_was_delivered_and_its_terms() {
    let t = Tester::new().await;
    let id = contract(&t, "K/1").await;
    t.ok("contract_front_create", json!({"contract_id": id, "typ": "gładki", "kolor": "<biel>"})).await;
    t.ok("contract_appliance_create", json!({"contract_id": id, "rodzaj": "piekarnik", "model": "PX-200", "cena": 1}))
        .await;
    for date in ["2026-11-10T08:00:00Z", "2026-11-19T08:00:00Z", "2026-12-01T08:00:00Z"] {
        t.ok("contract_installation_date_create", json!({"contract_id": id, "data": date})).await;
    }
    let text = json!({"nazwa": "Warunki gwarancji", "tresc": "Punkt 1.\nPunkt 2."});
    let text = t.ok("contract_text_template_create", text).await["id"].clone();
    t.ok("contract_text_attachment_create", json!({"contract_id": id, "template_id": text})).await;
    let card = t.ok("contract_warranty_print", json!({"id": id})).await;
    let html = card["html"].as_str().unwrap();
    for text in [
        "Data wydania</dt><dd>19.11.2026",
        "Gwarancja do</dt><dd>19.11.2028",
        "przez 24 miesiące",
        "<td>Fronty</td><td>typ: gładki; kolor: &lt;biel&gt;</td>",
        "<td>Sprzęt</td><td>rodzaj: piekarnik; model: PX-200</td>",
        "<h2>Warunki gwarancji</h2><p>Punkt 1.\nPunkt 2.</p>",
    ] {
        assert!(html.contains(text), "no {text:?} in {html}");
    }
    assert_eq!(card["kwota"], Value::Null);
    let longer = t.ok("contract_warranty_print", json!({"id": id, "miesiace": 60, "anew": true})).await;
    assert_eq!(longer["numer"], "GW/2/2026");
    assert_eq!(
        t.err("contract_warranty_print", json!({"id": id, "miesiace": 0})).await["message"],
        "/miesiace: expected a whole number from 1 to 240"
    );
}

/// Many prints at once: of one contract one document, of several contracts a number each, without gaps.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn prints_at_once_give_each_document_one_number() {
    let (rounds, mut dice) = rounds("print");
    let t = Tester::new().await;
    let mut issued = 0_usize;
    for round in 0..rounds {
        let mut contracts = Vec::new();
        for place in 0..4 {
            contracts.push(valued(&t, &format!("K/{round}/{place}")).await);
        }
        let mut calls = Vec::new();
        for place in 0..24_usize {
            // Each of the four for certain, the rest as it falls.
            let which = if place < 4 { place } else { usize::try_from(dice.below(4)).unwrap() };
            calls.push(("contract_invoice_print", json!({"id": contracts[which], "form": "neither"})));
        }
        let outcomes = at_once(&t, calls).await;
        let (done, refused) = sorted(&outcomes);
        assert!(refused.is_empty(), "{outcomes:?}");
        let new = done.iter().filter(|answer| answer["issued_now"] == true).count();
        let numbers: BTreeSet<&str> = done.iter().map(|answer| answer["numer"].as_str().unwrap()).collect();
        let expected: BTreeSet<String> = (issued + 1..=issued + 4).map(|place| format!("FV/{place}/2026")).collect();
        assert_eq!((new, numbers), (4, expected.iter().map(String::as_str).collect()));
        issued += 4;
    }
}
