//! Makes a provider's words fit to be stored and shown: without the key that was sent, without NUL.
//!
//! It finds the key as it was sent, not one that a hostile endpoint encoded: such an endpoint has the key
//! already and needs no help of ours to publish it.

use secrecy::{ExposeSecret, SecretString};

/// Shorter keys are placeholders such as `none` or `ollama`, and ordinary words.
const SHORTEST_KEY: usize = 8;
const MARK: &str = "[key]";

/// What to take out.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Scrub<'a>(Option<&'a SecretString>);

impl<'a> Scrub<'a> {
    /// Takes out `key`, when there is one.
    pub(in crate::engine) fn new(key: Option<&'a SecretString>) -> Self {
        Self(key.filter(|key| key.expose_secret().len() >= SHORTEST_KEY))
    }

    /// `text` without the key and with U+FFFD for NUL.
    pub(in crate::engine) fn text(self, text: &str) -> String {
        let mut clean = text.to_owned();
        let mut take_out = |what: &str, mark: &str| {
            if clean.contains(what) {
                clean = clean.replace(what, mark);
            }
        };
        take_out("\0", "\u{fffd}");
        if let Some(key) = self.0.map(ExposeSecret::expose_secret) {
            take_out(key, MARK);
            // Some encoders of JSON write a slash with a backslash before it.
            if key.contains('/') {
                take_out(&key.replace('/', "\\/"), MARK);
            }
        }
        clean
    }

    /// One line of at most `most` characters, cut with an ellipsis.
    pub(super) fn line(self, text: &str, most: usize) -> String {
        let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
        let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let line = self.text(&line);
        if line.chars().count() <= most {
            return line;
        }
        let mut cut: String = line.chars().take(most.saturating_sub(1)).collect();
        cut.push('…');
        cut
    }

    /// `text` scrubbed, then cut to at most `most` bytes between two characters.
    pub(super) fn head(self, text: &str, most: usize) -> String {
        let mut clean = self.text(text);
        clean.truncate(clean.floor_char_boundary(most));
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_taken_out_before_the_text_is_cut() {
        let key = SecretString::from("sk-canary/123456");
        let scrub = Scrub::new(Some(&key));
        assert_eq!(scrub.text("a sk-canary/123456 b\0"), "a [key] b\u{fffd}");
        assert_eq!(scrub.text(r#"{"k":"sk-canary\/123456"}"#), r#"{"k":"[key]"}"#);
        assert_eq!(scrub.head("xxsk-canary/123456", 10), "xx[key]");
        assert_eq!(scrub.line("bad\n\tkey:  sk-canary/123456\u{7}!", 100), "bad key: [key] !");
        assert_eq!(scrub.line("abcdef", 4), "abc…");
    }

    #[test]
    fn placeholders_are_left_in_place_and_cuts_fall_between_characters() {
        let key = SecretString::from("none");
        assert_eq!(Scrub::new(Some(&key)).text("none of it"), "none of it");
        assert_eq!(Scrub::new(None).head("aé", 2), "a");
    }
}
