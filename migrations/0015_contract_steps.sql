-- The other steps of a contract: what is built, appliances, installation, schedule, texts, purchases; profiles of workers.

CREATE TABLE contract_furniture (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    grupa_meblowa {text},
    korpus {text},
    pcv {text},
    boki {text},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX contract_furniture_by_contract ON contract_furniture (tenant_id, contract_id, num);

CREATE TABLE contract_fronts (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    typ {text},
    material {text},
    kolor {text},
    uslojenie {text},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX contract_fronts_by_contract ON contract_fronts (tenant_id, contract_id, num);

CREATE TABLE contract_handles (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    typ {text},
    kolor {text},
    dlugosc {count},
    sztuk {count},
    uwagi {text},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX contract_handles_by_contract ON contract_handles (tenant_id, contract_id, num);

CREATE TABLE contract_vitrines (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    typ_ramy {text},
    kolor_ramy {text},
    szyba {text},
    kolor_szyby {text},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX contract_vitrines_by_contract ON contract_vitrines (tenant_id, contract_id, num);

CREATE TABLE contract_appliances (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    rodzaj {text},
    firma {text},
    model {text},
    cena {money} NOT NULL,
    rabat {money},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX contract_appliances_by_contract ON contract_appliances (tenant_id, contract_id, num);
CREATE INDEX contract_appliances_by_cena ON contract_appliances (tenant_id, cena, id);

CREATE TABLE contract_assembly_notes (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    uwagi {text} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX contract_assembly_notes_by_contract ON contract_assembly_notes (tenant_id, contract_id, num);

CREATE TABLE contract_work_ratings (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    uzytkownik_id {id} NOT NULL REFERENCES users (id),
    kwota {money} NOT NULL,
    ocena {count} NOT NULL,
    komentarz {text},
    typ_pracownika {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX contract_work_ratings_by_contract ON contract_work_ratings (tenant_id, contract_id, num);
CREATE INDEX contract_work_ratings_by_user ON contract_work_ratings (tenant_id, uzytkownik_id, num);
CREATE INDEX contract_work_ratings_by_kind ON contract_work_ratings (tenant_id, typ_pracownika, num);
CREATE INDEX contract_work_ratings_by_kwota ON contract_work_ratings (tenant_id, kwota, id);
CREATE INDEX contract_work_ratings_by_ocena ON contract_work_ratings (tenant_id, ocena, id);

CREATE TABLE contract_worker_assignments (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    uzytkownik_id {id} NOT NULL REFERENCES users (id),
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, contract_id, uzytkownik_id)
{table_end};
CREATE INDEX contract_worker_assignments_by_contract ON contract_worker_assignments (tenant_id, contract_id, num);
CREATE INDEX contract_worker_assignments_by_user ON contract_worker_assignments (tenant_id, uzytkownik_id, num);

CREATE TABLE contract_installation_dates (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    data {instant} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX contract_installation_dates_by_contract ON contract_installation_dates (tenant_id, contract_id, num);
CREATE INDEX contract_installation_dates_by_data ON contract_installation_dates (tenant_id, data, id);

CREATE TABLE contract_planned_payments (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    typ {text} NOT NULL,
    rodzaj {text} NOT NULL,
    cena {money} NOT NULL,
    data {date},
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX contract_planned_payments_by_contract ON contract_planned_payments (tenant_id, contract_id, num);
CREATE INDEX contract_planned_payments_by_typ ON contract_planned_payments (tenant_id, typ, num);
CREATE INDEX contract_planned_payments_by_rodzaj ON contract_planned_payments (tenant_id, rodzaj, num);
CREATE INDEX contract_planned_payments_by_cena ON contract_planned_payments (tenant_id, cena, id);
CREATE INDEX contract_planned_payments_by_data ON contract_planned_payments (tenant_id, data, id);

CREATE TABLE contract_text_templates (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    nazwa {text} NOT NULL,
    tresc {text} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX contract_text_templates_by_nazwa ON contract_text_templates (tenant_id, nazwa, id);

CREATE TABLE contract_text_attachments (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    template_id {id} NOT NULL REFERENCES contract_text_templates (id),
    nazwa {text} NOT NULL,
    tresc {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, contract_id, template_id)
{table_end};
CREATE INDEX contract_text_attachments_by_contract ON contract_text_attachments (tenant_id, contract_id, num);
CREATE INDEX contract_text_attachments_by_template ON contract_text_attachments (tenant_id, template_id, num);

CREATE TABLE contract_purchase_orders (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    nazwa {text} NOT NULL,
    ilosc {money} NOT NULL,
    jednostka {text},
    dostawca {text},
    data_wyslania {date},
    data_odbioru {date},
    nr_faktury {text},
    komentarz {text},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX contract_purchase_orders_by_contract ON contract_purchase_orders (tenant_id, contract_id, num);
CREATE INDEX contract_purchase_orders_by_nazwa ON contract_purchase_orders (tenant_id, nazwa, id);
CREATE INDEX contract_purchase_orders_by_supplier ON contract_purchase_orders (tenant_id, dostawca, num);
CREATE INDEX contract_purchase_orders_by_sent ON contract_purchase_orders (tenant_id, data_wyslania, id);
CREATE INDEX contract_purchase_orders_by_received ON contract_purchase_orders (tenant_id, data_odbioru, id);

CREATE TABLE worker_profiles (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    user_id {id} NOT NULL REFERENCES users (id),
    notatnik {text},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, user_id)
{table_end};

-- Documents that were printed: numbered once, and kept as they were issued.
CREATE TABLE contract_documents (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    payment_id {id} REFERENCES contract_payment_methods (id),
    rodzaj {text} NOT NULL,
    numer {text} NOT NULL,
    data_wystawienia {date} NOT NULL,
    kwota {money},
    tresc {json} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, rodzaj, numer)
{table_end};
CREATE INDEX contract_documents_by_contract ON contract_documents (tenant_id, contract_id, num);
CREATE INDEX contract_documents_by_payment ON contract_documents (tenant_id, payment_id, num);
CREATE INDEX contract_documents_by_rodzaj ON contract_documents (tenant_id, rodzaj, num);
CREATE INDEX contract_documents_by_numer ON contract_documents (tenant_id, numer, id);
CREATE INDEX contract_documents_by_issue ON contract_documents (tenant_id, data_wystawienia, id);
CREATE INDEX contract_documents_by_kwota ON contract_documents (tenant_id, kwota, id);
