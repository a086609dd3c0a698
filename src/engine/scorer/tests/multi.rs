//! Several scorers as one.

use serde_json::{Value, json};

use super::super::{Outcome, Way};
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
        (json!({"type": "rubric", "votes": 99}), "votes", "votes must be 1 to 15"),
        (json!({"type": "factuality", "max_score": 2}), "max_score", "is no parameter of factuality"),
        (json!({"type": "webhook"}), "url", "url is required"),
        (json!({"type": "webhook", "url": "https://x.test", "secret": "short"}), "secret", "16 to 1024"),
        (json!({"type": "multi", "scorers": []}), "type", "multi cannot be part of multi"),
        (json!({"type": "exact", "weight": 0}), "weight", "must be above 0"),
        (json!({"type": "exact", "weight": -1}), "weight", "must be a number, 0 or more"),
        (json!({"type": "exact", "weight": 1e7}), "weight", "at most 1000000"),
        (json!({"type": "pattern"}), "pattern", "is required"),
        (json!({"type": "exact", "pattern": "x"}), "pattern", "it takes: ignore_case, like, literal"),
    ] {
        let (field, text) = refusal(scorer("multi", json!({"scorers": [{"type": "f1"}, part]})));
        assert_eq!(field, format!("eval_criteria.scorers[1].{name}"), "{text}");
        assert!(text.starts_with("scorers[1]: ") && text.contains(message), "{text}");
    }
    let hook = json!({"type": "webhook", "url": "https://x.test"});
    for (rivals, message) in [
        (json!([{"type": "choice"}, {"type": "choice"}]), "choice at most once"),
        (json!([hook, {"type": "f1"}, hook]), "webhook at most once"),
        (
            json!([{"type": "rubric", "rubric": "x", "grader": "a"}, {"type": "semantic", "grader": "b"}]),
            "the same grader in each part",
        ),
        (json!([{"type": "rubric", "rubric": "x", "grader": "a"}, {"type": "semantic"}]), "the same grader"),
    ] {
        let (field, text) = refusal(scorer("multi", json!({"scorers": rivals})));
        assert_eq!(field, "eval_criteria.scorers", "{text}");
        assert!(text.contains(message), "{text}");
    }
}

/// What somebody found for a part.
fn found(score: f64, reason: Option<&'static str>) -> Outcome {
    Outcome { score, answer: None, reason, details: json!({}) }
}

#[test]
fn parts_that_are_asked_of_others_become_one_like_those_that_are_not() {
    let parts = json!([
        {"type": "rubric", "rubric": "x", "weight": 3}, {"type": "includes"},
        {"type": "webhook", "url": "https://x.test", "secret": "0123456789abcdef"},
    ]);
    let refused = Some(super::super::REFUSAL);
    // Of the parts, rubric and webhook pass from 0.5 on, includes at 1.
    for (combine, scores, score, reason) in [
        ("mean", [(0.5, None), (1.0, None), (0.0, None)], 0.5, None),
        ("mean", [(1.0, None), (1.0, None), (1.0, None)], 1.0, None),
        ("all", [(0.5, None), (1.0, None), (0.5, None)], 1.0, None),
        ("all", [(0.49, None), (1.0, None), (1.0, None)], 0.0, None),
        ("any", [(0.49, None), (0.0, None), (0.5, None)], 1.0, None),
        ("any", [(0.49, None), (0.0, None), (0.49, None)], 0.0, None),
        ("min", [(0.5, None), (1.0, None), (0.25, None)], 0.25, None),
        ("min", [(0.0, refused), (0.0, refused), (0.0, refused)], 0.0, refused),
        ("min", [(0.0, refused), (0.0, None), (0.0, refused)], 0.0, None),
    ] {
        let multi = scorer("multi", json!({"scorers": parts, "combine": combine})).unwrap();
        let Way::Parts(parts) = multi.way() else { panic!("somebody is asked") };
        let findings = scores.map(|(score, reason)| found(score, reason));
        let details = parts.parts().iter().zip(&findings).map(|(part, found)| part.details(found)).collect();
        let whole = parts.combine(&findings, details);
        assert!((whole.score - score).abs() < 1e-12, "{combine} {scores:?}: {}", whole.score);
        assert_eq!(whole.reason, reason, "{combine} {scores:?}");
        assert_eq!(whole.details["parts"][0]["weight"], 3.0);
        assert_eq!(whole.details["parts"][2]["type"], "webhook");
    }
}

#[test]
fn a_whole_tells_whom_its_parts_ask() {
    let of = |parts: Value| scorer("multi", json!({"scorers": parts})).unwrap();
    let local = of(json!([{"type": "f1"}, {"type": "exact"}]));
    assert!(matches!(local.way(), Way::Here) && local.graded().is_none() && local.webhook().is_none());
    let asking = of(json!([
        {"type": "f1"}, {"type": "webhook", "url": "https://x.test"}, {"type": "factuality", "grader": "g", "votes": 3},
    ]));
    assert_eq!((asking.webhook_part(), asking.needs_target()), (Some(1), true));
    assert_eq!(asking.graded().unwrap().grader.as_deref(), Some("g"));
    assert!(asking.score(&sample(&["x"], &[]), "x").is_err(), "nobody was asked");
    assert_eq!(asking.score(&sample(&["x"], &[]), " ").unwrap().reason, Some(super::super::NO_RESPONSE));
    // A secret is no part of what is told about a scorer.
    let told =
        of(json!([{"type": "webhook", "url": "https://x.test", "secret": "0123456789abcdef"}])).canonical();
    assert!(!told.to_string().contains("0123456789abcdef"), "{told}");
}

#[test]
fn a_part_without_a_rubric_takes_what_is_expected() {
    let parts = json!({"scorers": [{"type": "f1"}, {"type": "rubric"}, {"type": "rubric", "rubric": "own"}]});
    let multi = scorer("multi", parts.clone()).unwrap().with_expected("Says four.").unwrap();
    let told = multi.canonical().to_string();
    assert!(told.contains("\"rubric\":\"Says four.\"") && told.contains("\"rubric\":\"own\""), "{told}");
    let (field, text) = refusal(scorer("multi", parts).unwrap().with_expected(" "));
    assert_eq!(field, "eval_criteria.scorers[1].rubric", "{text}");
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
