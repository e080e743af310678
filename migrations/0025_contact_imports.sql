-- Imports of people and companies: what came in, part by part, and what became of it.

CREATE TABLE contact_imports (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    file_name {text} NOT NULL,
    fingerprint {text} NOT NULL,
    resource {text} NOT NULL,
    format {text} NOT NULL,
    column_map {json},
    status {text} NOT NULL,
    source {text},
    part_count {count} NOT NULL,
    row_count {count} NOT NULL,
    created_count {count} NOT NULL,
    updated_count {count} NOT NULL,
    skipped_count {count} NOT NULL,
    failed_count {count} NOT NULL,
    first_errors {json},
    ended_at {instant},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX contact_imports_by_resource ON contact_imports (tenant_id, resource, num);
CREATE INDEX contact_imports_by_status ON contact_imports (tenant_id, status, num);
