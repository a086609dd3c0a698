//! Turns: where the items of a new run stand in the queues of their endpoints.
//!
//! Items of one endpoint are served by priority, the lowest number first. A run starts where the endpoint now
//! stands and has one item per number, so that runs that share it take turns instead of waiting for each other;
//! and its models take turns on its numbers, each with its cells one after the other.

use std::collections::HashMap;

use super::Tx;
use crate::domain::id::ModelKey;
use crate::domain::runs::Cell;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

/// The turns of a run's cells.
pub(super) struct Turns<'c>(HashMap<&'c str, Queue>);

/// What a run has in one endpoint's queue.
#[derive(Default)]
struct Queue {
    /// Where the endpoint stood; none before it was looked up.
    start: Option<i64>,
    models: HashMap<ModelKey, Taken>,
}

/// What one model has of it.
struct Taken {
    first: i64,
    items: i64,
}

/// The priorities of one cell's items: `first`, `first + step`, ...
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) first: i64,
    pub(super) step: i64,
}

impl<'c> Turns<'c> {
    /// Those of `cells`, which are all of the run.
    pub(super) fn over(cells: &'c [Cell]) -> Self {
        let mut queues: HashMap<&str, Queue> = HashMap::new();
        for cell in cells {
            let models = &mut queues.entry(&cell.endpoint).or_default().models;
            let first = i64::try_from(models.len()).unwrap_or(i64::MAX);
            models.entry(cell.model).or_insert(Taken { first, items: 0 });
        }
        Self(queues)
    }

    /// The turn of the next of the cells.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn next(&mut self, tx: &mut Tx<'_>, cell: &'c Cell, now: Millis) -> Result<Turn> {
        let queue = self.0.entry(&cell.endpoint).or_default();
        let start = match queue.start {
            Some(start) => start,
            None => *queue.start.insert(present(tx, &cell.endpoint, now)?),
        };
        Ok(queue.next(start, cell))
    }
}

impl Queue {
    fn next(&mut self, start: i64, cell: &Cell) -> Turn {
        let step = i64::try_from(self.models.len()).unwrap_or(i64::MAX).max(1);
        let taken = self.models.entry(cell.model).or_insert(Taken { first: 0, items: 0 });
        let first = start + taken.first + taken.items * step;
        taken.items += cell.cases();
        Turn { first, step }
    }
}

/// Where the endpoint stands: at the next item that may be leased, else behind the last one that was or that
/// waits for its next try.
///
/// # Errors
/// The database's.
pub(super) fn present(tx: &mut Tx<'_>, endpoint: &str, now: Millis) -> Result<i64> {
    tx.one(
        "SELECT COALESCE(
             (SELECT MIN(priority) FROM work_items WHERE state = 'ready' AND endpoint = ?1 AND run_after <= ?2),
             (SELECT MAX(last.priority)
              FROM (SELECT MAX(priority) AS priority FROM work_items WHERE state = 'leased' AND endpoint = ?1
                    UNION ALL
                    SELECT MAX(priority) AS priority FROM work_items WHERE state = 'ready' AND endpoint = ?1) AS last),
             0
         ) AS priority",
        values![endpoint, now],
        |row| row.get("priority"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{EvalKey, PriceKey, RevisionKey, VersionKey};

    fn cell(model: i64, samples: i64) -> Cell {
        Cell {
            model: ModelKey(model),
            revision: RevisionKey(model),
            price: PriceKey(1),
            eval: EvalKey(1),
            version: VersionKey(1),
            endpoint: "host".to_owned(),
            samples,
            epochs: 1,
        }
    }

    #[test]
    fn models_of_a_run_take_turns_each_with_its_cells_in_order() {
        let cells = [cell(1, 3), cell(2, 3), cell(1, 2), cell(2, 2)];
        let mut turns = Turns::over(&cells);
        let queue = turns.0.get_mut("host").unwrap();
        let given: Vec<(i64, i64)> =
            cells.iter().map(|cell| queue.next(100, cell)).map(|turn| (turn.first, turn.step)).collect();
        assert_eq!(given, [(100, 2), (101, 2), (106, 2), (107, 2)]);
        let mut numbers: Vec<i64> = cells
            .iter()
            .zip(&given)
            .flat_map(|(cell, (first, step))| (0..cell.cases()).map(move |at| first + at * step))
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (100..110).collect::<Vec<i64>>(), "one item per number");
    }
}
