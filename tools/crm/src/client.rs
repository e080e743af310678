//! Clients, as Intum has them: people and companies that buy or sell, found again by their id in another system.

use bureau_identity::User;
use bureau_kit::prelude::*;

use crate::Party;
use crate::client_option::{change_option, change_options};
use crate::client_write::{create, delete, update, upsert};
use crate::list::{Order, PartyQuery, PartySort};
use crate::party::{PARTIES, PartyKind};
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

/// A client.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Client {
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
    pub(crate) possible_duplicates: Option<Vec<String>>,
    /// After client_upsert: whether it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<bool>,
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

pub(crate) async fn shown(ctx: &mut Ctx, client: &Record) -> Result<Client> {
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
    kind: Option<PartyKind>,
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
        kind: input.kind,
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
pub(crate) struct ClientInput {
    /// UUID or number of the client.
    pub(crate) id: Id<Party>,
}

/// The person or company that is named as a client. One that neither buys nor sells is none.
pub(crate) async fn fetch(ctx: &mut Ctx, id: Id<Party>) -> Result<Record> {
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

/// The key of the person or company with an id in another system.
pub(crate) async fn by_external_id(ctx: &mut Ctx, app: &str, id: &str) -> Result<Option<Uuid>> {
    let mut sql = ctx.select("id", &PARTIES);
    sql.and_eq("app_code", app.trim()).and_eq("external_id", id.trim());
    ctx.rows(&sql).await?.first().map(|row| row.get(0)).transpose()
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
