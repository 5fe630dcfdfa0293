-- Rows are the JSON of the record in `body`; what is filtered or joined on is a column of its own.
-- Ids are the 16 bytes of a version 7 UUID, so that new rows land at the end of every index that begins with one.
-- Payloads (input, output, variables) are columns of their own; NULL means that it is large and lies in `payload`.

CREATE TABLE snapshot (
    digest TEXT PRIMARY KEY NOT NULL,
    body   TEXT NOT NULL
) STRICT;

CREATE TABLE workflow (
    id              BLOB PRIMARY KEY NOT NULL,
    tenant          TEXT NOT NULL,
    name            TEXT NOT NULL,
    version         INTEGER NOT NULL,
    status          TEXT NOT NULL,
    open            INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    snapshot        TEXT NOT NULL REFERENCES snapshot (digest),
    created_at      INTEGER NOT NULL,
    timer_at        INTEGER,
    correlation_id  TEXT,
    idempotency_key TEXT,
    input           TEXT,
    output          TEXT,
    variables       TEXT,
    body            TEXT NOT NULL
) STRICT;
CREATE INDEX workflow_by_tenant ON workflow (tenant, id);
CREATE INDEX workflow_by_name ON workflow (tenant, name, id);
CREATE INDEX workflow_by_status ON workflow (tenant, status, id);
CREATE INDEX workflow_by_correlation ON workflow (tenant, correlation_id, id) WHERE correlation_id IS NOT NULL;
-- Not unique: a key may be used again once its workflow is over. The one deciding thread keeps it to one that goes on.
CREATE INDEX workflow_by_idempotency_key ON workflow (tenant, name, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX workflow_open ON workflow (id) WHERE open = 1;

CREATE TABLE task (
    id              BLOB PRIMARY KEY NOT NULL,
    workflow_id     BLOB NOT NULL,
    seq             INTEGER NOT NULL,
    tenant          TEXT NOT NULL,
    definition_name TEXT NOT NULL,
    status          TEXT NOT NULL,
    open            INTEGER NOT NULL,
    input           TEXT,
    output          TEXT,
    body            TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX task_by_workflow ON task (workflow_id, seq);
CREATE INDEX task_by_definition ON task (tenant, definition_name, id);
CREATE INDEX task_open ON task (tenant, id) WHERE open = 1;

-- Large payloads, so that a row that changes often does not drag them along.
CREATE TABLE payload (
    owner BLOB NOT NULL,
    kind  INTEGER NOT NULL,
    body  TEXT NOT NULL,
    PRIMARY KEY (owner, kind)
) STRICT;

CREATE TABLE outbox (
    id     INTEGER PRIMARY KEY NOT NULL,
    tenant TEXT NOT NULL,
    agent  TEXT NOT NULL,
    task   BLOB NOT NULL,
    kind   INTEGER NOT NULL,
    body   TEXT NOT NULL
) STRICT;

CREATE TABLE feed (
    id     INTEGER PRIMARY KEY NOT NULL,
    tenant TEXT NOT NULL,
    body   TEXT NOT NULL
) STRICT;

-- The highest numbers ever drawn, which outlive the rows.
CREATE TABLE counter (
    name  TEXT PRIMARY KEY NOT NULL,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE agent (
    id     TEXT PRIMARY KEY NOT NULL,
    tenant TEXT NOT NULL,
    body   TEXT NOT NULL
) STRICT;

CREATE TABLE task_log (
    task   BLOB NOT NULL,
    seq    INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    at     INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    line   TEXT NOT NULL,
    PRIMARY KEY (task, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE task_def (
    tenant TEXT NOT NULL,
    name   TEXT NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT;

CREATE TABLE workflow_def (
    tenant  TEXT NOT NULL,
    name    TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (tenant, name, version)
) STRICT;

CREATE TABLE plugin (
    tenant      TEXT NOT NULL,
    digest      TEXT NOT NULL,
    name        TEXT NOT NULL,
    version     TEXT NOT NULL,
    uploaded_at INTEGER NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (tenant, digest)
) STRICT;
CREATE UNIQUE INDEX plugin_by_version ON plugin (tenant, name, version);

CREATE TABLE node_instance (
    tenant  TEXT NOT NULL,
    id      TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;

CREATE TABLE token (
    hash       TEXT PRIMARY KEY NOT NULL,
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
