//! The pool's view of SQLite: opening a reading connection, and checking that one still works.
//!
//! Which pragmas a connection gets, and how large the pool is, is decided in `sqlite.rs`.

use std::path::PathBuf;

use rusqlite::{Connection, OpenFlags};

/// Opens connections to one database file, each with the same flags and settings.
#[derive(Debug)]
pub(super) struct ConnectionManager {
    path: PathBuf,
    flags: OpenFlags,
    configure: fn(&Connection) -> rusqlite::Result<()>,
}

impl ConnectionManager {
    /// Returns a manager that opens `path` with `flags` and runs `configure` on every new connection.
    pub(super) fn new(
        path: PathBuf,
        flags: OpenFlags,
        configure: fn(&Connection) -> rusqlite::Result<()>,
    ) -> Self {
        Self { path, flags, configure }
    }
}

impl r2d2::ManageConnection for ConnectionManager {
    type Connection = Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(&self.path, self.flags)?;
        (self.configure)(&connection)?;
        Ok(connection)
    }

    fn is_valid(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        connection.execute_batch("SELECT 1")
    }

    fn has_broken(&self, _: &mut Connection) -> bool {
        false
    }
}
