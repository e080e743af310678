//! The kit: what every tool of Bureau stands on.
//!
//! A tool is one list entry, one input struct and one plain function ([`tool`]); a uniform record is one const table
//! ([`table`], [`family`]). The gate ([`gate`]) takes every call through the same steps, the journal ([`journal`])
//! records what changed, and the two databases are one ([`db`]).

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod access;
pub mod accesses;
pub mod address;
pub mod args;
pub mod attempts;
mod batch;
pub mod caches;
pub mod ctx;
pub mod db;
pub mod deferred;
mod derived;
pub mod dialogue;
pub mod discovery;
pub mod dns;
pub mod egress;
pub mod error;
pub mod events;
pub mod family;
pub mod gate;
pub mod guards;
pub mod id;
pub mod installation;
pub mod journal;
pub mod mail;
mod migrations;
pub mod money;
pub mod news;
pub mod outbox;
pub mod page;
pub mod password;
pub mod patch;
pub mod record;
pub mod registers;
pub mod registry;
pub mod rights;
pub mod schema;
pub mod secret;
mod services;
pub mod sql;
pub mod table;
pub mod text;
pub mod time;
pub mod token;
pub mod tool;
pub mod uses;
pub mod value;
pub mod vault;

pub use migrations::MIGRATIONS;

/// What a file with tools usually needs.
pub mod prelude {
    pub use crate::ctx::Ctx;
    pub use crate::dialogue::{LogLevel, Question, Reply};
    pub use crate::error::{Code, Error, Result};
    pub use crate::family;
    pub use crate::id::{Id, Key, Kind};
    pub use crate::money::Money;
    pub use crate::page::{self, Page};
    pub use crate::patch::Patch;
    pub use crate::record::{Record, Shown, Values};
    pub use crate::registry::Toolset;
    pub use crate::sql::Sql;
    pub use crate::table::{Column, Draft, Event, OnDelete, RowWrite, Table};
    pub use crate::text::{Email, fold};
    pub use crate::time::{Date, Instant};
    pub use crate::tool::{Body, BoxFuture, Tool};
    pub use crate::value::Val;
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::{Map, Value, json};
    pub use uuid::Uuid;
}
