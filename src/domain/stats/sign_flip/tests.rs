//! The test against references and against counting.

use std::iter::repeat_n;

use proptest::prelude::*;

use super::super::count;
use super::super::vectors::{assert_close, examples, number, numbers, section, size};
use super::*;

fn counted(value: &serde_json::Value) -> u32 {
    size(value).try_into().unwrap()
}

/// The definition, flip by flip.
fn brute_force(differences: &[f64]) -> f64 {
    let sum_of = |flips: usize| -> f64 {
        let signed = differences.iter().enumerate();
        signed.map(|(at, d)| if flips >> at & 1 == 1 { -d } else { *d }).sum()
    };
    let all = 1_usize << differences.len();
    let reached = (0..all).filter(|flips| sum_of(*flips).abs() >= sum_of(0).abs() - 1e-9).count();
    count(reached) / count(all)
}

#[test]
fn mcnemar_is_the_reference_one() {
    for example in examples("mcnemar") {
        assert_close(mcnemar(counted(&example["b"]), counted(&example["c"])), &example["exact_p"]);
    }
    let paired = section("paired");
    let p = mcnemar(counted(&paired["b_A_only"]), counted(&paired["c_B_only"]));
    assert_close(p, &paired["mcnemar_exact_p"]);
}

#[test]
fn right_and_wrong_answers_are_tested_by_mcnemar() {
    for example in examples("mcnemar") {
        let (b, c) = (size(&example["b"]), size(&example["c"]));
        let differences: Vec<f64> =
            repeat_n(1.0, b).chain(repeat_n(-1.0, c)).chain(repeat_n(0.0, 7)).collect();
        let outcome = sign_flip(&differences);
        assert_close(outcome.p, &example["exact_p"]);
        assert_eq!(outcome.test, PairedTest::McnemarExact);
    }
}

#[test]
fn the_exact_flip_is_the_reference_one() {
    let reference = section("sign_flip_exact");
    let differences = numbers(&reference["diffs"]);
    let outcome = sign_flip(&differences);
    assert_close(outcome.p, &reference["p"]);
    assert_close(outcome.p, &(number(&reference["count"]) / number(&reference["total"])).into());
    // The difference of 0 is no chance to flip.
    assert_eq!((outcome.test, outcome.least_p), (PairedTest::SignFlipExact, 2_f64.powi(-6)));
}

#[test]
fn equal_sizes_are_exact_however_many() {
    let differences: Vec<f64> = repeat_n(0.1 + 0.2, 40).chain(repeat_n(-0.3, 20)).collect();
    let outcome = sign_flip(&differences);
    assert_eq!((outcome.test, outcome.p), (PairedTest::McnemarExact, mcnemar(40, 20)));
}

#[test]
fn nothing_different_is_no_evidence() {
    for differences in [&[][..], &[0.0], &[0.0; 50]] {
        let expected = SignFlip { p: 1.0, test: PairedTest::McnemarExact, least_p: 1.0 };
        assert_eq!(sign_flip(differences), expected);
    }
}

#[test]
fn the_least_p_is_what_five_of_five_would_give() {
    let (split, one_way) = (sign_flip(&[1.0, -1.0, 1.0, 1.0, 1.0]), sign_flip(&[1.0; 5]));
    assert_eq!(split.least_p, 0.0625);
    assert!((one_way.p - split.least_p).abs() < 1e-12);
    assert!(split.p > one_way.p);
}

#[test]
fn tests_have_their_names() {
    let tests = [PairedTest::McnemarExact, PairedTest::SignFlipExact, PairedTest::SignFlipMixed];
    assert_eq!(tests.map(PairedTest::as_str), ["mcnemar_exact", "sign_flip_exact", "sign_flip_mixed"]);
}

/// Whole sizes and how many differences of each fell which way.
type Sizes = [(u32, u32, u32)];

fn differences_of(sizes: &Sizes, unit: f64) -> Vec<f64> {
    let signed = |(size, plus, minus): &(u32, u32, u32)| {
        let size = f64::from(*size) * unit;
        repeat_n(size, usize::try_from(*plus).unwrap())
            .chain(repeat_n(-size, usize::try_from(*minus).unwrap()))
    };
    sizes.iter().flat_map(signed).collect()
}

/// The exact p of differences of whole sizes: the distribution of the flipped sum, one difference at a time.
fn by_counting(sizes: &Sizes) -> f64 {
    let each = sizes.iter().flat_map(|(size, plus, minus)| {
        repeat_n(usize::try_from(*size).unwrap(), usize::try_from(plus + minus).unwrap())
    });
    let total: usize = each.clone().sum();
    let ahead: usize = sizes.iter().map(|(size, plus, _)| usize::try_from(size * plus).unwrap()).sum();
    // Chances of each sum of the differences above 0.
    let mut chances = vec![0.0; total + 1];
    chances[0] = 1.0;
    for size in each {
        for sum in (0..=total).rev() {
            let with = if sum >= size { chances[sum - size] } else { 0.0 };
            chances[sum] = f64::midpoint(chances[sum], with);
        }
    }
    let reach = ahead.max(total - ahead);
    if 2 * ahead == total { 1.0 } else { (2.0 * chances[reach..].iter().sum::<f64>()).min(1.0) }
}

fn assert_within(factor: f64, sizes: &Sizes, test: PairedTest) {
    let (own, exact) = (sign_flip(&differences_of(sizes, 0.001)), by_counting(sizes));
    assert_eq!(own.test, test, "{sizes:?}");
    let ratio = own.p / exact;
    assert!((1.0 / factor..=factor).contains(&ratio), "{:e} is not {exact:e}: {ratio} of {sizes:?}", own.p);
}

#[test]
fn two_evals_of_different_size_are_counted_exactly() {
    // 6 to 0 of 30 items, and 100 to 20 of 1,319: an item weighs 1,319 and 30 parts.
    let sizes = [(1319, 6, 0), (30, 100, 20)];
    assert_within(1.000_001, &sizes, PairedTest::SignFlipExact);
    let p = sign_flip(&differences_of(&sizes, 1.0)).p;
    assert!((8e-16..9e-16).contains(&p), "{p:e}");
}

#[test]
fn few_sizes_are_exact_and_ties_of_sums_are_kept() {
    for sizes in [
        &[(25, 1, 0), (1, 30, 20)][..],
        &[(2, 16, 0), (1, 1, 0)],
        &[(10, 20, 9), (6, 11, 4), (3, 30, 22)],
        &[(5, 3, 1), (3, 2, 2), (2, 4, 1), (1, 7, 3)],
    ] {
        assert_within(1.000_001, sizes, PairedTest::SignFlipExact);
    }
}

#[test]
fn many_sizes_are_within_a_factor_of_the_exact_value() {
    let evals = [7, 8, 9, 10, 11, 13, 17, 19, 23, 29];
    let ladder: Vec<u32> = (1..=40).collect();
    let harmonic: Vec<u32> = (1..=40).map(|k| 840 / k).collect();
    // A few that decide, above many.
    let steep: Vec<u32> = (0..30).map(|k| if k < 5 { 800 - 13 * k } else { 20 + k }).collect();
    let mut checked = 0;
    for (sizes, units) in [
        (&evals[..], 12),
        (&evals, 40),
        (&ladder, 1),
        (&ladder, 3),
        (&harmonic, 1),
        (&harmonic, 4),
        (&steep, 1),
        (&steep, 6),
    ] {
        for tenths in 5..=10 {
            let lots: Vec<(u32, u32, u32)> = sizes
                .iter()
                .enumerate()
                .map(|(at, size)| {
                    let plus = if units > 1 {
                        units * tenths / 10
                    } else {
                        u32::from(u32::try_from(at * 7 % 10).unwrap() < tenths)
                    };
                    (*size, plus, units - plus)
                })
                .collect();
            let exact = by_counting(&lots);
            if (1e-10..0.9).contains(&exact) {
                assert_within(1.4, &lots, PairedTest::SignFlipMixed);
                checked += 1;
            }
        }
    }
    assert!(checked > 15, "{checked}");
}

#[test]
fn any_sizes_are_within_a_factor_of_the_exact_value() {
    // Almost equal, even, few far above the others, and falling off.
    let kinds: [fn(u32) -> u32; 4] = [
        |k| 100 + k * 37 % 5,
        |k| 1 + k * 61 % 97,
        |k| if k < 6 { 300 - k } else { 5 + k % 7 },
        |k| 1 + 1_000 / (1 + k),
    ];
    let mut checked = 0;
    for (kind, size) in kinds.iter().enumerate() {
        for units in [27, 30, 45, 60, 100, 200, 300] {
            // Which ones fall against the others is spread over the sizes.
            for against in (0..=units / 2).step_by(usize::try_from(units / 15).unwrap().max(1)) {
                let falls = |k: u32| k * 13 % units < against;
                let lots: Vec<(u32, u32, u32)> =
                    (0..units).map(|k| (size(k), u32::from(!falls(k)), u32::from(falls(k)))).collect();
                let exact = by_counting(&lots);
                if !(1e-10..0.9).contains(&exact) {
                    continue;
                }
                let ratio = sign_flip(&differences_of(&lots, 0.001)).p / exact;
                assert!(
                    (1.0 / 1.4..1.4).contains(&ratio),
                    "{kind}, {units}, {against}: {ratio} of {exact:e}"
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 150, "{checked}");
}

#[test]
fn four_items_that_decide_keep_the_level() {
    // Four one-item evals beside one of 100 items: the four weigh 100 times as much as an item.
    let p = |ahead: u32, plus: u32| {
        sign_flip(&differences_of(&[(100, ahead, 4 - ahead), (1, plus, 30 - plus)], 1.0))
    };
    let outcomes = (0..=4).flat_map(|ahead| (0..=30).map(move |plus| (ahead, plus)));
    let chance = |n: u32, k: u32| {
        (statrs::function::factorial::ln_binomial(n.into(), k.into()) - f64::from(n) * 2_f64.ln()).exp()
    };
    let size: f64 = outcomes
        .filter(|(ahead, plus)| p(*ahead, *plus).p <= 0.05)
        .map(|(ahead, plus)| chance(4, ahead) * chance(30, plus))
        .sum();
    assert!(size <= 0.05, "{size}");
    let alone = sign_flip(&[0.4, 0.3, 0.2, 0.1]);
    assert_eq!((alone.p, alone.least_p), (0.125, 0.125));
    assert_eq!(p(4, 30).least_p, 2_f64.powi(-33));
}

#[test]
fn many_differences_of_one_direction_have_the_least_p() {
    let sizes: Vec<f64> = (1..=60).map(|size| 1.0 + 0.9 / f64::from(size)).collect();
    let outcome = sign_flip(&sizes);
    assert_eq!(outcome.test, PairedTest::SignFlipMixed);
    assert!((outcome.p / outcome.least_p - 1.0).abs() < 1e-6, "{outcome:?}");
}

proptest! {
    #[test]
    fn few_differences_are_flipped_as_defined(
        eighths in prop::collection::vec(-8_i32..=8, 0..11),
        unit in 0.001..10.0,
    ) {
        let differences: Vec<f64> = eighths.iter().map(|eighth| f64::from(*eighth) / 8.0).collect();
        let scaled: Vec<f64> = differences.iter().map(|difference| difference * unit).collect();
        let expected = brute_force(&differences);
        prop_assert!((sign_flip(&differences).p - expected).abs() < 1e-9);
        prop_assert!((sign_flip(&scaled).p - expected).abs() < 1e-9);
    }

    #[test]
    fn changing_sides_changes_nothing(differences in prop::collection::vec(-1.0..1.0, 0..40)) {
        let turned: Vec<f64> = differences.iter().map(|difference: &f64| -difference).collect();
        prop_assert!((sign_flip(&differences).p - sign_flip(&turned).p).abs() < 1e-12);
    }
}
