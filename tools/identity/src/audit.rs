//! The audit: what was done and looked at, by whom, through which client; the history of one record; and taking work back.

mod accesses;
mod actions;
mod changes;
mod filter;
mod history;
mod session_undo;
mod undo;

use bureau_kit::prelude::*;

pub(crate) fn tools() -> Vec<Tool> {
    [actions::tools(), accesses::tools(), history::tools(), undo::tools(), session_undo::tools()].concat()
}

/// The right to see what one did oneself.
const VIEW_OWN: &str = "audit_logs.view_self";
/// The right to see what others did.
const VIEW_ALL: &str = "audit_logs.view_tenant";
/// The right to take back one's own work.
const UNDO_OWN: &str = "audit_logs.undo_self";
/// The right to take back the work of others.
const UNDO_ALL: &str = "audit_logs.undo_tenant";
