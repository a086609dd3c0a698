-- A run that was stopped after one of its three cases and given up.
INSERT INTO runs (id, public_id, triggered_by, state, started_at, completed_at, notes, on_board, total_models,
                  total_evals, completed_count, case_total, case_done, case_errors, cost_usd, plan_cell, plan_sample,
                  planned_at, given_up, pace_at, pace_done, mark_at, mark_done)
VALUES (2, 'run-2', 1, 'cancelled', 4000, 5000, '', 1, 1, 1, 0, 3, 1, 1, 0.0, 1, 0, 4000, 2, 4000, 0, 4000, 0);
INSERT INTO run_cells (id, run_id, position, model_id, revision_id, price_id, eval_id, version_id, endpoint,
                       first_priority, samples, epochs, finished_at, given_up)
VALUES (3, 2, 0, 1, 1, 1, 1, 1, 'builtin', 0, 3, 1, 5000, 2);
INSERT INTO results (id, public_id, run_id, model_id, eval_id, revision_id, version_id, state, provenance,
                     planned_count, case_count, scored_count, unscored_count, error_count, passed_count, score_sum,
                     item_count, item_scores, latency_sum_ms, latency_count, error, created_at, updated_at)
VALUES (3, 'result-3', 2, 1, 1, 1, 1, 'incomplete', 'run_here', 3, 1, 0, 0, 1, 0, 0.0, 0,
        x'000000000000f87f000000000000f87f000000000000f87f', 0, 0, '3 of 3 failed: timeout', 4000, 5000);
INSERT INTO cases (id, public_id, result_id, sample_id, epoch, state, error, is_truncated, is_self_graded, attempts,
                   price_id, created_at)
VALUES (100, 'case-100', 3, 1, 1, 'error', 'timeout', 0, 0, 1, 1, 5000);
INSERT INTO case_texts (case_id, prompt, response, score_details) VALUES (100, '[]', '', '{}');
