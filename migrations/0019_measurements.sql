-- Measurements at customers, and the money they bring.

CREATE TABLE measurements (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    customer_id {id} NOT NULL REFERENCES parties (id),
    uzytkownik_id {id} REFERENCES users (id),
    adres_id {id} REFERENCES addresses (id),
    kwota {money} NOT NULL CHECK (kwota > 0),
    uwagi {text},
    approved_at {instant},
    approved_by_id {id} REFERENCES users (id),
    transaction_id {id} REFERENCES transactions (id),
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, transaction_id)
{table_end};
CREATE INDEX measurements_by_customer ON measurements (tenant_id, customer_id, num);
CREATE INDEX measurements_by_user ON measurements (tenant_id, uzytkownik_id, num);
CREATE INDEX measurements_by_address ON measurements (tenant_id, adres_id);
CREATE INDEX measurements_by_kwota ON measurements (tenant_id, kwota, id);
CREATE INDEX measurements_by_approved ON measurements (tenant_id, approved_at, id);
CREATE INDEX measurements_by_approver ON measurements (tenant_id, approved_by_id);
