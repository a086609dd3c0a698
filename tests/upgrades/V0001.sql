-- A board of the first schema: two models measured on one eval of three samples, a file, a key that nobody has.
INSERT INTO users (id, public_id, email, role, created_at) VALUES (1, 'user-1', 'ada@example.org', 'admin', 1000);
INSERT INTO api_keys (id, public_id, user_id, name, hash, hint, created_at)
VALUES (1, 'key-1', 1, 'old', x'00', 'blah_old', 1000);

INSERT INTO models (id, public_id, owner_id, name, description, is_official, is_active, created_at, updated_at)
VALUES (1, 'model-1', 1, 'First', '', 0, 1, 1000, 1000), (2, 'model-2', 1, 'Second', '', 0, 1, 1001, 1001);
INSERT INTO model_revisions (id, model_id, hash, inference_uri, parameters, created_at)
VALUES (1, 1, 'a1', 'builtin:calculator', '{}', 1000), (2, 2, 'a2', 'builtin:echo', '{}', 1001);
UPDATE models SET revision_id = id;
INSERT INTO price_snapshots (id, model_id, created_at) VALUES (1, 1, 1000), (2, 2, 1001);

INSERT INTO evals (id, public_id, owner_id, name, description, tags, weight, higher_is_better, hidden_targets,
                   is_active, created_at, updated_at)
VALUES (1, 'eval-1', 1, 'Sums', '', '[]', 1.0, 1, 0, 1, 1000, 1000);
INSERT INTO sample_sets (id, eval_id, hash, sample_count, is_implied, created_at) VALUES (1, 1, 'b1', 3, 0, 1000);
INSERT INTO samples (id, set_id, position, key, input, target, choices, metadata)
VALUES (1, 1, 0, '0', '"1 + 1"', '["2"]', '[]', '{}'), (2, 1, 1, '1', '"2 + 2"', '["4"]', '[]', '{}'),
       (3, 1, 2, '2', '"3 + 3"', '["6"]', '[]', '{}');
INSERT INTO eval_versions (id, eval_id, number, hash, prompt, expected_behavior, eval_type, eval_criteria, scorer,
                           scorer_version, epochs, reducer, pass_threshold, set_id, created_at)
VALUES (1, 1, 1, 'c1', '{{input}}', '', 'numeric', '{}', 'numeric', 1, 1, 'mean', 1.0, 1, 1000);
UPDATE evals SET version_id = 1;

INSERT INTO runs (id, public_id, triggered_by, state, started_at, completed_at, heartbeat_at, notes, on_board,
                  total_models, total_evals, completed_count, case_total, case_done, case_errors, cost_usd,
                  plan_cell, plan_sample, planned_at)
VALUES (1, 'run-1', 1, 'completed', 2000, 3000, 3000, '', 1, 2, 1, 2, 6, 6, 0, 0.0, 2, 0, 2000);
INSERT INTO run_cells (id, run_id, position, model_id, revision_id, price_id, eval_id, version_id, endpoint,
                       first_priority, samples, epochs, finished_at)
VALUES (1, 1, 0, 1, 1, 1, 1, 1, 'builtin', 0, 3, 1, 3000), (2, 1, 1, 2, 2, 2, 1, 1, 'builtin', 3, 3, 1, 3000);
INSERT INTO work_items (run_id, model_id, eval_id, sample_id, epoch, endpoint, state, priority, run_after, attempt,
                        tries, expiries)
SELECT 1, models.id, 1, samples.id, 1, 'builtin', 'done', 0, 0, 1, 0, 0 FROM models, samples;
INSERT INTO results (id, public_id, run_id, model_id, eval_id, revision_id, version_id, state, provenance,
                     planned_count, case_count, scored_count, unscored_count, error_count, passed_count, score_sum,
                     score, ci_low, ci_high, ci_method, item_count, item_scores, latency_sum_ms, latency_count,
                     created_at, updated_at)
VALUES (1, 'result-1', 1, 1, 1, 1, 1, 'complete', 'run_here', 3, 3, 3, 0, 0, 3, 3.0, 1.0, 0.4385, 1.0, 'wilson', 3,
        x'000000000000f03f000000000000f03f000000000000f03f', 0, 0, 2000, 3000),
       (2, 'result-2', 1, 2, 1, 2, 1, 'complete', 'run_here', 3, 3, 3, 0, 0, 0, 0.0, 0.0, 0.0, 0.5615, 'wilson', 3,
        x'000000000000000000000000000000000000000000000000', 0, 0, 2000, 3000);
INSERT INTO cases (public_id, result_id, sample_id, epoch, state, score, answer, is_truncated, is_self_graded,
                   attempts, price_id, cost_usd, created_at)
SELECT 'case-' || results.id || '-' || samples.id, results.id, samples.id, 1, 'scored', results.score, '2', 0, 0, 1,
       results.model_id, 0.0, 3000
FROM results, samples;
INSERT INTO case_texts (case_id, prompt, response, score_details) SELECT id, '[]', '2', '{}' FROM cases;
INSERT INTO board_cells (revision_id, version_id, model_id, eval_id, run_id, result_id, runs)
VALUES (1, 1, 1, 1, 1, 1, 1), (2, 1, 2, 1, 1, 2, 1);
INSERT INTO suite_evals (eval_id, version_id, joined_at) VALUES (1, 1, 3000);
INSERT INTO suite_changes (eval_id, version_id, change, at) VALUES (1, 1, 'joined', 3000);

-- A file that is elsewhere.
INSERT INTO training_sets (public_id, owner_id, name, description, file_name, file_type, content_type, snippet,
                           external_url, created_at, updated_at)
VALUES ('set-1', 1, 'Elsewhere', '', 'a.jsonl', 'jsonl', 'application/jsonl', '', 'https://files.example/a.jsonl',
        1000, 1000);
