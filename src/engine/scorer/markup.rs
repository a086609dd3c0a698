//! Markup around an answer: LaTeX commands that only change how a text looks, formulas, emphasis, headings, bullets.
//!
//! It removes the markup and keeps the text. What cannot be markup stays: the stars of `2*3` and the dollar of `$5`.

use std::borrow::Cow;

use super::boundary::is_in_word;

/// Commands with an argument that show just that argument.
const WRAPPERS: [&str; 24] = [
    "boxed",
    "fbox",
    "framebox",
    "mbox",
    "hbox",
    "text",
    "textbf",
    "textit",
    "textrm",
    "textsf",
    "texttt",
    "textnormal",
    "textup",
    "mathbf",
    "mathrm",
    "mathit",
    "mathsf",
    "mathtt",
    "mathbb",
    "mathcal",
    "bm",
    "boldsymbol",
    "emph",
    "underline",
];
/// Commands without an argument that show nothing.
const SWITCHES: [&str; 14] = [
    "bf",
    "rm",
    "it",
    "bfseries",
    "itshape",
    "displaystyle",
    "left",
    "right",
    "quad",
    "qquad",
    "large",
    "Large",
    "huge",
    "Huge",
];

/// Characters without which a text has no markup.
const SIGNS: [char; 12] = ['\\', '$', '*', '_', '~', '`', '#', '-', '+', '•', '\n', '\r'];

/// Returns `text` without LaTeX wrappers, formula signs, paired emphasis, backticks, headings and bullets.
pub(super) fn without_markup(text: &str) -> Cow<'_, str> {
    if text.contains(SIGNS) { without_signs(text).into() } else { text.into() }
}

fn without_signs(text: &str) -> String {
    let text = without_latex(text);
    let text = without_formulas(&text);
    let text: String = without_emphasis(&text).replace('`', "");
    text.lines().map(without_line_mark).collect::<Vec<_>>().join("\n")
}

/// Returns `text` with the arguments of LaTeX wrappers in their place: `\boxed{\text{B}}` is `B` with spaces around it.
pub(super) fn without_latex(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    // For each open brace, whether a wrapper opened it.
    let mut braces = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.strip_prefix(c).unwrap_or_default();
        rest = match c {
            '\\' => command(after, &mut plain, &mut braces),
            '{' => {
                braces.push(false);
                plain.push('{');
                after
            }
            '}' => {
                plain.push(if braces.pop() == Some(true) { ' ' } else { '}' });
                after
            }
            c => {
                plain.push(c);
                after
            }
        };
    }
    plain
}

/// Writes what stands for the command whose backslash was before `after`; returns what follows it.
fn command<'t>(after: &'t str, plain: &mut String, braces: &mut Vec<bool>) -> &'t str {
    // A backslash that was escaped once more is read like one.
    let after = after.trim_start_matches('\\');
    let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
    let (name, rest) = after.split_at_checked(end).unwrap_or((after, ""));
    if WRAPPERS.contains(&name)
        && let Some(argument) = rest.trim_start_matches(' ').strip_prefix('{')
    {
        braces.push(true);
        plain.push(' ');
        return argument;
    }
    if SWITCHES.contains(&name) {
        plain.push(' ');
        return rest;
    }
    match after.chars().next() {
        Some(c @ ('(' | ')' | '[' | ']' | ',' | ';' | ':' | '!' | ' ')) => {
            plain.push(' ');
            after.strip_prefix(c).unwrap_or_default()
        }
        Some(c @ ('%' | '$' | '#' | '&' | '_' | '*')) => {
            plain.push(c);
            after.strip_prefix(c).unwrap_or_default()
        }
        _ => {
            plain.push('\\');
            after
        }
    }
}

/// Returns `text` without the dollar signs around its formulas. Prices have none: `$5 and $6` stays.
fn without_formulas(text: &str) -> String {
    let text = text.replace("$$", "$");
    without_pairs(&text, '$', |before, after| {
        let opens = after.is_some_and(|c| !c.is_whitespace());
        let closes = before.is_some_and(|c| !c.is_whitespace()) && !after.is_some_and(|c| c.is_ascii_digit());
        (opens, closes)
    })
}

fn without_emphasis(text: &str) -> String {
    let flanks = |before: Option<char>, after: Option<char>| {
        let is_inner = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
        let is_outer = |c: Option<char>| !c.is_some_and(is_in_word);
        (is_outer(before) && is_inner(after), is_inner(before) && is_outer(after))
    };
    ['*', '_', '~'].into_iter().fold(text.to_owned(), |text, mark| without_pairs(&text, mark, flanks))
}

/// Removes runs of `mark` that pair up with one of the same length. `flanks` finds, from the characters around a run,
/// whether it can open and whether it can close.
fn without_pairs(
    text: &str,
    mark: char,
    flanks: impl Fn(Option<char>, Option<char>) -> (bool, bool),
) -> String {
    if !text.contains(mark) {
        return text.to_owned();
    }
    let mut removed: Vec<(usize, usize)> = Vec::new();
    // The last run of each length, up to 3, that could open.
    let mut open: [Option<(usize, usize)>; 3] = [None; 3];
    let mut at = 0;
    while let Some(start) = text.get(at..).and_then(|rest| rest.find(mark)).map(|found| at + found) {
        let (before, rest) = text.split_at_checked(start).unwrap_or((text, ""));
        let after = rest.trim_start_matches(mark);
        let end = text.len() - after.len();
        let (opens, closes) = flanks(before.chars().next_back(), after.chars().next());
        if let Some(slot) = (end - start).checked_sub(1).and_then(|length| open.get_mut(length)) {
            match slot.take().filter(|_| closes) {
                Some(opener) => removed.extend([opener, (start, end)]),
                None => *slot = opens.then_some((start, end)),
            }
        }
        at = end;
    }
    removed.sort_unstable();
    let mut plain = String::with_capacity(text.len());
    let mut kept = 0;
    for (start, end) in removed {
        plain.push_str(text.get(kept..start).unwrap_or_default());
        kept = end;
    }
    plain + text.get(kept..).unwrap_or_default()
}

/// Returns a line without the mark of a heading or of a list before it.
fn without_line_mark(line: &str) -> &str {
    let bare = line.trim_start();
    let heading = bare.trim_start_matches('#');
    if heading.len() < bare.len() && heading.starts_with(' ') {
        return heading;
    }
    bare.strip_prefix(['-', '*', '+', '•']).filter(|rest| rest.starts_with(' ')).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_goes_and_the_text_stays() {
        for (text, expected) in [
            ("**Lisbon**", "Lisbon"),
            ("*Lisbon*, __Paris__ and _x_", "Lisbon, Paris and x"),
            ("`code`", "code"),
            ("## Lisbon", "Lisbon"),
            ("- Lisbon\n* Paris", "Lisbon Paris"),
            ("\\boxed{\\text{B}}", "B"),
            ("\\\\boxed{42}", "42"),
            ("$x^2$", "x^2"),
            ("$$5$$", "5"),
            ("\\(x\\) and \\[y\\]", "x and y"),
            ("5\\text{ kg}", "5 kg"),
            ("\\frac{1}{2}", "\\frac{1}{2}"),
            ("50\\%", "50%"),
            ("$5 and $6", "$5 and $6"),
            ("2*3*4 and a_b_c", "2*3*4 and a_b_c"),
            ("A*", "A*"),
            ("-5", "-5"),
            ("#1", "#1"),
            ("C:\\temp", "C:\\temp"),
        ] {
            assert_eq!(
                without_markup(text).split_whitespace().collect::<Vec<_>>().join(" "),
                expected,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_stripped_of_its_markup(text in "(\\\\boxed\\{|\\\\text|[\\\\$*_~`{}#a1 \n-]|\\PC){0,40}") {
            let plain = without_markup(&text);
            prop_assert!(plain.len() <= text.len() + 1);
        }

        #[test]
        fn a_text_without_signs_has_nothing_to_remove(text in "[^\\\\$*_~`#\\-+•\n\r]{0,40}") {
            prop_assert!(!text.contains(SIGNS));
            prop_assert_eq!(without_signs(&text), text);
        }
    }

    #[test]
    fn a_long_row_of_marks_is_read_in_linear_time() {
        let started = std::time::Instant::now();
        for part in ["*", "* ", "*a", "_a_ ", "\\", "{", "\\text{", "$", "$a", "~~a"] {
            let _ = without_markup(&part.repeat((1 << 18) / part.len()));
        }
        assert!(started.elapsed().as_secs() < 15);
    }
}
