//! The schema of the embedded database: brought up to date, and compared with what the migrations make.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::error::{Error, Result};
use crate::store::driver::explain_command;
use crate::store::migrate;

/// Names of tables, indexes, views and triggers.
const OBJECTS: &str = "SELECT type || ' ' || name FROM sqlite_schema WHERE sql IS NOT NULL";

/// Runs the migrations that are missing, in one transaction: else a crash between one of them and the row that records
/// it would have it run twice.
///
/// # Errors
/// `Full` and `ReadOnly`; `Internal` when a migration fails. Then nothing was changed.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    let run = migrate::sqlite::migrations::runner().set_grouped(true).run(connection);
    run.map(drop).map_err(|cause| match database_error(&cause) {
        Some(known @ (Error::Full | Error::ReadOnly(_) | Error::Damaged(_))) => known,
        _ => Error::internal(format!("migration failed: {cause}")),
    })
}

/// Returns what the database reported, from within the migration library's error.
fn database_error(cause: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut causes = std::iter::successors(Some(cause), |cause| cause.source());
    let found = causes.find_map(|cause| cause.downcast_ref::<rusqlite::Error>())?;
    match found {
        rusqlite::Error::SqliteFailure(code, text) => {
            Some(explain_command(rusqlite::Error::SqliteFailure(*code, text.clone())))
        }
        _ => None,
    }
}

/// Describes what a database of the newest version lacks, if anything.
///
/// # Errors
/// The database's.
pub(super) fn missing(connection: &Connection) -> Result<Option<String>> {
    let mut model = Connection::open_in_memory().map_err(explain_command)?;
    migrate(&mut model)?;
    let present = objects(connection).map_err(explain_command)?;
    let expected = objects(&model).map_err(explain_command)?;
    let missing: Vec<&str> = expected.difference(&present).map(String::as_str).collect();
    Ok((!missing.is_empty()).then(|| format!("missing from the schema: {}", missing.join(", "))))
}

fn objects(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let mut statement = connection.prepare(OBJECTS)?;
    statement.query_map([], |row| row.get(0))?.collect()
}
