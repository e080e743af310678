//! Companies: the customers and counterparties that iblai calls organizations.

use bureau_identity::User;
use bureau_kit::prelude::*;

use crate::Party;
use crate::form::{Form, Mode};
use crate::json::{AnyJson, JsonList};
use crate::list::{PartyQuery, party_list};
use crate::next_interaction::{self, NextInteraction};
use crate::party::{self, LifecycleStage, PARTIES, add_party, party_input};
use crate::related::{self, Include, Related};
use crate::subject::Subject;
use crate::tag_link::{self, TagRef};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("company_list", "customers.companies.view", list)
            .title("List companies")
            .about("List the companies among customers and counterparties, newest first. Filter by words, name, owner, stage or tags.")
            .synonyms("organizations firms customers find firmy klienci kontrahenci lista szukaj компанії фірми контрагенти список"),
        Tool::read("company_show", "customers.companies.view", show)
            .title("Show a company")
            .about("Show one company by id or number, on request with its people, addresses, comments, activities, deals and files.")
            .synonyms("organization firm details firma kontrahent szczegóły компанія фірма показати"),
        Tool::create("company_create", "customers.companies.manage", create)
            .title("Add a company")
            .about("Add a company. Its name must be new in the tenant, upper and lower case differ. People join it by person_update with organization.")
            .synonyms("organization firm new dodaj firmę kontrahenta nowa додати компанію фірму"),
        Tool::update("company_update", "customers.companies.manage", update)
            .on(&PARTIES)
            .title("Change a company")
            .about("Change the given fields of a company and leave the rest; null clears a field. See company_replace to reset the rest.")
            .synonyms("organization firm edit zmień edytuj firmę змінити редагувати компанію"),
        Tool::update("company_replace", "customers.companies.manage", replace)
            .on(&PARTIES)
            .destructive()
            .title("Replace a company's data")
            .about(
                "Replace the data of a company as a whole: every field left out goes back to its default, but for active, tags and \
                 organization_id. To change single fields use company_update.",
            )
            .synonyms("organization put overwrite reset zastąp firmę nadpisz замінити компанію"),
        Tool::delete("company_delete", "customers.companies.manage", delete)
            .on(&PARTIES)
            .title("Delete a company")
            .about("Delete a company with addresses, comments, files and tag links. Its people stay, without a company; its deals stay too.")
            .synonyms("organization firm remove usuń firmę kontrahenta видалити компанію фірму"),
    ]
}

#[derive(Debug, Serialize, JsonSchema)]
struct Company {
    /// UUID.
    id: String,
    /// Number in the tenant.
    num: Option<i64>,
    /// Always company.
    kind: String,
    /// Name, unique in the tenant.
    name: String,
    /// The same name.
    display_name: String,
    /// Main e-mail address.
    primary_email: Option<String>,
    /// Further e-mail addresses.
    emails: JsonList,
    /// Main telephone number.
    primary_phone: Option<String>,
    /// Telephone numbers.
    contact_numbers: JsonList,
    /// UUID of the user in charge.
    owner: Option<String>,
    /// How far the relation has come: lead, qualified, opportunity, customer or churned.
    lifecycle_stage: String,
    /// Status.
    status: Option<String>,
    /// Where the contact came from.
    source: Option<String>,
    /// Description.
    description: Option<String>,
    /// Address.
    address: AnyJson,
    /// Anything else.
    metadata: AnyJson,
    /// Its tags.
    tags: Vec<TagRef>,
    /// Whether it is in use.
    active: bool,
    /// Whether it is a client.
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
    /// What `include` asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    related: Option<Related>,
}

fn output(company: &Record, tags: Vec<TagRef>) -> Result<Company> {
    let list = |column| Ok::<_, Error>(JsonList(serde_json::from_value(company.get(column)?).unwrap_or_default()));
    Ok(Company {
        id: company.id.to_string(),
        num: company.num,
        kind: company.get("kind")?,
        name: company.get("display_name")?,
        display_name: company.get("display_name")?,
        primary_email: company.get("primary_email")?,
        emails: list("emails")?,
        primary_phone: company.get("primary_phone")?,
        contact_numbers: list("phones")?,
        owner: company.id_of("owner_id").map(|id| id.to_string()),
        lifecycle_stage: company.get("lifecycle_stage")?,
        status: company.get("status")?,
        source: company.get("source")?,
        description: company.get("description")?,
        address: AnyJson(company.get("address")?),
        metadata: AnyJson(company.get("metadata")?),
        tags,
        active: company.flag("active"),
        is_client: company.flag("is_client"),
        next_interaction: next_interaction::of(company)?,
        organization_id: company.organization_id.map(|id| id.to_string()),
        version: company.version,
        created_at: company.created_at,
        updated_at: company.updated_at,
        related: None,
    })
}

async fn shown(ctx: &mut Ctx, company: &Record) -> Result<Company> {
    let tags = tag_link::of(ctx, PARTIES.noun, &[company.id]).await?.remove(&company.id).unwrap_or_default();
    output(company, tags)
}

party_list! {
    struct ListInput {
        /// Part of the name, whatever the case.
        #[schemars(length(max = 255))]
        name: Option<String>,
        ;
    }
}

async fn list(ctx: &mut Ctx, mut input: ListInput) -> Result<Page<Company>> {
    let name = input.name.take();
    let page = PartyQuery { name, ..input.query("company") }.run(ctx).await?;
    tag_link::with_tags(ctx, page, output).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowInput {
    /// UUID or number of the company.
    id: Id<Party>,
    /// Related records to show beside the company, at most 100 of each kind.
    #[serde(default)]
    include: Vec<Include>,
}

async fn show(ctx: &mut Ctx, input: ShowInput) -> Result<Company> {
    let company = party::fetch(ctx, input.id, "company").await?;
    let related = related::of(ctx, &company, &input.include).await?;
    Ok(Company { related, ..shown(ctx, &company).await? })
}

party_input! {
    struct CreateInput {
        /// Name, unique in the tenant.
        #[serde(alias = "display_name", alias = "displayName")]
        #[schemars(length(max = 255))]
        name: String,
    }
}

party_input! {
    struct UpdateInput {
        /// UUID or number of the company.
        id: Id<Party>,
        /// Name, unique in the tenant.
        #[serde(alias = "display_name", alias = "displayName")]
        #[schemars(length(max = 255))]
        name: Option<String>,
    }
}

party_input! {
    struct ReplaceInput {
        /// UUID or number of the company.
        id: Id<Party>,
        /// Name, unique in the tenant.
        #[serde(alias = "display_name", alias = "displayName")]
        #[schemars(length(max = 255))]
        name: String,
    }
}

async fn create(ctx: &mut Ctx, mut input: CreateInput) -> Result<Company> {
    let mut form = Form::new(&PARTIES, Mode::Create);
    form.set("kind", "company");
    form.put("name", "display_name", Patch::Set(std::mem::take(&mut input.name)))?;
    let tags = party::fill(ctx, &mut form, input.shared()).await?;
    let company = add_party(ctx, form.finish()?).await?;
    tag_link::set_given(ctx, Subject { noun: PARTIES.noun, id: company.id }, tags).await?;
    shown(ctx, &company).await
}

async fn update(ctx: &mut Ctx, mut input: UpdateInput) -> Result<Company> {
    let shared = input.shared();
    change(ctx, Mode::Update, input.id, input.name, shared).await
}

async fn replace(ctx: &mut Ctx, mut input: ReplaceInput) -> Result<Company> {
    let shared = input.shared();
    change(ctx, Mode::Replace, input.id, Some(input.name), shared).await
}

async fn change(
    ctx: &mut Ctx,
    mode: Mode,
    id: Id<Party>,
    name: Option<String>,
    shared: party::Shared,
) -> Result<Company> {
    let before = party::fetch(ctx, id, "company").await?;
    let mut form = Form::new(&PARTIES, mode);
    if let Some(name) = name {
        form.put("name", "display_name", Patch::Set(name))?;
    }
    let tags = party::fill(ctx, &mut form, shared).await?;
    let company = party::change(ctx, &before, form.finish()?).await?;
    tag_link::set_given(ctx, Subject { noun: PARTIES.noun, id: company.id }, tags).await?;
    shown(ctx, &company).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteInput {
    /// UUID or number of the company.
    id: Id<Party>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    /// Always true.
    ok: bool,
    /// UUID of the company that is gone.
    id: String,
}

async fn delete(ctx: &mut Ctx, input: DeleteInput) -> Result<Deleted> {
    let company = party::fetch(ctx, input.id, "company").await?;
    family::remove(ctx, &company).await?;
    Ok(Deleted { ok: true, id: company.id.to_string() })
}
