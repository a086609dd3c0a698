-- What a result keeps beside its mean: the 95th percentile of its latencies, the sums that the standard error of its
-- cost per solved item follows from, and the variance between epochs. Unknown for results that are older.
ALTER TABLE results ADD COLUMN latency_p95_ms REAL;
ALTER TABLE results ADD COLUMN costs_squared REAL;
ALTER TABLE results ADD COLUMN cost_times_passed REAL;
ALTER TABLE results ADD COLUMN passed_squared REAL;
ALTER TABLE results ADD COLUMN within_variance REAL;

-- A score is the score of a complete result.
UPDATE results
SET score = NULL, stderr = NULL, ci_low = NULL, ci_high = NULL, ci_method = NULL, item_count = 0, cluster_count = NULL
WHERE state = 'incomplete';

-- Where lower scores are better, a case passes from 1 - threshold down.
UPDATE results
SET passed_count = (SELECT COUNT(*)
                    FROM cases
                    JOIN eval_versions ON eval_versions.id = results.version_id
                    WHERE cases.result_id = results.id AND cases.state = 'scored'
                      AND 1.0 - cases.score >= eval_versions.pass_threshold - 0.000000001)
WHERE eval_id IN (SELECT id FROM evals WHERE higher_is_better = 0);
