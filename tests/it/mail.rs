//! Mails by a real SMTP server on loopback: what it takes, what it refuses, and that no usable secret is stored.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use bureau::mail::Smtp;
use bureau_kit::mail::MailCarrier;
use bureau_kit::outbox::Dispatcher;
use bureau_kit::sql::Sql;
use bureau_kit::token::{self, TokenKind};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::outbox::states;
use crate::support::Tester;

/// What the server says to one command, in place of yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Kind,
    BusyAtRecipient,
    NoSuchRecipient,
    RefusesLogin,
    HangsUpAfterData,
}

/// A mail server of one's own.
pub struct Server {
    pub port: u16,
    mails: Arc<Mutex<Vec<String>>>,
    logins: Arc<Mutex<Vec<String>>>,
    mood: Arc<Mutex<Mood>>,
}

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            mails: Arc::default(),
            logins: Arc::default(),
            mood: Arc::new(Mutex::new(Mood::Kind)),
        };
        let (mails, logins, mood) = (server.mails.clone(), server.logins.clone(), server.mood.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mood = *mood.lock().unwrap();
                tokio::spawn(converse(stream, mood, mails.clone(), logins.clone()));
            }
        });
        server
    }

    fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }
}

async fn converse(
    stream: TcpStream,
    mood: Mood,
    mails: Arc<Mutex<Vec<String>>>,
    logins: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 test.example.com ESMTP\r\n").await.ok()?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let answer = match line.split([' ', ':']).next().unwrap().trim().to_uppercase().as_str() {
            "EHLO" => "250-test.example.com\r\n250 AUTH PLAIN LOGIN\r\n",
            "AUTH" if mood == Mood::RefusesLogin => "535 5.7.8 Bad credentials\r\n",
            "AUTH" => {
                logins.lock().unwrap().push(line.trim().rsplit(' ').next().unwrap().to_owned());
                "235 2.7.0 Welcome\r\n"
            }
            "MAIL" => "250 OK\r\n",
            "RCPT" if mood == Mood::BusyAtRecipient => "451 4.7.1 Greylisted, come back\r\n",
            "RCPT" if mood == Mood::NoSuchRecipient => "550 5.1.1 No such user\r\n",
            "RCPT" => "250 OK\r\n",
            "DATA" => {
                stream.write_all(b"354 Go on\r\n").await.ok()?;
                let mut mail = String::new();
                loop {
                    line.clear();
                    stream.read_line(&mut line).await.ok()?;
                    if line == ".\r\n" {
                        break;
                    }
                    mail.push_str(&line);
                }
                mails.lock().unwrap().push(mail);
                if mood == Mood::HangsUpAfterData {
                    return None;
                }
                "250 2.0.0 Queued\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 Bye\r\n").await.ok()?;
                return Some(());
            }
            _ => "502 What?\r\n",
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

fn dispatcher(owner: &Tester, url: &str) -> Arc<Dispatcher> {
    let smtp = Smtp::new(url, "Bureau <no-reply@bureau.example.com>").unwrap();
    let letters = bureau::catalog::letters();
    let carrier = MailCarrier::new(Arc::new(smtp), "https://bureau.example.com/", letters).unwrap();
    Dispatcher::new(owner.bureau.clone(), vec![Arc::new(carrier)])
}

fn unfolded(mail: &str) -> String {
    mail.replace("=\r\n", "").replace("=3D", "=")
}

/// The token of the link in a mail.
pub fn token_in(mail: &str) -> String {
    let text = unfolded(mail);
    let link = text.find("/console#").unwrap_or_else(|| panic!("no link in {text}"));
    let (_, rest) = text[link..].split_once('=').unwrap();
    let token: String = rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
    assert!(token::kind_of(&token).is_some(), "{token} in {text}");
    token
}

/// The text of an invitation's mail, decoded, and the token in it.
fn plain(mail: &str) -> (String, String) {
    let token = token_in(mail);
    assert_eq!(token::kind_of(&token), Some(TokenKind::Invitation), "{token}");
    (unfolded(mail), token)
}

async fn stored_hash(owner: &Tester) -> Option<Vec<u8>> {
    let rows = owner.bureau.look(owner.tenant_id, |tx| {
        Box::pin(async move { tx.query(&Sql::new("SELECT token_hash FROM invitations")).await })
    });
    rows.await.unwrap()[0].get(0).unwrap()
}

async fn invite(owner: &Tester) -> serde_json::Value {
    let person = owner.ok("person_create", json!({"name": "Ewa", "primary_email": "ewa@example.org"})).await;
    owner.ok("person_invite", json!({"id": person["id"]})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_arrives_with_a_link_whose_token_is_stored_as_a_hash_only() {
    let server = Server::start().await;
    let owner = Tester::new().await;
    let carrying = dispatcher(&owner, &format!("smtp://robot:p%40ss@127.0.0.1:{}", server.port));
    let invited = invite(&owner).await;
    assert_eq!(invited["outside_effects"], json!([{"kind": "mail", "undoable": false, "state": "queued"}]));
    assert_eq!(stored_hash(&owner).await, None, "before the mail is sent there is no token at all");
    assert_eq!(carrying.carry_due().await.unwrap(), 1);
    let login = base64::engine::general_purpose::STANDARD.decode(server.logins.lock().unwrap()[0].clone()).unwrap();
    assert_eq!(login, b"\0robot\0p@ss");
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    let (mail, token) = plain(&mails[0]);
    for expected in [
        "From: Bureau <no-reply@bureau.example.com>\r\n",
        "To: ewa@example.org\r\n",
        "Subject: Owner invites you to My company\r\n",
        "@bureau.example.com>\r\n",
        &format!("https://bureau.example.com/console#invitation={token}\r\n"),
    ] {
        assert!(mail.contains(expected), "{expected} is not in {mail}");
    }
    assert_eq!(stored_hash(&owner).await, Some(token::hash(&token).to_vec()));
    assert_eq!(states(&owner).await["done"], (1, None));
    // The journal knows the invitation, not its token, and the version is the one that the caller was told.
    let whole = owner.ok("action_log_list", json!({})).await.to_string();
    assert!(!whole.contains(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_asked_again_with_a_new_token_and_a_refusal_is_final() {
    let server = Server::start().await;
    let owner = Tester::new().await;
    let carrying = dispatcher(&owner, &format!("smtp://robot:hush@127.0.0.1:{}", server.port));
    invite(&owner).await;
    for (mood, error) in [
        (Mood::BusyAtRecipient, "transient error (451): 4.7.1 Greylisted, come back"),
        // The account at the mail server is wrong: that is put right, and the mail sent then.
        (Mood::RefusesLogin, "permanent error (535): 5.7.8 Bad credentials"),
    ] {
        server.becomes(mood);
        assert_eq!(carrying.carry_due().await.unwrap(), 1, "{mood:?}");
        let (count, reason) = states(&owner).await["waiting"].clone();
        assert_eq!((count, reason.as_deref()), (1, Some(error)));
        owner.bureau.clock.advance_seconds(3600);
    }
    server.becomes(Mood::HangsUpAfterData);
    assert_eq!(carrying.carry_due().await.unwrap(), 1);
    let (_, lost) = plain(&server.mails()[0]);
    owner.bureau.clock.advance_seconds(24 * 3600);
    server.becomes(Mood::Kind);
    assert_eq!(carrying.carry_due().await.unwrap(), 1);
    let mails = server.mails();
    let (_, token) = plain(&mails[1]);
    assert_ne!(lost, token);
    assert_eq!(stored_hash(&owner).await, Some(token::hash(&token).to_vec()), "the last one sent counts");
    let id = |mail: &str| mail.lines().find(|line| line.starts_with("Message-ID:")).unwrap().to_owned();
    assert_eq!(id(&mails[0]), id(&mails[1]), "a repeated mail is known by its id");

    let second = Tester::new().await;
    let carrying = dispatcher(&second, &format!("smtp://127.0.0.1:{}", server.port));
    invite(&second).await;
    server.becomes(Mood::NoSuchRecipient);
    assert_eq!(carrying.carry_due().await.unwrap(), 1);
    let (count, reason) = states(&second).await["failed"].clone();
    assert_eq!((count, reason.as_deref()), (1, Some("permanent error (550): 5.1.1 No such user")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let owner = Tester::new().await;
    let carrying = dispatcher(&owner, &format!("smtp://robot:hush@127.0.0.1:{port}"));
    invite(&owner).await;
    assert_eq!(carrying.carry_due().await.unwrap(), 1);
    let (count, reason) = states(&owner).await["waiting"].clone();
    let reason = reason.unwrap();
    assert!(count == 1 && reason.starts_with("Connection error") && !reason.contains("hush"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mail_of_an_invitation_that_was_undone_or_accepted_is_not_sent() {
    let server = Server::start().await;
    let owner = Tester::new().await;
    let carrying = dispatcher(&owner, &format!("smtp://127.0.0.1:{}", server.port));
    invite(&owner).await;
    let accept = owner.bureau.keep_books(owner.tenant_id, |tx| {
        Box::pin(async move { tx.query(&Sql::with("UPDATE invitations SET active = $1", [false.into()])).await })
    });
    accept.await.unwrap();
    assert_eq!(carrying.carry_due().await.unwrap(), 1);
    assert_eq!(states(&owner).await["failed"], (1, Some("the mail is not wanted any more".into())));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(server.mails(), Vec::<String>::new());
}
