//! Pages of lists.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::id::Kind;
use crate::record::{Record, Shown};
use crate::sql::Sql;
use crate::table::Table;
use crate::tool::Body;

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
}

impl<T> Page<T> {
    /// The same page with other items, unless one of them cannot be made.
    pub fn try_map<U>(self, change: impl FnMut(T) -> Result<U>) -> Result<Page<U>> {
        let Self { items, total, total_is_exact, page, page_size, total_pages } = self;
        let items = items.into_iter().map(change).collect::<Result<_>>()?;
        Ok(Page { items, total, total_is_exact, page, page_size, total_pages })
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
            return Err(Error::invalid("/page", format!("expected a whole number from 1 to {LAST_PAGE}")));
        }
        if !(1..=LARGEST_SIZE).contains(&size) {
            return Err(Error::invalid("/page_size", format!("expected a whole number from 1 to {LARGEST_SIZE}")));
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

/// Which rows of which list: built by [`Ctx::from`] and [`Ctx::select`] with the same conditions.
#[derive(Debug)]
pub struct Query {
    /// The rows, ordered.
    pub rows: Sql,
    /// The same rows to be counted.
    pub counted: Sql,
    /// The page, from 1.
    pub page: i64,
    /// Rows on a page.
    pub page_size: i64,
}

impl Query {
    fn limit(&mut self) -> i64 {
        let skipped = self.page.saturating_sub(1).saturating_mul(self.page_size);
        self.rows.push(" LIMIT ").bind(self.page_size).push(" OFFSET ").bind(skipped);
        skipped
    }

    /// How many rows there are in all, up to one more than the limit. A page that is not full tells it by itself.
    async fn total(self, ctx: &mut Ctx, skipped: i64, seen: i64) -> Result<i64> {
        if seen < self.page_size && (seen > 0 || self.page == 1) {
            return Ok(skipped.saturating_add(seen));
        }
        ctx.count_up_to(COUNT_LIMIT.saturating_add(1), self.counted).await
    }
}

/// Fetches one page of records.
pub async fn fetch(ctx: &mut Ctx, table: &'static Table, mut query: Query) -> Result<Page<Record>> {
    let skipped = query.limit();
    let items = ctx.records(table, &query.rows).await?;
    let seen = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let (page, page_size) = (query.page, query.page_size);
    let total = query.total(ctx, skipped, seen).await?;
    Ok(Page::new(items, total, page, page_size))
}

/// Fetches one page of records as finished JSON: on SQLite from the row to the answer without a record between.
pub(crate) async fn fetch_json(ctx: &mut Ctx, table: &'static Table, mut query: Query) -> Result<Vec<u8>> {
    let skipped = query.limit();
    let mut json = Vec::with_capacity(32 * 1024);
    json.extend_from_slice(b"{\"items\":[");
    let seen = ctx.write_records(table, &query.rows, &mut json).await?;
    let (page, page_size) = (query.page, query.page_size);
    let total = query.total(ctx, skipped, seen).await?;
    let numbers = serde_json::to_vec(&Page::<()>::new(Vec::new(), total, page, page_size)).map_err(Error::internal)?;
    // `{"items":[],"total":…}`: what follows the empty list there follows the full one here.
    json.extend_from_slice(numbers.get(b"{\"items\":[".len()..).unwrap_or_default());
    Ok(json)
}

/// The same, as the output of a typed tool.
pub async fn fetch_body<K: Kind>(ctx: &mut Ctx, query: Query) -> Result<Body<Page<Shown<K>>>> {
    fetch_json(ctx, K::TABLE, query).await.map(Body::new)
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
