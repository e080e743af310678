//! The address book in Worksection's words. Contacts are people of Bureau; a folder is where they are kept.
//!
//! Four folders are preset. They are shown always and stored once a folder is needed, since a tenant begins without one:
//! the group of crates that founds it does not know this table.

use bureau_identity::worksection_error;
use bureau_kit::prelude::*;

use crate::party::add_party;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("get_contacts", "customers.contacts.view", get_contacts)
            .title("List contacts (Worksection)")
            .about("List the contacts of the address book, in Worksection's form. Contacts cannot log in. For all people use person_list.")
            .synonyms("address book worksection people książka adresowa kontakty lista контакти адресна книга список")
            .error_shape(worksection_error),
        Tool::create("add_contact", "customers.contacts.manage", add_contact)
            .title("Add a contact (Worksection)")
            .about(
                "Add a contact to the address book, in Worksection's form. It gets no account and no invitation. A group that does \
                 not exist is created as a folder; without one it goes to DEFAULT.",
            )
            .synonyms("address book worksection person dodaj kontakt książka adresowa додати контакт адресна книга")
            .error_shape(worksection_error),
        Tool::read("get_contact_groups", "customers.contacts.view", get_contact_groups)
            .title("List contact folders (Worksection)")
            .about("List the folders of the address book, in Worksection's form: four presets and your own.")
            .synonyms("address book groups worksection grupy foldery kontaktów групи папки контактів")
            .error_shape(worksection_error),
        Tool::create("add_contact_group", "customers.contacts.manage", add_contact_group)
            .idempotent()
            .title("Add a contact folder (Worksection)")
            .about("Add a folder to the address book, in Worksection's form. A title that exists already answers the existing folder.")
            .synonyms("address book group worksection dodaj grupę folder kontaktów додати групу папку контактів")
            .error_shape(worksection_error),
    ]
}

pub(crate) static CONTACT_FOLDERS: Table = Table::new(
    "contact_folders",
    "contact_folder",
    "A folder of the address book.",
    &[
        Column::text("name", "Title.").required(),
        Column::text("name_folded", "The title in lower case: titles are compared so.").required().hidden(),
        Column::choice("kind", &["preset", "folder"], "Whether it is one of the four presets.").required().computed(),
    ],
)
.tenant_wide();

/// The presets; their place is their id in Worksection.
const PRESETS: [&str; 4] = ["USERS", "DEFAULT", "TEAM_ONLY", "HIDDEN"];
/// Where contacts without a folder are.
const DEFAULT: &str = "DEFAULT";
/// Worksection cuts its lists at about this many rows.
const LIMIT: i64 = 10_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Worksection's status of an answer.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
}

// --- contacts

#[derive(Debug, Serialize, JsonSchema)]
struct Contact {
    /// Number of the contact, as text; person_show takes it too.
    id: String,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
    /// Full name.
    name: String,
    /// Position.
    title: String,
    /// Title of the folder.
    group: String,
    /// E-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// Telephone number.
    phone: String,
    /// Second telephone number.
    phone2: String,
    /// Third telephone number.
    phone3: String,
    /// Fourth telephone number.
    phone4: String,
    /// Address.
    address: String,
    /// Second address.
    address2: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Contacts {
    /// Always ok.
    status: Status,
    /// The contacts, oldest first.
    data: Vec<Contact>,
}

async fn get_contacts(ctx: &mut Ctx, _: Nothing) -> Result<Contacts> {
    let folders = folders(ctx).await?;
    let mut sql = ctx.from(&crate::party::PARTIES);
    sql.and_eq("kind", "person").push(" AND is_contact AND active ORDER BY num LIMIT ").bind(LIMIT);
    let contacts = ctx.records(&crate::party::PARTIES, &sql).await?;
    Ok(Contacts { status: Status::Ok, data: contacts.iter().map(|contact| shown(contact, &folders)).collect() })
}

fn shown(contact: &Record, folders: &[Record]) -> Contact {
    let folder = contact.id_of("folder_id").and_then(|id| folders.iter().find(|folder| folder.id == id));
    let text = |column| contact.text(column).to_owned();
    Contact {
        id: number(contact),
        first_name: text("first_name"),
        last_name: text("last_name"),
        name: text("display_name"),
        title: text("job_title"),
        group: folder.map_or(DEFAULT, |folder| folder.text("name")).to_owned(),
        email: Some(text("primary_email")).filter(|email| !email.is_empty()),
        phone: text("primary_phone"),
        phone2: text("phone2"),
        phone3: text("phone3"),
        phone4: text("phone4"),
        address: text("address_text"),
        address2: text("address2"),
    }
}

fn number(record: &Record) -> String {
    record.num.unwrap_or_default().to_string()
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AddContact {
    /// E-mail address.
    email: Email,
    /// First and last name, parted at the first space.
    #[schemars(length(max = 255))]
    name: String,
    /// Position.
    #[schemars(length(max = 255))]
    title: Option<String>,
    /// Title of the folder; created when there is none. DEFAULT unless given.
    #[schemars(length(max = 255))]
    group: Option<String>,
    /// Telephone number.
    #[schemars(length(max = 50))]
    phone: Option<String>,
    /// Second telephone number.
    #[schemars(length(max = 50))]
    phone2: Option<String>,
    /// Third telephone number.
    #[schemars(length(max = 50))]
    phone3: Option<String>,
    /// Fourth telephone number.
    #[schemars(length(max = 50))]
    phone4: Option<String>,
    /// Address.
    #[schemars(length(max = 500))]
    address: Option<String>,
    /// Second address.
    #[schemars(length(max = 500))]
    address2: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Added {
    /// Always ok.
    status: Status,
    /// The new contact.
    data: Contact,
}

async fn add_contact(ctx: &mut Ctx, input: AddContact) -> Result<Added> {
    use crate::form::{Form, Mode};
    let mut form = Form::new(&crate::party::PARTIES, Mode::Create);
    let given = |text: Option<String>| text.map_or(Patch::Absent, Patch::Set);
    let name = input.name.trim();
    // Worksection parts at the first space, unlike person_create.
    let (first, last) = name.split_once(char::is_whitespace).unwrap_or((name, ""));
    form.set("kind", "person");
    form.set("is_contact", true);
    form.put("first_name", "first_name", Patch::Set(first))?;
    form.put("last_name", "last_name", Patch::Set(last.trim_start()))?;
    form.put("name", "display_name", Patch::Set(name))?;
    form.put("email", "primary_email", Patch::Set(&input.email))?;
    form.put("title", "job_title", given(input.title))?;
    form.put("phone", "primary_phone", given(input.phone))?;
    form.put("phone2", "phone2", given(input.phone2))?;
    form.put("phone3", "phone3", given(input.phone3))?;
    form.put("phone4", "phone4", given(input.phone4))?;
    form.put("address", "address_text", given(input.address))?;
    form.put("address2", "address2", given(input.address2))?;
    let mut values = form.finish()?;
    // DEFAULT is where contacts without a folder are: nothing to store for it.
    if let Some(title) = input.group.as_deref().map(str::trim).filter(|title| !title.is_empty())
        && title.to_lowercase() != DEFAULT.to_lowercase()
    {
        values.set("folder_id", folder_called(ctx, "group", title).await?.id);
    }
    let contact = add_party(ctx, values).await?;
    let folders = folders(ctx).await?;
    Ok(Added { status: Status::Ok, data: shown(&contact, &folders) })
}

// --- folders

#[derive(Debug, Serialize, JsonSchema)]
struct Folder {
    /// Number of the folder, as text; 1 to 4 are the presets.
    id: String,
    /// Title.
    title: String,
    /// preset or folder.
    r#type: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Folders {
    /// Always ok.
    status: Status,
    /// The presets, then the folders.
    data: Vec<Folder>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct AddedFolder {
    /// Always ok.
    status: Status,
    /// The folder.
    data: Folder,
}

async fn get_contact_groups(ctx: &mut Ctx, _: Nothing) -> Result<Folders> {
    let presets = (1..).zip(PRESETS).map(|(id, title): (i64, _)| Folder {
        id: id.to_string(),
        title: title.to_owned(),
        r#type: "preset".to_owned(),
    });
    let stored = folders(ctx).await?;
    let own = stored.iter().filter(|folder| folder.text("kind") == "folder").map(folder_shown);
    Ok(Folders { status: Status::Ok, data: presets.chain(own).collect() })
}

/// A preset has Worksection's id, whatever its number here.
fn folder_shown(folder: &Record) -> Folder {
    let preset = (1..).zip(PRESETS).find(|(_, title): &(i64, _)| *title == folder.text("name"));
    Folder {
        id: preset.filter(|_| folder.text("kind") == "preset").map_or_else(|| number(folder), |(id, _)| id.to_string()),
        title: folder.text("name").to_owned(),
        r#type: folder.text("kind").to_owned(),
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AddFolder {
    /// Title of the folder.
    #[schemars(length(max = 255))]
    title: String,
}

async fn add_contact_group(ctx: &mut Ctx, input: AddFolder) -> Result<AddedFolder> {
    let title = input.title.trim();
    let preset = (1..).zip(PRESETS).find(|(_, preset): &(i64, _)| preset.to_lowercase() == title.to_lowercase());
    let data = match preset {
        // The existing one, without storing anything.
        Some((id, title)) => Folder { id: id.to_string(), title: title.to_owned(), r#type: "preset".to_owned() },
        None => folder_shown(&folder_called(ctx, "title", title).await?),
    };
    Ok(AddedFolder { status: Status::Ok, data })
}

async fn folders(ctx: &mut Ctx) -> Result<Vec<Record>> {
    let mut sql = ctx.from(&CONTACT_FOLDERS);
    sql.push(" ORDER BY num LIMIT ").bind(LIMIT);
    ctx.records(&CONTACT_FOLDERS, &sql).await
}

/// The folder with a title, compared without regard to case; made when there is none.
async fn folder_called(ctx: &mut Ctx, argument: &str, title: &str) -> Result<Record> {
    if title.is_empty() {
        return Err(Error::invalid(format!("/{argument}"), "is required"));
    }
    if title.chars().count() > 255 {
        return Err(Error::invalid(format!("/{argument}"), "is longer than 255 characters"));
    }
    if let Some(folder) = stored(ctx, title).await? {
        return Ok(folder);
    }
    // The presets come first, so that numbers 1 to 4 never belong to a folder.
    for preset in PRESETS {
        if stored(ctx, preset).await?.is_none() {
            store(ctx, preset, "preset").await?;
        }
    }
    match stored(ctx, title).await? {
        Some(preset) => Ok(preset),
        None => store(ctx, title, "folder").await,
    }
}

async fn stored(ctx: &mut Ctx, title: &str) -> Result<Option<Record>> {
    let mut sql = ctx.from(&CONTACT_FOLDERS);
    sql.and_eq("name_folded", title.to_lowercase());
    ctx.first(&CONTACT_FOLDERS, sql).await
}

async fn store(ctx: &mut Ctx, title: &str, kind: &'static str) -> Result<Record> {
    let values = Values::new().with("name", title).with("name_folded", title.to_lowercase()).with("kind", kind);
    // Another call stored it in between: the next attempt finds it.
    ctx.insert(&CONTACT_FOLDERS, values).await.map_err(Error::lost_race)
}
