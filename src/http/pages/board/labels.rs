//! Names beside the points of a chart, placed so that they cover neither each other nor a point.
//!
//! Letters are taken as wide as they are on average: nothing on the server knows the reader's fonts.

use crate::http::pages::format;

/// The narrowest chart of a wide screen, and that of a phone, in pixels.
const WIDE: f64 = 600.0;
const NARROW: f64 = 340.0;
/// Longest name, in characters.
const LONGEST: usize = 26;
/// A letter's width and height in pixels; letters beyond Latin, Greek and the like may be twice as wide.
const LETTER: f64 = 6.6;
const HEIGHT: f64 = 14.0;
/// Half of what a point takes.
const DOT: f64 = 7.0;

/// A point: across in percent of the width, down in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    /// Across.
    pub x: f64,
    /// Down.
    pub y: f64,
}

/// A name and where it stands relative to its point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The name, shortened.
    pub text: String,
    /// To the right, in pixels.
    pub dx: i32,
    /// Down to the line the letters stand on, in pixels.
    pub dy: i32,
    /// Which end of the text is there.
    pub anchor: &'static str,
    /// Whether there is room for it on a wide screen only.
    pub needs_room: bool,
}

/// What is taken already.
#[derive(Debug)]
pub struct Labels {
    wide: Vec<Area>,
    narrow: Vec<Area>,
}

/// A rectangle in pixels: from left to right, from top to bottom.
#[derive(Debug, Clone, Copy)]
struct Area([f64; 4]);

/// Where a name may stand: offset, and which end of the text is there.
const SIDES: [(i32, i32, &str); 7] = [
    (10, 4, "start"),
    (-10, 4, "end"),
    (0, -11, "middle"),
    (0, 21, "middle"),
    (6, -11, "start"),
    (-6, -11, "end"),
    (6, 21, "start"),
];

impl Area {
    fn meets(&self, other: &Self) -> bool {
        let (Self([left, right, top, bottom]), Self([from, to, above, below])) = (self, other);
        left < to && from < right && top < below && above < bottom
    }

    fn of_dot(spot: Spot, width: f64) -> Self {
        let x = spot.x * width / 100.0;
        Self([x - DOT, x + DOT, spot.y - DOT, spot.y + DOT])
    }

    fn of_line((a, b): (Spot, Spot), width: f64) -> Self {
        let (from, to) = (a.x * width / 100.0, b.x * width / 100.0);
        Self([from - 1.0, to + 1.0, a.y.min(b.y) - 1.0, a.y.max(b.y) + 1.0])
    }

    fn of_label(spot: Spot, width: f64, length: f64, (dx, dy, anchor): (i32, i32, &str)) -> Self {
        let x = spot.x * width / 100.0 + f64::from(dx);
        let left = match anchor {
            "start" => x,
            "end" => x - length,
            _ => x - length / 2.0,
        };
        let foot = spot.y + f64::from(dy) + 3.0;
        Self([left, left + length, foot - HEIGHT, foot])
    }
}

impl Labels {
    /// Nothing is taken but by the points themselves and by `lines`, which are upright or level and lead to the
    /// right.
    #[must_use]
    pub fn around(spots: &[Spot], lines: &[(Spot, Spot)]) -> Self {
        let taken = |width| {
            let dots = spots.iter().map(|spot| Area::of_dot(*spot, width));
            dots.chain(lines.iter().map(|line| Area::of_line(*line, width))).collect()
        };
        Self { wide: taken(WIDE), narrow: taken(NARROW) }
    }

    /// Names the point at `spot` where there is room, best to its right; none where there is none.
    pub fn place(&mut self, spot: Spot, name: &str) -> Option<Label> {
        let text = format::shortened(name, LONGEST);
        let length = text.chars().map(width).sum();
        let side = SIDES.into_iter().find(|side| fits(&self.wide, spot, WIDE, length, *side))?;
        let is_narrow = fits(&self.narrow, spot, NARROW, length, side);
        self.wide.push(Area::of_label(spot, WIDE, length, side));
        if is_narrow {
            self.narrow.push(Area::of_label(spot, NARROW, length, side));
        }
        let (dx, dy, anchor) = side;
        Some(Label { text, dx, dy, anchor, needs_room: !is_narrow })
    }
}

fn fits(taken: &[Area], spot: Spot, width: f64, length: f64, side: (i32, i32, &str)) -> bool {
    let area = Area::of_label(spot, width, length, side);
    let Area([left, right, top, _]) = area;
    left >= 0.0 && right <= width && top >= 0.0 && !taken.iter().any(|other| area.meets(other))
}

fn width(letter: char) -> f64 {
    if u32::from(letter) < 0x0700 { LETTER } else { 2.0 * LETTER }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_where_there_is_room_and_nowhere_else() {
        let spots = [Spot { x: 50.0, y: 100.0 }, Spot { x: 54.0, y: 100.0 }, Spot { x: 97.0, y: 200.0 }];
        let mut labels = Labels::around(&spots, &[]);
        let anchors = spots.map(|spot| labels.place(spot, "A name").map(|label| label.anchor));
        assert_eq!(anchors, [Some("end"), Some("start"), Some("end")]);
        let crowd = [Spot { x: 50.0, y: 100.0 }; 6];
        let mut labels = Labels::around(&crowd, &[]);
        let named = crowd.map(|spot| labels.place(spot, "A name").is_some());
        assert_eq!(named, [true, true, true, true, false, false]);
    }

    #[test]
    fn names_keep_off_lines() {
        let spot = Spot { x: 50.0, y: 100.0 };
        let line = (spot, Spot { x: 90.0, y: 100.0 });
        let label = Labels::around(&[spot], &[line]).place(spot, "A name").unwrap();
        assert_eq!(label.anchor, "end");
    }

    #[test]
    fn what_fits_on_a_wide_screen_only_says_so() {
        let spots = [Spot { x: 10.0, y: 100.0 }, Spot { x: 40.0, y: 100.0 }];
        let mut labels = Labels::around(&spots, &[]);
        let label = labels.place(spots[0], "A name of some length").unwrap();
        assert_eq!((label.anchor, label.needs_room), ("start", true));
        let short = labels.place(spots[1], "Short").unwrap();
        assert!(!short.needs_room);
    }

    #[test]
    fn long_and_wide_names_are_shortened() {
        let spots = [Spot { x: 5.0, y: 100.0 }];
        let label = Labels::around(&spots, &[]).place(spots[0], &"W".repeat(100)).unwrap();
        assert_eq!(label.text.chars().count(), LONGEST);
    }
}
