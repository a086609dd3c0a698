//! The log: where it goes and what is in it. It decides nothing about what is worth a line.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::domain::redaction::redacted;

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
    std::panic::set_hook(Box::new(log_panic));
}

/// Logs a panic without the keys and tokens that may be in its message: a slice that is out of bounds repeats the text
/// that it was to be taken from.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let words = redacted(panic.payload_as_str().unwrap_or("no message"));
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current().name().unwrap_or("?").to_owned();
    tracing::error!(thread, place, words, "a thread panicked");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!("{backtrace}");
    }
}

/// Libraries write whole requests, with their credentials, at the levels below `info`: whoever asks for
/// those levels gets ours alone.
fn is_harmless(line: &Metadata<'_>) -> bool {
    *line.level() <= Level::INFO || line.target().starts_with(env!("CARGO_CRATE_NAME"))
}
