-- A new password by mail. The token is made when the mail is sent: until then a row opens nothing.
CREATE TABLE password_resets (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    user_id {id} REFERENCES users (id),
    email {text} NOT NULL,
    token_hash {blob} UNIQUE,
    expires_at {instant},
    used_at {instant},
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL
{table_end};
CREATE INDEX password_resets_by_user ON password_resets (tenant_id, user_id);

-- How a person, or everyone of a role, sees the menu, in each language.
CREATE TABLE sidebar_preferences (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    user_id {id} REFERENCES users (id),
    role_id {id} REFERENCES roles (id),
    locale {text} NOT NULL,
    settings {json} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, user_id, locale),
    UNIQUE (tenant_id, role_id, locale)
{table_end};

-- Types of user groups beside the built-in ones (CCRM).
CREATE TABLE group_types (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    num {count} NOT NULL,
    name {text} NOT NULL,
    is_main {flag} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, name)
{table_end};
ALTER TABLE groups ADD COLUMN type_id {id} REFERENCES group_types (id);

-- Keys can be switched off, tied to addresses, and be good through a signed token only (Intum's web tokens).
ALTER TABLE api_keys ADD COLUMN kind {text} NOT NULL DEFAULT 'api_token';
ALTER TABLE api_keys ADD COLUMN active {flag} NOT NULL DEFAULT {true};
ALTER TABLE api_keys ADD COLUMN allowed_addresses {json};

-- When and how often each credential was used. Kept by the server beside the journal: nobody's action.
CREATE TABLE credential_uses (
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    credential_id {id} NOT NULL,
    kind {text} NOT NULL,
    user_id {id},
    label {text} NOT NULL,
    first_used_at {instant} NOT NULL,
    last_used_at {instant} NOT NULL,
    use_count {count} NOT NULL,
    transport {text} NOT NULL,
    client {text},
    address {text},
    PRIMARY KEY (tenant_id, credential_id)
{table_end};
CREATE INDEX credential_uses_by_time ON credential_uses (tenant_id, last_used_at);
CREATE INDEX credential_uses_by_user ON credential_uses (tenant_id, user_id);
