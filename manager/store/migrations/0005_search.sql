-- Searches show the newest first, so the order of starting is the key of the table: `place` is the moment of the start in
-- ms, times 2^20, plus a count within the millisecond. Every index ends with it; a range of start times is a range of places.
CREATE TABLE workflow_placed (
    place           INTEGER PRIMARY KEY NOT NULL,
    id              BLOB NOT NULL,
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
    parent          BLOB,
    input           TEXT,
    output          TEXT,
    variables       TEXT,
    body            TEXT NOT NULL
) STRICT;
INSERT INTO workflow_placed
    SELECT (created_at << 20) + row_number() OVER (PARTITION BY created_at ORDER BY id) - 1, id, tenant, name, version, status,
        open, revision, snapshot, created_at, timer_at, correlation_id, idempotency_key, NULL, input, output, variables, body
    FROM workflow;
DROP TABLE workflow;
ALTER TABLE workflow_placed RENAME TO workflow;
CREATE UNIQUE INDEX workflow_by_id ON workflow (id);
CREATE INDEX workflow_by_name ON workflow (tenant, name, status);
CREATE INDEX workflow_by_status ON workflow (tenant, status);
CREATE INDEX workflow_by_correlation ON workflow (tenant, correlation_id) WHERE correlation_id IS NOT NULL;
CREATE INDEX workflow_by_parent ON workflow (parent) WHERE parent IS NOT NULL;
-- Not unique: a key may be used again once its workflow is over. The one deciding thread keeps it to one that goes on.
CREATE INDEX workflow_by_idempotency_key ON workflow (tenant, name, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX workflow_open ON workflow (id) WHERE open = 1;

-- The words of workflows, by place. Written at the start and when the status changes, never in between. It keeps no text, only
-- which words stand where; the marks in `words` name tenant, name and status, so that a search needs no other index.
CREATE VIRTUAL TABLE workflow_text USING fts5 (words, content = '', contentless_delete = 1, tokenize = 'ascii');

-- Tasks that did not do well are few among many.
CREATE INDEX task_failed ON task (tenant, id)
    WHERE status IN ('COMPLETED_WITH_ERRORS', 'FAILED', 'FAILED_WITH_TERMINAL_ERROR', 'TIMED_OUT', 'CANCELED', 'SKIPPED');
