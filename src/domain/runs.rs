//! A run: one trigger, its settings, its state. What it plans is the engine's.

use super::id::{EvalKey, ModelKey, PriceKey, RevisionKey, RunId, RunKey, UserKey, VersionKey};
use super::time::Millis;
use crate::error::{Error, Result};

/// Most cases that one run may have.
pub const MOST_CASES: i64 = 1_000_000;

/// Where a run stands. Derived from its cases, never set by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Nothing was leased yet.
    Queued,
    /// Cases are being made.
    Running,
    /// Every case is recorded, and at least one could be measured.
    Completed,
    /// Every case is recorded, and none could be measured.
    Failed,
    /// A person stopped it.
    Cancelled,
}

impl RunState {
    /// The word in the tables and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that word.
    ///
    /// # Errors
    /// `Internal`: only tables are read with this.
    pub fn parse(word: &str) -> Result<Self> {
        [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| Error::internal(format!("unknown run state {word}")))
    }

    /// Whether cases may still come.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }
}

/// A stored run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Table key.
    pub key: RunKey,
    /// Public id.
    pub id: RunId,
    /// Who triggered it.
    pub owner: UserKey,
    /// His e-mail address.
    pub triggered_by: String,
    /// Where it stands.
    pub state: RunState,
    /// When it was triggered.
    pub started_at: Millis,
    /// When its last case was recorded, or it was cancelled.
    pub completed_at: Option<Millis>,
    /// When the engine last did something for it.
    pub heartbeat_at: Option<Millis>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// Its settings.
    pub settings: Settings,
    /// Models planned.
    pub total_models: i64,
    /// Evals planned.
    pub total_evals: i64,
    /// Finished model x eval cells, those with errors included.
    pub completed_count: i64,
    /// Cases planned.
    pub case_total: i64,
    /// Cases recorded.
    pub case_done: i64,
    /// Of those, cases that could not be measured.
    pub case_errors: i64,
    /// What it has cost so far in US dollars; none when any part is unknown.
    pub cost_usd: Option<f64>,
}

/// How a run differs from the plain one.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// A remark, at most 1,000 characters.
    pub notes: String,
    /// Whether its complete cells may move the board.
    pub on_board: bool,
    /// Epochs instead of the evals' own; such a run never moves the board.
    pub epochs: Option<u32>,
    /// Only the first so many samples of each eval; such a run never moves the board.
    pub max_samples: Option<u32>,
}

impl Settings {
    /// Whether a complete cell of this run is comparable with those of other runs.
    #[must_use]
    pub const fn moves_board(&self) -> bool {
        self.on_board && self.epochs.is_none() && self.max_samples.is_none()
    }
}

/// One model x eval of a plan, pinned to what both were when the run was triggered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The model.
    pub model: ModelKey,
    /// Its revision.
    pub revision: RevisionKey,
    /// Its prices.
    pub price: PriceKey,
    /// The eval.
    pub eval: EvalKey,
    /// Its version.
    pub version: VersionKey,
    /// Whom the limiter counts the calls against.
    pub endpoint: String,
    /// Samples to ask.
    pub samples: i64,
    /// How often each.
    pub epochs: i64,
}

impl Cell {
    /// Cases in this cell.
    #[must_use]
    pub const fn cases(&self) -> i64 {
        self.samples.saturating_mul(self.epochs)
    }
}
