//! The health of an eval in sentences: each says what was found, off how many models, items or cases.
//!
//! What rests on too few of them is not said; what it needs is.

use crate::domain::direction::Direction;
use crate::domain::health::{
    Checks, FEWEST_FOR_CORRELATION, FEWEST_MODELS, Health, Noise, Resolution, SATURATED_FROM, Spread, Suspect,
};
use crate::domain::stats::Agreement;
use crate::http::pages::format;

/// Samples that are named where more were found.
const NAMED: usize = 12;
/// Below which kappa graders agree too little for a score to mean much (Landis and Koch 1977).
const MODERATE: f64 = 0.4;

/// One finding.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub name: &'static str,
    /// The figure, or nothing where there is none to give.
    pub figure: String,
    /// Whether somebody should look at it.
    pub is_alarming: bool,
    /// What was found, in one sentence or two.
    pub text: String,
    /// The samples it is about.
    pub samples: Vec<String>,
    /// How many more there are.
    pub more: Option<String>,
}

/// What the eval can tell apart, as a sentence for its head.
#[must_use]
pub fn resolution(health: &Health) -> String {
    match health.resolution {
        Some(Resolution { gap, gap_among_all, .. }) if health.models > 2 => format!(
            "Smallest detectable gap: about {} between two models compared alone, about {} among its {}.",
            in_points(gap),
            in_points(gap_among_all),
            counted(health.models, "model")
        ),
        Some(Resolution { gap, .. }) => format!("Smallest detectable gap: about {}.", in_points(gap)),
        None if health.models < 2 => "The smallest detectable gap needs results of two models.".to_owned(),
        None => "Not enough disagreement between models to estimate the smallest detectable gap.".to_owned(),
    }
}

/// All that is found, in the order of the card.
#[must_use]
pub fn findings(health: &Health, direction: Direction) -> Vec<Finding> {
    let mut findings = vec![separates(health), saturation(health, direction)];
    findings.extend(health.spread.map(spread));
    match &health.checks {
        Some(checks) => findings.extend(items(checks, health.models)),
        None => findings.push(needs("Items", FEWEST_MODELS)),
    }
    findings.push(errors(health));
    findings.extend(health.agreement.as_ref().map(graders));
    findings
}

fn separates(health: &Health) -> Finding {
    let Some(Resolution { gap, gap_among_all, pairs }) = health.resolution else {
        return said("Smallest detectable gap", "", resolution(health));
    };
    let text = format!(
        "With its {}, a true gap of {} between two models compared alone is found 4 times in 5; one pair of {} on a \
         board, corrected for all pairs, needs {}. It follows from how far the \
         answers of neighbours in the ranking differ, item by item, as the median over {}; smaller gaps need \
         more items.",
        counted(health.items, "item"),
        in_points(gap),
        counted(health.models, "model"),
        in_points(gap_among_all),
        counted(pairs, "pair")
    );
    said("Smallest detectable gap", &in_points(gap), text)
}

fn saturation(health: &Health, direction: Direction) -> Finding {
    let (Some(best), Some(is_saturated)) = (health.best, health.is_saturated()) else {
        return needs("Room at the top", FEWEST_MODELS);
    };
    let scores: Vec<String> = best.iter().map(|score| format::points(direction.counted(*score), 0)).collect();
    let from = format::points(direction.counted(SATURATED_FROM), 0);
    let side = if direction.is_higher() { "above" } else { "below" };
    let verdict = match is_saturated {
        true => "little is left by which better models could stand out: the eval is saturated",
        false => "there is room left",
    };
    let text = format!(
        "The three best of {} score {}; {verdict} (saturated means all three at {from} or {side}).",
        counted(health.models, "model"),
        scores.join(", ")
    );
    let figure = if is_saturated { "saturated" } else { "not saturated" };
    Finding { is_alarming: is_saturated, ..said("Room at the top", figure, text) }
}

/// Where scores vary, as standard deviations in points.
fn spread(spread: Spread) -> Finding {
    let points = |variance: f64| format::points(variance.max(0.0).sqrt(), 1);
    let Some((Noise { within, between }, models)) = spread.parts else {
        let text = format!(
            "Item scores of one model have a standard deviation of {} points. How much of it is the noise of one answer \
             is not known: that takes epochs, or several runs of one model.",
            points(spread.of_items)
        );
        return said("Variance", "", text);
    };
    let text = format!(
        "Over {}, the answers to one item have a standard deviation of {} points (within items), and what items are \
         worth without that noise one of {} points (between items). Where the first is large, epochs narrow intervals.",
        counted(models, "model"),
        points(within),
        points(between)
    );
    said("Variance", &format!("{} within, {} between", points(within), points(between)), text)
}

fn items(checks: &Checks, models: usize) -> [Finding; 3] {
    let share = |count: usize| format!("{} of {}", number(count), number(checks.items));
    let all = &checks.solved_by_all;
    let none = &checks.solved_by_none;
    let models = counted(models, "model");
    let solved = format!("Items that all {models} solve no longer tell models apart.");
    let unsolved =
        format!("Items that none of the {models} solves are too hard so far, or their answer key is wrong.");
    [
        list("Solved by all", share(all.len()), solved, all, false),
        list("Solved by none", share(none.len()), unsolved, none, !none.is_empty()),
        suspicious(checks, &models),
    ]
}

fn suspicious(checks: &Checks, models: &str) -> Finding {
    let Some(suspects) = &checks.suspicious else {
        return needs("Suspicious keys", FEWEST_FOR_CORRELATION);
    };
    let named = |Suspect { key, correlation, .. }: &Suspect| {
        format!("{key} ({})", format!("{correlation:.2}").replace('-', "\u{2212}"))
    };
    let tested = number(checks.tested);
    let text = match suspects.is_empty() {
        true => format!(
            "On no item do the models that do better on the others do worse than chance explains, over {models}: of \
             {tested} tested, {} are below 0, as some always are.",
            number(checks.negative)
        ),
        false => format!(
            "On these items the models that do better on the others do worse, over {models}, by more than chance \
             explains: of {tested} tested, at most {:.1} is expected here by chance (false discovery rate 5 %). This \
             may indicate a wrong answer key.",
            checks.expected_by_chance().unwrap_or(0.0)
        ),
    };
    let names: Vec<String> = suspects.iter().map(named).collect();
    let figure = format!("{} of {}", number(names.len()), number(checks.items));
    list("Suspicious keys", figure, text, &names, !names.is_empty())
}

fn errors(health: &Health) -> Finding {
    let Some(rate) = health.error_rate() else {
        return said("Not measured", "", "Nothing was asked of any model yet.".to_owned());
    };
    let cases = counted(usize::try_from(health.planned).unwrap_or(usize::MAX), "case");
    let text = format!(
        "{} of {cases} over {} have no score; they count as wrong.",
        format::count(health.missing),
        counted(health.models, "model")
    );
    Finding {
        is_alarming: health.missing > 0,
        ..said("Not measured", &format!("{:.1} %", rate * 100.0), text)
    }
}

fn graders(agreement: &Agreement) -> Finding {
    let alike = format::points(agreement.observed, 0);
    let cases = counted(agreement.answers, "case");
    let Some(kappa) = agreement.kappa else {
        let text =
            format!("All votes on {cases} were the same, so their agreement was never put to the test.");
        return said("Grader agreement", "", text);
    };
    let by_chance = format::points(agreement.expected, 0);
    let text = format!(
        "Two votes on one case agree on whether it passed in {alike} % of {cases}, where chance alone would \
         give {by_chance} % (Cohen's kappa: 1 is full agreement, 0 no more than chance)."
    );
    let figure = format!("κ {kappa:.2}").replace('-', "\u{2212}");
    Finding { is_alarming: kappa < MODERATE, ..said("Grader agreement", &figure, text) }
}

fn needs(name: &'static str, models: usize) -> Finding {
    said(name, "", format!("Needs results of at least {models} models."))
}

fn said(name: &'static str, figure: &str, text: String) -> Finding {
    let figure = figure.to_owned();
    Finding { name, figure, is_alarming: false, text, samples: Vec::new(), more: None }
}

fn list(name: &'static str, figure: String, text: String, samples: &[String], is_alarming: bool) -> Finding {
    let more = samples.len().saturating_sub(NAMED);
    Finding {
        is_alarming,
        samples: samples.iter().take(NAMED).cloned().collect(),
        more: (more > 0).then(|| format!("and {} more", number(more))),
        ..said(name, &figure, text)
    }
}

/// A gap in points, with a decimal where it is small: `7 points`, `1.4 points`.
fn in_points(gap: f64) -> String {
    let decimals = if gap < 0.03 { 1 } else { 0 };
    let points = format!("{:.decimals$}", gap * 100.0);
    let noun = if points == "1" { "point" } else { "points" };
    format!("{points} {noun}")
}

fn number(count: usize) -> String {
    format::count(i64::try_from(count).unwrap_or(i64::MAX))
}

fn counted(count: usize, noun: &str) -> String {
    format::counted(i64::try_from(count).unwrap_or(i64::MAX), noun)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        Health {
            models: 6,
            items: 200,
            resolution: Some(Resolution { gap: 0.0712, gap_among_all: 0.1072, pairs: 5 }),
            best: Some([0.99, 0.97, 0.96]),
            checks: Some(Checks {
                items: 200,
                difficulty: Vec::new(),
                solved_by_all: (0..20).map(|at| format!("s{at}")).collect(),
                solved_by_none: Vec::new(),
                suspicious: Some(vec![Suspect {
                    key: "s21".into(),
                    correlation: -0.42,
                    p: 0.0001,
                    rate: 0.02,
                }]),
                tested: 180,
                negative: 40,
            }),
            spread: None,
            planned: 1_200,
            missing: 3,
            agreement: None,
        }
    }

    fn finding(health: &Health, name: &str) -> Finding {
        findings(health, Direction::Higher).into_iter().find(|finding| finding.name == name).unwrap()
    }

    #[test]
    fn the_gap_is_said_in_points() {
        assert_eq!(
            resolution(&health()),
            "Smallest detectable gap: about 7 points between two models compared alone, about 11 points among \
             its 6 models."
        );
        let small = Health {
            resolution: Some(Resolution { gap: 0.0141, gap_among_all: 0.0141, pairs: 1 }),
            models: 2,
            ..health()
        };
        assert_eq!(resolution(&small), "Smallest detectable gap: about 1.4 points.");
        let alike = Health { resolution: None, ..health() };
        assert!(resolution(&alike).contains("Not enough disagreement"));
        assert!(resolution(&Health { models: 1, ..alike }).contains("needs results of two models"));
    }

    #[test]
    fn a_long_list_names_the_first_and_counts_the_rest() {
        let all = finding(&health(), "Solved by all");
        assert_eq!((all.samples.len(), all.more.as_deref()), (12, Some("and 8 more")));
        assert_eq!(all.figure, "20 of 200");
        assert!(!finding(&health(), "Solved by none").is_alarming);
        assert_eq!(finding(&health(), "Suspicious keys").samples, ["s21 (−0.42)"]);
    }

    #[test]
    fn what_rests_on_too_few_models_is_not_said() {
        let few = Health { best: None, checks: None, ..health() };
        for name in ["Room at the top", "Items"] {
            assert_eq!(finding(&few, name).text, "Needs results of at least 3 models.");
        }
        let mut four = health();
        four.checks.as_mut().unwrap().suspicious = None;
        assert_eq!(finding(&four, "Suspicious keys").text, "Needs results of at least 5 models.");
    }

    #[test]
    fn saturation_is_said_in_the_scores_that_are_shown() {
        let of = |direction| findings(&health(), direction).into_iter().nth(1).unwrap().text;
        assert!(of(Direction::Higher).contains("score 99, 97, 96"));
        let lower = of(Direction::Lower);
        assert!(lower.contains("score 1, 3, 4") && lower.contains("at 5 or below"), "{lower}");
    }

    #[test]
    fn variance_is_split_where_something_was_asked_twice() {
        let parts = Some((Noise { within: 0.01, between: 0.04 }, 3));
        let split = Health { spread: Some(Spread { of_items: 0.05, parts }), ..health() };
        assert_eq!(finding(&split, "Variance").figure, "10.0 within, 20.0 between");
        let once = Health { spread: Some(Spread { of_items: 0.09, parts: None }), ..health() };
        assert!(finding(&once, "Variance").text.contains("30.0 points. How much of it"));
    }

    #[test]
    fn graders_that_hardly_agree_are_to_be_looked_at() {
        let of = |kappa| Agreement { answers: 40, observed: 0.7, expected: 0.5, kappa };
        let with = |kappa| finding(&Health { agreement: Some(of(kappa)), ..health() }, "Grader agreement");
        assert_eq!((with(Some(0.4)).is_alarming, with(Some(0.39)).is_alarming), (false, true));
        assert!(with(Some(0.4)).text.contains("in 70 % of 40 cases"));
        assert!(with(None).text.contains("never put to the test"));
        assert!(
            findings(&health(), Direction::Higher).iter().all(|finding| finding.name != "Grader agreement")
        );
    }
}
