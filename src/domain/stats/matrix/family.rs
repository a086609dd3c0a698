//! Which pairs are corrected together, so that nobody makes others' findings vanish by adding models.

use super::{Entrant, Pair};
use crate::domain::stats::holm;

/// The pairs of a board by what each is corrected for. Models that agree on every item are one class: their
/// tests are one test.
pub(super) struct Family<'m> {
    pairs: &'m [Vec<Pair>],
    /// The first model of the class of each model, by place.
    first: Vec<usize>,
    /// First models that are no baselines.
    contestants: Vec<usize>,
    /// First models that are.
    baselines: Vec<usize>,
}

impl<'m> Family<'m> {
    pub(super) fn new(models: &[Entrant], pairs: &'m [Vec<Pair>]) -> Self {
        let mut first: Vec<usize> = Vec::with_capacity(models.len());
        for (place, own) in models.iter().enumerate() {
            let is_twin = |other: &usize| {
                let is_same =
                    pairs.get(place).and_then(|row| row.get(*other)).is_some_and(|pair| pair.is_same);
                is_same && models.get(*other).is_some_and(|other| other.is_baseline == own.is_baseline)
            };
            let twin = (0..place).find(is_twin);
            first.push(twin.unwrap_or(place));
        }
        let firsts = first.iter().enumerate().filter(|(place, first)| place == *first);
        let is_baseline = |place: &usize| models.get(*place).is_some_and(|model| model.is_baseline);
        let (baselines, contestants): (Vec<usize>, Vec<usize>) =
            firsts.map(|(place, _)| place).partition(is_baseline);
        // Where there is nobody else, they compete with each other.
        let (baselines, contestants) =
            if contestants.is_empty() { (contestants, baselines) } else { (baselines, contestants) };
        Self { pairs, first, contestants, baselines }
    }

    /// How many different models are corrected for.
    pub(super) fn contestants(&self) -> usize {
        self.contestants.len()
    }

    /// The pairs of the family.
    pub(super) fn tests(&self) -> impl Iterator<Item = &Pair> {
        among(&self.contestants).into_iter().filter_map(|(one, other)| self.pair(one, other))
    }

    /// The corrected p of every pair, laid out as the pairs are; 1 for two of one class.
    ///
    /// - Two contestants: Holm over all pairs of contestants.
    /// - A contestant and a baseline: Holm over these and that one baseline's pairs with contestants.
    /// - Two baselines: Holm over all pairs of baselines.
    pub(super) fn corrected(&self) -> Vec<Vec<f64>> {
        let places = self.first.len();
        let mut by_first = vec![vec![1.0; places]; places];
        let family = among(&self.contestants);
        self.correct(&family, &family, &mut by_first);
        for baseline in &self.baselines {
            let own: Vec<(usize, usize)> = self.contestants.iter().map(|other| (*baseline, *other)).collect();
            self.correct(&own, &[own.as_slice(), &family].concat(), &mut by_first);
        }
        let baselines = among(&self.baselines);
        self.correct(&baselines, &baselines, &mut by_first);
        let corrected = |later: usize, earlier: usize| {
            let (one, other) = (self.first.get(later)?, self.first.get(earlier)?);
            by_first.get(*one.max(other))?.get(*one.min(other)).copied()
        };
        let row = |later: usize| (0..later).map(|earlier| corrected(later, earlier).unwrap_or(1.0)).collect();
        (0..places).map(row).collect()
    }

    /// Writes the values of the first `wanted` pairs of `together`, which are corrected together.
    fn correct(&self, wanted: &[(usize, usize)], together: &[(usize, usize)], into: &mut [Vec<f64>]) {
        let p = |(one, other): &(usize, usize)| {
            self.pair(*one, *other).and_then(|pair| pair.test).map_or(1.0, |test| test.p)
        };
        let corrected = holm(&together.iter().map(p).collect::<Vec<_>>());
        for ((one, other), p) in wanted.iter().zip(corrected) {
            if let Some(place) = into.get_mut(*one.max(other)).and_then(|row| row.get_mut(*one.min(other))) {
                *place = p;
            }
        }
    }

    fn pair(&self, one: usize, other: usize) -> Option<&Pair> {
        self.pairs.get(one.max(other))?.get(one.min(other))
    }
}

/// All pairs of `places`, the later of each first.
fn among(places: &[usize]) -> Vec<(usize, usize)> {
    let earlier = |at: usize, later: usize| places.iter().take(at).map(move |earlier| (later, *earlier));
    places.iter().enumerate().flat_map(|(at, later)| earlier(at, *later)).collect()
}
