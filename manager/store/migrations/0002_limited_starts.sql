-- When tasks were handed out under a rate limit, as long as that counts. One row per hand-out; two may share a moment.
CREATE TABLE limited_start (
    id     INTEGER PRIMARY KEY NOT NULL,
    tenant TEXT NOT NULL,
    name   TEXT NOT NULL,
    at     INTEGER NOT NULL
) STRICT;
CREATE INDEX limited_start_by_name ON limited_start (tenant, name, at);
