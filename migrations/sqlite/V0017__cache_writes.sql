-- What writing a cache costs, and what was written. Until now it was part of the input, and cost what input costs.
ALTER TABLE models ADD COLUMN cache_write_price REAL;
ALTER TABLE price_snapshots ADD COLUMN cache_write_price REAL;
ALTER TABLE cases ADD COLUMN cache_write_tokens INTEGER;
