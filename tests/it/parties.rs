//! One party model: registers' numbers, clients and contacts in Intum's words, duplicates, merges.

use std::time::Instant;

use bureau_crm::add_party;
use bureau_kit::record::Values;
use serde_json::{Value, json};

use crate::races::{CROWD, at_once, rounds, sorted};
use crate::support::Tester;

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_checked_and_kept_plain() {
    let t = Tester::new().await;
    let company = t
        .ok(
            "company_create",
            json!({
                "name": "Meble Żółć", "nip": "PL 526-025-09-95", "regon": "123 456 785", "krs": "0000028860",
                "bank_account": "61 1090 1014 0000 0712 1981 2874", "domain": "Meble.Example", "annualRevenue": 1000,
            }),
        )
        .await;
    for (name, kept) in [
        ("nip", "5260250995"),
        ("regon", "123456785"),
        ("krs", "0000028860"),
        ("bank_account", "PL61109010140000071219812874"),
        ("domain", "meble.example"),
        ("annual_revenue", "1000.00"),
    ] {
        assert_eq!(company[name], kept, "{name}");
    }
    assert_eq!(
        t.err("company_update", json!({"id": company["id"], "nip": "5260250994", "regon": "1"})).await["message"],
        "/nip: is no NIP: its check digit does not fit, so one of the digits is wrong; /regon: is no REGON: it has 9 or 14 digits, not 1"
    );
    assert_eq!(
        t.err("person_create", json!({"name": "A", "pesel": "44051401358"})).await["message"],
        "/pesel: is no PESEL: its check digit does not fit, so one of the digits is wrong"
    );
    assert_eq!(t.ok("company_update", json!({"id": company["id"], "nip": null})).await["nip"], Value::Null);
    let replaced = t.ok("company_replace", json!({"id": company["id"], "name": "Meble Żółć"})).await;
    assert_eq!((&replaced["krs"], &replaced["is_client"]), (&Value::Null, &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_number_finds_its_person() {
    let t = Tester::new().await;
    let ewa = t.ok("person_create", json!({"name": "Ewa Król", "primary_phone": "+48 500 600 799"})).await;
    for digits in ["500600799", "500-600-799", "+48500600799", "0048 500 600 799", "0799", "99 99"] {
        let found = t.ok("person_phone_check", json!({"digits": digits})).await;
        let expected = if digits == "99 99" { Value::Null } else { ewa["id"].clone() };
        assert_eq!(found["match"]["id"], expected, "{digits}");
    }
    for digits in ["799", "abc1234", ""] {
        assert_eq!(
            t.err("person_phone_check", json!({"digits": digits})).await["message"],
            "/digits: expected at least four digits of a telephone number"
        );
    }
    t.ok("person_update", json!({"id": ewa["id"], "primary_phone": null})).await;
    assert_eq!(t.ok("person_phone_check", json!({"digits": "500600799"})).await["match"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_companies_are_listed_together() {
    let t = Tester::new().await;
    t.ok("company_create", json!({"name": "Alfa", "status": "active"})).await;
    t.ok("person_create", json!({"name": "Łukasz Żak", "primary_email": "lukasz@example.org", "primary_phone": "1"}))
        .await;
    let names = async |arguments: Value| {
        let found = t.ok("customer_list", arguments).await;
        found["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["display_name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(json!({})).await, ["Łukasz Żak", "Alfa"]);
    assert_eq!(names(json!({"search": "lukasz"})).await, ["Łukasz Żak"]);
    assert_eq!(names(json!({"kind": "company"})).await, ["Alfa"]);
    assert_eq!(names(json!({"status": "active"})).await, ["Alfa"]);
    assert_eq!(names(json!({"sortField": "name"})).await, ["Alfa", "Łukasz Żak"]);
    for (filter, total) in [
        (json!({"emailStartsWith": "Luk"}), 1),
        (json!({"emailContains": "@example"}), 1),
        (json!({"email_contains": "_"}), 0),
        (json!({"hasEmail": false}), 0),
        (json!({"hasPhone": true}), 1),
    ] {
        assert_eq!(t.ok("person_list", filter.clone()).await["total"], total, "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_called_by_what_is_known() {
    let t = Tester::new().await;
    let by_mail = t
        .ok(
            "client_create",
            json!({"kind": "person", "email": "a@example.org", "phone": "601 000 000", "tags": "hurt, nowy"}),
        )
        .await;
    assert_eq!((&by_mail["name"], &by_mail["kind"]), (&json!("a@example.org"), &json!("person")));
    let tags: Vec<&Value> = by_mail["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    assert_eq!(json!(tags), json!(["hurt", "nowy"]));
    let by_phone = t.ok("client_create", json!({"phone": "602 000 000", "nip": "5260250995"})).await;
    assert_eq!((&by_phone["name"], &by_phone["kind"]), (&json!("602 000 000"), &json!("company")));
    assert_eq!(
        t.err("client_create", json!({"description": "x"})).await["message"],
        "/name: is required, or an e-mail or phone to call the client by"
    );
    let person = t.ok("person_create", json!({"name": "Nie klient"})).await;
    assert_eq!(t.err("client_show", json!({"id": person["id"]})).await["code"], "not_found");
    let kept = t.ok("client_update", json!({"id": by_mail["num"], "discount": 7, "tags": ["nowy"]})).await;
    assert_eq!(
        (&kept["name"], &kept["discount"], kept["tags"].as_array().unwrap().len()),
        (&json!("a@example.org"), &json!(7), 1)
    );
    assert_eq!(t.ok("client_list", json!({})).await["total"], 2);
    assert_eq!(t.ok("client_list", json!({"kind": "person"})).await["total"], 1);
    let people_only = t.ok("session_create", json!({"features": ["customers.people.*"]})).await;
    let people_only = t.with_token(people_only["session_token"].as_str().unwrap());
    assert_eq!(
        people_only.err("client_update", json!({"id": by_phone["id"], "status": "x"})).await,
        json!({"code": "forbidden", "message": "Clients that are companies need the right customers.companies.manage. Ask an administrator for it.", "details": {"missing": "customers.companies.manage"}})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_changes_what_is_there() {
    let t = Tester::new().await;
    let first = t.ok("client_upsert", json!({"app_code": "s", "external_id": "1", "client": {"name": "Ewa"}})).await;
    let again = t.ok("client_upsert", json!({"app_code": "s", "external_id": "1", "client": {"phone": "601"}})).await;
    assert_eq!((&first["created"], &again["created"], &again["name"]), (&json!(true), &json!(false), &json!("Ewa")));
    assert_eq!(first["id"], again["id"]);
    let other = t.ok("client_upsert", json!({"external_id": "1", "client": {"name": "Inna"}})).await;
    assert_ne!(other["id"], first["id"], "an id of no app is another id");
    assert_eq!(
        t.err("client_update", json!({"id": other["id"], "app_code": "s"})).await["message"],
        "/external_id: another person or company has the external id 1 already; client_external_find shows it"
    );
    assert_eq!(t.ok("client_external_find", json!({"app_code": "s", "external_id": "1"})).await["id"], first["id"]);
    assert_eq!(
        t.err("client_external_find", json!({"external_id": "2", "app_code": "s"})).await["message"],
        "There is no client with the external id 2 of s. client_list shows all clients."
    );
    assert_eq!(
        t.err("client_upsert", json!({"external_id": " ", "client": {}})).await["message"],
        "/external_id: must not be blank"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn options_are_set_one_by_one_and_for_many() {
    let t = Tester::new().await;
    let client = t.ok("client_create", json!({"name": "Ewa"})).await;
    let set = async |kind: &str, value: Value| {
        t.ok("client_option_change", json!({"id": client["id"], "type": kind, "value": value})).await
    };
    assert_eq!(set("status", json!("stały")).await["status"], "stały");
    assert_eq!(set("status", Value::Null).await["status"], Value::Null);
    assert_eq!(set("is_supplier", json!(true)).await["is_supplier"], true);
    assert_eq!(set("payment_period_days", json!("14")).await["payment_period_days"], 14);
    assert_eq!(set("tag_add", json!("vip")).await["tags"][0]["name"], "vip");
    assert_eq!(set("tag_remove", json!("vip")).await["tags"], json!([]));
    let owner = t.ok("user_list", json!({})).await["items"][0]["id"].clone();
    assert_eq!(set("responsible", owner.clone()).await["responsible_id"], owner);
    assert_eq!(
        t.err("client_option_change", json!({"id": client["id"], "type": "lifecycle_stage", "value": "x"})).await["message"],
        "/value: expected one of lead, qualified, opportunity, customer, churned, got \"x\""
    );
    let person = t.ok("person_create", json!({"name": "Nie klient"})).await;
    let before = t.dump().await;
    let bulk = json!({"ids": [client["id"], person["id"], client["num"]], "type": "source", "value": "targi"});
    let bulk = t.ok("client_option_bulk_change", bulk).await;
    let oks: Vec<&Value> = bulk["results"].as_array().unwrap().iter().map(|item| &item["ok"]).collect();
    assert_eq!((oks, &bulk["count"]), (vec![&json!(true), &json!(false), &json!(true)], &json!(2)));
    assert_eq!(
        bulk["results"][1]["error"]["message"],
        format!("There is no client {}. Use client_list to find the right id.", person["id"].as_str().unwrap())
    );
    t.ok("action_undo", json!({"undo_token": bulk["undo_token"]})).await;
    assert_eq!(t.dump().await, before, "one undo takes all back");
}

#[tokio::test(flavor = "multi_thread")]
async fn companies_are_merged_with_their_people_and_deals() {
    let t = Tester::new().await;
    let one = t.ok("client_create", json!({"name": "Alfa"})).await;
    let two = t.ok("client_create", json!({"name": "Alfa sp. z o.o."})).await;
    assert_eq!(two["possible_duplicates"], Value::Null, "a name alone is no hint");
    let person = t.ok("contact_create", json!({"name": "Ewa Król", "client_id": two["num"]})).await;
    let deal = t.ok("deal_create", json!({"title": "Kuchnia", "client_id": two["id"]})).await;
    let before = t.dump().await;
    assert_eq!(
        t.err("client_merge", json!({"id": one["id"], "ids": [person["id"]]})).await["message"],
        format!("/ids/0: there is no company {}; use company_list to find it", person["id"].as_str().unwrap())
    );
    assert_eq!(
        t.err("client_merge", json!({"id": one["id"], "ids": [one["num"]]})).await["message"],
        "/ids/0: a company cannot be merged into itself; leave the primary out"
    );
    let merged = t.ok("client_merge", json!({"id": one["id"], "ids": [two["id"]]})).await;
    assert_eq!((&merged["reparented"]["deals"], &merged["reparented"]["parties"]), (&json!(1), &json!(1)));
    assert_eq!(t.ok("contact_show", json!({"id": person["id"]})).await["client_id"], one["id"]);
    assert_eq!(t.ok("deal_show", json!({"id": deal["id"]})).await["organization"], one["id"]);
    let gone = t.ok("client_show", json!({"id": two["id"]})).await;
    assert_eq!((&gone["active"], &gone["merged_into"]), (&json!(false), &one["id"]));
    assert_eq!(
        t.err("client_merge", json!({"id": two["id"], "ids": [one["id"]]})).await["message"],
        format!(
            "The company {} was itself merged into {}. Merge into that one.",
            two["id"].as_str().unwrap(),
            one["id"].as_str().unwrap()
        )
    );
    t.ok("action_undo", json!({"undo_token": merged["undo_token"]})).await;
    assert_eq!(t.dump().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_people_of_companies_and_of_the_address_book() {
    let t = Tester::new().await;
    let firm = t.ok("company_create", json!({"name": "Alfa"})).await;
    let person = t.ok("person_create", json!({"name": "Prywatna"})).await;
    let member = t.ok("person_create", json!({"name": "Jan Kos", "organization": firm["id"]})).await;
    let contact =
        t.ok("contact_create", json!({"first_name": "Ewa", "last_name": "Król", "email": "ewa@example.org"})).await;
    assert_eq!(contact["name"], "Ewa Król");
    assert_eq!(t.ok("contact_list", json!({})).await["total"], 1);
    assert_eq!(t.ok("contact_list", json!({"client_id": firm["id"]})).await["items"][0]["id"], member["id"]);
    assert_eq!(t.ok("contact_search", json!({"q": "krol"})).await["items"][0]["id"], contact["id"]);
    assert_eq!(
        t.err("contact_search", json!({"q": " "})).await["message"],
        "/q: is required, or email; contact_list shows all contacts"
    );
    assert_eq!(t.err("contact_show", json!({"id": person["id"]})).await["code"], "not_found");
    assert_eq!(
        t.err("contact_update", json!({"id": contact["id"], "client_id": person["id"]})).await["message"],
        format!("/client_id: there is no company {}; use company_list to find it", person["id"].as_str().unwrap())
    );
    let changed =
        t.ok("contact_update", json!({"id": contact["id"], "last_name": "Nowak", "client_id": firm["num"]})).await;
    assert_eq!((&changed["name"], &changed["client_id"]), (&json!("Ewa Nowak"), &firm["id"]));
    assert_eq!(t.ok("contact_create", json!({"phone": "601 000 000"})).await["name"], "601 000 000");
    t.ok("contact_delete", json!({"id": contact["id"]})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_come_best_first_with_their_reasons() {
    let t = Tester::new().await;
    let anna = t
        .ok(
            "person_create",
            json!({"name": "Łucja Nowak", "primary_email": "l@example.org", "primary_phone": "601234567"}),
        )
        .await;
    assert_eq!(anna.get("possible_duplicates"), None);
    let twin = t.ok("person_create", json!({"name": "NOWAK Lucja", "primary_email": "L@example.org"})).await;
    assert_eq!(twin["possible_duplicates"], json!([anna["id"]]));
    let phone = t.ok("person_create", json!({"name": "Inna", "primary_phone": "+48 601 234 567"})).await;
    // A company is no duplicate of a person.
    t.ok("company_create", json!({"name": "Łucja Nowak", "primary_email": "l@example.org"})).await;
    let found = t.ok("duplicate_list", json!({})).await;
    let pairs: Vec<Value> = found["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| json!([pair["score"], pair["reasons"], pair["first"]["id"], pair["second"]["id"]]))
        .collect();
    assert_eq!(
        pairs,
        [json!([100, ["e-mail", "name"], anna["id"], twin["id"]]), json!([60, ["telephone"], anna["id"], phone["id"]]),]
    );
    assert_eq!((&found["total"], &found["total_is_exact"]), (&json!(2), &json!(true)));
    assert_eq!(t.ok("duplicate_list", json!({"min_score": 61})).await["total"], 1);
    assert_eq!(t.ok("duplicate_list", json!({"kind": "company"})).await["total"], 0);
    let of_phone = t.ok("duplicate_list", json!({"id": phone["id"]})).await;
    assert_eq!((&of_phone["total"], &of_phone["items"][0]["first"]["id"]), (&json!(1), &anna["id"]));
    t.ok("person_merge", json!({"primary_id": anna["id"], "duplicate_ids": [twin["id"]]})).await;
    t.ok("person_update", json!({"id": phone["id"], "primary_phone": "602"})).await;
    assert_eq!(t.ok("duplicate_list", json!({})).await["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_many_share_makes_no_pairs_and_nobody_sees_beyond_their_reach() {
    let t = Tester::new().await;
    for number in 0..21 {
        t.ok("person_create", json!({"name": format!("Osoba {number}"), "primary_email": "biuro@example.org"})).await;
    }
    assert_eq!(t.ok("duplicate_list", json!({})).await["total"], 0);
    let branch = t.ok("organization_create", json!({"name": "Oddział"})).await;
    let other = t.ok("organization_create", json!({"name": "Inny"})).await;
    t.ok("person_create", json!({"name": "Jan Kos", "organization_id": branch["id"]})).await;
    t.ok("person_create", json!({"name": "Kos Jan", "organization_id": other["id"]})).await;
    assert_eq!(t.ok("duplicate_list", json!({})).await["total"], 1);
    let session = t.ok("session_create", json!({"label": "x", "organization_id": branch["id"]})).await;
    let limited = t.with_token(session["session_token"].as_str().unwrap());
    assert_eq!(limited.ok("duplicate_list", json!({})).await["total"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tax_number_may_be_there_many_times() {
    let t = Tester::new().await;
    let calls = (0..CROWD).map(|number| ("company_create", json!({"name": format!("F{number}"), "nip": "5260250995"})));
    let outcomes = at_once(&t, calls).await;
    assert_eq!(sorted(&outcomes).0.len(), CROWD, "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_upserts_at_once_make_one_client() {
    let (rounds, mut dice) = rounds("upsert");
    let t = Tester::new().await;
    for round in 0..rounds {
        let id = format!("{round}-{}", dice.below(1000));
        let call = json!({"app_code": "s", "external_id": id, "client": {"name": format!("Klient {round}")}});
        let outcomes = at_once(&t, (0..CROWD).map(|_| ("client_upsert", call.clone()))).await;
        let (done, refused) = sorted(&outcomes);
        assert!(refused.is_empty(), "{outcomes:?}");
        assert_eq!(done.iter().filter(|answer| answer["created"] == true).count(), 1);
        assert!(done.iter().all(|answer| answer["id"] == done[0]["id"]));
    }
    assert_eq!(t.ok("client_list", json!({})).await["total"], rounds);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn merges_both_ways_and_changes_at_once_leave_one() {
    let (rounds, mut dice) = rounds("client merge");
    let t = Tester::new().await;
    for round in 0..rounds {
        let mut ids = Vec::new();
        for name in ["A", "B"] {
            ids.push(t.ok("client_create", json!({"name": format!("{name}{round}")})).await["id"].clone());
        }
        let deal = t.ok("deal_create", json!({"title": "Kuchnia", "companies": [ids[0], ids[1]]})).await["id"].clone();
        let calls: Vec<_> = (0..CROWD)
            .map(|_| match dice.below(3) {
                0 => ("client_merge", json!({"id": ids[0], "ids": [ids[1]]})),
                1 => ("client_merge", json!({"id": ids[1], "ids": [ids[0]]})),
                _ => ("client_update", json!({"id": ids[0], "status": format!("s{}", dice.below(9))})),
            })
            .collect();
        let outcomes = at_once(&t, calls).await;
        let refused = sorted(&outcomes).1;
        assert!(refused.iter().all(|code| ["conflict", "impossible_state"].contains(code)), "{outcomes:?}");
        let mut active = Vec::new();
        for id in &ids {
            let client = t.ok("client_show", json!({"id": id})).await;
            assert_eq!(client["active"] == true, client["merged_into"].is_null());
            if client["active"] == true {
                active.push(id.clone());
            }
        }
        assert_eq!(active.len(), 1, "round {round}");
        let companies = t.ok("deal_show", json!({"id": deal})).await["companies"].clone();
        assert_eq!((companies.as_array().unwrap().len(), &companies[0]["id"]), (1, &active[0]), "round {round}");
    }
}

/// Prints how long the search takes with 100,000 people:
/// `cargo test --release --test it duplicates_of_many -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a while; prints figures"]
async fn duplicates_of_many() {
    let t = Tester::new().await;
    for block in 0..100 {
        let stored = t.bureau.as_system(t.tenant_id, None, "test", move |ctx| {
            Box::pin(async move {
                for row in 0..1000 {
                    let number = block * 1000 + row;
                    let values = Values::new()
                        .with("kind", "person")
                        .with("display_name", format!("Osoba {} {}", number % 95_000, number % 7))
                        .with("primary_email", format!("o{}@example.org", number % 99_000))
                        .with("primary_phone", format!("6{:08}", number % 98_000));
                    add_party(ctx, values).await?;
                }
                Ok(())
            })
        });
        stored.await.unwrap();
    }
    let one = t.ok("person_list", json!({"page_size": 1})).await["items"][0]["id"].clone();
    for (what, arguments) in
        [("all", json!({})), ("one", json!({"id": one})), ("all", json!({})), ("one", json!({"id": one}))]
    {
        let start = Instant::now();
        let found = t.ok("duplicate_list", arguments).await;
        println!("{what}: {:?}, {} pairs, exact {}", start.elapsed(), found["total"], found["total_is_exact"]);
    }
}
