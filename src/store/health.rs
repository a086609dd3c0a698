//! What the health of an eval is read off: item scores, and votes of graders. What they say is the domain's.

use super::{Row, Tx, board, evals, pool};
use crate::domain::direction::Direction;
use crate::domain::evals::{Eval, Version};
use crate::domain::health::{self, Material, Measured, Place};
use crate::domain::id::{RevisionKey, VersionKey};
use crate::domain::results;
use crate::error::{Error, Result};
use crate::values;

/// Graded cases that are looked at for what votes agree on, the newest.
const VOTES: i64 = 5_000;
/// Results of one model that are taken as repeats of its answers, the newest.
const REPEATS: usize = 5;
/// Whose results are looked at: those that the board shows.
const SHOWN: &str = "FROM board_cells
    JOIN results ON results.id = board_cells.result_id
    JOIN models ON models.id = board_cells.model_id AND models.revision_id = board_cells.revision_id
    WHERE board_cells.version_id = ?1 AND models.deleted_at IS NULL AND models.is_active = 1";

/// The version of `eval` that the board shows: the one in the suite, else the present one.
///
/// # Errors
/// The database's.
pub fn shown_version(tx: &mut Tx<'_>, eval: &Eval) -> Result<Version> {
    let in_suite = tx.first(
        "SELECT version_id FROM suite_evals WHERE eval_id = ?1 AND version_id <> ?2",
        values![eval.key, eval.version.key],
        |row| row.get("version_id"),
    )?;
    in_suite.map_or_else(|| Ok(eval.version.clone()), |key| evals::get_version(tx, key))
}

/// What was measured of `version` by the models that the board may show.
///
/// # Errors
/// The database's.
pub fn material(tx: &mut Tx<'_>, version: &Version) -> Result<Material> {
    let pass = evals::pass_mark(tx, version.key)?;
    let samples = tx.rows(
        "SELECT key, cluster_id FROM samples WHERE set_id = ?1 ORDER BY position",
        values![version.samples.key],
        |row| Ok(Place { key: row.get("key")?, cluster: row.get("cluster_id")? }),
    )?;
    let rows = tx.rows(
        &format!(
            "SELECT results.revision_id, results.score, results.within_variance, board_cells.runs,
                    (SELECT packed FROM item_scores WHERE result_id = results.id) AS item_scores,
                    results.planned_count, results.scored_count
             {SHOWN}
             ORDER BY models.id"
        ),
        values![version.key],
        |row| measured(row, pass.direction),
    )?;
    let epochs = version.measurement.epochs;
    let rows = rows.into_iter().map(|shown| with_noise(tx, shown, (version.key, epochs), pass.direction));
    let rows = rows.collect::<Result<Vec<Measured>>>()?;
    let votes = if has_votes(version) { votes(tx, version.key)? } else { Vec::new() };
    Ok(Material { samples, rows, votes, pass })
}

/// Whether its cases are graded more than once: the criteria are stored with all that was left out filled in.
fn has_votes(version: &Version) -> bool {
    let criteria = serde_json::from_str::<serde_json::Value>(&version.measurement.eval_criteria);
    let votes = criteria.ok().and_then(|criteria| criteria.get("votes")?.as_i64());
    version.grader.is_some() && votes.is_none_or(|votes| votes > 1)
}

/// A result that the board shows.
struct Shown {
    measured: Measured,
    revision: RevisionKey,
    /// Variance between its epochs; none with one, and of results of earlier versions.
    within: Option<f64>,
    /// Complete results of that revision.
    runs: i64,
}

/// What the epochs of a result, or else the newest results beside it, say of how answers vary.
fn with_noise(
    tx: &mut Tx<'_>,
    shown: Shown,
    (version, epochs): (VersionKey, u32),
    direction: Direction,
) -> Result<Measured> {
    let Shown { mut measured, revision, within, runs } = shown;
    measured.noise = match within {
        Some(within) => health::noise_of_epochs(&measured.items, within, epochs),
        None if runs > 1 => {
            let mut repeats = Vec::new();
            for member in pool::of_cell(tx, revision, version)?.into_iter().take(REPEATS) {
                repeats.extend(
                    board::item_scores(tx, member.result)?.map(|own| direction.counted_items(own.items)),
                );
            }
            health::noise_of_repeats(&repeats)
        }
        None => None,
    };
    Ok(measured)
}

fn measured(row: &Row<'_>, direction: Direction) -> Result<Shown> {
    let (score, packed): (Option<f64>, Option<Vec<u8>>) = (row.get("score")?, row.get("item_scores")?);
    let items = packed.as_deref().and_then(results::unpack);
    let (planned, scored): (i64, i64) = (row.get("planned_count")?, row.get("scored_count")?);
    let missing = || Error::internal("a complete result without scores");
    let measured = Measured {
        score: score.map(|score| direction.counted(score)).ok_or_else(missing)?,
        items: items.map(|items| direction.counted_items(items)).ok_or_else(missing)?,
        planned,
        missing: planned - scored,
        noise: None,
    };
    Ok(Shown {
        measured,
        revision: row.get("revision_id")?,
        within: row.get("within_variance")?,
        runs: row.get("runs")?,
    })
}

/// The first two votes of each case that has them.
fn votes(tx: &mut Tx<'_>, version: VersionKey) -> Result<Vec<(f64, f64)>> {
    let pairs = tx.rows(
        &format!(
            "SELECT json_extract(score_details, '$.votes[0]') + 0.0 AS first,
                    json_extract(score_details, '$.votes[1]') + 0.0 AS second
             FROM (SELECT cases.id
                   FROM cases
                   WHERE cases.result_id IN (SELECT results.id {SHOWN}) AND cases.state = 'scored'
                   ORDER BY cases.id DESC
                   LIMIT ?2) AS newest
             JOIN case_texts ON case_texts.case_id = newest.id
             WHERE json_valid(score_details)"
        ),
        values![version, VOTES],
        |row| Ok((row.get::<Option<f64>>("first")?, row.get::<Option<f64>>("second")?)),
    )?;
    Ok(pairs.into_iter().filter_map(|(first, second)| first.zip(second)).collect())
}
