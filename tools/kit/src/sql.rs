//! A statement and its values, growing together, so that a placeholder cannot miss its value.

use uuid::Uuid;

use crate::text::contains_pattern;
use crate::value::Val;

/// SQL text with `$n` placeholders, and the values for them. Text comes from the code only, never from a caller.
#[derive(Debug, Clone, Default)]
pub struct Sql {
    pub(crate) text: String,
    pub(crate) values: Vec<Val>,
}

impl Sql {
    /// A statement that begins with `text`.
    pub fn new(text: &'static str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    /// For the kit, which puts statements together from table descriptions.
    pub(crate) fn built(text: String) -> Self {
        Self { text, values: Vec::new() }
    }

    /// A statement with its values given in order as `$1`, `$2`, ….
    pub fn with(text: &'static str, values: impl IntoIterator<Item = Val>) -> Self {
        Self { text: text.to_owned(), values: values.into_iter().collect() }
    }

    /// Appends text.
    pub fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends text that the kit derived from a table description.
    pub(crate) fn push_built(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a placeholder for `value`.
    pub fn bind(&mut self, value: impl Into<Val>) -> &mut Self {
        self.values.push(value.into());
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// Appends ` AND column = value`.
    pub fn and_eq(&mut self, column: &'static str, value: impl Into<Val>) -> &mut Self {
        self.push(" AND ").push(column).push(" = ").bind(value)
    }

    /// Appends ` AND column IN (…)`; an empty list matches nothing.
    pub fn and_in<T: Into<Val>>(&mut self, column: &'static str, values: impl IntoIterator<Item = T>) -> &mut Self {
        self.push(" AND ").push(column).push(" IN (");
        let mut empty = true;
        for value in values {
            if !std::mem::take(&mut empty) {
                self.push(", ");
            }
            self.bind(value);
        }
        if empty {
            self.push("NULL");
        }
        self.push(")")
    }

    /// Appends the condition that a row belongs to the whole tenant or to one of these organizations. `column` says which.
    pub fn and_within(&mut self, column: &'static str, organizations: impl IntoIterator<Item = Uuid>) -> &mut Self {
        self.push(" AND (").push(column).push(" IS NULL OR (TRUE").and_in(column, organizations).push("))")
    }

    /// Appends a search for `words` anywhere in the folded text of the table.
    pub fn and_contains(&mut self, words: &str) -> &mut Self {
        self.push(" AND folded LIKE ").bind(contains_pattern(words)).push(" ESCAPE '\\'")
    }
}
