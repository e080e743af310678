//! What follows from the records and can be made again from them: the folded text that `q` searches.
//!
//! Rewriting it changes no record, so it has no place in the journal, and a long rewrite need not be one transaction.

use uuid::Uuid;

use crate::ctx::Ctx;
use crate::db::Tx;
use crate::error::Result;
use crate::record::{Record, select_list};
use crate::sql::Sql;
use crate::table::Table;

/// What becomes of a call's work at a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Steps {
    /// Nothing yet: the call is one whole.
    Whole,
    /// It is kept.
    Kept,
    /// It is taken back: the call only tries.
    Dropped,
}

/// What was found in one step through a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refolded {
    /// Where the next step begins; nothing when this was the last.
    pub next: Option<i64>,
    /// Rows looked at.
    pub checked: u64,
    /// Rows whose folded text was not what the present rule makes of them.
    pub rewritten: u64,
}

/// How long the writer is left to others between two steps. Another process on the same SQLite file only looks now and then
/// whether it is free, and would else wait until all is done.
const REST: std::time::Duration = std::time::Duration::from_millis(25);

/// Rows of one step: few enough that nobody waits for the writer.
const STEP: usize = 500;

impl Ctx {
    /// A resting place of [long](crate::tool::Tool::long) work on derived data: what was rewritten so far is kept, other
    /// writers get their turn, and a call that is not wanted any more ends here.
    ///
    /// Does nothing for a call that has changed records, or that is part of a batch: those are kept as a whole or not.
    pub async fn checkpoint(&mut self) -> Result<()> {
        tokio::task::yield_now().await;
        if self.steps == Steps::Whole
            || !self.writes
            || !self.changes.is_empty()
            || !self.effects.is_empty()
            || self.resent
        {
            return Ok(());
        }
        // SQLite has one writer, and it must be given back before it is taken anew.
        let step = std::mem::replace(&mut self.tx, Tx::resting());
        match self.steps {
            Steps::Kept => step.commit().await?,
            _ => step.rollback().await?,
        }
        tokio::time::sleep(REST).await;
        self.tx = self.bureau.db.write().await?;
        self.tx.enter(self.principal.tenant_id).await?;
        self.tx.allow(crate::tool::LONG_LIMIT).await
    }

    /// How many rows of a table the tenant has, whatever the caller's organizations.
    pub async fn rows_in(&mut self, table: &'static Table) -> Result<u64> {
        let mut sql = Sql::built(format!("SELECT COUNT(*) FROM {} WHERE tenant_id = ", table.name));
        sql.bind(self.tenant_id());
        let count: i64 = self.rows(&sql).await?.first().map_or(Ok(0), |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Looks at the folded text of the next rows of a searchable table, and rewrites what the present rule would make
    /// otherwise. All rows of the tenant, whatever the caller's organizations. No record and no version changes.
    pub async fn refold(&mut self, table: &'static Table, after: i64) -> Result<Refolded> {
        // By number: every searchable table is numbered, and has an index that begins with tenant and number.
        let list = select_list(table);
        let mut sql = Sql::built(format!("SELECT {list}, folded FROM {} WHERE tenant_id = ", table.name));
        sql.bind(self.tenant_id()).push(" AND num > ").bind(after).push(" ORDER BY num LIMIT ");
        sql.bind(i64::try_from(STEP).unwrap_or(i64::MAX));
        let rows = self.rows(&sql).await?;
        let mut step = Refolded { next: None, checked: 0, rewritten: 0 };
        let complete = rows.len() < STEP;
        for mut row in rows {
            let stored: String = row.get(row.0.len().saturating_sub(1))?;
            row.0.pop();
            let record = Record::from_row(table, row)?;
            step.checked = step.checked.saturating_add(1);
            step.next = record.num;
            let folded = record.folded();
            if folded != stored && self.rewrite_folded(table, record.id, &stored, folded).await? {
                step.rewritten = step.rewritten.saturating_add(1);
            }
        }
        if complete {
            step.next = None;
        }
        Ok(step)
    }

    /// Only where the text is still the one that was read: whoever changed it since did so by the present rule.
    async fn rewrite_folded(&mut self, table: &Table, id: Uuid, stored: &str, folded: String) -> Result<bool> {
        let mut sql = Sql::built(format!("UPDATE {} SET folded = ", table.name));
        sql.bind(folded).push(" WHERE tenant_id = ").bind(self.tenant_id());
        sql.and_eq("id", id).and_eq("folded", stored);
        Ok(self.tx.execute(&sql).await? > 0)
    }
}
