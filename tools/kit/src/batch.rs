//! Several calls as one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::tool::Tool;

/// Name of the tool; a batch refuses to hold itself.
pub(crate) const NAME: &str = "batch_call";
/// Most calls in one batch.
const LIMIT: usize = 100;

pub(crate) fn tool() -> Tool {
    Tool::action(NAME, "", run)
        .title("Carry out several calls as one")
        .about(
            "Carry out several tool calls in one transaction. With mode atomic (the default) all succeed or nothing is \
             changed; with mode each, every call stands or falls for itself. Each call needs its own right. The whole batch \
             has one undo_token. Use dry_run to see first what it would change.",
        )
        .synonyms("bulk many together transaction seria hurtowo naraz пакет разом масово")
        .destructive()
}

/// How failures in a batch are treated.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// All calls succeed, or nothing is changed.
    #[default]
    Atomic,
    /// Each call for itself.
    Each,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BatchInput {
    /// The calls, carried out in this order.
    #[schemars(length(min = 1, max = 100))]
    calls: Vec<Item>,
    /// What happens when one of them fails.
    #[serde(default)]
    mode: Mode,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Item {
    /// Name of the tool.
    tool: String,
    /// Its arguments; expected_version is allowed, dry_run and idempotency_key belong to the batch.
    #[serde(default)]
    arguments: Map<String, Value>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct BatchOutput {
    /// One result a call, in the same order.
    results: Vec<ItemResult>,
    /// How many succeeded.
    succeeded: usize,
    /// How many failed.
    failed: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ItemResult {
    /// Name of the tool.
    tool: String,
    /// Whether it succeeded.
    ok: bool,
    /// What it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Map<String, Value>>,
}

async fn run(ctx: &mut Ctx, input: BatchInput) -> Result<BatchOutput> {
    if input.calls.is_empty() || input.calls.len() > LIMIT {
        return Err(Error::invalid("/calls", format!("expected 1 to {LIMIT} calls, got {}", input.calls.len())));
    }
    let mut results = Vec::with_capacity(input.calls.len());
    for (index, item) in input.calls.into_iter().enumerate() {
        match ctx.nested(&item.tool, item.arguments).await {
            Ok(result) => results.push(ItemResult { tool: item.tool, ok: true, result: Some(result), error: None }),
            // A lost race is not the call's own failure: the gate runs the whole batch again.
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                let error = error.reported(&item.tool, ctx.new_id());
                if input.mode == Mode::Atomic {
                    return Err(Error::conflict(format!(
                        "Call {index} ({}) failed, so nothing of the batch was changed: {}",
                        item.tool,
                        error.message()
                    ))
                    .with("index", index)
                    .with("tool", item.tool)
                    .with("error", Value::Object(error.to_json())));
                }
                results.push(ItemResult { tool: item.tool, ok: false, result: None, error: Some(error.to_json()) });
            }
        }
    }
    let succeeded = results.iter().filter(|result| result.ok).count();
    let failed = results.len().saturating_sub(succeeded);
    Ok(BatchOutput { results, succeeded, failed })
}
