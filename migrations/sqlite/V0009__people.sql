-- What a person signs in with: argon2id in the PHC string format; null until he has chosen a password.
ALTER TABLE users ADD COLUMN password_hash TEXT;

-- What a key may do: all that its owner may, or only read.
ALTER TABLE api_keys ADD COLUMN scope TEXT NOT NULL DEFAULT 'write' CHECK (scope IN ('read', 'write'));

-- Who is signed in. Only the SHA-256 of what the browser holds is kept.
CREATE TABLE sessions (
    id         INTEGER PRIMARY KEY,
    hash       BLOB    NOT NULL UNIQUE,
    user_id    INTEGER NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id);

-- Links that let their holder choose a password, once: that person's, or, where there is none, that of the board's
-- first admin. A row goes with its use.
CREATE TABLE one_time_links (
    id         INTEGER PRIMARY KEY,
    hash       BLOB    NOT NULL UNIQUE,
    user_id    INTEGER REFERENCES users (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT;
CREATE INDEX one_time_links_by_user ON one_time_links (user_id);
