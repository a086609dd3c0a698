//! Finds an arithmetic expression in a text and works it out.
//!
//! Plus, minus, times, divide, powers, parentheses, decimals and thousands commas. No percentages, no
//! functions, no words for numbers.

/// Deeper nesting is nothing that somebody wrote by hand, and each level is another pass over a hostile text.
const MAX_DEPTH: usize = 20;
/// Beyond this a double no longer holds every whole number to the last digit.
const LARGEST: f64 = 1e15;

/// The value of the longest expression in `text` that has an operator, as text with at most 15 significant
/// digits; `None` when there is none, or its value is undefined or 10^15 and more.
pub(super) fn solve(text: &str) -> Option<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut best: Option<Found> = None;
    let mut at = 0;
    while at < chars.len() {
        let found = expression(&chars, at);
        at = found.as_ref().map_or(at.saturating_add(1), |found| found.end);
        // Of two of the same length the first stands.
        if let Some(found) = found.filter(|found| found.operators > 0)
            && best.as_ref().is_none_or(|best| found.length() > best.length())
        {
            best = Some(found);
        }
    }
    let value = best?.value;
    (value.is_finite() && value.abs() < LARGEST).then(|| rounded(value))
}

/// 0.1 + 0.2 is 0.3 to whoever asks.
fn rounded(value: f64) -> String {
    let short: f64 = format!("{value:.14e}").parse().unwrap_or(value);
    // Adding zero takes the sign off a negative zero.
    (short + 0.0).to_string()
}

struct Found {
    start: usize,
    end: usize,
    operators: usize,
    value: f64,
}

impl Found {
    fn length(&self) -> usize {
        self.end.saturating_sub(self.start)
    }
}

/// The expression that begins exactly at `start`, a lone number included.
fn expression(chars: &[char], start: usize) -> Option<Found> {
    let before = start.checked_sub(1).and_then(|before| chars.get(before));
    // "B2" and "x.5" are names, not the beginning of a sum.
    if before.is_some_and(|c| c.is_alphanumeric() || *c == '.' || *c == '_') {
        return None;
    }
    let mut reader = Reader { chars, at: start, depth: 0, operators: 0 };
    let value = reader.sum()?;
    Some(Found { start, end: reader.at, operators: reader.operators, value })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Plus,
    Minus,
    Times,
    Divide,
    Power,
}

/// Reads by recursive descent. What returns `None` may have moved on: the callers that can do without it
/// go back by themselves.
struct Reader<'a> {
    chars: &'a [char],
    at: usize,
    depth: usize,
    operators: usize,
}

impl Reader<'_> {
    fn sum(&mut self) -> Option<f64> {
        let mut value = self.product()?;
        while let Some((operator, right)) = self.next_pair(&[Operator::Plus, Operator::Minus], Self::product)
        {
            value = if operator == Operator::Plus { value + right } else { value - right };
        }
        Some(value)
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.signed()?;
        while let Some((operator, right)) = self.next_pair(&[Operator::Times, Operator::Divide], Self::signed)
        {
            value = if operator == Operator::Times { value * right } else { value / right };
        }
        Some(value)
    }

    /// A minus sign touches what it negates: "- 5" begins an item of a list.
    fn signed(&mut self) -> Option<f64> {
        self.skip_spaces();
        let negative = self.take(is_minus);
        let value = self.power()?;
        Some(if negative { -value } else { value })
    }

    fn power(&mut self) -> Option<f64> {
        let base = self.atom()?;
        let exponent = self.next_pair(&[Operator::Power], |reader| reader.nested(Self::signed));
        Some(exponent.map_or(base, |(_, exponent)| base.powf(exponent)))
    }

    fn atom(&mut self) -> Option<f64> {
        if !self.take(|c| c == '(') {
            return self.number();
        }
        let value = self.nested(Self::sum)?;
        self.skip_spaces();
        self.take(|c| c == ')').then_some(value)
    }

    fn number(&mut self) -> Option<f64> {
        let mut digits = self.digits();
        while !digits.is_empty() && self.peek(0) == Some(',') && self.thousands_follow() {
            self.at = self.at.saturating_add(1);
            digits.push_str(&self.digits());
        }
        if self.peek(0) == Some('.') && self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
            self.at = self.at.saturating_add(1);
            digits.push('.');
            digits.push_str(&self.digits());
        }
        digits.parse().ok()
    }

    fn digits(&mut self) -> String {
        let digits: String = self.chars.iter().skip(self.at).take_while(|c| c.is_ascii_digit()).collect();
        self.at = self.at.saturating_add(digits.len());
        digits
    }

    fn thousands_follow(&self) -> bool {
        let digit = |ahead| self.peek(ahead).is_some_and(|c| c.is_ascii_digit());
        digit(1) && digit(2) && digit(3) && !digit(4)
    }

    /// One of `operators` and the operand after it, or nothing and no step forward.
    fn next_pair(
        &mut self,
        operators: &[Operator],
        operand: impl Fn(&mut Self) -> Option<f64>,
    ) -> Option<(Operator, f64)> {
        let (at, count) = (self.at, self.operators);
        let operator = self.operator().filter(|operator| operators.contains(operator));
        let pair = operator.and_then(|operator| Some((operator, operand(self)?)));
        match pair {
            Some(_) => self.operators = self.operators.saturating_add(1),
            None => (self.at, self.operators) = (at, count),
        }
        pair
    }

    fn operator(&mut self) -> Option<Operator> {
        self.skip_spaces();
        let sign = self.peek(0)?;
        self.at = self.at.saturating_add(1);
        match sign {
            '+' => Some(Operator::Plus),
            minus if is_minus(minus) => Some(Operator::Minus),
            '*' if self.take(|c| c == '*') => Some(Operator::Power),
            '*' | '×' | '·' | 'x' => Some(Operator::Times),
            '/' | '÷' => Some(Operator::Divide),
            '^' => Some(Operator::Power),
            _ => None,
        }
    }

    fn nested(&mut self, inner: impl Fn(&mut Self) -> Option<f64>) -> Option<f64> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth = self.depth.saturating_add(1);
        self.skip_spaces();
        let value = inner(self);
        self.depth = self.depth.saturating_sub(1);
        value
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at.checked_add(ahead)?).copied()
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let taken = self.peek(0).is_some_and(wanted);
        self.at = self.at.saturating_add(usize::from(taken));
        taken
    }

    fn skip_spaces(&mut self) {
        while self.take(|c| matches!(c, ' ' | '\t' | '\u{a0}')) {}
    }
}

/// The keyboard's and the typesetter's.
fn is_minus(c: char) -> bool {
    matches!(c, '-' | '−')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_found_and_worked_out() {
        let table = [
            ("17 + 25 * 3", "92"),
            ("What is 17 + 25 * 3?", "92"),
            ("Compute (17 + 25) * 3.", "126"),
            ("8/4/2", "1"),
            ("10 - 4 - 3 =", "3"),
            ("2^3^2", "512"),
            ("2**10 + 1", "1025"),
            ("-2^2 + 1", "-3"),
            ("3 - -2", "5"),
            ("2 * (-3 + 1)", "-4"),
            ("0.1 + 0.2", "0.3"),
            ("1 / 3", "0.333333333333333"),
            ("1,234,567 + 1", "1234568"),
            (".5 × 4 ÷ 2 − 1", "0"),
            ("6 x 7", "42"),
            ("17 + 25 apples", "42"),
            ("6 x 7 xylophones", "42"),
            ("(2 + 3", "5"),
            ("((1 + 1))", "2"),
            ("Sum: 2 + 2 and then 2 + 2 + 2", "6"),
            ("1. 17 + 25", "42"),
            ("1) 2 + 3", "5"),
            ("- 17 + 25", "42"),
            ("0 * -1", "0"),
            ("99999999 * 9999999", "999999890000001"),
            ("3 + 4.", "7"),
            ("( 3 + 4 ) * 2", "14"),
        ];
        for (text, value) in table {
            assert_eq!(solve(text).as_deref(), Some(value), "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_not_guessed() {
        for text in [
            "",
            "hello",
            "17",
            "-5",
            "1 / 0",
            "0 / 0",
            "9^99",
            "(17)",
            "B2 +",
            "1 + ",
            "1000000 * 1000000000",
        ] {
            assert_eq!(solve(text), None, "{text}");
        }
    }

    #[test]
    fn hostile_texts_take_neither_the_stack_nor_the_day() {
        let started = std::time::Instant::now();
        for text in ["(", "-", "1+(", "2^", "(1+1", "1,", "1+", "(-", "2**-"] {
            solve(&text.repeat(20_000));
        }
        assert_eq!(solve(&format!("{}1+1{}", "(".repeat(20), ")".repeat(20))).as_deref(), Some("2"));
        assert!(started.elapsed().as_secs() < 20);
    }

    proptest::proptest! {
        #[test]
        fn sums_and_products_agree_with_the_machine(
            a in 0_i64..100_000,
            b in 0_i64..100_000,
            c in 0_i64..1_000,
        ) {
            let expected = a - b * c;
            proptest::prop_assert_eq!(solve(&format!("{a} - {b} * {c}")), Some(expected.to_string()));
        }

        #[test]
        fn no_text_panics(text in "[-0-9().,+*/^x ]{0,60}") {
            solve(&text);
        }
    }
}
