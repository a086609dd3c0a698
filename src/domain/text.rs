//! What text may be: names, descriptions, e-mail addresses, and what comes back from models.
//!
//! It does not escape for any output; pages, CSV and Markdown see to that where they are written.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result};

/// Longest name, in characters.
const MAX_NAME: usize = 100;

/// Longest e-mail address that SMTP can carry, in bytes.
const MAX_EMAIL: usize = 254;

/// Shorter secrets are placeholders such as `EMPTY`, which local servers take; replacing them would tear up
/// ordinary text.
const MIN_SECRET: usize = 8;

/// What stands where a secret was.
const REDACTED: &str = "[redacted]";

/// A name: trimmed, NFC, 1-100 characters, on one line, and looking like what it is.
///
/// # Errors
/// `Invalid` naming `field`: too long, nothing visible, or a control, text-direction or invisible character.
pub fn name(text: &str, field: &str) -> Result<String> {
    let name: String = text.trim().nfc().collect();
    if !(1..=MAX_NAME).contains(&name.chars().count()) {
        return Err(refuse(field, format!("must be 1-{MAX_NAME} characters")));
    }
    if let Some(c) = name.chars().find(|c| c.is_control() || misleads(*c)) {
        let fix = "must not contain control, text-direction or invisible characters: remove";
        return Err(refuse(field, format!("{fix} {}", code_point(c))));
    }
    if name.chars().all(is_blank) {
        return Err(refuse(field, "must contain a visible character".to_owned()));
    }
    Ok(name)
}

/// Free text of at most `max_chars` characters: as it came, line ends made `\n`.
///
/// # Errors
/// `Invalid` naming `field`: too long, or a control character other than tab and line end.
pub fn clean(text: &str, field: &str, max_chars: usize) -> Result<String> {
    let text = text.replace("\r\n", "\n");
    if text.chars().nth(max_chars).is_some() {
        return Err(refuse(field, format!("must be at most {max_chars} characters")));
    }
    if let Some(c) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(refuse(field, format!("must not contain control characters: remove {}", code_point(c))));
    }
    Ok(text)
}

/// A count with a comma before every third digit: `1,319`.
#[must_use]
pub fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (left, digit) in (0..digits.len()).rev().zip(digits.chars()) {
        text.push(digit);
        if left > 0 && left % 3 == 0 {
            text.push(',');
        }
    }
    text
}

/// A model's output with NUL, which databases choke on, replaced by U+FFFD. All else stays: it is evidence.
#[must_use]
pub fn replace_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// `text` with every occurrence of a secret replaced by `[redacted]`. Secrets under eight bytes are left
/// alone.
#[must_use]
pub fn scrub<'a>(text: &'a str, secrets: &[&str]) -> Cow<'a, str> {
    let mut found: Vec<&str> = secrets
        .iter()
        .copied()
        .filter(|secret| secret.len() >= MIN_SECRET && text.contains(secret))
        .collect();
    // Of secrets that lie in one another, the longest first, or its rest would stay.
    found.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    found.into_iter().fold(Cow::Borrowed(text), |text, secret| Cow::Owned(text.replace(secret, REDACTED)))
}

/// An e-mail address, trimmed and lower-case: something on each side of one `@`, no spaces. Whether it exists
/// only a mail could tell; hosts without a dot are fine on a private network.
///
/// # Errors
/// `Invalid` naming `field`.
pub fn email(text: &str, field: &str) -> Result<String> {
    let address: String = text.trim().nfc().collect::<String>().to_lowercase();
    let odd =
        |c: char| c.is_whitespace() || c.is_control() || misleads(c) || is_blank(c) || "<>,;\"".contains(c);
    let fits = address.len() <= MAX_EMAIL && !address.contains(odd);
    let halves = address.split_once('@').filter(|(user, host)| !user.is_empty() && is_host(host));
    if !fits || halves.is_none() {
        return Err(refuse(field, "must be an e-mail address such as ada@example.com".to_owned()));
    }
    Ok(address)
}

fn is_host(text: &str) -> bool {
    !text.contains('@') && text.split('.').all(|label| !label.is_empty())
}

/// Characters that are not seen and make text look like what it is not: direction marks, embeddings,
/// overrides and isolates, zero-width spaces, line separators, invisible operators, annotations, tags.
pub(super) fn misleads(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0001}'
    )
}

/// Characters that are fine beside others (emoji and many scripts need joiners) and make no name alone.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200c}' | '\u{200d}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}'
                | '\u{e0020}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}'
        )
}

fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

fn refuse(field: &str, rule: String) -> Error {
    Error::invalid(field, format!("{field} {rule}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_trimmed_and_composed() {
        for (text, expected) in [
            ("GPT-6", "GPT-6"),
            ("  Claude 5\t\n", "Claude 5"),
            ("Cafe\u{301}", "Café"),
            ("模型 七", "模型 七"),
            ("نموذج", "نموذج"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("👩\u{200d}💻 coder", "👩\u{200d}💻 coder"),
            ("<script>", "<script>"),
        ] {
            assert_eq!(name(text, "name").unwrap(), expected);
        }
    }

    #[test]
    fn a_name_has_1_to_100_characters_after_composing() {
        assert!(name(&"é".repeat(100), "name").is_ok());
        assert!(name(&"e\u{301}".repeat(100), "name").is_ok());
        assert!(name(&format!(" {} ", "x".repeat(100)), "name").is_ok());
        for text in ["", " \n\t", &"x".repeat(101), &"e\u{301}".repeat(101)] {
            let error = name(text, "name").unwrap_err();
            assert_eq!(error.to_string(), "name must be 1-100 characters");
        }
    }

    #[test]
    fn a_name_hides_nothing() {
        for c in [
            '\0',
            '\u{1}',
            '\t',
            '\n',
            '\r',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9f}',
            '\u{61c}',
            '\u{200b}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202b}',
            '\u{202c}',
            '\u{202d}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2067}',
            '\u{2068}',
            '\u{2069}',
            '\u{206f}',
            '\u{feff}',
            '\u{fffb}',
            '\u{e0001}',
        ] {
            let error = name(&format!("a{c}b"), "models[2].name").unwrap_err();
            let message = error.to_string();
            assert!(message.starts_with("models[2].name must not contain"), "{message}");
            assert!(message.ends_with(&code_point(c)), "{message}");
            assert!(!message.contains(c), "the message must not repeat it");
        }
    }

    #[test]
    fn a_name_can_be_seen() {
        for text in ["\u{200d}", "\u{3164}\u{2800}", "\u{ad} \u{fe0f}"] {
            let message = name(text, "name").unwrap_err().to_string();
            assert_eq!(message, "name must contain a visible character");
        }
    }

    #[test]
    fn free_text_keeps_its_lines_and_loses_nothing() {
        assert_eq!(clean("a\r\nb\n\tc  \u{202e}", "description", 100).unwrap(), "a\nb\n\tc  \u{202e}");
        assert_eq!(clean("", "description", 10).unwrap(), "");
        assert!(clean(&"é".repeat(10), "description", 10).is_ok());
        assert!(clean(&"\r\n".repeat(10), "description", 10).is_ok());
    }

    #[test]
    fn free_text_is_limited_and_has_no_controls() {
        let error = clean(&"x".repeat(11), "description", 10).unwrap_err();
        assert_eq!(error.to_string(), "description must be at most 10 characters");
        for (c, shown) in [('\0', "U+0000"), ('\r', "U+000D"), ('\u{1b}', "U+001B"), ('\u{85}', "U+0085")] {
            let error = clean(&format!("a{c}b"), "description", 10).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("description must not contain control characters: remove {shown}")
            );
        }
    }

    #[test]
    fn nul_in_output_is_replaced_and_nothing_else() {
        assert_eq!(replace_nul("a\0b\0"), "a\u{fffd}b\u{fffd}");
        assert!(matches!(replace_nul("a\u{1}b\n"), Cow::Borrowed("a\u{1}b\n")));
    }

    #[test]
    fn secrets_are_scrubbed_wherever_they_stand() {
        let secrets = ["sk-12345678", "sk-12345678-long", ""];
        assert_eq!(
            scrub("sk-12345678: bad key sk-12345678-long, sk-12345678sk-12345678", &secrets),
            "[redacted]: bad key [redacted], [redacted][redacted]"
        );
        assert!(matches!(scrub("nothing here", &secrets), Cow::Borrowed(_)));
    }

    #[test]
    fn placeholders_are_no_secrets() {
        assert_eq!(scrub("the answer is EMPTY", &["EMPTY", "e", ""]), "the answer is EMPTY");
    }

    #[test]
    fn an_email_address_is_folded() {
        for (text, expected) in [
            (" Ada@Example.COM ", "ada@example.com"),
            ("a+b.c@x.y.z", "a+b.c@x.y.z"),
            ("root@localhost", "root@localhost"),
            ("ÉLAN@bücher.example", "élan@bücher.example"),
        ] {
            assert_eq!(email(text, "email").unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_email_address_is_refused() {
        let long = format!("{}@example.com", "x".repeat(250));
        for text in [
            "",
            "@",
            "a@",
            "@b",
            "a",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@b.",
            "a@.b",
            "a@b..c",
            "a\0@b",
            "a\u{202e}@b",
            "a\u{200d}@b",
            "Ada <a@b.c>",
            "a@b,c@d",
            "a\n@b",
            &long,
        ] {
            assert!(email(text, "email").is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_name_is_accepted_again_unchanged(text in "\\PC{0,120}") {
            if let Ok(once) = name(&text, "name") {
                prop_assert_eq!(name(&once, "name").unwrap(), once);
            }
        }

        #[test]
        fn an_accepted_email_address_is_accepted_again_unchanged(text in "\\PC{1,20}@\\PC{1,20}") {
            if let Ok(once) = email(&text, "email") {
                prop_assert_eq!(email(&once, "email").unwrap(), once);
            }
        }

        #[test]
        fn accepted_text_has_nothing_that_databases_and_terminals_choke_on(text in any::<String>()) {
            if let Ok(clean) = clean(&text, "description", 50) {
                prop_assert!(!clean.contains(['\0', '\r', '\x1b']));
            }
        }

        #[test]
        fn no_secret_survives(before in "[a-z-]{0,20}", after in "[a-z-]{0,20}") {
            let secret = "sk-canary-0";
            let text = format!("{before}{secret}{after}");
            prop_assert!(!scrub(&text, &[secret]).contains(secret));
        }
    }

    #[test]
    fn every_third_digit_stands_apart() {
        let counts = [0, 7, 999, 1_000, 12_032, 1_234_567].map(thousands);
        assert_eq!(counts, ["0", "7", "999", "1,000", "12,032", "1,234,567"]);
    }
}
