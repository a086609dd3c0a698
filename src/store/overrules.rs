//! Verdicts of people that stand before the scorers': which cases have one, and what their scorers said.
//!
//! `cases` holds the verdict that counts, so that whatever counts needs to know of none of this.

use super::{Row, Topic, Tx};
use crate::domain::cases::{Case, CaseState};
use crate::domain::id::{ResultKey, UserKey};
use crate::domain::overrules::Overrule;
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::values;

/// What a query of cases shows of their overrules.
pub(super) const COLUMNS: &str = "judges.public_id AS judge_public_id, judges.name AS judge_name,
                overrules.at AS overruled_at, overrules.reason AS overrule_reason, overrules.scorer_state,
                overrules.scorer_score";

/// What it joins for that.
pub(super) const JOIN: &str = "LEFT JOIN overrules ON overrules.case_id = cases.id
         LEFT JOIN submitters AS judges ON judges.id = overrules.user_id";

/// The overrule of a row of such a query, if there is one.
pub(super) fn overrule(row: &Row<'_>) -> Result<Option<Overrule>> {
    let Some(state) = row.get::<Option<String>>("scorer_state")? else { return Ok(None) };
    Ok(Some(Overrule {
        by: row.get("judge_public_id")?,
        submitted_by: row.get("judge_name")?,
        at: row.get("overruled_at")?,
        reason: row.get("overrule_reason")?,
        scorer_state: CaseState::parse(&state)?,
        scorer_score: row.get("scorer_score")?,
    }))
}

/// Puts a person's verdict on a case, in place of the scorer's or of an earlier one of a person's.
///
/// # Errors
/// The database's: `Internal` for a case without an answer.
pub fn put(tx: &mut Tx<'_>, case: &Case, by: UserKey, score: f64, reason: &str, now: Millis) -> Result<()> {
    tx.execute(
        "INSERT INTO overrules (case_id, result_id, user_id, reason, scorer_state, scorer_score, at)
         SELECT id, result_id, ?2, ?3, state, score, ?4 FROM cases WHERE id = ?1
         ON CONFLICT (case_id) DO UPDATE
         SET user_id = excluded.user_id, reason = excluded.reason, at = excluded.at",
        values![case.key, by, reason, now],
    )?;
    tx.execute("UPDATE cases SET state = 'scored', score = ?2 WHERE id = ?1", values![case.key, score])?;
    tx.touch(Topic::Results);
    Ok(())
}

/// Lets what the scorer said of a case count again.
///
/// # Errors
/// `Internal` when nobody had overruled it.
pub fn remove(tx: &mut Tx<'_>, case: &Case) -> Result<()> {
    let restored = tx.execute(
        "UPDATE cases
         SET state = overrules.scorer_state, score = overrules.scorer_score
         FROM overrules
         WHERE overrules.case_id = cases.id AND cases.id = ?1",
        values![case.key],
    )?;
    if restored == 0 {
        return Err(Error::internal("a case without an overrule"));
    }
    tx.execute("DELETE FROM overrules WHERE case_id = ?1", values![case.key])?;
    tx.touch(Topic::Results);
    Ok(())
}

/// Counts the cases of a finished result again, by the verdicts that count now, but for those that pass: these are
/// counted when it is brought to its score. Returns by how many more of them have
/// no score than before.
///
/// # Errors
/// The database's.
pub fn recount(tx: &mut Tx<'_>, key: ResultKey) -> Result<i64> {
    let unmeasured = |tx: &mut Tx<'_>| {
        tx.one("SELECT case_count - scored_count AS n FROM results WHERE id = ?1", values![key], |row| {
            row.get::<i64>("n")
        })
    };
    let before = unmeasured(tx)?;
    tx.execute(
        "UPDATE results
         SET scored_count = counted.scored, unscored_count = counted.unscored,
             score_sum = counted.score_sum, overruled_count = counted.overruled
         FROM (SELECT COUNT(CASE cases.state WHEN 'scored' THEN 1 END) AS scored,
                      COUNT(CASE cases.state WHEN 'unscored' THEN 1 END) AS unscored,
                      TOTAL(cases.score) AS score_sum,
                      (SELECT COUNT(*) FROM overrules WHERE result_id = ?1) AS overruled
               FROM results AS own
               JOIN cases ON cases.result_id = own.id
               WHERE own.id = ?1) AS counted
         WHERE results.id = ?1",
        values![key],
    )?;
    Ok(unmeasured(tx)? - before)
}
