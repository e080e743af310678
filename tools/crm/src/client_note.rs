//! Notes on clients, contacts and deals, as Intum has them.

use bureau_kit::prelude::*;

use crate::Note;
use crate::deal::DEALS;
use crate::form::{Form, Mode};
use crate::note::{self, NOTES, NoteQuery};
use crate::party::PARTIES;
use crate::subject;

const VIEW: &str = "customers.activities.view";
const MANAGE: &str = "customers.activities.manage";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("client_note_list", VIEW, list)
            .title("List client notes")
            .about(
                "List the notes and comments on clients, contacts and deals, newest first. noteable_type and noteable_id, or client_id, \
                 choose those of one.",
            )
            .synonyms("comments remarks notatki klienta lista notatek нотатки клієнта список"),
        Tool::read("client_note_show", VIEW, show)
            .title("Show a client note")
            .about("Show one note on a client, contact or deal.")
            .synonyms("comment remark notatka klienta pokaż нотатка клієнта показати"),
        Tool::create("client_note_create", MANAGE, create)
            .title("Note something about a client")
            .about("Write a note, in Markdown, on a client or contact, or on a deal (noteable_type Crm::Deal). You are its author.")
            .synonyms("comment remark write down zanotuj dodaj notatkę o kliencie додати нотатку про клієнта"),
        Tool::update("client_note_update", MANAGE, update)
            .on(&NOTES)
            .title("Change a client note")
            .about("Change the title, text or time of a note on a client, contact or deal. Its author stays.")
            .synonyms("edit comment remark zmień notatkę klienta змінити нотатку клієнта"),
        Tool::delete("client_note_delete", MANAGE, delete)
            .on(&NOTES)
            .title("Delete a client note")
            .about("Delete a note on a client, contact or deal.")
            .synonyms("remove comment remark usuń notatkę klienta видалити нотатку клієнта"),
    ]
}

#[derive(Debug, Serialize, JsonSchema)]
struct ClientNote {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// Title.
    name: Option<String>,
    /// Text, in Markdown.
    content: String,
    /// When what it tells of happened.
    note_at: Option<Instant>,
    /// What it is on: party or deal.
    noteable_type: String,
    /// UUID of what it is on.
    #[schemars(with = "String")]
    noteable_id: Uuid,
    /// UUID of the user who wrote it; null when an API key of its own did.
    #[schemars(with = "Option<String>")]
    author_id: Option<Uuid>,
    /// Organization of your own tenant; null is the whole tenant.
    #[schemars(with = "Option<String>")]
    organization_id: Option<Uuid>,
    /// Grows with every change; see expected_version.
    version: i64,
    /// When it was written.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

fn shown(note: &Record) -> Result<ClientNote> {
    Ok(ClientNote {
        id: note.id,
        num: note.num,
        name: note.get("title")?,
        content: note.get("body")?,
        note_at: note.get("note_at")?,
        noteable_type: note.get("subject_type")?,
        noteable_id: note.get("subject_id")?,
        author_id: note.id_of("author_id"),
        organization_id: note.organization_id,
        version: note.version,
        created_at: note.created_at,
        updated_at: note.updated_at,
    })
}

/// A client unless said otherwise.
fn client() -> String {
    "Crm::Client".to_owned()
}

/// The kind of record that a class name of Intum means. Contacts are clients here: one party.
fn noteable_noun(kind: &str) -> Result<&'static str> {
    match subject::noun_of(kind).as_str() {
        "client" | "contact" | "customer" | "party" | "person" | "company" => Ok(PARTIES.noun),
        "deal" => Ok(DEALS.noun),
        _ => Err(Error::invalid("/noteable_type", "expected Crm::Client, Crm::Contact or Crm::Deal")),
    }
}

/// What a note is on: a person or company, or a deal.
async fn noteable(ctx: &mut Ctx, kind: &str, key: Key) -> Result<Record> {
    let table = if noteable_noun(kind)? == PARTIES.noun { &PARTIES } else { &DEALS };
    let found = subject::find(ctx, "noteable_type", kind, key).await?;
    ctx.hold(table, found.id).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Kind of what they are on: Crm::Client, Crm::Contact or Crm::Deal; Crm::Client with noteable_id, else all, unless given.
    noteable_type: Option<String>,
    /// Only on this one.
    #[serde(alias = "client_id")]
    #[schemars(with = "Option<String>", extend("x-record" = "parties"))]
    noteable_id: Option<Key>,
    /// Words to find in the text.
    #[schemars(length(max = 1024))]
    q: Option<String>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 unless given.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<ClientNote>> {
    let subject = match input.noteable_id {
        Some(key) => {
            let kind = input.noteable_type.clone().unwrap_or_else(client);
            Some(noteable(ctx, &kind, key).await?.id)
        }
        None => None,
    };
    let subject_type = match input.noteable_type.as_deref().filter(|_| subject.is_none()) {
        Some(kind) => Some(noteable_noun(kind)?),
        None => None,
    };
    let query = NoteQuery {
        subject_type,
        subject,
        words: input.q,
        page: input.page,
        page_size: input.page_size,
        ..NoteQuery::default()
    };
    query.run(ctx).await?.try_map(|note| shown(&note))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoteInput {
    /// The note.
    id: Id<Note>,
}

async fn show(ctx: &mut Ctx, input: NoteInput) -> Result<ClientNote> {
    shown(&note::of_customer(ctx, input.id, "client_note").await?)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// Kind of what it is on: Crm::Client (unless given), Crm::Contact or Crm::Deal.
    #[serde(default = "client")]
    noteable_type: String,
    /// What it is on.
    #[serde(alias = "client_id")]
    #[schemars(with = "String", extend("x-record" = "parties"))]
    noteable_id: Key,
    /// Text, in Markdown.
    #[schemars(length(max = 65535))]
    content: String,
    /// Title.
    #[serde(default, alias = "title")]
    name: Patch<String>,
    /// When what it tells of happened.
    #[serde(default)]
    note_at: Patch<Instant>,
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<ClientNote> {
    let subject = noteable(ctx, &input.noteable_type, input.noteable_id).await?;
    let mut values = values(Mode::Create, Patch::Set(input.content), input.name, input.note_at)?;
    values
        .set("subject_type", subject.table.noun)
        .set("subject_id", subject.id)
        .set("kind", "note")
        .set("author_id", ctx.principal().user_id)
        // Seen by whoever sees what it is on.
        .set("organization_id", subject.organization_id);
    shown(&family::save_new(ctx, &NOTES, values).await?)
}

fn values(mode: Mode, content: Patch<String>, name: Patch<String>, note_at: Patch<Instant>) -> Result<Values> {
    let mut form = Form::new(&NOTES, mode);
    form.put("content", "body", content)?;
    form.put("name", "title", name)?;
    form.put("note_at", "note_at", note_at)?;
    form.finish()
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// Note to change.
    id: Id<Note>,
    /// Text, in Markdown.
    #[serde(default)]
    #[schemars(length(max = 65535))]
    content: Patch<String>,
    /// Title.
    #[serde(default, alias = "title")]
    name: Patch<String>,
    /// When what it tells of happened.
    #[serde(default)]
    note_at: Patch<Instant>,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<ClientNote> {
    let note = note::of_customer(ctx, input.id, "client_note").await?;
    let values = values(Mode::Update, input.content, input.name, input.note_at)?;
    shown(&family::save(ctx, &note, values).await?)
}

async fn delete(ctx: &mut Ctx, input: NoteInput) -> Result<family::Deleted> {
    let note = note::of_customer(ctx, input.id, "client_note").await?;
    family::remove(ctx, &note).await?;
    Ok(family::Deleted::of(&note))
}
