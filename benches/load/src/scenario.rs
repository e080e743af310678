//! The scenarios: what is measured, against what, and which goal it is held to.

use std::{fmt, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    bench::{Bench, Server},
    crowd,
    drive::{Figures, Target, drive, median, milliseconds},
    http::{Connection, Request},
    machine::{Placement, resident_megabytes, synced_appends},
    report::{Row, goal, table},
    routing,
    stdio::time_to_first_list,
};

/// Clients of the scenarios with small answers: enough that the server never waits for one.
const CLIENTS: usize = 32;

/// Clients of `tools_list`: half as many, since each answer is hundreds of kilobytes.
const LIST_CLIENTS: usize = 16;

/// One measurement with its goal. On the command line it goes by its name here in snake case, and
/// its comment is what help and heading say of it.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Scenario {
    /// One small call, 32 clients
    Trivial,
    /// A page of 50 tasks beside a trivial rmcp call, 32 clients
    List50,
    /// The list of all tools beside lists of the same size, 16 clients
    ToolsList,
    /// Durable task_create, 1 client and 32, nothing pinned
    Writes,
    /// First page of open tasks, of 10,000 tasks and of --rows, 1 client
    Million,
    /// From the start of `bureau stdio` to its first tools/list, nothing pinned
    Start,
    /// Memory of `bureau serve` two seconds after it is ready, nothing pinned
    Memory,
    /// 5,000 connections that hold what they have, and probes beside them, nothing pinned
    Held,
    /// 1,000,000 answers to 64 clients over HTTP and 4 on stdio who all use the same ids, nothing pinned
    Routing,
    /// 10,000 open sessions with a token each, 500 calls a second for at least 30 s, nothing pinned
    Sessions,
}

impl Scenario {
    /// Its name and what it measures.
    pub(crate) fn heading(self) -> String {
        let value = self.to_possible_value();
        let help = value.as_ref().and_then(|value| value.get_help());
        format!("{self}: {}", help.map(ToString::to_string).unwrap_or_default())
    }

    /// Comparisons between servers are pinned. What a user would see on a machine of their own is not:
    /// group commit, start and memory all depend on the threads that bureau has by default.
    pub(crate) fn placement(self) -> Placement {
        match self {
            Self::Trivial | Self::List50 | Self::ToolsList | Self::Million => Placement::Pinned,
            Self::Writes | Self::Start | Self::Memory | Self::Held | Self::Routing | Self::Sessions => Placement::Free,
        }
    }

    /// Measures and prints.
    pub(crate) async fn run(self, bench: &Bench<'_>) -> Result<()> {
        match self {
            Self::Trivial => trivial(bench).await,
            Self::List50 => list50(bench).await,
            Self::ToolsList => tools_list(bench).await,
            Self::Writes => writes(bench).await,
            Self::Million => million(bench).await,
            Self::Start => start(bench).await,
            Self::Memory => memory(bench).await,
            Self::Held => crowd::held(bench).await,
            Self::Routing => routing::routing(bench).await,
            Self::Sessions => crowd::sessions(bench).await,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

async fn trivial(bench: &Bench<'_>) -> Result<()> {
    let ratio = beside_add(bench, "bureau task_show", "task_show", &json!({"id": 1})).await?;
    let wanted = "bureau/rmcp CPU < 0.9 (next 0.6)";
    goal(wanted, format_args!("{ratio:.2}"), ratio < 0.9);
    Ok(())
}

async fn list50(bench: &Bench<'_>) -> Result<()> {
    let page = json!({"page_size": 50, "status": "all"});
    let ratio = beside_add(bench, "bureau task_list", "task_list", &page).await?;
    let wanted = "bureau page/rmcp trivial call CPU < 3.0";
    goal(wanted, format_args!("{ratio:.2}"), ratio < 3.0);
    Ok(())
}

/// Measures a call of bureau beside the trivial call of the others: its CPU time as a multiple of rmcp's.
async fn beside_add(bench: &Bench<'_>, label: &'static str, tool: &str, arguments: &Value) -> Result<f64> {
    let plain = bench.plain(0).await?;
    let rmcp = bench.rmcp(0).await?;
    let bureau = bench.demo().await?;
    // `plain` answers it too, without looking at it.
    let terms = json!({"a": 1, "b": 2});
    let add = |label, server| call(label, server, "add", &terms, CLIENTS);
    let targets = [add("plain", &plain), add("rmcp add", &rmcp), call(label, &bureau, tool, arguments, CLIENTS)];
    let rows = compare(bench, targets).await?;
    let [plain, rmcp, bureau] = &rows;
    table(&rows, &[plain, rmcp]);
    Ok(bureau.cpu_ratio(rmcp))
}

async fn tools_list(bench: &Bench<'_>) -> Result<()> {
    let bureau = bench.demo().await?;
    let all = Request::list(&bureau.endpoint, "/mcp?toolsets=all");
    let bureau_list = ToolList::read(&bureau, &all).await?;
    let rmcp = rmcp_listing(bench, bureau_list.bytes).await?;
    let rmcp_request = Request::list(&rmcp.endpoint, "/mcp");
    let rmcp_list = ToolList::read(&rmcp, &rmcp_request).await?;
    let difference = rmcp_list.bytes.abs_diff(bureau_list.bytes);
    ensure!(
        difference.saturating_mul(20) <= bureau_list.bytes,
        "rmcp lists {} bytes, bureau {}: not within 5 %",
        rmcp_list.bytes,
        bureau_list.bytes
    );
    let plain = bench.plain(bureau_list.bytes).await?;
    println!("tools: bureau {}, rmcp {}", bureau_list.tools, rmcp_list.tools);

    let target = |label, server, request| Target { label, server, request, connections: LIST_CLIENTS };
    let constant = Request::list(&plain.endpoint, "/list");
    let targets = [
        target("plain", &plain, constant),
        target("rmcp tools/list", &rmcp, rmcp_request),
        target("bureau tools/list", &bureau, all),
    ];
    let rows = compare(bench, targets).await?;
    let [plain, rmcp, bureau] = &rows;
    table(&rows, &[plain, rmcp]);
    let ratio = bureau.cpu_ratio(rmcp);
    goal("bureau/rmcp CPU <= 0.15", format_args!("{ratio:.3}"), ratio <= 0.15);
    Ok(())
}

async fn writes(bench: &Bench<'_>) -> Result<()> {
    let bureau = bench.demo().await?;
    let title = json!({"title": "load"});
    let create = |label, clients| call(label, &bureau, "task_create", &title, clients);
    let targets = [create("1 client", 1), create("32 clients", CLIENTS)];
    let rows = compare(bench, targets).await?;
    table(&rows, &[]);
    let [one, many] = rows.map(|row| row.figures.rate);
    let synced = synced_appends(bench.directory(), bench.arguments.seconds)?;
    println!(
        "one thread appends 4 KiB and syncs {synced:.0} times a second here; writes per such sync: {:.2} and {:.2}",
        one / synced,
        many / synced
    );
    let gain = many / one;
    let wanted = "32 clients write >= 4.0 times as much as one";
    goal(wanted, format_args!("{gain:.1}"), gain >= 4.0);
    Ok(())
}

async fn million(bench: &Bench<'_>) -> Result<()> {
    let small = bench.filled("small", 10_000).await?;
    println!("filling a database with {} tasks", bench.arguments.rows);
    let large = bench.filled("large", bench.arguments.rows).await?;
    let page = json!({"status": "open", "page_size": 50});
    let first_page = |label, server| call(label, server, "task_list", &page, 1);
    let targets = [first_page("small", &small), first_page("large", &large)];
    let rows = compare(bench, targets).await?;
    let [small, large] = &rows;
    table(&rows, &[small]);
    let ratio = large.figures.p50 / small.figures.p50;
    let wanted = "large/small p50 latency <= 2.0";
    goal(wanted, format_args!("{ratio:.2}"), ratio <= 2.0);
    Ok(())
}

async fn start(bench: &Bench<'_>) -> Result<()> {
    bench.demo().await?.stop().await?;
    // The first start finds a database that was not closed; it does not count.
    time_to_first_list(bench).await?;
    let mut starts = Vec::new();
    for _ in 0..20 {
        starts.push(milliseconds(time_to_first_list(bench).await?));
    }
    starts.sort_unstable_by(f64::total_cmp);
    if let [fastest, .., slowest] = starts.as_slice() {
        println!("fastest {fastest:.1} ms, slowest {slowest:.1} ms");
    }
    let median = median(starts);
    let wanted = "first tools/list <= 50 ms";
    goal(wanted, format_args!("{median:.1} ms"), median <= 50.0);
    Ok(())
}

async fn memory(bench: &Bench<'_>) -> Result<()> {
    let bureau = bench.demo().await?;
    sleep(Duration::from_secs(2)).await;
    let megabytes = resident_megabytes(bureau.process)?;
    let wanted = "resident < 40 MB";
    goal(wanted, format_args!("{megabytes:.1} MB"), megabytes < 40.0);
    Ok(())
}

/// Measures targets in turn for as many rounds as asked, in opposite order every other round, so
/// that a drift of the machine favours none of them.
async fn compare<const N: usize>(bench: &Bench<'_>, targets: [Target<'_>; N]) -> Result<[Row; N]> {
    let mut measured = targets.map(|target| (target, Vec::new()));
    for round in 0..bench.arguments.rounds.get() {
        let mut order: Vec<_> = measured.iter_mut().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for (target, rounds) in order {
            match drive(target, bench.arguments.seconds).await {
                Ok(figures) => rounds.push(figures),
                Err(error) => {
                    bail!("{} under load: {error:#}; the log ends:\n{}", target.label, target.server.log_tail())
                }
            }
        }
    }
    Ok(measured.map(|(target, rounds)| Row { label: target.label, figures: Figures::median(&rounds) }))
}

fn call<'a>(label: &'static str, server: &'a Server, tool: &str, arguments: &Value, connections: usize) -> Target<'a> {
    let request = Request::call(&server.endpoint, tool, arguments);
    Target { label, server, request, connections }
}

/// What a tools/list answer holds.
struct ToolList {
    bytes: usize,
    tools: usize,
}

impl ToolList {
    async fn read(server: &Server, request: &Request) -> Result<Self> {
        let mut connection = Connection::open(server.endpoint.address).await?;
        let answer = connection.exchange(request).await?;
        ensure!(answer.is_success(), "tools/list failed: {}", answer.excerpt());
        let message: Value = serde_json::from_slice(answer.body)?;
        ensure!(
            message.pointer("/result/nextCursor").is_none_or(Value::is_null),
            "the list has further pages, so it is not all that a client must fetch"
        );
        let tools = message.pointer("/result/tools").and_then(Value::as_array);
        Ok(Self { bytes: answer.body.len(), tools: tools.context("tools/list without tools")?.len() })
    }
}

/// An rmcp server with as many idle tools as bring its list nearest to the wanted size.
async fn rmcp_listing(bench: &Bench<'_>, wanted: usize) -> Result<Server> {
    const SAMPLE: usize = 100;
    let mut sizes = [0, SAMPLE];
    for size in &mut sizes {
        let server = bench.rmcp(*size).await?;
        *size = ToolList::read(&server, &Request::list(&server.endpoint, "/mcp")).await?.bytes;
    }
    let [empty, sample] = sizes.map(|size| size as f64);
    let bytes_per_tool = (sample - empty) / SAMPLE as f64;
    // A negative number of tools becomes none; the caller checks the size in the end.
    let tools = ((wanted as f64 - empty) / bytes_per_tool).round() as usize;
    bench.rmcp(tools).await
}
