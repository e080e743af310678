//! Imports and exports: guesses, errors with their lines, parts, undo of the whole, and exact round trips.

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::support::Tester;

fn counts(answer: &Value) -> Vec<i64> {
    ["rows", "created", "updated", "skipped", "failed"].iter().map(|name| answer[*name].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn good_rows_go_in_and_bad_ones_are_told_with_their_lines() {
    let t = Tester::new().await;
    let content = "\u{feff}Imię;Nazwisko;E-mail;Firma;Rozmiar\nJan;\"Kowal\nski\";jan@example.org;Meble;1\nEwa;Lis;nie adres;Inna;2\nAdam;Mazur;;Meble;3\n";
    let tried = t.ok("contact_import_run", json!({"resource": "person", "content": content, "dry_run": true})).await;
    assert_eq!(counts(&tried), [3, 2, 0, 0, 1]);
    assert_eq!(t.ok("person_list", json!({})).await["total"], 0);
    let done = t.ok("contact_import_run", json!({"resource": "person", "content": content})).await;
    assert_eq!(
        done["columns"],
        json!([
            {"column": "Imię", "field": "first_name"},
            {"column": "Nazwisko", "field": "last_name"},
            {"column": "E-mail", "field": "primary_email"},
            {"column": "Firma", "field": "organization"},
            {"column": "Rozmiar", "field": null},
        ])
    );
    assert_eq!(counts(&done), [3, 2, 0, 0, 1]);
    assert_eq!(done["errors"][0]["line"], 4);
    assert!(done["errors"][0]["message"].as_str().unwrap().starts_with("primary_email "), "{done}");
    // The company of the refused row went with it.
    let companies = t.ok("company_list", json!({})).await;
    assert_eq!((&companies["total"], &companies["items"][0]["name"]), (&json!(1), &json!("Meble")));
    let again = t.ok("contact_import_run", json!({"resource": "person", "content": content})).await;
    assert_eq!(counts(&again), [3, 1, 0, 1, 1]);
    let refused =
        t.err("contact_import_run", json!({"resource": "person", "content": content, "all_or_nothing": true})).await;
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .starts_with("1 row(s) are wrong, so nothing of this part was kept. Line 4: ")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn all_parts_are_taken_back_together_or_none() {
    let t = Tester::new().await;
    let before = t.ok("person_list", json!({})).await["total"].clone();
    let first = t
        .ok(
            "contact_import_run",
            json!({"resource": "person", "content": "name,company\nA,Zet\nB,Zet\n", "part": 1, "last": false}),
        )
        .await;
    assert_eq!(first["status"], "running");
    let part = json!({"resource": "person", "content": "name,company\nC,Zet\n", "import_id": first["id"], "part": 2});
    let second = t.ok("contact_import_run", part.clone()).await;
    assert_eq!((&second["part"], &second["status"]), (&json!(2), &json!("finished")));
    let refused = t.err("contact_import_run", part).await;
    assert_eq!(
        refused["message"],
        "This import is finished, so it takes no more parts. Leave import_id out to begin a new one."
    );
    let shown = t.ok("contact_import_show", json!({"id": first["id"]})).await;
    assert_eq!((&shown["row_count"], &shown["created_count"], &shown["part_count"]), (&json!(3), &json!(3), &json!(2)));
    let people = t.ok("person_list", json!({"q": "A"})).await;
    let changed = t.ok("person_update", json!({"id": people["items"][0]["id"], "job_title": "szef"})).await;
    let stopped = t.err("contact_import_undo", json!({"id": first["id"]})).await;
    assert_eq!(stopped["code"], "conflict");
    assert_eq!(t.ok("person_list", json!({})).await["total"], 3);
    t.ok("action_undo", json!({"undo_token": changed["undo_token"]})).await;
    let undone = t.ok("contact_import_undo", json!({"id": first["id"]})).await;
    assert_eq!((&undone["status"], &undone["parts"]), (&json!("undone"), &json!(2)));
    assert_eq!(t.ok("person_list", json!({})).await["total"], before);
    assert_eq!(t.ok("company_list", json!({})).await["total"], 0);
    assert_eq!(t.ok("contact_import_show", json!({"id": first["id"]})).await["status"], "undone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_comes_back_exactly() {
    let (one, other) = (Tester::new().await, Tester::new().await);
    let mut dice = Dice::new(7);
    let pieces = ["=1+1", "+48", "-", "@x", "'", "\"", ";", ",", "\n", "ż", "a", "ї", "\t", "|", " b"];
    for round in 0..40 {
        let mut text =
            || (0..6).map(|_| pieces[usize::try_from(dice.below(pieces.len() as u64)).unwrap()]).collect::<String>();
        let (job, about) = (text(), text());
        one.ok(
            "person_create",
            json!({"name": format!("N{round}"), "job_title": format!("{job}x"), "description": format!("{about}x")}),
        )
        .await;
    }
    for format in ["csv", "jsonl"] {
        let (mut cursor, mut whole) = (json!(null), String::new());
        loop {
            let page = one.ok("person_export", json!({"format": format, "limit": 15, "cursor": cursor})).await;
            whole.push_str(page["content"].as_str().unwrap());
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        let done = other
            .ok(
                "contact_import_run",
                json!({"resource": "person", "format": format, "content": whole, "on_duplicate": "create"}),
            )
            .await;
        assert_eq!(counts(&done), [40, 40, 0, 0, 0], "{done}");
        let mut back = String::new();
        let mut cursor = json!(null);
        loop {
            let page = other.ok("person_export", json!({"format": format, "cursor": cursor})).await;
            back.push_str(page["content"].as_str().unwrap());
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(back, whole);
        other.ok("contact_import_undo", json!({"id": done["id"]})).await;
    }
}
