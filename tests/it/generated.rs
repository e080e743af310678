//! Promises that hold for every tool of the registry: a new tool is covered, or these fail.

use bureau_kit::gate::Outcome;
use bureau_kit::registry::Entry;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Tester, difference};
use crate::world::{World, id_places};

/// The role presets whose rights are tried against every tool.
const ROLES: &[&str] = &["owner", "admin", "user", "guest", "reader"];

fn with(arguments: &Value, name: &str, value: Value) -> Value {
    let mut arguments = arguments.clone();
    arguments[name] = value;
    arguments
}

/// The tool's reserved arguments stand beside its own; an executor passes those of the tool it runs.
fn with_reserved(entry: &Entry, arguments: &Value, name: &str, value: Value) -> Value {
    if entry.tool.name.starts_with("tool_call_") {
        with(arguments, "arguments", with(&arguments["arguments"], name, value))
    } else {
        with(arguments, name, value)
    }
}

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
        if list.tool.output_schema().pointer("/properties/items/items") != Some(&show.tool.output_schema()) {
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
    let (undoable, last): (Vec<_>, Vec<_>) = writes.partition(|entry| entry.tool.irreversible.is_none());
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

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_is_refused_without_its_right_and_listed_only_with_it() {
    let world = World::new().await;
    let owner = &world.owner;
    let mut cells = 0;
    for role in ROLES {
        let tester = if *role == "owner" { owner.clone() } else { owner.as_role(role).await };
        let principal = tester.bureau.principal(&tester.shown).await.unwrap();
        let before = owner.dump().await;
        for entry in owner.bureau.registry.entries() {
            let tool = &entry.tool;
            let allowed = tool.rights.is_empty() || tool.rights.iter().any(|right| principal.holds(right));
            let admitted = tester.bureau.admits(&principal, &tester.selection, entry);
            assert_eq!(admitted, allowed, "{role} and {}", tool.name);
            // Wrong on purpose: whoever lacks the right must not even learn what the tool takes.
            let (answer, is_error) = tester.call(tool.name, json!({"no_such_argument": 1})).await;
            assert!(is_error, "{} takes any argument", tool.name);
            let expected = if allowed { "validation" } else { "forbidden" };
            assert_eq!(answer["code"], expected, "{role} and {}: {answer}", tool.name);
            if !allowed {
                let message = answer["message"].as_str().unwrap();
                assert!(message.contains(tool.rights[0]), "{answer} does not name the right");
            }
            cells += 1;
        }
        assert_eq!(difference(&before, &owner.dump().await), "", "refused calls of {role} changed something");
    }
    println!("{cells} cells of role × tool");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_an_unknown_token_and_a_revoked_one_get_nothing() {
    let world = World::new().await;
    let owner = &world.owner;
    let minted = owner.ok("session_create", json!({"label": "short"})).await;
    let revoked = owner.with_token(minted["session_token"].as_str().unwrap());
    revoked.ok("me", json!({})).await;
    owner.ok("session_revoke", json!({"id": minted["session"]["id"]})).await;
    let unknown = owner.with_token(&bureau_kit::token::mint(bureau_kit::token::TokenKind::Session));
    for entry in owner.bureau.registry.entries() {
        for tester in [&revoked, &unknown] {
            let outcome = tester.outcome(entry.tool.name, json!({})).await;
            assert!(matches!(outcome, Outcome::Unauthenticated(_)), "{}: {outcome:?}", entry.tool.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_token_writes_nothing() {
    let world = World::new().await;
    let minted = world.owner.ok("session_create", json!({"read_only": true})).await;
    let reader = world.owner.with_token(minted["session_token"].as_str().unwrap());
    let before = world.owner.dump().await;
    for entry in world.owner.bureau.registry.entries() {
        for arguments in world.samples(entry) {
            let (answer, is_error) = reader.call(entry.tool.name, arguments).await;
            assert_eq!(is_error, entry.tool.writes(), "{}: {answer}", entry.tool.name);
            if is_error {
                assert_eq!(answer["code"], "forbidden", "{}: {answer}", entry.tool.name);
            }
        }
    }
    assert_eq!(difference(&before, &world.owner.dump().await), "");
}

/// Every id argument of every tool, with another company's id and with nobody's: the same answer to the byte, and
/// nothing of the other company moves or shows.
#[tokio::test(flavor = "multi_thread")]
async fn another_companys_records_do_not_exist() {
    let world = World::new().await;
    let other = World::of(world.owner.other_tenant().await).await;
    let (own_before, other_before) = (world.owner.dump().await, other.owner.dump().await);
    let mut cells = 0_u128;
    for entry in world.owner.bureau.registry.entries() {
        let name = entry.tool.name;
        let (own, foreign) = (world.samples(entry), other.samples(entry));
        for (arguments, foreign) in own.iter().zip(&foreign) {
            for place in id_places(arguments) {
                // Looks like one of ours, and is nobody's.
                let nobody = Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0000 | cells);
                let foreign_id = foreign.pointer(&place).unwrap().as_str().unwrap();
                let one = told(&world.owner, entry, replaced(arguments, &place, foreign_id)).await;
                let two = told(&world.owner, entry, replaced(arguments, &place, &nobody.to_string())).await;
                let (one, two) = (one.replace(foreign_id, "ID"), two.replace(&nobody.to_string(), "ID"));
                assert_eq!(one, two, "{name} tells another company's record at {place} from none");
                cells += 1;
            }
        }
        if !entry.tool.writes() {
            for arguments in &own {
                let answer = world.owner.ok(name, arguments.clone()).await.to_string();
                let leaked = other.ids.values().flatten().find(|id| answer.contains(&id.to_string()));
                assert!(leaked.is_none(), "{name} shows another company's {leaked:?}");
            }
        }
    }
    assert_eq!(difference(&other_before, &other.owner.dump().await), "", "the other company changed");
    assert_eq!(difference(&own_before, &world.owner.dump().await), "", "calls with foreign ids changed something");
    println!("{cells} cells of tool × id argument");
}

/// The answer to a call, dry so that whatever is allowed leaves no trace.
async fn told(tester: &Tester, entry: &Entry, arguments: Value) -> String {
    let executor = entry.tool.name.starts_with("tool_call_") && entry.tool.writes();
    let arguments = match (entry.tool.writes(), executor) {
        (true, true) => with_reserved(entry, &arguments, "dry_run", json!(true)),
        (true, false) => with(&arguments, "dry_run", json!(true)),
        _ => arguments,
    };
    let (answer, is_error) = tester.call(entry.tool.name, arguments).await;
    // Ids that the call itself makes differ from call to call; errors hold none.
    if is_error { answer.to_string() } else { format!("success of {}", entry.tool.name) }
}

fn replaced(arguments: &Value, place: &str, id: &str) -> Value {
    let mut arguments = arguments.clone();
    *arguments.pointer_mut(place).unwrap() = json!(id);
    arguments
}
