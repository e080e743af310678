//! Arguments of hand-written tools on their way to becoming the columns of a row, with everything wrong told at once.

use bureau_kit::error::FieldError;
use bureau_kit::prelude::*;
use bureau_kit::table::Input;
use bureau_kit::text::fold;

/// What an argument that was left out means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Its default, which storing fills in.
    Create,
    /// No change.
    Update,
    /// Its default, whatever is stored.
    Replace,
}

/// Values being collected for a row.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) mode: Mode,
    table: &'static Table,
    values: Values,
    wrong: Vec<FieldError>,
}

impl Form {
    pub(crate) fn new(table: &'static Table, mode: Mode) -> Self {
        Self { mode, table, values: Values::new(), wrong: Vec::new() }
    }

    /// Takes an argument for a column, by the column's own limits. Null and a replaced field go back to the default.
    pub(crate) fn put<T: Serialize>(&mut self, argument: &str, column: &'static str, given: Patch<T>) -> Result<()> {
        let column = self.table.column(column).ok_or_else(|| Error::internal(format!("no column {column}")))?;
        let value = match given {
            Patch::Absent if self.mode != Mode::Replace => return Ok(()),
            Patch::Absent | Patch::Clear => match column.default {
                Some(default) => serde_json::from_str(default).map_err(Error::internal)?,
                None if !column.nullable() => {
                    let why = if matches!(given, Patch::Clear) { "cannot be cleared" } else { "is required" };
                    self.wrong.push(FieldError::of(argument, why).expected(column.expected()));
                    return Ok(());
                }
                None => {
                    self.values.set(column.name, Val::Null);
                    return Ok(());
                }
            },
            Patch::Set(value) => serde_json::to_value(value).map_err(Error::internal)?,
        };
        match column.read(argument, &value) {
            Ok(Input::Val(value)) => {
                self.values.set(column.name, value);
            }
            Ok(Input::Key(_)) => return Err(Error::internal("a reference must be looked up")),
            Err(wrong) => self.wrong.push(wrong),
        }
        Ok(())
    }

    /// Takes a value that needs no more checks.
    pub(crate) fn set(&mut self, column: &'static str, value: impl Into<Val>) {
        self.values.set(column, value);
    }

    /// Takes a reference: `found` is what was looked up for it, or what to say when there is no such record.
    pub(crate) fn refer(&mut self, argument: &str, column: &'static str, found: Result<Uuid, String>) {
        match found {
            Ok(id) => {
                self.values.set(column, id);
            }
            Err(message) => self.refuse(argument, message),
        }
    }

    /// Adds something wrong.
    pub(crate) fn refuse(&mut self, argument: &str, message: impl Into<String>) {
        self.wrong.push(FieldError::of(argument, message));
    }

    /// The values, or everything that is wrong.
    pub(crate) fn finish(self) -> Result<Values> {
        if self.wrong.is_empty() { Ok(self.values) } else { Err(Error::invalid_fields(self.wrong)) }
    }
}

/// A short name for addresses and filters: lower case, without diacritics, words joined by hyphens.
pub(crate) fn slug_of(name: &str, otherwise: &str) -> String {
    let mut slug = String::new();
    for letter in fold(name).chars() {
        if letter.is_ascii_alphanumeric() || letter == '_' {
            slug.push(letter);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= 70 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    // A name in another script has no such form of its own.
    if slug.is_empty() { otherwise.to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_made_of_letters_digits_and_hyphens() {
        for (name, slug) in
            [("Ważny klient!", "wazny-klient"), ("VIP", "vip"), ("  a -- b ", "a-b"), ("терміново", "tag")]
        {
            assert_eq!(slug_of(name, "tag"), slug);
        }
        assert_eq!(slug_of(&"x".repeat(300), "tag").len(), 70);
    }
}
