-- Verdicts that a person overruled. `state` and `score` of such a case are the person's, since those count; what the
-- scorer said stands here. Everything else of a case, its `reason` and `error` too, stays the scorer's.
CREATE TABLE overrules (
    case_id      INTEGER PRIMARY KEY REFERENCES cases (id),
    result_id    INTEGER NOT NULL REFERENCES results (id),
    user_id      INTEGER NOT NULL REFERENCES users (id),
    reason       TEXT    NOT NULL,
    scorer_state TEXT    NOT NULL CHECK (scorer_state IN ('scored', 'unscored')),
    scorer_score REAL,
    at           INTEGER NOT NULL
) STRICT;
CREATE INDEX overrules_by_result ON overrules (result_id);

-- How many of a result's verdicts are overruled, and of how many cases the texts were removed.
ALTER TABLE results ADD COLUMN overruled_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE results ADD COLUMN removed_count INTEGER NOT NULL DEFAULT 0;

-- When the texts of a case were removed, since they were as old as the operator keeps them; the row stays, empty.
ALTER TABLE case_texts ADD COLUMN removed_at INTEGER;
