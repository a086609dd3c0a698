//! Several scorers as one.

use serde_json::{Value, json};

use super::{refusal, sample, scorer};

#[test]
fn several_scorers_are_one() {
    let parts = json!([
        {"type": "icontains", "weight": 3}, {"type": "regex", "pattern": "^P", "ignore_case": false},
        {"type": "levenshtein", "threshold": 0.9},
    ]);
    let multi = |combine: &str| scorer("multi", json!({"scorers": parts, "combine": combine})).unwrap();
    let sample = sample(&["Paris"], &[]);
    for (combine, response, score) in [
        ("mean", "Paris", 0.8),
        ("mean", "London", 0.0),
        ("mean", "paris", 0.76),
        ("all", "Paris", 0.0),
        ("any", "Paris", 1.0),
        ("any", "London", 0.0),
        ("min", "Paris", 0.0),
    ] {
        let found = multi(combine).score(&sample, response).unwrap().score;
        assert!((found - score).abs() < 1e-12, "{combine} {response}: {found}");
    }
    let outcome = multi("mean").score(&sample, "London").unwrap();
    assert_eq!(
        outcome.details["parts"][1],
        json!({
            "type": "pattern", "weight": 1.0, "score": 0.0, "passed": false, "reason": "invalid_response_format",
            "answer": null, "details": {},
        })
    );
    assert_eq!((outcome.reason, &outcome.details["combine"]), (None, &json!("mean")));
    assert!(multi("mean").is_slow() && multi("mean").needs_target());
    let turned = |list: Value| scorer("multi", json!({"scorers": list})).unwrap().canonical().to_string();
    assert_eq!(
        turned(json!([{"type": "equals"}, {"weight": 1, "type": "f1"}])),
        turned(json!([{"type": "f1"}, {"literal": true, "type": "exact", "weight": 1.0}])),
    );
}

#[test]
fn parts_that_cannot_be_are_refused_by_their_place() {
    for (part, name, message) in [
        (json!("exact"), "type", "type is required"),
        (json!({"weight": 1}), "type", "type is required"),
        (json!({"type": "telepathy"}), "type", "'telepathy' is not known"),
        (json!({"type": "rubric", "rubric": "x"}), "type", "rubric cannot be part of multi"),
        (json!({"type": "factuality"}), "type", "factuality cannot be part of multi"),
        (json!({"type": "webhook", "url": "https://x.test"}), "type", "webhook cannot be part of multi"),
        (json!({"type": "multi", "scorers": []}), "type", "multi cannot be part of multi"),
        (json!({"type": "exact", "weight": 0}), "weight", "must be above 0"),
        (json!({"type": "exact", "weight": -1}), "weight", "must be a number, 0 or more"),
        (json!({"type": "exact", "weight": 1e7}), "weight", "at most 1000000"),
        (json!({"type": "pattern"}), "pattern", "is required"),
        (json!({"type": "exact", "pattern": "x"}), "pattern", "it takes: ignore_case, literal"),
    ] {
        let (field, text) = refusal(scorer("multi", json!({"scorers": [{"type": "f1"}, part]})));
        assert_eq!(field, format!("eval_criteria.scorers[1].{name}"), "{text}");
        assert!(text.starts_with("scorers[1]: ") && text.contains(message), "{text}");
    }
    let (field, _) = refusal(scorer("multi", json!({"scorers": [{"type": "choice"}, {"type": "choice"}]})));
    assert_eq!(field, "eval_criteria.scorers");
}

#[test]
fn a_multiple_choice_part_shows_its_options() {
    let multi =
        scorer("multi", json!({"scorers": [{"type": "f1"}, {"type": "choice", "shuffle": 7}]})).unwrap();
    let alone = scorer("choice", json!({"shuffle": 7})).unwrap();
    let sample = sample(&["x"], &["x", "y", "z", "w"]);
    assert_eq!(multi.shown_choices(&sample), alone.shown_choices(&sample));
    assert_eq!(multi.complete_prompt("Pick."), alone.complete_prompt("Pick."));
}
