-- The address that a person last signed in from: HMAC-SHA256 of their e-mail address and it, under a key that is derived
-- from the master key. What tries a password from there is let through while others try from elsewhere.
ALTER TABLE users ADD COLUMN sign_in_proof BLOB;

-- Which master key the sealed secrets belong to: its id, as it is written before each of them.
CREATE TABLE master_key (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    key_id     BLOB    NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
