//! `call` and `tools`.

use std::io::Read as _;

use bureau_kit::registry::Entry;
use clap::Args;
use serde_json::{Map, Value};

use super::target::TargetArgs;
use super::{Failure, SelectionArgs, TOOL_ERROR, say};
use crate::catalog;

#[derive(Debug, Args)]
pub(super) struct CallArgs {
    /// Name of the tool.
    tool: String,
    /// Its arguments as a JSON object; `-` reads them from standard input, `@FILE` from a file.
    #[arg(long, default_value = "{}", value_name = "JSON")]
    args: String,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Answer on one line, as sent.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ToolsArgs {
    /// Everything about every tool, as JSON.
    #[arg(long)]
    json: bool,
    /// Only this toolset, without the tools that find and carry out others.
    #[arg(long, value_name = "NAME")]
    toolset: Option<String>,
    #[command(flatten)]
    selection: SelectionArgs,
}

pub(super) async fn call(args: CallArgs) -> Result<(), Failure> {
    let arguments = read_arguments(&args.args)?;
    let target = args.target.open(&args.selection).await?;
    let (body, is_error) = target.call(&args.tool, arguments).await?;
    say(if args.json { body.to_string() } else { format!("{body:#}") });
    if is_error {
        // The answer itself says why.
        return Err(Failure { status: TOOL_ERROR, message: String::new() });
    }
    Ok(())
}

fn read_arguments(given: &str) -> Result<Map<String, Value>, Failure> {
    let text = match given.strip_prefix('@') {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{path} cannot be read: {error}")))?
        }
        None if given == "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
        None => given.to_owned(),
    };
    match bureau_kit::args::parse(&text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err(Failure::usage("--args must be a JSON object, such as --args '{\"id\": 1}'.")),
        Err(error) => Err(Failure::usage(format!("--args is not JSON: {error}. Write --args '{{\"id\": 1}}'."))),
    }
}

pub(super) fn tools(args: ToolsArgs) -> Result<(), Failure> {
    let registry = catalog::registry().map_err(Failure::start)?;
    let wanted = |toolset: &str| args.toolset.as_deref().is_none_or(|name| name == toolset);
    if !registry.toolsets().iter().any(|(name, _)| wanted(name)) {
        let names: Vec<&str> = registry.toolsets().iter().map(|(name, _)| *name).collect();
        return Err(Failure::usage(format!("There is no such toolset. There are: {}.", names.join(", "))));
    }
    let (selection, _) = args.selection.selection()?;
    let switched_on = |entry: &&Entry| selection.obstacles(entry).is_empty();
    let entries = registry.entries().iter().filter(|entry| wanted(entry.toolset)).filter(switched_on);
    if args.json {
        let tools: Vec<Value> = entries.map(|entry| Value::Object(catalog::described(entry))).collect();
        say(format_args!("{:#}", Value::Array(tools)));
        return Ok(());
    }
    let mut toolset = "";
    for entry in entries {
        if entry.toolset != toolset {
            toolset = entry.toolset;
            let about = registry.toolsets().iter().find(|(name, _)| *name == toolset).map_or("", |(_, about)| about);
            say(format_args!("\n{toolset}: {about}"));
        }
        let effect = serde_json::to_value(entry.tool.effect).unwrap_or_default();
        let effect = effect.as_str().unwrap_or_default().to_owned();
        say(format_args!("  {:34} {:7} {}", entry.tool.name, effect, entry.tool.title));
    }
    Ok(())
}
