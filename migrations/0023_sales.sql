-- Pipelines, the stages of each, and where leads come from.
CREATE TABLE pipelines (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    num {count} NOT NULL,
    code {text} NOT NULL,
    name {text} NOT NULL,
    is_default {flag} NOT NULL,
    rotten_days {count} NOT NULL,
    metadata {json} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, code)
{table_end};
CREATE UNIQUE INDEX pipelines_by_default ON pipelines (tenant_id) WHERE is_default;

CREATE TABLE pipeline_stages (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    num {count} NOT NULL,
    pipeline_id {id} NOT NULL REFERENCES pipelines (id),
    code {text} NOT NULL,
    name {text} NOT NULL,
    description {text},
    color {text} NOT NULL,
    probability {count} NOT NULL,
    sort_order {count} NOT NULL,
    is_won {flag} NOT NULL,
    is_lost {flag} NOT NULL,
    closed {flag} NOT NULL,
    active {flag} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, pipeline_id, code)
{table_end};
CREATE INDEX pipeline_stages_by_order ON pipeline_stages (tenant_id, pipeline_id, sort_order, num);

CREATE TABLE lead_sources (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    num {count} NOT NULL,
    code {text} NOT NULL,
    name {text} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, code)
{table_end};

ALTER TABLE deals ADD COLUMN pipeline_id {id} REFERENCES pipelines (id);
ALTER TABLE deals ADD COLUMN stage_id {id} REFERENCES pipeline_stages (id);
ALTER TABLE deals ADD COLUMN source_id {id} REFERENCES lead_sources (id);
ALTER TABLE deals ADD COLUMN stage_since {instant};
ALTER TABLE deals ADD COLUMN tax {money};
ALTER TABLE deals ADD COLUMN number {text};
ALTER TABLE deals ADD COLUMN invoice_number {text};
ALTER TABLE deals ADD COLUMN url {text};
ALTER TABLE deals ADD COLUMN app_code {text};
ALTER TABLE deals ADD COLUMN external_id {text};
ALTER TABLE deals ADD COLUMN main_date {date};
ALTER TABLE deals ADD COLUMN date_from {date};
ALTER TABLE deals ADD COLUMN date_to {date};
ALTER TABLE deals ADD COLUMN department_id {id} REFERENCES groups (id);
ALTER TABLE deals ADD COLUMN project_id {id} REFERENCES projects (id);
ALTER TABLE deals ADD COLUMN task_id {id} REFERENCES tasks (id);
CREATE UNIQUE INDEX deals_by_external_id ON deals (tenant_id, app_code, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX deals_by_pipeline ON deals (tenant_id, pipeline_id, num);
CREATE INDEX deals_by_stage_id ON deals (tenant_id, stage_id, num);
CREATE INDEX deals_by_source_id ON deals (tenant_id, source_id, num);
CREATE INDEX deals_by_source ON deals (tenant_id, source, num);
CREATE INDEX deals_by_department ON deals (tenant_id, department_id, num);
CREATE INDEX deals_by_project ON deals (tenant_id, project_id, num);
CREATE INDEX deals_by_task ON deals (tenant_id, task_id, num);
CREATE INDEX deals_by_value ON deals (tenant_id, value_net, id);
CREATE INDEX deals_by_date ON deals (tenant_id, main_date, id);
CREATE INDEX deals_by_title ON deals (tenant_id, title, id);
CREATE INDEX deals_by_creation ON deals (tenant_id, created_at, id);
CREATE INDEX deals_by_change ON deals (tenant_id, updated_at, id);
-- In which order the people and companies of a deal were named.
ALTER TABLE deal_parties ADD COLUMN place {count};
CREATE INDEX activities_by_creation ON activities (tenant_id, created_at, id);
CREATE INDEX activities_by_doneness ON activities (tenant_id, is_done, num);
