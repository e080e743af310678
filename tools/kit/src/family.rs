//! List, show, create, update and delete of a described table: one code for all records, compiled once.

mod given;
mod list;
mod schemas;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::ctx::Ctx;
use crate::error::Result;
use crate::record::{Record, Values};
use crate::table::{Draft, Event, Table};
use crate::tool::{Effect, Prepared, Tool};

use given::{Given, both, refuse_rest, take_id};
use list::ListQuery;
use schemas::{create_input, deleted_output, id_input, list_input, list_output, record_output, update_input};

pub use schemas::record_schema;

/// A page of records, filtered and sorted by what the table allows.
pub fn list(name: &'static str, right: &'static str, table: &'static Table) -> Tool {
    family_tool(name, Effect::Read, right, table, list_input, list_output, |table, arguments| {
        let query = ListQuery::parse(table, arguments)?;
        Ok(Box::new(move |ctx| Box::pin(async move { query.run(ctx).await })))
    })
}

/// One record.
pub fn show(name: &'static str, right: &'static str, table: &'static Table) -> Tool {
    family_tool(name, Effect::Read, right, table, id_input, record_output, |table, mut arguments| {
        let key = take_id(table, &mut arguments)?;
        refuse_rest(arguments, &["id"])?;
        Ok(Box::new(move |ctx| {
            Box::pin(async move {
                let record = ctx.fetch_from(table, key).await?;
                record.to_bytes()
            })
        }))
    })
}

/// Stores a new record.
pub fn create(name: &'static str, right: &'static str, table: &'static Table) -> Tool {
    family_tool(name, Effect::Create, right, table, create_input, record_output, |table, arguments| {
        let given = Given::parse(table, arguments, Event::Create)?;
        Ok(Box::new(move |ctx| {
            Box::pin(async move {
                let values = given.resolve(ctx).await?;
                save_new(ctx, table, values).await?.to_bytes()
            })
        }))
    })
}

/// Changes what is given and leaves the rest.
pub fn update(name: &'static str, right: &'static str, table: &'static Table) -> Tool {
    family_tool(name, Effect::Update, right, table, update_input, record_output, |table, mut arguments| {
        let key = take_id(table, &mut arguments);
        let given = Given::parse(table, arguments, Event::Update);
        // Both at once, so that every mistake is told in one answer.
        let (key, given) = both(key, given)?;
        Ok(Box::new(move |ctx| {
            Box::pin(async move {
                let before = ctx.fetch_from(table, key).await?;
                let values = given.resolve(ctx).await?;
                save(ctx, &before, values).await?.to_bytes()
            })
        }))
    })
}

/// Deletes a record.
pub fn delete(name: &'static str, right: &'static str, table: &'static Table) -> Tool {
    family_tool(name, Effect::Delete, right, table, id_input, deleted_output, |table, mut arguments| {
        let key = take_id(table, &mut arguments)?;
        refuse_rest(arguments, &["id"])?;
        Ok(Box::new(move |ctx| {
            Box::pin(async move {
                let record = ctx.fetch_from(table, key).await?;
                remove(ctx, &record).await?;
                Ok(json!({"ok": true, "id": record.id}).to_string().into_bytes())
            })
        }))
    })
}

fn family_tool(
    name: &'static str,
    effect: Effect,
    right: &'static str,
    table: &'static Table,
    input: fn(&Tool) -> Value,
    output: fn(&Tool) -> Value,
    prepare: fn(&'static Table, Map<String, Value>) -> Result<Prepared>,
) -> Tool {
    let mut tool =
        Tool::erased(name, effect, right, Arc::new(move |arguments| prepare(table, arguments)), input, output);
    tool.table = Some(table);
    tool.target = Some(table);
    tool
}

// --- saving by the record's rule; hand-written tools use these too

/// Stores a new record after its rule and its references were checked.
pub async fn save_new(ctx: &mut Ctx, table: &'static Table, mut values: Values) -> Result<Record> {
    if let Some(rule) = table.rule {
        rule(ctx, Draft { event: Event::Create, before: None, values: &mut values }).await?;
    }
    ctx.insert(table, values).await
}

/// Changes a record after its rule was asked.
pub async fn save(ctx: &mut Ctx, before: &Record, mut values: Values) -> Result<Record> {
    if let Some(rule) = before.table.rule {
        rule(ctx, Draft { event: Event::Update, before: Some(before), values: &mut values }).await?;
    }
    ctx.update(before, values).await
}

/// What tools answer that delete a record.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Deleted {
    /// Always true.
    ok: bool,
    /// UUID of what was deleted.
    id: String,
}

impl Deleted {
    /// The answer about a record that is gone.
    pub fn of(record: &Record) -> Self {
        Self { ok: true, id: record.id.to_string() }
    }
}

/// Deletes a record after its rule was asked.
pub async fn remove(ctx: &mut Ctx, record: &Record) -> Result<()> {
    if let Some(rule) = record.table.rule {
        rule(ctx, Draft { event: Event::Delete, before: Some(record), values: &mut Values::new() }).await?;
    }
    ctx.delete(record).await
}
