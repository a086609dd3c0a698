-- A run that asks no model: it scores the answers of an earlier run again, which is `rescores_id`. `answers_id` is
-- the run that asked for them, which is another one when a rescored run was rescored.
ALTER TABLE runs ADD COLUMN rescores_id INTEGER REFERENCES runs (id);
ALTER TABLE runs ADD COLUMN answers_id INTEGER REFERENCES runs (id);
CREATE INDEX runs_by_rescored ON runs (rescores_id, id) WHERE rescores_id IS NOT NULL;
