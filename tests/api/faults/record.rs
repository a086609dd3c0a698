//! The record that the shim makes: every change of a folder, in the order in which they were completed.

/// Bytes of an entry before its path.
const HEAD: usize = 32;

/// A change of the folder, with paths below it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change<'r> {
    Create,
    MakeFolder,
    Write {
        offset: u64,
        bytes: &'r [u8],
    },
    /// A file gets another length.
    Truncate(u64),
    /// What was done to the file before that position is on disk for good.
    Sync(u64),
    /// What was done to the file before that position is on disk or lost, and no later fsync brings it there.
    FailedSync(u64),
    /// The path is the old one.
    Rename(&'r str),
    Unlink,
}

/// One entry of the record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'r> {
    /// Length of the record before it and with it.
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) inode: u64,
    /// Of a rename, the new one.
    pub(super) path: &'r str,
    pub(super) change: Change<'r>,
}

/// All whole entries of a record, in their order.
pub(super) fn entries(record: &[u8]) -> Vec<Entry<'_>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some((entry, end)) = entry(record, at) {
        found.push(entry);
        at = end;
    }
    found
}

fn entry(record: &[u8], begin: usize) -> Option<(Entry<'_>, usize)> {
    let head = record.get(begin..begin + HEAD)?;
    let short = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().unwrap());
    let (inode, offset) = (long(8), long(16));
    let path_end = begin + HEAD + usize::try_from(short(4)).unwrap();
    let end = path_end + usize::try_from(long(24)).unwrap();
    let path = std::str::from_utf8(record.get(begin + HEAD..path_end)?).unwrap();
    let bytes = record.get(path_end..end)?;
    let (old, new) = path.split_once('\0').unwrap_or(("", path));
    let change = match short(0) {
        1 => Change::Create,
        2 => Change::MakeFolder,
        3 => Change::Write { offset, bytes },
        4 => Change::Truncate(offset),
        5 => Change::Sync(offset),
        6 => Change::FailedSync(offset),
        7 => Change::Rename(old),
        9 => Change::Unlink,
        other => panic!("a change of kind {other}, which is not modelled"),
    };
    let position = |at: usize| u64::try_from(at).unwrap();
    Some((Entry { begin: position(begin), end: position(end), inode, path: new, change }, end))
}
