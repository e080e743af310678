//! Members and teams as Worksection's API shows them: its action names, its answers, its error codes.

use bureau_kit::prelude::*;

use crate::flag::{Flag, Label};
use crate::groups::{GROUPS, Group};
use crate::invitations::{self, Invite};
use crate::teams::{self, TEAMS};
use crate::user_fields::Fields;
use crate::users::{self, USERS};
use crate::{membership, user_write};

/// The tools of this crate that are named after Worksection's actions.
pub fn worksection_tools() -> Vec<Tool> {
    vec![
        Tool::read("get_users", "auth.users.list", get_users)
            .title("List members (Worksection)")
            .about(
                "List the members of the account with role, team, department, e-mail and telephones, in Worksection's form. \
                 Blocked ones only with filter all. user_list has pages and more fields.",
            )
            .synonyms("worksection employees учасники користувачі członkowie pracownicy"),
        Tool::create("add_user", "auth.users.create", add_user)
            .on(&USERS)
            .open_world()
            .title("Invite a member (Worksection)")
            .about(
                "Add a member by e-mail and send an invitation; only user, guest and reader can be given as role. An existing \
                 member is answered unchanged. Unknown teams and departments are made by name.",
            )
            .synonyms("worksection invite employee запросити додати учасника zaproś dodaj członka")
            .open_world(),
        Tool::read("get_user_groups", "auth.users.list", get_user_groups)
            .title("List member teams (Worksection)")
            .about("List the teams of the account in Worksection's form; client is 1 for the team of a client. team_list has pages and more fields.")
            .synonyms("worksection companies teams команди компанії zespoły"),
        Tool::create("add_user_group", "auth.users.create", add_user_group)
            .on(&TEAMS)
            .idempotent()
            .title("Add a member team (Worksection)")
            .about("Add a team of the account or of a client. A team that has this title already is answered unchanged.")
            .synonyms("worksection company team додати команду компанію dodaj zespół"),
        // Whoever is signed in may know who that is, as with Open Mercato's profile.
        Tool::read("me", "", me)
            .title("Show myself (Worksection)")
            .about("Show the member who calls, in Worksection's form. Needs a user's token, not a key of its own.")
            .synonyms("worksection who whoami profile myself я профіль хто ja kim jestem"),
    ]
    .into_iter()
    .map(|tool| tool.error_shape(worksection_error))
    .collect()
}

/// An error as Worksection's API answers it. A handler that knows the documented code itself adds it to the error as the
/// detail `status_code`.
pub fn worksection_error(error: &Error) -> Map<String, Value> {
    let body = error.to_json();
    let own_code = body.get("details").and_then(|details| details.get("status_code")).and_then(Value::as_i64);
    let mut details = None;
    let (code, message) = match (own_code, error.code()) {
        (Some(code), _) => (code, error.message().to_owned()),
        (None, Code::Validation) => {
            let field = error.fields().first();
            let name = field.map(|field| field.path.trim_start_matches('/').to_owned());
            let is_email = name.as_deref().is_some_and(|name| name.starts_with("email"));
            details.clone_from(&name);
            match field.map(|field| field.message.as_str()) {
                Some("is required" | "must not be blank") => (10, "Field is required".to_owned()),
                Some(_) if is_email => (11, "Invalid email".to_owned()),
                _ => (11, error.message().to_owned()),
            }
        }
        (None, Code::Unauthenticated) => (2, error.message().to_owned()),
        (None, Code::Forbidden) => (20, error.message().to_owned()),
        (None, Code::NotFound) => missing(error.message()),
        (None, Code::Conflict) => (12, error.message().to_owned()),
        (None, Code::ImpossibleState) => (8, error.message().to_owned()),
        // Worksection documents no code for these: HTTP's own, which none of its codes is.
        (None, Code::RateLimited) => (429, error.message().to_owned()),
        (None, Code::ProviderUnavailable) => (503, error.message().to_owned()),
        (None, Code::Internal) => (500, error.message().to_owned()),
    };
    let mut shape = Map::new();
    shape.insert("status".into(), json!("error"));
    shape.insert("status_code".into(), json!(code));
    shape.insert("message".into(), json!(message));
    if let Some(details) = details {
        shape.insert("message_details".into(), json!(details));
    }
    shape
}

/// Which record is missing decides the code.
fn missing(message: &str) -> (i64, String) {
    let noun = message.strip_prefix("There is no ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    match noun {
        "project" => (4, "Project is invalid".into()),
        "file" | "attachment" => (4, "File not found".into()),
        "task" => (5, "Task is invalid".into()),
        "timer" => (7, "Timer not found".into()),
        "user" => (11, "Invalid email".into()),
        "tag" => (16, "Tag is invalid".into()),
        _ => (5, message.to_owned()),
    }
}

/// A member in Worksection's form: ids are numeric strings, and what is empty is left out.
#[derive(Debug, Serialize, JsonSchema)]
struct Member {
    /// Number of the member, as text.
    id: String,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
    /// Whole name.
    name: String,
    /// Job title.
    title: String,
    /// Price of an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<Money>,
    /// Picture.
    avatar: String,
    /// Name of the team.
    group: String,
    /// Name of the department.
    department: String,
    /// owner, account admin, team admin, department admin, user, guest or reader.
    role: String,
    /// E-mail address.
    email: String,
    /// Telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    /// Second telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone2: Option<String>,
    /// Third telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone3: Option<String>,
    /// Fourth telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone4: Option<String>,
    /// Address.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// Second address.
    #[serde(skip_serializing_if = "Option::is_none")]
    address2: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Members {
    /// Always ok.
    status: &'static str,
    /// The members.
    data: Vec<Member>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct OneMember {
    /// Always ok.
    status: &'static str,
    /// The member.
    data: Member,
}

/// Worksection's name of a main role: Intum's admin is an account admin there.
fn role_name(code: &str) -> String {
    if code == "admin" { "account admin".to_owned() } else { code.replace('_', " ") }
}

/// Names of all teams and departments by id: few, and needed for every member.
async fn names(ctx: &mut Ctx, table: &'static Table) -> Result<std::collections::HashMap<Uuid, String>> {
    let sql = ctx.select("id, name", table);
    ctx.rows(&sql).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

async fn members(ctx: &mut Ctx, users: &[Record]) -> Result<Vec<Member>> {
    let (teams, groups) = (names(ctx, &TEAMS).await?, names(ctx, &GROUPS).await?);
    let name_in = |names: &std::collections::HashMap<Uuid, String>, id: Option<Uuid>| {
        id.and_then(|id| names.get(&id)).cloned().unwrap_or_default()
    };
    let member = |user: &Record| {
        let text = |column: &str| user.text(column).to_owned();
        let optional = |column: &str| Some(text(column)).filter(|text| !text.is_empty());
        Ok(Member {
            id: user.num.unwrap_or_default().to_string(),
            first_name: text("first_name"),
            last_name: text("last_name"),
            name: text("name"),
            title: text("title"),
            rate: user.get("rate")?,
            avatar: text("avatar"),
            group: name_in(&teams, user.id_of("team_id")),
            department: name_in(&groups, user.id_of("department_id")),
            role: role_name(user.text("role")),
            email: text("email"),
            phone: optional("phone"),
            phone2: optional("phone2"),
            phone3: optional("phone3"),
            phone4: optional("phone4"),
            address: optional("address"),
            address2: optional("address2"),
        })
    };
    users.iter().map(member).collect()
}

async fn one(ctx: &mut Ctx, user: &Record) -> Result<Member> {
    let member = members(ctx, std::slice::from_ref(user)).await?.pop();
    member.ok_or_else(|| Error::internal("a user has no member"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Which {
    /// Those who may act.
    #[default]
    Active,
    /// Blocked ones too.
    All,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetUsersInput {
    /// Which members.
    #[serde(default)]
    filter: Which,
}

async fn get_users(ctx: &mut Ctx, input: GetUsersInput) -> Result<Members> {
    let mut sql = ctx.from(&USERS);
    if input.filter == Which::Active {
        sql.push(" AND active");
    }
    // Worksection has no pages and cuts at about ten thousand.
    sql.push(" ORDER BY num LIMIT 10000");
    let users = ctx.records(&USERS, &sql).await?;
    Ok(Members { status: "ok", data: members(ctx, &users).await? })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AddUserInput {
    /// E-mail address.
    email: String,
    /// First name; from the e-mail when left out.
    first_name: Option<String>,
    /// Last name; from the e-mail when left out.
    last_name: Option<String>,
    /// Job title.
    title: Option<String>,
    /// Name of the team; your own when left out. An unknown one is made.
    group: Option<String>,
    /// Name of the department. An unknown one is made.
    department: Option<String>,
    /// user, guest or reader; user when left out.
    role: Option<String>,
}

async fn add_user(ctx: &mut Ctx, input: AddUserInput) -> Result<OneMember> {
    let email = required("/email", &input.email)?;
    let email = Email::parse(email).map_err(|message| Error::invalid("/email", message))?;
    let role = given(input.role.as_deref()).unwrap_or("user");
    let role = crate::roles::code_of(role);
    if !matches!(role.as_str(), "user" | "guest" | "reader") {
        return Err(Error::invalid("/role", "expected user, guest or reader; user_update gives other roles"));
    }
    if let Some(existing) = users::with_email(ctx, &email).await? {
        let existing = ctx.fetch_from(&USERS, existing).await?;
        return Ok(OneMember { status: "ok", data: one(ctx, &existing).await? });
    }
    let (first, last) = names_of(&email);
    let text = |text: Option<String>| text.map_or(Patch::Absent, Patch::Set);
    let mut fields = Fields {
        first_name: text(given(input.first_name.as_deref()).map(str::to_owned).or(first)),
        last_name: text(given(input.last_name.as_deref()).map(str::to_owned).or(last)),
        title: text(input.title),
        role: Some(role.clone()),
        ..Fields::default()
    };
    let team = match given(input.group.as_deref()) {
        Some(name) => Some(membership::team_named(ctx, short("/group", name)?, false).await?.id),
        None => own_team(ctx).await?,
    };
    if let Some(team) = team {
        fields.team_id = Patch::Set(Id::from(team));
    }
    if let Some(name) = given(input.department.as_deref()) {
        let department = membership::department_named(ctx, short("/department", name)?).await?;
        fields.department_id = Patch::Set(Id::<Group>::from(department.id));
    }
    let values = fields.values()?;
    let user = user_write::add(ctx, &email, &fields, values).await?;
    // Someone who was invited as a customer has that mail already.
    if invitations::active(ctx, &email).await?.is_none() {
        invitations::invite(ctx, Invite { user_id: Some(user.id), role, ..Invite::to(email) }).await?;
    }
    Ok(OneMember { status: "ok", data: one(ctx, &user).await? })
}

/// A text that must be there. The message is Worksection's code 10.
fn required<'t>(path: &str, text: &'t str) -> Result<&'t str> {
    let text = text.trim();
    if text.is_empty() { Err(Error::invalid(path, "is required")) } else { Ok(text) }
}

fn short<'t>(path: &str, text: &'t str) -> Result<&'t str> {
    if text.chars().count() > 200 { Err(Error::invalid(path, "is longer than 200 characters")) } else { Ok(text) }
}

fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// First and last name out of the part before the @, split at its first dot (Worksection's sample).
fn names_of(email: &Email) -> (Option<String>, Option<String>) {
    let (first, last) = email.local_part().split_once('.').unwrap_or((email.local_part(), ""));
    let name = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    (name(first), name(last))
}

async fn own_team(ctx: &mut Ctx) -> Result<Option<Uuid>> {
    let Some(user) = ctx.principal().user_id else { return Ok(None) };
    Ok(ctx.find_in(&USERS, Key::Uuid(user)).await?.and_then(|user| user.id_of("team_id")))
}

#[derive(Debug, Serialize, JsonSchema)]
struct Company {
    /// Number of the team, as text.
    id: String,
    /// Name of the team.
    title: String,
    /// Always company.
    r#type: &'static str,
    /// 1 for the team of a client, 0 for an own one.
    client: i64,
}

impl Company {
    fn of(team: &Record) -> Self {
        Self {
            id: team.num.unwrap_or_default().to_string(),
            title: team.text("name").to_owned(),
            r#type: "company",
            client: i64::from(team.flag("is_client")),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct Companies {
    /// Always ok.
    status: &'static str,
    /// The teams.
    data: Vec<Company>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct OneCompany {
    /// Always ok.
    status: &'static str,
    /// The team.
    data: Company,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoInput {}

async fn get_user_groups(ctx: &mut Ctx, _: NoInput) -> Result<Companies> {
    let mut sql = ctx.from(&TEAMS);
    sql.push(" ORDER BY num LIMIT 10000");
    let teams = ctx.records(&TEAMS, &sql).await?;
    Ok(Companies { status: "ok", data: teams.iter().map(Company::of).collect() })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AddGroupInput {
    /// Name of the team.
    title: Label,
    /// 1 for the team of a client, 0 for an own one.
    client: Option<Flag>,
}

async fn add_user_group(ctx: &mut Ctx, input: AddGroupInput) -> Result<OneCompany> {
    let title = short("/title", required("/title", &input.title.0)?)?;
    let team = match teams::named(ctx, title).await? {
        Some(team) => team,
        None => membership::team_named(ctx, title, input.client.is_some_and(|flag| flag.0)).await?,
    };
    Ok(OneCompany { status: "ok", data: Company::of(&team) })
}

async fn me(ctx: &mut Ctx, _: NoInput) -> Result<Members> {
    let user = ctx.user_id()?;
    let user = ctx.fetch_from(&USERS, user).await?;
    Ok(Members { status: "ok", data: vec![one(ctx, &user).await?] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(error: &Error) -> String {
        Value::Object(worksection_error(error)).to_string()
    }

    #[test]
    fn errors_have_worksections_codes() {
        for (error, expected) in [
            (
                Error::invalid("/email", "is required"),
                r#"{"status":"error","status_code":10,"message":"Field is required","message_details":"email"}"#,
            ),
            (
                Error::invalid("/email_user", "`x` is not an e-mail address"),
                r#"{"status":"error","status_code":11,"message":"Invalid email","message_details":"email_user"}"#,
            ),
            (Error::not_found("task", 7), r#"{"status":"error","status_code":5,"message":"Task is invalid"}"#),
            (Error::not_found("project", 7), r#"{"status":"error","status_code":4,"message":"Project is invalid"}"#),
            (Error::forbidden("No."), r#"{"status":"error","status_code":20,"message":"No."}"#),
            (
                Error::conflict("Task has children").with("status_code", 13),
                r#"{"status":"error","status_code":13,"message":"Task has children"}"#,
            ),
        ] {
            assert_eq!(shape(&error), expected);
        }
    }

    #[test]
    fn roles_and_names_are_worksections() {
        assert_eq!(
            ["owner", "admin", "team_admin", "reader"].map(role_name),
            ["owner", "account admin", "team admin", "reader"]
        );
        let of = |text: &str| names_of(&Email::parse(text).unwrap());
        assert_eq!(of("anna.nowak@example.com"), (Some("anna".into()), Some("nowak".into())));
        assert_eq!(of("anna@example.com"), (Some("anna".into()), None));
    }
}
