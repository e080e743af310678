//! Tokens and links belong to people, not to organizations: whoever is limited to organizations sees those of the people they
//! see, and their own.

use bureau_kit::prelude::*;
use bureau_kit::rights::{Credential, Principal};

/// Links of users: those of users in reach.
pub(crate) fn of_users(principal: &Principal, organizations: &[Uuid], sql: &mut Sql) {
    sql.push(" AND (");
    users_in_reach(principal, organizations, sql);
    sql.push(")");
}

/// Keys: those of users in reach, and those that stand for themselves in an organization in reach.
pub(crate) fn keys(principal: &Principal, organizations: &[Uuid], sql: &mut Sql) {
    sql.push(" AND (");
    users_in_reach(principal, organizations, sql);
    sql.push(" OR (user_id IS NULL").and_in("organization_id", organizations.iter().copied()).push(")");
    if let Credential::ApiKey(own) = principal.credential {
        sql.push(" OR id = ").bind(own);
    }
    sql.push(")");
}

/// Sessions: those of users in reach, those of keys that stand for themselves there, the caller's own and what came of it.
pub(crate) fn sessions(principal: &Principal, organizations: &[Uuid], sql: &mut Sql) {
    sql.push(" AND (");
    users_in_reach(principal, organizations, sql);
    sql.push(" OR (user_id IS NULL AND api_key_id IN (SELECT id FROM api_keys WHERE tenant_id = ");
    sql.bind(principal.tenant_id).and_in("organization_id", organizations.iter().copied()).push("))");
    if let Credential::Session(own) | Credential::ApiKey(own) | Credential::OAuth(own) = principal.credential {
        sql.push(" OR id = ").bind(own).push(" OR CAST(ancestry AS TEXT) LIKE ").bind(format!("%{own}%"));
    }
    sql.push(")");
}

/// The same users as `user_list` shows, and the caller.
fn users_in_reach(principal: &Principal, organizations: &[Uuid], sql: &mut Sql) {
    sql.push("user_id IN (SELECT id FROM users WHERE tenant_id = ").bind(principal.tenant_id);
    sql.push(" AND (organization_id IS NULL OR (TRUE").and_in("organization_id", organizations.iter().copied());
    sql.push(")))");
    if let Some(own) = principal.user_id {
        sql.push(" OR user_id = ").bind(own);
    }
}
