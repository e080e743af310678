-- What the server itself keeps secret, the same for all its processes: the key that seals what clients carry for it.
-- Never shown, never in the journal; replacing a row only makes what was sealed with it void.
CREATE TABLE server_secrets (
    name {text} PRIMARY KEY,
    secret {blob} NOT NULL,
    created_at {instant} NOT NULL
{table_end};
