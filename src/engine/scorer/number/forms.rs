//! Forms of numbers beyond digits: fractions, mixed numbers, powers, scientific notation.

use super::digits::{is_superscript, is_vulgar, small_integer, superscript, vulgar};
use super::run::Decimal;
use super::scan::{Amount, Scanner};

/// What times means before a power of ten.
const TIMES: [&str; 10] = [r"\times", r"\cdot", r"\ast", "×", "x", "X", "*", "·", "⋅", "∙"];

impl Scanner<'_> {
    /// The number that begins here, whatever its form; it always moves forward.
    pub(super) fn magnitude(&mut self) -> Option<Amount> {
        match self.peek() {
            Some('\\') => return self.command().map(Amount::measured),
            Some('√') => {
                self.skip('√'.len_utf8());
                self.take_run(|c| matches!(c, ' ' | '{' | '('));
                self.decimal();
                return None;
            }
            Some(c) if is_vulgar(c) => return self.eat(is_vulgar).and_then(vulgar).map(Amount::measured),
            _ => {}
        }
        if self.attempt(Self::date).is_some() {
            return None;
        }
        let in_date = self.before().ends_with(['/', '\u{2044}']);
        let decimal = self.decimal()?;
        let amount = self.form(&decimal, in_date)?;
        Some(Amount { mark: decimal.mark, ..amount })
    }

    /// The number that digits and what stands behind them are.
    fn form(&mut self, decimal: &Decimal, in_date: bool) -> Option<Amount> {
        if let Some(exponent) = self.attempt(Self::exponent) {
            return finite(&format!("{}{exponent}", decimal.text())).map(Amount::measured);
        }
        if !in_date && let Some(divisor) = self.attempt(Self::divisor) {
            let quotient = finite(&decimal.text())? / divisor;
            return Some(Amount::measured(quotient)).filter(|amount| amount.value.is_finite());
        }
        if decimal.fraction.is_empty()
            && let Some(fraction) = self.attempt(Self::mixed)
        {
            return Some(Amount::measured(finite(&decimal.text())? + fraction));
        }
        if let Some(power) = self.attempt(Self::power) {
            return raised(decimal, power);
        }
        if let Some(power) = self.attempt(Self::ten_to_the) {
            return finite(&format!("{}e{power}", decimal.text())).map(Amount::measured);
        }
        plain(decimal)
    }

    /// `2024-05-01`.
    fn date(&mut self) -> Option<()> {
        self.digits().filter(|year| year.len() == 4)?;
        for _ in ["month", "day"] {
            self.eat(|c| c == '-')?;
            self.digits().filter(|part| part.len() == 2)?;
        }
        let goes_on = self.attempt(|ahead| ahead.eat(|c| c == '-').and_then(|_| ahead.digits())).is_some();
        (!goes_on).then_some(())
    }

    pub(super) fn exponent(&mut self) -> Option<String> {
        self.eat(|c| matches!(c, 'e' | 'E'))?;
        let sign = if self.eat(|c| matches!(c, '+' | '-')) == Some('-') { "-" } else { "" };
        Some(format!("e{sign}{}", self.digits()?))
    }

    /// `/4`, but not the `/5` of `4/5/2024`.
    fn divisor(&mut self) -> Option<f64> {
        self.eat(is_slash)?;
        let divisor =
            if self.peek()?.is_ascii_digit() { finite(&self.decimal()?.text())? } else { return None };
        let is_date = self.attempt(|ahead| ahead.eat(is_slash).and_then(|_| ahead.digits())).is_some();
        (!is_date).then_some(divisor)
    }

    /// What follows a whole number: `½`, ` ½`, ` 1/2` or `\frac{1}{2}`.
    fn mixed(&mut self) -> Option<f64> {
        let space = self.eat(|c| matches!(c, ' ' | '\u{a0}' | '\u{202f}'));
        if let Some(fraction) = self.eat(is_vulgar) {
            return vulgar(fraction);
        }
        self.attempt(|ahead| ahead.thin_space());
        if self.is_at_fraction() {
            return self.command().filter(|fraction| (0.0..1.0).contains(fraction));
        }
        space?;
        let numerator = finite(self.digits()?)?;
        let divisor = self.divisor()?;
        (numerator < divisor).then_some(numerator / divisor)
    }

    /// `^3`, `^{-3}`, `^(3)`, `**3` or `³`.
    fn power(&mut self) -> Option<i32> {
        if !self.eat_text("**") && self.eat(|c| c == '^').is_none() {
            return superscript(self.take_run(is_superscript));
        }
        let closing = match self.eat(|c| matches!(c, '{' | '(')) {
            Some('{') => Some('}'),
            Some(_) => Some(')'),
            None => None,
        };
        if closing.is_some() {
            self.take_run(|c| c == ' ');
        }
        let is_negative =
            self.eat(|c| matches!(c, '+' | '-' | '\u{2010}'..='\u{2013}')).is_some_and(|c| c != '+');
        let power = small_integer(self.digits()?)?;
        if let Some(bracket) = closing {
            self.take_run(|c| c == ' ');
            self.eat(|c| c == bracket)?;
        }
        Some(if is_negative { -power } else { power })
    }

    /// The exponent of `× 10^3`.
    fn ten_to_the(&mut self) -> Option<i32> {
        self.spaces();
        TIMES.iter().find(|times| self.eat_text(times))?;
        self.spaces();
        self.digits().filter(|digits| *digits == "10")?;
        self.power()
    }

    fn spaces(&mut self) {
        self.take_run(|c| matches!(c, ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}'));
        while self.thin_space().is_some() {
            self.take_run(|c| c == ' ');
        }
    }
}

fn plain(decimal: &Decimal) -> Option<Amount> {
    let value: f64 = decimal.text().parse().ok()?;
    let digits = decimal.digits();
    (value.is_finite() || digits.is_some()).then_some(Amount { value, digits, mark: None })
}

/// A power; its digits are known as far as 128 bits go.
fn raised(base: &Decimal, power: i32) -> Option<Amount> {
    let text = base.text();
    let value = if text == "10" { finite(&format!("1e{power}"))? } else { finite(&text)?.powi(power) };
    let exact = base.digits().and_then(|digits| digits.parse::<u128>().ok());
    let exact = exact.zip(u32::try_from(power).ok()).and_then(|(base, power)| base.checked_pow(power));
    let digits = exact.map(|exact| exact.to_string());
    value.is_finite().then_some(Amount { value, digits, mark: None })
}

pub(super) fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn is_slash(c: char) -> bool {
    matches!(c, '/' | '\u{2044}')
}
