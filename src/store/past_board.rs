//! The board as it stood at a moment, from the results that were finished and the changes of the suite that were
//! recorded by then. Names, categories and weights are the present ones: their changes are not recorded.

use super::Tx;
use super::board::{self, SHOWN, model_line};
use crate::domain::leaderboard::{BoardCell, ModelLine};
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

/// The models that a past board may show, oldest first: those that rest now may not have rested then.
///
/// # Errors
/// The database's.
pub fn models(tx: &mut Tx<'_>) -> Result<Vec<ModelLine>> {
    tx.rows(
        "SELECT id, public_id, name, provider, is_official, open_weights,
                CASE WHEN (SELECT inference_uri FROM model_revisions WHERE id = models.revision_id) LIKE 'builtin:%'
                     THEN 1 ELSE 0 END AS is_baseline
         FROM models
         WHERE deleted_at IS NULL
         ORDER BY id",
        &[],
        model_line,
    )
}

/// The cells of the suite as it was at `at`: of each model and eval the complete result with the latest answers that
/// was finished by then. A model stands with the revision that it was last measured with.
///
/// # Errors
/// The database's.
pub fn cells(tx: &mut Tx<'_>, at: Millis) -> Result<Vec<BoardCell>> {
    tx.rows(
        &format!(
            "WITH suite AS (
             SELECT version_id
             FROM suite_changes
             WHERE id IN (SELECT MAX(id) FROM suite_changes WHERE at <= ?1 GROUP BY eval_id) AND change <> 'left'
         ), measured AS (
             SELECT results.id, results.revision_id,
                    COUNT(*) OVER (PARTITION BY results.revision_id, results.version_id) AS runs,
                    ROW_NUMBER() OVER (PARTITION BY results.revision_id, results.version_id
                                       ORDER BY COALESCE(runs.answers_id, runs.id) DESC, runs.id DESC) AS age,
                    FIRST_VALUE(results.revision_id) OVER (PARTITION BY results.model_id
                                                           ORDER BY COALESCE(runs.answers_id, runs.id) DESC,
                                                                    runs.id DESC, results.id DESC) AS present
             FROM results
             JOIN runs ON runs.id = results.run_id
             WHERE results.state = 'complete' AND results.updated_at <= ?1
               AND runs.on_board = 1 AND runs.epochs IS NULL AND runs.max_samples IS NULL
         )
         SELECT results.model_id, results.version_id, results.id AS result_id, measured.runs,
                1 AS counts, {SHOWN}
         FROM measured
         JOIN results ON results.id = measured.id
         JOIN suite ON suite.version_id = results.version_id
         JOIN models ON models.id = results.model_id
         JOIN evals ON evals.id = results.eval_id
         WHERE measured.age = 1 AND measured.revision_id = measured.present
           AND models.deleted_at IS NULL AND evals.deleted_at IS NULL
         ORDER BY evals.name, evals.id, models.id"
        ),
        values![at],
        board::cell,
    )
}
