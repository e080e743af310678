//! What holds for every task, however it is written.

use bureau_identity::Team;
use bureau_kit::prelude::*;
use bureau_kit::registry::Reference;

use crate::projects::PROJECTS;
use crate::statuses;
use crate::tasklists::TASKLISTS;
use crate::tasks::TASKS;
use crate::tree::refuse_circle;

pub(crate) fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if draft.event == Event::Delete {
            return Ok(());
        }
        let (before, values) = (draft.before, draft.values);
        if let (Some(before), Some(parent)) = (before, values.id_of("parent_id")) {
            refuse_circle(ctx, &TASKS, "parent_id", before.id, parent).await?;
        }
        if let Some(before) = before {
            take_along(ctx, before, values).await?;
        }
        agree_on_project(ctx, before, values).await?;
        one_responsible(before, values)?;
        if before.is_none() {
            values.set("author_id", ctx.principal().user_id);
            take_over_responsible(ctx, values).await?;
            if !values.has("status_id")
                && let Some(status) = statuses::first(ctx, false).await?
            {
                values.set("status_id", status);
            }
        }
        follow_status(ctx, before, values).await
    })
}

/// What a column will hold afterwards.
fn coming(before: Option<&Record>, values: &Values, column: &str) -> Option<Uuid> {
    match values.get(column) {
        Some(_) => values.id_of(column),
        None => before.and_then(|before| before.id_of(column)),
    }
}

/// What hangs on a task is seen by whoever sees the task: moved to another organization, it takes that along.
async fn take_along(ctx: &mut Ctx, task: &Record, values: &Values) -> Result<()> {
    let Some(organization) = values.get("organization_id") else { return Ok(()) };
    if *organization == Val::from(task.organization_id) {
        return Ok(());
    }
    let bureau = ctx.bureau().clone();
    let hanging = |reference: &&Reference| reference.subject_type.is_some() && reference.table.in_organization;
    for reference in bureau.registry.references_to(&TASKS).iter().filter(hanging) {
        for row in ctx.referring(reference, task).await? {
            ctx.update(&row, Values::new().with("organization_id", organization.clone())).await?;
        }
    }
    Ok(())
}

/// Inferred: a task and the list it stands on belong to the same project. A task of no project joins the list's.
async fn agree_on_project(ctx: &mut Ctx, before: Option<&Record>, values: &mut Values) -> Result<()> {
    if values.get("tasklist_id").is_none() && values.get("project_id").is_none() {
        return Ok(());
    }
    let Some(tasklist) = coming(before, values, "tasklist_id") else { return Ok(()) };
    let mut sql = ctx.select("project_id, name", &TASKLISTS);
    sql.and_eq("id", tasklist);
    let rows = ctx.rows(&sql).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (Some(of_list), name) = (row.get::<Option<Uuid>>(0)?, row.get::<String>(1)?) else { return Ok(()) };
    match coming(before, values, "project_id") {
        Some(project) if project == of_list => Ok(()),
        None if values.get("project_id").is_none() => {
            values.set("project_id", of_list);
            Ok(())
        }
        _ if values.has("tasklist_id") => Err(Error::invalid(
            "/tasklist_id",
            format!(
                "the list {name} belongs to another project; choose one of the task's project with tasklist_list \
                 (project_id), or change project_id too"
            ),
        )),
        _ => Err(Error::invalid(
            "/project_id",
            format!(
                "the task stands on the list {name} of its present project; give tasklist_id too: a list of the new \
                 project, or null"
            ),
        )),
    }
}

/// A user or a team: naming one takes the task from the other.
fn one_responsible(before: Option<&Record>, values: &mut Values) -> Result<()> {
    match (values.has("responsible_id"), values.has("responsible_team_id")) {
        (true, true) => Err(Error::invalid(
            "/responsible_team_id",
            "a task has one responsible, a user or a team; give responsible_id or responsible_team_id, not both",
        )),
        (true, false) if before.is_some() => {
            values.set("responsible_team_id", Val::Null);
            Ok(())
        }
        (false, true) if before.is_some() => {
            values.set("responsible_id", Val::Null);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// An empty responsible is taken from the project, else from the team (intum.md). Inferred: when the task is made, so
/// that a responsible that was cleared on purpose stays cleared.
async fn take_over_responsible(ctx: &mut Ctx, values: &mut Values) -> Result<()> {
    if values.has("responsible_id") || values.has("responsible_team_id") {
        return Ok(());
    }
    for (column, table) in [("project_id", &PROJECTS), ("team_id", Team::TABLE)] {
        let Some(id) = values.id_of(column) else { continue };
        let mut sql = ctx.select("responsible_id", table);
        sql.and_eq("id", id);
        let rows = ctx.rows(&sql).await?;
        if let Some(user) = rows.first().map_or(Ok(None), |row| row.get::<Option<Uuid>>(0))? {
            values.set("responsible_id", user);
            return Ok(());
        }
    }
    Ok(())
}

/// A status that closes closes the task, another one opens it (intum.md). Inferred: no status at all leaves it as it is.
async fn follow_status(ctx: &mut Ctx, before: Option<&Record>, values: &mut Values) -> Result<()> {
    let Some(status) = values.id_of("status_id") else { return Ok(()) };
    if before.is_some_and(|before| before.id_of("status_id") == Some(status)) {
        return Ok(());
    }
    let closed = statuses::closes(ctx, status).await?;
    if closed != before.is_some_and(|before| before.flag("closed")) {
        values.set("closed", closed).set("closed_at", closed.then(|| ctx.now()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_counts_before_what_is_stored() {
        let id = Uuid::from_u128(7);
        assert_eq!(coming(None, &Values::new().with("project_id", id), "project_id"), Some(id));
        assert_eq!(coming(None, &Values::new().with("project_id", Val::Null), "project_id"), None);
        assert_eq!(coming(None, &Values::new(), "project_id"), None);
    }

    #[test]
    fn a_task_has_one_responsible() {
        let id = Uuid::from_u128(7);
        let mut both = Values::new().with("responsible_id", id).with("responsible_team_id", id);
        assert_eq!(
            one_responsible(None, &mut both).unwrap_err().message(),
            "/responsible_team_id: a task has one responsible, a user or a team; give responsible_id or \
             responsible_team_id, not both"
        );
        let mut one = Values::new().with("responsible_id", id).with("responsible_team_id", Val::Null);
        assert!(one_responsible(None, &mut one).is_ok());
    }
}
