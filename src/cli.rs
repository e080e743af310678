//! The command line.

mod ai;
mod call;
mod config;
mod doctor;
mod export;
mod import;
mod installation;
mod key;
mod oauth;
mod outside;
mod role;
mod secret;
mod serve;
mod session;
mod table;
mod target;
mod token;
mod user;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use bureau_kit::access::Shown;
use bureau_kit::db::{Location, default_path};
use bureau_kit::error::Error;
use bureau_kit::gate::Selection;
use bureau_kit::registry::Registry;
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Map, Value};

/// The back office that AI agents run: business tools over MCP (stdio, HTTP) and JSON-RPC 2.0.
#[derive(Debug, Parser)]
#[command(name = "bureau", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How much to log: error, warn, info, debug or trace.
    #[arg(long, global = true, env = "BUREAU_LOG", default_value = "info", value_name = "LEVEL")]
    log: tracing::level_filters::LevelFilter,
    /// Form of the log on standard error.
    #[arg(long, global = true, env = "BUREAU_LOG_FORMAT", default_value = "text", value_name = "FORM")]
    log_format: LogFormat,
    /// A JSON file with options by their long names, for what neither flag nor BUREAU_* variable gives.
    #[arg(long, global = true, env = "BUREAU_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve MCP and JSON-RPC over HTTP.
    Serve(Box<serve::ServeArgs>),
    /// Serve MCP over standard input and output, as an assistant starts it.
    Stdio(serve::StdioArgs),
    /// Carry out one tool call.
    Call(call::CallArgs),
    /// List the tools.
    Tools(call::ToolsArgs),
    /// Make, list and revoke tokens.
    Token(token::TokenArgs),
    /// List, show, add, block and change the people who work here.
    User(user::UserArgs),
    /// List and show roles.
    Role(role::RoleArgs),
    /// List, make and revoke API keys.
    Key(key::KeyArgs),
    /// List and end sessions.
    Session(session::SessionArgs),
    /// Bring in people or companies from a CSV or JSON-lines file.
    Import(import::ImportArgs),
    /// Write people, companies or deals to a file.
    Export(export::ExportArgs),
    /// Bring the database to the newest schema.
    Migrate(DatabaseArgs),
    /// Check the database and the configuration.
    Doctor(doctor::DoctorArgs),
    /// Fill a database with tasks, for measurements.
    #[command(hide = true)]
    Fill(serve::FillArgs),
}

/// Where the data is.
#[derive(Debug, Clone, Args)]
struct DatabaseArgs {
    /// sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME; a file in your data directory when left out.
    #[arg(long, env = "BUREAU_DATABASE", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
}

impl DatabaseArgs {
    fn location(&self) -> Result<Location, Failure> {
        match &self.database {
            Some(url) => Location::parse(url).map_err(Failure::usage),
            None => default_path(|name| std::env::var(name).ok()).map(Location::Sqlite).ok_or_else(|| {
                Failure::usage("No home directory is known: name a database with --database sqlite:PATH.")
            }),
        }
    }
}

/// What is written down of reads.
#[derive(Debug, Clone, Args)]
struct AuditArgs {
    /// Whether looks at single records are logged (access_log_list): on or off. Changes always are.
    #[arg(
        long,
        env = "BUREAU_ACCESS_LOG",
        default_value = "on",
        action = clap::ArgAction::Set,
        value_parser = BoolishValueParser::new(),
        value_name = "ON|OFF"
    )]
    access_log: bool,
}

/// What is switched on. Whatever is given narrows; a server's clients can narrow further.
#[derive(Debug, Clone, Default, Args)]
struct SelectionArgs {
    /// Only these toolsets, such as tasks,contracts; all of their tools are listed. `all` lists everything.
    #[arg(long, env = "BUREAU_TOOLSETS", value_delimiter = ',', value_name = "NAMES")]
    toolsets: Vec<String>,
    /// Only these tools, such as task_list,task_show; tool_search and its like count as tools here.
    #[arg(long, env = "BUREAU_TOOLS", value_delimiter = ',', value_name = "NAMES")]
    tools: Vec<String>,
    /// Never these tools.
    #[arg(long, env = "BUREAU_EXCLUDE", value_delimiter = ',', value_name = "NAMES")]
    exclude: Vec<String>,
    /// Only tools that change nothing.
    #[arg(long, env = "BUREAU_READ_ONLY", value_parser = BoolishValueParser::new())]
    read_only: bool,
}

impl SelectionArgs {
    /// The selection, and whether everything selected is to be listed.
    fn selection(&self) -> Result<(Selection, bool), Failure> {
        if self.toolsets.is_empty() && self.tools.is_empty() && self.exclude.is_empty() {
            return Ok((Selection { read_only: self.read_only, ..Selection::default() }, false));
        }
        let registry = crate::catalog::registry().map_err(Failure::start)?;
        let mut selection = Selection { read_only: self.read_only, ..Selection::default() };
        let mut narrow = |names: &[String], made: fn(&Registry, &[String]) -> Result<Selection, String>| {
            if !names.is_empty() {
                selection = selection.and(&made(&registry, names).map_err(Failure::usage)?);
            }
            Ok::<_, Failure>(())
        };
        narrow(&self.toolsets, Selection::of_toolsets)?;
        narrow(&self.tools, Selection::of_tools)?;
        narrow(&self.exclude, Selection::without)?;
        Ok((selection, !(self.toolsets.is_empty() && self.tools.is_empty())))
    }

    /// The same as headers of a request, for a server to check and to apply.
    fn headers(&self) -> Vec<(&'static str, String)> {
        let lists = [
            ("x-bureau-toolsets", &self.toolsets),
            ("x-bureau-tools", &self.tools),
            ("x-bureau-exclude", &self.exclude),
        ];
        let given = lists.into_iter().filter(|(_, names)| !names.is_empty());
        let mut headers: Vec<_> = given.map(|(header, names)| (header, names.join(","))).collect();
        if self.read_only {
            headers.push(("x-bureau-read-only", "1".to_owned()));
        }
        headers
    }
}

/// How commands about people and tokens reach them, and how they answer.
#[derive(Debug, Args)]
struct Ways {
    #[command(flatten)]
    target: target::TargetArgs,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Ways {
    async fn open(&self) -> Result<target::Target, Failure> {
        self.target.open(&SelectionArgs::default()).await
    }

    /// An answer: as it came for machines, in words for people.
    fn show(&self, answer: &Value, words: impl FnOnce() -> String) {
        say(if self.json { format!("{answer:#}") } else { words() });
    }

    /// A whole list: an array for machines, a table for people.
    async fn list(
        &self,
        target: &target::Target,
        tool: &str,
        filter: &Map<String, Value>,
        columns: &[table::Column],
    ) -> Result<(), Failure> {
        let rows = Value::Array(target.all(tool, filter).await?);
        self.show(&rows, || table::rows(columns, rows.as_array().map(Vec::as_slice).unwrap_or_default()));
        Ok(())
    }
}

/// Why the program ends without having done what was asked.
#[derive(Debug)]
struct Failure {
    status: u8,
    message: String,
}

/// The tool answered an error.
const TOOL_ERROR: u8 = 1;
/// The command line is wrong.
const USAGE: u8 = 2;
/// The program could not start: database, port, file.
const CANNOT_START: u8 = 3;

impl Failure {
    fn usage(message: impl Into<String>) -> Self {
        Self { status: USAGE, message: message.into() }
    }

    fn start(message: impl Into<String>) -> Self {
        Self { status: CANNOT_START, message: message.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::start(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::start(error.to_string())
    }
}

/// Writes a line to standard output. A reader who has gone (`bureau tools | head`) is no failure.
fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Who a command acts as: the token in BUREAU_TOKEN, else the owner of the database it opens.
fn local_credential() -> Shown {
    match std::env::var("BUREAU_TOKEN") {
        Ok(token) if !token.is_empty() => Shown::Token(token),
        _ => Shown::LocalOwner,
    }
}

/// Parses the command line and carries it out.
pub fn main() -> ExitCode {
    let arguments = match config::with_file(std::env::args_os().collect(), |name| std::env::var_os(name)) {
        Ok(arguments) => arguments,
        Err(message) => return ended(Err(Failure::usage(message))),
    };
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    log_to_stderr(&cli);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ended(Err(Failure::start(format!("The runtime cannot start: {error}")))),
    };
    let outcome = runtime.block_on(run(cli.command));
    // A read of standard input may still be waiting; it must not keep the program from ending.
    runtime.shutdown_background();
    ended(outcome)
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::serve(*args).await,
        Command::Stdio(args) => serve::stdio(args).await,
        Command::Call(args) => call::call(args).await,
        Command::Tools(args) => call::tools(args),
        Command::Token(args) => token::token(args).await,
        Command::User(args) => user::user(args).await,
        Command::Role(args) => role::role(args).await,
        Command::Key(args) => key::key(args).await,
        Command::Session(args) => session::session(args).await,
        Command::Import(args) => import::import(args).await,
        Command::Export(args) => export::export(args).await,
        Command::Migrate(args) => doctor::migrate(args).await,
        Command::Doctor(args) => doctor::doctor(args).await,
        Command::Fill(args) => serve::fill(args).await,
    }
}

fn ended(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                let _ = writeln!(std::io::stderr().lock(), "bureau: {}", failure.message);
            }
            ExitCode::from(failure.status)
        }
    }
}

/// Standard error that nobody has to read: a client that closed its end must not end the server with a log line.
struct Log(std::io::Stderr);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(self.0.write(bytes).unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// Logs go to standard error, always: on stdio, standard output belongs to the protocol.
fn log_to_stderr(cli: &Cli) {
    let builder = tracing_subscriber::fmt().with_max_level(cli.log).with_writer(|| Log(std::io::stderr()));
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let outcome = match cli.log_format {
        LogFormat::Text => builder.with_ansi(colour).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // Only a test that runs the command line twice in one process gets here twice.
    drop(outcome);
    std::panic::set_hook(Box::new(
        |panic| tracing::error!(%panic, "a panic; the call it was in ends, the server goes on"),
    ));
}
