//! `tool_search` finds what people ask for, in the words they use.

use serde_json::json;

use crate::support::Tester;

/// Language, the right tool, and the request.
fn requests() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut language = "";
    let mut found = Vec::new();
    for line in include_str!("requests.in").lines() {
        if let Some(name) = line.strip_prefix("# ") {
            language = name;
        } else if let Some((tool, request)) = line.split_once(" | ") {
            found.push((language, tool, request));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn everyday_requests_find_their_tool_among_the_first_five() {
    let owner = Tester::new().await;
    let (mut missed, mut first) = (Vec::new(), 0);
    let requests = requests();
    for (language, tool, request) in &requests {
        let found = owner.ok("tool_search", json!({"query": request, "limit": 5})).await;
        let found: Vec<&str> =
            found["items"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert!(found.len() <= 5);
        first += usize::from(found.first() == Some(tool));
        if !found.contains(tool) {
            missed.push(format!("{language}: {request}: {tool} is not among {found:?}"));
        }
    }
    for language in ["English", "Polski", "Українська"] {
        let asked = requests.iter().filter(|(of, ..)| *of == language).count();
        assert!(asked >= 50, "{asked} requests in {language}");
    }
    println!("{} requests, {first} answered with the right tool first, {} missed", requests.len(), missed.len());
    assert!(missed.is_empty(), "{} of {}:\n{}", missed.len(), requests.len(), missed.join("\n"));
}
