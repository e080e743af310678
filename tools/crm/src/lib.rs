//! People and companies, and what is kept about them: tags, notes, deals, activities, addresses, attachments.
//!
//! A person is a client, contact, customer or counterparty, depending on the system that asks; Bureau stores each once,
//! as a [`Party`].

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod activity;
mod address;
mod attachment;
mod company;
mod contact;
mod deal;
mod exchange;
mod form;
mod invite;
mod json;
mod list;
mod merge;
mod names;
mod note;
mod party;
mod person;
mod related;
mod reparent;
mod subject;
mod tag;
mod tag_link;

use bureau_kit::id::Kind;
use bureau_kit::registry::Toolset;
use bureau_kit::table::Table;
use bureau_kit::tool::Tool;

pub use exchange::ContactImport;
pub use party::add_party;

/// A person or a company. Store new ones with [`add_party`].
#[derive(Debug)]
pub struct Party;
impl Kind for Party {
    const TABLE: &'static Table = &party::PARTIES;
}

/// A folder of the address book.
#[derive(Debug)]
pub struct ContactFolder;
impl Kind for ContactFolder {
    const TABLE: &'static Table = &contact::CONTACT_FOLDERS;
}

/// An address of a person, a company or any other record.
#[derive(Debug)]
pub struct Address;
impl Kind for Address {
    const TABLE: &'static Table = &address::ADDRESSES;
}

/// A comment, note or question on any record.
#[derive(Debug)]
pub struct Note;
impl Kind for Note {
    const TABLE: &'static Table = &note::NOTES;
}

/// A sales opportunity.
#[derive(Debug)]
pub struct Deal;
impl Kind for Deal {
    const TABLE: &'static Table = &deal::DEALS;
}

/// A person or company that takes part in a deal.
#[derive(Debug)]
pub struct DealParty;
impl Kind for DealParty {
    const TABLE: &'static Table = &deal::DEAL_PARTIES;
}

/// A call, meeting or other event with a customer.
#[derive(Debug)]
pub struct Activity;
impl Kind for Activity {
    const TABLE: &'static Table = &activity::ACTIVITIES;
}

/// A label for any record.
#[derive(Debug)]
pub struct Tag;
impl Kind for Tag {
    const TABLE: &'static Table = &tag::TAGS;
}

/// A tag on a record.
#[derive(Debug)]
pub struct TagLink;
impl Kind for TagLink {
    const TABLE: &'static Table = &tag_link::TAG_LINKS;
}

/// A file on any record.
#[derive(Debug)]
pub struct Attachment;
impl Kind for Attachment {
    const TABLE: &'static Table = &attachment::ATTACHMENTS;
}

/// Every table of this crate.
pub const TABLES: &[&Table] = &[
    &contact::CONTACT_FOLDERS,
    &party::PARTIES,
    &party::PARTY_METADATA_KEYS,
    &address::ADDRESSES,
    &deal::DEALS,
    &deal::DEAL_PARTIES,
    &note::NOTES,
    &activity::ACTIVITIES,
    &tag::TAGS,
    &tag_link::TAG_LINKS,
    &attachment::ATTACHMENTS,
    &exchange::CONTACT_IMPORTS,
];

/// The tools of this crate, but for those of Worksection.
pub fn toolsets() -> Vec<Toolset> {
    let mut crm = company::tools();
    crm.extend(person::tools());
    crm.extend(invite::tools());
    crm.extend(merge::tools());
    crm.extend(exchange::tools());
    vec![
        Toolset { name: "crm", about: "People and companies: customers, contacts, leads.", tools: crm },
        Toolset { name: "tags", about: "Labels for records of any kind.", tools: tag::tools() },
    ]
}

/// The address book in Worksection's words; part of the toolset that all its actions share.
pub fn worksection_tools() -> Vec<Tool> {
    contact::tools()
}
