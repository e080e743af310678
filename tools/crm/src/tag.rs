//! Tags: one list for the tenant, attached to records of any kind.

use bureau_kit::prelude::*;

use crate::Tag;
use crate::form::{Form, Mode, slug_of};
use crate::reparent::{Counts, move_references};
use crate::subject::{self, Subject};
use crate::tag_link::{find as find_link, link};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("tag_list", "organize.tags.view", &TAGS)
            .or_right("customers.activities.view")
            .title("List tags")
            .about("List the tenant's tags, by name or slug. Use their ids with tag_assign, person_list or task_list.")
            .synonyms("labels tagi etykiety lista znaczników теги мітки список"),
        family::show("tag_show", "organize.tags.view", &TAGS)
            .or_right("customers.activities.view")
            .title("Show a tag")
            .about("Show one tag by its id or number.")
            .synonyms("label tag etykieta znacznik тег мітка"),
        Tool::create("tag_create", "organize.tags.manage", create)
            .or_right("customers.activities.manage")
            .title("Create a tag")
            .about(
                "Create a tag. Its name and slug must be new: tag_find_or_create takes an existing one instead. With \
                 taggable_type and taggable_id it is attached to that record at once.",
            )
            .synonyms("label add new dodaj tag nowy etykieta створити тег мітка"),
        family::update("tag_update", "organize.tags.manage", &TAGS)
            .or_right("customers.activities.manage")
            .title("Change a tag")
            .about("Rename a tag, or change its slug, colour or description. It stays on every record that has it.")
            .synonyms("label rename edit colour zmień nazwę tag etykieta змінити перейменувати тег"),
        Tool::update("tag_replace", "organize.tags.manage", replace)
            .or_right("customers.activities.manage")
            .on(&TAGS)
            .destructive()
            .title("Replace a tag's data")
            .about("Replace the data of a tag as a whole: colour and description go back to their defaults when left out. The slug stays unless given.")
            .synonyms("label overwrite put zastąp tag etykieta замінити тег"),
        family::delete("tag_delete", "organize.tags.manage", &TAGS)
            .or_right("customers.activities.manage")
            .title("Delete a tag")
            .about("Delete a tag and take it off every record. To keep its records tagged, use tag_merge instead.")
            .synonyms("label remove usuń tag etykieta видалити тег мітку"),
        Tool::action("tag_find_or_create", "organize.tags.manage", find_or_create)
            .or_right("customers.activities.manage")
            .title("Find or create a tag")
            .about(
                "Find a tag by its exact name, or create it when there is none. With taggable_type and taggable_id it is \
                 attached to that record too, unless it already is.",
            )
            .idempotent()
            .synonyms("label ensure upsert znajdź lub utwórz tag знайти або створити тег"),
        Tool::action("tag_merge", "organize.tags.manage", merge)
            .or_right("customers.activities.manage")
            .title("Merge tags")
            .about(
                "Merge tags into one: what they are on gets the target tag, a record that has both keeps one, and the merged \
                 tags are deleted. Only undo brings them back.",
            )
            .on(&TAGS)
            .destructive()
            .synonyms("join combine duplicates połącz scal tagi etykiety об'єднати теги"),
        Tool::action("tag_assign", "organize.tags.manage", assign)
            .or_right("customers.activities.manage")
            .title("Attach a tag to a record")
            .about(
                "Attach a tag to a person, company, deal, task or other record. Refused with the assignment_id when it is \
                 attached already. Find the tag with tag_list.",
            )
            .synonyms("label mark oznacz przypisz tag etykieta позначити додати тег"),
        Tool::action("tag_unassign", "organize.tags.manage", unassign)
            .or_right("customers.activities.manage")
            .title("Take a tag off a record")
            .about("Take a tag off a person, company, deal, task or other record. The tag itself stays.")
            .synonyms("label untag detach odznacz zdejmij usuń tag зняти прибрати тег"),
    ]
}

pub(crate) static TAGS: Table = Table::new(
    "tags",
    "tag",
    "A label for records of any kind.",
    &[
        Column::text("name", "Name, unique in the tenant; upper and lower case differ.")
            .max(120)
            .required()
            .search()
            .filter()
            .sort(),
        Column::text("slug", "Short name of a-z, 0-9, hyphen and underscore; made from the name unless given.")
            .max(80)
            .required()
            .search()
            .filter(),
        Column::color("color", "Colour as #rrggbb.").default("\"#888888\""),
        Column::text("description", "What it means.").max(4000),
    ],
)
.tenant_wide()
.rule(rule);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let before = draft.before;
        if let Some(name) = draft.values.text("name").map(str::to_owned) {
            refuse_taken(ctx, "name", &name, before).await?;
            if draft.event == Event::Create && !draft.values.has("slug") {
                let slug = free_slug(ctx, &slug_of(&name, "tag")).await?;
                draft.values.set("slug", slug);
                return Ok(());
            }
        }
        if let Some(slug) = draft.values.text("slug").map(str::to_owned) {
            let fits = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"-_".contains(&letter);
            if slug.is_empty() || !slug.bytes().all(fits) {
                return Err(Error::invalid("/slug", "may hold only a-z, 0-9, hyphen and underscore, and at least one"));
            }
            refuse_taken(ctx, "slug", &slug, before).await?;
        }
        Ok(())
    })
}

async fn refuse_taken(ctx: &mut Ctx, column: &'static str, value: &str, before: Option<&Record>) -> Result<()> {
    match by(ctx, column, value).await? {
        Some(other) if before.is_none_or(|before| before.id != other.id) => Err(Error::conflict(format!(
            "There is already a tag with the {column} {value}. Use it, or choose another {column}."
        ))
        .with("tag_id", other.id.to_string())),
        _ => Ok(()),
    }
}

async fn by(ctx: &mut Ctx, column: &'static str, value: &str) -> Result<Option<Record>> {
    let mut sql = ctx.from(&TAGS);
    sql.and_eq(column, value);
    ctx.first(&TAGS, sql).await
}

/// `slug`, or `slug-2`, `slug-3`, … when it is taken.
async fn free_slug(ctx: &mut Ctx, slug: &str) -> Result<String> {
    let mut sql = ctx.select("slug", &TAGS);
    sql.push(" AND slug LIKE ").bind(format!("{slug}%"));
    let rows = ctx.rows(&sql).await?;
    let taken = rows.iter().map(|row| row.get::<String>(0)).collect::<Result<std::collections::HashSet<_>>>()?;
    let numbered = (2..=taken.len().saturating_add(2)).map(|number| format!("{slug}-{number}"));
    std::iter::once(slug.to_owned())
        .chain(numbered)
        .find(|candidate| !taken.contains(candidate))
        .ok_or_else(|| Error::internal("every slug is taken"))
}

// --- tools

#[derive(Debug, Serialize, JsonSchema)]
struct TagOutput {
    /// UUID.
    id: String,
    /// Number in the tenant.
    num: Option<i64>,
    /// Name.
    name: String,
    /// Short name.
    slug: String,
    /// Colour.
    color: String,
    /// What it means.
    description: Option<String>,
    /// Grows with every change; see expected_version.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
    /// The assignment to the record that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    assignment_id: Option<String>,
    /// Whether the tag was created by this call.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<bool>,
}

fn shown(tag: &Record) -> Result<TagOutput> {
    Ok(TagOutput {
        id: tag.id.to_string(),
        num: tag.num,
        name: tag.get("name")?,
        slug: tag.get("slug")?,
        color: tag.get("color")?,
        description: tag.get("description")?,
        version: tag.version,
        created_at: tag.created_at,
        updated_at: tag.updated_at,
        assignment_id: None,
        created: None,
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// Name, at most 120 characters, unique in the tenant; upper and lower case differ.
    #[serde(alias = "label")]
    #[schemars(length(max = 120))]
    name: String,
    /// Short name of a-z, 0-9, hyphen and underscore, unique in the tenant; made from the name unless given.
    #[schemars(length(max = 80))]
    slug: Option<String>,
    /// Colour as #rrggbb; #888888 unless given.
    color: Option<String>,
    /// What it means.
    #[schemars(length(max = 4000))]
    description: Option<String>,
    /// Kind of the record to attach it to: person, company, deal, task, …
    #[serde(alias = "subject_type")]
    taggable_type: Option<String>,
    /// The record to attach it to.
    #[serde(alias = "subject_id")]
    #[schemars(with = "Option<String>", extend("x-record" = "*"))]
    taggable_id: Option<Key>,
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<TagOutput> {
    let subject = taggable(ctx, input.taggable_type.as_deref(), input.taggable_id).await?;
    let tag = family::save_new(ctx, &TAGS, new_values(input)?).await?;
    let mut output = shown(&tag)?;
    if let Some(subject) = subject {
        output.assignment_id = Some(link(ctx, tag.id, subject).await?.id.to_string());
    }
    Ok(output)
}

fn new_values(input: CreateInput) -> Result<Values> {
    let mut form = Form::new(&TAGS, Mode::Create);
    let given = |text: Option<String>| text.map_or(Patch::Absent, Patch::Set);
    form.put("name", "name", Patch::Set(input.name))?;
    form.put("slug", "slug", given(input.slug))?;
    form.put("color", "color", given(input.color))?;
    form.put("description", "description", given(input.description))?;
    form.finish()
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReplaceInput {
    /// Tag to replace.
    id: Id<Tag>,
    /// Name, unique.
    #[serde(alias = "label")]
    #[schemars(length(max = 120))]
    name: String,
    /// Short name for addresses.
    #[serde(default)]
    #[schemars(length(max = 80))]
    slug: Patch<String>,
    /// Colour as #rrggbb; #888888 unless given.
    #[serde(default)]
    color: Patch<String>,
    /// What it means.
    #[serde(default)]
    #[schemars(length(max = 4000))]
    description: Patch<String>,
}

async fn replace(ctx: &mut Ctx, input: ReplaceInput) -> Result<TagOutput> {
    let before = ctx.fetch(input.id).await?;
    let mut form = Form::new(&TAGS, Mode::Replace);
    form.put("name", "name", Patch::Set(input.name))?;
    form.put("color", "color", input.color)?;
    form.put("description", "description", input.description)?;
    if input.slug != Patch::Absent {
        form.put("slug", "slug", input.slug)?;
    }
    shown(&family::save(ctx, &before, form.finish()?).await?)
}

/// The record named by taggable_type and taggable_id, which belong together.
async fn taggable(ctx: &mut Ctx, kind: Option<&str>, key: Option<Key>) -> Result<Option<Subject>> {
    match (kind, key) {
        (None, None) => Ok(None),
        (Some(kind), Some(key)) => subject::find(ctx, "taggable_type", kind, key).await.map(Some),
        (Some(_), None) => Err(Error::invalid("/taggable_id", "is required beside taggable_type")),
        (None, Some(_)) => Err(Error::invalid("/taggable_type", "is required beside taggable_id")),
    }
}

async fn find_or_create(ctx: &mut Ctx, input: FindOrCreateInput) -> Result<TagOutput> {
    let subject = taggable(ctx, input.taggable_type.as_deref(), input.taggable_id).await?;
    let values = new_values(CreateInput {
        name: input.name,
        slug: None,
        color: input.color,
        description: None,
        taggable_type: None,
        taggable_id: None,
    })?;
    let found = by(ctx, "name", values.text("name").unwrap_or_default()).await?;
    let created = found.is_none();
    let tag = match found {
        Some(tag) => tag,
        // Another call created it in between: the next attempt finds it.
        None => family::save_new(ctx, &TAGS, values).await.map_err(Error::lost_race)?,
    };
    let mut output = shown(&tag)?;
    output.created = Some(created);
    if let Some(subject) = subject {
        let assigned = match find_link(ctx, tag.id, subject).await? {
            Some(link) => link,
            None => link(ctx, tag.id, subject).await?,
        };
        output.assignment_id = Some(assigned.id.to_string());
    }
    Ok(output)
}

/// Tags by their names; those that there are not yet are made, by whoever may.
pub(crate) async fn by_names(ctx: &mut Ctx, names: &[String]) -> Result<Vec<Uuid>> {
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let tag = match by(ctx, "name", name).await? {
            Some(tag) => tag.id,
            None => {
                let made = ctx.nested("tag_find_or_create", Map::from_iter([("name".to_owned(), json!(name))])).await?;
                let id = made.get("id").and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
                id.ok_or_else(|| Error::internal("a tag was made without an id"))?
            }
        };
        if !ids.contains(&tag) {
            ids.push(tag);
        }
    }
    Ok(ids)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FindOrCreateInput {
    /// Name of the tag, exactly as written.
    #[serde(alias = "label")]
    #[schemars(length(max = 120))]
    name: String,
    /// Colour as #rrggbb for a new tag; an existing one keeps its own.
    color: Option<String>,
    /// Kind of the record to attach it to: person, company, deal, task, …
    #[serde(alias = "subject_type")]
    taggable_type: Option<String>,
    /// The record to attach it to.
    #[serde(alias = "subject_id")]
    #[schemars(with = "Option<String>", extend("x-record" = "*"))]
    taggable_id: Option<Key>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MergeInput {
    /// The tag that stays.
    #[serde(alias = "target_id")]
    id: Id<Tag>,
    /// The tags to merge into it, one or more.
    #[serde(alias = "tag_ids")]
    #[schemars(length(min = 1, max = 100))]
    ids: Vec<Id<Tag>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct MergeOutput {
    /// The tag that stays.
    tag: TagOutput,
    /// UUIDs of the tags that are gone.
    merged_ids: Vec<String>,
    /// Records that got the tag; those that had it already are counted too.
    moved: i64,
}

async fn merge(ctx: &mut Ctx, input: MergeInput) -> Result<MergeOutput> {
    if input.ids.is_empty() || input.ids.len() > 100 {
        return Err(Error::invalid("/ids", format!("expected 1 to 100 tags, got {}", input.ids.len())));
    }
    let target = ctx.fetch(input.id).await?;
    let mut merged: Vec<Record> = Vec::new();
    for (index, id) in input.ids.into_iter().enumerate() {
        let Some(tag) = ctx.find_in(&TAGS, id.key()).await? else {
            return Err(Error::invalid(format!("/ids/{index}"), TAGS.missing(id.key())));
        };
        if tag.id == target.id {
            return Err(Error::invalid(format!("/ids/{index}"), "a tag cannot be merged into itself"));
        }
        if !merged.iter().any(|other| other.id == tag.id) {
            merged.push(tag);
        }
    }
    let mut counts = Counts::new();
    for tag in &merged {
        move_references(ctx, tag, &target, &[], &mut counts).await?;
        family::remove(ctx, tag).await?;
    }
    Ok(MergeOutput {
        tag: shown(&target)?,
        merged_ids: merged.iter().map(|tag| tag.id.to_string()).collect(),
        moved: counts.values().fold(0, |sum, count| i64::saturating_add(sum, *count)),
    })
}

fn party() -> String {
    "party".to_owned()
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AssignInput {
    /// The tag; see tag_list.
    tag_id: Id<Tag>,
    /// Kind of the record: person, company, deal, task, …; a person or company unless given.
    #[serde(default = "party", alias = "taggable_type")]
    subject_type: String,
    /// The record.
    #[serde(alias = "taggable_id", alias = "entity_id", alias = "entityId")]
    #[schemars(with = "String", extend("x-record" = "*"))]
    subject_id: Key,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Assigned {
    /// UUID of the assignment.
    assignment_id: String,
    /// The tag.
    tag: TagOutput,
    /// Kind of the record.
    subject_type: String,
    /// UUID of the record.
    subject_id: String,
}

async fn assign(ctx: &mut Ctx, input: AssignInput) -> Result<Assigned> {
    let tag = ctx.fetch(input.tag_id).await?;
    let subject = subject::find(ctx, "subject_type", &input.subject_type, input.subject_id).await?;
    if let Some(existing) = find_link(ctx, tag.id, subject).await? {
        return Err(Error::conflict(format!(
            "The tag {} is already attached to this {}. Nothing was changed.",
            tag.text("name"),
            subject.noun
        ))
        .with("assignment_id", existing.id.to_string()));
    }
    let link = link(ctx, tag.id, subject).await?;
    Ok(Assigned {
        assignment_id: link.id.to_string(),
        tag: shown(&tag)?,
        subject_type: subject.noun.to_owned(),
        subject_id: subject.id.to_string(),
    })
}

#[derive(Debug, Serialize, JsonSchema)]
struct Unassigned {
    /// Always true.
    ok: bool,
    /// UUID of the assignment that is gone.
    assignment_id: String,
    /// UUID of the tag.
    tag_id: String,
    /// Kind of the record.
    subject_type: String,
    /// UUID of the record.
    subject_id: String,
}

async fn unassign(ctx: &mut Ctx, input: AssignInput) -> Result<Unassigned> {
    let tag = ctx.fetch(input.tag_id).await?;
    let subject = subject::find(ctx, "subject_type", &input.subject_type, input.subject_id).await?;
    let Some(link) = find_link(ctx, tag.id, subject).await? else {
        return Err(Error::missing(format!(
            "The tag {} is not attached to this {}. There is nothing to take off.",
            tag.text("name"),
            subject.noun
        )));
    };
    ctx.delete(&link).await?;
    Ok(Unassigned {
        ok: true,
        assignment_id: link.id.to_string(),
        tag_id: tag.id.to_string(),
        subject_type: subject.noun.to_owned(),
        subject_id: subject.id.to_string(),
    })
}
