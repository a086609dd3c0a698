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

/// Random numbers that are the same on every run: the splitmix64 generator.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 to 1.
    pub(super) fn number(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap()) / (f64::from(u32::MAX) + 1.0)
    }

    /// 1 with the chance `solved`, else 0.
    pub(super) fn answer(&mut self, solved: f64) -> f64 {
        if self.number() < solved { 1.0 } else { 0.0 }
    }

    /// Runs of a simulation: `few`, or as many times more as `EVALBOARD_SIMULATIONS` says.
    pub(super) fn runs(few: u32) -> u32 {
        let times = std::env::var("EVALBOARD_SIMULATIONS").ok().and_then(|times| times.parse::<u32>().ok());
        few * times.unwrap_or(1)
    }
}
