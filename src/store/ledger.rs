//! The ledger: lines are added and read, never changed or taken away.

use super::{Row, Topic, Tx};
use crate::domain::id::LedgerKey;
use crate::domain::ledger::{Action, Event, GENESIS, Line, Noun, hash};
use crate::domain::page::{Cursor, Page, Slice};
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

/// Lines that are verified at a time.
const CHUNK: i64 = 1_000;

const SELECT: &str =
    "SELECT ledger.id, ledger.at, ledger.user_id, submitters.public_id AS user_public_id, submitters.name AS submitted_by,
            ledger.action, ledger.noun, ledger.subject, ledger.name, ledger.summary, ledger.reason,
            ledger.before_digest, ledger.after_digest, ledger.previous_hash, ledger.hash
     FROM ledger
     LEFT JOIN submitters ON submitters.id = ledger.user_id";

fn line(row: &Row<'_>) -> Result<Line> {
    let (action, noun): (String, String) = (row.get("action")?, row.get("noun")?);
    let user: Option<i64> = row.get("user_id")?;
    let by =
        user.map(|key| Ok::<_, crate::error::Error>((key.into(), row.get("user_public_id")?))).transpose()?;
    let event = Event {
        by,
        action: Action::parse(&action)?,
        noun: Noun::parse(&noun)?,
        subject: row.get("subject")?,
        name: row.get("name")?,
        summary: row.get("summary")?,
        reason: row.get("reason")?,
        before: row.get("before_digest")?,
        after: row.get("after_digest")?,
    };
    Ok(Line {
        key: row.get("id")?,
        at: row.get("at")?,
        event,
        submitted_by: row.get("submitted_by")?,
        previous_hash: row.get("previous_hash")?,
        hash: row.get("hash")?,
    })
}

/// Adds a line behind the last one.
///
/// # Errors
/// The database's.
pub fn append(tx: &mut Tx<'_>, event: &Event, now: Millis) -> Result<()> {
    let last = tx.first("SELECT hash FROM ledger ORDER BY id DESC LIMIT 1", &[], |row| row.get("hash"))?;
    let previous: String = last.unwrap_or_else(|| GENESIS.to_owned());
    tx.execute(
        "INSERT INTO ledger (at, user_id, action, noun, subject, name, summary, reason, before_digest,
                             after_digest, previous_hash, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        values![
            now,
            event.by.as_ref().map(|(key, _)| *key),
            event.action.as_str(),
            event.noun.as_str(),
            &event.subject,
            &event.name,
            &event.summary,
            &event.reason,
            event.before.as_deref(),
            event.after.as_deref(),
            &previous,
            &hash(&previous, now, event),
        ],
    )?;
    tx.touch(Topic::Ledger);
    Ok(())
}

/// Lines, the newest first; of one thing when `subject` names its public id.
///
/// # Errors
/// The database's.
pub fn list(tx: &mut Tx<'_>, subject: Option<&str>, page: Page) -> Result<Slice<Line>> {
    let total = tx.one(
        "SELECT COUNT(*) AS total FROM ledger WHERE ?1 IS NULL OR subject = ?1",
        values![subject],
        |row| row.get("total"),
    )?;
    let rows = tx.page(
        &format!(
            "{SELECT}
             WHERE (?1 IS NULL OR ledger.subject = ?1) AND (?2 IS NULL OR ledger.id < ?2)
             ORDER BY ledger.id DESC
             LIMIT ?3"
        ),
        values![subject, page.after.map(|at| at.key), page.limit + 1],
        line,
    )?;
    Ok(Slice::cut(rows, page, total, |line| Cursor { sort: line.at.0, key: line.key.0 }))
}

/// The public id of the model that took the lead last.
///
/// # Errors
/// The database's.
pub fn leader(tx: &mut Tx<'_>) -> Result<Option<String>> {
    tx.first("SELECT subject FROM ledger WHERE action = 'led' ORDER BY id DESC LIMIT 1", &[], |row| {
        row.get("subject")
    })
}

/// The first line whose hash is not that of what it says, or that does not name the hash of the line before; none
/// when all is as it should be.
///
/// # Errors
/// The database's.
pub fn first_unsound(tx: &mut Tx<'_>) -> Result<Option<LedgerKey>> {
    let (mut after, mut previous) = (0, GENESIS.to_owned());
    loop {
        let lines = tx.rows(
            &format!("{SELECT} WHERE ledger.id > ?1 ORDER BY ledger.id LIMIT ?2"),
            values![after, CHUNK],
            line,
        )?;
        if lines.is_empty() {
            return Ok(None);
        }
        for line in lines {
            if line.previous_hash != previous || !line.is_sound() {
                return Ok(Some(line.key));
            }
            (after, previous) = (line.key.0, line.hash);
        }
    }
}
