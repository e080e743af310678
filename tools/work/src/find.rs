//! The short searches: names and numbers for a few words, for whoever needs an id.

use bureau_kit::prelude::*;

/// Hits when nobody says.
const USUAL: i64 = 20;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FindInput {
    /// Words to find, whatever the case and diacritics.
    #[schemars(length(max = 1024))]
    pub(crate) q: String,
    /// Hits at most, 20 when left out.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) limit: Option<i64>,
}

impl FindInput {
    /// The newest matching rows of a table.
    pub(crate) async fn rows(&self, ctx: &mut Ctx, table: &'static Table) -> Result<Vec<Record>> {
        let limit = self.limit.unwrap_or(USUAL);
        if !(1..=page::LARGEST_SIZE).contains(&limit) {
            return Err(Error::invalid("/limit", "expected a whole number from 1 to 100"));
        }
        if self.q.trim().is_empty() || self.q.chars().count() > 1024 {
            return Err(Error::invalid("/q", "expected words to find, at most 1024 characters"));
        }
        let mut sql = ctx.from(table);
        sql.and_contains(&self.q).push(" ORDER BY num DESC LIMIT ").bind(limit);
        ctx.records(table, &sql).await
    }

    /// The same as short hits.
    pub(crate) async fn named(&self, ctx: &mut Ctx, table: &'static Table) -> Result<Found> {
        let rows = self.rows(ctx, table).await?;
        let items =
            rows.iter().map(|row| Hit { id: row.id, num: row.num.unwrap_or_default(), name: row.text("name").into() });
        Ok(Found { items: items.collect() })
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Found {
    /// What was found, newest first.
    items: Vec<Hit>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Hit {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: i64,
    /// Name.
    name: String,
}
