-- Work: statuses, projects, task lists, tasks with checklists and subscribers (Intum's organize, Worksection).

CREATE TABLE task_statuses (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    num {count} NOT NULL,
    name {text} NOT NULL,
    description {text},
    category {text} NOT NULL,
    color {text} NOT NULL,
    priority {count},
    closed {flag} NOT NULL,
    active {flag} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num),
    UNIQUE (tenant_id, name)
{table_end};
CREATE INDEX task_statuses_by_place ON task_statuses (tenant_id, priority, id);
CREATE INDEX task_statuses_by_category ON task_statuses (tenant_id, category, num);
CREATE INDEX task_statuses_by_closed ON task_statuses (tenant_id, closed, num);
CREATE INDEX task_statuses_by_active ON task_statuses (tenant_id, active, num);

CREATE TABLE projects (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    name {text} NOT NULL,
    description {text},
    kind {text},
    code {text},
    team_id {id} REFERENCES teams (id),
    responsible_id {id} REFERENCES users (id),
    project_id {id} REFERENCES projects (id),
    client_id {id} REFERENCES parties (id),
    priority {count} NOT NULL,
    date_from {date},
    date_to {date},
    color {text},
    active {flag} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
-- One name an organization; projects of the whole tenant have no organization, and are told apart among themselves.
CREATE UNIQUE INDEX projects_by_name ON projects (tenant_id, organization_id, name);
CREATE UNIQUE INDEX projects_by_name_of_tenant ON projects (tenant_id, name) WHERE organization_id IS NULL;
CREATE INDEX projects_sorted_by_name ON projects (tenant_id, name, id);
CREATE INDEX projects_by_kind ON projects (tenant_id, kind, num);
CREATE INDEX projects_by_team ON projects (tenant_id, team_id, num);
CREATE INDEX projects_by_responsible ON projects (tenant_id, responsible_id, num);
CREATE INDEX projects_by_parent ON projects (tenant_id, project_id, num);
CREATE INDEX projects_by_client ON projects (tenant_id, client_id, num);
CREATE INDEX projects_by_active ON projects (tenant_id, active, num);
CREATE INDEX projects_by_priority ON projects (tenant_id, priority, id);
CREATE INDEX projects_by_date_from ON projects (tenant_id, date_from, id);
CREATE INDEX projects_by_date_to ON projects (tenant_id, date_to, id);

CREATE TABLE tasklists (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    name {text} NOT NULL,
    description {text},
    kind {text} NOT NULL,
    team_id {id} REFERENCES teams (id),
    project_id {id} REFERENCES projects (id),
    status_id {id} REFERENCES task_statuses (id),
    date_from {date},
    date_to {date},
    closed {flag} NOT NULL,
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX tasklists_by_name ON tasklists (tenant_id, name, id);
CREATE INDEX tasklists_by_kind ON tasklists (tenant_id, kind, num);
CREATE INDEX tasklists_by_team ON tasklists (tenant_id, team_id, num);
CREATE INDEX tasklists_by_project ON tasklists (tenant_id, project_id, num);
CREATE INDEX tasklists_by_status ON tasklists (tenant_id, status_id, num);
CREATE INDEX tasklists_by_closed ON tasklists (tenant_id, closed, num);
CREATE INDEX tasklists_by_date_from ON tasklists (tenant_id, date_from, id);
CREATE INDEX tasklists_by_date_to ON tasklists (tenant_id, date_to, id);

CREATE TABLE tasks (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    organization_id {id} REFERENCES organizations (id),
    num {count} NOT NULL,
    title {text} NOT NULL,
    content {text},
    status_id {id} REFERENCES task_statuses (id),
    team_id {id} REFERENCES teams (id),
    project_id {id} REFERENCES projects (id),
    tasklist_id {id} REFERENCES tasklists (id),
    parent_id {id} REFERENCES tasks (id),
    client_id {id} REFERENCES parties (id),
    responsible_id {id} REFERENCES users (id),
    responsible_team_id {id} REFERENCES teams (id),
    author_id {id} REFERENCES users (id),
    priority {count} NOT NULL,
    date_start {date},
    deadline {instant},
    estimate {count},
    closed {flag} NOT NULL,
    closed_at {instant},
    folded {text} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, num)
{table_end};
CREATE INDEX tasks_by_closed ON tasks (tenant_id, closed, num);
CREATE INDEX tasks_by_status ON tasks (tenant_id, status_id, num);
CREATE INDEX tasks_by_team ON tasks (tenant_id, team_id, num);
CREATE INDEX tasks_by_project ON tasks (tenant_id, project_id, num);
CREATE INDEX tasks_by_tasklist ON tasks (tenant_id, tasklist_id, num);
CREATE INDEX tasks_by_parent ON tasks (tenant_id, parent_id, num);
CREATE INDEX tasks_by_client ON tasks (tenant_id, client_id, num);
CREATE INDEX tasks_by_responsible ON tasks (tenant_id, responsible_id, num);
CREATE INDEX tasks_by_responsible_team ON tasks (tenant_id, responsible_team_id, num);
CREATE INDEX tasks_by_author ON tasks (tenant_id, author_id, num);
-- Lists show open tasks unless asked otherwise, so what they are sorted by stands behind the flag.
CREATE INDEX tasks_by_title ON tasks (tenant_id, closed, title, id);
CREATE INDEX tasks_by_priority ON tasks (tenant_id, closed, priority, id);
CREATE INDEX tasks_by_date_start ON tasks (tenant_id, closed, date_start, id);
CREATE INDEX tasks_by_deadline ON tasks (tenant_id, closed, deadline, id);
CREATE INDEX tasks_by_creation ON tasks (tenant_id, closed, created_at, id);
CREATE INDEX tasks_by_change ON tasks (tenant_id, closed, updated_at, id);

CREATE TABLE task_todos (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    task_id {id} NOT NULL REFERENCES tasks (id),
    title {text} NOT NULL,
    done {flag} NOT NULL,
    position {count} NOT NULL,
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL
{table_end};
CREATE INDEX task_todos_by_task ON task_todos (tenant_id, task_id, position);

CREATE TABLE task_subscribers (
    id {id} PRIMARY KEY,
    tenant_id {id} NOT NULL REFERENCES tenants (id),
    task_id {id} NOT NULL REFERENCES tasks (id),
    user_id {id} NOT NULL REFERENCES users (id),
    version {count} NOT NULL,
    created_at {instant} NOT NULL,
    updated_at {instant} NOT NULL,
    UNIQUE (tenant_id, task_id, user_id)
{table_end};
CREATE INDEX task_subscribers_by_user ON task_subscribers (tenant_id, user_id);
