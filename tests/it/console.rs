//! `/console`: the files of the page, what their headers bound, and who gets them.

use crate::process::{Answer, Serving, bureau};
use crate::support::TestDatabase;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Every answer of the console bounds what a page may do.
fn assert_guarded(answer: &Answer) {
    let headers = [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-cache"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    for (name, value) in headers {
        assert_eq!(answer.header(name), Some(value), "{name} of {answer:?}");
    }
}

/// The files that a file names: `href="console/x"` and `src="console/x"` of the page, `from './x'` of a module.
fn named_in(text: &str) -> Vec<&str> {
    let after = |mark: &'static str, end: char| {
        text.split(mark).skip(1).filter_map(move |rest| rest.split_once(end).map(|(name, _)| name))
    };
    after("\"console/", '"').chain(after("from './", '\'')).chain(after("new URL('", '\'')).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_all_that_it_names_is_served_and_reaches_for_nothing_else() {
    let serving = Serving::on_new(&TestDatabase::new().await).await;
    let mut connection = serving.connect().await;
    let page = connection.get("/console").await.unwrap();
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let (mut texts, mut seen) = (vec![page.body], std::collections::BTreeSet::new());
    while let Some(text) = texts.pop() {
        for outside in ["https:", "innerHTML", "outerHTML", "insertAdjacent", "document.write", "localStorage", "eval("]
        {
            assert!(!text.contains(outside), "{outside} in {text}");
        }
        // The one name of that form that is no address: the namespace of SVG.
        assert!(!text.replace("http://www.w3.org/2000/svg", "").contains("http:"), "{text}");
        for name in named_in(&text).into_iter().filter(|name| !name.starts_with("..")) {
            if !seen.insert(name.to_owned()) {
                continue;
            }
            let file = connection.get(&format!("/console/{name}")).await.unwrap();
            let media_type = match name.rsplit_once('.').unwrap().1 {
                "js" => "text/javascript; charset=utf-8",
                "css" => "text/css; charset=utf-8",
                "svg" => "image/svg+xml",
                other => panic!("{other}"),
            };
            assert_eq!((file.status, file.header("content-type")), (200, Some(media_type)), "{name}");
            assert_guarded(&file);
            texts.push(file.body);
        }
    }
    // All that is there is reached from the page: nothing is served in vain.
    let there = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/console")).unwrap();
    let there = there.map(|file| file.unwrap().file_name().into_string().unwrap());
    let there: std::collections::BTreeSet<String> = there.filter(|name| name != "index.html").collect();
    assert_eq!(seen, there);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_again_only_when_they_changed() {
    let serving = Serving::on_new(&TestDatabase::new().await).await;
    let mut connection = serving.connect().await;
    for path in ["/console", "/console/app.js"] {
        let whole = connection.get(path).await.unwrap();
        assert_guarded(&whole);
        let tag = whole.header("etag").unwrap().to_owned();
        assert_eq!(connection.get(path).await.unwrap().header("etag"), Some(tag.as_str()));
        let ask = |known: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {known}\r\n\r\n");
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            connection.send(ask(&known)).await.unwrap();
            let kept = connection.answer().await.unwrap();
            assert_eq!(
                (kept.status, kept.body.as_str(), kept.header("etag")),
                (304, "", Some(tag.as_str())),
                "{known}"
            );
            assert_guarded(&kept);
        }
        connection.send(ask("\"other\"")).await.unwrap();
        let again = connection.answer().await.unwrap();
        assert_eq!((again.status, again.body), (200, whole.body));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_and_other_paths_are_refused() {
    let serving = Serving::on_new(&TestDatabase::new().await).await;
    let whole = serving.connect().await.get("/console").await.unwrap();
    let mut connection = serving.connect().await;
    connection.send("HEAD /console HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let head = connection.rest().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains(&format!("content-length: {}\r\n", whole.body.len())), "{head}");
    assert!(head.contains(&format!("content-security-policy: {POLICY}\r\n")), "{head}");

    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        for path in ["/console", "/console/app.js", "/console/nothing"] {
            let mut connection = serving.connect().await;
            let text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
            connection.send(text).await.unwrap();
            let refused = connection.answer().await.unwrap();
            assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
            assert_eq!(refused.body, "Read this by GET.\n");
            assert_guarded(&refused);
        }
    }
    let below = [
        "nothing",
        "index.html",
        "app.js/",
        "app.js/x",
        "..",
        "../Cargo.toml",
        "%2e%2e/Cargo.toml",
        "App.js",
        "console",
    ];
    for name in below {
        let missing = serving.connect().await.get(&format!("/console/{name}")).await.unwrap();
        let text = "There is no such file. The console is at /console.\n";
        assert_eq!((missing.status, missing.body.as_str()), (404, text), "{name}");
        assert_guarded(&missing);
    }
    let moved = serving.connect().await.get("/console/").await.unwrap();
    assert_eq!((moved.status, moved.header("location")), (308, Some("../console")));
    assert_guarded(&moved);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_elsewhere_gets_nothing() {
    let serving = Serving::on_new(&TestDatabase::new().await).await;
    for path in ["/console", "/console/", "/console/app.js"] {
        for head in ["Host: evil.example", "Host: localhost\r\nOrigin: https://evil.example"] {
            let mut connection = serving.connect().await;
            connection.send(format!("GET {path} HTTP/1.1\r\n{head}\r\n\r\n")).await.unwrap();
            assert_eq!(connection.answer().await.unwrap().status, 403, "{path} {head}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_can_be_switched_off() {
    let database = TestDatabase::new().await;
    let off = Serving::start(bureau(&database, &["serve", "--listen", "127.0.0.1:0", "--no-console"]), None).await;
    let mut by_variable = bureau(&database, &["serve", "--listen", "127.0.0.1:0"]);
    by_variable.env("BUREAU_NO_CONSOLE", "1");
    let by_variable = Serving::start(by_variable, Some(&off.token)).await;
    for serving in [&off, &by_variable] {
        for path in ["/console", "/console/", "/console/app.js"] {
            let answer = serving.connect().await.get(path).await.unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (404, ""), "{path}");
        }
        serving.ok("me", serde_json::json!({})).await;
    }
}
