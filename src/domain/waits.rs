//! A wait: why a model of an open run cannot be called now, and until when.

use std::fmt;

use super::id::ModelId;
use super::time::Millis;

/// A model that an open run waits for: nothing of it can be called now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelWait {
    /// The model.
    pub model: ModelId,
    /// Its present name.
    pub model_name: String,
    /// The host that it is called at, with its port where that is unusual.
    pub host: String,
    /// Its cases that are not recorded yet.
    pub cases: i64,
    /// The last failure, in words.
    pub reason: String,
    /// When it is called again; a moment that has passed while that call is under way.
    pub next_try_at: Millis,
    /// When the run gives it up, unless a case of it is recorded before.
    pub gives_up_at: Millis,
}

impl fmt::Display for ModelWait {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model_name, host, reason, next_try_at, gives_up_at, .. } = self;
        write!(
            out,
            "waiting for {host} (model {model_name}): {reason}; next try {}; gives up at {}",
            next_try_at.to_second(),
            gives_up_at.to_second()
        )
    }
}
