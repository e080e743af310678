//! Identity: who there is, what each may do, by which tokens, and what was done.
//!
//! Organizations, roles, users, sessions and API keys (Open Mercato, Intum, CCRM), members and teams as Worksection
//! shows them, the action log with undo and redo, and the first start of an installation.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod account;
mod acl;
mod additional_fields;
mod any_json;
mod api_key_rows;
mod api_key_update;
mod api_keys;
pub mod assistant;
mod audit;
mod builtin;
mod ccrm;
mod connections;
mod departments;
mod domains;
mod features;
mod flag;
pub mod founding;
mod grants;
mod group_members;
mod groups;
mod invitation_accept;
mod invitations;
mod login;
mod membership;
mod oauth_subjects;
pub mod onboarding;
mod organizations;
mod password_reset;
mod passwords;
mod permissions;
mod person_link;
mod profile;
mod reach;
mod role_write;
mod roles;
mod search_index;
mod self_service;
mod session_mint;
mod sessions;
mod setting_keys;
mod settings;
mod sidebar;
mod switcher;
mod system;
mod teams;
mod tenants;
mod toggle_overrides;
mod toggles;
mod upgrades;
mod user_batch;
mod user_end;
mod user_fields;
mod user_groups;
mod user_rows;
mod user_write;
mod users;
mod worksection;

use std::sync::Arc;

use bureau_kit::mail::Letter;
use bureau_kit::prelude::*;

pub use api_keys::{ApiKey, NewKey, mint_api_key};
pub use domains::Domain;
pub use groups::{Group, GroupType};
pub use invitations::{Invitation, Invite, invite};
pub use organizations::Organization;
pub use roles::Role;
pub use sessions::Session;
pub use settings::{company_setting, set_company_setting};
pub use teams::Team;
pub use tenants::Tenant;
pub use users::User;
pub use worksection::{worksection_error, worksection_tools};

/// Every table of this crate.
pub const TABLES: &[&Table] = &[
    &tenants::TENANTS,
    &organizations::ORGANIZATIONS,
    &roles::ROLES,
    &teams::TEAMS,
    &groups::GROUP_TYPES,
    &groups::GROUPS,
    &users::USERS,
    &roles::USER_ROLES,
    &roles::USER_GRANTS,
    &teams::TEAM_MEMBERS,
    &groups::GROUP_MEMBERS,
    &api_keys::API_KEYS,
    &sessions::SESSIONS,
    &oauth_subjects::OAUTH_SUBJECTS,
    &invitations::INVITATIONS,
    &password_reset::PASSWORD_RESETS,
    &settings::SETTINGS,
    &domains::DOMAINS,
    &toggle_overrides::OVERRIDES,
    &sidebar::SIDEBAR_PREFERENCES,
];

/// The mails that this crate sends.
pub fn letters() -> Vec<Arc<dyn Letter>> {
    vec![
        Arc::new(invitations::InvitationLetter),
        Arc::new(password_reset::PasswordResetLetter),
        Arc::new(onboarding::OnboardingLetter),
    ]
}

/// The tools, toolset by toolset. Worksection's own are in [`worksection_tools`], since three crates make up its toolset.
pub fn toolsets() -> Vec<Toolset> {
    vec![
        Toolset {
            name: "access",
            about: "Organizations, roles, users, session tokens and API keys, and why a call is allowed or not.",
            tools: [
                organizations::tools(),
                roles::tools(),
                role_write::tools(),
                acl::tools(),
                features::tools(),
                users::tools(),
                user_batch::tools(),
                ccrm::tools(),
                login::tools(),
                password_reset::tools(),
                invitation_accept::tools(),
                profile::tools(),
                sidebar::tools(),
                sessions::tools(),
                connections::tools(),
                api_keys::tools(),
                oauth_subjects::tools(),
                permissions::tools(),
            ]
            .concat(),
        },
        Toolset { name: "audit", about: "What was done, by whom, and taking it back.", tools: audit::tools() },
        Toolset {
            name: "search",
            about: "Upkeep of the index by which records are found.",
            tools: search_index::tools(),
        },
        Toolset { name: "teams", about: "Teams that work is assigned to, and who is in them.", tools: teams::tools() },
        Toolset {
            name: "groups",
            about: "User groups and departments, and who is in them.",
            tools: [user_groups::tools(), departments::tools()].concat(),
        },
        Toolset {
            name: "directory",
            about: "The companies of this installation, for those who run it, and what one may work in.",
            tools: [tenants::tools(), switcher::tools()].concat(),
        },
        Toolset {
            name: "system",
            about: "The running server, for those who run it: caches, state, upgrade steps.",
            tools: [system::tools(), upgrades::tools()].concat(),
        },
        Toolset {
            name: "account",
            about: "What the company says of itself: its account, settings and domains; and opening one.",
            tools: [account::tools(), settings::tools(), domains::tools(), self_service::tools()].concat(),
        },
        Toolset {
            name: "toggles",
            about: "Feature toggles of the installation, and what they are for one's own company.",
            tools: [toggles::tools(), toggle_overrides::tools()].concat(),
        },
        assistant::toolset(),
    ]
}
