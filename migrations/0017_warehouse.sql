-- Warehouse: materials in stock, what was issued to contracts, and every movement of stock.

CREATE TABLE warehouse_locations (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    nazwa {text} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX warehouse_locations_by_nazwa ON warehouse_locations (tenant_id, nazwa, id);

CREATE TABLE materials (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    typ {text} NOT NULL,
    producent {text} NOT NULL,
    symbol {text} NOT NULL,
    dlugosc {count} NOT NULL,
    szerokosc {count} NOT NULL,
    grubosc {text},
    uwagi {text},
    contract_id {id} REFERENCES contracts (id),
    cala {flag} NOT NULL,
    pozostalo {text},
    ilosc {count} NOT NULL CHECK (ilosc >= 0),
    legacy_id {text},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX materials_by_typ ON materials (tenant_id, typ, num);
CREATE INDEX materials_by_producent ON materials (tenant_id, producent, num);
CREATE INDEX materials_sorted_by_producent ON materials (tenant_id, producent, id);
CREATE INDEX materials_by_symbol ON materials (tenant_id, symbol, id);
CREATE INDEX materials_by_contract ON materials (tenant_id, contract_id, num);
CREATE INDEX materials_by_cala ON materials (tenant_id, cala, num);
CREATE INDEX materials_by_ilosc ON materials (tenant_id, ilosc, id);
CREATE INDEX materials_by_legacy ON materials (tenant_id, legacy_id, num);

CREATE TABLE goods_issues (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    contract_id {id} NOT NULL REFERENCES contracts (id),
    nr {text} NOT NULL,
    data {instant} NOT NULL,
    kwota {money} NOT NULL,
    location_id {id} NOT NULL REFERENCES warehouse_locations (id),
    uwagi {text},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
-- One number an organization; rows of the whole tenant have no organization, and are told apart among themselves.
CREATE UNIQUE INDEX goods_issues_by_nr ON goods_issues (tenant_id, organization_id, nr);
CREATE UNIQUE INDEX goods_issues_by_nr_of_tenant ON goods_issues (tenant_id, nr) WHERE organization_id IS NULL;
CREATE INDEX goods_issues_sorted_by_nr ON goods_issues (tenant_id, nr, id);
CREATE INDEX goods_issues_by_contract ON goods_issues (tenant_id, contract_id, num);
CREATE INDEX goods_issues_by_location ON goods_issues (tenant_id, location_id, num);
CREATE INDEX goods_issues_by_data ON goods_issues (tenant_id, data, id);
CREATE INDEX goods_issues_by_kwota ON goods_issues (tenant_id, kwota, id);

CREATE TABLE goods_issue_lines (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    goods_issue_id {id} NOT NULL REFERENCES goods_issues (id),
    material_id {id} NOT NULL REFERENCES materials (id),
    ilosc {count} NOT NULL CHECK (ilosc > 0),
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, goods_issue_id, material_id)
{table_end};
CREATE INDEX goods_issue_lines_by_issue ON goods_issue_lines (tenant_id, goods_issue_id, num);
CREATE INDEX goods_issue_lines_by_material ON goods_issue_lines (tenant_id, material_id, num);

CREATE TABLE stock_moves (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    material_id {id} NOT NULL REFERENCES materials (id),
    rodzaj {text} NOT NULL,
    ilosc {count} NOT NULL,
    stan {count} NOT NULL CHECK (stan >= 0),
    goods_issue_id {id} REFERENCES goods_issues (id),
    dokument {text},
    uwagi {text},
    autor_id {id} REFERENCES users (id),
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX stock_moves_by_material ON stock_moves (tenant_id, material_id, num);
CREATE INDEX stock_moves_by_rodzaj ON stock_moves (tenant_id, rodzaj, num);
CREATE INDEX stock_moves_by_issue ON stock_moves (tenant_id, goods_issue_id, num);
CREATE INDEX stock_moves_by_author ON stock_moves (tenant_id, autor_id);
