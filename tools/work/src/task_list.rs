//! The list of tasks: one tool for Intum's REST list and its MCP tool, with the filters of both (unified-model.md, 24).

use bureau_crm::{Party, Tag};
use bureau_identity::{Team, User};
use bureau_kit::prelude::*;

use crate::projects::Project;
use crate::statuses::TaskStatus;
use crate::tasklists::Tasklist;
use crate::tasks::{TASKS, Task};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    Open,
    Closed,
    All,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Start {
    /// Begins after today.
    Future,
    /// Has begun, or has no first day.
    Current,
    /// Either.
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    Num,
    CreatedAt,
    UpdatedAt,
    Title,
    Priority,
    DateStart,
    Deadline,
}

impl Sort {
    fn column(self) -> &'static str {
        match self {
            Self::Num => "num",
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
            Self::Title => "title",
            Self::Priority => "priority",
            Self::DateStart => "date_start",
            Self::Deadline => "deadline",
        }
    }

    /// Newest and most urgent first; names and days from the beginning.
    fn usually_descending(self) -> bool {
        matches!(self, Self::Num | Self::CreatedAt | Self::UpdatedAt | Self::Priority)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    Asc,
    Desc,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListInput {
    /// Words to find anywhere in title and content, whatever the case and diacritics.
    #[schemars(length(max = 1024))]
    q: Option<String>,
    /// Which tasks; open when left out.
    status: Option<State>,
    /// The same as status: true is closed, false is open.
    closed: Option<bool>,
    /// UUID or number of the responsible user, or `me`.
    responsible: Option<String>,
    /// Responsible user.
    responsible_id: Option<Id<User>>,
    /// Responsible team.
    responsible_team_id: Option<Id<Team>>,
    /// Project.
    project_id: Option<Id<Project>>,
    /// Task list.
    tasklist_id: Option<Id<Tasklist>>,
    /// Team it belongs to.
    team_id: Option<Id<Team>>,
    /// Status of the board. One that closes needs status: closed or all too.
    status_id: Option<Id<TaskStatus>>,
    /// Client.
    client_id: Option<Id<Party>>,
    /// Task of which they are parts.
    parent_id: Option<Id<Task>>,
    /// Tag they carry.
    tag_id: Option<Id<Tag>>,
    /// By the first day.
    start_time: Option<Start>,
    /// Due at or after this instant.
    deadline_from: Option<Instant>,
    /// Due at or before this instant.
    deadline_to: Option<Instant>,
    /// What to sort by; num, the newest first, when left out.
    sort: Option<Sort>,
    /// Another name of sort.
    order_by: Option<Sort>,
    /// Direction of the sort.
    order: Option<Order>,
    /// Another name of page_size.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<i64>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 when left out.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

/// One of two names for the same thing.
fn either<T: PartialEq>(one: Option<T>, other: Option<T>, names: [&str; 2]) -> Result<Option<T>> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => {
            let [name, same] = names;
            Err(Error::invalid(
                format!("/{name}"),
                format!("contradicts {same}, which means the same; give one of them"),
            ))
        }
        (one, other) => Ok(one.or(other)),
    }
}

pub(crate) async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Body<Page<Shown<Task>>>> {
    if input.q.as_ref().is_some_and(|words| words.chars().count() > 1024) {
        return Err(Error::invalid("/q", "expected text of at most 1024 characters"));
    }
    let closed = input.closed.map(|closed| if closed { State::Closed } else { State::Open });
    let shown = either(closed, input.status, ["closed", "status"])?.unwrap_or(State::Open);
    let sort = either(input.order_by, input.sort, ["order_by", "sort"])?.unwrap_or(Sort::Num);
    let page_size = either(input.limit, input.page_size, ["limit", "page_size"])?;
    let (page, page_size) = page::Wanted { page: input.page, page_size }.checked().map_err(|error| {
        // The caller may know the size by its other name.
        if input.limit.is_some() { Error::invalid("/limit", "expected a whole number from 1 to 100") } else { error }
    })?;
    let equal = equal(ctx, &input).await?;
    let tag = match input.tag_id {
        Some(id) => Some(ctx.resolve(Tag::TABLE, id.key()).await?.unwrap_or_default()),
        None => None,
    };

    let (tenant, today) = (ctx.tenant_id(), ctx.now().date());
    let narrowed = !equal.is_empty() || tag.is_some();
    let filter = |sql: &mut Sql| {
        match shown {
            // The only filter: its index also gives the order. Beside others it must not be the one that is chosen,
            // since a project has far fewer tasks than there are open ones.
            State::Open if !narrowed => _ = sql.and_eq("closed", false),
            State::Closed if !narrowed => _ = sql.and_eq("closed", true),
            State::Open => _ = sql.push(" AND NOT closed"),
            State::Closed => _ = sql.push(" AND (closed OR FALSE)"),
            State::All => {}
        }
        for (column, id) in &equal {
            sql.and_eq(column, *id);
        }
        if let Some(tag) = tag {
            sql.push(" AND id IN (SELECT subject_id FROM tag_links WHERE tenant_id = ").bind(tenant);
            sql.and_eq("subject_type", TASKS.noun).and_eq("tag_id", tag).push(")");
        }
        match input.start_time {
            Some(Start::Future) => _ = sql.push(" AND date_start > ").bind(today),
            Some(Start::Current) => {
                sql.push(" AND (date_start IS NULL OR date_start <= ").bind(today).push(")");
            }
            Some(Start::All) | None => {}
        }
        if let Some(from) = input.deadline_from {
            sql.push(" AND deadline >= ").bind(from);
        }
        if let Some(to) = input.deadline_to {
            sql.push(" AND deadline <= ").bind(to);
        }
        if let Some(words) = input.q.as_deref().filter(|words| !words.trim().is_empty()) {
            sql.and_contains(words);
        }
    };
    let mut counted = ctx.select("1", &TASKS);
    filter(&mut counted);
    let mut sql = ctx.from(&TASKS);
    filter(&mut sql);
    let descending = input.order.map_or(sort.usually_descending(), |order| order == Order::Desc);
    if sort == Sort::Num {
        // No two tasks share a number: nothing more is needed for a stable order, and the index has it.
        sql.push(if descending { " ORDER BY num DESC" } else { " ORDER BY num" });
    } else {
        let nullable = TASKS.column(sort.column()).is_some_and(Column::nullable);
        page::order(&mut sql, sort.column(), nullable, descending);
    }
    page::fetch_body(ctx, page::Query { rows: sql, counted, page, page_size }).await
}

/// Filters by record. An id that nobody has matches nothing, rather than being an error.
async fn equal(ctx: &mut Ctx, input: &ListInput) -> Result<Vec<(&'static str, Uuid)>> {
    let mut keys: Vec<(&'static str, &'static Table, Key)> = Vec::new();
    let mut add = |column, table, key: Option<Key>| keys.extend(key.map(|key| (column, table, key)));
    let me = input.responsible.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let responsible = match me {
        Some("me") => Some(Key::Uuid(ctx.user_id()?)),
        Some(text) => {
            let wrong = |_| Error::invalid("/responsible", "expected the UUID or number of a user, or `me`");
            Some(Key::parse(text).map_err(wrong)?)
        }
        None => None,
    };
    add("responsible_id", User::TABLE, responsible);
    add("responsible_id", User::TABLE, input.responsible_id.map(Id::key));
    add("responsible_team_id", Team::TABLE, input.responsible_team_id.map(Id::key));
    add("project_id", Project::TABLE, input.project_id.map(Id::key));
    add("tasklist_id", Tasklist::TABLE, input.tasklist_id.map(Id::key));
    add("team_id", Team::TABLE, input.team_id.map(Id::key));
    add("status_id", TaskStatus::TABLE, input.status_id.map(Id::key));
    add("client_id", Party::TABLE, input.client_id.map(Id::key));
    add("parent_id", Task::TABLE, input.parent_id.map(Id::key));
    let mut equal = Vec::with_capacity(keys.len());
    for (column, table, key) in keys {
        equal.push((column, ctx.resolve(table, key).await?.unwrap_or_default()));
    }
    Ok(equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_of_one_thing_must_agree() {
        assert_eq!(either(Some(1), None, ["limit", "page_size"]).unwrap(), Some(1));
        assert_eq!(either(Some(1), Some(1), ["limit", "page_size"]).unwrap(), Some(1));
        assert_eq!(either::<i64>(None, None, ["limit", "page_size"]).unwrap(), None);
        assert_eq!(
            either(Some(1), Some(2), ["limit", "page_size"]).unwrap_err().message(),
            "/limit: contradicts page_size, which means the same; give one of them"
        );
    }
}
