-- Uploads that take a share of their owner's quota until they end, and that may come in parts.

CREATE TABLE uploads_anew (
    id           INTEGER PRIMARY KEY,
    public_id    TEXT    NOT NULL UNIQUE,
    owner_id     INTEGER NOT NULL REFERENCES users (id),
    pathname     TEXT    NOT NULL,
    file_name    TEXT    NOT NULL,
    content_type TEXT    NOT NULL,
    -- Counts against the owner's quota while the upload is granted.
    max_bytes    INTEGER NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('granted', 'completed', 'cancelled', 'expired')),
    blob_id      INTEGER REFERENCES blobs (id),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    ended_at     INTEGER
) STRICT;
INSERT INTO uploads_anew (id, public_id, owner_id, pathname, file_name, content_type, max_bytes, state, blob_id,
    created_at, expires_at)
SELECT id, public_id, owner_id, pathname, file_name, content_type, max_bytes, state, blob_id, created_at, expires_at
FROM uploads;
DROP TABLE uploads;
ALTER TABLE uploads_anew RENAME TO uploads;
CREATE INDEX uploads_by_owner ON uploads (owner_id, state);
CREATE INDEX uploads_by_state ON uploads (state, expires_at);
CREATE INDEX uploads_by_blob ON uploads (blob_id);

-- A file that comes in parts. `place` is where the store of files puts it together, in words of its own.
CREATE TABLE drafts (
    id         INTEGER PRIMARY KEY,
    public_id  TEXT    NOT NULL UNIQUE,
    upload_id  INTEGER NOT NULL REFERENCES uploads (id),
    place      TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX drafts_by_upload ON drafts (upload_id);

-- A part that is whole. `place` is again for the store of files alone.
CREATE TABLE draft_parts (
    draft_id INTEGER NOT NULL REFERENCES drafts (id),
    number   INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    sha256   TEXT    NOT NULL,
    place    TEXT    NOT NULL,
    PRIMARY KEY (draft_id, number)
) STRICT;

CREATE INDEX blobs_by_owner ON blobs (owner_id);
CREATE INDEX blobs_unhashed ON blobs (id) WHERE sha256 IS NULL AND deleted_at IS NULL;
