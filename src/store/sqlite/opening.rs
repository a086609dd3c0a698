//! Opening a database file: what is checked before it is served, and how it is read where nothing can be written.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use url::Url;

use super::{OLDEST, Readers, log, pool, schema, settle};
use crate::domain::time::Millis;
use crate::error::{Error, Result, explain};
use crate::store::condition::{Monitor, Obstacle};
use crate::store::driver::{Tx, explain_command};
use crate::store::migrate::{self, Standing};
use crate::store::{check, room};

/// Bytes of a database that is checked whole before it is served; a larger one is checked while it is. Reading as much
/// takes about a second.
pub(super) const MAX_STARTUP_CHECK_BYTES: u64 = 256 * 1024 * 1024;
/// Findings of a check that are kept.
const MAX_FINDINGS: i64 = 3;

/// A database that was opened.
pub(in crate::store) struct Opened {
    /// The connection that writes; none where nothing can be written.
    pub(in crate::store) writer: Option<Connection>,
    pub(in crate::store) readers: Readers,
}

/// The ways to read a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Beside a writer, with the log.
    Shared,
    /// The file alone, without the log and the files beside it, which there is no room to make. Nobody may write to it.
    Immutable,
}

impl Access {
    /// What is opened for the file at `path`, and how.
    fn target(self, path: &Path) -> Result<(PathBuf, OpenFlags)> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        match self {
            Self::Shared => Ok((path.to_owned(), flags)),
            Self::Immutable => {
                let path = std::path::absolute(path).map_err(Error::internal)?;
                let mut url = Url::from_file_path(&path)
                    .map_err(|()| Error::internal(format!("no URL of {}", path.display())))?;
                url.set_query(Some("immutable=1"));
                Ok((url.as_str().into(), flags | OpenFlags::SQLITE_OPEN_URI))
            }
        }
    }
}

/// Opens the database at `path`, made and migrated if need be. Where nothing can be written it is opened for reading
/// alone; both that and damage are reported to `monitor`.
///
/// # Errors
/// `Conflict` for a database that this program cannot serve, in words for the operator; `Internal` when it cannot be
/// opened at all.
pub(in crate::store) fn open(path: &Path, monitor: &Monitor) -> Result<Opened> {
    if rusqlite::version_number() < OLDEST {
        return Err(Error::internal(format!("SQLite {} is too old", rusqlite::version())));
    }
    if let Some(loss) = log::loss(path) {
        monitor.report_damage(&loss);
    }
    let cause = match open_writer(path, monitor) {
        Ok(writer) => {
            let readers = open_readers(path, Access::Shared)?;
            let writer = Some(writer).filter(|_| !monitor.is_damaged());
            let folder = path.parent().filter(|folder| room::is_low(folder));
            if let Some(obstacle) = folder.and_then(room::obstacle) {
                monitor.report_obstacle(obstacle);
            }
            return Ok(Opened { writer, readers });
        }
        Err(cause) => cause,
    };
    match obstacle(&cause, path) {
        Some(obstacle) => open_read_only(path, obstacle, monitor),
        None => Err(in_words(cause, path)),
    }
}

/// Opens the database for writing.
///
/// # Errors
/// `Full` and `ReadOnly` where nothing can be written; `Damaged` when not even its schema can be read; as [`open`].
pub(super) fn open_writer(path: &Path, monitor: &Monitor) -> Result<Connection> {
    make_file(path)?;
    // One thread at a time uses a connection, so it needs no lock of its own.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(explain_command)?;
    keep_log(&connection, true)?;
    connection
        .execute_batch(
            "PRAGMA busy_timeout = 5000;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA secure_delete = ON;
             PRAGMA cache_size = -8192;",
        )
        .map_err(explain_command)?;
    settle(&connection).map_err(explain_command)?;
    let standing = examine(&connection, path, monitor)?;
    if standing == Standing::Older
        && let Some(damage) = monitor.damage()
    {
        return Err(damage);
    }
    if standing != Standing::Current {
        schema::migrate(&mut connection)?;
    } else if let Some(missing) = schema::missing(&connection)? {
        monitor.report_damage(&missing);
    }
    if !monitor.is_damaged() {
        keep_log(&connection, false)?;
    }
    Ok(connection)
}

/// Makes the file (mode 0600) when it is absent.
fn make_file(path: &Path) -> Result<()> {
    let made = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    made.map(drop).map_err(|cause| match room::obstacle_of(&cause) {
        Obstacle::DiskFailing => Error::internal(format!("cannot open {}: {cause}", path.display())),
        obstacle => obstacle.error(),
    })
}

/// Sets whether closing the connection leaves the log as it is. A log beside a damaged database may be the only proof of
/// what was in it.
fn keep_log(connection: &Connection, is_kept: bool) -> Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_kept)
        .map(drop)
        .map_err(explain_command)
}

/// Judges the version of a database, and checks the whole of one that is small or is about to be migrated.
fn examine(connection: &Connection, path: &Path, monitor: &Monitor) -> Result<Standing> {
    let standing = migrate::standing(&mut Tx::new(connection))?;
    let is_small = std::fs::metadata(path).is_ok_and(|file| file.len() <= MAX_STARTUP_CHECK_BYTES);
    if standing == Standing::Empty {
        monitor.record_pass(Millis::now());
    }
    if standing == Standing::Empty || monitor.is_damaged() {
        return Ok(standing);
    }
    if is_small || standing == Standing::Older {
        match check::quick(&mut Tx::new(connection), MAX_FINDINGS) {
            Ok(findings) if findings.is_empty() => monitor.record_pass(Millis::now()),
            Ok(findings) => monitor.report_damage(&findings.join("; ").replace('\n', " ")),
            Err(Error::Damaged(found)) => monitor.report_damage(&found),
            Err(other) => return Err(other),
        }
    }
    Ok(standing)
}

/// Returns what keeps the database from being opened for writing, where that is the disk's doing.
fn obstacle(cause: &Error, path: &Path) -> Option<Obstacle> {
    let folder = path.parent()?;
    match cause {
        Error::Full => Some(Obstacle::DiskFull),
        Error::ReadOnly(_) => Some(Obstacle::NotWritable),
        // Files beside the database that cannot be made look like any other error of the disk.
        Error::Internal(_) => room::obstacle(folder),
        _ => None,
    }
}

/// Opens the database for reading alone.
fn open_read_only(path: &Path, obstacle: Obstacle, monitor: &Monitor) -> Result<Opened> {
    let mut cause = obstacle.error();
    for access in [Access::Shared, Access::Immutable] {
        // Without its log the database would be one of an earlier time.
        if access == Access::Immutable && log::has_content(path) {
            break;
        }
        match readable(path, access, monitor) {
            Ok(Standing::Current) => {
                monitor.report_obstacle(obstacle);
                let readers = open_readers(path, access)?;
                monitor.set_frozen(access == Access::Immutable);
                return Ok(Opened { writer: None, readers });
            }
            Ok(Standing::Empty) => break,
            Ok(Standing::Older) => return Err(no_upgrade(path, obstacle)),
            Err(refused @ Error::Conflict { .. }) => return Err(refused),
            Err(other) => cause = other,
        }
    }
    Err(unreadable(path, obstacle, &cause))
}

/// Judges a database over a connection of that kind.
fn readable(path: &Path, access: Access, monitor: &Monitor) -> Result<Standing> {
    examine(&open_reader(path, access)?, path, monitor)
}

/// Opens one connection for reading.
pub(super) fn open_reader(path: &Path, access: Access) -> Result<Connection> {
    let (target, flags) = access.target(path)?;
    let connection = Connection::open_with_flags(target, flags).map_err(explain_command)?;
    prepare_reader(&connection).map_err(explain_command)?;
    Ok(connection)
}

fn prepare_reader(connection: &Connection) -> rusqlite::Result<()> {
    settle(connection)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.execute_batch("PRAGMA query_only = ON;")
}

/// Opens the pool of readers.
pub(super) fn open_readers(path: &Path, access: Access) -> Result<Readers> {
    let (target, flags) = access.target(path)?;
    pool(target, flags, prepare_reader)
}

fn no_upgrade(path: &Path, obstacle: Obstacle) -> Error {
    let message = format!(
        "{} has to be brought up to date, and nothing can be written ({}): {}. Nothing was changed, and the evalboard \
         that served it before still can",
        path.display(),
        obstacle.as_str(),
        match obstacle {
            Obstacle::DiskFull => "free about as much room as the database takes",
            _ => "make the data folder writable",
        }
    );
    Error::Conflict { code: "upgrade_impossible", message }
}

fn unreadable(path: &Path, obstacle: Obstacle, cause: &Error) -> Error {
    let message = format!(
        "nothing can be written beside {} ({}), and it cannot be read without that either: {}",
        path.display(),
        obstacle.as_str(),
        explain(cause)
    );
    Error::Conflict { code: "data_unreadable", message }
}

/// Puts damage that leaves nothing to serve in words for the operator.
fn in_words(cause: Error, path: &Path) -> Error {
    let Error::Damaged(found) = cause else { return cause };
    let folder = path.parent().unwrap_or(Path::new("."));
    let message = format!(
        "{} is damaged, or no database of this program, and cannot be served ({found}). Nothing was changed. See what \
         `evalboard check --data-dir {}` finds, and restore a backup into a new folder: `evalboard restore FILE \
         --data-dir NEW_FOLDER`",
        path.display(),
        folder.display()
    );
    Error::Conflict { code: "damaged", message }
}
