//! Estimates: the most that a call is expected to cost, from what is known before it is made.
//!
//! Input: one token per byte of the messages, which no tokenizer exceeds for text, and a few for each message's role.
//! Output: the model's `max_tokens`, or [`ASSUMED_MAX_TOKENS`] where it names none. Both at the model's prices; input
//! at the price of writing a cache where that is higher.

use crate::domain::models::Prices;
use crate::domain::parameters::Parameters;
use crate::domain::samples::Message;

/// Output tokens of a model that names no `max_tokens`. One that writes more is known by its first call.
const ASSUMED_MAX_TOKENS: u32 = 4_096;
/// Tokens that a message takes beside its text.
const TOKENS_PER_MESSAGE: usize = 16;

/// Returns the most US dollars that a call with these tokens costs; none when a needed price is unknown. What is free
/// costs nothing, however much of it there is.
pub(super) fn usd(prices: Prices, input_tokens: u32, output_tokens: u32) -> Option<f64> {
    let input = prices.input?;
    let input = prices.cache_write.map_or(input, |written| input.max(written));
    Some((f64::from(input_tokens) * input + f64::from(output_tokens) * prices.output?) / 1e6)
}

/// Returns the most input tokens of these messages.
pub(super) fn input_tokens(messages: &[Message]) -> u32 {
    let tokens = messages.iter().fold(0_usize, |sum, message| {
        sum.saturating_add(message.content.len()).saturating_add(TOKENS_PER_MESSAGE)
    });
    bounded(tokens)
}

/// Returns the most tokens of a text.
pub(super) fn text_tokens(text: &str) -> u32 {
    bounded(text.len())
}

/// Returns the most output tokens of a call with these parameters.
pub(super) fn output_tokens(parameters: &Parameters) -> u32 {
    parameters.max_tokens.unwrap_or(ASSUMED_MAX_TOKENS)
}

fn bounded(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples::Role;

    #[test]
    fn estimate_is_bytes_and_max_tokens_at_their_prices() {
        let message = |content: &str| Message { role: Role::User, content: content.to_owned() };
        let input = input_tokens(&[message("four"), message("eight ch")]);
        assert_eq!(input, 12 + 2 * 16);
        let named = Parameters { max_tokens: Some(100), ..Parameters::default() };
        assert_eq!([output_tokens(&named), output_tokens(&Parameters::default())], [100, 4_096]);
        let prices = Prices { input: Some(1e6), output: Some(2e6), ..Prices::default() };
        assert_eq!(usd(prices, 44, 100), Some(244.0));
        let written = Prices { cache_write: Some(2e6), ..prices };
        assert_eq!(usd(written, 44, 100), Some(288.0));
        assert_eq!(usd(Prices { output: None, ..prices }, 1, 1), None);
        assert_eq!(usd(Prices { input: None, ..prices }, 1, 1), None);
    }

    #[test]
    fn text_outside_ascii_counts_every_byte() {
        assert_eq!(text_tokens("é漢"), 5);
    }
}
