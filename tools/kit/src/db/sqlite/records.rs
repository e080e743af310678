//! Rows of a described table as JSON, straight from SQLite's own values: a page of a list makes no record on the way.
//!
//! Must write exactly what [`Record`](crate::record::Record) serialises to; a test compares the two.

use rusqlite::Row;
use rusqlite::types::ValueRef;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::money::Money;
use crate::table::{Table, Type};
use crate::time::Instant;

/// What a cell is, as far as its JSON goes.
#[derive(Clone, Copy)]
enum Form {
    Number,
    Flag,
    Money,
    Instant,
    Id,
    Text,
    Json,
}

/// One member of the object: `,"name":`, the place of its cell in the select list, and its form.
struct Member {
    key: Vec<u8>,
    cell: usize,
    form: Form,
}

/// Writes rows of one table.
pub(super) struct Writer(Vec<Member>);

impl Writer {
    /// The members in the order in which a record shows them; cells as [`select_list`](crate::record::select_list) has them.
    pub(super) fn new(table: &Table) -> Self {
        let mut members = Vec::with_capacity(table.columns.len().saturating_add(6));
        let mut add = |name: &str, cell: usize, form: Form| {
            let opening = if members.is_empty() { '{' } else { ',' };
            members.push(Member { key: format!("{opening}\"{name}\":").into_bytes(), cell, form });
        };
        add("id", 0, Form::Id);
        if table.numbered {
            add("num", 1, Form::Number);
        }
        for (index, column) in table.columns.iter().enumerate().filter(|(_, column)| !column.hidden) {
            let form = match column.kind {
                Type::Count { .. } => Form::Number,
                Type::Flag => Form::Flag,
                Type::Money => Form::Money,
                Type::Instant => Form::Instant,
                Type::Json => Form::Json,
                Type::Reference { .. } | Type::SubjectId { .. } => Form::Id,
                Type::Text { .. } | Type::Choice(_) | Type::Email | Type::Color | Type::Date | Type::SubjectType => {
                    Form::Text
                }
            };
            add(column.name, index.saturating_add(6), form);
        }
        if table.in_organization {
            add("organization_id", 2, Form::Id);
        }
        add("version", 3, Form::Number);
        add("created_at", 4, Form::Instant);
        add("updated_at", 5, Form::Instant);
        Self(members)
    }

    pub(super) fn write(&self, row: &Row<'_>, json: &mut Vec<u8>) -> Result<()> {
        for member in &self.0 {
            json.extend_from_slice(&member.key);
            let cell = row.get_ref(member.cell).map_err(Error::internal)?;
            write_cell(cell, member.form, json)?;
        }
        json.push(b'}');
        Ok(())
    }
}

fn write_cell(cell: ValueRef<'_>, form: Form, json: &mut Vec<u8>) -> Result<()> {
    match (cell, form) {
        (ValueRef::Null, _) => json.extend_from_slice(b"null"),
        (ValueRef::Integer(number), Form::Number) => serde_json::to_writer(json, &number).map_err(Error::internal)?,
        (ValueRef::Integer(flag), Form::Flag) => json.extend_from_slice(if flag == 0 { b"false" } else { b"true" }),
        (ValueRef::Integer(units), Form::Money) => {
            serde_json::to_writer(json, &Money::from_units(units)).map_err(Error::internal)?;
        }
        (ValueRef::Integer(micros), Form::Instant) => {
            let at = Instant::from_micros(micros);
            match at.digits() {
                Some(digits) => quoted(digits.as_str().as_bytes(), json),
                None => serde_json::to_writer(json, &at).map_err(Error::internal)?,
            }
        }
        (ValueRef::Blob(bytes), Form::Id) => {
            let id = Uuid::from_slice(bytes).map_err(Error::internal)?;
            quoted(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes(), json);
        }
        (ValueRef::Text(text), Form::Text) => {
            let text = std::str::from_utf8(text).map_err(Error::internal)?;
            serde_json::to_writer(json, text).map_err(Error::internal)?;
        }
        (ValueRef::Text(text), Form::Json) => json.extend_from_slice(text),
        (other, _) => {
            return Err(Error::internal(format!("a cell holds {:?}, not what its column says", other.data_type())));
        }
    }
    Ok(())
}

/// Text that needs no escaping, in quotes.
fn quoted(text: &[u8], json: &mut Vec<u8>) {
    json.push(b'"');
    json.extend_from_slice(text);
    json.push(b'"');
}
