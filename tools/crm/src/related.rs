//! What hangs on a person or company, for those who ask to see it along with the record.

use bureau_kit::prelude::*;

use crate::activity::ACTIVITIES;
use crate::address::ADDRESSES;
use crate::attachment::ATTACHMENTS;
use crate::deal::DEALS;
use crate::note::NOTES;
use crate::party::PARTIES;

/// Most records of each kind beside the one that is shown: it is a look around, not a list.
const LIMIT: i64 = 100;

/// A kind of related records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Include {
    /// Addresses.
    Addresses,
    /// Comments and notes.
    #[serde(alias = "notes")]
    Comments,
    /// Calls, meetings and other events.
    Activities,
    /// Deals it takes part in.
    Deals,
    /// Files.
    Attachments,
    /// People of a company.
    People,
}

/// Related records, at most 100 of each kind, newest first.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Related {
    /// Addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    addresses: Option<Vec<Map<String, Value>>>,
    /// Comments and notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    comments: Option<Vec<Map<String, Value>>>,
    /// Calls, meetings and other events.
    #[serde(skip_serializing_if = "Option::is_none")]
    activities: Option<Vec<Map<String, Value>>>,
    /// Deals it takes part in.
    #[serde(skip_serializing_if = "Option::is_none")]
    deals: Option<Vec<Map<String, Value>>>,
    /// Files.
    #[serde(skip_serializing_if = "Option::is_none")]
    attachments: Option<Vec<Map<String, Value>>>,
    /// People of the company: id, num, display_name, job_title, primary_email, primary_phone.
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<Vec<Map<String, Value>>>,
}

/// The related records that were asked for; none when none were.
pub(crate) async fn of(ctx: &mut Ctx, party: &Record, include: &[Include]) -> Result<Option<Related>> {
    let mut related = Related::default();
    for kind in include {
        match kind {
            Include::Addresses => related.addresses = Some(hanging(ctx, &ADDRESSES, party).await?),
            Include::Comments => related.comments = Some(hanging(ctx, &NOTES, party).await?),
            Include::Activities => related.activities = Some(hanging(ctx, &ACTIVITIES, party).await?),
            Include::Attachments => related.attachments = Some(hanging(ctx, &ATTACHMENTS, party).await?),
            Include::Deals => related.deals = Some(deals(ctx, party).await?),
            Include::People => related.people = Some(people(ctx, party).await?),
        }
    }
    Ok((!include.is_empty()).then_some(related))
}

async fn hanging(ctx: &mut Ctx, table: &'static Table, party: &Record) -> Result<Vec<Map<String, Value>>> {
    // Whoever sees the party sees what hangs on it, as the tools of those records have it.
    let mut sql = ctx.from_tenant(table);
    sql.and_eq("subject_type", party.table.noun).and_eq("subject_id", party.id);
    newest(ctx, table, sql).await
}

async fn deals(ctx: &mut Ctx, party: &Record) -> Result<Vec<Map<String, Value>>> {
    let mut sql = ctx.from(&DEALS);
    sql.push(" AND id IN (SELECT deal_id FROM deal_parties WHERE tenant_id = ").bind(ctx.tenant_id());
    sql.and_eq("party_id", party.id).push(")");
    newest(ctx, &DEALS, sql).await
}

async fn people(ctx: &mut Ctx, party: &Record) -> Result<Vec<Map<String, Value>>> {
    let mut sql = ctx.from(&PARTIES);
    sql.and_eq("kind", "person").and_eq("company_id", party.id);
    let mut people = newest(ctx, &PARTIES, sql).await?;
    for person in &mut people {
        person.retain(|name, _| {
            ["id", "num", "display_name", "job_title", "primary_email", "primary_phone"].contains(&name.as_str())
        });
    }
    Ok(people)
}

async fn newest(ctx: &mut Ctx, table: &'static Table, mut sql: Sql) -> Result<Vec<Map<String, Value>>> {
    sql.push(" ORDER BY num DESC LIMIT ").bind(LIMIT);
    Ok(ctx.records(table, &sql).await?.iter().map(Record::to_json).collect())
}
