//! Bureau as an OAuth 2.1 resource server, as MCP's authorization asks: access tokens of one issuer, beside Bureau's own.
//!
//! A token must be signed by the issuer and made for this server; whom it stands for, and what that person may do, is
//! decided by the users and roles here, never by a claim alone.

mod jwt;
mod keys;

use std::sync::Arc;

use bureau_kit::access::{Shown, Verified, is_signed};
use bureau_kit::error::{Code, Error};
use bureau_kit::gate::Bureau;
use bureau_kit::guards::{Guard, stands};
use bureau_kit::time::Instant;
use reqwest::Url;
use serde_json::{Value, json};

use keys::Keyring;

/// The scope for calls that change nothing.
pub const READ: &str = "bureau:read";
/// The scope for every call; includes [`READ`].
pub const WRITE: &str = "bureau:write";
/// Both, as challenges and metadata name them.
const SCOPES: &str = "bureau:read bureau:write";
/// Longer than any access token that is made with care; bounds the work for one that is not.
const TOKEN_BYTES: usize = 8 * 1024;
/// Clocks of two machines differ.
const LEEWAY_MICROS: i64 = 60_000_000;

/// Whose tokens are accepted, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    issuer: String,
    audience: String,
    public_url: String,
    jwks_url: Option<String>,
}

impl Options {
    /// Checks the addresses. The audience is the public address of `/mcp` where none is given.
    pub fn new(
        issuer: &str,
        audience: Option<String>,
        public_url: &str,
        jwks_url: Option<String>,
    ) -> Result<Self, String> {
        secure_url(issuer).map_err(|why| format!("--oauth-issuer {issuer}: {why}"))?;
        if let Some(url) = &jwks_url {
            secure_url(url).map_err(|why| format!("--oauth-jwks-url {url}: {why}"))?;
        }
        let public_url = checked_public_url(public_url)?;
        let audience = audience.unwrap_or_else(|| format!("{public_url}/mcp"));
        if audience.is_empty() {
            return Err("--oauth-audience is empty; leave it out to use the public address of /mcp.".into());
        }
        Ok(Self { issuer: issuer.to_owned(), audience, public_url, jwks_url })
    }
}

/// An address of this server without the slash at its end: as MCP writes resources.
fn checked_public_url(text: &str) -> Result<String, String> {
    let refused = |why: &str| format!("--public-url {text}: {why}, such as https://bureau.example.com");
    let url = Url::parse(text).map_err(|_| refused("write an address"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refused("write an https address"));
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(refused("write the address without name, password, query and fragment"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// An address that nobody on the way can answer for: https, or this machine.
fn secure_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "this is no address; write it like https://login.example.com".to_owned())?;
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let is_loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
        return Err("it must be https; http is for this machine only".into());
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("it must have no name, password, query or fragment".into());
    }
    Ok(url)
}

/// Why a token was turned away.
#[derive(Debug)]
pub enum Denied {
    /// The token is not good; says why, in the few characters that a challenge may hold.
    Token(&'static str),
    /// The token is good, and its scopes allow nothing here.
    Scope,
    /// The token is good, and belongs to no user.
    Stranger(String),
    /// The issuer does not tell its keys, so that nothing can be said of the token.
    IssuerDown,
    /// A fault of ours.
    Internal(Error),
}

/// The resource server.
#[derive(Debug)]
pub struct OAuth {
    options: Options,
    keys: Arc<Keyring>,
}

impl OAuth {
    /// Asks the issuer for nothing before the first token comes: it may start later than this server.
    pub fn new(options: Options) -> Result<Self, String> {
        let keys = Arc::new(Keyring::new(&options)?);
        Ok(Self { options, keys })
    }

    /// The credential that came with a request, with an access token of the issuer checked and its account linked to a
    /// user. Bureau's own tokens pass as they are.
    pub async fn recognise(&self, bureau: &Bureau, shown: Shown) -> Result<Shown, Denied> {
        let token = match &shown {
            Shown::Token(token) if !is_own(token) && !is_signed(token) => token,
            _ => return Ok(shown),
        };
        let verified = self.verify(token, bureau).await?;
        match bureau.link(&verified).await {
            Ok(()) => Ok(Shown::Verified(Arc::new(verified))),
            Err(error) if error.code() == Code::Unauthenticated => Err(Denied::Stranger(error.message().to_owned())),
            Err(error) => Err(Denied::Internal(error)),
        }
    }

    async fn verify(&self, token: &str, bureau: &Bureau) -> Result<Verified, Denied> {
        if token.len() > TOKEN_BYTES {
            return Err(Denied::Token("The token is longer than 8 KiB"));
        }
        let signed = jwt::read(token).map_err(Denied::Token)?;
        let found = self.keys.find(signed.kid.as_deref(), signed.algorithm, &bureau.clock).await;
        let key = found.map_err(|_| Denied::IssuerDown)?;
        let key = key.ok_or(Denied::Token("The token is signed with a key that the issuer does not have"))?;
        let claims = signed.claims(&key).map_err(Denied::Token)?;
        self.accept(token, claims, bureau.clock.now())
    }

    /// The claims of a token whose signature is good.
    fn accept(&self, token: &str, claims: jwt::Claims, now: Instant) -> Result<Verified, Denied> {
        let refused = |why| Err(Denied::Token(why));
        if claims.iss.as_deref() != Some(self.options.issuer.as_str()) {
            return refused("The token is of another issuer");
        }
        if !claims.aud.is_some_and(|audiences| audiences.contains(&self.options.audience)) {
            return refused("The token was made for another server");
        }
        let Some(expires_at) = claims.exp.map(jwt::instant) else { return refused("The token has no end (exp)") };
        if expires_at <= now {
            return refused("The token has expired");
        }
        let latest = Instant::from_micros(now.micros().saturating_add(LEEWAY_MICROS));
        if [claims.nbf, claims.iat].into_iter().flatten().any(|from| jwt::instant(from) > latest) {
            return refused("The token is not valid yet");
        }
        let Some(subject) = claims.sub.filter(|subject| (1..=255).contains(&subject.len())) else {
            return refused("The token has no subject (sub) of 1 to 255 characters");
        };
        let granted = |scope: &str| [&claims.scope, &claims.scp].into_iter().flatten().any(|list| list.names(scope));
        let may_write = granted(WRITE);
        if !may_write && !granted(READ) {
            return Err(Denied::Scope);
        }
        let mut verified = Verified::new(token, &self.options.issuer, &subject, expires_at);
        let is_verified = claims.email_verified == Some(Value::Bool(true)) || !stands(Guard::OauthEmail);
        verified.email = claims.email.filter(|_| is_verified);
        verified.tenant = claims.bureau_tenant;
        verified.may_write = may_write;
        Ok(verified)
    }

    /// What clients read to learn where tokens come from (RFC 9728).
    pub fn metadata(&self) -> Value {
        json!({
            "resource": format!("{}/mcp", self.options.public_url),
            "authorization_servers": [self.options.issuer],
            "scopes_supported": [READ, WRITE],
            "bearer_methods_supported": ["header"],
            "resource_name": "Bureau",
        })
    }

    /// The value of `WWW-Authenticate` for a request without a token, or with one that is no good, and why.
    pub fn challenge(&self, why: Option<&str>) -> String {
        match why {
            None => format!("Bearer realm=\"bureau\", {}, scope=\"{SCOPES}\"", self.metadata_parameter()),
            Some(why) => format!(
                "Bearer realm=\"bureau\", error=\"invalid_token\", error_description=\"{why}\", {}, scope=\"{SCOPES}\"",
                self.metadata_parameter()
            ),
        }
    }

    /// The same for a token whose scopes do not allow what was asked.
    pub fn scope_challenge(&self) -> String {
        format!(
            "Bearer realm=\"bureau\", error=\"insufficient_scope\", scope=\"{SCOPES}\", {}",
            self.metadata_parameter()
        )
    }

    fn metadata_parameter(&self) -> String {
        // The document of a path stands beside the server's root, with the path behind (RFC 9728 §3.1).
        let url = Url::parse(&self.options.public_url);
        let path = url.as_ref().map_or("", Url::path).trim_end_matches('/');
        let root = self.options.public_url.strip_suffix(path).unwrap_or(&self.options.public_url);
        format!("resource_metadata=\"{root}/.well-known/oauth-protected-resource{path}/mcp\"")
    }
}

/// Whether a token says by its first letters that it is one of Bureau's own.
fn is_own(token: &str) -> bool {
    ["bus_", "buk_", "bui_"].iter().any(|prefix| token.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_the_server_starts() {
        let with = |issuer: &str, public: &str| Options::new(issuer, None, public, None);
        let good = with("https://login.example.com/realm/", "https://bureau.example.com/").unwrap();
        assert_eq!(good.audience, "https://bureau.example.com/mcp");
        assert_eq!(good.issuer, "https://login.example.com/realm/", "kept to the letter");
        for issuer in ["http://localhost:9000", "http://127.0.0.1", "http://127.8.8.8", "http://[::1]:1"] {
            assert!(with(issuer, "http://127.0.0.1:8650").is_ok(), "{issuer}");
        }
        for (issuer, why) in [
            ("http://login.example.com", "it must be https; http is for this machine only"),
            ("http://localhost.example.com", "it must be https; http is for this machine only"),
            ("ftp://localhost", "it must be https; http is for this machine only"),
            ("login.example.com", "this is no address; write it like https://login.example.com"),
            ("https://login.example.com/?a=b", "it must have no name, password, query or fragment"),
            ("https://login.example.com/#a", "it must have no name, password, query or fragment"),
            ("https://a:b@login.example.com", "it must have no name, password, query or fragment"),
        ] {
            assert_eq!(with(issuer, "https://b.example"), Err(format!("--oauth-issuer {issuer}: {why}")));
        }
        assert_eq!(
            with("https://login.example.com", "bureau.example.com"),
            Err("--public-url bureau.example.com: write an address, such as https://bureau.example.com".into())
        );
        assert_eq!(
            Options::new("https://login.example.com", None, "https://b.example", Some("http://b.example/keys".into())),
            Err("--oauth-jwks-url http://b.example/keys: it must be https; http is for this machine only".into())
        );
    }

    #[test]
    fn challenges_name_the_document_of_the_path() {
        for (public, document) in [
            ("https://b.example", "https://b.example/.well-known/oauth-protected-resource/mcp"),
            ("https://b.example/noe/", "https://b.example/.well-known/oauth-protected-resource/noe/mcp"),
        ] {
            let server = OAuth::new(Options::new("https://i.example", None, public, None).unwrap()).unwrap();
            assert_eq!(
                server.challenge(None),
                format!(
                    "Bearer realm=\"bureau\", resource_metadata=\"{document}\", scope=\"bureau:read bureau:write\""
                )
            );
        }
    }
}
