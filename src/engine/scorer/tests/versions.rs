//! What changes the identity of a scorer, and what keeps it.

use super::*;

#[test]
fn versions_grow_with_the_meaning_of_a_scorer_and_of_its_parts() {
    for (eval_type, criteria, version) in [
        ("exact", json!({}), 2),
        ("exact", json!({"like": "inspect_ai"}), 1),
        ("exact", json!({"literal": true}), 1),
        ("match", json!({}), 2),
        ("match", json!({"like": "inspect_ai"}), 1),
        ("includes", json!({}), 2),
        ("includes", json!({"like": "inspect_ai"}), 1),
        ("choice", json!({}), 2),
        ("f1", json!({}), 2),
        ("rouge_l", json!({}), 2),
        ("bleu", json!({}), 2),
        ("levenshtein", json!({}), 2),
        ("json_equals", json!({}), 2),
        ("is-json", json!({}), 2),
        ("semantic", json!({}), 1),
        ("multi", json!({"scorers": [{"type": "semantic"}]}), 1),
        ("multi", json!({"scorers": [{"type": "exact"}, {"type": "f1"}, {"type": "semantic"}]}), 3),
    ] {
        assert_eq!(scorer(eval_type, criteria).unwrap().version(), version, "{eval_type}");
    }
}

#[test]
fn literal_equality_has_the_identity_that_it_always_had() {
    let literal = scorer("equals", json!({})).unwrap();
    assert_eq!(
        (literal.version(), literal.canonical().to_string().as_str()),
        (1, r#"{"ignore_case":false,"literal":true}"#)
    );
}
