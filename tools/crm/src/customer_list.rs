//! Everybody at a glance: people and companies in one list, and whose a telephone number is.

use bureau_kit::prelude::*;

use crate::list::{Order, PartyQuery, PartySort};
use crate::party::{LifecycleStage, PARTIES, PartyKind};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("customer_list", "customers.people.view", list)
            .or_right("contacts.view")
            .title("List customers")
            .about("List people and companies in one list, newest first. Filter by words, kind, status, stage or source.")
            .synonyms("everybody all contacts people companies wszyscy klienci kontakty lista усі клієнти контакти список"),
        Tool::read("person_phone_check", "customers.people.view", check_phone)
            .title("Whose telephone number is it")
            .about("Find the person whose main telephone number ends with some digits, at least four; with nine or more the prefix does not matter.")
            .synonyms("caller phone number who called check czyj to numer telefonu kto dzwonił sprawdź чий це номер телефону хто дзвонив"),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Words to find in name and e-mail.
    #[serde(alias = "search")]
    #[schemars(length(max = 1024))]
    q: Option<String>,
    /// Only people, or only companies.
    kind: Option<PartyKind>,
    /// Only with this status.
    status: Option<String>,
    /// Only at this stage.
    #[serde(alias = "lifecycleStage")]
    lifecycle_stage: Option<LifecycleStage>,
    /// Only from this source.
    source: Option<String>,
    /// What to sort by; newest first when left out.
    #[serde(alias = "sortField")]
    sort: Option<PartySort>,
    /// Direction of the sort.
    #[serde(alias = "sortDir")]
    order: Option<Order>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 unless given.
    #[serde(alias = "pageSize")]
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Customer {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// person or company.
    kind: String,
    /// Full name.
    display_name: String,
    /// Main e-mail address.
    primary_email: Option<String>,
    /// Main telephone number.
    primary_phone: Option<String>,
    /// Status.
    status: Option<String>,
    /// How far the relation has come.
    lifecycle_stage: String,
    /// Where the contact came from.
    source: Option<String>,
    /// When it was made.
    created_at: Instant,
}

fn customer(party: &Record) -> Result<Customer> {
    Ok(Customer {
        id: party.id,
        num: party.num,
        kind: party.get("kind")?,
        display_name: party.get("display_name")?,
        primary_email: party.get("primary_email")?,
        primary_phone: party.get("primary_phone")?,
        status: party.get("status")?,
        lifecycle_stage: party.get("lifecycle_stage")?,
        source: party.get("source")?,
        created_at: party.created_at,
    })
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<Customer>> {
    let query = PartyQuery {
        kind: input.kind,
        words: input.q,
        status: input.status,
        lifecycle_stage: input.lifecycle_stage,
        source: input.source,
        sort: input.sort,
        order: input.order,
        page: input.page,
        page_size: input.page_size,
        ..PartyQuery::default()
    };
    query.run(ctx).await?.try_map(|party| customer(&party))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PhoneInput {
    /// The digits, at least four; spaces and hyphens do not matter.
    #[serde(alias = "phone")]
    #[schemars(length(max = 50))]
    digits: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Match {
    /// UUID of the person.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number of the person.
    num: Option<i64>,
    /// Full name.
    display_name: String,
    /// Main telephone number.
    primary_phone: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PhoneCheck {
    /// The person, or null when the number is nobody's.
    #[serde(rename = "match")]
    found: Option<Match>,
}

async fn check_phone(ctx: &mut Ctx, input: PhoneInput) -> Result<PhoneCheck> {
    let strange = input.digits.chars().any(|letter| !letter.is_ascii_digit() && !" -+().".contains(letter));
    let reversed = crate::match_keys::reversed(&input.digits);
    if strange || reversed.len() < 4 {
        return Err(Error::invalid("/digits", "expected at least four digits of a telephone number"));
    }
    // Nine tell numbers apart, whatever stands before them.
    let end: String = reversed.chars().take(9).collect();
    let mut sql = ctx.from(&PARTIES);
    sql.push(" AND phone_reversed >= ").bind(end.as_str());
    if let Some(bound) = after(&end) {
        sql.push(" AND phone_reversed < ").bind(bound);
    }
    sql.push(" AND kind = 'person' AND active ORDER BY num LIMIT 1");
    let found = ctx.records(&PARTIES, &sql).await?;
    let shown = |party: &Record| {
        Ok::<_, Error>(Match {
            id: party.id,
            num: party.num,
            display_name: party.get("display_name")?,
            primary_phone: party.get("primary_phone")?,
        })
    };
    Ok(PhoneCheck { found: found.first().map(shown).transpose()? })
}

/// The first digits that come after all that begin with these; none after nines alone.
fn after(digits: &str) -> Option<String> {
    let kept = digits.trim_end_matches('9');
    let last = kept.chars().last()?;
    let next = char::from_digit(last.to_digit(10)?.checked_add(1)?, 10)?;
    let mut bound: String = kept.chars().take(kept.chars().count().saturating_sub(1)).collect();
    bound.push(next);
    Some(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_digits_ends_where_the_next_begin() {
        for (digits, bound) in [("4321", Some("4322")), ("4329", Some("433")), ("4999", Some("5")), ("9999", None)] {
            assert_eq!(after(digits).as_deref(), bound, "{digits}");
        }
    }
}
