-- Receivers outside that are told what happens.
CREATE TABLE webhooks (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    url {text} NOT NULL,
    source_type {text},
    kind {text},
    events {json} NOT NULL,
    format {text} NOT NULL,
    description {text},
    secret_id {text} NOT NULL,
    previous_secret_id {text},
    rotated_at {instant},
    api_token_id {text},
    creator_id {id} REFERENCES users (id),
    active {flag} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX webhooks_by_active ON webhooks (tenant_id, active, num);
CREATE INDEX webhooks_by_creator ON webhooks (tenant_id, creator_id);
CREATE INDEX webhooks_by_organization ON webhooks (tenant_id, organization_id);

-- Sealed with a key that is not in the database. Write-once: webhooks point to them, and the journal keeps the pointer only.
CREATE TABLE webhook_secrets (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    sealed {blob} NOT NULL,
    created_at {instant} NOT NULL
{table_end};

-- How deliveries to a webhook go. Kept by the carrier, beside the journal.
CREATE TABLE webhook_states (
    webhook_id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    failing_since {instant},
    last_success_at {instant},
    disabled_at {instant},
    disabled_reason {text}
{table_end};

-- Each attempt of a delivery; the delivery itself is its item of the outbox.
CREATE TABLE webhook_attempts (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    delivery_id {id} NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    attempt {count} NOT NULL,
    status_code {count},
    duration_ms {count} NOT NULL,
    error {text},
    answer {text},
    created_at {instant} NOT NULL
{table_end};
CREATE INDEX webhook_attempts_by_delivery ON webhook_attempts (delivery_id, created_at, id);
