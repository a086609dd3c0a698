-- Packed item scores come last in their row. They may be long, and what stands behind a long value is reached only by
-- reading past all of it, which the board did for each of its cells. A column that is added later stands behind them:
-- nothing that the board reads belongs there.
ALTER TABLE results ADD COLUMN packed BLOB;
UPDATE results SET packed = item_scores WHERE item_scores IS NOT NULL;
ALTER TABLE results DROP COLUMN item_scores;
ALTER TABLE results RENAME COLUMN packed TO item_scores;
