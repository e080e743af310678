//! Killed in the middle of writing, again and again: what was acknowledged is there, and nothing is there by half.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bureau_kit::db::{Db, Dialect};
use bureau_kit::sql::Sql;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::dice::{Dice, seed, times};
use crate::process::{Connection, Serving, bureau, ended, soon};
use crate::support::TestDatabase;

/// Clients that write at once.
const CLIENTS: usize = 8;

/// One call that a client made, and what it heard of it.
#[derive(Debug, Clone)]
struct Write {
    tool: &'static str,
    arguments: Value,
    /// Titles of the tasks that it makes.
    titles: Vec<String>,
    key: Option<String>,
    /// The answer, when one came before the end.
    acknowledged: Option<Value>,
}

impl Write {
    /// The `index`th write of a client: a task, a task under a key, three tasks at once, three under a key.
    fn new(client: &str, index: usize) -> Self {
        let name = format!("{client}.{index}");
        let with_key = index % 2 == 1;
        let key = with_key.then(|| format!("key {name}"));
        let (tool, titles, mut arguments) = if index % 4 < 2 {
            let title = format!("task {name}");
            ("task_create", vec![title.clone()], json!({"title": title}))
        } else {
            let titles: Vec<String> = (0..3).map(|part| format!("batch {name}.{part}")).collect();
            let calls: Vec<Value> =
                titles.iter().map(|title| json!({"tool": "task_create", "arguments": {"title": title}})).collect();
            ("batch_call", titles, json!({"calls": calls, "mode": "atomic"}))
        };
        if let Some(key) = &key {
            arguments["idempotency_key"] = json!(key);
        }
        Self { tool, arguments, titles, key, acknowledged: None }
    }

    /// Ids of the tasks that an answer to this write says were made.
    fn ids_in(&self, answer: &Value) -> Vec<Uuid> {
        let tasks: Vec<&Value> = match self.tool {
            "task_create" => vec![answer],
            _ => answer["results"].as_array().unwrap().iter().map(|result| &result["result"]).collect(),
        };
        tasks.iter().map(|task| task["id"].as_str().unwrap().parse().unwrap()).collect()
    }
}

/// Writes until the connection breaks.
async fn write_on(
    address: std::net::SocketAddr,
    token: String,
    client: String,
    heard: Arc<Mutex<Vec<Write>>>,
    stop: Arc<AtomicBool>,
) {
    let Ok(mut connection) = Connection::to(address).await else { return };
    for index in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let mut write = Write::new(&client, index);
        let outcome = connection.call(&token, write.tool, write.arguments.clone()).await;
        let broken = outcome.is_err();
        if let Ok((answer, is_error)) = outcome {
            assert!(!is_error, "{write:?}: {answer}");
            write.acknowledged = Some(answer);
        }
        heard.lock().unwrap().push(write);
        if broken {
            return;
        }
    }
}

/// Ids of all tasks in the database, by title.
async fn tasks(database: &TestDatabase) -> HashMap<String, Vec<Uuid>> {
    let db = Db::connect(&database.location).await.unwrap();
    let mut tx = db.read().await.unwrap();
    if db.dialect() == Dialect::Postgres {
        tx.query(&Sql::new("SELECT set_config('bureau.all_tenants', 'on', true)")).await.unwrap();
    }
    let mut found: HashMap<String, Vec<Uuid>> = HashMap::new();
    for row in tx.query(&Sql::new("SELECT title, id FROM tasks")).await.unwrap() {
        found.entry(row.get(0).unwrap()).or_default().push(row.get(1).unwrap());
    }
    let numbers = tx.query(&Sql::new("SELECT count(*), count(DISTINCT num) FROM tasks")).await.unwrap();
    let (rows, different): (i64, i64) = (numbers[0].get(0).unwrap(), numbers[0].get(1).unwrap());
    assert_eq!(rows, different, "two tasks have one number");
    tx.commit().await.unwrap();
    db.close().await;
    found
}

/// `bureau doctor` finds nothing, the database's own check of every page included.
async fn examine(database: &TestDatabase) {
    let doctor = ended(bureau(database, &["doctor", "--json"])).await;
    assert_eq!((doctor.status, &doctor.json()["ok"]), (0, &json!(true)), "{doctor:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let (seed, kills) = (seed(), times("BUREAU_KILLS", 12));
    println!("seed {seed}, {kills} kills");
    let mut dice = Dice::new(seed);
    let database = TestDatabase::new().await;
    let mut serving = Serving::on_new(&database).await;
    let token = serving.token.clone();
    let (mut acknowledged, mut unanswered, mut halves) = (0, 0, 0);
    for round in 0..kills {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let name = format!("{round}.{client}");
                tokio::spawn(write_on(serving.address, token.clone(), name, heard.clone(), stop.clone()))
            })
            .collect();
        // Once writing is under way.
        let under_way = async {
            while heard.lock().unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon("the first answer", under_way).await;
        tokio::time::sleep(Duration::from_millis(50 + dice.below(451))).await;
        serving.kill().await;
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        // By turns it is `doctor` and `serve` that finds the database as it was left.
        let doctor_first = dice.below(2) == 0;
        if doctor_first {
            examine(&database).await;
        }
        serving = Serving::again(&database, &token).await;
        if !doctor_first {
            examine(&database).await;
        }

        let writes = std::mem::take(&mut *heard.lock().unwrap());
        let found = tasks(&database).await;
        let ids = |write: &Write| -> Vec<Uuid> {
            write.titles.iter().filter_map(|title| found.get(title)).flatten().copied().collect()
        };
        for write in &writes {
            let there = ids(write);
            match &write.acknowledged {
                Some(answer) => {
                    assert_eq!(there, write.ids_in(answer), "acknowledged and not there as answered: {write:?}");
                    acknowledged += 1;
                }
                None => {
                    assert!(there.is_empty() || there.len() == write.titles.len(), "{there:?} of {write:?}");
                    unanswered += 1;
                    halves += usize::from(!there.is_empty());
                }
            }
        }

        // Whoever heard nothing repeats the call with its key; whoever did hear may repeat it too.
        let mut connection = serving.connect().await;
        let keyed: Vec<&Write> = writes.iter().filter(|write| write.key.is_some()).collect();
        let unheard = keyed.iter().filter(|write| write.acknowledged.is_none());
        let heard = keyed.iter().filter(|write| write.acknowledged.is_some());
        for write in unheard.chain(heard.rev().take(10)) {
            let before = ids(write);
            let (answer, is_error) = connection.call(&token, write.tool, write.arguments.clone()).await.unwrap();
            assert!(!is_error, "{write:?}: {answer}");
            let replayed = answer.get("replayed").is_some();
            assert_eq!(replayed, !before.is_empty(), "{write:?}: {answer}");
            if replayed {
                assert_eq!(write.ids_in(&answer), before, "{write:?}: {answer}");
            }
        }
        let after = tasks(&database).await;
        for write in &keyed {
            let counts: Vec<usize> = write.titles.iter().map(|title| after.get(title).map_or(0, Vec::len)).collect();
            assert_eq!(counts, vec![1; write.titles.len()], "{write:?}");
        }

        // What was acknowledged can be taken back.
        if let Some(write) = writes.iter().rfind(|write| write.acknowledged.is_some()) {
            let undo = json!({"undo_token": write.acknowledged.as_ref().unwrap()["undo_token"]});
            let (answer, is_error) = connection.call(&token, "action_undo", undo).await.unwrap();
            assert!(!is_error, "{write:?}: {answer}");
            let left = tasks(&database).await;
            assert!(write.titles.iter().all(|title| !left.contains_key(title)), "{write:?} is still there");
        }
    }
    assert!(acknowledged > 0, "the server was too slow to be tested: nothing was acknowledged");
    println!(
        "{kills} kills, {acknowledged} acknowledged writes all there, {unanswered} unanswered of which {halves} had happened"
    );
}
