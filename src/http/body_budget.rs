//! Memory for request bodies that are read whole. One caller's bodies take at most a share of it, however slowly they
//! are sent. Bodies that are streamed into files do not count.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::json::EVAL_BODY;
use crate::domain::id::UserKey;
use crate::error::{Error, Result};

/// Most bytes that the bodies of one caller take at a time: eight of the largest.
const MAX_PER_CALLER: usize = 8 * EVAL_BODY;
/// Most bytes that the bodies of all callers take at a time.
const MAX_TOTAL: usize = 8 * MAX_PER_CALLER;

/// The bytes that each caller's bodies take. Anonymous callers are one caller: only small bodies are read of them.
#[derive(Debug, Default)]
pub(super) struct BodyBudget {
    held: Mutex<HashMap<Option<UserKey>, usize>>,
}

impl BodyBudget {
    /// Starts an empty share for one body.
    pub(super) fn share(self: &Arc<Self>, caller: Option<UserKey>) -> Share {
        Share { budget: Arc::clone(self), caller, bytes: 0 }
    }

    fn add(&self, caller: Option<UserKey>, bytes: usize) -> Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = held.values().sum();
        let own = held.get(&caller).copied().unwrap_or_default();
        if own + bytes > MAX_PER_CALLER {
            return Err(Error::Unavailable(
                "too many of your request bodies are being received at once: wait until some requests have ended"
                    .to_owned(),
            ));
        }
        if total + bytes > MAX_TOTAL {
            return Err(Error::Unavailable(
                "too many request bodies are being received at once: try again later".to_owned(),
            ));
        }
        held.insert(caller, own + bytes);
        Ok(())
    }

    fn remove(&self, caller: Option<UserKey>, bytes: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let left = held.get(&caller).copied().unwrap_or_default().saturating_sub(bytes);
        if left == 0 {
            held.remove(&caller);
        } else {
            held.insert(caller, left);
        }
    }
}

/// The memory of one body; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<BodyBudget>,
    caller: Option<UserKey>,
    bytes: usize,
}

impl Share {
    /// Takes memory for `bytes` more.
    ///
    /// # Errors
    /// `Unavailable` when the caller's bodies, or those of all callers, take as much as they may.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<()> {
        self.budget.add(self.caller, bytes)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.remove(self.caller, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_holds_no_more_than_their_share_and_gives_it_back() {
        let budget = Arc::new(BodyBudget::default());
        let (one, other) = (Some(UserKey(1)), Some(UserKey(2)));
        let mut bodies: Vec<Share> = (0..8).map(|_| budget.share(one)).collect();
        assert!(bodies.iter_mut().all(|body| body.grow(EVAL_BODY).is_ok()));
        let mut late = budget.share(one);
        assert!(late.grow(1).unwrap_err().to_string().contains("your request bodies"));
        budget.share(other).grow(EVAL_BODY).unwrap();
        bodies.pop();
        late.grow(EVAL_BODY).unwrap();
        drop((bodies, late));
        assert!(budget.held.lock().unwrap().is_empty());
    }

    #[test]
    fn all_callers_together_have_a_bound() {
        let budget = Arc::new(BodyBudget::default());
        let mut bodies: Vec<Share> = (0..8).map(|at| budget.share(Some(UserKey(at)))).collect();
        assert!(bodies.iter_mut().all(|body| body.grow(MAX_PER_CALLER).is_ok()));
        let why = budget.share(Some(UserKey(9))).grow(1).unwrap_err().to_string();
        assert!(why.starts_with("too many request bodies"), "{why}");
    }
}
