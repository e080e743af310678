//! One changed record, as the audit shows it.

use bureau_kit::ctx::differences;
use bureau_kit::prelude::*;
use bureau_kit::value::Row;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ChangeRow {
    /// Kind of the record.
    record: String,
    /// UUID of the record.
    id: String,
    /// create, update or delete.
    event: String,
    /// Fields with their values before and after.
    fields: Map<String, Value>,
    /// The record as it was before; null when it was created, or when snapshots were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Map<String, Value>>,
    /// The record as it was after; null when it was deleted, or when snapshots were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Map<String, Value>>,
}

/// A change as the journal holds it, without the columns that are no one's business.
#[derive(Debug)]
pub(super) struct Change {
    table: Option<&'static Table>,
    name: String,
    before: Option<Map<String, Value>>,
    after: Option<Map<String, Value>>,
}

impl Change {
    /// Out of a row with the table's name and both snapshots in these places.
    pub(super) fn of(ctx: &Ctx, row: &Row, name: usize, before: usize, after: usize) -> Result<Self> {
        let name: String = row.get(name)?;
        let table = ctx.bureau().registry.table(&name);
        let snapshot = |place: usize| {
            let Some(text) = row.get::<Option<String>>(place)? else { return Ok(None) };
            let mut snapshot: Map<String, Value> = serde_json::from_str(&text).map_err(Error::internal)?;
            // Columns that the record's own tools do not show are not shown here either.
            snapshot.retain(|name, _| table.and_then(|table| table.column(name)).is_none_or(|column| !column.hidden));
            Ok::<_, Error>(Some(snapshot))
        };
        Ok(Self { table, before: snapshot(before)?, after: snapshot(after)?, name })
    }

    /// create, update or delete.
    pub(super) fn event(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "create",
            (_, None) => "delete",
            _ => "update",
        }
    }

    /// What differs, field by field.
    pub(super) fn fields(&self) -> Map<String, Value> {
        match differences(self.before.as_ref(), self.after.as_ref()) {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }

    /// For an answer.
    pub(super) fn row(self, id: Uuid, with_snapshots: bool) -> ChangeRow {
        ChangeRow {
            event: self.event().to_owned(),
            fields: self.fields(),
            record: self.table.map_or(self.name, |table| table.noun.to_owned()),
            id: id.to_string(),
            before: self.before.filter(|_| with_snapshots),
            after: self.after.filter(|_| with_snapshots),
        }
    }
}
