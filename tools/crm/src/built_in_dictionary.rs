//! The dictionaries that every company has, and the one place where a value of theirs is looked up.

use bureau_kit::prelude::*;

use crate::dictionary::{self, DICTIONARIES};
use crate::dictionary_entry::{self, DICTIONARY_ENTRIES, EntryQuery};

/// Kinds of values about customers: what callers write, the key of the dictionary, its name.
pub(crate) const KINDS: &[(&str, &str, &str)] = &[
    ("status", "customer_status", "Customer statuses"),
    ("source", "customer_source", "Customer sources"),
    ("lifecycle_stage", "customer_lifecycle_stage", "Lifecycle stages"),
    ("address_type", "customer_address_type", "Kinds of addresses"),
    ("activity_type", "customer_activity_type", "Kinds of activities"),
    ("deal_status", "customer_deal_status", "Deal statuses"),
    ("pipeline_stage", "customer_pipeline_stage", "Pipeline stages"),
    ("job_title", "customer_job_title", "Job titles"),
    ("industry", "customer_industry", "Industries"),
];

pub(crate) const CURRENCY: &str = "currency";

/// What each begins with: key, value, label. The stages and kinds of iblai; currencies of the countries around.
const SEEDED: &[(&str, &str, &str)] = &[
    ("customer_status", "active", "Active"),
    ("customer_status", "inactive", "Inactive"),
    ("customer_lifecycle_stage", "lead", "Lead"),
    ("customer_lifecycle_stage", "qualified", "Qualified"),
    ("customer_lifecycle_stage", "opportunity", "Opportunity"),
    ("customer_lifecycle_stage", "customer", "Customer"),
    ("customer_lifecycle_stage", "churned", "Churned"),
    ("customer_address_type", "billing", "Billing"),
    ("customer_address_type", "delivery", "Delivery"),
    ("customer_address_type", "office", "Office"),
    ("customer_activity_type", "call", "Call"),
    ("customer_activity_type", "meeting", "Meeting"),
    ("customer_activity_type", "email", "E-mail"),
    ("customer_activity_type", "note", "Note"),
    ("customer_activity_type", "task", "Task"),
    ("customer_activity_type", "lunch", "Lunch"),
    ("customer_activity_type", "deadline", "Deadline"),
    ("customer_deal_status", "open", "Open"),
    ("customer_deal_status", "won", "Won"),
    ("customer_deal_status", "lost", "Lost"),
    (CURRENCY, "PLN", "Polish zloty"),
    (CURRENCY, "EUR", "Euro"),
    (CURRENCY, "USD", "US dollar"),
    (CURRENCY, "UAH", "Ukrainian hryvnia"),
    (CURRENCY, "GBP", "Pound sterling"),
    (CURRENCY, "CHF", "Swiss franc"),
    (CURRENCY, "CZK", "Czech koruna"),
];

/// Gives a tenant the built-in dictionaries it lacks, each with its first values. One that is there stays as it is, also
/// where its values were taken away.
pub(crate) async fn seed(ctx: &mut Ctx) -> Result<()> {
    let all = KINDS.iter().map(|(_, key, name)| (*key, *name)).chain([(CURRENCY, "Currencies")]);
    for (key, name) in all {
        if dictionary::find(ctx, key).await?.is_some() {
            continue;
        }
        let values = Values::new().with("key", key).with("name", name).with("is_system", true);
        let dictionary = ctx.insert(&DICTIONARIES, values).await?;
        for (_, value, label) in SEEDED.iter().filter(|(of, ..)| *of == key) {
            let values = Values::new()
                .with("dictionary_id", dictionary.id)
                .with("value", *value)
                .with("value_folded", value.to_lowercase())
                .with("label", *label)
                .with("organization_id", Val::Null);
            ctx.insert(&DICTIONARY_ENTRIES, values).await?;
        }
    }
    Ok(())
}

/// The dictionary of a kind of customer values, as people write the kind: `deal_status`, `deal-statuses`.
pub(crate) async fn of_kind(ctx: &mut Ctx, kind: &str) -> Result<Record> {
    let wanted = singular(kind);
    let Some((_, key, _)) = KINDS.iter().find(|(known, ..)| *known == wanted) else {
        let known: Vec<&str> = KINDS.iter().map(|(known, ..)| *known).collect();
        return Err(Error::invalid("/kind", format!("expected one of {}", known.join(", "))));
    };
    dictionary::find(ctx, key).await?.ok_or_else(|| {
        Error::missing(format!(
            "This company has no dictionary {key} yet. An administrator adds it with upgrade_action_run (beginnings)."
        ))
    })
}

/// Open Mercato writes kinds in the plural, with hyphens, in addresses.
fn singular(kind: &str) -> String {
    let kind = kind.trim().to_lowercase().replace('-', "_");
    for (plural, one) in [("statuses", "status"), ("industries", "industry")] {
        if let Some(stem) = kind.strip_suffix(plural) {
            return format!("{stem}{one}");
        }
    }
    match kind.strip_suffix('s') {
        Some(stem) if !kind.ends_with("status") => stem.to_owned(),
        _ => kind,
    }
}

/// A value of a customer dictionary as the dictionary writes it. An unknown one is refused with the known ones named.
pub(crate) async fn known_value(ctx: &mut Ctx, kind: &str, argument: &str, value: &str) -> Result<String> {
    let dictionary = of_kind(ctx, kind).await?;
    let known = dictionary_entry::entries(
        ctx,
        dictionary.id,
        EntryQuery { page_size: Some(100), nearest: true, ..EntryQuery::default() },
    );
    let known = known.await?.items;
    let folded = value.trim().to_lowercase();
    if let Some(entry) = known.iter().find(|entry| entry.value.to_lowercase() == folded) {
        return Ok(entry.value.clone());
    }
    let mut sql = ctx.from(&DICTIONARY_ENTRIES);
    sql.and_eq("dictionary_id", dictionary.id).and_eq("value_folded", folded);
    // Beyond the first hundred.
    if let Some(entry) = ctx.records(&DICTIONARY_ENTRIES, &sql).await?.first() {
        return entry.get("value");
    }
    let names: Vec<&str> = known.iter().map(|entry| entry.value.as_str()).take(30).collect();
    Err(Error::invalid(
        format!("/{argument}"),
        format!(
            "expected one of {}, got {value}; customer_dictionary_entry_create (kind: {kind}) adds a value",
            names.join(", ")
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_in_both_numbers() {
        for (kind, ..) in KINDS {
            assert_eq!(singular(kind), *kind);
        }
        for (written, kind) in [
            ("deal-statuses", "deal_status"),
            ("sources", "source"),
            ("lifecycle-stages", "lifecycle_stage"),
            ("industries", "industry"),
            (" Job-Titles ", "job_title"),
        ] {
            assert_eq!(singular(written), kind);
        }
    }
}
