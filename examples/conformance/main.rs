//! The real Bureau server with the fixtures that the protocol's conformance suite expects, for tests only: whoever reaches
//! its address is the owner, without any token.
//!
//! `cargo run --example conformance -- --listen 127.0.0.1:8651`; tests/external/conformance.sh runs the suite against it.

#![expect(clippy::print_stdout, reason = "the program tells where it listens")]

mod fixtures;

use std::net::SocketAddr;
use std::sync::Arc;

use bureau::mcp::Server;
use bureau::{http, mcp, open};
use bureau_kit::access::Shown;
use bureau_kit::db::Location;
use clap::Parser;
use fixtures::Fixtures;

type Failure = Box<dyn std::error::Error>;

/// Bureau with the fixtures of the conformance suite, on a database that goes with the program.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen: an address of this machine, since nobody is asked who they are.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    if !arguments.listen.ip().is_loopback() {
        return Err(format!("{} can be reached from elsewhere; name a loopback address", arguments.listen).into());
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let directory = tempfile::tempdir()?;
    let opened = open::open(&Location::Sqlite(directory.path().join("bureau.db"))).await?;
    let founded = opened.founded.ok_or("a new database has no company yet")?;
    let extension = Some(Arc::new(Fixtures) as Arc<dyn mcp::extension::Extension>);
    let server = Server::with(opened.bureau.clone(), mcp::Options { extension, ..mcp::Options::default() })?;
    let listener = http::Listener::bind(&http::Address::Tcp(arguments.listen)).await?;
    println!("http://{}/mcp", listener.tcp_address().ok_or("the address is not known")?);
    let options = http::Options { anonymous: Some(Shown::Token(founded.token)), ..http::Options::default() };
    http::serve(server, options, vec![listener], asked_to_stop()).await;
    opened.bureau.db.close().await;
    Ok(())
}

async fn asked_to_stop() {
    // Where signals cannot be listened to, the program simply runs until it is killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
