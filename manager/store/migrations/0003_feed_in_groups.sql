-- The feed is written with every decision and read by few: the entries of one batch lie in one row.
-- `body` is the JSON list of a tenant's entries; `last_id` the number of the last of them.
-- What was in the feed is dropped: it only serves readers that resume.

DROP TABLE feed;
CREATE TABLE feed (
    last_id INTEGER PRIMARY KEY NOT NULL,
    tenant  TEXT NOT NULL,
    body    TEXT NOT NULL
) STRICT;
