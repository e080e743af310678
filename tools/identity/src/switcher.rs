//! What a person may choose to work in: the organizations of the tenant, as a switcher shows them.

use std::collections::{HashMap, HashSet};

use bureau_kit::prelude::*;

use crate::organizations::ORGANIZATIONS;
use crate::tenants::{self, TenantName};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("organization_switcher_show", "", show)
            .title("Show the organization switcher")
            .about(
                "Show the tenant's organizations as a tree, which of them you may work in, and which one new records of yours \
                 belong to. Administrators of the installation see the tenants too. To work in one only, make a session with \
                 session_create and organization_id.",
            )
            .synonyms("organizations tree choose branch przełącznik organizacji wybierz oddział перемикач організацій"),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowInput {}

#[derive(Debug, Serialize, JsonSchema)]
struct Choice {
    /// UUID of the organization.
    id: String,
    /// Name.
    name: String,
    /// UUID of the one above; null at the top.
    parent_id: Option<String>,
    /// How deep it stands in the tree, 0 at the top.
    depth: usize,
    /// Whether it is in use.
    is_active: bool,
    /// Whether you may work in it.
    selectable: bool,
    /// Whether new records of yours belong to it.
    selected: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Switcher {
    /// The organizations, each followed by those below it.
    items: Vec<Choice>,
    /// UUID of the one that new records of yours belong to; null when they belong to the whole tenant.
    selected_id: Option<String>,
    /// Whether you may change the tree.
    can_manage: bool,
    /// UUID of your tenant.
    tenant_id: String,
    /// The tenants of the installation, for its administrators; empty for everyone else.
    tenants: Vec<TenantName>,
    /// Whether you administer the installation.
    is_super_admin: bool,
}

async fn show(ctx: &mut Ctx, _: ShowInput) -> Result<Switcher> {
    let principal = ctx.principal().clone();
    let mut sql = ctx.from(&ORGANIZATIONS);
    sql.push(" ORDER BY name, id");
    let all = ctx.records(&ORGANIZATIONS, &sql).await?;
    // A token that was narrowed below the tenants shows none of them.
    let over_all = principal.may(&["directory.tenants.view"]);
    let tenants = if over_all { tenants::names(ctx).await? } else { Vec::new() };
    let choice = |organization: &Record, depth: usize| Choice {
        id: organization.id.to_string(),
        name: organization.text("name").to_owned(),
        parent_id: organization.id_of("parent_id").map(|id| id.to_string()),
        depth,
        is_active: organization.flag("is_active"),
        selectable: organization.flag("is_active")
            && principal.organizations.as_ref().is_none_or(|reach| reach.contains(&organization.id)),
        selected: principal.organization_id == Some(organization.id),
    };
    Ok(Switcher {
        items: in_tree_order(&all).into_iter().map(|(organization, depth)| choice(organization, depth)).collect(),
        selected_id: principal.organization_id.map(|id| id.to_string()),
        can_manage: principal.may(&["directory.organizations.manage"]),
        tenant_id: principal.tenant_id.to_string(),
        tenants,
        is_super_admin: principal.is_super_admin,
    })
}

/// Every record with its depth, each before those below it.
fn in_tree_order(all: &[Record]) -> Vec<(&Record, usize)> {
    let known: HashSet<Uuid> = all.iter().map(|record| record.id).collect();
    let mut below: HashMap<Option<Uuid>, Vec<&Record>> = HashMap::new();
    for record in all.iter().rev() {
        below.entry(record.id_of("parent_id").filter(|parent| known.contains(parent))).or_default().push(record);
    }
    let mut ordered = Vec::with_capacity(all.len());
    let mut waiting: Vec<(&Record, usize)> =
        below.remove(&None).unwrap_or_default().into_iter().map(|top| (top, 0)).collect();
    while let Some((record, depth)) = waiting.pop() {
        ordered.push((record, depth));
        let children = below.remove(&Some(record.id)).unwrap_or_default();
        waiting.extend(children.into_iter().map(|child| (child, depth.saturating_add(1))));
    }
    ordered
}
