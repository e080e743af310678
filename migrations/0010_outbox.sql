-- What the carrying of outside effects needs. An item is carried again at `next_at`; whoever takes it sets that ahead first, so
-- that it comes up again by itself if its carrier dies, and `lease` tells which process has it.
ALTER TABLE outbox ADD COLUMN lane {id};
ALTER TABLE outbox ADD COLUMN subject_id {id};
ALTER TABLE outbox ADD COLUMN next_at {instant};
ALTER TABLE outbox ADD COLUMN lease {id};
ALTER TABLE outbox ADD COLUMN last_error {text};
ALTER TABLE outbox ADD COLUMN done_at {instant};
-- Until now invitation mails stood here with a usable token, and none was ever sent. Tokens are made when a mail is sent: the
-- old ones are void, and every invitation that is still open gets its mail anew.
DELETE FROM outbox WHERE kind = 'mail';
UPDATE invitations SET token_hash = NULL WHERE active;
INSERT INTO outbox (id, tenant_id, action_id, kind, payload, state, attempts, created_at, subject_id)
    SELECT id, tenant_id, id, 'mail', '{"template":"invitation"}', 'waiting', 0, created_at, id FROM invitations WHERE active;
UPDATE outbox SET lane = tenant_id, next_at = created_at;
DROP INDEX outbox_by_state;
CREATE INDEX outbox_due ON outbox (state, kind, tenant_id, lane, next_at, id);
CREATE INDEX outbox_by_lane ON outbox (tenant_id, lane, created_at, id);
CREATE INDEX outbox_by_lease ON outbox (lease) WHERE lease IS NOT NULL;
CREATE INDEX outbox_by_end ON outbox (state, done_at);
