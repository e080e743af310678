//! Users: a person's place in a tenant. Reading them; see `user_write` and `user_end` for the rest.

use bureau_kit::prelude::*;

use crate::flag::Flag;
use crate::organizations::Organization;
use crate::roles::Role;
use crate::teams::Team;
use crate::user_rows::{UserRow, rows};
use crate::{builtin, groups, user_end, user_write};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("user_list", "auth.users.list", list)
            .title("List users")
            .about(
                "List the people who work here, with their roles, team, department and telephony, blocked ones included. \
                 Customers are person_list.",
            )
            .synonyms("people staff employees members accounts pracownicy użytkownicy konta користувачі працівники"),
        Tool::read("user_show", "auth.users.list", show)
            .title("Show a user")
            .about("Show one user with roles, team, department and telephony. What they may do in the end is permission_explain.")
            .synonyms("employee person account pracownik użytkownik konto користувач працівник"),
        Tool::create("user_create", "auth.users.create", user_write::create)
            .on(&USERS)
            .open_world()
            .title("Create a user")
            .about(
                "Add a person who works here; only the e-mail is needed. A role may give only what you hold yourself. With \
                 telephony fields permission, groups and dynamic_extension are needed too. Customers with the same e-mail are \
                 linked.",
            )
            .synonyms("add employee account invite dodaj użytkownika pracownika konto додати користувача працівника"),
        Tool::update("user_update", "auth.users.edit", user_write::update)
            .on(&USERS)
            .title("Change a user")
            .about(
                "Change what is given of a user: names, telephones, roles, team, groups, password, telephony. active=1 lifts a \
                 block. Needs to hold at least what that user holds.",
            )
            .synonyms("edit employee password role zmień użytkownika hasło uprawnienia змінити користувача пароль"),
        Tool::action("user_block", "auth.users.edit", user_end::block)
            .on(&USERS)
            .idempotent()
            .title("Block a user")
            .about(
                "Block a user: log-in ends and all their sessions end at once. Refused for owners, permanent users and \
                 yourself. user_update with active=1 lifts it.",
            )
            .synonyms("disable deactivate suspend lock zablokuj użytkownika заблокувати користувача"),
        Tool::delete("user_delete", "auth.users.delete", user_end::delete)
            .on(&USERS)
            .title("Delete a user")
            .about(
                "Delete a user with roles, memberships and sessions; what refers to them is cleared. Refused for owners, \
                 permanent users and yourself. To keep the records readable use user_block.",
            )
            .synonyms("remove employee account usuń użytkownika pracownika видалити користувача"),
    ]
}

/// A user.
#[derive(Debug)]
pub struct User;
impl Kind for User {
    const TABLE: &'static Table = &USERS;
}

pub(crate) static USERS: Table = Table::new(
    "users",
    "user",
    "A person who works here.",
    &[
        Column::email("email", "E-mail address, unique among the users whatever its case.").required().search(),
        // Compared instead of the address itself; never shown, since it says nothing new.
        Column::text("email_folded", "E-mail address in lower case.").required().hidden(),
        Column::text("first_name", "First name.").max(100).search(),
        Column::text("last_name", "Last name.").max(100).search(),
        Column::text("name", "Name as it is shown; from first and last name unless given.").required().search(),
        Column::text("title", "Job title."),
        Column::text("avatar", "File name or address of a picture.").max(1000),
        Column::text("phone", "Telephone number."),
        Column::text("phone2", "Second telephone number."),
        Column::text("phone3", "Third telephone number."),
        Column::text("phone4", "Fourth telephone number."),
        Column::text("address", "Address.").max(1000),
        Column::text("address2", "Second address.").max(1000),
        Column::money("rate", "Price of an hour of work."),
        Column::text("locale", "Language of the interface, such as pl or uk.").max(20),
        Column::choice("role", builtin::MAIN, "Main role.").required(),
        Column::flag("active", "Whether the user may act.").default("true"),
        Column::flag("is_super_admin", "Whether the user administers the installation, all tenants included.")
            .computed(),
        Column::flag("is_permanent", "Whether the user can never be blocked or deleted.").computed(),
        Column::reference("team_id", "teams", OnDelete::Clear, "Main team."),
        Column::reference("department_id", "groups", OnDelete::Clear, "Department."),
        Column::reference("permission_id", "roles", OnDelete::Clear, "Permission group (CCRM): one of the roles."),
        Column::text("external_id", "Identifier in another system, unique.").search(),
        // Passwords are rows written once and beside the journal, which keeps this pointer to them and never the hash.
        Column::text("credential_id", "The newest password.").hidden(),
        Column::count("extension_id", 1, 1_000_000_000, "SIP account, when it is not picked at log-in."),
        Column::flag("dynamic_extension", "Whether the SIP account is picked from a list at log-in."),
        Column::json("dynamic_extension_ids", "SIP accounts to pick from."),
        Column::text("work_number", "Telephone number at work."),
        Column::json("sms_presentation", "Sender names or numbers for text messages."),
        Column::json("call_presentation", "Numbers that may be shown to the called party."),
        Column::instant("last_seen_at", "When the user was last seen.").computed(),
    ],
)
.deciding_rights()
.keeping(|ctx, rows| Box::pin(user_end::keep_owners(ctx, rows)));

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    /// By number, newest first.
    #[default]
    Num,
    /// By name.
    Name,
    /// By the time of creation.
    CreatedAt,
    /// By the time of the last change.
    UpdatedAt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// Smallest or oldest first.
    Asc,
    /// Largest or newest first.
    Desc,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Words to find in name, e-mail or external id, whatever the case and diacritics.
    #[serde(alias = "search")]
    q: Option<String>,
    /// Only with this main role: owner, admin, account_admin, team_admin, department_admin, user, guest or reader.
    role: Option<String>,
    /// Only with any of these roles, main or additional.
    role_ids: Option<Vec<Id<Role>>>,
    /// Only members of this team.
    team_id: Option<Id<Team>>,
    /// Only members of this department, user group or position.
    group_id: Option<Id<groups::Group>>,
    /// Only of this organization.
    organization_id: Option<Id<Organization>>,
    /// Only with this identifier of another system.
    external_id: Option<String>,
    /// Only active users, or only blocked ones.
    active: Option<Flag>,
    /// What to sort by; num when left out.
    #[serde(default)]
    sort: Sort,
    /// Direction of the sort.
    order: Option<Order>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 when left out.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<UserRow>> {
    let (page, size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    let filter = Filter::of(ctx, &input).await?;
    let mut counted = ctx.select("1", &USERS);
    filter.append(ctx, &mut counted);
    let mut sql = ctx.from(&USERS);
    filter.append(ctx, &mut sql);
    let (column, newest_first) = match input.sort {
        Sort::Num => ("num", true),
        Sort::Name => ("name", false),
        Sort::CreatedAt => ("created_at", true),
        Sort::UpdatedAt => ("updated_at", true),
    };
    page::order(&mut sql, column, false, input.order.map_or(newest_first, |order| order == Order::Desc));
    let found = page::fetch(ctx, &USERS, page::Query { rows: sql, counted, page, page_size: size }).await?;
    let mut shown = rows(ctx, &found.items).await?.into_iter();
    let Page { total, total_is_exact, page, page_size, total_pages, .. } = found;
    Ok(Page { items: shown.by_ref().collect(), total, total_is_exact, page, page_size, total_pages })
}

/// The conditions of a list, with references looked up.
#[derive(Debug, Default)]
struct Filter {
    words: Option<String>,
    equal: Vec<(&'static str, Val)>,
    team: Option<Uuid>,
    group: Option<Uuid>,
    /// Roles with their codes, which name a main role.
    roles: Option<(Vec<Uuid>, Vec<String>)>,
}

impl Filter {
    async fn of(ctx: &mut Ctx, input: &ListInput) -> Result<Self> {
        let mut filter = Self { words: input.q.clone().filter(|words| !words.trim().is_empty()), ..Self::default() };
        if let Some(role) = &input.role {
            filter.equal.push(("role", main_role("/role", role)?.into()));
        }
        if let Some(active) = input.active {
            filter.equal.push(("active", active.0.into()));
        }
        if let Some(id) = &input.external_id {
            filter.equal.push(("external_id", id.trim().into()));
        }
        if let Some(id) = input.organization_id {
            filter.equal.push(("organization_id", ctx.reference("organization_id", id).await?.into()));
        }
        if let Some(id) = input.team_id {
            filter.team = Some(ctx.reference("team_id", id).await?);
        }
        if let Some(id) = input.group_id {
            filter.group = Some(ctx.reference("group_id", id).await?);
        }
        if let Some(ids) = &input.role_ids {
            let (mut found, mut codes) = (Vec::new(), Vec::new());
            for (index, id) in ids.iter().enumerate() {
                let role = ctx.reference(&format!("role_ids/{index}"), *id).await?;
                if let Some(role) = ctx.find_in(Role::TABLE, Key::Uuid(role)).await? {
                    codes.push(role.text("code").to_owned());
                }
                found.push(role);
            }
            codes.retain(|code| !code.is_empty());
            filter.roles = Some((found, codes));
        }
        Ok(filter)
    }

    fn append(&self, ctx: &Ctx, sql: &mut Sql) {
        let tenant = ctx.tenant_id();
        for (column, value) in &self.equal {
            sql.and_eq(column, value.clone());
        }
        if let Some(words) = &self.words {
            sql.and_contains(words);
        }
        if let Some(team) = self.team {
            sql.push(" AND id IN (SELECT user_id FROM team_members WHERE tenant_id = ").bind(tenant);
            sql.and_eq("team_id", team).push(")");
        }
        if let Some(group) = self.group {
            sql.push(" AND id IN (SELECT user_id FROM group_members WHERE tenant_id = ").bind(tenant);
            sql.and_eq("group_id", group).push(")");
        }
        if let Some((ids, codes)) = &self.roles {
            sql.push(" AND (id IN (SELECT user_id FROM user_roles WHERE tenant_id = ").bind(tenant);
            sql.and_in("role_id", ids.iter().copied()).push(") OR (TRUE");
            sql.and_in("role", codes.iter().map(String::as_str)).push("))");
        }
    }
}

/// The code of a main role as a caller writes it.
pub(crate) fn main_role(path: &str, text: &str) -> Result<&'static str> {
    let code = crate::roles::code_of(text);
    builtin::MAIN.iter().find(|known| **known == code).copied().ok_or_else(|| {
        Error::invalid(
            path,
            format!("expected one of {}, got `{text}`; others go into roles", builtin::MAIN.join(", ")),
        )
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowInput {
    /// UUID or number of the user.
    id: Id<User>,
}

async fn show(ctx: &mut Ctx, input: ShowInput) -> Result<UserRow> {
    let user = ctx.fetch(input.id).await?;
    UserRow::of(ctx, &user).await
}

/// The user with this address, in whatever organization; addresses are unique in the tenant.
pub(crate) async fn with_email(ctx: &mut Ctx, email: &Email) -> Result<Option<Uuid>> {
    let sql = Sql::with(
        "SELECT id FROM users WHERE tenant_id = $1 AND email_folded = $2",
        [ctx.tenant_id().into(), email.folded().into()],
    );
    ctx.rows(&sql).await?.first().map(|row| row.get(0)).transpose()
}
