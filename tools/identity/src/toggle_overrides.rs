//! What a feature toggle is set to for one company, and what it is for whoever asks.

use bureau_kit::prelude::*;

use crate::any_json::AnyJson;
use crate::tenants::{self, Tenant};
use crate::toggles::{self, Filter, MANAGE, Order, Sort, Toggle, ToggleKind};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("feature_toggle_override_list", MANAGE, list)
            .title("List what a company has toggled")
            .about(
                "List all feature toggles with what one company has instead of the default: enabled, disabled or set, or \
                 inherit. Change one with feature_toggle_override_update.",
            )
            .synonyms("overrides tenant flags nadpisania przełączników перевизначення перемикачів"),
        Tool::read("feature_toggle_override_show", MANAGE, show)
            .title("Show what a company has toggled")
            .about("Show what one company has instead of a toggle's default, if anything.")
            .synonyms("override tenant flag nadpisanie przełącznika перевизначення перемикача"),
        Tool::update("feature_toggle_override_update", MANAGE, update)
            .on(&OVERRIDES)
            .title("Toggle a feature for a company")
            .about(
                "Give one company a value of a toggle instead of the default, or with is_override false the default again. For \
                 your own company action_undo takes it back; for another, call it again with what feature_toggle_show tells.",
            )
            .synonyms("override enable disable feature tenant włącz funkcję firmie увімкнути функцію"),
        check::<bool>("feature_toggle_boolean_check", "Check a boolean toggle", "Answer whether a feature is on for your company, and whether that is its own setting or the default. Anyone may ask."),
        check::<String>("feature_toggle_string_check", "Check a text toggle", "Answer the text of a feature toggle for your company, and whether that is its own setting or the default. Anyone may ask."),
        check::<Number>("feature_toggle_number_check", "Check a number toggle", "Answer the number of a feature toggle for your company, and whether that is its own setting or the default. Anyone may ask."),
        check::<AnyJson>("feature_toggle_json_check", "Check a JSON toggle", "Answer the JSON of a feature toggle for your company, and whether that is its own setting or the default. Anyone may ask."),
    ]
}

/// A toggle is of no tenant, so it is named as a record of any kind.
const TOGGLE: Column = Column::subject_id("toggle_id", OnDelete::Cascade, "The toggle.");

pub(crate) static OVERRIDES: Table = Table::new(
    "feature_toggle_overrides",
    "feature_toggle_override",
    "What a toggle is set to for a company.",
    &[TOGGLE.fixed(), Column::json("value", "What it is set to.").required()],
)
.unnumbered()
.tenant_wide();

/// What the present tenant has of a toggle.
pub(crate) async fn stored(ctx: &mut Ctx, toggle: Uuid) -> Result<Option<Record>> {
    let mut sql = ctx.from(&OVERRIDES);
    sql.and_eq("toggle_id", toggle);
    match ctx.first(&OVERRIDES, sql).await? {
        // As a record that was named, so that `expected_version` is checked.
        Some(found) => ctx.fetch_from(&OVERRIDES, found.id).await.map(Some),
        None => Ok(None),
    }
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    /// A boolean that is on.
    Enabled,
    /// A boolean that is off.
    Disabled,
    /// Another value.
    Set,
    /// The default holds.
    Inherit,
}

impl State {
    fn of(value: Option<&Value>) -> Self {
        match value {
            None => Self::Inherit,
            Some(Value::Bool(true)) => Self::Enabled,
            Some(Value::Bool(false)) => Self::Disabled,
            Some(_) => Self::Set,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// UUID of the company; your own when left out.
    #[serde(alias = "tenantId")]
    tenant_id: Option<Id<Tenant>>,
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

#[derive(Debug, Serialize, JsonSchema)]
struct OverrideRow {
    /// UUID of the toggle.
    toggle_id: String,
    /// What programs ask for.
    identifier: String,
    /// Name for people.
    name: String,
    /// What it belongs to.
    category: Option<String>,
    /// What it holds.
    toggle_type: ToggleKind,
    /// What the company has.
    override_state: State,
    /// Whether the company has a value of its own.
    is_override: bool,
    /// What holds for the company.
    value: AnyJson,
    /// What holds where there is no override.
    default_value: AnyJson,
    /// UUID of the company.
    tenant_id: String,
    /// Name of the company.
    tenant_name: String,
}

impl OverrideRow {
    fn new(toggle: Toggle, own: Option<Value>, tenant: &(Uuid, String)) -> Self {
        Self {
            toggle_id: toggle.id.to_string(),
            identifier: toggle.identifier,
            name: toggle.name,
            category: toggle.category,
            toggle_type: toggle.kind,
            override_state: State::of(own.as_ref()),
            is_override: own.is_some(),
            value: AnyJson(own.unwrap_or_else(|| toggle.default.clone())),
            default_value: AnyJson(toggle.default),
            tenant_id: tenant.0.to_string(),
            tenant_name: tenant.1.clone(),
        }
    }
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<OverrideRow>> {
    let ListInput { tenant_id, category, name, identifier, sort, order, page, page_size } = input;
    let tenant = tenants::meant(ctx, tenant_id).await?;
    let found = Filter { category, name, identifier, sort, order }.of(toggles::all(ctx).await?);
    let own = ctx
        .in_tenant(tenant.0, |ctx| {
            Box::pin(async move {
                let sql = ctx.from(&OVERRIDES);
                ctx.records(&OVERRIDES, &sql).await
            })
        })
        .await?;
    let mut rows = Vec::with_capacity(found.len());
    for toggle in found {
        let set = own.iter().find(|record| record.id_of("toggle_id") == Some(toggle.id));
        let value = set.map(|record| record.get("value")).transpose()?;
        rows.push(OverrideRow::new(toggle, value, &tenant));
    }
    toggles::paged(rows, page, page_size)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowInput {
    /// UUID or identifier of the toggle.
    #[serde(alias = "toggle_id", alias = "toggleId", alias = "identifier")]
    id: String,
    /// UUID of the company; your own when left out.
    #[serde(alias = "tenantId")]
    tenant_id: Option<Id<Tenant>>,
}

async fn show(ctx: &mut Ctx, input: ShowInput) -> Result<OverrideRow> {
    let toggle = toggles::fetch(ctx, &input.id).await?;
    let tenant = tenants::meant(ctx, input.tenant_id).await?;
    let id = toggle.id;
    let own = ctx.in_tenant(tenant.0, move |ctx| Box::pin(stored(ctx, id))).await?;
    let own = own.map(|record| record.get("value")).transpose()?;
    Ok(OverrideRow::new(toggle, own, &tenant))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// UUID or identifier of the toggle.
    #[serde(alias = "id", alias = "toggleId", alias = "identifier")]
    toggle_id: String,
    /// True gives the company a value of its own, false the default again.
    #[serde(alias = "isOverride")]
    is_override: bool,
    /// The value; needed with is_override true.
    #[serde(alias = "overrideValue", alias = "value")]
    override_value: Option<AnyJson>,
    /// UUID of the company; your own when left out.
    #[serde(alias = "tenantId")]
    tenant_id: Option<Id<Tenant>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Updated {
    /// Always true.
    ok: bool,
    /// UUID of the override; null when the default holds again.
    override_toggle_id: Option<String>,
    /// What holds now.
    toggle: OverrideRow,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<Updated> {
    let toggle = toggles::fetch(ctx, &input.toggle_id).await?;
    let tenant = tenants::meant(ctx, input.tenant_id).await?;
    let wanted = match (input.is_override, input.override_value) {
        (true, Some(AnyJson(value))) => Some(toggle.kind.checked("/override_value", value)?),
        (true, None) => return Err(Error::invalid("/override_value", "is required with is_override true")),
        (false, None) => None,
        (false, Some(_)) => {
            return Err(Error::invalid(
                "/override_value",
                "has no meaning with is_override false: the default holds then",
            ));
        }
    };
    let id = toggle.id;
    let (before, after) = if tenant.0 == ctx.tenant_id() {
        set(ctx, id, wanted).await?
    } else {
        ctx.in_tenant(tenant.0, move |ctx| Box::pin(set(ctx, id, wanted))).await?
    };
    let own: Option<Value> = after.as_ref().map(|record| record.get("value")).transpose()?;
    if before != own {
        toggles::keep_change(ctx, id, "override", Some(tenant.0), before, own.clone()).await?;
    }
    Ok(Updated {
        ok: true,
        override_toggle_id: after.map(|record| record.id.to_string()),
        toggle: OverrideRow::new(toggle, own, &tenant),
    })
}

/// Gives the present tenant a value, or the default; answers what it had and what it has.
async fn set(ctx: &mut Ctx, toggle: Uuid, wanted: Option<Value>) -> Result<(Option<Value>, Option<Record>)> {
    let present = stored(ctx, toggle).await?;
    let before: Option<Value> = present.as_ref().map(|record| record.get("value")).transpose()?;
    let after = match (present, wanted) {
        (None, None) => None,
        (Some(present), None) => {
            ctx.delete(&present).await?;
            None
        }
        (Some(present), Some(value)) if before.as_ref() == Some(&value) => Some(present),
        (Some(present), Some(value)) => Some(ctx.update(&present, Values::new().with("value", value)).await?),
        (None, Some(value)) => {
            let values = Values::new().with("toggle_id", toggle).with("value", value);
            Some(ctx.insert(&OVERRIDES, values).await.map_err(Error::lost_race)?)
        }
    };
    Ok((before, after))
}

// --- what holds for whoever asks

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Source {
    /// The company's own value.
    Override,
    /// What holds for everyone.
    Default,
}

/// A kind of value that is asked for.
trait Asked: Serialize + JsonSchema + Send + Sized + 'static {
    const KIND: ToggleKind;
    fn read(value: Value) -> Option<Self>;
    /// Whether it is on, where that means something.
    fn enabled(&self) -> Option<bool> {
        None
    }
}

impl Asked for bool {
    const KIND: ToggleKind = ToggleKind::Boolean;
    fn read(value: Value) -> Option<Self> {
        value.as_bool()
    }
    fn enabled(&self) -> Option<bool> {
        Some(*self)
    }
}

impl Asked for String {
    const KIND: ToggleKind = ToggleKind::String;
    fn read(value: Value) -> Option<Self> {
        if let Value::String(text) = value { Some(text) } else { None }
    }
}

/// A number as it was written, whole or not.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Number(serde_json::Number);

impl JsonSchema for Number {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Number".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "number"})
    }
}

impl Asked for Number {
    const KIND: ToggleKind = ToggleKind::Number;
    fn read(value: Value) -> Option<Self> {
        if let Value::Number(number) = value { Some(Self(number)) } else { None }
    }
}

impl Asked for AnyJson {
    const KIND: ToggleKind = ToggleKind::Json;
    fn read(value: Value) -> Option<Self> {
        (!value.is_null()).then_some(Self(value))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CheckInput {
    /// Identifier of the toggle.
    #[schemars(length(max = 100))]
    identifier: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Checked<T> {
    /// Kind of the value.
    value_type: ToggleKind,
    /// What holds for your company.
    value: T,
    /// Whether the feature is on; null for a toggle that is not a boolean.
    enabled: Option<bool>,
    /// Where that comes from.
    source: Source,
    /// UUID of the toggle.
    toggle_id: String,
    /// Its identifier.
    identifier: String,
    /// UUID of your company.
    tenant_id: String,
}

fn check<T: Asked>(name: &'static str, title: &'static str, about: &'static str) -> Tool {
    Tool::read(name, "", answer::<T>)
        .title(title)
        .about(about)
        .synonyms("flag feature enabled switch przełącznik funkcja włączona перемикач функція увімкнена")
}

async fn answer<T: Asked>(ctx: &mut Ctx, input: CheckInput) -> Result<Checked<T>> {
    let identifier = input.identifier.trim();
    let found = match Uuid::try_parse(identifier) {
        // Only whoever manages toggles knows UUIDs of them.
        Ok(_) => None,
        Err(_) => toggles::find(ctx, identifier).await?,
    };
    let toggle = found.ok_or_else(|| {
        Error::missing(format!(
            "There is no feature toggle `{identifier}`. Check the spelling, or ask whoever runs the installation to create it."
        ))
        .with("reason", "MISSING_TOGGLE")
    })?;
    if toggle.kind != T::KIND {
        let kind = toggle.kind.name();
        return Err(Error::validation(format!(
            "{identifier} is a toggle of the kind {kind}, not {}. Ask with feature_toggle_{kind}_check.",
            T::KIND.name()
        ))
        .with("reason", "TYPE_MISMATCH"));
    }
    let own = stored(ctx, toggle.id).await?.map(|record| record.get::<Value>("value")).transpose()?;
    let (value, source) = match own {
        Some(own) => (own, Source::Override),
        None => (toggle.default, Source::Default),
    };
    let value = T::read(value).ok_or_else(|| {
        Error::impossible_state(format!(
            "What is stored for {identifier} is not of its kind. Whoever runs the installation sets it anew with \
             feature_toggle_override_update."
        ))
        .with("reason", "INVALID_VALUE")
    })?;
    Ok(Checked {
        value_type: T::KIND,
        enabled: value.enabled(),
        value,
        source,
        toggle_id: toggle.id.to_string(),
        identifier: toggle.identifier,
        tenant_id: ctx.tenant_id().to_string(),
    })
}
