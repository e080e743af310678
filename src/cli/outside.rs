//! The options of what leaves the database: mails.

use std::sync::Arc;

use bureau_kit::gate::Bureau;
use bureau_kit::mail::MailCarrier;
use bureau_kit::outbox::{Carrier, Dispatcher};
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
