//! What is still to be done for customers, as dashboards show it.

use bureau_crm::{require_dashboards, widget_limit};
use bureau_kit::prelude::*;

use crate::tasks::TASKS;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("widget_customer_todo_list", "customers.widgets.todos", list)
            .title("To do for customers")
            .about("Show the newest open tasks that are for a customer, for a dashboard, five unless limit says otherwise.")
            .synonyms("dashboard tasks customer todo pulpit zadania dla klientów do zrobienia завдання для клієнтів панель"),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// How many, 5 unless given.
    #[schemars(range(min = 1, max = 20))]
    limit: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Todo {
    /// UUID of the task.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number of the task.
    num: Option<i64>,
    /// What is to be done.
    title: String,
    /// UUID of the customer.
    #[schemars(with = "Option<String>")]
    client_id: Option<Uuid>,
    /// When it was made.
    created_at: Instant,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Todos {
    /// The tasks, newest first.
    items: Vec<Todo>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Todos> {
    require_dashboards(ctx)?;
    let limit = widget_limit(input.limit)?;
    let mut sql = ctx.from(&TASKS);
    sql.push(" AND client_id IS NOT NULL AND NOT closed ORDER BY num DESC LIMIT ").bind(limit);
    let shown = |task: &Record| {
        Ok(Todo {
            id: task.id,
            num: task.num,
            title: task.get("title")?,
            client_id: task.id_of("client_id"),
            created_at: task.created_at,
        })
    };
    let items = ctx.records(&TASKS, &sql).await?.iter().map(shown).collect::<Result<_>>()?;
    Ok(Todos { items })
}
