//! Contacts, as Intum has them: the people behind clients.
//!
//! They are the people of the address book that Worksection's contacts are in too (unified-model.md, conflict 16); with client_id
//! all people of that company.

use bureau_identity::User;
use bureau_kit::prelude::*;

use crate::Party;
use crate::form::{Form, Mode};
use crate::list::{Order, PartyQuery, PartySort};
use crate::names::Names;
use crate::party::{self, PARTIES, PartyKind, add_party};

const VIEW: &str = "customers.people.view";
const MANAGE: &str = "customers.people.manage";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("contact_list", VIEW, list)
            .title("List contacts")
            .about("List the contacts, the people behind clients, newest first; with client_id all people of that company.")
            .synonyms("contact persons address book kontakty osoby kontaktowe klienta lista контакти клієнта список"),
        Tool::read("contact_search", VIEW, search)
            .title("Search contacts")
            .about("Find contacts by words in name or e-mail, or by an e-mail address.")
            .synonyms("find contact person szukaj kontaktu znajdź osobę шукати контакт знайти"),
        Tool::read("contact_show", VIEW, show)
            .title("Show a contact")
            .about("Show one contact by id or number.")
            .synonyms("contact person details kontakt pokaż контакт показати"),
        Tool::create("contact_create", MANAGE, create)
            .title("Add a contact")
            .about("Add a contact: a person, with client_id one of that company. Without a name it is called by its e-mail or telephone.")
            .synonyms("new contact person dodaj kontakt osobę kontaktową додати контакт"),
        Tool::update("contact_update", MANAGE, update)
            .on(&PARTIES)
            .title("Change a contact")
            .about("Change the given fields of a contact and leave the rest; null clears a field.")
            .synonyms("edit contact person zmień kontakt edytuj змінити контакт"),
        Tool::delete("contact_delete", MANAGE, delete)
            .on(&PARTIES)
            .title("Delete a contact")
            .about("Delete a contact with addresses, notes, files and tag links. Deals stay without it.")
            .synonyms("remove contact person usuń kontakt видалити контакт"),
    ]
}

/// A contact.
#[derive(Debug, Serialize, JsonSchema)]
struct ContactView {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// Full name.
    name: String,
    /// First name.
    first_name: Option<String>,
    /// Last name.
    last_name: Option<String>,
    /// Position.
    position: String,
    /// Main e-mail address.
    email: Option<String>,
    /// Main telephone number.
    phone: Option<String>,
    /// Mobile telephone number.
    mobile_phone: Option<String>,
    /// UUID of the company.
    #[schemars(with = "Option<String>")]
    client_id: Option<Uuid>,
    /// UUID of the user in charge.
    #[schemars(with = "Option<String>")]
    responsible_id: Option<Uuid>,
    /// Description.
    description: Option<String>,
    /// System that external_id is of.
    app_code: Option<String>,
    /// Id in another system.
    external_id: Option<String>,
    /// Organization of your own tenant; null is the whole tenant.
    #[schemars(with = "Option<String>")]
    organization_id: Option<Uuid>,
    /// Grows with every change; see expected_version.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

fn view(person: &Record) -> Result<ContactView> {
    Ok(ContactView {
        id: person.id,
        num: person.num,
        name: person.get("display_name")?,
        first_name: person.get("first_name")?,
        last_name: person.get("last_name")?,
        position: person.get("job_title")?,
        email: person.get("primary_email")?,
        phone: person.get("primary_phone")?,
        mobile_phone: person.get("phone2")?,
        client_id: person.id_of("company_id"),
        responsible_id: person.id_of("owner_id"),
        description: person.get("description")?,
        app_code: person.get::<Option<String>>("app_code")?.filter(|code| !code.is_empty()),
        external_id: person.get("external_id")?,
        organization_id: person.organization_id,
        version: person.version,
        created_at: person.created_at,
        updated_at: person.updated_at,
    })
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Words to find in name and e-mail.
    #[schemars(length(max = 1024))]
    q: Option<String>,
    /// Company whose people to list.
    client_id: Option<Id<Party>>,
    /// Only with exactly this main e-mail.
    #[serde(alias = "extracted_email")]
    email: Option<String>,
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

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<ContactView>> {
    let query = PartyQuery {
        kind: Some(PartyKind::Person),
        is_contact: input.client_id.is_none().then_some(true),
        words: input.q,
        email: input.email,
        company: input.client_id,
        sort: input.sort,
        order: input.order,
        page: input.page,
        page_size: input.page_size,
        ..PartyQuery::default()
    };
    query.run(ctx).await?.try_map(|person| view(&person))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SearchInput {
    /// Words to find in name and e-mail. Give this or email.
    #[schemars(length(max = 1024))]
    q: Option<String>,
    /// Exactly this main e-mail.
    #[serde(alias = "extracted_email")]
    email: Option<String>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 unless given.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn search(ctx: &mut Ctx, input: SearchInput) -> Result<Page<ContactView>> {
    if input.q.as_ref().is_none_or(|words| words.trim().is_empty()) && input.email.is_none() {
        return Err(Error::invalid("/q", "is required, or email; contact_list shows all contacts"));
    }
    let SearchInput { q, email, page, page_size } = input;
    list(ctx, ListInput { q, email, page, page_size, ..ListInput::default() }).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ContactInput {
    /// UUID or number of the contact.
    id: Id<Party>,
}

/// A person of the address book or of a company: anybody else is no contact.
async fn fetch(ctx: &mut Ctx, id: Id<Party>) -> Result<Record> {
    let missing = || Error::not_found("contact", id.key());
    match ctx.fetch(id).await {
        Ok(party)
            if party.text("kind") == "person" && (party.flag("is_contact") || party.id_of("company_id").is_some()) =>
        {
            Ok(party)
        }
        Ok(_) => Err(missing()),
        Err(error) if error.code() == Code::NotFound => Err(missing()),
        Err(error) => Err(error),
    }
}

async fn show(ctx: &mut Ctx, input: ContactInput) -> Result<ContactView> {
    view(&fetch(ctx, input.id).await?)
}

/// An input of a contact: its own fields and those of every contact.
macro_rules! contact_input {
    (struct $name:ident { $($(#[$meta:meta])* $own:ident: $type:ty,)* }) => {
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $($(#[$meta])* $own: $type,)*
            /// Full name; the e-mail or telephone when there is none. Or give first_name and last_name.
            #[serde(default)]
            #[schemars(length(max = 255))]
            name: Patch<String>,
            /// First name.
            #[serde(default)]
            #[schemars(length(max = 255))]
            first_name: Patch<String>,
            /// Last name.
            #[serde(default)]
            #[schemars(length(max = 255))]
            last_name: Patch<String>,
            /// Main e-mail address.
            #[serde(default)]
            email: Patch<Email>,
            /// Main telephone number.
            #[serde(default)]
            #[schemars(length(max = 50))]
            phone: Patch<String>,
            /// Mobile telephone number.
            #[serde(default)]
            #[schemars(length(max = 50))]
            mobile_phone: Patch<String>,
            /// Position.
            #[serde(default)]
            #[schemars(length(max = 255))]
            position: Patch<String>,
            /// The company; see client_list.
            #[serde(default)]
            client_id: Patch<Id<Party>>,
            /// User in charge; see user_list.
            #[serde(default)]
            responsible_id: Patch<Id<User>>,
            /// Description.
            #[serde(default, alias = "note")]
            #[schemars(length(max = 4000))]
            description: Patch<String>,
            /// Id in another system.
            #[serde(default)]
            #[schemars(length(max = 128))]
            external_id: Patch<String>,
            /// System that external_id is of.
            #[serde(default)]
            #[schemars(length(max = 64))]
            app_code: Patch<String>,
        }

        impl $name {
            async fn fill(self, ctx: &mut Ctx, form: &mut Form, before: Option<&Record>) -> Result<()> {
                let unnamed = [&self.name, &self.first_name, &self.last_name].iter().all(|name| **name == Patch::Absent);
                let whole = match (&self.name, &self.email, &self.phone) {
                    // Intum: who has no name is called by what else is known.
                    (_, Patch::Set(email), _) if unnamed && before.is_none() => Patch::Set(email.as_str().to_owned()),
                    (_, _, Patch::Set(phone)) if unnamed && before.is_none() => Patch::Set(phone.clone()),
                    _ => self.name,
                };
                let names =
                    Names { whole, first: self.first_name, middle: Patch::Absent, last: self.last_name };
                names.fill(form, before)?;
                form.put("email", "primary_email", self.email)?;
                for (name, column, given) in [
                    ("phone", "primary_phone", self.phone),
                    ("mobile_phone", "phone2", self.mobile_phone),
                    ("position", "job_title", self.position),
                    ("description", "description", self.description),
                    ("external_id", "external_id", self.external_id),
                    ("app_code", "app_code", self.app_code),
                ] {
                    form.put(name, column, given)?;
                }
                party::put_company(ctx, form, "client_id", self.client_id).await?;
                party::put_owner(ctx, form, self.responsible_id).await
            }
        }
    };
}

contact_input! {
    struct CreateInput {}
}

contact_input! {
    struct UpdateInput {
        /// UUID or number of the contact.
        id: Id<Party>,
    }
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<ContactView> {
    let mut form = Form::new(&PARTIES, Mode::Create);
    form.set("kind", "person");
    form.set("is_contact", true);
    input.fill(ctx, &mut form, None).await?;
    view(&add_party(ctx, form.finish()?).await.map_err(Error::lost_race)?)
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<ContactView> {
    let before = fetch(ctx, input.id).await?;
    let mut form = Form::new(&PARTIES, Mode::Update);
    input.fill(ctx, &mut form, Some(&before)).await?;
    view(&party::change(ctx, &before, form.finish()?).await.map_err(Error::lost_race)?)
}

async fn delete(ctx: &mut Ctx, input: ContactInput) -> Result<family::Deleted> {
    let person = fetch(ctx, input.id).await?;
    family::remove(ctx, &person).await?;
    Ok(family::Deleted::of(&person))
}
