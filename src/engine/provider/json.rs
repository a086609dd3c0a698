//! A lenient reader for the JSON of providers. Valid JSON is read as it is; a byte order mark, lone surrogates,
//! `NaN` and `Infinity` outside of strings, numbers beyond all bounds and raw control characters are repaired.
//!
//! One pass over the text and at most two parses; nesting is bounded by the parser.

use std::borrow::Cow;

use serde_json::Value;

/// Why a body is not JSON.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// No text in UTF-8, nor in UTF-16 with a byte order mark.
    Encoding,
    /// It ends in the middle.
    Incomplete(serde_json::Error),
    /// Anything else.
    Syntax(serde_json::Error),
}

/// Decodes a body as text, without its byte order mark.
pub(super) fn decode(body: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    match body {
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest),
        [0xff, 0xfe, rest @ ..] => Ok(utf16(rest, u16::from_le_bytes).into()),
        [0xfe, 0xff, rest @ ..] => Ok(utf16(rest, u16::from_be_bytes).into()),
        _ => utf8(body),
    }
}

/// Parses text as JSON, repaired where it has to be.
pub(super) fn parse(text: &str) -> Result<Value, Unreadable> {
    serde_json::from_str(text).or_else(|fault| {
        // The positions in the message are those of what was sent.
        serde_json::from_str(&repair(text)).map_err(|again| {
            if again.is_eof() { Unreadable::Incomplete(fault) } else { Unreadable::Syntax(fault) }
        })
    })
}

/// The value at `path`, such as `/choices/0/message`; none where there is none. As [`Value::pointer`] for plain names,
/// without the allocations that its escapes take.
pub(super) fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('/').skip(1).try_fold(value, |value, name| match value {
        Value::Object(fields) => fields.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

fn utf8(body: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    std::str::from_utf8(body).map(Cow::Borrowed).map_err(|_| Unreadable::Encoding)
}

fn utf16(body: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = body.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
    char::decode_utf16(units).map(|each| each.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// The text with all that can be repaired repaired. Valid JSON stays as it is, but for numbers that no `f64` holds.
fn repair(text: &str) -> String {
    let mut repaired = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '"' => string(rest, &mut repaired),
            '-' | '+' | '0'..='9' => number(rest, &mut repaired),
            'a'..='z' | 'A'..='Z' => word(rest, &mut repaired),
            '\0' => {
                repaired.push(' ');
                1
            }
            other => {
                repaired.push(other);
                other.len_utf8()
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    repaired
}

/// Copies the string that `text` begins with; returns its length in bytes.
fn string(text: &str, repaired: &mut String) -> usize {
    repaired.push('"');
    let mut at = 1;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ').unwrap_or(rest.len());
        repaired.push_str(rest.get(..plain).unwrap_or_default());
        at += plain;
        let rest = rest.get(plain..).unwrap_or_default();
        match rest.chars().next() {
            None => break,
            Some('"') => {
                repaired.push('"');
                return at + 1;
            }
            Some('\\') => at += escape(rest, repaired),
            Some(control) => {
                repaired.push_str(&format!("\\u{:04x}", u32::from(control)));
                at += 1;
            }
        }
    }
    at
}

/// Copies the escape that `text` begins with, U+FFFD for half of a pair; returns its length in bytes.
fn escape(text: &str, repaired: &mut String) -> usize {
    let escaped = text.chars().nth(1).map_or(0, char::len_utf8);
    let (whole, length) = match unit(text) {
        Some(0xd800..=0xdbff) => {
            let is_pair = text.get(6..).and_then(unit).is_some_and(|low| (0xdc00..=0xdfff).contains(&low));
            if is_pair { (text.get(..12), 12) } else { (Some("\\ufffd"), 6) }
        }
        Some(0xdc00..=0xdfff) => (Some("\\ufffd"), 6),
        _ => (text.get(..1 + escaped), 1 + escaped),
    };
    repaired.push_str(whole.unwrap_or_default());
    length
}

/// The UTF-16 unit of a `\uXXXX` that `text` begins with.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

/// Copies the number that `text` begins with, `null` for one beyond all bounds and for an infinity with a sign;
/// returns its length in bytes.
fn number(text: &str, repaired: &mut String) -> usize {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
    let length = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let digits = text.get(..length).unwrap_or_default();
    if let "-" | "+" = digits {
        let following = text.get(length..).unwrap_or_default();
        let name = name(following);
        if is_no_number(name) {
            repaired.push_str("null");
            return length + name.len();
        }
    }
    let is_beyond = digits.parse::<f64>().is_ok_and(f64::is_infinite);
    repaired.push_str(if is_beyond { "null" } else { digits });
    length
}

/// Copies the word that `text` begins with, `null` for what is no number; returns its length in bytes.
fn word(text: &str, repaired: &mut String) -> usize {
    let name = name(text);
    repaired.push_str(if is_no_number(name) { "null" } else { name });
    name.len()
}

fn name(text: &str) -> &str {
    let length = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    text.get(..length).unwrap_or_default()
}

fn is_no_number(name: &str) -> bool {
    ["nan", "inf", "infinity"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(body: &[u8]) -> Value {
        parse(&decode(body).unwrap()).unwrap()
    }

    #[test]
    fn a_path_leads_where_a_pointer_does() {
        let value = json!({"a": [{"b": 1}, null], "0": {"1": "x"}, "": 2, "c": "text"});
        for path in
            ["", "/a", "/a/0", "/a/0/b", "/a/1", "/a/2", "/a/b", "/a/-1", "/0/1", "/", "/c/0", "/d", "/a/1/b"]
        {
            assert_eq!(at(&value, path), value.pointer(path), "{path}");
        }
    }

    #[test]
    fn byte_order_marks_are_dropped() {
        assert_eq!(read(b"\xef\xbb\xbf{\"a\":1}"), json!({"a": 1}));
        let wide = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "\u{feff}{\"a\":\"é\u{1d54f}\"}".encode_utf16().flat_map(order).collect()
        };
        assert_eq!(read(&wide(u16::to_le_bytes)), json!({"a": "é\u{1d54f}"}));
        assert_eq!(read(&wide(u16::to_be_bytes)), json!({"a": "é\u{1d54f}"}));
        assert_eq!(read("{\"a\":\"\u{feff}\"}".as_bytes()), json!({"a": "\u{feff}"}), "inside it stays");
    }

    #[test]
    fn lone_surrogates_become_the_replacement_character() {
        let table = [
            (r#""yes \ud835""#, "yes \u{fffd}"),
            (r#""\ude00 yes""#, "\u{fffd} yes"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\uD83D\uD83D\uDE00""#, "\u{fffd}😀"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
            (r#""\ud83dé""#, "\u{fffd}é"),
            (r#""\\ud835 \ud835""#, "\\ud835 \u{fffd}"),
            (r#""\ud835\"""#, "\u{fffd}\""),
        ];
        for (text, expected) in table {
            assert_eq!(read(text.as_bytes()), json!(expected), "{text}");
        }
        assert_eq!(read(br#"{"\udc00k":1}"#), json!({"\u{fffd}k": 1}));
    }

    #[test]
    fn what_is_no_number_becomes_null_outside_of_strings_only() {
        let table = [
            ("NaN", json!(null)),
            (
                "[NaN,nan,Infinity,-Infinity,+Infinity,-inf,-NaN]",
                json!([null, null, null, null, null, null, null]),
            ),
            (
                r#"{"NaN":NaN,"a":"NaN, -Infinity","b":-1.5e3}"#,
                json!({"NaN": null, "a": "NaN, -Infinity", "b": -1500.0}),
            ),
            (r#"["\"NaN",NaN,true,false,null]"#, json!(["\"NaN", null, true, false, null])),
            ("[1e999,-1e999,1e-999]", json!([null, null, 0.0])),
            ("[\"a\0b\tc\",NaN]\0\0", json!(["a\0b\tc", null])),
        ];
        for (text, expected) in table {
            assert_eq!(read(text.as_bytes()), expected, "{text}");
        }
        for text in ["NaNs", "[nana]", "Infinity1", "[undefined]", "{'a':1}", "[1,]", "-", "[-]", "[+1]"] {
            assert!(matches!(parse(text), Err(Unreadable::Syntax(_) | Unreadable::Incomplete(_))), "{text}");
        }
    }

    #[test]
    fn text_that_ends_in_the_middle_is_told_from_other_faults() {
        for text in ["{\"choices\":[{\"mess", "[", "{\"a\":NaN", "\"\\ud8", "[\"a\\", ""] {
            assert!(matches!(parse(text), Err(Unreadable::Incomplete(_))), "{text}");
        }
        for text in ["data: {}", "{]", "{} {}", &"[".repeat(100_000)] {
            assert!(matches!(parse(text), Err(Unreadable::Syntax(_))), "{text:.20}");
        }
        assert!(matches!(decode(b"{\"a\":\"\xff\"}"), Err(Unreadable::Encoding)));
    }

    #[test]
    fn megabytes_of_repairs_take_linear_time() {
        let text = format!("[\"{}\",{}1]", r"\ud835".repeat(300_000), "NaN,".repeat(300_000));
        let started = std::time::Instant::now();
        assert_eq!(parse(&text).unwrap().as_array().unwrap().len(), 300_002);
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(Value::from("NaN -Infinity \\ud835 \u{feff}\0")),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn valid_json_is_left_as_it_is(value in values(), is_indented in any::<bool>()) {
            let text = if is_indented { format!("{value:#}") } else { value.to_string() };
            prop_assert_eq!(repair(&text), text.clone());
            prop_assert_eq!(parse(&text).unwrap().to_string(), serde_json::from_str::<Value>(&text).unwrap().to_string());
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>(), tail in r#"[\\"u0-9a-fNaIinfty+.,\-]{0,40}"#) {
            let _ = parse(&text);
            let _ = parse(&format!("[\"{text}{tail}"));
            let _ = parse(&tail);
        }
    }
}
