//! Numbers in answers, and where they are looked for.

use super::*;

fn score(eval_type: &str, criteria: Value, response: &str, target: &str) -> f64 {
    let (scorer, sample) = (scorer(eval_type, criteria).unwrap(), sample(&[target], &[]));
    scorer.check_sample(&sample, "samples[0]").unwrap();
    scorer.score(&sample, response).unwrap().score
}

fn assert_numeric(criteria: &Value, table: &[(&str, &str, f64)]) {
    for (response, target, expected) in table {
        let found = score("numeric", criteria.clone(), response, target);
        assert!((found - expected).abs() < 1e-12, "{criteria} {response} {target}: {found}");
    }
}

#[test]
fn latex_answers_are_compared_by_value() {
    assert_numeric(
        &json!({}),
        &[
            (r"The answer is $\frac{3}{4}$.", "0.75", 1.0),
            (r"The answer is $\frac{3}{4}$.", "4", 0.0),
            (r"\boxed{-\frac{1}{2}}", "-0.5", 1.0),
            (r"$8.85 \times 10^{-12}$", "8.85e-12", 1.0),
            (r"$8.85 \times 10^{-12}$", "1e-12", 0.0),
            (r"$1.5 \cdot 10^{3}$", "1500", 1.0),
            (r"$12{,}345$", "12345", 1.0),
            (r"$12\,345$", "12345", 1.0),
            (r"$2\sqrt{3}$", "2", 0.0),
            ("0.75", r"\frac{3}{4}", 1.0),
            ("42", r"\boxed{42}", 1.0),
        ],
    );
}

#[test]
fn whole_numbers_are_compared_by_their_digits() {
    assert_numeric(
        &json!({}),
        &[
            ("2^20 is 1048577.", "1048576", 0.0),
            ("2^20", "1048576", 1.0),
            ("2^20", "1048577", 0.0),
            ("The product is 12345670.", "12345678", 0.0),
            ("The product is 12 345 678.", "12345678", 1.0),
            ("$1,048,577.00", "1048576", 0.0),
            ("9007199254740993", "9007199254740992", 0.0),
            ("9007199254740993", "9007199254740993", 1.0),
            ("1000000.5", "1000000", 1.0),
            ("3.1415927", "3.14159265", 1.0),
            ("-0", "0", 1.0),
        ],
    );
    assert_numeric(&json!({"rel_tol": 1e-6}), &[("12345670", "12345678", 1.0), ("1048577", "1048576", 1.0)]);
    assert_numeric(
        &json!({"rel_tol": 0}),
        &[("12345670", "12345678", 0.0), ("3.1415927", "3.14159265", 0.0)],
    );
    assert_numeric(&json!({"abs_tol": 10}), &[("12345670", "12345678", 1.0), ("12345660", "12345678", 0.0)]);
    let long = "7".repeat(400);
    assert_numeric(&json!({"rel_tol": 0.1}), &[(&long, &long, 1.0), (&format!("{long}7"), &long, 0.0)]);
    for (response, expected) in [("12345670.", 0.0), ("It is 12,345,678.", 1.0)] {
        let found = score("match", json!({"numeric": true}), response, "12345678");
        assert!((found - expected).abs() < 1e-12, "{response}");
    }
}

#[test]
fn groups_and_digits_of_any_script_are_read() {
    assert_numeric(
        &json!({}),
        &[
            ("Total: ₹2,50,000", "250000", 1.0),
            ("The total is 43 279.", "43279", 1.0),
            ("Le total est 43\u{202f}279.", "43279", 1.0),
            ("1'234'567", "1234567", 1.0),
            ("الجواب هو ٤٢", "42", 1.0),
            ("উত্তর হল ৪২", "42", 1.0),
            ("Die Summe beträgt 1.234,56 €.", "1234.56", 1.0),
        ],
    );
}

#[test]
fn answers_are_read_in_the_notation_of_their_target() {
    assert_numeric(
        &json!({}),
        &[
            ("Es sind 3,14.", "3,14", 1.0),
            ("Es sind 1234,56 €.", "1.234,56", 1.0),
            ("Es sind 6,02e23, 6,02 × 10^23.", "6,02e23", 1.0),
            ("Es sind 1,234.56.", "1.234,56", 1.0),
            ("1.234", "1.234", 1.0),
            ("1,234", "1234", 1.0),
            ("3,14", "3.14", 0.0),
        ],
    );
    let comma = json!({"decimal_mark": ","});
    assert_numeric(&comma, &[("3,14", "3.14", 1.0), ("1.234", "1234", 1.0), ("1,234", "1234", 0.0)]);
    assert_numeric(&json!({"decimal_mark": "point"}), &[("1.234", "1234", 0.0), ("1,234", "1234", 1.0)]);
    let point = scorer("numeric", json!({"decimal_mark": "."})).unwrap();
    assert_eq!(refusal(point.check_sample(&sample(&["3,14"], &[]), "samples[0]")).0, "samples[0].target");
}

#[test]
fn boxed_numbers_are_preferred() {
    let response = r"So the answer is \boxed{42}. I checked this in 3 ways.";
    for (criteria, target) in [
        (json!({}), "42"),
        (json!({"location": "auto"}), "42"),
        (json!({"location": "boxed"}), "42"),
        (json!({"location": "last"}), "3"),
        (json!({"location": "end"}), "3"),
        (json!({"location": "first"}), "42"),
        (json!({"location": "any"}), "3"),
    ] {
        assert_numeric(&criteria, &[(response, target, 1.0)]);
    }
    assert!((score("match", json!({"numeric": true}), response, "42") - 1.0).abs() < 1e-12);
    assert_numeric(&json!({}), &[(r"\boxed{\sqrt{2}}, in 3 ways", "3", 0.0), ("in 3 ways", "3", 1.0)]);
    let boxed = scorer("numeric", json!({"location": "boxed"})).unwrap();
    let outcome = boxed.score(&sample(&["3"], &[]), "in 3 ways").unwrap();
    assert_eq!(outcome.reason, Some(INVALID_RESPONSE_FORMAT));
}

#[test]
fn patterns_are_found_where_the_criteria_say() {
    let response = r"First 7, so \boxed{42}. I checked this in 3 ways.";
    for (location, target) in [
        (json!(null), "42"),
        (json!("boxed"), "42"),
        (json!("first"), "7"),
        (json!("begin"), "7"),
        (json!("last"), "3"),
        (json!("end"), "3"),
        (json!("any"), "7"),
        (json!("any"), "3"),
    ] {
        let criteria = json!({"pattern": r"\d+", "location": location});
        assert!((score("pattern", criteria, response, target) - 1.0).abs() < 1e-12, "{location} {target}");
    }
    let outside = json!({"pattern": r"in (\d+) ways"});
    assert!((score("pattern", outside, response, "3") - 1.0).abs() < 1e-12);
    let boxed = scorer("pattern", json!({"pattern": r"in (\d+) ways", "location": "boxed"})).unwrap();
    assert_eq!(boxed.score(&sample(&["3"], &[]), response).unwrap().reason, Some(INVALID_RESPONSE_FORMAT));
}

#[test]
fn scorers_of_numbers_have_another_version() {
    for (eval_type, criteria) in [("numeric", json!({})), ("pattern", json!({"pattern": "x"}))] {
        assert_eq!(scorer(eval_type, criteria).unwrap().version(), 2, "{eval_type}");
    }
}
