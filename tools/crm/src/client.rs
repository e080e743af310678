//! Clients, as Intum has them: people and companies that buy or sell, found again by their id in another system.

use bureau_identity::User;
use bureau_kit::prelude::*;

use crate::Party;
use crate::duplicates;
use crate::form::{Form, Mode};
use crate::list::{Order, PartyQuery, PartySort};
use crate::party::{self, PARTIES, add_party};
use crate::subject::Subject;
use crate::tag::by_names;
use crate::tag_link::{self, TagRef};

const VIEW: &str = "customers.people.view";
const MANAGE: &str = "customers.people.manage";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("client_list", VIEW, list)
            .or_right("customers.companies.view")
            .title("List clients")
            .about("List the clients, people and companies alike, newest first. Filter by words, kind, e-mail, owner, status or tags.")
            .synonyms("customers buyers suppliers klienci lista kontrahenci odbiorcy клієнти список покупці"),
        Tool::read("client_show", VIEW, show)
            .or_right("customers.companies.view")
            .title("Show a client")
            .about("Show one client, a person or company, by id or number.")
            .synonyms("customer buyer details klient szczegóły клієнт показати"),
        Tool::create("client_create", MANAGE, create)
            .or_right("customers.companies.manage")
            .title("Add a client")
            .about(
                "Add a client: a company unless kind says person. Without a name it is called by its e-mail or telephone. The answer \
                 lists possible_duplicates; client_merge joins them.",
            )
            .synonyms("new customer buyer dodaj klienta nowego z numerem NIP додати клієнта нового"),
        Tool::update("client_update", MANAGE, update)
            .or_right("customers.companies.manage")
            .on(&PARTIES)
            .title("Change a client")
            .about("Change the given fields of a client and leave the rest; null clears a field. Its kind stays.")
            .synonyms("edit customer zmień dane klienta edytuj змінити клієнта"),
        Tool::delete("client_delete", MANAGE, delete)
            .or_right("customers.companies.manage")
            .on(&PARTIES)
            .title("Delete a client")
            .about("Delete a client with addresses, notes, files and tag links. Deals stay. For a duplicate use client_merge instead.")
            .synonyms("remove customer usuń klienta видалити клієнта"),
        Tool::action("client_upsert", MANAGE, upsert)
            .or_right("customers.companies.manage")
            .on(&PARTIES)
            .idempotent()
            .title("Create or update a client by external id")
            .about(
                "Bring a client in line with another system: the one with external_id (of app_code) is changed, or created where \
                 there is none. The answer says which.",
            )
            .synonyms("sync integration web shop synchronizuj klienta po zewnętrznym id utwórz lub zmień синхронізувати клієнта"),
        Tool::read("client_external_find", VIEW, find_external)
            .or_right("customers.companies.view")
            .title("Find a client by external id")
            .about("Find a client by its id in another system: external_id, and app_code of that system.")
            .synonyms("foreign key integration znajdź klienta po zewnętrznym id знайти клієнта за зовнішнім id"),
        Tool::action("client_option_change", MANAGE, change_option)
            .or_right("customers.companies.manage")
            .on(&PARTIES)
            .idempotent()
            .title("Set one option of a client")
            .about(
                "Set one option of a client: type names it (status, source, lifecycle_stage, owner, active, is_supplier, discount, \
                 payment_period_days, tag_add, tag_remove), value is the new value.",
            )
            .synonyms("quick change status owner tag ustaw opcję klienta встановити опцію клієнта"),
        Tool::action("client_option_bulk_change", MANAGE, change_options)
            .or_right("customers.companies.manage")
            .idempotent()
            .title("Set one option of many clients")
            .about(
                "Set one option, as client_option_change does, of up to 100 clients. Each stands or falls for itself: results tells \
                 what became of each. One undo takes all back.",
            )
            .synonyms("mass bulk change status owner tag zmień opcję wielu klientów masowo змінити опцію багатьох клієнтів"),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ClientKind {
    /// A person.
    Person,
    /// A company.
    Company,
}

impl ClientKind {
    fn as_str(self) -> &'static str {
        if self == Self::Person { "person" } else { "company" }
    }
}

/// A client.
#[derive(Debug, Serialize, JsonSchema)]
struct Client {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// person or company.
    kind: String,
    /// Full name.
    name: String,
    /// Main e-mail address.
    email: Option<String>,
    /// Main telephone number.
    phone: Option<String>,
    /// Description.
    description: Option<String>,
    /// System that external_id is of.
    app_code: Option<String>,
    /// Id in another system.
    external_id: Option<String>,
    /// Whether it buys.
    is_client: bool,
    /// Whether it sells.
    is_supplier: bool,
    /// Tax number (NIP).
    nip: Option<String>,
    /// REGON.
    regon: Option<String>,
    /// PESEL of a person.
    pesel: Option<String>,
    /// Bank account (IBAN).
    bank_account: Option<String>,
    /// Address in one line.
    address: Option<String>,
    /// Post code.
    postal_code: Option<String>,
    /// Address for deliveries.
    delivery_address: Option<String>,
    /// Discount in per cent.
    discount: Option<i64>,
    /// Days it has for paying.
    payment_period_days: Option<i64>,
    /// Status.
    status: Option<String>,
    /// UUID of the user in charge.
    #[schemars(with = "Option<String>")]
    responsible_id: Option<Uuid>,
    /// Its tags.
    tags: Vec<TagRef>,
    /// False once merged away.
    active: bool,
    /// UUID of the client this one was merged into.
    #[schemars(with = "Option<String>")]
    merged_into: Option<Uuid>,
    /// Organization of your own tenant; null is the whole tenant.
    #[schemars(with = "Option<String>")]
    organization_id: Option<Uuid>,
    /// Grows with every change; see expected_version.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
    /// After client_create: UUIDs of active ones that are likely the same; see duplicate_list.
    #[serde(skip_serializing_if = "Option::is_none")]
    possible_duplicates: Option<Vec<String>>,
    /// After client_upsert: whether it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<bool>,
}

fn output(client: &Record, tags: Vec<TagRef>) -> Result<Client> {
    Ok(Client {
        id: client.id,
        num: client.num,
        kind: client.get("kind")?,
        name: client.get("display_name")?,
        email: client.get("primary_email")?,
        phone: client.get("primary_phone")?,
        description: client.get("description")?,
        app_code: client.get::<Option<String>>("app_code")?.filter(|code| !code.is_empty()),
        external_id: client.get("external_id")?,
        is_client: client.flag("is_client"),
        is_supplier: client.flag("is_supplier"),
        nip: client.get("nip")?,
        regon: client.get("regon")?,
        pesel: client.get("pesel")?,
        bank_account: client.get("bank_account")?,
        address: client.get("address_text")?,
        postal_code: client.get("postal_code")?,
        delivery_address: client.get("delivery_address")?,
        discount: client.get("discount")?,
        payment_period_days: client.get("payment_period_days")?,
        status: client.get("status")?,
        responsible_id: client.id_of("owner_id"),
        tags,
        active: client.flag("active"),
        merged_into: client.id_of("merged_into_id"),
        organization_id: client.organization_id,
        version: client.version,
        created_at: client.created_at,
        updated_at: client.updated_at,
        possible_duplicates: None,
        created: None,
    })
}

async fn shown(ctx: &mut Ctx, client: &Record) -> Result<Client> {
    let tags = tag_link::of(ctx, PARTIES.noun, &[client.id]).await?.remove(&client.id).unwrap_or_default();
    output(client, tags)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Words to find in name and e-mail.
    #[serde(alias = "search")]
    #[schemars(length(max = 1024))]
    q: Option<String>,
    /// Only people, or only companies.
    kind: Option<ClientKind>,
    /// Only with exactly this main e-mail.
    email: Option<String>,
    /// Only with this status.
    status: Option<String>,
    /// Only those of this user in charge.
    #[serde(alias = "owner")]
    responsible_id: Option<Id<User>>,
    /// Only with at least one of these tags.
    #[serde(alias = "tag_ids")]
    tags: Option<Vec<Id<crate::Tag>>>,
    /// Only active, or only inactive ones.
    active: Option<bool>,
    /// What to sort by; newest first when left out.
    sort: Option<PartySort>,
    /// Direction of the sort.
    order: Option<Order>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 unless given.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<Client>> {
    let query = PartyQuery {
        kind: input.kind.map_or("", ClientKind::as_str),
        is_client: Some(true),
        words: input.q,
        email: input.email,
        status: input.status,
        owner: input.responsible_id,
        tags: input.tags,
        active: input.active,
        sort: input.sort,
        order: input.order,
        page: input.page,
        page_size: input.page_size,
        ..PartyQuery::default()
    };
    let page = query.run(ctx).await?;
    tag_link::with_tags(ctx, page, output).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ClientInput {
    /// UUID or number of the client.
    id: Id<Party>,
}

/// The person or company that is named as a client. One that neither buys nor sells is none.
async fn fetch(ctx: &mut Ctx, id: Id<Party>) -> Result<Record> {
    let missing = || Error::not_found("client", id.key());
    match ctx.fetch(id).await {
        Ok(party) if party.flag("is_client") || party.flag("is_supplier") => Ok(party),
        Ok(_) => Err(missing()),
        Err(error) if error.code() == Code::NotFound => Err(missing()),
        Err(error) => Err(error),
    }
}

async fn show(ctx: &mut Ctx, input: ClientInput) -> Result<Client> {
    let client = fetch(ctx, input.id).await?;
    shown(ctx, &client).await
}

/// Tags of a client: their names, or one text with commas between, as Intum writes them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum TagNames {
    /// Names.
    List(Vec<String>),
    /// Names with commas between.
    Text(String),
}

impl TagNames {
    fn names(self) -> Vec<String> {
        let names = match self {
            Self::List(names) => names,
            Self::Text(text) => text.split(',').map(str::to_owned).collect(),
        };
        names.into_iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
    }
}

/// An input of a client: its own fields and those of every client.
macro_rules! client_input {
    (struct $name:ident { $($(#[$meta:meta])* $own:ident: $type:ty,)* }) => {
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $($(#[$meta])* $own: $type,)*
            /// Full name; the e-mail or telephone when there is none.
            #[serde(default)]
            #[schemars(length(max = 255))]
            name: Patch<String>,
            /// Main e-mail address.
            #[serde(default)]
            email: Patch<Email>,
            /// Main telephone number.
            #[serde(default)]
            #[schemars(length(max = 50))]
            phone: Patch<String>,
            /// Description.
            #[serde(default)]
            #[schemars(length(max = 4000))]
            description: Patch<String>,
            /// Tags by name: a list, or names with commas between. All of them; others are taken off. New names become tags.
            #[serde(default)]
            #[schemars(with = "Option<String>")]
            tags: Option<TagNames>,
            /// Whether it sells.
            #[serde(default)]
            is_supplier: Patch<bool>,
            /// Tax number (NIP).
            #[serde(default, alias = "tax_no")]
            nip: Patch<String>,
            /// REGON.
            #[serde(default)]
            regon: Patch<String>,
            /// PESEL of a person.
            #[serde(default)]
            pesel: Patch<String>,
            /// Bank account (IBAN).
            #[serde(default)]
            bank_account: Patch<String>,
            /// Address in one line.
            #[serde(default)]
            #[schemars(length(max = 500))]
            address: Patch<String>,
            /// Post code.
            #[serde(default, alias = "post_code")]
            #[schemars(length(max = 30))]
            postal_code: Patch<String>,
            /// Address for deliveries.
            #[serde(default)]
            #[schemars(length(max = 500))]
            delivery_address: Patch<String>,
            /// Discount in per cent.
            #[serde(default)]
            discount: Patch<i64>,
            /// Days it has for paying.
            #[serde(default, alias = "payment_period")]
            payment_period_days: Patch<i64>,
            /// Status, in your own words.
            #[serde(default)]
            #[schemars(length(max = 100))]
            status: Patch<String>,
            /// User in charge; see user_list.
            #[serde(default, alias = "owner")]
            responsible_id: Patch<Id<User>>,
            /// Own organization it belongs to; yours unless given.
            #[serde(default)]
            #[schemars(with = "Patch<String>", extend("x-record" = "organizations"))]
            organization_id: Patch<Key>,
        }

        impl $name {
            /// Puts everything but the fields of its own into a form; answers the tags to set, where they were given.
            async fn fill(self, ctx: &mut Ctx, form: &mut Form) -> Result<Option<Vec<Uuid>>> {
                form.put("name", "display_name", self.name)?;
                form.put("email", "primary_email", self.email)?;
                form.put("is_supplier", "is_supplier", self.is_supplier)?;
                form.put("discount", "discount", self.discount)?;
                form.put("payment_period_days", "payment_period_days", self.payment_period_days)?;
                for (name, column, given) in [
                    ("phone", "primary_phone", self.phone),
                    ("description", "description", self.description),
                    ("nip", "nip", self.nip),
                    ("regon", "regon", self.regon),
                    ("pesel", "pesel", self.pesel),
                    ("bank_account", "bank_account", self.bank_account),
                    ("address", "address_text", self.address),
                    ("postal_code", "postal_code", self.postal_code),
                    ("delivery_address", "delivery_address", self.delivery_address),
                    ("status", "status", self.status),
                ] {
                    form.put(name, column, given)?;
                }
                party::put_owner(ctx, form, self.responsible_id).await?;
                party::set_organization(ctx, form, self.organization_id).await?;
                match self.tags {
                    Some(tags) => by_names(ctx, &tags.names()).await.map(Some),
                    None => Ok(None),
                }
            }
        }
    };
}

client_input! {
    struct CreateInput {
        /// person or company; company unless given.
        kind: Option<ClientKind>,
        /// Id in another system.
        #[serde(default)]
        #[schemars(length(max = 128))]
        external_id: Patch<String>,
        /// System that external_id is of.
        #[serde(default)]
        #[schemars(length(max = 64))]
        app_code: Patch<String>,
    }
}

client_input! {
    struct UpdateInput {
        /// UUID or number of the client.
        id: Id<Party>,
        /// Id in another system.
        #[serde(default)]
        #[schemars(length(max = 128))]
        external_id: Patch<String>,
        /// System that external_id is of.
        #[serde(default)]
        #[schemars(length(max = 64))]
        app_code: Patch<String>,
    }
}

client_input! {
    struct UpsertFields {
        /// person or company, for a new one; company unless given.
        kind: Option<ClientKind>,
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpsertInput {
    /// Id in the other system.
    #[schemars(length(min = 1, max = 128))]
    external_id: String,
    /// Code of the other system; blank unless given.
    #[serde(default)]
    #[schemars(length(max = 64))]
    app_code: String,
    /// What the client is to be; what is left out stays.
    client: UpsertFields,
}

/// The parts of a person's name, where the client is one; the name itself where there was none.
fn complete(form: &mut Form, kind: ClientKind, name: Option<String>, email: Option<String>, phone: Option<String>) {
    let name = name.or(email).or(phone);
    let Some(name) = name else {
        form.refuse("name", "is required, or an e-mail or phone to call the client by");
        return;
    };
    form.set("display_name", name.as_str());
    if kind == ClientKind::Person {
        let (first, last) = crate::names::split_at_last_space(&name);
        form.set("first_name", first);
        form.set("last_name", last);
    }
}

/// Text that was given, and is more than blank.
fn given(text: &Patch<String>) -> Option<String> {
    match text {
        Patch::Set(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    }
}

/// Who may handle companies need not be let to people, and the other way round.
fn check_right(ctx: &Ctx, kind: ClientKind) -> Result<()> {
    let right = if kind == ClientKind::Person { "customers.people.manage" } else { "customers.companies.manage" };
    if ctx.principal().may(&[right]) {
        return Ok(());
    }
    let what = if kind == ClientKind::Person { "people" } else { "companies" };
    Err(Error::forbidden(format!("Clients that are {what} need the right {right}. Ask an administrator for it."))
        .with("missing", right))
}

fn kind_of(client: &Record) -> ClientKind {
    if client.text("kind") == "person" { ClientKind::Person } else { ClientKind::Company }
}

async fn create(ctx: &mut Ctx, mut input: CreateInput) -> Result<Client> {
    let kind = input.kind.unwrap_or(ClientKind::Company);
    check_right(ctx, kind)?;
    let mut form = Form::new(&PARTIES, Mode::Create);
    form.set("kind", kind.as_str());
    form.set("is_client", true);
    form.put("external_id", "external_id", std::mem::take(&mut input.external_id))?;
    form.put("app_code", "app_code", std::mem::take(&mut input.app_code))?;
    let name = given(&std::mem::take(&mut input.name));
    let email = if let Patch::Set(email) = &input.email { Some(email.as_str().to_owned()) } else { None };
    complete(&mut form, kind, name, email, given(&input.phone));
    let tags = input.fill(ctx, &mut form).await?;
    let client = add_party(ctx, form.finish()?).await.map_err(Error::lost_race)?;
    tag_link::set_given(ctx, Subject { noun: PARTIES.noun, id: client.id }, tags).await?;
    let possible_duplicates = duplicates::hint(ctx, &client).await?;
    Ok(Client { possible_duplicates, ..shown(ctx, &client).await? })
}

async fn update(ctx: &mut Ctx, mut input: UpdateInput) -> Result<Client> {
    let before = fetch(ctx, input.id).await?;
    check_right(ctx, kind_of(&before))?;
    let mut form = Form::new(&PARTIES, Mode::Update);
    form.put("external_id", "external_id", std::mem::take(&mut input.external_id))?;
    form.put("app_code", "app_code", std::mem::take(&mut input.app_code))?;
    if let Some(name) = given(&input.name) {
        complete(&mut form, kind_of(&before), Some(name), None, None);
    }
    let tags = input.fill(ctx, &mut form).await?;
    let client = party::change(ctx, &before, form.finish()?).await.map_err(Error::lost_race)?;
    tag_link::set_given(ctx, Subject { noun: PARTIES.noun, id: client.id }, tags).await?;
    shown(ctx, &client).await
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    /// Always true.
    ok: bool,
    /// UUID of the client that is gone.
    #[schemars(with = "String")]
    id: Uuid,
}

async fn delete(ctx: &mut Ctx, input: ClientInput) -> Result<Deleted> {
    let client = fetch(ctx, input.id).await?;
    check_right(ctx, kind_of(&client))?;
    family::remove(ctx, &client).await?;
    Ok(Deleted { ok: true, id: client.id })
}

/// The key of the person or company with an id in another system.
async fn by_external_id(ctx: &mut Ctx, app: &str, id: &str) -> Result<Option<Uuid>> {
    let mut sql = ctx.select("id", &PARTIES);
    sql.and_eq("app_code", app.trim()).and_eq("external_id", id.trim());
    ctx.rows(&sql).await?.first().map(|row| row.get(0)).transpose()
}

async fn upsert(ctx: &mut Ctx, input: UpsertInput) -> Result<Client> {
    let (app, id) = (input.app_code.trim().to_owned(), input.external_id.trim().to_owned());
    if id.is_empty() {
        return Err(Error::invalid("/external_id", "must not be blank"));
    }
    let mut fields = input.client;
    let Some(known) = by_external_id(ctx, &app, &id).await? else {
        let kind = fields.kind.unwrap_or(ClientKind::Company);
        check_right(ctx, kind)?;
        let mut form = Form::new(&PARTIES, Mode::Create);
        form.set("kind", kind.as_str());
        form.set("is_client", true);
        form.put("app_code", "app_code", Patch::Set(&app))?;
        form.put("external_id", "external_id", Patch::Set(&id))?;
        let name = given(&std::mem::take(&mut fields.name));
        let email = if let Patch::Set(email) = &fields.email { Some(email.as_str().to_owned()) } else { None };
        complete(&mut form, kind, name, email, given(&fields.phone));
        let tags = fields.fill(ctx, &mut form).await?;
        let client = match add_party(ctx, form.finish()?).await.map_err(Error::lost_race) {
            // Another call has made it in between: the next attempt finds it.
            Err(error) if error.code() == Code::Validation && by_external_id(ctx, &app, &id).await?.is_some() => {
                return Err(Error::retryable(error));
            }
            made => made?,
        };
        tag_link::set_given(ctx, Subject { noun: PARTIES.noun, id: client.id }, tags).await?;
        return Ok(Client { created: Some(true), ..shown(ctx, &client).await? });
    };
    let before = ctx.fetch_from(&PARTIES, known).await?;
    check_right(ctx, kind_of(&before))?;
    let mut form = Form::new(&PARTIES, Mode::Update);
    form.set("is_client", true);
    if let Some(name) = given(&fields.name) {
        complete(&mut form, kind_of(&before), Some(name), None, None);
    }
    let tags = fields.fill(ctx, &mut form).await?;
    let client = party::change(ctx, &before, form.finish()?).await?;
    tag_link::set_given(ctx, Subject { noun: PARTIES.noun, id: client.id }, tags).await?;
    Ok(Client { created: Some(false), ..shown(ctx, &client).await? })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExternalInput {
    /// Id in the other system.
    external_id: String,
    /// Code of the other system; blank unless given.
    #[serde(default)]
    app_code: String,
}

async fn find_external(ctx: &mut Ctx, input: ExternalInput) -> Result<Client> {
    let (app, id) = (input.app_code.trim(), input.external_id.trim());
    let found = by_external_id(ctx, app, id).await?.ok_or_else(|| {
        let of = if app.is_empty() { String::new() } else { format!(" of {app}") };
        Error::missing(format!("There is no client with the external id {id}{of}. client_list shows all clients."))
    })?;
    let client = ctx.fetch_from(&PARTIES, found).await?;
    shown(ctx, &client).await
}

/// An option of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OptionType {
    /// Status.
    Status,
    /// Where it came from.
    Source,
    /// How far the relation has come.
    LifecycleStage,
    /// User in charge.
    #[serde(alias = "responsible", alias = "responsible_id")]
    Owner,
    /// Whether it is in use.
    Active,
    /// Whether it sells.
    IsSupplier,
    /// Discount in per cent.
    Discount,
    /// Days it has for paying.
    PaymentPeriodDays,
    /// A tag to add, by name.
    TagAdd,
    /// A tag to take off, by name.
    TagRemove,
}

/// A value of whatever kind the option is of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum OptionValue {
    /// Text, an id or a number as text.
    Text(String),
    /// A number.
    Number(i64),
    /// True or false.
    Flag(bool),
    /// Nothing: clears it.
    Nothing,
}

impl OptionValue {
    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number) => json!(number),
            Self::Flag(flag) => json!(flag),
            Self::Nothing => Value::Null,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OptionInput {
    /// UUID or number of the client.
    id: Id<Party>,
    /// Which option to set.
    #[serde(rename = "type")]
    kind: OptionType,
    /// Its new value: text, a number, true or false; null clears it.
    #[schemars(with = "Option<String>")]
    value: OptionValue,
}

async fn change_option(ctx: &mut Ctx, input: OptionInput) -> Result<Client> {
    let before = fetch(ctx, input.id).await?;
    check_right(ctx, kind_of(&before))?;
    let subject = Subject { noun: PARTIES.noun, id: before.id };
    let column = match input.kind {
        OptionType::Status => "status",
        OptionType::Source => "source",
        OptionType::LifecycleStage => "lifecycle_stage",
        OptionType::Owner => "owner_id",
        OptionType::Active => "active",
        OptionType::IsSupplier => "is_supplier",
        OptionType::Discount => "discount",
        OptionType::PaymentPeriodDays => "payment_period_days",
        OptionType::TagAdd | OptionType::TagRemove => {
            let OptionValue::Text(name) = &input.value else {
                return Err(Error::invalid("/value", "expected the name of a tag"));
            };
            let tag = by_names(ctx, &[name.trim().to_owned()]).await?;
            let mut tags: Vec<Uuid> = tag_link::ids(ctx, subject).await?;
            tags.retain(|known| !tag.contains(known));
            if input.kind == OptionType::TagAdd {
                tags.extend(tag);
            }
            tag_link::set_given(ctx, subject, Some(tags)).await?;
            return shown(ctx, &before).await;
        }
    };
    let mut form = Form::new(&PARTIES, Mode::Update);
    if input.kind == OptionType::Owner {
        let owner = match input.value.json() {
            Value::Null => Patch::Clear,
            value => {
                Patch::Set(serde_json::from_value(value).map_err(|error| Error::invalid("/value", error.to_string()))?)
            }
        };
        party::put_owner(ctx, &mut form, owner).await?;
    } else {
        let value = match input.value.json() {
            Value::Null => Patch::Clear,
            value => Patch::Set(value),
        };
        form.put("value", column, value)?;
    }
    let client = party::change(ctx, &before, form.finish()?).await?;
    shown(ctx, &client).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OptionsInput {
    /// UUIDs or numbers of the clients, at most 100.
    #[schemars(length(min = 1, max = 100))]
    ids: Vec<Id<Party>>,
    /// Which option to set.
    #[serde(rename = "type")]
    kind: OptionType,
    /// Its new value: text, a number, true or false; null clears it.
    #[schemars(with = "Option<String>")]
    value: OptionValue,
}

/// What became of one client.
#[derive(Debug, Serialize, JsonSchema)]
struct OptionResult {
    /// The id as it was given.
    given_id: String,
    /// Whether it was done.
    ok: bool,
    /// UUID of the client that was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The error, as a call for this client alone would answer it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Map<String, Value>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct OptionResults {
    /// How many were done.
    count: usize,
    /// What became of each, in the order given.
    results: Vec<OptionResult>,
}

async fn change_options(ctx: &mut Ctx, input: OptionsInput) -> Result<OptionResults> {
    if input.ids.is_empty() || input.ids.len() > 100 {
        return Err(Error::invalid("/ids", format!("expected 1 to 100 clients, got {}", input.ids.len())));
    }
    let kind = serde_json::to_value(input.kind).map_err(Error::internal)?;
    let mut results = Vec::with_capacity(input.ids.len());
    for id in input.ids {
        let mut arguments = Map::new();
        arguments.insert("id".into(), json!(id.key().to_string()));
        arguments.insert("type".into(), kind.clone());
        arguments.insert("value".into(), input.value.json());
        let given_id = id.key().to_string();
        results.push(match ctx.nested("client_option_change", arguments).await {
            Ok(client) => {
                let client_id = client.get("id").and_then(Value::as_str).map(str::to_owned);
                OptionResult { given_id, ok: true, client_id, error: None }
            }
            // A lost race is not the client's own failure: the whole call runs again.
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                let error = error.reported("client_option_bulk_change", ctx.new_id()).to_json();
                OptionResult { given_id, ok: false, client_id: None, error: Some(error) }
            }
        });
    }
    Ok(OptionResults { count: results.iter().filter(|result| result.ok).count(), results })
}
