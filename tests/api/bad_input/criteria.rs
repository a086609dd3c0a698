//! What each scorer refuses of its `eval_criteria`, as the API says it.

use serde_json::json;

use super::Bad;

/// Bodies that are refused wherever an eval is made or changed.
pub(super) fn bad_criteria() -> Vec<Bad> {
    vec![
        (
            json!({"eval_type": "f1", "eval_criteria": {"threshold": 1.5}}),
            "eval_criteria.threshold",
            "above 0 and at most 1",
        ),
        (
            json!({"eval_type": "rouge_l", "eval_criteria": {"stem": true}}),
            "eval_criteria.stem",
            "takes: threshold",
        ),
        (
            json!({"eval_type": "bleu", "eval_criteria": {"threshold": "x"}}),
            "eval_criteria.threshold",
            "a number",
        ),
        (
            json!({"eval_type": "levenshtein", "eval_criteria": {"threshold": 0}}),
            "eval_criteria.threshold",
            "above 0",
        ),
        (
            json!({"eval_type": "json_equals", "eval_criteria": {"subset": "yes"}}),
            "eval_criteria.subset",
            "true or false",
        ),
        (
            json!({"eval_type": "json_schema", "eval_criteria": {"schema": {"$ref": "https://a.example/s"}}}),
            "eval_criteria.schema",
            "nothing is fetched",
        ),
        (
            json!({"eval_type": "is-json", "eval_criteria": {"schema": {"type": "strin"}}}),
            "eval_criteria.schema",
            "not a JSON Schema",
        ),
        (json!({"eval_type": "multi", "eval_criteria": {}}), "eval_criteria.scorers", "a list of 1 to 20"),
        (
            json!({"eval_type": "multi", "eval_criteria": {"scorers": [{"type": "multi", "scorers": []}]}}),
            "eval_criteria.scorers[0].type",
            "multi cannot be part of multi",
        ),
        (
            json!({"eval_type": "multi", "eval_criteria": {"scorers": [{"type": "pattern", "pattern": "("}]}}),
            "eval_criteria.scorers[0].pattern",
            "not a valid regular expression",
        ),
        (json!({"eval_type": "webhook", "eval_criteria": {}}), "eval_criteria.url", "is required"),
        (
            json!({"eval_type": "webhook", "eval_criteria": {"url": "https://a.example/s", "secret": "short"}}),
            "eval_criteria.secret",
            "16 to 1024",
        ),
        (
            json!({"eval_type": "webhook", "eval_criteria": {"url": "https://a.example/s", "timeout_ms": 1}}),
            "eval_criteria.timeout_ms",
            "1000 to 60000",
        ),
        (
            json!({"eval_type": "webhook", "eval_criteria": {"url": "https://a.example/s",
                                                               "secret": "0123456789abcdef"}}),
            "eval_criteria.url",
            "EVALBOARD_WEBHOOK_ALLOW",
        ),
    ]
}
