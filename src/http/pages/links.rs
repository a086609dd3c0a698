//! Where the pages lead to: the address of each thing, in one place.
//!
//! Paths only, below whatever host serves them. Nothing here says whether the thing exists.

use crate::domain::id::{EvalId, ModelId, ResultId, RunId};

/// The board.
pub const BOARD: &str = "/";

/// A model.
#[must_use]
pub fn model(id: &ModelId) -> String {
    format!("/api/v1/models/{id}")
}

/// An eval.
#[must_use]
pub fn eval(id: &EvalId) -> String {
    format!("/api/v1/evals/{id}")
}

/// A run.
#[must_use]
pub fn run(id: &RunId) -> String {
    format!("/api/v1/runs/{id}")
}

/// A result.
#[must_use]
pub fn result(id: &ResultId) -> String {
    format!("/api/v1/results/{id}")
}
