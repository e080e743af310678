//! Arguments of every kind of tool: read within bounds and named in full when wrong, never a panic.
#![no_main]

use std::sync::OnceLock;

use bureau_kit::args;
use bureau_kit::registry::Registry;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static REGISTRY: OnceLock<Registry> = OnceLock::new();

fuzz_target!(|input: (u16, &str)| {
    let (chosen, text) = input;
    let Ok(Value::Object(arguments)) = args::parse(text) else { return };
    let registry = REGISTRY.get_or_init(|| bureau::catalog::registry().expect("the registry"));
    let entries = registry.entries();
    let tool = &entries[usize::from(chosen) % entries.len()].tool;
    // An executor's own arguments are taken apart by the gate.
    if tool.name.starts_with("tool_call_") {
        return;
    }
    if let Err(error) = tool.check(arguments) {
        assert!(!error.message().is_empty());
        assert!(error.fields().iter().all(|field| field.path.starts_with('/')), "{error:?}");
    }
});
