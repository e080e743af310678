-- Which account at an OAuth issuer is which user. An account is found by its e-mail address once and then fixed here:
-- a later change of the address at the issuer reaches no other user, and no second account reaches this one.
CREATE TABLE oauth_subjects (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    user_id {id} NOT NULL REFERENCES users (id),
    issuer {text} NOT NULL,
    subject {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, issuer, subject),
    UNIQUE (tenant_id, user_id, issuer)
{table_end};
-- Calls look an account up before they know its tenant.
CREATE INDEX oauth_subjects_by_subject ON oauth_subjects (issuer, subject);
