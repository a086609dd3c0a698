//! Commands that happen once however often they are sent: what an Idempotency-Key asks for.
//!
//! It knows nothing of headers: a surface builds [`Once`] and renders [`Answer`].

use serde::Serialize;

use crate::domain::id::UserKey;
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::store::Tx;
use crate::store::idempotent_answers::{self, Stored};

/// What a command answers, independent of the surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Path of the created thing.
    pub location: Option<String>,
    /// JSON.
    pub body: Vec<u8>,
}

impl Answer {
    /// 200 with `body`.
    ///
    /// # Errors
    /// `Internal` when `body` has no JSON form.
    pub fn ok(body: &impl Serialize) -> Result<Self> {
        Self::with(200, None, body)
    }

    /// 201 with `body`, which now is at the path `location`.
    ///
    /// # Errors
    /// As [`Answer::ok`].
    pub fn created(location: String, body: &impl Serialize) -> Result<Self> {
        Self::with(201, Some(location), body)
    }

    /// 202 with `body`: accepted, and still to be done.
    ///
    /// # Errors
    /// As [`Answer::ok`].
    pub fn accepted(location: Option<String>, body: &impl Serialize) -> Result<Self> {
        Self::with(202, location, body)
    }

    fn with(status: u16, location: Option<String>, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body).map_err(Error::internal)?;
        Ok(Self { status, location, body })
    }
}

/// What is kept of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Whole,
    /// Only that it was given.
    Secret,
}

/// Under which key, and for which very request, a command happens once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    user: UserKey,
    /// The caller's key with the digest of the request; none when he does not ask for it.
    asked: Option<(String, [u8; 32])>,
}

impl Once {
    /// `key` is the caller's; `fingerprint` is of method, address and body.
    #[must_use]
    pub const fn new(user: UserKey, key: String, fingerprint: [u8; 32]) -> Self {
        Self { user, asked: Some((key, fingerprint)) }
    }

    /// A command that simply happens.
    #[must_use]
    pub const fn unasked(user: UserKey) -> Self {
        Self { user, asked: None }
    }

    /// Runs `command` in the transaction it belongs to, or answers what it answered before.
    ///
    /// # Errors
    /// `Conflict` (`idempotency_mismatch`) when the key was used for another request; else what `command`
    /// and `render` answer, and then nothing is remembered.
    pub fn run<T>(
        &self,
        tx: &mut Tx<'_>,
        now: Millis,
        command: impl FnOnce(&mut Tx<'_>) -> Result<T>,
        render: impl FnOnce(&T) -> Result<Answer>,
    ) -> Result<Answer> {
        self.perform(tx, now, Kept::Whole, command, render)
    }

    /// As [`Once::run`] for an answer that holds a secret: it is never stored.
    ///
    /// # Errors
    /// As [`Once::run`]; a repeat is `Conflict` (`already_done`).
    pub fn run_secret<T>(
        &self,
        tx: &mut Tx<'_>,
        now: Millis,
        command: impl FnOnce(&mut Tx<'_>) -> Result<T>,
        render: impl FnOnce(&T) -> Result<Answer>,
    ) -> Result<Answer> {
        self.perform(tx, now, Kept::Secret, command, render)
    }

    fn perform<T>(
        &self,
        tx: &mut Tx<'_>,
        now: Millis,
        kept: Kept,
        command: impl FnOnce(&mut Tx<'_>) -> Result<T>,
        render: impl FnOnce(&T) -> Result<Answer>,
    ) -> Result<Answer> {
        if let Some(before) = self.recall(tx, now)? {
            return before;
        }
        let answer = render(&command(tx)?)?;
        self.remember(tx, now, kept, &answer)?;
        Ok(answer)
    }

    /// What was answered to this key before, if anything was.
    fn recall(&self, tx: &mut Tx<'_>, now: Millis) -> Result<Option<Result<Answer>>> {
        let Some((key, fingerprint)) = &self.asked else {
            return Ok(None);
        };
        let Some(stored) = idempotent_answers::find(tx, self.user, key, now)? else {
            return Ok(None);
        };
        if stored.fingerprint != fingerprint {
            return Ok(Some(Err(mismatch())));
        }
        Ok(Some(replay(stored)))
    }

    fn remember(&self, tx: &mut Tx<'_>, now: Millis, kept: Kept, answer: &Answer) -> Result<()> {
        let Some((key, fingerprint)) = &self.asked else {
            return Ok(());
        };
        let stored = Stored {
            fingerprint: fingerprint.to_vec(),
            status: answer.status.into(),
            location: answer.location.clone(),
            body: matches!(kept, Kept::Whole).then(|| answer.body.clone()),
        };
        idempotent_answers::keep(tx, self.user, key, &stored, now)
    }
}

fn replay(stored: Stored) -> Result<Answer> {
    let body = stored.body.ok_or_else(|| Error::Conflict {
        code: "already_done",
        message: "this was done before under the same Idempotency-Key; its answer held a secret and is \
                  not kept"
            .to_owned(),
    })?;
    let status = u16::try_from(stored.status).map_err(Error::internal)?;
    Ok(Answer { status, location: stored.location, body })
}

fn mismatch() -> Error {
    Error::Conflict {
        code: "idempotency_mismatch",
        message: "this Idempotency-Key was used for another request within the last day".to_owned(),
    }
}
