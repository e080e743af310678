//! People, companies and deals as text, page by page.

use std::collections::HashMap;

use bureau_kit::prelude::*;

use super::cells::outward;
use super::fields::{self, Form};
use super::sheet::Format;
use crate::deal::DEALS;
use crate::party::PARTIES;
use crate::tag_link;

pub(super) fn tools() -> Vec<Tool> {
    const HOW: &str =
        "as CSV or JSON lines, oldest first, at most 1000 a call: go on with next_cursor until it is null.";
    vec![
        Tool::read("person_export", super::VIEW, people)
            .alias("contact_export")
            .title("Export people")
            .about(format!("Write the people you may see {HOW} contact_import_run reads it back."))
            .synonyms("csv download contacts all people file eksport wyeksportuj osoby osób kontaktów do pliku pobierz експорт людей контактів"),
        Tool::read("company_export", "customers.companies.view", companies)
            .title("Export companies")
            .about(format!("Write the companies you may see {HOW} contact_import_run reads it back."))
            .synonyms("csv download firms eksport firm pobierz експорт компаній"),
        Tool::read("deal_export", "customers.deals.view", deals)
            .title("Export deals")
            .about(format!("Write the deals you may see {HOW}"))
            .synonyms("csv download opportunities eksport szans sprzedaży експорт угод"),
    ]
}

/// Rows of one answer at most, and the size at which it ends early.
const MOST: i64 = 1000;
const ENOUGH: usize = 400_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExportInput {
    /// How to write it; csv when left out. A cell that a spreadsheet would run gets an apostrophe in front in csv.
    format: Option<Format>,
    /// next_cursor of the answer before; none for the first.
    #[schemars(range(min = 0))]
    cursor: Option<i64>,
    /// Most rows, 1000 when left out.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Exported {
    /// The text. In csv the first answer begins with the headings, so that the answers can be joined.
    content: String,
    /// Rows in it.
    rows: usize,
    /// Where to go on; null at the end.
    next_cursor: Option<i64>,
}

async fn people(ctx: &mut Ctx, input: ExportInput) -> Result<Exported> {
    parties(ctx, input, true).await
}

async fn companies(ctx: &mut Ctx, input: ExportInput) -> Result<Exported> {
    parties(ctx, input, false).await
}

/// The records after the cursor, and whether there are more.
async fn page(ctx: &mut Ctx, table: &'static Table, mut sql: Sql, input: &ExportInput) -> Result<(Vec<Record>, bool)> {
    let limit = input.limit.unwrap_or(MOST);
    if !(1..=MOST).contains(&limit) {
        return Err(Error::invalid("/limit", format!("expected a whole number from 1 to {MOST}")));
    }
    sql.push(" AND num > ").bind(input.cursor.unwrap_or(0)).push(" ORDER BY num LIMIT ").bind(limit.saturating_add(1));
    let mut records = ctx.records(table, &sql).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = records.len() > limit;
    records.truncate(limit);
    Ok((records, more))
}

async fn parties(ctx: &mut Ctx, input: ExportInput, is_person: bool) -> Result<Exported> {
    let mut sql = ctx.from(&PARTIES);
    sql.and_eq("kind", if is_person { "person" } else { "company" });
    let (records, more) = page(ctx, &PARTIES, sql, &input).await?;
    let ids: Vec<Uuid> = records.iter().map(|record| record.id).collect();
    let tags = tag_link::of(ctx, PARTIES.noun, &ids).await?;
    let companies = company_names(ctx, &records).await?;
    let columns: Vec<&'static str> = fields::of(is_person).map(|field| field.name).collect();
    let mut text = Text::new(input.format, input.cursor, columns);
    for record in &records {
        let stored = record.to_json();
        let values = fields::of(is_person).map(|field| match field.form {
            Form::Company => {
                record.id_of(field.column).and_then(|id| companies.get(&id)).map_or(Value::Null, |name| json!(name))
            }
            Form::Tags => {
                let names: Vec<&str> = tags.get(&record.id).into_iter().flatten().map(tag_link::TagRef::name).collect();
                json!(names.join("|"))
            }
            _ => stored.get(field.column).cloned().unwrap_or_default(),
        });
        text.add(record, values.collect())?;
        if text.is_full() {
            break;
        }
    }
    text.finish(records.len(), more)
}

async fn company_names(ctx: &mut Ctx, people: &[Record]) -> Result<HashMap<Uuid, String>> {
    let mut ids: Vec<Uuid> = people.iter().filter_map(|person| person.id_of("company_id")).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = ctx.select("id, display_name", &PARTIES);
    sql.and_in("id", ids);
    ctx.rows(&sql).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

async fn deals(ctx: &mut Ctx, input: ExportInput) -> Result<Exported> {
    let sql = ctx.from(&DEALS);
    let (records, more) = page(ctx, &DEALS, sql, &input).await?;
    let columns = ["id", "num"].into_iter().chain(DEALS.shown().map(|column| column.name)).collect();
    let mut text = Text::new(input.format, input.cursor, columns);
    for record in &records {
        let stored = record.to_json();
        let values = text.columns.iter().map(|name| stored.get(*name).cloned().unwrap_or_default()).collect();
        text.add(record, values)?;
        if text.is_full() {
            break;
        }
    }
    text.finish(records.len(), more)
}

/// Text in the making.
struct Text {
    format: Format,
    columns: Vec<&'static str>,
    out: Vec<u8>,
    headed: bool,
    rows: usize,
    last: Option<i64>,
}

impl Text {
    fn new(format: Option<Format>, cursor: Option<i64>, columns: Vec<&'static str>) -> Self {
        let format = format.unwrap_or(Format::Csv);
        let headed = format == Format::Csv && cursor.is_none_or(|cursor| cursor == 0);
        Self { format, columns, out: Vec::new(), headed, rows: 0, last: None }
    }

    fn line(&mut self, cells: impl IntoIterator<Item = String>) -> Result<()> {
        let mut writer = ::csv::WriterBuilder::new().from_writer(&mut self.out);
        writer.write_record(cells.into_iter().map(outward)).map_err(Error::internal)?;
        writer.flush().map_err(Error::internal)
    }

    fn head(&mut self) -> Result<()> {
        if std::mem::take(&mut self.headed) {
            self.line(self.columns.clone().into_iter().map(str::to_owned))?;
        }
        Ok(())
    }

    fn add(&mut self, record: &Record, values: Vec<Value>) -> Result<()> {
        self.head()?;
        match self.format {
            Format::Csv => self.line(values.iter().map(fields::cell))?,
            Format::Jsonl => {
                let names = self.columns.iter().map(|name| (*name).to_owned());
                let row: Map<String, Value> = names.zip(values).collect();
                serde_json::to_writer(&mut self.out, &row).map_err(Error::internal)?;
                self.out.push(b'\n');
            }
        }
        self.rows = self.rows.saturating_add(1);
        self.last = record.num;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.out.len() >= ENOUGH
    }

    fn finish(mut self, found: usize, more: bool) -> Result<Exported> {
        self.head()?;
        let next_cursor = self.last.filter(|_| more || self.rows < found);
        let content = String::from_utf8(self.out).map_err(Error::internal)?;
        Ok(Exported { content, rows: self.rows, next_cursor })
    }
}
