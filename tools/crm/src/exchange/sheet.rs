//! The text of a file as columns and rows, each row with its line.

use std::io::Read as _;

use bureau_kit::prelude::*;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// Comma, semicolon or tab between cells, quotes where needed; the first line names the columns.
    Csv,
    /// A JSON object on each line.
    Jsonl,
}

impl Format {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

#[derive(Debug)]
pub(super) struct Row {
    pub line: i64,
    /// Its cells in the order of the columns, or what is wrong with it.
    pub cells: Result<Vec<String>, String>,
}

#[derive(Debug)]
pub(super) struct Sheet {
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

/// Reads a text. `first_line` is the line of the file on which the first row after the headings stands.
pub(super) fn read(content: &str, format: Format, first_line: i64) -> Result<Sheet> {
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    match format {
        Format::Csv => csv(content, first_line),
        Format::Jsonl => jsonl(content, first_line),
    }
}

/// What stands between cells: whatever the first line has most of, outside of quotes.
fn separator(content: &str) -> u8 {
    let (mut quoted, mut counts) = (false, [0_usize; 3]);
    let [comma, semicolon, tab] = &mut counts;
    for letter in content.chars() {
        match letter {
            '"' => quoted = !quoted,
            '\n' if !quoted => break,
            ',' if !quoted => *comma = comma.saturating_add(1),
            ';' if !quoted => *semicolon = semicolon.saturating_add(1),
            '\t' if !quoted => *tab = tab.saturating_add(1),
            _ => {}
        }
    }
    match counts {
        [comma, semicolon, tab] if tab > comma && tab >= semicolon => b'\t',
        [comma, semicolon, _] if semicolon > comma => b';',
        _ => b',',
    }
}

fn csv(content: &str, first_line: i64) -> Result<Sheet> {
    // The last row ends its line like all others, so that lines are counted alike.
    let end: &[u8] = if content.ends_with('\n') { b"" } else { b"\n" };
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(separator(content))
        .flexible(true)
        .has_headers(true)
        .from_reader(content.as_bytes().chain(end));
    let wrong = |error: ::csv::Error| Error::invalid("/content", format!("is no CSV: {error}"));
    let columns: Vec<String> = reader.headers().map_err(wrong)?.iter().map(|name| name.trim().to_owned()).collect();
    // Headings may themselves take several lines.
    let head = i64::try_from(reader.position().line()).unwrap_or(2);
    let mut rows = Vec::new();
    let mut record = ::csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(wrong)? {
        // Counted back from the end of the row: the reader says where it began to look, which may be a blank line before it.
        let inside: usize = record.iter().map(|cell| cell.matches('\n').count()).sum();
        let end = i64::try_from(reader.position().line()).unwrap_or(head);
        let at = end.saturating_sub(1).saturating_sub(i64::try_from(inside).unwrap_or(i64::MAX));
        let line = first_line.saturating_add(at.saturating_sub(head));
        let cells: Vec<String> = record.iter().map(str::to_owned).collect();
        let cells = if cells.len() > columns.len() {
            Err(format!("has {} cells, and there are only {} columns", cells.len(), columns.len()))
        } else {
            Ok(cells.iter().map(|cell| super::cells::inward(cell).to_owned()).collect())
        };
        rows.push(Row { line, cells });
    }
    Ok(Sheet { columns, rows })
}

fn jsonl(content: &str, first_line: i64) -> Result<Sheet> {
    let mut columns: Vec<String> = Vec::new();
    let mut read = Vec::new();
    for (index, text) in content.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let line = first_line.saturating_add(i64::try_from(index).unwrap_or(i64::MAX));
        let row =
            serde_json::from_str::<Map<String, Value>>(text).map_err(|error| format!("is no JSON object: {error}"));
        if let Ok(row) = &row {
            for name in row.keys().filter(|name| !columns.contains(name)).cloned().collect::<Vec<_>>() {
                if columns.len() >= 200 {
                    return Err(Error::invalid("/content", "has more than 200 different keys"));
                }
                columns.push(name);
            }
        }
        read.push((line, row));
    }
    let cells = |row: Map<String, Value>| {
        columns.iter().map(|name| row.get(name).map(super::fields::cell).unwrap_or_default()).collect()
    };
    let rows = read.into_iter().map(|(line, row)| Row { line, cells: row.map(cells) }).collect();
    Ok(Sheet { columns, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_quotes_and_lines() {
        let sheet = read("\u{feff}name;note\r\n\"A;B\";\"two\nlines\"\r\nC;x;y\r\n'=1;z\r\n", Format::Csv, 2).unwrap();
        assert_eq!(sheet.columns, ["name", "note"]);
        let rows: Vec<_> = sheet.rows.into_iter().map(|row| (row.line, row.cells)).collect();
        let cells = |list: &[&str]| Ok(list.iter().map(|cell| (*cell).to_owned()).collect());
        assert_eq!(
            rows,
            [
                (2, cells(&["A;B", "two\nlines"])),
                (4, Err("has 3 cells, and there are only 2 columns".to_owned())),
                (5, cells(&["=1", "z"])),
            ]
        );
        let lines =
            |content: &str| read(content, Format::Csv, 2).unwrap().rows.iter().map(|row| row.line).collect::<Vec<_>>();
        assert_eq!(lines("name\nA\n\n\nB\n\"C\nD\"\n\nE"), [2, 5, 6, 9]);
        assert_eq!(lines("name\r\nA\r\n\r\nB\r\n"), [2, 4]);
        let sheet = read("a\tb\n1\t2", Format::Csv, 2).unwrap();
        assert_eq!(sheet.columns, ["a", "b"]);
    }
}
