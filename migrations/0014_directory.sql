-- Tenants become records of their own: described, versioned, changed through the journal of the tenant itself. They stay
-- without row-level security, since they are what decides whose rows there are.
ALTER TABLE tenants ADD COLUMN tenant_id {id};
UPDATE tenants SET tenant_id = id;
ALTER TABLE tenants ADD COLUMN name_folded {text} NOT NULL DEFAULT '';
UPDATE tenants SET name_folded = lower(name);
ALTER TABLE tenants ADD COLUMN description {text};
ALTER TABLE tenants ADD COLUMN timezone {text} NOT NULL DEFAULT 'UTC';
ALTER TABLE tenants ADD COLUMN locale {text} NOT NULL DEFAULT 'en';
ALTER TABLE tenants ADD COLUMN version {count} NOT NULL DEFAULT 1;
CREATE INDEX tenants_by_name ON tenants (name, id);

-- Intum's groups and departments. name_key is the name in lower case, unique among those of a kind; groups that were there
-- before get theirs when they are next renamed.
ALTER TABLE groups ADD COLUMN used_for {text};
ALTER TABLE groups ADD COLUMN fields {json};
ALTER TABLE groups ADD COLUMN name_key {text};
CREATE UNIQUE INDEX groups_by_name ON groups (tenant_id, kind, name_key);

-- Settings that were set: of the tenant, or of one user. What is not here has its default.
CREATE TABLE settings (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    user_id {id} REFERENCES users (id),
    key {text} NOT NULL,
    value {json} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL
{table_end};
CREATE UNIQUE INDEX settings_of_tenant ON settings (tenant_id, key) WHERE user_id IS NULL;
CREATE UNIQUE INDEX settings_of_user ON settings (tenant_id, user_id, key) WHERE user_id IS NOT NULL;

-- A name may be claimed by several tenants; whoever proves it first has it, in the whole installation.
CREATE TABLE domains (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    num {count} NOT NULL,
    domain {text} NOT NULL,
    description {text},
    kind {text},
    active {flag} NOT NULL,
    is_primary {flag} NOT NULL,
    verification {text} NOT NULL,
    verified_at {instant},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, domain)
{table_end};
CREATE UNIQUE INDEX domains_verified ON domains (domain) WHERE verified_at IS NOT NULL;
CREATE UNIQUE INDEX domains_primary ON domains (tenant_id) WHERE is_primary;

-- Above all tenants, and so beside the journal, which belongs to one: changes are kept in a table of their own.
CREATE TABLE feature_toggles (
    id {id} PRIMARY KEY,
    identifier {text} NOT NULL UNIQUE,
    name {text} NOT NULL,
    description {text},
    category {text},
    kind {text} NOT NULL,
    default_value {json} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL
{table_end};

CREATE TABLE feature_toggle_changes (
    id {id} PRIMARY KEY,
    toggle_id {id} NOT NULL,
    event {text} NOT NULL,
    -- The tenant whose override changed; none for the toggle itself.
    of_tenant {id},
    actor {text} NOT NULL,
    before {json},
    after {json},
    created_at {instant} NOT NULL
{table_end};
CREATE INDEX feature_toggle_changes_by_toggle ON feature_toggle_changes (toggle_id, created_at, id);

CREATE TABLE feature_toggle_overrides (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    toggle_id {id} NOT NULL REFERENCES feature_toggles (id) ON DELETE CASCADE,
    value {json} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, toggle_id)
{table_end};
CREATE INDEX feature_toggle_overrides_by_toggle ON feature_toggle_overrides (toggle_id);

-- Accounts that somebody asked for and has not confirmed yet: there is no tenant they could belong to. Neither the password
-- nor the token is here, only hashes of them, and those only for as long as they are waited for.
CREATE TABLE onboardings (
    id {id} PRIMARY KEY,
    email {text} NOT NULL,
    email_folded {text} NOT NULL,
    first_name {text} NOT NULL,
    last_name {text} NOT NULL,
    account {json} NOT NULL,
    password_hash {text},
    token_hash {blob} UNIQUE,
    expires_at {instant},
    state {text} NOT NULL,
    founded_tenant {id},
    created_at {instant} NOT NULL,
    done_at {instant}
{table_end};
CREATE UNIQUE INDEX onboardings_pending ON onboardings (email_folded) WHERE state = 'pending';
CREATE INDEX onboardings_by_age ON onboardings (state, created_at);
