//! Percentiles of how long answers took. It knows no interval of a percentile, and no histogram.

use super::count;

/// The `percent`-th percentile of `values` in any order, in their own unit (milliseconds on the board).
///
/// Linear interpolation between the two nearest values, at position `(n - 1) * percent / 100` counted from 0
/// (type 7 of Hyndman and Fan 1996). `None` without values or above 100 percent.
pub fn percentile(values: &[f64], percent: u8) -> Option<f64> {
    let percent = (percent <= 100).then_some(usize::from(percent))?;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let position = sorted.len().checked_sub(1)? * percent;
    let (rank, hundredths) = (position / 100, position % 100);
    let below = *sorted.get(rank)?;
    let above = sorted.get(rank + 1).copied().unwrap_or(below);
    Some(below + (above - below) * count(hundredths) / 100.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::vectors::{assert_close, numbers, section};
    use super::*;

    #[test]
    fn percentiles_are_the_reference_ones() {
        let reference = section("latency_percentiles");
        let latencies = numbers(&reference["ms"]);
        for (percent, expected) in reference["type7"].as_object().unwrap() {
            assert_close(percentile(&latencies, percent.parse().unwrap()).unwrap(), expected);
        }
    }

    #[test]
    fn one_value_is_every_percentile() {
        assert_eq!([0, 50, 100].map(|percent| percentile(&[7.0], percent)), [Some(7.0); 3]);
    }

    #[test]
    fn the_ends_are_the_least_and_the_greatest() {
        let latencies = [30.0, 10.0, 20.0];
        assert_eq!((percentile(&latencies, 0), percentile(&latencies, 100)), (Some(10.0), Some(30.0)));
    }

    #[test]
    fn nothing_has_no_percentile_and_no_percent_is_above_a_hundred() {
        assert_eq!((percentile(&[], 50), percentile(&[7.0], 101)), (None, None));
    }

    proptest! {
        #[test]
        fn percentiles_rise_with_percent(
            values in prop::collection::vec(0.0..1e6, 1..50),
            percent in 0_u8..100,
        ) {
            let (lower, higher) = (percentile(&values, percent), percentile(&values, percent + 1));
            prop_assert!(lower.unwrap() <= higher.unwrap() + 1e-6);
        }
    }
}
