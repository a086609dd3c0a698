-- Runs that start by themselves. `cron` has five fields and means UTC; `next_at` is when it fires next, null while
-- it is paused. The settings of its runs are those of a run. A deleted one keeps its row for the runs it started.
CREATE TABLE schedules (
    id           INTEGER PRIMARY KEY,
    public_id    TEXT    NOT NULL UNIQUE,
    owner_id     INTEGER NOT NULL REFERENCES users (id),
    name         TEXT    NOT NULL,
    cron         TEXT    NOT NULL,
    model_ids    TEXT,
    eval_ids     TEXT,
    only_missing INTEGER NOT NULL CHECK (only_missing IN (0, 1)),
    notes        TEXT    NOT NULL,
    on_board     INTEGER NOT NULL CHECK (on_board IN (0, 1)),
    epochs       INTEGER,
    max_samples  INTEGER,
    budget_usd   REAL,
    next_at      INTEGER,
    last_at      INTEGER,
    last_run_id  INTEGER REFERENCES runs (id),
    last_outcome TEXT CHECK (last_outcome IN ('started', 'skipped')),
    last_message TEXT,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    deleted_at   INTEGER
) STRICT;
CREATE INDEX schedules_due ON schedules (next_at) WHERE next_at IS NOT NULL;

-- Which schedule started a run; null when a person did.
ALTER TABLE runs ADD COLUMN schedule_id INTEGER REFERENCES schedules (id);
CREATE INDEX runs_by_schedule ON runs (schedule_id, id) WHERE schedule_id IS NOT NULL;

-- Whether something that a run asks is called with the operator's keys, and whether the cap of the person who
-- started it stopped it.
ALTER TABLE runs ADD COLUMN on_operator INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN is_capped INTEGER NOT NULL DEFAULT 0;

-- What a member may spend on the operator's keys in a day (UTC) in US dollars; null is what the server's settings
-- say.
ALTER TABLE users ADD COLUMN daily_usd REAL;

-- What the cases of a person's runs cost on the operator's keys, by the day on which they were recorded: days
-- since 1970 in UTC. Null when a part of it is unknown.
CREATE TABLE spending (
    user_id INTEGER NOT NULL REFERENCES users (id),
    day     INTEGER NOT NULL,
    usd     REAL,
    PRIMARY KEY (user_id, day)
) STRICT;
