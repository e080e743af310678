//! What people and companies have in common: the table, its rule, the arguments that both take, and saving.

use std::collections::BTreeSet;

use bureau_identity::User;
use bureau_kit::error::FieldError;
use bureau_kit::prelude::*;
use bureau_kit::registers::{Iban, Krs, Nip, Pesel, Regon};
use bureau_kit::table::Type;

use crate::Party;
use crate::activity::leave_to_deals;
use crate::form::{Form, Mode};
use crate::json::{AnyJson, JsonList};
use crate::match_keys;
use crate::next_interaction::{self, NextInteraction};
use crate::tag;

pub(crate) static PARTIES: Table = Table::new(
    "parties",
    "party",
    "A person or a company of the outside world.",
    &[
        Column::choice("kind", &["person", "company"], "Which of the two.").required().fixed().filter(),
        Column::text("display_name", "Full name.").required().search().sort(),
        Column::text("name_folded", "The name as it is compared and sorted.").default("\"\"").hidden(),
        Column::text("first_name", "First name."),
        Column::text("middle_name", "Middle name."),
        Column::text("last_name", "Last name."),
        Column::text("job_title", "Position, as it is shown.").default("\"\""),
        Column::email("primary_email", "Main e-mail address.").search(),
        Column::text("primary_email_folded", "The address in lower case: users are linked by it.").hidden().filter(),
        Column::text("primary_phone", "Main telephone number.").max(50),
        Column::text("phone2", "Second telephone number.").max(50),
        Column::text("phone3", "Third telephone number.").max(50),
        Column::text("phone4", "Fourth telephone number.").max(50),
        Column::json("emails", "Further e-mail addresses.").default("[]"),
        Column::json("phones", "Telephone numbers.").default("[]"),
        Column::reference("owner_id", "users", OnDelete::Clear, "User in charge.").filter(),
        Column::reference("company_id", "parties", OnDelete::Clear, "Company that a person belongs to.").filter(),
        Column::reference("folder_id", "contact_folders", OnDelete::Clear, "Folder of the address book."),
        Column::flag("is_contact", "Whether it is in the address book.").filter(),
        Column::flag("is_client", "Whether it is a client."),
        Column::reference("platform_user_id", "users", OnDelete::Clear, "User that the person became.").computed(),
        Column::reference("merged_into_id", "parties", OnDelete::Clear, "Person it was merged into.").computed(),
        // Closed until there are dictionaries: these are the values of iblai.
        Column::choice("lifecycle_stage", STAGES, "How far the relation has come.").default("\"lead\"").filter(),
        Column::text("status", "Status, in words of your own.").max(100).filter(),
        Column::text("source", "Where the contact came from.").max(150).filter(),
        Column::text("unique_id", "Id in another system, unique in the tenant unless blank.").max(128).default("\"\""),
        Column::text("description", "Description.").max(4000),
        Column::json("address", "Address.").default("{}"),
        Column::text("address_text", "Address in one line, as Worksection has it.").max(500),
        Column::text("address2", "Second address.").max(500),
        Column::json("metadata", "Anything else.").default("{}"),
        Column::flag("active", "False once linked to a user or merged away.").default("true").filter(),
        Column::instant("next_interaction_at", "When to contact it next."),
        Column::text("next_interaction_name", "What for.").max(200),
        Column::text("next_interaction_ref", "Id of what the contact comes from."),
        Column::text("next_interaction_icon", "Icon of the contact."),
        Column::color("next_interaction_color", "Colour of the contact."),
        Column::text("nip", "Tax number (NIP).").max(40),
        Column::text("regon", "Number in the register of businesses (REGON).").max(40),
        Column::text("krs", "Number in the court register (KRS).").max(40),
        Column::text("pesel", "Number of the person (PESEL).").max(40),
        Column::text("bank_account", "Bank account (IBAN).").max(60),
        Column::text("legal_name", "Name in the register."),
        Column::text("brand_name", "Name of the brand."),
        Column::text("domain", "Internet domain.").max(253),
        Column::text("website_url", "Web site.").max(2000),
        Column::text("industry", "Industry.").max(150),
        Column::text("size_bucket", "Size, such as 10-49.").max(100),
        Column::money("annual_revenue", "Revenue a year."),
        Column::text("preferred_name", "How the person likes to be called.").max(120),
        Column::text("department", "Department.").max(150),
        Column::text("seniority", "Seniority.").max(100),
        Column::text("timezone", "Time zone.").max(100),
        Column::text("linked_in_url", "Page at LinkedIn.").max(2000),
        Column::text("twitter_url", "Page at X.").max(2000),
        Column::flag("is_supplier", "Whether it is a supplier."),
        Column::count("discount", 0, 100, "Discount in per cent."),
        Column::count("payment_period_days", 0, 3650, "Days it has for paying."),
        Column::text("postal_code", "Post code.").max(30),
        Column::text("delivery_address", "Address for deliveries.").max(500),
        Column::text("app_code", "System that external_id is of.").max(64),
        Column::text("external_id", "Id in another system, unique there.").max(128),
        Column::text("name_key", "The name as duplicates are found by it.").default("\"\"").hidden(),
        Column::text("phone_key", "The telephone number as duplicates are found by it.").default("\"\"").hidden(),
        Column::text("phone_reversed", "The digits of the telephone number from the last on.").default("\"\"").hidden(),
    ],
)
.merged_into("merged_into_id")
.rule(rule);

const STAGES: &[&str] = &["lead", "qualified", "opportunity", "customer", "churned"];

/// The keys of each party's metadata: what the filter by key looks at, alike on both databases.
pub(crate) static PARTY_METADATA_KEYS: Table = Table::new(
    "party_metadata_keys",
    "party_metadata_key",
    "A key in the metadata of a party.",
    &[
        Column::reference("party_id", "parties", OnDelete::Cascade, "The party.").required(),
        Column::text("name", "The key.").required(),
    ],
)
.unnumbered()
.tenant_wide();

/// Longest key of metadata, and how many keys at most: they are indexed.
const KEY_LENGTH: usize = 255;
const KEY_COUNT: usize = 200;

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        match (draft.event, draft.before) {
            (Event::Delete, Some(party)) => leave_to_deals(ctx, party).await,
            (Event::Delete, None) => Ok(()),
            (Event::Create | Event::Update, before) => check(ctx, before, draft.values).await,
        }
    })
}

async fn check(ctx: &mut Ctx, before: Option<&Record>, values: &mut Values) -> Result<()> {
    if let Some(name) = values.text("display_name").map(|name| name.trim().to_owned()) {
        if name.is_empty() {
            return Err(Error::invalid("/name", "must not be blank"));
        }
        let kind = values.text("kind").or(before.map(|party| party.text("kind")));
        // Inactive companies keep their names, as the unique index does.
        if kind == Some("company") && taken(ctx, "display_name", &name, before, true).await? {
            return Err(Error::invalid(
                "/name",
                format!("there is already a company called {name}; find it with company_list, or choose another name"),
            ));
        }
        values.set("name_folded", fold(&name)).set("name_key", match_keys::of_name(&name)).set("display_name", name);
    } else if before.is_none() {
        return Err(Error::invalid("/name", "is required"));
    }
    if values.get("primary_email").is_some() {
        let folded = values.text("primary_email").map(str::to_lowercase);
        values.set("primary_email_folded", folded);
    }
    if values.get("primary_phone").is_some() {
        let phone = values.text("primary_phone").unwrap_or_default().to_owned();
        values.set("phone_key", match_keys::of_phone(&phone)).set("phone_reversed", match_keys::reversed(&phone));
    }
    check_numbers(values)?;
    check_external_id(ctx, before, values).await?;
    if let Some(unique_id) = values.text("unique_id").filter(|id| !id.is_empty()).map(str::to_owned)
        && taken(ctx, "unique_id", &unique_id, before, false).await?
    {
        return Err(Error::invalid("/unique_id", format!("another record already has the unique_id {unique_id}")));
    }
    if let Some(primary) = before.and_then(|party| party.id_of("merged_into_id"))
        && values.get("active") == Some(&Val::Bool(true))
    {
        return Err(Error::impossible_state(format!(
            "This person was merged into {primary} and cannot be active again. Change that one, or undo the merge."
        )));
    }
    Ok(())
}

/// Numbers of registers are kept as bare digits, and not at all where a digit is wrong.
fn check_numbers(values: &mut Values) -> Result<()> {
    type Reader = fn(&str) -> Result<String, String>;
    let readers: [(&'static str, Reader); 5] = [
        ("nip", |text| Nip::parse(text).map(|number| number.as_str().to_owned())),
        ("regon", |text| Regon::parse(text).map(|number| number.as_str().to_owned())),
        ("krs", |text| Krs::parse(text).map(|number| number.as_str().to_owned())),
        ("pesel", |text| Pesel::parse(text).map(|number| number.as_str().to_owned())),
        ("bank_account", |text| Iban::parse(text).map(|number| number.as_str().to_owned())),
    ];
    let mut wrong = Vec::new();
    for (name, read) in readers {
        let Some(text) = values.text(name).filter(|text| !text.is_empty()) else { continue };
        match read(text) {
            Ok(number) => _ = values.set(name, number),
            Err(message) => wrong.push(FieldError::of(name, message)),
        }
    }
    if let Some(domain) = values.text("domain").map(str::to_lowercase) {
        values.set("domain", domain);
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::invalid_fields(wrong)) }
}

/// An id in another system is of one person or company, whatever organization it is in.
async fn check_external_id(ctx: &mut Ctx, before: Option<&Record>, values: &mut Values) -> Result<()> {
    if values.get("external_id").is_none() && values.get("app_code").is_none() {
        return Ok(());
    }
    let now = |name: &str| match values.get(name) {
        Some(_) => values.text(name).unwrap_or_default().to_owned(),
        None => before.map(|before| before.text(name).to_owned()).unwrap_or_default(),
    };
    let (id, app) = (now("external_id"), now("app_code"));
    if id.is_empty() {
        values.set("external_id", Val::Null).set("app_code", Val::Null);
        return Ok(());
    }
    let mut sql = Sql::new("SELECT 1 FROM parties WHERE tenant_id = ");
    sql.bind(ctx.tenant_id()).and_eq("app_code", app.as_str()).and_eq("external_id", id.as_str());
    if let Some(before) = before {
        sql.push(" AND id <> ").bind(before.id);
    }
    if ctx.exists(sql).await? {
        return Err(Error::invalid(
            "/external_id",
            format!("another person or company has the external id {id} already; client_external_find shows it"),
        ));
    }
    // Blank rather than nothing, so that the unique index compares it.
    values.set("app_code", app);
    Ok(())
}

/// Whether another row of the tenant has this value, in whatever organization.
async fn taken(
    ctx: &mut Ctx,
    column: &'static str,
    value: &str,
    before: Option<&Record>,
    companies: bool,
) -> Result<bool> {
    let mut sql = Sql::new("SELECT 1 FROM parties WHERE tenant_id = ");
    sql.bind(ctx.tenant_id()).and_eq(column, value);
    // Said as in the partial indexes, so that the planner recognises them.
    sql.push(if companies { " AND kind = 'company'" } else { " AND unique_id <> ''" });
    if let Some(before) = before {
        sql.push(" AND id <> ").bind(before.id);
    }
    ctx.exists(sql).await
}

/// Person or company.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PartyKind {
    /// A person.
    Person,
    /// A company.
    Company,
}

impl PartyKind {
    /// As it is stored, and as tools are named after it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Company => "company",
        }
    }

    /// What somebody needs to change those of this kind.
    pub(crate) fn right(self) -> &'static str {
        match self {
            Self::Person => "customers.people.manage",
            Self::Company => "customers.companies.manage",
        }
    }
}

/// How far a relation has come.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LifecycleStage {
    Lead,
    Qualified,
    Opportunity,
    Customer,
    Churned,
}

impl LifecycleStage {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Qualified => "qualified",
            Self::Opportunity => "opportunity",
            Self::Customer => "customer",
            Self::Churned => "churned",
        }
    }
}

/// Arguments that people and companies share, taken out of an input by its `shared()`.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) primary_email: Patch<Email>,
    pub(crate) emails: Patch<JsonList>,
    pub(crate) primary_phone: Patch<String>,
    pub(crate) contact_numbers: Patch<JsonList>,
    pub(crate) owner: Patch<Id<User>>,
    pub(crate) lifecycle_stage: Patch<LifecycleStage>,
    pub(crate) status: Patch<String>,
    pub(crate) source: Patch<String>,
    pub(crate) description: Patch<String>,
    pub(crate) address: Patch<AnyJson>,
    pub(crate) metadata: Patch<AnyJson>,
    pub(crate) active: Option<bool>,
    pub(crate) next_interaction: Patch<NextInteraction>,
    pub(crate) tags: Option<Vec<Id<crate::Tag>>>,
    pub(crate) organization_id: Patch<Key>,
}

/// An input struct with its own fields and those of [`Shared`]; `flatten` would cost it the list of unknown fields.
macro_rules! party_input {
    (struct $name:ident { $($(#[$meta:meta])* $own:ident: $type:ty,)* }) => {
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $($(#[$meta])* $own: $type,)*
            /// Main e-mail address.
            #[serde(default)]
            primary_email: Patch<Email>,
            /// Further addresses: text, or {label, value}.
            #[serde(default)]
            emails: Patch<JsonList>,
            /// Main telephone number.
            #[serde(default)]
            #[schemars(length(max = 50))]
            primary_phone: Patch<String>,
            /// Further numbers: text, or {label, value}.
            #[serde(default, alias = "phones")]
            contact_numbers: Patch<JsonList>,
            /// User in charge; see user_list.
            #[serde(default, alias = "owner_id", alias = "owner_user_id", alias = "ownerUserId")]
            owner: Patch<Id<User>>,
            /// How far the relation has come; lead unless given.
            #[serde(default)]
            lifecycle_stage: Patch<LifecycleStage>,
            /// Status, in your own words.
            #[serde(default)]
            #[schemars(length(max = 100))]
            status: Patch<String>,
            /// Where the contact came from.
            #[serde(default)]
            #[schemars(length(max = 150))]
            source: Patch<String>,
            /// Description.
            #[serde(default)]
            #[schemars(length(max = 4000))]
            description: Patch<String>,
            /// Address, in any form.
            #[serde(default)]
            address: Patch<AnyJson>,
            /// Anything else; lists find it by its keys.
            #[serde(default)]
            metadata: Patch<AnyJson>,
            /// Whether it is in use.
            #[serde(default, alias = "is_active", alias = "isActive")]
            active: Option<bool>,
            /// Next contact: {at, name, ref_id, icon, color}.
            #[serde(default, alias = "nextInteraction")]
            #[schemars(with = "Patch<AnyJson>")]
            next_interaction: Patch<$crate::next_interaction::NextInteraction>,
            /// All its tags: others are taken off.
            #[serde(default)]
            tags: Option<Vec<Id<$crate::Tag>>>,
            /// Own organization it belongs to; yours unless given.
            #[serde(default)]
            #[schemars(with = "Patch<String>", extend("x-record" = "organizations"))]
            organization_id: Patch<Key>,
        }

        impl $name {
            /// Takes out what people and companies share.
            fn shared(&mut self) -> $crate::party::Shared {
                use std::mem::take;
                $crate::party::Shared {
                    primary_email: take(&mut self.primary_email),
                    emails: take(&mut self.emails),
                    primary_phone: take(&mut self.primary_phone),
                    contact_numbers: take(&mut self.contact_numbers),
                    owner: take(&mut self.owner),
                    lifecycle_stage: take(&mut self.lifecycle_stage),
                    status: take(&mut self.status),
                    source: take(&mut self.source),
                    description: take(&mut self.description),
                    address: take(&mut self.address),
                    metadata: take(&mut self.metadata),
                    active: take(&mut self.active),
                    next_interaction: take(&mut self.next_interaction),
                    tags: take(&mut self.tags),
                    organization_id: take(&mut self.organization_id),
                }
            }
        }
    };
}
pub(crate) use party_input;

/// Puts the shared arguments into a form; answers the tags to set, where they were given.
pub(crate) async fn fill(ctx: &mut Ctx, form: &mut Form, shared: Shared) -> Result<Option<Vec<Uuid>>> {
    form.put("primary_email", "primary_email", shared.primary_email)?;
    form.put("emails", "emails", shared.emails)?;
    form.put("primary_phone", "primary_phone", shared.primary_phone)?;
    form.put("contact_numbers", "phones", shared.contact_numbers)?;
    form.put("lifecycle_stage", "lifecycle_stage", shared.lifecycle_stage)?;
    form.put("status", "status", shared.status)?;
    form.put("source", "source", shared.source)?;
    form.put("description", "description", shared.description)?;
    form.put("address", "address", shared.address)?;
    if let Patch::Set(AnyJson(metadata)) = &shared.metadata
        && let Some(problem) = wrong_keys(metadata)
    {
        form.refuse("metadata", problem);
    }
    form.put("metadata", "metadata", shared.metadata)?;
    // Inferred: a replacement leaves `active` and the tags alone unless it names them; in the source both are read-only.
    if let Some(active) = shared.active {
        form.set("active", active);
    }
    put_owner(ctx, form, shared.owner).await?;
    next_interaction::fill(form, shared.next_interaction)?;
    set_organization(ctx, form, shared.organization_id).await?;
    resolve_tags(ctx, form, shared.tags).await
}

/// Takes the user in charge into a form.
pub(crate) async fn put_owner(ctx: &mut Ctx, form: &mut Form, owner: Patch<Id<User>>) -> Result<()> {
    match owner {
        Patch::Set(owner) => {
            let found = active_member(ctx, owner.key()).await?;
            form.refer("owner", "owner_id", found);
        }
        cleared => put_reference(form, "owner_id", &cleared),
    }
    Ok(())
}

/// The tags to set, where they were given.
pub(crate) async fn resolve_tags(
    ctx: &mut Ctx,
    form: &mut Form,
    tags: Option<Vec<Id<crate::Tag>>>,
) -> Result<Option<Vec<Uuid>>> {
    let Some(tags) = tags else { return Ok(None) };
    let mut ids = Vec::with_capacity(tags.len());
    for (index, tag) in tags.into_iter().enumerate() {
        match ctx.resolve(&tag::TAGS, tag.key()).await? {
            Some(id) => ids.push(id),
            None => form.refuse(
                &format!("tags/{index}"),
                format!("there is no tag {}; use tag_list to find it, or tag_create", tag.key()),
            ),
        }
    }
    Ok(Some(ids))
}

/// Clears a reference that was sent as null, or left out of a replacement.
pub(crate) fn put_reference<T>(form: &mut Form, column: &'static str, given: &Patch<T>) {
    if matches!(given, Patch::Clear) || (matches!(given, Patch::Absent) && form.mode == Mode::Replace) {
        form.set(column, Val::Null);
    }
}

/// A user who may be put in charge of something.
async fn active_member(ctx: &mut Ctx, key: Key) -> Result<Result<Uuid, String>> {
    let mut sql = ctx.select("id", User::TABLE);
    match key {
        Key::Uuid(id) => sql.and_eq("id", id),
        Key::Num(num) => sql.and_eq("num", num),
    };
    sql.push(" AND active");
    let rows = ctx.rows(&sql).await?;
    rows.first()
        .map_or(Ok(Err(format!("there is no active user {key}; use user_list to find one"))), |row| row.get(0).map(Ok))
}

/// The organization of the tenant that a record belongs to, within those that the caller may use.
pub(crate) async fn set_organization(ctx: &mut Ctx, form: &mut Form, given: Patch<Key>) -> Result<()> {
    let (wanted, shown) = match given {
        Patch::Absent => return Ok(()),
        Patch::Clear => (None, "the whole tenant".to_owned()),
        Patch::Set(key) => {
            let table = ctx.bureau().registry.table("organizations");
            let table = table.ok_or_else(|| Error::internal("there is no table of organizations"))?;
            let found = ctx.resolve(table, key).await?;
            if found.is_none() {
                form.refuse("organization_id", format!("there is no organization {key}"));
                return Ok(());
            }
            (found, key.to_string())
        }
    };
    let limits = ctx.principal().organizations.clone();
    if limits.is_some_and(|limits| wanted.is_none_or(|wanted| !limits.contains(&wanted))) {
        return Err(Error::forbidden(format!(
            "Your rights end at your own organizations, and {shown} is not one of them. Leave organization_id out."
        )));
    }
    form.set("organization_id", wanted);
    Ok(())
}

/// Why metadata cannot be kept, or nothing.
fn wrong_keys(metadata: &Value) -> Option<String> {
    let object = metadata.as_object()?;
    if object.len() > KEY_COUNT {
        return Some(format!("has more than {KEY_COUNT} keys; nest some of them"));
    }
    let long = object.keys().any(|key| key.chars().count() > KEY_LENGTH);
    long.then(|| format!("has a key longer than {KEY_LENGTH} characters"))
}

/// Stores a new person or company by all rules. `kind` and `display_name` are needed; the rest has defaults.
pub async fn add_party(ctx: &mut Ctx, values: Values) -> Result<Record> {
    let party = family::save_new(ctx, &PARTIES, values).await?;
    note_keys(ctx, &party).await?;
    Ok(party)
}

/// Changes a person or company by all rules.
pub(crate) async fn change(ctx: &mut Ctx, before: &Record, mut values: Values) -> Result<Record> {
    // PostgreSQL writes JSON in its own way: equal contents are no change, whatever the spelling.
    for column in PARTIES.columns.iter().filter(|column| column.kind == Type::Json) {
        let same =
            values.get(column.name).is_some_and(|new| column.to_json(new) == column.to_json(before.cell(column.name)));
        if same {
            values.remove(column.name);
        }
    }
    let metadata_changes = values.get("metadata").is_some();
    let party = family::save(ctx, before, values).await?;
    if metadata_changes {
        note_keys(ctx, &party).await?;
    }
    Ok(party)
}

/// Brings the stored keys of a party's metadata up to date.
async fn note_keys(ctx: &mut Ctx, party: &Record) -> Result<()> {
    let metadata: Value = party.get("metadata")?;
    let mut wanted: BTreeSet<&String> = metadata.as_object().into_iter().flat_map(Map::keys).collect();
    let mut sql = ctx.from(&PARTY_METADATA_KEYS);
    sql.and_eq("party_id", party.id).push(" ORDER BY name");
    for stored in ctx.records(&PARTY_METADATA_KEYS, &sql).await? {
        if !wanted.remove(&stored.get::<String>("name")?) {
            ctx.delete(&stored).await?;
        }
    }
    for name in wanted {
        let values = Values::new().with("party_id", party.id).with("name", name.as_str());
        ctx.insert(&PARTY_METADATA_KEYS, values).await?;
    }
    Ok(())
}

/// The person or company that a reference names, following a merge, and which of the two it is; none when there is no such
/// one, or when it is of another kind than is wanted.
pub(crate) async fn resolve(ctx: &mut Ctx, key: Key, wanted: Option<PartyKind>) -> Result<Option<(Uuid, PartyKind)>> {
    let Some(id) = ctx.resolve(&PARTIES, key).await? else { return Ok(None) };
    let mut sql = ctx.select("kind", &PARTIES);
    sql.and_eq("id", id);
    let rows = ctx.rows(&sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let kind = if row.get::<String>(0)? == "person" { PartyKind::Person } else { PartyKind::Company };
    Ok(Some((id, kind)).filter(|_| wanted.is_none_or(|wanted| wanted == kind)))
}

/// Takes the company of a person into a form: an own one, or it is an error of the argument.
pub(crate) async fn put_company(ctx: &mut Ctx, form: &mut Form, argument: &str, given: Patch<Id<Party>>) -> Result<()> {
    let Patch::Set(company) = given else {
        put_reference(form, "company_id", &given);
        return Ok(());
    };
    let found = resolve(ctx, company.key(), Some(PartyKind::Company)).await?.map(|(id, _)| id);
    let missing = || format!("there is no company {}; use company_list to find it", company.key());
    form.refer(argument, "company_id", found.ok_or_else(missing));
    Ok(())
}

/// The person or company a caller names. One of the other kind does not exist for a tool of this kind.
pub(crate) async fn fetch(ctx: &mut Ctx, id: Id<Party>, kind: &'static str) -> Result<Record> {
    let missing = || Error::not_found(kind, id.key());
    match ctx.fetch(id).await {
        Ok(party) if party.text("kind") == kind => Ok(party),
        Ok(_) => Err(missing()),
        Err(error) if error.code() == Code::NotFound => Err(missing()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_keys_are_bounded() {
        assert_eq!(wrong_keys(&json!([1, 2])), None);
        assert_eq!(wrong_keys(&json!({"a": {"b": 1}})), None);
        let long = json!({"x".repeat(256): 1});
        assert_eq!(wrong_keys(&long).unwrap(), "has a key longer than 255 characters");
        let many: Map<String, Value> = (0..201).map(|number| (number.to_string(), json!(1))).collect();
        assert_eq!(wrong_keys(&Value::Object(many)).unwrap(), "has more than 200 keys; nest some of them");
    }

    #[test]
    fn stages_are_the_choices_of_the_column() {
        let stages = ["lead", "qualified", "opportunity", "customer", "churned"];
        assert_eq!(STAGES, stages);
        for stage in stages {
            let parsed: LifecycleStage = serde_json::from_value(json!(stage)).unwrap();
            assert_eq!(parsed.as_str(), stage);
        }
    }
}
