-- Where a write stands among all others, so that what is new is found without reading what is old, by whichever process
-- it was written. SQLite has one writer at a time: a number that grows. PostgreSQL: the number of the transaction.
-- Writes from before have none: nobody asks for their news any more.
ALTER TABLE action_logs ADD COLUMN position {count};
CREATE INDEX action_logs_by_position ON action_logs (position, id);
