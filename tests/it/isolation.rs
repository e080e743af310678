//! Records of another company, and of an organization that the caller is not let into, do not exist: for every tool and
//! every argument that takes an id, to the byte, as with an id that nobody has.

use std::collections::BTreeSet;

use bureau_kit::db::Location;
use bureau_kit::registry::Entry;
use bureau_kit::sql::Sql;
use bureau_kit::value::Row;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::callers::{grant, user, with_key_of};
use crate::oracle::is_of_installation;
use crate::support::{Tester, difference};
use crate::world::{World, dry, id_places};

/// A place for an id in the arguments of a tool.
struct Place {
    /// Arguments that hold an own record's id there.
    arguments: Value,
    pointer: String,
}

impl Place {
    fn with(&self, id: &str) -> Value {
        let mut arguments = self.arguments.clone();
        *arguments.pointer_mut(&self.pointer).unwrap() = json!(id);
        arguments
    }

    fn own(&self) -> &str {
        self.arguments.pointer(&self.pointer).and_then(Value::as_str).unwrap()
    }
}

/// Every place for an id in one sample, those that the sample leaves out and the schema allows included.
fn places(world: &World, entry: &Entry, sample: &Value) -> Vec<Place> {
    let given = id_places(sample);
    let mut places: Vec<Place> =
        given.iter().map(|pointer| Place { arguments: sample.clone(), pointer: pointer.clone() }).collect();
    optional(world, &entry.tool.input_schema(), sample, "", &mut |pointer, arguments| {
        if !given.iter().any(|known| *known == pointer || known.starts_with(&format!("{pointer}/"))) {
            places.push(Place { arguments, pointer });
        }
    });
    places
}

/// Walks a schema beside a sample, and tells each place for an id with the sample completed there.
fn optional(world: &World, schema: &Value, sample: &Value, path: &str, found: &mut dyn FnMut(String, Value)) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let (at, inner) = (format!("{path}/{name}"), sample.pointer(&format!("{path}/{name}")));
        // A table without a record has no id to try.
        let id = |table: &str| world.ids[if table == "*" { "tasks" } else { table }].last();
        if let Some(table) = property["x-record"].as_str() {
            if let Some(id) = id(table) {
                found(at.clone(), put(sample, &at, json!(id)));
            }
        } else if let Some(table) = property["items"]["x-record"].as_str() {
            if let Some(id) = id(table) {
                found(format!("{at}/0"), put(sample, &at, json!([id])));
            }
        } else if property["type"] == "object" {
            let sample = if inner.is_some() { sample.clone() } else { put(sample, &at, json!({})) };
            optional(world, property, &sample, &at, found);
        } else if property["items"]["type"] == "object" && inner.is_some_and(|list| !list[0].is_null()) {
            optional(world, &property["items"], sample, &format!("{at}/0"), found);
        }
    }
}

fn put(value: &Value, pointer: &str, member: Value) -> Value {
    let mut value = value.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap()[name] = member;
    value
}

/// Looks like an id of ours, and is nobody's.
fn nobodys(number: usize) -> String {
    Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0000 | u128::try_from(number).unwrap()).to_string()
}

/// The answer to a call, dry so that whatever is allowed leaves no trace. What every call makes anew is left out.
async fn told(tester: &Tester, entry: &Entry, arguments: Value, known: &BTreeSet<Uuid>) -> (Value, bool) {
    fn masked(value: Value, known: &BTreeSet<Uuid>) -> Value {
        let mask = |text: String| match Uuid::try_parse(&text) {
            Ok(id) if !known.contains(&id) => "(new id)".to_owned(),
            _ if ["bus_", "buk_", "bui_"].iter().any(|prefix| text.starts_with(prefix)) => "(token)".to_owned(),
            _ => text,
        };
        match value {
            Value::String(text) => json!(mask(text)),
            Value::Array(items) => items.into_iter().map(|item| masked(item, known)).collect(),
            Value::Object(members) => {
                Value::Object(members.into_iter().map(|(name, member)| (name, masked(member, known))).collect())
            }
            other => other,
        }
    }
    let (answer, is_error) = tester.call(entry.tool.name, dry(entry, &arguments)).await;
    (masked(answer, known), is_error)
}

/// What a caller is told of somebody's id and of nobody's id at one place. The answers must be the same.
struct Cell {
    told: String,
    of_nobody: String,
    accepted: bool,
}

impl Cell {
    async fn of(
        tester: &Tester,
        entry: &Entry,
        place: &Place,
        id: &str,
        number: usize,
        known: &BTreeSet<Uuid>,
    ) -> Self {
        let nobody = nobodys(number);
        let mut known = known.clone();
        known.extend([Uuid::try_parse(id).unwrap(), Uuid::try_parse(&nobody).unwrap()]);
        let (one, refused) = told(tester, entry, place.with(id), &known).await;
        let (two, _) = told(tester, entry, place.with(&nobody), &known).await;
        // The same id may stand at other places too.
        let text = |answer: Value| answer.to_string().replace(id, "ID").replace(&nobody, "ID");
        Self { told: text(one), of_nobody: text(two), accepted: !refused }
    }
}

/// Every object in an answer that is one of these records itself.
fn records(answer: &Value, ids: &BTreeSet<Uuid>, found: &mut Vec<Uuid>) {
    match answer {
        Value::Array(items) => items.iter().for_each(|item| records(item, ids, found)),
        Value::Object(members) => {
            let id = members.get("id").and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
            found.extend(id.filter(|id| ids.contains(id)));
            members.values().for_each(|member| records(member, ids, found));
        }
        _ => {}
    }
}

/// Tools that carry out what they can, and answer for each record by itself.
const EACH_FOR_ITSELF: &[&str] = &["batch_call", "client_option_bulk_change"];

#[tokio::test(flavor = "multi_thread")]
async fn another_companys_records_do_not_exist() {
    let world = World::new().await;
    let other = World::of(world.owner.other_tenant().await).await;
    // An owner who does not administer the installation, and so learns of no other tenant.
    let plain = with_key_of(&world.owner, &user(&world.owner, "plain", json!(["owner"])).await).await;
    let (own_before, other_before) = (world.owner.dump().await, other.owner.dump().await);
    // Tenants have one wall only: they decide whose rows there are, and are looked up before anyone is in one.
    let records = |world: &World| -> BTreeSet<Uuid> {
        let tables = world.ids.iter().filter(|(table, _)| **table != "tenants");
        tables.flat_map(|(_, ids)| ids).copied().collect()
    };
    let (own, foreign) = (records(&world), records(&other));
    for (table, ids) in &world.ids {
        assert!(ids.iter().all(|id| !foreign.contains(id)), "two companies share {table}");
    }
    let (mut cells, mut controls, mut wrong) = (0, 0, Vec::new());
    for entry in world.owner.bureau.registry.entries() {
        let name = entry.tool.name;
        if entry.tool.public {
            // Acts as whoever signs in, who may be known in several companies.
            continue;
        }
        if !entry.tool.rights.is_empty() && entry.tool.rights.iter().all(|right| is_of_installation(right)) {
            // Handles the companies themselves: nobody in one of them may use it.
            for sample in other.samples(entry) {
                let (answer, _) = told(&plain, entry, sample, &own).await;
                assert_eq!(answer["code"], "forbidden", "{name}: {answer}");
                cells += 1;
            }
            continue;
        }
        for (sample, foreign_sample) in world.samples(entry).iter().zip(&other.samples(entry)) {
            let all = places(&world, entry, sample).into_iter().zip(places(&other, entry, foreign_sample));
            for (place, theirs) in all {
                assert_eq!(place.pointer, theirs.pointer, "{name}");
                // The own record is found: otherwise the refusals below would prove nothing.
                let (answer, refused) = told(&world.owner, entry, place.arguments.clone(), &own).await;
                controls += usize::from(!refused);
                let given = place.arguments == *sample;
                assert!(!(refused && given), "{name} refuses an own record at {}: {answer}", place.pointer);
                let cell = Cell::of(&world.owner, entry, &place, theirs.own(), cells, &own).await;
                if cell.told != cell.of_nobody {
                    wrong.push(format!("{name} {}:\n  {}\n  {}", place.pointer, cell.told, cell.of_nobody));
                }
                // An unknown id may be looked for. Nothing may be written with it, but in a batch, where each call fails for
                // itself.
                if cell.accepted && entry.tool.writes() && !EACH_FOR_ITSELF.contains(&name) {
                    wrong.push(format!("{name} takes an id of nobody at {}", place.pointer));
                }
                cells += 1;
            }
            let (answer, _) = told(&plain, entry, sample.clone(), &(&own | &foreign)).await;
            let answer = answer.to_string();
            let leaked = foreign.iter().find(|id| answer.contains(&id.to_string()));
            assert!(leaked.is_none(), "{name} shows another company's {leaked:?}");
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {cells} cells tell a foreign record from none:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(difference(&other_before, &other.owner.dump().await), "", "the other company changed");
    assert_eq!(difference(&own_before, &world.owner.dump().await), "", "calls with foreign ids changed something");
    println!(
        "{cells} places for an id × (own, foreign, random) = {} cells; {controls} of the own ones succeed",
        cells * 3
    );
}

/// Tables whose records belong to people, and so to the organization of each.
const OF_PEOPLE: &[&str] = &["api_keys", "oauth_subjects", "sessions"];

/// The records of each organization, of tables whose records belong to one, or to people in one.
async fn in_organizations(owner: &Tester) -> Vec<(Uuid, Uuid)> {
    let rows = owner.bureau.as_system(owner.tenant_id, None, "organizations", |ctx| {
        Box::pin(async move {
            let mut found = Vec::new();
            for table in bureau::catalog::tables().into_iter().filter(|table| table.in_organization) {
                let mut sql = ctx.select("id, organization_id", table);
                sql.push(" AND organization_id IS NOT NULL");
                for row in ctx.rows(&sql).await? {
                    found.push((row.get(0)?, row.get(1)?));
                }
            }
            for table in OF_PEOPLE {
                let mut sql = Sql::new("SELECT t.id, users.organization_id FROM ");
                sql.push(table).push(" t JOIN users ON users.id = t.user_id WHERE users.organization_id IS NOT NULL");
                sql.and_eq("t.tenant_id", ctx.tenant_id());
                for row in ctx.rows(&sql).await? {
                    found.push((row.get(0)?, row.get(1)?));
                }
            }
            Ok(found)
        })
    });
    rows.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_organizations_records_do_not_exist_for_who_is_limited() {
    let world = World::new().await;
    let owner = &world.owner;
    let (home, branch) = (world.ids["organizations"][0], *world.ids["organizations"].last().unwrap());
    let mut limited = Vec::new();
    for (name, organization) in [("at home", home), ("elsewhere", branch)] {
        let id = user(owner, name, json!(["user"])).await;
        grant(owner, &id, &["*"], Some(&[organization])).await;
        limited.push(with_key_of(owner, &id).await);
    }
    let (at_home, elsewhere) = (&limited[0], &limited[1]);
    let own: BTreeSet<Uuid> = world.ids.values().flatten().copied().collect();
    // Of the world only: the callers themselves, and their keys, are at home too.
    let of_home = in_organizations(owner).await.into_iter().filter(|(_, of)| *of == home).map(|(id, _)| id);
    let foreign: BTreeSet<Uuid> = of_home.filter(|id| own.contains(id)).collect();
    for table in OF_PEOPLE {
        assert!(world.ids[table].iter().any(|id| foreign.contains(id)), "no record of {table} is at home");
    }
    assert!(foreign.len() >= 8, "only {} records belong to an organization", foreign.len());
    let before = owner.dump().await;
    let (mut cells, mut controls, mut wrong, mut seen) = (0, 0, Vec::new(), BTreeSet::new());
    for entry in owner.bureau.registry.entries() {
        let name = entry.tool.name;
        for sample in world.samples(entry) {
            for place in places(&world, entry, &sample) {
                if !foreign.contains(&Uuid::try_parse(place.own()).unwrap()) {
                    continue;
                }
                let (_, refused) = told(at_home, entry, place.arguments.clone(), &own).await;
                controls += usize::from(!refused);
                let cell = Cell::of(elsewhere, entry, &place, place.own(), cells, &own).await;
                if cell.told != cell.of_nobody {
                    wrong.push(format!("{name} {}:\n  {}\n  {}", place.pointer, cell.told, cell.of_nobody));
                }
                cells += 1;
            }
            if entry.tool.public {
                // Acts as whoever signs in, not as the caller.
                continue;
            }
            let (answer, _) = told(elsewhere, entry, sample.clone(), &own).await;
            let mut found = Vec::new();
            records(&answer, &foreign, &mut found);
            if !found.is_empty() {
                wrong.push(format!("{name} {sample} shows {found:?}: {answer}"));
            }
            let text = answer.to_string();
            if foreign.iter().any(|id| text.contains(&id.to_string()) && !sample.to_string().contains(&id.to_string()))
            {
                seen.insert(name);
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cells} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(difference(&before, &owner.dump().await), "");
    println!("ids of the other organization are named by {seen:?}");
    println!(
        "{cells} places for a record of another organization × (own, foreign, random) = {} cells; {controls} of the own ones \
         succeed",
        cells * 3
    );
}

/// Statements without a filter of ours, as if the kit had forgotten it: what PostgreSQL alone lets through.
#[tokio::test(flavor = "multi_thread")]
async fn row_level_security_hides_every_table_of_another_company() {
    let world = World::new().await;
    let Location::Postgres(_) = world.owner.database.location else {
        println!("SQLite has no row-level security");
        return;
    };
    let other = World::of(world.owner.other_tenant().await).await;
    let foreign = other.owner.tenant_id;
    let run = async |sql: String| {
        let text: &'static str = Box::leak(sql.into_boxed_str());
        let rows = world.owner.bureau.as_system(world.owner.tenant_id, None, "raw", |ctx| {
            Box::pin(async move { ctx.rows(&Sql::new(text)).await })
        });
        rows.await
    };
    let count = |rows: Vec<Row>| rows[0].get::<i64>(0).unwrap();
    // The journal's triggers refuse the statement itself, whatever rows it would touch.
    let none_or_kept = |outcome: bureau_kit::error::Result<Vec<Row>>| match outcome {
        Ok(rows) => rows.is_empty(),
        Err(error) => error.to_string().contains("the journal is only added to"),
    };
    // The owner of a table is bound only where it is forced.
    let tables = "SELECT c.relname::text, c.relrowsecurity AND c.relforcerowsecurity AND \
                  EXISTS (SELECT 1 FROM pg_policy WHERE polrelid = c.oid AND polcmd = '*' AND polwithcheck IS NOT NULL) \
                  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' \
                  WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND c.relname <> 'tenants' \
                  ORDER BY 1";
    let tables: Vec<(String, bool)> =
        run(tables.into()).await.unwrap().iter().map(|row| (row.get(0).unwrap(), row.get(1).unwrap())).collect();
    let unsecured: Vec<_> = tables.iter().filter(|(_, secured)| !secured).collect();
    assert!(unsecured.is_empty(), "{unsecured:?}");
    let described = bureau::catalog::tables();
    let forgotten: Vec<&str> = described
        .iter()
        .map(|table| table.name)
        .filter(|name| !tables.iter().any(|(known, _)| known == name))
        .collect();
    assert_eq!(forgotten, ["tenants"], "tables without policies");
    let (mut cells, mut empty) = (0, Vec::new());
    for (table, _) in &tables {
        let mine = count(run(format!("SELECT COUNT(*) FROM {table}")).await.unwrap());
        let theirs = count(run(format!("SELECT COUNT(*) FROM {table} WHERE tenant_id = '{foreign}'")).await.unwrap());
        assert_eq!(theirs, 0, "{table} shows rows of another company");
        if mine == 0 {
            empty.push(table);
        }
        let changed =
            run(format!("UPDATE {table} SET tenant_id = tenant_id WHERE tenant_id = '{foreign}' RETURNING 1")).await;
        assert!(none_or_kept(changed), "{table} lets another company's rows be changed");
        let deleted = run(format!("DELETE FROM {table} WHERE tenant_id = '{foreign}' RETURNING 1")).await;
        assert!(none_or_kept(deleted), "{table} lets another company's rows be deleted");
        let given = run(format!("UPDATE {table} SET tenant_id = '{foreign}' RETURNING 1")).await;
        assert!(mine == 0 || given.is_err(), "{table} lets rows be given to another company");
        cells += 4;
    }
    println!("{cells} cells of table × (select, update, delete, give away); without rows of its own: {empty:?}");
}
