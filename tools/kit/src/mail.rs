//! Mails: what a letter says is put together when it is sent, never before.
//!
//! An item of the outbox names a template and a record, and no secret. The template's [`Letter`] makes the link: it
//! stores the hash of a new token in a transaction of its own, which is committed before the mail goes out. A mail that
//! has to be sent again gets a new token; the last one sent is the one that counts. So nothing in the database, in its log
//! or in a backup opens anything.

mod texts;

use std::fmt::Debug;
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::db::Tx;
use crate::error::{Error, Result};
use crate::gate::Bureau;
use crate::outbox::{Carried, Carrier, Item};
use crate::time::Instant;
use crate::tool::BoxFuture;

/// The kind of mails in the outbox.
pub const KIND: &str = "mail";

/// A mail as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The same at every attempt: receivers know a repeated one by it.
    pub id: Uuid,
    /// Address of the receiver.
    pub to: String,
    /// Subject line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// What a mail server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It has taken the mail.
    Accepted,
    /// Not now.
    Later(String),
    /// Never.
    Refused(String),
}

/// A way by which mails go out.
pub trait MailTransport: Debug + Send + Sync {
    /// Gives one mail to the server.
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Sent>;
}

/// What a mail was asked for.
#[derive(Debug)]
pub struct Request<'a> {
    /// Whose it is.
    pub tenant_id: Uuid,
    /// The record it is about.
    pub subject_id: Uuid,
    /// What stood beside it when it was asked for.
    pub payload: &'a Value,
    /// The present moment.
    pub now: Instant,
}

/// What a letter fills its template with.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Address of the receiver.
    pub to: String,
    /// The receiver's language, such as `pl`; English when unknown.
    pub locale: Option<String>,
    /// Where the link of the mail leads, below the public address: `/console#invitation=…`.
    pub link: Option<String>,
    /// What stands for the other names in the template's text.
    pub values: Vec<(&'static str, String)>,
}

/// Knows how the mails of one template are filled.
pub trait Letter: Debug + Send + Sync {
    /// Name of the template; see `mail/texts.rs` for the names that its text uses.
    fn template(&self) -> &'static str;

    /// Puts a mail together, inside a transaction of its own that is committed before the mail is sent: here tokens are
    /// made and their hashes stored. None when the mail is not wanted any more.
    fn write<'a>(&'a self, tx: &'a mut Tx, request: &'a Request<'a>) -> BoxFuture<'a, Result<Option<Draft>>>;
}

/// Carries mails.
#[derive(Debug)]
pub struct MailCarrier {
    transport: Arc<dyn MailTransport>,
    public_url: String,
    letters: Vec<Arc<dyn Letter>>,
}

impl MailCarrier {
    /// Sends by this transport; links lead to `public_url`. Refused when a letter has no text.
    pub fn new(
        transport: Arc<dyn MailTransport>,
        public_url: &str,
        letters: Vec<Arc<dyn Letter>>,
    ) -> Result<Self, String> {
        match letters.iter().find(|letter| texts::find(letter.template(), "en").is_none()) {
            Some(letter) => Err(format!("the mail {} has no text", letter.template())),
            None => Ok(Self { transport, public_url: public_url.trim_end_matches('/').to_owned(), letters }),
        }
    }

    async fn written(&self, bureau: &Bureau, item: &Item) -> Result<Result<Mail, Carried>> {
        let template = item.payload.get("template").and_then(Value::as_str).unwrap_or_default();
        let Some(letter) = self.letters.iter().find(|letter| letter.template() == template).cloned() else {
            return Ok(Err(Carried::again(format!("this version of Bureau knows no mail {template}"))));
        };
        let Some(subject_id) = item.subject_id else { return Err(Error::internal("a mail is about nothing")) };
        let (tenant_id, now, payload) = (item.tenant_id, bureau.clock.now(), item.payload.clone());
        let written = bureau.keep_books(tenant_id, |tx| {
            Box::pin(async move {
                let request = Request { tenant_id, subject_id, payload: &payload, now };
                letter.write(tx, &request).await
            })
        });
        let Some(draft) = written.await? else {
            return Ok(Err(Carried::give_up("the mail is not wanted any more")));
        };
        let link = draft.link.map(|path| format!("{}{path}", self.public_url)).unwrap_or_default();
        let mut values = draft.values;
        values.push(("link", link));
        let text = texts::find(template, draft.locale.as_deref().unwrap_or_default())
            .ok_or_else(|| Error::internal(format!("the mail {template} has no text")))?;
        let (subject, text, html) = text.filled(&values);
        Ok(Ok(Mail { id: item.id, to: draft.to, subject, text, html }))
    }
}

impl Carrier for MailCarrier {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn carry<'a>(&'a self, bureau: &'a Arc<Bureau>, item: &'a Item) -> BoxFuture<'a, Result<Carried>> {
        Box::pin(async move {
            let mail = match self.written(bureau, item).await? {
                Ok(mail) => mail,
                Err(carried) => return Ok(carried),
            };
            Ok(match self.transport.send(&mail).await {
                Sent::Accepted => Carried::Delivered,
                Sent::Later(reason) => Carried::again(reason),
                Sent::Refused(reason) => Carried::give_up(reason),
            })
        })
    }
}
