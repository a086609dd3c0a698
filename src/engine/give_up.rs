//! Giving up: ends the open cases of a model of which a run had no case for too long, without calling it.
//!
//! The decision is stored first, so that a restart goes on with it. A retry of the run takes these cases up again.

use std::sync::Arc;

use super::cells::Cell;
use super::record::{self, Finished};
use super::{Machine, worker};
use crate::domain::id::CellKey;
use crate::domain::spending::Charge;
use crate::domain::template;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::store::run_waits::{self, OpenModel, Stored};
use crate::store::work_items::{self, Leased};
use crate::store::{Tx, plans, runs};

/// The error's code.
const GAVE_UP: &str = "gave_up";
/// Cases that one transaction ends.
const CHUNK: u32 = 200;

/// Decides that a run gives a model up, stops its calls and ends its open cases. `held_ms` is the time without
/// progress; `reason` what it waits for, where it waits.
///
/// # Errors
/// The database's.
pub(super) async fn begin(
    machine: &Arc<Machine>,
    model: &OpenModel,
    host: &str,
    held_ms: i64,
    reason: Option<String>,
) -> Result<()> {
    let (key, name, host) = (model.key, model.name.clone(), host.to_owned());
    let (recorded, open) = (model.recorded, model.open);
    let decide = move |tx: &mut Tx<'_>| {
        let last = match &reason {
            Some(reason) => Some(reason.clone()),
            None => run_waits::last_error(tx, key.0, key.1)?,
        };
        let last = last.unwrap_or_else(|| "no answer came".to_owned());
        let why = format!("{} without a case, waiting for {host}: {last}", in_words(held_ms));
        let gave_up = Some(why.clone());
        run_waits::put(
            tx,
            &Stored { key, recorded, held_ms, open, host: host.clone(), wait: None, gave_up },
        )?;
        runs::note_giving_up(tx, key.0, &format!("{name} after {why}"))
    };
    machine.tools.store.write(decide).await?;
    tracing::info!(run = key.0.0, model = key.1.0, held_ms, "gave up on a model");
    finish(machine, model).await
}

/// Ends the open cases of a model that its run gave up.
///
/// # Errors
/// The database's.
pub(super) async fn finish(machine: &Arc<Machine>, model: &OpenModel) -> Result<()> {
    let (run, key) = model.key;
    let cells = machine.tools.store.read(move |tx| plans::open(tx, plans::Which::Run(run))).await?;
    for open in cells.into_iter().filter(|open| open.model == key) {
        let cell_key = (open.run, open.model, open.eval);
        let Some(cell) = machine.cell(cell_key).await? else { continue };
        while end_chunk(machine, cell_key, &cell).await? > 0 && !machine.is_stopping() {}
    }
    machine.abandon_model(model.key);
    machine.stir();
    Ok(())
}

/// Ends up to [`CHUNK`] cases of a cell; returns how many.
async fn end_chunk(machine: &Arc<Machine>, key: CellKey, cell: &Arc<Cell>) -> Result<usize> {
    let (cell, lease, default_cap) =
        (Arc::clone(cell), machine.lease(Millis::now()), machine.tools.default_cap);
    let end = move |tx: &mut Tx<'_>| {
        let now = Millis::now();
        let Some(why) = run_waits::gave_up(tx, (key.0, key.1))? else { return Ok(0) };
        let items = work_items::seize(tx, key, CHUNK, &lease)?;
        let finished =
            items.iter().map(|item| given_up(&cell, item, &why, now)).collect::<Result<Vec<_>>>()?;
        Ok(record::cases(tx, &finished, default_cap, now)?.counted)
    };
    machine.tools.store.write(end).await
}

/// Returns the case of an item that was given up.
fn given_up(cell: &Cell, item: &Leased, why: &str, now: Millis) -> Result<Finished> {
    let rendered = template::render(&cell.prompt, &item.sample, &cell.scorer.shown_choices(&item.sample));
    let messages = cell.model.parameters.complete(rendered);
    let mut record = worker::blank(cell, item, &messages)?;
    // The lease that ends it is no attempt.
    record.attempts = item.held.attempt - 1;
    worker::fail(&mut record, GAVE_UP, format!("the run gave up on this model after {why}"));
    Ok(Finished::new(item.held, record, false, Charge::Nothing, now))
}

/// Returns a time in words, rounded to seconds or minutes.
fn in_words(milliseconds: i64) -> String {
    let seconds = (milliseconds + 500) / 1_000;
    match seconds {
        1 => "1 second".to_owned(),
        ..120 => format!("{seconds} seconds"),
        _ => format!("{} minutes", (seconds + 30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_seconds_and_minutes() {
        let told = [1_200, 2_000, 119_000, 120_000, 900_400].map(in_words);
        assert_eq!(told, ["1 second", "2 seconds", "119 seconds", "2 minutes", "15 minutes"]);
    }
}
