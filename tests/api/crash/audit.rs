//! What the tables say when all is over: what is there twice, what is missing, what does not add up.
//!
//! It counts rows by itself and asks none of the code that wrote them; what `evalboard check` finds counts too.

use std::path::Path;

use evalboard::store::{Store, Tx, check};

/// Whose cases are all to be there: of runs that ended by themselves, unless a model or an eval was deleted.
const WHOLE_CELLS: &str = "run_cells
     JOIN runs ON runs.id = run_cells.run_id AND runs.state IN ('completed', 'failed')
     JOIN models ON models.id = run_cells.model_id AND models.deleted_at IS NULL
     JOIN evals ON evals.id = run_cells.eval_id AND evals.deleted_at IS NULL
     LEFT JOIN results ON results.run_id = run_cells.run_id AND results.model_id = run_cells.model_id
                      AND results.eval_id = run_cells.eval_id
     WHERE run_cells.dropped_at IS NULL";

/// Cases as they are, and as their result counts them.
const COUNTED_RESULTS: &str = "SELECT results.case_count AS counted, results.score_sum AS summed,
            COUNT(cases.id) AS there, TOTAL(cases.score) AS sum
     FROM results
     JOIN evals ON evals.id = results.eval_id AND evals.deleted_at IS NULL
     LEFT JOIN cases ON cases.result_id = results.id
     GROUP BY results.id";

/// What the tables say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Audit {
    /// Cases that are stored.
    pub(crate) cases: i64,
    /// Things made twice by one write, and cases stored or counted twice.
    pub(crate) duplicates: i64,
    /// Planned cases of ended runs that are not there.
    pub(crate) lost: i64,
    /// Cases that a crash turned into an error: the provider never failed.
    pub(crate) harmed: i64,
    /// Rows that point nowhere, sums that do not add up, pages that are damaged.
    pub(crate) inconsistent: i64,
}

impl Audit {
    pub(crate) async fn of(database: &Path) -> Self {
        let store = Store::open(database).unwrap();
        let audit = store.read(|tx| Ok(Self::read(tx))).await.unwrap();
        store.close();
        audit
    }

    fn read(tx: &mut Tx<'_>) -> Self {
        let cases = count(tx, &number("COUNT(*)", "cases"));
        let mut sum = |queries: &[String]| queries.iter().map(|sql| count_faults(tx, sql)).sum();
        Self {
            cases,
            duplicates: sum(&duplicates()),
            lost: sum(&[
                number("TOTAL(MAX(0, samples * run_cells.epochs - COALESCE(case_count, 0)))", WHOLE_CELLS),
                number("TOTAL(MAX(0, counted - there))", &format!("({COUNTED_RESULTS})")),
            ]),
            harmed: sum(&[number("COUNT(*)", "cases WHERE state = 'error'")]),
            inconsistent: sum(&inconsistencies()) + i64::try_from(check::counts(tx).unwrap().len()).unwrap(),
        }
    }
}

fn number(what: &str, of: &str) -> String {
    format!("SELECT CAST({what} AS INTEGER) AS n FROM {of}")
}

fn count(tx: &mut Tx<'_>, sql: &str) -> i64 {
    tx.one(sql, &[], |row| row.get("n")).unwrap()
}

/// As [`count`], of what should not be there: it is printed, for whoever looks for the cause.
fn count_faults(tx: &mut Tx<'_>, sql: &str) -> i64 {
    let found = count(tx, sql);
    if found > 0 {
        println!("{found} by {sql}");
    }
    found
}

fn duplicates() -> Vec<String> {
    let twice = "COUNT(*) - COUNT(DISTINCT ";
    vec![
        number(&format!("{twice}name)"), "models"),
        number(&format!("{twice}name)"), "evals"),
        number(&format!("{twice}result_id || ' ' || sample_id || ' ' || epoch)"), "cases"),
        number("TOTAL(MAX(0, COALESCE(case_count, 0) - samples * run_cells.epochs))", WHOLE_CELLS),
        number("TOTAL(MAX(0, there - counted))", &format!("({COUNTED_RESULTS})")),
    ]
}

fn inconsistencies() -> Vec<String> {
    let places = [
        "pragma_foreign_key_check".to_owned(),
        "pragma_integrity_check WHERE integrity_check <> 'ok'".to_owned(),
        format!("({COUNTED_RESULTS}) WHERE ABS(summed - sum) > 1e-6"),
        "cases LEFT JOIN case_texts ON case_id = cases.id WHERE case_id IS NULL".to_owned(),
        "runs WHERE state IN ('queued', 'running')".to_owned(),
        // A run that is cancelled when nearly all of it was measured leaves a complete result.
        "results WHERE state = 'complete' AND case_count <> planned_count
             AND run_id NOT IN (SELECT id FROM runs WHERE state = 'cancelled')"
            .to_owned(),
        "runs WHERE state <> 'cancelled' AND case_done <> case_total".to_owned(),
    ];
    places.iter().map(|place| number("COUNT(*)", place)).collect()
}
