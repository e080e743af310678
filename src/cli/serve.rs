//! `serve`, `stdio` and the measurements' `fill`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bureau_kit::gate::Bureau;
use clap::Args;
use clap::builder::BoolishValueParser;
use tokio::net::TcpListener;

use super::{DatabaseArgs, Failure, SelectionArgs, local_credential, say};
use crate::http;
use crate::mcp::Server;
use crate::open::{self, Opened};
use crate::stdio;

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Address to listen on.
    #[arg(long, env = "BUREAU_LISTEN", default_value = "127.0.0.1:8650", value_name = "ADDRESS")]
    listen: SocketAddr,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Fill an empty database with a believable company to try things on.
    #[arg(long, env = "BUREAU_DEMO", value_parser = BoolishValueParser::new())]
    demo: bool,
    /// Write the owner's token to this file, readable by you only, instead of printing it.
    #[arg(long, env = "BUREAU_TOKEN_FILE", value_name = "PATH")]
    token_file: Option<PathBuf>,
    /// Another host name that requests may be addressed to, as behind a proxy. May be repeated.
    #[arg(long = "allowed-host", env = "BUREAU_ALLOWED_HOST", value_delimiter = ',', value_name = "NAME")]
    allowed_host: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct StdioArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    selection: SelectionArgs,
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
    // The port first: when it is taken, nothing should have been founded or filled.
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        Failure::start(format!("{} cannot be listened on: {error}. Choose another address with --listen.", args.listen))
    })?;
    let address = listener.local_addr()?;
    let Opened { bureau, founded } = open::open(&location).await?;
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
    say(format_args!("Bureau serves http://{address}/mcp and http://{address}/rpc from {}", location.shown()));
    if let Some(token) = token {
        announce(&token, &args, address, fresh)?;
    }
    if !address.ip().is_loopback() && args.allowed_host.is_empty() {
        tracing::warn!("listening beyond this machine, but only loopback names are answered; add --allowed-host NAME");
    }
    let options = http::Options { selection, list_all, allowed_hosts: args.allowed_host };
    let server = Server::new(bureau.clone()).map_err(Failure::start)?;
    http::serve(server, options, listener, stop_signal()).await?;
    bureau.db.close().await;
    Ok(())
}

/// Tells the owner's token once, and how clients are connected with it.
fn announce(token: &str, args: &ServeArgs, address: SocketAddr, fresh: bool) -> Result<(), Failure> {
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
    let url = format!("http://{address}/mcp");
    say(if fresh { "The owner's token, shown this once:" } else { "A token for the demonstration:" });
    say(format_args!("\n    {token}\n"));
    say("Connect a client:\n");
    say(format_args!("    claude mcp add --transport http bureau {url} --header \"Authorization: Bearer {token}\""));
    say(format_args!(
        "    Cursor, .cursor/mcp.json:   {{\"mcpServers\":{{\"bureau\":{{\"url\":\"{url}\",\"headers\":{{\"Authorization\":\"Bearer {token}\"}}}}}}}}"
    ));
    say(format_args!(
        "    VS Code, .vscode/mcp.json:  {{\"servers\":{{\"bureau\":{{\"type\":\"http\",\"url\":\"{url}\",\"headers\":{{\"Authorization\":\"Bearer {token}\"}}}}}}}}"
    ));
    say(format_args!(
        "    curl -s http://{address}/rpc -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"task_list\"}}'\n"
    ));
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
    let Opened { bureau, founded } = open::open(&location).await?;
    if founded.is_some() {
        // Whoever starts this holds the file and acts as its owner: no token is needed, and none is shown.
        tracing::info!(
            database = location.shown(),
            "a company was founded in the empty database; `bureau token create` makes tokens for it"
        );
    }
    let server = Server::new(bureau.clone()).map_err(Failure::start)?;
    let options = stdio::Options { shown: local_credential(), selection, list_all };
    let input = tokio::io::BufReader::with_capacity(64 * 1024, tokio::io::stdin());
    stdio::serve(server, options, input, tokio::io::stdout(), stop_signal()).await?;
    bureau.db.close().await;
    Ok(())
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

/// Resolves at Ctrl-C or SIGTERM.
async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = interrupt => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be awaited; only Ctrl-C stops the server");
                let _ = interrupt.await;
            }
        }
    }
    #[cfg(not(unix))]
    {
        let _ = interrupt.await;
    }
}
