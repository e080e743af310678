-- A record has one main address at most, also where an undo or a merge brings a second one: of several the newest stays.
UPDATE addresses SET is_primary = FALSE WHERE is_primary AND EXISTS (
    SELECT 1 FROM addresses AS newer
    WHERE newer.tenant_id = addresses.tenant_id AND newer.subject_id = addresses.subject_id AND newer.is_primary
        AND newer.num > addresses.num
);
CREATE UNIQUE INDEX addresses_primary ON addresses (tenant_id, subject_id) WHERE is_primary;
