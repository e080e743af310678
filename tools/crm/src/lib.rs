//! People and companies, and what is kept about them: tags, notes, deals, activities, addresses, attachments.
//!
//! A person is a client, contact, customer or counterparty, depending on the system that asks; Bureau stores each once,
//! as a [`Party`].

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod activity;
mod address;
mod address_format;
mod attachment;
mod built_in_dictionary;
mod client;
mod client_contact;
mod client_note;
mod client_option;
mod client_write;
mod company;
mod contact;
mod customer;
mod customer_comment;
mod customer_dictionary;
mod customer_list;
mod deal;
mod deal_list;
mod deal_move;
mod deal_party;
mod deal_status;
mod deal_view;
mod deal_write;
mod dictionary;
mod dictionary_entry;
mod duplicates;
mod exchange;
mod form;
mod invite;
mod json;
mod lead_source;
mod list;
mod match_keys;
mod merge;
mod names;
mod next_interaction;
mod note;
mod party;
mod person;
mod pipeline;
mod pipeline_stage;
mod related;
mod reparent;
mod seed;
mod subject;
mod tag;
mod tag_link;
mod widgets;

use bureau_kit::id::Kind;
use bureau_kit::registry::Toolset;
use bureau_kit::table::Table;
use bureau_kit::tool::Tool;

pub use exchange::ContactImport;
pub use party::add_party;
pub use seed::seed;
pub use widgets::{require_dashboards, widget_limit};

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

/// A list of values to choose from.
#[derive(Debug)]
pub struct Dictionary;
impl Kind for Dictionary {
    const TABLE: &'static Table = &dictionary::DICTIONARIES;
}

/// A value of a dictionary.
#[derive(Debug)]
pub struct DictionaryEntry;
impl Kind for DictionaryEntry {
    const TABLE: &'static Table = &dictionary_entry::DICTIONARY_ENTRIES;
}

/// A way by which deals are won.
#[derive(Debug)]
pub struct Pipeline;
impl Kind for Pipeline {
    const TABLE: &'static Table = &pipeline::PIPELINES;
}

/// A stage of a pipeline.
#[derive(Debug)]
pub struct PipelineStage;
impl Kind for PipelineStage {
    const TABLE: &'static Table = &pipeline_stage::PIPELINE_STAGES;
}

/// Where deals come from.
#[derive(Debug)]
pub struct LeadSource;
impl Kind for LeadSource {
    const TABLE: &'static Table = &lead_source::LEAD_SOURCES;
}

/// Every table of this crate.
pub const TABLES: &[&Table] = &[
    &contact::CONTACT_FOLDERS,
    &party::PARTIES,
    &party::PARTY_METADATA_KEYS,
    &address::ADDRESSES,
    &pipeline::PIPELINES,
    &pipeline_stage::PIPELINE_STAGES,
    &lead_source::LEAD_SOURCES,
    &deal::DEALS,
    &deal::DEAL_PARTIES,
    &note::NOTES,
    &activity::ACTIVITIES,
    &tag::TAGS,
    &tag_link::TAG_LINKS,
    &attachment::ATTACHMENTS,
    &dictionary::DICTIONARIES,
    &dictionary_entry::DICTIONARY_ENTRIES,
    &exchange::CONTACT_IMPORTS,
];

/// The tools of this crate, but for those of Worksection.
pub fn toolsets() -> Vec<Toolset> {
    let mut crm = company::tools();
    crm.extend(person::tools());
    crm.extend(invite::tools());
    crm.extend(customer_list::tools());
    crm.extend(client::tools());
    crm.extend(client_contact::tools());
    crm.extend(merge::tools());
    crm.extend(duplicates::tools());
    crm.extend(address::tools());
    crm.extend(customer_comment::tools());
    crm.extend(client_note::tools());
    crm.extend(address_format::tools());
    crm.extend(widgets::tools());
    crm.extend(exchange::tools());
    vec![
        Toolset { name: "crm", about: "People and companies: customers, contacts, leads.", tools: crm },
        Toolset {
            name: "sales",
            about: "Deals and activities, the pipelines and stages that deals pass through, and where they come from.",
            tools: [
                deal::tools(),
                activity::tools(),
                deal_status::tools(),
                pipeline::tools(),
                pipeline_stage::tools(),
                lead_source::tools(),
            ]
            .concat(),
        },
        Toolset {
            name: "dictionaries",
            about: "Lists of values to choose from: statuses, sources, kinds, currencies.",
            tools: [dictionary::tools(), dictionary_entry::tools(), customer_dictionary::tools()].concat(),
        },
        Toolset { name: "tags", about: "Labels for records of any kind.", tools: tag::tools() },
    ]
}

/// The address book in Worksection's words; part of the toolset that all its actions share.
pub fn worksection_tools() -> Vec<Tool> {
    contact::tools()
}
