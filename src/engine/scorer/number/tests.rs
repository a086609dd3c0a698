//! Reading of numbers: every notation, what is no number, and arbitrary texts.

use proptest::prelude::*;

use super::*;
use crate::cpu_clock::CpuClock;

fn read(text: &str, mark: Mark) -> Vec<f64> {
    numbers(text, mark).into_iter().map(|number| number.value).collect()
}

fn values(text: &str) -> Vec<f64> {
    read(text, Mark::Point)
}

#[test]
fn numbers_are_found_as_they_are_written() {
    for (text, expected) in [
        ("", vec![]),
        ("none at all.", vec![]),
        ("It is 42.", vec![42.0]),
        ("$1,234.50 or 12%", vec![1234.5, 12.0]),
        ("-$5, $-6, −7, –8, －９", vec![-5.0, -6.0, -7.0, -8.0, -9.0]),
        ("3-5, x-5, (2)-1, 5 - 3, --4, —4", vec![3.0, 5.0, 5.0, 2.0, 1.0, 5.0, 3.0, 4.0, 4.0]),
        ("3/4 and -1/2 and 2 1/2 and 1½ and ¾", vec![0.75, -0.5, 2.5, 1.5, 0.75]),
        ("4/5/2024", vec![4.0, 5.0, 2024.0]),
        ("US$-5, $3$-$5$, $x$-$5$", vec![-5.0, 3.0, 5.0, -5.0]),
        ("3/0 7", vec![7.0]),
        ("1e6 1.5E-3 2e 1e999 1e400", vec![1e6, 1.5e-3, 2.0]),
        ("1.5 × 10^3, 2x10^{-2}, 10⁶, 2^10, 3 * 10, 10⁻²", vec![1500.0, 0.02, 1e6, 1024.0, 3.0, 10.0, 0.01]),
        (".5 and -.5 and ...5 and end.5 and .½", vec![0.5, -0.5, 5.0, 5.0, 0.5]),
        ("1,2,3 and 1234,567 and 1,234,567", vec![1.0, 2.0, 3.0, 1234.0, 567.0, 1_234_567.0]),
        ("(2,3) or 0,5 or 1.5,2.5 or 1,234.5,6", vec![2.0, 3.0, 0.0, 5.0, 1.5, 2.5, 1234.5, 6.0]),
        ("12,345,67 and 1,23,456,7 and 1.2.3 and 1,234,5", vec![1.0, 23.0, 456.0, 7.0]),
        ("H2O v1.2.3 x_1 **7** _8_ 5kg", vec![7.0, 8.0, 5.0]),
        ("42 on 2024-05-01, 42 cm^2, x^{-3}, a_{12}, (a + b)/2", vec![42.0, 42.0]),
        ("答案是42。", vec![42.0]),
        ("９９", vec![99.0]),
        ("٤٢ ৪২ ४२ ٣٫١٥ ١٬٢٣٤ ١٬٢٣٤٫٥", vec![42.0, 42.0, 42.0, 3.15, 1234.0, 1234.5]),
    ] {
        assert_eq!(values(text), expected, "{text}");
    }
}

#[test]
fn latex_is_read_as_numbers() {
    for (text, expected) in [
        (r"The answer is $\frac{3}{4}$.", vec![0.75]),
        (r"\boxed{-\frac{1}{2}}, $-\dfrac12$, \frac{-1}{2}", vec![-0.5, -0.5, -0.5]),
        (r"\tfrac34 or \cfrac { 3 } { 4 } or \frac{1{,}000}{4}", vec![0.75, 0.75, 250.0]),
        (r"\frac{\frac{1}{2}}{4}", vec![0.125]),
        (r"1\frac{1}{2}, 2 \frac12, -1\tfrac{1}{2}", vec![1.5, 2.5, -1.5]),
        (r"$8.85 \times 10^{-12}$ and $1.5 \cdot 10^{3}$", vec![8.85e-12, 1500.0]),
        (r"8.85\times10^{−12} 2\,\times\,10^3 3\cdot10^{+2}", vec![8.85e-12, 2000.0, 300.0]),
        ("8.85 × 10⁻¹², 1.5*10^3, 10^{-12}, 2*10**3", vec![8.85e-12, 1500.0, 1e-12, 2000.0]),
        (r"$12{,}345$ $12\,345$ $12\!345$ $12~345$ $12\ 345$ $12,\!345$ $12{\,}345$", vec![12345.0; 7]),
        (r"$3{,}15$ and $\$1{,}234.50$ and $12\%$ and -\$5", vec![3.15, 1234.5, 12.0, -5.0]),
        (r"x\approx5 and \cdot 6", vec![5.0, 6.0]),
        (r"$90^\circ$", vec![90.0]),
        (r"$42\text{ cm}^2$", vec![42.0]),
        (r"\sqrt{2} \sqrt2 \sqrt[3]{8} \frac{\sqrt{3}}{2} 2\sqrt{3} √5 2√3 \frac{1}{2}\pi 2π", vec![]),
        (r"\frac{x}{2} \frac{1}{0} 3\frac{5}{4} \frac{\sqrt{3}", vec![]),
        (r"\frac{1}{2", vec![]),
    ] {
        assert_eq!(values(text), expected, "{text}");
    }
}

#[test]
fn groups_have_one_separator_and_their_lengths() {
    for (text, expected) in [
        ("₹2,50,000 and 12,34,56,789", vec![250_000.0, 123_456_789.0]),
        (
            "43 279. 43\u{202f}279 43\u{a0}279 1 000 000, 2\u{2009}500",
            vec![43279.0, 43279.0, 43279.0, 1e6, 2500.0],
        ),
        ("1'234'567 1’234 1_000_000", vec![1_234_567.0, 1234.0, 1e6]),
        ("Die Summe beträgt 1.234,56 €.", vec![1234.56]),
        ("1.234.567 and 1.234.567,8 and 1 234,5", vec![1_234_567.0, 1_234_567.8, 1234.5]),
        ("in 2 500 people", vec![2500.0]),
        ("1 234 5, 12 34, 2024 100, 0 500", vec![1.0, 234.0, 5.0, 12.0, 34.0, 2024.0, 100.0, 0.0, 500.0]),
        ("1 100/200", vec![1.5]),
        ("1.234", vec![1.234]),
    ] {
        assert_eq!(values(text), expected, "{text}");
    }
}

#[test]
fn ambiguous_marks_are_read_as_told() {
    for (text, expected) in [
        ("3,15", vec![3.15]),
        ("1.234", vec![1234.0]),
        ("1,234", vec![1.234]),
        ("1.234,56 and 1,234.56 and 1,234,567", vec![1234.56, 1234.56, 1_234_567.0]),
        ("1.5 and 0,5 and 1234,5", vec![1.5, 0.5, 1234.5]),
        ("1,2,3 and 1.2.3", vec![1.0, 2.0, 3.0]),
    ] {
        assert_eq!(read(text, Mark::Comma), expected, "{text}");
    }
}

#[test]
fn whole_numbers_keep_their_digits() {
    for (text, digits) in [
        ("-00,9007199254740993", None),
        ("9007199254740993", Some("9007199254740993")),
        ("-9 007 199 254 740 993", Some("-9007199254740993")),
        ("$1,048,577.00", Some("1048577")),
        ("-0", Some("0")),
        ("3^40", Some("12157665459056928801")),
        ("2^999", None),
        ("1.5", None),
        ("1e3", None),
        ("6/3", None),
    ] {
        let found = whole(text, Mark::Point).and_then(|number| number.digits);
        assert_eq!(found.as_deref(), digits, "{text}");
    }
    let long = "7".repeat(400);
    assert_eq!(whole(&long, Mark::Point).unwrap().digits, Some(long));
}

#[test]
fn a_number_with_words_around_it_is_not_a_whole_number() {
    for text in [
        "42 apples",
        "3 4",
        "x2",
        "",
        "-",
        "1.2.3",
        "about 5",
        "1e999",
        "12,345,67",
        "√2",
        "3,14",
        r"\boxed{1} 2",
    ] {
        assert_eq!(whole(text, Mark::Point), None, "{text}");
    }
    for (text, value) in [
        ("$1,234.50", 1234.5),
        (" (-5). ", -5.0),
        ("12 %", 12.0),
        ("3/4", 0.75),
        (r"$\frac{3}{4}$", 0.75),
        (r"$\boxed{42}$", 42.0),
        (r"12\%", 12.0),
    ] {
        assert_eq!(whole(text, Mark::Point).map(|number| number.value), Some(value), "{text}");
    }
}

#[test]
fn plain_decimals_have_one_spelling() {
    for (token, expected) in [
        ("3.14", Some("3.14")),
        ("03.1400,", Some("3.14")),
        ("+5", Some("5")),
        ("-0.0", Some("0")),
        ("-.5", Some("-0.5")),
        ("-$5", Some("-5")),
        ("1,234", Some("1234")),
        ("1e3", Some("1000")),
        ("1e-2", Some("0.01")),
        ("9007199254740993", Some("9007199254740993")),
        ("1e999", None),
        ("1,23", None),
        ("1.2.3", None),
        ("3/4", None),
        ("e5", None),
        ("five", None),
        ("5kg", None),
        ("", None),
        ("-", None),
    ] {
        assert_eq!(plain_decimal(token).as_deref(), expected, "{token}");
    }
}

/// `digits` in groups of three, or at last three and two before, with a separator.
fn grouped(digits: &str, separator: &str, is_indian: bool) -> String {
    let (mut rest, mut groups, mut length) = (digits, Vec::new(), 3);
    while rest.len() > length {
        let (before, group) = rest.split_at(rest.len() - length);
        groups.insert(0, group);
        rest = before;
        length = if is_indian { 2 } else { 3 };
    }
    groups.insert(0, rest);
    groups.join(separator)
}

const SEPARATORS: [&str; 14] =
    [",", " ", "\u{a0}", "\u{202f}", "\u{2009}", "'", "’", "_", "٬", "{,}", r"\,", "~", r"\!", r",\!"];

proptest! {
    #[test]
    fn an_integer_is_the_same_in_every_grouping(
        value in 1_000_u64..,
        separator in prop::sample::select(&SEPARATORS[..]),
        zero in prop::sample::select(&['0', '٠', '०', '০', '０'][..]),
        is_indian: bool,
        is_negative: bool,
    ) {
        let is_indian = is_indian && matches!(separator, "," | "{,}" | r",\!");
        let written = grouped(&value.to_string(), separator, is_indian);
        let in_script = |c: char| c.to_digit(10).and_then(|digit| char::from_u32(u32::from(zero) + digit));
        let written: String = written.chars().map(|c| in_script(c).unwrap_or(c)).collect();
        let (sign, expected) = if is_negative { ("−", format!("-{value}")) } else { ("", value.to_string()) };
        for text in [format!("{sign}{written}"), format!("So it is {sign}{written}. Done"), format!("${sign}{written}$")] {
            let found = numbers(&text, Mark::Point);
            prop_assert_eq!(found.len(), 1, "{}", text);
            prop_assert_eq!(found[0].digits.as_deref(), Some(expected.as_str()), "{}", text);
        }
    }

    #[test]
    fn any_text_can_be_searched_for_numbers(
        text in r"([-+.,/^eE×x* {}()_0-9½³⁻⁄$%~'٫٬√]|\\frac|\\sqrt|\\[,!]|\\boxed|\{,\}|\PC){0,60}",
    ) {
        for mark in [Mark::Point, Mark::Comma] {
            for number in numbers(&text, mark) {
                prop_assert!(number.value.is_finite() || number.digits.is_some());
            }
            let _ = whole(&text, mark);
        }
        let _ = (boxed(&text), plain_decimal(&text));
    }

    #[test]
    fn every_float_reads_back(value in prop::num::f64::NORMAL) {
        prop_assert_eq!(values(&format!("{value}")), [value]);
        prop_assert_eq!(values(&format!("it is {value:e}.")), [value]);
    }
}

#[test]
fn long_texts_are_read_in_linear_time() {
    let started = CpuClock::start();
    for part in [
        "1",
        "1,",
        "1/",
        "1 ",
        "1.",
        "1^",
        "1,234",
        "-",
        "½",
        "1 1/",
        "_1",
        "10,",
        "100 ",
        "1 234",
        r"\frac{",
        r"\frac{1",
        r"\frac{1}{",
        "{",
        r"\sqrt{",
        r"\boxed{",
        "1{,}",
        r"1\,",
        r"\frac11",
        "2^99 ",
        "1'234",
    ] {
        let text = part.repeat((1 << 15) / part.len());
        let _ = (numbers(&text, Mark::Point), numbers(&text, Mark::Comma), boxed(&text));
    }
    assert!(started.elapsed().as_secs() < 30);
}
