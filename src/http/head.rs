//! What the head of a request says: whom it is addressed to, in what form, and by whom.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use bureau_kit::access::Shown;
use jsonrpsee::types::ErrorObjectOwned;

use super::{Options, Refused, refused, unauthenticated};
use crate::mcp::Face;
use crate::mcp::era::HEADER_MISMATCH;
use crate::rpc::{INVALID_REQUEST, error};

/// The only value of a header, as text.
pub(super) fn text_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?.trim();
    // Two of one header could be read one way here and another way elsewhere.
    values.next().is_none().then_some(value)
}

/// Host and Origin must name this server: a page in some browser must not reach it through a rebound name.
pub(super) fn check_origin(options: &Options, target: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
    let refuse = |what: &str| {
        let text = format!("{what} is not allowed here; start the server with --allowed-host to add a name");
        refused(StatusCode::FORBIDDEN, error(INVALID_REQUEST, text))
    };
    let hosts: Vec<_> = headers.get_all(header::HOST).iter().collect();
    let host = match hosts.as_slice() {
        [host] => host.to_str().unwrap_or_default(),
        _ => return Err(refuse("this Host")),
    };
    // A request may also name its server in its target, as through a proxy.
    let target = target.authority().map(Authority::as_str);
    if !std::iter::once(host).chain(target).all(|authority| is_allowed(options, authority)) {
        return Err(refuse("this Host"));
    }
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if !authority.is_some_and(|authority| is_allowed(options, authority)) {
            return Err(refuse("this Origin"));
        }
    }
    Ok(())
}

/// Whether `host[:port]` is a loopback name or one of the configured ones.
fn is_allowed(options: &Options, authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) => (host, port),
            None => return false,
        },
        None => authority
            .split_once(':')
            .map_or((authority, ""), |(host, _)| (host, authority.get(host.len()..).unwrap_or_default())),
    };
    let port_fits = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok());
    let known = ["localhost", "127.0.0.1", "::1"].into_iter().chain(options.allowed_hosts.iter().map(String::as_str));
    port_fits && known.into_iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// Whether `Accept` names one of these media types, and not with the weight zero.
pub(super) fn accepts(headers: &HeaderMap, wanted: &[&str]) -> bool {
    let named = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(kind))
            && weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
    })
}

/// Headers that decide how a message is read must come once, as text: two could be read one way here and another way
/// elsewhere.
pub(super) fn check_single(headers: &HeaderMap) -> Result<(), ErrorObjectOwned> {
    for name in ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id"] {
        if headers.contains_key(name) && text_header(headers, name).is_none() {
            return Err(error(HEADER_MISMATCH, format!("the header {name} must come once, as ASCII text")));
        }
    }
    Ok(())
}

/// What is sent must be JSON, and MCP's answers must be allowed to be.
pub(super) fn check_media_types(face: Face, headers: &HeaderMap) -> Result<(), Refused> {
    let content_type = text_header(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let cause = error(INVALID_REQUEST, "Content-Type must be application/json");
        return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, cause));
    }
    if headers.get_all(header::CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
        let cause = error(INVALID_REQUEST, "send the body uncompressed");
        return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, cause));
    }
    let accepted =
        !headers.contains_key(header::ACCEPT) || accepts(headers, &["application/json", "application/*", "*/*"]);
    if face == Face::Mcp && !accepted {
        let cause = error(INVALID_REQUEST, "Accept must allow application/json");
        return Err(refused(StatusCode::NOT_ACCEPTABLE, cause));
    }
    Ok(())
}

/// Intum writes a token that is signed with a web token as `token=<jwt>, kind=jwt`.
fn plain(text: &str) -> &str {
    match text.strip_prefix("token=").and_then(|rest| rest.split_once(',')) {
        Some((token, kind)) if kind.trim() == "kind=jwt" => token.trim(),
        _ => text,
    }
}

/// The token that came with the request. Whoever shows something else is nobody; a header that cannot be read as one token
/// makes the request a broken one (RFC 6750 §3.1).
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<Shown>, Refused> {
    const EXPECTED: &str = "Authorization must be `Bearer <token>`.";
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let token = match value.to_str().map(|value| value.split_once(' ').unwrap_or((value, ""))) {
        Ok((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => plain(token.trim()),
        Ok(_) => return Err(Box::new(unauthenticated("null", EXPECTED))),
        Err(_) => "",
    };
    let is_one =
        !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
    // Two of one header could be read one way here and another way elsewhere.
    if is_one && values.next().is_none() {
        return Ok(Some(Shown::Token(token.to_owned())));
    }
    let mut response = refused(StatusCode::BAD_REQUEST, error(INVALID_REQUEST, EXPECTED));
    let challenge = HeaderValue::from_static("Bearer realm=\"bureau\", error=\"invalid_request\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    Err(response)
}
