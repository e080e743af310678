//! Feature toggles: named values that whoever runs the installation sets for all companies, or for one.
//!
//! They stand above all tenants, and so above the journal, which belongs to one. Hence a change of a toggle is not undone by
//! action_undo: `feature_toggle_show` tells what it was before, and feature_toggle_update puts that back. What a toggle is set
//! to for the caller's own tenant is a row of that tenant, and journaled like any other.
//!
//! Decided: the kind of a toggle is given once, since a value stored for a company could not be of another; and unlike in Open
//! Mercato a super administrator is told the same as everyone else, so that "off" can be tried.

use bureau_kit::prelude::*;

use crate::any_json::AnyJson;

/// The record's noun in errors.
pub(crate) const NOUN: &str = "feature_toggle";
pub(crate) const MANAGE: &str = "feature_toggles.manage";
/// Toggles of an installation at most: lists read them all.
const MOST: i64 = 2000;
/// Changes that are shown with a toggle.
const SHOWN_CHANGES: i64 = 20;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("feature_toggle_list", MANAGE, list)
            .title("List feature toggles")
            .about(
                "List the feature toggles of the installation with kind and default. What a company has instead is \
                 feature_toggle_override_list; what holds for you is feature_toggle_boolean_check and its like.",
            )
            .synonyms("flags switches features przełączniki funkcji flagi перемикачі функцій"),
        Tool::read("feature_toggle_show", MANAGE, show)
            .title("Show a feature toggle")
            .about("Show one feature toggle, by UUID or identifier, with its last changes: what it was before can be put back.")
            .synonyms("flag switch history przełącznik flaga historia перемикач функції"),
        Tool::create("feature_toggle_create", MANAGE, create)
            .irreversible("a toggle stands above any journal; feature_toggle_delete takes it away again")
            .title("Create a feature toggle")
            .about(
                "Add a feature toggle for all companies: a boolean, a string, a number or JSON, with its default. The identifier \
                 is what programs ask for.",
            )
            .synonyms("new flag switch dodaj przełącznik flagę створити перемикач"),
        Tool::update("feature_toggle_update", MANAGE, update)
            .irreversible("a toggle stands above any journal; feature_toggle_show tells what it was before")
            .title("Change a feature toggle")
            .about(
                "Change a toggle's identifier, name, description, category or default. The kind stays. A new default holds at \
                 once for every company that has no override.",
            )
            .synonyms("edit default flag zmień przełącznik domyślną змінити перемикач"),
        Tool::delete("feature_toggle_delete", MANAGE, delete)
            .irreversible("a toggle stands above any journal, and its overrides go with it; create both anew")
            .title("Delete a feature toggle")
            .about("Delete a toggle with the overrides of all companies. Whoever asks for it is told from then on that there is none.")
            .synonyms("remove flag usuń przełącznik видалити перемикач"),
    ]
}

/// What a toggle holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToggleKind {
    /// True or false.
    Boolean,
    /// Text.
    String,
    /// A number.
    Number,
    /// Any JSON but null.
    Json,
}

impl ToggleKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Number => "number",
            Self::Json => "json",
        }
    }

    fn named(name: &str) -> Result<Self> {
        [Self::Boolean, Self::String, Self::Number, Self::Json]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Error::internal(format!("a toggle of the kind {name}")))
    }

    fn empty(self) -> Value {
        match self {
            Self::Boolean => json!(false),
            Self::String => json!(""),
            Self::Number => json!(0),
            Self::Json => json!({}),
        }
    }

    pub(crate) fn admits(self, value: &Value) -> bool {
        match self {
            Self::Boolean => value.is_boolean(),
            Self::String => value.as_str().is_some_and(|text| text.chars().count() <= 10_000),
            Self::Number => value.is_number(),
            Self::Json => !value.is_null() && value.to_string().len() <= 100_000,
        }
    }

    /// A value that fits, or an error of the argument at `path`.
    pub(crate) fn checked(self, path: &str, value: Value) -> Result<Value> {
        if self.admits(&value) {
            return Ok(value);
        }
        let expected = match self {
            Self::Boolean => "true or false",
            Self::String => "text of at most 10000 characters",
            Self::Number => "a number",
            Self::Json => "JSON other than null, of at most 100000 bytes",
        };
        Err(Error::invalid(path, format!("does not fit a toggle of the kind {}: expected {expected}", self.name()))
            .with("reason", "INVALID_VALUE"))
    }
}

/// A toggle as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Toggle {
    pub(crate) id: Uuid,
    pub(crate) identifier: String,
    pub(crate) name: String,
    description: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) kind: ToggleKind,
    pub(crate) default: Value,
    created_at: Instant,
    updated_at: Instant,
}

const SELECT: &str = "SELECT id, identifier, name, description, category, kind, default_value, created_at, updated_at \
                      FROM feature_toggles WHERE TRUE";

impl Toggle {
    fn of(row: &bureau_kit::value::Row) -> Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            identifier: row.get(1)?,
            name: row.get(2)?,
            description: row.get(3)?,
            category: row.get(4)?,
            kind: ToggleKind::named(&row.get::<String>(5)?)?,
            default: row.get(6)?,
            created_at: row.get(7)?,
            updated_at: row.get(8)?,
        })
    }

    /// What its changes are kept as.
    fn snapshot(&self) -> Value {
        json!({
            "identifier": self.identifier,
            "name": self.name,
            "description": self.description,
            "category": self.category,
            "type": self.kind,
            "default_value": self.default,
        })
    }
}

/// The toggle that a caller names by UUID or identifier.
pub(crate) async fn find(ctx: &mut Ctx, text: &str) -> Result<Option<Toggle>> {
    let mut sql = Sql::new(SELECT);
    let text = text.trim();
    match Uuid::try_parse(text) {
        Ok(id) => sql.and_eq("id", id),
        Err(_) => sql.and_eq("identifier", text),
    };
    ctx.rows(&sql).await?.first().map(Toggle::of).transpose()
}

pub(crate) async fn fetch(ctx: &mut Ctx, text: &str) -> Result<Toggle> {
    find(ctx, text).await?.ok_or_else(|| Error::not_found(NOUN, text.trim()))
}

/// All toggles, by identifier.
pub(crate) async fn all(ctx: &mut Ctx) -> Result<Vec<Toggle>> {
    let mut sql = Sql::new(SELECT);
    sql.push(" ORDER BY identifier LIMIT ").bind(MOST);
    ctx.rows(&sql).await?.iter().map(Toggle::of).collect()
}

/// Keeps what changed, beside the journal.
pub(crate) async fn keep_change(
    ctx: &mut Ctx,
    toggle: Uuid,
    event: &'static str,
    of_tenant: Option<Uuid>,
    before: Option<Value>,
    after: Option<Value>,
) -> Result<()> {
    let (id, actor) = (ctx.new_id(), ctx.principal().label.clone());
    let sql = Sql::with(
        "INSERT INTO feature_toggle_changes (id, toggle_id, event, of_tenant, actor, before, after, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        [
            id.into(),
            toggle.into(),
            event.into(),
            of_tenant.into(),
            actor.into(),
            before.into(),
            after.into(),
            ctx.now().into(),
        ],
    );
    ctx.write_secret(&sql).await.map(drop)
}

#[derive(Debug, Serialize, JsonSchema)]
struct ToggleRow {
    /// UUID of the toggle.
    id: String,
    /// What programs ask for.
    identifier: String,
    /// Name for people.
    name: String,
    /// What it switches.
    description: Option<String>,
    /// What it belongs to.
    category: Option<String>,
    /// What it holds.
    #[serde(rename = "type")]
    kind: ToggleKind,
    /// What holds where there is no override.
    default_value: AnyJson,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

impl From<Toggle> for ToggleRow {
    fn from(toggle: Toggle) -> Self {
        Self {
            id: toggle.id.to_string(),
            identifier: toggle.identifier,
            name: toggle.name,
            description: toggle.description,
            category: toggle.category,
            kind: toggle.kind,
            default_value: AnyJson(toggle.default),
            created_at: toggle.created_at,
            updated_at: toggle.updated_at,
        }
    }
}

/// Which toggles a list shows.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sort {
    /// By identifier.
    #[default]
    Identifier,
    /// By name.
    Name,
    /// By category.
    Category,
}

/// The direction of a sort.
#[derive(Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// From A.
    #[default]
    Asc,
    /// From Z.
    Desc,
}

/// What toggles are chosen by.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) category: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) identifier: Option<String>,
    pub(crate) sort: Sort,
    pub(crate) order: Order,
}

impl Filter {
    /// Those that are meant, in order: a few hundred names need no index.
    pub(crate) fn of(self, mut toggles: Vec<Toggle>) -> Vec<Toggle> {
        let has = |text: &str, part: &Option<String>| part.as_ref().is_none_or(|part| fold(text).contains(&fold(part)));
        toggles.retain(|toggle| {
            has(&toggle.name, &self.name)
                && has(&toggle.identifier, &self.identifier)
                && self.category.as_ref().is_none_or(|wanted| toggle.category.as_ref() == Some(wanted))
        });
        match self.sort {
            Sort::Identifier => {}
            Sort::Name => toggles.sort_by_cached_key(|toggle| fold(&toggle.name)),
            Sort::Category => toggles.sort_by_cached_key(|toggle| toggle.category.clone()),
        }
        if self.order == Order::Desc {
            toggles.reverse();
        }
        toggles
    }
}

/// One page of what was chosen.
pub(crate) fn paged<T>(items: Vec<T>, page: Option<i64>, page_size: Option<i64>) -> Result<Page<T>> {
    let (page, size) = page::Wanted { page, page_size: Some(page_size.unwrap_or(25)) }.checked()?;
    let total = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let skipped = usize::try_from(page.saturating_sub(1).saturating_mul(size)).unwrap_or(usize::MAX);
    let shown = items.into_iter().skip(skipped).take(usize::try_from(size).unwrap_or_default()).collect();
    Ok(Page::new(shown, total, page, size))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Only of this category.
    category: Option<String>,
    /// Words to find in the name.
    name: Option<String>,
    /// Part of the identifier.
    identifier: Option<String>,
    /// What to sort by; identifier when left out.
    #[serde(default, alias = "sortField", alias = "sort_field")]
    sort: Sort,
    /// Direction of the sort; asc when left out.
    #[serde(default, alias = "sortDir", alias = "sort_dir")]
    order: Order,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 25 when left out.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<ToggleRow>> {
    let ListInput { category, name, identifier, sort, order, page, page_size } = input;
    let found = Filter { category, name, identifier, sort, order }.of(all(ctx).await?);
    Ok(paged(found, page, page_size)?.map(ToggleRow::from))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowInput {
    /// UUID or identifier of the toggle.
    #[serde(alias = "identifier")]
    id: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ChangeRow {
    /// When.
    at: Instant,
    /// create, update, delete or override.
    event: String,
    /// Who.
    actor: String,
    /// UUID of the company whose override changed; null for the toggle itself.
    tenant_id: Option<String>,
    /// What there was before; null for nothing.
    before: AnyJson,
    /// What there was after; null for nothing.
    after: AnyJson,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ToggleShown {
    #[serde(flatten)]
    toggle: ToggleRow,
    /// Its last changes, newest first, at most 20.
    changes: Vec<ChangeRow>,
}

async fn show(ctx: &mut Ctx, input: ShowInput) -> Result<ToggleShown> {
    let toggle = fetch(ctx, &input.id).await?;
    let sql = Sql::with(
        "SELECT created_at, event, actor, of_tenant, before, after FROM feature_toggle_changes WHERE toggle_id = $1 \
         ORDER BY created_at DESC, id DESC LIMIT $2",
        [toggle.id.into(), SHOWN_CHANGES.into()],
    );
    let mut changes = Vec::new();
    for row in ctx.rows(&sql).await? {
        let (before, after): (Option<Value>, Option<Value>) = (row.get(4)?, row.get(5)?);
        changes.push(ChangeRow {
            at: row.get(0)?,
            event: row.get(1)?,
            actor: row.get(2)?,
            tenant_id: row.get::<Option<Uuid>>(3)?.map(|id| id.to_string()),
            before: AnyJson(before.unwrap_or_default()),
            after: AnyJson(after.unwrap_or_default()),
        });
    }
    Ok(ToggleShown { toggle: toggle.into(), changes })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// What programs ask for: small Latin letters, digits and underscores, beginning with a letter.
    #[schemars(length(min = 1, max = 100))]
    identifier: String,
    /// Name for people.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// What it holds.
    #[serde(rename = "type")]
    kind: ToggleKind,
    /// What holds where there is no override; false, empty text, 0 or {} when left out.
    #[serde(alias = "defaultValue")]
    default_value: Option<AnyJson>,
    /// What it switches.
    #[schemars(length(max = 2000))]
    description: Option<String>,
    /// What it belongs to.
    #[schemars(length(max = 100))]
    category: Option<String>,
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<ToggleRow> {
    if ctx.count_up_to(MOST, Sql::new("SELECT 1 FROM feature_toggles")).await? >= MOST {
        return Err(Error::conflict(format!(
            "There are {MOST} feature toggles already. Delete one that nobody asks for."
        )));
    }
    let toggle = Toggle {
        id: ctx.new_id(),
        identifier: free_identifier(ctx, &input.identifier, None).await?,
        name: text("name", Some(input.name), 200)?.ok_or_else(|| Error::invalid("/name", "must not be blank"))?,
        description: text("description", input.description, 2000)?,
        category: text("category", input.category, 100)?,
        kind: input.kind,
        default: match input.default_value {
            Some(AnyJson(value)) => input.kind.checked("/default_value", value)?,
            None => input.kind.empty(),
        },
        created_at: ctx.now(),
        updated_at: ctx.now(),
    };
    let sql = Sql::with(
        "INSERT INTO feature_toggles (id, identifier, name, description, category, kind, default_value, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        [
            toggle.id.into(),
            toggle.identifier.as_str().into(),
            toggle.name.as_str().into(),
            toggle.description.clone().into(),
            toggle.category.clone().into(),
            toggle.kind.name().into(),
            toggle.default.clone().into(),
            ctx.now().into(),
        ],
    );
    ctx.write_secret(&sql).await.map_err(Error::lost_race)?;
    keep_change(ctx, toggle.id, "create", None, None, Some(toggle.snapshot())).await?;
    Ok(toggle.into())
}

/// An identifier that no other toggle has.
async fn free_identifier(ctx: &mut Ctx, given: &str, own: Option<Uuid>) -> Result<String> {
    let identifier = given.trim();
    let fits = identifier.len() <= 100
        && identifier.starts_with(|letter: char| letter.is_ascii_lowercase())
        && identifier.bytes().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_');
    if !fits {
        return Err(Error::invalid(
            "/identifier",
            "expected at most 100 small Latin letters, digits and underscores, beginning with a letter",
        ));
    }
    match find(ctx, identifier).await? {
        Some(taken) if Some(taken.id) != own => Err(Error::conflict(format!(
            "There is a feature toggle {identifier} already. Change it with feature_toggle_update."
        ))
        .with("columns", "identifier")),
        _ => Ok(identifier.to_owned()),
    }
}

/// Trimmed text; blank text is none.
fn text(name: &str, given: Option<String>, max: usize) -> Result<Option<String>> {
    crate::group_members::checked_text(name, given, max)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// UUID or identifier of the toggle.
    id: String,
    /// New identifier: programs that ask for the old one are told that there is none.
    #[schemars(length(min = 1, max = 100))]
    identifier: Option<String>,
    /// New name.
    #[schemars(length(min = 1, max = 200))]
    name: Option<String>,
    /// The kind it has: it cannot be changed.
    #[serde(rename = "type")]
    kind: Option<ToggleKind>,
    /// New default.
    #[serde(alias = "defaultValue")]
    default_value: Option<AnyJson>,
    /// What it switches; null clears it.
    #[serde(default)]
    description: Patch<String>,
    /// What it belongs to; null clears it.
    #[serde(default)]
    category: Patch<String>,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<ToggleRow> {
    let before = fetch(ctx, &input.id).await?;
    if input.kind.is_some_and(|kind| kind != before.kind) {
        return Err(Error::invalid(
            "/type",
            format!(
                "is {} for good, since companies may have set values of it; make another toggle",
                before.kind.name()
            ),
        )
        .with("reason", "TYPE_MISMATCH"));
    }
    let mut after = before.clone();
    if let Some(identifier) = &input.identifier {
        after.identifier = free_identifier(ctx, identifier, Some(before.id)).await?;
    }
    if let Some(name) = input.name {
        after.name = text("name", Some(name), 200)?.ok_or_else(|| Error::invalid("/name", "must not be blank"))?;
    }
    if let Some(AnyJson(value)) = input.default_value {
        after.default = before.kind.checked("/default_value", value)?;
    }
    if let Some(description) = input.description.change() {
        after.description = text("description", description, 2000)?;
    }
    if let Some(category) = input.category.change() {
        after.category = text("category", category, 100)?;
    }
    if after.snapshot() == before.snapshot() {
        return Ok(before.into());
    }
    after.updated_at = ctx.now();
    let sql = Sql::with(
        "UPDATE feature_toggles SET identifier = $2, name = $3, description = $4, category = $5, default_value = $6, \
         updated_at = $7 WHERE id = $1",
        [
            after.id.into(),
            after.identifier.as_str().into(),
            after.name.as_str().into(),
            after.description.clone().into(),
            after.category.clone().into(),
            after.default.clone().into(),
            after.updated_at.into(),
        ],
    );
    if ctx.write_secret(&sql).await.map_err(Error::lost_race)? == 0 {
        return Err(Error::not_found(NOUN, input.id.trim()));
    }
    keep_change(ctx, after.id, "update", None, Some(before.snapshot()), Some(after.snapshot())).await?;
    Ok(after.into())
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    /// Always true.
    ok: bool,
    /// UUID of the toggle that is gone.
    id: String,
}

async fn delete(ctx: &mut Ctx, input: ShowInput) -> Result<Deleted> {
    let toggle = fetch(ctx, &input.id).await?;
    // The own tenant's override by its journal; those of others go with the toggle in the database.
    if let Some(own) = crate::toggle_overrides::stored(ctx, toggle.id).await? {
        ctx.delete(&own).await?;
    }
    ctx.write_secret(&Sql::with("DELETE FROM feature_toggles WHERE id = $1", [toggle.id.into()])).await?;
    keep_change(ctx, toggle.id, "delete", None, Some(toggle.snapshot()), None).await?;
    Ok(Deleted { ok: true, id: toggle.id.to_string() })
}
