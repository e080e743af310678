//! A foreign client, the official Rust SDK, against the real program: both transports, both generations of the protocol.

use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, RunningService};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientServiceExt as _, RoleClient, ServiceError};
use serde_json::{Value, json};

use crate::process::{Serving, bureau, soon};
use crate::support::TestDatabase;

type Client = RunningService<RoleClient, ()>;

/// How a client begins, and the revision that it then speaks.
fn generations() -> Vec<(ClientLifecycleMode, ProtocolVersion)> {
    let newest = || vec![ProtocolVersion::V_2026_07_28];
    vec![
        (ClientLifecycleMode::Initialize, ProtocolVersion::V_2025_11_25),
        (ClientLifecycleMode::Discover { preferred_versions: newest() }, ProtocolVersion::V_2026_07_28),
        (
            ClientLifecycleMode::Auto { preferred_versions: newest(), legacy_version: None },
            ProtocolVersion::V_2026_07_28,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_works_over_http_in_both_generations() {
    // The client leaves the choice of the cryptography to its program, even where it needs none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    for (mode, version) in generations() {
        let config = StreamableHttpClientTransportConfig::with_uri(serving.url("/mcp")).auth_header(&serving.token);
        let transport = StreamableHttpClientTransport::from_config(config);
        let client = soon("a connection over HTTP", ().serve_with_lifecycle(transport, mode)).await.unwrap();
        let done = soon("a session over HTTP", session(client, &version));
        println!("http {version}: {} calls", done.await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_works_over_stdio_in_both_generations() {
    let database = TestDatabase::new().await;
    for (mode, version) in generations() {
        let transport = TokioChildProcess::new(bureau(&database, &["stdio", "--log", "warn"])).unwrap();
        let client = soon("a connection over stdio", ().serve_with_lifecycle(transport, mode)).await.unwrap();
        let done = soon("a session over stdio", session(client, &version));
        println!("stdio {version}: {} calls", done.await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_is_told_that_its_token_is_wrong() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let unknown = bureau_kit::token::mint(bureau_kit::token::TokenKind::Session);
    for (mode, _) in generations() {
        let config = StreamableHttpClientTransportConfig::with_uri(serving.url("/mcp")).auth_header(&unknown);
        let transport = StreamableHttpClientTransport::from_config(config);
        let refused = soon("a refusal", ().serve_with_lifecycle(transport, mode)).await.unwrap_err();
        let told = format!("{refused:?}");
        assert!(told.contains("401") || told.contains("AuthRequired"), "{told}");
    }
}

/// What an assistant does in a session; answers how many calls it made.
async fn session(client: Client, version: &ProtocolVersion) -> usize {
    let server = client.peer_info().expect("the server has introduced itself");
    assert_eq!(&server.protocol_version, version);
    assert!(server.instructions.as_deref().unwrap().starts_with("Bureau is a company's back office"));

    let tools = client.list_all_tools().await.unwrap();
    let mut listed: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    let mut core = bureau::catalog::CORE.to_vec();
    listed.sort_unstable();
    core.sort_unstable();
    assert_eq!(listed, core);

    let found = ok(&client, "tool_search", json!({"query": "settle a contract"})).await;
    assert_eq!(found["items"][0]["name"], "contract_settle");

    let title = "Pomiar w kuchni";
    let tried = ok(&client, "task_create", json!({"title": title, "dry_run": true})).await;
    assert_eq!((&tried["title"], &tried["dry_run"]), (&json!(title), &json!(true)));
    assert_eq!(ok(&client, "task_list", json!({"q": title})).await["total"], 0);

    let made = ok(&client, "task_create", json!({"title": title})).await;
    assert_eq!(made["title"], title);
    let shown = ok(&client, "task_show", json!({"id": made["id"]})).await;
    let expected: Value = made
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "undo_token")
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    assert_eq!(shown, expected);

    let (error, is_error) = call(&client, "task_show", json!({"id": "019a0000-0000-7000-8000-000000000000"})).await;
    assert!(is_error, "{error}");
    assert_eq!(error["code"], "not_found", "{error}");
    let (error, is_error) = call(&client, "task_create", json!({"titel": "Pomiar"})).await;
    assert!(is_error, "{error}");
    assert_eq!(error["code"], "validation", "{error}");

    let unknown = client.call_tool(CallToolRequestParams::new("task_crate")).await.unwrap_err();
    let ServiceError::McpError(unknown) = unknown else { panic!("{unknown:?}") };
    assert_eq!(unknown.code.0, -32602);
    assert_eq!(
        unknown.message,
        "There is no tool `task_crate`. Did you mean `task_create`? tool_search finds tools by what they do."
    );

    ok(&client, "action_undo", json!({"undo_token": made["undo_token"]})).await;
    let (gone, is_error) = call(&client, "task_show", json!({"id": made["id"]})).await;
    assert!(is_error && gone["code"] == "not_found", "{gone}");

    client.cancel().await.unwrap();
    10
}

async fn ok(client: &Client, tool: &'static str, arguments: Value) -> Value {
    let (answer, is_error) = call(client, tool, arguments).await;
    assert!(!is_error, "{tool}: {answer}");
    answer
}

/// The answer of a call, which says the same in both its forms, and whether it is an error.
async fn call(client: &Client, tool: &'static str, arguments: Value) -> (Value, bool) {
    let Value::Object(arguments) = arguments else { panic!("arguments of {tool} must be an object") };
    let result = client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await.unwrap();
    let text: Value = serde_json::from_str(&result.content[0].as_text().expect("the content is text").text).unwrap();
    let is_error = result.is_error.unwrap_or_default();
    match result.structured_content {
        Some(structured) => assert_eq!(structured, text),
        // An error need not fit the output schema, so it goes without.
        None => assert!(is_error, "{tool} answers without structured content"),
    }
    (text, is_error)
}
