//! The warehouse: goods issues take from stock, never more than there is, and every movement is on record.

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::races::{CROWD, at_once, rounds, sorted};
use crate::support::Tester;

/// A contract and a location to issue goods with.
async fn place(owner: &Tester) -> (Value, Value) {
    let customer = owner.ok("person_create", json!({"name": "Ewa Król"})).await;
    let contract = json!({"numer": "K/1", "typ": "kuchnia", "customer_id": customer["id"]});
    let contract = owner.ok("contract_create", contract).await["id"].clone();
    let location = owner.ok("warehouse_location_create", json!({"nazwa": "Hala"})).await["id"].clone();
    (contract, location)
}

fn board(symbol: &str, ilosc: i64) -> Value {
    json!({"typ": "plyta", "producent": "Egger", "symbol": symbol, "dlugosc": 2800, "szerokosc": 2070, "cala": true, "ilosc": ilosc})
}

fn issue(nr: &str, (contract, location): &(Value, Value), lines: &[(&Value, i64)]) -> Value {
    let lines: Vec<Value> = lines.iter().map(|(id, ilosc)| json!({"material_id": id, "ilosc": ilosc})).collect();
    json!({"contract_id": contract, "nr": nr, "data": "2026-11-21", "kwota": "10", "location_id": location, "pozycje": lines})
}

async fn stock(owner: &Tester, material: &Value) -> i64 {
    owner.ok("material_show", json!({"id": material})).await["ilosc"].as_i64().unwrap()
}

/// The stock of each material is the sum of its movements, and no movement left it below zero.
async fn check_stock(owner: &Tester, materials: &[Value]) {
    for material in materials {
        let mut sum = 0;
        let mut page = 1;
        loop {
            let filter =
                json!({"material_id": material, "sort": "num", "order": "asc", "page_size": 100, "page": page});
            let moves = owner.ok("stock_move_list", filter).await;
            for step in moves["items"].as_array().unwrap() {
                sum += step["ilosc"].as_i64().unwrap();
                assert!(sum >= 0, "{step}");
                assert_eq!(step["stan"], sum, "{step}");
            }
            page += 1;
            if page > moves["total_pages"].as_i64().unwrap() {
                break;
            }
        }
        assert_eq!(stock(owner, material).await, sum, "{material}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn goods_issues_take_from_stock_and_give_back() {
    let owner = Tester::new().await;
    let place = place(&owner).await;
    let oak = owner.ok("material_create", board("H1145", 10)).await["id"].clone();
    let white = owner.ok("material_create", board("W980", 3)).await["id"].clone();
    let made = owner.ok("goods_issue_create", issue("WZ/1", &place, &[(&oak, 4), (&white, 3)])).await;
    assert_eq!((stock(&owner, &oak).await, stock(&owner, &white).await), (6, 0));
    assert_eq!(
        owner.err("goods_issue_create", issue("WZ/2", &place, &[(&oak, 1), (&white, 1)])).await,
        json!({
            "code": "impossible_state",
            "message": "There are 0 of material 2 (plyta Egger W980) in stock, so 1 cannot be taken out: stock cannot fall below \
                        zero. Nothing was changed. Receive more with material_receive, or correct the count with \
                        stocktake_record.",
            "details": {"material_id": white, "ilosc": 0, "potrzeba": 1},
        })
    );
    assert_eq!(stock(&owner, &oak).await, 6);
    assert_eq!(
        owner.err("goods_issue_create", issue("WZ/1", &place, &[])).await,
        json!({
            "code": "conflict",
            "message": "The organization has a goods issue WZ/1 already. Choose another nr, or find that one with \
                        goods_issue_list (q: \"WZ/1\") and change it.",
            "details": {"nr": "WZ/1"},
        })
    );
    assert_eq!(
        owner.err("goods_issue_create", issue("WZ/3", &place, &[(&oak, 1), (&oak, 2)])).await["message"],
        "/pozycje/1/material_id: is given twice; write each material once, with all its pieces"
    );
    let lines = |lines: &[(&Value, i64)]| issue("", &place, lines)["pozycje"].clone();
    owner.ok("goods_issue_update", json!({"id": made["id"], "pozycje": lines(&[(&oak, 10)])})).await;
    assert_eq!((stock(&owner, &oak).await, stock(&owner, &white).await), (0, 3));
    let error = owner.err("goods_issue_update", json!({"id": made["id"], "pozycje": lines(&[(&oak, 11)])})).await;
    assert_eq!(error["details"]["potrzeba"], 1);
    owner.ok("goods_issue_update", json!({"id": made["id"], "uwagi": "dowóz", "nr": "WZ/1a"})).await;
    let shown = owner.ok("goods_issue_line_list", json!({"goods_issue_id": made["id"]})).await;
    assert_eq!((&shown["total"], &shown["items"][0]["ilosc"]), (&json!(1), &json!(10)));
    for (tool, id, code) in [
        ("material_delete", &oak, "conflict"),
        ("warehouse_location_delete", &place.1, "conflict"),
        ("contract_delete", &place.0, "conflict"),
    ] {
        assert_eq!(owner.err(tool, json!({"id": id})).await["code"], code, "{tool}");
    }
    let deleted = owner.ok("goods_issue_delete", json!({"id": made["id"]})).await;
    assert_eq!((stock(&owner, &oak).await, stock(&owner, &white).await), (10, 3));
    let moves = owner.ok("stock_move_list", json!({"material_id": oak, "sort": "num", "order": "asc"})).await;
    let told: Vec<Value> = moves["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| json!([step["rodzaj"], step["ilosc"], step["stan"], step["dokument"]]))
        .collect();
    assert_eq!(
        json!(told),
        json!([
            ["przyjecie", 10, 10, null],
            ["wydanie", -4, 6, "WZ/1"],
            ["wydanie", -6, 0, "WZ/1"],
            ["zwrot", 10, 10, "WZ/1a"],
        ])
    );
    owner.ok("action_undo", json!({"undo_token": deleted["undo_token"]})).await;
    check_stock(&owner, &[oak.clone(), white.clone()]).await;
    assert_eq!(stock(&owner, &oak).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_counts_and_corrections_are_on_record() {
    let owner = Tester::new().await;
    let oak = owner.ok("material_create", board("H1145", 5)).await["id"].clone();
    let white = owner.ok("material_create", board("W980", 0)).await["id"].clone();
    owner.ok("material_receive", json!({"id": oak, "ilosc": 7, "dokument": "PZ/1"})).await;
    owner.ok("material_update", json!({"id": oak, "ilosc": 11, "uwagi": "jedna pęknięta"})).await;
    let counted =
        json!({"pozycje": [{"materialId": oak, "ilosc": 11}, {"materialId": white, "ilosc": 2}], "dokument": "INW/1"});
    let mut taken = owner.ok("stocktake_record", counted).await;
    taken.as_object_mut().unwrap().shift_remove("undo_token");
    assert_eq!(
        taken,
        json!({"policzone": 2, "roznice": [{"material_id": white, "symbol": "W980", "bylo": 0, "jest": 2, "roznica": 2}]})
    );
    let moves = owner.ok("stock_move_list", json!({"rodzaj": "korekta", "sort": "num", "order": "asc"})).await;
    let told: Vec<Value> =
        moves["items"].as_array().unwrap().iter().map(|step| json!([step["ilosc"], step["stan"]])).collect();
    assert_eq!(json!(told), json!([[-1, 11], [2, 2]]));
    for (arguments, message) in [
        (json!({"grubosc": "gruba"}), "/grubosc: must be a number of millimetres above 0, such as 18 or 0.8"),
        (json!({"grubosc": "0"}), "/grubosc: must be a number of millimetres above 0, such as 18 or 0.8"),
        (json!({"pozostalo": "600 x 400"}), "/pozostalo: is for remnants; clear it (null), or set cala to false"),
        (json!({"cala": false}), "/pozostalo: is required of a remnant (cala: false): say what is left of it"),
        (json!({"ilosc": -1}), "/ilosc: expected a whole number from 0 to 1000000000, got -1"),
    ] {
        let mut arguments = arguments;
        arguments["id"] = oak.clone();
        assert_eq!(owner.err("material_update", arguments).await["message"], message);
    }
    for (filter, expected) in [
        (json!({"q": "egger w980"}), vec![&white]),
        (json!({"ilosc_to": 5}), vec![&white]),
        (json!({"cala": "true", "sort": "symbol"}), vec![&oak, &white]),
        (json!({"typ": "blat"}), vec![]),
    ] {
        let found = owner.ok("material_list", filter.clone()).await;
        let ids: Vec<&Value> = found["items"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
        assert_eq!(ids, expected, "{filter}");
    }
    check_stock(&owner, &[oak, white]).await;
}

/// 32 clients issue the same material at once: as many pieces leave as there are, and not one more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stock_is_issued_once() {
    let (rounds, mut dice) = rounds("issue");
    let owner = Tester::new().await;
    let place = place(&owner).await;
    for round in 0..rounds {
        let pieces = 1 + i64::try_from(dice.below(3)).unwrap();
        let held = i64::try_from(dice.below(40)).unwrap();
        let material = owner.ok("material_create", board(&format!("R{round}"), held)).await["id"].clone();
        let calls = (0..CROWD).map(|number| {
            ("goods_issue_create", issue(&format!("WZ/{round}/{number}"), &place, &[(&material, pieces)]))
        });
        let outcomes = at_once(&owner, calls.collect::<Vec<_>>()).await;
        let (done, refused) = sorted(&outcomes);
        assert!(refused.iter().all(|code| *code == "impossible_state"), "{outcomes:?}");
        let issued = i64::try_from(done.len()).unwrap();
        assert_eq!(
            issued,
            (held / pieces).min(i64::try_from(CROWD).unwrap()),
            "{held} pieces by {pieces}: {outcomes:?}"
        );
        assert_eq!(stock(&owner, &material).await, held - issued * pieces);
        check_stock(&owner, &[material]).await;
    }
}

/// Several materials in any order, issued, received, counted, changed, deleted and undone at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stock_adds_up_whatever_happens_at_once() {
    let (rounds, mut dice) = rounds("stock");
    let owner = Tester::new().await;
    let place = place(&owner).await;
    let mut materials = Vec::new();
    for number in 0..3 {
        materials.push(owner.ok("material_create", board(&format!("M{number}"), 20)).await["id"].clone());
    }
    let mut issues: Vec<Value> = Vec::new();
    let mut tokens: Vec<Value> = Vec::new();
    for round in 0..rounds {
        let calls = (0..CROWD).map(|number| {
            random_step(&mut dice, &format!("WZ/{round}/{number}"), &place, &materials, &issues, &tokens)
        });
        let calls: Vec<_> = calls.collect();
        let outcomes = at_once(&owner, calls.clone()).await;
        for ((tool, arguments), (answer, is_error)) in calls.iter().zip(&outcomes) {
            if *is_error {
                let code = answer["code"].as_str().unwrap();
                let expected = ["impossible_state", "conflict", "not_found"].contains(&code);
                assert!(expected, "{tool} {arguments}: {answer}");
                continue;
            }
            tokens.extend(answer.get("undo_token").cloned());
            if *tool == "goods_issue_create" {
                issues.push(answer["id"].clone());
            }
        }
        check_stock(&owner, &materials).await;
    }
}

fn random_step(
    dice: &mut Dice,
    nr: &str,
    place: &(Value, Value),
    materials: &[Value],
    issues: &[Value],
    tokens: &[Value],
) -> (&'static str, Value) {
    let pick = |dice: &mut Dice, length: usize| usize::try_from(dice.below(u64::try_from(length).unwrap())).unwrap();
    let first = pick(dice, materials.len());
    let second = (first + 1 + pick(dice, materials.len() - 1)) % materials.len();
    let (one, two) = (1 + i64::try_from(dice.below(4)).unwrap(), 1 + i64::try_from(dice.below(4)).unwrap());
    // In either order, so that calls which lock as they are told would wait for each other.
    let lines = [(&materials[first], one), (&materials[second], two)];
    match dice.below(8) {
        0 => ("material_receive", json!({"id": materials[first], "ilosc": one * 3})),
        1 => {
            let counts = json!([{"material_id": materials[second], "ilosc": two * 4}, {"material_id": materials[first], "ilosc": one * 4}]);
            ("stocktake_record", json!({"pozycje": counts}))
        }
        2 if !issues.is_empty() => {
            let lines = issue(nr, place, &lines)["pozycje"].clone();
            ("goods_issue_update", json!({"id": issues[pick(dice, issues.len())], "pozycje": lines}))
        }
        3 if !issues.is_empty() => ("goods_issue_delete", json!({"id": issues[pick(dice, issues.len())]})),
        4 if !tokens.is_empty() => ("action_undo", json!({"undo_token": tokens[pick(dice, tokens.len())]})),
        5 => ("material_update", json!({"id": materials[first], "ilosc": one * 5})),
        _ => ("goods_issue_create", issue(nr, place, &lines)),
    }
}
