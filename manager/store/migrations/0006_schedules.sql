-- Workflows that start by the calendar, and what came of each due moment.
CREATE TABLE schedule (
    tenant TEXT NOT NULL,
    name   TEXT NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT;

CREATE TABLE schedule_run (
    id       INTEGER PRIMARY KEY NOT NULL,
    tenant   TEXT NOT NULL,
    schedule TEXT NOT NULL,
    body     TEXT NOT NULL
) STRICT;
CREATE INDEX schedule_run_by_tenant ON schedule_run (tenant, id);
CREATE INDEX schedule_run_by_schedule ON schedule_run (tenant, schedule, id);
