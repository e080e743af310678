//! Parts of a call, measured one by one: `cargo bench`. For the whole beside its peers see benches/load.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot run should stop")]

use std::hint::black_box;
use std::sync::Arc;

use bureau::{catalog, open};
use bureau_kit::access::Shown;
use bureau_kit::db::Location;
use bureau_kit::gate::{Bureau, Call, Origin, Outcome, Selection};
use bureau_kit::sql::Sql;
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Map, Value, json};

struct Company {
    runtime: tokio::runtime::Runtime,
    bureau: Arc<Bureau>,
    token: String,
    _directory: tempfile::TempDir,
}

fn company() -> Company {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(directory.path().join("bureau.db"));
    let opened = runtime.block_on(open::open(&location)).unwrap();
    let token = opened.founded.unwrap().token;
    let company = Company { runtime, bureau: opened.bureau, token, _directory: directory };
    for number in 0..100 {
        company.call("task_create", json!({"title": format!("task {number}")}));
    }
    company
}

impl Company {
    fn call(&self, tool: &str, arguments: Value) -> Vec<u8> {
        let Value::Object(arguments) = arguments else { return Vec::new() };
        let call = Call {
            tool: tool.to_owned(),
            arguments,
            shown: Some(Shown::Token(self.token.clone())),
            selection: Selection::default(),
            origin: Origin::default(),
            dialogue: bureau_kit::dialogue::Dialogue::default(),
        };
        match self.runtime.block_on(self.bureau.call(call)) {
            Outcome::Done { body, is_error: false } => body,
            other => unreachable!("{tool}: {other:?}"),
        }
    }
}

fn gate(criterion: &mut Criterion) {
    let company = company();
    let mut group = criterion.benchmark_group("gate");
    group.bench_function("show one task", |bencher| bencher.iter(|| company.call("task_show", json!({"id": 1}))));
    group.bench_function("list 50 tasks", |bencher| {
        bencher.iter(|| company.call("task_list", json!({"page_size": 50})))
    });
    group
        .bench_function("create a task", |bencher| bencher.iter(|| company.call("task_create", json!({"title": "x"}))));
    group.bench_function("search tools", |bencher| {
        bencher.iter(|| company.call("tool_search", json!({"query": "rozlicz umowę"})));
    });
    group.finish();
}

fn store(criterion: &mut Criterion) {
    let company = company();
    let mut group = criterion.benchmark_group("store");
    let point = Sql::new("SELECT id, title FROM tasks WHERE num = 1");
    group.bench_function("snapshot and point read", |bencher| {
        bencher.iter(|| {
            company.runtime.block_on(async {
                let mut tx = company.bureau.db.read().await.unwrap();
                let rows = tx.query(&point).await.unwrap();
                tx.commit().await.unwrap();
                black_box(rows)
            })
        });
    });
    group.bench_function("empty durable commit", |bencher| {
        bencher.iter(|| {
            company.runtime.block_on(async { company.bureau.db.write().await.unwrap().commit().await.unwrap() })
        });
    });
    group.finish();
}

fn schemas(criterion: &mut Criterion) {
    let registry = catalog::registry().unwrap();
    let mut group = criterion.benchmark_group("schemas");
    group.bench_function("build the registry", |bencher| bencher.iter(|| catalog::registry().unwrap()));
    group.bench_function("render every tool", |bencher| {
        bencher
            .iter(|| registry.entries().iter().map(|entry| entry.listing(true)).collect::<Vec<Map<String, Value>>>());
    });
    group.finish();
}

criterion_group!(parts, gate, store, schemas);
criterion_main!(parts);
