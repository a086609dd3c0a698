//! What changes the identity of a scorer, and what keeps it.

use super::*;

#[test]
fn versions_grow_with_the_meaning_of_a_scorer_and_of_its_parts() {
    for (eval_type, criteria, version) in [
        ("exact", json!({}), 2),
        ("exact", json!({"like": "inspect_ai"}), 2),
        ("exact", json!({"literal": true}), 2),
        ("match", json!({}), 2),
        ("match", json!({"like": "inspect_ai"}), 2),
        ("includes", json!({}), 2),
        ("includes", json!({"like": "inspect_ai"}), 2),
        ("choice", json!({}), 2),
        ("f1", json!({}), 2),
        ("rouge_l", json!({}), 2),
        ("bleu", json!({}), 2),
        ("levenshtein", json!({}), 2),
        ("json_equals", json!({}), 2),
        ("is-json", json!({}), 2),
        ("semantic", json!({}), 2),
        ("multi", json!({"scorers": [{"type": "semantic"}]}), 2),
        ("multi", json!({"scorers": [{"type": "exact"}, {"type": "f1"}, {"type": "semantic"}]}), 4),
    ] {
        assert_eq!(scorer(eval_type, criteria).unwrap().version(), version, "{eval_type}");
    }
}
