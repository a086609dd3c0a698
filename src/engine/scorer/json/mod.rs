//! JSON in a response: found, read strictly, and brought into one spelling.
//!
//! What counts as right is for `equal` and `schema` to say. Nothing is repaired: a trailing comma, a comment
//! or a single quote is no JSON.

mod bounds;
pub(super) mod equal;
pub(super) mod schema;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, json};

use super::Outcome;

const FENCE: &str = "```";

/// The response, or else its first fenced block, as JSON, and the text that it was read from.
///
/// Names given twice, numbers too large for 64 bits, NaN and more than 127 levels are no JSON here: readers
/// do not agree on what they mean. Takes time linear in the response.
fn find(response: &str) -> Result<(&str, Value), Outcome> {
    let whole = response.trim();
    let problem = match read(whole) {
        Ok(value) => return Ok((whole, value)),
        Err(problem) => problem,
    };
    let Some(block) = first_block(response) else { return Err(unreadable(whole, &problem)) };
    read(block).map(|value| (block, value)).map_err(|problem| unreadable(block, &problem))
}

fn unreadable(text: &str, problem: &str) -> Outcome {
    Outcome::unreadable(Some(text)).with_details(json!({"problem": problem}))
}

/// One JSON value and nothing else; the problem in words when it is none.
fn read(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map(|Strict(value)| value).map_err(|problem| problem.to_string())
}

/// What stands between the first two lines that begin with three backticks, or after the only such line.
fn first_block(response: &str) -> Option<&str> {
    let mut fences = fences(response);
    let (_, begin) = fences.next()?;
    let end = fences.next().map_or(response.len(), |(start, _)| start);
    response.get(begin..end).map(str::trim)
}

/// Where each fence line begins and ends.
fn fences(response: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut start = 0;
    let places = response.split_inclusive('\n').map(move |line| {
        let place = (start, start + line.len());
        start = place.1;
        (line, place)
    });
    places.filter(|(line, _)| line.trim_start().starts_with(FENCE)).map(|(_, place)| place)
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
