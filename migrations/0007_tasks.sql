-- Calls whose answer is fetched later, one row each. The row is there before its id is told, and it decides: an answer is
-- kept only where the row still says that the call runs, in the transaction that keeps the call's changes.
CREATE TABLE deferred_requests (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    actor_id {id} NOT NULL,
    tool {text} NOT NULL,
    -- working and input_required go on; completed, failed and cancelled are for good.
    status {text} NOT NULL,
    status_message {text},
    -- What the tool answered, and whether that describes an error.
    answer {text},
    is_error {flag} NOT NULL,
    -- Why there is no answer, as JSON.
    error {text},
    -- What is asked of the caller, and what was answered, as JSON objects by the keys of the questions.
    input_requests {text} NOT NULL,
    input_responses {text} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    expires_at {instant} NOT NULL
{table_end};
CREATE INDEX deferred_requests_by_actor ON deferred_requests (tenant_id, actor_id, status);
CREATE INDEX deferred_requests_by_age ON deferred_requests (tenant_id, expires_at);
