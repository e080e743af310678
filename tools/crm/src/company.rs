//! Companies: the customers and counterparties that iblai calls organizations.

use bureau_identity::User;
use bureau_kit::prelude::*;

use crate::Party;
use crate::duplicates;
use crate::form::{Form, Mode};
use crate::json::{AnyJson, JsonList};
use crate::list::{PartyQuery, party_list};
use crate::next_interaction::{self, NextInteraction};
use crate::party::{self, LifecycleStage, PARTIES, PartyKind, add_party, party_input};
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
    /// Tax number (NIP).
    nip: Option<String>,
    /// REGON.
    regon: Option<String>,
    /// KRS.
    krs: Option<String>,
    /// Bank account (IBAN).
    bank_account: Option<String>,
    /// Name in the register.
    legal_name: Option<String>,
    /// Name of the brand.
    brand_name: Option<String>,
    /// Internet domain.
    domain: Option<String>,
    /// Web site.
    website_url: Option<String>,
    /// Industry.
    industry: Option<String>,
    /// Size.
    size_bucket: Option<String>,
    /// Revenue a year.
    annual_revenue: Option<Money>,
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
    /// After company_create: UUIDs of active companies that are likely the same; see duplicate_list.
    #[serde(skip_serializing_if = "Option::is_none")]
    possible_duplicates: Option<Vec<String>>,
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
        nip: company.get("nip")?,
        regon: company.get("regon")?,
        krs: company.get("krs")?,
        bank_account: company.get("bank_account")?,
        legal_name: company.get("legal_name")?,
        brand_name: company.get("brand_name")?,
        domain: company.get("domain")?,
        website_url: company.get("website_url")?,
        industry: company.get("industry")?,
        size_bucket: company.get("size_bucket")?,
        annual_revenue: company.get("annual_revenue")?,
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
        possible_duplicates: None,
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
    let page = PartyQuery { name, ..input.query(PartyKind::Company) }.run(ctx).await?;
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

/// An input of a company: its own fields, those of companies, and those that people and companies share.
macro_rules! company_input {
    (struct $name:ident { $($(#[$meta:meta])* $own:ident: $type:ty,)* }) => {
        party_input! {
            struct $name {
                $($(#[$meta])* $own: $type,)*
                /// Tax number (NIP).
                #[serde(default)]
                nip: Patch<String>,
                /// REGON.
                #[serde(default)]
                regon: Patch<String>,
                /// KRS.
                #[serde(default)]
                krs: Patch<String>,
                /// Bank account (IBAN).
                #[serde(default)]
                bank_account: Patch<String>,
                /// Name in the register.
                #[serde(default, alias = "legalName")]
                legal_name: Patch<String>,
                /// Name of the brand.
                #[serde(default, alias = "brandName")]
                brand_name: Patch<String>,
                /// Internet domain.
                #[serde(default)]
                domain: Patch<String>,
                /// Web site.
                #[serde(default, alias = "websiteUrl", alias = "www")]
                website_url: Patch<String>,
                /// Industry.
                #[serde(default)]
                industry: Patch<String>,
                /// Size, such as 10-49.
                #[serde(default, alias = "sizeBucket")]
                size_bucket: Patch<String>,
                /// Revenue a year.
                #[serde(default, alias = "annualRevenue")]
                annual_revenue: Patch<Money>,
                /// Whether it is a client.
                #[serde(default)]
                is_client: Patch<bool>,
            }
        }

        impl $name {
            /// Puts everything but the fields of its own into a form; answers the tags to set, where they were given.
            async fn fill(mut self, ctx: &mut Ctx, form: &mut Form) -> Result<Option<Vec<Uuid>>> {
                let shared = self.shared();
                form.put("is_client", "is_client", self.is_client)?;
                form.put("annual_revenue", "annual_revenue", self.annual_revenue)?;
                for (name, given) in [
                    ("nip", self.nip),
                    ("regon", self.regon),
                    ("krs", self.krs),
                    ("bank_account", self.bank_account),
                    ("legal_name", self.legal_name),
                    ("brand_name", self.brand_name),
                    ("domain", self.domain),
                    ("website_url", self.website_url),
                    ("industry", self.industry),
                    ("size_bucket", self.size_bucket),
                ] {
                    form.put(name, name, given)?;
                }
                party::fill(ctx, form, shared).await
            }
        }
    };
}

company_input! {
    struct CreateInput {
        /// Name, unique in the tenant.
        #[serde(alias = "display_name", alias = "displayName")]
        #[schemars(length(max = 255))]
        name: String,
    }
}

company_input! {
    struct UpdateInput {
        /// UUID or number of the company.
        id: Id<Party>,
        /// Name, unique in the tenant.
        #[serde(alias = "display_name", alias = "displayName")]
        #[schemars(length(max = 255))]
        name: Option<String>,
    }
}

company_input! {
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
    let tags = input.fill(ctx, &mut form).await?;
    let company = add_party(ctx, form.finish()?).await?;
    tag_link::set_given(ctx, Subject { noun: PARTIES.noun, id: company.id }, tags).await?;
    let possible_duplicates = duplicates::hint(ctx, &company).await?;
    Ok(Company { possible_duplicates, ..shown(ctx, &company).await? })
}

async fn update(ctx: &mut Ctx, mut input: UpdateInput) -> Result<Company> {
    let before = party::fetch(ctx, input.id, "company").await?;
    let mut form = Form::new(&PARTIES, Mode::Update);
    if let Some(name) = input.name.take() {
        form.put("name", "display_name", Patch::Set(name))?;
    }
    let tags = input.fill(ctx, &mut form).await?;
    save(ctx, &before, form, tags).await
}

async fn replace(ctx: &mut Ctx, mut input: ReplaceInput) -> Result<Company> {
    let before = party::fetch(ctx, input.id, "company").await?;
    let mut form = Form::new(&PARTIES, Mode::Replace);
    form.put("name", "display_name", Patch::Set(std::mem::take(&mut input.name)))?;
    let tags = input.fill(ctx, &mut form).await?;
    save(ctx, &before, form, tags).await
}

async fn save(ctx: &mut Ctx, before: &Record, form: Form, tags: Option<Vec<Uuid>>) -> Result<Company> {
    let company = party::change(ctx, before, form.finish()?).await?;
    tag_link::set_given(ctx, Subject { noun: PARTIES.noun, id: company.id }, tags).await?;
    shown(ctx, &company).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteInput {
    /// UUID or number of the company.
    id: Id<Party>,
}

async fn delete(ctx: &mut Ctx, input: DeleteInput) -> Result<family::Deleted> {
    let company = party::fetch(ctx, input.id, "company").await?;
    family::remove(ctx, &company).await?;
    Ok(family::Deleted::of(&company))
}
