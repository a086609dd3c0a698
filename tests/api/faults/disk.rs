//! A disk that loses its power: what a recorded folder may be found as.
//!
//! The bytes of a file are there for good once it was fsynced. Of the rest, each write is there, or missing, or torn:
//! each of its sectors is there or missing by itself. Names are there for good by one of two [`Rule`]s.

use std::collections::{BTreeMap, HashMap};
use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rand::RngExt;
use rand::rngs::StdRng;

use super::record::{Change, Entry};

mod tests;

/// Bytes that are written whole or not at all.
const SECTOR: u64 = 512;

/// When names are on disk for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Once their folder was fsynced, as POSIX has it; until then any of them may be missing.
    Folder,
    /// In their order, with the next fsync of anything, as file systems with a journal do it.
    Journal,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    /// Its place in the list of files.
    File(usize),
}

#[derive(Debug, Default)]
struct Content<'r> {
    /// What is on disk for good.
    bytes: Vec<u8>,
    /// What may be there, in its order, with its position in the record.
    pending: Vec<(u64, Change<'r>)>,
}

/// A change of names that is not on disk for good; a rename is both.
#[derive(Debug, Clone)]
struct Renaming {
    position: u64,
    adds: Option<(String, Node)>,
    removes: Option<(String, Node)>,
}

/// A folder as a record has changed it, and as it would be found.
pub(super) struct Disk<'r> {
    rule: Rule,
    random: StdRng,
    files: Vec<Content<'r>>,
    by_inode: HashMap<u64, usize>,
    /// Names as programs see them.
    names: BTreeMap<String, Node>,
    /// Names that are on disk for good.
    durable: BTreeMap<String, Node>,
    pending: Vec<Renaming>,
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl<'r> Disk<'r> {
    /// An empty folder.
    pub(super) fn new(rule: Rule, random: StdRng) -> Self {
        Self {
            rule,
            random,
            files: Vec::new(),
            by_inode: HashMap::new(),
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
        }
    }

    /// Does what the record says next.
    pub(super) fn apply(&mut self, entry: &Entry<'r>) {
        let (path, begin) = (entry.path, entry.begin);
        match entry.change {
            Change::Create => {
                self.by_inode.insert(entry.inode, self.files.len());
                let node = Node::File(self.files.len());
                self.files.push(Content::default());
                self.rename(begin, None, Some((path.to_owned(), node)));
            }
            Change::MakeFolder => self.rename(begin, None, Some((path.to_owned(), Node::Folder))),
            Change::Rename(old) => {
                let node = self.names.get(old).copied().expect("a name that was made before");
                let removes = Some((old.to_owned(), node));
                self.rename(
                    begin,
                    removes,
                    Some((path.to_owned(), node)).filter(|(path, _)| !path.is_empty()),
                );
            }
            Change::Unlink => {
                let node = self.names.get(path).copied();
                self.rename(begin, node.map(|node| (path.to_owned(), node)), None);
            }
            Change::Write { .. } | Change::Truncate(_) => {
                let at = self.by_inode.get(&entry.inode).expect("a file that was made before");
                self.files[*at].pending.push((begin, entry.change));
            }
            Change::Sync(since) => self.sync(entry, since),
            Change::FailedSync(since) => self.fail(entry, since),
        }
    }

    fn rename(&mut self, position: u64, removes: Option<(String, Node)>, adds: Option<(String, Node)>) {
        if let Some((path, _)) = &removes {
            self.names.remove(path);
        }
        if let Some((path, node)) = &adds {
            self.names.insert(path.clone(), *node);
        }
        self.pending.push(Renaming { position, adds, removes });
    }

    /// Brings a file, or the names in a folder, to disk.
    fn sync(&mut self, entry: &Entry<'r>, since: u64) {
        let is_folder = entry.path.is_empty() || self.names.get(entry.path) == Some(&Node::Folder);
        if !is_folder && let Some(at) = self.by_inode.get(&entry.inode) {
            let file = &mut self.files[*at];
            for (_, change) in file.pending.extract_if(.., |(position, _)| *position < since) {
                write(&mut file.bytes, &change, &mut |_| true);
            }
        }
        let pending = std::mem::take(&mut self.pending);
        for mut renaming in pending {
            if renaming.position < since {
                match self.rule {
                    Rule::Journal => renaming.settle(&mut self.durable),
                    Rule::Folder if is_folder => renaming.settle_in(entry.path, &mut self.durable),
                    Rule::Folder => {}
                }
            }
            if renaming.adds.is_some() || renaming.removes.is_some() {
                self.pending.push(renaming);
            }
        }
    }

    /// Has what was to be brought to disk be there or not, once and for all: the system takes it for written.
    fn fail(&mut self, entry: &Entry<'r>, since: u64) {
        let Some(at) = self.by_inode.get(&entry.inode) else { return };
        let (file, random) = (&mut self.files[*at], &mut self.random);
        for (_, change) in file.pending.extract_if(.., |(position, _)| *position < since) {
            write(&mut file.bytes, &change, &mut |_| random.random_ratio(1, 2));
        }
    }

    /// Cuts the power, and lays what is found then into the folder at `target`.
    pub(super) fn lay_into(mut self, target: &Path) {
        let share = f64::from(self.random.random_range(0_u8..=4)) / 4.0;
        self.settle_some(share);
        let mut first_names: HashMap<usize, PathBuf> = HashMap::new();
        for (path, node) in std::mem::take(&mut self.durable) {
            let found = target.join(&path);
            // What is in a folder that is not there cannot be found; and the index of a write-ahead log is memory.
            if !target.join(parent(&path)).is_dir() || path.ends_with("-shm") {
                continue;
            }
            match node {
                Node::Folder => DirBuilder::new().mode(0o700).create(found).unwrap(),
                // A rename of which only the new name is on disk for good may leave two.
                Node::File(at) if let Some(first) = first_names.get(&at) => {
                    std::fs::hard_link(first, found).unwrap();
                }
                Node::File(at) => {
                    let bytes = self.found(at, share);
                    let file = File::options().write(true).create_new(true).mode(0o600).open(&found);
                    file.unwrap().write_all(&bytes).unwrap();
                    first_names.insert(at, found);
                }
            }
        }
    }

    /// Keeps about that share of the names that are not on disk for good.
    fn settle_some(&mut self, share: f64) {
        let pending = std::mem::take(&mut self.pending);
        let most = pending.len();
        let first = self.random.random_range(0..=most);
        for (at, mut renaming) in pending.into_iter().enumerate() {
            let is_kept = match self.rule {
                Rule::Journal => at < first,
                Rule::Folder => self.random.random_bool(share),
            };
            if is_kept {
                renaming.settle(&mut self.durable);
            }
        }
    }

    /// The bytes of a file as they are found when about that share of what is not there for good is there.
    fn found(&mut self, at: usize, share: f64) -> Vec<u8> {
        let (file, random) = (&mut self.files[at], &mut self.random);
        let mut bytes = std::mem::take(&mut file.bytes);
        for (_, change) in &file.pending {
            if random.random_ratio(1, 3) {
                write(&mut bytes, change, &mut |_| random.random_bool(share));
            } else if random.random_bool(share) {
                write(&mut bytes, change, &mut |_| true);
            }
        }
        bytes
    }
}

impl Renaming {
    /// Brings all of it to disk.
    fn settle(&mut self, durable: &mut BTreeMap<String, Node>) {
        if let Some((path, node)) = self.removes.take()
            && durable.get(&path) == Some(&node)
        {
            durable.remove(&path);
        }
        if let Some((path, node)) = self.adds.take() {
            durable.insert(path, node);
        }
    }

    /// Brings what concerns the names in `folder` to disk: the new name may be there while the old one still is.
    fn settle_in(&mut self, folder: &str, durable: &mut BTreeMap<String, Node>) {
        let is_in =
            |name: &Option<(String, Node)>| name.as_ref().is_some_and(|(path, _)| parent(path) == folder);
        if is_in(&self.removes) {
            self.settle(durable);
        } else if is_in(&self.adds)
            && let Some((path, node)) = self.adds.take()
        {
            durable.insert(path, node);
        }
    }
}

/// Does a change to the bytes of a file, as far as it reaches the disk: that is asked of each sector.
fn write(file: &mut Vec<u8>, change: &Change<'_>, reaches: &mut impl FnMut(u64) -> bool) {
    match change {
        Change::Truncate(length) if reaches(0) => file.resize(usize::try_from(*length).unwrap(), 0),
        Change::Write { offset, bytes } => {
            let end = offset + u64::try_from(bytes.len()).unwrap();
            let mut at = *offset;
            while at < end {
                let next = end.min((at / SECTOR + 1) * SECTOR);
                if reaches(at) {
                    let place = |position: u64| usize::try_from(position).unwrap();
                    if file.len() < place(next) {
                        file.resize(place(next), 0);
                    }
                    let part = &bytes[place(at - offset)..place(next - offset)];
                    file[place(at)..place(next)].copy_from_slice(part);
                }
                at = next;
            }
        }
        _ => {}
    }
}
