//! The words of a text and the marks that carry meaning, as `exact` compares them.
//!
//! Marks at the edges of words go, and so do apostrophes, the points of abbreviations and the commas of numbers.
//! Operators, marks between digits and those that are part of a name stay: `1/2`, `C++`, `O-`, `x != y`.

use super::boundary::{is_in_word, is_unspaced};
use super::markup::without_markup;
use super::normal::{Case, is_currency, is_punctuation, spell, squeeze};

/// What a token is for the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    /// A, an or the with another word behind it.
    Article,
    /// A currency or per cent sign at a number.
    Unit,
    Mark,
}

#[derive(Debug)]
struct Token {
    text: String,
    kind: Kind,
    /// Whether only white space, quotation marks and brackets are between it and the next.
    runs_on: bool,
}

/// The tokens of a text.
#[derive(Debug)]
pub(super) struct Words(Vec<Token>);

impl Words {
    /// Reads `text`, in linear time.
    pub(super) fn of(text: &str, case: Case) -> Self {
        // Long dashes separate; spelled, they would be hyphens.
        let text = text.replace(['\u{2014}', '\u{2015}'], " - ");
        let text = without_markup(&text);
        let scan = Scan(squeeze(&spell(&text, Case::Kept)).chars().collect());
        let mut words = Self(scan.tokens());
        words.mark_articles();
        for token in &mut words.0 {
            token.text = spell(&token.text, case);
        }
        words
    }

    /// Whether there is nothing to compare.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both are the same, with or without their articles, and with units missing in one of them at most.
    pub(super) fn are_those_of<'w>(&'w self, other: &'w Self) -> bool {
        let has_units = |words: &Self| words.0.iter().any(|token| token.kind == Kind::Unit);
        let with_units = has_units(self) && has_units(other);
        let equal = |with_articles: bool| {
            let is_compared = move |token: &&Token| match token.kind {
                Kind::Unit => with_units,
                Kind::Article => with_articles,
                Kind::Word | Kind::Mark => true,
            };
            let compared = |words: &'w Self| words.0.iter().filter(is_compared).map(|token| &token.text);
            compared(self).eq(compared(other))
        };
        !self.is_empty() && !other.is_empty() && (equal(true) || equal(false))
    }

    /// An article has a word right behind it. A capital A in the middle, or before a single letter, is a letter.
    fn mark_articles(&mut self) {
        let mut begins = true;
        for at in 0..self.0.len() {
            let next = self.0.get(at + 1).filter(|next| next.kind == Kind::Word);
            let is_before_word = next.is_some_and(|next| next.text.chars().count() > 1);
            let is_before_any = next.is_some();
            let Some(token) = self.0.get_mut(at) else { break };
            let is_article = match token.text.as_str() {
                "A" => begins && is_before_word,
                "a" => is_before_word,
                word => {
                    is_before_any && ["an", "the"].iter().any(|article| word.eq_ignore_ascii_case(article))
                }
            };
            begins = !token.runs_on;
            if is_article && token.runs_on && token.kind == Kind::Word {
                token.kind = Kind::Article;
            }
        }
    }
}

/// What becomes of a mark.
enum Fate {
    Kept(Kind),
    /// It goes, and the word goes on.
    Joins,
    /// It goes, and the word ends.
    Splits,
    /// It goes, and so does the connection with the next word.
    Stops,
}

impl Fate {
    const MARK: Self = Self::Kept(Kind::Mark);

    fn kept_if(is_kept: bool, otherwise: Self) -> Self {
        if is_kept { Self::MARK } else { otherwise }
    }
}

/// A text with single spaces.
struct Scan(Vec<char>);

impl Scan {
    fn tokens(&self) -> Vec<Token> {
        let mut tokens: Vec<Token> = Vec::new();
        let mut is_open = false;
        for (at, c) in self.0.iter().copied().enumerate() {
            let fate = match c {
                ' ' => Fate::Splits,
                c if is_in_word(c) => Fate::Kept(Kind::Word),
                c => self.fate(at, c),
            };
            match fate {
                Fate::Kept(Kind::Word) if is_open => {
                    if let Some(token) = tokens.last_mut() {
                        token.text.push(c);
                    }
                }
                Fate::Kept(kind) => {
                    tokens.push(Token { text: c.into(), kind, runs_on: true });
                    is_open = kind == Kind::Word;
                }
                Fate::Joins => {}
                Fate::Splits => is_open = false,
                Fate::Stops => {
                    is_open = false;
                    if let Some(token) = tokens.last_mut() {
                        token.runs_on = false;
                    }
                }
            }
        }
        tokens
    }

    fn get(&self, at: usize, step: isize) -> Option<char> {
        at.checked_add_signed(step).and_then(|at| self.0.get(at)).copied()
    }

    /// The character `step` (1 or -1) from there, a space passed over.
    fn near(&self, at: usize, step: isize) -> Option<char> {
        self.get(at, step).filter(|c| *c != ' ').or_else(|| self.get(at, step * 2))
    }

    fn fate(&self, at: usize, c: char) -> Fate {
        let (left, right) = (self.get(at, -1), self.get(at, 1));
        let is_inner = is_word(left) && is_word(right);
        match c {
            '\'' if is_digit(left) && is_digit(right) || is_word(left) && right == Some('(') => Fate::MARK,
            '\'' => {
                if is_inner {
                    Fate::Joins
                } else {
                    Fate::Splits
                }
            }
            '"' => Fate::Splits,
            ',' => {
                if self.is_grouping(at) {
                    Fate::Joins
                } else {
                    Fate::Stops
                }
            }
            '.' => self.point(at),
            ':' => self.colon(at),
            '!' => {
                let negates = !is_word(left) && left != Some('!') && is_word(right);
                Fate::kept_if(is_inner || negates || right == Some('='), Fate::Stops)
            }
            '?' => Fate::kept_if(is_inner, Fate::Stops),
            ';' => Fate::Stops,
            '-' => self.dash(at),
            '(' | '[' | '{' => Fate::kept_if(is_word(left) || self.is_operated(at, -1), Fate::Splits),
            ')' | ']' | '}' => Fate::kept_if(is_word(right) || self.is_operated(at, 1), Fate::Splits),
            '%' | '‰' if is_digit(self.near(at, -1)) => Fate::Kept(Kind::Unit),
            '%' | '|' | '\\' => Fate::kept_if(
                is_word(left) || is_word(right) || left == Some(c) || right == Some(c),
                Fate::Splits,
            ),
            '_' => Fate::kept_if(is_inner, Fate::Splits),
            '*' => self.star(at),
            '#' => Fate::kept_if(is_word(left) || left == Some('#') || is_word(right), Fate::Splits),
            '/' => {
                Fate::kept_if(!(is_word(left) && is_space(right)) || self.get(at, 2).is_some(), Fate::Splits)
            }
            '+' => {
                let is_sign = matches!(left, None | Some('(' | '[')) && self.begins_number(at + 1);
                Fate::kept_if(!is_sign, Fate::Splits)
            }
            '@' | '&' | '=' | '<' | '>' | '^' | '~' | '§' => Fate::MARK,
            c if is_currency(c) => self.currency(at, c),
            '、' | '。' => Fate::Stops,
            '・' => Fate::Splits,
            c if is_punctuation(c) => Fate::kept_if(is_inner, Fate::Splits),
            // Degrees, arrows, pictures and other signs.
            _ => Fate::MARK,
        }
    }

    /// `3.14`, `.NET` and `a.com` keep their point, `U.S.` and `Paris.` do not.
    fn point(&self, at: usize) -> Fate {
        let (left, right) = (self.get(at, -1), self.get(at, 1));
        if left == Some('.') || right == Some('.') || !is_word(right) {
            return Fate::Stops;
        }
        if self.is_abbreviation(at) { Fate::Joins } else { Fate::MARK }
    }

    /// Whether the point is between two parts of an abbreviation, such as U.S, e.g and Ph.D: one has a single letter,
    /// the other two at most.
    fn is_abbreviation(&self, at: usize) -> bool {
        let length = |step: isize| {
            let letters = (1..=3).map(|count| self.get(at, step * count));
            let count =
                letters.take_while(|c| c.is_some_and(|c| c.is_alphabetic() && !is_unspaced(c))).count();
            let is_whole = !is_digit(self.get(at, step * isize::try_from(count + 1).unwrap_or(1)));
            if is_whole { count } else { 0 }
        };
        matches!((length(-1), length(1)), (1, 1 | 2) | (2, 1))
    }

    fn colon(&self, at: usize) -> Fate {
        let (left, right) = (self.get(at, -1), self.get(at, 1));
        let is_inner = is_word(left) && is_word(right);
        let is_run = left == Some(':') && is_word(right) || is_word(left) && matches!(right, Some('/' | ':'));
        let is_ratio = is_digit(self.near(at, -1)) && is_digit(self.near(at, 1));
        Fate::kept_if(is_inner || is_run || is_ratio, Fate::Stops)
    }

    /// A dash between words separates them; between numbers, as a sign, and behind a name it stays.
    fn dash(&self, at: usize) -> Fate {
        let (left, right) = (self.get(at, -1), self.get(at, 1));
        if left == Some('-') || right == Some('-') {
            let first = if left == Some('-') { self.get(at, -2) } else { left };
            let last = if left == Some('-') { right } else { self.get(at, 2) };
            return Fate::kept_if(is_space(first) && is_word(last), Fate::Stops);
        }
        if is_word(left) && is_word(right) {
            return Fate::kept_if(is_digit(left) && is_digit(right), Fate::Splits);
        }
        if is_space(left) && is_space(right) {
            let is_minus = is_closed(self.near(at, -1)) && self.begins_number(at + 2);
            return Fate::kept_if(is_minus && right.is_some(), Fate::Stops);
        }
        let is_arrow = right == Some('>') || left == Some('<');
        let is_sign = (is_space(left) || left.is_some_and(|c| "([{<>=*/^+,|".contains(c)))
            && (is_word(right) || self.begins_number(at + 1) || matches!(right, Some('(')));
        let is_minus = is_closed(left) && (is_word(right) || self.begins_number(at + 1));
        let is_charge = is_word(left) && !is_word(right);
        Fate::kept_if(is_arrow || is_sign || is_minus || is_charge, Fate::Splits)
    }

    /// A star is an operator, or a mark of a name as in `A*`; a row of stars only between two words.
    fn star(&self, at: usize) -> Fate {
        let (left, right) = (self.get(at, -1), self.get(at, 1));
        if left == Some('*') || right == Some('*') {
            let (outer_left, outer_right) =
                if left == Some('*') { (self.get(at, -2), right) } else { (left, self.get(at, 2)) };
            return Fate::kept_if(is_word(outer_left) && is_word(outer_right), Fate::Splits);
        }
        let is_binary = is_space(left) && self.near(at, -1).is_some() && self.near(at, 1).is_some();
        Fate::kept_if(is_closed(left) || is_word(left) || is_binary, Fate::Splits)
    }

    fn currency(&self, at: usize, c: char) -> Fate {
        let (left, right) = (self.get(at, -1), self.get(at, 1));
        let (before, behind) = (self.near(at, -1), self.near(at, 1));
        if is_digit(behind) || is_digit(before) || matches!(behind, Some('.' | '-')) {
            return Fate::Kept(Kind::Unit);
        }
        Fate::kept_if(c != '$' || is_word(left) && is_word(right), Fate::Splits)
    }

    /// `1,234`: one to three digits before the comma, three behind it.
    fn is_grouping(&self, at: usize) -> bool {
        let digits = |step: isize| (1..=4).take_while(|count| is_digit(self.get(at, step * count))).count();
        let before = digits(-1);
        let outer = self.get(at, -isize::try_from(before + 1).unwrap_or(1));
        let first = self.get(at, -isize::try_from(before).unwrap_or(1));
        let is_later = outer == Some(',');
        let is_head =
            (1..=3).contains(&before) && (before == 3 || !is_later) && (is_later || first != Some('0'));
        is_head && digits(1) == 3 && !matches!(outer, Some('.')) && !outer.is_some_and(is_in_word)
    }

    /// Whether a number begins there, its sign aside.
    fn begins_number(&self, at: usize) -> bool {
        match self.get(at, 0) {
            Some('.') => is_digit(self.get(at, 1)),
            Some(c) if is_currency(c) => is_digit(self.get(at, 1)) || self.get(at, 1) == Some('.'),
            other => is_digit(other),
        }
    }

    /// Whether an operator stands beside a bracket, on its outer side.
    fn is_operated(&self, at: usize, step: isize) -> bool {
        let is_operator = |c: Option<char>| c.is_some_and(|c| "+*/=<>^&|~".contains(c));
        let next = self.get(at, step);
        if next != Some(' ') {
            return is_operator(next) || next == Some('-') && self.get(at, step * 2).is_some_and(is_in_word);
        }
        // With a space on one side there is one on the other: the + of `C++ (x)` belongs to the name.
        is_operator(self.get(at, step * 2)) && self.get(at, step * 3) == Some(' ')
            || self.get(at, step * 2) == Some('-') && is_digit(self.get(at, step * 4))
    }
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(is_in_word)
}

fn is_digit(c: Option<char>) -> bool {
    c.is_some_and(char::is_numeric)
}

/// Whether a word or number cannot go on behind `c`.
fn is_space(c: Option<char>) -> bool {
    c.is_none_or(|c| c == ' ')
}

/// Whether a number or an expression ends with `c`, so that a dash behind it subtracts.
fn is_closed(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_numeric() || matches!(c, ')' | ']' | '}' | '%') || is_currency(c))
}

#[cfg(test)]
mod tests;
