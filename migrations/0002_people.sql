-- People, companies, and what is kept about them: notes, addresses, deals, activities, tags, attachments.

-- Folders of Worksection's address book. The four presets are stored when a folder is first needed.
CREATE TABLE contact_folders (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    num {count} NOT NULL,
    name {text} NOT NULL,
    name_folded {text} NOT NULL,
    kind {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, name_folded)
{table_end};

-- A person or a company of the outside world: client, contact, customer, counterparty, whichever system asks.
CREATE TABLE parties (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    kind {text} NOT NULL,
    display_name {text} NOT NULL,
    name_folded {text} NOT NULL,
    first_name {text},
    middle_name {text},
    last_name {text},
    job_title {text} NOT NULL,
    primary_email {text},
    primary_email_folded {text},
    primary_phone {text},
    phone2 {text},
    phone3 {text},
    phone4 {text},
    emails {json} NOT NULL,
    phones {json} NOT NULL,
    owner_id {id} REFERENCES users (id),
    company_id {id} REFERENCES parties (id),
    folder_id {id} REFERENCES contact_folders (id),
    is_contact {flag} NOT NULL,
    is_client {flag} NOT NULL,
    platform_user_id {id} REFERENCES users (id),
    merged_into_id {id} REFERENCES parties (id),
    lifecycle_stage {text} NOT NULL,
    status {text},
    source {text},
    unique_id {text} NOT NULL,
    description {text},
    address {json} NOT NULL,
    address_text {text},
    address2 {text},
    metadata {json} NOT NULL,
    active {flag} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE UNIQUE INDEX parties_by_company_name ON parties (tenant_id, display_name) WHERE kind = 'company';
CREATE UNIQUE INDEX parties_by_unique_id ON parties (tenant_id, unique_id) WHERE unique_id <> '';
CREATE INDEX parties_by_kind ON parties (tenant_id, kind, num);
CREATE INDEX parties_by_name ON parties (tenant_id, kind, name_folded, id);
CREATE INDEX parties_by_creation ON parties (tenant_id, kind, created_at, id);
CREATE INDEX parties_by_change ON parties (tenant_id, kind, updated_at, id);
CREATE INDEX parties_by_stage ON parties (tenant_id, kind, lifecycle_stage, num);
CREATE INDEX parties_by_status ON parties (tenant_id, kind, status, num);
CREATE INDEX parties_by_source ON parties (tenant_id, kind, source, num);
CREATE INDEX parties_by_active ON parties (tenant_id, kind, active, num);
CREATE INDEX parties_by_contact ON parties (tenant_id, is_contact, num);
CREATE INDEX parties_by_email ON parties (tenant_id, primary_email_folded, num);
CREATE INDEX parties_by_owner ON parties (tenant_id, owner_id, num);
CREATE INDEX parties_by_company ON parties (tenant_id, company_id, num);
CREATE INDEX parties_by_folder ON parties (tenant_id, folder_id);
CREATE INDEX parties_by_user ON parties (tenant_id, platform_user_id);
CREATE INDEX parties_by_merge ON parties (tenant_id, merged_into_id);

-- The top-level keys of each party's metadata, so that "has this key" is an indexed look-up on both databases.
CREATE TABLE party_metadata_keys (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    party_id {id} NOT NULL REFERENCES parties (id),
    name {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, party_id, name)
{table_end};
CREATE INDEX party_metadata_keys_by_name ON party_metadata_keys (tenant_id, name, party_id);

CREATE TABLE addresses (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    subject_type {text} NOT NULL,
    subject_id {id} NOT NULL,
    name {text},
    purpose {text},
    company_name {text},
    address_line1 {text} NOT NULL,
    address_line2 {text},
    building_number {text},
    flat_number {text},
    postal_code {text},
    city {text},
    region {text},
    country {text},
    latitude {text},
    longitude {text},
    is_primary {flag} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX addresses_by_subject ON addresses (tenant_id, subject_id, num);

CREATE TABLE deals (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    title {text} NOT NULL,
    description {text},
    status {text} NOT NULL,
    pipeline_stage {text},
    value_net {money},
    value_gross {money},
    currency {text} NOT NULL,
    probability {count},
    expected_close {date},
    owner_id {id} REFERENCES users (id),
    source {text},
    lost_reason {text},
    closed_at {instant},
    metadata {json} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX deals_by_status ON deals (tenant_id, status, num);
CREATE INDEX deals_by_stage ON deals (tenant_id, pipeline_stage, num);
CREATE INDEX deals_by_owner ON deals (tenant_id, owner_id, num);
CREATE INDEX deals_by_close ON deals (tenant_id, expected_close, id);

CREATE TABLE deal_parties (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    deal_id {id} NOT NULL REFERENCES deals (id),
    party_id {id} NOT NULL REFERENCES parties (id),
    role {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, deal_id, party_id, role)
{table_end};
CREATE INDEX deal_parties_by_party ON deal_parties (tenant_id, party_id);

CREATE TABLE notes (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    subject_type {text} NOT NULL,
    subject_id {id} NOT NULL,
    deal_id {id} REFERENCES deals (id),
    kind {text} NOT NULL,
    title {text},
    body {text} NOT NULL,
    author_id {id} REFERENCES users (id),
    responsible_id {id} REFERENCES users (id),
    solved_at {instant},
    solved_by_id {id} REFERENCES users (id),
    icon {text},
    color {text},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX notes_by_subject ON notes (tenant_id, subject_id, num);
CREATE INDEX notes_by_deal ON notes (tenant_id, deal_id);
CREATE INDEX notes_by_kind ON notes (tenant_id, kind, num);
CREATE INDEX notes_by_author ON notes (tenant_id, author_id, num);
CREATE INDEX notes_by_responsible ON notes (tenant_id, responsible_id, num);
CREATE INDEX notes_by_solver ON notes (tenant_id, solved_by_id);

CREATE TABLE activities (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    subject_type {text} NOT NULL,
    subject_id {id} NOT NULL,
    deal_id {id} REFERENCES deals (id),
    activity_type {text} NOT NULL,
    title {text},
    body {text},
    author_id {id} REFERENCES users (id),
    owner_id {id} REFERENCES users (id),
    occurred_at {instant},
    schedule_from {instant},
    schedule_to {instant},
    reminder_at {instant},
    is_done {flag} NOT NULL,
    done_at {instant},
    icon {text},
    color {text},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX activities_by_subject ON activities (tenant_id, subject_id, num);
CREATE INDEX activities_by_deal ON activities (tenant_id, deal_id, num);
CREATE INDEX activities_by_type ON activities (tenant_id, activity_type, num);
CREATE INDEX activities_by_author ON activities (tenant_id, author_id);
CREATE INDEX activities_by_owner ON activities (tenant_id, owner_id, num);
CREATE INDEX activities_by_time ON activities (tenant_id, occurred_at, id);
CREATE INDEX activities_by_schedule ON activities (tenant_id, schedule_from, id);

-- Labels on anything: one list for the whole tenant.
CREATE TABLE tags (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    num {count} NOT NULL,
    name {text} NOT NULL,
    slug {text} NOT NULL,
    color {text} NOT NULL,
    description {text},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, name),
    UNIQUE (tenant_id, slug)
{table_end};

CREATE TABLE tag_links (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    tag_id {id} NOT NULL REFERENCES tags (id),
    subject_type {text} NOT NULL,
    subject_id {id} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, tag_id, subject_type, subject_id)
{table_end};
CREATE INDEX tag_links_by_subject ON tag_links (tenant_id, subject_id);

CREATE TABLE attachments (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    subject_type {text} NOT NULL,
    subject_id {id} NOT NULL,
    file_name {text} NOT NULL,
    mime {text} NOT NULL,
    size {count} NOT NULL,
    sha256 {text} NOT NULL,
    author_id {id} REFERENCES users (id),
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX attachments_by_subject ON attachments (tenant_id, subject_id, num);
CREATE INDEX attachments_by_author ON attachments (tenant_id, author_id);

-- Bytes of attachments by their SHA-256. Write-once: the journal keeps the hash, so that undo finds the bytes again.
CREATE TABLE attachment_contents (
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    sha256 {text} NOT NULL,
    content {blob} NOT NULL,
    created_at {instant} NOT NULL,
    PRIMARY KEY (tenant_id, sha256)
{table_end};
