//! The log: where it goes and what is in it. It decides nothing about what is worth a line.

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged unless `RUST_LOG` says otherwise. The HTTP library calls every malformed request an error,
/// so that anybody could fill the log.
const DEFAULT: &str = "info,actix_server=warn,refinery_core=warn,actix_http=off";

/// Starts the log on standard error.
pub fn start() {
    let asked = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // A line that cannot be written, as on a full disk, is lost. Its error would be printed to where it could not be
        // written either, which panics.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    let filter = asked.and(filter_fn(is_harmless));
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

/// Libraries write whole requests, with their credentials, at the levels below `info`: whoever asks for
/// those levels gets ours alone.
fn is_harmless(line: &Metadata<'_>) -> bool {
    *line.level() <= Level::INFO || line.target().starts_with(env!("CARGO_CRATE_NAME"))
}
