-- Who administers the installation: tenants, and what all of them share. The owner of the first tenant is the first.
ALTER TABLE users ADD COLUMN is_super_admin {flag} NOT NULL DEFAULT {false};
UPDATE users SET is_super_admin = {true} WHERE id IN (
    SELECT id FROM users WHERE role = 'owner' AND tenant_id IN (SELECT id FROM tenants ORDER BY created_at, id LIMIT 1)
    ORDER BY created_at, id LIMIT 1
);

-- Signing in finds an address before it knows the tenant.
CREATE INDEX users_by_email ON users (email_folded);
