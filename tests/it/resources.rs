//! Records and the catalogue as resources: listed, read and completed in both generations of the protocol, over both
//! transports, with the rights of the tools behind them and nothing more.

use std::collections::BTreeSet;
use std::sync::Arc;

use bureau::mcp::exchange::Exchange;
use bureau::mcp::extension::{Answer, Extension};
use bureau::mcp::{self, Face, Server};
use bureau::rpc::{Caller, Message};
use bureau_kit::gate::{Origin, Selection};
use bureau_kit::tool::BoxFuture;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::process::{Connection, Serving, soon};
use crate::stdio::Assistant;
use crate::support::{TestDatabase, Tester};
use crate::world::World;

/// The generations: what the stateless one adds to lists, to what is read, and to everything else.
pub const HANDSHAKE: bool = false;
pub const STATELESS: bool = true;

/// Parameters as a generation sends them.
pub fn of_generation(stateless: bool, mut params: Value) -> Value {
    if stateless {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
    }
    params
}

/// A result as a generation answers it.
pub fn whole(stateless: bool, mut result: Value, life: Option<u32>) -> Value {
    if stateless {
        result["resultType"] = json!("complete");
        if let Some(life) = life {
            result["ttlMs"] = json!(life);
            result["cacheScope"] = json!("private");
        }
    }
    result
}

/// The result of a request, or its error.
pub async fn asked(tester: &Tester, stateless: bool, method: &str, params: Value) -> Result<Value, Value> {
    let server = Server::new(tester.bureau.clone()).unwrap();
    asked_of(&server, tester, stateless, method, params).await
}

/// The same, of a server with options of its own.
pub async fn asked_of(
    server: &Server,
    tester: &Tester,
    stateless: bool,
    method: &str,
    params: Value,
) -> Result<Value, Value> {
    let params = of_generation(stateless, params);
    let text = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let message = Message::read(&text).unwrap();
    let origin = Origin { transport: "test", ..Origin::default() };
    let mut caller = Caller::new(Some(tester.shown.clone()), tester.selection.clone(), origin);
    caller.take(server.envelope(&message, None).unwrap());
    let response = server.answer(Face::Mcp, &message, Arc::new(caller)).await;
    let mut answer: Value = serde_json::from_slice(&response.joined()).unwrap();
    match answer.get_mut("error") {
        Some(error) => Err(error.take()),
        None => Ok(answer["result"].take()),
    }
}

/// What stands behind an address: its JSON, after checking everything around it.
async fn read(tester: &Tester, uri: &str) -> Value {
    let mut texts = Vec::new();
    for stateless in [HANDSHAKE, STATELESS] {
        let result = asked(tester, stateless, "resources/read", json!({"uri": uri})).await;
        let result = result.unwrap_or_else(|error| panic!("{uri}: {error}"));
        let text = result["contents"][0]["text"].as_str().unwrap().to_owned();
        let contents = json!({"contents": [{"uri": uri, "mimeType": "application/json", "text": text}]});
        assert_eq!(result, whole(stateless, contents, Some(0)));
        texts.push(text);
    }
    assert_eq!(texts[0], texts[1]);
    let value: Value = serde_json::from_str(&texts[0]).unwrap();
    assert_eq!(value.to_string(), texts[0], "the JSON of {uri} is compact");
    value
}

/// The error of an address that cannot be read, which both generations must tell alike but for the code.
async fn unreadable(tester: &Tester, uri: &str) -> Value {
    let error = asked(tester, HANDSHAKE, "resources/read", json!({"uri": uri})).await.unwrap_err();
    let mut later = asked(tester, STATELESS, "resources/read", json!({"uri": uri})).await.unwrap_err();
    if error["code"] == -32002 {
        assert_eq!(later["code"], -32602, "{uri}");
        later["code"] = json!(-32002);
    }
    assert_eq!(error, later, "{uri}");
    error
}

fn not_found(uri: &str) -> Value {
    json!({
        "code": -32002,
        "message": "There is no such resource, or none that you may see. resources/templates/list shows how addresses \
                    are made; the _list tools answer the ids.",
        "data": {"uri": uri},
    })
}

/// A refusal of the gate as a JSON-RPC error.
pub fn forbidden(message: &str, missing: &str) -> Value {
    let mut data = json!({"code": "forbidden", "message": message});
    if !missing.is_empty() {
        data["details"] = json!({"missing": missing});
    }
    json!({"code": 403, "message": message, "data": data})
}

async fn narrowed(tester: &Tester, limits: Value) -> Tester {
    let minted = tester.ok("session_create", limits).await;
    tester.with_token(minted["session_token"].as_str().unwrap())
}

fn template(kind: &str, title: &str, about: &str) -> Value {
    json!({
        "uriTemplate": format!("bureau://{kind}/{{id}}"), "name": kind, "title": title,
        "description": format!("{about} The id is the UUID or the number."), "mimeType": "application/json",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_what_the_caller_may_read() {
    let owner = Tester::new().await;
    let guest = owner.as_role("guest").await;
    let entry = |path: &str, title: &str, about: &str| json!({"uri": format!("bureau://{path}"), "name": path, "title": title, "description": about, "mimeType": "application/json"});
    let resources = json!({"resources": [
        entry("me", "Myself", "The user who calls."),
        entry("permissions", "Permissions", "Every feature that can be granted, the tools it opens, and whether you hold it."),
        entry("tools", "Tools", "Every tool you may use here: name, title, toolset, effect and what it does."),
    ]});
    let templates = json!({"resourceTemplates": [
        {
            "uriTemplate": "bureau://tools/{name}", "name": "tool", "title": "Tool", "mimeType": "application/json",
            "description": "All there is to know of one tool: input and output schema, rights, effect.",
        },
        template("task", "Task", "Show one task: title, content, status, responsible, deadline, priority."),
        template("project", "Project", "Show one project with its team, responsible user, client and dates."),
        template("tasklist", "Task list", "Show one task list with its kind, project and dates."),
    ]});
    for stateless in [HANDSHAKE, STATELESS] {
        for (method, expected) in [("resources/list", &resources), ("resources/templates/list", &templates)] {
            let result = asked(&guest, stateless, method, json!({})).await.unwrap();
            assert_eq!(result, whole(stateless, expected.clone(), Some(300_000)), "{method}");
        }
    }
    let result = asked(&owner, HANDSHAKE, "resources/templates/list", json!({})).await.unwrap();
    let all: Vec<&str> = result["resourceTemplates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|template| template["uriTemplate"].as_str().unwrap())
        .collect();
    assert_eq!(
        all,
        [
            "bureau://tools/{name}",
            "bureau://organization/{id}",
            "bureau://role/{id}",
            "bureau://user/{id}",
            "bureau://api_key/{id}",
            "bureau://team/{id}",
            "bureau://group/{id}",
            "bureau://department/{id}",
            "bureau://domain/{id}",
            "bureau://company/{id}",
            "bureau://person/{id}",
            "bureau://client/{id}",
            "bureau://contact/{id}",
            "bureau://client_note/{id}",
            "bureau://contact_import/{id}",
            "bureau://deal/{id}",
            "bureau://activity/{id}",
            "bureau://deal_status/{id}",
            "bureau://pipeline/{id}",
            "bureau://pipeline_stage/{id}",
            "bureau://lead_source/{id}",
            "bureau://dictionary/{id}",
            "bureau://tag/{id}",
            "bureau://contract/{id}",
            "bureau://contract_balance/{id}",
            "bureau://contract_document/{id}",
            "bureau://transaction/{id}",
            "bureau://material/{id}",
            "bureau://goods_issue/{id}",
            "bureau://calendar_event/{id}",
            "bureau://measurement/{id}",
            "bureau://task/{id}",
            "bureau://task_comment/{id}",
            "bureau://project/{id}",
            "bureau://tasklist/{id}",
            "bureau://task_status/{id}",
            "bureau://webhook/{id}",
        ]
    );
    let mut without = owner.clone();
    without.selection = Selection::without(&owner.bureau.registry, &["me", "user_show"]).unwrap();
    let result = asked(&without, HANDSHAKE, "resources/list", json!({})).await.unwrap();
    assert_eq!(result["resources"].as_array().unwrap().len(), 2);
    let result = asked(&without, HANDSHAKE, "resources/templates/list", json!({})).await.unwrap();
    assert!(!result.to_string().contains("bureau://user/{id}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_that_a_tool_shows_by_its_id_is_a_resource() {
    let world = World::new().await;
    let owner = &world.owner;
    let listed = asked(owner, HANDSHAKE, "resources/templates/list", json!({})).await.unwrap();
    let mut expected: BTreeSet<String> =
        listed["resourceTemplates"].as_array().unwrap().iter().map(|template| template["name"].to_string()).collect();
    assert!(expected.remove("\"tool\""));
    let before = owner.dump().await;
    let mut read_by_number = 0;
    for entry in owner.bureau.registry.entries() {
        let Some(kind) = entry.tool.name.strip_suffix("_show") else { continue };
        for arguments in world.samples(entry) {
            let Some(id) = arguments["id"].as_str().filter(|_| arguments.as_object().unwrap().len() == 1) else {
                continue;
            };
            let shown = owner.ok(entry.tool.name, arguments.clone()).await;
            assert_eq!(read(owner, &format!("bureau://{kind}/{id}")).await, shown);
            assert_eq!(read(owner, &format!("bureau://{kind}/{}", id.to_uppercase())).await, shown);
            if let Some(number) = shown["num"].as_i64() {
                assert_eq!(read(owner, &format!("bureau://{kind}/{number}")).await, shown);
                read_by_number += 1;
            }
            expected.remove(&format!("\"{kind}\""));
        }
    }
    assert_eq!(expected, BTreeSet::new(), "no sample of these was read");
    assert!(read_by_number >= 13, "{read_by_number}");
    assert_eq!(crate::support::difference(&before, &owner.dump().await), "", "reading changed something");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_can_be_read() {
    let owner = Tester::new().await;
    let guest = owner.as_role("guest").await;
    assert_eq!(read(&guest, "bureau://me").await, guest.ok("me", json!({})).await);

    let registry = &owner.bureau.registry;
    let permissions = read(&guest, "bureau://permissions").await;
    assert_eq!(
        permissions["about"],
        "held: a role or grant of yours gives the feature; usable: your token leaves it too."
    );
    let row = |permissions: &Value, feature: &str| {
        let rows = permissions["features"].as_array().unwrap();
        rows.iter().find(|row| row["feature"] == feature).unwrap_or_else(|| panic!("no {feature}")).clone()
    };
    let projects = json!({"feature": "organize.projects.view", "held": true, "usable": true, "tools": ["project_list", "project_show", "project_find"]});
    assert_eq!(row(&permissions, "organize.projects.view"), projects);
    let settle =
        json!({"feature": "contracts.rozlicz_umowa", "held": false, "usable": false, "tools": ["contract_settle"]});
    assert_eq!(row(&permissions, "contracts.rozlicz_umowa"), settle);
    let narrow = narrowed(&owner, json!({"features": ["contracts.view"]})).await;
    let narrow = row(&read(&narrow, "bureau://permissions").await, "contracts.rozlicz_umowa");
    assert_eq!((&narrow["held"], &narrow["usable"]), (&json!(true), &json!(false)));
    let named: BTreeSet<&str> =
        permissions["features"].as_array().unwrap().iter().map(|row| row["feature"].as_str().unwrap()).collect();
    let asked_for: BTreeSet<&str> =
        registry.entries().iter().flat_map(|entry| entry.tool.rights.iter().copied()).collect();
    assert_eq!(named, asked_for);

    let principal = guest.bureau.principal(&guest.shown).await.unwrap();
    let index = read(&guest, "bureau://tools").await;
    let admitted: Vec<Value> = registry
        .entries()
        .iter()
        .filter(|entry| guest.bureau.admits(&principal, &guest.selection, entry))
        .map(|entry| json!(entry.tool.name))
        .collect();
    let tools = index["tools"].as_array().unwrap();
    assert_eq!(tools.iter().map(|tool| tool["name"].clone()).collect::<Vec<_>>(), admitted);
    let show = tools.iter().find(|tool| tool["name"] == "project_find").unwrap();
    assert_eq!(
        *show,
        json!({"name": "project_find", "title": "Find a project", "toolset": "tasks", "effect": "read", "about": show["about"]})
    );
    assert!(tools.iter().all(|tool| tool["about"].as_str().unwrap().ends_with('.')), "{index:#}");

    let mut compared = 0;
    for entry in registry.entries() {
        let (toolset, name) = (entry.toolset, entry.tool.name);
        let path = format!("{}/schemas/{toolset}/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let Ok(published) = std::fs::read_to_string(&path) else { continue };
        let published: Value = serde_json::from_str(&published).unwrap();
        assert_eq!(read(&owner, &format!("bureau://tools/{name}")).await, published);
        compared += 1;
    }
    assert_eq!(compared, registry.entries().len());
    let refused = "contract_settle needs the right contracts.rozlicz_umowa, and you do not hold it. Ask an \
                   administrator, or see permission_explain.";
    assert_eq!(
        unreadable(&guest, "bureau://tools/contract_settle").await,
        forbidden(refused, "contracts.rozlicz_umowa")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found() {
    let world = World::new().await;
    let owner = &world.owner;
    for uri in [
        "bureau://task/999999",
        "bureau://task/0",
        "bureau://task/-1",
        "bureau://task/",
        "bureau://task",
        "bureau://task/1/2",
        "bureau://task/{id}",
        "bureau://task/1?x=1",
        "bureau://task/1' OR '1'='1",
        "bureau://contract_stats/1",
        "bureau://session/1",
        "bureau://tools/",
        "bureau://tools/no_such_tool",
        "bureau://tools/task_show/1",
        "bureau://permissions/1",
        "bureau://me/",
        "bureau://",
        "bureau:",
        "BUREAU://task/1",
        "file:///etc/passwd",
        "http://127.0.0.1/",
        "",
    ] {
        assert_eq!(unreadable(owner, uri).await, not_found(uri));
    }
    let wrong = asked(owner, HANDSHAKE, "resources/read", json!({})).await.unwrap_err();
    let text = "`params` of resources/read: missing field `uri` at line 1 column 2";
    assert_eq!(wrong, json!({"code": -32602, "message": text}));
    let refused = json!({"code": -32602, "message": bureau::cursor::refused().message()});
    for method in ["resources/list", "resources/templates/list", "prompts/list"] {
        for cursor in [json!(""), json!("MQ"), json!(1)] {
            let answer = asked(owner, STATELESS, method, json!({"cursor": cursor})).await;
            assert_eq!(answer, Err(refused.clone()), "{method} {cursor}");
        }
        asked(owner, STATELESS, method, json!({"cursor": null})).await.unwrap();
    }
}

/// The same answer to the byte for another company's record as for nobody's, for every kind there is.
#[tokio::test(flavor = "multi_thread")]
async fn another_companys_records_are_no_resources() {
    let world = World::new().await;
    let other = World::of(world.owner.other_tenant().await).await;
    let mut compared = 0_u128;
    for entry in world.owner.bureau.registry.entries() {
        let Some(kind) = entry.tool.name.strip_suffix("_show") else { continue };
        for arguments in other.samples(entry) {
            let Some(foreign) = arguments["id"].as_str() else { continue };
            let nobody = Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0000 | compared).to_string();
            let (one, two) = (format!("bureau://{kind}/{foreign}"), format!("bureau://{kind}/{nobody}"));
            assert_eq!(unreadable(&world.owner, &one).await, not_found(&one));
            assert_eq!(unreadable(&world.owner, &two).await, not_found(&two));
            let complete = |value: &str| json!({"ref": {"type": "ref/resource", "uri": format!("bureau://{kind}/{{id}}")}, "argument": {"name": "id", "value": value}});
            for value in [foreign, &nobody] {
                let found = asked(&world.owner, HANDSHAKE, "completion/complete", complete(value)).await.unwrap();
                assert_eq!(found["completion"]["values"], json!([]), "{kind} {value}");
            }
            compared += 1;
        }
    }
    assert!(compared >= 15, "{compared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_read_what_their_limits_leave() {
    let world = World::new().await;
    let owner = &world.owner;
    let (task, contract) = ("bureau://task/1", "bureau://contract/1");
    let only_tasks = narrowed(owner, json!({"features": ["organize.tasks.view"]})).await;
    read(&only_tasks, task).await;
    let why = "contract_show needs the right contracts.view, and your token was narrowed below it. Ask an administrator, \
               or see permission_explain.";
    assert_eq!(unreadable(&only_tasks, contract).await, forbidden(why, "contracts.view"));
    // Whether the record exists or not.
    assert_eq!(unreadable(&only_tasks, "bureau://contract/99999").await, forbidden(why, "contracts.view"));
    let only_contracts = narrowed(owner, json!({"toolsets": ["contracts"]})).await;
    read(&only_contracts, contract).await;
    let why = "task_show is of the toolset tasks, which your token leaves out.";
    assert_eq!(unreadable(&only_contracts, task).await, forbidden(why, "toolset tasks"));
    let mut here = owner.clone();
    here.selection = Selection::of_toolsets(&owner.bureau.registry, &["contracts"]).unwrap();
    read(&here, contract).await;
    let why = "task_show cannot be used: only the toolsets contracts are switched on here, and this is one of tasks.";
    assert_eq!(unreadable(&here, task).await, forbidden(why, ""));
    let reader = narrowed(owner, json!({"read_only": true})).await;
    let names = |result: Value| result["resourceTemplates"].as_array().unwrap().len();
    let all = names(asked(owner, HANDSHAKE, "resources/templates/list", json!({})).await.unwrap());
    for (tester, count) in [(&reader, all), (&only_tasks, 2), (&only_contracts, 4), (&here, 4)] {
        assert_eq!(names(asked(tester, HANDSHAKE, "resources/templates/list", json!({})).await.unwrap()), count);
    }
    for uri in [task, contract, "bureau://user/1", "bureau://me"] {
        read(&reader, uri).await;
    }
    // An organization's own record is nobody's for whoever is limited to another.
    let elsewhere = owner.ok("organization_create", json!({"name": "Oddział Lwów"})).await;
    let there = owner.ok("organization_create", json!({"name": "Oddział Łódź"})).await;
    let hidden = owner.ok("project_create", json!({"name": "Tajny", "organization_id": there["id"]})).await;
    let limited = narrowed(owner, json!({"organization_id": elsewhere["id"]})).await;
    let uri = format!("bureau://project/{}", hidden["num"]);
    read(owner, &uri).await;
    assert_eq!(unreadable(&limited, &uri).await, not_found(&uri));

    let nobody = owner.with_token(&bureau_kit::token::mint(bureau_kit::token::TokenKind::Session));
    for method in ["resources/list", "resources/templates/list", "prompts/list"] {
        assert_eq!(asked(&nobody, HANDSHAKE, method, json!({})).await.unwrap_err()["code"], 401, "{method}");
    }
    assert_eq!(unreadable(&nobody, "bureau://tools").await["code"], 401);
}

/// Somebody else's resources beside ours.
#[derive(Debug)]
struct Library;

impl Extension for Library {
    fn resources(&self) -> Vec<Value> {
        vec![json!({"uri": "book://1", "name": "one"})]
    }
    fn templates(&self) -> Vec<Value> {
        vec![json!({"uriTemplate": "book://{number}", "name": "book"})]
    }
    fn prompts(&self) -> Vec<Value> {
        vec![json!({"name": "read_aloud"})]
    }
    fn prompt<'a>(&'a self, name: &'a str, arguments: Map<String, Value>, _: &'a Exchange) -> BoxFuture<'a, Answer> {
        Box::pin(async move { Ok(json!({"messages": [], "description": format!("{name} {}", arguments["voice"])})) })
    }
    fn read<'a>(&'a self, uri: &'a str, _: &'a Exchange) -> BoxFuture<'a, Option<Answer>> {
        Box::pin(async move { (uri == "book://1").then(|| Ok(json!({"contents": [{"uri": uri, "text": "Once"}]}))) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_adds_its_own() {
    let owner = Tester::new().await;
    let options = mcp::Options { extension: Some(Arc::new(Library)), ..mcp::Options::default() };
    let server = Server::with(owner.bureau.clone(), options).unwrap();
    let ask = async |method: &str, params: Value| asked_of(&server, &owner, STATELESS, method, params).await;
    for (method, member, count, last) in [
        ("resources/list", "resources", 4, "one"),
        ("resources/templates/list", "resourceTemplates", 38, "book"),
        ("prompts/list", "prompts", 7, "read_aloud"),
    ] {
        let listed = ask(method, json!({})).await.unwrap()[member].clone();
        let names: Vec<&Value> = listed.as_array().unwrap().iter().map(|entry| &entry["name"]).collect();
        assert_eq!((names.len(), names[count - 1]), (count, &json!(last)), "{method} {names:?}");
    }
    let read = ask("resources/read", json!({"uri": "book://1"})).await.unwrap();
    assert_eq!(read, whole(STATELESS, json!({"contents": [{"uri": "book://1", "text": "Once"}]}), Some(0)));
    let mut missing = not_found("book://2");
    missing["code"] = json!(-32602);
    assert_eq!(ask("resources/read", json!({"uri": "book://2"})).await, Err(missing));
    let got = ask("prompts/get", json!({"name": "read_aloud", "arguments": {"voice": "deep"}})).await.unwrap();
    assert_eq!(got, whole(STATELESS, json!({"messages": [], "description": "read_aloud \"deep\""}), None));
    for reference in
        [json!({"type": "ref/prompt", "name": "read_aloud"}), json!({"type": "ref/resource", "uri": "book://{number}"})]
    {
        let params = json!({"ref": reference, "argument": {"name": "x", "value": ""}});
        let found = ask("completion/complete", params).await.unwrap();
        assert_eq!(found, whole(STATELESS, json!({"completion": {"values": [], "hasMore": false}}), None));
    }
}

/// Posts a request of the stateless generation with the headers that it needs.
async fn post_stateless(
    connection: &mut Connection,
    serving: &Serving,
    method: &str,
    name: Option<&str>,
    params: Value,
) -> Value {
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": of_generation(STATELESS, params)}).to_string();
    let name = name.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Authorization: Bearer {}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}Content-Length: {}\r\n\r\n",
        serving.token,
        body.len()
    );
    connection.send(head + &body).await.unwrap();
    let answer = connection.answer().await.unwrap();
    let expected = if answer.json().get("error").is_some() { 400 } else { 200 };
    assert_eq!(answer.status, expected, "{answer:?}");
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_transports_and_generations_answer_the_same() {
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    serving.ok("company_create", json!({"name": "Meble Żółć"})).await;
    serving.ok("contract_create", json!({"numer": "K/1", "typ": "kuchnia", "customer_id": "1"})).await;
    let mut assistant = Assistant::start(&database);
    let mut connection = serving.connect().await;
    let id = json!({"name": "id", "value": "zolc"});
    for (method, name, params, life) in [
        ("resources/list", None, json!({}), Some(300_000)),
        ("resources/templates/list", None, json!({}), Some(300_000)),
        ("prompts/list", None, json!({}), Some(300_000)),
        ("resources/read", Some("bureau://contract/1"), json!({"uri": "bureau://contract/1"}), Some(0)),
        ("resources/read", Some("bureau://permissions"), json!({"uri": "bureau://permissions"}), Some(0)),
        ("resources/read", Some("bureau://contract/2"), json!({"uri": "bureau://contract/2"}), None),
        (
            "prompts/get",
            Some("settle_contract"),
            json!({"name": "settle_contract", "arguments": {"contract": "1", "language": "pl"}}),
            None,
        ),
        ("prompts/get", Some("nothing"), json!({"name": "nothing"}), None),
        (
            "completion/complete",
            None,
            json!({"ref": {"type": "ref/resource", "uri": "bureau://company/{id}"}, "argument": id}),
            None,
        ),
    ] {
        let message =
            |params: Value| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let posted = connection.post("/mcp", &serving.token, &message(params.clone())).await.unwrap();
        assert_eq!(posted.status, 200, "{posted:?}");
        let posted = posted.json();
        assert_eq!(soon("an answer", assistant.told(message(params.clone()))).await, posted, "{method} over stdio");
        let mut expected = posted.clone();
        match expected.get_mut("error") {
            Some(error) if error["code"] == -32002 => error["code"] = json!(-32602),
            Some(_) => {}
            None => expected["result"] = whole(STATELESS, expected["result"].take(), life),
        }
        assert_eq!(post_stateless(&mut connection, &serving, method, name, params.clone()).await, expected, "{method}");
        let told = soon("an answer", assistant.told(message(of_generation(STATELESS, params)))).await;
        assert_eq!(told, expected, "{method} over stdio");
    }
    let hello =
        json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": of_generation(STATELESS, json!({}))});
    let capabilities = assistant.told(hello.to_string()).await["result"]["capabilities"].clone();
    for name in ["resources", "prompts", "completions"] {
        assert!(capabilities[name].is_object(), "{capabilities}");
    }
    assistant.leave().await;
}
