//! The log: where it goes and what is in it. It decides nothing about what is worth a line.

use tracing_subscriber::EnvFilter;

/// Starts the log on standard error; `RUST_LOG` says what is in it, else `info`.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(QUIET));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
