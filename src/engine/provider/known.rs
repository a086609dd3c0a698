//! The providers that work by name alone: where they live and which variable usually holds their key.
//!
//! No prices and no model names: those change weekly and belong to the board's owner.

use super::remote::Dialect;

/// A provider with a public base URL.
#[derive(Debug)]
pub(super) struct Known {
    /// As written before the slash of an inference URI.
    pub(super) name: &'static str,
    /// What `/chat/completions` or `/messages` is appended to.
    pub(super) base_url: &'static str,
    /// Where its own tools look for the key, the first one set wins.
    pub(super) key_variables: &'static [&'static str],
    /// Which requests it takes.
    pub(super) dialect: Dialect,
}

const fn compatible(
    name: &'static str,
    base_url: &'static str,
    key_variables: &'static [&'static str],
) -> Known {
    Known { name, base_url, key_variables, dialect: Dialect::OpenAi }
}

/// All of them, alphabetical.
pub(super) const ALL: [Known; 13] = [
    Known {
        name: "anthropic",
        base_url: "https://api.anthropic.com/v1",
        key_variables: &["ANTHROPIC_API_KEY"],
        dialect: Dialect::Anthropic,
    },
    compatible("cerebras", "https://api.cerebras.ai/v1", &["CEREBRAS_API_KEY"]),
    compatible("deepseek", "https://api.deepseek.com/v1", &["DEEPSEEK_API_KEY"]),
    compatible("fireworks", "https://api.fireworks.ai/inference/v1", &["FIREWORKS_API_KEY"]),
    compatible(
        "google",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    ),
    compatible("groq", "https://api.groq.com/openai/v1", &["GROQ_API_KEY"]),
    compatible("mistral", "https://api.mistral.ai/v1", &["MISTRAL_API_KEY"]),
    compatible("nvidia", "https://integrate.api.nvidia.com/v1", &["NVIDIA_API_KEY"]),
    compatible("openai", "https://api.openai.com/v1", &["OPENAI_API_KEY"]),
    compatible("openrouter", "https://openrouter.ai/api/v1", &["OPENROUTER_API_KEY"]),
    compatible("perplexity", "https://api.perplexity.ai", &["PERPLEXITY_API_KEY"]),
    compatible("together", "https://api.together.xyz/v1", &["TOGETHER_API_KEY"]),
    compatible("xai", "https://api.x.ai/v1", &["XAI_API_KEY"]),
];

/// The provider of that name, written in lower case.
pub(super) fn find(name: &str) -> Option<&'static Known> {
    ALL.iter().find(|known| known.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_without_repeats_and_every_base_is_a_plain_https_url() {
        assert!(ALL.windows(2).all(|pair| pair[0].name < pair[1].name));
        for known in &ALL {
            let url = url::Url::parse(known.base_url).unwrap();
            assert_eq!((url.scheme(), url.query(), url.fragment()), ("https", None, None), "{}", known.name);
            assert!(!known.base_url.ends_with('/'), "{}", known.name);
            assert!(!known.key_variables.is_empty(), "{}", known.name);
        }
    }
}
