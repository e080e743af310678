//! Settings: of the tenant as a whole, and of one user, who inherits what they did not set themselves.

use bureau_kit::prelude::*;

use crate::additional_fields::{self, MOST};
use crate::any_json::AnyJson;
use crate::grants;
use crate::setting_keys::{self, KNOWN, Known};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("setting_list", ACCOUNT, list)
            .or_right(OWN)
            .title("List settings")
            .about(
                "List every setting there is with its kind, limits and default, and what holds for you or for the whole company, \
                 additional fields included. Change one with setting_set.",
            )
            .synonyms("preferences configuration options ustawienia konfiguracja preferencje налаштування"),
        Tool::read("setting_show", ACCOUNT, show)
            .or_right(OWN)
            .title("Show a setting")
            .about("Show one setting by its key: what holds, where that comes from, and what it may be. setting_list has the keys.")
            .synonyms("preference value ustawienie wartość налаштування значення"),
        Tool::update("setting_set", ACCOUNT, set)
            .or_right(OWN)
            .on(&SETTINGS)
            .title("Set a setting")
            .about(
                "Set a setting by its dotted key, of the company (target account) or your own (user_setting, mail_setting). null \
                 goes back to the default; action_type add or remove changes a list. With field config it defines an additional \
                 field: crm.client.additional_fields.NAME, also crm.contact and organize.task.",
            )
            .synonyms("preference configure custom field ustaw ustawienie pole dodatkowe змінити налаштування поле"),
    ]
}

/// The company's settings.
const ACCOUNT: &str = "account.manage";
/// One's own, and looking at the company's.
const OWN: &str = "account.settings.own";

pub(crate) static SETTINGS: Table = Table::new(
    "settings",
    "setting",
    "A setting that was set.",
    &[
        Column::reference("user_id", "users", OnDelete::Cascade, "User whose setting it is; the company's when empty.")
            .fixed(),
        Column::text("key", "Dotted key.").max(120).required().fixed(),
        Column::json("value", "What it is set to.").required(),
    ],
)
.unnumbered()
.tenant_wide();

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Target {
    /// The company.
    #[default]
    Account,
    /// Yourself.
    UserSetting,
    /// Yourself, mail only.
    MailSetting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Field {
    /// Values.
    Fields,
    /// Definitions.
    Config,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Change {
    /// Puts the value, or each of a list, into the list.
    Add,
    /// Takes it out.
    Remove,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Source {
    /// You set it.
    User,
    /// The company set it.
    Account,
    /// Nobody set it.
    Default,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SettingRow {
    /// Dotted key.
    key: String,
    /// What holds.
    value: AnyJson,
    /// Who set it.
    source: Source,
    /// Kind of its values: boolean, integer, string, choice, list or additional_field.
    kind: &'static str,
    /// What is accepted, in words.
    expected: String,
    /// What holds when nobody sets it; null for an additional field, which is not there then.
    default: AnyJson,
    /// Whether each user may have their own.
    personal: bool,
    /// Which field of setting_set it is set by.
    field: Field,
    /// What it is for.
    about: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Only settings whose key begins so, such as mail or organize.tasks.
    prefix: Option<String>,
    /// For whom: account tells what holds for the company, user_setting and mail_setting what holds for you.
    #[serde(default)]
    target: Target,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SettingRows {
    /// The settings, by key.
    items: Vec<SettingRow>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<SettingRows> {
    let user = owner(ctx, input.target)?;
    let prefix = input.prefix.unwrap_or_default();
    let stored = Stored::of(ctx, user).await?;
    let mut items = Vec::new();
    for known in KNOWN.iter().filter(|known| known.key.starts_with(&prefix)) {
        if input.target != Target::MailSetting || known.key.starts_with("mail.") {
            items.push(stored.row(known)?);
        }
    }
    if input.target == Target::Account {
        for setting in stored.company.iter().filter(|setting| setting.text("key").starts_with(&prefix)) {
            if additional_fields::place(setting.text("key"))?.is_some() {
                items.push(definition_row(setting.text("key"), setting.get("value")?));
            }
        }
    }
    items.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(SettingRows { items })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowInput {
    /// Dotted key, such as mail.inbox.per_page.
    #[schemars(length(max = 120))]
    key: String,
    /// For whom: account tells what holds for the company, user_setting and mail_setting what holds for you.
    #[serde(default)]
    target: Target,
}

async fn show(ctx: &mut Ctx, input: ShowInput) -> Result<SettingRow> {
    let key = input.key.trim();
    let user = owner(ctx, input.target)?;
    if additional_fields::place(key)?.is_some() {
        let found = stored_at(ctx, None, key).await?;
        let setting = found.ok_or_else(|| {
            Error::missing(format!(
                "There is no additional field {key}. setting_list with a prefix shows those there are."
            ))
        })?;
        return Ok(definition_row(key, setting.get("value")?));
    }
    let known = setting_keys::find(key)?;
    Stored::of(ctx, user).await?.row(known)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SetInput {
    /// Dotted key, such as mail.inbox.per_page or crm.client.additional_fields.segment.
    #[schemars(length(max = 120))]
    key: String,
    /// The new value; null goes back to the default, or takes an additional field away.
    #[serde(default)]
    value: Patch<AnyJson>,
    /// Whose setting; account when left out.
    #[serde(default)]
    target: Target,
    /// fields for values, config for definitions of additional fields; follows from the key when left out.
    field: Option<Field>,
    /// For lists: what to do with the value. Left out, the value replaces the whole.
    #[serde(alias = "actionType")]
    action_type: Option<Change>,
}

async fn set(ctx: &mut Ctx, input: SetInput) -> Result<SettingRow> {
    let key = input.key.trim().to_owned();
    let user = owner(ctx, input.target)?;
    if user.is_none() && !grants::commands(ctx.principal(), ACCOUNT) {
        return Err(Error::forbidden(
            "Settings of the company need the right account.manage. Set your own with target user_setting, or ask an \
             administrator.",
        )
        .with("missing", ACCOUNT));
    }
    let value = match input.value.change() {
        None if input.action_type == Some(Change::Remove) && additional_fields::place(&key)?.is_some() => None,
        None => return Err(Error::invalid("/value", "is required; null goes back to the default")),
        Some(value) => value.map(|AnyJson(value)| value).filter(|value| !value.is_null()),
    };
    if let Some(place) = additional_fields::place(&key)? {
        if user.is_some() {
            return Err(Error::invalid("/target", "additional fields are the company's: expected account"));
        }
        refuse_field(input.field, Field::Config)?;
        let value = match (input.action_type, value) {
            (Some(Change::Remove), _) | (None, None) => None,
            (_, Some(value)) => Some(additional_fields::checked(ctx, &place, &value)?),
            (Some(Change::Add), None) => return Err(Error::invalid("/value", "is required")),
        };
        return define(ctx, &key, place.model, value).await;
    }
    let known = setting_keys::find(&key)?;
    refuse_field(input.field, Field::Fields)?;
    if user.is_some() && !known.personal {
        return Err(Error::invalid("/target", format!("{key} is the company's alone: expected account")));
    }
    if input.target == Target::MailSetting && !key.starts_with("mail.") {
        return Err(Error::invalid(
            "/target",
            format!("{key} is no setting of mail: expected account or user_setting"),
        ));
    }
    let before = stored_at(ctx, user, &key).await?;
    let value = match (input.action_type, value) {
        (None, value) => value,
        (Some(_), None) => return Err(Error::invalid("/value", "is required with action_type")),
        (Some(change), Some(value)) => {
            let now = Stored::of(ctx, user).await?.row(known)?.value.0;
            Some(changed(known, now, change, value)?)
        }
    };
    if let Some(value) = value.as_ref().filter(|value| !known.kind.admits(value)) {
        let message = format!("expected {}, got {}", known.kind.expected(), shortened(value));
        return Err(Error::invalid("/value", message));
    }
    store(ctx, before, user, &key, value).await?;
    Stored::of(ctx, user).await?.row(known)
}

/// Whose settings are meant: a user's, or the company's.
fn owner(ctx: &Ctx, target: Target) -> Result<Option<Uuid>> {
    match target {
        Target::Account => Ok(None),
        // Inferred: Intum's mail settings are those of the person, as far as they are about mail.
        Target::UserSetting | Target::MailSetting => ctx.user_id().map(Some),
    }
}

fn refuse_field(given: Option<Field>, right: Field) -> Result<()> {
    match given {
        Some(given) if given != right => Err(Error::invalid(
            "/field",
            match right {
                Field::Config => "definitions of additional fields have the field config",
                Field::Fields => "this key holds a value, and has the field fields; config is for additional fields",
            },
        )),
        _ => Ok(()),
    }
}

/// A list with a value, or with each of a list, put in or taken out.
fn changed(known: &Known, now: Value, change: Change, value: Value) -> Result<Value> {
    if !known.kind.is_list() {
        return Err(Error::invalid(
            "/action_type",
            format!("{} is no list; leave action_type out to set it", known.key),
        ));
    }
    let mut items = match now {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    let given = match value {
        Value::Array(given) => given,
        one => vec![one],
    };
    items.retain(|item| !given.contains(item));
    if change == Change::Add {
        items.extend(given);
    }
    Ok(Value::Array(items))
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text,
    }
}

async fn define(ctx: &mut Ctx, key: &str, model: &str, value: Option<Value>) -> Result<SettingRow> {
    let before = stored_at(ctx, None, key).await?;
    match (&before, &value) {
        (None, None) => {
            return Err(Error::missing(format!("There is no additional field {key}, so nothing was removed.")));
        }
        (None, Some(_)) => {
            let mut sql = ctx.select("1", &SETTINGS);
            sql.push(" AND user_id IS NULL AND key LIKE ")
                .bind(format!("{model}.additional~_fields.%"))
                .push(" ESCAPE '~'");
            if ctx.count_up_to(MOST, sql).await? >= MOST {
                return Err(Error::conflict(format!(
                    "{model} has {MOST} additional fields already. Remove one first."
                )));
            }
        }
        (Some(_), _) => {}
    }
    store(ctx, before, None, key, value.clone()).await?;
    Ok(definition_row(key, value.unwrap_or_default()))
}

/// Sets, changes or forgets what is stored.
async fn store(
    ctx: &mut Ctx,
    before: Option<Record>,
    user: Option<Uuid>,
    key: &str,
    value: Option<Value>,
) -> Result<()> {
    match (before, value) {
        (None, None) => {}
        (Some(before), None) => ctx.delete(&before).await?,
        (Some(before), Some(value)) => {
            if before.get::<Value>("value")? != value {
                ctx.update(&before, Values::new().with("value", value)).await?;
            }
        }
        (None, Some(value)) => {
            let values = Values::new().with("user_id", user).with("key", key).with("value", value);
            ctx.insert(&SETTINGS, values).await.map_err(Error::lost_race)?;
        }
    }
    Ok(())
}

/// What is stored under a key. As a record that was named, so that `expected_version` is checked.
pub(crate) async fn stored_at(ctx: &mut Ctx, user: Option<Uuid>, key: &str) -> Result<Option<Record>> {
    let mut sql = ctx.from(&SETTINGS);
    sql.and_eq("key", key);
    match user {
        Some(user) => sql.and_eq("user_id", user),
        None => sql.push(" AND user_id IS NULL"),
    };
    match ctx.first(&SETTINGS, sql).await? {
        Some(found) => ctx.fetch_from(&SETTINGS, found.id).await.map(Some),
        None => Ok(None),
    }
}

/// What holds for the company under a key that there is.
pub async fn company_setting(ctx: &mut Ctx, key: &str) -> Result<Value> {
    Ok(Stored::of(ctx, None).await?.row(setting_keys::find(key)?)?.value.0)
}

/// Sets what holds for the company under a key that there is, for a tool that has checked the caller's right and the value.
pub async fn set_company_setting(ctx: &mut Ctx, key: &str, value: Value) -> Result<()> {
    let before = stored_at(ctx, None, key).await?;
    store(ctx, before, None, key, Some(value)).await
}

/// What was set, of the company and of one user.
struct Stored {
    company: Vec<Record>,
    own: Vec<Record>,
}

impl Stored {
    async fn of(ctx: &mut Ctx, user: Option<Uuid>) -> Result<Self> {
        let mut sql = ctx.from(&SETTINGS);
        sql.push(" AND user_id IS NULL ORDER BY key");
        let company = ctx.records(&SETTINGS, &sql).await?;
        let own = match user {
            None => Vec::new(),
            Some(user) => {
                let mut sql = ctx.from(&SETTINGS);
                sql.and_eq("user_id", user).push(" ORDER BY key");
                ctx.records(&SETTINGS, &sql).await?
            }
        };
        Ok(Self { company, own })
    }

    fn row(&self, known: &Known) -> Result<SettingRow> {
        // A value that a later version no longer takes counts as not set.
        let find = |records: &[Record]| -> Result<Option<Value>> {
            let found = records.iter().find(|record| record.text("key") == known.key);
            let value: Option<Value> = found.map(|record| record.get("value")).transpose()?;
            Ok(value.filter(|value| known.kind.admits(value)))
        };
        let (value, source) = match (find(&self.own)?, find(&self.company)?) {
            (Some(own), _) => (own, Source::User),
            (None, Some(company)) => (company, Source::Account),
            (None, None) => (known.default()?, Source::Default),
        };
        Ok(SettingRow {
            key: known.key.to_owned(),
            value: AnyJson(value),
            source,
            kind: known.kind.name(),
            expected: known.kind.expected(),
            default: AnyJson(known.default()?),
            personal: known.personal,
            field: Field::Fields,
            about: known.about.to_owned(),
        })
    }
}

fn definition_row(key: &str, definition: Value) -> SettingRow {
    SettingRow {
        key: key.to_owned(),
        source: if definition.is_null() { Source::Default } else { Source::Account },
        value: AnyJson(definition),
        kind: "additional_field",
        expected: "an object with type, label and, as needed, required, default, on_list, options and multiple"
            .to_owned(),
        default: AnyJson(Value::Null),
        personal: false,
        field: Field::Config,
        about: "Definition of an additional field.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_changed_item_by_item() {
        let days = setting_keys::find("account.working_days").unwrap();
        let now = || json!(["monday", "friday"]);
        assert_eq!(changed(days, now(), Change::Add, json!("sunday")).unwrap(), json!(["monday", "friday", "sunday"]));
        assert_eq!(changed(days, now(), Change::Add, json!(["monday"])).unwrap(), json!(["friday", "monday"]));
        assert_eq!(changed(days, now(), Change::Remove, json!(["monday", "sunday"])).unwrap(), json!(["friday"]));
        let theme = setting_keys::find("ui.theme").unwrap();
        assert_eq!(
            changed(theme, json!("dark"), Change::Add, json!("light")).unwrap_err().message(),
            "/action_type: ui.theme is no list; leave action_type out to set it"
        );
    }
}
