-- What was stored or removed under the name of a definition, when and by whom. What stood there before there were revisions
-- is the first one. A revision without a body is a removal; task definitions have no version.
CREATE TABLE revision (
    tenant  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    name    TEXT NOT NULL,
    number  INTEGER NOT NULL,
    version INTEGER,
    at      INTEGER NOT NULL,
    author  TEXT NOT NULL,
    body    TEXT,
    PRIMARY KEY (tenant, kind, name, number)
) STRICT;
INSERT INTO revision
    SELECT tenant, 'task', name, 1, NULL, coalesce(body ->> '$.updateTime', 0), coalesce(body ->> '$.updatedBy', ''),
        json_remove(body, '$.createTime', '$.updateTime', '$.createdBy', '$.updatedBy')
    FROM task_def;
INSERT INTO revision
    SELECT tenant, 'workflow', name, row_number() OVER (PARTITION BY tenant, name ORDER BY body ->> '$.updateTime', version),
        version, coalesce(body ->> '$.updateTime', 0), coalesce(body ->> '$.updatedBy', ''),
        json_remove(body, '$.createTime', '$.updateTime', '$.createdBy', '$.updatedBy')
    FROM workflow_def;
