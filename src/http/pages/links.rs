//! Where the pages lead to: the address of each thing, in one place.
//!
//! Paths only, below whatever host serves them. Nothing here says whether the thing exists.

use url::form_urlencoded;

use crate::domain::id::{CaseId, EvalId, ModelId, ResultId, RunId, ScheduleId, TrainingSetId};
use crate::domain::tokens::Token;

/// The board.
pub const BOARD: &str = "/";
/// The board as a picture.
pub const BOARD_PICTURE: &str = "/preview/board.png";
/// Two models side by side.
pub const COMPARE: &str = "/compare";
/// The board's chart of score against cost.
pub const COSTS: &str = "/costs";
/// The evals.
pub const EVALS: &str = "/evals";
/// The runs.
pub const RUNS: &str = "/runs";
/// The runs that start by themselves.
pub const SCHEDULES: &str = "/schedules";
/// What moved the board.
pub const LEDGER: &str = "/ledger";
/// Where a one-time link leads to.
pub const SETUP: &str = "/setup";
/// One's own API keys.
pub const API_KEYS: &str = "/settings/api-keys";
/// Who is here, for admins.
pub const PEOPLE: &str = "/settings/people";
/// Where signing in with a provider begins.
#[cfg(feature = "oidc")]
pub const OIDC: &str = "/login/oidc";
/// Where a provider sends people back to.
#[cfg(feature = "oidc")]
pub const OIDC_BACK: &str = "/login/oidc/callback";
/// What one is called.
pub const HANDLE: &str = "/settings/handle";
/// One's own password.
pub const PASSWORD: &str = "/settings/password";
/// Where whoever is signed in adds a training set.
pub const UPLOAD: &str = "/settings/training-sets";
/// The training sets.
pub const TRAINING_SETS: &str = "/training-sets";

/// A link that works once, as it is sent to somebody: to the site at `public_url`, which has no slash at its end.
#[must_use]
pub fn one_time(public_url: &str, token: &Token) -> String {
    format!("{public_url}{SETUP}?token={}", token.expose())
}

/// A model.
#[must_use]
pub fn model(id: &ModelId) -> String {
    format!("/models/{id}")
}

/// A model's badge.
#[must_use]
pub fn badge(id: &ModelId) -> String {
    format!("/api/v1/leaderboard/badge/{id}.svg")
}

/// A model as a picture.
#[must_use]
pub fn model_picture(id: &ModelId) -> String {
    format!("/preview/models/{id}.png")
}

/// An eval as a picture.
#[must_use]
pub fn eval_picture(id: &EvalId) -> String {
    format!("/preview/evals/{id}.png")
}

/// Two models compared as a picture.
#[must_use]
pub fn compare_picture(a: &ModelId, b: &ModelId) -> String {
    asked("/preview/compare.png", &[("a", a.as_str()), ("b", b.as_str())])
}

/// An eval.
#[must_use]
pub fn eval(id: &EvalId) -> String {
    format!("/evals/{id}")
}

/// Two models side by side, of which none, one or both are named.
#[must_use]
pub fn compare(a: Option<&ModelId>, b: Option<&ModelId>) -> String {
    let named = [a.map(|id| ("a", id.as_str())), b.map(|id| ("b", id.as_str()))];
    asked(COMPARE, &named.into_iter().flatten().collect::<Vec<_>>())
}

/// Two models side by side, over their latest runs or over all complete ones.
#[must_use]
pub fn compare_pooled(a: &ModelId, b: &ModelId, is_pooled: bool) -> String {
    let named = [("a", a.as_str()), ("b", b.as_str())].into_iter();
    asked(COMPARE, &named.chain(is_pooled.then_some(("pool", "all"))).collect::<Vec<_>>())
}

/// A run.
#[must_use]
pub fn run(id: &RunId) -> String {
    format!("/runs/{id}")
}

/// A schedule, among the others.
#[must_use]
pub fn schedule(id: &ScheduleId) -> String {
    format!("{SCHEDULES}#{id}")
}

/// A result.
#[must_use]
pub fn result(id: &ResultId) -> String {
    format!("/results/{id}")
}

/// The cases of a result as a file of that format.
#[must_use]
pub fn cases_file(id: &ResultId, format: &str) -> String {
    format!("/api/v1/results/{id}/cases?format={format}")
}

/// A case.
#[must_use]
pub fn case(id: &CaseId) -> String {
    format!("/cases/{id}")
}

/// Where whoever is signed in judges the answer of a case.
#[must_use]
pub fn judge(id: &CaseId) -> String {
    format!("/settings/cases/{id}")
}

/// A training set.
#[must_use]
pub fn training_set(id: &TrainingSetId) -> String {
    format!("/training-sets/{id}")
}

/// `path` with a query of `pairs`.
#[must_use]
pub fn asked(path: &str, pairs: &[(&str, &str)]) -> String {
    if pairs.is_empty() {
        return path.to_owned();
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("{path}?{query}")
}
