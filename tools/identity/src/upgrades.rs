//! What an existing tenant has to catch up with after the program under it became newer.
//!
//! Each step has a number; a tenant keeps the number of the newest step that it has behind it among its settings. A new
//! tenant is made by the newest rules and begins with the last number; one from before the numbers has none, and all steps
//! before it. Steps only add what is missing, so repeating one does no harm.

use bureau_kit::prelude::*;

use crate::roles::{ROLES, coded};
use crate::settings::{SETTINGS, stored_at};
use crate::tenants::{self, Tenant};
use crate::{builtin, grants};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("upgrade_action_list", RIGHT, list)
            .title("List upgrade steps")
            .about(
                "Show the next step by which a company catches up with this version of the program, if there is one. Carry it \
                 out with upgrade_action_run, and look again. For administrators of the installation.",
            )
            .synonyms("upgrade migration pending aktualizacja krok po aktualizacji оновлення крок"),
        Tool::action("upgrade_action_run", RIGHT, run)
            .long()
            .idempotent()
            .irreversible("it only adds what this version of the program expects to be there")
            .title("Run an upgrade step")
            .about(
                "Carry out the next upgrade step of a company, as upgrade_action_list names it. Steps come one after the other; \
                 one that is done already changes nothing.",
            )
            .synonyms("upgrade migrate wykonaj aktualizację krok виконати оновлення"),
    ]
}

const RIGHT: &str = "configs.manage";
/// Under this key a tenant keeps its number. Not one of the settings that people set.
const KEY: &str = "upgrade.version";

/// One step.
struct Step {
    id: &'static str,
    version: i64,
    message: &'static str,
    success: &'static str,
    work: for<'a> fn(&'a mut Ctx) -> BoxFuture<'a, Result<()>>,
}

const STEPS: &[Step] = &[
    Step {
        id: "builtin_roles",
        version: 1,
        message: "Add the built-in roles and features that came with later versions. What was taken away or added by hand stays.",
        success: "The built-in roles have everything that this version gives them.",
        work: |ctx| Box::pin(complete_roles(ctx)),
    },
    Step {
        id: "search_text",
        version: 2,
        message: "Rewrite the search text of all records by the present rule, so that q finds them.",
        success: "All records are found by the present rule.",
        work: |ctx| Box::pin(refold(ctx)),
    },
    Step {
        id: "beginnings",
        version: 3,
        message: "Add what a new company begins with and this one lacks, such as dictionaries, a pipeline and lead sources.",
        success: "The company has everything that a new one begins with.",
        work: |ctx| Box::pin(begin(ctx)),
    },
];

fn newest() -> i64 {
    STEPS.last().map_or(0, |step| step.version)
}

/// Notes in a new tenant that it has nothing to catch up with.
pub(crate) async fn note_newest(ctx: &mut Ctx) -> Result<()> {
    note(ctx, newest()).await
}

async fn note(ctx: &mut Ctx, version: i64) -> Result<()> {
    match stored_at(ctx, None, KEY).await? {
        Some(before) => ctx.update(&before, Values::new().with("value", json!(version))).await.map(drop),
        None => {
            let values = Values::new().with("key", KEY).with("value", json!(version));
            ctx.insert(&SETTINGS, values).await.map(drop).map_err(Error::lost_race)
        }
    }
}

async fn noted(ctx: &mut Ctx) -> Result<i64> {
    match stored_at(ctx, None, KEY).await? {
        Some(setting) => Ok(setting.get::<Value>("value")?.as_i64().unwrap_or(0)),
        None => Ok(0),
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// UUID of the company; your own when left out.
    #[serde(alias = "tenantId")]
    tenant_id: Option<Id<Tenant>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct StepRow {
    /// Name of the step: give it to upgrade_action_run.
    id: &'static str,
    /// Its number.
    version: i64,
    /// What it does.
    message: &'static str,
    /// What a button for it says.
    cta_label: &'static str,
    /// What to say when it is done.
    success_message: &'static str,
    /// What to say meanwhile.
    loading_label: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Steps {
    /// UUID of the company.
    tenant_id: String,
    /// Number of the newest step that the company has behind it.
    version: i64,
    /// Number of the last step of this program.
    newest_version: i64,
    /// The next step, or nothing.
    actions: Vec<StepRow>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Steps> {
    let (tenant, _) = tenants::meant(ctx, input.tenant_id).await?;
    let version = ctx.in_tenant(tenant, |ctx| Box::pin(noted(ctx))).await?;
    let next = STEPS.iter().find(|step| step.version > version);
    let row = |step: &Step| StepRow {
        id: step.id,
        version: step.version,
        message: step.message,
        cta_label: "Run",
        success_message: step.success,
        loading_label: "Running…",
    };
    Ok(Steps {
        tenant_id: tenant.to_string(),
        version,
        newest_version: newest(),
        actions: next.map(row).into_iter().collect(),
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RunInput {
    /// Name of the step, from upgrade_action_list.
    #[serde(alias = "actionId")]
    action_id: String,
    /// UUID of the company; your own when left out.
    #[serde(alias = "tenantId")]
    tenant_id: Option<Id<Tenant>>,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// It was carried out.
    Completed,
    /// It had been carried out before; nothing was done.
    AlreadyCompleted,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Ran {
    /// What became of it.
    status: Status,
    /// What to say.
    message: &'static str,
    /// Number of the newest step that the company has behind it now.
    version: i64,
}

async fn run(ctx: &mut Ctx, input: RunInput) -> Result<Ran> {
    let wanted = input.action_id.trim();
    let step = STEPS.iter().find(|step| step.id == wanted).ok_or_else(|| {
        let names: Vec<&str> = STEPS.iter().map(|step| step.id).collect();
        Error::invalid("/action_id", format!("there is no step `{wanted}`; expected one of {}", names.join(", ")))
    })?;
    let (tenant, _) = tenants::meant(ctx, input.tenant_id).await?;
    let own = tenant == ctx.tenant_id();
    if own {
        return carry_out(ctx, step).await;
    }
    ctx.in_tenant(tenant, move |ctx| Box::pin(carry_out(ctx, step))).await
}

async fn carry_out(ctx: &mut Ctx, step: &'static Step) -> Result<Ran> {
    let version = noted(ctx).await?;
    if version >= step.version {
        return Ok(Ran { status: Status::AlreadyCompleted, message: step.success, version });
    }
    if let Some(next) = STEPS.iter().find(|next| next.version > version).filter(|next| next.version < step.version) {
        return Err(Error::impossible_state(format!("The step {} comes before {}. Run it first.", next.id, step.id))
            .with("next", next.id));
    }
    (step.work)(ctx).await?;
    note(ctx, step.version).await?;
    Ok(Ran { status: Status::Completed, message: step.success, version: step.version })
}

/// Adds built-in roles that are missing, and features to those that are there; never takes one away.
async fn complete_roles(ctx: &mut Ctx) -> Result<()> {
    let bureau = ctx.bureau().clone();
    for role in builtin::roles(&bureau.registry) {
        let Some(present) = coded(ctx, role.code).await? else {
            let values = Values::new()
                .with("code", role.code)
                .with("name", role.name)
                .with("is_system", true)
                .with("features", json!(role.features));
            ctx.insert(&ROLES, values).await?;
            continue;
        };
        let mut features = grants::texts(present.get::<Option<Value>>("features")?.as_ref());
        let missing: Vec<String> =
            role.features.into_iter().filter(|feature| !grants::gives(&features, feature)).collect();
        if missing.is_empty() {
            continue;
        }
        features.extend(missing);
        features.sort();
        ctx.update(&present, Values::new().with("features", json!(features))).await?;
    }
    Ok(())
}

async fn refold(ctx: &mut Ctx) -> Result<()> {
    let bureau = ctx.bureau().clone();
    for table in bureau.registry.tables().iter().copied().filter(|table| table.searchable()) {
        let mut next = Some(0);
        while let Some(after) = next {
            ctx.checkpoint().await?;
            next = ctx.refold(table, after).await?.next;
            ctx.progress(0, None, &format!("rewriting {}", table.name));
        }
    }
    Ok(())
}

/// What the groups above give to new tenants; they add only what is missing.
async fn begin(ctx: &mut Ctx) -> Result<()> {
    match ctx.bureau().installation.seed() {
        Some(seed) => seed(ctx).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_in_order() {
        assert!(STEPS.iter().zip(1..).all(|(step, number)| step.version == number));
        assert_eq!(newest(), 3);
    }
}
