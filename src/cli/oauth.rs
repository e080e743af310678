//! The options of `serve` that are about OAuth.

use std::sync::Arc;

use clap::Args;

use super::Failure;
use crate::oauth::{OAuth, Options};

#[derive(Debug, Args)]
pub(super) struct OAuthArgs {
    /// Accept access tokens of this OAuth issuer, such as https://login.example.com, beside Bureau's own tokens.
    #[arg(long, env = "BUREAU_OAUTH_ISSUER", value_name = "URL")]
    oauth_issuer: Option<String>,
    /// Whom access tokens must be made for (`aud`); the public address of /mcp when left out.
    #[arg(long, env = "BUREAU_OAUTH_AUDIENCE", value_name = "URI", requires = "oauth_issuer")]
    oauth_audience: Option<String>,
    /// Where the issuer's keys are; found in its metadata when left out.
    #[arg(long, env = "BUREAU_OAUTH_JWKS_URL", value_name = "URL", requires = "oauth_issuer")]
    oauth_jwks_url: Option<String>,
    /// The address by which clients reach this server, such as https://bureau.example.com; its host name is answered.
    #[arg(long, env = "BUREAU_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
}

impl OAuthArgs {
    /// The resource server, where an issuer is named; `listening` is the address to fall back on.
    pub(super) fn resource_server(&self, listening: &str) -> Result<Option<Arc<OAuth>>, Failure> {
        let Some(issuer) = &self.oauth_issuer else { return Ok(None) };
        let public_url = self.public_url.as_deref().unwrap_or(listening);
        let options = Options::new(issuer, self.oauth_audience.clone(), public_url, self.oauth_jwks_url.clone());
        let server = options.map_err(Failure::usage).and_then(|options| OAuth::new(options).map_err(Failure::start))?;
        Ok(Some(Arc::new(server)))
    }

    /// The address by which people and clients reach this server, where it was named.
    pub(super) fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// The host name of the public address: requests may be addressed to it.
    pub(super) fn public_host(&self) -> Result<Option<String>, Failure> {
        let Some(text) = &self.public_url else { return Ok(None) };
        let url = reqwest::Url::parse(text).ok();
        let host = url.and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned()));
        host.map(Some).ok_or_else(|| {
            Failure::usage(format!("--public-url {text}: write an address, such as https://bureau.example.com"))
        })
    }
}
