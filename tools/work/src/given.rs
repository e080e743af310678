//! Arguments of hand-written tools, checked by the columns they go to: the same limits and words as a family's.

use bureau_kit::error::FieldError;
use bureau_kit::prelude::*;
use bureau_kit::table::Input;

/// What an input says of one column: nothing, clear it, or a value.
pub(crate) trait Said<T> {
    fn said(self) -> Option<Option<T>>;
}

impl<T> Said<T> for Option<T> {
    fn said(self) -> Option<Option<T>> {
        self.map(Some)
    }
}

impl<T> Said<T> for Patch<T> {
    fn said(self) -> Option<Option<T>> {
        self.change()
    }
}

/// Collects the values for a row, and everything that is wrong with them.
pub(crate) struct Given {
    table: &'static Table,
    values: Values,
    wrong: Vec<FieldError>,
}

impl Given {
    pub(crate) fn new(table: &'static Table) -> Self {
        Self { table, values: Values::new(), wrong: Vec::new() }
    }

    /// A plain value.
    pub(crate) fn put<T: Serialize>(&mut self, name: &'static str, said: impl Said<T>) -> Result<&mut Self> {
        let column = self.table.column(name).ok_or_else(|| Error::internal(format!("no column {name}")))?;
        match said.said() {
            None => {}
            Some(None) if column.nullable() => {
                self.values.set(name, Val::Null);
            }
            Some(None) => self.wrong.push(FieldError::of(name, "cannot be cleared").expected(column.expected())),
            Some(Some(value)) => match column.read(name, &serde_json::to_value(value).map_err(Error::internal)?) {
                Ok(Input::Val(value)) => {
                    self.values.set(name, value);
                }
                Ok(Input::Key(_)) => return Err(Error::internal(format!("{name} is a reference"))),
                Err(wrong) => self.wrong.push(wrong),
            },
        }
        Ok(self)
    }

    /// A record to refer to, looked up in the caller's tenant and organizations.
    pub(crate) async fn refer<K: Kind>(
        &mut self,
        ctx: &mut Ctx,
        name: &'static str,
        said: impl Said<Id<K>>,
    ) -> Result<&mut Self> {
        match said.said() {
            None => {}
            Some(None) => {
                self.values.set(name, Val::Null);
            }
            Some(Some(id)) => match ctx.resolve(K::TABLE, id.key()).await? {
                Some(found) => {
                    self.values.set(name, found);
                }
                None => self.wrong.push(FieldError::of(name, K::TABLE.missing(id.key()))),
            },
        }
        Ok(self)
    }

    /// The values, or everything that is wrong at once.
    pub(crate) fn values(self) -> Result<Values> {
        if self.wrong.is_empty() { Ok(self.values) } else { Err(Error::invalid_fields(self.wrong)) }
    }
}
