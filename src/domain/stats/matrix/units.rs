//! The item scores of one model on one eval, kept so that two of them are compared fast.
//!
//! A unit is what a test flips: an item, or the sum over a cluster. Units that are all 0 or 1 are kept as bits,
//! an eighth of a byte each, and compared 64 at a time.

use std::borrow::Cow;
use std::ops::ControlFlow;

use crate::domain::stats::ROUNDING;
use crate::domain::stats::compare::cluster_sums;
use crate::domain::stats::sign_flip::{Lot, Sums, Visit, unit_difference};

/// Running sums side by side, which the compiler can put into wide registers; one alone has to wait for itself.
const LANES: usize = 8;

/// One cell: a model's scores on an eval, in a form that one or several matrices can share.
#[derive(Debug, Clone, PartialEq)]
pub struct Units {
    items: usize,
    /// Sum of the item scores.
    pub(super) sum: f64,
    scores: Scores,
}

#[derive(Debug, Clone, PartialEq)]
enum Scores {
    /// A bit for each unit, 64 to a word, the rest of the last word 0.
    Bits(Box<[u64]>),
    Numbers(Box<[f64]>),
}

impl Units {
    /// The units of the item scores `items` (0..1, by position). Missing measurements count as wrong: whether
    /// there are too many of them for a complete result is not asked here. `clusters` has the cluster of each
    /// item where the eval version has clusters, an item that belongs to none having a number of its own;
    /// `None` when it is not as long as `items`.
    #[must_use]
    pub fn new(items: &[Option<f64>], clusters: Option<&[u64]>) -> Option<Self> {
        let fits = clusters.is_none_or(|clusters| clusters.len() == items.len());
        fits.then(|| Self::of(items, clusters))
    }

    /// How many items they were made from.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items
    }

    fn of(items: &[Option<f64>], clusters: Option<&[u64]>) -> Self {
        let filled: Vec<f64> = items.iter().map(|score| score.unwrap_or(0.0)).collect();
        let units = clusters.map_or_else(|| filled.clone(), |clusters| cluster_sums(&filled, clusters));
        let are_bits = units.iter().all(|unit| *unit == 0.0 || *unit == 1.0);
        let scores = if are_bits { Scores::Bits(pack(&units)) } else { Scores::Numbers(units.into()) };
        Self { items: items.len(), sum: filled.iter().sum(), scores }
    }

    /// The sums of the differences of all units.
    pub(super) fn sums(&self, other: &Self) -> Sums {
        let sum = self.sum - other.sum;
        match (&self.scores, &other.scores) {
            (Scores::Bits(a), Scores::Bits(b)) => {
                let units = f64::from(ones(a.iter().zip(b).map(|(a, b)| a ^ b)));
                Sums { sum, squares: units, fourths: units, largest: units.min(1.0), units }
            }
            (Scores::Numbers(a), Scores::Numbers(b)) => Sums { sum, ..powers(a, b) },
            (a, b) => Sums { sum, ..powers(&a.numbers(b.units()), &b.numbers(a.units())) },
        }
    }

    /// Shows the weighted differences to `visit` until it has seen enough.
    pub(super) fn each_lot(&self, other: &Self, share: f64, visit: &mut Visit<'_>) -> ControlFlow<()> {
        if let (Scores::Bits(a), Scores::Bits(b)) = (&self.scores, &other.scores) {
            let plus = ones(a.iter().zip(b).map(|(a, b)| a & !b));
            let minus = ones(a.iter().zip(b).map(|(a, b)| b & !a));
            return visit(Lot { size: share, plus, minus });
        }
        let (a, b) = (&self.scores, &other.scores);
        let (a, b) = (a.numbers(b.units()), b.numbers(a.units()));
        let mut both = a.iter().zip(b.iter());
        both.try_for_each(|(a, b)| visit(Lot::of(share * unit_difference(*a, *b))))
    }
}

impl Scores {
    /// How many units there are, or for bits how many there may be.
    fn units(&self) -> usize {
        match self {
            Self::Bits(words) => words.len() * 64,
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// As numbers, `most` of them at most.
    fn numbers(&self, most: usize) -> Cow<'_, [f64]> {
        match self {
            Self::Numbers(numbers) => Cow::Borrowed(numbers),
            Self::Bits(words) => {
                let bits = words.iter().flat_map(|word| (0..64).map(move |bit| word >> bit & 1));
                Cow::Owned(bits.map(|bit| if bit == 1 { 1.0 } else { 0.0 }).take(most).collect())
            }
        }
    }
}

fn pack(units: &[f64]) -> Box<[u64]> {
    let word =
        |units: &[f64]| units.iter().rev().fold(0, |word: u64, unit| word << 1 | u64::from(*unit == 1.0));
    units.chunks(64).map(word).collect()
}

fn ones(words: impl Iterator<Item = u64>) -> u32 {
    words.map(u64::count_ones).sum()
}

/// The sums of differences, but for their plain sum.
fn powers(a: &[f64], b: &[f64]) -> Sums {
    let ((a_blocks, a_rest), (b_blocks, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = Lanes::default();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        lanes.add(a, b);
    }
    let mut sums = Sums {
        sum: 0.0,
        squares: lanes.squares.iter().sum(),
        fourths: lanes.fourths.iter().sum(),
        largest: lanes.largest.iter().fold(0.0, |largest, own| largest.max(*own)),
        units: lanes.units.iter().sum(),
    };
    a_rest.iter().zip(b_rest).for_each(|(a, b)| sums.add(1.0, &Sums::of_one(unit_difference(*a, *b))));
    sums
}

/// The sums of a few differences at a time, each in a register of its own.
#[derive(Default)]
struct Lanes {
    squares: [f64; LANES],
    fourths: [f64; LANES],
    largest: [f64; LANES],
    units: [f64; LANES],
}

impl Lanes {
    fn add(&mut self, a: &[f64; LANES], b: &[f64; LANES]) {
        let own = self.squares.iter_mut().zip(&mut self.fourths).zip(&mut self.largest).zip(&mut self.units);
        for ((((squares, fourths), largest), units), (a, b)) in own.zip(a.iter().zip(b)) {
            let size = (a - b).abs();
            let square = size * size;
            *squares += square;
            *fourths += square * square;
            *largest = largest.max(size);
            *units += f64::from(u8::from(size > ROUNDING));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(items: &[f64]) -> Units {
        Units::new(&items.iter().copied().map(Some).collect::<Vec<_>>(), None).unwrap()
    }

    #[test]
    fn right_and_wrong_are_kept_as_bits_and_anything_else_as_numbers() {
        assert_eq!(units(&[1.0, 0.0, 1.0]).scores, Scores::Bits([0b101].into()));
        assert_eq!(units(&[1.0, 0.5]).scores, Scores::Numbers([1.0, 0.5].into()));
        let long = units(&[[0.0; 64].as_slice(), &[1.0]].concat());
        assert_eq!((long.scores, long.sum), (Scores::Bits([0, 1].into()), 1.0));
    }

    #[test]
    fn clusters_are_summed_and_missing_scores_are_wrong() {
        let items = [Some(1.0), None, Some(0.5), Some(1.0)];
        let clustered = Units::new(&items, Some(&[7, 3, 3, 7])).unwrap();
        assert_eq!((clustered.scores, clustered.sum), (Scores::Numbers([0.5, 2.0].into()), 2.5));
        assert_eq!(Units::new(&items, Some(&[7, 3, 3])), None);
    }

    proptest! {
        /// All three ways of keeping two cells, by rounding none, one or both to right and wrong.
        #[test]
        fn sums_are_those_of_the_numbers(
            pairs in prop::collection::vec((0.0..1.0, 0.0..1.0), 0..200),
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let rounded = |scores: &[f64]| -> Vec<f64> { scores.iter().map(|score| score.round()).collect() };
            for (a, b) in [(a.clone(), b.clone()), (rounded(&a), b.clone()), (rounded(&a), rounded(&b))] {
                let mut expected = Sums::default();
                a.iter().zip(&b).for_each(|(a, b)| expected.add(1.0, &Sums::of_one(a - b)));
                for (own, sign) in [(units(&a).sums(&units(&b)), 1.0), (units(&b).sums(&units(&a)), -1.0)] {
                    prop_assert!((own.sum - sign * expected.sum).abs() < 1e-9);
                    prop_assert!((own.squares - expected.squares).abs() < 1e-9);
                    prop_assert!((own.fourths - expected.fourths).abs() < 1e-9);
                    prop_assert_eq!((own.largest, own.units), (expected.largest, expected.units));
                }
            }
        }
    }
}
