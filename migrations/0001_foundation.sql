-- What every call needs: tenants, people, roles, tokens, and the journal.
-- Column types are neutral words that the kit turns into each database's own.

CREATE TABLE tenants (
    id {id} PRIMARY KEY,
    name {text} NOT NULL,
    slug {text} NOT NULL UNIQUE,
    is_active {flag} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL
{table_end};

-- Grows with every change of anything that decides rights: cached rights of an older epoch are void, in every process.
CREATE TABLE rights_epoch (id {count} PRIMARY KEY, value {count} NOT NULL {table_end};
INSERT INTO rights_epoch (id, value) VALUES (1, 1);

-- Numbers given out, per tenant and table. Never taken back, so that a number never means two records.
CREATE TABLE counters (
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    name {text} NOT NULL,
    value {count} NOT NULL,
    PRIMARY KEY (tenant_id, name)
{table_end};

CREATE TABLE action_logs (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id},
    tool {text} NOT NULL,
    label {text} NOT NULL,
    actor_id {id} NOT NULL,
    actor_label {text} NOT NULL,
    session_id {id},
    transport {text} NOT NULL,
    client {text},
    resource_kind {text},
    resource_id {id},
    state {text} NOT NULL,
    undoable {flag} NOT NULL,
    change_count {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL
{table_end};
CREATE INDEX action_logs_by_time ON action_logs (tenant_id, created_at);
CREATE INDEX action_logs_by_actor ON action_logs (tenant_id, actor_id, created_at);
CREATE INDEX action_logs_by_resource ON action_logs (tenant_id, resource_id, created_at);

-- One row change each. Snapshots are text, so that undo restores exactly what was there.
CREATE TABLE action_changes (
    action_id {id} NOT NULL REFERENCES action_logs (id),
    sequence {count} NOT NULL,
    tenant_id {id} NOT NULL,
    table_name {text} NOT NULL,
    row_id {id} NOT NULL,
    before {text},
    after {text},
    version_after {count} NOT NULL,
    PRIMARY KEY (action_id, sequence)
{table_end};
-- The highest version a row ever had decides its next one; also the history of one record.
CREATE INDEX action_changes_by_row ON action_changes (row_id, version_after);

CREATE TABLE idempotency_keys (
    tenant_id {id} NOT NULL,
    actor_id {id} NOT NULL,
    key {text} NOT NULL,
    digest {blob} NOT NULL,
    answer {text} NOT NULL,
    created_at {instant} NOT NULL,
    PRIMARY KEY (tenant_id, actor_id, key)
{table_end};
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- What is to be done outside the database once the call that asked for it is committed.
CREATE TABLE outbox (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL,
    action_id {id} NOT NULL,
    kind {text} NOT NULL,
    payload {text} NOT NULL,
    state {text} NOT NULL,
    attempts {count} NOT NULL,
    created_at {instant} NOT NULL
{table_end};
CREATE INDEX outbox_by_state ON outbox (state, created_at);

CREATE TABLE organizations (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    num {count} NOT NULL,
    name {text} NOT NULL,
    parent_id {id} REFERENCES organizations (id),
    is_active {flag} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX organizations_by_parent ON organizations (tenant_id, parent_id, num);
CREATE INDEX organizations_by_name ON organizations (tenant_id, name, id);

CREATE TABLE roles (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    num {count} NOT NULL,
    code {text},
    name {text} NOT NULL,
    is_system {flag} NOT NULL,
    features {json} NOT NULL,
    organization_ids {json},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, name)
{table_end};
CREATE UNIQUE INDEX roles_by_code ON roles (tenant_id, code);

-- Teams of Open Mercato, Intum and Worksection (there: "company" groups, own or of a client).
CREATE TABLE teams (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    name {text} NOT NULL,
    description {text},
    color {text},
    is_client {flag} NOT NULL,
    is_primary {flag} NOT NULL,
    responsible_id {id},
    active {flag} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX teams_by_name ON teams (tenant_id, name, id);
CREATE INDEX teams_by_responsible ON teams (tenant_id, responsible_id, num);
CREATE UNIQUE INDEX teams_primary ON teams (tenant_id) WHERE is_primary;

-- Departments, user groups and positions; CCRM gives each user at most one group of a type.
CREATE TABLE groups (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    kind {text} NOT NULL,
    name {text} NOT NULL,
    description {text},
    phone {text},
    email {text},
    is_main {flag} NOT NULL,
    active {flag} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX groups_by_kind ON groups (tenant_id, kind, folded);

-- Write-once: users point to the newest. The journal keeps the pointer, never the hash.
CREATE TABLE credentials (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    password_hash {text} NOT NULL,
    created_at {instant} NOT NULL
{table_end};

-- A person's place in one tenant: membership, profile and telephony in one row.
CREATE TABLE users (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    email {text} NOT NULL,
    email_folded {text} NOT NULL,
    first_name {text},
    last_name {text},
    name {text} NOT NULL,
    title {text},
    avatar {text},
    phone {text},
    phone2 {text},
    phone3 {text},
    phone4 {text},
    address {text},
    address2 {text},
    rate {money},
    locale {text},
    role {text} NOT NULL,
    active {flag} NOT NULL,
    is_permanent {flag} NOT NULL,
    team_id {id} REFERENCES teams (id),
    department_id {id} REFERENCES groups (id),
    permission_id {id} REFERENCES roles (id),
    external_id {text},
    credential_id {text},
    extension_id {count},
    dynamic_extension {flag} NOT NULL,
    dynamic_extension_ids {json},
    work_number {text},
    sms_presentation {json},
    call_presentation {json},
    last_seen_at {instant},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, email_folded)
{table_end};
CREATE INDEX users_by_role ON users (tenant_id, role, num);
CREATE INDEX users_by_team ON users (tenant_id, team_id, num);
CREATE INDEX users_by_active ON users (tenant_id, active, num);
CREATE INDEX users_by_name ON users (tenant_id, name, id);
CREATE UNIQUE INDEX users_by_external_id ON users (tenant_id, external_id);
CREATE UNIQUE INDEX users_by_extension ON users (tenant_id, extension_id);

CREATE TABLE user_roles (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    user_id {id} NOT NULL REFERENCES users (id),
    role_id {id} NOT NULL REFERENCES roles (id),
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, user_id, role_id)
{table_end};
CREATE INDEX user_roles_by_role ON user_roles (tenant_id, role_id);

-- Grants to one person replace what the roles give.
CREATE TABLE user_grants (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    user_id {id} NOT NULL REFERENCES users (id),
    features {json} NOT NULL,
    organization_ids {json},
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, user_id)
{table_end};

CREATE TABLE team_members (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    team_id {id} NOT NULL REFERENCES teams (id),
    user_id {id} NOT NULL REFERENCES users (id),
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, team_id, user_id)
{table_end};
CREATE INDEX team_members_by_user ON team_members (tenant_id, user_id);

CREATE TABLE group_members (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    group_id {id} NOT NULL REFERENCES groups (id),
    user_id {id} NOT NULL REFERENCES users (id),
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, group_id, user_id)
{table_end};
CREATE INDEX group_members_by_user ON group_members (tenant_id, user_id);

CREATE TABLE api_keys (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    name {text} NOT NULL,
    description {text},
    prefix {text} NOT NULL,
    secret_hash {blob} UNIQUE,
    user_id {id} REFERENCES users (id),
    -- Sessions and keys this one was made by, as a JSON list of ids: revoking any of them ends this one.
    ancestry {json} NOT NULL,
    features {json},
    expires_at {instant},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX api_keys_by_user ON api_keys (tenant_id, user_id, num);

CREATE TABLE sessions (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    num {count} NOT NULL,
    label {text},
    prefix {text} NOT NULL,
    token_hash {blob} UNIQUE,
    user_id {id} REFERENCES users (id),
    api_key_id {id} REFERENCES api_keys (id),
    -- Sessions and keys this one was minted from, as a JSON list of ids: revoking any of them ends this one.
    ancestry {json} NOT NULL,
    features {json},
    toolsets {json},
    organization_scope_id {id} REFERENCES organizations (id),
    read_only {flag} NOT NULL,
    write_budget {count},
    writes_left {count},
    ttl_minutes {count} NOT NULL,
    expires_at {instant} NOT NULL,
    revoked_at {instant},
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX sessions_by_user ON sessions (tenant_id, user_id, num);
CREATE INDEX sessions_by_key ON sessions (tenant_id, api_key_id);

CREATE TABLE invitations (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    num {count} NOT NULL,
    email {text} NOT NULL,
    email_folded {text} NOT NULL,
    person_id {id},
    user_id {id} REFERENCES users (id),
    role {text} NOT NULL,
    is_admin {flag} NOT NULL,
    is_staff {flag} NOT NULL,
    enrollment_config {json},
    redirect_to {text},
    token_hash {blob} UNIQUE,
    auto_accept {flag} NOT NULL,
    active {flag} NOT NULL,
    accepted_at {instant},
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE UNIQUE INDEX invitations_active ON invitations (tenant_id, email_folded) WHERE active;
CREATE INDEX invitations_by_person ON invitations (tenant_id, person_id);
