//! `doctor` and `migrate`.

use bureau_kit::MIGRATIONS;
use bureau_kit::access::Shown;
use bureau_kit::db::{Db, Location};
use bureau_kit::gate::Bureau;
use clap::Args;
use serde_json::json;

use super::{DatabaseArgs, Failure, TOOL_ERROR, say};
use crate::open::Opened;
use crate::{catalog, open};

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn migrate(args: DatabaseArgs) -> Result<(), Failure> {
    let location = args.location()?;
    let db = Db::connect(&location).await?;
    let pending = db.pending(MIGRATIONS).await?;
    drop(db);
    Db::open(&location, MIGRATIONS).await?;
    match pending.as_slice() {
        [] => say(format_args!("{} is at the newest schema.", location.shown())),
        names => say(format_args!("{}: carried out {}.", location.shown(), names.join(", "))),
    }
    Ok(())
}

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    problem: Option<String>,
}

pub(super) async fn doctor(args: DoctorArgs) -> Result<(), Failure> {
    let location = args.database.location()?;
    let findings = examine(&location).await;
    let healthy = findings.iter().all(|finding| finding.problem.is_none());
    if args.json {
        let shown: Vec<_> = findings
            .iter()
            .map(|finding| json!({"check": finding.what, "ok": finding.problem.is_none(), "problem": finding.problem}))
            .collect();
        say(json!({"database": location.shown(), "ok": healthy, "checks": shown}));
    } else {
        say(format_args!("database: {}", location.shown()));
        for finding in &findings {
            match &finding.problem {
                None => say(format_args!("  ok       {}", finding.what)),
                Some(problem) => say(format_args!("  PROBLEM  {}: {problem}", finding.what)),
            }
        }
    }
    if healthy { Ok(()) } else { Err(Failure { status: TOOL_ERROR, message: String::new() }) }
}

/// Looks at everything without changing anything: a database that is not there is not made.
async fn examine(location: &Location) -> Vec<Finding> {
    let found = |what, problem| Finding { what, problem };
    let mut findings = vec![found("the catalogue of tools is consistent", catalog::registry().err())];
    if let Location::Sqlite(path) = location {
        if !path.exists() {
            findings.push(found(
                "the database file exists",
                Some(format!("{} does not exist; `bureau serve` makes it", path.display())),
            ));
            return findings;
        }
        findings.push(found("the database file is private", exposed(path)));
    }
    let db = match Db::connect(location).await {
        Ok(db) => db,
        Err(error) => {
            findings.push(found("the database opens", Some(error.to_string())));
            return findings;
        }
    };
    findings.push(found("the database opens", None));
    let pending = match db.pending(MIGRATIONS).await {
        Ok(names) if names.is_empty() => None,
        Ok(names) => Some(format!("{} to be carried out: run `bureau migrate`", names.join(", "))),
        Err(error) => Some(error.to_string()),
    };
    let current = pending.is_none();
    findings.push(found("the schema is the newest", pending));
    let problems = db.check().await.unwrap_or_else(|error| vec![error.to_string()]);
    findings.push(found("the database engine finds no fault", (!problems.is_empty()).then(|| problems.join("; "))));
    drop(db);
    if current {
        let (owner, outbox) = match open::open(location).await {
            Ok(Opened { bureau, .. }) => {
                let owner = bureau.principal(&Shown::LocalOwner).await.err().map(|error| error.to_string());
                (owner, stuck(&bureau).await)
            }
            Err(error) => (Some(error.to_string()), None),
        };
        findings.push(found("there is an active owner", owner));
        findings.push(found("nothing has waited in the outbox for a day", outbox));
    }
    findings
}

/// What nobody carries: mails without a mail server, receivers that do not answer.
async fn stuck(bureau: &Bureau) -> Option<String> {
    let yesterday = bureau.clock.now().plus_minutes(-24 * 60);
    match bureau.outbox_waiting(yesterday).await {
        Ok(waiting) if waiting.is_empty() => None,
        Ok(waiting) => {
            let counts: Vec<String> = waiting.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
            Some(format!(
                "{}: mails go out by a server that was started with --smtp-url, and webhooks by any server; see \
                 webhook_delivery_list for why they fail",
                counts.join(", ")
            ))
        }
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(unix)]
fn exposed(path: &std::path::Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0)
        .then(|| format!("others on this machine may read {} (mode {mode:o}); run chmod 600", path.display()))
}

#[cfg(not(unix))]
fn exposed(_: &std::path::Path) -> Option<String> {
    None
}
