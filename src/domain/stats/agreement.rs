//! How far two graders agree beyond what chance would give.

use std::collections::BTreeSet;

use super::count;

/// Agreement of two graders on the same answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Answers that both graded; at least 1.
    pub answers: usize,
    /// Share graded alike, 0..1.
    pub observed: f64,
    /// Share that would be graded alike if each graded at random as often in each way as it did, 0..1.
    pub expected: f64,
    /// Cohen's kappa (1960), `(observed - expected) / (1 - expected)`: 1 is full agreement, 0 no more than
    /// chance, below 0 less. `None` where both gave all answers one and the same grade: then agreement was
    /// never put to the test.
    pub kappa: Option<f64>,
}

/// Compares the grades (of any kind) that two graders gave, answer by answer. `None` without answers and for
/// unequal lists.
pub fn cohen_kappa<Grade: Ord>(first: &[Grade], second: &[Grade]) -> Option<Agreement> {
    if first.is_empty() || first.len() != second.len() {
        return None;
    }
    let answers = first.len();
    let share = |grades: &[Grade], grade: &Grade| {
        count(grades.iter().filter(|own| *own == grade).count()) / count(answers)
    };
    let alike = first.iter().zip(second).filter(|(first, second)| first == second).count();
    let grades: BTreeSet<&Grade> = first.iter().chain(second).collect();
    let observed = count(alike) / count(answers);
    let expected = grades.iter().map(|grade| share(first, grade) * share(second, grade)).sum();
    let kappa = (grades.len() > 1).then(|| (observed - expected) / (1.0 - expected));
    Some(Agreement { answers, observed, expected, kappa })
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{assert_close, section};
    use super::*;

    #[test]
    fn kappa_is_the_reference_one() {
        let reference = section("cohen_kappa");
        let grades = |name: &str| -> Vec<u64> {
            reference[name].as_array().unwrap().iter().map(|grade| grade.as_u64().unwrap()).collect()
        };
        let agreement = cohen_kappa(&grades("j1"), &grades("j2")).unwrap();
        assert_close(agreement.observed, &reference["po"]);
        assert_close(agreement.expected, &reference["pe"]);
        assert_close(agreement.kappa.unwrap(), &reference["kappa"]);
        assert_eq!(agreement.answers, 10);
    }

    #[test]
    fn grades_may_be_of_more_than_two_kinds() {
        let agreement = cohen_kappa(&["A", "B", "C", "C"], &["A", "B", "C", "A"]).unwrap();
        // 1/4 x 2/4 + 1/4 x 1/4 + 2/4 x 1/4 = 5/16, and (3/4 - 5/16) / (11/16) = 7/11.
        assert!((agreement.kappa.unwrap() - 7.0 / 11.0).abs() < 1e-12);
    }

    #[test]
    fn full_and_contrary_grading_are_the_ends() {
        let kappa = |second: &[u8]| cohen_kappa(&[0, 1, 0, 1], second).unwrap().kappa.unwrap();
        assert_eq!((kappa(&[0, 1, 0, 1]), kappa(&[1, 0, 1, 0])), (1.0, -1.0));
    }

    #[test]
    fn one_grade_for_all_puts_agreement_to_no_test() {
        let agreement = cohen_kappa(&[1, 1], &[1, 1]).unwrap();
        assert_eq!((agreement.observed, agreement.kappa), (1.0, None));
        assert_eq!((cohen_kappa::<u8>(&[], &[]), cohen_kappa(&[1], &[1, 0])), (None, None));
    }
}
