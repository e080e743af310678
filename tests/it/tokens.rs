//! A token is shown once and kept nowhere: a thousand of every kind are made by the real program, used and misused, and looked
//! for in everything that stays.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bureau_kit::db::Location;
use bureau_kit::id::Ids;
use bureau_kit::sql::Sql;
use bureau_kit::time::Clock;
use bureau_kit::token;
use serde_json::{Value, json};

use crate::mail::{Server, token_in};
use crate::process::{Connection, Serving, bureau, call_message, soon};
use crate::support::{TestDatabase, Tester};
use crate::web_tokens::signed;

/// Tokens made by each of the two servers, one for each form of the log.
const TOKENS: usize = 500;
/// The key that seals what must be known again: the secrets of webhooks and web tokens.
const SECRET_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

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
    /// What was signed with web tokens.
    signed: Vec<String>,
    answers: Vec<(String, String)>,
}

impl Made {
    /// A call that makes a token, and the same call again under its key. What the first answered.
    async fn make(
        &mut self,
        with: &mut Connection,
        token: &str,
        tool: &str,
        mut arguments: Value,
        field: &str,
    ) -> Value {
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
        self.secrets.push(secret);
        answer
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
    let mut webhook = Value::Null;
    let first = made.secrets.len();
    while made.secrets.len() < first + TOKENS {
        let number = made.secrets.len();
        let answer = match number % 6 {
            0 => made.make(with, &owner, "api_key_create", json!({"name": format!("key {number}")}), "secret").await,
            1 => made.make(with, &owner, "session_create", json!({"label": "agent"}), "session_token").await,
            2 => made.make(with, &parent, "session_create", json!({"features": ["organize.*"]}), "session_token").await,
            3 => {
                let mut web_token = json!({"name": format!("web {number}"), "kind": "web_token"});
                web_token["privileges"] = json!(["tasks_read"]);
                made.make(with, &owner, "api_key_create", web_token, "secret").await
            }
            4 if number % 12 == 4 || webhook.is_null() => {
                let arguments = json!({"url": "http://127.0.0.1:9/hook", "events": ["tag.create"]});
                let answer = made.make(with, &owner, "webhook_create", arguments, "secret").await;
                webhook = answer["id"].clone();
                answer
            }
            4 => {
                let id = json!({"id": webhook});
                made.note(with, &owner, "webhook_test", id.clone()).await;
                made.make(with, &owner, "webhook_secret_rotate", id, "secret").await
            }
            _ if number % 30 == 5 => {
                let index = number / 30 % passwords.len();
                let login = json!({"email": format!("user{index}@example.com"), "password": passwords[index]});
                made.make(with, &owner, "session_login", login, "token").await
            }
            _ => made.make(with, &owner, "ai_session_key_create", json!({}), "sessionToken").await,
        };
        let secret = made.secrets[number].clone();
        match number % 6 {
            1 => parent = secret.clone(),
            // What is signed with a web token is as good as a token, and is shown with every call.
            3 => {
                let now = Clock::System.now().micros() / 1_000_000;
                let claims = json!({"iat": now, "exp": now + 3600, "n": number});
                let jwt = signed(&secret, &json!({"alg": "HS256", "kid": answer["id"]}), &claims);
                let (answer, is_error) = with.call(&jwt, "task_list", json!({"page_size": 1})).await.unwrap();
                assert!(!is_error, "{answer}");
                made.signed.push(jwt);
            }
            _ => {}
        }
        // A web token only signs, and whoever shows bad tokens is made to wait.
        let is_token = token::kind_of(&secret).is_some() && number % 6 != 3;
        if is_token && number.is_multiple_of(10) {
            made.note(with, &secret, "session_list", json!({})).await;
            made.note(with, &owner, "session_list", json!({"_sessionToken": secret})).await;
            made.note(with, &owner, "me", json!({"_sessionToken": {"token": secret}})).await;
        }
        if is_token && number.is_multiple_of(100) {
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

/// Has new passwords and invitations sent by mail; the tokens in the mails, some of them used.
async fn mail(serving: &Serving, made: &mut Made, server: &Server, users: usize) -> Vec<String> {
    let mut connection = serving.connect().await;
    let owner = serving.token.clone();
    for number in 0..users {
        let forgetful = json!({"email": format!("user{number}@example.com")});
        made.note(&mut connection, &owner, "password_reset_request", forgetful).await;
        let email = format!("invited{number}@example.com");
        let person = serving.ok("person_create", json!({"name": "Ewa Król", "primary_email": email})).await;
        made.note(&mut connection, &owner, "person_invite", json!({"id": person["id"]})).await;
    }
    soon("the mails", async {
        while server.mails().len() < 2 * users {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let tokens: Vec<String> = server.mails().iter().map(|mail| token_in(mail)).collect();
    for token in tokens.iter().step_by(3) {
        let accepted = json!({"token": token, "password": "weak"});
        let tool = if token.starts_with("bup_") { "password_reset_confirm" } else { "invitation_accept" };
        made.note(&mut connection, &owner, tool, accepted).await;
    }
    tokens
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
    let (mut made, mut mailed, mut searched) = (Made::default(), Vec::new(), 0);
    for format in ["text", "json"] {
        let database = Arc::new(TestDatabase::new().await);
        let mails = Server::start().await;
        let url = format!("smtp://127.0.0.1:{}", mails.port);
        let words = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "trace",
            "--log-format",
            format,
            "--smtp-url",
            &url,
            "--mail-from",
            "bureau@example.com",
            "--webhook-allow",
            "127.0.0.0/8",
        ];
        let mut command = bureau(&database, &words);
        command.env("BUREAU_SECRET_KEY", SECRET_KEY);
        let mut serving = Serving::start(command, None).await;
        for (index, password) in passwords.iter().enumerate() {
            let user = json!({"email": format!("user{index}@example.com"), "password": password, "role": "user"});
            serving.ok("user_create", user).await;
        }
        issue(&serving, &mut made, &passwords).await;
        mailed.extend(mail(&serving, &mut made, &mails, passwords.len()).await);
        let key = SECRET_KEY.to_owned();
        let secrets = made.secrets.iter().chain(&made.signed).chain(&mailed).chain(&passwords);
        let search = Search::new(secrets.chain([&serving.token, &key]));
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
    let (sessions, keys, webhooks) = (sorts("bus_"), sorts("buk_"), sorts("whsec_"));
    assert_eq!((made.secrets.len(), sessions + keys + webhooks), (2 * TOKENS, 2 * TOKENS));
    assert_eq!((made.signed.len() > TOKENS / 4, mailed.len()), (true, 4 * passwords.len()));
    println!(
        "{sessions} session tokens, {keys} API keys and web tokens, {} JWTs, {webhooks} secrets of webhooks, {} tokens in mails \
         and {} passwords: none in {searched} bytes",
        made.signed.len(),
        mailed.len(),
        passwords.len()
    );
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
