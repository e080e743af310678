//! Messages between users: the sender is always the caller, and nobody but the two ever sees one.
//!
//! Subject and text are hidden columns: the journal keeps them for undo, and shows them nowhere. There is no
//! `message_show`, so that a message is no resource either: `message_read` is the one way to its text.

use bureau_identity::User;
use bureau_kit::page::Wanted;
use bureau_kit::prelude::*;
use bureau_kit::text::contains_pattern;

use crate::given;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("message_list", "messaging.view", list)
            .on(&MESSAGES)
            .title("List messages")
            .about(
                "List messages from and to you, newest first, without their text; nobody sees those of others. box: inbox or \
                 sent; przeczytana: false shows the unread ones; q searches subject and text. message_read shows the text.",
            )
            .synonyms("inbox mail unread sent wiadomości skrzynka odebrane nieprzeczytane wysłane повідомлення вхідні непрочитані"),
        Tool::action("message_read", "messaging.view", read)
            .on(&MESSAGES)
            .idempotent()
            .title("Read a message")
            .about("Read one message from or to you, with its text. One that was sent to you is marked as read.")
            .synonyms("open message przeczytaj wiadomość otwórz pokaż treść прочитати повідомлення відкрити"),
        Tool::create("message_create", "messaging.create", create)
            .on(&MESSAGES)
            .title("Send a message to a user")
            .about(
                "Send a message to another user of the company, from you: recipient_id, temat (subject) and tresc (text). \
                 It stays inside Bureau; it is no e-mail.",
            )
            .synonyms("write notify colleague wyślij wiadomość napisz do pracownika надіслати повідомлення колезі написати"),
        Tool::delete("message_delete", "messaging.delete", delete)
            .on(&MESSAGES)
            .title("Delete a message")
            .about("Delete a message from your own box. The other of the two keeps it.")
            .synonyms("remove trash usuń wiadomość skasuj видалити повідомлення"),
    ]
}

/// Names the table of messages to ids.
#[derive(Debug)]
pub(crate) struct Message;

impl Kind for Message {
    const TABLE: &'static Table = &MESSAGES;
}

pub(crate) static MESSAGES: Table = Table::new(
    "messages",
    "message",
    "A message from one user to another.",
    &[
        Column::reference("sender_id", "users", OnDelete::Cascade, "Who sent it.").required(),
        Column::reference("recipient_id", "users", OnDelete::Cascade, "Whom it was sent to.").required(),
        Column::text("temat", "Subject.").required().hidden(),
        Column::text("tresc", "Text.").max(65_535).required().hidden(),
        // Folded here rather than by the kit: no search over all records may find a message.
        Column::text("words", "Subject and text as they are searched.").max(70_000).hidden(),
        Column::flag("przeczytana", "Whether the recipient has read it."),
        Column::instant("przeczytana_at", "When the recipient read it first."),
        Column::flag("sender_deleted", "Whether the sender has deleted it.").hidden(),
        Column::flag("recipient_deleted", "Whether the recipient has deleted it.").hidden(),
    ],
)
.tenant_wide();

/// Which of one's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Folder {
    /// Sent to you.
    Inbox,
    /// Sent by you.
    Sent,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Words to find anywhere in subject and text, whatever the case and diacritics.
    #[serde(alias = "search")]
    #[schemars(length(max = 1024))]
    q: Option<String>,
    /// Only what was sent to you (inbox), or by you (sent).
    r#box: Option<Folder>,
    /// Only from this user.
    #[serde(alias = "senderId")]
    sender_id: Option<Id<User>>,
    /// Only to this user.
    #[serde(alias = "recipientId")]
    recipient_id: Option<Id<User>>,
    /// Only those the recipient has read, or has not.
    przeczytana: Option<bool>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 unless given.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

/// A message as lists show it.
#[derive(Debug, Serialize, JsonSchema)]
struct Listed {
    /// UUID.
    id: String,
    /// Number in the tenant.
    num: i64,
    /// UUID of the user who sent it.
    sender_id: String,
    /// UUID of the user it was sent to.
    recipient_id: String,
    /// Subject.
    temat: String,
    /// Whether the recipient has read it.
    przeczytana: bool,
    /// When the recipient read it first.
    przeczytana_at: Option<Instant>,
    /// When it was sent.
    created_at: Instant,
}

impl Listed {
    fn of(message: &Record) -> Result<Self> {
        Ok(Self {
            id: message.id.to_string(),
            num: message.num.unwrap_or_default(),
            sender_id: message.get::<Uuid>("sender_id")?.to_string(),
            recipient_id: message.get::<Uuid>("recipient_id")?.to_string(),
            temat: message.get("temat")?,
            przeczytana: message.flag("przeczytana"),
            przeczytana_at: message.get("przeczytana_at")?,
            created_at: message.created_at,
        })
    }
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<Listed>> {
    let user = ctx.user_id()?;
    let (page, page_size) = Wanted { page: input.page, page_size: input.page_size }.checked()?;
    if input.q.as_deref().is_some_and(|words| words.chars().count() > 1024) {
        return Err(Error::invalid("/q", "expected text of at most 1024 characters"));
    }
    // A number nobody has finds nothing, like a UUID nobody has.
    let mut people = Vec::new();
    for (column, wanted) in [("sender_id", input.sender_id), ("recipient_id", input.recipient_id)] {
        if let Some(wanted) = wanted {
            people.push((column, ctx.resolve(User::TABLE, wanted.key()).await?.unwrap_or(Uuid::nil())));
        }
    }
    let filter = |sql: &mut Sql| {
        match input.r#box {
            Some(Folder::Inbox) => {
                sql.and_eq("recipient_id", user).push(" AND NOT recipient_deleted");
            }
            Some(Folder::Sent) => {
                sql.and_eq("sender_id", user).push(" AND NOT sender_deleted");
            }
            None => {
                sql.push(" AND ((recipient_id = ").bind(user).push(" AND NOT recipient_deleted) OR (sender_id = ");
                sql.bind(user).push(" AND NOT sender_deleted))");
            }
        }
        for (column, user) in &people {
            sql.and_eq(column, *user);
        }
        if let Some(read) = input.przeczytana {
            sql.and_eq("przeczytana", read);
        }
        if let Some(words) = &input.q {
            sql.push(" AND words LIKE ").bind(contains_pattern(words)).push(" ESCAPE '\\'");
        }
    };
    let mut counted = ctx.select("1", &MESSAGES);
    filter(&mut counted);
    let mut rows = ctx.from(&MESSAGES);
    filter(&mut rows);
    page::order(&mut rows, "num", false, true);
    let found = page::fetch(ctx, &MESSAGES, page::Query { rows, counted, page, page_size }).await?;
    let mut items = Vec::with_capacity(found.items.len());
    for message in &found.items {
        items.push(Listed::of(message)?);
    }
    let Page { total, total_is_exact, page, page_size, total_pages, .. } = found;
    Ok(Page { items, total, total_is_exact, page, page_size, total_pages })
}

/// A message with its text.
#[derive(Debug, Serialize, JsonSchema)]
struct Opened {
    /// UUID.
    id: String,
    /// Number in the tenant.
    num: i64,
    /// UUID of the user who sent it.
    sender_id: String,
    /// UUID of the user it was sent to.
    recipient_id: String,
    /// Subject.
    temat: String,
    /// Text.
    tresc: String,
    /// Whether the recipient has read it.
    przeczytana: bool,
    /// When the recipient read it first.
    przeczytana_at: Option<Instant>,
    /// When it was sent.
    created_at: Instant,
}

impl Opened {
    fn of(message: &Record) -> Result<Self> {
        let Listed { id, num, sender_id, recipient_id, temat, przeczytana, przeczytana_at, created_at } =
            Listed::of(message)?;
        let tresc = message.get("tresc")?;
        Ok(Self { id, num, sender_id, recipient_id, temat, tresc, przeczytana, przeczytana_at, created_at })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MessageInput {
    /// Message.
    id: Id<Message>,
}

/// A message as its sender or its recipient has it. To everybody else there is none, to the byte.
async fn own(ctx: &mut Ctx, id: Id<Message>, user: Uuid) -> Result<Record> {
    let key = id.key();
    let mut sql = ctx.select("1", &MESSAGES);
    match key {
        Key::Uuid(id) => sql.and_eq("id", id),
        Key::Num(num) => sql.and_eq("num", num),
    };
    sql.push(" AND ((recipient_id = ").bind(user).push(" AND NOT recipient_deleted) OR (sender_id = ");
    sql.bind(user).push(" AND NOT sender_deleted))");
    // Asked before the version is compared, which would tell that there is one.
    if !ctx.exists(sql).await? {
        return Err(Error::not_found(MESSAGES.noun, key));
    }
    ctx.fetch(id).await
}

async fn read(ctx: &mut Ctx, input: MessageInput) -> Result<Opened> {
    let user = ctx.user_id()?;
    let message = own(ctx, input.id, user).await?;
    if message.id_of("recipient_id") != Some(user) || message.flag("przeczytana") {
        return Opened::of(&message);
    }
    let now = ctx.now();
    let read = ctx.update(&message, Values::new().with("przeczytana", true).with("przeczytana_at", now)).await?;
    Opened::of(&read)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// Sender: you, whether it is given or not. Another user is refused.
    #[serde(alias = "senderId")]
    sender_id: Option<Id<User>>,
    /// User to send it to.
    #[serde(alias = "recipientId")]
    recipient_id: Id<User>,
    /// Subject.
    #[schemars(length(max = 255))]
    temat: String,
    /// Text.
    #[schemars(length(max = 65_535))]
    tresc: String,
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Opened> {
    let sender = ctx.user_id()?;
    if let Some(given) = input.sender_id
        && ctx.reference("sender_id", given).await? != sender
    {
        return Err(Error::forbidden(
            "A message is sent by the user who calls. Leave sender_id out; nobody writes in the name of somebody else.",
        ));
    }
    let mut values =
        given::cells(&MESSAGES, [("temat", Some(json!(input.temat))), ("tresc", Some(json!(input.tresc)))])?;
    let recipient = ctx.reference("recipient_id", input.recipient_id).await?;
    if !ctx.hold(User::TABLE, recipient).await?.flag("active") {
        return Err(Error::invalid("/recipient_id", "is a blocked user, who could not read it"));
    }
    let words =
        fold(&format!("{} {}", values.text("temat").unwrap_or_default(), values.text("tresc").unwrap_or_default()));
    values.set("sender_id", sender).set("recipient_id", recipient).set("words", words);
    let message = ctx.insert(&MESSAGES, values).await?;
    Opened::of(&message)
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    /// Always true.
    ok: bool,
    /// UUID of the message.
    id: String,
}

/// Each of the two has a box of their own; what both have deleted is gone.
async fn delete(ctx: &mut Ctx, input: MessageInput) -> Result<Deleted> {
    let user = ctx.user_id()?;
    let message = own(ctx, input.id, user).await?;
    let side = |person: &str, deleted: &'static str| (message.id_of(person) == Some(user), deleted);
    let sides = [side("sender_id", "sender_deleted"), side("recipient_id", "recipient_deleted")];
    let gone = sides.iter().all(|(own, deleted)| *own || message.flag(deleted));
    if gone {
        ctx.delete(&message).await?;
    } else {
        let mut values = Values::new();
        for (_, deleted) in sides.iter().filter(|(own, _)| *own) {
            values.set(deleted, true);
        }
        ctx.update(&message, values).await?;
    }
    Ok(Deleted { ok: true, id: message.id.to_string() })
}
