//! Departments (Intum, Worksection): where in the company people work, and how a department is reached.
//!
//! Intum's `mailbox_ids` come with the mailboxes themselves.

use bureau_kit::prelude::*;

use crate::any_json::AnyJson;
use crate::group_members::{self, ById, Deleted, Found, Search, Wanted, checked_name, checked_text};
use crate::groups::{self, DEPARTMENT, GROUPS, Group};
use crate::users::User;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("department_list", VIEW, list)
            .or_right(MANAGE)
            .title("List departments")
            .about("List the company's departments with telephone, e-mail and people. User groups are group_list.")
            .synonyms("divisions działy oddziały відділи"),
        Tool::read("department_show", VIEW, show)
            .or_right(MANAGE)
            .title("Show a department")
            .about("Show one department with telephone, e-mail and people.")
            .synonyms("division people dział osoby відділ люди"),
        Tool::create("department_create", MANAGE, create)
            .on(&GROUPS)
            .title("Create a department")
            .about(
                "Add a department. Needs a name that no other department has. People who are in none yet have it as theirs from \
                 then on.",
            )
            .synonyms("new division dodaj dział створити відділ"),
        Tool::update("department_update", MANAGE, update)
            .on(&GROUPS)
            .title("Change a department")
            .about(
                "Change a department's name, description, telephone, e-mail, activity or people; user_setting_ids is the whole \
                 list.",
            )
            .synonyms("rename people zmień dział змінити відділ"),
        Tool::delete("department_delete", MANAGE, delete)
            .on(&GROUPS)
            .title("Delete a department")
            .about("Delete a department with its memberships; the people stay, in no department or in another they are in.")
            .synonyms("remove division usuń dział видалити відділ"),
        Tool::read("department_search", VIEW, search)
            .or_right(MANAGE)
            .title("Find a department")
            .about("Find departments in use by a part of the name; answers at most 20 with id and name only.")
            .synonyms("lookup znajdź dział знайти відділ"),
    ]
}

const VIEW: &str = "departments.view";
const MANAGE: &str = "departments.manage";
const NOUN: &str = "department";

/// How a department is reached.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DepartmentFields {
    /// Telephone number.
    department_phone: Option<String>,
    /// E-mail address.
    department_email: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct DepartmentRow {
    /// UUID of the department.
    id: String,
    /// Number in the tenant.
    num: Option<i64>,
    /// Name.
    name: String,
    /// What it does.
    description: Option<String>,
    /// How it is reached.
    department_fields: DepartmentFields,
    /// Additional values.
    fields: AnyJson,
    /// Whether it is the main one.
    is_main: bool,
    /// Whether it is in use.
    active: bool,
    /// UUIDs of its people.
    user_setting_ids: Vec<String>,
    /// UUID of the organization it belongs to; null for the whole tenant.
    organization_id: Option<String>,
    /// Grows with every change of the department itself.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

impl DepartmentRow {
    fn new(group: &Record, user_setting_ids: Vec<String>) -> Result<Self> {
        Ok(Self {
            id: group.id.to_string(),
            num: group.num,
            name: group.text("name").to_owned(),
            description: group.get("description")?,
            department_fields: DepartmentFields {
                department_phone: group.get("phone")?,
                department_email: group.get("email")?,
            },
            fields: AnyJson(group.get::<Option<Value>>("fields")?.unwrap_or_else(|| json!({}))),
            is_main: group.flag("is_main"),
            active: group.flag("active"),
            user_setting_ids,
            organization_id: group.organization_id.map(|id| id.to_string()),
            version: group.version,
            created_at: group.created_at,
            updated_at: group.updated_at,
        })
    }

    async fn of(ctx: &mut Ctx, group: Record) -> Result<Self> {
        let members = group_members::of(ctx, std::slice::from_ref(&group)).await?.remove(&group.id);
        Self::new(&group, members.unwrap_or_default())
    }
}

async fn list(ctx: &mut Ctx, input: Wanted) -> Result<Page<DepartmentRow>> {
    let found = group_members::page(ctx, DEPARTMENT, &input).await?;
    let mut members = group_members::of(ctx, &found.items).await?;
    found.try_map(|group| DepartmentRow::new(&group, members.remove(&group.id).unwrap_or_default()))
}

async fn show(ctx: &mut Ctx, input: ById) -> Result<DepartmentRow> {
    let group = group_members::fetch(ctx, DEPARTMENT, NOUN, input.id).await?;
    DepartmentRow::of(ctx, group).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// Name, unique among the departments.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// What it does.
    #[schemars(length(max = 2000))]
    description: Option<String>,
    /// How it is reached.
    department_fields: Option<DepartmentFields>,
    /// Additional values by name: texts, numbers, flags.
    fields: Option<Map<String, Value>>,
    /// Whether it is in use; true when left out.
    active: Option<bool>,
    /// Its people.
    #[serde(default, alias = "user_ids")]
    #[schemars(length(max = 1000))]
    user_setting_ids: Vec<Id<User>>,
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<DepartmentRow> {
    let users = people(ctx, &input.user_setting_ids).await?;
    let mut values = Values::new()
        .with("kind", DEPARTMENT)
        .with("name", checked_name(&input.name)?)
        .with("description", checked_text("description", input.description, 2000)?)
        .with("active", input.active.unwrap_or(true));
    reached(&mut values, input.department_fields)?;
    additional(&mut values, input.fields)?;
    let group = groups::add(ctx, values).await?;
    group_members::set(ctx, &group, &users).await?;
    DepartmentRow::of(ctx, group).await
}

async fn people(ctx: &mut Ctx, ids: &[Id<User>]) -> Result<Vec<Uuid>> {
    if ids.len() > 1000 {
        return Err(Error::invalid("/user_setting_ids", "expected at most 1000 users"));
    }
    group_members::named(ctx, "user_setting_ids", ids).await
}

/// Telephone and e-mail; one that is not mentioned stays as it is.
fn reached(values: &mut Values, fields: Option<DepartmentFields>) -> Result<()> {
    let Some(fields) = fields else { return Ok(()) };
    if let Some(phone) = fields.department_phone {
        values.set("phone", checked_text("department_fields/department_phone", Some(phone), 255)?);
    }
    if let Some(email) = fields.department_email {
        let email = match email.trim() {
            "" => None,
            text => Some(
                Email::parse(text).map_err(|message| Error::invalid("/department_fields/department_email", message))?,
            ),
        };
        values.set("email", email.map(|email| email.to_string()));
    }
    Ok(())
}

/// Additional values replace those that were there.
fn additional(values: &mut Values, fields: Option<Map<String, Value>>) -> Result<()> {
    let Some(fields) = fields else { return Ok(()) };
    let plain = |value: &Value| match value {
        Value::String(text) => text.chars().count() <= 1000,
        Value::Array(_) | Value::Object(_) => false,
        _ => true,
    };
    if fields.len() > 50 || !fields.iter().all(|(name, value)| name.len() <= 60 && plain(value)) {
        return Err(Error::invalid(
            "/fields",
            "expected at most 50 texts, numbers and flags, by names of at most 60 characters",
        ));
    }
    values.set("fields", Value::Object(fields));
    Ok(())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// UUID or number of the department.
    id: Id<Group>,
    /// New name, unique among the departments.
    #[schemars(length(min = 1, max = 200))]
    name: Option<String>,
    /// What it does; null clears it.
    #[serde(default)]
    description: Patch<String>,
    /// How it is reached; blank text clears.
    department_fields: Option<DepartmentFields>,
    /// All additional values by name: texts, numbers, flags.
    fields: Option<Map<String, Value>>,
    /// Whether it is in use.
    active: Option<bool>,
    /// All its people.
    #[serde(alias = "user_ids")]
    #[schemars(length(max = 1000))]
    user_setting_ids: Option<Vec<Id<User>>>,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<DepartmentRow> {
    let before = group_members::fetch(ctx, DEPARTMENT, NOUN, input.id).await?;
    let mut values = Values::new();
    if let Some(name) = &input.name {
        values.set("name", checked_name(name)?);
    }
    if let Some(description) = input.description.change() {
        values.set("description", checked_text("description", description, 2000)?);
    }
    reached(&mut values, input.department_fields)?;
    additional(&mut values, input.fields)?;
    if let Some(active) = input.active {
        values.set("active", active);
    }
    let users = match &input.user_setting_ids {
        Some(ids) => Some(people(ctx, ids).await?),
        None => None,
    };
    let group = groups::change(ctx, &before, values).await?;
    if let Some(users) = users {
        group_members::set(ctx, &group, &users).await?;
    }
    DepartmentRow::of(ctx, group).await
}

async fn delete(ctx: &mut Ctx, input: ById) -> Result<Deleted> {
    let group = group_members::fetch(ctx, DEPARTMENT, NOUN, input.id).await?;
    // Out of it first, one by one, so that people who are in another department have that one as theirs.
    group_members::set(ctx, &group, &[]).await?;
    family::remove(ctx, &group).await?;
    Ok(Deleted { ok: true, id: group.id.to_string() })
}

async fn search(ctx: &mut Ctx, input: Search) -> Result<Found> {
    group_members::search(ctx, DEPARTMENT, input).await
}
