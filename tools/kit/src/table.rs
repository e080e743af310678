//! Tables and columns, described once: storage, validation, schemas, journal and references all read this.

mod column;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::ctx::Ctx;
use crate::error::Result;
use crate::id::Key;
use crate::rights::Principal;
use crate::sql::Sql;
use crate::tool::BoxFuture;

pub(crate) use column::shown;
pub use column::{Column, Input, OnDelete, Type};

/// What a rule is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A record is about to be stored for the first time.
    Create,
    /// A record is about to change.
    Update,
    /// A record is about to be deleted.
    Delete,
}

/// A change that a record's rule may refuse or complete before it is stored.
#[derive(Debug)]
pub struct Draft<'a> {
    /// What is about to happen.
    pub event: Event,
    /// The record as it stands; absent on create.
    pub before: Option<&'a crate::record::Record>,
    /// The columns that are about to be written.
    pub values: &'a mut crate::record::Values,
}

/// The rule of a record: runs before each create, update and delete of the family.
pub type Rule = for<'a> fn(&'a mut Ctx, Draft<'a>) -> BoxFuture<'a, Result<()>>;

/// What must hold whatever changed the rows: asked once at the end of a call, undo and redo included, with the rows of the
/// table as they were and as they are.
pub type Kept = for<'a> fn(&'a mut Ctx, &'a [RowChange]) -> BoxFuture<'a, Result<()>>;

/// A row before and after a call, as the journal keeps it; absent where there is no row.
#[derive(Debug, Clone)]
pub struct RowChange {
    /// Its key.
    pub id: Uuid,
    /// As it was.
    pub before: Option<Map<String, Value>>,
    /// As it is.
    pub after: Option<Map<String, Value>>,
}

/// A row about to be written.
#[derive(Debug, Clone, Copy)]
pub struct RowWrite<'a> {
    /// The row as it stands; absent when it is new.
    pub before: Option<&'a crate::record::Record>,
    /// The row as it would be; absent when it goes.
    pub after: Option<&'a crate::record::Record>,
}

/// What refuses to write a row, whichever way the change comes: by a tool, along a reference, by a merge, an undo or a redo.
/// A [`Rule`] sees what its family is asked to do; a guard sees every single row at the moment of its change, when a parent
/// still is what it was then, and completes nothing. [`Kept`] looks at the end of the call.
pub type Guard = for<'a> fn(&'a mut Ctx, RowWrite<'a>) -> BoxFuture<'a, Result<()>>;

/// Adds the condition by which somebody who is limited to these organizations sees rows, where no `organization_id` says it.
pub type Seen = fn(&Principal, &[Uuid], &mut Sql);

/// One table, with everything the kit must know of it.
///
/// Beside the columns named here every table has `id`, `tenant_id`, `version`, `created_at`, `updated_at`;
/// by option `num`, `organization_id` and the folded search text.
#[derive(Debug)]
pub struct Table {
    /// Name in the database, plural: `tasks`.
    pub name: &'static str,
    /// Name of one record in tools and errors: `task`.
    pub noun: &'static str,
    /// One sentence about a record, for descriptions.
    pub about: &'static str,
    /// Own columns.
    pub columns: &'static [Column],
    /// Rows are counted per tenant in `num`.
    pub numbered: bool,
    /// Rows belong to an organization of the tenant, or to the whole tenant.
    pub in_organization: bool,
    /// Which rows of a tenant-wide table somebody sees who is limited to some organizations; all of them when absent.
    pub seen: Option<Seen>,
    /// Changes here change what someone may do: every cached right is forgotten.
    pub rights: bool,
    /// Column that names the record this one was merged into; references follow it.
    pub merged_into: Option<&'static str>,
    /// Checked before each write of the family.
    pub rule: Option<Rule>,
    /// Checked after each call that changed rows, whatever changed them.
    pub kept: Option<Kept>,
    /// Asked before each write of a row, whichever way it comes.
    pub guard: Option<Guard>,
}

impl Table {
    /// A numbered table of organization-owned rows.
    pub const fn new(name: &'static str, noun: &'static str, about: &'static str, columns: &'static [Column]) -> Self {
        Self {
            name,
            noun,
            about,
            columns,
            numbered: true,
            in_organization: true,
            seen: None,
            rights: false,
            merged_into: None,
            rule: None,
            kept: None,
            guard: None,
        }
    }
    /// Rows have no number.
    pub const fn unnumbered(mut self) -> Self {
        self.numbered = false;
        self
    }
    /// Rows belong to the tenant as a whole.
    pub const fn tenant_wide(mut self) -> Self {
        self.in_organization = false;
        self
    }
    /// Rows belong to the tenant as a whole, and yet not everybody who is limited to organizations sees them.
    pub const fn seen(mut self, seen: Seen) -> Self {
        self.seen = Some(seen);
        self
    }
    /// Rows decide rights.
    pub const fn deciding_rights(mut self) -> Self {
        self.rights = true;
        self
    }
    /// References to a merged row go to the row named in `column`.
    pub const fn merged_into(mut self, column: &'static str) -> Self {
        self.merged_into = Some(column);
        self
    }
    /// Rule checked before each write of the family.
    pub const fn rule(mut self, rule: Rule) -> Self {
        self.rule = Some(rule);
        self
    }
    /// What must hold after every call that changed rows.
    pub const fn keeping(mut self, kept: Kept) -> Self {
        self.kept = Some(kept);
        self
    }
    /// What may refuse each write of a row, whichever way it comes.
    pub const fn guard(mut self, guard: Guard) -> Self {
        self.guard = Some(guard);
        self
    }
    /// The column called `name`.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }
    /// What to say of a reference to a row that there is not.
    pub fn missing(&self, key: Key) -> String {
        format!("there is no {} {key}; use {}_list to find it", self.noun, self.noun)
    }
    /// Whether rows carry folded search text.
    pub fn searchable(&self) -> bool {
        self.columns.iter().any(|column| column.search)
    }
    /// Columns that answers show.
    pub fn shown(&self) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().filter(|column| !column.hidden)
    }
}
