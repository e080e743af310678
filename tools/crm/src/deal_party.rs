//! The people and companies of deals.

use std::collections::HashMap;

use bureau_kit::prelude::*;

use crate::deal::DEAL_PARTIES;

/// Most people, and most companies, of one deal.
pub(crate) const MOST: usize = 100;

/// A person or company of a deal, as deals show it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Participant {
    /// UUID of the person or company.
    #[schemars(with = "String")]
    pub(crate) id: Uuid,
    /// Its number.
    num: i64,
    /// Its full name.
    name: String,
}

/// The people and the companies of a deal, each in the order in which they were named.
#[derive(Debug, Clone, Default)]
pub(crate) struct Participants {
    pub(crate) people: Vec<Participant>,
    pub(crate) companies: Vec<Participant>,
}

/// The people and companies of several deals.
pub(crate) async fn of(ctx: &mut Ctx, deals: &[Uuid]) -> Result<HashMap<Uuid, Participants>> {
    let mut found: HashMap<Uuid, Participants> = HashMap::new();
    if deals.is_empty() {
        return Ok(found);
    }
    let mut sql = Sql::new(
        "SELECT l.deal_id, l.role, p.id, p.num, p.display_name FROM deal_parties l \
         JOIN parties p ON p.tenant_id = l.tenant_id AND p.id = l.party_id WHERE l.tenant_id = ",
    );
    sql.bind(ctx.tenant_id()).and_in("l.deal_id", deals.iter().copied());
    if let Some(reach) = ctx.principal().organizations.clone() {
        sql.and_within("p.organization_id", reach);
    }
    sql.push(" ORDER BY l.place NULLS LAST, p.num");
    for row in ctx.rows(&sql).await? {
        let entry = found.entry(row.get(0)?).or_default();
        let participant = Participant { id: row.get(2)?, num: row.get(3)?, name: row.get(4)? };
        match row.get::<String>(1)?.as_str() {
            "person" => entry.people.push(participant),
            _ => entry.companies.push(participant),
        }
    }
    Ok(found)
}

/// All people, or all companies, of a deal in their order, also those that the caller does not see.
pub(crate) async fn stored(ctx: &mut Ctx, deal: Uuid, role: &'static str) -> Result<Vec<Uuid>> {
    let mut sql = ctx.select("party_id", &DEAL_PARTIES);
    sql.and_eq("deal_id", deal).and_eq("role", role).push(" ORDER BY place NULLS LAST, created_at, id");
    ctx.rows(&sql).await?.iter().map(|row| row.get(0)).collect()
}

/// Gives a deal exactly these people, or these companies, in this order.
pub(crate) async fn set(ctx: &mut Ctx, deal: Uuid, role: &'static str, wanted: &[Uuid]) -> Result<()> {
    let mut sql = ctx.from(&DEAL_PARTIES);
    sql.and_eq("deal_id", deal).and_eq("role", role).push(" ORDER BY created_at, id");
    let stored = ctx.records(&DEAL_PARTIES, &sql).await?;
    let mut kept: HashMap<Uuid, Record> = HashMap::new();
    for link in stored {
        let party: Uuid = link.get("party_id")?;
        if wanted.contains(&party) {
            kept.insert(party, link);
        } else {
            ctx.delete(&link).await?;
        }
    }
    for (party, place) in wanted.iter().zip(1_i64..) {
        match kept.remove(party) {
            Some(link) => _ = ctx.update(&link, Values::new().with("place", place)).await?,
            None => {
                let values = Values::new()
                    .with("deal_id", deal)
                    .with("party_id", *party)
                    .with("role", role)
                    .with("place", place);
                ctx.insert(&DEAL_PARTIES, values).await?;
            }
        }
    }
    Ok(())
}
