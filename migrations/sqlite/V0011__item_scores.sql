-- Packed item scores stand apart from the results that they belong to. They may be long: in one row with the rest, each
-- result took a page and more, all of which the board read for each of its cells.
CREATE TABLE item_scores (
    result_id INTEGER PRIMARY KEY REFERENCES results (id),
    packed    BLOB NOT NULL
) STRICT;
INSERT INTO item_scores (result_id, packed) SELECT id, item_scores FROM results WHERE item_scores IS NOT NULL;
ALTER TABLE results DROP COLUMN item_scores;
