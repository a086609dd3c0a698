//! Tags that stand around a model's thinking: `<think>`, `[THINK]`, `◁think▷` and the channels of the harmony format.

/// Names of elements, in small letters.
const NAMES: [&str; 6] = ["think", "thinking", "thought", "thoughts", "reasoning", "seed:think"];
/// Tags that are fixed texts.
const FIXED: [(&str, Kind); 4] =
    [("[THINK]", Kind::Open), ("[/THINK]", Kind::Close), ("◁think▷", Kind::Open), ("◁/think▷", Kind::Close)];
const CHANNEL: &str = "<|channel|>";
const MESSAGE: &str = "<|message|>";
/// Longest attributes of a tag, and longest header of a channel, in bytes.
const MAX_HEADER: usize = 200;

/// The side of the thinking that a tag stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    Close,
}

/// A tag, and where it stands, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Returns the tags of `text`, in order. Takes time proportional to its length.
pub(super) fn tags(text: &str) -> Vec<Tag> {
    let mut tags: Vec<Tag> = Vec::new();
    for (start, _) in text.match_indices(['<', '[', '◁']) {
        let rest = text.get(start..).unwrap_or_default();
        let found = fixed(rest).or_else(|| channel(rest)).or_else(|| element(rest));
        tags.extend(found.map(|(kind, length)| Tag { kind, start, end: start + length }));
    }
    tags
}

fn fixed(rest: &str) -> Option<(Kind, usize)> {
    FIXED.iter().find(|(tag, _)| rest.starts_with(tag)).map(|(tag, kind)| (*kind, tag.len()))
}

/// `<|channel|>analysis<|message|>`: every channel but `final` is thinking. A header that was cut off is none of `final`.
fn channel(rest: &str) -> Option<(Kind, usize)> {
    let header = rest.strip_prefix(CHANNEL)?;
    let header = header.get(..header.floor_char_boundary(MAX_HEADER)).unwrap_or(header);
    let Some((name, _)) = header.split_once(MESSAGE) else { return Some((Kind::Open, CHANNEL.len())) };
    let kind = if name.trim_start().starts_with("final") { Kind::Close } else { Kind::Open };
    Some((kind, CHANNEL.len() + name.len() + MESSAGE.len()))
}

/// `<think>`, `<THINK class="x">`, `</think >`.
fn element(rest: &str) -> Option<(Kind, usize)> {
    let inside = rest.strip_prefix('<')?;
    let inside = inside.get(..inside.floor_char_boundary(MAX_HEADER)).unwrap_or(inside);
    let (inside, _) = inside.split_once('>')?;
    let (kind, named) = match inside.strip_prefix('/') {
        Some(named) => (Kind::Close, named),
        None => (Kind::Open, inside),
    };
    let is_named = |c: char| c.is_ascii_alphabetic() || c == ':';
    let name = named.trim_start_matches(is_named);
    let (name, attributes) = (named.strip_suffix(name)?, name);
    let is_known = NAMES.iter().any(|known| known.eq_ignore_ascii_case(name));
    let is_apart = attributes.is_empty() || attributes.starts_with(char::is_whitespace);
    let is_plain = !attributes.contains('<') && !attributes.ends_with('/');
    (is_known && is_apart && is_plain).then(|| (kind, '<'.len_utf8() + inside.len() + '>'.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(Kind, &str)> {
        tags(text).into_iter().map(|tag| (tag.kind, &text[tag.start..tag.end])).collect()
    }

    #[test]
    fn tags_are_found_in_every_spelling() {
        for (text, kind) in [
            ("<think>", Kind::Open),
            ("<Thinking>", Kind::Open),
            ("<thought class=\"a\">", Kind::Open),
            ("<reasoning effort='high' >", Kind::Open),
            ("<seed:think>", Kind::Open),
            ("[THINK]", Kind::Open),
            ("◁think▷", Kind::Open),
            ("<|channel|>analysis<|message|>", Kind::Open),
            ("<|channel|>commentary to=functions.x <|constrain|>json<|message|>", Kind::Open),
            ("</think>", Kind::Close),
            ("</THINKING >", Kind::Close),
            ("[/THINK]", Kind::Close),
            ("◁/think▷", Kind::Close),
            ("<|channel|>final<|message|>", Kind::Close),
            ("<|channel|>final <|constrain|>json<|message|>", Kind::Close),
        ] {
            assert_eq!(found(&format!("a{text}b")), [(kind, text)], "{text}");
        }
    }

    #[test]
    fn what_only_begins_like_a_tag_is_none() {
        for text in
            ["<thinker>", "<think/>", "< think>", "<think", "<think <b>", "[think]", "<b>", "x < y > z"]
        {
            assert_eq!(found(text), [], "{text}");
        }
        assert_eq!(found("<|channel|>anal"), [(Kind::Open, "<|channel|>")]);
    }
}
