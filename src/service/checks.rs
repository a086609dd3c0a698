//! Whether a data folder is whole: the database in itself, its rows against each other, its files against their rows.
//!
//! It only reads, also while a server has the folder. Everything here blocks.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;

use super::backups::{DATABASE, FILES, Hashing, MASTER_KEY};
use crate::blobs::Blobs;
use crate::error::Result;
use crate::store::blobs::Kept;
use crate::store::{self, blobs, check, ledger, migrate};

/// Whether the bytes of files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every file is hashed.
    Full,
    /// Only names and sizes.
    Fast,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong, a line each.
    pub faults: Vec<String>,
    /// What is worth knowing and harms nobody.
    pub notes: Vec<String>,
    /// Files that rows name.
    pub files: usize,
}

/// Checks the data folder `folder`; `told` hears what is looked at.
///
/// # Errors
/// `Invalid` for a folder without a database; `Internal` when something cannot be read at all.
pub fn folder(folder: &Path, depth: Depth, told: &mut dyn FnMut(&str)) -> Result<Report> {
    let database = folder.join(DATABASE);
    store::require_file(&database)?;
    let mut report = Report::default();
    let kept = match store::read_as_is(&database, |tx| rows(tx, &mut report, told)) {
        Ok(kept) => kept,
        Err(cause) => {
            report.faults.push(format!("the database cannot be read: {}", crate::error::explain(&cause)));
            return Ok(report);
        }
    };
    told("files");
    let (remote, kept): (Vec<_>, Vec<_>) = kept.into_iter().partition(|kept| Blobs::is_remote(&kept.path));
    if !remote.is_empty() {
        report
            .notes
            .push(format!("in a bucket, where they were not looked at: {} of the files", remote.len()));
    }
    report.files = kept.len();
    files(folder, &kept, depth, told, &mut report)?;
    strays(folder, &kept, &mut report)?;
    if report.notes.iter().any(|note| note.starts_with(SEALED)) && folder.join(MASTER_KEY).is_file() {
        report.notes.retain(|note| !note.starts_with(SEALED));
    }
    Ok(report)
}

/// How the note about a missing key begins.
const SEALED: &str = "there is no master.key";

/// What the database says; answers the files that its rows name.
fn rows(tx: &mut store::Tx<'_>, report: &mut Report, told: &mut dyn FnMut(&str)) -> Result<Vec<Kept>> {
    told("pages of the database");
    let damage = check::integrity(tx)?;
    report.faults.extend(damage.into_iter().map(|line| format!("the database is damaged: {line}")));
    told("references");
    report.faults.extend(check::references(tx)?);
    let (present, own) = (migrate::version(tx)?, migrate::newest());
    if present == own {
        told("counts");
        report.faults.extend(check::counts(tx)?);
        told("the ledger");
        report.faults.extend(ledger::first_unsound(tx)?.map(|line| {
            format!("the ledger does not hold from line {} on: a line was changed or taken out", line.0)
        }));
        let sealed = check::sealed(tx)?;
        if sealed > 0 {
            report.notes.push(format!(
                "{SEALED} here: {sealed} sealed secrets need EVALBOARD_MASTER_KEY, or have to be entered again"
            ));
        }
    } else {
        let remedy =
            if present < own { "`evalboard serve` brings it up to date" } else { "use a newer evalboard" };
        report.faults.push(format!(
            "the database is of version {present} and this program's is {own}, so its counts were not checked: {remedy}"
        ));
    }
    blobs::kept(tx)
}

/// Holds files to their rows.
fn files(
    folder: &Path,
    kept: &[Kept],
    depth: Depth,
    told: &mut dyn FnMut(&str),
    report: &mut Report,
) -> Result<()> {
    let mut missing = Vec::new();
    for (at, kept) in kept.iter().enumerate() {
        let path = folder.join(FILES).join(&kept.path);
        match fault(&path, kept, depth) {
            Ok(fault) => report.faults.extend(fault),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => missing.push(&kept.path),
            Err(cause) => report.faults.push(format!("files/{} cannot be read: {cause}", kept.path)),
        }
        if at % 100 == 0 {
            told("files");
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    // A server may have deleted them since; then their rows went first.
    let named = store::read_as_is(&folder.join(DATABASE), blobs::paths)?;
    let missing = missing.into_iter().filter(|path| named.contains(*path));
    report.faults.extend(missing.map(|path| format!("files/{path} is missing")));
    Ok(())
}

/// What is wrong with a file, in words.
fn fault(path: &Path, kept: &Kept, depth: Depth) -> io::Result<Option<String>> {
    let size = std::fs::metadata(path)?.len();
    if u64::try_from(kept.size).ok() != Some(size) {
        return Ok(Some(format!("files/{} has {size} bytes, and its row says {}", kept.path, kept.size)));
    }
    let Some(sha256) = kept.sha256.as_ref().filter(|_| depth == Depth::Full) else { return Ok(None) };
    let quiet = &mut |_| {};
    let mut reading = Hashing::new(File::open(path)?, quiet);
    io::copy(&mut reading, &mut io::sink())?;
    let is_other = reading.finish().1 != *sha256;
    Ok(is_other.then(|| format!("files/{} has another SHA-256 than its row says", kept.path)))
}

/// Lists files that no row names: uploads under way, and what a crash left for the sweep.
fn strays(folder: &Path, kept: &[Kept], report: &mut Report) -> Result<()> {
    let named: HashSet<&str> = kept.iter().map(|kept| kept.path.as_str()).collect();
    let found = crate::blobs::list(&folder.join(FILES))?;
    let strays = found.iter().filter(|path| !named.contains(path.as_str()));
    report
        .notes
        .extend(strays.map(|path| format!("no row names files/{path}: the server removes it after a day")));
    Ok(())
}
