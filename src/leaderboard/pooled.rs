//! Cells of a pooled board: of each model and eval all complete results in place of the latest.
//!
//! One vector of item scores is read after another and added to sums, so that memory is bounded by the board's own cells
//! and reading by [`MAX_POOLED`](crate::domain::pooling::MAX_POOLED) times those.

use std::collections::HashMap;
use std::sync::Arc;

use super::vectors::Reader;
use crate::domain::id::ResultKey;
use crate::domain::leaderboard::BoardCell;
use crate::domain::pooling::{self, Member, PooledItems};
use crate::domain::stats::{self, Units};
use crate::error::Result;
use crate::store::{self, Tx};

/// The pooled units of cells, by the latest result of each.
pub(super) type PooledUnits = HashMap<ResultKey, Arc<Units>>;

/// Brings `cells` to what all their results amount to. Cells with one result stay as they are.
pub(super) fn pool(tx: &mut Tx<'_>, cells: &mut [BoardCell]) -> Result<PooledUnits> {
    let pools = store::pool::by_latest(tx)?;
    let mut units = PooledUnits::new();
    let mut reader = Reader::new(tx);
    for cell in cells {
        let Some(members) = pools.get(&cell.result_key).filter(|members| members.len() > 1) else { continue };
        if let Some(own) = pool_cell(&mut reader, cell, members)? {
            units.insert(cell.result_key, Arc::new(own));
        }
    }
    Ok(units)
}

/// Pools one cell; none, and the cell as it was, where its items do not fit together.
fn pool_cell(reader: &mut Reader<'_, '_>, cell: &mut BoardCell, members: &[Member]) -> Result<Option<Units>> {
    let mut pooled = PooledItems::default();
    let mut counted = Vec::new();
    for member in members {
        if let Some(items) = reader.items(member.result, cell.direction)?
            && pooled.add(&items)
        {
            counted.push(*member);
        }
    }
    let means = pooled.means();
    let clusters = reader.clusters_of(cell)?;
    let Some(summary) = pooling::summarise(&means, clusters) else { return Ok(None) };
    let items: Vec<Option<f64>> = means.into_iter().map(Some).collect();
    let Some(units) = Units::new(&items, clusters) else { return Ok(None) };
    cell.score = summary.mean;
    cell.raw_score = cell.direction.counted(summary.mean);
    cell.stderr = summary.stderr;
    cell.interval = summary.interval;
    cell.ci_method = summary.method.map(|method| method.as_str().to_owned());
    // How far what is missing could move a mean of several is not said.
    cell.bounds = None;
    cell.cost_spread = None;
    cell.missing = counted.iter().map(|member| member.missing).sum();
    cell.passed = counted.iter().map(|member| member.passed).sum();
    cell.cost_usd = counted.iter().map(|member| member.cost_usd).sum();
    cell.latency_p50_ms = median(&counted, |member| member.latency_p50_ms);
    cell.latency_p95_ms = median(&counted, |member| member.latency_p95_ms);
    cell.pooled = pooled.results();
    Ok(Some(units))
}

fn median(members: &[Member], latency: fn(&Member) -> Option<f64>) -> Option<f64> {
    stats::percentile(&members.iter().filter_map(latency).collect::<Vec<f64>>(), 50)
}
