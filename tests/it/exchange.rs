//! Imports and exports: guesses, errors with their lines, parts, undo of the whole, and exact round trips.

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::process::{bureau, ended};
use crate::races::{at_once, sorted};
use crate::support::{TestDatabase, Tester};

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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_already_is_left_changed_or_made_again() {
    let t = Tester::new().await;
    let tag = t.ok("tag_create", json!({"name": "targi"})).await["id"].clone();
    let import = async |content: &str, how: &str| {
        let input = json!({"resource": "company", "content": content, "on_duplicate": how, "tags": [tag], "source": "Targi",
            "map": {"Kto": "name"}});
        t.ok("contact_import_run", input).await
    };
    let first = import("Kto,NIP,telefon\nMeble,526-025-09-95,601 000 000\n", "skip").await;
    assert_eq!(counts(&first), [1, 1, 0, 0, 0]);
    // Known by its tax number, whatever it is called.
    let second = import("Kto,NIP,telefon\nMeble Nowe,5260250995,602 000 000\n", "update").await;
    assert_eq!(counts(&second), [1, 0, 1, 0, 0]);
    let company = t.ok("company_list", json!({})).await["items"][0].clone();
    assert_eq!(
        (&company["name"], &company["primary_phone"], &company["source"], &company["tags"][0]["name"]),
        (&json!("Meble Nowe"), &json!("602 000 000"), &json!("Targi"), &json!("targi"))
    );
    assert_eq!(counts(&import("Kto,NIP,telefon\nMeble Nowe,,\n", "skip").await), [1, 0, 0, 1, 0]);
    let twice = import("Kto,NIP,telefon\nMeble Nowe,,\n", "create").await;
    assert_eq!(
        twice["errors"][0]["message"],
        "name there is already a company called Meble Nowe; find it with company_list, or choose another name"
    );
    let bad = import("Kto,NIP,telefon\nZła,5260250994,\n", "skip").await;
    assert_eq!(
        bad["errors"],
        json!([{"line": 2, "message": "nip is no NIP: its check digit does not fit, so one of the digits is wrong"}])
    );
    let nameless = t.err("contact_import_run", json!({"resource": "person", "content": "Rozmiar,Kolor\n1,2\n"})).await;
    assert_eq!(
        nameless["message"],
        "/map: no column is known to be a name. The columns are: Rozmiar, Kolor. Say in map which is name, first_name or last_name"
    );
    // One undo after the other, newest first, leaves nothing of any import.
    for import in [&bad, &twice, &second, &first] {
        t.ok("contact_import_undo", json!({"id": import["id"]})).await;
    }
    assert_eq!(t.ok("company_list", json!({})).await["total"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_part_sent_many_times_at_once_goes_in_once() {
    let t = Tester::new().await;
    let first = t
        .ok("contact_import_run", json!({"resource": "person", "content": "name\nA\n", "part": 1, "last": false}))
        .await;
    let part =
        json!({"resource": "person", "content": "name\nB\nC\n", "import_id": first["id"], "part": 2, "last": false});
    let outcomes = at_once(&t, (0..16).map(|_| ("contact_import_run", part.clone()))).await;
    let (done, refused) = sorted(&outcomes);
    assert_eq!((done.len(), refused.into_iter().collect::<Vec<_>>()), (1, vec!["conflict"]), "{outcomes:?}");
    assert_eq!(t.ok("person_list", json!({})).await["total"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_imports_goes_on_and_exports() {
    let database = TestDatabase::new().await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let run = async |words: &[&str]| ended(bureau(&database, words)).await;
    let ok = async |words: &[&str]| {
        let done = run(words).await;
        assert_eq!(done.status, 0, "{words:?}: {done:?}");
        serde_json::from_str::<Value>(&done.stdout).unwrap_or_else(|_| json!(done.stdout))
    };
    // As a Polish spreadsheet writes it: Windows-1250, semicolons, a bad row in between.
    let (text, _, unmapped) =
        encoding_rs::WINDOWS_1250.encode("Imię;Nazwisko;E-mail\nŁucja;Żak;l@example.org\n\nZła;;nie adres\n");
    assert!(!unmapped);
    std::fs::write(path("osoby.csv"), &text).unwrap();
    let tried = ok(&["import", &path("osoby.csv"), "--dry-run", "--json"]).await;
    assert_eq!((counts(&tried), &tried["dry_run"]), (vec![2, 1, 0, 0, 1], &json!(true)));
    assert_eq!(tried["errors"][0]["line"], 4);
    assert_eq!(tried["columns"][0], json!({"column": "Imię", "field": "first_name"}));
    let told = run(&["import", &path("osoby.csv")]).await;
    assert!(told.stderr.contains("Imię -> first_name\nNazwisko -> last_name\nE-mail -> primary_email\n"), "{told:?}");
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert!(
        lines[0].starts_with("line 4: primary_email ")
            && lines[1] == "rows 2, created 1, updated 0, skipped 0, failed 1",
        "{told:?}"
    );
    assert!(lines[2].starts_with("Take it all back with: bureau call contact_import_undo --args "), "{told:?}");
    let people = ok(&["export", "persons"]).await;
    assert!(people.as_str().unwrap().contains("Łucja Żak,Łucja,,Żak,"), "{people}");
    // A file of several parts, of which the first is in already, goes on where it was cut.
    let rows: String = (0..2500).map(|number| format!("Osoba {number},o{number}@example.org\n")).collect();
    std::fs::write(path("wiele.csv"), format!("name,email\n{rows}")).unwrap();
    let none = run(&["import", &path("wiele.csv"), "--resume"]).await;
    assert_eq!(
        (none.status, none.complaint()),
        (2, "bureau: No import of this very file was cut. Leave --resume out.")
    );
    let whole = ok(&["import", &path("wiele.csv"), "--json"]).await;
    assert_eq!(counts(&whole), [2500, 2500, 0, 0, 0]);
    let undo = format!("{{\"id\": \"{}\"}}", whole["id"].as_str().unwrap());
    ok(&["call", "contact_import_undo", "--args", &undo, "--json"]).await;
    std::fs::write(path("out.jsonl"), "older").unwrap();
    ok(&["export", "persons", "-o", &path("out.jsonl"), "--format", "jsonl"]).await;
    let written = std::fs::read_to_string(path("out.jsonl")).unwrap();
    assert_eq!((written.lines().count(), written.contains("l@example.org")), (1, true), "{written}");
    let strange = run(&["import", &path("osoby.csv"), "--encoding", "klingon"]).await;
    assert_eq!(
        strange.complaint(),
        "bureau: There is no encoding klingon. Write it like utf-8, windows-1250, windows-1251 or iso-8859-2."
    );
    let absent = run(&["import", &path("nie-ma.csv")]).await;
    assert_eq!(absent.status, 2);
}
