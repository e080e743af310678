//! `export`: people, companies or deals into a file, page by page.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::target::TargetArgs;
use super::{Failure, SelectionArgs};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Persons,
    Companies,
    Deals,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// What to export.
    #[arg(value_enum)]
    kind: Kind,
    /// The file to write; standard output when left out.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How to write it. In csv a cell that a spreadsheet would run gets an apostrophe in front; importing takes it off.
    #[arg(long, value_enum, default_value = "csv", value_name = "FORM")]
    format: Format,
    #[command(flatten)]
    target: TargetArgs,
}

pub(super) async fn export(args: ExportArgs) -> Result<(), Failure> {
    let tool = match args.kind {
        Kind::Persons => "person_export",
        Kind::Companies => "company_export",
        Kind::Deals => "deal_export",
    };
    let format = match args.format {
        Format::Csv => "csv",
        Format::Jsonl => "jsonl",
    };
    let target = args.target.open(&SelectionArgs::default()).await?;
    let mut cursor = Value::Null;
    let mut out: Option<Box<dyn Write + Send>> = None;
    loop {
        let answer = target.ask(tool, json!({"format": format, "cursor": cursor})).await?;
        let content = answer.get("content").and_then(Value::as_str).unwrap_or_default();
        // Made only now: a refused call leaves an older file as it is.
        let out = match &mut out {
            Some(out) => out,
            none => none.insert(match &args.output {
                Some(path) => Box::new(BufWriter::new(
                    File::create(path)
                        .map_err(|error| Failure::usage(format!("{} cannot be written: {error}", path.display())))?,
                )),
                None => Box::new(std::io::stdout()),
            }),
        };
        out.write_all(content.as_bytes())?;
        cursor = answer.get("next_cursor").cloned().unwrap_or_default();
        if cursor.is_null() {
            out.flush()?;
            return Ok(());
        }
    }
}
