//! Bringing in one part of a file.

use std::collections::HashMap;

use bureau_kit::prelude::*;
use bureau_kit::registers::Nip;

use super::fields::{self, Field, Form};
use super::sheet::{self, Format, Row, Sheet};
use super::{CONTACT_IMPORTS, ContactImport, MANAGE};
use crate::party::PARTIES;
use crate::tag::TAGS;
use crate::tag_link;

pub(super) fn tools() -> Vec<Tool> {
    vec![
        Tool::action("contact_import_run", MANAGE, run)
            .long()
            .title("Import people or companies")
            .about(
                "Import people or companies from CSV or JSON lines, at most 1000 rows a call. Columns are guessed from the headings, \
                 or named in map. Good rows go in and bad ones are told with their lines. Try it first with dry_run. A longer file: \
                 last: false, then more calls with import_id. contact_import_undo takes all of it back.",
            )
            .synonyms("csv upload bulk load contacts leads importuj kontakty osoby firmy z pliku імпортувати контакти людей з файлу"),
    ]
}

/// Rows of one part at most: each is a handful of statements inside one transaction.
const MOST: usize = 1000;
/// Errors that are shown and kept.
const SHOWN_ERRORS: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Resource {
    Person,
    Company,
}

impl Resource {
    fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Company => "company",
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OnDuplicate {
    #[default]
    Skip,
    Update,
    Create,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RunInput {
    /// What the rows are.
    resource: Resource,
    /// How the content is written; csv when left out.
    format: Option<Format>,
    /// The text, with the headings in its first line (csv).
    #[schemars(length(max = 1_000_000))]
    content: String,
    /// Field of each column by its heading, such as {"Telefon": "primary_phone"}; null leaves one out. The rest is guessed.
    map: Option<HashMap<String, Option<String>>>,
    /// What to do with a row whose unique_id, nip, e-mail or (company) name there is already; skip when left out.
    on_duplicate: Option<OnDuplicate>,
    /// Whether companies that people name are made when there are none; true when left out.
    create_companies: Option<bool>,
    /// Whether one bad row keeps the whole part out; false when left out.
    all_or_nothing: Option<bool>,
    /// Tags to put on every record.
    tags: Option<Vec<Id<crate::Tag>>>,
    /// Where rows came from that do not say so themselves.
    #[schemars(length(max = 150))]
    source: Option<String>,
    /// Name of the file.
    #[schemars(length(max = 255))]
    file_name: Option<String>,
    /// Your own sign of the file, to find an import that was cut.
    #[schemars(length(max = 128))]
    fingerprint: Option<String>,
    /// The import that this part continues.
    import_id: Option<Id<ContactImport>>,
    /// Number of this part, from 1: one that is in already is refused.
    #[schemars(range(min = 1))]
    part: Option<i64>,
    /// Line of the file on which the first row stands; 2 (csv) or 1 (jsonl) when left out.
    #[schemars(range(min = 1))]
    first_line: Option<i64>,
    /// Whether no more parts follow; true when left out.
    last: Option<bool>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct RowError {
    /// Line of the file.
    line: i64,
    /// What is wrong with it.
    message: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ColumnGuess {
    /// Heading of the column.
    column: String,
    /// The field it goes to; null when it is left out.
    field: Option<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Imported {
    /// UUID of the import, for the next part and for contact_import_undo.
    id: String,
    /// running, or finished after the last part.
    status: &'static str,
    /// Number of this part.
    part: i64,
    /// Where each column goes.
    columns: Vec<ColumnGuess>,
    /// Rows of this part.
    rows: usize,
    /// Records made.
    created: usize,
    /// Records changed.
    updated: usize,
    /// Rows left out, since there was such a record.
    skipped: usize,
    /// Rows with an error.
    failed: usize,
    /// The first 100 errors, with their lines.
    errors: Vec<RowError>,
}

async fn run(ctx: &mut Ctx, input: RunInput) -> Result<Imported> {
    let is_person = input.resource == Resource::Person;
    let format = input.format.unwrap_or(Format::Csv);
    let first_line = input.first_line.unwrap_or(if format == Format::Csv { 2 } else { 1 });
    let sheet = sheet::read(&input.content, format, first_line)?;
    if sheet.rows.len() > MOST {
        return Err(Error::invalid(
            "/content",
            format!(
                "has {} rows, and one call takes {MOST}: send the rest as further parts with import_id, or use `bureau import`",
                sheet.rows.len()
            ),
        ));
    }
    let mapped = mapping(&sheet, input.map.as_ref(), is_person)?;
    let import = begun(ctx, &input, format, &mapped).await?;
    let part = import.get::<i64>("part_count")?.saturating_add(1);
    if let Some(given) = input.part.filter(|given| *given != part) {
        return Err(Error::conflict(format!(
            "Part {given} is not the next of this import: that is {part}. Look at contact_import_show and go on with part {part}."
        ))
        .with("next_part", part));
    }
    let mut work = Work {
        is_person,
        on_duplicate: input.on_duplicate.unwrap_or_default(),
        create_companies: input.create_companies.unwrap_or(true),
        tags: tag_ids(ctx, input.tags.as_deref().unwrap_or_default()).await?,
        source: input.source.clone(),
        fields: mapped.iter().map(|(_, field)| *field).collect(),
        companies: HashMap::new(),
    };
    let (mut created, mut updated, mut skipped) = (0_usize, 0_usize, 0_usize);
    let mut errors: Vec<RowError> = Vec::new();
    let mut failed = 0_usize;
    let total = u64::try_from(sheet.rows.len()).ok();
    for (done, row) in (1_u64..).zip(&sheet.rows) {
        match work.row(ctx, row).await {
            Ok(Outcome::Created) => created = created.saturating_add(1),
            Ok(Outcome::Updated) => updated = updated.saturating_add(1),
            Ok(Outcome::Skipped) => skipped = skipped.saturating_add(1),
            // A lost race and a missing right are not the row's own failures.
            Err(error) if error.is_retryable() || matches!(error.code(), Code::Forbidden | Code::Internal) => {
                return Err(error);
            }
            Err(error) => {
                failed = failed.saturating_add(1);
                if errors.len() < SHOWN_ERRORS {
                    errors.push(RowError { line: row.line, message: in_words(&error) });
                }
            }
        }
        if done.is_multiple_of(100) {
            ctx.progress(done, total, "importing");
            ctx.checkpoint().await?;
        }
    }
    if input.all_or_nothing.unwrap_or_default()
        && let Some(first) = errors.first()
    {
        return Err(Error::conflict(format!(
            "{failed} row(s) are wrong, so nothing of this part was kept. Line {}: {}. Mend them, or leave all_or_nothing out.",
            first.line, first.message
        ))
        .with("errors", serde_json::to_value(&errors).map_err(Error::internal)?));
    }
    let status = if input.last.unwrap_or(true) { "finished" } else { "running" };
    let rows = sheet.rows.len();
    let mut values = Values::new().with("part_count", part).with("status", status);
    for (column, more) in [
        ("row_count", rows),
        ("created_count", created),
        ("updated_count", updated),
        ("skipped_count", skipped),
        ("failed_count", failed),
    ] {
        values.set(column, import.get::<i64>(column)?.saturating_add(i64::try_from(more).unwrap_or(i64::MAX)));
    }
    if !errors.is_empty() {
        let kept: Value = import.get("first_errors")?;
        let mut kept = kept.as_object().cloned().unwrap_or_default();
        for error in &errors {
            if kept.len() < SHOWN_ERRORS {
                kept.insert(error.line.to_string(), json!(error.message));
            }
        }
        values.set("first_errors", Value::Object(kept));
    }
    if status == "finished" {
        values.set("ended_at", ctx.now());
    }
    ctx.update(&import, values).await?;
    let columns = mapped
        .into_iter()
        .map(|(column, field)| ColumnGuess { column, field: field.map(|field| field.name) })
        .collect();
    Ok(Imported { id: import.id.to_string(), status, part, columns, rows, created, updated, skipped, failed, errors })
}

/// Where each column goes: as the map says, else as its heading tells, each field once.
fn mapping(
    sheet: &Sheet,
    map: Option<&HashMap<String, Option<String>>>,
    is_person: bool,
) -> Result<Vec<(String, Option<&'static Field>)>> {
    let known = || fields::of(is_person).map(|field| field.name).collect::<Vec<_>>().join(", ");
    let mut mapped: Vec<(String, Option<&'static Field>)> =
        sheet.columns.iter().map(|name| (name.clone(), None)).collect();
    let mut taken: Vec<&'static str> = Vec::new();
    for (column, field) in map.into_iter().flatten() {
        let place = mapped.iter_mut().find(|(name, _)| name == column).ok_or_else(|| {
            Error::invalid("/map", format!("there is no column {column}; there are: {}", sheet.columns.join(", ")))
        })?;
        let Some(name) = field else { continue };
        let field = fields::of(is_person)
            .find(|field| field.name == name)
            .ok_or_else(|| Error::invalid("/map", format!("there is no field {name}; there are: {}", known())))?;
        if taken.contains(&field.name) {
            return Err(Error::invalid("/map", format!("two columns go to {name}; leave one out")));
        }
        taken.push(field.name);
        place.1 = Some(field);
    }
    for (column, place) in &mut mapped {
        if map.is_some_and(|map| map.contains_key(column)) {
            continue;
        }
        if let Some(field) = fields::guess(column, is_person).filter(|field| !taken.contains(&field.name)) {
            taken.push(field.name);
            *place = Some(field);
        }
    }
    if !taken.iter().any(|name| ["name", "first_name", "last_name"].contains(name)) {
        return Err(Error::invalid(
            "/map",
            format!(
                "no column is known to be a name. The columns are: {}. Say in map which is name, first_name or last_name",
                sheet.columns.join(", ")
            ),
        ));
    }
    Ok(mapped)
}

/// The row of the import: a new one, or the one that is continued.
async fn begun(
    ctx: &mut Ctx,
    input: &RunInput,
    format: Format,
    mapped: &[(String, Option<&'static Field>)],
) -> Result<Record> {
    let Some(id) = input.import_id else {
        let columns: Map<String, Value> =
            mapped.iter().map(|(column, field)| (column.clone(), json!(field.map(|field| field.name)))).collect();
        let values = Values::new()
            .with("file_name", input.file_name.clone().unwrap_or_default())
            .with("fingerprint", input.fingerprint.clone().unwrap_or_default())
            .with("resource", input.resource.as_str())
            .with("format", format.as_str())
            .with("column_map", Value::Object(columns))
            .with("status", "running")
            .with("source", input.source.clone());
        return family::save_new(ctx, &CONTACT_IMPORTS, values).await;
    };
    let import = ctx.fetch(id).await?;
    if import.text("status") != "running" {
        return Err(Error::impossible_state(format!(
            "This import is {}, so it takes no more parts. Leave import_id out to begin a new one.",
            import.text("status")
        )));
    }
    if import.text("resource") != input.resource.as_str() {
        return Err(Error::invalid("/resource", format!("this import is of resource {}", import.text("resource"))));
    }
    Ok(import)
}

async fn tag_ids(ctx: &mut Ctx, tags: &[Id<crate::Tag>]) -> Result<Vec<Uuid>> {
    let mut ids = Vec::new();
    for (index, tag) in tags.iter().enumerate() {
        let found = ctx.resolve(&TAGS, tag.key()).await?;
        ids.push(found.ok_or_else(|| {
            Error::invalid(format!("/tags/{index}"), format!("there is no tag {}; use tag_list to find it", tag.key()))
        })?);
    }
    Ok(ids)
}

/// An error of a row: what is wrong with which field.
fn in_words(error: &Error) -> String {
    if error.fields().is_empty() {
        return error.message().to_owned();
    }
    let told = error.fields().iter().map(|field| format!("{} {}", field.path.trim_start_matches('/'), field.message));
    told.collect::<Vec<_>>().join("; ")
}

enum Outcome {
    Created,
    Updated,
    Skipped,
}

/// What is to be done with each row.
struct Work {
    is_person: bool,
    on_duplicate: OnDuplicate,
    create_companies: bool,
    tags: Vec<Uuid>,
    source: Option<String>,
    fields: Vec<Option<&'static Field>>,
    /// Companies found so far, by their names.
    companies: HashMap<String, Uuid>,
}

impl Work {
    async fn row(&mut self, ctx: &mut Ctx, row: &Row) -> Result<Outcome> {
        let cells = row.cells.as_ref().map_err(|message| Error::validation(message.clone()))?;
        let mut arguments = Map::new();
        let mut wrong = Vec::new();
        let mut company = None;
        let mut tag_names = None;
        for (field, cell) in self.fields.iter().zip(cells) {
            let Some(field) = field.filter(|_| !cell.trim().is_empty()) else { continue };
            match field.form {
                Form::Company => company = Some(cell.trim().to_owned()),
                Form::Tags => tag_names = Some(cell.as_str()),
                _ => match fields::argument(field, cell) {
                    Ok(value) => {
                        arguments.insert(field.name.to_owned(), value);
                    }
                    Err(message) => wrong.push(format!("{} {message}", field.name)),
                },
            }
        }
        if !wrong.is_empty() {
            return Err(Error::validation(wrong.join("; ")));
        }
        let mut tags = self.tags.clone();
        for name in tag_names.into_iter().flat_map(fields::parts) {
            tags.push(tag_called(ctx, name).await?);
        }
        if let (Some(source), false) = (&self.source, arguments.contains_key("source")) {
            arguments.insert("source".to_owned(), json!(source));
        }
        let found = match self.on_duplicate {
            OnDuplicate::Create => None,
            _ => self.existing(ctx, &arguments).await?,
        };
        if found.is_some() && self.on_duplicate == OnDuplicate::Skip {
            return Ok(Outcome::Skipped);
        }
        if let Some(id) = found {
            arguments.insert("id".to_owned(), json!(id));
            if !tags.is_empty() {
                let of = tag_link::of(ctx, PARTIES.noun, &[id]).await?;
                tags.extend(of.values().flatten().filter_map(|tag| Uuid::try_parse(tag.id()).ok()));
            }
        }
        if !tags.is_empty() {
            tags.sort_unstable();
            tags.dedup();
            arguments.insert("tags".to_owned(), json!(tags));
        }
        let known = company.as_ref().and_then(|name| self.companies.get(name).copied());
        let create_companies = self.create_companies;
        let tool = match (self.is_person, found) {
            (true, None) => "person_create",
            (true, Some(_)) => "person_update",
            (false, None) => "company_create",
            (false, Some(_)) => "company_update",
        };
        let wanted = company.clone();
        // A company that was made for a row goes with it when the row is refused.
        let id = ctx
            .step(move |ctx| {
                Box::pin(async move {
                    let id = match (wanted, known) {
                        (Some(name), None) => Some(company_called(ctx, &name, create_companies).await?),
                        (_, known) => known,
                    };
                    if let Some(id) = id {
                        arguments.insert("organization".to_owned(), json!(id));
                    }
                    ctx.nested(tool, arguments).await?;
                    Ok(id)
                })
            })
            .await?;
        if let (Some(name), Some(id)) = (company, id) {
            self.companies.insert(name, id);
        }
        Ok(if found.is_some() { Outcome::Updated } else { Outcome::Created })
    }

    /// The record that a row is about: by its id in another system, else its tax number, its e-mail, or (company) its name.
    async fn existing(&self, ctx: &mut Ctx, arguments: &Map<String, Value>) -> Result<Option<Uuid>> {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).map(|text| text.trim().to_owned());
        let nip = text("nip").and_then(|nip| Nip::parse(&nip).ok()).map(|nip| nip.as_str().to_owned());
        let mut ways = vec![
            ("unique_id", text("unique_id")),
            ("nip", nip),
            ("primary_email_folded", text("primary_email").map(|email| email.to_lowercase())),
        ];
        if !self.is_person {
            ways.push(("display_name", text("name")));
        }
        for (column, value) in ways {
            let Some(value) = value else { continue };
            // By this alone: an index of kind and state would seem to narrow more, and walk through everybody.
            let mut sql = ctx.select("id, kind, active", &PARTIES);
            sql.and_eq(column, value);
            // Said as in the partial indexes, so that the planner recognises them.
            match column {
                "unique_id" => _ = sql.push(" AND unique_id <> ''"),
                "display_name" => _ = sql.push(" AND kind = 'company'"),
                _ => {}
            }
            sql.push(" LIMIT 50");
            let kind = if self.is_person { "person" } else { "company" };
            for row in ctx.rows(&sql).await? {
                if row.get::<String>(1)? == kind && row.get::<bool>(2)? {
                    return row.get(0).map(Some);
                }
            }
        }
        Ok(None)
    }
}

async fn tag_called(ctx: &mut Ctx, name: &str) -> Result<Uuid> {
    let mut sql = ctx.select("id", &TAGS);
    sql.and_eq("name", name);
    let rows = ctx.rows(&sql).await?;
    let row = rows.first().ok_or_else(|| {
        Error::validation(format!("there is no tag {name}; make it with tag_find_or_create, or leave its column out"))
    })?;
    row.get(0)
}

async fn company_called(ctx: &mut Ctx, name: &str, create: bool) -> Result<Uuid> {
    let mut sql = ctx.select("id", &PARTIES);
    sql.and_eq("kind", "company").and_eq("display_name", name).push(" LIMIT 1");
    if let Some(row) = ctx.rows(&sql).await?.first() {
        return row.get(0);
    }
    let mut sql = ctx.select("id", &PARTIES);
    sql.and_eq("kind", "company").and_eq("name_folded", fold(name)).push(" ORDER BY num LIMIT 1");
    if let Some(row) = ctx.rows(&sql).await?.first() {
        return row.get(0);
    }
    if !create {
        return Err(Error::validation(format!(
            "there is no company called {name}; make it with company_create, or set create_companies"
        )));
    }
    let made = ctx.nested("company_create", Map::from_iter([("name".to_owned(), json!(name))])).await?;
    let id = made.get("id").and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
    id.ok_or_else(|| Error::internal("a company was made without an id"))
}
