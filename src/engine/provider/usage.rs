//! Tokens of one call, as counts that do not overlap, whichever way the provider counts them.
//!
//! No prices and no estimates: what was not reported stays unknown. Only baselines, which report nothing, have
//! their words counted.

use serde_json::Value;

use super::{json, scrub::Scrub};

const MOST_TOKENS: i64 = 1_000_000_000;
const MAX_RAW_BYTES: usize = 4 * 1024;

/// Where OpenAI-style servers report what was written to a cache.
const WRITTEN: [&str; 3] = [
    "/prompt_tokens_details/cache_write_tokens",
    "/prompt_tokens_details/cache_creation_tokens",
    "/cache_write_tokens",
];

/// Tokens of one call. The counts are disjoint: their sum is what was billed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input that was neither read from a cache nor written to one.
    pub input_tokens: Option<i64>,
    /// Input read from a cache.
    pub cached_input_tokens: Option<i64>,
    /// Input written to a cache.
    pub cache_write_tokens: Option<i64>,
    /// Output without the reasoning that is reported apart.
    pub output_tokens: Option<i64>,
    /// Output spent on reasoning.
    pub reasoning_tokens: Option<i64>,
    /// What the provider reported, as JSON, scrubbed; absent when there was nothing or over 4 KB of it.
    pub raw: Option<String>,
    /// The provider reported a count that cannot be (negative, over a billion, no whole number, a part
    /// larger than its whole, 0 for what is not nothing); all counts are unknown then.
    pub flagged: bool,
}

impl Usage {
    /// What was counted here, and not reported.
    pub(super) fn counted(input: usize, output: usize) -> Self {
        let count = |counted: usize| i64::try_from(counted).ok();
        Self { input_tokens: count(input), output_tokens: count(output), ..Self::default() }
    }

    /// Flags zeros that cannot be: a text has at least one token of output, and no output is without input.
    pub(super) fn checked(self, has_text: bool) -> Self {
        let sum = |counts: [Option<i64>; 3]| counts.into_iter().flatten().sum::<i64>();
        let input = sum([self.input_tokens, self.cached_input_tokens, self.cache_write_tokens]);
        let output = sum([self.output_tokens, self.reasoning_tokens, None]);
        let is_silent = self.output_tokens.is_some() && output == 0 && has_text;
        let is_unasked = self.input_tokens.is_some() && input == 0 && (has_text || output > 0);
        if is_silent || is_unasked { Self { raw: self.raw, flagged: true, ..Self::default() } } else { self }
    }

    /// The counts of a call that a filter stopped: like other refused calls it counts as free.
    pub(super) fn nothing() -> Self {
        Self::counted(0, 0)
    }

    /// Read an OpenAI-style `usage`: `prompt_tokens` includes what was read from a cache and written to one.
    ///
    /// `completion_tokens` includes reasoning at OpenAI and excludes it at xAI and Google; which it is shows
    /// in `total_tokens`. What the total holds beyond prompt and completion is hidden reasoning.
    pub(super) fn openai(usage: &Value, scrub: Scrub<'_>) -> Self {
        let mut tally = Tally { usage, flagged: false };
        let prompt = tally.count("/prompt_tokens");
        let cached = tally.count("/prompt_tokens_details/cached_tokens");
        let cached = cached.or_else(|| tally.count("/prompt_cache_hit_tokens"));
        let written = WRITTEN.iter().find_map(|place| tally.count(place));
        let completion = tally.count("/completion_tokens");
        let reasoning = tally.count("/completion_tokens_details/reasoning_tokens");
        let beyond = beyond(tally.count("/total_tokens"), prompt, completion);
        let (output, reasoning) = match (reasoning, beyond) {
            (Some(apart), Some(beyond)) if beyond >= apart => (completion, reasoning),
            (Some(_), _) => (tally.rest(completion, reasoning), reasoning),
            (None, beyond) => (completion, beyond),
        };
        let fresh = tally.rest(prompt, cached);
        let input = tally.rest(fresh, written);
        tally.finish([input, cached, written, output, reasoning], scrub)
    }

    /// Read an Anthropic `usage`: `input_tokens` excludes the cache, `output_tokens` includes thinking,
    /// which is not reported apart.
    pub(super) fn anthropic(usage: &Value, scrub: Scrub<'_>) -> Self {
        let mut tally = Tally { usage, flagged: false };
        let input = tally.count("/input_tokens");
        let cached = tally.count("/cache_read_input_tokens");
        let written = tally.count("/cache_creation_input_tokens");
        let output = tally.count("/output_tokens");
        tally.finish([input, cached, written, output, None], scrub)
    }
}

/// What the total holds beyond its known parts, when that is anything.
fn beyond(total: Option<i64>, prompt: Option<i64>, completion: Option<i64>) -> Option<i64> {
    let known = prompt?.saturating_add(completion?);
    Some(total?.saturating_sub(known)).filter(|beyond| *beyond > 0)
}

/// Reads counts and remembers whether one of them could not be.
struct Tally<'a> {
    usage: &'a Value,
    flagged: bool,
}

impl Tally<'_> {
    fn count(&mut self, path: &str) -> Option<i64> {
        let value = json::at(self.usage, path).filter(|value| !value.is_null())?;
        // Some servers write a whole number with a fraction of zero.
        let written = value.as_i64().or_else(|| value.to_string().strip_suffix(".0")?.parse().ok());
        self.plausible(written.unwrap_or(-1))
    }

    fn rest(&mut self, whole: Option<i64>, part: Option<i64>) -> Option<i64> {
        self.plausible(whole?.saturating_sub(part.unwrap_or_default()))
    }

    fn plausible(&mut self, count: i64) -> Option<i64> {
        let plausible = (0..=MOST_TOKENS).contains(&count);
        self.flagged |= !plausible;
        plausible.then_some(count)
    }

    fn finish(self, counts: [Option<i64>; 5], scrub: Scrub<'_>) -> Usage {
        let raw =
            Some(self.usage).filter(|usage| !usage.is_null()).map(|usage| scrub.text(&usage.to_string()));
        let [input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens] =
            if self.flagged { [None; 5] } else { counts };
        Usage {
            input_tokens,
            cached_input_tokens,
            cache_write_tokens,
            output_tokens,
            reasoning_tokens,
            raw: raw.filter(|raw| raw.len() <= MAX_RAW_BYTES),
            flagged: self.flagged,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Counts = [Option<i64>; 4];

    fn counts(usage: &Usage) -> Counts {
        [usage.input_tokens, usage.cached_input_tokens, usage.output_tokens, usage.reasoning_tokens]
    }

    fn openai(usage: Value) -> Usage {
        Usage::openai(&usage, Scrub::new(None))
    }

    fn anthropic(usage: Value) -> Usage {
        Usage::anthropic(&usage, Scrub::new(None))
    }

    #[test]
    fn openai_counts_are_made_disjoint() {
        let table: [(Value, Counts); 11] = [
            (
                json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}),
                [Some(10), None, Some(5), None],
            ),
            (
                json!({"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
                    "prompt_tokens_details": {"cached_tokens": 1920},
                    "completion_tokens_details": {"reasoning_tokens": 256}}),
                [Some(86), Some(1920), Some(44), Some(256)],
            ),
            // Without a total the provider is taken to count as OpenAI does.
            (
                json!({"prompt_tokens": 9, "completion_tokens": 8,
                    "completion_tokens_details": {"reasoning_tokens": 3}}),
                [Some(9), None, Some(5), Some(3)],
            ),
            // xAI: reasoning stands beside the completion.
            (
                json!({"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
                    "prompt_tokens_details": {"cached_tokens": 6},
                    "completion_tokens_details": {"reasoning_tokens": 94}}),
                [Some(26), Some(6), Some(9), Some(94)],
            ),
            // Google: thinking shows in the total only.
            (
                json!({"prompt_tokens": 20, "completion_tokens": 424, "total_tokens": 1016}),
                [Some(20), None, Some(424), Some(572)],
            ),
            // DeepSeek: another name for cached input.
            (
                json!({"prompt_tokens": 20, "completion_tokens": 1, "prompt_cache_hit_tokens": 12}),
                [Some(8), Some(12), Some(1), None],
            ),
            (json!({"prompt_tokens": null, "completion_tokens": 4}), [None, None, Some(4), None]),
            // OpenRouter: what it charged stands beside the counts, and is none of them.
            (
                json!({"prompt_tokens": 194, "completion_tokens": 2, "total_tokens": 196, "cost": 0.95,
                    "cost_details": {"upstream_inference_cost": null}, "is_byok": false,
                    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                    "completion_tokens_details": {"reasoning_tokens": 0}}),
                [Some(194), Some(0), Some(2), Some(0)],
            ),
            // All of it cached, all of it reasoning: the rest is known to be nothing.
            (
                json!({"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12,
                    "prompt_tokens_details": {"cached_tokens": 7},
                    "completion_tokens_details": {"reasoning_tokens": 5}}),
                [Some(0), Some(7), Some(0), Some(5)],
            ),
            // A part without its whole is known; the whole is not.
            (
                json!({"prompt_tokens_details": {"cached_tokens": 7},
                    "completion_tokens_details": {"reasoning_tokens": 5}}),
                [None, Some(7), None, Some(5)],
            ),
            (
                json!({"prompt_tokens": 7, "prompt_tokens_details": null, "completion_tokens_details": "none"}),
                [Some(7), None, None, None],
            ),
        ];
        for (usage, expected) in table {
            let read = openai(usage.clone());
            assert_eq!((counts(&read), read.flagged), (expected, false), "{usage}");
            assert_eq!(read.raw, Some(usage.to_string()));
        }
    }

    #[test]
    fn anthropic_counts_are_made_disjoint() {
        let table: [(Value, Counts); 6] = [
            (json!({"input_tokens": 12, "output_tokens": 50}), [Some(12), None, Some(50), None]),
            (
                json!({"input_tokens": 12, "output_tokens": 50,
                    "cache_creation_input_tokens": 100, "cache_read_input_tokens": 2000}),
                [Some(12), Some(2000), Some(50), None],
            ),
            // How long what was written is kept is told beside its sum, and adds nothing to it.
            (
                json!({"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 30,
                    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
                    "cache_read_input_tokens": 0, "service_tier": "standard"}),
                [Some(1), Some(0), Some(2), None],
            ),
            (
                json!({"input_tokens": 12, "output_tokens": 50,
                    "cache_creation_input_tokens": null, "cache_read_input_tokens": null}),
                [Some(12), None, Some(50), None],
            ),
            (
                json!({"cache_creation_input_tokens": 9, "cache_read_input_tokens": 8}),
                [None, Some(8), None, None],
            ),
            (json!({"prompt_tokens": 10, "completion_tokens": 5}), [None; 4]),
        ];
        for (usage, expected) in table {
            let read = anthropic(usage.clone());
            assert_eq!((counts(&read), read.flagged), (expected, false), "{usage}");
            assert_eq!(read.raw, Some(usage.to_string()));
        }
    }

    #[test]
    fn counts_that_cannot_be_are_unknown_and_flagged() {
        for usage in [
            json!({"prompt_tokens": -1, "completion_tokens": 5}),
            json!({"prompt_tokens": 10, "completion_tokens": 2_000_000_000}),
            json!({"prompt_tokens": 10, "completion_tokens": 1e300}),
            json!({"prompt_tokens": 10, "completion_tokens": 18_446_744_073_709_551_615_u64}),
            json!({"prompt_tokens": "10", "completion_tokens": 5}),
            json!({"prompt_tokens": 10.5, "completion_tokens": 5}),
            json!({"prompt_tokens": 10, "completion_tokens": true}),
            json!({"prompt_tokens": [10], "completion_tokens": {"text": 5}}),
            json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": -15}),
            json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": "15"}),
            json!({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": -1}}),
            json!({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 3}}),
            json!({"prompt_tokens": 10, "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 11}}),
            json!({"prompt_tokens": 10, "completion_tokens": 5,
                "completion_tokens_details": {"reasoning_tokens": 6}}),
        ] {
            let read = openai(usage.clone());
            assert_eq!((counts(&read), read.flagged), ([None; 4], true), "{usage}");
        }
        for usage in [
            json!({"input_tokens": -1, "output_tokens": 5}),
            json!({"input_tokens": 10, "output_tokens": 5.5}),
            json!({"input_tokens": 10, "output_tokens": "5"}),
            json!({"input_tokens": 1e12, "output_tokens": 5}),
            json!({"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": -1}),
            json!({"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": "8"}),
        ] {
            let read = anthropic(usage.clone());
            assert_eq!((counts(&read), read.flagged), ([None; 4], true), "{usage}");
        }
    }

    #[test]
    fn what_was_written_to_a_cache_is_counted_apart() {
        let written = |usage: Value| {
            let read = openai(usage);
            (read.input_tokens, read.cached_input_tokens, read.cache_write_tokens)
        };
        let details = json!({"cached_tokens": 20, "cache_write_tokens": 30});
        let routed = json!({"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": details});
        assert_eq!(written(routed), (Some(50), Some(20), Some(30)));
        let details = json!({"cache_creation_tokens": 30});
        let proxied = json!({"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": details});
        assert_eq!(written(proxied), (Some(70), None, Some(30)));
        let messages =
            anthropic(json!({"input_tokens": 3, "output_tokens": 5, "cache_creation_input_tokens": 100}));
        assert_eq!((messages.input_tokens, messages.cache_write_tokens), (Some(3), Some(100)));
    }

    #[test]
    fn zeros_for_what_is_not_nothing_are_unknown() {
        let reported =
            |prompt: i64, completion: i64| json!({"prompt_tokens": prompt, "completion_tokens": completion});
        let table = [
            (reported(0, 0), true, true),
            (reported(100, 0), true, true),
            (reported(0, 50), true, true),
            (reported(0, 50), false, true),
            (reported(100, 50), true, false),
            (reported(100, 0), false, false),
            (reported(0, 0), false, false),
            (
                json!({"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 7},
                "completion_tokens_details": {"reasoning_tokens": 5}}),
                true,
                false,
            ),
            (json!({"prompt_tokens": 10.0, "completion_tokens": 5.0}), true, false),
            (json!({"completion_tokens": 5}), true, false),
        ];
        for (usage, has_text, flagged) in table {
            let read = openai(usage.clone()).checked(has_text);
            assert_eq!(read.flagged, flagged, "{usage} {has_text}");
            assert_eq!(counts(&read) == [None; 4], flagged, "{usage} {has_text}");
            assert_eq!(read.raw, Some(usage.to_string()), "it is kept as it was reported");
        }
        let zeros = json!({"input_tokens": 0, "output_tokens": 0});
        assert!(anthropic(zeros).checked(true).flagged);
        let cached = json!({"input_tokens": 0, "cache_read_input_tokens": 9, "output_tokens": 1});
        assert!(!anthropic(cached).checked(true).flagged);
        assert!(!Usage::default().checked(true).flagged, "nothing was reported");
    }

    #[test]
    fn nothing_reported_is_unknown_and_not_flagged() {
        for usage in [json!(null), json!({}), json!("no"), json!([1])] {
            for read in [openai(usage.clone()), anthropic(usage)] {
                assert_eq!((counts(&read), read.flagged), ([None; 4], false));
            }
        }
        assert_eq!(openai(json!(null)).raw, None);
        assert_eq!(openai(json!({"x": "y".repeat(5_000)})).raw, None);
    }
}
