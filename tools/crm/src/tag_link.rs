//! Which records have which tags.

use std::collections::HashMap;

use bureau_kit::prelude::*;

use crate::subject::Subject;

pub(crate) static TAG_LINKS: Table = Table::new(
    "tag_links",
    "tag_link",
    "A tag on a record.",
    &[
        Column::reference("tag_id", "tags", OnDelete::Cascade, "The tag.").required(),
        Column::subject_type("subject_type", "Kind of the record."),
        Column::subject_id("subject_id", OnDelete::Cascade, "The record."),
    ],
)
.unnumbered()
.tenant_wide();

/// A tag on a record, as records show it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct TagRef {
    /// UUID of the tag.
    id: String,
    /// Its number in the tenant.
    num: i64,
    /// Its name.
    name: String,
    /// Its short name.
    slug: String,
    /// Its colour.
    color: String,
}

impl TagRef {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

/// The link between a tag and a record.
pub(crate) async fn find(ctx: &mut Ctx, tag: Uuid, subject: Subject) -> Result<Option<Record>> {
    let mut sql = ctx.from(&TAG_LINKS);
    sql.and_eq("tag_id", tag).and_eq("subject_type", subject.noun).and_eq("subject_id", subject.id);
    ctx.first(&TAG_LINKS, sql).await
}

/// Attaches a tag to a record.
pub(crate) async fn link(ctx: &mut Ctx, tag: Uuid, subject: Subject) -> Result<Record> {
    let values = Values::new().with("tag_id", tag).with("subject_type", subject.noun).with("subject_id", subject.id);
    ctx.insert(&TAG_LINKS, values).await
}

/// Gives a record exactly these tags.
async fn set(ctx: &mut Ctx, subject: Subject, wanted: &[Uuid]) -> Result<()> {
    let mut missing: Vec<Uuid> = wanted.to_vec();
    missing.sort_unstable();
    missing.dedup();
    let mut sql = ctx.from(&TAG_LINKS);
    sql.and_eq("subject_type", subject.noun).and_eq("subject_id", subject.id).push(" ORDER BY created_at, id");
    for stored in ctx.records(&TAG_LINKS, &sql).await? {
        let tag: Uuid = stored.get("tag_id")?;
        match missing.binary_search(&tag) {
            Ok(index) => {
                missing.remove(index);
            }
            Err(_) => ctx.delete(&stored).await?,
        }
    }
    for tag in missing {
        link(ctx, tag, subject).await?;
    }
    Ok(())
}

/// The keys of a record's tags.
pub(crate) async fn ids(ctx: &mut Ctx, subject: Subject) -> Result<Vec<Uuid>> {
    let mut sql = ctx.select("tag_id", &TAG_LINKS);
    sql.and_eq("subject_type", subject.noun).and_eq("subject_id", subject.id).push(" ORDER BY created_at, id");
    ctx.rows(&sql).await?.iter().map(|row| row.get(0)).collect()
}

/// The same when tags were given at all.
pub(crate) async fn set_given(ctx: &mut Ctx, subject: Subject, wanted: Option<Vec<Uuid>>) -> Result<()> {
    match wanted {
        Some(wanted) => set(ctx, subject, &wanted).await,
        None => Ok(()),
    }
}

/// A page of records together with their tags.
pub(crate) async fn with_tags<T>(
    ctx: &mut Ctx,
    page: Page<Record>,
    output: impl Fn(&Record, Vec<TagRef>) -> Result<T>,
) -> Result<Page<T>> {
    let ids: Vec<Uuid> = page.items.iter().map(|record| record.id).collect();
    let noun = page.items.first().map_or("", |record| record.table.noun);
    let mut tags = of(ctx, noun, &ids).await?;
    let Page { items, total, total_is_exact, page, page_size, total_pages } = page;
    let items = items.iter().map(|record| output(record, tags.remove(&record.id).unwrap_or_default()));
    Ok(Page { items: items.collect::<Result<_>>()?, total, total_is_exact, page, page_size, total_pages })
}

/// The tags of several records of one kind, by name.
pub(crate) async fn of(ctx: &mut Ctx, noun: &'static str, subjects: &[Uuid]) -> Result<HashMap<Uuid, Vec<TagRef>>> {
    let mut tags: HashMap<Uuid, Vec<TagRef>> = HashMap::new();
    if subjects.is_empty() {
        return Ok(tags);
    }
    let mut sql = Sql::new(
        "SELECT l.subject_id, t.id, t.num, t.name, t.slug, t.color FROM tag_links l \
         JOIN tags t ON t.tenant_id = l.tenant_id AND t.id = l.tag_id WHERE l.tenant_id = ",
    );
    sql.bind(ctx.tenant_id()).and_eq("l.subject_type", noun).and_in("l.subject_id", subjects.iter().copied());
    for row in ctx.rows(&sql).await? {
        tags.entry(row.get(0)?).or_default().push(TagRef {
            id: row.get::<Uuid>(1)?.to_string(),
            num: row.get(2)?,
            name: row.get(3)?,
            slug: row.get(4)?,
            color: row.get(5)?,
        });
    }
    // Sorted here: the two databases order text differently.
    for tags in tags.values_mut() {
        tags.sort_by_cached_key(|tag| (fold(&tag.name), tag.num));
    }
    Ok(tags)
}
