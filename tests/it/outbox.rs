//! What leaves the database: carried after the commit, at least once, under one id, and fairly.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bureau_kit::error::Result;
use bureau_kit::gate::Bureau;
use bureau_kit::outbox::{Carried, Carrier, Dispatcher, Item, LEASE};
use bureau_kit::sql::Sql;
use bureau_kit::tool::BoxFuture;
use serde_json::json;
use uuid::Uuid;

use crate::support::Tester;

/// Carries nothing anywhere, and remembers what it was given.
#[derive(Debug, Default)]
pub struct Recorder {
    carried: Mutex<Vec<(Uuid, Uuid)>>,
    answers: Mutex<HashMap<i64, Carried>>,
    /// Items of this tenant hang.
    hangs: Mutex<Option<Uuid>>,
}

impl Recorder {
    fn answering(answers: impl IntoIterator<Item = (i64, Carried)>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() })
    }

    fn ids(&self) -> Vec<Uuid> {
        self.carried.lock().unwrap().iter().map(|(id, _)| *id).collect()
    }

    fn of(&self, tenant: Uuid) -> usize {
        self.carried.lock().unwrap().iter().filter(|(_, of)| *of == tenant).count()
    }
}

impl Carrier for Recorder {
    fn kind(&self) -> &'static str {
        "mail"
    }

    fn carry<'a>(&'a self, _: &'a Arc<Bureau>, item: &'a Item) -> BoxFuture<'a, Result<Carried>> {
        Box::pin(async move {
            self.carried.lock().unwrap().push((item.id, item.tenant_id));
            let hangs = *self.hangs.lock().unwrap();
            if hangs == Some(item.tenant_id) {
                std::future::pending::<()>().await;
            }
            Ok(self.answers.lock().unwrap().get(&item.attempt).cloned().unwrap_or(Carried::Delivered))
        })
    }
}

/// How many items stand in each state, and the last error.
pub async fn states(tester: &Tester) -> BTreeMap<String, (i64, Option<String>)> {
    let rows = tester.bureau.look(tester.tenant_id, |tx| {
        Box::pin(async move {
            let sql = "SELECT state, COUNT(*), MAX(last_error) FROM outbox GROUP BY state ORDER BY state";
            tx.query(&Sql::new(sql)).await
        })
    });
    let rows = rows.await.unwrap();
    rows.iter().map(|row| (row.get(0).unwrap(), (row.get(1).unwrap(), row.get(2).unwrap()))).collect()
}

fn one(state: &str, error: Option<&str>) -> BTreeMap<String, (i64, Option<String>)> {
    BTreeMap::from([(state.to_owned(), (1, error.map(str::to_owned)))])
}

/// Puts mails about nothing into a tenant's outbox.
async fn fill(tester: &Tester, count: u32) {
    let (tenant, now) = (tester.tenant_id, tester.bureau.clock.now());
    let ids: Vec<Uuid> = (0..count).map(|_| tester.bureau.ids.next(now)).collect();
    let put = tester.bureau.keep_books(tenant, |tx| {
        Box::pin(async move {
            for id in ids {
                tx.query(&Sql::with(
                    "INSERT INTO outbox (id, tenant_id, action_id, kind, lane, payload, state, attempts, created_at, next_at) \
                     VALUES ($1, $2, $1, 'mail', $2, '{}', 'waiting', 0, $3, $3)",
                    [id.into(), tenant.into(), now.into()],
                ))
                .await?;
            }
            Ok(())
        })
    });
    put.await.unwrap();
}

async fn invite(tester: &Tester, email: &str) -> serde_json::Value {
    let person = tester.ok("person_create", json!({"name": email, "primary_email": email})).await;
    tester.ok("person_invite", json!({"id": person["id"]})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_told_whether_what_they_send_has_a_way_out() {
    let owner = Tester::new().await;
    let invited = invite(&owner, "one@example.org").await;
    let waiting = json!([{
        "kind": "mail",
        "undoable": false,
        "state": "waiting",
        "reason": "Nothing here sends a mail: it waits in the outbox until a server on this database is started that does.",
    }]);
    assert_eq!(invited["outside_effects"], waiting);
    assert_eq!(states(&owner).await, one("waiting", None));
    let recorder = Arc::new(Recorder::default());
    let dispatcher = Dispatcher::new(owner.bureau.clone(), vec![recorder.clone()]);
    let invited = invite(&owner, "two@example.org").await;
    assert_eq!(invited["outside_effects"], json!([{"kind": "mail", "undoable": false, "state": "queued"}]));
    // Also what waited before there was a way out.
    assert_eq!(dispatcher.carry_due().await.unwrap(), 2);
    assert_eq!(recorder.ids().len(), 2);
    assert_eq!(dispatcher.carry_due().await.unwrap(), 0);
    assert_eq!(states(&owner).await["done"], (2, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_was_rolled_back_sends_nothing() {
    let owner = Tester::new().await;
    let dispatcher = Dispatcher::new(owner.bureau.clone(), vec![Arc::new(Recorder::default())]);
    let person = owner.ok("person_create", json!({"name": "Ewa", "primary_email": "ewa@example.org"})).await;
    let tried = owner.ok("person_invite", json!({"id": person["id"], "dry_run": true})).await;
    let effects = json!([{"kind": "mail", "undoable": false, "payload": {
        "template": "invitation", "to": "ewa@example.org", "inviter": "Owner", "locale": null,
    }}]);
    assert_eq!(tried["outside_effects"], effects);
    owner.err("person_invite", json!({"id": person["id"], "expected_version": 7})).await;
    assert_eq!(states(&owner).await, BTreeMap::new());
    assert_eq!(dispatcher.carry_due().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_later_and_in_the_end_given_up() {
    let owner = Tester::new().await;
    let slow = Carried::Again { reason: "later".into(), pause: Some(Duration::from_secs(3600)) };
    let recorder = Recorder::answering([(1, Carried::again("busy")), (2, slow), (3, Carried::give_up("no such box"))]);
    let dispatcher = Dispatcher::new(owner.bureau.clone(), vec![recorder.clone()]);
    invite(&owner, "one@example.org").await;
    assert_eq!(dispatcher.carry_due().await.unwrap(), 1);
    assert_eq!(states(&owner).await, one("waiting", Some("busy")));
    // Ten seconds, and up to a fifth more by chance.
    owner.bureau.clock.advance_seconds(9);
    assert_eq!(dispatcher.carry_due().await.unwrap(), 0);
    owner.bureau.clock.advance_seconds(4);
    assert_eq!(dispatcher.carry_due().await.unwrap(), 1);
    // What the receiver asks for counts when it is longer.
    owner.bureau.clock.advance_seconds(3599);
    assert_eq!(dispatcher.carry_due().await.unwrap(), 0);
    owner.bureau.clock.advance_seconds(2);
    assert_eq!(dispatcher.carry_due().await.unwrap(), 1);
    assert_eq!(states(&owner).await, one("failed", Some("no such box")));
    let ids = recorder.ids();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    owner.bureau.clock.advance_seconds(1_000_000);
    assert_eq!(dispatcher.carry_due().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_dispatcher_held_is_carried_by_another_after_its_lease() {
    let owner = Tester::new().await;
    let hanging = Arc::new(Recorder::default());
    *hanging.hangs.lock().unwrap() = Some(owner.tenant_id);
    let dying = Dispatcher::new(owner.bureau.clone(), vec![hanging.clone()]);
    invite(&owner, "one@example.org").await;
    let dead = tokio::spawn(async move { dying.carry_due().await });
    while hanging.ids().is_empty() {
        tokio::task::yield_now().await;
    }
    dead.abort();
    let recorder = Arc::new(Recorder::default());
    let other = Dispatcher::new(owner.bureau.clone(), vec![recorder.clone()]);
    let lease = i64::try_from(LEASE.as_secs()).unwrap();
    owner.bureau.clock.advance_seconds(lease - 1);
    assert_eq!(other.carry_due().await.unwrap(), 0);
    owner.bureau.clock.advance_seconds(1);
    assert_eq!(other.carry_due().await.unwrap(), 1);
    assert_eq!(recorder.ids(), hanging.ids());
    assert_eq!(states(&owner).await, one("done", None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_dispatchers_never_carry_the_same_thing_at_once() {
    let owner = Tester::new().await;
    let other = owner.other_tenant().await;
    fill(&owner, 150).await;
    fill(&other, 150).await;
    let recorder = Arc::new(Recorder::default());
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let dispatcher = Dispatcher::new(owner.bureau.clone(), vec![recorder.clone()]);
            tokio::spawn(async move { dispatcher.carry_due().await.unwrap() })
        })
        .collect();
    let mut count = 0;
    for task in tasks {
        count += task.await.unwrap();
    }
    let mut ids = recorder.ids();
    ids.sort();
    ids.dedup();
    assert_eq!((count, ids.len()), (300, 300));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenants_thousand_hanging_receivers_delay_nobody_else() {
    let owner = Tester::new().await;
    let other = owner.other_tenant().await;
    fill(&owner, 1000).await;
    fill(&other, 20).await;
    let recorder = Arc::new(Recorder::default());
    *recorder.hangs.lock().unwrap() = Some(owner.tenant_id);
    let dispatcher = Dispatcher::new(owner.bureau.clone(), vec![recorder.clone()]);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(dispatcher.run(async move { drop(stopped.await) }));
    let all = async {
        while recorder.of(other.tenant_id) < 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all).await.expect("the other tenant's mails wait");
    // To one receiver no more than four at once.
    assert_eq!(recorder.of(owner.tenant_id), 4);
    stop.send(()).unwrap();
    running.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_dispatcher_is_woken_by_a_commit_and_ends_when_it_is_told() {
    let owner = Tester::new().await;
    let recorder = Arc::new(Recorder::default());
    let dispatcher = Dispatcher::new(owner.bureau.clone(), vec![recorder.clone()]);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(dispatcher.run(async move { drop(stopped.await) }));
    for number in 0..5 {
        invite(&owner, &format!("n{number}@example.org")).await;
        let told = async {
            while recorder.ids().len() <= number {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        // Well below the two seconds after which it would look by itself.
        tokio::time::timeout(Duration::from_secs(1), told).await.expect("the commit woke nobody");
    }
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_a_month_ago_is_cleared_away() {
    let owner = Tester::new().await;
    let recorder = Arc::new(Recorder::default());
    invite(&owner, "one@example.org").await;
    Dispatcher::new(owner.bureau.clone(), vec![recorder.clone()]).carry_due().await.unwrap();
    owner.bureau.clock.advance_seconds(31 * 24 * 3600);
    invite(&owner, "two@example.org").await;
    let dispatcher = Dispatcher::new(owner.bureau.clone(), vec![recorder.clone()]);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(dispatcher.run(async move { drop(stopped.await) }));
    while recorder.ids().len() < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!(states(&owner).await, one("done", None));
}
