//! Reading a grader's verdict out of its reply, and one verdict out of several graders' votes.
//!
//! A reply is read strictly: what is not clearly a verdict on the offered scale is a problem to state in a
//! second question, never a 0 and never a pass.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// How deep in a JSON object a verdict may lie. It bounds how often the same text is read again.
const MAX_DEPTH: u8 = 16;

/// What a grader may answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// A number from 0 to this maximum, under the key `score`.
    Points(f64),
    /// A letter, under the key `grade`.
    Letters,
}

/// A letter grade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// `I`, 0.
    Incorrect,
    /// `P`, 0.5.
    Partial,
    /// `C`, 1.
    Correct,
}

/// What a grader answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mark {
    /// On a scale of points, as given.
    Points(f64),
    /// On the scale of letters.
    Letter(Grade),
}

/// One grader's verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What was answered.
    pub mark: Mark,
    /// The mark as a share of the scale, 0 to 1.
    pub score: f64,
    /// Why; empty when the reply gave no reasoning beside the mark.
    pub reasoning: String,
}

/// What a panel of votes comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Panel {
    /// 0 to 1.
    pub score: f64,
    /// Share of the whole panel that gave the most frequent score, 0 to 1. A vote that could not be read
    /// agrees with none.
    pub agreement: f64,
}

impl Verdict {
    fn marked(&self) -> (Mark, f64) {
        (self.mark, self.score)
    }
}

impl Grade {
    fn read(letter: &str) -> Option<Self> {
        match letter {
            "C" | "c" => Some(Self::Correct),
            "P" | "p" => Some(Self::Partial),
            "I" | "i" => Some(Self::Incorrect),
            _ => None,
        }
    }

    fn score(self) -> f64 {
        match self {
            Self::Correct => 1.0,
            Self::Partial => 0.5,
            Self::Incorrect => 0.0,
        }
    }
}

impl Scale {
    /// The verdict's key.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Points(_) => "score",
            Self::Letters => "grade",
        }
    }

    /// The mark that `text` is, and its score.
    fn mark(self, text: &str) -> Option<(Mark, f64)> {
        match self {
            Self::Letters => Grade::read(text).map(|grade| (Mark::Letter(grade), grade.score())),
            Self::Points(max) => {
                let points: f64 = text.parse().ok().filter(|points| (0.0..=max).contains(points))?;
                // -0 is in the range, and would be stored as such.
                let points = points.abs();
                Some((Mark::Points(points), points / max))
            }
        }
    }

    fn verdict(self, answer: &str, reasoning: String) -> Result<Verdict, String> {
        let shown: String = answer.chars().take(40).collect();
        let (mark, score) = self.mark(answer.trim()).ok_or_else(|| format!("'{shown}' is not {self}"))?;
        Ok(Verdict { mark, score, reasoning })
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Points(max) => write!(f, "a number from 0 to {max}"),
            Self::Letters => write!(f, "one of the letters C, P, I"),
        }
    }
}

/// The verdict of `reply`: the last JSON object that holds one, else the last `GRADE: <value>` line. A line
/// behind the object must say the same: which of the two the grader only repeated out of a submission nobody
/// can tell.
///
/// # Errors
/// What is wrong, in words for the grader: no verdict, or a last one that is off the scale, contradicted or
/// cannot be read. An earlier one does not count in its place.
pub(super) fn read(reply: &str, scale: Scale) -> Result<Verdict, String> {
    let line = last_grade_line(reply);
    let (end, verdict) = match (last_object(reply, scale.key()), line) {
        (Some((end, found)), line) => {
            let verdict = scale.verdict(&found.answer, found.reasoning);
            let line = line.filter(|line| line.start >= end);
            if line.is_some_and(|line| scale.mark(line.value) != verdict.as_ref().ok().map(Verdict::marked)) {
                return Err(format!("a GRADE line behind the last \"{}\" contradicts it", scale.key()));
            }
            (end, verdict)
        }
        (None, Some(line)) => (line.end, scale.verdict(line.value, String::new())),
        (None, None) => return Err(none_found(reply, scale)),
    };
    let after = reply.get(end..).unwrap_or_default();
    if names_key(after, scale.key()) { Err(not_json(scale)) } else { verdict }
}

fn none_found(reply: &str, scale: Scale) -> String {
    if names_key(reply, scale.key()) { not_json(scale) } else { "there is no verdict in it".to_owned() }
}

fn not_json(scale: Scale) -> String {
    format!("the last \"{}\" is not part of valid JSON", scale.key())
}

/// What the votes of a whole panel come to; a vote that could not be read is `None`.
///
/// Numbers: the mean of the votes that could be read. Letters: the one that more than half of the whole
/// panel gave.
///
/// # Errors
/// Why the case stays unscored.
pub fn panel(votes: &[Option<Verdict>]) -> Result<Panel, String> {
    let given: Vec<&Verdict> = votes.iter().flatten().collect();
    let [first, ..] = given.as_slice() else {
        return Err("no grader gave a verdict".to_owned());
    };
    let (most_frequent, count) = most_frequent(&given);
    let agreement = count / count_of(votes);
    match first.mark {
        Mark::Letter(_) if agreement > 0.5 => Ok(Panel { score: most_frequent, agreement }),
        Mark::Letter(_) => Err("no grade has a majority of the panel".to_owned()),
        Mark::Points(_) => {
            let sum: f64 = given.iter().map(|verdict| verdict.score).sum();
            Ok(Panel { score: sum / count_of(&given), agreement })
        }
    }
}

/// The score that most verdicts have, and how many do.
fn most_frequent(given: &[&Verdict]) -> (f64, f64) {
    let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
    for verdict in given {
        // Equal scores have equal bits: none is NaN or -0.
        *counts.entry(verdict.score.to_bits()).or_default() += 1;
    }
    let (bits, count) = counts.into_iter().max_by_key(|(_, count)| *count).unwrap_or_default();
    (f64::from_bits(bits), f64::from(count))
}

fn count_of<T>(votes: &[T]) -> f64 {
    u32::try_from(votes.len()).map_or(f64::INFINITY, f64::from)
}

/// A JSON object that has the verdict's key.
struct Found {
    /// As text, whatever its type was; a thing that is neither text nor number is named instead.
    answer: String,
    reasoning: String,
}

/// The last object with `key` in `reply`, and where it ends. An object counts before those inside it.
///
/// Graders write line breaks into JSON strings, which JSON forbids; they are read as spaces.
fn last_object(reply: &str, key: &str) -> Option<(usize, Found)> {
    let text = reply.replace(|c: char| c.is_ascii_control(), " ");
    let mut last = None;
    let mut at = 0;
    while let Some((before, _)) = text.get(at..).and_then(|rest| rest.split_once('{')) {
        let start = at + before.len();
        at = start + 1;
        let mut json = serde_json::Deserializer::from_str(text.get(start..).unwrap_or_default());
        if let Ok(node) = (Walk { key, depth: MAX_DEPTH }).deserialize(&mut json) {
            at = start + json.into_iter::<IgnoredAny>().byte_offset();
            if let Node::Verdict(found) = node {
                last = Some((at, found));
            }
        }
    }
    last
}

/// A line such as `**GRADE: C**`, and where it stands.
struct GradeLine<'r> {
    start: usize,
    end: usize,
    value: &'r str,
}

fn last_grade_line(reply: &str) -> Option<GradeLine<'_>> {
    let mut end = reply.len();
    for line in reply.rsplit('\n') {
        let start = end.saturating_sub(line.len());
        if let Some(value) = grade_value(line) {
            return Some(GradeLine { start, end, value });
        }
        end = start.saturating_sub(1);
    }
    None
}

fn grade_value(line: &str) -> Option<&str> {
    let is_markup = |c: char| c.is_whitespace() || "*_`#>\"'()[]$".contains(c);
    let (word, rest) = line.trim_start_matches(is_markup).split_at_checked("grade".len())?;
    let value = rest.trim_start_matches(is_markup).strip_prefix(':')?;
    let value = value.trim_matches(is_markup).trim_end_matches('.').trim_end_matches(is_markup);
    word.eq_ignore_ascii_case("grade").then_some(value)
}

/// Whether `text` has something like `"score":`.
fn names_key(text: &str, key: &str) -> bool {
    text.match_indices(&format!("\"{key}\"")).any(|(start, quoted)| {
        let after = text.get(start + quoted.len()..).unwrap_or_default();
        after.trim_start().starts_with(':')
    })
}

/// Walks over one JSON value in the order of the text, without building it.
#[derive(Clone, Copy)]
struct Walk<'k> {
    key: &'k str,
    depth: u8,
}

/// What a walk has seen of a value.
enum Node {
    /// Text, or a number as text.
    Plain(String),
    /// An object with the key, here or inside.
    Verdict(Found),
    /// Anything else.
    Other,
}

impl Walk<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("too deep"))?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Plain(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Plain(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        Ok(Node::Plain(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Plain(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let inside = self.deeper()?;
        let mut last = Node::Other;
        while let Some(node) = list.next_element_seed(inside)? {
            if matches!(node, Node::Verdict(_)) {
                last = node;
            }
        }
        Ok(last)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let inside = self.deeper()?;
        let (mut answer, mut reasoning, mut last) = (None, String::new(), Node::Other);
        while let Some(key) = map.next_key::<String>()? {
            match (map.next_value_seed(inside)?, key.as_str()) {
                (node, key) if key == self.key => answer = Some(text_of(node, answer.is_some())),
                (Node::Plain(text), "reasoning") => reasoning = text,
                (node @ Node::Verdict(_), _) => last = node,
                _ => {}
            }
        }
        Ok(answer.map_or(last, |answer| Node::Verdict(Found { answer, reasoning })))
    }
}

/// The answer as text. Two answers in one object are none.
fn text_of(node: Node, is_second: bool) -> String {
    match node {
        Node::Plain(text) if !is_second => text,
        Node::Plain(_) => "given twice".to_owned(),
        _ => "not a plain value".to_owned(),
    }
}
