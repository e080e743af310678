//! Which tools are listed and may be called: by address, query, header and flag, page by page.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bureau::cursor::{Cursor, Fingerprint};
use bureau::mcp::{self, Server};
use bureau::{catalog, http, open};
use bureau_kit::db::Db;
use bureau_kit::gate::Bureau;
use bureau_kit::id::Ids;
use bureau_kit::registry::{Entry, Registry, Toolset};
use bureau_kit::rights::is_of_installation;
use bureau_kit::time::Clock;
use bureau_kit::tool::{Danger, Tool};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::dice::{Dice, seed, times};
use crate::process::{
    Answer, Connection, Ended, Serving, bureau, bureau_without_database, call_message, ended, soon, url,
};
use crate::support::TestDatabase;

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
/// Tools that the generated selections name, of several toolsets, discovery among them.
const POOL: &[&str] = &[
    "tool_search",
    "tool_call_read",
    "tool_call_write",
    "tool_call_destructive",
    "batch_call",
    "me",
    "task_list",
    "task_show",
    "task_create",
    "task_delete",
    "person_list",
    "person_create",
    "user_list",
];

/// What one source asks for: a path, a query, headers or flags.
#[derive(Debug, Clone, Default)]
struct Source {
    toolsets: Option<Vec<&'static str>>,
    tools: Option<Vec<&'static str>>,
    exclude: Vec<&'static str>,
    read_only: bool,
}

impl Source {
    fn of_toolsets(toolsets: &[&'static str]) -> Self {
        Self { toolsets: Some(toolsets.to_vec()), ..Self::default() }
    }

    /// Something of everything, more often nothing.
    fn thrown(dice: &mut Dice) -> Self {
        let toolsets: &[&str] = &["tasks", "crm", "access", "teams", "discovery", "all"];
        let mut some = |from: &[&'static str], most: u64| -> Vec<&'static str> {
            let count = 1 + dice.below(most);
            (0..count).map(|_| from[usize::try_from(dice.below(from.len() as u64)).unwrap()]).collect()
        };
        let (few_toolsets, few_tools, excluded) = (some(toolsets, 3), some(POOL, 10), some(POOL, 3));
        Self {
            toolsets: (dice.below(3) == 0).then_some(few_toolsets),
            tools: (dice.below(3) == 0).then_some(few_tools),
            exclude: if dice.below(3) == 0 { excluded } else { Vec::new() },
            read_only: dice.below(6) == 0,
        }
    }

    fn members(&self) -> Vec<(&'static str, String)> {
        let mut members = Vec::new();
        members.extend(self.toolsets.as_ref().map(|names| ("toolsets", names.join(","))));
        members.extend(self.tools.as_ref().map(|names| ("tools", names.join(","))));
        members.extend((!self.exclude.is_empty()).then(|| ("exclude", self.exclude.join(","))));
        members.extend(self.read_only.then(|| ("read_only", "1".to_owned())));
        members
    }

    fn query(&self) -> String {
        let pairs: Vec<String> =
            self.members().into_iter().map(|(key, value)| format!("{key}={}", value.replace(',', "%2C"))).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }

    fn headers(&self) -> Vec<String> {
        self.members().into_iter().map(|(key, value)| format!("X-Bureau-{}: {value}", key.replace('_', "-"))).collect()
    }

    fn flags(&self) -> Vec<String> {
        let flag = |(key, value): (&str, String)| match key {
            "read_only" => "--read-only".to_owned(),
            _ => format!("--{key}={value}"),
        };
        self.members().into_iter().map(flag).collect()
    }

    /// The toolsets that it limits to; `all` among them is no limit.
    fn toolset_limit(&self) -> Option<BTreeSet<&'static str>> {
        let toolsets = self.toolsets.as_ref().filter(|toolsets| !toolsets.contains(&"all"))?;
        Some(toolsets.iter().copied().collect())
    }
}

/// What several sources leave: the members of every one's list.
fn common<'a>(lists: impl Iterator<Item = BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    let common = lists.reduce(|one, two| one.intersection(&two).copied().collect())?;
    Some(common.into_iter().collect())
}

/// Why a tool cannot be used when all these sources apply, told naively; nothing when it can.
fn obstacle(sources: &[&Source], entry: &Entry) -> Option<String> {
    let name = entry.tool.name;
    let tools = common(sources.iter().filter_map(|source| Some(source.tools.as_ref()?.iter().copied().collect())));
    let toolsets = common(sources.iter().filter_map(|source| source.toolset_limit()));
    let why = if sources.iter().any(|source| source.read_only) && entry.tool.writes() {
        "this server or address is read-only".to_owned()
    } else if sources.iter().any(|source| source.exclude.contains(&name)) {
        "it is excluded on this server or at this address".to_owned()
    } else if let Some(tools) = tools.filter(|tools| !tools.contains(&name)) {
        match tools.as_slice() {
            [] => "no tool at all is switched on here, since the lists that were given have none in common".to_owned(),
            [one] => format!("only the tool {one} is switched on here"),
            _ => format!("only the tools {} are switched on here", tools.join(", ")),
        }
    } else if let Some(toolsets) = toolsets
        && entry.toolset != "discovery"
        && !toolsets.contains(&entry.toolset)
    {
        match toolsets.as_slice() {
            [] => {
                "no toolset at all is switched on here, since the lists that were given have none in common".to_owned()
            }
            _ => format!(
                "only the toolsets {} are switched on here, and this is one of {}",
                toolsets.join(", "),
                entry.toolset
            ),
        }
    } else {
        return None;
    };
    Some(format!("{name} cannot be used: {why}."))
}

/// A list shows 250 tools to a page; `listing` has tests of the others.
fn first_page(mut names: Vec<String>) -> Vec<String> {
    names.truncate(250);
    names
}

/// The names that the owner's list must have when all these sources apply, in order.
fn expected(registry: &Registry, sources: &[&Source]) -> Vec<String> {
    let whole = sources.iter().any(|source| source.toolsets.is_some() || source.tools.is_some());
    let listed = |entry: &&Entry| whole || entry.toolset == "discovery" || catalog::CORE.contains(&entry.tool.name);
    let entries = registry.entries().iter().filter(listed).filter(|entry| obstacle(sources, entry).is_none());
    entries.map(|entry| entry.tool.name.to_owned()).collect()
}

/// Posts with the usual headers and these.
async fn post(connection: &mut Connection, path: &str, token: &str, headers: &[String], body: &str) -> Answer {
    let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nAuthorization: Bearer {token}\r\n{more}Content-Length: {}\r\n\r\n",
        body.len()
    );
    connection.send(head + body).await.unwrap();
    connection.answer().await.unwrap()
}

fn names(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let tools = body["result"]["tools"].as_array().unwrap_or_else(|| panic!("no list: {answer:?}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// Status, JSON-RPC code and message of a refusal.
fn refusal(answer: &Answer) -> (u16, i64, String) {
    let error = answer.json()["error"].clone();
    (answer.status, error["code"].as_i64().expect(&answer.body), error["message"].as_str().unwrap().to_owned())
}

/// What a refused call told: the message of the tool's error.
fn told(answer: &Answer) -> String {
    let body = answer.json();
    assert_eq!((answer.status, &body["result"]["isError"]), (200, &json!(true)), "{answer:?}");
    let error: Value = serde_json::from_str(body["result"]["content"][0]["text"].as_str().unwrap()).unwrap();
    error["message"].as_str().unwrap().to_owned()
}

fn executor(entry: &Entry) -> &'static str {
    match entry.tool.danger() {
        Danger::Read => "tool_call_read",
        Danger::Write => "tool_call_write",
        Danger::Destructive => "tool_call_destructive",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_source_selects_alone_and_all_together_the_strictest_wins() {
    let registry = catalog::registry().unwrap();
    let seed = seed();
    println!("BUREAU_SEED={seed}");
    let mut dice = Dice::new(seed);
    let of = |tools: &[&'static str]| Some(tools.to_vec());
    let none = Source::default();
    let flagged = [
        none.clone(),
        Source::of_toolsets(&["tasks", "crm", "access"]),
        Source { exclude: vec!["task_show", "tool_call_write"], ..Source::of_toolsets(&["all"]) },
        Source { tools: of(POOL), read_only: true, ..none.clone() },
    ];
    let alone = [
        Source::of_toolsets(&["tasks"]),
        Source::of_toolsets(&["tasks", "crm"]),
        Source::of_toolsets(&["all"]),
        Source { tools: of(&["task_list", "person_list"]), ..none.clone() },
        Source { tools: of(&["tool_search", "task_list"]), ..none.clone() },
        Source { exclude: vec!["batch_call", "task_create"], ..none.clone() },
        Source { read_only: true, ..none.clone() },
        none.clone(),
    ];
    let (mut lists, mut refused, mut different) = (0, 0, BTreeSet::new());
    for flags in &flagged {
        let database = TestDatabase::new().await;
        let words: Vec<String> =
            ["serve", "--listen", "127.0.0.1:0"].map(str::to_owned).into_iter().chain(flags.flags()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let serving = Serving::start(bureau(&database, &words), None).await;
        let mut connection = serving.connect().await;
        // Path, query and headers.
        let mut cases: Vec<[Source; 3]> = Vec::new();
        for source in &alone {
            cases.push([none.clone(), source.clone(), none.clone()]);
            cases.push([none.clone(), none.clone(), source.clone()]);
            cases.push([Source { toolsets: source.toolsets.clone(), ..none.clone() }, none.clone(), none.clone()]);
        }
        for _ in 0..times("BUREAU_SELECTIONS", 60) {
            let path = Source { toolsets: Source::thrown(&mut dice).toolsets, ..none.clone() };
            cases.push([path, Source::thrown(&mut dice), Source::thrown(&mut dice)]);
        }
        for [path, query, headers] in &cases {
            let sources = [flags, path, query, headers];
            let toolsets = path.toolsets.as_ref().map(|names| format!("/{}", names.join(","))).unwrap_or_default();
            let (place, rpc) = (format!("/mcp{toolsets}{}", query.query()), format!("/rpc{}", query.query()));
            let sent = headers.headers();
            let told_of = format!("flags {:?}, {place}, {sent:?}", flags.flags());
            let listed = names(&post(&mut connection, &place, &serving.token, &sent, LIST).await);
            assert_eq!(listed, first_page(expected(&registry, &sources)), "{told_of}");
            lists += 1;
            different.insert(listed);
            if toolsets.is_empty() {
                let listed = names(&post(&mut connection, &rpc, &serving.token, &sent, LIST).await);
                assert_eq!(listed, first_page(expected(&registry, &sources)), "{told_of} at /rpc");
            }

            // A tool of the pool: by its name, through an executor, in a batch, and as a method.
            let name = POOL[usize::try_from(dice.below(POOL.len() as u64)).unwrap()];
            let entry = registry.find(name).unwrap();
            let Some(why) = obstacle(&sources, entry) else { continue };
            refused += 1;
            let call = |tool: &str, arguments: Value| call_message(json!(1), tool, arguments).to_string();
            let answer = post(&mut connection, &place, &serving.token, &sent, &call(name, json!({}))).await;
            // An executor that is switched off says so of itself; one that is not looks at what it is to carry out.
            assert_eq!(told(&answer), why, "{told_of}");
            if toolsets.is_empty() {
                let method = json!({"jsonrpc": "2.0", "id": 1, "method": name}).to_string();
                let answer = post(&mut connection, &rpc, &serving.token, &sent, &method).await;
                assert_eq!(refusal(&answer), (200, 403, why.clone()), "{told_of} at /rpc");
            }
            if name.starts_with("tool_call_") {
                continue;
            }
            let executor = registry.find(executor(entry)).unwrap();
            let through = call(executor.tool.name, json!({"name": name, "arguments": {}}));
            let answer = post(&mut connection, &place, &serving.token, &sent, &through).await;
            let expected = obstacle(&sources, executor).unwrap_or_else(|| why.clone());
            assert_eq!(told(&answer), expected, "{told_of} through {}", executor.tool.name);
            if name != "batch_call" {
                let batch = call("batch_call", json!({"calls": [{"tool": name}]}));
                let answer = post(&mut connection, &place, &serving.token, &sent, &batch).await;
                let failed = format!("Call 0 ({name}) failed, so nothing of the batch was changed: {why}");
                let expected = obstacle(&sources, registry.find("batch_call").unwrap()).unwrap_or(failed);
                assert_eq!(told(&answer), expected, "{told_of} in a batch");
            }
        }
    }
    println!("{lists} selections with {} different lists, {refused} refused calls", different.len());
    assert!(lists >= 4 * 24 && different.len() > 30 && refused > 50, "{lists} {} {refused}", different.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn search_batches_and_explanations_keep_to_the_selection() {
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let mut connection = serving.connect().await;
    let mut ask = async |place: &str, tool: &str, arguments: Value| {
        let body = call_message(json!(1), tool, arguments).to_string();
        let answer = post(&mut connection, place, &serving.token, &[], &body).await.json();
        assert_eq!(answer["result"]["isError"], false, "{place} {tool}: {answer}");
        serde_json::from_str::<Value>(answer["result"]["content"][0]["text"].as_str().unwrap()).unwrap()
    };
    let found = ask("/mcp?tools=tool_search,task_list", "tool_search", json!({"query": "task", "limit": 20})).await;
    let found: Vec<&Value> = found["items"].as_array().unwrap().iter().map(|hit| &hit["name"]).collect();
    assert_eq!(found, ["task_list"]);
    let through = ask(
        "/mcp?tools=tool_call_read,task_list",
        "tool_call_read",
        json!({"name": "task_list_tool", "arguments": {"page_size": 1}}),
    );
    assert_eq!(through.await["total"], 0);
    let batch = json!({"mode": "each", "calls": [
        {"tool": "task_create", "arguments": {"title": "in the batch"}},
        {"tool": "task_list"},
        {"tool": "tool_call_read", "arguments": {"name": "task_list"}},
        {"tool": "tool_call_read", "arguments": {"name": "me"}},
    ]});
    let done = ask("/mcp/tasks?exclude=task_list&exclude=tool_call_read", "batch_call", batch).await;
    let excluded = |name: &str| format!("{name} cannot be used: it is excluded on this server or at this address.");
    let messages: Vec<&Value> =
        done["results"].as_array().unwrap().iter().map(|result| &result["error"]["message"]).collect();
    assert_eq!(
        messages,
        [
            &Value::Null,
            &json!(excluded("task_list")),
            &json!(excluded("tool_call_read")),
            &json!(excluded("tool_call_read"))
        ]
    );
    let place = "/mcp?tools=permission_explain&exclude=batch_call&read_only=1";
    let explained = ask(place, "permission_explain", json!({"tool": "batch_call"})).await;
    assert_eq!(
        explained["taken_away_by"],
        json!([
            "this server or address is read-only",
            "it is excluded on this server or at this address",
            "only the tool permission_explain is switched on here"
        ])
    );
    assert_eq!(
        (&explained["allowed"], &explained["next_step"]),
        (&json!(false), &json!("Connect to an address or server that switches it on; the right itself is held."))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_names_are_refused_wherever_they_stand() {
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let mut connection = serving.connect().await;
    let registry = catalog::registry().unwrap();
    let known: Vec<&str> = registry.toolsets().iter().map(|(name, _)| *name).collect();
    let no_toolset = |name: &str| format!("There is no toolset `{name}`. There are: all, {}.", known.join(", "));
    let no_tool = "There is no tool `task_lst`. Did you mean `task_list`? `bureau tools` lists them all.";
    for (place, header, status, text) in [
        ("/mcp/task", "", 404, no_toolset("task")),
        ("/mcp/tasks,nope", "", 404, no_toolset("nope")),
        ("/mcp?toolsets=tasks%2Cnope", "", 404, no_toolset("nope")),
        ("/rpc?toolsets=nope", "", 404, no_toolset("nope")),
        ("/mcp?tools=task_lst", "", 404, no_tool.to_owned()),
        ("/rpc?exclude=task_lst", "", 404, no_tool.to_owned()),
        ("/mcp", "X-Bureau-Toolsets: nope", 400, no_toolset("nope")),
        ("/mcp", "X-Bureau-Tools: task_list, task_lst", 400, no_tool.to_owned()),
        ("/rpc", "X-Bureau-Exclude: task_lst", 400, no_tool.to_owned()),
        ("/rpc", "X-Bureau-Read-Only: maybe", 400, "`read_only` is 1, true, 0 or false, and not `maybe`.".to_owned()),
        // Intum's second endpoint. Until a group brings the toolset `noe`, there is honestly nothing there.
        ("/noe/mcp", "", 404, no_toolset("noe")),
    ] {
        let headers: Vec<String> = (!header.is_empty()).then(|| header.to_owned()).into_iter().collect();
        let answer = post(&mut connection, place, &serving.token, &headers, LIST).await;
        assert_eq!(refusal(&answer), (status, -32600, text), "{place} {header}");
    }
    let with = async |place: &str, header: &str| {
        let body = post(&mut serving.connect().await, place, &serving.token, &[header.to_owned()], LIST).await.json();
        body["result"]["tools"].as_array().unwrap().iter().all(|tool| tool["outputSchema"].is_object())
    };
    assert!(with("/mcp?output_schemas=1", "X-A: 1").await && with("/rpc", "X-Bureau-Output-Schemas: 1").await);
    assert!(!with("/mcp?output_schemas=0", "X-Bureau-Output-Schemas: 0").await);
}

fn listed(ended: &Ended) -> Vec<String> {
    let tools = ended.json();
    tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_selects_with_flags_and_variables() {
    let registry = catalog::registry().unwrap();
    let whole = Source::of_toolsets(&["all"]);
    let narrow = Source {
        tools: Some(vec!["task_list", "task_show", "task_create", "person_list", "tool_search"]),
        exclude: vec!["task_show"],
        read_only: true,
        ..Source::of_toolsets(&["tasks"])
    };
    let wanted = expected(&registry, &[&narrow]);
    assert_eq!(wanted, ["tool_search", "task_list"]);
    let words: Vec<String> = ["tools", "--json"].map(str::to_owned).into_iter().chain(narrow.flags()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(listed(&ended(bureau_without_database(&words)).await), wanted);
    let mut command = bureau_without_database(&["tools", "--json"]);
    for (key, value) in narrow.members() {
        command.env(format!("BUREAU_{}", key.to_uppercase()), value);
    }
    assert_eq!(listed(&ended(command).await), wanted);
    // A flag comes before the variable, as everywhere.
    let mut command = bureau_without_database(&["tools", "--json", "--toolsets", "all"]);
    command.env("BUREAU_TOOLSETS", "tasks");
    assert_eq!(listed(&ended(command).await), expected(&registry, &[&whole]));
    let one = ended(bureau_without_database(&["tools", "--json", "--toolset", "tasks", "--exclude=task_list"])).await;
    let tasks = registry.entries().iter().filter(|entry| entry.toolset == "tasks").map(|entry| entry.tool.name);
    assert_eq!(listed(&one), tasks.filter(|name| *name != "task_list").collect::<Vec<_>>());

    let database = TestDatabase::new().await;
    let no_tool = "bureau: There is no tool `task_lst`. Did you mean `task_list`? `bureau tools` lists them all.";
    for command in [&["tools"][..], &["serve", "--listen", "127.0.0.1:0"], &["stdio"], &["call", "me"]] {
        for flag in ["--tools=task_lst", "--exclude=task_list,task_lst"] {
            let refused = ended(bureau(&database, &[command, &[flag]].concat())).await;
            let told = (refused.status, refused.stdout.as_str(), refused.complaint());
            assert_eq!(told, (2, "", no_tool), "{command:?} {flag}");
        }
    }

    // A call: on the database, and at a server that applies what it is sent.
    let serving = Serving::on_new(&database).await;
    let address = serving.url("");
    for place in [&["call", "task_list"][..], &["call", "task_list", "--url", &address]] {
        let run = async |flags: &[&str]| {
            let mut command = bureau(&database, &[place, flags].concat());
            command.env("BUREAU_TOKEN", &serving.token);
            ended(command).await
        };
        assert_eq!(run(&["--tools", "task_list,task_show", "--read-only"]).await.json()["total"], 0);
        for (flags, why) in [
            (&["--tools", "task_show,task_create"][..], "only the tools task_create, task_show are switched on here"),
            (&["--exclude", "task_list"], "it is excluded on this server or at this address"),
            (&["--toolsets", "crm"], "only the toolsets crm are switched on here, and this is one of tasks"),
        ] {
            let refused = run(flags).await;
            let message = json!(format!("task_list cannot be used: {why}."));
            assert_eq!((refused.status, &refused.json()["message"]), (1, &message), "{place:?} {flags:?}");
        }
        let unknown = run(&["--exclude", "task_lst"]).await;
        assert_eq!((unknown.status, unknown.complaint()), (2, no_tool), "{place:?}");
    }

    // Over stdio.
    let words: Vec<String> =
        ["stdio".to_owned(), format!("--database={}", url(&database))].into_iter().chain(narrow.flags()).collect();
    let mut command = bureau_without_database(&words.iter().map(String::as_str).collect::<Vec<_>>());
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(format!("{LIST}\n").as_bytes()).await.unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = soon("the list", lines.next_line()).await.unwrap().unwrap();
    let list: Value = serde_json::from_str(&line).unwrap();
    let found: Vec<&Value> = list["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(found, ["tool_search", "task_list"]);
    drop(input);
    assert!(soon("the end of stdio", child.wait()).await.unwrap().success());
}

/// Serves over HTTP in this process, with an owner's token: what no flag can set can be set here.
async fn serve_here(registry: Registry, page: Option<usize>) -> (std::net::SocketAddr, String, Arc<TestDatabase>) {
    let database = Arc::new(TestDatabase::new().await);
    let db = Db::open(&database.location, bureau_kit::MIGRATIONS).await.unwrap();
    let bureau = Bureau::new(registry, db, Clock::System, Ids::system());
    let token = open::found(&bureau, "Company", "owner@example.com", "Owner").await.unwrap().token;
    let options = mcp::Options { page: page.and_then(NonZeroUsize::new), ..mcp::Options::default() };
    let server = Server::with(bureau, options).unwrap();
    let listener = http::Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.tcp_address().unwrap();
    tokio::spawn(http::serve(server, http::Options::default(), vec![listener], std::future::pending()));
    (address, token, database)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_of_noe_serves_its_toolset_as_soon_as_there_is_one() {
    async fn apps(_: &mut bureau_kit::ctx::Ctx, _: serde_json::Map<String, Value>) -> Answered {
        Ok(serde_json::Map::from_iter([("items".to_owned(), json!([]))]))
    }
    type Answered = bureau_kit::error::Result<serde_json::Map<String, Value>>;
    let mut toolsets = catalog::toolsets();
    let tool = Tool::read("app_list", "", apps).title("List apps").about("List apps.").alias("app_list_tool");
    toolsets.push(Toolset { name: "noe", about: "Apps.", tools: vec![tool] });
    let registry = Registry::new(toolsets, &catalog::tables(), "{}").unwrap();
    let (address, token, _database) = serve_here(registry, None).await;
    let mut connection = Connection::to(address).await.unwrap();
    let at_noe = names(&post(&mut connection, "/noe/mcp", &token, &[], LIST).await);
    let discovery = ["tool_search", "tool_call_read", "tool_call_write", "tool_call_destructive", "batch_call"];
    assert_eq!(at_noe, [&discovery[..], &["app_list"]].concat());
    assert_eq!(names(&post(&mut connection, "/noe/mcp?tools=app_list_tool", &token, &[], LIST).await), ["app_list"]);
    let body = call_message(json!(1), "app_list_tool", json!({})).to_string();
    let answer = post(&mut connection, "/noe/mcp", &token, &[], &body).await.json();
    assert_eq!(answer["result"]["structuredContent"], json!({"items": []}));
    let body = call_message(json!(1), "task_list", json!({})).to_string();
    assert_eq!(
        told(&post(&mut connection, "/noe/mcp", &token, &[], &body).await),
        "task_list cannot be used: only the toolsets noe are switched on here, and this is one of tasks."
    );
}

fn list_from(cursor: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"cursor": cursor}}).to_string()
}

/// Whether only those who run the installation see a tool: the owner that these tests found does not.
fn for_administrators(entry: &Entry) -> bool {
    let rights = &entry.tool.rights;
    !rights.is_empty() && rights.iter().all(|right| is_of_installation(right))
}

/// Every page of a list: its names, and the cursors on the way.
async fn walked(connection: &mut Connection, place: &str, token: &str) -> (Vec<Vec<String>>, Vec<Value>) {
    let (mut pages, mut cursors) = (Vec::new(), Vec::new());
    let mut body = LIST.to_owned();
    loop {
        let answer = post(connection, place, token, &[], &body).await;
        pages.push(names(&answer));
        let Some(cursor) = answer.json()["result"].get("nextCursor").cloned() else { return (pages, cursors) };
        assert!(!cursors.contains(&cursor) && cursors.len() < 1_000, "the walk does not end: {cursor}");
        body = list_from(&cursor);
        cursors.push(cursor);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_yield_each_tool_once_in_order() {
    let registry = catalog::registry().unwrap();
    let (address, token, _database) = serve_here(catalog::registry().unwrap(), Some(7)).await;
    let mut connection = Connection::to(address).await.unwrap();
    for (place, source) in [
        ("/mcp", Source::default()),
        ("/rpc", Source::default()),
        ("/mcp?toolsets=all", Source::of_toolsets(&["all"])),
        ("/mcp/tasks", Source::of_toolsets(&["tasks"])),
        ("/mcp?tools=me", Source { tools: Some(vec!["me"]), ..Source::default() }),
        ("/mcp/tasks?tools=me", Source { tools: Some(vec!["me"]), ..Source::of_toolsets(&["tasks"]) }),
    ] {
        let (pages, cursors) = walked(&mut connection, place, &token).await;
        let mut wanted = expected(&registry, &[&source]);
        wanted.retain(|name| !for_administrators(registry.find(name).unwrap()));
        assert_eq!(pages.concat(), wanted, "{place}");
        let (last, full) = pages.split_last().unwrap();
        assert!(full.iter().all(|page| page.len() == 7) && last.len() <= 7, "{place} {pages:?}");
        assert_eq!(pages.len(), wanted.len().div_ceil(7).max(1), "{place}");
        assert_eq!(cursors.len(), pages.len() - 1);
        // The same again, byte by byte; and a cursor may be used twice.
        assert_eq!(walked(&mut connection, place, &token).await, (pages, cursors), "{place}");
    }
    // As many as fit on one page come on one page.
    let (address, token, _database) = serve_here(catalog::registry().unwrap(), None).await;
    let mut connection = Connection::to(address).await.unwrap();
    let (pages, _) = walked(&mut connection, "/mcp?toolsets=all", &token).await;
    let sizes: Vec<usize> = pages.iter().map(Vec::len).collect();
    let all = registry.entries().iter().filter(|entry| !for_administrators(entry)).count();
    let usual: Vec<usize> = (0..all).step_by(250).map(|first| (all - first).min(250)).collect();
    assert_eq!(sizes, usual);
    assert_eq!(walked(&mut connection, "/mcp", &token).await.0.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_of_other_lists_and_altered_ones_are_refused() {
    let (address, token, _database) = serve_here(catalog::registry().unwrap(), Some(7)).await;
    let mut connection = Connection::to(address).await.unwrap();
    let (_, cursors) = walked(&mut connection, "/mcp?toolsets=all", &token).await;
    let session = call_message(json!(1), "session_create", json!({"read_only": true})).to_string();
    let session = post(&mut connection, "/mcp", &token, &[], &session).await.json();
    let reader = session["result"]["structuredContent"]["session_token"].as_str().expect("a token").to_owned();
    let same = call_message(json!(1), "session_create", json!({"label": "the same rights"})).to_string();
    let same = post(&mut connection, "/mcp", &token, &[], &same).await.json();
    let same = same["result"]["structuredContent"]["session_token"].as_str().expect("a token").to_owned();

    let refused = "This `cursor` is not of the list as you see it now: the list has changed, or the cursor is another list's or \
                   was altered. Start again without a cursor.";
    let whole = "/mcp?toolsets=all";
    let text = cursors[0].as_str().unwrap();
    let last = text.len() - 1;
    let flipped = format!("{}{}", &text[..last], if text.ends_with('A') { 'B' } else { 'A' });
    let foreign = Cursor { list: Fingerprint::of("tools", ["another"]), offset: 7 }.encode();
    let mut bad: Vec<(&str, &str, Value)> = vec![
        (whole, &token, json!("")),
        (whole, &token, json!("x")),
        (whole, &token, json!("Nw==")),
        (whole, &token, json!(7)),
        (whole, &token, json!({})),
        (whole, &token, json!(flipped)),
        (whole, &token, json!(text[..last])),
        (whole, &token, json!(format!("{text}A"))),
        (whole, &token, json!(format!(" {text}"))),
        (whole, &token, json!(text.to_lowercase())),
        (whole, &token, json!(foreign)),
        // Another list: narrower, wider or with more about each tool, or seen by somebody with fewer rights.
        ("/mcp", &token, json!(text)),
        ("/mcp/tasks", &token, json!(text)),
        ("/mcp?toolsets=all&exclude=task_list", &token, json!(text)),
        ("/mcp?toolsets=all&read_only=1", &token, json!(text)),
        ("/mcp?toolsets=all&output_schemas=1", &token, json!(text)),
        (whole, &reader, json!(text)),
    ];
    bad.extend(cursors.iter().map(|cursor| ("/rpc", token.as_str(), cursor.clone())));
    for (place, token, cursor) in &bad {
        let answer = post(&mut connection, place, token, &[], &list_from(cursor)).await;
        assert_eq!(refusal(&answer), (200, -32602, refused.to_owned()), "{place} {cursor}");
    }
    // In the stateless era the status says it too.
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}});
    let stateless = |cursor: &Value| {
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"cursor": cursor, "_meta": meta}})
            .to_string()
    };
    let modern = ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/list"].map(str::to_owned);
    let answer = post(&mut connection, whole, &token, &modern, &stateless(&json!(flipped))).await;
    assert_eq!(refusal(&answer), (400, -32602, refused.to_owned()));

    // The very same list is the same list, whoever sees it, in whatever era; and null is no cursor.
    let second = names(&post(&mut connection, whole, &token, &[], &list_from(&cursors[0])).await);
    assert_eq!(second.len(), 7);
    assert_eq!(names(&post(&mut connection, whole, &same, &[], &list_from(&cursors[0])).await), second);
    let answer = post(&mut connection, whole, &token, &modern, &stateless(&cursors[0])).await;
    assert_eq!(names(&answer), second);
    assert_eq!(answer.json()["result"]["cacheScope"], "private");
    let first = names(&post(&mut connection, whole, &token, &[], LIST).await);
    assert_eq!(names(&post(&mut connection, whole, &token, &[], &list_from(&Value::Null)).await), first);
    let positional = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":["x"]}"#;
    assert_eq!(
        refusal(&post(&mut connection, whole, &token, &[], positional).await),
        (200, -32602, "`params` of tools/list are given by name, in an object".to_owned())
    );
}
