//! The options of what leaves the database: mails, webhooks, and the key of the secrets that are kept for them.

use std::path::PathBuf;
use std::sync::Arc;

use bureau_kit::egress::{Guard, Network};
use bureau_kit::gate::Bureau;
use bureau_kit::mail::MailCarrier;
use bureau_kit::outbox::{Carrier, Dispatcher};
use bureau_kit::vault::KeySource;
use bureau_platform::{Receivers, SystemResolver, WebhookCarrier};
use clap::Args;

use super::Failure;
use crate::catalog;
use crate::mail::Smtp;

#[derive(Args)]
pub(super) struct OutsideArgs {
    /// Send mails by this server: smtps://USER:PASSWORD@HOST:PORT, or smtp://… for STARTTLS. Without it mails wait.
    #[arg(long, env = "BUREAU_SMTP_URL", value_name = "URL", hide_env_values = true, requires = "mail_from")]
    smtp_url: Option<String>,
    /// Who mails come from, such as `Bureau <no-reply@example.com>`.
    #[arg(long, env = "BUREAU_MAIL_FROM", value_name = "ADDRESS", requires = "smtp_url")]
    mail_from: Option<String>,
}

/// What every command that carries out calls must know of the world outside.
#[derive(Args)]
pub(super) struct TrustArgs {
    /// Let webhooks go to these addresses too, such as 127.0.0.0/8 or fd00::/8. For development and own networks only.
    #[arg(long, env = "BUREAU_WEBHOOK_ALLOW", value_delimiter = ',', value_name = "ADDRESSES")]
    webhook_allow: Vec<Network>,
    /// The file with the key that encrypts stored secrets; secret.key beside a SQLite database, made at first use.
    #[arg(long, env = "BUREAU_SECRET_KEY_FILE", value_name = "PATH")]
    secret_key_file: Option<PathBuf>,
    /// The key itself, in base64. As a variable: a command line is seen by everyone on the machine.
    #[arg(long, env = "BUREAU_SECRET_KEY", hide = true, hide_env_values = true, conflicts_with = "secret_key_file")]
    secret_key: Option<String>,
}

/// Without the key.
impl std::fmt::Debug for TrustArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustArgs")
            .field("webhook_allow", &self.webhook_allow)
            .field("secret_key_file", &self.secret_key_file)
            .finish_non_exhaustive()
    }
}

impl TrustArgs {
    pub(super) fn configure(&self, bureau: &Bureau) {
        bureau.egress.get_or_init(|| Guard::allowing(self.webhook_allow.clone()));
        if let Some(key) = &self.secret_key {
            bureau.vault.configure(KeySource::Given(key.clone()));
        } else if let Some(path) = &self.secret_key_file {
            bureau.vault.configure(KeySource::File(path.clone()));
        }
    }
}

/// Without what is secret.
impl std::fmt::Debug for OutsideArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutsideArgs").field("mail_from", &self.mail_from).finish_non_exhaustive()
    }
}

impl OutsideArgs {
    /// Whether mails go out: their links need an address that people reach.
    pub(super) fn sends_mail(&self) -> bool {
        self.smtp_url.is_some()
    }

    /// What carries the outbox; `public_url` is where the links of mails lead.
    pub(super) fn dispatcher(&self, bureau: &Arc<Bureau>, public_url: &str) -> Result<Arc<Dispatcher>, Failure> {
        let mut carriers: Vec<Arc<dyn Carrier>> = Vec::new();
        if let (Some(url), Some(from)) = (&self.smtp_url, &self.mail_from) {
            let smtp = Smtp::new(url, from).map_err(Failure::usage)?;
            let carrier = MailCarrier::new(Arc::new(smtp), public_url, catalog::letters()).map_err(Failure::start)?;
            carriers.push(Arc::new(carrier));
        }
        let receivers = Receivers::new(bureau.egress().clone(), Arc::new(SystemResolver)).map_err(Failure::start)?;
        carriers.push(Arc::new(WebhookCarrier::new(receivers)));
        Ok(Dispatcher::new(bureau.clone(), carriers))
    }
}

/// Tells what waits in the outbox and has no way out of this process.
pub(super) async fn tell_waiting(bureau: &Bureau) {
    match bureau.outbox_waiting().await {
        Ok(waiting) => {
            for (kind, count) in waiting.iter().filter(|(kind, _)| !bureau.outbox.carries(kind)) {
                tracing::warn!(kind, count, "items wait in the outbox, and this server is not set up to carry them");
            }
        }
        Err(error) => tracing::warn!(%error, "the outbox could not be looked at"),
    }
}
