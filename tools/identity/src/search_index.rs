//! Upkeep of the search index: the folded text beside every searchable record.
//!
//! It stands here, in the lowest group with tools of its own, because it works on the tables of every group by the
//! registry alone, and rights over the installation are identity's. A platform group above may take it over as it is.

use bureau_kit::prelude::*;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::action("fulltext_reindex", "search.reindex", reindex)
            .long()
            .idempotent()
            .irreversible("it rewrites only what follows from the records")
            .title("Rebuild the search index")
            .about(
                "Check the search text of every record, or of one kind, and rewrite what is stale. Needed when q misses \
                 records after an upgrade. Changes no record and no version, so there is nothing to undo. May take long and \
                 tells its progress; stopped half-way it keeps what it has done and may be called again.",
            )
            .synonyms("reindex fulltext repair search przebuduj indeks wyszukiwania перебудувати індекс пошуку"),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReindexInput {
    /// Kind of record, such as task; all kinds when left out.
    entity_id: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Reindexed {
    /// Always true: a failure is an error.
    ok: bool,
    /// Always reindex.
    action: &'static str,
    /// The kind of record that was asked for; null for all.
    entity_id: Option<String>,
    /// Records whose search text was checked.
    checked: u64,
    /// Records whose search text was stale and is right now.
    rewritten: u64,
    /// The same, kind by kind.
    entities: Vec<ReindexedEntity>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ReindexedEntity {
    /// Kind of record.
    entity_id: String,
    /// Records checked.
    checked: u64,
    /// Records rewritten.
    rewritten: u64,
}

async fn reindex(ctx: &mut Ctx, input: ReindexInput) -> Result<Reindexed> {
    let tables = searchable(ctx, input.entity_id.as_deref())?;
    let mut total = 0_u64;
    for table in &tables {
        total = total.saturating_add(ctx.rows_in(table).await?);
    }
    let (mut checked, mut rewritten) = (0_u64, 0_u64);
    let mut entities = Vec::with_capacity(tables.len());
    for table in tables {
        let mut entity = ReindexedEntity { entity_id: table.noun.to_owned(), checked: 0, rewritten: 0 };
        let mut next = Some(0);
        while let Some(after) = next {
            ctx.checkpoint().await?;
            let step = ctx.refold(table, after).await?;
            entity.checked = entity.checked.saturating_add(step.checked);
            entity.rewritten = entity.rewritten.saturating_add(step.rewritten);
            next = step.next;
            // Records may be added meanwhile.
            let done = checked.saturating_add(entity.checked);
            ctx.progress(done, Some(total.max(done)), &format!("checking {}", table.name));
        }
        checked = checked.saturating_add(entity.checked);
        rewritten = rewritten.saturating_add(entity.rewritten);
        entities.push(entity);
    }
    Ok(Reindexed { ok: true, action: "reindex", entity_id: input.entity_id, checked, rewritten, entities })
}

/// The tables with search text, or the one that is named.
fn searchable(ctx: &Ctx, wanted: Option<&str>) -> Result<Vec<&'static Table>> {
    let all: Vec<&'static Table> =
        ctx.bureau().registry.tables().iter().copied().filter(|table| table.searchable()).collect();
    let Some(wanted) = wanted else { return Ok(all) };
    if let Some(table) = all.iter().find(|table| table.noun == wanted || table.name == wanted) {
        return Ok(vec![table]);
    }
    let nouns: Vec<&str> = all.iter().map(|table| table.noun).collect();
    Err(Error::invalid(
        "/entity_id",
        format!("there are no searchable `{wanted}`; expected one of {}", nouns.join(", ")),
    ))
}
