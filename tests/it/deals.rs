//! Deals, the pipelines they pass through, and activities.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::races::{at_once, rounds, sorted};
use crate::support::Tester;

/// The member of an answer at a path.
fn pick(answer: &Value, names: &[&str]) -> Value {
    Value::Object(names.iter().map(|name| ((*name).to_owned(), answer[*name].clone())).collect())
}

const PLACE: &[&str] = &["status", "pipeline_stage", "probability", "closed_at", "lost_reason"];

async fn deal(t: &Tester, mut arguments: Value) -> Value {
    if arguments.get("title").is_none() && arguments.get("name").is_none() {
        arguments["title"] = json!("Kuchnia");
    }
    t.ok("deal_create", arguments).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_passes_through_its_pipeline() {
    let t = Tester::new().await;
    let made = deal(&t, json!({"lead_value": "1000.10"})).await;
    assert_eq!(
        pick(&made, PLACE),
        json!({"status": "open", "pipeline_stage": "new", "probability": 10, "closed_at": null, "lost_reason": null})
    );
    assert_eq!(
        (&made["value_net"], &made["weighted_value"], &made["currency"]),
        (&json!("1000.10"), &json!("100.01"), &json!("USD"))
    );
    let moved = t.ok("deal_stage_move", json!({"id": made["id"], "stage_code": "proposal"})).await;
    assert_eq!(
        pick(&moved, PLACE),
        json!({"status": "open", "pipeline_stage": "proposal", "probability": 50, "closed_at": null, "lost_reason": null})
    );
    // The same stage is no move.
    t.ok("deal_stage_move", json!({"id": made["id"], "stage": moved["stage"]})).await;
    t.bureau.clock.advance_seconds(60);
    let won = t.ok("deal_win", json!({"id": made["id"]})).await;
    assert_eq!(
        pick(&won, PLACE),
        json!({"status": "won", "pipeline_stage": "won", "probability": 100, "closed_at": "2026-11-21T10:01:00Z", "lost_reason": null})
    );
    let lost = t.ok("deal_lose", json!({"id": made["id"], "lost_reason": "cena"})).await;
    assert_eq!(
        (&lost["status"], &lost["lost_reason"], &lost["probability"]),
        (&json!("lost"), &json!("cena"), &json!(0))
    );
    let again = t.ok("deal_lose", json!({"id": made["id"], "lost_reason": "termin"})).await;
    assert_eq!((&again["lost_reason"], &again["closed_at"]), (&json!("termin"), &lost["closed_at"]));
    // A closed deal that moves to an open stage is open again.
    let open = t.ok("deal_update", json!({"id": made["id"], "stage_code": "negotiation"})).await;
    assert_eq!(
        pick(&open, PLACE),
        json!({"status": "open", "pipeline_stage": "negotiation", "probability": 75, "closed_at": null, "lost_reason": null})
    );
    let history = t.ok("activity_list", json!({"deal": made["id"]})).await;
    let moves: Vec<&Value> = history["items"].as_array().unwrap().iter().map(|note| &note["body"]).collect();
    assert_eq!(json!(moves), json!(["Lost → Negotiation", "Won → Lost", "Proposal → Won", "New → Proposal"]));
    assert_eq!(history["items"][0]["deal_title"], "Kuchnia");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stage_is_the_truth() {
    let t = Tester::new().await;
    let made = deal(&t, json!({})).await;
    let id = &made["id"];
    assert_eq!(
        t.err("deal_update", json!({"id": id, "status": "won", "stage_code": "proposal"})).await["message"],
        "/status: follows from the stage: at proposal a deal is open; leave it out, or name another stage"
    );
    assert_eq!(
        t.err("deal_update", json!({"id": id, "status": "wstrzymana"})).await["message"],
        "/status: the pipeline has no stage wstrzymana; it has new, qualified, proposal, negotiation, won, lost"
    );
    assert_eq!(
        t.err("deal_stage_move", json!({"id": id, "stage_code": "x"})).await["message"],
        "/stage_code: the pipeline has no stage x; it has new, qualified, proposal, negotiation, won, lost"
    );
    assert_eq!(t.err("deal_stage_move", json!({"id": id})).await["message"], "/stage: is required, or stage_code");
    assert_eq!(
        t.err("deal_update", json!({"id": id, "lost_reason": "x"})).await["message"],
        "/lost_reason: only a lost deal has one; deal_lose loses it"
    );
    // A status that names a stage, or an outcome, moves the deal there.
    assert_eq!(t.ok("deal_update", json!({"id": id, "status": "Negotiation"})).await["pipeline_stage"], "negotiation");
    assert_eq!(t.ok("deal_update", json!({"id": id, "closed": "win"})).await["pipeline_stage"], "won");
    let other = t.ok("pipeline_create", json!({"name": "Biura"})).await;
    let stage =
        t.ok("pipeline_stage_create", json!({"pipeline": other["id"], "name": "Rozmowa", "probability": 5})).await;
    let elsewhere = "/stage: is a stage of another pipeline; pipeline_stage_list shows those of the deal's";
    assert_eq!(t.err("deal_stage_move", json!({"id": id, "stage": stage["id"]})).await["message"], elsewhere);
    let moved = t.ok("deal_update", json!({"id": id, "pipeline": other["id"]})).await;
    assert_eq!((&moved["pipeline_stage"], &moved["status"]), (&json!("rozmowa"), &json!("open")));
    assert_eq!(
        t.err("pipeline_stage_delete", json!({"id": stage["id"]})).await["code"],
        "conflict",
        "a deal stands in it"
    );
    assert_eq!(t.err("pipeline_delete", json!({"id": other["id"]})).await["code"], "conflict");
    assert_eq!(
        t.err("pipeline_stage_update", json!({"id": stage["id"], "is_won": true})).await["message"],
        "Deals stand in the stage rozmowa, so whether it closes them cannot change. Move them with deal_stage_move first."
    );
    // Outside of pipelines the status is free.
    let free = deal(&t, json!({"status": "w zawieszeniu"})).await;
    assert_eq!(
        (&free["pipeline"], &free["status"], &free["closed_at"]),
        (&Value::Null, &json!("w zawieszeniu"), &Value::Null)
    );
    let won = t.ok("deal_win", json!({"id": free["id"]})).await;
    assert_eq!((&won["status"], won["closed_at"].is_null()), (&json!("won"), false));
    assert_eq!(
        t.err("deal_stage_move", json!({"id": free["id"], "stage_code": "new"})).await["message"],
        "The deal is in no pipeline. Put it into one with deal_update (pipeline), or set its status there."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deals_people_companies_and_values_are_checked() {
    let t = Tester::new().await;
    let company = t.ok("company_create", json!({"name": "Meble Żółć"})).await["id"].clone();
    let other = t.ok("company_create", json!({"name": "Inna"})).await["id"].clone();
    let ewa = t.ok("person_create", json!({"name": "Ewa Król", "organization": company})).await["id"].clone();
    let jan = t.ok("person_create", json!({"name": "Jan Lis"})).await["id"].clone();
    assert_eq!(
        t.err("deal_create", json!({"title": "x", "person": ewa, "organization": other})).await["message"],
        "/organization: is not the company of the person; leave it out, or name it among companies"
    );
    let made = deal(&t, json!({"person": ewa, "organization": company, "personIds": [jan]})).await;
    let names = |list: &Value| list.as_array().unwrap().iter().map(|one| one["name"].clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(&made["people"]), names(&made["companies"])),
        (vec![json!("Ewa Król"), json!("Jan Lis")], vec![json!("Meble Żółć")])
    );
    assert_eq!((&made["person"], &made["organization"]), (&ewa, &company));
    let turned = t.ok("deal_update", json!({"id": made["id"], "people": [jan, ewa]})).await;
    assert_eq!((names(&turned["people"]), &turned["person"]), (vec![json!("Jan Lis"), json!("Ewa Król")], &jan));
    let client = t.ok("deal_update", json!({"id": made["id"], "client_id": other})).await;
    assert_eq!(names(&client["companies"]), ["Inna", "Meble Żółć"]);
    for (filter, total) in [
        (json!({"person": ewa}), 1),
        (json!({"organization": other}), 1),
        (json!({"client_id": jan}), 1),
        (json!({"organization": jan}), 0),
    ] {
        assert_eq!(t.ok("deal_list", filter.clone()).await["total"], total, "{filter}");
    }
    assert_eq!(
        t.err("deal_create", json!({"title": "x", "people": [company]})).await["message"],
        format!("/people/0: there is no person {}; use person_list to find it", company.as_str().unwrap())
    );
    for (arguments, message) in [
        (json!({"value_net": "100", "value_gross": "99.99"}), "/value_gross: must be at least the net value, 100.00"),
        (json!({"value_net": "1000000000000"}), "/value_net: must be below 1000000000000"),
        (json!({"currency": "zł"}), "/currency: expected three letters, such as PLN; see currency_dictionary_show"),
        (
            json!({"date_from": "2026-12-02", "date_to": "2026-12-01"}),
            "/date_to: must not be before date_from, 2026-12-02",
        ),
    ] {
        let mut arguments = arguments;
        arguments["title"] = json!("x");
        assert_eq!(t.err("deal_create", arguments.clone()).await["message"], message, "{arguments}");
    }
    // A person who goes leaves the deal behind.
    t.ok("person_delete", json!({"id": jan})).await;
    assert_eq!(t.ok("deal_show", json!({"id": made["id"]})).await["person"], ewa);
    let replaced = t.ok("deal_replace", json!({"id": made["id"], "title": "Szafa"})).await;
    assert_eq!(
        (&replaced["title"], &replaced["person"], &replaced["pipeline_stage"], &replaced["value_net"]),
        (&json!("Szafa"), &ewa, &json!("new"), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deals_are_found_by_what_a_person_would_ask() {
    let t = Tester::new().await;
    let source = t.ok("lead_source_list", json!({"q": "referral"})).await["items"][0]["id"].clone();
    let tag = t.ok("tag_create", json!({"name": "vip"})).await["id"].clone();
    deal(&t, json!({"title": "Kuchnia Łódź", "value_net": 300, "source_id": source, "expected_close_date": "2026-12-01", "tags": [tag]})).await;
    deal(&t, json!({"title": "Blat", "value_net": 100, "expected_close": "2026-11-30", "external_id": "7"})).await;
    deal(
        &t,
        json!({"title": "Szafa", "value_net": 200, "closed": "lost", "lost_reason": "cena", "date": "2026-11-21"}),
    )
    .await;
    let titles = async |arguments: Value| {
        let found = t.ok("deal_list", arguments).await;
        found["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|deal| deal["title"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(titles(json!({})).await, ["Szafa", "Blat", "Kuchnia Łódź"]);
    assert_eq!(titles(json!({"q": "lodz"})).await, ["Kuchnia Łódź"]);
    assert_eq!(titles(json!({"status": "open", "sort": "value_net"})).await, ["Kuchnia Łódź", "Blat"]);
    assert_eq!(titles(json!({"sort": "expected_close"})).await, ["Blat", "Kuchnia Łódź", "Szafa"]);
    assert_eq!(titles(json!({"sort": "title", "order": "desc"})).await, ["Szafa", "Kuchnia Łódź", "Blat"]);
    assert_eq!(titles(json!({"value_from": "150", "value_to": "250"})).await, ["Szafa"]);
    assert_eq!(titles(json!({"source_id": source})).await, ["Kuchnia Łódź"]);
    assert_eq!(titles(json!({"tags": [tag]})).await, ["Kuchnia Łódź"]);
    assert_eq!(titles(json!({"expected_close_to": "2026-11-30"})).await, ["Blat"]);
    assert_eq!(titles(json!({"main_date_from": "2026-11-21"})).await, ["Szafa"]);
    let owner = t.ok("user_list", json!({})).await["items"][0]["id"].clone();
    assert_eq!(titles(json!({"pipeline_stage": "new", "owner": owner})).await, ["Blat", "Kuchnia Łódź"]);
    assert_eq!(t.ok("deal_external_find", json!({"external_id": "7"})).await["title"], "Blat");
    assert_eq!(
        t.err("deal_external_find", json!({"external_id": "8", "app_code": "sklep"})).await["message"],
        "There is no deal with the external id 8 of sklep. deal_list shows all deals."
    );
    t.bureau.clock.advance_seconds(31 * 24 * 60 * 60);
    let rotten = t.ok("deal_list", json!({"status": "open"})).await;
    assert!(rotten["items"].as_array().unwrap().iter().all(|deal| deal["is_rotten"] == true));
    t.ok("lead_source_delete", json!({"id": source})).await;
    assert_eq!(t.ok("deal_list", json!({"q": "lodz"})).await["items"][0]["source_id"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_have_one_default_and_stages_their_order() {
    let t = Tester::new().await;
    let made = t.ok("pipeline_create", json!({"name": "Продажі", "is_default": true})).await;
    assert_eq!((&made["code"], &made["rotten_days"]), (&json!("pipeline"), &json!(30)));
    let all = t.ok("pipeline_list", json!({})).await;
    let defaults: Vec<&Value> =
        all["items"].as_array().unwrap().iter().map(|pipeline| &pipeline["is_default"]).collect();
    assert_eq!(json!(defaults), json!([false, true]));
    assert_eq!(
        t.err("pipeline_create", json!({"name": "X", "code": "sales"})).await["message"],
        "/code: there is a pipeline sales already; choose another code"
    );
    assert_eq!(
        t.err("deal_create", json!({"title": "x"})).await["message"],
        "The pipeline has no such stage. Add one with pipeline_stage_create, or name another stage."
    );
    for name in ["Nowa", "Oferta", "Umowa"] {
        t.ok("deal_status_create", json!({"name": name})).await;
    }
    let won = t.ok("pipeline_stage_create", json!({"name": "Wygrana", "is_won": true})).await;
    assert_eq!((&won["closed"], &won["sort_order"]), (&json!(true), &json!(4)));
    assert_eq!(
        t.err("pipeline_stage_update", json!({"id": won["id"], "is_lost": true})).await["message"],
        "/is_lost: a stage is won or lost, not both"
    );
    let names = async || {
        let listed = t.ok("deal_status_list", json!({})).await;
        listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|status| status["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let statuses = t.ok("deal_status_list", json!({})).await;
    t.ok("deal_status_move_up", json!({"id": statuses["items"][2]["id"]})).await;
    assert_eq!(names().await, ["Nowa", "Umowa", "Oferta", "Wygrana"]);
    t.ok("deal_status_move_up", json!({"id": statuses["items"][0]["id"]})).await;
    t.ok("deal_status_move_down", json!({"id": statuses["items"][2]["id"]})).await;
    assert_eq!(names().await, ["Nowa", "Oferta", "Umowa", "Wygrana"]);
    assert_eq!(t.ok("deal_status_show", json!({"id": won["id"]})).await["outcome"], "win");
    assert_eq!(
        t.err("deal_status_update", json!({"id": won["id"], "closed": false})).await["message"],
        "/closed: a stage that wins or loses deals closes them; take is_won or is_lost off too"
    );
    // A stage of another pipeline is no status.
    let sales = t.ok("pipeline_stage_list", json!({"pipeline": all["items"][0]["id"]})).await;
    assert_eq!(sales["total"], 6);
    assert_eq!(t.err("deal_status_delete", json!({"id": sales["items"][0]["id"]})).await["code"], "not_found");
    t.ok("deal_status_delete", json!({"id": statuses["items"][2]["id"]})).await;
    t.ok("pipeline_delete", json!({"id": made["id"]})).await;
    assert_eq!(
        t.err("deal_status_list", json!({})).await["message"],
        "/pipeline: there is no default pipeline: name one (pipeline_list), or make one with is_default"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn activities_hang_on_customers_and_deals() {
    let t = Tester::new().await;
    let ewa = t.ok("person_create", json!({"name": "Ewa Król"})).await["id"].clone();
    let jan = t.ok("person_create", json!({"name": "Jan Lis"})).await["id"].clone();
    let made = deal(&t, json!({"person": ewa})).await["id"].clone();
    assert_eq!(
        t.err("activity_create", json!({"type": "call"})).await["message"],
        "/entity_id: give the person or company (entity_id), or the deal, or both"
    );
    assert_eq!(
        t.err("activity_create", json!({"type": "call", "entityId": jan, "dealId": made})).await["message"],
        "/deal: the person or company takes no part in this deal; leave one of the two out, or add it with deal_update (people, companies)"
    );
    assert_eq!(
        t.err("activity_create", json!({"type": "wizyta", "entityId": ewa})).await["message"],
        "/activity_type: expected one of call, deadline, email, lunch, meeting, note, task, got wizyta; \
         customer_dictionary_entry_create (kind: activity_type) adds a value"
    );
    let call = t.ok("activity_create", json!({"type": "CALL", "entityId": ewa, "subject": "Oferta"})).await;
    assert_eq!(
        pick(&call, &["activity_type", "title", "occurred_at", "schedule_from", "is_done", "author_name"]),
        json!({"activity_type": "call", "title": "Oferta", "occurred_at": "2026-11-21T10:00:00Z", "schedule_from": null, "is_done": false, "author_name": "Owner"})
    );
    let plan = json!({"activity_type": "meeting", "deal": made, "schedule_from": "2026-11-24T09:00:00Z", "schedule_to": "2026-11-24T08:00:00Z"});
    assert_eq!(
        t.err("activity_create", plan).await["message"],
        "/schedule_to: must not be before schedule_from, 2026-11-24T09:00:00Z"
    );
    let meeting = t
        .ok(
            "activity_create",
            json!({"activity_type": "meeting", "deal": made, "schedule_from": "2026-11-24T09:00:00Z"}),
        )
        .await;
    assert_eq!((&meeting["occurred_at"], &meeting["entity_id"], &meeting["deal"]), (&Value::Null, &Value::Null, &made));
    t.bureau.clock.advance_seconds(60);
    let done = t.ok("activity_complete", json!({"id": meeting["id"]})).await;
    assert_eq!((&done["is_done"], &done["done_at"]), (&json!(true), &json!("2026-11-21T10:01:00Z")));
    t.bureau.clock.advance_seconds(60);
    let again = t.ok("activity_complete", json!({"id": meeting["id"]})).await;
    assert_eq!((&again["done_at"], &again["version"]), (&done["done_at"], &done["version"]));
    assert_eq!(t.ok("activity_update", json!({"id": meeting["id"], "is_done": false})).await["done_at"], Value::Null);
    for (filter, total) in [
        (json!({"entityId": ewa}), 1),
        (json!({"dealId": made}), 1),
        (json!({"type": "meeting", "is_done": false}), 1),
        (json!({"schedule_from_from": "2026-11-24T00:00:00Z"}), 1),
        (json!({"occurred_to": "2026-11-21T09:00:00Z"}), 0),
        (json!({"q": "oferta"}), 1),
    ] {
        assert_eq!(t.ok("activity_list", filter.clone()).await["total"], total, "{filter}");
    }
    // What a person took part in stays with the deal when the person goes.
    t.ok("activity_create", json!({"type": "email", "entityId": ewa, "dealId": made})).await;
    t.ok("person_delete", json!({"id": ewa})).await;
    let left = t.ok("activity_list", json!({"dealId": made})).await;
    assert_eq!((&left["total"], &t.ok("activity_list", json!({})).await["total"]), (&json!(2), &json!(2)));
    let tags = t.ok("tag_create", json!({"name": "pilne", "color": "#ff0000"})).await;
    let replaced = t.ok("tag_replace", json!({"id": tags["id"], "name": "bardzo pilne"})).await;
    assert_eq!(
        (&replaced["name"], &replaced["slug"], &replaced["color"]),
        (&json!("bardzo pilne"), &json!("pilne"), &json!("#888888"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn moves_at_once_leave_one_unbroken_history() {
    let (rounds, mut dice) = rounds("deal moves");
    let t = Tester::new().await;
    let stages = ["new", "qualified", "proposal", "negotiation"];
    for round in 0..rounds {
        let made = deal(&t, json!({"title": format!("Szansa {round}")})).await["id"].clone();
        let calls: Vec<(&'static str, Value)> = (0..32)
            .map(|_| match dice.below(6) {
                4 => ("deal_win", json!({"id": made})),
                5 => ("deal_lose", json!({"id": made, "lost_reason": "cena"})),
                stage => {
                    ("deal_stage_move", json!({"id": made, "stage_code": stages[usize::try_from(stage).unwrap()]}))
                }
            })
            .collect();
        let outcomes = at_once(&t, calls).await;
        assert_eq!(sorted(&outcomes).0.len(), 32, "{outcomes:?}");
        let end = t.ok("deal_show", json!({"id": made})).await;
        // The moves form one chain from the first stage to the present one. Ids tell no order at one instant, so it is walked.
        let history = t.ok("activity_list", json!({"deal": made, "page_size": 100, "order": "asc"})).await;
        let mut at = "New".to_owned();
        for note in history["items"].as_array().unwrap() {
            let (from, to) = note["body"].as_str().unwrap().split_once(" → ").unwrap();
            assert_eq!(from, at, "{history}");
            at = to.to_owned();
        }
        assert_eq!(end["stage_name"], json!(at));
        let closed = matches!(end["status"].as_str().unwrap(), "won" | "lost");
        assert_eq!(closed, !end["closed_at"].is_null());
        assert_eq!(end["status"] == "lost", !end["lost_reason"].is_null());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_default_and_one_external_id_at_once() {
    let (rounds, _) = rounds("defaults and external ids");
    let t = Tester::new().await;
    for round in 0..rounds {
        let defaults = (0..8)
            .map(|number| ("pipeline_create", json!({"name": format!("Lejek {round}-{number}"), "is_default": true})));
        let outcomes = at_once(&t, defaults).await;
        assert_eq!(sorted(&outcomes).0.len(), 8, "{outcomes:?}");
        let all = t.ok("pipeline_list", json!({"page_size": 100})).await;
        let count = all["items"].as_array().unwrap().iter().filter(|pipeline| pipeline["is_default"] == true).count();
        assert_eq!(count, 1);
    }
    let sales = t.ok("pipeline_list", json!({"q": "sales"})).await["items"][0]["id"].clone();
    for round in 0..rounds {
        let wish =
            json!({"title": "Kuchnia", "pipeline": sales, "external_id": format!("D-{round}"), "app_code": "sklep"});
        let outcomes = at_once(&t, (0..16).map(|_| ("deal_create", wish.clone()))).await;
        let (done, _) = sorted(&outcomes);
        let refused: BTreeSet<&str> = outcomes
            .iter()
            .filter(|(_, is_error)| *is_error)
            .map(|(answer, _)| answer["message"].as_str().unwrap())
            .collect();
        let message =
            format!("/external_id: another deal has the external id D-{round} already; deal_external_find shows it");
        assert_eq!((done.len(), refused), (1, BTreeSet::from([message.as_str()])));
    }
}
