//! Redaction: texts for the log without the keys and tokens that may stand in them.
//!
//! It goes by the form of a word alone, and rather takes too much: what it leaves out is not needed to find a fault.

use super::hex;

/// What stands for what is left out.
pub const REDACTED: &str = "[redacted]";

/// Characters from which on a word of letters and digits may be a token.
const MIN_TOKEN: usize = 32;
/// Beginnings of keys and tokens: of ours, of Vercel Blob's client, of signed tokens, of providers.
const PREFIXES: [&str; 8] = ["blah_", "vercel_blob_", "eyj", "sk-", "sk_", "gsk_", "xai-", "aiza"];

/// Returns the text without its words that have the form of a key or token, percent-encoded ones included.
#[must_use]
pub fn redacted(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|each| is_in_word(each) != is_in_word(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(length);
        clean.push_str(if is_in_word(first) && is_secret(run) { REDACTED } else { run });
        rest = after;
    }
    clean
}

const fn is_in_word(each: char) -> bool {
    each.is_ascii_alphanumeric() || matches!(each, '_' | '-' | '%')
}

fn is_secret(word: &str) -> bool {
    if word.len() >= MIN_TOKEN {
        return true;
    }
    let decoded = percent_decoded(word).to_ascii_lowercase();
    let begins_word = |at: usize| {
        decoded.get(..at).is_none_or(|before| !before.ends_with(|each: char| each.is_ascii_alphanumeric()))
    };
    let is_there = |prefix: &&str| {
        let mut found = decoded.match_indices(*prefix);
        found.any(|(at, _)| begins_word(at) && decoded.len() > at + prefix.len())
    };
    PREFIXES.iter().any(is_there)
}

/// The word with its escapes undone again and again, as proxies may have encoded it more than once.
fn percent_decoded(word: &str) -> String {
    let mut word = word.to_owned();
    loop {
        let decoded = decoded_once(&word);
        if decoded.len() >= word.len() {
            return word;
        }
        word = decoded;
    }
}

fn decoded_once(word: &str) -> String {
    let mut parts = word.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(hex::decode).and_then(|bytes| bytes.first().copied());
        match (byte, part.get(2..)) {
            (Some(byte), Some(after)) => {
                decoded.push(char::from(byte));
                decoded.push_str(after);
            }
            _ => {
                decoded.push('%');
                decoded.push_str(part);
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_tokens_are_left_out_in_every_spelling() {
        for secret in [
            "blah_4f",
            "%62lah_0123456789",
            "%2562lah_0123456789",
            "bl%61h_0123456789",
            "BLAH_0123456789",
            "vercel_blob_client_store_abc",
            "eyJ0eXAiOiJhdCtqd3QifQ",
            "sk-ant-0123",
            "0123456789012345678901234567890123456789",
        ] {
            let text = format!("no row for '{secret}' in /api/v1/keys/{secret}?x={secret}");
            assert_eq!(redacted(&text), "no row for '[redacted]' in /api/v1/keys/[redacted]?x=[redacted]");
        }
    }

    #[test]
    fn other_words_stay() {
        for text in
            ["", "100 % of /api/v1/models/aB3dE5gH7jK9mN failed: é is no key", "task-12 desk_3", "%", "%zz"]
        {
            assert_eq!(redacted(text), text);
        }
    }
}
