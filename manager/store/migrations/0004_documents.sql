-- What is registered beside definitions: event handlers, schemas, secrets (sealed), environment values.
CREATE TABLE document (
    tenant  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    name    TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, name, version)
) STRICT;

-- Which actions of which messages are done, so that a message that comes again does nothing.
CREATE TABLE handled_event (
    key TEXT PRIMARY KEY NOT NULL,
    at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX handled_event_by_age ON handled_event (at);
