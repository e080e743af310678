//! Moving everything that refers to one record over to another, in all tables of all groups.

use std::collections::BTreeMap;

use bureau_kit::prelude::*;
use bureau_kit::registry::Reference;
use bureau_kit::table::Type;

/// How many rows moved, by what they are.
pub(crate) type Counts = BTreeMap<&'static str, i64>;

/// Points every reference to `from` at `to`, and counts them. A link that `to` has already is dropped and counted all the
/// same. Rows of `derived` tables belong to `from` itself and stay.
pub(crate) async fn move_references(
    ctx: &mut Ctx,
    from: &Record,
    to: &Record,
    derived: &[&'static Table],
    counts: &mut Counts,
) -> Result<()> {
    let bureau = ctx.bureau().clone();
    for reference in bureau.registry.references_to(from.table) {
        if derived.iter().any(|table| std::ptr::eq(*table, reference.table)) {
            continue;
        }
        for row in ctx.referring(reference, from).await? {
            let itself = std::ptr::eq(reference.table, to.table) && row.id == to.id;
            if itself {
                // It would refer to itself.
                ctx.update(&row, Values::new().with(reference.column, Val::Null)).await?;
                continue;
            }
            if is_link(reference.table) && has_twin(ctx, reference, &row, to.id).await? {
                ctx.delete(&row).await?;
            } else {
                ctx.update(&row, Values::new().with(reference.column, to.id)).await?;
            }
            // What was merged into the merged record follows it; nobody would call that a moved record.
            if from.table.merged_into != Some(reference.column) {
                let count = counts.entry(counted_as(reference)).or_default();
                *count = count.saturating_add(1);
            }
        }
    }
    Ok(())
}

/// Whether rows are nothing but links between records: two equal ones say the same, and one of them can go. Hidden columns,
/// such as the place in a list, make no difference.
fn is_link(table: &Table) -> bool {
    let links =
        |kind| matches!(kind, Type::Reference { .. } | Type::SubjectType | Type::SubjectId { .. } | Type::Choice(_));
    !table.numbered && table.shown().all(|column| links(column.kind))
}

/// A link counts as what it leads to (a tag, a deal), anything else as itself.
fn counted_as(reference: &Reference) -> &'static str {
    let other_end = reference.table.columns.iter().find_map(|column| match column.kind {
        Type::Reference { table, .. } if column.name != reference.column => Some(table),
        _ => None,
    });
    other_end.filter(|_| is_link(reference.table)).unwrap_or(reference.table.name)
}

/// Whether there is already a link like `row` that leads to `to`.
async fn has_twin(ctx: &mut Ctx, reference: &Reference, row: &Record, to: Uuid) -> Result<bool> {
    let mut sql = Sql::new("SELECT 1 FROM ");
    sql.push(reference.table.name).push(" WHERE tenant_id = ").bind(ctx.tenant_id());
    for (column, cell) in row.cells().filter(|(column, _)| !column.hidden) {
        if column.name == reference.column {
            sql.and_eq(column.name, to);
        } else if cell.is_null() {
            sql.push(" AND ").push(column.name).push(" IS NULL");
        } else {
            sql.and_eq(column.name, cell.clone());
        }
    }
    ctx.exists(sql).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_count_as_what_they_lead_to() {
        let reference = |table: &'static Table, column| Reference {
            table,
            column,
            subject_type: None,
            on_delete: OnDelete::Cascade,
        };
        assert_eq!(counted_as(&reference(&crate::tag_link::TAG_LINKS, "subject_id")), "tags");
        assert_eq!(counted_as(&reference(&crate::tag_link::TAG_LINKS, "tag_id")), "tag_links");
        assert_eq!(counted_as(&reference(&crate::deal::DEAL_PARTIES, "party_id")), "deals");
        assert_eq!(counted_as(&reference(&crate::activity::ACTIVITIES, "subject_id")), "activities");
        assert_eq!(counted_as(&reference(&crate::party::PARTIES, "company_id")), "parties");
    }
}
