-- Finance: transactions with approvals, transfers of money, and the cash of people and of the company.

CREATE TABLE cash_accounts (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    klucz {text} NOT NULL,
    uzytkownik_id {id} REFERENCES users (id),
    saldo {money} NOT NULL CHECK (saldo >= 0),
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, klucz)
{table_end};
CREATE INDEX cash_accounts_by_user ON cash_accounts (tenant_id, uzytkownik_id, num);
CREATE INDEX cash_accounts_by_balance ON cash_accounts (tenant_id, saldo, id);

CREATE TABLE transfers (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    kind {text} NOT NULL,
    sender_id {id} REFERENCES users (id),
    recipient_id {id} REFERENCES users (id),
    kwota {money} NOT NULL CHECK (kwota > 0),
    rodzaj {text} NOT NULL,
    na_rodzaj {text} NOT NULL,
    komentarz {text},
    status {text} NOT NULL,
    decided_at {instant},
    autor_id {id} REFERENCES users (id),
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX transfers_by_status ON transfers (tenant_id, status, num);
CREATE INDEX transfers_by_sender ON transfers (tenant_id, sender_id, num);
CREATE INDEX transfers_by_recipient ON transfers (tenant_id, recipient_id, num);
CREATE INDEX transfers_by_author ON transfers (tenant_id, autor_id);

CREATE TABLE transactions (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    nazwa {text} NOT NULL,
    kwota {money} NOT NULL CHECK (kwota > 0),
    typ {text} NOT NULL,
    rodzaj {text} NOT NULL,
    data {instant} NOT NULL,
    dzien {count} NOT NULL,
    kategoria {text},
    komentarz {text},
    contract_id {id} REFERENCES contracts (id),
    uzytkownik_id {id} REFERENCES users (id),
    linked_entity_type {text},
    linked_entity_id {id},
    oczekuje {flag} NOT NULL,
    zatwierdzona_at {instant},
    zatwierdzil_id {id} REFERENCES users (id),
    zrodlo {text} NOT NULL,
    transfer_id {id} REFERENCES transfers (id),
    autor_id {id} REFERENCES users (id),
    zmienil_id {id} REFERENCES users (id),
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
-- A transfer leaves one transaction on each side, and a measurement one in all, whatever the code does.
CREATE UNIQUE INDEX transactions_of_transfer ON transactions (tenant_id, transfer_id, typ);
CREATE UNIQUE INDEX transactions_of_measurement ON transactions (tenant_id, linked_entity_id) WHERE zrodlo = 'pomiar';
CREATE INDEX transactions_by_linked ON transactions (tenant_id, linked_entity_id);
CREATE INDEX transactions_by_typ ON transactions (tenant_id, typ, num);
CREATE INDEX transactions_by_rodzaj ON transactions (tenant_id, rodzaj, num);
CREATE INDEX transactions_by_kategoria ON transactions (tenant_id, kategoria, num);
CREATE INDEX transactions_by_waiting ON transactions (tenant_id, oczekuje, num);
CREATE INDEX transactions_by_source ON transactions (tenant_id, zrodlo, num);
CREATE INDEX transactions_by_contract ON transactions (tenant_id, contract_id, num);
CREATE INDEX transactions_by_user ON transactions (tenant_id, uzytkownik_id, num);
CREATE INDEX transactions_by_data ON transactions (tenant_id, data, id);
CREATE INDEX transactions_by_kwota ON transactions (tenant_id, kwota, id);
CREATE INDEX transactions_by_nazwa ON transactions (tenant_id, nazwa, id);
CREATE INDEX transactions_by_dzien ON transactions (tenant_id, dzien);
-- Deleting a user looks for what names them.
CREATE INDEX transactions_by_approver ON transactions (tenant_id, zatwierdzil_id);
CREATE INDEX transactions_by_author ON transactions (tenant_id, autor_id);
CREATE INDEX transactions_by_editor ON transactions (tenant_id, zmienil_id);

CREATE TABLE approvals (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    transaction_id {id} NOT NULL REFERENCES transactions (id),
    reviewer_id {id} NOT NULL REFERENCES users (id),
    komentarz {text},
    zatwierdzona_at {instant},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, transaction_id, reviewer_id)
{table_end};
CREATE INDEX approvals_by_transaction ON approvals (tenant_id, transaction_id, num);
CREATE INDEX approvals_by_reviewer ON approvals (tenant_id, reviewer_id, num);
CREATE INDEX approvals_by_decided ON approvals (tenant_id, zatwierdzona_at, id);
