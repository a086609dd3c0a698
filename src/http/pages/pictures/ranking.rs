//! The head of a ranking as a picture: ranks, names, and scores with their intervals on one axis.

use askama::Template;

use super::Head;
use super::letters::Letters;
use crate::domain::direction::Direction;
use crate::domain::evals::Eval;
use crate::domain::leaderboard::{Board, Row};
use crate::http::pages::axis::Bar;
use crate::http::pages::score::{Mean, Scale, Score};
use crate::http::pages::{board, evals, format};

/// Rows that are shown.
const ROWS: usize = 7;
/// Where the rows begin, how far they go down, and how high one is at most.
const TOP: usize = 200;
const DOWN: usize = 406;
const HIGHEST: usize = 72;
/// How many pixels a name has.
const NAME: (f32, f32) = (32.0, 475.0);

#[derive(Template)]
#[template(path = "pictures/ranking.svg")]
pub(super) struct Ranking {
    head: Head,
    /// What is ranked.
    lede: String,
    ticks: [String; 3],
    lines: Vec<Line>,
    /// How high a line is.
    high: usize,
}

/// A model's line.
struct Line {
    /// Where it begins.
    top: usize,
    rank: String,
    name: String,
    score: String,
    bar: Bar,
    /// Whether its tie group is tinted, and whether it is the last of it.
    is_tinted: bool,
    is_end: bool,
}

impl Ranking {
    /// The board.
    pub(super) fn of_board(board: &Board, public_url: &str) -> Self {
        let mean = |row: &Row| row.summary.map(|summary| (summary.mean, summary.interval));
        let lede = format!("{} · 95 % intervals", board::ranked_on(board));
        Self::new(Head::new("Leaderboard", public_url), lede, &board.rows, mean)
    }

    /// The ranking of one eval.
    pub(super) fn of_eval(eval: &Eval, board: &Board, public_url: &str) -> Self {
        let mean = |row: &Row| {
            let cell = row.cells.first()?.as_ref()?;
            Some(cell.shown())
        };
        let name = Direction::of(eval.card.higher_is_better).headed(&eval.card.name);
        Self::new(Head::new(&name, public_url), evals::summary(eval), &board.rows, mean)
    }

    fn new(head: Head, lede: String, rows: &[Row], mean: impl Fn(&Row) -> Option<Mean>) -> Self {
        let held: Vec<(&Row, Mean)> =
            rows.iter().filter_map(|row| Some((row, mean(row)?))).take(ROWS).collect();
        let means: Vec<Mean> = held.iter().map(|(_, mean)| *mean).collect();
        let scale = Scale::over(&means);
        let high = DOWN.checked_div(held.len()).map_or(HIGHEST, |high| high.min(HIGHEST));
        let next = |at: usize| held.get(at + 1).map(|(row, _)| row.tie_group);
        let lines = held.iter().enumerate();
        let lines = lines.map(|(at, (row, mean))| {
            let is_end = next(at).is_some_and(|next| next != row.tie_group);
            line(row, scale.show(*mean), TOP + at * high, is_end)
        });
        Self {
            ticks: scale.ticks(),
            lines: lines.collect(),
            lede: Letters::regular(30.0).fit(&lede, 1_100.0),
            head,
            high,
        }
    }

    /// Where the text of a line stands, from its top.
    const fn baseline(&self) -> usize {
        self.high / 2 + 12
    }

    /// Where the last line ends.
    fn bottom(&self) -> usize {
        TOP + self.high * self.lines.len()
    }
}

fn line(row: &Row, score: Score, top: usize, is_end: bool) -> Line {
    let (size, room) = NAME;
    Line {
        top,
        rank: row.rank.map_or_else(|| format::UNKNOWN.to_owned(), |rank| format::ranks(row.range, rank)),
        name: Letters::bold(size).fit(&row.model.name, room),
        score: score.text,
        bar: score.bar,
        is_tinted: row.tie_group.is_some_and(|group| group % 2 == 1),
        is_end,
    }
}
