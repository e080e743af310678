//! The calendar: blocked days, nobody in two places at once, what was moved stays on record, iCalendar files.

use serde_json::{Value, json};

use crate::finance::{own_id, person};
use crate::races::{CROWD, at_once, rounds, sorted};
use crate::support::Tester;

fn event(worker: &Value, from: &str, to: &str) -> Value {
    json!({"pracownik_id": worker, "data": from, "koniec": to, "typ": "montaz_kuchni"})
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_booked_twice() {
    let owner = Tester::new().await;
    let (_, anna) = person(&owner, "Anna", "user").await;
    let (_, piotr) = person(&owner, "Piotr", "user").await;
    let morning = owner.ok("calendar_event_create", event(&anna, "2026-11-23T08:00:00Z", "2026-11-23T12:00:00Z")).await;
    let clash = json!({
        "code": "conflict",
        "message": "Anna Test is booked from 2026-11-23T08:00:00Z to 2026-11-23T12:00:00Z already: event 1 (montaz_kuchni). Choose \
                    another time or worker, or move that event first with calendar_event_update.",
        "details": {"clash": {
            "id": morning["id"], "num": 1, "data": "2026-11-23T08:00:00Z", "koniec": "2026-11-23T12:00:00Z", "typ": "montaz_kuchni",
        }},
    });
    for (from, to) in [
        ("2026-11-23T11:59:59Z", "2026-11-23T13:00:00Z"),
        ("2026-11-23T07:00:00Z", "2026-11-23T08:00:01Z"),
        ("2026-11-23T09:00:00Z", "2026-11-23T10:00:00Z"),
        ("2026-11-20T00:00:00Z", "2026-11-30T00:00:00Z"),
    ] {
        assert_eq!(owner.err("calendar_event_create", event(&anna, from, to)).await, clash, "{from} to {to}");
    }
    // Side by side is no clash, and another worker is free.
    owner.ok("calendar_event_create", event(&anna, "2026-11-23T12:00:00Z", "2026-11-23T13:00:00Z")).await;
    owner.ok("calendar_event_create", event(&piotr, "2026-11-23T08:00:00Z", "2026-11-23T12:00:00Z")).await;
    let usual = json!({"pracownikId": anna, "data": "2026-11-23T06:00:00Z", "typ": "pomiar"});
    let usual = owner.ok("calendar_event_create", usual).await;
    assert_eq!(usual["koniec"], "2026-11-23T07:00:00Z");
    let moved = json!({"id": usual["id"], "data": "2026-11-23T07:30:00Z"});
    assert_eq!(owner.err("calendar_event_update", moved).await, clash);
    for (arguments, message) in [
        (event(&anna, "2026-11-23T08:00:00Z", "2026-11-23T08:00:00Z"), "/koniec: must be after data, when it begins"),
        (
            event(&anna, "2026-11-23T08:00:00Z", "2027-01-23T08:00:00Z"),
            "/koniec: must be at most 31 days after data; plan longer work as several events",
        ),
    ] {
        assert_eq!(owner.err("calendar_event_create", arguments).await["message"], message);
    }
    // A long one that began weeks ago still books.
    owner.ok("calendar_event_create", event(&piotr, "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")).await;
    let inside = event(&piotr, "2026-12-31T23:00:00Z", "2027-01-01T01:00:00Z");
    assert_eq!(owner.err("calendar_event_create", inside).await["details"]["clash"]["data"], "2026-12-01T00:00:00Z");
    let week = json!({"dateFrom": "2026-11-23", "dateTo": "2026-11-23", "pracownikId": anna, "sort": "data"});
    let nums: Vec<Value> = owner.ok("calendar_event_list", week).await["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["num"].clone())
        .collect();
    assert_eq!(json!(nums), json!([4, 1, 2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_planned_on_a_blocked_day() {
    let owner = Tester::new().await;
    let me = own_id(&owner).await;
    let blocked =
        owner.ok("blocked_day_create", json!({"dzien": "2026-12-25T00:00:00.000Z", "powod": "Boże Narodzenie"})).await;
    assert_eq!(blocked["dzien"], "2026-12-25");
    assert_eq!(
        owner.err("blocked_day_create", json!({"dzien": "2026-12-25"})).await,
        json!({"code": "conflict", "message": "2026-12-25 is blocked already. Nothing was changed.", "details": {"dzien": "2026-12-25"}})
    );
    let refused = json!({
        "code": "conflict",
        "message": "2026-12-25 is a blocked day (Boże Narodzenie): nothing is planned on it. Choose another day, or take the \
                    block away with blocked_day_delete (blocked_day_list shows its id).",
        "details": {"dzien": "2026-12-25"},
    });
    for (from, to) in [
        ("2026-12-25T08:00:00Z", "2026-12-25T09:00:00Z"),
        ("2026-12-24T22:00:00Z", "2026-12-25T00:00:01Z"),
        ("2026-12-23T00:00:00Z", "2026-12-28T00:00:00Z"),
    ] {
        assert_eq!(owner.err("calendar_event_create", event(&me, from, to)).await, refused, "{from} to {to}");
    }
    let eve = owner.ok("calendar_event_create", event(&me, "2026-12-24T22:00:00Z", "2026-12-25T00:00:00Z")).await;
    let later = json!({"id": eve["id"], "data": "2026-12-25T10:00:00Z"});
    assert_eq!(owner.err("calendar_event_update", later.clone()).await, refused);
    let customer = owner.ok("person_create", json!({"name": "Łukasz Wójcik"})).await;
    let contract =
        owner.ok("contract_create", json!({"numer": "K/25", "typ": "kuchnia", "customer_id": customer["id"]})).await;
    let install = |data: &str| json!({"contract_id": contract["id"], "data": data});
    assert_eq!(owner.err("contract_installation_date_create", install("2026-12-25T08:00:00Z")).await, refused);
    owner.ok("contract_installation_date_create", install("2026-12-24T08:00:00Z")).await;
    owner.ok("blocked_day_delete", json!({"id": blocked["id"]})).await;
    owner.ok("contract_installation_date_create", install("2026-12-25T08:00:00Z")).await;
    let moved = owner.ok("calendar_event_update", later).await;
    assert_eq!(moved["koniec"], "2026-12-25T12:00:00Z", "it lasts as long as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_moved_stays_on_record() {
    let owner = Tester::new().await;
    let me = own_id(&owner).await;
    let made = owner.ok("calendar_event_create", event(&me, "2026-11-23T08:00:00Z", "2026-11-23T10:00:00Z")).await;
    owner.ok("calendar_event_update", json!({"id": made["id"], "opis": "z windą"})).await;
    assert_eq!(owner.ok("calendar_reschedule_list", json!({})).await["total"], 0);
    // Half an hour later: the slot it leaves is no clash with itself.
    owner.ok("calendar_event_update", json!({"id": made["id"], "data": "2026-11-23T08:30:00Z"})).await;
    let moved = owner.ok("calendar_event_update", json!({"id": made["id"], "data": "2026-11-24T08:00:00Z"})).await;
    assert_eq!((&moved["id"], &moved["koniec"]), (&made["id"], &json!("2026-11-24T10:00:00Z")));
    let history =
        owner.ok("calendar_reschedule_list", json!({"to_event_id": made["id"], "sort": "num", "order": "asc"})).await;
    assert_eq!(history["total"], 2);
    let mut slots = Vec::new();
    for step in history["items"].as_array().unwrap() {
        let earlier = owner.ok("calendar_event_show", json!({"id": step["from_event_id"]})).await;
        assert_eq!((&earlier["przelozone"], &earlier["opis"]), (&json!(true), &json!("z windą")));
        slots.push(earlier["data"].clone());
    }
    assert_eq!(json!(slots), json!(["2026-11-23T08:00:00Z", "2026-11-23T08:30:00Z"]));
    // The slots it left are free, and history cannot be moved.
    let next = owner.ok("calendar_event_create", event(&me, "2026-11-23T08:00:00Z", "2026-11-23T10:00:00Z")).await;
    let first = history["items"][0].clone();
    assert_eq!(
        owner.err("calendar_event_update", json!({"id": first["from_event_id"], "data": "2026-12-01"})).await["message"],
        "Event 2 was moved and is history. Move what it was moved to: calendar_reschedule_list (from_event_id) shows it."
    );
    let again = owner.err("calendar_reschedule_delete", json!({"id": first["id"]})).await;
    assert_eq!((&again["code"], &again["details"]["clash"]["id"]), (&json!("conflict"), &next["id"]));
    assert_eq!(
        owner.err("calendar_reschedule_create", json!({"from_event_id": next["id"], "to_event_id": next["id"]})).await
            ["message"],
        "/to_event_id: is the same event; an event is moved to another one"
    );
    owner.ok("calendar_reschedule_create", json!({"fromEventId": next["id"], "toEventId": made["id"]})).await;
    assert_eq!(
        owner.err("calendar_reschedule_create", json!({"from_event_id": made["id"], "to_event_id": next["id"]})).await
            ["message"],
        "/to_event_id: names event 4, which was moved already; calendar_reschedule_list (from_event_id) shows what it was \
         moved to"
    );
    let revived = owner.ok("calendar_reschedule_delete", json!({"id": first["id"]})).await;
    owner.ok("action_undo", json!({"undo_token": revived["undo_token"]})).await;
    let deleted = owner.ok("calendar_event_delete", json!({"id": made["id"]})).await;
    assert_eq!(owner.ok("calendar_event_list", json!({})).await["total"], 0, "its history goes with it");
    owner.ok("action_undo", json!({"undo_token": deleted["undo_token"]})).await;
    assert_eq!(owner.ok("calendar_event_list", json!({"przelozone": false})).await["total"], 1);
    assert_eq!(owner.ok("calendar_reschedule_list", json!({})).await["total"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_exported_as_icalendar() {
    let owner = Tester::new().await;
    let me = own_id(&owner).await;
    let customer = owner.ok("person_create", json!({"name": "Łukasz, Wójcik; \"Młody\""})).await;
    let mut new = event(&me, "2026-11-23T08:00:00Z", "2026-11-23T10:00:00Z");
    new["customer_id"] = customer["id"].clone();
    new["opis"] = json!("Zażółć gęślą jaźń. ".repeat(12) + "\nklucze\\domofon, 2; piętro");
    let made = owner.ok("calendar_event_create", new).await;
    let before = owner.ok("calendar_export", json!({})).await;
    owner.ok("calendar_event_update", json!({"id": made["id"], "data": "2026-11-23T09:00:00Z"})).await;
    let exported = owner.ok("calendar_export", json!({"dateTo": "2026-11-23"})).await;
    assert_eq!((&exported["events"], &exported["file_name"]), (&json!(1), &json!("calendar.ics")));
    let ics = exported["ics"].as_str().unwrap();
    assert!(ics.split_terminator("\r\n").all(|line| line.len() <= 75 && !line.contains('\n')), "{ics}");
    let unfolded = ics.replace("\r\n ", "");
    for line in [
        format!("UID:{}", made["id"].as_str().unwrap()),
        "DTSTART:20261123T090000Z".to_owned(),
        "DTEND:20261123T110000Z".to_owned(),
        "SEQUENCE:1".to_owned(),
        "SUMMARY:montaz_kuchni: Łukasz\\, Wójcik\\; \"Młody\"".to_owned(),
        format!("DESCRIPTION:{}\\nklucze\\\\domofon\\, 2\\; piętro", "Zażółć gęślą jaźń. ".repeat(12)),
    ] {
        assert!(unfolded.contains(&format!("\r\n{line}\r\n")), "{line} is not in {unfolded}");
    }
    // Moved, it is the same event to whoever imported it.
    let uid =
        |ics: &Value| ics["ics"].as_str().unwrap().lines().find(|line| line.starts_with("UID:")).unwrap().to_owned();
    assert_eq!(uid(&before), uid(&exported));
    assert_eq!(owner.ok("calendar_export", json!({"typ": "pomiar"})).await["events"], 0);
    // Whoever may not see customers does not read their names here.
    let (anna, _) = person(&owner, "Anna", "user").await;
    let minted = anna.ok("session_create", json!({"features": ["calendar.view"]})).await;
    let narrow = owner.with_token(minted["session_token"].as_str().unwrap());
    let hidden = narrow.ok("calendar_export", json!({})).await["ics"].as_str().unwrap().to_owned();
    assert!(hidden.contains("\r\nSUMMARY:montaz_kuchni\r\n"), "{hidden}");
}

/// 32 bookings of one worker at once, all around the same hour: whatever came of them, none overlap.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_bookings_at_once_none_overlap() {
    let (rounds, mut dice) = rounds("book");
    let owner = Tester::new().await;
    let (_, anna) = person(&owner, "Anna", "user").await;
    let mut spare = Vec::new();
    for day in 1..=8 {
        let (from, to) = (format!("2027-03-0{day}T08:00:00Z"), format!("2027-03-0{day}T09:00:00Z"));
        spare.push(owner.ok("calendar_event_create", event(&anna, &from, &to)).await["id"].clone());
    }
    for round in 0..rounds {
        let day = format!("2026-{:02}-{:02}", 1 + round / 28 % 12, 1 + round % 28);
        let calls = (0..CROWD).map(|number| {
            let (hour, minute) = (8 + dice.below(3), dice.below(60));
            let from = format!("{day}T{hour:02}:{minute:02}:00Z");
            let to = format!("{day}T{:02}:{:02}:00Z", hour + 1, dice.below(60));
            match number % 4 {
                // Moving is booking, too.
                0 => ("calendar_event_update", json!({"id": spare[number / 4], "data": from, "koniec": to})),
                _ => ("calendar_event_create", event(&anna, &from, &to)),
            }
        });
        let outcomes = at_once(&owner, calls.collect::<Vec<_>>()).await;
        let (done, refused) = sorted(&outcomes);
        assert!(!done.is_empty() && refused.iter().all(|code| *code == "conflict"), "{outcomes:?}");
        let filter = json!({"date_from": day, "date_to": day, "przelozone": false, "sort": "data", "page_size": 100});
        let found = owner.ok("calendar_event_list", filter).await;
        let events = found["items"].as_array().unwrap();
        for pair in events.windows(2) {
            assert!(pair[0]["koniec"].as_str().unwrap() <= pair[1]["data"].as_str().unwrap(), "{pair:?}");
        }
        // The spare ones go back, so that the next round can move them again.
        for (day, id) in spare.iter().enumerate() {
            let (from, to) = (format!("2027-03-0{}T08:00:00Z", day + 1), format!("2027-03-0{}T09:00:00Z", day + 1));
            owner.ok("calendar_event_update", json!({"id": id, "data": from, "koniec": to})).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_day_is_blocked_once() {
    let (rounds, _) = rounds("block");
    let owner = Tester::new().await;
    for round in 0..rounds {
        let day = json!({"dzien": format!("2027-{:02}-{:02}", 1 + round / 28 % 12, 1 + round % 28)});
        let outcomes = at_once(&owner, (0..CROWD).map(|_| ("blocked_day_create", day.clone()))).await;
        let (done, refused) = sorted(&outcomes);
        assert_eq!(done.len(), 1, "{outcomes:?}");
        assert!(refused.iter().all(|code| *code == "conflict"), "{outcomes:?}");
    }
}
