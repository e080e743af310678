//! `import`: people and companies from a file, part by part, so that a long file needs little memory.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use encoding_rs::Encoding;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Failure, Ways};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Resource {
    Person,
    Company,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnDuplicate {
    Skip,
    Update,
    Create,
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The file: CSV with headings, or JSON lines when its name ends with .jsonl.
    file: PathBuf,
    /// How its letters are written, such as windows-1250; UTF-8 and UTF-16 are recognised, anything else is taken as windows-1250.
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// What the rows are.
    #[arg(long, value_enum, default_value = "person", value_name = "KIND")]
    resource: Resource,
    /// Field of a column, such as 'Telefon=primary_phone'; the rest is guessed.
    #[arg(long, value_name = "COLUMN=FIELD")]
    map: Vec<String>,
    /// What to do with a row that is there already.
    #[arg(long, value_enum, default_value = "skip", value_name = "HOW")]
    on_duplicate: OnDuplicate,
    /// Only tell what would happen.
    #[arg(long)]
    dry_run: bool,
    /// Go on with an import of this file that was cut.
    #[arg(long, conflicts_with = "dry_run")]
    resume: bool,
    #[command(flatten)]
    ways: Ways,
}

/// Rows and bytes of one part at most: a message to a server has a limit.
const ROWS: usize = 1000;
const BYTES: usize = 300_000;

pub(super) async fn import(args: ImportArgs) -> Result<(), Failure> {
    let shown = args.file.display().to_string();
    let unread = |error: std::io::Error| Failure::usage(format!("{shown} cannot be read: {error}"));
    let size = std::fs::metadata(&args.file).map_err(unread)?.len();
    let is_csv = args.file.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("jsonl"));
    let mut map = Map::new();
    for pair in &args.map {
        let (column, field) = pair.split_once('=').ok_or_else(|| Failure::usage("Write --map 'Column=field'."))?;
        map.insert(column.to_owned(), if field.is_empty() { Value::Null } else { json!(field) });
    }
    let name = |value: Option<clap::builder::PossibleValue>| value.map_or(Value::Null, |value| json!(value.get_name()));
    let resource = name(args.resource.to_possible_value());
    let file_name = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Looked { fingerprint, encoding } = look(&args.file).map_err(unread)?;
    let encoding = match &args.encoding {
        Some(name) => Encoding::for_label(name.as_bytes()).ok_or_else(|| {
            Failure::usage(format!(
                "There is no encoding {name}. Write it like utf-8, windows-1250, windows-1251 or iso-8859-2."
            ))
        })?,
        None => encoding,
    };
    let target = args.ways.open().await?;
    let (mut import, mut done) = (Value::Null, 0_i64);
    if args.resume {
        let running =
            target.all("contact_import_list", &Map::from_iter([("status".to_owned(), json!("running"))])).await?;
        let cut = running.iter().find(|row| row.get("fingerprint").and_then(Value::as_str) == Some(&fingerprint));
        let cut = cut.ok_or_else(|| Failure::usage("No import of this very file was cut. Leave --resume out."))?;
        import = cut.get("id").cloned().unwrap_or_default();
        done = cut.get("part_count").and_then(Value::as_i64).unwrap_or_default();
    }
    let mut parts = Parts::of(File::open(&args.file).map_err(unread)?, encoding, is_csv)?;
    let mut totals = [("rows", 0_i64), ("created", 0), ("updated", 0), ("skipped", 0), ("failed", 0)];
    let (mut number, mut columns, mut errors) = (0_i64, Value::Null, Vec::new());
    let terminal = std::io::stderr().is_terminal() && !args.ways.json;
    loop {
        let part = parts.next()?;
        number = number.saturating_add(1);
        if number <= done && !part.last {
            continue;
        }
        let mut arguments = json!({
            "resource": resource, "format": if is_csv { "csv" } else { "jsonl" }, "content": part.content,
            "map": map, "on_duplicate": name(args.on_duplicate.to_possible_value()), "file_name": file_name,
            "fingerprint": fingerprint, "first_line": part.first_line, "last": part.last,
        });
        if let Some(arguments) = arguments.as_object_mut() {
            if args.dry_run {
                arguments.insert("dry_run".into(), json!(true));
            } else {
                arguments.insert("part".into(), json!(number));
                if !import.is_null() {
                    arguments.insert("import_id".into(), import.clone());
                }
            }
        }
        let answer = target.ask("contact_import_run", arguments).await.map_err(|failure| {
            let so_far = if import.is_null() { "" } else { " What is in so far stays: go on with --resume." };
            Failure { message: format!("{}{so_far}", failure.message), ..failure }
        })?;
        if !args.dry_run {
            import = answer.get("id").cloned().unwrap_or_default();
        }
        for (name, total) in &mut totals {
            *total = total.saturating_add(answer.get(*name).and_then(Value::as_i64).unwrap_or_default());
        }
        if columns.is_null() {
            columns = answer.get("columns").cloned().unwrap_or_default();
            if !args.ways.json {
                tell_columns(&columns);
            }
        }
        for error in answer.get("errors").and_then(Value::as_array).into_iter().flatten() {
            if errors.len() < ROWS {
                errors.push(error.clone());
            }
        }
        if terminal {
            let rows = totals.first().map_or(0, |(_, rows)| *rows);
            let _ = write!(std::io::stderr(), "\r{}", bar(parts.file.get_ref().taken, size, rows));
        }
        if part.last {
            break;
        }
    }
    if terminal {
        let _ = writeln!(std::io::stderr());
    }
    let mut answer = Map::from_iter(totals.iter().map(|(name, total)| ((*name).to_owned(), json!(total))));
    answer.insert("id".into(), import.clone());
    answer.insert("dry_run".into(), json!(args.dry_run));
    answer.insert("columns".into(), columns);
    answer.insert("errors".into(), Value::Array(errors.clone()));
    args.ways.show(&Value::Object(answer), || {
        let text = |error: &Value| {
            let of = |name: &str| error.get(name).cloned().unwrap_or_default();
            format!("line {}: {}\n", of("line"), of("message").as_str().unwrap_or_default())
        };
        let errors: String = errors.iter().map(text).collect();
        let counts: Vec<String> = totals.iter().map(|(name, total)| format!("{name} {total}")).collect();
        let id = import.as_str().unwrap_or_default();
        let end = if args.dry_run {
            "Nothing was changed: this was a dry run.".to_owned()
        } else {
            format!("Take it all back with: bureau call contact_import_undo --args '{{\"id\": \"{id}\"}}'")
        };
        format!("{errors}{}\n{end}", counts.join(", "))
    });
    Ok(())
}

/// Which column goes where, on standard error: standard output is for what came of it.
fn tell_columns(columns: &Value) {
    for column in columns.as_array().into_iter().flatten() {
        let of = |name: &str| column.get(name).and_then(Value::as_str);
        let _ = writeln!(
            std::io::stderr(),
            "{} -> {}",
            of("column").unwrap_or_default(),
            of("field").unwrap_or("(left out)")
        );
    }
}

/// How far an import is, as one line of a terminal.
fn bar(taken: u64, size: u64, rows: i64) -> String {
    const WIDTH: u64 = 30;
    let share = |of: u64| taken.min(size).saturating_mul(of).checked_div(size).unwrap_or(of);
    let full = usize::try_from(share(WIDTH)).unwrap_or_default();
    let empty = usize::try_from(WIDTH).unwrap_or_default().saturating_sub(full);
    format!("[{}{}] {:3} %  {rows} rows", "#".repeat(full), "-".repeat(empty), share(100))
}

/// What a first look at a whole file tells.
struct Looked {
    fingerprint: String,
    encoding: &'static Encoding,
}

/// Reads a file once: its digest, and how its letters are written.
fn look(path: &std::path::Path) -> std::io::Result<Looked> {
    let (mut file, mut digest, mut piece) = (File::open(path)?, Sha256::new(), vec![0_u8; 65_536]);
    let mut marked = None;
    let mut utf8 = Some(encoding_rs::UTF_8.new_decoder_without_bom_handling());
    let mut text = String::with_capacity(65_536 * 3);
    let mut begun = false;
    loop {
        let read = file.read(&mut piece)?;
        let bytes = piece.get(..read).unwrap_or_default();
        if !std::mem::replace(&mut begun, true) {
            marked = Encoding::for_bom(bytes).map(|(encoding, _)| encoding);
        }
        if let Some(decoder) = &mut utf8 {
            text.clear();
            let (result, ..) = decoder.decode_to_string_without_replacement(bytes, &mut text, read == 0);
            if matches!(result, encoding_rs::DecoderResult::Malformed(..)) {
                utf8 = None;
            }
        }
        if read == 0 {
            break;
        }
        digest.update(bytes);
    }
    let fingerprint = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    // What Polish spreadsheets write where they do not write UTF-8.
    let usual = if utf8.is_some() { encoding_rs::UTF_8 } else { encoding_rs::WINDOWS_1250 };
    Ok(Looked { fingerprint, encoding: marked.unwrap_or(usual) })
}

/// A file read as UTF-8, however its letters are written. What is no letter of its encoding becomes U+FFFD.
struct Decoded {
    file: File,
    decoder: encoding_rs::Decoder,
    raw: Vec<u8>,
    /// Bytes of the file that were read.
    taken: u64,
    text: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Decoded {
    fn of(file: File, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder();
        Self { file, decoder, raw: vec![0; 16_384], taken: 0, text: Vec::new(), at: 0, ended: false }
    }
}

impl std::io::Read for Decoded {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.at >= self.text.len() && !self.ended {
            let read = self.file.read(&mut self.raw)?;
            self.taken = self.taken.saturating_add(u64::try_from(read).unwrap_or_default());
            self.ended = read == 0;
            let bytes = self.raw.get(..read).unwrap_or_default();
            let room = self.decoder.max_utf8_buffer_length(read).unwrap_or(65_536);
            let mut text = String::with_capacity(room);
            // The room is enough for all of it, so nothing is left over.
            let _ = self.decoder.decode_to_string(bytes, &mut text, self.ended);
            (self.text, self.at) = (text.into_bytes(), 0);
        }
        let ready = self.text.get(self.at..).unwrap_or_default();
        let count = ready.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..count), ready.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at = self.at.saturating_add(count);
        Ok(count)
    }
}

struct Part {
    content: String,
    first_line: i64,
    last: bool,
}

/// A file as parts, each with the headings in front.
struct Parts {
    file: BufReader<Decoded>,
    is_csv: bool,
    head: String,
    line: i64,
    /// The row that did not fit into the part before.
    waiting: Option<(String, i64)>,
}

impl Parts {
    fn of(file: File, encoding: &'static Encoding, is_csv: bool) -> Result<Self, Failure> {
        let file = BufReader::new(Decoded::of(file, encoding));
        let mut parts = Self { file, is_csv, head: String::new(), line: 1, waiting: None };
        if is_csv {
            parts.head = parts.row()?.map(|(head, _)| head).unwrap_or_default();
        }
        parts.waiting = parts.row()?;
        Ok(parts)
    }

    /// The next row with its line: in CSV a line break inside of quotes belongs to the row.
    fn row(&mut self) -> Result<Option<(String, i64)>, Failure> {
        loop {
            let (mut row, first) = (String::new(), self.line);
            let mut quotes = 0_usize;
            loop {
                let before = row.len();
                let read = self
                    .file
                    .read_line(&mut row)
                    .map_err(|error| Failure::usage(format!("Line {} cannot be read: {error}.", self.line)))?;
                if read == 0 {
                    break;
                }
                self.line = self.line.saturating_add(1);
                quotes = quotes.saturating_add(row.get(before..).unwrap_or_default().matches('"').count());
                if !self.is_csv || quotes.is_multiple_of(2) {
                    break;
                }
                if row.len() > BYTES {
                    return Err(Failure::usage(format!(
                        "The row that begins on line {first} is too long: is a quote missing?"
                    )));
                }
            }
            if row.is_empty() {
                return Ok(None);
            }
            if !row.trim().is_empty() {
                return Ok(Some((row, first)));
            }
        }
    }

    fn next(&mut self) -> Result<Part, Failure> {
        let first_line = self.waiting.as_ref().map_or(self.line, |(_, line)| *line);
        let (mut content, mut rows, mut expected) = (self.head.clone(), 0_usize, first_line);
        while let Some((row, line)) = self.waiting.take() {
            if rows >= ROWS || (rows > 0 && content.len().saturating_add(row.len()) > BYTES) {
                self.waiting = Some((row, line));
                break;
            }
            // Blank lines are not rows, and still count as lines.
            for _ in expected..line {
                content.push('\n');
            }
            content.push_str(&row);
            expected = line.saturating_add(i64::try_from(row.matches('\n').count()).unwrap_or_default());
            rows = rows.saturating_add(1);
            self.waiting = self.row()?;
        }
        Ok(Part { content, first_line, last: self.waiting.is_none() })
    }
}
