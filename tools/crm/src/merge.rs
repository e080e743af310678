//! Merging people, or companies: one of them stays, and everything that refers to the others goes over to it.

use bureau_kit::prelude::*;

use crate::Party;
use crate::address;
use crate::party::{self, PARTIES, PARTY_METADATA_KEYS, PartyKind};
use crate::reparent::{Counts, move_references};

/// Most people merged at once: all of them are locked.
const LIMIT: usize = 100;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::action("person_merge", "customers.people.manage", merge)
            .on(&PARTIES)
            .destructive()
            .idempotent()
            .title("Merge people")
            .about(
                "Merge duplicates of a person into one. Deals, activities, tags, tasks, contracts and everything else of the \
                 duplicates goes to the primary; the duplicates become inactive and stay readable. Own fields are not mixed. \
                 Try it with dry_run.",
            )
            .synonyms("duplicates join deduplicate połącz scal duplikaty osoby klientów об'єднати дублікати людей"),
        Tool::action("client_merge", "customers.people.manage", merge_clients)
            .or_right("customers.companies.manage")
            .on(&PARTIES)
            .destructive()
            .idempotent()
            .title("Merge clients")
            .about(
                "Merge duplicates of a client into one: people into a person, or companies into a company. Contacts, deals, notes, \
                 tasks, contracts and everything else of the duplicates goes to the one that stays; the duplicates become \
                 inactive and stay readable. Try it with dry_run.",
            )
            .synonyms("duplicates join same company deduplicate połącz scal klientów firmy об'єднати клієнтів компанії"),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ClientsInput {
    /// The client who stays.
    #[serde(alias = "target_id", alias = "primary_id")]
    id: Id<Party>,
    /// The clients to merge into it, one or more of the same kind.
    #[serde(alias = "duplicate_ids")]
    #[schemars(length(min = 1, max = 100))]
    ids: Vec<Id<Party>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MergeInput {
    /// The person who stays.
    primary_id: Id<Party>,
    /// The people to merge into the primary, one or more.
    #[schemars(length(min = 1, max = 100))]
    duplicate_ids: Vec<Id<Party>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct MergeOutput {
    /// UUID of the person who stays.
    primary_id: String,
    /// UUIDs of the people merged into the primary.
    merged_ids: Vec<String>,
    /// How many records went to the primary, by kind: deals, activities, tags, and whatever else there was. A tag or deal
    /// that both had is counted too.
    reparented: Counts,
}

async fn merge(ctx: &mut Ctx, input: MergeInput) -> Result<MergeOutput> {
    join(ctx, "duplicate_ids", "person", input.primary_id.key(), &input.duplicate_ids).await
}

async fn merge_clients(ctx: &mut Ctx, input: ClientsInput) -> Result<MergeOutput> {
    let primary = input.id.key();
    let kind = match kind_of(ctx, primary).await?.as_deref() {
        Some("person") => PartyKind::Person,
        Some(_) => PartyKind::Company,
        None => return Err(Error::not_found("client", primary)),
    };
    let right = kind.right();
    if !ctx.principal().may(&[right]) {
        return Err(Error::forbidden(format!("Merging here needs the right {right}. Ask an administrator for it."))
            .with("missing", right));
    }
    join(ctx, "ids", kind.as_str(), primary, &input.ids).await
}

/// Whether a key names a person or a company.
async fn kind_of(ctx: &mut Ctx, key: Key) -> Result<Option<String>> {
    let mut sql = ctx.select("kind", &PARTIES);
    match key {
        Key::Uuid(id) => sql.and_eq("id", id),
        Key::Num(num) => sql.and_eq("num", num),
    };
    ctx.rows(&sql).await?.first().map(|row| row.get(0)).transpose()
}

/// Merges duplicates of a kind into one that stays.
async fn join(
    ctx: &mut Ctx,
    argument: &str,
    kind: &'static str,
    primary_key: Key,
    duplicates: &[Id<Party>],
) -> Result<MergeOutput> {
    let plural = if kind == "person" { "people" } else { "companies" };
    if duplicates.is_empty() || duplicates.len() > LIMIT {
        return Err(Error::invalid(
            format!("/{argument}"),
            format!("expected 1 to {LIMIT} {plural}, got {}", duplicates.len()),
        ));
    }
    let missing = || Error::not_found(kind, primary_key);
    let primary_id = id_of(ctx, kind, primary_key).await?.ok_or_else(missing)?;
    let mut duplicate_ids: Vec<Uuid> = Vec::with_capacity(duplicates.len());
    for (index, id) in duplicates.iter().enumerate() {
        let wrong = |message: String| Error::invalid(format!("/{argument}/{index}"), message);
        let id = id_of(ctx, kind, id.key())
            .await?
            .ok_or_else(|| wrong(format!("there is no {kind} {}; use {kind}_list to find it", id.key())))?;
        if id == primary_id {
            return Err(wrong(format!("a {kind} cannot be merged into itself; leave the primary out")));
        }
        if !duplicate_ids.contains(&id) {
            duplicate_ids.push(id);
        }
    }
    let people = locked(ctx, primary_id, &duplicate_ids).await?;
    let person = |id: Uuid| people.iter().find(|person| person.id == id).ok_or_else(missing);
    let primary = person(primary_id)?;
    if let Some(into) = primary.id_of("merged_into_id") {
        return Err(Error::impossible_state(format!(
            "The {kind} {primary_key} was itself merged into {into}. Merge into that one."
        ))
        .with("merged_into", into.to_string()));
    }
    // Checked before anything moves: one that went elsewhere has nothing left to give.
    for id in &duplicate_ids {
        if let Some(into) = person(*id)?.id_of("merged_into_id").filter(|into| *into != primary_id) {
            return Err(Error::conflict(format!(
                "The {kind} {id} was already merged into {into}. Leave it out, or merge {into} instead."
            ))
            .with(if kind == "person" { "person_id" } else { "company_id" }, id.to_string())
            .with("merged_into", into.to_string()));
        }
    }
    // Documented to be in the answer always.
    let mut reparented = Counts::from([("deals", 0), ("activities", 0), ("tags", 0)]);
    for id in &duplicate_ids {
        // The main address of the one that stays is the main one; without any, that of the first duplicate that has one.
        if address::has_main(ctx, primary_id).await? {
            address::demote(ctx, *id, None).await?;
        }
        move_references(ctx, person(*id)?, primary, &[&PARTY_METADATA_KEYS], &mut reparented).await?;
    }
    for id in &duplicate_ids {
        // Read again: one duplicate may have been the company of another.
        let Some(duplicate) = ctx.find_in(&PARTIES, Key::Uuid(*id)).await? else { continue };
        let gone = Values::new().with("active", false).with("merged_into_id", primary_id);
        party::change(ctx, &duplicate, gone).await?;
    }
    Ok(MergeOutput {
        primary_id: primary_id.to_string(),
        merged_ids: duplicate_ids.iter().map(Uuid::to_string).collect(),
        reparented,
    })
}

/// The id of a person or company, without a lock.
async fn id_of(ctx: &mut Ctx, kind: &'static str, key: Key) -> Result<Option<Uuid>> {
    let mut sql = ctx.select("id", &PARTIES);
    match key {
        Key::Uuid(id) => sql.and_eq("id", id),
        Key::Num(num) => sql.and_eq("num", num),
    };
    sql.and_eq("kind", kind);
    ctx.rows(&sql).await?.first().map(|row| row.get(0)).transpose()
}

/// The people of a merge, locked in the order of their ids, so that two merges at once cannot wait for each other.
async fn locked(ctx: &mut Ctx, primary: Uuid, duplicates: &[Uuid]) -> Result<Vec<Record>> {
    let mut ids: Vec<Uuid> = duplicates.iter().copied().chain([primary]).collect();
    ids.sort_unstable();
    let mut people = Vec::with_capacity(ids.len());
    for id in ids {
        // The expected version is that of the primary.
        let person = if id == primary {
            Some(ctx.fetch_from(&PARTIES, id).await?)
        } else {
            ctx.find_in(&PARTIES, Key::Uuid(id)).await?
        };
        people.push(person.ok_or_else(|| Error::retryable("a person of a merge was deleted meanwhile"))?);
    }
    Ok(people)
}
