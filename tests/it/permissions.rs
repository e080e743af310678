//! Every tool by every kind of caller, in every way a tool can be called, against an oracle of its own.

use bureau_kit::access::Shown;
use bureau_kit::dialogue::Dialogue;
use bureau_kit::gate::{Call, Origin, Outcome};
use bureau_kit::registry::Entry;
use serde_json::{Map, Value, json};

use crate::callers::{Caller, callers, user, with_key_of};
use crate::oracle::{Published, missing, published};
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

/// Every way in which a caller can come at a tool, with what came of it.
async fn ways(caller: &Caller, entry: &Entry, tool: &Published) -> Vec<(String, Came)> {
    let name = entry.tool.name;
    let mut found = Vec::new();
    for name in std::iter::once(&name).chain(&entry.tool.aliases) {
        let (answer, is_error) = caller.tester.call(name, wrong()).await;
        assert!(is_error, "{name} takes any argument");
        found.push(((*name).to_owned(), came(&answer)));
    }
    if tool.toolset == "discovery" {
        return found;
    }
    let executor = match (tool.writes, tool.destructive) {
        (false, _) => "tool_call_read",
        (true, false) => "tool_call_write",
        (true, true) => "tool_call_destructive",
    };
    let (answer, _) = caller.tester.call(executor, json!({"name": name, "arguments": wrong()})).await;
    found.push((format!("{executor} {name}"), came(&answer)));
    let calls = json!([{"tool": name, "arguments": wrong()}]);
    let batch = json!({"mode": "each", "dry_run": true, "calls": calls});
    let (answer, is_error) = caller.tester.call("batch_call", batch).await;
    let came = match &answer["results"][0]["error"] {
        // What undo cannot take back is no part of a batch, and that is looked at after the rights.
        error if tool.irreversible && error["code"] == "impossible_state" => Came::Through,
        error => came(if is_error { &answer } else { error }),
    };
    found.push((format!("batch_call {name}"), came));
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_is_open_to_exactly_those_who_hold_its_right() {
    let world = World::new().await;
    let (callers, tools) = (callers(&world).await, published());
    let entries = world.owner.bureau.registry.entries();
    assert_eq!(entries.len(), tools.len(), "schemas/ is not current");
    let before = world.owner.dump().await;
    let (mut cells, mut refused, mut wrong) = (0, 0, Vec::new());
    for caller in &callers {
        let principal = caller.tester.bureau.principal(&caller.tester.shown).await.unwrap();
        let explains = missing(&caller.held, &caller.limits, &tools["permission_explain"]);
        for entry in entries {
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
            for (way, came) in ways(caller, entry, tool).await {
                let batch = way.starts_with("batch_call ");
                let right = match (&expected, &came) {
                    // An executor is as open as the tool it carries out, and none was named.
                    (_, came) if name.starts_with("tool_call_") => *came == Came::Through,
                    // A batch is a write: whoever may not write, or has no write left, cannot even begin one.
                    (_, Came::Without(missing)) if batch && caller.limits.read_only => missing == "write",
                    (_, Came::Spent) if batch && caller.spent => true,
                    (_, _) if batch && (caller.limits.read_only || caller.spent) => false,
                    (None, came) => *came == Came::Through,
                    (Some(expected), Came::Without(missing)) => missing == expected,
                    (Some(_), _) => false,
                };
                cell(&way, right, &came);
            }
            // What is told about a right must be what the gate does.
            let (told, is_error) = caller.tester.call("permission_explain", json!({"tool": name})).await;
            let right = match &explains {
                None => told["allowed"] == expected.is_none(),
                Some(missing) => is_error && came(&told) == Came::Without(missing.clone()),
            };
            cell(&format!("permission_explain {name}"), right, &told);
            refused += usize::from(expected.is_some());
        }
    }
    assert!(wrong.is_empty(), "{} of {cells} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(difference(&before, &world.owner.dump().await), "", "refused calls changed something");
    println!(
        "{cells} cells: {} callers × {} tools, each listed, called directly and by alias, through an executor, in a batch, and \
         explained; {refused} pairs refused, {} allowed",
        callers.len(),
        entries.len(),
        callers.len() * entries.len() - refused
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
