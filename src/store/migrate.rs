//! The numbered migrations, embedded in the binary. It does not decide when they run.

use super::Tx;
use crate::error::Result;

/// How many files are embedded; a test holds this to the folder, since a misnamed file is skipped silently.
#[must_use]
pub fn count() -> usize {
    sqlite::migrations::runner().get_migrations().len()
}

/// The version that a database has after all of them. Numbers may be left out.
#[must_use]
pub fn newest() -> usize {
    let versions = sqlite::migrations::runner();
    let versions = versions.get_migrations().iter().map(refinery::Migration::version);
    versions.max().and_then(|version| usize::try_from(version).ok()).unwrap_or(0)
}

/// The version that a database is at; 0 for one that was never migrated.
///
/// # Errors
/// The database's.
pub fn version(tx: &mut Tx<'_>) -> Result<usize> {
    let made = "SELECT COUNT(*) AS n FROM sqlite_schema WHERE name = 'refinery_schema_history'";
    if tx.one(made, &[], |row| row.get::<i64>("n"))? == 0 {
        return Ok(0);
    }
    let latest = "SELECT COALESCE(MAX(version), 0) AS n FROM refinery_schema_history";
    tx.one(latest, &[], |row| Ok(usize::try_from(row.get::<i64>("n")?).unwrap_or(0)))
}

/// The migrations of the embedded database.
pub(super) mod sqlite {
    refinery::embed_migrations!("migrations/sqlite");
}
