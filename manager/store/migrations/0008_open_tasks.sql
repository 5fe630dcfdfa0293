-- Each task entered this index and left it again. What is open is found by the workflows that are: only they have open tasks.
DROP INDEX task_open;
