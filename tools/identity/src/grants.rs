//! What a person holds and by what, and the bound on giving: nobody gives, or takes charge of, more than they hold.

use bureau_kit::guards::{Guard, stands};
use bureau_kit::prelude::*;
use bureau_kit::rights::{Principal, covers};

/// Something that gives features: a role, or a grant to the person.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) features: Vec<String>,
    /// Organizations it is limited to; none means all.
    pub(crate) organizations: Option<Vec<Uuid>>,
}

/// What gives this user their features, by the same reading as the gate's: a personal grant replaces the roles.
pub(crate) async fn sources_of(ctx: &mut Ctx, user: &Record) -> Result<Vec<Source>> {
    let tenant = ctx.tenant_id();
    let personal = Sql::with(
        "SELECT id, features, organization_ids FROM user_grants WHERE tenant_id = $1 AND user_id = $2",
        [tenant.into(), user.id.into()],
    );
    if let Some(row) = ctx.rows(&personal).await?.first() {
        let (id, features, organizations) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let name = "personal grant".to_owned();
        return Ok(vec![source("personal_grant", name, id, features, organizations)]);
    }
    let roles = Sql::with(
        "SELECT id, features, organization_ids, name FROM roles WHERE tenant_id = $1 AND (code = $2 OR id IN \
         (SELECT role_id FROM user_roles WHERE tenant_id = $1 AND user_id = $3)) ORDER BY num",
        [tenant.into(), user.text("role").into(), user.id.into()],
    );
    let rows = ctx.rows(&roles).await?;
    rows.iter().map(|row| Ok(source("role", row.get(3)?, row.get(0)?, row.get(1)?, row.get(2)?))).collect()
}

fn source(kind: &'static str, name: String, id: Uuid, features: Option<Value>, organizations: Option<Value>) -> Source {
    Source { kind, name, id, features: texts(features.as_ref()), organizations: ids(organizations.as_ref()) }
}

/// The texts of a JSON list; none when there is no list.
pub(crate) fn texts(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn ids(list: Option<&Value>) -> Option<Vec<Uuid>> {
    list.filter(|list| list.is_array())
        .map(|list| texts(Some(list)).iter().filter_map(|id| Uuid::try_parse(id).ok()).collect())
}

/// Whether the caller holds a feature and its token left it.
pub(crate) fn commands(principal: &Principal, feature: &str) -> bool {
    principal.holds(feature) && principal.left_by_token(feature)
}

/// The features among these that the caller cannot pass on.
fn beyond<'f>(principal: &Principal, features: &'f [String]) -> Vec<&'f str> {
    features
        .iter()
        .map(String::as_str)
        .filter(|feature| !commands(principal, feature) && stands(Guard::GiveNoMore))
        .collect()
}

/// Refuses to pass on features that the caller does not hold, naming them.
pub(crate) fn refuse_beyond_own(ctx: &Ctx, features: &[String], what: &str) -> Result<()> {
    let beyond = beyond(ctx.principal(), features);
    if beyond.is_empty() {
        return Ok(());
    }
    let names = beyond.join(", ");
    Err(Error::forbidden(format!(
        "{what} would give {names}, which you do not hold or your token leaves out. Nobody gives more than they hold: leave it \
         out, or ask someone who holds it."
    ))
    .with("missing", names))
}

/// Refuses to give a role that gives more than the caller has, in features or in organizations.
pub(crate) fn refuse_role(ctx: &Ctx, role: &Record) -> Result<()> {
    let name = role.text("name");
    let features: Option<Value> = role.get("features")?;
    refuse_beyond_own(ctx, &texts(features.as_ref()), &format!("The role {name}"))?;
    let limit: Option<Value> = role.get("organization_ids")?;
    match (&ctx.principal().organizations, ids(limit.as_ref())) {
        (None, _) => Ok(()),
        (Some(own), Some(role)) if role.iter().all(|id| own.contains(id)) => Ok(()),
        (Some(_), _) if !stands(Guard::RoleWithinOrganizations) => Ok(()),
        (Some(_), _) => Err(Error::forbidden(format!(
            "The role {name} reaches beyond the organizations you are limited to. Ask an administrator of the whole tenant."
        ))
        .with("missing", "all organizations")),
    }
}

/// Refuses to change or act for a person who holds more than the caller: whoever may set a password or mint a key for
/// another could otherwise become them.
pub(crate) async fn refuse_above(ctx: &mut Ctx, user: &Record) -> Result<()> {
    let sources = sources_of(ctx, user).await?;
    for source in &sources {
        let beyond = beyond(ctx.principal(), &source.features);
        if !beyond.is_empty() {
            let names = beyond.join(", ");
            return Err(Error::forbidden(format!(
                "{} holds {names} by {} {}, which you do not hold or your token leaves out. Only someone who holds as much may do this.",
                user.text("name"),
                source.kind.replace('_', " "),
                source.name,
            ))
            .with("missing", names));
        }
    }
    if stands(Guard::SuperAdminAbove) && user.flag("is_super_admin") && !ctx.principal().is_super_admin {
        return Err(Error::forbidden(format!(
            "{} administers the whole installation. Only someone who does so too may do this.",
            user.text("name")
        ))
        .with("missing", "is_super_admin"));
    }
    let own = &ctx.principal().organizations;
    let wider = |source: &Source| match (own, &source.organizations) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(own), Some(theirs)) => theirs.iter().any(|id| !own.contains(id)),
    };
    if stands(Guard::PersonWithinOrganizations) && sources.iter().any(wider) {
        return Err(Error::forbidden(format!(
            "{} reaches beyond the organizations you are limited to. Ask an administrator of the whole tenant.",
            user.text("name")
        ))
        .with("missing", "all organizations"));
    }
    Ok(())
}

/// Whether any of the grants gives the feature.
pub(crate) fn gives(features: &[String], feature: &str) -> bool {
    features.iter().any(|grant| covers(grant, feature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_the_database_are_read_or_empty() {
        assert_eq!(texts(Some(&json!(["a.view", 3, "b.*"]))), ["a.view", "b.*"]);
        assert!(texts(None).is_empty() && texts(Some(&Value::Null)).is_empty());
        let id = Uuid::from_u128(7);
        assert_eq!(ids(Some(&json!([id.to_string()]))), Some(vec![id]));
        assert_eq!(ids(Some(&Value::Null)), None);
        assert_eq!(ids(Some(&json!([]))), Some(Vec::new()), "limited to nothing is not unlimited");
    }
}
