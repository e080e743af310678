//! List, show, create, update and delete of a described table: one code for all records, compiled once.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::args::snake_case;
use crate::ctx::Ctx;
use crate::error::{Error, FieldError, Result};
use crate::id::Key;
use crate::page;
use crate::record::{Record, Values};
use crate::schema::{allow_null, unknown_field};
use crate::sql::Sql;
use crate::table::{Column, Draft, Event, Input, Table, Type, shown};
use crate::tool::{Effect, Prepared, Tool};
use crate::value::Val;

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

/// Deletes a record after its rule was asked.
pub async fn remove(ctx: &mut Ctx, record: &Record) -> Result<()> {
    if let Some(rule) = record.table.rule {
        rule(ctx, Draft { event: Event::Delete, before: Some(record), values: &mut Values::new() }).await?;
    }
    ctx.delete(record).await
}

// --- arguments

/// Values given for the columns of a table, with references still to be looked up.
struct Given {
    table: &'static Table,
    inputs: Vec<(&'static str, Input)>,
}

impl Given {
    fn parse(table: &'static Table, arguments: Map<String, Value>, event: Event) -> Result<Self> {
        let accepts = |column: &Column| if event == Event::Create { column.on_create } else { column.on_update };
        let mut inputs = Vec::new();
        let mut wrong = Vec::new();
        for (name, value) in arguments {
            let column =
                table.column(&name).or_else(|| table.column(&snake_case(&name))).filter(|column| accepts(column));
            let Some(column) = column else {
                if table.in_organization && matches!(name.as_str(), "organization_id" | "organizationId") {
                    match serde_json::from_value::<Option<Key>>(value) {
                        Ok(Some(key)) => inputs.push(("organization_id", Input::Key(key))),
                        Ok(None) => inputs.push(("organization_id", Input::Val(Val::Null))),
                        Err(error) => wrong.push(field(&name, error.to_string(), None)),
                    }
                    continue;
                }
                let known = table.columns.iter().filter(|column| accepts(column)).map(|column| column.name);
                wrong.push(unknown_field(&format!("/{name}"), &name, known));
                continue;
            };
            if inputs.iter().any(|(given, _)| *given == column.name) {
                wrong.push(field(&name, "is given twice, under two spellings", None));
                continue;
            }
            // Models send "" for "not given"; null is how a value is cleared.
            let left_out = value.as_str() == Some("") && !matches!(column.kind, Type::Text { .. });
            if left_out || (value.is_null() && event == Event::Create) {
                continue;
            }
            if value.is_null() {
                if column.nullable() {
                    inputs.push((column.name, Input::Val(Val::Null)));
                } else {
                    wrong.push(field(&name, "cannot be cleared", Some(column.expected())));
                }
                continue;
            }
            match column.parse(&value) {
                Ok(Input::Val(Val::Text(text))) if text.is_empty() && column.nullable() => {
                    inputs.push((column.name, Input::Val(Val::Null)));
                }
                Ok(input) => inputs.push((column.name, input)),
                Err(message) => wrong.push(field(&name, message, Some(column.expected()))),
            }
        }
        if event == Event::Create {
            for column in
                table.columns.iter().filter(|column| column.on_create && column.required && column.default.is_none())
            {
                let mentioned = inputs.iter().any(|(name, _)| *name == column.name);
                let refused = wrong.iter().any(|error| error.path.trim_start_matches('/') == column.name);
                if !mentioned && !refused {
                    wrong.push(field(column.name, "is required", Some(column.expected())));
                }
            }
        }
        if wrong.is_empty() { Ok(Self { table, inputs }) } else { Err(Error::invalid_fields(wrong)) }
    }

    /// Looks up every record that is referred to, in the caller's tenant and organizations.
    async fn resolve(self, ctx: &mut Ctx) -> Result<Values> {
        let mut values = Values::new();
        let mut wrong = Vec::new();
        let bureau = ctx.bureau().clone();
        let subject = self.inputs.iter().find_map(|(name, input)| match (self.table.column(name)?.kind, input) {
            (Type::SubjectType, Input::Val(Val::Text(noun))) => Some(noun.clone()),
            _ => None,
        });
        for (name, input) in self.inputs {
            let key = match input {
                Input::Val(value) => {
                    values.set(name, value);
                    continue;
                }
                Input::Key(key) => key,
            };
            let target = match self.table.column(name).map(|column| column.kind) {
                None => bureau.registry.table("organizations"),
                Some(Type::Reference { table, .. }) => bureau.registry.table(table),
                Some(_) => subject.as_deref().and_then(|noun| bureau.registry.table_of(noun)),
            };
            let Some(target) = target else {
                wrong.push(field(
                    name,
                    format!("{} is not a kind of record that this can hang on", subject.as_deref().unwrap_or("it")),
                    None,
                ));
                continue;
            };
            match ctx.resolve(target, key).await? {
                Some(id) => {
                    values.set(name, id);
                }
                None => wrong.push(field(
                    name,
                    format!("there is no {} {key}; use {}_list to find it", target.noun, target.noun),
                    None,
                )),
            }
        }
        if wrong.is_empty() { Ok(values) } else { Err(Error::invalid_fields(wrong)) }
    }
}

fn field(name: &str, message: impl Into<String>, expected: Option<String>) -> FieldError {
    FieldError { path: format!("/{name}"), message: message.into(), expected }
}

fn both<A, B>(one: Result<A>, two: Result<B>) -> Result<(A, B)> {
    match (one, two) {
        (Ok(one), Ok(two)) => Ok((one, two)),
        (Err(one), Err(two)) => Err(Error::invalid_fields(one.fields().iter().chain(two.fields()).cloned().collect())),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

fn take_id(table: &Table, arguments: &mut Map<String, Value>) -> Result<Key> {
    let expected = Some("the UUID or number of a record".to_owned());
    match arguments.shift_remove("id") {
        None | Some(Value::Null) => Err(Error::invalid_fields(vec![field("id", "is required", expected)])),
        Some(value) => serde_json::from_value(value.clone()).map_err(|_| {
            Error::invalid_fields(vec![field(
                "id",
                format!("expected the UUID or number of a {}, got {}", table.noun, shown(&value)),
                expected,
            )])
        }),
    }
}

fn refuse_rest(arguments: Map<String, Value>, known: &[&'static str]) -> Result<()> {
    let wrong: Vec<FieldError> =
        arguments.keys().map(|name| unknown_field(&format!("/{name}"), name, known.iter().copied())).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Error::invalid_fields(wrong)) }
}

// --- lists

struct ListQuery {
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

fn sorts(table: &'static Table) -> Vec<&'static str> {
    let own = table.columns.iter().filter(|column| column.sort).map(|column| column.name);
    own.chain(system_sorts(table)).collect()
}

impl ListQuery {
    fn parse(table: &'static Table, arguments: Map<String, Value>) -> Result<Self> {
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
                        let known = list_arguments(table);
                        wrong.push(unknown_field(&format!("/{name}"), &name, known.iter().map(String::as_str)));
                        continue;
                    }
                },
            };
            if let Err(message) = outcome {
                wrong.push(field(&name, message, None));
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
        let (column, parsed) = match self.table.column(column).filter(|column| column.range) {
            Some(column) => (column.name, column.parse(value)),
            None if column == "created_at" => ("created_at", Column::instant("created_at", "").parse(value)),
            None if column == "updated_at" => ("updated_at", Column::instant("updated_at", "").parse(value)),
            None => return None,
        };
        Some(parsed.and_then(|input| match input {
            Input::Val(value) => {
                list.push((column, value));
                Ok(())
            }
            Input::Key(_) => Err("cannot be compared".to_owned()),
        }))
    }

    async fn run(self, ctx: &mut Ctx) -> Result<Vec<u8>> {
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

fn whole(value: &Value, least: i64, most: i64) -> Result<i64, String> {
    let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("expected a whole number from {least} to {most}, got {}", shown(value)))
}

// --- schemas

fn table_of(tool: &Tool) -> &'static Table {
    // Only family tools have these functions as their schemas, and they all have a table.
    static NONE: Table = Table::new("", "", "", &[]);
    tool.table.unwrap_or(&NONE)
}

fn object(properties: Map<String, Value>, required: Vec<&str>) -> Value {
    let mut schema = json!({"type": "object", "properties": properties});
    if let Some(object) = schema.as_object_mut() {
        if !required.is_empty() {
            object.insert("required".into(), json!(required));
        }
        object.insert("additionalProperties".into(), json!(false));
    }
    schema
}

fn id_schema(table: &Table) -> Value {
    json!({"type": "string", "description": format!("UUID or number of the {}.", table.noun), "x-record": table.name})
}

fn id_input(tool: &Tool) -> Value {
    let mut properties = Map::new();
    properties.insert("id".into(), id_schema(table_of(tool)));
    object(properties, vec!["id"])
}

fn list_arguments(table: &'static Table) -> Vec<String> {
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

fn list_input(tool: &Tool) -> Value {
    let table = table_of(tool);
    let mut properties = Map::new();
    if table.searchable() {
        let searched: Vec<&str> =
            table.columns.iter().filter(|column| column.search).map(|column| column.name).collect();
        let about = format!("Words to find anywhere in {}, whatever the case and diacritics.", searched.join(", "));
        properties.insert("q".into(), json!({"type": "string", "maxLength": 1024, "description": about}));
    }
    for column in table.columns.iter().filter(|column| column.filter) {
        let mut schema = column.schema();
        schema.insert("description".into(), json!(format!("Only with this value. {}", column.about)));
        properties.insert(column.name.into(), Value::Object(schema));
    }
    for column in table.columns.iter().filter(|column| column.range) {
        for (suffix, words) in [("from", "From this value on"), ("to", "Up to this value")] {
            let mut schema = column.schema();
            schema.insert("description".into(), json!(format!("{words}, inclusive. {}", column.about)));
            properties.insert(format!("{}_{suffix}", column.name), Value::Object(schema));
        }
    }
    for (name, about) in [
        ("created_at_from", "Made since."),
        ("created_at_to", "Made until."),
        ("updated_at_from", "Changed since."),
        ("updated_at_to", "Changed until."),
    ] {
        properties.insert(name.into(), json!({"type": "string", "format": "date-time", "description": about}));
    }
    properties.insert("sort".into(), json!({"type": "string", "enum": sorts(table), "description": "Column to sort by; newest first when left out."}));
    properties.extend(page::input_properties());
    object(properties, Vec::new())
}

fn write_properties(table: &Table, event: Event) -> Map<String, Value> {
    let mut properties = Map::new();
    for column in table.columns {
        let accepted = if event == Event::Create { column.on_create } else { column.on_update };
        if !accepted {
            continue;
        }
        let mut schema = column.schema();
        if event == Event::Update && column.nullable() {
            allow_null(&mut schema);
            schema.insert("description".into(), json!(format!("{} Null clears it.", column.about)));
        }
        if let (Event::Create, Some(default)) = (event, column.default)
            && let Ok(default) = serde_json::from_str::<Value>(default)
        {
            schema.insert("default".into(), default);
        }
        properties.insert(column.name.into(), Value::Object(schema));
    }
    if table.in_organization {
        properties.insert(
            "organization_id".into(),
            json!({"type": "string", "description": "Its organization; yours when left out.", "x-record": "organizations"}),
        );
    }
    properties
}

fn create_input(tool: &Tool) -> Value {
    let table = table_of(tool);
    let required =
        table.columns.iter().filter(|column| column.on_create && column.required && column.default.is_none());
    object(write_properties(table, Event::Create), required.map(|column| column.name).collect())
}

fn update_input(tool: &Tool) -> Value {
    let table = table_of(tool);
    let mut properties = Map::new();
    properties.insert("id".into(), id_schema(table));
    properties.extend(write_properties(table, Event::Update));
    object(properties, vec!["id"])
}

/// The schema of a record as tools answer it.
pub fn record_schema(table: &Table) -> Value {
    let mut properties = Map::new();
    let mut required = vec!["id"];
    properties.insert("id".into(), json!({"type": "string", "description": "UUID."}));
    if table.numbered {
        properties.insert("num".into(), json!({"type": "integer", "description": "Number in the tenant."}));
        required.push("num");
    }
    for column in table.shown() {
        let mut schema = column.schema();
        // Answers may hold what an older, stricter or looser rule let in: only the type is promised.
        for limit in ["maxLength", "minimum", "maximum", "pattern", "format"] {
            schema.shift_remove(limit);
        }
        if column.kind == Type::Json {
            schema.shift_remove("type");
            schema.shift_remove("additionalProperties");
        }
        if column.nullable() {
            allow_null(&mut schema);
        }
        properties.insert(column.name.into(), Value::Object(schema));
        required.push(column.name);
    }
    if table.in_organization {
        properties.insert(
            "organization_id".into(),
            json!({"type": ["string", "null"], "description": "Organization it belongs to; null is the whole tenant."}),
        );
        required.push("organization_id");
    }
    properties.insert(
        "version".into(),
        json!({"type": "integer", "description": "Grows with every change; see expected_version."}),
    );
    properties.insert("created_at".into(), json!({"type": "string", "description": "When it was made."}));
    properties.insert("updated_at".into(), json!({"type": "string", "description": "When it last changed."}));
    required.extend(["version", "created_at", "updated_at"]);
    object(properties, required)
}

fn record_output(tool: &Tool) -> Value {
    record_schema(table_of(tool))
}

fn list_output(tool: &Tool) -> Value {
    page::output_schema(record_schema(table_of(tool)))
}

fn deleted_output(_: &Tool) -> Value {
    json!({"type": "object", "properties": {
        "ok": {"type": "boolean", "description": "Always true."},
        "id": {"type": "string", "description": "UUID of what was deleted."}
    }, "required": ["ok", "id"]})
}
