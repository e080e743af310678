//! The values that customers, their addresses, activities and deals are described by, and the currencies.

use bureau_identity::Organization;
use bureau_kit::prelude::*;

use crate::DictionaryEntry;
use crate::built_in_dictionary::{CURRENCY, KINDS, of_kind};
use crate::dictionary;
use crate::dictionary_entry::{self, DICTIONARY_ENTRIES, Entry, EntryInput, EntryQuery, entries};
use crate::form::Mode;

const VIEW: &str = "customers.people.view";
const MANAGE: &str = "customers.settings.manage";
const LONGEST_ICON: usize = 48;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("customer_dictionary_entry_list", VIEW, list)
            .title("List customer dictionary entries")
            .about(
                "List the values of one kind that customers are described by: status, source, lifecycle_stage, address_type, \
                 activity_type, deal_status, pipeline_stage, job_title or industry.",
            )
            .synonyms("statuses sources choices statusy źródła klientów wartości słownika статуси джерела клієнтів значення"),
        Tool::create("customer_dictionary_entry_create", MANAGE, create)
            .title("Add or change a customer dictionary entry")
            .about(
                "Add a value of a kind that customers are described by, such as a status; one that is there already gets the \
                 given label, colour and icon instead. The answer says which.",
            )
            .synonyms("new customer status source value to choose dodaj status klienta źródło wartość додати статус клієнта джерело"),
        Tool::update("customer_dictionary_entry_update", MANAGE, update)
            .on(&DICTIONARY_ENTRIES)
            .title("Change a customer dictionary entry")
            .about("Change the value, label, colour or icon of a customer dictionary entry. Records keep the value they have.")
            .synonyms("rename customer status source zmień status klienta źródło змінити статус клієнта"),
        Tool::delete("customer_dictionary_entry_delete", MANAGE, delete)
            .on(&DICTIONARY_ENTRIES)
            .title("Delete a customer dictionary entry")
            .about("Take a value away from what customers can be described by. Records that have it keep it.")
            .synonyms("remove customer status source usuń status klienta źródło видалити статус клієнта"),
        Tool::read("currency_dictionary_show", VIEW, currencies)
            .title("Show the currencies")
            .about("Show the currencies of the company: the dictionary and its values, in alphabetical order.")
            .synonyms("currency money codes waluty słownik walut валюти словник"),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// status, source, lifecycle_stage, address_type, activity_type, deal_status, pipeline_stage, job_title or industry.
    kind: String,
    /// Words to find in value and label.
    #[serde(alias = "search")]
    #[schemars(length(max = 1024))]
    q: Option<String>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 unless given.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<Entry>> {
    let dictionary = of_kind(ctx, &input.kind).await?;
    entries(
        ctx,
        dictionary.id,
        EntryQuery { words: input.q, page: input.page, page_size: input.page_size, nearest: true },
    )
    .await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// status, source, lifecycle_stage, address_type, activity_type, deal_status, pipeline_stage, job_title or industry.
    kind: String,
    /// The value that records get.
    #[schemars(length(max = 150))]
    value: String,
    /// What people read; the value unless given.
    #[serde(default)]
    #[schemars(length(max = 150))]
    label: Patch<String>,
    /// Colour as #rrggbb.
    #[serde(default)]
    color: Patch<String>,
    /// Icon.
    #[serde(default)]
    #[schemars(length(max = 48))]
    icon: Patch<String>,
    /// Own organization it is for; yours unless given, else the whole tenant.
    #[serde(alias = "organizationId")]
    organization_id: Option<Id<Organization>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Upserted {
    /// Whether the value is new; false when it was there already.
    created: bool,
    /// The entry as it is now.
    entry: Entry,
}

/// Icons of customer values are shorter than those of other dictionaries (documented).
fn check_icon(icon: &Patch<String>) -> Result<()> {
    match icon {
        Patch::Set(icon) if icon.trim().chars().count() > LONGEST_ICON => {
            Err(Error::invalid("/icon", format!("is longer than {LONGEST_ICON} characters")))
        }
        _ => Ok(()),
    }
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Upserted> {
    check_icon(&input.icon)?;
    let dictionary = of_kind(ctx, &input.kind).await?;
    let organization = match input.organization_id {
        Some(organization) => Some(ctx.reference("organization_id", organization).await?),
        None => ctx.principal().organization_id,
    };
    let mut sql = ctx.from(&DICTIONARY_ENTRIES);
    sql.and_eq("dictionary_id", dictionary.id).and_eq("value_folded", input.value.trim().to_lowercase());
    match organization {
        Some(id) => sql.and_eq("organization_id", id),
        None => sql.push(" AND organization_id IS NULL"),
    };
    let mut given =
        EntryInput { value: Patch::Set(input.value), label: input.label, color: input.color, icon: input.icon };
    if let Some(known) = ctx.first(&DICTIONARY_ENTRIES, sql).await? {
        // The value stays as the dictionary writes it.
        given.value = Patch::Absent;
        let values = given.values(Mode::Update)?;
        let entry = family::save(ctx, &known, values).await?;
        return Ok(Upserted { created: false, entry: Entry::of(ctx, &entry)? });
    }
    let values = given.values(Mode::Create)?.with("organization_id", organization);
    // Another call may have added the same value in between: the next attempt finds it.
    let entry = dictionary_entry::add(ctx, dictionary.id, values).await.map_err(Error::lost_race)?;
    Ok(Upserted { created: true, entry })
}

/// A value that customers are described by. Those of other dictionaries are other tools' business.
async fn fetch(ctx: &mut Ctx, id: Id<DictionaryEntry>) -> Result<Record> {
    let missing = || Error::not_found("customer_dictionary_entry", id.key());
    let entry = match ctx.fetch(id).await {
        Err(error) if error.code() == Code::NotFound => return Err(missing()),
        found => found?,
    };
    let dictionary = ctx.hold(&dictionary::DICTIONARIES, entry.get("dictionary_id")?).await?;
    let key = dictionary.text("key");
    if KINDS.iter().any(|(_, known, _)| *known == key) { Ok(entry) } else { Err(missing()) }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// Entry to change; see customer_dictionary_entry_list.
    id: Id<DictionaryEntry>,
    /// The value that records get.
    #[serde(default)]
    #[schemars(length(max = 150))]
    value: Patch<String>,
    /// What people read.
    #[serde(default)]
    #[schemars(length(max = 150))]
    label: Patch<String>,
    /// Colour as #rrggbb; null for none.
    #[serde(default)]
    color: Patch<String>,
    /// Icon; null for none.
    #[serde(default)]
    #[schemars(length(max = 48))]
    icon: Patch<String>,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<Entry> {
    check_icon(&input.icon)?;
    let entry = fetch(ctx, input.id).await?;
    let given = EntryInput { value: input.value, label: input.label, color: input.color, icon: input.icon };
    dictionary_entry::change(ctx, &entry, given).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteInput {
    /// Entry to delete; see customer_dictionary_entry_list.
    id: Id<DictionaryEntry>,
}

async fn delete(ctx: &mut Ctx, input: DeleteInput) -> Result<family::Deleted> {
    let entry = fetch(ctx, input.id).await?;
    family::remove(ctx, &entry).await?;
    Ok(family::Deleted::of(&entry))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CurrencyInput {}

#[derive(Debug, Serialize, JsonSchema)]
struct Currencies {
    /// UUID of the dictionary.
    #[schemars(with = "String")]
    id: Uuid,
    /// The currencies, at most 100.
    entries: Vec<Entry>,
}

async fn currencies(ctx: &mut Ctx, _: CurrencyInput) -> Result<Currencies> {
    let dictionary = dictionary::find(ctx, CURRENCY).await?.filter(|dictionary| dictionary.flag("is_active"));
    let dictionary = dictionary.ok_or_else(|| {
        Error::missing(
            "This company has no dictionary of currencies. dictionary_create with the key currency makes one.",
        )
    })?;
    let query = EntryQuery { page_size: Some(100), nearest: true, ..EntryQuery::default() };
    Ok(Currencies { id: dictionary.id, entries: entries(ctx, dictionary.id, query).await?.items })
}
