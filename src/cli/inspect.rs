//! `evalboard inspect-parquet`: the process that the server starts to read one Parquet file within limits.
//!
//! It is no command for people, and opens nothing: its parts of the file come over its standard input.

use clap::Args;

use crate::error::{Error, Result};
use crate::service::glances::sandbox;

/// Inspects one Parquet file for the server.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Size of the file in bytes
    size: u64,
}

impl Inspect {
    /// Inspects the file that the caller hands over.
    ///
    /// # Errors
    /// `Internal` when the limits cannot be set or the caller is gone.
    pub fn run(&self) -> Result<()> {
        sandbox::run(self.size).map_err(Error::internal)
    }
}
