//! `bureau user|role|key|session`: what the person who runs the server does, in the database and at a running server.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::process::{Ended, Serving, bureau, bureau_without_database, ended};
use crate::support::TestDatabase;

/// `bureau` with these words, told where one company is.
type Told<'a> = dyn Fn(&[&str]) -> Command + 'a;

/// A way to reach one company.
struct Line<'a>(Box<Told<'a>>);

impl Line<'_> {
    async fn run(&self, words: &[&str]) -> Ended {
        ended((self.0)(words)).await
    }

    /// Runs a command that must succeed; what it wrote.
    async fn ok(&self, words: &[&str]) -> String {
        let done = self.run(words).await;
        assert_eq!(done.status, 0, "{words:?}: {done:?}");
        done.stdout
    }

    async fn json(&self, words: &[&str]) -> Value {
        let text = self.ok(&[words, &["--json"]].concat()).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Runs a command that must fail; its status and complaint.
    async fn fails(&self, words: &[&str]) -> (i32, String) {
        let failed = self.run(words).await;
        assert_eq!(failed.stdout, "", "{words:?}");
        (failed.status, failed.complaint().to_owned())
    }

    /// Runs a command with a line on standard input.
    async fn told(&self, words: &[&str], line: &str) -> Ended {
        let mut command = (self.0)(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(line.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { status: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The rows of a table without its head, each cut where two blanks are.
    async fn rows(&self, words: &[&str]) -> Vec<Vec<String>> {
        let text = self.ok(words).await;
        let cells =
            |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect();
        text.lines().skip(1).map(cells).collect()
    }
}

/// Each test once on the database and once at a server.
async fn both_ways(story: impl AsyncFn(&Line<'_>)) {
    let database = TestDatabase::new().await;
    story(&Line(Box::new(|words| bureau(&database, words)))).await;
    let serving = Serving::on_new(&TestDatabase::new().await).await;
    let base = serving.url("");
    let there = Line(Box::new(|words| {
        let mut command = bureau_without_database(words);
        command.env("BUREAU_URL", &base).env("BUREAU_TOKEN", &serving.token);
        command
    }));
    story(&there).await;
}

/// What a write says, without the token that takes it back.
fn first_line(text: &str) -> &str {
    assert!(text.contains("\nTake it back: bureau call action_undo --args '{\"undo_token\": \""), "{text}");
    text.lines().next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_added_shown_changed_and_blocked() {
    both_ways(async |line| {
        let made = line
            .ok(&["user", "create", "eva@example.com", "--name", "Eva Kowalska", "--role", "admin,crm_viewer"])
            .await;
        assert_eq!(first_line(&made), "Eva Kowalska (user 2) is added.");
        let list = line.ok(&["user", "list"]).await;
        let wanted = "num  name          e-mail             role   state   last seen (UTC)\n\
                      2    Eva Kowalska  eva@example.com    admin  active\n\
                      1    Owner         owner@example.com  owner  active\n";
        // When the owner was seen last is now, whenever the test runs.
        let seen = list.trim_end().rsplit_once("active").map_or("", |(_, seen)| seen);
        assert!(seen.is_empty() || seen.trim().len() == "2026-11-27 12:25:07".len(), "{list}");
        assert_eq!(list.replace(seen, ""), wanted);
        assert_eq!(line.json(&["user", "list", "kowal"]).await[0]["email"], "eva@example.com");
        assert_eq!(line.json(&["user", "list", "--role", "owner"]).await.as_array().unwrap().len(), 1);

        let shown = line.ok(&["user", "show", "EVA@example.com"]).await;
        for row in
            ["num                2", "name               Eva Kowalska", "roles              Administrator, CRM Viewer"]
        {
            assert!(shown.lines().any(|line| line == row), "{row} in {shown}");
        }
        let id = line.json(&["user", "show", "2"]).await["id"].as_str().unwrap().to_owned();
        assert_eq!(line.json(&["user", "show", &id]).await["num"], 2);

        assert_eq!(
            first_line(&line.ok(&["user", "block", "eva@example.com"]).await),
            "Eva Kowalska (user 2) is blocked."
        );
        assert_eq!(
            line.rows(&["user", "list", "eva"]).await,
            [["2", "Eva Kowalska", "eva@example.com", "admin", "blocked"]]
        );
        assert_eq!(first_line(&line.ok(&["user", "unblock", "2"]).await), "Eva Kowalska (user 2) may act again.");
        assert_eq!(line.json(&["user", "show", "2"]).await["active"], true);

        let role = line.ok(&["user", "role", "2", "reader", "CRM User"]).await;
        assert_eq!(first_line(&role), "Eva Kowalska (user 2) is now reader, CRM User.");
        let user = line.json(&["user", "show", "2"]).await;
        let roles: Vec<&str> =
            user["roles"].as_array().unwrap().iter().map(|role| role["code"].as_str().unwrap()).collect();
        assert_eq!((&user["role"], roles), (&json!("reader"), vec!["reader", "crm_user"]));

        let undo = role.split('\'').nth(1).unwrap();
        line.ok(&["call", "action_undo", "--args", undo]).await;
        assert_eq!(line.json(&["user", "show", "2"]).await["role"], "admin");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_to_do_and_set_the_status() {
    both_ways(async |line| {
        let nobody = "bureau: There is no user nobody@example.com. `bureau user list` shows whom there is.";
        assert_eq!(line.fails(&["user", "show", "nobody@example.com"]).await, (1, nobody.to_owned()));
        let missing = "bureau: There is no user 99. Use user_list to find the right id.";
        assert_eq!(line.fails(&["user", "block", "99"]).await, (1, missing.to_owned()));
        let owner = "bureau: Owner is an owner and cannot be blocked. Give the person another role first (user_update), \
                     while someone else is owner.";
        assert_eq!(line.fails(&["user", "block", "1"]).await, (1, owner.to_owned()));
        // Part of an address is nobody's address.
        assert_eq!(line.fails(&["user", "show", "wner@example.com"]).await.0, 1);
        assert_eq!(line.fails(&["user", "create", "no address"]).await.0, 1);
        assert_eq!(line.fails(&["user", "role", "1"]).await.0, 2);
        assert_eq!(line.fails(&["user", "create", "x@example.com", "--invite", "--password"]).await.0, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_come_by_standard_input_only() {
    both_ways(async |line| {
        let weak = line.told(&["user", "password", "1"], "weak\n").await;
        let why = "bureau: /password: needs at least 6 characters, among them a digit, a capital letter and a special character";
        assert_eq!((weak.status, weak.complaint()), (1, why));
        let set = line.told(&["user", "password", "owner@example.com"], "Dobre-Haslo1\r\n").await;
        assert_eq!((set.status, first_line(&set.stdout)), (0, "Owner (user 1) has a new password."));
        let none = line.told(&["user", "password", "1"], "").await;
        let why = "bureau: Standard input has no password: write it there as one line.";
        assert_eq!((none.status, none.complaint()), (2, why));
        let made = line.told(&["user", "create", "jan@example.com", "--password"], "Dobre-Haslo1").await;
        assert_eq!((made.status, first_line(&made.stdout)), (0, "jan (user 2) is added."));
        // As an argument it is refused, whatever it is called.
        assert_eq!(line.fails(&["user", "password", "1", "Dobre-Haslo1"]).await.0, 2);
        let stored = line.ok(&["call", "action_log_list", "--args", "{\"page_size\": 100}"]).await;
        assert!(!stored.contains("Haslo1"), "{stored}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_keys_and_sessions_are_listed_and_ended() {
    both_ways(async |line| {
        let roles = line.rows(&["role", "list"]).await;
        assert_eq!(roles.last().unwrap(), &["1", "owner", "Owner", "yes", "*"]);
        assert_eq!(line.json(&["role", "show", "1"]).await["code"], "owner");
        assert!(line.ok(&["role", "show", "1"]).await.contains("\nfeatures    *\n"));

        line.ok(&["user", "create", "eva@example.com", "--role", "admin"]).await;
        let words = ["key", "create", "ci", "--user", "eva@example.com", "--features", "contracts.view,organize.*"];
        let secret = line.ok(&[&words[..], &["--expires", "2099-01-01T00:00:00Z"]].concat()).await;
        assert!(bureau_kit::token::kind_of(secret.trim()).is_some() && secret.lines().count() == 1, "{secret}");
        let begins = secret[..10].to_owned();
        let row = [vec!["2", begins.as_str(), "ci", "2099-01-01 00:00:00", "contracts.view, organize.*"]];
        assert_eq!(line.rows(&["key", "list", "--user", "2"]).await, row);
        assert_eq!(line.json(&["key", "list"]).await.as_array().unwrap().len(), 2);
        assert_eq!(line.ok(&["key", "revoke", "2"]).await, "revoked\n");
        assert_eq!(line.rows(&["key", "list", "--user", "2"]).await, Vec::<Vec<String>>::new());

        let session =
            json!({"label": "Nightly", "read_only": true, "toolsets": ["tasks"], "write_budget": 3}).to_string();
        line.ok(&["call", "session_create", "--args", &session]).await;
        let open = line.rows(&["session", "list", "--user", "owner@example.com"]).await;
        assert_eq!(
            (open.len(), open[0][2].as_str(), open[0].last().unwrap().as_str()),
            (1, "Nightly", "read-only; 3 of 3 writes left; toolsets tasks")
        );
        assert_eq!(line.ok(&["session", "revoke", "1"]).await, "revoked\n");
        assert_eq!(line.json(&["session", "list"]).await, json!([]));
        assert_eq!(line.rows(&["session", "list", "--all"]).await[0][3], "revoked");
        assert_eq!(line.fails(&["session", "revoke", "7"]).await.0, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_whole_however_long() {
    let database = TestDatabase::new().await;
    let line = Line(Box::new(|words| bureau(&database, words)));
    let calls: Vec<Value> =
        (0..50).map(|n| json!({"tool": "user_create", "arguments": {"email": format!("p{n}@example.com")}})).collect();
    for part in 0..3 {
        let calls: Vec<Value> = calls
            .iter()
            .cloned()
            .map(|mut call| {
                let email = call["arguments"]["email"].as_str().unwrap().replace('p', &format!("p{part}x"));
                call["arguments"]["email"] = json!(email);
                call
            })
            .collect();
        line.ok(&["call", "batch_call", "--args", &json!({"calls": calls}).to_string()]).await;
    }
    assert_eq!(line.rows(&["user", "list"]).await.len(), 151);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_opened_by_mail_only_where_mail_goes_out() {
    let database = TestDatabase::new().await;
    let ended = ended(bureau(&database, &["serve", "--listen", "127.0.0.1:0", "--onboarding"])).await;
    assert_eq!((ended.status, ended.stdout.as_str()), (2, ""));
    assert_eq!(
        ended.complaint(),
        "bureau: --onboarding needs a mail server: whoever opens an account answers a mail first. Add --smtp-url and --mail-from."
    );
}
