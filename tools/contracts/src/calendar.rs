//! The calendar: who is where when, days on which nothing is planned, and what was moved.
//!
//! Time is UTC here as everywhere. Inferred: the source document gives an event a beginning and no end; here it has one,
//! an hour later unless said otherwise, since double booking is a matter of both.

mod blocked_days;
mod events;
mod export;
mod icalendar;
mod reschedules;

use bureau_kit::prelude::*;

pub(crate) use blocked_days::{BLOCKED_DAYS, refuse_blocked};
pub(crate) use events::CALENDAR_EVENTS;
pub(crate) use reschedules::RESCHEDULES;

pub(crate) fn tools() -> Vec<Tool> {
    [events::tools(), blocked_days::tools(), reschedules::tools(), export::tools()].concat()
}
