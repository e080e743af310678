//! Which people and companies were likely entered twice.
//!
//! Two of one kind are compared by what they share: tax number or PESEL, e-mail address, telephone number, name. Each adds to a
//! score from 0 to 100 (Inferred: no source says how). Only equal keys are looked at, by their indexes, so that the work grows
//! with the duplicates and not with the square of the customers.

use std::collections::{BTreeMap, HashMap};

use bureau_kit::prelude::*;

use crate::Party;
use crate::party::{PARTIES, PartyKind};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("duplicate_list", "customers.people.view", list)
            .or_right("customers.companies.view")
            .title("List likely duplicates")
            .about(
                "List pairs of people or of companies that were likely entered twice, best first, each with a score from 0 to 100 and \
                 what they share: tax number, e-mail, telephone, name. With id those of one. person_merge and client_merge join them.",
            )
            .synonyms("entered twice same customer deduplicate zdublowani klienci duplikaty znajdź dublety дублікати клієнтів знайти"),
    ]
}

/// What two can share: the column, the reason as it is told, and how much it says.
const KEYS: &[(&str, &str, u32)] = &[
    ("nip", "tax number", 90),
    ("pesel", "PESEL", 95),
    ("primary_email_folded", "e-mail", 70),
    ("phone_key", "telephone", 60),
    ("name_key", "name", 40),
];

/// What is worth a hint when somebody is added.
const WORTH_A_HINT: u32 = 60;
/// More than so many with one key are no duplicates but a switchboard.
const CROWD: i64 = 20;
/// Most keys, and so many pairs at most, that one look compares.
const MOST_KEYS: i64 = 5_000;
const MOST_PAIRS: usize = 20_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Person or company whose duplicates to list; all when left out.
    id: Option<Id<Party>>,
    /// Only people, or only companies.
    kind: Option<PartyKind>,
    /// Only pairs with at least this score, 40 unless given.
    #[schemars(range(min = 0, max = 100))]
    min_score: Option<u32>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 unless given.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

/// One of a pair.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Twin {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: i64,
    /// Full name.
    name: String,
    /// Main e-mail address.
    email: Option<String>,
    /// Main telephone number.
    phone: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Pair {
    /// How likely they are the same, 0 to 100.
    score: u32,
    /// What they share.
    reasons: Vec<&'static str>,
    /// person or company.
    kind: String,
    /// The one entered first.
    first: Twin,
    /// The one entered later.
    second: Twin,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Pairs {
    /// The pairs, most likely first.
    items: Vec<Pair>,
    /// How many pairs were found.
    total: usize,
    /// False when there are more than one look compares; join some and look again.
    total_is_exact: bool,
    /// This page, from 1.
    page: i64,
    /// Rows on a page.
    page_size: i64,
}

/// A person or company with its keys.
struct Candidate {
    kind: String,
    active: bool,
    twin: Twin,
    keys: Vec<Option<String>>,
}

const COLUMNS: &str = "id, num, kind, display_name, primary_email, primary_phone, nip, pesel, primary_email_folded, phone_key, name_key, active";

fn candidate(row: &bureau_kit::value::Row) -> Result<Candidate> {
    let keys = (6..11).map(|place| Ok(row.get::<Option<String>>(place)?.filter(|key| !key.is_empty())));
    Ok(Candidate {
        kind: row.get(2)?,
        active: row.get(11)?,
        twin: Twin { id: row.get(0)?, num: row.get(1)?, name: row.get(3)?, email: row.get(4)?, phone: row.get(5)? },
        keys: keys.collect::<Result<_>>()?,
    })
}

/// What two share, and how likely they are the same.
fn compare(one: &Candidate, other: &Candidate) -> (u32, Vec<&'static str>) {
    let shared =
        KEYS.iter().zip(one.keys.iter().zip(&other.keys)).filter(|(_, (one, other))| one.is_some() && one == other);
    let shared: Vec<_> = shared.map(|((_, reason, weight), _)| (*reason, *weight)).collect();
    let score = shared.iter().fold(0_u32, |sum, (_, weight)| sum.saturating_add(*weight)).min(100);
    (score, shared.into_iter().map(|(reason, _)| reason).collect())
}

/// Those who share a key with one, of the same kind, in use.
async fn around(ctx: &mut Ctx, one: &Candidate) -> Result<Vec<Candidate>> {
    let mut found: BTreeMap<i64, Candidate> = BTreeMap::new();
    for ((column, ..), key) in KEYS.iter().zip(&one.keys) {
        let Some(key) = key else { continue };
        // By the key alone: an index of kind and state would seem to narrow more, and walk through everybody.
        let mut sql = ctx.select(COLUMNS, &PARTIES);
        sql.and_eq(column, key.as_str()).push(" LIMIT ").bind(CROWD.saturating_mul(2));
        for row in ctx.rows(&sql).await? {
            let candidate = candidate(&row)?;
            if candidate.active && candidate.kind == one.kind && candidate.twin.id != one.twin.id {
                found.insert(candidate.twin.num, candidate);
            }
        }
    }
    Ok(found.into_values().collect())
}

async fn one(ctx: &mut Ctx, id: Uuid) -> Result<Option<Candidate>> {
    let mut sql = ctx.select(COLUMNS, &PARTIES);
    sql.and_eq("id", id);
    ctx.rows(&sql).await?.first().map(candidate).transpose()
}

/// Who is likely the same as somebody who was just added: a hint, since nothing forbids it.
pub(crate) async fn hint(ctx: &mut Ctx, party: &Record) -> Result<Option<Vec<String>>> {
    let Some(new) = one(ctx, party.id).await? else { return Ok(None) };
    let likely = around(ctx, &new).await?;
    let likely = likely.iter().filter(|other| compare(&new, other).0 >= WORTH_A_HINT).take(10);
    let ids: Vec<String> = likely.map(|other| other.twin.id.to_string()).collect();
    Ok((!ids.is_empty()).then_some(ids))
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Pairs> {
    let (page, page_size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    let least = input.min_score.unwrap_or(40);
    if least > 100 {
        return Err(Error::invalid("/min_score", "expected a whole number from 0 to 100"));
    }
    let (mut pairs, exact) = match input.id {
        Some(id) => {
            let party = ctx.fetch(id).await?;
            let Some(of) = one(ctx, party.id).await? else { return Err(Error::not_found("party", id.key())) };
            let others = around(ctx, &of).await?;
            (others.iter().map(|other| pair(&of, other)).collect(), true)
        }
        None => all(ctx, input.kind).await?,
    };
    pairs.retain(|pair| pair.score >= least);
    if let Some(kind) = input.kind {
        pairs.retain(|pair| pair.kind == kind.as_str());
    }
    pairs.sort_by_key(|pair| (std::cmp::Reverse(pair.score), pair.first.num, pair.second.num));
    let total = pairs.len();
    let skipped = usize::try_from(page.saturating_sub(1).saturating_mul(page_size)).unwrap_or(usize::MAX);
    let size = usize::try_from(page_size).unwrap_or(usize::MAX);
    let items = pairs.into_iter().skip(skipped).take(size).collect();
    Ok(Pairs { items, total, total_is_exact: exact, page, page_size })
}

fn pair(one: &Candidate, other: &Candidate) -> Pair {
    let (score, reasons) = compare(one, other);
    let (first, second) = if one.twin.num < other.twin.num { (one, other) } else { (other, one) };
    Pair { score, reasons, kind: one.kind.clone(), first: first.twin.clone(), second: second.twin.clone() }
}

/// All pairs that share a key, and whether these are all.
async fn all(ctx: &mut Ctx, kind: Option<PartyKind>) -> Result<(Vec<Pair>, bool)> {
    let mut found: HashMap<(i64, i64), Pair> = HashMap::new();
    let mut exact = true;
    for (place, (column, ..)) in KEYS.iter().enumerate() {
        let mut sql = ctx.select(COLUMNS, &PARTIES);
        sql.push(" AND active AND ")
            .push(column)
            .push(" IN (SELECT ")
            .push(column)
            .push(" FROM parties WHERE tenant_id = ");
        sql.bind(ctx.tenant_id()).push(" AND active AND ").push(column).push(" <> ''");
        if let Some(kind) = kind {
            sql.and_eq("kind", kind.as_str());
        }
        sql.push(" GROUP BY ").push(column).push(" HAVING COUNT(*) BETWEEN 2 AND ").bind(CROWD);
        sql.push(" LIMIT ").bind(MOST_KEYS).push(") ORDER BY ").push(column).push(", num");
        let rows = ctx.rows(&sql).await?;
        let candidates = rows.iter().map(candidate).collect::<Result<Vec<_>>>()?;
        let key = |candidate: &Candidate| candidate.keys.get(place).cloned().flatten();
        let mut groups = 0_i64;
        for group in candidates.chunk_by(|one, other| key(one) == key(other)) {
            groups = groups.saturating_add(1);
            for (index, one) in group.iter().enumerate() {
                for other in group.iter().skip(index.saturating_add(1)).filter(|other| other.kind == one.kind) {
                    if found.len() >= MOST_PAIRS {
                        return Ok((found.into_values().collect(), false));
                    }
                    found.entry((one.twin.num, other.twin.num)).or_insert_with(|| pair(one, other));
                }
            }
        }
        exact &= groups < MOST_KEYS;
    }
    Ok((found.into_values().collect(), exact))
}
