//! The values of dictionaries.

use bureau_identity::Organization;
use bureau_kit::prelude::*;

use crate::dictionary::DICTIONARIES;
use crate::form::{Form, Mode};
use crate::{Dictionary, DictionaryEntry};

const VIEW: &str = "dictionaries.view";
const MANAGE: &str = "dictionaries.manage";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("dictionary_entry_list", VIEW, list)
            .title("List dictionary entries")
            .about("List the values of a dictionary in alphabetical order, with label, colour and icon.")
            .synonyms("values choices options wartości słownika pozycje lista значення словника список"),
        Tool::create("dictionary_entry_create", MANAGE, create)
            .title("Add a dictionary entry")
            .about("Add a value to a dictionary. Refused when it is there already, however it is written.")
            .synonyms("new value choice option dodaj wartość do słownika pozycję додати значення до словника"),
        Tool::update("dictionary_entry_update", MANAGE, update)
            .on(&DICTIONARY_ENTRIES)
            .title("Change a dictionary entry")
            .about("Change the value, label, colour or icon of a dictionary entry. Records that have the old value keep it.")
            .synonyms("rename value choice zmień wartość słownika pozycję змінити значення словника"),
        family::delete("dictionary_entry_delete", MANAGE, &DICTIONARY_ENTRIES)
            .title("Delete a dictionary entry")
            .about("Delete a value from its dictionary. Records that have it keep it.")
            .synonyms("remove value choice usuń wartość ze słownika видалити значення словника"),
    ]
}

pub(crate) static DICTIONARY_ENTRIES: Table = Table::new(
    "dictionary_entries",
    "dictionary_entry",
    "A value of a dictionary.",
    &[
        Column::reference("dictionary_id", "dictionaries", OnDelete::Cascade, "The dictionary.").required().fixed(),
        Column::text("value", "The value that records get.").max(150).required().search(),
        Column::text("value_folded", "The value as it is compared and ordered.").default("\"\"").hidden(),
        Column::text("label", "What people read.").max(150).default("\"\"").search(),
        Column::color("color", "Colour."),
        Column::text("icon", "Icon.").max(64),
    ],
)
.rule(rule);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if let Some(before) = draft.before {
            refuse_inherited(ctx, before)?;
        }
        if draft.event == Event::Delete {
            return Ok(());
        }
        let dictionary =
            draft.values.id_of("dictionary_id").or(draft.before.and_then(|row| row.id_of("dictionary_id")));
        let Some(dictionary) = dictionary else { return Ok(()) };
        let organization = match draft.values.get("organization_id") {
            Some(Val::Id(id)) => Some(*id),
            Some(_) => None,
            None => draft.before.map_or(ctx.principal().organization_id, |before| before.organization_id),
        };
        let Some(value) = draft.values.text("value").map(str::to_owned) else { return Ok(()) };
        if draft.values.text("label").is_none_or(str::is_empty) && draft.before.is_none() {
            draft.values.set("label", value.as_str());
        }
        let folded = value.to_lowercase();
        let mut sql = ctx.from_tenant(&DICTIONARY_ENTRIES);
        sql.and_eq("dictionary_id", dictionary).and_eq("value_folded", folded.as_str());
        match organization {
            Some(id) => sql.and_eq("organization_id", id),
            None => sql.push(" AND organization_id IS NULL"),
        };
        if let Some(before) = draft.before {
            sql.push(" AND id <> ").bind(before.id);
        }
        if let Some(twin) = ctx.records(&DICTIONARY_ENTRIES, &sql).await?.first() {
            return Err(Error::conflict(format!(
                "The dictionary has the value {} already. Change that entry, or choose another value.",
                twin.text("value")
            ))
            .with("entry_id", twin.id.to_string()));
        }
        draft.values.set("value_folded", folded);
        Ok(())
    })
}

/// Documented: what comes from above is read, and changed only by those who are let into the organization it is of.
fn refuse_inherited(ctx: &Ctx, entry: &Record) -> Result<()> {
    let Some(reach) = &ctx.principal().organizations else { return Ok(()) };
    if entry.organization_id.is_some_and(|own| reach.contains(&own)) {
        return Ok(());
    }
    Err(Error::forbidden(format!(
        "The value {} comes from above your organization and cannot be changed here. Add the same value for your own \
         organization instead: it stands before this one.",
        entry.text("value")
    ))
    .with("missing", "organization"))
}

/// A value of a dictionary, as tools answer it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Entry {
    /// UUID.
    #[schemars(with = "String")]
    pub(crate) id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// UUID of the dictionary.
    #[schemars(with = "String")]
    dictionary_id: Uuid,
    /// The value that records get.
    pub(crate) value: String,
    /// What people read.
    label: String,
    /// Colour.
    color: Option<String>,
    /// Icon.
    icon: Option<String>,
    /// Organization whose value it is; null is the whole tenant.
    #[schemars(with = "Option<String>")]
    organization_id: Option<Uuid>,
    /// Whether it comes from above your organization.
    is_inherited: bool,
    /// Grows with every change; see expected_version.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

impl Entry {
    pub(crate) fn of(ctx: &Ctx, entry: &Record) -> Result<Self> {
        Ok(Self {
            id: entry.id,
            num: entry.num,
            dictionary_id: entry.get("dictionary_id")?,
            value: entry.get("value")?,
            label: entry.get("label")?,
            color: entry.get("color")?,
            icon: entry.get("icon")?,
            organization_id: entry.organization_id,
            is_inherited: entry.organization_id != ctx.principal().organization_id,
            version: entry.version,
            created_at: entry.created_at,
            updated_at: entry.updated_at,
        })
    }
}

/// What a list of values asks for beside the dictionary.
#[derive(Debug, Default)]
pub(crate) struct EntryQuery {
    /// Each value once, as the nearest organization has it, seen from the caller's own upwards.
    pub(crate) nearest: bool,
    pub(crate) words: Option<String>,
    pub(crate) page: Option<i64>,
    pub(crate) page_size: Option<i64>,
}

/// The values of a dictionary that the caller sees: those of the whole tenant, of its organizations, and of those above its own.
pub(crate) async fn entries(ctx: &mut Ctx, dictionary: Uuid, query: EntryQuery) -> Result<Page<Entry>> {
    let (page, page_size) = page::Wanted { page: query.page, page_size: query.page_size }.checked()?;
    let own = ctx.principal().organization_id;
    let above = match own {
        Some(own) => organizations_above(ctx, own).await?,
        None => Vec::new(),
    };
    let chain: Vec<Uuid> = own.into_iter().chain(above.iter().copied()).collect();
    let reach = ctx.principal().organizations.clone();
    let tenant = ctx.tenant_id();
    let filter = |sql: &mut Sql| {
        sql.and_eq("dictionary_id", dictionary);
        if let Some(reach) = &reach {
            sql.and_within("organization_id", reach.iter().chain(&above).copied());
        }
        if let Some(words) = &query.words {
            sql.and_contains(words);
        }
        if query.nearest {
            and_nearest(tenant, &chain, sql);
        }
    };
    // Said by hand, since what is inherited lies outside the caller's own organizations.
    let mut counted = Sql::new("SELECT 1 FROM dictionary_entries WHERE tenant_id = ");
    counted.bind(ctx.tenant_id());
    filter(&mut counted);
    let mut rows = ctx.from_tenant(&DICTIONARY_ENTRIES);
    filter(&mut rows);
    rows.push(" ORDER BY value_folded, id");
    let found = page::fetch(ctx, &DICTIONARY_ENTRIES, page::Query { rows, counted, page, page_size }).await?;
    found.try_map(|entry| Entry::of(ctx, &entry))
}

/// Leaves out what a nearer organization says otherwise. The chain begins with the caller's own organization and goes up; the
/// whole tenant is above them all. Values of organizations beside the chain stay.
fn and_nearest(tenant: Uuid, chain: &[Uuid], sql: &mut Sql) {
    let levels = chain.iter().copied().map(Some).chain([None]);
    for (above, level) in levels.enumerate().skip(1) {
        sql.push(" AND NOT (organization_id ");
        match level {
            Some(id) => sql.push("= ").bind(id),
            None => sql.push("IS NULL"),
        };
        sql.push(" AND EXISTS (SELECT 1 FROM dictionary_entries AS nearer WHERE nearer.tenant_id = ").bind(tenant);
        sql.push(
            " AND nearer.dictionary_id = dictionary_entries.dictionary_id \
             AND nearer.value_folded = dictionary_entries.value_folded",
        );
        sql.and_in("nearer.organization_id", chain.iter().copied().take(above)).push("))");
    }
}

/// The organizations that one lies below, nearest first.
async fn organizations_above(ctx: &mut Ctx, organization: Uuid) -> Result<Vec<Uuid>> {
    let mut above = Vec::new();
    let mut next = Some(organization);
    while let Some(id) = next {
        let mut sql = Sql::new("SELECT parent_id FROM organizations WHERE tenant_id = ");
        sql.bind(ctx.tenant_id()).and_eq("id", id);
        next = ctx.rows(&sql).await?.first().map_or(Ok(None), |row| row.get(0))?;
        // A circle would be a broken tree; walking it once is enough.
        next = next.filter(|parent| !above.contains(parent) && *parent != organization);
        above.extend(next);
    }
    Ok(above)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// The dictionary; see dictionary_list.
    #[serde(alias = "dictionaryId")]
    dictionary_id: Id<Dictionary>,
    /// Words to find in value and label.
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

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<Entry>> {
    let dictionary = ctx.fetch(input.dictionary_id).await?;
    let query = EntryQuery { words: input.q, page: input.page, page_size: input.page_size, nearest: false };
    entries(ctx, dictionary.id, query).await
}

/// Arguments of a value, whichever dictionary it is of.
#[derive(Debug, Default)]
pub(crate) struct EntryInput {
    pub(crate) value: Patch<String>,
    pub(crate) label: Patch<String>,
    pub(crate) color: Patch<String>,
    pub(crate) icon: Patch<String>,
}

impl EntryInput {
    pub(crate) fn values(self, mode: Mode) -> Result<Values> {
        let mut form = Form::new(&DICTIONARY_ENTRIES, mode);
        form.put("value", "value", self.value)?;
        form.put("label", "label", self.label)?;
        form.put("color", "color", self.color)?;
        form.put("icon", "icon", self.icon)?;
        form.finish()
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// The dictionary; see dictionary_list.
    #[serde(alias = "dictionaryId")]
    dictionary_id: Id<Dictionary>,
    /// The value that records get.
    #[schemars(length(max = 150))]
    value: String,
    /// What people read; the value unless given.
    #[serde(default)]
    #[schemars(length(max = 150))]
    label: Patch<String>,
    /// Colour as #rrggbb.
    #[serde(default)]
    color: Patch<String>,
    /// Icon.
    #[serde(default)]
    #[schemars(length(max = 64))]
    icon: Patch<String>,
    /// Own organization it is for; yours unless given, else the whole tenant.
    #[serde(alias = "organizationId")]
    organization_id: Option<Id<Organization>>,
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Entry> {
    let dictionary = ctx.reference("dictionary_id", input.dictionary_id).await?;
    let dictionary = ctx.hold(&DICTIONARIES, dictionary).await?;
    if !dictionary.flag("is_active") {
        return Err(Error::impossible_state(format!(
            "The dictionary {} is out of use. Bring it back with dictionary_update (is_active: true) first.",
            dictionary.text("key")
        )));
    }
    let given = EntryInput { value: Patch::Set(input.value), label: input.label, color: input.color, icon: input.icon };
    let mut values = given.values(Mode::Create)?;
    if let Some(organization) = input.organization_id {
        values.set("organization_id", ctx.reference("organization_id", organization).await?);
    }
    add(ctx, dictionary.id, values).await
}

/// Stores a new value of a dictionary.
pub(crate) async fn add(ctx: &mut Ctx, dictionary: Uuid, mut values: Values) -> Result<Entry> {
    values.set("dictionary_id", dictionary);
    let entry = family::save_new(ctx, &DICTIONARY_ENTRIES, values).await?;
    Entry::of(ctx, &entry)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// Entry to change.
    id: Id<DictionaryEntry>,
    /// The value that records get.
    #[serde(default)]
    #[schemars(length(max = 150))]
    value: Patch<String>,
    /// What people read.
    #[serde(default)]
    #[schemars(length(max = 150))]
    label: Patch<String>,
    /// Colour as #rrggbb; null for none.
    #[serde(default)]
    color: Patch<String>,
    /// Icon; null for none.
    #[serde(default)]
    #[schemars(length(max = 64))]
    icon: Patch<String>,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<Entry> {
    let entry = ctx.fetch(input.id).await?;
    let given = EntryInput { value: input.value, label: input.label, color: input.color, icon: input.icon };
    change(ctx, &entry, given).await
}

/// Changes a value of a dictionary; nothing to change is a mistake (documented).
pub(crate) async fn change(ctx: &mut Ctx, entry: &Record, given: EntryInput) -> Result<Entry> {
    let values = given.values(Mode::Update)?;
    if values.is_empty() {
        return Err(Error::validation("Give what is to change: value, label, color or icon."));
    }
    let entry = family::save(ctx, entry, values).await?;
    Entry::of(ctx, &entry)
}
