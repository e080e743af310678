//! Many calls at once about one thing: exactly one of them has its way, and nothing is lost or done twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bureau_kit::gate::Outcome;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::dice::{Dice, seed, times};
use crate::process::soon;
use crate::support::Tester;

/// Calls at once.
pub const CROWD: usize = 32;

pub fn rounds(what: &str) -> (u32, Dice) {
    let (seed, rounds) = (seed(), times("BUREAU_ROUNDS", 10));
    println!("{what}: {rounds} rounds of {CROWD} calls, seed {seed}");
    (rounds, Dice::new(seed))
}

/// Carries out calls that all begin at the same moment; answers what came of each, in their order.
pub async fn at_once(tester: &Tester, calls: impl IntoIterator<Item = (&'static str, Value)>) -> Vec<(Value, bool)> {
    all_at_once(calls.into_iter().map(|(tool, arguments)| (tester.clone(), tool, arguments))).await
}

/// The same, each call by somebody of its own.
pub async fn all_at_once(calls: impl IntoIterator<Item = (Tester, &'static str, Value)>) -> Vec<(Value, bool)> {
    let calls: Vec<_> = calls.into_iter().collect();
    let barrier = Arc::new(Barrier::new(calls.len()));
    let tasks: Vec<_> = calls
        .into_iter()
        .map(|(tester, tool, arguments)| {
            let barrier = barrier.clone();
            tokio::spawn(async move {
                barrier.wait().await;
                tester.call(tool, arguments).await
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(soon("a call among many", task).await.unwrap());
    }
    outcomes
}

/// The answers of calls that succeeded, and the codes of those that did not.
pub fn sorted(outcomes: &[(Value, bool)]) -> (Vec<&Value>, BTreeSet<&str>) {
    let done = outcomes.iter().filter(|(_, is_error)| !is_error).map(|(answer, _)| answer).collect();
    let refused =
        outcomes.iter().filter(|(_, is_error)| *is_error).map(|(answer, _)| answer["code"].as_str().unwrap()).collect();
    (done, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_contract_is_settled_once() {
    let (rounds, _) = rounds("settle");
    let owner = Tester::new().await;
    let customer = owner.ok("person_create", json!({"name": "Ewa Król"})).await;
    for round in 0..rounds {
        let contract = json!({"numer": format!("K/{round}"), "typ": "kuchnia", "customer_id": customer["id"]});
        let contract = owner.ok("contract_create", contract).await["id"].clone();
        owner.ok("contract_valuation_create", json!({"contract_id": contract, "meble": "100.10"})).await;
        let payment = json!({"contract_id": contract, "typ": "Całość", "rodzaj": "przelew", "cena": "100.10", "potwierdzona": true});
        owner.ok("contract_payment_method_create", payment).await;

        let outcomes = at_once(&owner, (0..CROWD).map(|_| ("contract_settle", json!({"id": contract})))).await;
        let (done, refused) = sorted(&outcomes);
        assert_eq!(done.len(), 1, "{outcomes:?}");
        assert!(refused.is_subset(&BTreeSet::from(["impossible_state", "conflict"])), "{outcomes:?}");
        assert_eq!(owner.ok("contract_show", json!({"id": contract})).await["rozliczona"], true);

        // Taken back once, too.
        let undo = json!({"undo_token": done[0]["undo_token"]});
        let outcomes = at_once(&owner, (0..CROWD).map(|_| ("action_undo", undo.clone()))).await;
        let (undone, refused) = sorted(&outcomes);
        assert_eq!(undone.len(), 1, "{outcomes:?}");
        assert!(refused.is_subset(&BTreeSet::from(["impossible_state", "conflict"])), "{outcomes:?}");
        assert_eq!(owner.ok("contract_show", json!({"id": contract})).await["rozliczona"], false);
    }
}

/// A payment that arrives while the contract is being settled is either before it or refused: no settled contract is
/// left that is not paid exactly.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_settled_contract_is_paid_exactly() {
    let (rounds, mut dice) = rounds("pay and settle");
    let owner = Tester::new().await;
    let customer = owner.ok("person_create", json!({"name": "Ewa Król"})).await;
    for round in 0..rounds {
        let contract = json!({"numer": format!("K/{round}"), "typ": "kuchnia", "customer_id": customer["id"]});
        let contract = owner.ok("contract_create", contract).await["id"].clone();
        owner.ok("contract_valuation_create", json!({"contract_id": contract, "meble": "30"})).await;
        let calls = (0..CROWD).map(|_| match dice.below(2) {
            0 => ("contract_settle", json!({"id": contract})),
            _ => {
                let payment = json!({"contract_id": contract, "typ": "Rata", "rodzaj": "gotowka", "cena": "10", "potwierdzona": true});
                ("contract_payment_method_create", payment)
            }
        });
        let calls: Vec<_> = calls.collect();
        let outcomes = at_once(&owner, calls.clone()).await;
        let (_, refused) = sorted(&outcomes);
        assert!(refused.is_subset(&BTreeSet::from(["impossible_state", "conflict"])), "{outcomes:?}");
        let paid = calls
            .iter()
            .zip(&outcomes)
            .filter(|((tool, _), (_, is_error))| *tool != "contract_settle" && !is_error)
            .count();
        let balance = owner.ok("contract_balance_show", json!({"id": contract})).await;
        assert_eq!(balance["zaplacono"], format!("{}.00", 10 * paid), "{balance}");
        let shown = owner.ok("contract_show", json!({"id": contract})).await;
        assert_eq!(shown["zaplacono"], balance["zaplacono"], "{shown}");
        if shown["rozliczona"] == true {
            assert_eq!(paid, 3, "settled though {balance}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_people_are_merged_one_way_only() {
    let (rounds, mut dice) = rounds("merge");
    let owner = Tester::new().await;
    for round in 0..rounds {
        let mut people = Vec::new();
        for name in ["Łukasz", "Lukasz"] {
            let person = owner.ok("person_create", json!({"name": format!("{name} {round}")})).await["id"].clone();
            for number in 0..3 {
                let title = format!("{name} {round} {number}");
                owner.ok("task_create", json!({"title": title, "client_id": person})).await;
            }
            people.push(person);
        }
        let calls = (0..CROWD).map(|_| {
            let one = usize::from(dice.below(2) == 0);
            ("person_merge", json!({"primary_id": people[one], "duplicate_ids": [people[1 - one]]}))
        });
        let calls: Vec<_> = calls.collect();
        let outcomes = at_once(&owner, calls.clone()).await;
        let (_, refused) = sorted(&outcomes);
        assert!(refused.is_subset(&BTreeSet::from(["impossible_state", "conflict"])), "{outcomes:?}");
        // Repeating a merge succeeds and does nothing; the other way round it is refused.
        let stayed: BTreeSet<&str> = outcomes
            .iter()
            .filter(|(_, is_error)| !is_error)
            .map(|(answer, _)| answer["primary_id"].as_str().unwrap())
            .collect();
        assert_eq!(stayed.len(), 1, "{outcomes:?}");
        let effects =
            outcomes.iter().filter(|(answer, is_error)| !is_error && answer.get("undo_token").is_some()).count();
        assert_eq!(effects, 1, "{outcomes:?}");
        for ((_, arguments), (answer, is_error)) in calls.iter().zip(&outcomes) {
            assert_eq!(*is_error, !stayed.contains(arguments["primary_id"].as_str().unwrap()), "{arguments}: {answer}");
        }

        let mut active = 0;
        let mut children = BTreeSet::new();
        for person in &people {
            let shown = owner.ok("person_show", json!({"id": person})).await;
            if shown["active"] == true {
                active += 1;
                assert!(stayed.contains(person.as_str().unwrap()), "{shown}");
            }
            // Whichever of the two one asks for, it is the one who stayed.
            let tasks = owner.ok("task_list", json!({"client_id": person, "status": "all"})).await;
            for task in tasks["items"].as_array().unwrap() {
                assert!(stayed.contains(task["client_id"].as_str().unwrap()), "{task}");
                children.insert(task["title"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!((active, children.len()), (1, 6), "{children:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_changes_to_one_version_one_is_made() {
    let (rounds, _) = rounds("update");
    let owner = Tester::new().await;
    let task = owner.ok("task_create", json!({"title": "start"})).await;
    let mut version = task["version"].as_i64().unwrap();
    for round in 0..rounds {
        let calls = (0..CROWD).map(|number| {
            let title = format!("{round} {number}");
            ("task_update", json!({"id": task["id"], "title": title, "expected_version": version}))
        });
        let outcomes = at_once(&owner, calls.collect::<Vec<_>>()).await;
        let (done, refused) = sorted(&outcomes);
        assert_eq!(done.len(), 1, "{outcomes:?}");
        assert_eq!(refused, BTreeSet::from(["conflict"]), "{outcomes:?}");
        version += 1;
        let shown = owner.ok("task_show", json!({"id": task["id"]})).await;
        assert_eq!((&shown["version"], &shown["title"]), (&json!(version), &done[0]["title"]), "{shown}");
    }

    // Without a version all of them are made, one after the other.
    let calls = (0..CROWD).map(|number| ("task_update", json!({"id": task["id"], "title": format!("last {number}")})));
    let outcomes = at_once(&owner, calls.collect::<Vec<_>>()).await;
    let versions: BTreeSet<i64> =
        outcomes.iter().map(|(answer, _)| answer["version"].as_i64().expect("a success")).collect();
    let end = version + i64::try_from(CROWD).unwrap();
    assert_eq!(versions, (version + 1..=end).collect(), "{outcomes:?}");
    let shown = owner.ok("task_show", json!({"id": task["id"]})).await;
    let last = outcomes.iter().find(|(answer, _)| answer["version"] == end).unwrap();
    assert_eq!((&shown["version"], &shown["title"]), (&json!(end), &last.0["title"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_idempotency_key_makes_one_task() {
    let (rounds, _) = rounds("idempotency key");
    let owner = Tester::new().await;
    for round in 0..rounds {
        let title = format!("task {round}");
        let arguments = json!({"title": title, "idempotency_key": format!("key {round}")});
        let outcomes = at_once(&owner, (0..CROWD).map(|_| ("task_create", arguments.clone()))).await;
        let (done, refused) = sorted(&outcomes);
        assert_eq!((done.len(), refused.len()), (CROWD, 0), "{outcomes:?}");
        let ids: BTreeSet<&str> = done.iter().map(|answer| answer["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 1, "{outcomes:?}");
        let first = done.iter().filter(|answer| answer.get("replayed").is_none()).count();
        assert_eq!(first, 1, "{outcomes:?}");
        assert_eq!(owner.ok("task_list", json!({"status": "all"})).await["total"], round + 1);

        // With another input the key is refused, whoever comes first.
        let other = json!({"title": "another", "idempotency_key": format!("key {round}")});
        let outcomes = at_once(&owner, (0..4).map(|_| ("task_create", other.clone()))).await;
        assert_eq!(sorted(&outcomes), (vec![], BTreeSet::from(["conflict"])), "{outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_budget_is_spent_exactly() {
    let (rounds, _) = rounds("write budget");
    let owner = Tester::new().await;
    for round in 0..rounds {
        let minted = owner.ok("session_create", json!({"write_budget": 5})).await;
        let session = owner.with_token(minted["session_token"].as_str().unwrap());
        let calls = (0..CROWD).map(|number| ("task_create", json!({"title": format!("{round} {number}")})));
        let outcomes = at_once(&session, calls.collect::<Vec<_>>()).await;
        let (done, refused) = sorted(&outcomes);
        assert_eq!(done.len(), 5, "{outcomes:?}");
        assert_eq!(refused, BTreeSet::from(["rate_limited"]), "{outcomes:?}");
        assert_eq!(owner.ok("task_list", json!({"status": "all"})).await["total"], 5 * (round + 1));
        // Reading costs nothing, and no batch is a way around.
        session.ok("task_list", json!({})).await;
        let batch = json!({"calls": [{"tool": "task_create", "arguments": {"title": "more"}}]});
        assert_eq!(session.err("batch_call", batch).await["code"], "rate_limited");
    }
}

/// Sessions minted at once from one with a budget share it: together they cannot write more than it had.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_budget_cannot_be_multiplied() {
    let (rounds, _) = rounds("shared write budget");
    let owner = Tester::new().await;
    for _ in 0..rounds {
        let minted = owner.ok("session_create", json!({"write_budget": 12})).await;
        let parent = owner.with_token(minted["session_token"].as_str().unwrap());
        let before = owner.ok("task_list", json!({"status": "all"})).await["total"].as_i64().unwrap();
        let minted = at_once(&parent, (0..CROWD).map(|_| ("session_create", json!({"write_budget": 3})))).await;
        let mut sessions = vec![parent.clone()];
        for (answer, _) in minted.iter().filter(|(_, is_error)| !is_error) {
            sessions.push(parent.with_token(answer["session_token"].as_str().unwrap()));
        }
        let mut writers = Vec::new();
        for session in &sessions {
            writers.push(at_once(session, (0..8).map(|_| ("task_create", json!({"title": "x"})))));
        }
        for writer in writers {
            writer.await;
        }
        let made = owner.ok("task_list", json!({"status": "all"})).await["total"].as_i64().unwrap() - before;
        assert!(made <= 12, "{made} writes with a budget of 12 and {} sessions", sessions.len());
    }
}

/// Calls again and again until told to stop. Answers how many calls began after `gone` was seen, and all of them that
/// were carried out nevertheless.
async fn persist(
    tester: Tester,
    tool: &'static str,
    gone: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
) -> (usize, usize, Vec<Value>) {
    let (mut before, mut after, mut wrong) = (0, 0, Vec::new());
    while !stop.load(Ordering::SeqCst) {
        let too_late = gone.load(Ordering::SeqCst);
        let arguments = if tool == "task_create" { json!({"title": "persistent"}) } else { json!({}) };
        let outcome = tester.outcome(tool, arguments).await;
        let done = match outcome {
            Outcome::Done { body, is_error } => {
                let answer: Value = serde_json::from_slice(&body).unwrap();
                assert!(!is_error || answer["code"] == "forbidden", "{answer}");
                (!is_error).then_some(answer)
            }
            Outcome::Unauthenticated(_) => None,
            Outcome::UnknownTool(text) => panic!("{text}"),
            Outcome::Asks(question) => panic!("{question:?}"),
        };
        match (too_late, done) {
            (false, Some(_)) => before += 1,
            (false, None) => {}
            (true, None) => after += 1,
            (true, Some(answer)) => wrong.push(answer),
        }
    }
    (before, after, wrong)
}

/// Takes something away while 32 callers use it; nobody who begins a call after the answer may still have it.
async fn nobody_after(
    dice: &mut Dice,
    callers: impl Fn(usize) -> (Tester, &'static str),
    take_away: impl AsyncFnOnce(),
) -> (usize, usize) {
    let (gone, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let tasks: Vec<_> = (0..CROWD)
        .map(|number| {
            let (tester, tool) = callers(number);
            tokio::spawn(persist(tester, tool, gone.clone(), stop.clone()))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(20 + dice.below(60))).await;
    take_away().await;
    gone.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(60)).await;
    stop.store(true, Ordering::SeqCst);
    let (mut before, mut after) = (0, 0);
    for task in tasks {
        let (early, late, wrong) = soon("the end of a caller", task).await.unwrap();
        assert_eq!(wrong, Vec::<Value>::new(), "carried out after the right was gone");
        before += early;
        after += late;
    }
    (before, after)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_revoked_is_gone_at_the_next_call() {
    let (rounds, mut dice) = rounds("revoke, demote and block");
    let owner = Tester::new().await;
    let (mut before, mut after) = (0, 0);
    for round in 0..rounds {
        // A session, and those minted from it.
        let minted = owner.ok("session_create", json!({"label": "parent"})).await;
        let parent = owner.with_token(minted["session_token"].as_str().unwrap());
        let child = parent.ok("session_create", json!({"label": "child"})).await;
        let child = parent.with_token(child["session_token"].as_str().unwrap());
        let callers = |number: usize| {
            let tester = if number.is_multiple_of(2) { parent.clone() } else { child.clone() };
            (tester, if number.is_multiple_of(8) { "task_create" } else { "task_list" })
        };
        let counts = nobody_after(&mut dice, callers, async || {
            owner.ok("session_revoke", json!({"id": minted["session"]["id"]})).await;
        });
        let counts = counts.await;
        (before, after) = (before + counts.0, after + counts.1);

        // A role.
        let email = format!("user{round}@example.com");
        let user =
            owner.ok("user_create", json!({"email": email, "first_name": "Jan", "role": "admin"})).await["id"].clone();
        let key = owner.ok("api_key_create", json!({"name": "jan", "user_id": user})).await;
        let jan = owner.with_token(key["secret"].as_str().unwrap());
        let callers = |_| (jan.clone(), "role_list");
        let counts = nobody_after(&mut dice, callers, async || {
            owner.ok("user_update", json!({"id": user, "role": "user"})).await;
        });
        let counts = counts.await;
        (before, after) = (before + counts.0, after + counts.1);

        // The person.
        let callers = |number: usize| (jan.clone(), if number.is_multiple_of(8) { "task_create" } else { "me" });
        let counts = nobody_after(&mut dice, callers, async || {
            owner.ok("user_block", json!({"id": user})).await;
        });
        let counts = counts.await;
        (before, after) = (before + counts.0, after + counts.1);
    }
    assert!(before > 0 && after > 0, "{before} calls before, {after} after: nothing was tested");
    println!("{before} calls before and {after} after the right was gone, none of those carried out");
}
