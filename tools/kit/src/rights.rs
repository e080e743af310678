//! Features, wildcards, and what a token was narrowed to.

use std::net::IpAddr;
use std::sync::OnceLock;

use uuid::Uuid;

use crate::address::AddressRange;
use crate::error::{Error, Result};
use crate::guards::{Guard, stands};
use crate::time::Instant;

/// Whether holding `grant` gives `feature`: the same name, `*`, or `prefix.*` over everything below the prefix.
pub fn covers(grant: &str, feature: &str) -> bool {
    if grant == "*" || grant == feature {
        return true;
    }
    let Some(prefix) = grant.strip_suffix(".*") else { return false };
    // `contracts.*` also covers the feature `contracts` itself, and everything that `contracts.settle.*` would cover.
    let feature = feature.strip_suffix(".*").unwrap_or(feature);
    let ends = |rest: &str| rest.starts_with('.') || !stands(Guard::WholeNames);
    feature == prefix || feature.strip_prefix(prefix).is_some_and(ends)
}

/// Features that reach beyond one tenant: only super administrators hold them, whatever roles and grants say. So an owner
/// may hold `*` and still sees nothing of other tenants.
pub const OF_INSTALLATION: &[&str] = &["configs.*", "directory.tenants.*", "feature_toggles.*"];

/// Whether a feature is one of those that reach beyond one tenant.
pub fn is_of_installation(feature: &str) -> bool {
    OF_INSTALLATION.iter().any(|grant| covers(grant, feature))
}

/// What the five systems call their permissions, and the features that mean the same here.
///
/// Open Mercato's codes are features already. From the permission columns of the system files.
pub const SOURCE_CODES: &[(&str, &[&str])] = &[
    // Intum: a privilege for each module.
    ("account", &["account.*"]),
    ("activities", &["customers.activities.*"]),
    ("api_tokens", &["api_keys.*"]),
    ("appstore", &["appstore.*"]),
    ("billing", &["billing.*"]),
    ("calendar", &["calendar.*"]),
    ("chat", &["chat.*"]),
    ("cms", &["cms.*"]),
    ("connect", &["connect.*"]),
    ("crm", &["customers.*"]),
    ("dashboard", &["dashboards.*"]),
    ("departments", &["departments.*"]),
    ("domains", &["domains.*"]),
    ("favorites", &["favorites.*"]),
    ("form", &["form.*"]),
    ("groups", &["staff.teams.*", "groups.*"]),
    ("insight", &["insight.*"]),
    ("kb", &["kb.*"]),
    ("mail", &["mail.*"]),
    ("noe", &["noe.*"]),
    ("notifications", &["notifications.*"]),
    ("organize", &["organize.*"]),
    ("profile", &["profile.*"]),
    ("projects", &["organize.projects.*"]),
    ("recurrings", &["organize.recurrings.*"]),
    ("reports", &["organize.reports.*"]),
    ("roles", &["auth.roles.*"]),
    ("tags", &["organize.tags.*"]),
    ("tasks", &["organize.tasks.*"]),
    ("teams", &["organize.teams.*"]),
    ("todos", &["organize.tasks.*"]),
    ("users", &["auth.users.*"]),
    ("voip", &["voip.*"]),
    ("webhooks", &["webhooks.*"]),
    // Worksection: scopes of its OAuth tokens.
    ("administrative", &["*"]),
    ("comments_read", &["organize.comments.view"]),
    ("comments_write", &["organize.comments.manage"]),
    ("contacts_read", &["customers.contacts.view"]),
    ("contacts_write", &["customers.contacts.manage"]),
    ("costs_read", &["organize.costs.view"]),
    ("costs_write", &["organize.costs.manage"]),
    ("files_read", &["attachments.view"]),
    ("files_write", &["attachments.manage"]),
    ("projects_read", &["organize.projects.view"]),
    ("projects_write", &["organize.projects.manage"]),
    ("tags_read", &["organize.tags.view"]),
    ("tags_write", &["organize.tags.manage"]),
    ("tasks_read", &["organize.tasks.view"]),
    ("tasks_write", &["organize.tasks.manage"]),
    ("users_read", &["auth.users.list"]),
    ("users_write", &["auth.users.create"]),
    // The iblai CRM: product, resource and verb.
    ("Ibl.CRM/Activities/list", &["customers.activities.view"]),
    ("Ibl.CRM/Activities/read", &["customers.activities.view"]),
    ("Ibl.CRM/Activities/action", &["customers.activities.manage"]),
    ("Ibl.CRM/Activities/write", &["customers.activities.manage"]),
    ("Ibl.CRM/Activities/delete", &["customers.activities.manage"]),
    ("Ibl.CRM/Deals/list", &["customers.deals.view"]),
    ("Ibl.CRM/Deals/read", &["customers.deals.view"]),
    ("Ibl.CRM/Deals/action", &["customers.deals.manage"]),
    ("Ibl.CRM/Deals/write", &["customers.deals.manage"]),
    ("Ibl.CRM/Deals/delete", &["customers.deals.manage"]),
    ("Ibl.CRM/Organizations/list", &["customers.companies.view"]),
    ("Ibl.CRM/Organizations/read", &["customers.companies.view"]),
    ("Ibl.CRM/Organizations/action", &["customers.companies.manage"]),
    ("Ibl.CRM/Organizations/write", &["customers.companies.manage"]),
    ("Ibl.CRM/Organizations/delete", &["customers.companies.manage"]),
    ("Ibl.CRM/Persons/list", &["customers.people.view"]),
    ("Ibl.CRM/Persons/read", &["customers.people.view"]),
    ("Ibl.CRM/Persons/action", &["customers.people.manage"]),
    ("Ibl.CRM/Persons/write", &["customers.people.manage"]),
    ("Ibl.CRM/Persons/delete", &["customers.people.manage"]),
    ("Ibl.CRM/Pipelines/list", &["customers.pipelines.view"]),
    ("Ibl.CRM/Pipelines/read", &["customers.pipelines.view"]),
    ("Ibl.CRM/Pipelines/action", &["customers.pipelines.manage"]),
    ("Ibl.CRM/Pipelines/write", &["customers.pipelines.manage"]),
    ("Ibl.CRM/Pipelines/delete", &["customers.pipelines.manage"]),
    ("Ibl.CRM/Tags/list", &["customers.activities.view"]),
    ("Ibl.CRM/Tags/read", &["customers.activities.view"]),
    ("Ibl.CRM/Tags/action", &["customers.activities.manage"]),
    ("Ibl.CRM/Tags/write", &["customers.activities.manage"]),
    ("Ibl.CRM/Tags/delete", &["customers.activities.manage"]),
    ("Ibl.CRM/Invite/action", &["customers.people.invite"]),
    // CCRM: one key opens the whole section.
    ("users.view", &["auth.users.list"]),
    ("users.manage", &["auth.users.*"]),
    // Open Mercato: what only super administrators may.
    ("role:superadmin", &["configs.*", "directory.tenants.*", "feature_toggles.*"]),
];

/// The system that a code of [`SOURCE_CODES`] is of, as `tools/sources.json` names it.
pub fn system_of(code: &str) -> &'static str {
    match code {
        "users.view" | "users.manage" => "ccrm",
        "administrative" => "worksection",
        _ if code.starts_with("role:") => "mercato",
        _ if code.contains('/') => "ibl",
        _ if code.ends_with("_read") || code.ends_with("_write") => "worksection",
        _ => "intum",
    }
}

/// The features that a code of any of the systems stands for; an unknown code is taken for a feature.
pub fn features_of(code: &str) -> Vec<String> {
    SOURCE_CODES.iter().find(|(source, _)| *source == code).map_or_else(
        || vec![code.to_owned()],
        |(_, features)| features.iter().map(|&feature| feature.to_owned()).collect(),
    )
}

/// The features that both of two lists give.
pub fn intersection(one: &[String], other: &[String]) -> Vec<String> {
    let given_by = |list: &[String], feature: &String| list.iter().any(|grant| covers(grant, feature));
    let mut both: Vec<String> = one.iter().filter(|feature| given_by(other, feature)).cloned().collect();
    both.extend(other.iter().filter(|feature| given_by(one, feature)).cloned());
    both.sort();
    both.dedup();
    both
}

/// Limits that a token carries. Every field is a limit; none of them can give anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// Only these features, of those the user holds.
    pub features: Option<Vec<String>>,
    /// Only tools of these toolsets.
    pub toolsets: Option<Vec<String>>,
    /// No writes.
    pub read_only: bool,
}

/// By what the caller proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A session token; holds the session's id.
    Session(Uuid),
    /// An API key; holds its id.
    ApiKey(Uuid),
    /// An access token of the OAuth issuer; holds an id derived from that one token, since another token of the same
    /// person may have been given other scopes.
    OAuth(Uuid),
    /// Nothing: the caller of a public tool.
    Nobody,
    /// The person at the machine, over stdio or the command line, with the database file in hand.
    LocalOwner,
}

/// Who calls, and what they may do right now.
#[derive(Debug)]
pub struct Principal {
    /// The tenant; every row seen or written is this tenant's.
    pub tenant_id: Uuid,
    /// The acting user; none for an API key that stands for itself.
    pub user_id: Option<Uuid>,
    /// Who it is, for journals and logs.
    pub label: String,
    /// What was shown.
    pub credential: Credential,
    /// Sessions and keys that this one was minted from, nearest first.
    pub ancestry: Vec<Uuid>,
    /// Features held at this moment.
    pub features: Vec<String>,
    /// Administers the installation: holds every feature, those beyond the tenant included.
    pub is_super_admin: bool,
    /// What the token took away.
    pub narrowing: Narrowing,
    /// Organizations the caller is limited to, descendants included; none means all.
    pub organizations: Option<Vec<Uuid>>,
    /// The organization new records belong to; none makes them tenant-wide.
    pub organization_id: Option<Uuid>,
    /// Writes are counted down and end.
    pub has_write_budget: bool,
    /// When the token ends.
    pub expires_at: Option<Instant>,
    /// For each key behind the token that is tied to addresses: those from which it may be used.
    pub allowed_addresses: Vec<Vec<AddressRange>>,
    /// Which state of all rights this was computed from.
    pub(crate) epoch: i64,
    /// Tools this caller sees, as a place for the protocol layer to keep its rendered lists.
    pub cached: OnceLock<Box<dyn std::any::Any + Send + Sync>>,
}

impl Principal {
    /// Somebody in a tenant who holds nothing, limited to nothing: what the kit and public tools begin with.
    pub(crate) fn plain(tenant_id: Uuid, user_id: Option<Uuid>, label: &str, credential: Credential) -> Self {
        Self {
            tenant_id,
            user_id,
            label: label.to_owned(),
            credential,
            ancestry: Vec::new(),
            features: Vec::new(),
            is_super_admin: false,
            narrowing: Narrowing::default(),
            organizations: None,
            organization_id: None,
            has_write_budget: false,
            expires_at: None,
            allowed_addresses: Vec::new(),
            epoch: 0,
            cached: OnceLock::new(),
        }
    }

    /// The caller of a public tool who showed nothing: in no tenant, and holding nothing.
    pub(crate) fn nobody() -> Self {
        Self::plain(Uuid::nil(), None, "nobody", Credential::Nobody)
    }

    /// Refuses a call from an address from which a key behind the token may not be used.
    pub fn check_address(&self, address: Option<IpAddr>) -> Result<()> {
        if self.allowed_addresses.iter().all(|ranges| ranges.iter().any(|range| range.admits(address))) {
            return Ok(());
        }
        let from = address.map_or_else(|| "this machine".to_owned(), |address| address.to_canonical().to_string());
        Err(Error::unauthenticated(format!(
            "The key behind this token may not be used from {from}. Call from one of its allowed addresses, or let its owner change them (api_key_update)."
        ))
        .with("reason", "address_not_allowed"))
    }

    /// Whether the caller showed nothing.
    pub fn is_nobody(&self) -> bool {
        self.credential == Credential::Nobody
    }

    /// Whether the caller holds any of `rights` and the token was not narrowed below it. No rights needed is yes.
    pub fn may(&self, rights: &[&str]) -> bool {
        rights.is_empty() || rights.iter().any(|right| self.holds(right) && self.left_by_token(right))
    }

    /// Whether the user or key behind the call holds a feature, whatever the token.
    pub fn holds(&self, feature: &str) -> bool {
        self.is_super_admin
            || ((!is_of_installation(feature) || !stands(Guard::InstallationRights))
                && self.features.iter().any(|grant| covers(grant, feature)))
    }

    /// Whether the token left a feature usable.
    pub fn left_by_token(&self, feature: &str) -> bool {
        !stands(Guard::TokenFeatures)
            || self
                .narrowing
                .features
                .as_ref()
                .is_none_or(|features| features.iter().any(|grant| covers(grant, feature)))
    }

    /// Whether the token left a toolset usable.
    pub fn may_use_toolset(&self, toolset: &str) -> bool {
        !stands(Guard::TokenToolsets)
            || self.narrowing.toolsets.as_ref().is_none_or(|toolsets| toolsets.iter().any(|name| name == toolset))
    }

    /// Whom repeated calls and undo belong to.
    pub fn actor_id(&self) -> Uuid {
        match (self.user_id, &self.credential) {
            (Some(user), _) => user,
            (None, Credential::ApiKey(key) | Credential::Session(key)) => *key,
            (None, _) => Uuid::nil(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_cover_what_lies_below_them_and_nothing_beside() {
        for (grant, feature, expected) in [
            ("*", "anything.at.all", true),
            ("contracts.view", "contracts.view", true),
            ("contracts.*", "contracts.view", true),
            ("contracts.*", "contracts", true),
            ("contracts.*", "contracts.settle.*", true),
            ("contracts.view", "contracts.*", false),
            ("contracts.*", "*", false),
            ("contracts.*", "contractsx.view", false),
            ("contract*", "contracts.view", false),
            ("", "contracts.view", false),
        ] {
            assert_eq!(covers(grant, feature), expected, "{grant} over {feature}");
        }
    }

    #[test]
    fn an_intersection_gives_what_both_give() {
        let list = |features: &[&str]| features.iter().map(|&feature| feature.to_owned()).collect::<Vec<_>>();
        let both = intersection(
            &list(&["organize.*", "contracts.view"]),
            &list(&["organize.tasks.view", "contracts.*", "customers.*"]),
        );
        assert_eq!(both, ["contracts.view", "organize.tasks.view"]);
        assert_eq!(intersection(&list(&["*"]), &list(&["contracts.*"])), ["contracts.*"]);
        assert_eq!(intersection(&list(&["contracts.view"]), &list(&["contracts.view"])), ["contracts.view"]);
        assert!(intersection(&list(&["contracts.*"]), &[]).is_empty());
    }

    #[test]
    fn source_codes_become_features() {
        assert_eq!(features_of("organize"), ["organize.*"]);
        assert_eq!(features_of("contracts.view"), ["contracts.view"]);
    }

    #[test]
    fn every_code_of_a_source_is_there_once_and_of_one_system() {
        let mut codes = std::collections::HashSet::new();
        assert!(SOURCE_CODES.iter().all(|(code, features)| codes.insert(*code) && !features.is_empty()));
        let of = |system: &str| SOURCE_CODES.iter().filter(|(code, _)| system_of(code) == system).count();
        // Intum's privileges, Worksection's seventeen scopes, six resources × five verbs and the invitation of iblai, CCRM's two.
        assert_eq!([of("intum"), of("worksection"), of("ibl"), of("ccrm"), of("mercato")], [34, 17, 31, 2, 1]);
    }
}
