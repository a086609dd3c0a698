-- What a line of the ledger was called at the time, and what changed, in words: the thing itself may be gone.
ALTER TABLE ledger ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN summary TEXT NOT NULL DEFAULT '';
CREATE INDEX ledger_by_subject ON ledger (subject, id);
