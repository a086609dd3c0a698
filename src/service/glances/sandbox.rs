//! Inspection of Parquet files in a process of its own, with limits that the system enforces.
//!
//! A Parquet file states how deeply its schema nests and how large its pages are, and the parser believes it: a small
//! file can overflow the stack or fill the memory, which no check inside a process can catch. So the program starts
//! itself once more (`inspect-parquet`), with no environment and little memory, and hands it the parts of the file
//! that it asks for. When that process dies, the file is refused and the server goes on.
//!
//! The two talk over the child's standard input and output: a request is a line of JSON (`Message`), a part is its
//! length (8 bytes, little endian) and its bytes.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::Bytes;
use rlimit::Resource;
use serde::{Deserialize, Serialize};

use super::Fault;
use super::parquet as reader;
use crate::domain::training_sets::Glance;

/// Name of the command that the program starts itself with.
pub const COMMAND: &str = "inspect-parquet";
/// Address space of the process that reads a file, in bytes, its program included.
const MAX_MEMORY: u64 = 768 * 1024 * 1024;
/// Processor time of that process, in seconds.
const MAX_CPU_SECONDS: u64 = 30;
/// Longest message of that process, in bytes.
const MAX_MESSAGE: u64 = 1024 * 1024;
/// Bytes that are requested at once while a file is read in order.
const READ_AHEAD: u64 = 64 * 1024;

/// A message of the process that reads a file.
#[derive(Debug, Serialize, Deserialize)]
enum Message {
    /// Asks for `length` bytes from `offset` on.
    Read { offset: u64, length: u64 },
    /// Ends the inspection: the file is Parquet.
    Inspected { line_count: Option<i64>, snippet: String },
    /// Ends the inspection: the file is not what its name claims, with the reason.
    Refused(String),
}

/// Inspects a file in a process of `program`, the executable of this crate.
///
/// # Errors
/// `Whole` when the file is not Parquet, is broken, or goes beyond the limits; `Unread` when the process cannot be
/// started or the file cannot be read.
pub(super) fn inspect(program: &Path, file: &impl ChunkReader) -> Result<Glance, Fault> {
    let mut process = Process::start(program, file.len())?;
    loop {
        match process.receive()? {
            Some(Message::Read { offset, length }) => process.send(file, offset, length)?,
            Some(Message::Inspected { line_count, snippet }) => return Ok(Glance { line_count, snippet }),
            Some(Message::Refused(reason)) => return Err(Fault::Whole(reason)),
            None => return Err(beyond_limits()),
        }
    }
}

fn beyond_limits() -> Fault {
    Fault::Whole(format!(
        "it cannot be read within {} MiB of memory and {MAX_CPU_SECONDS} s; its schema may nest too deeply, or its \
         pages be larger than its footer claims",
        MAX_MEMORY / 1024 / 1024
    ))
}

/// The process that reads a file, killed when it is dropped.
struct Process {
    child: Child,
    requests: BufReader<ChildStdout>,
    parts: ChildStdin,
}

impl Process {
    fn start(program: &Path, size: u64) -> Result<Self, Fault> {
        let mut child = Command::new(program)
            .args([COMMAND, &size.to_string()])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(parts), Some(requests)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Fault::Unread(io::Error::other("the process has no pipes")));
        };
        Ok(Self { child, requests: BufReader::new(requests), parts })
    }

    /// Returns the next message; none when the process ended without one.
    fn receive(&mut self) -> Result<Option<Message>, Fault> {
        let mut line = Vec::new();
        self.requests.by_ref().take(MAX_MESSAGE).read_until(b'\n', &mut line)?;
        Ok(serde_json::from_slice(&line).ok())
    }

    /// Sends a part of the file. A process that is gone takes nothing, which the next message shows.
    fn send(&mut self, file: &impl ChunkReader, offset: u64, length: u64) -> Result<(), Fault> {
        let length = length.min(file.len().saturating_sub(offset));
        let mut part = file.get_read(offset).map_err(Fault::unread)?.take(length);
        let sent = self.parts.write_all(&length.to_le_bytes());
        match sent.and_then(|()| io::copy(&mut part, &mut self.parts)) {
            Ok(copied) if copied == length => Ok(()),
            Ok(_) => Err(Fault::Unread(io::Error::from(io::ErrorKind::UnexpectedEof))),
            Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(cause) => Err(Fault::Unread(cause)),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is waited for, so that it does not stay as a zombie.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs the process that reads a file of `size` bytes: limits itself, then inspects what its caller hands it.
///
/// # Errors
/// The limits cannot be set, or the result cannot be written.
pub fn run(size: u64) -> io::Result<()> {
    for (resource, limit) in
        [(Resource::AS, MAX_MEMORY), (Resource::CPU, MAX_CPU_SECONDS), (Resource::CORE, 0)]
    {
        rlimit::setrlimit(resource, limit, limit)?;
    }
    let pipes = Arc::new(Mutex::new(Pipes {
        requests: BufWriter::new(io::stdout()),
        parts: BufReader::new(io::stdin()),
    }));
    let result = match reader::look(Remote { size, pipes: Arc::clone(&pipes) }) {
        Ok(Glance { line_count, snippet }) => Message::Inspected { line_count, snippet },
        Err(Fault::Whole(reason)) => Message::Refused(reason),
        Err(fault) => return Err(io::Error::other(format!("{fault:?}"))),
    };
    pipes.lock().unwrap_or_else(PoisonError::into_inner).request(&result)
}

/// The child's ends of the pipes.
struct Pipes {
    requests: BufWriter<io::Stdout>,
    parts: BufReader<io::Stdin>,
}

impl Pipes {
    fn request(&mut self, message: &Message) -> io::Result<()> {
        serde_json::to_writer(&mut self.requests, message)?;
        self.requests.write_all(b"\n")?;
        self.requests.flush()
    }

    /// Returns the bytes from `offset` on: `length` of them, or fewer at the end of the file.
    fn read(&mut self, offset: u64, length: u64) -> io::Result<Bytes> {
        self.request(&Message::Read { offset, length })?;
        let mut sent = [0; 8];
        self.parts.read_exact(&mut sent)?;
        let sent = u64::from_le_bytes(sent);
        // It grows with what comes, not by what was claimed.
        let mut part = Vec::new();
        let copied = self.parts.by_ref().take(sent).read_to_end(&mut part)?;
        if u64::try_from(copied).ok() != Some(sent) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        Ok(part.into())
    }
}

/// The file as the child has it: part by part from its caller.
struct Remote {
    size: u64,
    pipes: Arc<Mutex<Pipes>>,
}

impl Remote {
    fn read(&self, offset: u64, length: u64) -> io::Result<Bytes> {
        self.pipes.lock().unwrap_or_else(PoisonError::into_inner).read(offset, length)
    }
}

impl Length for Remote {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Remote {
    type T = BufReader<InOrder>;

    fn get_read(&self, start: u64) -> ::parquet::errors::Result<Self::T> {
        let file = Self { size: self.size, pipes: Arc::clone(&self.pipes) };
        Ok(BufReader::new(InOrder { file, offset: start, part: Bytes::new() }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ::parquet::errors::Result<Bytes> {
        let part = self.read(start, u64::try_from(length).unwrap_or(u64::MAX));
        let part = part.map_err(|cause| ParquetError::External(Box::new(cause)))?;
        if part.len() < length {
            return Err(ParquetError::EOF("the file ends before".to_owned()));
        }
        Ok(part)
    }
}

/// The rest of a file from some place on.
struct InOrder {
    file: Remote,
    offset: u64,
    part: Bytes,
}

impl Read for InOrder {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.part.is_empty() && self.offset < self.file.size {
            self.part = self.file.read(self.offset, READ_AHEAD)?;
            self.offset = self.offset.saturating_add(u64::try_from(self.part.len()).unwrap_or(u64::MAX));
        }
        let taken = self.part.split_to(self.part.len().min(room.len()));
        let (head, _) = room.split_at_mut(taken.len());
        head.copy_from_slice(&taken);
        Ok(taken.len())
    }
}
