//! Answers laid out for people: rows under column heads, a record line by line.

use serde_json::Value;

/// A column: what stands above it, and what it shows of a row.
pub(super) type Column = (&'static str, fn(&Value) -> String);

/// Rows under their column heads. Numbers would stand to the right; names do not, and the last column may be as long as it is.
pub(super) fn rows(columns: &[Column], rows: &[Value]) -> String {
    let heads = columns.iter().map(|(head, _)| (*head).to_owned()).collect::<Vec<_>>();
    let lines = rows.iter().map(|row| columns.iter().map(|(_, of)| of(row)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(heads).chain(lines).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
        })
        .collect();
    let laid_out = lines.iter().map(|line| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    laid_out.collect::<Vec<_>>().join("\n")
}

/// A record, a field on each line; what is empty is left out.
pub(super) fn record(record: &Value) -> String {
    let fields: Vec<(&String, String)> = record
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name, cell(value)))
        .filter(|(_, text)| !text.is_empty())
        .collect();
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    fields.iter().map(|(name, text)| format!("{name:width$}  {text}")).collect::<Vec<_>>().join("\n")
}

/// A field of a row.
pub(super) fn field(row: &Value, name: &str) -> String {
    row.get(name).map(cell).unwrap_or_default()
}

/// An instant to the second: nobody waits for the microsecond.
pub(super) fn instant(row: &Value, name: &str) -> String {
    field(row, name).split('.').next().unwrap_or_default().trim_end_matches('Z').replace('T', " ")
}

/// A value on one line. What would move the cursor or colour the terminal is shown as a question mark in a box.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        // Of something that has a name the name, as of a role.
        Value::Object(members) => members.get("name").map_or_else(|| value.to_string(), cell),
        Value::Number(number) => number.to_string(),
    };
    text.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let people = [json!({"num": 1, "name": "Żaneta"}), json!({"num": 120, "name": "Jan"})];
        let columns: [Column; 2] = [("num", |row| field(row, "num")), ("name", |row| field(row, "name"))];
        assert_eq!(rows(&columns, &people), "num  name\n1    Żaneta\n120  Jan");
        assert_eq!(rows(&columns, &[]), "num  name");
    }

    #[test]
    fn a_record_shows_what_it_has() {
        let shown = record(&json!({
            "num": 7, "active": true, "phone": null, "roles": [{"id": "x", "name": "User"}, {"id": "y", "name": "Guest"}], "tags": [],
        }));
        assert_eq!(shown, "num     7\nactive  yes\nroles   User, Guest");
    }

    #[test]
    fn nothing_in_a_cell_reaches_the_terminal_as_a_command() {
        assert_eq!(field(&json!({"name": "a\u{1b}[31mb\nc\u{9b}"}), "name"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}");
        assert_eq!(instant(&json!({"at": "2026-11-27T10:23:40.246961Z"}), "at"), "2026-11-27 10:23:40");
        assert_eq!(instant(&json!({"at": null}), "at"), "");
    }
}
