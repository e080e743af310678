//! What the head of a request says: whom it is addressed to, in what form, by whom, and what is wanted.

use axum::http::{HeaderMap, StatusCode, header};
use bureau_kit::access::Shown;
use bureau_kit::gate::{DISCOVERY, Selection};

use super::{App, Options, Refused, refused, unauthenticated};
use crate::mcp::Face;
use crate::rpc::{INVALID_REQUEST, error};

/// The only value of a header, as text.
pub(super) fn text_header(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?.trim().to_owned();
    // Two of one header could be read one way here and another way elsewhere.
    values.next().is_none().then_some(value)
}

/// Host and Origin must name this server: a page in some browser must not reach it through a rebound name.
pub(super) fn check_origin(options: &Options, headers: &HeaderMap) -> Result<(), Refused> {
    let refuse = |what: &str| {
        let text = format!("{what} is not allowed here; start the server with --allowed-host to add a name");
        refused(StatusCode::FORBIDDEN, error(INVALID_REQUEST, text))
    };
    let hosts: Vec<_> = headers.get_all(header::HOST).iter().collect();
    let host = match hosts.as_slice() {
        [host] => host.to_str().unwrap_or_default(),
        _ => return Err(refuse("this Host")),
    };
    if !is_allowed(options, host) {
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
    let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let known = ["localhost", "127.0.0.1", "::1"].into_iter().chain(options.allowed_hosts.iter().map(String::as_str));
    port_fits && known.into_iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// What is sent must be JSON, and MCP's answers must be allowed to be.
pub(super) fn check_media_types(face: Face, headers: &HeaderMap) -> Result<(), Refused> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let cause = error(INVALID_REQUEST, "Content-Type must be application/json");
        return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, cause));
    }
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let cause = error(INVALID_REQUEST, "send the body uncompressed");
        return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, cause));
    }
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut accepts = accepts
        .flat_map(|value| value.split(','))
        .map(|kind| kind.split(';').next().unwrap_or_default().trim())
        .peekable();
    let accepted =
        accepts.peek().is_none() || accepts.any(|kind| matches!(kind, "application/json" | "application/*" | "*/*"));
    if face == Face::Mcp && !accepted {
        let cause = error(INVALID_REQUEST, "Accept must allow application/json");
        return Err(refused(StatusCode::NOT_ACCEPTABLE, cause));
    }
    Ok(())
}

/// The token that came with the request.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<Shown>, Refused> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    match token {
        Some(token) if !token.is_empty() => Ok(Some(Shown::Token(token))),
        _ => Err(Box::new(unauthenticated("null", "Authorization must be `Bearer <token>`."))),
    }
}

/// What an address asks for beyond what the server has switched on.
pub(super) struct Wanted {
    pub(super) selection: Selection,
    pub(super) list_all: bool,
    pub(super) output_schemas: bool,
}

/// `/mcp/{toolset}`, `?toolsets=a,b`, `?read_only=1`, `?output_schemas=1`. Whoever selects wants to see it all.
pub(super) fn selection(app: &App, path: Option<&str>, query: &str) -> Result<Wanted, Refused> {
    let mut wanted = Wanted { selection: Selection::default(), list_all: false, output_schemas: false };
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let path = path.map(|toolsets| ("toolsets", toolsets));
    for (key, value) in path.into_iter().chain(pairs) {
        let on = matches!(value, "" | "1" | "true");
        match key {
            "read_only" => wanted.selection.read_only |= on,
            "output_schemas" => wanted.output_schemas |= on,
            "toolsets" => {
                wanted.list_all = true;
                let names: Vec<String> = value.replace("%2C", ",").split(',').map(str::to_owned).collect();
                if names.iter().any(|name| name == "all") {
                    continue;
                }
                let known = app.server.bureau.registry.toolsets();
                if let Some(unknown) = names.iter().find(|name| !known.iter().any(|(toolset, _)| toolset == name)) {
                    let known: Vec<&str> =
                        known.iter().map(|(name, _)| *name).filter(|name| *name != DISCOVERY).collect();
                    let text = format!("there is no toolset `{unknown}`; there are all, {}", known.join(", "));
                    return Err(refused(StatusCode::NOT_FOUND, error(INVALID_REQUEST, text)));
                }
                wanted.selection = wanted.selection.and(&Selection { toolsets: Some(names), read_only: false });
            }
            _ => {
                let text = format!("unknown query parameter `{key}`; there are toolsets, read_only, output_schemas");
                return Err(refused(StatusCode::BAD_REQUEST, error(INVALID_REQUEST, text)));
            }
        }
    }
    Ok(wanted)
}
