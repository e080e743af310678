//! A company on a fresh database, and people who call its tools.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bureau::open;
use bureau_identity::founding::Founded;
use bureau_kit::access::Shown;
use bureau_kit::db::{Db, Location};
use bureau_kit::dns::DnsResolver;
use bureau_kit::gate::{Bureau, Call, Origin, Outcome, Selection};
use bureau_kit::id::Ids;
use bureau_kit::sql::Sql;
use bureau_kit::time::{Clock, Instant};
use bureau_kit::tool::BoxFuture;
use bureau_kit::vault::KeySource;
use serde_json::{Value, json};
use uuid::Uuid;

/// The moment at which every test begins.
pub const START: &str = "2026-11-21T10:00:00Z";

/// Where the tests' data is: a temporary directory, or a schema of the PostgreSQL server that is named.
#[derive(Debug)]
pub struct TestDatabase {
    pub location: Location,
    _directory: Option<tempfile::TempDir>,
}

impl TestDatabase {
    pub async fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Ok(url) = std::env::var("BUREAU_TEST_POSTGRES") else {
            let directory = tempfile::tempdir().unwrap();
            let location = Location::Sqlite(directory.path().join("bureau.db"));
            return Self { location, _directory: Some(directory) };
        };
        let schema = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let db = Db::connect(&Location::Postgres(url.clone())).await.unwrap();
        let mut tx = db.write().await.unwrap();
        let statement: &'static str = Box::leak(format!("CREATE SCHEMA {schema}").into_boxed_str());
        tx.query(&Sql::new(statement)).await.unwrap();
        tx.commit().await.unwrap();
        db.close().await;
        let location = Location::Postgres(format!("{url}?options=-c%20search_path%3D{schema}"));
        Self { location, _directory: None }
    }
}

/// Somebody with a token, at a server of their own.
#[derive(Clone)]
pub struct Tester {
    pub bureau: Arc<Bureau>,
    pub tenant_id: Uuid,
    pub shown: Shown,
    pub selection: Selection,
    pub database: Arc<TestDatabase>,
    /// What the domain name system says, as far as this server can see.
    pub zone: Arc<Zone>,
}

/// Texts at names: a domain name system that says what a test wants.
#[derive(Debug, Default)]
pub struct Zone(Mutex<HashMap<String, Result<Vec<String>, String>>>);

impl Zone {
    pub fn says(&self, name: &str, texts: &[&str]) {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        self.0.lock().unwrap().insert(name.to_owned(), Ok(texts));
    }

    pub fn fails(&self, name: &str, why: &str) {
        self.0.lock().unwrap().insert(name.to_owned(), Err(why.to_owned()));
    }
}

impl DnsResolver for Zone {
    fn texts<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, String>> {
        let answer = self.0.lock().unwrap().get(name).cloned().unwrap_or(Ok(Vec::new()));
        Box::pin(std::future::ready(answer))
    }
}

impl Tester {
    /// The owner of a new company on a fresh database, at [`START`].
    pub async fn new() -> Self {
        let database = Arc::new(TestDatabase::new().await);
        let clock = Clock::fixed(Instant::parse(START).unwrap());
        let opened = open::open_with(&database.location, clock, Ids::seeded(42)).await.unwrap();
        let founded = opened.founded.expect("a fresh database has no company");
        if let Location::Postgres(_) = database.location {
            // Beside a SQLite file the key is made by itself.
            opened.bureau.vault.configure(KeySource::Given("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()));
        }
        let zone = Arc::new(Zone::default());
        opened.bureau.installation.resolve_by(zone.clone());
        Self::owner(opened.bureau, founded, database, zone)
    }

    fn owner(bureau: Arc<Bureau>, founded: Founded, database: Arc<TestDatabase>, zone: Arc<Zone>) -> Self {
        let shown = Shown::Token(founded.token);
        Self { bureau, tenant_id: founded.tenant_id, shown, selection: Selection::default(), database, zone }
    }

    /// The owner of a second company on the same database.
    pub async fn other_tenant(&self) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let founded =
            open::found(&self.bureau, &format!("Other {number}"), &format!("other{number}@example.net"), "Other owner")
                .await
                .unwrap();
        Self::owner(self.bureau.clone(), founded, self.database.clone(), self.zone.clone())
    }

    /// A new user with a built-in role, calling with an API key of its own.
    pub async fn as_role(&self, role: &str) -> Self {
        let email = format!("{}@roles.example.com", role.to_lowercase().replace(' ', "-"));
        let user = match self
            .call("user_create", json!({"email": email, "first_name": "Test", "last_name": role, "role": role}))
            .await
        {
            (user, false) => user["id"].clone(),
            // Asked for twice in one test: the same user again.
            (error, true) if error["code"] == "conflict" || error["code"] == "validation" => {
                self.ok("user_list", json!({"q": email})).await["items"][0]["id"].clone()
            }
            (error, true) => panic!("no user with role {role}: {error}"),
        };
        let key = self.ok("api_key_create", json!({"name": format!("test {role}"), "user_id": user})).await;
        self.with_token(key["secret"].as_str().unwrap())
    }

    /// The same server, another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { shown: Shown::Token(token.to_owned()), ..self.clone() }
    }

    /// What came of a call, whatever it is.
    pub async fn outcome(&self, tool: &str, arguments: Value) -> Outcome {
        let Value::Object(arguments) = arguments else { panic!("arguments of {tool} must be an object") };
        let call = Call {
            tool: tool.to_owned(),
            arguments,
            shown: Some(self.shown.clone()),
            selection: self.selection.clone(),
            origin: Origin { transport: "test", ..Origin::default() },
            dialogue: bureau_kit::dialogue::Dialogue::default(),
        };
        self.bureau.call(call).await
    }

    /// The answer, and whether it is an error.
    pub async fn call(&self, tool: &str, arguments: Value) -> (Value, bool) {
        match self.outcome(tool, arguments).await {
            Outcome::Done { body, is_error } => (serde_json::from_slice(&body).unwrap(), is_error),
            Outcome::Unauthenticated(error) => (Value::Object(error.to_json()), true),
            Outcome::UnknownTool(message) => panic!("{message}"),
            Outcome::Asks(question) => panic!("{question:?}"),
        }
    }

    /// The same, in a form that can be spawned many times at once.
    pub fn call_raw(&self, tool: &str, arguments: Value) -> impl Future<Output = (Value, bool)> + Send + 'static {
        let (tester, tool) = (self.clone(), tool.to_owned());
        async move { tester.call(&tool, arguments).await }
    }

    /// The answer of a call that must succeed.
    pub async fn ok(&self, tool: &str, arguments: Value) -> Value {
        let (answer, is_error) = self.call(tool, arguments.clone()).await;
        assert!(!is_error, "{tool} {arguments} must succeed: {answer}");
        answer
    }

    /// The error of a call that must fail.
    pub async fn err(&self, tool: &str, arguments: Value) -> Value {
        let (answer, is_error) = self.call(tool, arguments.clone()).await;
        assert!(is_error, "{tool} {arguments} must fail: {answer}");
        answer
    }

    /// Every row of every described table of this tenant, hidden columns and folded text included, one a line.
    ///
    /// Without `credentials`: password hashes are never journaled, so undo only takes away what points to them.
    pub async fn dump(&self) -> String {
        let lines = self.bureau.as_system(self.tenant_id, None, "dump", |ctx| {
            Box::pin(async move {
                let mut lines = Vec::new();
                for table in bureau::catalog::tables().into_iter().filter(|table| table.name != "credentials") {
                    let mut columns = vec!["id", "version", "created_at", "updated_at"];
                    columns.extend(table.numbered.then_some("num"));
                    columns.extend(table.in_organization.then_some("organization_id"));
                    columns.extend(table.searchable().then_some("folded"));
                    columns.extend(table.columns.iter().map(|column| column.name));
                    let list: &'static str = Box::leak(columns.join(", ").into_boxed_str());
                    let mut sql = ctx.select(list, table);
                    sql.push(" ORDER BY id");
                    for row in ctx.rows(&sql).await? {
                        lines.push(format!("{} {row:?}", table.name));
                    }
                }
                Ok(lines)
            })
        });
        lines.await.unwrap().join("\n")
    }
}

/// A call without any credential.
pub async fn as_nobody(tester: &Tester, tool: &str, arguments: Value) -> Result<Value, Value> {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    let call = Call {
        tool: tool.to_owned(),
        arguments,
        shown: None,
        selection: Selection::default(),
        origin: Origin { transport: "test", ..Origin::default() },
        dialogue: bureau_kit::dialogue::Dialogue::default(),
    };
    match tester.bureau.call(call).await {
        Outcome::Done { body, is_error: false } => Ok(serde_json::from_slice(&body).unwrap()),
        Outcome::Done { body, is_error: true } => Err(serde_json::from_slice(&body).unwrap()),
        Outcome::Unauthenticated(error) => Err(Value::Object(error.to_json())),
        outcome => panic!("{outcome:?}"),
    }
}

/// The first lines in which two dumps differ, for a failing test to show.
pub fn difference(one: &str, other: &str) -> String {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let (one, other) = (lines(one), lines(other));
    let gone = one.difference(&other).map(|line| format!("- {line}"));
    let new = other.difference(&one).map(|line| format!("+ {line}"));
    gone.chain(new).take(12).collect::<Vec<_>>().join("\n")
}
