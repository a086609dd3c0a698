//! The form of a backup: a tar file whose last entry says what the others are.
//!
//! Whatever is cut off, added or changed, the manifest is missing or does not fit. Which file goes where in a data
//! folder is not known here.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::domain::hex;
use crate::domain::time::Millis;

/// The name of the last entry.
pub(super) const MANIFEST: &str = "manifest.json";
/// The form that is written, and the only one that is read.
pub(super) const FORMAT: u32 = 1;
/// Bytes that are written at once.
const CHUNK: usize = 256 * 1024;

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) size: u64,
    /// In hexadecimal.
    pub(super) sha256: String,
}

/// What an archive holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// The version of the program that made it.
    pub(super) evalboard: String,
    /// Milliseconds UTC.
    pub(super) made_at: i64,
    pub(super) entries: Vec<Entry>,
}

/// An archive that is being written.
pub(super) struct Writer {
    tar: Builder<BufWriter<File>>,
    entries: Vec<Entry>,
}

impl Writer {
    pub(super) fn create(path: &Path) -> crate::error::Result<Self> {
        let file = super::make_private(path)?;
        Ok(Self { tar: Builder::new(BufWriter::with_capacity(CHUNK, file)), entries: Vec::new() })
    }

    /// Adds the file at `from`; `told` hears of every piece that was read.
    pub(super) fn add(&mut self, name: &str, from: &Path, told: &mut dyn FnMut(u64)) -> io::Result<Entry> {
        let file = File::open(from)?;
        let size = file.metadata()?.len();
        let mut reading = Hashing::new(file.take(size), told);
        self.tar.append_data(&mut header(size), name, &mut reading)?;
        let (read, sha256) = reading.finish();
        if read != size {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        let entry = Entry { path: name.to_owned(), size, sha256 };
        self.entries.push(entry.clone());
        Ok(entry)
    }

    /// Adds the manifest and brings all to disk; answers how many bytes that are.
    pub(super) fn finish(self, now: Millis) -> io::Result<u64> {
        let Self { mut tar, entries } = self;
        let evalboard = env!("CARGO_PKG_VERSION").to_owned();
        let manifest = Manifest { format: FORMAT, evalboard, made_at: now.0, entries };
        let text = serde_json::to_vec(&manifest)?;
        let size = u64::try_from(text.len()).map_err(io::Error::other)?;
        tar.append_data(&mut header(size), MANIFEST, text.as_slice())?;
        let mut buffer = tar.into_inner()?;
        buffer.flush()?;
        let file = buffer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

fn header(size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o600);
    header
}

/// A reader that hashes and counts what goes through it.
pub(in crate::service) struct Hashing<'t, R> {
    inner: R,
    hash: Sha256,
    read: u64,
    told: &'t mut dyn FnMut(u64),
}

impl<'t, R: Read> Hashing<'t, R> {
    pub(in crate::service) fn new(inner: R, told: &'t mut dyn FnMut(u64)) -> Self {
        Self { inner, hash: Sha256::new(), read: 0, told }
    }

    /// How many bytes went through, and their hash.
    pub(in crate::service) fn finish(self) -> (u64, String) {
        (self.read, hex::encode(&self.hash.finalize()))
    }
}

impl<R: Read> Read for Hashing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        let bytes = u64::try_from(count).map_err(io::Error::other)?;
        self.read += bytes;
        (self.told)(bytes);
        Ok(count)
    }
}
