//! `/console`: a page for people, made of the files in `console/`, which are part of the program.
//!
//! It is a client like any other: it calls tools at `/rpc` with the token of whoever signed in. Nothing here knows who that
//! is, so nothing here needs to be kept from anybody; what a page may do in the browser is bounded by its headers.

use std::sync::LazyLock;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use sha2::{Digest as _, Sha256};

use super::App;
use super::head::check_origin;

/// Where the page is.
pub(super) const PAGE: &str = "/console";

/// Scripts, styles and calls of this server alone, no frames, and no text that becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the console.
struct File {
    name: &'static str,
    media_type: &'static str,
    contents: &'static [u8],
    /// Tells one build's file from another's.
    tag: HeaderValue,
}

macro_rules! files {
    ($($name:literal $media_type:expr;)*) => {
        vec![$(File::new($name, $media_type, include_bytes!(concat!("console/", $name)))),*]
    };
}

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    files! {
        "index.html" HTML;
        "style.css" CSS;
        "icon.svg" "image/svg+xml";
        "app.js" SCRIPT;
        "calls.js" SCRIPT;
        "changes.js" SCRIPT;
        "dialog.js" SCRIPT;
        "elements.js" SCRIPT;
        "form.js" SCRIPT;
        "link.js" SCRIPT;
        "log.js" SCRIPT;
        "people.js" SCRIPT;
        "sessions.js" SCRIPT;
        "sign_in.js" SCRIPT;
        "tools.js" SCRIPT;
        "undo.js" SCRIPT;
    }
});

impl File {
    fn new(name: &'static str, media_type: &'static str, contents: &'static [u8]) -> Self {
        let hash = Sha256::digest(contents);
        let digits: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        let tag = HeaderValue::from_str(&format!("\"{digits}\"")).unwrap_or(HeaderValue::from_static("\"\""));
        Self { name, media_type, contents, tag }
    }

    fn served(&self, request: &Request) -> HttpResponse {
        let known = request.headers().get_all(header::IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
        let own = self.tag.to_str().unwrap_or_default();
        let is_known = known.flat_map(|tags| tags.split(',')).any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == own
        });
        let mut response = if is_known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(header::CONTENT_TYPE, self.media_type)], self.contents).into_response()
        };
        response.headers_mut().insert(header::ETAG, self.tag.clone());
        response
    }
}

/// The page itself.
pub(super) async fn page(State(app): State<App>, request: Request) -> HttpResponse {
    answer(&app, "index.html", &request)
}

/// A file of the page.
pub(super) async fn file(State(app): State<App>, Path(name): Path<String>, request: Request) -> HttpResponse {
    // The page has one address; its own is no file of it.
    answer(&app, if name == "index.html" { "" } else { &name }, &request)
}

/// The page's address with a slash behind, as people write it. Relative: a proxy may serve everything below a path.
pub(super) async fn with_slash(State(app): State<App>, request: Request) -> HttpResponse {
    if let Err(refusal) = check_origin(&app.options, request.uri(), request.headers()) {
        return *refusal;
    }
    guarded((StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "../console")]).into_response())
}

fn answer(app: &App, name: &str, request: &Request) -> HttpResponse {
    if let Err(refusal) = check_origin(&app.options, request.uri(), request.headers()) {
        return *refusal;
    }
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    guarded(if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let refusal = (StatusCode::METHOD_NOT_ALLOWED, plain, [(header::ALLOW, "GET, HEAD")], "Read this by GET.\n");
        refusal.into_response()
    } else if let Some(file) = FILES.iter().find(|file| file.name == name) {
        file.served(request)
    } else {
        (StatusCode::NOT_FOUND, plain, "There is no such file. The console is at /console.\n").into_response()
    })
}

/// What every answer tells the browser. Files are asked for again each time, and come again only when they changed.
fn guarded(mut response: HttpResponse) -> HttpResponse {
    const HEADERS: [(HeaderName, &str); 6] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
