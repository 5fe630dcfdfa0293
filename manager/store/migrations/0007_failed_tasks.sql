-- A list of statuses as the condition makes SQLite build that list anew, twice, for each row written. Two comparisons do not.
DROP INDEX task_failed;
CREATE INDEX task_failed ON task (tenant, id) WHERE open = 0 AND status <> 'COMPLETED';
