-- The first schema. Conventions: ids are INTEGER inside and TEXT (`public_id`) outside, times are
-- milliseconds UTC, money is US dollars, prices are US dollars per million tokens, JSON is TEXT.
-- Forward only: once landed a file is never edited.

-- People ------------------------------------------------------------------------------------------

CREATE TABLE users (
    id          INTEGER PRIMARY KEY,
    public_id   TEXT    NOT NULL UNIQUE,
    email       TEXT    NOT NULL UNIQUE,
    handle      TEXT,
    role        TEXT    NOT NULL CHECK (role IN ('member', 'admin')),
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT;

-- Only the SHA-256 of a key is kept. `hint` is its first characters, for a person to recognise it by.
CREATE TABLE api_keys (
    id           INTEGER PRIMARY KEY,
    public_id    TEXT    NOT NULL UNIQUE,
    user_id      INTEGER NOT NULL REFERENCES users (id),
    name         TEXT    NOT NULL,
    hash         BLOB    NOT NULL UNIQUE,
    hint         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at   INTEGER,
    revoked_at   INTEGER
) STRICT;
CREATE INDEX api_keys_by_user ON api_keys (user_id);

-- The first answer to a POST that carried an Idempotency-Key, kept for a day.
CREATE TABLE idempotent_answers (
    user_id     INTEGER NOT NULL REFERENCES users (id),
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    status      INTEGER NOT NULL,
    location    TEXT,
    body        BLOB,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (user_id, key)
) STRICT;
CREATE INDEX idempotent_answers_by_age ON idempotent_answers (created_at);

-- Models ------------------------------------------------------------------------------------------

CREATE TABLE models (
    id              INTEGER PRIMARY KEY,
    public_id       TEXT    NOT NULL UNIQUE,
    owner_id        INTEGER NOT NULL REFERENCES users (id),
    name            TEXT    NOT NULL,
    description     TEXT    NOT NULL,
    revision_id     INTEGER REFERENCES model_revisions (id),
    sealed_key      BLOB,
    key_origin      TEXT,
    is_official     INTEGER NOT NULL CHECK (is_official IN (0, 1)),
    is_active       INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    provider        TEXT,
    url             TEXT,
    license         TEXT,
    open_weights    INTEGER CHECK (open_weights IN (0, 1)),
    max_concurrency INTEGER,
    timeout_ms      INTEGER,
    input_price     REAL,
    output_price    REAL,
    cached_input_price REAL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    deleted_at      INTEGER
) STRICT;
CREATE INDEX models_by_age ON models (created_at, id);

-- What decides an answer: where it is asked and with which parameters. Immutable.
CREATE TABLE model_revisions (
    id            INTEGER PRIMARY KEY,
    model_id      INTEGER NOT NULL REFERENCES models (id),
    hash          TEXT    NOT NULL,
    inference_uri TEXT    NOT NULL,
    parameters    TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    UNIQUE (model_id, hash)
) STRICT;

-- The prices a case was charged with. Immutable; a null price is unknown, never zero.
CREATE TABLE price_snapshots (
    id                 INTEGER PRIMARY KEY,
    model_id           INTEGER NOT NULL REFERENCES models (id),
    input_price        REAL,
    output_price       REAL,
    cached_input_price REAL,
    created_at         INTEGER NOT NULL
) STRICT;
CREATE INDEX price_snapshots_by_model ON price_snapshots (model_id, id);

-- Evals -------------------------------------------------------------------------------------------

CREATE TABLE evals (
    id             INTEGER PRIMARY KEY,
    public_id      TEXT    NOT NULL UNIQUE,
    owner_id       INTEGER NOT NULL REFERENCES users (id),
    name           TEXT    NOT NULL,
    description    TEXT    NOT NULL,
    version_id     INTEGER REFERENCES eval_versions (id),
    category       TEXT,
    tags           TEXT    NOT NULL,
    weight         REAL    NOT NULL,
    chance_level   REAL,
    higher_is_better INTEGER NOT NULL CHECK (higher_is_better IN (0, 1)),
    hidden_targets INTEGER NOT NULL CHECK (hidden_targets IN (0, 1)),
    is_active      INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    deleted_at     INTEGER
) STRICT;
CREATE INDEX evals_by_age ON evals (created_at, id);

-- Samples never change: an edit makes a new set, and old cases still open. An implied set holds the one
-- sample of an eval that was given none: its input is the prompt.
CREATE TABLE sample_sets (
    id           INTEGER PRIMARY KEY,
    eval_id      INTEGER NOT NULL REFERENCES evals (id),
    hash         TEXT    NOT NULL,
    sample_count INTEGER NOT NULL,
    is_implied   INTEGER NOT NULL CHECK (is_implied IN (0, 1)),
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX sample_sets_by_eval ON sample_sets (eval_id);

CREATE TABLE samples (
    id         INTEGER PRIMARY KEY,
    set_id     INTEGER NOT NULL REFERENCES sample_sets (id),
    position   INTEGER NOT NULL,
    key        TEXT    NOT NULL,
    input      TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    choices    TEXT    NOT NULL,
    metadata   TEXT    NOT NULL,
    cluster_id TEXT,
    UNIQUE (set_id, position),
    UNIQUE (set_id, key)
) STRICT;

-- Everything that decides a score except the model. Immutable; `hash` is over all of it.
CREATE TABLE eval_versions (
    id                 INTEGER PRIMARY KEY,
    eval_id            INTEGER NOT NULL REFERENCES evals (id),
    number             INTEGER NOT NULL,
    hash               TEXT    NOT NULL,
    prompt             TEXT    NOT NULL,
    expected_behavior  TEXT    NOT NULL,
    eval_type          TEXT    NOT NULL,
    eval_criteria      TEXT    NOT NULL,
    scorer             TEXT    NOT NULL,
    scorer_version     INTEGER NOT NULL,
    grader             TEXT,
    grader_revision_id INTEGER REFERENCES model_revisions (id),
    epochs             INTEGER NOT NULL CHECK (epochs >= 1),
    reducer            TEXT    NOT NULL,
    pass_threshold     REAL    NOT NULL,
    set_id             INTEGER NOT NULL REFERENCES sample_sets (id),
    created_at         INTEGER NOT NULL,
    UNIQUE (eval_id, number)
) STRICT;

-- Runs --------------------------------------------------------------------------------------------

-- `plan_cell` and `plan_sample` say where planning goes on; `planned_at` when it was over. A sum of money
-- is null as soon as one part of it is unknown.
CREATE TABLE runs (
    id              INTEGER PRIMARY KEY,
    public_id       TEXT    NOT NULL UNIQUE,
    triggered_by    INTEGER NOT NULL REFERENCES users (id),
    state           TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    started_at      INTEGER NOT NULL,
    completed_at    INTEGER,
    heartbeat_at    INTEGER,
    error           TEXT,
    notes           TEXT    NOT NULL,
    on_board        INTEGER NOT NULL CHECK (on_board IN (0, 1)),
    epochs          INTEGER,
    max_samples     INTEGER,
    budget_usd      REAL,
    total_models    INTEGER NOT NULL,
    total_evals     INTEGER NOT NULL,
    completed_count INTEGER NOT NULL,
    case_total      INTEGER NOT NULL,
    case_done       INTEGER NOT NULL,
    case_errors     INTEGER NOT NULL,
    cost_usd        REAL,
    plan_cell       INTEGER NOT NULL,
    plan_sample     INTEGER NOT NULL,
    planned_at      INTEGER
) STRICT;
CREATE INDEX runs_by_age ON runs (started_at, id);
CREATE INDEX runs_open ON runs (id) WHERE state IN ('queued', 'running');

-- The plan: one row per model x eval of a run, pinned to what it was when the run was triggered. A cell is
-- dropped when its model or eval was deleted before a case of it was recorded.
CREATE TABLE run_cells (
    id          INTEGER PRIMARY KEY,
    run_id      INTEGER NOT NULL REFERENCES runs (id),
    position    INTEGER NOT NULL,
    model_id    INTEGER NOT NULL REFERENCES models (id),
    revision_id INTEGER NOT NULL REFERENCES model_revisions (id),
    price_id    INTEGER NOT NULL REFERENCES price_snapshots (id),
    eval_id     INTEGER NOT NULL REFERENCES evals (id),
    version_id  INTEGER NOT NULL REFERENCES eval_versions (id),
    endpoint    TEXT    NOT NULL,
    first_priority INTEGER NOT NULL,
    samples     INTEGER NOT NULL,
    epochs      INTEGER NOT NULL,
    finished_at INTEGER,
    dropped_at  INTEGER,
    UNIQUE (run_id, model_id, eval_id),
    UNIQUE (run_id, position)
) STRICT;
CREATE INDEX run_cells_by_model ON run_cells (model_id);
CREATE INDEX run_cells_by_eval ON run_cells (eval_id);

-- One row per case to be made. `attempt` is the fence: it grows at every lease and never resets.
CREATE TABLE work_items (
    id          INTEGER PRIMARY KEY,
    run_id      INTEGER NOT NULL REFERENCES runs (id),
    model_id    INTEGER NOT NULL REFERENCES models (id),
    eval_id     INTEGER NOT NULL REFERENCES evals (id),
    sample_id   INTEGER NOT NULL REFERENCES samples (id),
    epoch       INTEGER NOT NULL,
    endpoint    TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('ready', 'leased', 'done', 'failed', 'cancelled')),
    priority    INTEGER NOT NULL,
    run_after   INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    tries       INTEGER NOT NULL,
    expiries    INTEGER NOT NULL,
    lease_owner TEXT,
    lease_until INTEGER,
    last_error  TEXT,
    UNIQUE (run_id, model_id, eval_id, sample_id, epoch)
) STRICT;
CREATE INDEX work_items_ready ON work_items (endpoint, priority, run_after, id) WHERE state = 'ready';
CREATE INDEX work_items_leased ON work_items (lease_until) WHERE state = 'leased';
CREATE INDEX work_items_open ON work_items (run_id, model_id, eval_id) WHERE state IN ('ready', 'leased');

-- Results -----------------------------------------------------------------------------------------

-- A model x eval cell of a run: the aggregate of its cases, kept while they are written. The sums
-- grow with every case; score, interval and `item_scores` are set when the cell is finished.
-- Sums of tokens and money are null as soon as one answered case's part is unknown.
-- `item_scores`: one little-endian 64-bit float per sample by position, NaN where nothing was measured.
CREATE TABLE results (
    id             INTEGER PRIMARY KEY,
    public_id      TEXT    NOT NULL UNIQUE,
    run_id         INTEGER NOT NULL REFERENCES runs (id),
    model_id       INTEGER NOT NULL REFERENCES models (id),
    eval_id        INTEGER NOT NULL REFERENCES evals (id),
    revision_id    INTEGER NOT NULL REFERENCES model_revisions (id),
    version_id     INTEGER NOT NULL REFERENCES eval_versions (id),
    state          TEXT    NOT NULL CHECK (state IN ('running', 'complete', 'incomplete')),
    provenance     TEXT    NOT NULL CHECK (provenance IN ('run_here', 'imported', 'self_reported')),
    planned_count  INTEGER NOT NULL,
    case_count     INTEGER NOT NULL,
    scored_count   INTEGER NOT NULL,
    unscored_count INTEGER NOT NULL,
    error_count    INTEGER NOT NULL,
    passed_count   INTEGER NOT NULL,
    score_sum      REAL    NOT NULL,
    score          REAL,
    stderr         REAL,
    ci_low         REAL,
    ci_high        REAL,
    ci_method      TEXT,
    item_count     INTEGER NOT NULL,
    cluster_count  INTEGER,
    item_scores    BLOB,
    latency_sum_ms INTEGER NOT NULL,
    latency_count  INTEGER NOT NULL,
    latency_p50_ms REAL,
    input_tokens    INTEGER,
    output_tokens   INTEGER,
    cost_usd        REAL,
    grader_cost_usd     REAL,
    error          TEXT,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    UNIQUE (run_id, model_id, eval_id)
) STRICT;
CREATE INDEX results_by_model ON results (model_id, created_at, id);
CREATE INDEX results_by_run ON results (run_id, created_at, id);
CREATE INDEX results_by_eval ON results (eval_id);

-- The narrow half of a case; what is long stands in case_texts, so that counting never reads it.
CREATE TABLE cases (
    id            INTEGER PRIMARY KEY,
    public_id     TEXT    NOT NULL UNIQUE,
    result_id     INTEGER NOT NULL REFERENCES results (id),
    sample_id     INTEGER NOT NULL REFERENCES samples (id),
    epoch         INTEGER NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('scored', 'unscored', 'error')),
    score         REAL,
    reason        TEXT,
    error         TEXT,
    answer        TEXT,
    is_truncated  INTEGER NOT NULL CHECK (is_truncated IN (0, 1)),
    is_self_graded INTEGER NOT NULL CHECK (is_self_graded IN (0, 1)),
    attempts      INTEGER NOT NULL,
    latency_ms    INTEGER,
    input_tokens        INTEGER,
    cached_input_tokens INTEGER,
    output_tokens       INTEGER,
    reasoning_tokens    INTEGER,
    price_id      INTEGER NOT NULL REFERENCES price_snapshots (id),
    cost_usd      REAL,
    grader_cost_usd REAL,
    created_at    INTEGER NOT NULL,
    UNIQUE (result_id, sample_id, epoch)
) STRICT;

CREATE TABLE case_texts (
    case_id       INTEGER PRIMARY KEY REFERENCES cases (id),
    prompt        TEXT NOT NULL,
    response      TEXT NOT NULL,
    score_details TEXT NOT NULL,
    error_message TEXT,
    transcript    TEXT,
    usage         TEXT,
    raw           TEXT
) STRICT;

-- Board -------------------------------------------------------------------------------------------

-- The latest complete result of each model revision on each eval version: what the board reads.
CREATE TABLE board_cells (
    revision_id INTEGER NOT NULL REFERENCES model_revisions (id),
    version_id  INTEGER NOT NULL REFERENCES eval_versions (id),
    model_id    INTEGER NOT NULL REFERENCES models (id),
    eval_id     INTEGER NOT NULL REFERENCES evals (id),
    run_id      INTEGER NOT NULL REFERENCES runs (id),
    result_id   INTEGER NOT NULL REFERENCES results (id),
    runs        INTEGER NOT NULL,
    PRIMARY KEY (revision_id, version_id)
) STRICT;
CREATE INDEX board_cells_by_version ON board_cells (version_id, revision_id);
CREATE INDEX board_cells_by_result ON board_cells (result_id);

-- Which version of which eval counts for the ranking.
CREATE TABLE suite_evals (
    eval_id    INTEGER PRIMARY KEY REFERENCES evals (id),
    version_id INTEGER NOT NULL REFERENCES eval_versions (id),
    joined_at  INTEGER NOT NULL
) STRICT;

-- How the suite came to be what it is.
CREATE TABLE suite_changes (
    id         INTEGER PRIMARY KEY,
    eval_id    INTEGER NOT NULL REFERENCES evals (id),
    version_id INTEGER NOT NULL REFERENCES eval_versions (id),
    change     TEXT    NOT NULL CHECK (change IN ('joined', 'replaced', 'left')),
    at         INTEGER NOT NULL
) STRICT;

-- The public, append-only record of what moved the board; each row hashes the one before.
CREATE TABLE ledger (
    id            INTEGER PRIMARY KEY,
    at            INTEGER NOT NULL,
    user_id       INTEGER REFERENCES users (id),
    action        TEXT    NOT NULL,
    noun          TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    reason        TEXT    NOT NULL,
    before_digest TEXT,
    after_digest  TEXT,
    previous_hash TEXT    NOT NULL,
    hash          TEXT    NOT NULL UNIQUE
) STRICT;

-- Files -------------------------------------------------------------------------------------------

-- A stored file. `path` is where the store keeps it and comes from us, never from a client.
CREATE TABLE blobs (
    id           INTEGER PRIMARY KEY,
    public_id    TEXT    NOT NULL UNIQUE,
    owner_id     INTEGER NOT NULL REFERENCES users (id),
    path         TEXT    NOT NULL UNIQUE,
    file_name    TEXT    NOT NULL,
    content_type TEXT    NOT NULL,
    size         INTEGER NOT NULL,
    sha256       TEXT,
    created_at   INTEGER NOT NULL,
    deleted_at   INTEGER
) STRICT;

-- An upload that was granted a token and may or may not come.
CREATE TABLE uploads (
    id           INTEGER PRIMARY KEY,
    public_id    TEXT    NOT NULL UNIQUE,
    owner_id     INTEGER NOT NULL REFERENCES users (id),
    pathname     TEXT    NOT NULL,
    file_name    TEXT    NOT NULL,
    content_type TEXT    NOT NULL,
    max_bytes    INTEGER NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('granted', 'completed', 'expired')),
    blob_id      INTEGER REFERENCES blobs (id),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE artifacts (
    id            INTEGER PRIMARY KEY,
    public_id     TEXT    NOT NULL UNIQUE,
    model_id      INTEGER NOT NULL REFERENCES models (id),
    owner_id      INTEGER NOT NULL REFERENCES users (id),
    name          TEXT    NOT NULL,
    description   TEXT    NOT NULL,
    artifact_type TEXT    NOT NULL,
    version       TEXT    NOT NULL,
    file_name     TEXT    NOT NULL,
    file_type     TEXT    NOT NULL,
    file_size     INTEGER,
    content_type  TEXT    NOT NULL,
    blob_id       INTEGER REFERENCES blobs (id),
    external_url  TEXT,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    CHECK ((blob_id IS NULL) <> (external_url IS NULL))
) STRICT;
CREATE INDEX artifacts_by_model ON artifacts (model_id, created_at, id);
CREATE INDEX artifacts_by_blob ON artifacts (blob_id);

CREATE TABLE training_sets (
    id           INTEGER PRIMARY KEY,
    public_id    TEXT    NOT NULL UNIQUE,
    owner_id     INTEGER NOT NULL REFERENCES users (id),
    name         TEXT    NOT NULL,
    description  TEXT    NOT NULL,
    file_name    TEXT    NOT NULL,
    file_type    TEXT    NOT NULL,
    file_size    INTEGER,
    content_type TEXT    NOT NULL,
    line_count   INTEGER,
    snippet      TEXT    NOT NULL,
    blob_id      INTEGER REFERENCES blobs (id),
    external_url TEXT,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    CHECK ((blob_id IS NULL) <> (external_url IS NULL))
) STRICT;
CREATE INDEX training_sets_by_age ON training_sets (created_at, id);
CREATE INDEX training_sets_by_blob ON training_sets (blob_id);
