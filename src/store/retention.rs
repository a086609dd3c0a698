//! Old texts of cases: which there are, and removing them. Numbers stay, and so does what numbers are made from.
//!
//! A case is as old as its answer: one that was scored again is as old as the run that asked for it. How old is old is
//! decided elsewhere.

use super::{Row, Topic, Tx};
use crate::domain::id::{CaseKey, ResultKey, SampleKey};
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

/// Whether an open run scores the answers of run `results.run_id` again: it reads them still.
const IS_READ: &str = "EXISTS (SELECT 1
                   FROM runs AS readers
                   WHERE readers.rescores_id = results.run_id AND readers.state IN ('queued', 'running'))";

/// A place in the cases of a result, in the order in which they are gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(SampleKey, i64);

impl Place {
    /// Before the first case.
    pub const START: Self = Self(SampleKey(0), 0);
}

/// A part of a result's cases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Those that are old and still have their texts.
    pub old: Vec<CaseKey>,
    /// Where the next part begins; none behind the last.
    pub next: Option<Place>,
}

/// The results with a case whose answer is from before `cutoff` and has its texts, oldest first. Those whose answers
/// an open run scores again are left out.
///
/// # Errors
/// The database's.
pub fn results(tx: &mut Tx<'_>, cutoff: Millis) -> Result<Vec<ResultKey>> {
    tx.rows(
        &format!(
            "SELECT results.id
             FROM results
             JOIN runs ON runs.id = results.run_id
             LEFT JOIN runs AS asked ON asked.id = runs.answers_id
             WHERE results.removed_count < results.case_count
               AND (results.created_at < ?1 OR asked.completed_at < ?1)
               AND NOT {IS_READ}
             ORDER BY results.id"
        ),
        values![cutoff],
        |row| row.get("id"),
    )
}

/// Goes through at most `limit` cases of a result from a place on, until what it found has `bytes` of texts.
///
/// # Errors
/// The database's.
pub fn part(
    tx: &mut Tx<'_>,
    result: ResultKey,
    from: Place,
    cutoff: Millis,
    (limit, bytes): (u32, i64),
) -> Result<Part> {
    let rows = tx.rows(
        "SELECT cases.id, cases.sample_id, cases.epoch,
                case_texts.removed_at IS NULL AND COALESCE(asked.completed_at, cases.created_at) < ?4 AS is_old,
                OCTET_LENGTH(case_texts.prompt) + OCTET_LENGTH(case_texts.response)
                    + COALESCE(OCTET_LENGTH(case_texts.transcript), 0)
                    + COALESCE(OCTET_LENGTH(case_texts.reasoning), 0)
                    + COALESCE(OCTET_LENGTH(case_texts.raw), 0) AS bytes
         FROM cases
         JOIN case_texts ON case_texts.case_id = cases.id
         JOIN results ON results.id = cases.result_id
         JOIN runs ON runs.id = results.run_id
         LEFT JOIN runs AS asked ON asked.id = runs.answers_id
         WHERE cases.result_id = ?1 AND (cases.sample_id, cases.epoch) > (?2, ?3)
         ORDER BY cases.sample_id, cases.epoch
         LIMIT ?5",
        values![result, from.0, from.1, cutoff, limit],
        seen,
    )?;
    let is_last = rows.len() < usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut part, mut held) = (Part::default(), 0_i64);
    for Seen { case, place, is_old, bytes: size } in rows {
        part.next = Some(place);
        if is_old {
            part.old.push(case);
            held = held.saturating_add(size);
        }
        if held >= bytes {
            return Ok(part);
        }
    }
    if is_last {
        part.next = None;
    }
    Ok(part)
}

/// A case that was looked at.
struct Seen {
    case: CaseKey,
    place: Place,
    is_old: bool,
    bytes: i64,
}

fn seen(row: &Row<'_>) -> Result<Seen> {
    Ok(Seen {
        case: row.get("id")?,
        place: Place(row.get("sample_id")?, row.get("epoch")?),
        is_old: row.get("is_old")?,
        bytes: row.get("bytes")?,
    })
}

/// Removes the texts of these cases of a result, and says in each when; answers of how many. None while an open run
/// scores the answers again: it may have begun since they were looked for. Votes of graders stay, since the agreement
/// of an eval's graders is a number that is made from them.
///
/// # Errors
/// The database's.
pub fn remove(tx: &mut Tx<'_>, result: ResultKey, cases: &[CaseKey], now: Millis) -> Result<i64> {
    let is_read = tx.first(
        &format!("SELECT {IS_READ} AS is_read FROM results WHERE results.id = ?1"),
        values![result],
        |row| row.get::<bool>("is_read"),
    )?;
    if is_read != Some(false) {
        return Ok(0);
    }
    let mut removed = 0;
    for case in cases {
        let changed = tx.execute(
            "UPDATE case_texts
             SET prompt = '', response = '', reasoning = NULL, transcript = NULL, usage = NULL, raw = NULL,
                 removed_at = ?2,
                 score_details = CASE WHEN json_valid(score_details)
                                       AND json_type(score_details, '$.votes') = 'array'
                                      THEN json_object('votes', json_extract(score_details, '$.votes'))
                                      ELSE '{}' END
             WHERE case_id = ?1 AND removed_at IS NULL",
            values![*case, now],
        )?;
        tx.execute("UPDATE cases SET answer = NULL WHERE id = ?1 AND answer IS NOT NULL", values![*case])?;
        removed += i64::from(changed > 0);
    }
    tx.execute(
        "UPDATE results SET removed_count = removed_count + ?2 WHERE id = ?1",
        values![result, removed],
    )?;
    tx.touch(Topic::Results);
    Ok(removed)
}
