//! What must hold between the rows, whoever wrote them: counts and what they count, packed scores and their items.
//!
//! It only reads, and asks none of the code that writes. Each fault is a line in words.

use super::Tx;
use crate::error::Result;
use crate::values;

/// Lines that one kind of fault gets at most.
pub const MOST: i64 = 20;

/// Queries whose rows are faults.
const FAULTS: &[&str] =
    &[RESULT_COUNTS, ITEM_SCORES, TEXTS, REMOVED, OVERRULES, RUN_COUNTS, ENDED_RUNS, BOARD, SUITE];

/// What results count, against their cases. Those of deleted evals are cleared away step by step.
const RESULT_COUNTS: &str = "SELECT 'result ' || results.public_id || ' counts ' || results.case_count || ' cases ('
        || results.scored_count || ' scored, ' || results.unscored_count || ' unscored, ' || results.error_count
        || ' errors, sum ' || results.score_sum || '), and ' || COUNT(cases.id) || ' are stored ('
        || COUNT(CASE cases.state WHEN 'scored' THEN 1 END) || ', '
        || COUNT(CASE cases.state WHEN 'unscored' THEN 1 END) || ', '
        || COUNT(CASE cases.state WHEN 'error' THEN 1 END) || ', sum ' || TOTAL(cases.score) || ')' AS fault
     FROM results
     JOIN evals ON evals.id = results.eval_id AND evals.deleted_at IS NULL
     LEFT JOIN cases ON cases.result_id = results.id
     GROUP BY results.id
     HAVING results.case_count <> COUNT(cases.id)
         OR results.scored_count <> COUNT(CASE cases.state WHEN 'scored' THEN 1 END)
         OR results.unscored_count <> COUNT(CASE cases.state WHEN 'unscored' THEN 1 END)
         OR results.error_count <> COUNT(CASE cases.state WHEN 'error' THEN 1 END)
         OR ABS(results.score_sum - TOTAL(cases.score)) > 1e-6 * (1 + COUNT(cases.id))
     ORDER BY results.id
     LIMIT ?1";

/// Packed item scores, against the samples that were asked. A complete result has one for each.
const ITEM_SCORES: &str = "SELECT 'result ' || results.public_id || ' has '
        || COALESCE(LENGTH(item_scores.packed) || ' bytes of item scores', 'no item scores') || ' for '
        || run_cells.samples || ' samples, and is over ' || results.item_count || ' items' AS fault
     FROM results
     JOIN evals ON evals.id = results.eval_id AND evals.deleted_at IS NULL
     JOIN run_cells ON run_cells.run_id = results.run_id AND run_cells.model_id = results.model_id
                   AND run_cells.eval_id = results.eval_id
     LEFT JOIN item_scores ON item_scores.result_id = results.id
     WHERE LENGTH(item_scores.packed) <> 8 * run_cells.samples
        OR (results.state = 'complete'
            AND (item_scores.packed IS NULL OR results.score IS NULL
                 OR results.item_count <> run_cells.samples))
     ORDER BY results.id
     LIMIT ?1";

const TEXTS: &str = "SELECT 'case ' || cases.public_id || ' has no texts' AS fault
     FROM cases
     WHERE NOT EXISTS (SELECT 1 FROM case_texts WHERE case_texts.case_id = cases.id)
     ORDER BY cases.id
     LIMIT ?1";

/// How many cases' texts results say were removed, against the cases; and that what was removed is not there.
const REMOVED: &str =
    "SELECT 'result ' || results.public_id || ' says that the texts of ' || results.removed_count
        || ' cases were removed, and those of ' || COUNT(case_texts.removed_at) || ' were, of which '
        || COUNT(CASE WHEN case_texts.removed_at IS NOT NULL
                       AND (case_texts.response <> '' OR case_texts.reasoning IS NOT NULL) THEN 1 END)
        || ' are still there' AS fault
     FROM results
     JOIN evals ON evals.id = results.eval_id AND evals.deleted_at IS NULL
     JOIN cases ON cases.result_id = results.id
     JOIN case_texts ON case_texts.case_id = cases.id
     GROUP BY results.id
     HAVING results.removed_count <> COUNT(case_texts.removed_at)
         OR COUNT(CASE WHEN case_texts.removed_at IS NOT NULL
                       AND (case_texts.response <> '' OR case_texts.reasoning IS NOT NULL) THEN 1 END) > 0
     ORDER BY results.id
     LIMIT ?1";

/// Verdicts of people, against the results that count them.
const OVERRULES: &str = "SELECT 'result ' || results.public_id || ' counts ' || results.overruled_count
        || ' overruled verdicts, and ' || COUNT(overrules.case_id) || ' are stored, '
        || COUNT(CASE WHEN cases.state = 'scored' AND cases.result_id = results.id THEN 1 END)
        || ' of them on scored cases of its own' AS fault
     FROM results
     JOIN evals ON evals.id = results.eval_id AND evals.deleted_at IS NULL
     LEFT JOIN overrules ON overrules.result_id = results.id
     LEFT JOIN cases ON cases.id = overrules.case_id
     GROUP BY results.id
     HAVING results.overruled_count <> COUNT(overrules.case_id)
         OR results.overruled_count
            <> COUNT(CASE WHEN cases.state = 'scored' AND cases.result_id = results.id THEN 1 END)
     ORDER BY results.id
     LIMIT ?1";

/// What runs count, against the results of their cells.
const RUN_COUNTS: &str = "SELECT 'run ' || runs.public_id || ' counts ' || runs.case_done || ' cases and '
        || runs.case_errors || ' without a score, its results ' || counted.done || ' and ' || counted.errors AS fault
     FROM runs
     JOIN (SELECT runs.id, COALESCE(SUM(results.case_count), 0) AS done,
                  COALESCE(SUM(results.error_count + results.unscored_count), 0) AS errors
           FROM runs
           LEFT JOIN run_cells ON run_cells.run_id = runs.id AND run_cells.dropped_at IS NULL
           LEFT JOIN results ON results.run_id = run_cells.run_id AND results.model_id = run_cells.model_id
                            AND results.eval_id = run_cells.eval_id
           GROUP BY runs.id) AS counted ON counted.id = runs.id
     WHERE runs.case_done <> counted.done OR runs.case_errors <> counted.errors
     ORDER BY runs.id
     LIMIT ?1";

/// A run that ended by itself has all of its cases, those given up aside.
const ENDED_RUNS: &str = "SELECT 'run ' || public_id || ' is ' || state || ' with ' || case_done || ' of '
        || case_total || ' cases' || CASE WHEN given_up > 0 THEN ', ' || given_up || ' given up' ELSE '' END AS fault
     FROM runs
     WHERE state IN ('completed', 'failed') AND case_done + given_up <> case_total
     ORDER BY id
     LIMIT ?1";

const BOARD: &str = "SELECT 'the board shows result ' || results.public_id
        || CASE WHEN results.score IS NULL THEN ', which has no score'
                ELSE ' where another model or eval belongs' END AS fault
     FROM board_cells
     JOIN results ON results.id = board_cells.result_id
     WHERE results.score IS NULL OR results.revision_id <> board_cells.revision_id
        OR results.version_id <> board_cells.version_id OR results.model_id <> board_cells.model_id
        OR results.eval_id <> board_cells.eval_id OR results.run_id <> board_cells.run_id
     ORDER BY results.id
     LIMIT ?1";

const SUITE: &str = "SELECT 'the suite has another eval''s version for eval ' || evals.public_id AS fault
     FROM suite_evals
     JOIN evals ON evals.id = suite_evals.eval_id
     JOIN eval_versions ON eval_versions.id = suite_evals.version_id
     WHERE eval_versions.eval_id <> suite_evals.eval_id
     ORDER BY evals.id
     LIMIT ?1";

/// Damage of the file itself, as far as the database can tell.
///
/// # Errors
/// The database's.
pub fn integrity(tx: &mut Tx<'_>) -> Result<Vec<String>> {
    tx.rows(
        "SELECT integrity_check AS fault FROM pragma_integrity_check WHERE integrity_check <> 'ok' LIMIT 20",
        &[],
        |row| row.get("fault"),
    )
}

/// Damage of the file itself that shows without comparing indexes with their tables, at most `limit` findings.
///
/// # Errors
/// The database's: `Damaged` where the damage keeps the check from going on.
pub(super) fn quick(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<String>> {
    tx.rows(
        "SELECT quick_check AS fault FROM pragma_quick_check WHERE quick_check <> 'ok' LIMIT ?1",
        values![limit],
        |row| row.get("fault"),
    )
}

/// As [`quick`], of one table and its indexes.
///
/// # Errors
/// As [`quick`].
pub(super) fn quick_table(tx: &mut Tx<'_>, table: &str, limit: i64) -> Result<Vec<String>> {
    tx.rows(
        "SELECT quick_check AS fault FROM pragma_quick_check(?1) WHERE quick_check <> 'ok' LIMIT ?2",
        values![table, limit],
        |row| row.get("fault"),
    )
}

/// Names of all tables, the schema's own included.
///
/// # Errors
/// The database's.
pub(super) fn tables(tx: &mut Tx<'_>) -> Result<Vec<String>> {
    let named = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut tables = tx.rows(named, &[], |row| row.get("name"))?;
    tables.push("sqlite_schema".to_owned());
    Ok(tables)
}

/// Reads the first row of every table whole, and the first entry of every index.
///
/// # Errors
/// The database's: `Damaged` for a page on the way there.
pub(super) fn first_rows(tx: &mut Tx<'_>) -> Result<()> {
    for table in tables(tx)? {
        tx.step_whole(&format!("SELECT * FROM \"{table}\" LIMIT 1"))?;
    }
    // The lowest value of an index's first column is its first entry. Partial indexes answer no such question.
    let indexes = tx.rows(
        "SELECT indexes.tbl_name AS table_name, indexes.name AS index_name, columns.name AS column_name
         FROM sqlite_schema AS indexes, pragma_index_info(indexes.name) AS columns
         WHERE indexes.type = 'index' AND indexes.sql NOT LIKE '%WHERE%' AND columns.seqno = 0
           AND columns.name IS NOT NULL",
        &[],
        |row| Ok((row.get("table_name")?, row.get("index_name")?, row.get("column_name")?)),
    )?;
    for (table, index, column) in indexes {
        let (table, index, column): (String, String, String) = (table, index, column);
        tx.step_whole(&format!("SELECT \"{column}\" FROM \"{table}\" INDEXED BY \"{index}\" LIMIT 1"))?;
    }
    Ok(())
}

/// Rows that point to rows that are not there, by table.
///
/// # Errors
/// The database's.
pub fn references(tx: &mut Tx<'_>) -> Result<Vec<String>> {
    tx.rows(
        "SELECT COUNT(*) || ' rows of ' || \"table\" || ' point to rows of ' || parent || ' that are not there' AS fault
         FROM pragma_foreign_key_check
         GROUP BY \"table\", parent
         ORDER BY \"table\", parent",
        &[],
        |row| row.get("fault"),
    )
}

/// Rows that contradict each other, at most [`MOST`] of each kind. Only for a database of this program's version.
///
/// # Errors
/// The database's.
pub fn counts(tx: &mut Tx<'_>) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for query in FAULTS {
        faults.extend(tx.rows(query, values![MOST], |row| row.get::<String>("fault"))?);
    }
    Ok(faults)
}

/// How many sealed secrets there are: none of them can be opened without the master key.
///
/// # Errors
/// The database's.
pub fn sealed(tx: &mut Tx<'_>) -> Result<i64> {
    tx.one(
        "SELECT (SELECT COUNT(*) FROM models WHERE sealed_key IS NOT NULL AND deleted_at IS NULL)
              + (SELECT COUNT(*) FROM webhook_secrets) AS n",
        &[],
        |row| row.get("n"),
    )
}
