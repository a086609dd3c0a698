//! A model: an LLM endpoint that can be called, and the revision that decides its answers.
//!
//! It does not call anything, and it never holds the endpoint's key.

use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};

use super::cases::Tokens;
use super::id::{ModelId, ModelKey, PriceKey, RevisionKey, UserKey};
use super::inference_uri::InferenceUri;
use super::parameters::Parameters;
use super::sharing::Sharing;
use super::text;
use super::time::Millis;
use crate::error::{Error, Result};

/// Shortest and longest time for one answer, in milliseconds: a shorter one would only measure the network.
const TIMEOUT_MS: RangeInclusive<i64> = 1_000..=3_600_000;

/// A registered model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Table key.
    pub key: ModelKey,
    /// Public id.
    pub id: ModelId,
    /// Whose it is.
    pub owner: UserKey,
    /// What everybody knows the owner by, shown as `submitted_by`.
    pub submitted_by: String,
    /// What the owner says of it.
    pub card: Card,
    /// Whether a key of its own is stored.
    pub has_api_key: bool,
    /// Its present revision.
    pub revision: Revision,
    /// When it was registered.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// What decides a model's answers, named by a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Table key.
    pub key: RevisionKey,
    /// SHA-256 over inference URI and parameters (system prompt included), first 16 hex digits.
    pub hash: String,
}

/// All that a person may say of a model; what a create sets and an edit changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// 1-100 characters; may repeat.
    pub name: String,
    /// At most 1,000 characters.
    pub description: String,
    /// Where it is called.
    pub inference_uri: String,
    /// With what it is called.
    pub parameters: Parameters,
    /// Whether the operator vouches for it.
    pub is_official: bool,
    /// Whether runs include it and the board shows it.
    pub is_active: bool,
    /// Who serves it.
    pub provider: Option<String>,
    /// A page about it.
    pub url: Option<String>,
    /// The licence of its weights.
    pub license: Option<String>,
    /// Whether its weights can be had.
    pub open_weights: Option<bool>,
    /// Calls in flight at once, 1-1,000.
    pub max_concurrency: Option<u32>,
    /// Time for one answer in milliseconds, 1,000-3,600,000; models of earlier releases may have less.
    pub timeout_ms: Option<i64>,
    /// What it costs.
    pub prices: Prices,
    /// Whether others may run it on its own key, and how much of it.
    pub sharing: Sharing,
}

/// US dollars per million tokens; none is unknown, never zero.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Prices {
    /// Per million input tokens that were neither read from a cache nor written to one.
    pub input: Option<f64>,
    /// Per million output tokens, reasoning included.
    pub output: Option<f64>,
    /// Per million input tokens read from a cache; the input price when unknown.
    pub cached_input: Option<f64>,
    /// Per million input tokens written to a cache; the input price when unknown.
    pub cache_write: Option<f64>,
}

impl Card {
    /// A card with only the two required fields.
    #[must_use]
    pub fn new(name: String, inference_uri: String) -> Self {
        Self {
            name,
            description: String::new(),
            inference_uri,
            parameters: Parameters::default(),
            is_official: false,
            is_active: true,
            provider: None,
            url: None,
            license: None,
            open_weights: None,
            max_concurrency: None,
            timeout_ms: None,
            prices: Prices::default(),
            sharing: Sharing::default(),
        }
    }

    /// The card in its stored form, with the provider filled in from the URI when nobody named one.
    ///
    /// # Errors
    /// `Invalid` naming the field at fault.
    pub fn check(mut self) -> Result<Self> {
        self.name = text::name(&self.name, "name")?;
        self.description = text::clean(&self.description, "description", 1_000)?;
        let uri = InferenceUri::parse(&self.inference_uri)?;
        self.inference_uri = uri.to_string();
        self.parameters.check()?;
        self.provider = match short(self.provider, "provider")? {
            Some(provider) => Some(provider),
            None => Some(provider_of(&uri)),
        };
        self.license = short(self.license, "license")?;
        self.url = self.url.map(|url| page_url(&url)).transpose()?;
        check_range(self.max_concurrency.map(i64::from), 1..=1_000, "max_concurrency")?;
        check_range(self.timeout_ms, TIMEOUT_MS, "timeout_ms")?;
        self.prices.check()?;
        self.sharing.check(&self.prices)?;
        Ok(self)
    }

    /// Whether it is one of the built-in ones, whoever is named as its provider.
    #[must_use]
    pub fn is_baseline(&self) -> bool {
        matches!(InferenceUri::parse(&self.inference_uri), Ok(InferenceUri::Builtin(_)))
    }

    /// The hash that names the revision this card describes.
    ///
    /// # Errors
    /// `Internal` when the parameters cannot be written as JSON, which checked ones always can.
    pub fn revision_hash(&self) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(self.inference_uri.as_bytes());
        hash.update([0]);
        hash.update(self.parameters.canonical()?.as_bytes());
        Ok(short_hex(&hash.finalize()))
    }
}

impl Prices {
    fn check(&self) -> Result<()> {
        let named = [
            ("input_price", self.input),
            ("output_price", self.output),
            ("cached_input_price", self.cached_input),
            ("cache_write_price", self.cache_write),
        ];
        for (field, price) in named {
            if price.is_some_and(|price| !(0.0..=1e6).contains(&price)) {
                return Err(Error::invalid(
                    field,
                    format!("{field} is US dollars per million tokens, 0 to 1000000"),
                ));
            }
        }
        Ok(())
    }

    /// The same for a baseline: it is ours, and what its owner sets no price for is free.
    #[must_use]
    pub fn of_a_baseline(self) -> Self {
        Self { input: self.input.or(Some(0.0)), output: self.output.or(Some(0.0)), ..self }
    }

    /// What those tokens cost in US dollars; none when a needed price or count is unknown. What is free costs
    /// nothing, however much of it there is.
    /// The counts are disjoint: `output` takes in what was spent on reasoning.
    #[must_use]
    pub fn cost(&self, input: Option<i64>, cached_input: Option<i64>, output: Option<i64>) -> Option<f64> {
        self.cost_of(&Tokens { input, cached_input, output, ..Tokens::default() })
    }

    /// The same for all counts of a call. What was written to a cache costs what input costs where its own price is
    /// unknown.
    #[must_use]
    pub fn cost_of(&self, tokens: &Tokens) -> Option<f64> {
        let part = |tokens: Option<i64>, price: Option<f64>| {
            let is_nothing = tokens == Some(0) || price.is_some_and(|price| price <= 0.0);
            if is_nothing { Some(0.0) } else { Some(count(tokens?) * price? / 1e6) }
        };
        let cached = part(tokens.cached_input.or(Some(0)), self.cached_input.or(self.input))?;
        let written = part(tokens.cache_write.or(Some(0)), self.cache_write.or(self.input))?;
        Some(part(tokens.input, self.input)? + cached + written + part(tokens.all_output(), self.output)?)
    }
}

/// The prices a case is charged with, as they stood when its run was triggered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PriceSnapshot {
    /// Table key.
    pub key: PriceKey,
    /// The prices.
    pub prices: Prices,
}

/// The first 16 hex digits of a digest: enough to tell revisions apart, short enough to read.
#[must_use]
pub fn short_hex(digest: &[u8]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Token counts are far below 2^53, so that nothing is lost.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "there is no lossless i64 to f64; see above"
)]
fn count(tokens: i64) -> f64 {
    tokens as f64
}

/// Who serves it, as far as the URI tells: the provider's name, else the host.
fn provider_of(uri: &InferenceUri) -> String {
    match uri {
        InferenceUri::Provider { provider, .. } => provider.clone(),
        InferenceUri::Builtin(_) => "builtin".to_owned(),
        InferenceUri::Compatible { url, .. } | InferenceUri::Direct { url } => {
            let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
            host.unwrap_or_else(|| "unknown".to_owned())
        }
    }
}

fn short(given: Option<String>, field: &str) -> Result<Option<String>> {
    given.map(|given| text::name(&given, field)).transpose()
}

fn check_range(given: Option<i64>, range: RangeInclusive<i64>, field: &str) -> Result<()> {
    if given.is_some_and(|given| !range.contains(&given)) {
        let (least, most) = range.into_inner();
        return Err(Error::invalid(field, format!("{field} must be a whole number from {least} to {most}")));
    }
    Ok(())
}

fn page_url(given: &str) -> Result<String> {
    let refused = || Error::invalid("url", "url must be an http or https address of at most 2000 characters");
    let url = url::Url::parse(given).map_err(|_| refused())?;
    if !matches!(url.scheme(), "http" | "https") || url.as_str().len() > 2_000 {
        return Err(refused());
    }
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_unknown_when_a_needed_price_is() {
        let prices =
            Prices { input: Some(3.0), output: Some(15.0), cached_input: Some(0.3), cache_write: None };
        let cost = prices.cost(Some(4_000), Some(8_000), Some(1_500)).unwrap();
        assert!((cost - 0.0369).abs() < 1e-12, "{cost}");
        assert_eq!(Prices::default().cost(Some(1), None, Some(1)), None);
        assert_eq!(Prices::default().cost(Some(0), None, Some(0)), Some(0.0));
        assert_eq!(prices.cost(None, None, Some(1)), None);
    }

    #[test]
    fn what_is_written_to_a_cache_has_its_price_or_that_of_input() {
        let prices =
            Prices { input: Some(3.0), output: Some(15.0), cached_input: Some(0.3), cache_write: None };
        let tokens =
            Tokens { input: Some(1_000), cache_write: Some(2_000), output: Some(0), ..Tokens::default() };
        let near = |prices: Prices, cost: f64| (prices.cost_of(&tokens).unwrap() - cost).abs() < 1e-12;
        assert!(near(prices, 0.009), "as all input did before");
        assert!(near(Prices { cache_write: Some(3.75), ..prices }, 0.0105));
        assert_eq!(Prices { output: Some(1.0), ..Prices::default() }.cost_of(&tokens), None);
    }

    #[test]
    fn what_is_free_costs_nothing_and_a_baseline_is_free_where_it_has_no_price() {
        let answers_cost = Prices { output: Some(4.0), ..Prices::default() };
        assert_eq!(answers_cost.cost(Some(500_000), None, Some(250_000)), None);
        assert_eq!(answers_cost.of_a_baseline().cost(Some(500_000), None, Some(250_000)), Some(1.0));
        assert_eq!(answers_cost.of_a_baseline().cost(None, None, None), None);
        assert_eq!(Prices::default().of_a_baseline().cost(None, None, None), Some(0.0));
    }

    #[test]
    fn a_baseline_is_known_by_its_uri_and_not_by_its_provider() {
        let card = |uri: &str, provider: &str| {
            let provider = Some(provider.to_owned());
            Card { provider, ..Card::new("A".to_owned(), uri.to_owned()) }.is_baseline()
        };
        assert!(card("builtin:echo", "Acme"));
        assert!(!card("openai-compatible:https://api.example.com/v1#a", "builtin"));
    }

    #[test]
    fn an_edit_of_the_parameters_makes_another_revision_and_a_new_name_does_not() {
        let card = Card::new("A".to_owned(), "builtin:echo".to_owned());
        let renamed = Card { name: "B".to_owned(), ..card.clone() };
        let parameters = Parameters { temperature: Some(0.5), ..Parameters::default() };
        let retuned = Card { parameters, ..card.clone() };
        assert_eq!(card.revision_hash().unwrap(), renamed.revision_hash().unwrap());
        assert_ne!(card.revision_hash().unwrap(), retuned.revision_hash().unwrap());
    }
}
