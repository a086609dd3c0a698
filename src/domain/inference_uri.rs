//! Where a model is called, as its owner writes it: one line of text that names a provider and model, a
//! URL, or an in-process baseline.
//!
//! It reads and writes the text. Whether the address may be called is the outbound guard's business, and
//! which key pays for it the engine's.

use std::fmt;

use url::{Url, form_urlencoded};

use crate::error::{Error, Result};

/// Longest accepted text, in characters.
pub const MAX_CHARS: usize = 2_000;

const FIELD: &str = "inference_uri";
const COMPATIBLE: &str = "openai-compatible:";
const BUILTIN: &str = "builtin:";
const FORMS: &str = "inference_uri must be 'provider/model', \
    'openai-compatible:https://host/v1#model-name', a URL such as 'https://host/path', \
    or 'builtin:' with one of random, constant, echo, calculator, keyword, flaky";

/// Every baseline with the parameters it takes.
const BASELINES: [(&str, &[&str]); 6] = [
    ("random", &["seed"]),
    ("constant", &["answer"]),
    ("echo", &[]),
    ("calculator", &[]),
    ("keyword", &[]),
    ("flaky", &["error_rate", "seed"]),
];

/// Where a model is called. `Display` writes the normal form, which parses to an equal value.
#[derive(Debug, Clone, PartialEq)]
pub enum InferenceUri {
    /// `provider/model`: a provider that is known or that the operator configured.
    Provider {
        /// Lower case: ASCII letters, digits, `-`, `_` and `.`.
        provider: String,
        /// Everything after the first slash, as the provider spells it.
        model: String,
    },
    /// `openai-compatible:URL#model`: chat completions below a base URL.
    Compatible {
        /// The base, such as `https://host/v1`, re-serialised; no fragment, no user name.
        url: String,
        /// Everything after the first `#`, taken literally.
        model: String,
    },
    /// A URL that takes the chat-completions body itself.
    Direct {
        /// Re-serialised; no fragment, no user name.
        url: String,
    },
    /// An in-process baseline.
    Builtin(Builtin),
}

/// An in-process baseline: deterministic, free unless its owner prices it, and given only the messages, like any
/// model.
#[derive(Debug, Clone, PartialEq)]
pub enum Builtin {
    /// Picks one of the offered choices, or a word of the prompt.
    Random {
        /// Another seed gives another series of picks; 0 when not given.
        seed: u64,
    },
    /// Always says the same.
    Constant {
        /// What it says; no control characters.
        answer: String,
    },
    /// Repeats the last user message.
    Echo,
    /// Evaluates the arithmetic it finds.
    Calculator,
    /// Answers with what shares most words with the question.
    Keyword,
    /// Works like calculator or keyword and fails now and then.
    Flaky {
        /// Share of prompts that fail, 0 to 1; 0.1 when not given.
        error_rate: f64,
        /// Another seed fails on other prompts; 0 when not given.
        seed: u64,
    },
}

impl InferenceUri {
    /// Read one of the accepted forms; `Invalid` on `inference_uri` says which those are.
    pub fn parse(text: &str) -> Result<Self> {
        if text.chars().any(char::is_control) {
            return Err(invalid("inference_uri must not contain control characters"));
        }
        check_length(text)?;
        let uri = Self::read(text)?;
        // Escaping can make the normal form longer than what was typed.
        check_length(&uri.to_string())?;
        Ok(uri)
    }

    fn read(text: &str) -> Result<Self> {
        if let Some(rest) = strip_prefix(text, BUILTIN) {
            return Builtin::parse(rest).map(Self::Builtin);
        }
        if let Some(rest) = strip_prefix(text, COMPATIBLE) {
            return compatible(rest);
        }
        if is_web(text) {
            return Ok(Self::Direct { url: web_url(text)? });
        }
        provider(text)
    }
}

fn check_length(text: &str) -> Result<()> {
    if text.chars().count() > MAX_CHARS {
        return Err(invalid(format!("inference_uri must be at most {MAX_CHARS} characters")));
    }
    Ok(())
}

impl fmt::Display for InferenceUri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider { provider, model } => write!(out, "{provider}/{model}"),
            Self::Compatible { url, model } => write!(out, "{COMPATIBLE}{url}#{model}"),
            Self::Direct { url } => out.write_str(url),
            Self::Builtin(builtin) => write!(out, "{BUILTIN}{builtin}"),
        }
    }
}

impl Builtin {
    fn parse(text: &str) -> Result<Self> {
        let (name, query) = text.split_once('?').unwrap_or((text, ""));
        let given = Given::parse(name, query)?;
        match name {
            "random" => Ok(Self::Random { seed: given.seed()? }),
            "constant" => given.answer().map(|answer| Self::Constant { answer }),
            "echo" => Ok(Self::Echo),
            "calculator" => Ok(Self::Calculator),
            "keyword" => Ok(Self::Keyword),
            "flaky" => Ok(Self::Flaky { error_rate: given.error_rate()?, seed: given.seed()? }),
            _ => Err(unknown_baseline(name)),
        }
    }
}

impl fmt::Display for Builtin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random { seed } => write!(out, "random?seed={seed}"),
            Self::Constant { answer } => {
                let answer: String = form_urlencoded::byte_serialize(answer.as_bytes()).collect();
                write!(out, "constant?answer={answer}")
            }
            Self::Echo => out.write_str("echo"),
            Self::Calculator => out.write_str("calculator"),
            Self::Keyword => out.write_str("keyword"),
            Self::Flaky { error_rate, seed } => write!(out, "flaky?error_rate={error_rate}&seed={seed}"),
        }
    }
}

/// The parameters given to a baseline, each known to it and given once.
struct Given {
    baseline: String,
    pairs: Vec<(String, String)>,
}

impl Given {
    fn parse(baseline: &str, query: &str) -> Result<Self> {
        let (_, accepted) =
            BASELINES.iter().find(|(name, _)| *name == baseline).ok_or_else(|| unknown_baseline(baseline))?;
        let mut given = Self { baseline: baseline.to_owned(), pairs: Vec::new() };
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            if !accepted.contains(&name.as_str()) {
                return Err(unknown_parameter(baseline, &name, accepted));
            }
            if given.get(&name).is_some() {
                return Err(invalid(format!("builtin:{baseline} got {name} twice")));
            }
            given.pairs.push((name, value));
        }
        Ok(given)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn seed(&self) -> Result<u64> {
        let Some(text) = self.get("seed") else {
            return Ok(0);
        };
        text.parse().map_err(|_| invalid("seed must be a whole number from 0 to 18446744073709551615"))
    }

    fn error_rate(&self) -> Result<f64> {
        let Some(text) = self.get("error_rate") else {
            return Ok(0.1);
        };
        let rate: Option<f64> = text.parse().ok();
        rate.filter(|rate| (0.0..=1.0).contains(rate))
            .ok_or_else(|| invalid("error_rate must be a number from 0 to 1"))
    }

    fn answer(&self) -> Result<String> {
        let answer = self.get("answer").ok_or_else(|| {
            invalid(format!("builtin:{0} needs an answer: builtin:{0}?answer=B", self.baseline))
        })?;
        // Percent-decoding can bring back what the check of the whole text refused.
        if answer.chars().any(char::is_control) {
            return Err(invalid("answer must not contain control characters"));
        }
        Ok(answer.to_owned())
    }
}

fn compatible(rest: &str) -> Result<InferenceUri> {
    let missing =
        || invalid("openai-compatible: needs a model name: 'openai-compatible:https://host/v1#model-name'");
    let (url, model) = rest.split_once('#').ok_or_else(missing)?;
    let model = model.trim();
    if model.is_empty() {
        return Err(missing());
    }
    if !is_web(url) {
        return Err(invalid("openai-compatible: must be followed by an http:// or https:// URL"));
    }
    Ok(InferenceUri::Compatible { url: web_url(url)?, model: model.to_owned() })
}

fn provider(text: &str) -> Result<InferenceUri> {
    let (provider, model) = text.split_once('/').ok_or_else(|| invalid(FORMS))?;
    let named = provider.starts_with(|c: char| c.is_ascii_alphanumeric())
        && provider.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !named || model.is_empty() || model.contains(char::is_whitespace) {
        return Err(invalid(FORMS));
    }
    Ok(InferenceUri::Provider { provider: provider.to_ascii_lowercase(), model: model.to_owned() })
}

fn is_web(text: &str) -> bool {
    strip_prefix(text, "https://").or_else(|| strip_prefix(text, "http://")).is_some()
}

/// The URL as it is stored. A password in it would be published with the model, a fragment never sent.
fn web_url(text: &str) -> Result<String> {
    let url =
        Url::parse(text).map_err(|fault| invalid(format!("inference_uri is not a valid URL: {fault}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("inference_uri must not hold a user name or password: give the key as api_key"));
    }
    if url.fragment().is_some() {
        return Err(invalid(
            "a URL must not have a '#': to name a model, \
             write 'openai-compatible:https://host/v1#model-name'",
        ));
    }
    Ok(url.into())
}

/// Schemes are the same in any case.
fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn unknown_baseline(name: &str) -> Error {
    let names: Vec<&str> = BASELINES.iter().map(|(name, _)| *name).collect();
    invalid(format!("there is no builtin:{name}: the baselines are {}", names.join(", ")))
}

fn unknown_parameter(baseline: &str, name: &str, accepted: &[&str]) -> Error {
    let accepted = if accepted.is_empty() { "none".to_owned() } else { accepted.join(", ") };
    invalid(format!("builtin:{baseline} has no parameter '{name}'; it takes: {accepted}"))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::invalid(FIELD, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> InferenceUri {
        InferenceUri::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    fn refused(text: &str) -> String {
        match InferenceUri::parse(text) {
            Err(Error::Invalid { field: Some(field), message }) if field == FIELD => message,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn provider(provider: &str, model: &str) -> InferenceUri {
        InferenceUri::Provider { provider: provider.into(), model: model.into() }
    }

    #[test]
    fn every_documented_form_is_read() {
        let compatible =
            |url: &str, model: &str| InferenceUri::Compatible { url: url.into(), model: model.into() };
        let direct = |url: &str| InferenceUri::Direct { url: url.into() };
        let table = [
            ("anthropic/claude-sonnet-4-6", provider("anthropic", "claude-sonnet-4-6")),
            ("OpenRouter/meta-llama/llama-3:free", provider("openrouter", "meta-llama/llama-3:free")),
            ("openai-compatible:https://host/v1#m", compatible("https://host/v1", "m")),
            ("OpenAI-Compatible:HTTPS://Host:443/v1#org/m#2", compatible("https://host/v1", "org/m#2")),
            (
                "openai-compatible:http://127.0.0.1:11434/v1#llama 3",
                compatible("http://127.0.0.1:11434/v1", "llama 3"),
            ),
            ("https://api.example.com/v1/chat", direct("https://api.example.com/v1/chat")),
            ("https://h/x?api-version=2", direct("https://h/x?api-version=2")),
            ("http://2130706433/", direct("http://127.0.0.1/")),
            ("builtin:random", InferenceUri::Builtin(Builtin::Random { seed: 0 })),
            ("builtin:random?seed=7", InferenceUri::Builtin(Builtin::Random { seed: 7 })),
            (
                "builtin:constant?answer=a+b%26c",
                InferenceUri::Builtin(Builtin::Constant { answer: "a b&c".into() }),
            ),
            ("builtin:echo", InferenceUri::Builtin(Builtin::Echo)),
            ("builtin:calculator", InferenceUri::Builtin(Builtin::Calculator)),
            ("builtin:keyword?", InferenceUri::Builtin(Builtin::Keyword)),
            ("builtin:flaky", InferenceUri::Builtin(Builtin::Flaky { error_rate: 0.1, seed: 0 })),
            (
                "builtin:flaky?seed=3&error_rate=1",
                InferenceUri::Builtin(Builtin::Flaky { error_rate: 1.0, seed: 3 }),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_form_is_refused_with_the_forms() {
        for text in [
            "",
            "gpt-4o",
            "/model",
            "openai/",
            "ftp://host/x",
            "open ai/m",
            "openai/gpt 4",
            "-x/m",
            "javascript:/x",
        ] {
            assert!(refused(text).contains("provider/model"), "{text}");
        }
    }

    #[test]
    fn urls_with_secrets_fragments_or_no_host_are_refused() {
        assert!(refused("https://me:secret@host/v1").contains("api_key"));
        assert!(!refused("https://me:secret@host/v1").contains("secret@"));
        assert!(refused("https://host/v1#model").contains("openai-compatible:"));
        assert!(refused("https://").contains("valid URL"));
        assert!(refused("https://ho st/").contains("valid URL"));
        assert!(refused("openai-compatible:https://me@host/v1#m").contains("api_key"));
        assert!(refused("openai-compatible:https://host/v1").contains("model name"));
        assert!(refused("openai-compatible:https://host/v1# ").contains("model name"));
        assert!(refused("openai-compatible:file:///etc/passwd#m").contains("http"));
    }

    #[test]
    fn baselines_refuse_what_they_do_not_know() {
        assert!(refused("builtin:oracle").contains("random, constant, echo, calculator, keyword, flaky"));
        assert!(refused("builtin:Random").contains("no builtin:Random"));
        assert!(refused("builtin:random?sede=7").contains("it takes: seed"));
        assert!(refused("builtin:echo?seed=7").contains("it takes: none"));
        assert!(refused("builtin:random?seed=1&seed=2").contains("twice"));
        assert!(refused("builtin:random?seed=-1").contains("whole number"));
        assert!(refused("builtin:constant").contains("answer"));
        assert!(refused("builtin:constant?answer=%00").contains("control"));
        for rate in ["NaN", "inf", "1.1", "-0.1", "x", ""] {
            assert!(refused(&format!("builtin:flaky?error_rate={rate}")).contains("0 to 1"), "{rate}");
        }
    }

    #[test]
    fn length_and_control_characters_are_limited() {
        assert!(InferenceUri::parse(&format!("p/{}", "é".repeat(MAX_CHARS - 2))).is_ok());
        assert!(refused(&format!("p/{}", "m".repeat(MAX_CHARS - 1))).contains("2000"));
        assert!(refused(&format!("https://h/{}", "é".repeat(1_000))).contains("2000"));
        assert!(refused("openai/gpt\u{0}").contains("control"));
        assert!(refused("openai/gpt\n").contains("control"));
    }

    #[test]
    fn the_normal_form_reads_back_as_itself() {
        for text in [
            "OpenAI/gpt-4o",
            "openai-compatible:HTTP://Host:80/v1#a#b",
            "https://host/a b?c=d",
            "builtin:constant?answer=50% + caf%C3%A9 %26 =",
            "builtin:flaky?error_rate=0.25&seed=9",
            "builtin:random",
        ] {
            let uri = parsed(text);
            assert_eq!(parsed(&uri.to_string()), uri, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_what_parses_round_trips(
            text in "(builtin:|openai-compatible:https://|https://|)?\\PC{0,40}",
        ) {
            if let Ok(uri) = InferenceUri::parse(&text) {
                proptest::prop_assert_eq!(InferenceUri::parse(&uri.to_string()).unwrap(), uri);
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_read_reads_the_same_in_its_normal_form(
            text in r"(builtin:|openai-compatible:|https://|http://|[a-z]{0,9}/)?[ -~é\u{202e}]{0,40}",
        ) {
            if let Ok(uri) = InferenceUri::parse(&text) {
                prop_assert_eq!(InferenceUri::parse(&uri.to_string()).unwrap(), uri);
            }
        }

        #[test]
        fn no_text_is_too_odd_to_be_refused_in_words(text in any::<String>()) {
            if let Err(fault) = InferenceUri::parse(&text) {
                prop_assert!(fault.to_string().contains("inference_uri"), "{}", fault);
            }
        }
    }
}
