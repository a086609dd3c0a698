-- For how long a run waits for a model without any progress, in milliseconds; null is the operator's setting.
ALTER TABLE runs ADD COLUMN give_up_after_ms INTEGER;
ALTER TABLE schedules ADD COLUMN give_up_after_ms INTEGER;

-- Models of open runs without progress: `held_ms` is for how long they were held back by nothing but their own
-- endpoint (time in which no server ran is not counted), since `recorded` cases were there. `reason` is null while it
-- is not a wait: a call is under way, or others come first. `gave_up` is why the rest of its cases end without a call.
CREATE TABLE run_waits (
    run_id        INTEGER NOT NULL REFERENCES runs (id),
    model_id      INTEGER NOT NULL REFERENCES models (id),
    recorded      INTEGER NOT NULL,
    held_ms       INTEGER NOT NULL,
    open_cases    INTEGER NOT NULL,
    host          TEXT    NOT NULL,
    reason        TEXT,
    next_try_at   INTEGER,
    gives_up_at   INTEGER,
    gave_up       TEXT,
    PRIMARY KEY (run_id, model_id)
) STRICT;
CREATE INDEX run_waits_by_model ON run_waits (model_id);
