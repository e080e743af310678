//! Lists: what they are filtered and sorted by.

use serde_json::{Map, Value};

use crate::args::snake_case;
use crate::ctx::Ctx;
use crate::error::{Error, FieldError, Result};
use crate::id::Key;
use crate::page;
use crate::schema::unknown_field;
use crate::sql::Sql;
use crate::table::{Column, Input, Table, Type, shown};
use crate::time::Instant;
use crate::value::Val;

/// What a list asks for.
pub(super) struct ListQuery {
    table: &'static Table,
    page: i64,
    page_size: i64,
    sort: &'static str,
    sort_nullable: bool,
    descending: bool,
    words: Option<String>,
    equal: Vec<(&'static str, Input)>,
    from: Vec<(&'static str, Val)>,
    to: Vec<(&'static str, Val)>,
}

/// Columns that every list sorts by.
fn system_sorts(table: &Table) -> Vec<&'static str> {
    let mut names = vec!["created_at", "updated_at"];
    if table.numbered {
        names.push("num");
    }
    names
}

/// Columns that a list sorts by.
pub(super) fn sorts(table: &'static Table) -> Vec<&'static str> {
    let own = table.columns.iter().filter(|column| column.sort).map(|column| column.name);
    own.chain(system_sorts(table)).collect()
}

impl ListQuery {
    pub(super) fn parse(table: &'static Table, arguments: Map<String, Value>) -> Result<Self> {
        let mut query = Self {
            table,
            page: 1,
            page_size: page::DEFAULT_SIZE,
            sort: if table.numbered { "num" } else { "created_at" },
            sort_nullable: false,
            descending: true,
            words: None,
            equal: Vec::new(),
            from: Vec::new(),
            to: Vec::new(),
        };
        let mut order_given = false;
        let mut wrong = Vec::new();
        for (name, value) in arguments {
            if value.is_null() || value.as_str() == Some("") {
                continue;
            }
            let snake = snake_case(&name);
            let outcome = match snake.as_str() {
                "page" => whole(&value, 1, page::LAST_PAGE).map(|page| query.page = page),
                "page_size" => whole(&value, 1, page::LARGEST_SIZE).map(|size| query.page_size = size),
                "sort" | "sort_field" => query.sort_by(&value),
                "order" | "sort_dir" => {
                    order_given = true;
                    match value.as_str() {
                        Some(direction @ ("asc" | "desc")) => {
                            query.descending = direction == "desc";
                            Ok(())
                        }
                        _ => Err("expected asc or desc".to_owned()),
                    }
                }
                "q" | "search" if table.searchable() => match value.as_str() {
                    Some(words) if words.chars().count() <= 1024 => {
                        query.words = Some(words.to_owned());
                        Ok(())
                    }
                    _ => Err("expected text of at most 1024 characters".to_owned()),
                },
                other => match query.filter(other, &value) {
                    Some(outcome) => outcome,
                    None => {
                        let known = names(table);
                        wrong.push(unknown_field(&format!("/{name}"), &name, known.iter().map(String::as_str)));
                        continue;
                    }
                },
            };
            if let Err(message) = outcome {
                wrong.push(FieldError::of(&name, message));
            }
        }
        // Newest first by default; once a column is chosen, ascending is what people expect.
        if !order_given && !matches!(query.sort, "num" | "created_at" | "updated_at") {
            query.descending = false;
        }
        if wrong.is_empty() { Ok(query) } else { Err(Error::invalid_fields(wrong)) }
    }

    fn sort_by(&mut self, value: &Value) -> Result<(), String> {
        let names = sorts(self.table);
        let given = value.as_str().map(snake_case).unwrap_or_default();
        self.sort = names
            .iter()
            .find(|name| **name == given)
            .ok_or_else(|| format!("expected one of {}, got {}", names.join(", "), shown(value)))?;
        self.sort_nullable = self.table.column(self.sort).is_some_and(Column::nullable);
        Ok(())
    }

    /// None when there is no such filter.
    fn filter(&mut self, name: &str, value: &Value) -> Option<Result<(), String>> {
        if let Some(column) = self.table.column(name).filter(|column| column.filter) {
            return Some(column.parse(value).map(|input| self.equal.push((column.name, input))));
        }
        let (column, list) = match (name.strip_suffix("_from"), name.strip_suffix("_to")) {
            (Some(column), _) => (column, &mut self.from),
            (_, Some(column)) => (column, &mut self.to),
            _ => return None,
        };
        let known = self.table.columns.iter().find(|known| known.name == column || known.range_alias == Some(column));
        let (column, parsed) = match known.filter(|column| column.range) {
            Some(column) => (column.name, column.parse(value)),
            None if column == "created_at" => ("created_at", Column::instant("created_at", "").parse(value)),
            None if column == "updated_at" => ("updated_at", Column::instant("updated_at", "").parse(value)),
            None => return None,
        };
        let end = name.ends_with("_to").then(|| value.as_str()).flatten();
        Some(parsed.and_then(|input| match input {
            Input::Val(value) => {
                // A plain date at the end of a range means all of that day.
                let value = match (value, end) {
                    (Val::Instant(_), Some(end)) => Val::Instant(Instant::parse_end(end)?),
                    (value, _) => value,
                };
                list.push((column, value));
                Ok(())
            }
            Input::Key(_) => Err("cannot be compared".to_owned()),
        }))
    }

    pub(super) async fn run(self, ctx: &mut Ctx) -> Result<Vec<u8>> {
        let bureau = ctx.bureau().clone();
        let mut conditions: Vec<(&'static str, Val)> = Vec::new();
        for (name, input) in self.equal {
            let value = match (input, self.table.column(name).map(|column| column.kind)) {
                (Input::Val(value), _) => value,
                (Input::Key(Key::Uuid(id)), _) => Val::Id(id),
                (Input::Key(key), Some(Type::Reference { table, .. })) => {
                    let target =
                        bureau.registry.table(table).ok_or_else(|| Error::internal("a reference has no table"))?;
                    // A number nobody has filters everything out, like a UUID nobody has.
                    ctx.resolve(target, key).await?.map_or(Val::Id(uuid::Uuid::nil()), Val::Id)
                }
                (Input::Key(_), _) => return Err(Error::invalid(format!("/{name}"), "give the UUID")),
            };
            conditions.push((name, value));
        }
        let filter = |sql: &mut Sql| {
            for (name, value) in &conditions {
                sql.and_eq(name, value.clone());
            }
            for (name, value) in &self.from {
                sql.push(" AND ").push(name).push(" >= ").bind(value.clone());
            }
            for (name, value) in &self.to {
                sql.push(" AND ").push(name).push(" <= ").bind(value.clone());
            }
            if let Some(words) = &self.words {
                sql.and_contains(words);
            }
        };
        let mut counted = ctx.select("1", self.table);
        filter(&mut counted);
        let mut sql = ctx.from(self.table);
        filter(&mut sql);
        page::order(&mut sql, self.sort, self.sort_nullable, self.descending);
        let query = page::Query { rows: sql, counted, page: self.page, page_size: self.page_size };
        page::fetch_json(ctx, self.table, query).await
    }
}

/// Every argument that a list takes.
fn names(table: &'static Table) -> Vec<String> {
    let mut names: Vec<String> = ["page", "page_size", "sort", "order"].map(str::to_owned).to_vec();
    if table.searchable() {
        names.push("q".into());
    }
    for column in table.columns {
        if column.filter {
            names.push(column.name.into());
        }
        if column.range {
            names.push(format!("{}_from", column.name));
            names.push(format!("{}_to", column.name));
        }
    }
    names.extend(["created_at_from", "created_at_to", "updated_at_from", "updated_at_to"].map(str::to_owned));
    names
}

fn whole(value: &Value, least: i64, most: i64) -> Result<i64, String> {
    let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("expected a whole number from {least} to {most}, got {}", shown(value)))
}
