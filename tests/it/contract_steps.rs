//! The steps of a contract: the rules of their rows, and that a settlement closes all of them, whichever way a change comes.

use bureau_crm::Address;
use bureau_kit::prelude::{Kind, Values};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::races::{at_once, rounds, sorted};
use crate::support::{Tester, difference};

/// Families below a contract, with arguments of a create beside contract_id, and of an update.
const FAMILIES: &[(&str, &str, &str)] = &[
    ("contract_furniture", r#"{"korpus": "dąb"}"#, r#"{"korpus": "buk"}"#),
    ("contract_front", r#"{"kolor": "biel"}"#, r#"{"kolor": "czerń"}"#),
    ("contract_handle", r#"{"sztuk": 12}"#, r#"{"sztuk": 13}"#),
    ("contract_vitrine", r#"{"szyba": "mleczna"}"#, r#"{"szyba": "szara"}"#),
    ("contract_appliance", r#"{"cena": "1999.00"}"#, r#"{"cena": "1899.00"}"#),
    ("contract_payment_method", r#"{"typ": "Rata", "rodzaj": "przelew", "cena": "5"}"#, r#"{"potwierdzona": true}"#),
    ("contract_assembly_note", r#"{"uwagi": "winda"}"#, r#"{"uwagi": "schody"}"#),
    (
        "contract_work_rating",
        r#"{"uzytkownik_id": "$worker", "kwota": 500, "ocena": 5, "typ_pracownika": "montazysta"}"#,
        r#"{"ocena": 4}"#,
    ),
    ("contract_worker_assignment", r#"{"uzytkownik_id": "$worker"}"#, r#"{"uzytkownik_id": "$owner"}"#),
    ("contract_planned_payment", r#"{"typ": "Rata", "rodzaj": "przelew", "cena": "5"}"#, r#"{"data": "2027-01-01"}"#),
    ("contract_text_attachment", r#"{"template_id": "$text"}"#, r#"{"template_id": "$other_text"}"#),
    ("contract_installation_date", r#"{"data": "2026-12-07T08:00:00Z"}"#, ""),
    ("contract_purchase_order", r#"{"nazwa": "Płyta", "ilosc": "2.5"}"#, r#"{"data_odbioru": "2026-12-01"}"#),
];

const CLOSED: &str = "Contract K/1 is settled and closed to change, except its uwagi. To reopen it take the settlement \
                      back: give the undo_token of contract_settle (action_log_list shows it) to action_undo.";

/// A paid contract, and what the arguments above name.
struct Site {
    t: Tester,
    contract: Value,
    customer: Value,
    named: Vec<(&'static str, Value)>,
}

impl Site {
    async fn new() -> Self {
        let t = Tester::new().await;
        let customer = t.ok("person_create", json!({"name": "Łukasz Wójcik"})).await["id"].clone();
        let worker = json!({"email": "jan@example.com", "first_name": "Jan", "role": "user"});
        let worker = t.ok("user_create", worker).await["id"].clone();
        let owner = t.ok("user_list", json!({"role": "owner"})).await["items"][0]["id"].clone();
        let text = t.ok("contract_text_template_create", json!({"nazwa": "Gwarancja", "tresc": "Dwa lata."})).await;
        let other = t.ok("contract_text_template_create", json!({"nazwa": "Dostawa", "tresc": "W terminie."})).await;
        let named = vec![
            ("$worker", worker),
            ("$owner", owner),
            ("$text", text["id"].clone()),
            ("$other_text", other["id"].clone()),
        ];
        let mut site = Self { t, contract: Value::Null, customer, named };
        site.contract = site.paid("K/1").await;
        site
    }

    async fn paid(&self, numer: &str) -> Value {
        let new = json!({"numer": numer, "typ": "kuchnia", "customer_id": self.customer});
        let contract = self.t.ok("contract_create", new).await["id"].clone();
        self.t.ok("contract_valuation_create", json!({"contract_id": contract, "meble": "100"})).await;
        let payment =
            json!({"contract_id": contract, "typ": "Całość", "rodzaj": "przelew", "cena": "100", "potwierdzona": true});
        self.t.ok("contract_payment_method_create", payment).await;
        contract
    }

    /// Arguments with their names replaced.
    fn filled(&self, text: &str) -> Value {
        let mut arguments: Value = serde_json::from_str(text).unwrap();
        for value in arguments.as_object_mut().unwrap().values_mut() {
            if let Some((_, id)) = self.named.iter().find(|(name, _)| value == name) {
                *value = id.clone();
            }
        }
        arguments
    }

    fn create(&self, contract: &Value, text: &str) -> Value {
        let mut arguments = self.filled(text);
        arguments["contract_id"] = contract.clone();
        arguments
    }

    fn update(&self, id: &Value, text: &str) -> Value {
        let mut arguments = self.filled(text);
        arguments["id"] = id.clone();
        arguments
    }
}

fn tool(family: &str, verb: &str) -> &'static str {
    Box::leak(format!("{family}_{verb}").into_boxed_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_closes_every_family_whichever_way_a_change_comes() {
    let site = Site::new().await;
    let t = &site.t;
    let mut rows = Vec::new();
    for (family, create, update) in FAMILIES {
        let made = t.ok(tool(family, "create"), site.create(&site.contract, create)).await;
        // One that was undone, to be redone, and one that changed, to be undone.
        let mut second = create.to_owned();
        if *family == "contract_worker_assignment" {
            second = r#"{"uzytkownik_id": "$owner"}"#;
        } else if *family == "contract_text_attachment" {
            second = r#"{"template_id": "$other_text"}"#;
        }
        let undone = t.ok(tool(family, "create"), site.create(&site.contract, second)).await;
        t.ok("action_undo", json!({"undo_token": undone["undo_token"]})).await;
        let mut changed = Value::Null;
        if !update.is_empty() && *family != "contract_payment_method" {
            changed = t.ok(tool(family, "update"), site.update(&made["id"], update)).await["undo_token"].clone();
        }
        rows.push((*family, made, undone, changed, create, update));
    }
    let settled = t.ok("contract_settle", json!({"id": site.contract})).await;
    let before = t.dump().await;
    for (family, made, undone, changed, create, update) in &rows {
        let (id, create) = (&made["id"], site.create(&site.contract, create));
        let mut calls = vec![(tool(family, "create"), create), (tool(family, "delete"), json!({"id": id}))];
        if !update.is_empty() {
            let update = site.update(id, update);
            calls.push((tool(family, "update"), update.clone()));
            calls.push(("tool_call_write", json!({"name": tool(family, "update"), "arguments": update})));
            let item = json!({"tool": tool(family, "update"), "arguments": update});
            calls.push(("batch_call", json!({"calls": [item]})));
        }
        for (tool, arguments) in calls {
            let error = t.err(tool, arguments).await;
            let code = if tool == "batch_call" { "conflict" } else { "impossible_state" };
            assert_eq!(error["code"], code, "{family} {tool}: {error}");
            assert!(error["message"].as_str().unwrap().contains(CLOSED), "{family} {tool}: {error}");
        }
        let each = json!({"mode": "each", "calls": [{"tool": tool(family, "delete"), "arguments": {"id": id}}]});
        let answer = t.ok("batch_call", each).await;
        assert_eq!(answer["results"][0]["error"]["message"], CLOSED, "{family}: {answer}");
        let mut replays = vec![("action_redo", json!({"log_id": undone["undo_token"]}))];
        if changed.is_null() {
            replays.push(("action_undo", json!({"undo_token": made["undo_token"]})));
        } else {
            replays.push(("action_undo", json!({"undo_token": changed})));
        }
        for (tool, arguments) in replays {
            let error = t.err(tool, arguments).await;
            assert_eq!(
                (&error["code"], &error["message"]),
                (&json!("impossible_state"), &json!(CLOSED)),
                "{family} {tool}"
            );
        }
    }
    assert_eq!(difference(&before, &t.dump().await), "");

    // Reopened, everything goes on where it was.
    t.ok("action_undo", json!({"undo_token": settled["undo_token"]})).await;
    for (family, made, undone, changed, ..) in &rows {
        if !changed.is_null() {
            t.ok("action_undo", json!({"undo_token": changed})).await;
        }
        if *family != "contract_payment_method" {
            t.ok("action_redo", json!({"log_id": undone["undo_token"]})).await;
        }
        t.ok(tool(family, "delete"), json!({"id": made["id"]})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_settled_contract_names_cannot_be_taken_from_it() {
    let site = Site::new().await;
    let t = &site.t;
    let worker = site.named[0].1.clone();
    let owner: Uuid = site.customer.as_str().unwrap().parse().unwrap();
    let address = t.bureau.as_system(t.tenant_id, None, "test", |ctx| {
        Box::pin(async move {
            let values =
                Values::new().with("subject_type", "party").with("subject_id", owner).with("address_line1", "Długa 1");
            Ok(ctx.insert(Address::TABLE, values).await?.id)
        })
    });
    let address = address.await.unwrap();
    let named = json!({"id": site.contract, "uzytkownik_id": worker, "adres_montazu_id": address});
    t.ok("contract_update", named).await;
    t.ok("contract_settle", json!({"id": site.contract})).await;
    let before = t.dump().await;
    let error = t.err("user_delete", json!({"id": worker})).await;
    assert_eq!(error, json!({"code": "impossible_state", "message": CLOSED, "details": {"field": "uzytkownik_id"}}));
    let deleted = t.bureau.as_system(t.tenant_id, None, "test", |ctx| {
        Box::pin(async move {
            let address = ctx.fetch_from(Address::TABLE, address).await?;
            ctx.delete(&address).await
        })
    });
    assert_eq!(deleted.await.unwrap_err().message(), CLOSED);
    assert_eq!(difference(&before, &t.dump().await), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settled_contract_follows_its_customer_into_a_merge_and_stays_closed() {
    let site = Site::new().await;
    let t = &site.t;
    t.ok("contract_settle", json!({"id": site.contract})).await;
    let before = t.ok("contract_show", json!({"id": site.contract})).await;
    let primary = t.ok("person_create", json!({"name": "Łukasz Wójcik"})).await["id"].clone();
    let merge = json!({"primary_id": primary, "duplicate_ids": [site.customer]});
    let merged = t.ok("person_merge", merge).await;
    assert_eq!(merged["reparented"]["contracts"], 1);
    let after = t.ok("contract_show", json!({"id": site.contract})).await;
    let mut expected = before.clone();
    expected["customer_id"] = primary.clone();
    expected["version"] = after["version"].clone();
    assert_eq!(after, expected);
    let error = t.err("contract_update", json!({"id": site.contract, "opis": "inny"})).await;
    assert_eq!(error, json!({"code": "impossible_state", "message": CLOSED, "details": {"field": "opis"}}));
    t.ok("action_undo", json!({"undo_token": merged["undo_token"]})).await;
    assert_eq!(t.ok("contract_show", json!({"id": site.contract})).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_has_its_rules() {
    let site = Site::new().await;
    let t = &site.t;
    let below = |text: &str| site.create(&site.contract, text);
    for (tool, text, message) in [
        (
            "contract_appliance_create",
            r#"{"cena": "100", "rabat": "100.01"}"#,
            "/rabat: is an amount off the price, and cannot be more than cena",
        ),
        (
            "contract_planned_payment_create",
            r#"{"typ": "Rata", "rodzaj": "przelew", "cena": 0}"#,
            "/cena: must be more than 0",
        ),
        ("contract_purchase_order_create", r#"{"nazwa": "Płyta", "ilosc": 0}"#, "/ilosc: must be more than 0"),
        (
            "contract_purchase_order_create",
            r#"{"nazwa": "Płyta", "ilosc": 1, "dataWyslania": "2026-11-21", "dataOdbioru": "2026-11-20"}"#,
            "/data_odbioru: the goods cannot be received on 2026-11-20, before the order was sent on 2026-11-21",
        ),
        (
            "contract_work_rating_create",
            r#"{"uzytkownik_id": "$worker", "kwota": 1, "ocena": 6, "typ_pracownika": "montazysta"}"#,
            "/ocena: expected a whole number from 1 to 5, got 6",
        ),
    ] {
        let error = t.err(tool, below(text)).await;
        assert_eq!((&error["code"], &error["message"]), (&json!("validation"), &json!(message)), "{tool} {text}");
    }

    t.ok("contract_worker_assignment_create", below(r#"{"uzytkownik_id": "$worker"}"#)).await;
    let second = t.ok("contract_worker_assignment_create", below(r#"{"uzytkownik_id": "$owner"}"#)).await;
    let twice = json!({
        "code": "conflict",
        "message": "This worker is assigned to contract K/1 already. See contract_worker_assignment_list (contract_id).",
    });
    assert_eq!(t.err("contract_worker_assignment_create", below(r#"{"uzytkownik_id": "$worker"}"#)).await, twice);
    let other = site.update(&second["id"], r#"{"uzytkownik_id": "$worker"}"#);
    assert_eq!(t.err("contract_worker_assignment_update", other).await, twice);

    let profile = site.filled(r#"{"user_id": "$worker"}"#);
    t.ok("worker_profile_create", profile.clone()).await;
    assert_eq!(
        t.err("worker_profile_create", profile).await,
        json!({
            "code": "conflict",
            "message": "This user has a profile already. Find it with worker_profile_list (user_id), and change it with \
                        worker_profile_update.",
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_keeps_the_text_it_was_given() {
    let site = Site::new().await;
    let t = &site.t;
    let text = site.named[2].1.clone();
    let given =
        t.ok("contract_text_attachment_create", site.create(&site.contract, r#"{"template_id": "$text"}"#)).await;
    assert_eq!((&given["nazwa"], &given["tresc"]), (&json!("Gwarancja"), &json!("Dwa lata.")));
    t.ok("contract_text_template_update", json!({"id": text, "tresc": "Pięć lat."})).await;
    let same = t.ok("contract_text_attachment_update", json!({"id": given["id"], "template_id": text})).await;
    assert_eq!(same["tresc"], "Dwa lata.");
    assert_eq!(
        t.err("contract_text_attachment_create", site.create(&site.contract, r#"{"template_id": "$text"}"#)).await,
        json!({
            "code": "conflict",
            "message": "Contract K/1 carries this text already. See contract_text_attachment_list (contract_id).",
        })
    );
    assert_eq!(
        t.err("contract_text_template_delete", json!({"id": text})).await,
        json!({
            "code": "conflict",
            "message": "This contract_text_template is still used: 1 × contract_text_attachment (template_id). Move or \
                        delete those first.",
            "details": {"used_by": "contract_text_attachment", "count": 1},
        })
    );
    let other = site.update(&given["id"], r#"{"template_id": "$other_text"}"#);
    assert_eq!(t.ok("contract_text_attachment_update", other).await["tresc"], "W terminie.");
    t.ok("contract_text_template_delete", json!({"id": text})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valuation_counts_the_appliances_in() {
    let site = Site::new().await;
    let t = &site.t;
    let new = json!({"numer": "K/2", "typ": "kuchnia", "customer_id": site.customer});
    let contract = t.ok("contract_create", new).await["id"].clone();
    for (cena, rabat) in [("1999.99", json!("200.49")), ("0.50", Value::Null)] {
        t.ok("contract_appliance_create", json!({"contract_id": contract, "cena": cena, "rabat": rabat})).await;
    }
    let valued = t.ok("contract_valuation_create", json!({"contract_id": contract, "meble": "1000"})).await;
    assert_eq!(valued["sprzet"], "1800.00");
    let balance = t.ok("contract_balance_show", json!({"id": contract})).await;
    assert_eq!(balance["suma"], "2800.00");
    // Agreed upon from then on: another appliance changes nothing by itself, and what is given stands.
    t.ok("contract_appliance_create", json!({"contract_id": contract, "cena": 5})).await;
    assert_eq!(t.ok("contract_balance_show", json!({"id": contract})).await["suma"], "2800.00");
    t.ok("contract_valuation_delete", json!({"id": valued["id"]})).await;
    let given = t.ok("contract_valuation_create", json!({"contract_id": contract, "sprzet": "7"})).await;
    assert_eq!(given["sprzet"], "7.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_moves_and_goes_with_its_contract() {
    let site = Site::new().await;
    let t = &site.t;
    let branch = t.ok("organization_create", json!({"name": "Oddział Kraków"})).await["id"].clone();
    for (family, create, _) in FAMILIES {
        let mut elsewhere = site.create(&site.contract, create);
        elsewhere["organization_id"] = branch.clone();
        let error = t.err(tool(family, "create"), elsewhere).await;
        assert_eq!(error["message"], "/organization_id: is always the one of the contract; leave it out", "{family}");
        t.ok(tool(family, "create"), site.create(&site.contract, create)).await;
    }
    t.ok("contract_update", json!({"id": site.contract, "organization_id": branch})).await;
    for (family, ..) in FAMILIES {
        let found = t.ok(tool(family, "list"), json!({"contract_id": site.contract})).await;
        for row in found["items"].as_array().unwrap() {
            assert_eq!(row["organization_id"], branch, "{family}");
        }
        assert!(found["total"].as_i64().unwrap() > 0, "{family}");
    }
    let paid = t.ok("contract_payment_method_list", json!({"potwierdzona": true})).await["items"][0]["id"].clone();
    t.ok("contract_payment_method_delete", json!({"id": paid})).await;
    let before = t.dump().await;
    let deleted = t.ok("contract_delete", json!({"id": site.contract})).await;
    for (family, ..) in FAMILIES {
        assert_eq!(t.ok(tool(family, "list"), json!({})).await["total"], 0, "{family}");
    }
    t.ok("action_undo", json!({"undo_token": deleted["undo_token"]})).await;
    assert_eq!(difference(&before, &t.dump().await), "");
}

/// Changes of every kind while a contract is being settled: those before it stay, those after it are refused. From the
/// moment the settlement is answered, nothing below the contract moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_changes_below_a_contract_once_it_is_settled() {
    let (rounds, mut dice) = rounds("edit and settle");
    let site = Site::new().await;
    let t = &site.t;
    let (mut made, mut refused) = (0, 0);
    for round in 0..rounds {
        let contract = site.paid(&format!("R/{round}")).await;
        let mut rows = Vec::new();
        for (family, create, update) in FAMILIES {
            rows.push((*family, t.ok(tool(family, "create"), site.create(&contract, create)).await, *update));
        }
        let mut calls = vec![("contract_settle", json!({"id": contract}))];
        while calls.len() < 31 {
            let (family, row, update) = &rows[usize::try_from(dice.below(rows.len() as u64)).unwrap()];
            calls.push(match dice.below(6) {
                0 => ("contract_settle", json!({"id": contract})),
                1 => (tool(family, "delete"), json!({"id": row["id"]})),
                2 => ("action_undo", json!({"undo_token": row["undo_token"]})),
                3 => ("contract_furniture_create", json!({"contract_id": contract, "boki": "dąb"})),
                4 if !update.is_empty() && *family != "contract_payment_method" => {
                    (tool(family, "update"), site.update(&row["id"], update))
                }
                _ => ("contract_update", json!({"id": contract, "opis": format!("{}", dice.below(9))})),
            });
        }
        let place = usize::try_from(dice.below(calls.len() as u64)).unwrap();
        calls.swap(0, place);
        // Whoever settles looks at once at what was settled.
        let watcher = async {
            loop {
                let shown = t.ok("contract_show", json!({"id": contract})).await;
                if shown["rozliczona"] == true {
                    return (shown, t.dump().await);
                }
                tokio::task::yield_now().await;
            }
        };
        let ((shown, settled), outcomes) = tokio::join!(watcher, async { at_once(t, calls.clone()).await });
        let (done, codes) = sorted(&outcomes);
        let won = done.iter().filter(|answer| answer.get("rozliczona_at").is_some() && answer["ok"] == true).count();
        assert_eq!(won, 1, "{outcomes:?}");
        assert!(codes.iter().all(|code| ["impossible_state", "conflict", "not_found"].contains(code)), "{outcomes:?}");
        assert_eq!(difference(&settled, &t.dump().await), "", "{shown}");
        made += done.len();
        refused += outcomes.len() - done.len();
    }
    assert!(made > 0 && refused > 0, "{made} made, {refused} refused: nothing was tested");
    println!("{made} calls carried out, {refused} refused, 0 after a settlement");
}

/// A customer who is merged while the contract is being settled: both happen, whichever comes first.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_merge_of_the_customer_and_a_settlement_do_not_lose_each_other() {
    let (rounds, mut dice) = rounds("merge and settle");
    let mut site = Site::new().await;
    for round in 0..rounds {
        site.customer = site.t.ok("person_create", json!({"name": format!("Jan {round}")})).await["id"].clone();
        let primary = site.t.ok("person_create", json!({"name": format!("Jan Hurt {round}")})).await["id"].clone();
        let contract = site.paid(&format!("M/{round}")).await;
        let calls = (0..32).map(|place| match (place, dice.below(3)) {
            (0, _) | (2.., 0) => ("contract_settle", json!({"id": contract})),
            (1, _) | (2.., 1) => ("person_merge", json!({"primary_id": primary, "duplicate_ids": [site.customer]})),
            _ => ("contract_furniture_create", json!({"contract_id": contract, "boki": "dąb"})),
        });
        let calls: Vec<_> = calls.collect();
        let outcomes = at_once(&site.t, calls.clone()).await;
        let count = |tool: &str| {
            let of_tool = calls.iter().zip(&outcomes).filter(|((called, _), _)| *called == tool);
            of_tool.filter(|(_, (_, is_error))| !is_error).count()
        };
        assert_eq!(count("contract_settle"), 1, "{outcomes:?}");
        let (_, codes) = sorted(&outcomes);
        assert!(codes.iter().all(|code| ["impossible_state", "conflict"].contains(code)), "{outcomes:?}");
        let merges = calls.iter().filter(|(tool, _)| *tool == "person_merge").count();
        assert_eq!(count("person_merge"), merges, "{outcomes:?}");
        let shown = site.t.ok("contract_show", json!({"id": contract})).await;
        assert_eq!((&shown["rozliczona"], &shown["customer_id"]), (&json!(true), &primary), "{shown}");
        let furniture = site.t.ok("contract_furniture_list", json!({"contract_id": contract})).await;
        assert_eq!(furniture["total"], count("contract_furniture_create"), "{furniture}");
    }
}
