//! The prompt template: what a model is sent for one sample.
//!
//! It substitutes in one pass and runs no code: text that was put in is never looked at again, so a sample
//! cannot smuggle a placeholder in. It does not choose or shuffle the options; it shows what it is given.

mod names;

use serde_json::Value;

pub use self::names::check_names;
use super::samples::{Input, Message, Role, Sample};
use crate::error::{Error, Result};

/// Longest prompt with a sample filled in, in bytes.
const LONGEST_RENDERED: usize = 4 * 1024 * 1024;

/// A `{{...}}` that the template knows; spaces inside the braces do not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder<'a> {
    /// `{{input}}`: the sample's text; nothing where the input is a list of messages.
    Input,
    /// `{{choices}}`: the options, one `A) text` a line.
    Choices,
    /// `{{metadata.key}}`: one metadata field; nothing where the sample has no such key.
    Metadata(&'a str),
    /// `{{!word}}`: the text `{{word}}`.
    Literal(&'a str),
}

/// Part of a template.
enum Piece<'a> {
    Text(&'a str),
    Slot(Placeholder<'a>),
}

/// The messages for one sample, with `shown_choices` in the order in which the model sees them.
///
/// A text input gives one user message; an input that the prompt does not place follows it after a blank
/// line, and a blank prompt leaves the input untouched. A message list comes after the rendered prompt as
/// the system message, or alone when that is blank.
pub fn render(prompt: &str, sample: &Sample, shown_choices: &[String]) -> Vec<Message> {
    match &sample.input {
        Input::Text(input) => {
            vec![Message { role: Role::User, content: user_text(prompt, input, sample, shown_choices) }]
        }
        Input::Messages(messages) => {
            let system = fill(prompt, "", sample, shown_choices).trim().to_owned();
            let system = (!system.is_empty()).then_some(Message { role: Role::System, content: system });
            system.into_iter().chain(messages.iter().cloned()).collect()
        }
    }
}

/// Refuses a sample that `prompt` would blow up: each part has its limit, and a placeholder may stand in a
/// prompt many thousand times. `field` is the sample's path, such as `samples[3]`.
///
/// # Errors
/// `Invalid` when the rendered prompt is longer than 4 MB.
pub fn check_length(prompt: &str, sample: &Sample, field: &str) -> Result<()> {
    let input = match &sample.input {
        Input::Text(text) => text.len(),
        Input::Messages(_) => 0,
    };
    let choices = option_lines(&sample.choices).len();
    let mut length = 0;
    for piece in (Pieces { rest: prompt }) {
        length += match piece {
            Piece::Text(text) => text.len(),
            Piece::Slot(Placeholder::Input) => input,
            Piece::Slot(Placeholder::Choices) => choices,
            Piece::Slot(Placeholder::Metadata(key)) => metadata_text(sample, key).len(),
            Piece::Slot(Placeholder::Literal(name)) => literal(name).len(),
        };
        // Not summed up to the end: what is refused may be gigabytes.
        if length > LONGEST_RENDERED {
            let message =
                "with this sample filled in, the prompt is longer than 4 MB: use fewer placeholders";
            return Err(Error::invalid(field, message));
        }
    }
    Ok(())
}

/// The placeholders of `prompt`, in order.
pub fn placeholders(prompt: &str) -> impl Iterator<Item = Placeholder<'_>> {
    Pieces { rest: prompt }.filter_map(|piece| match piece {
        Piece::Slot(placeholder) => Some(placeholder),
        Piece::Text(_) => None,
    })
}

/// The letter of the option at `index` (0 is A); `None` beyond Z.
pub fn letter(index: usize) -> Option<char> {
    let offset = u8::try_from(index).ok().filter(|offset| *offset < 26)?;
    Some(char::from(b'A' + offset))
}

fn user_text(prompt: &str, input: &str, sample: &Sample, shown_choices: &[String]) -> String {
    if prompt.trim().is_empty() {
        return input.to_owned();
    }
    let filled = fill(prompt, input, sample, shown_choices);
    if placeholders(prompt).any(|placeholder| placeholder == Placeholder::Input) {
        return filled;
    }
    format!("{}\n\n{input}", filled.trim_end())
}

fn fill(prompt: &str, input: &str, sample: &Sample, shown_choices: &[String]) -> String {
    let mut filled = String::with_capacity(prompt.len() + input.len());
    for piece in (Pieces { rest: prompt }) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Slot(Placeholder::Input) => filled.push_str(input),
            Piece::Slot(Placeholder::Choices) => filled.push_str(&option_lines(shown_choices)),
            Piece::Slot(Placeholder::Metadata(key)) => filled.push_str(&metadata_text(sample, key)),
            Piece::Slot(Placeholder::Literal(name)) => filled.push_str(&literal(name)),
        }
    }
    filled
}

/// Options beyond Z are numbered: only the choice scorer needs letters, and it refuses more than 26.
fn option_lines(choices: &[String]) -> String {
    let line = |(index, choice): (usize, &String)| match letter(index) {
        Some(letter) => format!("{letter}) {choice}"),
        None => format!("{}) {choice}", index + 1),
    };
    choices.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

fn metadata_text(sample: &Sample, key: &str) -> String {
    match sample.metadata.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Cuts a template into pieces, left to right.
struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Pieces<'a> {
    /// Where the next known placeholder stands in the rest, how long it is, and what it is.
    ///
    /// A name ends at the first brace, so `{{{input}}}` is `{` + input + `}` and a row of open braces
    /// costs one step each.
    fn next_slot(&self) -> Option<(usize, usize, Placeholder<'a>)> {
        self.rest.match_indices('{').find_map(|(start, _)| {
            let inner = self.rest.get(start..)?.strip_prefix("{{")?;
            let name = inner.get(..inner.find(['{', '}'])?)?;
            inner.get(name.len()..)?.strip_prefix("}}")?;
            Some((start, name.len() + 4, names::known(name.trim())?))
        })
    }

    fn cut(&mut self, length: usize) -> &'a str {
        let (head, tail) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = tail;
        head
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        match self.next_slot() {
            None => Some(Piece::Text(self.cut(self.rest.len()))),
            Some((0, length, placeholder)) => {
                self.cut(length);
                Some(Piece::Slot(placeholder))
            }
            Some((start, ..)) => Some(Piece::Text(self.cut(start))),
        }
    }
}

/// `prompt` where it is sent without a sample: what is escaped in it becomes text, and the rest stays as it is.
pub fn unescaped(prompt: &str) -> String {
    let mut text = String::with_capacity(prompt.len());
    let mut rest = Pieces { rest: prompt };
    loop {
        let before = rest.rest;
        match rest.next() {
            None => return text,
            Some(Piece::Slot(Placeholder::Literal(name))) => text.push_str(&literal(name)),
            Some(_) => text.push_str(before.strip_suffix(rest.rest).unwrap_or_default()),
        }
    }
}

/// What is sent for an escaped word.
fn literal(name: &str) -> String {
    format!("{{{{{name}}}}}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn sample(input: Input) -> Sample {
        let Value::Object(metadata) = json!({"unit": "kg", "year": 2024, "none": null, "list": [1, "a"]})
        else {
            unreachable!()
        };
        Sample {
            key: "0".into(),
            input,
            target: vec![],
            choices: vec!["red".into(), "blue".into()],
            metadata,
            cluster_id: None,
        }
    }

    fn text(prompt: &str, input: &str) -> String {
        let sample = sample(Input::Text(input.into()));
        let messages = render(prompt, &sample, &sample.choices);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].role, Role::User);
        messages[0].content.clone()
    }

    #[test]
    fn placeholders_are_filled_in_one_pass() {
        for (prompt, input, expected) in [
            ("Q: {{input}}", "why?", "Q: why?"),
            ("Q: {{ input }}", "why?", "Q: why?"),
            ("{{input}} {{input}}", "x", "x x"),
            ("{{input}}", "{{choices}} {{metadata.unit}}", "{{choices}} {{metadata.unit}}"),
            ("{{input}}\n{{choices}}", "x", "x\nA) red\nB) blue"),
            ("{{input}} in {{metadata.unit}}", "x", "x in kg"),
            ("{{input}}{{metadata.year}}", "x", "x2024"),
            ("{{input}}{{metadata.list}}", "x", "x[1,\"a\"]"),
            ("{{input}}[{{metadata.gone}}{{metadata.none}}]", "x", "x[]"),
            ("{{input}} {{name}} {{}} {{Input}}", "x", "x {{name}} {{}} {{Input}}"),
            ("{{{input}}}", "x", "{x}"),
            ("{{!input}} {{! input}} {{!!a}}: {{input}}", "x", "{{input}} {{! input}} {{!a}}: x"),
            ("{{a {{input}} }}", "x", "{{a x }}"),
            ("{{in{{put}}put}} {{input", "x", "{{in{{put}}put}} {{input\n\nx"),
            ("{{input}", "x", "{{input}\n\nx"),
        ] {
            assert_eq!(text(prompt, input), expected, "{prompt}");
        }
    }

    #[test]
    fn an_input_that_the_prompt_does_not_place_follows_after_a_blank_line() {
        assert_eq!(text("Be brief.", "why?"), "Be brief.\n\nwhy?");
        assert_eq!(text("Be brief.\n", "why?"), "Be brief.\n\nwhy?");
    }

    #[test]
    fn without_a_prompt_the_input_is_sent_untouched() {
        assert_eq!(text("", " {{input}} {{choices}}\n"), " {{input}} {{choices}}\n");
    }

    #[test]
    fn a_message_list_follows_the_prompt_as_system_message() {
        let user = Message { role: Role::User, content: "{{input}}".into() };
        let sample = sample(Input::Messages(vec![user.clone()]));
        let system = Message { role: Role::System, content: "In kg.".into() };
        assert_eq!(render("In {{metadata.unit}}. {{input}}", &sample, &[]), [system, user.clone()]);
        assert_eq!(render(" {{input}} ", &sample, &[]), [user]);
    }

    #[test]
    fn a_prompt_without_samples_keeps_all_but_its_escapes() {
        for (prompt, sent) in [
            ("{{!name}} and {{input}}{{ metadata.x }}", "{{name}} and {{input}}{{ metadata.x }}"),
            ("{{{!a}}}", "{{{a}}}"),
            ("plain {{}} {{!}}", "plain {{}} {{!}}"),
        ] {
            assert_eq!(unescaped(prompt), sent);
        }
    }

    #[test]
    fn letters_end_at_z() {
        assert_eq!([letter(0), letter(25), letter(26), letter(300)], [Some('A'), Some('Z'), None, None]);
        let many: Vec<String> = (0..27).map(|n| n.to_string()).collect();
        assert!(option_lines(&many).ends_with("Z) 25\n27) 26"));
    }

    proptest! {
        #[test]
        fn any_template_renders(prompt in "([{}a ]|\\{\\{|\\}\\}|input|choices|metadata\\.unit|\\PC){0,40}") {
            let _ = text(&prompt, "x");
        }

        #[test]
        fn a_template_without_braces_is_unchanged(prompt in "[^{}]{1,40}") {
            let sample = sample(Input::Text("x".into()));
            prop_assert_eq!(fill(&prompt, "x", &sample, &[]), prompt);
        }
    }

    #[test]
    fn a_long_row_of_braces_is_read_in_linear_time() {
        let started = std::time::Instant::now();
        assert_eq!(placeholders(&"{".repeat(1 << 20)).count(), 0);
        assert_eq!(placeholders(&"{{ input".repeat(1 << 17)).count(), 0);
        assert_eq!(placeholders(&"{{x}}{{input}}".repeat(1 << 16)).count(), 1 << 16);
        assert!(started.elapsed().as_secs() < 5);
    }
}
