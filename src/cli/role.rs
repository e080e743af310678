//! `role`: what people may do.

use clap::{Args, Subcommand};
use serde_json::{Map, json};

use super::table::{self, Column, field};
use super::{Failure, Ways};

#[derive(Debug, Args)]
pub(super) struct RoleArgs {
    #[command(subcommand)]
    command: RoleCommand,
}

#[derive(Debug, Subcommand)]
enum RoleCommand {
    /// List the roles.
    List(ListArgs),
    /// Show one role with the features it gives.
    Show(ShowArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    ways: Ways,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Number or id of the role.
    role: String,
    #[command(flatten)]
    ways: Ways,
}

const COLUMNS: &[Column] = &[
    ("num", |role| field(role, "num")),
    ("code", |role| field(role, "code")),
    ("name", |role| field(role, "name")),
    ("built in", |role| field(role, "is_system")),
    ("features", |role| {
        let features = field(role, "features");
        match features.char_indices().nth(60) {
            Some((end, _)) => format!("{}…", features.get(..end).unwrap_or_default()),
            None => features,
        }
    }),
];

pub(super) async fn role(args: RoleArgs) -> Result<(), Failure> {
    match args.command {
        RoleCommand::List(args) => args.ways.list(&args.ways.open().await?, "role_list", &Map::new(), COLUMNS).await,
        RoleCommand::Show(args) => {
            let role = args.ways.open().await?.ask("role_show", json!({"id": args.role})).await?;
            args.ways.show(&role, || table::record(&role));
            Ok(())
        }
    }
}
