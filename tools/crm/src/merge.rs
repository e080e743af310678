//! Merging people: one of them stays, and everything that refers to the others goes over to it.

use bureau_kit::prelude::*;

use crate::Party;
use crate::party::{self, PARTIES, PARTY_METADATA_KEYS};
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
    ]
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
    if input.duplicate_ids.is_empty() || input.duplicate_ids.len() > LIMIT {
        return Err(Error::invalid(
            "/duplicate_ids",
            format!("expected 1 to {LIMIT} people, got {}", input.duplicate_ids.len()),
        ));
    }
    let primary_key = input.primary_id.key();
    let missing = || Error::not_found("person", primary_key);
    let primary_id = person_id(ctx, primary_key).await?.ok_or_else(missing)?;
    let mut duplicate_ids: Vec<Uuid> = Vec::with_capacity(input.duplicate_ids.len());
    for (index, id) in input.duplicate_ids.iter().enumerate() {
        let wrong = |message: String| Error::invalid(format!("/duplicate_ids/{index}"), message);
        let id = person_id(ctx, id.key())
            .await?
            .ok_or_else(|| wrong(format!("there is no person {}; use person_list to find it", id.key())))?;
        if id == primary_id {
            return Err(wrong("a person cannot be merged into itself; leave the primary out".into()));
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
            "The person {primary_key} was itself merged into {into}. Merge into that one."
        ))
        .with("merged_into", into.to_string()));
    }
    // Checked before anything moves: one that went elsewhere has nothing left to give.
    for id in &duplicate_ids {
        if let Some(into) = person(*id)?.id_of("merged_into_id").filter(|into| *into != primary_id) {
            return Err(Error::conflict(format!(
                "The person {id} was already merged into {into}. Leave it out, or merge {into} instead."
            ))
            .with("person_id", id.to_string())
            .with("merged_into", into.to_string()));
        }
    }
    // Documented to be in the answer always.
    let mut reparented = Counts::from([("deals", 0), ("activities", 0), ("tags", 0)]);
    for id in &duplicate_ids {
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

/// The id of a person, without a lock.
async fn person_id(ctx: &mut Ctx, key: Key) -> Result<Option<Uuid>> {
    let mut sql = ctx.select("id", &PARTIES);
    match key {
        Key::Uuid(id) => sql.and_eq("id", id),
        Key::Num(num) => sql.and_eq("num", num),
    };
    sql.and_eq("kind", "person");
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
