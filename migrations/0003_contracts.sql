-- Contracts with their valuation and payments (Open Mercato's private contracts module).

CREATE TABLE contracts (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    numer {text} NOT NULL,
    typ {text} NOT NULL,
    customer_id {id} NOT NULL REFERENCES parties (id),
    uzytkownik_id {id} REFERENCES users (id),
    data_podpisania {date},
    adres_zamieszkania_id {id} REFERENCES addresses (id),
    adres_montazu_id {id} REFERENCES addresses (id),
    adres_faktury_id {id} REFERENCES addresses (id),
    opis {text},
    uwagi {text},
    zakonczona {flag} NOT NULL,
    rozliczona {flag} NOT NULL,
    rozliczona_at {instant},
    suma {money} NOT NULL,
    zaplacono {money} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
-- One number an organization; rows of the whole tenant have no organization, and are told apart among themselves.
CREATE UNIQUE INDEX contracts_by_numer ON contracts (tenant_id, organization_id, numer);
CREATE UNIQUE INDEX contracts_by_numer_of_tenant ON contracts (tenant_id, numer) WHERE organization_id IS NULL;
CREATE INDEX contracts_sorted_by_numer ON contracts (tenant_id, numer, id);
CREATE INDEX contracts_by_typ ON contracts (tenant_id, typ, num);
CREATE INDEX contracts_by_customer ON contracts (tenant_id, customer_id, num);
CREATE INDEX contracts_by_user ON contracts (tenant_id, uzytkownik_id, num);
CREATE INDEX contracts_by_completed ON contracts (tenant_id, zakonczona, num);
CREATE INDEX contracts_by_settled ON contracts (tenant_id, rozliczona, num);
CREATE INDEX contracts_by_signed ON contracts (tenant_id, data_podpisania, id);
CREATE INDEX contracts_by_settled_at ON contracts (tenant_id, rozliczona_at, id);
-- Deleting an address looks for contracts that name it.
CREATE INDEX contracts_by_home ON contracts (tenant_id, adres_zamieszkania_id);
CREATE INDEX contracts_by_site ON contracts (tenant_id, adres_montazu_id);
CREATE INDEX contracts_by_invoice_address ON contracts (tenant_id, adres_faktury_id);

CREATE TABLE contract_valuations (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    meble {money} NOT NULL,
    dodatki {money} NOT NULL,
    sprzet {money} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, contract_id)
{table_end};

CREATE TABLE contract_payment_methods (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    typ {text} NOT NULL,
    rodzaj {text} NOT NULL,
    cena {money} NOT NULL,
    data {date},
    potwierdzona {flag} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX contract_payment_methods_by_contract ON contract_payment_methods (tenant_id, contract_id, num);
CREATE INDEX contract_payment_methods_by_typ ON contract_payment_methods (tenant_id, typ, num);
CREATE INDEX contract_payment_methods_by_rodzaj ON contract_payment_methods (tenant_id, rodzaj, num);
CREATE INDEX contract_payment_methods_by_confirmed ON contract_payment_methods (tenant_id, potwierdzona, num);
CREATE INDEX contract_payment_methods_by_cena ON contract_payment_methods (tenant_id, cena, id);
CREATE INDEX contract_payment_methods_by_data ON contract_payment_methods (tenant_id, data, id);
