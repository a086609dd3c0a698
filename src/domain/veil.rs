//! What keeps the addresses of models' endpoints from those who may not see them: it goes over what was read and is
//! about to be shown, and what is stored stays whole.
//!
//! It hides hosts that models are called at, wherever a stored text names one. Hosts of known providers, which
//! everybody knows, are hidden only where a model is called there by a URL.

use aho_corasick::{AhoCorasick, Input, MatchKind};
use url::Url;

use super::cases::{Case, CaseTexts};
use super::inference_uri::InferenceUri;
use super::leaderboard::Board;
use super::models::Model;
use super::runs::Run;
use super::waits::ModelWait;
use crate::error::{Error, Result};

/// What stands in the place of an address in a text.
const ENDPOINT: &str = "the endpoint";
/// What stands in the place of a path in a text.
const PATH: &str = "/…";
/// What stands in the place of a URL that takes the calls itself. It reads back as no inference URI.
const DIRECT: &str = "https://…";
/// Shortest path that is hidden where it stands alone, in bytes: one such as `/v1` gives nothing away.
const MIN_PATH: usize = 5;

/// What one viewer may see of endpoints: all, or everything but where they are.
#[derive(Debug, Default)]
pub struct Veil(Option<Addresses>);

#[derive(Debug)]
struct Addresses {
    hosts: Vec<String>,
    finder: AhoCorasick,
}

impl Veil {
    /// Lies over the endpoints that those inference URIs and base URLs lead to.
    ///
    /// # Errors
    /// `Internal` when they are too many to be looked for at once.
    pub fn over<'a>(addresses: impl Iterator<Item = &'a str>) -> Result<Self> {
        let (mut hosts, mut paths) = (Vec::new(), Vec::new());
        for url in addresses.filter_map(url_of) {
            let Some(host) = url.host_str() else { continue };
            hosts.push(host.to_ascii_lowercase());
            let path = url.path().trim_end_matches('/');
            if path.len() >= MIN_PATH {
                paths.push(path.to_owned());
            }
        }
        hosts.sort_unstable();
        hosts.dedup();
        let finder = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(hosts.iter().chain(&paths))
            .map_err(Error::internal)?;
        Ok(Self(Some(Addresses { hosts, finder })))
    }

    /// The same text without the addresses in it.
    #[must_use]
    pub fn text(&self, text: String) -> String {
        match &self.0 {
            Some(addresses) => addresses.hidden(&text).unwrap_or(text),
            None => text,
        }
    }

    /// An inference URI: one with an address becomes `openai-compatible:#model` or `https://…`, any other stays.
    #[must_use]
    pub fn uri(&self, uri: String) -> String {
        match (&self.0, InferenceUri::parse(&uri)) {
            (None, _) | (_, Ok(InferenceUri::Provider { .. } | InferenceUri::Builtin(_))) => uri,
            (Some(_), Ok(InferenceUri::Compatible { model, .. })) => format!("openai-compatible:#{model}"),
            (Some(_), Ok(InferenceUri::Direct { .. }) | Err(_)) => DIRECT.to_owned(),
        }
    }

    /// Who serves a model; none where that was read off the host.
    #[must_use]
    pub fn provider(&self, provider: Option<String>) -> Option<String> {
        let is_host = |name: &String| {
            self.0
                .as_ref()
                .is_some_and(|addresses| addresses.hosts.binary_search(&name.to_ascii_lowercase()).is_ok())
        };
        provider.filter(|name| !is_host(name))
    }

    /// A model as the viewer may see it.
    #[must_use]
    pub fn model(&self, mut model: Model) -> Model {
        model.card.inference_uri = self.uri(model.card.inference_uri);
        model.card.provider = self.provider(model.card.provider);
        model
    }

    /// A run as the viewer may see it.
    #[must_use]
    pub fn run(&self, mut run: Run) -> Run {
        run.error = run.error.map(|error| self.text(error));
        run.waits = run.waits.into_iter().map(|wait| self.wait(wait)).collect();
        run
    }

    /// A wait as the viewer may see it.
    #[must_use]
    pub fn wait(&self, wait: ModelWait) -> ModelWait {
        ModelWait { host: self.text(wait.host), reason: self.text(wait.reason), ..wait }
    }

    /// A case as the viewer may see it. What the model said is its answer and stays.
    #[must_use]
    pub fn case(&self, mut case: Case) -> Case {
        case.error_message = case.error_message.map(|message| self.text(message));
        case.score_details = self.text(case.score_details);
        case
    }

    /// The long texts of a case as the viewer may see them.
    #[must_use]
    pub fn case_texts(&self, mut texts: CaseTexts) -> CaseTexts {
        texts.transcript = texts.transcript.map(|text| self.text(text));
        texts.raw = texts.raw.map(|text| self.text(text));
        texts
    }

    /// The board as the viewer may see it.
    #[must_use]
    pub fn board(&self, mut board: Board) -> Board {
        for row in &mut board.rows {
            row.model.provider = self.provider(row.model.provider.take());
        }
        board
    }
}

/// The host of an endpoint that has an address of its own, as a model's provider is named after it.
#[must_use]
pub fn host_of(inference_uri: &str) -> Option<String> {
    url_of(inference_uri)?.host_str().map(str::to_owned)
}

fn url_of(address: &str) -> Option<Url> {
    match InferenceUri::parse(address).ok()? {
        InferenceUri::Compatible { url, .. } | InferenceUri::Direct { url } => Url::parse(&url).ok(),
        InferenceUri::Provider { .. } | InferenceUri::Builtin(_) => None,
    }
}

impl Addresses {
    /// The text without addresses; none when there are none in it.
    fn hidden(&self, text: &str) -> Option<String> {
        let (mut shown, mut copied, mut at) = (String::new(), 0, 0);
        while let Some(found) = self.finder.find(Input::new(text).range(at..)) {
            let (head, rest) = (text.get(copied..found.start())?, text.get(found.end()..)?);
            let is_path = found.pattern().as_usize() >= self.hosts.len();
            if !is_path && !is_whole(head, rest) {
                // All patterns are ASCII, so that the next byte begins a character.
                at = found.start() + 1;
                continue;
            }
            shown.push_str(if is_path { head } else { without_beginning(head) });
            shown.push_str(if is_path { PATH } else { ENDPOINT });
            copied = found.end() + if is_path { path_len(rest) } else { rest_len(rest) };
            at = copied;
        }
        if copied == 0 {
            return None;
        }
        shown.push_str(text.get(copied..)?);
        Some(shown)
    }
}

/// Whether a host stands between `head` and `rest` as a name of its own, or as the end of a longer one.
fn is_whole(head: &str, rest: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let mut after = rest.chars();
    let goes_on = match after.next() {
        Some('.') => after.next().is_some_and(char::is_alphanumeric),
        next => next.is_some_and(is_letter),
    };
    !goes_on && !head.ends_with(is_letter)
}

/// What stands before an address, without the beginning of that address: its scheme, and the names below the host.
fn without_beginning(head: &str) -> &str {
    let head = match head.strip_suffix('.') {
        Some(names) => names.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')),
        None => head,
    };
    let Some(scheme) = head.strip_suffix("://") else { return head };
    scheme.trim_end_matches(|c: char| c.is_ascii_alphabetic())
}

/// The length of what follows a host and belongs to the address: port and path, in bytes.
fn rest_len(rest: &str) -> usize {
    let digits =
        rest.strip_prefix(':').map_or(0, |port| port.chars().take_while(char::is_ascii_digit).count());
    let port = if digits == 0 { 0 } else { digits + 1 };
    let path = rest.get(port..).filter(|path| path.starts_with(['/', '?']));
    port + path.map_or(0, path_len)
}

/// The length of a path with its query, in bytes: up to what can be in none, and without the dot of a sentence.
fn path_len(rest: &str) -> usize {
    let is_end = |c: char| c.is_whitespace() || "\"'<>()[]{}\\`|".contains(c);
    let path = rest.split(is_end).next().unwrap_or_default();
    path.trim_end_matches(['.', ',', ':', ';']).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URIS: [&str; 6] = [
        "openai-compatible:https://vault.example.org:8443/canary/v1#m",
        "http://127.0.0.1:9001/v1",
        "http://[::1]:9001/",
        "http://ollama:11434/v1",
        "anthropic/claude",
        "builtin:echo",
    ];

    fn veil() -> Veil {
        Veil::over(URIS.into_iter()).unwrap()
    }

    #[test]
    fn addresses_in_a_text_are_hidden_whole() {
        for (text, expected) in [
            ("127.0.0.1:9001 answered 503: busy", "the endpoint answered 503: busy"),
            ("127.0.0.1: the endpoint failed", "the endpoint: the endpoint failed"),
            ("VAULT.example.org:8443 answered", "the endpoint answered"),
            (
                "gave up, waiting for [::1]:9001: [::1]:9001 answered 500",
                "gave up, waiting for the endpoint: the endpoint answered 500",
            ),
            ("see https://vault.example.org:8443/canary/v1/x?k=1.", "see the endpoint."),
            ("POST /canary/v1/chat/completions: no such route", "POST /…: no such route"),
            ("{\"at\":\"http:\\/\\/ollama:11434\\/v1\"}", "{\"at\":\"http:\\/\\/the endpoint\\/v1\"}"),
            ("no address of ollama.", "no address of the endpoint."),
            ("eu.vault.example.org failed", "the endpoint failed"),
            ("é 127.0.0.1:9001 é", "é the endpoint é"),
        ] {
            assert_eq!(veil().text(text.to_owned()), expected);
        }
    }

    #[test]
    fn what_is_no_address_of_a_model_stays() {
        for text in
            ["api.openai.com answered 429", "127.0.0.12 failed", "llama-ollama2", "1127.0.0.1", "/v1", ""]
        {
            assert_eq!(veil().text(text.to_owned()), text);
        }
        assert_eq!(Veil::default().text(URIS[1].to_owned()), URIS[1]);
        assert_eq!(Veil::over(std::iter::empty()).unwrap().text("a".to_owned()), "a");
    }

    #[test]
    fn uris_lose_their_address_and_do_not_read_back() {
        let shown = URIS.map(|uri| veil().uri(uri.to_owned()));
        let direct = "https://…";
        assert_eq!(
            shown,
            ["openai-compatible:#m", direct, direct, direct, "anthropic/claude", "builtin:echo"]
        );
        for hidden in &shown[..2] {
            assert!(InferenceUri::parse(hidden).is_err(), "{hidden}");
        }
        assert_eq!(Veil::default().uri(URIS[0].to_owned()), URIS[0]);
    }

    #[test]
    fn a_provider_that_is_a_host_is_hidden() {
        let provider = |name: &str| veil().provider(Some(name.to_owned()));
        assert_eq!(provider("vault.example.org"), None);
        assert_eq!(provider("Example"), Some("Example".to_owned()));
        assert_eq!(host_of(URIS[0]).as_deref(), Some("vault.example.org"));
        assert_eq!(host_of("openai/gpt"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_broken_and_no_host_is_left(text in "(127\\.0\\.0\\.1|/canary/v1|é|:9001|[ -~]){0,12}") {
            let shown = veil().text(text.clone());
            proptest::prop_assert!(!format!(" {shown} ").contains(" 127.0.0.1 "), "{} {}", text, shown);
        }
    }
}
