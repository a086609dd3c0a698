//! The final answer of a solution in LaTeX: `\boxed{42}`.

use super::latex::Braces;

const COMMANDS: [&str; 2] = [r"\boxed{", r"\fbox{"];

/// What stands in the last box of `text`; none when it has none that is closed.
pub(in crate::engine::scorer) fn boxed(text: &str) -> Option<&str> {
    let braces = Braces::of(text);
    let inner = |start: usize, command: &str| {
        let open = (start + command.len()).checked_sub(1)?;
        text.get(open + 1..braces.closing(open)?)
    };
    let last = |command: &'static str| {
        text.rmatch_indices(command).find_map(|(start, _)| Some((start, inner(start, command)?)))
    };
    COMMANDS.into_iter().filter_map(last).max_by_key(|(start, _)| *start).map(|(_, inner)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_closed_box_counts() {
        for (text, expected) in [
            (r"So \boxed{42}. I checked this in 3 ways.", Some("42")),
            (r"\boxed{1} and then \boxed{\frac{1}{2}}", Some(r"\frac{1}{2}")),
            (r"\boxed{1} and then \boxed{2", Some("1")),
            (r"\fbox{7}", Some("7")),
            (r"\boxed{\{1\}}", Some(r"\{1\}")),
            ("42", None),
        ] {
            assert_eq!(boxed(text), expected, "{text}");
        }
    }
}
