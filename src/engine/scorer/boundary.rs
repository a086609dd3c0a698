//! Word boundaries: whether a part of a text stands there as words of their own.
//!
//! Texts are spelled as `normal::spell` does it. Scripts without spaces between words have no boundaries to look
//! for: between two ideographs any place will do.

/// Prefixes that, with a hyphen, make a word into another one.
const PREFIXES: [&str; 27] = [
    "non", "un", "in", "im", "il", "ir", "dis", "mis", "anti", "not", "no", "de", "dys", "contra", "counter",
    "pseudo", "quasi", "semi", "half", "near", "ex", "sub", "under", "over", "nicht", "não", "не",
];
/// Longest of them, in bytes, with room to spare.
const MAX_PREFIX: usize = 16;

/// Whether the part of `text` from byte `start` to `end` has a word boundary on both sides.
pub(super) fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let (Some(before), Some(part), Some(after)) = (text.get(..start), text.get(start..end), text.get(end..))
    else {
        return false;
    };
    begins(before, part) && ends(part, after)
}

/// Whether `c` belongs to a word.
pub(super) fn is_in_word(c: char) -> bool {
    c.is_alphanumeric()
        || unicode_normalization::char::is_combining_mark(c)
        || matches!(c, '\u{200c}' | '\u{200d}')
}

/// Whether words of the script of `c` are written without spaces between them.
pub(super) const fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{f00}'..='\u{fff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{2fff}' | '\u{3005}'..='\u{30ff}' | '\u{31f0}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

const fn is_hangul(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7ff}')
}

fn begins(before: &str, part: &str) -> bool {
    let (Some(last), Some(first)) = (before.chars().next_back(), part.chars().next()) else { return true };
    if is_unspaced(last) || is_unspaced(first) {
        return true;
    }
    if !is_in_word(first) {
        return !continues_number(before, part);
    }
    if is_in_word(last) {
        return false;
    }
    let outer = before.strip_suffix(last).unwrap_or_default();
    let follows_word = outer.ends_with(is_in_word);
    let follows_digit = outer.ends_with(|c: char| c.is_ascii_digit());
    match last {
        // 3.5, 1,234, 10:30, 3/4, 2^5 and 3-5 do not hold the number behind their mark, nor do -5 and .5.
        '.' | ',' | ':' | '/' | '^' if first.is_ascii_digit() => {
            !follows_digit && (last != '.' || follows_word || outer.ends_with('.'))
        }
        '-' if first.is_ascii_digit() => !follows_digit && follows_closed(outer),
        '-' if follows_word => !is_prefix(outer),
        // The t of isn't is no word, but the Italie of l'Italie is.
        '\'' if follows_word => word_at_start(part).chars().count() > 2,
        '_' => !follows_word,
        _ => true,
    }
}

fn ends(part: &str, after: &str) -> bool {
    let (Some(last), Some(next)) = (part.chars().next_back(), after.chars().next()) else { return true };
    if is_unspaced(last) || is_unspaced(next) || !is_in_word(last) {
        return true;
    }
    if is_in_word(next) {
        // Korean joins particles to its nouns.
        return is_hangul(last) && is_hangul(next);
    }
    let mut rest = after.chars().skip(1);
    let beyond = rest.next();
    let meets = |wanted: fn(char) -> bool| beyond.is_some_and(wanted);
    match next {
        '.' | ',' | ':' | '/' | '^' | '-' if last.is_ascii_digit() => !meets(|c| c.is_ascii_digit()),
        // C is not in C++ or C#, nor O in O-, but a is in a+b.
        '+' | '#' if last.is_alphabetic() => meets(is_in_word),
        '-' if last.is_alphabetic() && word_at_end(part).chars().count() <= 2 => meets(is_in_word),
        // Can is not in can't.
        '\'' => beyond != Some('t') || rest.next().is_some_and(is_in_word),
        '_' => !meets(is_in_word),
        _ => true,
    }
}

/// Whether `part` begins in the middle of a number, as the `.5` of `3.5` and the `-5` of `3-5` do.
fn continues_number(before: &str, part: &str) -> bool {
    let mut chars = part.chars();
    let is_mark = matches!(chars.next(), Some('.' | ',' | ':' | '/' | '^' | '-' | '+'));
    is_mark && chars.next().is_some_and(|c| c.is_ascii_digit()) && before.ends_with(is_in_word)
}

/// Whether a dash behind `outer` joins or subtracts, and is no sign.
fn follows_closed(outer: &str) -> bool {
    outer.ends_with(|c: char| is_in_word(c) || matches!(c, ')' | ']' | '}' | '%'))
}

fn is_prefix(outer: &str) -> bool {
    let near =
        outer.get(outer.ceil_char_boundary(outer.len().saturating_sub(MAX_PREFIX))..).unwrap_or_default();
    let word = word_at_end(near);
    PREFIXES.iter().any(|prefix| word.to_lowercase() == *prefix)
}

fn word_at_end(text: &str) -> &str {
    let end = text.trim_end_matches(is_in_word).len();
    text.get(end..).unwrap_or_default()
}

fn word_at_start(text: &str) -> &str {
    let rest = text.trim_start_matches(is_in_word);
    text.strip_suffix(rest).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether any place of `part` in `text` has boundaries on both sides.
    fn found(text: &str, part: &str) -> bool {
        text.match_indices(part).any(|(start, part)| stands_alone(text, start, start + part.len()))
    }

    #[test]
    fn words_stand_alone_only_between_boundaries() {
        for (text, part) in [
            ("the claim is incorrect", "correct"),
            ("notably", "no"),
            ("a smart plan", "art"),
            ("non-valid", "valid"),
            ("it is un-fair", "fair"),
            ("711", "11"),
            ("3.5", "5"),
            ("3.5", "3"),
            ("3.5", ".5"),
            ("1,234", "234"),
            ("10:30", "30"),
            ("3/4", "4"),
            ("2019-2020", "2020"),
            ("x is -5", "5"),
            ("it is .5", "5"),
            ("3-5", "-5"),
            ("h2o", "2"),
            ("isn't", "t"),
            ("i can't", "can"),
            ("snake_case", "case"),
            ("c++ and c#", "c"),
            ("o- blood", "o"),
            ("불공정", "공정"),
            ("naïve", "na"),
            ("неверно", "верно"),
        ] {
            assert!(!found(text, part), "{part} in {text}");
        }
    }

    #[test]
    fn words_stand_alone_beside_marks_and_in_scripts_without_spaces() {
        for (text, part) in [
            ("in paris, say", "paris"),
            ("paris-based", "paris"),
            ("bose-einstein", "einstein"),
            ("rubik's cube", "rubik"),
            ("l'italie", "italie"),
            ("_art_ and", "art"),
            ("(x)-5", "5"),
            ("covid-19", "19"),
            ("x = 5, say", "5"),
            ("x=5", "5"),
            ("$5.", "5"),
            ("5%", "5"),
            ("is it 5...", "5"),
            ("a+b", "a"),
            ("c, c++", "c"),
            ("i like c++ best", "c++"),
            ("x is -5", "-5"),
            ("東京は首都です", "東京"),
            ("答案是42。", "42"),
            ("答案是正确", "正确"),
            ("ภาษาไทย", "ไทย"),
            ("정답은 서울입니다", "서울"),
            ("", ""),
        ] {
            assert!(found(text, part), "{part} in {text}");
        }
    }
}
