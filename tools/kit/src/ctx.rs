//! What a handler works with: the caller, the clock, and the rows of the caller's tenant.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::accesses::Reading;
use crate::db::Tx;
use crate::derived::Steps;
use crate::dialogue::Dialogue;
use crate::error::{Error, Result};
use crate::gate::{Bureau, Origin, Selection};
use crate::guards::{Guard, stands};
use crate::id::{Id, Key, Kind};
use crate::mail;
use crate::outbox;
use crate::record::{Record, Values, select_list};
use crate::rights::{Credential, Principal};
use crate::sql::Sql;
use crate::table::{OnDelete, RowChange, RowWrite, Table};
use crate::time::Instant;
use crate::tool::BoxFuture;
use crate::value::{Row, Val};

/// One row change, as the journal keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub table: &'static Table,
    pub id: Uuid,
    pub before: Option<Map<String, Value>>,
    pub after: Option<Map<String, Value>>,
    /// The row's version after the change; of a deleted row, its last one.
    pub version: i64,
}

impl Change {
    fn event(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "create",
            (_, None) => "delete",
            _ => "update",
        }
    }

    /// Whether the caller may see the record: as it was, or as it is now.
    fn is_within(&self, principal: &Principal) -> bool {
        let limited = self.table.in_organization && stands(Guard::PreviewWithinOrganizations);
        let Some(held) = principal.organizations.as_ref().filter(|_| limited) else { return true };
        [&self.before, &self.after].into_iter().flatten().any(|snapshot| {
            let organization = snapshot.get("organization_id").and_then(Value::as_str);
            organization.is_none_or(|id| Uuid::try_parse(id).is_ok_and(|id| held.contains(&id)))
        })
    }

    /// By what a person knows the record: its name, title or number, else its id.
    fn name(&self) -> String {
        let shown = self.before.as_ref().or(self.after.as_ref());
        let named = |column: &&str| match shown.and_then(|record| record.get(*column)) {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        ["name", "title", "display_name", "number", "num"].iter().find_map(named).unwrap_or_else(|| self.id.to_string())
    }
}

/// Something to be done outside the database once the call is committed.
#[derive(Debug, Clone)]
pub(crate) struct OutsideEffect {
    pub kind: &'static str,
    /// What it is about, such as the invitation that a mail is for.
    pub subject_id: Option<Uuid>,
    /// What shares its turn: the receiver, where one slow one should not hold up others. None: all of the tenant's.
    pub lane: Option<Uuid>,
    pub payload: Value,
}

/// The context of one call, inside its transaction.
#[derive(Debug)]
pub struct Ctx {
    pub(crate) bureau: Arc<Bureau>,
    pub(crate) principal: Arc<Principal>,
    pub(crate) selection: Selection,
    pub(crate) origin: Origin,
    pub(crate) dialogue: Dialogue,
    /// A destructive step was taken inside this call: its client is asked before it is kept.
    pub(crate) destructive: bool,
    pub(crate) now: Instant,
    pub(crate) tx: Tx,
    pub(crate) writes: bool,
    /// Of a tool that needs no credential.
    pub(crate) is_public: bool,
    pub(crate) target: Option<&'static Table>,
    pub(crate) expected_version: Option<i64>,
    /// The tool whose action this call carries out once more: taking it back needs that tool's right.
    pub(crate) redoes: Option<String>,
    pub(crate) changes: Vec<Change>,
    pub(crate) effects: Vec<OutsideEffect>,
    /// Something in the outbox is to be carried at once.
    pub(crate) resent: bool,
    pub(crate) steps: Steps,
    /// Of a read: the record it is about, for the access log.
    pub(crate) reading: Option<Reading>,
}

impl Ctx {
    /// Who calls.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// The caller's tenant.
    pub fn tenant_id(&self) -> Uuid {
        self.principal.tenant_id
    }

    /// The acting user, for tools that make sense for people only.
    pub fn user_id(&self) -> Result<Uuid> {
        self.principal.user_id.ok_or_else(|| {
            Error::forbidden(
                "This needs a user, and the call came with an API key of its own. Use a session token of a user.",
            )
        })
    }

    /// The moment of this call, the same from its first line to its last.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The server's tools and tables.
    pub fn bureau(&self) -> &Arc<Bureau> {
        &self.bureau
    }

    /// How the call reached us.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What is switched on where the call came in: for explanations, the gate has checked it already.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Goes on as somebody in a tenant: for public tools, which begin in none. From here on everything is read, written and
    /// journaled there. Whoever is named holds no feature: the tool itself decides what may be done.
    pub async fn act_in(&mut self, tenant: Uuid, user: Option<Uuid>, label: &str) -> Result<()> {
        if !self.is_public || !self.changes.is_empty() {
            return Err(Error::internal("only public tools enter a tenant, before they change anything"));
        }
        self.principal = Arc::new(Principal::plain(tenant, user, label, Credential::Nobody));
        self.tx.enter(tenant).await
    }

    /// Does work inside another tenant, with every right there and no place in the journal: for tools of the installation,
    /// such as the one that makes a tenant. What it changed cannot be undone, and is not shown by a dry run.
    pub async fn in_tenant<T>(
        &mut self,
        tenant: Uuid,
        work: impl for<'a> FnOnce(&'a mut Self) -> BoxFuture<'a, Result<T>> + Send,
    ) -> Result<T> {
        let elsewhere = Principal {
            features: vec!["*".to_owned()],
            ..Principal::plain(tenant, None, &self.principal.label, self.principal.credential.clone())
        };
        let home = std::mem::replace(&mut self.principal, Arc::new(elsewhere));
        let changes = std::mem::take(&mut self.changes);
        self.tx.enter(tenant).await?;
        let outcome = work(self).await;
        let changed = std::mem::replace(&mut self.changes, changes);
        self.principal = home;
        self.tx.enter(self.principal.tenant_id).await?;
        if self.writes && changed.iter().any(|change| change.table.rights) {
            crate::access::bump_epoch(&mut self.tx).await?;
        }
        outcome
    }

    /// Rows of a statement over all tenants: for what must be found before its tenant is known, such as the account that an
    /// address belongs to. The caller sees to it that nothing of them is told to someone who must not know.
    pub async fn rows_of_all_tenants(&mut self, sql: &Sql) -> Result<Vec<Row>> {
        self.tx.enter_all().await?;
        let rows = self.tx.query(sql).await;
        self.tx.enter(self.principal.tenant_id).await?;
        rows
    }

    /// The same for rows that are to stay as they are until the call ends.
    pub async fn held_rows_of_all_tenants(&mut self, mut sql: Sql) -> Result<Vec<Row>> {
        sql.push(self.tx.lock_clause(false));
        self.rows_of_all_tenants(&sql).await
    }

    /// Does slow work that needs no database, such as comparing a password, while others may write. Nothing may have been
    /// changed before, and what was read before may have changed afterwards.
    pub async fn aside<T>(&mut self, work: impl FnOnce() -> T + Send + 'static) -> Result<T>
    where
        T: Send + 'static,
    {
        if !self.changes.is_empty() || !self.effects.is_empty() {
            return Err(Error::internal("work aside comes before the first change"));
        }
        if self.writes {
            std::mem::replace(&mut self.tx, Tx::resting()).rollback().await?;
        }
        let done = tokio::task::spawn_blocking(work).await.map_err(Error::internal)?;
        if self.writes {
            self.tx = self.bureau.db.write().await?;
            self.tx.enter(self.principal.tenant_id).await?;
            // What the call had spent of its token's writes went back with the place it gave up.
            crate::gate::spend_write(self).await?;
        }
        Ok(done)
    }

    /// A new key.
    pub fn new_id(&self) -> Uuid {
        self.bureau.ids.next(self.now)
    }

    // --- reading

    /// `SELECT … FROM table WHERE tenant_id = $1`, within the caller's organizations. Append conditions.
    pub fn from(&self, table: &'static Table) -> Sql {
        let mut sql = Sql::built(format!("SELECT {} FROM {}", select_list(table), table.name));
        self.scope(table, &mut sql);
        sql
    }

    /// The same for a select list of the caller's making, such as a count.
    pub fn select(&self, list: &'static str, table: &'static Table) -> Sql {
        let mut sql = Sql::built(format!("SELECT {list} FROM {}", table.name));
        self.scope(table, &mut sql);
        sql
    }

    /// The same for all rows of the tenant, whatever organizations the caller is limited to: for rules that hold for the whole
    /// tenant, for guards, since a deletion reaches rows along references that its caller would not be shown, for what must come
    /// out the same whoever asks, and for the caller's own user.
    pub fn from_tenant(&self, table: &'static Table) -> Sql {
        let mut sql = Sql::built(format!("SELECT {} FROM {}", select_list(table), table.name));
        sql.push(" WHERE tenant_id = ").bind(self.principal.tenant_id);
        sql
    }

    fn scope(&self, table: &'static Table, sql: &mut Sql) {
        sql.push(" WHERE tenant_id = ").bind(self.principal.tenant_id);
        let limit = self.principal.organizations.as_ref().filter(|_| stands(Guard::OrganizationFilter));
        let Some(organizations) = limit else { return };
        if table.in_organization {
            sql.and_within("organization_id", organizations.iter().copied());
        }
        if let Some(seen) = table.seen {
            seen(&self.principal, organizations, sql);
        }
    }

    /// Rows of a statement.
    pub async fn rows(&mut self, sql: &Sql) -> Result<Vec<Row>> {
        self.tx.query(sql).await
    }

    /// Rows of a statement that began with [`Ctx::from`], as records.
    pub async fn records(&mut self, table: &'static Table, sql: &Sql) -> Result<Vec<Record>> {
        self.tx.query(sql).await?.into_iter().map(|row| Record::from_row(table, row)).collect()
    }

    /// Writes the records of a statement that began with [`Ctx::from`] as JSON objects, with commas between; answers
    /// how many.
    pub(crate) async fn write_records(&mut self, table: &'static Table, sql: &Sql, json: &mut Vec<u8>) -> Result<i64> {
        if let Some(written) = self.tx.write_records(table, sql, json)? {
            return Ok(written);
        }
        let records = self.records(table, sql).await?;
        for (index, record) in records.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            serde_json::to_writer(&mut *json, record).map_err(Error::internal)?;
        }
        Ok(i64::try_from(records.len()).unwrap_or(i64::MAX))
    }

    /// The first row of a statement that began with [`Ctx::from`]. Inside a write the row stays as it is until the end.
    pub async fn first(&mut self, table: &'static Table, mut sql: Sql) -> Result<Option<Record>> {
        sql.push(" LIMIT 1").push(self.tx.lock_clause(false));
        let row = self.tx.query(&sql).await?.into_iter().next();
        row.map(|row| Record::from_row(table, row)).transpose()
    }

    /// The record a caller names; `not_found` when there is none in the caller's tenant and organizations.
    pub async fn fetch<K: Kind>(&mut self, id: Id<K>) -> Result<Record> {
        self.fetch_from(K::TABLE, id.key()).await
    }

    /// The same, for a table known at run time.
    pub async fn fetch_from(&mut self, table: &'static Table, key: impl Into<Key>) -> Result<Record> {
        let key = key.into();
        let found = self.find_in(table, key).await?;
        let record = found.ok_or_else(|| Error::not_found(table.noun, key))?;
        self.checked_version(table, record)
    }

    /// The same for any record of the tenant, whatever organizations the caller is limited to.
    pub async fn fetch_in_tenant(&mut self, table: &'static Table, id: Uuid) -> Result<Record> {
        let mut sql = self.from_tenant(table);
        sql.and_eq("id", id);
        let record = self.first(table, sql).await?.ok_or_else(|| Error::not_found(table.noun, id))?;
        self.checked_version(table, record)
    }

    /// Refuses a record of another version than the caller expects.
    fn checked_version(&mut self, table: &'static Table, record: Record) -> Result<Record> {
        if let Some(expected) =
            self.expected_version.filter(|_| self.target.is_some_and(|target| std::ptr::eq(target, table)))
        {
            // Checked once, on the record the tool acts on: the first it reads of its target table.
            self.expected_version = None;
            if record.version != expected && stands(Guard::ExpectedVersion) {
                return Err(Error::conflict(format!(
                    "This {} has version {}, not {expected}: someone changed it since you read it. Read it again and decide anew.",
                    table.noun, record.version
                ))
                .with("current_version", record.version)
                .with("current", Value::Object(record.to_json())));
            }
        }
        self.note_read(&record);
        Ok(record)
    }

    /// The record that a row refers to, held as it is until the end of the call. For rules that decide by a parent.
    ///
    /// Referring to a row locks it against deletion, also for two calls at once. If both then [fetched](Self::fetch) it,
    /// PostgreSQL would see each waiting for the other; `hold` makes the second one simply wait.
    pub async fn hold(&mut self, table: &'static Table, id: Uuid) -> Result<Record> {
        let mut sql = self.from(table);
        sql.and_eq("id", id).push(self.tx.hold_clause());
        let found = self.records(table, &sql).await?.into_iter().next();
        found.ok_or_else(|| Error::not_found(table.noun, id))
    }

    /// The same in whatever organization of the tenant it is; see [`Ctx::from_tenant`].
    pub async fn hold_anywhere(&mut self, table: &'static Table, id: Uuid) -> Result<Option<Record>> {
        let mut sql = self.from_tenant(table);
        sql.and_eq("id", id).push(self.tx.hold_clause());
        Ok(self.records(table, &sql).await?.into_iter().next())
    }

    /// The record a key names, or none.
    pub async fn find_in(&mut self, table: &'static Table, key: Key) -> Result<Option<Record>> {
        let mut sql = self.from(table);
        match key {
            Key::Uuid(id) => sql.and_eq("id", id),
            Key::Num(num) if table.numbered => sql.and_eq("num", num),
            Key::Num(_) => return Ok(None),
        };
        self.first(table, sql).await
    }

    /// The id of the record that a reference names, following a merge; none when there is no such record.
    /// The record cannot be deleted before this call has ended.
    pub async fn resolve(&mut self, table: &'static Table, key: Key) -> Result<Option<Uuid>> {
        let mut sql = match table.merged_into {
            Some(column) => Sql::built(format!("SELECT COALESCE({column}, id) FROM {}", table.name)),
            None => Sql::built(format!("SELECT id FROM {}", table.name)),
        };
        self.scope(table, &mut sql);
        match key {
            Key::Uuid(id) => sql.and_eq("id", id),
            Key::Num(num) if table.numbered => sql.and_eq("num", num),
            Key::Num(_) => return Ok(None),
        };
        sql.push(self.tx.lock_clause(true));
        self.tx.query(&sql).await?.first().map(|row| row.get(0)).transpose()
    }

    /// Resolves a reference given as the argument `name`; a wrong one is an error of that argument.
    pub async fn reference<K: Kind>(&mut self, name: &str, id: Id<K>) -> Result<Uuid> {
        self.reference_in(name, K::TABLE, id.key()).await
    }

    /// The same, for a table known at run time.
    pub async fn reference_in(&mut self, name: &str, table: &'static Table, key: Key) -> Result<Uuid> {
        let found = self.resolve(table, key).await?;
        found.ok_or_else(|| Error::invalid(format!("/{name}"), table.missing(key)))
    }

    /// How many rows a statement that began with `ctx.select("1", …)` finds, counted up to `limit`.
    pub async fn count_up_to(&mut self, limit: i64, sql: Sql) -> Result<i64> {
        let mut counted = Sql::new("SELECT COUNT(*) FROM (");
        counted.values = sql.values;
        counted.push_built(&sql.text).push(" LIMIT ").bind(limit).push(") AS counted");
        self.tx.query(&counted).await?.first().map_or(Ok(0), |row| row.get(0))
    }

    /// Whether a statement finds anything.
    pub async fn exists(&mut self, sql: Sql) -> Result<bool> {
        Ok(self.count_up_to(1, sql).await? > 0)
    }

    // --- writing

    /// Stores a new record. Columns that are not given get their defaults.
    pub async fn insert(&mut self, table: &'static Table, values: Values) -> Result<Record> {
        let id = self.new_id();
        self.insert_as(table, id, values).await
    }

    /// The same under a key that is known already.
    pub async fn insert_as(&mut self, table: &'static Table, id: Uuid, values: Values) -> Result<Record> {
        let num = if table.numbered { Some(self.next_number(table.name).await?) } else { None };
        let mut cells = Vec::with_capacity(table.columns.len());
        for column in table.columns {
            cells.push(match (values.get(column.name), column.default) {
                (Some(value), _) => value.clone(),
                (None, Some(default)) => {
                    column.val_of_json(&serde_json::from_str(default).map_err(Error::internal)?)?
                }
                (None, None) => Val::Null,
            });
        }
        let given = values.get("organization_id").filter(|_| table.in_organization);
        let organization_id = match given {
            Some(Val::Id(organization)) => Some(*organization),
            Some(_) => None,
            None => self.own_organization().filter(|_| table.in_organization),
        };
        if given.is_some() || organization_id.is_some() {
            self.refuse_outside(organization_id)?;
        }
        let record =
            Record { table, id, num, organization_id, version: 1, created_at: self.now, updated_at: self.now, cells };
        self.guarded(table, None, Some(&record)).await?;
        self.insert_row(&record).await?;
        self.note(Change { table, id, before: None, after: Some(record.snapshot()), version: 1 });
        Ok(record)
    }

    /// Asks the guard of a table, if it has one.
    pub(crate) async fn guarded(
        &mut self,
        table: &'static Table,
        before: Option<&Record>,
        after: Option<&Record>,
    ) -> Result<()> {
        match table.guard {
            Some(guard) => guard(self, RowWrite { before, after }).await,
            None => Ok(()),
        }
    }

    /// Where a record belongs whose maker names no organization: the caller's own, or the only one it is let into.
    fn own_organization(&self) -> Option<Uuid> {
        let only = || match self.principal.organizations.as_deref() {
            Some([only]) => Some(*only),
            _ => None,
        };
        self.principal.organization_id.or_else(only)
    }

    /// Who is limited to some organizations puts records into no other, and opens none to the whole tenant.
    fn refuse_outside(&self, organization: Option<Uuid>) -> Result<()> {
        let Some(reach) = self.principal.organizations.as_ref().filter(|_| stands(Guard::RecordOrganization)) else {
            return Ok(());
        };
        if organization.is_some_and(|id| reach.contains(&id)) {
            return Ok(());
        }
        let whose = match organization {
            Some(_) => "The record would belong to an organization that you are not let into.",
            None => "The record would be open to every organization, and you are not let into all of them.",
        };
        Err(Error::forbidden(format!("{whose} Name one of yours as organization_id, or leave it out."))
            .with("missing", "organization"))
    }

    /// Writes a row exactly as given. Also how undo and redo put rows back.
    pub(crate) async fn insert_row(&mut self, record: &Record) -> Result<()> {
        let table = record.table;
        let mut columns = String::from("id, tenant_id, version, created_at, updated_at");
        let mut sql = Sql::new("");
        sql.bind(record.id).push(", ").bind(self.principal.tenant_id).push(", ").bind(record.version);
        sql.push(", ").bind(record.created_at).push(", ").bind(record.updated_at);
        let mut add = |name: &str, value: Val| {
            columns.push_str(", ");
            columns.push_str(name);
            sql.push(", ").bind(value);
        };
        if table.numbered {
            add("num", record.num.into());
        }
        if table.in_organization {
            add("organization_id", record.organization_id.into());
        }
        if table.searchable() {
            add("folded", record.folded().into());
        }
        for (column, cell) in record.cells() {
            add(column.name, cell.clone());
        }
        sql.text = format!("INSERT INTO {} ({columns}) VALUES ({})", table.name, sql.text);
        self.tx.execute(&sql).await?;
        Ok(())
    }

    /// Changes a record. Values equal to what is stored are no change, and no change writes nothing.
    pub async fn update(&mut self, before: &Record, values: Values) -> Result<Record> {
        let table = before.table;
        let mut after = before.clone();
        for (index, column) in table.columns.iter().enumerate() {
            if let (Some(value), Some(cell)) = (values.get(column.name), after.cells.get_mut(index)) {
                *cell = value.clone();
            }
        }
        if let Some(organization) = values.get("organization_id").filter(|_| table.in_organization) {
            after.organization_id = if let Val::Id(id) = organization { Some(*id) } else { None };
            if after.organization_id != before.organization_id {
                self.refuse_outside(after.organization_id)?;
            }
        }
        if after.cells == before.cells && after.organization_id == before.organization_id {
            return Ok(after);
        }
        after.updated_at = self.now;
        self.guarded(table, Some(before), Some(&after)).await?;
        let mut sql = self.assignments(before, &after);
        // One more than this row ever had: a version that was undone is never given to other contents.
        sql.push(", version = 1 + (SELECT CASE WHEN COALESCE(MAX(version_after), 0) > ").bind(before.version);
        sql.push(" THEN MAX(version_after) ELSE ").bind(before.version);
        sql.push(" END FROM action_changes WHERE row_id = ").bind(before.id).push(")");
        sql.push(" WHERE id = ")
            .bind(before.id)
            .and_eq("tenant_id", self.principal.tenant_id)
            .and_eq("version", before.version);
        sql.push(" RETURNING version");
        let rows = self.tx.query(&sql).await?;
        let row = rows.first().ok_or_else(|| Error::retryable("a record changed between reading and writing it"))?;
        after.version = row.get(0)?;
        self.note(Change {
            table,
            id: after.id,
            before: Some(before.snapshot()),
            after: Some(after.snapshot()),
            version: after.version,
        });
        Ok(after)
    }

    /// `UPDATE table SET …` with everything in which the two rows differ.
    fn assignments(&self, before: &Record, after: &Record) -> Sql {
        let table = before.table;
        let mut sql = Sql::built(format!("UPDATE {} SET updated_at = ", table.name));
        sql.bind(after.updated_at);
        let mut searched = false;
        for (column, (old, new)) in table.columns.iter().zip(before.cells.iter().zip(&after.cells)) {
            if old != new {
                sql.push(", ").push(column.name).push(" = ").bind(new.clone());
                searched |= column.search;
            }
        }
        if before.organization_id != after.organization_id {
            sql.push(", organization_id = ").bind(after.organization_id);
        }
        if searched {
            sql.push(", folded = ").bind(after.folded());
        }
        sql
    }

    /// Puts a row back to an earlier state, version included. For undo and redo.
    pub(crate) async fn restore_row(&mut self, current: &Record, wanted: &Record) -> Result<()> {
        let mut sql = self.assignments(current, wanted);
        sql.push(", version = ").bind(wanted.version).push(" WHERE id = ").bind(current.id);
        sql.and_eq("tenant_id", self.principal.tenant_id);
        self.tx.execute(&sql).await?;
        Ok(())
    }

    /// Deletes a record, and with it, or before it, what its references say.
    pub async fn delete(&mut self, record: &Record) -> Result<()> {
        // Boxed, since a cascade calls itself.
        Box::pin(self.delete_with_references(record)).await
    }

    async fn delete_with_references(&mut self, record: &Record) -> Result<()> {
        self.guarded(record.table, Some(record), None).await?;
        let bureau = self.bureau.clone();
        for reference in bureau.registry.references_to(record.table) {
            let dependants = self.referring(reference, record).await?;
            if dependants.is_empty() {
                continue;
            }
            match reference.on_delete {
                OnDelete::Refuse => {
                    return Err(Error::conflict(format!(
                        "This {} is still used: {} × {} ({}). Move or delete those first.",
                        record.table.noun,
                        dependants.len(),
                        reference.table.noun,
                        reference.column
                    ))
                    .with("used_by", reference.table.noun)
                    .with("count", dependants.len()));
                }
                OnDelete::Clear => {
                    for dependant in dependants {
                        self.update(&dependant, Values::new().with(reference.column, Val::Null)).await?;
                    }
                }
                OnDelete::Cascade => {
                    for dependant in dependants {
                        self.delete(&dependant).await?;
                    }
                }
            }
        }
        self.delete_row(record).await?;
        let (table, id, version) = (record.table, record.id, record.version);
        self.note(Change { table, id, before: Some(record.snapshot()), after: None, version });
        Ok(())
    }

    pub(crate) async fn delete_row(&mut self, record: &Record) -> Result<()> {
        let mut sql = Sql::built(format!("DELETE FROM {} WHERE id = ", record.table.name));
        sql.bind(record.id).and_eq("tenant_id", self.principal.tenant_id);
        match self.tx.execute(&sql).await? {
            0 => Err(Error::retryable("a record was gone between reading and deleting it")),
            _ => Ok(()),
        }
    }

    /// The records that refer to `record` in one place, whatever organization they are in.
    pub async fn referring(&mut self, reference: &crate::registry::Reference, record: &Record) -> Result<Vec<Record>> {
        let mut sql = Sql::built(format!(
            "SELECT {} FROM {} WHERE tenant_id = ",
            select_list(reference.table),
            reference.table.name
        ));
        sql.bind(self.principal.tenant_id);
        if let Some(subject_type) = reference.subject_type {
            sql.and_eq(subject_type, record.table.noun);
        }
        sql.and_eq(reference.column, record.id).push(" ORDER BY created_at, id").push(self.tx.lock_clause(false));
        self.records(reference.table, &sql).await
    }

    /// Writes what the journal must not see: rows that hold nothing but secrets. Undo does not know of them.
    pub async fn write_secret(&mut self, sql: &Sql) -> Result<u64> {
        self.tx.execute(sql).await
    }

    /// Gives a mail to be sent once this call is committed: of this template, about this record. No secret is told here:
    /// the template's [`Letter`](crate::mail::Letter) makes its link when the mail is sent.
    pub fn send_mail(&mut self, template: &'static str, subject_id: Uuid, values: Map<String, Value>) {
        let mut payload = Map::from_iter([("template".to_owned(), json!(template))]);
        payload.extend(values);
        self.send_out(mail::KIND, Some(subject_id), None, Value::Object(payload));
    }

    /// Gives something else to be done outside once this call is committed. `lane` names the receiver, where one that is
    /// slow should not hold up others.
    pub fn send_out(&mut self, kind: &'static str, subject_id: Option<Uuid>, lane: Option<Uuid>, payload: Value) {
        self.effects.push(OutsideEffect { kind, subject_id, lane, payload });
    }

    /// Has an item of the outbox carried at once, under the same id, whether it has ended or waits for its next attempt.
    /// False when there is no such item of this kind, or it is under way right now.
    pub async fn send_again(&mut self, kind: &'static str, item: Uuid) -> Result<bool> {
        let again = outbox::again(&mut self.tx, self.principal.tenant_id, kind, item, self.now).await?;
        self.resent |= again;
        Ok(again)
    }

    /// Who is told of events is to be looked up anew, though no described row has changed.
    pub async fn subscribers_changed(&mut self) -> Result<()> {
        crate::events::subscribers_changed(&mut self.tx).await
    }

    /// The next number of a table in this tenant. Numbers are never given twice, not even after an undo.
    async fn next_number(&mut self, name: &'static str) -> Result<i64> {
        self.count_on(name).await
    }

    /// Counts a series of this tenant on by one, such as the invoices of a year. Whoever counts waits for those who count the
    /// same series; a call that comes to nothing, or is only tried, leaves no gap.
    pub async fn count_on(&mut self, series: &str) -> Result<i64> {
        let sql = Sql::with(
            "INSERT INTO counters (tenant_id, name, value) VALUES ($1, $2, 1) \
             ON CONFLICT (tenant_id, name) DO UPDATE SET value = counters.value + 1 RETURNING value",
            [self.principal.tenant_id.into(), series.into()],
        );
        let rows = self.tx.query(&sql).await?;
        rows.first().ok_or_else(|| Error::internal("a counter gave no number"))?.get(0)
    }

    /// Asks the tables whose rows changed whether what they keep still holds.
    pub(crate) async fn check_kept(&mut self) -> Result<()> {
        let mut asked: Vec<&'static Table> = Vec::new();
        for change in &self.changes {
            if change.table.kept.is_some() && !asked.iter().any(|table| std::ptr::eq(*table, change.table)) {
                asked.push(change.table);
            }
        }
        for table in asked {
            let changed = self.changes.iter().filter(|change| std::ptr::eq(change.table, table));
            let rows: Vec<RowChange> = changed
                .map(|change| RowChange { id: change.id, before: change.before.clone(), after: change.after.clone() })
                .collect();
            if let Some(kept) = table.kept {
                kept(self, &rows).await?;
            }
        }
        Ok(())
    }

    pub(crate) fn note(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// What has changed so far, as a dry run shows it.
    pub(crate) fn preview(&self) -> Vec<Value> {
        self.changes
            .iter()
            .map(|change| {
                let event = change.event();
                let mut shown = Map::new();
                shown.insert("record".into(), json!(change.table.noun));
                // What is tenant-wide can reach into organizations that the caller may not see: told is that it does.
                let within = change.is_within(&self.principal);
                if within {
                    shown.insert("id".into(), json!(change.id));
                }
                shown.insert("event".into(), json!(event));
                if within {
                    let fields = shown_differences(change.table, change.before.as_ref(), change.after.as_ref());
                    shown.insert("fields".into(), fields);
                }
                Value::Object(shown)
            })
            .collect()
    }

    /// What has been done so far in one line for a person: `delete person Anna Nowak, update task × 3`.
    pub(crate) fn change_summary(&self) -> String {
        let mut kinds: Vec<(&str, &str, Vec<&Change>)> = Vec::new();
        for change in &self.changes {
            let (event, noun) = (change.event(), change.table.noun);
            match kinds.iter_mut().find(|(known, of, _)| *known == event && *of == noun) {
                Some((.., changes)) => changes.push(change),
                None => kinds.push((event, noun, vec![change])),
            }
        }
        let texts: Vec<String> = kinds
            .iter()
            .map(|(event, noun, changes)| match changes.as_slice() {
                [change] => format!("{event} {noun} {}", change.name()),
                changes => format!("{event} {noun} × {}", changes.len()),
            })
            .collect();
        if texts.is_empty() { "nothing changes".to_owned() } else { texts.join(", ") }
    }
}

/// What differs between two snapshots, as far as the record's own tools show it: hidden columns are no one's business.
pub fn shown_differences(
    table: &Table,
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
) -> Value {
    let mut differences = differences(before, after);
    if let Some(fields) = differences.as_object_mut() {
        fields.retain(|name, _| table.column(name).is_none_or(|column| !column.hidden));
    }
    differences
}

/// What differs between two snapshots: `{column: {before, after}}`, without the columns the kit itself keeps.
pub fn differences(before: Option<&Map<String, Value>>, after: Option<&Map<String, Value>>) -> Value {
    let names = before.or(after).map(|object| object.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let mut fields = Map::new();
    for name in names {
        if matches!(name.as_str(), "id" | "version" | "created_at" | "updated_at") {
            continue;
        }
        let old = before.and_then(|object| object.get(&name)).unwrap_or(&Value::Null);
        let new = after.and_then(|object| object.get(&name)).unwrap_or(&Value::Null);
        if old != new {
            fields.insert(name, json!({"before": old, "after": new}));
        }
    }
    Value::Object(fields)
}
