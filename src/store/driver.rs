//! One SQL text over the database driver: binding, rows by name, error codes.
//!
//! Everything that differs between databases stands here and in the driver's own file. It does not know
//! a single table. Placeholders are always `?1 ?2`.

use std::borrow::Cow;
use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, ToSql};

use super::condition::{Monitor, Obstacle};
use super::topics::{Topic, TopicSet};
use crate::domain::id;
use crate::domain::page::{MAX_PAGE_BYTES, PageRows};
use crate::domain::time::Millis;
use crate::error::{Error, Result};

/// Pages that are copied between two reports.
const PAGES: i32 = 1_000;

/// A value to bind. It borrows what it can: texts may be long, and a flood of cases binds many.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'v> {
    /// SQL NULL.
    Null,
    /// A 64-bit integer; booleans are 0 and 1.
    Integer(i64),
    /// A finite float.
    Real(f64),
    /// Text.
    Text(Cow<'v, str>),
    /// Bytes.
    Blob(Cow<'v, [u8]>),
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

macro_rules! value_from {
    ($($type:ty => $held:ident: $make:expr),* $(,)?) => { $(
        impl<'v> From<$type> for Value<'v> {
            fn from($held: $type) -> Self { $make }
        }
    )* };
}

value_from! {
    i64 => number: Self::Integer(number),
    u32 => number: Self::Integer(i64::from(number)),
    u16 => number: Self::Integer(i64::from(number)),
    bool => truth: Self::Integer(i64::from(truth)),
    f64 => number: Self::Real(number),
    &'v str => text: Self::Text(text.into()),
    String => text: Self::Text(text.into()),
    &'v String => text: Self::Text(text.into()),
    Vec<u8> => bytes: Self::Blob(bytes.into()),
    &'v [u8] => bytes: Self::Blob(bytes.into()),
    [u8; 32] => bytes: Self::Blob(bytes.to_vec().into()),
    Millis => at: Self::Integer(at.0),
}

impl<T: Into<Self>> From<Option<T>> for Value<'_> {
    fn from(held: Option<T>) -> Self {
        held.map_or(Self::Null, Into::into)
    }
}

/// What a column can be read as.
pub trait FromColumn: Sized {
    /// Reads the column at that place, or says why it cannot be that.
    ///
    /// # Errors
    /// The stored value has another type.
    fn read(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Self>;
}

macro_rules! from_column {
    ($($type:ty),* $(,)?) => { $(
        impl FromColumn for $type {
            fn read(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Self> { row.get(at) }
        }
        impl FromColumn for Option<$type> {
            fn read(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Self> { row.get(at) }
        }
    )* };
}

from_column!(i64, u32, bool, f64, String, Vec<u8>);

macro_rules! column_newtypes {
    ($($type:path: $inner:ty),* $(,)?) => { $(
        impl FromColumn for $type {
            fn read(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Self> {
                row.get::<_, $inner>(at).map(Into::into)
            }
        }
        impl FromColumn for Option<$type> {
            fn read(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Self> {
                Ok(row.get::<_, Option<$inner>>(at)?.map(Into::into))
            }
        }
    )* };
}

macro_rules! bind_ids {
    ($($id:ident $key:ident),* $(,)?) => { $(
        impl From<id::$key> for Value<'_> {
            fn from(key: id::$key) -> Self { Self::Integer(key.0) }
        }
        impl From<i64> for id::$key {
            fn from(key: i64) -> Self { Self(key) }
        }
        impl<'v> From<&'v id::$id> for Value<'v> {
            fn from(id: &'v id::$id) -> Self { Self::Text(id.as_str().into()) }
        }
        column_newtypes!(id::$id: String, id::$key: i64);
    )* };
}

bind_ids! {
    UserId UserKey, ApiKeyId ApiKeyKey, ModelId ModelKey, EvalId EvalKey, RunId RunKey,
    ResultId ResultKey, CaseId CaseKey, ArtifactId ArtifactKey, TrainingSetId TrainingSetKey,
    BlobId BlobKey, UploadId UploadKey, DraftId DraftKey, RevisionId RevisionKey, VersionId VersionKey,
    SampleId SampleKey, SampleSetId SampleSetKey, PriceId PriceKey, WorkItemId WorkItemKey,
    ScheduleId ScheduleKey, LedgerId LedgerKey, SessionId SessionKey,
}

impl From<i64> for Millis {
    fn from(milliseconds: i64) -> Self {
        Self(milliseconds)
    }
}

column_newtypes!(Millis: i64);

/// The values of a statement, in the order of `?1 ?2 ...`.
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::store::driver::Value::from($value)),*] };
}

/// One row of an answer.
pub struct Row<'a> {
    row: &'a rusqlite::Row<'a>,
    /// The column that is looked at first: most are read in the order of their statement.
    next: Cell<usize>,
    monitor: Option<&'a Monitor>,
}

impl<'a> Row<'a> {
    fn new(row: &'a rusqlite::Row<'a>, monitor: Option<&'a Monitor>) -> Self {
        Self { row, next: Cell::new(0), monitor }
    }

    /// The column of that name.
    ///
    /// # Errors
    /// `Internal` when there is no such column or it holds another type.
    pub fn get<T: FromColumn>(&self, column: &str) -> Result<T> {
        self.place_of(column).and_then(|at| T::read(self.row, at)).map_err(|cause| {
            // Tables are strict: a value of another type is a fault of a query, or of a page.
            if let Some(monitor) = self.monitor {
                monitor.suspect();
            }
            Error::internal(format!("column {column}: {cause}"))
        })
    }

    fn place_of(&self, column: &str) -> rusqlite::Result<usize> {
        let (statement, next) = (self.row.as_ref(), self.next.get());
        let is_next = statement.column_name(next).is_ok_and(|name| name == column);
        let at = if is_next { next } else { statement.column_index(column)? };
        debug_assert_eq!(statement.column_index(column).ok(), Some(at), "two columns are named {column}");
        self.next.set(at + 1);
        Ok(at)
    }
}

/// An open transaction. Store functions take it, so that they compose into one command.
pub struct Tx<'c> {
    connection: &'c Connection,
    /// Where damage and obstacles are reported, if anywhere.
    monitor: Option<&'c Monitor>,
    is_writer: bool,
    now_topics: TopicSet,
    soon_topics: TopicSet,
}

impl<'c> Tx<'c> {
    /// A view of `connection`, whose transaction the caller has opened.
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            monitor: None,
            is_writer: false,
            now_topics: TopicSet::default(),
            soon_topics: TopicSet::default(),
        }
    }

    /// As [`Tx::new`], for a read that reports damage.
    pub(super) fn of_reader(connection: &'c Connection, monitor: &'c Monitor) -> Self {
        Self { monitor: Some(monitor), ..Self::new(connection) }
    }

    /// As [`Tx::new`], for the writer, which reports damage and obstacles.
    pub(super) fn of_writer(connection: &'c Connection, monitor: &'c Monitor) -> Self {
        Self { monitor: Some(monitor), is_writer: true, ..Self::new(connection) }
    }

    /// Runs a command of the connection itself, such as COMMIT.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub(super) fn command(&self, sql: &str) -> Result<()> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|cause| self.fail(cause, sql))?;
        statement.raw_execute().map(drop).map_err(|cause| self.fail(cause, sql))
    }

    /// Returns the error that the database's means, and reports what it says of the data's condition.
    pub(super) fn fail(&self, cause: rusqlite::Error, sql: &str) -> Error {
        let is_io = cause.sqlite_error_code() == Some(ErrorCode::SystemIoFailure);
        let error = explain(cause, sql);
        let Some(monitor) = self.monitor else { return error };
        match &error {
            Error::Damaged(found) => monitor.report_damage(found),
            Error::Full => monitor.report_obstacle(Obstacle::DiskFull),
            Error::ReadOnly(_) => monitor.report_obstacle(Obstacle::NotWritable),
            Error::Internal(_) if is_io && self.is_writer => {
                tracing::error!(error = ?error, "the disk failed");
                monitor.report_obstacle(Obstacle::DiskFailing);
                return Obstacle::DiskFailing.error();
            }
            _ => {}
        }
        // Of files that were removed or replaced a new connection reads nothing but I/O errors.
        if matches!(error, Error::Internal(_)) { monitor.damage().unwrap_or(error) } else { error }
    }

    /// What was touched so far: at once, and soon.
    pub(super) const fn touched(&self) -> (TopicSet, TopicSet) {
        (self.now_topics, self.soon_topics)
    }

    /// Says that answers made from `topic` are stale once this commits, before the caller is told.
    pub fn touch(&mut self, topic: Topic) {
        self.now_topics.insert(topic);
    }

    /// As [`Tx::touch`], but a quarter of a second later at the latest: for progress that comes in floods.
    pub fn touch_soon(&mut self, topic: Topic) {
        self.soon_topics.insert(topic);
    }

    /// Runs a statement; answers how many rows it changed.
    ///
    /// # Errors
    /// `Full`, `Unavailable` or `Internal`, by the database's code.
    pub fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<usize> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|cause| self.fail(cause, sql))?;
        statement.execute(rusqlite::params_from_iter(values)).map_err(|cause| self.fail(cause, sql))
    }

    /// Every row of the answer, mapped.
    ///
    /// # Errors
    /// As [`Tx::execute`], and what `map` answers.
    pub fn rows<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|cause| self.fail(cause, sql))?;
        let mut rows =
            statement.query(rusqlite::params_from_iter(values)).map_err(|cause| self.fail(cause, sql))?;
        let mut mapped = Vec::new();
        while let Some(row) = rows.next().map_err(|cause| self.fail(cause, sql))? {
            mapped.push(map(&Row::new(row, self.monitor))?);
        }
        Ok(mapped)
    }

    /// Reads the rows of one page of a list, mapped: as many as the statement's `LIMIT` admits, and no more once their values
    /// pass [`MAX_PAGE_BYTES`].
    ///
    /// # Errors
    /// As [`Tx::rows`].
    pub fn page<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<PageRows<T>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|cause| self.fail(cause, sql))?;
        let columns = statement.column_count();
        let mut rows =
            statement.query(rusqlite::params_from_iter(values)).map_err(|cause| self.fail(cause, sql))?;
        let (mut page, mut bytes) = (PageRows::from(Vec::new()), 0_usize);
        while let Some(row) = rows.next().map_err(|cause| self.fail(cause, sql))? {
            bytes = bytes.saturating_add(weight(row, columns));
            if bytes > MAX_PAGE_BYTES && !page.rows.is_empty() {
                page.is_cut = true;
                break;
            }
            page.rows.push(map(&Row::new(row, self.monitor))?);
        }
        Ok(page)
    }

    /// The first row of the answer, mapped, if there is one.
    ///
    /// # Errors
    /// As [`Tx::rows`].
    pub fn first<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.rows(sql, values, map)?.into_iter().next())
    }

    /// The one row that a statement must answer (an aggregate, or `INSERT ... RETURNING`).
    ///
    /// # Errors
    /// `Internal` when there is none; else as [`Tx::rows`].
    pub fn one<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.first(sql, values, map)?.ok_or_else(|| Error::internal(format!("no row from: {sql}")))
    }
}

impl Tx<'_> {
    /// Runs a query and reads every column of what it finds, which is thrown away.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub(super) fn step_whole(&mut self, sql: &str) -> Result<()> {
        let mut statement = self.connection.prepare(sql).map_err(|cause| self.fail(cause, sql))?;
        let columns = statement.column_count();
        let mut rows = statement.query([]).map_err(|cause| self.fail(cause, sql))?;
        while let Some(row) = rows.next().map_err(|cause| self.fail(cause, sql))? {
            for column in 0..columns {
                row.get_ref(column).map_err(|cause| self.fail(cause, sql))?;
            }
        }
        Ok(())
    }

    /// Copies the whole database, as this transaction has seen it, into the file at `path`; `told` hears how many of
    /// how many pages are done. Others may write meanwhile; their log cannot be cut short until this is over.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn copy_to(&mut self, path: &Path, told: &mut dyn FnMut(u64, u64)) -> Result<()> {
        let mut copy = Connection::open(path).map_err(explain_command)?;
        let backup = Backup::new(self.connection, &mut copy).map_err(explain_command)?;
        let count = |pages| u64::try_from(pages).unwrap_or(0);
        loop {
            match backup.step(PAGES).map_err(explain_command)? {
                StepResult::Done => return Ok(()),
                StepResult::More => {}
                // Whoever opens a file may hold it for a moment, such as a virus scanner.
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
            let progress = backup.progress();
            told(count(progress.pagecount - progress.remaining), count(progress.pagecount));
        }
    }
}

/// Returns the bytes that the values of a row take, numbers left out.
fn weight(row: &rusqlite::Row<'_>, columns: usize) -> usize {
    let bytes = |column| match row.get_ref(column) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => bytes.len(),
        _ => 0,
    };
    (0..columns).map(bytes).sum()
}

/// What a database error means to us; `sql` goes into the log only.
fn explain(cause: rusqlite::Error, sql: &str) -> Error {
    match cause.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Obstacle::DiskFull.error(),
        Some(ErrorCode::ReadOnly) => Obstacle::NotWritable.error(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Damaged(cause.to_string()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::Unavailable("the database is busy: try again".to_owned())
        }
        _ => Error::internal(format!("{cause} in: {sql}")),
    }
}

/// As the statements' errors, for the connection's own commands.
pub(super) fn explain_command(cause: rusqlite::Error) -> Error {
    explain(cause, "a connection command")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_in_any_order() {
        let connection = Connection::open_in_memory().unwrap();
        let mut tx = Tx::new(&connection);
        let order = ["a", "b", "c", "a", "c", "b", "b"];
        let read = tx.one("SELECT 1 AS a, 2 AS b, 3 AS c", &[], |row| {
            order.iter().map(|name| row.get::<i64>(name)).collect::<Result<Vec<_>>>()
        });
        assert_eq!(read.unwrap(), [1, 2, 3, 1, 3, 2, 2]);
        assert!(tx.one("SELECT 1 AS a", &[], |row| row.get::<i64>("b")).is_err());
    }
}
