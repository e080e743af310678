//! The options of `serve` that decide something for all companies.

use bureau_kit::gate::Bureau;
use bureau_kit::installation::{Fact, SelfService};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::Failure;
use crate::dns;

#[derive(Debug, Args)]
pub(super) struct InstallationArgs {
    /// Let people open accounts by themselves: after a mail was answered, or, as `unverified`, programs at once too.
    #[arg(
        long,
        env = "BUREAU_ONBOARDING",
        value_enum,
        default_value_t,
        default_missing_value = "verified",
        num_args = 0..=1,
        require_equals = true,
        value_name = "HOW"
    )]
    onboarding: Onboarding,
    /// Ask this server of the domain name system about domains, such as 9.9.9.9; those of the machine when left out.
    #[arg(long = "dns-server", env = "BUREAU_DNS_SERVER", value_delimiter = ',', value_name = "ADDRESS")]
    dns_server: Vec<dns::Server>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Onboarding {
    /// Nobody opens an account by themselves.
    #[default]
    #[value(aliases = ["false", "0", "no"])]
    Off,
    /// Whoever answers the mail does.
    #[value(aliases = ["true", "1", "yes"])]
    Verified,
    /// Programs may found one at once, whatever address they give.
    Unverified,
}

impl InstallationArgs {
    /// Refuses what could never come about: whoever opens an account answers a mail first.
    pub(super) fn check(&self, sends_mail: bool) -> Result<(), Failure> {
        if matches!(self.onboarding, Onboarding::Verified) && !sends_mail {
            return Err(Failure::usage(
                "--onboarding needs a mail server: whoever opens an account answers a mail first. Add --smtp-url and --mail-from.",
            ));
        }
        Ok(())
    }

    /// Tells the tools what was decided.
    pub(super) fn apply(&self, bureau: &Bureau) {
        let installation = &bureau.installation;
        installation.allow_self_service(match self.onboarding {
            Onboarding::Off => SelfService::Off,
            Onboarding::Verified => SelfService::Verified,
            Onboarding::Unverified => SelfService::Unverified,
        });
        // Without it domains cannot be verified; everything else works.
        match dns::Resolver::new(&self.dns_server) {
            Ok(resolver) => installation.resolve_by(resolver),
            Err(error) => {
                tracing::warn!(%error, "no domain can be verified by this server; name a server with --dns-server")
            }
        }
    }
}

/// Something that was decided, for `system_status_show`.
pub(super) fn fact(
    category: &'static str,
    key: &'static str,
    value: impl Into<Value>,
    default: impl Into<Value>,
) -> Fact {
    Fact { category, key, value: value.into(), default: default.into() }
}

/// Whether something is set, where the value itself is nobody's business.
pub(super) fn configured(category: &'static str, key: &'static str, is_set: bool) -> Fact {
    fact(category, key, is_set, json!(false))
}
