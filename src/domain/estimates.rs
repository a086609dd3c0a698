//! Estimates: what a run would take, before it is run. What is unknown stays unknown, and is never a zero.

use super::id::{EvalId, ModelId};
use super::models::Prices;
use super::sharing::{LeftOut, Payer};

/// Characters of a token, about: for questions that were never asked.
const CHARACTERS_PER_TOKEN: f64 = 4.0;

/// Mean tokens of a case.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Of the question.
    pub input: Option<f64>,
    /// Of the answer.
    pub output: Option<f64>,
}

/// Mean characters of a sample's parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lengths {
    /// The input; none in an empty set.
    pub input: Option<f64>,
    /// The choices.
    pub choices: Option<f64>,
}

impl Usage {
    /// For an eval that nobody has answered yet: a token is about four characters of the prompt and the sample,
    /// and an answer is as long as the model allows, where it says.
    #[must_use]
    pub fn guessed(prompt: usize, lengths: Lengths, max_tokens: Option<u32>) -> Self {
        let prompt = u32::try_from(prompt).map_or(f64::from(u32::MAX), f64::from);
        let input = lengths
            .input
            .map(|input| (prompt + input + lengths.choices.unwrap_or(0.0)) / CHARACTERS_PER_TOKEN);
        Self { input, output: max_tokens.map(f64::from) }
    }
}

/// What cases would take; none is unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Input tokens.
    pub input_tokens: Option<i64>,
    /// Output tokens.
    pub output_tokens: Option<i64>,
    /// US dollars, without grading.
    pub cost_usd: Option<f64>,
}

impl Estimate {
    /// Nothing, which costs nothing.
    pub const NOTHING: Self = Self { input_tokens: Some(0), output_tokens: Some(0), cost_usd: Some(0.0) };

    /// That many cases of that usage.
    #[must_use]
    pub fn of(cases: i64, usage: Usage, prices: Prices, is_baseline: bool) -> Self {
        let (input_tokens, output_tokens) = (tokens(usage.input, cases), tokens(usage.output, cases));
        let prices = if is_baseline { prices.of_a_baseline() } else { prices };
        let cost_usd = prices.cost(input_tokens, None, output_tokens);
        Self { input_tokens, output_tokens, cost_usd }
    }

    /// Both together; unknown where either is.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let sum = |a: Option<i64>, b: Option<i64>| Some(a?.saturating_add(b?));
        Self {
            input_tokens: sum(self.input_tokens, other.input_tokens),
            output_tokens: sum(self.output_tokens, other.output_tokens),
            cost_usd: self.cost_usd.zip(other.cost_usd).map(|(a, b)| a + b),
        }
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "an estimate: far below 2^53, and cut off where it is not"
)]
fn tokens(each: Option<f64>, cases: i64) -> Option<i64> {
    each.map(|each| (each * cases as f64).round() as i64)
}

/// What a run would do.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Model x eval cells.
    pub cells: i64,
    /// Line by line, in the order in which they would be asked.
    pub models: Vec<ModelPlan>,
    /// Who would grade, eval by eval; an eval that no model grades has none.
    pub graders: Vec<GraderPlan>,
    /// What it would leave out.
    pub skipped: Vec<LeftOut>,
}

/// The model that would grade an eval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraderPlan {
    /// The eval.
    pub eval: EvalId,
    /// Its name.
    pub eval_name: String,
    /// The grader's name, or `provider/model`.
    pub grader: String,
    /// Who pays for its calls.
    pub payer: Payer,
}

/// What a run would ask of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelPlan {
    /// The model.
    pub id: ModelId,
    /// Its name.
    pub name: String,
    /// Cases.
    pub cases: i64,
    /// What they would take.
    pub estimate: Estimate,
    /// Who pays for its calls.
    pub payer: Payer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_of_one_part_is_unknown_of_the_whole() {
        let prices = Prices { input: Some(2.0), output: Some(8.0), ..Prices::default() };
        let usage = Usage { input: Some(10.0), output: Some(5.5) };
        let known = Estimate::of(1_000_000, usage, prices, false);
        let expected =
            Estimate { input_tokens: Some(10_000_000), output_tokens: Some(5_500_000), cost_usd: Some(64.0) };
        assert_eq!(known, expected);
        let silent = Estimate::of(10, Usage { output: None, ..usage }, prices, false);
        let expected = Estimate { input_tokens: Some(100), output_tokens: None, cost_usd: None };
        assert_eq!(silent, expected);
        assert_eq!(Estimate::of(10, usage, Prices::default(), false).cost_usd, None);
        assert_eq!(Estimate::of(10, Usage::default(), Prices::default(), true).cost_usd, Some(0.0));
        assert_eq!(Estimate::of(10, Usage::default(), prices, true).cost_usd, None);
        assert_eq!(Estimate::of(1_000_000, usage, prices, true), known);
        assert_eq!(known.and(silent).output_tokens, None);
        assert_eq!(Estimate::NOTHING.and(known), known);
    }

    #[test]
    fn four_characters_are_about_a_token() {
        let lengths = Lengths { input: Some(30.0), choices: Some(2.0) };
        let guessed = Usage { input: Some(10.0), output: Some(64.0) };
        assert_eq!(Usage::guessed(8, lengths, Some(64)), guessed);
        let nothing = Usage { input: None, output: None };
        assert_eq!(Usage::guessed(8, Lengths { input: None, choices: None }, None), nothing);
    }
}
