-- Items that were given back and wait for their time: found without reading those nobody has touched yet.
CREATE INDEX work_items_waiting ON work_items (run_id, run_after) WHERE state = 'ready' AND attempt > 0;

-- Models of one run take turns on an endpoint that they share: how far apart a cell's items stand in its queue.
ALTER TABLE run_cells ADD COLUMN priority_step INTEGER NOT NULL DEFAULT 1;
