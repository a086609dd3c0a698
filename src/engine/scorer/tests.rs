//! What holds for every scorer: the golden vectors, what is refused, and that no text makes one panic.

mod graded;
mod multi;
mod numbers;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::names::{NAMES, SPELLINGS};
use super::*;
use crate::domain::samples::Input;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    #[serde(rename = "about")]
    _about: String,
    scores: Vec<Group<ScoreVector>>,
    verdicts: Vec<Group<VerdictVector>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group<V> {
    eval_type: String,
    #[serde(default)]
    criteria: Map<String, Value>,
    #[serde(default)]
    choices: Vec<String>,
    vectors: Vec<V>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScoreVector {
    response: String,
    target: Vec<String>,
    score: f64,
    answer: Option<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerdictVector {
    reply: String,
    score: Option<f64>,
    #[serde(default)]
    reasoning: String,
    problem: Option<String>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/vectors/scorers.json")).unwrap()
}

fn scorer(eval_type: &str, criteria: Value) -> Result<Scorer> {
    Scorer::parse(eval_type, criteria.as_object().unwrap())
}

fn sample(target: &[&str], choices: &[&str]) -> Sample {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Sample {
        key: "0".into(),
        input: Input::Text("?".into()),
        target: owned(target),
        choices: owned(choices),
        metadata: Map::new(),
        cluster_id: None,
    }
}

/// The field and the message of a refusal.
fn refusal<T: std::fmt::Debug>(result: Result<T>) -> (String, String) {
    match result.unwrap_err() {
        Error::Invalid { field, message } => (field.unwrap(), message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn responses_score_as_the_golden_vectors_say() {
    for group in golden().scores {
        let scorer = Scorer::parse(&group.eval_type, &group.criteria).unwrap();
        for vector in group.vectors {
            let shown = format!("{} {:?} {:?}", group.eval_type, group.criteria, vector.response);
            let sample = Sample { target: vector.target, choices: group.choices.clone(), ..sample(&[], &[]) };
            scorer.check_sample(&sample, "samples[0]").unwrap();
            let outcome = scorer.score(&sample, &vector.response).unwrap();
            assert!((outcome.score - vector.score).abs() < 1e-12, "{shown}: {}", outcome.score);
            assert_eq!(outcome.answer, vector.answer, "{shown}");
            assert_eq!(outcome.reason, vector.reason.as_deref(), "{shown}");
        }
    }
}

#[test]
fn every_scorer_has_fifteen_golden_vectors_and_a_place_in_the_list() {
    let golden = golden();
    let mut counts = BTreeMap::new();
    let scores = golden.scores.iter().map(|group| (&group.eval_type, &group.criteria, group.vectors.len()));
    let verdicts =
        golden.verdicts.iter().map(|group| (&group.eval_type, &group.criteria, group.vectors.len()));
    for (eval_type, criteria, count) in scores.chain(verdicts) {
        *counts.entry(Scorer::parse(eval_type, criteria).unwrap().name()).or_insert(0) += count;
    }
    let listed: BTreeSet<&str> = NAMES.split(", ").collect();
    assert_eq!(counts.keys().copied().collect::<BTreeSet<_>>(), listed);
    for (name, count) in counts {
        assert!(count >= 15, "{name}: {count}");
        assert!(SPELLINGS.iter().any(|spelling| spelling.typed == name), "{name}");
    }
}

/// What a scorer cannot do without.
fn required(eval_type: &str) -> Value {
    match eval_type {
        "pattern" | "regex" => json!({"pattern": "x"}),
        "webhook" => json!({"url": "https://hooks.example/score"}),
        "multi" => json!({"scorers": [{"type": "exact"}, {"type": "bleu", "weight": 2}]}),
        _ => json!({}),
    }
}

#[test]
fn aliases_mean_the_scorer_they_stand_for() {
    for spelling in SPELLINGS {
        let aliased = scorer(spelling.typed, required(spelling.typed)).unwrap();
        let own = scorer(aliased.name(), aliased.canonical()).unwrap();
        assert_eq!(own.canonical(), aliased.canonical(), "{}", spelling.typed);
        assert_eq!(own.version(), aliased.version());
        assert_eq!(own.default_pass_threshold(), if own.is_binary() { 1.0 } else { 0.5 });
    }
    let names: BTreeSet<&str> = NAMES.split(", ").collect();
    let binary: Vec<&str> = names.into_iter().filter(|name| is_binary(name)).collect();
    assert_eq!(
        binary,
        ["choice", "exact", "includes", "json_equals", "json_schema", "match", "numeric", "pattern"]
    );
    let canonical = |eval_type| scorer(eval_type, json!({})).unwrap().canonical().to_string();
    assert_eq!(canonical("equals"), r#"{"ignore_case":false,"literal":true}"#);
    assert_eq!(canonical("contains"), r#"{"ignore_case":false}"#);
    assert_eq!(canonical("icontains"), r#"{"ignore_case":true}"#);
    assert_eq!(canonical("match"), r#"{"ignore_case":true,"location":"end","numeric":false}"#);
    assert_eq!(
        canonical("numeric"),
        r#"{"abs_tol":0.0,"decimal_mark":"auto","location":"auto","rel_tol":null}"#
    );
    assert_eq!(canonical("choice"), r#"{"answer_words":[],"multiple":false,"shuffle":null}"#);
    assert_eq!(canonical("contains-json"), r#"{"in_prose":true,"schema":null}"#);
    assert_eq!(canonical("json_equals"), r#"{"in_prose":false,"subset":false}"#);
    assert_eq!(canonical("rubric"), r#"{"grader":null,"max_score":1.0,"rubric":null,"votes":1}"#);
    assert_eq!(canonical("semantic"), r#"{"grader":null,"ideal_response":null,"rubric":null,"votes":1}"#);
    let written = |criteria| scorer("numeric", criteria).unwrap().canonical();
    assert_eq!(written(json!({"abs_tol": 0, "location": null})), written(json!({})));
}

#[test]
fn types_that_are_not_known_are_refused_with_those_that_are() {
    for (eval_type, problem) in
        [("exakt", "is not known"), ("", "is not known"), ("Exact", "is not known"), ("f1 ", "is not known")]
    {
        let (field, message) = refusal(scorer(eval_type, json!({})));
        assert_eq!(field, "eval_type");
        assert_eq!(message, format!("'{eval_type}' {problem}; it must be one of: {NAMES}"));
    }
    assert!(refusal(scorer(&"x".repeat(1000), json!({}))).1.len() < 250);
}

#[test]
fn parameters_that_are_wrong_are_refused_by_name() {
    for (eval_type, criteria, name, message) in [
        ("exact", json!({"foo": 1}), "foo", "is no parameter of exact; it takes: ignore_case, like, literal"),
        ("exact", json!({"literal": "yes"}), "literal", "must be true or false"),
        ("exact", json!({"literal": true, "ignore_case": true}), "ignore_case", "must be false beside"),
        ("exact", json!({"like": "inspect"}), "like", "must be one of: inspect_ai"),
        ("equals", json!({"like": "inspect_ai"}), "like", "must be left out beside literal"),
        ("match", json!({"like": "inspect_ai", "numeric": true}), "like", "must be left out beside numeric"),
        ("includes", json!({"like": true}), "like", "must be one of: inspect_ai"),
        ("choice", json!({"answer_words": "Svar"}), "answer_words", "must be a list of at most 20 words"),
        ("choice", json!({"answer_words": [1]}), "answer_words", "must be a list of at most 20 words"),
        ("choice", json!({"answer_words": [" "]}), "answer_words", "must be a list of at most 20 words"),
        ("choice", json!({"answer_words": ["?:"]}), "answer_words", "must be a list of at most 20 words"),
        ("choice", json!({"answer_words": ["x".repeat(41)]}), "answer_words", "of 1 to 40 characters"),
        ("choice", json!({"answer_words": vec!["x"; 21]}), "answer_words", "at most 20 words"),
        ("json_equals", json!({"in_prose": 1}), "in_prose", "must be true or false"),
        ("contains-json", json!({"in_prose": false}), "in_prose", "is always true with contains-json"),
        ("equals", json!({"literal": false}), "literal", "is always true with equals"),
        ("contains", json!({"ignore_case": true}), "ignore_case", "is always false with contains"),
        ("match", json!({"location": "middle"}), "location", "must be one of: begin, end, any, exact"),
        (
            "numeric",
            json!({"location": "exact"}),
            "location",
            "must be one of: auto, boxed, first, last, any",
        ),
        ("numeric", json!({"decimal_mark": ";"}), "decimal_mark", "must be one of: auto, ., ,, point, comma"),
        ("pattern", json!({"pattern": "x", "location": "exact"}), "location", "must be one of: auto, boxed"),
        ("numeric", json!({"abs_tol": -1}), "abs_tol", "must be a number, 0 or more"),
        ("numeric", json!({"rel_tol": "0"}), "rel_tol", "must be a number, 0 or more"),
        ("pattern", json!({}), "pattern", "is required"),
        ("pattern", json!({"pattern": 1}), "pattern", "must be text"),
        ("pattern", json!({"pattern": "("}), "pattern", "is not a valid regular expression"),
        ("pattern", json!({"pattern": "(?=x)"}), "pattern", "is not a valid regular expression"),
        ("pattern", json!({"pattern": "x".repeat(1025)}), "pattern", "must be at most 1 KB"),
        ("pattern", json!({"pattern": r"\w{1000}{1000}"}), "pattern", "is too large"),
        ("choice", json!({"shuffle": true}), "shuffle", "must be a whole number"),
        ("choice", json!({"shuffle": -1}), "shuffle", "must be a whole number"),
        ("f1", json!({"threshold": 0}), "threshold", "must be a number above 0 and at most 1"),
        ("rouge_l", json!({"threshold": 1.01}), "threshold", "must be a number above 0 and at most 1"),
        ("bleu", json!({"threshold": "0.5"}), "threshold", "must be a number above 0 and at most 1"),
        ("levenshtein", json!({"ignore_case": true}), "ignore_case", "it takes: threshold"),
        ("json_equals", json!({"subset": 1}), "subset", "must be true or false"),
        ("json_equals", json!({"schema": {}}), "schema", "it takes: in_prose, subset"),
        ("is-json", json!({"schema": "{}"}), "schema", "must be a JSON Schema"),
        ("json_schema", json!({"schema": {"$ref": "http://x.test/s"}}), "schema", "nothing is fetched"),
        ("multi", json!({}), "scorers", "must be a list of 1 to 20 scorers"),
        ("multi", json!({"scorers": []}), "scorers", "must be a list of 1 to 20 scorers"),
        (
            "multi",
            json!({"scorers": [{"type": "exact"}], "combine": "sum"}),
            "combine",
            "mean, all, any, min",
        ),
        ("webhook", json!({}), "url", "is required"),
        ("webhook", json!({"url": "hooks.example"}), "url", "cannot be read"),
        (
            "webhook",
            json!({"url": "https://x.test", "timeout_ms": 999}),
            "timeout_ms",
            "must be 1000 to 60000",
        ),
        ("webhook", json!({"url": "https://x.test", "timeout_ms": 60_001}), "timeout_ms", "1000 to 60000"),
        ("webhook", json!({"url": "https://x.test", "secret": "short"}), "secret", "must be 16 to 1024"),
        (
            "webhook",
            json!({"url": "https://x.test", "headers": {}}),
            "headers",
            "it takes: secret, timeout_ms",
        ),
        ("rubric", json!({"max_score": 0}), "max_score", "must be more than 0"),
        ("rubric", json!({"votes": 0}), "votes", "must be 1 to 15"),
        ("rubric", json!({"votes": 16}), "votes", "must be 1 to 15"),
        ("rubric", json!({"rubric": "x".repeat(70_000)}), "rubric", "must be at most 64 KB"),
        ("rubric", json!({"ideal_response": "x"}), "ideal_response", "is no parameter of rubric"),
        ("semantic", json!({"max_score": 5}), "max_score", "is no parameter of semantic"),
        ("rubric", json!({"grader": "https://x.test/v1"}), "grader", "a URL is not taken"),
        ("rubric", json!({"grader": "openai-compatible:http://x#m"}), "grader", "a URL is not taken"),
        ("rubric", json!({"grader": "a\nb"}), "grader", "plain text"),
    ] {
        let (field, text) = refusal(scorer(eval_type, criteria));
        assert_eq!(field, format!("eval_criteria.{name}"));
        assert!(text.starts_with(name) && text.contains(message), "{text}");
    }
}

#[test]
fn samples_that_cannot_be_scored_are_refused() {
    let two = ["x", "y"];
    for (eval_type, criteria, target, choices, field) in [
        ("exact", json!({}), vec![], &[][..], "target"),
        ("exact", json!({}), vec!["?!"], &[], "target"),
        ("exact", json!({"like": "inspect_ai"}), vec!["++"], &[], "target"),
        ("exact", json!({}), vec!["\u{200b}"], &[], "target"),
        ("includes", json!({}), vec!["\u{200b}\u{feff}"], &[], "target"),
        ("match", json!({"like": "inspect_ai"}), vec!["--"], &[], "target"),
        ("exact", json!({}), vec!["ok", " "], &[], "target"),
        ("exact", json!({"literal": true}), vec![""], &[], "target"),
        ("match", json!({}), vec!["--"], &[], "target"),
        ("match", json!({"numeric": true}), vec!["five"], &[], "target"),
        ("includes", json!({}), vec![" \n"], &[], "target"),
        ("pattern", json!({"pattern": "x"}), vec![""], &[], "target"),
        ("numeric", json!({}), vec!["3 or 4"], &[], "target"),
        ("numeric", json!({}), vec!["12kg"], &[], "target"),
        ("numeric", json!({}), vec!["inf"], &[], "target"),
        ("choice", json!({}), vec!["A"], &[], "choices"),
        ("choice", json!({}), vec!["A"], &["x"], "choices"),
        ("choice", json!({}), vec!["A"], &["x"; 27], "choices"),
        ("choice", json!({}), vec![], &two, "target"),
        ("choice", json!({}), vec!["C"], &two, "target"),
        ("choice", json!({}), vec!["z"], &two, "target"),
        ("choice", json!({}), vec!["x"], &["x", "x"], "target"),
        ("f1", json!({}), vec!["the a."], &[], "target"),
        ("rouge_l", json!({}), vec!["東京"], &[], "target"),
        ("bleu", json!({}), vec![" "], &[], "target"),
        ("levenshtein", json!({}), vec!["x", " "], &[], "target"),
        ("bleu", json!({}), vec!["x"; 51], &[], "target"),
        ("json_equals", json!({}), vec!["{a: 1}"], &[], "target"),
        ("json_equals", json!({}), vec!["{\"a\": 1, \"a\": 1}"], &[], "target"),
        ("multi", json!({"scorers": [{"type": "is-json"}, {"type": "numeric"}]}), vec!["x"], &[], "target"),
        ("semantic", json!({}), vec![], &[], "target"),
        ("semantic", json!({}), vec![" "], &[], "target"),
    ] {
        let scorer = scorer(eval_type, criteria).unwrap();
        assert!(scorer.needs_target());
        let (path, message) = refusal(scorer.check_sample(&sample(&target, choices), "samples[3]"));
        assert_eq!(path, format!("samples[3].{field}"), "{eval_type} {target:?}");
        assert!(message.starts_with(field), "{message}");
    }
    let graded = scorer("semantic", json!({"ideal_response": "x"})).unwrap();
    assert!(!graded.needs_target() && graded.check_sample(&sample(&[], &[]), "samples[0]").is_ok());
    assert!(scorer("exact", json!({})).unwrap().check_sample(&sample(&["the"], &[]), "samples[0]").is_ok());
}

#[test]
fn an_answer_is_kept_short() {
    let scorer = scorer("exact", json!({})).unwrap();
    let outcome = scorer.score(&sample(&["x"], &[]), &"é".repeat(1 << 20)).unwrap();
    assert_eq!(outcome.answer.unwrap().chars().count(), 1000);
}

proptest! {
    #[test]
    fn no_response_makes_a_scorer_panic(
        response in "(ANSWER: |[-+.,/^%$ABC0-9\n ]|the|\\PC){0,40}",
        target in "[-+.,/^A-C0-9 ]{0,8}|\\PC{0,8}",
    ) {
        let sample = sample(&[&target], &["x", "y", &target]);
        for (eval_type, criteria) in [
            ("exact", json!({})),
            ("exact", json!({"literal": true})),
            ("match", json!({"location": "any"})),
            ("match", json!({"numeric": true})),
            ("includes", json!({})),
            ("includes", json!({"like": "inspect_ai"})),
            ("exact", json!({"like": "inspect_ai"})),
            ("choice", json!({"answer_words": ["Svar"]})),
            ("contains-json", json!({})),
            ("pattern", json!({"pattern": r"(\w+).*(\d)?"})),
            ("numeric", json!({"location": "any"})),
            ("choice", json!({"shuffle": 3})),
            ("choice", json!({"multiple": true})),
            ("bleu", json!({})),
            ("json_equals", json!({"subset": true})),
            ("is-json", json!({})),
            ("multi", json!({"scorers": [{"type": "f1"}, {"type": "choice"}, {"type": "levenshtein"}]})),
        ] {
            let scorer = scorer(eval_type, criteria).unwrap();
            let outcome = scorer.score(&sample, &response).unwrap();
            prop_assert!((0.0..=1.0).contains(&outcome.score));
            prop_assert!(!scorer.is_binary() || outcome.score == 0.0 || outcome.score == 1.0);
            prop_assert!(outcome.reason.is_none() || outcome.score == 0.0);
            let _ = scorer.complete_prompt(&response);
        }
    }

    #[test]
    fn a_target_that_is_taken_matches_itself_and_no_blank(target in "\\PC{1,20}") {
        let sample = sample(&[&target], &[]);
        for (eval_type, criteria) in [
            ("exact", json!({})), ("equals", json!({})), ("match", json!({})), ("match", json!({"location": "any"})),
            ("includes", json!({})), ("exact", json!({"like": "inspect_ai"})), ("match", json!({"like": "inspect_ai"})),
        ] {
            let scorer = scorer(eval_type, criteria).unwrap();
            if scorer.check_sample(&sample, "samples[0]").is_ok() {
                prop_assert_eq!(scorer.score(&sample, &target).unwrap().score, 1.0, "{}", eval_type);
                prop_assert_eq!(scorer.score(&sample, "\u{200b}\u{200b}").unwrap().score, 0.0, "{}", eval_type);
            }
        }
    }

    #[test]
    fn any_parameters_are_taken_or_refused(
        typed in prop::sample::select(SPELLINGS.iter().map(|spelling| spelling.typed).collect::<Vec<_>>()),
        name in "literal|ignore_case|location|numeric|pattern|match_all|abs_tol|shuffle|votes|grader|rubric|x|\
                threshold|schema|subset|scorers|like|answer_words|in_prose",
        value in prop_oneof![
            Just(json!(null)), any::<bool>().prop_map(|v| json!(v)), any::<i64>().prop_map(|v| json!(v)),
            any::<f64>().prop_map(|v| json!(v)), "\\PC{0,12}".prop_map(|v| json!(v)), Just(json!([1])),
        ],
    ) {
        let mut criteria = required(typed);
        criteria[name] = value;
        if let Ok(parsed) = scorer(typed, criteria) {
            prop_assert_eq!(scorer(parsed.name(), parsed.canonical()).unwrap().canonical(), parsed.canonical());
        }
    }
}

#[test]
fn a_threshold_is_where_a_case_passes_and_no_part_of_the_score() {
    for eval_type in ["f1", "rouge_l", "bleu", "levenshtein"] {
        let strict = scorer(eval_type, json!({"threshold": 0.9})).unwrap();
        assert_eq!((strict.threshold(), strict.default_pass_threshold()), (Some(0.9), 0.9));
        let plain = scorer(eval_type, json!({})).unwrap();
        assert_eq!((plain.threshold(), plain.default_pass_threshold()), (None, 0.5));
        let sample = sample(&["one two three"], &[]);
        assert_eq!(strict.score(&sample, "one two"), plain.score(&sample, "one two"));
    }
}
