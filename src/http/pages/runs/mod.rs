//! Runs: all of them, and each on a page of its own.
//!
//! The pages start and stop nothing.

mod all;
mod lending;
mod one;

pub(super) use all::list;
pub(super) use one::show;

use super::format;
use crate::domain::runs::{Run, RunState};
use crate::error::Result;
use crate::http::{CachePolicy, View};
use crate::store::Topic;

/// All that both pages are made from.
const TOPICS: &[Topic] = &[Topic::Runs, Topic::Results, Topic::Models, Topic::Evals];

/// Where a run stands: a word, and the class of its look.
struct State {
    word: &'static str,
    class: &'static str,
}

/// How much is done.
struct Progress {
    /// `312 of 1,204`.
    text: String,
    /// In percent, for the bar.
    percent: i64,
}

/// What belongs to an unfinished run is asked for anew each time.
fn settled(is_open: bool, view: View) -> Result<View> {
    Ok(if is_open { view.policy(CachePolicy::Revalidate) } else { view })
}

const fn state(state: RunState) -> State {
    let class = match state {
        RunState::Queued => "waiting",
        RunState::Running => "going",
        RunState::Completed => "good",
        RunState::Failed => "bad",
        RunState::Cancelled => "part",
    };
    State { word: state.as_str(), class }
}

fn plan(run: &Run) -> String {
    let (models, evals) = (run.total_models, run.total_evals);
    format!("{} × {}", format::counted(models, "model"), format::counted(evals, "eval"))
}

fn progress(done: i64, total: i64) -> Progress {
    let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100).clamp(0, 100);
    Progress { text: format!("{} of {}", format::count(done), format::count(total)), percent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_of_nothing_is_done() {
        assert_eq!(progress(0, 0).percent, 100);
        assert_eq!(progress(1, 3).percent, 33);
    }
}
