//! Which entries of a log a caller asks for, and may see.

use bureau_kit::prelude::*;

use super::VIEW_ALL;
use crate::organizations::Organization;
use crate::sessions::Session;
use crate::users::User;

/// What both logs can be asked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) actor_user_id: Option<Id<User>>,
    pub(super) session_id: Option<Id<Session>>,
    pub(super) organization_id: Option<Id<Organization>>,
    pub(super) tool: Option<String>,
    pub(super) resource_kind: Option<String>,
    pub(super) resource_id: Option<String>,
    pub(super) transport: Option<String>,
    pub(super) client: Option<String>,
    pub(super) before: Option<Instant>,
    pub(super) after: Option<Instant>,
}

/// The same with every name looked up, and narrowed to what the caller may see.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) can_view_tenant: bool,
    pub(super) resource_id: Option<Uuid>,
    wanted: Wanted,
    actor: Option<Uuid>,
    session: Option<Uuid>,
    organization: Option<Uuid>,
}

impl Filter {
    pub(super) async fn of(ctx: &mut Ctx, mut wanted: Wanted) -> Result<Self> {
        let can_view_tenant = ctx.principal().may(&[VIEW_ALL]);
        let named = match wanted.actor_user_id {
            Some(id) => Some(ctx.reference("actor_user_id", id).await?),
            None => None,
        };
        let session = match wanted.session_id {
            Some(id) => Some(ctx.reference("session_id", id).await?),
            None => None,
        };
        let organization = match wanted.organization_id {
            Some(id) => Some(ctx.reference("organization_id", id).await?),
            None => None,
        };
        // As in Open Mercato, someone else's name is ignored without the right to see others.
        let actor = if can_view_tenant { named } else { Some(ctx.principal().actor_id()) };
        let resource_id = match wanted.resource_id.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => Some(Uuid::try_parse(text).map_err(|_| Error::invalid("/resource_id", "is not a UUID"))?),
            None => None,
        };
        // The log holds a tool's own name; callers may know it by another.
        let known =
            wanted.tool.as_deref().and_then(|name| ctx.bureau().registry.find(name)).map(|entry| entry.tool.name);
        wanted.tool = known.map(str::to_owned).or(wanted.tool);
        Ok(Self { can_view_tenant, resource_id, wanted, actor, session, organization })
    }

    /// The kind of record that is asked for.
    pub(super) fn resource_kind(&self) -> Option<&str> {
        self.wanted.resource_kind.as_deref()
    }

    /// Continues a statement that ends with `WHERE tenant_id = `. What is asked of the record itself comes separately, since
    /// one log also knows related records.
    pub(super) fn append(&self, ctx: &Ctx, sql: &mut Sql) {
        sql.bind(ctx.tenant_id());
        if let Some(organizations) = &ctx.principal().organizations {
            sql.push(" AND (organization_id IS NULL OR (TRUE");
            sql.and_in("organization_id", organizations.iter().copied()).push("))");
        }
        let ids = [("actor_id", self.actor), ("session_id", self.session), ("organization_id", self.organization)];
        for (column, id) in ids {
            if let Some(id) = id {
                sql.and_eq(column, id);
            }
        }
        let Wanted { tool, transport, client, before, after, .. } = &self.wanted;
        for (column, text) in [("tool", tool), ("transport", transport), ("client", client)] {
            if let Some(text) = text {
                sql.and_eq(column, text.as_str());
            }
        }
        if let Some(before) = *before {
            sql.push(" AND created_at < ").bind(before);
        }
        if let Some(after) = *after {
            sql.push(" AND created_at > ").bind(after);
        }
    }

    /// Only entries about the record or kind itself.
    pub(super) fn append_resource(&self, sql: &mut Sql) {
        if let Some(kind) = self.resource_kind() {
            sql.and_eq("resource_kind", kind);
        }
        if let Some(id) = self.resource_id {
            sql.and_eq("resource_id", id);
        }
    }
}
