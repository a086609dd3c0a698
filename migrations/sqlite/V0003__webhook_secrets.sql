-- What calls to an eval's webhook are signed with: sealed, and bound to the eval and to `origin`, where the
-- webhook was when the secret was given.
CREATE TABLE webhook_secrets (
    eval_id    INTEGER PRIMARY KEY REFERENCES evals (id),
    sealed     BLOB    NOT NULL,
    origin     TEXT    NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
