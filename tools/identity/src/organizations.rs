//! Organizations: the tree that divides a tenant. A person may be limited to some of its branches.

use bureau_kit::guards::{Guard, stands};
use bureau_kit::prelude::*;

use crate::sessions;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("organization_list", "directory.organizations.view", &ORGANIZATIONS)
            .title("List organizations")
            .about(
                "List the organizations of the tenant: its companies and branches, a tree by parent_id. These are not \
                 customers; customer companies are company_list.",
            )
            .synonyms("branches departments companies tree oddziały organizacje firmy організації філії"),
        family::show("organization_show", "directory.organizations.view", &ORGANIZATIONS)
            .title("Show an organization")
            .about("Show one organization of the tenant, with its parent.")
            .synonyms("branch oddział organizacja організація філія"),
        family::create("organization_create", "directory.organizations.manage", &ORGANIZATIONS)
            .title("Create an organization")
            .about(
                "Add an organization to the tenant's tree, at the top or under parent_id. Afterwards records and users can \
                 belong to it by organization_id.",
            )
            .synonyms("new branch add company dodaj oddział organizację створити організацію філію"),
        family::update("organization_update", "directory.organizations.manage", &ORGANIZATIONS)
            .title("Change an organization")
            .about(
                "Rename an organization or move it in the tree by parent_id. What lies below moves with it. It cannot go \
                 under itself or one of its own descendants.",
            )
            .synonyms("rename move branch zmień przenieś organizację змінити перемістити організацію"),
        family::delete("organization_delete", "directory.organizations.manage", &ORGANIZATIONS)
            .title("Delete an organization")
            .about(
                "Delete an organization that no record belongs to any more. Organizations below it move to its parent; \
                 sessions limited to it end.",
            )
            .synonyms("remove branch usuń organizację oddział видалити організацію"),
    ]
}

/// An organization.
#[derive(Debug)]
pub struct Organization;
impl Kind for Organization {
    const TABLE: &'static Table = &ORGANIZATIONS;
}

// The tree decides what people who are limited to a branch may see, so every change voids cached rights.
pub(crate) static ORGANIZATIONS: Table = Table::new(
    "organizations",
    "organization",
    "A company or branch of the tenant.",
    &[
        Column::text("name", "Name of the organization.").max(200).required().sort().search(),
        Column::reference(
            "parent_id",
            "organizations",
            OnDelete::Clear,
            "Organization above it; none for one at the top.",
        )
        .filter(),
        Column::flag("is_active", "Whether it is in use.").default("true"),
    ],
)
.tenant_wide()
.deciding_rights()
.rule(rule);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let parent = draft.values.id_of("parent_id");
        match (draft.event, draft.before) {
            (Event::Create, _) => within_reach(ctx, parent),
            (Event::Update, Some(before)) => {
                within_reach(ctx, Some(before.id))?;
                if draft.values.get("parent_id").is_some() && parent != before.id_of("parent_id") {
                    within_reach(ctx, parent)?;
                    refuse_cycle(ctx, before.id, parent).await?;
                }
                Ok(())
            }
            (Event::Delete, Some(before)) => {
                within_reach(ctx, Some(before.id))?;
                empty(ctx, before).await
            }
            (_, None) => Ok(()),
        }
    })
}

/// A caller limited to some organizations changes the tree below them only. All names are listed to everyone who may
/// list, as in Open Mercato's switcher.
pub(crate) fn within_reach(ctx: &Ctx, organization: Option<Uuid>) -> Result<()> {
    let Some(reach) = &ctx.principal().organizations else { return Ok(()) };
    if organization.is_some_and(|id| reach.contains(&id)) || !stands(Guard::OrganizationReach) {
        return Ok(());
    }
    Err(Error::forbidden(
        "You are limited to some organizations, and this is outside of them. Name one of yours, or ask an administrator \
         of the whole tenant.",
    ))
}

/// Texts of Open Mercato: not its own parent, not under its own descendant.
async fn refuse_cycle(ctx: &mut Ctx, id: Uuid, parent: Option<Uuid>) -> Result<()> {
    let mut above = parent;
    let mut seen = Vec::new();
    while let Some(current) = above {
        if current == id {
            return Err(Error::invalid(
                "/parent_id",
                if parent == Some(id) {
                    "an organization cannot be its own parent"
                } else {
                    "an organization cannot go under its own descendant; move that one first"
                },
            ));
        }
        if seen.contains(&current) {
            return Ok(());
        }
        seen.push(current);
        above = ctx.find_in(&ORGANIZATIONS, Key::Uuid(current)).await?.and_then(|record| record.id_of("parent_id"));
    }
    Ok(())
}

/// Makes an organization ready to go: nothing belongs to it, children move up, tokens limited to it end.
async fn empty(ctx: &mut Ctx, record: &Record) -> Result<()> {
    let bureau = ctx.bureau().clone();
    for table in bureau.registry.tables().iter().filter(|table| table.in_organization) {
        let mut sql = Sql::new("SELECT id FROM ");
        sql.push(table.name).push(" WHERE organization_id = ").bind(record.id).and_eq("tenant_id", ctx.tenant_id());
        let count = ctx.count_up_to(1000, sql).await?;
        if count > 0 {
            return Err(Error::conflict(format!(
                "This organization is still used: {count} × {} belong to it. Move them to another organization (or delete \
                 them) first.",
                table.noun
            ))
            .with("used_by", table.noun)
            .with("count", count));
        }
    }
    sessions::end_of_scope(ctx, record.id).await?;
    let mut sql = ctx.from(&ORGANIZATIONS);
    sql.and_eq("parent_id", record.id);
    for child in ctx.records(&ORGANIZATIONS, &sql).await? {
        ctx.update(&child, Values::new().with("parent_id", record.id_of("parent_id"))).await?;
    }
    Ok(())
}
