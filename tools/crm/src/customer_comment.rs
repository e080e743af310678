//! Comments on people and companies, as Open Mercato has them.

use bureau_kit::prelude::*;

use crate::form::{Form, Mode};
use crate::note::{self, NOTES, NoteQuery};
use crate::party::PARTIES;
use crate::{Deal, Note, Party};

const VIEW: &str = "customers.activities.view";
const MANAGE: &str = "customers.activities.manage";

/// Longest comment, as documented; notes of other systems may be longer.
const LONGEST: usize = 8000;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("customer_comment_list", VIEW, list)
            .title("List customer comments")
            .about(
                "List comments and notes on a person or company (entity_id) or a deal (deal_id), newest first; without either on all \
                 that you see.",
            )
            .synonyms("notes remarks komentarze do klienta uwagi notatki lista коментарі до клієнта нотатки список"),
        Tool::create("customer_comment_create", MANAGE, create)
            .title("Comment on a customer")
            .about("Write a comment on a person or company, if you like about one of its deals. You are its author.")
            .synonyms("note remark write dodaj komentarz do klienta uwaga додати коментар до клієнта"),
        Tool::update("customer_comment_update", MANAGE, update)
            .on(&NOTES)
            .title("Change a customer comment")
            .about("Change the text, icon, colour or deal of a comment on a customer. Its author stays.")
            .synonyms("edit note remark zmień komentarz do klienta змінити коментар до клієнта"),
        Tool::delete("customer_comment_delete", MANAGE, delete)
            .on(&NOTES)
            .title("Delete a customer comment")
            .about("Delete a comment or note on a person, company or deal.")
            .synonyms("remove note remark usuń komentarz do klienta видалити коментар до клієнта"),
    ]
}

#[derive(Debug, Serialize, JsonSchema)]
struct Comment {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// UUID of the person or company; null for a note on a deal alone.
    #[schemars(with = "Option<String>")]
    entity_id: Option<Uuid>,
    /// UUID of the deal it is about.
    #[schemars(with = "Option<String>")]
    deal_id: Option<Uuid>,
    /// Text.
    body: String,
    /// UUID of the user who wrote it; null when an API key of its own did.
    #[schemars(with = "Option<String>")]
    author_id: Option<Uuid>,
    /// Icon.
    icon: Option<String>,
    /// Colour.
    color: Option<String>,
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

fn shown(note: &Record) -> Result<Comment> {
    let subject = note.id_of("subject_id");
    let on_party = note.text("subject_type") == PARTIES.noun;
    Ok(Comment {
        id: note.id,
        num: note.num,
        entity_id: subject.filter(|_| on_party),
        deal_id: note.id_of("deal_id").or(subject.filter(|_| !on_party)),
        body: note.get("body")?,
        author_id: note.id_of("author_id"),
        icon: note.get("icon")?,
        color: note.get("color")?,
        organization_id: note.organization_id,
        version: note.version,
        created_at: note.created_at,
        updated_at: note.updated_at,
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Only on this person or company.
    #[serde(alias = "entityId")]
    entity_id: Option<Id<Party>>,
    /// Only about this deal.
    #[serde(alias = "dealId")]
    deal_id: Option<Id<Deal>>,
    /// Words to find in the text.
    #[serde(alias = "search")]
    #[schemars(length(max = 1024))]
    q: Option<String>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 unless given.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<Comment>> {
    let subject = match input.entity_id {
        Some(id) => Some(ctx.fetch(id).await?.id),
        None => None,
    };
    let deal = match input.deal_id {
        Some(id) => Some(ctx.fetch(id).await?.id),
        None => None,
    };
    let query = NoteQuery {
        subject,
        deal,
        words: input.q,
        page: input.page,
        page_size: input.page_size,
        ..NoteQuery::default()
    };
    query.run(ctx).await?.try_map(|note| shown(&note))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// Person or company to comment on.
    #[serde(alias = "entityId")]
    entity_id: Id<Party>,
    /// Text.
    #[schemars(length(max = 8000))]
    body: String,
    /// Deal it is about as well.
    #[serde(default, alias = "dealId")]
    deal_id: Patch<Id<Deal>>,
    /// Icon shown beside it.
    #[serde(default, alias = "appearanceIcon")]
    icon: Patch<String>,
    /// Colour shown beside it, as #rrggbb.
    #[serde(default, alias = "appearanceColor")]
    color: Patch<String>,
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Comment> {
    let party = ctx.fetch(input.entity_id).await?;
    let given = Given { body: Patch::Set(input.body), deal_id: input.deal_id, icon: input.icon, color: input.color };
    let mut values = given.values(ctx, Mode::Create).await?;
    values
        .set("subject_type", PARTIES.noun)
        .set("subject_id", party.id)
        .set("kind", "comment")
        .set("author_id", ctx.principal().user_id)
        // Seen by whoever sees the customer.
        .set("organization_id", party.organization_id);
    shown(&family::save_new(ctx, &NOTES, values).await?)
}

/// What a comment can be given.
struct Given {
    body: Patch<String>,
    deal_id: Patch<Id<Deal>>,
    icon: Patch<String>,
    color: Patch<String>,
}

impl Given {
    async fn values(self, ctx: &mut Ctx, mode: Mode) -> Result<Values> {
        let mut form = Form::new(&NOTES, mode);
        match &self.body {
            Patch::Set(body) if body.chars().count() > LONGEST => {
                form.refuse("body", format!("is longer than {LONGEST} characters"));
            }
            _ => form.put("body", "body", self.body)?,
        }
        form.put("icon", "icon", self.icon)?;
        form.put("color", "color", self.color)?;
        match self.deal_id {
            Patch::Absent => {}
            Patch::Clear => form.set("deal_id", Val::Null),
            Patch::Set(deal) => {
                let found = ctx.resolve(Deal::TABLE, deal.key()).await?;
                form.refer("deal_id", "deal_id", found.ok_or_else(|| Deal::TABLE.missing(deal.key())));
            }
        }
        form.finish()
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// Comment to change.
    id: Id<Note>,
    /// Text.
    #[serde(default)]
    #[schemars(length(max = 8000))]
    body: Patch<String>,
    /// Deal it is about as well; null for none.
    #[serde(default, alias = "dealId")]
    deal_id: Patch<Id<Deal>>,
    /// Icon shown beside it.
    #[serde(default, alias = "appearanceIcon")]
    icon: Patch<String>,
    /// Colour shown beside it, as #rrggbb.
    #[serde(default, alias = "appearanceColor")]
    color: Patch<String>,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<Comment> {
    let note = note::of_customer(ctx, input.id, "customer_comment").await?;
    let given = Given { body: input.body, deal_id: input.deal_id, icon: input.icon, color: input.color };
    let values = given.values(ctx, Mode::Update).await?;
    shown(&family::save(ctx, &note, values).await?)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteInput {
    /// Comment to delete.
    id: Id<Note>,
}

async fn delete(ctx: &mut Ctx, input: DeleteInput) -> Result<family::Deleted> {
    let note = note::of_customer(ctx, input.id, "customer_comment").await?;
    family::remove(ctx, &note).await?;
    Ok(family::Deleted::of(&note))
}
