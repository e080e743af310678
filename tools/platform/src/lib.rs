//! The platform: what stands beside the business itself. Webhooks tell programs outside what happens.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod deliveries;
mod delivery;
mod event_names;
mod receiver;
mod signature;
mod webhook_secrets;
mod webhooks;

use std::sync::Arc;

use bureau_kit::mail::Letter;
use bureau_kit::prelude::*;

pub use delivery::WebhookCarrier;
pub use receiver::{Receivers, Resolver, SystemResolver};
pub use webhooks::Webhook;

/// Every table of this crate.
pub const TABLES: &[&Table] = &[&webhooks::WEBHOOKS];

/// The mails that this crate sends.
pub fn letters() -> Vec<Arc<dyn Letter>> {
    vec![Arc::new(delivery::WebhookDisabledLetter)]
}

/// The tools, toolset by toolset.
pub fn toolsets() -> Vec<Toolset> {
    vec![Toolset {
        name: "webhooks",
        about: "Programs outside that are told what happens, and what became of each message to them.",
        tools: [webhooks::tools(), deliveries::tools(), event_names::tools()].concat(),
    }]
}
