//! Every tool by every kind of caller, in every way a tool can be called, against an oracle of its own.

use bureau_kit::access::Shown;
use bureau_kit::dialogue::Dialogue;
use bureau_kit::gate::{Call, Origin, Outcome, Selection};
use bureau_kit::registry::Entry;
use serde_json::{Map, Value, json};

use crate::callers::{Caller, callers, user, with_key_of};
use crate::oracle::{EXECUTORS, Published, missing, published};
use crate::support::{Tester, difference};
use crate::world::World;

/// What came of a call, as far as the oracle says anything about it.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// The gate let it through; the wrong argument stopped it.
    Through,
    /// Refused, and this was missing.
    Without(String),
    /// The token had no write left.
    Spent,
    Other(String),
}

fn came(error: &Value) -> Came {
    match error["code"].as_str() {
        Some("validation") => Came::Through,
        Some("rate_limited") => Came::Spent,
        Some("forbidden") => Came::Without(error["details"]["missing"].as_str().unwrap_or_default().to_owned()),
        _ => Came::Other(error.to_string()),
    }
}

/// Wrong on purpose: whoever lacks the right must not even learn what the tool takes.
fn wrong() -> Value {
    json!({"no_such_argument": 1})
}

/// One way in which a caller comes at a tool, with what came of it.
struct Way {
    name: String,
    /// The tool that carries it out, if any.
    carrier: Option<&'static str>,
    came: Came,
}

/// Every way in which a caller can come at a tool.
async fn ways(caller: &Caller, entry: &Entry, tool: &Published) -> Vec<Way> {
    let name = entry.tool.name;
    let mut found = Vec::new();
    for name in std::iter::once(&name).chain(&entry.tool.aliases) {
        let (answer, is_error) = caller.tester.call(name, wrong()).await;
        assert!(is_error, "{name} takes any argument");
        found.push(Way { name: (*name).to_owned(), carrier: None, came: came(&answer) });
    }
    if tool.toolset == "discovery" || EXECUTORS.contains(&name) {
        return found;
    }
    let of_its_danger = match (tool.writes, tool.destructive) {
        (false, _) => "tool_call_read",
        (true, false) => "tool_call_write",
        (true, true) => "tool_call_destructive",
    };
    let executors = [
        Some((of_its_danger, json!({"name": name, "arguments": wrong()}))),
        (!tool.destructive).then(|| ("ai_tool_execute", json!({"toolName": name, "args": wrong()}))),
    ];
    for (executor, arguments) in executors.into_iter().flatten() {
        let (answer, _) = caller.tester.call(executor, arguments).await;
        found.push(Way { name: format!("{executor} {name}"), carrier: Some(executor), came: came(&answer) });
    }
    let calls = json!([{"tool": name, "arguments": wrong()}]);
    let batch = json!({"mode": "each", "dry_run": true, "calls": calls});
    let (answer, is_error) = caller.tester.call("batch_call", batch).await;
    let came = match &answer["results"][0]["error"] {
        // Some tools are no part of a batch, and that is looked at after the rights.
        error if error["code"] == "impossible_state" => Came::Through,
        error => came(if is_error { &answer } else { error }),
    };
    found.push(Way { name: format!("batch_call {name}"), carrier: Some("batch_call"), came });
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_is_open_to_exactly_those_who_hold_its_right() {
    let world = World::new().await;
    let (callers, tools) = (callers(&world).await, published());
    let entries = world.owner.bureau.registry.entries();
    assert_eq!(entries.len(), tools.len(), "schemas/ is not current");
    let before = world.owner.dump().await;
    let (mut cells, mut pairs, mut refused, mut wrong) = (0, 0, 0, Vec::new());
    // Rights are weighed by the same code whatever the database, and a look into PostgreSQL costs ten times one into SQLite: there
    // each tool meets a third of the callers, and each caller a third of the tools.
    let share = if std::env::var_os("BUREAU_TEST_POSTGRES").is_some() { 3 } else { 1 };
    for (turn, caller) in callers.iter().enumerate() {
        let principal = caller.tester.bureau.principal(&caller.tester.shown).await.unwrap();
        let explains = missing(&caller.held, &caller.limits, &tools["permission_explain"]);
        for entry in entries.iter().skip(turn % share).step_by(share) {
            let (name, tool) = (entry.tool.name, &tools[entry.tool.name]);
            let expected = missing(&caller.held, &caller.limits, tool);
            let mut cell = |way: &str, holds: bool, what: &dyn std::fmt::Debug| {
                cells += 1;
                if !holds {
                    wrong.push(format!("{} at {way}: {what:?}, expected {expected:?}", caller.name));
                }
            };
            let listed = caller.tester.bureau.admits(&principal, &caller.tester.selection, entry);
            cell(&format!("list {name}"), listed == expected.is_none(), &listed);
            for way in ways(caller, entry, tool).await {
                // First what carries it out, then the tool itself.
                let carrier = way.carrier.and_then(|carrier| missing(&caller.held, &caller.limits, &tools[carrier]));
                let right = match (carrier.or_else(|| expected.clone()), &way.came) {
                    // A batch is a write: whoever has no write left cannot even begin one.
                    (_, came) if way.carrier == Some("batch_call") && caller.spent => *came == Came::Spent,
                    (None, came) => *came == Came::Through,
                    (Some(expected), Came::Without(missing)) => *missing == expected,
                    (Some(_), _) => false,
                };
                cell(&way.name, right, &way.came);
            }
            // What is told about a right must be what the gate does.
            let (told, is_error) = caller.tester.call("permission_explain", json!({"tool": name})).await;
            let right = match &explains {
                None => told["allowed"] == expected.is_none(),
                Some(missing) => is_error && came(&told) == Came::Without(missing.clone()),
            };
            cell(&format!("permission_explain {name}"), right, &told);
            refused += usize::from(expected.is_some());
            pairs += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {cells} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(difference(&before, &world.owner.dump().await), "", "refused calls changed something");
    println!(
        "{cells} cells: {} callers × {} tools, each listed, called directly and by alias, through an executor, in a batch, and \
         explained; {refused} pairs refused, {} allowed",
        callers.len(),
        entries.len(),
        pairs - refused
    );
}

/// Calls that would succeed, by tokens that may not write: what is refused there is refused here too.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_write_writes_nothing() {
    let world = World::new().await;
    let before = world.owner.dump().await;
    let mut cells = 0;
    for (limit, code) in [(json!({"read_only": true}), "forbidden"), (json!({"write_budget": 0}), "rate_limited")] {
        let minted = world.owner.ok("session_create", limit).await;
        let limited = world.owner.with_token(minted["session_token"].as_str().unwrap());
        let before = world.owner.dump().await;
        for entry in world.owner.bureau.registry.entries() {
            for arguments in world.samples(entry) {
                let (answer, is_error) = limited.call(entry.tool.name, arguments).await;
                assert_eq!(is_error, entry.tool.writes(), "{}: {answer}", entry.tool.name);
                if is_error {
                    assert_eq!(answer["code"], code, "{}: {answer}", entry.tool.name);
                }
                cells += 1;
            }
        }
        assert_eq!(difference(&before, &world.owner.dump().await), "", "{code}");
    }
    let changed = difference(&before, &world.owner.dump().await);
    assert!(changed.lines().all(|line| line.starts_with("+ sessions ")), "{changed}");
    println!("{cells} cells of token × sample");
}

/// A call with no credential at all.
async fn nobody(tester: &Tester, tool: &str, arguments: Map<String, Value>) -> Outcome {
    let call = Call {
        tool: tool.to_owned(),
        arguments,
        shown: None,
        selection: tester.selection.clone(),
        origin: Origin { transport: "test", ..Origin::default() },
        dialogue: Dialogue::default(),
    };
    tester.bureau.call(call).await
}

/// Tokens that were good once, each of which has just ended in another way.
async fn ended(world: &World) -> Vec<(&'static str, Tester)> {
    let owner = &world.owner;
    let session = async |of: &Tester, arguments: Value| {
        let minted = of.ok("session_create", arguments).await;
        (of.with_token(minted["session_token"].as_str().unwrap()), minted["session"]["id"].clone())
    };
    let (revoked, id) = session(owner, json!({})).await;
    let (child, _) = session(&revoked, json!({"features": ["organize.*"]})).await;
    let key = child.err("api_key_create", json!({"name": "below"})).await;
    assert_eq!(key["code"], "forbidden");
    let key = revoked.ok("api_key_create", json!({"name": "below"})).await;
    let key = owner.with_token(key["secret"].as_str().unwrap());
    let (below_key, _) = session(&key, json!({})).await;
    let (expired, _) = session(owner, json!({"ttl_minutes": 1})).await;
    let deleted = owner.ok("api_key_create", json!({"name": "deleted"})).await;
    let deleted_key = owner.with_token(deleted["secret"].as_str().unwrap());
    let (of_deleted_key, _) = session(&deleted_key, json!({})).await;
    let gone = user(owner, "blocked", json!(["user"])).await;
    let blocked_key = with_key_of(owner, &gone).await;
    let (blocked, _) = session(&blocked_key, json!({})).await;
    let all = vec![
        ("a revoked session", revoked),
        ("the child of a revoked session", child),
        ("a key made by a revoked session", key),
        ("a session of a key made by a revoked session", below_key),
        ("an expired session", expired),
        ("a deleted key", deleted_key),
        ("a session of a deleted key", of_deleted_key),
        ("the key of a blocked user", blocked_key),
        ("a session of a blocked user", blocked),
    ];
    for (name, tester) in &all {
        let (answer, is_error) = tester.call("session_list", json!({})).await;
        assert!(!is_error, "{name} was never good: {answer}");
    }
    owner.ok("session_revoke", json!({"id": id})).await;
    owner.ok("api_key_delete", json!({"id": deleted["id"]})).await;
    owner.ok("user_block", json!({"id": gone})).await;
    owner.bureau.clock.advance_seconds(61);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_and_tokens_that_have_ended_get_nothing() {
    let world = World::new().await;
    let other = world.owner.other_tenant().await;
    let mut testers = ended(&world).await;
    let unknown = bureau_kit::token::mint(bureau_kit::token::TokenKind::Session);
    testers.push(("an unknown token", world.owner.with_token(&unknown)));
    let invitation = bureau_kit::token::mint(bureau_kit::token::TokenKind::Invitation);
    testers.push(("an invitation", world.owner.with_token(&invitation)));
    testers.push(("no token", world.owner.with_token("")));
    // The second company is closed by whoever runs the server.
    let closed = other.bureau.as_system(other.tenant_id, None, "close", |ctx| {
        Box::pin(async move {
            let mut sql = bureau_kit::sql::Sql::new("UPDATE tenants SET is_active = FALSE WHERE id = ");
            sql.bind(ctx.tenant_id());
            ctx.write_secret(&sql).await
        })
    });
    assert_eq!(closed.await.unwrap(), 1);
    testers.push(("the owner of a closed company", other));

    let (before, tools) = (world.owner.dump().await, published());
    let mut cells = 0;
    for entry in world.owner.bureau.registry.entries() {
        let name = entry.tool.name;
        for (who, tester) in &testers {
            let outcome = tester.outcome(name, json!({})).await;
            assert!(matches!(outcome, Outcome::Unauthenticated(_)), "{who} at {name}: {outcome:?}");
            // Nor as the argument beside a good token of the connection.
            let Shown::Token(token) = &tester.shown else { panic!("{who} has no token") };
            let outcome = world.owner.outcome(name, json!({"_sessionToken": token})).await;
            assert!(matches!(outcome, Outcome::Unauthenticated(_)), "{who} at {name}: {outcome:?}");
            cells += 2;
        }
        // Public tools are there for nobody; what they want is another matter.
        let outcome = nobody(&world.owner, name, Map::from_iter([("no_such_argument".to_owned(), json!(1))])).await;
        let expected = if tools[name].public { "validation" } else { "unauthenticated" };
        let code = match &outcome {
            Outcome::Done { body, .. } => serde_json::from_slice::<Value>(body).unwrap()["code"].clone(),
            Outcome::Unauthenticated(error) => error.to_json()["code"].clone(),
            other => panic!("nobody at {name}: {other:?}"),
        };
        assert_eq!(code, expected, "nobody at {name}");
        cells += 1;
    }
    assert_eq!(difference(&before, &world.owner.dump().await), "");
    println!("{cells} cells of ended or missing credential × tool");
}

/// What is switched off where a call comes in, by every way of calling; the caller could use everything.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_switched_off_cannot_be_called() {
    let world = World::new().await;
    let tools = published();
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let some = ["contract_list", "task_create", "task_delete", "tool_call_write"];
    let selections = [
        Selection { toolsets: Some(list(&["contracts", "tasks"])), ..Selection::default() },
        Selection { toolsets: Some(vec![]), ..Selection::default() },
        Selection { tools: Some(list(&some)), ..Selection::default() },
        Selection { exclude: list(&["task_list", "task_create", "tool_call_read"]), ..Selection::default() },
        Selection { read_only: true, ..Selection::default() },
        Selection { toolsets: Some(list(&["tasks"])), read_only: true, ..Selection::default() },
    ];
    let is_on = |selection: &Selection, name: &str| {
        let tool = &tools[name];
        let named = |list: &Vec<String>, name: &str| list.iter().any(|known| known == name);
        let in_toolset = |list| tool.toolset == "discovery" || named(list, &tool.toolset);
        selection.toolsets.as_ref().is_none_or(in_toolset)
            && selection.tools.as_ref().is_none_or(|list| named(list, name))
            && !named(&selection.exclude, name)
            && !(selection.read_only && tool.writes)
    };
    let (mut cells, mut off) = (0, 0);
    for selection in selections {
        let tester = Tester { selection: selection.clone(), ..world.owner.clone() };
        let caller = Caller::whole(tester);
        for entry in world.owner.bureau.registry.entries() {
            let name = entry.tool.name;
            for way in ways(&caller, entry, &tools[name]).await {
                let is_open = is_on(&selection, name) && way.carrier.is_none_or(|carrier| is_on(&selection, carrier));
                // What is switched off lacks no right.
                let expected = if is_open { Came::Through } else { Came::Without(String::new()) };
                assert_eq!(way.came, expected, "{} under {selection:?}", way.name);
                cells += 1;
                off += usize::from(expected != Came::Through);
            }
        }
    }
    println!("{cells} cells of selection × tool × way, {off} of them switched off");
}
