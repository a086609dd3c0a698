//! Sealing provider keys at rest, under a master key that lies outside the database.
//!
//! API keys and passwords are no matter of this module: they are hashed, not sealed. It never shows, logs or
//! names in an error what it holds.

use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::disk;
use crate::domain::{hex, signature};
use crate::error::{Error, Result};

const SETTING: &str = "EVALBOARD_MASTER_KEY";

/// First byte of everything sealed; another layout takes another number.
const VERSION: u8 = 1;

/// Bytes of the id of a master key, which tells what was sealed under it.
pub const ID: usize = 8;

const NONCE: usize = 24;

/// What the file of a key that is not in its place yet ends with.
const DRAFT: &str = "next";

/// More than any spelling of a key takes, with room for line ends.
const MAX_FILE: u64 = 256;

/// The key that everything else is derived from; neither printed nor copied.
pub struct MasterKey(SecretBox<[u8; 32]>);

impl MasterKey {
    /// The key in the file at `path`; a new random one, mode 0600 and on disk for good, when there is no
    /// file. Whoever else starts at the same moment gets the same key, and a crash leaves no half of one.
    ///
    /// Blocks on the disk.
    ///
    /// # Errors
    /// `Internal`, with the path: the file cannot be read or made, or holds no key. It is never overwritten,
    /// since what was sealed under its key would be lost.
    pub fn load_or_create(path: &Path) -> Result<Self> {
        let key = match load(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
            loaded => loaded,
        };
        key.map_err(|error| Error::internal(format!("master key file {}: {error}", path.display())))
    }

    /// Returns the id of this key, which gives nothing of it away.
    #[must_use]
    pub fn id(&self) -> [u8; ID] {
        let mut id = [0; ID];
        id.iter_mut()
            .zip(self.derive("evalboard: id of the master key"))
            .for_each(|(slot, byte)| *slot = byte);
        id
    }

    /// Returns the id of the key that a text was sealed under; none for what was never sealed by this version.
    #[must_use]
    pub fn id_of(sealed: &[u8]) -> Option<[u8; ID]> {
        let (version, rest) = sealed.split_first()?;
        if *version == VERSION { rest.first_chunk().copied() } else { None }
    }

    /// Where the key of a data folder lies.
    #[must_use]
    pub fn file(folder: &Path) -> PathBuf {
        folder.join("master.key")
    }

    /// The key in the file at `path`.
    ///
    /// # Errors
    /// `Internal`, with the path, when there is none.
    pub fn load(path: &Path) -> Result<Self> {
        load(path).map_err(|error| Error::internal(format!("master key file {}: {error}", path.display())))
    }

    /// The key that is to take the place of the one in the file at `path`: in a file beside it, made when there is
    /// none yet.
    ///
    /// # Errors
    /// As [`MasterKey::load_or_create`].
    pub fn draft(path: &Path) -> Result<Self> {
        Self::load_or_create(&path.with_added_extension(DRAFT))
    }

    /// Puts that key into its place, on disk for good.
    ///
    /// # Errors
    /// `Internal`, with the path.
    pub fn adopt_draft(path: &Path) -> Result<()> {
        let adopted = disk::rename(&path.with_added_extension(DRAFT), path);
        adopted.map_err(|error| Error::internal(format!("master key file {}: {error}", path.display())))
    }

    /// Throws that key away: nothing is sealed under it.
    ///
    /// # Errors
    /// `Internal`, with the path.
    pub fn discard_draft(path: &Path) -> Result<()> {
        let discarded = std::fs::remove_file(path.with_added_extension(DRAFT))
            .and_then(|()| disk::sync_folder(disk::parent(path)));
        discarded.map_err(|error| Error::internal(format!("master key file {}: {error}", path.display())))
    }

    /// Whether such a key waits: a change of keys was interrupted, and what is sealed may be sealed under either.
    #[must_use]
    pub fn has_draft(path: &Path) -> bool {
        path.with_added_extension(DRAFT).exists()
    }

    /// Seals `secret` for one row and one [origin](crate::egress::origin): in another row, or once the row's
    /// URL leads elsewhere, it cannot be opened. Each call answers different bytes.
    ///
    /// # Errors
    /// `Internal` when the system has no randomness.
    pub fn seal(&self, row_id: &str, origin: &str, secret: &str) -> Result<Vec<u8>> {
        let nonce = random::<NONCE>().map_err(Error::internal)?;
        let header = self.header();
        let context = context(&header, row_id, origin);
        let payload = Payload { msg: secret.as_bytes(), aad: &context };
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Error::internal("a provider key is too long to be sealed"))?;
        Ok([&header[..], &nonce, &sealed].concat())
    }

    /// As [`MasterKey::seal`], of what was opened.
    ///
    /// # Errors
    /// As [`MasterKey::seal`].
    pub fn seal_secret(&self, row_id: &str, origin: &str, secret: &SecretString) -> Result<Vec<u8>> {
        self.seal(row_id, origin, secret.expose_secret())
    }

    /// Opens what [`MasterKey::seal`] answered for the same row and origin.
    ///
    /// # Errors
    /// `Internal`, saying which: sealed under another master key, or for another row or origin, or damaged.
    pub fn open(&self, row_id: &str, origin: &str, sealed: &[u8]) -> Result<SecretString> {
        let damaged = || Error::internal("a sealed provider key is damaged");
        let (header, rest) = sealed.split_first_chunk::<{ 1 + ID }>().ok_or_else(damaged)?;
        if *header != self.header() {
            return Err(self.mismatch(header));
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
        let context = context(header, row_id, origin);
        let payload = Payload { msg: sealed, aad: &context };
        let secret = self.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| {
            Error::internal("a sealed provider key belongs to another row or origin, or is damaged")
        })?;
        text(secret).ok_or_else(damaged)
    }

    /// A key for one purpose, of no use for another and telling nothing of the master key.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        signature::sign(self.0.expose_secret(), purpose.as_bytes())
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        let key = Zeroizing::new(self.derive("evalboard: seal provider keys"));
        XChaCha20Poly1305::new(&Key::from(*key))
    }

    fn header(&self) -> [u8; 1 + ID] {
        let mut header = [VERSION; 1 + ID];
        header.iter_mut().skip(1).zip(self.id()).for_each(|(slot, byte)| *slot = byte);
        header
    }

    fn mismatch(&self, found: &[u8; 1 + ID]) -> Error {
        Error::internal(format!(
            "a provider key was sealed under another master key or by another version (mark {}, ours {}): \
             start with the master key that belongs to this data folder",
            hex::encode(found),
            hex::encode(&self.header()),
        ))
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = if text.len() == 64 {
            hex::decode(text)?
        } else {
            [BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD]
                .iter()
                .find_map(|alphabet| alphabet.decode(text).ok())?
        };
        let bytes = Zeroizing::new(bytes);
        Some(Self::from_bytes(bytes.as_slice().try_into().ok()?))
    }

    fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(SecretBox::init_with_mut(|key: &mut [u8; 32]| *key = *bytes))
    }
}

/// From the text of `EVALBOARD_MASTER_KEY`: 32 bytes as 64 hex digits, or as base64 of either alphabet.
impl FromStr for MasterKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::read(text.trim()).ok_or_else(|| {
            let message = "must be 32 bytes in base64 or hexadecimal; 'openssl rand -base64 32' makes a key";
            Error::invalid(SETTING, format!("{SETTING} {message}"))
        })
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("MasterKey([redacted])")
    }
}

/// What a sealed text is bound to. Hashing gives both parts a fixed length: no pair can be read as another.
fn context(header: &[u8; 1 + ID], row_id: &str, origin: &str) -> Vec<u8> {
    [&header[..], &Sha256::digest(row_id), &Sha256::digest(origin)].concat()
}

fn text(secret: Vec<u8>) -> Option<SecretString> {
    match String::from_utf8(secret) {
        Ok(text) => Some(text.into()),
        Err(error) => {
            error.into_bytes().zeroize();
            None
        }
    }
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

fn load(path: &Path) -> io::Result<MasterKey> {
    let file = File::open(path)?;
    keep_private(&file, path);
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE).read_to_string(&mut text)?;
    MasterKey::read(text.trim()).ok_or_else(|| {
        io::Error::other(
            "it holds no key of 32 bytes in base64 or hexadecimal: restore it from your backup; where it is lost for good, \
             evalboard rekey --forget makes another",
        )
    })
}

/// Takes back what others may do with the file. Volumes of some platforms widen modes at each mount, so this
/// is no reason not to start.
fn keep_private(file: &File, path: &Path) {
    let open = file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0);
    if open {
        let narrowed = file.set_permissions(Permissions::from_mode(0o600)).is_ok();
        tracing::warn!(path = %path.display(), narrowed, "others could read the master key file");
    }
}

/// Makes the file under a name of its own and renames it once it is whole. The lock lets one process at a
/// time look for the real file and make it, so a rename never replaces another's key.
fn create(path: &Path) -> io::Result<MasterKey> {
    let draft_path = path.with_added_extension("new");
    let mut draft =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&draft_path)?;
    draft.lock()?;
    let key = match load(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => write(&mut draft)?,
        // Another process was first; the draft is ours alone or already renamed.
        loaded => {
            std::fs::remove_file(&draft_path).ok();
            return loaded;
        }
    };
    disk::rename(&draft_path, path)?;
    Ok(key)
}

fn write(file: &mut File) -> io::Result<MasterKey> {
    let key = Zeroizing::new(random::<32>()?);
    let text = Zeroizing::new(BASE64_STANDARD.encode(*key));
    // What a crash left of an earlier draft.
    file.set_len(0)?;
    writeln!(file, "{}", *text)?;
    file.sync_all()?;
    Ok(MasterKey::from_bytes(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "https://api.example:443";
    const SECRET: &str = "sk-canary-5f2a";

    fn key(byte: u8) -> MasterKey {
        MasterKey::from_bytes(&[byte; 32])
    }

    /// The cause that only the log sees.
    fn cause<T>(outcome: Result<T>) -> String {
        match outcome {
            Err(Error::Internal(cause)) => cause.to_string(),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it must fail"),
        }
    }

    #[test]
    fn what_is_sealed_opens_for_the_same_row_and_origin() {
        for secret in [SECRET, "", "schlüssel 🔑"] {
            let sealed = key(1).seal("m1", ORIGIN, secret).unwrap();
            assert_eq!(key(1).open("m1", ORIGIN, &sealed).unwrap().expose_secret(), secret);
        }
    }

    #[test]
    fn another_row_origin_or_key_does_not_open_it() {
        let sealed = key(1).seal("m1", ORIGIN, SECRET).unwrap();
        for (row, origin) in [
            ("m2", ORIGIN),
            ("m1", "http://api.example:443"),
            ("m1", "https://api.example:8443"),
            ("m1h", &ORIGIN[1..]),
            ("", ORIGIN),
        ] {
            let cause = cause(key(1).open(row, origin, &sealed));
            assert!(cause.contains("another row or origin"), "{row} {origin}: {cause}");
        }
        assert!(cause(key(2).open("m1", ORIGIN, &sealed)).contains("another master key"));
    }

    #[test]
    fn any_changed_or_missing_byte_is_noticed() {
        let sealed = key(1).seal("m1", ORIGIN, SECRET).unwrap();
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert!(key(1).open("m1", ORIGIN, &changed).is_err(), "{position}");
            assert!(key(1).open("m1", ORIGIN, &sealed[..position]).is_err(), "{position}");
        }
    }

    #[test]
    fn sealing_twice_gives_different_bytes_that_hide_the_secret() {
        let [one, two] = [(); 2].map(|()| key(1).seal("m1", ORIGIN, SECRET).unwrap());
        assert_ne!(one, two);
        assert!(!one.windows(6).any(|bytes| SECRET.as_bytes().windows(6).any(|part| part == bytes)));
        assert_eq!(one.len(), 1 + ID + NONCE + SECRET.len() + 16);
    }

    #[test]
    fn derived_keys_differ_by_purpose_and_master_key() {
        assert_eq!(key(1).derive("tokens"), key(1).derive("tokens"));
        assert_ne!(key(1).derive("tokens"), key(1).derive("uploads"));
        assert_ne!(key(1).derive("tokens"), key(2).derive("tokens"));
        assert_ne!(key(1).derive("tokens"), [1; 32]);
    }

    #[test]
    fn a_key_is_read_in_hexadecimal_and_base64() {
        let bytes: [u8; 32] = std::array::from_fn(|position| u8::try_from(position * 8).unwrap() | 3);
        let spellings = [
            hex::encode(&bytes),
            hex::encode(&bytes).to_uppercase(),
            BASE64_STANDARD.encode(bytes),
            BASE64_STANDARD_NO_PAD.encode(bytes),
            BASE64_URL_SAFE.encode(bytes),
            format!("  {}\n", BASE64_URL_SAFE_NO_PAD.encode(bytes)),
        ];
        for text in spellings {
            let key: MasterKey = text.parse().unwrap();
            assert_eq!(key.0.expose_secret(), &bytes, "{text}");
        }
    }

    #[test]
    fn a_bad_key_is_refused_without_being_repeated() {
        let short = BASE64_STANDARD.encode([7; 31]);
        let long = BASE64_STANDARD.encode([7; 33]);
        for text in ["", "hunter2-hunter2", &short, &long, &"g".repeat(64), &"0".repeat(63)] {
            let message = text.parse::<MasterKey>().unwrap_err().to_string();
            assert!(message.starts_with("EVALBOARD_MASTER_KEY must be 32 bytes"), "{message}");
            assert!(text.is_empty() || !message.contains(text), "{message}");
        }
    }

    #[test]
    fn debug_output_shows_nothing() {
        let shown = format!("{:?}", key(0x41));
        assert_eq!(shown, "MasterKey([redacted])");
        let sealed = key(1).seal("m1", ORIGIN, SECRET).unwrap();
        assert!(!format!("{:?}", key(1).open("m1", ORIGIN, &sealed)).contains("canary"));
    }

    #[test]
    fn the_file_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let made = MasterKey::load_or_create(&path).unwrap();
        let again = MasterKey::load_or_create(&path).unwrap();
        assert_eq!(made.0.expose_secret(), again.0.expose_secret());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn processes_that_start_together_get_one_key() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("master.key");
            let keys: Vec<_> = std::thread::scope(|scope| {
                let starts = [(); 8].map(|()| scope.spawn(|| MasterKey::load_or_create(&path).unwrap()));
                starts.into_iter().map(|start| start.join().unwrap()).collect()
            });
            let kept = MasterKey::load_or_create(&path).unwrap();
            assert!(keys.iter().all(|key| key.0.expose_secret() == kept.0.expose_secret()));
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_draft_that_a_crash_left_is_no_hindrance() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        std::fs::write(folder.path().join("master.key.new"), "x".repeat(500)).unwrap();
        let made = MasterKey::load_or_create(&path).unwrap();
        let again = MasterKey::load_or_create(&path).unwrap();
        assert_eq!(made.0.expose_secret(), again.0.expose_secret());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_without_a_key_is_an_error_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        for contents in ["", "too short", "\n"] {
            std::fs::write(&path, contents).unwrap();
            let cause = cause(MasterKey::load_or_create(&path));
            assert!(cause.contains("master.key") && cause.contains("holds no key"), "{cause}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), contents);
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_narrowed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::load_or_create(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        MasterKey::load_or_create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent").join("master.key");
        assert!(cause(MasterKey::load_or_create(&path)).contains("absent"));
    }
}
