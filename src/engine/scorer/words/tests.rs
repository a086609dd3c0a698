//! Marks that make a difference, and spellings that make none.

use proptest::prelude::*;

use super::*;

fn equal(one: &str, other: &str) -> bool {
    Words::of(one, Case::Ignored).are_those_of(&Words::of(other, Case::Ignored))
}

#[test]
fn marks_that_carry_meaning_make_a_difference() {
    for (one, other) in [
        ("1/2", "12"),
        ("3/4", "34"),
        ("10:30", "1030"),
        ("5^2", "52"),
        ("C++", "C#"),
        ("C++", "C"),
        ("C#", "C"),
        ("F#", "F"),
        (".NET", "NET"),
        ("ASP.NET", "ASP NET"),
        ("O+", "O-"),
        ("AB-", "AB"),
        ("A+", "A"),
        ("A*", "A"),
        ("Na+", "Na"),
        ("x<5", "x>5"),
        ("x <= 5", "x >= 5"),
        ("x != y", "x == y"),
        ("!x", "x"),
        ("a&b", "ab"),
        ("a|b", "ab"),
        ("p -> q", "q -> p"),
        ("p->q", "p q"),
        ("Python 3.10", "Python 3.1"),
        ("1.2.3", "123"),
        ("10.0.0.1", "10001"),
        ("02134", "2134"),
        ("Hepatitis A", "Hepatitis"),
        ("Vitamin A deficiency", "Vitamin deficiency"),
        ("2-1", "21"),
        ("2-1", "2:1"),
        ("3-5", "3 5"),
        ("555-1234", "5551234"),
        ("-x", "x"),
        ("x-1", "x+1"),
        ("x-1", "x1"),
        ("f(x)", "fx"),
        ("f'(x)", "f(x)"),
        ("(1+2)*3", "1+2*3"),
        ("2*(3+4)", "2*3+4"),
        ("2*3", "23"),
        ("2**3", "23"),
        ("a@b.com", "ab.com"),
        ("a@b.com", "a b com"),
        ("https://a.com/x", "https://a.com/y"),
        ("http://a.com", "https://a.com"),
        ("a.com", "acom"),
        ("snake_case", "snakecase"),
        ("1,2", "12"),
        ("1;2", "12"),
        ("#1", "1"),
        ("/etc", "etc"),
        ("20°", "20"),
        ("10²", "102"),
        ("5!", "51"),
        ("A, B", "B"),
        ("A B", "B"),
        ("A and B", "B"),
        ("~5", "5"),
        ("<5", "5"),
        ("5%", "5‰"),
        ("costs $5", "costs €5"),
        ("1\u{2044}2", "12"),
        ("2·3", "23"),
        ("≠", "="),
        ("std::sort", "stdsort"),
        ("not", "no"),
        ("a", "b"),
        ("A", "the"),
        ("An", "The"),
        ("!!!", "A"),
        ("Paris, France", "Paris"),
        ("3:1", "31"),
        ("AT&T", "ATT"),
    ] {
        assert!(!equal(one, other), "{one} {other}");
        assert!(!equal(other, one), "{other} {one}");
    }
}

#[test]
fn spellings_of_one_answer_are_the_same() {
    for (one, other) in [
        ("Lisbon", "lisbon."),
        ("Lisbon", "**Lisbon**"),
        ("Lisbon", "\"Lisbon\""),
        ("Lisbon", "(Lisbon)"),
        ("Lisbon", "“Lisbon”!"),
        ("Lisbon", "`Lisbon`"),
        ("Lisbon", "## Lisbon"),
        ("Lisbon", "- Lisbon"),
        ("Lisbon", "Lisbon…"),
        ("Lisbon", "「Lisbon」。"),
        ("Lisbon", "\\boxed{\\text{Lisbon}}"),
        ("Lisbon", "$\\text{Lisbon}$"),
        ("Lisbon", "Lis\u{200b}bon\u{feff}"),
        ("Lisbon", "**Lisbon"),
        ("Eiffel Tower", "The Eiffel Tower"),
        ("the Eiffel Tower", "Eiffel Tower."),
        ("The Who", "the who"),
        ("The Who", "Who"),
        ("A", "A."),
        ("A", "(A)"),
        ("A", "**A**"),
        ("A", "a"),
        ("an", "An."),
        ("The", "the"),
        ("vitamin a deficiency", "Vitamin A deficiency"),
        ("U.S.A.", "USA"),
        ("U.S.", "US"),
        ("e.g.", "eg"),
        ("Ph.D.", "PhD"),
        ("don't", "dont"),
        ("don't", "don’t"),
        ("rock 'n' roll", "rock n roll"),
        ("well-known  fact", "well known fact"),
        ("well\u{2011}known", "well-known"),
        ("COVID-19", "COVID 19"),
        ("Paris — France", "Paris, France"),
        ("Paris,France", "Paris, France"),
        ("1,234 apples", "1234 apples"),
        ("1,234,567 m", "1234567 m"),
        ("1, 2", "1,2"),
        ("x < 5", "x<5"),
        ("1 / 2", "1/2"),
        ("x=-5", "x = -5"),
        ("5 - 3", "5-3"),
        ("3–5", "3-5"),
        ("50% off", "50 off"),
        ("costs $5", "costs 5"),
        ("C++", "**C++**."),
        ("O-", "(O−)"),
        ("https://a.com/", "https://a.com"),
        ("10:30", "10:30."),
        ("x² = 4", "$x² = 4$"),
        ("Straße", "STRASSE"),
        ("Zu\u{308}rich", "Zürich"),
        ("A cat", "cat"),
        ("an apple and a pear", "apple and pear"),
        ("Rubik’s Cube", "Rubik's cube"),
        ("C# and F#", "c#, and f#"),
        ("!=", "!="),
    ] {
        assert!(
            equal(one, other),
            "{one} {other}: {:?} {:?}",
            Words::of(one, Case::Ignored),
            Words::of(other, Case::Ignored)
        );
        assert!(equal(other, one), "{other} {one}");
    }
}

proptest! {
    #[test]
    fn any_text_can_be_read(text in "([-+*/=<>!.,:;'\"(){}_%#$ a1]|\\PC){0,40}") {
        let words = Words::of(&text, Case::Ignored);
        prop_assert_eq!(words.are_those_of(&Words::of(&text, Case::Ignored)), !words.is_empty());
    }

    #[test]
    fn plain_words_are_compared_as_they_are(one in "[a-z]{2,6}( [b-z]{2,6}){0,3}", other in "[a-z]{2,6}( [b-z]{2,6}){0,3}") {
        prop_assume!(!format!(" {one} {other} ").contains(" an ") && !format!(" {one} {other} ").contains(" the "));
        prop_assert_eq!(equal(&one, &other), one == other);
    }
}
