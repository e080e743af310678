//! Pages of lists.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::ctx::Ctx;
use crate::error::Result;
use crate::record::Record;
use crate::sql::Sql;
use crate::table::Table;

/// Rows on a page when nobody says.
pub const DEFAULT_SIZE: i64 = 50;
/// Rows on a page at most.
pub const LARGEST_SIZE: i64 = 100;
/// The last page that can be asked for.
pub const LAST_PAGE: i64 = 1_000_000;
/// Rows are counted exactly up to here: counting a million at every look would make long lists slow.
pub const COUNT_LIMIT: i64 = 10_000;

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Page<T> {
    /// The rows of this page.
    pub items: Vec<T>,
    /// How many rows there are in all; see total_is_exact.
    pub total: i64,
    /// False when there are more than the 10000 rows that are counted.
    pub total_is_exact: bool,
    /// This page, from 1.
    pub page: i64,
    /// Rows on a page.
    pub page_size: i64,
    /// How many pages `total` makes.
    pub total_pages: i64,
}

impl<T> Page<T> {
    /// A page out of its rows and the count, which was taken up to one more than the limit.
    pub fn new(items: Vec<T>, counted: i64, page: i64, page_size: i64) -> Self {
        let total = counted.min(COUNT_LIMIT);
        let pages = total.saturating_add(page_size).saturating_sub(1).checked_div(page_size).unwrap_or_default();
        Self { items, total, total_is_exact: counted <= COUNT_LIMIT, page, page_size, total_pages: pages }
    }

    /// The same page with other items.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            total: self.total,
            total_is_exact: self.total_is_exact,
            page: self.page,
            page_size: self.page_size,
            total_pages: self.total_pages,
        }
    }

    pub(crate) fn numbers_json(&self) -> String {
        format!(
            "\"total\":{},\"total_is_exact\":{},\"page\":{},\"page_size\":{},\"total_pages\":{}",
            self.total, self.total_is_exact, self.page, self.page_size, self.total_pages
        )
    }
}

/// Which page to show, for hand-written lists. Put it into the input as `page`, `page_size`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Wanted {
    /// The page, from 1.
    pub page: Option<i64>,
    /// Rows on a page.
    pub page_size: Option<i64>,
}

impl Wanted {
    /// Page and size within their limits; out of range is an error of that argument.
    pub fn checked(self) -> Result<(i64, i64)> {
        let page = self.page.unwrap_or(1);
        let size = self.page_size.unwrap_or(DEFAULT_SIZE);
        if !(1..=LAST_PAGE).contains(&page) {
            return Err(crate::error::Error::invalid(
                "/page",
                format!("expected a whole number from 1 to {LAST_PAGE}"),
            ));
        }
        if !(1..=LARGEST_SIZE).contains(&size) {
            return Err(crate::error::Error::invalid(
                "/page_size",
                format!("expected a whole number from 1 to {LARGEST_SIZE}"),
            ));
        }
        Ok((page, size))
    }
}

/// Appends the order of a list: the column, then the key, so that pages never overlap. Empty values come last.
pub fn order(sql: &mut Sql, column: &'static str, nullable: bool, descending: bool) {
    sql.push(" ORDER BY ").push(column).push(if descending { " DESC" } else { " ASC" });
    if nullable {
        sql.push(" NULLS LAST");
    }
    sql.push(", id").push(if descending { " DESC" } else { " ASC" });
}

/// Fetches one page of `sql` and counts `counted`, both built by [`Ctx::from`] and [`Ctx::select`].
pub async fn fetch(
    ctx: &mut Ctx,
    table: &'static Table,
    mut sql: Sql,
    counted: Sql,
    page: i64,
    size: i64,
) -> Result<Page<Record>> {
    let skipped = page.saturating_sub(1).saturating_mul(size);
    sql.push(" LIMIT ").bind(size).push(" OFFSET ").bind(skipped);
    let items = ctx.records(table, &sql).await?;
    // A page that is not full tells the total by itself.
    let seen = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let total = if seen < size && (seen > 0 || page == 1) {
        skipped.saturating_add(seen)
    } else {
        ctx.count_up_to(COUNT_LIMIT.saturating_add(1), counted).await?
    };
    Ok(Page::new(items, total, page, size))
}

/// Schemas of the arguments that every list takes.
pub(crate) fn input_properties() -> Map<String, Value> {
    let mut properties = Map::new();
    properties.insert(
        "order".into(),
        json!({"type": "string", "enum": ["asc", "desc"], "description": "Direction of the sort."}),
    );
    properties.insert(
        "page".into(),
        json!({"type": "integer", "minimum": 1, "maximum": LAST_PAGE, "description": "Page to show, from 1."}),
    );
    properties.insert(
        "page_size".into(),
        json!({"type": "integer", "minimum": 1, "maximum": LARGEST_SIZE, "default": DEFAULT_SIZE, "description": "Rows on a page."}),
    );
    properties
}

/// The schema of a page of `item`.
pub(crate) fn output_schema(item: Value) -> Value {
    json!({"type": "object", "properties": {
        "items": {"type": "array", "items": item, "description": "The rows of this page."},
        "total": {"type": "integer", "description": "How many rows there are in all; see total_is_exact."},
        "total_is_exact": {"type": "boolean", "description": "False when there are more than the 10000 rows that are counted."},
        "page": {"type": "integer", "description": "This page, from 1."},
        "page_size": {"type": "integer", "description": "Rows on a page."},
        "total_pages": {"type": "integer", "description": "How many pages the total makes."}
    }, "required": ["items", "total", "total_is_exact", "page", "page_size", "total_pages"]})
}
