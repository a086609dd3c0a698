//! Typographic folding: one spelling for texts in which a reader sees the same characters.
//!
//! Composed letters (NFC), plain spaces, hyphens and quotation marks, and nothing that has no width. Letter case
//! and width are left alone, and so are compatibility forms (NFKC), which would make `10²` the same as `102`.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Returns `text` in its folded spelling; plain ASCII comes back as it is. Folding twice changes nothing more.
pub(super) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(visible(text).flat_map(plain).nfc().collect())
    }
}

/// The characters of `text` that are seen, or that change how their neighbours are.
fn visible(text: &str) -> impl Iterator<Item = char> {
    let mut rest = text.chars();
    let mut before = None;
    std::iter::from_fn(move || {
        loop {
            let c = rest.next()?;
            let is_seen = match c {
                '\u{200c}' => {
                    before.is_some_and(is_joining) && next_seen(rest.clone()).is_some_and(is_joining)
                }
                '\u{200d}' => before.is_some_and(is_joining),
                c => !is_invisible(c),
            };
            if is_seen {
                before = Some(c);
                return Some(c);
            }
        }
    })
}

/// The first character that is seen. It looks at a few only, so that a long row of joiners takes linear time.
fn next_seen(rest: std::str::Chars<'_>) -> Option<char> {
    rest.take(8).find(|c| !is_invisible(*c) && !matches!(c, '\u{200c}' | '\u{200d}'))
}

/// Whether `c` has neither width nor meaning: zero-width spaces, soft hyphens, marks of direction, and the
/// selectors between a character and its picture.
pub(super) const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{fe0e}' | '\u{fe0f}' | '\u{feff}')
}

/// Whether a joiner beside `c` carries meaning: in the scripts from Hebrew to those of India and South-East Asia,
/// and in pictures made of several.
const fn is_joining(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{10ff}' | '\u{1200}'..='\u{1cff}' | '\u{2190}'..='\u{2bff}' | '\u{a800}'..='\u{abff}'
        | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}' | '\u{10a00}'..='\u{1ffff}')
}

/// The plain spelling of one character.
fn plain(c: char) -> impl Iterator<Item = char> {
    let (plain, count) = match c {
        // No-break, thin, ideographic and other spaces.
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => (' ', 1),
        '\u{85}' | '\u{2028}' | '\u{2029}' => ('\n', 1),
        // Hyphens, dashes and the minus sign.
        '\u{2d7}'
        | '\u{2010}'..='\u{2015}'
        | '\u{2043}'
        | '\u{2212}'
        | '\u{fe58}'
        | '\u{fe63}'
        | '\u{ff0d}' => ('-', 1),
        // Single quotation marks, apostrophes and primes.
        '´'
        | '\u{1ffd}'
        | '\u{2b9}'
        | '\u{374}'
        | '\u{2bb}'
        | '\u{2bc}'
        | '\u{2018}'..='\u{201b}'
        | '\u{2032}'
        | '\u{2039}'
        | '\u{203a}'
        | '\u{275b}'
        | '\u{275c}'
        | '\u{ff07}' => ('\'', 1),
        // Double ones.
        '«'
        | '»'
        | '\u{201c}'..='\u{201f}'
        | '\u{2033}'
        | '\u{275d}'
        | '\u{275e}'
        | '\u{301d}'..='\u{301f}'
        | '\u{ff02}' => ('"', 1),
        '…' => ('.', 3),
        // The slash of fractions and of division.
        '\u{2044}' | '\u{2215}' => ('/', 1),
        // The micro sign has the look of the Greek letter.
        'µ' => ('μ', 1),
        other => (other, 1),
    };
    std::iter::repeat_n(plain, count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folding_keeps_what_a_reader_sees() {
        for (text, expected) in [
            ("New\u{a0}York", "New York"),
            ("New\u{202f}York\u{2009}x\u{3000}y", "New York x y"),
            ("line\u{2028}break\u{85}x", "line\nbreak\nx"),
            ("state\u{2011}of\u{2010}the\u{2011}art", "state-of-the-art"),
            ("3\u{2013}5, \u{2212}5", "3-5, -5"),
            ("Rubik\u{2019}s \u{201c}cube\u{201d}", "Rubik's \"cube\""),
            ("«oui» ‹non› „ja“ ‚nein‘", "\"oui\" 'non' \"ja\" 'nein'"),
            ("Hawai\u{2bb}i 5\u{2032} 3\u{2033}", "Hawai'i 5' 3\""),
            ("Zu\u{308}rich", "Zürich"),
            ("\u{212b}ngstro\u{308}m", "\u{c5}ngström"),
            ("Lis\u{200b}bon\u{2060}\u{feff}", "Lisbon"),
            ("co\u{ad}operate", "cooperate"),
            ("\u{202b}שלום\u{202c}\u{200f}", "שלום"),
            ("Lis\u{200d}bon\u{200c}", "Lisbon"),
            ("wait…", "wait..."),
            ("1\u{2044}2", "1/2"),
            ("5 µm", "5 μm"),
            ("❤\u{fe0f}", "❤"),
            ("10² ½ ﬁ Ａ", "10² ½ ﬁ Ａ"),
        ] {
            assert_eq!(fold(text), expected, "{text:?}");
        }
    }

    #[test]
    fn joiners_stay_where_they_carry_meaning() {
        for text in ["می\u{200c}خواهم", "ന\u{d4d}\u{200d}", "क\u{94d}\u{200d}ष", "👩\u{200d}💻"]
        {
            assert_eq!(fold(text), text);
        }
        assert_eq!(fold("می\u{200c} خواهم\u{200c}"), "می خواهم");
        assert_ne!(fold("می\u{200c}خواهم"), fold("میخواهم"));
    }

    #[test]
    fn a_long_row_of_joiners_takes_linear_time() {
        let started = std::time::Instant::now();
        let text = format!("ک{}ک", "\u{200c}".repeat(1 << 20));
        assert_eq!(fold(&text).chars().filter(|c| *c == 'ک').count(), 2);
        assert!(started.elapsed().as_secs() < 15);
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing_more(text in "([a-z \u{a0}\u{200b}-\u{200f}\u{2010}-\u{2044}´\u{308}\u{338}<=मی👩]|\\PC|\\p{M}|\\p{Cf}){0,30}") {
            let once = fold(&text).into_owned();
            prop_assert_eq!(fold(&once).into_owned(), once);
        }

        #[test]
        fn ascii_is_left_as_it_is(text in "[ -~\t\r\n]{0,60}") {
            prop_assert_eq!(&*fold(&text), text.as_str());
        }
    }
}
