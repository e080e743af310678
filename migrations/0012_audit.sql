-- Who looked at which record. Written in batches a moment after the reads, beside the journal, and kept for 90 days.
CREATE TABLE access_logs (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id},
    actor_id {id} NOT NULL,
    actor_label {text} NOT NULL,
    session_id {id},
    tool {text} NOT NULL,
    -- read, or export
    access_type {text} NOT NULL,
    resource_kind {text} NOT NULL,
    resource_id {id} NOT NULL,
    transport {text} NOT NULL,
    client {text},
    created_at {instant} NOT NULL
{table_end};
CREATE INDEX access_logs_by_time ON access_logs (tenant_id, created_at);
CREATE INDEX access_logs_by_actor ON access_logs (tenant_id, actor_id, created_at);
CREATE INDEX access_logs_by_resource ON access_logs (tenant_id, resource_id, created_at);

-- The record that the one acted on is a part of, so that what happened to the parts is found after they are gone.
ALTER TABLE action_logs ADD COLUMN parent_kind {text};
ALTER TABLE action_logs ADD COLUMN parent_id {id};
CREATE INDEX action_logs_by_parent ON action_logs (tenant_id, parent_id, created_at) WHERE parent_id IS NOT NULL;
CREATE INDEX action_logs_by_session ON action_logs (tenant_id, session_id, position) WHERE session_id IS NOT NULL;

-- The journal is only added to. What undo and redo change of an action is its state, and nothing else of it.
{keeper}
CREATE TRIGGER action_logs_stay BEFORE DELETE ON action_logs {refuse}
CREATE TRIGGER action_logs_keep BEFORE UPDATE OF id, tenant_id, organization_id, tool, label, actor_id, actor_label, session_id,
    transport, client, resource_kind, resource_id, parent_kind, parent_id, undoable, change_count, created_at, position
    ON action_logs {refuse}
CREATE TRIGGER action_changes_stay BEFORE DELETE ON action_changes {refuse}
CREATE TRIGGER action_changes_keep BEFORE UPDATE ON action_changes {refuse}
CREATE TRIGGER access_logs_keep BEFORE UPDATE ON access_logs {refuse}
