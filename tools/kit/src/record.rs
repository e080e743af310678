//! A row of a described table, and the values about to be written to one.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::guards::{Guard, stands};
use crate::id::Kind;
use crate::money::Money;
use crate::table::{Column, Table, Type};
use crate::time::Instant;
use crate::value::{FromVal, Row, Val};

/// A row of a described table.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its table.
    pub table: &'static Table,
    /// Its key.
    pub id: Uuid,
    /// Its number in the tenant, where the table counts.
    pub num: Option<i64>,
    /// The organization it belongs to; none means the whole tenant.
    pub organization_id: Option<Uuid>,
    /// Grows with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// Own columns, in the table's order.
    pub(crate) cells: Vec<Val>,
}

/// System columns in the order in which [`Record::from_row`] reads them.
pub(crate) fn select_list(table: &Table) -> String {
    let mut list = String::from("id, ");
    list.push_str(if table.numbered { "num, " } else { "NULL, " });
    list.push_str(if table.in_organization { "organization_id, " } else { "NULL, " });
    list.push_str("version, created_at, updated_at");
    for column in table.columns {
        list.push_str(", ");
        list.push_str(column.name);
    }
    list
}

impl Record {
    pub(crate) fn from_row(table: &'static Table, row: Row) -> Result<Self> {
        let (id, num, organization_id) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (version, created_at, updated_at) = (row.get(3)?, row.get(4)?, row.get(5)?);
        let cells = row.0.into_iter().skip(6).zip(table.columns).map(|(cell, column)| column.canonical(cell)).collect();
        Ok(Self { table, id, num, organization_id, version, created_at, updated_at, cells })
    }

    /// The cell of a column, raw.
    pub fn cell(&self, column: &str) -> &Val {
        let index = self.table.columns.iter().position(|candidate| candidate.name == column);
        index.and_then(|index| self.cells.get(index)).unwrap_or(&Val::Null)
    }

    /// The cell of a column as a Rust type; an internal error when the types disagree.
    pub fn get<T: FromVal>(&self, column: &str) -> Result<T> {
        T::from_val(self.cell(column)).ok_or_else(|| {
            Error::internal(format!(
                "{}.{column} is {:?}, not what the code expects",
                self.table.name,
                self.cell(column)
            ))
        })
    }

    /// A text cell; empty when NULL.
    pub fn text(&self, column: &str) -> &str {
        match self.cell(column) {
            Val::Text(text) | Val::Json(text) => text,
            _ => "",
        }
    }

    /// A flag cell; false when NULL.
    pub fn flag(&self, column: &str) -> bool {
        matches!(self.cell(column), Val::Bool(true))
    }

    /// A reference cell.
    pub fn id_of(&self, column: &str) -> Option<Uuid> {
        match self.cell(column) {
            Val::Id(id) => Some(*id),
            _ => None,
        }
    }

    /// Columns with their cells.
    pub fn cells(&self) -> impl Iterator<Item = (&'static Column, &Val)> {
        self.table.columns.iter().zip(&self.cells)
    }

    /// The record as tools answer it, as a value.
    pub fn to_json(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(object)) => object,
            _ => Map::new(),
        }
    }

    /// The record as tools answer it, as bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(Error::internal)
    }

    /// Everything needed to put the row back, without secrets: what the journal keeps.
    pub(crate) fn snapshot(&self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("id".into(), json!(self.id));
        object.insert("num".into(), json!(self.num));
        object.insert("organization_id".into(), json!(self.organization_id));
        object.insert("version".into(), json!(self.version));
        object.insert("created_at".into(), json!(self.created_at));
        object.insert("updated_at".into(), json!(self.updated_at));
        for (column, cell) in self.cells().filter(|(column, _)| !column.secret || !stands(Guard::JournalSecrets)) {
            object.insert(column.name.into(), column.to_json(cell));
        }
        object
    }

    /// The row that a snapshot describes. Secret columns come back NULL.
    pub(crate) fn from_snapshot(table: &'static Table, snapshot: &Map<String, Value>) -> Result<Self> {
        let corrupt = || Error::internal(format!("the journal holds no whole row of {}", table.name));
        let uuid = |name: &str| snapshot.get(name).and_then(Value::as_str).and_then(|text| Uuid::try_parse(text).ok());
        let instant = |name: &str| {
            snapshot.get(name).and_then(Value::as_str).and_then(|text| Instant::parse(text).ok()).ok_or_else(corrupt)
        };
        let cells = table
            .columns
            .iter()
            .map(|column| snapshot.get(column.name).map_or(Ok(Val::Null), |value| column.val_of_json(value)))
            .collect::<Result<_>>()?;
        Ok(Self {
            table,
            id: uuid("id").ok_or_else(corrupt)?,
            num: snapshot.get("num").and_then(Value::as_i64),
            organization_id: uuid("organization_id"),
            version: snapshot.get("version").and_then(Value::as_i64).ok_or_else(corrupt)?,
            created_at: instant("created_at")?,
            updated_at: instant("updated_at")?,
            cells,
        })
    }

    /// The folded text of all searched columns.
    pub(crate) fn folded(&self) -> String {
        let words: Vec<&str> =
            self.cells().filter(|(column, _)| column.search).map(|(column, _)| self.text(column.name)).collect();
        crate::text::fold(&words.join(" "))
    }
}

/// As tools answer it: without hidden columns.
impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("id", &self.id)?;
        if let Some(num) = self.num {
            object.serialize_entry("num", &num)?;
        }
        for (column, cell) in self.cells().filter(|(column, _)| !column.hidden) {
            object.serialize_entry(column.name, &Cell(column, cell))?;
        }
        if self.table.in_organization {
            object.serialize_entry("organization_id", &self.organization_id)?;
        }
        object.serialize_entry("version", &self.version)?;
        object.serialize_entry("created_at", &self.created_at)?;
        object.serialize_entry("updated_at", &self.updated_at)?;
        object.end()
    }
}

/// A cell as its column shows it.
struct Cell<'a>(&'a Column, &'a Val);

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.1, self.0.kind) {
            (Val::Null | Val::Bytes(_), _) => serializer.serialize_unit(),
            (Val::Int(units), Type::Money) => Money::from_units(*units).serialize(serializer),
            (Val::Int(number), _) => serializer.serialize_i64(*number),
            (Val::Bool(flag), _) => serializer.serialize_bool(*flag),
            (Val::Float(number), _) => serializer.serialize_f64(*number),
            (Val::Id(id), _) => id.serialize(serializer),
            (Val::Instant(at), _) => at.serialize(serializer),
            (Val::Date(date), _) => date.serialize(serializer),
            (Val::Text(text), _) => serializer.serialize_str(text),
            (Val::Json(json), _) => {
                let value: Value = serde_json::from_str(json).map_err(serde::ser::Error::custom)?;
                value.serialize(serializer)
            }
        }
    }
}

/// A record of one kind, as the typed output of a hand-written tool.
#[derive(Debug)]
pub struct Shown<K>(Record, PhantomData<fn() -> K>);

impl<K: Kind> From<Record> for Shown<K> {
    fn from(record: Record) -> Self {
        Self(record, PhantomData)
    }
}

impl<K> Serialize for Shown<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<K: Kind> JsonSchema for Shown<K> {
    fn schema_name() -> Cow<'static, str> {
        K::TABLE.noun.into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        Schema::try_from(crate::family::record_schema(K::TABLE)).unwrap_or_default()
    }
}

/// Columns about to be written, each at most once.
#[derive(Debug, Clone, Default)]
pub struct Values(Vec<(&'static str, Val)>);

impl Values {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a column.
    pub fn set(&mut self, column: &'static str, value: impl Into<Val>) -> &mut Self {
        let value = value.into();
        match self.0.iter_mut().find(|(name, _)| *name == column) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((column, value)),
        }
        self
    }

    /// The same, for chains.
    pub fn with(mut self, column: &'static str, value: impl Into<Val>) -> Self {
        self.set(column, value);
        self
    }

    /// The value given for a column; none when it is not mentioned.
    pub fn get(&self, column: &str) -> Option<&Val> {
        self.0.iter().find(|(name, _)| *name == column).map(|(_, value)| value)
    }

    /// Whether the column is mentioned with a value other than NULL.
    pub fn has(&self, column: &str) -> bool {
        self.get(column).is_some_and(|value| !value.is_null())
    }

    /// A text value that is mentioned and not NULL.
    pub fn text(&self, column: &str) -> Option<&str> {
        match self.get(column) {
            Some(Val::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A reference that is mentioned and not NULL.
    pub fn id_of(&self, column: &str) -> Option<Uuid> {
        match self.get(column) {
            Some(Val::Id(id)) => Some(*id),
            _ => None,
        }
    }

    /// Takes a column out again.
    pub fn remove(&mut self, column: &str) -> Option<Val> {
        let index = self.0.iter().position(|(name, _)| *name == column)?;
        Some(self.0.remove(index).1)
    }

    /// Whether nothing is mentioned.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Val)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }
}
