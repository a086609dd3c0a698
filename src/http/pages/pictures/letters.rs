//! Text as the pictures' font draws it: which letters it has, how wide they are, and what goes where a text does not
//! fit. It knows nothing of what the text says.

use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The name of the font, as drawings ask for it.
pub(super) const FAMILY: &str = "Noto Sans";
/// Its files: regular and bold.
pub(super) const FILES: [&[u8]; 2] = [notosans::REGULAR_TTF, notosans::BOLD_TTF];

/// Stands for a letter that the font does not have.
const BOX: char = '□';
/// Stands for what was cut off.
const ELLIPSIS: char = '…';

/// Letters of one kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letters {
    file: &'static [u8],
    size: f32,
}

impl Letters {
    /// Regular ones, `size` pixels high.
    #[must_use]
    pub(super) const fn regular(size: f32) -> Self {
        Self { file: notosans::REGULAR_TTF, size }
    }

    /// Bold ones.
    #[must_use]
    pub(super) const fn bold(size: f32) -> Self {
        Self { file: notosans::BOLD_TTF, size }
    }

    /// How many pixels `text` takes.
    #[must_use]
    pub(super) fn width(self, text: &str) -> f32 {
        self.widths(text).iter().map(|(_, width)| width).sum()
    }

    /// As much of `text`, which came from outside, as `room` pixels hold; an ellipsis says that there was more.
    #[must_use]
    pub(super) fn fit(self, text: &str, room: f32) -> String {
        let text = plain(text);
        let widths = self.widths(&text);
        if widths.iter().map(|(_, width)| width).sum::<f32>() <= room {
            return text;
        }
        let mut left = room - self.width(&ELLIPSIS.to_string());
        let fits = widths.iter().take_while(|(_, width)| {
            left -= width;
            left >= 0.0
        });
        let kept: String = fits.map(|(letter, _)| letter).collect();
        format!("{}{ELLIPSIS}", kept.trim_end())
    }

    /// `text` on at most `most` lines of `room` pixels, broken between words; the last one is cut where it is too
    /// long.
    #[must_use]
    pub(super) fn wrap(self, text: &str, room: f32, most: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let fits = |line: &&mut String| self.width(&format!("{line} {word}")) <= room;
            let is_last = lines.len() == most;
            match lines.last_mut().filter(|line| is_last || fits(line)) {
                Some(line) => *line = format!("{line} {word}"),
                None => lines.push(word.to_owned()),
            }
        }
        lines.iter().map(|line| self.fit(line, room)).collect()
    }

    /// Each letter with its width; without kerning, which makes text narrower if anything.
    fn widths(self, text: &str) -> Vec<(char, f32)> {
        let Ok(font) = FontRef::new(self.file) else { return Vec::new() };
        let (letters, metrics) =
            (font.charmap(), font.glyph_metrics(Size::new(self.size), LocationRef::default()));
        let width = |letter| metrics.advance_width(letters.map(letter).unwrap_or_default()).unwrap_or(0.0);
        text.chars().map(|letter| (letter, width(letter))).collect()
    }
}

/// `text` in letters that the font has: a box for a letter of a script that it does not, nothing for emoji, marks
/// that stand over others, and what has no shape at all.
fn plain(text: &str) -> String {
    let Ok(font) = FontRef::new(notosans::REGULAR_TTF) else { return String::new() };
    let known = font.charmap();
    let letters = text.nfc().filter_map(|letter| match letter {
        letter if letter.is_whitespace() => Some(' '),
        letter if letter.is_control() || is_combining_mark(letter) => None,
        letter if has_shape(letter) && known.map(letter).is_some() => Some(letter),
        letter => letter.is_alphanumeric().then_some(BOX),
    });
    let letters: String = letters.collect();
    let words: Vec<&str> = letters.split_whitespace().collect();
    if words.is_empty() { BOX.to_string() } else { words.join(" ") }
}

/// Whether a letter is no mark for the direction or the joining of others, which fonts may have without a shape.
const fn has_shape(letter: char) -> bool {
    !matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Letters = Letters::regular(20.0);

    #[test]
    fn the_font_can_be_read_and_bold_is_wider() {
        assert!(FILES.iter().all(|file| FontRef::new(file).is_ok()));
        let [regular, bold] = [SMALL, Letters::bold(20.0)].map(|letters| letters.width("Evalboard 82.1"));
        assert!(regular > 100.0 && bold > regular, "{regular} {bold}");
        assert_eq!(SMALL.width("111"), SMALL.width("808"), "figures have one width");
    }

    #[test]
    fn a_text_that_is_too_long_ends_with_an_ellipsis_within_its_room() {
        assert_eq!(SMALL.fit("Claude", 200.0), "Claude");
        let cut = SMALL.fit(&"Wide ".repeat(20), 100.0);
        assert!(cut.starts_with("Wide W") && cut.ends_with('…') && SMALL.width(&cut) <= 100.0, "{cut}");
        assert_eq!(SMALL.fit("Claude", 1.0), "…");
    }

    #[test]
    fn letters_that_the_font_lacks_are_boxes_and_what_is_no_letter_goes() {
        for (text, shown) in [
            ("Ägypten Ελλάδα Киев", "Ägypten Ελλάδα Киев"),
            ("A\u{308}gypten", "Ägypten"),
            ("通义 3", "□□ 3"),
            ("\u{202e}شبكة\u{2066}", "□□□□"),
            ("🚀 Rocket 🚀", "Rocket"),
            ("🚀", "□"),
            ("a\u{0}\u{fffe}\u{200b}b\n\tc", "ab c"),
            ("Z\u{335}\u{336}\u{337}algo", "Zalgo"),
            ("", "□"),
        ] {
            assert_eq!(plain(text), shown, "{text:?}");
        }
    }

    #[test]
    fn lines_break_between_words_and_the_last_one_is_cut() {
        let lines = SMALL.wrap("one two three four five six", 80.0, 2);
        assert_eq!(lines, ["one two", "three f…"]);
        assert!(lines.iter().all(|line| SMALL.width(line) <= 80.0));
        assert_eq!(SMALL.wrap("one", 80.0, 2), ["one"]);
    }
}
