//! Promises that hold for every tool of the registry: a new tool is covered, or these fail.

use bureau_kit::registry::Entry;
use serde_json::{Value, json};

use crate::support::difference;
use crate::world::{World, with_reserved};

fn check_output(entry: &Entry, answer: &Value, what: &str) {
    let schema = bureau_kit::schema::published(&entry.tool.output_schema());
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults: Vec<String> =
        validator.iter_errors(answer).map(|error| format!("{}: {error}", error.instance_path())).collect();
    let name = entry.tool.name;
    assert!(faults.is_empty(), "{what} of {name} does not fit its schema: {}\n{answer:#}", faults.join("; "));
}

/// The other tests stand on this: a sample that is refused would prove nothing there.
#[tokio::test(flavor = "multi_thread")]
async fn every_tool_has_a_sample_that_it_accepts() {
    let world = World::new().await;
    let mut refused = Vec::new();
    for entry in world.owner.bureau.registry.entries() {
        for arguments in world.samples(entry) {
            let tried = match entry.tool.writes() {
                true => with_reserved(entry, &arguments, "dry_run", json!(true)),
                false => arguments.clone(),
            };
            let (answer, is_error) = world.owner.call(entry.tool.name, tried).await;
            if is_error {
                refused.push(format!("{} {arguments}: {}", entry.tool.name, answer["message"]));
            }
        }
    }
    assert!(refused.is_empty(), "{} samples are refused:\n{}", refused.len(), refused.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_answers_what_its_schema_promises_and_changes_nothing() {
    let world = World::new().await;
    let before = world.owner.dump().await;
    let mut called = 0;
    for entry in world.owner.bureau.registry.entries().iter().filter(|entry| !entry.tool.writes()) {
        for arguments in world.samples(entry) {
            let answer = world.owner.ok(entry.tool.name, arguments).await;
            check_output(entry, &answer, "the answer");
            called += 1;
        }
    }
    assert_eq!(difference(&before, &world.owner.dump().await), "");
    println!("{called} reads called");
}

/// Lists write rows to JSON by a shorter way than single records; both must say the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_looks_the_same_in_a_list_and_alone() {
    let world = World::new().await;
    let registry = &world.owner.bureau.registry;
    let mut compared = 0;
    for list in registry.entries().iter().filter(|entry| entry.tool.name.ends_with("_list")) {
        let Some(show) = registry.find(&list.tool.name.replace("_list", "_show")) else { continue };
        let same = list.tool.output_schema().pointer("/properties/items/items") == Some(&show.tool.output_schema());
        let by_id = |schema: Value| schema.pointer("/properties/id").is_some();
        if !same || !by_id(show.tool.input_schema()) || !by_id(show.tool.output_schema()) {
            continue;
        }
        for item in world.owner.ok(list.tool.name, json!({})).await["items"].as_array().unwrap() {
            let alone = world.owner.ok(show.tool.name, json!({"id": item["id"]})).await;
            assert_eq!(&alone, item, "{}", list.tool.name);
            compared += 1;
        }
    }
    assert!(compared >= 20, "only {compared} records were compared");
}

/// Dry run, then the real thing under a key, then the same again, then undo, redo and undo: after each step the
/// database is compared whole.
#[tokio::test(flavor = "multi_thread")]
async fn every_write_can_be_tried_repeated_undone_and_redone() {
    let world = World::new().await;
    let owner = &world.owner;
    let mut cycles = 0;
    let writes = owner.bureau.registry.entries().iter().filter(|entry| entry.tool.writes());
    let (undoable, mut last): (Vec<_>, Vec<_>) = writes.partition(|entry| entry.tool.irreversible.is_none());
    // A new password ends the session that others refresh and revoke.
    last.sort_by_key(|entry| entry.tool.name == "profile_update");
    // Tools that cannot be undone come last: what they leave behind must not disturb the others.
    for entry in undoable.into_iter().chain(last) {
        let name = entry.tool.name;
        for (number, arguments) in world.samples(entry).into_iter().enumerate() {
            let start = owner.dump().await;

            let tried = owner.ok(name, with_reserved(entry, &arguments, "dry_run", json!(true))).await;
            assert_eq!(tried["dry_run"], true, "{name}");
            check_output(entry, &tried, "the dry run");
            assert_eq!(difference(&start, &owner.dump().await), "", "a dry run of {name} changed something");

            if !entry.tool.takes_key() {
                let done = owner.ok(name, arguments.clone()).await;
                check_output(entry, &done, "the answer");
                continue;
            }
            let key = json!(format!("key {name} {number}"));
            let keyed = with_reserved(entry, &arguments, "idempotency_key", key);
            let done = owner.ok(name, keyed.clone()).await;
            check_output(entry, &done, "the answer");
            let after = owner.dump().await;
            let changed = !difference(&start, &after).is_empty();
            let told = !tried["changes"].as_array().unwrap().is_empty();
            assert_eq!(changed, told, "{name}: the dry run told another story");

            let again = owner.ok(name, keyed.clone()).await;
            assert_eq!(again["replayed"], true, "{name}");
            let mut same = done.clone();
            if let Some(secret) = entry.tool.shown_once {
                same[secret] = json!(bureau_kit::gate::SHOWN_ONCE);
            }
            assert_eq!(without(&again, "replayed"), same, "{name} answered a repeated call differently");
            assert_eq!(difference(&after, &owner.dump().await), "", "repeating {name} with one key changed something");

            let Some(token) = done["undo_token"].as_str() else {
                let explained = entry.tool.irreversible.is_some() || !changed || entry.tool.open_world;
                assert!(explained, "{name} changed something, gave no undo_token and does not say why");
                continue;
            };
            owner.ok("action_undo", json!({"undo_token": token})).await;
            assert_eq!(difference(&start, &owner.dump().await), "", "undoing {name} left something behind");
            let redone = owner.ok("action_redo", json!({"log_id": token})).await;
            assert_eq!(difference(&after, &owner.dump().await), "", "redoing {name} came out differently");
            let token = redone["undo_token"].as_str();
            let token = token.unwrap_or_else(|| panic!("redoing {name} gave no undo_token: {redone}"));
            owner.ok("action_undo", json!({"undo_token": token})).await;
            assert_eq!(difference(&start, &owner.dump().await), "", "undoing {name} again left something behind");
            cycles += 1;
        }
    }
    println!("{cycles} do-undo-redo-undo cycles");
}

fn without(value: &Value, name: &str) -> Value {
    let mut value = value.clone();
    value.as_object_mut().unwrap().shift_remove(name);
    value
}
