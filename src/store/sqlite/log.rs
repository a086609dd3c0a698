//! The write-ahead log of the database, read as bytes before the database reads it.
//!
//! The database ends its log at the first frame that does not hold, since a crash leaves such an end. It does not notice
//! when whole transactions follow, which no crash explains: those were on disk, and the frame was destroyed later.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Bytes of the log's own header.
const HEADER: usize = 32;
/// Bytes before the page of each frame.
const FRAME_HEADER: usize = 24;
/// The header's first four bytes; the lowest bit gives the byte order of checksums.
const MAGIC: u32 = 0x377f_0682;
/// Ends of transactions behind the first frame that does not hold, from which on it was destroyed. One may be of the
/// transaction that a crash cut off, whose frames reach the disk in any order.
const MIN_COMMITS: usize = 2;

/// Returns the path of the log of the database file at `database`.
pub(super) fn path_of(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}

/// Returns whether there is a log that something was written to.
pub(super) fn has_content(database: &Path) -> bool {
    std::fs::metadata(path_of(database)).is_ok_and(|log| log.len() > 0)
}

/// Describes the transactions that a destroyed frame hides from the database, if there are any.
pub(super) fn loss(database: &Path) -> Option<String> {
    let path = path_of(database);
    match read(&path) {
        Ok(Some(lost)) => Some(format!(
            "frame {} of {} was destroyed, and with it at least {} transactions after it",
            lost.frame,
            path.file_name()?.to_string_lossy(),
            lost.commits
        )),
        Ok(None) => None,
        // The database meets the same error, and reports it.
        Err(_) => None,
    }
}

/// The first frame that does not hold, counted from 1, and how many ends of transactions follow.
#[derive(Debug, PartialEq, Eq)]
struct Lost {
    frame: u64,
    commits: usize,
}

fn read(path: &Path) -> io::Result<Option<Lost>> {
    let file = match File::open(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut log = BufReader::with_capacity(256 * 1024, file);
    let mut header = [0_u8; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(None);
    }
    let Some(mut chain) = Chain::begin(&header) else { return Ok(None) };
    let mut page = vec![0_u8; chain.page_size];
    let mut frame_header = [0_u8; FRAME_HEADER];
    let mut broken: Option<Lost> = None;
    let mut number = 0_u64;
    while fill(&mut log, &mut frame_header)? && fill(&mut log, &mut page)? {
        number += 1;
        let frame = Frame::parse(&frame_header);
        match &mut broken {
            None if chain.accepts(&frame, &frame_header, &page) => {}
            None => broken = Some(Lost { frame: number, commits: 0 }),
            // Frames of an earlier round of the log have other salts.
            Some(lost) if frame.salt == chain.salt && frame.ends_transaction => lost.commits += 1,
            Some(_) => {}
        }
    }
    Ok(broken.filter(|lost| lost.commits >= MIN_COMMITS))
}

/// Fills `buffer`; returns false when the file ends before.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => Ok(false),
        other => other.map(|()| true),
    }
}

/// The parts of a frame's header.
struct Frame {
    ends_transaction: bool,
    salt: [u8; 8],
    checksum: (u32, u32),
}

impl Frame {
    fn parse(header: &[u8; FRAME_HEADER]) -> Self {
        let mut salt = [0_u8; 8];
        salt.iter_mut().zip(header.iter().skip(8)).for_each(|(to, from)| *to = *from);
        Self { ends_transaction: word(header, 1) != 0, salt, checksum: (word(header, 4), word(header, 5)) }
    }
}

/// The running checksum over all frames.
struct Chain {
    page_size: usize,
    salt: [u8; 8],
    is_big_endian: bool,
    sum: (u32, u32),
}

impl Chain {
    /// Begins with the log's header; none when that does not hold itself.
    fn begin(header: &[u8; HEADER]) -> Option<Self> {
        let magic = word(header, 0);
        let page_size = usize::try_from(word(header, 2)).ok()?;
        if magic & !1 != MAGIC || !page_size.is_power_of_two() || !(512..=65_536).contains(&page_size) {
            return None;
        }
        let mut salt = [0_u8; 8];
        salt.iter_mut().zip(header.iter().skip(16)).for_each(|(to, from)| *to = *from);
        let mut chain = Self { page_size, salt, is_big_endian: magic & 1 == 1, sum: (0, 0) };
        chain.add(header.get(..24)?);
        (chain.sum == (word(header, 6), word(header, 7))).then_some(chain)
    }

    /// Adds a frame; returns whether it holds. One that does not is not added.
    fn accepts(&mut self, frame: &Frame, header: &[u8; FRAME_HEADER], page: &[u8]) -> bool {
        if frame.salt != self.salt {
            return false;
        }
        let before = self.sum;
        self.add(header.get(..8).unwrap_or_default());
        self.add(page);
        let holds = self.sum == frame.checksum;
        if !holds {
            self.sum = before;
        }
        holds
    }

    /// Adds bytes, a multiple of eight of them.
    fn add(&mut self, bytes: &[u8]) {
        let (words, _) = bytes.as_chunks::<4>();
        let number = |word: &[u8; 4]| match self.is_big_endian {
            true => u32::from_be_bytes(*word),
            false => u32::from_le_bytes(*word),
        };
        let (pairs, _) = words.as_chunks::<2>();
        let (mut first, mut second) = self.sum;
        for [one, other] in pairs {
            first = first.wrapping_add(number(one)).wrapping_add(second);
            second = second.wrapping_add(number(other)).wrapping_add(first);
        }
        self.sum = (first, second);
    }
}

/// The big-endian number at the place of that word.
fn word(bytes: &[u8], at: usize) -> u32 {
    let (words, _) = bytes.as_chunks::<4>();
    words.get(at).map_or(0, |word| u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use rusqlite::Connection;

    use super::*;

    /// A database whose log has 20 transactions, with the connection that keeps the log.
    fn logged(folder: &Path) -> (PathBuf, Connection) {
        let path = folder.join("x.db");
        let database = Connection::open(&path).unwrap();
        database
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x TEXT)",
            )
            .unwrap();
        for at in 0..20 {
            database.execute("INSERT INTO t VALUES (?1)", [format!("{at:04000}")]).unwrap();
        }
        (path, database)
    }

    fn destroy(database: &Path, frame: u64) {
        let log = File::options().write(true).open(path_of(database)).unwrap();
        log.write_all_at(b"destroyed", 32 + (frame - 1) * (24 + 4096) + 24 + 100).unwrap();
    }

    fn frames(database: &Path) -> u64 {
        (std::fs::metadata(path_of(database)).unwrap().len() - 32) / (24 + 4096)
    }

    #[test]
    fn a_whole_log_has_lost_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _open) = logged(folder.path());
        assert!(frames(&path) > 20);
        assert_eq!(read(&path_of(&path)).unwrap(), None);
        assert_eq!(loss(&folder.path().join("missing.db")), None);
    }

    #[test]
    fn a_destroyed_frame_in_the_middle_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _open) = logged(folder.path());
        destroy(&path, 5);
        let lost = read(&path_of(&path)).unwrap().unwrap();
        assert_eq!(lost.frame, 5);
        assert!(lost.commits >= 15, "{lost:?}");
    }

    #[test]
    fn a_torn_end_is_no_loss() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _open) = logged(folder.path());
        let last = frames(&path);
        destroy(&path, last - 1);
        assert_eq!(read(&path_of(&path)).unwrap(), None);
        let log = File::options().write(true).open(path_of(&path)).unwrap();
        log.set_len(32 + 7 * (24 + 4096) + 1_000).unwrap();
        assert_eq!(read(&path_of(&path)).unwrap(), None);
    }

    #[test]
    fn frames_of_an_earlier_round_are_no_loss() {
        let folder = tempfile::tempdir().unwrap();
        let (path, database) = logged(folder.path());
        database.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
        let before = frames(&path);
        database.execute("INSERT INTO t VALUES ('next round')", []).unwrap();
        assert_eq!(frames(&path), before);
        assert_eq!(read(&path_of(&path)).unwrap(), None);
    }
}
