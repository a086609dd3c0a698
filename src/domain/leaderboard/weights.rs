//! Weights that a reader gives the evals in place of their own, as they stand in an address.
//!
//! Whether an eval of that id exists is not known here.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::domain::id::EvalId;
use crate::error::{Error, Result};

/// Evals that can be weighted at once.
const MOST: usize = 1_000;
/// The parameter's name.
const FIELD: &str = "weights";

/// A weight for each of some evals: `evalid:2,evalid:0.5` in an address. Evals that are not named keep their own;
/// a weight of 0 takes an eval out of the ranking.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights {
    by_eval: BTreeMap<EvalId, f64>,
    text: String,
}

impl Weights {
    /// The largest weight, as of an eval's own.
    pub const LARGEST: f64 = 1e6;

    fn new(by_eval: BTreeMap<EvalId, f64>) -> Self {
        let parts: Vec<String> = by_eval.iter().map(|(eval, weight)| format!("{eval}:{weight}")).collect();
        Self { by_eval, text: parts.join(",") }
    }

    /// The weight given to an eval.
    #[must_use]
    pub fn of(&self, eval: &EvalId) -> Option<f64> {
        self.by_eval.get(eval).copied()
    }

    /// The same weights, but for one eval: with that weight (0 or more), or with its own.
    #[must_use]
    pub fn with(&self, eval: &EvalId, weight: Option<f64>) -> Self {
        let mut by_eval = self.by_eval.clone();
        match weight {
            Some(weight) => by_eval.insert(eval.clone(), weight),
            None => by_eval.remove(eval),
        };
        Self::new(by_eval)
    }

    /// As they stand in an address: the same text for the same weights.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The evals that have one, by id.
    pub fn evals(&self) -> impl Iterator<Item = &EvalId> {
        self.by_eval.keys()
    }

    /// Whether every eval keeps its own.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_eval.is_empty()
    }
}

impl FromStr for Weights {
    type Err = Error;

    /// # Errors
    /// `Invalid` naming `weights` and the part of the text that is wrong.
    fn from_str(text: &str) -> Result<Self> {
        let mut weights = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (eval, weight) = pair(part)?;
            if weights.insert(eval, weight).is_some() {
                return Err(refused(part, "names an eval a second time"));
            }
            if weights.len() > MOST {
                return Err(Error::invalid(FIELD, format!("weights must name at most {MOST} evals")));
            }
        }
        Ok(Self::new(weights))
    }
}

/// Weights brought to a sum of 1. They are divided by the largest first: the sum of tiny ones has few digits.
#[must_use]
pub fn shares(weights: &[f64]) -> Vec<f64> {
    let largest = weights.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 {
        return weights.to_vec();
    }
    let scaled: Vec<f64> = weights.iter().map(|weight| weight / largest).collect();
    let total: f64 = scaled.iter().sum();
    scaled.into_iter().map(|weight| weight / total).collect()
}

fn pair(part: &str) -> Result<(EvalId, f64)> {
    let (eval, weight) = part.split_once(':').ok_or_else(|| refused(part, "has no colon"))?;
    let weight: f64 = weight.trim().parse().map_err(|_| refused(part, "has no number after the colon"))?;
    if !(0.0..=Weights::LARGEST).contains(&weight) {
        return Err(refused(part, "has a weight that is not from 0 to 1000000"));
    }
    Ok((EvalId::from(eval.trim().to_owned()), weight))
}

fn refused(part: &str, fault: &str) -> Error {
    let part: String = part.chars().take(60).collect();
    Error::invalid(FIELD, format!("weights must be like evalid:2,evalid:0.5, and \"{part}\" {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_the_same_way() {
        let weights: Weights = " b:2 , a:0.50,".parse().unwrap();
        assert_eq!(weights.as_str(), "a:0.5,b:2");
        assert_eq!(weights.as_str().parse::<Weights>().unwrap(), weights);
        let a = EvalId::from("a".to_owned());
        assert_eq!(weights.with(&a, None).as_str(), "b:2");
        assert_eq!(weights.with(&a, Some(3.0)).as_str(), "a:3,b:2");
        assert_eq!(weights.of(&EvalId::from("b".to_owned())), Some(2.0));
        assert_eq!(weights.of(&EvalId::from("c".to_owned())), None);
        assert!(!weights.is_empty() && "".parse::<Weights>().unwrap().is_empty());
    }

    #[test]
    fn tiny_weights_have_the_shares_of_large_ones() {
        assert_eq!(shares(&[1e-170, 3e-170]), [0.25, 0.75]);
        assert_eq!(shares(&[1e-320, 1e-320]), [0.5, 0.5]);
        assert_eq!((shares(&[0.0, 2.0]), shares(&[0.0])), (vec![0.0, 1.0], vec![0.0]));
    }

    #[test]
    fn what_is_no_weight_is_refused_with_the_part_at_fault() {
        for (text, words) in [
            ("a", "no colon"),
            ("a:", "no number"),
            ("a:two", "no number"),
            ("a:-1", "from 0 to"),
            ("a:NaN", "from 0 to"),
            ("a:inf", "from 0 to"),
            ("a:1e9", "from 0 to"),
            ("a:1,b:1,a:2", "second time"),
        ] {
            let refused = text.parse::<Weights>().unwrap_err().to_string();
            assert!(refused.contains(words), "{text}: {refused}");
        }
        let many: Vec<String> = (0..=MOST).map(|at| format!("e{at}:1")).collect();
        assert!(many.join(",").parse::<Weights>().is_err());
    }
}
