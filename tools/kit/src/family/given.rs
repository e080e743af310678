//! Arguments of creates and updates on their way to becoming a row.

use serde_json::{Map, Value};

use crate::args::snake_case;
use crate::ctx::Ctx;
use crate::error::{Error, FieldError, Result};
use crate::id::Key;
use crate::record::Values;
use crate::schema::unknown_field;
use crate::table::{Column, Event, Input, Table, Type, shown};
use crate::value::Val;

/// Values given for the columns of a table, with references still to be looked up.
pub(super) struct Given {
    table: &'static Table,
    inputs: Vec<(&'static str, Input)>,
}

impl Given {
    pub(super) fn parse(table: &'static Table, arguments: Map<String, Value>, event: Event) -> Result<Self> {
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
                        Err(error) => wrong.push(FieldError::of(&name, error.to_string())),
                    }
                    continue;
                }
                let known = table.columns.iter().filter(|column| accepts(column)).map(|column| column.name);
                wrong.push(unknown_field(&format!("/{name}"), &name, known));
                continue;
            };
            if inputs.iter().any(|(given, _)| *given == column.name) {
                wrong.push(FieldError::of(&name, "is given twice, under two spellings"));
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
                    wrong.push(FieldError::of(&name, "cannot be cleared").expected(column.expected()));
                }
                continue;
            }
            match column.read(&name, &value) {
                Ok(input) => inputs.push((column.name, input)),
                Err(error) => wrong.push(error),
            }
        }
        if event == Event::Create {
            for column in
                table.columns.iter().filter(|column| column.on_create && column.required && column.default.is_none())
            {
                let mentioned = inputs.iter().any(|(name, _)| *name == column.name);
                let refused = wrong.iter().any(|error| error.path.trim_start_matches('/') == column.name);
                if !mentioned && !refused {
                    wrong.push(FieldError::of(column.name, "is required").expected(column.expected()));
                }
            }
        }
        if wrong.is_empty() { Ok(Self { table, inputs }) } else { Err(Error::invalid_fields(wrong)) }
    }

    /// Looks up every record that is referred to, in the caller's tenant and organizations.
    pub(super) async fn resolve(self, ctx: &mut Ctx) -> Result<Values> {
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
                let noun = subject.as_deref().unwrap_or("it");
                wrong.push(FieldError::of(name, format!("{noun} is not a kind of record that this can hang on")));
                continue;
            };
            match ctx.resolve(target, key).await? {
                Some(id) => {
                    values.set(name, id);
                }
                None => wrong.push(FieldError::of(name, target.missing(key))),
            }
        }
        if wrong.is_empty() { Ok(values) } else { Err(Error::invalid_fields(wrong)) }
    }
}

/// Both, or everything that is wrong with either.
pub(super) fn both<A, B>(one: Result<A>, two: Result<B>) -> Result<(A, B)> {
    match (one, two) {
        (Ok(one), Ok(two)) => Ok((one, two)),
        (Err(one), Err(two)) => Err(Error::invalid_fields(one.fields().iter().chain(two.fields()).cloned().collect())),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// Takes the `id` off that names the record to act on.
pub(super) fn take_id(table: &Table, arguments: &mut Map<String, Value>) -> Result<Key> {
    let wrong = |message: String| {
        Error::invalid_fields(vec![FieldError::of("id", message).expected("the UUID or number of a record")])
    };
    match arguments.shift_remove("id") {
        None | Some(Value::Null) => Err(wrong("is required".into())),
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|_| wrong(format!("expected the UUID or number of a {}, got {}", table.noun, shown(&value)))),
    }
}

/// Refuses all other arguments.
pub(super) fn refuse_rest(arguments: Map<String, Value>, known: &[&'static str]) -> Result<()> {
    let wrong: Vec<FieldError> =
        arguments.keys().map(|name| unknown_field(&format!("/{name}"), name, known.iter().copied())).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Error::invalid_fields(wrong)) }
}
