//! Item scores of the results on the board, one packed vector each; nothing per case. A vector is read again
//! when its result has changed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::domain::direction::Direction;
use crate::domain::id::{ResultKey, VersionKey};
use crate::domain::leaderboard::{Board, BoardCell};
use crate::domain::stats::Units;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::store::{self, Tx};

/// A result as it was at one moment: a retry changes it in place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stamp {
    result: ResultKey,
    at: Millis,
    score: f64,
    direction: Direction,
}

/// The vectors that are kept.
#[derive(Default)]
pub(super) struct Vectors(HashMap<ResultKey, (Stamp, Option<Arc<Units>>)>);

/// What reads vectors in one transaction.
pub(super) struct Reader<'t, 'c> {
    tx: &'t mut Tx<'c>,
    clusters: HashMap<VersionKey, Option<Vec<u64>>>,
}

impl Stamp {
    pub(super) fn of(cell: &BoardCell) -> Self {
        Self { result: cell.result_key, at: cell.at, score: cell.score, direction: cell.direction }
    }
}

impl Vectors {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The vector of a cell, read unless it is kept; none when it is missing or damaged.
    pub(super) fn get(
        &mut self,
        reader: &mut Reader<'_, '_>,
        cell: &BoardCell,
    ) -> Result<Option<Arc<Units>>> {
        let stamp = Stamp::of(cell);
        if let Some((held, units)) = self.0.get(&cell.result_key)
            && *held == stamp
        {
            return Ok(units.clone());
        }
        let units = reader.read(cell)?.map(Arc::new);
        self.0.insert(cell.result_key, (stamp, units.clone()));
        Ok(units)
    }

    /// Lets go of results that are not on `board` any more.
    pub(super) fn retain(&mut self, board: &Board) {
        let cells = board.rows.iter().flat_map(|row| row.cells.iter().flatten());
        let present: HashSet<ResultKey> = cells.map(|cell| cell.result_key).collect();
        self.0.retain(|result, _| present.contains(result));
    }
}

impl<'t, 'c> Reader<'t, 'c> {
    pub(super) fn new(tx: &'t mut Tx<'c>) -> Self {
        Self { tx, clusters: HashMap::new() }
    }

    fn read(&mut self, cell: &BoardCell) -> Result<Option<Units>> {
        let Some(scores) = store::board::item_scores(self.tx, cell.result_key)? else { return Ok(None) };
        let items = cell.direction.counted_items(scores.items);
        if !scores.has_clusters {
            return Ok(Units::new(&items, None));
        }
        Ok(Units::new(&items, self.clusters_of(cell)?))
    }

    /// What the items of a result count as; none when its scores are missing or damaged.
    pub(super) fn items(
        &mut self,
        result: ResultKey,
        direction: Direction,
    ) -> Result<Option<Vec<Option<f64>>>> {
        let scores = store::board::item_scores(self.tx, result)?;
        Ok(scores.map(|scores| direction.counted_items(scores.items)))
    }

    /// The clusters of a cell's items; none where its eval has none.
    pub(super) fn clusters_of(&mut self, cell: &BoardCell) -> Result<Option<&[u64]>> {
        if !self.clusters.contains_key(&cell.version) {
            self.clusters.insert(cell.version, store::board::clusters(self.tx, cell.version)?);
        }
        Ok(self.clusters.get(&cell.version).and_then(Option::as_deref))
    }
}
