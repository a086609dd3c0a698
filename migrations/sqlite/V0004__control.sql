-- Cases of a cell, and of a run, that will never be asked: the run was stopped before, and only what could not
-- be measured in it is asked again. A run ends when all of its other cases are recorded.
ALTER TABLE run_cells ADD COLUMN given_up INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN given_up INTEGER NOT NULL DEFAULT 0;

-- The id of the last case that a retry took away: no case gets it again, since the ids of cases are the places
-- up to which people have followed a run.
CREATE TABLE case_ids (
    last INTEGER NOT NULL
) STRICT;
INSERT INTO case_ids (last) VALUES (0);

-- How fast a run goes: cases that were recorded by two moments half a minute or more apart, so that the rate of
-- the last minute is known without counting. Null in a run that has not begun.
ALTER TABLE runs ADD COLUMN pace_at INTEGER;
ALTER TABLE runs ADD COLUMN pace_done INTEGER;
ALTER TABLE runs ADD COLUMN mark_at INTEGER;
ALTER TABLE runs ADD COLUMN mark_done INTEGER;

-- A run's next item in the queue of an endpoint, without reading the others.
CREATE INDEX work_items_next ON work_items (run_id, endpoint, priority) WHERE state = 'ready';
