//! Why a call is allowed or not: the rights it needs, what gives them, what takes them away, and what to do.

use std::sync::Arc;

use bureau_kit::guards::{Guard, stands};
use bureau_kit::prelude::*;
use bureau_kit::rights::{Credential, Principal, is_of_installation};

use crate::api_keys::ApiKey;
use crate::grants::{self, Source};
use crate::roles::Role;
use crate::sessions::{self, Session};
use crate::users::User;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("permission_explain", "", explain)
            .title("Explain why somebody can or can't use a tool")
            .about(
                "Explain whether a tool or feature may be used, which role or grant gives the right, what takes it away (the \
                 token, the toolsets switched on), and what to do. For yourself, or for a user, role, key or session; for those of others \
                 needs auth.acl.manage.",
            )
            .synonyms("why forbidden can't cannot access denied rights can i dlaczego brak uprawnień dostęp чому немає прав доступ"),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExplainInput {
    /// Name of a tool, such as contract_settle. Give this or feature.
    tool: Option<String>,
    /// Name of a feature, such as contracts.view. Give this or tool.
    feature: Option<String>,
    /// User to explain it for; yourself when left out, and none of the following either.
    user_id: Option<Id<User>>,
    /// Role to explain it for.
    role_id: Option<Id<Role>>,
    /// API key to explain it for, with what it was limited to.
    #[serde(alias = "key_id")]
    api_key_id: Option<Id<ApiKey>>,
    /// Session to explain it for, with what it was narrowed to.
    session_id: Option<Id<Session>>,
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
    /// What bounds the token whatever it is used for: addresses, writes, organizations, its end.
    limits: Vec<String>,
    /// What to do next.
    next_step: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Granted {
    /// The right.
    right: String,
    /// What gives it: role, personal_grant, api_key, or super_admin.
    by: String,
    /// Name of the role or key.
    name: String,
    /// Its UUID.
    id: String,
}

async fn explain(ctx: &mut Ctx, input: ExplainInput) -> Result<Explained> {
    let (tool, needed) = subject(ctx, &input)?;
    let about = About::of(ctx, &input).await?;
    let mut granted_by = granted(&needed, &about.sources);
    if let Some((name, id)) = &about.super_admin {
        let open: Vec<&String> =
            needed.iter().filter(|right| granted_by.iter().all(|by| by.right != **right)).collect();
        let by = |right: &String| Granted {
            right: right.clone(),
            by: "super_admin".into(),
            name: name.clone(),
            id: id.to_string(),
        };
        let more: Vec<Granted> = open.into_iter().map(by).collect();
        granted_by.extend(more);
    }
    let mut taken_away_by = about.ended.clone();
    if let Some(principal) = &about.narrowed {
        taken_away_by.extend(obstacles(ctx, principal, about.token, tool.as_deref(), &needed, &granted_by));
    }
    let held = needed.is_empty() || !granted_by.is_empty();
    let allowed = held && taken_away_by.is_empty();
    let next_step = if held || !needed.iter().all(|right| is_of_installation(right)) {
        next_step(allowed, held, tool.as_deref(), &needed, &taken_away_by)
    } else {
        format!(
            "{} reaches beyond one tenant: only super administrators hold it, whatever roles and grants say.",
            needed.join(" or ")
        )
    };
    Ok(Explained {
        allowed,
        who: about.who,
        tool,
        needed,
        granted_by,
        taken_away_by,
        limits: about.narrowed.as_deref().map(limits).unwrap_or_default(),
        next_step,
    })
}

/// Whom or what an explanation is about.
struct About {
    who: String,
    sources: Vec<Source>,
    /// Name and id of the user, when they administer the installation.
    super_admin: Option<(String, Uuid)>,
    /// Why nothing is allowed at all.
    ended: Vec<String>,
    /// What the token took away; none for a user or role by itself.
    narrowed: Option<Arc<Principal>>,
    /// What the token is called.
    token: &'static str,
}

impl About {
    async fn of(ctx: &mut Ctx, input: &ExplainInput) -> Result<Self> {
        match (input.user_id, input.role_id, input.api_key_id, input.session_id) {
            (None, None, None, None) => Self::caller(ctx).await,
            (Some(id), None, None, None) => {
                let user = ctx.fetch(id).await?;
                if ctx.principal().user_id == Some(user.id) {
                    return Self::caller(ctx).await;
                }
                refuse_without(ctx, &["auth.acl.manage"], "Explaining what others may do", "user_id")?;
                let mut about = Self::user(ctx, &user).await?;
                if !user.flag("active") {
                    about.ended.push("the user is blocked".to_owned());
                }
                Ok(about)
            }
            (None, Some(id), None, None) => {
                let rights = &["auth.acl.manage", "auth.roles.list"];
                refuse_without(ctx, rights, "Explaining what a role gives", "role_id")?;
                let role = ctx.fetch(id).await?;
                let features: Option<Value> = role.get("features")?;
                let source = own_source("role", role.text("name"), role.id, grants::texts(features.as_ref()));
                Ok(Self::plain(format!("the role {}", role.text("name")), vec![source]))
            }
            (None, None, Some(id), None) => {
                let key = ctx.fetch(id).await?;
                let principal = ctx.principal().clone();
                let is_own = principal.credential == Credential::ApiKey(key.id)
                    || principal.ancestry.contains(&key.id)
                    || (sessions::reaches_all_of_user(&principal)
                        && principal.user_id.is_some()
                        && key.id_of("user_id") == principal.user_id);
                if !is_own {
                    refuse_without(
                        ctx,
                        &["auth.acl.manage"],
                        "Explaining what the keys of others may do",
                        "api_key_id",
                    )?;
                }
                Self::token(ctx, &key, Credential::ApiKey(key.id), "the key").await
            }
            (None, None, None, Some(id)) => {
                let session = ctx.fetch(id).await?;
                if !sessions::is_own(ctx, &session)? {
                    let what = "Explaining what the sessions of others may do";
                    refuse_without(ctx, &["auth.acl.manage"], what, "session_id")?;
                }
                Self::token(ctx, &session, Credential::Session(session.id), "the session").await
            }
            _ => Err(Error::validation("Give at most one of user_id, role_id, api_key_id and session_id.")),
        }
    }

    fn plain(who: String, sources: Vec<Source>) -> Self {
        Self { who, sources, super_admin: None, ended: Vec::new(), narrowed: None, token: "the token" }
    }

    async fn user(ctx: &mut Ctx, user: &Record) -> Result<Self> {
        let sources = grants::sources_of(ctx, user).await?;
        let name = user.text("name").to_owned();
        let super_admin = user.flag("is_super_admin").then(|| (name.clone(), user.id));
        Ok(Self { super_admin, ..Self::plain(name, sources) })
    }

    async fn caller(ctx: &mut Ctx) -> Result<Self> {
        let principal = ctx.principal().clone();
        let mut about = match principal.user_id {
            Some(user) => match ctx.find_in(User::TABLE, Key::Uuid(user)).await? {
                Some(user) => Self::user(ctx, &user).await?,
                None => Self::plain(String::new(), own_sources(ctx)),
            },
            None => Self::plain(String::new(), own_sources(ctx)),
        };
        about.who.clone_from(&principal.label);
        about.token = OWN_TOKEN;
        about.narrowed = Some(principal);
        Ok(about)
    }

    /// A session or key: what is behind it, and what it was narrowed to.
    async fn token(ctx: &mut Ctx, record: &Record, credential: Credential, token: &'static str) -> Result<Self> {
        let label = if record.text("name").is_empty() { record.text("label") } else { record.text("name") };
        let label = if label.is_empty() { record.text("prefix") } else { label };
        let who = format!("{token} {label}");
        let mut user = None;
        if let Some(id) = record.id_of("user_id") {
            let mut sql = ctx.from_tenant(User::TABLE);
            sql.and_eq("id", id);
            user = ctx.records(User::TABLE, &sql).await?.pop();
        }
        let mut about = match &user {
            Some(user) => Self::user(ctx, user).await?,
            None => Self::plain(String::new(), Vec::new()),
        };
        let now = ctx.now();
        let ended = record.get::<Option<Instant>>("expires_at")?.is_some_and(|end| end <= now);
        match ctx.principal_of(&credential).await? {
            Some(principal) => {
                if user.is_none() {
                    about.sources =
                        vec![own_source("api_key", &principal.label, record.id, principal.features.clone())];
                }
                about.narrowed = Some(Arc::new(principal));
            }
            None => about.ended.push(format!("{token} was revoked or switched off, or its user is blocked")),
        }
        if ended {
            about.ended.push(format!("{token} has ended"));
        }
        Ok(Self { who, token, ..about })
    }
}

fn refuse_without(ctx: &Ctx, rights: &[&str], what: &str, argument: &str) -> Result<()> {
    if ctx.principal().may(rights) || !stands(Guard::ExplainOthers) {
        return Ok(());
    }
    let rights = rights.join(" or ");
    Err(Error::forbidden(format!("{what} needs the right {rights}. Leave {argument} out to ask about yourself."))
        .with("missing", rights))
}

fn own_source(kind: &'static str, name: &str, id: Uuid, features: Vec<String>) -> Source {
    Source { kind, name: name.to_owned(), id, features, organizations: None }
}

/// What bounds a token whatever it is used for.
fn limits(principal: &Principal) -> Vec<String> {
    let mut found: Vec<String> = principal
        .allowed_addresses
        .iter()
        .map(|ranges| {
            let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            format!("only from {}", ranges.join(", "))
        })
        .collect();
    if principal.has_write_budget {
        found.push("a number of writes".to_owned());
    }
    if let Some(organizations) = &principal.organizations {
        found.push(format!("{} organization(s), and what belongs to the whole tenant", organizations.len()));
    }
    if let Some(end) = principal.expires_at {
        found.push(format!("until {end}"));
    }
    found
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
    // Whatever a list says, what reaches beyond the tenant comes with no role, grant or key.
    for right in needed.iter().filter(|right| !is_of_installation(right)) {
        for source in sources.iter().filter(|source| grants::gives(&source.features, right)) {
            let (by, name, id) = (source.kind.to_owned(), source.name.clone(), source.id.to_string());
            found.push(Granted { right: right.clone(), by, name, id });
        }
    }
    found
}

/// What the caller's token is called.
const OWN_TOKEN: &str = "your token";

/// What takes a held right away: the token's limits, and what is switched on where the call came in.
fn obstacles(
    ctx: &Ctx,
    principal: &Principal,
    token: &str,
    tool: Option<&str>,
    needed: &[String],
    granted: &[Granted],
) -> Vec<String> {
    let mut found = Vec::new();
    let left = needed.is_empty() || granted.iter().any(|grant| principal.left_by_token(&grant.right));
    if !left && !granted.is_empty() {
        let features = principal.narrowing.features.as_deref().unwrap_or_default().join(", ");
        found.push(format!("{token} was narrowed to the features {features}"));
    }
    let Some(entry) = tool.and_then(|name| ctx.bureau().registry.find(name)) else { return found };
    if principal.narrowing.read_only && entry.tool.writes() {
        found.push(format!("{token} is read-only"));
    }
    if token == OWN_TOKEN {
        found.extend(ctx.selection().obstacles(entry));
    }
    // Tools that find and carry out others belong to every token; the gate checks what they carry out.
    if entry.toolset != bureau_kit::gate::DISCOVERY && !principal.may_use_toolset(entry.toolset) {
        let toolsets = principal.narrowing.toolsets.as_deref().unwrap_or_default().join(", ");
        found.push(format!("{token} was narrowed to the toolsets {toolsets}, and this is one of {}", entry.toolset));
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
