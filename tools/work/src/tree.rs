//! Records that contain records of their own kind.

use bureau_kit::prelude::*;

/// Deeper than this nobody nests on purpose.
const DEEPEST: usize = 100;

/// Refuses a parent that lies below the record itself, or is it.
///
/// `parent` is the one proposed; `column` names the column that would hold it.
pub(crate) async fn refuse_circle(
    ctx: &mut Ctx,
    table: &'static Table,
    column: &'static str,
    id: Uuid,
    parent: Uuid,
) -> Result<()> {
    let mut above = Some(parent);
    for _ in 0..DEEPEST {
        let Some(next) = above else { return Ok(()) };
        if next == id {
            return Err(Error::invalid(
                format!("/{column}"),
                format!("is this {0} itself, or lies below it; choose a {0} outside", table.noun),
            ));
        }
        let mut sql = ctx.select(column, table);
        sql.and_eq("id", next);
        above = match ctx.rows(&sql).await?.first() {
            Some(row) => row.get(0)?,
            None => None,
        };
    }
    Err(Error::invalid(format!("/{column}"), format!("is nested deeper than {DEEPEST} levels")))
}
