//! Ranks as ranges, and which rows of a board stand in one tint.
//!
//! Both are read off who is significantly ahead of whom, which is decided elsewhere: see [`super::Matrix`].

/// The ranks that a model can have as far as the tests can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RankRange {
    /// Best rank: 1 + the number of models significantly ahead of it.
    pub low: usize,
    /// Worst rank: the number of models - the number it is significantly ahead of.
    pub high: usize,
}

/// The range of each of `models`, where `is_ahead(i, j)` says that the i-th is significantly ahead of the
/// j-th. Never empty as long as it says so of at most one of `(i, j)` and `(j, i)`.
pub fn rank_ranges(models: usize, is_ahead: impl Fn(usize, usize) -> bool) -> Vec<RankRange> {
    let range = |own: usize| RankRange {
        low: 1 + (0..models).filter(|other| is_ahead(*other, own)).count(),
        high: models - (0..models).filter(|other| is_ahead(own, *other)).count(),
    };
    (0..models).map(range).collect()
}

/// The tie group, from 1, of each of `rows` rows in board order, where `is_ahead(i, j)` says that row i is
/// significantly ahead of row j: a new group starts at the first row that the first row of the present group
/// is significantly ahead of.
///
/// So no row is told apart from the first of its group by the test that opens groups, and each group's first
/// row is behind the first row of the group before. It says no more than that: ties are not transitive, so two
/// rows further down one group may well differ, and rows on two sides of a rule may be tied. What is known of
/// two rows is their own test; what is known of one is its [`RankRange`].
pub fn tie_groups(rows: usize, is_ahead: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let (mut group, mut first) = (1, 0);
    let mut groups = Vec::with_capacity(rows);
    for row in 0..rows {
        if is_ahead(first, row) {
            (group, first) = (group + 1, row);
        }
        groups.push(group);
    }
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::vectors::{assert_close, numbers, section};
    use super::super::{LEVEL, PairedDetails, holm, mean, paired_details};
    use super::*;

    #[test]
    fn ranges_are_the_reference_ones() {
        let reference = section("rank_intervals");
        let scores: Vec<Vec<f64>> = reference["matrix"].as_array().unwrap().iter().map(numbers).collect();
        for (scores, expected) in scores.iter().zip(reference["means"].as_array().unwrap()) {
            assert_close(mean(scores).unwrap(), expected);
        }
        let pairs: Vec<(usize, usize)> = (0..5).flat_map(|i| (i + 1..5).map(move |j| (i, j))).collect();
        let tests: Vec<PairedDetails> =
            pairs.iter().map(|(i, j)| paired_details(&scores[*i], &scores[*j]).unwrap()).collect();
        let p_values: Vec<f64> = tests.iter().map(|test| test.p_t.unwrap()).collect();
        let corrected = holm(&p_values);
        for (values, name) in [(&p_values, "p_paired_t"), (&corrected, "p_holm")] {
            for (value, expected) in values.iter().zip(reference[name].as_array().unwrap()) {
                assert_close(*value, expected);
            }
        }
        let is_ahead = |i: usize, j: usize| {
            let pair = pairs.iter().position(|pair| *pair == (i, j));
            pair.is_some_and(|pair| corrected[pair] <= LEVEL && tests[pair].difference > 0.0)
        };
        let ranges: Vec<Vec<usize>> =
            rank_ranges(5, is_ahead).into_iter().map(|range| vec![range.low, range.high]).collect();
        assert_eq!(serde_json::json!(ranges), reference["rank_interval_holm"]);
        let ranks = reference["point_rank"].as_array().unwrap();
        for (rank, range) in ranks.iter().zip(&ranges) {
            assert!((range[0]..=range[1]).contains(&super::super::vectors::size(rank)));
        }
        assert_eq!(tie_groups(5, is_ahead), [1, 1, 2, 3, 4]);
    }

    #[test]
    fn models_that_nothing_tells_apart_share_every_rank_and_one_group() {
        assert_eq!(rank_ranges(3, |_, _| false), [RankRange { low: 1, high: 3 }; 3]);
        assert_eq!(tie_groups(3, |_, _| false), [1, 1, 1]);
        assert_eq!((rank_ranges(0, |_, _| false), tie_groups(0, |_, _| false)), (vec![], vec![]));
    }

    #[test]
    fn a_group_ends_where_its_first_row_is_ahead_and_not_where_neighbours_differ() {
        // Each row is ahead of those two places below: neighbours are always tied.
        assert_eq!(tie_groups(5, |i, j| i + 2 <= j), [1, 1, 2, 2, 3]);
        // Rows 1 and 2 differ, and both are tied with row 0.
        assert_eq!(tie_groups(3, |i, j| (i, j) == (1, 2)), [1, 1, 1]);
        // A row tied with the first of an earlier group stays behind the rule.
        assert_eq!(tie_groups(3, |i, j| (i, j) == (0, 1)), [1, 2, 2]);
    }

    proptest! {
        #[test]
        fn the_place_by_mean_is_within_the_range(
            means in prop::collection::vec(0.0..1.0, 1..20),
            gap in 0.0..0.5,
        ) {
            let mut means: Vec<f64> = means;
            means.sort_by(|a, b| b.total_cmp(a));
            for (range, rank) in rank_ranges(means.len(), |i, j| means[i] > means[j] + gap).iter().zip(1..) {
                prop_assert!(range.low <= rank && rank <= range.high);
            }
        }
    }
}
