//! Stored files: a local folder, written so that what was acknowledged is on disk.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The folder of stored files.
pub struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    /// Opens the folder, which is made when absent.
    ///
    /// # Errors
    /// `Internal` when it cannot be made.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::internal)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where the files lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
