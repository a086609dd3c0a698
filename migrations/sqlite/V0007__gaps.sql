-- Incomplete results, which the board shows where there is no complete one: few, and found without reading the others.
CREATE INDEX results_incomplete ON results (version_id, revision_id) WHERE state = 'incomplete';
