-- The reasoning of a model: what its provider sent in a field of its own, and thinking that was left out of the answer
-- before it was scored. Null where there was none, and in cases from before.
ALTER TABLE case_texts ADD COLUMN reasoning TEXT;
