//! A token is shown once and kept nowhere: a thousand of every kind are made by the real program, used and misused, and looked
//! for in everything that stays.

use std::collections::HashMap;
use std::sync::Arc;

use bureau_kit::db::Location;
use bureau_kit::id::Ids;
use bureau_kit::sql::Sql;
use bureau_kit::time::Clock;
use bureau_kit::token;
use serde_json::{Value, json};

use crate::process::{Connection, Serving, bureau, call_message};
use crate::support::{TestDatabase, Tester};

/// Tokens made by each of the two servers, one for each form of the log.
const TOKENS: usize = 500;

/// Every usable secret in some bytes: whatever is a well-formed token of any kind, and the known ones without their prefix, as
/// text or as the hexadecimal digits that PostgreSQL shows of bytes.
struct Search {
    known: HashMap<[u8; 8], Vec<Vec<u8>>>,
    /// Which three bytes begin one of the known: most places are passed by with one look.
    begun: Vec<bool>,
}

fn first_three(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk::<3>().map(|bytes| bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

impl Search {
    fn new<'a>(secrets: impl IntoIterator<Item = &'a String>) -> Self {
        let mut known: HashMap<_, Vec<Vec<u8>>> = HashMap::new();
        let mut begun = vec![false; 1 << 24];
        for secret in secrets {
            let body = if token::kind_of(secret).is_some() { &secret.as_bytes()[4..] } else { secret.as_bytes() };
            let digits: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
            for form in [body.to_vec(), digits.into_bytes()] {
                begun[first_three(&form).unwrap()] = true;
                known.entry(*form.first_chunk().unwrap()).or_default().push(form);
            }
        }
        Self { known, begun }
    }

    fn found(&self, bytes: &[u8]) -> Option<String> {
        let well_formed = |at: usize| {
            let text = std::str::from_utf8(bytes.get(at..at + 40)?).ok()?;
            token::kind_of(text).map(|kind| format!("{kind:?} {text}"))
        };
        let at = |at: usize| {
            let rest = &bytes[at..];
            if rest.starts_with(b"bu") && rest.get(3) == Some(&b'_') {
                return well_formed(at);
            }
            if !self.begun[first_three(rest)?] {
                return None;
            }
            let forms = self.known.get(rest.first_chunk()?)?;
            let form = forms.iter().find(|form| rest.starts_with(form))?;
            Some(format!("known {}", String::from_utf8_lossy(form)))
        };
        (0..bytes.len()).find_map(at)
    }

    fn refuse(&self, place: &str, bytes: impl AsRef<[u8]>) {
        let found = self.found(bytes.as_ref());
        assert_eq!(found, None, "{place} holds a secret");
    }
}

/// What was made so far, and what was answered to those who must not learn it again.
#[derive(Default)]
struct Made {
    secrets: Vec<String>,
    answers: Vec<(String, String)>,
}

impl Made {
    /// A call that makes a token, and the same call again under its key.
    async fn make(
        &mut self,
        with: &mut Connection,
        token: &str,
        tool: &str,
        mut arguments: Value,
        field: &str,
    ) -> String {
        let keyed = tool != "session_login";
        if keyed {
            arguments["idempotency_key"] = json!(format!("key {}", self.secrets.len()));
        }
        let (answer, is_error) = with.call(token, tool, arguments.clone()).await.unwrap();
        assert!(!is_error, "{tool}: {answer}");
        let secret = answer[field].as_str().unwrap().to_owned();
        if keyed && self.secrets.len().is_multiple_of(3) {
            let (again, _) = with.call(token, tool, arguments).await.unwrap();
            assert_eq!(again["replayed"], true, "{again}");
            self.answers.push((format!("the repeated answer of {tool}"), again.to_string()));
        }
        self.secrets.push(secret.clone());
        secret
    }

    async fn note(&mut self, with: &mut Connection, token: &str, tool: &str, arguments: Value) {
        let answer = with.post("/mcp", token, &call_message(json!(1), tool, arguments).to_string()).await.unwrap();
        self.answers.push((tool.to_owned(), answer.head + &answer.body));
    }
}

/// The token with one of its random letters exchanged.
fn damaged(token: &str) -> String {
    let letter = if token.as_bytes()[20] == b'A' { "B" } else { "A" };
    format!("{}{letter}{}", &token[..20], &token[21..])
}

/// Makes tokens of every kind, and uses and misuses them in every place where a token can stand.
async fn issue(serving: &Serving, made: &mut Made, passwords: &[String]) {
    let owner = serving.token.clone();
    let mut connection = serving.connect().await;
    let with = &mut connection;
    let mut parent = owner.clone();
    let first = made.secrets.len();
    while made.secrets.len() < first + TOKENS {
        let number = made.secrets.len();
        let secret = match number % 4 {
            0 => made.make(with, &owner, "api_key_create", json!({"name": format!("key {number}")}), "secret").await,
            1 => made.make(with, &owner, "session_create", json!({"label": "agent"}), "session_token").await,
            2 => made.make(with, &parent, "session_create", json!({"features": ["organize.*"]}), "session_token").await,
            _ if number % 20 == 3 => {
                let index = number / 20 % passwords.len();
                let login = json!({"email": format!("user{index}@example.com"), "password": passwords[index]});
                made.make(with, &owner, "session_login", login, "token").await
            }
            _ => made.make(with, &owner, "ai_session_key_create", json!({}), "sessionToken").await,
        };
        if number % 4 == 1 {
            parent = secret.clone();
        }
        if number.is_multiple_of(10) {
            made.note(with, &secret, "session_list", json!({})).await;
            made.note(with, &owner, "session_list", json!({"_sessionToken": secret})).await;
            made.note(with, &owner, "me", json!({"_sessionToken": {"token": secret}})).await;
        }
        // Seldom, since whoever shows many bad tokens is made to wait.
        if number.is_multiple_of(100) {
            made.note(with, &owner, "me", json!({"_sessionToken": damaged(&secret)})).await;
        }
    }
    // Refused and unreadable requests, each with a good token in it.
    let secret = made.secrets[first].clone();
    for (path, token, body) in [
        ("/mcp", damaged(&secret), "{}".to_owned()),
        ("/mcp", secret.clone(), "{".to_owned()),
        ("/rpc", secret.clone(), json!({"jsonrpc": "2.0", "id": 1, "method": "nothing"}).to_string()),
        ("/rpc", secret.clone(), json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string()),
        ("/nowhere", secret.clone(), "{}".to_owned()),
        ("/mcp?token=x", secret.clone(), "{}".to_owned()),
    ] {
        let answer = serving.connect().await.post(path, &token, &body).await.unwrap();
        made.answers.push((format!("POST {path}"), answer.head + &answer.body));
    }
    for page in 1..=8 {
        for tool in ["action_log_list", "session_list", "api_key_list"] {
            made.note(with, &owner, tool, json!({"page": page, "page_size": 100})).await;
        }
    }
    let metrics = serving.connect().await.get("/metrics").await.unwrap();
    made.answers.push(("/metrics".into(), metrics.body));
}

/// Every row of every table, as text.
async fn rows(owner: &Tester) -> Vec<(String, String)> {
    let tables =
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace";
    let all = owner.bureau.as_system(owner.tenant_id, None, "all", |ctx| {
        Box::pin(async move {
            let mut found = Vec::new();
            for table in ctx.rows(&Sql::new(tables)).await? {
                let table: String = table.get(0)?;
                let sql: &'static str = Box::leak(format!("SELECT t::text FROM {table} t").into_boxed_str());
                for row in ctx.rows_of_all_tenants(&Sql::new(sql)).await? {
                    found.push((table.clone(), row.get(0)?));
                }
            }
            Ok(found)
        })
    });
    all.await.unwrap()
}

/// All that the database keeps: its files as they lie there, or every row of the server.
async fn stored(database: &Arc<TestDatabase>) -> Vec<(String, Vec<u8>)> {
    if let Location::Sqlite(path) = &database.location {
        let files = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.is_file());
        return files.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
    }
    let opened = bureau::open::open_with(&database.location, Clock::System, Ids::system()).await.unwrap();
    let tester = Tester::on(opened.bureau, database.clone()).await;
    rows(&tester).await.into_iter().map(|(table, row)| (table, row.into_bytes())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_found_where_it_could_be_read_again() {
    let passwords: Vec<String> = (0..5).map(|number| format!("Hasło-{number}-Kuchnia!")).collect();
    let (mut made, mut searched) = (Made::default(), 0);
    for format in ["text", "json"] {
        let database = Arc::new(TestDatabase::new().await);
        let words = ["serve", "--listen", "127.0.0.1:0", "--log", "trace", "--log-format", format];
        let mut serving = Serving::start(bureau(&database, &words), None).await;
        for (index, password) in passwords.iter().enumerate() {
            let user = json!({"email": format!("user{index}@example.com"), "password": password, "role": "user"});
            serving.ok("user_create", user).await;
        }
        issue(&serving, &mut made, &passwords).await;
        let secrets = made.secrets.iter().chain(&passwords).chain(std::iter::once(&serving.token));
        let search = Search::new(secrets);
        // While it runs, what SQLite has not moved into its main file yet is there as well.
        for moment in ["running", "ended"] {
            for (place, bytes) in stored(&database).await {
                search.refuse(&format!("{place} ({moment})"), &bytes);
                searched += bytes.len();
            }
            if moment == "running" {
                serving.terminate();
                assert_eq!(serving.status().await, Some(0));
            }
        }
        let log = serving.log();
        assert!(log.contains("DEBUG") && log.lines().count() > TOKENS, "the log tells little: {log:.300}");
        search.refuse(&format!("the log as {format}"), &log);
        searched += log.len();
        for (place, answer) in made.answers.drain(..) {
            search.refuse(&format!("an answer of {place}"), &answer);
            searched += answer.len();
        }
    }
    let sorts = |prefix: &str| made.secrets.iter().filter(|secret| secret.starts_with(prefix)).count();
    let (sessions, keys) = (sorts("bus_"), sorts("buk_"));
    assert_eq!((made.secrets.len(), sessions + keys), (2 * TOKENS, 2 * TOKENS));
    println!("{sessions} session tokens, {keys} API keys and {} passwords: none in {searched} bytes", passwords.len());
    // The search itself finds what is there, whole, without its prefix, and as digits.
    let secret = &made.secrets[0];
    let search = Search::new([secret]);
    let digits: String = secret.as_bytes()[4..].iter().map(|byte| format!("{byte:02x}")).collect();
    for text in [secret.clone(), secret[4..].to_owned(), digits, token::mint(token::TokenKind::Invitation)] {
        assert!(search.found(format!("before {text} after").as_bytes()).is_some(), "{text}");
    }
    assert_eq!(search.found(damaged(secret).as_bytes()), None);
}

/// Columns that are secret stay out of what the journal keeps of a row.
#[tokio::test(flavor = "multi_thread")]
async fn the_journal_keeps_no_secret_column() {
    let owner = Tester::new().await;
    owner.ok("session_create", json!({})).await;
    owner.ok("api_key_create", json!({"name": "x"})).await;
    owner.ok("user_create", json!({"email": "a@example.com", "password": "Kuchnia1!", "invite": true})).await;
    let columns: Vec<&str> = bureau::catalog::tables()
        .iter()
        .flat_map(|table| table.columns)
        .filter(|column| column.secret)
        .map(|column| column.name)
        .collect();
    assert!(columns.contains(&"token_hash") && columns.contains(&"secret_hash"), "{columns:?}");
    let sql = "SELECT CAST(after AS TEXT) FROM action_changes WHERE after IS NOT NULL";
    let kept = owner
        .bureau
        .as_system(owner.tenant_id, None, "journal", |ctx| Box::pin(async move { ctx.rows(&Sql::new(sql)).await }));
    let kept = kept.await.unwrap();
    assert!(kept.len() >= 3, "{kept:?}");
    for row in kept {
        let row: Value = serde_json::from_str(&row.get::<String>(0).unwrap()).unwrap();
        let leaked = columns.iter().find(|column| row.get(**column).is_some());
        assert_eq!(leaked, None, "{row}");
    }
}

/// An invitation's token is made when its mail is sent: nobody who reads the database can accept it.
#[tokio::test(flavor = "multi_thread")]
async fn no_invitation_waits_in_the_database() {
    let owner = Tester::new().await;
    for number in 0..100 {
        let email = format!("invited{number}@example.com");
        let person = owner.ok("person_create", json!({"name": "Ewa Król", "primary_email": email})).await;
        let tried = owner.ok("person_invite", json!({"id": person["id"], "dry_run": true})).await;
        let done = owner.ok("person_invite", json!({"id": person["id"], "idempotency_key": email})).await;
        let search = Search::new(&[]);
        search.refuse("a preview", tried.to_string());
        search.refuse("an answer", done.to_string());
    }
    for (place, bytes) in stored(&owner.database).await {
        Search::new(&[]).refuse(&place, &bytes);
    }
}
