-- Messages between users. Their words are never part of a search over all records: nobody but the two may find them.

CREATE TABLE messages (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    num {count} NOT NULL,
    sender_id {id} NOT NULL REFERENCES users (id),
    recipient_id {id} NOT NULL REFERENCES users (id),
    temat {text} NOT NULL,
    tresc {text} NOT NULL,
    words {text} NOT NULL,
    przeczytana {flag} NOT NULL,
    przeczytana_at {instant},
    sender_deleted {flag} NOT NULL,
    recipient_deleted {flag} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX messages_by_recipient ON messages (tenant_id, recipient_id, recipient_deleted, num);
CREATE INDEX messages_by_sender ON messages (tenant_id, sender_id, sender_deleted, num);
CREATE INDEX messages_unread ON messages (tenant_id, recipient_id, przeczytana, num);
