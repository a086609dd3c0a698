//! What a schema may demand of whoever validates against it, judged before anything is validated.
//!
//! A validator follows references as often as they are made, so a page of schema can ask for more steps than
//! there are atoms. Not judged here: whether the schema means anything.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// Largest schema, in bytes of JSON.
const MOST_BYTES: usize = 64 * 1024;
/// Most objects of a schema: each takes stack while it is open.
const MOST_OBJECTS: usize = 5_000;
/// Most levels of a schema.
const MOST_LEVELS: usize = 64;
/// Most references once every reference is written out in its place.
const MOST_STEPS: usize = 10_000;
/// Most places that references lead to.
const MOST_PLACES: usize = 200;
/// Most regular expressions: each takes memory of its own once it is compiled.
const MOST_PATTERNS: usize = 64;
/// Most `unevaluated...` keywords once every reference is written out: each doubles the work of those inside.
const MOST_UNEVALUATED: usize = 8;

/// What is known of a schema that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Demand {
    /// How many objects it is made of. No more of them can be open at once on one value; and on a value with
    /// all inside it, unless it is recursive.
    pub(super) objects: usize,
    /// How many values it is made of, the choices of an `enum` included: no value of a response is compared with more.
    pub(super) values: usize,
    /// Whether it leads back into itself, as a schema of trees does.
    pub(super) is_recursive: bool,
}

/// What a schema demands.
///
/// # Errors
/// What is too much, or leads outside, in words that follow `schema`.
pub(super) fn judge(schema: &Value) -> Result<Demand, String> {
    if schema.to_string().len() > MOST_BYTES {
        return Err("must be at most 64 KB".to_owned());
    }
    if levels(schema) > MOST_LEVELS {
        return Err(format!("must be at most {MOST_LEVELS} levels deep"));
    }
    let draft = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
    if ["draft-03", "draft-04"].iter().any(|old| draft.contains(old)) {
        // There, a plain id would let references lead elsewhere unseen.
        return Err("must be of draft 6 or later".to_owned());
    }
    let mut all = Part::default();
    all.take(schema, Whereabouts::Top)?;
    if all.objects > MOST_OBJECTS {
        return Err(format!("must hold at most {MOST_OBJECTS} objects"));
    }
    if all.patterns > MOST_PATTERNS {
        return Err(format!("must hold at most {MOST_PATTERNS} patterns"));
    }
    let places = places(schema, &all)?;
    let mut walk = Walk { places: &places, done: HashMap::new(), open: HashSet::new(), is_recursive: false };
    let (steps, unevaluated) = walk.from("#");
    if steps > MOST_STEPS {
        return Err(format!(
            "refers to itself too often: written out it has more than {MOST_STEPS} references"
        ));
    }
    if unevaluated > if walk.is_recursive { 0 } else { MOST_UNEVALUATED } {
        return Err(format!(
            "must use unevaluatedItems and unevaluatedProperties at most {MOST_UNEVALUATED} times, and not at \
             all where it leads back into itself"
        ));
    }
    Ok(Demand { objects: all.objects, values: values(schema), is_recursive: walk.is_recursive })
}

fn levels(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(levels).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        _ => 0,
    }
}

/// Counts the values that JSON is made of, itself included.
pub(super) fn values(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(values).sum::<usize>(),
        Value::Array(items) => 1 + items.iter().map(values).sum::<usize>(),
        _ => 1,
    }
}

/// Where in the schema an object stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whereabouts {
    Top,
    Inside,
}

/// What is in a part of a schema.
#[derive(Default)]
struct Part<'s> {
    objects: usize,
    patterns: usize,
    unevaluated: usize,
    /// Where its references lead, each as often as it is made.
    references: Vec<&'s str>,
}

impl<'s> Part<'s> {
    fn take(&mut self, value: &'s Value, whereabouts: Whereabouts) -> Result<(), String> {
        match value {
            Value::Object(members) => {
                self.objects += 1;
                for (name, member) in members {
                    self.note(name, member, whereabouts)?;
                    self.take(member, Whereabouts::Inside)?;
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.take(item, Whereabouts::Inside)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes note of a keyword. What is a keyword's name and no keyword, in an `enum` say, counts too: that
    /// errs on the safe side.
    fn note(&mut self, name: &str, member: &'s Value, whereabouts: Whereabouts) -> Result<(), String> {
        match (name, member) {
            ("$ref", Value::String(place)) if *place == "#" || place.starts_with("#/") => {
                self.references.push(place);
            }
            ("$ref", Value::String(place)) => {
                let place: String = place.chars().take(80).collect();
                return Err(format!(
                    "refers to '{place}': a $ref must stay inside the schema, as #/$defs/name does; nothing is \
                     fetched"
                ));
            }
            ("$dynamicRef" | "$recursiveRef", Value::String(_)) => {
                return Err(format!("must not use {name}: write a $ref to a place inside the schema"));
            }
            ("$id", Value::String(_)) if whereabouts == Whereabouts::Inside => {
                return Err("must not have an $id inside: references would lead elsewhere".to_owned());
            }
            ("pattern", Value::String(_)) => self.patterns += 1,
            ("patternProperties", Value::Object(patterns)) => self.patterns += patterns.len(),
            ("unevaluatedItems" | "unevaluatedProperties", _) => self.unevaluated += 1,
            _ => {}
        }
        Ok(())
    }
}

/// The parts that references lead to, and the schema itself as `#` without its shelf of definitions.
fn places<'s>(schema: &'s Value, all: &Part<'s>) -> Result<HashMap<&'s str, Part<'s>>, String> {
    let mut top = Part::default();
    for (name, member) in schema.as_object().into_iter().flatten() {
        if name != "$defs" && name != "definitions" {
            top.note(name, member, Whereabouts::Top)?;
            top.take(member, Whereabouts::Inside)?;
        }
    }
    let mut places = HashMap::from([("#", top)]);
    for place in &all.references {
        if places.contains_key(place) {
            continue;
        }
        let target = place.strip_prefix('#').and_then(|pointer| schema.pointer(pointer));
        let target = target.ok_or_else(|| format!("refers to '{place}', which is not in it"))?;
        let mut part = Part::default();
        part.take(target, Whereabouts::Inside)?;
        places.insert(place, part);
    }
    if places.len() > MOST_PLACES {
        return Err(format!("must refer to at most {MOST_PLACES} places"));
    }
    Ok(places)
}

/// Adds up what references lead to, each place once.
struct Walk<'p, 's> {
    places: &'p HashMap<&'s str, Part<'s>>,
    done: HashMap<&'s str, (usize, usize)>,
    open: HashSet<&'s str>,
    is_recursive: bool,
}

impl<'s> Walk<'_, 's> {
    /// References and `unevaluated...` keywords from there on, a way back into an open place left out.
    fn from(&mut self, place: &'s str) -> (usize, usize) {
        if let Some(known) = self.done.get(place) {
            return *known;
        }
        let Some(part) = self.places.get(place) else { return (0, 0) };
        if !self.open.insert(place) {
            self.is_recursive = true;
            return (0, 0);
        }
        let mut sum = (part.references.len(), part.unevaluated);
        for reference in &part.references {
            let (steps, unevaluated) = self.from(reference);
            sum = (sum.0.saturating_add(steps), sum.1.saturating_add(unevaluated));
        }
        self.open.remove(place);
        self.done.insert(place, sum);
        sum
    }
}
