//! What a model is, beside its scores.

use crate::domain::models::{Card, Model, Prices};
use crate::domain::parameters::Parameters;
use crate::domain::sharing::Sharing;
use crate::error::Result;
use crate::http::pages::fact::Fact;
use crate::http::pages::format;

/// The facts of a model: where it is called and how, what it costs, who may run it, and whose it is.
///
/// # Errors
/// `Internal` when its parameters cannot be written as JSON, which checked ones always can.
pub(super) fn facts(model: &Model) -> Result<Vec<Fact>> {
    let card = &model.card;
    let facts = [
        Fact::maybe("Provider", card.provider.clone()),
        Some(Fact::new("Endpoint", card.inference_uri.as_str())),
        Fact::maybe("Parameters", parameters(&card.parameters)?),
        Fact::maybe("Prices", prices(&card.prices)),
        Fact::maybe("Sharing", model.has_api_key.then(|| sharing(&card.sharing))),
        Fact::maybe("Licence", card.license.clone()),
        Fact::maybe("Weights", card.open_weights.map(|open| if open { "open" } else { "closed" })),
        card.url.as_ref().map(|url| Fact::link("More", url.as_str(), url.as_str())),
        Fact::maybe("State", idle(card)),
        Some(Fact::new("Revision", model.revision.hash.as_str())),
        Some(Fact::new("Registered", format!("{} by {}", format::day(model.created_at), model.submitted_by))),
    ];
    Ok(facts.into_iter().flatten().collect())
}

/// Who may run it on its API key, and how much.
fn sharing(sharing: &Sharing) -> String {
    if !sharing.shared {
        return "not shared: only its owner and admins run it on its API key".to_owned();
    }
    let calls = format::counted(i64::from(sharing.daily_calls), "call");
    let usd = sharing.daily_usd.map(|usd| format!(" and {}", format::money(usd))).unwrap_or_default();
    format!("shared: everybody else runs it on its API key up to {calls}{usd} a day each")
}

const fn idle(card: &Card) -> Option<&'static str> {
    if card.is_active { None } else { Some("not active: runs leave it out, and the board does not show it") }
}

/// What is sent beyond the messages, as JSON; none when nothing is. The system prompt is shown apart.
fn parameters(parameters: &Parameters) -> Result<Option<String>> {
    let others = Parameters { system_prompt: None, ..parameters.clone() };
    let text = others.canonical()?;
    Ok(Some(text).filter(|_| others != Parameters::default()))
}

/// `$3.00 in, $15.00 out per million tokens`; none when nothing is known.
fn prices(prices: &Prices) -> Option<String> {
    let named = [
        (prices.input, "in"),
        (prices.cached_input, "cached"),
        (prices.cache_write, "cache writes"),
        (prices.output, "out"),
    ];
    let known: Vec<String> = named
        .into_iter()
        .filter_map(|(price, word)| Some(format!("{} {word}", format::money(price?))))
        .collect();
    (!known.is_empty()).then(|| format!("{} per million tokens", known.join(", ")))
}
