//! Bureau: the back office that AI agents run.
//!
//! This crate is the server: MCP, JSON-RPC, stdio, HTTP and the command line. It knows no business rule; those are in
//! `tools/`. See ARCHITECTURE.md.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod catalog;
pub mod cli;
pub mod cursor;
pub mod demo;
pub mod dns;
mod escape;
pub mod feed;
pub mod http;
pub mod limits;
pub mod listing;
pub mod mail;
pub mod mcp;
pub mod oauth;
pub mod open;
pub mod pipe;
pub mod prompts;
pub mod rpc;
pub mod stdio;
