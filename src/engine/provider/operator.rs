//! What the operator configured about providers: base URLs and keys, by provider name.
//!
//! It reads pairs that it is given, never the environment itself, and resolves nothing.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::known;

const PREFIX: &str = "EVALBOARD_PROVIDER_";
const BASE_URL: &str = "_BASE_URL";
const API_KEY: &str = "_API_KEY";

/// Base URLs and keys by provider.
#[derive(Debug, Clone, Default)]
pub struct Operator {
    /// Keyed by the name's spelling inside a variable, such as `MY_VLLM`.
    providers: BTreeMap<String, Configured>,
    unknown: Vec<String>,
}

/// What is configured for one provider.
#[derive(Debug, Clone, Default)]
pub(super) struct Configured {
    /// Where it is; a known provider's own address when not given.
    pub(super) base_url: Option<String>,
    /// The operator's key.
    pub(super) key: Option<SecretString>,
}

impl Operator {
    /// Pick the settings out of `pairs` of variable and value, such as the whole environment:
    /// `EVALBOARD_PROVIDER_<NAME>_BASE_URL`, `EVALBOARD_PROVIDER_<NAME>_API_KEY`, and for a key that is not
    /// given like that the variable its provider's own tools read, such as `OPENAI_API_KEY`. Empty values
    /// count as not given.
    pub fn from_pairs(pairs: impl Iterator<Item = (String, String)>) -> Self {
        let mut operator = Self::default();
        let mut usual = BTreeMap::new();
        for (name, value) in pairs.filter(|(_, value)| !value.trim().is_empty()) {
            if let Some(setting) = name.strip_prefix(PREFIX) {
                operator.set(setting, &value);
            } else if known::ALL.iter().any(|known| known.key_variables.contains(&name.as_str())) {
                usual.insert(name, value);
            }
        }
        operator.fill_in(&usual);
        operator
    }

    fn set(&mut self, setting: &str, value: &str) {
        if let Some(name) = setting.strip_suffix(BASE_URL).filter(|name| !name.is_empty()) {
            self.providers.entry(name.to_owned()).or_default().base_url = Some(value.trim().to_owned());
        } else if let Some(name) = setting.strip_suffix(API_KEY).filter(|name| !name.is_empty()) {
            self.providers.entry(name.to_owned()).or_default().key = Some(secret(value));
        } else {
            self.unknown.push(format!("{PREFIX}{setting}"));
        }
    }

    fn fill_in(&mut self, usual: &BTreeMap<String, String>) {
        for known in &known::ALL {
            if let Some(value) = known.key_variables.iter().find_map(|variable| usual.get(*variable)) {
                let configured = self.providers.entry(spelling(known.name)).or_default();
                configured.key.get_or_insert_with(|| secret(value));
            }
        }
    }

    /// What is configured for `provider`, named as in an inference URI.
    pub(super) fn find(&self, provider: &str) -> Option<&Configured> {
        self.providers.get(&spelling(provider))
    }

    /// Every configured base URL with the variable that holds it.
    pub(super) fn base_urls(&self) -> impl Iterator<Item = (String, &str)> {
        self.providers.iter().filter_map(|(name, configured)| {
            configured.base_url.as_deref().map(|url| (format!("{PREFIX}{name}{BASE_URL}"), url))
        })
    }

    /// Variables that look like settings of ours and are none: misspelt, most likely.
    pub(super) fn unknown(&self) -> &[String] {
        &self.unknown
    }
}

/// The variable that sets the base URL of `provider`.
pub(super) fn base_url_variable(provider: &str) -> String {
    format!("{PREFIX}{}{BASE_URL}", spelling(provider))
}

/// The variable that sets the key of `provider`.
pub(super) fn key_variable(provider: &str) -> String {
    format!("{PREFIX}{}{API_KEY}", spelling(provider))
}

/// Variables have no `-` and no `.`.
fn spelling(provider: &str) -> String {
    provider.to_ascii_uppercase().replace(['-', '.'], "_")
}

/// A line break that came along when the key was pasted is no part of it.
fn secret(value: &str) -> SecretString {
    SecretString::from(value.trim())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn operator(pairs: &[(&str, &str)]) -> Operator {
        Operator::from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn key(operator: &Operator, provider: &str) -> Option<String> {
        operator.find(provider)?.key.as_ref().map(|key| key.expose_secret().to_owned())
    }

    #[test]
    fn our_own_variable_wins_over_the_usual_one_whatever_the_order() {
        for pairs in [
            [("OPENAI_API_KEY", "usual"), ("EVALBOARD_PROVIDER_OPENAI_API_KEY", "ours")],
            [("EVALBOARD_PROVIDER_OPENAI_API_KEY", "ours"), ("OPENAI_API_KEY", "usual")],
        ] {
            assert_eq!(key(&operator(&pairs), "openai").as_deref(), Some("ours"));
        }
        let google = operator(&[("GOOGLE_API_KEY", "second"), ("GEMINI_API_KEY", "first\n")]);
        assert_eq!(key(&google, "google").as_deref(), Some("first"));
    }

    #[test]
    fn names_may_hold_underscores_and_match_dashes_and_dots() {
        let operator = operator(&[
            ("EVALBOARD_PROVIDER_MY_VLLM_BASE_URL", " http://10.0.0.1:8000/v1 "),
            ("EVALBOARD_PROVIDER_MY_VLLM_API_KEY", "k"),
        ]);
        assert_eq!(operator.find("my-vllm").unwrap().base_url.as_deref(), Some("http://10.0.0.1:8000/v1"));
        assert_eq!(key(&operator, "my.vllm").as_deref(), Some("k"));
        let urls: Vec<_> = operator.base_urls().map(|(name, _)| name).collect();
        assert_eq!(urls, ["EVALBOARD_PROVIDER_MY_VLLM_BASE_URL"]);
    }

    #[test]
    fn empty_values_and_other_variables_are_ignored_and_misspelt_ones_kept_for_the_message() {
        let operator = operator(&[
            ("OPENAI_API_KEY", "  "),
            ("PATH", "/bin"),
            ("EVALBOARD_PROVIDER_X_BASEURL", "https://x"),
            ("EVALBOARD_PROVIDER__API_KEY", "k"),
        ]);
        assert!(operator.providers.is_empty());
        assert_eq!(operator.unknown(), ["EVALBOARD_PROVIDER_X_BASEURL", "EVALBOARD_PROVIDER__API_KEY"]);
    }

    #[test]
    fn a_key_never_shows_in_debug_output() {
        let operator = operator(&[("OPENAI_API_KEY", "sk-canary")]);
        assert!(!format!("{operator:?}").contains("canary"));
    }
}
