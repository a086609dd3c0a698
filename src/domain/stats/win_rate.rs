//! The mean win rate: an option beside the mean, never the only number.
//!
//! It depends on who else is on the board: a new model can turn the order of two others around.

use super::{count, mean};

/// The mean win rate (0..1) of each model: on each eval the share of the other models that it scores higher
/// than, an equal score counting half, averaged over evals with equal weight (Liang et al. 2022, with ties as
/// halves). `scores` holds a row for each model with its score on each eval, all in one order.
///
/// Models without a score on an eval are no opponents there. `None` for a model that meets nobody.
pub fn mean_win_rates<Scores: AsRef<[Option<f64>]>>(scores: &[Scores]) -> Vec<Option<f64>> {
    let evals = scores.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    let fields: Vec<Vec<f64>> = (0..evals).map(|eval| field(scores, eval)).collect();
    let rate = |row: &Scores| {
        let on_evals = row.as_ref().iter().zip(&fields);
        mean(&on_evals.filter_map(|(score, field)| win_rate((*score)?, field)).collect::<Vec<f64>>())
    };
    scores.iter().map(rate).collect()
}

/// All scores on one eval, in order.
fn field<Scores: AsRef<[Option<f64>]>>(scores: &[Scores], eval: usize) -> Vec<f64> {
    let mut field: Vec<f64> = scores.iter().filter_map(|row| *row.as_ref().get(eval)?).collect();
    field.sort_by(f64::total_cmp);
    field
}

/// The share of the others in `field` that `own`, which is one of it, beats; `None` without others.
fn win_rate(own: f64, field: &[f64]) -> Option<f64> {
    let beaten = field.partition_point(|score| *score < own);
    let reached = field.partition_point(|score| *score <= own);
    let others = field.len().checked_sub(1).filter(|others| *others > 0)?;
    let ties = (reached - beaten).saturating_sub(1);
    Some((count(beaten) + 0.5 * count(ties)) / count(others))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::vectors::{assert_close, number, numbers, section, size};
    use super::*;

    fn rows(value: &Value) -> Vec<Vec<Option<f64>>> {
        let row = |row: &Value| numbers(row).into_iter().map(Some).collect();
        value.as_array().unwrap().iter().map(row).collect()
    }

    fn assert_rates(scores: &[Vec<Option<f64>>], expected: &Value) {
        let rates = mean_win_rates(scores);
        assert_eq!(rates.len(), expected.as_array().unwrap().len());
        for (rate, expected) in rates.iter().zip(expected.as_array().unwrap()) {
            assert_close(rate.unwrap(), expected);
        }
    }

    #[test]
    fn win_rates_are_the_reference_ones() {
        for name in ["helm_mwr", "helm_ties"] {
            let reference = section(name);
            let expected = reference.get("mean_win_rate").or(reference.get("mwr")).unwrap();
            assert_rates(&rows(&reference["scores"]), expected);
        }
    }

    #[test]
    fn a_tie_counts_half_as_in_the_published_correction() {
        let reference = &section("public_vectors")["helm_bbq_tie"];
        let (opponents, points) = (size(&reference["opponents"]), number(&reference["wins_plus_half"]));
        // 15 beaten, one tied, the others ahead.
        let theirs = (0..opponents).map(|other| match other {
            0..15 => 0.1,
            15 => 0.5,
            _ => 0.9,
        });
        let scores: Vec<Vec<Option<f64>>> =
            std::iter::once(0.5).chain(theirs).map(|score| vec![Some(score)]).collect();
        let rate = mean_win_rates(&scores)[0].unwrap();
        assert_close(rate, &reference["correct"]);
        assert!((rate - points / count(opponents)).abs() < 1e-12);
    }

    #[test]
    fn one_more_model_can_turn_two_others_around() {
        let reference = section("helm_iia_flip");
        let mut scores = rows(&reference["models_ABC"]);
        assert_rates(&scores, &reference["before"]);
        scores.push(numbers(&reference["added_D"]).into_iter().map(Some).collect());
        assert_rates(&scores, &reference["after"]);
    }

    #[test]
    fn who_was_not_measured_is_no_opponent() {
        let scores = [vec![Some(0.5), Some(0.9)], vec![Some(0.4), None], vec![None, None]];
        assert_eq!(mean_win_rates(&scores), [Some(1.0), Some(0.0), None]);
        assert_eq!(mean_win_rates(&[[Some(1.0)]]), [None]);
    }
}
