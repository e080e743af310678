//! Minting session tokens: what a new one may be, given what it is minted from.

use bureau_kit::prelude::*;
use bureau_kit::rights::{Credential, features_of};
use bureau_kit::token::{self, TokenKind};

use crate::grants;
use crate::organizations::Organization;
use crate::sessions::{SESSIONS, SessionRow, ancestry_of};

/// Life of a session when nobody says: that of Open Mercato's.
const USUAL_MINUTES: i64 = 120;
/// Longest life, refreshes included: 30 days.
pub(crate) const LONGEST_MINUTES: i64 = 43_200;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateInput {
    /// What it is for, to tell sessions apart.
    label: Option<String>,
    /// Only these features, such as contracts.view or organize.*; all of yours when left out.
    features: Option<Vec<String>>,
    /// Only tools of these toolsets; all of yours when left out.
    toolsets: Option<Vec<String>>,
    /// Only records of this organization, those below it, and those of the whole tenant.
    organization_id: Option<Id<Organization>>,
    /// Whether it may only read.
    read_only: Option<bool>,
    /// How many writes it may make; taken out of yours when you are limited yourself.
    #[schemars(range(min = 0, max = 1_000_000))]
    write_budget: Option<i64>,
    /// How many minutes it lives, 120 when left out; never longer than your own token.
    #[schemars(range(min = 1, max = 43_200))]
    ttl_minutes: Option<i64>,
}

impl CreateInput {
    /// A session that may do whatever its maker may, for so many minutes.
    pub(crate) fn whole(label: &str, ttl_minutes: i64) -> Self {
        Self { label: Some(label.to_owned()), ttl_minutes: Some(ttl_minutes), ..Self::default() }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Created {
    /// The token, shown this once. Send it as _sessionToken, or as a bearer token.
    session_token: String,
    /// The session.
    session: SessionRow,
    /// When it ends.
    expires_at: Instant,
    /// Features it is limited to; null means all of the user's, as they are at each call.
    features: Option<Vec<String>>,
    /// Toolsets it is limited to; null means all.
    toolsets: Option<Vec<String>>,
    /// Whether it may only read.
    read_only: bool,
    /// Writes it was given; null means no limit.
    write_budget: Option<i64>,
}

pub(crate) async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Created> {
    let (session, token) = mint(ctx, input).await?;
    let row = SessionRow::fresh(ctx, &session)?;
    Ok(Created {
        session_token: token,
        expires_at: row.expires_at,
        features: crate::sessions::list_of(&session, "features")?,
        toolsets: crate::sessions::list_of(&session, "toolsets")?,
        read_only: session.flag("read_only"),
        write_budget: session.get("write_budget")?,
        session: row,
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssistantInput {}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AssistantKey {
    /// The token, shown this once.
    #[serde(rename = "sessionToken")]
    session_token: String,
    /// When it ends.
    #[serde(rename = "expiresAt")]
    expires_at: Instant,
}

pub(crate) async fn create_for_assistant(ctx: &mut Ctx, _: AssistantInput) -> Result<AssistantKey> {
    let (session, token) = mint(ctx, CreateInput::whole("AI assistant", USUAL_MINUTES)).await?;
    Ok(AssistantKey { session_token: token, expires_at: session.get("expires_at")? })
}

pub(crate) async fn mint(ctx: &mut Ctx, input: CreateInput) -> Result<(Record, String)> {
    let principal = ctx.principal().clone();
    let parent = Parent::of(ctx).await?;
    let features = narrowed_features(ctx, input.features)?;
    let toolsets = narrowed_toolsets(ctx, input.toolsets)?;
    let scope = match input.organization_id {
        None => parent.scope,
        Some(id) => {
            let wanted = ctx.reference("organization_id", id).await?;
            crate::organizations::within_reach(ctx, Some(wanted))?;
            Some(wanted)
        }
    };
    let read_only = input.read_only.unwrap_or_default() || principal.narrowing.read_only;
    let budget = parent.budget(input.write_budget, read_only)?;
    let ttl = input.ttl_minutes.unwrap_or(USUAL_MINUTES);
    if !(1..=LONGEST_MINUTES).contains(&ttl) {
        return Err(Error::invalid("/ttl_minutes", format!("expected a whole number from 1 to {LONGEST_MINUTES}")));
    }
    let label = input.label.map(|label| label.trim().to_owned()).filter(|label| !label.is_empty());
    if label.as_ref().is_some_and(|label| label.chars().count() > 255) {
        return Err(Error::invalid("/label", "is longer than 255 characters"));
    }
    let ends = ctx.now().plus_minutes(ttl);
    let ends = principal.expires_at.map_or(ends, |own| own.min(ends));
    if let (Some(given), Some(session)) = (budget, parent.session.as_ref().filter(|_| principal.has_write_budget)) {
        let left = parent.writes_left.unwrap_or_default().saturating_sub(given);
        ctx.update(session, Values::new().with("writes_left", left)).await?;
    }
    let token = token::mint(TokenKind::Session);
    let values = Values::new()
        .with("label", label)
        .with("prefix", token::shown_prefix(&token))
        .with("token_hash", Val::Bytes(token::hash(&token).to_vec()))
        .with("user_id", principal.user_id)
        .with("api_key_id", parent.api_key)
        .with("ancestry", json!(parent.ancestry))
        .with("features", features.map(|features| json!(features)))
        .with("toolsets", toolsets.map(|toolsets| json!(toolsets)))
        .with("organization_scope_id", scope)
        .with("read_only", read_only)
        .with("write_budget", budget)
        .with("writes_left", budget)
        .with("ttl_minutes", ttl)
        .with("expires_at", ends);
    let session = ctx.insert(&SESSIONS, values).await?;
    Ok((session, token))
}

/// What the new session hangs on.
#[derive(Debug, Default)]
struct Parent {
    /// Of the new session: its parent and the parent's own ancestry.
    ancestry: Vec<Uuid>,
    api_key: Option<Uuid>,
    scope: Option<Uuid>,
    session: Option<Record>,
    writes_left: Option<i64>,
}

impl Parent {
    async fn of(ctx: &mut Ctx) -> Result<Self> {
        let principal = ctx.principal().clone();
        let gone = || Error::unauthenticated("Your own token has ended. Ask its owner for a new one (session_create).");
        Ok(match principal.credential {
            Credential::LocalOwner | Credential::Nobody => Self::default(),
            // Ends with the access token, as `mint` sees to for every token that ends.
            Credential::OAuth(id) => Self { ancestry: vec![id], ..Self::default() },
            Credential::ApiKey(id) => {
                let ancestry = crate::api_keys::ancestry(ctx, id).await?;
                let ancestry = std::iter::once(id).chain(ancestry).collect();
                Self { ancestry, api_key: Some(id), ..Self::default() }
            }
            Credential::Session(id) => {
                let session = ctx.find_in(&SESSIONS, Key::Uuid(id)).await?.ok_or_else(gone)?;
                Self {
                    ancestry: std::iter::once(id).chain(ancestry_of(&session)?).collect(),
                    api_key: session.id_of("api_key_id"),
                    scope: session.id_of("organization_scope_id"),
                    // Already less the write that this call is.
                    writes_left: session.get("writes_left")?,
                    session: Some(session),
                }
            }
        })
    }

    /// The new session's writes. Those of a limited parent are divided, never multiplied.
    fn budget(&self, wanted: Option<i64>, read_only: bool) -> Result<Option<i64>> {
        if wanted.is_some_and(|wanted| !(0..=1_000_000).contains(&wanted)) {
            return Err(Error::invalid("/write_budget", "expected a whole number from 0 to 1000000"));
        }
        match (wanted, self.writes_left) {
            (wanted, None) => Ok(wanted),
            (None, Some(_)) if read_only => Ok(None),
            (None, Some(left)) => Err(Error::invalid(
                "/write_budget",
                format!(
                    "is required: your own token has {left} writes left; say how many of them the new one gets (session_create)"
                ),
            )),
            (Some(wanted), Some(left)) if wanted <= left => Ok(Some(wanted)),
            (Some(wanted), Some(left)) => Err(Error::forbidden(format!(
                "A budget of {wanted} writes is more than the {left} that your own token has left."
            ))
            .with("missing", "write_budget")),
        }
    }
}

/// Each feature asked for must be held and left by the caller's token; a limited caller who asks for nothing passes the
/// limit on.
fn narrowed_features(ctx: &Ctx, wanted: Option<Vec<String>>) -> Result<Option<Vec<String>>> {
    let Some(wanted) = wanted else { return Ok(ctx.principal().narrowing.features.clone()) };
    let mut features = Vec::new();
    for (index, code) in wanted.iter().enumerate() {
        let code = code.trim();
        if code.is_empty() || code.chars().count() > 100 {
            return Err(Error::invalid(format!("/features/{index}"), "is not a feature, such as contracts.view"));
        }
        features.extend(features_of(code));
    }
    features.sort();
    features.dedup();
    grants::refuse_beyond_own(ctx, &features, "This session")?;
    Ok(Some(features))
}

fn narrowed_toolsets(ctx: &Ctx, wanted: Option<Vec<String>>) -> Result<Option<Vec<String>>> {
    let own = &ctx.principal().narrowing.toolsets;
    let Some(wanted) = wanted else { return Ok(own.clone()) };
    let known = ctx.bureau().registry.toolsets();
    for (index, name) in wanted.iter().enumerate() {
        if !known.iter().any(|(known, _)| known == name) {
            let names = known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            return Err(Error::invalid(format!("/toolsets/{index}"), format!("expected one of {names}, got `{name}`")));
        }
        if !ctx.principal().may_use_toolset(name) {
            return Err(Error::forbidden(format!(
                "This session would have the toolset {name}, which your own token leaves out."
            ))
            .with("missing", format!("toolset {name}")));
        }
    }
    Ok(Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_of_a_limited_parent_are_divided() {
        let limited = Parent { writes_left: Some(5), ..Parent::default() };
        assert_eq!(limited.budget(Some(5), false).unwrap(), Some(5));
        assert_eq!(
            limited.budget(Some(6), false).unwrap_err().message(),
            "A budget of 6 writes is more than the 5 that your own token has left."
        );
        assert!(limited.budget(None, false).unwrap_err().message().starts_with("/write_budget: is required"));
        assert_eq!(limited.budget(None, true).unwrap(), None, "a reader needs none");
        let free = Parent::default();
        assert_eq!(free.budget(None, false).unwrap(), None);
        assert_eq!(free.budget(Some(3), false).unwrap(), Some(3));
        assert!(free.budget(Some(-1), false).is_err());
    }
}
