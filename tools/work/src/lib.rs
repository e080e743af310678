//! Work: tasks with their checklists, comments and subscribers, projects, task lists and statuses.
//!
//! The operations are Intum's module "organize" (reference/intum.md) and Worksection's subscriptions
//! (reference/worksection.md); both work on the same rows. What had to be decided is marked "Inferred".

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod comments;
mod customer_todos;
mod fill;
mod find;
mod given;
mod period;
mod projects;
mod statuses;
mod subscribers;
mod tags;
mod task_list;
mod task_rules;
mod tasklists;
mod tasks;
mod todos;
mod tree;

use bureau_kit::prelude::*;

pub use fill::fill;
pub use projects::Project;
pub use statuses::{TaskStatus, seed};
pub use subscribers::tools as worksection_tools;
pub use tasklists::Tasklist;
pub use tasks::Task;

/// Every table of this crate.
pub const TABLES: &[&Table] = &[
    &statuses::TASK_STATUSES,
    &projects::PROJECTS,
    &tasklists::TASKLISTS,
    &tasks::TASKS,
    &todos::TASK_TODOS,
    &subscribers::TASK_SUBSCRIBERS,
];

/// The tools, toolset by toolset.
pub fn toolsets() -> Vec<Toolset> {
    vec![Toolset {
        name: "tasks",
        about: "Tasks, checklists, task comments, projects, task lists and task statuses.",
        tools: [
            tasks::tools(),
            todos::tools(),
            customer_todos::tools(),
            comments::tools(),
            projects::tools(),
            tasklists::tools(),
            statuses::tools(),
        ]
        .concat(),
    }]
}
