//! The roles that every tenant begins with, from all five systems (unified-model.md, conflict 10).

use bureau_kit::registry::Registry;
use bureau_kit::rights::covers;

/// Codes that can be a user's main role, from most to least.
pub(crate) const MAIN: &[&str] =
    &["owner", "admin", "account_admin", "team_admin", "department_admin", "user", "guest", "reader"];

/// The main role of a user when nobody says (Worksection, Intum).
pub(crate) const USUAL: &str = "user";

/// A role as it is made with a tenant.
pub(crate) struct BuiltIn {
    pub(crate) code: &'static str,
    pub(crate) name: &'static str,
    pub(crate) features: Vec<String>,
}

/// Everything but the handling of tenants and of the server itself, which Open Mercato keeps to super administrators.
const ADMIN: &[&str] = &[
    "account.*",
    "ai_assistant.*",
    "analytics.*",
    "api_keys.*",
    "appstore.*",
    "attachments.*",
    "audit_logs.*",
    "auth.*",
    "billing.*",
    "calendar.*",
    "chat.*",
    "cms.*",
    "connect.*",
    "contacts.*",
    "contracts.*",
    "customers.*",
    "dashboards.*",
    "departments.*",
    "dictionaries.*",
    "directory.organizations.*",
    "domains.*",
    "entities.*",
    "finance.*",
    "form.*",
    "groups.*",
    "insight.*",
    "kb.*",
    "mail.*",
    "measurements.*",
    "messaging.*",
    "noe.*",
    "notifications.*",
    "organize.*",
    "perspectives.*",
    "planner.*",
    "query_index.*",
    "scheduler.*",
    "search.*",
    "staff.*",
    "voip.*",
    "warehouse.*",
    "webhooks.*",
];

const USER: &[&str] = &[
    "account.settings.own",
    "account.view",
    "ai_assistant.view",
    "audit_logs.redo_self",
    "audit_logs.undo_self",
    "audit_logs.view_self",
    "auth.users.list",
    "calendar.view",
    "contracts.view",
    "customers.activities.*",
    "customers.companies.manage",
    "customers.companies.view",
    "customers.contacts.*",
    "customers.people.manage",
    "customers.people.view",
    "customers.widgets.*",
    "dashboards.view",
    "departments.view",
    "dictionaries.view",
    "finance.transfer",
    "groups.view",
    "messaging.*",
    "organize.*",
];

/// Beside what a user has. Inferred: rights cannot be limited to one team, so these admins get no deletion.
const GROUP_ADMIN: &[&str] =
    &["auth.roles.list", "auth.users.create", "auth.users.edit", "staff.manage_team", "staff.view"];

const GUEST: &[&str] = &["organize.projects.view", "organize.tasklists.view", "organize.tasks.view"];

const CRM_VIEWER: &[&str] = &[
    "customers.activities.view",
    "customers.companies.view",
    "customers.contacts.view",
    "customers.deals.view",
    "customers.people.view",
    "customers.pipelines.view",
    "customers.widgets.*",
    "dashboards.view",
    "dictionaries.view",
];

/// Everything but pipelines and inviting.
const CRM_USER: &[&str] = &[
    "customers.activities.*",
    "customers.companies.manage",
    "customers.companies.view",
    "customers.contacts.*",
    "customers.deals.*",
    "customers.people.manage",
    "customers.people.view",
    "customers.pipelines.view",
    "customers.widgets.*",
    "dashboards.view",
    "dictionaries.view",
];

/// A salesperson of the furniture company: from the first visit to the printed contract, without settling it.
const SALES: &[&str] = &[
    "account.settings.own",
    "account.view",
    "ai_assistant.view",
    "audit_logs.redo_self",
    "audit_logs.undo_self",
    "audit_logs.view_self",
    "auth.users.list",
    "calendar.create",
    "calendar.edit",
    "calendar.view",
    "contracts.change_krok1",
    "contracts.change_krok5",
    "contracts.change_krok6",
    "contracts.change_krok7",
    "contracts.change_krok8",
    "contracts.create",
    "contracts.drukuj_faktura",
    "contracts.drukuj_kp",
    "contracts.drukuj_proforma",
    "contracts.edit",
    "contracts.view",
    "customers.activities.*",
    "customers.companies.manage",
    "customers.companies.view",
    "customers.contacts.*",
    "customers.deals.*",
    "customers.people.manage",
    "customers.people.view",
    "customers.pipelines.view",
    "customers.widgets.*",
    "dashboards.view",
    "dictionaries.view",
    "finance.transfer",
    "measurements.create",
    "measurements.edit",
    "measurements.view",
    "messaging.*",
    "warehouse.view",
];

/// All built-in roles, in the order in which they get their numbers.
pub(crate) fn roles(registry: &Registry) -> Vec<BuiltIn> {
    let role = |code, name, features: &[&[&'static str]]| {
        let mut features: Vec<String> = features.concat().into_iter().map(str::to_owned).collect();
        features.sort();
        features.dedup();
        BuiltIn { code, name, features }
    };
    vec![
        role("owner", "Owner", &[&["*"]]),
        role("admin", "Administrator", &[ADMIN]),
        role("account_admin", "Account admin", &[ADMIN]),
        role("team_admin", "Team admin", &[USER, GROUP_ADMIN]),
        role("department_admin", "Department admin", &[USER, GROUP_ADMIN]),
        role("user", "User", &[USER]),
        role("guest", "Guest", &[GUEST]),
        BuiltIn { code: "reader", name: "Reader", features: reading(registry) },
        role("crm_viewer", "CRM Viewer", &[CRM_VIEWER]),
        role("crm_user", "CRM User", &[CRM_USER]),
        role("crm_manager", "CRM Manager", &[&["customers.*"]]),
        role("crm_inviter", "CRM Inviter", &[&["customers.people.invite", "customers.people.view"]]),
        role("sprzedawca", "Sprzedawca", &[SALES]),
    ]
}

/// Whatever lets one look and nothing else: the rights of all tools that only read, as far as an administrator has them,
/// without those to look at keys and at other people's doings.
fn reading(registry: &Registry) -> Vec<String> {
    let readers = registry.entries().iter().filter(|entry| !entry.tool.writes());
    let mut features: Vec<String> = readers
        .flat_map(|entry| entry.tool.rights.iter().copied())
        .filter(|right| right.ends_with(".view") || right.ends_with(".list"))
        .filter(|right| !right.starts_with("api_keys.") && ADMIN.iter().any(|grant| covers(grant, right)))
        .chain(["audit_logs.view_self"])
        .map(str::to_owned)
        .collect();
    features.sort();
    features.dedup();
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<BuiltIn> {
        roles(&Registry::new(crate::toolsets(), crate::TABLES, "{}").unwrap())
    }

    #[test]
    fn an_administrator_may_give_every_role_but_the_owners() {
        for role in all().iter().filter(|role| role.code != "owner") {
            for feature in &role.features {
                assert!(ADMIN.iter().any(|grant| covers(grant, feature)), "{feature} of {}", role.code);
            }
        }
    }

    #[test]
    fn main_roles_exist_and_no_code_is_there_twice() {
        let codes: Vec<&str> = all().iter().map(|role| role.code).collect();
        assert!(MAIN.iter().all(|code| codes.contains(code)) && MAIN.contains(&USUAL));
        assert_eq!(codes.iter().collect::<std::collections::HashSet<_>>().len(), codes.len());
    }

    #[test]
    fn a_reader_only_looks() {
        let all = all();
        let reader = all.iter().find(|role| role.code == "reader").unwrap();
        assert!(reader.features.iter().any(|feature| feature == "auth.users.list"));
        assert!(!reader.features.iter().any(|feature| feature.contains("manage") || feature == "api_keys.view"));
    }

    #[test]
    fn no_administrator_handles_tenants() {
        assert!(!ADMIN.iter().any(|grant| covers(grant, "directory.tenants.manage")));
    }
}
