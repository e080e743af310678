//! Arguments of hand-written tools, held to the limits of the columns they go into.

use bureau_kit::prelude::*;
use bureau_kit::table::Input;

/// What an argument becomes in the column of its name; NULL when it is not given.
pub(crate) fn cell(table: &'static Table, name: &'static str, value: Option<impl Into<Value>>) -> Result<Val> {
    let Some(value) = value else { return Ok(Val::Null) };
    let column = table.column(name).ok_or_else(|| Error::internal(format!("{} has no {name}", table.name)))?;
    match column.read(name, &value.into()) {
        Ok(Input::Val(value)) => Ok(value),
        Ok(Input::Key(_)) => Err(Error::internal(format!("{name} is a reference"))),
        Err(wrong) => Err(Error::invalid_fields(vec![wrong])),
    }
}

/// The same for several, with everything that is wrong told at once.
pub(crate) fn cells(
    table: &'static Table,
    given: impl IntoIterator<Item = (&'static str, Option<Value>)>,
) -> Result<Values> {
    let mut values = Values::new();
    let mut wrong = Vec::new();
    for (name, value) in given {
        let Some(value) = value else { continue };
        match cell(table, name, Some(value)) {
            Ok(value) => {
                values.set(name, value);
            }
            Err(error) if error.fields().is_empty() => return Err(error),
            Err(error) => wrong.extend(error.fields().iter().cloned()),
        }
    }
    if wrong.is_empty() { Ok(values) } else { Err(Error::invalid_fields(wrong)) }
}
