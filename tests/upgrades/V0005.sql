-- The first run scored again, all of which was withdrawn.
INSERT INTO runs (id, public_id, triggered_by, state, started_at, completed_at, notes, on_board, total_models,
                  total_evals, completed_count, case_total, case_done, case_errors, cost_usd, plan_cell, plan_sample,
                  planned_at, rescores_id, answers_id)
VALUES (3, 'run-3', 1, 'cancelled', 6000, 6000, '', 1, 0, 0, 0, 0, 0, 0, 0.0, 0, 0, 6000, 1, 1);
