//! `serve`, `stdio` and the measurements' `fill`.

use std::path::PathBuf;
use std::sync::Arc;

use bureau_kit::gate::Bureau;
use clap::Args;
use clap::builder::BoolishValueParser;
use tokio::sync::watch;

use super::ai::{self, AiArgs};
use super::installation::{InstallationArgs, configured, fact};
use super::oauth::OAuthArgs;
use super::outside::{OutsideArgs, TrustArgs, tell_waiting};
use super::{AuditArgs, DatabaseArgs, Failure, SelectionArgs, local_credential, say};
use crate::http;
use crate::mcp::{self, Confirm, Server};
use crate::open::{self, Opened};
use crate::stdio;

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Address to listen on: 127.0.0.1:8650, [::1]:8650 or unix:/path/to.sock. May be repeated.
    #[arg(
        long,
        env = "BUREAU_LISTEN",
        default_value = "127.0.0.1:8650",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    listen: Vec<http::Address>,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    audit: AuditArgs,
    #[command(flatten)]
    ai: AiArgs,
    /// Fill an empty database with a believable company to try things on.
    #[arg(long, env = "BUREAU_DEMO", value_parser = BoolishValueParser::new())]
    demo: bool,
    /// Write the owner's token to this file, readable by you only, instead of printing it.
    #[arg(long, env = "BUREAU_TOKEN_FILE", value_name = "PATH")]
    token_file: Option<PathBuf>,
    /// Another host name that requests may be addressed to, as behind a proxy. May be repeated.
    #[arg(long = "allowed-host", env = "BUREAU_ALLOWED_HOST", value_delimiter = ',', value_name = "NAME")]
    allowed_host: Vec<String>,
    #[command(flatten)]
    oauth: OAuthArgs,
    #[command(flatten)]
    outside: OutsideArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    installation: InstallationArgs,
    /// Speak TLS with the certificate chain in this PEM file; it is read again when it changes, and at SIGHUP.
    #[arg(long, env = "BUREAU_TLS_CERT", value_name = "PATH", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The PEM file with the key of the certificate.
    #[arg(long, env = "BUREAU_TLS_KEY", value_name = "PATH", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Calls a second that one tenant may make, over any time; 0 for any number.
    #[arg(long, env = "BUREAU_RATE_LIMIT", default_value_t = http::CALLS_PER_SECOND, value_name = "N")]
    rate_limit: u32,
    /// Show /metrics to other machines too, not only to programs on this one.
    #[arg(long, env = "BUREAU_METRICS_OPEN", value_parser = BoolishValueParser::new())]
    metrics_open: bool,
    /// Serve no page for people at /console.
    #[arg(long, env = "BUREAU_NO_CONSOLE", value_parser = BoolishValueParser::new())]
    no_console: bool,
    /// When the person behind the client is asked before destructive work is kept, where the client can ask one.
    #[arg(long, env = "BUREAU_CONFIRM", value_enum, default_value_t, value_name = "WHEN")]
    confirm: Confirm,
}

#[derive(Debug, Args)]
pub(super) struct StdioArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    outside: OutsideArgs,
    #[command(flatten)]
    trust: TrustArgs,
    /// The address by which people reach a server on this database, such as https://bureau.example.com: mails link to it.
    #[arg(long, env = "BUREAU_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    #[command(flatten)]
    audit: AuditArgs,
    #[command(flatten)]
    ai: AiArgs,
    /// When the person behind the client is asked before destructive work is kept, where the client can ask one.
    #[arg(long, env = "BUREAU_CONFIRM", value_enum, default_value_t, value_name = "WHEN")]
    confirm: Confirm,
}

#[derive(Debug, Args)]
pub(super) struct FillArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// How many tasks.
    #[arg(long, value_name = "N")]
    tasks: u32,
}

pub(super) async fn serve(args: ServeArgs) -> Result<(), Failure> {
    let location = args.database.location()?;
    let (selection, list_all) = args.selection.selection()?;
    let provider = args.ai.provider()?;
    args.installation.check(args.outside.sends_mail())?;
    let tls = match (args.tls_cert.clone(), args.tls_key.clone()) {
        (Some(certificate), Some(key)) => Some(http::Tls::load(certificate, key).map_err(Failure::start)?),
        _ => None,
    };
    // The addresses first: when one is taken, nothing should have been founded or filled.
    let mut listeners = Vec::new();
    for address in &args.listen {
        listeners.push(http::Listener::bind(address).await.map_err(|error| {
            Failure::start(format!("{address} cannot be listened on: {error}. Choose another address with --listen."))
        })?);
    }
    let places: Vec<Place> =
        args.listen.iter().zip(&listeners).map(|(address, bound)| Place::new(address, bound, tls.is_some())).collect();
    let oauth = args.oauth.resource_server(places.first().map_or("", |place| &place.url))?;
    let public_host = args.oauth.public_host()?;
    let stops = stop_requests();
    let Opened { bureau, founded } = open::open(&location).await?;
    bureau.log_reads(args.audit.access_log);
    args.installation.apply(&bureau);
    bureau.installation.tell([
        fact("limits", "calls_per_second", args.rate_limit, http::CALLS_PER_SECOND),
        configured("http", "tls", tls.is_some()),
        configured("http", "oauth_issuer", oauth.is_some()),
        configured("http", "metrics_open", args.metrics_open),
        configured("mail", "smtp", args.outside.sends_mail()),
    ]);
    ai::provide(&bureau, provider);
    let fresh = founded.is_some();
    let token = match (founded, args.demo) {
        (Some(founded), false) => Some(founded.token),
        (Some(founded), true) => {
            crate::demo::fill(&bureau, &founded).await?;
            Some(founded.token)
        }
        (None, true) => Some(crate::demo::another_token(&bureau).await?),
        (None, false) => None,
    };
    for (number, Place { url, socket }) in places.iter().enumerate() {
        let from = if number == 0 { format!(" from {}", location.shown()) } else { String::new() };
        match socket {
            None => say(format_args!("Bureau serves {url}/mcp and {url}/rpc{from}")),
            Some(path) => say(format_args!("Bureau serves /mcp and /rpc on the socket {}{from}", path.display())),
        }
    }
    if let Some(place) = places.iter().find(|place| place.socket.is_none() && !args.no_console) {
        say(format_args!("People open {}/console in a browser", place.url));
    }
    if let Some((token, place)) = token.zip(places.iter().find(|place| place.socket.is_none()).or(places.first())) {
        announce(&token, &args, place, fresh)?;
    }
    if listeners.iter().any(|bound| bound.tcp_address().is_some_and(|address| !address.ip().is_loopback())) {
        if args.allowed_host.is_empty() && public_host.is_none() {
            tracing::warn!(
                "listening beyond this machine, but only loopback names are answered; add --allowed-host NAME"
            );
        }
        if tls.is_none() {
            tracing::warn!(
                "listening beyond this machine without TLS: tokens can be read on the way unless a proxy in front speaks \
                 TLS; add --tls-cert and --tls-key"
            );
        }
    }
    let reached = args.oauth.public_url().or(places.first().map(|place| place.url.as_str())).unwrap_or_default();
    args.trust.configure(&bureau);
    let dispatcher = args.outside.dispatcher(&bureau, reached)?;
    let options = http::Options {
        selection,
        list_all,
        allowed_hosts: args.allowed_host.into_iter().chain(public_host).collect(),
        oauth,
        tls,
        metrics_open: args.metrics_open,
        console: !args.no_console,
        limits: http::Limits { calls_per_second: args.rate_limit, ..http::Limits::default() },
        ..http::Options::default()
    };
    let server = Server::with(bureau.clone(), mcp_options(args.confirm)).map_err(Failure::start)?;
    tell_waiting(&bureau).await;
    let carrying = tokio::spawn(dispatcher.run(asked(stops.clone(), 1)));
    let served = async {
        http::serve(server, options, listeners, asked(stops.clone(), 1)).await;
        ended(carrying).await;
        bureau.close().await;
    };
    tokio::select! {
        () = served => {}
        () = asked(stops.clone(), 2) => tracing::warn!("asked to stop a second time: what still ran is given up"),
    }
    Ok(())
}

fn mcp_options(confirm: Confirm) -> mcp::Options {
    mcp::Options { confirm, ..mcp::Options::default() }
}

/// Where clients find the server.
struct Place {
    url: String,
    socket: Option<PathBuf>,
}

impl Place {
    fn new(address: &http::Address, bound: &http::Listener, tls: bool) -> Self {
        let scheme = if tls { "https" } else { "http" };
        match (address, bound.tcp_address()) {
            (http::Address::Unix(path), _) => Self { url: "http://localhost".into(), socket: Some(path.clone()) },
            (_, Some(bound)) => Self { url: format!("{scheme}://{bound}"), socket: None },
            (address, None) => Self { url: format!("{scheme}://{address}"), socket: None },
        }
    }
}

/// Tells the owner's token once, and how clients are connected with it.
fn announce(token: &str, args: &ServeArgs, place: &Place, fresh: bool) -> Result<(), Failure> {
    if let Some(path) = &args.token_file {
        // The company is there by now; a token that could not be kept is no loss, since the owner can make another.
        write_private(path, token).map_err(|error| {
            Failure::start(format!(
                "The token file {} cannot be written: {error}. The company is founded all the same: name another file and \
                 make a token for it with `bureau token create NAME`.",
                path.display()
            ))
        })?;
        say(format_args!("The owner's token is in {}", path.display()));
        return Ok(());
    }
    say(if fresh { "The owner's token, shown this once:" } else { "A token for the demonstration:" });
    say(format_args!("\n    {token}\n"));
    say("Connect a client:\n");
    let (base, through) = match &place.socket {
        Some(path) => (&place.url, format!("--unix-socket {} ", path.display())),
        None => (&place.url, String::new()),
    };
    let curl = format!(
        "    curl -s {through}{base}/rpc -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"task_list\"}}'\n"
    );
    if place.socket.is_some() {
        say(curl);
        return Ok(());
    }
    let url = format!("{base}/mcp");
    say(format_args!("    claude mcp add --transport http bureau {url} --header \"Authorization: Bearer {token}\""));
    say(format_args!(
        "    Cursor, .cursor/mcp.json:   {{\"mcpServers\":{{\"bureau\":{{\"url\":\"{url}\",\"headers\":{{\"Authorization\":\"Bearer {token}\"}}}}}}}}"
    ));
    say(format_args!(
        "    VS Code, .vscode/mcp.json:  {{\"servers\":{{\"bureau\":{{\"type\":\"http\",\"url\":\"{url}\",\"headers\":{{\"Authorization\":\"Bearer {token}\"}}}}}}}}"
    ));
    say(curl);
    Ok(())
}

#[cfg(unix)]
fn write_private(path: &std::path::Path, token: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(token.as_bytes())
}

#[cfg(not(unix))]
fn write_private(path: &std::path::Path, token: &str) -> std::io::Result<()> {
    std::fs::write(path, token)
}

pub(super) async fn stdio(args: StdioArgs) -> Result<(), Failure> {
    let location = args.database.location()?;
    let (selection, list_all) = args.selection.selection()?;
    let provider = args.ai.provider()?;
    let Opened { bureau, founded } = open::open(&location).await?;
    bureau.log_reads(args.audit.access_log);
    ai::provide(&bureau, provider);
    if founded.is_some() {
        // Whoever starts this holds the file and acts as its owner: no token is needed, and none is shown.
        tracing::info!(
            database = location.shown(),
            "a company was founded in the empty database; `bureau token create` makes tokens for it"
        );
    }
    if args.outside.sends_mail() && args.public_url.is_none() {
        return Err(Failure::usage("Mails link to a server that people reach: name its address with --public-url."));
    }
    args.trust.configure(&bureau);
    let dispatcher = args.outside.dispatcher(&bureau, args.public_url.as_deref().unwrap_or_default())?;
    let server = Server::with(bureau.clone(), mcp_options(args.confirm)).map_err(Failure::start)?;
    let (end, ending) = watch::channel(());
    let carrying = tokio::spawn(dispatcher.run(gone(ending)));
    let options = stdio::Options { shown: local_credential(), selection, list_all };
    let input = tokio::io::BufReader::with_capacity(64 * 1024, tokio::io::stdin());
    let served = stdio::serve(server, options, input, tokio::io::stdout(), asked(stop_requests(), 1)).await;
    drop(end);
    ended(carrying).await;
    bureau.close().await;
    Ok(served?)
}

/// Resolves once the other end is dropped.
async fn gone(mut ending: watch::Receiver<()>) {
    while ending.changed().await.is_ok() {}
}

/// Waits for the end of what carries the outbox.
async fn ended(carrying: tokio::task::JoinHandle<()>) {
    if let Err(error) = carrying.await {
        tracing::error!(%error, "the carrying of the outbox ended by itself");
    }
}

pub(super) async fn fill(args: FillArgs) -> Result<(), Failure> {
    let Opened { bureau, founded } = open::open(&args.database.location()?).await?;
    let founded = founded.ok_or_else(|| Failure::usage("`fill` wants a new database."))?;
    fill_tasks(&bureau, &founded, args.tasks).await?;
    say(founded.token);
    Ok(())
}

async fn fill_tasks(
    bureau: &Arc<Bureau>,
    founded: &bureau_identity::founding::Founded,
    tasks: u32,
) -> Result<(), Failure> {
    const CHUNK: u32 = 10_000;
    let mut made = 0_u32;
    while made < tasks {
        let upto = made.saturating_add(CHUNK).min(tasks);
        bureau
            .as_system(founded.tenant_id, None, "fill", move |ctx| Box::pin(bureau_work::fill(ctx, made, upto)))
            .await?;
        made = upto;
        tracing::info!(made, "tasks filled");
    }
    Ok(())
}

/// How often the program was asked to stop, by Ctrl-C or SIGTERM.
fn stop_requests() -> watch::Receiver<u32> {
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        let mut signals = Signals::listen();
        loop {
            signals.next().await;
            count.send_modify(|count: &mut u32| *count = count.saturating_add(1));
        }
    });
    counted
}

/// Resolves once the program was asked so often.
async fn asked(mut requests: watch::Receiver<u32>, times: u32) {
    if requests.wait_for(|count| *count >= times).await.is_err() {
        std::future::pending().await
    }
}

/// The signals to stop. Kept from one to the next, so that none is lost between.
#[cfg(unix)]
struct Signals {
    interrupt: Option<tokio::signal::unix::Signal>,
    terminate: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let listen =
            |kind, name| signal(kind).inspect_err(|error| tracing::warn!(%error, "{name} cannot be awaited")).ok();
        Self {
            interrupt: listen(SignalKind::interrupt(), "Ctrl-C"),
            terminate: listen(SignalKind::terminate(), "SIGTERM"),
        }
    }

    async fn next(&mut self) {
        async fn one(signal: &mut Option<tokio::signal::unix::Signal>) {
            let Some(signal) = signal else { return std::future::pending().await };
            if signal.recv().await.is_none() {
                std::future::pending().await
            }
        }
        tokio::select! {
            () = one(&mut self.interrupt) => {}
            () = one(&mut self.terminate) => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Self {
        Self
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
