//! The board's chart of score against cost, with the frontier and the same as a table.
//!
//! Only ranked rows are on it: what the others cost is for other evals. Across, places are in percent of the
//! width, and down in pixels, so that letters keep their size on a phone. It judges nothing itself.

use super::labels::{Label, Labels, Spot};
use crate::domain::leaderboard::Row;
use crate::domain::rounding::rounded;
use crate::domain::stats::{self, Interval, Offer, Worth};
use crate::http::pages::axis::Axis;
use crate::http::pages::{format, score};

/// Where the drawing begins and ends: across in percent, down in pixels.
const LEFT: f64 = 6.0;
const RIGHT: f64 = 90.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 318.0;
/// Where the scale of costs begins when some cost nothing, which no logarithm has a place for.
const AFTER_FREE: f64 = 18.0;
/// From which ratio of the dearest to the cheapest on steps are as many times more, not as many dollars.
const LOG_FROM: f64 = 8.0;
/// Most ticks below the costs.
const TICKS: usize = 5;

/// The chart and its twin.
#[derive(Debug)]
pub struct Chart {
    /// None while there are not two different known costs.
    pub drawing: Option<Drawing>,
    /// Who is not drawn, in words; empty when all are.
    pub left_out: String,
    /// All ranked rows, in the order of the board.
    pub offers: Vec<Entry>,
}

/// What is drawn.
#[derive(Debug)]
pub struct Drawing {
    /// Whether costs are on a logarithmic scale.
    pub is_log: bool,
    /// Ticks of the scores, down in pixels.
    pub scores: Vec<Tick>,
    /// Ticks of the costs, across in percent.
    pub costs: Vec<Tick>,
    /// The frontier, piece by piece.
    pub edges: Vec<Edge>,
    /// The models.
    pub dots: Vec<Dot>,
}

/// A mark on an axis.
#[derive(Debug, PartialEq, Eq)]
pub struct Tick {
    /// Where it is.
    pub at: String,
    /// What it says.
    pub text: String,
}

/// A straight piece of the frontier.
#[derive(Debug, PartialEq, Eq)]
pub struct Edge {
    /// Its ends across.
    pub from: String,
    /// Its ends across.
    pub to: String,
    /// Its ends down.
    pub top: String,
    /// Its ends down.
    pub bottom: String,
}

/// A model that is drawn.
#[derive(Debug)]
pub struct Dot {
    /// Across.
    pub x: String,
    /// Down.
    pub y: String,
    /// Its interval from top to bottom.
    pub whisker: Option<(String, String)>,
    /// How it is drawn.
    pub class: &'static str,
    /// Its name, score and cost.
    pub title: String,
    /// Its name beside it, where there is room.
    pub label: Option<Label>,
}

/// A row of the table.
#[derive(Debug)]
pub struct Entry {
    /// The model's name.
    pub name: String,
    /// In points, with its interval.
    pub score: String,
    /// US dollars.
    pub cost: String,
    /// Where it stands, in words.
    pub worth: &'static str,
}

/// A ranked row that may be drawn.
struct Point<'r> {
    name: &'r str,
    mean: f64,
    interval: Option<Interval>,
    cost: Option<f64>,
    worth: Worth,
}

/// The scale of costs.
#[derive(Debug, Clone, Copy)]
struct Costs {
    /// The cheapest that costs something, and the dearest.
    low: f64,
    high: f64,
    has_free: bool,
    is_log: bool,
}

impl Chart {
    /// The chart of those rows; the frontier is that of the rows given.
    #[must_use]
    pub fn of(rows: &[Row]) -> Self {
        let points = points(rows);
        let costs: Vec<f64> = points.iter().filter_map(|point| point.cost).collect();
        let drawing = Costs::over(&costs).map(|scale| Drawing::of(&points, scale));
        Self { drawing, left_out: left_out(rows, &points), offers: points.iter().map(entry).collect() }
    }
}

fn points(rows: &[Row]) -> Vec<Point<'_>> {
    let ranked = || rows.iter().filter(|row| row.rank.is_some()).filter_map(|row| Some((row, row.summary?)));
    let offers: Vec<Offer> = ranked()
        .map(|(row, summary)| Offer {
            score: rounded(summary.mean),
            interval: summary.interval,
            cost: row.cost_usd,
        })
        .collect();
    let worths = stats::pareto(&offers);
    ranked()
        .zip(worths)
        .map(|((row, summary), worth)| Point {
            name: &row.model.name,
            mean: summary.mean,
            interval: summary.interval,
            cost: row.cost_usd,
            worth,
        })
        .collect()
}

/// `2 models are left out: their cost is unknown.`
fn left_out(rows: &[Row], points: &[Point<'_>]) -> String {
    let said = |count: usize, why: &str| {
        let models = format::counted(i64::try_from(count).unwrap_or(i64::MAX), "model");
        let are = if count == 1 { "is" } else { "are" };
        (count > 0).then(|| format!("{models} {are} left out: {why}."))
    };
    let unknown = points.iter().filter(|point| point.cost.is_none()).count();
    let parts = [
        said(unknown, "what an answer costs is unknown"),
        said(rows.len() - points.len(), "not measured on every eval that counts"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn entry(point: &Point<'_>) -> Entry {
    Entry {
        name: point.name.to_owned(),
        score: score::in_words((point.mean, point.interval)),
        cost: format::known(point.cost, format::money),
        worth: match point.worth {
            Worth::Frontier => "on the frontier",
            Worth::Near => "behind, within the interval",
            Worth::Behind => "behind",
            Worth::Unknown => "cost unknown",
        },
    }
}

impl Costs {
    /// The scale for those costs; none where no two differ.
    fn over(costs: &[f64]) -> Option<Self> {
        let paid = || costs.iter().copied().filter(|cost| *cost > 0.0);
        let (low, high) = (paid().reduce(f64::min)?, paid().reduce(f64::max)?);
        let has_free = costs.iter().any(|cost| *cost <= 0.0);
        let differ = has_free || high > low;
        differ.then_some(Self { low, high, has_free, is_log: high / low >= LOG_FROM })
    }

    fn place(&self, cost: f64) -> f64 {
        if cost <= 0.0 {
            return LEFT;
        }
        let start = if self.has_free { AFTER_FREE } else { LEFT };
        let share = match (self.is_log, self.high > self.low) {
            (_, false) => 0.5,
            (true, true) => (cost / self.low).ln() / (self.high / self.low).ln(),
            (false, true) => (cost - self.low) / (self.high - self.low),
        };
        start + (RIGHT - start) * share
    }

    /// Round costs within the scale, `$0` first where some are free.
    fn ticks(&self) -> Vec<Tick> {
        let within = |tick: &f64| *tick >= self.low * 0.999 && *tick <= self.high * 1.001;
        let decades = || (-9..9).map(|power| 10_f64.powi(power));
        let fine = decades().flat_map(|decade| [decade, 2.0 * decade, 5.0 * decade]).filter(within);
        let mut round: Vec<f64> = fine.collect();
        if round.len() > TICKS {
            round = decades().filter(within).collect();
        }
        let step = round.len().div_ceil(TICKS).max(1);
        let mut ticks: Vec<f64> = round.into_iter().step_by(step).collect();
        if ticks.len() < 2 {
            ticks = vec![self.low, self.high];
            ticks.dedup();
        }
        let free = self.has_free.then_some(0.0);
        let tick = |cost: f64| Tick { at: exact(self.place(cost)), text: format::money(cost) };
        free.into_iter().chain(ticks).map(tick).collect()
    }
}

impl Drawing {
    fn of(points: &[Point<'_>], costs: Costs) -> Self {
        let drawn: Vec<(&Point<'_>, f64)> =
            points.iter().filter_map(|point| Some((point, point.cost?))).collect();
        let span = |point: &Point<'_>| {
            point.interval.map_or((point.mean, point.mean), |interval| (interval.low, interval.high))
        };
        let axis = Axis::over(drawn.iter().map(|(point, _)| span(point)));
        let spots: Vec<Spot> = drawn
            .iter()
            .map(|(point, cost)| Spot { x: costs.place(*cost), y: down(&axis, point.mean) })
            .collect();
        let stairs = stairs(&drawn, &spots);
        let mut labels = Labels::around(&spots, &stairs);
        // The frontier is named first: what is left of the room is for the others.
        let mut order: Vec<usize> = (0..drawn.len()).collect();
        order.sort_by_key(|at| drawn.get(*at).is_none_or(|(point, _)| point.worth != Worth::Frontier));
        let mut named: Vec<Option<Label>> = drawn.iter().map(|_| None).collect();
        for at in order {
            if let (Some((point, _)), Some(spot), Some(place)) =
                (drawn.get(at), spots.get(at), named.get_mut(at))
            {
                *place = labels.place(*spot, point.name);
            }
        }
        let dots = drawn.iter().zip(&spots).zip(named);
        Self {
            is_log: costs.is_log,
            scores: score_ticks(&axis),
            costs: costs.ticks(),
            edges: stairs.into_iter().map(edge).collect(),
            dots: dots.map(|(((point, cost), spot), label)| dot(point, *cost, *spot, &axis, label)).collect(),
        }
    }
}

fn dot(point: &Point<'_>, cost: f64, spot: Spot, axis: &Axis, label: Option<Label>) -> Dot {
    let points = score::in_words((point.mean, point.interval));
    Dot {
        x: exact(spot.x),
        y: exact(spot.y),
        whisker: point.interval.map(|held| (exact(down(axis, held.high)), exact(down(axis, held.low)))),
        class: match point.worth {
            Worth::Frontier => "on",
            Worth::Near => "near",
            Worth::Behind | Worth::Unknown => "",
        },
        title: format!("{}: {points} points, {}", point.name, format::money(cost)),
        label,
    }
}

/// How far down a score of 0 to 1 is.
fn down(axis: &Axis, share: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * axis.place(share) / 100.0
}

fn score_ticks(axis: &Axis) -> Vec<Tick> {
    let at = [BOTTOM, f64::midpoint(TOP, BOTTOM), TOP];
    axis.ticks().into_iter().zip(at).map(|(text, at)| Tick { at: exact(at), text }).collect()
}

/// The frontier as stairs, from left to right: what a dearer one on it adds is had from its own cost on.
fn stairs(drawn: &[(&Point<'_>, f64)], spots: &[Spot]) -> Vec<(Spot, Spot)> {
    let on = drawn.iter().zip(spots).filter(|((point, _), _)| point.worth == Worth::Frontier);
    let mut steps: Vec<Spot> = on.map(|(_, spot)| *spot).collect();
    steps.sort_by(|a, b| a.x.total_cmp(&b.x).then(b.y.total_cmp(&a.y)));
    let step = |(a, b): (&Spot, &Spot)| {
        let corner = Spot { x: b.x, y: a.y };
        [(*a, corner), (corner, *b)]
    };
    steps.iter().zip(steps.iter().skip(1)).flat_map(step).collect()
}

fn edge((a, b): (Spot, Spot)) -> Edge {
    Edge { from: exact(a.x), to: exact(b.x), top: exact(a.y), bottom: exact(b.y) }
}

fn exact(number: f64) -> String {
    format!("{number:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(costs: &[f64]) -> Costs {
        Costs::over(costs).unwrap()
    }

    fn texts(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.text.as_str()).collect()
    }

    #[test]
    fn there_is_no_scale_without_two_different_costs() {
        for equal in [&[][..], &[0.0, 0.0], &[2.0], &[2.0, 2.0]] {
            assert!(Costs::over(equal).is_none(), "{equal:?}");
        }
        assert!(Costs::over(&[0.0, 2.0]).is_some() && Costs::over(&[1.0, 2.0]).is_some());
    }

    #[test]
    fn wide_costs_are_on_a_logarithmic_scale_and_free_has_a_place_of_its_own() {
        let scale = costs(&[0.01, 1.0, 0.1, 0.0]);
        assert!(scale.is_log);
        let middle = f64::midpoint(AFTER_FREE, RIGHT);
        let expected = [(0.0, LEFT), (0.01, AFTER_FREE), (0.1, middle), (1.0, RIGHT)];
        for (cost, place) in expected {
            assert!((scale.place(cost) - place).abs() < 1e-9, "{cost}");
        }
        assert_eq!(texts(&scale.ticks()), ["$0", "$0.010", "$0.10", "$1.00"]);
        let narrow = costs(&[1.0, 3.0]);
        assert!(!narrow.is_log);
        assert!((narrow.place(2.0) - f64::midpoint(LEFT, RIGHT)).abs() < 1e-9);
        assert_eq!(texts(&narrow.ticks()), ["$1.00", "$2.00"]);
    }

    #[test]
    fn the_frontier_rises_in_stairs() {
        let point = |mean, worth| Point { name: "m", mean, interval: None, cost: Some(1.0), worth };
        let (cheap, behind, dear) =
            (point(0.2, Worth::Frontier), point(0.1, Worth::Behind), point(0.8, Worth::Frontier));
        let drawn = [(&dear, 3.0), (&behind, 2.0), (&cheap, 1.0)];
        let spots = [Spot { x: 90.0, y: 10.0 }, Spot { x: 50.0, y: 80.0 }, Spot { x: 10.0, y: 60.0 }];
        let at = |x, y| Spot { x, y };
        let corner = at(90.0, 60.0);
        assert_eq!(stairs(&drawn, &spots), [(at(10.0, 60.0), corner), (corner, at(90.0, 10.0))]);
    }
}
