//! A look at a training set's file once it is there: is it what its name says, how many lines has it, how does it
//! begin.
//!
//! Files are read from start to end and never held in memory, but for Parquet, which is read as its footer says, in a
//! process of its own (`sandbox.rs`).
//! Which file, and what becomes of it, is the caller's matter. All of it blocks.

mod document;
mod lines;
mod parquet;
pub mod sandbox;
mod stored;
mod table;

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use ::parquet::file::reader::ChunkReader;
use tokio::sync::Semaphore;

use self::stored::Stored;
use crate::app::App;
use crate::domain::training_sets::{FileType, Glance, Watcher};
use crate::error::{Error, Result};

/// Bytes that are read at once.
const GATHERED: usize = 256 * 1024;
/// Longest line of JSON Lines and longest row of a table, in bytes: whatever is longer has lost its end.
const LONGEST: usize = 64 * 1024 * 1024;

/// Files that are looked at at once; the others wait.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Looks at the stored file at `path`, which is said to be of that type; `field` is what brought it.
///
/// # Errors
/// `Invalid` naming `field`, with the line at fault, when the file is not what its name says; `NotFound` when it is
/// gone; `Internal` when it cannot be read.
pub(super) async fn look(app: &App, path: &str, file_type: FileType, field: &'static str) -> Result<Glance> {
    let _turn = TURNS.acquire().await.map_err(Error::internal)?;
    let file = Stored::new(app.blobs.open_file(path).await?);
    let program = app.config.program.clone();
    tokio::task::spawn_blocking(move || look_at(&program, &file, file_type, field))
        .await
        .map_err(Error::internal)?
}

fn look_at(program: &Path, file: &impl ChunkReader, file_type: FileType, field: &str) -> Result<Glance> {
    let looked = match file_type {
        FileType::Parquet => sandbox::inspect(program, file),
        _ => file.get_read(0).map_err(Fault::unread).and_then(|file| look_at_text(file, file_type)),
    };
    looked.map_err(|fault| fault.blame(file_type, field))
}

fn look_at_text(file: impl Read, file_type: FileType) -> Result<Glance, Fault> {
    let mut input = BufReader::with_capacity(GATHERED, Watched { file, watcher: Watcher::new(file_type) });
    match file_type {
        FileType::Jsonl => lines::check(&mut input)?,
        FileType::Csv => table::check(&mut input, b',')?,
        FileType::Tsv => table::check(&mut input, b'\t')?,
        FileType::Json => document::check(&mut input)?,
        FileType::Txt | FileType::Parquet | FileType::Xml | FileType::Yaml | FileType::Yml => {
            read_on(&mut input)?;
        }
    }
    Ok(input.into_inner().watcher.finish())
}

fn read_on(input: &mut impl BufRead) -> Result<(), Fault> {
    loop {
        let length = input.fill_buf()?.len();
        if length == 0 {
            return Ok(());
        }
        input.consume(length);
    }
}

/// A file that is watched as it is read, and has to be text.
struct Watched<R> {
    file: R,
    watcher: Watcher,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(room)?;
        let bytes = room.get(..length).unwrap_or_default();
        if bytes.contains(&0) {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        self.watcher.see(bytes);
        Ok(length)
    }
}

/// Why a file is not what its name says.
#[derive(Debug)]
enum Fault {
    /// Of a line, which counts from 1: what is wrong with it.
    Line(u64, String),
    /// Of the whole.
    Whole(String),
    /// It holds a NUL, as no text does.
    Binary,
    /// It could not be read at all.
    Unread(io::Error),
}

impl From<io::Error> for Fault {
    fn from(cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::InvalidData => Self::Binary,
            _ => Self::Unread(cause),
        }
    }
}

impl Fault {
    fn unread(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unread(io::Error::other(cause))
    }

    fn blame(self, file_type: FileType, field: &str) -> Error {
        let kind = file_type.as_str();
        let message = match self {
            Self::Line(number, what) => {
                format!("{field}: line {number} {what}: mend it, or name the file for what it is")
            }
            Self::Whole(what) => format!("{field}: {what}: is it a .{kind} file?"),
            Self::Binary => format!("{field}: it holds NUL bytes, which no text does: is it a .{kind} file?"),
            Self::Unread(cause) => return Error::internal(cause),
        };
        Error::invalid(field, message)
    }
}

#[cfg(test)]
mod tests;
