-- Items that were given back and wait for their time: found without reading those nobody has touched yet.
CREATE INDEX work_items_waiting ON work_items (run_id, run_after) WHERE state = 'ready' AND attempt > 0;
