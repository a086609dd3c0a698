-- Whether people other than a model's owner and admins may run it on the API key of its own, and up to how many calls
-- and US dollars each of them a day. No existing model is shared.
ALTER TABLE models ADD COLUMN shared INTEGER NOT NULL DEFAULT 0 CHECK (shared IN (0, 1));
ALTER TABLE models ADD COLUMN shared_daily_calls INTEGER NOT NULL DEFAULT 200;
ALTER TABLE models ADD COLUMN shared_daily_usd REAL;

-- Calls of shared models by borrowers, day by day (days since 1970, UTC). A call is counted before it is made, at its
-- estimated cost, which its known cost takes the place of afterwards.
CREATE TABLE borrowed_calls (
    model_id INTEGER NOT NULL REFERENCES models (id),
    user_id  INTEGER NOT NULL REFERENCES users (id),
    day      INTEGER NOT NULL,
    calls    INTEGER NOT NULL,
    usd      REAL    NOT NULL,
    PRIMARY KEY (model_id, user_id, day)
) STRICT;

-- What a run of everything left out, as it was called then.
CREATE TABLE run_skips (
    run_id   INTEGER NOT NULL REFERENCES runs (id),
    position INTEGER NOT NULL,
    noun     TEXT    NOT NULL CHECK (noun IN ('model', 'eval')),
    subject  TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    code     TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    PRIMARY KEY (run_id, position)
) STRICT;
