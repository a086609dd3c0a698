//! Runs of digits: groups, the decimal mark, and what is neither.
//!
//! Groups have three digits each, or two and at last three (`2,50,000`), and one separator. Point and comma may both be
//! either; the last one is the decimal mark where there are both. A comma without such groups separates a list.

use super::Mark;
use super::scan::Scanner;

/// Most groups of a number: 10^308 has 103. It bounds how often the same text is read.
const MAX_GROUPS: usize = 200;

/// Digits as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    /// Digits before the decimal mark, without separators; may be empty.
    pub(super) integer: String,
    /// Digits behind it; empty where there is no mark.
    pub(super) fraction: String,
    /// The decimal mark, where the notation shows which it is.
    pub(super) mark: Option<Mark>,
}

impl Decimal {
    /// As `f64` reads it.
    pub(super) fn text(&self) -> String {
        let integer = if self.integer.is_empty() { "0" } else { &self.integer };
        if self.fraction.is_empty() { integer.to_owned() } else { format!("{integer}.{}", self.fraction) }
    }

    /// Its digits, where it is a whole number.
    pub(super) fn digits(&self) -> Option<String> {
        let is_whole = !self.integer.is_empty() && self.fraction.bytes().all(|digit| digit == b'0');
        is_whole.then(|| self.integer.clone())
    }
}

/// What separates digits from digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    Point,
    Comma,
    /// `{,}`, which never separates a list.
    CloseComma,
    /// `٫`
    DecimalSign,
    /// A space, an apostrophe or the like, which only ever separates groups.
    Between(char),
    /// A space of LaTeX, likewise.
    Thin(&'static str),
}

impl Separator {
    fn as_mark(self) -> Option<Mark> {
        match self {
            Self::Point | Self::DecimalSign => Some(Mark::Point),
            Self::Comma | Self::CloseComma => Some(Mark::Comma),
            Self::Between(_) | Self::Thin(_) => None,
        }
    }

    /// Whether it separates groups and nothing else.
    fn only_groups(self) -> bool {
        matches!(self, Self::Between(_) | Self::Thin(_))
    }
}

/// Groups of digits with one separator, at least two of them.
struct Groups<'t> {
    separator: Separator,
    digits: Vec<&'t str>,
}

impl Groups<'_> {
    /// Whether they are the groups of one whole number.
    fn fit(&self) -> bool {
        let [first, middle @ .., last] = self.digits.as_slice() else { return false };
        let begins = (1..=3).contains(&first.len()) && !first.starts_with('0');
        let by_three = middle.iter().all(|group| group.len() == 3);
        let by_two = !middle.is_empty()
            && first.len() < 3
            && middle.iter().all(|group| group.len() == 2)
            && matches!(self.separator, Separator::Comma | Separator::CloseComma);
        begins && last.len() == 3 && (by_three || by_two)
    }

    /// Whether they begin like the groups of one number.
    fn begin(&self) -> bool {
        let [first, second, ..] = self.digits.as_slice() else { return false };
        self.digits.len() > 2 && first.len() <= 3 && second.len() == 3
    }
}

impl<'t> Scanner<'t> {
    /// The digits that begin here, as one number; `None` for `1.2.3` and `12,345,67`, which are passed over as a whole.
    pub(super) fn decimal(&mut self) -> Option<Decimal> {
        if self.eat(|c| c == '.').is_some() {
            let fraction = self.digits()?.to_owned();
            return self.not_a_version(Decimal { integer: String::new(), fraction, mark: None });
        }
        let is_listed = is_listed(self.before());
        let first = self.digits()?;
        let whole = || Decimal { integer: first.to_owned(), fraction: String::new(), mark: None };
        let Some((separator, _)) = self.next_group() else { return Some(whole()) };
        if is_listed && separator == Separator::Comma {
            return Some(whole());
        }
        if separator == Separator::DecimalSign {
            return self.with_fraction(first.to_owned(), false);
        }
        let mut ahead = *self;
        let groups = ahead.groups(first, separator);
        if groups.digits.len() > MAX_GROUPS {
            *self = ahead;
            self.take_run(|c| c.is_ascii_digit() || matches!(c, '.' | ','));
            return None;
        }
        if separator.only_groups() {
            if !groups.fit() || ahead.continues(separator) {
                return Some(whole());
            }
            *self = ahead;
            return self.with_fraction(groups.digits.concat(), true);
        }
        self.marked(ahead, &groups)
    }

    /// Reads groups with `separator`, as long as they may be groups of one number.
    fn groups(&mut self, first: &'t str, separator: Separator) -> Groups<'t> {
        let mut digits = vec![first];
        let is_wanted = |(found, digits): &(Separator, &'t str)| {
            *found == separator && (!separator.only_groups() || digits.len() == 3)
        };
        while let Some((_, group)) = self.attempt(|ahead| ahead.group().filter(is_wanted)) {
            digits.push(group);
            if !(2..=3).contains(&group.len()) || digits.len() > MAX_GROUPS {
                break;
            }
        }
        Groups { separator, digits }
    }

    /// A separator and the digits behind it.
    fn group(&mut self) -> Option<(Separator, &'t str)> {
        let separator = self.separator()?;
        Some((separator, self.digits()?))
    }

    /// The same without moving.
    fn next_group(mut self) -> Option<(Separator, &'t str)> {
        self.group()
    }

    fn separator(&mut self) -> Option<Separator> {
        if self.close_comma() {
            return Some(Separator::CloseComma);
        }
        if let Some(space) = self.thin_space() {
            return Some(Separator::Thin(space));
        }
        let separates = |c| matches!(c, '.' | ',' | '٫' | '٬' | '_' | '\'' | '’' | 'ʼ' | '＇') || is_space(c);
        self.eat(separates).map(|c| match c {
            '.' => Separator::Point,
            ',' => Separator::Comma,
            '٫' => Separator::DecimalSign,
            other => Separator::Between(other),
        })
    }

    /// Whether `1 234` goes on as no number does: `1 234 5`, or `1 234/5`, which is a mixed number.
    fn continues(self, separator: Separator) -> bool {
        let is_slash = |c| matches!(c, '/' | '\u{2044}');
        self.next_group().is_some_and(|(found, _)| found == separator) || self.peek().is_some_and(is_slash)
    }

    /// `integer` and what stands behind its decimal mark, if there is one. Behind groups either mark is decimal.
    fn with_fraction(&mut self, integer: String, is_grouped: bool) -> Option<Decimal> {
        let fraction = self.attempt(|ahead| {
            let (separator, digits) = ahead.group().filter(|(separator, _)| !separator.only_groups())?;
            // Decimals in a list: `1 234,5,6`.
            let is_list = ahead.next_group().is_some_and(|(next, _)| next == separator);
            (!is_list).then_some((separator, digits))
        });
        let mark = fraction.filter(|_| is_grouped).and_then(|(separator, _)| separator.as_mark());
        let fraction = fraction.map(|(_, digits)| digits.to_owned()).unwrap_or_default();
        Some(Decimal { integer, fraction, mark })
    }

    /// Groups that a point or a comma separates, which `ahead` stands behind: grouped, decimal or a list.
    fn marked(&mut self, mut ahead: Self, groups: &Groups<'t>) -> Option<Decimal> {
        let mark = groups.separator.as_mark()?;
        let next = ahead.next_group().filter(|(separator, _)| !separator.only_groups());
        let [first, second, others @ ..] = groups.digits.as_slice() else { return None };
        let is_decimal = others.is_empty() && next.is_none();
        if is_decimal && (self.mark == mark || !groups.fit()) && self.is_decimal_mark(groups.separator) {
            *self = ahead;
            let decimal =
                Decimal { integer: (*first).to_owned(), fraction: (*second).to_owned(), mark: Some(mark) };
            return Some(decimal);
        }
        if groups.fit() {
            // The other mark behind groups is the decimal one, unless a list of decimals goes on.
            let fraction = ahead.attempt(|ahead| {
                let (separator, digits) = ahead.group()?;
                let found = separator.as_mark().filter(|found| *found != mark)?;
                let after = ahead.next_group().and_then(|(separator, _)| separator.as_mark());
                let goes_on = after.is_some_and(|after| found == Mark::Comma || after == Mark::Point);
                (!goes_on).then_some((found, digits))
            });
            let shown = fraction.map_or_else(|| shown_by_groups(groups), |(found, _)| Some(found));
            if fraction.is_some() || next.is_none() {
                *self = ahead;
                let fraction = fraction.map(|(_, digits)| digits.to_owned()).unwrap_or_default();
                return Some(Decimal { integer: groups.digits.concat(), fraction, mark: shown });
            }
        }
        self.element(groups, next.map(|(separator, _)| separator))
    }

    /// Whether one such separator with no groups behind it can be a decimal mark. A plain comma is one only where the
    /// comma is the mark; elsewhere it separates a list.
    fn is_decimal_mark(&self, separator: Separator) -> bool {
        separator != Separator::Comma || self.mark == Mark::Comma
    }

    /// The first element of a list; none for what is neither a list nor a number, which is passed over.
    fn element(&mut self, groups: &Groups<'t>, next: Option<Separator>) -> Option<Decimal> {
        let [first, second, others @ ..] = groups.digits.as_slice() else { return None };
        let goes_on = !others.is_empty() || next == Some(Separator::Point);
        match groups.separator {
            Separator::Point if goes_on => {
                self.take_run(|c| c.is_ascii_digit() || c == '.');
                None
            }
            Separator::Point => {
                self.group();
                Some(Decimal { integer: (*first).to_owned(), fraction: (*second).to_owned(), mark: None })
            }
            Separator::CloseComma => {
                while self
                    .attempt(|ahead| ahead.group().filter(|(found, _)| *found == groups.separator))
                    .is_some()
                {}
                None
            }
            _ if groups.begin() => {
                self.take_run(|c| c.is_ascii_digit() || c == ',');
                None
            }
            _ => Some(Decimal { integer: (*first).to_owned(), fraction: String::new(), mark: None }),
        }
    }

    fn not_a_version(&mut self, decimal: Decimal) -> Option<Decimal> {
        let is_version = self.next_group().is_some_and(|(separator, _)| separator == Separator::Point);
        if is_version {
            self.take_run(|c| c.is_ascii_digit() || c == '.');
        }
        (!is_version).then_some(decimal)
    }
}

/// The decimal mark that groups leave over: points group where the comma is decimal. Commas are too common to tell.
fn shown_by_groups(groups: &Groups<'_>) -> Option<Mark> {
    (groups.separator == Separator::Point).then_some(Mark::Comma)
}

/// Whether `lead` ends with a comma of a list: its next element is read by itself.
fn is_listed(lead: &str) -> bool {
    lead.strip_suffix(',').is_some_and(|list| list.ends_with(|c: char| c.is_ascii_digit()))
}

/// Whether `c` is a space that may stand between groups of digits: on a line, at most an en wide.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{2000}' | '\u{2002}' | '\u{2004}'..='\u{200a}' | '\u{202f}' | '\u{205f}')
}
