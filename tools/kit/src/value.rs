//! Neutral values and rows: what both databases speak.

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::money::Money;
use crate::time::{Date, Instant};

/// A value bound to, or read from, a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Val {
    /// SQL NULL; PostgreSQL infers its type.
    Null,
    /// INTEGER 0/1 on SQLite, BOOLEAN on PostgreSQL.
    Bool(bool),
    /// INTEGER, BIGINT.
    Int(i64),
    /// REAL, DOUBLE PRECISION.
    Float(f64),
    /// TEXT on both.
    Text(String),
    /// BLOB of 16 bytes, UUID.
    Id(Uuid),
    /// INTEGER microseconds, TIMESTAMPTZ.
    Instant(Instant),
    /// TEXT, DATE.
    Date(Date),
    /// TEXT, JSONB.
    Json(String),
    /// BLOB, BYTEA.
    Bytes(Vec<u8>),
}

impl Val {
    /// Whether this is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

macro_rules! into_val {
    ($($from:ty => |$name:ident| $to:expr),* $(,)?) => {
        $(impl From<$from> for Val { fn from($name: $from) -> Self { $to } })*
    };
}

into_val! {
    bool => |v| Val::Bool(v),
    i64 => |v| Val::Int(v),
    f64 => |v| Val::Float(v),
    String => |v| Val::Text(v),
    &str => |v| Val::Text(v.to_owned()),
    Uuid => |v| Val::Id(v),
    Instant => |v| Val::Instant(v),
    Date => |v| Val::Date(v),
    Money => |v| Val::Int(v.units()),
    serde_json::Value => |v| Val::Json(v.to_string()),
    crate::text::Email => |v| Val::Text(v.to_string()),
}

impl<T: Into<Val>> From<Option<T>> for Val {
    fn from(value: Option<T>) -> Self {
        value.map_or(Val::Null, Into::into)
    }
}

/// A Rust type that can be read out of a row.
pub trait FromVal: Sized {
    /// The value, or none when it is of another type.
    fn from_val(value: &Val) -> Option<Self>;
}

macro_rules! from_val {
    ($($to:ty => { $($pattern:pat => $result:expr),* $(,)? })*) => {
        $(impl FromVal for $to {
            fn from_val(value: &Val) -> Option<Self> {
                match value { $($pattern => $result,)* _ => None }
            }
        })*
    };
}

from_val! {
    bool => { Val::Bool(v) => Some(*v), Val::Int(v) => Some(*v != 0) }
    i64 => { Val::Int(v) => Some(*v) }
    f64 => { Val::Float(v) => Some(*v), Val::Int(v) => Some(*v as f64) }
    String => { Val::Text(v) => Some(v.clone()), Val::Json(v) => Some(v.clone()) }
    Uuid => { Val::Id(v) => Some(*v), Val::Bytes(v) => Uuid::from_slice(v).ok() }
    Instant => { Val::Instant(v) => Some(*v), Val::Int(v) => Some(Instant::from_micros(*v)) }
    Date => { Val::Date(v) => Some(*v), Val::Text(v) => Date::parse(v).ok() }
    Money => { Val::Int(v) => Some(Money::from_units(*v)) }
    serde_json::Value => { Val::Json(v) | Val::Text(v) => serde_json::from_str(v).ok() }
    Vec<u8> => { Val::Bytes(v) => Some(v.clone()) }
}

impl<T: FromVal> FromVal for Option<T> {
    fn from_val(value: &Val) -> Option<Self> {
        if value.is_null() { Some(None) } else { T::from_val(value).map(Some) }
    }
}

/// One row of a result, cells in the order of the select list.
#[derive(Debug, Clone)]
pub struct Row(pub(crate) Vec<Val>);

impl Row {
    /// The cell at `index`; an internal error when it is absent or of another type.
    pub fn get<T: FromVal>(&self, index: usize) -> Result<T> {
        self.0.get(index).and_then(T::from_val).ok_or_else(|| {
            Error::internal(format!("column {index} of a row is {:?}, not what the code expects", self.0.get(index)))
        })
    }
}
