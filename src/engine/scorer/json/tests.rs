//! Hostile JSON, hostile schemas, and what equality means.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::{Outcome, Scorer};
use super::*;
use crate::cpu_clock::CpuClock;
use crate::domain::samples::{Input, Sample};

fn sample(target: &str) -> Sample {
    Sample {
        key: "0".into(),
        input: Input::Text("?".into()),
        target: vec![target.into()],
        choices: vec![],
        metadata: Map::new(),
        cluster_id: None,
    }
}

fn scorer(eval_type: &str, criteria: &Value) -> crate::error::Result<Scorer> {
    Scorer::parse(eval_type, criteria.as_object().unwrap())
}

fn validated(schema: Value, response: &str) -> Outcome {
    scorer("json_schema", &json!({"schema": schema})).unwrap().score(&sample(""), response).unwrap()
}

/// Why a schema is refused.
fn refused(schema: Value) -> String {
    scorer("json_schema", &json!({"schema": schema})).unwrap_err().to_string()
}

/// A value inside that many lists.
fn nested(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

/// Definitions `a0`, `a1` ..., each of which `link` makes from a reference to the next.
fn chain(length: usize, link: impl Fn(Value) -> Value, last: Value) -> Value {
    let next = |at: usize| json!({"$ref": format!("#/$defs/a{}", at + 1)});
    let mut definitions: Map<String, Value> =
        (0..length).map(|at| (format!("a{at}"), link(next(at)))).collect();
    definitions.insert(format!("a{length}"), last);
    json!({"$defs": definitions, "$ref": "#/$defs/a0"})
}

#[test]
fn json_is_found_whole_or_in_a_block() {
    for (response, found) in [
        ("{\"a\": 1}", Some("{\"a\": 1}")),
        (" 5 \n", Some("5")),
        ("\u{feff}5", Some("5")),
        ("```json\n[1]\n```", Some("[1]")),
        ("~~~json\n[1]\n~~~", Some("[1]")),
        ("~~~\n[1]\n~~~\nDone.", Some("[1]")),
        ("````json\n[1]\n````", Some("[1]")),
        ("Here:\n  ```\n[1]\n  ```\nand\n```\n[2]\n```", Some("[2]")),
        ("```json\n[1]\n```\nor\n```\n[2]\n```", Some("[1]")),
        ("```json\n[1]\n```\nor\n```JSON\n[2]\n```", Some("[2]")),
        ("```json\n[1]\n```\nor\n```json\n[2\n```", None),
        ("```ts\ntype T = {a: number}\n```\nThen:\n```json\n{\"a\": 1}\n```", Some("{\"a\": 1}")),
        ("```ts\ntype T\n```\nThen:\n```\n[1]\n```\nand\n```sh\nls\n```", Some("[1]")),
        ("```bash\nls\n```\n```json\n[1]", Some("[1]")),
        ("```ts\ntype T\n```json\n[1]\n```", Some("[1]")),
        ("```json\r\n[1]\r\n```\r\n", Some("[1]")),
        ("```\n{\"a\": 1", None),
        ("```\n[1]", Some("[1]")),
        ("```json [1] ```", Some("[1]")),
        ("```json[1]```", Some("[1]")),
        ("```[1]```", Some("[1]")),
        ("Use ```sh ls``` and ```json {\"a\": 1} ```.", Some("{\"a\": 1}")),
        ("Result: ```json\n[1]\n```", Some("[1]")),
        ("```json\n[1]```", Some("[1]")),
        ("```json {\n\"a\": 1}\n```", Some("{\n\"a\": 1}")),
        ("```js {\"a\": 1} ```", Some("{\"a\": 1}")),
        ("```json\n{\"a\": \"```\"}\n```", Some("{\"a\": \"```\"}")),
        ("The answer is [1]", None),
        ("```\nno\n```\n```\n[1]\n```", Some("[1]")),
        ("```json\n```\n```\n[1]\n```", Some("[1]")),
        ("\"```\\n[1]\"", Some("\"```\\n[1]\"")),
    ] {
        assert_eq!(find(response, Search::Blocks).ok().map(|(text, _)| text), found, "{response}");
    }
}

#[test]
fn json_in_prose_is_found_where_that_is_asked_for() {
    for (response, found) in [
        ("It is {\"a\": 1}, I think.", Some("{\"a\": 1}")),
        ("Not {\"a\": 1} but {\"a\": 2}!", Some("{\"a\": 2}")),
        ("It is {\"a\": 1} as in [1].", Some("{\"a\": 1}")),
        ("It is [{\"a\": 1}] {so}.", Some("[{\"a\": 1}]")),
        ("The numbers [1, 2] are right.", Some("[1, 2]")),
        ("{see {\"a\": {\"b\": 1}}}", Some("{\"a\": {\"b\": 1}}")),
        ("```json\n[1]\n``` and {\"a\": 1}", Some("[1]")),
        ("It is 5.", None),
        ("It is {a: 1}.", None),
    ] {
        assert_eq!(find(response, Search::Prose).ok().map(|(text, _)| text), found, "{response}");
    }
    let started = CpuClock::start();
    for part in [
        "[1,",
        "{\"a\":",
        "[",
        "{",
        "[1] ",
        "[1,[",
        "{\"a\":[",
        "[\"a\"",
        "```",
        "``` [1] ```",
        "~~~\n",
        "```json\n",
    ] {
        let _ = find(&part.repeat((1 << 17) / part.len()), Search::Prose);
    }
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn texts_and_names_are_compared_as_a_reader_sees_them() {
    for (response, target, score) in [
        ("{\"n\": \"Zu\u{308}rich\"}", "{\"n\": \"Zürich\"}", 1.0),
        ("{\"Zu\u{308}rich\": 1}", "{\"Zürich\": 1}", 1.0),
        ("{\"n\": [\"New\\u202fYork\"]}", "{\"n\": [\"New York\"]}", 1.0),
        ("{\"n\": \"Rubik’s\"}", "{\"n\": \"Rubik's\"}", 1.0),
        ("{\"n\": \"\\ufeffx\\u200b\"}", "{\"n\": \"x\"}", 1.0),
        ("{\"n\": \"X\"}", "{\"n\": \"x\"}", 0.0),
        ("{\"n\": \"a  b\"}", "{\"n\": \"a b\"}", 0.0),
        ("{\"Zu\u{308}rich\": 1, \"Zürich\": 2}", "{\"Zürich\": 1}", 0.0),
    ] {
        let outcome = scorer("json_equals", &json!({})).unwrap().score(&sample(target), response).unwrap();
        assert_eq!(outcome.score, score, "{response}");
    }
}

#[test]
fn what_readers_do_not_agree_on_is_no_json() {
    for text in [
        "{\"a\": 1, \"a\": 1}",
        "{\"b\": {\"a\": 1, \"\\u0061\": 1}}",
        "NaN",
        "[Infinity]",
        "1e999",
        "{'a': 1}",
        "[1,]",
        "// no\n1",
        "01",
        "",
        "1 2",
        "\"\\ud800\"",
        "{\u{a0}}",
    ] {
        let outcome = scorer("is-json", &json!({})).unwrap().score(&sample(""), text);
        let readable = read(text);
        assert!(readable.is_err(), "{text}: {readable:?}");
        assert!(outcome.unwrap().reason.is_some(), "{text}");
    }
    assert_eq!(
        read("{\"a\": [1, 2.5, -3, \"x\", null, true]}"),
        Ok(json!({"a": [1, 2.5, -3, "x", null, true]}))
    );
}

#[test]
fn depth_bombs_are_refused_in_no_time() {
    let started = CpuClock::start();
    for open in ["[", "{\"a\":", "[[{\"a\":["] {
        let bomb = open.repeat((1 << 20) / open.len());
        let outcome = scorer("is-json", &json!({})).unwrap().score(&sample(""), &bomb).unwrap();
        assert_eq!((outcome.score, outcome.reason), (0.0, Some("invalid_response_format")));
    }
    assert!(read(&nested(127)).is_ok() && read(&nested(128)).is_err());
    let flat = format!("[{}1]", "[[]],".repeat(200_000));
    let equals = scorer("json_equals", &json!({})).unwrap();
    assert_eq!(equals.score(&sample(&flat), &flat).unwrap().score, 1.0);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn schemas_that_lead_outside_are_refused_and_nothing_is_read() {
    for place in [
        "https://example.com/schema.json",
        "http://127.0.0.1:1/",
        "file:///etc/passwd",
        "other.json#/a",
        "#anchor",
        "",
    ] {
        assert!(refused(json!({"items": {"$ref": place}})).contains("stay inside the schema"), "{place}");
    }
    for (schema, words) in [
        (json!({"$ref": "#/$defs/absent"}), "is not in it"),
        (json!({"$schema": "https://example.com/mine"}), "not a JSON Schema that can be used"),
        (json!({"$defs": {"a": {"$id": "https://example.com/a"}}}), "must not have an $id inside"),
        (json!({"$schema": "http://json-schema.org/draft-04/schema#"}), "must be of draft 6 or later"),
        (json!({"$dynamicRef": "#node"}), "must not use $dynamicRef"),
        (json!({"$recursiveRef": "#"}), "must not use $recursiveRef"),
        (json!({"type": "strin"}), "not a JSON Schema that can be used"),
        (json!({"pattern": "(?=x)"}), "not a JSON Schema that can be used"),
        (json!({"pattern": r"\w{1000}{1000}"}), "not a JSON Schema that can be used"),
        (json!("string"), "must be a JSON Schema"),
        (json!([]), "must be a JSON Schema"),
    ] {
        let why = refused(schema);
        assert!(why.contains(words), "{why}");
    }
    let own = json!({"$id": "https://example.com/a", "properties": {"$ref": {"type": "string"}, "id": {}}});
    assert_eq!(validated(own, "{\"$ref\": \"x\"}").score, 1.0);
}

#[test]
fn schemas_that_demand_too_much_are_refused() {
    let twice = |next: Value| json!({"allOf": [next.clone(), next]});
    assert!(refused(chain(20, twice, json!(true))).contains("written out"));
    let open = |next: Value| json!({"allOf": [next], "unevaluatedProperties": false});
    assert!(refused(chain(9, open, json!(true))).contains("unevaluatedItems"));
    let tree = json!({"items": {"$ref": "#"}, "unevaluatedProperties": false});
    assert!(refused(tree).contains("leads back into itself"));
    assert!(refused(chain(201, |next| next, json!(true))).contains("at most 200 places"));
    let patterns: Map<String, Value> = (0..65).map(|at| (format!("^{at}"), json!(true))).collect();
    assert!(refused(json!({"patternProperties": patterns})).contains("at most 64 patterns"));
    let deep = (0..70).fold(json!(true), |inside, _| json!({"not": inside}));
    assert!(refused(deep).contains("at most 64 levels"));
    assert!(refused(json!({"enum": vec![json!({}); 5_000]})).contains("at most 5000 objects"));
    assert!(refused(json!({"description": "x".repeat(65 * 1024)})).contains("at most 64 KB"));
}

#[test]
fn schemas_that_people_write_are_taken() {
    let tree = json!({
        "type": "object", "required": ["name"],
        "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    });
    assert_eq!(validated(tree.clone(), r#"{"name": "a", "children": [{"name": "b"}]}"#).score, 1.0);
    let wrong = validated(tree, r#"{"name": "a", "children": [{}]}"#);
    assert_eq!((wrong.score, wrong.reason, wrong.details), (0.0, None, json!({})));
    let open = |next: Value| json!({"allOf": [next], "unevaluatedProperties": false});
    assert_eq!(validated(chain(7, open, json!({"properties": {"a": true}})), "{\"a\": 1}").score, 1.0);
    let wrong = validated(json!({"properties": {"a": {"type": "integer"}}}), "{\"a\": \"1\"}");
    assert_eq!(wrong.details, json!({"problem": "\"1\" is not of type \"integer\" at '/a'"}));
    assert_eq!(validated(json!(false), "1").score, 0.0);
    let draft_7 = json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "array"});
    assert_eq!(validated(draft_7, "[]").score, 1.0);
}

#[test]
fn the_deepest_way_through_a_schema_and_a_value_has_stack_enough() {
    let links: [fn(Value) -> Value; 5] = [
        |next| json!({"allOf": [next, {"type": ["array", "integer"]}]}),
        |next| json!({"anyOf": [{"type": "string"}, next]}),
        |next| json!({"if": next, "then": true, "else": false}),
        |next| json!({"not": {"not": next}}),
        |next| next,
    ];
    for link in links {
        let schema = chain(90, link, json!({"items": {"$ref": "#/$defs/a0"}}));
        assert_eq!(validated(schema, &nested(126)).score, 1.0);
        let schema = chain(198, link, json!({"type": "array"}));
        assert_eq!(validated(schema, &nested(126)).score, 1.0);
    }
}

#[test]
fn schemas_that_lead_back_to_themselves_on_the_same_value_end() {
    for (schema, score) in [
        (json!({"$ref": "#"}), 1.0),
        (json!({"allOf": [{"$ref": "#"}]}), 1.0),
        (json!({"not": {"$ref": "#"}}), 0.0),
        (json!({"anyOf": [{"type": "string"}, {"$ref": "#"}]}), 1.0),
        (json!({"if": true, "then": {"$ref": "#"}}), 1.0),
        (
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
            1.0,
        ),
        (json!({"$ref": "#/$defs/a", "$defs": {"a": {"oneOf": [{"$ref": "#/$defs/a"}]}}}), 1.0),
        (json!({"dependentSchemas": {"a": {"$ref": "#"}}}), 1.0),
    ] {
        assert_eq!(validated(schema.clone(), "{\"a\": 1}").score, score, "{schema}");
    }
}

#[test]
fn a_large_response_is_not_compared_with_a_large_schema() {
    let choices: Vec<Value> = (0..5_000).map(|at| json!(at)).collect();
    let schema = json!({"items": {"enum": choices}});
    assert_eq!(validated(schema.clone(), "[1, 2]").score, 1.0);
    let large = format!("[{}0]", "0,".repeat(100_000));
    let why =
        scorer("json_schema", &json!({"schema": schema})).unwrap().score(&sample(""), &large).unwrap_err();
    assert!(why.contains("too many values for a schema of this size"), "{why}");
}

#[test]
fn a_tree_is_validated_in_time_that_grows_with_its_size() {
    let twice = json!({"items": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}});
    assert_eq!(validated(twice, &nested(120)).score, 1.0);
    let either = json!({"anyOf": [{"type": "string"}, {"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]});
    assert_eq!(validated(either, &nested(120)).score, 1.0);
}

#[test]
fn the_order_of_names_changes_no_schema() {
    let canonical = |schema: &str| {
        let schema: Value = serde_json::from_str(schema).unwrap();
        scorer("is-json", &json!({"schema": schema})).unwrap().canonical().to_string()
    };
    let one =
        canonical(r#"{"type": "object", "properties": {"b": {}, "a": {"type": "string", "minLength": 1}}}"#);
    let other =
        canonical(r#"{"properties": {"a": {"minLength": 1, "type": "string"}, "b": {}}, "type": "object"}"#);
    assert_eq!(one, other);
}

proptest! {
    #[test]
    fn any_response_can_be_looked_through(response in "(```(json)?\n|[\\[\\]{}:,\"0-9.eE -]|true|null|\\PC|\n){0,40}") {
        if let Ok((text, value)) = find(&response, Search::Prose) {
            prop_assert_eq!(&read(text).unwrap(), &value);
            let again = scorer("json_equals", &json!({"in_prose": true})).unwrap().score(&sample(text), &response).unwrap();
            prop_assert_eq!(again.score, 1.0);
        }
    }
}
