//! The numbered migrations, embedded in the binary. It does not decide when they run.

use super::Tx;
use crate::error::{Error, Result};

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

/// How a database stands to the migrations of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has no schema.
    Empty,
    /// It has had a part of them, in order.
    Older,
    /// It has had all of them.
    Current,
}

/// A migration that a database records.
struct Applied {
    version: i64,
    name: String,
    checksum: String,
}

/// Compares what a database records of its migrations with those of this program.
///
/// # Errors
/// `Conflict` in words for the operator: `schema_newer` for one that a newer program wrote, `schema_differs` for one whose
/// migrations are others; `Damaged` where the record is missing or cannot be read.
pub(super) fn standing(tx: &mut Tx<'_>) -> Result<Standing> {
    if !has_schema(tx)? {
        return Ok(Standing::Empty);
    }
    let recorded = "SELECT COUNT(*) AS n FROM sqlite_schema WHERE name = 'refinery_schema_history'";
    if tx.one(recorded, &[], |row| row.get::<i64>("n"))? == 0 {
        return Err(Error::Damaged("it has tables, and no record of its schema's version".to_owned()));
    }
    let applied =
        tx.rows("SELECT version, name, checksum FROM refinery_schema_history ORDER BY version", &[], |row| {
            Ok(Applied {
                version: row.get("version")?,
                name: row.get("name")?,
                checksum: row.get("checksum")?,
            })
        });
    let applied = applied.map_err(|cause| match cause {
        Error::Internal(cause) => {
            Error::Damaged(format!("the record of its schema's version cannot be read: {cause}"))
        }
        other => other,
    })?;
    compare(&applied)
}

/// Returns whether a database has any table, or a record of any migration.
///
/// # Errors
/// The database's.
pub(super) fn has_schema(tx: &mut Tx<'_>) -> Result<bool> {
    // The record is made in a transaction of its own, before that of the first migration.
    let tables = "SELECT COUNT(*) AS n FROM sqlite_schema WHERE tbl_name <> 'refinery_schema_history'";
    if tx.one(tables, &[], |row| row.get::<i64>("n"))? > 0 {
        return Ok(true);
    }
    let record = "SELECT COUNT(*) AS n FROM sqlite_schema WHERE name = 'refinery_schema_history'";
    if tx.one(record, &[], |row| row.get::<i64>("n"))? == 0 {
        return Ok(false);
    }
    Ok(tx.one("SELECT COUNT(*) AS n FROM refinery_schema_history", &[], |row| row.get::<i64>("n"))? > 0)
}

fn compare(applied: &[Applied]) -> Result<Standing> {
    let runner = sqlite::migrations::runner();
    let mut own: Vec<_> = runner.get_migrations().iter().collect();
    own.sort_by_key(|migration| migration.version());
    let newest = own.last().map_or(0, |migration| i64::from(migration.version()));
    let Some(last) = applied.last() else {
        return Err(Error::Damaged(
            "it has tables, and the record of its schema's version is empty".to_owned(),
        ));
    };
    if last.version > newest {
        return Err(newer(last.version, newest));
    }
    let differs = |(own, applied): (&&refinery::Migration, &Applied)| {
        i64::from(own.version()) != applied.version
            || own.name() != applied.name
            || own.checksum().to_string() != applied.checksum
    };
    if let Some(at) = own.iter().zip(applied).position(differs) {
        let version = applied.get(at).map_or(0, |applied| applied.version);
        return Err(different(version));
    }
    Ok(if applied.len() < own.len() { Standing::Older } else { Standing::Current })
}

fn newer(theirs: i64, own: i64) -> Error {
    let message = format!(
        "the data folder's schema is of version {theirs}, and evalboard {} knows versions up to {own}: a newer evalboard \
         wrote it. Use that one or a later one, or restore a backup that was made before the upgrade into a new folder with \
         `evalboard restore`. Nothing was changed",
        env!("CARGO_PKG_VERSION")
    );
    Error::Conflict { code: "schema_newer", message }
}

fn different(version: i64) -> Error {
    let message = format!(
        "step {version} of the data folder's schema is not the one that evalboard {} has: another build of evalboard made \
         it, or it was edited by hand. Use the build that made it, or restore a backup of this program's own into a new \
         folder with `evalboard restore`. Nothing was changed",
        env!("CARGO_PKG_VERSION")
    );
    Error::Conflict { code: "schema_differs", message }
}

/// The migrations of the embedded database.
pub(super) mod sqlite {
    refinery::embed_migrations!("migrations/sqlite");
}
