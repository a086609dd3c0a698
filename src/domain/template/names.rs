//! The names of placeholders, and those that are none: a misspelt one would go to the model as it is.

use rapidfuzz::distance::osa;

use super::{Piece, Pieces, Placeholder};
use crate::error::{Error, Result};

/// What marks a word in braces as text: `{{!word}}` is sent as `{{word}}`.
const ESCAPE: char = '!';
/// Longest word that is taken for a name, in characters.
const MAX_NAME: usize = 60;
/// The names that stand alone.
const NAMES: [&str; 2] = ["input", "choices"];
const METADATA: &str = "metadata";

/// The placeholder of that name.
pub(super) fn known(name: &str) -> Option<Placeholder<'_>> {
    match name {
        "input" => Some(Placeholder::Input),
        "choices" => Some(Placeholder::Choices),
        _ => match name.strip_prefix(ESCAPE) {
            Some(rest) => is_escapable(rest).then_some(Placeholder::Literal(rest)),
            None => name.strip_prefix("metadata.").map(Placeholder::Metadata),
        },
    }
}

/// Refuses a prompt with a word in braces that is no placeholder and seems to be meant as one: it is close to one, or
/// the prompt places no input. A word that is escaped is text.
///
/// # Errors
/// `Invalid` on `prompt`, with what is right.
pub fn check_names(prompt: &str) -> Result<()> {
    let places_input = super::placeholders(prompt).any(|placeholder| placeholder == Placeholder::Input);
    for piece in (Pieces { rest: prompt }) {
        let Piece::Text(text) = piece else { continue };
        for name in words(text) {
            refuse(name, places_input)?;
        }
    }
    Ok(())
}

fn refuse(name: &str, places_input: bool) -> Result<()> {
    let hint = match (close_to(name), places_input) {
        (Some(meant), _) => format!("{{{{{name}}}}} is no placeholder: did you mean {meant}?"),
        (None, true) => return Ok(()),
        (None, false) => format!(
            "{{{{{name}}}}} is no placeholder, and the prompt has no {{{{input}}}}: placeholders are {{{{input}}}}, \
             {{{{choices}}}} and {{{{metadata.key}}}}."
        ),
    };
    let message = format!("prompt: {hint} To send it as it is, write {{{{{ESCAPE}{name}}}}}");
    Err(Error::invalid("prompt", message))
}

/// The words between two braces in a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("{{").filter_map(move |(start, _)| {
        let inner = text.get(start + 2..)?;
        let name = inner.get(..inner.find(['{', '}'])?)?;
        inner.get(name.len()..)?.strip_prefix("}}")?;
        Some(name.trim()).filter(|name| is_word(name))
    })
}

/// Whether it may be meant as a name: `{{1}}` and `{{a, b}}` are not.
fn is_word(name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || "_.-[]'\" ".contains(c);
    name.starts_with(char::is_alphabetic) && name.chars().all(is_part) && name.chars().nth(MAX_NAME).is_none()
}

fn is_escapable(rest: &str) -> bool {
    is_word(rest) || rest.strip_prefix(ESCAPE).is_some_and(is_escapable)
}

/// The placeholder that a name is close to, in braces.
fn close_to(name: &str) -> Option<String> {
    let fold =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let folded: String = fold(name);
    if let Some(close) = NAMES.into_iter().find(|known| is_close(&folded, known)) {
        return Some(format!("{{{{{close}}}}}"));
    }
    let (group, key) = name.split_once(['.', '[', ' ', '_', '-']).unwrap_or((name, ""));
    let key = key.trim_matches(|c: char| !c.is_alphanumeric());
    let is_metadata = is_close(&fold(group), METADATA) || is_close(&folded, METADATA);
    is_metadata.then(|| format!("{{{{metadata.{}}}}}", if key.is_empty() { "key" } else { key }))
}

/// Whether two words differ by a slip or two of the keyboard.
fn is_close(word: &str, known: &str) -> bool {
    let allowed = if word.chars().count() < known.len() - 1 { 1 } else { 2 };
    osa::distance(word.chars(), known.chars()) <= allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_placeholder_is_refused_with_the_right_one() {
        for (prompt, name, right) in [
            ("hi {{inpt}}", "{{inpt}}", "{{input}}"),
            ("{{input}} {{Input}}", "{{Input}}", "{{input}}"),
            ("{{ INPUT }}", "{{INPUT}}", "{{input}}"),
            ("{{inputs}}", "{{inputs}}", "{{input}}"),
            ("{{intput}}", "{{intput}}", "{{input}}"),
            ("{{inptu}}", "{{inptu}}", "{{input}}"),
            ("{{input}} {{choice}}", "{{choice}}", "{{choices}}"),
            ("{{input}} {{chioces}}", "{{chioces}}", "{{choices}}"),
            ("{{input}} {{metdata.unit}}", "{{metdata.unit}}", "{{metadata.unit}}"),
            ("{{input}} {{Metadata.unit}}", "{{Metadata.unit}}", "{{metadata.unit}}"),
            ("{{input}} {{metadata_unit}}", "{{metadata_unit}}", "{{metadata.unit}}"),
            ("{{input}} {{metadata['unit']}}", "{{metadata['unit']}}", "{{metadata.unit}}"),
            ("{{input}} {{metadata}}", "{{metadata}}", "{{metadata.key}}"),
        ] {
            let refused = check_names(prompt).unwrap_err().to_string();
            let expected =
                format!("prompt: {name} is no placeholder: did you mean {right}? To send it as it is");
            assert!(refused.starts_with(&expected), "{prompt}: {refused}");
        }
    }

    #[test]
    fn without_an_input_no_word_in_braces_is_guessed_at() {
        for prompt in ["{{question}}", "Q: {{ the question }} {{choices}}", "{{вход}}", "{{a}}"] {
            let refused = check_names(prompt).unwrap_err().to_string();
            assert!(refused.contains("the prompt has no {{input}}"), "{prompt}: {refused}");
        }
        for prompt in [
            "{{input}} {{question}}",
            "Fill in the template Dear {{name}}: {{input}}",
            "{{metadata.question}} {{choices}}",
            "Be brief.",
            r"\frac{{1}}{{2}} {{}} {{ }} {{a, b}} {x} {{{x: 1}}}",
            "{{!inpt}} {{!question}} {{!input}}",
        ] {
            assert!(check_names(prompt).is_ok(), "{prompt}: {:?}", check_names(prompt));
        }
    }
}
