//! JSON in a response: found, read strictly, and brought into one spelling.
//!
//! What counts as right is for `equal` and `schema` to say. Nothing is repaired: a trailing comma, a comment
//! or a single quote is no JSON.

mod blocks;
mod bounds;
pub(super) mod equal;
pub(super) mod schema;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, json};

use super::Outcome;
use super::criteria::Criteria;
use blocks::{blocks, trimmed};

/// Where JSON is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Search {
    /// In the whole response and in its fenced blocks.
    Blocks,
    /// Also in the prose.
    Prose,
}

/// Most brackets in prose that turn out to begin no JSON.
const MAX_ATTEMPTS: u32 = 2_000;
/// Name of the parameter for [`Search`].
const IN_PROSE: &str = "in_prose";

impl Search {
    fn parse(criteria: &Criteria<'_>) -> crate::error::Result<Self> {
        Ok(if criteria.flag(IN_PROSE, false)? { Self::Prose } else { Self::Blocks })
    }

    fn is_in_prose(self) -> bool {
        self == Self::Prose
    }
}

/// The JSON of the response, and the text that it was read from: the whole; or its last block marked `json`, which
/// must be JSON then; or its last block that is JSON; or what stands in the prose, where that counts.
///
/// Names given twice, numbers too large for 64 bits, NaN and more than 127 levels are no JSON here: readers
/// do not agree on what they mean. Takes time linear in the response.
fn find(response: &str, search: Search) -> Result<(&str, Value), Outcome> {
    let whole = trimmed(response);
    let problem = match read(whole) {
        Ok(value) => return Ok((whole, value)),
        Err(problem) => problem,
    };
    let mut blocks = blocks(response);
    blocks.retain(|block| !block.text.is_empty());
    if let Some(block) = blocks.iter().rev().find(|block| block.is_json) {
        return read(block.text)
            .map(|value| (block.text, value))
            .map_err(|problem| unreadable(block.text, &problem));
    }
    let readable = blocks.iter().rev().find_map(|block| Some((block.text, read(block.text).ok()?)));
    let found = readable.or_else(|| if search.is_in_prose() { last_in_prose(whole) } else { None });
    found.ok_or_else(|| match blocks.last().map(|block| (block.text, read(block.text))) {
        Some((text, Err(problem))) => unreadable(text, &problem),
        _ => unreadable(whole, &problem),
    })
}

/// The last object in `text`, alone or in a list; without any the last list. It gives up behind
/// [`MAX_ATTEMPTS`] brackets that begin no JSON: each may have the text behind it read again.
fn last_in_prose(text: &str) -> Option<(&str, Value)> {
    let (mut object, mut list) = (None, None);
    let (mut at, mut failed) = (0, 0);
    while let Some(start) = text.get(at..).and_then(|rest| rest.find(['{', '['])).map(|found| at + found)
        && failed < MAX_ATTEMPTS
    {
        let rest = text.get(start..)?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Strict>();
        let read = values.next().and_then(Result::ok);
        at = start + read.as_ref().map_or(1, |_| values.byte_offset());
        failed += u32::from(read.is_none());
        if let Some(Strict(value)) = read {
            let has_object =
                value.is_object() || value.as_array().is_some_and(|items| items.iter().any(Value::is_object));
            *(if has_object { &mut object } else { &mut list }) = Some((text.get(start..at)?, value));
        }
    }
    object.or(list)
}

fn unreadable(text: &str, problem: &str) -> Outcome {
    Outcome::unreadable(Some(text)).with_details(json!({"problem": problem}))
}

/// One JSON value and nothing else; the problem in words when it is none.
fn read(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map(|Strict(value)| value).map_err(|problem| problem.to_string())
}

/// The value with the names of every object in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            members.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        plain => plain.clone(),
    }
}

/// A value whose objects name nothing twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if read.contains_key(&name) {
                let shown: String = name.chars().take(40).collect();
                return Err(A::Error::custom(format_args!("'{shown}' is given twice")));
            }
            read.insert(name, value);
        }
        Ok(Value::Object(read))
    }
}
