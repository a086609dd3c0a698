//! The shim (`shim.c`) between the server and the C library: compiled once, steered through a file that it has mapped.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

/// The shared library, made from the source beside this file.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(compile);

/// Places in the control file, as `struct control` has them.
const CLOCK_OFFSET: u64 = 0;
const KINDS: u64 = 8;
const ERROR: u64 = 12;
const HITS: u64 = 32;
const MATCH: u64 = 64;
/// Bytes of the longest match, its final zero included.
const MATCH_LENGTH: usize = 256;

/// Kinds of operations.
pub(super) const WRITE: i32 = 1;
pub(super) const SYNC: i32 = 2;
pub(super) const CREATE: i32 = 4;

/// Errors.
pub(super) const EIO: i32 = 5;
pub(super) const ENOSPC: i32 = 28;

/// Which operations fail, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    /// Kinds that fail, added up.
    pub(super) kinds: i32,
    pub(super) error: i32,
    /// Part of the paths that are meant, or `=` and a whole path below the data folder.
    pub(super) paths: &'static str,
    /// Operations that succeed first.
    pub(super) skip: i32,
    /// Operations that fail; -1 for all.
    pub(super) times: i32,
    /// Whether the first write that fails is cut in half, and the next one fails.
    pub(super) is_short: bool,
    /// Whether only writes beyond the end of a file fail.
    pub(super) only_growth: bool,
}

impl Failure {
    /// One operation of a kind on those paths fails with EIO.
    pub(super) const fn once(kinds: i32, paths: &'static str) -> Self {
        Self { kinds, error: EIO, paths, skip: 0, times: 1, is_short: false, only_growth: false }
    }

    /// The disk is full: what is there can be written over, and nothing grows or is made.
    pub(super) const fn full() -> Self {
        let all = Self::once(WRITE + CREATE, "");
        Self { error: ENOSPC, times: -1, only_growth: true, ..all }
    }
}

/// What a server under the shim is steered by.
pub(super) struct Shim {
    folder: TempDir,
    control: File,
    data: String,
}

impl Shim {
    /// A shim for servers of the data folder `data`.
    pub(super) fn new(data: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        let control = File::options().create_new(true).read(true).write(true).open(path).unwrap();
        control.set_len(4096).unwrap();
        let data = data.canonicalize().unwrap().to_str().unwrap().to_owned();
        Self { folder, control, data }
    }

    /// Variables of a program that runs under it.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        vec![
            ("LD_PRELOAD", LIBRARY.to_str().unwrap().to_owned()),
            ("EVALBOARD_SHIM_FOLDER", self.data.clone()),
            ("EVALBOARD_SHIM_CONTROL", path("control")),
        ]
    }

    /// The same, and every change of the folder is recorded.
    pub(super) fn recording(&self) -> Vec<(&'static str, String)> {
        let mut variables = self.variables();
        variables.push(("EVALBOARD_SHIM_RECORD", self.record().to_str().unwrap().to_owned()));
        variables
    }

    /// Where the record is.
    pub(super) fn record(&self) -> PathBuf {
        self.folder.path().join("record")
    }

    /// Length of the record. What is acknowledged now was done before it.
    pub(super) fn position(&self) -> u64 {
        self.record().metadata().map_or(0, |record| record.len())
    }

    /// Sets the wall clock of the server that far from the real one, in seconds.
    pub(super) fn step_clock(&self, seconds: i64) {
        self.control.write_all_at(&(seconds * 1_000_000_000).to_ne_bytes(), CLOCK_OFFSET).unwrap();
    }

    /// Makes operations fail from now on.
    pub(super) fn fail(&self, failure: &Failure) {
        self.relent();
        let mut paths = [0; MATCH_LENGTH];
        paths[..failure.paths.len()].copy_from_slice(failure.paths.as_bytes());
        self.control.write_all_at(&paths, MATCH).unwrap();
        let flags = [i32::from(failure.is_short), i32::from(failure.only_growth)];
        let numbers = [&[failure.error, failure.skip, failure.times][..], &flags, &[0]].concat();
        let bytes: Vec<u8> = numbers.into_iter().flat_map(i32::to_ne_bytes).collect();
        self.control.write_all_at(&bytes, ERROR).unwrap();
        self.control.write_all_at(&failure.kinds.to_ne_bytes(), KINDS).unwrap();
    }

    /// Lets every operation succeed again.
    pub(super) fn relent(&self) {
        self.control.write_all_at(&0_i32.to_ne_bytes(), KINDS).unwrap();
    }

    /// How many operations have failed since it was said what fails.
    pub(super) fn hits(&self) -> i32 {
        let mut bytes = [0; 4];
        self.control.read_exact_at(&mut bytes, HITS).unwrap();
        i32::from_ne_bytes(bytes)
    }
}

/// Makes the library; test programs that do so at the same time do not see each other's half.
fn compile() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/faults/shim.c");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (draft, library) = (folder.join(format!("shim-{}.so", std::process::id())), folder.join("shim.so"));
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let made = Command::new(compiler)
        .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared", "-pthread", "-o"])
        .args([&draft, &source])
        .output()
        .expect("a C compiler, which the database is built with too");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::rename(&draft, &library).unwrap();
    library
}
