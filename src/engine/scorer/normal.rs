//! One spelling for texts that a reader would call the same: letter case, width, punctuation at the edges.
//!
//! It does not decide what counts as equal; each scorer picks what it needs. It composes (NFC) but does not
//! use compatibility forms (NFKC), which would make `10²` the same as `102` and `1½` the same as `11/2`.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::decompose_compatible;

use super::fold::fold;

/// Whether upper and lower case are the same letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// They are.
    Ignored,
    /// They are not.
    Kept,
}

impl Case {
    /// From a scorer's `ignore_case`.
    pub(super) fn ignored(ignore: bool) -> Self {
        if ignore { Self::Ignored } else { Self::Kept }
    }

    /// The scorer's `ignore_case`.
    pub(super) fn is_ignored(self) -> bool {
        self == Self::Ignored
    }
}

/// Returns `text` typographically folded, in ordinary width and, where case is ignored, case-folded.
pub(super) fn spell(text: &str, case: Case) -> String {
    let text = fold(text);
    match case {
        Case::Ignored if text.is_ascii() => text.to_ascii_lowercase(),
        Case::Kept if text.is_ascii() => text.into_owned(),
        // Width and case may leave letters uncomposed.
        Case::Kept => text.chars().flat_map(plain_form).map(narrow_char).nfc().collect(),
        Case::Ignored => {
            text.chars().flat_map(plain_form).map(narrow_char).nfc().flat_map(fold_case).nfc().collect()
        }
    }
}

/// Returns `text` with one space for each run of white space and none around it.
pub(super) fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns `text` with one space for each run of white space, also around it.
pub(super) fn single_spaced(text: &str) -> String {
    let mut is_after_space = false;
    let mut spaced = String::with_capacity(text.len());
    for c in text.chars() {
        let is_space = c.is_whitespace();
        if !is_space {
            spaced.push(c);
        } else if !is_after_space {
            spaced.push(' ');
        }
        is_after_space = is_space;
    }
    spaced
}

/// `text` composed and in ordinary width: `（４２）` becomes `(42)`, and the minus sign a hyphen.
pub(super) fn narrow(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { text.nfc().map(narrow_char).collect() }
}

/// `text` without the white space and punctuation around it. What begins a number stays: `(-5).` is `-5`.
pub(super) fn strip_edges(text: &str) -> &str {
    let is_edge = |c: char| c.is_whitespace() || is_punctuation(c);
    let ended = text.trim_end_matches(is_edge);
    let body = ended.trim_start_matches(is_edge);
    if !body.starts_with(|c: char| c.is_ascii_digit()) {
        return body;
    }
    let lead = ended.strip_suffix(body).unwrap_or_default();
    ended.get(number_start(lead)..).unwrap_or(body)
}

/// Returns `text` without the white space and punctuation around it, but with what belongs to a name or a number:
/// `C++.` is `C++`, `(O-)` is `O-`, `.NET` and `-5` stay.
pub(super) fn strip_marks(text: &str) -> &str {
    let is_edge = |c: char| c.is_whitespace() || is_punctuation(c);
    let bare = text.trim_end_matches(is_edge);
    let marks = text.strip_prefix(bare).unwrap_or_default();
    let kept = marks.find(|c| !matches!(c, '+' | '-' | '#')).unwrap_or(marks.len());
    let ended = text.get(..bare.len() + kept).unwrap_or(bare);
    let body = ended.trim_start_matches(is_edge);
    let lead = ended.strip_suffix(body).unwrap_or_default();
    let start = match body.chars().next() {
        Some(c) if c.is_ascii_digit() => number_start(lead),
        Some(c) if c.is_alphabetic() && lead.ends_with('.') && !lead.ends_with("..") => lead.len() - 1,
        _ => lead.len(),
    };
    if bare.is_empty() { "" } else { ended.get(start..).unwrap_or(body) }
}

/// Whether `c` is punctuation, an ASCII symbol or a currency sign.
pub(super) fn is_punctuation(c: char) -> bool {
    let is_mark = matches!(c,
        '¡' | '§' | '«' | '¶' | '·' | '»' | '¿' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}'
        | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{ff61}'..='\u{ff65}');
    c.is_ascii_punctuation() || is_mark || is_currency(c)
}

/// Whether `c` is a currency sign.
pub(super) fn is_currency(c: char) -> bool {
    matches!(c, '$' | '¢'..='¥' | '\u{20a0}'..='\u{20cf}')
}

/// Whether `c` joins words or numbers: a hyphen or one of its longer kin.
pub(super) fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}')
}

/// Where in `lead`, the punctuation before a digit, the number begins: at a sign or a lone decimal point.
fn number_start(lead: &str) -> usize {
    let before_point = lead.strip_suffix('.').filter(|rest| !rest.ends_with('.')).unwrap_or(lead);
    match before_point.trim_end_matches(is_currency).strip_suffix('-') {
        Some(before_sign) => before_sign.len(),
        None => before_point.len(),
    }
}

fn narrow_char(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        '\u{2212}' | '\u{fe63}' => '-',
        other => other,
    }
}

/// The letters of Japanese in half width, in full width, and letters of mathematical alphabets as plain ones; all
/// others as they are.
fn plain_form(c: char) -> impl Iterator<Item = char> {
    let mut found = [None; 4];
    let mut slots = found.iter_mut();
    let mut take = |part| {
        if let Some(slot) = slots.next() {
            *slot = Some(part);
        }
    };
    match c {
        '\u{ff61}'..='\u{ff9f}' | '\u{1d400}'..='\u{1d7ff}' => decompose_compatible(c, take),
        other => take(other),
    }
    found.into_iter().flatten()
}

/// Lower, upper, lower again: what full case folding does for `ß`, `ẞ`, `ς` and ligatures. It goes one letter
/// further and takes Turkish `ı` for `i`.
pub(super) fn fold_case(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_folds_beyond_ascii() {
        for (one, other) in [
            ("STRASSE", "straße"),
            ("STRAẞE", "strasse"),
            ("ΟΔΟΣ", "οδος"),
            ("οδος", "οδοσ"),
            ("ÉCOLE", "e\u{301}cole"),
            ("ﬁn", "FIN"),
            ("Ｋ", "k"),
            ("\u{212a}", "k"),
            ("ДА", "да"),
            ("\u{390}", "\u{3aa}\u{301}"),
            ("ｶﾞｲﾄﾞ", "ガイド"),
            ("𝐁 𝑥", "b X"),
        ] {
            assert_eq!(spell(one, Case::Ignored), spell(other, Case::Ignored), "{one} {other}");
        }
        assert_ne!(spell("10²", Case::Ignored), "102");
        assert_ne!(spell("A", Case::Kept), spell("a", Case::Kept));
        assert_eq!(spell("e\u{301}（１）", Case::Kept), "é(1)");
    }

    #[test]
    fn marks_of_names_stay_at_the_edges() {
        for (text, expected) in [
            ("It is C++.", "It is C++"),
            ("(C#)", "C#"),
            ("**O-**", "O-"),
            (".NET!", ".NET"),
            ("...net", "net"),
            ("Paris - ", "Paris"),
            ("# Paris", "Paris"),
            ("(-5).", "-5"),
            ("5%", "5"),
            ("$5", "5"),
            ("++", ""),
            ("Lisbon.", "Lisbon"),
        ] {
            assert_eq!(strip_marks(text), expected, "{text}");
        }
    }

    #[test]
    fn edges_go_and_what_begins_a_number_stays() {
        for (text, expected) in [
            ("  **Paris.** ", "Paris"),
            ("“Paris”", "Paris"),
            ("(-5).", "-5"),
            ("+5", "5"),
            (".5!", ".5"),
            ("-.5", "-.5"),
            ("...5", "5"),
            ("-$5", "-$5"),
            ("$5", "5"),
            ("5 €", "5"),
            ("- 5", "5"),
            ("--", ""),
            ("", ""),
            ("don't", "don't"),
        ] {
            assert_eq!(strip_edges(text), expected, "{text}");
        }
    }
}
