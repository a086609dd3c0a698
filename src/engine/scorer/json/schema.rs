//! `json_schema`: the response is JSON, of the form that a JSON Schema describes.
//!
//! Nothing is fetched: a schema is all in one piece. Formats count as the schema's draft says.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Value, json};

use super::super::criteria::{Criteria, invalid};
use super::super::{Outcome, Rule, Scored};
use super::bounds::{Demand, judge, values};
use super::{IN_PROSE, Search, find, sorted};
use crate::domain::samples::Sample;
use crate::error::Result;

/// Largest compiled pattern of a schema, in bytes.
const MAX_COMPILED: usize = 256 * 1024;
/// Most comparisons of a value of a response with a value of the schema: a second or two of work. One member's schema
/// never holds the validations of others up for long.
const MAX_COMPARISONS: usize = 500_000_000;
/// Longest time for one response. What honest schemas take is far below it.
const LONGEST: Duration = Duration::from_secs(5);
/// Validations that may go on though nobody waits for them any more.
const MOST_ABANDONED: usize = 2;
/// Bytes of stack for each object of the schema on each level of the value: several times what was measured.
const STACK_PER_STEP: usize = 2 * 1024;
/// Bytes of stack besides.
const STACK: usize = 1024 * 1024;
/// Longest explanation, in characters.
const LONGEST_PROBLEM: usize = 300;

/// Validations that go on though nobody waits for them: a thread cannot be stopped from outside.
static ABANDONED: AtomicUsize = AtomicUsize::new(0);

/// The scorer.
#[derive(Debug)]
pub(in super::super) struct Schema {
    /// None where any JSON is right.
    form: Option<Form>,
    search: Search,
}

/// What the JSON must look like.
#[derive(Debug)]
struct Form {
    schema: Value,
    demand: Demand,
    validator: Arc<Validator>,
}

impl Schema {
    pub(in super::super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&[IN_PROSE, "schema"])?;
        let form = criteria.json("schema").map(Form::new).transpose()?;
        Ok(Self { form, search: Search::parse(criteria)? })
    }
}

impl Form {
    fn new(schema: &Value) -> Result<Self> {
        if !schema.is_object() && !schema.is_boolean() {
            return Err(invalid("schema", "must be a JSON Schema: an object, or true or false"));
        }
        let demand = judge(schema).map_err(|problem| invalid("schema", problem))?;
        let patterns = PatternOptions::regex().size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED);
        let built = jsonschema::options().offline().with_pattern_options(patterns).build(schema);
        let validator = built.map_err(|problem| {
            let problem = clipped(&problem.to_string());
            invalid("schema", format!("is not a JSON Schema that can be used here: {problem}"))
        })?;
        Ok(Self { schema: sorted(schema), demand, validator: Arc::new(validator) })
    }

    /// What is wrong with the value, if anything, or why that cannot be told.
    fn fault(&self, value: Value) -> std::result::Result<Option<String>, &'static str> {
        if values(&value).saturating_mul(self.demand.values) > MAX_COMPARISONS {
            return Err(
                "the response has too many values for a schema of this size: make the schema smaller",
            );
        }
        if ABANDONED.load(Ordering::Acquire) >= MOST_ABANDONED {
            return Err(
                "earlier responses are still being validated against their schemas: run it again later",
            );
        }
        let validator = Arc::clone(&self.validator);
        let explains = !self.demand.is_recursive;
        within(LONGEST, self.stack(&value), move || {
            if validator.is_valid(&value) {
                return None;
            }
            // Finding the words costs more than finding out, and without bound where a schema is recursive.
            let problem = explains.then(|| validator.validate(&value).err()).flatten();
            Some(problem.map_or_else(String::new, |problem| {
                clipped(&format!("{problem} at '{}'", problem.instance_path()))
            }))
        })
    }

    /// Stack for the deepest way through the schema on the deepest way into the value.
    fn stack(&self, value: &Value) -> usize {
        let levels = if self.demand.is_recursive { levels(value) + 1 } else { 1 };
        STACK + self.demand.objects * levels * STACK_PER_STEP
    }
}

fn levels(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(levels).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        _ => 0,
    }
}

impl Rule for Schema {
    fn name(&self) -> &'static str {
        "json_schema"
    }

    fn canonical(&self) -> Value {
        json!({IN_PROSE: self.search.is_in_prose(), "schema": self.form.as_ref().map(|form| &form.schema)})
    }

    fn is_slow(&self) -> bool {
        true
    }

    fn needs_target(&self) -> bool {
        false
    }

    fn check_sample(&self, _: &Sample, _: &str) -> Result<()> {
        Ok(())
    }

    fn score(&self, _: &Sample, response: &str) -> Scored {
        let (text, value) = match find(response, self.search) {
            Ok(found) => found,
            Err(unreadable) => return Ok(unreadable),
        };
        let fault = self.form.as_ref().map_or(Ok(None), |form| form.fault(value))?;
        let outcome = Outcome::verdict(fault.is_none(), Some(text));
        Ok(match fault.filter(|problem| !problem.is_empty()) {
            Some(problem) => outcome.with_details(json!({"problem": problem})),
            None => outcome,
        })
    }
}

const RUNNING: u8 = 0;
const DONE: u8 = 1;
const LEFT: u8 = 2;

/// What `work` comes to on a thread of its own, if it is done in time.
fn within<T: Send + 'static>(
    limit: Duration,
    stack: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::result::Result<T, &'static str> {
    let state = Arc::new(AtomicU8::new(RUNNING));
    let (sender, receiver) = mpsc::sync_channel(1);
    let run = {
        let state = Arc::clone(&state);
        move || {
            // A panic must not leave this thread counted for ever. Nobody listens any more when the limit has
            // passed; the result is of no use then.
            if let Ok(result) = catch_unwind(AssertUnwindSafe(work)) {
                drop(sender.send(result));
            }
            drop(sender);
            if state.swap(DONE, Ordering::AcqRel) == LEFT {
                ABANDONED.fetch_sub(1, Ordering::AcqRel);
            }
        }
    };
    let spawned = thread::Builder::new().name("json-schema".to_owned()).stack_size(stack).spawn(run);
    spawned.map_err(|_| "there is no memory left to validate the response in")?;
    receiver.recv_timeout(limit).or_else(|_| {
        // Counted first: a thread that ends in between takes away what is there.
        ABANDONED.fetch_add(1, Ordering::AcqRel);
        if state.swap(LEFT, Ordering::AcqRel) == DONE {
            ABANDONED.fetch_sub(1, Ordering::AcqRel);
        }
        // It may have been done at the last moment.
        receiver.try_recv().map_err(|_| "the response could not be validated within 5 seconds")
    })
}

fn clipped(problem: &str) -> String {
    problem.chars().take(LONGEST_PROBLEM).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_left_alone_and_counted_until_it_ends() {
        let (release, wait) = mpsc::channel::<()>();
        let late = within(Duration::from_millis(10), STACK, move || wait.recv().is_ok());
        assert_eq!(late, Err("the response could not be validated within 5 seconds"));
        assert_eq!(ABANDONED.load(Ordering::Acquire), 1);
        release.send(()).unwrap();
        while ABANDONED.load(Ordering::Acquire) > 0 {
            thread::yield_now();
        }
        assert_eq!(within(LONGEST, STACK, || 7), Ok(7));
    }
}
