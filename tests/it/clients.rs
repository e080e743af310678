//! A foreign client, the official Rust SDK, against the real program: both transports, both generations of the protocol.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientConfig, ClientRequest, ElicitRequestParams, ElicitResult,
    ElicitationAction, GetPromptRequestParams, ProgressNotificationParam, ProtocolVersion, ReadResourceRequestParams,
    ResourceUpdatedNotificationParam, ServerNotification, SubscribeRequestParams, SubscriptionFilter,
    UnsubscribeRequestParams,
};
use rmcp::service::{ClientLifecycleMode, NotificationContext, PeerRequestOptions, RequestContext, RunningService};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientHandler, ClientServiceExt as _, ErrorData, RoleClient, ServiceError};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};

use crate::process::{Serving, bureau, hold_writers, soon};
use crate::support::TestDatabase;

type Client = RunningService<RoleClient, Arc<Person>>;

/// What a client is told, or asked.
#[derive(Debug, PartialEq)]
enum Told {
    Asked(String),
    Progress(f64, Option<f64>),
    Updated(String),
    ToolsChanged,
}

/// What the person behind a client does when asked.
#[derive(Clone)]
enum Decision {
    Is(ElicitationAction),
    Thinks,
    /// Agrees, once the connection has broken and the client has come back.
    AgreesAfterBreak(Arc<Cable>),
}

/// Who sits before a client.
struct Person {
    decision: Mutex<Decision>,
    tells: mpsc::UnboundedSender<Told>,
    told: tokio::sync::Mutex<mpsc::UnboundedReceiver<Told>>,
}

impl Person {
    fn new(decision: Decision) -> Arc<Self> {
        let (tells, told) = mpsc::unbounded_channel();
        Arc::new(Self { decision: Mutex::new(decision), tells, told: tokio::sync::Mutex::new(told) })
    }

    fn decides(&self, decision: Decision) {
        *self.decision.lock().unwrap() = decision;
    }

    fn hear(&self, told: Told) {
        self.tells.send(told).unwrap();
    }

    async fn heard(&self) -> Told {
        soon("something to hear", async { self.told.lock().await.recv().await.unwrap() }).await
    }

    /// Everything that was told so far.
    async fn all_heard(&self) -> Vec<Told> {
        let mut told = self.told.lock().await;
        std::iter::from_fn(|| told.try_recv().ok()).collect()
    }
}

impl ClientHandler for Person {
    fn get_info(&self) -> ClientConfig {
        let mut config = ClientConfig::default();
        config.capabilities = serde_json::from_value(json!({"elicitation": {}})).unwrap();
        config
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let ElicitRequestParams::FormElicitationParams { message, .. } = request else { panic!("{request:?}") };
        self.hear(Told::Asked(message));
        let decision = self.decision.lock().unwrap().clone();
        let action = match decision {
            Decision::Is(action) => action,
            Decision::Thinks => std::future::pending().await,
            Decision::AgreesAfterBreak(cable) => {
                cable.cut().await;
                ElicitationAction::Accept
            }
        };
        Ok(ElicitResult::new(action))
    }

    async fn on_progress(&self, step: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.hear(Told::Progress(step.progress, step.total));
    }

    async fn on_resource_updated(&self, update: ResourceUpdatedNotificationParam, _: NotificationContext<RoleClient>) {
        self.hear(Told::Updated(update.uri));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.hear(Told::ToolsChanged);
    }
}

/// A way to a server that can be cut.
struct Cable {
    address: SocketAddr,
    cuts: watch::Sender<u32>,
    taken: Notify,
}

impl Cable {
    async fn to(server: SocketAddr) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cable = Arc::new(Self { address, cuts: watch::Sender::new(0), taken: Notify::new() });
        let carries = cable.clone();
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut cut = carries.cuts.subscribe();
                carries.taken.notify_waiters();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        cable
    }

    /// Cuts all connections and waits for a new one.
    async fn cut(&self) {
        let taken = self.taken.notified();
        self.cuts.send_modify(|cuts| *cuts += 1);
        soon("the client again", taken).await;
    }
}

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

async fn over_http(address: SocketAddr, token: &str, person: &Arc<Person>, mode: ClientLifecycleMode) -> Client {
    // The client leaves the choice of the cryptography to its program, even where it needs none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = StreamableHttpClientTransportConfig::with_uri(format!("http://{address}/mcp")).auth_header(token);
    let transport = StreamableHttpClientTransport::from_config(config);
    soon("a connection over HTTP", person.clone().serve_with_lifecycle(transport, mode)).await.unwrap()
}

async fn over_stdio(
    database: &TestDatabase,
    token: Option<&str>,
    person: &Arc<Person>,
    mode: ClientLifecycleMode,
) -> Client {
    let mut command = bureau(database, &["stdio", "--log", "warn"]);
    if let Some(token) = token {
        command.env("BUREAU_TOKEN", token);
    }
    let transport = TokioChildProcess::new(command).unwrap();
    soon("a connection over stdio", person.clone().serve_with_lifecycle(transport, mode)).await.unwrap()
}

/// Plays every story with a client of each generation.
async fn stories(over: &str, http: bool) {
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let member = json!({"email": "ewa@example.com", "first_name": "Ewa", "last_name": "Sowa", "role": "user"});
    let member = serving.ok("user_create", member).await;
    let key = serving.ok("api_key_create", json!({"name": "ewa", "user_id": member["id"]})).await;
    let key = key["secret"].as_str().unwrap();
    for (mode, version) in generations() {
        let in_session = http && version == ProtocolVersion::V_2025_11_25;
        let accept = || Decision::Is(ElicitationAction::Accept);
        let person = Person::new(accept());
        let client = match http {
            true => over_http(serving.address, &serving.token, &person, mode.clone()).await,
            false => over_stdio(&database, None, &person, mode.clone()).await,
        };
        assert_eq!(open("sessions", &serving).await, u32::from(in_session));
        soon("the tools", session(&client, &version)).await;
        soon("the offers", offers(&client, &version)).await;
        soon("the questions", questions(&client, &person, &version)).await;
        soon("the progress", progress(&client, &person)).await;
        soon("the cancellation", cancellation(&client, &database)).await;
        soon("the news", news(&client, &person, &version, &serving)).await;
        client.cancel().await.unwrap();
        assert_eq!(open("sessions", &serving).await, 0);

        let person = Person::new(accept());
        let client = match http {
            true => over_http(serving.address, key, &person, mode.clone()).await,
            false => over_stdio(&database, Some(key), &person, mode.clone()).await,
        };
        soon("the rights", rights(&client, &person, &version, &serving, &member["id"])).await;
        client.cancel().await.unwrap();

        if in_session {
            let cable = Cable::to(serving.address).await;
            let person = Person::new(Decision::AgreesAfterBreak(cable.clone()));
            let client = over_http(cable.address, &serving.token, &person, mode).await;
            let task = ok(&client, "task_create", json!({"title": "Broken off"})).await;
            let gone = soon("the answer", ok(&client, "task_delete", json!({"id": task["id"]}))).await;
            assert_eq!((&gone["ok"], &gone["id"]), (&json!(true), &task["id"]));
            assert_eq!(*cable.cuts.borrow(), 1);
            client.cancel().await.unwrap();
        }
        println!("rmcp 3.9.0, {over}, {version}: every story played");
    }
}

/// How many sessions, or streams, the server knows.
async fn open(what: &str, serving: &Serving) -> u32 {
    let page = serving.connect().await.get("/metrics").await.unwrap().body;
    let count = page.lines().find_map(|line| line.strip_prefix(&format!("bureau_{what}_open ")));
    count.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_works_over_http_in_both_generations() {
    stories("http", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_works_over_stdio_in_both_generations() {
    stories("stdio", false).await;
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

/// What an assistant does in a session.
async fn session(client: &Client, version: &ProtocolVersion) {
    let server = client.peer_info().expect("the server has introduced itself");
    assert_eq!(&server.protocol_version, version);
    assert!(server.instructions.as_deref().unwrap().starts_with("Bureau is a company's back office"));

    let tools = client.list_all_tools().await.unwrap();
    let mut listed: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    let mut core = bureau::catalog::CORE.to_vec();
    listed.sort_unstable();
    core.sort_unstable();
    assert_eq!(listed, core);

    let found = ok(client, "tool_search", json!({"query": "settle a contract"})).await;
    assert_eq!(found["items"][0]["name"], "contract_settle");

    let title = "Pomiar w kuchni";
    let tried = ok(client, "task_create", json!({"title": title, "dry_run": true})).await;
    assert_eq!((&tried["title"], &tried["dry_run"]), (&json!(title), &json!(true)));
    assert_eq!(ok(client, "task_list", json!({"q": title})).await["total"], 0);

    let made = ok(client, "task_create", json!({"title": title})).await;
    assert_eq!(made["title"], title);
    let shown = ok(client, "task_show", json!({"id": made["id"]})).await;
    let expected: Value = made
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "undo_token")
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    assert_eq!(shown, expected);

    let (error, is_error) = call(client, "task_show", json!({"id": "019a0000-0000-7000-8000-000000000000"})).await;
    assert!(is_error, "{error}");
    assert_eq!(error["code"], "not_found", "{error}");
    let (error, is_error) = call(client, "task_create", json!({"titel": "Pomiar"})).await;
    assert!(is_error, "{error}");
    assert_eq!(error["code"], "validation", "{error}");

    let unknown = client.call_tool(CallToolRequestParams::new("task_crate")).await.unwrap_err();
    let ServiceError::McpError(unknown) = unknown else { panic!("{unknown:?}") };
    assert_eq!(unknown.code.0, -32602);
    assert_eq!(
        unknown.message,
        "There is no tool `task_crate`. Did you mean `task_create`? tool_search finds tools by what they do."
    );

    ok(client, "action_undo", json!({"undo_token": made["undo_token"]})).await;
    let (gone, is_error) = call(client, "task_show", json!({"id": made["id"]})).await;
    assert!(is_error && gone["code"] == "not_found", "{gone}");
}

/// Resources, prompts and completion.
async fn offers(client: &Client, version: &ProtocolVersion) {
    let resources: Vec<String> = client.list_all_resources().await.unwrap().iter().map(|one| one.uri.clone()).collect();
    assert_eq!(resources, ["bureau://me", "bureau://permissions", "bureau://tools"]);
    let templates = client.list_all_resource_templates().await.unwrap();
    for wanted in ["bureau://tools/{name}", "bureau://task/{id}", "bureau://contract/{id}", "bureau://person/{id}"] {
        assert_eq!(templates.iter().filter(|one| one.uri_template == wanted).count(), 1, "{wanted}");
    }
    let task = ok(client, "task_create", json!({"title": "Pomiar łazienki"})).await;
    let uri = format!("bureau://task/{}", task["num"]);
    let shown = ok(client, "task_show", json!({"id": task["id"]})).await;
    assert_eq!(read(client, &uri).await, shown);
    let missing = client.read_resource(ReadResourceRequestParams::new("bureau://task/999")).await.unwrap_err();
    let code = if *version == ProtocolVersion::V_2026_07_28 { -32602 } else { -32002 };
    let text = "There is no such resource, or none that you may see. resources/templates/list shows how addresses are \
                made; the _list tools answer the ids.";
    assert_eq!(protocol_error(missing), (code, text.to_owned()));

    let prompts: Vec<String> = client.list_all_prompts().await.unwrap().iter().map(|one| one.name.clone()).collect();
    let wanted =
        ["merge_duplicates", "settle_contract", "plan_week", "explain_changes", "onboard_user", "review_token"];
    assert_eq!(prompts, wanted);
    let mut wanted = GetPromptRequestParams::new("plan_week");
    wanted.arguments = json!({"language": "pl", "day": "2026-11-23"}).as_object().cloned();
    let prompt = client.get_prompt(wanted).await.unwrap();
    assert_eq!((prompt.description.as_deref(), prompt.messages.len()), (Some("Zaplanuj tydzień"), 1));
    let text = &prompt.messages[0].content.as_text().unwrap().text;
    let start = "Zaplanuj mój tydzień od poniedziałku do niedzieli, w którym jest dzień 2026-11-23.\n";
    assert!(text.starts_with(start), "{text}");
    let unknown = client.get_prompt(GetPromptRequestParams::new("plan_day")).await.unwrap_err();
    let text = "There is no prompt `plan_day`. prompts/list shows those there are.";
    assert_eq!(protocol_error(unknown), (-32602, text.to_owned()));

    assert_eq!(client.complete_prompt_simple("merge_duplicates", "kind", "P").await.unwrap(), ["person"]);
    let found = client.complete_resource_simple("bureau://task/{id}", "id", "LAZIENKI").await.unwrap();
    assert_eq!(found, [task["num"].to_string()]);
    ok(client, "action_undo", json!({"undo_token": task["undo_token"]})).await;
}

/// A record as a resource.
async fn read(client: &Client, uri: &str) -> Value {
    let read = client.read_resource(ReadResourceRequestParams::new(uri)).await.unwrap();
    let read = serde_json::to_value(&read.contents).unwrap();
    assert_eq!(read[0]["uri"], uri);
    serde_json::from_str(read[0]["text"].as_str().unwrap()).unwrap()
}

fn protocol_error(error: ServiceError) -> (i32, String) {
    let ServiceError::McpError(error) = error else { panic!("{error:?}") };
    (error.code.0, error.message.into_owned())
}

/// A destructive tool asks the person first, whichever way the generation has for that.
async fn questions(client: &Client, person: &Person, version: &ProtocolVersion) {
    let task = ok(client, "task_create", json!({"title": "Ask before it goes"})).await;
    let id = json!({"id": task["id"]});
    let question = || Told::Asked("Delete a task: delete task Ask before it goes. Go on?".into());
    // To undo is destructive too: the stories before were asked about it.
    person.all_heard().await;
    person.decides(Decision::Is(ElicitationAction::Decline));
    let (declined, is_error) = call(client, "task_delete", id.clone()).await;
    let text = "The person at the client did not agree to this call, so nothing was changed. Do not repeat it unless \
                they ask for it.";
    assert_eq!((&declined["message"], is_error), (&json!(text), true));
    assert_eq!(ok(client, "task_show", id.clone()).await["version"], 1);
    person.decides(Decision::Is(ElicitationAction::Accept));
    let gone = ok(client, "task_delete", id.clone()).await;
    let (missing, is_error) = call(client, "task_show", id.clone()).await;
    assert!(is_error && missing["code"] == "not_found", "{missing}");
    assert_eq!(person.all_heard().await, [question(), question()]);
    ok(client, "action_undo", json!({"undo_token": gone["undo_token"]})).await;
    assert_eq!(person.heard().await, Told::Asked("Undo an action: create task Ask before it goes. Go on?".into()));

    // Between two rounds of the stateless generation no request runs that could be cancelled.
    if *version == ProtocolVersion::V_2025_11_25 {
        // A call that is given up while the person thinks changes nothing.
        person.decides(Decision::Thinks);
        let running = running(client, "task_delete", id.clone()).await;
        assert_eq!(person.heard().await, question());
        running.cancel(None).await.unwrap();
        assert_eq!(ok(client, "task_show", id.clone()).await["id"], task["id"]);
        person.decides(Decision::Is(ElicitationAction::Accept));
    }
    ok(client, "task_delete", id).await;
    person.all_heard().await;
}

/// A call that is not waited for.
async fn running(client: &Client, tool: &'static str, arguments: Value) -> rmcp::service::RequestHandle<RoleClient> {
    let call = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().cloned().unwrap());
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(call));
    client.send_cancellable_request(request, PeerRequestOptions::no_options()).await.unwrap()
}

/// A long call tells how far it is: here after each kind of record that there is, since none has many.
async fn progress(client: &Client, person: &Person) {
    let done = ok(client, "fulltext_reindex", json!({})).await;
    let mut wanted = vec![0.0];
    for kind in done["entities"].as_array().unwrap() {
        wanted.push(wanted.last().unwrap() + kind["checked"].as_f64().unwrap());
    }
    wanted.dedup();
    let mut steps = vec![0.0];
    for _ in 1..wanted.len() {
        let Told::Progress(step, total) = person.heard().await else { panic!("something else was told") };
        assert_eq!(total, done["checked"].as_f64());
        steps.push(step);
    }
    // The client hands notifications on side by side, in any order.
    steps.sort_unstable_by(f64::total_cmp);
    assert_eq!((steps, person.all_heard().await), (wanted, vec![]));
}

/// A running call is given up; repeated with the same key, it is done once.
async fn cancellation(client: &Client, database: &TestDatabase) {
    let key = bureau_kit::token::mint(bureau_kit::token::TokenKind::Session);
    let arguments = json!({"title": key, "idempotency_key": key});
    let held = hold_writers(database).await;
    let running = running(client, "task_create", arguments.clone()).await;
    // Reads go on beside it.
    assert_eq!(ok(client, "task_list", json!({"q": key})).await["total"], 0);
    running.cancel(Some("given up".into())).await.unwrap();
    assert_eq!(ok(client, "task_list", json!({"q": key})).await["total"], 0);
    held.rollback().await.unwrap();
    let made = ok(client, "task_create", arguments).await;
    let listed = ok(client, "task_list", json!({"q": key})).await;
    assert_eq!((&listed["total"], &listed["items"][0]["id"]), (&json!(1), &made["id"]));
}

/// What another client changes is told, and nothing else.
async fn news(client: &Client, person: &Person, version: &ProtocolVersion, serving: &Serving) {
    let watched = serving.ok("task_create", json!({"title": "Watched"})).await;
    let other = serving.ok("task_create", json!({"title": "Not watched"})).await;
    let uri = format!("bureau://task/{}", watched["num"]);
    let change = async || {
        serving.ok("task_update", json!({"id": other["id"], "title": "Not told"})).await;
        serving.ok("task_update", json!({"id": watched["id"], "title": "Told"})).await;
    };
    if *version == ProtocolVersion::V_2026_07_28 {
        let filter = SubscriptionFilter::builder().resource_subscriptions([uri.as_str(), "bureau://task/999"]).build();
        let mut events = client.listen(filter).await.unwrap();
        assert_eq!(events.acknowledged().resource_subscriptions.as_deref(), Some([uri.clone()].as_slice()));
        change().await;
        let Some(ServerNotification::ResourceUpdatedNotification(update)) = events.next().await.unwrap() else {
            panic!("something else was told")
        };
        assert_eq!(update.params.uri, uri);
        events.cancel().await.unwrap();
    } else {
        #[expect(deprecated, reason = "what has gone from the newest revision is still to be tried in the older ones")]
        {
            let level = rmcp::model::SetLevelRequestParams::new(rmcp::model::LoggingLevel::Warning);
            client.set_level(level).await.unwrap();
            client.subscribe(SubscribeRequestParams::new(uri.clone())).await.unwrap();
            change().await;
            assert_eq!(person.heard().await, Told::Updated(uri.clone()));
            client.unsubscribe(UnsubscribeRequestParams::new(uri.clone())).await.unwrap();
        }
    }
    assert_eq!(read(client, &uri).await["title"], "Told");
    for task in [watched, other] {
        serving.ok("task_delete", json!({"id": task["id"]})).await;
    }
}

/// A user who may do less than before is told that the lists are others now.
async fn rights(client: &Client, person: &Person, version: &ProtocolVersion, serving: &Serving, user: &Value) {
    let may_create = async || client.list_all_tools().await.unwrap().iter().any(|tool| tool.name == "task_create");
    assert!(may_create().await);
    let narrow = json!({"id": user, "role": "reader"});
    if *version == ProtocolVersion::V_2026_07_28 {
        let mut events = client.listen(SubscriptionFilter::builder().tools_list_changed().build()).await.unwrap();
        assert_eq!(events.acknowledged().tools_list_changed, Some(true));
        serving.ok("user_update", narrow).await;
        let told = events.next().await.unwrap();
        assert!(matches!(told, Some(ServerNotification::ToolListChangedNotification(_))), "{told:?}");
        events.cancel().await.unwrap();
    } else {
        // Told on the stream that the client opens after it has said hello.
        while open("sessions", serving).await > open("streams", serving).await {
            tokio::task::yield_now().await;
        }
        serving.ok("user_update", narrow).await;
        assert_eq!(person.heard().await, Told::ToolsChanged);
    }
    assert!(!may_create().await);
    let (refused, is_error) = call(client, "task_create", json!({"title": "Not to be stored"})).await;
    assert!(is_error && refused["code"] == "forbidden", "{refused}");
    serving.ok("user_update", json!({"id": user, "role": "user"})).await;
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
