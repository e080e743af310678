//! Mails by SMTP.

use std::net::IpAddr;
use std::time::Duration;

use bureau_kit::mail::{Mail, MailTransport, Sent};
use bureau_kit::tool::BoxFuture;
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::Error;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use reqwest::Url;

/// For each answer of the server.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// For a whole mail.
const MAIL_LIMIT: Duration = Duration::from_secs(45);
/// Of what a server says, this much is kept.
const REASON_LETTERS: usize = 300;

/// A mail server.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// Behind the @ of message ids.
    domain: String,
}

/// Without the password.
impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("from", &self.from.to_string()).finish_non_exhaustive()
    }
}

impl Smtp {
    /// A server by its address, such as `smtps://user:password@smtp.example.com`. No message repeats the address: it holds
    /// a password.
    pub fn new(url: &str, from: &str) -> Result<Self, String> {
        let from: Mailbox = from
            .parse()
            .map_err(|_| format!("--mail-from {from}: write an address, such as `Bureau <no-reply@example.com>`"))?;
        let wrong = || {
            "--smtp-url cannot be read: write smtps://USER:PASSWORD@HOST:PORT, or smtp://… for STARTTLS; letters such as @ or / \
             in the password as %40, %2F"
                .to_owned()
        };
        let url = secured(Url::parse(url).map_err(|_| wrong())?).ok_or_else(wrong)?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str()).map_err(|_| wrong())?;
        let transport = builder.timeout(Some(ANSWER_LIMIT)).build();
        let domain = from.email.domain().to_owned();
        Ok(Self { transport, from, domain })
    }

    fn message(&self, mail: &Mail) -> Result<Message, String> {
        let to: Mailbox = mail.to.parse().map_err(|_| "the address of the receiver is none".to_owned())?;
        Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(mail.subject.as_str())
            .message_id(Some(format!("<{}@{}>", mail.id, self.domain)))
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
            .map_err(|error| error.to_string())
    }
}

/// `smtp://` leaves the machine only by STARTTLS, unless the address itself says otherwise (`?tls=opportunistic`).
fn secured(mut url: Url) -> Option<Url> {
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let is_own = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let says = url.query_pairs().any(|(name, _)| name == "tls");
    match url.scheme() {
        "smtp" if !is_own && !says => url.query_pairs_mut().append_pair("tls", "required").finish(),
        "smtp" | "smtps" => return Some(url),
        _ => return None,
    };
    Some(url)
}

impl MailTransport for Smtp {
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Sent> {
        Box::pin(async move {
            let message = match self.message(mail) {
                Ok(message) => message,
                Err(reason) => return Sent::Refused(reason),
            };
            match tokio::time::timeout(MAIL_LIMIT, self.transport.send(message)).await {
                Ok(Ok(_)) => Sent::Accepted,
                Ok(Err(error)) => refused(&error),
                Err(_) => Sent::Later("the mail server did not finish in time".to_owned()),
            }
        })
    }
}

fn refused(error: &Error) -> Sent {
    let reason: String = error.to_string().chars().filter(|letter| !letter.is_control()).take(REASON_LETTERS).collect();
    // 530 to 538 are about the account at the server: the mail itself is as good as before once that is put right.
    let of_account = error.status().is_some_and(|code| (530..=538).contains(&u16::from(code)));
    if error.is_permanent() && !of_account { Sent::Refused(reason) } else { Sent::Later(reason) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_leaves_the_machine_encrypted_only_and_never_shows() {
        let secured = |text: &str| secured(Url::parse(text).unwrap()).map(String::from);
        for (given, used) in [
            ("smtp://127.0.0.1:2525", Some("smtp://127.0.0.1:2525")),
            ("smtp://[::1]:2525", Some("smtp://[::1]:2525")),
            ("smtp://u:p@smtp.example.com", Some("smtp://u:p@smtp.example.com?tls=required")),
            ("smtp://smtp.example.com?tls=opportunistic", Some("smtp://smtp.example.com?tls=opportunistic")),
            ("smtps://u:p@smtp.example.com", Some("smtps://u:p@smtp.example.com")),
            ("http://smtp.example.com", None),
        ] {
            assert_eq!(secured(given).as_deref(), used, "{given}");
        }
        let smtp = Smtp::new("smtps://user:hush@smtp.example.com", "Bureau <no-reply@example.com>").unwrap();
        assert_eq!(format!("{smtp:?}"), "Smtp { from: \"Bureau <no-reply@example.com>\", .. }");
        let error = Smtp::new("ftp://user:hush@smtp.example.com", "no-reply@example.com").unwrap_err();
        assert!(error.starts_with("--smtp-url cannot be read") && !error.contains("hush"), "{error}");
        assert_eq!(
            Smtp::new("smtps://smtp.example.com", "nobody").unwrap_err(),
            "--mail-from nobody: write an address, such as `Bureau <no-reply@example.com>`"
        );
    }
}
