//! Why a call is allowed or not: the rights it needs, what gives them, what takes them away, and what to do.

use bureau_kit::guards::{Guard, stands};
use bureau_kit::prelude::*;
use bureau_kit::rights::Credential;

use crate::grants::{self, Source};
use crate::users::User;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("permission_explain", "", explain)
            .title("Explain a permission")
            .about(
                "Explain whether a tool or feature may be used, which role or grant gives the right, what takes it away (the \
                 token, the toolsets switched on), and what to do. For another user needs auth.acl.manage.",
            )
            .synonyms("why forbidden access denied rights can i dlaczego brak uprawnień dostęp чому немає прав доступ"),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExplainInput {
    /// Name of a tool, such as contract_settle. Give this or feature.
    tool: Option<String>,
    /// Name of a feature, such as contracts.view. Give this or tool.
    feature: Option<String>,
    /// User to explain it for; yourself when left out.
    user_id: Option<Id<User>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Explained {
    /// Whether it is allowed right now.
    allowed: bool,
    /// Who it is about.
    who: String,
    /// The tool, if that was asked.
    tool: Option<String>,
    /// Rights of which any one is enough; none are needed when empty.
    needed: Vec<String>,
    /// What is held of them.
    granted_by: Vec<Granted>,
    /// What stands in the way although the right is held.
    taken_away_by: Vec<String>,
    /// What to do next.
    next_step: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Granted {
    /// The right.
    right: String,
    /// What gives it: role, personal_grant, or api_key.
    by: String,
    /// Name of the role or key.
    name: String,
    /// Its UUID.
    id: String,
}

async fn explain(ctx: &mut Ctx, input: ExplainInput) -> Result<Explained> {
    let (tool, needed) = subject(ctx, &input)?;
    let principal = ctx.principal().clone();
    let other = match input.user_id {
        Some(id) => Some(ctx.fetch(id).await?).filter(|user| principal.user_id != Some(user.id)),
        None => None,
    };
    if stands(Guard::ExplainOthers) && other.is_some() && !principal.may(&["auth.acl.manage"]) {
        return Err(Error::forbidden(
            "Explaining what others may do needs the right auth.acl.manage. Leave user_id out to ask about yourself.",
        )
        .with("missing", "auth.acl.manage"));
    }
    let who = other.as_ref().map_or_else(|| principal.label.clone(), |user| user.text("name").to_owned());
    let sources = match (&other, principal.user_id) {
        (Some(user), _) => grants::sources_of(ctx, user).await?,
        (None, Some(user)) => match ctx.find_in(User::TABLE, Key::Uuid(user)).await? {
            Some(user) => grants::sources_of(ctx, &user).await?,
            None => own_sources(ctx),
        },
        (None, None) => own_sources(ctx),
    };
    let granted_by = granted(&needed, &sources);
    let mut taken_away_by = Vec::new();
    if let Some(user) = &other {
        if !user.flag("active") {
            taken_away_by.push("the user is blocked".to_owned());
        }
    } else {
        taken_away_by = obstacles(ctx, tool.as_deref(), &needed, &granted_by);
    }
    let held = needed.is_empty() || !granted_by.is_empty();
    let allowed = held && taken_away_by.is_empty();
    let next_step = next_step(allowed, held, tool.as_deref(), &needed, &taken_away_by);
    Ok(Explained { allowed, who, tool, needed, granted_by, taken_away_by, next_step })
}

/// The tool asked about, and the rights of which any one is enough.
fn subject(ctx: &Ctx, input: &ExplainInput) -> Result<(Option<String>, Vec<String>)> {
    match (&input.tool, &input.feature) {
        (Some(name), None) => {
            let registry = &ctx.bureau().registry;
            let entry = registry.find(name).ok_or_else(|| {
                let near = registry.nearest(name).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                Error::invalid("/tool", format!("there is no tool `{name}`{near}"))
            })?;
            let needed = entry.tool.rights.iter().map(|&right| right.to_owned()).collect();
            Ok((Some(entry.tool.name.to_owned()), needed))
        }
        (None, Some(feature)) => {
            let feature = feature.trim();
            if feature.is_empty() || feature.chars().count() > 100 {
                return Err(Error::invalid("/feature", "is not a feature, such as contracts.view"));
            }
            Ok((None, vec![feature.to_owned()]))
        }
        _ => Err(Error::validation("Give either tool or feature.")),
    }
}

/// What a key of its own holds; also the fallback for a user outside of the caller's organizations.
fn own_sources(ctx: &Ctx) -> Vec<Source> {
    let principal = ctx.principal();
    let id = match principal.credential {
        Credential::ApiKey(id) | Credential::Session(id) | Credential::OAuth(id) => id,
        Credential::LocalOwner | Credential::Nobody => Uuid::nil(),
    };
    vec![Source {
        kind: "api_key",
        name: principal.label.clone(),
        id,
        features: principal.features.clone(),
        organizations: principal.organizations.clone(),
    }]
}

fn granted(needed: &[String], sources: &[Source]) -> Vec<Granted> {
    let mut found = Vec::new();
    for right in needed {
        for source in sources.iter().filter(|source| grants::gives(&source.features, right)) {
            let (by, name, id) = (source.kind.to_owned(), source.name.clone(), source.id.to_string());
            found.push(Granted { right: right.clone(), by, name, id });
        }
    }
    found
}

/// What takes a held right away from the caller: the token's limits, and what is switched on where the call came in.
fn obstacles(ctx: &Ctx, tool: Option<&str>, needed: &[String], granted: &[Granted]) -> Vec<String> {
    let principal = ctx.principal();
    let mut found = Vec::new();
    let left = needed.is_empty() || granted.iter().any(|grant| principal.left_by_token(&grant.right));
    if !left && !granted.is_empty() {
        let features = principal.narrowing.features.as_deref().unwrap_or_default().join(", ");
        found.push(format!("your token was narrowed to the features {features}"));
    }
    let Some(entry) = tool.and_then(|name| ctx.bureau().registry.find(name)) else { return found };
    if principal.narrowing.read_only && entry.tool.writes() {
        found.push("your token is read-only".to_owned());
    }
    found.extend(ctx.selection().obstacles(entry));
    // Tools that find and carry out others belong to every token; the gate checks what they carry out.
    if entry.toolset != bureau_kit::gate::DISCOVERY && !principal.may_use_toolset(entry.toolset) {
        let toolsets = principal.narrowing.toolsets.as_deref().unwrap_or_default().join(", ");
        found.push(format!("your token was narrowed to the toolsets {toolsets}, and this is one of {}", entry.toolset));
    }
    found
}

fn next_step(allowed: bool, held: bool, tool: Option<&str>, needed: &[String], taken_away_by: &[String]) -> String {
    if allowed {
        return tool.map_or_else(|| "Nothing: the feature is held.".to_owned(), |tool| format!("Call {tool}."));
    }
    if !held {
        return format!(
            "Ask an administrator for a role that gives {} (role_list shows the roles, user_update gives one).",
            needed.join(" or ")
        );
    }
    if taken_away_by.iter().any(|reason| reason.contains("switched on here") || reason.contains("this server")) {
        return "Connect to an address or server that switches it on; the right itself is held.".to_owned();
    }
    if taken_away_by.iter().any(|reason| reason.contains("blocked")) {
        return "Lift the block with user_update (active=1).".to_owned();
    }
    "Use a wider token: the one this was minted from, or ask its owner for another (session_create).".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_traced_to_what_gives_them() {
        let source = |name: &str, features: &[&str]| Source {
            kind: "role",
            name: name.into(),
            id: Uuid::nil(),
            features: features.iter().map(|&feature| feature.to_owned()).collect(),
            organizations: None,
        };
        let sources = [source("User", &["contracts.*"]), source("Guest", &["organize.tasks.view"])];
        let found = granted(&["contracts.settle".into(), "finance.view".into()], &sources);
        assert_eq!(found.iter().map(|grant| grant.name.as_str()).collect::<Vec<_>>(), ["User"]);
    }

    #[test]
    fn the_next_step_fits_the_obstacle() {
        let needed = ["contracts.view".to_owned()];
        assert_eq!(next_step(true, true, Some("contract_list"), &needed, &[]), "Call contract_list.");
        assert_eq!(
            next_step(false, false, None, &needed, &[]),
            "Ask an administrator for a role that gives contracts.view (role_list shows the roles, user_update gives one)."
        );
        assert!(
            next_step(false, true, None, &needed, &["your token is read-only".into()]).starts_with("Use a wider token")
        );
        assert!(next_step(false, true, None, &needed, &["the user is blocked".into()]).starts_with("Lift the block"));
    }
}
