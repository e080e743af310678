-- Calendar: events of workers, days on which nothing is planned, and what an event was moved from.

CREATE TABLE calendar_events (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    pracownik_id {id} NOT NULL REFERENCES users (id),
    data {instant} NOT NULL,
    koniec {instant} NOT NULL,
    typ {text} NOT NULL,
    opis {text},
    opcje {json},
    contract_id {id} REFERENCES contracts (id),
    customer_id {id} REFERENCES parties (id),
    przelozone {flag} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    CHECK (koniec > data)
{table_end};
CREATE INDEX calendar_events_by_data ON calendar_events (tenant_id, data, id);
CREATE INDEX calendar_events_by_worker ON calendar_events (tenant_id, pracownik_id, num);
CREATE INDEX calendar_events_by_slot ON calendar_events (tenant_id, pracownik_id, data);
CREATE INDEX calendar_events_by_typ ON calendar_events (tenant_id, typ, num);
CREATE INDEX calendar_events_by_contract ON calendar_events (tenant_id, contract_id, num);
CREATE INDEX calendar_events_by_customer ON calendar_events (tenant_id, customer_id, num);
CREATE INDEX calendar_events_by_moved ON calendar_events (tenant_id, przelozone, num);

CREATE TABLE blocked_days (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    dzien {date} NOT NULL,
    powod {text},
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE UNIQUE INDEX blocked_days_by_day ON blocked_days (tenant_id, organization_id, dzien);
CREATE UNIQUE INDEX blocked_days_by_day_of_tenant ON blocked_days (tenant_id, dzien) WHERE organization_id IS NULL;
CREATE INDEX blocked_days_by_dzien ON blocked_days (tenant_id, dzien, num);
CREATE INDEX blocked_days_sorted ON blocked_days (tenant_id, dzien, id);

CREATE TABLE calendar_reschedules (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    from_event_id {id} NOT NULL REFERENCES calendar_events (id),
    to_event_id {id} NOT NULL REFERENCES calendar_events (id),
    autor_id {id} REFERENCES users (id),
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    -- An event is moved once: what it was moved to may be moved on.
    UNIQUE (tenant_id, from_event_id),
    CHECK (from_event_id <> to_event_id)
{table_end};
CREATE INDEX calendar_reschedules_by_from ON calendar_reschedules (tenant_id, from_event_id, num);
CREATE INDEX calendar_reschedules_by_to ON calendar_reschedules (tenant_id, to_event_id, num);
CREATE INDEX calendar_reschedules_by_author ON calendar_reschedules (tenant_id, autor_id);
