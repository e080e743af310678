//! All integration tests, in one binary.
//!
//! They run on SQLite; with `BUREAU_TEST_POSTGRES=postgres://…` every one of them runs on that server instead, each in a
//! schema of its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(unreachable_pub, reason = "nothing outside can reach a test")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test tells what it has counted")]
#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows should fail")]

mod abuse;
mod access;
mod account;
mod accounts;
mod assistant;
mod audit;
mod calendar;
mod callers;
mod clients;
mod command_line;
mod completion;
mod conformance;
mod console;
mod contract_steps;
mod contracts;
mod corpus;
mod crm;
mod customer_rules;
mod customers;
mod deals;
mod dialogue;
mod dice;
mod directory;
mod exchange;
mod finance;
mod generated;
#[cfg(feature = "mutation")]
mod guards;
mod http;
mod identity;
mod indexes;
mod isolation;
mod keys;
mod kill;
mod limits;
mod login;
mod mail;
mod malformed;
mod measurements;
mod messages;
mod news;
mod oauth;
mod onboarding;
mod openrpc;
mod oracle;
mod origins;
mod outbox;
mod parties;
mod permissions;
mod prints;
mod process;
mod prompts;
mod races;
mod resources;
mod routing;
mod schemas;
mod search;
mod selection;
mod serving;
mod stdio;
mod stories;
mod support;
mod tasks;
mod toggles;
mod tokens;
mod trees;
mod warehouse;
mod web_tokens;
mod webhooks;
mod websocket;
mod work;
mod world;
