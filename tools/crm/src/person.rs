//! People: the eight tools for one person, as iblai and Open Mercato have them.

use bureau_identity::User;
use bureau_kit::prelude::*;

use crate::Party;
use crate::duplicates;
use crate::form::{Form, Mode};
use crate::json::{AnyJson, JsonList};
use crate::list::{PartyQuery, party_list};
use crate::names::Names;
use crate::next_interaction::{self, NextInteraction};
use crate::party::{self, LifecycleStage, PARTIES, PartyKind, add_party, party_input};
use crate::related::{self, Include, Related};
use crate::subject::Subject;
use crate::tag_link::{self, TagRef};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("person_list", "customers.people.view", list)
            .title("List people")
            .about(
                "List the people among customers, contacts and leads, newest first. Filter by words, e-mail, company, owner, \
                 lifecycle stage, tags, time of creation or a metadata key. Inactive people are included.",
            )
            .synonyms("persons contacts customers leads find osoby klienci kontakty lista szukaj люди контакти клієнти список"),
        Tool::read("person_show", "customers.people.view", show)
            .title("Show a person")
            .about(
                "Show one person by id or number, on request with addresses, comments, activities, deals and files. People that \
                 were merged away stay readable; merged_into names where they went.",
            )
            .synonyms("contact customer details osoba klient szczegóły особа контакт клієнт показати"),
        Tool::create("person_create", "customers.people.manage", create)
            .title("Add a person")
            .about(
                "Add a person: a customer, contact or lead. Give name, or first_name and last_name. The answer lists \
                 possible_duplicates; person_merge joins them.",
            )
            .synonyms("contact customer lead new dodaj osobę klienta kontakt nowy додати особу клієнта контакт"),
        Tool::update("person_update", "customers.people.manage", update)
            .on(&PARTIES)
            .title("Change a person")
            .about("Change the given fields of a person and leave the rest; null clears a field. See person_replace to reset the rest.")
            .synonyms("contact customer edit correct e-mail zmień popraw edytuj osobę klienta adres e-mail змінити редагувати особу клієнта"),
        Tool::update("person_replace", "customers.people.manage", replace)
            .on(&PARTIES)
            .destructive()
            .title("Replace a person's data")
            .about(
                "Replace the data of a person as a whole: every field left out goes back to its default, but for active, tags and \
                 organization_id. Give name, or first_name and last_name. To change single fields use person_update.",
            )
            .synonyms("contact put overwrite reset zastąp osobę nadpisz замінити особу перезаписати"),
        Tool::delete("person_delete", "customers.people.manage", delete)
            .on(&PARTIES)
            .title("Delete a person")
            .about(
                "Delete a person with addresses, comments, files and tag links. Deals stay without the person, and so do \
                 activities that belong to a deal. For a duplicate use person_merge instead.",
            )
            .synonyms("contact customer remove usuń osobę klienta kontakt видалити особу клієнта"),
    ]
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Person {
    /// UUID; stays the same for good.
    id: String,
    /// Number in the tenant.
    num: Option<i64>,
    /// Always person.
    kind: String,
    /// Full name.
    name: String,
    /// The same full name.
    display_name: String,
    /// First name.
    first_name: Option<String>,
    /// Middle name.
    middle_name: Option<String>,
    /// Last name.
    last_name: Option<String>,
    /// Position.
    job_title: String,
    /// Main e-mail address.
    primary_email: Option<String>,
    /// Further e-mail addresses.
    emails: JsonList,
    /// Main telephone number.
    primary_phone: Option<String>,
    /// Telephone numbers.
    contact_numbers: JsonList,
    /// UUID of the company the person belongs to; see company_show.
    organization: Option<String>,
    /// UUID of the user in charge.
    owner: Option<String>,
    /// UUID of the user that the person became.
    platform_user: Option<String>,
    /// UUID of the person this one was merged into.
    merged_into: Option<String>,
    /// How far the relation has come: lead, qualified, opportunity, customer or churned.
    lifecycle_stage: String,
    /// Status.
    status: Option<String>,
    /// Where the contact came from.
    source: Option<String>,
    /// Id in another system; blank when there is none.
    unique_id: String,
    /// Tax number (NIP).
    nip: Option<String>,
    /// PESEL.
    pesel: Option<String>,
    /// How the person likes to be called.
    preferred_name: Option<String>,
    /// Department.
    department: Option<String>,
    /// Seniority.
    seniority: Option<String>,
    /// Time zone.
    timezone: Option<String>,
    /// Page at LinkedIn.
    linked_in_url: Option<String>,
    /// Page at X.
    twitter_url: Option<String>,
    /// Description.
    description: Option<String>,
    /// Address.
    address: AnyJson,
    /// Anything else.
    metadata: AnyJson,
    /// Its tags.
    tags: Vec<TagRef>,
    /// False once linked to a user or merged away.
    active: bool,
    /// Whether the person is in the address book.
    is_contact: bool,
    /// Whether the person is a client.
    is_client: bool,
    /// When to contact it next, and why.
    next_interaction: Option<NextInteraction>,
    /// Organization of your own tenant that the record belongs to; null is the whole tenant.
    organization_id: Option<String>,
    /// Grows with every change; see expected_version.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
    /// After person_create: UUIDs of active people who are likely the same; see duplicate_list.
    #[serde(skip_serializing_if = "Option::is_none")]
    possible_duplicates: Option<Vec<String>>,
    /// What `include` asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    related: Option<Related>,
}

fn output(person: &Record, tags: Vec<TagRef>) -> Result<Person> {
    let id = |column| person.id_of(column).map(|id| id.to_string());
    let list = |column| Ok::<_, Error>(JsonList(serde_json::from_value(person.get(column)?).unwrap_or_default()));
    Ok(Person {
        id: person.id.to_string(),
        num: person.num,
        kind: person.get("kind")?,
        name: person.get("display_name")?,
        display_name: person.get("display_name")?,
        first_name: person.get("first_name")?,
        middle_name: person.get("middle_name")?,
        last_name: person.get("last_name")?,
        job_title: person.get("job_title")?,
        primary_email: person.get("primary_email")?,
        emails: list("emails")?,
        primary_phone: person.get("primary_phone")?,
        contact_numbers: list("phones")?,
        organization: id("company_id"),
        owner: id("owner_id"),
        platform_user: id("platform_user_id"),
        merged_into: id("merged_into_id"),
        lifecycle_stage: person.get("lifecycle_stage")?,
        status: person.get("status")?,
        source: person.get("source")?,
        unique_id: person.get("unique_id")?,
        nip: person.get("nip")?,
        pesel: person.get("pesel")?,
        preferred_name: person.get("preferred_name")?,
        department: person.get("department")?,
        seniority: person.get("seniority")?,
        timezone: person.get("timezone")?,
        linked_in_url: person.get("linked_in_url")?,
        twitter_url: person.get("twitter_url")?,
        description: person.get("description")?,
        address: AnyJson(person.get("address")?),
        metadata: AnyJson(person.get("metadata")?),
        tags,
        active: person.flag("active"),
        is_contact: person.flag("is_contact"),
        is_client: person.flag("is_client"),
        next_interaction: next_interaction::of(person)?,
        organization_id: person.organization_id.map(|id| id.to_string()),
        version: person.version,
        created_at: person.created_at,
        updated_at: person.updated_at,
        possible_duplicates: None,
        related: None,
    })
}

/// A person as tools answer it.
pub(crate) async fn shown(ctx: &mut Ctx, person: &Record) -> Result<Person> {
    let tags = tag_link::of(ctx, PARTIES.noun, &[person.id]).await?.remove(&person.id).unwrap_or_default();
    output(person, tags)
}

// --- list and show

party_list! {
    struct ListInput {
        ;
        /// Only people of this company.
        #[serde(alias = "company_id")]
        organization: Option<Id<Party>>,
    }
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<Person>> {
    let company = input.organization;
    let page = PartyQuery { company, ..input.query(PartyKind::Person) }.run(ctx).await?;
    tag_link::with_tags(ctx, page, output).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowInput {
    /// UUID or number of the person.
    id: Id<Party>,
    /// Related records to show beside the person, at most 100 of each kind.
    #[serde(default)]
    include: Vec<Include>,
}

async fn show(ctx: &mut Ctx, input: ShowInput) -> Result<Person> {
    let person = party::fetch(ctx, input.id, "person").await?;
    let related = related::of(ctx, &person, &input.include).await?;
    Ok(Person { related, ..shown(ctx, &person).await? })
}

// --- writing

/// An input of a person: its own fields, those of people, and those that people and companies share.
macro_rules! person_input {
    (struct $name:ident { $($(#[$meta:meta])* $own:ident: $type:ty,)* }) => {
        party_input! {
            struct $name {
                $($(#[$meta])* $own: $type,)*
                /// Full name. Or give first_name and last_name.
                #[serde(default, alias = "display_name")]
                #[schemars(length(max = 255))]
                name: Patch<String>,
                /// First name.
                #[serde(default)]
                #[schemars(length(max = 255))]
                first_name: Patch<String>,
                /// Middle name.
                #[serde(default)]
                #[schemars(length(max = 255))]
                middle_name: Patch<String>,
                /// Last name.
                #[serde(default)]
                #[schemars(length(max = 255))]
                last_name: Patch<String>,
                /// Position.
                #[serde(default)]
                #[schemars(length(max = 255))]
                job_title: Patch<String>,
                /// Their company; see company_list.
                #[serde(default, alias = "company_id", alias = "company_entity_id", alias = "companyEntityId")]
                organization: Patch<Id<Party>>,
                /// Id in another system, unique unless blank.
                #[serde(default)]
                #[schemars(length(max = 128))]
                unique_id: Patch<String>,
                /// Tax number (NIP).
                #[serde(default)]
                nip: Patch<String>,
                /// PESEL.
                #[serde(default)]
                pesel: Patch<String>,
                /// Whether the person is a client.
                #[serde(default)]
                is_client: Patch<bool>,
                /// How the person likes to be called.
                #[serde(default, alias = "preferredName")]
                preferred_name: Patch<String>,
                /// Department.
                #[serde(default)]
                department: Patch<String>,
                /// Seniority.
                #[serde(default)]
                seniority: Patch<String>,
                /// Time zone.
                #[serde(default)]
                timezone: Patch<String>,
                /// Page at LinkedIn.
                #[serde(default, alias = "linkedInUrl")]
                linked_in_url: Patch<String>,
                /// Page at X.
                #[serde(default, alias = "twitterUrl")]
                twitter_url: Patch<String>,
            }
        }

        impl $name {
            /// Puts everything but the fields of its own into a form; answers the tags to set, where they were given.
            async fn fill(
                mut self,
                ctx: &mut Ctx,
                form: &mut Form,
                before: Option<&Record>,
            ) -> Result<Option<Vec<Uuid>>> {
                let shared = self.shared();
                let names = Names {
                    whole: self.name,
                    first: self.first_name,
                    middle: self.middle_name,
                    last: self.last_name,
                };
                names.fill(form, before)?;
                form.put("job_title", "job_title", self.job_title)?;
                form.put("unique_id", "unique_id", self.unique_id)?;
                form.put("is_client", "is_client", self.is_client)?;
                for (name, given) in [
                    ("nip", self.nip),
                    ("pesel", self.pesel),
                    ("preferred_name", self.preferred_name),
                    ("department", self.department),
                    ("seniority", self.seniority),
                    ("timezone", self.timezone),
                    ("linked_in_url", self.linked_in_url),
                    ("twitter_url", self.twitter_url),
                ] {
                    form.put(name, name, given)?;
                }
                party::put_company(ctx, form, "organization", self.organization).await?;
                party::fill(ctx, form, shared).await
            }
        }
    };
}

person_input! {
    struct CreateInput {}
}

person_input! {
    struct ChangeInput {
        /// UUID or number of the person.
        id: Id<Party>,
    }
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Person> {
    let mut form = Form::new(&PARTIES, Mode::Create);
    form.set("kind", "person");
    let tags = input.fill(ctx, &mut form, None).await?;
    let person = add_party(ctx, form.finish()?).await?;
    tag_link::set_given(ctx, Subject { noun: PARTIES.noun, id: person.id }, tags).await?;
    let possible_duplicates = duplicates::hint(ctx, &person).await?;
    Ok(Person { possible_duplicates, ..shown(ctx, &person).await? })
}

async fn update(ctx: &mut Ctx, input: ChangeInput) -> Result<Person> {
    change(ctx, Mode::Update, input).await
}

async fn replace(ctx: &mut Ctx, input: ChangeInput) -> Result<Person> {
    change(ctx, Mode::Replace, input).await
}

async fn change(ctx: &mut Ctx, mode: Mode, input: ChangeInput) -> Result<Person> {
    let before = party::fetch(ctx, input.id, "person").await?;
    let mut form = Form::new(&PARTIES, mode);
    let tags = input.fill(ctx, &mut form, Some(&before)).await?;
    let person = party::change(ctx, &before, form.finish()?).await?;
    tag_link::set_given(ctx, Subject { noun: PARTIES.noun, id: person.id }, tags).await?;
    shown(ctx, &person).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteInput {
    /// UUID or number of the person.
    id: Id<Party>,
}

async fn delete(ctx: &mut Ctx, input: DeleteInput) -> Result<family::Deleted> {
    let person = party::fetch(ctx, input.id, "person").await?;
    family::remove(ctx, &person).await?;
    Ok(family::Deleted::of(&person))
}
