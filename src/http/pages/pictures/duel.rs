//! Two models compared as a picture: the sentence about them, and their difference against zero.

use askama::Template;

use super::Head;
use super::letters::Letters;
use crate::domain::compare::{self, Lead};
use crate::domain::stats::Comparison;
use crate::http::pages::compare::plot::{Dot, Plot};
use crate::http::pages::compare::sentence;
use crate::service::pairs::Found;

/// How many pixels a line of the sentence has.
const ROOM: f32 = 1_110.0;
/// How large its letters are on how many lines at most: the first that hold all of it.
const SIZES: [(f32, usize); 3] = [(54.0, 3), (46.0, 4), (42.0, 4)];
/// How many pixels a name takes at most beside the axis, and within the sentence in times the size of its letters.
const SIDE: f32 = 370.0;
const NAME: f32 = 16.0;

#[derive(Template)]
#[template(path = "pictures/duel.svg")]
pub(super) struct Duel {
    head: Head,
    /// What was found.
    said: Said,
    /// None where they share no items.
    contest: Option<Contest>,
}

/// A sentence on several lines.
struct Said {
    lines: Vec<String>,
    /// How large its letters are.
    size: f32,
}

/// The difference on its axis.
struct Contest {
    /// Who is better to which side.
    left: String,
    right: String,
    ticks: [String; 3],
    dot: Dot,
    is_sure: bool,
}

impl Duel {
    /// The comparison that was found.
    pub(super) fn of(found: &Found, public_url: &str) -> Self {
        Self {
            head: Head::new("Two models compared", public_url),
            said: Said::of(|fit| sentence(found, fit)),
            contest: found.pair.compare().map(|comparison| Contest::of(found, &comparison)),
        }
    }

    /// Where line number `at` of the sentence stands: in the middle between the head and the axis.
    fn baseline(&self, at: usize) -> f32 {
        let step = self.said.size * 1.25;
        let number = |count: usize| u16::try_from(count).map_or(0.0, f32::from);
        let top = 222.0 - step * (number(self.said.lines.len()) - 1.0) / 2.0;
        top + self.said.size * 0.36 + step * number(at)
    }
}

impl Said {
    /// What `say` says with names that it passes through what it is given.
    fn of(say: impl Fn(&dyn Fn(&str) -> String) -> String) -> Self {
        let set = |(size, most)| {
            let letters = Letters::bold(size);
            let said = say(&|name| letters.fit(name, NAME * size));
            let lines = letters.wrap(&said, ROOM, most);
            let is_whole = lines.join(" ") == said;
            (Self { lines, size }, is_whole)
        };
        let [first, second, last] = SIZES.map(set);
        [first, second].into_iter().find(|(_, is_whole)| *is_whole).unwrap_or(last).0
    }
}

impl Contest {
    fn of(found: &Found, comparison: &Comparison) -> Self {
        let difference = (comparison.difference.mean, comparison.difference.interval);
        let plot = Plot::over(&[difference]);
        let name = |name: &str| Letters::bold(30.0).fit(name, SIDE);
        Self {
            left: name(&found.b.card.name),
            right: name(&found.a.card.name),
            ticks: plot.ticks(),
            dot: plot.dot(difference),
            is_sure: compare::lead(comparison) != Lead::Neither,
        }
    }

    /// Where its interval begins and ends, in percent of the axis; where the difference itself is when it has none.
    fn ends(&self) -> [&str; 2] {
        let at = self.dot.at.as_str();
        self.dot.whisker.as_ref().map_or([at, at], |[low, high]| [low, high])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(a: &str, b: &str) -> Said {
        let rest = "by 3.1 points (95 % 1.2 to 5.0, p = 0.002) on 1,319 shared items.";
        Said::of(|fit| format!("{} is ahead of {} {rest}", fit(a), fit(b)))
    }

    #[test]
    fn a_sentence_is_as_large_as_its_lines_allow() {
        let short = ahead("Claude", "Calculator");
        assert_eq!((short.size, short.lines.len()), (54.0, 3));
        let long = ahead("Qwen3-235B-A22B-Instruct-2507", "DeepSeek V3.2 Experimental");
        assert_eq!((long.size, long.lines.len()), (46.0, 3));
    }

    #[test]
    fn names_without_an_end_leave_the_rest_of_the_sentence() {
        let said = ahead(&"Wide".repeat(25), &"通义".repeat(50));
        assert!(
            said.lines.iter().all(|line| Letters::bold(said.size).width(line) <= ROOM),
            "{:?}",
            said.lines
        );
        assert!(said.lines.join(" ").ends_with("shared items."), "{:?}", said.lines);
    }
}
