//! One column: what it stores, what it accepts, and how it is shown.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error::{Error, FieldError, Result};
use crate::id::Key;
use crate::money::Money;
use crate::text::Email;
use crate::time::{Date, Instant};
use crate::value::{FromVal, Val};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Text, counted in characters.
    Text {
        /// Most characters.
        max: usize,
    },
    /// Text from a closed list.
    Choice(&'static [&'static str]),
    /// An e-mail address.
    Email,
    /// A colour as `#rrggbb`.
    Color,
    /// True or false; 0 and 1 are read as well.
    Flag,
    /// A whole number within bounds.
    Count {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// An amount, not below zero, exact to the grosz.
    Money,
    /// A moment in UTC.
    Instant,
    /// A day.
    Date,
    /// Any JSON value.
    Json,
    /// A record of another table.
    Reference {
        /// Name of the other table.
        table: &'static str,
        /// What happens here when the other record is deleted.
        on_delete: OnDelete,
    },
    /// The table half of a reference to a record of any table: its noun, such as `task`.
    SubjectType,
    /// The id half of such a reference.
    SubjectId {
        /// What happens here when the subject is deleted.
        on_delete: OnDelete,
    },
}

/// What becomes of a row when a record it refers to is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// It is deleted too.
    Cascade,
    /// Its reference is cleared.
    Clear,
    /// The deletion is refused while it exists.
    Refuse,
}

/// One column: storage, input and output in one place.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Name in the database and in JSON.
    pub name: &'static str,
    /// What it means, for the model that fills it.
    pub about: &'static str,
    /// What it holds.
    pub kind: Type,
    /// Must be given on create and cannot be cleared.
    pub required: bool,
    /// JSON text of the value used when a create leaves it out.
    pub default: Option<&'static str>,
    /// May be given on create.
    pub on_create: bool,
    /// May be changed by update.
    pub on_update: bool,
    /// Lists filter by equality.
    pub filter: bool,
    /// Lists filter by `<name>_from` and `<name>_to`.
    pub range: bool,
    /// Another name by which a source system's lists filter this range.
    pub range_alias: Option<&'static str>,
    /// Lists sort by it.
    pub sort: bool,
    /// Part of the folded text that `q` searches.
    pub search: bool,
    /// Never leaves the database: not in answers, journal, previews or logs.
    pub secret: bool,
    /// Not part of the family's answers and inputs; hand-written tools use it.
    pub hidden: bool,
}

impl Column {
    const fn new(name: &'static str, kind: Type, about: &'static str) -> Self {
        Self {
            name,
            about,
            kind,
            required: false,
            default: None,
            on_create: true,
            on_update: true,
            filter: false,
            range: false,
            range_alias: None,
            sort: false,
            search: false,
            secret: false,
            hidden: false,
        }
    }
    /// Text of at most 255 characters; see [`Column::max`].
    pub const fn text(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Type::Text { max: 255 }, about)
    }
    /// Another limit of length.
    pub const fn max(mut self, max: usize) -> Self {
        self.kind = Type::Text { max };
        self
    }
    /// Text from a closed list.
    pub const fn choice(name: &'static str, choices: &'static [&'static str], about: &'static str) -> Self {
        Self::new(name, Type::Choice(choices), about)
    }
    /// An e-mail address.
    pub const fn email(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Type::Email, about)
    }
    /// A colour.
    pub const fn color(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Type::Color, about)
    }
    /// A flag, false unless [`Column::default`] says otherwise.
    pub const fn flag(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Type::Flag, about).default("false")
    }
    /// A whole number.
    pub const fn count(name: &'static str, min: i64, max: i64, about: &'static str) -> Self {
        Self::new(name, Type::Count { min, max }, about)
    }
    /// An amount of money.
    pub const fn money(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Type::Money, about)
    }
    /// A moment.
    pub const fn instant(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Type::Instant, about)
    }
    /// A day.
    pub const fn date(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Type::Date, about)
    }
    /// Any JSON.
    pub const fn json(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Type::Json, about)
    }
    /// A record of another table.
    pub const fn reference(name: &'static str, table: &'static str, on_delete: OnDelete, about: &'static str) -> Self {
        Self::new(name, Type::Reference { table, on_delete }, about)
    }
    /// The noun of the record that this row hangs on; stands beside a [`Column::subject_id`].
    pub const fn subject_type(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Type::SubjectType, about).required()
    }
    /// The id of the record that this row hangs on.
    pub const fn subject_id(name: &'static str, on_delete: OnDelete, about: &'static str) -> Self {
        Self::new(name, Type::SubjectId { on_delete }, about).required()
    }
    /// Must be given, and cannot be cleared.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
    /// JSON text of the value that a create without it gets.
    pub const fn default(mut self, json: &'static str) -> Self {
        self.default = Some(json);
        self
    }
    /// Given once, never changed.
    pub const fn fixed(mut self) -> Self {
        self.on_update = false;
        self
    }
    /// Set by rules only: shown, never taken as input.
    pub const fn computed(mut self) -> Self {
        self.on_create = false;
        self.on_update = false;
        self
    }
    /// Lists filter by `<alias>_from` and `<alias>_to` too, as a source system writes it.
    pub const fn range_as(mut self, alias: &'static str) -> Self {
        self.range = true;
        self.range_alias = Some(alias);
        self
    }
    /// May be left out and cleared after all, where a constructor requires it.
    pub const fn optional(mut self) -> Self {
        self.required = false;
        self
    }
    /// Lists filter by equality.
    pub const fn filter(mut self) -> Self {
        self.filter = true;
        self
    }
    /// Lists filter by from and to.
    pub const fn range(mut self) -> Self {
        self.range = true;
        self
    }
    /// Lists sort by it.
    pub const fn sort(mut self) -> Self {
        self.sort = true;
        self
    }
    /// Found by `q`.
    pub const fn search(mut self) -> Self {
        self.search = true;
        self
    }
    /// Never shown, never journaled.
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self.hidden()
    }
    /// For hand-written tools only.
    pub const fn hidden(mut self) -> Self {
        self.hidden = true;
        self.on_create = false;
        self.on_update = false;
        self
    }

    /// Whether NULL can be stored.
    pub const fn nullable(&self) -> bool {
        !self.required && self.default.is_none()
    }

    /// Reads an argument for this column. References are checked for shape here and for existence by
    /// [`Ctx::resolve`](crate::ctx::Ctx::resolve).
    pub fn parse(&self, value: &Value) -> Result<Input, String> {
        let wrong = || format!("expected {}, got {}", self.expected(), shown(value));
        let text = || value.as_str().ok_or_else(wrong);
        Ok(Input::Val(match self.kind {
            Type::Text { max } => {
                // Numbers are taken as the text they are written with: models send telephone and house numbers so.
                let text = match value {
                    Value::Number(number) => number.to_string(),
                    _ => text()?.trim().to_owned(),
                };
                if text.chars().count() > max {
                    return Err(format!("is longer than {max} characters"));
                }
                if self.required && text.is_empty() {
                    return Err("must not be blank".into());
                }
                Val::Text(text)
            }
            Type::Choice(choices) => {
                let given = text()?;
                let choice = choices.iter().find(|choice| **choice == given).ok_or_else(wrong)?;
                Val::Text((*choice).to_owned())
            }
            Type::Email => Val::Text(Email::parse(text()?)?.to_string()),
            Type::Color => {
                let given = text()?;
                let digits = given.strip_prefix('#').ok_or_else(wrong)?;
                if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(wrong());
                }
                Val::Text(given.to_owned())
            }
            Type::Flag => match value {
                Value::Bool(flag) => Val::Bool(*flag),
                Value::Number(number) if number.as_i64() == Some(0) => Val::Bool(false),
                Value::Number(number) if number.as_i64() == Some(1) => Val::Bool(true),
                Value::String(flag) if matches!(flag.as_str(), "true" | "1") => Val::Bool(true),
                Value::String(flag) if matches!(flag.as_str(), "false" | "0") => Val::Bool(false),
                _ => return Err(wrong()),
            },
            Type::Count { min, max } => {
                let number = match value {
                    Value::Number(number) => number.as_i64().ok_or_else(wrong)?,
                    Value::String(digits) => digits.parse().map_err(|_| wrong())?,
                    _ => return Err(wrong()),
                };
                if number < min || number > max {
                    return Err(wrong());
                }
                Val::Int(number)
            }
            Type::Money => {
                let amount: Money = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
                if amount < Money::ZERO || amount.hundredths().is_none() {
                    return Err(wrong());
                }
                amount.into()
            }
            Type::Instant => Val::Instant(Instant::parse(text()?)?),
            Type::Date => Val::Date(Date::parse(text()?)?),
            Type::Json => Val::Json(value.to_string()),
            Type::SubjectType => Val::Text(text()?.to_owned()),
            Type::Reference { .. } | Type::SubjectId { .. } => {
                return serde_json::from_value(value.clone()).map(Input::Key).map_err(|error| error.to_string());
            }
        }))
    }

    /// The same for the argument called `name`; blank text clears what can be cleared.
    pub fn read(&self, name: &str, value: &Value) -> Result<Input, FieldError> {
        match self.parse(value) {
            Ok(Input::Val(Val::Text(text))) if text.is_empty() && self.nullable() => Ok(Input::Val(Val::Null)),
            Ok(input) => Ok(input),
            Err(message) => Err(FieldError::of(name, message).expected(self.expected())),
        }
    }

    /// What this column accepts, in words.
    pub fn expected(&self) -> String {
        match self.kind {
            Type::Text { max } => format!("text of at most {max} characters"),
            Type::Choice(choices) => format!("one of {}", choices.join(", ")),
            Type::Email => "an e-mail address".into(),
            Type::Color => "a colour such as #3730A3".into(),
            Type::Flag => "true or false".into(),
            Type::Count { min, max } => format!("a whole number from {min} to {max}"),
            Type::Money => "an amount of at least 0 with at most two decimals, such as \"1234.50\"".into(),
            Type::Instant => "an instant such as 2026-11-21T10:00:00Z".into(),
            Type::Date => "a date such as 2026-11-21".into(),
            Type::Json => "any JSON".into(),
            Type::SubjectType => "the kind of a record, such as task".into(),
            Type::Reference { .. } | Type::SubjectId { .. } => "the UUID or number of a record".into(),
        }
    }

    /// JSON schema of a value of this column.
    pub fn schema(&self) -> Map<String, Value> {
        let mut schema = match self.kind {
            Type::Text { max } => json!({"type": "string", "maxLength": max}),
            Type::Choice(choices) => json!({"type": "string", "enum": choices}),
            Type::Email => json!({"type": "string", "maxLength": 254}),
            Type::Color => json!({"type": "string", "pattern": "^#[0-9a-fA-F]{6}$"}),
            Type::Flag => json!({"type": "boolean"}),
            Type::Count { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
            Type::Money => json!({"type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,2})?$"}),
            Type::Instant => json!({"type": "string", "format": "date-time"}),
            Type::Date => json!({"type": "string", "format": "date"}),
            Type::Json => json!({"type": "object", "additionalProperties": true}),
            Type::SubjectType => json!({"type": "string"}),
            Type::Reference { table, .. } => json!({"type": "string", "x-record": table}),
            Type::SubjectId { .. } => json!({"type": "string", "x-record": "*"}),
        };
        if let Some(object) = schema.as_object_mut() {
            object.insert("description".into(), Value::String(self.about.into()));
            return std::mem::take(object);
        }
        Map::new()
    }

    /// A cell of this column as a JSON value.
    pub fn to_json(&self, value: &Val) -> Value {
        match (value, self.kind) {
            (Val::Null | Val::Bytes(_), _) => Value::Null,
            (Val::Int(units), Type::Money) => Value::String(Money::from_units(*units).to_string()),
            (Val::Int(number), _) => json!(number),
            (Val::Bool(flag), _) => json!(flag),
            (Val::Float(number), _) => json!(number),
            (Val::Id(id), _) => Value::String(id.to_string()),
            (Val::Instant(at), _) => Value::String(at.to_string()),
            (Val::Date(date), _) => Value::String(date.to_string()),
            (Val::Json(json), _) => serde_json::from_str(json).unwrap_or(Value::Null),
            (Val::Text(text), _) => Value::String(text.clone()),
        }
    }

    /// The inverse of [`Column::to_json`], for values that the journal kept.
    pub(crate) fn val_of_json(&self, value: &Value) -> Result<Val> {
        let corrupt = || Error::internal(format!("the journal holds {value} for column {}", self.name));
        if value.is_null() {
            return Ok(Val::Null);
        }
        Ok(match self.kind {
            Type::Text { .. } | Type::Choice(_) | Type::Email | Type::Color | Type::SubjectType => {
                Val::Text(value.as_str().ok_or_else(corrupt)?.to_owned())
            }
            Type::Flag => Val::Bool(value.as_bool().ok_or_else(corrupt)?),
            Type::Count { .. } => Val::Int(value.as_i64().ok_or_else(corrupt)?),
            Type::Money => Money::parse(value.as_str().ok_or_else(corrupt)?).map_err(|_| corrupt())?.into(),
            Type::Instant => Instant::parse(value.as_str().ok_or_else(corrupt)?).map_err(|_| corrupt())?.into(),
            Type::Date => Date::parse(value.as_str().ok_or_else(corrupt)?).map_err(|_| corrupt())?.into(),
            Type::Json => Val::Json(value.to_string()),
            Type::Reference { .. } | Type::SubjectId { .. } => {
                Val::Id(value.as_str().and_then(|text| Uuid::try_parse(text).ok()).ok_or_else(corrupt)?)
            }
        })
    }

    /// Brings a cell as the database gave it into the one form this column has in Rust.
    pub(crate) fn canonical(&self, value: Val) -> Val {
        let converted = match self.kind {
            Type::Flag => bool::from_val(&value).map(Val::Bool),
            Type::Instant => Instant::from_val(&value).map(Val::Instant),
            Type::Date => Date::from_val(&value).map(Val::Date),
            Type::Json => String::from_val(&value).map(Val::Json),
            Type::Reference { .. } | Type::SubjectId { .. } => Uuid::from_val(&value).map(Val::Id),
            _ => None,
        };
        converted.unwrap_or(value)
    }
}

/// An argument after its shape was checked: a value, or the key of a record still to be looked up.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Ready to store.
    Val(Val),
    /// A reference to resolve.
    Key(Key),
}

/// A value as it stands in an error message: short, whatever was sent.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text,
    }
}
