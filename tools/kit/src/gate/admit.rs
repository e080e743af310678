//! Who calls, and whether they may use the tool.

use std::sync::Arc;

use serde_json::Value;

use super::{Bureau, Call, DISCOVERY, Selection};
use crate::access::Shown;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::guards::{Guard, stands};
use crate::registry::Entry;
use crate::rights::{Credential, Narrowing, Principal, covers};

impl Bureau {
    /// Whether a caller may use a tool under a selection: what `tools/list` shows.
    pub fn admits(&self, principal: &Principal, selection: &Selection, entry: &Entry) -> bool {
        self.admission(principal, selection, entry).is_ok()
    }

    /// The same, with the refusal that a call would get: for what stands beside the tools, such as prompts.
    pub fn admission(&self, principal: &Principal, selection: &Selection, entry: &Entry) -> Result<()> {
        admit(principal, selection, entry)
    }

    /// The principal behind the connection's credential and the `_sessionToken` argument, which must agree.
    pub(super) async fn who(&self, tx: &mut Tx, call: &mut Call) -> Result<Arc<Principal>> {
        let now = self.clock.now();
        let argument = match call.arguments.shift_remove("_sessionToken") {
            None | Some(Value::Null) => None,
            Some(Value::String(token)) => Some(Shown::Token(token)),
            Some(_) => return Err(Error::invalid("/_sessionToken", "must be text")),
        };
        let Some(argument) = argument else {
            return match &call.shown {
                Some(shown) => {
                    let principal = self.principals.find(tx, &self.vault, shown, now).await?;
                    principal.check_address(call.origin.address)?;
                    Ok(principal)
                }
                None if self.registry.is_public(&call.tool) || !stands(Guard::Credential) => {
                    let nobody = Principal::nobody();
                    tx.enter(nobody.tenant_id).await?;
                    Ok(Arc::new(nobody))
                }
                None => Err(Error::unauthenticated(
                    "No credential came with the call. Send `Authorization: Bearer <token>`, or `_sessionToken`.",
                )),
            };
        };
        let named = self.principals.find(tx, &self.vault, &argument, now).await?;
        named.check_address(call.origin.address)?;
        if let Some(shown) = &call.shown {
            let connected = self.principals.find(tx, &self.vault, shown, now).await?;
            connected.check_address(call.origin.address)?;
            if stands(Guard::SessionTokenOwner) && !may_act_as(&connected, &named) {
                return Err(Error::unauthenticated(
                    "_sessionToken belongs to someone else than the connection's own credential. Use one of the two.",
                ));
            }
            // Back to the tenant of the token that counts.
            tx.enter(named.tenant_id).await?;
        }
        // From here on it is what was shown: also for calls that this one makes.
        call.shown = Some(argument);
        Ok(named)
    }
}

/// Whether the credential of the connection may be replaced by this session for one call: the same person or key, or
/// a session minted from it.
fn may_act_as(connected: &Principal, named: &Principal) -> bool {
    if connected.tenant_id != named.tenant_id {
        return false;
    }
    let minted = match &connected.credential {
        Credential::Session(id) | Credential::ApiKey(id) | Credential::OAuth(id) => {
            named.credential == connected.credential || named.ancestry.contains(id)
        }
        Credential::LocalOwner => true,
        Credential::Nobody => false,
    };
    // A JWT may be narrower than the web token it is signed with: what comes from a wider one of the same key is no child
    // of it.
    let is_within = match (&connected.narrowing.features, &named.narrowing.features) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(bounds), Some(features)) => {
            features.iter().all(|feature| bounds.iter().any(|bound| covers(bound, feature)))
        }
    };
    // The same user with another token would be a way around what the connection's token was narrowed to.
    (minted && is_within)
        || (connected.narrowing == Narrowing::default()
            && connected.user_id.is_some()
            && connected.user_id == named.user_id)
}

/// Lets a caller at a tool, or says what stands in the way.
pub(super) fn admit(principal: &Principal, selection: &Selection, entry: &Entry) -> Result<()> {
    let tool = &entry.tool;
    selection.check(entry)?;
    if stands(Guard::ToolRight) && !principal.may(&tool.rights) {
        let rights = tool.rights.join(" or ");
        let held = tool.rights.iter().any(|right| principal.holds(right));
        let why = if held { "your token was narrowed below it" } else { "you do not hold it" };
        return Err(Error::forbidden(format!(
            "{} needs the right {rights}, and {why}. Ask an administrator, or see permission_explain.",
            tool.name
        ))
        .with("missing", rights));
    }
    if stands(Guard::TokenReadOnly) && principal.narrowing.read_only && tool.writes() {
        return Err(
            Error::forbidden(format!("{} writes, and your token is read-only.", tool.name)).with("missing", "write")
        );
    }
    if entry.toolset != DISCOVERY && !principal.may_use_toolset(entry.toolset) {
        return Err(Error::forbidden(format!(
            "{} is of the toolset {}, which your token leaves out.",
            tool.name, entry.toolset
        ))
        .with("missing", format!("toolset {}", entry.toolset)));
    }
    Ok(())
}
