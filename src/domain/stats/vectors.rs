//! Reference values for the tests of this folder. They were computed elsewhere, so nothing here derives one.

use serde_json::Value;

/// References are printed with six decimals, so they are off by half of this at most.
const TOLERANCE: f64 = 1e-6;

/// One top-level section of the reference file.
pub(super) fn section(name: &str) -> Value {
    let file: Value = serde_json::from_str(include_str!("../../../tests/vectors/statistics.json")).unwrap();
    file.get(name).unwrap_or_else(|| panic!("no section {name}")).clone()
}

/// The elements of a section that is a list of examples.
pub(super) fn examples(name: &str) -> Vec<Value> {
    section(name).as_array().unwrap().clone()
}

/// A reference that is one number.
pub(super) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

/// A reference that is a list of numbers.
pub(super) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

/// A reference that is a count.
pub(super) fn size(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

/// Fails unless `actual` is the reference.
pub(super) fn assert_close(actual: f64, expected: &Value) {
    assert!((actual - number(expected)).abs() <= TOLERANCE, "{actual} is not {expected}");
}
