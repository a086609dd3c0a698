-- What a person may be called in the place of his e-mail address. No two may be told apart by case alone.
CREATE UNIQUE INDEX users_by_handle ON users (handle COLLATE NOCASE);

-- Everybody who is here gets what stands before the @, whoever came first as it is and others with their number.
CREATE TABLE bases AS
WITH RECURSIVE parts (id, rest, base) AS (
    SELECT id, substr(email, 1, instr(email, '@') - 1), '' FROM users
    UNION ALL
    SELECT id, substr(rest, 2),
           base || CASE WHEN substr(rest, 1, 1) GLOB '[a-zA-Z0-9._-]' THEN substr(rest, 1, 1) ELSE '-' END
    FROM parts
    WHERE rest <> '' AND length(base) < 25
)
SELECT id, CASE WHEN base GLOB '*[a-zA-Z0-9]*' THEN base ELSE 'person' END AS base
FROM parts
WHERE rest = '' OR length(base) = 25;

UPDATE OR IGNORE users SET handle = (SELECT base FROM bases WHERE bases.id = users.id);
UPDATE OR IGNORE users SET handle = (SELECT base || '-' || users.id FROM bases WHERE bases.id = users.id)
WHERE handle IS NULL;
UPDATE OR IGNORE users SET handle = (SELECT base || '-' || users.public_id FROM bases WHERE bases.id = users.id)
WHERE handle IS NULL;
DROP TABLE bases;

-- How people are named to everybody: the operator's word at the last start of the server. It stands here so that
-- whatever writes to this folder goes by it.
CREATE TABLE naming (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    by_handle INTEGER NOT NULL CHECK (by_handle IN (0, 1))
) STRICT;
INSERT INTO naming (id, by_handle) VALUES (1, 0);

-- People as everybody sees them. What is shown to others reads this, never the table.
CREATE VIEW submitters AS
SELECT users.id, users.public_id,
       CASE WHEN (SELECT by_handle FROM naming) THEN COALESCE(users.handle, users.public_id) ELSE users.email END AS name
FROM users;

-- Notes that everybody reads do not name an address any more.
UPDATE runs
SET error = (SELECT replace(runs.error, users.email || '''s cap', 'its owner''s cap')
             FROM users WHERE users.id = runs.triggered_by)
WHERE error LIKE '%''s cap of %';
UPDATE schedules
SET last_message = (SELECT replace(schedules.last_message, users.email, 'its owner')
                    FROM users WHERE users.id = schedules.owner_id)
WHERE last_message LIKE '%is no admin any more%';

-- Sign-ins with an OpenID Connect provider that are under way: a row goes with its use. Only the SHA-256 of what stands
-- in the address, and of what the browser holds, is kept.
CREATE TABLE sign_ins (
    id         INTEGER PRIMARY KEY,
    hash       BLOB    NOT NULL UNIQUE,
    browser    BLOB    NOT NULL,
    next       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
