-- Lists of values to choose from, and the values.
CREATE TABLE dictionaries (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    num {count} NOT NULL,
    key {text} NOT NULL,
    name {text} NOT NULL,
    description {text},
    is_system {flag} NOT NULL,
    is_active {flag} NOT NULL,
    manager_visibility {text} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, key)
{table_end};

CREATE TABLE dictionary_entries (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    dictionary_id {id} NOT NULL REFERENCES dictionaries (id),
    value {text} NOT NULL,
    value_folded {text} NOT NULL,
    label {text} NOT NULL,
    color {text},
    icon {text},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
-- A value is in a dictionary once for the whole tenant, and once for each organization.
CREATE UNIQUE INDEX dictionary_entries_by_value ON dictionary_entries (tenant_id, dictionary_id, value_folded)
    WHERE organization_id IS NULL;
CREATE UNIQUE INDEX dictionary_entries_by_own_value
    ON dictionary_entries (tenant_id, dictionary_id, organization_id, value_folded) WHERE organization_id IS NOT NULL;
CREATE INDEX dictionary_entries_by_order ON dictionary_entries (tenant_id, dictionary_id, value_folded, id);

-- Who is to be contacted next, and when a note was taken.
ALTER TABLE parties ADD COLUMN next_interaction_at {instant};
ALTER TABLE parties ADD COLUMN next_interaction_name {text};
ALTER TABLE parties ADD COLUMN next_interaction_ref {text};
ALTER TABLE parties ADD COLUMN next_interaction_icon {text};
ALTER TABLE parties ADD COLUMN next_interaction_color {text};
CREATE INDEX parties_by_next_interaction ON parties (tenant_id, next_interaction_at, id);
ALTER TABLE notes ADD COLUMN note_at {instant};
