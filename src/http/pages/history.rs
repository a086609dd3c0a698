//! A model's scores over its runs: one small chart per eval, all on one axis, drawn on the server.
//!
//! It places what the results say and judges nothing; the template draws it and repeats it as a table.

use super::axis::Axis;
use super::{format, links, score};
use crate::domain::id::EvalKey;
use crate::domain::results::{EvalResult, ResultState};

/// Most evals that have a chart.
const CHARTS: usize = 24;
/// Most results in one chart, the newest.
const DOTS: usize = 40;
/// Where the drawing area begins and ends, in the units of the template's view box.
const LEFT: f64 = 38.0;
const RIGHT: f64 = 308.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 100.0;

/// The results on one eval.
#[derive(Debug)]
pub struct Chart {
    /// The eval's name.
    pub eval: String,
    /// How many results there are, and how many of them are shown.
    pub count: String,
    /// What the drawing shows, in a sentence.
    pub label: String,
    /// What the axis says.
    pub ticks: Vec<Tick>,
    /// Points of the lines that join results of one version and revision.
    pub lines: Vec<String>,
    /// The results, oldest first.
    pub dots: Vec<Dot>,
    /// The day of the first.
    pub first: String,
    /// The day of the last.
    pub last: String,
}

/// A line of the axis.
#[derive(Debug)]
pub struct Tick {
    /// How far down.
    pub y: String,
    /// In points.
    pub text: String,
}

/// A result.
#[derive(Debug)]
pub struct Dot {
    /// How far to the right.
    pub x: String,
    /// How far down.
    pub y: String,
    /// Its interval from top to bottom.
    pub whisker: Option<(String, String)>,
    /// When it was made.
    pub day: String,
    /// The eval's version.
    pub version: i64,
    /// The model's revision.
    pub revision: String,
    /// In points, with its interval.
    pub score: String,
    /// The result itself.
    pub href: String,
}

/// The charts of all evals that `results` (of one model, newest first) hold more than one complete result on.
#[must_use]
pub fn charts(results: &[EvalResult]) -> Vec<Chart> {
    let mut series: Vec<(EvalKey, Vec<&EvalResult>)> = Vec::new();
    let complete = |result: &&EvalResult| result.state == ResultState::Complete && result.score.is_some();
    for result in results.iter().rev().filter(complete) {
        match series.iter_mut().find(|(eval, _)| *eval == result.eval_key) {
            Some((_, own)) => own.push(result),
            None => series.push((result.eval_key, vec![result])),
        }
    }
    series.retain(|(_, own)| own.len() > 1);
    series.sort_by(|(_, a), (_, b)| name(a).cmp(name(b)));
    series.truncate(CHARTS);
    let axis = Axis::over(series.iter().flat_map(|(_, own)| newest(own)).map(|result| span(result)));
    series.iter().map(|(_, own)| chart(own, &axis)).collect()
}

fn name<'r>(results: &[&'r EvalResult]) -> &'r str {
    results.first().map_or("", |result| &result.eval_name)
}

fn newest<'a, 'r>(results: &'a [&'r EvalResult]) -> &'a [&'r EvalResult] {
    results.get(results.len().saturating_sub(DOTS)..).unwrap_or_default()
}

fn span(result: &EvalResult) -> (f64, f64) {
    let score = result.score.unwrap_or_default();
    result.interval.map_or((score, score), |interval| (interval.low, interval.high))
}

fn chart(results: &[&EvalResult], axis: &Axis) -> Chart {
    let shown = newest(results);
    let dots: Vec<Dot> = (0..).zip(shown).map(|(at, result)| dot(at, shown.len(), result, axis)).collect();
    let size = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let count = match shown.len() == results.len() {
        true => format::counted(size(results.len()), "result"),
        false => format!(
            "newest {} of {}",
            format::count(size(shown.len())),
            format::counted(size(results.len()), "result")
        ),
    };
    let ends = dots.first().zip(dots.last()).map(|(first, last)| {
        (format!("{} on {}, {} on {}", first.score, first.day, last.score, last.day), &first.day, &last.day)
    });
    let (words, first, last) =
        ends.map_or_else(Default::default, |(words, first, last)| (words, first.clone(), last.clone()));
    Chart {
        eval: name(results).to_owned(),
        label: format!("Score on {} over {count}: {words}", name(results)),
        count,
        ticks: ticks(axis),
        lines: lines(shown, &dots),
        dots,
        first,
        last,
    }
}

fn dot(at: u32, of: usize, result: &EvalResult, axis: &Axis) -> Dot {
    let steps = u32::try_from(of.saturating_sub(1)).unwrap_or(u32::MAX).max(1);
    let score = result.score.unwrap_or_default();
    Dot {
        x: place(LEFT + (RIGHT - LEFT) * f64::from(at) / f64::from(steps)),
        y: place(down(axis, score)),
        whisker: result
            .interval
            .map(|interval| (place(down(axis, interval.high)), place(down(axis, interval.low)))),
        day: format::day(result.created_at),
        version: result.eval_version,
        revision: result.model_revision.clone(),
        score: score::in_words((score, result.interval)),
        href: links::result(&result.id),
    }
}

/// How far down a share of 0 to 1 is.
fn down(axis: &Axis, share: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * axis.place(share) / 100.0
}

fn ticks(axis: &Axis) -> Vec<Tick> {
    let ys = [BOTTOM, f64::midpoint(TOP, BOTTOM), TOP];
    axis.ticks().into_iter().zip(ys).map(|(text, y)| Tick { y: place(y), text }).collect()
}

/// One line for each stretch of results of one version and revision.
fn lines(results: &[&EvalResult], dots: &[Dot]) -> Vec<String> {
    let mut lines: Vec<((i64, &str), Vec<String>)> = Vec::new();
    for (result, dot) in results.iter().zip(dots) {
        let kind = (result.eval_version, result.model_revision.as_str());
        let point = format!("{},{}", dot.x, dot.y);
        match lines.last_mut() {
            Some((last, points)) if *last == kind => points.push(point),
            _ => lines.push((kind, vec![point])),
        }
    }
    lines.into_iter().filter(|(_, points)| points.len() > 1).map(|(_, points)| points.join(" ")).collect()
}

fn place(number: f64) -> String {
    format!("{number:.1}")
}
