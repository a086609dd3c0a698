//! What a score could be, given that some cases were never measured.
//!
//! It does not say which of the three counts: that rule belongs to the result.

use super::count;

/// The score of a cell under three readings of its missing measurements; all 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ErrorBounds {
    /// The missing all counted as wrong: the lowest that the score can be.
    pub if_wrong: f64,
    /// The missing left out; `None` when nothing was measured.
    pub if_dropped: Option<f64>,
    /// The missing all counted as right: the highest that the score can be.
    pub if_right: f64,
}

/// The bounds of a cell: `measured` of `total` planned scores (each 0..1) add up to `sum_of_scores`.
///
/// `None` when nothing was planned, or more was measured than planned.
pub fn error_bounds(sum_of_scores: f64, measured: usize, total: usize) -> Option<ErrorBounds> {
    let missing = total.checked_sub(measured).filter(|_| total > 0)?;
    Some(ErrorBounds {
        if_wrong: sum_of_scores / count(total),
        if_dropped: (measured > 0).then(|| sum_of_scores / count(measured)),
        if_right: (sum_of_scores + count(missing)) / count(total),
    })
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{assert_close, number, section, size};
    use super::*;

    #[test]
    fn the_bounds_are_the_reference_ones() {
        let reference = section("error_bounds");
        let (total, errored) = (size(&reference["n"]), size(&reference["errored"]));
        let bounds = error_bounds(number(&reference["correct"]), total - errored, total).unwrap();
        assert_close(bounds.if_wrong, &reference["score_errors_zero"]);
        assert_close(bounds.if_dropped.unwrap(), &reference["score_errors_excluded"]);
        assert_close(bounds.if_right, &reference["best_case"]);
    }

    #[test]
    fn a_complete_cell_has_one_score() {
        let expected = ErrorBounds { if_wrong: 0.75, if_dropped: Some(0.75), if_right: 0.75 };
        assert_eq!(error_bounds(3.0, 4, 4), Some(expected));
    }

    #[test]
    fn a_cell_with_nothing_measured_could_be_anything() {
        let expected = ErrorBounds { if_wrong: 0.0, if_dropped: None, if_right: 1.0 };
        assert_eq!(error_bounds(0.0, 0, 4), Some(expected));
    }

    #[test]
    fn a_cell_with_nothing_planned_has_no_bounds() {
        assert_eq!((error_bounds(0.0, 0, 0), error_bounds(5.0, 5, 4)), (None, None));
    }
}
