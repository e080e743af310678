//! When and why a customer is to be contacted next.

use bureau_kit::prelude::*;

use crate::form::{Form, Mode};

/// The next contact with a customer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NextInteraction {
    /// When.
    at: Instant,
    /// What, such as call back.
    #[schemars(length(max = 200))]
    name: String,
    /// Id of what it comes from.
    #[serde(default, alias = "refId", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    ref_id: Option<String>,
    /// Icon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    icon: Option<String>,
    /// Colour as #rrggbb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    color: Option<String>,
}

/// Takes the next contact into a form: all of it, or nothing of it.
pub(crate) fn fill(form: &mut Form, given: Patch<NextInteraction>) -> Result<()> {
    let next = match given {
        Patch::Absent if form.mode != Mode::Replace => return Ok(()),
        Patch::Absent | Patch::Clear => None,
        Patch::Set(next) => Some(next),
    };
    if next.as_ref().is_some_and(|next| next.name.trim().is_empty()) {
        form.refuse("next_interaction/name", "must not be blank");
        return Ok(());
    }
    let text = |given: Option<String>| given.map_or(Patch::Clear, Patch::Set);
    form.put(
        "next_interaction/at",
        "next_interaction_at",
        next.as_ref().map_or(Patch::Clear, |next| Patch::Set(next.at)),
    )?;
    let (name, reference, icon, color) =
        next.map_or((None, None, None, None), |next| (Some(next.name), next.ref_id, next.icon, next.color));
    form.put("next_interaction/name", "next_interaction_name", text(name))?;
    form.put("next_interaction/ref_id", "next_interaction_ref", text(reference))?;
    form.put("next_interaction/icon", "next_interaction_icon", text(icon))?;
    form.put("next_interaction/color", "next_interaction_color", text(color))
}

/// The next contact of a person or company, where there is one.
pub(crate) fn of(party: &Record) -> Result<Option<NextInteraction>> {
    let Some(at) = party.get::<Option<Instant>>("next_interaction_at")? else { return Ok(None) };
    Ok(Some(NextInteraction {
        at,
        name: party.get::<Option<String>>("next_interaction_name")?.unwrap_or_default(),
        ref_id: party.get("next_interaction_ref")?,
        icon: party.get("next_interaction_icon")?,
        color: party.get("next_interaction_color")?,
    }))
}
